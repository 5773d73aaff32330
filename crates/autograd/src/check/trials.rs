//! The slope of many functions of one number, right and wrong: what the verdicts are, and how large the errors.

use super::{
    ladder::measured,
    slope::{Place, Sample, Scale},
    verdict::{Claim, Verdict, judge},
};

/// A name, a function, a point, the derivative there.
type Trial = (&'static str, fn(f64) -> f64, f64, f64);

fn verdict(f: impl Fn(f64) -> f64, x: f64, claim: f64) -> (Verdict, f64, f64, usize) {
    let base = f(x);
    let mut probe = |step: f64| {
        let moved = x + step;
        let value = f(moved);
        let noise = f64::EPSILON * (base.abs().max(value.abs()) + (x * claim).abs());
        let place = if value.is_finite() { Place::Near } else { Place::Outside };
        Sample { step: moved - x, change: value - base, noise, place, signature: 0, kink: None }
    };
    let slope = measured(&mut probe, claim, Scale::of(x, x.abs()), 1e-6);
    let claim = Claim { autodiff: claim, rtol: 1e-6, largest: claim.abs(), scatter: &|| 0.0 };
    (judge(&slope, &claim).0, slope.value, slope.error, slope.evaluations)
}

fn lorentz(x: f64) -> f64 {
    1.0 / (1.0 + 1e6 * (x - 1.0).powi(2))
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Smooth functions, many of them hard: high frequencies, narrow features, edges of the domain, large and tiny points, large offsets.
fn smooth() -> Vec<Trial> {
    let s = logistic;
    vec![
        ("sin 1", f64::sin, 1.0, 1f64.cos()),
        ("ln 1e-3", f64::ln, 1e-3, 1e3),
        ("ln 1e8", f64::ln, 1e8, 1e-8),
        ("ln 1e-8", f64::ln, 1e-8, 1e8),
        ("ln 1e-300", f64::ln, 1e-300, 1e300),
        ("exp 20x", |x| (20.0 * x).exp(), 0.5, 20.0 * 10f64.exp()),
        ("sin 1000x", |x| (1000.0 * x).sin(), 0.3, 1000.0 * 300f64.cos()),
        ("x³ 1e6", |x| x.powi(3), 1e6, 3e12),
        ("x³ 1e-6", |x| x.powi(3), 1e-6, 3e-12),
        ("1e6 + sin", |x| 1e6 + x.sin(), 1.0, 1f64.cos()),
        ("1e9 + sin", |x| 1e9 + x.sin(), 1.0, 1f64.cos()),
        ("logistic 12", s, 12.0, s(12.0) * s(-12.0)),
        ("sqrt 1e-6", f64::sqrt, 1e-6, 500.0),
        ("sqrt 1e10", f64::sqrt, 1e10, 0.5e-5),
        ("tanh 5", f64::tanh, 5.0, 1.0 / 5f64.cosh().powi(2)),
        ("1/x 1e-3", |x| 1.0 / x, 1e-3, -1e6),
        ("exp 1e-10", f64::exp, 1e-10, 1e-10f64.exp()),
        ("exp -700", f64::exp, -700.0, (-700f64).exp()),
        ("exp 700", f64::exp, 700.0, 700f64.exp()),
        ("x^1.5 1e-4", |x| x.powf(1.5), 1e-4, 1.5e-2),
        ("sin 1e6", f64::sin, 1e6, 1e6f64.cos()),
        ("cos 1e5x", |x| (1e5 * x).cos(), 1.0, -1e5 * 1e5f64.sin()),
        ("lorentz 1", |x| lorentz(x) + x, 1.0, 1.0),
        ("lorentz 1.0005", lorentz, 1.0005, -2e6 * 0.0005 * lorentz(1.0005).powi(2)),
        ("tan 1.57", f64::tan, 1.57, 1.0 / 1.57f64.cos().powi(2)),
        ("logistic 1e4(x−1)", |x| logistic(1e4 * (x - 1.0)), 1.0, 2.5e3),
        ("x ln x", |x: f64| x * x.ln(), 1e-5, 1e-5f64.ln() + 1.0),
        ("atan 1e4x", |x| (1e4 * x).atan(), 1e-4, 1e4 / 2.0),
        ("gauss", |x| (-1e4 * (x - 0.5).powi(2)).exp(), 0.51, -2e4 * 0.01 * (-1f64).exp()),
        ("x² 1e-8", |x| x * x, 1e-8, 2e-8),
        ("ln1p", f64::ln_1p, -0.999_999, 1e6),
        ("asin", f64::asin, 0.999_999, 1.0 / (1.0f64 - 0.999_999 * 0.999_999).sqrt()),
        ("acosh", f64::acosh, 1.000_001, 1.0 / (1.000_001f64 * 1.000_001 - 1.0).sqrt()),
        ("sin(1/x)", |x: f64| x.recip().sin(), 0.01, -1e4 * 100f64.cos()),
        ("linear", |x| 3.0 * x + 1e3, 0.1, 3.0),
        ("small slope", |x| 1.0 + 1e-6 * x, 2.0, 1e-6),
        ("tiny", |x| 1e-12 * x.sin(), 1.0, 1e-12 * 1f64.cos()),
        ("huge", |x| 1e200 * x.sin(), 1.0, 1e200 * 1f64.cos()),
        ("exp at 0", f64::exp, 0.0, 1.0),
        ("sin at 0", f64::sin, 0.0, 1.0),
        ("narrow at 0", |x| (1e6 * x).tanh(), 0.0, 1e6),
        ("ln sqrt chain", |x: f64| (x.sqrt() + 1.0).ln(), 1e-4, 0.5 / 0.01 / 1.01),
        ("runge", |x| 1.0 / (1.0 + 25.0 * x * x), 0.3, -50.0 * 0.3 / (1.0f64 + 25.0 * 0.09).powi(2)),
        ("poly", |x| x.powi(9) - 3.0 * x.powi(4), 1.1, 9.0 * 1.1f64.powi(8) - 12.0 * 1.1f64.powi(3)),
        ("double exp", |x: f64| x.exp().exp(), 2.0, 2f64.exp() * 2f64.exp().exp()),
        ("erfc like", |x: f64| (-x * x).exp() * x, 4.0, (1.0 - 32.0) * (-16f64).exp()),
        ("saturated", |x: f64| (1.0 - (-x).exp()).ln(), 20.0, (-20f64).exp() / (1.0 - (-20f64).exp())),
        ("large x, unit scale", |x| (x - 1e7).tanh(), 1e7 + 0.5, 1.0 / 0.5f64.cosh().powi(2)),
        ("beat", |x| x.sin() + 1e-3 * (1e3 * x).sin(), 1.0, 1f64.cos() + 1e3f64.cos()),
        ("ripple", |x| 3.0 * x + 1e-9 * (1e9 * x).sin(), 1.0, 3.0 + 1e9f64.cos()),
    ]
}

#[test]
fn right_derivatives_are_confirmed_and_wrong_ones_found() {
    let (mut evaluations, mut failures) = (0, Vec::new());
    for (name, f, x, slope) in smooth() {
        let mut say = |expected: &str, found: (Verdict, f64, f64, usize)| {
            failures.push(format!("{name}, claimed {expected}: {found:?}, true {slope:e}"));
        };
        let right = verdict(f, x, slope);
        evaluations += right.3;
        if right.0 != Verdict::Ok {
            say("right", right);
        }
        for (factor, what) in [(2.0, "2"), (1.01, "1.01"), (1.0001, "1.0001"), (-1.0, "-1"), (0.0, "0")] {
            let wrong = verdict(f, x, factor * slope);
            // One part in 10,000 drowns in the rounding of a value that is a billion times as large.
            if wrong.0 != Verdict::Wrong && !(name == "1e9 + sin" && what == "1.0001") {
                say(what, wrong);
            }
        }
    }
    println!("{} evaluations for {} functions", evaluations, smooth().len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is beside a function that bends at a scale of its own lifts its rounding until only steps far beyond that scale show anything.
#[test]
fn a_right_derivative_that_rounding_hides_is_never_called_wrong() {
    for rate in [5.0, 20.0, 100.0, 200.0, 500.0, 2000.0] {
        for height in 0..160 {
            let offset = 10f64.powf(0.125 * f64::from(height));
            for x in [2.47, 0.4, -1.3] {
                let found = verdict(|at| offset + (rate * (at - x)).exp(), x, rate);
                assert_ne!(found.0, Verdict::Wrong, "{offset:e} + exp({rate}(x − {x})): {found:?}");
            }
        }
    }
}

/// Functions with a kink, a jump or an edge that nobody tells of: point, claims that are right, claims that are wrong.
#[test]
fn kinks_jumps_and_edges_are_seen_in_the_values() {
    type Case = (&'static str, fn(f64) -> f64, f64, &'static [f64], &'static [f64]);
    let relu = |x: f64| x.max(0.0);
    let cases: [Case; 13] = [
        ("relu at 0", relu, 0.0, &[0.0, 0.5, 1.0], &[1.5, -0.5]),
        ("|x| at 0", f64::abs, 0.0, &[0.0, 1.0, -1.0], &[1.01, -2.0]),
        ("|x| at 5e-7", f64::abs, 5e-7, &[1.0], &[0.0, -1.0, 2.0]),
        ("relu(x − 1) at 1 + 1e-7", |x| (x - 1.0).max(0.0), 1.0 + 1e-7, &[1.0], &[2.0, -1.0]),
        ("relu(x − 1) at 1 − 1e-7", |x| (x - 1.0).max(0.0), 1.0 - 1e-7, &[0.0], &[2.0, -1.0]),
        ("kink in 1e3 + x", |x| 1e3 + x.abs(), 0.0, &[0.0], &[1.1]),
        ("x|x| at 0", |x: f64| x * x.abs(), 0.0, &[0.0], &[1.0, 1e-3]),
        ("x² at 0", |x| x * x, 0.0, &[0.0], &[1.0, 1e-3]),
        ("x³ at 0", |x| x * x * x, 0.0, &[0.0], &[1.0, 1e-3]),
        ("|x|^1.5 at 0", |x: f64| x.abs().powf(1.5), 0.0, &[0.0], &[1.0]),
        ("floor at 0.5", f64::floor, 0.5, &[0.0], &[1.0]),
        ("x^1.5 at 0", |x: f64| x.powf(1.5) + x, 0.0, &[], &[2.0]),
        ("max(sin, cos) at π/4", |x: f64| x.sin().max(x.cos()), std::f64::consts::FRAC_PI_4, &[0.0, 0.7, -0.7], &[1.0, -1.0]),
    ];
    let mut failures = Vec::new();
    for (name, f, x, right, wrong) in cases {
        for claim in right {
            let found = verdict(f, x, *claim);
            if !found.0.is_ok() {
                failures.push(format!("{name}, right {claim}: {found:?}"));
            }
        }
        for claim in wrong {
            let found = verdict(f, x, *claim);
            if found.0 != Verdict::Wrong {
                failures.push(format!("{name}, wrong {claim}: {found:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let jump = |x: f64| if x > 0.0 { 1.0 } else { 0.0 };
    assert_eq!(verdict(jump, 0.0, 0.0).0, Verdict::Discontinuous);
    assert_eq!(verdict(|x| jump(x) + x.sin(), 0.0, 1.0).0, Verdict::Discontinuous);
    assert_eq!(verdict(|x| jump(x - 1.0) + x.sin(), 1.0, 1f64.cos()).0, Verdict::Discontinuous);
    assert_eq!(verdict(f64::floor, 2.0, 0.0).0, Verdict::Discontinuous);
    assert_eq!(verdict(|x: f64| if x == 0.0 { 0.0 } else { f64::NAN }, 0.0, 0.0).0, Verdict::OutOfDomain);
    assert!(matches!(verdict(|x: f64| x.abs().sqrt(), 0.0, 0.0).0, Verdict::Inconclusive { .. }));
    assert!(matches!(verdict(f64::cbrt, 0.0, 0.0).0, Verdict::Inconclusive { .. }));
    // Noise of one part in a million, which has no derivative but hides one.
    let noisy = |x: f64| x.sin() + 1e-6 * (super::function::fraction(x.to_bits()) - 0.5);
    assert_eq!(verdict(noisy, 1.0, 1f64.cos()).0, Verdict::Ok);
    assert_eq!(verdict(noisy, 1.0, 2.0 * 1f64.cos()).0, Verdict::Wrong);
    // Periods that are too short for steps that the rounding allows.
    let hidden = |x: f64| 1e15 + (100.0 * x).sin();
    for (factor, never) in [(1.0, Verdict::Wrong), (2.0, Verdict::Ok), (-1.0, Verdict::Ok)] {
        let found = verdict(hidden, 1.0, factor * 100.0 * 100f64.cos());
        assert_ne!(found.0, never, "{factor}: {found:?}");
    }
    // What cannot be seen is neither right nor wrong.
    for claim in [1f64.cos(), 2.0] {
        assert!(matches!(verdict(|x| 1e16 + x.sin(), 1.0, claim).0, Verdict::Inconclusive { .. }));
    }
}

/// Functions that nobody has looked at: families with frequencies, sizes, offsets and points drawn over many decades.
#[test]
fn thousands_of_drawn_functions_get_no_wrong_verdict() {
    use super::function::{fraction, scrambled};
    let mut counts = [[0usize; 3]; 3];
    let mut wrong = Vec::new();
    for trial in 0..4000u64 {
        let mut draw = scrambled(trial);
        let mut uniform = || {
            draw = scrambled(draw);
            fraction(draw)
        };
        let mut decades = |low: f64, high: f64| 10f64.powf(low + (high - low) * uniform());
        let (x, amplitude) = (decades(-6.0, 6.0), decades(-9.0, 9.0));
        // The function's own scale beside that of the point, and an offset.
        let rate = decades(-3.0, 4.0) / x;
        let offset = if trial % 3 == 0 { amplitude * decades(0.0, 9.0) } else { 0.0 };
        let (family, shift) = (trial % 7, decades(-2.0, 0.5));
        let f = move |v: f64| {
            let t = rate * v + shift;
            let y = match family {
                0 => t.sin(),
                1 => (t - rate * x).exp(),
                2 => 1.0 / (1.0 + t * t),
                3 => (t - rate * x).tanh(),
                4 => t.cos() * (0.5 * t).sin(),
                5 => t.ln(),
                _ => t.sqrt() + t,
            };
            amplitude * y + offset
        };
        let t = rate * x + shift;
        let u = t - rate * x;
        let slope = amplitude
            * rate
            * match family {
                0 => t.cos(),
                1 => u.exp(),
                2 => -2.0 * t / (1.0 + t * t).powi(2),
                3 => 1.0 - u.tanh().powi(2),
                4 => 0.5 * t.cos() * (0.5 * t).cos() - t.sin() * (0.5 * t).sin(),
                5 => 1.0 / t,
                _ => 0.5 / t.sqrt() + 1.0,
            };
        for (row, factor) in [1.0, 1.01, 2.0].into_iter().enumerate() {
            let found = verdict(f, x, factor * slope);
            let column = match found.0 {
                Verdict::Ok | Verdict::SubgradientOk { .. } => 0,
                Verdict::Wrong => 1,
                _ => 2,
            };
            counts[row][column] += 1;
            if (row == 0 && column == 1) || (row > 0 && column == 0) {
                wrong.push(format!("trial {trial}, family {family}, × {factor}: {found:?}, true {slope:e}; x {x:e}, rate {rate:e}, amplitude {amplitude:e}, offset {offset:e}"));
            }
        }
    }
    println!("right, 1 % off, twice: confirmed, called wrong, undecided: {counts:?}");
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}
