"""Makes functions.txt: elementary functions at hard and at random points, to 60 digits, for tests/numerics.rs.

    python -m venv py && py/bin/pip install mpmath==1.4.1
    py/bin/python tests/data/functions.py

A line is `name x y value rest`: operands and the value nearest to the truth as the bits of doubles in hexadecimal (y is 0 where there is none),
and what the truth lies beyond that value, in thousandths of a unit in its last place. Points named in hard.txt, which were the worst of 150,000
random ones for the code at some time, come first; the others are drawn here, seeds fixed."""

import math
import os
import random
import struct

from mpmath import mp, mpf

HERE = os.path.dirname(os.path.abspath(__file__))
DRAWN = 108


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def double(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def between(low, high):
    """A positive number, its bits equally distributed: all sizes are as frequent."""
    return double(random.randint(bits(low), bits(high)))


def either(x):
    return random.choice((-1, 1)) * x


def one_of(*choices):
    return random.choice(choices)()


U = random.uniform


def angle():
    return one_of(
        lambda: U(-3.2, 3.2),
        lambda: U(-1e6, 1e6),
        lambda: either(random.randrange(1, 1 << 20) * math.pi / 2),
        lambda: either(between(1e-310, 7e13)),
        lambda: either(between(7e13, 1.7e308)),
    )


def positive():
    return one_of(lambda: between(5e-324, 1.7e308), lambda: U(0.5, 2), lambda: 1 + either(between(1e-16, 0.4)), lambda: between(1e-3, 1e3))


def unit():
    return either(one_of(lambda: between(1e-300, 1.0), lambda: U(0, 1), lambda: U(0.4, 0.6), lambda: 1 - between(1e-16, 0.5)))


def wide(middle, highest=1.7e308, lowest=1e-310):
    return lambda: either(one_of(lambda: between(lowest, highest), lambda: U(0, middle), lambda: between(1e-3, middle)))


def pair():
    return one_of(
        lambda: (either(between(1e-310, 1.7e308)), either(between(1e-310, 1.7e308))),
        lambda: (U(-3, 3), U(-3, 3)),
        lambda: (lambda a: (either(a), either(a * between(1e-3, 1e3))))(between(1e-300, 1e300)),
        lambda: (either(between(1e-3, 1e3)), either(between(1e-3, 1e3))),
    )


def base_and_exponent():
    def power_near_one():
        x = 1 + either(between(1e-12, 0.3))
        return x, U(-740, 705) / math.log(x)

    return one_of(
        lambda: (U(0.1, 10), U(-10, 10)),
        lambda: (between(1e-3, 1e3), either(between(1e-3, 50.0))),
        lambda: (-between(1e-3, 1e3), float(random.randrange(-60, 60))),
        power_near_one,
    )


def ln_1p_point():
    return one_of(lambda: between(1e-310, 1e308), lambda: -between(1e-310, 1.0), lambda: U(-0.9, 3), lambda: either(between(1e-17, 0.5)))


FUNCTIONS = {
    "exp": (wide(700, 700.0), mp.exp),
    "exp2": (wide(1020, 1020.0), lambda x: mpf(2) ** x),
    "expm1": (wide(2, 700.0), mp.expm1),
    "ln": (positive, mp.log),
    "ln_1p": (ln_1p_point, mp.log1p),
    "log2": (positive, lambda x: mp.log(x, 2)),
    "log10": (positive, mp.log10),
    "pow": (base_and_exponent, lambda x, y: x**int(y) if x < 0 else x**y),
    "sin": (angle, mp.sin),
    "cos": (angle, mp.cos),
    "tan": (angle, mp.tan),
    "asin": (unit, mp.asin),
    "acos": (unit, mp.acos),
    "atan": (wide(3), mp.atan),
    "atan2": (pair, mp.atan2),
    "hypot": (pair, mp.hypot),
    "sinh": (wide(20, 710.0), mp.sinh),
    "cosh": (wide(20, 710.0), mp.cosh),
    "tanh": (wide(20, 30.0), mp.tanh),
    "asinh": (wide(10), mp.asinh),
    "acosh": (lambda: one_of(lambda: between(1.0, 1e308), lambda: U(1, 3), lambda: 1 + between(1e-15, 1.0)), mp.acosh),
    "atanh": (unit, mp.atanh),
    "erf": (wide(6), mp.erf),
    "erfc": (wide(27, 27.2), mp.erfc),
    "sigmoid": (wide(30, 700.0), lambda x: 1 / (1 + mp.exp(-x))),
    "softplus": (wide(30, 700.0), lambda x: mp.log1p(mp.exp(x))),
    "normal_cdf": (wide(38, 38.4), mp.ncdf),
    "normal_pdf": (wide(38, 38.5), mp.npdf),
    # As far as Φ is a normal number.
    "gelu": (wide(37, 37.5), lambda x: x * mp.ncdf(x)),
}


def nearest(truth):
    """The double nearest to a number, subnormal ones included, and what is left, in thousandths of a unit in the last place."""
    if truth == 0:
        return 0.0, 0
    unit = mpf(2) ** max(int(mp.floor(mp.log(abs(truth), 2))) - 52, -1074)
    value = mp.nint(truth / unit) * unit
    return float(value), round(float((truth - value) / unit) * 1000)


def main():
    random.seed(20261124)
    hard = {}
    with open(os.path.join(HERE, "hard.txt"), encoding="ascii") as file:
        for line in file:
            name, *x = line.split()
            hard.setdefault(name, []).append(tuple(double(int(v, 16)) for v in x))
    with open(os.path.join(HERE, "functions.txt"), "w", encoding="ascii") as out:
        for name, (draw, function) in FUNCTIONS.items():
            points = list(hard.get(name, []))
            for _ in range(DRAWN):
                x = draw()
                points.append(x if isinstance(x, tuple) else (x, 0.0))
            for x in points:
                # Enough digits to take the largest angles modulo π, and for 1 + x with a tiny x.
                operands = x if name in ("pow", "atan2", "hypot") else x[:1]
                small, large = min(abs(v) for v in operands), max(abs(v) for v in operands)
                mp.prec = 250 + max(0, math.frexp(large)[1]) * 2 + (0 if small == 0 else max(0, -math.frexp(small)[1])) * 2
                truth = function(*map(mpf, operands))
                if abs(truth) > mpf(1.7e308):
                    continue
                value, rest = nearest(truth)
                print(name, *(f"{bits(v):x}" for v in (*x, value)), rest, file=out)


main()
