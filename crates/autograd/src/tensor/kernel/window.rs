//! Pooling: means and maxima over ranges of an axis.

use super::{
    allocate,
    dispatch::{Kernel, dispatch},
    lanes::{Transposes, Vectorised, vectorised},
    overwritten, threads,
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
    let per = threads::rows_of_part(x.len(), len * inner);
    let parts = x.as_slice().chunks(per * len * inner).zip(y.chunks_mut(per * spans.len() * inner));
    threads::all(x.len(), parts.map(|(x, y)| Means { x, spans, sizes: (len, inner), y }), &dispatch);
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
    let per = threads::rows_of_part(x.len(), len * inner);
    let parts = y.as_slice().chunks(per * spans.len() * inner).zip(x.chunks_mut(per * len * inner));
    threads::all(shape.len(), parts.map(|(y, x)| Spread { y, spans, sizes: (len, inner), x }), &dispatch);
    Ok(Tensor::of(shape, x))
}

/// How windows of the largest elements lie over a stack of matrices. No window is empty.
#[derive(Debug)]
pub(crate) struct Windows {
    pub(crate) matrices: usize,
    /// Rows and columns of a matrix.
    pub(crate) size: (usize, usize),
    pub(crate) rows: Vec<Span>,
    pub(crate) columns: Vec<Span>,
    /// Columns of a window, from one window to the next, and how many the first one begins before the matrix.
    pub(crate) breadth: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

/// Calls `visit(first, rows, columns)` for each window: the place of its first element, and its lengths.
pub(crate) fn each_window(windows: &Windows, mut visit: impl FnMut(usize, usize, usize)) {
    let &Windows { matrices, size: (height, width), ref rows, ref columns, .. } = windows;
    for matrix in 0..matrices {
        for row in rows {
            for column in columns {
                visit((matrix * height + row.start) * width + column.start, row.end - row.start, column.end - column.start);
            }
        }
    }
}

impl Windows {
    /// Elements of a matrix, and its windows.
    fn lengths(&self) -> (usize, usize) {
        (self.size.0 * self.size.1, self.rows.len() * self.columns.len())
    }

    /// How many matrices a part of the work has.
    fn part(&self) -> usize {
        threads::rows_of_part(self.matrices * self.lengths().0, self.lengths().0)
    }

    /// Whether vectors of neighbouring windows pay, of so many lanes: few windows would leave most lanes empty, and windows far wider than a
    /// matrix are mostly padding. The place of a column in a window must fit a code as well.
    fn suit_vectors(&self, lanes: usize) -> bool {
        let (width, rows) = (self.size.1, self.rows.iter().map(|span| span.end - span.start).max().unwrap_or(0));
        let reach = rows.saturating_mul(width).saturating_add(self.breadth);
        3 * self.columns.len() >= lanes && self.breadth <= width.saturating_mul(2) && u32::try_from(reach).is_ok()
    }

    /// The largest elements: the first of them, or the first NaN.
    pub(crate) fn largest<T: Real>(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        let ((elements, windows), part) = (self.lengths(), self.part());
        let parts = x.chunks(part * elements).zip(y.chunks_mut(part * windows)).collect();
        let run = |(x, values): (&[T], &mut [T])| vectorised(Largest { x, windows: self, values, places: &mut [] });
        threads::each(x.len(), parts, &run).into_iter().collect()
    }

    /// Where those stand.
    pub(crate) fn winners<T: Real>(&self, x: &[T]) -> Result<Vec<usize>, Error> {
        let ((elements, windows), part) = (self.lengths(), self.part());
        let mut winners = vec![0; self.matrices * windows];
        let parts = (0..).step_by(part * elements).zip(x.chunks(part * elements)).zip(winners.chunks_mut(part * windows)).collect();
        let run = |((start, x), places): ((usize, &[T]), &mut [usize])| {
            vectorised(Largest { x, windows: self, values: &mut [], places })?;
            for place in places {
                *place += start;
            }
            Ok(())
        };
        threads::each(x.len(), parts, &run).into_iter().collect::<Result<(), Error>>()?;
        Ok(winners)
    }

    /// Adds to `to` where those stand.
    pub(crate) fn add_to_winners<T: Real>(&self, x: &[T], d: &[T], to: &mut [T]) -> Result<(), Error> {
        let ((elements, windows), part) = (self.lengths(), self.part());
        let parts = x.chunks(part * elements).zip(d.chunks(part * windows)).zip(to.chunks_mut(part * elements)).collect();
        let run = |((x, d), to): ((&[T], &[T]), &mut [T])| {
            let mut places = vec![0; d.len()];
            vectorised(Largest { x, windows: self, values: &mut [], places: &mut places })?;
            for (place, d) in places.iter().zip(d) {
                to[*place] += *d;
            }
            Ok(())
        };
        threads::each(x.len(), parts, &run).into_iter().collect()
    }
}

/// The largest elements of windows, or where they stand: of `values` and `places` the other is empty.
struct Largest<'a, T> {
    x: &'a [T],
    windows: &'a Windows,
    values: &'a mut [T],
    places: &'a mut [usize],
}

impl<T: Real> Largest<'_, T> {
    /// One window after the other.
    #[inline(always)]
    fn one_by_one<S: Transposes>(self, simd: S) {
        let Largest { x, windows, values, places } = self;
        let (width, mut held, mut done) = (windows.size.1, vec![T::ZERO; T::lanes::<S>()], 0);
        for matrix in (0..x.len()).step_by(windows.lengths().0) {
            for rows in &windows.rows {
                for columns in &windows.columns {
                    let first = matrix + rows.start * width + columns.start;
                    let size = (rows.end - rows.start, columns.end - columns.start);
                    // Whole rows are one long row.
                    let size = if size.1 == width { (1, size.0 * width) } else { size };
                    let place = winner(simd, x, (first, width), size, &mut held);
                    if values.is_empty() {
                        places[done] = place;
                    } else {
                        values[done] = x[place];
                    }
                    done += 1;
                }
            }
        }
    }
}

/// Where the largest element of a window of so many rows and columns stands: the first of them, or the first NaN. The rows begin at `first`
/// and then every `step`; `held` has room for the lanes of a vector.
#[inline(always)]
fn winner<S: Transposes, T: Real>(
    simd: S,
    x: &[T],
    (first, step): (usize, usize),
    (rows, columns): (usize, usize),
    held: &mut [T],
) -> usize {
    /// So many elements are looked through for a better one before one is looked for.
    const PIECE: usize = 256;
    let (mut place, mut best) = (first, x[first]);
    for row in 0..rows {
        for done in (0..columns).step_by(PIECE) {
            let start = first + row * step + done;
            let piece = &x[start..start + PIECE.min(columns - done)];
            if may_be_beaten(simd, best, piece, held) {
                for (i, &value) in piece.iter().enumerate() {
                    if is_better(value, best) {
                        (place, best) = (start + i, value);
                    }
                }
            }
        }
    }
    place
}

/// Whether an element is better than the best one so far, or there are too few to look in vectors.
#[inline(always)]
fn may_be_beaten<S: Transposes, T: Real>(simd: S, best: T, elements: &[T], held: &mut [T]) -> bool {
    let lanes = held.len();
    if elements.len() < 2 * lanes {
        return true;
    }
    let code = T::splat_code(simd, T::code(0));
    let mut of_lanes = (T::splat(simd, best), code);
    for &vector in T::vectors::<S>(elements) {
        of_lanes = T::better(simd, (vector, code), of_lanes);
    }
    let last = T::vectors::<S>(&elements[elements.len() - lanes..])[0];
    T::vectors_mut::<S>(held)[0] = T::better(simd, (last, code), of_lanes).0;
    let mut is_beaten = false;
    for &value in held.iter() {
        is_beaten |= is_better(value, best);
    }
    is_beaten
}

/// Whether a value is larger than the best, or the first NaN.
#[inline(always)]
fn is_better<T: Real>(value: T, best: T) -> bool {
    ((value > best) | value.is_nan()) & !best.is_nan()
}

impl<T: Real> Vectorised for Largest<'_, T> {
    type Output = Result<(), Error>;
    #[inline(always)]
    fn run<S: Transposes>(self, simd: S) -> Result<(), Error> {
        if !self.windows.suit_vectors(T::lanes::<S>()) {
            self.one_by_one(simd);
            return Ok(());
        }
        let Largest { x, windows, values, places } = self;
        let &Windows { size: (height, width), ref rows, ref columns, breadth, stride, padding, .. } = windows;
        let (count, lanes) = (columns.len(), T::lanes::<S>());
        // Every stride-th column stands side by side, so that the columns of neighbouring windows do; outside the matrix is −∞, which never wins.
        let length = count.next_multiple_of(lanes) + (breadth - 1) / stride;
        let phases: Vec<_> = (0..stride.min(breadth))
            .map(|phase| {
                let first = padding.saturating_sub(phase).div_ceil(stride);
                let column = first.saturating_mul(stride).saturating_add(phase).saturating_sub(padding);
                (phase * length + first, (phase + 1) * length, column)
            })
            .filter(|(.., column)| *column < width)
            .collect();
        let from: Vec<_> = (0..breadth).map(|i| (i % stride) * length + i / stride).collect();
        let step = stride.min(breadth) * length;
        let mut whole = overwritten(height * step)?;
        whole.fill(T::NEG_INFINITY);
        let mut largest = vec![T::ZERO; count.next_multiple_of(lanes)];
        let mut winners = vec![T::Code::default(); largest.len()];
        let mut firsts = winners.clone();
        for (i, column) in columns.iter().enumerate() {
            firsts[i] = T::code(column.start + padding - i * stride);
        }
        let mut done = 0;
        for (matrix, x) in x.chunks_exact(height * width).enumerate() {
            // All rows first: what has just been written in pieces is read slowly as a whole.
            for (x, row) in x.chunks_exact(width).zip(whole.chunks_exact_mut(step)) {
                for &(start, end, column) in &phases {
                    every(&x[column..], stride, &mut row[start..end]);
                }
            }
            for span in rows {
                for w in 0..count.div_ceil(lanes) {
                    let mut best = (T::splat(simd, T::NEG_INFINITY), T::codes::<S>(&firsts)[w]);
                    for at in span.start..span.end {
                        let row = &whole[at * step + w * lanes..(at + 1) * step];
                        let code = (at - span.start) * width;
                        for i in 0..breadth {
                            let v = T::vectors::<S>(&row[from[i]..][..lanes])[0];
                            best = T::better(simd, (v, T::splat_code(simd, T::code(code + i))), best);
                        }
                    }
                    (T::vectors_mut::<S>(&mut largest)[w], T::codes_mut::<S>(&mut winners)[w]) = best;
                }
                if values.is_empty() {
                    let places = &mut places[done..done + count];
                    let first = (matrix * height + span.start) * width;
                    for i in 0..count {
                        places[i] = first + i * stride + T::number(winners[i]) - padding;
                    }
                } else {
                    values[done..done + count].copy_from_slice(&largest[..count]);
                }
                done += count;
            }
        }
        Ok(())
    }
}

/// Every `stride`-th element, as many as there is room for.
#[inline(always)]
fn every<T: Real>(from: &[T], stride: usize, to: &mut [T]) {
    let n = from.len().div_ceil(stride).min(to.len());
    match stride {
        1 => every_by::<8, 8, T>(from, 1, &mut to[..n]),
        2 => every_by::<8, 16, T>(from, 2, &mut to[..n]),
        _ => (0..n).for_each(|i| to[i] = from[i * stride]),
    }
}

/// The same, `N` elements of `SPAN` at a time.
#[inline(always)]
fn every_by<const N: usize, const SPAN: usize, T: Real>(from: &[T], stride: usize, to: &mut [T]) {
    let whole = (from.len() / SPAN).min(to.len() / N);
    for i in 0..whole {
        copy::<N, SPAN, T>(&from[i * SPAN..], stride, &mut to[i * N..]);
    }
    let done = whole * N;
    if done == to.len() {
        return;
    }
    if from.len() >= SPAN && to.len() >= N && (to.len() - N) * stride + SPAN <= from.len() {
        let last = to.len() - N;
        copy::<N, SPAN, T>(&from[last * stride..], stride, &mut to[last..]);
        return;
    }
    for i in done..to.len() {
        to[i] = from[i * stride];
    }
}

#[inline(always)]
fn copy<const N: usize, const SPAN: usize, T: Real>(from: &[T], stride: usize, to: &mut [T]) {
    let (Some(from), Some(to)) = (from.first_chunk::<SPAN>(), to.first_chunk_mut::<N>()) else { return };
    for k in 0..N {
        to[k] = from[k * stride];
    }
}
