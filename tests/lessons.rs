//! Lessons: their numbers, on graphs where these are known.

use autograd::{
    Graph, Tensor, Var,
    lesson::{self, Agreement, Compared},
    tensor,
    trace::Trace,
};

use crate::programs::{directions, each_program};

/// n diamonds, one after the other, above x.
fn diamonds(g: &Graph<f64>, n: usize) -> Var<'_, f64> {
    (1..=n).fold(g.variable(0.5).named("x"), |x, k| (x.sin() + x.cos()).named(&format!("y{k}")))
}

/// The network of Matt Mazur, "A Step by Step Backpropagation Example".
fn mazur(g: &Graph<f64>) -> Var<'_, f64> {
    let leaf = |name: &str, v: f64| g.variable(v).named(name);
    let (i1, i2) = (g.constant(0.05).named("i1"), g.constant(0.10).named("i2"));
    let [w1, w2, w3, w4] = [("w1", 0.15), ("w2", 0.20), ("w3", 0.25), ("w4", 0.30)].map(|(n, v)| leaf(n, v));
    let [w5, w6, w7, w8] = [("w5", 0.40), ("w6", 0.45), ("w7", 0.50), ("w8", 0.55)].map(|(n, v)| leaf(n, v));
    let (b1, b2) = (leaf("b1", 0.35), leaf("b2", 0.60));
    let h1 = (w1 * i1 + w2 * i2 + b1).named("net_h1").sigmoid().named("out_h1");
    let h2 = (w3 * i1 + w4 * i2 + b1).named("net_h2").sigmoid().named("out_h2");
    let o1 = (w5 * h1 + w6 * h2 + b2).named("net_o1").sigmoid().named("out_o1");
    let o2 = (w7 * h1 + w8 * h2 + b2).named("net_o2").sigmoid().named("out_o2");
    let e1 = (0.5 * (o1 - 0.01).square()).named("E_o1");
    let e2 = (0.5 * (o2 - 0.99).square()).named("E_o2");
    (e1 + e2).named("E")
}

fn rounded(v: f64, digits: usize) -> f64 {
    format!("{v:.*e}", digits - 1).parse().unwrap()
}

fn gradient(trace: &Trace, name: &str) -> f64 {
    trace.node(name).unwrap().gradient.as_ref().unwrap().item().unwrap()
}

fn one(root: Var<'_, f64>, name: &str, answer: impl Into<Tensor<f64>>) -> Compared {
    let table = lesson::by_hand(root, [(name, answer.into())]).unwrap();
    assert!(table.to_string().lines().all(|line| line.chars().count() <= 80), "{table}");
    table.rows[0].clone()
}

/// Whether one of the diagnoses, which are few, says this.
fn assert_says(row: &Compared, expected: &str) {
    assert_eq!(row.agreement, Agreement::Wrong, "{row:?}");
    assert!(row.diagnoses.iter().any(|d| d.contains(expected)), "{:?} do not say {expected:?}", row.diagnoses);
}

#[test]
fn right_answers_of_mazur_are_right_however_they_are_rounded() {
    let g = Graph::new();
    let root = mazur(&g);
    let trace = root.trace().unwrap();
    let names: Vec<&str> = trace.nodes.iter().filter(|node| node.gradient.is_some()).map(|node| node.name.as_str()).collect();
    assert!(names.len() > 20, "{names:?}");
    for digits in 2..=9 {
        let answers = names.iter().map(|&name| (name, rounded(gradient(&trace, name), digits)));
        let table = lesson::by_hand(root, answers).unwrap();
        assert!(table.is_right(), "{digits} digits: {table}");
        assert!(table.rows.iter().all(|row| row.diagnoses.is_empty()));
    }
    let exact = lesson::by_hand(root, names.iter().map(|&name| (name, gradient(&trace, name)))).unwrap();
    for row in &exact.rows {
        assert_eq!(row.agreement, Agreement::Exact);
        let (value, error) = (row.difference.as_ref().unwrap().item().unwrap(), row.error.as_ref().unwrap().item().unwrap());
        assert!((value - row.autodiff.item().unwrap()).abs() <= 10.0 * error, "{row:?}");
        assert!(error <= 1e-6 * value.abs().max(1e-3), "{row:?}");
    }
    // As published, in nine decimals.
    let published = [("w5", 0.082_167_041), ("w1", 0.000_438_568), ("out_o1", 0.741_365_07), ("net_o1", 0.138_498_562)];
    assert!(lesson::by_hand(root, published).unwrap().is_right());
}

#[test]
fn planted_mistakes_in_mazurs_network_are_named() {
    let g = Graph::new();
    let root = mazur(&g);
    let trace = root.trace().unwrap();
    let (of, value) = (|name: &str| gradient(&trace, name), |name: &str| trace.node(name).unwrap().value.item().unwrap());
    let slope = |name: &str| value(name) * (1.0 - value(name));
    let plants = [
        ("w5", -of("w5"), "the sign is wrong"),
        ("w5", 2.0 * of("w5"), "twice the gradient"),
        ("w5", of("w5") / slope("out_o1"), "the local derivative ∂out_o1/∂net_o1"),
        ("w1", of("w1") / slope("out_o1"), ""),
        ("w1", of("w1") / slope("out_h1"), "the local derivative ∂out_h1/∂net_h1"),
        ("out_h1", value("w5") * of("net_o1"), "alone; what comes through"),
        ("b1", of("net_h1"), "it is the gradient by net_h1"),
        ("w1", value("i1") * value("w5") * of("net_o1") * slope("out_h1"), "is missing"),
        ("w5", of("w6"), "it is the gradient by w6"),
        ("w5", 0.4, "it is the value of w5"),
        ("w5", value("out_h1"), "alone: the gradient that comes in"),
        ("w5", of("net_o1"), "∂v"),
        ("w5", of("net_o1") * value("w5"), "multiplied by w5 itself"),
        ("out_o1", 2.0 * of("out_o1"), "∂E_o1/∂"),
        ("net_o1", 0.0, "as if nothing led"),
    ];
    for (name, answer, says) in plants {
        for answer in [answer, rounded(answer, 4)] {
            let row = one(root, name, answer);
            if says.is_empty() {
                // Leaving out the slope at one output only changes one of two ways.
                assert_eq!(row.agreement, Agreement::Wrong);
            } else {
                assert_says(&row, says);
            }
        }
    }
    assert_eq!(one(root, "w5", -of("w5")).ratio, Some(-1.0));
    // 0.0004 to three decimals is neither right nor wrong.
    let table = lesson::by_hand(root, [("w5", 0.082), ("w1", 0.0)]).unwrap();
    assert_eq!((table.rows[1].agreement, table.rows[1].diagnoses.len()), (Agreement::TooCoarse, 0));
    let unknown = one(root, "w5", 12.345);
    assert!(unknown.diagnoses.is_empty(), "{:?}", unknown.diagnoses);
}

#[test]
fn planted_mistakes_with_tensors_are_named() {
    let g = Graph::new();
    let x = g.constant(tensor![[0.5, -1.0, 2.0], [1.5, 0.3, -0.7], [0.2, 0.9, 0.4], [-1.1, 0.6, 0.8], [0.7, -0.2, 0.1]]).named("X");
    let w1 = g.variable(tensor![[0.1, -0.4, 0.3], [0.5, 0.2, -0.6], [-0.3, 0.7, 0.25]]).named("W1");
    let b1 = g.variable(tensor![0.05, -0.1, 0.2]).named("b1");
    let w2 = g.variable(tensor![[0.3, -0.5, 0.8]]).named("W2");
    let t = g.constant(tensor![[1.0], [0.0], [1.0], [0.0], [1.0]]).named("T");
    let z1 = (x.matmul_as(w1, false, true) + b1).named("Z1");
    let a1 = z1.tanh().named("A1");
    let loss = (a1.matmul_as(w2, false, true).named("Z2") - t).named("E").square().mean().named("L");
    let grads = loss.backward().unwrap();
    let [dw1, db1, dw2] = [w1, b1, w2].map(|v| grads.wrt(v).unwrap().clone());
    let scaled = |t: &Tensor<f64>, by: f64| t.mul_lit(by).unwrap();
    let digits = |t: &Tensor<f64>, n| Tensor::new(t.as_slice().iter().map(|v| rounded(*v, n)).collect::<Vec<_>>(), t.shape()).unwrap();
    for n in [3, 6, 17] {
        let right = lesson::by_hand(loss, [("W1", digits(&dw1, n)), ("b1", digits(&db1, n)), ("W2", digits(&dw2, n))]).unwrap();
        assert!(right.is_right(), "{right}");
    }
    // By hand: dZ2 = 2(Z2 − T)/m; dW2 = dZ2ᵀ·A1; dA1 = dZ2·W2; dZ1 = dA1·(1 − A1²); dW1 = dZ1ᵀ·X.
    let dz2 = loss.trace().unwrap().node("Z2").unwrap().gradient.clone().unwrap();
    let dz2 = Tensor::new(dz2.elements.unwrap(), dz2.shape).unwrap();
    let da1 = dz2.matmul(&w2.value().unwrap()).unwrap();
    let forgotten = da1.matmul_as(&x.value().unwrap(), true, false).unwrap();
    for n in [4, 17] {
        assert_says(&one(loss, "W1", digits(&forgotten, n)), "the local derivative ∂A1/∂Z1 = 1 − A1² is forgotten");
        assert_says(&one(loss, "W1", digits(&scaled(&dw1, 5.0), n)), "5 times the gradient, and an axis has length 5: 1/m");
        assert_says(&one(loss, "W1", digits(&scaled(&dw1, 0.2), n)), "1/5 of the gradient");
        assert_says(&one(loss, "b1", digits(&scaled(&db1, 0.5), n)), "a factor 2 is missing");
        assert_says(&one(loss, "W1", digits(&dw1.transpose(0, 1).unwrap(), n)), "it is transposed");
        assert_says(&one(loss, "W2", digits(&dw2.transpose(0, 1).unwrap(), n)), "transposed: of shape [3, 1]");
        assert_says(&one(loss, "b1", digits(&da1.sum_axes([0], false).unwrap(), n)), "∂A1/∂Z1 = 1 − A1² is forgotten");
    }
    let mut few = dw1.to_vec();
    few[4] += 1.0;
    let row = one(loss, "W1", Tensor::new(few, [3, 3]).unwrap());
    assert_eq!((row.agreement, row.wrong, row.worst, row.diagnoses.len()), (Agreement::Wrong, 1, 4, 0));
    assert_says(&one(loss, "W1", tensor![1.0, 2.0]), "shape [2], and the gradient has shape [3, 3]");
}

#[test]
fn right_answers_are_never_called_wrong_on_random_graphs() {
    let (programs, count) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    each_program(|program| {
        programs.set(programs.get() + 1);
        // Finite differences of all leaves of all programs would take long.
        if programs.get() % 4 != 0 {
            return Ok(());
        }
        let (g, x) = (Graph::new(), program.point_by(0));
        let leaves = program.leaves(&g, &x);
        let y = program.in_parts(&leaves, &|part| part());
        let weights = directions([&y.value().unwrap()], 7).remove(0);
        let loss = (y * g.constant(weights)).sum();
        let names: Vec<String> = (0..leaves.len()).map(|k| format!("leaf{k}")).collect();
        for (leaf, name) in leaves.iter().zip(&names) {
            let _ = leaf.named(name);
        }
        let grads = loss.backward().unwrap();
        let there: Vec<(&str, &Tensor<f64>)> =
            names.iter().zip(&leaves).filter_map(|(name, leaf)| Some((name.as_str(), grads.get(*leaf)?))).collect();
        for digits in [3, 17] {
            let answers = there.iter().map(|(name, d)| {
                let elements: Vec<f64> = d.as_slice().iter().map(|v| rounded(*v, digits)).collect();
                (*name, Tensor::new(elements, d.shape()).unwrap())
            });
            let table = lesson::by_hand(loss, answers).unwrap();
            assert!(table.rows.iter().all(|row| row.agreement != Agreement::Wrong && row.diagnoses.is_empty()), "{table}");
            count.set(count.get() + table.rows.len());
        }
        Ok(())
    });
    assert!(count.get() > 100, "{}", count.get());
}

#[test]
fn answers_about_nothing_are_refused() {
    let g = Graph::new();
    let root = mazur(&g);
    let error = |name: &str| lesson::by_hand(root, [(name, 1.0)]).unwrap_err().to_string();
    assert!(error("w9").contains("there is no node \"w9\"; there are gradients by w1, "), "{}", error("w9"));
    assert!(error("i1").contains("it is a constant"), "{}", error("i1"));
}

/// A rule that is wrong: the answer that finite differences confirm is right.
#[test]
fn an_answer_is_not_blamed_for_a_wrong_rule() {
    let g = Graph::<f64>::new();
    let cube = g.custom("cube", |[x]| x.powi(3), |[x], _y, d| Ok([d.mul(&x.square()?)?.mul_lit(2.0)?]));
    let y = cube.apply([g.variable(2.0).named("x")]).named("y");
    let row = one(y, "x", 12.0);
    assert!(row.is_autodiff_accused && row.is_right(), "{row:?}");
}

#[test]
fn recursion_visits_two_to_the_depth() {
    for depth in [1, 3, 10] {
        let g = Graph::new();
        let order = lesson::order(&diamonds(&g, depth).trace().unwrap());
        let leaf = order.nodes.last().unwrap();
        assert_eq!((leaf.name.as_str(), leaf.visits), ("x", 1 << depth));
        // A diamond has two nodes and their sum: as many visits as paths to each, 1 + Σ 3·2ᵏ − …, counted.
        let counted: u64 = order.nodes.iter().map(|node| node.visits).sum();
        assert_eq!((order.sweep, order.recursion), (3 * depth as u64 + 1, counted));
        assert_eq!(counted, 1 + (0..depth).map(|k| 4 * 2u64.pow(k as u32)).sum::<u64>());
        for node in &order.nodes {
            let (a, b) = (node.recursion.as_ref().unwrap().item().unwrap(), node.gradient.item().unwrap());
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-3), "{}: {a} is not {b}", node.name);
        }
        // Wrong numbers begin at the second diamond.
        assert_eq!(order.first_wrong.is_some(), depth > 1);
        assert_eq!(leaf.is_wrong, depth > 1);
    }
    // So many that nobody could do it.
    let g = Graph::new();
    let order = lesson::order(&diamonds(&g, 70).trace().unwrap());
    assert_eq!((order.nodes.last().unwrap().visits, order.sweep), (u64::MAX, 211));
    assert!(order.nodes.iter().all(|node| node.recursion.is_none()));
}

#[test]
fn depth_first_goes_wrong_where_a_contribution_is_still_to_come() {
    let g = Graph::new();
    let order = lesson::order(&diamonds(&g, 3).trace().unwrap());
    let first = order.lines[order.first_wrong.unwrap()].depth_first.as_ref().unwrap();
    assert_eq!((first.name.as_str(), first.received, first.of), ("y2", 1, 2));
    // The first input of y3 is sin(y2), whose derivative is cos(y2): that alone is passed on.
    let trace = diamonds(&g, 3).trace().unwrap();
    let y2 = trace.node("y2").unwrap().value.item().unwrap();
    assert_eq!(first.gradient.as_ref().unwrap().item(), Some(y2.cos()));
    assert!(order.to_string().contains("<- first wrong"), "{order}");
}

#[test]
fn a_value_used_twice_gets_both_contributions() {
    let g = Graph::<f64>::new();
    let b = g.variable(3.0).named("b");
    let fan = lesson::fan_out(&(b + b).named("a").trace().unwrap());
    let sums: Vec<_> = fan.shared[0].contributions.iter().map(|c| (c.consumer.as_str(), c.input, c.sum.item().unwrap())).collect();
    assert_eq!(sums, [("a", 0, 1.0), ("a", 1, 2.0)]);
    let leaf = &fan.leaves[0];
    let items = [&leaf.overwritten, &leaf.leaves_accumulate, &leaf.all_accumulate].map(|a| a.as_ref().unwrap().item().unwrap());
    assert_eq!((leaf.gradient.item(), items), (Some(2.0), [1.0, 4.0, 4.0]));
}

/// Micrograd's class, run on the same graph: each result keeps its gradient, and adds to it.
#[test]
fn a_second_pass_without_zeroing_grows_with_depth() {
    let g = Graph::<f64>::new();
    let x = g.variable(0.3).named("x");
    let y = x.sin().named("u").exp().named("v").square().named("y");
    let fan = lesson::fan_out(&y.trace().unwrap());
    let right = y.backward().unwrap().wrt(x).unwrap().item().unwrap();
    // First pass: 1, 1, 1, 1 times the right gradients; second: y 1, v 1 + 1, u 1 + 2, x 1 + 3.
    let all = fan.leaves[0].all_accumulate.as_ref().unwrap().item().unwrap();
    assert!((all / right - 4.0).abs() < 1e-12, "{all} is not four times {right}");
    assert_eq!(fan.leaves[0].leaves_accumulate.as_ref().unwrap().item(), Some(2.0 * right));
    assert_eq!(fan.leaves[0].overwritten.as_ref().unwrap().item(), Some(right));
    // And here a second call gives the first result.
    assert_eq!(y.backward().unwrap().wrt(x).unwrap().item().unwrap(), right);
}

#[test]
fn overwriting_leaves_the_last_contribution_in_tensors_too() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]).named("x");
    let fan = lesson::fan_out(&(x.square().named("s") + x * 3.0).sum().trace().unwrap());
    let leaf = &fan.leaves[0];
    assert_eq!(leaf.gradient.elements.as_deref(), Some(&[5.0, 7.0][..]));
    assert_eq!(leaf.overwritten.as_ref().unwrap().elements.as_deref(), Some(&[2.0, 4.0][..]));
}

#[test]
fn paths_sum_to_the_gradient_and_double_with_each_diamond() {
    for n in 1..=9 {
        let g = Graph::new();
        let paths = lesson::paths(&diamonds(&g, n).trace().unwrap()).unwrap();
        let leaf = &paths.leaves[0];
        assert_eq!((paths.count, leaf.paths.len() as u64, paths.edges), (1 << n, 1 << n, 4 * n as u64));
        assert!((leaf.sum.unwrap() - leaf.gradient).abs() < 1e-12);
        // Each path has 2n edges.
        assert_eq!(paths.path_multiplications, (1 << n) * (2 * n as u64 - 1));
        assert_eq!((paths.path_additions, paths.sweep_additions), ((1 << n) - 1, n as u64));
        for path in &leaf.paths {
            assert_eq!((path.nodes.len(), path.factors.len()), (2 * n + 1, 2 * n));
            assert_eq!(path.product, path.factors.iter().product::<f64>());
        }
    }
    let g = Graph::new();
    let paths = lesson::paths(&mazur(&g).trace().unwrap()).unwrap();
    for leaf in &paths.leaves {
        assert!((leaf.sum.unwrap() - leaf.gradient).abs() <= 1e-14, "{leaf:?}");
    }
    let b1 = paths.leaves.iter().find(|leaf| leaf.name == "b1").unwrap();
    assert_eq!(b1.count, 4);
    let error = lesson::paths(&g.variable(tensor![1.0, 2.0]).square().sum().trace().unwrap()).unwrap_err().to_string();
    assert!(error.contains("paths are for graphs of single numbers"), "{error}");
}

#[test]
fn tangents_are_those_of_forward_mode() {
    let g = Graph::new();
    let root = mazur(&g);
    let trace = root.trace().unwrap();
    let leaves: Vec<Var<'_, f64>> = g.vars().filter(|v| v.name().is_some_and(|name| name.starts_with(['w', 'b']))).collect();
    for leaf in leaves {
        let name = leaf.name().unwrap();
        let forward = lesson::forward_mode(&trace, &name, 0).unwrap();
        assert!((forward.forward - forward.reverse).abs() < 1e-15);
        assert_eq!(forward.inputs, 10);
        let named = forward.tangents.iter().filter_map(|t| Some((g.vars().find(|v| v.name().is_some_and(|n| *n == *t.name))?, t)));
        for (node, tangent) in named.collect::<Vec<_>>() {
            let jvp = g.jvp(node, [leaf], [g.constant(1.0)]).item().unwrap();
            let found = tangent.tangent.item().unwrap();
            assert!((found - jvp).abs() <= 1e-15, "{}: {found} is not {jvp}", tangent.name);
        }
    }
    // Tensors, element by element; one sweep for each.
    let (x, w) = (g.variable(tensor![[0.1, 0.2], [0.3, 0.4]]).named("x"), g.variable(tensor![0.5, -0.5]).named("w"));
    let loss = (x * w).tanh().sum().named("loss");
    let trace = loss.trace().unwrap();
    for (name, n) in [("x", 4), ("w", 2)] {
        for k in 0..n {
            let forward = lesson::forward_mode(&trace, name, k).unwrap();
            assert!((forward.forward - forward.reverse).abs() < 1e-15, "{forward}");
            assert_eq!((forward.inputs, forward.cost(6, 1)), (6, (6 * forward.multiplications, forward.multiplications)));
        }
    }
    let error = |name, k| lesson::forward_mode(&trace, name, k).unwrap_err().to_string();
    assert!(error("q", 0).contains("there is no node \"q\"; there are x, w"), "{}", error("q", 0));
    assert!(error("w", 2).contains("w has 2 elements, and no element 2"), "{}", error("w", 2));
}

#[test]
fn a_step_of_descent_does_what_the_gradient_predicts_as_it_becomes_short() {
    let g = Graph::new();
    let root = mazur(&g);
    let step = lesson::sgd_step(root, 0.5).unwrap();
    // Matt Mazur gives the weights after a step of 0.5, and the error after one with fixed biases, which here move too.
    let w5 = step.variables.iter().find(|v| v.name == "w5").unwrap();
    assert!((w5.new_value.item().unwrap() - 0.358_916_48).abs() < 5e-9);
    let trace = root.trace().unwrap();
    let norm: f64 = trace.nodes.iter().filter(|n| n.name.starts_with(['w', 'b'])).map(|n| gradient(&trace, &n.name).powi(2)).sum();
    assert!((step.squared_norm - norm).abs() < 1e-15 && (step.before - 0.298_371_109).abs() < 5e-10);
    let parts: f64 = step.variables.iter().map(|v| v.predicted).sum();
    assert!((parts - step.steps[0].predicted).abs() < 1e-15);
    let apart: Vec<f64> = step.steps.iter().map(|s| (s.actual / s.predicted - 1.0).abs()).collect();
    assert!(apart[1] < 0.2 * apart[0] && apart[2] < 0.2 * apart[1] && apart[2] < 2e-3, "{apart:?}");
    // The graph itself is as before.
    assert_eq!(root.item().unwrap(), step.before);
    let single = Graph::<f32>::new();
    let step = lesson::sgd_step(single.variable(3.0f32).named("w").square(), 0.25).unwrap();
    assert_eq!(step.variables[0].new_value.item(), Some(1.5));
}

#[test]
fn the_first_number_that_is_not_finite_is_found() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![2.0, 0.0, -1.0]).named("x");
    let story = lesson::non_finite(&x.ln().named("l").exp().named("e").sum().named("s").trace().unwrap());
    let bad = story.value.as_ref().unwrap();
    assert_eq!((bad.name.as_str(), bad.position.as_slice(), bad.found.as_str()), ("l", &[1][..], "-inf"));
    assert_eq!((bad.operands.as_slice(), bad.reaches_root), (&[("x".to_owned(), 0.0)][..], true));
    assert_eq!(bad.way, ["l", "e", "s"]);
    assert_eq!(story.spoiled, ["x"]);
    assert!(story.to_string().contains("l = ln(x) is -inf at [1]"), "{story}");

    // Infinite values that come to nothing: exp(1000) is infinite, and its reciprocal 0.
    let big = g.variable(1000.0).named("big");
    let story = lesson::non_finite(&(1.0 / (big.exp().named("e") + 1.0)).named("y").trace().unwrap());
    let bad = story.value.as_ref().unwrap();
    assert_eq!((bad.name.as_str(), bad.reaches_root), ("e", false));

    // An infinite slope that is multiplied by 0.
    let z = g.variable(0.0).named("z");
    let story = lesson::non_finite(&(z.sqrt().named("r") * 0.0).named("y").trace().unwrap());
    let first = story.derivative.as_ref().unwrap();
    assert_eq!((first.upstream, first.local, first.contribution), (Some(0.0), Some(f64::INFINITY), Some(0.0)));
    assert!(first.way.is_empty() && story.spoiled.is_empty());

    // And one that is not.
    let v = g.variable(tensor![4.0, 0.0]).named("v");
    let story = lesson::non_finite(&(v.sqrt().named("d") * 3.0).sum().trace().unwrap());
    let first = story.derivative.as_ref().unwrap();
    assert_eq!((first.upstream, first.local, first.contribution), (Some(3.0), Some(f64::INFINITY), Some(f64::INFINITY)));
    assert_eq!((first.way.join(" "), first.reaches_leaf, story.spoiled.join(" ")), ("v".to_owned(), true, "v".to_owned()));

    let story = lesson::non_finite(&mazur(&Graph::new()).trace().unwrap());
    assert!(story.is_clean());
}

#[test]
fn memory_counts_what_rules_read() {
    let g = Graph::<f32>::new();
    let x = g.constant(Tensor::<f32>::ones([8, 4]).unwrap()).named("X");
    let w = g.variable(Tensor::<f32>::full(0.5, [4, 3]).unwrap()).named("W");
    let loss = x.matmul(w).named("Z").tanh().named("A").sum().named("L");
    let memory = lesson::memory(&loss.trace().unwrap());
    let bytes: Vec<_> = memory.values.iter().map(|v| (v.name.as_str(), v.bytes, v.read_by.clone(), v.last_read)).collect();
    assert_eq!(bytes[0], ("X", 128, vec!["Z".to_owned()], Some(2)));
    assert_eq!(bytes[1], ("W", 48, vec![], None));
    assert_eq!(bytes[3], ("A", 96, vec!["A".to_owned()], Some(1)));
    assert_eq!((memory.results, memory.needed, memory.never_read, memory.recomputed), (96 + 96 + 4, 96, 100, 0));
    let timeline: Vec<_> = memory.timeline.iter().map(|t| (t.after.as_str(), t.bytes, t.freed.join(","))).collect();
    assert_eq!(timeline, [("L", 96, String::new()), ("A", 0, "A".to_owned()), ("Z", 0, String::new())]);

    let g = Graph::<f64>::new();
    let x = g.variable(0.5);
    let memory = lesson::memory(&g.checkpoint(|| x.sin().exp()).square().trace().unwrap());
    assert!(memory.recomputed > 0, "{memory:?}");
}

#[test]
fn lessons_fit_on_a_page_and_are_data() {
    let g = Graph::new();
    let root = mazur(&g);
    let trace = root.trace().unwrap();
    let pages = [
        (lesson::order(&trace).page(), serde_json::to_string(&lesson::order(&trace))),
        (lesson::fan_out(&trace).page(), serde_json::to_string(&lesson::fan_out(&trace))),
        (lesson::paths(&trace).unwrap().page(), serde_json::to_string(&lesson::paths(&trace).unwrap())),
        (lesson::forward_mode(&trace, "w1", 0).unwrap().page(), serde_json::to_string(&lesson::forward_mode(&trace, "w1", 0).unwrap())),
        (lesson::sgd_step(root, 0.5).unwrap().page(), serde_json::to_string(&lesson::sgd_step(root, 0.5).unwrap())),
        (lesson::non_finite(&trace).page(), serde_json::to_string(&lesson::non_finite(&trace))),
        (lesson::memory(&trace).page(), serde_json::to_string(&lesson::memory(&trace))),
    ];
    for (page, json) in pages {
        let text = page.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(page.to_markdown().starts_with("### "), "{}", page.to_markdown());
        assert!(json.unwrap().starts_with('{'));
    }
}

/// What the blocks of `docs/lessons.md` print; `UPDATE_DOCS=1` writes it there.
#[test]
fn the_chapter_shows_what_is_printed() {
    let g = Graph::<f64>::new();
    let named = |n: usize| {
        (1..=n).fold(g.variable(0.5).named("x"), |x, k| {
            let (s, c) = (x.sin().named(&format!("s{k}")), x.cos().named(&format!("c{k}")));
            (s + c).named(&format!("y{k}"))
        })
    };
    let answers = [
        ("w5", 0.082_167_041),
        ("w1", 0.000_439),
        ("w6", -0.0827),
        ("w7", -0.128_78),
        ("out_h1", 0.055_399_4),
        ("w2", 0.003_635),
        ("b2", 0.138_499),
    ];
    let by_hand = lesson::by_hand(mazur(&g), answers).unwrap();
    let b = g.variable(3.0).named("b");
    let (x, y) = (g.variable(2.0).named("x"), g.variable(3.0).named("y"));
    let f = ((x * y).named("p").sin().named("q") + x.square().named("s")).named("f");
    let v = g.variable(tensor![1.0, 2.0]).named("x");
    let kept = ((v + 1.0).named("u").tanh().named("t") * 3.0).named("v").sum().named("L");
    let layer = |linear, activation| nn::Perceptron { linear, activation };
    let hidden = nn::Linear::from_tensors(tensor![[0.5, -1.0], [1.0, 0.25]], Some(tensor![0.1, -0.1])).unwrap();
    let output = nn::Linear::from_tensors(tensor![[1.0, -0.5]], Some(tensor![0.2])).unwrap();
    let model = nn::Mlp { layers: vec![layer(hidden, nn::Activation::Tanh), layer(output, nn::Activation::Sigmoid)] };
    let (batch, t) = (tensor![[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], tensor![[1.0], [1.0], [0.0]]);
    let course = nn::lesson::course(&model, &batch, |y| nn::loss::binary_cross_entropy(y, y.graph().constant(&t))).unwrap();
    let printed = [
        ("by hand", by_hand.to_string()),
        ("order", lesson::order(&named(3).trace().unwrap()).to_string()),
        ("fan-out", lesson::fan_out(&(b + b).named("a").trace().unwrap()).to_string()),
        ("paths", lesson::paths(&named(2).trace().unwrap()).unwrap().to_string()),
        ("forward", lesson::forward_mode(&f.trace().unwrap(), "x", 0).unwrap().to_string()),
        ("course", course.to_string()),
        ("step", lesson::sgd_step((g.variable(3.0).named("w") * 2.0).square().named("L"), 0.01).unwrap().to_string()),
        ("memory", lesson::memory(&kept.trace().unwrap()).to_string()),
    ];
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lessons.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let new = printed.iter().fold(page.clone(), |page, (name, text)| {
        let mark = format!("<!-- printed: {name} -->\n");
        let (before, rest) = page.split_once(&mark).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        format!("{before}{mark}\n```text\n{text}```\n\n<!-- end -->{after}")
    });
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &new).unwrap();
    }
    assert!(new == page || std::env::var_os("UPDATE_DOCS").is_some(), "docs/lessons.md is out of date; UPDATE_DOCS=1 writes it anew");
}

#[test]
fn models_of_single_precision_are_compared_by_the_names_of_their_parameters() {
    use nn::{Module, Parameters};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let activations = [nn::Activation::Sigmoid, nn::Activation::Identity];
    let model = nn::Mlp::<f32>::new(&[2, 3, 1], &activations, nn::Init::XavierUniform, &mut rng).unwrap();
    let g = Graph::new();
    let loss = model.forward(g.constant(tensor![[0.5f32, -1.0], [2.0, 0.25]])).square().mean();
    model.name_on(&g);
    let grads = loss.backward().unwrap();
    let answer = |sign: f64| {
        let named = model.named_parameters();
        let all = named.into_iter().map(|(name, p)| (name, p.grad(&grads).unwrap().cast::<f64>().mul_lit(sign).unwrap()));
        all.collect::<Vec<_>>()
    };
    let compare = |sign| lesson::by_hand(loss, answer(sign).iter().map(|(name, d)| (name.as_str(), d.clone()))).unwrap();
    let right = compare(1.0);
    assert_eq!((right.is_right(), right.rows.len(), right.rows[2].name.as_str()), (true, 4, "layers.1.weight"));
    for row in compare(-1.0).rows {
        assert_says(&row, "the sign is wrong");
        assert!(!row.is_autodiff_accused && row.ratio == Some(-1.0), "{row:?}");
    }
}

/// Numbers that have nothing to do with the graph are explained by nothing.
#[test]
fn numbers_from_nowhere_are_not_explained() {
    let g = Graph::new();
    let root = mazur(&g);
    let mut explained = 0;
    for k in 1..=100 {
        let row = one(root, "w1", (f64::from(k) * 0.754_877_666).fract());
        assert_eq!(row.agreement, Agreement::Wrong);
        explained += usize::from(!row.diagnoses.is_empty());
    }
    assert_eq!(explained, 0);
}
