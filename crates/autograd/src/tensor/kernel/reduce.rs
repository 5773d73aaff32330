//! Reductions: sums in double precision and in a fixed order, and maxima.

use super::{
    allocate,
    dispatch::{Kernel, dispatch},
    walk::Walk,
};
use crate::{error::Error, real::Real, shape::Shape, tensor::Tensor};

/// How many partial sums run side by side; it fixes the order of summation.
const LANES: usize = 16;
/// Sums of this many elements are added up one by one.
const BLOCK: usize = 4096;
/// After so many additions to each, partial sums are added to their totals.
const SETTLE: usize = 1024;

/// The sum of a straight run, in a fixed order.
#[inline(always)]
pub(crate) fn sum_run<T: Real>(run: &[T]) -> f64 {
    let mut total = 0.0;
    for block in run.chunks(BLOCK) {
        let (groups, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for group in groups {
            for (lane, v) in lanes.iter_mut().zip(group) {
                *lane += v.to_f64();
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        total += rest.iter().fold(lanes[0], |sum, v| sum + v.to_f64());
    }
    total
}

/// Partial sums of a tensor that is summed over some of its axes.
pub(crate) struct Sums {
    totals: Vec<f64>,
    /// The sums of the latest runs, so that a total is a sum of sums and not of single elements.
    partial: Vec<f64>,
    pending: usize,
    walk: Walk,
    shape: Shape,
}

impl Sums {
    /// Sums of elements of shape `from` to the shape `to`, which stretches to `from`.
    pub(crate) fn new(from: &Shape, to: &Shape) -> Result<Sums, Error> {
        Ok(Sums { totals: allocate(to.len())?, partial: allocate(to.len())?, pending: 0, walk: Walk::stretch(to, from), shape: *to })
    }

    /// Adds the elements that stand from `start` on.
    #[inline(always)]
    pub(crate) fn add<T: Real>(&mut self, start: usize, elements: &[T]) {
        let Sums { totals, partial, pending, walk, .. } = self;
        walk.runs(start, elements.len(), |done, n, at, stride| {
            let run = &elements[done..done + n];
            match stride {
                0 => partial[at] += sum_run(run),
                1 => partial[at..at + n].iter_mut().zip(run).for_each(|(sum, v)| *sum += v.to_f64()),
                _ => run.iter().enumerate().for_each(|(i, v)| partial[at.wrapping_add_signed(i.cast_signed() * stride)] += v.to_f64()),
            }
            *pending += if stride == 0 { 1 } else { n };
            if *pending >= SETTLE * totals.len() {
                *pending = 0;
                for (total, partial) in totals.iter_mut().zip(partial.iter_mut()) {
                    *total += std::mem::take(partial);
                }
            }
        });
    }

    /// The sums, each divided by `by`, as a tensor.
    pub(crate) fn finish<T: Real>(mut self, by: f64) -> Tensor<T> {
        self.settle();
        Tensor::of(self.shape, self.totals.into_iter().map(|sum| T::of(sum / by)).collect())
    }

    /// Adds the partial sums to the totals.
    fn settle(&mut self) {
        for (total, partial) in self.totals.iter_mut().zip(&mut self.partial) {
            *total += std::mem::take(partial);
        }
        self.pending = 0;
    }
}

struct SumTo<'a, T> {
    elements: &'a [T],
    sums: Sums,
    /// What each sum is divided by.
    by: f64,
}

impl<T: Real> Kernel for SumTo<'_, T> {
    type Output = Tensor<T>;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Tensor<T> {
        if !self.elements.is_empty() {
            self.sums.add(0, self.elements);
        }
        self.sums.finish(self.by)
    }
}

/// The sum over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn sum_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    if x.shape().len() == shape.len() && !x.is_empty() {
        return Ok(x.with_shape(*shape));
    }
    Ok(dispatch(SumTo { elements: x.as_slice(), sums: Sums::new(x.shape(), shape)?, by: 1.0 }))
}

/// The mean over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn mean_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    let by = x.len() as f64 / shape.len().max(1) as f64;
    Ok(dispatch(SumTo { elements: x.as_slice(), sums: Sums::new(x.shape(), shape)?, by }))
}

struct MaxTo<'a, T> {
    elements: &'a [T],
    walk: Walk,
    largest: Vec<T>,
}

/// The larger number, or NaN if one is.
#[inline(always)]
fn larger<T: Real>(a: T, b: T) -> T {
    if (a >= b) | a.is_nan() { a } else { b }
}

impl<T: Real> Kernel for MaxTo<'_, T> {
    type Output = Vec<T>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Vec<T> {
        let MaxTo { elements, walk, mut largest } = self;
        walk.runs(0, elements.len(), |done, n, at, stride| {
            let run = &elements[done..done + n];
            match stride {
                0 => {
                    let (groups, rest) = run.as_chunks::<LANES>();
                    let mut lanes = [largest[at]; LANES];
                    for group in groups {
                        for (lane, v) in lanes.iter_mut().zip(group) {
                            *lane = larger(*lane, *v);
                        }
                    }
                    largest[at] = lanes.iter().chain(rest).fold(largest[at], |a, &b| larger(a, b));
                }
                _ => run.iter().enumerate().for_each(|(i, &v)| {
                    let at = at.wrapping_add_signed(i.cast_signed() * stride);
                    largest[at] = larger(largest[at], v);
                }),
            }
        });
        largest
    }
}

/// The largest element over the axes in which `shape` has length 1, or none, and `x` more; −∞ of none.
pub(crate) fn max_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    let mut largest = allocate(shape.len())?;
    largest.fill(T::NEG_INFINITY);
    if x.is_empty() {
        return Ok(Tensor::of(*shape, largest));
    }
    let walk = Walk::stretch(shape, x.shape());
    Ok(Tensor::of(*shape, dispatch(MaxTo { elements: x.as_slice(), walk, largest })))
}
