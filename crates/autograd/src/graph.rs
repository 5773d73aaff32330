//! The graph is a tape: nodes in the order of their creation, which is a topological order.
//!
//! Building, differentiating, drawing and dropping it are loops; nothing recurses, so memory alone limits its depth.

pub(crate) mod list;
pub(crate) mod scope;
pub(crate) mod segment;
pub(crate) mod replay;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    hash::{Hash, Hasher},
    panic::Location,
    sync::Arc,
};

use self::{
    list::VarList,
    replay::Plan,
    scope::{Cut, Vars},
    segment::Segments,
};
use crate::{
    accumulate::Slot,
    backward::{Gradients, Root},
    elementary::Side,
    error::{Error, ErrorKind},
    guard::{Guard, NonFinite},
    hook::Hook,
    op::{self, Few, Handle, MultiOp, Op, Value, Variadic},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// One run of a model: leaves, and the operations applied to them, in order.
///
/// [`Var`]s are handles to its nodes and live as long as it does. A graph may be moved to another thread, but not shared: data-parallel
/// work uses one graph per thread.
///
/// ```
/// use autograd::Graph;
/// let g = Graph::<f64>::new();
/// let (x, y, z) = (g.variable(-2.0), g.variable(5.0), g.variable(-4.0));
/// let f = (x + y) * z;
/// let grads = f.backward()?;
/// assert_eq!(f.item()?, -12.0);
/// assert_eq!([x, y, z].map(|v| grads.wrt(v).unwrap().item().unwrap()), [-4.0, -4.0, 3.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Graph<T: Real> {
    pub(crate) tape: RefCell<Tape<T>>,
    /// Given to gradients, so that they know their graph after it is gone.
    pub(crate) identity: Arc<()>,
    /// While a gradient or a formula of several operations is recorded: the line that its nodes belong to.
    behalf: Cell<Option<&'static Location<'static>>>,
    /// How many scopes have ended, so that a variable knows whether its node may be gone.
    pub(crate) epoch: Cell<u32>,
    /// The slots of the last sweep, empty, to be used again.
    pub(crate) slots: Cell<Vec<Slot<T>>>,
}

pub(crate) struct Tape<T: Real> {
    pub(crate) nodes: Vec<Node<T>>,
    /// The inputs of all nodes, one after the other.
    edges: Vec<u32>,
    names: BTreeMap<u32, Arc<str>>,
    pub(crate) bound: HashMap<LeafId, Bound>,
    pub(crate) hooks: BTreeMap<u32, Vec<Hook<T>>>,
    /// Nodes whose positions of extremes, or the like, were read: what comes of those is no function to differentiate.
    pub(crate) readings: BTreeMap<u32, (&'static str, &'static Location<'static>)>,
    pub(crate) segments: Segments,
    cuts: Vec<Cut>,
    /// In forward mode, the derivatives along the direction of the leaves, by node; what is missing does not move.
    pub(crate) tangents: Option<Vec<Option<Tensor<T>>>>,
    /// What no number may be.
    pub(crate) guard: Option<Guard>,
    /// Whether an operation that was not made in this library is on the tape, or one with several outputs.
    pub(crate) has_foreign: bool,
    pub(crate) has_multi: bool,
    plan: Plan,
}

/// The node of a parameter.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) node: u32,
    /// Whether the node was chosen by the caller, and so need not hold the value of the parameter.
    chosen: bool,
}

#[derive(Clone)]
pub(crate) struct Node<T: Real> {
    pub(crate) kind: Kind,
    pub(crate) value: Value<T>,
    pub(crate) at: &'static Location<'static>,
    /// Where its inputs begin among the edges.
    first_edge: u32,
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

/// The identity of a leaf that outlives graphs, such as a parameter of a model.
///
/// A clone is the same identity.
#[derive(Clone, Default)]
pub struct LeafId(Arc<()>);

impl LeafId {
    /// A new identity.
    #[must_use]
    pub fn new() -> LeafId {
        LeafId::default()
    }

    /// What tells identities apart while they live.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl PartialEq for LeafId {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for LeafId {}
impl Hash for LeafId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl fmt::Debug for LeafId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeafId({:#x})", self.address())
    }
}

/// A value, and its tangent if it moves.
type Moving<V, T> = (V, Option<Tensor<T>>);

impl<T: Real> Default for Graph<T> {
    fn default() -> Self {
        Graph::new()
    }
}

impl<T: Real> Tape<T> {
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

    /// A copy; values are shared until one of the two is replayed.
    fn fork(&self) -> Tape<T> {
        Tape {
            nodes: self.nodes.clone(),
            edges: self.edges.clone(),
            names: self.names.clone(),
            bound: self.bound.clone(),
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

    /// The value of an operation. Recording it and computing it again are this function.
    #[inline]
    fn output(&self, handle: &Handle, inputs: &[u32], at: &'static Location<'static>) -> Value<T> {
        let result = match op::tensors(inputs.iter().map(|&x| &self.node(x).value)) {
            Ok(x) => T::forward(handle, &x, Some(at)),
            // Of several errors the one that was made first is passed on.
            Err(any) => Err(self.first_error(inputs).unwrap_or(any)),
        };
        match result {
            Ok(y) if self.guard.is_some() => self.guarded(handle, inputs, &y, at).map(|()| y).into(),
            result => result.into(),
        }
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
                        self.set_tangent(id, tangent);
                    }
                }
            }
            Kind::Op(handle) => {
                self.nodes[id as usize].value = self.output(handle, self.inputs(id), at);
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
    #[inline]
    fn follow(&mut self, id: u32) {
        if self.tangents.is_some()
            && let Err(error) = self.move_node(id)
        {
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
        T::pushed(handle.op(), &x, y, &dx, at)
    }
}

impl<T: Real> Graph<T> {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        let tape = Tape {
            nodes: Vec::new(),
            edges: Vec::new(),
            names: BTreeMap::new(),
            bound: HashMap::new(),
            hooks: BTreeMap::new(),
            readings: BTreeMap::new(),
            segments: Segments::default(),
            cuts: Vec::new(),
            tangents: None,
            guard: None,
            has_foreign: false,
            has_multi: false,
            plan: Plan::default(),
        };
        Graph::of(tape)
    }

    fn of(tape: Tape<T>) -> Self {
        Graph { tape: RefCell::new(tape), identity: Arc::default(), behalf: Cell::new(None), epoch: Cell::new(0), slots: Cell::default() }
    }

    /// Empties the graph for another run; its memory is kept, and used again.
    ///
    /// A variable of before cannot be used any more: that does not compile.
    ///
    /// ```
    /// use autograd::Graph;
    /// let mut g = Graph::<f64>::new();
    /// for step in 0..3 {
    ///     let y = g.variable(f64::from(step)).sin();
    ///     assert_eq!((y.item()?, g.len()), (f64::from(step).sin(), 2));
    ///     g.clear();
    /// }
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// ```compile_fail,E0502
    /// # use autograd::Graph;
    /// let mut g = Graph::<f64>::new();
    /// let x = g.variable(1.0);
    /// g.clear();
    /// let y = x.sin(); // x is of what was cleared
    /// ```
    ///
    /// The same holds for a graph that is gone:
    ///
    /// ```compile_fail,E0597
    /// # use autograd::Graph;
    /// let x = {
    ///     let g = Graph::<f64>::new();
    ///     g.variable(1.0)
    /// };
    /// let y = x.sin(); // the graph of x is gone
    /// ```
    pub fn clear(&mut self) {
        let guard = self.tape.get_mut().guard.take();
        let tape = self.tape.get_mut();
        tape.nodes.clear();
        tape.edges.clear();
        tape.names.clear();
        tape.bound.clear();
        tape.hooks.clear();
        tape.readings.clear();
        tape.segments = Segments::default();
        tape.cuts.clear();
        tape.tangents = None;
        tape.guard = guard;
        (tape.has_foreign, tape.has_multi) = (false, false);
        tape.plan.forget();
        self.identity = Arc::default();
        self.epoch.set(0);
    }

    /// A leaf to differentiate by: a tensor, or a number.
    #[track_caller]
    pub fn variable(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(value.into(), true, Location::caller())
    }

    /// A leaf that is not differentiated by: a tensor, or a number. Nothing is computed for the gradients of constants.
    #[track_caller]
    pub fn constant(&self, value: impl Into<Tensor<T>>) -> Var<'_, T> {
        self.leaf(value.into(), false, Location::caller())
    }

    /// The leaf of a parameter that lives outside: the same one at every call with the same `id`, so that a parameter used twice is one
    /// variable and its gradient can be found by [`Gradients::of`](crate::Gradients::of).
    ///
    /// # Errors
    /// A value that is not the one `id` was bound to before: the result is an error.
    #[track_caller]
    pub fn bind(&self, id: &LeafId, value: &Tensor<T>) -> Var<'_, T> {
        let at = Location::caller();
        let known = {
            let tape = self.tape.borrow();
            tape.bound.get(id).map(|&Bound { node, chosen }| {
                let leaf = tape.node(node);
                (node, leaf.at, chosen || leaf.value.tensor().is_ok_and(|bound| bound.is_same(value)))
            })
        };
        match known {
            Some((node, _, true)) => Var::new(self, node),
            Some((_, bound, false)) => self.poison(Error::from(ErrorKind::Rebound { bound }).in_op("bind", || vec![*value.shape()]).at(at)),
            None => {
                let leaf = self.leaf(value.clone(), true, at);
                self.tape.borrow_mut().bound.insert(id.clone(), Bound { node: leaf.id(), chosen: false });
                leaf
            }
        }
    }

    /// Lets a variable stand for a parameter on this graph: every later [`bind`](Graph::bind) of `id` gives it, whatever the value of the
    /// parameter. So a model can be evaluated, and differentiated, at other parameters than its own.
    ///
    /// # Errors
    /// A variable of another graph; nothing is changed then.
    ///
    /// ```
    /// use autograd::{Graph, LeafId, tensor};
    /// let (id, value) = (LeafId::new(), tensor![1.0, 2.0]);
    /// let g = Graph::<f64>::new();
    /// let half = g.variable(tensor![0.5, 1.0]);
    /// g.bind_as(&id, half)?;
    /// assert_eq!(g.bind(&id, &value).value()?, tensor![0.5, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn bind_as(&self, id: &LeafId, var: Var<'_, T>) -> Result<(), Error> {
        let at = Location::caller();
        if let Some(error) = self.refusal(&[var], at) {
            return Err(error.in_op("bind_as", Vec::new).at(at));
        }
        self.tape.borrow_mut().bound.insert(id.clone(), Bound { node: var.id(), chosen: true });
        Ok(())
    }

    /// Runs a computation while variables stand for parameters, as after [`bind_as`](Graph::bind_as); afterwards the parameters are bound to
    /// what they were before.
    ///
    /// # Errors
    /// A variable of another graph; nothing is run then.
    ///
    /// ```
    /// use autograd::{Graph, LeafId, tensor};
    /// let (id, value) = (LeafId::new(), tensor![1.0, 2.0]);
    /// let g = Graph::<f64>::new();
    /// let before = g.bind(&id, &value);
    /// let [slope] = g.grad(before.square().sum(), [before]);
    /// // The same function after a step of descent, still a function of what was there before.
    /// let after = g.bound_as([(&id, before - slope * 0.25)], || g.bind(&id, &value).square().sum())?;
    /// assert_eq!(after.item()?, 1.25);
    /// assert_eq!(after.backward()?.of(&id), Some(&tensor![0.5, 1.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn bound_as<'g, 'i, R>(
        &'g self,
        bindings: impl IntoIterator<Item = (&'i LeafId, Var<'g, T>)>,
        computation: impl FnOnce() -> R,
    ) -> Result<R, Error> {
        /// Puts the bindings back, also when the computation panics.
        struct Before<'a, T: Real>(&'a Graph<T>, Vec<(LeafId, Option<Bound>)>);
        impl<T: Real> Drop for Before<'_, T> {
            fn drop(&mut self) {
                let mut tape = self.0.tape.borrow_mut();
                for (id, bound) in self.1.drain(..).rev() {
                    match bound {
                        Some(bound) => tape.bound.insert(id, bound),
                        None => tape.bound.remove(&id),
                    };
                }
            }
        }
        let mut before = Before(self, Vec::new());
        for (id, var) in bindings {
            let bound = self.tape.borrow().bound.get(id).copied();
            self.bind_as(id, var)?;
            before.1.push((id.clone(), bound));
        }
        Ok(computation())
    }

    /// The result of an operation of yours with `N` inputs; see [`Op`] for how one is written, and
    /// [`check::op`](crate::check::op) for how it is certified.
    ///
    /// Its rule is not trusted: a gradient of the wrong shape, or one that is NaN although nothing that the rule was given is, is an error.
    #[track_caller]
    pub fn apply<'g, O: Op<N>, const N: usize>(&'g self, op: O, x: [Var<'g, T>; N]) -> Var<'g, T> {
        self.tape.borrow_mut().has_foreign = true;
        self.call(Handle::foreign(op), &x)
    }

    /// The result of an operation of yours with any number of inputs.
    #[track_caller]
    pub fn apply_variadic<'g, O: Variadic>(&'g self, op: O, x: &[Var<'g, T>]) -> Var<'g, T> {
        self.tape.borrow_mut().has_foreign = true;
        self.call(Handle::foreign_variadic(op), x)
    }

    /// The results of an operation of yours with `N` inputs and `M` outputs; see [`MultiOp`].
    #[track_caller]
    pub fn apply_multi<'g, O: MultiOp<N, M>, const N: usize, const M: usize>(&'g self, op: O, x: [Var<'g, T>; N]) -> [Var<'g, T>; M] {
        let first = T::push_all(self, Handle::multi(op), &x, self.line(Location::caller()));
        std::array::from_fn(|k| Var::new(self, first + index(k)))
    }

    /// The result of an operation behind a handle.
    #[track_caller]
    #[inline]
    pub fn call<'g>(&'g self, op: Handle, x: &[Var<'g, T>]) -> Var<'g, T> {
        let at = self.line(Location::caller());
        Var::new(self, T::push(self, op, x, at))
    }

    /// The line that new nodes belong to.
    #[inline]
    pub(crate) fn line(&self, caller: &'static Location<'static>) -> &'static Location<'static> {
        self.behalf.get().unwrap_or(caller)
    }

    /// Runs `f`; new nodes belong to the line `at`, unless an outer call has said otherwise.
    pub(crate) fn on_behalf_of<R>(&self, at: &'static Location<'static>, f: impl FnOnce() -> R) -> R {
        /// Ends it, also when `f` panics.
        struct Restored<'a>(&'a Cell<Option<&'static Location<'static>>>, Option<&'static Location<'static>>);
        impl Drop for Restored<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let outer = self.behalf.get();
        let _restored = Restored(&self.behalf, outer);
        self.behalf.set(Some(outer.unwrap_or(at)));
        f()
    }

    /// Runs a computation that may fail, so that `?` can be used where a variable is to be returned: an error becomes a variable
    /// that holds it.
    ///
    /// ```
    /// use autograd::{Error, Graph, Var, tensor};
    /// fn flatten<'g>(x: Var<'g, f64>) -> Var<'g, f64> {
    ///     x.graph().try_var(|| {
    ///         let rows = x.shape()?[0];
    ///         Ok(x.reshape([rows.cast_signed(), -1]))
    ///     })
    /// }
    /// let g = Graph::new();
    /// let bad = g.variable(tensor![1.0, 2.0]) + g.variable(tensor![1.0, 2.0, 3.0]);
    /// assert_eq!(flatten(bad).value().unwrap_err().op(), Some("add"));
    /// ```
    #[track_caller]
    pub fn try_var<'g>(&'g self, f: impl FnOnce() -> Result<Var<'g, T>, Error>) -> Var<'g, T> {
        let at = Location::caller();
        f().unwrap_or_else(|error| self.poison(error.at(at)))
    }

    /// The gradients of a scalar by some variables, an array of them or a slice, as variables that can be differentiated again.
    ///
    /// Where `root` does not depend on a variable the gradient is zero.
    ///
    /// # Errors
    /// A root that is no scalar, a variable of another graph: each gradient is that error. So is the gradient by a constant, and by a
    /// variable from which all ways to the root are cut off by [`detach`](Var::detach) or [`scope`](Graph::scope).
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(2.0);
    /// let y = x.powi(3);
    /// let [dy] = g.grad(y, [x]);
    /// let [ddy] = g.grad(dy, [x]);
    /// assert_eq!((dy.item()?, ddy.item()?), (12.0, 12.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn grad<'g, L: VarList<'g, T>>(&'g self, root: Var<'g, T>, wrt: L) -> L::Like {
        wrt.like(T::grad(self, root, None, wrt.as_ref(), Location::caller()))
    }

    /// The gradients of Σ cotangent·root by some variables, for a root of any shape, as variables that can be differentiated again, by the
    /// cotangent too.
    ///
    /// # Errors
    /// A cotangent of another shape than the root, and those of [`Graph::grad`]: each gradient is that error.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, c) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![1.0, 10.0]));
    /// let [dx] = g.vjp(x.square(), c, [x]);
    /// assert_eq!(dx.value()?, tensor![2.0, 40.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn vjp<'g, L: VarList<'g, T>>(&'g self, root: Var<'g, T>, cotangent: Var<'g, T>, wrt: L) -> L::Like {
        wrt.like(T::grad(self, root, Some(cotangent), wrt.as_ref(), Location::caller()))
    }

    /// The gradients of the sum of several roots, in one sweep: scalars, or variables of any shape with their cotangents. See [`Root`].
    ///
    /// # Errors
    /// As [`Var::backward`] and [`Var::backward_with`]; no root at all.
    #[track_caller]
    pub fn backward<'g, 'c>(&'g self, roots: impl IntoIterator<Item = Root<'g, 'c, T>>) -> Result<Gradients<T>, Error> {
        let roots: Few<Root<'g, 'c, T>> = roots.into_iter().collect();
        let mut gradients = Gradients::empty(self);
        T::backward(self, &roots, None, Location::caller(), &mut gradients)?;
        Ok(gradients)
    }

    /// The derivative of `root` as each variable of `wrt` moves along its entry of `dx`: J·dx, of the shape of `root`, as a variable that
    /// can be differentiated again. This is forward mode; it costs a few times what the formula between them costs.
    ///
    /// # Errors
    /// A direction of another shape than its variable, a variable of another graph, a constant: the result is that error.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// let dx = g.constant(tensor![1.0, 10.0]);
    /// let y = x.square();
    /// assert_eq!(g.jvp(y, [x], [dx]).value()?, tensor![2.0, 40.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp<'g, L: VarList<'g, T>>(&'g self, root: Var<'g, T>, wrt: L, dx: L) -> Var<'g, T> {
        T::jvp(root, wrt.as_ref(), dx.as_ref(), Location::caller())
    }

    /// The memory that the graph holds, in bytes: its nodes, and the elements of its values, those that several share counted once.
    ///
    /// ```
    /// use autograd::{Graph, Tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.constant(Tensor::ones([1000])?);
    /// let y = x.exp().reshape([10, 100]);
    /// assert!((16_000..17_000).contains(&g.bytes()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tape = self.tape.borrow();
        let mut seen = HashSet::new();
        let values = tape.nodes.iter().filter_map(|node| node.value.tensor().ok()).chain(tape.tangents.iter().flatten().flatten());
        let elements: usize = values
            .filter(|tensor| tensor.as_one().is_none() && seen.insert(tensor.as_slice().as_ptr()))
            .map(|tensor| std::mem::size_of_val(tensor.as_slice()))
            .sum();
        elements + tape.nodes.len() * size_of::<Node<T>>() + tape.edges.len() * size_of::<u32>()
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tape.borrow().nodes.len()
    }

    /// All nodes recorded so far, in the order in which they were made, so that each comes after its [inputs](Var::inputs).
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(2.0);
    /// let y = (x * x + 1.0).ln();
    /// let names: Vec<_> = g.vars().filter_map(|v| v.op()).map(|op| op.name()).collect();
    /// assert_eq!(names, ["mul", "add_lit", "ln"]);
    /// assert_eq!(y.position(), 3);
    /// ```
    pub fn vars(&self) -> impl Iterator<Item = Var<'_, T>> {
        (0..index(self.len())).map(|id| Var::new(self, id))
    }

    /// Whether nothing has been recorded yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn leaf(&self, value: Tensor<T>, needs_gradient: bool, at: &'static Location<'static>) -> Var<'_, T> {
        let kind = if needs_gradient { Kind::Variable } else { Kind::Constant };
        Var::new(self, self.push(kind, &[], Value::Tensor(value), needs_gradient, at))
    }

    /// The same value as a constant that says of itself that it was detached.
    pub(crate) fn detached(&self, var: Var<'_, T>, at: &'static Location<'static>) -> Var<'_, T> {
        if let Some(error) = self.refusal(&[var], at) {
            return self.poison(error.in_op("detach", Vec::new).at(at));
        }
        let value = self.tape.borrow().node(var.id()).value.clone();
        Var::new(self, self.push(Kind::Detached, &[var.id()], value, false, at))
    }

    /// A node that holds an error.
    #[track_caller]
    pub(crate) fn poison(&self, error: Error) -> Var<'_, T> {
        let caller = Location::caller();
        let at = error.location().unwrap_or(caller);
        Var::new(self, self.push(Kind::Constant, &[], Value::Error(error), true, at))
    }

    /// Why some variables cannot be used on this graph: one is of another graph, or was lost in a scope.
    #[inline]
    pub(crate) fn refusal(&self, x: &[Var<'_, T>], at: &'static Location<'static>) -> Option<Error> {
        let epoch = self.epoch.get();
        if x.iter().all(|v| std::ptr::eq(v.graph(), self) && v.epoch() == epoch) {
            return None;
        }
        if let Some(stranger) = x.iter().find(|v| !std::ptr::eq(v.graph(), self)) {
            let native = x.iter().find(|v| std::ptr::eq(v.graph(), self));
            return Some(ErrorKind::OtherGraph { here: native.map_or(at, |v| v.location()), there: stranger.location() }.into());
        }
        x.iter().find_map(|v| self.lost(*v))
    }

    /// Applies an operation and puts the result on the tape. Compiled once for each element type.
    pub(crate) fn record(&self, op: Handle, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        if let Some(error) = self.refusal(x, at) {
            return self.poison(error.in_op(op.name(), Vec::new).at(at)).id();
        }
        let inputs: Few<u32> = x.iter().map(|v| v.id()).collect();
        let mut tape = self.tape.borrow_mut();
        let needs_gradient = inputs.iter().any(|&x| tape.node(x).needs_gradient);
        let value = tape.output(&op, &inputs, at);
        let id = tape.push_node(Kind::Op(op), &inputs, value, needs_gradient, at);
        tape.follow(id);
        id
    }

    /// Applies an operation with several outputs, and gives the node of the first; the others follow it.
    pub(crate) fn record_all(&self, op: Handle, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        let outputs = op.outputs();
        let refused = |error: Error| (0..outputs).map(|_| self.poison(error.clone()).id()).min().unwrap_or_default();
        if let Some(error) = self.refusal(x, at) {
            return refused(error.in_op(op.name(), Vec::new).at(at));
        }
        let inputs: Few<u32> = x.iter().map(|v| v.id()).collect();
        let first_error = self.tape.borrow().first_error(&inputs);
        if let Some(error) = first_error {
            return refused(error);
        }
        let needs_gradient = inputs.iter().any(|&x| self.tape.borrow().node(x).needs_gradient);
        let first = self.push(Kind::Op(op), &inputs, Value::Dropped(at), needs_gradient, at);
        for k in 1..index(outputs) {
            self.push(Kind::Output(k), &[first], Value::Dropped(at), needs_gradient, at);
        }
        let mut tape = self.tape.borrow_mut();
        (tape.has_multi, tape.has_foreign) = (true, true);
        tape.compute(first);
        first
    }

    #[inline]
    fn push(&self, kind: Kind, inputs: &[u32], value: Value<T>, needs_gradient: bool, at: &'static Location<'static>) -> u32 {
        self.tape.borrow_mut().push_node(kind, inputs, value, needs_gradient, at)
    }

    pub(crate) fn name(&self, id: u32, name: &str) {
        self.tape.borrow_mut().names.insert(id, name.into());
    }
}

impl<T: Real> Tape<T> {
    #[inline]
    fn push_node(&mut self, kind: Kind, inputs: &[u32], value: Value<T>, needs_gradient: bool, at: &'static Location<'static>) -> u32 {
        let (id, first_edge) = (index(self.nodes.len()), index(self.edges.len()));
        self.edges.extend_from_slice(inputs);
        self.nodes.push(Node { kind, value, at, first_edge, needs_gradient, retained: false });
        id
    }

    /// Of several errors, the one that was made first.
    fn first_error(&self, inputs: &[u32]) -> Option<Error> {
        let bad = inputs.iter().copied().filter(|&id| self.node(id).value.tensor().is_err()).min()?;
        self.node(bad).value.tensor().err().map(|error| error.at(self.node(bad).at))
    }
}

impl Graph<f64> {
    /// Keeps the gradients of all nodes from here on.
    pub(crate) fn retain_all(&self) {
        self.tape.borrow_mut().nodes.iter_mut().for_each(|node| node.retained = true);
    }

    /// Σ |v·∂y/∂v| over all elements v of all results on the way to y: by how much y changes if each is off by one relative unit.
    pub(crate) fn condition(&self, gradients: &Gradients<f64>) -> f64 {
        let tape = self.tape.borrow();
        let sizes = tape.nodes.iter().zip(0..).filter(|(node, _)| matches!(node.kind, Kind::Op(_))).filter_map(|(node, id)| {
            let (value, gradient) = (node.value.tensor().ok()?, gradients.of_node(id)?);
            Some(value.as_slice().iter().zip(gradient.as_slice()).map(|(v, d)| (v * d).abs()).filter(|size| size.is_finite()).sum::<f64>())
        });
        sizes.sum()
    }

    /// Gives `see` the side of every kink that was taken.
    pub(crate) fn sides(&self, see: &mut dyn FnMut(Side)) {
        let tape = self.tape.borrow();
        for (id, node) in tape.nodes.iter().enumerate() {
            let inputs = tape.inputs(index(id)).iter().map(|&x| &tape.node(x).value);
            if let (Kind::Op(handle), Ok(x)) = (&node.kind, op::tensors(inputs)) {
                handle.op().sides(&x, see);
            }
        }
    }
}

/// A position on the tape. Four billion nodes take 200 GB; before that, memory ends.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn index(n: usize) -> u32 {
    debug_assert!(u32::try_from(n).is_ok());
    n as u32
}

impl<T: Real> fmt::Debug for Graph<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph<{}> of {} nodes", T::NAME, self.len())
    }
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
