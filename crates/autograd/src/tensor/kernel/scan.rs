//! Scans: each element of a result follows from the one before it along an axis. States are kept in double precision.

use super::{
    dispatch::{Kernel, dispatch},
    overwritten, threads,
};
use crate::{elementary::Numeric, error::Error, real::Real, shape::Shape, tensor::Tensor};

/// So many rows are scanned side by side: one would wait for itself.
const TOGETHER: usize = 4;

/// A scan over two arrays of one shape, along the axis in the middle of `around`.
struct Scan<'a, T, First, Next> {
    a: &'a [T],
    b: &'a [T],
    y: &'a mut [T],
    around: (usize, usize, usize),
    reverse: bool,
    first: First,
    next: Next,
}

impl<T, S, First, Next> Kernel for Scan<'_, T, First, Next>
where
    T: Real,
    S: Copy + Default,
    First: Fn(T, T) -> (S, T) + Copy,
    Next: Fn(S, T, T) -> (S, T) + Copy,
{
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Scan { a, b, y, around: (_, n, inner), reverse, first, next } = self;
        let mut at = 0;
        if inner == 1 {
            while at + TOGETHER * n <= y.len() {
                let here = at..at + TOGETHER * n;
                scan_rows::<TOGETHER, _, _>([&a[here.clone()], &b[here.clone()]], &mut y[here], reverse, first, next);
                at += TOGETHER * n;
            }
            while at < y.len() {
                let here = at..at + n;
                scan_rows::<1, _, _>([&a[here.clone()], &b[here.clone()]], &mut y[here], reverse, first, next);
                at += n;
            }
            return;
        }
        // One state for each element after the axis.
        let mut states = vec![S::default(); inner];
        while at < y.len() {
            for i in 0..n {
                let from = at + if reverse { n - 1 - i } else { i } * inner;
                let here = from..from + inner;
                let (a, b, y) = (&a[here.clone()], &b[here.clone()], &mut y[here]);
                let states = &mut states[..inner];
                if i == 0 {
                    for k in 0..inner {
                        (states[k], y[k]) = first(a[k], b[k]);
                    }
                } else {
                    for k in 0..inner {
                        (states[k], y[k]) = next(states[k], a[k], b[k]);
                    }
                }
            }
            at += n * inner;
        }
    }
}

/// Scans `R` rows that follow each other.
#[inline(always)]
fn scan_rows<const R: usize, T: Real, S: Copy + Default>(
    [a, b]: [&[T]; 2],
    y: &mut [T],
    reverse: bool,
    first: impl Fn(T, T) -> (S, T),
    next: impl Fn(S, T, T) -> (S, T),
) {
    let n = y.len() / R;
    let mut states = [S::default(); R];
    for i in 0..n {
        let at = if reverse { n - 1 - i } else { i };
        for (r, state) in states.iter_mut().enumerate() {
            let at = r * n + at;
            (*state, y[at]) = if i == 0 { first(a[at], b[at]) } else { next(*state, a[at], b[at]) };
        }
    }
}

/// Along an axis, from the end if `reverse`: `first` of the first elements of `a` and `b` gives a state and a value, and `next` the ones
/// that follow.
fn scan<T: Real, S: Copy + Default>(
    [a, b]: [&Tensor<T>; 2],
    axis: usize,
    reverse: bool,
    first: impl Fn(T, T) -> (S, T) + Copy + Send + Sync,
    next: impl Fn(S, T, T) -> (S, T) + Copy + Send + Sync,
) -> Result<Tensor<T>, Error> {
    let shape: &Shape = a.shape();
    let mut y = overwritten(shape.len())?;
    if y.is_empty() {
        return Ok(Tensor::of(*shape, y));
    }
    let around = shape.around(axis);
    // Whole scans to each part.
    let block = around.1 * around.2;
    let part = threads::rows_of_part(y.len(), block) * block;
    let parts = a.as_slice().chunks(part).zip(b.as_slice().chunks(part)).zip(y.chunks_mut(part));
    let parts = parts.map(|((a, b), y)| Scan { a, b, y, around, reverse, first, next });
    threads::all(a.len(), parts, &dispatch);
    Ok(Tensor::of(*shape, y))
}

/// A state that is also the value.
#[inline(always)]
fn both<T: Real>(state: f64) -> (f64, T) {
    (state, T::of(state))
}

/// yᵢ = Σ x up to i
pub(crate) fn cumsum<T: Real>(x: &Tensor<T>, axis: usize, reverse: bool) -> Result<Tensor<T>, Error> {
    scan([x, x], axis, reverse, |x, _| both(x.to_f64()), |sum, x, _| both(sum + x.to_f64()))
}

/// yᵢ = Π x up to i, which is left out if `exclusive`.
pub(crate) fn cumprod<T: Real>(x: &Tensor<T>, axis: usize, reverse: bool, exclusive: bool) -> Result<Tensor<T>, Error> {
    if exclusive {
        scan([x, x], axis, reverse, |x, _| (x.to_f64(), T::ONE), |product, x, _| (product * x.to_f64(), T::of(product)))
    } else {
        scan([x, x], axis, reverse, |x, _| both(x.to_f64()), |product, x, _| both(product * x.to_f64()))
    }
}

/// sᵢ = aᵢ·sᵢ₋₁ + bᵢ, where the product is 0 if a factor is and `masked` is set.
pub(crate) fn recurrence<T: Real>(a: &Tensor<T>, b: &Tensor<T>, axis: usize, reverse: bool, masked: bool) -> Result<Tensor<T>, Error> {
    let first = |_, b: T| both(b.to_f64());
    if masked {
        scan([a, b], axis, reverse, first, |s: f64, a, b| both(s.masked_mul::<false>(a.to_f64()) + b.to_f64()))
    } else {
        scan([a, b], axis, reverse, first, |s: f64, a, b| both(s * a.to_f64() + b.to_f64()))
    }
}

/// yᵢ = ln Σ eˣ up to i. The state is the largest x so far and Σ e^(x − largest).
pub(crate) fn logcumsumexp<T: Real>(x: &Tensor<T>, axis: usize) -> Result<Tensor<T>, Error> {
    let next = |(largest, sum): (f64, f64), x: T, _| {
        let x = x.to_f64();
        let (largest, sum) = if x.is_nan() || largest.is_nan() {
            (f64::NAN, sum)
        } else if x > largest {
            (x, sum * (largest - x).exp() + 1.0)
        } else if largest.is_infinite() {
            (largest, 1.0) // ∞ − ∞ is no number, but the sum stays infinite, or 0
        } else {
            (largest, sum + (x - largest).exp())
        };
        ((largest, sum), T::of(largest + sum.ln()))
    };
    scan([x, x], axis, false, |x, _| ((x.to_f64(), 1.0), x), next)
}
