//! The elementary functions against the standard library, in units in the last place.

use autograd::{Tensor, elementary::derivation, function, tensor};

/// The distance between two numbers of one sign, in numbers that lie between them.
fn ulps(a: f64, b: f64) -> u64 {
    if a == b || (a.is_nan() && b.is_nan()) { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
}
fn ulps32(a: f32, b: f32) -> u32 {
    if a == b || (a.is_nan() && b.is_nan()) { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
}

/// Points over the whole range of doubles and densely where the functions do their work.
fn points() -> Vec<f64> {
    let mut points =
        vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0, -1.0, 709.78, 709.79, -708.4, -745.1, -745.2, -746.0, f64::MAX];
    points.extend((-1074..1024).flat_map(|e| [1.0, 1.3, -1.7].map(|m| m * 2f64.powi(e))));
    points.extend((0..40_000).map(|i| -20.0 + f64::from(i) * 1e-3 + 1e-7));
    points
}

fn worst(f: impl Fn(&Tensor<f64>) -> Tensor<f64>, truth: impl Fn(f64) -> f64) -> (u64, f64) {
    let x = points();
    let y = f(&Tensor::new(x.clone(), [x.len()]).unwrap());
    // One by one as scalars: the same bits.
    for (x, y) in x.iter().zip(y.as_slice()).step_by(97) {
        assert_eq!(f(&Tensor::scalar(*x)).item().unwrap().to_bits(), y.to_bits(), "at {x}");
    }
    x.iter().zip(y.as_slice()).map(|(x, y)| (ulps(*y, truth(*x)), *x)).max_by_key(|(u, _)| *u).unwrap()
}

fn worst32(f: impl Fn(&Tensor<f32>) -> Tensor<f32>, truth: impl Fn(f64) -> f64) -> (u32, f32) {
    let x: Vec<f32> = points().into_iter().map(|x| x as f32).collect();
    let y = f(&Tensor::new(x.clone(), [x.len()]).unwrap());
    x.iter().zip(y.as_slice()).map(|(x, y)| (ulps32(*y, truth(f64::from(*x)) as f32), *x)).max_by_key(|(u, _)| *u).unwrap()
}

macro_rules! within {
    ($($name:ident $limit:literal $limit32:literal $truth:expr;)+) => { $(
        #[test]
        fn $name() {
            let (u, x) = worst(|x| x.$name().unwrap(), $truth);
            assert!(u <= $limit, "f64: {u} ulp at {x:e}");
            let (u, x) = worst32(|x| x.$name().unwrap(), $truth);
            assert!(u <= $limit32, "f32: {u} ulp at {x:e}");
        }
    )+ };
}
within! {
    exp 2 2 f64::exp;
    expm1 2 2 f64::exp_m1;
    ln 2 2 f64::ln;
    ln_1p 2 2 f64::ln_1p;
    tanh 3 3 f64::tanh;
    sigmoid 3 2 |x| if x < 0.0 { let e = x.exp(); e / (1.0 + e) } else { 1.0 / (1.0 + (-x).exp()) };
    softplus 3 2 |x| if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() };
    sqrt 0 0 f64::sqrt;
    rsqrt 2 2 |x| 1.0 / x.sqrt();
    exp2 2 2 f64::exp2;
    log2 1 1 f64::log2;
    log10 1 2 f64::log10;
    sinh 2 2 f64::sinh;
    cosh 2 2 f64::cosh;
    asin 1 1 f64::asin;
    acos 1 1 f64::acos;
    atan 1 1 f64::atan;
    // std overflows where x² does.
    asinh 4 2 |x| if x.is_finite() && x.abs() > 1e150 { (x.abs().ln() + std::f64::consts::LN_2).copysign(x) } else { x.asinh() };
    floor 0 0 f64::floor;
    ceil 0 0 f64::ceil;
    trunc 0 0 f64::trunc;
    round 0 0 f64::round_ties_even;
}

#[test]
fn sums_of_many_numbers_are_exact_to_rounding() {
    let x = Tensor::<f32>::full(0.1, [10_000_000]).unwrap();
    let exact = f64::from(0.1f32) * 1e7;
    assert!((f64::from(x.sum().unwrap().item().unwrap()) / exact - 1.0).abs() < 1e-7);
}

#[test]
fn sums_over_a_leading_axis_are_as_exact() {
    let x = Tensor::<f64>::full(0.1, [1_000_000, 2]).unwrap();
    for sum in x.sum_axes([0], false).unwrap().as_slice() {
        assert!((sum / 1e5 - 1.0).abs() < 1e-12, "{sum}");
    }
    assert_eq!(Tensor::<f32>::full(3e38, [4]).unwrap().mean().unwrap().item().unwrap(), 3e38);
}

#[test]
fn deep_formulas_are_written_without_recursion() {
    let deep = function!(|x| {
        let mut y = x;
        for _ in 0..20_000 {
            y = y * x + 1.0;
        }
        y
    });
    assert!(derivation(&deep).value.ends_with('…') || derivation(&deep).value.contains('…'));
    assert_eq!(derivation(&function!(|x| x * 1e-7)).value, "1.0000e−7·x");
}

#[test]
fn formulas_are_written_for_people() {
    let text = |d: autograd::elementary::Derivation| (d.value, d.slopes.join("; "));
    let of = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(text(derivation(&function!(|x| x * x + 1.0))), of("x² + 1", "x + x"));
    assert_eq!(text(derivation(&function!(|x, a| x + a.ln()))), of("x + ln(a)", "1; 1/a"));
    assert_eq!(text(derivation(&function!(|x, a| (x - a) * -2.0))), of("−2·(x − a)", "−2; 2"));
    assert_eq!(text(derivation(&function!(|x| x.relu()))), of("relu(x)", "[x > 0]"));
}

#[test]
fn tensors_are_written_like_numpy() {
    assert_eq!(tensor![[1.0, -2.5], [3.25, 4.0]].to_string(), "[[ 1.0000, -2.5000],\n [ 3.2500,  4.0000]]");
    assert_eq!(format!("{:.1}", Tensor::scalar(2.0)), "2.0");
    let tall = Tensor::<f64>::arange(1000).unwrap().reshape([500, 2]).unwrap();
    assert_eq!(format!("{tall:.0}"), "[[  0,   1],\n [  2,   3],\n [  4,   5],\n …,\n [994, 995],\n [996, 997],\n [998, 999]]");
    assert_eq!(format!("{:.0}", Tensor::<f64>::arange(1000).unwrap()), "[  0,   1,   2, …, 997, 998, 999]");
}
