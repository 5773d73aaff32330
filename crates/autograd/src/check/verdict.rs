//! Verdicts: what is said of one element of a gradient, and the numbers that it rests on.

use std::{fmt, panic::Location};

use super::slope::{Form, Slope};

/// What is said of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Autodiff and the finite difference agree, to within the measured error of the latter.
    Ok,
    /// They do not, by far more than that error.
    Wrong,
    /// The point lies on a kink, and autodiff gives a slope between those of the two sides.
    SubgradientOk {
        /// The slope on the left.
        left: f64,
        /// The slope on the right.
        right: f64,
    },
    /// The finite difference cannot decide.
    Inconclusive {
        /// The reason.
        why: &'static str,
    },
    /// The function jumps at this point: it has no derivative there.
    Discontinuous,
    /// No step to either side stays where the function is defined.
    OutOfDomain,
    /// The function gave different values, or gradients, at one and the same point.
    NonDeterministic,
    /// The value, or the gradient by autodiff, is infinite or NaN.
    NonFinite,
    /// It was not looked at: the budget was spent, or a sample was asked for.
    Skipped,
}

impl Verdict {
    /// Whether autodiff was confirmed.
    #[must_use]
    pub fn is_ok(self) -> bool {
        matches!(self, Verdict::Ok | Verdict::SubgradientOk { .. })
    }

    /// Whether autodiff is at fault: wrong, not finite, or not the same twice.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(self, Verdict::Wrong | Verdict::NonFinite | Verdict::NonDeterministic)
    }

    /// One or two words, such as `"subgradient ok"`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Wrong => "wrong",
            Verdict::SubgradientOk { .. } => "subgradient ok",
            Verdict::Inconclusive { .. } => "inconclusive",
            Verdict::Discontinuous => "discontinuous",
            Verdict::OutOfDomain => "out of domain",
            Verdict::NonDeterministic => "not deterministic",
            Verdict::NonFinite => "not finite",
            Verdict::Skipped => "skipped",
        }
    }

    /// The order in which verdicts are listed, the gravest first.
    pub(super) fn rank(self) -> usize {
        match self {
            Verdict::Wrong => 0,
            Verdict::NonFinite => 1,
            Verdict::NonDeterministic => 2,
            Verdict::Discontinuous => 3,
            Verdict::OutOfDomain => 4,
            Verdict::Inconclusive { .. } => 5,
            Verdict::SubgradientOk { .. } => 6,
            Verdict::Ok => 7,
            Verdict::Skipped => 8,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::SubgradientOk { left, right } => write!(f, "subgradient ok, between {left:.6e} and {right:.6e}"),
            Verdict::Inconclusive { why } => write!(f, "inconclusive: {why}"),
            other => f.write_str(other.word()),
        }
    }
}

/// The kink nearest to a point, among those that steps from it crossed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kink {
    /// The function with the kink, such as `"relu"`.
    pub function: &'static str,
    /// The place of the operation on the graph.
    pub node: usize,
    /// Which of the kinks of this operation it is, from 0; of a pointwise function with one kink, the element.
    pub place: usize,
    /// How far the point is from it, in units of the quantity that decides.
    pub distance: f64,
    /// The line of the operation.
    pub at: &'static Location<'static>,
}

impl fmt::Display for Kink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kink { function, node, place, distance, at } = self;
        write!(f, "kink of {function} (node {node}, element {place}) at a distance of {distance:.1e}, {}:{}", at.file(), at.line())
    }
}

/// One element of a gradient: what autodiff says, what the finite difference says and how well, and the verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Element {
    /// Its place in the tensor, in row-major order.
    pub index: usize,
    /// The derivative by autodiff.
    pub autodiff: f64,
    /// The derivative by finite differences; NaN if there is none.
    pub difference: f64,
    /// The measured error of the finite difference: truncation, from the scales among themselves, and rounding.
    pub error: f64,
    /// By how much autodiff itself scatters when the point moves by units in the last place; 0 where nobody had to ask.
    pub scatter: f64,
    /// The step of the finite difference.
    pub step: f64,
    /// The nearest kink that a step crossed.
    pub kink: Option<Kink>,
    /// How many times the function was evaluated for it.
    pub evaluations: usize,
    /// What is said of it.
    pub verdict: Verdict,
}

impl Element {
    /// |autodiff − difference|
    #[must_use]
    pub fn deviation(&self) -> f64 {
        if self.autodiff == self.difference { 0.0 } else { (self.autodiff - self.difference).abs() }
    }

    /// The deviation in units of the measured error.
    #[must_use]
    pub fn z(&self) -> f64 {
        let deviation = self.deviation();
        if deviation == 0.0 { 0.0 } else { deviation / self.error }
    }

    /// The deviation relative to the larger of the two.
    #[must_use]
    pub fn relative(&self) -> f64 {
        let deviation = self.deviation();
        if deviation == 0.0 { 0.0 } else { deviation / self.autodiff.abs().max(self.difference.abs()) }
    }

    /// An element that nothing is known of but what autodiff says.
    pub(super) fn unknown(index: usize, autodiff: f64, verdict: Verdict) -> Element {
        Element {
            index,
            autodiff,
            difference: f64::NAN,
            error: f64::INFINITY,
            scatter: 0.0,
            step: f64::NAN,
            kink: None,
            evaluations: 0,
            verdict,
        }
    }
}

/// A deviation of so many measured errors is still agreement.
const SAFETY: f64 = 3.0;
/// One of so many is a fault; between the two nothing is said.
const ACCUSATION: f64 = 10.0;
/// A finite difference is as good as this part of the derivative, or decides nothing alone: an error of one percent must not pass.
const RESOLVED: f64 = 2e-3;
/// What is this part of the largest element of its tensor, or of the steepest secant, counts as nothing beside it.
const NEGLIGIBLE: f64 = 1e-6;
/// A value that swings by no more than so many times its rounding does not change.
const ROUNDINGS: f64 = 2.0;

/// What a verdict is made from, beside the finite difference.
pub(super) struct Claim<'a> {
    /// The derivative by autodiff.
    pub(super) autodiff: f64,
    /// The accepted relative deviation.
    pub(super) rtol: f64,
    /// The largest element of the gradient by the same tensor.
    pub(super) largest: f64,
    /// Asks by how much autodiff itself scatters.
    pub(super) scatter: &'a dyn Fn() -> f64,
}

/// The smallest error of the derivative that would have been called wrong.
pub(super) fn noticed(slope: &Slope, claim: &Claim<'_>) -> f64 {
    ACCUSATION * slope.error + claim.rtol * claim.autodiff.abs()
}

/// The verdict on a derivative, and the scatter of autodiff if it had to be asked for.
pub(super) fn judge(slope: &Slope, claim: &Claim<'_>) -> (Verdict, f64) {
    let Claim { autodiff, rtol, .. } = *claim;
    if !autodiff.is_finite() {
        return (Verdict::NonFinite, 0.0);
    }
    match slope.form {
        Form::Jump => (Verdict::Discontinuous, 0.0),
        Form::Outside => (Verdict::OutOfDomain, 0.0),
        Form::Unclear(why) => undecided(slope, claim, why),
        Form::Kink { left, right } => {
            let room = SAFETY * slope.error + rtol * left.abs().max(right.abs());
            let (low, high) = (left.min(right), left.max(right));
            if autodiff >= low - room && autodiff <= high + room {
                return (Verdict::SubgradientOk { left, right }, 0.0);
            }
            let scatter = (claim.scatter)();
            let apart = (low - autodiff).max(autodiff - high);
            if apart > ACCUSATION * slope.error + room + SAFETY * scatter {
                (Verdict::Wrong, scatter)
            } else {
                (
                    Verdict::Inconclusive { why: "it is close to the slopes of the two sides of a kink, but not clearly between them" },
                    scatter,
                )
            }
        }
        Form::Smooth => smooth(slope, claim),
    }
}

fn smooth(slope: &Slope, claim: &Claim<'_>) -> (Verdict, f64) {
    let Claim { autodiff, rtol, .. } = *claim;
    let Slope { value, error, .. } = *slope;
    let deviation = (autodiff - value).abs();
    let size = autodiff.abs().max(value.abs());
    if deviation <= SAFETY * error + rtol * size {
        if error <= RESOLVED * size || error <= NEGLIGIBLE * claim.largest.max(slope.secant) {
            return (Verdict::Ok, 0.0);
        }
        return undecided(slope, claim, "the error of the finite difference is too large beside the derivative");
    }
    let scatter = (claim.scatter)();
    if deviation <= SAFETY * (error + scatter) + rtol * size {
        if scatter <= RESOLVED * size && error <= RESOLVED * size || scatter.max(error) <= NEGLIGIBLE * claim.largest.max(slope.secant) {
            return (Verdict::Ok, scatter);
        }
        return undecided(slope, claim, "autodiff itself is uncertain here: it scatters when the point moves by units in the last place");
    }
    if deviation <= ACCUSATION * (error + scatter) + rtol * size {
        return (
            Verdict::Inconclusive { why: "they differ by more than the measured error of the finite difference, but not by far" },
            scatter,
        );
    }
    if slope.support < 2 {
        return (Verdict::Inconclusive { why: "they differ, but no two scales of the finite difference confirm it" }, scatter);
    }
    (Verdict::Wrong, scatter)
}

/// A finite difference that sees nothing confirms a gradient that is nothing: 0, or what autodiff's own rounding makes of it.
fn undecided(slope: &Slope, claim: &Claim<'_>, why: &'static str) -> (Verdict, f64) {
    let autodiff = claim.autodiff;
    let is_flat = slope.swing <= ROUNDINGS * slope.noise;
    if !is_flat {
        return (Verdict::Inconclusive { why }, 0.0);
    }
    if autodiff == 0.0 {
        return (Verdict::Ok, 0.0);
    }
    let scatter = (claim.scatter)();
    if autodiff.abs() <= 4.0 * scatter {
        return (Verdict::Ok, scatter);
    }
    (Verdict::Inconclusive { why: "the value does not change visibly: its rounding hides what this element does" }, scatter)
}
