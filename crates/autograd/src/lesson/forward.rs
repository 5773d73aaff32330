//! Forward mode next to reverse mode: tangents along the same graph.

use serde::Serialize;

use super::{
    Page, Table, count,
    link::{add, links},
    maybe, plural, refused, short, unknown_rule,
};
use crate::{
    elementary::number,
    error::Error,
    trace::{Array, Kind, Trace},
};

/// The tangents by one input, next to the gradients.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ForwardMode {
    /// The input that moves.
    pub input: String,
    /// The element of it that moves, in row-major order.
    pub index: usize,
    /// The nodes that move with it, in the order of the computation.
    pub tangents: Vec<Tangent>,
    /// The derivative of the root by forward mode.
    pub forward: f64,
    /// The same by reverse mode.
    pub reverse: f64,
    /// The number of inputs: of all elements that are differentiated by.
    pub inputs: u64,
    /// The multiplications of one sweep over all edges, in either direction.
    pub multiplications: u64,
    /// The multiplications of a forward sweep in which this input alone moves.
    pub multiplications_of_this: u64,
}

/// A node that moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tangent {
    /// Its name.
    pub name: String,
    /// Local derivative times tangent, for each input that moves; nothing for the input itself.
    pub terms: Vec<TangentTerm>,
    /// Their sum: the derivative of the node by the input.
    pub tangent: Array,
    /// The derivative of the root by the node.
    pub gradient: Option<Array>,
}

/// What comes from one input.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TangentTerm {
    /// The input.
    pub from: String,
    /// The local derivative as a formula.
    pub local_formula: Option<String>,
    /// Local derivative times tangent.
    pub value: Array,
}

/// The derivatives of all nodes by one input, computed along the graph: tangents are multiplied by the local derivatives that the backward pass
/// multiplies gradients by. One such sweep gives the derivatives of everything by one input; one sweep backwards gives those of one result by
/// all inputs.
///
/// `index` is the element of the input in row-major order, 0 for a number.
///
/// ```
/// use autograd::{Graph, lesson};
/// let g = Graph::<f64>::new();
/// let (x, y) = (g.variable(2.0).named("x"), g.variable(3.0).named("y"));
/// let f = (x * y).named("p") + x.square().named("s");
/// let forward = lesson::forward_mode(&f.trace()?, "x", 0)?;
/// let tangents: Vec<_> = forward.tangents.iter().map(|t| (t.name.as_str(), t.tangent.item().unwrap())).collect();
/// assert_eq!(tangents, [("x", 1.0), ("p", 3.0), ("s", 4.0), ("L", 7.0)]);
/// assert_eq!((forward.forward, forward.reverse, forward.inputs), (7.0, 7.0, 2));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// A name that no node with a gradient has; an element that is not there; an operation on the way whose local derivative the trace does not have
/// as numbers, such as a product of matrices.
pub fn forward_mode(trace: &Trace, input: &str, index: usize) -> Result<ForwardMode, Error> {
    let Some(at) = trace.nodes.iter().position(|node| node.name == input) else {
        let names: Vec<&str> = trace.nodes.iter().filter(|node| node.gradient.is_some()).map(|node| node.name.as_str()).collect();
        return Err(refused("forward_mode", format!("there is no node {input:?}; there are {}", names.join(", "))));
    };
    let node = &trace.nodes[at];
    let Some(gradient) = node.gradient.as_ref().and_then(|gradient| gradient.elements.as_ref()) else {
        return Err(refused("forward_mode", format!("there is no gradient by {input}: nothing leads from it to the root")));
    };
    let Some(&reverse) = gradient.get(index) else {
        return Err(refused("forward_mode", format!("{input} has {} elements, and no element {index}", gradient.len())));
    };
    let links = links(trace);
    let mut moves: Vec<Option<Vec<f64>>> = vec![None; trace.nodes.len()];
    let mut one = vec![0.0; gradient.len()];
    one[index] = 1.0;
    moves[at] = Some(one.clone());
    let of = |node: usize, elements: Vec<f64>| Array::from_elements(&trace.nodes[node].value.shape, elements);
    let mut tangents = vec![Tangent { name: input.to_owned(), terms: Vec::new(), tangent: of(at, one), gradient: node.gradient.clone() }];
    let mut multiplications_of_this = 0;
    // Rules were asked from the root on; tangents go the other way.
    let mut visits: Vec<_> = trace.visits.iter().zip(&links).collect();
    visits.sort_by_key(|(visit, _)| visit.node);
    for (visit, links) in visits.into_iter().filter(|(visit, _)| visit.node > at) {
        let mut terms = Vec::new();
        let mut sum = None;
        for link in links {
            let Some(dx) = &moves[link.into] else { continue };
            let Some(dy) = link.push(dx) else {
                let why = unknown_rule(trace, std::slice::from_ref(links)).unwrap_or_default();
                return Err(refused(
                    "forward_mode",
                    format!("{why}, and tangents along it are not in the trace; Graph::jvp computes them"),
                ));
            };
            multiplications_of_this += link.multiplications();
            add(&mut sum, &dy);
            let (from, local_formula) = (trace.nodes[link.into].name.clone(), link.edge.local_formula.as_ref().map(ToString::to_string));
            terms.push(TangentTerm { from, local_formula, value: of(visit.node, dy) });
        }
        let Some(sum) = sum else { continue };
        moves[visit.node] = Some(sum.clone());
        let node = &trace.nodes[visit.node];
        tangents.push(Tangent { name: node.name.clone(), terms, tangent: of(visit.node, sum), gradient: node.gradient.clone() });
    }
    let inputs = trace.nodes.iter().filter(|node| node.kind == Kind::Variable && node.gradient.is_some());
    let forward = moves.last().cloned().flatten().and_then(|d| d.first().copied()).unwrap_or(0.0);
    Ok(ForwardMode {
        input: input.to_owned(),
        index,
        tangents,
        forward,
        reverse,
        inputs: inputs.map(|node| node.value.len() as u64).sum(),
        multiplications: links.iter().flatten().map(super::link::Link::multiplications).sum(),
        multiplications_of_this,
    })
}

impl ForwardMode {
    /// The multiplications for all derivatives of `outputs` results on such a graph by `inputs` inputs: in forward mode a sweep for each input, in
    /// reverse mode one for each result.
    #[must_use]
    pub fn cost(&self, inputs: u64, outputs: u64) -> (u64, u64) {
        (self.multiplications.saturating_mul(inputs), self.multiplications.saturating_mul(outputs))
    }

    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let input = &self.input;
        let mut table = Table::new(["node", "local derivative × tangent", &format!("∂node/∂{input}"), "reverse: ∂root/∂node"]);
        for t in &self.tangents {
            let term = |term: &TangentTerm| {
                let local = term.local_formula.as_deref().unwrap_or("∂");
                let local = if local.contains(' ') { format!("({local})") } else { local.to_owned() };
                format!("{local}·∂{}", term.from)
            };
            let terms =
                if t.terms.is_empty() { "1: it moves".to_owned() } else { t.terms.iter().map(term).collect::<Vec<_>>().join(" + ") };
            table.row([t.name.clone(), terms, short(&t.tangent), maybe(t.gradient.as_ref())]);
        }
        let mut cost = Table::new(["inputs", "results", "forward", "reverse"]);
        let mut line = |inputs: u64, outputs: u64| {
            let (forward, reverse) = self.cost(inputs, outputs);
            cost.row([count(inputs), count(outputs), count(forward), count(reverse)]);
        };
        line(self.inputs, 1);
        for outputs in [self.inputs / 2, self.inputs, 2 * self.inputs].into_iter().filter(|&m| m > 1) {
            line(self.inputs, outputs);
        }
        Page::new(format!("Forward mode for {input}, next to reverse mode"))
            .text(format!(
                "Forward mode follows one input through the graph; ∂v stands for the derivative of v by {input}. Read downwards: a node's tangent is \
                 made of those of its inputs. Gradients are read upwards: a node's gradient is made of those of its consumers. Both multiply by the \
                 same local derivatives."
            ))
            .table(table)
            .text(format!(
                "∂root/∂{input} is {} forwards and {} backwards. A forward sweep gives the derivatives by one input, and all take {}; a \
                 backward sweep gives all derivatives of one result. Multiplications for all derivatives, for other numbers of results too:",
                number(self.forward),
                number(self.reverse),
                plural(self.inputs, "sweep", "sweeps"),
            ))
            .table(cost)
    }
}
