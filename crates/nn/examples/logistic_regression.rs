//! Logistic regression: one neuron learns the line between two clouds of points.
//!
//! `cargo run --release --example logistic_regression`

use autograd::{Graph, Tensor, tensor};
use nn::{
    Dataset, Fit, Init, Linear, Module, Regression, Sgd, fit_with_metric, loss::binary_cross_entropy_with_logits, metrics::binary_accuracy,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const POINTS: usize = 200;

/// Two clouds of points; the target says to which one a point belongs, 0 or 1.
fn clouds(rng: &mut ChaCha8Rng) -> Result<Regression<f64>, nn::Error> {
    let centres = [tensor![-1.2, -0.8], tensor![1.2, 0.8]];
    let points = centres.iter().map(|centre| Tensor::randn([POINTS, 2], rng)?.mul_lit(0.8)?.add(centre)).collect::<Result<Vec<_>, _>>()?;
    let features = Tensor::concat(&points.iter().collect::<Vec<_>>(), 0)?;
    let targets = Tensor::concat(&[&Tensor::zeros([POINTS, 1])?, &Tensor::ones([POINTS, 1])?], 0)?;
    Dataset::new(features, targets)
}

/// Draws the points by their class, and a colon wherever else the neuron says 1.
fn draw(points: &Regression<f64>, says_1: impl Fn(f64, f64) -> bool) {
    const EDGE: f64 = 3.5;
    let (columns, rows) = (56_u8, 20_u8);
    let (width, height) = (2.0 * EDGE / f64::from(columns), 2.0 * EDGE / f64::from(rows));
    let labels = points.targets().as_slice();
    for row in 0..rows {
        let y = EDGE - (f64::from(row) + 0.5) * height;
        let cells = (0..columns).map(|column| {
            let x = -EDGE + (f64::from(column) + 0.5) * width;
            let here = |p: &[f64]| (p[0] - x).abs() <= width / 2.0 && (p[1] - y).abs() <= height / 2.0;
            match points.features().as_slice().chunks_exact(2).position(here) {
                Some(point) if labels[point] > 0.5 => '1',
                Some(_) => '0',
                None if says_1(x, y) => ':',
                None => ' ',
            }
        });
        let label = if row == 0 || row == rows - 1 { format!("{y:4.1}") } else { "    ".into() };
        println!("  {label} |{}", cells.collect::<String>().trim_end());
    }
    println!("   y   +{}", "-".repeat(usize::from(columns)));
    let (first, last) = (width / 2.0 - EDGE, EDGE - width / 2.0);
    println!("        {first:<4.1}{:^48}{last:>4.1}", "x");
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (train, test) = clouds(&mut rng)?.split(0.25, &mut rng)?;

    let mut model = Linear::<f64>::new(2, 1, Init::Zeros, &mut rng)?;
    let plan = Fit { epochs: 30, batch_size: 20, ..Fit::default() };
    let mut optimizer = Sgd::new(0.2);
    let history = fit_with_metric(
        &mut model,
        &train,
        |y, t| binary_cross_entropy_with_logits(y, y.graph().constant(t)),
        |y, t| binary_accuracy(y, t, 0.0), // a logit above 0 is a probability above ½
        &mut optimizer,
        &plan,
        &mut rng,
    )?;
    for (number, epoch) in history.epochs.iter().enumerate().filter(|(number, _)| [0, 4, 9, 19, 29].contains(number)) {
        println!("epoch {:2}   loss {:.4}   training accuracy {:.4}", number + 1, epoch.loss, epoch.accuracy.unwrap_or_default());
    }

    let g = Graph::new();
    let logits = model.forward(g.constant(test.features())).value()?;
    let accuracy = binary_accuracy(&logits, test.targets(), 0.0)?;

    let w = model.weight.value();
    let b = model.bias.as_ref().map_or(0.0, |bias| bias.value().as_slice()[0]);
    println!(
        "\nprobability of class 1 = sigmoid({:.2}·x + {:.2}·y {} {:.2})",
        w[[0, 0]],
        w[[0, 1]],
        if b < 0.0 { '−' } else { '+' },
        b.abs()
    );
    println!("points of the test set; colons where it says 1:\n");
    draw(&test, |x, y| w[[0, 0]] * x + w[[0, 1]] * y + b > 0.0);
    println!("\ntest accuracy {accuracy:.4}");
    assert!(accuracy > 0.93, "a line separates these clouds but for a few points");
    Ok(())
}
