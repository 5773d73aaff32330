//! One gradient in four ways: `cargo run --release --example vectorised` computes it by scalar formulas, by vectors, in one batch, and by
//! hand, compares results and times, and writes the picture into `docs/lab`, or into the folder given on the command line.

use std::{env, error::Error, fs, path::PathBuf};

use nn::lab::Vectorised;

fn main() -> Result<(), Box<dyn Error>> {
    let to = env::args_os().nth(1).map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lab")), PathBuf::from);
    fs::create_dir_all(&to)?;
    let report = Vectorised::new().run()?;
    println!("{report}");
    fs::write(to.join("vectorised.svg"), report.to_svg())?;
    let wide = Vectorised::new().network(64, 64).sizes([1, 16, 256]).run()?;
    println!("{wide}");
    if report.batches.iter().chain(&wide.batches).any(|batch| batch.difference > 1e-12) {
        return Err("the gradient is the same in whatever way it is computed".into());
    }
    Ok(())
}
