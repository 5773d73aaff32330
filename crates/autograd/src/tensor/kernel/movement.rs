//! Moving elements without computing: permuting, joining, padding.

use super::{overwritten, threads, walk::Walk};
use crate::{
    error::Error,
    real::Real,
    shape::{MAX_RANK, Shape},
    tensor::Tensor,
};

/// The tensor with its axes in the order `axes`, which names each once.
pub(crate) fn permute<T: Real>(x: &Tensor<T>, axes: &[usize]) -> Result<Tensor<T>, Error> {
    let own = x.shape().strides();
    let (mut lengths, mut strides) = ([0; MAX_RANK], [0; MAX_RANK]);
    for (to, &from) in axes.iter().enumerate() {
        (lengths[to], strides[to]) = (x.shape()[from], own[from].cast_signed());
    }
    let shape = Shape::new(&lengths[..axes.len()])?;
    Walk::new(&shape, &strides[..axes.len()], 0).gather(x.as_slice(), shape)
}

/// Tensors that differ at most in `axis`, one after the other; `shape` is that of the result.
pub(crate) fn concat<T: Real>(parts: &[&Tensor<T>], axis: usize, shape: Shape) -> Result<Tensor<T>, Error> {
    let mut elements = overwritten(shape.len())?;
    if elements.is_empty() {
        return Ok(Tensor::of(shape, elements));
    }
    let (rows, n, inner) = shape.around(axis);
    let whole = n * inner;
    let rows_of_part = threads::rows_of_part(shape.len(), whole);
    let work = (0..).step_by(rows_of_part).zip(elements.chunks_mut(rows_of_part * whole));
    threads::all(shape.len(), work, &|(first, y): (usize, &mut [T])| {
        for (row, mut y) in (first..).zip(y.chunks_exact_mut(whole)) {
            for part in parts {
                let n = part.len() / rows;
                let (to, rest) = y.split_at_mut(n);
                to.copy_from_slice(&part.as_slice()[row * n..(row + 1) * n]);
                y = rest;
            }
        }
    });
    Ok(Tensor::of(shape, elements))
}

/// The tensor with so many positions before those of an axis, and others after them, that all hold `value`; `shape` is that of the result.
pub(crate) fn pad<T: Real>(x: &Tensor<T>, axis: usize, before: usize, value: T, shape: Shape) -> Result<Tensor<T>, Error> {
    let mut elements = overwritten(shape.len())?;
    let ((_, len, inner), (_, padded, _)) = (x.shape().around(axis), shape.around(axis));
    let (n, whole, before) = (len * inner, padded * inner, before * inner);
    if n == 0 || whole == 0 {
        elements.fill(value);
        return Ok(Tensor::of(shape, elements));
    }
    let rows = threads::rows_of_part(shape.len(), whole);
    let parts = x.as_slice().chunks(rows * n).zip(elements.chunks_mut(rows * whole));
    threads::all(shape.len(), parts, &|(x, y): (&[T], &mut [T])| {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(whole)) {
            y[..before].fill(value);
            y[before..before + n].copy_from_slice(x);
            y[before + n..].fill(value);
        }
    });
    Ok(Tensor::of(shape, elements))
}
