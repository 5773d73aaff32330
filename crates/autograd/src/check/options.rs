//! What can be asked for beyond the default check.

use std::{fmt, sync::Arc};

/// How the finite differences choose their steps. The error at all steps, for one element, is [`check::sweep`](super::sweep()).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Steps {
    /// By agreement across scales, from the size of the element down: each result has a measured error. Where two fourth-order differences
    /// confirm autodiff to the relative tolerance, they suffice.
    #[default]
    Measured,
    /// One central difference with the step ∛ε·max(|x|, a tenth of its tensor's largest), and one of half that step, whose difference is the
    /// error: four evaluations.
    Fast,
    /// One central difference with this step, whatever the element, and one of half the step for its error: what textbooks and `PyTorch` do.
    Fixed(f64),
    /// One central difference as wide as the element itself: for functions that are linear in it, where a wide step has no truncation error.
    Linear,
}

/// Which elements are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coverage {
    /// All, of up to 10,000 elements together; else four directions and 8 elements of each tensor.
    #[default]
    Auto,
    /// Every element.
    All,
    /// So many elements of each tensor, so that small tensors such as biases are never drowned: from the largest derivative to the smallest,
    /// and some at random.
    PerTensor(usize),
    /// So many directions of random signs in each tensor. Where one fails, its halves are tried, down to the elements that are wrong.
    Directions(usize),
}

/// When the two derivatives agree.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tolerance {
    /// |a − n| ≤ 3·error + rtol·max(|a|, |n|), with the measured error of the finite difference n; a deviation above ten such errors is wrong.
    #[default]
    Measured,
    /// |a − n| ≤ atol + rtol·|n|, the rule of `numpy.allclose`: it calls wrong what is not close, whatever the error of n.
    Constant {
        /// The absolute tolerance.
        atol: f64,
        /// The relative tolerance.
        rtol: f64,
    },
}

/// Something to be told how many elements are done, of how many.
pub(super) type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// A check with other than the default options.
///
/// ```
/// use autograd::{check::{Checker, Coverage, Steps, Tolerance}, tensor};
/// let x = tensor![1.0, 2.0, 3.0];
/// // What PyTorch's `gradcheck` does:
/// let report = Checker::new()
///     .steps(Steps::Fixed(1e-6))
///     .tolerance(Tolerance::Constant { atol: 1e-5, rtol: 1e-3 })
///     .coverage(Coverage::All)
///     .gradients(|[x]| x.ln().sum(), [&x])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone)]
pub struct Checker {
    pub(super) steps: Steps,
    pub(super) coverage: Coverage,
    pub(super) tolerance: Tolerance,
    pub(super) rtol: f64,
    pub(super) share: f64,
    pub(super) seed: u64,
    pub(super) max_evals: Option<usize>,
    pub(super) max_seconds: Option<f64>,
    pub(super) progress: Option<Progress>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker {
            steps: Steps::Measured,
            coverage: Coverage::Auto,
            tolerance: Tolerance::Measured,
            rtol: 1e-6,
            share: 1.0,
            seed: 0,
            max_evals: None,
            max_seconds: None,
            progress: None,
        }
    }
}

impl Checker {
    /// The default check.
    #[must_use]
    pub fn new() -> Self {
        Checker::default()
    }

    /// How steps are chosen.
    #[must_use]
    pub fn steps(self, steps: Steps) -> Self {
        Checker { steps, ..self }
    }

    /// Which elements are looked at.
    #[must_use]
    pub fn coverage(self, coverage: Coverage) -> Self {
        Checker { coverage, ..self }
    }

    /// When the two derivatives agree.
    #[must_use]
    pub fn tolerance(self, tolerance: Tolerance) -> Self {
        Checker { tolerance, ..self }
    }

    /// The relative deviation that is accepted beside the measured error; 1e-6 unless another is given.
    #[must_use]
    pub fn rtol(self, rtol: f64) -> Self {
        Checker { rtol, ..self }
    }

    /// The share of elements of each tensor that must be decided for the check to pass; all, unless another is given.
    #[must_use]
    pub fn decided(self, share: f64) -> Self {
        Checker { share, ..self }
    }

    /// The seed of random directions and samples.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Checker { seed, ..self }
    }

    /// The function is evaluated no more than about so many times: no element is begun whose check might go beyond. What is left out is
    /// reported as skipped, and elements are looked at one after the other.
    #[must_use]
    pub fn max_evals(self, evaluations: usize) -> Self {
        Checker { max_evals: Some(evaluations), ..self }
    }

    /// No element is begun after so many seconds. What is left out is reported as skipped.
    #[must_use]
    pub fn max_seconds(self, seconds: f64) -> Self {
        Checker { max_seconds: Some(seconds), ..self }
    }

    /// Calls `f` with the number of elements that are done, and of all, now and then.
    #[must_use]
    pub fn progress(self, f: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Checker { progress: Some(Arc::new(f)), ..self }
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checker { steps, coverage, tolerance, rtol, share, seed, max_evals, max_seconds, progress: _ } = self;
        f.debug_struct("Checker")
            .field("steps", steps)
            .field("coverage", coverage)
            .field("tolerance", tolerance)
            .field("rtol", rtol)
            .field("decided", share)
            .field("seed", seed)
            .field("max_evals", max_evals)
            .field("max_seconds", max_seconds)
            .finish_non_exhaustive()
    }
}
