//! erf and erfc.
//!
//! Up to 3/4, erf(x) = x + x·P(x²). Beyond, erfc(x) = e^(−x²)·G(w) with G(w) = w(1/√π + w·H(w)) and w = 1/(x + c), after M. Shepherd and J. Laframboise
//! 1981: one polynomial to the end of the range. x², w and 1/√π + w·H have two words. Minimax polynomials (E. Remez).

use std::f64::consts::LOG2_E;

use super::{
    Primitives,
    exponential::{self, of_words, scaled},
    words::{fma, polynomial, product, sign, signed, sum},
};

/// Up to here erf is a polynomial.
const NEAR: f64 = 0.75;

/// 1/√π in two words.
const HEIGHT: (f64, f64) = (0.564_189_583_547_756_3, 7.667_729_806_582_94e-18);

/// erfc(x), erf for x below [`NEAR`] as x + that, and the sign left to the caller.
#[inline(always)]
fn complement(x: f64, near: f64, tail: f64) -> f64 {
    let a = x.abs();
    // Of what is subtracted from ½ the first difference is exact.
    let small = if x < 0.25 { 1.0 - (x + near) } else { 0.5 + ((0.5 - x) - near) };
    let large = if x < 0.0 { 2.0 - tail } else { tail };
    if a < NEAR { small } else { large }
}

pub(super) mod double {
    use super::{HEIGHT, NEAR, complement, fma, of_words, polynomial, product, scaled, sign, signed, sum};

    /// erf(x) − x for |x| ≤ ¾.
    #[inline(always)]
    fn near<const FMA: bool>(x: f64) -> f64 {
        let p = polynomial::<FMA, _>(
            x * x,
            &[
                0.128_379_167_095_512_6,
                -0.376_126_389_031_837_15,
                0.112_837_916_709_524_78,
                -0.026_866_170_644_401_683,
                0.005_223_977_615_111_727_5,
                -0.000_854_832_616_830_561_6,
                0.000_120_552_887_422_679_13,
                -1.492_417_568_690_729_8e-5,
                1.643_037_275_229_377_1e-6,
                -1.593_746_173_578_050_3e-7,
                1.146_323_536_139_882_5e-8,
            ],
        );
        x * p
    }

    /// erfc(x) for x ≥ ¾.
    #[inline(always)]
    fn tail<const FMA: bool>(x: f64) -> f64 {
        // Beyond, it is 0; NaN stays.
        let x = if x > 27.3 { 27.3 } else { x };
        let (square, lost) = product::<FMA>(x, x);
        let (n, q) = of_words::<FMA>(-square, -lost);
        let (d, d_low) = sum(x, 3.0);
        let w = 1.0 / d;
        let (p, e) = product::<FMA>(w, d);
        let left = ((1.0 - p) - e) - w * d_low;
        let h = polynomial::<FMA, _>(
            w,
            &[
                12.694_265_792_316_733,
                30.889_366_147_511_94,
                67.280_332_043_001_8,
                124.588_298_560_797_06,
                172.752_677_289_122_54,
                64.262_800_789_323_25,
                -194.696_477_851_590_94,
                -4_951.261_641_539_932,
                30_059.522_085_753_368,
                -264_571.357_266_367_76,
                1_711_708.811_029_479_4,
                -8_404_162.904_790_146,
                32_532_693.938_189_2,
                -93_350_365.709_596_07,
                186_366_268.542_894_42,
                -243_602_672.071_435_9,
                188_011_883.796_401_7,
                -65_272_181.221_582_13,
            ],
        );
        // The largest terms one after the other, to be rounded last.
        let h = fma::<FMA>(w, fma::<FMA>(w, h, 4.795_611_459_109_048), 1.692_568_750_645_475_4);
        let (p, lost) = product::<FMA>(w, h);
        let (g, e) = sum(HEIGHT.0, p);
        let rest = (e + lost) + HEIGHT.1;
        let (v, e) = product::<FMA>(w, g);
        // A relative change of w changes G by nearly 1 + 5.5w times as much.
        let v_low = fma::<FMA>(v * left, fma::<FMA>(5.5, w, 1.0), fma::<FMA>(w, rest, e));
        scaled(v + fma::<FMA>(v, q, fma::<FMA>(v_low, q, v_low)), n)
    }

    #[inline(always)]
    pub(in super::super) fn erf<const FMA: bool>(x: f64) -> f64 {
        let a = x.abs();
        let (small, large) = (a + near::<FMA>(a), 1.0 - tail::<FMA>(a));
        signed(if a < NEAR { small } else { large }, sign(x))
    }

    #[inline(always)]
    pub(in super::super) fn erfc<const FMA: bool>(x: f64) -> f64 {
        complement(x, near::<FMA>(x), tail::<FMA>(x.abs()))
    }
}

/// In doubles, to 2⁻²⁹.
pub(super) mod single {
    use super::{HEIGHT, LOG2_E, NEAR, Primitives, complement, exponential, fma, polynomial};

    #[inline(always)]
    fn near<const FMA: bool>(x: f64) -> f64 {
        let p = polynomial::<FMA, _>(
            x * x,
            &[
                0.128_379_167_067_788_3,
                -0.376_126_384_272_519_54,
                0.112_837_782_434_721_42,
                -0.026_864_741_673_817_565,
                0.005_216_686_565_277_701,
                -0.000_835_530_502_766_307_4,
                9.460_855_972_450_245e-5,
            ],
        );
        x * p
    }

    #[inline(always)]
    fn tail<const FMA: bool>(x: f64) -> f64 {
        let x = if x > 10.3 { 10.3 } else { x };
        let square = x * x;
        let n = f64::round_to_integer(-square * LOG2_E);
        let power = exponential::short::<FMA>(fma::<FMA>(n, -std::f64::consts::LN_2, -square)) * f64::exp2_integer(n);
        let w = 1.0 / (x + 2.0);
        let h = polynomial::<FMA, _>(
            w,
            &[
                1.128_352_754_123_463_7,
                1.976_204_939_151_055_9,
                2.781_831_739_886_275_7,
                3.247_197_771_885_739,
                -5.467_585_805_712_739,
                23.667_728_976_600_18,
                -133.051_093_451_040_57,
                276.315_810_552_843,
                -257.058_978_852_248_63,
                92.247_440_521_507_07,
            ],
        );
        power * (w * fma::<FMA>(w, h, HEIGHT.0))
    }

    #[inline(always)]
    pub(in super::super) fn erf<const FMA: bool>(x: f32) -> f32 {
        let a = f64::from(x.abs());
        let (small, large) = (a + near::<FMA>(a), 1.0 - tail::<FMA>(a));
        (if a < NEAR { small } else { large } as f32).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn erfc<const FMA: bool>(x: f32) -> f32 {
        let x = f64::from(x);
        complement(x, near::<FMA>(x), tail::<FMA>(x.abs())) as f32
    }
}
