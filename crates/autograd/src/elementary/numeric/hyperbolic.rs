//! sinh and cosh, and their inverses.
//!
//! x = n·ln 2 + r, and sinh x = A·cosh r + B·sinh r, cosh x = B·cosh r + A·sinh r with A, B = (2ⁿ ∓ 2⁻ⁿ)/2, n = 0 below 1: no division, and nothing
//! is lost near 0. Of the inverses, the argument of the logarithm has two words.

use std::f64::consts::{LN_2, LOG2_E};

use super::{
    PowerOfTwo, Primitives,
    logarithm::{self, LN_2_WORDS},
    words::{fma, ordered_sum, polynomial, product, sign, signed, sum},
};

/// A, B, sinh r and cosh r − 1 as above for 0 ≤ x, both to be multiplied by the last number.
#[inline(always)]
fn parts<const FMA: bool, const N: usize>(x: f64, sinh: &[f64; N], cosh: &[f64; N]) -> [f64; 5] {
    // Beyond 711 both are infinite; NaN stays.
    let x = if x > 711.0 { 711.0 } else { x };
    let n = PowerOfTwo::<f64>::of(x * LOG2_E).exponent();
    let n = if x < 1.0 { 0.0 } else { n };
    let high = fma::<FMA>(n, -LN_2_WORDS.0, x);
    let t = n * LN_2_WORDS.1;
    let r = high - t;
    let rest = (high - r) - t;
    // 2⁻ⁿ counts for nothing long before 2ⁿ is too large.
    let m = if n > 60.0 { 60.0 } else { n };
    let (up, down) = (PowerOfTwo::<f64>::of(m).halved(), PowerOfTwo::<f64>::of(-m).halved());
    let z = r * r;
    let s = r + fma::<FMA>(r * z, polynomial::<FMA, _>(z, sinh), rest);
    let c = fma::<FMA>(z * z, polynomial::<FMA, _>(z, cosh), 0.5 * z);
    [up - down, up + down, s, c, PowerOfTwo::<f64>::of(n - m).whole()]
}

#[inline(always)]
fn sinh_of<const FMA: bool>([a, b, s, c, scale]: [f64; 5]) -> f64 {
    (a + fma::<FMA>(b, s, a * c)) * scale
}

#[inline(always)]
fn cosh_of<const FMA: bool>([a, b, s, c, scale]: [f64; 5]) -> f64 {
    (b + fma::<FMA>(a, s, b * c)) * scale
}

/// Minimax polynomials of what is left of the series for |r| ≤ 1, to 2⁻⁶² and 2⁻⁶⁷.
const SINH: [f64; 7] = [
    0.166_666_666_666_666_69,
    0.008_333_333_333_333_174,
    0.000_198_412_698_414_253_54,
    2.755_731_915_669_596_5e-6,
    2.505_212_347_735_953_7e-8,
    1.605_721_707_648_915_3e-10,
    7.760_411_617_464_649e-13,
];
const COSH: [f64; 7] = [
    0.041_666_666_666_666_664,
    0.001_388_888_888_888_88,
    2.480_158_730_167_36e-5,
    2.755_731_918_664_375e-7,
    2.087_676_536_355_996_7e-9,
    1.146_973_167_273_238e-11,
    4.842_348_798_788_540_7e-14,
];
/// The same to 2⁻³³ and 2⁻³⁷.
const SHORT_SINH: [f64; 4] = [0.166_666_665_075_619_5, 0.008_333_350_824_695_124, 0.000_198_358_714_488_667_5, 2.819_028_998_161_577e-6];
const SHORT_COSH: [f64; 4] = [0.041_666_666_534_382_25, 0.001_388_890_343_293_006_3, 2.479_709_759_725_723e-5, 2.808_399_712_622_461e-7];

/// Beyond 2³⁰, x² + 1 and x² − 1 are x² to the last bit.
const LARGE: f64 = 1_073_741_824.0;

pub(super) mod double {
    use super::{COSH, LARGE, PowerOfTwo, Primitives, SINH, cosh_of, logarithm, ordered_sum, parts, product, sign, signed, sinh_of, sum};

    #[inline(always)]
    pub(in super::super) fn sinh<const FMA: bool>(x: f64) -> f64 {
        sinh_of::<FMA>(parts::<FMA, _>(x.abs(), &SINH, &COSH)).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn cosh<const FMA: bool>(x: f64) -> f64 {
        cosh_of::<FMA>(parts::<FMA, _>(x.abs(), &SINH, &COSH))
    }

    #[inline(always)]
    pub(in super::super) fn asinh<const FMA: bool>(x: f64) -> f64 {
        let a = x.abs();
        // x + √(x² + 1) = 1 + (x + t).
        let square = a * a;
        let t = square / (1.0 + (1.0 + square).sqrt());
        let (f, rest) = ordered_sum(a, t);
        let (u, e) = sum(1.0, f);
        let large = a > LARGE;
        let (u, rest, k) = (if large { a } else { u }, if large { 0.0 } else { e + rest }, if large { 1.0 } else { 0.0 });
        let y = logarithm::of_words::<FMA>(u, rest, k);
        (if a < f64::INFINITY { y } else { a }).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn acosh<const FMA: bool>(x: f64) -> f64 {
        // √(x² − 1) in two words.
        let (p, e) = product::<FMA>(x, x);
        let (v, d) = ordered_sum(p, -1.0);
        let s = v.sqrt();
        let (square, lost) = product::<FMA>(s, s);
        let left = ((v - square) - lost) + (d + e);
        let s_low = if s == 0.0 { 0.0 } else { 0.5 * left / s };
        let (u, e) = ordered_sum(x, s);
        let large = x > LARGE;
        let (u, rest, k) = (if large { x } else { u }, if large { 0.0 } else { e + s_low }, if large { 1.0 } else { 0.0 });
        let y = logarithm::of_words::<FMA>(u, rest, k);
        let y = if x < f64::INFINITY { y } else { x };
        if x < 1.0 { f64::NAN } else { y }
    }

    #[inline(always)]
    pub(in super::super) fn atanh<const FMA: bool>(x: f64) -> f64 {
        let a = x.abs();
        // (1 + a)/(1 − a) = 2ᵏ·p/g with p/g between √½ and √2, or near.
        let ((p, p_low), (q, q_low)) = (ordered_sum(1.0, a), ordered_sum(1.0, -a));
        let (_, k) = f64::split_ln(q);
        let scale = PowerOfTwo::<f64>::of(-k).whole();
        let above = p > std::f64::consts::SQRT_2 * (q * scale);
        let (scale, k) = (if above { 2.0 * scale } else { scale }, if above { k - 1.0 } else { k });
        let (g, g_low) = (q * scale, q_low * scale);
        let y = logarithm::half_of_ratio::<FMA>((p - g) + (p_low - g_low), p + g, -k);
        let y = if a == 1.0 { f64::INFINITY } else { y };
        signed(if a <= 1.0 { y } else { f64::NAN }, sign(x))
    }
}

/// In doubles, to 2⁻³³.
pub(super) mod single {
    use super::{LN_2, SHORT_COSH, SHORT_SINH, cosh_of, fma, logarithm, parts, sinh_of};

    #[inline(always)]
    pub(in super::super) fn sinh<const FMA: bool>(x: f32) -> f32 {
        (sinh_of::<FMA>(parts::<FMA, _>(f64::from(x.abs()), &SHORT_SINH, &SHORT_COSH)) as f32).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn cosh<const FMA: bool>(x: f32) -> f32 {
        cosh_of::<FMA>(parts::<FMA, _>(f64::from(x.abs()), &SHORT_SINH, &SHORT_COSH)) as f32
    }

    /// ln(1 + x) for what is not negative, infinity and NaN included.
    #[inline(always)]
    fn ln_1p<const FMA: bool>(x: f64) -> f64 {
        let (k, l) = logarithm::short_1p::<FMA>(x);
        if x < f64::INFINITY { fma::<FMA>(k, LN_2, l) } else { x }
    }

    #[inline(always)]
    pub(in super::super) fn asinh<const FMA: bool>(x: f32) -> f32 {
        let a = f64::from(x.abs());
        let square = a * a;
        let y = ln_1p::<FMA>(a + square / (1.0 + (1.0 + square).sqrt()));
        (if a < f64::INFINITY { y } else { a } as f32).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn acosh<const FMA: bool>(x: f32) -> f32 {
        let t = f64::from(x) - 1.0;
        let y = ln_1p::<FMA>(t + (t * (t + 2.0)).sqrt());
        (if t < 0.0 { f64::NAN } else { y }) as f32
    }

    #[inline(always)]
    pub(in super::super) fn atanh<const FMA: bool>(x: f32) -> f32 {
        let a = f64::from(x.abs());
        let y = 0.5 * ln_1p::<FMA>(2.0 * a / (1.0 - a));
        (if a <= 1.0 { y } else { f64::NAN } as f32).copysign(x)
    }
}
