//! Choosing by value: sorting, the largest k, masks. Which elements are chosen is decided by the values; the gradient goes to those.

use std::{
    fmt::Debug,
    panic::{Location, RefUnwindSafe, UnwindSafe},
};

use super::{Algebra, Handle, Op, Place, Sink, methods};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        fact::Fact,
        kernel::{allocate, order},
    },
    var::Var,
};

/// A choice of elements that depends on values.
pub(crate) trait Selection: Debug + Clone + PartialEq + Send + Sync + UnwindSafe + RefUnwindSafe + 'static {
    /// The name of the operation.
    const NAME: &'static str;
    /// Whether the place costs more to find than to keep.
    const IS_KEPT: bool = false;

    /// Where the chosen elements stand.
    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error>;

    /// The same; if it was found before and kept, it is not looked for.
    fn place_kept<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error> {
        match keys.known::<Found<Self>>().filter(|found| found.by == *self) {
            Some(found) => Ok(found.place.clone()),
            None => self.place(keys),
        }
    }

    /// The chosen elements of the keys themselves.
    fn chosen<T: Real>(&self, keys: &Tensor<T>) -> Result<Tensor<T>, Error> {
        self.place_kept(keys)?.take(keys)
    }

    /// Zeros of the shape of the keys, with v added where the chosen elements stand.
    fn spread<T: Real>(&self, keys: &Tensor<T>, v: &Tensor<T>) -> Result<Tensor<T>, Error> {
        let place = self.place_kept(keys)?;
        check_shape(v, place.shape(keys.shape())?)?;
        let mut whole = allocate(keys.len())?;
        place.add_to(v.as_slice(), &mut whole, keys.shape())?;
        Ok(Tensor::of(*keys.shape(), whole))
    }

    /// The sides of the kinks at which another element would be chosen.
    fn sides(&self, _keys: &Tensor<f64>, _see: &mut dyn FnMut(Side)) {}
}

/// Where a selection chooses from some keys, kept with them.
#[derive(Debug)]
struct Found<S> {
    by: S,
    place: Place,
}

impl<S: Selection> Fact for Found<S> {
    fn bytes(&self) -> usize {
        match &self.place {
            Place::Gather { indices, .. } => size_of_val(indices.as_slice()),
            _ => 0,
        }
    }
}

/// The error unless a tensor has the shape that is expected.
pub(super) fn check_shape<T: Real>(x: &Tensor<T>, expected: Shape) -> Result<(), Error> {
    if *x.shape() != expected {
        return Err(ErrorKind::Mismatch { expected, found: *x.shape(), except: None }.into());
    }
    Ok(())
}

/// The elements of x that x itself chooses.
#[derive(Debug)]
pub(crate) struct Pick<S>(pub(crate) S);

impl<S: Selection> Op<1> for Pick<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        self.0.chosen(x)
    }
    fn prepare<T: Real>(&self, [x]: [&Tensor<T>; 1]) {
        if S::IS_KEPT {
            x.remember(|| Some(Found { by: self.0.clone(), place: self.0.place(x).ok()? }));
        }
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
        check_shape(keys, *v.shape())?;
        self.0.place_kept(keys)?.take(v)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [keys, _]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        if out.needs(1) {
            out.add(1, A::apply(Spread(self.0.clone()), [keys, g]));
        }
    }
    fn sides(&self, [keys, _]: [&Tensor<f64>; 2], see: &mut dyn FnMut(Side)) {
        self.0.sides(keys, see);
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
        self.0.spread(keys, v)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [keys, _]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        if out.needs(1) {
            out.add(1, A::apply(Choose(self.0.clone()), [keys, g]));
        }
    }
    fn sides(&self, [keys, _]: [&Tensor<f64>; 2], see: &mut dyn FnMut(Side)) {
        self.0.sides(keys, see);
    }
}

/// The positions along an axis in the order of their values.
#[derive(Debug, Clone, PartialEq)]
struct Sort {
    axis: isize,
    descending: bool,
}

/// The first `k` in the order of their values.
#[derive(Debug, Clone, PartialEq)]
struct TopK {
    k: usize,
    order: Sort,
}

impl Sort {
    /// For each lane along the axis, the positions of the first `k` in order.
    fn first<T: Real>(&self, x: &Tensor<T>, k: Option<usize>) -> Result<Indices, Error> {
        let axis = x.shape().axis(self.axis)?;
        let len = x.shape()[axis];
        let k = k.unwrap_or(len);
        if k > len {
            return Err(ErrorKind::Parameter { name: "k", value: k.to_string(), why: "it must not be above the length of the axis" }.into());
        }
        let shape = x.shape().with(axis, k)?;
        Ok(Indices::of(shape, order::first(x.as_slice(), x.shape().around(axis), k, self.descending)))
    }

    /// Neighbours in the order change places at a kink: the side is that of their positions, the distance that of their values.
    fn sides(&self, x: &Tensor<f64>, k: usize, name: &'static str, see: &mut dyn FnMut(Side)) {
        let (Ok(axis), Ok(order)) = (x.shape().axis(self.axis), self.first(x, None)) else { return };
        let (rows, len, inner) = x.shape().around(axis);
        for row in 0..rows {
            for column in 0..inner {
                let at = |i: usize| order.as_slice()[(row * len + i) * inner + column];
                let value = |i: usize| x.as_slice()[(row * len + at(i)) * inner + column];
                for i in 1..len.min(k.saturating_add(1)) {
                    see(Side { function: name, side: Some(at(i - 1).cmp(&at(i))), distance: (value(i) - value(i - 1)).abs() });
                }
            }
        }
    }
}

impl Selection for Sort {
    const NAME: &'static str = "sort";
    const IS_KEPT: bool = true;
    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error> {
        Ok(Place::Gather { axis: self.axis, indices: self.first(keys, None)? })
    }
    fn sides(&self, keys: &Tensor<f64>, see: &mut dyn FnMut(Side)) {
        Sort::sides(self, keys, usize::MAX, "sort", see);
    }
}

impl Selection for TopK {
    const NAME: &'static str = "topk";
    const IS_KEPT: bool = true;
    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error> {
        Ok(Place::Gather { axis: self.order.axis, indices: self.order.first(keys, Some(self.k))? })
    }
    fn sides(&self, keys: &Tensor<f64>, see: &mut dyn FnMut(Side)) {
        self.order.sides(keys, self.k, "topk", see);
    }
}

/// The elements where the keys are not 0.
#[derive(Debug, Clone, PartialEq)]
struct Masked;

impl Selection for Masked {
    const NAME: &'static str = "masked_select";
    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error> {
        let chosen: Vec<usize> = keys.as_slice().iter().enumerate().filter(|(_, key)| **key != T::ZERO).map(|(at, _)| at).collect();
        Ok(Place::Flat { indices: Indices::from(chosen) })
    }
    fn sides(&self, keys: &Tensor<f64>, see: &mut dyn FnMut(Side)) {
        for key in keys.as_slice() {
            see(Side { function: "masked_select", side: key.partial_cmp(&0.0), distance: key.abs() });
        }
    }
}

#[inline(never)]
fn sort(axis: isize, descending: bool) -> Handle {
    Handle::new(Pick(Sort { axis, descending }))
}

#[inline(never)]
fn topk(k: usize, axis: isize, largest: bool) -> Handle {
    Handle::new(Pick(TopK { k, order: Sort { axis, descending: largest } }))
}

#[inline(never)]
fn masked_select() -> Handle {
    Handle::new(Choose(Masked))
}

fn selected_by_mask<T: Real, A: Algebra<T>>(x: &A, mask: &A) -> A {
    match x.shape().broadcast(&mask.shape()) {
        Ok(common) => A::call(masked_select(), &[&mask.broadcast_as(&common), &x.broadcast_as(&common)]),
        Err(error) => x.refused(error),
    }
}

methods! {
    /// The elements along an axis in ascending, or descending, order. Equal ones keep their order; NaN counts as the largest.
    ///
    /// The gradient of each goes back to where it came from. [`Var::argsort`](crate::Var::argsort) tells where that is.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, 1.0, 2.0]);
    /// let y = x.sort(0, false);
    /// assert_eq!(y.value()?, tensor![1.0, 2.0, 3.0]);
    /// let cotangent = tensor![10.0, 20.0, 30.0];
    /// assert_eq!(y.backward_with(&cotangent)?.wrt(x)?, &tensor![30.0, 10.0, 20.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn sort(x; axis: isize, descending: bool) = sort(axis, descending), samples: {
        [[4]] => |x| x[0].sort(0, false);
        [[3, 2]] => |x| x[0].sort(0, true);
        [[1, 2, 3, 2]] => |x| x[0].sort(-2, false);
        [[2, 0]] => |x| x[0].sort(1, false);
    }, errors: {
        [[4]] => |x| x[0].sort(1, false), "there is no axis 1";
        [[]] => |x| x[0].sort(0, false), "a scalar has none";
    };

    /// The `k` largest, or smallest, elements along an axis, the most extreme first. Of equal ones the first are taken; NaN counts as the largest.
    ///
    /// [`Var::topk_indices`](crate::Var::topk_indices) tells where they are.
    ///
    /// # Errors
    /// An axis that is not there, a `k` above its length.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, 1.0, 2.0]);
    /// let y = x.topk(2, 0, true);
    /// assert_eq!(y.value()?, tensor![3.0, 2.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![1.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn topk(x; k: usize, axis: isize, largest: bool) = topk(k, axis, largest), samples: {
        [[4]] => |x| x[0].topk(2, 0, true);
        [[3, 2]] => |x| x[0].topk(1, 0, false);
        [[1, 2, 3, 2]] => |x| x[0].topk(2, -2, true);
        [[2, 3]] => |x| x[0].topk(3, 1, true);
        [[2, 3]] => |x| x[0].topk(0, 1, true);
        [[0, 3]] => |x| x[0].topk(2, 1, false);
    }, errors: {
        [[4]] => |x| x[0].topk(5, 0, true), "k = 5: it must not be above the length of the axis";
        [[4]] => |x| x[0].topk(1, 1, true), "there is no axis 1";
    };

    /// The elements of `x` where the mask is not 0, in row-major order, as a vector. The two are broadcast first.
    ///
    /// # Errors
    /// Shapes that do not broadcast.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, -2.0, 3.0]);
    /// let y = x.masked_select(x.gt(0.0));
    /// assert_eq!(y.value()?, tensor![1.0, 3.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![1.0, 0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn masked_select(x, mask) => selected_by_mask(x, mask), samples: {
        [[2, 3], ([2, 3], (1.0, 2.0))] => |x| x[0].masked_select(x[1]);
        [[4]] => |x| x[0].masked_select(x[0].gt(0.0));
        [[2, 1], ([3], (1.0, 2.0))] => |x| x[0].masked_select(x[1]);
        [[1, 2, 2, 1], ([2], (-0.5, -0.1))] => |x| x[0].masked_select(x[1]);
        [[2, 0], ([1], (1.0, 2.0))] => |x| x[0].masked_select(x[1]);
        [[], ([], (1.0, 2.0))] => |x| x[0].masked_select(x[1]);
    }, errors: {
        [[2], ([3], (1.0, 2.0))] => |x| x[0].masked_select(x[1]), "do not broadcast";
    };
}

impl<T: Real> Tensor<T> {
    /// For each lane along an axis, the positions of its elements in ascending, or descending, order; see [`Var::sort`].
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// let x = autograd::tensor![3.0, 1.0, 2.0];
    /// assert_eq!(x.argsort(0, false)?.as_slice(), [1, 2, 0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Result<Indices, Error> {
        let at = Location::caller();
        Sort { axis, descending }.first(self, None).map_err(|error| error.in_op("argsort", || vec![*self.shape()]).at(at))
    }

    /// For each lane along an axis, the positions of its `k` largest, or smallest, elements; see [`Var::topk`].
    ///
    /// # Errors
    /// An axis that is not there, a `k` above its length.
    ///
    /// ```
    /// let x = autograd::tensor![3.0, 1.0, 2.0];
    /// assert_eq!(x.topk_indices(2, 0, true)?.as_slice(), [0, 2]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn topk_indices(&self, k: usize, axis: isize, largest: bool) -> Result<Indices, Error> {
        let at = Location::caller();
        let order = Sort { axis, descending: largest };
        order.first(self, Some(k)).map_err(|error| error.in_op("topk_indices", || vec![*self.shape()]).at(at))
    }
}

impl<T: Real> Var<'_, T> {
    /// For each lane along an axis, the positions of its elements in ascending, or descending, order; they have no gradient.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to this variable; an axis that is not there.
    #[track_caller]
    pub fn argsort(self, axis: isize, descending: bool) -> Result<Indices, Error> {
        self.graph().read_positions(self, "argsort", Location::caller());
        self.value()?.argsort(axis, descending)
    }

    /// For each lane along an axis, the positions of its `k` largest, or smallest, elements; they have no gradient.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to this variable; an axis that is not there, a `k` above its length.
    #[track_caller]
    pub fn topk_indices(self, k: usize, axis: isize, largest: bool) -> Result<Indices, Error> {
        self.graph().read_positions(self, "topk_indices", Location::caller());
        self.value()?.topk_indices(k, axis, largest)
    }
}
