//! A step of the forward pass in words.

use super::{Explanation, Topic, listed};
use crate::{
    error::plural,
    trace::{Kind, Node, Notation, Trace},
};

/// Nodes whose numbers are kept cost so much each.
pub(super) fn bytes(trace: &Trace, at: &[usize]) -> usize {
    let size = if trace.element == "f32" { 4 } else { 8 };
    at.iter().filter_map(|&at| trace.nodes.get(at)).map(|node| node.value.len() * size).sum()
}

/// What is kept of a node for the backward pass, in the order of its formula.
pub(super) fn kept(trace: &Trace, node: &Node) -> Vec<String> {
    let mut kept = node.kept.clone();
    kept.sort_by_key(|at| node.inputs.iter().position(|x| x == at).unwrap_or(usize::MAX));
    kept.into_iter().map(|at| trace.named(at).text).collect()
}

pub(super) fn explain(trace: &Trace, at: usize, node: &Node) -> Explanation {
    let name = trace.named(at);
    let inputs: Vec<String> = node.inputs.iter().map(|&x| trace.named(x).text).collect();
    let title = match node.kind {
        Kind::Variable => format!("{} is a variable", name.text),
        Kind::Constant => format!("{} is a constant", name.text),
        Kind::Detached => format!("{} is the value of {}, cut off", name.text, listed(&inputs)),
        Kind::Scoped => format!("{} is the result of a scope", name.text),
        Kind::Operation => format!("{} is computed from {}: {}", name.text, listed(&inputs), node.op),
        Kind::Output => format!("{} is another result of the operation that gives {}", name.text, listed(&inputs)),
    };
    let mut out = Explanation::titled(title);
    if let Some(formula) = &node.formula {
        out.formula = Some(name.clone().equals().then(&trace.written(formula, &node.inputs)));
    }
    let numbers = node.formula.as_ref().and_then(|formula| trace.with_numbers(formula, &node.inputs));
    out.numbers = Some(match numbers {
        Some(numbers) => name.equals().then(&numbers).is(&node.value),
        None => name.is(&node.value),
    });
    match node.kind {
        Kind::Variable => out.note(Topic::Operation, "A leaf that is differentiated by"),
        Kind::Constant => out.note(Topic::Operation, "A leaf that is not differentiated by: no gradient is computed for it"),
        Kind::Detached => out.note(Topic::Operation, "No gradient goes back from here"),
        Kind::Scoped => out.note(Topic::Operation, "What happened inside the scope is not on the graph, and no gradient goes back into it"),
        Kind::Operation | Kind::Output => {
            if let Some(doc) = &node.doc {
                out.note(Topic::Operation, doc.trim_end_matches('.'));
            }
        }
    }
    if node.kind == Kind::Operation {
        remember(&mut out, trace, at, node);
    }
    if !node.value.is_scalar() && !node.inputs.is_empty() {
        shapes(&mut out, trace, at, node);
    }
    if node.is_recomputed {
        let text = "Its value is dropped after the forward pass, in a checkpoint, and computed again when the backward pass needs it";
        out.note(Topic::Recomputed, text);
    }
    if node.value.elements.is_none() && !node.value.is_empty() {
        let text = format!("Of its {} elements, the trace holds only the extremes and the mean", node.value.len());
        out.note(Topic::Cap, text);
    }
    let is_finite = |node: &Node| node.value.is_finite();
    if !is_finite(node) && node.inputs.iter().all(|&x| trace.nodes.get(x).is_some_and(is_finite)) {
        let whence = if node.inputs.is_empty() { "it was given" } else { "all it was computed from is finite" };
        out.note(Topic::NotFinite, format!("Here numbers stop being finite: {whence}, and it is {}", node.value.short(6)));
    }
    out
}

/// What is kept for the backward pass, and why that is enough.
fn remember(out: &mut Explanation, trace: &Trace, at: usize, node: &Node) {
    if !node.needs_gradient {
        out.note(Topic::Kept, "Nothing is kept: no gradient goes through it");
        return;
    }
    let reads_itself = node.kept.contains(&at);
    let reads_inputs = node.inputs.iter().any(|x| node.kept.contains(x));
    let text = match (reads_itself, reads_inputs) {
        (false, false) => "Nothing is kept: its rule needs no value of the forward pass".to_owned(),
        (true, false) => format!(
            "Its own value is kept ({}), and that is enough: the {} need not be",
            plural(bytes(trace, &node.kept), "byte", "bytes"),
            if node.inputs.len() == 1 { "input" } else { "inputs" }
        ),
        (_, true) => {
            let names = listed(&kept(trace, node));
            let left: Vec<String> = node.inputs.iter().filter(|x| !node.kept.contains(x)).map(|&x| trace.named(x).text).collect();
            let rest = if left.is_empty() { String::new() } else { format!("; {} need not be", listed(&left)) };
            let are = if node.kept.len() == 1 { "is" } else { "are" };
            format!(
                "{names} {are} kept ({}): the rule reads {}{rest}",
                plural(bytes(trace, &node.kept), "byte", "bytes"),
                it(node.kept.len())
            )
        }
    };
    out.note(Topic::Kept, text);
}

fn it(n: usize) -> &'static str {
    if n == 1 { "it" } else { "them" }
}

/// The formula with shapes in the place of names.
fn shapes(out: &mut Explanation, trace: &Trace, at: usize, node: &Node) {
    let shape = format!("{:?}", node.value.shape);
    let Some(formula) = &node.formula else { return };
    let formula = Notation::of(shape.clone(), shape.clone()).equals().then(&trace.with_shapes(formula, &node.inputs));
    out.note_with(Topic::Shapes, format!("{} has the shape {shape}", trace.named(at).text), formula);
}
