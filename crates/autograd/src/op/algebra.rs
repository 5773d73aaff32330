//! The vocabulary of whole-array rules, spoken by values (first-order gradients) and by variables (recorded gradients).

use std::panic::Location;

use super::{Handle, Op, Place, Sink, erased::Few, index, linear, movement, pointwise::Pointwise, reduce};
use crate::{
    elementary::{Elementary, Function, Slope, X, table},
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{pointwise as kernel, reduce::sum_to},
    },
    var::Var,
};

/// Something that operations can be applied to.
pub trait Apply<T: Real>: Sized {
    /// The result of an operation. All of `x` are of one graph, if of any; there is at least one.
    #[track_caller]
    fn call(op: Handle, x: &[&Self]) -> Self;

    /// The result of a formula of several operations that goes by one name: an error in it bears that name, the shapes of `x` and the
    /// line of the caller. An error among `x` is passed on, and the formula not run.
    #[track_caller]
    fn composed(name: &'static str, x: &[&Self], formula: impl FnOnce() -> Self) -> Self;

    /// Asks the rule of an operation: adds the incoming gradient `g` of its output `y` to `out`, pulled back to the inputs `x`. For
    /// operations that wrap others.
    fn pull_back(op: &Handle, x: &[&Self], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>);
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
    + super::norm::Methods<T>
    + super::scan::Methods<T>
    + super::decompose::Methods<T>
    + super::window::Methods<T>
    + super::pool::Methods<T>
    + super::standardise::Methods<T>
    + super::dropout::Methods<T>
{
    /// The shape; that of a scalar if there is no value.
    fn shape(&self) -> Shape;

    /// For each operand that `out` needs, g·∂y/∂xₖ, summed over the axes along which the operand was stretched.
    fn chain<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>);

    /// Σₖ ∂y/∂xₖ·dxₖ, of the shape of `y`, where no entry stands for zeros.
    fn tangent<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, dx: [Option<&Self>; N]) -> Self;

    /// A tensor, or a number, that has no gradient; on the graph of `self`, if it has one.
    #[must_use]
    #[track_caller]
    fn constant(&self, value: impl Into<Tensor<T>>) -> Self;

    /// An error in the place of a value.
    #[must_use]
    #[track_caller]
    fn refused(&self, why: impl Into<Error>) -> Self;

    /// Why there is no value, if there is none.
    fn failure(&self) -> Option<Error>;

    /// Whether both have the same shape.
    fn is_shaped_like(&self, other: &Self) -> bool {
        Algebra::shape(self) == other.shape()
    }

    /// The same elements in another shape of the same count; `self` if it has that shape already, which costs nothing.
    #[must_use]
    #[track_caller]
    fn shaped(&self, shape: &Shape) -> Self {
        if Algebra::shape(self) == *shape { self.clone() } else { self.reshape_as(shape) }
    }

    /// `self / c`; of values, without an operation that has to be made.
    #[must_use]
    #[track_caller]
    fn divided(&self, c: f64) -> Self {
        self.div_lit(c)
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
    /// It was computed inside the checkpoint at this line, and is computed again where a gradient needs it.
    Dropped(&'static Location<'static>),
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
            _ => Err(self.error()),
        }
    }

    /// Why there is no tensor.
    fn error(&self) -> Error {
        match self {
            Value::Error(error) => error.clone(),
            Value::Dropped(checkpoint) => ErrorKind::Dropped { checkpoint }.into(),
            Value::Tensor(_) => ErrorKind::NoInputs.into(), // never asked
        }
    }

    /// The tensor, or why there is none.
    pub(crate) fn into_result(self) -> Result<Tensor<T>, Error> {
        match self {
            Value::Tensor(tensor) => Ok(tensor),
            other => Err(other.error()),
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
    tensors_into(x, &mut tensors)?;
    Ok(tensors)
}

/// The same, into a list that is not moved.
#[inline]
pub(crate) fn tensors_into<'a, T: Real>(x: impl Iterator<Item = &'a Value<T>>, into: &mut Few<&'a Tensor<T>>) -> Result<(), Error> {
    for value in x {
        match value {
            Value::Tensor(tensor) => into.push(tensor),
            other => return Err(other.error()),
        }
    }
    Ok(())
}

/// The tensors behind so many values, of which there is at least one, if all are tensors. They stay where they are: a list would be moved.
#[inline(always)]
fn operands<T: Real, const N: usize>(x: [&Value<T>; N]) -> Option<[&Tensor<T>; N]> {
    let Value::Tensor(first) = *x.first()? else { return None };
    let mut all = [first; N];
    for k in 1..N {
        let Value::Tensor(tensor) = x[k] else { return None };
        all[k] = tensor;
    }
    Some(all)
}

impl<T: Real> Apply<T> for Value<T> {
    fn call(op: Handle, x: &[&Self]) -> Self {
        tensors(x.iter().copied()).and_then(|x| T::forward(&op, &x, false, None)).into()
    }

    fn composed(name: &'static str, x: &[&Self], formula: impl FnOnce() -> Self) -> Self {
        let at = Location::caller();
        match tensors(x.iter().copied()) {
            Ok(tensors) => match formula() {
                Value::Error(error) => Value::Error(error.met_by(name, tensors.iter().map(|t| *t.shape()).collect(), Some(at))),
                value => value,
            },
            Err(error) => Value::Error(error),
        }
    }

    fn pull_back(op: &Handle, x: &[&Self], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>) {
        T::typed(op.op()).vjp(x, &[y], &[Some(g)], out);
    }
}

impl<T: Real> Algebra<T> for Value<T> {
    fn failure(&self) -> Option<Error> {
        self.tensor().err()
    }

    fn shape(&self) -> Shape {
        self.tensor().map_or(Shape::SCALAR, |t| *t.shape())
    }

    fn tangent<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, dx: [Option<&Self>; N]) -> Self {
        let values = || -> Result<Tensor<T>, Error> {
            let all = tensors(x.into_iter().chain([y]))?;
            let mut moved = [None; N];
            for (moved, dx) in moved.iter_mut().zip(dx) {
                *moved = dx.map(Value::tensor).transpose()?;
            }
            kernel::tangent(function, std::array::from_fn(|k| all[k]), all[N], moved)
        };
        values().into()
    }

    fn constant(&self, value: impl Into<Tensor<T>>) -> Self {
        Value::Tensor(value.into())
    }

    fn refused(&self, why: impl Into<Error>) -> Self {
        Value::Error(why.into())
    }

    fn shaped(&self, shape: &Shape) -> Self {
        match self {
            // The shorter way, without an operation.
            Value::Tensor(x) if x.len() == shape.len() => Value::Tensor(x.with_shape(*shape)),
            _ => movement::Methods::reshape_as(self, shape),
        }
    }

    fn divided(&self, c: f64) -> Self {
        match self {
            Value::Tensor(x) => kernel::map(&table::DivLit { c }, [x]).into(),
            other => other.clone(),
        }
    }

    fn unstretched(&self, x: &Self) -> Self {
        match (self, x) {
            (Value::Tensor(g), Value::Tensor(x)) if g.is_shaped_like(x) => self.clone(),
            // The shorter way, without an operation.
            (Value::Tensor(g), Value::Tensor(x)) if x.shape().stretches_to(g.shape()) => sum_to(g, x.shape()).into(),
            _ => reduce::Methods::sum_to(self, &x.shape()),
        }
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
                    // The incoming gradient may still have to be stretched.
                    Some(1.0) if x[k].is_shaped_like(y) => out.add_stretched(k, g.clone()),
                    Some(1.0) if g.is_shaped_like(y) => out.add(k, g.unstretched(x[k])),
                    Some(1.0) => match sum_of_one(g, x[k], y) {
                        Some(sum) => out.add_stretched(k, Value::Tensor(sum)),
                        None => needs[k] = true,
                    },
                    _ => needs[k] = true,
                }
            }
        }
        if !needs.contains(&true) {
            return;
        }
        let gradients = match (operands(x), y, g) {
            (Some(x), Value::Tensor(y), Value::Tensor(g)) => kernel::gradients(function, x, y, g, needs),
            _ => Err(x.into_iter().chain([y, g]).find_map(|x| x.tensor().err()).unwrap_or_else(|| ErrorKind::NoInputs.into())),
        };
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

/// What undoes broadcasting of `x` to `y`, if the gradient is one number, which was to be stretched: each sum is so many times that number.
fn sum_of_one<T: Real>(g: &Value<T>, x: &Value<T>, y: &Value<T>) -> Option<Tensor<T>> {
    let (Value::Tensor(g), Value::Tensor(x), Value::Tensor(y)) = (g, x, y) else { return None };
    let (one, count) = (g.as_one()?, y.len().checked_div(x.len())?);
    // A sum of −0 is 0.
    (count > 0).then(|| Tensor::scalar(T::of(one.to_f64() * count as f64 + 0.0)))
}

impl<T: Real> Apply<T> for Var<'_, T> {
    #[track_caller]
    fn call(op: Handle, x: &[&Self]) -> Self {
        // There is at least one operand; its graph is the graph.
        x[0].graph().call(op, &x.iter().map(|x| **x).collect::<Few<_>>())
    }

    #[track_caller]
    fn composed(name: &'static str, x: &[&Self], formula: impl FnOnce() -> Self) -> Self {
        let graph = x[0].graph();
        // Of several errors the one that was made first is passed on.
        let bad = x.iter().filter(|x| x.soundness().is_err()).min_by_key(|x| x.id());
        if let Some(bad) = bad {
            return **bad;
        }
        let y = graph.on_behalf_of(Location::caller(), formula);
        match y.soundness() {
            Ok(()) => y,
            Err(error) => graph.poison(error.met_by(name, x.iter().map(|x| Algebra::shape(*x)).collect(), None)),
        }
    }

    fn pull_back(op: &Handle, x: &[&Self], y: &Self, g: &Self, out: &mut dyn Sink<T, Self>) {
        T::typed(op.op()).vjp_recorded(x, &[y], &[Some(g)], out);
    }
}

impl<T: Real> Algebra<T> for Var<'_, T> {
    fn failure(&self) -> Option<Error> {
        Var::shape(*self).err()
    }

    fn shape(&self) -> Shape {
        Var::shape(*self).unwrap_or(Shape::SCALAR)
    }

    fn tangent<F: Function<N>, const N: usize>(function: &F, x: [&Self; N], y: &Self, dx: [Option<&Self>; N]) -> Self {
        let slopes = function.slopes(x.map(|x| X(*x)), X(*y), dx.map(|dx| dx.is_some()));
        let parts = slopes.into_iter().zip(dx).filter_map(|(slope, dx)| match (slope, dx) {
            (Slope::Const(0.0), _) | (_, None) => None,
            (slope, Some(dx)) => Some(slope.times(Slope::Of(*dx)).or_lit(*dx)),
        });
        parts.reduce(|a, b| a + b).unwrap_or_else(|| y.lit(0.0)).broadcast_as(&Algebra::shape(y))
    }

    #[track_caller]
    fn constant(&self, value: impl Into<Tensor<T>>) -> Self {
        let graph = self.graph();
        graph.leaf(value.into(), false, graph.line(Location::caller()))
    }

    #[track_caller]
    fn refused(&self, why: impl Into<Error>) -> Self {
        let graph = self.graph();
        graph.poison(why.into().at(graph.line(Location::caller())))
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
    Place::Slice { axis: axis.cast_signed(), start: start.cast_signed(), end: Some(end.cast_signed()), step: 1 }
}
