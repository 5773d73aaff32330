//! Layer by layer: every operation of a recorded graph against finite differences of itself, at the values that it had.

use std::{fmt, panic::Location};

use super::{Checker, Coverage, Report, Verdict, certify::rule};
use crate::{
    error::{Error, ErrorKind},
    graph::{Graph, Kind},
    op as ops,
    tensor::Tensor,
    var::Var,
};

/// What [`check::nodes`](super::nodes) found: a report for every operation.
#[derive(Debug, Clone)]
pub struct NodesReport {
    nodes: Vec<Node>,
}

/// One operation of a graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its place on the graph.
    pub position: usize,
    /// Its name.
    pub op: &'static str,
    /// The line that applied it.
    pub at: &'static Location<'static>,
    /// Its rule against finite differences of its value.
    pub report: Report,
}

impl NodesReport {
    /// All operations that something to be differentiated goes through, in their order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Those whose rule is wrong.
    pub fn wrong(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.report.count(Verdict::is_fault) > 0 || has_wrong_direction(node))
    }

    /// Whether no rule is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.wrong().next().is_none()
    }

    /// For tests.
    ///
    /// # Panics
    /// With the report as message, unless it [passed](NodesReport::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}

fn has_wrong_direction(node: &Node) -> bool {
    node.report.inputs().iter().flat_map(super::Input::directions).any(|d| d.verdict.is_fault())
}

impl fmt::Display for NodesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.wrong().count();
        match wrong {
            0 => write!(f, "the rules of all {} operations agree with finite differences", self.nodes.len())?,
            n => write!(f, "the rules of {n} of {} operations are WRONG", self.nodes.len())?,
        }
        for Node { position, op, at, report } in self.wrong() {
            write!(f, "\n{op} (node {position}) at {}:{}: {report}", at.file(), at.line())?;
        }
        Ok(())
    }
}

/// Checks every operation of the graph of a function.
pub(super) fn nodes<F>(options: &Checker, f: &F, x: &[&Tensor<f64>], at: &'static Location<'static>) -> Result<NodesReport, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64>,
{
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let g = Graph::new();
    let leaves: Vec<Var<'_, f64>> = x.iter().map(|x| g.variable(*x)).collect();
    f(&leaves).value()?;
    let options = Checker {
        coverage: if options.coverage == Coverage::Auto { Coverage::Directions(2) } else { options.coverage },
        ..options.clone()
    };
    let tape = g.tape.borrow();
    let mut nodes = Vec::new();
    for id in 0..tape.len() {
        let node = tape.node(id);
        let Kind::Op(handle) = &node.kind else { continue };
        if !node.needs_gradient {
            continue;
        }
        let Ok(x) = ops::tensors(tape.inputs(id).iter().map(|&x| &tape.node(x).value)) else { continue };
        let report = rule(handle.op(), &x, node.at, &options)?;
        nodes.push(Node { position: id as usize, op: handle.name(), at: node.at, report });
    }
    Ok(NodesReport { nodes })
}
