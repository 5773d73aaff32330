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
//! | [`single`] | those of a function of single precision, on its graph in double precision |
//! | [`nodes`] | every operation on the graph of a function with itself, so that a wrong rule is named with its line |
//! | [`op`](fn@op), [`multi_op`], [`handle`] | the rule of one operation, and what else it has to be |
//! | [`second_order`] | second derivatives: with differences of the gradient, by symmetry, forward over reverse |
//! | [`jvp`] | forward mode, element by element of the result |
//! | [`taylor`] | the rates at which Taylor remainders fall |
//! | [`compare`] | gradients of two origins |
//! | [`sweep`] | difference quotients at all steps: the V |
//!
//! [`Checker`] has the options. Each call returns a value that says everything, such as a [`Report`].

mod certify;
mod compare;
mod contributions;
mod diagnosis;
mod direction;
mod examine;
mod extrapolate;
mod format;
mod function;
mod jvp;
mod ladder;
mod lists;
mod nodes;
mod op;
mod options;
mod referee;
mod replayed;
mod report;
mod run;
mod second;
mod slope;
mod subject;
mod sweep;
mod taylor;
#[cfg(test)]
mod trials;
mod verdict;

use std::panic::Location;

pub use direction::Direction;
pub use nodes::{Node, NodesReport};
pub use op::{OpReport, handle, multi_op, op};
pub use options::{Checker, Coverage, Steps, Tolerance};
pub use report::{Cost, Finding, Input, Outcome, Report};
pub(crate) use run::recorded;
pub use sweep::{Sweep, SweepPoint};
pub use taylor::Taylor;
pub use verdict::{Element, Kink, Verdict};

use crate::{error::Error, real::Real, tensor::Tensor, var::Var};

/// Whether the gradients of a function agree with finite differences.
///
/// A function whose result is no scalar is multiplied by fixed weights and summed, so that each element of the result counts differently.
/// Everything is computed in f64; functions of f32 are for [`single`]. The default is right for most functions; [`Checker::gradients`] is the
/// same with options.
///
/// ```
/// use autograd::{check, tensor};
/// let (x, w) = (tensor![[0.1, 0.2], [0.3, 0.4]], tensor![0.5, -0.5]);
/// let report = check::gradients(|[x, w]| x.matmul(w).tanh(), [&x, &w])?;
/// assert!(report.passed(), "{report}");
///
/// // A gradient that is replaced by its double on its way:
/// let report = check::gradients(|[x]| x.sin().on_grad(|g| g.mul_lit(2.0).ok()).sum(), [&tensor![0.5, 1.0]])?;
/// assert!(report.diagnosis()[0].starts_with("input 0: autodiff = 2.000000 × the finite difference at all 2 elements"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point; what goes wrong near it is part of the report.
#[track_caller]
pub fn gradients<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    Checker::new().gradients(f, x)
}

/// As [`gradients`], for a function of single precision: it is recorded, and its graph replayed in double precision, since no step makes a
/// finite difference of single precision a good one. How far the gradients of the two precisions are apart is a line of its own.
///
/// ```
/// use autograd::{check, tensor};
/// let report = check::single(|[x]| (x * 3.0).sin() + 1e3, [&tensor![0.5f32]])?;
/// assert!(report.passed() && report.deviation() < 1e-8, "{report}");
/// assert!(report.to_string().contains("the gradients of autodiff in f32 follow those in f64"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`gradients`]; an operation that was made for single precision alone, or the result of a [scope](crate::Graph::scope).
#[track_caller]
pub fn single<F, const N: usize>(f: F, x: [&Tensor<f32>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f32>; N]) -> Var<'g, f32> + Sync,
{
    Checker::new().slices_of(|x: &[Var<'_, f32>]| f(std::array::from_fn(|k| x[k])), &x)
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

/// Whether every operation that a function applies has a right rule: each is compared with finite differences of itself, at the values that it
/// had. Where [`gradients`] finds leaves that are wrong, this names the operation and its line.
///
/// ```
/// use autograd::{check, tensor};
/// let report = check::nodes(
///     |[x]| {
///         let cube = x.graph().custom("cube", |[x]| x.powi(3), |[x], _y, g| Ok([g.mul(&x.square()?)?.mul_lit(2.0)?]));
///         cube.apply([x.sin()]).exp().sum()
///     },
///     [&tensor![0.5, 1.0]],
/// )?;
/// let wrong: Vec<_> = report.wrong().map(|node| node.op).collect();
/// assert_eq!(wrong, ["cube"]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point.
#[track_caller]
pub fn nodes<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<NodesReport, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64>,
{
    Checker::new().nodes(|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x)
}

/// Whether second derivatives are right: H·v, for a direction v of random signs, against finite differences of ⟨∇f, v⟩; ⟨u, H·v⟩ = ⟨v, H·u⟩;
/// and forward mode over reverse mode. The gradient itself is checked on the way.
///
/// ```
/// use autograd::{check, tensor};
/// check::second_order(|[x]| x.sin().prod(), [&tensor![0.5, 1.0, 2.0]])?.assert_ok();
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point; an operation that has first derivatives only.
#[track_caller]
pub fn second_order<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    Checker::new().second_order(|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x)
}

/// Whether forward mode is right: for each input, the derivative of every element of the result along a direction of random signs.
///
/// ```
/// use autograd::{check, tensor};
/// let report = check::jvp(|[x, w]| x.matmul(w).tanh(), [&tensor![[0.1, 0.2], [0.3, 0.4]], &tensor![0.5, -0.5]])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point; an operation without a forward derivative.
#[track_caller]
pub fn jvp<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    Checker::new().jvp(|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x)
}

/// The remainders of the Taylor polynomials of a function along a direction; see [`Taylor`].
///
/// ```
/// use autograd::{check, tensor};
/// let taylor = check::taylor(|[x]| x.exp().sum(), [&tensor![0.5, 1.0]], [&tensor![1.0, -0.5]])?;
/// assert!(taylor.passed() && (taylor.rate(1).unwrap() - 2.0).abs() < 0.1, "{taylor}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the point or a step away; a direction of another shape.
#[track_caller]
pub fn taylor<F, const N: usize>(f: F, x: [&Tensor<f64>; N], direction: [&Tensor<f64>; N]) -> Result<Taylor, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64>,
{
    let at = Location::caller();
    taylor::taylor(&|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x, &direction).map_err(|error| error.at(at))
}

/// Gradients against those of another origin, by name, to the relative tolerance 1e-6; the second list counts as the truth.
///
/// ```
/// use autograd::{check, tensor};
/// let (ours, theirs) = (tensor![1.0, 2.0], tensor![1.0, -2.0]);
/// let report = check::compare(&[("w", &ours)], &[("w", &theirs)])?;
/// assert!(!report.passed());
/// assert_eq!(report.inputs()[0].worst()[0].index, 1);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// None but for lack of memory: names that are missing and shapes that differ are in the report.
pub fn compare(ours: &[(&str, &Tensor<f64>)], theirs: &[(&str, &Tensor<f64>)]) -> Result<Report, Error> {
    Checker::new().compare(ours, theirs)
}

/// Difference quotients by element `index` of input `input` at steps from its size down to 10⁻¹⁶ of it: their error is the famous V.
///
/// ```
/// use autograd::{check, tensor};
/// let sweep = check::sweep(|[x]| x.sin(), [&tensor![1.0]], 0, 0)?;
/// let best = |order: usize| sweep.errors().iter().map(|(_, errors)| errors[order]).fold(f64::INFINITY, f64::min);
/// assert!(best(0) < 1e-7 && best(1) < 1e-9 && best(2) < 1e-11);
/// assert!(sweep.to_svg("sin at 1").starts_with("<svg"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point; an element that is not there.
#[track_caller]
pub fn sweep<F, const N: usize>(f: F, x: [&Tensor<f64>; N], input: usize, index: usize) -> Result<Sweep, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    let at = Location::caller();
    sweep::sweep(&|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x, input, index).map_err(|error| error.at(at))
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
        self.slices_of(|x: &[Var<'_, f64>]| f(std::array::from_fn(|k| x[k])), &x)
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
        self.slices_of(f, x)
    }

    /// As [`slices`](Checker::slices) and [`single`], for functions of either precision.
    ///
    /// # Errors
    /// As those.
    #[track_caller]
    pub fn slices_of<T: Real, F>(&self, f: F, x: &[&Tensor<T>]) -> Result<Report, Error>
    where
        F: for<'a, 'g> Fn(&'a [Var<'g, T>]) -> Var<'g, T> + Sync,
    {
        let at = Location::caller();
        run::gradients(self, &f, x, at).map_err(|error| error.at(at))
    }

    /// As [`check::nodes`](nodes), with these options and any number of inputs.
    ///
    /// # Errors
    /// As [`nodes`]; no inputs.
    #[track_caller]
    pub fn nodes<F>(&self, f: F, x: &[&Tensor<f64>]) -> Result<NodesReport, Error>
    where
        F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64>,
    {
        let at = Location::caller();
        nodes::nodes(self, &f, x, at).map_err(|error| error.at(at))
    }

    /// As [`check::second_order`](second_order), with these options and any number of inputs.
    ///
    /// # Errors
    /// As [`second_order`]; no inputs.
    #[track_caller]
    pub fn second_order<F>(&self, f: F, x: &[&Tensor<f64>]) -> Result<Report, Error>
    where
        F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
    {
        let at = Location::caller();
        second::second_order(self, &f, x, at).map_err(|error| error.at(at))
    }

    /// As [`check::jvp`](jvp), for any number of inputs, with the seed, the relative tolerance and the share of these options; every element of the
    /// result is looked at, with measured steps.
    ///
    /// # Errors
    /// As [`jvp`]; no inputs.
    #[track_caller]
    pub fn jvp<F>(&self, f: F, x: &[&Tensor<f64>]) -> Result<Report, Error>
    where
        F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
    {
        let at = Location::caller();
        jvp::jvp(self, &f, x).map_err(|error| error.at(at))
    }

    /// As [`check::compare`](compare), with the relative tolerance of these options.
    ///
    /// # Errors
    /// As [`compare`].
    pub fn compare(&self, ours: &[(&str, &Tensor<f64>)], theirs: &[(&str, &Tensor<f64>)]) -> Result<Report, Error> {
        compare::compare(self, ours, theirs)
    }
}
