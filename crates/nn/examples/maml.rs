//! Learning to learn: weights from which one step of descent on ten points fits a sine wave that was never seen before.
//!
//! What training makes small is the loss after that step. Its gradient goes back through the step, which is made of a gradient itself.
//! C. Finn, P. Abbeel, S. Levine, *Model-agnostic meta-learning for fast adaptation of deep networks* (2017).
//!
//! `cargo run --release --example maml`

use std::f64::consts::PI;

use autograd::{Error, Graph, Tensor, Var};
use nn::{Activation, Init, Mlp, Module, Parameters, Sgd, check, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The length of the one step.
const RATE: f64 = 0.1;

/// Points of a wave: positions and heights.
type Points = [Tensor<f64>; 2];

/// A sine wave of which some points are given, and others are asked for.
struct Task {
    given: Points,
    asked: Points,
}

impl Task {
    fn draw(rng: &mut ChaCha8Rng) -> Result<Task, Error> {
        let (amplitude, phase) = (Tensor::uniform(0.5, 2.0, [], rng)?, Tensor::uniform(0.0, PI, [], rng)?);
        let mut points = |count: usize| -> Result<Points, Error> {
            let x = Tensor::uniform(-3.0, 3.0, [count, 1], rng)?;
            let y = x.add(&phase)?.sin()?.mul(&amplitude)?;
            Ok([x, y])
        };
        Ok(Task { given: points(10)?, asked: points(20)? })
    }
}

fn network(hidden: usize, rng: &mut ChaCha8Rng) -> Result<Mlp<f64>, nn::Error> {
    Mlp::new(&[1, hidden, hidden, 1], &[Activation::Tanh, Activation::Tanh, Activation::Identity], Init::XavierUniform, rng)
}

fn loss<'g>(model: &Mlp<f64>, [x, y]: &Points, g: &'g Graph<f64>) -> Var<'g, f64> {
    mse(model.forward(g.constant(x)), g.constant(y))
}

/// The loss on what is asked after a step of descent on what is given.
///
/// Exact is a gradient of the step that counts as what it is, a function of the weights. The approximation of first order counts it as
/// constant, which saves the second derivatives.
fn loss_after_step<'g>(model: &Mlp<f64>, task: &Task, rate: f64, is_exact: bool, g: &'g Graph<f64>) -> Result<Var<'g, f64>, Error> {
    let before = model.bind_all(g);
    let slopes = g.grad(loss(model, &task.given, g), &before);
    let step = |(w, slope): (&Var<'g, f64>, &Var<'g, f64>)| *w - if is_exact { *slope } else { slope.detach() } * rate;
    let after: Vec<_> = before.iter().zip(&slopes).map(step).collect();
    model.bound_as(&after, || loss(model, &task.asked, g))
}

/// Trains a network for the step at this rate; at 0, for all waves at once without one.
fn train(rate: f64, rng: &mut ChaCha8Rng) -> Result<Mlp<f64>, nn::Error> {
    let mut model = network(24, rng)?;
    let mut optimizer = Sgd::new(0.05).momentum(0.9);
    for round in 0..=600 {
        let g = Graph::new();
        let mut loss = g.constant(0.0);
        for _ in 0..10 {
            loss += loss_after_step(&model, &Task::draw(rng)?, rate, true, &g)? / 10.0;
        }
        if round % 200 == 0 {
            println!("  round {round:3}   loss {:.3}", loss.item()?);
        }
        optimizer.step(&mut model, &loss.backward()?)?;
    }
    Ok(model)
}

/// The mean loss on a hundred waves, always the same ones, after a step at this rate.
fn judge(model: &Mlp<f64>, rate: f64) -> Result<f64, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let losses = (0..100).map(|_| loss_after_step(model, &Task::draw(&mut rng)?, rate, true, &Graph::new())?.item());
    Ok(losses.sum::<Result<f64, Error>>()? / 100.0)
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (tiny, task) = (network(3, &mut rng)?, Task::draw(&mut rng)?);
    println!("The gradient of the loss after a step against finite differences, on a tiny network:");
    for is_exact in [true, false] {
        let report = check::gradients(&tiny, |g| g.try_var(|| loss_after_step(&tiny, &task, RATE, is_exact, g)))?;
        println!("  {:26} apart by {:.0e}", if is_exact { "through the step" } else { "approximated, first order" }, report.deviation());
        assert_eq!(report.passed(), is_exact, "{report}");
    }

    println!("\ntraining for the loss after a step:");
    let learner = train(RATE, &mut rng)?;
    println!("training for all waves at once, without a step:");
    let average = train(0.0, &mut rng)?;

    println!("\na hundred new waves: mean loss before and after one step on ten points");
    let [mut before, mut after] = [[0.0; 2]; 2];
    for (k, (name, model)) in [("trained for a step", &learner), ("trained without", &average)].into_iter().enumerate() {
        (before[k], after[k]) = (judge(model, 0.0)?, judge(model, RATE)?);
        println!("  {name:18}   {:.3}   {:.3}", before[k], after[k]);
    }
    assert!(after[0] < before[0] / 4.0 && after[0] < after[1] / 2.0, "the network must have learned to learn");
    Ok(())
}
