//! Operations behind one object-safe face, so that a tape can hold any of them and every kernel is compiled where its operation is.

use std::{
    any,
    borrow::{Borrow, Cow},
    fmt::Debug,
    marker::PhantomData,
    panic::Location,
    sync::Arc,
};

use smallvec::SmallVec;

use super::{Linearity, MAX_ONES, MultiOp, Op, Sink, Value, Variadic, pointwise::Pointwise};
use crate::{
    backward::{self, Gradients, Root, Tangent},
    elementary::{Derivation, Side, table},
    error::{Error, ErrorKind},
    forward,
    graph::Graph,
    guard::Guard,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::reduce},
    trace::{self, Options, Trace},
    var::Var,
};

/// An operation in one element type. Nobody implements it by hand: [`Op`], [`Variadic`], [`MultiOp`] and the first-order forms do.
///
/// Outputs and their incoming gradients are lists, of one entry but for a [`MultiOp`]; no gradient stands for zeros.
pub trait Typed<T: Real> {
    /// The value. Where a gradient may be asked for (`is_kept`), what that will need again is left with the inputs.
    #[doc(hidden)]
    fn forward(&self, x: &[&Tensor<T>], is_kept: bool) -> Result<Tensor<T>, Error>;
    /// All outputs, of an operation that has several.
    #[doc(hidden)]
    fn forward_all(&self, x: &[&Tensor<T>]) -> Result<Few<Tensor<T>>, Error> {
        self.forward(x, false).map(|y| Few::from_iter([y]))
    }
    #[doc(hidden)]
    fn vjp(&self, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>);
    #[doc(hidden)]
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>);
    /// Adds the value to `sum`, which has its shape, where that is shorter than to add it afterwards; whether it has.
    #[doc(hidden)]
    fn forward_onto(&self, _x: &[&Tensor<T>], _sum: &mut [T]) -> bool {
        false
    }
    /// The value on single numbers, if there is a shorter way to it.
    #[doc(hidden)]
    fn forward_one(&self, _x: &[T]) -> Option<T> {
        None
    }
    /// The gradients on single numbers, if there is a shorter way to them. The inputs are read where they stand: from a list of them that was just
    /// written one by one, two would be read at once, and waited for.
    #[doc(hidden)]
    fn vjp_one(&self, _x: &[&T], _y: T, _g: T, _d: &mut [T; MAX_ONES]) -> Option<u8> {
        None
    }
    /// The forward derivatives of all outputs, if the operation states them.
    #[doc(hidden)]
    fn jvp(&self, _x: &[&Value<T>], _y: &[&Value<T>], _dx: &[Option<&Value<T>>]) -> Option<Few<Value<T>>> {
        None
    }
    /// The forward derivatives of the only output along several directions at once; see [`Op::jvp_each`].
    #[doc(hidden)]
    fn jvp_each(&self, _x: &[&Tensor<T>], _y: &Tensor<T>, _dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        None
    }
    #[doc(hidden)]
    fn jvp_recorded<'g>(&self, _x: &[&Var<'g, T>], _y: &[&Var<'g, T>], _dx: &[Option<&Var<'g, T>>]) -> Option<Few<Var<'g, T>>> {
        None
    }
}

/// An operation of any kind.
pub(crate) trait Erased: Typed<f32> + Typed<f64> + Debug + Send + Sync {
    fn name(&self) -> &'static str;
    /// The number of outputs.
    fn outputs(&self) -> usize {
        1
    }
    fn linearity(&self) -> Linearity;
    fn derivation(&self) -> Option<Derivation> {
        None
    }
    /// How an application of it is written, with `{0}`, … for the inputs.
    fn notation(&self) -> Option<Cow<'static, str>> {
        None
    }
    fn sides(&self, _x: &[&Tensor<f64>], _see: &mut dyn FnMut(Side)) {}
    /// Whether it comes from outside the library, so that its results are looked at more closely.
    fn is_foreign(&self) -> bool {
        false
    }
    /// Whether it is known to be pointwise.
    fn is_pointwise(&self) -> bool {
        false
    }
    /// Whether `vjp` takes an incoming gradient that still has to be stretched to the shape of the value.
    fn takes_stretched(&self) -> bool {
        false
    }
    /// Whether its gradient cannot be differentiated again.
    fn is_first_order(&self) -> bool {
        false
    }
}

/// An [`Op`], owned or borrowed. What is only a flag is in the type, so that an operation without parameters has no size.
#[derive(Debug, Clone)]
pub(crate) struct Fixed<O, B, const N: usize, const FOREIGN: bool> {
    op: B,
    of: PhantomData<fn() -> O>,
}

/// Exactly `N` of something, or the error that there are not so many.
#[inline]
pub(crate) fn exactly<X: Copy, const N: usize>(x: &[X]) -> Result<[X; N], Error> {
    x.try_into().map_err(|_| ErrorKind::InputCount { expected: N, found: x.len() }.into())
}

/// The only output, or the error that there are several.
pub(super) fn only<T: Real>(mut outputs: Few<Tensor<T>>) -> Result<Tensor<T>, Error> {
    let count = outputs.len();
    match outputs.pop() {
        Some(y) if count == 1 => Ok(y),
        _ => Err(ErrorKind::OutputCount { outputs: count }.into()),
    }
}

impl<O: Op<N>, B: Borrow<O>, const N: usize, const FOREIGN: bool> Fixed<O, B, N, FOREIGN> {
    pub(crate) const fn new(op: B) -> Self {
        Fixed { op, of: PhantomData }
    }
}

impl<T: Real, O: Op<N>, B: Borrow<O>, const N: usize, const FOREIGN: bool> Typed<T> for Fixed<O, B, N, FOREIGN> {
    fn forward(&self, x: &[&Tensor<T>], is_kept: bool) -> Result<Tensor<T>, Error> {
        let (op, x) = (self.op.borrow(), exactly(x)?);
        if is_kept {
            op.prepare(x);
        }
        op.forward(x)
    }
    fn vjp(&self, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        // A wrong number of inputs has failed in `forward` already.
        if let (Ok(x), [y], [Some(g)]) = (exactly(x), y, g) {
            self.op.borrow().vjp(x, y, g, out);
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let (Ok(x), [y], [Some(g)]) = (exactly(x), y, g) {
            self.op.borrow().vjp(x, y, g, out);
        }
    }
    fn forward_onto(&self, x: &[&Tensor<T>], sum: &mut [T]) -> bool {
        exactly(x).is_ok_and(|x| self.op.borrow().forward_onto(x, sum))
    }
    #[inline]
    fn forward_one(&self, x: &[T]) -> Option<T> {
        self.op.borrow().forward_one(x.try_into().ok()?)
    }
    #[inline]
    fn vjp_one(&self, x: &[&T], y: T, g: T, d: &mut [T; MAX_ONES]) -> Option<u8> {
        if FOREIGN {
            return None; // its gradients are looked at, which the long way does
        }
        let x: [&T; N] = x.try_into().ok()?;
        self.op.borrow().vjp_one(x.map(|x| *x), y, g, d)
    }
    fn jvp(&self, x: &[&Value<T>], y: &[&Value<T>], dx: &[Option<&Value<T>>]) -> Option<Few<Value<T>>> {
        Some(Few::from_iter([self.op.borrow().jvp(exactly(x).ok()?, *y.first()?, exactly(dx).ok()?)?]))
    }
    fn jvp_each(&self, x: &[&Tensor<T>], y: &Tensor<T>, dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        if FOREIGN {
            return None; // its tangents are looked at, one by one
        }
        self.op.borrow().jvp_each(exactly(x).ok()?, y, exactly(dx).ok()?)
    }
    fn jvp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], dx: &[Option<&Var<'g, T>>]) -> Option<Few<Var<'g, T>>> {
        Some(Few::from_iter([self.op.borrow().jvp(exactly(x).ok()?, *y.first()?, exactly(dx).ok()?)?]))
    }
}

impl<O: Op<N>, B: Borrow<O> + Debug + Send + Sync, const N: usize, const FOREIGN: bool> Erased for Fixed<O, B, N, FOREIGN> {
    fn name(&self) -> &'static str {
        self.op.borrow().name()
    }
    fn linearity(&self) -> Linearity {
        self.op.borrow().linearity()
    }
    fn derivation(&self) -> Option<Derivation> {
        self.op.borrow().derivation()
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        self.op.borrow().notation()
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        if let Ok(x) = exactly(x) {
            self.op.borrow().sides(x, see);
        }
    }
    fn is_foreign(&self) -> bool {
        FOREIGN
    }
    fn is_pointwise(&self) -> bool {
        !FOREIGN && self.op.borrow().is_pointwise()
    }
    fn takes_stretched(&self) -> bool {
        !FOREIGN && self.op.borrow().takes_stretched()
    }
}

/// A [`Variadic`].
#[derive(Debug)]
struct Any<O, const FOREIGN: bool>(O);

impl<T: Real, O: Variadic, const FOREIGN: bool> Typed<T> for Any<O, FOREIGN> {
    fn forward(&self, x: &[&Tensor<T>], _is_kept: bool) -> Result<Tensor<T>, Error> {
        self.0.forward(x)
    }
    fn vjp(&self, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        if let ([y], [Some(g)]) = (y, g) {
            self.0.vjp(x, y, g, out);
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let ([y], [Some(g)]) = (y, g) {
            self.0.vjp(x, y, g, out);
        }
    }
    fn jvp_each(&self, x: &[&Tensor<T>], y: &Tensor<T>, dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        if FOREIGN { None } else { self.0.jvp_each(x, y, dx) }
    }
}

impl<O: Variadic, const FOREIGN: bool> Erased for Any<O, FOREIGN> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        self.0.notation()
    }
    fn linearity(&self) -> Linearity {
        self.0.linearity()
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        self.0.sides(x, see);
    }
    fn is_foreign(&self) -> bool {
        FOREIGN
    }
}

/// A [`MultiOp`], owned or borrowed.
#[derive(Debug)]
pub(crate) struct Several<O, B, const N: usize, const M: usize> {
    op: B,
    of: PhantomData<fn() -> O>,
}

impl<O: MultiOp<N, M>, B: Borrow<O>, const N: usize, const M: usize> Several<O, B, N, M> {
    pub(crate) fn new(op: B) -> Self {
        Several { op, of: PhantomData }
    }
}

impl<T: Real, O: MultiOp<N, M>, B: Borrow<O>, const N: usize, const M: usize> Typed<T> for Several<O, B, N, M> {
    fn forward(&self, x: &[&Tensor<T>], _is_kept: bool) -> Result<Tensor<T>, Error> {
        only(self.forward_all(x)?)
    }
    fn forward_all(&self, x: &[&Tensor<T>]) -> Result<Few<Tensor<T>>, Error> {
        Ok(self.op.borrow().forward(exactly(x)?)?.into_iter().collect())
    }
    fn vjp(&self, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        if let (Ok(x), Ok(y), Ok(g)) = (exactly(x), exactly(y), exactly(g)) {
            self.op.borrow().vjp(x, y, g, out);
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let (Ok(x), Ok(y), Ok(g)) = (exactly(x), exactly(y), exactly(g)) {
            self.op.borrow().vjp(x, y, g, out);
        }
    }
    fn jvp(&self, x: &[&Value<T>], y: &[&Value<T>], dx: &[Option<&Value<T>>]) -> Option<Few<Value<T>>> {
        Some(self.op.borrow().jvp(exactly(x).ok()?, exactly(y).ok()?, exactly(dx).ok()?)?.into_iter().collect())
    }
    fn jvp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], dx: &[Option<&Var<'g, T>>]) -> Option<Few<Var<'g, T>>> {
        Some(self.op.borrow().jvp(exactly(x).ok()?, exactly(y).ok()?, exactly(dx).ok()?)?.into_iter().collect())
    }
}

impl<O: MultiOp<N, M>, B: Borrow<O> + Debug + Send + Sync, const N: usize, const M: usize> Erased for Several<O, B, N, M> {
    fn name(&self) -> &'static str {
        self.op.borrow().name()
    }
    fn outputs(&self) -> usize {
        M
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        self.op.borrow().notation()
    }
    fn linearity(&self) -> Linearity {
        self.op.borrow().linearity()
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        if let Ok(x) = exactly(x) {
            self.op.borrow().sides(x, see);
        }
    }
    fn is_foreign(&self) -> bool {
        true
    }
}

/// An operation that can be applied to anything: a cheap handle to an [`Op`] or a [`Variadic`].
#[derive(Debug, Clone)]
pub struct Handle(Kept);

/// A function of one operand, with a number for a parameter.
type WithNumber<F> = Fixed<Pointwise<F>, Pointwise<F>, 1, false>;

macro_rules! kept {
    ($($Name:ident)*) => {
        #[derive(Debug, Clone)]
        enum Kept {
            /// An operation without parameters needs no memory.
            Static(&'static dyn Erased),
            Shared(Arc<dyn Erased>),
            $( $Name(WithNumber<table::$Name>), )*
        }

        impl Kept {
            /// The same operation in the handle itself, without memory of its own, if it is one of these.
            #[inline]
            fn within<E: 'static>(op: &E) -> Option<Kept> {
                let op: &dyn any::Any = op;
                $( if let Some(op) = op.downcast_ref::<WithNumber<table::$Name>>() {
                    return Some(Kept::$Name(op.clone()));
                } )*
                None
            }

            #[inline]
            fn op(&self) -> &dyn Erased {
                match self {
                    Kept::Static(op) => *op,
                    Kept::Shared(op) => &**op,
                    $( Kept::$Name(op) => op, )*
                }
            }
        }
    };
}
// Formulas are full of these, from `2.0 * x` on.
kept! { AddLit SubLit RsubLit MulLit DivLit RdivLit Powi Powf LeakyRelu Elu }

/// An operation without parameters, which needs no memory.
pub(super) fn parameterless<O: Op<N>, const N: usize>(op: O) -> &'static dyn Erased {
    const { assert!(size_of::<O>() == 0 && !std::mem::needs_drop::<O>(), "it has parameters") };
    forever(Fixed::<O, O, N, false>::new(op))
}

/// An operation of no size, for ever. Nothing is leaked: a box of no bytes is no allocation.
fn forever<E: Erased + 'static>(op: E) -> &'static dyn Erased {
    Box::leak(Box::new(op))
}

/// An operation on its way to a node.
pub(crate) trait Recorded: Sized {
    fn op(&self) -> &dyn Erased;
    fn into_handle(self) -> Handle;
    /// The node to which it was applied, in the code that was compiled once.
    fn push<T: Real>(self, graph: &Graph<T>, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32;
}

impl Recorded for Handle {
    #[inline]
    fn op(&self) -> &dyn Erased {
        self.op()
    }
    #[inline]
    fn into_handle(self) -> Handle {
        self
    }
    #[inline]
    fn push<T: Real>(self, graph: &Graph<T>, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        T::push(graph, self, x, at)
    }
}

/// It is handed on in registers; a handle would be written to memory and read again at once.
impl Recorded for &'static dyn Erased {
    #[inline]
    fn op(&self) -> &dyn Erased {
        *self
    }
    #[inline]
    fn into_handle(self) -> Handle {
        Handle::fixed(self)
    }
    #[inline]
    fn push<T: Real>(self, graph: &Graph<T>, x: &[Var<'_, T>], at: &'static Location<'static>) -> u32 {
        T::push_fixed(graph, self, x, at)
    }
}

impl From<&'static dyn Erased> for Handle {
    fn from(op: &'static dyn Erased) -> Handle {
        Handle::fixed(op)
    }
}

impl Handle {
    /// A handle to an operation with `N` inputs.
    pub fn new<O: Op<N>, const N: usize>(op: O) -> Handle {
        Handle::keep(Fixed::<O, O, N, false>::new(op))
    }

    /// A handle to an operation that was not made in this library, whose gradients are looked at for NaN.
    pub fn foreign<O: Op<N>, const N: usize>(op: O) -> Handle {
        Handle::keep(Fixed::<O, O, N, true>::new(op))
    }

    /// A handle to an operation with any number of inputs.
    pub fn variadic<O: Variadic>(op: O) -> Handle {
        Handle::keep(Any::<O, false>(op))
    }

    /// As [`Handle::foreign`], for an operation with any number of inputs.
    pub fn foreign_variadic<O: Variadic>(op: O) -> Handle {
        Handle::keep(Any::<O, true>(op))
    }

    /// A handle to an operation with several outputs.
    pub fn multi<O: MultiOp<N, M>, const N: usize, const M: usize>(op: O) -> Handle {
        const { assert!(M > 0, "an operation has at least one output") };
        Handle::keep(Several::<O, O, N, M>::new(op))
    }

    /// A handle to an operation that was made once for all.
    pub(crate) const fn fixed(op: &'static dyn Erased) -> Handle {
        Handle(Kept::Static(op))
    }

    pub(crate) fn keep<E: Erased + 'static>(op: E) -> Handle {
        if size_of::<E>() == 0 && !std::mem::needs_drop::<E>() {
            Handle::fixed(forever(op))
        } else if let Some(kept) = Kept::within(&op) {
            Handle(kept)
        } else {
            Handle(Kept::Shared(Arc::new(op)))
        }
    }

    #[inline]
    pub(crate) fn op(&self) -> &dyn Erased {
        self.0.op()
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

    /// The number of its outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.op().outputs()
    }

    /// The value on tensors, without a graph.
    ///
    /// # Errors
    /// What the operation rejects, with its name, all shapes and the line of the caller.
    #[track_caller]
    pub fn call<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        T::forward(self, x, false, Some(Location::caller()))
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
    fn forward(op: &Handle, x: &[&Tensor<Self>], is_kept: bool, at: Option<&'static Location<'static>>) -> Result<Tensor<Self>, Error>
    where
        Self: Real;
    fn forward_all(op: &Handle, x: &[&Tensor<Self>], at: &'static Location<'static>) -> Result<Few<Tensor<Self>>, Error>
    where
        Self: Real;
    fn push(graph: &Graph<Self>, op: Handle, x: &[Var<'_, Self>], at: &'static Location<'static>) -> u32
    where
        Self: Real;
    fn push_fixed(graph: &Graph<Self>, op: &'static dyn Erased, x: &[Var<'_, Self>], at: &'static Location<'static>) -> u32
    where
        Self: Real;
    fn push_all(graph: &Graph<Self>, op: Handle, x: &[Var<'_, Self>], at: &'static Location<'static>) -> u32
    where
        Self: Real;
    fn backward(
        graph: &Graph<Self>,
        roots: &[Root<'_, '_, Self>],
        guard: Option<Guard>,
        at: &'static Location<'static>,
        into: &mut Gradients<Self>,
    ) -> Result<(), Error>
    where
        Self: Real;
    fn grad<'g>(
        graph: &'g Graph<Self>,
        root: Var<'g, Self>,
        cotangent: Option<Var<'g, Self>>,
        wrt: &[Var<'g, Self>],
        at: &'static Location<'static>,
    ) -> Vec<Var<'g, Self>>
    where
        Self: Real;
    fn grad_tangents<'g>(
        graph: &'g Graph<Self>,
        root: Var<'g, Self>,
        wrt: &[Var<'g, Self>],
        at: &'static Location<'static>,
    ) -> Result<Vec<Tangent<'g, Self>>, Error>
    where
        Self: Real;
    fn jvp<'g>(root: Var<'g, Self>, wrt: &[Var<'g, Self>], dx: &[Var<'g, Self>], at: &'static Location<'static>) -> Var<'g, Self>
    where
        Self: Real;
    /// The forward derivatives of all outputs of one operation, along one direction, or along so many at once.
    fn pushed(
        op: &dyn Erased,
        x: &[&Value<Self>],
        y: &[&Value<Self>],
        dx: &[Option<&Tensor<Self>>],
        directions: Option<usize>,
        at: &'static Location<'static>,
    ) -> Result<Few<Option<Tensor<Self>>>, Error>
    where
        Self: Real;
    fn trace(root: Var<'_, Self>, options: &Options, at: &'static Location<'static>) -> Result<Trace, Error>
    where
        Self: Real;
    fn replay(graph: &Graph<Self>, leaves: &[(Var<'_, Self>, &Tensor<Self>)], at: &'static Location<'static>) -> Result<(), Error>
    where
        Self: Real;
    /// Whether none is infinite or NaN.
    fn all_finite(x: &[Self]) -> bool
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
            fn forward(
                op: &Handle,
                x: &[&Tensor<$t>],
                is_kept: bool,
                at: Option<&'static Location<'static>>,
            ) -> Result<Tensor<$t>, Error> {
                let shapes = || x.iter().map(|t| *t.shape()).collect::<Vec<Shape>>();
                <$t>::typed(op.op()).forward(x, is_kept).map_err(|error| error.met_by(op.name(), shapes(), at))
            }
            fn forward_all(op: &Handle, x: &[&Tensor<$t>], at: &'static Location<'static>) -> Result<Few<Tensor<$t>>, Error> {
                let shapes = || x.iter().map(|t| *t.shape()).collect::<Vec<Shape>>();
                <$t>::typed(op.op()).forward_all(x).map_err(|error| error.met_by(op.name(), shapes(), Some(at)))
            }
            fn push(graph: &Graph<$t>, op: Handle, x: &[Var<'_, $t>], at: &'static Location<'static>) -> u32 {
                graph.record(op, x, at)
            }
            fn push_fixed(graph: &Graph<$t>, op: &'static dyn Erased, x: &[Var<'_, $t>], at: &'static Location<'static>) -> u32 {
                graph.record(op, x, at)
            }
            fn push_all(graph: &Graph<$t>, op: Handle, x: &[Var<'_, $t>], at: &'static Location<'static>) -> u32 {
                graph.record_all(op, x, at)
            }
            fn backward(
                graph: &Graph<$t>,
                roots: &[Root<'_, '_, $t>],
                guard: Option<Guard>,
                at: &'static Location<'static>,
                into: &mut Gradients<$t>,
            ) -> Result<(), Error> {
                backward::backward(graph, roots, guard, at, into)
            }
            fn grad<'g>(
                graph: &'g Graph<$t>,
                root: Var<'g, $t>,
                cotangent: Option<Var<'g, $t>>,
                wrt: &[Var<'g, $t>],
                at: &'static Location<'static>,
            ) -> Vec<Var<'g, $t>> {
                backward::grad(graph, root, cotangent, wrt, at)
            }
            fn grad_tangents<'g>(
                graph: &'g Graph<$t>,
                root: Var<'g, $t>,
                wrt: &[Var<'g, $t>],
                at: &'static Location<'static>,
            ) -> Result<Vec<Tangent<'g, $t>>, Error> {
                backward::grad_tangents(graph, root, wrt, at)
            }
            fn jvp<'g>(root: Var<'g, $t>, wrt: &[Var<'g, $t>], dx: &[Var<'g, $t>], at: &'static Location<'static>) -> Var<'g, $t> {
                forward::jvp(root, wrt, dx, at)
            }
            fn pushed(
                op: &dyn Erased,
                x: &[&Value<$t>],
                y: &[&Value<$t>],
                dx: &[Option<&Tensor<$t>>],
                directions: Option<usize>,
                at: &'static Location<'static>,
            ) -> Result<Few<Option<Tensor<$t>>>, Error> {
                match directions {
                    None => forward::pushed(op, x, y, dx, at),
                    Some(count) => forward::pushed_each(op, x, y, dx, count, at),
                }
            }
            fn trace(root: Var<'_, $t>, options: &Options, at: &'static Location<'static>) -> Result<Trace, Error> {
                trace::record(root, options, at)
            }
            fn replay(graph: &Graph<$t>, leaves: &[(Var<'_, $t>, &Tensor<$t>)], at: &'static Location<'static>) -> Result<(), Error> {
                graph.run_again(leaves, at)
            }
            fn all_finite(x: &[$t]) -> bool {
                reduce::all_finite(x)
            }
        }
    )* };
}
engine!(f32 f64);

/// The inputs of one operation, on the stack if they are few.
pub(crate) type Few<X> = SmallVec<[X; 4]>;
