//! Control of the tape: what is cut off, dropped, looked at, replaced, refused; and what is said about it.

use std::sync::{Arc, Mutex};

use autograd::{Error, ErrorKind, Gradients, Graph, Guard, LeafId, Stage, Tensor, Var, tensor};

type V<'g> = Var<'g, f64>;

fn why(error: &Error) -> String {
    error.to_string()
}

#[test]
fn a_gradient_that_does_not_exist_says_why() {
    let g = Graph::<f64>::new();
    let (x, w) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, 4.0]));
    let line = line!() + 1;
    let cut = (x * 2.0).detach();
    let loss = (cut * w).sum();
    let grads = loss.backward().unwrap();
    // Detached on the way: the line of the cut, not that of the leaf alone.
    let message = why(&grads.wrt(x).unwrap_err());
    assert!(message.contains(&format!("cut off by detach() at {}:{line}", file!())), "{message}");
    // The same of a recorded gradient, which would otherwise be taken for 0.
    let message = why(&g.grad(loss, [x])[0].value().unwrap_err());
    assert!(message.contains("cut off by detach() at"), "{message}");
    // One open way is enough.
    let both = loss + x.sum();
    assert_eq!(both.backward().unwrap().wrt(x).unwrap(), &tensor![1.0, 1.0]);
    assert_eq!(g.grad(both, [x])[0].value().unwrap(), tensor![1.0, 1.0]);
    // Only a use that comes after the root.
    let y = w.sum();
    let late = x.exp();
    let message = why(&y.backward().unwrap().wrt(x).unwrap_err());
    assert!(message.contains("does not depend on it"), "{message}");
    assert!(why(&y.backward().unwrap().wrt(late).unwrap_err()).contains("nothing was computed from it"));
    // Positions.
    let scores = g.variable(tensor![[0.1, 0.9], [0.8, 0.2]]);
    let best = (scores * 2.0).argmax(-1).unwrap();
    let hard = g.constant(best.one_hot::<f64>(2).unwrap()).matmul(w).sum();
    let message = why(&hard.backward().unwrap().wrt(scores).unwrap_err());
    assert!(message.contains("positions, taken by argmax() at") && message.contains("control.rs"), "{message}");
    // Used by nobody.
    let unused = g.variable(1.0);
    assert!(why(&hard.backward().unwrap().wrt(unused).unwrap_err()).contains("nothing was computed from it"));
    // Constants all the way, one of them cut off.
    let of_cut = cut * 3.0;
    let message = why(&loss.backward().unwrap().wrt(of_cut).unwrap_err());
    assert!(message.contains("depends on constants alone, one of which was cut off at"), "{message}");
}

#[test]
fn parameters_without_a_gradient_say_why() {
    let (used, cut, idle, unbound) = (LeafId::new(), LeafId::new(), LeafId::new(), LeafId::new());
    let g = Graph::<f64>::new();
    let value = tensor![1.0, 2.0];
    let y = (g.bind(&used, &value) * g.bind(&cut, &value).stop_gradient()).sum();
    let _ = g.bind(&idle, &value);
    // The root stands before the last parameter; that changes nothing.
    let grads = y.backward().unwrap();
    assert_eq!(grads.why_none(&used), None);
    assert!(grads.why_none(&cut).unwrap().contains("cut off by detach() at"));
    assert!(grads.why_none(&unbound).unwrap().contains("never bound"));
    let message = grads.why_none(&idle).unwrap();
    assert!(message.contains("does not depend on it (bound at") && message.contains("control.rs"), "{message}");
    // A parameter for which a computed variable stands.
    let doubled = g.bind(&used, &value) * 2.0;
    g.bind_as(&used, doubled).unwrap();
    let message = (doubled.sum()).backward().unwrap().why_none(&used).unwrap();
    assert!(message.contains("what stands for it is an intermediate value (mul_lit at"), "{message}");
    drop(g);
    assert!(grads.why_none(&cut).is_some());
}

#[test]
fn hooks_see_the_whole_gradient_once_and_may_replace_it() {
    let g = Graph::<f64>::new();
    let x = g.variable(2.0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = |name: &'static str| {
        let seen = seen.clone();
        move |d: &Tensor<f64>| {
            seen.lock().unwrap().push((name, d.item().unwrap()));
            None
        }
    };
    let h = (x * 3.0).on_grad(log("h")).on_grad(|d| d.mul_lit(10.0).ok()).on_grad(log("h, replaced"));
    // h is used three times; its gradient is 1 + 2 + 2h.
    let y = (h + h * 2.0 + h.square()).on_grad(log("y"));
    let grads = y.backward().unwrap();
    assert_eq!(seen.lock().unwrap().drain(..).collect::<Vec<_>>(), [("y", 1.0), ("h", 15.0), ("h, replaced", 150.0)]);
    assert_eq!(grads.wrt(x).unwrap().item().unwrap(), 450.0);
    // A leaf's own gradient, and a kept one, are what its hooks leave.
    x.on_grad(|d| d.neg().ok());
    let h = h.retain_grad();
    let grads = y.backward().unwrap();
    assert_eq!([grads.wrt(x).unwrap().item().unwrap(), grads.wrt(h).unwrap().item().unwrap()], [-450.0, 150.0]);
    // Recorded gradients are seen and replaced, too.
    seen.lock().unwrap().clear();
    let [dx] = g.grad(y, [x]);
    assert_eq!(dx.item().unwrap(), -450.0);
    assert_eq!(seen.lock().unwrap().len(), 3);
    // But what a hook gave has no derivative.
    let message = why(&dx.square().backward().unwrap_err());
    assert!(message.contains("replaced by the hook set at") && message.contains("control.rs"), "{message}");
    // Hooks that only look leave gradients of gradients alone.
    let z = g.variable(3.0);
    let [dz] = g.grad(z.powi(3).on_grad(log("z")), [z]);
    assert_eq!(g.grad(dz, [z])[0].item().unwrap(), 18.0);
}

#[test]
fn hooks_may_use_the_graph_and_fail_clearly() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let line = line!() + 1;
    let y = x.square().on_grad(|d| d.sum().ok()).sum();
    let error = y.backward().unwrap_err();
    assert!(why(&error).starts_with("on_grad([2]): shape [] does not match [2]"), "{error}");
    assert_eq!(error.location().unwrap().line(), line);
    assert_eq!(g.grad(y, [x])[0].value().unwrap_err().op(), Some("on_grad"));
    // The graph can be used afterwards.
    assert!(x.sum().backward().is_ok());
    for nothing in [g.constant(1.0), x.detach(), g.constant(1.0) * 2.0] {
        let message = why(&nothing.on_grad(|_| None).value().unwrap_err());
        assert!(message.starts_with("on_grad(): there is no gradient: it "), "{message}");
    }
}

#[test]
fn intermediate_gradients_come_on_request() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let h = x.exp().retain_grad();
    let y = h.square().sum();
    assert_eq!(y.backward().unwrap().wrt(h).unwrap(), &h.value().unwrap().mul_lit(2.0).unwrap());
    let middle = x * 3.0;
    let [d] = g.grad(middle.square().sum(), [middle]);
    assert_eq!(d.value().unwrap(), tensor![6.0, 12.0]);
}

#[test]
fn a_variable_that_outlives_its_scope_is_an_error_wherever_it_is_used() {
    let g = Graph::<f64>::new();
    let x = g.variable(2.0);
    let mut smuggled = None;
    let line = line!() + 1;
    let y = g.scope(|| {
        let h = (x * 3.0).named("h");
        smuggled = Some(h);
        h + 1.0
    });
    assert_eq!(y.item().unwrap(), 7.0);
    let h = smuggled.unwrap();
    // Its place on the tape is taken by others.
    let others = (x * 5.0, x * 6.0);
    let refused: [Error; 9] = [
        h.value().unwrap_err(),
        h.shape().unwrap_err(),
        (h * 2.0).value().unwrap_err(),
        h.backward().unwrap_err(),
        g.grad(h, [x])[0].value().unwrap_err(),
        g.grad(others.0, [h])[0].value().unwrap_err(),
        g.jvp(h, [x], [x]).value().unwrap_err(),
        h.detach().value().unwrap_err(),
        h.on_grad(|_| None).value().unwrap_err(),
    ];
    for error in refused {
        let ErrorKind::OutOfScope { scope } = error.kind() else { panic!("{error}") };
        assert_eq!(scope.line(), line);
        assert!(why(&error).contains("return it from the scope"), "{error}");
    }
    assert!(matches!(others.1.backward().unwrap().wrt(h).unwrap_err().kind(), ErrorKind::OutOfScope { .. }));
    assert!(matches!(g.replay(&[(h, &Tensor::scalar(1.0))]).unwrap_err().kind(), ErrorKind::OutOfScope { .. }));
    assert!(matches!(g.bind_as(&LeafId::new(), h).unwrap_err().kind(), ErrorKind::OutOfScope { .. }));
    assert!(h.op().is_none() && h.inputs().is_empty() && h.name().is_none());
    assert_eq!(h.location().line(), line);
    assert!(format!("{h:?}").contains("of the scope at"));
    let _ = h.named("again").retain_grad();
    // Variables from before, and those that came after, are what they were.
    assert_eq!((x.item().unwrap(), others.0.item().unwrap(), others.1.item().unwrap()), (2.0, 10.0, 12.0));
    assert_eq!(others.0.backward().unwrap().wrt(x).unwrap().item().unwrap(), 5.0);
}

#[test]
fn scopes_nest_and_fail_as_values() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let id = LeafId::new();
    let (a, b) = g.scope(|| {
        let inner = g.scope(|| [x * 2.0, g.bind(&id, &tensor![5.0, 5.0])]);
        let mut seen = None;
        let kept = g.scope(|| {
            seen = Some(x * 9.0);
            inner[0] + inner[1]
        });
        assert!(seen.unwrap().value().is_err());
        (kept, Some(inner[1] * 1.0))
    });
    assert_eq!((a.value().unwrap(), b.unwrap().value().unwrap()), (tensor![7.0, 9.0], tensor![5.0, 5.0]));
    assert_eq!(g.len(), 3);
    // A parameter that was bound inside is bound anew outside, to whatever value.
    assert!(g.bind(&id, &tensor![6.0, 6.0]).value().is_ok());
    // An error is a value; a result of a result is passed through.
    let line = line!() + 1;
    let bad = g.scope(|| x.reshape([7]) * 2.0);
    assert_eq!(bad.value().unwrap_err().location().unwrap().line(), line);
    let result: Result<V<'_>, Error> = g.scope(|| Ok(x.sum() + x.shape()?[0] as f64));
    assert_eq!(result.unwrap().item().unwrap(), 5.0);
    // What is returned unchanged is cut off as well.
    let same = g.scope(|| x);
    let message = why(&(same * 2.0).sum().backward().unwrap().wrt(x).unwrap_err());
    assert!(message.contains("cut off by the scope at"), "{message}");
    // Many scopes, with variables from before each of them in use.
    let mut h = g.constant(0.0);
    let before = g.len();
    for i in 0..1000 {
        let first = h;
        h = g.scope(|| h + 1.0);
        assert_eq!(first.item().unwrap(), f64::from(i));
    }
    assert_eq!((h.item().unwrap(), g.len()), (1000.0, before + 1000));
}

#[test]
fn a_value_inside_a_checkpoint_says_where_it_was_dropped() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let mut inside = None;
    let line = line!() + 1;
    let y = g.checkpoint(|| {
        let h = x.exp();
        inside = Some(h);
        h.sin()
    });
    let h = inside.unwrap();
    for error in [h.value().unwrap_err(), (h * 2.0).value().unwrap_err(), h.sum().backward().unwrap_err()] {
        let ErrorKind::Dropped { checkpoint } = error.kind() else { panic!("{error}") };
        assert_eq!(checkpoint.line(), line);
    }
    // Gradients by it, and of it, exist all the same.
    let loss = y.square().sum();
    let [dh] = g.grad(loss, [h]);
    let [dx] = g.grad(loss, [x]);
    let expected = |x: f64| 2.0 * x.exp().sin() * x.exp().cos();
    for (k, x) in [1.0f64, 2.0].into_iter().enumerate() {
        assert!((dh.value().unwrap()[[k]] - expected(x)).abs() < 1e-14);
        assert!((dx.value().unwrap()[[k]] - expected(x) * x.exp()).abs() < 1e-13);
    }
    assert!(h.value().is_err());
    let kept = h.retain_grad();
    assert_eq!(loss.backward().unwrap().wrt(kept).unwrap(), &dh.value().unwrap());
}

#[test]
fn dropout_in_a_checkpoint_drops_the_same_elements_again() {
    let run = |checkpointed: bool| {
        let g = Graph::<f64>::new();
        let x = g.variable(Tensor::linspace(-1.0, 1.0, 64).unwrap());
        let mut y = x;
        for step in 0..5 {
            let part = || (y * 1.1).dropout(0.3, step).tanh();
            y = if checkpointed { g.checkpoint(part) } else { part() };
        }
        y.sum().backward().unwrap().wrt(x).unwrap().clone()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn what_cannot_be_replayed_says_so_and_changes_nothing() {
    let g = Graph::<f64>::new();
    let (x, c) = (g.variable(tensor![1.0, 2.0]), g.constant(2.0));
    let y = (x * c).sum();
    let detached = y.detach();
    let through = g.scope(|| x.sum());
    let z = through * 2.0;
    let (two, three) = (tensor![5.0, 6.0], tensor![1.0, 2.0, 3.0]);
    let message = |leaves: &[(V<'_>, &Tensor<f64>)]| g.replay(leaves).unwrap_err().to_string();
    assert!(message(&[(y, &Tensor::scalar(1.0))]).starts_with("replay(): leaf 0 is computed (sum at "));
    assert!(message(&[(detached, &Tensor::scalar(1.0))]).contains("was detached at"));
    assert!(message(&[(through, &Tensor::scalar(1.0))]).contains("is the result of the scope at"));
    let shape = message(&[(x, &three)]);
    assert!(
        shape.starts_with("replay(): the new value of leaf 0 (made at ") && shape.contains("has shape [3]; the graph was recorded for [2]")
    );
    assert!(message(&[(c, &Tensor::scalar(1.0)), (c, &Tensor::scalar(2.0))]).contains("leaf 1 is given twice"));
    let scoped = message(&[(x, &two)]);
    assert!(scoped.contains("through the scope at") && scoped.contains("checkpoint()"), "{scoped}");
    let other = Graph::new();
    assert!(message(&[(other.variable(1.0), &Tensor::scalar(1.0))]).contains("belongs to another graph"));
    assert_eq!((y.item().unwrap(), z.item().unwrap()), (6.0, 6.0));
    // What does not go through the scope can be replayed; detached values follow.
    g.replay(&[(c, &Tensor::scalar(10.0))]).unwrap();
    assert_eq!((y.item().unwrap(), detached.item().unwrap(), z.item().unwrap()), (30.0, 30.0, 6.0));
}

#[test]
fn an_error_in_a_replay_is_a_value_and_passes_with_the_next() {
    let g = Graph::<f64>::new();
    let a = g.variable(tensor![[2.0, 0.0], [0.0, 1.0]]);
    let y = a.inverse().sum();
    g.replay(&[(a, &tensor![[1.0, 1.0], [1.0, 1.0]])]).unwrap();
    assert!(matches!(y.value().unwrap_err().kind(), ErrorKind::Singular { .. }));
    assert!(y.backward().is_err());
    g.replay(&[(a, &tensor![[1.0, 0.0], [0.0, 4.0]])]).unwrap();
    assert_eq!(y.item().unwrap(), 1.25);
    assert_eq!(y.backward().unwrap().wrt(a).unwrap()[[1, 1]], -1.0 / 16.0);
}

#[test]
fn tensors_and_gradients_from_before_a_replay_stay_what_they_are() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let y = x.square();
    let (value, reshaped, grads) = (y.value().unwrap(), y.reshape([2, 1]).value().unwrap(), y.sum().backward().unwrap());
    let total = y.sum();
    g.replay(&[(x, &tensor![3.0, 4.0])]).unwrap();
    assert_eq!((value, reshaped), (tensor![1.0, 4.0], tensor![[1.0], [4.0]]));
    assert_eq!(grads.wrt(x).unwrap(), &tensor![2.0, 4.0]);
    let mut again = grads.clone();
    total.backward_into(&mut again).unwrap();
    assert_eq!((again.wrt(x).unwrap(), grads.wrt(x).unwrap()), (&tensor![6.0, 8.0], &tensor![2.0, 4.0]));
    // Of another graph, too: what was in it is forgotten.
    let other = Graph::<f64>::new();
    let z = other.variable(2.0);
    z.square().backward_into(&mut again).unwrap();
    assert_eq!(again.wrt(z).unwrap().item().unwrap(), 4.0);
    assert!(again.wrt(x).is_err());
    assert!(Gradients::empty(&g).wrt(x).is_err());
}

#[test]
fn the_first_number_that_is_not_finite_is_found_with_its_operands() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![[1.0, 4.0], [0.25, -1.0]]).named("x");
    let row = g.variable(tensor![2.0, 3.0]).named("row");
    assert_eq!(g.find_nonfinite(), None);
    let line = line!() + 1;
    let y = ((x * row).sqrt() + 1.0).exp();
    let found = g.find_nonfinite().unwrap();
    assert_eq!((found.op, &found.element[..], found.number.is_nan()), ("sqrt", &[1, 1][..], true));
    assert_eq!((found.location.file(), found.location.line()), (file!(), line));
    assert_eq!(found.operands[0].element, Some(-3.0));
    assert!(found.to_string().starts_with("sqrt([2, 2]): element [1, 1] of the value is NaN; operand -3\n  at "), "{found}");
    // The same from the root; values come before gradients.
    assert_eq!(y.sum().find_nonfinite().unwrap().unwrap().op, "sqrt");
    // A broadcast operand is read at its own place.
    let g = Graph::<f64>::new();
    let (x, row) = (g.variable(tensor![[1.0, 4.0], [0.25, -1.0]]).named("x"), g.variable(tensor![2.0, 0.0]).named("row"));
    let _ = x / row;
    assert!(g.find_nonfinite().unwrap().to_string().contains("element [0, 1] of the value is inf; operands x = 4, row = 0\n"));
    // Operations on whole arrays give ranges.
    let g = Graph::<f64>::new();
    let big = g.variable(tensor![[1e200, 1.0]]).named("big");
    let _ = big.matmul(big.transpose(0, 1));
    let found = g.find_nonfinite().unwrap();
    assert!(
        found.to_string().contains("element [0, 0] of the value is inf; operands big = [1, 2] from 1 to 1e200, [2, 1] from 1 to 1e200\n")
    );
    // A leaf that came in so.
    let g = Graph::<f64>::new();
    let _ = g.constant(tensor![0.0, f64::NAN]).named("data") * 2.0;
    let found = g.find_nonfinite().unwrap();
    assert_eq!((found.op, &found.element[..]), ("constant", &[1][..]));
    // Inside a checkpoint, where values are dropped.
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 0.0]);
    let y = g.checkpoint(|| (x.ln() * 0.5).exp());
    assert_eq!(g.find_nonfinite().unwrap().op, "ln");
    assert!(y.value().is_ok());
}

#[test]
fn the_first_gradient_that_is_not_finite_is_found_too() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![4.0, 0.0]).named("x");
    let line = line!() + 1;
    let h = x.sqrt();
    let loss = (h * 3.0 + 1.0).ln().sum();
    assert_eq!(g.find_nonfinite(), None);
    let found = loss.find_nonfinite().unwrap().unwrap();
    assert_eq!((found.op, &found.element[..], found.number), ("sqrt", &[1][..], f64::INFINITY));
    assert_eq!(found.location.line(), line);
    let Stage::Gradient { input: 0, incoming } = &found.stage else { panic!("{found:?}") };
    assert_eq!(incoming[0].element, Some(3.0));
    assert!(
        found.to_string().contains("element [1] of the gradient that the rule gives input 0 is inf; incoming gradient 3; operand x = 0\n")
    );
    // A sum of gradients that overflows, though no part of it does, nor any value.
    let g = Graph::<f64>::new();
    let x = g.variable(1e-10).named("x");
    let h = x.sin();
    let y = h * 1.5e308 + h * 1.5e308;
    let found = y.find_nonfinite().unwrap().unwrap();
    assert_eq!((found.op, &found.stage), ("sin", &Stage::Sum));
    assert!(found.to_string().contains("the gradient of the result, the sum of what all its uses give, is inf; operand x = 1e-10\n"));
    // Too large, rather than infinite.
    let g = Graph::<f64>::new();
    let x = g.variable(2.0).named("x");
    let y = (x * 1e5) * 1e5;
    assert!(
        g.find_beyond(Guard::above(1e6)).unwrap().to_string().contains("the value is 2e10, which is larger than 1000000; operand 200000\n")
    );
    assert_eq!(y.find_beyond(Guard::above(1e12)).unwrap(), None);
    assert!(y.find_beyond(Guard::NAN).unwrap().is_none());
    assert!(matches!(g.variable(tensor![1.0, 2.0]).exp().find_nonfinite().unwrap_err().kind(), ErrorKind::NotScalar { .. }));
}

#[test]
fn a_checked_graph_stops_at_the_first() {
    let g = Graph::<f64>::checked();
    let x = g.variable(tensor![4.0, 0.0]).named("x");
    let line = line!() + 1;
    let bad = x.ln() * 2.0;
    let error = bad.exp().sum().backward().unwrap_err();
    assert_eq!((error.op(), error.location().unwrap().line()), (Some("ln"), line));
    assert!(matches!(error.kind(), ErrorKind::NonFinite(_)));
    // A gradient.
    let line = line!() + 1;
    let h = x.sqrt();
    let error = h.sum().backward().unwrap_err();
    assert_eq!((error.op(), error.location().unwrap().line()), (Some("sqrt"), line));
    assert!(
        why(&error)
            .starts_with("sqrt([2]): element [1] of the gradient that the rule gives input 0 is inf; incoming gradient 1; operand x = 0"),
        "{error}"
    );
    // Recorded, and by matrix products.
    assert!(g.grad(h.sum(), [x])[0].value().is_err());
    let (a, b) = (g.variable(tensor![[1e160]]), g.variable(tensor![[1e-160]]));
    let fine = (a.matmul(b) * 1e160).sum();
    assert!(fine.value().is_ok());
    let error = fine.backward().unwrap_err();
    assert!(why(&error).starts_with("matmul([1, 1], [1, 1]): "), "{error}");
    // In forward mode and in a replay, too.
    let y = g.variable(1.0);
    let z = y.ln();
    g.replay(&[(y, &Tensor::scalar(0.0))]).unwrap();
    assert_eq!(z.value().unwrap_err().op(), Some("ln"));
    g.replay(&[(y, &Tensor::scalar(1.0))]).unwrap();
    assert_eq!(z.item().unwrap(), 0.0);
}

#[test]
fn a_graph_that_was_cleared_is_as_new() {
    let mut g = Graph::<f64>::checked();
    let id = LeafId::new();
    for round in 0..3 {
        {
            let x = g.bind(&id, &Tensor::scalar(f64::from(round) + 1.0));
            let y = g.checkpoint(|| (x * 2.0).sin()).named("y");
            let z = g.scope(|| y * 2.0);
            assert!(z.value().is_ok() && x.ln().value().is_ok());
            assert!((x - x).ln().value().is_err(), "it is checked still");
            assert!(y.backward().is_ok());
            assert_eq!(x.position(), 0);
        }
        g.clear();
        assert!(g.is_empty());
    }
}
