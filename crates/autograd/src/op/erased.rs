//! Operations behind one object-safe face, so that a tape can hold any of them and every kernel is compiled where its operation is.

use std::{fmt::Debug, panic::Location, sync::Arc};

use smallvec::SmallVec;

use super::{Linearity, Op, Sink, Value, Variadic};
use crate::{
    backward,
    elementary::{Derivation, Side},
    error::{Error, ErrorKind},
    forward,
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// An operation in one element type. Nobody implements it by hand: [`Op`] and [`Variadic`] do.
pub trait Typed<T: Real> {
    #[doc(hidden)]
    fn forward(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error>;
    #[doc(hidden)]
    fn vjp(&self, x: &[&Value<T>], y: &Value<T>, g: &Value<T>, out: &mut dyn Sink<T, Value<T>>);
    #[doc(hidden)]
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &Var<'g, T>, g: &Var<'g, T>, out: &mut dyn Sink<T, Var<'g, T>>);
    #[doc(hidden)]
    fn jvp_recorded<'g>(&self, _x: &[&Var<'g, T>], _y: &Var<'g, T>, _dx: &[Option<&Var<'g, T>>]) -> Option<Var<'g, T>> {
        None
    }
}

/// An operation of any kind.
pub(crate) trait Erased: Typed<f32> + Typed<f64> + Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn linearity(&self) -> Linearity;
    fn derivation(&self) -> Option<Derivation>;
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side));
}

#[derive(Debug)]
struct Fixed<O, const N: usize>(O);

/// The inputs as an array, or the error that there are not `N`.
#[inline]
fn exactly<'a, X: ?Sized, const N: usize>(x: &[&'a X]) -> Result<[&'a X; N], Error> {
    x.try_into().map_err(|_| {
        ErrorKind::Parameter { name: "number of inputs", value: x.len().to_string(), why: "the operation takes another number" }.into()
    })
}

impl<T: Real, O: Op<N>, const N: usize> Typed<T> for Fixed<O, N> {
    fn forward(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        self.0.forward(exactly(x)?)
    }
    fn vjp(&self, x: &[&Value<T>], y: &Value<T>, g: &Value<T>, out: &mut dyn Sink<T, Value<T>>) {
        // A wrong number of inputs has failed in `forward` already.
        if let Ok(x) = exactly(x) {
            self.0.vjp(x, y, g, out);
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &Var<'g, T>, g: &Var<'g, T>, out: &mut dyn Sink<T, Var<'g, T>>) {
        if let Ok(x) = exactly(x) {
            self.0.vjp(x, y, g, out);
        }
    }
    fn jvp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &Var<'g, T>, dx: &[Option<&Var<'g, T>>]) -> Option<Var<'g, T>> {
        self.0.jvp(exactly(x).ok()?, y, dx.try_into().ok()?)
    }
}

impl<O: Op<N>, const N: usize> Erased for Fixed<O, N> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn linearity(&self) -> Linearity {
        self.0.linearity()
    }
    fn derivation(&self) -> Option<Derivation> {
        self.0.derivation()
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        if let Ok(x) = exactly(x) {
            self.0.sides(x, see);
        }
    }
}

#[derive(Debug)]
struct Any<O>(O);

impl<T: Real, O: Variadic> Typed<T> for Any<O> {
    fn forward(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        self.0.forward(x)
    }
    fn vjp(&self, x: &[&Value<T>], y: &Value<T>, g: &Value<T>, out: &mut dyn Sink<T, Value<T>>) {
        self.0.vjp(x, y, g, out);
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &Var<'g, T>, g: &Var<'g, T>, out: &mut dyn Sink<T, Var<'g, T>>) {
        self.0.vjp(x, y, g, out);
    }
}

impl<O: Variadic> Erased for Any<O> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn linearity(&self) -> Linearity {
        self.0.linearity()
    }
    fn derivation(&self) -> Option<Derivation> {
        None
    }
    fn sides(&self, _x: &[&Tensor<f64>], _see: &mut dyn FnMut(Side)) {}
}

/// An operation that can be applied to anything: a cheap handle to an [`Op`] or a [`Variadic`].
#[derive(Debug, Clone)]
pub struct Handle(Kept);

#[derive(Debug, Clone)]
enum Kept {
    /// An operation without parameters needs no memory.
    Static(&'static dyn Erased),
    Shared(Arc<dyn Erased>),
}

impl Handle {
    /// A handle to an operation with `N` inputs.
    pub fn new<O: Op<N>, const N: usize>(op: O) -> Handle {
        Handle::keep(Fixed::<O, N>(op))
    }

    /// A handle to an operation with any number of inputs.
    pub fn variadic<O: Variadic>(op: O) -> Handle {
        Handle::keep(Any(op))
    }

    fn keep<E: Erased + 'static>(op: E) -> Handle {
        if size_of::<E>() == 0 && !std::mem::needs_drop::<E>() {
            // Nothing is leaked: a box of no bytes is no allocation.
            Handle(Kept::Static(Box::leak(Box::new(op))))
        } else {
            Handle(Kept::Shared(Arc::new(op)))
        }
    }

    #[inline]
    pub(crate) fn op(&self) -> &dyn Erased {
        match &self.0 {
            Kept::Static(op) => *op,
            Kept::Shared(op) => &**op,
        }
    }

    /// The name of the operation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.op().name()
    }

    /// The formula and its derivatives as text, for pointwise operations.
    #[must_use]
    pub fn derivation(&self) -> Option<Derivation> {
        self.op().derivation()
    }

    /// The value on tensors, without a graph.
    ///
    /// # Errors
    /// What the operation rejects, with its name, all shapes and the line of the caller.
    #[track_caller]
    pub fn call<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        T::forward(self, x, Some(Location::caller()))
    }
}

/// The engine in one element type, compiled once: everything that calls a kernel is reached through these functions, so that a
/// program that uses the library does not compile the kernels again.
#[doc(hidden)]
#[allow(private_interfaces)]
pub trait Engine: Sized {
    fn typed(op: &dyn Erased) -> &dyn Typed<Self>
    where
        Self: Real;
    fn forward(op: &Handle, x: &[&Tensor<Self>], at: Option<&'static Location<'static>>) -> Result<Tensor<Self>, Error>
    where
        Self: Real;
    fn push(graph: &Graph<Self>, op: Handle, x: &[Var<'_, Self>], at: &'static Location<'static>) -> u32
    where
        Self: Real;
    fn backward(
        root: Var<'_, Self>,
        cotangent: Option<&Tensor<Self>>,
        at: &'static Location<'static>,
    ) -> Result<backward::Gradients<Self>, Error>
    where
        Self: Real;
    fn grad<'g>(graph: &'g Graph<Self>, root: Var<'g, Self>, wrt: &[Var<'g, Self>], at: &'static Location<'static>) -> Vec<Var<'g, Self>>
    where
        Self: Real;
    fn jvp<'g>(root: Var<'g, Self>, wrt: &[Var<'g, Self>], dx: &[Var<'g, Self>], at: &'static Location<'static>) -> Var<'g, Self>
    where
        Self: Real;
}

macro_rules! engine {
    ($($t:ident)*) => { $(
        #[allow(private_interfaces)]
        impl Engine for $t {
            fn typed(op: &dyn Erased) -> &dyn Typed<$t> {
                op
            }
            fn forward(op: &Handle, x: &[&Tensor<$t>], at: Option<&'static Location<'static>>) -> Result<Tensor<$t>, Error> {
                let shapes = || x.iter().map(|t| *t.shape()).collect::<Vec<Shape>>();
                <$t>::typed(op.op()).forward(x).map_err(|error| error.met_by(op.name(), shapes(), at))
            }
            fn push(graph: &Graph<$t>, op: Handle, x: &[Var<'_, $t>], at: &'static Location<'static>) -> u32 {
                graph.record(op, x, at)
            }
            fn backward(root: Var<'_, $t>, cotangent: Option<&Tensor<$t>>, at: &'static Location<'static>) -> Result<backward::Gradients<$t>, Error> {
                backward::backward(root, cotangent, at)
            }
            fn grad<'g>(graph: &'g Graph<$t>, root: Var<'g, $t>, wrt: &[Var<'g, $t>], at: &'static Location<'static>) -> Vec<Var<'g, $t>> {
                backward::grad(graph, root, wrt, at)
            }
            fn jvp<'g>(root: Var<'g, $t>, wrt: &[Var<'g, $t>], dx: &[Var<'g, $t>], at: &'static Location<'static>) -> Var<'g, $t> {
                forward::jvp(root, wrt, dx, at)
            }
        }
    )* };
}
engine!(f32 f64);

/// The inputs of one operation, on the stack if they are few.
pub(crate) type Few<X> = SmallVec<[X; 4]>;
