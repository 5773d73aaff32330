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
    partial: Vec<f64>,
    walk: Walk,
    shape: Shape,
}

impl Sums {
    /// Sums of elements of shape `from` to the shape `to`, which stretches to `from`.
    pub(crate) fn new(from: &Shape, to: &Shape) -> Result<Sums, Error> {
        Ok(Sums { partial: allocate::<f64>(to.len())?, walk: Walk::stretch(to, from), shape: *to })
    }

    /// Adds the elements that stand from `start` on.
    #[inline(always)]
    pub(crate) fn add<T: Real>(&mut self, start: usize, elements: &[T]) {
        let sums = &mut self.partial;
        self.walk.runs(start, elements.len(), |done, n, at, stride| {
            let run = &elements[done..done + n];
            match stride {
                0 => sums[at] += sum_run(run),
                1 => sums[at..at + n].iter_mut().zip(run).for_each(|(sum, v)| *sum += v.to_f64()),
                _ => run.iter().enumerate().for_each(|(i, v)| sums[at.wrapping_add_signed(i.cast_signed() * stride)] += v.to_f64()),
            }
        });
    }

    /// The sums as a tensor.
    pub(crate) fn finish<T: Real>(self) -> Tensor<T> {
        Tensor::of(self.shape, self.partial.into_iter().map(T::of).collect())
    }
}

struct SumTo<'a, T> {
    elements: &'a [T],
    sums: Sums,
}

impl<T: Real> Kernel for SumTo<'_, T> {
    type Output = Tensor<T>;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Tensor<T> {
        if !self.elements.is_empty() {
            self.sums.add(0, self.elements);
        }
        self.sums.finish()
    }
}

/// The sum over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn sum_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    if x.shape().len() == shape.len() && !x.is_empty() {
        return Ok(x.with_shape(*shape));
    }
    Ok(dispatch(SumTo { elements: x.as_slice(), sums: Sums::new(x.shape(), shape)? }))
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
