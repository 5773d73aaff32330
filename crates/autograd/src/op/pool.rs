//! Pooling: means and maxima of windows that slide over tensors.

use super::{
    Algebra, Handle, Linearity, Op, Place, Sink, Window, methods,
    select::{Pick, Selection, check_shape},
    window::{PerAxis, Pool, parameter},
};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{
            allocate, overwritten,
            window::{Span, Windows, each_window, means, spread},
        },
    },
};

/// How windows lie along an axis.
#[derive(Debug, Clone, Copy)]
enum Along {
    Pool {
        size: usize,
        stride: usize,
        padding: usize,
    },
    /// So many windows, which together cover the axis: the i-th of n goes from ⌊i·len/n⌋ to ⌈(i+1)·len/n⌉.
    Adaptive(usize),
}

impl Along {
    fn count(self, len: usize) -> Result<usize, Error> {
        match self {
            Along::Pool { size, padding, .. } if padding > size / 2 => {
                Err(parameter("padding", padding, "it must be at most half the size of a window"))
            }
            Along::Pool { size, stride, padding } => {
                Window { axis: 0, size, step: stride, dilation: 1 }.count(len.saturating_add(padding.saturating_mul(2)))
            }
            Along::Adaptive(0) => Err(parameter("size", 0, "it must be at least 1")),
            Along::Adaptive(n) => Ok(n),
        }
    }

    /// The `i`-th window, without the padding.
    fn span(self, i: usize, len: usize) -> Span {
        match self {
            Along::Pool { size, stride, padding } => {
                let inside = |place: usize| place.saturating_sub(padding).min(len);
                Span { start: inside(i * stride), end: inside(i * stride + size), count: size as f64 }
            }
            Along::Adaptive(n) => {
                // The products may be longer than a place, the quotients are not.
                let (i, len, n) = (i as u128, len as u128, n as u128);
                let (start, end) = ((i * len / n) as usize, ((i + 1) * len).div_ceil(n) as usize);
                Span { start, end, count: (end - start) as f64 }
            }
        }
    }

    fn spans(self, len: usize) -> Result<Vec<Span>, Error> {
        let (n, mut spans) = (self.count(len)?, Vec::new());
        spans.try_reserve_exact(n).map_err(|_| ErrorKind::OutOfMemory { elements: n })?;
        spans.extend((0..n).map(|i| self.span(i, len)));
        Ok(spans)
    }
}

/// The means over windows of an axis: pooling. Or the transposed map, which spreads each element over its window.
#[derive(Debug, Clone, Copy)]
struct Means {
    axis: usize,
    /// The length of the axis.
    len: usize,
    along: Along,
    is_transposed: bool,
}

impl Op<1> for Means {
    fn name(&self) -> &'static str {
        if self.is_transposed { "spread" } else { "means" }
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let &Means { axis, len, along, is_transposed } = self;
        let shape = x.shape().with(axis, if is_transposed { len } else { along.count(len)? })?;
        if x.is_empty() || shape.is_empty() {
            // Means of nothing but padding, if of anything.
            return Tensor::filled(T::ZERO, shape);
        }
        let transform = if is_transposed { spread } else { means };
        transform(x, axis, &along.spans(len)?, shape)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::apply(Means { is_transposed: !self.is_transposed, ..*self }, [g]));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        Means { axis: self.axis + 1, ..*self }.forward([dx?]).ok()
    }
}

fn check_rank(x: &Shape, d: usize) -> Result<(), Error> {
    if x.rank() < d {
        return Err(ErrorKind::Rank { expected: if d == 1 { "at least 1 axis" } else { "at least 2 axes" }, found: x.rank() }.into());
    }
    Ok(())
}

/// The means over windows of the last axes, one axis after the other.
#[inline(never)]
fn means_along(x: &Shape, along: &[Along]) -> Result<Vec<Handle>, Error> {
    check_rank(x, along.len())?;
    let first = x.rank() - along.len();
    let last_axes = along.iter().zip(&x[first..]).enumerate();
    if along.iter().any(|along| matches!(along, Along::Adaptive(_))) && x[first..].contains(&0) {
        return Err(ErrorKind::Empty { what: "mean", shape: *x }.into());
    }
    Ok(last_axes.map(|(i, (&along, &len))| Handle::new(Means { axis: first + i, len, along, is_transposed: false })).collect())
}

impl<const D: usize> Pool<D> {
    fn along(&self) -> [Along; D] {
        std::array::from_fn(|i| Along::Pool { size: self.size[i], stride: self.stride[i], padding: self.padding[i] })
    }
}

fn pooled<T: Real, A: Algebra<T>>(x: &A, along: &[Along]) -> A {
    match means_along(&x.shape(), along) {
        Ok(handles) => handles.into_iter().fold(x.clone(), |x, handle| A::call(handle, &[&x])),
        Err(error) => x.refused(error),
    }
}

/// The largest elements of windows.
#[derive(Debug, Clone, PartialEq)]
struct MaxPool<const D: usize>(Pool<D>);

impl<const D: usize> MaxPool<D> {
    /// How the windows lie over the last axes, unless there is none, and the shape of the result.
    fn layout(&self, x: &Shape) -> Result<(Option<Windows>, Shape), Error> {
        check_rank(x, D)?;
        let (first, along) = (x.rank() - D, self.0.along());
        let mut shape = *x;
        for (i, along) in along.iter().enumerate() {
            shape = shape.with(first + i, along.count(x[first + i])?)?;
        }
        if x.is_empty() && !shape.is_empty() {
            return Err(ErrorKind::Empty { what: "maximum", shape: *x }.into());
        }
        let [rows @ .., columns] = &along[..] else { return Ok((None, shape)) };
        if x.is_empty() {
            return Ok((None, shape));
        }
        let (height, width) = (x[first..x.rank() - 1].iter().product(), x[x.rank() - 1]);
        let windows = Windows {
            matrices: x[..first].iter().product(),
            size: (height, width),
            rows: rows.first().map_or(Ok(vec![Span { start: 0, end: 1, count: 1.0 }]), |rows| rows.spans(height))?,
            columns: columns.spans(width)?,
            breadth: self.0.size[D - 1],
            stride: self.0.stride[D - 1],
            padding: self.0.padding[D - 1],
        };
        Ok((Some(windows), shape))
    }
}

impl<const D: usize> Selection for MaxPool<D> {
    const NAME: &'static str = if D == 1 { "max_pool1d" } else { "max_pool2d" };

    fn place<T: Real>(&self, keys: &Tensor<T>) -> Result<Place, Error> {
        let (windows, shape) = self.layout(keys.shape())?;
        let winners = windows.map_or_else(|| Ok(Vec::new()), |windows| windows.winners(keys.as_slice()))?;
        Ok(Place::Flat { indices: Indices::new(winners, shape)? })
    }

    fn chosen<T: Real>(&self, keys: &Tensor<T>) -> Result<Tensor<T>, Error> {
        let (windows, shape) = self.layout(keys.shape())?;
        let mut y = overwritten(shape.len())?;
        if let Some(windows) = windows {
            windows.largest(keys.as_slice(), &mut y)?;
        }
        Ok(Tensor::of(shape, y))
    }

    fn spread<T: Real>(&self, keys: &Tensor<T>, v: &Tensor<T>) -> Result<Tensor<T>, Error> {
        let (windows, expected) = self.layout(keys.shape())?;
        check_shape(v, expected)?;
        let mut whole = allocate(keys.len())?;
        if let Some(windows) = windows {
            windows.add_to_winners(keys.as_slice(), v.as_slice(), &mut whole)?;
        }
        Ok(Tensor::of(*keys.shape(), whole))
    }

    fn sides(&self, keys: &Tensor<f64>, see: &mut dyn FnMut(Side)) {
        // Which elements are the largest of each window: the gap to the maximum is 0 or above.
        let (Ok((Some(windows), _)), x) = (self.layout(keys.shape()), keys.as_slice()) else { return };
        let width = windows.size.1;
        each_window(&windows, |first, height, breadth| {
            let inside = || (0..height).flat_map(|row| &x[first + row * width..first + row * width + breadth]);
            let largest = inside().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            for v in inside() {
                see(Side { function: Self::NAME, side: v.partial_cmp(&largest), distance: largest - v });
            }
        });
    }
}

#[inline(never)]
fn max_pool1d(pool: Pool<1>) -> Handle {
    Handle::new(Pick(MaxPool(pool)))
}

#[inline(never)]
fn max_pool2d(pool: Pool<2>) -> Handle {
    Handle::new(Pick(MaxPool(pool)))
}

methods! {
    /// The largest element of each window along the last axis, as PyTorch's `max_pool1d`. The pool is the size of the windows, or a
    /// [`Pool`] with stride and padding; padding is never the largest. NaN is, if there is one.
    ///
    /// The gradient goes to the first of elements that tie.
    ///
    /// # Errors
    /// A scalar, a size or stride of 0, padding above half the size, windows that are longer than the padded axis, or that hold nothing.
    ///
    /// ```
    /// # use autograd::{Graph, Pool, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, 1.0, 4.0, 1.0, 5.0]);
    /// assert_eq!(x.max_pool1d(2).value()?, tensor![3.0, 4.0]);
    /// assert_eq!(x.max_pool1d(Pool::new(3).stride(2).padding(1)).value()?, tensor![3.0, 4.0, 5.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn max_pool1d(x; pool: impl Into<Pool<1>>) = max_pool1d(pool.into()), samples: {
        [[2, 5]] => |x| x[0].max_pool1d(2);
        [[2, 1, 5]] => |x| x[0].max_pool1d(Pool::new(3).stride(1).padding(1));
        [[0, 3]] => |x| x[0].max_pool1d(2);
        [[1, 2, 1, 4]] => |x| x[0].max_pool1d(2);
    }, errors: {
        [[]] => |x| x[0].max_pool1d(1), "at least 1 axis";
        [[3]] => |x| x[0].max_pool1d(4), "a window of 4 positions";
        [[3]] => |x| x[0].max_pool1d(0), "window size = 0";
        [[0]] => |x| x[0].max_pool1d(Pool::new(2).padding(1)), "nothing to take the maximum of";
    };

    /// The largest element of each window along the last two axes, as PyTorch's `max_pool2d`. The pool is the size of the windows, as in
    /// `2` or `[2, 3]`, or a [`Pool`] with stride and padding; padding is never the largest. NaN is, if there is one.
    ///
    /// The gradient goes to the first of elements that tie, in row-major order.
    ///
    /// # Errors
    /// Less than two axes, a size or stride of 0, padding above half the size, windows that are longer than the padded axis, or that hold
    /// nothing.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0, 0.0, 7.0], [4.0, 3.0, 7.0, 0.0]]);
    /// let y = x.max_pool2d(2);
    /// assert_eq!(y.value()?, tensor![[4.0, 7.0]]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn max_pool2d(x; pool: impl Into<Pool<2>>) = max_pool2d(pool.into()), samples: {
        [[4, 4]] => |x| x[0].max_pool2d(2);
        [[1, 2, 3, 3]] => |x| x[0].max_pool2d(Pool::new(3).stride([1, 2]).padding(1));
        [[2, 3, 2]] => |x| x[0].max_pool2d([2, 1]);
        [[0, 1, 2, 2]] => |x| x[0].max_pool2d(2);
    }, errors: {
        [[3]] => |x| x[0].max_pool2d(1), "at least 2 axes";
        [[3, 3]] => |x| x[0].max_pool2d(Pool::new(2).padding(2)), "padding = 2: it must be at most half the size of a window";
        [[3, 3]] => |x| x[0].max_pool2d(Pool::new(2).stride(0)), "step = 0";
        [[3, 3]] => |x| x[0].max_pool2d([1, 4]), "a window of 4 positions";
    };

    /// The mean of each window along the last axis, as PyTorch's `avg_pool1d`; padding counts as zeros. The pool is the size of the
    /// windows, or a [`Pool`] with stride and padding.
    ///
    /// # Errors
    /// A scalar, a size or stride of 0, padding above half the size, windows that are longer than the padded axis.
    ///
    /// ```
    /// # use autograd::{Graph, Pool, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, 1.0, 4.0, 2.0]);
    /// assert_eq!(x.avg_pool1d(2).value()?, tensor![2.0, 3.0]);
    /// assert_eq!(x.avg_pool1d(Pool::new(2).padding(1)).value()?, tensor![1.5, 2.5, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn avg_pool1d(x; pool: impl Into<Pool<1>>) => pooled(x, &pool.into().along()), samples: {
        [[2, 5]] => |x| x[0].avg_pool1d(2);
        [[2, 1, 5]] => |x| x[0].avg_pool1d(Pool::new(3).stride(1).padding(1));
        [[0, 3]] => |x| x[0].avg_pool1d(2);
        [[1, 2, 1, 4]] => |x| x[0].avg_pool1d(2);
    }, errors: {
        [[]] => |x| x[0].avg_pool1d(1), "at least 1 axis";
        [[3]] => |x| x[0].avg_pool1d(4), "a window of 4 positions";
        [[3]] => |x| x[0].avg_pool1d(Pool::new(3).padding(2)), "padding = 2";
    };

    /// The mean of each window along the last two axes, as PyTorch's `avg_pool2d`; padding counts as zeros. The pool is the size of the
    /// windows, as in `2` or `[2, 3]`, or a [`Pool`] with stride and padding.
    ///
    /// # Errors
    /// Less than two axes, a size or stride of 0, padding above half the size, windows that are longer than the padded axis.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0, 0.0, 8.0], [4.0, 5.0, 4.0, 0.0]]);
    /// assert_eq!(x.avg_pool2d(2).value()?, tensor![[3.0, 3.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn avg_pool2d(x; pool: impl Into<Pool<2>>) => pooled(x, &pool.into().along()), samples: {
        [[4, 4]] => |x| x[0].avg_pool2d(2);
        [[1, 2, 3, 3]] => |x| x[0].avg_pool2d(Pool::new(3).stride([1, 2]).padding(1));
        [[2, 3, 2]] => |x| x[0].avg_pool2d([2, 1]);
        [[0, 1, 2, 2]] => |x| x[0].avg_pool2d(2);
    }, errors: {
        [[3]] => |x| x[0].avg_pool2d(1), "at least 2 axes";
        [[3, 3]] => |x| x[0].avg_pool2d(Pool::new(2).stride(0)), "step = 0";
        [[3, 3]] => |x| x[0].avg_pool2d([1, 4]), "a window of 4 positions";
    };

    /// Means over the last two axes to a result of that size, as PyTorch's `adaptive_avg_pool2d`: the i-th of n windows goes from
    /// ⌊i·length/n⌋ to ⌈(i + 1)·length/n⌉; windows overlap where n does not divide the length.
    ///
    /// # Errors
    /// Less than two axes, a size of 0, axes of length 0.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2]).value()?, tensor![[3.5, 4.5]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn adaptive_avg_pool2d(x; size: impl PerAxis<2>) => pooled(x, &size.per_axis().map(Along::Adaptive)), samples: {
        [[3, 5]] => |x| x[0].adaptive_avg_pool2d([2, 3]);
        [[2, 1, 2, 3]] => |x| x[0].adaptive_avg_pool2d(1);
        [[1, 2, 3]] => |x| x[0].adaptive_avg_pool2d([3, 4]);
        [[0, 2, 3]] => |x| x[0].adaptive_avg_pool2d(2);
    }, errors: {
        [[3]] => |x| x[0].adaptive_avg_pool2d(1), "at least 2 axes";
        [[3, 3]] => |x| x[0].adaptive_avg_pool2d([1, 0]), "size = 0: it must be at least 1";
        [[3, 0]] => |x| x[0].adaptive_avg_pool2d(1), "nothing to take the mean of";
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;

    /// Values and places by the definition.
    fn by_definition(x: &[f64], (height, width): (usize, usize), pool: Pool<2>) -> Vec<(f64, usize)> {
        let mut found = Vec::new();
        let [rows, columns] = pool.along();
        for matrix in 0..x.len() / (height * width) {
            for row in rows.spans(height).unwrap() {
                for column in columns.spans(width).unwrap() {
                    let mut best: Option<(f64, usize)> = None;
                    for i in row.start..row.end {
                        for j in column.start..column.end {
                            let at = (matrix * height + i) * width + j;
                            if best.is_none_or(|(b, _)| !b.is_nan() && (x[at] > b || x[at].is_nan())) {
                                best = Some((x[at], at));
                            }
                        }
                    }
                    found.extend(best);
                }
            }
        }
        found
    }

    #[test]
    fn windows_of_any_size_hold_a_short_axis() {
        let x = Tensor::new(vec![3.0f32, 1.0, 4.0], [3]).unwrap();
        let y = x.max_pool1d(Pool::new(1 << 40).stride(1).padding(1 << 39)).unwrap();
        assert_eq!(y.as_slice(), [4.0; 4]);
        assert_eq!(x.max_pool1d(Pool::new(usize::MAX).padding(usize::MAX / 2)).unwrap().as_slice(), [4.0]);
    }

    #[test]
    fn the_largest_are_those_of_the_definition() {
        let pool = |size: [usize; 2], stride: [usize; 2], padding: [usize; 2]| Pool { size, stride, padding };
        let pools = [
            pool([2, 2], [2, 2], [0, 0]),
            pool([3, 3], [2, 2], [1, 1]),
            pool([1, 3], [1, 1], [0, 1]),
            pool([3, 2], [1, 3], [1, 1]),
            pool([2, 5], [3, 7], [1, 2]),
            pool([4, 4], [usize::MAX, usize::MAX], [2, 2]),
            pool([3, 19], [3, 19], [0, 0]),
            // Few windows in a row, and windows that are mostly padding.
            pool([2, 19], [2, usize::MAX], [0, 0]),
            pool([2, 16], [1, 30], [1, 8]),
            pool([2, 300], [1, 1], [0, 150]),
            pool([1 << 40, 1 << 40], [1, 1], [1 << 39, 1 << 39]),
            pool([usize::MAX, usize::MAX], [usize::MAX, 1], [usize::MAX / 2, usize::MAX / 2]),
        ];
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, f64::NEG_INFINITY];
        for (height, width) in [(5, 19), (9, 47), (3, 130)] {
            let mut state = 1u64;
            let x: Vec<f64> = (0..7 * height * width)
                .map(|i| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Ties are frequent; there are matrices of -inf and others of special numbers.
                    match i / (height * width) {
                        0 => f64::NEG_INFINITY,
                        1 => special[(state >> 40) as usize % special.len()],
                        _ => ((state >> 40) % 16) as f64,
                    }
                })
                .collect();
            for pool in pools {
                let expected = by_definition(&x, (height, width), pool);
                let g = Graph::<f64>::new();
                let v = g.variable(Tensor::new(x.clone(), [7, height, width]).unwrap());
                let single = g.variable(Tensor::new(x.clone(), [7, height, width]).unwrap().cast::<f32>().cast::<f64>());
                let y = v.max_pool2d(pool);
                let mut d = vec![0.0; x.len()];
                expected.iter().enumerate().for_each(|(i, (_, at))| d[*at] += i as f64);
                let incoming = Tensor::new((0..expected.len()).map(|i| i as f64).collect::<Vec<_>>(), *y.value().unwrap().shape()).unwrap();
                for (y, (value, _)) in y.value().unwrap().as_slice().iter().zip(&expected) {
                    assert_eq!(y.to_bits(), value.to_bits(), "{pool:?}");
                }
                assert_eq!(y.backward_with(&incoming).unwrap().wrt(v).unwrap().as_slice(), d, "{pool:?}");
                let of_f32 = single.value().unwrap().cast::<f32>().max_pool2d(pool).unwrap();
                assert!(of_f32.as_slice().iter().zip(&expected).all(|(a, (b, _))| f64::from(*a) == *b || b.is_nan() && a.is_nan()));
                let places = MaxPool(pool).place(&v.value().unwrap()).unwrap();
                let Place::Flat { indices } = places else { panic!("max_pool2d stands at flat places") };
                assert!(indices.as_slice().iter().zip(&expected).all(|(a, (_, b))| a == b), "{pool:?}");
            }
        }
    }
}
