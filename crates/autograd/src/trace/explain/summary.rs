//! A trace as a whole in words, and the visits of its backward pass.

use super::{forward, listed};
use crate::{
    error::plural,
    trace::{Kind, Notation, Trace, Visit},
};

impl Trace {
    /// What the trace is of, and how long it is.
    pub(in crate::trace) fn headline(&self) -> String {
        let root = self.root();
        let value = self.nodes.get(root).map_or_else(Notation::default, |node| self.named(root).is(&node.value));
        let contributions = self.visits.iter().flat_map(|visit| &visit.edges).filter(|edge| edge.contribution.is_some()).count();
        let forward = plural(self.nodes.len(), "value", "values");
        let backward = plural(contributions, "contribution", "contributions");
        format!("{}: {forward} forward, {backward} backward, in {}", value.text, self.element)
    }

    /// What the forward pass leaves for the backward pass.
    pub(in crate::trace) fn memory_line(&self) -> String {
        let mut kept: Vec<usize> = self.nodes.iter().flat_map(|node| node.kept.iter().copied()).collect();
        kept.sort_unstable();
        kept.dedup();
        let bytes = plural(forward::bytes(self, &kept), "byte", "bytes");
        let are = if kept.len() == 1 { "is" } else { "are" };
        format!("{} {are} kept for the backward pass: {bytes}", plural(kept.len(), "value", "values"))
    }

    /// What `dx` stands for, shown on the first leaf.
    pub(in crate::trace) fn backward_headline(&self) -> String {
        match self.nodes.iter().position(|node| node.kind == Kind::Variable) {
            Some(at) => format!("Backward: {} stands for {}", self.gradient_of(at).text, self.partial(self.root(), at).text),
            None => "Backward".to_owned(),
        }
    }

    /// Whose turn it is in the backward pass, with which gradient, and why.
    pub(in crate::trace) fn visit_line(&self, at: usize, visit: &Visit) -> String {
        let outputs: Vec<usize> = visit.upstream.iter().map(|(output, _)| *output).collect();
        let gradients: Vec<String> = visit.upstream.iter().map(|(output, g)| self.gradient_of(*output).is(g).text).collect();
        let why = if outputs.contains(&self.root()) {
            "where it begins".to_owned()
        } else {
            let (received, expected, users) = self.received(at, &outputs);
            format!("complete with {received} of {expected}, from {}", listed(&users))
        };
        format!("{}: {}, {why}", self.named(visit.node).text, listed(&gradients))
    }

    /// How many contributions to some nodes there are before a visit, of how many, and from where.
    pub(super) fn received(&self, at: usize, nodes: &[usize]) -> (usize, usize, Vec<String>) {
        let (mut users, mut received): (Vec<String>, usize) = (Vec::new(), 0);
        for before in self.visits.get(..at).unwrap_or_default() {
            let given = before.edges.iter().filter(|edge| nodes.contains(&edge.into) && edge.contribution.is_some()).count();
            if given > 0 {
                received += given;
                users.push(self.named(before.node).text);
            }
        }
        let expected = nodes.iter().filter_map(|&node| self.nodes.get(node)).map(|node| node.contributions).sum();
        (received, expected, users)
    }

    /// The names of what is kept of a node for the backward pass.
    pub(in crate::trace) fn kept_names(&self, at: usize) -> Vec<String> {
        self.nodes.get(at).map(|node| forward::kept(self, node)).unwrap_or_default()
    }
}
