//! Reductions: sums in double precision and in a fixed order, products, extremes and their positions.

use super::{
    Buffer, allocate,
    dispatch::{Kernel, dispatch},
    threads,
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
    if run.len() < LANES {
        let (fours, rest) = run.as_chunks::<4>();
        let mut lanes = [0.0; 4];
        for four in fours {
            for i in 0..4 {
                lanes[i] += four[i].to_f64();
            }
        }
        total += (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
        for v in rest {
            total += v.to_f64();
        }
        return total;
    }
    for block in run.chunks(BLOCK) {
        let (groups, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for group in groups {
            for i in 0..LANES {
                lanes[i] += group[i].to_f64();
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

/// Adds neighbours to neighbours. Few of them are taken by eights and fours, without a loop.
#[inline(always)]
pub(super) fn add_run<S: Real, T: Real>(sums: &mut [S], run: &[T], of: impl Fn(T) -> S) {
    let n = sums.len().min(run.len());
    let (sums, run) = (&mut sums[..n], &run[..n]);
    let mut done = 0;
    if n < LANES {
        done += add_few::<8, S, T>(sums, run, &of);
        done += add_few::<4, S, T>(&mut sums[done..], &run[done..], &of);
    }
    for i in done..n {
        sums[i] += of(run[i]);
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
    pub(crate) fn add<T: Real>(&mut self, start: usize, elements: &[T]) {
        let Sums { totals, partial, pending, walk, .. } = self;
        let mut runs = walk.straight(start, elements.len());
        while let Some((done, n, at, stride)) = runs.next() {
            let run = &elements[done..done + n];
            match stride {
                0 => partial[at] += sum_run(run),
                1 => add_run(&mut partial[at..at + n], run, Real::to_f64),
                _ => {
                    for i in 0..n {
                        partial[at.wrapping_add_signed(i.cast_signed() * stride)] += run[i].to_f64();
                    }
                }
            }
            *pending += if stride == 0 { 1 } else { n };
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

struct SumTo<'a, T> {
    elements: &'a [T],
    start: usize,
    sums: Sums,
}

impl<T: Real> Kernel for SumTo<'_, T> {
    type Output = Sums;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Sums {
        if !self.elements.is_empty() {
            self.sums.add(self.start, self.elements);
        }
        self.sums
    }
}

fn sums_to<T: Real>(x: &Tensor<T>, shape: &Shape) -> Result<Sums, Error> {
    let elements = x.as_slice();
    Sums::in_parts(x.shape(), shape, &|sums, start, len| dispatch(SumTo { elements: &elements[start..start + len], start, sums }))
}

struct SumRun<'a, T>(&'a [T]);

impl<T: Real> Kernel for SumRun<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        sum_run(self.0)
    }
}

/// The sum over the axes in which `shape` has length 1, or none, and `x` more, divided by `by`.
fn sum_by<T: Real>(x: &Tensor<T>, shape: &Shape, by: f64) -> Result<Tensor<T>, Error> {
    let elements = x.as_slice();
    if shape.len() == 1 && !elements.is_empty() && elements.len() <= threads::part_of(elements.len()) {
        // The same sum of one part, one run and one result, which needs no memory.
        return Ok(Tensor::one(shape.rank(), T::of(dispatch(SumRun(elements)) / by)));
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
        // 0 times a number is 0, but NaN for those that are asked for: there is no way out at each, which would keep the loop from being
        // vectorised.
        let (groups, rest) = self.0.as_chunks::<{ 2 * LANES }>();
        let mut lanes = [T::ZERO; 2 * LANES];
        for group in groups {
            for i in 0..2 * LANES {
                lanes[i] += group[i] * T::ZERO;
            }
        }
        let (mut width, mut is_finite) = (LANES, true);
        while width > 0 {
            for i in 0..width {
                let other = lanes[i + width];
                lanes[i] += other;
            }
            width /= 2;
        }
        for v in rest {
            is_finite &= v.is_finite();
        }
        is_finite && !lanes[0].is_nan()
    }
}

/// Whether no number is infinite or NaN.
pub(crate) fn all_finite<T: Real>(x: &[T]) -> bool {
    dispatch(AllFinite(x))
}

/// Elements that stand next to each other are prepared in blocks of this many before they are added up.
const PREPARED: usize = 256;

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
        let (mut from, mut values) = ([0.0; PREPARED], [0.0; PREPARED]);
        for (start, run) in (self.start..).step_by(PREPARED).zip(self.elements.chunks(PREPARED)) {
            let (from, values) = (&mut from[..run.len()], &mut values[..run.len()]);
            self.walk.read(self.from, start, from);
            for ((value, v), from) in values.iter_mut().zip(run).zip(from) {
                *value = (self.function)(v.to_f64(), *from);
            }
            self.sums.add(start, values);
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

struct Without<'a, T: Real> {
    elements: &'a [T],
    means: &'a [f64],
    walk: Walk,
    y: Buffer<T>,
}

impl<T: Real> Kernel for Without<'_, T> {
    type Output = Buffer<T>;
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Buffer<T> {
        let mut means = [0.0; PREPARED];
        for (i, (y, x)) in self.y.chunks_mut(PREPARED).zip(self.elements.chunks(PREPARED)).enumerate() {
            let means = &mut means[..x.len()];
            self.walk.read(self.means, i * PREPARED, means);
            for ((y, x), mean) in y.iter_mut().zip(x).zip(means) {
                *y = T::of(x.to_f64() - *mean);
            }
        }
        self.y
    }
}

/// x without its [means](means_of).
pub(crate) fn without_means<T: Real>(x: &Tensor<T>, kept: &Shape) -> Result<Tensor<T>, Error> {
    let means = means_of(x, kept)?;
    let walk = Walk::stretch(kept, x.shape());
    let kernel = Without { elements: x.as_slice(), means: means.as_slice(), walk, y: allocate(x.len())? };
    Ok(Tensor::of(*x.shape(), dispatch(kernel)))
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
                    let (groups, rest) = run.as_chunks::<LANES>();
                    let mut lanes = [F::start(); LANES];
                    for group in groups {
                        for i in 0..LANES {
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
