//! Linear regression: prices of flats follow a known law with noise, and the law is recovered from them.
//!
//! `cargo run --release --example linear_regression`

use autograd::Tensor;
use nn::{Fit, Init, Linear, Regression, Sgd, data::Scaler, fit, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A feature of a flat: its name, the values it may have, and what one unit of it adds to the price, in thousands.
const FEATURES: [(&str, f64, f64, f64); 4] =
    [("area, m²", 25.0, 140.0, 4.2), ("rooms", 1.0, 6.0, 11.0), ("floor", 0.0, 12.0, 1.5), ("age, years", 0.0, 90.0, -0.8)];
/// What a flat costs before anything is added.
const BASE: f64 = 35.0;
/// The standard deviation of what the law does not explain.
const NOISE: f64 = 10.0;
const FLATS: u16 = 500;

/// Flats and their prices, by the law.
fn flats(rng: &mut ChaCha8Rng) -> Result<Regression<f64>, nn::Error> {
    let count = usize::from(FLATS);
    let columns = FEATURES.map(|(_, low, high, _)| Tensor::uniform(low, high, [count, 1], rng));
    let columns = columns.into_iter().collect::<Result<Vec<_>, _>>()?;
    let features = Tensor::concat(&columns.iter().collect::<Vec<_>>(), 1)?;
    let law = Tensor::new(FEATURES.map(|(_, _, _, slope)| slope), [FEATURES.len(), 1])?;
    let noise = Tensor::randn([count, 1], rng)?.mul_lit(NOISE)?;
    let prices = features.matmul(&law)?.add_lit(BASE)?.add(&noise)?;
    Regression::new(features, prices)
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let flats = flats(&mut rng)?;
    // Areas are a hundred times the numbers of rooms; scaled alike, one learning rate suits all.
    let scaler = Scaler::standard(flats.features())?;

    let mut model = Linear::<f64>::new(FEATURES.len(), 1, Init::Zeros, &mut rng)?;
    let plan = Fit { epochs: 60, batch_size: 50, ..Fit::default() };
    let history = fit(&mut model, &flats.scaled(&scaler)?, |y, t| mse(y, y.graph().constant(t)), &mut Sgd::new(0.05), &plan, &mut rng)?;
    println!("{FLATS} flats, prices in thousands");
    for (number, epoch) in history.epochs.iter().enumerate().filter(|(number, _)| [0, 1, 3, 7, 15, 31, 59].contains(number)) {
        println!("  epoch {:2}   mean squared error {:10.1}", number + 1, epoch.loss);
    }

    // w·(x − offset)·factor + b, ordered by x.
    let slopes = model.weight.value().mul(scaler.factor())?;
    let base = model.bias.as_ref().map_or(0.0, |b| b.value()[[0]]) - slopes.mul(scaler.offset())?.sum()?.item()?;

    println!("\n{:12} {:>10} {:>10}", "", "the law", "learned");
    println!("{:12} {BASE:10.2} {base:10.2}", "base price");
    for (k, (name, _, _, slope)) in FEATURES.iter().enumerate() {
        println!("{name:12} {slope:10.2} {:10.2}", slopes[[0, k]]);
    }

    // The errors expected of such estimates are about NOISE/√FLATS per standard deviation of a feature.
    for (k, (name, low, high, slope)) in FEATURES.iter().enumerate() {
        let deviation = (high - low) / 12.0_f64.sqrt();
        let error = (slopes[[0, k]] - slope).abs() * deviation;
        assert!(error < 4.0 * NOISE / f64::from(FLATS).sqrt(), "{name}: the law was not recovered");
    }
    assert!((base - BASE).abs() < 8.0, "the base price was not recovered");
    println!("\nThe law is recovered, up to what noise of ±{NOISE} hides.");
    Ok(())
}
