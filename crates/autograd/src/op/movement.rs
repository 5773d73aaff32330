//! Movement: other shapes, other orders, stretching. Nothing is computed.

use std::borrow::Cow;

use super::{Algebra, Handle, Linearity, Op, Sink, each, methods, resolve_axes};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::{AxisList, Shape},
    tensor::{
        Tensor,
        kernel::{movement, walk::Walk},
    },
};

/// The same elements in the same order with another shape.
#[derive(Debug)]
enum Reshape {
    /// One length may be −1: what is left over.
    To(Vec<isize>),
    As(Shape),
    Squeeze(isize),
    Unsqueeze(isize),
}

impl Reshape {
    fn target(&self, shape: &Shape) -> Result<Shape, Error> {
        match self {
            Reshape::As(target) if target.len() == shape.len() => Ok(*target),
            Reshape::As(target) => Err(impossible(shape, target.iter().map(|d| d.cast_signed()).collect())),
            Reshape::To(dims) => {
                let known = dims.iter().filter(|&&d| d != -1).map(|&d| usize::try_from(d).ok()).collect::<Option<AxisList<usize>>>();
                let known = known.filter(|known| dims.len() - known.len() <= 1).ok_or_else(|| impossible(shape, dims.clone()))?;
                let known = Shape::new(&known)?;
                let open = (!known.is_empty()).then(|| shape.len() / known.len());
                let mut known_dims = known.iter();
                let full: Option<AxisList<usize>> = dims.iter().map(|&d| if d == -1 { open } else { known_dims.next().copied() }).collect();
                let target = full.map(|full| Shape::new(&full)).transpose()?;
                target.filter(|target| target.len() == shape.len()).ok_or_else(|| impossible(shape, dims.clone()))
            }
            Reshape::Squeeze(axis) => {
                let at = shape.axis(*axis)?;
                if shape[at] != 1 {
                    return Err(ErrorKind::Squeeze { axis: *axis, len: shape[at] }.into());
                }
                Shape::joined(&[&shape[..at], &shape[at + 1..]])
            }
            Reshape::Unsqueeze(axis) => {
                // Counted among the axes of the result.
                let at = Shape::joined(&[&shape[..], &[1]])?.axis(*axis)?;
                Shape::joined(&[&shape[..at], &[1], &shape[at..]])
            }
        }
    }
}

fn impossible(from: &Shape, to: Vec<isize>) -> Error {
    ErrorKind::Reshape { from: *from, to }.into()
}

impl Op<1> for Reshape {
    fn name(&self) -> &'static str {
        match self {
            Reshape::To(_) | Reshape::As(_) => "reshape",
            Reshape::Squeeze(_) => "squeeze",
            Reshape::Unsqueeze(_) => "unsqueeze",
        }
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        Ok(x.with_shape(self.target(x.shape())?))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.reshape_as(&x.shape()));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        let dx = dx?;
        Some(dx.with_shape(y.shape().stacked(each::count(dx)?).ok()?))
    }
}

/// The axes in another order.
#[derive(Debug)]
enum Permute {
    To(Vec<isize>),
    Swap(isize, isize),
}

impl Permute {
    /// For each axis of the result, the axis of the input.
    fn order(&self, shape: &Shape) -> Result<AxisList<usize>, Error> {
        match self {
            Permute::To(axes) => {
                let impossible = || ErrorKind::Permutation { axes: axes.clone(), rank: shape.rank() }.into();
                if axes.len() != shape.rank() || shape.axis_flags(axes).is_err() {
                    return Err(impossible());
                }
                resolve_axes(shape, axes)
            }
            Permute::Swap(a, b) => {
                let mut order: AxisList<usize> = (0..shape.rank()).collect();
                order.swap(shape.axis(*a)?, shape.axis(*b)?);
                Ok(order)
            }
        }
    }
}

impl Op<1> for Permute {
    fn name(&self) -> &'static str {
        match self {
            Permute::To(_) => "permute",
            Permute::Swap(..) => "transpose",
        }
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Permute::Swap(-1, -2) | Permute::Swap(-2, -1) => "{0}ᵀ".into(),
            Permute::Swap(a, b) => format!("transpose({{0}}, axes {a} and {b})").replace('-', "−").into(),
            Permute::To(order) => format!("permute({{0}}, {order:?})").replace('-', "−").into(),
        })
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        movement::permute(x, &self.order(x.shape())?)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let Ok(order) = self.order(&x.shape()) else { return };
        let mut inverse = vec![0; order.len()];
        for (to, from) in order.into_iter().enumerate() {
            inverse[from] = to.cast_signed();
        }
        out.add(0, g.permute(inverse));
    }
    fn jvp_each<T: Real>(&self, [x]: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        let order = self.order(x.shape()).ok()?.into_iter().map(|axis| axis + 1);
        movement::permute(dx?, &[0].into_iter().chain(order).collect::<AxisList<usize>>()).ok()
    }
}

#[derive(Debug)]
struct BroadcastTo(Shape);

impl Op<1> for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(format!("broadcast({{0}}, {})", self.0).into())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        if !x.shape().stretches_to(&self.0) {
            return Err(ErrorKind::Stretch { from: *x.shape(), to: self.0 }.into());
        }
        match x.as_one() {
            Some(value) => Tensor::filled(value, self.0),
            None if *x.shape() == self.0 => Ok(x.clone()),
            None => Walk::stretch(x.shape(), &self.0).gather(x.as_slice(), self.0),
        }
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.sum_to(&x.shape()));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        each::stretched(dx?, y.shape())
    }
}

/// A shape that has not been accepted yet.
#[derive(Debug)]
struct BroadcastToDims(Vec<usize>);

impl Op<1> for BroadcastToDims {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(format!("broadcast({{0}}, {:?})", self.0).into())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, x: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        BroadcastTo(Shape::new(&self.0)?).forward(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, g.sum_to(&x.shape()));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        each::stretched(dx?, y.shape())
    }
}

#[inline(never)]
fn reshape(dims: &[isize]) -> Handle {
    Handle::new(Reshape::To(dims.to_vec()))
}

#[inline(never)]
fn reshape_as(shape: &Shape) -> Handle {
    Handle::new(Reshape::As(*shape))
}

#[inline(never)]
fn squeeze(axis: isize) -> Handle {
    Handle::new(Reshape::Squeeze(axis))
}

#[inline(never)]
fn unsqueeze(axis: isize) -> Handle {
    Handle::new(Reshape::Unsqueeze(axis))
}

#[inline(never)]
fn permute(axes: &[isize]) -> Handle {
    Handle::new(Permute::To(axes.to_vec()))
}

#[inline(never)]
fn transpose(a: isize, b: isize) -> Handle {
    Handle::new(Permute::Swap(a, b))
}

#[inline(never)]
fn broadcast_as(shape: &Shape) -> Handle {
    Handle::new(BroadcastTo(*shape))
}

#[inline(never)]
fn broadcast_to(dims: &[usize]) -> Handle {
    Handle::new(BroadcastToDims(dims.to_vec()))
}

fn flattened<T: Real, A: Algebra<T>>(x: &A, start: isize, end: isize) -> A {
    let shape = x.shape();
    if shape.rank() == 0 {
        return x.reshape([1]);
    }
    let (first, last) = match (shape.axis(start), shape.axis(end)) {
        (Ok(first), Ok(last)) => (first, last),
        (Err(error), _) | (_, Err(error)) => return x.refused(error),
    };
    if first > last {
        return x.refused(ErrorKind::Parameter { name: "start", value: start.to_string(), why: "it must not be after the end" });
    }
    match Shape::joined(&[&shape[..first], &[shape[first..=last].iter().product()], &shape[last + 1..]]) {
        Ok(flat) => x.reshape_as(&flat),
        Err(error) => x.refused(error),
    }
}

methods! {
    /// The same elements in the same order with other axis lengths; one may be −1, which stands for what is left over. Nothing is copied.
    ///
    /// # Errors
    /// Lengths that do not multiply to the number of elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.reshape([2, -1]).value()?, tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn reshape(x; dims: impl AsRef<[isize]>) = reshape(dims.as_ref()), samples: {
        [[2, 3]] => |x| x[0].reshape([3, -1]);
        [[2, 3]] => |x| x[0].reshape([6]);
        [[1]] => |x| x[0].reshape([]);
        [[2, 1, 2, 2]] => |x| x[0].reshape([4, 1, -1, 1, 1]);
        [[2, 0]] => |x| x[0].reshape([0, 5]);
        [[2, 0]] => |x| x[0].reshape([2, -1]);
    }, errors: {
        [[2, 3]] => |x| x[0].reshape([4, -1]), "6 elements cannot be given the shape [4, -1]";
        [[2, 3]] => |x| x[0].reshape([-1, -1]), "one may be -1";
        [[2, 3]] => |x| x[0].reshape([-2, 3]), "cannot be given the shape [-2, 3]";
        [[2, 0]] => |x| x[0].reshape([0, -1]), "cannot be given the shape [0, -1]";
        [[2]] => |x| x[0].reshape([isize::MAX, isize::MAX]), "is too large";
    };

    /// As [`Var::reshape`](crate::Var::reshape), with a shape that is known already.
    ///
    /// # Errors
    /// A shape of another number of elements.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0], [2.0]]);
    /// assert_eq!(x.reshape_as(tensor![0.0, 0.0].shape()).value()?, tensor![1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn reshape_as(x; shape: &Shape) = reshape_as(shape), samples: {
        [[1, 1]] => |x| x[0].reshape_as(&Shape::SCALAR);
    }, errors: {
        [[2]] => |x| x[0].reshape_as(&Shape::SCALAR), "2 elements cannot be given the shape []";
    };

    /// Without an axis of length 1.
    ///
    /// # Errors
    /// An axis that is not there, or is longer.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// assert_eq!(g.variable(tensor![[1.0, 2.0]]).squeeze(0).value()?, tensor![1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn squeeze(x; axis: isize) = squeeze(axis), samples: {
        [[2, 1, 3]] => |x| x[0].squeeze(1);
        [[2, 1]] => |x| x[0].squeeze(-1);
        [[2, 1, 2, 2]] => |x| x[0].squeeze(-3);
        [[1, 0]] => |x| x[0].squeeze(0);
    }, errors: {
        [[2, 1]] => |x| x[0].squeeze(0), "axis 0 has length 2; only an axis of length 1 can be removed";
        [[]] => |x| x[0].squeeze(0), "a scalar has none";
    };

    /// The axes `start ..= end` as one axis.
    ///
    /// # Errors
    /// An axis that is not there, a start after the end. A scalar becomes a vector of one element.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]);
    /// assert_eq!(x.flatten(1, -1).shape()?, [2, 4]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn flatten(x; start: isize, end: isize) => flattened(x, start, end), samples: {
        [[2, 3, 2]] => |x| x[0].flatten(0, -1);
        [[2, 3, 2, 2]] => |x| x[0].flatten(1, 2);
        [[]] => |x| x[0].flatten(0, -1);
        [[2, 0, 3]] => |x| x[0].flatten(-2, -1);
    }, errors: {
        [[2, 3]] => |x| x[0].flatten(0, 2), "there is no axis 2";
        [[2, 3]] => |x| x[0].flatten(1, 0), "start = 1: it must not be after the end";
    };

    /// With one more axis, of length 1, which becomes the axis `axis` of the result.
    ///
    /// # Errors
    /// An axis that the result does not have.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// assert_eq!(g.variable(tensor![1.0, 2.0]).unsqueeze(-1).value()?, tensor![[1.0], [2.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn unsqueeze(x; axis: isize) = unsqueeze(axis), samples: {
        [[2, 3]] => |x| x[0].unsqueeze(0);
        [[2, 3]] => |x| x[0].unsqueeze(-1);
        [[]] => |x| x[0].unsqueeze(0);
        [[2, 1, 2, 2]] => |x| x[0].unsqueeze(2);
        [[2, 0]] => |x| x[0].unsqueeze(1);
    }, errors: {
        [[2]] => |x| x[0].unsqueeze(2), "there is no axis 2";
        [[1, 1, 1, 1, 1, 1, 1, 1]] => |x| x[0].unsqueeze(0), "at most 8";
    };

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of the input.
    ///
    /// # Errors
    /// Anything but an order of all axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[[1.0, 2.0, 3.0]]]);
    /// assert_eq!(x.permute([2, 0, 1]).shape()?, [3, 1, 1]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn permute(x; axes: impl AsRef<[isize]>) = permute(axes.as_ref()), samples: {
        [[2, 3, 4]] => |x| x[0].permute([2, 0, 1]);
        [[2, 3]] => |x| x[0].permute([-1, 0]);
        [[]] => |x| x[0].permute([]);
        [[2, 1, 2, 2]] => |x| x[0].permute([3, 1, 0, 2]);
        [[2, 0]] => |x| x[0].permute([1, 0]);
    }, errors: {
        [[2, 3]] => |x| x[0].permute([0]), "[0] is no order of 2 axes";
        [[2, 3]] => |x| x[0].permute([1, 1]), "each of 0..2 must stand in it once";
        [[2, 3]] => |x| x[0].permute([0, 2]), "is no order of 2 axes";
    };

    /// Two axes exchanged; `transpose(-1, -2)` transposes matrices.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.transpose(0, 1).value()?, tensor![[1.0, 3.0], [2.0, 4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn transpose(x; a: isize, b: isize) = transpose(a, b), samples: {
        [[2, 3, 4]] => |x| x[0].transpose(0, -1);
        [[2, 3]] => |x| x[0].transpose(0, 1);
        [[2, 1, 2, 2]] => |x| x[0].transpose(1, 2);
        [[2, 0]] => |x| x[0].transpose(-1, -2);
    }, errors: {
        [[2]] => |x| x[0].transpose(0, 1), "there is no axis 1";
    };

    /// Repeated along axes of length 1, or in front, until the shape is reached. The gradient is summed over the repetitions.
    ///
    /// # Errors
    /// A shape that the tensor does not stretch to.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// let y = x.broadcast_to([3, 2]);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &tensor![3.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn broadcast_to(x; dims: impl AsRef<[usize]>) = broadcast_to(dims.as_ref()), samples: {
        [[3]] => |x| x[0].broadcast_to([2, 3]);
        [[2, 1]] => |x| x[0].broadcast_to([2, 3]);
        [[]] => |x| x[0].broadcast_to([2]);
        [[2, 1, 2, 1]] => |x| x[0].broadcast_to([2, 3, 2, 1]);
        [[2, 1]] => |x| x[0].broadcast_to([2, 0]);
        [[0, 1]] => |x| x[0].broadcast_to([2, 0, 3]);
    }, errors: {
        [[3]] => |x| x[0].broadcast_to([3, 2]), "shape [3] does not stretch to [3, 2]";
        [[2, 3]] => |x| x[0].broadcast_to([3]), "does not stretch to [3]";
        [[1]] => |x| x[0].broadcast_to([usize::MAX, 2]), "is too large";
    };

    /// As [`Var::broadcast_to`](crate::Var::broadcast_to), with a shape that is known already.
    ///
    /// # Errors
    /// A shape that the tensor does not stretch to.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0], [2.0]]);
    /// assert_eq!(x.broadcast_as(tensor![[0.0, 0.0], [0.0, 0.0]].shape()).value()?, tensor![[1.0, 1.0], [2.0, 2.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn broadcast_as(x; shape: &Shape) = broadcast_as(shape), samples: {
        [[]] => |x| x[0].broadcast_as(Shape::ones(3));
        [[1, 1, 1, 1]] => |x| x[0].broadcast_as(Shape::ones(5));
        [[0, 1]] => |x| x[0].broadcast_as(&Algebra::shape(&x[0]));
    };
}
