//! Exclusive or: what one neuron cannot learn, and a hidden layer can.
//!
//! `cargo run --release --example xor`

use autograd::{Graph, Tensor, tensor};
use nn::{Activation, Init, Mlp, Module, Sgd, loss::binary_cross_entropy_with_logits, metrics};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Trains a network on the four cases, and returns the probabilities it gives for "yes".
fn train(sizes: &[usize], activations: &[Activation]) -> Result<Tensor<f64>, nn::Error> {
    let (inputs, targets) = (inputs(), tensor![[0.0], [1.0], [1.0], [0.0]]);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut model = Mlp::new(sizes, activations, Init::XavierUniform, &mut rng)?;
    let mut optimizer = Sgd::new(0.5).momentum(0.9);
    for step in 0..=300 {
        let g = Graph::new();
        let logits = model.forward(g.constant(&inputs));
        let loss = binary_cross_entropy_with_logits(logits, g.constant(&targets));
        if step % 100 == 0 {
            println!("  step {step:3}   loss {:.4}", loss.item()?);
        }
        optimizer.step(&mut model, &loss.backward()?)?;
    }
    let g = Graph::new();
    Ok(model.forward(g.constant(&inputs)).sigmoid().value()?)
}

fn inputs() -> Tensor<f64> {
    tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
}

/// Prints the four cases; returns how many are right.
fn show(probabilities: &Tensor<f64>) -> usize {
    let answers = metrics::above(probabilities, 0.5);
    let (inputs, mut right) = (inputs(), 0);
    for row in 0..4 {
        let (a, b) = (inputs[[row, 0]], inputs[[row, 1]]);
        let correct = usize::from((a > 0.5) != (b > 0.5)) == answers.as_slice()[row];
        let p = probabilities[[row, 0]];
        let undecided = (p - 0.5).abs() < 0.01;
        right += usize::from(correct && !undecided);
        let verdict = if undecided {
            "undecided"
        } else if correct {
            "right"
        } else {
            "WRONG"
        };
        println!("  {a} xor {b}:  probability of 1 is {p:.3}   {verdict}");
    }
    println!();
    right
}

fn main() -> Result<(), nn::Error> {
    println!("One neuron, sigmoid(w₁a + w₂b + c):");
    let right = show(&train(&[2, 1], &[Activation::Identity])?);
    // Its answer changes along one straight line, w₁a + w₂b + c = 0. The cases with answer 1 are opposite corners of a square, and so are
    // those with answer 0: no line has the first pair on one side and the second pair on the other. So at most three can be right.
    println!("It can only say 1 on one side of the line w₁a + w₂b + c = 0, and 0 on the other. But (0, 1) and (1, 0), where the");
    println!("answer is 1, are opposite corners of a square, and so are (0, 0) and (1, 1): no straight line separates the two");
    println!("pairs. What costs least is the probability ½ in every case, with the loss ln 2 = 0.6931.\n");
    assert!(right < 4, "one neuron cannot compute exclusive or");

    println!("Four hidden neurons with tanh before it:");
    let right = show(&train(&[2, 4, 1], &[Activation::Tanh, Activation::Identity])?);
    println!("Each hidden neuron draws a line of its own, and the last one combines their answers.");
    assert_eq!(right, 4, "the network must get all four cases right");
    Ok(())
}
