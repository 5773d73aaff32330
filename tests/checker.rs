//! The checker: right gradients pass, wrong ones do not, and it says when it cannot know.

use autograd::{Algebra, Error, Op, Real, Sink, Tensor, check, tensor};

/// a·b, whose rule is wrong by a factor in its second operand.
#[derive(Debug)]
struct Wrong(f64);

impl Op<2> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        a.mul(b)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul(b));
        out.add(1, g.mul(a).mul_lit(self.0));
    }
}

#[test]
fn wrong_rules_are_found_and_right_ones_are_not_accused() {
    let (a, b) = (tensor![0.3, -1.2, 2.0], tensor![1.5, 0.4, -0.7]);
    for (factor, right) in [(1.0, true), (1.000_01, false), (2.0, false), (-1.0, false), (0.0, false)] {
        let report = check::gradients(|[a, b]| a.graph().apply(Wrong(factor), [a, b]).tanh(), [&a, &b]).unwrap();
        assert_eq!(report.passed(), right, "{report}");
        if !right {
            let text = report.to_string();
            assert!(
                text.contains("DO NOT agree") && text.contains("input 1 [3]: 0 of 3") && text.contains("input 0 [3]: 3 of 3"),
                "{text}"
            );
        }
    }
}

#[test]
#[should_panic(expected = "DO NOT agree")]
fn assert_ok_shows_the_report() {
    let a = tensor![0.3];
    check::gradients(|[a]| a.graph().apply(Wrong(3.0), [a, a]).sum(), [&a]).unwrap().assert_ok();
}

#[test]
fn points_of_any_size_can_be_checked() {
    for size in [1e-8, 1e-3, 1.0, 1e6] {
        let x = tensor![size, 2.0 * size, 3.0 * size];
        check::gradients(|[x]| x.ln().sum(), [&x]).unwrap().assert_ok();
        check::gradients(|[x]| x.powi(3).sum(), [&x]).unwrap().assert_ok();
        check::gradients(|[x]| x.sqrt().sum(), [&x]).unwrap().assert_ok();
    }
    check::gradients(|[x]| x.exp().sum(), [&tensor![0.0, 0.0]]).unwrap().assert_ok();
}

#[test]
fn a_kink_nearby_is_avoided_and_one_at_the_point_is_named() {
    check::gradients(|[x]| x.relu().sum(), [&tensor![1e-5, 1.0, -1e-6]]).unwrap().assert_ok();
    check::gradients(|[x]| x.amax([0], false), [&tensor![1.0, 1.0 + 1e-6]]).unwrap().assert_ok();
    let report = check::gradients(|[x]| x.relu().sum(), [&tensor![0.0, 1.0]]).unwrap();
    report.assert_ok();
    let kinked = report.inputs()[0].elements()[0];
    assert!(matches!(kinked.verdict, check::Verdict::SubgradientOk { left, right } if left.abs() < 1e-9 && (right - 1.0).abs() < 1e-9));
    assert!(kinked.kink.is_some_and(|kink| kink.function == "relu" && kink.place == 0 && kink.distance == 0.0), "{report}");
    let report = check::gradients(|[x]| x.amax([0], false), [&tensor![1.0, 1.0]]).unwrap();
    assert!(report.passed() && report.to_string().contains("kink of amax"), "{report}");
}

#[test]
fn errors_of_the_function_are_passed_on() {
    let error = check::gradients(|[x, y]| x + y, [&tensor![1.0, 2.0], &tensor![1.0, 2.0, 3.0]]).unwrap_err();
    assert_eq!(error.op(), Some("add"));
}

#[test]
fn rounding_in_a_large_function_accuses_nobody() {
    for offset in [0.0, 1e3, 1e6, 1e8, 1e10] {
        let x = Tensor::linspace(-2.0, 2.0, 41).unwrap();
        let report = check::gradients(|[x]| x.sin().sum() + offset, [&x]).unwrap();
        let wrong = report.count(|v| v == check::Verdict::Wrong);
        assert_eq!(wrong, 0, "offset {offset}: {report}");
    }
    let (x, w) = (Tensor::linspace(500.0, 1500.0, 20).unwrap(), Tensor::linspace(-1e-4, 1e-4, 20).unwrap());
    check::gradients(|[x, w]| x.square().sum() + w.sin().sum() * 1e-2, [&x, &w]).unwrap().assert_ok();
}

#[test]
fn a_gradient_of_zero_is_accepted() {
    let x = tensor![0.3, -0.2, 1.1];
    check::gradients(|[x]| x.softmax(0).sum(), [&x]).unwrap().assert_ok();
    check::gradients(|[x]| (x - x.mean()).sum(), [&x]).unwrap().assert_ok();
    check::gradients(|[x, b]| (x + b.sum()).softmax(0), [&x, &tensor![0.5]]).unwrap().assert_ok();
}

#[test]
fn a_wrong_gradient_is_found_in_a_function_that_hardly_depends_on_it() {
    let (x, w) = (Tensor::linspace(500.0, 1500.0, 20).unwrap(), Tensor::linspace(-1e-4, 1e-4, 20).unwrap());
    let report = check::gradients(|[x, w]| x.square().sum() + w.graph().apply(Wrong(2.0), [w * 0.0 + 1e-2, w]).sum(), [&x, &w]).unwrap();
    let wrong = report.inputs()[1].count(|v| v == check::Verdict::Wrong);
    assert!(wrong >= 15, "{report}");
}

#[test]
fn a_slope_that_bends_is_a_kink_for_the_differences() {
    // softsign has a slope everywhere, but at 0 that has two sides: a step across it would be off by the length of the step.
    let report = check::gradients(|[x]| x.softsign(), [&tensor![1e-5, -2e-4, 1.0]]).unwrap();
    assert!(report.passed() && report.deviation() < 1e-8, "{report}");
}

#[test]
fn a_kink_nearer_than_the_smallest_step_is_no_jump() {
    let (a, b) = (tensor![1.0, 2.0, 3.0], tensor![1.0, 2.0 + 1e-13, 3.0 - 2e-14]);
    let report = check::gradients(|[a, b]| a.max(b).sum(), [&a, &b]).unwrap();
    assert_eq!(report.count(|v| v == check::Verdict::Discontinuous || v.is_fault()), 0, "{report}");
    let jump = check::gradients(|[x]| (x.floor() * x).sum(), [&tensor![1.0, 2.5, -3.0]]).unwrap();
    assert_eq!(jump.count(|v| v == check::Verdict::Discontinuous), 2, "{jump}");
}

#[test]
fn the_kink_of_a_maximum_is_as_far_as_the_one_that_takes_the_lead() {
    let report = check::gradients(|[x]| x.amax([0], false), [&tensor![1.0, 1.0 + 1e-9, 0.0]]).unwrap();
    for element in &report.inputs()[0].elements()[..2] {
        assert!(element.kink.is_some_and(|kink| (kink.distance - 1e-9).abs() < 1e-15), "{report}");
    }
    let report = check::jvp(|[x]| x.relu() * 2.0, [&tensor![1.0, 0.0, -1e-9]]).unwrap();
    assert!(report.inputs()[0].elements()[1].kink.is_some_and(|kink| kink.function == "relu" && kink.distance == 0.0), "{report}");
}

#[test]
fn values_near_the_largest_number_are_checked_like_others() {
    let right = check::gradients(|[x]| x.exp().sum(), [&tensor![709.7]]).unwrap();
    assert!(right.passed() && right.deviation() < 1e-9, "{right}");
    for factor in [1.0001, 1.01] {
        let wrong = check::gradients(|[x]| x.exp().on_grad(move |g| g.mul_lit(factor).ok()).sum(), [&tensor![709.7]]).unwrap();
        assert_eq!(wrong.count(|v| v == check::Verdict::Wrong), 1, "{wrong}");
    }
}

#[test]
fn elements_that_are_no_numbers_are_not_confirmed() {
    for bad in [f64::NAN, f64::INFINITY] {
        let report = check::gradients(|[x]| x.slice(0, 1..2).sin().sum(), [&tensor![bad, 2.0]]).unwrap();
        assert!(!report.passed() && report.count(|v| v == check::Verdict::OutOfDomain) == 1, "{report}");
    }
}

#[test]
fn the_first_line_tells_wrong_from_undecided() {
    let first = |report: check::Report| report.to_string().lines().next().unwrap().to_owned();
    let undecided = check::gradients(|[x]| x.floor().sum(), [&tensor![1.0]]).unwrap();
    let text = undecided.to_string();
    assert!(text.contains("deviation unknown") && text.contains("what is not decided") && !text.contains("not looked at"), "{text}");
    assert_eq!(first(undecided), "autodiff and finite differences are not at odds, but NOT ALL is decided");
    assert_eq!(first(check::gradients(|[x]| x.exp().sum(), [&tensor![1.0]]).unwrap()), "autodiff and finite differences agree");
    // A rule that is not linear in the incoming gradient, where that is 1.
    let bent = check::gradients(|[x]| x.on_grad(|g| g.square().ok()).sum(), [&tensor![1.0, 2.0]]).unwrap();
    assert_eq!(first(bent), "autodiff and finite differences are not at odds, but something else is WRONG");
    let empty = check::gradients(|[x]| x.sum(), [&Tensor::zeros([0, 3]).unwrap()]).unwrap();
    assert!(empty.passed() && !empty.to_string().contains("not looked at"), "{empty}");
}

#[test]
fn taylor_remainders_accuse_nobody_near_a_kink_and_confirm_nothing_without_a_value() {
    for kink in [0.12, 0.0626, 0.03, 0.004] {
        let right = check::taylor(|[x]| x.abs().sum(), [&tensor![kink]], [&tensor![-1.0]]).unwrap();
        assert!(right.passed(), "{kink}: {right}");
        let wrong = check::taylor(|[x]| x.abs().on_grad(|g| g.mul_lit(1.01).ok()).sum(), [&tensor![kink]], [&tensor![-1.0]]).unwrap();
        assert!(!wrong.passed(), "{kink}: {wrong}");
    }
    let nowhere = check::taylor(|[x]| x.ln().sum(), [&tensor![-0.1]], [&tensor![-1.0]]).unwrap();
    assert!(!nowhere.passed() && nowhere.to_string().contains("NOT FINITE"), "{nowhere}");
    let edge = check::taylor(|[x]| x.ln().sum(), [&tensor![0.1, 2.0]], [&tensor![-1.0, -1.0]]).unwrap();
    assert!(edge.passed() && !edge.to_string().contains("NaN"), "{edge}");
}

#[test]
fn nothing_is_no_agreement() {
    let report = check::compare(&[], &[]).unwrap();
    assert!(!report.passed() && report.to_string().contains("there is nothing to compare"), "{report}");
}

#[test]
fn lists_are_not_called_what_they_are_not() {
    let report = check::compare(&[("w", &tensor![1.0, 2.0, 3.0])], &[("w", &tensor![2.0, 4.0, 6.0])]).unwrap();
    let text = report.to_string();
    assert!(text.starts_with("the first list and the second DO NOT agree"), "{text}");
    assert!(text.contains("[2]: wrong; the first list 3.000000000e0, the second 6.000000000e0 ± "), "{text}");
    assert!(text.contains("diagnosis: w: the first list = 0.500000 × the second at all 3 elements"), "{text}");
    assert!(!text.contains("autodiff") && !text.contains("NaN"), "{text}");
}
