//! Normalising along axes: logsumexp, softmax and its logarithm, stable for inputs of any size.

use super::{Algebra, Handle, Op, Sink, methods, reduce::Over};
use crate::{
    error::{Error, ErrorKind},
    function,
    real::Real,
    shape::Axes,
    tensor::{
        Tensor,
        kernel::{pointwise::map, reduce},
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
    let mut largest = reduce::max_to(x, &kept)?;
    if is_finite {
        largest = map(&function!(|m| (0.0 * m).eq(0.0).select(m, 0.0)), [&largest])?;
    }
    let sum = reduce::sum_to(&map(&function!(|x, m| (x - m).exp()), [x, &largest])?, &kept)?;
    Ok((largest, sum))
}

#[derive(Debug)]
struct LogSumExp(Over);

impl Op<1> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (largest, sum) = shifted_sum(x, &self.0, true)?;
        let (_, shape) = self.0.shapes(x.shape())?;
        Ok(map(&function!(|m, s| m + s.ln()), [&largest, &sum])?.with_shape(shape))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let kept = self.0.kept(&x.shape());
        let (y, g) = (y.shaped(&kept), g.shaped(&kept));
        out.add(0, A::map(function!(|x, y, g| g.masked_mul((x - y).exp())), [x, &y, &g]));
    }
}

#[derive(Debug)]
struct Softmax(isize);

impl Op<1> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
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
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (largest, sum) = shifted_sum(x, &Over::axes(self.0, true), false)?;
        map(&function!(|x, m, s| (x - m) - s.ln()), [x, &largest, &sum])
    }
    /// dxᵢ = gᵢ − e^(yᵢ) Σⱼ gⱼ
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let sum = g.sum_axes([self.0], true);
        out.add(0, A::map(function!(|y, g, s| g - y.exp().masked_mul(s)), [y, g, &sum]));
    }
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
}
