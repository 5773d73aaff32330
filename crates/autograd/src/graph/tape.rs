//! The tape: the nodes, and the one place where the value of an operation is computed, for the first time and again.

use std::{collections::BTreeMap, panic::Location, sync::Arc};

use super::{
    binding::{Bindings, Bound, LeafId},
    replay::Plan,
    scope::Cut,
    segment::Segments,
};
use crate::{
    error::Error,
    guard::{Guard, NonFinite},
    hook::Hook,
    op::{self, Erased, Few, Handle, MAX_ONES, Recorded, Value},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// What a graph consists of.
pub(crate) struct Tape<T: Real> {
    pub(crate) nodes: Vec<Node<T>>,
    /// The inputs of all nodes, one after the other.
    pub(super) edges: Vec<u32>,
    pub(super) names: BTreeMap<u32, Arc<str>>,
    pub(crate) bound: triomphe::Arc<Bindings>,
    /// While a scope runs, what its bindings have replaced.
    pub(super) rebound: Vec<(LeafId, Option<Bound>)>,
    pub(super) open_scopes: u32,
    pub(crate) hooks: BTreeMap<u32, Vec<Hook<T>>>,
    /// Nodes whose positions of extremes, or the like, were read: what comes of those is no function to differentiate.
    pub(crate) readings: BTreeMap<u32, (&'static str, &'static Location<'static>)>,
    pub(crate) segments: Segments,
    pub(super) cuts: Vec<Cut>,
    /// In forward mode, the derivatives along the direction of the leaves, by node; what is missing does not move.
    pub(crate) tangents: Option<Vec<Option<Tensor<T>>>>,
    /// Along how many directions they are, where they have an axis in front that counts them.
    pub(crate) directions: Option<usize>,
    /// What no number may be.
    pub(crate) guard: Option<Guard>,
    /// Whether an operation that was not made in this library is on the tape, or one with several outputs.
    pub(crate) has_foreign: bool,
    pub(crate) has_multi: bool,
    pub(super) plan: Plan,
}

#[derive(Clone)]
pub(crate) struct Node<T: Real> {
    pub(crate) kind: Kind,
    pub(crate) value: Value<T>,
    pub(crate) at: &'static Location<'static>,
    /// Where its inputs begin among the edges.
    pub(super) first_edge: u32,
    /// Whether a variable is among its ancestors.
    pub(crate) needs_gradient: bool,
    /// Whether its gradient is kept although it is no leaf.
    pub(crate) retained: bool,
}

/// How a node came to be.
#[derive(Clone)]
pub(crate) enum Kind {
    Variable,
    Constant,
    /// The value of its input, cut off.
    Detached,
    /// The result of a scope. Its inputs are the variables that the scope had read.
    Scoped,
    Op(Handle),
    /// Another output of the operation that stands so many nodes before it; that node is its input.
    Output(u32),
}

/// A value, and its tangent if it moves.
pub(super) type Moving<V, T> = (V, Option<Tensor<T>>);

impl<T: Real> Tape<T> {
    /// An empty tape in the memory of others.
    pub(super) fn new(nodes: Vec<Node<T>>, edges: Vec<u32>) -> Self {
        Tape {
            nodes,
            edges,
            names: BTreeMap::new(),
            bound: triomphe::Arc::default(),
            rebound: Vec::new(),
            open_scopes: 0,
            hooks: BTreeMap::new(),
            readings: BTreeMap::new(),
            segments: Segments::default(),
            cuts: Vec::new(),
            tangents: None,
            directions: None,
            guard: None,
            has_foreign: false,
            has_multi: false,
            plan: Plan::default(),
        }
    }

    /// Empties it; memory is kept, and so is the guard.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.edges.clear();
        self.names.clear();
        match triomphe::Arc::get_mut(&mut self.bound) {
            Some(bound) => bound.clear(),
            None => self.bound = triomphe::Arc::default(),
        }
        self.rebound.clear();
        self.open_scopes = 0;
        self.hooks.clear();
        self.readings.clear();
        self.segments = Segments::default();
        self.cuts.clear();
        self.tangents = None;
        self.directions = None;
        (self.has_foreign, self.has_multi) = (false, false);
        self.plan.forget();
    }

    #[inline]
    pub(crate) fn node(&self, id: u32) -> &Node<T> {
        &self.nodes[id as usize]
    }

    /// The name given to a node.
    pub(crate) fn name(&self, id: u32) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    #[inline]
    pub(crate) fn inputs(&self, id: u32) -> &[u32] {
        let first = self.node(id).first_edge as usize;
        let end = self.nodes.get(id as usize + 1).map_or(self.edges.len(), |next| next.first_edge as usize);
        &self.edges[first..end]
    }

    /// Lets a node stand for a parameter, and remembers what did before, as long as a scope runs.
    pub(super) fn bind(&mut self, id: &LeafId, bound: Bound) {
        let before = triomphe::Arc::make_mut(&mut self.bound).insert(id.clone(), bound);
        if self.open_scopes > 0 {
            self.rebound.push((id.clone(), before));
        }
    }

    /// Lets what stood for a parameter before do so again.
    pub(super) fn rebind(&mut self, id: LeafId, before: Option<Bound>) {
        let bound = triomphe::Arc::make_mut(&mut self.bound);
        match before {
            Some(before) => bound.insert(id, before),
            None => bound.remove(&id),
        };
    }

    /// A copy; values are shared until one of the two is replayed.
    pub(super) fn fork(&self) -> Tape<T> {
        Tape {
            nodes: self.nodes.clone(),
            edges: self.edges.clone(),
            names: self.names.clone(),
            bound: self.bound.clone(),
            rebound: Vec::new(),
            open_scopes: 0,
            hooks: self.hooks.clone(),
            readings: self.readings.clone(),
            segments: self.segments.clone(),
            cuts: Vec::new(),
            tangents: self.tangents.clone(),
            plan: Plan::default(),
            ..*self
        }
    }

    /// Whether anything was computed from a node.
    pub(crate) fn is_used(&self, id: u32) -> bool {
        self.edges.contains(&id)
    }

    /// The number of nodes.
    pub(crate) fn len(&self) -> u32 {
        index(self.nodes.len())
    }

    /// The derivative of a node along the direction of the leaves, in forward mode.
    #[inline]
    pub(crate) fn tangent(&self, id: u32) -> Option<&Tensor<T>> {
        self.tangents.as_ref()?.get(id as usize)?.as_ref()
    }

    /// Nothing moves any more.
    pub(crate) fn rest(&mut self) {
        self.tangents = None;
        self.directions = None;
    }

    pub(crate) fn set_tangent(&mut self, id: u32, tangent: Option<Tensor<T>>) {
        if let Some(tangents) = &mut self.tangents {
            if tangents.len() <= id as usize {
                if tangent.is_none() {
                    return;
                }
                tangents.resize(id as usize + 1, None);
            }
            tangents[id as usize] = tangent;
        }
    }

    /// The first of several outputs, and how many nodes after it this one stands.
    pub(crate) fn primary(&self, id: u32) -> (u32, u32) {
        match self.node(id).kind {
            Kind::Output(k) => (id - k, k),
            _ => (id, 0),
        }
    }

    /// The number of nodes of an operation, from its first output on.
    pub(crate) fn outputs_of(&self, id: u32) -> u32 {
        match &self.node(id).kind {
            Kind::Op(handle) if self.has_multi => index(handle.outputs()),
            _ => 1,
        }
    }

    /// The value of an operation. Recording it and computing it again are this function.
    #[inline]
    pub(super) fn output(&self, handle: &Handle, inputs: &[u32], needs_gradient: bool, at: &'static Location<'static>) -> Value<T> {
        if let Some((rank, y)) = self.output_of_ones(handle.op(), inputs.iter().copied()) {
            return Value::Tensor(Tensor::one(rank, y));
        }
        let mut x = Few::new();
        let result = match op::tensors_into(inputs.iter().map(|&x| &self.node(x).value), &mut x) {
            Ok(()) => T::forward(handle, &x, needs_gradient, Some(at)),
            // Of several errors the one that was made first is passed on.
            Err(any) => Err(self.first_error(inputs).unwrap_or(any)),
        };
        match result {
            Ok(y) if self.guard.is_some() => self.guarded(handle, inputs, &y, at).map(|()| y).into(),
            result => result.into(),
        }
    }

    /// Rank and value of the result of an operation on single numbers that has a short way for them. Not yet a tensor, which would be moved.
    #[inline(always)]
    fn output_of_ones(&self, op: &dyn Erased, inputs: impl Iterator<Item = u32>) -> Option<(usize, T)> {
        if self.guard.is_some() {
            return None;
        }
        let (mut x, mut n, mut largest) = ([T::ZERO; MAX_ONES], 0, 0);
        for id in inputs {
            let Value::Tensor(tensor) = &self.node(id).value else { return None };
            let (value, rank) = tensor.as_one_of_rank()?;
            *x.get_mut(n)? = value;
            n += 1;
            largest = largest.max(rank);
        }
        T::typed(op).forward_one(x.get(..n)?).map(|y| (largest, y))
    }

    /// As `output`, for an operation with several.
    fn outputs(&self, handle: &Handle, inputs: &[u32], at: &'static Location<'static>) -> Result<Few<Moving<Value<T>, T>>, Error> {
        let x = op::tensors(inputs.iter().map(|&x| &self.node(x).value))?;
        let all = T::forward_all(handle, &x, at)?;
        all.iter().try_for_each(|y| self.guarded(handle, inputs, y, at))?;
        let all: Few<Value<T>> = all.into_iter().map(Value::Tensor).collect();
        let tangents = self.tangents_through(handle, inputs, &all.iter().collect::<Few<_>>(), at)?;
        Ok(all.into_iter().zip(tangents.into_iter().chain(std::iter::repeat(None))).collect())
    }

    /// Computes the value of a node from those of its inputs; of several outputs, all that have none.
    pub(crate) fn compute(&mut self, id: u32) {
        let (primary, _) = self.primary(id);
        let Node { kind, at, .. } = self.node(primary);
        match kind {
            Kind::Op(handle) if self.has_multi && handle.outputs() > 1 => {
                let count = handle.outputs();
                let all = self.outputs(handle, self.inputs(primary), at);
                let all = all.unwrap_or_else(|error| (0..count).map(|_| (Value::Error(error.clone()), None)).collect());
                for (id, (value, tangent)) in (primary..).zip(all) {
                    if matches!(self.node(id).value, Value::Dropped(_)) {
                        self.nodes[id as usize].value = value;
                    }
                    self.set_tangent(id, tangent);
                }
            }
            Kind::Op(handle) => {
                self.nodes[id as usize].value = self.output(handle, self.inputs(id), self.node(id).needs_gradient, at);
                self.set_tangent(id, None);
                self.follow(id);
            }
            Kind::Detached => {
                if let Some(&source) = self.inputs(id).first() {
                    self.nodes[id as usize].value = self.node(source).value.clone();
                }
            }
            Kind::Variable | Kind::Constant | Kind::Scoped | Kind::Output(_) => {}
        }
    }

    /// In forward mode, computes the tangent of a new value; what goes wrong there takes the place of the value.
    #[inline(always)]
    pub(super) fn follow(&mut self, id: u32) {
        if self.tangents.is_some() {
            self.follow_forward(id);
        }
    }

    #[inline(never)]
    fn follow_forward(&mut self, id: u32) {
        let moved = self.move_node(id).and_then(|()| match (self.guard, self.tangent(id)) {
            (Some(guard), Some(tangent)) => match guard.offence(tangent) {
                Some(element) => Err(Error::non_finite(NonFinite::of_tangent(self, id, element, guard, tangent))),
                None => Ok(()),
            },
            _ => Ok(()),
        });
        if let Err(error) = moved {
            self.nodes[id as usize].value = Value::Error(error);
        }
    }

    /// The error of a value that the guard does not let pass.
    fn guarded(&self, handle: &Handle, inputs: &[u32], y: &Tensor<T>, at: &'static Location<'static>) -> Result<(), Error> {
        if let Some(guard) = self.guard
            && let Some(element) = guard.offence(y)
        {
            let op = (handle.name(), handle.derivation().is_some());
            return Err(Error::non_finite(NonFinite::of_value(self, element, guard, op, inputs, y, at)));
        }
        Ok(())
    }

    /// The tangents of all outputs of an operation; none if no input moves.
    pub(crate) fn tangents_through(
        &self,
        handle: &Handle,
        inputs: &[u32],
        y: &[&Value<T>],
        at: &'static Location<'static>,
    ) -> Result<Few<Option<Tensor<T>>>, Error> {
        if inputs.iter().all(|&x| self.tangent(x).is_none()) {
            return Ok(Few::new());
        }
        let x: Few<&Value<T>> = inputs.iter().map(|&x| &self.node(x).value).collect();
        let dx: Few<Option<&Tensor<T>>> = inputs.iter().map(|&x| self.tangent(x)).collect();
        T::pushed(handle.op(), &x, y, &dx, self.directions, at)
    }

    /// Puts the result of an operation behind the other nodes.
    #[inline]
    pub(super) fn push_op(&mut self, op: impl Recorded, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        let needs_gradient = x.iter().any(|x| self.node(x.id()).needs_gradient);
        if let Some((rank, y)) = self.output_of_ones(op.op(), x.iter().map(|x| x.id())) {
            return self.push_made(op, x, || Value::Tensor(Tensor::one(rank, y)), needs_gradient, at);
        }
        self.push_arrays(op, x, needs_gradient, at)
    }

    /// Apart, so that the way of single numbers is short.
    #[inline(never)]
    fn push_arrays(&mut self, op: impl Recorded, x: &[Var<'_, T>], needs_gradient: bool, at: &'static Location<'static>) -> u32 {
        let mut inputs: Few<u32> = Few::new();
        inputs.extend(x.iter().map(|x| x.id()));
        let op = op.into_handle();
        let value = self.output(&op, &inputs, needs_gradient, at);
        self.push_made(op, x, || value, needs_gradient, at)
    }

    /// A node that is made where it will stand, the handle taken from where it came: what is copied by way of another place is read there in wider
    /// pieces than it was just written in, and waited for. A closure that owned the handle would be copied, too, so that it borrows it.
    #[inline(always)]
    fn push_made(
        &mut self,
        op: impl Recorded,
        x: &[Var<'_, T>],
        value: impl FnOnce() -> Value<T>,
        needs_gradient: bool,
        at: &'static Location<'static>,
    ) -> u32 {
        let (id, first_edge) = (index(self.nodes.len()), index(self.edges.len()));
        self.edges.extend(x.iter().map(|x| x.id()));
        let mut op = Some(op);
        let op = &mut op;
        self.nodes.extend(std::iter::once_with(|| Node {
            kind: op.take().map_or(Kind::Constant, |op| Kind::Op(op.into_handle())), // there is one
            value: value(),
            at,
            first_edge,
            needs_gradient,
            retained: false,
        }));
        id
    }

    #[inline]
    pub(super) fn push_node(
        &mut self,
        kind: Kind,
        inputs: &[u32],
        value: Value<T>,
        needs_gradient: bool,
        at: &'static Location<'static>,
    ) -> u32 {
        let (id, first_edge) = (index(self.nodes.len()), index(self.edges.len()));
        self.edges.extend_from_slice(inputs);
        self.nodes.push(Node { kind, value, at, first_edge, needs_gradient, retained: false });
        id
    }

    /// Of several errors, the one that was made first.
    pub(super) fn first_error(&self, inputs: &[u32]) -> Option<Error> {
        let bad = inputs.iter().copied().filter(|&id| self.node(id).value.tensor().is_err()).min()?;
        self.node(bad).value.tensor().err().map(|error| error.at(self.node(bad).at))
    }
}

/// A position on the tape. Four billion nodes take 200 GB; before that, memory ends.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn index(n: usize) -> u32 {
    debug_assert!(u32::try_from(n).is_ok());
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_small() {
        assert!(size_of::<Node<f64>>() <= 56, "{}", size_of::<Node<f64>>());
        assert_eq!(size_of::<Tensor<f64>>(), 16);
        assert_eq!(size_of::<Value<f64>>(), 16);
    }
}
