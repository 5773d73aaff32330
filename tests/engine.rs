//! The tape: errors that stay values, graphs that are deep or wide, gradients that exist or say why not.

use autograd::{
    Algebra, Error, ErrorKind, Graph, Indices, LeafId, Op, Real, Sink, Tensor, Var, function,
    functional::{grad, value_and_grad},
    fused, tensor,
};

#[test]
fn a_mistake_in_a_shape_is_reported_by_backward_with_its_line() {
    let g = Graph::<f64>::new();
    let w = g.variable(Tensor::ones([2, 3]).unwrap());
    let (x, b) = (g.constant(Tensor::ones([4, 3]).unwrap()), g.variable(Tensor::ones([2]).unwrap()));
    let line = line!() + 1;
    let z = x.matmul(w) + b;
    let loss = (z.tanh() * 2.0).exp().square().sum();
    let error = loss.backward().unwrap_err();
    assert_eq!(error.op(), Some("matmul"));
    assert_eq!(error.shapes(), [*x.value().unwrap().shape(), *w.value().unwrap().shape()]);
    let at = error.location().unwrap();
    assert_eq!((at.file(), at.line()), (file!(), line));
    let message = error.to_string();
    for part in ["matmul", "[4, 3]", "[2, 3]", "engine.rs", "3 and 2"] {
        assert!(message.contains(part), "{message} does not say {part}");
    }
}

#[test]
fn a_mistake_in_a_fused_formula_or_an_operator_has_its_line() {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![1.0, 2.0, 3.0]));
    let (line, y) = (line!(), fused!(|a, b| a * b)(a, b));
    assert_eq!(y.value().unwrap_err().location().unwrap().line(), line);
    let (line, y) = (line!(), 2.0 * (a + b));
    assert_eq!(y.value().unwrap_err().location().unwrap().line(), line);
    assert_eq!(y.value().unwrap_err().location().unwrap().file(), file!());
    let (line, y) = (line!(), a.max(b));
    assert_eq!(y.value().unwrap_err().location().unwrap().line(), line);
    let (line, y) = (line!(), g.concat(&[a, b.unsqueeze(0)], 0));
    assert_eq!(y.value().unwrap_err().location().unwrap().line(), line);
}

#[test]
fn the_first_error_is_the_one_that_is_passed_on() {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![1.0, 2.0, 3.0]));
    let first = a + b;
    let second = a.reshape([7]) * first;
    assert_eq!((second * 2.0).value().unwrap_err().op(), Some("add"));
    assert_eq!((first * a.reshape([7])).value().unwrap_err().op(), Some("add"));
}

#[test]
fn deep_graphs_of_scalars_fit_on_a_small_stack() {
    let n = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let g = Graph::<f64>::new();
            let x = g.variable(0.5);
            let mut y = x;
            for i in 0..n {
                y = if i % 2 == 0 { y.sin() } else { y * 1.01 };
            }
            let slope = y.backward().unwrap().wrt(x).unwrap().item().unwrap();
            assert!(slope.is_finite());
            let [recorded] = g.grad(y, [x]);
            assert_eq!(recorded.item().unwrap(), slope);
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn paths_are_not_counted_one_by_one() {
    let g = Graph::<f64>::new();
    let x = g.variable(1.0);
    let y = (0..60).fold(x, |y, _| y + y);
    assert_eq!(y.backward().unwrap().wrt(x).unwrap().item().unwrap(), 2f64.powi(60));
}

#[test]
fn twenty_thousand_slices_cost_what_they_hold() {
    let n = 20_000;
    let g = Graph::<f64>::new();
    let x = g.variable(Tensor::ones([n]).unwrap());
    let parts: Vec<_> = (0..n.cast_signed()).map(|i| x.slice(0, i..=i) * (i as f64)).collect();
    let y = g.concat(&parts, 0).sum();
    let started = std::time::Instant::now();
    let direct = y.backward().unwrap().wrt(x).unwrap().clone();
    let [recorded] = g.grad(y, [x]);
    assert_eq!(direct, Tensor::arange(n).unwrap());
    assert_eq!(recorded.value().unwrap(), direct);
    // Twenty thousand whole tensors would be 3.2 GB to write.
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn derivatives_of_any_order() {
    let g = Graph::<f64>::new();
    let x = g.variable(0.5);
    let mut y = x.sin();
    for k in 0..8 {
        let expected = [0.5f64.sin(), 0.5f64.cos(), -0.5f64.sin(), -0.5f64.cos()][k % 4];
        assert!((y.item().unwrap() - expected).abs() < 1e-14);
        [y] = g.grad(y, [x]);
    }
    let p = x.powi(3);
    let [d1] = g.grad(p, [x]);
    let [d2] = g.grad(d1, [x]);
    let [d3] = g.grad(d2, [x]);
    let [d4] = g.grad(d3, [x]);
    let [d5] = g.grad(d4, [x]);
    assert_eq!([d1, d2, d3, d4, d5].map(|d| d.item().unwrap()), [0.75, 3.0, 6.0, 0.0, 0.0]);
}

#[test]
fn nested_gradients_do_not_confuse_their_variables() {
    // D(x ↦ x · D(y ↦ x + y, 1), 1) = 1
    let g = Graph::<f64>::new();
    let x = g.variable(1.0);
    let y = g.variable(1.0);
    let [inner] = g.grad(x + y, [y]);
    let [outer] = g.grad(x * inner, [x]);
    assert_eq!(outer.item().unwrap(), 1.0);
}

#[test]
fn a_missing_gradient_says_why() {
    let g = Graph::<f64>::new();
    let (x, c, unused) = (g.variable(2.0), g.constant(3.0), g.variable(1.0));
    let middle = x * c;
    let detached = middle.detach();
    let y = middle * detached;
    let grads = y.backward().unwrap();
    let why = |v: Var<'_, f64>| grads.wrt(v).unwrap_err().to_string();
    assert_eq!(grads.wrt(x).unwrap().item().unwrap(), 18.0);
    assert!(why(c).contains("constant"), "{}", why(c));
    assert!(why(detached).contains("detached at"), "{}", why(detached));
    assert!(why(middle).contains("retain_grad"), "{}", why(middle));
    assert!(why(unused).contains("nothing was computed from it"), "{}", why(unused));
    assert!(why(c * 2.0).contains("constants alone"));
    let other = Graph::<f64>::new();
    assert!(why(other.variable(1.0)).contains("another graph"));
    let kept = middle.retain_grad();
    assert_eq!(y.backward().unwrap().wrt(kept).unwrap().item().unwrap(), 6.0);
    assert_eq!(g.grad(y, [c])[0].value().unwrap_err().op(), Some("grad"));
    assert_eq!(g.grad(y, [unused])[0].item().unwrap(), 0.0);
}

#[test]
fn a_slope_of_zero_is_a_gradient_of_zeros() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, -2.0]);
    assert_eq!(x.sign().sum().backward().unwrap().wrt(x).unwrap(), &tensor![0.0, 0.0]);
    assert_eq!(fused!(|x| x.step())(x).sum().backward().unwrap().wrt(x).unwrap(), &tensor![0.0, 0.0]);
}

#[test]
fn roots_that_are_no_scalars_need_a_cotangent() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let y = x.square();
    assert!(matches!(y.backward().unwrap_err().kind(), ErrorKind::NotScalar { .. }));
    assert_eq!(y.backward_with(&tensor![1.0, 10.0]).unwrap().wrt(x).unwrap(), &tensor![2.0, 40.0]);
    assert!(matches!(y.backward_with(&tensor![1.0]).unwrap_err().kind(), ErrorKind::Cotangent { .. }));
    assert!(matches!(g.grad(y, [x])[0].value().unwrap_err().kind(), ErrorKind::NotScalar { .. }));
    // One element is enough, whatever its rank.
    let one = x.sum().reshape([1, 1]);
    assert_eq!(one.backward().unwrap().wrt(x).unwrap(), &tensor![1.0, 1.0]);
    assert_eq!(g.grad(one, [x])[0].value().unwrap(), tensor![1.0, 1.0]);
}

#[test]
fn graphs_do_not_mix() {
    let (g, h) = (Graph::<f64>::new(), Graph::<f64>::new());
    let x = g.variable(1.0);
    let stranger = h.variable(2.0);
    let error = (x * stranger).backward().unwrap_err();
    let ErrorKind::OtherGraph { here, there } = error.kind() else { panic!("{error}") };
    assert_eq!((here.line(), there.line()), (x.location().line(), stranger.location().line()));
}

#[test]
fn parameters_are_bound_once() {
    let g = Graph::<f64>::new();
    let (id, value) = (LeafId::new(), tensor![1.0, 2.0]);
    let (a, b) = (g.bind(&id, &value), g.bind(&id, &value));
    let grads = (a * b).sum().backward().unwrap();
    assert_eq!(grads.of(&id).unwrap(), &tensor![2.0, 4.0]);
    assert!(grads.of(&LeafId::new()).is_none());
    assert!(matches!(g.bind(&id, &tensor![0.0, 0.0]).value().unwrap_err().kind(), ErrorKind::Rebound { .. }));
    drop(g);
    assert_eq!(grads.of(&id).unwrap(), &tensor![2.0, 4.0]);
}

#[test]
fn functions_of_tensors() {
    let (x, w) = (tensor![1.0, 2.0], tensor![3.0, 4.0]);
    let [dx, dw] = grad(|[x, w]| (x * w).sum(), [&x, &w]).unwrap();
    assert_eq!((&dx, &dw), (&w, &x));
    let (value, [dx, unused]) = value_and_grad(|[x, _]| x.square().sum(), [&x, &w]).unwrap();
    assert_eq!((value.item().unwrap(), dx, unused), (5.0, tensor![2.0, 4.0], tensor![0.0, 0.0]));
    assert!(grad(|[x]| x, [&x]).is_err());
}

/// a·b with a wrong rule, of the kind that was asked for.
#[derive(Debug)]
struct Careless(&'static str);

impl Op<2> for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        a.mul(b)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        match self.0 {
            "shape" => out.add(0, g.mul(b).sum()),
            "input" => out.add(2, g.mul(a)),
            "impossible" => out.add(1, g.matmul(a).matmul(b)),
            _ => {
                out.add(0, g.mul(b));
                out.add(1, g.mul(a));
            }
        }
    }
}

#[test]
fn a_careless_rule_is_an_error_that_says_so() {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(tensor![[1.0, 2.0, 3.0]]), g.variable(tensor![[4.0, 5.0, 6.0]]));
    for mistake in ["shape", "input", "impossible"] {
        let y = g.apply(Careless(mistake), [a, b]).sum();
        let error = y.backward().unwrap_err();
        let recorded = g.grad(y, [a, b]).into_iter().find_map(|d| d.value().err()).unwrap();
        for error in [error, recorded] {
            match (mistake, error.kind()) {
                ("shape", ErrorKind::GradientShape { input: 0, .. })
                | ("input", ErrorKind::GradientInput { input: 2, arity: 2 })
                | ("impossible", ErrorKind::Inner { .. }) => {}
                _ => panic!("{mistake}: {error}"),
            }
        }
    }
    let y = g.apply(Careless("nothing"), [a, b]).sum();
    assert_eq!(y.backward().unwrap().wrt(a).unwrap(), &tensor![[4.0, 5.0, 6.0]]);
}

#[test]
fn functions_serve_rules_and_graphs() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![0.5, 1.5]);
    let k = 2;
    let y = autograd::op::pointwise::fuse(function!(|x; k| x * k), [x]);
    assert_eq!(y.value().unwrap(), tensor![1.0, 3.0]);
}

#[test]
fn f32_formulas_take_literals() {
    let g = Graph::<f32>::new();
    let x = g.variable(tensor![1.0f32, 2.0]);
    let lr = 0.5f32;
    let y = (1.0 - 2.0 * x / 4.0 + x * f64::from(lr)).sum();
    assert_eq!(y.item().unwrap(), 2.0);
    assert_eq!(y.backward().unwrap().wrt(x).unwrap(), &tensor![0.0f32, 0.0]);
}

#[test]
fn literals_stand_where_operands_do() {
    let g = Graph::<f32>::new();
    let x = g.variable(-2.0);
    let y = x.max(0.5) + x.lt(0.0).select(3.0, x) + fused!(|x| x.min(-5.0))(x);
    assert_eq!(y.item().unwrap(), -1.5);
    let line = line!() + 1;
    let y = g.variable(tensor![1.0f32, 2.0]).pow(2.0).named("squares");
    assert_eq!(y.location().line(), line);
    assert_eq!(format!("{y:?}"), "Var #12 \"squares\" pow = Tensor<f32>[2] [1.0000, 4.0000]");
}

#[test]
fn try_var_passes_errors_on() {
    fn model<'g>(x: Var<'g, f64>) -> Var<'g, f64> {
        x.graph().try_var(|| Ok(x.index_select(0, &Indices::from(vec![x.shape()?[0]]))))
    }
    let g = Graph::<f64>::new();
    assert!(matches!(model(g.variable(tensor![1.0])).value().unwrap_err().kind(), ErrorKind::Index { index: 1, len: 1 }));
    let bad = g.variable(tensor![1.0]).reshape([2]);
    assert!(matches!(model(bad).value().unwrap_err().kind(), ErrorKind::Reshape { .. }));
}

#[test]
fn public_types_go_to_other_threads() {
    fn send<T: Send>() {}
    fn share<T: Send + Sync>() {}
    send::<Graph<f64>>();
    share::<Tensor<f32>>();
    share::<autograd::Gradients<f64>>();
    share::<Error>();
    share::<Indices>();
    share::<LeafId>();
    share::<autograd::op::Handle>();
}

#[test]
fn an_error_in_a_recorded_gradient_reaches_everything_behind_it() {
    let g = Graph::<f64>::new();
    let (x, w) = (g.variable(tensor![[1.0, 2.0]]), g.variable(tensor![[3.0], [4.0]]));
    let product = x.matmul(w);
    let y = g.apply(Careless("shape"), [product.broadcast_to([2, 1]), g.constant(tensor![[1.0], [2.0]])]).sum();
    for gradient in g.grad(y, [x, w]) {
        assert_eq!(gradient.value().unwrap_err().op(), Some("careless"));
    }
}

/// A rule that adds at a place of an input that does not exist.
#[derive(Debug)]
struct Misplaced;

impl Op<1> for Misplaced {
    fn name(&self) -> &'static str {
        "misplaced"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        Ok(x.clone())
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.clone());
        out.add_at(3, &autograd::op::Place::Slice { axis: 0, start: 0, end: None, step: 1 }, g.clone());
    }
}

#[test]
fn a_gradient_for_no_input_is_an_error_wherever_it_is_put() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let y = g.apply(Misplaced, [x]).sum();
    assert!(matches!(y.backward().unwrap_err().kind(), ErrorKind::GradientInput { input: 3, arity: 1 }));
    assert!(matches!(g.grad(y, [x])[0].value().unwrap_err().kind(), ErrorKind::GradientInput { input: 3, arity: 1 }));
}

#[test]
fn an_operation_made_of_others_is_the_one_that_is_named() {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![1.0, 2.0, 3.0]));
    let (line, y) = (line!(), g.apply(Careless("nothing"), [a, b]));
    let error = y.value().unwrap_err();
    assert_eq!((error.op(), error.location().map(std::panic::Location::line)), (Some("careless"), Some(line)));
    assert!(error.to_string().starts_with("careless([2], [3]): in mul([2], [3]): shapes [2] and [3] do not broadcast"), "{error}");
}

#[test]
fn gradients_cost_the_path_and_not_the_tape() {
    let g = Graph::<f64>::new();
    let x = g.variable(0.3);
    let started = std::time::Instant::now();
    for i in 0..20_000 {
        let [slope] = g.grad((x * f64::from(i)).sin(), [x]);
        assert!(slope.value().is_ok());
    }
    // Through the whole tape, it was 26 seconds in release.
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn slopes_that_nobody_needs_are_not_recorded() {
    let g = Graph::<f64>::new();
    let (x, c) = (g.variable(1.5), g.constant(2.5));
    let nodes = |y: Var<'_, f64>| {
        let before = g.len();
        let _ = g.grad(y, [x]);
        g.len() - before
    };
    assert!(nodes(x.pow(c)) <= 5);
    let (fused, plain) = (fused!(|x, a| (x * a.sin() * a.tanh()).ln())(x, c), (x * c.sin() * c.tanh()).ln());
    assert!(nodes(fused) <= nodes(plain) + 6, "{} {}", nodes(fused), nodes(plain));
}

#[test]
fn sums_of_variables_can_be_written_in_loops() {
    let g = Graph::<f64>::new();
    let x = g.variable(2.0);
    let mut y = x;
    y += x * 3.0;
    y *= x;
    y -= x;
    y /= x;
    assert_eq!((y.item().unwrap(), y.backward().unwrap().wrt(x).unwrap().item().unwrap()), (7.0, 4.0));
}

#[test]
fn shapes_of_nothing_cost_nothing() {
    let x = Tensor::<f64>::zeros([1 << 40, 0]).unwrap();
    assert!(Tensor::concat(&[&x, &x], 1).unwrap().is_empty());
    assert!(x.slice(1, 0..0).unwrap().is_empty());
    assert_eq!(Tensor::<f64>::zeros([0, 3]).unwrap().mean_axes([1], false).unwrap(), Tensor::zeros([0]).unwrap());
}
