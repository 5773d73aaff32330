//! What is kept for the backward pass, and until when.

use serde::Serialize;

use super::{Page, Table, count};
use crate::trace::{Kind, Trace};

/// The values of a run, and what the backward pass needs of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// The values, in the order of the computation.
    pub values: Vec<Held>,
    /// The bytes of all results; leaves are not counted, which exist anyway.
    pub results: u64,
    /// Of these, the bytes that some rule reads.
    pub needed: u64,
    /// Of these, the bytes that no rule reads: they could be dropped as soon as the forward pass is done with them.
    pub never_read: u64,
    /// Of all, the bytes that were dropped in checkpoints, and computed again.
    pub recomputed: u64,
    /// The backward pass: after each rule, the bytes of results that later ones still read.
    pub timeline: Vec<StillNeeded>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Held {
    /// The node.
    pub name: String,
    /// What made it: an operation, or the kind of leaf.
    pub op: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it is a leaf, and so not of this run alone.
    pub is_leaf: bool,
    /// The nodes whose rules read it.
    pub read_by: Vec<String>,
    /// The last of the rules that reads it, counted from 0 in the order of the backward pass.
    pub last_read: Option<usize>,
    /// Whether it was dropped after the forward pass, in a checkpoint, and computed again.
    pub is_recomputed: bool,
}

/// What is needed after a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StillNeeded {
    /// The node whose rule was asked.
    pub after: String,
    /// The bytes of results that later rules read.
    pub bytes: u64,
    /// The results that are not needed any more from here on.
    pub freed: Vec<String>,
}

/// What of the forward pass the backward pass reads, how much that is, and when it is not needed any more.
///
/// A rule reads only what stands in its formula: that of a sum reads nothing, that of a product both factors, that of tanh its result. A graph keeps
/// all its values until it is dropped, so that it can be differentiated again; [`Graph::checkpoint`](crate::Graph::checkpoint) and
/// [`Graph::scope`](crate::Graph::scope) keep less. Values that share their memory, as those of `reshape` do, are counted as if they did not.
///
/// ```
/// use autograd::{Graph, lesson, tensor};
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![1.0, 2.0]).named("x");
/// let memory = lesson::memory(&((x + 1.0).named("u").tanh().named("t") * 3.0).named("v").sum().trace()?);
/// // tanh reads its own result; its input, and what was made of it, are read by nobody.
/// let read: Vec<_> = memory.values.iter().filter(|v| !v.read_by.is_empty()).map(|v| v.name.as_str()).collect();
/// assert_eq!((read, memory.needed, memory.never_read), (vec!["t"], 16, 16 + 16 + 8));
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
pub fn memory(trace: &Trace) -> Memory {
    let size = if trace.element == "f32" { 4 } else { 8 };
    let held = |(place, node): (usize, &crate::trace::Node)| {
        let readers = || trace.visits.iter().enumerate().filter(|(_, visit)| trace.nodes[visit.node].kept.contains(&place));
        Held {
            name: node.name.clone(),
            op: node.op.clone(),
            shape: node.value.shape.clone(),
            bytes: size * node.value.len() as u64,
            is_leaf: matches!(node.kind, Kind::Variable | Kind::Constant),
            read_by: readers().map(|(_, visit)| trace.nodes[visit.node].name.clone()).collect(),
            last_read: readers().map(|(k, _)| k).next_back(),
            is_recomputed: node.is_recomputed,
        }
    };
    let values: Vec<Held> = trace.nodes.iter().enumerate().map(held).collect();
    let sum = |is: &dyn Fn(&Held) -> bool| values.iter().filter(|v| !v.is_leaf && is(v)).map(|v| v.bytes).sum::<u64>();
    let timeline = trace.visits.iter().enumerate().map(|(k, visit)| StillNeeded {
        after: trace.nodes[visit.node].name.clone(),
        bytes: sum(&|v| v.last_read.is_some_and(|last| last > k)),
        freed: values.iter().filter(|v| !v.is_leaf && v.last_read == Some(k)).map(|v| v.name.clone()).collect(),
    });
    Memory {
        results: sum(&|_| true),
        needed: sum(&|v| v.last_read.is_some()),
        never_read: sum(&|v| v.last_read.is_none()),
        recomputed: sum(&|v| v.is_recomputed),
        timeline: timeline.collect(),
        values,
    }
}

impl Memory {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut table = Table::new(["value", "of", "shape", "bytes", "read by the rules of", "last read"]);
        for v in &self.values {
            let readers = match &v.read_by[..] {
                [] => "nobody".to_owned(),
                readers => readers.join(", "),
            };
            let last = v.last_read.map(|k| format!("rule {}", k + 1)).unwrap_or_default();
            let op = if v.is_recomputed { format!("{}, computed again", v.op) } else { v.op.clone() };
            table.row([v.name.clone(), op, format!("{:?}", v.shape), count(v.bytes), readers, last]);
        }
        let mut timeline = Table::new(["rule", "of", "not needed any more", "bytes still needed"]);
        timeline.row(["", "before", "", &count(self.needed)]);
        for (k, step) in self.timeline.iter().enumerate() {
            timeline.row([(k + 1).to_string(), step.after.clone(), step.freed.join(", "), count(step.bytes)]);
        }
        let mut text = format!(
            "The results take {} bytes. The backward pass reads {} of them; {} are never read again after the forward pass.",
            count(self.results),
            count(self.needed),
            count(self.never_read)
        );
        if self.recomputed > 0 {
            text.extend([" ", &count(self.recomputed), " were dropped in checkpoints and computed again."]);
        }
        Page::new("What is kept for the backward pass")
            .text(text)
            .table(table)
            .text("The backward pass asks the rules in this order. After each, what later rules still read:")
            .table(timeline)
    }
}
