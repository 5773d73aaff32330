//! What is checked: a function of tensors, evaluated at points near one at which its gradient is known.

use std::{panic::Location, sync::OnceLock};

use super::{
    lists::largest,
    slope::{Place, Sample},
    verdict::Kink,
};
use crate::{
    backward::Gradients,
    elementary::Side,
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// A value: Σ of its terms, the weighted elements of all results; and the sides of all kinks taken on the way.
pub(super) struct Point {
    pub(super) terms: Vec<f64>,
    pub(super) sides: Vec<i8>,
}

/// A gradient of Σ terms, with what is known at its point.
pub(super) struct Gradient {
    pub(super) parts: Vec<Tensor<f64>>,
    pub(super) point: Point,
    /// Where the kinks are whose sides the point has.
    pub(super) kinks: Vec<Kink>,
    /// ε·Σ |v·∂y/∂v| over all results v on the way: by how much the value moves if each is off in its last digit.
    pub(super) rounding: f64,
}

/// A function with the gradient to be checked.
pub(super) trait Function: Sync {
    fn value(&self, x: &[&Tensor<f64>]) -> Result<Point, Error>;
    fn gradient(&self, x: &[&Tensor<f64>]) -> Result<Gradient, Error>;
}

/// The side of a kink as a small number.
pub(super) fn code(side: &Side) -> i8 {
    side.side.map_or(2, |ordering| ordering as i8)
}

/// The sides taken on a graph.
pub(super) fn sides<T: Real>(g: &Graph<T>) -> Vec<i8> {
    let mut sides = Vec::new();
    g.sides(&mut |_, _, _, side| sides.push(code(&side)));
    sides
}

/// The kinks of a graph.
pub(super) fn kinks<T: Real>(g: &Graph<T>) -> Vec<Kink> {
    let mut kinks = Vec::new();
    g.sides(&mut |node, at, place, side| {
        kinks.push(Kink { function: side.function, node: node as usize, place, distance: side.distance, at });
    });
    kinks
}

/// The nearest of the kinks whose sides are not the same at two points.
///
/// The elements among which a maximum is chosen are each on the kink or below it. Where another one takes the lead, its distance counts, and not
/// that of the former leader, which was 0.
pub(super) fn crossed(here: &[i8], there: &[i8], kinks: &[Kink]) -> Option<Kink> {
    if here.len() != there.len() {
        return None;
    }
    let crossed = || here.iter().zip(there).zip(kinks).filter(|((a, b), _)| a != b);
    let leads = |side: i8| side == 0;
    let is_overtaken = |node: usize| crossed().any(|((a, b), kink)| kink.node == node && !leads(*a) && leads(*b));
    let nearest = |a: &Kink, b: &Kink| a.distance.total_cmp(&b.distance);
    crossed().filter(|((a, _), kink)| !(leads(**a) && is_overtaken(kink.node))).map(|(_, kink)| *kink).min_by(nearest)
}

/// Numbers that look random, the same on every machine (Steele et al. 2014).
pub(super) fn scrambled(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number between 0 and 1 that looks random.
pub(super) fn fraction(seed: u64) -> f64 {
    (scrambled(seed) >> 11) as f64 * 2f64.powi(-53)
}

/// Weights for the elements of results, so that one sum stands for all: of both signs, no two alike, and larger for elements that are smaller
/// than the rest, so that the rounding of large ones does not hide them. A single number has weight 1.
pub(super) fn weights(y: &[f64]) -> Vec<f64> {
    if y.len() == 1 {
        return vec![1.0];
    }
    let largest = y.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs()));
    let weight = |(i, v): (u64, &f64)| {
        let sign = if scrambled(2 * i) & 1 == 0 { 1.0 } else { -1.0 };
        let lift = if v.abs() > 0.0 && v.is_finite() { (largest / v.abs()).sqrt().min(1e12) } else { 1.0 };
        sign * (0.5 + fraction(2 * i + 1)) * lift
    };
    (0..).zip(y).map(weight).collect()
}

/// A function of variables.
pub(super) trait Formula<T: Real>: Sync {
    fn apply<'g>(&self, x: &[Var<'g, T>]) -> Var<'g, T>;
}

impl<T: Real, F> Formula<T> for &F
where
    F: for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T> + Sync,
{
    fn apply<'g>(&self, x: &[Var<'g, T>]) -> Var<'g, T> {
        self(x)
    }
}

/// A function of variables, to be evaluated anew at every point, so that the program may decide otherwise there.
pub(super) struct Closure<T, F> {
    f: F,
    weights: OnceLock<Vec<f64>>,
    at: &'static Location<'static>,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Real, F: Formula<T>> Closure<T, F> {
    pub(super) fn new(f: F, at: &'static Location<'static>) -> Self {
        Closure { f, weights: OnceLock::new(), at, of: std::marker::PhantomData }
    }

    fn terms(&self, y: &Tensor<T>) -> Vec<f64> {
        let y: Vec<f64> = y.as_slice().iter().map(|v| v.to_f64()).collect();
        let weights = self.weights.get_or_init(|| weights(&y));
        if weights.len() != y.len() {
            return Vec::new(); // another shape: the program decided otherwise here
        }
        y.iter().zip(weights).map(|(y, w)| y * w).collect()
    }
}

impl<T: Real, F: Formula<T>> Function for Closure<T, F> {
    fn value(&self, x: &[&Tensor<f64>]) -> Result<Point, Error> {
        let g = Graph::new();
        // Variables, so that a function may take gradients inside.
        let leaves: Vec<Var<'_, T>> = x.iter().map(|x| g.variable(x.cast::<T>())).collect();
        let y = self.f.apply(&leaves).value()?;
        Ok(Point { terms: self.terms(&y), sides: sides(&g) })
    }

    fn gradient(&self, x: &[&Tensor<f64>]) -> Result<Gradient, Error> {
        let g = Graph::new();
        let leaves: Vec<Var<'_, T>> = x.iter().map(|x| g.variable(x.cast::<T>())).collect();
        let y = self.f.apply(&leaves);
        let value = y.value()?;
        let terms = self.terms(&value);
        let Some(weights) = self.weights.get().filter(|w| w.len() == value.len()) else {
            let why = "the function gave results of different shapes at one and the same point".to_owned();
            return Err(Error::from(ErrorKind::Check { why }).in_op("check", Vec::new).at(self.at));
        };
        let cotangent = Tensor::new(weights.iter().map(|w| T::of(*w)).collect::<Vec<_>>(), value.shape())?;
        let (sides, kinks) = (sides(&g), kinks(&g));
        g.retain_all();
        // Where all ways to the variables are cut off, autodiff claims nothing: zeros.
        let gradients = match y.backward_with(&cotangent) {
            Err(error) if matches!(error.kind(), ErrorKind::NoGradient { .. }) => Gradients::empty(&g),
            gradients => gradients?,
        };
        let part = |(leaf, x): (&Var<'_, T>, &&Tensor<f64>)| match gradients.get(*leaf) {
            Some(gradient) => Ok(gradient.cast()),
            None => Tensor::zeros(x.shape()),
        };
        let parts = leaves.iter().zip(x).map(part).collect::<Result<_, Error>>()?;
        Ok(Gradient { parts, point: Point { terms, sides }, kinks, rounding: g.rounding(&gradients) })
    }
}

/// A function at a point, with all that is known there.
pub(super) struct Base<'a> {
    pub(super) function: &'a dyn Function,
    pub(super) x: Vec<Tensor<f64>>,
    pub(super) gradient: Gradient,
    /// What rounding may do to the value.
    pub(super) noise: f64,
    signature: u64,
    scatter: OnceLock<Vec<Vec<f64>>>,
}

/// The sides of kinks as one number (Fowler, Noll and Vo).
fn signature(sides: &[i8]) -> u64 {
    sides.iter().fold(0xcbf2_9ce4_8422_2325, |hash, side| (hash ^ u64::from(side.cast_unsigned())).wrapping_mul(0x0100_0000_01b3))
}

impl<'a> Base<'a> {
    pub(super) fn new(function: &'a dyn Function, x: &[&Tensor<f64>]) -> Result<Self, Error> {
        let gradient = function.gradient(x)?;
        // The last digits are added up, not the numbers, whose sum may be too large.
        let last = |v: f64| f64::EPSILON * v.abs();
        let size: f64 = gradient.point.terms.iter().map(|t| last(*t)).filter(|t| t.is_finite()).sum();
        // Operations that are made of others have results on the way that nobody sees; they feel at least the last digit of the inputs.
        let products = |(x, d): (&&Tensor<f64>, &Tensor<f64>)| -> f64 {
            x.as_slice().iter().zip(d.as_slice()).map(|(x, d)| last(*x) * d.abs()).filter(|p| p.is_finite()).sum()
        };
        let inputs: f64 = x.iter().zip(&gradient.parts).map(products).sum();
        let noise = size.max(gradient.rounding).max(inputs);
        let signature = signature(&gradient.point.sides);
        let x = x.iter().map(|x| (*x).clone()).collect();
        Ok(Base { function, x, gradient, noise, signature, scatter: OnceLock::new() })
    }

    /// The function at another point, which is a step of this length away.
    pub(super) fn sample(&self, x: &[&Tensor<f64>], step: f64) -> Sample {
        let nowhere = |place| Sample { step, change: f64::NAN, noise: f64::INFINITY, place, signature: 0, kink: None };
        let Ok(point) = self.function.value(x) else { return nowhere(Place::Outside) };
        let terms = &self.gradient.point.terms;
        if point.terms.len() != terms.len() {
            return Sample { signature: 1, ..nowhere(Place::Across) };
        }
        let change: f64 = point.terms.iter().zip(terms).map(|(a, b)| if a == b { 0.0 } else { a - b }).sum();
        if !change.is_finite() {
            return nowhere(Place::Outside);
        }
        let signature = signature(&point.sides);
        let (place, kink) = if signature == self.signature { (Place::Near, None) } else { (Place::Across, self.crossed(&point.sides)) };
        // A value that has grown is rounded more coarsely.
        let last: f64 = point.terms.iter().map(|t| f64::EPSILON * t.abs()).sum();
        Sample { step, change, noise: self.noise.max(last), place, signature, kink }
    }

    /// The nearest kink that lies between this point and another one.
    fn crossed(&self, sides: &[i8]) -> Option<Kink> {
        crossed(&self.gradient.point.sides, sides, &self.gradient.kinks)
    }

    /// The size of the elements of an input, for steps: the largest.
    pub(super) fn typical(&self, k: usize) -> f64 {
        largest(&self.x[k..=k])
    }

    /// By how much an element of the gradient scatters as the point moves by its last digits, on the same sides of all kinks.
    pub(super) fn scatter(&self, k: usize, index: usize) -> f64 {
        let all = self.scatter.get_or_init(|| {
            let mut scatter: Vec<Vec<f64>> = self.x.iter().map(|x| vec![0.0; x.len()]).collect();
            for round in 0..4 {
                let moved: Result<Vec<_>, Error> = (0..self.x.len()).map(|k| self.jittered(k, round)).collect();
                let Ok(moved) = moved else { continue };
                let Ok(gradient) = self.function.gradient(&moved.iter().collect::<Vec<_>>()) else { continue };
                if gradient.point.sides != self.gradient.point.sides {
                    continue;
                }
                for ((scatter, a), b) in scatter.iter_mut().zip(&gradient.parts).zip(&self.gradient.parts) {
                    for ((s, a), b) in scatter.iter_mut().zip(a.as_slice()).zip(b.as_slice()) {
                        let apart = (a - b).abs();
                        *s = if apart.is_finite() { s.max(apart) } else { *s };
                    }
                }
            }
            scatter
        });
        all.get(k).and_then(|part| part.get(index)).copied().unwrap_or(0.0)
    }

    /// An input moved by up to 64 units in the last place of each element: one or two may lead to the same rounding again.
    fn jittered(&self, k: usize, round: u64) -> Result<Tensor<f64>, Error> {
        let typical = self.typical(k);
        let moved = (0..).zip(self.x[k].as_slice()).map(|(i, v)| {
            let by = 128.0 * f64::EPSILON * (fraction(scrambled(round * 0x1_0001 + k as u64) ^ i) - 0.5);
            if *v == 0.0 { by * typical } else { v * (1.0 + by) }
        });
        Tensor::new(moved.collect::<Vec<_>>(), self.x[k].shape())
    }
}
