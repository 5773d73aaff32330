//! Derivatives of gradients: against finite differences of the gradient, by symmetry, and forward over reverse.

use std::panic::Location;

use super::{
    Checker, Report, Verdict,
    examine::examine,
    function::{Closure, Function, weights},
    lists::{apart, dot, random_like},
    referee::finding,
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    tensor::Tensor,
    var::Var,
};

/// ⟨∇f, v⟩ as a function whose own gradient is H·v.
fn slope<'g, F>(f: &F, x: &[Var<'g, f64>], v: &[Tensor<f64>]) -> Result<Var<'g, f64>, Error>
where
    F: for<'a, 'h> Fn(&'a [Var<'h, f64>]) -> Var<'h, f64> + Sync,
{
    let g = x[0].graph();
    let slopes = recorded(f, x)?;
    let parts = slopes.iter().zip(v).map(|(d, v)| (*d * g.constant(v)).sum());
    parts.reduce(|a, b| a + b).ok_or_else(|| ErrorKind::NoInputs.into())
}

/// The gradients, recorded.
fn recorded<'g, F>(f: &F, x: &[Var<'g, f64>]) -> Result<Vec<Var<'g, f64>>, Error>
where
    F: for<'a, 'h> Fn(&'a [Var<'h, f64>]) -> Var<'h, f64> + Sync,
{
    let g = x[0].graph();
    let y = f(x);
    let value = y.value()?;
    let cotangent = g.constant(Tensor::new(weights(value.as_slice()), value.shape())?);
    Ok(g.vjp(y, cotangent, x))
}

/// Checks second derivatives.
pub(super) fn second_order<F>(options: &Checker, f: &F, x: &[&Tensor<f64>], at: &'static Location<'static>) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let (u, v) = (random_like(x, 2)?, random_like(x, 3)?);
    let along = |v: Vec<Tensor<f64>>| Closure::<f64, _>::new(Slopes { f, v }, at);
    let (along_u, along_v) = (along(u.clone()), along(v.clone()));
    let mut report = examine(&along_v, x, options)?;

    let first = super::run::gradients(options, f, x, at)?;
    let worst = first.inputs().iter().map(super::Input::deviation).fold(0.0, f64::max);
    let is_right = first.count(Verdict::is_fault) == 0;
    report.findings.push(finding(
        "the gradient itself",
        is_right,
        format!("it and finite differences are apart by {worst:.1e} of its largest element at most"),
    ));

    let (hu, hv) = (along_u.gradient(x)?.parts, along_v.gradient(x)?.parts);
    let ((one, size), (other, _)) = (dot(&u, &hv), dot(&v, &hu));
    if one.is_finite() && other.is_finite() {
        let is_right = (one - other).abs() <= 1e-9 * size.max(dot(&v, &hu).1);
        report.findings.push(finding("symmetry", is_right, format!("⟨u, H·v⟩ = {one:.9e}, ⟨v, H·u⟩ = {other:.9e}")));
    }
    let g = Graph::new();
    let leaves: Vec<_> = x.iter().zip(&v).map(|(x, v)| g.dual(*x, v)).collect();
    let tangents = recorded(f, &leaves).and_then(|slopes| {
        let zeros = |x: &&Tensor<f64>| Tensor::zeros(x.shape());
        slopes.iter().zip(x).map(|(d, x)| d.tangent()?.map_or_else(|| zeros(x), Ok)).collect::<Result<Vec<_>, Error>>()
    });
    if let Ok(tangents) = tangents {
        let apart = apart(&tangents, &hv);
        report.findings.push(finding(
            "forward over reverse",
            apart <= 1e-9,
            format!("H·v by dual numbers is apart from that by reverse mode by {apart:.1e} of the largest element"),
        ));
    }
    Ok(report)
}

/// The closure x ↦ ⟨∇f(x), v⟩.
struct Slopes<'f, F> {
    f: &'f F,
    v: Vec<Tensor<f64>>,
}

impl<F> super::function::Formula<f64> for Slopes<'_, F>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    fn apply<'g>(&self, x: &[Var<'g, f64>]) -> Var<'g, f64> {
        x[0].graph().try_var(|| slope(self.f, x, &self.v))
    }
}
