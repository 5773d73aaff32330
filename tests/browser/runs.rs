//! Runs to be shown.

use autograd::{Graph, Indices, Tensor, Var, trace::Trace};
use nn::{Activation, Init, Mlp, Module, Parameters, loss::cross_entropy};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// The run in the README.
pub(crate) fn readme() -> Trace {
    let g = Graph::<f64>::new();
    let (w, x) = (g.variable(3.0).named("w"), g.constant(2.0).named("x"));
    ((w * x - 1.0).square() + 0.1 * w.square()).named("L").trace().unwrap()
}

/// f = (x + y)z, the first circuit of the course CS 231n.
pub(crate) fn cs231n(x: f64, y: f64, z: f64) -> Trace {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(x).named("x"), g.variable(y).named("y"), g.variable(z).named("z"));
    ((x + y).named("q") * z).named("f").trace().unwrap()
}

/// A neuron with a squared error; its input and its target are constants, and b is used twice.
pub(crate) fn neuron(w: f64, b: f64) -> Trace {
    let g = Graph::<f64>::new();
    let (w, b, x) = (g.variable(w).named("w"), g.variable(b).named("b"), g.constant(0.5).named("x"));
    let a = (w * x + b).named("z").sigmoid().named("a");
    let error = (0.5 * (a - g.constant(1.0).named("t")).square()).named("E");
    (error + 0.1 * b.square()).named("L").trace().unwrap()
}

/// A network of two layers, with a batch of five examples and the names of its parameters.
pub(crate) fn network() -> Trace {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let model = Mlp::<f64>::new(&[4, 8, 3], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng).unwrap();
    let g = Graph::new();
    model.name_on(&g);
    let x = g.constant(Tensor::uniform(-1.0, 1.0, [5, 4], &mut rng).unwrap()).named("X");
    cross_entropy(model.forward(x), &Indices::from(vec![0, 1, 2, 1, 0])).named("loss").trace().unwrap()
}

/// A graph of exactly so many nodes, drawn from a seed, all of which the root depends on.
pub(crate) fn graph_of(n: usize, seed: u64) -> Trace {
    let g = Graph::<f64>::new();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let leaves = n / 10 + 2;
    let mut all: Vec<Var<'_, f64>> = (0..leaves).map(|k| g.variable(1.0 - 2.0 * k as f64 / leaves as f64)).collect();
    // What nothing was computed from yet; in the end only the root is.
    let mut open: Vec<usize> = (0..leaves).collect();
    while all.len() < n {
        let mut draw = |below: usize| rng.next_u32() as usize % below;
        let k = draw(open.len());
        let a = open.swap_remove(k);
        let has_to_join = open.len() + 1 >= n - all.len();
        let y = match draw(4) {
            0 if !has_to_join => all[a].tanh(),
            1 if !has_to_join => all[a].sin(),
            2 if !has_to_join && a > 0 => all[a] * all[a - 1 - draw(a.min(20))],
            _ if open.is_empty() => all[a].sigmoid(),
            kind => {
                let k = draw(open.len());
                let b = open.swap_remove(k);
                if kind == 3 { all[a] - all[b] } else { all[a] + all[b] }
            }
        };
        open.push(all.len());
        all.push(y);
    }
    let trace = all[n - 1].trace().unwrap();
    assert_eq!(trace.nodes.len(), n);
    trace
}
