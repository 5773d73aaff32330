//! Normalising along axes: logsumexp, softmax and its logarithm, stable for inputs of any size.

use std::borrow::Cow;

use super::{
    Algebra, Handle, Op, Place, Sink, each,
    index::at,
    methods,
    reduce::{Over, along},
};
use crate::{
    elementary::{Derivation, Function, derivation},
    error::{Error, ErrorKind},
    function,
    indices::Indices,
    real::Real,
    shape::{Axes, Shape},
    tensor::{
        Tensor,
        kernel::{pointwise::map, reduce, softmax as softmax_kernel},
    },
};

/// max x, and Σ e^(x − max x), over the axes; both with the axes at length 1.
///
/// With an infinite maximum the differences are NaN, and so are all weights of a softmax; `is_finite` takes 0 in its place, which is right
/// for the sum alone.
fn shifted_sum<T: Real>(x: &Tensor<T>, over: &Over, is_finite: bool) -> Result<(Tensor<T>, Tensor<T>), Error> {
    let (kept, _) = over.shapes(x.shape())?;
    if x.is_empty() && !kept.is_empty() {
        return Err(ErrorKind::Empty { what: "logarithm of the sum of exponentials", shape: *x.shape() }.into());
    }
    // Where the axes are the last ones, each row is read once.
    if let Some(n) = row_length(x.shape(), &kept) {
        return softmax_kernel::rows(x, n, &kept, is_finite);
    }
    let mut largest = reduce::max_to(x, &kept)?;
    if is_finite {
        largest = map(&function!(|m| (0.0 * m).eq(0.0).select(m, 0.0)), [&largest])?;
    }
    let sum = reduce::sum_to(&map(&function!(|x, m| (x - m).exp()), [x, &largest])?, &kept)?;
    Ok((largest, sum))
}

/// The number of elements in a row, if there are several and `kept`, with a number for each row, lacks only the last axes of `shape`.
fn row_length(shape: &Shape, kept: &Shape) -> Option<usize> {
    let n = shape.len() / kept.len().max(1);
    let trailing = kept.iter().rev().take_while(|&&length| length == 1).count();
    (n > 1 && kept.rank() == shape.rank() && kept.stretches_to(shape) && shape[shape.rank() - trailing..].iter().product::<usize>() == n)
        .then_some(n)
}

/// g·softmax(x), the gradient of ln Σ eˣ = y: both stretch to the shape of x.
#[derive(Debug)]
struct WeightedSoftmax;

impl WeightedSoftmax {
    fn function() -> impl Function<3> {
        function!(|x, y, g| g.masked_mul((x - y).exp()))
    }
}

impl Op<3> for WeightedSoftmax {
    fn name(&self) -> &'static str {
        "weighted_softmax"
    }
    fn forward<T: Real>(&self, [x, y, g]: [&Tensor<T>; 3]) -> Result<Tensor<T>, Error> {
        match row_length(x.shape(), y.shape()) {
            Some(n) if g.shape() == y.shape() && y.len() > 1 => softmax_kernel::weighted(x, n, y, g),
            _ => map(&Self::function(), [x, y, g]),
        }
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, x: [&A; 3], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        A::chain(&Self::function(), x, y, g, out);
    }
    fn jvp<T: Real, A: Algebra<T>>(&self, x: [&A; 3], y: &A, dx: [Option<&A>; 3]) -> Option<A> {
        Some(A::tangent(&Self::function(), x, y, dx))
    }
    fn jvp_each<T: Real>(&self, x: [&Tensor<T>; 3], y: &Tensor<T>, dx: [Option<&Tensor<T>>; 3]) -> Option<Tensor<T>> {
        each::tangents(&Self::function(), x, y, dx)
    }
    fn derivation(&self) -> Option<Derivation> {
        Some(derivation(&Self::function()))
    }
}

#[inline(never)]
fn weighted_softmax() -> Handle {
    Handle::new(WeightedSoftmax)
}

#[derive(Debug)]
struct LogSumExp(Over);

impl Op<1> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(self.0.notation(self.name()))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (largest, sum) = shifted_sum(x, &self.0, true)?;
        let (_, shape) = self.0.shapes(x.shape())?;
        Ok(map(&function!(|m, s| m + s.ln()), [&largest, &sum])?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let kept = self.0.kept(&x.shape());
        let (y, g) = (y.shaped(&kept), g.shaped(&kept));
        out.add(0, A::call(weighted_softmax(), &[x, &y, &g]));
    }
}

#[derive(Debug)]
struct Softmax(isize);

impl Op<1> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.0))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (largest, sum) = shifted_sum(x, &Over::axes(self.0, true), false)?;
        map(&function!(|x, m, s| (x - m).exp() / s), [x, &largest, &sum])
    }
    /// dxᵢ = yᵢ(gᵢ − Σⱼ gⱼ yⱼ)
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let mean = g.masked_mul(y).sum_axes([self.0], true);
        out.add(0, A::map(function!(|y, g, m| y.masked_mul(g - m)), [y, g, &mean]));
    }
}

#[derive(Debug)]
struct LogSoftmax(isize);

impl Op<1> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.0))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (largest, sum) = shifted_sum(x, &Over::axes(self.0, true), false)?;
        map(&function!(|x, m, l| (x - m) - l), [x, &largest, &sum.ln()?])
    }
    /// dxᵢ = gᵢ − e^(yᵢ) Σⱼ gⱼ
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let sum = g.sum_axes([self.0], true);
        out.add(0, A::map(function!(|y, g, s| g - y.exp().masked_mul(s)), [y, g, &sum]));
    }
}

/// The cross-entropy of classes: ln Σ eˣ − x at a label, for each row along an axis.
#[derive(Debug)]
struct SoftmaxCrossEntropy {
    axis: isize,
    /// In the shape of the input without the axis.
    labels: Indices,
}

impl SoftmaxCrossEntropy {
    /// The shape with the axis at length 1, and where the labels stand.
    fn place(&self, shape: &Shape) -> Result<(Shape, Place), Error> {
        let (kept, without) = Over::axes(self.axis, false).shapes(shape)?;
        if *self.labels.shape() != without {
            return Err(ErrorKind::Mismatch { expected: without, found: *self.labels.shape(), except: None }.into());
        }
        Ok((kept, Place::Gather { axis: self.axis, indices: self.labels.reshape(&kept[..])? }))
    }
}

impl Op<1> for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(format!("{}({{0}}, labels)", self.name()).into())
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (_, place) = self.place(x.shape())?;
        let (largest, sum) = shifted_sum(x, &Over::axes(self.axis, true), false)?;
        let y = map(&function!(|x, m, s| s.ln() - (x - m)), [&place.take(x)?, &largest, &sum])?;
        Ok(y.with_shape(*self.labels.shape()))
    }
    /// dx = g·(softmax(x) − the unit vector of the label), where softmax(x) = e^(x − ln Σ eˣ).
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let Ok((kept, place)) = self.place(&x.shape()) else { return };
        let (y, g) = (y.shaped(&kept), g.shaped(&kept));
        let logsumexp = y.add(&x.take(place.clone()));
        out.add(0, A::call(weighted_softmax(), &[x, &logsumexp, &g]));
        out.add_at(0, &place, g.neg());
    }
}

#[inline(never)]
fn softmax_cross_entropy(axis: isize, labels: &Indices) -> Handle {
    Handle::new(SoftmaxCrossEntropy { axis, labels: labels.clone() })
}

#[inline(never)]
fn logsumexp(over: Over) -> Handle {
    Handle::new(LogSumExp(over))
}

#[inline(never)]
fn softmax(axis: isize) -> Handle {
    Handle::new(Softmax(axis))
}

#[inline(never)]
fn log_softmax(axis: isize) -> Handle {
    Handle::new(LogSoftmax(axis))
}

methods! {
    /// ln Σ eˣ over some axes, which are removed, or kept at length 1 if `keepdim`. The largest x is split off first, so that
    /// nothing overflows.
    ///
    /// # Errors
    /// An axis that is not there or is named twice; no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1e4, 1e4]);
    /// assert_eq!(x.logsumexp([0], false).item()?, 1e4 + 2.0f64.ln());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn logsumexp(x; axes: impl Into<Axes>, keepdim: bool) = logsumexp(Over::axes(axes, keepdim)), samples: {
        [[2, 3]] => |x| x[0].logsumexp([1], false);
        [[2, 3, 2]] => |x| x[0].logsumexp([0, 2], true);
        [[2, 1, 2, 2]] => |x| x[0].logsumexp(.., false);
        [[0, 2]] => |x| x[0].logsumexp(1, false);
        [[]] => |x| x[0].logsumexp([], false);
    }, errors: {
        [[0, 2]] => |x| x[0].logsumexp(0, false), "there is nothing to take the logarithm of the sum of exponentials of";
        [[2]] => |x| x[0].logsumexp([0, 0], false), "axis 0 is named twice";
    };

    /// eˣ / Σ eˣ along an axis: positive numbers that add to 1.
    ///
    /// # Errors
    /// An axis that is not there, or that has no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let p = g.variable(tensor![[0.0, 0.0], [1e4, -1e4]]).softmax(-1);
    /// assert_eq!(p.value()?, tensor![[0.5, 0.5], [1.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn softmax(x; axis: isize) = softmax(axis), samples: {
        [[2, 3]] => |x| x[0].softmax(-1);
        [[3, 2, 2]] => |x| x[0].softmax(0);
        [[2, 1, 2, 2]] => |x| x[0].softmax(2);
        [[0, 2]] => |x| x[0].softmax(1);
    }, errors: {
        [[2, 0]] => |x| x[0].softmax(1), "there is nothing to take";
        [[]] => |x| x[0].softmax(0), "a scalar has none";
    };

    /// ln softmax(x) = x − ln Σ eˣ along an axis, exact where softmax itself rounds to 0.
    ///
    /// # Errors
    /// An axis that is not there, or that has no elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let y = g.variable(tensor![1e4, -1e4]).log_softmax(0);
    /// assert_eq!(y.value()?, tensor![0.0, -2e4]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn log_softmax(x; axis: isize) = log_softmax(axis), samples: {
        [[2, 3]] => |x| x[0].log_softmax(-1);
        [[3, 2, 2]] => |x| x[0].log_softmax(1);
        [[2, 1, 2, 2]] => |x| x[0].log_softmax(2);
        [[0, 2]] => |x| x[0].log_softmax(1);
    }, errors: {
        [[2, 0]] => |x| x[0].log_softmax(1), "there is nothing to take";
        [[2]] => |x| x[0].log_softmax(1), "there is no axis 1";
    };

    /// −ln softmax(x) at one label of each row along an axis: ln Σ eˣ − xₗₐᵦₑₗ, in the shape of the labels, which is that of `x` without the
    /// axis. The gradient, g·(softmax(x) − 1 at the label), is written once.
    ///
    /// A label whose logit is −∞ has loss ∞ and gradient NaN.
    ///
    /// # Errors
    /// An axis that is not there, or that has no elements; labels of another shape, or a label that is no position on the axis.
    ///
    /// ```
    /// # use autograd::{Graph, Indices, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[0.0, 0.0], [1e4, -1e4]]);
    /// let y = x.softmax_cross_entropy(-1, &Indices::from(vec![1, 0]));
    /// assert_eq!(y.value()?, tensor![2.0f64.ln(), 0.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![[0.5, -0.5], [0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn softmax_cross_entropy(x; axis: isize, labels: &Indices) = softmax_cross_entropy(axis, labels), samples: {
        [[2, 3]] => |x| x[0].softmax_cross_entropy(-1, &Indices::from(vec![2, 0]));
        [[3, 2]] => |x| x[0].softmax_cross_entropy(0, &Indices::from(vec![2, 0]));
        [[3]] => |x| x[0].softmax_cross_entropy(0, &at([1], []));
        [[2, 3, 1, 2]] => |x| x[0].softmax_cross_entropy(1, &at([2, 0, 1, 1], [2, 1, 2]));
        [[0, 2]] => |x| x[0].softmax_cross_entropy(1, &at([], [0]));
    }, errors: {
        [[2, 0]] => |x| x[0].softmax_cross_entropy(1, &Indices::from(vec![0, 0])), "there is nothing to take";
        [[2, 3]] => |x| x[0].softmax_cross_entropy(1, &Indices::from(vec![0])), "shape [1] does not match [2]";
        [[2, 3]] => |x| x[0].softmax_cross_entropy(1, &Indices::from(vec![0, 3])), "index 3 is outside an axis of length 3";
    };
}
