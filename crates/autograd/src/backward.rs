//! The one loop over the tape, twice: with tensors for first-order gradients, with variables for gradients that are recorded.
//!
//! It knows no operation by name. Each node's rule is asked once, after all its consumers, and adds to the gradients of its inputs.

use std::{collections::BinaryHeap, panic::Location, sync::Arc};

use crate::{
    accumulate::{Pending, Slot, Tensors, Variables},
    error::{Error, ErrorKind, SCALAR_HINT},
    graph::{Graph, Kind, LeafId, Tape},
    op::{Erased, Few, Value},
    real::Real,
    tensor::Tensor,
    var::{Var, other_graph},
};

/// The gradients of one [`backward`](Var::backward), by leaf. They outlive the graph.
#[derive(Debug, Clone)]
pub struct Gradients<T: Real> {
    graph: Arc<()>,
    /// By node, ascending.
    nodes: Vec<(u32, Tensor<T>)>,
    /// The nodes of parameters, by address, ascending.
    bound: Vec<(LeafId, u32)>,
}

impl<T: Real> Gradients<T> {
    /// The gradient by a variable, if there is one.
    #[must_use]
    pub fn get(&self, x: Var<'_, T>) -> Option<&Tensor<T>> {
        if Arc::ptr_eq(&self.graph, &x.graph().identity) { self.of_node(x.id()) } else { None }
    }

    /// The gradient by a variable.
    ///
    /// # Errors
    /// [`ErrorKind::NoGradient`], which says why there is none: a constant, a detached value, an intermediate one, one that the root does
    /// not depend on, or one of another graph.
    #[track_caller]
    pub fn wrt(&self, x: Var<'_, T>) -> Result<&Tensor<T>, Error> {
        let at = Location::caller();
        self.get(x).ok_or_else(|| {
            let why = if Arc::ptr_eq(&self.graph, &x.graph().identity) {
                x.why_no_gradient()
            } else {
                format!("the variable made at {} belongs to another graph", x.location())
            };
            Error::from(ErrorKind::NoGradient { why }).in_op("wrt", Vec::new).at(at)
        })
    }

    /// The gradient by a parameter that was [bound](Graph::bind) to the graph, if there is one.
    #[must_use]
    pub fn of(&self, id: &LeafId) -> Option<&Tensor<T>> {
        let place = self.bound.binary_search_by_key(&id.address(), |(id, _)| id.address()).ok()?;
        self.of_node(self.bound[place].1)
    }

    /// The gradient by a node.
    pub(crate) fn of_node(&self, id: u32) -> Option<&Tensor<T>> {
        let place = self.nodes.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.nodes[place].1)
    }
}

/// The name of a node's operation, the shapes of its inputs and its line, for errors found while its rule runs.
fn blame<T: Real>(error: Error, tape: &Tape<T>, op: &dyn Erased, id: u32) -> Error {
    let shapes = || tape.inputs(id).iter().filter_map(|&x| tape.node(x).value.tensor().ok().map(|t| *t.shape())).collect();
    error.in_op(op.name(), shapes).at(tape.node(id).at)
}

/// First-order gradients of `root`, by tensors; nothing is recorded.
pub(crate) fn backward<T: Real>(
    root: Var<'_, T>,
    cotangent: Option<&Tensor<T>>,
    at: &'static Location<'static>,
) -> Result<Gradients<T>, Error> {
    let graph = root.graph();
    let tape = &*graph.tape.borrow();
    let value = tape.node(root.id()).value.tensor()?;
    let seed = seed(value, cotangent).map_err(|e| e.in_op("backward", || vec![*value.shape()]).at(at))?;

    let mut slots = vec![Slot::Empty; root.id() as usize + 1];
    let mut kept = Vec::new();
    slots[root.id() as usize] = Slot::Sum(seed);
    for id in (0..=root.id()).rev() {
        let slot = std::mem::replace(&mut slots[id as usize], Slot::Empty);
        let node = tape.node(id);
        if matches!(slot, Slot::Empty) || !node.needs_gradient {
            continue;
        }
        let Kind::Op(handle) = &node.kind else {
            kept.push((id, slot.whole(node.value.tensor()?.shape())?));
            continue;
        };
        if node.retained {
            kept.push((id, slot.clone().whole(node.value.tensor()?.shape())?));
        }
        let inputs = tape.inputs(id);
        if let Slot::Sum(g) = slot {
            let op = handle.op();
            let x: Few<&Value<T>> = inputs.iter().map(|&x| &tape.node(x).value).collect();
            let mut sink = Tensors { tape, inputs, slots: &mut slots, failed: None };
            T::typed(op).vjp(&x, &node.value, &Value::Tensor(g), &mut sink);
            if let Some(error) = sink.failed {
                return Err(blame(error, tape, op, id));
            }
        }
        for &x in inputs {
            let slot = &mut slots[x as usize];
            if matches!(slot, Slot::Empty) {
                *slot = Slot::Zero;
            }
        }
    }
    kept.reverse();
    let mut bound: Vec<_> =
        tape.bound.iter().filter(|(_, bound)| bound.node <= root.id()).map(|(id, bound)| (id.clone(), bound.node)).collect();
    bound.sort_by_key(|(id, _)| id.address());
    Ok(Gradients { graph: graph.identity.clone(), nodes: kept, bound })
}

/// The gradient of the root by itself.
fn seed<T: Real>(root: &Tensor<T>, cotangent: Option<&Tensor<T>>) -> Result<Tensor<T>, Error> {
    let shape = *root.shape();
    match cotangent {
        Some(cotangent) if *cotangent.shape() == shape => Ok(cotangent.clone()),
        Some(cotangent) => Err(ErrorKind::Mismatch { expected: shape, found: *cotangent.shape(), except: None }.into()),
        None if shape.len() == 1 => Ok(Tensor::one(shape.rank(), T::ONE)),
        None => Err(ErrorKind::NotScalar { shape, hint: SCALAR_HINT }.into()),
    }
}

/// The gradients of `root` by `wrt`, as variables.
pub(crate) fn grad<'g, T: Real>(
    graph: &'g Graph<T>,
    root: Var<'g, T>,
    wrt: &[Var<'g, T>],
    at: &'static Location<'static>,
) -> Vec<Var<'g, T>> {
    let reject = |error: Error| vec![graph.poison(error.in_op("grad", Vec::new).at(at)); wrt.len()];
    if let Some(stranger) = wrt.iter().chain([&root]).find(|x| !std::ptr::eq(x.graph(), graph)) {
        let native = wrt.iter().chain([&root]).find(|x| std::ptr::eq(x.graph(), graph));
        return reject(other_graph(*native.unwrap_or(stranger), *stranger));
    }
    let one = match root.value().and_then(|value| seed(&value, None).map_err(|e| e.in_op("grad", || vec![*value.shape()]))) {
        Ok(one) => one,
        Err(error) => return reject(error),
    };

    let path = Path::between(graph, root, wrt);
    let mut slots: Vec<Pending<'g, T>> = Vec::new();
    slots.resize_with(path.nodes.len(), Pending::default);
    let mut found: Vec<Option<Var<'g, T>>> = vec![None; wrt.len()];
    if let Some(place) = path.place(root.id()) {
        slots[place] = Pending::start(graph.leaf(one, false, at));
    }
    for (place, &id) in path.nodes.iter().enumerate() {
        let node = Var::new(graph, id);
        // Nodes of a gradient belong to the line of the operation they differentiate.
        graph.on_behalf_of(node.location(), || {
            let Some(g) = slots[place].finish(node) else { return };
            if path.is_wanted[place] {
                for (found, _) in found.iter_mut().zip(wrt).filter(|(_, x)| x.id() == id) {
                    *found = Some(g);
                }
            }
            let Some(handle) = node.op() else { return };
            let inputs: Few<u32> = graph.tape.borrow().inputs(id).into();
            let x: Few<Var<'g, T>> = inputs.iter().map(|&x| Var::new(graph, x)).collect();
            let mut sink = Variables { x: &x, slots: &mut slots, path: &path, op: &handle };
            if g.shape().is_err() {
                // No rule sees an error: it is the gradient of everything further back.
                return sink.spoil(g);
            }
            let operands: Few<&Var<'g, T>> = x.iter().collect();
            T::typed(handle.op()).vjp_recorded(&operands, &node, &g, &mut sink);
        });
    }

    wrt.iter().zip(found).map(|(x, found)| found.unwrap_or_else(|| zero_gradient(*x, at))).collect()
}

/// The nodes that lie between a root and some wanted variables: the only ones that count, however long the tape is.
pub(crate) struct Path {
    /// Descending.
    nodes: Vec<u32>,
    is_wanted: Vec<bool>,
}

impl Path {
    pub(crate) fn between<T: Real>(graph: &Graph<T>, root: Var<'_, T>, wrt: &[Var<'_, T>]) -> Path {
        let tape = graph.tape.borrow();
        let mut wanted: Vec<u32> = wrt.iter().map(|x| x.id()).collect();
        wanted.sort_unstable();
        let lowest = wanted.first().copied().unwrap_or(root.id());
        // A heap gives the ancestors of the root in descending order, which is the order of the backward sweep.
        let (mut open, mut ancestors) = (BinaryHeap::from([root.id()]), Vec::new());
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

    /// Places and nodes in the order in which they were recorded.
    pub(crate) fn ascending(&self) -> impl Iterator<Item = (usize, u32)> {
        self.nodes.iter().copied().enumerate().rev()
    }

    /// Where a node stands on the path.
    pub(crate) fn place(&self, id: u32) -> Option<usize> {
        self.nodes.binary_search_by(|node| id.cmp(node)).ok()
    }
}

/// The gradient by a variable that the root does not depend on, or why there cannot be one.
fn zero_gradient<'g, T: Real>(x: Var<'g, T>, at: &'static Location<'static>) -> Var<'g, T> {
    let graph = x.graph();
    let needs_gradient = graph.tape.borrow().node(x.id()).needs_gradient;
    let zeros = x.shape().and_then(|shape| {
        if needs_gradient { Tensor::filled(T::ZERO, shape) } else { Err(ErrorKind::NoGradient { why: x.why_no_gradient() }.into()) }
    });
    match zeros {
        Ok(zeros) => graph.leaf(zeros, false, at),
        Err(error) => graph.poison(error.in_op("grad", Vec::new).at(at)),
    }
}
