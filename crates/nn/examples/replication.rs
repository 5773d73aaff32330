//! Two published findings on initial weights, measured again: `cargo run --release --example replication`. It prints the numbers beside
//! those of the papers, and writes the pictures of `docs/replication.md` into `docs/replication`, or into the folder given on the command
//! line.
//!
//! X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, AISTATS 2010.
//! K. He, X. Zhang, S. Ren, J. Sun, *Delving deep into rectifiers*, ICCV 2015.

use std::{env, error::Error, fs, path::PathBuf, time::Instant};

use autograd::{
    Graph, Tensor,
    plot::{Axis, Chart, Figure, Series, histogram},
};
use nn::{
    Activation, Classification, Fit, Init, Linear, Mlp, Perceptron, Sgd, data::Scaler, data::Table, fit, lab, lab::Profile,
    loss::cross_entropy, module::Module,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Outcome<R> = Result<R, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/replication");
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(folder), PathBuf::from);
    fs::create_dir_all(&to)?;
    let start = Instant::now();
    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv"))?;
    let digits: Classification<f32> = table.classification(&table.columns_except(&["label"])?, "label")?;
    let digits = digits.scaled(&Scaler::standard(digits.features())?)?;
    glorot(&digits, &to)?;
    he(&digits, &to)?;
    println!("\n{:.0} s in all", start.elapsed().as_secs_f64());
    Ok(())
}

/// A network with weights of one rule for each layer, which is given its numbers of inputs and outputs.
fn network(sizes: &[usize], activation: Activation, rule: fn(f64, f64) -> Init, seed: u64) -> Result<Mlp<f32>, nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let last = sizes.len() - 2;
    let layer = |(k, size): (usize, &[usize])| {
        let linear = Linear::new(size[0], size[1], rule(size[0] as f64, size[1] as f64), &mut rng)?;
        Ok(Perceptron { linear, activation: if k == last { Activation::Identity } else { activation } })
    };
    Ok(Mlp { layers: sizes.windows(2).enumerate().map(layer).collect::<Result<_, nn::Error>>()? })
}

// Glorot and Bengio: activations and gradients through five layers of tanh.

const HIDDEN: usize = 1000;
const DEPTH: usize = 5;

/// What they call standard: U[−1/√n, 1/√n].
fn standard(inputs: f64, _: f64) -> Init {
    Init::uniform_in(-1.0 / inputs.sqrt(), 1.0 / inputs.sqrt())
}

/// What they call normalised: U[−√6/√(n + m), √6/√(n + m)].
fn normalised(inputs: f64, outputs: f64) -> Init {
    let bound = (6.0 / (inputs + outputs)).sqrt();
    Init::uniform_in(-bound, bound)
}

fn glorot(digits: &Classification<f32>, to: &std::path::Path) -> Outcome<()> {
    println!("Glorot and Bengio 2010: {DEPTH} hidden layers of {HIDDEN} with tanh, before training\n");
    let (_, digits) = digits.split(300.0 / digits.len() as f64, &mut ChaCha8Rng::seed_from_u64(0))?;
    let sizes: Vec<usize> = [64].into_iter().chain([HIDDEN; DEPTH]).chain([10]).collect();
    let mut figure = Figure::new("After Glorot and Bengio 2010, figures 6 and 7").panel_size(420.0, 290.0);
    let mut found = Vec::new();
    for (name, rule) in [("standard", standard as fn(f64, f64) -> Init), ("normalised", normalised)] {
        let model = network(&sizes, Activation::Tanh, rule, 0)?;
        let profile = lab::layers(&model, digits.features(), |y| cross_entropy(y, digits.targets()))?;
        println!("{name}:\n\n{profile}");
        let [activations, gradients] = histograms(&model, &digits)?;
        figure =
            figure.with(activations.title(format!("{name}: activations")).chart()).with(gradients.title(format!("{name}: dL/dz")).chart());
        let singular = mean(&[jacobian(&model, &digits, 1)?, jacobian(&model, &digits, 3)?]);
        found.push((name, profile, singular));
    }
    fs::write(to.join("glorot.svg"), figure.to_svg())?;

    println!("{:48} {:>10} {:>10} {:>10}", "", "paper", "here", "deviation");
    for (name, profile, singular) in &found {
        let hidden = &profile.layers[..DEPTH];
        let square = |v: f64| v * v;
        // Between hidden layers of equal width.
        let forward = mean(&hidden.windows(2).map(|pair| square(pair[1].rms / pair[0].rms)).collect::<Vec<_>>());
        let backward = mean(&hidden[..DEPTH - 1].iter().filter_map(|layer| layer.factor.map(square)).collect::<Vec<_>>());
        let (theory, published) = if *name == "standard" { (1.0 / 3.0, 0.5) } else { (1.0, 0.8) };
        row(&format!("{name}: variance of a, layer to layer"), theory, forward);
        row(&format!("{name}: variance of dL/dz, layer to layer"), theory, backward);
        row(&format!("{name}: mean singular value of ∂z′/∂z"), published, *singular);
        let weights: Vec<f64> = hidden[1..].iter().map(|layer| layer.weight_gradient).collect();
        let (low, high) = weights.iter().fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(*v), h.max(*v)));
        row(&format!("{name}: largest over smallest rms of dL/dW"), 1.0, high / low);
    }
    let by_layer = |profile: &Profile, of: fn(&lab::LayerProfile) -> f64| -> Vec<(f64, f64)> {
        profile.layers[..DEPTH].iter().map(|layer| (layer.number as f64, of(layer))).collect()
    };
    let chart = |title: &str, of: fn(&lab::LayerProfile) -> f64| {
        let lines = found.iter().map(|(name, profile, _)| Series::line(*name, by_layer(profile, of)));
        Chart::new(title).x(Axis::new("hidden layer").whole()).y(Axis::new("variance").log10()).with_all(lines)
    };
    let figure = Figure::new("Variances by layer").columns(3).panel_size(300.0, 270.0);
    let figure = figure.with(chart("Activations", |l| l.std * l.std)).with(chart("Gradients dL/dz", |l| l.z_gradient * l.z_gradient));
    fs::write(to.join("glorot_variances.svg"), figure.with(chart("Gradients dL/dW", |l| l.weight_gradient * l.weight_gradient)).to_svg())?;
    Ok(())
}

fn row(what: &str, paper: f64, here: f64) {
    println!("{what:48} {paper:>10.3} {here:>10.3} {:>9.0}%", 100.0 * (here / paper - 1.0));
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// Densities by layer, of numbers that are about as large as `scale` says.
struct Densities {
    title: String,
    label: &'static str,
    lines: Vec<Series>,
}

impl Densities {
    fn title(self, title: String) -> Self {
        Densities { title, ..self }
    }

    fn chart(self) -> Chart {
        Chart::new(self.title).x(self.label).y("density").with_all(self.lines)
    }
}

/// The distributions of activations and of gradients by z in each hidden layer.
fn histograms(model: &Mlp<f32>, digits: &Classification<f32>) -> Outcome<[Densities; 2]> {
    let graph = Graph::new();
    let (mut a, mut values) = (graph.constant(digits.features()), Vec::new());
    for layer in &model.layers {
        let z = layer.linear.forward(a).retain_grad();
        a = layer.activation.apply(z);
        values.push((z, a));
    }
    let gradients = cross_entropy(a, digits.targets()).backward()?;
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    // Half of the width of the picture: three deviations of the widest distribution.
    let spread = |t: &Tensor<f32>| 3.0 * (t.as_slice().iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / t.len() as f64).sqrt();
    let mut widest = 0.0f64;
    for (z, _) in &values[..DEPTH] {
        widest = widest.max(spread(gradients.wrt(*z)?));
    }
    for (k, (z, a)) in values[..DEPTH].iter().enumerate() {
        let numbers = |t: &Tensor<f32>| t.to_vec().into_iter().map(f64::from);
        let name = format!("layer {}", k + 1);
        forward.push(Series::line(&name, histogram(numbers(&a.value()?), 60, -1.0, 1.0)));
        backward.push(Series::line(&name, histogram(numbers(gradients.wrt(*z)?), 60, -widest, widest)));
    }
    let of = |label, lines| Densities { title: String::new(), label, lines };
    Ok([of("activation", forward), of("dL/dz", backward)])
}

/// The mean singular value of ∂z′/∂z from hidden layer `k` to the next (from 0), at the first example: the nuclear norm over the width.
///
/// The nuclear norm is trace(Uᵀ J), where U is the orthogonal factor of J = U H, which is reached by the iteration of Newton and Schulz,
/// `X ← ½ X (3 − XᵀX)`, from J divided by its largest singular value.
fn jacobian(model: &Mlp<f32>, digits: &Classification<f32>, k: usize) -> Outcome<f64> {
    let graph = Graph::new();
    let mut z = graph.constant(digits.features().slice(0, 0..1)?);
    for layer in &model.layers[..k] {
        z = layer.forward(z);
    }
    let z = graph.variable(model.layers[k].linear.forward(z).value()?);
    let slopes = model.layers[k].activation.apply(z).sum().backward()?.wrt(z)?.clone();
    let j = model.layers[k + 1].linear.weight.value().mul(&slopes)?;
    let mut v = Tensor::<f32>::ones([HIDDEN, 1])?;
    let mut largest = 0.0f32;
    for _ in 0..50 {
        let next = j.matmul_as(&j.matmul(&v)?, true, false)?;
        let norm = next.square()?.sum()?.item()?.sqrt();
        (v, largest) = (next.mul_lit(1.0 / f64::from(norm))?, norm.sqrt());
    }
    let mut x = j.mul_lit(1.0 / (1.02 * f64::from(largest)))?;
    for _ in 0..24 {
        let square = x.matmul_as(&x, true, false)?;
        x = x.mul_lit(1.5)?.sub(&x.matmul(&square)?.mul_lit(0.5)?)?;
    }
    Ok(f64::from(x.mul(&j)?.sum()?.item()?) / HIDDEN as f64)
}

// He, Zhang, Ren and Sun: deep networks of relu.

const WIDTH: usize = 128;
const LEARNING_RATE: f64 = 0.005;
const EPOCHS: usize = 50;

/// What they call Xavier: a variance of 1/n.
fn xavier(inputs: f64, _: f64) -> Init {
    Init::Normal { mean: 0.0, std: (1.0 / inputs).sqrt() }
}

/// Theirs: a variance of 2/n.
fn theirs(inputs: f64, _: f64) -> Init {
    Init::Normal { mean: 0.0, std: (2.0 / inputs).sqrt() }
}

fn he(digits: &Classification<f32>, to: &std::path::Path) -> Outcome<()> {
    println!("\nHe et al. 2015: networks of {WIDTH} relus a layer on the digits, {EPOCHS} epochs\n");
    let (train, test) = digits.split(0.2, &mut ChaCha8Rng::seed_from_u64(0))?;
    let mut figure = Figure::new("After He et al. 2015, figures 2 and 3").panel_size(420.0, 290.0);
    println!("{:8} {:>8} {:>22} {:>10} {:>10} {:>10}", "layers", "weights", "dL/dz, first ÷ last", "loss, 1st", "loss, last", "test acc.");
    for depth in [22, 30] {
        let sizes: Vec<usize> = [64].into_iter().chain(vec![WIDTH; depth - 1]).chain([10]).collect();
        let mut losses = Chart::new(format!("{depth} layers: training loss")).x("epoch").y(Axis::new("cross-entropy").range(0.0, 2.6));
        let gradients = Chart::new(format!("{depth} layers: gradients before training"));
        let mut gradients = gradients.x(Axis::new("layer").whole()).y(Axis::new("rms of dL/dz").log10());
        for (name, rule) in [("Xavier", xavier as fn(f64, f64) -> Init), ("He", theirs)] {
            let mut model = network(&sizes, Activation::Relu, rule, 0)?;
            let profile = lab::layers(&model, train.features(), |y| cross_entropy(y, train.targets()))?;
            let mut sgd = Sgd::new(LEARNING_RATE).momentum(0.9).weight_decay(5e-4);
            let plan = Fit { epochs: EPOCHS, batch_size: 128, progress: false };
            let history = fit(&mut model, &train, cross_entropy, &mut sgd, &plan, &mut ChaCha8Rng::seed_from_u64(1))?;
            let curve: Vec<(f64, f64)> = history.epochs.iter().enumerate().map(|(k, epoch)| (k as f64 + 1.0, epoch.loss)).collect();
            let output = model.forward(Graph::new().constant(test.features())).value()?;
            let accuracy = nn::metrics::accuracy(&nn::metrics::argmax(&output)?, test.targets())?;
            let ratio = profile.shrinkage().map_or(1.0, |(ratio, _)| ratio);
            let (first, last) = (curve.first().map_or(0.0, |p| p.1), curve.last().map_or(0.0, |p| p.1));
            println!("{depth:<8} {name:>8} {ratio:>22.2e} {first:>10.4} {last:>10.4} {accuracy:>10.4}");
            losses = losses.with(Series::line(name, curve));
            gradients = gradients.with(Series::line(name, profile.layers.iter().map(|layer| (layer.number as f64, layer.z_gradient))));
        }
        figure = figure.with(losses).with(gradients);
    }
    // By the paper, each layer multiplies the variance by ½ with Xavier, and by 1 with theirs.
    println!("expected of Xavier: {:.2e} for 22 layers, {:.2e} for 30", 0.5f64.powf(10.0), 0.5f64.powf(14.0));
    fs::write(to.join("he.svg"), figure.to_svg())?;
    Ok(())
}
