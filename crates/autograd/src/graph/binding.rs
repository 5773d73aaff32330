//! Parameters that live outside the graph: how they are bound to it, and what may stand for them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    panic::Location,
    sync::atomic::{AtomicU64, Ordering},
};

use super::Graph;
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// The identity of a leaf that outlives graphs, such as a parameter of a model.
///
/// A clone is the same identity.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LeafId(u64);

impl LeafId {
    /// A new identity.
    #[must_use]
    pub fn new() -> LeafId {
        LeafId(unique())
    }
}

impl Default for LeafId {
    fn default() -> Self {
        LeafId::new()
    }
}

/// A number that is given once.
pub(super) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Hashes one number.
#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, n: u64) {
        // The golden ratio times 2⁶⁴: neighbours are spread evenly (D. Knuth, TAOCP 3, 6.4).
        self.0 = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

/// The nodes of parameters. Gradients share them with their graph, which changes a copy if they still do.
pub(crate) type Bindings = HashMap<LeafId, Bound, BuildHasherDefault<Mixed>>;

/// The node of a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) node: u32,
    /// Whether the node was chosen by the caller, and so need not hold the value of the parameter.
    chosen: bool,
}

impl<T: Real> Graph<T> {
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
                self.tape.borrow_mut().bind(id, Bound { node: leaf.id(), chosen: false });
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
        self.tape.borrow_mut().bind(id, Bound { node: var.id(), chosen: true });
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
                    tape.rebind(id, bound);
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
}
