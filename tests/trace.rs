//! Traces: the numbers that are printed are those of the engine, on random graphs and on every operation; and the published examples.

// Published digits and formulas stand as they were published.
#![allow(clippy::unreadable_literal, clippy::misrefactored_assign_op)]

use autograd::{
    Graph, Tensor, Var,
    op::catalogue,
    tensor,
    trace::{Kind, Options, Step, Trace},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::programs::{directions, each_program};

/// The elements of the gradient by a node.
fn gradient<'t>(trace: &'t Trace, name: &str) -> &'t [f64] {
    trace.node(name).unwrap().gradient.as_ref().unwrap().elements.as_ref().unwrap()
}

fn value(trace: &Trace, name: &str) -> f64 {
    trace.node(name).unwrap().value.item().unwrap()
}

/// Whether a number is what was published, to the last digit that was.
fn assert_published(found: f64, published: f64, digits: i32) {
    assert!((found - published).abs() <= 0.5 * 10f64.powi(-digits) * (1.0 + 1e-9), "{found} is not {published}");
}

#[test]
fn printed_factors_of_random_graphs_multiply_to_the_gradients_of_the_engine() {
    let steps = std::cell::Cell::new(0);
    each_program(|program| {
        let (g, x) = (Graph::new(), program.point_by(0));
        let leaves = program.leaves(&g, &x);
        for (k, leaf) in leaves.iter().enumerate() {
            let _ = leaf.named(&format!("leaf{k}"));
        }
        let y = program.in_parts(&leaves, &|part| part());
        let weights = directions([&y.value().unwrap()], 7).remove(0);
        let loss = (y * g.constant(weights)).sum();
        let (trace, gradients) = (loss.trace().unwrap(), loss.backward().unwrap());
        assert!(trace.verify().unwrap() <= 1e-12, "{:?}", trace.verify());
        for (k, leaf) in leaves.iter().enumerate() {
            // A leaf that nothing was computed from is not on the trace.
            let Some(node) = trace.node(&format!("leaf{k}")) else { continue };
            let printed = node.gradient.as_ref().map(|g| g.elements.clone().unwrap());
            assert_eq!(printed, gradients.get(*leaf).map(Tensor::to_vec), "leaf {k}");
        }
        assert!(Trace::from_json(&trace.to_json()).unwrap() == trace, "JSON does not give the trace back");
        assert_eq!(loss.trace().unwrap().to_json(), trace.to_json());
        steps.set(steps.get() + trace.steps().len());
        Ok(())
    });
    assert!(steps.get() > 10_000, "{}", steps.get());
}

#[test]
fn every_operation_is_traced() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut with_formula, mut all) = (0, 0);
    for entry in catalogue() {
        for sample in entry.samples {
            let g = Graph::new();
            let draw = |(shape, (low, high)): &(&[usize], (f64, f64))| Tensor::uniform(*low, *high, *shape, &mut rng).unwrap();
            let x: Vec<Var<'_, f64>> = sample.inputs.iter().map(draw).map(|x| g.variable(x)).collect::<Vec<_>>();
            let y = (sample.run)(&x);
            let weights = directions([&y.value().unwrap()], 3).remove(0);
            let loss = (y * g.constant(weights)).sum();
            let trace = loss.trace().unwrap();
            let deviation = trace.verify().unwrap_or_else(|e| panic!("{} {}: {e}", entry.name, sample.text));
            assert!(deviation <= 1e-12, "{}: {deviation:e}", entry.name);
            let gradients = loss.backward().unwrap();
            for (node, leaf) in trace.nodes.iter().filter(|node| node.kind == Kind::Variable).zip(&x) {
                if let Some(found) = gradients.get(*leaf) {
                    assert_eq!(node.gradient.as_ref().unwrap().elements.as_deref().unwrap(), found.as_slice(), "{}", entry.name);
                }
            }
            let edges = trace.visits.iter().flat_map(|visit| &visit.edges).filter(|edge| edge.contribution.is_some());
            for edge in edges {
                all += 1;
                with_formula += usize::from(edge.rule.is_some() || edge.local_formula.is_some());
            }
        }
    }
    // The others are decompositions and the like, whose formulas nobody would read.
    assert!(with_formula * 100 >= all * 97, "{with_formula} of {all}");
}

#[test]
fn a_node_used_twice_gets_two_contributions() {
    let g = Graph::<f64>::new();
    let a = g.variable(3.0).named("a");
    let trace = (a + a).trace().unwrap();
    let sums: Vec<f64> = trace.visits[0].edges.iter().map(|edge| edge.sum.as_ref().unwrap().item().unwrap()).collect();
    let counts: Vec<(usize, usize)> = trace.visits[0].edges.iter().map(|edge| (edge.nth, edge.of)).collect();
    assert_eq!((sums, counts), (vec![1.0, 2.0], vec![(1, 2), (2, 2)]));
    assert_eq!(gradient(&trace, "a"), [2.0]);
}

/// `CS231n`, "Backpropagation, Intuitions": f = (x + y)z.
#[test]
fn the_first_circuit_of_cs231n() {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
    let trace = ((x + y).named("q") * z).named("f").trace().unwrap();
    assert_eq!((value(&trace, "q"), value(&trace, "f")), (3.0, -12.0));
    assert_eq!(["x", "y", "z", "q"].map(|name| gradient(&trace, name)[0]), [-4.0, -4.0, 3.0, -4.0]);
    assert_eq!(trace.steps().len(), 5 + 1 + 4);
    assert_eq!(trace.verify(), Ok(0.0));
    let text: Vec<String> = trace.nodes.iter().filter_map(|node| node.formula.as_ref()).map(ToString::to_string).collect();
    assert_eq!(text, ["x + y", "q·z"]);
}

/// `CS231n`: the neuron 1/(1 + e^−(w0x0 + w1x1 + w2)); its published gradients are rounded at every gate to two decimals.
#[test]
fn the_sigmoid_neuron_of_cs231n() {
    let g = Graph::<f64>::new();
    let leaf = |name: &str, v: f64| g.variable(v).named(name);
    let [w0, x0, w1, x1, w2] = [("w0", 2.0), ("x0", -1.0), ("w1", -3.0), ("x1", -2.0), ("w2", -3.0)].map(|(name, v)| leaf(name, v));
    let dot = (w0 * x0 + w1 * x1 + w2).named("dot");
    let trace = (1.0 / ((-dot).exp() + 1.0)).named("f").trace().unwrap();
    assert_eq!(value(&trace, "dot"), 1.0);
    assert_published(value(&trace, "f"), 0.73, 2);
    for (name, published) in [("w0", -0.20), ("x0", 0.39), ("w1", -0.39), ("x1", -0.59), ("w2", 0.20)] {
        assert_published(gradient(&trace, name)[0], published, 2);
    }
}

/// Matt Mazur, "A Step by Step Backpropagation Example": two inputs, two hidden and two output neurons, with one bias a layer.
#[test]
fn the_network_of_mazur() {
    let trace = crate::renderers::mazur();
    for (name, published, digits) in [
        ("net_h1", 0.3775, 4),
        ("out_h1", 0.593269992, 9),
        ("out_h2", 0.596884378, 9),
        ("net_o1", 1.105905967, 9),
        ("out_o1", 0.75136507, 8),
        ("out_o2", 0.772928465, 9),
        ("E_o1", 0.274811083, 9),
        ("E_o2", 0.023560026, 9),
        ("E", 0.298371109, 9),
    ] {
        assert_published(value(&trace, name), published, digits);
    }
    assert_published(gradient(&trace, "w5")[0], 0.082167041, 9);
    assert_published(gradient(&trace, "w1")[0], 0.000438568, 9);
    // The weights after a step of 0.5.
    for (name, weight, published) in [
        ("w5", 0.40, 0.35891648),
        ("w6", 0.45, 0.408666186),
        ("w7", 0.50, 0.511301270),
        ("w8", 0.55, 0.561370121),
        ("w1", 0.15, 0.149780716),
        ("w2", 0.20, 0.19956143),
        ("w3", 0.25, 0.24975114),
        ("w4", 0.30, 0.29950229),
    ] {
        assert_published(weight - 0.5 * gradient(&trace, name)[0], published, 8);
    }
    assert!(trace.verify().unwrap() < 1e-15);
}

/// The two expressions of micrograd's test suite, whose numbers PyTorch gives.
#[test]
fn the_expressions_of_micrograd() {
    let g = Graph::<f64>::new();
    let x = g.variable(-4.0).named("x");
    let z = 2.0 * x + 2.0 + x;
    let q = z.relu() + z * x;
    let h = (z * z).relu();
    let trace = (h + q + q * x).named("y").trace().unwrap();
    assert_eq!((value(&trace, "y"), gradient(&trace, "x")[0]), (-20.0, 46.0));

    let (a, b) = (g.variable(-4.0).named("a"), g.variable(2.0).named("b"));
    let mut c = a + b;
    let mut d = a * b + b.powi(3);
    c += c + 1.0;
    c += 1.0 + c + (-a);
    d += d * 2.0 + (b + a).relu();
    d += 3.0 * d + (b - a).relu();
    let e = c - d;
    let f = e.square();
    let trace = (f / 2.0 + 10.0 / f).named("g").trace().unwrap();
    assert_published(value(&trace, "g"), 24.7041, 4);
    assert_published(gradient(&trace, "a")[0], 138.8338, 4);
    assert_published(gradient(&trace, "b")[0], 645.5773, 4);
    assert!(trace.verify().unwrap() < 1e-14);
}

/// Exclusive or by two hidden units of relu with the weights of Goodfellow, Bengio and Courville, "Deep Learning", section 6.1.
#[test]
fn exclusive_or() {
    let g = Graph::<f64>::new();
    let x = g.constant(tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).named("X");
    let w = g.variable(tensor![[1.0, 1.0], [1.0, 1.0]]).named("W");
    let c = g.variable(tensor![0.0, -1.0]).named("c");
    let v = g.variable(tensor![1.0, -2.0]).named("w");
    let z = (x.matmul(w) + c).named("Z");
    let y = z.relu().named("H").matmul(v).named("y");
    assert_eq!(y.value().unwrap(), tensor![0.0, 1.0, 1.0, 0.0]);
    let target = g.constant(tensor![1.0, 1.0, 1.0, 0.0]).named("t");
    let trace = (y - target).square().mean().trace().unwrap();
    assert!(trace.verify().unwrap() < 1e-15);
    let into = |name: &str| {
        let edges = trace.visits.iter().flat_map(|visit| visit.edges.iter());
        edges.filter(|edge| trace.nodes[edge.into].name == name).collect::<Vec<_>>()
    };
    // The weights see XᵀdV, the bias the sum over the examples; a relu passes where it is positive.
    let of_w = into("W")[0].rule.as_ref().unwrap().to_string();
    assert!(of_w.starts_with("Xᵀ·d"), "{of_w}");
    let bias = into("c")[0];
    assert_eq!((bias.summed_over.as_slice(), bias.entry.as_ref().unwrap().terms.len()), (&[0][..], 4));
    let of_z = into("Z")[0];
    assert_eq!(of_z.local_formula.as_ref().unwrap().to_string(), "[Z > 0]");
    let choice = of_z.choice.as_ref().unwrap();
    assert_eq!((choice.passed, choice.of, choice.ties), (4, 8, 3));
    // tanh and relu keep different things: relu its input, the product both factors.
    let kept = |name: &str| trace.node(name).unwrap().kept.iter().map(|&k| trace.nodes[k].name.as_str()).collect::<Vec<_>>();
    assert_eq!((kept("H"), kept("y")), (vec!["Z"], vec!["w", "H"]));
}

#[test]
fn what_is_left_out_is_said() {
    let g = Graph::<f64>::new();
    let x = g.variable(Tensor::arange(100).unwrap()).named("x");
    let trace = x.square().sum().trace_with(&Options::default().max_elements(10).max_terms(3)).unwrap();
    let node = trace.node("x").unwrap();
    assert_eq!((&node.value.elements, node.value.min, node.value.max, node.value.mean), (&None, 0.0, 99.0, 49.5));
    assert_eq!(node.value.short(8), "[100]: 0 … 99, mean 49.5");
    assert_eq!(trace.verify(), Ok(0.0));
    let g = Graph::<f64>::new();
    let m = g.variable(Tensor::ones([5, 2]).unwrap());
    let trace = (m + g.variable(tensor![1.0, 2.0]).named("b")).sum().trace_with(&Options::default().max_terms(3)).unwrap();
    let edge = trace.visits.iter().flat_map(|v| &v.edges).find(|edge| trace.nodes[edge.into].name == "b").unwrap();
    let entry = edge.entry.as_ref().unwrap();
    assert_eq!((entry.terms.len(), entry.omitted, entry.omitted_sum, entry.total), (3, 2, 2.0, 5.0));
}

#[test]
fn mistakes_are_told() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    let error = x.square().trace().unwrap_err().to_string();
    assert!(error.contains("trace") || error.contains("backward"), "{error}");
    let error = (x + g.variable(tensor![1.0, 2.0, 3.0])).sum().trace().unwrap_err();
    assert_eq!(error.op(), Some("add"));
    assert!(Trace::from_json(r#"{"schema":99,"element":"f64","nodes":[],"visits":[]}"#).unwrap_err().to_string().contains("schema 99"));
    let mut trace = x.square().sum().trace().unwrap();
    trace.visits[1].edges[0].contribution.as_mut().unwrap().elements.as_mut().unwrap()[1] = 5.0;
    let deviation = trace.verify().unwrap_err();
    assert_eq!((deviation.found, deviation.printed), (4.0, 5.0));
}

#[test]
fn nan_and_infinity_survive_json() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![0.0, -1.0, 1.0]).named("x");
    let trace = x.ln().sum().trace().unwrap();
    let again = Trace::from_json(&trace.to_json()).unwrap();
    let elements = again.nodes[1].value.elements.as_ref().unwrap();
    assert!(elements[0] == f64::NEG_INFINITY && elements[1].is_nan() && elements[2] == 0.0);
    assert_eq!(again.to_json(), trace.to_json());
}

#[test]
fn checkpoints_are_computed_again() {
    let g = Graph::<f64>::new();
    let x = g.variable(0.5).named("x");
    let y = g.checkpoint(|| x.sin().named("s").exp());
    let trace = y.square().trace().unwrap();
    let s = trace.node("s").unwrap();
    assert!(s.is_recomputed);
    assert_eq!(s.value.item(), Some(0.5f64.sin()));
    assert!(trace.verify().unwrap() < 1e-15);
    assert!(matches!(trace.steps()[0], Step::Forward(0)));
}

#[test]
fn pictures_are_the_same_text_each_time_and_no_name_breaks_them() {
    let g = Graph::<f64>::new();
    let a = g.variable(2.0).named("a<b>&\"'");
    let y = (a * a).named("</svg>");
    let svg = y.trace().unwrap().to_svg();
    assert_eq!(svg, y.trace().unwrap().to_svg());
    assert!(svg.contains("a&lt;b&gt;&amp;&quot;") && svg.matches("</svg>").count() == 1);
    // Both edges of the product are drawn, with what comes back along each.
    assert_eq!((svg.matches("<path d=\"M").count(), svg.matches("stroke=\"#fff\"").count()), (4, 2));
}

#[test]
fn large_graphs_are_drawn_in_blocks_and_the_picture_says_so() {
    let g = Graph::<f64>::new();
    let mut x = g.variable(0.5).named("x");
    for layer in 0..50 {
        let w = g.variable(0.9).named(&format!("layers.{layer}.weight"));
        x = (x * w).tanh() + w;
    }
    let svg = x.trace().unwrap().to_svg();
    assert!(svg.contains("201 nodes") || svg.contains("202 nodes"), "{}", &svg[svg.len() - 300..]);
    assert!(svg.contains(">layers.17<") && svg.contains("the nodes of a layer are drawn as one box"));
    let mut y = g.variable(0.5);
    for _ in 0..500 {
        y = (y * 1.5).sin();
    }
    let svg = y.trace().unwrap().to_svg();
    assert!(svg.contains("1001 nodes; those of 34 neighbouring depths"), "{}", &svg[svg.len() - 300..]);
}

#[test]
fn the_readme_shows_what_is_printed() {
    let trace = crate::browser::runs::readme();
    let shown = format!("dL/dw = {}\n{trace}", trace.node("w").unwrap().gradient.as_ref().unwrap().item().unwrap());
    assert!(include_str!("../README.md").contains(shown.trim_end()), "the README does not show\n{shown}");
}

#[test]
fn names_of_gradients_are_nobody_elses() {
    let g = Graph::<f64>::new();
    let (x, dx, c) = (g.variable(tensor![2.0, 3.0]).named("x"), g.variable(5.0).named("dx"), g.variable(7.0).named("c"));
    let y = (x.sum() * dx * c * g.variable(2.0).named("(x)")).named("dx_2");
    let trace = y.trace().unwrap();
    let mut names: Vec<&str> = trace.nodes.iter().flat_map(|node| [&*node.name, &*node.gradient_name]).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
    assert_eq!((&*trace.node("x").unwrap().gradient_name, &*trace.node("c").unwrap().gradient_name), ("d(x)", "dc"));
}

#[test]
fn an_entry_that_is_not_of_its_contribution_is_noticed() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    let mut trace = x.matmul(g.constant(tensor![1.0, 1.0])).sum().trace().unwrap();
    assert!(trace.verify().is_ok());
    let edge = trace.visits.iter_mut().flat_map(|visit| &mut visit.edges).find(|edge| edge.entry.is_some() && edge.into == 0).unwrap();
    edge.contribution.as_mut().unwrap().elements.as_mut().unwrap()[0] = 9.0;
    assert_eq!(trace.verify().unwrap_err().what, "the entry written out");
}
