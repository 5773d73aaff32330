//! The standard normal distribution: its density φ and its distribution function Φ.
//!
//! Both take e^(−t²/2), t = |x|, from one text, so that a compiler that inlines both computes it once. t²/2 has two words. Φ(−t) = e^(−t²/2)·w·g
//! with w = 1/(t + c), after M. Shepherd and J. Laframboise 1981, where g − ½ is one polynomial in w − m from the middle to the end of the range:
//! its coefficients were rounded one after the other, and the others fitted again. m is a number at which g is close to a short one. In f64
//! that would be wrong by up to 2.6 units in the last place for small t, and a series stands there in its place.

use super::{Primitives, words};

macro_rules! normal {
    ($words:ident, $t:ident, end: $end:literal, c: $c:literal, m: $m:literal, slope: ($k0:literal, $k1:literal),
     height: ($height:literal, $height_low:literal), v: $v:literal, g: $g:expr, middle: $middle:ident) => {
        pub(super) mod $words {
            use super::{super::PowerOfTwo, Primitives, words::$words::exact};

            /// φ(0), in two words.
            pub(super) const HEIGHT: ($t, $t) = ($height, $height_low);

            /// For t = |x| and e^(−t²/2) = 2ⁿeʳ: t; 2ⁿ; r, in two words; and two factors of eʳ − 1 − r.
            #[inline(always)]
            fn bell<const FMA: bool>(x: $t) -> ($t, PowerOfTwo<$t>, ($t, $t), [$t; 2]) {
                // Beyond, both functions are at their limits; NaN stays.
                let t = x.abs();
                let t = if t > $end { $end } else { t };
                let half = -0.5 * t;
                let square = half * t;
                let (power, r, low) = $t::reduced_words::<FMA>(square, exact::<FMA>(half, t, -square));
                (t, power, (r, low), [r * r, $t::curvature::<FMA>(r)])
            }

            #[inline(always)]
            pub(in super::super) fn pdf<const FMA: bool>(x: $t) -> $t {
                let (_, power, (r, _), [square, curvature]) = bell::<FMA>(x);
                let q = $t::fma::<FMA>(square, curvature, r);
                let (a, b) = power.lowered();
                ($t::fma::<FMA>(q, HEIGHT.0, HEIGHT.1) + HEIGHT.0) * a * b
            }

            #[inline(always)]
            pub(in super::super) fn cdf<const FMA: bool>(x: $t) -> $t {
                let (t, power, (r, low), [square, curvature]) = bell::<FMA>(x);
                let d = t + $c;
                let w = 1.0 / d;
                // How far w is from what it should be, relatively; it changes w·g by a little more than as much.
                let left = exact::<FMA>(-w, t - (d - $c), exact::<FMA>(-w, d, 1.0));
                let z = w - $m;
                let v = exact::<FMA>(z, $t::polynomial::<FMA, _>(z, &$g), $v);
                let low = $t::fma::<FMA>(left, $t::fma::<FMA>(w, $k1, $k0), low);
                let y = $t::fma::<FMA>(0.5 + v, r + $t::fma::<FMA>(square, curvature, low), v);
                let (a, b) = power.lowered();
                let tail = $t::fma::<FMA>(w, y, 0.5 * w) * a * b;
                super::$middle::<FMA>(x, if x > 0.0 { 1.0 - tail } else { tail })
            }
        }
    };
}

/// Φ(x) = ½ + x·(φ(0) + x²·s(x²)), where |x| < 1.
#[inline(always)]
fn by_series<const FMA: bool>(x: f64, far: f64) -> f64 {
    /// (−1)ᵏ·φ(0) / (2ᵏ·k!·(2k + 1)) from k = 1 on.
    const S: [f64; 15] = [
        -0.066_490_380_066_905_44,
        0.009_973_557_010_035_817,
        -0.001_187_328_215_480_454_3,
        0.000_115_434_687_616_155_29,
        -9.444_656_259_503_615e-6,
        6.659_693_516_316_651e-7,
        -4.122_667_414_862_689e-8,
        2.273_529_824_372_806_5e-9,
        -1.130_117_164_161_921_3e-10,
        5.112_434_790_256_310_6e-12,
        -2.121_761_474_217_046e-13,
        8.133_418_984_498_675e-15,
        -2.896_516_732_371_323e-16,
        9.631_274_849_017_947e-18,
        -3.003_300_759_371_187_7e-19,
    ];
    let (height, low) = double::HEIGHT;
    let square = x * x;
    let first = x * height;
    let low = words::double::exact::<FMA>(x, height, -first) + x * low;
    let sum = 0.5 + first;
    let lost = first - (sum - 0.5);
    let rest = f64::fma::<FMA>(x * square, f64::polynomial::<FMA, _>(square, &S), low);
    if x.abs() < 1.0 { sum + (lost + rest) } else { far }
}

#[inline(always)]
fn as_it_is<const FMA: bool>(_: f32, far: f32) -> f32 {
    far
}

normal!(double, f64, end: 38.7, c: 4.0, m: 0.136_737_089_204_420_8, slope: (0.7, 9.5),
    height: (0.398_942_280_401_432_7, -2.492_327_202_277_73e-17), v: 0.315_937_019_420_764_85,
    g: [5.485_877_844_493_163, 28.347_637_663_698_478, 107.422_117_379_059_39, 259.809_561_870_308, 173.221_020_442_150_35,
        -1_180.369_476_331_774_4, -3_058.454_935_568_646_8, 5_421.718_593_795_868, 28_549.201_076_256_79, -39_147.494_069_590_27,
        -262_459.307_978_824_1, 487_736.629_599_101_9, 2_361_756.667_571_756_5, -7_541_066.167_655_635, -17_142_607.344_147_496,
        112_670_337.471_381_3, 18_288_529.633_421_3, -1_433_983_247.206_132_7, 2_450_401_215.002_971, 13_563_931_899.101_006,
        -49_486_418_642.915_22, -70_370_432_520.064_15, 410_824_047_016.946_66],
    middle: by_series);
normal!(single, f32, end: 14.5, c: 2.0, m: 0.280_788_93, slope: (1.16, 1.08),
    height: (0.398_942_3, -1.133_517e-8), v: 0.213_590_62,
    g: [1.347_322_7, 0.244_907_87, -2.304_481_7, 0.817_053_26, 5.234_735_5, -9.549_245, -1.606_029_7, 39.616_524, -69.569_67,
        -61.703_663, 281.955],
    middle: as_it_is);
