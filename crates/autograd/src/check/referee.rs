//! Referees that need no finite differences: what every gradient has to be, whatever the function.

use super::{
    function::weights,
    lists::{difference, dot, largest, random_like},
    report::{Finding, Outcome},
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    tensor::Tensor,
    var::Var,
};

pub(super) fn finding(what: &'static str, is_right: bool, detail: String) -> Finding {
    Finding { what, outcome: if is_right { Outcome::Ok } else { Outcome::Wrong }, detail }
}

/// The gradients of a result by all leaves; zeros where there is none.
pub(super) fn gradients_by<T: Real>(y: Var<'_, T>, leaves: &[Var<'_, T>], cotangent: &Tensor<T>) -> Result<Vec<Tensor<T>>, Error> {
    let gradients = match y.backward_with(cotangent) {
        Err(error) if matches!(error.kind(), ErrorKind::NoGradient { .. }) => None,
        gradients => Some(gradients?),
    };
    let of = |leaf: &Var<'_, T>| match gradients.as_ref().and_then(|gradients| gradients.get(*leaf)) {
        Some(gradient) => Ok(gradient.clone()),
        None => Tensor::zeros(leaf.shape()?),
    };
    leaves.iter().map(of).collect()
}

/// That the gradient is linear in the incoming one and the same twice, that forward and reverse mode are adjoint, and which inputs are
/// unused.
pub(super) fn contract<T: Real>(f: impl for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T>, x: &[&Tensor<T>]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let room = 4e3 * T::EPSILON.to_f64();
    let g = Graph::new();
    let leaves: Vec<Var<'_, T>> = x.iter().map(|x| g.variable(*x)).collect();
    let y = f(&leaves);
    let value = y.value()?;
    let c: Vec<T> = weights(&value.as_slice().iter().map(|v| v.to_f64()).collect::<Vec<_>>()).into_iter().map(T::of).collect();
    let c = Tensor::new(c, value.shape())?;
    let plain = gradients_by(y, &leaves, &c)?;

    // What rounding alone may leave of a gradient that cancels out: that of the results on the way, for a step as large as the input.
    g.retain_all();
    let rounding = y.backward_with(&c).map_or(0.0, |gradients| g.rounding(&gradients));
    let typical = x.iter().map(|x| x.as_slice().iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()))).filter(|v| *v > 0.0);
    let (_, size) = dot(&[&c], &[&value]);
    let floor = 64.0 * T::EPSILON.to_f64() * size.max(rounding / f64::EPSILON) / typical.fold(f64::INFINITY, f64::min).min(1.0);
    let is_close = |a: &[Tensor<T>], b: &[Tensor<T>]| {
        let difference = difference(a, b);
        (difference <= floor.max(room * largest(b)), difference)
    };

    let zero = gradients_by(y, &leaves, &Tensor::zeros(value.shape())?)?;
    let is_zero = zero.iter().flat_map(Tensor::as_slice).all(|v| *v == T::ZERO);
    findings.push(finding("zero for zero", is_zero, "an incoming gradient of 0 has to give gradients of exactly 0".to_owned()));
    let triple: Vec<Tensor<T>> = plain.iter().map(|d| d.mul_lit(3.0)).collect::<Result<_, _>>()?;
    let (is_linear, distance) = is_close(&gradients_by(y, &leaves, &c.mul_lit(3.0)?)?, &triple);
    findings.push(finding(
        "linear",
        is_linear,
        format!("three times the incoming gradient gives three times the gradients, but for {distance:.1e}"),
    ));
    let (is_same, again) = is_close(&gradients_by(y, &leaves, &c)?, &plain);
    findings.push(finding("the same twice", is_same, format!("a second backward pass gives the same gradients, but for {again:.1e}")));
    findings.extend(adjoint(&f, x, &c, &plain, floor)?);
    let names = |k: usize| format!("input {k}");
    let unused: Vec<String> =
        (0..x.len()).filter(|&k| !g.tape.borrow().is_used(leaves[k].id()) && y.id() != leaves[k].id()).map(names).collect();
    if !unused.is_empty() {
        let detail = format!("nothing is computed from {}", unused.join(", "));
        findings.push(Finding { what: "unused", outcome: Outcome::NotApplicable, detail });
    }
    Ok(findings)
}

/// ⟨c, J·v⟩ = ⟨Jᵀ·c, v⟩: dual numbers against backpropagation.
fn adjoint<T: Real>(
    f: impl for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T>,
    x: &[&Tensor<T>],
    c: &Tensor<T>,
    gradients: &[Tensor<T>],
    floor: f64,
) -> Result<Option<Finding>, Error> {
    let what = "adjoint";
    let v = random_like(x, 1)?;
    let g = Graph::new();
    let leaves: Vec<Var<'_, T>> = x.iter().zip(&v).map(|(x, v)| g.dual(*x, v)).collect();
    let tangent = match f(&leaves).tangent() {
        Err(error) => {
            let detail = format!("there is no forward derivative: {}", error.kind());
            return Ok(Some(Finding { what, outcome: Outcome::NotApplicable, detail }));
        }
        Ok(tangent) => tangent.map_or_else(|| Tensor::zeros(c.shape()), Ok)?,
    };
    if tangent.shape() != c.shape() {
        return Ok(None);
    }
    let (forward, size) = dot(&[&tangent], &[c]);
    let (reverse, other) = dot(gradients, &v);
    if !forward.is_finite() || !reverse.is_finite() {
        return Ok(None);
    }
    let room = 4e3 * T::EPSILON.to_f64() * (size + other);
    let apart = (forward - reverse).abs();
    let outcome = match apart {
        a if a <= room + floor => Outcome::Ok,
        a if a <= 1e-6 * (size + other) => Outcome::Inconclusive,
        _ => Outcome::Wrong,
    };
    let detail = format!("dual numbers give ⟨c, J·v⟩ = {forward:.9e}, backpropagation ⟨Jᵀ·c, v⟩ = {reverse:.9e}");
    Ok(Some(Finding { what, outcome, detail }))
}
