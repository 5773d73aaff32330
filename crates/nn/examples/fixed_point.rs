//! A layer of infinite depth: its value is a fixed point, and its derivatives come from the implicit function theorem.
//!
//! The layer gives the z for which z = tanh(z Wᵀ + c), the limit of a network whose layers all have the weights W and all see the input c
//! again. S. Bai, J. Z. Kolter, V. Koltun, *Deep Equilibrium Models* (2019).
//!
//! `cargo run --release --example fixed_point`

use autograd::{Algebra, Error, ErrorKind, Graph, Op, Real, Sink, Tensor, Var, check};
use nn::{Init, Linear, Module, Parameter, Parameters, Sgd, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The z with z = tanh(z Wᵀ + c), for `W` of shape [n, n] and `c` of shape [batch, n].
#[derive(Debug)]
struct Equilibrium;

impl Op<2> for Equilibrium {
    fn name(&self) -> &'static str {
        "equilibrium"
    }

    fn forward<T: Real>(&self, [w, c]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        iterate(c, |z| z.matmul_as(w, false, true)?.add(c)?.tanh())
    }

    // Both sides of the equation are differentiated: dz = s·(dz Wᵀ + z dWᵀ + dc), where s is the slope of tanh. Solved for dz and
    // transposed, this is one linear equation, however many steps led to z.
    fn vjp<T: Real, A: Algebra<T>>(&self, [w, _]: [&A; 2], z: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let s = z.square().rsub_lit(1.0);
        let u = A::apply(Adjoint, [w, &s, g]).mul(&s);
        out.add_matmul(0, &u, true, z, false);
        out.add(1, u);
    }
}

/// The u with u = (u·s) W + r. Its own rule is an equation of this kind again, so that there are derivatives of any order.
#[derive(Debug)]
struct Adjoint;

impl Op<3> for Adjoint {
    fn name(&self) -> &'static str {
        "adjoint"
    }

    fn forward<T: Real>(&self, [w, s, r]: [&Tensor<T>; 3]) -> Result<Tensor<T>, Error> {
        iterate(r, |u| u.mul(s)?.matmul(w)?.add(r))
    }

    // The gradient by r is dr = p·s + g, where p = dr Wᵀ: the same equation for p, with Wᵀ in place of W and g Wᵀ in place of r.
    fn vjp<T: Real, A: Algebra<T>>(&self, [w, s, _]: [&A; 3], u: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let transposed = w.transpose(0, 1);
        let p = A::apply(Adjoint, [&transposed, s, &g.matmul(&transposed)]);
        let dr = p.mul(s).add(g);
        out.add_matmul(0, &u.mul(s), true, &dr, false);
        out.add(1, p.mul(u));
        out.add(2, dr);
    }
}

/// Repeats a step until it changes nothing but the last bits.
fn iterate<T: Real>(start: &Tensor<T>, step: impl Fn(&Tensor<T>) -> Result<Tensor<T>, Error>) -> Result<Tensor<T>, Error> {
    const LIMIT: usize = 1000;
    let is_close = |a: T, b: T| (a.to_f64() - b.to_f64()).abs() <= 4.0 * T::EPSILON.to_f64() * (1.0 + b.to_f64().abs());
    let mut z = start.clone();
    for _ in 0..LIMIT {
        let next = step(&z)?;
        if next.as_slice().iter().zip(z.as_slice()).all(|(a, b)| is_close(*a, *b)) {
            return Ok(next);
        }
        z = next;
    }
    let why = "the iteration does not converge: the weights are too large for a contraction";
    Err(ErrorKind::Parameter { name: "steps", value: LIMIT.to_string(), why }.into())
}

fn implicit<'g>(w: Var<'g, f64>, c: Var<'g, f64>) -> Var<'g, f64> {
    w.graph().apply(Equilibrium, [w, c])
}

/// The same by a loop on the graph, through which gradients take every step back.
fn unrolled<'g>(w: Var<'g, f64>, c: Var<'g, f64>) -> Var<'g, f64> {
    (0..200).fold(c, |z, _| (z.matmul_as(w, false, true) + c).tanh())
}

/// The gradients of a function of z by w and c, then those of their squared length; and how many nodes all that took.
fn derivatives(
    layer: for<'g> fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>,
    [w, c]: [&Tensor<f64>; 2],
) -> Result<([Tensor<f64>; 4], usize), Error> {
    let g = Graph::new();
    let (w, c) = (g.variable(w), g.variable(c));
    let z = layer(w, c);
    let [dw, dc] = g.grad((z.powi(3) + z).mean(), [w, c]);
    let [ddw, ddc] = g.grad(dw.square().sum() + dc.square().sum(), [w, c]);
    Ok(([dw.value()?, dc.value()?, ddw.value()?, ddc.value()?], g.len()))
}

struct Model {
    inject: Linear<f64>,
    feedback: Parameter<f64>,
    read: Linear<f64>,
}
nn::parameters!(Model: f64 { inject, feedback, read });

impl Module<f64> for Model {
    fn forward<'g>(&self, x: Var<'g, f64>) -> Var<'g, f64> {
        // Rows whose absolute values add to 0.9 make each step a contraction, whatever is learned: there is one fixed point, and it is found.
        let v = self.feedback.bind(x.graph());
        let w = v / v.abs().sum_axes([-1], true) * 0.9;
        self.read.forward(implicit(w, self.inject.forward(x)))
    }
}

fn main() -> Result<(), nn::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let feedback = |n: usize, rng: &mut ChaCha8Rng| Tensor::randn([n, n], rng)?.mul_lit(0.4 / (n as f64).sqrt());

    let (w, c) = (feedback(4, &mut rng)?, Tensor::randn([3, 4], &mut rng)?);
    let report = check::op(&Equilibrium, [&w, &c])?;
    println!("{report}\n");
    assert!(report.passed(), "the rule of the fixed point is wrong");
    assert!(check::op(&Adjoint, [&w, &Tensor::uniform(0.2, 1.0, [3, 4], &mut rng)?, &c])?.passed(), "the rule of its adjoint is wrong");

    let (by_theorem, nodes) = derivatives(implicit, [&w, &c])?;
    let (by_steps, unrolled_nodes) = derivatives(unrolled, [&w, &c])?;
    println!("derivatives against those of 200 steps of the loop ({nodes} nodes on the graph, and {unrolled_nodes}):");
    let names = ["∂L/∂W", "∂L/∂c", "of second order, W", "of second order, c"];
    for (name, (a, b)) in names.iter().zip(by_theorem.iter().zip(&by_steps)) {
        let (size, apart) = (b.abs()?.amax(.., false)?.item()?, a.sub(b)?.abs()?.amax(.., false)?.item()?);
        println!("  {name:20} up to {size:.4}, apart by at most {apart:.0e}");
        assert!(apart < 1e-12, "{name} is not that of the loop");
    }

    let n = 12;
    let mut model = Model {
        inject: Linear::with_gain(1, n, Init::XavierNormal, 2.0, &mut rng)?,
        feedback: Parameter::new(feedback(n, &mut rng)?),
        read: Linear::new(n, 1, Init::XavierNormal, &mut rng)?,
    };
    let x = Tensor::linspace(-1.0, 1.0, 41)?.reshape([-1, 1])?;
    let target = x.mul_lit(4.0)?.sin()?.add(&x)?;
    println!("\na model of {} parameters around such a layer learns x + sin 4x:", model.parameter_count());
    let mut optimizer = Sgd::new(0.05).momentum(0.9);
    let mut last = f64::INFINITY;
    for step in 0..=1000 {
        let g = Graph::new();
        let loss = mse(model.forward(g.constant(&x)), g.constant(&target));
        last = loss.item()?;
        if step % 200 == 0 {
            println!("  step {step:4}   loss {last:.6}");
        }
        optimizer.step(&mut model, &loss.backward()?)?;
    }
    assert!(last < 1e-3, "the model must learn the function");
    Ok(())
}
