//! Why weights do not begin at 0, and where they begin: `cargo run --release --example initialisation` trains the same networks from
//! several initial weights, prints what happens, and writes the pictures into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use nn::{
    Activation, Init,
    data::{Scaler, Table},
    lab::{Initialisation, Start, rings},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;

    println!("1. Two rings, one hidden layer of 16 with tanh: symmetry\n");
    let data = rings(200, &mut ChaCha8Rng::seed_from_u64(0))?;
    let starts = [
        Start::new("zero", Init::Zeros),
        Start::new("constant 0.1", Init::Constant(0.1)),
        Start::new("small ±0.01", Init::uniform_in(-0.01, 0.01)),
        Start::new("Xavier", Init::XavierUniform),
    ];
    let small = Initialisation::new().hidden([16]).activation(Activation::Tanh).starts(starts).learning_rate(0.5).steps(400);
    let report = small.run(&data)?;
    println!("{report}");
    fs::write(to.join("symmetry.svg"), report.to_svg())?;

    println!("\n2. Handwritten digits, six hidden layers of 64 with relu: the size of the weights\n");
    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv"))?;
    let digits = table.classification(&table.columns_except(&["label"])?, "label")?;
    let digits = digits.scaled(&Scaler::standard(digits.features())?)?;
    let (_, digits) = digits.split(0.3, &mut ChaCha8Rng::seed_from_u64(0))?;
    let report = Initialisation::new().hidden([64; 6]).run(&digits)?;
    println!("{report}");
    fs::write(to.join("initialisation.svg"), report.to_svg())?;
    Ok(())
}
