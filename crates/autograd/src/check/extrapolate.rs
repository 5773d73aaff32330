//! Richardson extrapolation of difference quotients, accepted only where smaller scales agree.
//!
//! A single table is not safe: with a first step wider than the scale of the function itself it reports a tiny error and is entirely wrong. So
//! tables begin at every scale of the ladder, and the result of one counts only if the quotient at every smaller scale is as near to it as the
//! power of the step and rounding demand.

/// A difference quotient at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quotient {
    /// The step is the natural one times 2 to the power of minus this.
    pub(super) level: i32,
    /// The step.
    pub(super) step: f64,
    /// The quotient.
    pub(super) value: f64,
    /// What rounding may have done to it.
    pub(super) noise: f64,
    /// How far rounding may have taken it from a limit that it agrees with.
    pub(super) slack: f64,
}

/// The limit of difference quotients for ever smaller steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) error: f64,
    /// The largest step that went into it.
    pub(super) step: f64,
}

/// The deepest table.
const DEPTH: usize = 4;
/// Scales agree if they are apart by no more than so many errors, and what the step itself explains.
const AGREEMENT: f64 = 3.0;

/// The most certain limit that every smaller scale agrees with, of quotients in the order of falling steps whose error is a series in the
/// `power` of the step: 2 for central ones, 1 for one-sided ones.
pub(super) fn limit(quotients: &[Quotient], power: i32) -> Option<Limit> {
    let n = quotients.len();
    let errors = errors(quotients, power);
    let mut best: Option<Limit> = None;
    // `columns[m][k]`: the table of depth m that begins at quotient k.
    let mut columns: Vec<Vec<f64>> = vec![quotients.iter().map(|q| q.value).collect()];
    let mut amplification = 1.0;
    for m in 0..=DEPTH {
        if m > 0 {
            let factor = 2f64.powi(power * i32::try_from(m).unwrap_or(0));
            amplification *= (factor + 1.0) / (factor - 1.0);
            let last = &columns[m - 1];
            let next = (0..n.saturating_sub(m)).map(|k| last[k + 1] + (last[k + 1] - last[k]) / (factor - 1.0)).collect();
            columns.push(next);
        }
        for k in 0..n.saturating_sub(m) {
            let is_run = (0..m).all(|i| quotients[k + i + 1].level == quotients[k + i].level + 1);
            if !is_run {
                continue;
            }
            let value = columns[m][k];
            let noise = amplification * quotients[k + m].noise;
            let error = if m == 0 {
                errors[k]
            } else {
                let above = (value - columns[m - 1][k + 1]).abs();
                let is_run = |i: usize| i + 1 < n && quotients[i + 1].level == quotients[i].level + 1;
                // The table beside: without it, one column less of this one.
                let beside = match (is_run(k + m), k.checked_sub(1).filter(|i| is_run(*i))) {
                    (true, _) => (value - columns[m][k + 1]).abs(),
                    (false, Some(before)) => (value - columns[m][before]).abs(),
                    (false, None) => (value - columns[m - 1][k]).abs(),
                };
                above.max(beside) + noise
            };
            if !error.is_finite() || best.is_some_and(|best| error >= best.error) {
                continue;
            }
            // What is so far from the limit at the largest step is nearer by the power of the step at smaller ones, but for rounding.
            let truncation = 2.0 * (quotients[k].value - value).abs();
            let agrees = |j: usize| {
                let shrunk = truncation * (quotients[j].step / quotients[k].step).powi(power);
                (quotients[j].value - value).abs() <= AGREEMENT * error + quotients[j].slack + shrunk
            };
            if (k + m + 1..n).all(agrees) {
                best = Some(Limit { value, error, step: quotients[k].step });
            }
        }
    }
    best
}

/// The error of each quotient alone: the next smaller step is nearer to the limit, and tells how far away this one is. The smallest step of
/// all has none below.
fn errors(quotients: &[Quotient], power: i32) -> Vec<f64> {
    let (n, ratio) = (quotients.len(), 2f64.powi(power));
    let error = |j: usize| {
        let apart = |i: usize| (quotients[j].value - quotients[i].value).abs();
        let truncation = match (j + 1 < n, j.checked_sub(1)) {
            (true, _) => apart(j + 1) * ratio / (ratio - 1.0),
            // Alone, it says nothing; nor does a short ladder say that its last step is small enough.
            (false, None) => f64::INFINITY,
            (false, Some(above)) if n < 5 => apart(above),
            // As far again as the last steps led, at first order; unless that was rounding.
            (false, Some(above)) if apart(above) <= 3.0 * quotients[above].noise => quotients[j].noise,
            (false, Some(above)) => apart(above) / (quotients[above].step / quotients[j].step - 1.0),
        };
        truncation + quotients[j].noise
    };
    (0..n).map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotients(f: impl Fn(f64) -> f64, noise: f64) -> Vec<Quotient> {
        (0..20)
            .map(|level| (level, 0.1 * 2f64.powi(-level)))
            .map(|(level, step)| Quotient { level, step, value: f(step), noise, slack: noise })
            .collect()
    }

    #[test]
    fn a_series_is_extrapolated() {
        let found = limit(&quotients(|h| 2.0 + h * h - 3.0 * h.powi(4), 1e-15), 2).unwrap();
        assert!((found.value - 2.0).abs() < 1e-13 && found.error < 1e-12, "{found:?}");
    }

    #[test]
    fn what_smaller_scales_contradict_does_not_count() {
        let found = limit(&quotients(|h| if h > 1e-3 { 1.0 } else { 2.0 }, 1e-15), 2).unwrap();
        assert_eq!(found.value, 2.0);
    }
}
