//! Numeric kernels of the elementary functions, for f32 and f64, without branches so that loops over them vectorise.
//!
//! `exp`, `expm1`, `ln` and `ln_1p` follow the argument reductions of the BSD msun (W. Cody and W. Waite; P. Tang): split off a power of two,
//! then a short polynomial. tanh, sigmoid and softplus are built on them in forms that lose nothing at either end. The other families have
//! files of their own: f64 with a second word where one does not do, f32 in doubles with shorter polynomials, but for the error function. Their
//! errors are listed in the documentation of the module above, and `tests/numerics.rs` holds them to it. Without FMA, powers call a libm.

// Constants of a formula are f64 and are rounded to the element type where they meet it.
#![allow(clippy::cast_possible_truncation)]

mod words;
mod circular;
mod error;
mod hyperbolic;
mod inverse;
mod logarithm;
mod normal;
mod power;
mod exponential;

use std::ops::Mul;

/// The functions of the table that are computed natively. `FMA` allows fused multiply-adds.
#[allow(missing_docs)]
pub trait Numeric: Copy {
    fn neg<const FMA: bool>(self) -> Self;
    fn add<const FMA: bool>(self, b: Self) -> Self;
    fn sub<const FMA: bool>(self, b: Self) -> Self;
    fn mul<const FMA: bool>(self, b: Self) -> Self;
    fn div<const FMA: bool>(self, b: Self) -> Self;
    fn add_lit<const FMA: bool>(self, c: f64) -> Self;
    fn sub_lit<const FMA: bool>(self, c: f64) -> Self;
    fn rsub_lit<const FMA: bool>(self, c: f64) -> Self;
    fn mul_lit<const FMA: bool>(self, c: f64) -> Self;
    fn div_lit<const FMA: bool>(self, c: f64) -> Self;
    fn rdiv_lit<const FMA: bool>(self, c: f64) -> Self;
    fn masked_mul<const FMA: bool>(self, b: Self) -> Self;
    /// As `masked_mul`, signs of zeros included, but NaN where 0 meets an infinity or NaN.
    fn unmasked_mul<const FMA: bool>(self, b: Self) -> Self;
    fn abs<const FMA: bool>(self) -> Self;
    fn sign<const FMA: bool>(self) -> Self;
    fn step<const FMA: bool>(self) -> Self;
    fn square<const FMA: bool>(self) -> Self;
    fn recip<const FMA: bool>(self) -> Self;
    fn sqrt<const FMA: bool>(self) -> Self;
    fn powi<const FMA: bool>(self, n: i32) -> Self;
    fn powf<const FMA: bool>(self, c: f64) -> Self;
    fn pow<const FMA: bool>(self, b: Self) -> Self;
    fn exp<const FMA: bool>(self) -> Self;
    /// The same for a number that is [`is_moderate`](Numeric::is_moderate), in fewer steps; smaller ones are moved to the end of that range.
    fn exp_moderate<const FMA: bool>(self) -> Self;
    /// Whether eˣ is neither subnormal nor infinite.
    fn is_moderate(self) -> bool;
    /// Whether any of the numbers is NaN.
    fn has_nan(numbers: &[Self]) -> bool;
    /// Whether none of the numbers is infinite or NaN.
    fn are_finite(numbers: &[Self]) -> bool;
    fn expm1<const FMA: bool>(self) -> Self;
    fn ln<const FMA: bool>(self) -> Self;
    fn ln_1p<const FMA: bool>(self) -> Self;
    fn sin<const FMA: bool>(self) -> Self;
    fn cos<const FMA: bool>(self) -> Self;
    fn tan<const FMA: bool>(self) -> Self;
    fn tanh<const FMA: bool>(self) -> Self;
    fn sigmoid<const FMA: bool>(self) -> Self;
    fn softplus<const FMA: bool>(self) -> Self;
    fn exp2<const FMA: bool>(self) -> Self;
    fn log2<const FMA: bool>(self) -> Self;
    fn log10<const FMA: bool>(self) -> Self;
    fn asin<const FMA: bool>(self) -> Self;
    fn acos<const FMA: bool>(self) -> Self;
    fn atan<const FMA: bool>(self) -> Self;
    fn sinh<const FMA: bool>(self) -> Self;
    fn cosh<const FMA: bool>(self) -> Self;
    fn asinh<const FMA: bool>(self) -> Self;
    fn acosh<const FMA: bool>(self) -> Self;
    fn atanh<const FMA: bool>(self) -> Self;
    fn floor<const FMA: bool>(self) -> Self;
    fn ceil<const FMA: bool>(self) -> Self;
    fn round<const FMA: bool>(self) -> Self;
    fn trunc<const FMA: bool>(self) -> Self;
    fn rsqrt<const FMA: bool>(self) -> Self;
    fn atan2<const FMA: bool>(self, b: Self) -> Self;
    fn hypot<const FMA: bool>(self, b: Self) -> Self;
    fn erf<const FMA: bool>(self) -> Self;
    fn erfc<const FMA: bool>(self) -> Self;
    fn normal_cdf<const FMA: bool>(self) -> Self;
    fn normal_pdf<const FMA: bool>(self) -> Self;
    fn relu<const FMA: bool>(self) -> Self;
    fn leaky_relu<const FMA: bool>(self, slope: f64) -> Self;
    fn elu<const FMA: bool>(self, alpha: f64) -> Self;
    fn clamp<const FMA: bool>(self, low: f64, high: f64) -> Self;
    fn max<const FMA: bool>(self, b: Self) -> Self;
    fn min<const FMA: bool>(self, b: Self) -> Self;
    fn gt<const FMA: bool>(self, b: Self) -> Self;
    fn ge<const FMA: bool>(self, b: Self) -> Self;
    fn lt<const FMA: bool>(self, b: Self) -> Self;
    fn le<const FMA: bool>(self, b: Self) -> Self;
    fn eq<const FMA: bool>(self, b: Self) -> Self;
    fn ne<const FMA: bool>(self, b: Self) -> Self;
    fn select<const FMA: bool>(self, a: Self, b: Self) -> Self;
}

macro_rules! numeric {
    ($t:ident, $bits:ident, $words:ident, mantissa: $mantissa:literal, bias: $bias:literal,
     ln2: ($ln2_hi:expr, $ln2_lo:expr), exp: ($lowest:expr, $highest:expr), certain: $certain:literal, exp_poly: $exp_poly:expr,
     ln_even: $ln_even:expr, ln_odd: $ln_odd:expr, subnormal: ($scale:expr, $shift:expr), exponents: ($lowest_exponent:expr, $highest_exponent:expr)) => {
        impl Numeric for $t {
            #[inline(always)]
            fn neg<const FMA: bool>(self) -> Self {
                -self
            }
            #[inline(always)]
            fn add<const FMA: bool>(self, b: Self) -> Self {
                self + b
            }
            #[inline(always)]
            fn sub<const FMA: bool>(self, b: Self) -> Self {
                self - b
            }
            #[inline(always)]
            fn mul<const FMA: bool>(self, b: Self) -> Self {
                self * b
            }
            #[inline(always)]
            fn div<const FMA: bool>(self, b: Self) -> Self {
                self / b
            }
            #[inline(always)]
            fn add_lit<const FMA: bool>(self, c: f64) -> Self {
                self + c as $t
            }
            #[inline(always)]
            fn sub_lit<const FMA: bool>(self, c: f64) -> Self {
                self - c as $t
            }
            #[inline(always)]
            fn rsub_lit<const FMA: bool>(self, c: f64) -> Self {
                c as $t - self
            }
            #[inline(always)]
            fn mul_lit<const FMA: bool>(self, c: f64) -> Self {
                self * c as $t
            }
            #[inline(always)]
            fn div_lit<const FMA: bool>(self, c: f64) -> Self {
                self / c as $t
            }
            #[inline(always)]
            fn rdiv_lit<const FMA: bool>(self, c: f64) -> Self {
                c as $t / self
            }
            #[inline(always)]
            fn masked_mul<const FMA: bool>(self, b: Self) -> Self {
                let product = self * b;
                // In vectors the second comparison is made where the first holds: fewer steps than an alternative takes.
                if (self != 0.0) & (b != 0.0) { product } else { 0.0 }
            }
            #[inline(always)]
            fn unmasked_mul<const FMA: bool>(self, b: Self) -> Self {
                // −0 + 0 is 0, and a product that is not 0 keeps its sign when it underflows.
                if FMA { self.mul_add(b, 0.0) } else { Numeric::masked_mul::<FMA>(self, b) }
            }
            #[inline(always)]
            fn abs<const FMA: bool>(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn sign<const FMA: bool>(self) -> Self {
                // Every value stands before it is chosen: a branch would keep the loop from being vectorised.
                let zero = self * 0.0;
                let positive = if self > 0.0 { 1.0 } else { zero };
                if self < 0.0 { -1.0 } else { positive }
            }
            #[inline(always)]
            fn step<const FMA: bool>(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self <= 0.0 {
                    0.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn square<const FMA: bool>(self) -> Self {
                self * self
            }
            #[inline(always)]
            fn recip<const FMA: bool>(self) -> Self {
                1.0 / self
            }
            #[inline(always)]
            fn sqrt<const FMA: bool>(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn powi<const FMA: bool>(self, n: i32) -> Self {
                match n {
                    0 => 1.0,
                    1 => self,
                    2 => self * self,
                    3 => self * self * self,
                    -1 => 1.0 / self,
                    _ => $t::powi(self, n),
                }
            }
            #[inline(always)]
            fn powf<const FMA: bool>(self, c: f64) -> Self {
                Numeric::pow::<FMA>(self, c as $t)
            }
            #[inline(always)]
            fn pow<const FMA: bool>(self, b: Self) -> Self {
                if !FMA {
                    return $t::powf(self, b);
                }
                let size = power::$words::<FMA>($t::abs(self), b);
                // Where the logarithm 0 met an infinite exponent is NaN.
                let size = if (self == -1.0) & ($t::abs(b) == $t::INFINITY) { 1.0 } else { size };
                let half = 0.5 * b;
                let (is_whole, is_even) = (b.round_ties_even() == b, half.round_ties_even() == half);
                let value = if is_whole & !is_even { size.copysign(self) } else { size };
                let value = if (self < 0.0) & (self > $t::NEG_INFINITY) & !is_whole { $t::NAN } else { value };
                if (self == 1.0) | (b == 0.0) { 1.0 } else { value }
            }

            #[inline(always)]
            fn exp<const FMA: bool>(self) -> Self {
                let x = if self > $highest { $highest } else { self };
                $t::exp_below::<FMA>(x)
            }
            #[inline(always)]
            fn exp_moderate<const FMA: bool>(self) -> Self {
                let (power, q) = $t::split_exp::<FMA>(if self < -$t::MODERATE { -$t::MODERATE } else { self });
                let power = power.whole();
                $t::fma::<FMA>(q, power, power)
            }
            #[inline(always)]
            fn is_moderate(self) -> bool {
                self.abs() <= $t::MODERATE
            }
            #[inline(always)]
            fn has_nan(numbers: &[Self]) -> bool {
                $t::exceed(numbers, $t::INFINITY)
            }
            #[inline(always)]
            fn are_finite(numbers: &[Self]) -> bool {
                !$t::exceed(numbers, $t::MAX)
            }
            #[inline(always)]
            fn expm1<const FMA: bool>(self) -> Self {
                let (power, r) = $t::reduced::<FMA>($t::within(self, $lowest, $highest));
                let rest = r * r * $t::curvature::<FMA>(r);
                let (a, b) = power.halves();
                // (2ⁿ − 1) + 2ⁿr is exact, or nearly so, where the rest matters.
                let power = a * b;
                let small = $t::fma::<FMA>(power, rest, $t::fma::<FMA>(power, r, power - 1.0));
                let large = $t::fma::<FMA>(r + rest, a, a) * b;
                if self > $t::from($mantissa) {
                    large
                } else if self == 0.0 {
                    self
                } else {
                    small
                }
            }
            #[inline(always)]
            fn ln<const FMA: bool>(self) -> Self {
                let (f, k) = $t::split_ln(self);
                let s = f / (2.0 + f);
                let z = s * s;
                let w = z * z;
                let odd = z * $t::polynomial::<FMA, _>(w, &$ln_odd);
                let even = w * $t::polynomial::<FMA, _>(w, &$ln_even);
                let half_square = 0.5 * f * f;
                let finite = s * (half_square + odd + even) + k * $ln2_lo - half_square + f + k * $ln2_hi;
                if self > 0.0 {
                    if self == $t::INFINITY { self } else { finite }
                } else if self == 0.0 {
                    $t::NEG_INFINITY
                } else {
                    $t::NAN
                }
            }
            #[inline(always)]
            fn ln_1p<const FMA: bool>(self) -> Self {
                let u = 1.0 + self;
                // What the sum 1 + x lost is put back to first order.
                let lost = (self - (u - 1.0)) / u;
                let ln = Numeric::ln::<FMA>(u);
                // The zero that is 0 or −0 stays what it is.
                if self == 0.0 {
                    self
                } else if (u == 0.0) | (u == $t::INFINITY) {
                    ln
                } else {
                    ln + lost
                }
            }
            #[inline(always)]
            fn sin<const FMA: bool>(self) -> Self {
                circular::$words::sin::<FMA>(self)
            }
            #[inline(always)]
            fn cos<const FMA: bool>(self) -> Self {
                circular::$words::cos::<FMA>(self)
            }
            #[inline(always)]
            fn tan<const FMA: bool>(self) -> Self {
                circular::$words::tan::<FMA>(self)
            }
            #[inline(always)]
            fn tanh<const FMA: bool>(self) -> Self {
                // With h = (1 − e^(−2|x|))/2 it is h/(1 − h) = h + h·h/(1 − h). The first h is added in its two parts, so that its rounding does not
                // count. Beyond the limit, it is 1 to the last bit; NaN stays.
                let x = -2.0 * $t::abs(self);
                let x = if x < -$certain { -$certain } else { x };
                let (power, q) = $t::split_exp::<FMA>(x);
                let half = power.halved();
                let rest = 0.5 - half;
                let part = q * half;
                let h = rest - part;
                let t = h / ((0.5 + half) + part);
                (rest + $t::fma::<FMA>(h, t, -part)).copysign(self)
            }
            #[inline(always)]
            fn sigmoid<const FMA: bool>(self) -> Self {
                let e = $t::exp_below::<FMA>(-$t::abs(self));
                let t = e / (1.0 + e);
                let b = if self < 0.0 { e } else { 1.0 };
                $t::fma::<FMA>(-b, t, b)
            }
            #[inline(always)]
            fn softplus<const FMA: bool>(self) -> Self {
                let e = $t::exp_below::<FMA>(-$t::abs(self));
                (if self > 0.0 { self } else { 0.0 }) + Numeric::ln_1p::<FMA>(e)
            }
            #[inline(always)]
            fn rsqrt<const FMA: bool>(self) -> Self {
                1.0 / $t::sqrt(self)
            }
            #[inline(always)]
            fn exp2<const FMA: bool>(self) -> Self {
                // Below and above, the result is 0 or infinite.
                let x = $t::within(self, $lowest_exponent, $highest_exponent);
                let power = PowerOfTwo::<$t>::of(x);
                let r = (x - power.exponent()) * std::$t::consts::LN_2;
                let (a, b) = power.halves();
                $t::fma::<FMA>($t::expm1_inside::<FMA>(r), a, a) * b
            }
            #[inline(always)]
            fn log2<const FMA: bool>(self) -> Self {
                logarithm::$words::log2::<FMA>(self)
            }
            #[inline(always)]
            fn log10<const FMA: bool>(self) -> Self {
                logarithm::$words::log10::<FMA>(self)
            }
            #[inline(always)]
            fn asin<const FMA: bool>(self) -> Self {
                inverse::$words::asin::<FMA>(self)
            }
            #[inline(always)]
            fn acos<const FMA: bool>(self) -> Self {
                inverse::$words::acos::<FMA>(self)
            }
            #[inline(always)]
            fn atan<const FMA: bool>(self) -> Self {
                inverse::$words::atan::<FMA>(self)
            }
            #[inline(always)]
            fn sinh<const FMA: bool>(self) -> Self {
                hyperbolic::$words::sinh::<FMA>(self)
            }
            #[inline(always)]
            fn cosh<const FMA: bool>(self) -> Self {
                hyperbolic::$words::cosh::<FMA>(self)
            }
            #[inline(always)]
            fn floor<const FMA: bool>(self) -> Self {
                $t::floor(self)
            }
            #[inline(always)]
            fn ceil<const FMA: bool>(self) -> Self {
                $t::ceil(self)
            }
            #[inline(always)]
            fn trunc<const FMA: bool>(self) -> Self {
                $t::trunc(self)
            }
            #[inline(always)]
            fn round<const FMA: bool>(self) -> Self {
                $t::round_ties_even(self)
            }
            #[inline(always)]
            fn asinh<const FMA: bool>(self) -> Self {
                hyperbolic::$words::asinh::<FMA>(self)
            }
            #[inline(always)]
            fn acosh<const FMA: bool>(self) -> Self {
                hyperbolic::$words::acosh::<FMA>(self)
            }
            #[inline(always)]
            fn atanh<const FMA: bool>(self) -> Self {
                hyperbolic::$words::atanh::<FMA>(self)
            }
            #[inline(always)]
            fn atan2<const FMA: bool>(self, b: Self) -> Self {
                inverse::$words::atan2::<FMA>(self, b)
            }
            #[inline(always)]
            fn hypot<const FMA: bool>(self, b: Self) -> Self {
                inverse::$words::hypot::<FMA>(self, b)
            }
            #[inline(always)]
            fn erf<const FMA: bool>(self) -> Self {
                error::$words::erf::<FMA>(self)
            }
            #[inline(always)]
            fn erfc<const FMA: bool>(self) -> Self {
                error::$words::erfc::<FMA>(self)
            }
            #[inline(always)]
            fn normal_cdf<const FMA: bool>(self) -> Self {
                normal::$words::cdf::<FMA>(self)
            }
            #[inline(always)]
            fn normal_pdf<const FMA: bool>(self) -> Self {
                normal::$words::pdf::<FMA>(self)
            }
            #[inline(always)]
            fn relu<const FMA: bool>(self) -> Self {
                if self <= 0.0 { 0.0 } else { self }
            }
            #[inline(always)]
            fn leaky_relu<const FMA: bool>(self, slope: f64) -> Self {
                // A slope of 0 hides an infinity, and not NaN, which may stand for what a loop of vectors left out.
                let hidden = if slope as $t == 0.0 { $t::INFINITY } else { 0.0 };
                let negative = if $t::abs(self) <= hidden { 0.0 } else { self * slope as $t };
                if self > 0.0 { self } else { negative }
            }
            #[inline(always)]
            fn elu<const FMA: bool>(self, alpha: f64) -> Self {
                let negative = Numeric::expm1::<FMA>(self) * alpha as $t;
                if self > 0.0 { self } else { negative }
            }
            #[inline(always)]
            fn clamp<const FMA: bool>(self, low: f64, high: f64) -> Self {
                let (low, high) = (low as $t, high as $t);
                if self < low {
                    low
                } else if self > high {
                    high
                } else {
                    self
                }
            }
            #[inline(always)]
            fn max<const FMA: bool>(self, b: Self) -> Self {
                if (self >= b) | self.is_nan() { self } else { b }
            }
            #[inline(always)]
            fn min<const FMA: bool>(self, b: Self) -> Self {
                if (self <= b) | self.is_nan() { self } else { b }
            }
            #[inline(always)]
            fn gt<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self > b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn ge<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self >= b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn lt<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self < b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn le<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self <= b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn eq<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self == b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn ne<const FMA: bool>(self, b: Self) -> Self {
                $t::decided::<FMA>(self != b, self.is_nan() | b.is_nan())
            }
            #[inline(always)]
            fn select<const FMA: bool>(self, a: Self, b: Self) -> Self {
                let chosen = if self == 0.0 { b } else { a };
                if self.is_nan() { self } else { chosen }
            }
        }

        impl Primitives for $t {
            #[inline(always)]
            fn decided<const FMA: bool>(holds: bool, has_nan: bool) -> Self {
                if FMA & has_nan {
                    $t::NAN
                } else if holds {
                    1.0
                } else {
                    0.0
                }
            }
            const MODERATE: $t = ($bias - 2.0) * std::$t::consts::LN_2;
            #[inline(always)]
            fn fma<const FMA: bool>(a: Self, b: Self, c: Self) -> Self {
                if FMA { a.mul_add(b, c) } else { a * b + c }
            }
            #[inline(always)]
            fn polynomial<const FMA: bool, const N: usize>(x: Self, c: &[Self; N]) -> Self {
                estrin(c, x, $t::fma::<FMA>)
            }
            #[inline(always)]
            fn exceed(numbers: &[Self], bound: Self) -> bool {
                // Without their signs, numbers are in the same order as whole numbers; these are compared in half as many steps.
                let mut largest = 0;
                for v in numbers {
                    let size = v.to_bits() & (!0 >> 1);
                    largest = if size > largest { size } else { largest };
                }
                largest > bound.to_bits()
            }
            #[inline(always)]
            fn within(x: Self, low: Self, high: Self) -> Self {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            }
            #[inline(always)]
            fn exp_below<const FMA: bool>(x: Self) -> Self {
                let (power, q) = $t::split_exp::<FMA>(if x < $lowest { $lowest } else { x });
                let (a, b) = power.halves();
                $t::fma::<FMA>(q, a, a) * b
            }
            const EXPONENT: $t = 1.5 * ((1 as $bits) << $mantissa) as $t + 2.0 * $bias;
            #[inline(always)]
            fn split_exp<const FMA: bool>(x: Self) -> (PowerOfTwo<Self>, Self) {
                let (power, r) = $t::reduced::<FMA>(x);
                (power, $t::expm1_inside::<FMA>(r))
            }
            #[inline(always)]
            fn reduced<const FMA: bool>(x: Self) -> (PowerOfTwo<Self>, Self) {
                let power = PowerOfTwo($t::fma::<FMA>(x, std::$t::consts::LOG2_E, $t::EXPONENT));
                let n = power.exponent();
                let r = $t::fma::<FMA>(n, -$ln2_hi, x);
                (power, $t::fma::<FMA>(n, -$ln2_lo, r))
            }
            #[inline(always)]
            fn reduced_words<const FMA: bool>(x: Self, low: Self) -> (PowerOfTwo<Self>, Self, Self) {
                let power = PowerOfTwo($t::fma::<FMA>(x, std::$t::consts::LOG2_E, $t::EXPONENT));
                let n = power.exponent();
                // Exact.
                let high = $t::fma::<FMA>(n, -$ln2_hi, x);
                let low = $t::fma::<FMA>(n, -$ln2_lo, low);
                let r = high + low;
                (power, r, low - (r - high))
            }
            #[inline(always)]
            fn expm1_inside<const FMA: bool>(r: Self) -> Self {
                $t::fma::<FMA>(r * r, $t::curvature::<FMA>(r), r)
            }
            #[inline(always)]
            fn curvature<const FMA: bool>(r: Self) -> Self {
                $t::polynomial::<FMA, _>(r, &$exp_poly)
            }
            /// x = 2ᵏ(1 + f) with 1 + f between √½ and √2, as f and k.
            #[inline(always)]
            fn split_ln(x: Self) -> (Self, Self) {
                const SQRT_HALF: $bits = std::$t::consts::FRAC_1_SQRT_2.to_bits();
                const ONE: $bits = (1.0 as $t).to_bits();
                const INTEGER: $t = ((1 as $bits) << $mantissa) as $t;
                let subnormal = x < $t::MIN_POSITIVE;
                let x = if subnormal { x * $scale } else { x };
                let shifted = x.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(ONE);
                // The exponent field becomes a number by standing in the mantissa of 2^mantissa.
                let k = $t::from_bits((shifted >> $mantissa) | INTEGER.to_bits()) - (INTEGER + $bias);
                let k = if subnormal { k - $shift } else { k };
                let f = $t::from_bits((shifted & (((1 as $bits) << $mantissa) - 1)).wrapping_add(SQRT_HALF)) - 1.0;
                (f, k)
            }
        }

        impl PowerOfTwo<$t> {
            /// 2ⁿ for the n nearest to a number.
            #[inline(always)]
            fn of(x: $t) -> Self {
                PowerOfTwo(x + $t::EXPONENT)
            }
            /// n.
            #[inline(always)]
            fn exponent(self) -> $t {
                self.0 - $t::EXPONENT
            }
            /// 2ⁿ, a normal number.
            #[inline(always)]
            fn whole(self) -> $t {
                self.over(1.0)
            }
            /// 2ⁿ⁻¹, a normal number.
            #[inline(always)]
            fn halved(self) -> $t {
                self.over(2.0)
            }
            /// 2ⁿ over another power of two.
            #[inline(always)]
            fn over(self, other: $t) -> $t {
                $t::from_bits((self.0.to_bits() - (other.to_bits() >> $mantissa)) << $mantissa)
            }
            /// Two factors of 2ⁿ: applied one after the other, neither over- nor underflows before the result does.
            #[inline(always)]
            fn halves(self) -> ($t, $t) {
                let bits = self.0.to_bits();
                let half = bits >> 1;
                ($t::from_bits(half << $mantissa), $t::from_bits((bits - half) << $mantissa))
            }
            /// The same for n ≤ 0, in fewer steps.
            #[inline(always)]
            fn lowered(self) -> ($t, $t) {
                const LAST: $t = $t::from_bits(((1.0 as $t).to_bits() >> ($mantissa + 1)) << $mantissa);
                (self.over(LAST), LAST)
            }
        }
    };
}

/// 2ⁿ, kept as a number whose last bits are n plus twice the bias of exponents: what adding 1.5·2^mantissa, which rounds to an integer, leaves.
/// Shifted to the place of the exponent they are the power, with the rest shifted out.
#[derive(Clone, Copy)]
struct PowerOfTwo<T>(T);

/// c₀ + c₁x + c₂x² + …: neighbours are joined, then pairs, then fours, so that few steps wait for each other (G. Estrin 1960). Loops over
/// such functions are bound by the length of that chain. The last three are joined one after the other, which takes as long and saves a square.
#[inline(always)]
fn estrin<T: Copy + Default + Mul<Output = T>, const N: usize>(coefficients: &[T; N], x: T, fma: impl Fn(T, T, T) -> T) -> T {
    const { assert!(N >= 1 && N <= 24, "there are steps below for twenty-four coefficients") };
    let (mut c, mut x, mut n) = ([T::default(); 24], x, N);
    macro_rules! place {
        ($($i:literal)*) => { $( if $i < N { c[$i] = coefficients[$i]; } )* };
    }
    place!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    macro_rules! join {
        ($($i:literal)*) => {
            if n == 3 {
                return fma(fma(c[2], x, c[1]), x, c[0]);
            }
            $( if 2 * $i + 1 < n {
                c[$i] = fma(c[2 * $i + 1], x, c[2 * $i]);
            } else if 2 * $i < n {
                c[$i] = c[2 * $i];
            } )*
            (n, x) = (n.div_ceil(2), x * x);
        };
    }
    join!(0 1 2 3 4 5 6 7 8 9 10 11);
    join!(0 1 2 3 4 5);
    join!(0 1 2);
    join!(0 1);
    if n > 1 { fma(c[1], x, c[0]) } else { c[0] }
}

/// Primitives shared by the kernels above.
trait Primitives: Copy {
    /// 1 if a comparison holds, else 0; in a loop of vectors it passes NaN on, since that may stand for what was left out.
    fn decided<const FMA: bool>(holds: bool, has_nan: bool) -> Self;
    /// Up to here, and down to minus this, eˣ is a normal number.
    const MODERATE: Self;
    fn fma<const FMA: bool>(a: Self, b: Self, c: Self) -> Self;
    /// c₀ + c₁x + c₂x² + …
    fn polynomial<const FMA: bool, const N: usize>(x: Self, c: &[Self; N]) -> Self;
    /// Whether the size of any of the numbers is above a bound, where NaN is above infinity.
    fn exceed(numbers: &[Self], bound: Self) -> bool;
    /// x, moved to the ends of a range; NaN stays.
    fn within(x: Self, low: Self, high: Self) -> Self;
    /// eˣ for x up to where it becomes infinite.
    fn exp_below<const FMA: bool>(x: Self) -> Self;
    /// Added to a number, it makes a [`PowerOfTwo`].
    const EXPONENT: Self;
    /// x = n·ln 2 + r with |r| ≤ ln 2 / 2, as 2ⁿ and r.
    fn reduced<const FMA: bool>(x: Self) -> (PowerOfTwo<Self>, Self);
    /// The same for x and a small number that is to be added to it, with r in two words.
    fn reduced_words<const FMA: bool>(x: Self, low: Self) -> (PowerOfTwo<Self>, Self, Self);
    /// As `reduced`, with e^r − 1 in place of r.
    fn split_exp<const FMA: bool>(x: Self) -> (PowerOfTwo<Self>, Self);
    /// e^r − 1 for |r| ≤ ln 2 / 2.
    fn expm1_inside<const FMA: bool>(r: Self) -> Self;
    /// (e^r − 1 − r)/r² for |r| ≤ ln 2 / 2.
    fn curvature<const FMA: bool>(r: Self) -> Self;
    fn split_ln(x: Self) -> (Self, Self);
}

numeric!(f64, u64, double, mantissa: 52u8, bias: 1023.0,
    ln2: (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10),
    exp: (-746.0, 710.0), certain: 40.0,
    // (eʳ − 1 − r)/r², minimax to 2⁻⁵⁷ of eʳ.
    exp_poly: [0.500_000_000_000_001_1, 0.166_666_666_666_664_13, 4.166_666_666_653_016e-2, 8.333_333_333_494_47e-3,
        1.388_888_894_362_993_8e-3, 1.984_126_950_655_999_4e-4, 2.480_149_309_906_733e-5, 2.755_758_639_170_296e-6,
        2.763_024_832_698_592_6e-7, 2.500_005_566_675_992e-8],
    ln_even: [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1],
    ln_odd: [6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1, 1.479_819_860_511_658_6e-1],
    subnormal: (18_014_398_509_481_984.0, 54.0), exponents: (-1100.0, 1024.0));
numeric!(f32, u32, single, mantissa: 23u8, bias: 127.0,
    ln2: (6.931_457_5e-1, 1.428_606_8e-6),
    exp: (-105.0, 89.0), certain: 20.0,
    // To 2⁻²⁸.
    exp_poly: [0.499_999_93, 0.166_665_21, 4.166_839e-2, 8.368_717e-3, 1.381_460_5e-3],
    ln_even: [4.000_097_2e-1, 2.427_907_9e-1],
    ln_odd: [6.666_666e-1, 2.849_878_7e-1],
    subnormal: (33_554_432.0, 25.0), exponents: (-160.0, 128.0));
