//! A neural differential equation: a network learns the force on a pendulum from where the pendulum was seen.
//!
//! The network is a part of the right-hand side of dy/dt = f(y). Its gradients go through every step of the integrator, and each step is a
//! checkpoint: the graph keeps where the pendulum is after the step, and computes what lies between again when a gradient needs it.
//! R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, *Neural Ordinary Differential Equations* (2018).
//!
//! `cargo run --release --example neural_ode`

use autograd::{Error, Graph, Tensor, Var, tensor};
use nn::{Activation, Init, Mlp, Module, Parameters, Sgd, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const STEPS: usize = 240;
const DT: f64 = 0.05;
/// The network is trained on pieces of the path of so many steps, side by side.
const PIECE: usize = 20;

/// What changes the angle is the speed, and what changes the speed is the force.
fn motion<'g>(force: impl Fn(Var<'g, f64>) -> Var<'g, f64>, y: Var<'g, f64>) -> Var<'g, f64> {
    y.graph().concat(&[y.slice(-1, 1..), force(y)], -1)
}

/// The force that is to be found out: that of gravity, and a little friction.
fn gravity_and_friction(y: Var<'_, f64>) -> Var<'_, f64> {
    let [angle, speed] = y.split([1, 1], -1);
    -angle.sin() * 2.0 - speed * 0.2
}

/// The states after each of `steps` steps from `y`, by the classical method of Runge and Kutta: `[steps, .., 2]`.
fn path<'g>(force: impl Fn(Var<'g, f64>) -> Var<'g, f64>, mut y: Var<'g, f64>, steps: usize, is_checkpointed: bool) -> Var<'g, f64> {
    let (g, f) = (y.graph(), |y| motion(&force, y));
    let mut states = Vec::new();
    for _ in 0..steps {
        let step = || {
            let k1 = f(y);
            let k2 = f(y + k1 * (DT / 2.0));
            let k3 = f(y + k2 * (DT / 2.0));
            let k4 = f(y + k3 * DT);
            y + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (DT / 6.0)
        };
        y = if is_checkpointed { g.checkpoint(step) } else { step() };
        states.push(y);
    }
    g.stack(&states, 0)
}

/// The path of the real pendulum, which begins at rest at this angle: its states before and after all steps, `[STEPS + 1, 2]`.
fn seen(angle: f64) -> Result<Tensor<f64>, Error> {
    let (g, start) = (Graph::new(), tensor![[angle, 0.0]]);
    let states = path(gravity_and_friction, g.constant(&start), STEPS, false).value()?.reshape([-1, 2])?;
    Tensor::concat(&[&start, &states], 0)
}

/// A path cut into pieces: where each begins, `[pieces, 2]`, and the states after that, `[steps, pieces, 2]`.
fn pieces(path: &Tensor<f64>, steps: usize) -> Result<(Tensor<f64>, Tensor<f64>), Error> {
    let cut = |path: Tensor<f64>| path.reshape([-1, steps.cast_signed(), 2])?.transpose(0, 1);
    let starts = cut(path.slice(0, ..-1)?)?.slice(0, ..1)?.squeeze(0)?;
    Ok((starts, cut(path.slice(0, 1..)?)?))
}

/// The bits of the gradient of the error along the whole path, in one go, with checkpoints or without.
fn gradient(model: &Mlp<f64>, path_seen: &Tensor<f64>, is_checkpointed: bool) -> Result<Vec<u64>, Error> {
    let (g, (start, states)) = (Graph::new(), pieces(path_seen, STEPS)?);
    let loss = mse(path(|y| model.forward(y), g.constant(&start), STEPS, is_checkpointed), g.constant(&states));
    let kept: usize = g.vars().filter_map(|v| v.value().ok()).map(|value| value.len()).sum();
    println!("  {:7} checkpoints: {} nodes, {kept:5} numbers kept", if is_checkpointed { "with" } else { "without" }, g.len());
    let gradients = loss.backward()?;
    let parts = model.named_parameters().into_iter().filter_map(|(_, parameter)| parameter.grad(&gradients));
    Ok(parts.flat_map(Tensor::as_slice).map(|d| d.to_bits()).collect())
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut model = Mlp::<f64>::new(&[2, 16, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
    let pendulum = seen(2.5)?;

    println!("the error along {STEPS} steps, and its gradient by {} parameters:", model.parameter_count());
    let [without, with] = [gradient(&model, &pendulum, false)?, gradient(&model, &pendulum, true)?];
    assert_eq!(without.len(), model.parameter_count(), "there must be a gradient by every parameter");
    assert_eq!(with, without, "checkpoints must not change the gradient");
    println!("The two gradients are equal to the last bit.\n");

    let (starts, states) = pieces(&pendulum, PIECE)?;
    let mut optimizer = Sgd::new(0.1).momentum(0.97);
    for round in 0..=800 {
        let g = Graph::new();
        let loss = mse(path(|y| model.forward(y), g.constant(&starts), PIECE, true), g.constant(&states));
        if round % 200 == 0 {
            println!("round {round:3}   error along {PIECE} steps {:.2e}", loss.item()?);
        }
        optimizer.step(&mut model, &loss.backward()?)?;
    }

    for angle in [2.5, 1.2] {
        let (g, (start, states)) = (Graph::new(), pieces(&seen(angle)?, STEPS)?);
        let learned = path(|y| model.forward(y), g.constant(&start), STEPS, false).value()?;
        println!("\nfrom the angle {angle}:\n  time   angle   by the network");
        for step in (29..STEPS).step_by(30) {
            println!("{:6.1} {:7.3} {:7.3}", (step + 1) as f64 * DT, states[[step, 0, 0]], learned[[step, 0, 0]]);
        }
        let error = learned.sub(&states)?.slice(-1, ..1)?.abs()?.amax(.., false)?.item()?;
        println!("apart by at most {error:.3} on the whole path");
        assert!(error < 0.15, "the network must follow the pendulum");
    }
    Ok(())
}
