//! What a check found, as a value.

use super::{
    direction::Direction,
    options::Checker,
    verdict::{Element, Verdict},
};
use crate::{shape::Shape, tensor::Tensor};

/// What a check found. Its text form says for every input how well the two derivatives agree, which elements do not, and what that looks
/// like.
#[derive(Debug, Clone)]
pub struct Report {
    pub(super) inputs: Vec<Input>,
    pub(super) findings: Vec<Finding>,
    pub(super) diagnosis: Vec<String>,
    pub(super) cost: Cost,
    pub(super) seed: u64,
    pub(super) share: f64,
    pub(super) origins: Origins,
}

/// What the two derivatives are called that were compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origins {
    pub(super) both: &'static str,
    pub(super) first: &'static str,
    pub(super) second: &'static str,
}

impl Origins {
    pub(super) const DIFFERENCES: Origins =
        Origins { both: "autodiff and finite differences", first: "autodiff", second: "finite difference" };
    pub(super) const LISTS: Origins = Origins { both: "the first list and the second", first: "the first list", second: "the second" };
}

/// What a check took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// How many times the function was evaluated.
    pub evaluations: usize,
    /// How long it took.
    pub seconds: f64,
}

/// One input of the function.
#[derive(Debug, Clone)]
pub struct Input {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) gradient: Tensor<f64>,
    pub(super) elements: Vec<Element>,
    pub(super) directions: Vec<Direction>,
    noticed: f64,
    /// The largest element of the gradient; the unit of deviations.
    largest: f64,
}

/// One thing that was looked at beside the finite differences.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it was, such as `"linear in the incoming gradient"`.
    pub what: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// The numbers behind it.
    pub detail: String,
}

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Wrong,
    /// It could not be decided, as at a kink.
    Inconclusive,
    /// It does not apply.
    NotApplicable,
}

impl Outcome {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Outcome::Ok => "ok   ",
            Outcome::Wrong => "WRONG",
            Outcome::Inconclusive => "?    ",
            Outcome::NotApplicable => "-    ",
        }
    }
}

impl Input {
    pub(super) fn new(k: usize, gradient: &Tensor<f64>, elements: Vec<Element>, directions: Vec<Direction>, noticed: f64) -> Input {
        let size = |v: f64| if v.is_finite() { v.abs() } else { 0.0 };
        let largest = elements.iter().fold(0.0f64, |m, e| m.max(size(e.autodiff)).max(size(e.difference)));
        let largest = gradient.as_slice().iter().fold(largest, |m, v| m.max(size(*v)));
        Input { name: format!("input {k}"), shape: *gradient.shape(), gradient: gradient.clone(), elements, directions, noticed, largest }
    }

    /// Its name: that of the parameter, or its place among the inputs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The gradient by autodiff.
    #[must_use]
    pub fn gradient(&self) -> &Tensor<f64> {
        &self.gradient
    }

    /// The elements that were looked at, and those that were meant to be, in row-major order.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The directions that were looked at.
    #[must_use]
    pub fn directions(&self) -> &[Direction] {
        &self.directions
    }

    /// The smallest error in a single element, whichever it is, that this check would have called wrong; infinite if there are elements that
    /// were not looked at.
    #[must_use]
    pub fn noticed(&self) -> f64 {
        self.noticed
    }

    /// The elements that were really looked at.
    pub(super) fn checked(&self) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(|e| e.verdict != Verdict::Skipped)
    }

    /// How many elements have such a verdict.
    #[must_use]
    pub fn count(&self, is: impl Fn(Verdict) -> bool) -> usize {
        self.elements.iter().filter(|e| is(e.verdict)).count()
    }

    /// The largest deviation, relative to the largest element of the gradient. Kinks, where there is no derivative to compare with, are left
    /// out.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let compared = self.checked().filter(|e| !matches!(e.verdict, Verdict::SubgradientOk { .. }));
        // NaN is the worst of all.
        let worst = compared.map(Element::deviation).fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
        if worst == 0.0 { 0.0 } else { worst / self.largest }
    }

    /// The norm of the difference of the two gradients, relative to the sum of their norms: ‖a − n‖/(‖a‖ + ‖n‖), of the elements compared.
    #[must_use]
    pub fn norm_ratio(&self) -> f64 {
        let compared = || self.checked().filter(|e| e.autodiff.is_finite() && e.difference.is_finite());
        let norm = |of: fn(&Element) -> f64| compared().map(|e| of(e).powi(2)).sum::<f64>().sqrt();
        let apart = norm(Element::deviation);
        if apart == 0.0 { 0.0 } else { apart / (norm(|e| e.autodiff) + norm(|e| e.difference)) }
    }

    /// The largest element by size.
    pub(super) fn largest(&self) -> f64 {
        self.largest
    }

    /// The elements that were not confirmed, the gravest first.
    #[must_use]
    pub fn worst(&self) -> Vec<&Element> {
        let mut worst: Vec<&Element> = self.checked().filter(|e| !e.verdict.is_ok()).collect();
        worst.sort_by(|a, b| a.verdict.rank().cmp(&b.verdict.rank()).then(b.deviation().total_cmp(&a.deviation())));
        worst
    }

    /// Whether nothing is at fault, and enough was decided.
    fn passed(&self, share: f64) -> bool {
        let verdicts = || self.checked().map(|e| e.verdict).chain(self.directions.iter().map(|d| d.verdict));
        let (all, ok) = (verdicts().count(), verdicts().filter(|v| v.is_ok()).count());
        verdicts().all(|v| !v.is_fault()) && ok as f64 >= share * all as f64
    }

    /// The position of an element along the axes.
    pub(super) fn position(&self, index: usize) -> Vec<usize> {
        self.shape.strides().iter().zip(self.shape.iter()).map(|(stride, n)| index / stride % n).collect()
    }
}

impl Report {
    pub(super) fn new(inputs: Vec<Input>, options: &Checker, cost: Cost) -> Report {
        Report {
            inputs,
            findings: Vec::new(),
            diagnosis: Vec::new(),
            cost,
            seed: options.seed,
            share: options.share,
            origins: Origins::DIFFERENCES,
        }
    }

    /// What was found for each input.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// What was looked at beside the finite differences.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the wrong elements look like, in sentences: the first hypothesis that fits, for each input.
    #[must_use]
    pub fn diagnosis(&self) -> &[String] {
        &self.diagnosis
    }

    /// What the check took.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The same report with names for the inputs, in order.
    #[must_use]
    pub fn named(mut self, names: impl IntoIterator<Item = String>) -> Self {
        for (input, name) in self.inputs.iter_mut().zip(names) {
            for sentence in &mut self.diagnosis {
                if let Some(rest) = sentence.strip_prefix(&format!("{}: ", input.name)) {
                    *sentence = format!("{name}: {rest}");
                }
            }
            input.name = name;
        }
        self
    }

    /// The same report with something else that was looked at.
    #[must_use]
    pub fn with_finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Whether nothing that was looked at is at fault, and all of it was decided, or the [share](Checker::decided) that was asked for.
    #[must_use]
    pub fn passed(&self) -> bool {
        let is_something = self.inputs.iter().all(|i| i.shape.is_empty() || i.checked().next().is_some() || !i.directions.is_empty());
        is_something
            && self.inputs.iter().all(|input| input.passed(self.share))
            && self.findings.iter().all(|f| !matches!(f.outcome, Outcome::Wrong))
    }

    /// How many elements have such a verdict.
    #[must_use]
    pub fn count(&self, is: impl Fn(Verdict) -> bool) -> usize {
        self.inputs.iter().map(|input| input.count(&is)).sum()
    }

    /// How many elements, directions and other things that were looked at are at fault.
    #[must_use]
    pub fn faults(&self) -> usize {
        let directions = self.inputs.iter().flat_map(|input| &input.directions).filter(|d| d.verdict.is_fault()).count();
        let findings = self.findings.iter().filter(|f| f.outcome == Outcome::Wrong).count();
        self.count(Verdict::is_fault) + directions + findings
    }

    /// The largest deviation of all inputs, each relative to the largest element of its gradient.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.inputs.iter().map(Input::deviation).fold(0.0, f64::max)
    }

    /// For tests.
    ///
    /// # Panics
    /// With the report as message, unless it [passed](Report::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}
