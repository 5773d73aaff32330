//! Reductions over axes: sum, mean, maximum.

use super::{Algebra, Handle, Linearity, Op, Sink, methods};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    real::Real,
    shape::{Axes, Shape},
    tensor::{Tensor, kernel::reduce},
};

/// The axes a reduction goes over.
#[derive(Debug, Clone)]
pub(crate) struct Over {
    axes: Axes,
    keepdim: bool,
}

impl Over {
    pub(crate) fn axes(axes: impl Into<Axes>, keepdim: bool) -> Over {
        Over { axes: axes.into(), keepdim }
    }

    fn all() -> Over {
        Over::axes(.., false)
    }

    /// The shape with the axes at length 1, and the shape of the result.
    pub(crate) fn shapes(&self, shape: &Shape) -> Result<(Shape, Shape), Error> {
        let flags = self.axes.flags(shape)?;
        Ok((shape.without(flags, true), shape.without(flags, self.keepdim)))
    }

    /// The shape with the axes at length 1, where the forward rule has accepted them.
    pub(crate) fn kept(&self, shape: &Shape) -> Shape {
        self.shapes(shape).map_or(Shape::SCALAR, |(kept, _)| kept)
    }
}

#[derive(Debug)]
struct Sum(Over);

impl Op<1> for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.0.shapes(x.shape())?;
        Ok(reduce::sum_to(x, &kept)?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let shape = x.shape();
        out.add(0, g.reshape_as(&self.0.kept(&shape)).broadcast_as(&shape));
    }
}

#[derive(Debug)]
struct Mean(Over);

impl Mean {
    /// How many elements go into one mean.
    fn count(&self, shape: &Shape) -> f64 {
        shape.len() as f64 / self.0.kept(shape).len().max(1) as f64
    }
}

impl Op<1> for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.0.shapes(x.shape())?;
        if x.is_empty() && !kept.is_empty() {
            return Err(ErrorKind::Empty { what: "mean", shape: *x.shape() }.into());
        }
        Ok(reduce::mean_to(x, &kept)?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let shape = x.shape();
        out.add(0, g.div_lit(self.count(&shape)).reshape_as(&self.0.kept(&shape)).broadcast_as(&shape));
    }
}

#[derive(Debug)]
struct Amax(Over);

impl Op<1> for Amax {
    fn name(&self) -> &'static str {
        "amax"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.0.shapes(x.shape())?;
        if x.is_empty() && !kept.is_empty() {
            return Err(ErrorKind::Empty { what: "maximum", shape: *x.shape() }.into());
        }
        Ok(reduce::max_to(x, &kept)?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        // The gradient is shared equally among the ties.
        let kept = self.0.kept(&x.shape());
        let is_largest = x.eq(&y.reshape_as(&kept));
        let share = g.reshape_as(&kept).div(&is_largest.sum_to(&kept));
        out.add(0, is_largest.masked_mul(&share));
    }
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        // Which elements are the largest: the gap to the maximum is 0 or above.
        let largest = reduce::max_to(x, &self.0.kept(x.shape())).and_then(|y| y.broadcast_as(x.shape()));
        for (x, y) in x.as_slice().iter().zip(largest.iter().flat_map(Tensor::as_slice)) {
            see(Side { function: "amax", side: x.partial_cmp(y), distance: y - x });
        }
    }
}

#[derive(Debug)]
struct SumTo(Shape);

impl Op<1> for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        if !self.0.stretches_to(x.shape()) {
            return Err(ErrorKind::Stretch { from: self.0, to: *x.shape() }.into());
        }
        reduce::sum_to(x, &self.0)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.broadcast_as(&x.shape()));
    }
}

#[inline(never)]
fn sum(over: Over) -> Handle {
    Handle::new(Sum(over))
}

#[inline(never)]
fn mean(over: Over) -> Handle {
    Handle::new(Mean(over))
}

#[inline(never)]
fn amax(over: Over) -> Handle {
    Handle::new(Amax(over))
}

#[inline(never)]
fn sum_to(shape: &Shape) -> Handle {
    Handle::new(SumTo(*shape))
}

methods! {
    /// Σ x over all elements; a scalar. The sum of nothing is 0.
    ///
    /// Sums are taken in blocks of double precision, in an order that never changes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0]);
    /// assert_eq!(x.sum().item()?, 6.0);
    /// assert_eq!(x.sum().backward()?.wrt(x)?, &tensor![1.0, 1.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn sum(x) = sum(Over::all()), samples: {
        [[2, 3]] => |x| x[0].sum();
        [[]] => |x| x[0].sum();
    };

    /// Σ x over some axes, which are removed, or kept at length 1 if `keepdim`.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.sum_axes([0], false).value()?, tensor![4.0, 6.0]);
    /// assert_eq!(x.sum_axes([-1], true).value()?, tensor![[3.0], [7.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn sum_axes(x; axes: impl Into<Axes>, keepdim: bool) = sum(Over::axes(axes, keepdim)), samples: {
        [[2, 3, 2]] => |x| x[0].sum_axes([1], false);
        [[2, 3, 2]] => |x| x[0].sum_axes([0, -1], true);
        [[3]] => |x| x[0].sum_axes([], false);
    };

    /// The arithmetic mean of all elements; a scalar.
    ///
    /// # Errors
    /// The mean of no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 6.0]);
    /// assert_eq!(x.mean().item()?, 3.0);
    /// assert_eq!(x.mean().backward()?.wrt(x)?, &tensor![0.25, 0.25, 0.25, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn mean(x) = mean(Over::all()), samples: {
        [[2, 3]] => |x| x[0].mean();
    };

    /// The arithmetic mean over some axes, which are removed, or kept at length 1 if `keepdim`.
    ///
    /// # Errors
    /// An axis that is not there or is named twice; the mean of no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 3.0], [5.0, 9.0]]);
    /// assert_eq!(x.mean_axes([1], false).value()?, tensor![2.0, 7.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn mean_axes(x; axes: impl Into<Axes>, keepdim: bool) = mean(Over::axes(axes, keepdim)), samples: {
        [[2, 3, 2]] => |x| x[0].mean_axes([0, 2], false);
        [[2, 3]] => |x| x[0].mean_axes([-1], true);
    };

    /// The largest element over some axes, which are removed, or kept at length 1 if `keepdim`. NaN if there is one.
    ///
    /// The gradient is shared equally among elements that tie.
    ///
    /// # Errors
    /// An axis that is not there or is named twice; the maximum of no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 7.0], [5.0, 5.0]]);
    /// let y = x.amax([1], false);
    /// assert_eq!(y.value()?, tensor![7.0, 5.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![[0.0, 1.0], [0.5, 0.5]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn amax(x; axes: impl Into<Axes>, keepdim: bool) = amax(Over::axes(axes, keepdim)), samples: {
        [[2, 3, 2]] => |x| x[0].amax([1], false);
        [[2, 3]] => |x| x[0].amax([0, 1], true);
    };

    /// The sum over the axes along which `shape` was stretched to the shape of `x`: what undoes broadcasting.
    ///
    /// # Errors
    /// A shape that does not stretch to that of `x`.
    ///
    /// ```
    /// # use autograd::{Graph, Shape, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.sum_to(&Shape::new(&[2])?).value()?, tensor![4.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn sum_to(x; shape: &Shape) = sum_to(shape), samples: {
        [[2, 3]] => |x| x[0].sum_to(&Shape::SCALAR);
        [[2, 3]] => |x| x[0].sum_to(Shape::ones(2));
    };
}
