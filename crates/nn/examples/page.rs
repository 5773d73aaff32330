//! Two runs as pages to be stepped through in a browser: a small network with a batch, and a single neuron whose inputs can be changed.
//!
//! `cargo run --release --example page -- [network.html] [neuron.html]`

use std::path::PathBuf;

use autograd::{Graph, Indices, Tensor, trace::Trace};
use nn::{Activation, Init, Mlp, Module, Parameters, loss::cross_entropy};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Two layers, four examples of three numbers each, two classes.
fn network() -> Result<Trace, nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let model = Mlp::<f64>::new(&[3, 4, 2], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
    let g = Graph::new();
    model.name_on(&g);
    let x = g.constant(Tensor::uniform(-1.0, 1.0, [4, 3], &mut rng)?).named("X");
    let loss = cross_entropy(model.forward(x), &Indices::from(vec![0, 1, 1, 0])).named("loss");
    Ok(loss.trace()?)
}

/// The error of a neuron with two inputs, and a penalty on its weights, so that gradients come together.
fn neuron() -> Result<Trace, autograd::Error> {
    let g = Graph::<f64>::new();
    let [w1, w2, b] = [("w1", 0.6), ("w2", -0.4), ("b", 0.1)].map(|(name, v)| g.variable(v).named(name));
    let [x1, x2, t] = [("x1", 0.5), ("x2", -1.0), ("t", 0.0)].map(|(name, v)| g.constant(v).named(name));
    let a = (w1 * x1 + w2 * x2 + b).named("z").sigmoid().named("a");
    let error = (0.5 * (a - t).square()).named("E");
    let penalty = (0.05 * (w1.square() + w2.square())).named("R");
    (error + penalty).named("L").trace()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args_os().skip(1).map(PathBuf::from);
    let pages = [
        ("network", "A network of two layers, with a batch of four", network()?),
        ("neuron", "A neuron, and a penalty on its weights", neuron()?),
    ];
    for (name, title, trace) in pages {
        let file = files.next().unwrap_or_else(|| PathBuf::from(format!("target/{name}.html")));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, trace.to_html(title)).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}", file.display());
    }
    Ok(())
}
