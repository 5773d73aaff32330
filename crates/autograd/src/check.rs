//! Autodiff against finite differences, and against itself: is a gradient right?
//!
//! The derivative by each element is estimated from the values of the function alone, and the estimate has an *error that was measured*: central
//! differences at many steps are extrapolated, a result counts only if every smaller scale agrees with it, and the rounding of the values is
//! seen in what a smooth function cannot do. Autodiff is accused only if it is off by ten such errors. Steps are scaled to the element,
//! shortened at the edges of the domain and at kinks, and at a kink itself the slopes of the two sides are compared.
//!
//! | call | compares |
//! |---|---|
//! | [`gradients`], [`slices`] | the gradients of a function, element by element |
//! | [`op`](fn@op), [`multi_op`], [`handle`] | the rule of one operation, and what else it has to be |
//!
//! [`Checker`] has the options. Each call returns a value that says everything: [`Report`].

mod direction;
mod examine;
mod extrapolate;
mod format;
mod function;
mod op;
mod options;
mod report;
mod slope;
#[cfg(test)]
mod trials;
mod verdict;

use std::panic::Location;

pub use direction::Direction;
pub use op::{OpReport, handle, multi_op, op};
pub use options::{Checker, Coverage, Steps, Tolerance};
pub use report::{Cost, Finding, Input, Outcome, Report};
pub use verdict::{Element, Kink, Verdict};

use crate::{error::Error, tensor::Tensor, var::Var};

/// Whether the gradients of a function agree with finite differences.
///
/// A function whose result is no scalar is multiplied by fixed weights and summed, so that each element of the result counts differently.
/// Everything is computed in f64. The default is right for most functions; [`Checker::gradients`] is the same with options.
///
/// ```
/// use autograd::{check, tensor};
/// let (x, w) = (tensor![[0.1, 0.2], [0.3, 0.4]], tensor![0.5, -0.5]);
/// let report = check::gradients(|[x, w]| x.matmul(w).tanh(), [&x, &w])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point. What goes wrong near it is part of the report.
#[track_caller]
pub fn gradients<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    Checker::new().gradients(f, x)
}

/// As [`gradients`], for a number of inputs that is known only when the program runs.
///
/// # Errors
/// As [`gradients`]; no inputs.
#[track_caller]
pub fn slices<F>(f: F, x: &[&Tensor<f64>]) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    Checker::new().slices(f, x)
}

impl Checker {
    /// As [`check::gradients`](gradients), with these options.
    ///
    /// # Errors
    /// As [`gradients`].
    #[track_caller]
    pub fn gradients<F, const N: usize>(&self, f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
    where
        F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
    {
        self.slices(|x| f(std::array::from_fn(|k| x[k])), &x)
    }

    /// As [`check::slices`](slices), with these options.
    ///
    /// # Errors
    /// As [`slices`].
    #[track_caller]
    pub fn slices<F>(&self, f: F, x: &[&Tensor<f64>]) -> Result<Report, Error>
    where
        F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
    {
        let at = Location::caller();
        let function = function::Closure::<f64, F>::new(f, at);
        examine::examine(&function, x, self).map_err(|error| error.at(at))
    }
}
