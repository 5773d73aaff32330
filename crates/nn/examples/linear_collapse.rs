//! Why neurons need an activation: `cargo run --release --example linear_collapse` multiplies the matrices of a network and compares the
//! product with the network, without and with activations; the picture goes into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use autograd::{Tensor, plot::Figure};
use nn::{Activation, Init, Mlp, Parameters, lab, module::Name};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;
    let mut figure = Figure::new("Five layers, 4-32-32-32-32-3, beside the product of their matrices").columns(3).panel_size(290.0, 280.0);
    for activation in [Activation::Identity, Activation::Tanh, Activation::Relu] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let f = activation;
        let mut model = Mlp::new(&[4, 32, 32, 32, 32, 3], &[f, f, f, f, Activation::Identity], Init::XavierUniform, &mut rng)?;
        // Biases begin at 0; here they are not, so that they have to be folded too.
        let mut outcome = Ok(());
        model.visit_mut(&Name::ROOT, &mut |_, parameter| {
            if parameter.value().rank() == 1 {
                let drawn = Tensor::uniform(-0.5, 0.5, parameter.value().shape(), &mut rng).map_err(nn::Error::from);
                outcome = std::mem::replace(&mut outcome, Ok(())).and(drawn.and_then(|drawn| parameter.set(drawn)));
            }
        });
        outcome?;
        let x = Tensor::randn([60, 4], &mut rng)?;
        let folded = lab::collapse(&model, &x)?;
        println!("{activation}:\n\n{folded}");
        figure = figure.with(folded.chart(&activation.to_string()));
        if folded.is_linear() != (activation == Activation::Identity) {
            return Err("a network is one linear map exactly if its activations are the identity".into());
        }
    }
    fs::write(to.join("linear_collapse.svg"), figure.to_svg())?;
    Ok(())
}
