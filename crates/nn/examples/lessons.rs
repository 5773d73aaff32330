//! Lessons about backpropagation, each on a small graph whose numbers can be followed with a pencil.
//!
//! `cargo run --release --example lessons` gives all of them, and `cargo run --release --example lessons -- order` one: `hand`, `order`,
//! `fan-out`, `paths`, `forward`, `course`, `step`, `nan`, `memory`. With `--markdown` they are Markdown.

use autograd::{Graph, Tensor, Var, tensor};
use nn::{
    Activation, Init, Mlp, Module, Parameters,
    lesson::{self, Page},
    loss::binary_cross_entropy,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const LESSONS: [&str; 9] = ["hand", "order", "fan-out", "paths", "forward", "course", "step", "nan", "memory"];

/// n diamonds, one after the other: each value is used twice, and the two uses come together again.
fn diamonds(g: &Graph<f64>, n: usize) -> Var<'_, f64> {
    (1..=n).fold(g.variable(0.5).named("x"), |x, k| {
        let (s, c) = (x.sin().named(&format!("s{k}")), x.cos().named(&format!("c{k}")));
        (s + c).named(&format!("y{k}"))
    })
}

/// The network of M. Mazur, *A step by step backpropagation example* (2015): two inputs, two hidden and two output neurons.
fn mazur(g: &Graph<f64>) -> Var<'_, f64> {
    let leaf = |name: &str, v: f64| g.variable(v).named(name);
    let (i1, i2) = (g.constant(0.05).named("i1"), g.constant(0.10).named("i2"));
    let [w1, w2, w3, w4] = [("w1", 0.15), ("w2", 0.20), ("w3", 0.25), ("w4", 0.30)].map(|(n, v)| leaf(n, v));
    let [w5, w6, w7, w8] = [("w5", 0.40), ("w6", 0.45), ("w7", 0.50), ("w8", 0.55)].map(|(n, v)| leaf(n, v));
    let (b1, b2) = (leaf("b1", 0.35), leaf("b2", 0.60));
    let h1 = (w1 * i1 + w2 * i2 + b1).named("net_h1").sigmoid().named("out_h1");
    let h2 = (w3 * i1 + w4 * i2 + b1).named("net_h2").sigmoid().named("out_h2");
    let o1 = (w5 * h1 + w6 * h2 + b2).named("net_o1").sigmoid().named("out_o1");
    let o2 = (w7 * h1 + w8 * h2 + b2).named("net_o2").sigmoid().named("out_o2");
    let e1 = (0.5 * (o1 - 0.01).square()).named("E_o1");
    let e2 = (0.5 * (o2 - 0.99).square()).named("E_o2");
    (e1 + e2).named("E")
}

/// A network for exclusive or, with its batch and targets.
fn network() -> Result<(Mlp<f64>, [Tensor<f64>; 2]), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let model = Mlp::new(&[2, 3, 1], &[Activation::Tanh, Activation::Sigmoid], Init::XavierUniform, &mut rng)?;
    let inputs = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    Ok((model, [inputs, tensor![[0.0], [1.0], [1.0], [0.0]]]))
}

/// The pages of a lesson.
fn lesson(name: &str) -> Result<Vec<Page>, nn::Error> {
    let g = Graph::new();
    Ok(match name {
        "hand" => {
            // The first two are right, as Mazur rounds them; in each of the others is one of the usual mistakes.
            let answers = [
                ("w5", 0.082_167_041),
                ("w1", 0.000_439),
                ("w6", -0.0827),
                ("w7", -0.128_78),
                ("out_h1", 0.055_399_4),
                ("w2", 0.003_635),
                ("b2", 0.138_499),
            ];
            vec![lesson::by_hand(mazur(&g), answers)?.page()]
        }
        "order" => vec![lesson::order(&diamonds(&g, 3).trace()?).page()],
        "fan-out" => vec![lesson::fan_out(&diamonds(&g, 3).trace()?).page()],
        "paths" => vec![lesson::paths(&diamonds(&g, 2).trace()?)?.page(), lesson::paths(&diamonds(&g, 20).trace()?)?.page()],
        "forward" => vec![lesson::forward_mode(&mazur(&g).trace()?, "w1", 0)?.page()],
        "course" => {
            let (model, [x, t]) = network()?;
            vec![lesson::course(&model, &x, |y| binary_cross_entropy(y, y.graph().constant(&t)))?.page()]
        }
        "step" => vec![lesson::sgd_step(mazur(&g), 0.5)?.page()],
        "nan" => {
            let (p, t) = (g.variable(tensor![0.9, 0.0, 0.4]).named("p"), g.constant(tensor![1.0, 0.0, 1.0]).named("t"));
            // The cross-entropy of probabilities, written down naively: 0·ln 0 is NaN.
            let naive = -(t * p.ln().named("log_p")).named("terms").sum();
            // Here the value is fine, and the slope of a root at 0 is infinite.
            let variance = g.variable(tensor![4.0, 0.0]).named("variance");
            let loss = (variance.sqrt().named("deviation") * 3.0).sum();
            vec![lesson::non_finite(&naive.trace()?).page(), lesson::non_finite(&loss.trace()?).page()]
        }
        "memory" => {
            let (model, [x, t]) = network()?;
            let loss = binary_cross_entropy(model.forward(g.constant(&x).named("X")), g.constant(&t).named("T"));
            model.name_on(&g);
            vec![lesson::memory(&loss.trace()?).page()]
        }
        _ => {
            eprintln!("there is no lesson {name:?}; there are {}", LESSONS.join(", "));
            std::process::exit(2);
        }
    })
}

fn main() -> Result<(), nn::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, mut names): (Vec<&str>, Vec<&str>) = arguments.iter().map(String::as_str).partition(|name| name.starts_with("--"));
    if names.is_empty() {
        names = LESSONS.to_vec();
    }
    for name in names {
        for page in lesson(name)? {
            if options.contains(&"--markdown") {
                println!("{}", page.to_markdown());
            } else {
                println!("{page}");
            }
        }
    }
    Ok(())
}
