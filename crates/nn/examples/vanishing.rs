//! Gradients that vanish: `cargo run --release --example vanishing` measures them layer by layer for sigmoid, tanh and relu, prints them,
//! and writes the picture into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use autograd::Tensor;
use nn::{Activation, Dataset, Fit, Init, Mlp, Sgd, fit, lab, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;
    let report = lab::Vanishing::new().run()?;
    println!("{report}");
    fs::write(to.join("vanishing.svg"), report.to_svg())?;

    println!("A model of your own, before and after training:\n");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let f = Activation::Tanh;
    let mut model = Mlp::<f64>::new(&[4, 24, 24, 24, 1], &[f, f, f, Activation::Identity], Init::XavierUniform, &mut rng)?;
    let x = Tensor::randn([256, 4], &mut rng)?;
    let t = x.sum_axes([-1], true)?.sin()?;
    let profile = |model: &Mlp<f64>| lab::layers(model, &x, |y| mse(y, y.graph().constant(&t)));
    println!("{}", profile(&model)?);
    let plan = Fit { epochs: 60, progress: false, ..Fit::default() };
    let mut sgd = Sgd::new(0.02).momentum(0.9);
    fit(&mut model, &Dataset::new(x.clone(), t.clone())?, |y, t| mse(y, y.graph().constant(t)), &mut sgd, &plan, &mut rng)?;
    println!("{}", profile(&model)?);
    Ok(())
}
