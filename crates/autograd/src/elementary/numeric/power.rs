//! Sizes of powers: xʸ for x ≥ 0, as e^(y·ln x); signs and what is special are left to the caller.
//!
//! x = 2ᵏ(1 + f) with 1 + f between √½ and √2.

use std::f64::consts::{LN_2, LOG2_E};

use super::{
    PowerOfTwo, Primitives, exponential,
    logarithm::{self, LN_2_WORDS, at_ends},
    words::{fma, ordered_sum, polynomial, product},
};

/// ⅔ in two words.
const TWO_THIRDS: (f64, f64) = (0.666_666_666_666_666_6, 3.700_743_415_417_188e-17);

/// With a logarithm to 2⁻⁶⁴: ln(1 + f) = 2s + s·R(s²) for s = f/(2 + f), all but the end of the series in two words.
#[inline(always)]
pub(super) fn double<const FMA: bool>(x: f64, y: f64) -> f64 {
    let (f, k) = f64::split_ln(x);
    // f/(2 + f).
    let (d, d_low) = ordered_sum(2.0, f);
    let inverse = 1.0 / d;
    let s = f * inverse;
    let s_low = (fma::<FMA>(-s, d, f) - s * d_low) * inverse;
    let (z, lost) = product::<FMA>(s, s);
    let z_low = fma::<FMA>(s + s, s_low, lost);
    // R(z) = ⅔z + z²·P(z), P a minimax polynomial (E. Remez).
    let p = polynomial::<FMA, _>(
        z,
        &[
            0.4,
            0.285_714_285_714_293_75,
            0.222_222_222_216_513_3,
            0.181_818_183_363_224_1,
            0.153_845_948_722_241_86,
            0.133_348_091_953_010_03,
            0.117_061_250_738_119_09,
            0.117_242_589_768_894_19,
        ],
    );
    let (first, lost) = product::<FMA>(z, TWO_THIRDS.0);
    let lost = fma::<FMA>(z_low, TWO_THIRDS.0, fma::<FMA>(z, TWO_THIRDS.1, lost));
    let (c, e) = ordered_sum(first, z * z * p);
    let c_low = e + lost;
    let (t, lost) = product::<FMA>(s, c);
    let t_low = fma::<FMA>(s, c_low, fma::<FMA>(s_low, c, lost));
    let (l, e) = ordered_sum(s + s, t);
    let l_low = e + (s_low + s_low + t_low);
    let (h, e) = ordered_sum(k * LN_2_WORDS.0, l);
    let h_low = e + fma::<FMA>(k, LN_2_WORDS.1, l_low);
    let h = at_ends(x, h);
    // Beyond, the result is 0 or infinite; NaN stays.
    let p = y * h;
    let low = fma::<FMA>(y, h_low, fma::<FMA>(y, h, -p));
    let low = if p.abs() < 800.0 { low } else { 0.0 };
    let (power, q) = exponential::of_words::<FMA>(f64::within(p, -800.0, 800.0), low);
    let (a, b) = power.halves();
    fma::<FMA>(q, a, a) * b
}

/// In doubles, to 2⁻³⁰.
#[inline(always)]
pub(super) fn single<const FMA: bool>(x: f32, y: f32) -> f32 {
    let x = f64::from(x);
    let (f, k) = f64::split_ln(x);
    let l = at_ends(x, fma::<FMA>(logarithm::short::<FMA>(f), LOG2_E, k));
    // Beyond, the result is 0 or infinite; NaN stays.
    let exponent = f64::within(f64::from(y) * l, -200.0, 200.0);
    let power = PowerOfTwo::<f64>::of(exponent);
    (exponential::short::<FMA>((exponent - power.exponent()) * LN_2) * power.whole()) as f32
}
