//! log2 and log10, and the logarithms that the inverse hyperbolic functions are made of.
//!
//! x = 2ᵏ(1 + f) with 1 + f between √½ and √2, and ln(1 + f) = 2 artanh(s) for s = f/(2 + f), a polynomial in s²: the reduction of the BSD msun.

use std::f64::consts::{LOG2_E, LOG10_2, LOG10_E};

use super::{
    Primitives,
    words::{fma, polynomial, sum},
};

/// ln 2 in two words, the first one so short that its products with exponents are exact.
pub(super) const LN_2_WORDS: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);

/// ln(1 + f) = 2s + s·R, as R for s² = z: coefficients of the BSD msun.
#[inline(always)]
fn series<const FMA: bool>(z: f64) -> f64 {
    let w = z * z;
    let odd = polynomial::<FMA, _>(
        w,
        &[6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1, 1.479_819_860_511_658_6e-1],
    );
    let even = polynomial::<FMA, _>(w, &[3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1]);
    fma::<FMA>(w, even, z * odd)
}

/// y, but for what a logarithm of x is where x is not positive and finite.
#[inline(always)]
pub(super) fn at_ends(x: f64, y: f64) -> f64 {
    let positive = if x == f64::INFINITY { x } else { y };
    let below = if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    if x > 0.0 { positive } else { below }
}

/// ln(u + ρ) + k·ln 2 for a small ρ.
#[inline(always)]
pub(super) fn of_words<const FMA: bool>(u: f64, rest: f64, k: f64) -> f64 {
    let (f, exponent) = f64::split_ln(u);
    let k = k + exponent;
    let s = f / (2.0 + f);
    let half_square = 0.5 * f * f;
    let low = fma::<FMA>(k, LN_2_WORDS.1, rest / u);
    fma::<FMA>(k, LN_2_WORDS.0, f - (half_square - fma::<FMA>(s, half_square + series::<FMA>(s * s), low)))
}

/// artanh((p − g)/(p + g)) + k·ln 2/2, where p − g is `difference`.
#[inline(always)]
pub(super) fn half_of_ratio<const FMA: bool>(difference: f64, total: f64, k: f64) -> f64 {
    let s = difference / total;
    let r = fma::<FMA>(s, 0.5 * series::<FMA>(s * s), k * (0.5 * LN_2_WORDS.1));
    fma::<FMA>(k, 0.5 * LN_2_WORDS.0, s + r)
}

/// k and ln(1 + f) for 1 + x = 2ᵏ(1 + f), to 2⁻³⁸ of themselves, where neither x nor 1 + x is too small to be normal.
#[inline(always)]
pub(super) fn short_1p<const FMA: bool>(x: f64) -> (f64, f64) {
    let (f, k) = f64::split_ln(1.0 + x);
    (k, short::<FMA>(if k == 0.0 { x } else { f }))
}

/// ln(1 + f), to 2⁻³⁸ of itself, for 1 + f between √½ and √2: a minimax polynomial (E. Remez), which is quicker here than a division.
#[inline(always)]
pub(super) fn short<const FMA: bool>(f: f64) -> f64 {
    let p = polynomial::<FMA, _>(
        f,
        &[
            -0.499_999_999_925_757_9,
            0.333_333_334_086_903_97,
            -0.250_000_022_659_603_5,
            0.199_999_898_376_260_67,
            -0.166_664_755_637_131_98,
            0.142_860_865_539_357_48,
            -0.125_069_234_870_223_26,
            0.111_085_152_158_867_66,
            -0.098_787_570_476_726_82,
            0.090_017_180_444_987_91,
            -0.093_038_415_626_599_38,
            0.092_847_232_316_070_75,
            -0.049_775_230_046_923_82,
        ],
    );
    fma::<FMA>(f * f, p, f)
}

pub(super) mod double {
    use super::{Primitives, at_ends, fma, series, sum};

    /// ln(1 + f) in two words, the first one of 20 bits, and k.
    #[inline(always)]
    fn pair<const FMA: bool>(x: f64) -> ((f64, f64), f64) {
        let (f, k) = f64::split_ln(x);
        let s = f / (2.0 + f);
        let half_square = 0.5 * f * f;
        let high = f64::from_bits((f - half_square).to_bits() & !0xffff_ffff);
        let low = fma::<FMA>(s, half_square + series::<FMA>(s * s), (f - high) - half_square);
        ((high, low), k)
    }

    #[inline(always)]
    pub(in super::super) fn log2<const FMA: bool>(x: f64) -> f64 {
        const FACTOR: (f64, f64) = (1.442_695_040_721_446_3, 1.675_171_316_488_651_2e-10);
        let ((high, low), k) = pair::<FMA>(x);
        let value = high * FACTOR.0;
        let rest = fma::<FMA>(low, FACTOR.0, (low + high) * FACTOR.1);
        let (y, e) = sum(k, value);
        at_ends(x, y + (rest + e))
    }

    #[inline(always)]
    pub(in super::super) fn log10<const FMA: bool>(x: f64) -> f64 {
        const FACTOR: (f64, f64) = (4.342_944_818_781_689e-1, 2.508_294_671_164_527_5e-11);
        const LOG10_2_WORDS: (f64, f64) = (3.010_299_956_636_117_7e-1, 3.694_239_077_158_931e-13);
        let ((high, low), k) = pair::<FMA>(x);
        let value = high * FACTOR.0;
        let rest = fma::<FMA>(k, LOG10_2_WORDS.1, fma::<FMA>(low, FACTOR.0, (low + high) * FACTOR.1));
        let (y, e) = sum(k * LOG10_2_WORDS.0, value);
        at_ends(x, y + (rest + e))
    }
}

/// In doubles, to 2⁻³⁸.
pub(super) mod single {
    use super::{LOG2_E, LOG10_2, LOG10_E, Primitives, at_ends, fma, short};

    #[inline(always)]
    pub(in super::super) fn log2<const FMA: bool>(x: f32) -> f32 {
        let x = f64::from(x);
        let (f, k) = f64::split_ln(x);
        at_ends(x, fma::<FMA>(short::<FMA>(f), LOG2_E, k)) as f32
    }

    #[inline(always)]
    pub(in super::super) fn log10<const FMA: bool>(x: f32) -> f32 {
        let x = f64::from(x);
        let (f, k) = f64::split_ln(x);
        at_ends(x, fma::<FMA>(k, LOG10_2, short::<FMA>(f) * LOG10_E)) as f32
    }
}
