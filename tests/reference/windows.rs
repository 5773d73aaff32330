//! Convolution, pooling, attention and normalisation by nested loops.

use super::{
    algebra::{matmul, softmax},
    call::{Call, lengths, option},
    nd::{Nd, indices},
};

/// The windows of a convolution or a pool.
#[derive(Debug)]
struct Windows {
    size: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<usize>,
    dilation: Vec<usize>,
}

impl Windows {
    fn of(text: &str, size: &[usize], stride: &[usize]) -> Windows {
        let axes = size.len();
        let option = |name, default: &[usize]| option(text, name, axes, default);
        Windows {
            size: size.to_vec(),
            stride: option(".stride", stride),
            padding: option(".padding", &[0]),
            dilation: option(".dilation", &[1]),
        }
    }

    /// How many windows fit.
    fn count(&self, lengths: &[usize]) -> Vec<usize> {
        let count = |k: usize| (lengths[k] + 2 * self.padding[k] - self.dilation[k] * (self.size[k] - 1) - 1) / self.stride[k] + 1;
        (0..self.size.len()).map(count).collect()
    }

    /// Where position `inside` of window `window` lies.
    fn place(&self, window: &[usize], inside: &[usize]) -> Vec<isize> {
        let place = |k: usize| (window[k] * self.stride[k] + inside[k] * self.dilation[k]).cast_signed() - self.padding[k].cast_signed();
        (0..self.size.len()).map(place).collect()
    }
}

fn signed(index: &[usize]) -> Vec<isize> {
    index.iter().map(|i| i.cast_signed()).collect()
}

/// y\[.., o, i\] = Σ over c, j of w\[o, c, j\]·x\[.., c of the group of o, place of j in window i\]
pub(super) fn convolve(x: &Nd, w: &Nd, call: &Call, dims: usize) -> Nd {
    let windows = Windows::of(&call.args[1], &w.shape[2..], &[1]);
    let groups = option(&call.args[1], ".groups", 1, &[1])[0];
    let (outputs, channels) = (w.shape[0], w.shape[1]);
    let batch = x.rank() - dims - 1;
    let shape = [&x.shape[..batch], &[outputs], &windows.count(&x.shape[batch + 1..])].concat();
    Nd::from_fn(&shape, |index| {
        let (o, window) = (index[batch], &index[batch + 1..]);
        let group = o / (outputs / groups);
        let mut sum = 0.0;
        for c in 0..channels {
            for inside in indices(&windows.size) {
                let from = [signed(&index[..batch]), signed(&[group * channels + c]), windows.place(window, &inside)].concat();
                sum += w.at(&[&[o, c], &*inside].concat()) * x.padded(&from);
            }
        }
        sum
    })
}

/// Each element adds its multiple of the weight to a window of the result.
pub(super) fn convolve_transposed(x: &Nd, w: &Nd, call: &Call, dims: usize) -> Nd {
    let windows = Windows::of(&call.args[1], &w.shape[2..], &[1]);
    let groups = option(&call.args[1], ".groups", 1, &[1])[0];
    let more = option(&call.args[1], ".output_padding", dims, &[0]);
    let (channels, outputs) = (w.shape[0], w.shape[1]);
    let batch = x.rank() - dims - 1;
    let length = |k: usize| {
        (x.shape[batch + 1 + k] - 1) * windows.stride[k] + windows.dilation[k] * (windows.size[k] - 1) + 1 + more[k]
            - 2 * windows.padding[k]
    };
    let shape = [&x.shape[..batch], &[outputs * groups], &(0..dims).map(length).collect::<Vec<_>>()].concat();
    let mut y = Nd::from_fn(&shape, |_| 0.0);
    for index in indices(&x.shape) {
        let (c, window) = (index[batch], &index[batch + 1..]);
        for o in 0..outputs {
            for inside in indices(&windows.size) {
                let place = windows.place(window, &inside);
                if place.iter().zip(&shape[batch + 1..]).all(|(i, length)| *i >= 0 && i.unsigned_abs() < *length) {
                    let place: Vec<_> = place.iter().map(|i| i.unsigned_abs()).collect();
                    let to = [&index[..batch], &[c / (channels / groups) * outputs + o], &place].concat();
                    y.add_at(&to, w.at(&[&[c, o], &*inside].concat()) * x.at(&index));
                }
            }
        }
    }
    y
}

/// A number for the elements in each window, `outside` standing in for the padding.
pub(super) fn pool(x: &Nd, call: &Call, dims: usize, outside: Option<f64>, f: impl Fn(&[f64]) -> f64) -> Nd {
    let text = &call.args[0];
    let size = if text.starts_with("Pool") { option(text, "Pool::new", dims, &[]) } else { lengths(text) };
    let size = if size.len() == 1 { vec![size[0]; dims] } else { size };
    let windows = Windows::of(text, &size, &size);
    let batch = x.rank() - dims;
    let shape = [&x.shape[..batch], &windows.count(&x.shape[batch..])].concat();
    Nd::from_fn(&shape, |index| {
        let mut elements = Vec::new();
        for inside in indices(&size) {
            let place = windows.place(&index[batch..], &inside);
            let is_inside = place.iter().zip(&x.shape[batch..]).all(|(i, length)| *i >= 0 && i.unsigned_abs() < *length);
            if is_inside {
                elements.push(x.padded(&[signed(&index[..batch]), place].concat()));
            } else {
                elements.extend(outside);
            }
        }
        f(&elements)
    })
}

/// Means over windows from ⌊i·length/n⌋ to ⌈(i + 1)·length/n⌉.
pub(super) fn adaptive_avg_pool(x: &Nd, size: &[usize]) -> Nd {
    let size = if size.len() == 1 { vec![size[0]; 2] } else { size.to_vec() };
    let batch = x.rank() - 2;
    let (rows, columns) = (x.shape[batch], x.shape[batch + 1]);
    Nd::from_fn(&[&x.shape[..batch], &size].concat(), |index| {
        let (i, j) = (index[batch], index[batch + 1]);
        let (mut sum, mut count) = (0.0, 0.0);
        for row in i * rows / size[0]..((i + 1) * rows).div_ceil(size[0]) {
            for column in j * columns / size[1]..((j + 1) * columns).div_ceil(size[1]) {
                sum += x.at(&[&index[..batch], &[row, column]].concat());
                count += 1.0;
            }
        }
        sum / count
    })
}

/// (x − mean)/√(variance + ε) over some axes.
pub(super) fn standardise(x: &Nd, axes: &[usize], eps: f64) -> Nd {
    let mean = x.reduce(axes, true, super::mean);
    let variance = x.reduce(axes, true, |line| super::variance(line, 0.0));
    x.zip(&mean, |x, mean| x - mean).zip(&variance, |x, variance| x / (variance + eps).sqrt())
}

/// The groups of channels are standardised as one axis.
pub(super) fn group_norm(x: &Nd, groups: usize, eps: f64) -> Nd {
    let split = [&[x.shape[0], groups, x.shape[1] / groups], &x.shape[2..]].concat();
    let axes: Vec<_> = (2..split.len()).collect();
    standardise(&x.reshape(&split), &axes, eps).reshape(&x.shape)
}

/// softmax(q·kᵀ/√E + mask)·v
pub(super) fn attention(q: &Nd, k: &Nd, v: &Nd, mask: Option<&Nd>, causal: bool) -> Nd {
    let width = q.shape[q.rank() - 1] as f64;
    let scores = matmul(q, &k.transpose(k.rank() - 2, k.rank() - 1)).map(|score| score / width.sqrt());
    let scores = mask.map_or(scores.clone(), |mask| scores.zip(mask, |score, mask| score + mask));
    let last = scores.rank() - 1;
    // Added, and not put in its place: the scores of keys that are not seen must be finite, as in `PyTorch`.
    let hidden = |index: &[usize]| if causal && index[last] > index[last - 1] { f64::NEG_INFINITY } else { 0.0 };
    let seen = Nd::from_fn(&scores.shape, |index| scores.at(index) + hidden(index));
    matmul(&seen.along(last, softmax), v)
}
