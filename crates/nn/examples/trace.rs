//! The forward and the backward pass of a small computation, step by step, in a format of your choice.
//!
//! `cargo run --example trace -- --format markdown --of mazur`

use std::io::{self, Write};

use autograd::{
    Error, Graph, Indices, Tensor, tensor,
    trace::{TextOptions, Trace},
};
use nn::{Activation, Init, Mlp, Module, Parameters, loss::cross_entropy};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// `CS231n`, "Backpropagation, Intuitions": f = (x + y)·z.
fn circuit() -> Result<Trace, Error> {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
    ((x + y).named("q") * z).named("f").trace()
}

/// Matt Mazur, "A Step by Step Backpropagation Example": two inputs, two hidden and two output neurons.
fn mazur() -> Result<Trace, Error> {
    let g = Graph::<f64>::new();
    let leaf = |name: &str, v: f64| g.variable(v).named(name);
    let (i1, i2) = (g.constant(0.05).named("i1"), g.constant(0.10).named("i2"));
    let [w1, w2, w3, w4] = [("w1", 0.15), ("w2", 0.20), ("w3", 0.25), ("w4", 0.30)].map(|(name, v)| leaf(name, v));
    let [w5, w6, w7, w8] = [("w5", 0.40), ("w6", 0.45), ("w7", 0.50), ("w8", 0.55)].map(|(name, v)| leaf(name, v));
    let (b1, b2) = (leaf("b1", 0.35), leaf("b2", 0.60));
    let h1 = (w1 * i1 + w2 * i2 + b1).named("net_h1").sigmoid().named("out_h1");
    let h2 = (w3 * i1 + w4 * i2 + b1).named("net_h2").sigmoid().named("out_h2");
    let o1 = (w5 * h1 + w6 * h2 + b2).named("net_o1").sigmoid().named("out_o1");
    let o2 = (w7 * h1 + w8 * h2 + b2).named("net_o2").sigmoid().named("out_o2");
    let e1 = (0.5 * (g.constant(0.01).named("t1") - o1).square()).named("E_o1");
    let e2 = (0.5 * (g.constant(0.99).named("t2") - o2).square()).named("E_o2");
    (e1 + e2).named("E").trace()
}

/// A perceptron with a hidden layer and three classes, on four examples at once.
fn mlp() -> Result<Trace, nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let model = Mlp::<f64>::new(&[2, 3, 3], &[Activation::Relu, Activation::Identity], Init::XavierUniform, &mut rng)?;
    let g = Graph::new();
    for ((name, _), parameter) in model.named_parameters().iter().zip(model.bind_all(&g)) {
        let _ = parameter.named(name);
    }
    let inputs: Tensor<f64> = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let logits = model.forward(g.constant(&inputs).named("X")).named("Z");
    Ok(cross_entropy(logits, &Indices::from(vec![0, 1, 1, 2])).named("L").trace()?)
}

/// What follows an option on the command line.
fn option(name: &str, usual: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| usual.to_owned())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trace = match &*option("--of", "circuit") {
        "circuit" => circuit()?,
        "mazur" => mazur()?,
        "mlp" => mlp()?,
        other => return Err(format!("--of {other}: circuit, mazur or mlp would do").into()),
    };
    trace.verify()?;
    let text = match &*option("--format", "text") {
        "text" => trace.to_text(&TextOptions::default().width(option("--width", "80").parse()?).colour_on_terminal()),
        "markdown" => trace.to_markdown(),
        "latex" => trace.to_latex(),
        "dot" => trace.to_dot(),
        "mermaid" => trace.to_mermaid(),
        "steps" => steps(&trace),
        "json" => trace.to_json(),
        other => return Err(format!("--format {other}: text, markdown, latex, dot, mermaid, steps or json would do").into()),
    };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(())
}

/// Every step with all that is said about it.
fn steps(trace: &Trace) -> String {
    let mut lines = Vec::new();
    for step in trace.steps() {
        let explanation = trace.explain(step);
        let formulas = [&explanation.formula, &explanation.local, &explanation.product, &explanation.numbers, &explanation.sum];
        let remarks = explanation.notes.iter().map(|note| match &note.formula {
            Some(formula) => format!("  - {}: {}", note.text, formula.text),
            None => format!("  - {}", note.text),
        });
        lines.push(explanation.title.clone());
        lines.extend(formulas.into_iter().flatten().map(|formula| format!("    {}", formula.text)));
        lines.extend(remarks);
    }
    lines.join("\n")
}
