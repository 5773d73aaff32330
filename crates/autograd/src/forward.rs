//! Forward mode: derivatives along a direction, from the leaves to the root, as variables, or as tensors in the same pass as the values.
//!
//! Each node is asked for its forward derivative. What has no rule for it is linear and so its own derivative, or has its reverse rule
//! transposed: the gradient is linear in the incoming one, and the gradient of that linear map is the forward derivative.

use std::panic::Location;

use crate::{
    accumulate::{Pending, Variables},
    backward,
    error::{Error, ErrorKind},
    graph::{Graph, Kind, Tape, index, segment::Restored},
    guard::{Guard, position},
    op::{self, Erased, Few, Handle, Linearity, Value},
    path::Path,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{Buffer, allocate},
    },
    var::Var,
};

/// The derivative of `root` as each of `wrt` moves along its entry of `dx`, as a variable of the shape of `root`.
pub(crate) fn jvp<'g, T: Real>(root: Var<'g, T>, wrt: &[Var<'g, T>], dx: &[Var<'g, T>], at: &'static Location<'static>) -> Var<'g, T> {
    let graph = root.graph();
    let refused = |error: Error| graph.poison(error.in_op("jvp", Vec::new).at(at));
    let all: Few<Var<'g, T>> = [root].iter().chain(wrt).chain(dx).copied().collect();
    if let Some(error) = graph.refusal(&all, at) {
        return refused(error);
    }
    if wrt.len() != dx.len() {
        return refused(ErrorKind::DirectionCount { variables: wrt.len(), directions: dx.len() }.into());
    }
    if let Some(bad) = [&root].into_iter().chain(wrt).chain(dx).find(|x| x.value().is_err()) {
        return *bad;
    }
    for (x, dx) in wrt.iter().zip(dx) {
        if let (Ok(expected), Ok(found)) = (x.shape(), dx.shape())
            && expected != found
        {
            return refused(ErrorKind::Mismatch { expected, found, except: None }.into());
        }
        if !graph.tape.borrow().node(x.id()).needs_gradient {
            return refused(ErrorKind::NoGradient { why: x.why_no_gradient(&[root.id()]) }.into());
        }
    }

    let path = Path::between(graph, &[root], wrt);
    let mut tangents: Vec<Option<Var<'g, T>>> = vec![None; path.len()];
    let mut restored = Restored::default();
    for (place, id) in path.ascending() {
        let node = Var::new(graph, id);
        graph.on_behalf_of(node.location(), || {
            let moved = wrt.iter().zip(dx).filter(|(x, _)| x.id() == id).map(|(_, dx)| *dx);
            let mut through = tangents[place].take();
            let (handle, outputs) = {
                let mut tape = graph.tape.borrow_mut();
                if !tape.segments.is_empty() {
                    restored.need(&mut tape, id);
                }
                match &tape.node(id).kind {
                    Kind::Op(handle) => (Some(handle.clone()), index(handle.outputs())),
                    _ => (None, 1),
                }
            };
            if let Some(handle) = handle {
                let inputs: Few<u32> = graph.tape.borrow().inputs(id).into();
                let x: Few<Var<'g, T>> = inputs.iter().map(|&x| Var::new(graph, x)).collect();
                let dx: Few<Option<Var<'g, T>>> = inputs.iter().map(|&x| tangents[path.place(x)?]).collect();
                if dx.iter().any(Option::is_some) {
                    let y: Few<Var<'g, T>> = (id..id + outputs).map(|y| Var::new(graph, y)).collect();
                    let mut all = through_op(graph, &handle, &x, &y, &dx).into_iter();
                    through = all.next();
                    // The other outputs stand behind this one, and find theirs there.
                    for (y, dy) in y[1..].iter().zip(all) {
                        if let Some(place) = path.place(y.id()) {
                            tangents[place] = Some(dy);
                        }
                    }
                }
            }
            tangents[place] = moved.chain(through).reduce(|a, b| a + b);
        });
    }
    restored.finish(&mut graph.tape.borrow_mut());
    let found = path.place(root.id()).and_then(|place| tangents[place]);
    found.unwrap_or_else(|| {
        // It does not move; unless it would, if it had not been cut off.
        let is_moving = |dx: &Var<'g, T>| dx.value().is_ok_and(|dx| dx.as_slice().iter().any(|d| *d != T::ZERO));
        let moving: Few<u32> = wrt.iter().zip(dx).filter(|(_, dx)| is_moving(dx)).map(|(x, _)| x.id()).collect();
        let still = graph.tape.borrow().no_tangent(root.id(), &moving);
        match still {
            Ok(zeros) => graph.leaf(zeros, false, at),
            Err(error) => refused(error),
        }
    })
}

/// The error of a tangent that has not the shape of its output.
fn fits<T: Real>(output: usize, dy: &Tensor<T>, y: &Tensor<T>) -> Result<(), Error> {
    if dy.is_shaped_like(y) { Ok(()) } else { Err(ErrorKind::TangentShape { output, expected: *y.shape(), found: *dy.shape() }.into()) }
}

fn zeros<'g, T: Real>(like: Var<'g, T>, at: &'static Location<'static>) -> Var<'g, T> {
    let graph = like.graph();
    match like.shape().and_then(|shape| Tensor::filled(T::ZERO, shape)) {
        Ok(zeros) => graph.leaf(zeros, false, at),
        Err(error) => graph.poison(error),
    }
}

/// The derivatives of all outputs of one operation.
fn through_op<'g, T: Real>(
    graph: &'g Graph<T>,
    handle: &Handle,
    x: &[Var<'g, T>],
    y: &[Var<'g, T>],
    dx: &[Option<Var<'g, T>>],
) -> Few<Var<'g, T>> {
    let at = y[0].location();
    let (operands, results, moved): (Few<_>, Few<_>, Few<_>) =
        (x.iter().collect(), y.iter().collect(), dx.iter().map(Option::as_ref).collect());
    if let Some(dy) = T::typed(handle.op()).jvp_recorded(&operands, &results, &moved) {
        let shapes = || x.iter().filter_map(|x| x.shape().ok()).collect::<Vec<_>>();
        let checked = |(k, dy): (usize, Var<'g, T>)| match (dy.value(), y[k].value()) {
            (Ok(tangent), Ok(value)) => match fits(k, &tangent, &value) {
                Ok(()) => dy,
                Err(error) => graph.poison(error.met_by(handle.name(), shapes(), Some(at))),
            },
            _ => dy,
        };
        return dy.into_iter().enumerate().map(checked).collect();
    }
    match handle.op().linearity() {
        Linearity::Linear => {
            let all: Few<_> = dx.iter().zip(x).map(|(dx, x)| dx.unwrap_or_else(|| zeros(*x, at))).collect();
            if y.len() == 1 {
                return Few::from_iter([graph.call(handle.clone(), &all)]);
            }
            let first = T::push_all(graph, handle.clone(), &all, at);
            (first..first + index(y.len())).map(|id| Var::new(graph, id)).collect()
        }
        Linearity::Multilinear if y.len() == 1 => {
            let parts = dx.iter().enumerate().filter_map(|(k, dx)| {
                let mut factors: Few<_> = x.iter().copied().collect();
                factors[k] = (*dx)?;
                Some(graph.call(handle.clone(), &factors))
            });
            Few::from_iter([parts.reduce(|a, b| a + b).unwrap_or_else(|| zeros(y[0], at))])
        }
        _ if handle.op().is_first_order() => {
            let error = Error::from(ErrorKind::FirstOrderOnly { wanted: "forward derivative" }).in_op(handle.name(), Vec::new).at(at);
            y.iter().map(|_| graph.poison(error.clone())).collect()
        }
        _ => transposed(graph, handle.op(), x, y, dx),
    }
}

/// The forward derivatives as gradients, by the incoming gradients u of the outputs, of Σₖ ⟨vjpₖ(u), dxₖ⟩.
fn transposed<'g, T: Real>(
    graph: &'g Graph<T>,
    op: &dyn Erased,
    x: &[Var<'g, T>],
    y: &[Var<'g, T>],
    dx: &[Option<Var<'g, T>>],
) -> Few<Var<'g, T>> {
    let at = y[0].location();
    let incoming = y.iter().map(|y| y.shape().and_then(|shape| Tensor::filled(T::ZERO, shape)).map(|zeros| graph.leaf(zeros, true, at)));
    let u: Few<Var<'g, T>> = match incoming.collect::<Result<_, Error>>() {
        Ok(u) => u,
        Err(error) => return y.iter().map(|_| graph.poison(error.clone())).collect(),
    };
    // An input that stands there twice moves once, and its gradient is the sum of both.
    let path = Path::of(x.iter().zip(dx).filter(|(_, dx)| dx.is_some()).map(|(x, _)| x.id()).collect());
    let mut slots: Vec<Pending<'g, T>> = Vec::new();
    slots.resize_with(path.len(), Pending::default);
    let mut sink = Variables { x, slots: &mut slots, path: &path, ends: None, op, guard: None, incoming: &u };
    let g: Few<_> = u.iter().map(Some).collect();
    T::typed(op).vjp_recorded(&x.iter().collect::<Few<_>>(), &y.iter().collect::<Few<_>>(), &g, &mut sink);
    let parts = path.ascending().filter_map(|(place, id)| {
        let k = x.iter().zip(dx).position(|(x, dx)| x.id() == id && dx.is_some())?;
        Some((slots[place].finish(x[k])?.masked_mul(dx[k]?)).sum())
    });
    match parts.reduce(|a, b| a + b) {
        Some(sum) if sum.shape().is_err() => y.iter().map(|_| sum).collect(),
        // A rule may give the incoming gradient to none, or to one whose gradient does not depend on it.
        Some(sum) if sum.id() > u[u.len() - 1].id() => Few::from_vec(backward::grad(graph, sum, None, &u, at)),
        _ => y.iter().map(|y| zeros(*y, at)).collect(),
    }
}

/// The forward derivative of an operation that is linear in each input: the sum of its values, with the direction in the place of one input
/// after the other. Its own value is not needed.
pub(crate) fn multilinear<T: Real>(op: &dyn Erased, x: &[&Tensor<T>], dx: &[Option<&Tensor<T>>]) -> Result<Option<Tensor<T>>, Error> {
    let mut sum: Option<Tensor<T>> = None;
    for (k, dx) in dx.iter().enumerate() {
        let Some(dx) = dx else { continue };
        let mut factors: Few<&Tensor<T>> = x.iter().copied().collect();
        factors[k] = dx;
        if let Some(elements) = sum.as_mut().and_then(Tensor::unique_mut)
            && T::typed(op).forward_onto(&factors, elements)
        {
            continue;
        }
        let part = T::typed(op).forward(&factors, false)?;
        sum = Some(match sum {
            Some(sum) => sum.add(&part)?,
            None => part,
        });
    }
    Ok(sum)
}

/// The forward derivatives of all outputs of one operation, as tensors: in the same pass as the value, from the same rules. `None` of an
/// input stands for zeros.
pub(crate) fn pushed<T: Real>(
    op: &dyn Erased,
    x: &[&Value<T>],
    y: &[&Value<T>],
    dx: &[Option<&Tensor<T>>],
    at: &'static Location<'static>,
) -> Result<Few<Option<Tensor<T>>>, Error> {
    let blamed = |error: Error| {
        let shapes = || x.iter().filter_map(|x| x.tensor().ok().map(|x| *x.shape())).collect();
        error.met_by(op.name(), shapes(), Some(at))
    };
    let checked = |(k, dy): (usize, Value<T>)| {
        let (dy, value) = (dy.into_result()?, y[k].tensor()?);
        fits(k, &dy, value)?;
        if op.is_foreign()
            && let Some(element) = Guard::NAN.offence(&dy)
        {
            let given = x.iter().chain(y).filter_map(|v| v.tensor().ok()).chain(dx.iter().copied().flatten());
            if given.into_iter().all(|t| Guard::NAN.offence(t).is_none()) {
                let place = position(dy.shape(), element);
                let why = format!("the forward rule gave output {k} a tangent that is NaN at {place:?}, although nothing it was given is");
                return Err(ErrorKind::Refused { why }.into());
            }
        }
        Ok(Some(dy))
    };
    let all = |values: Few<Value<T>>| values.into_iter().enumerate().map(|dy| checked(dy).map_err(blamed)).collect();
    let values: Few<Option<Value<T>>> = dx.iter().map(|dx| dx.map(|dx| Value::Tensor(dx.clone()))).collect();
    let moved: Few<Option<&Value<T>>> = values.iter().map(Option::as_ref).collect();
    if let Some(dy) = T::typed(op).jvp(x, y, &moved) {
        return all(dy);
    }
    match op.linearity() {
        Linearity::Linear => {
            let zeros = |x: &Value<T>| Tensor::filled(T::ZERO, *x.tensor()?.shape());
            let parts: Few<Tensor<T>> =
                dx.iter().zip(x).map(|(dx, x)| dx.cloned().map_or_else(|| zeros(x), Ok)).collect::<Result<_, Error>>()?;
            let parts: Few<&Tensor<T>> = parts.iter().collect();
            Ok(T::typed(op).forward_all(&parts).map_err(blamed)?.into_iter().map(Some).collect())
        }
        Linearity::Multilinear if y.len() == 1 => {
            let x = op::tensors(x.iter().copied())?;
            let sum = multilinear(op, &x, dx).map_err(blamed)?;
            Ok(Few::from_iter([sum]))
        }
        _ if op.is_first_order() => Err(blamed(ErrorKind::FirstOrderOnly { wanted: "forward derivative" }.into())),
        _ => {
            // Transposing needs a graph for a moment, of this one operation.
            let g = Graph::new();
            let leaf = |x: &Value<T>| x.tensor().map(|x| g.leaf(x.clone(), true, at));
            let x: Few<Var<'_, T>> = x.iter().map(|x| leaf(x)).collect::<Result<_, Error>>()?;
            let y: Few<Var<'_, T>> = y.iter().map(|y| leaf(y)).collect::<Result<_, Error>>()?;
            let dx: Few<Option<Var<'_, T>>> = dx.iter().map(|dx| dx.map(|dx| g.leaf(dx.clone(), false, at))).collect();
            transposed(&g, op, &x, &y, &dx).into_iter().map(|dy| dy.value().map(Some).map_err(blamed)).collect()
        }
    }
}

/// As `pushed`, along `count` directions at once: all tangents have one more axis in front, which counts them.
pub(crate) fn pushed_each<T: Real>(
    op: &dyn Erased,
    x: &[&Value<T>],
    y: &[&Value<T>],
    dx: &[Option<&Tensor<T>>],
    count: usize,
    at: &'static Location<'static>,
) -> Result<Few<Option<Tensor<T>>>, Error> {
    let shapes: Few<Shape> = y.iter().map(|y| y.tensor()?.shape().stacked(count)).collect::<Result<_, Error>>()?;
    if let [y] = y
        && let Some(dy) = T::typed(op).jvp_each(&op::tensors(x.iter().copied())?, y.tensor()?, dx)
        && *dy.shape() == shapes[0]
    {
        return Ok(Few::from_iter([Some(dy)]));
    }
    let mut stacks: Few<Option<Buffer<T>>> = y.iter().map(|_| None).collect();
    for i in 0..count {
        let moved: Few<Option<Tensor<T>>> = dx.iter().map(|dx| dx.map(|dx| dx.entry(i))).collect();
        let moved: Few<Option<&Tensor<T>>> = moved.iter().map(Option::as_ref).collect();
        for ((stack, shape), dy) in stacks.iter_mut().zip(&shapes).zip(pushed(op, x, y, &moved, at)?) {
            let Some(dy) = dy else { continue };
            let all = match stack {
                Some(all) => all,
                None => stack.insert(allocate(shape.len())?),
            };
            all[i * dy.len()..][..dy.len()].copy_from_slice(dy.as_slice());
        }
    }
    Ok(stacks.into_iter().zip(shapes).map(|(stack, shape)| stack.map(|all| Tensor::of(shape, all))).collect())
}

impl<T: Real> Tape<T> {
    /// Moves some leaves, and with them all nodes of a path to which they lead; the tangents of the rest are nothing. With `directions`, it
    /// moves them along so many at once.
    pub(crate) fn push(&mut self, path: &Path, moved: &[(u32, Tensor<T>)], directions: Option<usize>) -> Result<(), Error> {
        let mut tangents = self.tangents.take().unwrap_or_default();
        tangents.clear();
        self.tangents = Some(tangents);
        self.directions = directions;
        for (id, tangent) in moved {
            self.set_tangent(*id, Some(tangent.clone()));
        }
        let mut restored = Restored::default();
        let result = path.ascending().try_for_each(|(_, id)| {
            if !self.segments.is_empty() {
                restored.need(self, id);
            }
            self.move_node(id)
        });
        restored.finish(self);
        result
    }

    /// Computes the tangents of a node that has a value and none yet.
    pub(crate) fn move_node(&mut self, id: u32) -> Result<(), Error> {
        let node = self.node(id);
        let Kind::Op(handle) = &node.kind else { return Ok(()) };
        if self.tangent(id).is_some() || matches!(node.value, Value::Error(_)) {
            return Ok(());
        }
        let outputs = if self.has_multi { index(handle.outputs()) } else { 1 };
        let tangents = {
            let y: Few<&Value<T>> = (id..id + outputs).map(|y| &self.node(y).value).collect();
            self.tangents_through(handle, self.inputs(id), &y, node.at)?
        };
        for (y, tangent) in (id..).zip(tangents) {
            self.set_tangent(y, tangent);
        }
        Ok(())
    }
}

impl<T: Real> Graph<T> {
    /// A leaf that moves along a direction: a dual number of tensors. All that is computed from it carries its own
    /// [tangent](Var::tangent), computed in the same pass, by the same rules. It may be differentiated by, too.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.dual(tensor![1.0, 2.0], tensor![1.0, 10.0]);
    /// let y = x.square();
    /// assert_eq!(y.tangent()?, Some(tensor![2.0, 40.0]));
    /// // Forward over reverse: the tangent of a gradient is a second derivative.
    /// let [slope] = g.grad(x.powi(3).sum(), [x]);
    /// assert_eq!(slope.tangent()?, Some(tensor![6.0, 120.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tangent of another shape: the result is that error.
    #[track_caller]
    pub fn dual(&self, value: impl Into<Tensor<T>>, tangent: impl Into<Tensor<T>>) -> Var<'_, T> {
        let (at, value, tangent) = (Location::caller(), value.into(), tangent.into());
        if value.shape() != tangent.shape() {
            let kind = ErrorKind::Mismatch { expected: *value.shape(), found: *tangent.shape(), except: None };
            return self.poison(Error::from(kind).in_op("dual", || vec![*value.shape()]).at(at));
        }
        let leaf = self.leaf(value, true, at);
        let mut tape = self.tape.borrow_mut();
        tape.tangents.get_or_insert_default();
        tape.set_tangent(leaf.id(), Some(tangent));
        leaf
    }
}

impl<T: Real> Var<'_, T> {
    /// The derivative along the direction in which the [dual](Graph::dual) leaves of its graph move; `None` where it does not depend on any,
    /// or only on what was detached.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to the value.
    pub fn tangent(self) -> Result<Option<Tensor<T>>, Error> {
        self.value()?;
        Ok(self.graph().tape.borrow().tangent(self.id()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Graph, tensor};

    #[test]
    fn what_does_not_depend_does_not_move() {
        let g = Graph::<f64>::new();
        let (x, z) = (g.variable(tensor![1.0, 2.0]), g.variable(3.0));
        let dx = g.constant(tensor![1.0, 1.0]);
        assert_eq!(g.jvp(z * 2.0, [x], [dx]).value().unwrap(), crate::Tensor::scalar(0.0));
        assert_eq!(g.jvp(x, [x], [dx]).value().unwrap(), tensor![1.0, 1.0]);
    }
}
