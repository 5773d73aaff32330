//! Forward derivatives along several directions at once: a stack of tangents, one after the other along a first axis.

use crate::{
    elementary::Function,
    function,
    real::Real,
    shape::{MAX_RANK, Shape},
    tensor::{Tensor, kernel::pointwise as kernel},
};

/// The number of directions.
pub(super) fn count<T: Real>(dx: &Tensor<T>) -> Option<usize> {
    dx.shape().first().copied()
}

/// The shape of a stack, with axes of length 1 in front of each entry, so that this has `rank`.
pub(super) fn padded(shape: &Shape, rank: usize) -> Option<Shape> {
    let (count, entry) = shape.split_first()?;
    Shape::joined(&[&[*count], &[1; MAX_RANK][..rank.checked_sub(entry.len())?], entry]).ok()
}

/// The stack, with axes of length 1 in front of each entry, so that this has `rank`.
pub(super) fn aligned<T: Real>(dx: &Tensor<T>, rank: usize) -> Option<Tensor<T>> {
    Some(dx.with_shape(padded(dx.shape(), rank)?))
}

/// Each entry stretched to a shape.
pub(super) fn stretched<T: Real>(dx: &Tensor<T>, shape: &Shape) -> Option<Tensor<T>> {
    aligned(dx, shape.rank())?.broadcast_as(&shape.stacked(count(dx)?).ok()?).ok()
}

/// Σₖ ∂y/∂xₖ·dxₖ of a function of numbers, for each direction: the slopes are computed once.
pub(super) fn tangents<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    dx: [Option<&Tensor<T>>; N],
) -> Option<Tensor<T>> {
    let (structure, one) = (kernel::structure(function), Tensor::scalar(T::ONE));
    let full = y.shape().stacked(count(dx.iter().flatten().next()?)?).ok()?;
    let mut sum: Option<Tensor<T>> = None;
    for k in 0..N {
        let Some(dx) = dx[k] else { continue };
        let dx = aligned(dx, y.rank())?;
        let part = match structure[k] {
            Some(0.0) => continue,
            Some(1.0) => dx,
            Some(c) => dx.mul_lit(c).ok()?,
            None => {
                let mut along = [None; N];
                along[k] = Some(&one);
                let slope = kernel::tangent(function, x, y, along).ok()?;
                if let Some(so_far) = sum {
                    sum = Some(kernel::map(&function!(|sum, slope, dx| sum + slope.masked_mul(dx)), [&so_far, &slope, &dx]).ok()?);
                    continue;
                }
                slope.masked_mul(&dx).ok()?
            }
        };
        sum = Some(match sum {
            Some(sum) => sum.add(&part).ok()?,
            None => part,
        });
    }
    match sum {
        Some(sum) if *sum.shape() == full => Some(sum),
        Some(sum) => sum.broadcast_as(&full).ok(),
        None => Tensor::filled(T::ZERO, full).ok(),
    }
}
