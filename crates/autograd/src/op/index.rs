//! Indexing: taking elements from places, and the transposed map, adding elements to places.

use std::borrow::Cow;

use super::{Algebra, Handle, Linearity, Op, Place, Sink, Variadic, Window, each, methods};
use crate::{
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::{Axes, Shape},
    tensor::{Tensor, kernel::allocate},
};

#[derive(Debug)]
struct Take {
    name: &'static str,
    place: Place,
}

impl Op<1> for Take {
    fn name(&self) -> &'static str {
        self.name
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(format!("{{0}}[{}]", self.place.notation()).into())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        self.place.take(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add_at(0, &self.place, g.clone());
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        self.place.behind()?.take(dx?).ok()
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
    fn notation(&self) -> Option<Cow<'static, str>> {
        let [place] = &self.places[..] else { return None };
        Some(format!("put({{0}}, {})", place.notation()).into())
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
    fn jvp_each<T: Real>(&self, _x: &[&Tensor<T>], y: &Tensor<T>, dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        let shape = y.shape().stacked(each::count(dx.iter().flatten().next()?)?).ok()?;
        let places = self.places.iter().map(Place::behind).collect::<Option<Vec<Place>>>()?;
        let mut whole = allocate(shape.len()).ok()?;
        for (place, part) in places.iter().zip(dx) {
            if let Some(part) = part {
                place.add_to(part.as_slice(), &mut whole, &shape).ok()?;
            }
        }
        Some(Tensor::of(shape, whole))
    }
}

#[inline(never)]
pub(crate) fn take(name: &'static str, place: Place) -> Handle {
    Handle::new(Take { name, place })
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
fn slice(name: &'static str, axis: isize, range: (std::ops::Bound<isize>, std::ops::Bound<isize>), step: isize) -> Handle {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match range.0 {
        Included(start) => start,
        // After the last position there is nothing.
        Excluded(-1) => return take(name, Place::Slice { axis, start: isize::MAX, end: Some(isize::MAX), step }),
        Excluded(before) => before.saturating_add(1),
        Unbounded => 0,
    };
    let end = match range.1 {
        // Up to and with the last position is up to the end.
        Included(-1) | Unbounded => None,
        Included(last) => Some(last.saturating_add(1)),
        Excluded(end) => Some(end),
    };
    take(name, Place::Slice { axis, start, end, step })
}

fn windows(window: Window) -> Place {
    Place::Windows { windows: vec![window], inside_first: false }
}

fn flipped<T: Real, A: Algebra<T>>(x: &A, axes: &Axes) -> A {
    match axes.positions(&x.shape()) {
        Ok(axes) => {
            axes.into_iter().fold(x.clone(), |y, axis| y.take(Place::Slice { axis: axis.cast_signed(), start: 0, end: None, step: -1 }))
        }
        Err(error) => x.refused(error),
    }
}

fn taken_along<T: Real, A: Algebra<T>>(x: &A, indices: &Indices, axis: isize) -> A {
    let place = || -> Result<_, Error> {
        let (own, listed) = (x.shape(), *indices.shape());
        let along = own.axis(axis)?;
        if own.rank() != listed.rank() {
            return Err(ErrorKind::Mismatch { expected: own, found: listed, except: Some(along) }.into());
        }
        let common = own.with(along, 1)?.broadcast(&listed.with(along, 1)?)?;
        Ok((common.with(along, own[along])?, indices.broadcast(common.with(along, listed[along])?)))
    };
    match place() {
        Ok((full, indices)) => x.broadcast_as(&full).gather(axis, &indices),
        Err(error) => x.refused(error),
    }
}

/// The place of a sample: windows of every other of three positions, along both last axes.
fn two_windows() -> Place {
    let window = |axis| Window { axis, size: 2, step: 1, dilation: 2 };
    Place::Windows { windows: vec![window(-2), window(-1)], inside_first: true }
}

/// Indices of samples: positions and shape fit.
pub(super) fn at<const N: usize, const R: usize>(positions: [usize; N], shape: [usize; R]) -> Indices {
    Indices::new(positions.to_vec(), shape).unwrap_or_else(|_| Indices::from(Vec::new()))
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
    fn slice(x; axis: isize, range: impl std::ops::RangeBounds<isize>) = slice("slice", axis, bounds(&range), 1), samples: {
        [[4, 3]] => |x| x[0].slice(0, 1..3);
        [[2, 4, 2]] => |x| x[0].slice(1, -2..);
        [[3]] => |x| x[0].slice(0, ..=1);
        [[1, 2, 3, 2]] => |x| x[0].slice(-2, 1..);
        [[0, 2]] => |x| x[0].slice(0, ..);
    }, errors: {
        [[4, 3]] => |x| x[0].slice(2, ..), "there is no axis 2";
        [[4, 3]] => |x| x[0].slice(0, 2..6), "the range 2..6 is not inside an axis of length 4";
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
    fn index_select(x; axis: isize, indices: &Indices) = take("index_select", Place::Select { axis, indices: indices.clone() }), samples: {
        [[4, 3]] => |x| x[0].index_select(0, &Indices::from(vec![3, 1, 1]));
        [[2, 3, 2]] => |x| x[0].index_select(1, &Indices::from(vec![2, 0, 2, 2]));
        [[1, 2, 3, 2]] => |x| x[0].index_select(-2, &at([2, 0, 1, 1], [2, 2]));
        [[0, 3]] => |x| x[0].index_select(1, &Indices::from(vec![1]));
    }, errors: {
        [[4, 3]] => |x| x[0].index_select(0, &Indices::from(vec![4])), "index 4 is outside an axis of length 4";
        [[4, 3]] => |x| x[0].index_select(2, &Indices::from(vec![0])), "there is no axis 2";
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
    fn gather(x; axis: isize, indices: &Indices) = take("gather", Place::Gather { axis, indices: indices.clone() }), samples: {
        [[3, 4]] => |x| x[0].gather(1, &at([2, 0, 1, 3, 3, 3], [3, 2]));
        [[3, 2]] => |x| x[0].gather(0, &at([2, 0], [1, 2]));
        [[1, 2, 2, 3]] => |x| x[0].gather(-1, &at([2, 0, 1, 1], [1, 2, 2, 1]));
        [[2, 0]] => |x| x[0].gather(0, &at([], [1, 0]));
    }, errors: {
        [[3, 4]] => |x| x[0].gather(1, &at([4], [1, 1])), "index 4 is outside an axis of length 4";
        [[3, 4]] => |x| x[0].gather(1, &at([0], [1])), "does not match";
        [[1, 4]] => |x| x[0].gather(1, &at([0, 0], [2, 1])), "only axis 1 may differ";
    };

    /// Every `step`-th of the positions of one axis that lie in a range. With a negative step they are taken from the last one of the range to the
    /// first: `slice_step(0, .., -1)` turns the axis round.
    ///
    /// # Errors
    /// An axis that is not there, a range that is not inside it, a step of 0.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 4.0, 5.0]);
    /// assert_eq!(x.slice_step(0, 1.., 2).value()?, tensor![2.0, 4.0]);
    /// assert_eq!(x.slice_step(0, ..4, -2).value()?, tensor![4.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn slice_step(x; axis: isize, range: impl std::ops::RangeBounds<isize>, step: isize) = slice("slice_step", axis, bounds(&range), step), samples: {
        [[5]] => |x| x[0].slice_step(0, .., -1);
        [[2, 5]] => |x| x[0].slice_step(1, 1..5, 2);
        [[4, 2]] => |x| x[0].slice_step(0, ..-1, -2);
        [[1, 2, 4, 2]] => |x| x[0].slice_step(-2, .., 3);
        [[3]] => |x| x[0].slice_step(0, 1..1, -1);
        [[3]] => |x| x[0].slice_step(0, .., isize::MAX);
        [[3]] => |x| x[0].slice_step(0, .., isize::MIN);
        [[0, 2]] => |x| x[0].slice_step(0, .., -3);
    }, errors: {
        [[3]] => |x| x[0].slice_step(0, .., 0), "step = 0: it must not be 0";
        [[3]] => |x| x[0].slice_step(0, 1..7, 2), "the range 1..7 is not inside an axis of length 3";
    };

    /// Axes turned round: the last position comes first.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.flip(1).value()?, tensor![[2.0, 1.0], [4.0, 3.0]]);
    /// assert_eq!(x.flip(..).value()?, tensor![[4.0, 3.0], [2.0, 1.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn flip(x; axes: impl Into<Axes>) => flipped(x, &axes.into()), samples: {
        [[2, 3]] => |x| x[0].flip(1);
        [[2, 1, 2, 3]] => |x| x[0].flip([0, -1]);
        [[2, 2]] => |x| x[0].flip(..);
        [[]] => |x| x[0].flip(..);
        [[0, 2]] => |x| x[0].flip([0, 1]);
    }, errors: {
        [[2]] => |x| x[0].flip(1), "there is no axis 1";
        [[2]] => |x| x[0].flip([0, -1]), "is named twice";
    };

    /// Windows of `size` positions that slide along an axis by `step`: the axis becomes the axis of windows, and the positions in a window
    /// become the last axis, as in PyTorch. Positions in several windows get the sum of the gradients.
    ///
    /// # Errors
    /// An axis that is not there, a window longer than it, a size or step of 0.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 4.0]);
    /// let y = x.unfold(0, 2, 1);
    /// assert_eq!(y.value()?, tensor![[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![1.0, 2.0, 2.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn unfold(x; axis: isize, size: usize, step: usize) = take("unfold", windows(Window { axis, size, step, dilation: 1 })), samples: {
        [[5]] => |x| x[0].unfold(0, 2, 1);
        [[5, 2]] => |x| x[0].unfold(0, 3, 2);
        [[1, 2, 4, 2]] => |x| x[0].unfold(2, 2, 2);
        [[0, 3]] => |x| x[0].unfold(1, 2, 1);
        [[3]] => |x| x[0].unfold(-1, 1, usize::MAX);
    }, errors: {
        [[3]] => |x| x[0].unfold(0, 4, 1), "does not fit into an axis of length 3";
        [[3]] => |x| x[0].unfold(0, 0, 1), "window size = 0: it must be at least 1";
        [[3]] => |x| x[0].unfold(0, 2, 0), "step = 0: it must be at least 1";
    };

    /// Rows of a table, one for each index: `index_select` along axis 0, by its name for tables of word vectors.
    ///
    /// # Errors
    /// A scalar, an index outside the table.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let table = g.variable(tensor![[0.1, 0.2], [0.3, 0.4]]);
    /// let words = Indices::new(vec![1, 0, 1, 1], [2, 2])?;
    /// assert_eq!(table.embedding(&words).shape()?, [2, 2, 2]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn embedding(table; indices: &Indices) => table.index_select(0, indices), samples: {
        [[3, 2]] => |x| x[0].embedding(&Indices::from(vec![2, 0, 2]));
        [[2, 1, 2, 1]] => |x| x[0].embedding(&Indices::from(vec![1]));
        [[3, 2]] => |x| x[0].embedding(&Indices::from(vec![]));
        [[3, 0]] => |x| x[0].embedding(&Indices::from(vec![2, 0]));
    }, errors: {
        [[3, 2]] => |x| x[0].embedding(&Indices::from(vec![3])), "index 3 is outside an axis of length 3";
        [[]] => |x| x[0].embedding(&Indices::from(vec![0])), "a scalar has none";
    };

    /// As [`Var::gather`](crate::Var::gather), after the other axes of `x` and of the indices have been broadcast, as in `NumPy`.
    ///
    /// # Errors
    /// An axis that is not there, ranks that differ, axes that do not broadcast, an index outside the axis.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// let second = Indices::new(vec![1], [1, 1])?;
    /// assert_eq!(x.take_along_axis(&second, 1).value()?, tensor![[2.0], [4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn take_along_axis(x; indices: &Indices, axis: isize) => taken_along(x, indices, axis), samples: {
        [[3, 2]] => |x| x[0].take_along_axis(&at([2, 0], [2, 1]), 0);
        [[1, 3]] => |x| x[0].take_along_axis(&at([2, 0, 1, 1], [2, 2]), 1);
        [[2, 1, 2, 2]] => |x| x[0].take_along_axis(&at([1, 0, 1], [1, 1, 1, 3]), -1);
        [[0, 3]] => |x| x[0].take_along_axis(&at([2], [1, 1]), 1);
    }, errors: {
        [[3, 2]] => |x| x[0].take_along_axis(&at([3, 0], [2, 1]), 0), "index 3 is outside an axis of length 3";
        [[3, 2]] => |x| x[0].take_along_axis(&at([0], [1]), 0), "does not match";
        [[3, 2]] => |x| x[0].take_along_axis(&at([0, 0, 0], [1, 3]), 0), "do not broadcast";
    };

    /// `x` with each element of `source` added where `indices` say: at its own position, except along `axis`. Indices and source have one
    /// shape, not longer than `x` in the other axes. `y[indices[i][j]][j] += source[i][j]` for axis 0.
    ///
    /// # Errors
    /// Shapes that differ, indices of another rank or too long, an index outside the axis.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, source) = (g.variable(tensor![1.0, 1.0, 1.0]), g.variable(tensor![5.0, 6.0, 7.0]));
    /// let y = x.scatter_add(source, 0, &Indices::from(vec![2, 0, 2]));
    /// assert_eq!(y.value()?, tensor![7.0, 1.0, 13.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn scatter_add(x, source; axis: isize, indices: &Indices) =>
        x.add(&source.put(Place::Gather { axis, indices: indices.clone() }, &x.shape())), samples: {
        [[3], [4]] => |x| x[0].scatter_add(x[1], 0, &at([2, 0, 2, 1], [4]));
        [[3, 2], [2, 2]] => |x| x[0].scatter_add(x[1], 0, &at([2, 0, 2, 2], [2, 2]));
        [[1, 2, 2, 2], [1, 1, 2, 3]] => |x| x[0].scatter_add(x[1], -1, &at([1, 0, 1, 0, 0, 0], [1, 1, 2, 3]));
        [[3], [0]] => |x| x[0].scatter_add(x[1], 0, &at([], [0]));
    }, errors: {
        [[3], [2]] => |x| x[0].scatter_add(x[1], 0, &at([2, 0, 2], [3])), "shape [2] does not match [3]";
        [[3], [1]] => |x| x[0].scatter_add(x[1], 0, &at([3], [1])), "index 3 is outside an axis of length 3";
        [[3, 2], [1]] => |x| x[0].scatter_add(x[1], 0, &at([0], [1])), "does not match";
    };

    /// `x` with the positions of `source` along `axis` added to the listed positions. The source has the shape of `x`, but for the axis,
    /// which is as long as the list.
    ///
    /// # Errors
    /// Shapes that differ, an index outside the axis.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 1.0], [1.0, 1.0]]);
    /// let source = g.variable(tensor![[5.0, 6.0], [7.0, 8.0]]);
    /// let y = x.index_add(source, 0, &Indices::from(vec![1, 1]));
    /// assert_eq!(y.value()?, tensor![[1.0, 1.0], [13.0, 15.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn index_add(x, source; axis: isize, indices: &Indices) =>
        x.add(&source.put(Place::Select { axis, indices: indices.clone() }, &x.shape())), samples: {
        [[3], [4]] => |x| x[0].index_add(x[1], 0, &Indices::from(vec![2, 0, 2, 1]));
        [[2, 3], [2, 2]] => |x| x[0].index_add(x[1], 1, &Indices::from(vec![2, 2]));
        [[1, 2, 2, 2], [1, 1, 2, 2]] => |x| x[0].index_add(x[1], 1, &Indices::from(vec![1]));
        [[2, 0], [3, 0]] => |x| x[0].index_add(x[1], 0, &Indices::from(vec![1, 0, 1]));
    }, errors: {
        [[3], [2]] => |x| x[0].index_add(x[1], 0, &Indices::from(vec![2, 0, 2])), "shape [2] does not match [3]";
        [[3], [1]] => |x| x[0].index_add(x[1], 0, &Indices::from(vec![3])), "index 3 is outside an axis of length 3";
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
    fn take(x; place: Place) = take("take", place), samples: {
        [[4, 3]] => |x| x[0].take(Place::Slice { axis: -1, start: 0, end: Some(2), step: 1 });
        [[2, 3]] => |x| x[0].take(Place::Flat { indices: at([5, 0, 5, 1], [2, 2]) });
        [[3, 2, 2]] => |x| x[0].take(Place::Diagonal { offset: -1, a: 0, b: -1 });
        [[1, 1, 4, 4]] => |x| x[0].take(two_windows());
        [[0, 3, 3]] => |x| x[0].take(two_windows());
    }, errors: {
        [[2, 3]] => |x| x[0].take(Place::Flat { indices: at([6], [1]) }), "index 6 is outside an axis of length 6";
        [[2, 3]] => |x| x[0].take(Place::Diagonal { offset: 0, a: 1, b: -1 }), "is named twice";
        [[2, 3]] => |x| x[0].take(two_windows()), "does not fit into an axis of length 2";
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
        [[2]] => |x| x[0].put(Place::Flat { indices: at([0, 0], [2]) }, Shape::ones(4));
    }, errors: {
        [[2]] => |x| x[0].put(Place::Flat { indices: at([0], [1]) }, Shape::ones(1)), "does not match";
        [[1]] => |x| x[0].put(Place::Flat { indices: at([1], [1]) }, Shape::ones(1)), "index 1 is outside";
    };
}
