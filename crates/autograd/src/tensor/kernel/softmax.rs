//! Rows of exponentials: the largest element of each row, and the sum of e^(x − largest), while the row is in the innermost cache.

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::larger,
    threads,
};
use crate::{
    elementary::Numeric,
    error::Error,
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// How many elements are looked at side by side.
const LANES: usize = 16;
/// After so many additions to each lane, the lanes are added to a sum in double precision.
const SETTLE: usize = 16;

struct Rows<'a, T> {
    x: &'a [T],
    /// The length of a row.
    n: usize,
    /// Whether 0 stands in for a largest element that is infinite.
    is_finite: bool,
    largest: &'a mut [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((row, largest), sum) in self.x.chunks(self.n).zip(self.largest).zip(self.sums) {
            let (groups, rest) = row.as_chunks::<LANES>();
            let mut lanes = [T::NEG_INFINITY; LANES];
            for group in groups {
                for (lane, v) in lanes.iter_mut().zip(group) {
                    *lane = larger(*lane, *v);
                }
            }
            *largest = lanes.iter().chain(rest).fold(T::NEG_INFINITY, |a, &b| larger(a, b));
            if self.is_finite && !largest.is_finite() && !largest.is_nan() {
                *largest = T::ZERO;
            }
            let mut total = 0.0;
            for groups in groups.chunks(SETTLE) {
                let mut lanes = [T::ZERO; LANES];
                for group in groups {
                    for (lane, v) in lanes.iter_mut().zip(group) {
                        *lane += Numeric::exp::<FMA>(*v - *largest);
                    }
                }
                total += lanes.iter().map(|lane| lane.to_f64()).sum::<f64>();
            }
            // The last few are filled up with their first, which then counts once.
            if let Some(&first) = rest.first() {
                let mut group = [first; LANES];
                group[..rest.len()].copy_from_slice(rest);
                for v in &mut group {
                    *v = Numeric::exp::<FMA>(*v - *largest);
                }
                total += group[..rest.len()].iter().map(|v| v.to_f64()).sum::<f64>();
            }
            *sum = T::of(total);
        }
    }
}

/// The largest element of each row of `n`, and the sum of e^(x − largest) over it, both of shape `kept`.
pub(crate) fn rows<T: Real>(x: &Tensor<T>, n: usize, kept: &Shape, is_finite: bool) -> Result<(Tensor<T>, Tensor<T>), Error> {
    let (mut largest, mut sums): (Buffer<T>, Buffer<T>) = (overwritten(kept.len())?, overwritten(kept.len())?);
    // Whole rows to each part.
    let rows = (threads::part_of(x.len()) / n).max(1);
    let parts = x.as_slice().chunks(rows * n).zip(largest.chunks_mut(rows).zip(sums.chunks_mut(rows))).collect();
    threads::each(x.len(), parts, &|(x, (largest, sums)): (&[T], (&mut [T], &mut [T]))| {
        dispatch(Rows { x, n, is_finite, largest, sums });
    });
    Ok((Tensor::of(*kept, largest), Tensor::of(*kept, sums)))
}
