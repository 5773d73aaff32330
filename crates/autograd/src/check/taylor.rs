//! Taylor's theorem: how fast the remainders of a function fall as the step shrinks says whether its derivatives are right, without a tolerance.

use std::fmt;

use super::{function::weights, lists::dot};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    tensor::Tensor,
    var::Var,
};

/// The remainders of the Taylor polynomials of order 0, 1 and 2 along a direction, for steps that halve.
///
/// A remainder of order k falls with the power k + 1 of the step if all derivatives up to k are right; with a wrong gradient, that of order 1
/// falls no faster than the one of order 0.
#[derive(Debug, Clone)]
pub struct Taylor {
    /// The steps, falling.
    pub steps: Vec<f64>,
    /// |f(x + εv) − Σ of the first terms|, for each order and step. There is none of order 2 if the gradient cannot be differentiated.
    pub remainders: Vec<Vec<f64>>,
    /// What rounding may have done to a remainder.
    pub noise: f64,
}

/// The steps are 2⁻¹, 2⁻², …, so many.
const STEPS: i32 = 20;

impl Taylor {
    /// The power of the step with which the remainder of some order falls, from the smallest steps at which it stands clear of rounding; `None`
    /// if it is nothing but rounding, as that of a polynomial, or comes to that all at once, as behind a kink that the longer steps crossed.
    #[must_use]
    pub fn rate(&self, order: usize) -> Option<f64> {
        let remainders = self.remainders.get(order)?;
        let is_clear = |r: &&[f64]| r[0] > 400.0 * self.noise;
        let last = remainders.windows(2).rfind(is_clear)?;
        (last[1] > 8.0 * self.noise && last[1] > 0.0).then(|| (last[0] / last[1]).log2())
    }

    /// Whether the function is finite at the smallest steps; what it says of others is left out.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.remainders.iter().all(|remainders| remainders.iter().rev().take(4).all(|r| r.is_finite()))
    }

    /// Whether every remainder falls as fast as it should, to within a fifth of a power. Where the function is not finite, nothing falls.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.is_finite() && (1..self.remainders.len()).all(|order| self.rate(order).is_none_or(|rate| rate > order as f64 + 0.8))
    }

    /// For tests.
    ///
    /// # Panics
    /// With the remainders as message, unless it [passed](Taylor::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl fmt::Display for Taylor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passed(), self.is_finite()) {
            (true, _) => "fall as they should",
            (false, true) => "fall TOO SLOWLY",
            (false, false) => "are NOT FINITE: the function has no value there, or no gradient",
        };
        write!(f, "Taylor remainders {verdict}")?;
        if !self.is_finite() {
            return Ok(());
        }
        for (order, remainders) in self.remainders.iter().enumerate() {
            let rate = self.rate(order).map_or("nothing but rounding".to_owned(), |rate| format!("with the power {rate:.2} of the step"));
            let mut seen = remainders.iter().copied().filter(|r| r.is_finite());
            let (first, last) = (seen.next().unwrap_or(0.0), seen.next_back().unwrap_or(0.0));
            write!(f, "\n  order {order}: {rate} (should be {}), from {first:.1e} to {last:.1e}", order + 1)?;
        }
        Ok(())
    }
}

/// The Taylor remainders of a function along a direction.
pub(super) fn taylor<F>(f: &F, x: &[&Tensor<f64>], direction: &[&Tensor<f64>]) -> Result<Taylor, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64>,
{
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("taylor", Vec::new));
    }
    for (input, (x, v)) in x.iter().zip(direction).enumerate() {
        if x.shape() != v.shape() {
            return Err(ErrorKind::Direction { input, expected: *x.shape(), found: *v.shape() }.into());
        }
    }
    let g = Graph::new();
    let leaves: Vec<Var<'_, f64>> = x.iter().map(|x| g.variable(*x)).collect();
    let y = f(&leaves);
    let value = y.value()?;
    let weights = weights(value.as_slice());
    let cotangent = Tensor::new(weights.clone(), value.shape())?;
    let slopes = g.vjp(y, g.constant(&cotangent), &leaves[..]);
    let along = slopes.iter().zip(direction).map(|(d, v)| (*d * g.constant(*v)).sum()).reduce(|a, b| a + b);
    let Some(along) = along else { return Err(ErrorKind::NoInputs.into()) };
    let first = along.item()?;
    let second = along.backward().ok().map(|gradients| {
        let owned = |v: &&Tensor<f64>| (*v).clone();
        let parts: Vec<_> = leaves.iter().zip(x).map(|(leaf, x)| gradients.get(*leaf).cloned().unwrap_or_else(|| (*x).clone())).collect();
        let is_there: Vec<bool> = leaves.iter().map(|leaf| gradients.get(*leaf).is_some()).collect();
        let pairs = parts.into_iter().zip(direction.iter().map(owned)).zip(is_there).filter(|(_, is_there)| *is_there);
        let (parts, v): (Vec<_>, Vec<_>) = pairs.map(|(pair, _)| pair).unzip();
        dot(&parts, &v).0
    });
    g.retain_all();
    let rounding = y.backward_with(&cotangent).map_or(0.0, |gradients| g.rounding(&gradients));
    let size: f64 = value.as_slice().iter().zip(&weights).map(|(y, w)| f64::EPSILON * (y * w).abs()).sum();
    let noise = size.max(rounding);

    let steps: Vec<f64> = (1..=STEPS).map(|k| 2f64.powi(-k)).collect();
    let mut remainders = vec![Vec::new(); if second.is_some() { 3 } else { 2 }];
    for step in &steps {
        let g = Graph::new();
        let moved: Vec<_> = x.iter().zip(direction).map(|(x, v)| x.add(&v.mul_lit(*step)?)).collect::<Result<_, Error>>()?;
        let leaves: Vec<_> = moved.iter().map(|x| g.variable(x)).collect();
        let there = f(&leaves).value()?;
        let change: f64 = there.as_slice().iter().zip(value.as_slice()).zip(&weights).map(|((a, b), w)| (a - b) * w).sum();
        let terms = [0.0, step * first, step * first + second.unwrap_or(0.0) * step * step / 2.0];
        for (remainders, sum) in remainders.iter_mut().zip(terms) {
            remainders.push((change - sum).abs());
        }
    }
    Ok(Taylor { steps, remainders, noise })
}
