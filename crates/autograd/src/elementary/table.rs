//! The table of derivatives: one row a function, read by every world.
//!
//! A row is
//! `kind Name: name(operands; parameters = sample) = y, value: how, d: [∂y/∂operand, …], kinks: [switch, …], on: [range, …];`
//!
//! - `kind` is `op` for what is written with an operator and `fun` for what is written as a method;
//! - `value` is `native` for a numeric kernel, `partial` for one that leaves something out in a loop of vectors (see [`Lane`](super::Lane)), or a
//!   formula in other functions of the table;
//! - a slope that is a literal is structural: 0 is never multiplied, 1 costs nothing;
//! - `d: derived` leaves the slopes to the formula: they are those of its parts, by the chain rule;
//! - `kinks` are the quantities whose sign decides the branch;
//! - `on` is, for each operand, the range from which the catalogue draws its samples.
//!
//! Conventions at kinks and edges: relu′(0) = abs′(0) = 0; `leaky_relu` and `elu` take the slope of the negative side at 0; clamp′ is 1 on
//! the closed interval; max(a, b) gives ½ each at a tie; pow(x, 0) has slope 0 in x, and 0ᵇ has slope 0 in b ≥ 0. A product of the chain
//! rule is 0 if a factor is 0 ([`MaskedMul`]), so that a branch not taken gives nothing, were its slope infinite.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LOG2_E, LOG10_E, PI};

use super::{Dual, Function, IntoSlope, Operand, Slope, X, dual::along};

/// α and λ of the self-normalising exponential linear unit: with them, mean 0 and variance 1 are a fixed point (Klambauer et al. 2017).
pub(super) const SELU: (f64, f64) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);

/// 2√(2/π), and the factor of the cube, of the approximation of Φ by a logistic function of a polynomial.
pub(super) const GELU_TANH: (f64, f64) = (2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2, 0.044_715);

/// Hands all rows of the table to the macro `$reader`.
macro_rules! table {
    ($reader:ident) => {
        $reader! {
            /// −x
            op Neg: neg(x) = y, value: native, d: [-1.0], kinks: [], on: [(-2.0, 2.0)];
            /// a + b
            op Add: add(a, b) = y, value: native, d: [1.0, 1.0], kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a − b
            op Sub: sub(a, b) = y, value: native, d: [1.0, -1.0], kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a·b
            op Mul: mul(a, b) = y, value: native, d: [b, a], kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a/b
            op Div: div(a, b) = y, value: native, d: [1.0 / b, -y / b], kinks: [], on: [(-2.0, 2.0), (0.5, 2.0)];
            /// x + c
            op AddLit: add_lit(x; c: f64 = 0.7) = y, value: native, d: [1.0], kinks: [], on: [(-2.0, 2.0)];
            /// x − c
            op SubLit: sub_lit(x; c: f64 = 0.7) = y, value: native, d: [1.0], kinks: [], on: [(-2.0, 2.0)];
            /// c − x
            op RsubLit: rsub_lit(x; c: f64 = 0.7) = y, value: native, d: [-1.0], kinks: [], on: [(-2.0, 2.0)];
            /// c·x
            op MulLit: mul_lit(x; c: f64 = 0.7) = y, value: native, d: [x.lit(c)], kinks: [], on: [(-2.0, 2.0)];
            /// x/c
            op DivLit: div_lit(x; c: f64 = 0.7) = y, value: native, d: [x.lit(1.0 / c)], kinks: [], on: [(-2.0, 2.0)];
            /// c/x
            op RdivLit: rdiv_lit(x; c: f64 = 0.7) = y, value: native, d: [-y / x], kinks: [], on: [(0.5, 2.0)];

            /// a·b, but 0 where a factor is 0, whatever the other one is: the product of the chain rule.
            fun MaskedMul: masked_mul(a, b) = y, value: native, d: [b, a], kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// |x|. The slope at 0 is 0.
            fun Abs: abs(x) = y, value: native, d: [x.sign()], kinks: [x], on: [(-2.0, 2.0)];
            /// −1, 0 or 1 by the sign of x. The slope is 0 everywhere.
            fun Sign: sign(x) = y, value: native, d: [0.0], kinks: [x], on: [(-2.0, 2.0)];
            /// 1 where x > 0, else 0. The slope is 0 everywhere.
            fun Step: step(x) = y, value: native, d: [0.0], kinks: [x], on: [(-2.0, 2.0)];
            /// x²
            fun Square: square(x) = y, value: native, d: [2.0 * x], kinks: [], on: [(-2.0, 2.0)];
            /// 1/x
            fun Recip: recip(x) = y, value: native, d: [-(y * y)], kinks: [], on: [(0.5, 2.0)];
            /// √x. The slope at 0 is +∞.
            fun Sqrt: sqrt(x) = y, value: native, d: [0.5 / y], kinks: [], on: [(0.5, 2.0)];
            /// 1/√x. +∞ at 0.
            fun Rsqrt: rsqrt(x) = y, value: native, d: [-0.5 * (y * y * y)], kinks: [], on: [(0.5, 2.0)];
            /// xⁿ for a whole number n.
            fun Powi: powi(x; n: i32 = 3) = y, value: native,
                d: [if n == 0 { x.lit(0.0) } else { f64::from(n) * x.powi(n.saturating_sub(1)) }], kinks: [], on: [(0.5, 2.0)];
            /// xᶜ for a fixed number c. NaN for a negative x unless c is whole.
            fun Powf: powf(x; c: f64 = 2.5) = y, value: native,
                d: [if c == 0.0 { x.lit(0.0) } else { c * x.powf(c - 1.0) }], kinks: [], on: [(0.5, 2.0)];
            /// aᵇ. NaN for a negative a unless b is whole.
            fun Pow: pow(a, b) = y, value: native,
                d: [b.masked_mul(a.pow(b - 1.0)), (a.eq(0.0) * b.ge(0.0)).select(0.0, y * a.ln())],
                kinks: [], on: [(0.5, 2.0), (-2.0, 2.0)];
            /// eˣ
            fun Exp: exp(x) = y, value: native, d: [y], kinks: [], on: [(-2.0, 2.0)];
            /// 2ˣ
            fun Exp2: exp2(x) = y, value: native, d: [LN_2 * y], kinks: [], on: [(-2.0, 2.0)];
            /// eˣ − 1, exact for small x.
            fun Expm1: expm1(x) = y, value: native, d: [y + 1.0], kinks: [], on: [(-2.0, 2.0)];
            /// Natural logarithm. −∞ at 0, NaN below.
            fun Ln: ln(x) = y, value: native, d: [1.0 / x], kinks: [], on: [(0.5, 2.0)];
            /// Logarithm to base 2, exact for powers of 2.
            fun Log2: log2(x) = y, value: native, d: [LOG2_E / x], kinks: [], on: [(0.5, 2.0)];
            /// Logarithm to base 10.
            fun Log10: log10(x) = y, value: native, d: [LOG10_E / x], kinks: [], on: [(0.5, 2.0)];
            /// ln(1 + x), exact for small x.
            fun Ln1p: ln_1p(x) = y, value: native, d: [1.0 / (1.0 + x)], kinks: [], on: [(-0.5, 2.0)];
            /// Sine of an angle in radians.
            fun Sin: sin(x) = y, value: partial, d: [x.cos()], kinks: [], on: [(-3.0, 3.0)];
            /// Cosine of an angle in radians.
            fun Cos: cos(x) = y, value: partial, d: [-x.sin()], kinks: [], on: [(-3.0, 3.0)];
            /// Tangent of an angle in radians.
            fun Tan: tan(x) = y, value: partial, d: [1.0 + y * y], kinks: [], on: [(-1.2, 1.2)];
            /// Inverse sine, between −π/2 and π/2. NaN outside −1..=1.
            fun Asin: asin(x) = y, value: native, d: [((1.0 - x) * (1.0 + x)).rsqrt()], kinks: [], on: [(-0.9, 0.9)];
            /// Inverse cosine, between 0 and π. NaN outside −1..=1.
            fun Acos: acos(x) = y, value: native, d: [-((1.0 - x) * (1.0 + x)).rsqrt()], kinks: [], on: [(-0.9, 0.9)];
            /// Inverse tangent, between −π/2 and π/2.
            fun Atan: atan(x) = y, value: native, d: [1.0 / (1.0 + x * x)], kinks: [], on: [(-2.0, 2.0)];
            /// The angle of the point (b, a), between −π and π: the inverse tangent of a/b in the right quadrant. The slopes at the origin are 0.
            fun Atan2: atan2(a, b) = y, value: native,
                d: [a.hypot(b).eq(0.0).select(0.0, b / a.hypot(b) / a.hypot(b)), a.hypot(b).eq(0.0).select(0.0, -a / a.hypot(b) / a.hypot(b))],
                kinks: [b.lt(0.0).select(a, 1.0)], on: [(0.3, 2.0), (-2.0, 2.0)];
            /// Hyperbolic sine (eˣ − e⁻ˣ)/2.
            fun Sinh: sinh(x) = y, value: native, d: [x.cosh()], kinks: [], on: [(-2.0, 2.0)];
            /// Hyperbolic cosine (eˣ + e⁻ˣ)/2.
            fun Cosh: cosh(x) = y, value: native, d: [x.sinh()], kinks: [], on: [(-2.0, 2.0)];
            /// Hyperbolic tangent (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ).
            fun Tanh: tanh(x) = y, value: native, d: [1.0 - y * y], kinks: [], on: [(-2.0, 2.0)];
            /// Inverse hyperbolic sine ln(x + √(x² + 1)).
            fun Asinh: asinh(x) = y, value: native, d: [1.0 / x.hypot(1.0)], kinks: [], on: [(-2.0, 2.0)];
            /// Inverse hyperbolic cosine ln(x + √(x² − 1)). NaN below 1.
            fun Acosh: acosh(x) = y, value: native, d: [(x - 1.0).rsqrt() * (x + 1.0).rsqrt()], kinks: [], on: [(1.2, 3.0)];
            /// Inverse hyperbolic tangent ½ ln((1 + x)/(1 − x)). ±∞ at ±1, NaN beyond.
            fun Atanh: atanh(x) = y, value: native, d: [1.0 / ((1.0 - x) * (1.0 + x))], kinks: [], on: [(-0.8, 0.8)];
            /// √(a² + b²), without overflow. The slopes at the origin are 0.
            fun Hypot: hypot(a, b) = y, value: native, d: [y.eq(0.0).select(0.0, a / y), y.eq(0.0).select(0.0, b / y)],
                kinks: [a.hypot(b)], on: [(0.3, 2.0), (-2.0, 2.0)];
            /// ln(eᵃ + eᵇ), stable for any a and b. The slopes at equal infinities, whose difference is NaN, are ½.
            fun Logaddexp: logaddexp(a, b) = y,
                value: (a.eq(b).select(a + LN_2, a.max(b) + (-(a - b).abs()).exp().ln_1p())),
                d: [
                    (a.eq(b) * (a - b).ne(0.0)).select(0.5, (a - b).sigmoid()),
                    (a.eq(b) * (a - b).ne(0.0)).select(0.5, (b - a).sigmoid())
                ],
                kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a·ln b, and 0 where a is 0 unless b is NaN. Where a is 0, the slope in b is 0, and the one in a is 0 for b ≤ 0.
            fun Xlogy: xlogy(a, b) = y, value: ((a.eq(0.0) * b.eq(b)).select(0.0, a * b.ln())),
                d: [(a.eq(0.0) * b.le(0.0)).select(0.0, b.ln()), (a.eq(0.0) * b.le(0.0)).select(0.0, a / b)],
                kinks: [], on: [(0.3, 2.0), (0.5, 2.0)];
            /// Logistic function 1/(1 + e⁻ˣ).
            fun Sigmoid: sigmoid(x) = y, value: native, d: [y * (1.0 - y)], kinks: [], on: [(-3.0, 3.0)];
            /// ln(1 + eˣ), a smooth relu; stable for any x.
            fun Softplus: softplus(x) = y, value: native, d: [x.sigmoid()], kinks: [], on: [(-3.0, 3.0)];
            /// ln sigmoid(x) = −softplus(−x), exact where the sigmoid itself rounds to 0 or 1.
            fun LogSigmoid: log_sigmoid(x) = y, value: (-(-x).softplus()), d: [(-x).sigmoid()], kinks: [], on: [(-3.0, 3.0)];
            /// x/(1 + |x|), between −1 and 1.
            fun Softsign: softsign(x) = y, value: (x.abs().eq(f64::INFINITY).select(x.sign(), x / (1.0 + x.abs()))),
                d: [(1.0 + x.abs()).recip().square()], kinks: [x], on: [(-2.0, 2.0)];
            /// Error function 2/√π ∫₀ˣ e^(−t²) dt.
            fun Erf: erf(x) = y, value: native, d: [FRAC_2_SQRT_PI * (-(x * x)).exp()], kinks: [], on: [(-2.0, 2.0)];
            /// 1 − erf(x), exact where erf is close to 1.
            fun Erfc: erfc(x) = y, value: native, d: [-FRAC_2_SQRT_PI * (-(x * x)).exp()], kinks: [], on: [(-2.0, 2.0)];
            /// Distribution function Φ of the standard normal distribution, (1 + erf(x/√2))/2; exact where it is close to 0.
            fun NormalCdf: normal_cdf(x) = y, value: native, d: [x.normal_pdf()], kinks: [], on: [(-2.0, 2.0)];
            /// Density φ of the standard normal distribution, e^(−x²/2)/√(2π).
            fun NormalPdf: normal_pdf(x) = y, value: native, d: [-x.masked_mul(y)], kinks: [], on: [(-2.0, 2.0)];
            /// x where x > 0, else 0: the rectified linear unit. The slope at 0 is 0.
            fun Relu: relu(x) = y, value: native, d: [x.step()], kinks: [x], on: [(-2.0, 2.0)];
            /// x where x > 0, else `slope`·x. The slope at 0 is that of the negative side.
            fun LeakyRelu: leaky_relu(x; slope: f64 = 0.01) = y, value: native,
                d: [x.step().select(1.0, slope)], kinks: [x], on: [(-2.0, 2.0)];
            /// x where x > 0, else α(eˣ − 1): the exponential linear unit (Clevert et al. 2016). The slope at 0 is that of the negative side.
            fun Elu: elu(x; alpha: f64 = 1.3) = y, value: native,
                d: [x.step().select(1.0, alpha * x.exp())], kinks: [x], on: [(-2.0, 2.0)];
            /// λx where x > 0, else λα(eˣ − 1), with the two constants that keep mean 0 and variance 1 (Klambauer et al. 2017). The slope at 0 is
            /// that of the negative side.
            fun Selu: selu(x) = y, value: (SELU.1 * x.elu(SELU.0)), d: derived, kinks: [x], on: [(-2.0, 2.0)];
            /// x·Φ(x) with the normal distribution function Φ (Hendrycks and Gimpel 2016), in the exact form.
            fun Gelu: gelu(x) = y, value: (x.masked_mul(x.normal_cdf())),
                d: [x.normal_cdf() + x.masked_mul(x.normal_pdf())], kinks: [], on: [(-2.0, 2.0)];
            /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), the approximation of `gelu` (Hendrycks and Gimpel 2016).
            fun GeluTanh: gelu_tanh(x) = y, value: (x.masked_mul((GELU_TANH.0 * (x * (1.0 + GELU_TANH.1 * (x * x)))).sigmoid())),
                d: derived, kinks: [], on: [(-2.0, 2.0)];
            /// x·sigmoid(x), also called swish (Elfwing et al. 2018).
            fun Silu: silu(x) = y, value: (x.masked_mul(x.sigmoid())),
                d: [x.sigmoid().masked_mul(1.0 + x.masked_mul((-x).sigmoid()))], kinks: [], on: [(-3.0, 3.0)];
            /// x·tanh(softplus(x)) (Misra 2019).
            fun Mish: mish(x) = y, value: (x.masked_mul(x.softplus().tanh())), d: derived, kinks: [], on: [(-3.0, 3.0)];
            /// x held between `low` and `high`, which must not be the smaller one. The slope is 1 on the closed interval.
            fun Clamp: clamp(x; low: f64 = -0.9, high: f64 = 1.1) = y, value: native,
                d: [x.ge(low) * x.le(high)], kinks: [x - low, x - high], on: [(-2.0, 2.0)];
            /// x held between `low` and `high`, often −1 and 1: `clamp` by the name of an activation. The slope is 1 on the closed interval.
            fun Hardtanh: hardtanh(x; low: f64 = -1.0, high: f64 = 1.0) = y, value: (x.clamp(low, high)), d: derived,
                kinks: [x - low, x - high], on: [(-2.0, 2.0)];
            /// The largest whole number that is not above x. The slope is 0 everywhere, as for the other roundings.
            fun Floor: floor(x) = y, value: native, d: [0.0], kinks: [(PI * x).sin()], on: [(-2.0, 2.0)];
            /// The smallest whole number that is not below x.
            fun Ceil: ceil(x) = y, value: native, d: [0.0], kinks: [(PI * x).sin()], on: [(-2.0, 2.0)];
            /// The nearest whole number; of two that are as near, the even one.
            fun Round: round(x) = y, value: native, d: [0.0], kinks: [(PI * x).cos()], on: [(-2.0, 2.0)];
            /// x without its fraction.
            fun Trunc: trunc(x) = y, value: native, d: [0.0], kinks: [(PI * x).sin()], on: [(-2.0, 2.0)];
            /// The larger of a and b, NaN if one is. At a tie each has slope ½.
            fun Max: max(a, b) = y, value: native, d: [a.gt(b) + 0.5 * a.eq(b), b.gt(a) + 0.5 * b.eq(a)], kinks: [a - b],
                on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// The smaller of a and b, NaN if one is. At a tie each has slope ½.
            fun Min: min(a, b) = y, value: native, d: [a.lt(b) + 0.5 * a.eq(b), b.lt(a) + 0.5 * b.eq(a)], kinks: [a - b],
                on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a + w·(b − a), exact at w = 0 and at w = 1 for finite a and b.
            fun Lerp: lerp(a, b, w) = y, value: (w.lt(0.5).select(a + w * (b - a), b - (b - a) * (1.0 - w))),
                d: [1.0 - w, w, b - a], kinks: [], on: [(-2.0, 2.0), (-2.0, 2.0), (-0.5, 1.5)];
            /// 1 where a > b, else 0. The slope is 0 everywhere, as for the other comparisons.
            fun Gt: gt(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a ≥ b, else 0.
            fun Ge: ge(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a < b, else 0.
            fun Lt: lt(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a ≤ b, else 0.
            fun Le: le(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a = b, else 0.
            fun Eq: eq(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a ≠ b, else 0.
            fun Ne: ne(a, b) = y, value: partial, d: [0.0, 0.0], kinks: [a - b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where x is 0, else 0. The slope is 0 everywhere, as for the other logical operations, in which what is not 0 is true.
            fun LogicalNot: logical_not(x) = y, value: (x.eq(0.0)), d: derived, kinks: [x], on: [(-2.0, 2.0)];
            /// 1 where neither a nor b is 0, else 0.
            fun LogicalAnd: logical_and(a, b) = y, value: (a.ne(0.0) * b.ne(0.0)), d: derived, kinks: [a, b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where a or b is not 0, else 0.
            fun LogicalOr: logical_or(a, b) = y, value: (a.ne(0.0).max(b.ne(0.0))), d: derived, kinks: [a, b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// 1 where one of a and b is 0 and the other not, else 0.
            fun LogicalXor: logical_xor(a, b) = y, value: (a.ne(0.0).ne(b.ne(0.0))), d: derived, kinks: [a, b], on: [(-2.0, 2.0), (-2.0, 2.0)];
            /// a where the condition is not 0, else b; NaN where the condition is. The side not taken gets no gradient, were its slope infinite.
            fun Select: select(condition, a, b) = y, value: native,
                d: [0.0, condition.ne(0.0), condition.eq(0.0)], kinks: [condition],
                on: [(-2.0, 2.0), (-2.0, 2.0), (-2.0, 2.0)];
            /// a where the condition is not 0, else b: `select` with PyTorch's order of operands for methods.
            fun Where: where_(a, condition, b) = y, value: (condition.select(a, b)), d: derived, kinks: [condition],
                on: [(-2.0, 2.0), (-2.0, 2.0), (-2.0, 2.0)];
            /// `value` where the mask is not 0, else x; NaN where the mask is. Where it is filled, x gets no gradient.
            fun MaskedFill: masked_fill(x, mask; value: f64 = 0.5) = y, value: (mask.select(mask.lit(value), x)), d: derived, kinks: [mask],
                on: [(-2.0, 2.0), (-2.0, 2.0)];
        }
    };
}
pub(crate) use table;

macro_rules! functions {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        /// The functions of the table of derivatives, as operations of a scalar, a tensor, a variable or a text.
        ///
        /// Operators and literals on either side belong to the wrapper [`X`]; implement this trait to read every rule in a new way.
        #[allow(clippy::return_self_not_must_use, clippy::should_implement_trait)]
        pub trait Elementary: Copy {
            /// The constant `c`, in the world of `self`.
            #[track_caller]
            fn lit(self, c: f64) -> Self;
            /// The product of the chain rule: 0 where a factor is 0, as [`masked_mul`](Elementary::masked_mul).
            #[track_caller]
            #[inline(always)]
            fn chained(self, other: Self) -> Self {
                self.masked_mul(other)
            }
            $( $(#[$doc])* #[track_caller] fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self; )*
        }

        #[allow(clippy::should_implement_trait)]
        impl<S: Elementary> X<S> {
            $( functions!(@method $kind $(#[$doc])* $name($x0 $(, $x)* $(; $($p: $t),+)?)); )*
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq)]
            pub struct $Name { $($(#[doc = "A fixed number of the function."] pub $p: $t),+)? }

            impl Function<{ [stringify!($x0) $(, stringify!($x))*].len() }> for $Name {
                const NAME: &'static str = stringify!($name);
                const OPERANDS: [&'static str; { [stringify!($x0) $(, stringify!($x))*].len() }] = [stringify!($x0) $(, stringify!($x))*];

                #[inline(always)]
                fn value<S: Elementary>(&self, [$x0 $(, $x)*]: [X<S>; { [stringify!($x0) $(, stringify!($x))*].len() }]) -> X<S> {
                    X($x0.0.$name($($x.0,)* $($(self.$p),+)?))
                }

                #[inline(always)]
                #[allow(unused_variables)]
                fn slopes<S: Elementary>(
                    &self,
                    [$x0 $(, $x)*]: [X<S>; { [stringify!($x0) $(, stringify!($x))*].len() }],
                    $y: X<S>,
                    needs: [bool; { [stringify!($x0) $(, stringify!($x))*].len() }],
                ) -> [Slope<S>; { [stringify!($x0) $(, stringify!($x))*].len() }] {
                    $($(let $p = self.$p;)+)?
                    functions!(@slopes $d $value needs ($x0 $(, $x)*))
                }

                #[inline(always)]
                fn tangent<S: Elementary>(
                    &self,
                    x: [X<S>; { [stringify!($x0) $(, stringify!($x))*].len() }],
                    y: X<S>,
                    dx: [S; { [stringify!($x0) $(, stringify!($x))*].len() }],
                ) -> S {
                    along(self.slopes(x, y, [true; { [stringify!($x0) $(, stringify!($x))*].len() }]), dx, y.0)
                }

                #[inline(always)]
                #[allow(unused_variables)]
                fn switches<S: Elementary>(
                    &self,
                    [$x0 $(, $x)*]: [X<S>; { [stringify!($x0) $(, stringify!($x))*].len() }],
                    see: &mut dyn FnMut(S),
                ) {
                    $($(let $p = self.$p;)+)?
                    $( see(($kink).0); )*
                }
            }
        )*
    };
    (@slopes derived $formula:tt $needs:ident ($($x:ident),+)) => {{
        let [$($x),+] = Dual::seeded([$($x),+], $needs);
        $formula.0.d
    }};
    (@slopes [$($d:expr),+] $value:tt $needs:ident $x:tt) => {{
        let mut k = 0;
        [$({
            k += 1;
            if $needs[k - 1] { ($d).into_slope() } else { Slope::Const(0.0) }
        }),+]
    }};
    (@method op $($rest:tt)*) => {};
    (@method fun $(#[$doc:meta])* $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?)) => {
        $(#[$doc])*
        #[inline(always)]
        #[must_use]
        #[track_caller]
        pub fn $name(self $(, $x: impl Operand<Self>)* $($(, $p: $t)+)?) -> Self {
            X(self.0.$name($($x.beside(self).0,)* $($($p),+)?))
        }
    };
}
table!(functions);
