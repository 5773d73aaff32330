//! Variables: the handles that formulas are written with.

use std::{
    fmt,
    ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign},
    panic::Location,
    sync::Arc,
};

use crate::{
    backward::Gradients,
    elementary::{Derivation, Elementary},
    error::Error,
    graph::{Graph, Kind, Tape},
    op::{Handle, Value},
    real::Real,
    shape::Shape,
    tensor::Tensor,
    trace::{self, Trace},
};

/// A node of a [`Graph`], to be computed with: formulas read like mathematics, `(x * w + b).tanh()`.
///
/// A variable is a small `Copy` handle. Operations on it never panic: one that cannot be done puts its error on the tape, and
/// [`value`](Var::value), [`item`](Var::item), [`backward`](Var::backward) and the like return it.
pub struct Var<'g, T: Real> {
    graph: &'g Graph<T>,
    id: u32,
    /// The number of scopes that had ended when it was made.
    epoch: u32,
}

// Not derived: that would ask for `T: Clone` and `T: Copy`.
#[allow(clippy::expl_impl_clone_on_copy)]
impl<T: Real> Clone for Var<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Real> Copy for Var<'_, T> {}

impl<'g, T: Real> Var<'g, T> {
    #[inline]
    pub(crate) fn new(graph: &'g Graph<T>, id: u32) -> Self {
        Var { graph, id, epoch: graph.epoch.get() }
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.id
    }

    #[inline]
    pub(crate) fn epoch(self) -> u32 {
        self.epoch
    }

    /// Its node on the tape, seen by `f`, unless that was lost at the end of a scope.
    fn look<R>(self, f: impl FnOnce(&Tape<T>) -> R) -> Option<R> {
        self.graph.has(self).then(|| f(&self.graph.tape.borrow()))
    }

    /// The graph it belongs to.
    #[inline]
    #[must_use]
    pub fn graph(self) -> &'g Graph<T> {
        self.graph
    }

    /// The value.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to it.
    pub fn value(self) -> Result<Tensor<T>, Error> {
        self.with_value(Clone::clone)
    }

    /// Whether there is a value, and if not, why.
    pub(crate) fn soundness(self) -> Result<(), Error> {
        self.with_value(|_| ())
    }

    fn with_value<R>(self, f: impl FnOnce(&Tensor<T>) -> R) -> Result<R, Error> {
        if let Some(error) = self.graph.lost(self) {
            return Err(error);
        }
        let tape = self.graph.tape.borrow();
        let node = tape.node(self.id);
        match &node.value {
            Value::Tensor(tensor) => Ok(f(tensor)),
            other => other.tensor().map(f).map_err(|error| error.at(node.at)),
        }
    }

    /// The value as a number.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to it; [`ErrorKind::NotScalar`](crate::ErrorKind::NotScalar) unless there is exactly one element.
    #[track_caller]
    pub fn item(self) -> Result<T, Error> {
        self.value()?.item()
    }

    /// The lengths of the axes.
    ///
    /// It is a `Result` because a variable that holds an error has no shape; see [`Graph::try_var`].
    ///
    /// # Errors
    /// The first thing that went wrong on the way to it.
    pub fn shape(self) -> Result<Shape, Error> {
        self.with_value(|t| *t.shape())
    }

    /// The same variable under a name, which is shown in explanations.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        if self.graph.has(self) {
            self.graph.name(self.id, name);
        }
        self
    }

    /// The name given to it.
    #[must_use]
    pub fn name(self) -> Option<Arc<str>> {
        self.look(|tape| tape.name(self.id).cloned()).flatten()
    }

    /// The operation that made it; `None` for leaves.
    #[must_use]
    pub fn op(self) -> Option<Handle> {
        let handle = |tape: &Tape<T>| match &tape.node(tape.primary(self.id).0).kind {
            Kind::Op(handle) => Some(handle.clone()),
            _ => None,
        };
        self.look(handle).flatten()
    }

    /// Which output it is of the operation that made it, from 0.
    #[must_use]
    pub fn output(self) -> usize {
        self.look(|tape| tape.primary(self.id).1 as usize).unwrap_or_default()
    }

    /// What the operation that made it was applied to, in order; nothing for leaves. That of a detached value is what it was detached from. With [`Graph::vars`], whoever wants to can walk the
    /// graph.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(3.0), g.variable(2.0));
    /// let y = a / b;
    /// assert_eq!(y.inputs().iter().map(|x| x.item()).collect::<Result<Vec<_>, _>>()?, [3.0, 2.0]);
    /// assert!(a.inputs().is_empty());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn inputs(self) -> Vec<Self> {
        let inputs = |tape: &Tape<T>| tape.inputs(tape.primary(self.id).0).iter().map(|&x| Var::new(self.graph, x)).collect();
        self.look(inputs).unwrap_or_default()
    }

    /// Its place among [`Graph::vars`]: the number of nodes made before it.
    #[must_use]
    pub fn position(self) -> usize {
        self.id as usize
    }

    /// The formula of the pointwise operation that made it, with its derivatives; `None` for other operations and for leaves.
    ///
    /// ```
    /// # use autograd::{Graph, fused};
    /// let g = Graph::<f64>::new();
    /// let y = fused!(|x, a| (a * x).tanh())(g.variable(0.5), g.variable(2.0));
    /// assert!(y.derivation().unwrap().to_string().starts_with("y = tanh(a·x)\n∂y/∂x = (1 − tanh(a·x)²)·a"));
    /// ```
    #[must_use]
    pub fn derivation(self) -> Option<Derivation> {
        self.op()?.derivation()
    }

    /// The line of source that made it; that of the scope, if it was lost at the end of one.
    #[must_use]
    pub fn location(self) -> &'static Location<'static> {
        let tape = self.graph.tape.borrow();
        tape.lost(self.id, self.epoch).unwrap_or_else(|| tape.node(self.id).at)
    }

    /// The same value as a constant: no gradient goes further back from here, along this way. Other uses of the variable are as before.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(3.0);
    /// let y = x * x.detach(); // the second factor counts as the number 3
    /// assert_eq!(y.backward()?.wrt(x)?.item()?, 3.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn detach(self) -> Self {
        self.graph.detached(self, Location::caller())
    }

    /// [`detach`](Var::detach) by the name that JAX and TensorFlow give it.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(3.0);
    /// assert_eq!((x * x.stop_gradient()).backward()?.wrt(x)?.item()?, 3.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.graph.detached(self, Location::caller())
    }

    /// Keeps the gradient of this variable in [`Gradients`] although it is no leaf.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let h = g.variable(2.0).square().retain_grad();
    /// assert_eq!((h * 3.0).backward()?.wrt(h)?.item()?, 3.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[allow(clippy::return_self_not_must_use, clippy::must_use_candidate)] // it is often called for its effect alone
    pub fn retain_grad(self) -> Self {
        if self.graph.has(self) {
            self.graph.tape.borrow_mut().nodes[self.id as usize].retained = true;
        }
        self
    }

    /// The gradients of this scalar by all variables it depends on.
    ///
    /// One loop over the tape, from here backwards. The graph is not changed: it may be called again, with the same result.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to this value; [`ErrorKind::NotScalar`](crate::ErrorKind::NotScalar).
    #[track_caller]
    pub fn backward(self) -> Result<Gradients<T>, Error> {
        let mut gradients = Gradients::empty(self.graph);
        T::backward(self.graph, &[self.into()], None, Location::caller(), &mut gradients)?;
        Ok(gradients)
    }

    /// The gradients of Σ cotangent·value, for a value of any shape.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// assert_eq!(x.square().backward_with(&tensor![1.0, 10.0])?.wrt(x)?, &tensor![2.0, 40.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Var::backward`]; [`ErrorKind::Cotangent`](crate::ErrorKind::Cotangent) when the cotangent has another shape.
    #[track_caller]
    pub fn backward_with(self, cotangent: &Tensor<T>) -> Result<Gradients<T>, Error> {
        let mut gradients = Gradients::empty(self.graph);
        T::backward(self.graph, &[(self, cotangent).into()], None, Location::caller(), &mut gradients)?;
        Ok(gradients)
    }

    /// Every step of the forward and of the backward pass that lead to the gradients of this scalar, as data; see [`trace`](crate::trace).
    ///
    /// It runs the backward pass, and looks on. The graph is not changed.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(3.0).named("a");
    /// let trace = (a + a).trace()?;
    /// assert_eq!(trace.node("a").unwrap().contributions, 2);
    /// assert_eq!(trace.node("a").unwrap().gradient.as_ref().unwrap().item(), Some(2.0));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Var::backward`].
    #[track_caller]
    pub fn trace(self) -> Result<Trace, Error> {
        T::trace(self, &trace::Options::default(), Location::caller())
    }

    /// As [`Var::trace`], with other limits on what is written down.
    ///
    /// # Errors
    /// As [`Var::backward`].
    #[track_caller]
    pub fn trace_with(self, options: &trace::Options) -> Result<Trace, Error> {
        T::trace(self, options, Location::caller())
    }

    /// As [`Var::backward`], into the memory of gradients that are not needed any more: with [`Graph::replay`], a way to take many gradients
    /// without allocating.
    ///
    /// # Errors
    /// As [`Var::backward`]; what was in `gradients` is gone then.
    ///
    /// ```
    /// use autograd::{Gradients, Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(1.0);
    /// let y = x.sin();
    /// let mut grads = Gradients::empty(&g);
    /// for step in 0..3 {
    ///     let at = f64::from(step);
    ///     g.replay(&[(x, &at.into())])?;
    ///     y.backward_into(&mut grads)?;
    ///     assert_eq!(grads.wrt(x)?.item()?, at.cos());
    /// }
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn backward_into(self, gradients: &mut Gradients<T>) -> Result<(), Error> {
        T::backward(self.graph, &[self.into()], None, Location::caller(), gradients)
    }
}

macro_rules! operators {
    ($($Trait:ident $Assign:ident $assign:ident $name:ident $with_literal:ident |$x:ident, $c:ident| $literal_first:expr;)*) => { $(
        impl<T: Real> $Trait for Var<'_, T> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $name(self, other: Self) -> Self {
                Elementary::$name(self, other)
            }
        }
        impl<T: Real> $Trait<f64> for Var<'_, T> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $name(self, c: f64) -> Self {
                self.$with_literal(c)
            }
        }
        /// The variable stands for the result from here on; what it stood for is not changed.
        impl<T: Real> $Assign for Var<'_, T> {
            #[inline]
            #[track_caller]
            fn $assign(&mut self, other: Self) {
                *self = Elementary::$name(*self, other);
            }
        }
        impl<'g, T: Real> $Trait<Var<'g, T>> for f64 {
            type Output = Var<'g, T>;
            #[inline]
            #[track_caller]
            fn $name(self, $x: Var<'g, T>) -> Var<'g, T> {
                let $c = self;
                $literal_first
            }
        }
    )* };
}
operators! {
    Add AddAssign add_assign add add_lit |x, c| x.add_lit(c);
    Sub SubAssign sub_assign sub sub_lit |x, c| x.rsub_lit(c);
    Mul MulAssign mul_assign mul mul_lit |x, c| x.mul_lit(c);
    Div DivAssign div_assign div div_lit |x, c| x.rdiv_lit(c);
}

impl<T: Real> Neg for Var<'_, T> {
    type Output = Self;
    #[inline]
    #[track_caller]
    fn neg(self) -> Self {
        Elementary::neg(self)
    }
}

/// The operation, and the value if it is short.
impl<T: Real> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tape = self.graph.tape.borrow();
        if let Some(scope) = tape.lost(self.id, self.epoch) {
            return write!(f, "Var #{} of the scope at {scope}, which is over", self.id);
        }
        let node = tape.node(self.id);
        let (kind, _) = tape.described(self.id);
        write!(f, "Var #{} ", self.id)?;
        if let Some(name) = tape.name(self.id) {
            write!(f, "{name:?} ")?;
        }
        write!(f, "{kind} = ")?;
        match node.value.tensor() {
            Ok(tensor) => write!(f, "{tensor:?}"),
            Err(error) => write!(f, "error: {error}"),
        }
    }
}
