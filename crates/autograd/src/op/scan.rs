//! Scans along an axis: cumulative sums and products, linear recurrences.

use std::borrow::Cow;

use super::{Algebra, Handle, Linearity, Op, Sink, algebra::slice_of, methods, reduce::along};
use crate::{
    error::{Error, ErrorKind},
    function,
    real::Real,
    tensor::{Tensor, kernel::scan},
};

/// x moved by one place along an axis, to the end or to the front; a 0 comes in, and what goes out is dropped.
fn shifted<T: Real, A: Algebra<T>>(x: &A, axis: isize, to_end: bool) -> A {
    let shape = x.shape();
    match shape.axis(axis) {
        Ok(axis) if shape[axis] > 0 => {
            let n = shape[axis];
            let (front, back) = (slice_of(axis, 0, n - 1), slice_of(axis, 1, n));
            let (from, to) = if to_end { (front, back) } else { (back, front) };
            x.take(from).put(to, &shape)
        }
        Ok(_) => x.clone(),
        Err(error) => x.refused(error),
    }
}

#[derive(Debug)]
struct CumSum {
    axis: isize,
    reverse: bool,
}

impl Op<1> for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.axis))
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        scan::cumsum(x, x.shape().axis(self.axis)?, self.reverse)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::call(cumulative_sum(self.axis, !self.reverse), &[g]));
    }
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        scan::cumsum(dx?, x.shape().axis(self.axis).ok()? + 1, self.reverse).ok()
    }
}

/// sᵢ = aᵢ·sᵢ₋₁ + bᵢ
#[derive(Debug)]
struct Recurrence {
    axis: isize,
    /// The last element is the first one.
    reverse: bool,
    /// Whether it is a sum of products of the chain rule, which are 0 if a factor is 0.
    masked: bool,
}

impl Recurrence {
    /// sᵢ₋₁
    fn before<T: Real, A: Algebra<T>>(&self, s: &A) -> A {
        shifted(s, self.axis, !self.reverse)
    }
}

impl Op<2> for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        if a.shape() != b.shape() {
            return Err(ErrorKind::Mismatch { expected: *a.shape(), found: *b.shape(), except: None }.into());
        }
        scan::recurrence(a, b, b.shape().axis(self.axis)?, self.reverse, self.masked)
    }
    /// dbᵢ = tᵢ = gᵢ + aᵢ₊₁·tᵢ₊₁ and daᵢ = tᵢ·sᵢ₋₁
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, _]: [&A; 2], s: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let a_after = shifted(a, self.axis, self.reverse);
        let t = A::call(pulled_back(self.axis, !self.reverse), &[&a_after, g]);
        if out.needs(0) {
            out.add(0, t.masked_mul(&self.before(s)));
        }
        if out.needs(1) {
            out.add(1, t);
        }
    }
    /// dsᵢ = aᵢ·dsᵢ₋₁ + (daᵢ·sᵢ₋₁ + dbᵢ)
    fn jvp<T: Real, A: Algebra<T>>(&self, [a, _]: [&A; 2], s: &A, [da, db]: [Option<&A>; 2]) -> Option<A> {
        let by_a = da.map(|da| da.masked_mul(&self.before(s)));
        let moved = match (by_a, db) {
            (Some(by_a), Some(db)) => by_a.add(db),
            (Some(by_a), None) => by_a,
            (None, db) => db?.clone(),
        };
        Some(A::call(pulled_back(self.axis, self.reverse), &[a, &moved]))
    }
}

#[derive(Debug)]
struct CumProd {
    axis: isize,
    reverse: bool,
    /// Without the element itself.
    exclusive: bool,
}

impl Op<1> for CumProd {
    fn name(&self) -> &'static str {
        "cumprod"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.axis))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        scan::cumprod(x, x.shape().axis(self.axis)?, self.reverse, self.exclusive)
    }
    /// With eᵢ = Π x before i: dxᵢ = eᵢ·tᵢ where tᵢ = gᵢ + xᵢ₊₁·tᵢ₊₁. Without the element itself, dxᵢ = eᵢ·tᵢ₊₁ where tᵢ = gᵢ + xᵢ·tᵢ₊₁.
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let &CumProd { axis, reverse, exclusive } = self;
        let back = pulled_back(axis, !reverse);
        let d = if exclusive {
            y.masked_mul(&shifted(&A::call(back, &[x, g]), axis, reverse))
        } else {
            let before = A::call(cumulative_product(axis, reverse, true), &[x]);
            before.masked_mul(&A::call(back, &[&shifted(x, axis, reverse), g]))
        };
        out.add(0, d);
    }
}

#[derive(Debug)]
struct LogCumSumExp {
    axis: isize,
}

impl Op<1> for LogCumSumExp {
    fn name(&self) -> &'static str {
        "logcumsumexp"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.axis))
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        scan::logcumsumexp(x, x.shape().axis(self.axis)?)
    }
    /// dxᵢ = e^(xᵢ − yᵢ)·tᵢ where tᵢ = gᵢ + e^(yᵢ − yᵢ₊₁)·tᵢ₊₁; no exponent is above 0. An x of −∞ has no weight, also where y is −∞.
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let shape = y.shape();
        let Ok(axis) = shape.axis(self.axis) else { return };
        let Some(last) = shape[axis].checked_sub(1) else { return };
        let (front, back) = (slice_of(axis, 0, last), slice_of(axis, 1, last + 1));
        let weight = function!(|x, y| (x - y.eq(f64::NEG_INFINITY).select(0.0, y)).exp());
        let passed_on = A::map(weight, [&y.take(front.clone()), &y.take(back)]).put(front, &shape);
        let t = A::call(pulled_back(self.axis, true), &[&passed_on, g]);
        out.add(0, A::map(weight, [x, y]).masked_mul(&t));
    }
}

#[inline(never)]
fn cumulative_sum(axis: isize, reverse: bool) -> Handle {
    Handle::new(CumSum { axis, reverse })
}

#[inline(never)]
pub(crate) fn cumulative_product(axis: isize, reverse: bool, exclusive: bool) -> Handle {
    Handle::new(CumProd { axis, reverse, exclusive })
}

#[inline(never)]
fn recurrence(axis: isize, reverse: bool) -> Handle {
    Handle::new(Recurrence { axis, reverse, masked: false })
}

/// The recurrence of a gradient.
#[inline(never)]
fn pulled_back(axis: isize, reverse: bool) -> Handle {
    Handle::new(Recurrence { axis, reverse, masked: true })
}

#[inline(never)]
fn logcumsumexp(axis: isize) -> Handle {
    Handle::new(LogCumSumExp { axis })
}

methods! {
    /// Cumulative sums along an axis, yᵢ = x₀ + … + xᵢ, in double precision. The shape stays.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0]);
    /// assert_eq!(x.cumsum(0).value()?, tensor![1.0, 3.0, 6.0]);
    /// assert_eq!(x.cumsum(0).sum().backward()?.wrt(x)?, &tensor![3.0, 2.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn cumsum(x; axis: isize) = cumulative_sum(axis, false), samples: {
        [[4]] => |x| x[0].cumsum(0);
        [[2, 3, 2]] => |x| x[0].cumsum(1);
        [[2, 1, 2, 3]] => |x| x[0].cumsum(-1);
        [[2, 0]] => |x| x[0].cumsum(1);
    }, errors: {
        [[2, 3]] => |x| x[0].cumsum(2), "there is no axis 2";
        [[]] => |x| x[0].cumsum(0), "a scalar has none";
    };

    /// Cumulative products along an axis, yᵢ = x₀·…·xᵢ, in double precision. The shape stays.
    ///
    /// The gradient does not divide: it is right with any number of zeros, at any order.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![2.0, 0.0, 3.0]);
    /// assert_eq!(x.cumprod(0).value()?, tensor![2.0, 0.0, 0.0]);
    /// assert_eq!(x.cumprod(0).sum().backward()?.wrt(x)?, &tensor![1.0, 8.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn cumprod(x; axis: isize) = cumulative_product(axis, false, false), samples: {
        [[4]] => |x| x[0].cumprod(0);
        [[2, 3, 2]] => |x| x[0].cumprod(1);
        [[2, 1, 2, 3]] => |x| x[0].cumprod(-1);
        [[2, 0]] => |x| x[0].cumprod(1);
    }, errors: {
        [[2, 3]] => |x| x[0].cumprod(-3), "there is no axis -3";
        [[]] => |x| x[0].cumprod(0), "a scalar has none";
    };

    /// yᵢ = ln(e^x₀ + … + e^xᵢ) along an axis. The largest x so far is split off, so that nothing overflows. The shape stays.
    ///
    /// −∞ adds nothing and has slope 0, also at the start, where y is −∞ itself. (`PyTorch` gives NaN there.) NaN goes on to the end.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![f64::NEG_INFINITY, 1e4, 1e4]);
    /// let y = x.logcumsumexp(0);
    /// assert_eq!(y.value()?, tensor![f64::NEG_INFINITY, 1e4, 1e4 + 2.0f64.ln()]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn logcumsumexp(x; axis: isize) = logcumsumexp(axis), samples: {
        [[4]] => |x| x[0].logcumsumexp(0);
        [[2, 3, 2]] => |x| x[0].logcumsumexp(1);
        [[2, 1, 2, 3]] => |x| x[0].logcumsumexp(-1);
        [[2, 0]] => |x| x[0].logcumsumexp(1);
    }, errors: {
        [[2, 3]] => |x| x[0].logcumsumexp(2), "there is no axis 2";
        [[]] => |x| x[0].logcumsumexp(0), "a scalar has none";
    };

    /// The linear recurrence sᵢ = aᵢ·sᵢ₋₁ + bᵢ along an axis, with s₀ = b₀; from the end to the front if `reverse`. a₀ is not used. Both
    /// operands have the shape of the result.
    ///
    /// Its gradient is such a recurrence in the other direction, and takes as long.
    ///
    /// # Errors
    /// Shapes that differ, an axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let decay = g.variable(tensor![0.5, 0.5, 0.5]);
    /// let x = g.variable(tensor![4.0, 0.0, 1.0]);
    /// assert_eq!(decay.recurrence(x, 0, false).value()?, tensor![4.0, 2.0, 2.0]);
    /// assert_eq!(decay.recurrence(x, 0, true).value()?, tensor![4.25, 0.5, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn recurrence(a, b; axis: isize, reverse: bool) = recurrence(axis, reverse), samples: {
        [[4], [4]] => |x| x[0].recurrence(x[1], 0, false);
        [[2, 3, 2], [2, 3, 2]] => |x| x[0].recurrence(x[1], 1, true);
        [[2, 1, 2, 2], [2, 1, 2, 2]] => |x| x[0].recurrence(x[1], -1, true);
        [[3, 2], [3, 2]] => |x| x[0].recurrence(x[1], 0, false);
        [[2, 0], [2, 0]] => |x| x[0].recurrence(x[1], 1, false);
    }, errors: {
        [[2, 3], [3]] => |x| x[0].recurrence(x[1], 0, false), "shape [3] does not match [2, 3]";
        [[2, 3], [2, 3]] => |x| x[0].recurrence(x[1], 2, false), "there is no axis 2";
        [[], []] => |x| x[0].recurrence(x[1], 0, false), "a scalar has none";
    };
}
