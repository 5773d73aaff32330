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
    error::{Error, ErrorKind},
    graph::{Graph, Kind},
    op::Handle,
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// A node of a [`Graph`], to be computed with: formulas read like mathematics, `(x * w + b).tanh()`.
///
/// A variable is a small `Copy` handle. Operations on it never panic: one that cannot be done puts its error on the tape, and
/// [`value`](Var::value), [`item`](Var::item), [`backward`](Var::backward) and the like return it.
pub struct Var<'g, T: Real> {
    graph: &'g Graph<T>,
    id: u32,
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
        Var { graph, id }
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.id
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
        self.graph.tape.borrow().node(self.id).value.tensor().cloned()
    }

    /// The value as a number.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to it; [`ErrorKind::NotScalar`] unless there is exactly one element.
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
        self.graph.tape.borrow().node(self.id).value.tensor().map(|t| *t.shape())
    }

    /// The same variable under a name, which is shown in explanations.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.graph.name(self.id, name);
        self
    }

    /// The name given to it.
    #[must_use]
    pub fn name(self) -> Option<Arc<str>> {
        self.graph.tape.borrow().name(self.id).cloned()
    }

    /// The operation that made it; `None` for leaves.
    #[must_use]
    pub fn op(self) -> Option<Handle> {
        match &self.graph.tape.borrow().node(self.id).kind {
            Kind::Op(handle) => Some(handle.clone()),
            Kind::Variable | Kind::Constant | Kind::Detached => None,
        }
    }

    /// What the operation that made it was applied to, in order; nothing for leaves. With [`Graph::vars`], whoever wants to can walk the
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
        self.graph.tape.borrow().inputs(self.id).iter().map(|&x| Var::new(self.graph, x)).collect()
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

    /// The line of source that made it.
    #[must_use]
    pub fn location(self) -> &'static Location<'static> {
        self.graph.tape.borrow().node(self.id).at
    }

    /// The same value as a constant: no gradient goes further back from here.
    #[must_use]
    #[track_caller]
    pub fn detach(self) -> Self {
        let value = self.graph.tape.borrow().node(self.id).value.clone();
        self.graph.detached(value, Location::caller())
    }

    /// Keeps the gradient of this variable in [`Gradients`] although it is no leaf.
    #[must_use]
    pub fn retain_grad(self) -> Self {
        self.graph.tape.borrow_mut().nodes[self.id as usize].retained = true;
        self
    }

    /// The gradients of this scalar by all variables it depends on.
    ///
    /// One loop over the tape, from here backwards. The graph is not changed: it may be called again, with the same result.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to this value; [`ErrorKind::NotScalar`].
    #[track_caller]
    pub fn backward(self) -> Result<Gradients<T>, Error> {
        T::backward(self, None, Location::caller())
    }

    /// The gradients of Σ cotangent·value, for a value of any shape.
    ///
    /// # Errors
    /// As [`Var::backward`]; [`ErrorKind::Mismatch`] when the cotangent has another shape.
    #[track_caller]
    pub fn backward_with(self, cotangent: &Tensor<T>) -> Result<Gradients<T>, Error> {
        T::backward(self, Some(cotangent), Location::caller())
    }

    /// Why [`Gradients`] hold nothing for this variable.
    pub(crate) fn why_no_gradient(self) -> String {
        let tape = self.graph.tape.borrow();
        let node = tape.node(self.id);
        match &node.kind {
            Kind::Constant => format!("it is a constant, made at {}", node.at),
            Kind::Detached => format!("it was detached at {}", node.at),
            Kind::Op(op) if !node.needs_gradient => format!("it depends on constants alone ({} at {})", op.name(), node.at),
            Kind::Op(op) if !node.retained => format!(
                "it is an intermediate value ({} at {}), and those are kept only if retain_grad() was called before backward()",
                op.name(),
                node.at
            ),
            Kind::Variable | Kind::Op(_) => format!("the value that backward() started from does not depend on it (made at {})", node.at),
        }
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
        let node = tape.node(self.id);
        let kind = match &node.kind {
            Kind::Variable => "variable",
            Kind::Constant => "constant",
            Kind::Detached => "detached",
            Kind::Op(op) => op.name(),
        };
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

/// What is wrong when a variable belongs to another graph than expected.
pub(crate) fn other_graph<T: Real>(here: Var<'_, T>, stranger: Var<'_, T>) -> Error {
    ErrorKind::OtherGraph { here: here.location(), there: stranger.location() }.into()
}
