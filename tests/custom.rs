//! Operations of a user: in few lines, of any order or of first order only, with several outputs; and what is said of wrong ones.

use autograd::{
    Algebra, Error, ErrorKind, Graph, MultiOp, Op, Real, Sink, Tensor, Var, check,
    elementary::Side,
    functional,
    op::{FirstOrder, Handle, Linearity, Variadic},
    tensor,
};

type V<'g> = Var<'g, f64>;

/// x·sin(ωx), with a parameter.
#[derive(Debug)]
struct Wave {
    omega: f64,
}

impl Op<1> for Wave {
    fn name(&self) -> &'static str {
        "wave"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.mul(&x.mul_lit(self.omega)?.sin()?)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let phase = x.mul_lit(self.omega);
        out.add(0, g.mul(&phase.sin().add(&phase.mul(&phase.cos()))));
    }
}

#[test]
fn an_operation_in_ten_lines_has_all_orders_and_is_certified() {
    let wave = Wave { omega: 1.7 };
    check::op(&wave, [&tensor![[0.3, -1.2], [2.0, 0.0]]]).unwrap().assert_ok();
    let g = Graph::<f64>::new();
    let x = g.variable(0.4);
    let mut y = g.apply(Wave { omega: 1.7 }, [x]);
    let mut plain = x * (1.7 * x).sin();
    for order in 0..5 {
        assert!((y.item().unwrap() - plain.item().unwrap()).abs() < 1e-12, "order {order}");
        ([y], [plain]) = (g.grad(y, [x]), g.grad(plain, [x]));
    }
    // Forward mode follows from the reverse rule.
    let (_, dy): (_, Tensor<f64>) =
        functional::jvp(|[x]| x.graph().apply(Wave { omega: 1.7 }, [x]), [&tensor![0.4]], [&tensor![2.0]]).unwrap();
    let expected: f64 = 2.0 * (0.68f64.sin() + 0.68 * 0.68f64.cos());
    assert!((dy[[0]] - expected).abs() < 1e-14);
    // In f32 as well.
    let h = Graph::<f32>::new();
    assert!(h.apply(Wave { omega: 1.7 }, [h.variable(0.4)]).backward().is_ok());
}

/// Mean and standard deviation of a vector: two outputs from one pass.
#[derive(Debug)]
struct Moments;

impl MultiOp<1, 2> for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<[Tensor<T>; 2], Error> {
        let mean = x.mean()?;
        let std = x.sub(&mean)?.square()?.mean()?.sqrt()?;
        Ok([mean, std])
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], [mean, std]: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
        let n = x.shape().len() as f64;
        if let Some(g) = g[0] {
            out.add(0, g.div_lit(n).broadcast_as(&x.shape()));
        }
        if let Some(g) = g[1] {
            out.add(0, x.sub(mean).mul(&g.div(&std.mul_lit(n))));
        }
    }
}

#[test]
fn several_outputs_share_one_rule() {
    let at = tensor![0.5, 2.0, -1.0, 3.0];
    check::multi_op(&Moments, [&at]).unwrap().assert_ok();
    type F = for<'g> fn([V<'g>; 2]) -> V<'g>;
    let uses: [(&str, F); 6] = [
        ("both", |[mean, std]| mean * std),
        ("the first", |[mean, _]| mean.square()),
        ("the second", |[_, std]| std.square()),
        ("one of another", |[mean, std]| (mean * std + std).sin() * mean),
        ("the second twice", |[_, std]| std * std.exp()),
        ("each alone", |[mean, std]| mean.exp() + std.exp()),
    ];
    for (what, f) in uses {
        fn own<'g>(x: V<'g>, f: F) -> V<'g> {
            f(x.graph().apply_multi(Moments, [x]))
        }
        fn by_hand<'g>(x: V<'g>, f: F) -> V<'g> {
            f([x.mean(), (x - x.mean()).square().mean().sqrt()])
        }
        let close = |a: &Tensor<f64>, b: &Tensor<f64>| {
            a.as_slice().iter().zip(b.as_slice()).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{what}: {a} {b}"));
        };
        let v = tensor![1.0, -0.5, 0.25, 2.0];
        close(&functional::grad(|[x]| own(x, f), [&at]).unwrap()[0], &functional::grad(|[x]| by_hand(x, f), [&at]).unwrap()[0]);
        close(&functional::jvp(|[x]| own(x, f), [&at], [&v]).unwrap().1, &functional::jvp(|[x]| by_hand(x, f), [&at], [&v]).unwrap().1);
        close(&functional::hvp(|[x]| own(x, f), [&at], [&v]).unwrap()[0], &functional::hvp(|[x]| by_hand(x, f), [&at], [&v]).unwrap()[0]);
        close(&functional::vhp(|[x]| own(x, f), [&at], [&v]).unwrap()[0], &functional::vhp(|[x]| by_hand(x, f), [&at], [&v]).unwrap()[0]);
        // Recorded forward mode; a checkpoint; a replay; gradients by an output itself.
        let g = Graph::new();
        let x = g.variable(&at);
        let y = g.checkpoint(|| own(x, f));
        let dy = g.jvp(y, [x], [g.constant(&v)]).value().unwrap();
        close(&dy, &functional::jvp(|[x]| by_hand(x, f), [&at], [&v]).unwrap().1);
        close(y.backward().unwrap().wrt(x).unwrap(), &functional::grad(|[x]| by_hand(x, f), [&at]).unwrap()[0]);
        g.replay(&[(x, &v)]).unwrap();
        close(&y.value().unwrap(), &functional::value_and_grad(|[x]| by_hand(x, f), [&v]).unwrap().0);
        close(y.backward().unwrap().wrt(x).unwrap(), &functional::grad(|[x]| by_hand(x, f), [&v]).unwrap()[0]);
    }
    let g = Graph::<f64>::new();
    let x = g.variable(&at);
    let [mean, std] = g.apply_multi(Moments, [x]);
    assert_eq!((mean.output(), std.output()), (0, 1));
    assert_eq!((std.op().unwrap().name(), std.inputs().len(), std.inputs()[0].position()), ("moments", 1, x.position()));
    let std = std.retain_grad();
    let grads = (mean * std).backward().unwrap();
    assert_eq!(grads.wrt(std).unwrap().item().unwrap(), mean.item().unwrap());
    let [by_output] = g.grad(mean * std, [std]);
    assert_eq!(by_output.item().unwrap(), mean.item().unwrap());
    // An output that nobody uses, and a root among the outputs.
    assert_eq!(std.backward().unwrap().wrt(x).unwrap().shape(), &[4]);
    assert_eq!(mean.backward().unwrap().wrt(x).unwrap(), &tensor![0.25, 0.25, 0.25, 0.25]);
    // Errors reach all outputs.
    let [mean, std] = g.apply_multi(Moments, [x.reshape([7])]);
    assert_eq!((mean.value().unwrap_err().op(), std.value().unwrap_err().op()), (Some("reshape"), Some("reshape")));
    let empty = g.variable(Tensor::zeros([0]).unwrap());
    let [mean, std] = g.apply_multi(Moments, [empty]);
    for error in [mean.value().unwrap_err(), std.value().unwrap_err()] {
        assert_eq!(error.op(), Some("moments"));
        assert!(error.location().unwrap().file().ends_with("custom.rs"));
    }
}

/// Both halves of a vector: linear, so that forward mode needs no rule.
#[derive(Debug)]
struct Halves;

impl MultiOp<1, 2> for Halves {
    fn name(&self) -> &'static str {
        "halves"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<[Tensor<T>; 2], Error> {
        let middle = (x.len() / 2).cast_signed();
        Ok([x.slice(0, ..middle)?, x.slice(0, middle..)?])
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
        let middle = (x.shape().len() / 2).cast_signed();
        let place = |start, end| autograd::op::Place::Slice { axis: 0, start, end, step: 1 };
        if let Some(g) = g[0] {
            out.add_at(0, &place(0, Some(middle)), g.clone());
        }
        if let Some(g) = g[1] {
            out.add_at(0, &place(middle, None), g.clone());
        }
    }
}

#[test]
fn linear_operations_with_several_outputs_are_their_own_forward_derivative() {
    let (x, v) = (tensor![1.0, 2.0, 3.0, 4.0], tensor![0.1, 0.2, 0.3, 0.4]);
    check::multi_op(&Halves, [&x]).unwrap().assert_ok();
    let f = functional::closure(|[x]| {
        let [a, b] = x.graph().apply_multi(Halves, [x]);
        a * b
    });
    assert_eq!(functional::jvp(f, [&x], [&v]).unwrap().1, tensor![0.3 + 0.1 * 3.0, 2.0 * 0.4 + 0.2 * 4.0]);
    let g = Graph::new();
    let x = g.variable(&x);
    let [a, b] = g.apply_multi(Halves, [x]);
    assert_eq!(g.jvp(a * b, [x], [g.constant(&v)]).value().unwrap(), tensor![0.3 + 0.1 * 3.0, 2.0 * 0.4 + 0.2 * 4.0]);
}

/// a·b by a rule on tensors.
#[derive(Debug)]
struct Product;

impl FirstOrder<2> for Product {
    fn name(&self) -> &'static str {
        "product"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        a.mul(b)
    }
    fn gradients<T: Real>(&self, [a, b]: [&Tensor<T>; 2], _y: &Tensor<T>, g: &Tensor<T>) -> Result<[Tensor<T>; 2], Error> {
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
fn first_order_rules_say_where_they_end() {
    let (a, b) = (tensor![1.0, 2.0], tensor![3.0, -4.0]);
    let report = check::handle(&Handle::first_order(Product), &[&a, &b]).unwrap();
    report.assert_ok();
    assert!(report.to_string().contains("-     second order: the rule is of first order only"), "{report}");
    let g = Graph::<f64>::new();
    let (x, y) = (g.variable(&a), g.variable(&b));
    let z = g.apply_first_order(Product, [x, y]).sum();
    assert_eq!(z.backward().unwrap().wrt(x).unwrap(), &b);
    let [dx, dy] = g.grad(z, [x, y]);
    assert_eq!((dx.value().unwrap(), dy.value().unwrap()), (b.clone(), a.clone()));
    for error in [(dx * dy).sum().backward().unwrap_err(), g.grad(dx.sum(), [y])[0].value().unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }), "{error}");
        assert_eq!(error.op(), Some("product"));
        assert!(error.location().unwrap().file().ends_with("custom.rs"), "{error}");
    }
    // Where nothing asks for the second derivative, nothing is refused.
    assert!((z + x.square().sum()).backward().is_ok());
    // Its own rule for forward mode.
    let (_, dz) = functional::jvp(|[x, y]| x.graph().apply_first_order(Product, [x, y]), [&a, &b], [&a, &a]).unwrap();
    assert_eq!(dz, tensor![3.0 + 1.0, -8.0 + 4.0]);
    // Replayed, gradients and all.
    g.replay(&[(x, &b)]).unwrap();
    assert_eq!((z.item().unwrap(), dy.value().unwrap()), (25.0, b.clone()));
}

#[test]
fn two_closures_make_an_operation() {
    let g = Graph::<f64>::new();
    let (x, w, k) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, 4.0]), 0.5);
    let scaled =
        g.custom("scaled", move |[x, w]| x.mul(w)?.mul_lit(k), move |[x, w], _y, g| Ok([g.mul(w)?.mul_lit(k)?, g.mul(x)?.mul_lit(k)?]));
    let y = scaled.apply([x, w]).sum() + scaled.apply([w, w]).sum();
    let grads = y.backward().unwrap();
    assert_eq!((grads.wrt(x).unwrap(), grads.wrt(w).unwrap()), (&tensor![1.5, 2.0], &tensor![3.5, 5.0]));
    let report = check::handle(scaled.handle(), &[&tensor![1.0, 2.0], &tensor![3.0, 4.0]]).unwrap();
    report.assert_ok();
    assert!(report.to_string().contains("it was given for f64 only, and cannot be computed in f32"), "{report}");
    // In forward mode there is no rule, and that is said.
    let h = Graph::<f64>::new();
    let again = h.custom("scaled", |[x]| x.mul_lit(2.0), |[_], _, g| Ok([g.mul_lit(2.0)?]));
    let z = again.apply([h.dual(1.0, 1.0)]);
    assert!(z.value().unwrap_err().to_string().contains("there is no forward derivative"));
    // Jacobians fall back on reverse mode.
    let [j] = functional::jacobian(
        |[x]| {
            let g = x.graph();
            g.custom(
                "twice",
                |[x]| Tensor::concat(&[x, x], 0),
                |[x], _, g| Ok([g.reshape([2, x.len().cast_signed()])?.sum_axes([0], false)?]),
            )
            .apply([x])
        },
        [&tensor![1.0, 2.0]],
    )
    .unwrap();
    assert_eq!(j, tensor![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
}

#[test]
fn wrong_rules_are_refused_and_say_what_is_wrong() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let shape = g.custom("c", |[x]| x.square(), |[_], _, g| Ok([g.sum()?])).apply([x]);
    let nan = g.custom("c", |[x]| x.square(), |[_], _, g| Ok([g.mul_lit(f64::NAN)?])).apply([x]);
    let fails = g.custom("c", |[x]| x.square(), |[_], _, g| Ok([g.reshape([7])?])).apply([x]);
    for (y, message) in [
        (shape, "c([2]): the gradient rule gave input 0 a gradient of shape [], but the input has shape [2]"),
        (nan, "c([2]): element [0] of the gradient that the rule gives input 0 is NaN"),
        (fails, "c([2]): in reshape([2]): 2 elements cannot be given the shape [7]"),
    ] {
        let (line, y) = (y.location().line(), y.sum());
        let direct = y.backward().unwrap_err();
        let recorded = g.grad(y, [x])[0].value().unwrap_err();
        for error in [direct, recorded] {
            let text = error.to_string();
            assert!(text.contains(message.split(": ").last().unwrap()), "{text} does not say {message}");
            assert!(text.starts_with("c([2]"), "{text}");
            assert_eq!(error.location().map(std::panic::Location::line), Some(line), "{text}");
        }
    }
    // The wrong number of gradients, where the compiler cannot see it.
    let few = Handle::custom::<f64>("few", |x| x[0].add(x[1]), |_, _, g| Ok(vec![g.clone()]));
    let y = g.call(few.clone(), &[x, x * 2.0]).sum();
    for error in [y.backward().unwrap_err(), g.grad(y, [x])[0].value().unwrap_err()] {
        assert!(error.to_string().starts_with("few([2], [2]"), "{error}");
        assert!(error.to_string().contains("gave 1 gradient for 2 inputs; one for each is needed"), "{error}");
    }
    // The wrong number of inputs.
    let error = g.call(Handle::new(Wave { omega: 1.0 }), &[x, x]).value().unwrap_err();
    assert!(error.to_string().starts_with("wave([2], [2]): 1 input is taken, not 2"), "{error}");
    // Several outputs taken for one.
    let error = g.call(Handle::multi(Moments), &[x]).value().unwrap_err();
    assert!(error.to_string().contains("it has 2 outputs: apply_multi() gives a variable for each"), "{error}");
    // NaN that was there before is nobody's fault.
    let bad = g.variable(f64::NAN);
    assert!(g.apply(Wave { omega: 1.0 }, [bad]).backward().is_ok());
    // A NaN by a rule that is written over Algebra.
    let error = g.apply(Nan, [x]).sum().backward().unwrap_err();
    assert!(error.to_string().starts_with("nan([2]): element [0] of the gradient that the rule gives input 0 is NaN"), "{error}");
    assert!(matches!(g.grad(g.apply(Nan, [x]).sum(), [x])[0].value().unwrap_err().kind(), ErrorKind::NonFinite(_)));
}

/// x·w with a rule that adds products, one of them turned round or with a factor that is NaN.
#[derive(Debug)]
struct Mistaken {
    is_turned: bool,
    factor: f64,
}

impl Op<2> for Mistaken {
    fn name(&self) -> &'static str {
        "mistaken"
    }
    fn forward<T: Real>(&self, [x, w]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        x.matmul(w)
    }
    // In forward mode the rule is not asked.
    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x, w]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add_matmul(0, g, false, w, true);
        let g = g.mul_lit(self.factor);
        if self.is_turned { out.add_matmul(1, &g, true, x, false) } else { out.add_matmul(1, x, true, &g, false) }
    }
}

#[test]
fn wrong_products_in_rules_are_found_where_only_their_tangents_are_wanted() {
    let (x, w) = (tensor![[1.0, 2.0], [3.0, 4.0]], tensor![[1.0, 0.5, 2.0], [-1.0, 1.0, 3.0]]);
    let both = |is_turned, factor| {
        let f = functional::closure(move |[x, w]: [V<'_>; 2]| x.graph().apply(Mistaken { is_turned, factor }, [x, w]).tanh().sum());
        (functional::hvp(f, [&x, &w], [&x, &w]), functional::value_grad_and_hvp(f, [&x, &w], [&x, &w]))
    };
    let (right, with_gradient) = both(false, 1.0);
    for (a, b) in right.unwrap().iter().zip(with_gradient.unwrap().2) {
        assert!(a.sub(&b).unwrap().as_slice().iter().all(|d| d.abs() < 1e-14), "{a} {b}");
    }
    for (wrong, message) in [
        (
            both(true, 1.0),
            "mistaken([2, 2], [2, 3]): the gradient rule gave input 1 a gradient of shape [3, 2], but the input has shape [2, 3]",
        ),
        (both(false, f64::NAN), "mistaken([2, 2], [2, 3]): element [0, 0] of the gradient that the rule gives input 1 is NaN"),
    ] {
        for error in [wrong.0.unwrap_err(), wrong.1.unwrap_err()] {
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(error.location().is_some_and(|at| at.file().ends_with("custom.rs")), "{error}");
        }
    }
}

/// The identity with a rule of 0/0.
#[derive(Debug)]
struct Nan;

impl Op<1> for Nan {
    fn name(&self) -> &'static str {
        "nan"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        Ok(x.clone())
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul(&x.sub(y).div(&x.sub(y))));
    }
}

/// A rule with the fault that was asked for, over Algebra.
#[derive(Debug)]
struct Faulty(&'static str);

impl Op<2> for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        a.square()?.mul(b)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let (da, db) = (g.mul(&a.mul(b).mul_lit(2.0)), g.mul(&a.square()));
        match self.0 {
            "sign" => out.add(0, da.neg()),
            "factor" => out.add(0, da.mul_lit(0.5)),
            "missing" => {}
            "shape" => out.add(0, da.sum()),
            "input" => out.add(2, da),
            "nan" => out.add(0, da.mul(&a.sub(a).div(&a.sub(a)))),
            _ => out.add(0, da),
        }
        out.add(1, db);
    }
}

#[test]
fn the_certificate_names_each_fault() {
    let (a, b) = (tensor![1.5, -0.5], tensor![0.7, 2.0]);
    check::op(&Faulty("none"), [&a, &b]).unwrap().assert_ok();
    for (fault, what, detail) in [
        ("sign", "finite differences", "input 0 [2]: 0 of 2 elements ok, 2 wrong"),
        ("factor", "finite differences", "input 0 [2]: 0 of 2 elements ok, 2 wrong"),
        ("missing", "finite differences", "input 0 [2]: 0 of 2 elements ok, 2 wrong"),
        ("shape", "gradient shapes", "the gradient rule gave input 0 a gradient of shape [], but the input has shape [2]"),
        ("input", "gradient shapes", "the gradient rule gave a gradient to input 2, but there are only 2"),
        ("nan", "NaN", "in the gradient of input 0"),
    ] {
        let report = check::op(&Faulty(fault), [&a, &b]).unwrap();
        assert!(!report.passed(), "{fault}: {report}");
        let finding = report.findings().iter().find(|finding| finding.what == what).unwrap();
        assert_eq!(finding.outcome, check::Outcome::Wrong, "{fault}: {report}");
        assert!(finding.detail.contains(detail), "{fault}: {report}");
        assert!(report.to_string().starts_with("faulty([2], [2]): NOT certified"));
    }
    // A rule that is right at first order only.
    let report = check::op(&Frozen, [&a]).unwrap();
    let outcome = |what: &str| report.findings().iter().find(|finding| finding.what == what).unwrap().outcome;
    assert_eq!(outcome("finite differences"), check::Outcome::Ok, "{report}");
    assert_eq!(outcome("second order"), check::Outcome::Wrong, "{report}");
    // A rule that is right for the usual incoming gradients, and not linear.
    let report = check::op(&Bent, [&a]).unwrap();
    let finding = report.findings().iter().find(|finding| finding.what == "linear in the incoming gradient").unwrap();
    assert_eq!(finding.outcome, check::Outcome::Wrong, "{report}");
    // What the operation refuses is an error, with the line of the caller.
    let line = line!() + 1;
    let error = check::op(&Faulty("none"), [&a, &tensor![1.0, 2.0, 3.0]]).unwrap_err();
    assert_eq!((error.op(), error.location().map(std::panic::Location::line)), (Some("faulty"), Some(line)));
}

/// x³, whose slope is a constant for the engine: it goes through a number.
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
        // 3x², but the square of a rounded x: its slope is 0 almost everywhere.
        let scale = 1_048_576.0;
        let frozen = x.mul_lit(scale).round().div_lit(scale);
        out.add(0, g.mul(&frozen.square().mul_lit(3.0)));
    }
}

/// 2x with a rule that saturates.
#[derive(Debug)]
struct Bent;

impl Op<1> for Bent {
    fn name(&self) -> &'static str {
        "bent"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.mul_lit(2.0)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul_lit(2.0).min(&g.mul_lit(0.0).add_lit(3.5)));
    }
}

/// The sum of any number of inputs.
#[derive(Debug)]
struct Total;

impl Variadic for Total {
    fn name(&self) -> &'static str {
        "total"
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        let first = x.first().ok_or(ErrorKind::NoInputs)?;
        x[1..].iter().try_fold((*first).clone(), |sum, x| sum.add(x))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        (0..x.len()).for_each(|k| out.add(k, g.clone()));
    }
}

#[test]
fn operations_with_any_number_of_inputs_are_certified_too() {
    let x = [tensor![1.0, 2.0], tensor![3.0, 4.0], tensor![5.0, 6.0]];
    check::handle(&Handle::variadic(Total), &x.iter().collect::<Vec<_>>()).unwrap().assert_ok();
    assert!(matches!(check::handle(&Handle::variadic(Total), &[]).unwrap_err().kind(), ErrorKind::NoInputs));
}

/// The largest of some tensors, element by element, which tells of its kinks.
#[derive(Debug)]
struct Highest;

impl Variadic for Highest {
    fn name(&self) -> &'static str {
        "highest"
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        x[1..].iter().try_fold(x[0].clone(), |y, x| y.max(x))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        for (k, x) in x.iter().enumerate() {
            out.add(k, x.eq(y).masked_mul(g));
        }
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        let Ok(y) = self.forward(x) else { return };
        for (x, y) in x.iter().flat_map(|x| x.as_slice().iter().zip(y.as_slice())) {
            see(Side { function: "highest", side: x.partial_cmp(y), distance: y - x });
        }
    }
}

/// The smaller and the larger of two tensors, which tells of its kinks.
#[derive(Debug)]
struct Ordered;

impl MultiOp<2, 2> for Ordered {
    fn name(&self) -> &'static str {
        "ordered"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<[Tensor<T>; 2], Error> {
        Ok([a.min(b)?, a.max(b)?])
    }
    /// At a tie the first counts as the smaller one.
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
        let (first, second) = (a.le(b), b.lt(a));
        if let Some(low) = g[0] {
            out.add(0, first.masked_mul(low));
            out.add(1, second.masked_mul(low));
        }
        if let Some(high) = g[1] {
            out.add(0, second.masked_mul(high));
            out.add(1, first.masked_mul(high));
        }
    }
    fn sides(&self, [a, b]: [&Tensor<f64>; 2], see: &mut dyn FnMut(Side)) {
        for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
            see(Side { function: "ordered", side: a.partial_cmp(b), distance: (a - b).abs() });
        }
    }
}

/// |x|, by a loop, which tells of its kink.
#[derive(Debug)]
struct Size;

impl FirstOrder<1> for Size {
    fn name(&self) -> &'static str {
        "size"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.abs()
    }
    fn gradients<T: Real>(&self, [x]: [&Tensor<T>; 1], _y: &Tensor<T>, g: &Tensor<T>) -> Result<[Tensor<T>; 1], Error> {
        Ok([x.sign()?.mul(g)?])
    }
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        x.as_slice().iter().for_each(|x| see(Side { function: "size", side: x.partial_cmp(&0.0), distance: x.abs() }));
    }
}

#[test]
fn operations_of_every_form_tell_the_checker_of_their_kinks() {
    // On the kink, near it and far from it.
    let x = [tensor![1.0, 2.0, 1.0], tensor![1.0, 2.0 + 1e-11, -3.0], tensor![-4.0, 0.0, 0.5]];
    let nearest = |report: &check::Report, input: usize| -> Vec<_> {
        let kinks = report.inputs()[input].elements().iter().map(|e| e.kink.map(|kink| (kink.function, (kink.distance * 1e12).round())));
        kinks.collect()
    };
    let [a, b, c] = &x;
    let report = check::gradients(|[a, b, c]| a.graph().apply_variadic(Highest, &[a, b, c]), [a, b, c]).unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(nearest(&report, 0)[..2], [Some(("highest", 0.0)), Some(("highest", 10.0))], "{report}");
    assert_eq!(nearest(&report, 2), [None, None, None], "{report}");
    let report = check::gradients(
        |[a, b]| {
            let [low, high] = a.graph().apply_multi(Ordered, [a, b]);
            low.sin() + high * 3.0
        },
        [a, b],
    )
    .unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(nearest(&report, 1), [Some(("ordered", 0.0)), Some(("ordered", 10.0)), None], "{report}");
    let report = check::gradients(|[x]| x.graph().apply_first_order(Size, [x]), [&tensor![0.0, 1e-11, 1.0]]).unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(nearest(&report, 0)[..2], [Some(("size", 0.0)), Some(("size", 10.0))], "{report}");
    // The same operations, certified off their kinks.
    check::handle(&Handle::foreign_variadic(Highest), &[a, c]).unwrap().assert_ok();
    check::multi_op(&Ordered, [a, c]).unwrap().assert_ok();
}
