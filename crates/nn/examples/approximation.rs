//! How many neurons a function takes: `cargo run --release --example approximation` fits one with 1, 2, 4, … 64 hidden neurons, prints the
//! errors, and writes the pictures into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use nn::{Activation, lab::Approximation};

/// Smooth, but not at all a straight line.
fn target(x: f64) -> f64 {
    (3.0 * x).sin() + 0.3 * (9.0 * x).cos() + 0.5 * x
}

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;
    println!("sin 3x + 0.3 cos 9x + x/2 on −1 … 1, by one hidden layer\n");
    for activation in [Activation::Tanh, Activation::Relu] {
        let report = Approximation::new().activation(activation).run(target)?;
        println!("{activation}:\n\n{report}");
        fs::write(to.join(format!("approximation-{activation}.svg")), report.to_svg())?;
        if !report.fits.windows(2).all(|pair| pair[1].trained < pair[0].trained) {
            return Err("more neurons must not fit worse".into());
        }
    }
    Ok(())
}
