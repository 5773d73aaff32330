//! Reductions over axes: sum, mean, product, extremes, counting.

use std::borrow::Cow;

use super::{Algebra, Handle, Linearity, Op, Sink, each, erased::Fixed, methods, scan};
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

/// How something along an axis is written.
pub(crate) fn along(name: &str, axis: isize) -> Cow<'static, str> {
    Over::axes(axis, false).notation(name)
}

impl Over {
    const ALL: Over = Over { axes: Axes::ALL, keepdim: false };

    pub(crate) fn axes(axes: impl Into<Axes>, keepdim: bool) -> Over {
        Over { axes: axes.into(), keepdim }
    }

    /// How a reduction of that name is written.
    pub(crate) fn notation(&self, name: &str) -> Cow<'static, str> {
        format!("{name}({{0}}{})", self.axes.notation()).into()
    }

    /// The shape with the axes at length 1, and the shape of the result.
    pub(crate) fn shapes(&self, shape: &Shape) -> Result<(Shape, Shape), Error> {
        let flags = self.axes.flags(shape)?;
        Ok((shape.without(flags, true), shape.without(flags, self.keepdim)))
    }

    /// How many elements go into one result.
    pub(crate) fn count(&self, shape: &Shape) -> Result<usize, Error> {
        let flags = self.axes.flags(shape)?;
        Ok(shape.iter().zip(flags).filter(|(_, flag)| *flag).map(|(n, _)| n).product())
    }

    /// A linear reduction of each entry of a stack of tangents of `x`, where `y` is that of `x`.
    fn each<T: Real>(
        &self,
        x: &Tensor<T>,
        y: &Tensor<T>,
        dx: &Tensor<T>,
        reduction: impl FnOnce(&Tensor<T>, &Shape) -> Result<Tensor<T>, Error>,
    ) -> Option<Tensor<T>> {
        let count = each::count(dx)?;
        let kept = self.kept(x.shape()).stacked(count).ok()?;
        Some(reduction(dx, &kept).ok()?.with_shape(y.shape().stacked(count).ok()?))
    }

    /// The same axes, kept at length 1.
    pub(crate) fn keeping(&self) -> Over {
        Over { axes: self.axes.clone(), keepdim: true }
    }

    /// The shape with the axes at length 1, where the forward rule has accepted them.
    pub(crate) fn kept(&self, shape: &Shape) -> Shape {
        self.axes.flags(shape).map_or(Shape::SCALAR, |flags| shape.without(flags, true))
    }
}

#[derive(Debug)]
struct Sum(Over);

impl Op<1> for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(self.0.notation("sum"))
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
        out.add_stretched(0, g.shaped(&self.0.kept(&shape)));
    }
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        self.0.each(x, y, dx?, reduce::sum_to)
    }
}

#[derive(Debug)]
struct Mean(Over);

impl Op<1> for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(self.0.notation("mean"))
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
        let kept = self.0.kept(&shape);
        // How many elements go into one mean.
        let count = shape.len() as f64 / kept.len().max(1) as f64;
        out.add_stretched(0, g.divided(count).shaped(&kept));
    }
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        self.0.each(x, y, dx?, reduce::mean_to)
    }
}

#[derive(Debug)]
struct Prod(Over);

impl Op<1> for Prod {
    fn name(&self) -> &'static str {
        "prod"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.0.shapes(x.shape())?;
        Ok(reduce::fold_to(reduce::Product, x, &kept)?.with_shape(shape).cast())
    }
    /// dxᵢ = g·(Π x before i)·(Π x after i): nothing is divided, so that zeros do no harm.
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let shape = x.shape();
        let Ok(flags) = self.0.axes.flags(&shape) else { return };
        let others = others(x, &shape, &flags[..shape.rank()]);
        out.add(0, g.shaped(&self.0.kept(&shape)).masked_mul(&others));
    }
}

/// For each element the product of all others with which it is multiplied over the flagged axes.
fn others<T: Real, A: Algebra<T>>(x: &A, shape: &Shape, flags: &[bool]) -> A {
    let lengths = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product();
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..shape.rank()).partition(|&axis| flags[axis]);
    let are_neighbours = inside.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let before = inside.first().map_or(0, |first| *first);
    // The axes as one, brought to the end unless they are one already.
    let (permuted, dims) = if are_neighbours {
        (x.clone(), [lengths(&outside[..before]), lengths(&inside), lengths(&outside[before..])])
    } else {
        let order: Vec<isize> = outside.iter().chain(&inside).map(|axis| axis.cast_signed()).collect();
        (x.permute(order), [lengths(&outside), lengths(&inside), 1])
    };
    let row = match Shape::new(&dims) {
        Ok(rows) => permuted.shaped(&rows),
        Err(error) => return x.refused(error),
    };
    let [left, right] = [false, true].map(|reverse| A::call(scan::cumulative_product(1, reverse, true), &[&row]));
    let others = left.mul(&right).shaped(&permuted.shape());
    if are_neighbours {
        return others;
    }
    let mut inverse = vec![0; shape.rank()];
    for (to, from) in outside.into_iter().chain(inside).enumerate() {
        inverse[from] = to.cast_signed();
    }
    others.permute(inverse)
}

/// The largest or the smallest element.
#[derive(Debug)]
struct Extreme {
    over: Over,
    is_largest: bool,
}

impl Extreme {
    fn of<T: Real>(&self, x: &Tensor<T>, kept: &Shape) -> Result<Tensor<T>, Error> {
        if self.is_largest { reduce::max_to(x, kept) } else { reduce::fold_to(reduce::Smallest, x, kept) }
    }
}

impl Op<1> for Extreme {
    fn name(&self) -> &'static str {
        if self.is_largest { "amax" } else { "amin" }
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(self.over.notation(self.name()))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.over.shapes(x.shape())?;
        if x.is_empty() && !kept.is_empty() {
            let what = if self.is_largest { "maximum" } else { "minimum" };
            return Err(ErrorKind::Empty { what, shape: *x.shape() }.into());
        }
        Ok(self.of(x, &kept)?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        // The gradient is shared equally among the ties.
        let kept = self.over.kept(&x.shape());
        let is_extreme = x.eq(&y.shaped(&kept));
        let share = g.shaped(&kept).div(&is_extreme.sum_to(&kept));
        out.add(0, is_extreme.masked_mul(&share));
    }
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        // Which elements are the extremes: the gap to them is 0 or not.
        let extreme = self.of(x, &self.over.kept(x.shape())).and_then(|y| y.broadcast_as(x.shape()));
        for (x, y) in x.as_slice().iter().zip(extreme.iter().flat_map(Tensor::as_slice)) {
            see(Side { function: self.name(), side: x.partial_cmp(y), distance: (y - x).abs() });
        }
    }
}

/// How many elements are not 0, or whether any or all are. NaN is not 0.
#[derive(Debug)]
struct NonZero {
    over: Over,
    asked: Asked,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Count,
    Any,
    All,
}

/// The number of elements that are not 0, with the axes at length 1.
pub(crate) fn count_of<T: Real>(x: &Tensor<T>, kept: &Shape) -> Result<Tensor<f64>, Error> {
    reduce::sum_of(x, &Tensor::scalar(0.0), kept, |x, zero| if x == zero { 0.0 } else { 1.0 })
}

impl Op<1> for NonZero {
    fn name(&self) -> &'static str {
        match self.asked {
            Asked::Count => "count_nonzero",
            Asked::Any => "any",
            Asked::All => "all",
        }
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.over.shapes(x.shape())?;
        let n = self.over.count(x.shape())? as f64;
        let counts = count_of(x, &kept)?.with_shape(shape);
        match self.asked {
            Asked::Count => Ok(counts.cast()),
            Asked::Any => Ok(counts.step()?.cast()),
            Asked::All => Ok(counts.eq(&Tensor::scalar(n))?.cast()),
        }
    }
    /// The slope is 0.
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, _g: &A, _out: &mut dyn Sink<T, A>) {}
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        for x in x.as_slice() {
            see(Side { function: self.name(), side: x.partial_cmp(&0.0), distance: x.abs() });
        }
    }
}

#[derive(Debug)]
struct SumTo(Shape);

impl Op<1> for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(format!("sum({{0}}, to {})", self.0).into())
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
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        let shape = y.shape().stacked(each::count(dx?)?).ok()?;
        let kept = each::padded(&shape, x.rank())?;
        Some(reduce::sum_to(dx?, &kept).ok()?.with_shape(shape))
    }
}

/// The sum of all elements. It and the mean stand in nearly every loss, and are made once.
#[inline(never)]
fn sum_of_all() -> Handle {
    static SUM: Fixed<Sum, Sum, 1, false> = Fixed::new(Sum(Over::ALL));
    Handle::fixed(&SUM)
}

/// The mean of all elements.
#[inline(never)]
fn mean_of_all() -> Handle {
    static MEAN: Fixed<Mean, Mean, 1, false> = Fixed::new(Mean(Over::ALL));
    Handle::fixed(&MEAN)
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
fn prod(over: Over) -> Handle {
    Handle::new(Prod(over))
}

#[inline(never)]
fn extreme(over: Over, is_largest: bool) -> Handle {
    Handle::new(Extreme { over, is_largest })
}

#[inline(never)]
fn non_zero(over: Over, asked: Asked) -> Handle {
    Handle::new(NonZero { over, asked })
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
    fn sum(x) = sum_of_all(), samples: {
        [[2, 3]] => |x| x[0].sum();
        [[]] => |x| x[0].sum();
        [[2, 1, 2, 2]] => |x| x[0].sum();
        [[2, 0]] => |x| x[0].sum();
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
        [[2, 1, 2, 2]] => |x| x[0].sum_axes([3, 0], true);
        [[2, 0]] => |x| x[0].sum_axes(1, false);
        [[]] => |x| x[0].sum_axes(.., true);
    }, errors: {
        [[2, 3]] => |x| x[0].sum_axes(2, false), "there is no axis 2: the tensor has 2";
        [[2, 3]] => |x| x[0].sum_axes([0, -2], false), "axis -2 is named twice";
        [[]] => |x| x[0].sum_axes(0, false), "a scalar has none";
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
    fn mean(x) = mean_of_all(), samples: {
        [[2, 3]] => |x| x[0].mean();
        [[2, 1, 2, 2]] => |x| x[0].mean();
        [[]] => |x| x[0].mean();
    }, errors: {
        [[2, 0]] => |x| x[0].mean(), "there is nothing to take the mean of";
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
        [[2, 1, 2, 2]] => |x| x[0].mean_axes([0, 2], true);
        [[0, 2]] => |x| x[0].mean_axes(1, false);
    }, errors: {
        [[0, 2]] => |x| x[0].mean_axes(0, false), "there is nothing to take the mean of";
        [[2]] => |x| x[0].mean_axes(1, false), "there is no axis 1";
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
    fn amax(x; axes: impl Into<Axes>, keepdim: bool) = extreme(Over::axes(axes, keepdim), true), samples: {
        [[2, 3, 2]] => |x| x[0].amax([1], false);
        [[2, 3]] => |x| x[0].amax([0, 1], true);
        [[2, 1, 3, 2]] => |x| x[0].amax([0, 2], false);
        [[0, 3]] => |x| x[0].amax([1], false);
    }, errors: {
        [[0, 3]] => |x| x[0].amax([0], false), "there is nothing to take the maximum of";
        [[2]] => |x| x[0].amax([1], false), "there is no axis 1";
    };

    /// The smallest element over some axes, which are removed, or kept at length 1 if `keepdim`. NaN if there is one.
    ///
    /// The gradient is shared equally among elements that tie.
    ///
    /// # Errors
    /// An axis that is not there or is named twice; the minimum of no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 7.0], [5.0, 5.0]]);
    /// let y = x.amin([1], false);
    /// assert_eq!(y.value()?, tensor![1.0, 5.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![[1.0, 0.0], [0.5, 0.5]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn amin(x; axes: impl Into<Axes>, keepdim: bool) = extreme(Over::axes(axes, keepdim), false), samples: {
        [[2, 3, 2]] => |x| x[0].amin([1], false);
        [[2, 3]] => |x| x[0].amin(.., true);
        [[2, 1, 3, 2]] => |x| x[0].amin([0, 2], false);
        [[0, 3]] => |x| x[0].amin([1], false);
    }, errors: {
        [[0, 3]] => |x| x[0].amin([0], false), "there is nothing to take the minimum of";
        [[2]] => |x| x[0].amin([0, -1], false), "axis -1 is named twice";
    };

    /// Π x over all elements; a scalar. The product of nothing is 1.
    ///
    /// The gradient is made of the products of the others, from the left and from the right, and not of a quotient: it is right with any
    /// number of zeros, at any order.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![2.0, 0.0, 3.0]);
    /// assert_eq!(x.prod().item()?, 0.0);
    /// assert_eq!(x.prod().backward()?.wrt(x)?, &tensor![0.0, 6.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn prod(x) = prod(Over::ALL), samples: {
        [[2, 3]] => |x| x[0].prod();
        [[]] => |x| x[0].prod();
        [[0]] => |x| x[0].prod();
        [[2, 1, 2, 2]] => |x| x[0].prod();
    };

    /// Π x over some axes, which are removed, or kept at length 1 if `keepdim`; see [`Var::prod`](crate::Var::prod).
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.prod_axes([0], false).value()?, tensor![3.0, 8.0]);
    /// assert_eq!(x.prod_axes([-1], true).value()?, tensor![[2.0], [12.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn prod_axes(x; axes: impl Into<Axes>, keepdim: bool) = prod(Over::axes(axes, keepdim)), samples: {
        [[2, 3, 2]] => |x| x[0].prod_axes([1], false);
        [[2, 3, 2]] => |x| x[0].prod_axes([0, -1], true);
        [[2, 1, 2, 3]] => |x| x[0].prod_axes([3, 0, 1], false);
        [[3]] => |x| x[0].prod_axes([], false);
        [[2, 0]] => |x| x[0].prod_axes([1], false);
    }, errors: {
        [[2, 3]] => |x| x[0].prod_axes([2], false), "there is no axis 2";
        [[2, 3]] => |x| x[0].prod_axes([1, -1], false), "axis -1 is named twice";
    };

    /// 1 where any element over some axes is not 0, else 0; the axes are removed, or kept at length 1 if `keepdim`. Of no elements 0.
    /// NaN is not 0. The slope is 0 everywhere.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[0.0, 2.0], [0.0, 0.0]]);
    /// assert_eq!(x.any([1], false).value()?, tensor![1.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn any(x; axes: impl Into<Axes>, keepdim: bool) = non_zero(Over::axes(axes, keepdim), Asked::Any), samples: {
        [[2, 3]] => |x| x[0].any([1], false);
        [[2, 1, 3, 2]] => |x| x[0].any([0, 2], true);
        [[2, 0]] => |x| x[0].any([1], false);
    }, errors: {
        [[2, 3]] => |x| x[0].any([2], false), "there is no axis 2";
    };

    /// 1 where all elements over some axes are not 0, else 0; the axes are removed, or kept at length 1 if `keepdim`. Of no elements 1.
    /// NaN is not 0. The slope is 0 everywhere.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[0.0, 2.0], [-1.0, 2.0]]);
    /// assert_eq!(x.all([1], false).value()?, tensor![0.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn all(x; axes: impl Into<Axes>, keepdim: bool) = non_zero(Over::axes(axes, keepdim), Asked::All), samples: {
        [[2, 3]] => |x| x[0].all([1], false);
        [[2, 1, 3, 2]] => |x| x[0].all([0, 2], true);
        [[2, 0]] => |x| x[0].all([1], false);
    }, errors: {
        [[2, 3]] => |x| x[0].all([2], false), "there is no axis 2";
    };

    /// How many elements over some axes are not 0; the axes are removed, or kept at length 1 if `keepdim`. NaN is not 0. The slope is 0
    /// everywhere.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[0.0, 2.0], [-1.0, 2.0]]);
    /// assert_eq!(x.count_nonzero([1], false).value()?, tensor![1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn count_nonzero(x; axes: impl Into<Axes>, keepdim: bool) = non_zero(Over::axes(axes, keepdim), Asked::Count), samples: {
        [[2, 3]] => |x| x[0].count_nonzero([1], false);
        [[2, 1, 3, 2]] => |x| x[0].count_nonzero(.., true);
        [[2, 0]] => |x| x[0].count_nonzero([1], false);
    }, errors: {
        [[2, 3]] => |x| x[0].count_nonzero([-3], false), "there is no axis -3";
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
        [[2, 1, 2, 2]] => |x| x[0].sum_to(Shape::ones(3));
        [[2, 0]] => |x| x[0].sum_to(Shape::ones(1));
    }, errors: {
        [[]] => |x| x[0].sum_to(Shape::ones(1)), "does not stretch to";
    };
}
