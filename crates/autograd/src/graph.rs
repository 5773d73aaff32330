//! The graph is a tape: nodes in the order of their creation, which is a topological order.
//!
//! Building, differentiating, drawing and dropping it are loops; nothing recurses, so memory alone limits its depth.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{Hash, Hasher},
    panic::Location,
    sync::Arc,
};

use crate::{
    backward::Gradients,
    elementary::Side,
    error::{Error, ErrorKind},
    op::{self, Few, Handle, Op, Value, Variadic},
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
}

pub(crate) struct Tape<T: Real> {
    pub(crate) nodes: Vec<Node<T>>,
    /// The inputs of all nodes, one after the other.
    edges: Vec<u32>,
    names: BTreeMap<u32, Arc<str>>,
    pub(crate) bound: HashMap<LeafId, Bound>,
}

/// The node of a parameter.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) node: u32,
    /// Whether the node was chosen by the caller, and so need not hold the value of the parameter.
    chosen: bool,
}

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
pub(crate) enum Kind {
    Variable,
    Constant,
    Detached,
    Op(Handle),
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
}

impl<T: Real> Graph<T> {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        let tape = Tape { nodes: Vec::new(), edges: Vec::new(), names: BTreeMap::new(), bound: HashMap::new() };
        Graph { tape: RefCell::new(tape), identity: Arc::default(), behalf: Cell::new(None) }
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
        if !std::ptr::eq(var.graph(), self) {
            let kind = ErrorKind::OtherGraph { here: at, there: var.location() };
            return Err(Error::from(kind).in_op("bind_as", Vec::new).at(at));
        }
        self.tape.borrow_mut().bound.insert(id.clone(), Bound { node: var.id(), chosen: true });
        Ok(())
    }

    /// The result of an operation with `N` inputs, built-in or yours.
    #[track_caller]
    pub fn apply<'g, O: Op<N>, const N: usize>(&'g self, op: O, x: [Var<'g, T>; N]) -> Var<'g, T> {
        self.call(Handle::new(op), &x)
    }

    /// The result of an operation with any number of inputs.
    #[track_caller]
    pub fn apply_variadic<'g, O: Variadic>(&'g self, op: O, x: &[Var<'g, T>]) -> Var<'g, T> {
        self.call(Handle::variadic(op), x)
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

    /// The gradients of a scalar by some variables, as variables that can be differentiated again.
    ///
    /// Where `root` does not depend on a variable the gradient is zero.
    ///
    /// # Errors
    /// A root that is no scalar, a variable of another graph, a constant: each gradient is that error.
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
    pub fn grad<'g, const N: usize>(&'g self, root: Var<'g, T>, wrt: [Var<'g, T>; N]) -> [Var<'g, T>; N] {
        let gradients = T::grad(self, root, &wrt, Location::caller());
        std::array::from_fn(|k| gradients[k])
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
    pub fn jvp<'g, const N: usize>(&'g self, root: Var<'g, T>, wrt: [Var<'g, T>; N], dx: [Var<'g, T>; N]) -> Var<'g, T> {
        T::jvp(root, &wrt, &dx, Location::caller())
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

    /// A constant that says of itself that it was detached.
    pub(crate) fn detached(&self, value: Value<T>, at: &'static Location<'static>) -> Var<'_, T> {
        Var::new(self, self.push(Kind::Detached, &[], value, false, at))
    }

    /// A node that holds an error.
    #[track_caller]
    pub(crate) fn poison(&self, error: Error) -> Var<'_, T> {
        let caller = Location::caller();
        let at = error.location().unwrap_or(caller);
        Var::new(self, self.push(Kind::Constant, &[], Value::Error(error), true, at))
    }

    /// Applies an operation and puts the result on the tape. Compiled once for each element type.
    pub(crate) fn record(&self, op: Handle, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        let stranger = x.iter().find(|v| !std::ptr::eq(v.graph(), self));
        if let Some(stranger) = stranger {
            let native = x.iter().find(|v| std::ptr::eq(v.graph(), self));
            let kind = ErrorKind::OtherGraph { here: native.map_or(at, |v| v.location()), there: stranger.location() };
            return self.poison(Error::from(kind).in_op(op.name(), Vec::new).at(at)).id();
        }
        let (value, needs_gradient) = {
            let tape = self.tape.borrow();
            let nodes = x.iter().map(|v| tape.node(v.id()));
            let needs_gradient = nodes.clone().any(|node| node.needs_gradient);
            let value = match op::tensors(nodes.map(|node| &node.value)) {
                Ok(x) => T::forward(&op, &x, Some(at)),
                // Of several errors the one that was made first is passed on.
                Err(any) => {
                    let first = x.iter().filter(|v| tape.node(v.id()).value.tensor().is_err()).min_by_key(|v| v.id());
                    Err(first.and_then(|v| tape.node(v.id()).value.tensor().err()).unwrap_or(any))
                }
            };
            (value.into(), needs_gradient)
        };
        let inputs: Few<u32> = x.iter().map(|v| v.id()).collect();
        self.push(Kind::Op(op), &inputs, value, needs_gradient, at)
    }

    #[inline]
    fn push(&self, kind: Kind, inputs: &[u32], value: Value<T>, needs_gradient: bool, at: &'static Location<'static>) -> u32 {
        let mut tape = self.tape.borrow_mut();
        let (id, first_edge) = (index(tape.nodes.len()), index(tape.edges.len()));
        tape.edges.extend_from_slice(inputs);
        tape.nodes.push(Node { kind, value, at, first_edge, needs_gradient, retained: false });
        id
    }

    pub(crate) fn name(&self, id: u32, name: &str) {
        self.tape.borrow_mut().names.insert(id, name.into());
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
fn index(n: usize) -> u32 {
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
