//! Cases whose error is in a rule, or that no gradient could be right for.

use autograd::{
    Algebra, Error, Op, Real, Tensor, Var,
    op::{Handle, Sink},
    tensor,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Case, Expect};

fn randn(seed: u64, shape: &[usize]) -> Tensor<f64> {
    Tensor::randn(shape, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

/// tanh, the slope of which is right or lacks a square.
#[derive(Debug)]
struct Tanh {
    is_right: bool,
}

impl Op<1> for Tanh {
    fn name(&self) -> &'static str {
        "own_tanh"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        x.tanh()
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let y = if self.is_right { y.square() } else { y.abs() };
        out.add(0, g.sub(&g.mul(&y)));
    }
}

/// A network of 30 layers, one of which may have a wrong rule.
fn deep<'g>(x: &[Var<'g, f64>], wrong: Option<usize>) -> Var<'g, f64> {
    let layer = |h: Var<'g, f64>, i: usize| {
        let z = h.matmul(x[0] * 0.7);
        if Some(i) == wrong {
            z.graph().apply(Tanh { is_right: false }, [z])
        } else {
            z.graph().apply(Tanh { is_right: true }, [z]) + h * 0.1
        }
    };
    (0..30).fold(x[1], layer).sum()
}

type Reduce = fn(&Tensor<f64>) -> Result<Tensor<f64>, Error>;
type Number = fn(f64) -> f64;

/// A row added to a matrix, whose gradient is summed over the rows, or divided by their number, or that of the last row alone.
fn row(reduce: Reduce) -> Handle {
    Handle::custom(
        "add_row",
        |x: &[&Tensor<f64>]| x[0].add(x[1]),
        move |_x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| Ok(vec![g.clone(), reduce(g)?]),
    )
}

/// Elements at positions that repeat: the gradient accumulates, or overwrites.
fn take(accumulates: bool) -> Handle {
    let at = [0usize, 2, 2, 1, 2];
    Handle::custom(
        "take",
        move |x: &[&Tensor<f64>]| Tensor::new(at.map(|i| x[0].as_slice()[i]).to_vec(), [5]),
        move |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| {
            let mut d = vec![0.0; x[0].len()];
            for (i, g) in at.iter().zip(g.as_slice()) {
                d[*i] = if accumulates { d[*i] + g } else { *g };
            }
            Ok(vec![Tensor::new(d, x[0].shape())?])
        },
    )
}

/// A function of each element that tells nobody of its kinks.
fn opaque(f: fn(f64) -> f64, slope: fn(f64) -> f64) -> Handle {
    let each = |x: &Tensor<f64>, f: fn(f64) -> f64| Tensor::new(x.as_slice().iter().map(|v| f(*v)).collect::<Vec<_>>(), x.shape());
    Handle::custom(
        "opaque",
        move |x: &[&Tensor<f64>]| each(x[0], f),
        move |x: &[&Tensor<f64>], _y: &Tensor<f64>, g: &Tensor<f64>| Ok(vec![each(x[0], slope)?.mul(g)?]),
    )
}

/// A fraction of 1 that looks random.
fn jitter(x: f64) -> f64 {
    let mut z = x.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z >> 11) as f64 / 2f64.powi(53) - 0.5
}

/// A million elements; without optimisation, fewer.
const MANY: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, x: Vec<Tensor<f64>>, f: Box<super::Formula>, expect: Expect| {
        cases.push(Case { name: name.to_owned(), x, f, expect, may_abstain: false });
    };
    let net = || vec![randn(60, &[4, 4]), randn(61, &[3, 4])];
    add("30 layers with an operation of one's own", net(), Box::new(|x| deep(x, None)), Expect::Right);
    for layer in [0, 14, 29] {
        let name = format!("30 layers, the rule of layer {layer} wrong");
        add(&name, net(), Box::new(move |x| deep(x, Some(layer))), Expect::Wrong);
    }

    let matrix = || vec![randn(62, &[4, 3]), randn(63, &[3])];
    let rows: [(&str, Reduce, Expect); 3] = [
        ("row added to a matrix", |g| g.sum_axes(0, false), Expect::Right),
        ("row added to a matrix, mean over the rows", |g| g.mean_axes(0, false), Expect::Wrong),
        ("row added to a matrix, last row alone", |g| Tensor::new(g.as_slice()[9..].to_vec(), [3]), Expect::Wrong),
    ];
    for (name, reduce, expect) in rows {
        add(name, matrix(), Box::new(move |x| x[0].graph().call(row(reduce), x).sin()), expect);
    }
    for (name, accumulates, expect) in
        [("repeated positions", true, Expect::Right), ("repeated positions, overwritten", false, Expect::Wrong)]
    {
        add(name, vec![randn(64, &[4])], Box::new(move |x| x[0].graph().call(take(accumulates), x).square()), expect);
    }

    // One wrong element in a million, and none.
    let many = || vec![randn(65, &[MANY])];
    add(&format!("{MANY} elements"), many(), Box::new(|x| x[0].square().sum()), Expect::Right);
    let plant = super::pairs::Plant::One(65_432, 2.0);
    add(&format!("one wrong element of {MANY}"), many(), Box::new(move |x| plant.in_front_of(x)[0].square().sum()), Expect::Wrong);

    // Kinks and jumps that nobody tells of.
    let scalar = |v: f64| vec![Tensor::scalar(v)];
    let opaques: [(&str, f64, Number, Number, Expect); 12] = [
        ("opaque relu at 0, slope 0", 0.0, |x| x.max(0.0), |x| f64::from(x > 0.0), Expect::Right),
        ("opaque relu at 0, slope 1", 0.0, |x| x.max(0.0), |x| f64::from(x >= 0.0), Expect::Right),
        ("opaque relu at 0, slope 2", 0.0, |x| x.max(0.0), |x| if x >= 0.0 { 2.0 } else { 0.0 }, Expect::Wrong),
        ("opaque |x| at 0, slope 0.5", 0.0, f64::abs, |_| 0.5, Expect::Right),
        ("opaque |x| at 0, slope −1.5", 0.0, f64::abs, |_| -1.5, Expect::Wrong),
        ("opaque relu at 1e-6", 1e-6, |x| x.max(0.0), |_| 1.0, Expect::Right),
        ("opaque relu at 1e-6, slope 1.5", 1e-6, |x| x.max(0.0), |_| 1.5, Expect::Wrong),
        ("rounding to thousandths, slope 0", 0.3337, |x| (x * 1e3).round() / 1e3, |_| 0.0, Expect::Right),
        ("rounding to thousandths, slope 1 passed straight through", 0.3337, |x| (x * 1e3).round() / 1e3, |_| 1.0, Expect::Wrong),
        ("noise of 1e-6", 1.0, |x| x.sin() + 1e-6 * jitter(x), f64::cos, Expect::Right),
        ("noise of 1e-6, twice the slope", 1.0, |x| x.sin() + 1e-6 * jitter(x), |x| 2.0 * x.cos(), Expect::Wrong),
        ("opaque jump at 0", 0.0, |x| f64::from(x > 0.0), |_| 0.0, Expect::Undefined("discontinuous")),
    ];
    for (name, at, f, slope, expect) in opaques {
        add(name, scalar(at), Box::new(move |x| x[0].graph().call(opaque(f, slope), x)), expect);
    }

    // No derivative at all.
    add("step at 0", scalar(0.0), Box::new(|x| x[0].step()), Expect::Undefined("discontinuous"));
    add("floor at 3", scalar(3.0), Box::new(|x| x[0].floor() + x[0] * 0.0), Expect::Undefined("discontinuous"));
    add("sqrt at 0", scalar(0.0), Box::new(|x| x[0].sqrt()), Expect::Undefined("not finite"));
    add(
        "√|x| at 0",
        scalar(0.0),
        Box::new(|x| x[0].graph().call(opaque(|x| x.abs().sqrt(), |_| 0.0), x)),
        Expect::Undefined("inconclusive"),
    );
    add("ln at 0", scalar(0.0), Box::new(|x| x[0].ln()), Expect::Undefined("not finite"));
    // A closure must give back a variable of the graph of its argument.
    fn of<F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64>>(f: F) -> F {
        f
    }
    let calls = AtomicU64::new(0);
    let draws = of(move |x| x[0].sin() + f64::from(u32::try_from(calls.fetch_add(1, Ordering::Relaxed) % 7).unwrap()) * 1e-3);
    add("random numbers inside", scalar(1.0), Box::new(draws), Expect::Undefined("not deterministic"));
    add("detached", scalar(1.0), Box::new(|x| x[0].detach().sin()), Expect::Wrong);
    add("half detached", vec![randn(66, &[3])], Box::new(|x| (x[0] * x[0].detach()).sum()), Expect::Wrong);
    add("constant", vec![randn(67, &[3])], Box::new(|x| x[0].graph().constant(2.0) + x[0].sum() * 0.0), Expect::Right);
    add("invisible beside 1e16", scalar(1.0), Box::new(|x| x[0].sin() + 1e16), Expect::Undefined("inconclusive"));
    add(
        "branch in the program",
        vec![tensor![0.3, -0.4]],
        Box::new(|x| if x[0].value().unwrap().as_slice()[0] > 0.0 { x[0].square().sum() } else { x[0].sum() }),
        Expect::Right,
    );
    cases
}
