//! The one loop over the tape, twice: with tensors for first-order gradients, with variables for gradients that are recorded.
//!
//! It knows no operation by name. Each node's rule is asked once, after all its consumers, and adds to the gradients of its inputs.

use std::{panic::Location, sync::Arc};

use crate::{
    elementary::Elementary,
    error::{Error, ErrorKind},
    graph::{Graph, Kind, LeafId, Node, Tape},
    op::{self, Erased, Few, Handle, Place, Sink, Value},
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::matmul::Product},
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

    fn of_node(&self, id: u32) -> Option<&Tensor<T>> {
        let place = self.nodes.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.nodes[place].1)
    }
}

/// What has come together of one node's gradient.
#[derive(Clone)]
enum Slot<G> {
    /// Nothing leads from the root to here.
    Empty,
    /// What leads here has slope 0 by its rule.
    Zero,
    Sum(G),
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
            kept.push((id, dense(slot, node.value.tensor()?.shape())?));
            continue;
        };
        if node.retained {
            kept.push((id, dense(slot.clone(), node.value.tensor()?.shape())?));
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
    let mut bound: Vec<_> = tape.bound.values().filter(|(_, node)| *node <= root.id()).cloned().collect();
    bound.sort_by_key(|(id, _)| id.address());
    Ok(Gradients { graph: graph.identity.clone(), nodes: kept, bound })
}

fn dense<T: Real>(slot: Slot<Tensor<T>>, shape: &Shape) -> Result<Tensor<T>, Error> {
    match slot {
        Slot::Sum(gradient) => Ok(gradient),
        Slot::Zero | Slot::Empty => Tensor::filled(T::ZERO, *shape),
    }
}

/// The gradient of the root by itself.
fn seed<T: Real>(root: &Tensor<T>, cotangent: Option<&Tensor<T>>) -> Result<Tensor<T>, Error> {
    let shape = *root.shape();
    match cotangent {
        Some(cotangent) if *cotangent.shape() == shape => Ok(cotangent.clone()),
        Some(cotangent) => Err(ErrorKind::Mismatch { expected: shape, found: *cotangent.shape(), except: None }.into()),
        None if shape.len() == 1 => Ok(Tensor::one(shape.rank(), T::ONE)),
        None => Err(ErrorKind::NotScalar { shape, hint: "sum() it, or call backward_with(&cotangent)" }.into()),
    }
}

/// Collects the gradients of one node's inputs as tensors, in place where nobody else can see them.
struct Tensors<'a, T: Real> {
    tape: &'a Tape<T>,
    inputs: &'a [u32],
    slots: &'a mut [Slot<Tensor<T>>],
    failed: Option<Error>,
}

impl<T: Real> Tensors<'_, T> {
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The gradient so far and the value of input `k`, if it is wanted.
    #[inline]
    fn slot(&mut self, k: usize) -> Option<(&mut Slot<Tensor<T>>, &Tensor<T>)> {
        let Some(&input) = self.inputs.get(k) else {
            self.fail(ErrorKind::GradientInput { input: k, arity: self.inputs.len() }.into());
            return None;
        };
        match self.tape.node(input) {
            Node { needs_gradient: true, value: Value::Tensor(value), .. } => Some((&mut self.slots[input as usize], value)),
            _ => None,
        }
    }

    /// Changes the gradient of input `k` in place; it starts as zeros.
    fn change(&mut self, k: usize, change: impl FnOnce(&mut [T], &Shape) -> Result<(), Error>) {
        let Some((slot, value)) = self.slot(k) else { return };
        let shape = *value.shape();
        let result = (|| {
            let mut sum = dense(std::mem::replace(slot, Slot::Empty), &shape)?;
            if sum.unique_mut().is_none() {
                sum = Tensor::of(shape, sum.to_vec());
            }
            if let Some(elements) = sum.unique_mut() {
                change(elements, &shape)?;
            }
            *slot = Slot::Sum(sum);
            Ok(())
        })();
        if let Err(error) = result {
            self.fail(error);
        }
    }
}

impl<T: Real> Sink<T, Value<T>> for Tensors<'_, T> {
    fn needs(&self, k: usize) -> bool {
        self.inputs.get(k).is_some_and(|&x| self.tape.node(x).needs_gradient)
    }

    fn add(&mut self, k: usize, d: Value<T>) {
        let d = match d {
            Value::Tensor(d) => d,
            Value::Error(error) => return self.fail(error),
        };
        let Some((slot, value)) = self.slot(k) else { return };
        if !d.is_shaped_like(value) {
            let (expected, found) = (*value.shape(), *d.shape());
            return self.fail(ErrorKind::GradientShape { input: k, expected, found }.into());
        }
        match slot {
            Slot::Empty | Slot::Zero => *slot = Slot::Sum(d),
            Slot::Sum(sum) => {
                let mut d = d;
                if let Some(elements) = sum.unique_mut() {
                    elements.iter_mut().zip(d.as_slice()).for_each(|(sum, d)| *sum += *d);
                } else if let Some(elements) = d.unique_mut() {
                    elements.iter_mut().zip(sum.as_slice()).for_each(|(d, sum)| *d += *sum);
                    *sum = d;
                } else {
                    let both = sum.as_slice().iter().zip(d.as_slice()).map(|(a, b)| *a + *b).collect();
                    *sum = Tensor::of(*value.shape(), both);
                }
            }
        }
    }

    fn add_at(&mut self, k: usize, place: &Place, d: Value<T>) {
        match d {
            Value::Tensor(d) => self.change(k, |sum, full| {
                let expected = place.shape(full)?;
                if *d.shape() != expected {
                    return Err(ErrorKind::GradientShape { input: k, expected, found: *d.shape() }.into());
                }
                place.add_to(d.as_slice(), sum, full)
            }),
            Value::Error(error) => self.fail(error),
        }
    }

    fn add_matmul(&mut self, k: usize, a: &Value<T>, transpose_a: bool, b: &Value<T>, transpose_b: bool) {
        match (a.tensor(), b.tensor()) {
            (Ok(a), Ok(b)) => match Product::new(a.shape(), transpose_a, b.shape(), transpose_b) {
                Ok(product) => {
                    let starts_here = self.slot(k).is_some_and(|(slot, _)| !matches!(slot, Slot::Sum(_)));
                    self.change(k, |sum, full| {
                        if product.shape != *full {
                            return Err(ErrorKind::GradientShape { input: k, expected: *full, found: product.shape }.into());
                        }
                        product.run(a.as_slice(), b.as_slice(), sum, !starts_here);
                        Ok(())
                    });
                }
                Err(error) => self.fail(error),
            },
            (Err(error), _) | (_, Err(error)) => self.fail(error),
        }
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
    match root.value() {
        Err(error) => return reject(error),
        Ok(value) if value.len() != 1 => {
            return reject(ErrorKind::NotScalar { shape: *value.shape(), hint: "sum() it first" }.into());
        }
        Ok(_) => {}
    }

    // Only what lies between the root and the wanted variables takes part.
    let lowest = wrt.iter().map(|x| x.id()).min().unwrap_or(root.id()).min(root.id());
    let mut depends = vec![false; (root.id() - lowest) as usize + 1];
    {
        let tape = graph.tape.borrow();
        for id in lowest..=root.id() {
            let wanted = wrt.iter().any(|x| x.id() == id);
            let through = tape.inputs(id).iter().any(|&x| x >= lowest && depends[(x - lowest) as usize]);
            depends[(id - lowest) as usize] = tape.node(id).needs_gradient && (wanted || through);
        }
    }

    let mut slots: Vec<Pending<'g, T>> = Vec::new();
    slots.resize_with(depends.len(), Pending::default);
    let mut found: Vec<Option<Var<'g, T>>> = vec![None; wrt.len()];
    slots[(root.id() - lowest) as usize].sum = Some(root.lit(1.0).shaped_like(root));
    let restore = graph.on_behalf_of.get();
    for id in (lowest..=root.id()).rev() {
        let place = (id - lowest) as usize;
        if !depends[place] {
            continue;
        }
        let node = Var::new(graph, id);
        let line = node.location();
        graph.on_behalf_of.set(Some(restore.unwrap_or(line)));
        let Some(g) = std::mem::take(&mut slots[place]).finish(node) else { continue };
        for (found, _) in found.iter_mut().zip(wrt).filter(|(_, x)| x.id() == id) {
            *found = Some(g);
        }
        let Some(handle) = node.op() else { continue };
        let inputs: Few<u32> = graph.tape.borrow().inputs(id).into();
        let x: Few<Var<'g, T>> = inputs.iter().map(|&x| Var::new(graph, x)).collect();
        let operands: Few<&Var<'g, T>> = x.iter().collect();
        let mut sink = Variables { x: &x, slots: &mut slots, depends: &depends, lowest, op: &handle };
        T::typed(handle.op()).vjp_recorded(&operands, &node, &g, &mut sink);
    }
    graph.on_behalf_of.set(restore);

    wrt.iter().zip(found).map(|(x, found)| found.unwrap_or_else(|| zero_gradient(*x, at))).collect()
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

/// What has come together of one node's recorded gradient.
struct Pending<'g, T: Real> {
    sum: Option<Var<'g, T>>,
    /// Parts that belong to some places only; they are put together in one step.
    parts: Vec<(Place, Var<'g, T>)>,
}

impl<T: Real> Default for Pending<'_, T> {
    fn default() -> Self {
        Pending { sum: None, parts: Vec::new() }
    }
}

impl<'g, T: Real> Pending<'g, T> {
    /// The whole gradient of `node`.
    fn finish(self, node: Var<'g, T>) -> Option<Var<'g, T>> {
        if self.parts.is_empty() {
            return self.sum;
        }
        let (places, parts): (Vec<_>, Vec<_>) = self.parts.into_iter().unzip();
        let shape = node.shape().unwrap_or(Shape::SCALAR);
        let whole = node.graph().call(op::index::put(places, shape), &parts);
        Some(self.sum.map_or(whole, |sum| sum + whole))
    }
}

/// Collects the gradients of one node's inputs as variables.
struct Variables<'a, 'g, T: Real> {
    x: &'a [Var<'g, T>],
    slots: &'a mut [Pending<'g, T>],
    depends: &'a [bool],
    lowest: u32,
    op: &'a Handle,
}

impl<T: Real> Variables<'_, '_, T> {
    fn place(&self, k: usize) -> Option<usize> {
        let place = self.x.get(k)?.id().checked_sub(self.lowest)? as usize;
        self.depends[place].then_some(place)
    }
}

impl<'g, T: Real> Sink<T, Var<'g, T>> for Variables<'_, 'g, T> {
    fn needs(&self, k: usize) -> bool {
        self.place(k).is_some()
    }

    fn add(&mut self, k: usize, d: Var<'g, T>) {
        let graph = d.graph();
        let Some(place) = self.place(k) else {
            if k >= self.x.len() && !self.x.is_empty() {
                // A gradient for an input that does not exist spoils all that do.
                let error = Error::from(ErrorKind::GradientInput { input: k, arity: self.x.len() }).in_op(self.op.name(), Vec::new);
                let at = graph.on_behalf_of.get().unwrap_or(Location::caller());
                for k in 0..self.x.len() {
                    self.add(k, graph.poison(error.clone().at(at)));
                }
            }
            return;
        };
        let d = match (self.x[k].shape(), d.shape()) {
            (Ok(expected), Ok(found)) if expected != found => {
                let error = Error::from(ErrorKind::GradientShape { input: k, expected, found });
                let at = graph.on_behalf_of.get().unwrap_or(Location::caller());
                graph.poison(error.in_op(self.op.name(), || self.x.iter().filter_map(|x| x.shape().ok()).collect()).at(at))
            }
            _ => d,
        };
        let slot = &mut self.slots[place].sum;
        *slot = Some(slot.map_or(d, |sum| sum + d));
    }

    fn add_at(&mut self, k: usize, place: &Place, d: Var<'g, T>) {
        if let Some(slot) = self.place(k) {
            self.slots[slot].parts.push((place.clone(), d));
        }
    }

    fn add_matmul(&mut self, k: usize, a: &Var<'g, T>, transpose_a: bool, b: &Var<'g, T>, transpose_b: bool) {
        if self.needs(k) {
            self.add(k, a.matmul_as(*b, transpose_a, transpose_b));
        }
    }
}

impl<T: Real> Var<'_, T> {
    /// A scalar constant in the rank of `other`, which has one element.
    fn shaped_like(self, other: Self) -> Self {
        match other.shape() {
            Ok(shape) if shape.rank() > 0 => self.reshape_as(&shape),
            _ => self,
        }
    }
}
