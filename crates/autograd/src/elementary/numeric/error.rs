//! erf and erfc.
//!
//! Up to 3/4, erf(x) = x + x·P(x²). Beyond, erfc(x) = e^(−x²)·G(w) with G(w) = w(1/√π + w·H(w)) and w = 1/(x + c), after M. Shepherd and J. Laframboise
//! 1981: one polynomial to the end of the range. x², w and 1/√π + w·H have two words. Minimax polynomials (E. Remez). In f32, G(w)/w is ½ and a
//! polynomial in w − 0.28, whose terms fall: it rounds less than one in w.

use std::ops::{Add, Sub};

use super::{
    Primitives,
    exponential::of_words,
    words::{fma, polynomial, product, sign, signed, sum},
};

/// Up to here erf is a polynomial.
const NEAR: f32 = 0.75;

/// erfc(x), of erf(x) − x, which holds up to [`NEAR`], and erfc(|x|), which holds beyond.
#[inline(always)]
fn complement<T: Copy + PartialOrd + Add<Output = T> + Sub<Output = T> + From<f32>>(x: T, near: T, tail: T) -> T {
    let half = T::from(0.5);
    // Of what is subtracted from ½ the first difference is exact.
    let small = if x < T::from(0.25) { T::from(1.0) - (x + near) } else { half + ((half - x) - near) };
    let large = if x < T::from(0.0) { T::from(2.0) - tail } else { tail };
    if (x < T::from(NEAR)) & (x > T::from(-NEAR)) { small } else { large }
}

pub(super) mod double {
    use super::{NEAR, complement, fma, of_words, polynomial, product, sign, signed, sum};

    /// 1/√π in two words.
    const HEIGHT: (f64, f64) = (0.564_189_583_547_756_3, 7.667_729_806_582_94e-18);

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
        let (power, q) = of_words::<FMA>(-square, -lost);
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
        let (a, b) = power.halves();
        (v + fma::<FMA>(v, q, fma::<FMA>(v_low, q, v_low))) * a * b
    }

    #[inline(always)]
    pub(in super::super) fn erf<const FMA: bool>(x: f64) -> f64 {
        let a = x.abs();
        let (small, large) = (a + near::<FMA>(a), 1.0 - tail::<FMA>(a));
        signed(if a < f64::from(NEAR) { small } else { large }, sign(x))
    }

    #[inline(always)]
    pub(in super::super) fn erfc<const FMA: bool>(x: f64) -> f64 {
        complement(x, near::<FMA>(x), tail::<FMA>(x.abs()))
    }
}

/// In singles, which have a second word where the doubles have one.
pub(super) mod single {
    use super::{super::words::single::exact, NEAR, Primitives, complement};

    /// erf(x) − x for |x| ≤ ¾, to 2⁻²⁹ of erf(x).
    #[inline(always)]
    fn near<const FMA: bool>(x: f32) -> f32 {
        let p =
            f32::polynomial::<FMA, _>(x * x, &[0.128_379_17, -0.376_126_2, 0.112_833_76, -0.026_834_626, 0.005_114_347, -0.000_674_951_3]);
        x * p
    }

    /// erfc(x) for x ≥ ¾, its polynomial to 2⁻²⁸.
    #[inline(always)]
    fn tail<const FMA: bool>(x: f32) -> f32 {
        // Beyond, it is 0; NaN stays.
        let x = if x > 10.3 { 10.3 } else { x };
        let square = x * x;
        let (power, r, r_low) = f32::reduced_words::<FMA>(-square, -exact::<FMA>(x, x, -square));
        let d = x + 1.0;
        let w = 1.0 / d;
        let left = exact::<FMA>(-w, d, 1.0) - w * (x - (d - 1.0));
        // At this place it is ½ + 0.234… to 2⁻³⁵.
        let t = w - 0.280_006_17;
        let h = f32::polynomial::<FMA, _>(
            t,
            &[0.607_235_7, -0.168_029_28, -0.544_471_74, 0.418_383_2, 0.573_170_36, -1.253_306_6, 0.141_716_14, 2.370_51, -2.670_055],
        );
        let u = exact::<FMA>(t, h, 0.234_361_68);
        // A relative change of w changes G by 1.07 + 0.4w times as much, or nearly so.
        let rest = exact::<FMA>(r * r, f32::curvature::<FMA>(r), exact::<FMA>(left, exact::<FMA>(w, 0.4, 1.07), r_low));
        let y = exact::<FMA>(0.5 + u, r + rest, u);
        let (a, b) = power.halves();
        exact::<FMA>(w, y, 0.5 * w) * a * b
    }

    #[inline(always)]
    pub(in super::super) fn erf<const FMA: bool>(x: f32) -> f32 {
        let a = x.abs();
        let (small, large) = (a + near::<FMA>(a), 1.0 - tail::<FMA>(a));
        (if a < NEAR { small } else { large }).copysign(x)
    }

    #[inline(always)]
    pub(in super::super) fn erfc<const FMA: bool>(x: f32) -> f32 {
        complement(x, near::<FMA>(x), tail::<FMA>(x.abs()))
    }
}
