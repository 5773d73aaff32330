//! Standardising over some axes: to mean 0 and variance 1, with statistics in double precision.

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::{Sums, of_lanes, sum_run},
    threads,
    walk::Walk,
};
use crate::{elementary::unrolled, error::Error, real::Real, shape::Shape, tensor::Tensor};

/// How many partial sums run side by side; it fixes the order of summation.
const LANES: usize = 16;

/// Σ of `K` functions of two runs that are as long, in a fixed order. In vectors of its own: in the middle of another loop they would not be kept.
struct SumsOf<'a, T, F, const K: usize> {
    x: &'a [T],
    y: &'a [T],
    f: F,
}

impl<T: Real, const K: usize, F: Fn(f64, f64) -> [f64; K]> Kernel for SumsOf<'_, T, F, K> {
    type Output = [f64; K];
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [f64; K] {
        let SumsOf { x, y, f } = self;
        let ((x_groups, x_rest), (y_groups, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        let mut lanes = [[0.0; LANES]; K];
        for j in 0..x_groups.len().min(y_groups.len()) {
            let mut values = [[0.0; LANES]; K];
            for i in 0..LANES {
                let all = f(x_groups[j][i].to_f64(), y_groups[j][i].to_f64());
                for k in 0..K {
                    values[k][i] = all[k];
                }
            }
            for k in 0..K {
                for i in 0..LANES {
                    lanes[k][i] += values[k][i];
                }
            }
        }
        let mut sums = [0.0; K];
        for i in 0..x_rest.len().min(y_rest.len()) {
            let values = f(x_rest[i].to_f64(), y_rest[i].to_f64());
            for k in 0..K {
                sums[k] += values[k];
            }
        }
        for k in 0..K {
            sums[k] += of_lanes(&lanes[k], |a, b| a + b);
        }
        sums
    }
}

/// f of two runs that are as long.
#[inline(always)]
fn map_run<T: Real>(x: &[T], y: &[T], to: &mut [T], f: impl Fn(f64, f64) -> f64) {
    let n = to.len();
    let (x, y) = (&x[..n], &y[..n]);
    for i in 0..n {
        to[i] = T::of(f(x[i].to_f64(), y[i].to_f64()));
    }
}

/// How the elements of a tensor fall into groups over which statistics are taken.
struct Groups {
    /// For each element, its group.
    walk: Walk,
    count: usize,
    /// The elements of one group.
    size: usize,
}

impl Groups {
    /// The groups that `kept`, which stretches to `shape`, keeps apart.
    fn new(shape: &Shape, kept: &Shape) -> Groups {
        Groups { walk: Walk::stretch(kept, shape), count: kept.len(), size: shape.len() / kept.len().max(1) }
    }

    /// Whether the elements of each group stand next to each other.
    fn are_rows(&self) -> bool {
        self.walk.repeats() == Some((1, self.size))
    }

    /// The groups of each part of the elements, if all stand next to each other.
    fn rows(&self) -> usize {
        threads::rows_of_part(self.count * self.size, self.size)
    }

    /// The means of `K` functions f(x, y, statistic of the group) for each group.
    fn means<T: Real, const K: usize, F>(&self, x: &[T], y: &[T], statistic: &[f64], f: F) -> [Vec<f64>; K]
    where
        F: Fn(f64, f64, f64) -> [f64; K] + Copy + Send + Sync,
    {
        let (len, part) = (x.len(), threads::part_of(x.len()));
        // Each part has sums of its own, which should be small beside it.
        let part = if Sums::fit(self.count, part) { part } else { len };
        let parts = (0..len).step_by(part).collect();
        let sums = |start: usize| {
            let here = start..len.min(start + part);
            let mut sums = [const { Vec::new() }; K];
            sums.fill(vec![0.0; self.count]);
            dispatch(GroupSums { walk: &self.walk, start, x: &x[here.clone()], y: &y[here], statistic, f, sums: &mut sums });
            sums
        };
        let mut all = threads::each(len, parts, &sums).into_iter();
        let mut means = all.next().unwrap_or([const { Vec::new() }; K]);
        for next in all {
            for (total, next) in means.iter_mut().flatten().zip(next.iter().flatten()) {
                *total += next;
            }
        }
        means.iter_mut().flatten().for_each(|sum| *sum /= self.size as f64);
        means
    }

    /// f(x, y, statistics of the group) for each element.
    fn map<T: Real, const N: usize, F>(&self, x: &[T], y: &[T], statistics: [&[f64]; N], to: &mut [T], f: F)
    where
        F: Fn(f64, f64, [f64; N]) -> f64 + Copy + Send + Sync,
    {
        let (len, part) = (x.len(), threads::part_of(x.len()));
        let parts = (0..).step_by(part).zip(to.chunks_mut(part));
        threads::all(len, parts, &|(start, to): (usize, &mut [T])| {
            let here = start..start + to.len();
            dispatch(GroupMap { walk: &self.walk, start, x: &x[here.clone()], y: &y[here], statistics, to, f });
        });
    }

    /// The means, if they are to be subtracted, and the factors 1/√(variance + ε) of all groups.
    fn moments<T: Real>(&self, x: &[T], is_centred: bool, eps: f64) -> [Vec<f64>; 2] {
        let mut means = vec![0.0; self.count];
        if is_centred {
            [means] = self.means(x, x, &means, |x, _, _| [x]);
        }
        let [mut factors] = self.means(x, x, &means, |x, _, mean| [(x - mean) * (x - mean)]);
        for variance in &mut factors {
            *variance = factor(*variance, eps);
        }
        [means, factors]
    }
}

fn factor(variance: f64, eps: f64) -> f64 {
    1.0 / (variance + eps).sqrt()
}

/// Adds `K` functions of a part of the elements to the sums of their groups.
struct GroupSums<'a, T, F, const K: usize> {
    walk: &'a Walk,
    start: usize,
    x: &'a [T],
    y: &'a [T],
    statistic: &'a [f64],
    f: F,
    sums: &'a mut [Vec<f64>; K],
}

impl<T: Real, const K: usize, F: Fn(f64, f64, f64) -> [f64; K]> Kernel for GroupSums<'_, T, F, K> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let GroupSums { walk, start, x, y, statistic, f, sums } = self;
        let mut runs = walk.straight(start, x.len());
        while let Some((done, n, at, stride)) = runs.next() {
            let (x, y) = (&x[done..done + n], &y[done..done + n]);
            if stride == 0 {
                let statistic = statistic[at];
                let all = dispatch(SumsOf { x, y, f: |x, y| f(x, y, statistic) });
                for k in 0..K {
                    sums[k][at] += all[k];
                }
            } else if stride == 1 {
                let statistic = &statistic[at..at + n];
                for k in 0..K {
                    let sums = &mut sums[k][at..at + n];
                    for i in 0..n {
                        sums[i] += f(x[i].to_f64(), y[i].to_f64(), statistic[i])[k];
                    }
                }
            } else {
                for i in 0..n {
                    let at = at.wrapping_add_signed(i.cast_signed() * stride);
                    let all = f(x[i].to_f64(), y[i].to_f64(), statistic[at]);
                    for k in 0..K {
                        sums[k][at] += all[k];
                    }
                }
            }
        }
    }
}

/// A function of a part of the elements and the statistics of their groups.
struct GroupMap<'a, T, F, const N: usize> {
    walk: &'a Walk,
    start: usize,
    x: &'a [T],
    y: &'a [T],
    statistics: [&'a [f64]; N],
    to: &'a mut [T],
    f: F,
}

impl<T: Real, const N: usize, F: Fn(f64, f64, [f64; N]) -> f64> Kernel for GroupMap<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let GroupMap { walk, start, x, y, statistics, to, f } = self;
        let mut runs = walk.straight(start, x.len());
        while let Some((done, n, at, stride)) = runs.next() {
            let (x, y, to) = (&x[done..done + n], &y[done..done + n], &mut to[done..done + n]);
            if stride == 0 {
                let here = unrolled(0.0, |k| statistics[k][at]);
                map_run(x, y, to, |x, y| f(x, y, here));
            } else if stride == 1 {
                let statistics: [&[f64]; N] = unrolled(&[][..], |k| &statistics[k][at..at + n]);
                for i in 0..n {
                    to[i] = T::of(f(x[i].to_f64(), y[i].to_f64(), unrolled(0.0, |k| statistics[k][i])));
                }
            } else {
                for i in 0..n {
                    let at = at.wrapping_add_signed(i.cast_signed() * stride);
                    to[i] = T::of(f(x[i].to_f64(), y[i].to_f64(), unrolled(0.0, |k| statistics[k][at])));
                }
            }
        }
    }
}

/// The mean, if it is to be subtracted, and the factor of a group whose elements stand next to each other.
#[inline(always)]
fn moments_of<T: Real>(x: &[T], is_centred: bool, eps: f64) -> (f64, f64) {
    let by = x.len() as f64;
    let mean = if is_centred { sum_run(x) / by } else { 0.0 };
    let [squares] = dispatch(SumsOf { x, y: x, f: |x, _| [(x - mean) * (x - mean)] });
    (mean, factor(squares / by, eps))
}

/// Groups whose elements stand next to each other, one at a time: it stays in the innermost cache.
struct StandardiseRows<'a, T> {
    x: &'a [T],
    n: usize,
    is_centred: bool,
    eps: f64,
    y: &'a mut [T],
}

impl<T: Real> Kernel for StandardiseRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let StandardiseRows { x, n, is_centred, eps, y } = self;
        let mut at = 0;
        while at < x.len() {
            let (x, y) = (&x[at..at + n], &mut y[at..at + n]);
            let (mean, factor) = moments_of(x, is_centred, eps);
            map_run(x, x, y, |x, _| (x - mean) * factor);
            at += n;
        }
    }
}

/// (x − μ)/√(σ² + ε), or x/√(mean of x² + ε), over the axes in which `kept` has length 1 and `x` more.
pub(crate) fn standardise<T: Real>(x: &Tensor<T>, kept: &Shape, is_centred: bool, eps: f64) -> Result<Tensor<T>, Error> {
    let mut y = overwritten(x.len())?;
    let (elements, groups) = (x.as_slice(), Groups::new(x.shape(), kept));
    if x.is_empty() {
    } else if groups.are_rows() {
        let (n, part) = (groups.size, groups.rows() * groups.size);
        let parts = elements.chunks(part).zip(y.chunks_mut(part)).map(|(x, y)| StandardiseRows { x, n, is_centred, eps, y });
        threads::all(x.len(), parts, &dispatch);
    } else {
        let [means, factors] = groups.moments(elements, is_centred, eps);
        groups.map(elements, elements, [&means, &factors], &mut y, |x, _, [mean, factor]| (x - mean) * factor);
    }
    Ok(Tensor::of(*x.shape(), y))
}

struct FactorsOfRows<'a, T> {
    x: &'a [T],
    n: usize,
    is_centred: bool,
    eps: f64,
    factors: &'a mut [T],
}

impl<T: Real> Kernel for FactorsOfRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let FactorsOfRows { x, n, is_centred, eps, factors } = self;
        for i in 0..factors.len() {
            factors[i] = T::of(moments_of(&x[i * n..(i + 1) * n], is_centred, eps).1);
        }
    }
}

/// The factors 1/√(σ² + ε) by which [`standardise`] multiplies, of shape `kept`.
pub(crate) fn factors<T: Real>(x: &Tensor<T>, kept: &Shape, is_centred: bool, eps: f64) -> Result<Tensor<T>, Error> {
    if x.is_empty() {
        return Tensor::filled(T::ZERO, *kept);
    }
    let (elements, groups) = (x.as_slice(), Groups::new(x.shape(), kept));
    if !groups.are_rows() {
        let [_, factors] = groups.moments(elements, is_centred, eps);
        return Ok(Tensor::of(*kept, factors.into_iter().map(T::of).collect::<Buffer<T>>()));
    }
    let (mut factors, n, rows) = (overwritten(kept.len())?, groups.size, groups.rows());
    let parts = elements.chunks(rows * n).zip(factors.chunks_mut(rows));
    let parts = parts.map(|(x, factors)| FactorsOfRows { x, n, is_centred, eps, factors });
    threads::all(x.len(), parts, &dispatch);
    Ok(Tensor::of(*kept, factors))
}

struct PulledRows<'a, T> {
    y: &'a [T],
    g: &'a [T],
    /// One for each group.
    factors: &'a [T],
    is_centred: bool,
    d: &'a mut [T],
}

impl<T: Real> Kernel for PulledRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let PulledRows { y, g, factors, is_centred, d } = self;
        let n = d.len() / factors.len();
        for (i, factor) in factors.iter().enumerate() {
            let (here, factor) = (i * n..(i + 1) * n, factor.to_f64());
            let (y, g, d) = (&y[here.clone()], &g[here.clone()], &mut d[here]);
            let [mean, product] = dispatch(SumsOf { x: g, y, f: |g, y| [g, g * y] });
            let (mean, product) = (if is_centred { mean / n as f64 } else { 0.0 }, product / n as f64);
            map_run(g, y, d, |g, y| factor * (g - mean - y * product));
        }
    }
}

/// r·(g − mean(g) − y·mean(g·y)), without mean(g) if nothing was subtracted; `factors` are r, of shape `kept`.
pub(crate) fn pulled<T: Real>([y, factors, g]: [&Tensor<T>; 3], kept: &Shape, is_centred: bool) -> Result<Tensor<T>, Error> {
    let mut d = overwritten(y.len())?;
    let (shape, groups) = (*y.shape(), Groups::new(y.shape(), kept));
    let (y, g, factors) = (y.as_slice(), g.as_slice(), factors.as_slice());
    if y.is_empty() {
    } else if groups.are_rows() {
        let (rows, part) = (groups.rows(), groups.rows() * groups.size);
        let parts = y.chunks(part).zip(g.chunks(part)).zip(factors.chunks(rows).zip(d.chunks_mut(part)));
        let parts = parts.map(|((y, g), (factors, d))| PulledRows { y, g, factors, is_centred, d });
        threads::all(shape.len(), parts, &dispatch);
    } else {
        let factors: Vec<f64> = factors.iter().map(|r| r.to_f64()).collect();
        let [mut means, products] = groups.means(g, y, &factors, |g, y, _| [g, g * y]);
        if !is_centred {
            means.fill(0.0);
        }
        groups.map(g, y, [&factors, &means, &products], &mut d, |g, y, [factor, mean, product]| factor * (g - mean - y * product));
    }
    Ok(Tensor::of(shape, d))
}
