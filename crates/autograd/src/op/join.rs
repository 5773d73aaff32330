//! Joining, splitting, repeating and padding.

use std::borrow::Cow;

use super::{
    Algebra, Entry, Handle, Linearity, Mistake, Op, Sink, Value, Variadic, algebra::slice_of, each, index, methods, reduce::along, sample,
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    indices::Indices,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::movement},
    var::Var,
};

#[derive(Debug)]
struct Concat {
    axis: isize,
}

impl Variadic for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn notation(&self) -> Option<Cow<'static, str>> {
        Some(along(self.name(), self.axis).replace("{0}", "{*}").into())
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
        let first = x.first().ok_or(ErrorKind::NoInputs)?;
        let (expected, axis) = (*first.shape(), first.shape().axis(self.axis)?);
        let mut len: usize = 0;
        for part in x {
            let shape = part.shape();
            let agrees = shape.rank() == expected.rank() && (0..shape.rank()).all(|a| a == axis || shape[a] == expected[a]);
            if !agrees {
                return Err(ErrorKind::Mismatch { expected, found: *shape, except: Some(axis) }.into());
            }
            len = len.saturating_add(shape[axis]);
        }
        movement::concat(x, axis, expected.with(axis, len)?)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let Ok(axis) = y.shape().axis(self.axis) else { return };
        let mut at = 0;
        for (k, part) in x.iter().enumerate() {
            let end = at + part.shape()[axis];
            if out.needs(k) {
                out.add(k, index::Methods::take(g, slice_of(axis, at, end)));
            }
            at = end;
        }
    }
    fn jvp_each<T: Real>(&self, x: &[&Tensor<T>], y: &Tensor<T>, dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        let (count, axis) = (each::count(dx.iter().flatten().next()?)?, y.shape().axis(self.axis).ok()?);
        let zeros = |x: &Tensor<T>| Tensor::filled(T::ZERO, x.shape().stacked(count).ok()?).ok();
        let parts = x.iter().zip(dx).map(|(x, dx)| dx.cloned().or_else(|| zeros(x))).collect::<Option<Vec<Tensor<T>>>>()?;
        movement::concat(&parts.iter().collect::<Vec<_>>(), axis + 1, y.shape().stacked(count).ok()?).ok()
    }
}

/// A number before and after the positions of one axis.
#[derive(Debug)]
struct PadWith {
    axis: usize,
    before: usize,
    after: usize,
    value: f64,
}

impl Op<1> for PadWith {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn linearity(&self) -> Linearity {
        if self.value == 0.0 { Linearity::Linear } else { Linearity::Nonlinear }
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let padded = x.shape()[self.axis].saturating_add(self.before).saturating_add(self.after);
        movement::pad(x, self.axis, self.before, T::of(self.value), x.shape().with(self.axis, padded)?)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let end = self.before + x.shape()[self.axis];
        out.add(0, index::Methods::take(g, slice_of(self.axis, self.before, end)));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        movement::pad(dx?, self.axis + 1, self.before, T::ZERO, y.shape().stacked(each::count(dx?)?).ok()?).ok()
    }
}

/// What stands beyond the ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Padding {
    /// One number.
    Constant(f64),
    /// The positions mirrored at the first and the last one, which are not repeated.
    Reflect,
    /// The first and the last position, repeated.
    Replicate,
    /// The axis from its other end.
    Circular,
}

impl Padding {
    /// For each position of the padded axis, the position of an axis of `len` that stands there.
    fn positions(self, before: usize, len: usize, after: usize) -> Result<Vec<usize>, Error> {
        let refuse = |why| {
            Err(ErrorKind::Parameter { name: "padding", value: format!("{:?} on an axis of length {len}", (before, after)), why }.into())
        };
        let total = Shape::new(&[len.saturating_add(before).saturating_add(after)])?.len();
        if total == 0 {
            return Ok(Vec::new());
        }
        match self {
            Padding::Reflect if before.max(after) >= len => return refuse("a reflection must be shorter than the axis"),
            Padding::Circular if before.max(after) > len => return refuse("a circular padding must not be longer than the axis"),
            _ if len == 0 => return refuse("there is no position to repeat"),
            _ => {}
        }
        let position = |i: usize| match self {
            Padding::Reflect if i < before => before - i,
            Padding::Reflect if i - before >= len => 2 * (len - 1) - (i - before),
            Padding::Circular => (i + len - before) % len,
            _ => i.saturating_sub(before).min(len - 1),
        };
        Ok((0..total).map(position).collect())
    }
}

#[inline(never)]
fn concat(axis: isize) -> Handle {
    Handle::variadic(Concat { axis })
}

#[inline(never)]
fn pad_with(axis: usize, (before, after): (usize, usize), value: f64) -> Handle {
    Handle::new(PadWith { axis, before, after, value })
}

/// The parts joined along an axis, in rules.
pub(crate) fn joined<T: Real, A: Algebra<T>>(parts: &[&A], axis: isize) -> A {
    A::call(concat(axis), parts)
}

fn padded<T: Real, A: Algebra<T>>(x: &A, pairs: &[(usize, usize)], padding: Padding) -> A {
    let shape = x.shape();
    let Some(first) = shape.rank().checked_sub(pairs.len()) else {
        let why = "there must not be more pairs than axes; they belong to the last axes";
        return x.refused(ErrorKind::Parameter { name: "pairs", value: format!("{pairs:?}"), why });
    };
    let mut y = x.clone();
    for (axis, &(before, after)) in (first..).zip(pairs) {
        if (before, after) == (0, 0) {
            continue;
        }
        y = match padding {
            Padding::Constant(value) => A::call(pad_with(axis, (before, after), value), &[&y]),
            _ => match padding.positions(before, shape[axis], after) {
                Ok(positions) => index::Methods::index_select(&y, axis.cast_signed(), &Indices::from(positions)),
                Err(error) => x.refused(error),
            },
        };
    }
    y
}

/// Each axis `counts[i]` times, one after the other; there are as many counts as axes, or more, for new axes in front.
fn repeated<T: Real, A: Algebra<T>>(x: &A, counts: &[usize]) -> A {
    let own = x.shape();
    let Some(new) = counts.len().checked_sub(own.rank()) else {
        let why = "there must be a count for every axis; more stand for new axes in front";
        return x.refused(ErrorKind::Parameter { name: "counts", value: format!("{counts:?}"), why });
    };
    let result = || {
        let mut dims = vec![1; new];
        dims.extend_from_slice(&own);
        // The shape of the result, checked before anything is allocated.
        let full: Vec<usize> = dims.iter().zip(counts).map(|(d, n)| d.saturating_mul(*n)).collect();
        Shape::new(&full)?;
        let mut y = x.reshape_as(&Shape::new(&dims)?);
        for (axis, &n) in counts.iter().enumerate().filter(|(_, n)| **n != 1) {
            let shape = y.shape();
            let (rows, len, inner) = shape.around(axis);
            let block = len * inner;
            y = y
                .reshape_as(&Shape::new(&[rows, 1, block])?)
                .broadcast_as(&Shape::new(&[rows, n, block])?)
                .reshape_as(&shape.with(axis, len.saturating_mul(n))?);
        }
        Ok(y)
    };
    result().unwrap_or_else(|error: Error| x.refused(error))
}

fn tiled<T: Real, A: Algebra<T>>(x: &A, counts: &[usize]) -> A {
    let missing = x.shape().rank().saturating_sub(counts.len());
    repeated(x, &[&vec![1; missing], counts].concat())
}

fn interleaved<T: Real, A: Algebra<T>>(x: &A, n: usize, axis: isize) -> A {
    let result = || {
        let shape = x.shape();
        let axis = shape.axis(axis)?;
        let full = shape.with(axis, shape[axis].saturating_mul(n))?;
        let (rows, len, inner) = shape.around(axis);
        Ok(x.reshape_as(&Shape::new(&[rows * len, 1, inner])?).broadcast_as(&Shape::new(&[rows * len, n, inner])?).reshape_as(&full))
    };
    result().unwrap_or_else(|error: Error| x.refused(error))
}

fn rolled<T: Real, A: Algebra<T>>(x: &A, shift: isize, axis: isize) -> A {
    let shape = x.shape();
    let at = match shape.axis(axis) {
        Ok(at) => at,
        Err(error) => return x.refused(error),
    };
    let len = shape[at];
    if len == 0 {
        return x.clone();
    }
    let first = len - shift.rem_euclid(len.cast_signed()).cast_unsigned();
    if first == len {
        return x.clone();
    }
    let (front, back) = (index::Methods::take(x, slice_of(at, 0, first)), index::Methods::take(x, slice_of(at, first, len)));
    joined(&[&back, &front], axis)
}

methods! {
    /// More positions at the ends of the last axes: `pairs` holds, for each of them in order, how many before and how many after.
    ///
    /// `x.pad([(1, 2)], Padding::Constant(0.0))` pads the last axis, `x.pad([(1, 1), (2, 2)], …)` the last two. What is repeated by
    /// [`Padding`](crate::op::join::Padding) gets the sum of the gradients.
    ///
    /// # Errors
    /// More pairs than axes; a reflection as long as the axis, or a circular padding longer than it; repetition of an axis of length 0.
    ///
    /// ```
    /// # use autograd::{Graph, op::join::Padding, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0]);
    /// assert_eq!(x.pad([(1, 2)], Padding::Constant(9.0)).value()?, tensor![9.0, 1.0, 2.0, 3.0, 9.0, 9.0]);
    /// assert_eq!(x.pad([(2, 1)], Padding::Reflect).value()?, tensor![3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// assert_eq!(x.pad([(2, 1)], Padding::Replicate).value()?, tensor![1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn pad(x; pairs: impl AsRef<[(usize, usize)]>, padding: Padding) => padded(x, pairs.as_ref(), padding), samples: {
        [[2, 3]] => |x| x[0].pad([(1, 2)], Padding::Constant(0.5));
        [[2, 2]] => |x| x[0].pad([(1, 0), (0, 2)], Padding::Constant(0.0));
        [[3, 3]] => |x| x[0].pad([(1, 2), (2, 0)], Padding::Reflect);
        [[2, 2]] => |x| x[0].pad([(1, 2), (3, 0)], Padding::Replicate);
        [[3]] => |x| x[0].pad([(3, 2)], Padding::Circular);
        [[1, 2, 1, 2]] => |x| x[0].pad([(1, 0), (0, 1), (1, 1)], Padding::Constant(-1.0));
        [[2, 0]] => |x| x[0].pad([(1, 1)], Padding::Constant(2.0));
        [[2, 0]] => |x| x[0].pad([(0, 0)], Padding::Reflect);
        [[]] => |x| x[0].pad([], Padding::Reflect);
    }, errors: {
        [[2, 3]] => |x| x[0].pad([(1, 1), (1, 1), (1, 1)], Padding::Constant(0.0)), "there must not be more pairs than axes";
        [[2, 3]] => |x| x[0].pad([(3, 0)], Padding::Reflect), "a reflection must be shorter than the axis";
        [[2, 3]] => |x| x[0].pad([(0, 4)], Padding::Circular), "must not be longer than the axis";
        [[2, 0]] => |x| x[0].pad([(1, 0)], Padding::Replicate), "there is no position to repeat";
        [[2]] => |x| x[0].pad([(usize::MAX, 1)], Padding::Constant(0.0)), "is too large";
        [[2]] => |x| x[0].pad([(usize::MAX, 1)], Padding::Replicate), "is too large";
    };

    /// The whole tensor `counts[i]` times along axis `i`, as PyTorch's `repeat`; more counts than axes stand for new axes in front. See
    /// [`Var::tile`](crate::Var::tile) for fewer, and [`Var::repeat_interleave`](crate::Var::repeat_interleave) for `NumPy`'s `repeat`.
    ///
    /// # Errors
    /// Fewer counts than axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// assert_eq!(x.repeat([2, 2]).value()?, tensor![[1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0]]);
    /// assert_eq!(x.repeat([3]).sum().backward()?.wrt(x)?, &tensor![3.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn repeat(x; counts: impl AsRef<[usize]>) => repeated(x, counts.as_ref()), samples: {
        [[2, 2]] => |x| x[0].repeat([2, 3]);
        [[2]] => |x| x[0].repeat([2, 1, 2]);
        [[1, 2, 1, 2]] => |x| x[0].repeat([2, 1, 2, 1]);
        [[]] => |x| x[0].repeat([3]);
        [[2, 2]] => |x| x[0].repeat([0, 1]);
        [[0, 2]] => |x| x[0].repeat([2, 2]);
    }, errors: {
        [[2, 2]] => |x| x[0].repeat([2]), "there must be a count for every axis";
        [[2, 2]] => |x| x[0].repeat([usize::MAX, 1]), "is too large";
        [[2]] => |x| x[0].repeat([1, 1, 1, 1, 1, 1, 1, 1, 1]), "at most 8";
    };

    /// The whole tensor several times along the last axes, as `NumPy`'s and PyTorch's `tile`: counts that are missing in front are 1.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0], [2.0]]);
    /// assert_eq!(x.tile([2]).value()?, tensor![[1.0, 1.0], [2.0, 2.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn tile(x; counts: impl AsRef<[usize]>) => tiled(x, counts.as_ref()), samples: {
        [[2, 2]] => |x| x[0].tile([2]);
        [[2]] => |x| x[0].tile([2, 2]);
        [[1, 2, 1, 2]] => |x| x[0].tile([2, 2]);
        [[2, 0]] => |x| x[0].tile([2]);
    }, errors: {
        [[2, 2]] => |x| x[0].tile([usize::MAX]), "is too large";
    };

    /// Every position of an axis `n` times, side by side, as PyTorch's `repeat_interleave` and `NumPy`'s `repeat`.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// assert_eq!(x.repeat_interleave(2, 0).value()?, tensor![1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn repeat_interleave(x; n: usize, axis: isize) => interleaved(x, n, axis), samples: {
        [[2, 3]] => |x| x[0].repeat_interleave(2, 0);
        [[2, 1, 2, 2]] => |x| x[0].repeat_interleave(3, -2);
        [[2, 0]] => |x| x[0].repeat_interleave(2, 1);
        [[2]] => |x| x[0].repeat_interleave(0, 0);
    }, errors: {
        [[2]] => |x| x[0].repeat_interleave(2, 1), "there is no axis 1";
        [[2]] => |x| x[0].repeat_interleave(usize::MAX, 0), "is too large";
    };

    /// The positions of an axis moved by `shift`; what leaves at one end comes in at the other.
    ///
    /// # Errors
    /// An axis that is not there.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.roll(1, 0).value()?, tensor![4.0, 1.0, 2.0, 3.0]);
    /// assert_eq!(x.roll(-1, 0).value()?, tensor![2.0, 3.0, 4.0, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn roll(x; shift: isize, axis: isize) => rolled(x, shift, axis), samples: {
        [[4]] => |x| x[0].roll(1, 0);
        [[2, 3]] => |x| x[0].roll(-5, 1);
        [[2, 2, 3, 1]] => |x| x[0].roll(2, 2);
        [[2, 0]] => |x| x[0].roll(1, 1);
        [[3]] => |x| x[0].roll(6, 0);
    }, errors: {
        [[2]] => |x| x[0].roll(1, 1), "there is no axis 1";
    };
}

/// Entries of what is not one tensor to one tensor.
pub(crate) const JOINING: &[Entry] = &[
    Entry {
        name: "concat",
        signature: "graph.concat(parts: &[Var], axis: isize)",
        doc: &[" Tensors joined along an axis, in which alone they may differ."],
        samples: &[
            sample!([[2, 3], [1, 3]], |x| x[0].graph().concat(x, 0)),
            sample!([[2, 1], [2, 3], [2, 2]], |x| x[0].graph().concat(x, -1)),
            sample!([[1, 2, 2, 1], [1, 1, 2, 1]], |x| x[0].graph().concat(x, 1)),
            sample!([[2, 0], [2, 3]], |x| x[0].graph().concat(x, 1)),
        ],
        errors: &[
            Mistake { sample: sample!([[2, 3], [1, 2]], |x| x[0].graph().concat(x, 0)), message: "only axis 0 may differ" },
            Mistake { sample: sample!([[2, 3], [2]], |x| x[0].graph().concat(x, 1)), message: "does not match" },
            Mistake { sample: sample!([[]], |x| x[0].graph().concat(x, 0)), message: "a scalar has none" },
            Mistake { sample: sample!([[2]], |x| x[0].graph().concat(&[], 0)), message: "at least one tensor is needed" },
        ],
        handle: None,
    },
    Entry {
        name: "stack",
        signature: "graph.stack(parts: &[Var], axis: isize)",
        doc: &[" Tensors of one shape side by side, along a new axis."],
        samples: &[
            sample!([[2, 3], [2, 3]], |x| x[0].graph().stack(x, 0)),
            sample!([[2], [2], [2]], |x| x[0].graph().stack(x, -1)),
            sample!([[], []], |x| x[0].graph().stack(x, 0)),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| x[0].graph().stack(x, 2)),
            sample!([[2, 0], [2, 0]], |x| x[0].graph().stack(x, 1)),
        ],
        errors: &[
            Mistake { sample: sample!([[2], [1]], |x| x[0].graph().stack(x, 0)), message: "does not match" },
            Mistake { sample: sample!([[2], [2]], |x| x[0].graph().stack(x, 2)), message: "there is no axis 2" },
            Mistake { sample: sample!([[2]], |x| x[0].graph().stack(&[], 0)), message: "at least one tensor is needed" },
        ],
        handle: None,
    },
    Entry {
        name: "split",
        signature: "x.split(sizes: [usize; N], axis: isize) -> [Var; N]",
        doc: &[" Parts of the given lengths along an axis, which they make up together."],
        samples: &[
            sample!([[4, 2]], |x| x[0].split([1, 3], 0)[1]),
            sample!([[2, 5]], |x| {
                let [a, b, c] = x[0].split([1, 0, 4], -1);
                a * c + b.sum()
            }),
            sample!([[1, 2, 3, 2]], |x| x[0].split([2, 1], 2)[0]),
            sample!([[0, 3]], |x| x[0].split([2, 1], 1)[1]),
        ],
        errors: &[Mistake { sample: sample!([[4]], |x| x[0].split([1, 2], 0)[0]), message: "must add up to the length of the axis, 4" }],
        handle: None,
    },
    Entry {
        name: "chunk",
        signature: "x.chunk::<N>(axis: isize) -> [Var; N]",
        doc: &[" `N` parts of equal length along an axis."],
        samples: &[
            sample!([[4, 2]], |x| x[0].chunk::<2>(0)[1]),
            sample!([[2, 6]], |x| {
                let [q, k, v] = x[0].chunk(-1);
                q * k + v
            }),
            sample!([[1, 2, 2, 2]], |x| x[0].chunk::<2>(1)[0]),
            sample!([[2, 0]], |x| x[0].chunk::<2>(1)[1]),
        ],
        errors: &[
            Mistake { sample: sample!([[3]], |x| x[0].chunk::<2>(0)[0]), message: "2 equal parts" },
            Mistake { sample: sample!([[3]], |x| x[0].chunk::<3>(1)[0]), message: "there is no axis 1" },
        ],
        handle: None,
    },
];

/// The tensors side by side along a new axis.
#[track_caller]
fn stacked<T: Real, A: Algebra<T>>(parts: &[&A], axis: isize) -> A {
    A::composed("stack", parts, || {
        let expected = parts[0].shape();
        if let Some(found) = parts.iter().map(|part| part.shape()).find(|found| *found != expected) {
            return parts[0].refused(ErrorKind::Mismatch { expected, found, except: None });
        }
        let parts: Vec<A> = parts.iter().map(|part| part.unsqueeze(axis)).collect();
        joined(&parts.iter().collect::<Vec<_>>(), axis)
    })
}

/// Parts of an axis, one after the other.
#[track_caller]
fn parts<T: Real, A: Algebra<T>, const N: usize>(
    name: &'static str,
    x: &A,
    axis: isize,
    sizes: impl Fn(usize) -> Result<[usize; N], Error>,
) -> [A; N] {
    let place = |k: usize| -> Result<_, Error> {
        let shape = x.shape();
        let axis = shape.axis(axis)?;
        let sizes = sizes(shape[axis])?;
        let start = sizes[..k].iter().sum::<usize>();
        Ok(slice_of(axis, start, start + sizes[k]))
    };
    let part = |k: usize| match place(k) {
        Ok(place) => index::Methods::take(x, place),
        Err(error) => x.refused(error),
    };
    let mut parts = [(); N].map(|()| x.clone());
    // Not in a closure, which would hide the line of the caller.
    for (k, slot) in parts.iter_mut().enumerate() {
        *slot = A::composed(name, &[x], || part(k));
    }
    parts
}

/// The given sizes, if they make up an axis of length `len`.
fn adding_up<const N: usize>(sizes: [usize; N], len: usize) -> Result<[usize; N], Error> {
    let sum = sizes.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
    if sum == len {
        return Ok(sizes);
    }
    Err(ErrorKind::Split { sizes: sizes.to_vec(), len }.into())
}

fn equal<const N: usize>(len: usize) -> Result<[usize; N], Error> {
    if N > 0 && len.is_multiple_of(N) { Ok([len / N; N]) } else { Err(ErrorKind::Chunk { parts: N, len }.into()) }
}

/// All tensors, or the first error.
fn all_tensors<T: Real, const N: usize>(values: [Value<T>; N]) -> Result<[Tensor<T>; N], Error> {
    let mut tensors = [const { None }; N];
    for (slot, value) in tensors.iter_mut().zip(values) {
        *slot = Some(value.into_result()?);
    }
    Ok(tensors.map(|tensor| tensor.unwrap_or_else(|| Tensor::scalar(T::ZERO))))
}

impl<'g, T: Real> Var<'g, T> {
    /// Parts of the given lengths along an axis, which they make up together.
    ///
    /// # Errors
    /// An axis that is not there, sizes that do not add up to its length: each part is that error.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let [head, tail] = g.variable(tensor![1.0, 2.0, 3.0]).split([1, 2], 0);
    /// assert_eq!((head.value()?, tail.value()?), (tensor![1.0], tensor![2.0, 3.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn split<const N: usize>(self, sizes: [usize; N], axis: isize) -> [Var<'g, T>; N] {
        parts("split", &self, axis, |len| adding_up(sizes, len))
    }

    /// `N` parts of equal length along an axis.
    ///
    /// # Errors
    /// An axis that is not there, a length that is no multiple of `N`: each part is that error.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let [q, k] = g.variable(tensor![1.0, 2.0, 3.0, 4.0]).chunk(0);
    /// assert_eq!((q.value()?, k.value()?), (tensor![1.0, 2.0], tensor![3.0, 4.0]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn chunk<const N: usize>(self, axis: isize) -> [Var<'g, T>; N] {
        parts("chunk", &self, axis, equal)
    }
}

impl<T: Real> Graph<T> {
    /// Tensors joined along an axis, in which alone they may differ.
    ///
    /// # Errors
    /// No tensors, an axis that is not there, shapes that differ in another axis.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0]));
    /// assert_eq!(g.concat(&[a, b], 0).value()?, tensor![1.0, 2.0, 3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn concat<'g>(&'g self, parts: &[Var<'g, T>], axis: isize) -> Var<'g, T> {
        self.call(concat(axis), parts)
    }

    /// Tensors of one shape side by side, along a new axis, which becomes the axis `axis` of the result.
    ///
    /// # Errors
    /// No tensors, shapes that differ, an axis that the result does not have.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, 4.0]));
    /// assert_eq!(g.stack(&[a, b], 1).value()?, tensor![[1.0, 3.0], [2.0, 4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn stack<'g>(&'g self, parts: &[Var<'g, T>], axis: isize) -> Var<'g, T> {
        if parts.is_empty() {
            return self.try_var(|| Err(Error::from(ErrorKind::NoInputs).in_op("stack", Vec::new)));
        }
        stacked(&parts.iter().collect::<Vec<_>>(), axis)
    }
}

impl<T: Real> Tensor<T> {
    /// Tensors joined along an axis, in which alone they may differ. See [`Graph::concat`].
    ///
    /// # Errors
    /// No tensors, an axis that is not there, shapes that differ in another axis.
    #[track_caller]
    pub fn concat(parts: &[&Tensor<T>], axis: isize) -> Result<Self, Error> {
        concat(axis).call(parts)
    }

    /// Tensors of one shape side by side, along a new axis. See [`Graph::stack`].
    ///
    /// # Errors
    /// No tensors, shapes that differ, an axis that the result does not have.
    #[track_caller]
    pub fn stack(parts: &[&Tensor<T>], axis: isize) -> Result<Self, Error> {
        if parts.is_empty() {
            return concat(axis).call(parts);
        }
        let values: Vec<Value<T>> = parts.iter().map(|part| Value::Tensor((*part).clone())).collect();
        stacked(&values.iter().collect::<Vec<_>>(), axis).into_result()
    }

    /// Parts of the given lengths along an axis. See [`Var::split`].
    ///
    /// # Errors
    /// An axis that is not there, sizes that do not add up to its length.
    #[track_caller]
    pub fn split<const N: usize>(&self, sizes: [usize; N], axis: isize) -> Result<[Self; N], Error> {
        all_tensors(parts("split", &Value::Tensor(self.clone()), axis, |len| adding_up(sizes, len)))
    }

    /// `N` parts of equal length along an axis. See [`Var::chunk`].
    ///
    /// # Errors
    /// An axis that is not there, a length that is no multiple of `N`.
    #[track_caller]
    pub fn chunk<const N: usize>(&self, axis: isize) -> Result<[Self; N], Error> {
        all_tensors(parts("chunk", &Value::Tensor(self.clone()), axis, equal))
    }
}
