//! Pooling: means and maxima over ranges of an axis.

use super::{
    allocate,
    dispatch::{Kernel, dispatch},
};
use crate::{error::Error, real::Real, shape::Shape, tensor::Tensor};

/// Positions `start .. end` of an axis; a sum over them is divided by `count`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) count: f64,
}

struct Means<'a, T> {
    x: &'a [T],
    spans: &'a [Span],
    /// The length of the axis, and the number of elements after it.
    sizes: (usize, usize),
    y: &'a mut [T],
}

impl<T: Real> Kernel for Means<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Means { x, spans, sizes: (len, inner), y } = self;
        let mut sums = vec![0.0; inner];
        for (x, y) in x.chunks_exact(len * inner).zip(y.chunks_exact_mut(spans.len() * inner)) {
            if inner == 1 {
                for (span, y) in spans.iter().zip(y) {
                    *y = T::of(x[span.start..span.end].iter().fold(0.0, |sum, v| sum + v.to_f64()) / span.count);
                }
                continue;
            }
            for (span, y) in spans.iter().zip(y.chunks_exact_mut(inner)) {
                sums.fill(0.0);
                for row in x[span.start * inner..span.end * inner].chunks_exact(inner) {
                    sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v.to_f64());
                }
                y.iter_mut().zip(&sums).for_each(|(y, sum)| *y = T::of(sum / span.count));
            }
        }
    }
}

/// For each span of an axis, the mean over it; the axis becomes that of the spans. `shape` is that of the result; neither is empty.
pub(crate) fn means<T: Real>(x: &Tensor<T>, axis: usize, spans: &[Span], shape: Shape) -> Result<Tensor<T>, Error> {
    let mut y = allocate(shape.len())?;
    let (_, len, inner) = x.shape().around(axis);
    dispatch(Means { x: x.as_slice(), spans, sizes: (len, inner), y: &mut y });
    Ok(Tensor::of(shape, y))
}

struct Spread<'a, T> {
    y: &'a [T],
    spans: &'a [Span],
    sizes: (usize, usize),
    x: &'a mut [T],
}

impl<T: Real> Kernel for Spread<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Spread { y, spans, sizes: (len, inner), x } = self;
        for (x, y) in x.chunks_exact_mut(len * inner).zip(y.chunks_exact(spans.len() * inner)) {
            if inner == 1 {
                for (span, y) in spans.iter().zip(y) {
                    let part = T::of(y.to_f64() / span.count);
                    x[span.start..span.end].iter_mut().for_each(|x| *x += part);
                }
                continue;
            }
            for (span, y) in spans.iter().zip(y.chunks_exact(inner)) {
                let by = T::of(span.count);
                for row in x[span.start * inner..span.end * inner].chunks_exact_mut(inner) {
                    row.iter_mut().zip(y).for_each(|(x, y)| *x += *y / by);
                }
            }
        }
    }
}

/// The transpose of [`means`]: each element, divided by the count of its span, is added to all positions of the span.
pub(crate) fn spread<T: Real>(y: &Tensor<T>, axis: usize, spans: &[Span], shape: Shape) -> Result<Tensor<T>, Error> {
    let mut x = allocate(shape.len())?;
    let (_, len, inner) = shape.around(axis);
    dispatch(Spread { y: y.as_slice(), spans, sizes: (len, inner), x: &mut x });
    Ok(Tensor::of(shape, x))
}

/// Calls `visit(first, rows, columns)` for each window of a stack of matrices: the place of its first element, and its lengths.
#[inline(always)]
pub(crate) fn each_window(
    matrices: usize,
    (height, width): (usize, usize),
    rows: &[Span],
    columns: &[Span],
    mut visit: impl FnMut(usize, usize, usize),
) {
    for matrix in 0..matrices {
        for row in rows {
            for column in columns {
                visit((matrix * height + row.start) * width + column.start, row.end - row.start, column.end - column.start);
            }
        }
    }
}

/// For each window, the place of its largest element, the first of them, or of its first NaN. No window is empty.
pub(crate) fn winners<T: Real>(x: &[T], matrices: usize, size: (usize, usize), rows: &[Span], columns: &[Span]) -> Vec<usize> {
    let width = size.1;
    let mut winners = Vec::with_capacity(matrices * rows.len() * columns.len());
    each_window(matrices, size, rows, columns, |first, height, breadth| {
        let (mut winner, mut largest) = (first, x[first]);
        for row in 0..height {
            let start = first + row * width;
            for (i, &v) in x[start..start + breadth].iter().enumerate() {
                // Larger, or the first NaN; without branches, which nobody could predict.
                let better = ((v > largest) | v.is_nan()) & !largest.is_nan();
                winner = if better { start + i } else { winner };
                largest = if better { v } else { largest };
            }
        }
        winners.push(winner);
    });
    winners
}
