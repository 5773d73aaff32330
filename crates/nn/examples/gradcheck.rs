//! How to trust a gradient: `cargo run --release --example gradcheck` shows the V, a kink, single precision, and finds a planted bug; the
//! pictures of `docs/trust-a-gradient.md` are written on the way, into `docs/gradcheck`.

use std::{error::Error, fs, path::Path, time::Instant};

use autograd::{
    Algebra, Op, Real, Tensor, Var,
    check::{self, Checker, Coverage},
    op::Sink,
    tensor,
};
use nn::{Activation, Init, Mlp, Module, Parameters, check::gradients_by, loss::cross_entropy};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    println!("1. The V\n");
    the_v()?;
    println!("\n2. A kink\n");
    a_kink()?;
    println!("\n3. Single precision\n");
    single_precision()?;
    println!("\n4. A planted bug\n");
    a_planted_bug()?;
    println!("\n5. What it costs\n");
    cost()
}

/// The error of a difference quotient against its step.
fn the_v() -> Outcome {
    let to = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gradcheck"));
    fs::create_dir_all(to)?;
    let sine = check::sweep(|[x]| x.sin(), [&tensor![1.0]], 0, 0)?;
    fs::write(to.join("v.svg"), sine.to_svg("Relative error of the slope of sin at 1"))?;
    let offset = check::sweep(|[x]| x.sin() + 1e6, [&tensor![1.0]], 0, 0)?;
    fs::write(to.join("offset.svg"), offset.to_svg("The same for 1,000,000 + sin"))?;
    println!("{:>8} {:>12} {:>12} {:>12}", "step", "one-sided", "central", "4th order");
    for (step, [forward, central, fourth]) in sine.errors().into_iter().step_by(8) {
        println!("{step:>8.0e} {forward:>12.1e} {central:>12.1e} {fourth:>12.1e}");
    }
    let best = |sweep: &check::Sweep| sweep.errors().iter().map(|(_, e)| e[1]).fold(f64::INFINITY, f64::min);
    println!("the best central difference is off by {:.1e}; beside an offset of a million, by {:.1e}", best(&sine), best(&offset));
    Ok(())
}

/// What is said at a kink, and near one.
fn a_kink() -> Outcome {
    let report = check::gradients(|[x]| x.relu().sum(), [&tensor![0.0, 1e-9, -1e-9]])?;
    println!("{report}");
    if report.passed() { Ok(()) } else { Err("relu has a right gradient".into()) }
}

/// Finite differences in single precision, and the same function replayed in double precision.
fn single_precision() -> Outcome {
    let f = |x: f32| (x * 3.0).sin() + 1e3;
    println!("in f32, the slope of sin(3x) + 1000 at 0.5, which is {:.6}:", 3.0 * 1.5f64.cos());
    for exponent in 1..=6 {
        let h = 10f32.powi(-exponent);
        println!("  step 1e-{exponent}: {:.6}", (f(0.5 + h) - f(0.5 - h)) / (2.0 * h));
    }
    let report = check::single(|[x]| (x * 3.0).sin() + 1e3, [&tensor![0.5f32]])?;
    println!("{report}");
    if report.passed() { Ok(()) } else { Err("sin has a right gradient".into()) }
}

/// x·sigmoid(x), with the derivative of somebody who forgot the second term of the product rule.
#[derive(Debug)]
struct Swish;

impl Op<1> for Swish {
    fn name(&self) -> &'static str {
        "swish"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, autograd::Error> {
        x.mul(&x.sigmoid()?)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.mul(&x.sigmoid()));
    }
}

/// Three layers, the second with the operation above.
fn network<'g>([x, w1, w2, w3]: [Var<'g, f64>; 4]) -> Var<'g, f64> {
    let h = x.matmul(w1).tanh();
    let h = x.graph().apply(Swish, [h.matmul(w2)]);
    h.matmul(w3).square().mean()
}

/// From "something is wrong" to the line of the rule.
fn a_planted_bug() -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut draw = |shape: [usize; 2]| Tensor::<f64>::randn(shape, &mut rng);
    let (x, w1, w2, w3) = (draw([5, 4])?, draw([4, 3])?, draw([3, 3])?, draw([3, 2])?);
    println!("a. All gradients against finite differences:\n");
    let report = check::gradients(network, [&x, &w1, &w2, &w3])?;
    println!("{report}\n\nb. Every operation against itself:\n");
    let nodes = check::nodes(network, [&x, &w1, &w2, &w3])?;
    println!("{nodes}\n\nc. The certificate of the one that is wrong:\n");
    let certificate = check::op(&Swish, [&tensor![0.5, -1.0]])?;
    println!("{certificate}");
    let named: Vec<_> = nodes.wrong().map(|node| node.op).collect();
    if report.passed() || named != ["swish"] { Err("the bug was not found".into()) } else { Ok(()) }
}

/// A network of about 5,000 parameters on a batch of 32: every element, and directions.
fn cost() -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let model = Mlp::<f64>::new(&[32, 102, 16], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
    let x = Tensor::randn([32, 32], &mut rng)?;
    let labels = autograd::Indices::from((0..32).map(|i| i % 16).collect::<Vec<_>>());
    for (what, coverage) in [("all elements", Coverage::All), ("two directions a tensor", Coverage::Directions(2))] {
        let start = Instant::now();
        let options = Checker::new().coverage(coverage);
        let report = gradients_by(&options, &model, |g| cross_entropy(model.forward(g.constant(&x)), &labels))?;
        let (n, cost) = (model.parameter_count(), report.cost());
        let verdict = if report.passed() { "all right" } else { "NOT right" };
        println!("{n} parameters, {what}: {verdict}; {} evaluations, {:.3} s", cost.evaluations, start.elapsed().as_secs_f64());
        if !report.passed() {
            return Err(report.to_string().into());
        }
    }
    Ok(())
}
