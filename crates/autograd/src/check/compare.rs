//! Gradients of two origins against each other: of another library, of a calculation by hand, of an earlier version.

use super::{
    Checker, Element, Finding, Input, Outcome, Report, Verdict, diagnosis,
    lists::largest,
    report::{Cost, Origins},
};
use crate::{error::Error, tensor::Tensor};

/// Compares tensors by name, the first list with the second, which counts as the truth.
pub(super) fn compare(options: &Checker, ours: &[(&str, &Tensor<f64>)], theirs: &[(&str, &Tensor<f64>)]) -> Result<Report, Error> {
    let (mut inputs, mut findings, mut points) = (Vec::new(), Vec::new(), Vec::new());
    let mut note = |detail: String| findings.push(Finding { what: "names", outcome: Outcome::Wrong, detail });
    for (name, a) in ours {
        let Some((_, b)) = theirs.iter().find(|(other, _)| other == name) else {
            note(format!("{name} is in the first list alone"));
            continue;
        };
        if a.shape() != b.shape() {
            note(format!("{name} has shape {} in the first list and {} in the second", a.shape(), b.shape()));
            continue;
        }
        let unit = f64::EPSILON * largest(&[*b]);
        let element = |(index, (&autodiff, &difference)): (usize, (&f64, &f64))| {
            let room = options.rtol * autodiff.abs().max(difference.abs()) + 16.0 * unit;
            let verdict = match (autodiff - difference).abs() {
                _ if autodiff == difference => Verdict::Ok,
                apart if apart <= room => Verdict::Ok,
                apart if apart.is_nan() => Verdict::NonFinite,
                _ => Verdict::Wrong,
            };
            Element { difference, error: unit, ..Element::unknown(index, autodiff, verdict) }
        };
        let elements = a.as_slice().iter().zip(b.as_slice()).enumerate().map(element).collect();
        let mut input = Input::new(inputs.len(), a, elements, Vec::new(), options.rtol * largest(&[*b]));
        (*name).clone_into(&mut input.name);
        inputs.push(input);
        points.push(Tensor::ones(a.shape())?);
    }
    for (name, _) in theirs.iter().filter(|(name, _)| ours.iter().all(|(other, _)| other != name)) {
        note(format!("{name} is in the second list alone"));
    }
    if ours.is_empty() && theirs.is_empty() {
        note("there is nothing to compare".to_owned());
    }
    let mut report = Report::new(inputs, options, Cost { evaluations: 0, seconds: 0.0 });
    report.findings = findings;
    report.origins = Origins::LISTS;
    diagnosis::diagnose(&mut report, &points.iter().collect::<Vec<_>>(), Vec::new);
    for sentence in &mut report.diagnosis {
        *sentence = sentence.replace("the finite difference", report.origins.second).replace("autodiff", report.origins.first);
    }
    Ok(report)
}
