"""
Reference values for the operations of an automatic differentiation library, computed by PyTorch and JAX in f64 on the CPU.

Writes, beside this script,
  reference.jsonl     one case per line: operation, parameters, inputs, value, vector-Jacobian products, Hessian-vector products
  trajectories.json   four trainings by SGD, 100 steps each
The format is described in README.md.

Versions: Python 3.11.7, torch 2.15.0, jax 0.10.2, numpy 2.4.6 (needed by both), scipy 1.17.1 (needed by jax).

    python -m venv py && py/bin/pip install torch jax numpy
    py/bin/python reference.py                      everything, about 4 minutes on one core
    py/bin/python reference.py --only conv2d huber  these operations alone; writes nothing
    py/bin/python reference.py --no-jax             without the comparison, 10 seconds; writes nothing
    py/bin/python reference.py --conventions        what both libraries do at kinks, ties and empty inputs

Seeds are fixed: the random numbers of a case depend on the name of its operation and on its number within the operation, and on nothing
else, so that new cases at the end of an operation leave all others as they are. The stored numbers are torch's wherever torch can
compute them; jax repeats the computation, and where all of value, gradients and second derivatives agree to 1e-12 times the largest
magnitude of the array (at least 1), the case is marked "both". Some cases use a formula in torch instead of torch's own function, where
that function has no second derivative or an inexact one: softplus (threshold 40 instead of 20), bce, one case of logaddexp, hinge, det of
singular matrices, slogdet's sign, normalisation over axes that are not the last, step, logical_not, any, all, count_nonzero,
batch_norm_eval where mean and variance are differentiated. A second derivative is that of <grads, vector> by each input.

Conventions
-----------
The meaning is PyTorch's unless said otherwise: `repeat` as torch.Tensor.repeat, `tile` as torch.tile, `gather` and `scatter_add` as in
torch, `take_along_axis` as in NumPy, `diagonal` puts the diagonal last, `roll` by an axis, `solve` with a vector only if b has rank 1.
`cholesky` acts on (A + A^T)/2. `pad` has its pairs in the order of axes, the last axes of x. Normalisations have no weight and no bias.
`batch_norm` divides by the biased variance. `gelu` is the erf form. `round` is half to even. `select(condition, a, b)` takes a where the
condition is not 0. `avg_pool` counts padding (torch's count_include_pad=True). A causal mask is lower triangular from the top left.
`max_pool`, `sort`, `argmax`, `topk` take the first of equal elements; sorting is stable in both directions.
`hinge` is max(0, 1 - target * prediction), target -1 or 1; it is not torch.nn.functional.hinge_embedding_loss. `kl_div` with reduction
mean divides by the number of elements. `cross_entropy` with class weights and mean divides by the sum of the weights of the labels (not
ignored), with soft targets by the number of rows. `poisson_nll` with full adds Stirling's terms where the target is greater than 1.

Excepted: points where PyTorch or JAX differs from the conventions of this library, or where the two differ. No case of the file lies there
(unless the one named is right, as said). Verified by --conventions with the versions above.

  point                                 this library              torch                        jax
  abs at 0 (and norm p=1 at 0)          slope 0                   0; in the file               1
  leaky_relu(s) at 0                    slope s                   s; in the file               1
  elu(a) at 0                           slope a                   a                            a
  selu at 0                             -                         slope scale*alpha = 1.7581   the same
  clamp at low, high                    slope 1                   0                            1/2
  hardtanh at low, high                 -                         0                            1 (hard_tanh)
  sqrt at 0                             slope +inf                +inf                         +inf
  norm p=1.5, 2, 3 of zeros             slope 0                   0                            NaN
  norm p=inf at ties                    -                         shared equally               shared equally
  std of equal numbers                  -                         slope 0                      NaN
  max, min (two operands) at a tie      1/2 each                  1/2 each; in the file        1/2 each
  amax, amin at ties                    shared equally            shared; in the file          shared
  torch.max(dim).values at ties         -                         the first takes all          -
  max_pool at ties                      the first                 the first; in the file       not compared
  hypot(0, 0)                           -                         NaN, NaN                     1/2, 1/2
  atan2(0, 0)                           -                         0, 0                         NaN, NaN
  xlogy(0, 0) by x; by y                -                         0; NaN                       -inf; NaN
  xlogy(0, y), y > 0                    -                         slopes ln y, 0; in the file  not compared
  pow(0, 0) by x; by y                  0; 0                      0; 0                         NaN; 0
  pow(0, y), y > 0, second by y         0                         NaN                          not compared
  pow(x, y), x < 0, by y                -                         NaN                          NaN
  powf(0) at 0                          slope 0                   0; in the file               NaN
  softplus at 25                        25 + 1.4e-11              25 (linear above 20)         25 + 1.4e-11
  logaddexp(1e4, -1e4), second          0                         NaN                          0
  huber(d) at |a - b| = d               -                         slope d                      -
  l1, smooth_l1(0) at a = b             -                         slope 0                      -
  bce at p = 0, t = 1                   log clamped at -100       100, slope -1e12             100 by formula; slope not compared
  bce at p = 1e-13, t = 1               slope -1e13               -1e12 (p(1-p) at least 1e-12) -
  bce, second derivative                exact                     off by about 1e-11           exact; in the file
  kl_div at t = 0, by the target        -                         NaN                          -
  kl_div at t = 0, by the input         -                         0; in the file               not compared
  nll, cross_entropy, all ignored       -                         mean is NaN                  -
  cosine_embedding                      -                         adds 1e-12 to each squared norm (in the file, norms^2 > 4, effect < 1e-12);
                                                                  of a zero vector the value is 1, the slope 7e5
  sum over an empty list of axes        -                         sums over all                sums over none
  logsumexp of -inf alone               -                         -inf, slope NaN              -inf, slope NaN
  softmax of -inf alone                 NaN                       NaN                          NaN
  mean of nothing                       error                     NaN                          NaN
  amax of nothing                       error                     error                        error
  prod of nothing                       1                         1; in the file               1
  max(1, NaN)                           NaN                       NaN (slopes 1, 1)            NaN (slopes 0, 0)
  det of a singular matrix              adjugate                  slope 0 (wrong)              adjugate; in the file by the polynomial
  cholesky, A not symmetric             of (A + A^T)/2            reads the lower triangle     of (A + A^T)/2; in the file
  repeat                                torch's                   repeats the array            jnp.repeat repeats elements
  where with NaN in the other branch    -                         slope NaN                    slope NaN
  dropout p = 1                         -                         zeros, slope 0; in the file  -
"""

import argparse
import json
import math
import os
import sys
import warnings
import zlib

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax
import jax.numpy as J
import numpy as np
import torch as T
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

jax.config.update("jax_enable_x64", True)
T.set_default_dtype(T.float64)
T.set_num_threads(1)
warnings.filterwarnings("ignore")

HERE = os.path.dirname(os.path.abspath(__file__))
AGREE = 1e-12  # |torch - jax| <= AGREE * max(1, largest magnitude of the array)


# ---------------------------------------------------------------------------------------------------------------- random inputs


class Draw:
    """Random numbers of one case: the seed is the operation's name and the number of the case within it."""

    def __init__(self, op, number):
        self.rng = np.random.default_rng([zlib.crc32(op.encode()), number])

    def uniform(self, shape, low=-2.0, high=2.0, digits=2):
        return np.round(self.rng.uniform(low, high, tuple(shape)), digits) + 0.0

    def normal(self, shape):
        """Cotangents and vectors: two decimals, none of them 0."""
        x = np.round(self.rng.uniform(0.1, 1.8, tuple(shape)), 2)
        return x * np.where(self.rng.integers(0, 2, tuple(shape)) == 1, 1.0, -1.0)

    def distinct(self, shape, low=-2.0, high=2.0):
        """Numbers no two of which are closer than half of the mean distance; none is 0."""
        n = int(np.prod(shape))
        step = (high - low) / max(n, 1)
        x = low + step * (self.rng.permutation(n) + self.rng.uniform(0.25, 0.75, n))
        x = np.round(x, 3)
        return np.where(x == 0, 0.001, x).reshape(tuple(shape))

    def off(self, shape, points, low=-2.0, high=2.0, gap=0.05):
        """Numbers at a distance of at least `gap` from each of the points."""
        x = self.uniform(shape, low, high)
        for _ in range(100):
            near = np.zeros(x.shape, bool)
            for p in points:
                near |= np.abs(x - p) < gap
            if not near.any():
                return x
            x = np.where(near, self.uniform(shape, low, high), x)
        raise RuntimeError("no such numbers")

    def bits(self, shape, p=0.5):
        return (self.rng.uniform(0, 1, tuple(shape)) < p).astype(float)

    def integers(self, shape, high, low=0):
        return self.rng.integers(low, high, tuple(shape))

    def matrix(self, shape):
        """Well conditioned square matrices: random with a stronger diagonal of random signs."""
        n = shape[-1]
        sign = np.where(self.rng.integers(0, 2, n) == 1, 1.0, -1.0)
        return np.round(self.uniform(shape, -1, 1) + np.eye(n) * (1.0 + 0.5 * n) * sign, 2)

    def positive(self, shape):
        """Matrices whose symmetric part is positive definite; they are not symmetric themselves."""
        n = shape[-1]
        return np.round(self.uniform(shape, -0.8, 0.8) + np.eye(n) * (1.0 + n), 2)


# ---------------------------------------------------------------------------------------------------------------- cases

CASES = []
NUMBERS = {}


def draw(op):
    """The generator of the next case of an operation."""
    NUMBERS[op] = NUMBERS.get(op, -1) + 1
    return Draw(op, NUMBERS[op])


def case(op, d, inputs, t, j=None, params=None, index=None, diff=None, smooth=True, special=False):
    """
    One case. `t` and `j` map the inputs (torch, jax) to the value, or to a list of values; integer values are index outputs.
    `diff` says which inputs are differentiable (all, if not given); `smooth` False: the operation has no gradient, only y is kept.
    `special` allows values that are not finite.
    """
    inputs = [np.asarray(x, dtype=float) for x in inputs]
    CASES.append(dict(op=op, d=d, inputs=inputs, t=t, j=j, params=params or {}, index=index or {},
                      diff=diff or [True] * len(inputs), smooth=smooth, special=special))


def as_list(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def run_torch(c, cot_of, vec):
    diff = c["diff"] if c["smooth"] else [False] * len(c["inputs"])
    xs = [T.tensor(x, requires_grad=k) for x, k in zip(c["inputs"], diff)]
    ys = as_list(c["t"](*xs))
    out = [y.detach().numpy() for y in ys]
    if not any(diff):
        return out, None, None, None
    cots = cot_of(out, [y.requires_grad for y in ys])
    total = sum((y * T.tensor(k)).sum() for y, k in zip(ys, cots) if k is not None)
    wanted = [x for x, k in zip(xs, diff) if k]
    grads = T.autograd.grad(total, wanted, create_graph=True, allow_unused=True)
    grads = [T.zeros_like(x) if g is None else g for x, g in zip(wanted, grads)]
    inner = sum((g * T.tensor(v)).sum() for g, v in zip(grads, vec))
    if inner.requires_grad:
        second = T.autograd.grad(inner, wanted, allow_unused=True)
        second = [T.zeros_like(x) if s is None else s for x, s in zip(wanted, second)]
    else:
        second = [T.zeros_like(x) for x in wanted]
    return out, cots, [g.detach().numpy(force=True) for g in grads], [s.detach().numpy(force=True) for s in second]


def run_jax(c, cots, vec):
    diff = c["diff"] if c["smooth"] else [False] * len(c["inputs"])
    wanted = [J.asarray(x) for x, k in zip(c["inputs"], diff) if k]

    def f(*xs):
        xs = list(xs)
        return as_list(c["j"](*[xs.pop(0) if k else x for x, k in zip(c["inputs"], diff)]))

    if not any(diff):
        return [np.asarray(y) for y in f()], None, None

    def total(*xs):
        return sum(J.sum(y * k) for y, k in zip(f(*xs), cots) if k is not None)

    gradient = jax.grad(total, argnums=tuple(range(len(wanted))))

    @jax.jit
    def everything(xs, vs):
        g, s = jax.jvp(gradient, xs, vs)
        return f(*xs), g, s

    y, g, s = everything(tuple(wanted), tuple(J.asarray(v) for v in vec))
    return [np.asarray(a) for a in y], [np.asarray(a) for a in g], [np.asarray(a) for a in s]


def finite(arrays):
    return all(np.isfinite(a).all() for a in arrays if a is not None)


def deviation(a, b):
    """The largest deviation between two lists of arrays, each scaled by its largest magnitude, at least 1."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        if x.shape != y.shape:
            return math.inf
        if x.size:
            x, y = x.astype(float), y.astype(float)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            with np.errstate(invalid="ignore"):
                gap = np.where(same, 0.0, np.abs(x - y))
            big = np.abs(np.where(np.isfinite(x), x, 0)).max()
            worst = max(worst, gap.max() / max(1.0, big))
    return worst


def evaluate(c, with_jax):
    d, smooth = c["d"], c["smooth"] and any(c["diff"])
    vec = [d.normal(x.shape) for x, k in zip(c["inputs"], c["diff"]) if k]
    memo = []

    def cot_of(ys, has_gradient):
        if not memo:
            memo.extend(d.normal(y.shape) if y.dtype.kind == "f" and k else None for y, k in zip(ys, has_gradient))
        return memo

    y, cots, grads, second = run_torch(c, cot_of, vec)
    source, note = "torch", None
    if c["j"] is not None and with_jax:
        jy, jg, js = run_jax(c, cots, vec)
        worst = deviation(y, jy)
        if smooth:
            worst = max(worst, deviation(grads, jg), deviation(second, js))
        good_t = finite(y) and (not smooth or finite(grads + second))
        good_j = finite(jy) and (not smooth or finite(jg + js))
        if worst <= AGREE:
            source = "both"
        elif good_j and not good_t:
            y, grads, second, source = jy, jg, js, "jax"
            note = "torch is not finite"
        elif good_t and not good_j:
            note = "jax is not finite"
        else:
            note = f"DISAGREE {worst:.2e}"
            note += f"\n  torch {y} {grads} {second}\n  jax   {jy} {jg} {js}"
    if not c["special"] and not (finite(y) and (not smooth or finite(grads + second))):
        note = f"NOT FINITE {y} {grads} {second}"
    for k in cots or []:
        if k is not None and k.dtype != np.float64:
            raise TypeError(c["op"])

    record = dict(op=c["op"], params=c["params"], inputs=c["inputs"], index=c["index"], y=y)
    if smooth:
        def spread(values):
            values = list(values)
            return [values.pop(0) if k else None for k in c["diff"]]
        record.update(cotangent=cots, grads=spread(grads), vector=spread(vec), second=spread(second))
    record["from"] = source
    return record, note


# ---------------------------------------------------------------------------------------------------------------- JSON


def number(x):
    if isinstance(x, (bool, np.bool_)):
        return "true" if x else "false"
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    if math.isnan(x):
        return '"nan"'
    if math.isinf(x):
        return '"inf"' if x > 0 else '"-inf"'
    return "0" if x == 0 else "%.15g" % x


def flat(a):
    return "null" if a is None else "[" + ",".join(number(x) for x in np.asarray(a).ravel().tolist()) + "]"


def shape_of(a):
    return "[" + ",".join(map(str, a.shape)) + "]"


def array(a):
    key = "data" if a.dtype.kind == "f" else "index"
    return f'{{"shape":{shape_of(a)},"{key}":{flat(a)}}}'


def value(p):
    if p is None:
        return "null"
    if isinstance(p, str):
        return json.dumps(p)
    if isinstance(p, dict):
        return "{" + ",".join(f'"{k}":{value(v)}' for k, v in p.items()) + "}"
    if isinstance(p, (list, tuple)):
        return "[" + ",".join(value(v) for v in p) + "]"
    return number(p)


def line(r):
    parts = [f'"op":"{r["op"]}"', f'"params":{value(r["params"])}']
    parts.append('"inputs":[' + ",".join(array(x) for x in r["inputs"]) + "]")
    if r["index"]:
        body = ",".join(f'"{k}":{array(np.asarray(v, dtype=np.int64))}' for k, v in r["index"].items())
        parts.append(f'"index":{{{body}}}')
    parts.append('"y":[' + ",".join(array(y) for y in r["y"]) + "]")
    for key in ("cotangent", "grads", "vector", "second"):
        if key in r:
            parts.append(f'"{key}":[' + ",".join(flat(a) for a in r[key]) + "]")
    parts.append(f'"from":"{r["from"]}"')
    return "{" + ",".join(parts) + "}"


# ---------------------------------------------------------------------------------------------------------------- helpers


def dims(axes, rank):
    """Axes of a method as a tuple of non-negative integers."""
    return tuple(range(rank)) if axes == "all" else tuple(a % rank for a in axes)


def grid(indices, axis):
    """Index arrays that select x[.., indices[i, j, ..], ..] along an axis."""
    where = list(np.indices(indices.shape, sparse=False))
    where[axis] = indices
    return tuple(where)


def long(x):
    return T.tensor(np.asarray(x), dtype=T.int64)


# ---------------------------------------------------------------------------------------------------------------- pointwise

sp = lambda x: J.logaddexp(x, 0.0)
UNARY = {
    # name: torch, jax, ranges, kinks, special points
    "neg": (T.neg, lambda x: -x, [(-3, 3)], [], [0, 1e4, -1e-10]),
    "abs": (T.abs, J.abs, [(-3, 3)], [0], [1e4, -1e4, 1e-12, -1e-12]),
    "sign": (T.sign, J.sign, [(-3, 3)], [0], [1e4, -1e4, 1e-12, -1e-12]),
    "step": (lambda x: (x > 0).double() + 0 * x, lambda x: J.where(x > 0, 1.0, 0.0), [(-3, 3)], [0], [1e4, -1e4, 1e-12, -1e-12]),
    "square": (T.square, J.square, [(-3, 3)], [], [0, 100, -1e-6]),
    "recip": (T.reciprocal, lambda x: 1 / x, [(0.3, 3), (-3, -0.3)], [], [1e3, -1e3, 1e-3]),
    "sqrt": (T.sqrt, J.sqrt, [(0.1, 4)], [], [1e-6, 1e6, 16]),
    "rsqrt": (T.rsqrt, jax.lax.rsqrt, [(0.1, 4)], [], [1e-4, 1e6, 16]),
    "exp": (T.exp, J.exp, [(-2, 2)], [], [0, 1e-10, -40, 20]),
    "exp2": (T.exp2, J.exp2, [(-2, 2)], [], [0, 10, -20, 1e-10]),
    "expm1": (T.expm1, J.expm1, [(-2, 2)], [], [0, 1e-10, -1e-10, 1e-20, -40]),
    "ln": (T.log, J.log, [(0.1, 4)], [], [1, 1e-6, 1e6]),
    "log2": (T.log2, J.log2, [(0.1, 4)], [], [1, 1024, 0.125]),
    "log10": (T.log10, J.log10, [(0.1, 4)], [], [1, 1000, 0.01]),
    "ln_1p": (T.log1p, J.log1p, [(-0.8, 4)], [], [0, 1e-10, -1e-10, 1e-20, 1e6]),
    "sin": (T.sin, J.sin, [(-3.5, 3.5)], [], [0, 100, 1e4, -1e4, 1e-9]),
    "cos": (T.cos, J.cos, [(-3.5, 3.5)], [], [0, 100, 1e4, -1e4, 1e-9]),
    "tan": (T.tan, J.tan, [(-1.2, 1.2)], [], [0, 3, 100, 1e-9]),
    "asin": (T.asin, J.arcsin, [(-0.9, 0.9)], [], [0, 1e-9, 0.999]),
    "acos": (T.acos, J.arccos, [(-0.9, 0.9)], [], [0, 1e-9, 0.999]),
    "atan": (T.atan, J.arctan, [(-3, 3)], [], [0, 1e-9, 1e4, -1e4]),
    "sinh": (T.sinh, J.sinh, [(-2, 2)], [], [0, 1e-9, 20, -20]),
    "cosh": (T.cosh, J.cosh, [(-2, 2)], [], [0, 1e-9, 20, -20]),
    "tanh": (T.tanh, J.tanh, [(-2, 2)], [], [0, 1e-9, 20, -20, 1e4]),
    "asinh": (T.asinh, J.arcsinh, [(-3, 3)], [], [0, 1e-9, 1e4, -1e4]),
    "acosh": (T.acosh, J.arccosh, [(1.2, 4)], [], [1.01, 1e4]),
    "atanh": (T.atanh, J.arctanh, [(-0.9, 0.9)], [], [0, 1e-10, 0.999]),
    "sigmoid": (T.sigmoid, jax.nn.sigmoid, [(-3, 3)], [], [0, 40, -40, 1e4, -1e4]),
    "log_sigmoid": (F.logsigmoid, jax.nn.log_sigmoid, [(-3, 3)], [], [0, 40, -40, 1e4, -1e4]),
    "softplus": (lambda x: F.softplus(x, 1, 40), sp, [(-3, 3)], [], [0, 30, -30, 1e4, -1e4]),
    "erf": (T.erf, jax.lax.erf, [(-2, 2)], [], [0, 1e-9, 5, -5]),
    "erfc": (T.erfc, jax.lax.erfc, [(-2, 2)], [], [0, 1e-9, 5, -5, 10]),
    "normal_cdf": (T.special.ndtr, jax.scipy.special.ndtr, [(-3, 3)], [], [0, 1e-9, 5, -5, -10]),
    "normal_pdf": (lambda x: T.distributions.Normal(0.0, 1.0).log_prob(x).exp(), jax.scipy.stats.norm.pdf, [(-3, 3)], [], [0, 1e-9, 5, -10]),
    "relu": (F.relu, jax.nn.relu, [(-3, 3)], [0], [0, 1e4, -1e4]),
    "selu": (F.selu, jax.nn.selu, [(-3, 3)], [0], [50, -50, -1e4]),
    "gelu": (F.gelu, lambda x: jax.nn.gelu(x, approximate=False), [(-3, 3)], [], [0, 1e-6, 10, -10]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), lambda x: jax.nn.gelu(x, approximate=True), [(-3, 3)], [], [0, 1e-6, 10, -10]),
    "silu": (F.silu, jax.nn.silu, [(-3, 3)], [], [0, 100, -100, 1e4]),
    "mish": (F.mish, lambda x: x * J.tanh(sp(x)), [(-3, 3)], [], [0, 15, -15, 1e-6]),
    "softsign": (lambda x: x / (1 + x.abs()), jax.nn.soft_sign, [(-3, 3)], [0], [1e4, -1e4, 1e-6]),
    "floor": (T.floor, J.floor, [(-3, 3)], range(-4, 5), [1e4 + 0.5, -0.25]),
    "ceil": (T.ceil, J.ceil, [(-3, 3)], range(-4, 5), [1e4 + 0.5, -0.25]),
    "round": (T.round, J.round, [(-3, 3)], [k + 0.5 for k in range(-4, 4)], [0.5, 1.5, 2.5, -0.5, -1.5, -2.5]),
    "trunc": (T.trunc, J.trunc, [(-3, 3)], range(-4, 5), [1e4 + 0.5, -0.25]),
}
UNARY_SHAPES = [[], [4], [2, 3], [2, 1, 2], [1, 2, 1, 2]]


def unary_cases():
    for op, (t, j, ranges, kinks, special) in UNARY.items():
        for k, shape in enumerate(UNARY_SHAPES + [[5]]):
            d = draw(op)
            low, high = ranges[k % len(ranges)]
            case(op, d, [d.off(shape, kinks, low, high)], t, j)
        d = draw(op)
        case(op, d, [np.array(special, float)], t, j)
    for op in ["exp", "tanh", "relu", "recip", "erf", "softplus", "abs", "round", "ln"]:
        for shape in [[0], [2, 0, 3]]:
            case(op, draw(op), [np.zeros(shape)], UNARY[op][0], UNARY[op][1])
    for shape in UNARY_SHAPES + [[0, 2]]:
        d = draw("logical_not")
        case("logical_not", d, [d.bits(shape) * d.uniform(shape, 0.5, 2)], lambda x: (x == 0).double(), lambda x: J.where(x == 0, 1.0, 0.0), smooth=False)
    d = draw("abs")
    case("abs", d, [[1.5, 0, -2]], T.abs)  # jax takes slope 1 at 0


def unary_parameter_cases():
    for n in [-3, -2, -1, 0, 1, 2, 3, 4, 7]:
        for shape in [[3], [2, 2]]:
            d = draw("powi")
            x = d.off(shape, [0], -2, 2, 0.4)
            case("powi", d, [x], lambda x, n=n: x.pow(n), lambda x, n=n: jax.lax.integer_pow(x, n), dict(n=n))
    for n in [0, 1, 2, 3, 5]:
        case("powi", draw("powi"), [[0, 1, -1, 2]], lambda x, n=n: x.pow(n), lambda x, n=n: jax.lax.integer_pow(x, n), dict(n=n))
    for c in [-1.5, -1.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.3, -0.25]:
        for shape in [[], [4]]:
            d = draw("powf")
            case("powf", d, [d.uniform(shape, 0.3, 3)], lambda x, c=c: x.pow(c), lambda x, c=c: J.power(x, c), dict(c=c))
    case("powf", draw("powf"), [[0, 1.5, 2]], lambda x: x.pow(0.0), None, dict(c=0.0))
    case("powf", draw("powf"), [[0, -1.5, 2]], lambda x: x.pow(2.0), lambda x: x * x, dict(c=2.0))
    case("powf", draw("powf"), [[0, 1.5, 2]], lambda x: x.pow(2.5), lambda x: J.power(x, 2.5), dict(c=2.5))
    for slope in [0.01, 0.2, 0.0, 1.5]:
        for shape in [[], [5], [2, 3]]:
            d = draw("leaky_relu")
            case("leaky_relu", d, [d.off(shape, [0], -3, 3)], lambda x, s=slope: F.leaky_relu(x, s),
                 lambda x, s=slope: jax.nn.leaky_relu(x, s), dict(slope=slope))
    case("leaky_relu", draw("leaky_relu"), [[0, 1e4, -1e4, 1.0]], lambda x: F.leaky_relu(x, 0.1), None, dict(slope=0.1))
    for alpha in [1.0, 0.5, 2.0]:
        for shape in [[], [5], [2, 3], [1, 2, 2]]:
            d = draw("elu")
            case("elu", d, [d.off(shape, [0], -3, 3)], lambda x, a=alpha: F.elu(x, a), lambda x, a=alpha: jax.nn.elu(x, a), dict(alpha=alpha))
    case("elu", draw("elu"), [[50, -50, 1e4, -1e4, -1e-6]], lambda x: F.elu(x, 1.5), lambda x: jax.nn.elu(x, 1.5), dict(alpha=1.5))
    for op in ["clamp", "hardtanh"]:
        for low, high in [(-1.0, 1.0), (0.0, 6.0), (-0.5, 2.5), (-3.0, -1.0)]:
            for shape in [[], [6], [2, 3]]:
                d = draw(op)
                t = (lambda x, l=low, h=high: T.clamp(x, l, h)) if op == "clamp" else (lambda x, l=low, h=high: F.hardtanh(x, l, h))
                case(op, d, [d.off(shape, [low, high], low - 2, high + 2)], t, lambda x, l=low, h=high: J.clip(x, l, h), dict(low=low, high=high))


BROADCAST = [([], []), ([3], [3]), ([2, 3], [3]), ([2, 1], [1, 3]), ([], [2, 2]), ([2, 2], []), ([2, 1, 2], [2, 1]), ([1], [4]), ([1, 2, 1, 2], [2, 1, 1]), ([1, 1, 1, 1, 2], [2, 1])]
LOGADDEXP = lambda a, b: b - jax.nn.log_sigmoid(b - a)
BINARY = {
    "add": (T.add, J.add, (-3, 3), (-3, 3)),
    "sub": (T.sub, J.subtract, (-3, 3), (-3, 3)),
    "mul": (T.mul, J.multiply, (-3, 3), (-3, 3)),
    "div": (T.div, J.divide, (-3, 3), (0.4, 3)),
    "pow": (T.pow, J.power, (0.3, 3), (-2, 3)),
    "max": (T.maximum, J.maximum, (-3, 3), (-3, 3)),
    "min": (T.minimum, J.minimum, (-3, 3), (-3, 3)),
    "atan2": (T.atan2, J.arctan2, (-3, 3), (-3, 3)),
    "hypot": (T.hypot, J.hypot, (-3, 3), (0.2, 3)),
    "xlogy": (T.xlogy, jax.scipy.special.xlogy, (-3, 3), (0.2, 3)),
    "logaddexp": (T.logaddexp, J.logaddexp, (-3, 3), (-3, 3)),
}
COMPARE = {
    "gt": (T.gt, J.greater), "ge": (T.ge, J.greater_equal), "lt": (T.lt, J.less), "le": (T.le, J.less_equal), "eq": (T.eq, J.equal), "ne": (T.ne, J.not_equal),
    "logical_and": (T.logical_and, J.logical_and), "logical_or": (T.logical_or, J.logical_or), "logical_xor": (T.logical_xor, J.logical_xor),
}


def binary_cases():
    for op, (t, j, ra, rb) in BINARY.items():
        for sa, sb in BROADCAST:
            d = draw(op)
            a, b = d.off(sa, [0], *ra), d.uniform(sb, *rb) + 0.003
            case(op, d, [np.round(a, 2), np.round(b, 3)], t, j)
        for sa, sb in [([0], [1]), ([0, 2], [2])]:
            case(op, draw(op), [np.ones(sa), np.ones(sb)], t, j)
    case("add", draw("add"), [[1e4, 1e-4], [-1e4, 1e-12]], T.add, J.add)
    case("mul", draw("mul"), [[0, 0, 2], [0, 3, 0]], T.mul, J.multiply)
    case("div", draw("div"), [[0, 1e4, 1e-4], [-2, 1e2, -5]], T.div, J.divide)
    case("pow", draw("pow"), [[-2, -1.5, 3], [2, 3, -1]], T.pow, None, diff=[True, False])
    case("pow", draw("pow"), [[0, 1, 2], [2, 3, 1]], T.pow, None, diff=[True, False])
    case("pow", draw("pow"), [[0.5, 1, 2], [0, 0, 0]], T.pow, None, diff=[False, True])
    case("pow", draw("pow"), [[0.25, 1, 7], [2, 1.5, -3]], T.pow, None, diff=[False, True])
    case("max", draw("max"), [[1, -2, 3], [1, -2, 4]], T.maximum, J.maximum)
    case("min", draw("min"), [[1, -2, 3], [1, -2, 4]], T.minimum, J.minimum)
    case("atan2", draw("atan2"), [[1, 1, -1, -1, 0, 1, -1], [1, -1, 1, -1, 2, 0, 0]], T.atan2, J.arctan2)
    case("hypot", draw("hypot"), [[3, -5, 0, 4], [4, 12, 2, 0]], T.hypot, None)
    case("hypot", draw("hypot"), [[1e150, 1e-150], [1e150, 1e-150]], T.hypot, None, smooth=False)
    case("xlogy", draw("xlogy"), [[0, 0, 1], [1, 2.5, 1]], T.xlogy, None)
    # max + softplus of the difference: the second derivative of torch.logaddexp is NaN where the operands are far apart.
    case("logaddexp", draw("logaddexp"), [[1e4, 1e4, -1e4, 0], [1e4, -1e4, -1e4, 40]], lambda a, b: b + F.softplus(a - b, 1, 40), LOGADDEXP)
    for op, (t, j) in COMPARE.items():
        for sa, sb in [([], []), ([5], [5]), ([2, 3], [3]), ([2, 1], [1, 3]), ([0], [1])]:
            d = draw(op)
            a, b = d.integers(sa, 3, -1).astype(float), d.integers(sb, 3, -1).astype(float)
            case(op, d, [a, b], lambda a, b, t=t: t(a, b).double(), lambda a, b, j=j: j(a, b).astype(float), smooth=False)
    for sx, sm in [([4], [4]), ([2, 3], [3]), ([2, 3], [2, 1]), ([], []), ([2, 2], [])]:
        for v in [0.0, -1.5]:
            d = draw("masked_fill")
            case("masked_fill", d, [d.uniform(sx), d.bits(sm)], lambda x, m, v=v: x.masked_fill(m != 0, v), lambda x, m, v=v: J.where(m != 0, v, x),
                 dict(value=v), diff=[True, False])
    for sa, sb, sw in [([3], [3], [3]), ([2, 3], [3], []), ([2, 1], [1, 3], [2, 3]), ([], [], []), ([], [2], [2, 1]), ([2, 2], [2, 2], [2])]:
        d = draw("lerp")
        case("lerp", d, [d.uniform(sa), d.uniform(sb), d.uniform(sw, -0.5, 1.5)], lambda a, b, w: T.lerp(*T.broadcast_tensors(a, b, w)), lambda a, b, w: a + w * (b - a))
    for sc, sa, sb in [([4], [4], [4]), ([2, 3], [3], [2, 1]), ([3], [], [2, 3]), ([], [2], [2]), ([2, 1], [1, 3], []), ([], [], [])]:
        d = draw("select")
        c = d.bits(sc) * 2
        case("select", d, [c, d.uniform(sa), d.uniform(sb)], lambda c, a, b: T.where(c != 0, a, b), lambda c, a, b: J.where(c != 0, a, b), diff=[False, True, True])
        d = draw("where_")
        c = d.bits(sc)
        case("where_", d, [d.uniform(sa), c, d.uniform(sb)], lambda x, c, o: T.where(c != 0, x, o), lambda x, c, o: J.where(c != 0, x, o), diff=[True, False, True])


# ---------------------------------------------------------------------------------------------------------------- reductions

OVER = [([4], [0], False), ([4], [-1], True), ([2, 3], [1], False), ([2, 3], [-2], True), ([2, 3], "all", False), ([2, 3], "all", True), ([2, 2, 2], [0, 2], False),
        ([2, 2, 2], [-1, 0], True), ([2, 1, 3], [1], False), ([3, 1, 2], [0], False), ([1, 2, 2, 2], [1, 3], True), ([2, 1, 2, 1, 2], [0, 2, 4], False), ([], "all", False)]


def vector_norm(x, p, a, k):
    if p == "inf":
        return J.max(J.abs(x), axis=a, keepdims=k)
    if p == 2:
        return J.sqrt(J.sum(x * x, axis=a, keepdims=k))
    return J.sum(J.abs(x) ** p, axis=a, keepdims=k) ** (1.0 / p)


def tprod(x, a, k):
    for i in sorted(a, reverse=True):
        x = x.prod(i, keepdim=k)
    return x


def jvar(x, a, c, k):
    n = math.prod(x.shape[i] for i in a)
    return J.sum((x - J.mean(x, axis=a, keepdims=True)) ** 2, axis=a, keepdims=k) / (n - c)


def reduction_cases():
    whole = {"sum": (T.sum, J.sum), "mean": (T.mean, J.mean), "prod": (T.prod, J.prod)}
    for op, (t, j) in whole.items():
        for shape in [[], [1], [5], [2, 3], [2, 2, 2], [1, 2, 1, 3], [1, 2, 1, 2, 1]]:
            d = draw(op)
            case(op, d, [d.uniform(shape)], lambda x, t=t: t(x), lambda x, j=j: j(x))
        if op != "mean":
            case(op, draw(op), [np.zeros([0])], lambda x, t=t: t(x), lambda x, j=j: j(x))
            case(op, draw(op), [np.zeros([2, 0])], lambda x, t=t: t(x), lambda x, j=j: j(x))
    for x in [[0, 2, 3], [0, 0, 3], [2, 0, -1, 0], [0, 0, 0], [[1.5, 0], [2, -0.5]]]:
        case("prod", draw("prod"), [x], T.prod, J.prod)

    table = {
        "sum_axes": (lambda x, a, k: T.sum(x, a, keepdim=k), lambda x, a, k: J.sum(x, axis=a, keepdims=k)),
        "mean_axes": (lambda x, a, k: T.mean(x, a, keepdim=k), lambda x, a, k: J.mean(x, axis=a, keepdims=k)),
        "prod_axes": (tprod, lambda x, a, k: J.prod(x, axis=a, keepdims=k)),
        "amax": (lambda x, a, k: T.amax(x, a, keepdim=k), lambda x, a, k: J.max(x, axis=a, keepdims=k)),
        "amin": (lambda x, a, k: T.amin(x, a, keepdim=k), lambda x, a, k: J.min(x, axis=a, keepdims=k)),
        "logsumexp": (lambda x, a, k: T.logsumexp(x, a, keepdim=k) if x.ndim else x * 1, lambda x, a, k: jax.nn.logsumexp(x, axis=a, keepdims=k)),
    }
    zero = [([0, 3], [0], False), ([0, 3], [1], True), ([2, 0], [0], False), ([2, 0], "all", False)]
    for op, (t, j) in table.items():
        some = zero if op in ("sum_axes", "prod_axes") else [([0, 3], [1], True), ([0, 2], [-1], False)]
        for shape, axes, keep in OVER + some:
            d = draw(op)
            a = dims(axes, len(shape))
            case(op, d, [d.distinct(shape)], lambda x, t=t, a=a, k=keep: t(x, a, k), lambda x, j=j, a=a, k=keep: j(x, a, k), dict(axes=axes, keepdim=keep))
    t, j = table["prod_axes"]
    for x, axes in [([[0, 2, 3], [1.5, 2, -1]], [1]), ([[0, 0, 3], [1.5, 0, -1]], [1]), ([[0, 0], [0, 2], [3, 4]], [0]), ([[0, 2], [3, 0]], [0, 1]), ([[0, 2], [3, 4]], [0, 1])]:
        a = dims(axes, 2)
        case("prod_axes", draw("prod_axes"), [x], lambda x, t=t, a=a: t(x, a, False), lambda x, j=j, a=a: j(x, a, False), dict(axes=axes, keepdim=False))
    for op in ["amax", "amin"]:
        t, j = table[op]
        for x, axes in [([2, 1, 2, 1], [0]), ([[1, 1, 0], [3, 3, 3]], [1]), ([[1, 4], [4, 1]], "all")]:
            a = dims(axes, np.ndim(x))
            case(op, draw(op), [x], lambda x, a=a, t=t: t(x, a, False), lambda x, a=a, j=j: j(x, a, False), dict(axes=axes, keepdim=False))
    t, j = table["logsumexp"]
    for x in [[1e4, 1e4], [-1e4, -1e4, -1e4], [1e4, -1e4, 0], [1e4, 9999, 9998], [0, 0, 0]]:
        case("logsumexp", draw("logsumexp"), [x], lambda x, t=t: t(x, (0,), False), lambda x, j=j: j(x, (0,), False), dict(axes=[0], keepdim=False))

    for op in ["var", "std"]:
        root_j = J.sqrt if op == "std" else (lambda x: x)
        for shape, axes, keep in OVER[:8] + [([3, 1, 2], [0], True), ([1, 2, 2, 2], [1, 3], True), ([2, 1, 2, 1, 2], [0, 2, 4], False)]:
            for c in [0, 1]:
                d = draw(op)
                a = dims(axes, len(shape))
                case(op, d, [d.distinct(shape)], lambda x, a=a, k=keep, c=c, op=op: getattr(T, op)(x, a, correction=c, keepdim=k),
                     lambda x, a=a, k=keep, c=c, root=root_j: root(jvar(x, a, c, k)), dict(axes=axes, correction=c, keepdim=keep))
        d = draw(op)
        case(op, d, [d.distinct([2, 4])], lambda x, op=op: getattr(T, op)(x, (1,), correction=2), lambda x, root=root_j: root(jvar(x, (1,), 2, False)),
             dict(axes=[1], correction=2, keepdim=False))
        d = draw(op)
        case(op, d, [d.distinct([4]) + 1e4], lambda x, op=op: getattr(T, op)(x, (0,), correction=1), None, dict(axes=[0], correction=1, keepdim=False))
    d = draw("var")
    case("var", d, [[2.5, 2.5, 2.5]], lambda x: T.var(x, (0,), correction=1), lambda x: jvar(x, (0,), 1, False), dict(axes=[0], correction=1, keepdim=False))

    for p in [1, 2, 3, 1.5, 4, "inf"]:
        for shape, axes, keep in [OVER[i] for i in (0, 2, 3, 4, 6, 7, 10)]:
            d = draw("norm")
            a = dims(axes, len(shape))
            x = d.distinct(shape, 0.2, 3) * np.where(d.bits(shape) > 0, 1, -1)
            case("norm", d, [x], lambda x, p=p, a=a, k=keep: T.linalg.vector_norm(x, float(p), a, keepdim=k), lambda x, p=p, a=a, k=keep: vector_norm(x, p, a, k),
                 dict(p=p, axes=axes, keepdim=keep))
    case("norm", draw("norm"), [[[0, 0], [3, -4]]], lambda x: x.square().sum(1).sqrt(), None, dict(p=2, axes=[1], keepdim=False), diff=[False])
    case("norm", draw("norm"), [[3, 0, -4]], lambda x: T.linalg.vector_norm(x, 2, 0), lambda x: vector_norm(x, 2, (0,), False), dict(p=2, axes=[0], keepdim=False))

    table = {
        "any": (lambda x, a, k: T.amax((x != 0).double(), a, keepdim=k), lambda x, a, k: J.any(x != 0, axis=a, keepdims=k).astype(float)),
        "all": (lambda x, a, k: T.amin((x != 0).double(), a, keepdim=k), lambda x, a, k: J.all(x != 0, axis=a, keepdims=k).astype(float)),
        "count_nonzero": (lambda x, a, k: (x != 0).double().sum(a, keepdim=k), lambda x, a, k: J.count_nonzero(x, axis=a, keepdims=k).astype(float)),
    }
    for op, (t, j) in table.items():
        for shape, axes, keep in [OVER[i] for i in (0, 2, 3, 4, 5, 7, 9, 11, 12)]:
            d = draw(op)
            a = dims(axes, len(shape))
            case(op, d, [d.bits(shape, {"any": 0.3, "all": 0.7}.get(op, 0.5)) * d.off(shape, [0])], lambda x, t=t, a=a, k=keep: t(x, a, k),
                 lambda x, j=j, a=a, k=keep: j(x, a, k), dict(axes=axes, keepdim=keep), smooth=False)
        empty = {"any": 0.0, "all": 1.0, "count_nonzero": 0.0}[op]
        case(op, draw(op), [np.zeros([2, 0])], lambda x, e=empty: T.full((2,), e), lambda x, j=j: j(x, (1,), False), dict(axes=[1], keepdim=False), smooth=False)

    for op, t, j in [("argmax", T.argmax, J.argmax), ("argmin", T.argmin, J.argmin)]:
        for shape, axis in [([5], 0), ([2, 4], 1), ([3, 2], 0), ([2, 3, 2], -2), ([2, 2, 1, 3], -1), ([1], 0)]:
            d = draw(op)
            case(op, d, [d.distinct(shape)], lambda x, t=t, a=axis: t(x, a), lambda x, j=j, a=axis: j(x, axis=a), dict(axis=axis), smooth=False)
        for x, axis in [([1, 3, 3, 1], 0), ([[2, 2], [2, 2]], 1), ([[1, 0, 1, 0]], 1)]:
            case(op, draw(op), [x], lambda x, t=t, a=axis: t(x, a), lambda x, j=j, a=axis: j(x, axis=a), dict(axis=axis), smooth=False)

    scans = {"cumsum": (T.cumsum, lambda x, a: J.cumsum(x, axis=a)), "cumprod": (T.cumprod, lambda x, a: J.cumprod(x, axis=a)),
             "logcumsumexp": (T.logcumsumexp, lambda x, a: jax.lax.cumlogsumexp(x, axis=a % x.ndim))}
    for op, (t, j) in scans.items():
        for shape, axis in [([5], 0), ([1], -1), ([2, 3], 1), ([3, 2], 0), ([2, 3], -2), ([2, 2, 2], 1), ([1, 2, 3, 1], -2), ([1, 2, 1, 2, 1], 3), ([0, 2], 1), ([2, 0], 1)]:
            d = draw(op)
            case(op, d, [d.uniform(shape)], lambda x, t=t, a=axis: t(x, a), (lambda x, j=j, a=axis: j(x, a)) if 0 not in shape else None, dict(axis=axis))
    for x, axis in [([2, 0, 3, 1.5], 0), ([0, 2, 0, 3], 0), ([0, 0, 0], 0), ([[1, 0, 2], [0, 3, 0]], 1), ([[0, 0], [2, 3], [0, 1]], 0), ([3, 2, 0], 0)]:
        case("cumprod", draw("cumprod"), [x], lambda x, a=axis: T.cumprod(x, a), lambda x, a=axis: J.cumprod(x, axis=a), dict(axis=axis))
    for x in [[1e4, 1e4, -1e4], [-1e4, 0, 1e4], [-1e4, -1e4, -1e4]]:
        case("logcumsumexp", draw("logcumsumexp"), [x], lambda x: T.logcumsumexp(x, 0), lambda x: jax.lax.cumlogsumexp(x, axis=0), dict(axis=0))


# ---------------------------------------------------------------------------------------------------------------- linear algebra

MATMUL = [([3], [3]), ([1], [1]), ([2], [2, 3]), ([2, 3], [3]), ([2, 3], [3, 2]), ([1, 3], [3, 1]), ([3, 1], [1, 2]), ([2], [2, 2, 2]), ([2, 2, 3], [3]), ([2, 2], [2, 2, 2]),
          ([2, 2, 2], [2, 3]), ([2, 1, 3], [2, 3, 2]), ([1, 2, 2], [2, 2, 1]), ([2, 1, 2], [1, 2, 2]), ([1, 2, 1, 2], [2, 3]), ([2, 2], [1, 2, 2, 1]), ([2, 1, 1, 2], [1, 2, 2, 2]),
          ([1, 2, 2, 2], [2]), ([2], [2, 1, 2, 2]), ([1, 2, 1, 2], [2, 2, 2]), ([2, 2, 2], [2, 1, 2, 1]), ([1, 1, 2, 1, 2], [2, 2]), ([2], [1, 1, 1, 2, 2]), ([2, 1, 1, 1, 2], [2, 1, 2, 1]),
          ([3, 0], [0, 2]), ([0, 2], [2, 3]), ([0], [0]), ([0, 2, 2], [2, 2]), ([4, 4], [4, 4])]
EINSUM = [("ij,jk->ik", [2, 3], [3, 2]), ("ij,jk->ki", [2, 3], [3, 2]), ("ij,kj->ik", [2, 3], [2, 3]), ("ji,jk->ik", [3, 2], [3, 2]), ("ij->ji", [2, 3]), ("ij->", [2, 3]), ("ij->i", [2, 3]),
          ("ij->j", [2, 3]), ("ij->ij", [2, 3]), ("ii->i", [3, 3]), ("ii->", [3, 3]), ("iij->ij", [2, 2, 3]), ("iji->j", [2, 3, 2]), ("i->", [4]), ("i,i->", [4], [4]), ("i,i->i", [4], [4]),
          ("i,j->ij", [2], [3]), ("i,j->ji", [2], [3]), ("i,j->", [2], [3]), ("i,j->i", [2], [3]), ("ij,ij->", [2, 3], [2, 3]), ("ij,ij->ij", [2, 3], [2, 3]), ("ij,ij->i", [2, 3], [2, 3]),
          ("ij,ji->", [2, 3], [3, 2]), ("ij,j->i", [2, 3], [3]), ("i,ij->j", [2], [2, 3]), ("i,ij,j->", [2], [2, 3], [3]), ("bij,bjk->bik", [2, 2, 2], [2, 2, 1]), ("bij,jk->bik", [2, 1, 3], [3, 2]),
          ("bij,bkj->bik", [2, 2, 2], [2, 1, 2]), ("bij->bji", [2, 2, 3]), ("bii->b", [2, 2, 2]), ("bii->bi", [2, 2, 2]), ("ijk->kij", [2, 1, 3]), ("ijk->j", [2, 3, 2]), ("ijk,ijk->k", [2, 2, 2], [2, 2, 2]),
          ("ijk,k->ij", [2, 2, 2], [2]), ("ijk,il,jm->klm", [2, 2, 2], [2, 1], [2, 2]), ("ij,jk,kl->il", [2, 2], [2, 3], [3, 1]), ("i,j,k->ijk", [2], [2], [2]), ("i,i,i->", [3], [3], [3]),
          ("bi,io,bo->b", [2, 2], [2, 3], [2, 3]), ("bhqd,bhkd->bhqk", [1, 2, 2, 2], [1, 2, 1, 2]), ("bhqk,bhkd->bqhd", [1, 2, 1, 2], [1, 2, 2, 2]), (",i->i", [], [3]), (",->", [], []), ("->", []),
          ("ij,kl->ijkl", [2, 1], [1, 3]), ("ij,kl->jl", [2, 2], [2, 2]), ("a,ab,abc->abc", [2], [2, 2], [2, 2, 1]), ("ij,i->ij", [2, 3], [2]), ("ii,ij->j", [2, 2], [2, 3]), ("abcd->dcba", [1, 2, 1, 3]),
          ("abcd,cd->ab", [2, 1, 2, 2], [2, 2]), ("abcde->ace", [1, 2, 2, 1, 2]), ("ij,jk,ki->", [2, 2], [2, 2], [2, 2]), ("ij,jk->ik", [2, 0], [0, 3]), ("ij->i", [0, 3]), ("Ab,bC->AC", [2, 2], [2, 2]),
          ("ij,jk", [2, 3], [3, 2]), ("ji", [2, 3]), ("ii", [3, 3]), ("...ij,...jk->...ik", [2, 1, 2], [2, 2, 2]), ("...i->...", [2, 3]), ("...ii->...i", [2, 2, 2]), ("...ij,jk->...ik", [2, 1, 1, 2], [2, 2])]


def linear_cases():
    for a, b in MATMUL:
        d = draw("matmul")
        case("matmul", d, [d.uniform(a), d.uniform(b)], T.matmul, J.matmul)
    d = draw("matmul")
    case("matmul", d, [[[1e4, 1e-4], [1, -1]], [[1e-4, 2], [1e4, -1e4]]], T.matmul, J.matmul)
    for n in [1, 2, 3, 5, 8, 0]:
        d = draw("dot")
        case("dot", d, [d.uniform([n]), d.uniform([n])], T.dot, J.dot)
    for n, m in [(1, 1), (2, 3), (3, 1), (4, 2), (0, 2), (1, 5)]:
        d = draw("outer")
        case("outer", d, [d.uniform([n]), d.uniform([m])], T.outer, J.outer)
    for spec, *shapes in EINSUM:
        d = draw("einsum")
        j = (lambda *x, s=spec: J.einsum(s, *x)) if all(0 not in s for s in shapes) else None
        case("einsum", d, [d.uniform(s) for s in shapes], lambda *x, s=spec: T.einsum(s, *x), j, dict(spec=spec))
    for shape in [[1, 1], [2, 2], [3, 3], [2, 3], [3, 2], [4, 4], [0, 0]]:
        d = draw("matrix_trace")
        case("matrix_trace", d, [d.uniform(shape)], lambda x: T.diagonal(x).sum(), J.trace)
    for shape, o, a, b in [([3, 3], 0, 0, 1), ([3, 3], 1, 0, 1), ([3, 3], -1, 0, 1), ([2, 4], 1, 0, 1), ([4, 2], -2, 0, 1), ([2, 3], 0, 1, 0), ([2, 2, 3], 0, 1, 2), ([2, 3, 2], 0, 0, -1), ([2, 2, 2], 1, -2, -1), ([2, 1, 2, 3], 0, 0, 3), ([2, 3], 2, -2, -1), ([2, 1, 2, 2], -1, 3, 2)]:
        d = draw("diagonal")
        case("diagonal", d, [d.uniform(shape)], lambda x, o=o, a=a, b=b: T.diagonal(x, o, a, b), lambda x, o=o, a=a, b=b: J.diagonal(x, o, a, b), dict(offset=o, axis_a=a, axis_b=b))
    for shape, o in [([3], 0), ([2], 1), ([2], -1), ([1], 2), ([3, 3], 0), ([3, 3], 1), ([2, 3], -1), ([4, 2], 0), ([2, 3], 1)]:
        d = draw("diag")
        case("diag", d, [d.uniform(shape)], lambda x, o=o: T.diag(x, o), lambda x, o=o: J.diag(x, o), dict(offset=o))
    for op, t, j in [("tril", T.tril, J.tril), ("triu", T.triu, J.triu)]:
        for shape, k in [([3, 3], 0), ([3, 3], 1), ([3, 3], -1), ([2, 4], 1), ([4, 2], -1), ([2, 2, 2], 0), ([2, 3], 5), ([2, 3], -5), ([1, 2, 2, 3], 1), ([0, 2], 0)]:
            d = draw(op)
            case(op, d, [d.uniform(shape)], lambda x, t=t, k=k: t(x, k), lambda x, j=j, k=k: j(x, k), dict(k=k))
    squares = [[1, 1], [2, 2], [3, 3], [3, 3], [4, 4], [2, 2, 2], [2, 3, 3], [3, 1, 1], [1, 2, 2, 2]]
    for shape in squares:
        d = draw("inverse")
        case("inverse", d, [d.matrix(shape)], T.linalg.inv, J.linalg.inv)
        d = draw("cholesky")
        case("cholesky", d, [d.positive(shape)], lambda x: T.linalg.cholesky((x + x.mT) / 2), lambda x: jax.lax.linalg.cholesky(x, symmetrize_input=True))
        d = draw("det")
        case("det", d, [d.matrix(shape)], T.linalg.det, J.linalg.det)
        d = draw("logdet")
        x = d.matrix(shape)
        x[..., 0, :] = np.where((np.linalg.det(x) < 0)[..., None], -x[..., 0, :], x[..., 0, :])
        case("logdet", d, [x], T.logdet, lambda x: J.linalg.slogdet(x)[1])
        d = draw("slogdet")
        case("slogdet", d, [d.matrix(shape)], lambda x: [s if i else s.detach() for i, s in enumerate(T.linalg.slogdet(x))], lambda x: list(J.linalg.slogdet(x)))
    for x in [[[1, 2], [2, 4]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[0, 0], [0, 3]], [[0, 0], [0, 0]], [[2, 0, 0], [0, 0, 0], [0, 0, 3]]]:
        m = np.array(x, float)
        case("det", draw("det"), [m], lambda x: T.stack([cofactor(x)]).sum(), lambda x: cofactor(x))
    for a, b in [([1, 1], [1]), ([2, 2], [2]), ([3, 3], [3]), ([2, 2], [2, 1]), ([2, 2], [2, 3]), ([3, 3], [3, 2]), ([4, 4], [4]), ([2, 2, 2], [2, 2, 1]), ([2, 2, 2], [2, 2, 2]), ([1, 2, 2], [2, 2, 1]), ([2, 1, 2, 2], [2, 2, 1]), ([2, 2], [2, 2, 1])]:
        d = draw("solve")
        case("solve", d, [d.matrix(a), d.uniform(b)], T.linalg.solve, J.linalg.solve)


def cofactor(x):
    """The determinant of a 2x2 or 3x3 matrix as a polynomial: exact rules where the matrix is singular."""
    if x.shape[-1] == 2:
        return x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0]
    return (x[0, 0] * (x[1, 1] * x[2, 2] - x[1, 2] * x[2, 1]) - x[0, 1] * (x[1, 0] * x[2, 2] - x[1, 2] * x[2, 0]) + x[0, 2] * (x[1, 0] * x[2, 1] - x[1, 1] * x[2, 0]))


# ---------------------------------------------------------------------------------------------------------------- movement


def unary_many(op, rows, t, j, low=-2.0, high=2.0):
    """Cases of an operation with one input: rows of (shape, params)."""
    for shape, p in rows:
        d = draw(op)
        case(op, d, [d.uniform(shape, low, high)], lambda x, p=p: t(x, **p), (lambda x, p=p: j(x, **p)) if j else None, p)


def tpad(x, pairs, mode, value):
    k = len(pairs)
    rev = [n for pair in reversed(pairs) for n in pair]
    if mode == "constant":
        return F.pad(x, rev, value=value)
    lead, last = x.shape[:x.ndim - k], x.shape[x.ndim - k:]
    y = F.pad(x.reshape([math.prod(lead), 1, *last]), rev, mode=mode)
    return y.reshape([*lead, *y.shape[2:]])


def jpad(x, pairs, mode, value):
    widths = [(0, 0)] * (x.ndim - len(pairs)) + [tuple(p) for p in pairs]
    if mode == "constant":
        return J.pad(x, widths, constant_values=value)
    return J.pad(x, widths, mode={"reflect": "reflect", "replicate": "edge"}[mode])


def movement_cases():
    unary_many("reshape", [(s, dict(dims=q)) for s, q in [([6], [2, 3]), ([2, 3], [6]), ([2, 3], [3, 2]), ([1], []), ([], [1, 1]), ([2, 2, 2], [4, 2]), ([2, 3], [1, 2, 1, 3, 1]), ([0, 2], [2, 0])]],
               lambda x, dims: x.reshape(dims), lambda x, dims: x.reshape(dims))
    unary_many("permute", [(s, dict(axes=q)) for s, q in [([2, 3], [1, 0]), ([2, 3], [0, 1]), ([2, 1, 3], [2, 0, 1]), ([2, 2, 2], [-1, 0, 1]), ([1, 2, 3, 1], [3, 1, 0, 2]), ([1, 2, 1, 2, 1], [4, 3, 2, 1, 0]), ([3], [0]), ([], [])]],
               lambda x, axes: x.permute(axes), lambda x, axes: J.transpose(x, [a % x.ndim for a in axes]))
    unary_many("transpose", [(s, dict(a=a, b=b)) for s, a, b in [([2, 3], 0, 1), ([2, 3], -1, -2), ([2, 1, 3], 0, 2), ([2, 2, 2], 1, 2), ([2, 3], 0, 0), ([1, 2, 2, 3], 1, -1), ([0, 2], 0, 1)]],
               lambda x, a, b: x.transpose(a, b), lambda x, a, b: J.swapaxes(x, a, b))
    unary_many("broadcast_to", [(s, dict(dims=q)) for s, q in [([], [3]), ([1], [4]), ([3], [2, 3]), ([2, 1], [2, 3]), ([1, 2], [2, 2, 2]), ([2, 1, 2], [2, 2, 2]), ([], []), ([1, 3], [0, 3]), ([1, 1, 2], [2, 1, 2, 2])]],
               lambda x, dims: x.broadcast_to(dims), lambda x, dims: J.broadcast_to(x, dims))
    unary_many("squeeze", [(s, dict(axis=a)) for s, a in [([1], 0), ([2, 1], 1), ([1, 3], 0), ([2, 1, 3], -2), ([1, 1, 2], 1), ([2, 2, 1, 1], -1)]],
               lambda x, axis: x.squeeze(axis), lambda x, axis: J.squeeze(x, axis))
    unary_many("unsqueeze", [(s, dict(axis=a)) for s, a in [([], 0), ([3], 0), ([3], 1), ([2, 3], 1), ([2, 3], -1), ([2, 3], -3), ([1, 2, 2], 2), ([0], 1)]],
               lambda x, axis: x.unsqueeze(axis), lambda x, axis: J.expand_dims(x, axis))
    unary_many("flatten", [(s, dict(start=a, end=b)) for s, a, b in [([2, 3], 0, 1), ([2, 3], 0, -1), ([2, 2, 2], 1, 2), ([2, 2, 2], 0, 1), ([2, 1, 2, 2], 1, -2), ([3], 0, 0), ([2, 1, 2, 1, 2], 1, 3), ([2, 0], 0, 1)]],
               lambda x, start, end: x.flatten(start, end),
               lambda x, start, end: x.reshape(x.shape[:start % x.ndim] + (math.prod(x.shape[start % x.ndim:end % x.ndim + 1]),) + x.shape[end % x.ndim + 1:]))
    unary_many("flip", [(s, dict(axes=a)) for s, a in [([4], [0]), ([2, 3], [1]), ([2, 3], [0]), ([2, 3], [0, 1]), ([2, 3], [-1]), ([2, 2, 2], [0, 2]), ([1, 2, 1, 3], [1, -1]), ([0, 2], [0]), ([2, 2], "all")]],
               lambda x, axes: x.flip(dims(axes, x.ndim)), lambda x, axes: J.flip(x, dims(axes, x.ndim)))
    unary_many("roll", [(s, dict(shift=k, axis=a)) for s, k, a in [([5], 1, 0), ([5], -2, 0), ([5], 7, 0), ([2, 3], 1, 1), ([2, 3], 1, 0), ([2, 3], -1, -1), ([2, 2, 3], 2, 2), ([3, 1], 0, 0), ([1, 2, 3, 1], -4, 2)]],
               lambda x, shift, axis: T.roll(x, shift, axis), lambda x, shift, axis: J.roll(x, shift, axis))
    unary_many("repeat", [(s, dict(counts=k)) for s, k in [([2], [3]), ([2], [2, 1]), ([2], [2, 2]), ([2, 2], [1, 2]), ([2, 2], [2, 1]), ([1, 2], [2, 1, 2]), ([], [3]), ([2, 1, 2], [1, 2, 1]), ([2], [0]), ([2, 1], [1, 3])]],
               lambda x, counts: x.repeat(counts), lambda x, counts: J.tile(x, counts))
    unary_many("tile", [(s, dict(counts=k)) for s, k in [([2], [3]), ([2], [2, 2]), ([2, 2], [2]), ([2, 2], [2, 1]), ([1, 2, 2], [2]), ([], [2, 2]), ([2, 1, 2], [2, 1]), ([1, 2], [2, 1, 2]), ([2, 1], [1])]],
               lambda x, counts: x.tile(counts), lambda x, counts: J.tile(x, counts))
    unary_many("repeat_interleave", [(s, dict(n=n, axis=a)) for s, n, a in [([3], 2, 0), ([2, 2], 2, 0), ([2, 2], 3, 1), ([2, 3], 2, -1), ([1, 2, 2], 2, 1), ([2], 1, 0), ([2, 1, 2, 1], 2, -2), ([0, 2], 2, 1)]],
               lambda x, n, axis: x.repeat_interleave(n, axis), lambda x, n, axis: J.repeat(x, n, axis=axis))
    pads = [([3], [[1, 2]]), ([2, 3], [[1, 0]]), ([2, 3], [[1, 1], [0, 2]]), ([3, 3], [[0, 1], [2, 0]]), ([1, 2, 3], [[1, 2]]), ([2, 2, 2], [[1, 0], [0, 1]]), ([1, 1, 2, 3], [[1, 1], [2, 2]]), ([2, 3], [[0, 0]])]
    for mode in ["constant", "reflect", "replicate"]:
        rows = []
        for k, (s, p) in enumerate(pads):
            if mode != "reflect" or all(max(q) < n for q, n in zip(p, s[len(s) - len(p):])):
                rows.append((s, dict(pairs=p, mode=mode, **({"value": [0.0, 1.5][k % 2]} if mode == "constant" else {}))))
        if mode == "reflect":
            rows += [([4], dict(pairs=[[3, 2]], mode=mode)), ([3, 3], dict(pairs=[[2, 2], [1, 2]], mode=mode))]
        if mode == "replicate":
            rows += [([2], dict(pairs=[[3, 3]], mode=mode)), ([1, 1], dict(pairs=[[1, 1], [2, 0]], mode=mode))]
        if mode == "constant":
            rows += [([2, 1, 2], dict(pairs=[[1, 0], [0, 1], [1, 1]], mode=mode, value=-2.0)), ([0, 2], dict(pairs=[[1, 1], [0, 1]], mode=mode, value=3.0))]
        for s, p in rows:
            d = draw("pad")
            a = (p["pairs"], p["mode"], p.get("value"))
            case("pad", d, [d.uniform(s)], lambda x, a=a: tpad(x, *a), lambda x, a=a: jpad(x, *a), p)
    cut = lambda axis, start, end, step: lambda x: x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
    for s, axis, a, b in [([5], 0, 1, 3), ([5], 0, None, 2), ([5], 0, 3, None), ([5], 0, -2, None), ([5], 0, None, -1), ([2, 4], 1, 1, 4), ([3, 2], 0, 0, 2), ([2, 4], -1, -3, -1), ([2, 2, 3], 2, 2, 3), ([4], 0, 2, 2), ([1, 2, 3, 1], 2, 1, None), ([3], 0, None, None)]:
        d = draw("slice")
        case("slice", d, [d.uniform(s)], cut(axis, a, b, 1), cut(axis, a, b, 1), dict(axis=axis, start=a, end=b))
    for s, axis, a, b, k in [([6], 0, 0, 6, 2), ([7], 0, 1, 6, 3), ([5], 0, None, None, 2), ([2, 5], 1, 1, None, 2), ([4, 2], 0, None, -1, 2), ([2, 4], -1, -4, None, 3), ([5], 0, 2, 3, 4), ([2, 2, 4], 2, 1, 4, 2), ([4], 0, 1, 3, 1)]:
        d = draw("slice_step")
        case("slice_step", d, [d.uniform(s)], cut(axis, a, b, k), cut(axis, a, b, k), dict(axis=axis, start=a, end=b, step=k))
    for s, sizes, axis in [([5], [2, 3], 0), ([4], [1, 1, 2], 0), ([2, 4], [3, 1], 1), ([3, 2], [1, 2], 0), ([2, 4], [1, 3], -1), ([1, 3, 2], [2, 1], 1), ([3], [3], 0), ([3], [0, 3], 0)]:
        d = draw("split")
        at = np.cumsum(sizes)[:-1].tolist()
        case("split", d, [d.uniform(s)], lambda x, n=sizes, a=axis: x.split(n, a), lambda x, at=at, a=axis: J.split(x, at, axis=a), dict(sizes=sizes, axis=axis))
    for s, n, axis in [([4], 2, 0), ([6], 3, 0), ([2, 4], 2, 1), ([4, 2], 4, 0), ([2, 6], 3, -1), ([2, 2, 2], 2, 1), ([3], 1, 0)]:
        d = draw("chunk")
        case("chunk", d, [d.uniform(s)], lambda x, n=n, a=axis: x.chunk(n, a), lambda x, n=n, a=axis: J.split(x, n, axis=a), dict(n=n, axis=axis))
    for shapes, axis in [([[2], [3]], 0), ([[2, 2], [1, 2]], 0), ([[2, 1], [2, 2]], 1), ([[2, 2], [2, 1]], -1), ([[1], [1], [2]], 0), ([[1, 2, 2], [1, 1, 2]], 1), ([[3]], 0), ([[0], [2]], 0), ([[2, 0], [2, 2]], 1), ([[1, 2, 1, 2], [1, 2, 1, 1]], 3)]:
        d = draw("concat")
        case("concat", d, [d.uniform(s) for s in shapes], lambda *x, a=axis: T.cat(x, a), lambda *x, a=axis: J.concatenate(x, a), dict(axis=axis))
    for shape, n, axis in [([], 3, 0), ([2], 2, 0), ([2], 2, 1), ([2], 3, -1), ([2, 2], 2, 0), ([2, 2], 2, 1), ([2, 2], 2, -1), ([3], 1, 0), ([1, 2, 2], 2, 2), ([0], 2, 0)]:
        d = draw("stack")
        case("stack", d, [d.uniform(shape) for _ in range(n)], lambda *x, a=axis: T.stack(x, a), lambda *x, a=axis: J.stack(x, a), dict(axis=axis))

    def junfold(x, axis, size, step):
        axis %= x.ndim
        count = (x.shape[axis] - size) // step + 1
        where = np.arange(count)[:, None] * step + np.arange(size)
        return J.moveaxis(J.take(x, where, axis=axis), axis + 1, -1)
    unary_many("unfold", [(s, dict(axis=a, size=n, step=k)) for s, a, n, k in [([5], 0, 2, 1), ([5], 0, 3, 2), ([6], 0, 2, 2), ([2, 4], 1, 2, 1), ([4, 2], 0, 3, 1), ([2, 4], -1, 2, 2), ([2, 3, 2], 1, 2, 1), ([5], 0, 1, 2), ([4], 0, 4, 1), ([7], 0, 2, 3)]],
               lambda x, axis, size, step: x.unfold(axis, size, step), junfold)


# ---------------------------------------------------------------------------------------------------------------- indexing


def indexing_cases():
    for s, axis, i in [([4], 0, [2, 0, 2]), ([4], 0, [3]), ([2, 3], 1, [0, 0, 2, 1]), ([3, 2], 0, [2, 2]), ([2, 3], -1, [1]), ([2, 2, 2], 1, [1, 0, 1]), ([1, 2, 3, 1], 2, [2, 0]), ([3], 0, []), ([2, 3], -2, [1, 1, 1])]:
        d, n = draw("index_select"), np.array(i, dtype=np.int64)
        case("index_select", d, [d.uniform(s)], lambda x, a=axis, n=n: x.index_select(a, long(n)), (lambda x, a=axis, n=n: J.take(x, n, axis=a)) if len(i) else None, dict(axis=axis), dict(indices=n))
    shapes = [([4], 0, [5]), ([2, 3], 1, [2, 2]), ([2, 3], 1, [2, 4]), ([3, 2], 0, [2, 2]), ([2, 3], -1, [1, 3]), ([2, 2, 2], 1, [2, 3, 2]), ([2, 2, 2], -1, [2, 2, 1]), ([1, 3, 2, 1], 1, [1, 2, 2, 1]), ([3], 0, [0]), ([3, 3], 0, [1, 3])]
    for s, axis, si in shapes:
        d = draw("gather")
        n = d.integers(si, s[axis])
        case("gather", d, [d.uniform(s)], lambda x, a=axis, n=n: x.gather(a, long(n)), lambda x, a=axis, n=n: x[grid(n, a)], dict(axis=axis), dict(indices=n))
    for s, axis, si in [([4], 0, [5]), ([2, 3], 1, [2, 2]), ([3, 2], 0, [4, 2]), ([2, 3], -1, [2, 3]), ([2, 2, 2], 1, [2, 1, 2]), ([1, 2, 3], -2, [1, 3, 3]), ([3], -1, [1])]:
        d = draw("take_along_axis")
        n = d.integers(si, s[axis])
        case("take_along_axis", d, [d.uniform(s)], lambda x, a=axis, n=n: T.take_along_dim(x, long(n), a), lambda x, a=axis, n=n: J.take_along_axis(x, n, axis=a), dict(axis=axis), dict(indices=n))
    for s, axis, si in shapes:
        d = draw("scatter_add")
        n = d.integers(si, s[axis])
        case("scatter_add", d, [d.uniform(s), d.uniform(si)], lambda x, y, a=axis, n=n: x.scatter_add(a, long(n), y), lambda x, y, a=axis, n=n: J.asarray(x).at[grid(n, a)].add(y), dict(axis=axis), dict(indices=n))
    case("scatter_add", draw("scatter_add"), [[1, 2, 3], [0.5, -1, 4, 2]], lambda x, y: x.scatter_add(0, long([1, 1, 1, 1]), y), lambda x, y: J.asarray(x).at[np.array([1, 1, 1, 1])].add(y), dict(axis=0), dict(indices=[1, 1, 1, 1]))
    for s, axis, i in [([4], 0, [2, 0, 2]), ([4], 0, [3]), ([2, 3], 1, [0, 0, 2, 1]), ([3, 2], 0, [2, 2]), ([2, 3], -1, [1]), ([2, 2, 2], 1, [1, 0, 1]), ([1, 2, 3, 1], 2, [2, 0]), ([3], 0, [])]:
        d, n = draw("index_add"), np.array(i, dtype=np.int64)
        src = list(s)
        src[axis] = len(i)
        where = (slice(None),) * (axis % len(s)) + (n,)
        case("index_add", d, [d.uniform(s), d.uniform(src)], lambda x, y, a=axis, n=n: x.index_add(a, long(n), y), lambda x, y, w=where: J.asarray(x).at[w].add(y), dict(axis=axis), dict(indices=n))
    for x, mask in [([5], [1, 0, 1, 1, 0]), ([2, 3], [[0, 1, 1], [1, 0, 0]]), ([3], [0, 0, 0]), ([3], [1, 1, 1]), ([2, 2, 2], [[[1, 0], [0, 0]], [[0, 1], [1, 1]]]), ([1, 2, 1, 2], [[[[0, 1]], [[1, 0]]]]), ([], 1)]:
        d, m = draw("masked_select"), np.array(mask, float)
        case("masked_select", d, [d.uniform(x), m], lambda x, m: x.masked_select(m != 0), lambda x, m: J.asarray(x).ravel()[np.flatnonzero(m)], diff=[True, False])
    for v, w, si in [(4, 2, [3]), (3, 2, [2, 2]), (3, 1, [5]), (2, 3, []), (4, 2, [1, 2, 1]), (3, 2, [0]), (1, 3, [3])]:
        d = draw("embedding")
        n = d.integers(si, v)
        case("embedding", d, [d.uniform([v, w])], lambda x, n=n: F.embedding(long(n), x), lambda x, n=n: x[n], {}, dict(indices=n))
    order = lambda x, a, down: np.argsort(-x if down else x, axis=a, kind="stable")
    rows = [([5], 0), ([2, 3], 1), ([3, 2], 0), ([2, 3], -1), ([2, 3, 1], 1), ([1, 2, 3], -2), ([1], 0)]
    for down in [False, True]:
        for s, axis in rows:
            for op in ["sort", "argsort"]:
                d = draw(op)
                case_sort(op, d, d.distinct(s), axis, down, order)
        for op in ["sort", "argsort"]:
            for x, axis in [([2, 1, 2, 1, 3], 0), ([[1, 1, 0], [0, 2, 2]], 1)]:
                case_sort(op, draw(op), np.array(x, float), axis, down, order)
    for s, axis, k in [([5], 0, 2), ([5], 0, 5), ([2, 4], 1, 2), ([4, 2], 0, 1), ([2, 4], -1, 3), ([1, 3, 2], 1, 2), ([1, 2, 1, 3], 3, 1)]:
        for largest in [True, False]:
            d = draw("topk")
            x = d.distinct(s)
            n = order(x, axis, largest).take(range(k), axis=axis)
            case("topk", d, [x], lambda x, a=axis, k=k, l=largest: list(T.topk(x, k, a, l, True)), lambda x, a=axis, n=n: [J.take_along_axis(x, n, axis=a), n], dict(k=k, axis=axis, largest=largest))
    for si, classes in [([3], 4), ([2, 2], 3), ([], 2), ([4], 1), ([1, 2, 1], 3), ([0], 2)]:
        d = draw("one_hot")
        n = d.integers(si, classes)
        case("one_hot", d, [], lambda n=n, c=classes: F.one_hot(long(n), c).double(), lambda n=n, c=classes: jax.nn.one_hot(n, c, dtype=float), dict(classes=classes), dict(indices=n), smooth=False)


def case_sort(op, d, x, axis, down, order):
    n = order(x, axis, down)
    t = lambda x: list(T.sort(x, dim=axis, descending=down, stable=True))
    if op == "sort":
        case(op, d, [x], t, lambda x: [J.take_along_axis(x, n, axis=axis), n], dict(axis=axis, descending=down))
    else:
        case(op, d, [x], lambda x: t(x)[1], lambda x: n, dict(axis=axis, descending=down), smooth=False)


# ---------------------------------------------------------------------------------------------------------------- windows


def jconv(x, w, stride, padding, dilation, groups):
    return jax.lax.conv_general_dilated(x, w, stride, [(p, p) for p in padding], rhs_dilation=dilation, feature_group_count=groups)


def jconv_transpose(x, w, stride, padding, dilation, groups):
    i, o = w.shape[0], w.shape[1]
    k = w.shape[2:]
    w = w.reshape((groups, i // groups, o) + k).swapaxes(1, 2).reshape((groups * o, i // groups) + k)
    w = J.flip(w, tuple(range(2, w.ndim)))
    pads = [(d * (n - 1) - p,) * 2 for d, n, p in zip(dilation, k, padding)]
    return jax.lax.conv_general_dilated(x, w, (1,) * len(k), pads, lhs_dilation=stride, rhs_dilation=dilation, feature_group_count=groups)


def jpool(x, size, stride, padding, fill, fold):
    """Pooling by an explicit list of shifted windows."""
    n = len(size)
    x = J.pad(x, [(0, 0)] * (x.ndim - n) + [(p, p) for p in padding], constant_values=fill)
    counts = [(x.shape[x.ndim - n + i] - size[i]) // stride[i] + 1 for i in range(n)]
    parts = []
    for at in np.ndindex(*size):
        parts.append(x[(Ellipsis,) + tuple(slice(at[i], at[i] + (counts[i] - 1) * stride[i] + 1, stride[i]) for i in range(n))])
    return fold(J.stack(parts), axis=0)


def window_cases():
    for x, w, s, p, dl, g in [([1, 1, 4], [1, 1, 2], 1, 0, 1, 1), ([1, 2, 4], [1, 2, 3], 1, 1, 1, 1), ([2, 1, 4], [2, 1, 2], 2, 0, 1, 1), ([1, 1, 6], [1, 1, 2], 1, 0, 2, 1), ([1, 2, 4], [2, 1, 2], 1, 0, 1, 2),
                              ([1, 2, 5], [2, 1, 3], 2, 2, 1, 2), ([1, 1, 7], [1, 1, 3], 2, 1, 2, 1), ([1, 1, 3], [1, 1, 1], 1, 0, 1, 1), ([1, 1, 2], [1, 1, 2], 1, 3, 1, 1), ([1, 2, 3], [4, 1, 2], 1, 1, 1, 2),
                              ([2, 2, 3], [1, 2, 3], 3, 1, 1, 1), ([1, 1, 5], [2, 1, 5], 1, 0, 1, 1), ([1, 1, 6], [1, 1, 3], 3, 2, 2, 1)]:
        d = draw("conv1d")
        case("conv1d", d, [d.uniform(x), d.uniform(w)], lambda x, w, s=s, p=p, dl=dl, g=g: F.conv1d(x, w, None, s, p, dl, g), lambda x, w, s=s, p=p, dl=dl, g=g: jconv(x, w, (s,), (p,), (dl,), g),
             dict(stride=[s], padding=[p], dilation=[dl], groups=g))
    for x, w, s, p, dl, g in [([1, 1, 3, 3], [1, 1, 2, 2], [1, 1], [0, 0], [1, 1], 1), ([1, 2, 2, 3], [1, 2, 2, 2], [1, 1], [0, 0], [1, 1], 1), ([1, 1, 3, 3], [1, 1, 3, 3], [1, 1], [1, 1], [1, 1], 1),
                              ([1, 1, 4, 4], [1, 1, 2, 2], [2, 2], [0, 0], [1, 1], 1), ([1, 1, 4, 3], [1, 1, 2, 2], [1, 1], [0, 0], [2, 2], 1), ([1, 2, 2, 2], [2, 1, 2, 2], [1, 1], [1, 1], [1, 1], 2),
                              ([2, 1, 2, 3], [2, 1, 1, 2], [1, 1], [0, 0], [1, 1], 1), ([1, 1, 3, 4], [1, 1, 2, 3], [2, 1], [1, 0], [1, 1], 1), ([1, 1, 4, 4], [1, 1, 2, 2], [1, 2], [1, 0], [2, 1], 1),
                              ([1, 3, 2, 2], [3, 1, 1, 1], [1, 1], [0, 0], [1, 1], 3), ([1, 2, 2, 2], [3, 2, 1, 1], [1, 1], [0, 0], [1, 1], 1), ([1, 1, 5, 3], [1, 1, 3, 1], [2, 2], [1, 1], [1, 1], 1),
                              ([1, 1, 2, 2], [1, 1, 2, 2], [1, 1], [2, 2], [1, 1], 1), ([1, 4, 2, 1], [2, 2, 2, 1], [1, 1], [0, 0], [1, 1], 2), ([1, 1, 5, 5], [1, 1, 2, 2], [3, 3], [1, 1], [2, 2], 1),
                              ([1, 1, 2, 6], [2, 1, 2, 2], [1, 3], [0, 1], [1, 2], 1)]:
        d = draw("conv2d")
        case("conv2d", d, [d.uniform(x), d.uniform(w)], lambda x, w, s=s, p=p, dl=dl, g=g: F.conv2d(x, w, None, s, p, dl, g), lambda x, w, s=s, p=p, dl=dl, g=g: jconv(x, w, s, p, dl, g),
             dict(stride=s, padding=p, dilation=dl, groups=g))
    for x, w, s, p, dl, g in [([1, 1, 2, 2], [1, 1, 2, 2], [1, 1], [0, 0], [1, 1], 1), ([1, 2, 2, 2], [2, 1, 2, 2], [1, 1], [0, 0], [1, 1], 1), ([1, 1, 2, 2], [1, 1, 2, 2], [2, 2], [0, 0], [1, 1], 1),
                              ([1, 1, 2, 3], [1, 1, 3, 3], [1, 1], [1, 1], [1, 1], 1), ([1, 1, 2, 2], [1, 2, 2, 1], [1, 1], [0, 0], [1, 1], 1), ([1, 2, 2, 1], [2, 1, 2, 2], [1, 1], [0, 0], [1, 1], 2),
                              ([1, 1, 2, 2], [1, 1, 2, 2], [1, 1], [0, 0], [2, 2], 1), ([1, 1, 2, 2], [1, 1, 3, 3], [2, 2], [1, 1], [1, 1], 1), ([2, 1, 2, 2], [1, 1, 2, 2], [3, 2], [1, 0], [1, 1], 1),
                              ([1, 1, 3, 2], [1, 1, 2, 3], [1, 2], [0, 1], [2, 1], 1), ([1, 2, 1, 2], [2, 2, 1, 2], [2, 2], [0, 0], [1, 1], 2), ([1, 1, 3, 3], [1, 1, 1, 1], [1, 1], [0, 0], [1, 1], 1)]:
        d = draw("conv_transpose2d")
        case("conv_transpose2d", d, [d.uniform(x), d.uniform(w)], lambda x, w, s=s, p=p, dl=dl, g=g: F.conv_transpose2d(x, w, None, s, p, 0, g, dl),
             lambda x, w, s=s, p=p, dl=dl, g=g: jconv_transpose(x, w, s, p, dl, g), dict(stride=s, padding=p, dilation=dl, groups=g))
    one = [([1, 1, 5], [2], [2], [0]), ([1, 2, 4], [2], [1], [0]), ([1, 1, 6], [3], [2], [1]), ([2, 1, 3], [3], [3], [0]), ([1, 1, 7], [3], [3], [1]), ([1, 1, 4], [1], [2], [0]), ([1, 2, 3], [2], [2], [1]), ([1, 1, 4], [4], [1], [2])]
    two = [([1, 1, 4, 4], [2, 2], [2, 2], [0, 0]), ([1, 1, 3, 3], [2, 2], [1, 1], [0, 0]), ([1, 2, 3, 2], [2, 2], [2, 2], [1, 1]), ([1, 1, 3, 4], [3, 2], [1, 2], [1, 0]), ([1, 1, 5, 3], [3, 3], [2, 2], [1, 1]),
           ([2, 1, 2, 2], [2, 2], [2, 2], [0, 0]), ([1, 1, 4, 3], [2, 1], [1, 1], [0, 0]), ([1, 1, 2, 5], [1, 2], [1, 3], [0, 1]), ([1, 1, 3, 3], [3, 3], [3, 3], [0, 0])]
    for n, rows, tm, ta in [(1, one, F.max_pool1d, F.avg_pool1d), (2, two, F.max_pool2d, F.avg_pool2d)]:
        for x, k, s, p in rows:
            a = dict(size=k, stride=s, padding=p)
            d = draw(f"max_pool{n}d")
            case(f"max_pool{n}d", d, [d.distinct(x)], lambda x, f=tm, k=k, s=s, p=p: f(x, k, s, p), lambda x, k=k, s=s, p=p: jpool(x, k, s, p, -np.inf, J.max), a)
            d = draw(f"avg_pool{n}d")
            case(f"avg_pool{n}d", d, [d.uniform(x)], lambda x, f=ta, k=k, s=s, p=p: f(x, k, s, p), lambda x, k=k, s=s, p=p: jpool(x, k, s, p, 0.0, J.mean), a)
    case("max_pool1d", draw("max_pool1d"), [[[[1, 1, 2, 2, 2, 0]]]], lambda x: F.max_pool1d(x, 3, 3, 0), None, dict(size=[3], stride=[3], padding=[0]))
    case("max_pool2d", draw("max_pool2d"), [[[[[1, 1, 0], [1, 1, 2], [2, 2, 2]]]]], lambda x: F.max_pool2d(x, 2, 1, 0), None, dict(size=[2, 2], stride=[1, 1], padding=[0, 0]))
    for x, o in [([1, 1, 4, 4], [2, 2]), ([1, 1, 3, 3], [2, 2]), ([1, 2, 2, 3], [1, 1]), ([1, 1, 5, 2], [3, 1]), ([2, 1, 3, 2], [2, 2]), ([1, 1, 2, 2], [2, 2]), ([1, 1, 2, 2], [3, 3]), ([1, 1, 5, 4], [2, 3]), ([1, 1, 1, 7], [1, 3])]:
        d = draw("adaptive_avg_pool2d")

        def j(x, o=o):
            h, w = x.shape[2:]
            cut = lambda i, n, m: slice(i * n // m, -((-(i + 1) * n) // m))
            return J.stack([J.stack([J.mean(x[:, :, cut(a, h, o[0]), cut(b, w, o[1])], axis=(2, 3)) for b in range(o[1])], -1) for a in range(o[0])], -2)
        case("adaptive_avg_pool2d", d, [d.uniform(x)], lambda x, o=o: F.adaptive_avg_pool2d(x, o), j, dict(size=o))


# ---------------------------------------------------------------------------------------------------------------- normalisation


def centred(m, x, a, eps):
    """(x - mean) / sqrt(biased variance + eps), for torch and jax alike."""
    k = dict(keepdim=True) if m is T else dict(keepdims=True)
    c = x - m.mean(x, a, **k)
    return c / m.sqrt(m.mean(c * c, a, **k) + eps)


def attention(q, k, v, mask, causal):
    s = q @ J.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        s = s + mask
    if causal:
        s = J.where(np.tril(np.ones(s.shape[-2:])) > 0, s, -np.inf)
    return jax.nn.softmax(s, axis=-1) @ v


def tattention(q, k, v, mask, causal):
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def normalisation_cases():
    rows = [([4], 0), ([2, 3], 1), ([3, 2], 0), ([2, 3], -1), ([2, 2, 2], 1), ([1, 2, 1, 3], -1), ([1], 0), ([0, 3], 1), ([2, 1, 2, 1, 2], 2)]
    for op, t, j in [("softmax", F.softmax, jax.nn.softmax), ("log_softmax", F.log_softmax, jax.nn.log_softmax)]:
        for s, axis in rows:
            d = draw(op)
            case(op, d, [d.uniform(s)], lambda x, t=t, a=axis: t(x, dim=a), lambda x, j=j, a=axis: j(x, axis=a), dict(axis=axis))
        for x in [[1e4, 1e4, -1e4], [-1e4, -1e4], [0, 50, -50], [1e4, 9999, 9998]]:
            case(op, draw(op), [x], lambda x, t=t: t(x, dim=0), lambda x, j=j: j(x, axis=0), dict(axis=0))
    for s, axes, eps in [([4], [0], 1e-5), ([2, 3], [-1], 1e-5), ([2, 3], [1], 1e-3), ([2, 3], [0, 1], 1e-5), ([2, 2, 2], [1, 2], 1e-5), ([2, 2, 2], [-1], 0.1), ([3, 2], [0], 1e-5), ([2, 2, 3], [0, 2], 1e-5), ([1, 2, 1, 3], [-3, -2, -1], 1e-5), ([1, 2, 3], [1], 1e-2)]:
        a = dims(axes, len(s))
        tail = a == tuple(range(len(s) - len(a), len(s)))
        last = [s[i] for i in a]
        d = draw("layer_norm")
        case("layer_norm", d, [d.distinct(s)], (lambda x, l=last, e=eps: F.layer_norm(x, l, eps=e)) if tail else (lambda x, a=a, e=eps: centred(T, x, a, e)),
             lambda x, a=a, e=eps: centred(J, x, a, e), dict(axes=axes, eps=eps))
        d = draw("rms_norm")
        case("rms_norm", d, [d.distinct(s)], (lambda x, l=last, e=eps: F.rms_norm(x, l, eps=e)) if tail else (lambda x, a=a, e=eps: x / T.sqrt(T.mean(x * x, a, keepdim=True) + e)),
             lambda x, a=a, e=eps: x / J.sqrt(J.mean(x * x, axis=a, keepdims=True) + e), dict(axes=axes, eps=eps))
    case("layer_norm", draw("layer_norm"), [[1.5, 1.5, 1.5]], lambda x: F.layer_norm(x, [3], eps=1e-2), lambda x: centred(J, x, (0,), 1e-2), dict(axes=[0], eps=1e-2))
    case("rms_norm", draw("rms_norm"), [[0, 0, 0]], lambda x: F.rms_norm(x, [3], eps=1e-2), lambda x: x / J.sqrt(J.mean(x * x, axis=0, keepdims=True) + 1e-2), dict(axes=[0], eps=1e-2))
    for s, g, eps in [([2, 4], 2, 1e-5), ([2, 2, 2], 1, 1e-5), ([1, 4, 2], 2, 1e-5), ([1, 2, 3], 2, 1e-3), ([1, 4, 1, 2], 2, 1e-5), ([2, 2, 1, 2], 1, 0.1), ([1, 3, 2, 2], 3, 1e-5), ([1, 6], 3, 1e-5)]:
        d = draw("group_norm")
        case("group_norm", d, [d.distinct(s)], lambda x, g=g, e=eps: F.group_norm(x, g, eps=e),
             lambda x, g=g, e=eps: centred(J, x.reshape(x.shape[0], g, -1), (2,), e).reshape(x.shape), dict(groups=g, eps=eps))
    for s, eps in [([3, 2], 1e-5), ([4, 1], 1e-5), ([2, 3], 1e-3), ([2, 2, 2], 1e-5), ([1, 2, 3], 1e-5), ([2, 2, 1, 2], 1e-5), ([2, 1, 2, 2], 0.1), ([5, 2], 1e-5)]:
        a = tuple(i for i in range(len(s)) if i != 1)
        d = draw("batch_norm")
        case("batch_norm", d, [d.distinct(s)], lambda x, e=eps: F.batch_norm(x, None, None, training=True, eps=e), lambda x, a=a, e=eps: centred(J, x, a, e), dict(eps=eps))
        for diff in [[True, True, True], [True, False, False]]:
            d = draw("batch_norm_eval")
            shape = [1, s[1]] + [1] * (len(s) - 2)
            formula = lambda m, q=shape, e=eps: lambda x, mean, var: (x - mean.reshape(q)) / m.sqrt(var.reshape(q) + e)
            t = formula(T) if diff[1] else (lambda x, mean, var, e=eps: F.batch_norm(x, mean, var, training=False, eps=e))
            case("batch_norm_eval", d, [d.uniform(s), d.uniform([s[1]]), d.uniform([s[1]], 0.2, 2)], t, formula(J), dict(eps=eps), diff=diff)
    for q, k, v in [([2, 2], [2, 2], [2, 2]), ([2, 2], [3, 2], [3, 1]), ([1, 2, 2], [1, 2, 2], [1, 2, 2]), ([2, 2, 1], [2, 2, 1], [2, 2, 1]), ([1, 2, 2, 2], [1, 2, 2, 2], [1, 2, 2, 1]), ([3, 1], [2, 1], [2, 2]), ([1, 3], [1, 3], [1, 2])]:
        for causal in [False, True]:
            d = draw("scaled_dot_product_attention")
            case("scaled_dot_product_attention", d, [d.uniform(s) for s in (q, k, v)], lambda q, k, v, c=causal: tattention(q, k, v, None, c), lambda q, k, v, c=causal: attention(q, k, v, None, c), dict(is_causal=causal))
    for q, k, v, m in [([2, 2], [2, 2], [2, 2], [2, 2]), ([2, 2], [3, 2], [3, 1], [2, 3]), ([1, 2, 2], [1, 2, 2], [1, 2, 1], [2, 2]), ([1, 2, 2, 2], [1, 2, 2, 2], [1, 2, 2, 1], [1, 1, 2, 2])]:
        for diff in [[True] * 4, [True] * 3 + [False]]:
            d = draw("scaled_dot_product_attention")
            case("scaled_dot_product_attention", d, [d.uniform(s) for s in (q, k, v, m)], lambda q, k, v, m: tattention(q, k, v, m, False), lambda q, k, v, m: attention(q, k, v, m, False), dict(is_causal=False), diff=diff)
    d = draw("scaled_dot_product_attention")
    case("scaled_dot_product_attention", d, [d.uniform(s) for s in ([2, 2], [3, 2], [3, 1])] + [[[0, -1e4, 0], [-1e4, 0, -1e4]]], lambda q, k, v, m: tattention(q, k, v, m, False),
         lambda q, k, v, m: attention(q, k, v, m, False), dict(is_causal=False), diff=[True] * 3 + [False])
    for s, p in [([4], 0.0), ([2, 2], 0.0), ([4], 1.0), ([2, 2], 1.0), ([], 0.0), ([0], 0.5)]:
        d = draw("dropout")
        case("dropout", d, [d.uniform(s)], lambda x, p=p: F.dropout(x, p, True), lambda x, p=p: x * (0.0 if p == 1 else 1.0), dict(p=p, seed=7))


# ---------------------------------------------------------------------------------------------------------------- losses


def reduced(y, how, weight=None):
    if how == "none":
        return y
    return J.sum(y) if how == "sum" else J.sum(y) / (y.size if weight is None else J.sum(weight))


def loss_pairs(op, shapes, t, j, options, ranges, avoid=None, both=True):
    """Cases of losses of a prediction and a target of one shape: every reduction and option, by the prediction alone and by both."""
    (pl, ph), (tl, th) = ranges
    for k, p in enumerate(options):
        for how in ["mean", "sum", "none"]:
            for n, shape in enumerate([shapes[k % len(shapes)], shapes[(k + 1) % len(shapes)]] if len(options) < 3 else [shapes[(k + len(how)) % len(shapes)]]):
                d = draw(op)
                y, x = d.uniform(shape, pl, ph), d.uniform(shape, tl, th)
                if avoid:
                    x = avoid(d, y, x, p)
                diff = [True, both and (n + k + len(how)) % 2 == 0]
                case(op, d, [y, x], lambda a, b, p=p, h=how: t(a, b, reduction=h, **p), lambda a, b, p=p, h=how: reduced(j(a, b, **p), h), dict(reduction=how, **p), diff=diff)


def away(points):
    """Moves the target so that |prediction - target| is not near one of the kinks."""
    def move(d, y, x, p):
        kinks = points(p)
        for _ in range(200):
            near = np.zeros(x.shape, bool)
            for k in kinks:
                near |= np.abs(np.abs(y - x) - k) < 0.05
            if not near.any():
                return x
            x = np.where(near, d.uniform(x.shape, -2, 2), x)
        raise RuntimeError
    return move


def jcross_entropy(x, target, how, weight=None, ignore_index=None, label_smoothing=0.0, soft=False, logits=True):
    """Cross-entropy (or, of log-probabilities, nll); classes on axis 1, or 0 for a vector."""
    axis = 0 if x.ndim == 1 else 1
    c = x.shape[axis]
    lp = J.moveaxis(jax.nn.log_softmax(x, axis=axis) if logits else x, axis, -1)
    w = J.ones(c) if weight is None else J.asarray(weight)
    if soft:
        tt = J.moveaxis(J.asarray(target), axis, -1) * (1 - label_smoothing) + label_smoothing / c
        y = -J.sum(w * tt * lp, axis=-1)
        return y if how == "none" else J.sum(y) / (1 if how == "sum" else y.size)
    target = np.asarray(target)
    used = np.ones(target.shape) if ignore_index is None else (target != ignore_index).astype(float)
    safe = np.where(used > 0, target, 0)
    wy = w[safe] * used
    y = -(1 - label_smoothing) * wy * J.take_along_axis(lp, safe[..., None], axis=-1)[..., 0] - label_smoothing / c * used * J.sum(w * lp, axis=-1)
    return y if how == "none" else J.sum(y) / (1 if how == "sum" else J.sum(wy))


def loss_cases():
    shapes = [[4], [2, 3], [], [2, 2, 1], [5]]
    wide = ((-2, 2), (-2, 2))
    loss_pairs("mse", shapes, F.mse_loss, lambda a, b: (a - b) ** 2, [{}, {}], wide)
    loss_pairs("l1", shapes, F.l1_loss, lambda a, b: J.abs(a - b), [{}, {}], wide, away(lambda p: [0]))
    huber = lambda a, b, delta: J.where(J.abs(a - b) <= delta, 0.5 * (a - b) ** 2, delta * (J.abs(a - b) - 0.5 * delta))
    loss_pairs("huber", shapes, F.huber_loss, huber, [dict(delta=v) for v in (1.0, 0.5, 2.0)], wide, away(lambda p: [0, p["delta"]]))
    smooth = lambda a, b, beta: J.where(J.abs(a - b) < beta, 0.5 * (a - b) ** 2 / (beta or 1), J.abs(a - b) - 0.5 * beta)
    loss_pairs("smooth_l1", shapes, F.smooth_l1_loss, smooth, [dict(beta=v) for v in (1.0, 0.5, 2.0, 0.0)], wide, away(lambda p: [0, p["beta"]]))
    case("huber", draw("huber"), [[1e4, -1e4, 0.1], [0, 0, 0]], lambda a, b: F.huber_loss(a, b, delta=1.0), lambda a, b: J.mean(huber(a, b, 1.0)), dict(reduction="mean", delta=1.0))

    # The second derivative of PyTorch's bce is off by about 1e-11 (it adds 1e-12 to a denominator), and there is none by the target:
    # the formula is differentiated instead, and its value must be that of PyTorch's.
    def tbce(p, t, reduction):
        y = -(t * p.log().clamp(min=-100) + (1 - t) * (-p).log1p().clamp(min=-100))
        y = y if reduction == "none" else getattr(T, reduction)(y)
        assert T.allclose(y, F.binary_cross_entropy(p, t.detach(), reduction=reduction), rtol=1e-14, atol=1e-14)
        return y
    jbce = lambda p, t: -(t * J.maximum(J.log(p), -100) + (1 - t) * J.maximum(J.log1p(-p), -100))
    loss_pairs("bce", shapes, tbce, jbce, [{}, {}], ((0.05, 0.95), (0, 1)))
    for how in ["mean", "sum", "none"]:
        d = draw("bce")
        case("bce", d, [d.uniform([2, 3], 0.05, 0.95), d.bits([2, 3])], lambda p, t, h=how: tbce(p, t, h), lambda p, t, h=how: reduced(jbce(p, t), h), dict(reduction=how), diff=[True, False])
    case("bce", draw("bce"), [[0, 1, 1e-50, 1, 0, 1e-30], [1, 0, 1, 1, 0, 1]], lambda p, t: F.binary_cross_entropy(p, t, reduction="none"), lambda p, t: jbce(p, t), dict(reduction="none"), smooth=False, special=False)

    def jbcel(x, t, pos_weight=None):
        w = 1.0 if pos_weight is None else J.asarray(pos_weight)
        return w * t * sp(-x) + (1 - t) * sp(x)
    tbcel = lambda x, t, reduction, pos_weight=None: F.binary_cross_entropy_with_logits(x, t, reduction=reduction, pos_weight=None if pos_weight is None else T.tensor(pos_weight))
    for w, shape in [(None, [4]), (None, [2, 3]), (None, []), ([2.0], [3]), ([0.5, 2.0, 3.0], [2, 3]), ([1.5, 0.25], [2, 2])]:
        for how in ["mean", "sum", "none"]:
            for diff in [[True, False], [True, True]]:
                d = draw("bce_with_logits")
                t = d.bits(shape) if not diff[1] else d.uniform(shape, 0, 1)
                case("bce_with_logits", d, [d.uniform(shape, -3, 3), t], lambda x, t, h=how, w=w: tbcel(x, t, h, w), lambda x, t, h=how, w=w: reduced(jbcel(x, t, w), h), dict(reduction=how, pos_weight=w), diff=diff)
    for how in ["mean", "sum", "none"]:
        case("bce_with_logits", draw("bce_with_logits"), [[1e4, -1e4, 1e4, -1e4, 0, 40, -40], [1, 0, 0, 1, 0.5, 1, 0]], lambda x, t, h=how: tbcel(x, t, h), lambda x, t, h=how: reduced(jbcel(x, t), h),
             dict(reduction=how, pos_weight=None), diff=[True, False])
    case("bce_with_logits", draw("bce_with_logits"), [[1e4, -1e4, 1e4, -1e4], [1, 0, 0, 1]], lambda x, t: tbcel(x, t, "sum", [3.0]), lambda x, t: reduced(jbcel(x, t, [3.0]), "sum"), dict(reduction="sum", pos_weight=[3.0]), diff=[True, False])

    ten = lambda v: None if v is None else T.tensor(v)
    ign = lambda v: -100 if v is None else v
    for how in ["mean", "sum", "none"]:
        for s, w, ig, labels in [([3, 3], None, None, None), ([2, 3], [1.0, 2.0, 0.5], None, None), ([3, 2], None, 1, [0, 1, 0]), ([4, 3], [0.5, 1.5, 2.0], 0, [2, 0, 1, 2]), ([2, 2, 2], None, None, None),
                                 ([2, 2, 2], [2.0, 0.5], None, None), ([3], None, None, None), ([3, 3], None, 255, [2, 255, 0]), ([1, 2, 2, 2], None, 1, [[[0, 1], [1, 0]]])]:
            d = draw("nll")
            n = np.array(labels) if labels is not None else d.integers(s[:1] + s[2:] if len(s) > 1 else [], s[1] if len(s) > 1 else s[0])
            case("nll", d, [d.uniform(s, -3, 0)], lambda x, n=n, w=w, i=ig, h=how: F.nll_loss(x, long(n), ten(w), ignore_index=ign(i), reduction=h),
                 lambda x, n=n, w=w, i=ig, h=how: jcross_entropy(x, n, h, w, i, logits=False), dict(reduction=how, weight=w, ignore_index=ig), dict(target=n))
        for s, w, ig, sm, labels in [([3, 3], None, None, 0.0, None), ([2, 3], [1.0, 2.0, 0.5], None, 0.0, None), ([3, 2], None, 1, 0.0, [0, 1, 0]), ([2, 3], None, None, 0.1, None), ([2, 3], [0.5, 1.5, 2.0], None, 0.2, None),
                                     ([4, 2], [0.5, 2.0], 0, 0.1, [1, 0, 1, 1]), ([2, 2, 2], None, None, 0.0, None), ([2, 2, 2], [2.0, 0.5], None, 0.3, None), ([3], None, None, 0.0, None), ([3, 3], None, 255, 0.1, [2, 255, 0]),
                                     ([1, 2, 2, 2], None, 0, 0.0, [[[0, 1], [1, 0]]]), ([1, 4], None, None, 0.0, None)]:
            d = draw("cross_entropy")
            n = np.array(labels) if labels is not None else d.integers(s[:1] + s[2:] if len(s) > 1 else [], s[1] if len(s) > 1 else s[0])
            case("cross_entropy", d, [d.uniform(s)], lambda x, n=n, w=w, i=ig, h=how, sm=sm: F.cross_entropy(x, long(n), ten(w), ignore_index=ign(i), reduction=h, label_smoothing=sm),
                 lambda x, n=n, w=w, i=ig, h=how, sm=sm: jcross_entropy(x, n, h, w, i, sm), dict(reduction=how, weight=w, ignore_index=ig, label_smoothing=sm, soft=False), dict(target=n))
        for s, w, sm, diff in [([2, 3], None, 0.0, False), ([2, 3], [1.0, 2.0, 0.5], 0.0, False), ([3, 2], None, 0.1, False), ([2, 2], [0.5, 2.0], 0.2, True), ([2, 3], None, 0.0, True), ([1, 2, 2], None, 0.1, False), ([3], None, 0.0, False)]:
            d = draw("cross_entropy")
            tt = d.uniform(s, 0.1, 1)
            axis = 0 if len(s) == 1 else 1
            tt = np.round(tt / tt.sum(axis, keepdims=True), 2)
            case("cross_entropy", d, [d.uniform(s), tt], lambda x, t, w=w, h=how, sm=sm: F.cross_entropy(x, t, ten(w), reduction=h, label_smoothing=sm),
                 lambda x, t, w=w, h=how, sm=sm: jcross_entropy(x, t, h, w, None, sm, True), dict(reduction=how, weight=w, ignore_index=None, label_smoothing=sm, soft=True), diff=[True, diff])
    case("cross_entropy", draw("cross_entropy"), [[[1e4, -1e4], [1e4, -1e4]]], lambda x: F.cross_entropy(x, long([0, 1])), lambda x: jcross_entropy(x, np.array([0, 1]), "mean"),
         dict(reduction="mean", weight=None, ignore_index=None, label_smoothing=0.0, soft=False), dict(target=[0, 1]))

    for how in ["mean", "sum", "none"]:
        for s, log, diff in [([4], False, False), ([2, 3], False, True), ([2, 3], True, False), ([2, 2], True, True), ([], False, False)]:
            d = draw("kl_div")
            x, t = d.uniform(s, -3, -0.1), d.uniform(s, -3, -0.1) if log else d.uniform(s, 0.1, 0.9)
            j = lambda x, t, log=log: J.exp(t) * (t - x) if log else t * (J.log(t) - x)
            case("kl_div", d, [x, t], lambda x, t, h=how, log=log: F.kl_div(x, t, reduction=h, log_target=log), lambda x, t, h=how, j=j: reduced(j(x, t), h), dict(reduction=how, log_target=log), diff=[True, diff])
        d = draw("kl_div")
        case("kl_div", d, [d.uniform([4], -3, -0.1), [0, 0.5, 0.5, 0]], lambda x, t, h=how: F.kl_div(x, t, reduction=h), None, dict(reduction=how, log_target=False), diff=[True, False])
        for s in [[4], [2, 3], [], [5]]:
            d = draw("hinge")
            x, t = d.uniform(s), d.bits(s) * 2 - 1
            x = np.where(np.abs(1 - x * t) < 0.05, x + 0.1, x)

            def hinge(x, t, h=how):
                y = T.relu(1 - x * t)
                return y if h == "none" else getattr(T, h)(y)
            case("hinge", d, [np.round(x, 2), t], hinge, lambda x, t, h=how: reduced(jax.nn.relu(1 - x * t), h), dict(reduction=how), diff=[True, False])
        for s, margin in [([4, 2], 0.0), ([3, 3], 0.5), ([4, 2], -0.25), ([2, 4], 0.2)]:
            d = draw("cosine_embedding")
            a, b, t = d.off(s, [0], -4, 4, 1.5), d.off(s, [0], -4, 4, 1.5), np.resize([1.0, -1.0], s[0])

            def jcos(a, b, t, m=margin, h=how):
                c = J.sum(a * b, axis=1) / J.sqrt(J.sum(a * a, axis=1) * J.sum(b * b, axis=1))
                return reduced(J.where(t > 0, 1 - c, J.maximum(0, c - m)), h)
            case("cosine_embedding", d, [a, b, t], lambda a, b, t, m=margin, h=how: F.cosine_embedding_loss(a, b, t, margin=m, reduction=h), jcos, dict(reduction=how, margin=margin), diff=[True, True, False])
        for log, full, s, eps in [(True, False, [4], 1e-8), (True, True, [2, 2], 1e-8), (False, False, [3], 1e-8), (False, True, [2, 2], 1e-8), (False, False, [3], 0.1), (True, False, [], 1e-8), (True, True, [4], 1e-8)]:
            d = draw("poisson_nll")
            x = d.uniform(s, -1.5, 2) if log else d.uniform(s, 0.2, 3)
            t = d.integers(s, 6).astype(float)

            def jp(x, t, log=log, full=full, e=eps, h=how):
                y = J.exp(x) - t * x if log else x - t * J.log(x + e)
                if full:
                    safe = np.where(t > 1, t, 2.0)
                    y = y + np.where(t > 1, safe * np.log(safe) - safe + 0.5 * np.log(2 * math.pi * safe), 0.0)
                return reduced(y, h)
            case("poisson_nll", d, [x, t], lambda x, t, log=log, full=full, e=eps, h=how: F.poisson_nll_loss(x, t, log_input=log, full=full, eps=e, reduction=h), jp,
                 dict(reduction=how, log_input=log, full=full, eps=eps), diff=[True, False])


def build():
    for family in [unary_cases, unary_parameter_cases, binary_cases, reduction_cases, linear_cases, movement_cases, indexing_cases, window_cases, normalisation_cases, loss_cases]:
        family()


# ---------------------------------------------------------------------------------------------------------------- trajectories


def trajectories():
    """Four trainings by SGD with torch; each is repeated with jax, and the two must agree to 1e-11."""
    rng = np.random.default_rng(2024)
    near = lambda *s: np.round(rng.uniform(-1, 1, s), 3)
    out = []
    x1 = near(20, 3)
    y1 = np.round(x1 @ np.array([[1.5], [-2.0], 0.5 * np.ones(1)]) + 0.3 + 0.1 * near(20, 1), 3)
    x2 = np.round(2 * near(30, 2), 3)
    y2 = (x2 @ np.array([[1.0], [-1.5]]) + 0.4 * near(30, 1) > 0.1).astype(float)
    at = np.arange(24) % 3
    x3 = np.round(np.stack([np.cos(2.1 * at), np.sin(2.1 * at)], 1) + 0.5 * near(24, 2), 3)
    small = {"w": near(1, 3) * 0.5, "b": near(1) * 0.5}
    logistic = {"w": near(1, 2) * 0.5, "b": near(1) * 0.5}
    mlp = {"w1": near(8, 2), "b1": near(8), "w2": np.round(near(8, 8) * 0.5, 4), "b2": near(8) * 0.5, "w3": np.round(near(3, 8) * 0.5, 4), "b3": near(3) * 0.5}
    small, logistic, mlp = ({k: np.round(v, 4) for k, v in p.items()} for p in (small, logistic, mlp))

    def linear(m, p, x):
        return x @ p["w"].T + p["b"]

    def net(m, p, x):
        x = m.tanh(x @ p["w1"].T + p["b1"])
        x = m.tanh(x @ p["w2"].T + p["b2"])
        return x @ p["w3"].T + p["b3"]
    runs = [
        ("linear_regression", "x w^T + b, mse (mean)", x1, y1, small, linear, F.mse_loss, lambda y, t: J.mean((y - t) ** 2), 0.1, 0.0, 0.0),
        ("logistic_regression", "x w^T + b, bce_with_logits (mean)", x2, y2, logistic, linear, F.binary_cross_entropy_with_logits,
         lambda y, t: J.mean(t * sp(-y) + (1 - t) * sp(y)), 0.5, 0.0, 0.0),
        ("mlp", "tanh(x w1^T + b1), tanh(. w2^T + b2), . w3^T + b3, cross_entropy (mean)", x3, at, mlp, net, F.cross_entropy, lambda y, t: jcross_entropy(y, t, "mean"), 0.2, 0.0, 0.0),
        ("mlp_momentum_weight_decay", "as mlp", x3, at, mlp, net, F.cross_entropy, lambda y, t: jcross_entropy(y, t, "mean"), 0.05, 0.9, 0.01),
    ]
    for name, model, x, y, start, f, tl, jl, rate, momentum, decay in runs:
        p = {k: T.tensor(v, requires_grad=True) for k, v in start.items()}
        optim = T.optim.SGD(list(p.values()), lr=rate, momentum=momentum, weight_decay=decay)
        tx, ty = T.tensor(x), T.tensor(y)
        losses = []
        for step in range(101):
            loss = tl(f(T, p, tx), ty)
            if step % 10 == 0:
                losses.append(loss.item())
            if step < 100:
                optim.zero_grad()
                loss.backward()
                optim.step()
        final = {k: v.detach().numpy() for k, v in p.items()}

        value_and_grad = jax.jit(jax.value_and_grad(lambda q: jl(f(J, q, x), y)))
        q, speed = {k: J.asarray(v) for k, v in start.items()}, None
        other = []
        for step in range(101):
            v, g = value_and_grad(q)
            if step % 10 == 0:
                other.append(float(v))
            if step < 100:
                g = {k: g[k] + decay * q[k] for k in q}
                speed = g if speed is None else {k: momentum * speed[k] + g[k] for k in q}
                q = {k: q[k] - rate * speed[k] for k in q}
        worst = max([abs(a - b) for a, b in zip(losses, other)] + [float(np.abs(final[k] - q[k]).max()) for k in final])
        assert worst < 1e-11, (name, worst)
        print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}; torch and jax differ by {worst:.1e}")

        def arr(a):
            key = "data" if a.dtype.kind == "f" else "index"
            return {"shape": list(a.shape), key: a.ravel().tolist()}
        out.append({"name": name, "model": model, "learning_rate": rate, "momentum": momentum, "weight_decay": decay, "steps": 100, "x": arr(x), "target": arr(y),
                    "initial": {k: arr(v) for k, v in start.items()}, "loss_at": list(range(0, 101, 10)), "losses": losses, "final": {k: arr(v) for k, v in final.items()}})
    with open(os.path.join(HERE, "trajectories.json"), "w") as file:  # floats by repr: the shortest text that reads back the same
        file.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in out) + "\n]\n")


# ---------------------------------------------------------------------------------------------------------------- conventions


def conventions():
    """Prints values and slopes of both libraries at the points where conventions may differ."""
    def show(name, t, j, *xs):
        def of_torch():
            v = [T.tensor(x, requires_grad=True) for x in xs]
            y = t(*v)
            g = T.autograd.grad(y.sum(), v, allow_unused=True)
            return y.tolist(), [None if a is None else a.tolist() for a in g]

        def of_jax():
            v = [J.asarray(x) for x in xs]
            return j(*v).tolist(), [a.tolist() for a in jax.grad(lambda *v: J.sum(j(*v)), tuple(range(len(xs))))(*v)]
        for lib, run in [("torch", of_torch), ("jax", of_jax)]:
            if (t if lib == "torch" else j) is None:
                continue
            try:
                y, g = run()
                print(f"{name:36} {lib:6} y {y}  slopes {g}")
            except Exception as e:
                print(f"{name:36} {lib:6} error: {str(e).splitlines()[0][:90]}")

    z = np.array([0.0])
    show("abs at 0", T.abs, J.abs, z)
    show("relu at 0", F.relu, jax.nn.relu, z)
    show("sqrt at 0", T.sqrt, J.sqrt, z)
    show("leaky_relu(0.1) at 0", lambda x: F.leaky_relu(x, 0.1), lambda x: jax.nn.leaky_relu(x, 0.1), z)
    show("elu(1.5) at 0", lambda x: F.elu(x, 1.5), lambda x: jax.nn.elu(x, 1.5), z)
    show("selu at 0", F.selu, jax.nn.selu, z)
    show("clamp(-1, 1) at the ends", lambda x: T.clamp(x, -1, 1), lambda x: J.clip(x, -1, 1), np.array([-1.0, 1.0]))
    show("hardtanh(-1, 1) at the ends", F.hardtanh, jax.nn.hard_tanh, np.array([-1.0, 1.0]))
    show("softsign at 0", F.softsign, jax.nn.soft_sign, z)
    show("max(a, b) at a tie", T.maximum, J.maximum, z, z)
    show("amax at ties", lambda x: T.amax(x, 0), J.max, np.array([1.0, 1.0, 0.0]))
    show("max(dim) values at ties", lambda x: T.max(x, 0).values, None, np.array([1.0, 1.0, 0.0]))
    show("max_pool1d at ties", lambda x: F.max_pool1d(x, 3), None, np.array([[[1.0, 1.0, 0.0]]]))
    for p in [1, 2, 3, 1.5]:
        show(f"norm p={p} at 0", lambda x: T.linalg.vector_norm(x, p), lambda x: J.linalg.norm(x, p), np.array([0.0, 0.0]))
    show("norm p=inf at ties", lambda x: T.linalg.vector_norm(x, math.inf), lambda x: J.linalg.norm(x, J.inf), np.array([2.0, -2.0]))
    show("norm p=3, one zero", lambda x: T.linalg.vector_norm(x, 3), lambda x: J.linalg.norm(x, 3), np.array([0.0, 2.0]))
    show("std of equal numbers", lambda x: T.std(x, 0), lambda x: J.std(x, ddof=1), np.array([1.0, 1.0]))
    show("hypot(0, 0)", T.hypot, J.hypot, z, z)
    show("atan2(0, 0)", T.atan2, J.arctan2, z, z)
    show("xlogy(0, 0)", T.xlogy, jax.scipy.special.xlogy, z, z)
    show("pow(0, 0)", T.pow, J.power, z, z)
    show("pow(2, 0)", T.pow, J.power, z + 2, z)
    show("pow(0, 2)", T.pow, J.power, z, z + 2)
    show("pow(-2, 2)", T.pow, J.power, z - 2, z + 2)
    show("powf(0) at 0", lambda x: x.pow(0.0), lambda x: J.power(x, 0.0), z)
    show("softplus at 25 (minus 25)", lambda x: F.softplus(x) - 25, lambda x: jax.nn.softplus(x) - 25, z + 25)
    show("huber(1) at 1", lambda x: F.huber_loss(x, T.zeros(1)), None, z + 1)
    show("smooth_l1(0) at 0", lambda x: F.smooth_l1_loss(x, T.zeros(1), beta=0.0), None, z)
    show("l1 at 0", lambda x: F.l1_loss(x, T.zeros(1)), None, z)
    show("bce p=0, t=1", lambda x: F.binary_cross_entropy(x, T.ones(1)), None, z)
    show("bce p=1e-50, t=1", lambda x: F.binary_cross_entropy(x, T.ones(1)), None, z + 1e-50)
    show("bce p=1e-13, t=1", lambda x: F.binary_cross_entropy(x, T.ones(1)), None, z + 1e-13)
    show("bce p=1, t=1", lambda x: F.binary_cross_entropy(x, T.ones(1)), None, z + 1)
    show("kl_div of t=0 by the target", lambda x: F.kl_div(T.zeros(1), x, reduction="sum"), None, z)
    show("nll, all labels ignored", lambda x: F.nll_loss(x, long([0]), ignore_index=0), None, np.zeros([1, 2]))
    show("hinge_embedding (torch) x=0.3, t=-1", lambda x: F.hinge_embedding_loss(x, -T.ones(1)), None, z + 0.3)
    show("cosine_embedding of zeros", lambda x: F.cosine_embedding_loss(x, T.ones(1, 2), T.ones(1)), None, np.zeros([1, 2]))
    show("sum over no axes", lambda x: T.sum(x, []), lambda x: J.sum(x, axis=()), np.array([1.0, 2.0]))
    show("softmax of -inf alone", lambda x: F.softmax(x, 0), lambda x: jax.nn.softmax(x), np.array([-math.inf, -math.inf]))
    show("logsumexp of -inf alone", lambda x: T.logsumexp(x, 0), lambda x: jax.nn.logsumexp(x), np.array([-math.inf, -math.inf]))
    show("prod of nothing", T.prod, J.prod, np.zeros([0]))
    show("mean of nothing", T.mean, J.mean, np.zeros([0]))
    show("amax of nothing", lambda x: T.amax(x, 0), J.max, np.zeros([0]))
    show("max(1, NaN)", T.maximum, J.maximum, z + 1, z + math.nan)
    show("relu(NaN)", F.relu, jax.nn.relu, z + math.nan)
    show("clamp(NaN)", lambda x: T.clamp(x, -1, 1), lambda x: J.clip(x, -1, 1), z + math.nan)
    show("round half", T.round, J.round, np.array([0.5, 1.5, 2.5]))
    show("sign at 0", T.sign, J.sign, z)
    show("det, singular", T.linalg.det, J.linalg.det, np.array([[1.0, 2.0], [2.0, 4.0]]))
    show("cholesky, not symmetric", T.linalg.cholesky, J.linalg.cholesky, np.array([[2.0, 1.0], [0.0, 2.0]]))
    show("repeat(2)", lambda x: x.repeat(2), lambda x: J.repeat(x, 2), np.array([1.0, 2.0]))
    show("repeat(1, 2)", lambda x: x.repeat(1, 2), lambda x: J.tile(x, (1, 2)), np.array([1.0, 2.0]))
    show("dropout p=1", lambda x: F.dropout(x, 1.0), None, z + 2)
    show("avg_pool1d with padding", lambda x: F.avg_pool1d(x, 2, 2, 1), None, np.array([[[2.0, 4.0]]]))
    show("where(0/1) NaN branch", lambda x: T.where(x > 0, T.log(x), 0.0), lambda x: J.where(x > 0, J.log(x), 0.0), z)


# ---------------------------------------------------------------------------------------------------------------- main


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", help="evaluate these operations alone and write nothing")
    parser.add_argument("--no-jax", action="store_true", help="do not compare; write nothing")
    parser.add_argument("--conventions", action="store_true", help="print what both libraries do at kinks, ties and empty inputs")
    parser.add_argument("--out", default=os.path.join(HERE, "reference.jsonl"))
    a = parser.parse_args()
    if a.conventions:
        return conventions()
    build()
    lines, bad = [], 0
    for n, c in enumerate(CASES):
        if a.only and c["op"] not in a.only:
            continue
        try:
            record, note = evaluate(c, not a.no_jax)
        except Exception as e:
            record, note = None, f"FAILED {type(e).__name__}: {str(e)[:300]}"
        if note:
            print(n, c["op"], json.dumps(c["params"], default=str), [x.shape for x in c["inputs"]], note, flush=True)
            bad += not note.startswith(("torch is", "jax is"))
        if record:
            lines.append(line(record))
    print(len(lines), "cases,", bad, "to be looked at,", sum(map(len, lines)) + len(lines), "bytes")
    if a.only or a.no_jax:
        return None
    if bad:
        sys.exit(1)
    with open(a.out, "w") as file:
        file.write("\n".join(lines) + "\n")
    trajectories()
    return None


if __name__ == "__main__":
    main()
