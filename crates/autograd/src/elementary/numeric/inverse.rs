//! asin, acos, atan and atan2, and hypot.
//!
//! atan: the angle from 0, π/4 or π/2, whichever is near, is a polynomial in the square of its tangent t, which is one division of what is
//! selected. asin and acos: up to ½ a polynomial in x², beyond it of the half angle, √((1 − x)/2). Minimax polynomials (E. Remez) of what is
//! left of the series.

// Lazy operators would be branches.
#![allow(clippy::needless_bitwise_bool)]

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::words::{fma, ordered_sum, polynomial, sign, signed};

/// What π/4, π/2, 3π/4 and π are rounded to, and by how much.
const ANGLES: [(f64, f64); 4] = [
    (FRAC_PI_4, 3.061_616_997_868_383e-17),
    (FRAC_PI_2, 6.123_233_995_736_766e-17),
    (2.356_194_490_192_345, 9.184_850_993_605_148e-17),
    (PI, 1.224_646_799_147_353_2e-16),
];

/// (atan t − t)/t³ in t², for |t| ≤ 0.5463, to 2⁻⁶² and 2⁻³³.
const ATAN: [f64; 14] = [
    -0.333_333_333_333_333_3,
    0.199_999_999_999_980_25,
    -0.142_857_142_854_541_62,
    0.111_111_110_950_092_78,
    -0.090_909_085_226_321_39,
    0.076_922_950_019_905_57,
    -0.066_664_757_904_390_26,
    0.058_803_426_546_199_85,
    -0.052_479_822_002_345_85,
    0.046_787_940_744_098_28,
    -0.040_166_765_613_131_275,
    0.030_446_096_294_399_445,
    -0.017_261_710_834_649_672,
    0.005_194_259_499_065_503,
];
const SHORT_ATAN: [f64; 7] = [
    -0.333_333_325_243_348_36,
    0.199_999_098_628_380_5,
    -0.142_827_301_113_829_1,
    0.110_663_597_188_648_61,
    -0.087_347_344_095_617_15,
    0.060_918_356_616_315_07,
    -0.025_722_504_622_598_036,
];

/// (asin x − x)/x³ in x², for |x| ≤ ½, to 2⁻⁵⁹ and 2⁻³⁵.
const ASIN: [f64; 13] = [
    0.166_666_666_666_667_02,
    0.074_999_999_999_844_25,
    0.044_642_857_163_743_79,
    0.030_381_943_138_356_605,
    0.022_372_205_133_785_173,
    0.017_351_752_625_159_3,
    0.013_979_523_138_276_054,
    0.011_406_698_314_344_293,
    0.010_750_760_625_109_707,
    0.003_770_024_604_226_216,
    0.021_656_878_064_198_064,
    -0.021_060_057_156_733_21,
    0.032_741_483_343_307_36,
];
const SHORT_ASIN: [f64; 7] = [
    0.166_666_669_744_737_48,
    0.074_999_596_500_017_28,
    0.044_658_257_841_197_63,
    0.030_122_622_514_980_487,
    0.024_595_254_239_016_127,
    0.007_409_728_031_815_167,
    0.034_887_932_681_866_03,
];

/// The angle of the point (b, a) in the first quadrant; seen from the negative side where `left`.
#[inline(always)]
fn angle<const FMA: bool, const N: usize>(a: f64, b: f64, left: bool, series: &[f64; N]) -> f64 {
    let (middle, steep) = (a > 0.5463 * b, a > 2.414 * b);
    let over = if middle { a - b } else { a };
    let over = if steep { -b } else { over };
    let under = if middle { a + b } else { b };
    let under = if steep { a } else { under };
    let t = over / under;
    let z = t * t;
    let flat = if left { ANGLES[3] } else { (0.0, 0.0) };
    let inclined = if left { ANGLES[2] } else { ANGLES[0] };
    let from = (if middle { inclined.0 } else { flat.0 }, if middle { inclined.1 } else { flat.1 });
    let from = (if steep { ANGLES[1].0 } else { from.0 }, if steep { ANGLES[1].1 } else { from.1 });
    let t = if left { -t } else { t };
    from.0 + (t + fma::<FMA>(t * z, polynomial::<FMA, _>(z, series), from.1))
}

/// s and s·z·P(z) with x² or the square of the half angle for z, and whether it is the half angle.
#[inline(always)]
fn half_angle<const FMA: bool, const N: usize>(x: f64, series: &[f64; N]) -> (f64, f64, bool) {
    let a = x.abs();
    let far = a > 0.5;
    let z = if far { 0.5 - 0.5 * a } else { a * a };
    let s = if far { z.sqrt() } else { a };
    (s, s * z * polynomial::<FMA, _>(z, series), far)
}

#[inline(always)]
fn asin_of<const FMA: bool, const N: usize>(x: f64, series: &[f64; N]) -> f64 {
    let (s, rest, far) = half_angle::<FMA, N>(x, series);
    let (v, e) = ordered_sum(ANGLES[1].0, -2.0 * s);
    let y = if far { v - ((2.0 * rest - ANGLES[1].1) - e) } else { s + rest };
    signed(y, sign(x))
}

#[inline(always)]
fn acos_of<const FMA: bool, const N: usize>(x: f64, series: &[f64; N]) -> f64 {
    let (s, rest, far) = half_angle::<FMA, N>(x, series);
    let near = ANGLES[1].0 - (x - (ANGLES[1].1 - signed(rest, sign(x))));
    let right = 2.0 * (s + rest);
    let (v, e) = ordered_sum(ANGLES[3].0, -2.0 * s);
    let left = v - ((2.0 * rest - ANGLES[3].1) - e);
    let y = if x > 0.0 { right } else { left };
    if far { y } else { near }
}

/// The point (b, a) with both numbers positive, moved to where neither their sum nor their ratio is a problem.
#[inline(always)]
fn tame(a: f64, b: f64) -> (f64, f64) {
    const UP: f64 = f64::from_bits((1023 + 120) << 52);
    let (huge, tiny) = ((a > 1e308) | (b > 1e308), (a < 1e-280) & (b < 1e-280));
    let scale = if tiny { UP } else { 1.0 };
    let scale = if huge { 0.25 } else { scale };
    let (a, b) = (a * scale, b * scale);
    let diagonal = (a == f64::INFINITY) & (b == f64::INFINITY);
    let origin = (a == 0.0) & (b == 0.0);
    (if diagonal { 1.0 } else { a }, if diagonal | origin { 1.0 } else { b })
}

pub(super) mod double {
    use super::{ASIN, ATAN, acos_of, angle, asin_of, fma, sign, signed, tame};

    #[inline(always)]
    pub(in super::super) fn asin<const FMA: bool>(x: f64) -> f64 {
        asin_of::<FMA, _>(x, &ASIN)
    }

    #[inline(always)]
    pub(in super::super) fn acos<const FMA: bool>(x: f64) -> f64 {
        acos_of::<FMA, _>(x, &ASIN)
    }

    #[inline(always)]
    pub(in super::super) fn atan<const FMA: bool>(x: f64) -> f64 {
        signed(angle::<FMA, _>(x.abs(), 1.0, false, &ATAN), sign(x))
    }

    #[inline(always)]
    pub(in super::super) fn atan2<const FMA: bool>(y: f64, x: f64) -> f64 {
        let (a, b) = tame(y.abs(), x.abs());
        angle::<FMA, _>(a, b, sign(x) != 0, &ATAN).copysign(y)
    }

    #[inline(always)]
    pub(in super::super) fn hypot<const FMA: bool>(x: f64, y: f64) -> f64 {
        const UP: f64 = f64::from_bits((1023 + 600) << 52);
        const DOWN: f64 = f64::from_bits((1023 - 600) << 52);
        let (a, b) = (x.abs(), y.abs());
        let (large, small) = if a < b { (b, a) } else { (a, b) };
        // Squares of what is multiplied by a power of two neither overflow nor lose bits that count.
        let (huge, tiny) = (large > 1e150, large < 1e-130);
        let (up, down) = if tiny { (UP, DOWN) } else { (1.0, 1.0) };
        let (scale, back) = (if huge { DOWN } else { up }, if huge { UP } else { down });
        let (l, s) = (large * scale, small * scale);
        let h = fma::<FMA>(l, l, s * s).sqrt() * back;
        if (a == f64::INFINITY) | (b == f64::INFINITY) { f64::INFINITY } else { h }
    }
}

/// In doubles, to 2⁻³³.
pub(super) mod single {
    use super::{SHORT_ASIN, SHORT_ATAN, acos_of, angle, asin_of, fma, sign, signed, tame};

    #[inline(always)]
    pub(in super::super) fn asin<const FMA: bool>(x: f32) -> f32 {
        asin_of::<FMA, _>(f64::from(x), &SHORT_ASIN) as f32
    }

    #[inline(always)]
    pub(in super::super) fn acos<const FMA: bool>(x: f32) -> f32 {
        acos_of::<FMA, _>(f64::from(x), &SHORT_ASIN) as f32
    }

    #[inline(always)]
    pub(in super::super) fn atan<const FMA: bool>(x: f32) -> f32 {
        let x = f64::from(x);
        signed(angle::<FMA, _>(x.abs(), 1.0, false, &SHORT_ATAN), sign(x)) as f32
    }

    #[inline(always)]
    pub(in super::super) fn atan2<const FMA: bool>(y: f32, x: f32) -> f32 {
        let (y, x) = (f64::from(y), f64::from(x));
        let (a, b) = tame(y.abs(), x.abs());
        angle::<FMA, _>(a, b, sign(x) != 0, &SHORT_ATAN).copysign(y) as f32
    }

    #[inline(always)]
    pub(in super::super) fn hypot<const FMA: bool>(x: f32, y: f32) -> f32 {
        let (x, y) = (f64::from(x), f64::from(y));
        let h = fma::<FMA>(x, x, y * y).sqrt();
        (if (x.abs() == f64::INFINITY) | (y.abs() == f64::INFINITY) { f64::INFINITY } else { h }) as f32
    }
}
