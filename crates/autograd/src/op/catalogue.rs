//! The catalogue: every operation with sample inputs, so that tests and documents can go through all of them.

use super::{
    Handle, attention, decompose, dropout, einsum, index, join, linear, movement, norm, normalise, pointwise, pool, reduce, scan, select,
    standardise, window,
};
use crate::var::Var;

/// An operation of the library.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name of the method.
    pub name: &'static str,
    /// How it is called, such as `x.softmax(axis: isize)`.
    pub signature: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// Formulas that apply it to inputs of various shapes.
    pub samples: &'static [Sample],
    /// Uses that are refused.
    pub errors: &'static [Mistake],
    /// Makes the operation, where it stands in the table of derivatives.
    pub handle: Option<fn() -> Handle>,
}

/// A formula that applies one operation.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The formula as it is written.
    pub text: &'static str,
    /// For each input, its shape and the range from which its elements may be drawn.
    pub inputs: &'static [(&'static [usize], (f64, f64))],
    /// The formula.
    pub run: for<'a, 'g> fn(&'a [Var<'g, f64>]) -> Var<'g, f64>,
    /// The same formula in single precision.
    pub run_f32: for<'a, 'g> fn(&'a [Var<'g, f32>]) -> Var<'g, f32>,
}

/// A use of an operation that is refused, and part of the message.
#[derive(Debug, Clone, Copy)]
pub struct Mistake {
    /// The use.
    pub sample: Sample,
    /// What the error says.
    pub message: &'static str,
}

/// A [`Sample`] whose formula is written once: `sample!([[2, 3], ([3], (0.5, 2.0))], |x| x[0] / x[1])`, for catalogues of other crates too.
#[doc(hidden)]
#[macro_export]
macro_rules! sample {
    ([$($input:tt),+], |$x:ident| $formula:expr) => {
        $crate::op::Sample {
            text: stringify!($formula),
            inputs: &[$($crate::sample!(@input $input)),+],
            run: |$x| $formula,
            run_f32: |$x| $formula,
        }
    };
    (@input ($shape:expr, $range:expr)) => { (&$shape, $range) };
    (@input $shape:expr) => { (&$shape, (-2.0, 2.0)) };
}
pub(crate) use sample;

/// The families of operations, in the order of the documentation, each with a title.
pub fn families() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static Entry>)> {
    let families: [(&str, &[&[Entry]]); 8] = [
        ("Pointwise functions", &[pointwise::ENTRIES]),
        ("Reductions", &[reduce::ENTRIES, norm::ENTRIES]),
        ("Scans", &[scan::ENTRIES]),
        ("Linear algebra", &[linear::ENTRIES, einsum::ENTRIES, decompose::ENTRIES]),
        ("Movement", &[movement::ENTRIES, join::ENTRIES, join::JOINING]),
        ("Indexing and choosing", &[index::ENTRIES, select::ENTRIES]),
        ("Windows", &[window::ENTRIES, pool::ENTRIES]),
        ("Normalisation, attention, dropout", &[normalise::ENTRIES, standardise::ENTRIES, attention::ENTRIES, dropout::ENTRIES]),
    ];
    families.into_iter().map(|(title, parts)| (title, parts.iter().copied().flatten()))
}

/// All operations of the library, in the order of the documentation.
///
/// ```
/// let tanh = autograd::op::catalogue().find(|entry| entry.name == "tanh").unwrap();
/// let rule = tanh.handle.unwrap()().derivation().unwrap();
/// assert_eq!(rule.slopes, ["1 − y²"]);
/// ```
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    families().flat_map(|(_, entries)| entries)
}
