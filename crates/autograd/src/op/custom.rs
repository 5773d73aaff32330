//! Operations whose gradients are computed on tensors, by loops, solvers or foreign code: first-order rules, as a type or as closures.
//!
//! Their gradient is an operation on the graph like any other, but has no derivative: whoever asks for one is told so.

use std::{any::Any, fmt, marker::PhantomData, panic::Location, sync::Arc};

use super::{
    Handle, Linearity, Sink, Value,
    erased::{Erased, Few, Typed, exactly, only},
};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// An operation with `N` inputs whose gradients are computed on tensors. It has no second derivatives; [`Op`](super::Op) has.
///
/// It is for rules that cannot be written over [`Algebra`](super::Algebra), such as a solver or a loop over the elements, and is applied with
/// [`Graph::apply_first_order`].
///
/// ```
/// use autograd::{Error, Graph, Real, Tensor, op::FirstOrder, tensor};
///
/// /// The moving average over `width` elements of a vector.
/// #[derive(Debug)]
/// struct Smooth { width: usize }
///
/// impl FirstOrder<1> for Smooth {
///     fn name(&self) -> &'static str { "smooth" }
///     fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
///         let mean = |window: &[T]| window.iter().copied().sum::<T>() / T::of(self.width as f64);
///         let means: Vec<T> = x.as_slice().windows(self.width).map(mean).collect();
///         let count = means.len();
///         Tensor::new(means, [count])
///     }
///     fn gradients<T: Real>(&self, [x]: [&Tensor<T>; 1], _y: &Tensor<T>, g: &Tensor<T>) -> Result<[Tensor<T>; 1], Error> {
///         let mut dx = vec![T::ZERO; x.len()];
///         for (i, g) in g.as_slice().iter().enumerate() {
///             dx[i..i + self.width].iter_mut().for_each(|d| *d += *g / T::of(self.width as f64));
///         }
///         Ok([Tensor::new(dx, x.shape())?])
///     }
/// }
///
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![1.0, 3.0, 5.0]);
/// let y = g.apply_first_order(Smooth { width: 2 }, [x]);
/// assert_eq!(y.value()?, tensor![2.0, 4.0]);
/// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![0.5, 1.0, 0.5]);
/// # Ok::<(), autograd::Error>(())
/// ```
pub trait FirstOrder<const N: usize>: fmt::Debug + Send + Sync + 'static {
    /// The name in errors and explanations.
    fn name(&self) -> &'static str;

    /// The value, or why there is none.
    ///
    /// # Errors
    /// Whatever the operation cannot do.
    fn forward<T: Real>(&self, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error>;

    /// The gradient by each input, of its shape, from the incoming gradient `g` of the output `y`.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn gradients<T: Real>(&self, x: [&Tensor<T>; N], y: &Tensor<T>, g: &Tensor<T>) -> Result<[Tensor<T>; N], Error>;

    /// The forward derivative along `dx`, if there is a rule for it.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn tangent<T: Real>(&self, _x: [&Tensor<T>; N], _y: &Tensor<T>, _dx: [Option<&Tensor<T>>; N]) -> Option<Result<Tensor<T>, Error>> {
        None
    }

    /// As [`Op::sides`](super::Op::sides).
    fn sides(&self, _x: [&Tensor<f64>; N], _see: &mut dyn FnMut(Side)) {}
}

/// What [`FirstOrder`] and closures have in common.
trait Rule: fmt::Debug + Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error>;
    fn gradients<T: Real>(&self, x: &[&Tensor<T>], y: &Tensor<T>, g: &Tensor<T>) -> Result<Few<Tensor<T>>, Error>;
    fn tangent<T: Real>(&self, _x: &[&Tensor<T>], _y: &Tensor<T>, _dx: &[Option<&Tensor<T>>]) -> Option<Result<Tensor<T>, Error>> {
        None
    }
    fn sides(&self, _x: &[&Tensor<f64>], _see: &mut dyn FnMut(Side)) {}
}

#[derive(Debug)]
struct Arrays<O, const N: usize>(O);

impl<O: FirstOrder<N>, const N: usize> Rule for Arrays<O, N> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        self.0.forward(exactly(x)?)
    }
    fn gradients<T: Real>(&self, x: &[&Tensor<T>], y: &Tensor<T>, g: &Tensor<T>) -> Result<Few<Tensor<T>>, Error> {
        Ok(self.0.gradients(exactly(x)?, y, g)?.into_iter().collect())
    }
    fn tangent<T: Real>(&self, x: &[&Tensor<T>], y: &Tensor<T>, dx: &[Option<&Tensor<T>>]) -> Option<Result<Tensor<T>, Error>> {
        self.0.tangent(exactly(x).ok()?, y, exactly(dx).ok()?)
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        if let Ok(x) = exactly(x) {
            self.0.sides(x, see);
        }
    }
}

/// Two closures over tensors of one element type.
struct Closures<T, F, B> {
    name: &'static str,
    forward: F,
    backward: B,
    of: PhantomData<fn() -> T>,
}

impl<T, F, B> fmt::Debug for Closures<T, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({})", self.name)
    }
}

/// `x` in the element type that the closures are for, if it is that.
fn same<T: Real, U: Real>(x: &Tensor<U>) -> Result<&Tensor<T>, Error> {
    (x as &dyn Any).downcast_ref().ok_or_else(|| ErrorKind::Precision { made_for: T::NAME, asked: U::NAME }.into())
}

/// A result of the closures in the element type that was asked for, which [`same`] has found to be theirs.
fn back<T: Real, U: Real>(y: &Tensor<T>) -> Result<Tensor<U>, Error> {
    same::<U, T>(y).cloned()
}

impl<T, F, B> Rule for Closures<T, F, B>
where
    T: Real,
    F: Fn(&[&Tensor<T>]) -> Result<Tensor<T>, Error> + Send + Sync + 'static,
    B: Fn(&[&Tensor<T>], &Tensor<T>, &Tensor<T>) -> Result<Vec<Tensor<T>>, Error> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }
    fn forward<U: Real>(&self, x: &[&Tensor<U>]) -> Result<Tensor<U>, Error> {
        let x = x.iter().map(|x| same(x)).collect::<Result<Few<_>, Error>>()?;
        back(&(self.forward)(&x)?)
    }
    fn gradients<U: Real>(&self, x: &[&Tensor<U>], y: &Tensor<U>, g: &Tensor<U>) -> Result<Few<Tensor<U>>, Error> {
        let operands = x.iter().map(|x| same(x)).collect::<Result<Few<_>, Error>>()?;
        let gradients = (self.backward)(&operands, same(y)?, same(g)?)?;
        if gradients.len() != x.len() {
            return Err(ErrorKind::GradientCount { expected: x.len(), found: gradients.len() }.into());
        }
        gradients.iter().map(back).collect()
    }
}

/// An operation with a first-order rule.
#[derive(Debug)]
struct Opaque<R>(Arc<R>);

impl<T: Real, R: Rule> Typed<T> for Opaque<R> {
    fn forward(&self, x: &[&Tensor<T>], _is_kept: bool) -> Result<Tensor<T>, Error> {
        self.0.forward(x)
    }
    fn vjp(&self, x: &[&Value<T>], y: &[&Value<T>], g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        let gradients = || -> Result<Few<Tensor<T>>, Error> {
            let all = super::tensors(x.iter().chain(y).copied().chain(g.iter().copied().flatten()))?;
            match all[x.len()..] {
                [y, g] => self.0.gradients(&all[..x.len()], y, g),
                _ => Ok(Few::new()),
            }
        };
        match gradients() {
            Ok(gradients) => gradients.into_iter().enumerate().for_each(|(k, d)| out.add(k, Value::Tensor(d))),
            Err(error) => out.add(0, Value::Error(error)),
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let ([y], [Some(g)]) = (y, g) {
            let graph = g.graph();
            let gradient = Handle::keep(GradientOf { rule: self.0.clone(), inputs: x.len() });
            let all: Few<Var<'g, T>> = x.iter().chain([y, g]).map(|v| **v).collect();
            let first = T::push_all(graph, gradient, &all, graph.line(Location::caller()));
            for k in 0..x.len() {
                out.add(k, Var::new(graph, first + crate::graph::index(k)));
            }
        }
    }
    fn jvp(&self, x: &[&Value<T>], y: &[&Value<T>], dx: &[Option<&Value<T>>]) -> Option<Few<Value<T>>> {
        let x = super::tensors(x.iter().copied()).ok()?;
        let mut moved: Few<Option<&Tensor<T>>> = Few::new();
        for dx in dx {
            moved.push(dx.map(Value::tensor).transpose().ok()?);
        }
        Some(Few::from_iter([self.0.tangent(&x, y.first()?.tensor().ok()?, &moved)?.into()]))
    }
    fn jvp_recorded<'g>(&self, x: &[&Var<'g, T>], y: &[&Var<'g, T>], dx: &[Option<&Var<'g, T>>]) -> Option<Few<Var<'g, T>>> {
        let tangent = TangentOf { rule: self.0.clone(), moves: dx.iter().map(Option::is_some).collect() };
        let all: Few<Var<'g, T>> = x.iter().chain(y).chain(dx.iter().flatten()).map(|v| **v).collect();
        // Whether there is a rule shows when it is asked.
        let values: Few<Tensor<T>> = all.iter().map(|v| v.value()).collect::<Result<_, Error>>().ok()?;
        match Typed::<T>::forward(&tangent, &values.iter().collect::<Few<_>>(), false) {
            Err(error) if matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }) => None,
            _ => Some(Few::from_iter([y.first()?.graph().call(Handle::keep(tangent), &all)])),
        }
    }
}

/// The tangent of such an operation: an operation of the inputs, the output and the directions there are.
#[derive(Debug)]
struct TangentOf<R> {
    rule: Arc<R>,
    /// Which inputs move.
    moves: Few<bool>,
}

impl<T: Real, R: Rule> Typed<T> for TangentOf<R> {
    fn forward(&self, all: &[&Tensor<T>], _is_kept: bool) -> Result<Tensor<T>, Error> {
        let n = self.moves.len();
        let mut moved = all.iter().skip(n + 1);
        let dx: Few<Option<&Tensor<T>>> = self.moves.iter().map(|moves| if *moves { moved.next().copied() } else { None }).collect();
        match all.get(..n).zip(all.get(n)).and_then(|(x, y)| self.rule.tangent(x, y, &dx)) {
            Some(tangent) => tangent,
            None => Err(ErrorKind::FirstOrderOnly { wanted: "forward derivative" }.into()),
        }
    }
    fn vjp(&self, _x: &[&Value<T>], _y: &[&Value<T>], _g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        out.add(0, Value::Error(ErrorKind::FirstOrderOnly { wanted: "derivative of its tangent" }.into()));
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], _y: &[&Var<'g, T>], _g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let Some(first) = x.first() {
            let error = Error::from(ErrorKind::FirstOrderOnly { wanted: "derivative of its tangent" }).in_op(self.rule.name(), Vec::new);
            let refused = first.graph().poison(error.at(first.graph().line(Location::caller())));
            (0..x.len()).for_each(|k| out.add(k, refused));
        }
    }
}

impl<R: Rule> Erased for TangentOf<R> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }
    fn is_first_order(&self) -> bool {
        true
    }
}

impl<R: Rule> Erased for Opaque<R> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }
    fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
        self.0.sides(x, see);
    }
    fn is_foreign(&self) -> bool {
        true
    }
    fn is_first_order(&self) -> bool {
        true
    }
}

/// The gradients of such an operation, by all its inputs: an operation of the inputs, the output and the incoming gradient.
#[derive(Debug)]
struct GradientOf<R> {
    rule: Arc<R>,
    inputs: usize,
}

impl<R: Rule> GradientOf<R> {
    const REFUSAL: ErrorKind = ErrorKind::FirstOrderOnly { wanted: "derivative of its gradient" };
}

impl<T: Real, R: Rule> Typed<T> for GradientOf<R> {
    fn forward(&self, x: &[&Tensor<T>], _is_kept: bool) -> Result<Tensor<T>, Error> {
        only(self.forward_all(x)?)
    }
    fn forward_all(&self, all: &[&Tensor<T>]) -> Result<Few<Tensor<T>>, Error> {
        match all.split_at_checked(self.inputs) {
            Some((x, [y, g])) => self.rule.gradients(x, y, g),
            _ => Err(ErrorKind::InputCount { expected: self.inputs + 2, found: all.len() }.into()),
        }
    }
    fn vjp(&self, _x: &[&Value<T>], _y: &[&Value<T>], _g: &[Option<&Value<T>>], out: &mut dyn Sink<T, Value<T>>) {
        out.add(0, Value::Error(Self::REFUSAL.into()));
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, T>], _y: &[&Var<'g, T>], _g: &[Option<&Var<'g, T>>], out: &mut dyn Sink<T, Var<'g, T>>) {
        if let Some(first) = x.first() {
            let error = Error::from(Self::REFUSAL).in_op(self.rule.name(), Vec::new);
            let refused = first.graph().poison(error.at(first.graph().line(Location::caller())));
            (0..x.len()).for_each(|k| out.add(k, refused));
        }
    }
}

impl<R: Rule> Erased for GradientOf<R> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }
    fn outputs(&self) -> usize {
        self.inputs
    }
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }
    fn is_first_order(&self) -> bool {
        true
    }
}

/// An operation made of two closures; see [`Graph::custom`].
pub struct Custom<'g, T: Real, const N: usize> {
    graph: &'g Graph<T>,
    handle: Handle,
}

impl<'g, T: Real, const N: usize> Custom<'g, T, N> {
    /// The result for some inputs.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: [Var<'g, T>; N]) -> Var<'g, T> {
        self.graph.tape.borrow_mut().has_foreign = true;
        self.graph.call(self.handle.clone(), &x)
    }

    /// The operation itself, for [`check::handle`](crate::check::handle) and other graphs.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl<T: Real, const N: usize> fmt::Debug for Custom<'_, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl Handle {
    /// A handle to an operation whose gradients are computed on tensors.
    pub fn first_order<O: FirstOrder<N>, const N: usize>(op: O) -> Handle {
        Handle::keep(Opaque(Arc::new(Arrays::<O, N>(op))))
    }

    /// A handle to an operation made of two closures over tensors of one element type: of the inputs, and of the inputs, the output and its
    /// incoming gradient. The second gives a gradient for each input.
    pub fn custom<T: Real>(
        name: &'static str,
        forward: impl Fn(&[&Tensor<T>]) -> Result<Tensor<T>, Error> + Send + Sync + 'static,
        backward: impl Fn(&[&Tensor<T>], &Tensor<T>, &Tensor<T>) -> Result<Vec<Tensor<T>>, Error> + Send + Sync + 'static,
    ) -> Handle {
        Handle::keep(Opaque(Arc::new(Closures { name, forward, backward, of: PhantomData })))
    }
}

impl<T: Real> Graph<T> {
    /// The result of an operation of yours whose gradients are computed on tensors; see [`FirstOrder`].
    #[track_caller]
    pub fn apply_first_order<'g, O: FirstOrder<N>, const N: usize>(&'g self, op: O, x: [Var<'g, T>; N]) -> Var<'g, T> {
        self.tape.borrow_mut().has_foreign = true;
        self.call(Handle::first_order(op), &x)
    }

    /// An operation made of two closures over tensors: the value from the inputs, and from the inputs, the value and its incoming gradient the
    /// gradients by the inputs. It is the quickest way to bring in code that is not made of this library's operations.
    ///
    /// The gradients are of first order, as those of [`FirstOrder`].
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, k) = (g.variable(tensor![1.0, -2.0]), 3.0);
    /// let cube = g.custom("cube", move |[x]| x.powi(3)?.mul_lit(k), move |[x], _y, g| Ok([g.mul(&x.square()?)?.mul_lit(3.0 * k)?]));
    /// let y = cube.apply([x]).sum();
    /// assert_eq!(y.backward()?.wrt(x)?, &tensor![9.0, 36.0]);
    ///
    /// let [slope] = g.grad(y, [x]);
    /// let again = slope.sum().backward().unwrap_err();
    /// assert!(again.to_string().contains("there is no derivative of its gradient"), "{again}");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// What a closure refuses; a gradient that has not the shape of its input, or is NaN although nothing that the rule was given is.
    #[doc(alias = "custom_vjp")]
    #[track_caller]
    pub fn custom<'g, const N: usize>(
        &'g self,
        name: &'static str,
        forward: impl for<'a> Fn([&'a Tensor<T>; N]) -> Result<Tensor<T>, Error> + Send + Sync + 'static,
        backward: impl for<'a> Fn([&'a Tensor<T>; N], &'a Tensor<T>, &'a Tensor<T>) -> Result<[Tensor<T>; N], Error> + Send + Sync + 'static,
    ) -> Custom<'g, T, N> {
        let handle = Handle::custom(
            name,
            move |x: &[&Tensor<T>]| forward(exactly(x)?),
            move |x: &[&Tensor<T>], y: &Tensor<T>, g: &Tensor<T>| Ok(backward(exactly(x)?, y, g)?.into()),
        );
        Custom { graph: self, handle }
    }
}
