//! Normalisation of layers: to mean 0 and variance 1 over batches, layers or groups, without weights.

use super::{Algebra, Handle, Op, Sink, methods, reduce::Over};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::{Axes, Shape},
    tensor::{Tensor, kernel::normalise as kernel},
};

/// Over which axes, and how.
#[derive(Debug, Clone)]
struct Standard {
    over: Over,
    /// Whether the mean is subtracted.
    is_centred: bool,
    eps: f64,
}

impl Standard {
    fn kept(&self, x: &Shape) -> Result<Shape, Error> {
        check_eps(self.eps)?;
        Ok(self.over.shapes(x)?.0)
    }
}

fn check_eps(eps: f64) -> Result<(), Error> {
    if eps >= 0.0 && eps.is_finite() {
        return Ok(());
    }
    Err(ErrorKind::Parameter { name: "eps", value: eps.to_string(), why: "it must be finite and not negative" }.into())
}

/// y = r·(x − μ), where r = 1/√(σ² + ε).
#[derive(Debug)]
struct Standardise(Standard);

impl Op<1> for Standardise {
    fn name(&self) -> &'static str {
        if self.0.is_centred { "layer_norm" } else { "rms_norm" }
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        kernel::standardise(x, &self.0.kept(x.shape())?, self.0.is_centred, self.0.eps)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let factors = A::apply(Factor(self.0.clone()), [x]);
        out.add(0, A::apply(Pulled(self.0.clone()), [y, &factors, g]));
    }
}

/// r = 1/√(σ² + ε), with the axes at length 1.
#[derive(Debug)]
struct Factor(Standard);

impl Op<1> for Factor {
    fn name(&self) -> &'static str {
        "reciprocal_deviation"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        kernel::factors(x, &self.0.kept(x.shape())?, self.0.is_centred, self.0.eps)
    }
    /// ∂r/∂xᵢ = −r³(xᵢ − μ)/n = −r²·yᵢ/n
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], r: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let y = A::apply(Standardise(self.0.clone()), [x]);
        let n = x.shape().len() as f64 / r.shape().len().max(1) as f64;
        out.add(0, g.masked_mul(&r.square()).mul_lit(-1.0 / n).masked_mul(&y));
    }
}

/// d = r·(g − mean(g) − y·mean(g·y)), of y, r and g: the gradient of [`Standardise`].
#[derive(Debug)]
struct Pulled(Standard);

impl Op<3> for Pulled {
    fn name(&self) -> &'static str {
        "standardise_backward"
    }
    fn forward<T: Real>(&self, [y, r, g]: [&Tensor<T>; 3]) -> Result<Tensor<T>, Error> {
        let kept = self.0.kept(y.shape())?;
        for (expected, found) in [(*y.shape(), *g.shape()), (kept, *r.shape())] {
            if expected != found {
                return Err(ErrorKind::Mismatch { expected, found, except: None }.into());
            }
        }
        kernel::pulled([y, r, g], &kept, self.0.is_centred)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [y, r, g]: [&A; 3], d: &A, h: &A, out: &mut dyn Sink<T, A>) {
        let kept = r.shape();
        let n = y.shape().len() as f64 / kept.len().max(1) as f64;
        let mean = |a: &A, b: &A| a.masked_mul(b).sum_to(&kept).mul_lit(1.0 / n);
        if out.needs(0) {
            let both = h.masked_mul(&mean(g, y)).add(&g.masked_mul(&mean(h, y)));
            out.add(0, both.masked_mul(r).neg());
        }
        if out.needs(1) {
            out.add(1, h.masked_mul(d).sum_to(&kept).div(r));
        }
        if out.needs(2) {
            // For given y and r it is a symmetric linear map of g.
            out.add(2, A::apply(Pulled(self.0.clone()), [y, r, h]));
        }
    }
}

#[inline(never)]
fn standardise(over: Over, is_centred: bool, eps: f64) -> Handle {
    Handle::new(Standardise(Standard { over, is_centred, eps }))
}

/// The shape `[batch, groups, rest]`.
#[inline(never)]
fn grouped(x: &Shape, groups: usize) -> Result<Shape, Error> {
    let [batch, channels, ref rest @ ..] = x[..] else {
        return Err(ErrorKind::Rank { expected: "at least 2 axes", found: x.rank() }.into());
    };
    if channels.checked_rem(groups) != Some(0) {
        let why = "it must be at least 1 and divide the channels";
        return Err(ErrorKind::Parameter { name: "groups", value: groups.to_string(), why }.into());
    }
    let rest = Shape::new(rest)?;
    Shape::new(&[batch, groups, Shape::new(&[channels / groups, rest.len()])?.len()])
}

fn group_norm<T: Real, A: Algebra<T>>(x: &A, groups: usize, eps: f64) -> A {
    let shape = x.shape();
    match grouped(&shape, groups) {
        Ok(rows) => A::call(standardise(Over::axes(-1, true), true, eps), &[&x.reshape_as(&rows)]).reshape_as(&shape),
        Err(error) => x.refused(error),
    }
}

/// The axes but 1, of a tensor `[batch, channels, ..]`.
#[inline(never)]
fn batch_norm(rank: usize, eps: f64) -> Result<Handle, Error> {
    if rank < 2 {
        return Err(ErrorKind::Rank { expected: "at least 2 axes", found: rank }.into());
    }
    let axes: Vec<isize> = (0..rank.cast_signed()).filter(|&axis| axis != 1).collect();
    Ok(standardise(Over::axes(axes, true), true, eps))
}

/// The shape that statistics `[channels]` take beside `x`.
#[inline(never)]
fn beside(x: &Shape, statistics: [&Shape; 2], eps: f64) -> Result<Shape, Error> {
    check_eps(eps)?;
    let [_, channels, ref rest @ ..] = x[..] else {
        return Err(ErrorKind::Rank { expected: "at least 2 axes", found: x.rank() }.into());
    };
    let expected = Shape::new(&[channels])?;
    if let Some(&&found) = statistics.iter().find(|found| ***found != expected) {
        return Err(ErrorKind::Mismatch { expected, found, except: None }.into());
    }
    Shape::joined(&[&[channels][..], &vec![1; rest.len()]])
}

fn batch_norm_eval<T: Real, A: Algebra<T>>(x: &A, mean: &A, variance: &A, eps: f64) -> A {
    match beside(&x.shape(), [&mean.shape(), &variance.shape()], eps) {
        Ok(shape) => x.sub(&mean.reshape_as(&shape)).div(&variance.add_lit(eps).sqrt().reshape_as(&shape)),
        Err(error) => x.refused(error),
    }
}

methods! {
    /// (x − μ)/√(σ² + ε), with mean μ and biased variance σ² over some axes (Ba et al. 2016). For weight and bias:
    /// `x.layer_norm([-1], 1e-5) * weight + bias`.
    ///
    /// Where x is constant over the axes the result is 0 for ε > 0, and NaN for ε = 0.
    ///
    /// # Errors
    /// An axis that is not there or is named twice, an ε that is negative or not finite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 3.0], [5.0, 5.0]]);
    /// assert_eq!(x.layer_norm([-1], 3.0).value()?, tensor![[-0.5, 0.5], [0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn layer_norm(x; axes: impl Into<Axes>, eps: f64) = standardise(Over::axes(axes, true), true, eps), samples: {
        [[2, 4]] => |x| x[0].layer_norm([-1], 1e-5);
        [[2, 3, 2]] => |x| x[0].layer_norm([0, 2], 0.1);
        [[2, 1, 3, 2]] => |x| x[0].layer_norm([1, 2], 0.1);
        [[5]] => |x| x[0].layer_norm(.., 0.0);
        [[3]] => |x| x[0].layer_norm([], 0.5);
        [[2, 0]] => |x| x[0].layer_norm([1], 1e-5);
        [[0, 2]] => |x| x[0].layer_norm([1], 1e-5);
    }, errors: {
        [[2, 3]] => |x| x[0].layer_norm([2], 1e-5), "there is no axis 2";
        [[2, 3]] => |x| x[0].layer_norm([1], -1.0), "eps = -1: it must be finite and not negative";
    };

    /// x/√(mean of x² + ε) over some axes (Zhang and Sennrich 2019). For a weight: `x.rms_norm([-1], 1e-5) * weight`.
    ///
    /// Where x is 0 over the axes the result is 0 for ε > 0, and NaN for ε = 0.
    ///
    /// # Errors
    /// An axis that is not there or is named twice, an ε that is negative or not finite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![0.0, 4.0, 0.0, 0.0]);
    /// assert_eq!(x.rms_norm([-1], 0.0).value()?, tensor![0.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn rms_norm(x; axes: impl Into<Axes>, eps: f64) = standardise(Over::axes(axes, true), false, eps), samples: {
        [[2, 3]] => |x| x[0].rms_norm([-1], 1e-5);
        [[2, 1, 3, 2]] => |x| x[0].rms_norm([0, 2], 0.1);
        [[2, 0]] => |x| x[0].rms_norm([1], 1e-5);
    }, errors: {
        [[2, 3]] => |x| x[0].rms_norm([1, -1], 1e-5), "axis -1 is named twice";
        [[2, 3]] => |x| x[0].rms_norm([1], f64::INFINITY), "eps = inf";
    };

    /// (x − μ)/√(σ² + ε) of `[batch, channels, ..]`, with mean and biased variance over each group of neighbouring channels of each
    /// member of the batch (Wu and He 2018). For weight and bias of each channel:
    /// `x.group_norm(4, 1e-5) * weight.reshape([-1, 1, 1]) + bias.reshape([-1, 1, 1])`.
    ///
    /// # Errors
    /// Less than two axes, groups that do not divide the channels, an ε that is negative or not finite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 3.0, 8.0, 6.0]]);
    /// assert_eq!(x.group_norm(2, 0.0).value()?, tensor![[-1.0, 1.0, 1.0, -1.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn group_norm(x; groups: usize, eps: f64) => group_norm(x, groups, eps), samples: {
        [[2, 4]] => |x| x[0].group_norm(2, 0.1);
        [[1, 4, 2, 2]] => |x| x[0].group_norm(2, 1e-5);
        [[2, 0, 3]] => |x| x[0].group_norm(2, 1e-5);
    }, errors: {
        [[4]] => |x| x[0].group_norm(2, 1e-5), "at least 2 axes";
        [[1, 4]] => |x| x[0].group_norm(3, 1e-5), "groups = 3: it must be at least 1 and divide the channels";
        [[1, 4]] => |x| x[0].group_norm(0, 1e-5), "groups = 0";
        [[1, 4]] => |x| x[0].group_norm(2, f64::NAN), "eps = NaN";
    };

    /// (x − μ)/√(σ² + ε) of `[batch, channels, ..]`, with mean and biased variance of each channel over all other axes, as batch
    /// normalisation does in training (Ioffe and Szegedy 2015). For weight and bias of each channel:
    /// `x.batch_norm(1e-5) * weight.reshape([-1, 1, 1]) + bias.reshape([-1, 1, 1])`.
    ///
    /// A channel of one element has variance 0, and the result is 0 for ε > 0. For fixed statistics there is
    /// [`Var::batch_norm_eval`](crate::Var::batch_norm_eval).
    ///
    /// # Errors
    /// Less than two axes, an ε that is negative or not finite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 10.0], [3.0, 30.0]]);
    /// assert_eq!(x.batch_norm(0.0).value()?, tensor![[-1.0, -1.0], [1.0, 1.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn batch_norm(x; eps: f64) => match batch_norm(x.shape().rank(), eps) {
        Ok(handle) => Self::call(handle, &[x]),
        Err(error) => x.refused(error),
    }, samples: {
        [[4, 2]] => |x| x[0].batch_norm(0.1);
        [[2, 3, 2]] => |x| x[0].batch_norm(1e-5);
        [[2, 2, 1, 3]] => |x| x[0].batch_norm(0.1);
        [[0, 2]] => |x| x[0].batch_norm(0.1);
    }, errors: {
        [[4]] => |x| x[0].batch_norm(1e-5), "at least 2 axes";
        [[2, 2]] => |x| x[0].batch_norm(-1e-5), "eps = -0.00001";
    };

    /// (x − mean)/√(variance + ε) of `[batch, channels, ..]` with given statistics `[channels]`, as batch normalisation does once it is
    /// trained. All three have gradients.
    ///
    /// # Errors
    /// Less than two axes, statistics of another shape, an ε that is negative or not finite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 10.0], [3.0, 30.0]]);
    /// let (mean, variance) = (g.constant(tensor![1.0, 0.0]), g.constant(tensor![3.0, 99.0]));
    /// assert_eq!(x.batch_norm_eval(mean, variance, 1.0).value()?, tensor![[0.0, 1.0], [1.0, 3.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn batch_norm_eval(x, mean, variance; eps: f64) => batch_norm_eval(x, mean, variance, eps), samples: {
        [[2, 3], [3], ([3], (0.5, 2.0))] => |x| x[0].batch_norm_eval(x[1], x[2], 0.1);
        [[1, 2, 3, 2], [2], ([2], (0.5, 2.0))] => |x| x[0].batch_norm_eval(x[1], x[2], 1e-5);
        [[0, 2], [2], ([2], (0.5, 2.0))] => |x| x[0].batch_norm_eval(x[1], x[2], 0.1);
    }, errors: {
        [[2], [2], [2]] => |x| x[0].batch_norm_eval(x[1], x[2], 0.1), "at least 2 axes";
        [[2, 3], [3], [2]] => |x| x[0].batch_norm_eval(x[1], x[2], 0.1), "shape [2] does not match [3]";
        [[2, 3], [3], [3]] => |x| x[0].batch_norm_eval(x[1], x[2], -0.1), "eps = -0.1";
    };
}
