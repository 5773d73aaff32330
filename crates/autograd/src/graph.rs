//! The graph is a tape: nodes in the order of their creation, which is a topological order.
//!
//! Building, differentiating, drawing and dropping it are loops; nothing recurses, so memory alone limits its depth.

pub(crate) mod tape;
pub(crate) mod binding;
pub(crate) mod list;
pub(crate) mod scope;
pub(crate) mod segment;
pub(crate) mod replay;
pub(crate) mod spare;
mod widen;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
    panic::Location,
};

pub(crate) use self::{
    binding::LeafId,
    tape::{Kind, Node, Tape, index},
};
use self::{list::VarList, scope::Vars, spare::Spare};
use crate::{
    accumulate::Slot,
    backward::{Gradients, Root},
    elementary::Side,
    error::{Error, ErrorKind},
    guard::NonFinite,
    op::{self, Few, Handle, MultiOp, Op, Recorded, Value, Variadic},
    real::Real,
    tensor::{Tensor, fact::Fact},
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
    pub(crate) identity: u64,
    /// While a gradient or a formula of several operations is recorded: the line that its nodes belong to.
    behalf: Cell<Option<&'static Location<'static>>>,
    /// How many scopes have ended, so that a variable knows whether its node may be gone.
    pub(crate) epoch: Cell<u32>,
    /// The slots of the last sweep, empty, to be used again.
    pub(crate) slots: Cell<Vec<Slot<T>>>,
}

/// The memory of the tape is kept for the next graph.
impl<T: Real> Drop for Graph<T> {
    fn drop(&mut self) {
        let tape = self.tape.get_mut();
        let (nodes, edges) = (std::mem::take(&mut tape.nodes), std::mem::take(&mut tape.edges));
        Spare { nodes, edges, slots: self.slots.take() }.keep();
    }
}

impl<T: Real> Default for Graph<T> {
    fn default() -> Self {
        Graph::new()
    }
}

impl<T: Real> Graph<T> {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        let Spare { nodes, edges, slots } = Spare::take();
        let graph = Graph::of(Tape::new(nodes, edges));
        graph.slots.set(slots);
        graph
    }

    fn of(tape: Tape<T>) -> Self {
        Graph {
            tape: RefCell::new(tape),
            identity: binding::unique(),
            behalf: Cell::new(None),
            epoch: Cell::new(0),
            slots: Cell::default(),
        }
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
        self.tape.get_mut().clear();
        // Gradients of before must not take the new nodes for theirs.
        self.identity = binding::unique();
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
        self.applied(op, x)
    }

    /// The same, for an operation that may have no handle yet.
    #[track_caller]
    #[inline]
    pub(crate) fn applied<'g>(&'g self, op: impl Recorded, x: &[Var<'g, T>]) -> Var<'g, T> {
        let at = self.line(Location::caller());
        Var::new(self, op.push(self, x, at))
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

    /// The memory that the graph holds, in bytes: its nodes, and the elements of its values, those that several share counted once, with what
    /// is kept beside them for gradients, such as the factors of a matrix.
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
            .filter(|tensor| tensor.as_one().is_none())
            .map(|tensor| {
                // Facts are of one of the tensors that share elements.
                let fact = tensor.fact().filter(|fact| seen.insert(std::ptr::from_ref(*fact).addr()));
                let is_new = seen.insert(tensor.as_slice().as_ptr().addr());
                fact.map_or(0, Fact::bytes) + if is_new { std::mem::size_of_val(tensor.as_slice()) } else { 0 }
            })
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
        let guard = self.tape.borrow().guard;
        if let Some(guard) = guard
            && let Some(element) = guard.offence(&value)
        {
            let op = (if needs_gradient { "variable" } else { "constant" }, false);
            let found = NonFinite::of_value(&self.tape.borrow(), element, guard, op, &[], &value, at);
            return self.poison(Error::non_finite(found));
        }
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
    #[inline(always)]
    pub(crate) fn refusal(&self, x: &[Var<'_, T>], at: &'static Location<'static>) -> Option<Error> {
        let epoch = self.epoch.get();
        let all_well = x.iter().all(|v| std::ptr::eq(v.graph(), self) && v.epoch() == epoch);
        if all_well { None } else { self.why_refused(x, at) }
    }

    #[cold]
    fn why_refused(&self, x: &[Var<'_, T>], at: &'static Location<'static>) -> Option<Error> {
        if let Some(stranger) = x.iter().find(|v| !std::ptr::eq(v.graph(), self)) {
            let native = x.iter().find(|v| std::ptr::eq(v.graph(), self));
            return Some(ErrorKind::OtherGraph { here: native.map_or(at, |v| v.location()), there: stranger.location() }.into());
        }
        x.iter().find_map(|v| self.lost(*v))
    }

    /// Applies an operation and puts the result on the tape. Compiled once for each element type.
    pub(crate) fn record(&self, op: impl Recorded, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        if let Some(error) = self.refusal(x, at) {
            return self.poison(error.in_op(op.op().name(), Vec::new).at(at)).id();
        }
        let mut tape = self.tape.borrow_mut();
        let id = tape.push_op(op, x, at);
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

impl<T: Real> Graph<T> {
    /// Keeps the gradients of all nodes from here on.
    pub(crate) fn retain_all(&self) {
        self.tape.borrow_mut().nodes.iter_mut().for_each(|node| node.retained = true);
    }

    /// ε·Σ |v·∂y/∂v| over all elements v of all results on the way to y: by how much y changes if each is off in its last digit of f64. The last
    /// digits are added up, and not the numbers, whose sum may be too large.
    pub(crate) fn rounding(&self, gradients: &Gradients<T>) -> f64 {
        let tape = self.tape.borrow();
        let sizes = tape.nodes.iter().zip(0..).filter(|(node, _)| matches!(node.kind, Kind::Op(_))).filter_map(|(node, id)| {
            let (value, gradient) = (node.value.tensor().ok()?, gradients.of_node(id)?);
            Some(
                value
                    .as_slice()
                    .iter()
                    .zip(gradient.as_slice())
                    .map(|(v, d)| (f64::EPSILON * v.to_f64() * d.to_f64()).abs())
                    .filter(|size| size.is_finite())
                    .sum::<f64>(),
            )
        });
        sizes.sum()
    }

    /// Gives `see` the side of every kink that was taken, with the node, its line, and which of the kinks of that node it is.
    pub(crate) fn sides(&self, see: &mut dyn FnMut(u32, &'static Location<'static>, usize, Side)) {
        let tape = self.tape.borrow();
        for (id, node) in (0..).zip(&tape.nodes) {
            let Kind::Op(handle) = &node.kind else { continue };
            if let Ok(x) = op::tensors(tape.inputs(id).iter().map(|&x| &tape.node(x).value)) {
                let x: Few<Tensor<f64>> = x.iter().map(|x| x.cast()).collect();
                let mut place = 0;
                handle.op().sides(&x.iter().collect::<Few<_>>(), &mut |side| {
                    see(id, node.at, place, side);
                    place += 1;
                });
            }
        }
    }
}

impl<T: Real> fmt::Debug for Graph<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph<{}> of {} nodes", T::NAME, self.len())
    }
}
