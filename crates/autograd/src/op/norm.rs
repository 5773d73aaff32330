//! Variance, standard deviation and norms over axes, without overflow on the way.

use super::{Algebra, Handle, Linearity, Op, Sink, each, methods, reduce::Over};
use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    function,
    real::Real,
    shape::{Axes, Shape},
    tensor::{
        Tensor,
        kernel::{pointwise::map, reduce},
    },
};

/// n − correction for the number n of elements that go into one variance.
fn degrees(over: &Over, shape: &Shape, correction: f64) -> Result<f64, Error> {
    let n = over.count(shape)?;
    let degrees = n as f64 - correction;
    if n > 0 && degrees > 0.0 && degrees.is_finite() {
        return Ok(degrees);
    }
    let value = format!("{correction} for {n} element{}", if n == 1 { "" } else { "s" });
    Err(ErrorKind::Parameter { name: "correction", value, why: "there must be more elements than that" }.into())
}

/// x − mean x, exactly 0 where all are equal; linear, and its own transpose.
#[derive(Debug)]
struct Centre(Over);

impl Op<1> for Centre {
    fn name(&self) -> &'static str {
        "centre"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, _) = self.0.shapes(x.shape())?;
        reduce::without_means(x, &kept)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::call(centre(self.0.keeping()), &[g]));
    }
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        reduce::without_means(dx?, &self.0.kept(x.shape()).stacked(each::count(dx?)?).ok()?).ok()
    }
}

/// Σ(x − mean)² / (n − correction)
#[derive(Debug)]
struct Variance {
    over: Over,
    correction: f64,
}

impl Op<1> for Variance {
    fn name(&self) -> &'static str {
        "var"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.over.shapes(x.shape())?;
        let degrees = degrees(&self.over, x.shape(), self.correction)?;
        let squares = reduce::sum_of(x, &reduce::means_of(x, &kept)?, &kept, |x, mean| (x - mean) * (x - mean))?;
        Ok(squares.div_lit(degrees)?.with_shape(shape).cast())
    }
    /// dx = 2(x − mean)/(n − correction)·g
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let shape = x.shape();
        let Ok(degrees) = degrees(&self.over, &shape, self.correction) else { return };
        let (factor, g) = (2.0 / degrees, g.shaped(&self.over.kept(&shape)));
        let centred = A::call(centre(self.over.keeping()), &[x]);
        out.add(0, A::map(function!(|c, g; factor| g.masked_mul(factor * c)), [&centred, &g]));
    }
}

/// The standard deviation is the norm of x − mean, divided by √(n − correction): neither squares that overflow nor the infinite slope of
/// a root stand in the way.
fn deviation<T: Real, A: Algebra<T>>(x: &A, over: Over, correction: f64) -> A {
    match degrees(&over, &x.shape(), correction) {
        Ok(degrees) => A::call(norm(2.0, over.clone()), &[&A::call(centre(over), &[x])]).div_lit(degrees.sqrt()),
        Err(error) => x.refused(error),
    }
}

/// (Σ|x|ᵖ)^(1/p)
#[derive(Debug)]
struct Norm {
    p: f64,
    over: Over,
}

/// The largest or the smallest |x|.
fn extreme<T: Real>(x: &Tensor<T>, kept: &Shape, is_largest: bool) -> Result<Tensor<T>, Error> {
    if is_largest { reduce::fold_to(reduce::LargestSize, x, kept) } else { reduce::fold_to(reduce::SmallestSize, x, kept) }
}

/// m·(Σ(|x|/m)ᵖ)^(1/p), where m is the largest |x|, or the smallest for a negative p: no power is above 1, and one is 1.
fn scaled<T: Real>(x: &Tensor<T>, kept: &Shape, p: f64) -> Result<Tensor<T>, Error> {
    let m = extreme(x, kept, p > 0.0)?;
    let powers = map(&function!(|x, m; p| (x.abs() / m).powf(p)), [x, &m])?;
    rescaled(&m, &reduce::sum_to(&powers, kept)?.powf(1.0 / p)?)
}

/// m·s; but where m is 0, infinite or NaN, so is the norm.
fn rescaled<T: Real>(m: &Tensor<T>, s: &Tensor<T>) -> Result<Tensor<T>, Error> {
    map(&function!(|m, s| ((0.0 * m).eq(0.0) * m.ne(0.0)).select(m * s, m)), [m, s])
}

/// √Σx², without scaling where the squares, in double precision, neither overflow nor underflow.
fn euclidean<T: Real>(x: &Tensor<T>, kept: &Shape) -> Result<Tensor<T>, Error> {
    let squares = reduce::sum_of(x, &Tensor::scalar(0.0), kept, |x, _| x * x)?;
    let is_single = T::EPSILON > T::of(f64::EPSILON);
    if is_single || squares.as_slice().iter().all(|sum| (1e-280..1e300).contains(sum)) {
        return Ok(squares.sqrt()?.cast());
    }
    let m = extreme(x, kept, true)?;
    let squares = map(&function!(|x, m| (x / m).square()), [x, &m])?;
    rescaled(&m, &reduce::sum_to(&squares, kept)?.sqrt()?)
}

impl Op<1> for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let (kept, shape) = self.over.shapes(x.shape())?;
        let p = self.p;
        if p.is_nan() {
            return Err(
                ErrorKind::Parameter { name: "p", value: p.to_string(), why: "the order of a norm is a number or an infinity" }.into()
            );
        }
        if (p < 0.0 || p.is_infinite()) && x.is_empty() && !kept.is_empty() {
            return Err(ErrorKind::Empty { what: "norm of this order", shape: *x.shape() }.into());
        }
        let y = if p == 0.0 {
            super::reduce::count_of(x, &kept)?.cast()
        } else if p == 1.0 {
            reduce::sum_of(x, &Tensor::scalar(0.0), &kept, |x, _| x.abs())?.cast()
        } else if p == 2.0 {
            euclidean(x, &kept)?
        } else if p.is_infinite() {
            extreme(x, &kept, p > 0.0)?
        } else {
            scaled(x, &kept, p)?
        };
        Ok(y.with_shape(shape))
    }
    /// dx = g·sign(x)·(|x|/y)^(p − 1), and 0 where y is 0.
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let (p, kept) = (self.p, self.over.kept(&x.shape()));
        let (y, g) = (&y.shaped(&kept), &g.shaped(&kept));
        if p == 0.0 {
            return;
        }
        let d = if p == 1.0 {
            A::map(function!(|x, g| g.masked_mul(x.sign())), [x, g])
        } else if p == 2.0 {
            A::map(function!(|x, y, g| y.eq(0.0).select(0.0, g.masked_mul(x / y))), [x, y, g])
        } else if p.is_infinite() {
            // Shared equally among the ties.
            let is_extreme = A::map(function!(|x, y| x.abs().eq(y)), [x, y]);
            let share = g.div(&is_extreme.sum_to(&kept));
            A::map(function!(|x, e, s| e.masked_mul(s).masked_mul(x.sign())), [x, &is_extreme, &share])
        } else {
            let slope = function!(|x, y, g; p| y.eq(0.0).select(0.0, g.masked_mul(x.sign().masked_mul((x.abs() / y).powf(p - 1.0)))));
            A::map(slope, [x, y, g])
        };
        out.add(0, d);
    }
    fn sides(&self, [x]: [&Tensor<f64>; 1], see: &mut dyn FnMut(Side)) {
        let mut kink = |a: f64, b: f64| see(Side { function: "norm", side: a.partial_cmp(&b), distance: (a - b).abs() });
        if self.p > 1.0 && self.p.is_finite() {
            // Smooth but at the origin, from which the norm is the distance.
            let sizes = self.forward([x]);
            sizes.iter().flat_map(Tensor::as_slice).for_each(|y| kink(*y, 0.0));
            return;
        }
        x.as_slice().iter().for_each(|x| kink(*x, 0.0));
        if self.p.is_infinite() {
            let extreme = extreme(x, &self.over.kept(x.shape()), self.p > 0.0).and_then(|y| y.broadcast_as(x.shape()));
            x.as_slice().iter().zip(extreme.iter().flat_map(Tensor::as_slice)).for_each(|(x, y)| kink(x.abs(), *y));
        }
    }
}

#[inline(never)]
fn centre(over: Over) -> Handle {
    Handle::new(Centre(over))
}

#[inline(never)]
fn variance(over: Over, correction: f64) -> Handle {
    Handle::new(Variance { over, correction })
}

#[inline(never)]
fn norm(p: f64, over: Over) -> Handle {
    Handle::new(Norm { p, over })
}

methods! {
    /// The variance Σ(x − mean)² / (n − correction) over some axes, which are removed, or kept at length 1 if `keepdim`. A correction of
    /// 1 makes it unbiased for a sample, 0 gives the variance of the elements themselves.
    ///
    /// The mean is taken first, and the squares then, both in double precision.
    ///
    /// # Errors
    /// A correction that is not below the number n of elements (`PyTorch` gives NaN and a warning); an axis that is not there or is named
    /// twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 6.0]);
    /// assert_eq!(x.var([0], 1.0, false).item()?, 7.0);
    /// assert_eq!(x.var([0], 1.0, false).backward()?.wrt(x)?, &tensor![-2.0, -1.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn var(x; axes: impl Into<Axes>, correction: f64, keepdim: bool) = variance(Over::axes(axes, keepdim), correction), samples: {
        [[2, 3, 2]] => |x| x[0].var([1], 1.0, false);
        [[2, 3]] => |x| x[0].var(.., 0.0, false);
        [[2, 1, 3, 2]] => |x| x[0].var([0, 2], 1.0, true);
        [[0, 3]] => |x| x[0].var([1], 1.0, false);
        [[2, 1]] => |x| x[0].var([1], 0.0, false);
    }, errors: {
        [[3, 1]] => |x| x[0].var([1], 1.0, false), "correction = 1 for 1 element: there must be more elements than that";
        [[0, 3]] => |x| x[0].var([0], 0.0, false), "correction = 0 for 0 elements";
        [[2, 3]] => |x| x[0].var([2], 1.0, false), "there is no axis 2";
    };

    /// The standard deviation √(Σ(x − mean)² / (n − correction)) over some axes, which are removed, or kept at length 1 if `keepdim`.
    ///
    /// Where all elements are equal it is exactly 0, and so is its slope, by convention.
    ///
    /// # Errors
    /// As [`Var::var`](crate::Var::var).
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 5.0, 1.0, 5.0], [0.1, 0.1, 0.1, 0.1]]);
    /// let y = x.std([1], 0.0, false);
    /// assert_eq!(y.value()?, tensor![2.0, 0.0]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![[-0.25, 0.25, -0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn std(x; axes: impl Into<Axes>, correction: f64, keepdim: bool) => deviation(x, Over::axes(axes, keepdim), correction), samples: {
        [[2, 3, 2]] => |x| x[0].std([1], 1.0, false);
        [[2, 3]] => |x| x[0].std(.., 0.0, false);
        [[2, 1, 3, 2]] => |x| x[0].std([0, 2], 1.0, true);
        [[0, 3]] => |x| x[0].std([1], 1.0, false);
    }, errors: {
        [[3, 1]] => |x| x[0].std([1], 1.0, false), "correction = 1 for 1 element: there must be more elements than that";
        [[0, 3]] => |x| x[0].std([0], 0.0, false), "correction = 0 for 0 elements";
        [[2, 3]] => |x| x[0].std([2], 1.0, false), "there is no axis 2";
    };

    /// The p-norm (Σ|x|ᵖ)^(1/p) over some axes, which are removed, or kept at length 1 if `keepdim`.
    ///
    /// | p | |
    /// |---|---|
    /// | 2 | √Σx², the length; no square overflows or underflows |
    /// | 1 | Σ\|x\| |
    /// | ∞, −∞ | the largest and the smallest \|x\|; ties share the gradient equally |
    /// | 0 | how many elements are not 0; the slope is 0 |
    /// | any other | the formula |
    ///
    /// Where the norm is 0 its slope is 0, by convention. The norm of no elements is 0.
    ///
    /// # Errors
    /// A p of NaN; the norm of no elements for p < 0 and p = ∞; an axis that is not there or is named twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![3.0, -4.0]);
    /// assert_eq!(x.norm(2.0, [0], false).item()?, 5.0);
    /// assert_eq!(x.norm(1.0, .., false).item()?, 7.0);
    /// assert_eq!(x.norm(f64::INFINITY, .., false).backward()?.wrt(x)?, &tensor![0.0, -1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn norm(x; p: f64, axes: impl Into<Axes>, keepdim: bool) = norm(p, Over::axes(axes, keepdim)), samples: {
        [[2, 3, 2]] => |x| x[0].norm(2.0, [1], false);
        [[2, 3]] => |x| x[0].norm(1.0, .., false);
        [[2, 1, 3, 2]] => |x| x[0].norm(f64::INFINITY, [0, 2], true);
        [[2, 3]] => |x| x[0].norm(f64::NEG_INFINITY, [1], false);
        [[2, 3]] => |x| x[0].norm(0.0, [1], false);
        [[2, 3]] => |x| x[0].norm(3.0, [0], false);
        [([2, 3], (0.5, 2.0))] => |x| x[0].norm(1.5, [1], true);
        [([2, 3], (0.5, 2.0))] => |x| x[0].norm(0.5, [1], false);
        [([2, 3], (0.5, 2.0))] => |x| x[0].norm(-1.0, [1], false);
        [[2, 0]] => |x| x[0].norm(2.0, [1], false);
        [[2, 0]] => |x| x[0].norm(3.0, [1], true);
    }, errors: {
        [[2, 0]] => |x| x[0].norm(f64::INFINITY, [1], false), "there is nothing to take the norm of this order of";
        [[2, 3]] => |x| x[0].norm(f64::NAN, [1], false), "p = NaN: the order of a norm is a number";
        [[2, 3]] => |x| x[0].norm(2.0, [2], false), "there is no axis 2";
    };
}
