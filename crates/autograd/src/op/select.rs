//! Choosing by value: sorting, the largest k, masks. Which elements are chosen is decided by the values; the gradient goes to those.

use std::fmt::Debug;

use super::{Algebra, Op, Place, Sink, methods};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    real::Real,
    tensor::{Tensor, kernel::allocate},
};

/// A choice of elements that depends on values.
pub(crate) trait Selection: Debug + Clone + Send + Sync + 'static {
    /// The name of the operation.
    const NAME: &'static str;

    /// Where the chosen elements stand.
    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error>;

    /// The sides of the kinks at which another element would be chosen.
    fn sides(&self, _keys: &Tensor<f64>, _see: &mut dyn FnMut(Side)) {}
}

/// The elements of x that x itself chooses.
#[derive(Debug)]
pub(crate) struct Pick<S>(pub(crate) S);

impl<S: Selection> Op<1> for Pick<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        self.0.place(x)?.take(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::apply(Spread(self.0.clone()), [x, g]));
    }
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        self.0.sides(x, see);
    }
}

/// The elements of v at the places that the keys choose; v has the shape of the keys. Linear in v; the keys have slope 0.
#[derive(Debug)]
pub(crate) struct Choose<S>(pub(crate) S);

impl<S: Selection> Op<2> for Choose<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn forward<T: Real>(&self, [keys, v]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        if keys.shape() != v.shape() {
            return Err(ErrorKind::Mismatch { expected: *v.shape(), found: *keys.shape(), except: None }.into());
        }
        self.0.place(keys)?.take(v)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [keys, _]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        if out.needs(1) {
            out.add(1, A::apply(Spread(self.0.clone()), [keys, g]));
        }
    }
}

/// Zeros of the shape of the keys, with v added at the places that the keys choose: the transpose of [`Choose`].
#[derive(Debug)]
struct Spread<S>(S);

impl<S: Selection> Op<2> for Spread<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn forward<T: Real>(&self, [keys, v]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        let place = self.0.place(keys)?;
        let expected = place.shape(keys.shape())?;
        if *v.shape() != expected {
            return Err(ErrorKind::Mismatch { expected, found: *v.shape(), except: None }.into());
        }
        let mut whole = allocate(keys.len())?;
        place.add_to(v.as_slice(), &mut whole, keys.shape())?;
        Ok(Tensor::of(*keys.shape(), whole))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [keys, _]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        if out.needs(1) {
            out.add(1, A::apply(Choose(self.0.clone()), [keys, g]));
        }
    }
}

methods! {}
