//! The vocabulary of whole-array rules, spoken by values (first-order gradients) and by variables (recorded gradients).

use super::{Handle, Op, Place, Sink, erased::Few, index, linear, movement, pointwise::Pointwise, reduce};
use crate::{
    elementary::{Function, Slope, X},
    error::Error,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::pointwise as kernel},
    var::Var,
};

/// Something that operations can be applied to.
pub trait Apply<T: Real>: Sized {
    /// The result of an operation. All of `x` are of one graph, if of any; there is at least one.
    #[track_caller]
    fn call(op: Handle, x: &[&Self]) -> Self;
}

/// What a rule may do with an array: apply any operation to it.
///
/// The methods of the families ([`Pointwise`](crate::op::pointwise::Methods) and so on) are all available. A result that cannot be
/// computed is an error standing in the place of a value; it is passed on and reported by whoever asked for the gradient.
pub trait Algebra<T: Real>:
    Clone
    + Apply<T>
    + super::pointwise::Methods<T>
    + reduce::Methods<T>
    + linear::Methods<T>
    + movement::Methods<T>
    + index::Methods<T>
    + super::normalise::Methods<T>
{
    /// The shape; that of a scalar if there is no value.
    fn shape(&self) -> Shape;

    /// For each operand that `out` needs, g·∂y/∂xₖ, summed over the axes along which the operand was stretched.
    fn chain<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>);

    /// Whether both have the same shape.
    fn is_shaped_like(&self, other: &Self) -> bool {
        Algebra::shape(self) == other.shape()
    }

    /// The sum over the axes along which `x` was stretched to the shape of `self`: what undoes broadcasting.
    #[must_use]
    #[track_caller]
    fn unstretched(&self, x: &Self) -> Self {
        if self.is_shaped_like(x) { self.clone() } else { self.sum_to(&x.shape()) }
    }

    /// The result of an operation with `N` inputs.
    #[track_caller]
    fn apply<O: Op<N>, const N: usize>(op: O, x: [&Self; N]) -> Self {
        Self::call(Handle::new(op), &x)
    }

    /// A function of `N` operands, element by element, in one pass; see [`function!`](crate::function).
    #[track_caller]
    fn map<F: Function<N>, const N: usize>(function: F, x: [&Self; N]) -> Self {
        Self::apply(Pointwise(function), x)
    }
}

/// What a node of a graph holds.
#[derive(Debug, Clone)]
pub enum Value<T: Real> {
    /// The result.
    Tensor(Tensor<T>),
    /// Why there is none.
    Error(Error),
}

impl<T: Real> Value<T> {
    /// The tensor.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub fn tensor(&self) -> Result<&Tensor<T>, Error> {
        match self {
            Value::Tensor(tensor) => Ok(tensor),
            Value::Error(error) => Err(error.clone()),
        }
    }
}

impl<T: Real> From<Result<Tensor<T>, Error>> for Value<T> {
    #[inline]
    fn from(result: Result<Tensor<T>, Error>) -> Self {
        match result {
            Ok(tensor) => Value::Tensor(tensor),
            Err(error) => Value::Error(error),
        }
    }
}

/// The tensors behind values, or the first error among them.
#[inline]
pub(crate) fn tensors<'a, T: Real>(x: impl Iterator<Item = &'a Value<T>>) -> Result<Few<&'a Tensor<T>>, Error> {
    let mut tensors = Few::new();
    for value in x {
        match value {
            Value::Tensor(tensor) => tensors.push(tensor),
            Value::Error(error) => return Err(error.clone()),
        }
    }
    Ok(tensors)
}

impl<T: Real> Apply<T> for Value<T> {
    fn call(op: Handle, x: &[&Self]) -> Self {
        tensors(x.iter().copied()).and_then(|x| T::forward(&op, &x, None)).into()
    }
}

impl<T: Real> Algebra<T> for Value<T> {
    fn shape(&self) -> Shape {
        self.tensor().map_or(Shape::SCALAR, |t| *t.shape())
    }

    #[inline]
    fn is_shaped_like(&self, other: &Self) -> bool {
        matches!((self, other), (Value::Tensor(a), Value::Tensor(b)) if a.is_shaped_like(b))
    }

    fn chain<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>) {
        let (mut needs, structure) = ([false; N], kernel::structure(function));
        for k in 0..N {
            if out.needs(k) {
                match structure[k] {
                    Some(0.0) => {}
                    Some(1.0) => out.add(k, g.unstretched(x[k])),
                    _ => needs[k] = true,
                }
            }
        }
        if !needs.contains(&true) {
            return;
        }
        let gradients = tensors(x.into_iter().chain([y, g])).and_then(|all| {
            let x = std::array::from_fn(|k| all[k]);
            kernel::gradients(function, x, all[N], all[N + 1], needs)
        });
        match gradients {
            Ok(gradients) => {
                for (k, gradient) in gradients.into_iter().enumerate() {
                    if let Some(gradient) = gradient {
                        out.add(k, Value::Tensor(gradient));
                    }
                }
            }
            Err(error) => {
                if let Some(k) = needs.iter().position(|&needed| needed) {
                    out.add(k, Value::Error(error));
                }
            }
        }
    }
}

impl<T: Real> Apply<T> for Var<'_, T> {
    #[track_caller]
    fn call(op: Handle, x: &[&Self]) -> Self {
        // There is at least one operand; its graph is the graph.
        x[0].graph().call(op, &x.iter().map(|x| **x).collect::<Few<_>>())
    }
}

impl<T: Real> Algebra<T> for Var<'_, T> {
    fn shape(&self) -> Shape {
        Var::shape(*self).unwrap_or(Shape::SCALAR)
    }

    fn chain<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>) {
        let slopes = function.slopes(x.map(|x| X(*x)), X(*y), std::array::from_fn(|k| out.needs(k)));
        for (k, slope) in slopes.into_iter().enumerate() {
            if out.needs(k) && !matches!(slope, Slope::Const(0.0)) {
                let d = slope.times(Slope::Of(*g)).or_lit(*g);
                out.add(k, d.unstretched(x[k]));
            }
        }
    }
}

/// The place of a slice, for rules.
pub(crate) fn slice_of(axis: usize, start: usize, end: usize) -> Place {
    Place::Slice { axis: axis.cast_signed(), start: start.cast_signed(), end: Some(end.cast_signed()) }
}
