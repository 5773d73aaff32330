//! Directions of random signs: one finite difference for all elements of a tensor, and bisection down to those that are wrong.

use super::{
    examine::Run,
    function::scrambled,
    lists::largest,
    slope::{Sample, Scale},
    verdict::{Claim, Element, Verdict},
};
use crate::tensor::Tensor;

/// The derivative along one direction of one tensor: all elements, or those of a part, move by the same length, up or down at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// How many elements move.
    pub moved: usize,
    /// Σ ± the elements of the gradient by autodiff.
    pub autodiff: f64,
    /// The derivative by finite differences.
    pub difference: f64,
    /// Its measured error.
    pub error: f64,
    /// The step of the finite difference.
    pub step: f64,
    /// What is said of it.
    pub verdict: Verdict,
    /// The smallest error of a single element that would have been called wrong.
    pub noticed: f64,
}

/// So many wrong elements are named; a gradient that is wrong everywhere need not be written out.
const NAMED: usize = 16;

/// So many elements are looked at alone.
const SINGLED_OUT: usize = 256;

/// What a direction that failed was taken apart into.
struct Parts {
    /// The elements that were looked at alone.
    found: Vec<Element>,
    /// Whether all the others are confirmed.
    is_complete: bool,
}

/// Some directions of input `k`, and the elements that those led to which failed.
pub(super) fn directions(run: &Run<'_>, k: usize, count: usize) -> (Vec<Element>, Vec<Direction>) {
    let n = run.base.x[k].len();
    let (mut parts, mut all): (Option<Parts>, Vec<Direction>) = (None, Vec::new());
    if n == 0 {
        return (Vec::new(), all);
    }
    for round in 0..count {
        if run.is_spent() {
            break;
        }
        let seed = scrambled(run.options.seed ^ ((k as u64) << 32) ^ round as u64);
        let whole: Vec<usize> = (0..n).collect();
        let mut direction = along(run, k, &whole, seed, None);
        if !direction.verdict.is_ok() {
            let is_wrong = direction.verdict.is_fault();
            if parts.is_none() {
                parts = Some(bisect(run, k, whole, seed, direction.step));
            }
            // Along kinks a direction decides nothing; the elements on them, and all the others together, do.
            let is_cleared = |p: &Parts| p.is_complete && p.found.iter().all(|e| e.verdict.is_ok());
            if !is_wrong && parts.as_ref().is_some_and(is_cleared) {
                direction.verdict = Verdict::Ok;
            }
        }
        all.push(direction);
    }
    (parts.map_or_else(Vec::new, |p| p.found), all)
}

fn sign(seed: u64, index: usize) -> f64 {
    if scrambled(seed ^ index as u64) & 1 == 0 { 1.0 } else { -1.0 }
}

/// The derivative as some elements move; with one central difference, if a step is given.
fn along(run: &Run<'_>, k: usize, moved: &[usize], seed: u64, step: Option<f64>) -> Direction {
    let base = run.base;
    let gradient = &base.gradient.parts[k];
    let x = base.x[k].as_slice();
    let typical = base.typical(k);
    let mut probe = |step: f64| -> Sample {
        let mut elements = x.to_vec();
        for &i in moved {
            elements[i] += step * sign(seed, i);
        }
        let changed = Tensor::of(*base.x[k].shape(), elements);
        let all: Vec<&Tensor<f64>> = base.x.iter().enumerate().map(|(i, x)| if i == k { &changed } else { x }).collect();
        base.sample(&all, step)
    };
    let autodiff: f64 = moved.iter().map(|&i| gradient.as_slice()[i] * sign(seed, i)).sum();
    if !autodiff.is_finite() {
        let (difference, error, noticed, step) = (f64::NAN, f64::INFINITY, 0.0, f64::NAN);
        return Direction { moved: moved.len(), autodiff, difference, error, step, verdict: Verdict::NonFinite, noticed };
    }
    let slope = match step {
        Some(step) => run.central(&mut probe, autodiff, step),
        None => run.slope(&mut probe, autodiff, Scale::of(typical, typical)),
    };
    // Each element moves by its step rounded to its own digits, and the sum of the gradient is rounded itself.
    let rounding = || moved.iter().map(|&i| base.scatter(k, i) + f64::EPSILON * gradient.as_slice()[i].abs()).sum();
    let claim = Claim { autodiff, rtol: run.options.rtol, largest: largest(&[gradient]), scatter: &rounding };
    let (mut verdict, _, noticed) = run.verdict(&slope, &claim);
    // Along several kinks at once the slope need not lie between the two sides; the elements have to be asked one by one.
    if verdict == Verdict::Wrong && slope.kink.is_some() && moved.len() > 1 && matches!(slope.form, super::slope::Form::Kink { .. }) {
        verdict = Verdict::Inconclusive { why: "the direction leads along kinks" };
    }
    Direction { moved: moved.len(), autodiff, difference: slope.value, error: slope.error, step: slope.step, verdict, noticed }
}

/// Halves of a direction that failed, and their halves, down to the elements. The step that served the whole serves the parts.
fn bisect(run: &Run<'_>, k: usize, whole: Vec<usize>, seed: u64, step: f64) -> Parts {
    let (typical, largest) = (run.base.typical(k), largest(&run.base.gradient.parts[k..=k]));
    let step = if step.is_finite() { step } else { Scale::of(typical, typical).step(11) };
    let (mut found, mut parts) = (Vec::new(), vec![whole]);
    while let Some(part) = parts.pop() {
        let faults = found.iter().filter(|e: &&Element| !e.verdict.is_ok()).count();
        if faults >= NAMED || found.len() >= SINGLED_OUT || run.is_spent() {
            return Parts { found, is_complete: false };
        }
        if let [index] = part[..] {
            found.push(run.element(k, index, typical, largest).0);
            continue;
        }
        let (left, right) = part.split_at(part.len() / 2);
        let is_ok = |half: &[usize]| half.len() > 1 && along(run, k, half, seed, Some(step)).verdict.is_ok();
        // What is wrong with the whole and not with one half is wrong with the other.
        let is_left_ok = is_ok(left);
        if is_left_ok || !is_ok(right) {
            parts.push(right.to_vec());
        }
        if !is_left_ok {
            parts.push(left.to_vec());
        }
    }
    Parts { found, is_complete: true }
}
