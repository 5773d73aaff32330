//! Convolution: windows that slide over tensors, each multiplied with the same weight.

mod options;

pub use options::{Conv, ConvTranspose, PerAxis, Pool};

use super::{Algebra, Linearity, Op, Place, Sink, Window, methods, select::check_shape};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{convolve::Sizes, overwritten},
    },
};

/// How a convolution is put together, where it is one product or has no loop of its own: padding, taking all windows, one matrix product for each group.
struct Convolution {
    padding: Vec<(Place, Shape)>,
    /// None where the windows are the elements.
    windows: Option<Place>,
    /// The elements of the windows as matrices, a column for each window.
    columns: Shape,
    kernel: Shape,
    result: Shape,
    /// How it is done without all that, where that pays.
    direct: Option<Sizes>,
}

/// A form that is linear in an image, a weight and a gradient of the result of their convolution, or rather its slope along one of the three,
/// given the other two: the convolution itself, or one of its gradients. The gradients of each are the other two.
#[derive(Debug, Clone, Copy)]
struct Trilinear {
    /// Which of the three is left out.
    along: usize,
    shapes: [Shape; 3],
    sizes: Sizes,
}

impl Trilinear {
    const IMAGE: usize = 0;
    const RESULT: usize = 2;

    /// Two of three, without one.
    fn without<X>(along: usize, [image, weight, result]: [X; 3]) -> [X; 2] {
        match along {
            0 => [weight, result],
            1 => [image, result],
            _ => [image, weight],
        }
    }
}

impl Op<2> for Trilinear {
    fn name(&self) -> &'static str {
        ["convolution_to_image", "convolution_to_weight", "convolution"][self.along]
    }
    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        let &Trilinear { along, shapes, ref sizes } = self;
        let [expected_a, expected_b] = Trilinear::without(along, shapes);
        check_shape(a, expected_a)?;
        check_shape(b, expected_b)?;
        let mut y = overwritten(shapes[along].len())?;
        let (a, b) = (a.as_slice(), b.as_slice());
        match along {
            0 => sizes.spread(a, b, &mut y),
            1 => sizes.correlate(a, b, &mut y),
            _ => sizes.convolve(a, b, &mut y),
        }?;
        Ok(Tensor::of(shapes[along], y))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let all = match self.along {
            0 => [g, a, b],
            1 => [a, g, b],
            _ => [a, b, g],
        };
        for (k, along) in Trilinear::without(self.along, [0, 1, 2]).into_iter().enumerate() {
            if out.needs(k) {
                out.add(k, A::apply(Trilinear { along, ..*self }, Trilinear::without(along, all)));
            }
        }
    }
}

/// A value that a parameter cannot have.
pub(super) fn parameter(name: &'static str, value: usize, why: &'static str) -> Error {
    ErrorKind::Parameter { name, value: value.to_string(), why }.into()
}

/// Rejects inputs and weights of a wrong rank, for windows along `d` axes.
fn check_ranks(x: &Shape, weight: &Shape, d: usize) -> Result<(), Error> {
    let (inputs, weights) = if d == 1 { ("at least 2 axes", "3 axes, the weight,") } else { ("at least 3 axes", "4 axes, the weight,") };
    if x.rank() < d + 1 {
        return Err(ErrorKind::Rank { expected: inputs, found: x.rank() }.into());
    }
    if weight.rank() != d + 2 {
        return Err(ErrorKind::Rank { expected: weights, found: weight.rank() }.into());
    }
    Ok(())
}

fn check_groups(channels: usize, groups: usize) -> Result<usize, Error> {
    match channels.checked_rem(groups) {
        Some(0) => Ok(channels / groups),
        _ => Err(parameter("groups", groups, "it must be at least 1 and divide the channels")),
    }
}

/// Windows along the last axes.
fn windows(kernel: &[usize], stride: &[usize], dilation: &[usize]) -> Place {
    let one =
        |i: usize| Window { axis: i.cast_signed() - kernel.len().cast_signed(), size: kernel[i], step: stride[i], dilation: dilation[i] };
    Place::Windows { windows: (0..kernel.len()).map(one).collect(), inside_first: true }
}

/// Positions of one axis.
fn slice(axis: usize, start: usize, end: usize) -> Place {
    Place::Slice { axis: axis.cast_signed(), start: start.cast_signed(), end: Some(end.cast_signed()), step: 1 }
}

impl Convolution {
    #[inline(never)]
    fn plan(x: &Shape, weight: &Shape, stride: &[usize], padding: &[usize], dilation: &[usize], groups: usize) -> Result<Self, Error> {
        let d = stride.len();
        check_ranks(x, weight, d)?;
        let at = x.rank() - d - 1;
        let (inputs, outputs) = (check_groups(x[at], groups)?, check_groups(weight[0], groups)?);
        if weight[1] != inputs {
            return Err(ErrorKind::Mismatch { expected: weight.with(1, inputs)?, found: *weight, except: Some(0) }.into());
        }
        let (kernel, mut padded, mut pads, mut counts) = (&weight[2..], *x, Vec::new(), Vec::new());
        for i in 0..d {
            let axis = at + 1 + i;
            let (len, size) = (x[axis], x[axis].saturating_add(padding[i].saturating_mul(2)));
            padded = padded.with(axis, size)?;
            if padding[i] > 0 {
                pads.push((slice(axis, padding[i], padding[i] + len), padded));
            }
            counts.push(Window { axis: 0, size: kernel[i], step: stride[i], dilation: dilation[i] }.count(size)?);
        }
        let are_elements = kernel.iter().chain(stride).all(|&n| n == 1);
        let (area, places) = (Shape::new(kernel)?.len(), Shape::new(&counts)?.len());
        let rows = Shape::new(&[inputs, area])?.len();
        let sizes = Sizes::new(&x[at + 1..], kernel, &counts, (stride, padding, dilation));
        let sizes = Sizes { batch: x[..at].iter().product(), groups, inputs, outputs, ..sizes };
        let with_batch = |rest: &[usize]| Shape::joined(&[&x[..at], rest]);
        Ok(Convolution {
            padding: pads,
            windows: (!are_elements).then(|| windows(kernel, stride, dilation)),
            columns: with_batch(&[groups, rows, places])?,
            kernel: Shape::new(&[groups, outputs, rows])?,
            result: with_batch(&[&[weight[0]], &counts[..]].concat())?,
            direct: (!are_elements && sizes.pays()).then_some(sizes),
        })
    }
}

fn convolution<T: Real, A: Algebra<T>, const D: usize>(x: &A, weight: &A, conv: &Conv<D>) -> A {
    let plan = match Convolution::plan(&x.shape(), &weight.shape(), &conv.stride, &conv.padding, &conv.dilation, conv.groups) {
        Ok(plan) => plan,
        Err(error) => return x.refused(error),
    };
    if let Some(sizes) = plan.direct {
        return A::apply(Trilinear { along: Trilinear::RESULT, shapes: [x.shape(), weight.shape(), plan.result], sizes }, [x, weight]);
    }
    let padded = plan.padding.into_iter().fold(x.clone(), |x, (place, shape)| x.put(place, &shape));
    let columns = plan.windows.map_or_else(|| padded.clone(), |windows| padded.take(windows));
    weight.reshape_as(&plan.kernel).matmul(&columns.reshape_as(&plan.columns)).reshape_as(&plan.result)
}

/// How a transposed convolution is put together, likewise: one matrix product for each group, adding to all windows, cutting off the padding.
struct Transposed {
    x: Shape,
    kernel: Shape,
    columns: Shape,
    windows: Place,
    full: Shape,
    /// What is left of each axis, and what it becomes if that is longer.
    kept: Vec<Place>,
    longer: Vec<(Place, Shape)>,
    result: Shape,
    /// How it is done without all that, where that pays.
    direct: Option<Sizes>,
}

impl Transposed {
    #[inline(never)]
    fn plan(
        x: &Shape,
        weight: &Shape,
        (stride, padding, dilation): (&[usize], &[usize], &[usize]),
        more: &[usize],
        groups: usize,
    ) -> Result<Self, Error> {
        let d = stride.len();
        check_ranks(x, weight, d)?;
        let at = x.rank() - d - 1;
        let inputs = check_groups(x[at], groups)?;
        if weight[0] != x[at] {
            return Err(ErrorKind::Mismatch { expected: weight.with(0, x[at])?, found: *weight, except: Some(1) }.into());
        }
        let (kernel, places) = (&weight[2..], &x[at + 1..]);
        let outputs = Shape::new(&[groups, weight[1]])?.len();
        let with_batch = |rest: &[usize]| Shape::joined(&[&x[..at], rest]);
        let mut full = with_batch(&[&[outputs], places].concat())?;
        let (mut kept, mut longer) = (Vec::new(), Vec::new());
        for i in 0..d {
            let axis = at + 1 + i;
            if stride[i] == 0 || dilation[i] == 0 {
                return Err(parameter(if stride[i] == 0 { "stride" } else { "dilation" }, 0, "it must be at least 1"));
            }
            if more[i] >= stride[i].max(dilation[i]) {
                return Err(parameter("output_padding", more[i], "it must be less than the stride or the dilation"));
            }
            if places[i] == 0 || kernel[i] == 0 {
                let shape = if kernel[i] == 0 { *weight } else { *x };
                return Err(ErrorKind::Empty { what: "transposed convolution", shape }.into());
            }
            let span =
                (places[i] - 1).saturating_mul(stride[i]).saturating_add((kernel[i] - 1).saturating_mul(dilation[i])).saturating_add(1);
            full = full.with(axis, span)?;
            let end = span.saturating_sub(padding[i]).saturating_add(more[i]);
            if end <= padding[i] {
                return Err(parameter("padding", padding[i], "it must be so small that something of the result is left"));
            }
            if padding[i] > 0 {
                kept.push(slice(axis, padding[i].min(span), end.min(span)));
            }
            if end > span {
                longer.push((axis, span.saturating_sub(padding[i]), end - padding[i]));
            }
        }
        let mut result = full;
        for (i, &padding) in padding.iter().enumerate() {
            let axis = at + 1 + i;
            let end = (full[axis] - padding.min(full[axis])).saturating_add(more[i]).min(full[axis]);
            result = result.with(axis, end - padding.min(full[axis]).min(end))?;
        }
        let mut grown = Vec::new();
        for (axis, from, to) in longer {
            result = result.with(axis, to)?;
            grown.push((slice(axis, 0, from), result));
        }
        let are_elements = kernel.iter().chain(stride).all(|&n| n == 1);
        let area = Shape::new(&[weight[1], Shape::new(kernel)?.len()])?.len();
        let sizes = Sizes::new(&result[at + 1..], kernel, places, (stride, padding, dilation));
        let sizes = Sizes { batch: x[..at].iter().product(), groups, inputs: weight[1], outputs: inputs, ..sizes };
        Ok(Transposed {
            x: with_batch(&[groups, inputs, Shape::new(places)?.len()])?,
            kernel: Shape::new(&[groups, inputs, area])?,
            columns: with_batch(&[&[outputs], kernel, places].concat())?,
            windows: windows(kernel, stride, dilation),
            full,
            kept,
            longer: grown,
            result,
            direct: (!are_elements && sizes.pays()).then_some(sizes),
        })
    }
}

fn transposed<T: Real, A: Algebra<T>>(x: &A, weight: &A, ConvTranspose { conv, output_padding }: ConvTranspose<2>) -> A {
    let lengths = (&conv.stride[..], &conv.padding[..], &conv.dilation[..]);
    let plan = match Transposed::plan(&x.shape(), &weight.shape(), lengths, &output_padding, conv.groups) {
        Ok(plan) => plan,
        Err(error) => return x.refused(error),
    };
    if let Some(sizes) = plan.direct {
        return A::apply(Trilinear { along: Trilinear::IMAGE, shapes: [plan.result, weight.shape(), x.shape()], sizes }, [weight, x]);
    }
    let columns = weight.reshape_as(&plan.kernel).matmul_as(&x.reshape_as(&plan.x), true, false).reshape_as(&plan.columns);
    let full = columns.put(plan.windows, &plan.full);
    let kept = plan.kept.into_iter().fold(full, |y, place| y.take(place));
    plan.longer.into_iter().fold(kept, |y, (place, shape)| y.put(place, &shape))
}

methods! {
    /// The cross-correlation of signals `[.., channels, length]` with a weight `[outputs, channels/groups, size]`, as PyTorch's `conv1d`:
    /// y\[o, i\] = Σ over c, j of w\[o, c, j\]·x\[c, i·stride + j·dilation − padding\], where x is 0 outside.
    ///
    /// The result is `[.., outputs, ⌊(length + 2·padding − dilation·(size − 1) − 1)/stride⌋ + 1]`. There is no bias: add
    /// `bias.reshape([-1, 1])`. With groups, each group of outputs sees its group of channels alone.
    ///
    /// # Errors
    /// Other ranks, channels that are not those of the weight or that the groups do not divide, a window that is longer than the padded
    /// input, a stride, dilation or size of 0.
    ///
    /// ```
    /// # use autograd::{Conv, Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[[1.0, 2.0, 4.0, 8.0]]]);
    /// let difference = g.variable(tensor![[[-1.0, 1.0]]]);
    /// assert_eq!(x.conv1d(difference, Conv::default()).value()?, tensor![[[1.0, 2.0, 4.0]]]);
    /// let y = x.conv1d(difference, Conv::default().stride(2).padding(1));
    /// assert_eq!(y.value()?, tensor![[[1.0, 2.0, -8.0]]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn conv1d(x, weight; conv: Conv<1>) => convolution(x, weight, &conv), samples: {
        [[1, 2, 4], [2, 2, 2]] => |x| x[0].conv1d(x[1], Conv::default());
        [[2, 2, 5], [2, 1, 2]] => |x| x[0].conv1d(x[1], Conv::default().stride(2).padding(1).dilation(2).groups(2));
        [[2, 3], [1, 2, 1]] => |x| x[0].conv1d(x[1], Conv::default());
        [[2, 1, 2, 3], [1, 2, 2]] => |x| x[0].conv1d(x[1], Conv::default().padding(1));
        [[0, 2, 4], [3, 2, 2]] => |x| x[0].conv1d(x[1], Conv::default());
    }, errors: {
        [[3], [1, 1, 1]] => |x| x[0].conv1d(x[1], Conv::default()), "at least 2 axes";
        [[1, 3], [1, 1]] => |x| x[0].conv1d(x[1], Conv::default()), "3 axes, the weight, is needed, not one with 2";
        [[1, 2, 3], [1, 1, 2]] => |x| x[0].conv1d(x[1], Conv::default()), "shape [1, 1, 2] does not match [1, 2, 2]; only axis 0 may differ";
        [[1, 2, 3], [1, 2, 4]] => |x| x[0].conv1d(x[1], Conv::default()), "a window of 4 positions";
    };

    /// The cross-correlation of images `[.., channels, height, width]` with a weight `[outputs, channels/groups, rows, columns]`, as
    /// PyTorch's `conv2d`: y\[o, i, j\] = Σ over c, k, l of w\[o, c, k, l\]·x\[c, i·s + k·d − p, j·s + l·d − p\] with stride s, dilation d
    /// and padding p, where x is 0 outside.
    ///
    /// Each of the last two axes becomes ⌊(length + 2·padding − dilation·(size − 1) − 1)/stride⌋ + 1 long. There is no bias: add
    /// `bias.reshape([-1, 1, 1])`. Images are multiplied where they stand. Without AVX-512, unless outputs are few or steps longer than one,
    /// all windows are copied side by side and multiplied in one matrix product (Chellapilla et al. 2006), which takes memory for rows·columns
    /// copies of the image.
    ///
    /// # Errors
    /// Other ranks, channels that are not those of the weight or that the groups do not divide, a window that is longer than the padded
    /// input, a stride, dilation or size of 0.
    ///
    /// ```
    /// # use autograd::{Conv, Graph, Tensor};
    /// let g = Graph::<f64>::new();
    /// let images = g.constant(Tensor::ones([10, 3, 8, 8])?);
    /// let weight = g.variable(Tensor::ones([4, 3, 3, 3])?);
    /// let y = images.conv2d(weight, Conv::default().stride(2).padding([1, 0]));
    /// assert_eq!(y.shape()?, [10, 4, 4, 3]);
    /// assert_eq!(y.value()?[[0, 0, 1, 1]], 27.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn conv2d(x, weight; conv: Conv<2>) => convolution(x, weight, &conv), samples: {
        [[1, 2, 3, 3], [1, 2, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default());
        [[2, 1, 3, 2], [2, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default().padding([1, 0]));
        [[1, 2, 3, 4], [2, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default().stride([2, 1]).padding(1).dilation([1, 2]).groups(2));
        [[2, 2, 3], [2, 2, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default());
        [[0, 1, 3, 3], [2, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default());
    }, errors: {
        [[3, 3], [1, 1, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default()), "at least 3 axes";
        [[1, 1, 3, 3], [1, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default()), "4 axes, the weight, is needed, not one with 3";
        [[1, 3, 2, 2], [1, 2, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default()), "shape [1, 2, 1, 1] does not match [1, 3, 1, 1]";
        [[1, 3, 2, 2], [2, 1, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default().groups(2)), "groups = 2: it must be at least 1 and divide the channels";
        [[1, 2, 2, 2], [1, 1, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default().groups(2)), "groups = 2";
        [[1, 2, 2, 2], [1, 2, 1, 1]] => |x| x[0].conv2d(x[1], Conv::default().groups(0)), "groups = 0";
        [[1, 1, 2, 2], [1, 1, 1, 3]] => |x| x[0].conv2d(x[1], Conv::default()), "a window of 3 positions at a distance of 1 does not fit into an axis of length 2";
        [[1, 1, 2, 2], [1, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default().stride([1, 0])), "step = 0: it must be at least 1";
        [[1, 1, 2, 2], [1, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default().dilation(0)), "dilation = 0";
        [[1, 1, 2, 2], [1, 1, 2, 0]] => |x| x[0].conv2d(x[1], Conv::default()), "window size = 0";
        [[1, 1, 2, 2], [1, 1, 2, 2]] => |x| x[0].conv2d(x[1], Conv::default().padding(usize::MAX)), "too large";
    };

    /// The transposed map of [`Var::conv2d`](crate::Var::conv2d) with the same options: each element of `[.., channels, height, width]`
    /// adds a multiple of its part of the weight `[channels, outputs/groups, rows, columns]` to a window of the result, as PyTorch's
    /// `conv_transpose2d` (Zeiler et al. 2010).
    ///
    /// Each of the last two axes becomes (length − 1)·stride − 2·padding + dilation·(size − 1) + 1 + `output_padding` long. Several
    /// lengths are convolved to the same one; `output_padding` says how much longer than the shortest of them the result is to be.
    ///
    /// # Errors
    /// Other ranks, channels that are not those of the weight or that the groups do not divide, padding that leaves nothing, a stride or
    /// dilation of 0, an output padding that is not less than one of them, images or weights of no size.
    ///
    /// ```
    /// # use autograd::{Conv, Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[[[1.0, 2.0]]]]);
    /// let weight = g.variable(tensor![[[[1.0, 10.0, 100.0]]]]);
    /// let y = x.conv_transpose2d(weight, Conv::default().stride([1, 2]));
    /// assert_eq!(y.value()?, tensor![[[[1.0, 10.0, 102.0, 20.0, 200.0]]]]);
    /// let y = x.conv_transpose2d(weight, Conv::default().stride([1, 2]).padding([0, 1]).output_padding([0, 1]));
    /// assert_eq!(y.value()?, tensor![[[[10.0, 102.0, 20.0, 200.0]]]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn conv_transpose2d(x, weight; conv: impl Into<ConvTranspose<2>>) => transposed(x, weight, conv.into()), samples: {
        [[1, 2, 2, 2], [2, 1, 2, 2]] => |x| x[0].conv_transpose2d(x[1], Conv::default());
        [[1, 2, 2, 2], [2, 1, 2, 2]] => |x| x[0].conv_transpose2d(x[1], Conv::default().stride(2).padding(1).groups(2).output_padding(1));
        [[1, 2, 2], [1, 2, 2, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default().stride([1, 3]).dilation([2, 1]).output_padding([1, 2]));
        [[2, 1, 1, 2], [1, 1, 1, 2]] => |x| x[0].conv_transpose2d(x[1], Conv::default());
        [[0, 1, 2, 2], [1, 2, 2, 2]] => |x| x[0].conv_transpose2d(x[1], Conv::default());
    }, errors: {
        [[3, 3], [1, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default()), "at least 3 axes";
        [[1, 3, 2, 2], [2, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default()), "shape [2, 1, 1, 1] does not match [3, 1, 1, 1]; only axis 1 may differ";
        [[1, 3, 2, 2], [3, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default().groups(2)), "groups = 2";
        [[1, 1, 2, 2], [1, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default().padding(1)), "padding = 1: it must be so small";
        [[1, 1, 2, 2], [1, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default().output_padding(1)), "output_padding = 1: it must be less than";
        [[1, 1, 2, 2], [1, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default().stride(0)), "stride = 0";
        [[1, 1, 0, 2], [1, 1, 1, 1]] => |x| x[0].conv_transpose2d(x[1], Conv::default()), "nothing to take the transposed convolution of";
    };
}
