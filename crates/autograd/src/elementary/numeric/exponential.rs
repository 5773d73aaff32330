//! Exponentials for the other families: of two words, and short ones.

use super::{
    PowerOfTwo, Primitives,
    words::{fma, polynomial},
};

/// e^(p + ρ) as 2ⁿ(1 + q): 2ⁿ and q, for |p| < 800.
#[inline(always)]
pub(super) fn of_words<const FMA: bool>(p: f64, rest: f64) -> (PowerOfTwo<f64>, f64) {
    let (power, r, low) = f64::reduced_words::<FMA>(p, rest);
    let rest = r * r * rest_of_series::<FMA>(r);
    // The second word counts by the slope eʳ.
    (power, r + (rest + fma::<FMA>(low, r + rest, low)))
}

/// (eʳ − 1 − r)/r² for |r| ≤ ln 2/2: a minimax polynomial, to 2⁻⁶⁴ of eʳ.
#[inline(always)]
fn rest_of_series<const FMA: bool>(r: f64) -> f64 {
    polynomial::<FMA, _>(
        r,
        &[
            0.5,
            0.166_666_666_666_666_85,
            0.041_666_666_666_666_73,
            0.008_333_333_333_316_597,
            0.001_388_888_888_885_788_8,
            0.000_198_412_698_974_199_48,
            2.480_158_737_471_694_5e-5,
            2.755_723_386_857_383e-6,
            2.755_723_260_345_745e-7,
            2.511_237_038_962_918_6e-8,
            2.092_715_837_748_421_3e-9,
        ],
    )
}

/// eʳ for |r| ≤ ln 2/2, to 2⁻³⁴.
#[inline(always)]
pub(super) fn short<const FMA: bool>(r: f64) -> f64 {
    let p = polynomial::<FMA, _>(
        r,
        &[
            0.500_000_007_827_937_1,
            0.166_666_668_535_085_16,
            0.041_666_268_629_451_29,
            0.008_333_266_378_257_54,
            0.001_394_617_212_548_385,
            0.000_199_172_060_082_136_9,
        ],
    );
    1.0 + fma::<FMA>(r * r, p, r)
}
