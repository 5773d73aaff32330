//! Mistakes that were made once, each with the smallest program that showed it.

use autograd::{
    Algebra, Error, ErrorKind, Graph, LeafId, MultiOp, Op, Real, Sink, Tensor, Var, check,
    elementary::{Elementary, Function, Slope, X},
    functional::{self, Mode, closure},
    fused,
    op::{FirstOrder, Handle, pointwise::Pointwise},
    tensor,
};

type V<'g> = Var<'g, f64>;

/// Radius and angle, whose rule reads both.
#[derive(Debug)]
struct Polar;

impl MultiOp<2, 2> for Polar {
    fn name(&self) -> &'static str {
        "polar"
    }
    fn forward<T: Real>(&self, [x, y]: [&Tensor<T>; 2]) -> Result<[Tensor<T>; 2], Error> {
        Ok([x.hypot(y)?, y.atan2(x)?])
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 2], [r, angle]: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
        let (cos, sin) = (angle.cos(), angle.sin());
        if let Some(g) = g[0] {
            out.add(0, g.mul(&cos));
            out.add(1, g.mul(&sin));
        }
        if let Some(g) = g[1] {
            out.add(0, g.mul(&sin.neg()).div(r));
            out.add(1, g.mul(&cos).div(r));
        }
    }
}

#[test]
fn outputs_that_a_checkpoint_keeps_and_drops_are_both_there_for_the_rule() {
    fn f<'g>(x: V<'g>, y: V<'g>, inner: usize, checkpointed: bool) -> V<'g> {
        let g = x.graph();
        let (a, b) = (x.sin() + 2.0, y.exp());
        let part = || g.apply_multi(Polar, [a, b])[inner];
        let t = if checkpointed { g.checkpoint(part) } else { part() };
        (t.tanh() * a).square().sum()
    }
    let (x, y, v) = (tensor![0.3, 0.7], tensor![-0.2, 0.4], tensor![1.0, -0.5]);
    for inner in [0, 1] {
        let all = |checkpointed: bool| {
            let f = closure(move |[x, y]| f(x, y, inner, checkpointed));
            let (_, [dx, dy], hessian) = functional::value_grad_and_hessian(f, [&x, &y]).unwrap();
            let forward = functional::jacobian_by(Mode::Forward, f, [&x, &y]).unwrap();
            let (_, pushforward) = functional::linearize(f, [&x, &y]).unwrap();
            let along = pushforward.apply([&v, &v]).unwrap();
            let product = functional::hvp(f, [&x, &y], [&v, &v]).unwrap();
            (dx, dy, hessian, forward, along, product, functional::vhp(f, [&x, &y], [&v, &v]).unwrap())
        };
        assert_eq!(all(true), all(false), "output {inner}");
    }
    let g = Graph::new();
    let (x, y) = (g.variable(&x), g.variable(&y));
    let r = g.checkpoint(|| g.apply_multi(Polar, [x, y])[0]);
    assert!(r.sum().find_nonfinite().unwrap().is_none());
    g.replay(&[(x, &v)]).unwrap();
    assert!(r.sum().backward().is_ok());
}

#[test]
fn a_checkpoint_may_read_what_another_one_dropped() {
    let run = |checkpointed: bool, nested: bool| {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![0.3, -0.7]);
        fn part<'g>(g: &'g Graph<f64>, checkpointed: bool, f: impl FnOnce() -> V<'g>) -> V<'g> {
            if checkpointed { g.checkpoint(f) } else { f() }
        }
        let pair = || {
            let h = part(&g, checkpointed, || x.sin().exp().tanh());
            let y = h.square().sum();
            part(&g, checkpointed, || {
                let [d] = g.grad(y, [x]);
                (d * d).sum()
            })
        };
        let d = if nested { part(&g, checkpointed, pair) } else { pair() };
        let direct = d.backward().unwrap().wrt(x).unwrap().clone();
        let recorded = g.grad(d, [x])[0].value().unwrap();
        let along = g.jvp(d, [x], [g.constant(tensor![1.0, 1.0])]).item().unwrap();
        assert!(g.find_nonfinite().is_none());
        (direct, recorded, along)
    };
    for nested in [false, true] {
        assert_eq!(run(true, nested), run(false, nested));
    }
    // A loop of learning steps: loss and update in checkpoints of their own.
    let steps = |checkpointed: bool| {
        let g = Graph::<f64>::new();
        let w0 = g.variable(tensor![0.5, -0.3]);
        let mut w = w0;
        for _ in 0..6 {
            let now = w;
            let loss = || (now.sin().exp() - 1.2).square().sum();
            let loss = if checkpointed { g.checkpoint(loss) } else { loss() };
            let update = || now - g.grad(loss, [now])[0] * 0.1;
            w = if checkpointed { g.checkpoint(update) } else { update() };
        }
        w.sum().backward().unwrap().wrt(w0).unwrap().clone()
    };
    assert_eq!(steps(true), steps(false));
}

#[test]
fn a_scope_that_read_a_constant_is_not_replayed_past() {
    let g = Graph::<f64>::new();
    let (x, c) = (g.variable(2.0), g.constant(1.0));
    let y = x * g.scope(|| c * 10.0);
    assert!(g.replay(&[(c, &Tensor::scalar(5.0))]).unwrap_err().to_string().contains("through the scope at"));
    let d = x.detach() * 2.0;
    let s = g.scope(|| d.sin());
    assert!(g.replay(&[(x, &Tensor::scalar(2.0))]).is_err());
    assert!(g.grad(s * 3.0, [x])[0].value().unwrap_err().to_string().contains("cut off by"));
    assert_eq!(y.item().unwrap(), 20.0);
    let examples = functional::per_example_grad(
        |[w], [x]| {
            let s = x.graph().scope(|| x * 10.0);
            (w * s).sum()
        },
        [&tensor![1.0]],
        [&tensor![1.0, 2.0, 3.0]],
    );
    assert!(examples.unwrap_err().to_string().contains("through the scope at"));
}

#[test]
fn the_plan_of_a_replay_does_not_outlive_a_scope() {
    let g = Graph::<f64>::new();
    let x = g.variable(1.0);
    g.scope(|| {
        let _ = (x * 2.0, g.constant(3.0));
        g.replay(&[(x, &Tensor::scalar(5.0))]).unwrap();
    });
    let (b, y) = (g.constant(3.0), x * 2.0);
    g.replay(&[(x, &Tensor::scalar(7.0))]).unwrap();
    assert_eq!((y.item().unwrap(), b.item().unwrap()), (14.0, 3.0));
}

#[test]
fn gradients_that_outlive_their_scope_are_of_nothing_else() {
    let g = Graph::<f64>::new();
    let w = g.variable(1.0);
    let mut saved = None;
    g.scope(|| {
        let x = g.variable(2.0);
        saved = Some((x * x).backward().unwrap());
    });
    let z = g.variable(7.0);
    let saved = saved.unwrap();
    assert!(saved.get(z).is_none());
    let message = saved.wrt(z).unwrap_err().to_string();
    assert!(message.contains("was made in the scope at"), "{message}");
    // The root is gone, the leaf is not.
    let mut kept = None;
    g.scope(|| kept = Some((z * z).sin().backward().unwrap()));
    let kept = kept.unwrap();
    assert!(kept.wrt(z).is_ok());
    assert!(kept.wrt(w).unwrap_err().to_string().contains("was made in the scope at"));
}

#[test]
fn a_swap_is_not_pointwise() {
    for n in 2..9 {
        for i in 0..n - 1 {
            let mut order: Vec<usize> = (0..n).collect();
            order.swap(i, i + 1);
            let order = autograd::Indices::from(order);
            let x = Tensor::<f64>::linspace(1.0, 2.0, n).unwrap();
            let swapped = functional::jacobian_diagonal(|[x]| x.index_select(0, &order), [&x]);
            assert!(matches!(swapped.unwrap_err().kind(), ErrorKind::NotDiagonal { .. }), "{i} of {n}");
        }
    }
    let x = tensor![1.0, 2.0, 3.0];
    assert!(functional::jacobian_diagonal(|[x]| x * 1e3 + x.cumsum(0) * 1e-6, [&x]).is_err());
}

#[test]
fn a_scope_gives_bindings_back() {
    let (id, v) = (LeafId::new(), tensor![1.0, 2.0]);
    let g = Graph::<f64>::new();
    let w = g.bind(&id, &v);
    let a = (w * 2.0).sum();
    g.scope(|| {
        g.bind_as(&id, w * 0.5).unwrap();
        assert_eq!(g.bind(&id, &v).value().unwrap(), tensor![0.5, 1.0]);
    });
    let b = (g.bind(&id, &v) * 3.0).sum();
    assert_eq!((a + b).backward().unwrap().of(&id), Some(&tensor![5.0, 5.0]));
}

#[test]
fn what_was_cut_off_is_not_0_in_forward_mode_either() {
    let x = tensor![1.0, 2.0];
    let zero = tensor![0.0, 0.0];
    let cut = closure(|[x]| x.detach().square());
    let product = closure(|[x]| (x * x.detach()).sum());
    let errors = [
        functional::jvp(cut, [&x], [&x]).unwrap_err(),
        functional::linearize(cut, [&x]).unwrap().1.apply([&x]).unwrap_err(),
        functional::hvp(product, [&x], [&x]).unwrap_err(),
        functional::hessian(product, [&x]).unwrap_err(),
        functional::hessian_product(product, [&x]).unwrap().2.apply([&x]).unwrap_err(),
        functional::hessian_diagonal(product, [&x]).unwrap_err(),
        functional::laplacian(product, [&x]).unwrap_err(),
        functional::jacobian_diagonal(cut, [&x]).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("cut off by detach() at"), "{error}");
        let at = error.location().unwrap();
        assert!(at.file().ends_with("regressions.rs"), "{error}");
    }
    // Nothing moves: nothing is lost.
    assert_eq!(functional::jvp(cut, [&x], [&zero]).unwrap().1, zero);
    let g = Graph::new();
    let v = g.variable(&x);
    assert!(g.jvp(v.detach() * 2.0, [v], [g.constant(&x)]).value().unwrap_err().to_string().contains("cut off by"));
    assert!(g.jvp_of(|[x]| x.detach() * 2.0, [v], [g.constant(&x)]).1.value().is_err());
    // Forward mode goes through scopes, which cut off the way back alone.
    let scoped = closure(|[x]| x.graph().scope(|| x.square()));
    assert_eq!(functional::jvp(scoped, [&x], [&x]).unwrap().1, tensor![2.0, 8.0]);
    assert!(functional::grad(|[x]| scoped([x]).sum(), [&x]).is_err());
    let folded = closure(|[x]| x.graph().fold(x, 0..3, |x, _| x.square()));
    assert_eq!(functional::jvp(folded, [&x], [&x]).unwrap().1, tensor![8.0, 8.0 * 256.0]);
    assert!(functional::grad(|[x]| folded([x]).sum(), [&x]).unwrap_err().to_string().contains("cut off by the scope at"));
}

#[test]
fn an_output_that_nothing_depends_on_has_no_gradient_to_hook() {
    let g = Graph::<f64>::new();
    let (x, y) = (g.variable(0.6), g.variable(0.8));
    let [r, angle] = g.apply_multi(Polar, [x, y]);
    let plain = angle.backward().unwrap().wrt(x).unwrap().clone();
    let r = r.on_grad(|d| d.add_lit(1.0).ok()).retain_grad();
    let grads = angle.backward().unwrap();
    assert_eq!(grads.wrt(x).unwrap(), &plain);
    assert!(grads.wrt(r).is_err());
    assert_eq!(g.grad(angle, [x])[0].value().unwrap(), plain);
}

#[test]
fn a_hook_in_a_recorded_gradient_is_called_once_and_again_by_a_replay() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };
    let calls = Arc::new(AtomicUsize::new(0));
    let g = Graph::<f64>::new();
    let x = g.variable(1.0);
    let counted = calls.clone();
    let h = (x * 10.0).on_grad(move |d| {
        counted.fetch_add(1, Relaxed);
        // Clips what is above 100.
        (d.item().ok()? > 100.0).then(|| Tensor::scalar(100.0))
    });
    let y = h.square();
    let [dx] = g.grad(y, [x]);
    assert_eq!((calls.load(Relaxed), dx.item().unwrap()), (1, 200.0));
    assert_eq!(g.grad(dx, [x])[0].item().unwrap(), 200.0, "it only looked");
    g.replay(&[(x, &Tensor::scalar(50.0))]).unwrap();
    assert_eq!(dx.item().unwrap(), 1000.0);
    assert_eq!(y.backward().unwrap().wrt(x).unwrap().item().unwrap(), 1000.0);
    assert!(dx.backward().unwrap_err().to_string().contains("replaced by the hook"));
}

/// The identity, which panics at 13.
#[derive(Debug)]
struct Unlucky;

impl Op<1> for Unlucky {
    fn name(&self) -> &'static str {
        "unlucky"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        assert!(x.as_slice().iter().all(|v| v.to_f64() != 13.0), "13");
        Ok(x.clone())
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.clone());
    }
}

#[test]
fn a_replay_after_a_panic_is_a_replay() {
    let g = Graph::<f64>::new();
    let x = g.variable(1.0);
    let y = g.apply(Unlucky, [x]) * 3.0;
    g.replay(&[(x, &Tensor::scalar(2.0))]).unwrap();
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| g.replay(&[(x, &Tensor::scalar(13.0))])));
    assert!(panics.is_err());
    g.replay(&[(x, &Tensor::scalar(5.0))]).unwrap();
    assert_eq!(y.item().unwrap(), 15.0);
}

#[test]
fn a_panic_in_a_hook_leaves_a_checkpoint_dropped() {
    let g = Graph::<f64>::new();
    let x = g.variable(Tensor::linspace(0.0, 1.0, 1000).unwrap());
    let y = g.checkpoint(|| (x * 2.0).sin().exp().tanh());
    x.on_grad(|_| panic!("in a hook"));
    let before = g.bytes();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| y.sum().backward().is_ok())).is_err());
    assert!(g.bytes() <= before + 200, "{} {before}", g.bytes());
}

#[test]
fn empty_results_have_empty_jacobians() {
    let x = tensor![1.0, 2.0, 3.0];
    let [j] = functional::jacobian_by(Mode::Forward, |[x]| x.slice(0, 0..0), [&x]).unwrap();
    assert_eq!(j.shape(), &[0, 3]);
    let nothing = Tensor::zeros([0]).unwrap();
    let [[h, _], _] = functional::hessian(|[x, a]| x.square().sum() + (a * x.sin().sum()).sum(), [&x, &nothing]).unwrap();
    assert_eq!(h, Tensor::eye(3).unwrap().mul_lit(2.0).unwrap());
}

#[test]
fn the_root_of_another_graph_is_refused_by_functions_of_tensors() {
    let other: &'static Graph<f64> = Box::leak(Box::default());
    let root = other.variable(3.0);
    let x = tensor![1.0];
    let f = closure(move |[_]| root);
    for error in [
        functional::grad(f, [&x]).unwrap_err(),
        functional::vjp(f, [&x]).unwrap_err(),
        functional::jvp(f, [&x], [&x]).unwrap_err(),
        functional::jacobian(f, [&x]).unwrap_err(),
        functional::hessian(f, [&x]).unwrap_err(),
        functional::linearize(f, [&x]).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::OtherGraph { .. }), "{error}");
    }
}

/// x² with the forward rule that was asked for.
#[derive(Debug)]
struct Squared(&'static str);

impl Op<1> for Squared {
    fn name(&self) -> &'static str {
        "squared"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.square()
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul(&x.mul_lit(2.0)));
    }
    fn jvp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, [dx]: [Option<&A>; 1]) -> Option<A> {
        let dy = x.mul_lit(2.0).mul(dx?);
        Some(match self.0 {
            "shape" => dy.sum(),
            "nan" => dy.mul_lit(f64::NAN),
            _ => dy,
        })
    }
}

#[test]
fn forward_rules_are_not_trusted() {
    let x = tensor![1.0, 2.0];
    let along = |fault: &'static str| functional::jvp(move |[x]| x.graph().apply(Squared(fault), [x]) * 2.0, [&x], [&x]);
    assert_eq!(along("none").unwrap().1, tensor![4.0, 16.0]);
    let shape = along("shape").unwrap_err().to_string();
    assert!(
        shape.starts_with("squared([2]): the forward rule gave output 0 a tangent of shape [], but the output has shape [2]"),
        "{shape}"
    );
    assert!(along("nan").unwrap_err().to_string().contains("a tangent that is NaN at [0], although nothing it was given is"));
    let g = Graph::new();
    let v = g.variable(&x);
    let y = g.apply(Squared("shape"), [v]);
    assert!(matches!(g.jvp(y, [v], [g.constant(&x)]).value().unwrap_err().kind(), ErrorKind::TangentShape { .. }));
    check::op(&Squared("none"), [&x]).unwrap().assert_ok();
    for fault in ["shape", "nan"] {
        assert!(!check::op(&Squared(fault), [&x]).unwrap().passed());
    }
}

/// a·b by a rule on tensors, with one for forward mode, or one that fails.
#[derive(Debug)]
struct Product(bool);

impl FirstOrder<2> for Product {
    fn name(&self) -> &'static str {
        "product"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        a.mul(b)
    }
    fn gradients<T: Real>(&self, [a, b]: [&Tensor<T>; 2], _y: &Tensor<T>, g: &Tensor<T>) -> Result<[Tensor<T>; 2], Error> {
        if self.0 {
            return Err(ErrorKind::Refused { why: "the solver did not converge".into() }.into());
        }
        Ok([g.mul(b)?, g.mul(a)?])
    }
    fn tangent<T: Real>(
        &self,
        [a, b]: [&Tensor<T>; 2],
        _y: &Tensor<T>,
        [da, db]: [Option<&Tensor<T>>; 2],
    ) -> Option<Result<Tensor<T>, Error>> {
        let part = |x: &Tensor<T>, d: Option<&Tensor<T>>| d.map_or_else(|| x.mul_lit(0.0), |d| x.mul(d));
        Some(part(b, da).and_then(|sum| sum.add(&part(a, db)?)))
    }
}

#[test]
fn a_first_order_rule_for_forward_mode_is_used_by_recorded_tangents() {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, -4.0]));
    let y = g.apply_first_order(Product(false), [a, b]);
    let one = g.constant(tensor![1.0, 1.0]);
    assert_eq!(g.jvp(y, [a], [one]).value().unwrap(), tensor![3.0, -4.0]);
    assert_eq!(g.jvp(y, [a, b], [one, one]).value().unwrap(), tensor![4.0, -2.0]);
    let again = g.jvp(y, [a], [one]).sum().backward();
    assert!(again.unwrap_err().to_string().contains("there is no derivative of its tangent"));
    // What a rule itself says comes through.
    let report = check::handle(&Handle::first_order(Product(true)), &[&tensor![1.0], &tensor![2.0]]).unwrap();
    assert!(report.to_string().contains("the solver did not converge"), "{report}");
}

#[test]
fn derivatives_of_closures_have_the_line_of_their_caller() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let line = line!() + 1;
    let [d] = g.grad_of(|[x]| x.detach().sum(), [x]);
    let error = d.value().unwrap_err();
    assert_eq!(error.location().unwrap().line(), line);
    assert!(error.to_string().contains(&format!("made at {}:{line}", file!())), "{error}");
}

#[test]
fn sweeps_cost_what_they_reach() {
    // A loop of scopes, each with a gradient: once, each walked the whole tape.
    let g = Graph::<f64>::new();
    let started = std::time::Instant::now();
    let mut x = g.constant(1.0);
    for _ in 0..20_000 {
        x = g.scope(|| {
            let w = g.variable(0.5);
            let d = (w * x).sin().backward().unwrap().wrt(w).unwrap().clone();
            x + g.constant(d) * 1e-3
        });
    }
    // Many variables, used and unused; many detached parameters.
    let w: Vec<_> = (0..3000).map(|k| g.variable(f64::from(k))).collect();
    let y = w[..1500].iter().copied().reduce(|a, b| a + b).unwrap();
    assert_eq!(g.grad(y, &w).len(), 3000);
    let ids: Vec<_> = (0..2000).map(|_| LeafId::new()).collect();
    let z = ids.iter().map(|id| g.bind(id, &Tensor::scalar(1.0)).detach()).reduce(|a, b| a + b).unwrap() * w[0];
    let grads = z.backward().unwrap();
    assert!(ids.iter().all(|id| grads.why_none(id).is_some_and(|why| why.contains("cut off by detach()"))));
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

/// −x and x, whose rule passes on what comes in.
#[derive(Debug)]
struct Twice;

impl MultiOp<1, 2> for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<[Tensor<T>; 2], Error> {
        Ok([x.neg()?, x.clone()])
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
        if let Some(g) = g[0] {
            out.add(0, g.neg());
        }
        if let Some(g) = g[1] {
            out.add(0, g.clone());
        }
    }
}

#[test]
fn the_gradient_of_a_sum_reaches_every_output_in_its_shape() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let [minus, same] = g.apply_multi(Twice, [x]);
    let expected = |c: f64| Tensor::full(c, [2, 3]).unwrap();
    assert_eq!(same.sum().backward().unwrap().wrt(x).unwrap(), &expected(1.0));
    assert_eq!(minus.sum().backward().unwrap().wrt(x).unwrap(), &expected(-1.0));
    assert_eq!((minus.mean() + same.sum() * 2.0).backward().unwrap().wrt(x).unwrap(), &expected(2.0 - 1.0 / 6.0));
}

/// x, with a slope that is not a number.
#[derive(Debug, Clone, Copy)]
struct NoSlope;

impl Function<1> for NoSlope {
    const NAME: &'static str = "no_slope";
    const OPERANDS: [&'static str; 1] = ["x"];
    fn value<S: Elementary>(&self, [x]: [X<S>; 1]) -> X<S> {
        x
    }
    fn slopes<S: Elementary>(&self, [x]: [X<S>; 1], _y: X<S>, _needs: [bool; 1]) -> [Slope<S>; 1] {
        [Slope::Of(x.lit(f64::NAN).0)]
    }
}

#[test]
fn the_rule_of_a_function_from_outside_is_looked_at_for_single_numbers_too() {
    let g = Graph::<f64>::new();
    for x in [tensor![1.0], tensor![1.0, 2.0]] {
        let error = g.apply(Pointwise(NoSlope), [g.variable(x)]).sum().backward().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NonFinite(_)), "{error}");
    }
}

#[test]
fn what_a_loop_of_vectors_leaves_out_is_not_lost_in_a_comparison() {
    let x: Vec<f64> = (0..300u32).map(|i| if i % 7 == 0 { f64::from(i) * 1e14 + 3e15 } else { f64::from(i) }).collect();
    let g = Graph::<f64>::new();
    let y = fused!(|x| x.sin().gt(0.0).select(x.cos(), -1.0))(g.variable(Tensor::new(x.clone(), [300]).unwrap()));
    for (x, y) in x.iter().zip(y.value().unwrap().as_slice()) {
        let expected = if x.sin() > 0.0 { x.cos() } else { -1.0 };
        assert!((y - expected).abs() <= 1e-15, "{x}: {y} is not {expected}");
    }
    let nan = g.constant(Tensor::full(f64::NAN, [40]).unwrap());
    assert!(nan.le(1.0).value().unwrap().as_slice().iter().all(|&v| v == 0.0));
    assert!(nan.ne(1.0).value().unwrap().as_slice().iter().all(|&v| v == 1.0));
}

#[test]
fn a_slope_of_0_hides_an_infinite_one_in_every_element_of_a_block() {
    // √x has an infinite slope at 0, and the branch with it is not taken there.
    let x: Vec<f64> = (0..300u32).map(|i| if i % 5 == 0 { 0.0 } else { f64::from(i) }).collect();
    let g = Graph::<f64>::new();
    let leaf = g.variable(Tensor::new(x.clone(), [300]).unwrap());
    let y = fused!(|x| x.gt(0.0).select(x.sqrt(), 3.0 * x))(leaf);
    let slopes = y.sum().backward().unwrap();
    for (x, slope) in x.iter().zip(slopes.wrt(leaf).unwrap().as_slice()) {
        assert_eq!(*slope, if *x > 0.0 { 0.5 / x.sqrt() } else { 3.0 });
    }
}
