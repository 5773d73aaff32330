//! Lessons: what is usually told about backpropagation, shown on a run of one's own.
//!
//! Each lesson takes a [`Trace`], or the scalar that was traced, and gives plain data: a struct with public fields that is
//! printed as text of at most 80 columns, and has `to_markdown` for a page. Nothing is computed from a second model of the graph: numbers come from
//! the trace, local derivatives are those of the run.
//!
//! | lesson | shows |
//! |---|---|
//! | [`by_hand`] | a calculation by hand, autodiff and finite differences in one table, with a diagnosis of what went wrong |
//! | [`order`] | why rules are asked in topological order: what recursion costs, and what is wrong in another order |
//! | [`fan_out`] | why gradients of a value that is used twice are added, and why they are set to zero elsewhere |
//! | [`paths`] | the gradient as a sum over all paths, next to the sweep that multiplies each edge once |
//! | [`forward_mode`] | tangents along the same graph, for one input: n sweeps against one |
//! | [`sgd_step`] | a step of descent: what the gradient predicts, and what happens |
//! | [`non_finite`] | the first number that is not finite, and what it spoils |
//! | [`memory`] | what is kept for the backward pass, until when, and what is never read again |
//!
//! In JSON, numbers that are not finite are `null`.
//!
//! ```
//! use autograd::{Graph, lesson};
//! let g = Graph::<f64>::new();
//! let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
//! let f = ((x + y).named("q") * z).named("f");
//! let table = lesson::by_hand(f, [("x", -4.0), ("y", 4.0), ("z", 3.0)])?;
//! assert_eq!(table.rows[1].diagnoses[0], "the sign is wrong");
//! println!("{table}");
//! # Ok::<(), autograd::Error>(())
//! ```

mod page;
mod link;
mod by_hand;
mod order;
mod fan_out;
mod paths;
mod forward;
mod sgd_step;
mod non_finite;
mod memory;

pub use by_hand::{Agreement, ByHand, Compared, by_hand};
pub use fan_out::{Contribution, FanOut, Leaf, Shared, fan_out};
pub use forward::{ForwardMode, Tangent, TangentTerm, forward_mode};
pub use memory::{Held, Memory, StillNeeded, memory};
pub use non_finite::{BadDerivative, BadValue, FirstNonFinite, non_finite};
pub use order::{Order, OrderLine, Passed, Visited, order};
pub use page::{Page, Table};
pub use paths::{OnePath, Paths, PathsTo, paths};
pub use sgd_step::{Outcome, SgdStep, Stepped, sgd_step};

use crate::{
    elementary::number,
    error::{Error, ErrorKind},
    trace::{Array, Trace},
};

/// Prints lessons, and turns them into Markdown.
macro_rules! shown {
    ($($Lesson:ident)*) => { $(
        impl std::fmt::Display for $Lesson {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.page().fmt(f)
            }
        }
        impl $Lesson {
            /// The lesson as Markdown.
            #[must_use]
            pub fn to_markdown(&self) -> String {
                self.page().to_markdown()
            }
        }
    )* };
}
shown! { ByHand Order FanOut Paths ForwardMode SgdStep FirstNonFinite Memory }

/// That a lesson cannot be given.
fn refused(lesson: &'static str, why: String) -> Error {
    Error::from(ErrorKind::Refused { why }).in_op(lesson, Vec::new)
}

/// An array in a table.
fn short(array: &Array) -> String {
    array.short(4)
}

/// An array that there may not be.
fn maybe(array: Option<&Array>) -> String {
    array.map_or_else(|| "–".to_owned(), short)
}

/// A count in a table; counts that are too large to be counted say so.
fn count(n: u64) -> String {
    match n {
        u64::MAX => "over 10^19".to_owned(),
        n if n >= 10_000_000 => number(n as f64),
        n => n.to_string(),
    }
}

/// A count with its noun.
fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// The first operation whose local derivative the trace does not have as numbers.
fn unknown_rule(trace: &Trace, links: &[Vec<link::Link<'_>>]) -> Option<String> {
    let link = links.iter().flatten().find(|link| !link.is_known())?;
    let visit = trace.visits.iter().find(|visit| visit.edges.iter().any(|edge| std::ptr::eq(edge, link.edge)))?;
    let node = &trace.nodes[visit.node];
    Some(format!("the derivative of {} ({}) by its input {} is a rule for whole arrays", node.name, node.op, link.edge.input))
}
