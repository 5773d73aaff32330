//! Where the gradients of one node's inputs come together: as tensors, in place where nobody else can see them, or as variables.

use std::panic::Location;

use crate::{
    error::{Error, ErrorKind},
    forward,
    graph::{Graph, Node, Tape},
    guard::{Guard, NonFinite, Offence},
    op::{self, Erased, Place, Sink, Value},
    path::Path,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{
            Buffer,
            matmul::{Pair, Product},
            overwritten,
            pointwise::add_to,
            walk::Walk,
        },
    },
    var::Var,
};

/// What has come together of one node's gradient.
#[derive(Clone)]
pub(crate) enum Slot<T: Real> {
    /// Nothing leads from the root to here.
    Empty,
    /// What leads here has slope 0 by its rule.
    Zero,
    /// Nothing leads here, but to another output of the same operation.
    Asked,
    Sum(Tensor<T>),
    /// A sum that is yet to be stretched to the shape of the node.
    Stretched(Tensor<T>),
}

impl<T: Real> Slot<T> {
    /// Takes in one more contribution, in place where nobody else can see it.
    pub(crate) fn receive(&mut self, mut d: Tensor<T>) {
        match self {
            Slot::Empty | Slot::Zero | Slot::Asked => *self = Slot::Sum(d),
            Slot::Stretched(first) => match stretched(first, d.shape()) {
                Ok(first) => {
                    *self = Slot::Sum(first);
                    self.receive(d);
                }
                Err(_) => *self = Slot::Sum(d), // never: it was seen to stretch
            },
            Slot::Sum(sum) => {
                if let Some(elements) = sum.unique_mut() {
                    add_to(elements, d.as_slice());
                } else if let Some(elements) = d.unique_mut() {
                    add_to(elements, sum.as_slice());
                    *sum = d;
                } else {
                    let both = sum.as_slice().iter().zip(d.as_slice()).map(|(a, b)| *a + *b).collect::<Buffer<T>>();
                    *sum = Tensor::of(*sum.shape(), both);
                }
            }
        }
    }

    /// Takes in one more contribution to the gradient of a single number.
    #[inline]
    pub(crate) fn receive_one(&mut self, rank: usize, d: T) {
        match self {
            Slot::Sum(sum) => match sum.one_mut() {
                Some(sum) => *sum += d,
                None => self.receive(Tensor::one(rank, d)),
            },
            Slot::Empty | Slot::Zero | Slot::Asked => self.fill(Slot::Sum(Tensor::one(rank, d))),
            Slot::Stretched(_) => self.receive(Tensor::one(rank, d)),
        }
    }

    /// Overwrites a slot in which there is nothing to be dropped: to ask again would be a call.
    #[inline(always)]
    pub(crate) fn fill(&mut self, with: Slot<T>) {
        std::mem::forget(std::mem::replace(self, with));
    }

    /// Empties a slot that holds a single number.
    #[inline]
    pub(crate) fn forget_one(&mut self) {
        match self {
            Slot::Sum(sum) if sum.as_one().is_some() => self.fill(Slot::Empty),
            _ => *self = Slot::Empty,
        }
    }

    /// The gradient, of the shape of its node, if it is not a zero of the rules.
    pub(crate) fn into_gradient(self, shape: &Shape) -> Result<Option<Tensor<T>>, Error> {
        match self {
            Slot::Sum(_) | Slot::Stretched(_) => self.whole(shape).map(Some),
            Slot::Zero | Slot::Empty | Slot::Asked => Ok(None),
        }
    }

    /// The gradient, of the shape of its node.
    pub(crate) fn whole(self, shape: &Shape) -> Result<Tensor<T>, Error> {
        match self {
            Slot::Sum(gradient) => Ok(gradient),
            Slot::Stretched(gradient) => stretched(&gradient, shape),
            Slot::Zero | Slot::Empty | Slot::Asked => Tensor::filled(T::ZERO, *shape),
        }
    }
}

/// A gradient in the shape of its node.
fn stretched<T: Real>(gradient: &Tensor<T>, shape: &Shape) -> Result<Tensor<T>, Error> {
    Walk::stretch(gradient.shape(), shape).gather(gradient.as_slice(), *shape)
}

/// Collects the gradients of one node's inputs as tensors, in place where nobody else can see them.
pub(crate) struct Tensors<'a, T: Real> {
    pub(crate) tape: &'a Tape<T>,
    pub(crate) inputs: &'a [u32],
    pub(crate) slots: &'a mut [Slot<T>],
    /// The first thing that went wrong.
    fault: Option<Fault>,
    /// Which numbers may stand in a gradient.
    guard: Option<Guard>,
}

/// What goes wrong in a rule.
pub(crate) enum Fault {
    Failed(Error),
    /// A number that may not be there.
    Found(Box<Offence>),
}

impl<'a, T: Real> Tensors<'a, T> {
    pub(crate) fn new(tape: &'a Tape<T>, inputs: &'a [u32], slots: &'a mut [Slot<T>], guard: Option<Guard>) -> Self {
        Tensors { tape, inputs, slots, fault: None, guard }
    }

    /// What went wrong, if anything did.
    #[inline]
    pub(crate) fn outcome(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Looks at a part of the gradient of input `k`.
    fn look_at(&mut self, k: usize, d: &Tensor<T>) {
        if let Some(guard) = self.guard
            && self.needs(k)
            && let Some(element) = guard.offence(d)
        {
            let found = Offence { input: Some(k), element, number: d.as_slice()[element].to_f64(), shape: *d.shape() };
            self.fault.get_or_insert(Fault::Found(Box::new(found)));
        }
    }

    fn fail(&mut self, error: Error) {
        self.fault.get_or_insert(Fault::Failed(error));
    }

    /// The gradient so far and the value of input `k`, if it is wanted.
    #[inline]
    fn slot(&mut self, k: usize) -> Option<(&mut Slot<T>, &'a Tensor<T>)> {
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
    fn change(&mut self, k: usize, change: impl FnOnce(&mut [T], &Shape) -> Result<(), Error>) -> Result<(), Error> {
        let Some((slot, value)) = self.slot(k) else { return Ok(()) };
        let shape = *value.shape();
        let mut sum = std::mem::replace(slot, Slot::Empty).whole(&shape)?;
        if sum.unique_mut().is_none() {
            sum = Tensor::of(shape, sum.to_vec());
        }
        if let Some(elements) = sum.unique_mut() {
            change(elements, &shape)?;
        }
        *slot = Slot::Sum(sum);
        Ok(())
    }

    /// Adds a product of matrices to the gradient of input `k`: `run` adds to it, or overwrites it.
    fn add_product(&mut self, k: usize, run: impl FnOnce(&mut [T], bool)) -> Result<(), Error> {
        match self.slot(k) {
            Some((Slot::Sum(_) | Slot::Stretched(_), _)) => self.change(k, |sum, _| {
                run(sum, true);
                Ok(())
            }),
            // It starts with this product: no zeros are written first.
            Some((slot, value)) => {
                let mut product = overwritten(value.len())?;
                run(&mut product, false);
                *slot = Slot::Sum(Tensor::of(*value.shape(), product));
                Ok(())
            }
            None => Ok(()),
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
            other => return other.into_result().err().into_iter().for_each(|error| self.fail(error)),
        };
        self.look_at(k, &d);
        let Some((slot, value)) = self.slot(k) else { return };
        if !d.is_shaped_like(value) {
            let (expected, found) = (*value.shape(), *d.shape());
            return self.fail(ErrorKind::GradientShape { input: k, expected, found }.into());
        }
        slot.receive(d);
    }

    fn add_stretched(&mut self, k: usize, d: Value<T>) {
        let d = match d {
            Value::Tensor(d) => d,
            other => return self.add(k, other),
        };
        let is_looked_at = self.guard.is_some();
        let Some((slot, value)) = self.slot(k) else { return };
        let shape = *value.shape();
        if is_looked_at && d.shape().stretches_to(&shape) {
            // To be looked at, it is written out.
            return self.add(k, stretched(&d, &shape).into());
        }
        if *d.shape() == shape {
            slot.receive(d);
        } else if !d.shape().stretches_to(&shape) {
            self.fail(ErrorKind::GradientShape { input: k, expected: shape, found: *d.shape() }.into());
        } else if matches!(slot, Slot::Empty | Slot::Zero | Slot::Asked) {
            *slot = Slot::Stretched(d);
        } else {
            match stretched(&d, &shape) {
                Ok(d) => slot.receive(d),
                Err(error) => self.fail(error),
            }
        }
    }

    fn add_at(&mut self, k: usize, place: &Place, d: Value<T>) {
        match d.into_result() {
            Ok(d) => {
                self.look_at(k, &d);
                let added = self.change(k, |sum, full| {
                    let expected = place.shape(full)?;
                    if *d.shape() != expected {
                        return Err(ErrorKind::GradientShape { input: k, expected, found: *d.shape() }.into());
                    }
                    place.add_to(d.as_slice(), sum, full)
                });
                added.unwrap_or_else(|error| self.fail(error));
            }
            Err(error) => self.fail(error),
        }
    }

    fn add_matmul(&mut self, k: usize, a: &Value<T>, transpose_a: bool, b: &Value<T>, transpose_b: bool) {
        if self.guard.is_some() && self.needs(k) {
            // To be looked at, the product stands alone first.
            let full = self.inputs.get(k).and_then(|&x| self.tape.node(x).value.tensor().ok().map(|x| *x.shape()));
            let product = match full {
                Some(full) => multiplied(a, transpose_a, b, transpose_b, &full).into(),
                None => op::linear::Methods::matmul_as(a, b, transpose_a, transpose_b),
            };
            return self.add(k, product);
        }
        match (a.tensor(), b.tensor()) {
            (Ok(a), Ok(b)) => {
                let Some((_, value)) = self.slot(k) else { return };
                let full = value.shape();
                let added = match Pair::of(a.shape(), transpose_a, b.shape(), transpose_b) {
                    Some(pair) if full[..] == pair.dims() => {
                        self.add_product(k, |sum, accumulate| pair.run(a.as_slice(), b.as_slice(), sum, accumulate))
                    }
                    _ => Product::new(a.shape(), transpose_a, b.shape(), transpose_b).and_then(|product| {
                        let found = product.shape;
                        let mismatch = |_| Error::from(ErrorKind::GradientShape { input: k, expected: *full, found });
                        let product = product.sum_to(full).map_err(mismatch)?;
                        self.add_product(k, |sum, accumulate| product.run(a.as_slice(), b.as_slice(), sum, accumulate))
                    }),
                };
                added.unwrap_or_else(|error| self.fail(error));
            }
            (Err(error), _) | (_, Err(error)) => self.fail(error),
        }
    }
}

/// What stands at some places, alone in a tensor of zeros.
pub(crate) fn placed<T: Real>(place: &Place, d: &Value<T>, full: &Shape) -> Result<Tensor<T>, Error> {
    let d = d.tensor()?;
    let (expected, found) = (place.shape(full)?, *d.shape());
    if found != expected {
        return Err(ErrorKind::Mismatch { expected, found, except: None }.into());
    }
    let mut whole = vec![T::ZERO; full.len()];
    place.add_to(d.as_slice(), &mut whole, full)?;
    Ok(Tensor::of(*full, whole))
}

/// A product of matrices, summed to the shape of the input that it belongs to.
pub(crate) fn multiplied<T: Real>(a: &Value<T>, ta: bool, b: &Value<T>, tb: bool, full: &Shape) -> Result<Tensor<T>, Error> {
    let product = op::linear::Methods::matmul_as(a, b, ta, tb);
    op::reduce::Methods::sum_to(&product, full).into_result()
}

/// Hands on what a rule adds, and remembers it.
pub(crate) struct Seen<'a, 't, T: Real> {
    sink: &'a mut Tensors<'t, T>,
    /// For which input, and how much, in the shape of that input.
    pub(crate) parts: Vec<(usize, Tensor<T>)>,
}

impl<'a, 't, T: Real> Seen<'a, 't, T> {
    pub(crate) fn new(sink: &'a mut Tensors<'t, T>) -> Self {
        Seen { sink, parts: Vec::new() }
    }

    /// Remembers a part of the gradient of input `k`; a mistake of a rule is reported by the sink.
    fn see(&mut self, k: usize, part: impl FnOnce(&Shape) -> Result<Tensor<T>, Error>) {
        if let Some((_, value)) = self.sink.slot(k)
            && let Ok(part) = part(value.shape())
        {
            self.parts.push((k, part));
        }
    }
}

impl<T: Real> Sink<T, Value<T>> for Seen<'_, '_, T> {
    fn needs(&self, k: usize) -> bool {
        self.sink.needs(k)
    }

    fn add(&mut self, k: usize, d: Value<T>) {
        self.see(k, |_| d.tensor().cloned());
        self.sink.add(k, d);
    }

    fn add_stretched(&mut self, k: usize, d: Value<T>) {
        self.see(k, |full| stretched(d.tensor()?, full));
        self.sink.add_stretched(k, d);
    }

    fn add_at(&mut self, k: usize, place: &Place, d: Value<T>) {
        self.see(k, |full| placed(place, &d, full));
        self.sink.add_at(k, place, d);
    }

    fn add_matmul(&mut self, k: usize, a: &Value<T>, transpose_a: bool, b: &Value<T>, transpose_b: bool) {
        self.see(k, |full| multiplied(a, transpose_a, b, transpose_b, full));
        self.sink.add_matmul(k, a, transpose_a, b, transpose_b);
    }
}

/// What has come together of one node's recorded gradient.
pub(crate) struct Pending<'g, T: Real> {
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
    /// Starts with the whole gradient.
    pub(crate) fn start(gradient: Var<'g, T>) -> Self {
        Pending { sum: Some(gradient), parts: Vec::new() }
    }

    /// The whole gradient of `node`.
    pub(crate) fn finish(&mut self, node: Var<'g, T>) -> Option<Var<'g, T>> {
        let Pending { sum, parts } = std::mem::take(self);
        if parts.is_empty() {
            return sum;
        }
        let (places, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let shape = node.shape().unwrap_or(Shape::SCALAR);
        let whole = node.graph().call(op::index::put(places, shape), &parts);
        Some(sum.map_or(whole, |sum| sum + whole))
    }
}

/// The gradients of some leaves, of which the tangents alone are wanted. No rule reads them: their tangents come together as tensors, and a
/// product that is part of one is not computed itself.
pub(crate) struct Ends<T: Real> {
    /// By node; empty where a gradient is recorded as any other.
    slots: Vec<Slot<T>>,
}

impl<T: Real> Ends<T> {
    /// Of leaves whose gradients are not looked at by a hook, either.
    pub(crate) fn new(graph: &Graph<T>, leaves: &[Var<'_, T>]) -> Self {
        let tape = graph.tape.borrow();
        let mut slots = vec![Slot::Empty; leaves.iter().map(|leaf| leaf.id() as usize + 1).max().unwrap_or_default()];
        for leaf in leaves.iter().filter(|leaf| !tape.hooks.contains_key(&leaf.id())) {
            slots[leaf.id() as usize] = Slot::Zero;
        }
        Ends { slots }
    }

    fn has(&self, id: u32) -> bool {
        self.slots.get(id as usize).is_some_and(|slot| !matches!(slot, Slot::Empty))
    }

    /// The tangent that has come together for a leaf, if any has.
    pub(crate) fn take(&mut self, id: u32, shape: &Shape) -> Result<Option<Tensor<T>>, Error> {
        self.slots.get_mut(id as usize).map_or(Ok(None), |slot| std::mem::replace(slot, Slot::Empty).into_gradient(shape))
    }
}

/// Collects the gradients of one node's inputs as variables.
pub(crate) struct Variables<'a, 'g, T: Real> {
    pub(crate) x: &'a [Var<'g, T>],
    /// By place on the path.
    pub(crate) slots: &'a mut [Pending<'g, T>],
    pub(crate) path: &'a Path,
    /// Where tangents alone are wanted.
    pub(crate) ends: Option<&'a mut Ends<T>>,
    pub(crate) op: &'a dyn Erased,
    /// Which numbers may stand in a gradient of which node.
    pub(crate) guard: Option<(Guard, u32)>,
    /// The incoming gradients.
    pub(crate) incoming: &'a [Var<'g, T>],
}

impl<'g, T: Real> Variables<'_, 'g, T> {
    fn place(&self, k: usize) -> Option<usize> {
        self.path.place(self.x.get(k)?.id())
    }

    /// The same gradient, or the error that it holds a number which it may not.
    fn looked_at(&self, k: usize, d: Var<'g, T>) -> Var<'g, T> {
        if let Err(error) = d.value()
            && matches!(error.kind(), ErrorKind::NonFinite(_))
            && error.op() != Some(self.op.name())
        {
            // On a checked graph an operation inside the rule has found it first.
            let shapes = self.x.iter().filter_map(|x| x.shape().ok()).collect();
            return d.graph().poison(error.met_by(self.op.name(), shapes, None));
        }
        let (Some((guard, id)), Ok(value)) = (self.guard, d.value()) else { return d };
        let Some(element) = guard.offence(&value) else { return d };
        let graph = d.graph();
        let found = Offence { input: Some(k), element, number: value.as_slice()[element].to_f64(), shape: *value.shape() };
        let incoming: op::Few<Tensor<T>> = self.incoming.iter().filter_map(|g| g.value().ok()).collect();
        let error = NonFinite::of_gradient(&graph.tape.borrow(), id, guard, found, &incoming);
        graph.poison(Error::non_finite(error))
    }

    /// Where the tangent alone of the gradient of input `k` is wanted: lets `add` add that of a contribution, and says whether it has. What
    /// does not move, or is an error, is recorded, so that it can be told why.
    fn add_tangent(
        &mut self,
        k: usize,
        tangent: impl FnOnce() -> Result<Option<Tensor<T>>, Error>,
        add: impl FnOnce(&mut Tensors<'_, T>, Value<T>),
    ) -> bool {
        let (Some(ends), Some(x)) = (&mut self.ends, self.x.get(k)) else { return false };
        if !ends.has(x.id()) {
            return false;
        }
        let Ok(Some(tangent)) = tangent() else { return false };
        let inputs: op::Few<u32> = self.x.iter().map(|x| x.id()).collect();
        let outcome = {
            let tape = x.graph().tape.borrow();
            let mut sink = Tensors::new(&tape, &inputs, &mut ends.slots, None);
            add(&mut sink, Value::Tensor(tangent));
            sink.outcome()
        };
        if let Err(Fault::Failed(error)) = outcome {
            let error = self.poison(x.graph(), error.kind().clone());
            self.add(k, error);
        }
        true
    }

    /// Makes an error the gradient of every input.
    pub(crate) fn spoil(&mut self, error: Var<'g, T>) {
        (0..self.x.len()).for_each(|k| self.add(k, error));
    }

    /// An error in place of a gradient, blamed on the operation whose rule runs.
    fn poison(&self, graph: &'g Graph<T>, kind: ErrorKind) -> Var<'g, T> {
        let at = graph.line(Location::caller());
        let shapes = || self.x.iter().filter_map(|x| x.shape().ok()).collect();
        graph.poison(Error::from(kind).in_op(self.op.name(), shapes).at(at))
    }

    /// The place of input `k`, if its gradient is wanted and `found` is what its shape must be. A mistake becomes the gradient.
    fn accept(&mut self, k: usize, d: Var<'g, T>, fits: impl FnOnce(&Shape) -> Result<Shape, Error>) -> Option<(usize, Var<'g, T>)> {
        let graph = d.graph();
        let Some(x) = self.x.get(k) else {
            // A gradient for an input that does not exist spoils all that do.
            let error = self.poison(graph, ErrorKind::GradientInput { input: k, arity: self.x.len() });
            self.spoil(error);
            return None;
        };
        let place = self.path.place(x.id())?;
        let (Ok(full), Ok(found)) = (x.shape(), d.shape()) else { return Some((place, d)) };
        match fits(&full) {
            Ok(expected) if expected == found => Some((place, d)),
            Ok(expected) => {
                let error = self.poison(graph, ErrorKind::GradientShape { input: k, expected, found });
                self.add(k, error);
                None
            }
            Err(error) => {
                let error = self.poison(graph, error.kind().clone());
                self.add(k, error);
                None
            }
        }
    }
}

impl<'g, T: Real> Sink<T, Var<'g, T>> for Variables<'_, 'g, T> {
    fn needs(&self, k: usize) -> bool {
        self.place(k).is_some()
    }

    fn add(&mut self, k: usize, d: Var<'g, T>) {
        if let Some((place, d)) = self.accept(k, d, |full| Ok(*full)) {
            let d = self.looked_at(k, d);
            if self.add_tangent(k, || d.tangent(), |sink, d| sink.add(k, d)) {
                return;
            }
            let slot = &mut self.slots[place].sum;
            *slot = Some(slot.map_or(d, |sum| sum + d));
        }
    }

    fn add_stretched(&mut self, k: usize, d: Var<'g, T>) {
        if let (Some(Ok(full)), Ok(shape)) = (self.x.get(k).map(|x| x.shape()), d.shape())
            && shape != full
        {
            let can_stay = self.guard.is_none() && shape.stretches_to(&full);
            if can_stay && self.add_tangent(k, || d.tangent(), |sink, d| sink.add_stretched(k, d)) {
                return;
            }
            return self.add(k, d.broadcast_as(&full));
        }
        self.add(k, d);
    }

    fn add_at(&mut self, k: usize, place: &Place, d: Var<'g, T>) {
        if let Some((slot, d)) = self.accept(k, d, |full| place.shape(full)) {
            if self.add_tangent(k, || d.tangent(), |sink, d| sink.add_at(k, place, d)) {
                return;
            }
            if d.shape().is_ok() {
                self.slots[slot].parts.push((place.clone(), d));
            } else {
                self.add(k, d);
            }
        }
    }

    fn add_matmul(&mut self, k: usize, a: &Var<'g, T>, transpose_a: bool, b: &Var<'g, T>, transpose_b: bool) {
        if self.needs(k) || k >= self.x.len() {
            let shape = |x: &Var<'g, T>| x.shape().unwrap_or(Shape::SCALAR);
            let to = self.x.get(k).map_or(Shape::SCALAR, shape);
            // The product may be larger by what was stretched, and is summed there; any other difference is a mistake, which `add` reports.
            let (a_shape, b_shape) = (shape(a), shape(b));
            let product = Product::new(&a_shape, transpose_a, &b_shape, transpose_b);
            let d = match product.and_then(|product| product.sum_to(&to)) {
                Ok(_) => {
                    let product = op::linear::matmul_summed(transpose_a, transpose_b, &to);
                    let tangent = || {
                        let (x, dx) = ([a.value()?, b.value()?], [a.tangent()?, b.tangent()?]);
                        forward::multilinear(product.op(), &x.each_ref(), &dx.each_ref().map(Option::as_ref))
                    };
                    // To be looked at, it must be there.
                    if self.guard.is_none() && self.add_tangent(k, tangent, |sink, d| sink.add(k, d)) {
                        return;
                    }
                    a.graph().call(product, &[*a, *b])
                }
                Err(_) => a.matmul_as(*b, transpose_a, transpose_b),
            };
            self.add(k, d);
        }
    }
}
