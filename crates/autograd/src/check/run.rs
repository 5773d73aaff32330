//! The checks of functions: in the precision that the function has, and against the same graph in double precision if that is single.

use std::panic::Location;

use super::{
    Checker, Report, Verdict,
    contributions::lost_on_graph,
    diagnosis,
    examine::examine,
    function::Closure,
    lists::apart,
    referee::{contract, gradients_by},
    replayed::Replayed,
    report::{Finding, Outcome},
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// Checks the gradient of a recorded scalar by one of its leaves, or by what was made one.
pub(crate) fn recorded(graph: Graph<f64>, leaf: u32, root: u32) -> Result<Report, Error> {
    let x = Var::new(&graph, leaf).value()?;
    examine(&Replayed::new(graph, vec![leaf], root)?, &[&x], &Checker::new())
}

/// Checks the gradients of a function of either precision.
pub(super) fn gradients<T: Real, F>(options: &Checker, f: &F, x: &[&Tensor<T>], at: &'static Location<'static>) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T> + Sync,
{
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let wide: Vec<Tensor<f64>> = x.iter().map(|x| x.cast()).collect();
    let wide: Vec<&Tensor<f64>> = wide.iter().collect();
    let mut report =
        if T::NAME == f64::NAME { examine(&Closure::<T, &F>::new(f, at), &wide, options)? } else { single(options, f, x, &wide)? };
    let is_spoiled = report.count(|v| matches!(v, Verdict::NonDeterministic | Verdict::NonFinite)) > 0;
    if !is_spoiled {
        report.findings.extend(contract(f, x)?);
    }
    diagnosis::diagnose(&mut report, &wide, || {
        let g = Graph::<T>::new();
        let leaves: Vec<Var<'_, T>> = x.iter().map(|x| g.variable(*x)).collect();
        f(&leaves);
        lost_on_graph(&g, &leaves.iter().map(|leaf| leaf.id()).collect::<Vec<_>>())
    });
    Ok(report)
}

/// A function of single precision is recorded, and its graph checked in double precision; the gradients of the two are compared.
fn single<T: Real, F>(options: &Checker, f: &F, x: &[&Tensor<T>], wide: &[&Tensor<f64>]) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T> + Sync,
{
    let g = Graph::<T>::new();
    let leaves: Vec<Var<'_, T>> = x.iter().map(|x| g.variable(*x)).collect();
    let y = f(&leaves);
    let value = y.value()?;
    let graph = g.widened()?;
    let function = Replayed::new(graph, leaves.iter().map(|leaf| leaf.id()).collect(), y.id())?;
    let cotangent = Tensor::new(function.weights().iter().map(|w| T::of(*w)).collect::<Vec<_>>(), value.shape())?;
    let narrow = gradients_by(y, &leaves, &cotangent)?;
    let mut report = examine(&function, wide, options)?;
    let apart = report.inputs().iter().zip(&narrow).map(|(input, narrow)| apart(&[narrow], &[input.gradient()]));
    let apart = apart.fold(0.0, f64::max);
    let outcome = if apart <= 1e-3 { Outcome::Ok } else { Outcome::Inconclusive };
    let detail = format!("the gradients of autodiff in {} follow those in f64 to {apart:.1e} of the largest element", T::NAME);
    report.findings.push(Finding { what: "single precision", outcome, detail });
    Ok(report)
}
