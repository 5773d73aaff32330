//! Handwritten digits: a network of 64-64-10 neurons learns to read them.
//!
//! `cargo run --release --example digits`, or with other random numbers, `cargo run --release --example digits -- --seed 7`

use std::{
    io::{self, Write},
    process::ExitCode,
};

use autograd::{Graph, Tensor};
use nn::{
    Activation, Classification, Fit, Init, Mlp, Module, Parameters, Sgd, check,
    data::{Scaler, Table},
    fit,
    loss::cross_entropy,
    metrics::{self, ConfusionMatrix},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Pixels of a digit, along one side.
const SIDE: usize = 8;
const SIZES: [usize; 3] = [SIDE * SIDE, 64, 10];
const ACTIVATIONS: [Activation; 2] = [Activation::Relu, Activation::Identity];

const USAGE: &str =
    "usage: digits [--seed N]\n\nTrains a network to read handwritten digits. The seed, by default 0, decides all that is random.";

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        let _ = writeln!(io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    let mut out = io::stdout().lock();
    let run = seed(std::env::args().skip(1)).map_err(Into::into).and_then(|seed| run(seed, &mut out));
    match run {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads this has seen enough, as `head` has.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The number after `--seed` or `--seed=`, by default 0.
fn seed(mut arguments: impl Iterator<Item = String>) -> Result<u64, String> {
    let usage = |problem: String| format!("{problem}\n{USAGE}");
    let Some(first) = arguments.next() else { return Ok(0) };
    let seed = match (first.as_str(), first.strip_prefix("--seed=")) {
        (_, Some(number)) => number.to_owned(),
        ("--seed", _) => arguments.next().ok_or_else(|| usage("--seed needs a number".into()))?,
        _ => return Err(usage(format!("unknown argument {first:?}"))),
    };
    match arguments.next() {
        None => seed.parse().map_err(|_| usage(format!("{seed:?} is not a whole number (0, 1, 2, …)"))),
        Some(other) => Err(usage(format!("unknown argument {other:?}"))),
    }
}

fn run(seed: u64, out: &mut impl Write) -> Outcome {
    // All that is random comes from this generator.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);

    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv"))?;
    let digits: Classification<f64> = table.classification(&table.columns_except(&["label"])?, "label")?;
    let digits = digits.scaled(&Scaler::range(0.0, 16.0)?)?;
    let (train, test) = digits.split(0.2, &mut rng)?;
    writeln!(out, "{} digits of {SIDE}×{SIDE} pixels: {} to learn from, {} held back for the test", digits.len(), train.len(), test.len())?;

    let mut model = Mlp::new(&SIZES, &ACTIVATIONS, Init::he_normal(), &mut rng)?;
    writeln!(out, "network {SIZES:?} with {} parameters\n", model.parameter_count())?;
    // First the check: a network with wrong gradients learns too, only worse, and nothing later would show why.
    check_gradients(&model, &train, &mut rng, out)?;

    let plan = Fit { epochs: 30, batch_size: 32, ..Fit::default() };
    let mut optimizer = Sgd::new(0.1).momentum(0.9).weight_decay(1e-4);
    let history = fit(&mut model, &train, cross_entropy, &mut optimizer, &plan, &mut rng)?;
    writeln!(out, "a few of the {} epochs:", history.epochs.len())?;
    for (number, epoch) in history.epochs.iter().enumerate().filter(|(number, _)| [0, 1, 3, 7, 15, 29].contains(number)) {
        writeln!(out, "epoch {:2}   loss {:.4}   training accuracy {:.4}", number + 1, epoch.loss, epoch.accuracy.unwrap_or_default())?;
    }

    let graph = Graph::new();
    let output = model.forward(graph.constant(test.features()));
    let (probabilities, predicted) = (output.softmax(-1).value()?, metrics::argmax(&output.value()?)?);
    writeln!(out, "\nThe test set, digit by digit:\n\n{}", ConfusionMatrix::new(&predicted, test.targets())?)?;
    show_mistakes(&test, predicted.as_slice(), &probabilities, out)?;
    writeln!(out, "\ntest accuracy {:.4}", metrics::accuracy(&predicted, test.targets())?)?;
    Ok(())
}

/// Before anything is trained: compares the gradients of the network with finite differences, on one batch.
fn check_gradients(model: &Mlp<f64>, train: &Classification<f64>, rng: &mut ChaCha8Rng, out: &mut impl Write) -> Outcome {
    let Some(batch) = train.batches(8, rng)?.next().transpose()? else { return Ok(()) };
    let report = check::gradients(model, |g| cross_entropy(model.forward(g.constant(batch.features())), batch.targets()))?;
    writeln!(out, "{report}\n")?;
    if report.passed() { Ok(()) } else { Err("the gradients are wrong".into()) }
}

/// Draws the first digits that were taken for others.
fn show_mistakes(test: &Classification<f64>, predicted: &[usize], probabilities: &Tensor<f64>, out: &mut impl Write) -> io::Result<()> {
    let labels = test.targets().as_slice();
    let wrong: Vec<usize> = (0..labels.len()).filter(|&row| predicted[row] != labels[row]).collect();
    let shown = &wrong[..wrong.len().min(3)];
    writeln!(out, "\n{} of {} were misread{}\n", wrong.len(), labels.len(), if shown.is_empty() { "." } else { ", such as these:" })?;

    let titles = shown.iter().map(|&row| {
        let sure = 100.0 * probabilities[[row, predicted[row]]];
        column(&format!("{} read as {} ({sure:.0}%)", labels[row], predicted[row]))
    });
    writeln!(out, "{}", titles.collect::<String>().trim_end())?;
    let pixels = test.features().as_slice();
    for line in 0..SIDE {
        let lines = shown.iter().map(|&row| {
            let start = row * SIDE * SIDE + line * SIDE;
            // Two characters a pixel, since characters are about twice as high as wide.
            pixels[start..start + SIDE].iter().flat_map(|&ink| [shade(ink); 2]).collect::<String>()
        });
        writeln!(out, "{}", lines.map(|line| column(&line)).collect::<String>().trim_end())?;
    }
    Ok(())
}

fn column(text: &str) -> String {
    format!("  {text:22}")
}

/// A character as dark as the ink, which is between 0 and 1.
fn shade(ink: f64) -> char {
    const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
    let darkness = SHADES.iter().zip(1u8..).find(|(_, level)| ink * 10.0 < f64::from(*level));
    darkness.map_or('@', |(shade, _)| *shade)
}
