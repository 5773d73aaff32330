//! The catalogue: every operation with sample inputs, so that tests and documents can go through all of them.

use super::{Handle, index, linear, movement, normalise, pointwise, reduce};
use crate::var::Var;

/// An operation of the library.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name of the method.
    pub name: &'static str,
    /// Formulas that apply it to inputs of various shapes.
    pub samples: &'static [Sample],
    /// Makes the operation, where it stands in the table of derivatives.
    pub handle: Option<fn() -> Handle>,
}

/// A formula that applies one operation.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// For each input, its shape and the range from which its elements may be drawn.
    pub inputs: &'static [(&'static [usize], (f64, f64))],
    /// The formula.
    pub run: for<'a, 'g> fn(&'a [Var<'g, f64>]) -> Var<'g, f64>,
    /// The same formula in single precision.
    pub run_f32: for<'a, 'g> fn(&'a [Var<'g, f32>]) -> Var<'g, f32>,
}

/// A [`Sample`] whose formula is written once.
macro_rules! sample {
    ([$(($shape:expr, $range:expr)),+], |$x:ident| $formula:expr) => {
        $crate::op::Sample { inputs: &[$((&$shape, $range)),+], run: |$x| $formula, run_f32: |$x| $formula }
    };
}
pub(crate) use sample;

/// All operations of the library, in the order of the documentation.
///
/// ```
/// let tanh = autograd::op::catalogue().find(|entry| entry.name == "tanh").unwrap();
/// let rule = tanh.handle.unwrap()().derivation().unwrap();
/// assert_eq!(rule.slopes, ["1 − y²"]);
/// ```
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    [pointwise::ENTRIES, reduce::ENTRIES, linear::ENTRIES, movement::ENTRIES, movement::JOINING, index::ENTRIES, normalise::ENTRIES]
        .into_iter()
        .flatten()
}
