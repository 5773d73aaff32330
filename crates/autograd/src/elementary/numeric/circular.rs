//! sin, cos and tan.
//!
//! x = n·π/2 + r with |r| ≤ π/4 by the reduction of W. Cody and W. Waite, π/2 in two to four parts; then polynomials in r², and r + ρ where r
//! needs a second word. Polynomials are minimax fits (E. Remez) of what is left of the series.
//!
//! Beyond [`far`], x is first taken modulo 2π with as many digits of 2/π as that needs (M. Payne and R. Hanek 1983), one number at a time. A
//! loop of vectors has no place for it: with FMA the result is NaN there, and the kernels compute what is NaN again without.

use std::f64::consts::FRAC_2_PI;

use super::words::{SIGN, fma, ordered_sum, polynomial, product, sign, signed, sum};

/// 1.5·2⁵²: what is added to it is rounded to a whole number, which stands in the lowest bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// π/2 in three words.
const WORDS: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];

/// π/2 in three parts of 33 bits, whose products with n are exact for n < 2²⁰, and a rest.
const PARTS: [f64; 4] = [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_711_166_5e-21, 8.478_427_660_368_9e-32];

/// From here on n·π/2 with π/2 in parts is no longer exact enough.
const fn far<const FMA: bool>() -> f64 {
    if FMA { 70_368_744_177_664.0 } else { 1_048_576.0 }
}

/// 2/π·2¹²¹⁶, the highest 64 bits first.
const TWO_OVER_PI: [u64; 19] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
];

/// |x| = n·π/2 + r + ρ with |r| ≤ π/4, as bits whose last ones are n, and r and ρ.
#[inline(always)]
fn quadrant<const FMA: bool>(x: f64) -> (u64, f64, f64) {
    let (h, l) = near::<FMA>(x.abs());
    let turned = h * FRAC_2_PI + MAGIC;
    let n = turned - MAGIC;
    // The first difference is exact.
    let (r, rest) = if FMA {
        let a = n.mul_add(-WORDS[0], h);
        let b = n * WORDS[1];
        let (r, e) = sum(a, -b);
        let rest = e - n.mul_add(WORDS[1], -b);
        (r, n.mul_add(-WORDS[2], rest))
    } else {
        let a = h - n * PARTS[0];
        let (b, e) = sum(a, -(n * PARTS[1]));
        let (r, d) = sum(b, -(n * PARTS[2]));
        // The second word of h may be larger than what the first one was rounded to here.
        sum(r, ((e + d) - n * PARTS[3]) + l)
    };
    (turned.to_bits(), r, rest)
}

/// x itself; beyond [`far`] a sum of two words that differs from it by a multiple of 2π, and NaN in a loop of vectors.
#[inline(always)]
fn near<const FMA: bool>(x: f64) -> (f64, f64) {
    if FMA {
        (if x < far::<FMA>() { x } else { f64::NAN }, 0.0)
    } else if x < far::<FMA>() {
        (x, 0.0)
    } else {
        turned_back(x)
    }
}

/// x less a multiple of 2π, in two words: x·2/π modulo 4 is m·q modulo 4 for the mantissa 1 ≤ m < 2 of x and q = 2⁵²·(2ᵉ⁻⁵²·2/π modulo 4). Of
/// the bits of 2/π, those that give multiples of 4 with every bit of m are left out, and 159 of the others are used.
#[cold]
#[inline(never)]
fn turned_back(x: f64) -> (f64, f64) {
    if !x.is_finite() {
        return (f64::NAN, 0.0);
    }
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    // 53 bits as a number; the first bit of all counts 2⁵³.
    let word = |k: i32| {
        let place = exponent - 54 + 53 * k;
        let part = |i: i32| usize::try_from(i).ok().and_then(|i| TWO_OVER_PI.get(i)).copied().unwrap_or(0);
        let (first, shift) = (place.div_euclid(64), place.rem_euclid(64));
        let bits = u128::from(part(first)) << 64 | u128::from(part(first + 1));
        let bits = (bits << shift >> 75) as u64;
        bits as f64 * 2f64.powi(1 - 53 * k)
    };
    let m = f64::from_bits(x.to_bits() & ((1 << 52) - 1) | 1f64.to_bits());
    let ((h, l), (p, e)) = (product::<false>(m, word(0)), product::<false>(m, word(1)));
    // Exact: what goes is a whole number of turns.
    let (v, a) = sum(h % 4.0, l);
    let (v, b) = sum(v, p);
    let low = (m * word(2) + e) + (a + b);
    let (h, l) = product::<false>(v, WORDS[0]);
    (h, low * WORDS[0] + (v * WORDS[1] + l))
}

/// sin(r + ρ) and cos(r + ρ) in two words each, the second ones not yet added.
#[inline(always)]
fn both<const FMA: bool>(r: f64, rest: f64) -> ((f64, f64), (f64, f64)) {
    let z = r * r;
    let half = 0.5 * z;
    let s = polynomial::<FMA, _>(
        z,
        &[
            -0.166_666_666_666_666_4,
            0.008_333_333_333_323_091,
            -0.000_198_412_698_296_224_28,
            2.755_731_345_701_175_4e-6,
            -2.505_070_275_595_994_6e-8,
            1.589_282_177_288_443_9e-10,
        ],
    );
    let c = polynomial::<FMA, _>(
        z,
        &[
            0.041_666_666_666_666_65,
            -0.001_388_888_888_888_248_2,
            2.480_158_729_430_143e-5,
            -2.755_731_561_670_64e-7,
            2.087_587_783_271_036e-9,
            -1.136_680_009_014_668e-11,
        ],
    );
    let w = 1.0 - half;
    let sine = fma::<FMA>(r * z, s, fma::<FMA>(-half, rest, rest));
    let cosine = fma::<FMA>(z * z, c, fma::<FMA>(-r, rest, (1.0 - w) - half));
    ((r, sine), (w, cosine))
}

pub(super) mod double {
    use super::{SIGN, both, fma, ordered_sum, product, quadrant, sign, signed, sum};

    #[inline(always)]
    pub(in super::super) fn sin<const FMA: bool>(x: f64) -> f64 {
        let (n, r, rest) = quadrant::<FMA>(x);
        let (s, c) = both::<FMA>(r, rest);
        let (s, c) = (s.0 + s.1, c.0 + c.1);
        let y = if n & 1 == 0 { s } else { c };
        signed(y, (n << 62 & SIGN) ^ sign(x))
    }

    #[inline(always)]
    pub(in super::super) fn cos<const FMA: bool>(x: f64) -> f64 {
        let (n, r, rest) = quadrant::<FMA>(x);
        let (s, c) = both::<FMA>(r, rest);
        let (s, c) = (s.0 + s.1, c.0 + c.1);
        let y = if n & 1 == 0 { c } else { s };
        signed(y, n.wrapping_add(1) << 62 & SIGN)
    }

    #[inline(always)]
    pub(in super::super) fn tan<const FMA: bool>(x: f64) -> f64 {
        let (n, r, rest) = quadrant::<FMA>(x);
        let (s, c) = both::<FMA>(r, rest);
        let (s, c) = (sum(s.0, s.1), ordered_sum(c.0, c.1));
        let odd = n & 1 != 0;
        let (over, under) = (if odd { c } else { s }, if odd { s } else { c });
        // One division, and what it left.
        let inverse = 1.0 / under.0;
        let q = over.0 * inverse;
        let (p, e) = product::<FMA>(q, under.0);
        let left = ((over.0 - p) - e) + (over.1 - q * under.1);
        let y = fma::<FMA>(left, inverse, q);
        signed(y, n << 63 ^ sign(x))
    }
}

/// In doubles, with shorter polynomials: 2⁻³⁴.
pub(super) mod single {
    use super::{FRAC_2_PI, MAGIC, PARTS, WORDS, fma, near, polynomial, sign, signed};

    /// r + ρ for |x| = n·π + r + ρ, or for |x| = (n + ½)π + r + ρ, and n.
    #[inline(always)]
    fn half_turn<const FMA: bool>(x: f32, cosine: bool) -> (u64, f64) {
        let (h, l) = near::<FMA>(f64::from(x.abs()));
        let offset = if cosine { 0.5 } else { 0.0 };
        let turned = h * std::f64::consts::FRAC_1_PI - offset + MAGIC;
        let n = (turned - MAGIC) + offset;
        let r = if FMA {
            n.mul_add(-2.0 * WORDS[1], n.mul_add(-2.0 * WORDS[0], h))
        } else {
            ((h - n * (2.0 * PARTS[0])) - n * (2.0 * PARTS[1])) - n * (2.0 * PARTS[2])
        };
        (turned.to_bits(), r + l)
    }

    #[inline(always)]
    fn sine<const FMA: bool>(r: f64) -> f64 {
        let z = r * r;
        let p = polynomial::<FMA, _>(
            z,
            &[
                -0.166_666_666_387_645_68,
                0.008_333_331_412_526_655,
                -0.000_198_408_887_736_890_17,
                2.752_577_845_992_343e-6,
                -2.388_775_545_643_301e-8,
            ],
        );
        fma::<FMA>(r * z, p, r)
    }

    #[inline(always)]
    pub(in super::super) fn sin<const FMA: bool>(x: f32) -> f32 {
        let (n, r) = half_turn::<FMA>(x, false);
        signed(sine::<FMA>(r), n << 63 ^ sign(f64::from(x))) as f32
    }

    #[inline(always)]
    pub(in super::super) fn cos<const FMA: bool>(x: f32) -> f32 {
        let (n, r) = half_turn::<FMA>(x, true);
        signed(sine::<FMA>(r), !n << 63) as f32
    }

    #[inline(always)]
    pub(in super::super) fn tan<const FMA: bool>(x: f32) -> f32 {
        let (h, l) = near::<FMA>(f64::from(x.abs()));
        let turned = h * FRAC_2_PI + MAGIC;
        let n = turned - MAGIC;
        let r = if FMA { n.mul_add(-WORDS[1], n.mul_add(-WORDS[0], h)) } else { ((h - n * PARTS[0]) - n * PARTS[1]) - n * PARTS[2] };
        let r = r + l;
        let z = r * r;
        let s = polynomial::<FMA, _>(
            z,
            &[-0.166_666_666_431_488_53, 0.008_333_329_186_717_581, -0.000_198_392_142_779_010_33, 2.716_901_335_372_843e-6],
        );
        let c = polynomial::<FMA, _>(z, &[0.041_666_654_224_544_45, -0.001_388_762_532_396_495_8, 2.445_989_427_418_906e-5]);
        let s = fma::<FMA>(r * z, s, r);
        let c = fma::<FMA>(z * z, c, fma::<FMA>(z, -0.5, 1.0));
        let n = turned.to_bits();
        let odd = n & 1 != 0;
        let (over, under) = (if odd { c } else { s }, if odd { s } else { c });
        signed(over / under, n << 63 ^ sign(f64::from(x))) as f32
    }
}
