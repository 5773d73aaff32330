//! Standardising over some axes: to mean 0 and variance 1, with statistics in double precision.

use super::{
    Buffer, allocate,
    dispatch::{Kernel, dispatch},
    walk::Walk,
};
use crate::{error::Error, real::Real, shape::Shape, tensor::Tensor};

/// How many partial sums run side by side; it fixes the order of summation.
const LANES: usize = 16;

/// Σ f(x, y) over two runs, in a fixed order.
#[inline(always)]
fn sum_of<T: Real>(x: &[T], y: &[T], f: impl Fn(f64, f64) -> f64) -> f64 {
    let (x_groups, x_rest) = x.as_chunks::<LANES>();
    let (y_groups, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in x_groups.iter().zip(y_groups) {
        for i in 0..LANES {
            lanes[i] += f(x[i].to_f64(), y[i].to_f64());
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| f(x.to_f64(), y.to_f64())).sum();
    lanes.iter().fold(rest, |sum, lane| sum + lane)
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

    /// The mean of f(x, y, statistic of the group) for each group.
    #[inline(always)]
    fn means<T: Real>(&self, x: &[T], y: &[T], statistic: &[f64], f: impl Fn(f64, f64, f64) -> f64 + Copy) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        self.walk.runs(0, x.len(), |done, n, at, stride| {
            let (x, y) = (&x[done..done + n], &y[done..done + n]);
            if stride == 0 {
                let statistic = statistic[at];
                sums[at] += sum_of(x, y, |x, y| f(x, y, statistic));
            } else if stride == 1 {
                for (((sum, x), y), statistic) in sums[at..at + n].iter_mut().zip(x).zip(y).zip(&statistic[at..at + n]) {
                    *sum += f(x.to_f64(), y.to_f64(), *statistic);
                }
            } else {
                for (i, (x, y)) in x.iter().zip(y).enumerate() {
                    let at = at.wrapping_add_signed(i.cast_signed() * stride);
                    sums[at] += f(x.to_f64(), y.to_f64(), statistic[at]);
                }
            }
        });
        for sum in &mut sums {
            *sum /= self.size as f64;
        }
        sums
    }

    /// f(x, y, statistics of the group) for each element.
    #[inline(always)]
    fn map<T: Real, const N: usize>(
        &self,
        x: &[T],
        y: &[T],
        statistics: [&[f64]; N],
        to: &mut [T],
        f: impl Fn(f64, f64, [f64; N]) -> f64 + Copy,
    ) {
        self.walk.runs(0, x.len(), |done, n, at, stride| {
            let (x, y, to) = (&x[done..done + n], &y[done..done + n], &mut to[done..done + n]);
            if stride == 0 {
                let statistics = statistics.map(|s| s[at]);
                for ((to, x), y) in to.iter_mut().zip(x).zip(y) {
                    *to = T::of(f(x.to_f64(), y.to_f64(), statistics));
                }
            } else {
                for (i, ((to, x), y)) in to.iter_mut().zip(x).zip(y).enumerate() {
                    let at = at.wrapping_add_signed(i.cast_signed() * stride);
                    *to = T::of(f(x.to_f64(), y.to_f64(), statistics.map(|s| s[at])));
                }
            }
        });
    }
}

/// The means, if they are to be subtracted, and the factors 1/√(variance + ε) of all groups.
#[inline(always)]
fn moments<T: Real>(x: &[T], groups: &Groups, is_centred: bool, eps: f64) -> (Vec<f64>, Vec<f64>) {
    let mut means = vec![0.0; groups.count];
    if is_centred {
        means = groups.means(x, x, &means, |x, _, _| x);
    }
    let mut factors = groups.means(x, x, &means, |x, _, mean| (x - mean) * (x - mean));
    for variance in &mut factors {
        *variance = 1.0 / (*variance + eps).sqrt();
    }
    (means, factors)
}

struct Standardise<'a, T> {
    x: &'a [T],
    groups: Groups,
    is_centred: bool,
    eps: f64,
    y: &'a mut [T],
}

impl<T: Real> Kernel for Standardise<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Standardise { x, groups, is_centred, eps, y } = self;
        let (means, factors) = moments(x, &groups, is_centred, eps);
        groups.map(x, x, [&means, &factors], y, |x, _, [mean, factor]| (x - mean) * factor);
    }
}

/// (x − μ)/√(σ² + ε), or x/√(mean of x² + ε), over the axes in which `kept` has length 1 and `x` more.
pub(crate) fn standardise<T: Real>(x: &Tensor<T>, kept: &Shape, is_centred: bool, eps: f64) -> Result<Tensor<T>, Error> {
    let mut y = allocate(x.len())?;
    if !x.is_empty() {
        dispatch(Standardise { x: x.as_slice(), groups: Groups::new(x.shape(), kept), is_centred, eps, y: &mut y });
    }
    Ok(Tensor::of(*x.shape(), y))
}

struct Factors<'a, T> {
    x: &'a [T],
    groups: Groups,
    is_centred: bool,
    eps: f64,
}

impl<T: Real> Kernel for Factors<'_, T> {
    type Output = Vec<f64>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Vec<f64> {
        moments(self.x, &self.groups, self.is_centred, self.eps).1
    }
}

/// The factors 1/√(σ² + ε) by which [`standardise`] multiplies, of shape `kept`.
pub(crate) fn factors<T: Real>(x: &Tensor<T>, kept: &Shape, is_centred: bool, eps: f64) -> Result<Tensor<T>, Error> {
    if x.is_empty() {
        return Tensor::filled(T::ZERO, *kept);
    }
    let factors = dispatch(Factors { x: x.as_slice(), groups: Groups::new(x.shape(), kept), is_centred, eps });
    Ok(Tensor::of(*kept, factors.into_iter().map(T::of).collect::<Buffer<T>>()))
}

struct Pulled<'a, T> {
    y: &'a [T],
    g: &'a [T],
    factors: &'a [T],
    groups: Groups,
    is_centred: bool,
    d: &'a mut [T],
}

impl<T: Real> Kernel for Pulled<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Pulled { y, g, factors, groups, is_centred, d } = self;
        let factors: Vec<f64> = factors.iter().map(|r| r.to_f64()).collect();
        let mut means = vec![0.0; groups.count];
        let products = groups.means(g, y, &factors, |g, y, _| g * y);
        if is_centred {
            means = groups.means(g, g, &factors, |g, _, _| g);
        }
        groups.map(g, y, [&factors, &means, &products], d, |g, y, [factor, mean, product]| factor * (g - mean - y * product));
    }
}

/// r·(g − mean(g) − y·mean(g·y)), without mean(g) if nothing was subtracted; `factors` are r, of shape `kept`.
pub(crate) fn pulled<T: Real>([y, factors, g]: [&Tensor<T>; 3], kept: &Shape, is_centred: bool) -> Result<Tensor<T>, Error> {
    let mut d = allocate(y.len())?;
    if !y.is_empty() {
        let groups = Groups::new(y.shape(), kept);
        dispatch(Pulled { y: y.as_slice(), g: g.as_slice(), factors: factors.as_slice(), groups, is_centred, d: &mut d });
    }
    Ok(Tensor::of(*y.shape(), d))
}
