//! Hooks: what is called with a gradient as it passes, and may put another in its place.

use std::{any::Any, fmt, panic::Location, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    op::{Erased, Few, Handle, Linearity, Sink, Typed, Value},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// What is called with a gradient.
type Function<T> = dyn Fn(&Tensor<T>) -> Option<Tensor<T>> + Send + Sync;

/// A hook, and the line that set it.
pub(crate) struct Hook<T: Real> {
    function: Arc<Function<T>>,
    at: &'static Location<'static>,
}

impl<T: Real> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Hook { function: self.function.clone(), at: self.at }
    }
}

impl<T: Real> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook set at {}", self.at)
    }
}

impl<T: Real> Hook<T> {
    pub(crate) fn new(function: impl Fn(&Tensor<T>) -> Option<Tensor<T>> + Send + Sync + 'static, at: &'static Location<'static>) -> Self {
        Hook { function: Arc::new(function), at }
    }

    /// The gradient that goes on from here.
    pub(crate) fn pass(&self, gradient: Tensor<T>) -> Result<Tensor<T>, Error> {
        match (self.function)(&gradient) {
            Some(other) if other.shape() != gradient.shape() => {
                let kind = ErrorKind::Mismatch { expected: *gradient.shape(), found: *other.shape(), except: None };
                Err(Error::from(kind).in_op("on_grad", || vec![*gradient.shape()]).at(self.at))
            }
            Some(other) => Ok(other),
            None => Ok(gradient),
        }
    }

    /// The recorded gradient that goes on from here: an operation, so that a replay calls the hook again.
    pub(crate) fn pass_recorded<'g>(&self, gradient: Var<'g, T>) -> Var<'g, T> {
        gradient.graph().call(Handle::keep(Passed(self.clone())), &[gradient])
    }
}

/// What a hook makes of a recorded gradient: the same, whose derivative is that of the identity, or another, which has none.
#[derive(Debug)]
struct Passed<T: Real>(Hook<T>);

impl<T: Real, U: Real> Typed<U> for Passed<T> {
    fn forward(&self, x: &[&Tensor<U>], _is_kept: bool) -> Result<Tensor<U>, Error> {
        let mut result = Err(ErrorKind::Precision { made_for: T::NAME, asked: U::NAME }.into());
        if let (Some(x), Some(result)) = (
            x.first().and_then(|x| (*x as &dyn Any).downcast_ref::<Tensor<T>>()),
            (&mut result as &mut dyn Any).downcast_mut::<Result<Tensor<T>, Error>>(),
        ) {
            *result = self.0.pass(x.clone());
        }
        result
    }
    fn vjp(&self, x: &[&Value<U>], y: &[&Value<U>], g: &[Option<&Value<U>>], out: &mut dyn Sink<U, Value<U>>) {
        match (x, y, g) {
            ([Value::Tensor(x)], [Value::Tensor(y)], [Some(g)]) if x.is_same(y) => out.add(0, (*g).clone()),
            _ => out.add(0, Value::Error(ErrorKind::HookDerivative { hook: self.0.at }.into())),
        }
    }
    fn vjp_recorded<'g>(&self, x: &[&Var<'g, U>], y: &[&Var<'g, U>], g: &[Option<&Var<'g, U>>], out: &mut dyn Sink<U, Var<'g, U>>) {
        if let ([x], [y], [Some(g)]) = (x, y, g) {
            let is_same = matches!((x.value(), y.value()), (Ok(x), Ok(y)) if x.is_same(&y));
            out.add(0, if is_same { **g } else { x.graph().poison(ErrorKind::HookDerivative { hook: self.0.at }.into()) });
        }
    }
    fn jvp(&self, x: &[&Value<U>], y: &[&Value<U>], dx: &[Option<&Value<U>>]) -> Option<Few<Value<U>>> {
        match (x, y, dx) {
            ([Value::Tensor(x)], [Value::Tensor(y)], [Some(dx)]) if x.is_same(y) => Some(Few::from_iter([(*dx).clone()])),
            _ => Some(Few::from_iter([Value::Error(ErrorKind::HookDerivative { hook: self.0.at }.into())])),
        }
    }
    fn jvp_recorded<'g>(&self, x: &[&Var<'g, U>], y: &[&Var<'g, U>], dx: &[Option<&Var<'g, U>>]) -> Option<Few<Var<'g, U>>> {
        let ([x], [y], [Some(dx)]) = (x, y, dx) else { return None };
        let is_same = matches!((x.value(), y.value()), (Ok(x), Ok(y)) if x.is_same(&y));
        let refused = || x.graph().poison(ErrorKind::HookDerivative { hook: self.0.at }.into());
        Some(Few::from_iter([if is_same { **dx } else { refused() }]))
    }
}

impl<T: Real> Erased for Passed<T> {
    fn name(&self) -> &'static str {
        "on_grad"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }
}

impl<T: Real> Var<'_, T> {
    /// Calls `f` with the gradient of this variable whenever one passes, after all that flows together here has been added up and before it
    /// goes further back. What `f` returns takes its place; `None` leaves it as it is. Of several hooks each gets what the one before left.
    ///
    /// A hook is called once in each [`backward`](Var::backward) and [`Graph::grad`](crate::Graph::grad) that reaches the variable; forward mode,
    /// which has no way back, does not pass it. In a gradient that is recorded it is an operation: a replay calls it again, and one that it
    /// replaced has no derivative, and says so to whoever asks for it.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, 0.1]);
    /// let h = x.square().on_grad(|d| d.clamp(-1.0, 1.0).ok()); // clipped on its way back
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let loss = (h * h).sum().on_grad(move |d| {
    ///     send.send(d.clone()).ok(); // looked at
    ///     None
    /// });
    /// assert_eq!(loss.backward()?.wrt(x)?, &tensor![6.0, 2.0 * (0.1 * 0.1) * 0.2]);
    /// assert_eq!(receive.recv().unwrap().item()?, 1.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A constant never has a gradient: the result is an error that says so. One of another shape is an error of the gradients.
    #[doc(alias = "register_hook")]
    #[track_caller]
    #[allow(clippy::return_self_not_must_use)] // it is often called for its effect alone
    pub fn on_grad(self, f: impl Fn(&Tensor<T>) -> Option<Tensor<T>> + Send + Sync + 'static) -> Self {
        let (graph, at) = (self.graph(), Location::caller());
        if let Some(error) = graph.lost(self) {
            return graph.poison(error.in_op("on_grad", Vec::new).at(at));
        }
        let can_have_one = graph.tape.borrow().node(self.id()).needs_gradient;
        if !can_have_one {
            let why = self.why_no_gradient(&[]);
            return graph.poison(Error::from(ErrorKind::NoGradient { why }).in_op("on_grad", Vec::new).at(at));
        }
        graph.tape.borrow_mut().hooks.entry(self.id()).or_default().push(Hook::new(f, at));
        self
    }
}
