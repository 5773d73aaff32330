//! One operation certified.

use std::{fmt, panic::Location};

use super::{Finding, Outcome, certify::certify};
use crate::{
    elementary::Derivation,
    error::Error,
    op::{Fixed, Handle, MultiOp, Op, Several},
    shape::Shape,
    tensor::Tensor,
};

/// Certifies an operation at a point: that it gives the same bits twice, that its gradients have the shapes of the inputs, agree with finite
/// differences, are linear in the incoming gradient and the same when recorded, that the gradient of the gradient and forward mode are
/// right, that single precision follows double, and its formula, if it has one.
///
/// ```
/// use autograd::{Error, Real, Tensor, check, op::{Algebra, Op, Sink}, tensor};
///
/// #[derive(Debug)]
/// struct SignedSquare;
///
/// impl Op<1> for SignedSquare {
///     fn name(&self) -> &'static str { "signed_square" }
///     fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> { x.mul(&x.abs()?) }
///     fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
///         out.add(0, g.mul(&x.abs().mul_lit(2.0)));
///     }
/// }
///
/// let report = check::op(&SignedSquare, [&tensor![1.5, -0.5]])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point. What is wrong with its rule is in the report.
#[track_caller]
pub fn op<O: Op<N>, const N: usize>(op: &O, x: [&Tensor<f64>; N]) -> Result<OpReport, Error> {
    certify(&Fixed::<O, &O, N, true>::new(op), &x, Location::caller())
}

/// As [`op`](fn@op), for an operation with several outputs.
///
/// ```
/// use autograd::{Algebra, Error, MultiOp, Real, Sink, Tensor, check, tensor};
///
/// #[derive(Debug)]
/// struct SumAndDifference;
///
/// impl MultiOp<2, 2> for SumAndDifference {
///     fn name(&self) -> &'static str { "sum_and_difference" }
///     fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<[Tensor<T>; 2], Error> { Ok([a.add(b)?, a.sub(b)?]) }
///     fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 2], _y: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
///         if let Some(g) = g[0] { out.add(0, g.clone()); out.add(1, g.clone()); }
///         if let Some(g) = g[1] { out.add(0, g.clone()); out.add(1, g.neg()); }
///     }
/// }
///
/// check::multi_op(&SumAndDifference, [&tensor![1.0, 2.0], &tensor![3.0, 4.0]])?.assert_ok();
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point.
#[track_caller]
pub fn multi_op<O: MultiOp<N, M>, const N: usize, const M: usize>(op: &O, x: [&Tensor<f64>; N]) -> Result<OpReport, Error> {
    certify(&Several::<O, &O, N, M>::new(op), &x, Location::caller())
}

/// As [`op`](fn@op), for any operation behind a handle: one with any number of inputs, with a first-order rule, or made of closures.
///
/// ```
/// use autograd::{Graph, check, tensor};
/// let g = Graph::<f64>::new();
/// let wrong = g.custom("cube", |[x]| x.powi(3), |[x], _y, g| Ok([g.mul(&x.square()?)?.mul_lit(2.0)?]));
/// let report = check::handle(wrong.handle(), &[&tensor![1.0, 2.0]])?;
/// assert!(!report.passed());
/// assert!(report.to_string().contains("finite differences: input 0 [2]: 0 of 2 elements ok, 2 wrong"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point.
#[track_caller]
pub fn handle(op: &Handle, x: &[&Tensor<f64>]) -> Result<OpReport, Error> {
    certify(op.op(), x, Location::caller())
}

/// What [`op`](fn@op) found. Its text form has a line for each thing that was looked at.
#[derive(Debug, Clone)]
pub struct OpReport {
    pub(super) name: &'static str,
    pub(super) shapes: Vec<Shape>,
    pub(super) findings: Vec<Finding>,
    pub(super) derivation: Option<Derivation>,
}

impl OpReport {
    /// Whether nothing is wrong or undecided.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding.outcome, Outcome::Ok | Outcome::NotApplicable))
    }

    /// All that was looked at, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The formula and its derivatives, for pointwise operations.
    #[must_use]
    pub fn derivation(&self) -> Option<&Derivation> {
        self.derivation.as_ref()
    }

    /// For tests.
    ///
    /// # Panics
    /// With the report as message, unless it [passed](OpReport::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl fmt::Display for OpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.shapes.iter().map(ToString::to_string).collect();
        let verdict = if self.passed() { "certified" } else { "NOT certified" };
        write!(f, "{}({}): {verdict}", self.name, shapes.join(", "))?;
        for Finding { what, outcome, detail } in &self.findings {
            write!(f, "\n  {} {what}: {detail}", outcome.mark())?;
        }
        if let Some(derivation) = &self.derivation {
            write!(f, "\n{derivation}")?;
        }
        Ok(())
    }
}
