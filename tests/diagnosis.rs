//! What the checker says of a wrong gradient, beside that it is wrong; and what it does with a budget, with many elements, and at higher orders.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use autograd::{
    Algebra, Error, Op, Real, Shape, Sink, Tensor, Var,
    check::{self, Checker, Coverage, Outcome, Steps, Verdict},
    op::Handle,
    tensor,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn randn(seed: u64, shape: &[usize]) -> Tensor<f64> {
    Tensor::randn(shape, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

/// The sentences on a function whose gradient by its first input is bent.
fn sentences(
    x: &[&Tensor<f64>],
    bend: impl Fn(&Tensor<f64>) -> Tensor<f64> + Send + Sync + Clone + 'static,
    f: impl for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
) -> Vec<String> {
    let report = check::slices(
        |x: &[Var<'_, f64>]| {
            let bend = bend.clone();
            let _ = x[0].on_grad(move |g| Some(bend(g)));
            f(x)
        },
        x,
    )
    .unwrap();
    assert!(!report.passed(), "{report}");
    report.diagnosis().to_vec()
}

#[test]
fn simple_mistakes_are_named() {
    let matrix = randn(1, &[4, 4]);
    let map = |f: fn(f64) -> f64| move |g: &Tensor<f64>| Tensor::new(g.to_vec().into_iter().map(f).collect::<Vec<_>>(), g.shape()).unwrap();
    let each = |f: fn(f64) -> f64| sentences(&[&matrix], map(f), |x| x[0].sin()).join("; ");
    let says = |found: &str, expected: &str| assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    says(&each(|d| 2.0 * d), "autodiff = 2.000000 × the finite difference at all 16 elements: is a factor ½ missing");
    says(&each(|d| -d), "the sign is wrong");
    says(&each(|d| 4.0 * d), "an axis has length 4: a sum where the value takes the mean?");
    says(&each(|d| d / 4.0), "an axis has length 4: a mean where the value takes the sum?");
    says(&each(|d| 1.7 * d), "autodiff = 1.700000 × the finite difference at all 16 elements: a constant factor is missing");
    says(&each(|_| 0.0), "autodiff gives 0 for all 16: was the way cut off");
    says(&each(|d| d + 0.25), "autodiff = the finite difference + 2.500000e-1 at all 16 wrong elements");

    let transposed = |g: &Tensor<f64>| Tensor::new(g.transpose(0, 1).unwrap().to_vec(), g.shape()).unwrap();
    says(&sentences(&[&matrix], transposed, |x| x[0].sin()).join("; "), "the gradient is transposed");
    let oblong = randn(2, &[2, 3]);
    says(&sentences(&[&oblong], transposed, |x| x[0].sin()).join("; "), "the gradient is transposed");
    let reversed = |g: &Tensor<f64>| g.flip(..).unwrap();
    says(&sentences(&[&randn(3, &[5])], reversed, |x| x[0].sin()).join("; "), "in the opposite order");
    let shared = |g: &Tensor<f64>| g.mean().unwrap().broadcast_to(g.shape()).unwrap();
    says(&sentences(&[&randn(4, &[5])], shared, |x| x[0].sin()).join("; "), "the mean of those of the finite difference");

    let x = tensor![0.5, -1.0, 2.0, -0.3, 1.0];
    let at = x.clone();
    let above = move |g: &Tensor<f64>| g.mul(&at.step().unwrap().mul_lit(0.5).unwrap().add_lit(0.5).unwrap()).unwrap();
    says(&sentences(&[&x], above, |x| x[0].square()).join("; "), "only where x < 0: 2 elements wrong there, 3 right elsewhere");
    let one = |g: &Tensor<f64>| {
        Tensor::new(g.to_vec().iter().enumerate().map(|(i, d)| if i == 3 { 1.5 * d } else { *d }).collect::<Vec<_>>(), g.shape()).unwrap()
    };
    says(&sentences(&[&x], one, |x| x[0].square()).join("; "), "only [3] is wrong, all others are right");
}

#[test]
fn contributions_that_overwrite_each_other_are_named() {
    let at = [0usize, 2, 2, 1, 2, 0];
    let take = Handle::custom(
        "take",
        move |x: &[&Tensor<f64>]| Tensor::new(at.map(|i| x[0].as_slice()[i]).to_vec(), [6]),
        move |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| {
            let mut d = vec![0.0; x[0].len()];
            at.iter().zip(g.as_slice()).for_each(|(i, g)| d[*i] = *g);
            Ok(vec![Tensor::new(d, x[0].shape())?])
        },
    );
    // Whole numbers are no evidence that is needed: what each position contributes is looked at.
    let weights = randn(9, &[6]);
    type Rest<'a> = &'a (dyn for<'g> Fn(V<'g>) -> V<'g> + Sync);
    let rests: [Rest<'_>; 2] = [&|y| y.square().sum(), &|y| (y * y.graph().constant(&weights)).sin()];
    for f in rests {
        let report = check::gradients(|[x]| f(x.graph().call(take.clone(), &[x])), [&tensor![1.0, 2.0, 3.0]]).unwrap();
        let [sentence] = report.diagnosis() else { panic!("{report}") };
        assert!(sentence.starts_with("input 0: take (node 1) at "), "{sentence}");
        assert!(
            sentence.ends_with(
                "operand 0: autodiff is the contribution of the last alone at the 2 elements that go into 2 to 3 elements of the result, \
                 the finite difference the sum of all, and right at the 1 that go into one: contributions at repeated positions are \
                 overwritten rather than added"
            ),
            "{sentence}"
        );
    }
    // The same of the operation alone, and where it is no leaf that it is applied to.
    let report = check::handle(&take, &[&tensor![1.0, 2.0, 3.0]]).unwrap();
    assert!(report.to_string().contains("contributions at repeated positions are overwritten"), "{report}");
    let report = check::nodes(|[x]| x.graph().call(take.clone(), &[x.exp()]).sum(), [&tensor![1.0, 2.0, 3.0]]).unwrap();
    assert!(report.wrong().next().unwrap().report.diagnosis()[0].contains("overwritten rather than added"), "{report}");
    let report = check::gradients(|[x]| x.graph().call(take.clone(), &[x.exp()]).sum(), [&tensor![1.0, 2.0, 3.0]]).unwrap();
    assert!(report.diagnosis().iter().any(|s| s.starts_with("take (node 2) at ") && s.contains("overwritten")), "{report}");
}

type V<'g> = Var<'g, f64>;
type Reduce = fn(&Tensor<f64>, &Shape) -> Result<Tensor<f64>, Error>;

/// a·b, with whatever stands for the sum over the axes along which b was repeated.
fn stretched_product(reduce: Reduce) -> Handle {
    Handle::custom(
        "scale",
        |x: &[&Tensor<f64>]| x[0].mul(x[1]),
        move |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| Ok(vec![g.mul(x[1])?, reduce(&g.mul(x[0])?, x[1].shape())?]),
    )
}

/// The first places of some axes, the sums over the others, in the shape of the operand.
fn first_of(g: &Tensor<f64>, axes: &[isize], to: &Shape) -> Result<Tensor<f64>, Error> {
    axes.iter().try_fold(g.clone(), |g, &axis| g.slice(axis, 0..1))?.sum_to(to)
}

#[test]
fn a_reduction_that_is_missing_is_named_with_its_axis() {
    let cases: [(&[usize], &[usize], Reduce, &str); 7] = [
        (
            &[3, 4],
            &[4],
            |g, to| first_of(g, &[0], to),
            "[4] is broadcast to [3, 4]; autodiff is the contribution of place 0 of axis 0 alone at all 4",
        ),
        (
            &[3, 4],
            &[3, 1],
            |g, to| first_of(g, &[1], to),
            "[3, 1] is broadcast to [3, 4]; autodiff is the contribution of place 0 of axis 1 alone",
        ),
        (&[3, 4], &[4], |g, to| g.slice(0, 2..3)?.sum_to(to), "place 2 of axis 0 alone"),
        (&[5, 2, 3], &[2, 1], |g, to| first_of(g, &[0], to), "place 0 of axis 0 alone"),
        (&[5, 2, 3], &[2, 1], |g, to| first_of(g, &[-1], to), "place 0 of axis 2 alone"),
        (&[5, 2, 3], &[2, 1], |g, to| first_of(g, &[0, 2], to), "place [0, 0] of axes [0, 2] alone"),
        (
            &[5, 2],
            &[],
            |g, to| first_of(g, &[0, 1], to),
            "[] is broadcast to [5, 2]; autodiff is the contribution of place [0, 0] of axes [0, 1] alone",
        ),
    ];
    for (x, b, reduce, expected) in cases {
        let (x, b) = (randn(50, x), randn(51, b));
        let report = check::gradients(|[x, b]| x.graph().call(stretched_product(reduce), &[x, b]).tanh().sum(), [&x, &b]).unwrap();
        let [sentence] = report.diagnosis() else { panic!("{report}") };
        assert!(sentence.starts_with("input 1: scale (node 2) at ") && sentence.contains(expected), "{expected}: {report}");
        assert!(sentence.ends_with("the reduction over a broadcast axis is missing"), "{sentence}");
    }
    // One example of a batch: the operand is not broadcast, but has a part in several elements of the result all the same.
    let affine = Handle::custom(
        "affine",
        |x: &[&Tensor<f64>]| x[0].matmul(x[1]),
        |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| {
            let dw = x[0].slice(0, 0..1)?.transpose(0, 1)?.matmul(&g.slice(0, 0..1)?)?;
            Ok(vec![g.matmul(&x[1].transpose(0, 1)?)?, dw])
        },
    );
    let report =
        check::gradients(|[x, w]| x.graph().call(affine.clone(), &[x, w]).square().mean(), [&randn(52, &[5, 3]), &randn(53, &[3, 2])]);
    let report = report.unwrap();
    let [sentence] = report.diagnosis() else { panic!("{report}") };
    assert!(sentence.contains("the first alone at the 6 elements that go into 5 elements of the result"), "{sentence}");
    assert!(sentence.ends_with("a sum is missing, as over the examples of a batch"), "{sentence}");
}

#[test]
fn no_reduction_is_missed_where_another_thing_is_wrong_or_nothing() {
    let (x, b) = (randn(54, &[3, 4]), randn(55, &[4]));
    let right = check::gradients(|[x, b]| x.graph().call(stretched_product(|g, to| g.sum_to(to)), &[x, b]).tanh().sum(), [&x, &b]).unwrap();
    assert!(right.passed() && right.diagnosis().is_empty(), "{right}");
    // A mean, a factor, one row of another sign, one row and a bit, rows that differ from element to element, another rule that is wrong.
    let others: [Reduce; 5] = [
        |g, to| g.sum_to(to)?.mul_lit(1.0 / 3.0),
        |g, to| g.sum_to(to)?.mul_lit(2.0),
        |g, to| first_of(g, &[0], to)?.neg(),
        |g, to| first_of(g, &[0], to)?.mul_lit(1.001),
        |g, to| Tensor::new((0..4).map(|i| g.as_slice()[(i % 3) * 4 + i]).collect::<Vec<_>>(), to),
    ];
    for reduce in others {
        let report = check::gradients(|[x, b]| x.graph().call(stretched_product(reduce), &[x, b]).tanh().sum(), [&x, &b]).unwrap();
        assert!(!report.passed() && report.diagnosis().iter().all(|s| !s.contains("alone")), "{report}");
    }
    let report = check::gradients(|[x, b]| x.graph().apply(Flat, [x * b]).sum(), [&x, &b]).unwrap();
    assert!(!report.passed() && report.diagnosis().iter().all(|s| !s.contains("alone")), "{report}");
    // A term that is missing may make the ratios whole numbers.
    let report = check::gradients(|[x]| (x.detach().square() + x).sum(), [&tensor![1.0, 2.0]]).unwrap();
    assert!(!report.passed() && report.diagnosis().is_empty(), "{report}");
    // Positions that repeat, added as they should be, but doubled.
    let at = [0usize, 2, 2, 1, 2, 0];
    let take = Handle::custom(
        "take",
        move |x: &[&Tensor<f64>]| Tensor::new(at.map(|i| x[0].as_slice()[i]).to_vec(), [6]),
        move |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| {
            let mut d = vec![0.0; x[0].len()];
            at.iter().zip(g.as_slice()).for_each(|(i, g)| d[*i] += 2.0 * *g);
            Ok(vec![Tensor::new(d, x[0].shape())?])
        },
    );
    let report = check::gradients(|[x]| x.graph().call(take.clone(), &[x]).square().sum(), [&tensor![1.0, 2.0, 3.0]]).unwrap();
    let [sentence] = report.diagnosis() else { panic!("{report}") };
    assert!(sentence.contains("autodiff = 2.000000 × the finite difference at all 3 elements"), "{report}");
}

/// tanh with a wrong slope.
#[derive(Debug)]
struct Flat;

impl Op<1> for Flat {
    fn name(&self) -> &'static str {
        "flat"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.tanh()
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.sub(&g.mul(&y.abs())));
    }
}

#[test]
fn the_layer_and_the_line_of_a_wrong_rule_are_named() {
    let shapes = [[3, 4], [4, 4], [4, 4], [4, 4], [4, 2]];
    let x: Vec<_> = (0..5).map(|i| randn(10 + i as u64, &shapes[i])).collect();
    let line = line!();
    // A closure of the right lifetimes.
    fn of<F: for<'g> Fn([Var<'g, f64>; 5]) -> Var<'g, f64>>(f: F) -> F {
        f
    }
    let network = of(|[x, a, b, c, d]| {
        let h = x.graph().apply(Flat, [x.matmul(a).tanh().matmul(b)]);
        h.matmul(c).tanh().matmul(d).square().mean()
    });
    let inputs = [&x[0], &x[1], &x[2], &x[3], &x[4]];
    let report = check::gradients(network, inputs).unwrap();
    let depth = report.diagnosis().last().unwrap();
    assert!(depth.contains("everything up to input 2 is wrong, and from input 3 on all is right"), "{report}");
    let nodes = check::nodes(network, inputs).unwrap();
    let wrong: Vec<_> = nodes.wrong().collect();
    assert_eq!((wrong.len(), wrong[0].op), (1, "flat"), "{nodes}");
    assert!(wrong[0].at.file().ends_with("diagnosis.rs") && wrong[0].at.line() > line, "{nodes}");
    assert!(nodes.nodes().len() >= 9 && nodes.to_string().contains("the rules of 1 of"), "{nodes}");
}

#[test]
fn directions_find_one_wrong_element_among_many_and_say_how_small_an_error_may_be() {
    let x = randn(20, &[20_000]);
    let bent = |g: &Tensor<f64>| {
        let mut d = g.to_vec();
        d[12_345] *= 1.01;
        Tensor::new(d, g.shape()).unwrap()
    };
    let right = check::gradients(|[x]| x.square().sum(), [&x]).unwrap();
    assert!(right.passed(), "{right}");
    assert!(right.inputs()[0].directions().len() == 4 && right.inputs()[0].noticed() < 1e-2, "{right}");
    let wrong = check::gradients(|[x]| x.on_grad(move |g| Some(bent(g))).square().sum(), [&x]).unwrap();
    let named: Vec<_> = wrong.inputs()[0].worst().iter().map(|e| e.index).collect();
    assert_eq!(named, [12_345], "{wrong}");
}

#[test]
fn budgets_end_a_check_honestly() {
    let x = randn(21, &[100]);
    let counted = Arc::new(AtomicUsize::new(0));
    let seen = counted.clone();
    let report = Checker::new()
        .max_evals(400)
        .gradients(
            move |[x]| {
                seen.fetch_add(1, Ordering::Relaxed);
                x.sin().sum()
            },
            [&x],
        )
        .unwrap();
    // A few evaluations more are made for the value, the gradients and the referees.
    assert!(counted.load(Ordering::Relaxed) <= 420 && report.cost().evaluations <= 400, "{report}");
    let skipped = report.count(|v| v == Verdict::Skipped);
    assert!(skipped > 20 && skipped < 100, "{report}");
    assert!(
        report.to_string().contains(&format!("{skipped} skipped, the budget was spent")) && report.inputs()[0].noticed().is_infinite(),
        "{report}"
    );
    let none = Checker::new().max_seconds(0.0).gradients(|[x]| x.sin().sum(), [&x]).unwrap();
    assert!(!none.passed(), "a check of nothing does not pass: {none}");
    let done = Arc::new(AtomicUsize::new(0));
    let to = done.clone();
    let checker = Checker::new().progress(move |done, total| {
        assert_eq!(total, 100);
        to.fetch_max(done, Ordering::Relaxed);
    });
    checker.gradients(|[x]| x.sin().sum(), [&x]).unwrap().assert_ok();
    assert_eq!(done.load(Ordering::Relaxed), 100);
}

/// x itself, whose rule says that it does not depend on x.
#[derive(Debug)]
struct Stop;

impl Op<1> for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        Ok(x.clone())
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, _g: &A, _out: &mut dyn Sink<T, A>) {}
}

/// x³ with a slope that is right, but says that it has no slope of its own.
#[derive(Debug)]
struct Frozen;

impl Op<1> for Frozen {
    fn name(&self) -> &'static str {
        "frozen"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.powi(3)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul(&A::apply(Stop, [x]).square().mul_lit(3.0)));
    }
}

#[test]
fn second_derivatives_may_be_wrong_where_first_ones_are_right() {
    let x = tensor![0.5, 1.25];
    check::second_order(|[x]| x.powi(3).sum() + x.prod(), [&x]).unwrap().assert_ok();
    check::gradients(|[x]| x.graph().apply(Frozen, [x]).sum(), [&x]).unwrap().assert_ok();
    let report = check::second_order(|[x]| x.graph().apply(Frozen, [x]).sum(), [&x]).unwrap();
    assert!(!report.passed(), "{report}");
    let taylor = check::taylor(|[x]| x.sin().sum(), [&x], [&tensor![1.0, 0.5]]).unwrap();
    assert!([1.0, 2.0, 3.0].iter().enumerate().all(|(k, rate)| (taylor.rate(k).unwrap() - rate).abs() < 0.15), "{taylor}");
    let bent = check::taylor(|[x]| x.graph().apply(Flat, [x]).sum(), [&x], [&tensor![1.0, 0.5]]).unwrap();
    assert!(!bent.passed() && bent.rate(1).unwrap() < 1.2, "{bent}");
}

#[test]
fn forward_mode_and_lists_of_names_are_compared() {
    let x = [&randn(30, &[3, 2]), &randn(31, &[2])];
    check::jvp(|[a, b]| a.matmul(b).sin().softmax(0), x).unwrap().assert_ok();
    let report = check::jvp(|[a, b]| a.graph().apply(Flat, [a.matmul(b)]), x).unwrap();
    assert!(!report.passed() && report.count(|v| v == Verdict::Wrong) > 0, "{report}");
    let report = check::compare(&[("w", x[0]), ("b", x[1])], &[("w", x[0]), ("c", x[1])]).unwrap();
    assert!(!report.passed() && report.findings().iter().filter(|f| f.outcome == Outcome::Wrong).count() == 2, "{report}");
    check::compare(&[("w", x[0])], &[("w", x[0])]).unwrap().assert_ok();
}

#[test]
fn the_ways_to_step_do_what_they_say() {
    let x = tensor![0.5, -2.0];
    for steps in [Steps::Fast, Steps::Fixed(1e-6)] {
        Checker::new().steps(steps).gradients(|[x]| x.sin().sum(), [&x]).unwrap().assert_ok();
        let wrong = Checker::new().steps(steps).gradients(|[x]| x.sin().on_grad(|g| g.mul_lit(1.01).ok()).sum(), [&x]).unwrap();
        assert_eq!(wrong.count(|v| v == Verdict::Wrong), 2, "{wrong}");
    }
    let linear = Checker::new().steps(Steps::Linear).gradients(|[x]| (x * 3.0).sum(), [&x]).unwrap();
    assert!(linear.passed() && linear.inputs()[0].elements().iter().all(|e| e.step >= 0.5 && e.deviation() < 1e-14), "{linear}");
}

#[test]
fn reports_can_be_read_by_programs() {
    let x = tensor![0.5, 0.0];
    let report =
        check::gradients(|[x]| (x.relu() * 2.0).on_grad(|g| g.mul_lit(2.0).ok()).sum(), [&x]).unwrap().named(["w|\"1\"".to_owned()]);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((json["passed"].as_bool(), json["inputs"][0]["name"].as_str()), (Some(false), Some("w|\"1\"")));
    assert_eq!(json["inputs"][0]["elements"][0]["verdict"].as_str(), Some("wrong"));
    assert!(json["inputs"][0]["elements"][1]["right"].as_f64().is_some(), "{json}");
    assert_eq!(report.to_csv().lines().count(), 3);
    assert!(report.to_markdown().lines().nth(2).unwrap().starts_with("| w\\|\"1\" | [2] | 2 | 1 | 1 |"), "{}", report.to_markdown());
    assert!(report.diagnosis()[0].starts_with("w|\"1\": "), "{report}");
    // The same seed gives the same report, but for the time.
    let again = check::gradients(|[x]| (x.relu() * 2.0).on_grad(|g| g.mul_lit(2.0).ok()).sum(), [&x]).unwrap();
    assert_eq!(
        again.to_csv().lines().nth(1).map(|l| l.split_once(',').unwrap().1.to_owned()),
        report.to_csv().lines().nth(1).map(|l| l.split_once("\",").unwrap().1.to_owned())
    );
}

#[test]
fn coverage_by_tensor_does_not_drown_biases() {
    let (w, b) = (randn(40, &[50, 50]), randn(41, &[50]));
    let x = randn(42, &[4, 50]);
    let report = Checker::new()
        .coverage(Coverage::PerTensor(10))
        .gradients(|[w, b]| (w.graph().constant(&x).matmul(w) + b).tanh().mean(), [&w, &b])
        .unwrap();
    let checked: Vec<_> = report.inputs().iter().map(|input| input.elements().len()).collect();
    assert!(report.passed() && checked.iter().all(|n| (8..=10).contains(n)), "{report}");
}
