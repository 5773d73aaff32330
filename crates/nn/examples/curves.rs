//! How cost grows: `cargo run --release --example curves` measures it and writes the pictures in `docs/curves`.

use std::{path::Path, time::Instant};

use autograd::{
    Graph, Tensor, in_pool,
    plot::{Axis, Chart, Series},
};
use nn::{Activation, Init, Mlp, Module, Parameters, Sgd, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Outcome<R> = Result<R, Box<dyn std::error::Error>>;

/// The median time of a call in seconds, of as many as fit into a fifth of a second, at least five.
fn time(mut f: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    f()?;
    let (start, mut samples) = (Instant::now(), Vec::new());
    while samples.len() < 5 || start.elapsed().as_secs_f64() < 0.2 {
        let sample = Instant::now();
        f()?;
        samples.push(sample.elapsed().as_secs_f64());
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}

/// A graph of `n` operations on single numbers: built, differentiated and cleared.
fn nodes(n: usize) -> Outcome<f64> {
    let mut g = Graph::<f64>::new();
    time(|| {
        g.clear();
        let (w, b) = (g.variable(0.999), g.variable(0.001));
        let mut x = g.variable(0.5);
        for _ in 0..n / 2 {
            x = x * w + b;
        }
        x.backward()?;
        Ok(())
    })
}

/// tanh(x) of `n` elements and its gradient.
fn elements(n: usize) -> Outcome<f64> {
    let (x, mut g) = (Tensor::<f32>::full(0.5, [n])?, Graph::new());
    time(|| {
        g.clear();
        g.variable(&x).tanh().sum().backward()?;
        Ok(())
    })
}

/// A training step of an MLP of `n` layers of 64, batch 32.
fn layers(n: usize) -> Outcome<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut model = Mlp::<f32>::new(&vec![64; n + 1], &vec![Activation::Tanh; n], Init::XavierUniform, &mut rng)?;
    let (x, mut g, mut sgd) = (Tensor::randn([32, 64], &mut rng)?, Graph::new(), Sgd::new(0.01));
    let parameters = model.parameter_count();
    assert!(parameters > 0);
    time(|| {
        g.clear();
        let loss = mse(model.forward(g.constant(&x)), g.constant(&x));
        let grads = loss.backward()?;
        sgd.step(&mut model, &grads)?;
        Ok(())
    })
}

fn curve(name: &str, sizes: &[usize], f: impl Fn(usize) -> Outcome<f64>) -> Outcome<Series> {
    let points = sizes.iter().map(|&n| Ok((n as f64, f(n)?))).collect::<Outcome<Vec<_>>>()?;
    for (n, seconds) in &points {
        println!("{name}: {n} in {:.3} µs, {:.2} ns each", seconds * 1e6, seconds / n * 1e9);
    }
    Ok(Series::line(name, points))
}

/// The picture of curves, with logarithmic axes.
fn svg<const N: usize>(title: &str, sizes: &str, curves: [Series; N]) -> String {
    let (x, y) = (Axis::new(sizes).log10().unit(""), Axis::new("time").log10().unit("s"));
    Chart::new(title).x(x).y(y).with_all(curves).to_svg()
}

fn main() -> Outcome<()> {
    let to = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/curves"));
    std::fs::create_dir_all(to)?;
    let powers = |base: usize, from: u32, to: u32| (from..=to).map(|k| base.pow(k)).collect::<Vec<_>>();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;

    let of_nodes = curve("build, backward, clear", &powers(10, 2, 6), nodes)?;
    std::fs::write(to.join("nodes.svg"), svg("Operations on single numbers", "operations", [of_nodes]))?;

    let sizes = powers(4, 1, 12);
    let one = alone.install(|| curve("one thread", &sizes, elements).map_err(|e| e.to_string()))?;
    let many = in_pool(|| curve("all threads", &sizes, elements).map_err(|e| e.to_string()))?;
    std::fs::write(to.join("elements.svg"), svg("tanh of an array and its gradient", "elements", [one, many]))?;

    let depths = powers(2, 0, 7);
    let of_layers = in_pool(|| curve("training step", &depths, layers).map_err(|e| e.to_string()))?;
    std::fs::write(to.join("layers.svg"), svg("Layers of 64 neurons, batch 32", "layers", [of_layers]))?;
    Ok(())
}
