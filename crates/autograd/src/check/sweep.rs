//! The error of a finite difference against its step: truncation falls with the step and rounding grows, and the two make a V.

use std::fmt::Write;

use super::function::{Base, Closure};
use crate::{
    error::{Error, ErrorKind},
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

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
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
        let errors: Vec<_> = self.errors().into_iter().filter(|(_, e)| e.iter().all(|v| v.is_finite())).collect();
        let steps = || errors.iter().map(|(step, _)| step.log10());
        let (low, high) = (steps().fold(f64::INFINITY, f64::min).floor(), steps().fold(f64::NEG_INFINITY, f64::max).ceil());
        let (bottom, top) = (FLOOR.log10(), 1.0f64);
        let x = |v: f64| 64.0 + (v - low) / (high - low).max(1.0) * (WIDTH - 88.0);
        let y = |v: f64| 44.0 + (top - v) / (top - bottom) * (HEIGHT - 96.0);
        let title = title.replace('&', "&amp;").replace('<', "&lt;");
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"64\" y=\"26\" font-size=\"16\" fill=\"#222\">{title}</text>\n"
        );
        let decades = |low: f64, high: f64| (0..=16).map(move |k| low + 2.0 * f64::from(k)).filter(move |v| *v <= high);
        for v in decades(low, high) {
            let at = x(v);
            let _ = writeln!(out, "<line x1=\"{at:.1}\" y1=\"44\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>", HEIGHT - 52.0);
            let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444\">1e{v:.0}</text>", HEIGHT - 34.0);
        }
        for v in decades(bottom + 1.0, top) {
            let at = y(v);
            let _ = writeln!(out, "<line x1=\"64\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>", WIDTH - 24.0);
            let _ = writeln!(out, "<text x=\"56\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">1e{v:.0}</text>", at + 4.0);
        }
        let _ = writeln!(out, "<text x=\"352\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#222\">step h</text>", HEIGHT - 12.0);
        let curves = [("one-sided", "#c4561b"), ("central", "#1f5fa8"), ("fourth order", "#3a7d44")];
        for (i, (name, colour)) in curves.into_iter().enumerate() {
            let points: Vec<String> =
                errors.iter().map(|(step, e)| format!("{:.1},{:.1}", x(step.log10()), y(e[i].max(FLOOR).log10().min(top)))).collect();
            let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", points.join(" "));
            // Below the left arm of the V there is room.
            let at = HEIGHT - 102.0 + 18.0 * i as f64;
            let _ = writeln!(out, "<text x=\"76\" y=\"{at:.1}\" fill=\"{colour}\">● {name}</text>");
        }
        out + "</svg>\n"
    }
}
