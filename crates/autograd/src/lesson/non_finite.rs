//! The first number that is not finite, forward and backward, and what it spoils.

use serde::Serialize;

use super::{Page, Table};
use crate::{
    elementary::number,
    trace::{Array, Kind, Node, Trace},
};

/// Where numbers that are not finite come from, and where they go.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FirstNonFinite {
    /// The first value that is not finite, in the order of the computation.
    pub value: Option<BadValue>,
    /// The first local derivative or contribution that is not finite, in the order of the backward pass.
    pub derivative: Option<BadDerivative>,
    /// The leaves that are differentiated by and have a gradient that is not finite.
    pub spoiled: Vec<String>,
}

/// A value that is not finite.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BadValue {
    /// The node.
    pub name: String,
    /// Its formula, if it is no leaf.
    pub formula: Option<String>,
    /// The line of source that made it.
    pub location: String,
    /// The place of the first element that is not finite.
    pub position: Vec<usize>,
    /// That element: `"NaN"`, `"inf"`, `"-inf"`.
    pub found: String,
    /// What it was computed from: names, and the elements that stand at the same place.
    pub operands: Vec<(String, f64)>,
    /// The nodes that it spoils on its way to the root, itself first; the root is the last one if it comes so far.
    pub way: Vec<String>,
    /// Whether the root is not finite.
    pub reaches_root: bool,
}

/// A local derivative, or a contribution, that is not finite.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BadDerivative {
    /// The result whose rule gives it.
    pub from: String,
    /// The input that it is the derivative by.
    pub into: String,
    /// The local derivative as a formula.
    pub formula: Option<String>,
    /// The line of source of the operation.
    pub location: String,
    /// The place of the first element that is not finite.
    pub position: Vec<usize>,
    /// The gradient that came in there.
    pub upstream: Option<f64>,
    /// The local derivative there.
    pub local: Option<f64>,
    /// What it gives to the input: a product is 0 if a factor is.
    pub contribution: Option<f64>,
    /// The nodes whose gradients are spoiled on the way to a leaf, `into` first; empty if the contribution is finite.
    pub way: Vec<String>,
    /// Whether a leaf is the last of them.
    pub reaches_leaf: bool,
}

/// The first number of a run that is not finite: of the values, and of what the backward pass multiplies.
///
/// [`Graph::checked`](crate::Graph::checked) stops at such a number while the graph is recorded; this looks at a run that is over.
///
/// ```
/// use autograd::{Graph, lesson, tensor};
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![4.0, 0.0]).named("x");
/// let story = lesson::non_finite(&x.sqrt().named("r").sum().trace()?);
/// // The values are fine; the slope of a root at 0 is not.
/// assert!(story.value.is_none());
/// let first = story.derivative.as_ref().unwrap();
/// assert_eq!((first.from.as_str(), first.position.as_slice(), first.local), ("r", &[1][..], Some(f64::INFINITY)));
/// assert_eq!(story.spoiled, ["x"]);
/// println!("{story}");
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
pub fn non_finite(trace: &Trace) -> FirstNonFinite {
    let is_spoiled = |node: &&Node| node.kind == Kind::Variable && node.gradient.as_ref().is_some_and(is_bad);
    FirstNonFinite {
        value: trace.nodes.iter().position(|node| is_bad(&node.value)).map(|at| bad_value(trace, at)),
        derivative: bad_derivative(trace),
        spoiled: trace.nodes.iter().filter(is_spoiled).map(|node| node.name.clone()).collect(),
    }
}

/// Whether an element is not finite.
fn is_bad(array: &Array) -> bool {
    !array.is_empty() && [array.min, array.max].iter().any(|v| !v.is_finite())
}

/// The first element that is not finite.
fn first(array: &Array) -> Option<usize> {
    array.elements.as_ref()?.iter().position(|v| !v.is_finite())
}

fn element(array: &Array, position: &[usize]) -> Option<f64> {
    let fits = array.shape.len() <= position.len()
        && array.shape.iter().rev().zip(position.iter().rev()).all(|(&length, &at)| length == 1 || at < length);
    array.elements.as_ref().filter(|_| fits)?.get(array.index_under(position)).copied()
}

fn bad_value(trace: &Trace, at: usize) -> BadValue {
    let node = &trace.nodes[at];
    let index = first(&node.value);
    let position = index.map(|index| node.value.position(index)).unwrap_or_default();
    let found = index.and_then(|index| node.value.elements.as_ref()?.get(index).copied());
    let operand = |&x: &usize| Some((trace.nodes[x].name.clone(), element(&trace.nodes[x].value, &position)?));
    let (mut way, mut last) = (vec![node.name.clone()], at);
    while let Some(next) = (last + 1..trace.nodes.len()).find(|&k| trace.nodes[k].inputs.contains(&last) && is_bad(&trace.nodes[k].value)) {
        way.push(trace.nodes[next].name.clone());
        last = next;
    }
    BadValue {
        name: node.name.clone(),
        formula: node.formula.as_ref().map(ToString::to_string),
        location: node.location.clone(),
        operands: node.inputs.iter().filter_map(operand).collect(),
        found: found.unwrap_or(if node.value.max.is_nan() { f64::NAN } else { f64::INFINITY }).to_string(),
        position,
        way,
        reaches_root: trace.nodes.last().is_some_and(|root| is_bad(&root.value)),
    }
}

fn bad_derivative(trace: &Trace) -> Option<BadDerivative> {
    let edges = trace.visits.iter().flat_map(|visit| visit.edges.iter().map(move |edge| (visit, edge)));
    let is_first = |edge: &crate::trace::Edge| edge.local.iter().chain(&edge.contribution).any(is_bad);
    let (visit, edge) = edges.into_iter().find(|(_, edge)| is_first(edge))?;
    let node = &trace.nodes[visit.node];
    let local = edge.local.as_ref().filter(|local| is_bad(local));
    let position = match (local, &edge.contribution) {
        (Some(array), _) | (None, Some(array)) => first(array).map(|index| array.position(index)).unwrap_or_default(),
        (None, None) => Vec::new(),
    };
    let at = |array: Option<&Array>| array.and_then(|array| element(array, &position));
    let upstream = local.and(visit.upstream.first()).map(|(_, g)| g);
    let (mut way, mut reaches_leaf) = (Vec::new(), false);
    if edge.contribution.as_ref().is_some_and(is_bad) {
        let mut last = edge.into;
        way.push(trace.nodes[last].name.clone());
        let next = |last: usize| {
            let visit = trace.visits.iter().find(|visit| visit.upstream.iter().any(|(node, _)| *node == last))?;
            visit.edges.iter().find(|edge| edge.contribution.as_ref().is_some_and(is_bad)).map(|edge| edge.into)
        };
        while let Some(into) = next(last) {
            way.push(trace.nodes[into].name.clone());
            last = into;
        }
        reaches_leaf = trace.nodes[last].kind == Kind::Variable;
    }
    Some(BadDerivative {
        from: node.name.clone(),
        into: trace.nodes[edge.into].name.clone(),
        formula: edge.local_formula.as_ref().or(edge.rule.as_ref()).map(ToString::to_string),
        location: node.location.clone(),
        upstream: at(upstream),
        local: at(edge.local.as_ref()),
        contribution: at(edge.contribution.as_ref()),
        position,
        way,
        reaches_leaf,
    })
}

impl FirstNonFinite {
    /// Whether every number is finite.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.value.is_none() && self.derivative.is_none() && self.spoiled.is_empty()
    }

    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::new("The first number that is not finite");
        let at = |position: &[usize]| if position.is_empty() { String::new() } else { format!(" at {position:?}") };
        page = match &self.value {
            None => page.text("Forward: every value is finite."),
            Some(bad) => {
                let formula = bad.formula.as_ref().map(|formula| format!(" = {formula}")).unwrap_or_default();
                let text = format!("Forward: {}{formula} is {}{}, at {}.", bad.name, bad.found, at(&bad.position), bad.location);
                let end = if bad.reaches_root { "the result is spoiled" } else { "it does not come to the result" };
                let mut page = page.text(text);
                if !bad.operands.is_empty() {
                    let mut table = Table::new(["computed from", "element"]);
                    bad.operands.iter().for_each(|(name, v)| table.row([name.clone(), number(*v)]));
                    page = page.table(table);
                }
                page.text(format!("Way: {}; {end}.", bad.way.join(" → ")))
            }
        };
        page = match &self.derivative {
            None => page.text("Backward: every local derivative and every contribution is finite."),
            Some(bad) => {
                let formula = bad.formula.as_ref().map(|formula| format!(" = {formula}")).unwrap_or_default();
                let mut table = Table::new(["upstream", "local derivative", "contribution"]);
                table.row([bad.upstream, bad.local, bad.contribution].map(|v| v.map_or_else(|| "–".to_owned(), number)));
                let what = format!("∂{}/∂{}{formula}{}", bad.from, bad.into, at(&bad.position));
                let page = page.text(format!("Backward: the first is {what}, at {}.", bad.location)).table(table);
                if bad.way.is_empty() {
                    page.text("It is multiplied by a gradient of 0, and a product is 0 if a factor is: nothing is spoiled by it.")
                } else {
                    let end = if bad.reaches_leaf { "the gradient of a leaf is spoiled" } else { "there it ends, in a product with 0" };
                    page.text(format!("Way: {}; {end}.", bad.way.join(" → ")))
                }
            }
        };
        let spoiled = if self.spoiled.is_empty() { "none".to_owned() } else { self.spoiled.join(", ") };
        page.text(format!("Leaves whose gradient is not finite: {spoiled}."))
    }
}
