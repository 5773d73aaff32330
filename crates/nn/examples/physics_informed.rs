//! A physics-informed network: it is never shown a solution, only the differential equation u″ + π² sin πx = 0 with u(0) = u(1) = 0.
//!
//! What is made small is how far u″ of the network is from fulfilling the equation, so derivatives by the input are differentiated again by
//! the parameters. M. Raissi, P. Perdikaris, G. E. Karniadakis, *Physics-informed neural networks* (2019).
//!
//! `cargo run --release --example physics_informed`

use std::f64::consts::PI;

use autograd::{Error, Graph, Tensor, Var, check, functional::value_and_jacobian, tensor};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Neurons of the hidden layer.
const HIDDEN: usize = 12;
const PARAMETERS: usize = 3 * HIDDEN + 1;
/// Points at which the equation is to hold.
const POINTS: usize = 31;
const STEPS: usize = 200;

/// The network u(x) = Σ vₖ tanh(wₖ x + bₖ) + c with all its parameters in one vector.
fn network<'g>(parameters: Var<'g, f64>, x: Var<'g, f64>) -> Var<'g, f64> {
    let [w, b, v, c] = parameters.split([HIDDEN, HIDDEN, HIDDEN, 1], 0);
    (x.outer(w) + b).tanh().matmul(v) + c
}

/// u″: each u depends on its own x alone, so the gradient of their sum holds the derivative at each point.
fn second_derivative<'g>(u: Var<'g, f64>, x: Var<'g, f64>) -> Var<'g, f64> {
    let g = u.graph();
    let [slope] = g.grad(u.sum(), [x]);
    let [curvature] = g.grad(slope.sum(), [x]);
    curvature
}

/// How far the network is from fulfilling the equation at each point, then how far u is from 0 at both ends.
fn residuals<'g>(parameters: Var<'g, f64>, points: &Tensor<f64>) -> Var<'g, f64> {
    let g = parameters.graph();
    let x = g.variable(points);
    let equation = second_derivative(network(parameters, x), x) + (x * PI).sin() * (PI * PI);
    let ends = network(parameters, g.constant(tensor![0.0, 1.0])) * 10.0;
    g.concat(&[equation, ends], 0)
}

/// Gauss-Newton steps, damped as by Levenberg and Marquardt: less after a step that helped, more after one that did not.
fn train(mut parameters: Tensor<f64>, points: &Tensor<f64>) -> Result<Tensor<f64>, Error> {
    let mut damping = 1.0;
    let evaluate = |parameters: &Tensor<f64>| value_and_jacobian(|[p]| residuals(p, points), [parameters]);
    let (mut r, [mut jacobian]) = evaluate(&parameters)?;
    let mut loss = r.square()?.sum()?.item()?;
    for step in 0..=STEPS {
        if step % (STEPS / 5) == 0 {
            println!("  step {step:3}   sum of squares {loss:9.2e}   damping {damping:.0e}");
        }
        let transposed = jacobian.transpose(0, 1)?;
        let normal = transposed.matmul(&jacobian)?.add(&Tensor::eye(PARAMETERS)?.mul_lit(damping)?)?;
        let next = parameters.sub(&normal.solve(&transposed.matmul(&r)?)?)?;
        let (next_r, [next_jacobian]) = evaluate(&next)?;
        let next_loss = next_r.square()?.sum()?.item()?;
        if next_loss < loss {
            (parameters, loss, r, jacobian) = (next, next_loss, next_r, next_jacobian);
            damping = f64::max(damping / 4.0, 1e-8);
        } else {
            damping *= 4.0;
        }
    }
    Ok(parameters)
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let parameters = Tensor::randn([PARAMETERS], &mut rng)?;
    let points = Tensor::linspace(0.0, 1.0, POINTS)?;

    let g = Graph::new();
    let (p, x, one) = (g.variable(&parameters), g.variable(&points), g.constant(Tensor::ones([POINTS])?));
    let u = network(p, x);
    let (backward, forward) = (second_derivative(u, x), g.jvp(g.jvp(u, [x], [one]), [x], [one]));
    let apart = (backward - forward).abs().amax(.., false).item()?;
    println!("u″ by two gradients and by two forward derivatives: apart by at most {apart:.0e}");
    assert!(apart < 1e-12, "forward and reverse mode must agree");
    let report = check::gradients(|[p]| residuals(p, &points), [&parameters])?;
    println!("of the residuals, by the parameters: {report}\n");
    assert!(report.passed(), "the third derivatives are wrong");

    println!("{PARAMETERS} parameters, {POINTS} points:");
    let trained = train(parameters, &points)?;

    let g = Graph::new();
    let x = Tensor::linspace(0.0, 1.0, 101)?;
    let u = network(g.constant(&trained), g.constant(&x)).value()?;
    println!("\n     x     sin πx    network");
    let mut worst = 0.0f64;
    for (k, (x, u)) in x.as_slice().iter().zip(u.as_slice()).enumerate() {
        let exact = (PI * x).sin();
        if k % 10 == 0 {
            println!("{x:6.1} {exact:10.6} {u:10.6}");
        }
        worst = worst.max((u - exact).abs());
    }
    println!("apart by at most {worst:.1e}");
    assert!(worst < 1e-3, "the network must solve the equation");
    Ok(())
}
