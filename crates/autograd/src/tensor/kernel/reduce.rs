//! Reductions: sums in double precision and in a fixed order, products, extremes and their positions.

use super::{
    Buffer, allocate,
    dispatch::{Kernel, dispatch},
    overwritten, threads,
    walk::{Rows, Walk},
};
use crate::{error::Error, real::Real, shape::Shape, tensor::Tensor};

/// How many partial sums run side by side; it fixes the order of summation.
const LANES: usize = 4 * VECTOR;
/// So many of them are one vector, at best.
const VECTOR: usize = 8;
/// Axes of fewer elements are short.
const SHORT: usize = 16;
/// Sums of this many elements are added up one by one.
const BLOCK: usize = 4096;
/// After so many additions to each, partial sums are added to their totals.
const SETTLE: usize = 1024;

/// The sum of a straight run, in a fixed order.
#[inline(always)]
pub(crate) fn sum_run<T: Real>(run: &[T]) -> f64 {
    if run.len() < LANES { sum_few(run) } else { dispatch(SumRun(run)) }
}

/// The sum of many elements, in vectors of its own: in the middle of another loop they would not be kept.
struct SumRun<'a, T>(&'a [T]);

impl<T: Real> Kernel for SumRun<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut total = 0.0;
        for block in self.0.chunks(BLOCK) {
            let (groups, rest) = block.as_chunks::<LANES>();
            let (mut a, mut b, mut c, mut d) = ([0.0; VECTOR], [0.0; VECTOR], [0.0; VECTOR], [0.0; VECTOR]);
            for group in groups {
                if let [w, x, y, z] = group.as_chunks().0 {
                    add_vector(&mut a, w);
                    add_vector(&mut b, x);
                    add_vector(&mut c, y);
                    add_vector(&mut d, z);
                }
            }
            add_vector(&mut a, &b);
            add_vector(&mut c, &d);
            add_vector(&mut a, &c);
            total += of_lanes(&a, |a, b| a + b) + sum_few(rest);
        }
        total
    }
}

#[inline(always)]
fn add_vector<T: Real>(sums: &mut [f64; VECTOR], v: &[T; VECTOR]) {
    for i in 0..VECTOR {
        sums[i] += v[i].to_f64();
    }
}

/// The sum of less than [`LANES`] elements.
#[inline(always)]
fn sum_few<T: Real>(run: &[T]) -> f64 {
    let (fours, rest) = run.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for four in fours {
        for i in 0..4 {
            lanes[i] += four[i].to_f64();
        }
    }
    let mut total = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    for v in rest {
        total += v.to_f64();
    }
    total
}

/// Brings the lanes together, of which there are a power of two. A call, since the halves of a tree would be the vectors that the loop before it is
/// made of.
#[inline(never)]
pub(super) fn of_lanes<T: Copy, const N: usize>(lanes: &[T; N], join: impl Fn(T, T) -> T) -> T {
    let (mut lanes, mut width) = (*lanes, N / 2);
    while width > 0 {
        for k in 0..width {
            lanes[k] = join(lanes[k], lanes[k + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Adds neighbours to neighbours. Few of them are taken by eights and fours, without a loop.
#[inline(always)]
pub(super) fn add_run<S: Real, T: Real>(sums: &mut [S], run: &[T], of: impl Fn(T) -> S) {
    let n = sums.len().min(run.len());
    let (sums, run) = (&mut sums[..n], &run[..n]);
    let mut done = 0;
    if n < SHORT {
        done += add_few::<8, S, T>(sums, run, &of);
        done += add_few::<4, S, T>(&mut sums[done..], &run[done..], &of);
    }
    for i in done..n {
        sums[i] += of(run[i]);
    }
}

/// Adds the sums of rows of a few elements.
struct ShortRows<'a, T> {
    sums: &'a mut [f64],
    rows: &'a [T],
    n: usize,
}

impl<T: Real> Kernel for ShortRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let ShortRows { sums, rows, n } = self;
        for i in 0..sums.len() {
            sums[i] += sum_few(&rows[i * n..(i + 1) * n]);
        }
    }
}

/// Adds rows of as many elements as there are sums, which are few: as many rows as a vector has elements side by side. Those that are left are
/// given back.
struct Together<'a, 'r, T> {
    sums: &'a mut [f64],
    rows: &'r [T],
}

impl<'r, T: Real> Kernel for Together<'_, 'r, T> {
    type Output = &'r [T];
    #[inline(always)]
    fn run<const FMA: bool>(self) -> &'r [T] {
        let Together { sums, rows } = self;
        let (mut lanes, n, mut at) = ([0.0; SHORT * VECTOR], sums.len(), 0);
        let lanes = &mut lanes[..n * VECTOR];
        while at + lanes.len() <= rows.len() {
            let rows = &rows[at..at + lanes.len()];
            for i in 0..lanes.len() {
                lanes[i] += rows[i].to_f64();
            }
            at += lanes.len();
        }
        for k in 0..n {
            let mut sum = 0.0;
            for i in 0..VECTOR {
                sum += lanes[i * n + k];
            }
            sums[k] += sum;
        }
        &rows[at..]
    }
}

/// Adds `N` neighbours, if there are as many; they are an array of their own, which overlaps nothing.
#[inline(always)]
fn add_few<const N: usize, S: Real, T: Real>(sums: &mut [S], run: &[T], of: &impl Fn(T) -> S) -> usize {
    let (Some(sums), Some(run)) = (sums.first_chunk_mut::<N>(), run.first_chunk::<N>()) else { return 0 };
    let mut few = *sums;
    for k in 0..N {
        few[k] += of(run[k]);
    }
    *sums = few;
    N
}

/// Partial sums of a tensor that is summed over some of its axes.
pub(crate) struct Sums {
    totals: Buffer<f64>,
    /// The sums of the latest runs, so that a total is a sum of sums and not of single elements.
    partial: Buffer<f64>,
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
    fn add<T: Real>(&mut self, start: usize, elements: &[T]) {
        let Sums { totals, partial, pending, walk, .. } = self;
        let mut runs = walk.straight(start, elements.len());
        while let Some(Rows { done, count, at, step, n, stride }) = runs.next_rows() {
            let mut rows = &elements[done..done + count * n];
            match (step, stride) {
                (1, 0) if n < SHORT => dispatch(ShortRows { sums: &mut partial[at..at + count], rows, n }),
                _ => {
                    let mut at = at;
                    if (step, stride) == (0, 1) && n < SHORT {
                        rows = dispatch(Together { sums: &mut partial[at..at + n], rows });
                    }
                    for run in rows.chunks_exact(n) {
                        match stride {
                            0 => partial[at] += sum_run(run),
                            1 => add_run(&mut partial[at..at + n], run, Real::to_f64),
                            _ => {
                                for i in 0..n {
                                    partial[at.wrapping_add_signed(i.cast_signed() * stride)] += run[i].to_f64();
                                }
                            }
                        }
                        at = at.wrapping_add_signed(step);
                    }
                }
            }
            *pending += count * if stride == 0 { 1 } else { n };
            if *pending >= SETTLE * totals.len() {
                *pending = 0;
                settle(totals, partial);
            }
        }
    }

    /// Whether so many sums are small beside a part of so many elements, so that each part can have its own.
    pub(crate) fn fit(sums: usize, part: usize) -> bool {
        sums <= part / 4
    }

    /// The sums over all elements, part by part; `add` adds those from a place on, so many, to the sums of its part.
    fn in_parts(from: &Shape, to: &Shape, add: &(dyn Fn(Sums, usize, usize) -> Sums + Sync)) -> Result<Sums, Error> {
        let (len, part) = (from.len(), threads::part_of(from.len()));
        if len <= part || !Sums::fit(to.len(), part) {
            return Ok(add(Sums::new(from, to)?, 0, len));
        }
        let starts = (0..len).step_by(part);
        let parts = starts.map(|start| Ok((Sums::new(from, to)?, start))).collect::<Result<Vec<_>, Error>>()?;
        let mut all = threads::each(len, parts, &|(sums, start)| add(sums, start, part.min(len - start))).into_iter();
        let mut total = all.next().map_or_else(|| Sums::new(from, to), Ok)?;
        all.for_each(|sums| total.absorb(sums));
        Ok(total)
    }

    /// Adds the sums of the next part.
    pub(crate) fn absorb(&mut self, mut next: Sums) {
        self.settle();
        next.settle();
        for (total, next) in self.totals.iter_mut().zip(&next.totals) {
            *total += next;
        }
    }

    /// The sums, each divided by `by`, as a tensor.
    pub(crate) fn finish<T: Real>(mut self, by: f64) -> Tensor<T> {
        self.settle();
        Tensor::of(self.shape, self.totals.iter().map(|sum| T::of(sum / by)).collect::<Buffer<T>>())
    }

    /// Adds the partial sums to the totals.
    fn settle(&mut self) {
        settle(&mut self.totals, &mut self.partial);
        self.pending = 0;
    }
}

#[inline(never)]
fn settle(totals: &mut [f64], partial: &mut [f64]) {
    for (total, partial) in totals.iter_mut().zip(partial) {
        *total += std::mem::take(partial);
    }
}

/// Adds the elements that stand from `start` on.
pub(super) struct Summing<'a, T> {
    pub(super) sums: &'a mut Sums,
    pub(super) start: usize,
    pub(super) run: &'a [T],
}

impl<T: Real> Kernel for Summing<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        if !self.run.is_empty() {
            self.sums.add(self.start, self.run);
        }
    }
}

fn sums_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Sums, Error> {
    let elements = x.as_slice();
    Sums::in_parts(x.shape(), shape, &|mut sums, start, len| {
        dispatch(Summing { sums: &mut sums, start, run: &elements[start..start + len] });
        sums
    })
}

/// The sum over the axes in which `shape` has length 1, or none, and `x` more, divided by `by`.
fn sum_by<T: Real>(x: &Tensor<T>, shape: &Shape, by: f64) -> Result<Tensor<T>, Error> {
    let elements = x.as_slice();
    if shape.len() == 1 && !elements.is_empty() && elements.len() <= threads::part_of(elements.len()) {
        // The same sum of one part, one run and one result, which needs no memory.
        return Ok(Tensor::one(shape.rank(), T::of(sum_run(elements) / by)));
    }
    Ok(sums_to(x, shape)?.finish(by))
}

/// The sum over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn sum_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    if x.shape().len() == shape.len() && !x.is_empty() {
        return Ok(x.with_shape(*shape));
    }
    sum_by(x, shape, 1.0)
}

/// The mean over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn mean_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    sum_by(x, shape, x.len() as f64 / shape.len().max(1) as f64)
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Real> Kernel for AllFinite<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> bool {
        T::are_finite(self.0)
    }
}

/// Whether no number is infinite or NaN.
pub(crate) fn all_finite<T: Real>(x: &[T]) -> bool {
    dispatch(AllFinite(x))
}

/// Elements that stand next to each other are prepared in blocks of this many before they are added up.
const PREPARED: usize = 1024;

/// f(x, c) for the elements from `start` on, where `c` is stretched to them.
#[inline(always)]
fn with_stretched<T: Real, R: Real>(x: &[T], (c, walk): (&[f64], &Walk), start: usize, to: &mut [R], f: impl Fn(f64, f64) -> f64) {
    let mut runs = walk.straight(start, x.len());
    while let Some((done, n, at, stride)) = runs.next() {
        let (x, to) = (&x[done..done + n], &mut to[done..done + n]);
        match stride {
            0 => {
                let c = c[at];
                for i in 0..n {
                    to[i] = R::of(f(x[i].to_f64(), c));
                }
            }
            1 => {
                let c = &c[at..at + n];
                for i in 0..n {
                    to[i] = R::of(f(x[i].to_f64(), c[i]));
                }
            }
            _ => {
                for i in 0..n {
                    to[i] = R::of(f(x[i].to_f64(), c[at.wrapping_add_signed(i.cast_signed() * stride)]));
                }
            }
        }
    }
}

struct SumOf<'a, T, F> {
    elements: &'a [T],
    start: usize,
    from: &'a [f64],
    walk: &'a Walk,
    sums: Sums,
    function: F,
}

impl<T: Real, F: Fn(f64, f64) -> f64> Kernel for SumOf<'_, T, F> {
    type Output = Sums;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Sums {
        let mut values = [0.0; PREPARED];
        for (start, run) in (self.start..).step_by(PREPARED).zip(self.elements.chunks(PREPARED)) {
            let values = &mut values[..run.len()];
            with_stretched(run, (self.from, self.walk), start, values, &self.function);
            dispatch(Summing { sums: &mut self.sums, start, run: values });
        }
        self.sums
    }
}

/// Σ f(x, c) in double precision over the axes in which `shape` has length 1, or none, and `x` more; `c` stretches to `x`.
pub(crate) fn sum_of<T: Real>(
    x: &Tensor<T>,
    c: &Tensor<f64>,
    shape: &Shape,
    function: impl Fn(f64, f64) -> f64 + Copy + Send + Sync,
) -> Result<Tensor<f64>, Error> {
    let (walk, elements) = (Walk::stretch(c.shape(), x.shape()), x.as_slice());
    let sums = Sums::in_parts(x.shape(), shape, &|sums, start, len| {
        dispatch(SumOf { elements: &elements[start..start + len], start, from: c.as_slice(), walk: &walk, sums, function })
    })?;
    Ok(sums.finish(1.0))
}

/// The means over the axes in which `kept` has length 1, of which there is at least one element, in double precision. They are counted
/// from the first element of each, so that the mean of equal numbers is that number and nothing is left of it when it is taken away.
pub(crate) fn means_of<T: Real>(x: &Tensor<T>, kept: &Shape) -> Result<Tensor<f64>, Error> {
    if x.is_empty() {
        return Ok(Tensor::of(*kept, allocate(kept.len())?));
    }
    let strides = x.shape().strides().map(usize::cast_signed);
    let first = Walk::new(kept, &strides[..kept.rank()], 0).gather(x.as_slice(), *kept)?.cast::<f64>();
    let rest = sum_of(x, &first, kept, |x, first| x - first)?;
    let by = x.len() as f64 / kept.len() as f64;
    Ok(Tensor::of(*kept, first.as_slice().iter().zip(rest.as_slice()).map(|(first, rest)| first + rest / by).collect::<Buffer<f64>>()))
}

struct Without<'a, T> {
    elements: &'a [T],
    means: &'a [f64],
    walk: &'a Walk,
    start: usize,
    y: &'a mut [T],
}

impl<T: Real> Kernel for Without<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        with_stretched(self.elements, (self.means, self.walk), self.start, self.y, |x, mean| x - mean);
    }
}

/// x without its [means](means_of).
pub(crate) fn without_means<T: Real>(x: &Tensor<T>, kept: &Shape) -> Result<Tensor<T>, Error> {
    let means = means_of(x, kept)?;
    let (walk, mut y, part) = (Walk::stretch(kept, x.shape()), overwritten(x.len())?, threads::part_of(x.len()));
    let parts = (0..).step_by(part).zip(x.as_slice().chunks(part).zip(y.chunks_mut(part)));
    let parts = parts.map(|(start, (elements, y))| Without { elements, means: means.as_slice(), walk: &walk, start, y });
    threads::all(x.len(), parts, &dispatch);
    Ok(Tensor::of(*x.shape(), y))
}

/// How elements are put together where the order does not matter.
pub(crate) trait Fold<T> {
    /// What they are put together in.
    type Total: Real;
    /// The result of no elements.
    fn start() -> Self::Total;
    /// One more element.
    fn step(total: Self::Total, v: T) -> Self::Total;
    /// Two results.
    fn merge(a: Self::Total, b: Self::Total) -> Self::Total;
}

/// The larger number, or NaN if one is.
#[inline(always)]
fn larger<T: Real>(a: T, b: T) -> T {
    if (a >= b) | a.is_nan() { a } else { b }
}

/// The smaller number, or NaN if one is.
#[inline(always)]
fn smaller<T: Real>(a: T, b: T) -> T {
    if (a <= b) | a.is_nan() { a } else { b }
}

macro_rules! folds {
    ($( $(#[doc = $doc:literal])* $Name:ident: $Total:ty = $start:expr, |$total:ident, $v:ident| $step:expr, $merge:expr; )*) => { $(
        $(#[doc = $doc])*
        pub(crate) struct $Name;
        impl<T: Real> Fold<T> for $Name {
            type Total = $Total;
            #[inline(always)]
            fn start() -> $Total {
                $start
            }
            #[inline(always)]
            fn step($total: $Total, $v: T) -> $Total {
                $step
            }
            #[inline(always)]
            fn merge(a: $Total, b: $Total) -> $Total {
                $merge(a, b)
            }
        }
    )* };
}
folds! {
    /// The largest element; −∞ of none.
    Largest: T = T::NEG_INFINITY, |total, v| larger(total, v), larger;
    /// The smallest element; +∞ of none.
    Smallest: T = -T::NEG_INFINITY, |total, v| smaller(total, v), smaller;
    /// The largest |x|; 0 of none.
    LargestSize: T = T::ZERO, |total, v| larger(total, v.abs::<false>()), larger;
    /// The smallest |x|; +∞ of none.
    SmallestSize: T = -T::NEG_INFINITY, |total, v| smaller(total, v.abs::<false>()), smaller;
    /// The product in double precision; 1 of none.
    Product: f64 = 1.0, |total, v| total * v.to_f64(), std::ops::Mul::mul;
}

struct FoldTo<'a, T, F: Fold<T>> {
    elements: &'a [T],
    start: usize,
    walk: &'a Walk,
    totals: Buffer<F::Total>,
}

impl<T: Real, F: Fold<T>> Kernel for FoldTo<'_, T, F> {
    type Output = Buffer<F::Total>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Buffer<F::Total> {
        let FoldTo { elements, start, walk, mut totals } = self;
        let mut runs = walk.straight(start, elements.len());
        while let Some((done, n, at, stride)) = runs.next() {
            let run = &elements[done..done + n];
            match stride {
                0 => {
                    let (groups, rest) = run.as_chunks::<SHORT>();
                    let mut lanes = [F::start(); SHORT];
                    for group in groups {
                        for i in 0..SHORT {
                            lanes[i] = F::step(lanes[i], group[i]);
                        }
                    }
                    let mut total = totals[at];
                    for lane in lanes {
                        total = F::merge(total, lane);
                    }
                    for v in rest {
                        total = F::step(total, *v);
                    }
                    totals[at] = total;
                }
                1 => {
                    let totals = &mut totals[at..at + n];
                    for i in 0..n {
                        totals[i] = F::step(totals[i], run[i]);
                    }
                }
                _ => {
                    for (i, v) in run.iter().enumerate() {
                        let at = at.wrapping_add_signed(i.cast_signed() * stride);
                        totals[at] = F::step(totals[at], *v);
                    }
                }
            }
        }
        totals
    }
}

/// All elements put together over the axes in which `shape` has length 1, or none, and `x` more.
pub(crate) fn fold_to<F: Fold<T>, T: Real>(_fold: F, x: &Tensor<T>, shape: &Shape) -> Result<Tensor<F::Total>, Error> {
    let fresh = || -> Result<Buffer<F::Total>, Error> {
        let mut totals = allocate(shape.len())?;
        totals.fill(F::start());
        Ok(totals)
    };
    if x.is_empty() {
        return Ok(Tensor::of(*shape, fresh()?));
    }
    let (walk, elements, len) = (Walk::stretch(shape, x.shape()), x.as_slice(), x.len());
    let part = threads::part_of(len);
    if len <= part || !Sums::fit(shape.len(), part) {
        return Ok(Tensor::of(*shape, dispatch(FoldTo::<T, F> { elements, start: 0, walk: &walk, totals: fresh()? })));
    }
    let parts = (0..len).step_by(part).map(|start| Ok((fresh()?, start))).collect::<Result<Vec<_>, Error>>()?;
    let all = threads::each(len, parts, &|(totals, start)| {
        dispatch(FoldTo::<T, F> { elements: &elements[start..len.min(start + part)], start, walk: &walk, totals })
    });
    let all = all.into_iter().reduce(|mut totals, next| {
        totals.iter_mut().zip(&next).for_each(|(total, next)| *total = F::merge(*total, *next));
        totals
    });
    Ok(Tensor::of(*shape, all.map_or_else(fresh, Ok)?))
}

/// The largest element over the axes in which `shape` has length 1, or none, and `x` more; −∞ of none.
pub(crate) fn max_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    fold_to(Largest, x, shape)
}

/// The position, along the axis in the middle of `around`, of the first of the largest elements, or of the smallest. NaN counts as both.
pub(crate) fn position_of<T: Real>(x: &[T], around: (usize, usize, usize), is_largest: bool) -> Result<Vec<usize>, Error> {
    let (outer, n, inner) = around;
    if x.is_empty() {
        return Ok(Vec::new());
    }
    let mut positions = vec![0; outer * inner];
    let mut best = allocate(inner)?;
    for (block, positions) in x.chunks(n * inner).zip(positions.chunks_mut(inner)) {
        best.copy_from_slice(&block[..inner]);
        for (i, row) in block.chunks(inner).enumerate() {
            for ((v, best), position) in row.iter().zip(&mut best).zip(&mut *positions) {
                let is_better = if is_largest { *v > *best } else { *v < *best };
                if is_better | (v.is_nan() & !best.is_nan()) {
                    (*best, *position) = (*v, i);
                }
            }
        }
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums over some axes beside sums one by one: all elements are whole numbers, whose sums are exact in any order.
    #[test]
    fn sums_over_short_and_long_axes() {
        let cases: [(&[usize], &[usize]); 12] = [
            (&[5000, 10], &[5000, 1]),
            (&[50000, 3], &[50000, 1]),
            (&[5000, 10], &[1, 10]),
            (&[25, 1000, 10], &[25, 1, 10]),
            (&[25, 1000, 10], &[25, 1000, 1]),
            (&[25, 1000, 10], &[1, 1000, 10]),
            (&[7, 13, 15], &[7, 1, 15]),
            (&[3, 2000, 2, 3], &[3, 1, 1, 3]),
            (&[40, 16, 31], &[40, 1, 31]),
            (&[40, 16, 33], &[40, 16, 1]),
            (&[9, 12000], &[9, 1]),
            (&[70000], &[1]),
        ];
        for (from, to) in cases {
            let (from, to) = (Shape::new(from).unwrap(), Shape::new(to).unwrap());
            let x = Tensor::of(from, (0..from.len()).map(|i| (i * 7919 % 64) as f32 - 30.0).collect::<Buffer<f32>>());
            let (own, strides) = (from.strides(), to.strides());
            let mut expected = vec![0.0; to.len()];
            for (at, v) in x.as_slice().iter().enumerate() {
                let place = |axis: usize| if to[axis] == 1 { 0 } else { at / own[axis] % from[axis] * strides[axis] };
                expected[(0..from.rank()).map(place).sum::<usize>()] += *v;
            }
            assert_eq!(sum_to(&x, &to).unwrap().as_slice(), expected, "{from:?} {to:?}");
            // Blocks that begin and end anywhere.
            let mut sums = Sums::new(&from, &to).unwrap();
            for start in (0..from.len()).step_by(1021) {
                dispatch(Summing { sums: &mut sums, start, run: &x.as_slice()[start..from.len().min(start + 1021)] });
            }
            assert_eq!(sums.finish::<f32>(1.0).as_slice(), expected, "{from:?} {to:?} in blocks");
        }
    }
}
