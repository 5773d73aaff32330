//! The error of a finite difference against its step: truncation falls with the step and rounding grows, and the two make a V.

use std::fmt::Write;

use super::function::{Base, Closure};
use crate::{
    error::{Error, ErrorKind},
    plot::{Axis, Chart, Series},
    tensor::Tensor,
    var::Var,
};

/// Difference quotients of one element at steps from 1 down to 10⁻¹⁶ of its size.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The derivative by autodiff.
    pub autodiff: f64,
    /// The quotients, from the longest step to the shortest.
    pub points: Vec<SweepPoint>,
}

/// Difference quotients at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepPoint {
    /// The step h.
    pub step: f64,
    /// (f(x + h) − f(x)) / h
    pub forward: f64,
    /// (f(x + h) − f(x − h)) / 2h
    pub central: f64,
    /// (8 (f(x + h) − f(x − h)) − (f(x + 2h) − f(x − 2h))) / 12h
    pub fourth_order: f64,
}

/// So many steps a decade.
const PER_DECADE: i32 = 4;

pub(super) fn sweep<F>(f: &F, x: &[&Tensor<f64>], input: usize, index: usize) -> Result<Sweep, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    let function = Closure::<f64, &F>::new(f, std::panic::Location::caller());
    let Some(at) = x.get(input).and_then(|x| x.as_slice().get(index)).copied() else {
        let why = match x.get(input) {
            Some(x) => format!("there is no element {index} of input {input}, which has {}", x.len()),
            None => format!("there is no input {input}, of {}", x.len()),
        };
        return Err(Error::from(ErrorKind::Check { why }).in_op("sweep", Vec::new));
    };
    let base = Base::new(&function, x)?;
    let mut elements = x[input].to_vec();
    let mut change = |step: f64| {
        elements[index] = at + step;
        let moved = Tensor::of(*x[input].shape(), elements.clone());
        let all: Vec<&Tensor<f64>> = x.iter().enumerate().map(|(k, x)| if k == input { &moved } else { *x }).collect();
        base.sample(&all, step).change
    };
    let size = if at == 0.0 { 1.0 } else { at.abs() };
    let points = (0..=16 * PER_DECADE).map(|k| {
        let step = size * 10f64.powf(-f64::from(k) / f64::from(PER_DECADE));
        let (near, far) = (change(step) - change(-step), change(2.0 * step) - change(-2.0 * step));
        SweepPoint { step, forward: change(step) / step, central: near / (2.0 * step), fourth_order: (8.0 * near - far) / (12.0 * step) }
    });
    let points = points.collect();
    Ok(Sweep { autodiff: base.gradient.parts[input].as_slice()[index], points })
}

/// Errors below this are drawn as this: there are no smaller ones in double precision.
const FLOOR: f64 = 1e-17;

impl Sweep {
    /// The relative errors of the three quotients, taking autodiff for the truth.
    #[must_use]
    pub fn errors(&self) -> Vec<(f64, [f64; 3])> {
        let error = |v: f64| ((v - self.autodiff) / if self.autodiff == 0.0 { 1.0 } else { self.autodiff }).abs();
        self.points.iter().map(|p| (p.step, [error(p.forward), error(p.central), error(p.fourth_order)])).collect()
    }

    /// A line for each step, with a header.
    #[must_use]
    pub fn to_csv(&self) -> String {
        self.errors().iter().fold(String::from("step,forward,central,fourth_order\n"), |mut out, (step, [a, b, c])| {
            let _ = writeln!(out, "{step:e},{a:e},{b:e},{c:e}");
            out
        })
    }

    /// The curves as a picture with logarithmic axes.
    #[must_use]
    pub fn to_svg(&self, title: &str) -> String {
        let errors = self.errors();
        let curve = |k: usize| errors.iter().map(move |(step, e)| (*step, e[k].max(FLOOR)));
        let names = ["one-sided", "central", "fourth order"].into_iter().enumerate();
        Chart::new(title)
            .x(Axis::new("step h").log10())
            .y(Axis::new("relative error").log10().range(FLOOR, 10.0))
            .with_all(names.map(|(k, name)| Series::line(name, curve(k))))
            .to_svg()
    }
}
