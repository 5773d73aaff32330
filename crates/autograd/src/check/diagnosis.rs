//! What wrong gradients look like: simple hypotheses, and the first that fits, in a sentence with its evidence.

use super::{
    contributions::Lost,
    report::{Input, Report},
    verdict::{Element, Verdict},
};
use crate::tensor::Tensor;

/// Ratios and differences are the same if they are apart by no more than this part.
const SAME: f64 = 1e-4;

/// Adds a sentence for each input with wrong elements, and one for all if they are those of the first layers. What rules have been seen to lose
/// is asked for if there is anything wrong.
pub(super) fn diagnose(report: &mut Report, x: &[&Tensor<f64>], lost: impl FnOnce() -> Vec<Lost>) {
    let is_wrong = |input: &Input| {
        input.elements.iter().map(|e| e.verdict).chain(input.directions.iter().map(|d| d.verdict)).any(|v| v == Verdict::Wrong)
    };
    if !report.inputs.iter().any(is_wrong) {
        return;
    }
    let lengths: Vec<usize> = x.iter().flat_map(|x| x.shape().iter().copied()).collect();
    let mut lost = lost();
    let mut sentences = Vec::new();
    for (k, (input, x)) in report.inputs.iter().zip(x).enumerate().filter(|(_, (input, _))| is_wrong(input)) {
        // What was seen in the rule itself says more than what the elements look like.
        let of_rule: Vec<Lost> = lost.extract_if(.., |lost| lost.input == Some(k)).collect();
        let seen = if of_rule.is_empty() { of_input(input, x, &lengths) } else { None };
        sentences.extend(of_rule.into_iter().map(|lost| lost.sentence).chain(seen).map(|sentence| format!("{}: {sentence}", input.name)));
    }
    sentences.extend(lost.into_iter().map(|lost| lost.sentence));
    sentences.extend(depth(report));
    report.diagnosis = sentences;
}

/// The elements of an input that were compared.
fn compared(input: &Input) -> Vec<&Element> {
    input.elements.iter().filter(|e| e.autodiff.is_finite() && e.difference.is_finite()).collect()
}

fn of_input(input: &Input, x: &Tensor<f64>, lengths: &[usize]) -> Option<String> {
    let all = compared(input);
    let wrong: Vec<&Element> = all.iter().copied().filter(|e| e.verdict == Verdict::Wrong).collect();
    let right: Vec<&Element> = all.iter().copied().filter(|e| e.verdict == Verdict::Ok).collect();
    let n = wrong.len();
    if wrong.iter().all(|e| e.autodiff == 0.0) {
        let (first, last) = (wrong.first()?.index, wrong.last()?.index);
        let is_all = right.iter().all(|e| e.difference.abs() <= e.error);
        return Some(if is_all {
            format!("autodiff gives 0 for all {n}: was the way cut off, by detach() or by copying the values?")
        } else {
            format!(
                "autodiff gives 0 for {n} elements, from {:?} to {:?}: is a part left out?",
                input.position(first),
                input.position(last)
            )
        });
    }
    permuted(input, &all)
        .or_else(|| side(&wrong, &right, x))
        .or_else(|| ratio(&wrong, right.len(), x.len(), lengths))
        .or_else(|| shifted(&wrong))
        .or_else(|| mean(&all))
        .or_else(|| (n <= 3 && right.len() > 3 * n).then(|| few(input, &wrong)))
}

/// Whether all ratios are one, and which one.
fn ratio(wrong: &[&Element], right: usize, total: usize, lengths: &[usize]) -> Option<String> {
    let ratio = |e: &Element| e.autodiff / e.difference;
    let first = ratio(wrong.first()?);
    if !first.is_finite() || wrong.iter().any(|e| (ratio(e) - first).abs() > SAME * first.abs() + e.error / e.difference.abs()) {
        return None;
    }
    let n = wrong.len();
    if n < 2 && right > 0 {
        return None;
    }
    let which = match right {
        0 if n < total => format!("all {n} elements looked at"),
        0 => format!("all {n} elements"),
        _ => format!("{n} elements of {}", n + right),
    };
    let evidence = format!("autodiff = {first:.6} × the finite difference at {which}");
    let is = |v: f64| (first - v).abs() <= SAME * v.abs();
    // The longest axes first: they are rarely a coincidence.
    let length = lengths.iter().filter(|&&l| l > 2).max_by_key(|&&l| if is(l as f64) || is(1.0 / l as f64) { l } else { 0 });
    let length = length.filter(|&&l| is(l as f64) || is(1.0 / l as f64));
    Some(match (length, first) {
        _ if is(-1.0) => format!("{evidence}: the sign is wrong"),
        (Some(l), r) if r > 1.0 => format!("{evidence}, and an axis has length {l}: a sum where the value takes the mean?"),
        (Some(l), _) => format!("{evidence}, and an axis has length {l}: a mean where the value takes the sum?"),
        _ if is(2.0) => format!("{evidence}: is a factor ½ missing, or something counted twice?"),
        _ if is(0.5) => format!("{evidence}: is a factor 2 missing, or one of two uses?"),
        _ => format!("{evidence}: a constant factor is missing"),
    })
}

/// Whether the elements are right, but stand in other places.
fn permuted(input: &Input, all: &[&Element]) -> Option<String> {
    if all.len() != input.shape.len() || all.len() < 3 {
        return None;
    }
    let fits = |other: &dyn Fn(usize) -> usize| {
        let close = |e: &&Element| {
            let n = all[other(e.index)].difference;
            (e.autodiff - n).abs() <= SAME * n.abs() + 3.0 * all[other(e.index)].error
        };
        all.iter().all(close) && all.iter().any(|e| (all[other(e.index)].difference - e.difference).abs() > SAME * e.difference.abs())
    };
    if let [rows, columns] = input.shape[..] {
        // Read in the order of the columns, whether or not the matrix is square.
        let transposed = |i: usize| (i % rows) * columns + i / rows;
        if rows > 1 && columns > 1 && fits(&transposed) {
            let [a, b] = [all[columns], all[1]];
            return Some(format!(
                "the gradient is transposed: autodiff is {:.6e} at {:?}, the finite difference {:.6e} at {:?}",
                a.autodiff,
                input.position(a.index),
                all[transposed(a.index)].difference,
                input.position(transposed(b.index).max(1))
            ));
        }
    }
    let last = all.len() - 1;
    fits(&|i| last - i).then(|| "the elements stand in the opposite order".to_owned())
}

/// Whether only elements of one side of 0 are wrong.
fn side(wrong: &[&Element], right: &[&Element], x: &Tensor<f64>) -> Option<String> {
    let x = |e: &&&Element| x.as_slice().get(e.index).copied().unwrap_or(f64::NAN);
    if wrong.len() < 2 || right.len() < 2 {
        return None;
    }
    let evidence = |side: &str| {
        format!("only where x {side} 0: {} elements wrong there, {} right elsewhere: a branch of the rule?", wrong.len(), right.len())
    };
    if wrong.iter().all(|e| x(&e) < 0.0) && right.iter().all(|e| x(&e) >= 0.0) {
        return Some(evidence("<"));
    }
    (wrong.iter().all(|e| x(&e) > 0.0) && right.iter().all(|e| x(&e) <= 0.0)).then(|| evidence(">"))
}

/// Whether one number was added to all.
fn shifted(wrong: &[&Element]) -> Option<String> {
    let by = |e: &&Element| e.autodiff - e.difference;
    let first = by(wrong.first()?);
    let is_same = wrong.len() > 2 && wrong.iter().all(|e| (by(e) - first).abs() <= SAME * first.abs() + 3.0 * e.error);
    is_same.then(|| format!("autodiff = the finite difference + {first:.6e} at all {} wrong elements: a term too much?", wrong.len()))
}

/// Whether all elements by autodiff are the mean, or the sum, of the true ones.
fn mean(all: &[&Element]) -> Option<String> {
    let first = all.first()?.autodiff;
    if all.len() < 3 || all.iter().any(|e| (e.autodiff - first).abs() > SAME * first.abs()) {
        return None;
    }
    let sum: f64 = all.iter().map(|e| e.difference).sum();
    let n = all.len() as f64;
    if (first - sum / n).abs() <= SAME * first.abs() {
        return Some(format!(
            "autodiff is {first:.6e} everywhere, the mean of those of the finite difference: is a gradient shared out equally?"
        ));
    }
    ((first - sum).abs() <= SAME * first.abs())
        .then(|| format!("autodiff is {first:.6e} everywhere, the sum of those of the finite difference: a reduction too much?"))
}

fn few(input: &Input, wrong: &[&Element]) -> String {
    let places: Vec<String> = wrong.iter().map(|e| format!("{:?}", input.position(e.index))).collect();
    format!("only {} {} wrong, all others are right", places.join(" and "), if wrong.len() == 1 { "is" } else { "are" })
}

/// Whether the inputs that are wrong are the first ones, as the parameters of the layers below a wrong rule are.
fn depth(report: &Report) -> Option<String> {
    let is_wrong = |input: &Input| input.elements.iter().any(|e| e.verdict == Verdict::Wrong);
    let first_right = report.inputs.iter().position(|input| !is_wrong(input))?;
    let rest = &report.inputs[first_right..];
    if first_right < 2 || report.inputs.len() < 4 || rest.iter().any(is_wrong) {
        return None;
    }
    let (last, next) = (&report.inputs[first_right - 1].name, &rest[0].name);
    Some(format!(
        "everything up to {last} is wrong, and from {next} on all is right: the error is in what lies between; check::nodes names the rule"
    ))
}
