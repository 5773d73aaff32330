//! The backward pass of a run with something changed: a local derivative forgotten, a path left out.

use super::super::link::{Link, add, links};
use crate::{
    graph::{Graph, Kind},
    op,
    tensor::Tensor,
    trace::{Trace, pulled_back},
};

/// Graphs with more edges than this are not swept once for each edge.
const MOST_EDGES: usize = 400;

/// The rules of a run, to be asked again.
pub(super) struct Rules<'t> {
    pub(super) trace: &'t Trace,
    pub(super) links: Vec<Vec<Link<'t>>>,
    /// The nodes on the graph, which is in double precision; without it there are the local derivatives of the trace alone.
    ids: &'t [u32],
    graph: Option<Graph<f64>>,
}

/// What is done otherwise at one edge: which visit, and which of its links.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// The gradient is passed on without the local derivative.
    Forget(usize, usize),
    /// Nothing is passed on.
    Drop(usize, usize),
}

impl<'t> Rules<'t> {
    pub(super) fn new(trace: &'t Trace, ids: &'t [u32], graph: Option<Graph<f64>>) -> Self {
        Rules { trace, links: links(trace), ids, graph }
    }

    /// Whether it would take too long to try a mistake at every edge.
    pub(super) fn is_large(&self) -> bool {
        self.links.iter().map(Vec::len).sum::<usize>() > MOST_EDGES
    }

    /// What rounding may do to a gradient.
    pub(super) fn scale(&self, place: usize) -> f64 {
        let edges = self.trace.visits.iter().flat_map(|visit| &visit.edges).filter(|edge| edge.into == place);
        let parts = edges.filter_map(|edge| edge.contribution.as_ref()).chain(&self.trace.nodes[place].gradient);
        let largest = parts.map(|part| part.min.abs().max(part.max.abs())).filter(|v| v.is_finite()).fold(0.0, f64::max);
        largest * self.rounding()
    }

    /// The relative error of a calculation.
    pub(super) fn rounding(&self) -> f64 {
        if self.trace.element == "f32" { 1e-5 } else { 1e-12 }
    }

    /// What an edge contributes for another gradient of its result.
    pub(super) fn pull(&self, visit: usize, link: &Link<'_>, g: &[f64]) -> Option<Vec<f64>> {
        link.pull(g).or_else(|| self.ask(visit, link, g))
    }

    /// The same from the rule itself.
    fn ask(&self, visit: usize, link: &Link<'_>, g: &[f64]) -> Option<Vec<f64>> {
        let node = self.trace.visits[visit].node;
        if link.from != Some(node) {
            return None;
        }
        let tape = self.graph.as_ref()?.tape.borrow();
        let id = *self.ids.get(node)?;
        let Kind::Op(handle) = &tape.node(id).kind else { return None };
        let x = op::tensors(tape.inputs(id).iter().map(|&x| &tape.node(x).value)).ok()?;
        let y = tape.node(id).value.tensor().ok()?;
        if handle.outputs() != 1 || y.len() != g.len() {
            return None;
        }
        let g = Tensor::of(*y.shape(), g.to_vec());
        Some(pulled_back(handle.op(), &x, y, &g, link.edge.input).ok()??.to_vec())
    }

    /// The gradient passed on without a local derivative, where the operation works element by element.
    fn forget(link: &Link<'_>, g: &[f64]) -> Option<Vec<f64>> {
        let (contribution, local) = (link.edge.contribution.as_ref()?, link.edge.local.as_ref()?);
        let mut sums = vec![0.0; contribution.len()];
        for (i, g) in g.iter().enumerate() {
            *sums.get_mut(contribution.index_under(&local.position(i)))? += g;
        }
        Some(sums)
    }

    /// The gradient by a node if something is done otherwise.
    pub(super) fn gradient(&self, place: usize, change: Change) -> Option<Vec<f64>> {
        let n = self.trace.nodes.len();
        let (mut sums, mut is_unknown) = (vec![None; n], vec![false; n]);
        *sums.last_mut()? = Some(vec![1.0]);
        for (visit, links) in self.links.iter().enumerate() {
            for (k, link) in links.iter().enumerate() {
                let from = link.from.filter(|from| !is_unknown[*from]);
                let d = match (change, from.and_then(|from| sums[from].as_deref())) {
                    // What was dropped does not come further.
                    (_, None) if from.is_some() => continue,
                    (_, None) => None,
                    (Change::Drop(v, at), _) if (v, at) == (visit, k) => continue,
                    (Change::Forget(v, at), Some(g)) if (v, at) == (visit, k) => Rules::forget(link, g),
                    (_, Some(g)) => self.pull(visit, link, g),
                };
                match d {
                    Some(d) => add(&mut sums[link.into], &d),
                    None => is_unknown[link.into] = true,
                }
            }
        }
        if is_unknown[place] { None } else { sums.swap_remove(place) }
    }
}
