//! The pointwise functions, written once more from their definitions with the functions of std.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, PI, SQRT_2};

/// A function of the operands and the parameters.
pub(super) type Formula = fn(&[f64], &[f64]) -> f64;

fn truth(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

/// Where an operand is NaN, so is the result.
fn unless_nan(x: &[f64], value: impl FnOnce() -> f64) -> f64 {
    if x.iter().any(|x| x.is_nan()) { f64::NAN } else { value() }
}

/// a·b with the limit 0 where b falls to 0 faster than a grows.
fn times_vanishing(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a * b }
}

/// 1/(1 + e⁻ˣ), where no exponential overflows.
fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|)
fn softplus(x: f64) -> f64 {
    unless_nan(&[x], || x.max(0.0) + (-x.abs()).exp().ln_1p())
}

/// erf(x) = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n + 1)!!, in which all terms have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 1.5 {
        return (1.0 - erfc(x.abs())).copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + ³⁄₂/(x + …)))) for large x.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x <= 1.5 || x.is_nan() {
        return 1.0 - erf(x);
    }
    if x.is_infinite() {
        return 0.0;
    }
    let mut below = x;
    for n in (1..1000).rev() {
        below = x + 0.5 * f64::from(n) / below;
    }
    (-x * x).exp() / (PI.sqrt() * below)
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

fn clamp(x: f64, low: f64, high: f64) -> f64 {
    unless_nan(&[x], || x.max(low).min(high))
}

fn select(condition: f64, a: f64, b: f64) -> f64 {
    unless_nan(&[condition], || if condition == 0.0 { b } else { a })
}

/// a + w·(b − a), and b where w is 1.
///
/// With an infinite end the definition has ∞ − ∞ or 0·∞ in it at most w; what comes of that is a convention, the one of `PyTorch`: the
/// formula that starts at the nearer end.
fn lerp(a: f64, b: f64, w: f64) -> f64 {
    if a.is_infinite() || b.is_infinite() {
        if w < 0.5 { a + w * (b - a) } else { b - (b - a) * (1.0 - w) }
    } else if w == 1.0 {
        unless_nan(&[a], || b)
    } else {
        a + w * (b - a)
    }
}

macro_rules! formulas {
    ($($name:ident: |$($x:ident),+ $(; $($p:ident),+)?| $formula:expr;)+) => {
        /// The function of that name.
        pub(super) fn formula(name: &str) -> Option<Formula> {
            match name {
                $( stringify!($name) => Some(|x, p| {
                    let &[$($x),+] = x else { panic!("{}({x:?})", stringify!($name)) };
                    let &[$($($p),+)?] = p else { panic!("{}(..; {p:?})", stringify!($name)) };
                    $formula
                }), )+
                _ => None,
            }
        }
    };
}

formulas! {
    neg: |x| -x;
    add: |a, b| a + b;
    sub: |a, b| a - b;
    mul: |a, b| a * b;
    div: |a, b| a / b;
    add_lit: |x; c| x + c;
    sub_lit: |x; c| x - c;
    rsub_lit: |x; c| c - x;
    mul_lit: |x; c| c * x;
    div_lit: |x; c| x / c;
    rdiv_lit: |x; c| c / x;
    // Its definition: a zero wins over whatever the other factor is, over ∞ and NaN too.
    masked_mul: |a, b| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
    abs: |x| x.abs();
    sign: |x| unless_nan(&[x], || truth(x > 0.0) - truth(x < 0.0));
    step: |x| unless_nan(&[x], || truth(x > 0.0));
    square: |x| x * x;
    recip: |x| 1.0 / x;
    sqrt: |x| x.sqrt();
    rsqrt: |x| 1.0 / x.sqrt();
    powi: |x; n| x.powf(n);
    powf: |x; c| x.powf(c);
    pow: |a, b| a.powf(b);
    exp: |x| x.exp();
    exp2: |x| x.exp2();
    expm1: |x| x.exp_m1();
    ln: |x| x.ln();
    log2: |x| x.log2();
    log10: |x| x.log10();
    ln_1p: |x| x.ln_1p();
    sin: |x| x.sin();
    cos: |x| x.cos();
    tan: |x| x.tan();
    asin: |x| x.asin();
    acos: |x| x.acos();
    atan: |x| x.atan();
    atan2: |a, b| a.atan2(b);
    sinh: |x| x.sinh();
    cosh: |x| x.cosh();
    tanh: |x| x.tanh();
    // The asymptote ln 2x where x² would overflow.
    asinh: |x| if x.abs() > 1e100 { (x.abs().ln() + LN_2).copysign(x) } else { x.asinh() };
    // With x − 1, which is exact near 1.
    acosh: |x| if x > 1e100 { x.ln() + LN_2 } else { (x - 1.0 + (x - 1.0).sqrt() * (x + 1.0).sqrt()).ln_1p() };
    atanh: |x| 0.5 * (x.ln_1p() - (-x).ln_1p());
    hypot: |a, b| a.hypot(b);
    logaddexp: |a, b| unless_nan(&[a, b], || if a == b { a + LN_2 } else { a.max(b) + (a.min(b) - a.max(b)).exp().ln_1p() });
    xlogy: |a, b| unless_nan(&[a, b], || if a == 0.0 { 0.0 } else { a * b.ln() });
    sigmoid: |x| sigmoid(x);
    softplus: |x| softplus(x);
    log_sigmoid: |x| -softplus(-x);
    softsign: |x| if x.is_infinite() { x.signum() } else { x / (1.0 + x.abs()) };
    erf: |x| erf(x);
    erfc: |x| erfc(x);
    relu: |x| unless_nan(&[x], || x.max(0.0));
    leaky_relu: |x; slope| if x > 0.0 { x } else { slope * x };
    elu: |x; alpha| elu(x, alpha);
    selu: |x| 1.050_700_987_355_480_5 * elu(x, 1.673_263_242_354_377_2);
    normal_cdf: |x| 0.5 * erfc(-x / SQRT_2);
    normal_pdf: |x| (-0.5 * (x * x)).exp() / (2.0 * PI).sqrt();
    gelu: |x| times_vanishing(x, 0.5 * erfc(-x / SQRT_2));
    // ½(1 + tanh z) = sigmoid(2z), which does not cancel where tanh z is near −1.
    gelu_tanh: |x| times_vanishing(x, sigmoid(2.0 * (2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)));
    silu: |x| times_vanishing(x, sigmoid(x));
    mish: |x| times_vanishing(x, softplus(x).tanh());
    clamp: |x; low, high| clamp(x, low, high);
    hardtanh: |x; low, high| clamp(x, low, high);
    floor: |x| x.floor();
    ceil: |x| x.ceil();
    round: |x| {
        let (below, above) = (x.floor(), x.ceil());
        if x - below < above - x || (x - below == above - x && below % 2.0 == 0.0) { below } else { above }
    };
    trunc: |x| if x < 0.0 { x.ceil() } else { x.floor() };
    max: |a, b| unless_nan(&[a, b], || if a > b { a } else { b });
    min: |a, b| unless_nan(&[a, b], || if a < b { a } else { b });
    lerp: |a, b, w| lerp(a, b, w);
    gt: |a, b| truth(a > b);
    ge: |a, b| truth(a >= b);
    lt: |a, b| truth(a < b);
    le: |a, b| truth(a <= b);
    eq: |a, b| truth(a == b);
    ne: |a, b| truth(a != b);
    logical_not: |x| truth(x == 0.0);
    logical_and: |a, b| truth(a != 0.0 && b != 0.0);
    logical_or: |a, b| truth(a != 0.0 || b != 0.0);
    logical_xor: |a, b| truth((a != 0.0) != (b != 0.0));
    select: |condition, a, b| select(condition, a, b);
    where_: |a, condition, b| select(condition, a, b);
    masked_fill: |x, mask; value| select(mask, value, x);
}
