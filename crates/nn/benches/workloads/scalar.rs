//! Graphs of single numbers: W1, and W8, a deep one.

use autograd::{Graph, Var};

use super::{Outcome, Work};

/// Passes through the loop of W1; each is five operations.
const PASSES: usize = 20_000;
/// Operations of W8.
pub(crate) const DEEP: usize = 1_000_000;

/// W1: x ← tanh(x·w + b), acc ← acc + x·(x·w + b), with the graph new each time and used again.
pub(crate) fn chain() -> Vec<Work> {
    let nanoseconds = |s: f64| s * 1e9 / (5 * PASSES) as f64;
    let mut kept = Graph::<f64>::new();
    let of = ("node fwd+bwd", "ns");
    vec![
        Work::new("W1", of, nanoseconds, || run(&Graph::new())),
        Work::new("W1/kept", of, nanoseconds, move || {
            kept.clear();
            run(&kept)
        }),
    ]
}

// Written as the formula is.
#[allow(clippy::assign_op_pattern)]
fn run(g: &Graph<f64>) -> Outcome<Vec<f64>> {
    let (start, w, b) = (g.variable(0.5), g.variable(0.9), g.variable(0.3));
    let (mut x, mut acc) = (start, b);
    for _ in 0..PASSES {
        let s = x * w + b;
        x = s.tanh();
        acc = acc + x * s;
    }
    let grads = acc.backward()?;
    let d = |v: Var<'_, f64>| -> Outcome<f64> { Ok(grads.wrt(v)?.item()?) };
    Ok(vec![acc.item()?, d(w)?, d(b)?, d(start)?])
}

/// W8: a chain of a million operations. `see` is called after it is built, and after the gradients are there.
pub(crate) fn deep(mut see: impl FnMut(&'static str)) -> Outcome<Vec<f64>> {
    let g = Graph::<f64>::new();
    let (start, w, b) = (g.variable(0.5), g.variable(0.999), g.variable(0.001));
    let mut x = start;
    for _ in 0..DEEP / 2 {
        x = x * w + b;
    }
    see("built");
    let grads = x.backward()?;
    let numbers = vec![x.item()?, grads.wrt(w)?.item()?, grads.wrt(b)?.item()?];
    see("differentiated");
    Ok(numbers)
}
