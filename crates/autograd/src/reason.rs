//! Why there is no gradient: a constant, a detached value, a scope, positions of extremes, a value that nothing was computed from.

use std::panic::Location;

use crate::{
    error::{Error, ErrorKind},
    graph::{Graph, Kind, Tape},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// How a root depends on a node.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    None,
    /// Only through a value that was cut off, by `detach` or `scope`, at this line.
    Cut(&'static str, &'static Location<'static>),
    Open,
}

impl<T: Real> Tape<T> {
    /// How some roots depend on each node up to the last of them.
    pub(crate) fn ways(&self, roots: &[u32]) -> Vec<Way> {
        // A root may have been lost since, with a scope.
        let roots = roots.iter().filter(|&&root| root < self.len());
        let top = roots.clone().max().map_or(0, |&root| root as usize + 1);
        let mut ways = vec![Way::None; top];
        for &root in roots {
            ways[root as usize] = Way::Open;
        }
        for id in (0..top).rev() {
            let node = &self.nodes[id];
            let further = match (&node.kind, ways[id]) {
                (_, Way::None) => continue,
                (Kind::Detached, _) => Way::Cut("detach()", node.at),
                (Kind::Scoped, _) => Way::Cut("the scope", node.at),
                (_, way) => way,
            };
            for &x in self.inputs(crate::graph::index(id)) {
                let way = &mut ways[x as usize];
                if *way != Way::Open {
                    *way = further;
                }
            }
        }
        ways
    }

    /// Where every way from the roots to a node is cut, if there are ways.
    pub(crate) fn cut_before(&self, roots: &[u32], id: u32) -> Option<(&'static str, &'static Location<'static>)> {
        match self.ways(roots).get(id as usize) {
            Some(Way::Cut(what, at)) => Some((what, at)),
            _ => None,
        }
    }

    /// Why there is none for the node of a parameter, told from how the roots depend on the nodes.
    pub(crate) fn why_none(&self, ways: &[Way], id: u32) -> String {
        let node = self.node(id);
        let name = || self.described(id).0;
        match ways.get(id as usize) {
            _ if !node.needs_gradient => format!("what stands for it ({} at {}) is no variable, and depends on none", name(), node.at),
            Some(Way::Open) => format!(
                "what stands for it is an intermediate value ({} at {}), and those are kept only if retain_grad() was called before backward()",
                name(),
                node.at
            ),
            Some(Way::Cut(what, at)) => format!("all that leads from it (bound at {}) to the root is cut off by {what} at {at}", node.at),
            Some(Way::None) | None => format!("the value that backward() started from does not depend on it (bound at {})", node.at),
        }
    }

    /// Zeros, the tangent of a node that does not move; or why that is, if it was cut off from something that does.
    pub(crate) fn no_tangent(&self, id: u32, moving: &[u32]) -> Result<Tensor<T>, Error> {
        let value = self.node(id).value.tensor()?;
        let ways = self.ways(&[id]);
        let cut = moving.iter().find_map(|&x| match ways.get(x as usize) {
            Some(Way::Cut(what, at)) => Some((what, at, self.node(x).at)),
            _ => None,
        });
        match cut {
            Some((what, at, leaf)) => {
                let why = format!("all that leads from it (made at {leaf}) to the root is cut off by {what} at {at}");
                Err(ErrorKind::NoGradient { why }.into())
            }
            None => Tensor::filled(T::ZERO, *value.shape()),
        }
    }

    /// The place where positions were read from something that was computed from a node.
    fn reading_of(&self, id: u32) -> Option<(&'static str, &'static Location<'static>)> {
        let last = *self.readings.keys().next_back()?;
        let mut depends = vec![false; last as usize + 1];
        *depends.get_mut(id as usize)? = true;
        for node in id + 1..=last {
            depends[node as usize] = self.inputs(node).iter().any(|&x| depends[x as usize]);
        }
        self.readings.iter().find(|(node, _)| depends[**node as usize]).map(|(_, reading)| *reading)
    }

    /// Why the gradients of some roots hold none for a node.
    pub(crate) fn why_no_gradient(&self, roots: &[u32], id: u32) -> String {
        let node = self.node(id);
        let name = || self.described(id).0;
        match &node.kind {
            Kind::Constant if node.value.tensor().is_err() => return format!("it is an error, made at {}", node.at),
            Kind::Constant => return format!("it is a constant, made at {}", node.at),
            Kind::Detached => return format!("it was detached at {}", node.at),
            Kind::Scoped => return format!("it was computed in the scope at {}, through which nothing is differentiated", node.at),
            Kind::Op(_) | Kind::Output(_) if !node.needs_gradient => {
                let ways = self.ways(&[id]);
                let is_cut = |x: &u32| matches!(self.node(*x).kind, Kind::Detached | Kind::Scoped) && ways[*x as usize] != Way::None;
                let cut = (0..id).rev().find(is_cut);
                return match cut.map(|x| self.node(x)) {
                    Some(cut) => {
                        format!("it depends on constants alone, one of which was cut off at {} ({} at {})", cut.at, name(), node.at)
                    }
                    None => format!("it depends on constants alone ({} at {})", name(), node.at),
                };
            }
            Kind::Variable | Kind::Op(_) | Kind::Output(_) => {}
        }
        let here = format!("made at {}", node.at);
        match self.ways(roots).get(id as usize) {
            Some(Way::Open) if matches!(node.kind, Kind::Op(_) | Kind::Output(_)) && !node.retained => {
                return format!(
                    "it is an intermediate value ({} at {}), and those are kept only if retain_grad() was called before backward()",
                    name(),
                    node.at
                );
            }
            Some(Way::Cut(what, at)) => return format!("all that leads from it ({here}) to the root is cut off by {what} at {at}"),
            _ => {}
        }
        if let Some((what, at)) = self.reading_of(id) {
            return format!(
                "the root depends on it ({here}) at most through positions, taken by {what}() at {at}, and positions have no derivative"
            );
        }
        if !self.is_used(id) {
            return format!("nothing was computed from it ({here})");
        }
        format!("the value that backward() started from does not depend on it ({here})")
    }
}

impl<T: Real> Graph<T> {
    /// Notes that positions were taken from the elements of a variable.
    pub(crate) fn read_positions(&self, x: Var<'_, T>, what: &'static str, at: &'static Location<'static>) {
        if std::ptr::eq(x.graph(), self) && self.has(x) {
            self.tape.borrow_mut().readings.entry(x.id()).or_insert((what, at));
        }
    }
}

impl<T: Real> Var<'_, T> {
    /// Why the gradients of some roots hold none for this variable.
    pub(crate) fn why_no_gradient(self, roots: &[u32]) -> String {
        self.graph().tape.borrow().why_no_gradient(roots, self.id())
    }
}
