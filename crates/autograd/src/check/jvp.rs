//! Forward mode against finite differences: for each element of the result, its derivative along a direction.

use std::collections::HashMap;

use super::{
    Checker, Report, Verdict,
    function::{crossed, kinks, scrambled, sides},
    ladder::measured,
    lists::largest,
    report::{Cost, Input},
    slope::{Place, Sample, Scale, Slope},
    verdict::{Claim, Element, judge, noticed},
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    tensor::Tensor,
    var::Var,
};

/// The result after a step, with the sides of all kinks.
type Moved = Option<(Vec<f64>, Vec<i8>)>;

/// Checks the forward derivatives of all results along a direction of random signs in each input.
pub(super) fn jvp<F>(options: &Checker, f: &F, x: &[&Tensor<f64>]) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new));
    }
    let start = std::time::Instant::now();
    let (mut inputs, mut evaluations) = (Vec::new(), 0);
    for k in 0..x.len() {
        let sign = |i: usize| if scrambled(options.seed ^ ((k as u64) << 32) ^ i as u64) & 1 == 0 { 1.0 } else { -1.0 };
        let direction = Tensor::new((0..x[k].len()).map(sign).collect::<Vec<_>>(), x[k].shape())?;
        let g = Graph::new();
        let leaves: Vec<_> = x.iter().enumerate().map(|(i, x)| if i == k { g.dual(*x, &direction) } else { g.variable(*x) }).collect();
        let y = f(&leaves);
        let value = y.value()?;
        let tangent = y.tangent()?.map_or_else(|| Tensor::zeros(value.shape()), Ok)?;
        let (here, kinks) = (sides(&g), kinks(&g));
        // Of the whole result: what rounding on the way may do to any element.
        g.retain_all();
        let rounding = y.backward_with(&Tensor::ones(value.shape())?).map_or(0.0, |gradients| g.rounding(&gradients));
        let noise = rounding / value.len().max(1) as f64;

        let mut known: HashMap<u64, Moved> = HashMap::new();
        let mut at = |step: f64| -> Moved {
            known
                .entry(step.to_bits())
                .or_insert_with(|| {
                    evaluations += 1;
                    let moved = x[k].add(&direction.mul_lit(step).ok()?).ok()?;
                    let g = Graph::new();
                    let leaves: Vec<_> = x.iter().enumerate().map(|(i, x)| g.variable(if i == k { &moved } else { *x })).collect();
                    let y = f(&leaves).value().ok()?;
                    Some((y.to_vec(), sides(&g)))
                })
                .clone()
        };
        let typical = largest(&x[k..=k]);
        let largest = largest(&[&tangent]);
        let (mut elements, mut power) = (Vec::new(), 0.0f64);
        for (i, (&autodiff, &base)) in tangent.as_slice().iter().zip(value.as_slice()).enumerate() {
            if !autodiff.is_finite() || !base.is_finite() {
                elements.push(Element::unknown(i, autodiff, Verdict::NonFinite));
                continue;
            }
            let mut probe = |step: f64| {
                let outside = Sample { step, change: f64::NAN, noise: f64::INFINITY, place: Place::Outside, signature: 0, kink: None };
                let Some((y, sides)) = at(step) else { return outside };
                let Some(change) = y.get(i).map(|y| y - base).filter(|change| change.is_finite() && y.len() == value.len()) else {
                    return outside;
                };
                let noise = noise.max(f64::EPSILON * (base.abs() + change.abs()));
                let (place, kink) = if sides == here { (Place::Near, None) } else { (Place::Across, crossed(&here, &sides, &kinks)) };
                let signature = sides.iter().fold(7u64, |hash, side| scrambled(hash ^ u64::from(side.cast_unsigned())));
                Sample { step, change, noise, place, signature, kink }
            };
            let slope = measured(&mut probe, autodiff, Scale::of(typical, typical), options.rtol);
            let claim = Claim { autodiff, rtol: options.rtol, largest, scatter: &|| 16.0 * f64::EPSILON * largest };
            let (verdict, scatter) = judge(&slope, &claim);
            power = power.max(noticed(&slope, &claim));
            let Slope { value: difference, error, step, kink, evaluations, .. } = slope;
            elements.push(Element { index: i, autodiff, difference, error, scatter, step, kink, evaluations, verdict });
        }
        let mut input = Input::new(k, &tangent, elements, Vec::new(), power);
        input.name = format!("result along input {k}");
        inputs.push(input);
    }
    Ok(Report::new(inputs, options, Cost { evaluations, seconds: start.elapsed().as_secs_f64() }))
}
