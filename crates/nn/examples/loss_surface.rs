//! Steps of descent on the surface of the loss: `cargo run --release --example loss_surface` shows them for a linear neuron and for two
//! weights of a small network, and writes the pictures into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use autograd::{Tensor, tensor};
use nn::{Activation, Init, Linear, Mlp, Module, lab::LossSurface, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;

    println!("1. A linear neuron, y = wx + b, on points of the line 2x + 1: the surface is a quadratic bowl\n");
    let x = Tensor::linspace(-0.5, 1.5, 21)?.reshape([-1, 1])?;
    let t = x.mul_lit(2.0)?.add_lit(1.0)?;
    let line = Linear::from_tensors(tensor![[-1.0]], Some(tensor![-0.5]))?;
    let lab = LossSurface::new(("weight", 0), ("bias", 0)).learning_rates([0.02, 0.3, 0.85]).steps(25).range((-2.0, 5.0), (-2.0, 3.5));
    let report = lab.run(&line, |g| mse(line.forward(g.constant(&x)), g.constant(&t)))?;
    println!("{report}");
    fs::write(to.join("loss_surface.svg"), report.to_svg())?;

    println!("\n2. Two weights of a network with tanh: the surface is curved everywhere\n");
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let model = Mlp::new(&[1, 6, 1], &[Activation::Tanh, Activation::Identity], Init::Normal { mean: 0.0, std: 1.0 }, &mut rng)?;
    let x = Tensor::linspace(-2.0, 2.0, 41)?.reshape([-1, 1])?;
    let t = x.sin()?;
    let lab = LossSurface::new(("layers.0.weight", 0), ("layers.1.weight", 0))
        .learning_rates([0.1, 1.0, 2.5])
        .steps(25)
        .range((-0.5, 2.5), (-1.5, 3.5));
    let report = lab.run(&model, |g| mse(model.forward(g.constant(&x)), g.constant(&t)))?;
    println!("{report}");
    fs::write(to.join("loss_surface_network.svg"), report.to_svg())?;
    Ok(())
}
