//! The nodes between some variables and what was computed from them: all that a recorded gradient or a directional derivative visits.

use std::collections::BinaryHeap;

use crate::{graph::Graph, real::Real, var::Var};

/// The nodes that lie between some roots and some wanted variables: the only ones that count, however long the tape is.
#[derive(Debug)]
pub(crate) struct Path {
    /// Descending.
    nodes: Vec<u32>,
    is_wanted: Vec<bool>,
}

impl Path {
    pub(crate) fn between<T: Real>(graph: &Graph<T>, roots: &[Var<'_, T>], wrt: &[Var<'_, T>]) -> Path {
        let tape = graph.tape.borrow();
        let mut wanted: Vec<u32> = wrt.iter().map(|x| x.id()).collect();
        wanted.sort_unstable();
        let lowest = wanted.first().copied().unwrap_or(u32::MAX);
        // A heap gives the ancestors of the roots in descending order, which is the order of the backward sweep.
        let (mut open, mut ancestors) = (roots.iter().map(|root| root.id()).collect::<BinaryHeap<_>>(), Vec::new());
        while let Some(id) = open.pop() {
            if ancestors.last() != Some(&id) && tape.node(id).needs_gradient {
                ancestors.push(id);
                open.extend(tape.inputs(id).iter().filter(|&&x| x >= lowest));
            }
        }
        // In ascending order, a node is on the way if it is wanted or one of its inputs is on the way.
        let mut nodes: Vec<u32> = Vec::new();
        for &id in ancestors.iter().rev() {
            let through = tape.inputs(id).iter().any(|x| nodes.binary_search(x).is_ok());
            if through || wanted.binary_search(&id).is_ok() {
                nodes.push(id);
            }
        }
        nodes.reverse();
        let is_wanted = nodes.iter().map(|id| wanted.binary_search(id).is_ok()).collect();
        Path { nodes, is_wanted }
    }

    /// Nodes that need not hang together.
    pub(crate) fn of(mut nodes: Vec<u32>) -> Path {
        nodes.sort_unstable_by(|a, b| b.cmp(a));
        nodes.dedup();
        Path { is_wanted: vec![true; nodes.len()], nodes }
    }

    /// The number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Places and nodes in the order of a way back.
    pub(crate) fn descending(&self) -> impl DoubleEndedIterator<Item = (usize, u32)> + ExactSizeIterator {
        self.nodes.iter().copied().enumerate()
    }

    /// Places and nodes in the order in which they were recorded.
    pub(crate) fn ascending(&self) -> impl Iterator<Item = (usize, u32)> {
        self.descending().rev()
    }

    /// Whether a node is one of the wanted variables.
    pub(crate) fn is_wanted(&self, place: usize) -> bool {
        self.is_wanted[place]
    }

    /// Where a node stands on the path.
    pub(crate) fn place(&self, id: u32) -> Option<usize> {
        self.nodes.binary_search_by(|node| id.cmp(node)).ok()
    }
}
