//! The slope of a function of one number at 0, from its values alone: what is known of it, and how long steps are.

use super::verdict::Kink;

/// The function at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// The step that was really made, after rounding.
    pub(super) step: f64,
    /// The change of the value.
    pub(super) change: f64,
    /// What rounding may have done to it.
    pub(super) noise: f64,
    /// Where the step ends.
    pub(super) place: Place,
    /// Tells apart the sides of all kinks that were taken.
    pub(super) signature: u64,
    /// The nearest kink crossed.
    pub(super) kink: Option<Kink>,
}

/// Where a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On the same sides of all kinks as the point.
    Near,
    /// Behind a kink.
    Across,
    /// Where the function is not defined, or not finite.
    Outside,
}

/// A function of a step.
pub(super) type Probe<'a> = dyn FnMut(f64) -> Sample + 'a;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slope {
    pub(super) value: f64,
    pub(super) error: f64,
    /// The largest step that went into it.
    pub(super) step: f64,
    pub(super) form: Form,
    /// At how many scales, from the smallest on that rounding leaves clear enough, the difference quotient alone speaks against the claim.
    pub(super) support: usize,
    /// The steepest secant seen of those that rounding leaves clear.
    pub(super) secant: f64,
    /// The largest change of the value seen.
    pub(super) swing: f64,
    /// The rounding of the value there.
    pub(super) noise: f64,
    pub(super) kink: Option<Kink>,
    pub(super) evaluations: usize,
}

/// What the function is like at the point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// It has a slope.
    Smooth,
    /// It has one on each side.
    Kink { left: f64, right: f64 },
    /// It jumps.
    Jump,
    /// It is not defined on either side.
    Outside,
    /// Nobody can tell.
    Unclear(&'static str),
}

/// The natural step of an element, and the element itself, below whose digits no step can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// A power of 2.
    pub(super) size: f64,
    /// The largest level: steps below have too few digits.
    pub(super) bottom: i32,
}

impl Scale {
    /// For an element `x` whose tensor has elements of the size `typical`.
    pub(super) fn of(x: f64, typical: f64) -> Scale {
        let typical = if typical.is_normal() { typical } else { 1.0 };
        let size = 2f64.powi(exponent(x.abs().max(0.1 * typical)));
        // Ten binary digits of the step are left at the smallest one; 0 itself has all digits.
        let floor = if x == 0.0 { size * 2f64.powi(-60) } else { x.abs() * 2f64.powi(-42) };
        Scale { size, bottom: exponent(size) - exponent(floor.max(f64::MIN_POSITIVE)) }
    }

    pub(super) fn step(&self, level: i32) -> f64 {
        self.size * 2f64.powi(-level)
    }
}

#[allow(clippy::cast_possible_truncation)] // exponents of finite numbers
fn exponent(x: f64) -> i32 {
    x.log2().round() as i32
}

/// The slope from a central difference of one given step; its error, from one of half the step.
pub(super) fn central(probe: &mut Probe<'_>, claim: f64, step: f64) -> Slope {
    let pairs = [step, step / 2.0].map(|step| [probe(-step), probe(step)]);
    let quotient = |[a, b]: &[Sample; 2]| (b.change - a.change) / (b.step - a.step);
    let values = pairs.each_ref().map(quotient);
    let samples = || pairs.iter().flatten();
    let noise = samples().map(|s| s.noise).fold(0.0, f64::max);
    let (value, error) = (values[0], (values[0] - values[1]).abs() * 4.0 / 3.0 + noise / step);
    let is_outside = samples().any(|s| s.place == Place::Outside);
    let kink = samples().filter_map(|s| s.kink).min_by(|a, b| a.distance.total_cmp(&b.distance));
    let form = match (is_outside, samples().any(|s| s.place == Place::Across)) {
        (true, _) => Form::Outside,
        (false, true) => Form::Unclear("the step crosses a kink"),
        (false, false) => Form::Smooth,
    };
    Slope {
        value,
        error,
        step,
        form,
        support: values.iter().filter(|v| (**v - claim).abs() > 3.0 * error).count(),
        secant: samples().map(|s| (s.change / s.step).abs()).fold(0.0, f64::max),
        swing: samples().map(|s| s.change.abs()).fold(0.0, f64::max),
        noise,
        kink,
        evaluations: 4,
    }
}
