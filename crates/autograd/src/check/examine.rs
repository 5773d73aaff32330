//! The check itself: every element of every gradient, or some of them, or directions, within a budget, on all cores.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use super::{
    direction,
    function::{Base, Function, scrambled},
    ladder::measured,
    lists::largest,
    options::{Checker, Coverage, Steps, Tolerance},
    report::{Cost, Input, Report},
    slope::{Probe, Sample, Scale, Slope, central},
    verdict::{Claim, Element, Verdict, judge, noticed},
};
use crate::{
    error::{Error, ErrorKind},
    tensor::{Tensor, kernel::threads},
};

/// Of so many elements together, all are looked at unless something else is asked for.
const ALL: usize = 10_000;
/// With more elements than this, they are looked at one after the other.
const LARGE: usize = 1 << 15;
/// The most evaluations that one element may take, for the budget.
const DEAREST: usize = 160;

/// A check that runs.
pub(super) struct Run<'a> {
    pub(super) base: &'a Base<'a>,
    pub(super) options: &'a Checker,
    evaluations: AtomicUsize,
    done: AtomicUsize,
    total: usize,
    start: Instant,
}

impl Run<'_> {
    /// Whether the budget is spent.
    pub(super) fn is_spent(&self) -> bool {
        let dearest = if self.options.steps == Steps::Measured { DEAREST } else { 4 };
        let is_over = |most: usize| self.evaluations.load(Ordering::Relaxed) + dearest > most;
        self.options.max_evals.is_some_and(is_over)
            || self.options.max_seconds.is_some_and(|most| self.start.elapsed().as_secs_f64() > most)
    }

    pub(super) fn count(&self, evaluations: usize) {
        self.evaluations.fetch_add(evaluations, Ordering::Relaxed);
    }

    /// One element more is done.
    fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = &self.options.progress
            && (done == self.total || done.is_multiple_of(32))
        {
            progress(done, self.total);
        }
    }

    /// The slope along a probe, in the way that was asked for.
    pub(super) fn slope(&self, probe: &mut Probe<'_>, claim: f64, scale: Scale) -> Slope {
        let slope = match self.options.steps {
            Steps::Measured => measured(probe, claim, scale, self.options.rtol),
            Steps::Fast => central(probe, claim, f64::EPSILON.cbrt() * scale.step(0)),
            Steps::Fixed(step) => central(probe, claim, step),
            Steps::Linear => central(probe, claim, scale.step(0)),
        };
        self.count(slope.evaluations);
        slope
    }

    /// The slope from central differences of one step.
    pub(super) fn central(&self, probe: &mut Probe<'_>, claim: f64, step: f64) -> Slope {
        let slope = central(probe, claim, step);
        self.count(slope.evaluations);
        slope
    }

    /// The verdict on a slope, the scatter of autodiff, and the smallest error that would have been noticed.
    pub(super) fn verdict(&self, slope: &Slope, claim: &Claim<'_>) -> (Verdict, f64, f64) {
        match self.options.tolerance {
            Tolerance::Measured => {
                let (verdict, scatter) = judge(slope, claim);
                (verdict, scatter, noticed(slope, claim))
            }
            Tolerance::Constant { atol, rtol } => {
                let room = atol + rtol * slope.value.abs();
                let is_close = claim.autodiff == slope.value || (claim.autodiff - slope.value).abs() <= room;
                (if is_close { Verdict::Ok } else { Verdict::Wrong }, 0.0, room)
            }
        }
    }

    /// One element, and the smallest error in it that would have been noticed.
    pub(super) fn element(&self, k: usize, index: usize, typical: f64, largest: f64) -> (Element, f64) {
        let base = self.base;
        let (x, autodiff) = (base.x[k].as_slice()[index], base.gradient.parts[k].as_slice()[index]);
        if !autodiff.is_finite() {
            return (Element::unknown(index, autodiff, Verdict::NonFinite), 0.0);
        }
        if !x.is_finite() {
            return (Element::unknown(index, autodiff, Verdict::OutOfDomain), f64::INFINITY);
        }
        let mut elements = base.x[k].to_vec();
        let mut probe = |step: f64| -> Sample {
            elements[index] = x + step;
            let changed = Tensor::of(*base.x[k].shape(), elements.clone());
            let all: Vec<&Tensor<f64>> = base.x.iter().enumerate().map(|(i, x)| if i == k { &changed } else { x }).collect();
            base.sample(&all, elements[index] - x)
        };
        let slope = self.slope(&mut probe, autodiff, Scale::of(x, typical));
        let scatter = || base.scatter(k, index);
        let claim = Claim { autodiff, rtol: self.options.rtol, largest, scatter: &scatter };
        let (verdict, scatter, noticed) = self.verdict(&slope, &claim);
        let Slope { value, error, step, kink, evaluations, .. } = slope;
        (Element { index, autodiff, difference: value, error, scatter, step, kink, evaluations, verdict }, noticed)
    }

    /// Some elements of an input, in the given order, on all cores.
    pub(super) fn elements(&self, k: usize, indices: &[usize]) -> (Vec<Element>, f64) {
        let (typical, largest) = (self.base.typical(k), largest(&self.base.gradient.parts[k..=k]));
        let one = |index: usize| {
            let found = if self.is_spent() {
                let autodiff = self.base.gradient.parts[k].as_slice()[index];
                (Element::unknown(index, autodiff, Verdict::Skipped), f64::INFINITY)
            } else {
                self.element(k, index, typical, largest)
            };
            self.advance();
            found
        };
        // A function of so many elements uses all threads itself; and what waits for one evaluation would begin another, each with its memory.
        let is_large = self.base.x.iter().map(Tensor::len).sum::<usize>() > LARGE;
        let found: Vec<(Element, f64)> = if is_large || self.options.max_evals.is_some() {
            indices.iter().map(|&index| one(index)).collect()
        } else {
            let length = indices.len().div_ceil(threads::count() * 8).max(1);
            let parts: Vec<&[usize]> = indices.chunks(length).collect();
            let part = |indices: &[usize]| indices.iter().map(|&index| one(index)).collect::<Vec<_>>();
            threads::each(usize::MAX, parts, &part).into_iter().flatten().collect()
        };
        let noticed = found.iter().map(|(_, noticed)| *noticed).fold(0.0, f64::max);
        (found.into_iter().map(|(element, _)| element).collect(), noticed)
    }
}

/// Checks a function at a point.
pub(super) fn examine(function: &dyn Function, x: &[&Tensor<f64>], options: &Checker) -> Result<Report, Error> {
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new));
    }
    let start = Instant::now();
    let mut base = Base::new(function, x)?;
    let size = |report: &Tensor<f64>| report.len();
    let total: usize = base.x.iter().map(size).sum();
    if let Some(verdict) = spoiled(&mut base)? {
        let all = |gradient: &Tensor<f64>| gradient.as_slice().iter().enumerate().map(|(i, a)| Element::unknown(i, *a, verdict)).collect();
        let inputs = base.gradient.parts.iter().enumerate();
        let inputs = inputs.map(|(k, gradient)| Input::new(k, gradient, all(gradient), Vec::new(), f64::INFINITY)).collect();
        return Ok(Report::new(inputs, options, Cost { evaluations: 3, seconds: start.elapsed().as_secs_f64() }));
    }
    let (each, directions) = match options.coverage {
        Coverage::Auto if total > ALL => (8, 4),
        Coverage::Auto | Coverage::All => (usize::MAX, 0),
        Coverage::PerTensor(each) => (each, 0),
        Coverage::Directions(directions) => (0, directions),
    };
    let planned = base.x.iter().map(|x| x.len().min(each)).sum();
    let (evaluations, done) = (AtomicUsize::new(3), AtomicUsize::new(0));
    let run = Run { base: &base, options, evaluations, done, total: planned, start };
    let mut inputs = Vec::new();
    for (k, gradient) in base.gradient.parts.iter().enumerate() {
        let (mut elements, mut noticed) = run.elements(k, &chosen(gradient, each, options.seed ^ k as u64));
        let (found, along) = direction::directions(&run, k, directions);
        if let Some(best) = along.iter().map(|d| d.noticed).reduce(f64::min) {
            noticed = best;
        } else if elements.len() < gradient.len() {
            noticed = f64::INFINITY;
        }
        let is_new = |e: &Element| elements.iter().all(|known| known.index != e.index);
        let new: Vec<Element> = found.into_iter().filter(is_new).collect();
        elements.extend(new);
        elements.sort_by_key(|e| e.index);
        inputs.push(Input::new(k, gradient, elements, along, noticed));
    }
    let cost = Cost { evaluations: run.evaluations.into_inner(), seconds: start.elapsed().as_secs_f64() };
    Ok(Report::new(inputs, options, cost))
}

/// Why no element can be looked at, if the value is not finite or not the same twice. A difference that rounding explains counts as noise.
fn spoiled(base: &mut Base<'_>) -> Result<Option<Verdict>, Error> {
    let x: Vec<&Tensor<f64>> = base.x.iter().collect();
    let terms = &base.gradient.point.terms;
    if terms.iter().any(|t| !t.is_finite()) {
        return Ok(Some(Verdict::NonFinite));
    }
    let again = base.function.gradient(&x)?;
    let differs = |a: f64, b: f64| if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
    let (mut apart, mut noise) = (0.0f64, base.noise);
    for value in [base.function.value(&x)?.terms, again.point.terms] {
        if value.len() != terms.len() {
            return Ok(Some(Verdict::NonDeterministic));
        }
        apart = apart.max(value.iter().zip(terms).map(|(a, b)| differs(*a, *b)).sum());
    }
    let mut is_repeatable = apart <= 64.0 * noise;
    noise = noise.max(apart);
    for (a, b) in again.parts.iter().zip(&base.gradient.parts) {
        let room = 64.0 * f64::EPSILON * largest(&[b]);
        is_repeatable &= a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| differs(*a, *b) <= room);
    }
    base.noise = noise;
    Ok(if is_repeatable { None } else { Some(Verdict::NonDeterministic) })
}

/// Which elements are looked at: all, or evenly from the largest derivative to the smallest and, for every other one, at random.
fn chosen(gradient: &Tensor<f64>, each: usize, seed: u64) -> Vec<usize> {
    let n = gradient.len();
    if n <= each {
        return (0..n).collect();
    }
    let mut by_size: Vec<usize> = (0..n).collect();
    by_size.sort_by(|a, b| gradient.as_slice()[*b].abs().total_cmp(&gradient.as_slice()[*a].abs()));
    let mut chosen: Vec<usize> =
        (0..each.div_ceil(2)).map(|i| by_size[i * (n - 1) / each.div_ceil(2).max(2).saturating_sub(1).max(1)]).collect();
    let mut draw = seed;
    while chosen.len() < each {
        draw = scrambled(draw);
        chosen.push(usize::try_from(draw % n as u64).unwrap_or(0));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}
