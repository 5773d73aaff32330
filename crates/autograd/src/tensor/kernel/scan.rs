//! Scans: each element of a result follows from the one before it along an axis. States are kept in double precision.

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
};
use crate::{elementary::Numeric, error::Error, real::Real, shape::Shape, tensor::Tensor};

/// A scan over two arrays of one shape, along the axis in the middle of `around`.
struct Scan<'a, T: Real, S, First, Next> {
    a: &'a [T],
    b: &'a [T],
    y: Buffer<T>,
    /// One state for each element after the axis.
    states: Vec<S>,
    around: (usize, usize, usize),
    reverse: bool,
    first: First,
    next: Next,
}

impl<T, S, First, Next> Kernel for Scan<'_, T, S, First, Next>
where
    T: Real,
    S: Copy,
    First: Fn(T, T) -> (S, T),
    Next: Fn(S, T, T) -> (S, T),
{
    type Output = Buffer<T>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Buffer<T> {
        let Scan { a, b, mut y, mut states, around: (_, n, inner), reverse, first, next } = self;
        if y.is_empty() {
            return y;
        }
        let row = |i: usize| if reverse { n - 1 - i } else { i };
        for (block, y) in y.chunks_mut(n * inner).enumerate() {
            let here = block * n * inner..(block + 1) * n * inner;
            let (a, b) = (&a[here.clone()], &b[here]);
            if inner == 1 {
                let at = row(0);
                let (mut state, value) = first(a[at], b[at]);
                y[at] = value;
                for i in 1..n {
                    let at = row(i);
                    (state, y[at]) = next(state, a[at], b[at]);
                }
                continue;
            }
            for i in 0..n {
                let here = row(i) * inner..(row(i) + 1) * inner;
                let rows = a[here.clone()].iter().zip(&b[here.clone()]).zip(&mut y[here]).zip(&mut states);
                if i == 0 {
                    rows.for_each(|(((a, b), y), state)| (*state, *y) = first(*a, *b));
                } else {
                    rows.for_each(|(((a, b), y), state)| (*state, *y) = next(*state, *a, *b));
                }
            }
        }
        y
    }
}

/// Along an axis, from the end if `reverse`: `first` of the first elements of `a` and `b` gives a state and a value, and `next` the ones
/// that follow.
fn scan<T: Real, S: Copy + Default>(
    [a, b]: [&Tensor<T>; 2],
    axis: usize,
    reverse: bool,
    first: impl Fn(T, T) -> (S, T),
    next: impl Fn(S, T, T) -> (S, T),
) -> Result<Tensor<T>, Error> {
    let shape: &Shape = a.shape();
    let around = shape.around(axis);
    // A result without elements takes no states, however long its other axes.
    let states = vec![S::default(); if shape.is_empty() { 0 } else { around.2 }];
    let kernel = Scan { a: a.as_slice(), b: b.as_slice(), y: overwritten(shape.len())?, states, around, reverse, first, next };
    Ok(Tensor::of(*shape, dispatch(kernel)))
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
