//! Indexing: taking elements from places, and the transposed map, adding elements to places.

use super::{Algebra, Handle, Linearity, Op, Place, Sink, Variadic, methods};
use crate::{
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::allocate},
};

#[derive(Debug)]
struct Take(Place);

impl Op<1> for Take {
    fn name(&self) -> &'static str {
        match self.0 {
            Place::Slice { .. } => "slice",
            Place::Select { .. } => "index_select",
            Place::Gather { .. } => "gather",
            Place::Flat { .. } => "take",
            Place::Diagonal { .. } => "diagonal",
            Place::Windows { .. } => "windows",
        }
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        self.0.take(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add_at(0, &self.0, g.clone());
    }
}

/// Zeros of a shape, to which each input is added at its own place: the transpose of taking from those places.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) places: Vec<Place>,
    pub(crate) shape: Shape,
}

impl Variadic for Put {
    fn name(&self) -> &'static str {
        "put"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        let mut whole = allocate(self.shape.len())?;
        for (place, part) in self.places.iter().zip(x) {
            let expected = place.shape(&self.shape)?;
            if *part.shape() != expected {
                return Err(ErrorKind::Mismatch { expected, found: *part.shape(), except: None }.into());
            }
            place.add_to(part.as_slice(), &mut whole, &self.shape)?;
        }
        Ok(Tensor::of(self.shape, whole))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: &[&A], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        for (k, place) in self.places.iter().enumerate() {
            if out.needs(k) {
                out.add(k, g.take(place.clone()));
            }
        }
    }
}

#[inline(never)]
pub(crate) fn take(place: Place) -> Handle {
    Handle::new(Take(place))
}

#[inline(never)]
pub(crate) fn put(places: Vec<Place>, shape: Shape) -> Handle {
    Handle::variadic(Put { places, shape })
}

#[inline(never)]
fn put_at(place: Place, shape: &Shape) -> Handle {
    put(vec![place], *shape)
}

/// The start and end of a range of positions.
fn slice(axis: isize, range: (std::ops::Bound<isize>, std::ops::Bound<isize>)) -> Handle {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match range.0 {
        Included(start) => start,
        // After the last position there is nothing.
        Excluded(-1) => return take(Place::Slice { axis, start: isize::MAX, end: Some(isize::MAX), step: 1 }),
        Excluded(before) => before.saturating_add(1),
        Unbounded => 0,
    };
    let end = match range.1 {
        // Up to and with the last position is up to the end.
        Included(-1) | Unbounded => None,
        Included(last) => Some(last.saturating_add(1)),
        Excluded(end) => Some(end),
    };
    take(Place::Slice { axis, start, end, step: 1 })
}

fn bounds(range: &impl std::ops::RangeBounds<isize>) -> (std::ops::Bound<isize>, std::ops::Bound<isize>) {
    (range.start_bound().cloned(), range.end_bound().cloned())
}

methods! {
    /// The positions of one axis that lie in a range; negative ones count from the end.
    ///
    /// # Errors
    /// An axis that is not there, a range that is not inside it.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.slice(0, 1..3).value()?, tensor![2.0, 3.0]);
    /// assert_eq!(x.slice(0, -1..).value()?, tensor![4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn slice(x; axis: isize, range: impl std::ops::RangeBounds<isize>) = slice(axis, bounds(&range)), samples: {
        [[4, 3]] => |x| x[0].slice(0, 1..3);
        [[2, 4, 2]] => |x| x[0].slice(1, -2..);
        [[3]] => |x| x[0].slice(0, ..=1);
    };

    /// The positions of one axis that are listed, in that order, repeated or not. The axis takes the shape of the list.
    ///
    /// The gradient of a position is the sum over its repetitions.
    ///
    /// # Errors
    /// An axis that is not there, an index outside it.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![10.0, 20.0, 30.0]);
    /// let y = x.index_select(0, &Indices::from(vec![2, 0, 2]));
    /// assert_eq!(y.value()?, tensor![30.0, 10.0, 30.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![1.0, 0.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn index_select(x; axis: isize, indices: &Indices) = take(Place::Select { axis, indices: indices.clone() }), samples: {
        [[4, 3]] => |x| x[0].index_select(0, &Indices::from(vec![3, 1, 1]));
        [[2, 3, 2]] => |x| x[0].index_select(1, &Indices::from(vec![2, 0, 2, 2]));
    };

    /// For each entry of `indices`, the element at its own position, except along `axis`, where the entry says which.
    ///
    /// `y[i][j] = x[indices[i][j]][j]` for axis 0. The indices have as many axes as `x`, none longer than its own, except `axis`.
    ///
    /// # Errors
    /// Indices of another rank or too long, an index outside the axis.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let scores = g.variable(tensor![[0.1, 0.9], [0.8, 0.2]]);
    /// let labels = Indices::new(vec![1, 0], [2, 1])?;
    /// assert_eq!(scores.gather(1, &labels).value()?, tensor![[0.9], [0.8]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn gather(x; axis: isize, indices: &Indices) = take(Place::Gather { axis, indices: indices.clone() }), samples: {
        [[3, 4]] => |x| match Indices::new(vec![2, 0, 1, 3, 3, 3], [3, 2]) { Ok(i) => x[0].gather(1, &i), Err(_) => x[0] };
        [[3, 2]] => |x| match Indices::new(vec![2, 0], [1, 2]) { Ok(i) => x[0].gather(0, &i), Err(_) => x[0] };
    };

    /// The elements that stand at a [`Place`]; the general form of `slice`, `index_select` and `gather`.
    ///
    /// # Errors
    /// A place that is not inside the shape.
    ///
    /// ```
    /// # use autograd::{Graph, op::Place, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0]);
    /// assert_eq!(x.take(Place::Slice { axis: 0, start: 1, end: None, step: 1 }).value()?, tensor![2.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn take(x; place: Place) = take(place), samples: {
        [[4, 3]] => |x| x[0].take(Place::Slice { axis: -1, start: 0, end: Some(2), step: 1 });
    };

    /// Zeros of a shape with `x` added at a [`Place`]: the transposed map of [`Var::take`](crate::Var::take).
    ///
    /// # Errors
    /// A place that is not inside the shape, or that is not of the shape of `x`.
    ///
    /// ```
    /// # use autograd::{Graph, Shape, op::Place, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// let y = x.put(Place::Slice { axis: 0, start: 1, end: None, step: 1 }, &Shape::new(&[3])?);
    /// assert_eq!(y.value()?, tensor![0.0, 1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn put(x; place: Place, shape: &Shape) = put_at(place, shape), samples: {
        [[1, 1]] => |x| x[0].put(Place::Select { axis: 1, indices: Indices::from(vec![0]) }, Shape::ones(2));
    };
}
