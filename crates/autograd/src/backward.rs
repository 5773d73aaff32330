//! The one loop over the tape, twice: with tensors for first-order gradients, with variables for gradients that are recorded.
//!
//! It knows no operation by name. Each node's rule is asked once, after all its consumers, and adds to the gradients of its inputs.

use std::{cell::RefMut, panic::Location, sync::Arc};

use crate::{
    accumulate::{Ends, Fault, Pending, Seen, Slot, Tensors, Variables},
    error::{Error, ErrorKind, SCALAR_HINT},
    graph::{Graph, Kind, LeafId, Tape, binding::Bindings, segment::Restored, spare::List},
    guard::{Guard, NonFinite, Offence},
    op::{Erased, Few, MAX_ONES, Value},
    path::Path,
    real::Real,
    reason::Way,
    tensor::Tensor,
    var::Var,
};

/// The gradients of one [`backward`](Var::backward), by leaf. They outlive the graph.
#[derive(Debug, Clone)]
pub struct Gradients<T: Real> {
    graph: u64,
    /// How many scopes had ended.
    epoch: u32,
    /// What they are the gradients of.
    roots: Few<u32>,
    /// By node, ascending.
    nodes: List<T>,
    /// The parameters that were bound to the graph.
    bound: Option<triomphe::Arc<Bindings>>,
    /// Why those without a gradient have none, by node.
    missing: Vec<(u32, Arc<str>)>,
}

/// A variable whose gradients are wanted: alone if it is a scalar, or together with a cotangent of its shape.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![1.0, 2.0]);
/// let (a, b) = (x.square(), x.powi(3).sum());
/// let cotangent = tensor![1.0, 10.0];
/// let grads = g.backward([(a, &cotangent).into(), b.into()])?;
/// assert_eq!(grads.wrt(x)?, &tensor![2.0 + 3.0, 40.0 + 12.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Root<'g, 'c, T: Real> {
    var: Var<'g, T>,
    cotangent: Option<&'c Tensor<T>>,
}

impl<'g, T: Real> From<Var<'g, T>> for Root<'g, '_, T> {
    fn from(var: Var<'g, T>) -> Self {
        Root { var, cotangent: None }
    }
}

impl<'g, 'c, T: Real> From<(Var<'g, T>, &'c Tensor<T>)> for Root<'g, 'c, T> {
    fn from((var, cotangent): (Var<'g, T>, &'c Tensor<T>)) -> Self {
        Root { var, cotangent: Some(cotangent) }
    }
}

impl<T: Real> Gradients<T> {
    /// None, to be filled by [`Var::backward_into`].
    #[must_use]
    pub fn empty(graph: &Graph<T>) -> Self {
        Gradients {
            graph: graph.identity,
            epoch: graph.epoch.get(),
            roots: Few::new(),
            nodes: List::new(),
            bound: None,
            missing: Vec::new(),
        }
    }

    /// The gradient by a variable, if there is one.
    #[must_use]
    pub fn get(&self, x: Var<'_, T>) -> Option<&Tensor<T>> {
        let graph = x.graph();
        // Its node is the one that was there then.
        let is_known = self.graph == graph.identity && graph.has(x) && graph.tape.borrow().lost(x.id(), self.epoch).is_none();
        if is_known { self.of_node(x.id()) } else { None }
    }

    /// The gradient by a variable.
    ///
    /// # Errors
    /// [`ErrorKind::NoGradient`], which says why there is none: a constant, a value that was detached or computed in a scope, an
    /// intermediate one, one on which the root does not depend or only through positions such as those of [`argmax`](Var::argmax), one that
    /// nothing was computed from, or one of another graph.
    #[track_caller]
    pub fn wrt(&self, x: Var<'_, T>) -> Result<&Tensor<T>, Error> {
        let at = Location::caller();
        self.get(x).ok_or_else(|| self.why_not(x).in_op("wrt", Vec::new).at(at))
    }

    /// Why there is no gradient by a variable that has none.
    pub(crate) fn why_not(&self, x: Var<'_, T>) -> Error {
        let why = if self.graph != x.graph().identity {
            format!("the variable made at {} belongs to another graph", x.location())
        } else if let Some(error) = x.graph().lost(x) {
            return error;
        } else if let Some(scope) = self.lost(x.graph()) {
            format!("the value that these are the gradients of was made in the scope at {scope}, which is over")
        } else {
            x.why_no_gradient(&self.roots)
        };
        ErrorKind::NoGradient { why }.into()
    }

    /// The gradient by a parameter that was [bound](Graph::bind) to the graph, if there is one.
    #[must_use]
    pub fn of(&self, id: &LeafId) -> Option<&Tensor<T>> {
        self.of_node(self.node_of(id)?)
    }

    /// Why there is no gradient by a parameter; nothing if there is one.
    ///
    /// ```
    /// use autograd::{Graph, LeafId, tensor};
    /// let (w, b) = (LeafId::new(), LeafId::new());
    /// let g = Graph::<f64>::new();
    /// let y = g.bind(&w, &tensor![1.0, 2.0]).detach() * g.variable(2.0);
    /// let grads = y.sum().backward()?;
    /// assert!(grads.why_none(&w).unwrap().contains("cut off by detach() at"));
    /// assert!(grads.why_none(&b).unwrap().contains("never bound"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn why_none(&self, id: &LeafId) -> Option<String> {
        match self.node_of(id) {
            Some(node) => self.missing.iter().find(|(missing, _)| *missing == node).map(|(_, why)| why.as_ref().to_owned()),
            None => Some("it was never bound to the graph".into()),
        }
    }

    /// The node that stood for a parameter.
    fn node_of(&self, id: &LeafId) -> Option<u32> {
        self.bound.as_ref()?.get(id).map(|bound| bound.node)
    }

    /// The scope in which a root was lost, if one was.
    fn lost(&self, graph: &Graph<T>) -> Option<&'static Location<'static>> {
        let tape = graph.tape.borrow();
        self.roots.iter().find_map(|&root| tape.lost(root, self.epoch))
    }

    /// Whether all that leads from a variable of this graph to the roots is cut off.
    pub(crate) fn is_cut_off(&self, x: Var<'_, T>) -> bool {
        x.graph().tape.borrow().cut_before(&self.roots, x.id()).is_some()
    }

    /// The gradient by a node.
    pub(crate) fn of_node(&self, id: u32) -> Option<&Tensor<T>> {
        let place = self.nodes.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.nodes[place].1)
    }
}

/// The name of a node's operation, the shapes of its inputs and its line, for errors found while its rule runs.
fn blame<T: Real>(error: Error, tape: &Tape<T>, id: u32) -> Error {
    let shapes = tape.inputs(id).iter().filter_map(|&x| tape.node(x).value.tensor().ok().map(|t| *t.shape())).collect();
    error.met_by(tape.described(id).0, shapes, Some(tape.node(id).at))
}

/// First-order gradients of the sum of some roots, by tensors; nothing is recorded. `into` is overwritten, and its memory used again.
pub(crate) fn backward<T: Real>(
    graph: &Graph<T>,
    roots: &[Root<'_, '_, T>],
    guard: Option<Guard>,
    at: &'static Location<'static>,
    into: &mut Gradients<T>,
) -> Result<(), Error> {
    watched(graph, roots, guard, at, into, None)
}

/// The same sweep, in front of a witness, who sees each rule that is asked.
pub(crate) fn watched<T: Real>(
    graph: &Graph<T>,
    roots: &[Root<'_, '_, T>],
    guard: Option<Guard>,
    at: &'static Location<'static>,
    into: &mut Gradients<T>,
    witness: Option<&mut Witness<'_, T>>,
) -> Result<(), Error> {
    into.graph = graph.identity;
    into.epoch = graph.epoch.get();
    into.nodes.clear();
    into.bound = None;
    into.missing.clear();
    into.roots.clear();
    let vars: Few<Var<'_, T>> = roots.iter().map(|root| root.var).collect();
    if let Some(error) = graph.refusal(&vars, at) {
        return Err(error.in_op("backward", Vec::new).at(at));
    }
    let mut sweeping = Sweeping { graph, slots: graph.slots.replace(Vec::new()), restored: Restored::default() };
    let result = sweep(graph, roots, guard, at, &mut sweeping, into, witness);
    if result.is_err() {
        sweeping.slots.clear();
    }
    result
}

/// What a sweep gives back at its end, also when a rule or a hook panics.
struct Sweeping<'a, T: Real> {
    graph: &'a Graph<T>,
    /// By node; all empty between two sweeps.
    slots: Vec<Slot<T>>,
    restored: Restored,
}

impl<T: Real> Drop for Sweeping<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.slots.clear();
        }
        let mut slots = Vec::new();
        std::mem::swap(&mut slots, &mut self.slots);
        self.graph.slots.set(slots);
        if let Ok(mut tape) = self.graph.tape.try_borrow_mut() {
            self.restored.finish(&mut tape);
        }
    }
}

fn sweep<T: Real>(
    graph: &Graph<T>,
    roots: &[Root<'_, '_, T>],
    guard: Option<Guard>,
    at: &'static Location<'static>,
    sweeping: &mut Sweeping<'_, T>,
    into: &mut Gradients<T>,
    mut witness: Option<&mut Witness<'_, T>>,
) -> Result<(), Error> {
    let Sweeping { slots, restored, .. } = sweeping;
    let mut tape = graph.tape.borrow_mut();
    let guard = guard.or(tape.guard);
    let top = roots.iter().map(|root| root.var.id()).max().unwrap_or_default();
    if slots.len() <= top as usize {
        slots.resize(top as usize + 1, Slot::Empty);
    }
    // The lowest node that has a slot: no sweep goes further.
    let mut lowest = roots.iter().map(|root| root.var.id()).min().unwrap_or_default();
    for &Root { var, cotangent } in roots {
        let value = tape.node(var.id()).value.tensor().map_err(|e| e.in_op("backward", Vec::new).at(at))?;
        let seed = seed(value, cotangent).map_err(|e| e.in_op("backward", || vec![*value.shape()]).at(at))?;
        into.roots.push(var.id());
        slots[var.id() as usize].receive(seed);
    }
    if roots.is_empty() {
        return Err(Error::from(ErrorKind::NoRoots).in_op("backward", Vec::new).at(at));
    }
    let is_watched = guard.is_some() || witness.is_some();
    let mut next = Some(top);
    while let Some(id) = sweep_ones(&mut tape, next, &mut lowest, slots, restored, is_watched) {
        next = id.checked_sub(1);
        let mut slot = std::mem::replace(&mut slots[id as usize], Slot::Empty);
        // What only asks the rule for another output is no gradient of this one.
        let is_gradient = !matches!(slot, Slot::Asked);
        if is_gradient && tape.hooks.contains_key(&id) {
            (tape, slot) = hooked(graph, tape, id, slot)?;
        }
        let node = tape.node(id);
        match &node.kind {
            Kind::Output(k) => {
                // Its primary output asks the rule, for all of them.
                if node.retained {
                    into.nodes.push((id, slot.clone().whole(node.value.tensor()?.shape())?));
                }
                let primary = &mut slots[(id - k) as usize];
                if matches!(primary, Slot::Empty) {
                    *primary = Slot::Asked;
                }
                lowest = lowest.min(id - k);
                slots[id as usize] = slot;
            }
            Kind::Op(_) => {
                if node.retained && is_gradient {
                    into.nodes.push((id, slot.clone().whole(node.value.tensor()?.shape())?));
                }
                lowest = lowest.min(pull_back(&tape, id, slot, slots, guard, &mut witness)?);
            }
            Kind::Variable | Kind::Constant | Kind::Detached | Kind::Scoped => {
                into.nodes.push((id, slot.whole(node.value.tensor()?.shape())?));
            }
        }
    }
    into.nodes.reverse();
    let mut ways = None;
    for bound in tape.bound.values().filter(|bound| into.nodes.binary_search_by_key(&bound.node, |(id, _)| *id).is_err()) {
        // One pass over the tape for all of them.
        let ways = ways.get_or_insert_with(|| tape.ways(&into.roots));
        into.missing.push((bound.node, tape.why_none(ways, bound.node).into()));
    }
    into.bound = (!tape.bound.is_empty()).then(|| tape.bound.clone());
    Ok(())
}

/// Calls the hooks of a node, while nothing of the graph is borrowed.
#[inline(never)]
fn hooked<'g, T: Real>(
    graph: &'g Graph<T>,
    tape: RefMut<'g, Tape<T>>,
    id: u32,
    slot: Slot<T>,
) -> Result<(RefMut<'g, Tape<T>>, Slot<T>), Error> {
    let hooks = tape.hooks.get(&id).cloned().unwrap_or_default();
    let mut gradient = slot.whole(tape.node(id).value.tensor()?.shape())?;
    drop(tape);
    for hook in hooks {
        gradient = hook.pass(gradient)?;
    }
    Ok((graph.tape.borrow_mut(), Slot::Sum(gradient)))
}

/// The part of a sweep that goes over single numbers, up to the next node that has to go the long way, as all do that are watched. A loop of its
/// own, whose variables stay in registers.
#[inline(never)]
fn sweep_ones<T: Real>(
    tape: &mut Tape<T>,
    mut next: Option<u32>,
    lowest: &mut u32,
    slots: &mut [Slot<T>],
    restored: &mut Restored,
    is_watched: bool,
) -> Option<u32> {
    while let Some(id) = next.filter(|id| id >= lowest) {
        let slot = &mut slots[id as usize];
        match slot {
            Slot::Empty => {}
            _ if !tape.node(id).needs_gradient => *slot = Slot::Empty,
            _ => {
                restored.step_back(tape, id);
                // A number is read where it stands: moving the slot would read more at once than was just written, and wait for it.
                let g = if let Slot::Sum(g) = slot { g.as_one() } else { None };
                let first = g.filter(|_| !is_watched).and_then(|g| pull_back_ones(tape, id, g, slots));
                let Some(first) = first else { return Some(id) };
                slots[id as usize].forget_one();
                *lowest = first.min(*lowest);
            }
        }
        next = id.checked_sub(1);
    }
    None
}

/// Asks the rule of a node to add to the gradients of its inputs, and gives the first of those. Apart, so that the way of single numbers is short.
#[inline(never)]
fn pull_back<T: Real>(
    tape: &Tape<T>,
    id: u32,
    slot: Slot<T>,
    slots: &mut [Slot<T>],
    guard: Option<Guard>,
    witness: &mut Option<&mut Witness<'_, T>>,
) -> Result<u32, Error> {
    let node = tape.node(id);
    let Kind::Op(handle) = &node.kind else { return Ok(id) };
    let op = handle.op();
    let slot = match slot {
        Slot::Stretched(g) if guard.is_none() && op.takes_stretched() => Slot::Sum(g),
        // No other rule takes a gradient that is yet to be stretched.
        Slot::Stretched(_) => Slot::Sum(slot.whole(node.value.tensor()?.shape())?),
        slot => slot,
    };
    let inputs = tape.inputs(id);
    // Filled where it stands: a list that was just written and is moved, in wider pieces, is waited for.
    let mut x: Few<&Value<T>> = Few::new();
    x.extend(inputs.iter().map(|&x| &tape.node(x).value));
    if let (Some(guard), Slot::Sum(g)) = (guard, &slot)
        && let Some(element) = guard.offence(g)
    {
        let found = Offence { input: None, element, number: g.as_slice()[element].to_f64(), shape: *g.shape() };
        return Err(Error::non_finite(NonFinite::of_gradient(tape, id, guard, found, std::slice::from_ref(g))));
    }
    if tape.has_multi && op.outputs() > 1 {
        let outputs = id + 1..id + crate::graph::index(op.outputs());
        let mut g: Few<Option<Value<T>>> = Few::from_iter([slot.into_gradient(node.value.tensor()?.shape())?.map(Value::Tensor)]);
        for at in outputs.clone() {
            // An output that stands after the last root has no slot, and no gradient.
            let slot = slots.get_mut(at as usize).map_or(Slot::Empty, |slot| std::mem::replace(slot, Slot::Empty));
            g.push(slot.into_gradient(tape.node(at).value.tensor()?.shape())?.map(Value::Tensor));
        }
        if g.iter().any(Option::is_some) {
            let y: Few<&Value<T>> = (id..outputs.end).map(|at| &tape.node(at).value).collect();
            let g: Few<Option<&Value<T>>> = g.iter().map(Option::as_ref).collect();
            let guard = guard.or_else(|| nan_guard(op.is_foreign(), &x, &y, &g));
            let mut sink = Tensors::new(tape, inputs, slots, guard);
            ask(op, id, &x, &y, &g, &mut sink, witness);
            sink.outcome().map_err(|fault| fault_of(fault, tape, id, guard, &g))?;
        }
    } else if let Slot::Sum(g) = slot {
        let g = Value::Tensor(g);
        let (y, g) = ([&node.value], [Some(&g)]);
        let guard = guard.or_else(|| if tape.has_foreign { nan_guard(op.is_foreign(), &x, &y, &g) } else { None });
        let mut sink = Tensors::new(tape, inputs, slots, guard);
        ask(op, id, &x, &y, &g, &mut sink, witness);
        sink.outcome().map_err(|fault| fault_of(fault, tape, id, guard, &g))?;
    }
    let mut lowest = id;
    for &x in inputs {
        lowest = lowest.min(x);
        let slot = &mut slots[x as usize];
        if matches!(slot, Slot::Empty) {
            *slot = Slot::Zero;
        }
    }
    Ok(lowest)
}

/// Asks a rule; a witness sees what it adds.
#[inline]
fn ask<T: Real>(
    op: &dyn Erased,
    id: u32,
    x: &[&Value<T>],
    y: &[&Value<T>],
    g: &[Option<&Value<T>>],
    sink: &mut Tensors<'_, T>,
    witness: &mut Option<&mut Witness<'_, T>>,
) {
    let Some(witness) = witness else { return T::typed(op).vjp(x, y, g, sink) };
    let tape = sink.tape;
    let mut seen = Seen::new(sink);
    T::typed(op).vjp(x, y, g, &mut seen);
    let parts = seen.parts;
    witness(&Asked { tape, id, g, parts });
}

/// A rule that was asked in a sweep.
pub(crate) struct Asked<'a, T: Real> {
    pub(crate) tape: &'a Tape<T>,
    /// The node; the first one, of an operation with several outputs.
    pub(crate) id: u32,
    /// The gradients of its outputs.
    pub(crate) g: &'a [Option<&'a Value<T>>],
    /// What the rule added, in its order: for which input, and how much.
    pub(crate) parts: Vec<(usize, Tensor<T>)>,
}

/// Someone who is shown each rule that a sweep asks.
pub(crate) type Witness<'a, T> = dyn FnMut(&Asked<'_, T>) + 'a;

/// The same for single numbers, of an operation that has a short way for them, whose gradient nobody asks for.
#[inline]
fn pull_back_ones<T: Real>(tape: &Tape<T>, id: u32, g: T, slots: &mut [Slot<T>]) -> Option<u32> {
    let node = tape.node(id);
    let (Kind::Op(handle), Value::Tensor(y)) = (&node.kind, &node.value) else { return None };
    if node.retained || tape.hooks.contains_key(&id) {
        return None;
    }
    let (op, inputs, y) = (handle.op(), tape.inputs(id), y.one_ref()?);
    let (mut x, mut d) = ([y; MAX_ONES], [T::ZERO; MAX_ONES]);
    for (k, &input) in inputs.iter().enumerate() {
        let Value::Tensor(value) = &tape.node(input).value else { return None };
        *x.get_mut(k)? = value.one_ref()?;
    }
    let adds = T::typed(op).vjp_one(x.get(..inputs.len())?, *y, g, &mut d)?;
    let mut lowest = id;
    // Read where they stand, as they were written: a copy would be wider.
    for (k, (&x, d)) in inputs.iter().zip(&d).enumerate() {
        let (node, slot) = (tape.node(x), &mut slots[x as usize]);
        lowest = lowest.min(x);
        if adds >> k & 1 == 1 && node.needs_gradient {
            let rank = if let Value::Tensor(x) = &node.value { x.as_one_of_rank().map_or(0, |(_, rank)| rank) } else { 0 };
            slot.receive_one(rank, *d);
        } else if matches!(slot, Slot::Empty) {
            slot.fill(Slot::Zero);
        }
    }
    Some(lowest)
}

/// The error of a rule that failed, or that gave a number which may not be.
#[cold]
fn fault_of<T: Real>(fault: Fault, tape: &Tape<T>, id: u32, guard: Option<Guard>, g: &[Option<&Value<T>>]) -> Error {
    match fault {
        Fault::Failed(error) => blame(error, tape, id),
        Fault::Found(found) => {
            let incoming: Few<Tensor<T>> = g.iter().flatten().filter_map(|value| value.tensor().ok().cloned()).collect();
            Error::non_finite(NonFinite::of_gradient(tape, id, guard.unwrap_or(Guard::NAN), *found, &incoming))
        }
    }
}

/// The rule of an operation from outside must not make NaN of what has none.
fn nan_guard<T: Real>(is_foreign: bool, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>]) -> Option<Guard> {
    let all = || x.iter().chain(y).copied().chain(g.iter().copied().flatten());
    (is_foreign && all().all(|value| value.tensor().is_ok_and(|t| Guard::NAN.offence(t).is_none()))).then_some(Guard::NAN)
}

/// The gradient of the root by itself.
fn seed<T: Real>(root: &Tensor<T>, cotangent: Option<&Tensor<T>>) -> Result<Tensor<T>, Error> {
    let shape = *root.shape();
    match cotangent {
        Some(cotangent) if *cotangent.shape() == shape => Ok(cotangent.clone()),
        Some(cotangent) => Err(ErrorKind::Cotangent { expected: shape, found: *cotangent.shape() }.into()),
        None if shape.len() == 1 => Ok(Tensor::one(shape.rank(), T::ONE)),
        None => Err(ErrorKind::NotScalar { shape, hint: SCALAR_HINT }.into()),
    }
}

/// The gradients of `root`, of Σ cotangent·root if it is no scalar, by `wrt`, as variables.
pub(crate) fn grad<'g, T: Real>(
    graph: &'g Graph<T>,
    root: Var<'g, T>,
    cotangent: Option<Var<'g, T>>,
    wrt: &[Var<'g, T>],
    at: &'static Location<'static>,
) -> Vec<Var<'g, T>> {
    let name = if cotangent.is_some() { "vjp" } else { "grad" };
    match recorded(graph, root, cotangent, wrt, None, (name, at)) {
        Ok(found) => {
            let mut ways = None;
            let all = found.into_iter().zip(wrt);
            all.map(|(found, x)| found.unwrap_or_else(|| zero_gradient(root, *x, &mut ways, name, at))).collect()
        }
        Err(error) => vec![graph.poison(error); wrt.len()],
    }
}

/// The tangent of a gradient; or the gradient, if it has none or is an error.
pub(crate) type Tangent<'g, T> = Result<Tensor<T>, Var<'g, T>>;

/// The tangents of the gradients of a scalar by some leaves, in forward mode.
pub(crate) fn grad_tangents<'g, T: Real>(
    graph: &'g Graph<T>,
    root: Var<'g, T>,
    wrt: &[Var<'g, T>],
    at: &'static Location<'static>,
) -> Result<Vec<Tangent<'g, T>>, Error> {
    let mut ends = Ends::new(graph, wrt);
    let found = recorded(graph, root, None, wrt, Some(&mut ends), ("grad", at))?;
    let (mut ways, all) = (None, found.into_iter().zip(wrt));
    let tangent_of = |(found, x): (Option<Var<'g, T>>, &Var<'g, T>)| {
        let tangent = ends.take(x.id(), &x.shape()?)?;
        Ok(match (found, tangent) {
            (Some(error), _) if error.soundness().is_err() => Err(error),
            (_, Some(tangent)) => Ok(tangent),
            (found, None) => Err(found.unwrap_or_else(|| zero_gradient(root, *x, &mut ways, "grad", at))),
        })
    };
    all.map(tangent_of).collect()
}

/// The gradients of `root` by `wrt`, as variables; none by what it does not depend on, or by an end to which only tangents came.
fn recorded<'g, T: Real>(
    graph: &'g Graph<T>,
    root: Var<'g, T>,
    cotangent: Option<Var<'g, T>>,
    wrt: &[Var<'g, T>],
    mut ends: Option<&mut Ends<T>>,
    (name, at): (&'static str, &'static Location<'static>),
) -> Result<Vec<Option<Var<'g, T>>>, Error> {
    let all: Few<Var<'g, T>> = [root].into_iter().chain(cotangent).chain(wrt.iter().copied()).collect();
    if let Some(error) = graph.refusal(&all, at) {
        return Err(error.in_op(name, Vec::new).at(at));
    }
    let first = root.value().and_then(|value| match cotangent {
        Some(cotangent) => seed(&value, Some(&cotangent.value()?)).map(|_| cotangent),
        None => seed(&value, None).map(|one| graph.leaf(one, false, at)),
    });
    let first = first.map_err(|error| error.in_op(name, || root.shape().into_iter().collect()).at(at))?;

    let path = Path::between(graph, &[root], wrt);
    let mut slots: Vec<Pending<'g, T>> = Vec::new();
    slots.resize_with(path.len(), Pending::default);
    let mut found: Vec<Option<Var<'g, T>>> = vec![None; path.len()];
    if let Some(place) = path.place(root.id()) {
        slots[place] = Pending::start(first);
    }
    let mut restored = Restored::default();
    for (place, id) in path.descending() {
        let node = Var::new(graph, id);
        // Nodes of a gradient belong to the line of the operation they differentiate.
        graph.on_behalf_of(node.location(), || {
            restored.step_back(&mut graph.tape.borrow_mut(), id);
            let mut whole = slots[place].finish(node);
            if let Some(g) = &mut whole {
                let hooks = graph.tape.borrow().hooks.get(&id).cloned();
                *g = hooks.into_iter().flatten().fold(*g, |g, hook| hook.pass_recorded(g));
                if path.is_wanted(place) {
                    found[place] = Some(*g);
                }
            }
            let (outputs, handle, foreign) = {
                let tape = graph.tape.borrow();
                let Kind::Op(handle) = &tape.node(id).kind else {
                    // Another output waits for the primary one, whose rule gives the gradients of all.
                    slots[place] = whole.map(Pending::start).unwrap_or_default();
                    return;
                };
                let outputs = if tape.has_multi { crate::graph::index(handle.outputs()) } else { 1 };
                (outputs, handle.clone(), tape.has_foreign && handle.op().is_foreign())
            };
            let mut g: Few<Option<Var<'g, T>>> = Few::from_iter([whole]);
            g.extend((id + 1..id + outputs).map(|at| path.place(at).and_then(|place| slots[place].finish(node))));
            if g.iter().all(Option::is_none) {
                return;
            }
            let inputs: Few<u32> = graph.tape.borrow().inputs(id).into();
            let x: Few<Var<'g, T>> = inputs.iter().map(|&x| Var::new(graph, x)).collect();
            let y: Few<Var<'g, T>> = (id..id + outputs).map(|y| Var::new(graph, y)).collect();
            let incoming: Few<Var<'g, T>> = g.iter().flatten().copied().collect();
            let mut sink = Variables {
                x: &x,
                slots: &mut slots,
                path: &path,
                ends: ends.as_deref_mut(),
                op: handle.op(),
                guard: None,
                incoming: &incoming,
            };
            if let Some(bad) = g.iter().flatten().find(|g| g.shape().is_err()) {
                // No rule sees an error: it is the gradient of everything further back.
                return sink.spoil(*bad);
            }
            if foreign {
                let sound = |v: &Var<'g, T>| v.value().is_ok_and(|t| Guard::NAN.offence(&t).is_none());
                sink.guard = (x.iter().chain(&y).chain(g.iter().flatten()).all(sound)).then_some((Guard::NAN, id));
            }
            let g: Few<Option<&Var<'g, T>>> = g.iter().map(Option::as_ref).collect();
            T::typed(handle.op()).vjp_recorded(&x.iter().collect::<Few<_>>(), &y.iter().collect::<Few<_>>(), &g, &mut sink);
        });
    }
    restored.finish(&mut graph.tape.borrow_mut());

    Ok(wrt.iter().map(|x| path.place(x.id()).and_then(|place| found[place])).collect())
}

/// The gradient by a variable that the root does not depend on, or why there cannot be one: what was cut off is not taken for 0.
fn zero_gradient<'g, T: Real>(
    root: Var<'g, T>,
    x: Var<'g, T>,
    ways: &mut Option<Vec<Way>>,
    name: &'static str,
    at: &'static Location<'static>,
) -> Var<'g, T> {
    let graph = x.graph();
    // One pass over the tape for all of them.
    let ways = ways.get_or_insert_with(|| graph.tape.borrow().ways(&[root.id()]));
    let is_lost = !graph.tape.borrow().node(x.id()).needs_gradient || matches!(ways.get(x.id() as usize), Some(Way::Cut(..)));
    let zeros = x.shape().and_then(|shape| {
        if is_lost { Err(ErrorKind::NoGradient { why: x.why_no_gradient(&[root.id()]) }.into()) } else { Tensor::filled(T::ZERO, shape) }
    });
    match zeros {
        Ok(zeros) => graph.leaf(zeros, false, at),
        Err(error) => graph.poison(error.in_op(name, Vec::new).at(at)),
    }
}
