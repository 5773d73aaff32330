//! Convolution without windows that are written out: products of weights with rows of the image where they stand.
//!
//! The image of a group is laid between zeros, for a stride s in s² parts, of which each has every s-th row and column. There, all that a place of
//! the window is multiplied with stands side by side, row after row, and one place differs from another by where that begins. So a convolution
//! is a product of matrices whose right factor is read at listed places. The gradient of the image is another: the gradient of the result,
//! laid between zeros, times the weight turned round. In the gradient of the weight the listed places are in the left factor.

use pulp::NullaryFnOnce;

use super::{
    Buffer, allocate,
    gemm::{Transpose, add_products, by_size, depth_of, most_rows, vectors_of},
    lanes::{SQUARE, Transposes, Vectorised, vector_bytes, vectorised},
    overwritten,
    pointwise::add_to,
    threads,
};
use crate::{error::Error, real::Real, shape::Shape};

/// How windows of two axes move over a batch of images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// Channels of a group.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) axes: [Axis; 2],
}

/// How they move along one axis. Nothing is 0 but the padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    len: usize,
    size: usize,
    count: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

/// Parts of the work have at least so many multiplications; there are at most so many parts.
const WORK: usize = 1 << 18;
const MOST: usize = 64;
/// Fewer images than this are divided by their channels, too.
const FEW: usize = 8;
/// A sum over many images is divided into so many.
const SUMS: usize = 8;
/// If it is over so many places for each.
const FAR: usize = 256;
/// With so many outputs writing windows out is a large part of the work.
const CHEAP: usize = 8;
/// So many places of a gradient are multiplied at a time, with so many of a weight, at least, if channels are divided.
const BLOCK: usize = 256;

/// How rows or columns are laid: the row `i` of a part is the row `i·stride + residue − before` of the source, if there is one.
#[derive(Debug)]
struct Laid {
    residues: Vec<usize>,
    stride: usize,
    before: isize,
    /// Rows of a part, and of the source.
    len: usize,
    source: usize,
}

impl Laid {
    /// The rows of a part that are rows of the source, and the first of those.
    fn inside(&self, residue: usize) -> (std::ops::Range<usize>, usize) {
        let (shift, stride) = (residue.cast_signed() - self.before, self.stride.cast_signed());
        let first = if shift < 0 { (-shift + stride - 1) / stride } else { 0 };
        let from = (first * stride + shift).cast_unsigned();
        let count = if from < self.source { (self.source - from).div_ceil(self.stride) } else { 0 };
        let first = first.cast_unsigned().min(self.len);
        (first..(first + count).min(self.len), from)
    }
}

impl Axis {
    fn reach(&self) -> usize {
        (self.size - 1) * self.dilation
    }

    /// The distinct remainders of places of the window, by the stride.
    fn residues(&self) -> Vec<usize> {
        let mut residues: Vec<_> = (0..self.size).map(|k| k * self.dilation % self.stride).collect();
        residues.sort_unstable();
        residues.dedup();
        residues
    }

    /// How the image is laid.
    fn image(&self) -> Laid {
        Laid {
            residues: self.residues(),
            stride: self.stride,
            before: self.padding.cast_signed(),
            len: self.count + self.reach() / self.stride,
            source: self.len,
        }
    }

    /// The rows of the parts of an image that are rows of the image, of any part.
    fn rows(&self) -> std::ops::Range<usize> {
        let of = |residue: usize| {
            let first = self.padding.saturating_sub(residue).div_ceil(self.stride);
            let end = (self.len + self.padding).saturating_sub(residue).div_ceil(self.stride);
            first..end.max(first)
        };
        let all: Vec<_> = self.residues().into_iter().map(of).collect();
        all.iter().map(|rows| rows.start).min().unwrap_or(0)..all.iter().map(|rows| rows.end).max().unwrap_or(0)
    }

    /// How the gradient of the result is laid, so that the gradient of the image can be summed for those rows.
    fn gradient(&self) -> Laid {
        let (rows, reach) = (self.rows(), self.reach() / self.stride);
        Laid {
            residues: vec![0],
            stride: 1,
            before: reach.cast_signed() - rows.start.cast_signed(),
            len: rows.len() + reach,
            source: self.count,
        }
    }

    /// How the gradient of the image stands in its rows.
    fn of_image(&self) -> Laid {
        let rows = self.rows();
        Laid {
            residues: self.residues(),
            stride: self.stride,
            before: self.padding.cast_signed() - (rows.start * self.stride).cast_signed(),
            len: rows.len(),
            source: self.len,
        }
    }
}

impl Sizes {
    /// One image of one channel, and how windows move over its one or two axes: lengths, sizes, counts, and strides, padding and dilation.
    pub(crate) fn new(len: &[usize], size: &[usize], count: &[usize], (stride, padding, dilation): (&[usize], &[usize], &[usize])) -> Self {
        let mut axes = [Axis { len: 1, size: 1, count: 1, stride: 1, padding: 0, dilation: 1 }; 2];
        let first = axes.len() - len.len();
        for (i, axis) in axes[first..].iter_mut().enumerate() {
            let (len, size, count, padding) = (len[i], size[i], count[i], padding[i]);
            // Of one place, the distance to the next does not matter, and may be too long to be multiplied.
            let distance = |n: usize, by: usize| if n > 1 { by } else { 1 };
            *axis = Axis { len, size, count, stride: distance(count, stride[i]), padding, dilation: distance(size, dilation[i]) };
        }
        Sizes { batch: 1, groups: 1, inputs: 1, outputs: 1, axes }
    }

    fn area(&self) -> usize {
        self.axes[0].size * self.axes[1].size
    }

    fn pixels(&self) -> usize {
        self.axes[0].len * self.axes[1].len
    }

    fn places(&self) -> usize {
        self.axes[0].count * self.axes[1].count
    }

    /// Whether there is anything to do, room for it, and vectors that make it faster than windows written out: with AVX2, whose products are half as
    /// fast, writing costs less beside them.
    pub(crate) fn pays(&self) -> bool {
        let is_empty = self.batch * self.inputs * self.outputs * self.pixels() == 0;
        let is_cheap = self.outputs <= CHEAP || self.axes.iter().any(|axis| axis.stride > 1);
        let is_fast = vector_bytes() >= if is_cheap { 32 } else { 64 };
        let gradient = Plane(self.axes.map(|axis| axis.gradient()));
        !is_empty && is_fast && self.image().fits(self.inputs) && gradient.fits(self.outputs)
    }

    /// Multiplications for one group of one image.
    fn work(&self) -> usize {
        self.places() * self.area() * self.inputs * self.outputs
    }
}

/// Two axes of planes that are laid.
struct Plane([Laid; 2]);

impl Plane {
    fn part(&self) -> usize {
        self.0[0].len * self.0[1].len
    }

    /// Elements of one channel.
    fn len(&self) -> usize {
        self.0[0].residues.len() * self.0[1].residues.len() * self.part()
    }

    /// Whether so many channels have a length that can be counted.
    fn fits(&self, channels: usize) -> bool {
        let [rows, columns] = &self.0;
        Shape::new(&[channels, rows.residues.len(), columns.residues.len(), rows.len, columns.len]).is_ok()
    }

    /// Lays some channels.
    #[inline(always)]
    fn lay<T: Real>(&self, from: &[T], to: &mut [T]) {
        let [rows, columns] = &self.0;
        let channels = from.chunks_exact(rows.source * columns.source);
        for (from, to) in channels.zip(to.chunks_exact_mut(self.len())) {
            let mut parts = to.chunks_exact_mut(self.part());
            for &a in &rows.residues {
                let (range, first) = rows.inside(a);
                for &b in &columns.residues {
                    let Some(part) = parts.next() else { break };
                    let (across, column) = columns.inside(b);
                    if across.is_empty() {
                        continue;
                    }
                    for (i, row) in range.clone().enumerate() {
                        let to = &mut part[row * columns.len..][across.clone()];
                        let from = &from[(first + i * rows.stride) * columns.source + column..];
                        if columns.stride == 1 {
                            copy(&from[..to.len()], to);
                        } else {
                            for k in 0..to.len() {
                                to[k] = from[k * columns.stride];
                            }
                        }
                    }
                }
            }
        }
    }

    /// Takes the rows of one part of one channel back to where they belong; they stand `step` apart.
    #[inline(always)]
    fn take_back<T: Real>(&self, part: [usize; 2], from: &[T], step: usize, to: &mut [T]) {
        let [rows, columns] = &self.0;
        let ((range, first), (across, column)) = (rows.inside(rows.residues[part[0]]), columns.inside(columns.residues[part[1]]));
        if across.is_empty() {
            return;
        }
        for (i, row) in range.enumerate() {
            let from = &from[row * step..][across.clone()];
            let to = &mut to[(first + i * rows.stride) * columns.source + column..];
            if columns.stride == 1 {
                copy(from, &mut to[..from.len()]);
            } else {
                for k in 0..from.len() {
                    to[k * columns.stride] = from[k];
                }
            }
        }
    }
}

/// Copies short runs without a call.
#[inline(always)]
#[allow(clippy::manual_memcpy)]
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    const SIDE: usize = 16;
    let n = if from.len() < to.len() { from.len() } else { to.len() };
    let (from, to) = (&from[..n], &mut to[..n]);
    if n < SIDE {
        let mut done = copy_some::<8, T>(from, to);
        done += copy_some::<4, T>(&from[done..], &mut to[done..]);
        for i in done..n {
            to[i] = from[i];
        }
        return;
    }
    let mut done = 0;
    while done < n {
        // The last ones overlap those before.
        let at = if done + SIDE > n { n - SIDE } else { done };
        copy_some::<SIDE, T>(&from[at..], &mut to[at..]);
        done = at + SIDE;
    }
}

#[inline(always)]
fn copy_some<const N: usize, T: Real>(from: &[T], to: &mut [T]) -> usize {
    let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) else { return 0 };
    *to = *from;
    N
}

/// Products with what stands at listed places of planes that are laid.
struct Products<T: Real> {
    laid: Plane,
    /// Channels that are read, and that are written.
    channels: (usize, usize),
    back: Plane,
    /// For each part of what is written the left factors of all groups, and where each column of them begins in the planes.
    parts: Vec<(Buffer<T>, Vec<usize>)>,
}

impl Sizes {
    /// Where each place of the window begins in the image as it is laid, and in which part, for both axes.
    fn taps(&self, plane: &Plane) -> Vec<usize> {
        let [rows, columns] = &plane.0;
        let part_of = |laid: &Laid, k: usize, axis: &Axis| laid.residues.binary_search(&(k * axis.dilation % axis.stride)).unwrap_or(0);
        let mut taps = Vec::with_capacity(self.inputs * self.area());
        for channel in 0..self.inputs {
            for k in 0..self.axes[0].size {
                for l in 0..self.axes[1].size {
                    let part = part_of(rows, k, &self.axes[0]) * columns.residues.len() + part_of(columns, l, &self.axes[1]);
                    let (row, column) = (k * self.axes[0].dilation / self.axes[0].stride, l * self.axes[1].dilation / self.axes[1].stride);
                    taps.push(channel * plane.len() + part * plane.part() + row * columns.len + column);
                }
            }
        }
        taps
    }

    fn image(&self) -> Plane {
        Plane(self.axes.map(|axis| axis.image()))
    }

    /// The convolution.
    fn forward<T: Real>(&self, weight: &[T]) -> Result<Products<T>, Error> {
        let laid = self.image();
        let mut left = overwritten(weight.len())?;
        left.copy_from_slice(weight);
        let taps = self.taps(&laid);
        let back = Plane(self.axes.map(|axis| Laid { residues: vec![0], stride: 1, before: 0, len: axis.count, source: axis.count }));
        Ok(Products { laid, channels: (self.inputs, self.outputs), back, parts: vec![(left, taps)] })
    }

    /// The gradient of the image.
    fn backward<T: Real>(&self, weight: &[T]) -> Result<Products<T>, Error> {
        let laid = Plane(self.axes.map(|axis| axis.gradient()));
        let back = Plane(self.axes.map(|axis| axis.of_image()));
        let [rows, columns] = &self.axes;
        let mut parts = Vec::new();
        let in_part = |axis: &Axis, residue: usize| -> Vec<(usize, usize)> {
            let last = axis.reach() / axis.stride;
            (0..axis.size)
                .filter(|k| k * axis.dilation % axis.stride == residue)
                .map(|k| (k, last - k * axis.dilation / axis.stride))
                .collect()
        };
        for &a in &back.0[0].residues {
            for &b in &back.0[1].residues {
                let (down, across) = (in_part(rows, a), in_part(columns, b));
                let mut taps = Vec::with_capacity(self.outputs * down.len() * across.len());
                for output in 0..self.outputs {
                    for (_, row) in &down {
                        for (_, column) in &across {
                            taps.push(output * laid.len() + row * laid.0[1].len + column);
                        }
                    }
                }
                let mut left = overwritten(self.groups * self.inputs * taps.len())?;
                let mut at = 0;
                for group in 0..self.groups {
                    for input in 0..self.inputs {
                        for output in 0..self.outputs {
                            let weight = &weight[((group * self.outputs + output) * self.inputs + input) * self.area()..];
                            for (k, _) in &down {
                                for (l, _) in &across {
                                    left[at] = weight[k * columns.size + l];
                                    at += 1;
                                }
                            }
                        }
                    }
                }
                parts.push((left, taps));
            }
        }
        Ok(Products { laid, channels: (self.outputs, self.inputs), back, parts })
    }

    /// How many groups of images a part of the work has.
    fn groups_of_part(&self) -> usize {
        let all = self.batch * self.groups;
        all.div_ceil(MOST).max(WORK.div_ceil(self.work().max(1))).min(all).max(1)
    }

    /// The convolution of all images.
    pub(crate) fn convolve<T: Real>(&self, x: &[T], weight: &[T], y: &mut [T]) -> Result<(), Error> {
        self.multiply(&self.forward(weight)?, x, y)
    }

    /// The gradient of all images.
    pub(crate) fn spread<T: Real>(&self, weight: &[T], g: &[T], dx: &mut [T]) -> Result<(), Error> {
        if self.axes.iter().any(|axis| axis.rows().is_empty()) {
            // Windows step over the whole image.
            dx.fill(T::ZERO);
            return Ok(());
        }
        if !T::all_finite(weight) {
            // Zeros around the gradient must not be multiplied with infinity.
            self.spread_one_by_one(weight, g, dx);
            return Ok(());
        }
        self.multiply(&self.backward(weight)?, g, dx)
    }

    fn spread_one_by_one<T: Real>(&self, weight: &[T], g: &[T], dx: &mut [T]) {
        let [rows, columns] = &self.axes;
        let place =
            |axis: &Axis, i: usize, k: usize| (i * axis.stride + k * axis.dilation).checked_sub(axis.padding).filter(|at| *at < axis.len);
        let run = |(at, (dx, g)): (usize, (&mut [T], &[T]))| {
            dx.fill(T::ZERO);
            let weight = &weight[at % self.groups * self.outputs * self.inputs * self.area()..];
            for (i, w) in weight[..self.outputs * self.inputs * self.area()].iter().enumerate() {
                let (k, l) = (i % self.area() / columns.size, i % columns.size);
                let (output, input) = (i / self.area() / self.inputs, i / self.area() % self.inputs);
                let (g, dx) = (&g[output * self.places()..][..self.places()], &mut dx[input * self.pixels()..]);
                for (i, g) in g.chunks_exact(columns.count).enumerate() {
                    let Some(row) = place(rows, i, k) else { continue };
                    for (j, g) in g.iter().enumerate() {
                        if let Some(column) = place(columns, j, l) {
                            dx[row * columns.len + column] += *w * *g;
                        }
                    }
                }
            }
        };
        let parts = dx.chunks_mut(self.inputs * self.pixels()).zip(g.chunks(self.outputs * self.places())).enumerate();
        threads::all(self.batch * self.groups * self.work(), parts, &run);
    }

    fn multiply<T: Real>(&self, products: &Products<T>, from: &[T], to: &mut [T]) -> Result<(), Error> {
        let (count, all, written) = (self.groups_of_part(), self.batch * self.groups, products.channels.1);
        let lengths = (from.len() / all, to.len() / all);
        // Of few images, channels are divided, too.
        let blocks = if all < FEW && count == 1 { (self.work() / WORK).clamp(1, MOST / FEW) } else { 1 };
        let rows = written.div_ceil(blocks).next_multiple_of(SQUARE).min(written);
        let mut parts = Vec::new();
        for (i, (from, to)) in from.chunks(count * lengths.0).zip(to.chunks_mut(count * lengths.1)).enumerate() {
            let step = if rows < written { rows * (lengths.1 / written) } else { to.len() };
            for (block, to) in to.chunks_mut(step).enumerate() {
                let rows = block * rows..written.min((block + 1) * rows);
                parts.push(Multiply { products, first: i * count, groups: self.groups, lengths, rows, from, to });
            }
        }
        threads::each(all * self.work(), parts, &vectorised).into_iter().collect()
    }

    /// The gradient of the weight.
    pub(crate) fn correlate<T: Real>(&self, x: &[T], g: &[T], dw: &mut [T]) -> Result<(), Error> {
        let plane = self.image();
        let taps = self.taps(&plane);
        // Groups share nothing. A sum over many images is divided, or else the channels are; each part has its own copy of the gradient.
        let is_long = self.batch * self.places() >= FAR * SUMS && taps.len() < BLOCK * SUMS;
        let sums = if is_long && self.groups < SUMS { SUMS.min(self.batch) } else { 1 };
        let is_divided = sums > 1 || self.groups >= SUMS;
        let channels =
            if is_long && is_divided { self.inputs } else { (BLOCK / self.area()).max(self.inputs.div_ceil(MOST)).clamp(1, self.inputs) };
        let of_sum = |sum: usize| sum * self.batch / sums;
        let len = taps.len() * self.outputs;
        let mut all = overwritten::<T>(sums * dw.len())?;
        let mut parts = Vec::new();
        for (i, of_group) in all.chunks_mut(len).enumerate() {
            for (block, dw) in of_group.chunks_mut(channels * self.area() * self.outputs).enumerate() {
                parts.push((i / self.groups, i % self.groups, block * channels, dw));
            }
        }
        let run = |(sum, group, channel, dw): (usize, usize, usize, &mut [T])| {
            let taps = &taps[..dw.len() / self.outputs];
            let images = of_sum(sum)..of_sum(sum + 1);
            vectorised(Correlate { sizes: self, plane: &plane, taps, images, group, channel, x, g, dw })
        };
        threads::each(self.batch * self.groups * self.work(), parts, &run).into_iter().collect::<Result<(), Error>>()?;
        let (total, others) = all.split_at_mut(dw.len());
        for sum in others.chunks(dw.len()) {
            add_to(total, sum);
        }
        // They stand with the outputs side by side.
        for (total, dw) in total.chunks(len).zip(dw.chunks_mut(len)) {
            for first in (0..taps.len()).step_by(SQUARE) {
                for output in 0..self.outputs {
                    for tap in first..(first + SQUARE).min(taps.len()) {
                        dw[output * taps.len() + tap] = total[tap * self.outputs + output];
                    }
                }
            }
        }
        Ok(())
    }
}

struct Multiply<'a, T: Real> {
    products: &'a Products<T>,
    /// The first group of an image of this part, and how many groups an image has.
    first: usize,
    groups: usize,
    /// Elements of a group that are read, and that are written, by all parts.
    lengths: (usize, usize),
    /// The channels that this part writes.
    rows: std::ops::Range<usize>,
    from: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> Vectorised for Multiply<'_, T> {
    type Output = Result<(), Error>;
    #[inline(always)]
    fn run<S: Transposes>(self, simd: S) -> Result<(), Error> {
        let Multiply { products: Products { laid, channels, back, parts }, first, groups, lengths, rows, from, to } = self;
        let (lanes, step) = (T::lanes::<S>(), laid.0[1].len);
        let mut planes = allocate(channels.0 * laid.len() + lanes)?;
        // The last row is shorter than what is between two rows.
        let columns = (back.0[0].len - 1) * step + back.0[1].len;
        let row = columns.next_multiple_of(lanes);
        let mut flat = overwritten(rows.len() * row)?;
        let [down, across] = &back.0;
        let is_all = down.residues.len() == down.stride && across.residues.len() == across.stride;
        if !is_all {
            to.fill(T::ZERO);
        }
        let written = lengths.1 / channels.1 * rows.len();
        for (i, (from, to)) in from.chunks_exact(lengths.0).zip(to.chunks_exact_mut(written)).enumerate() {
            laid.lay(from, &mut planes);
            let group = (first + i) % groups;
            for (part, (left, taps)) in parts.iter().enumerate() {
                let left = &left[(group * channels.1 + rows.start) * taps.len()..][..rows.len() * taps.len()];
                listed_product(simd, rows.len(), left, &planes, taps, &mut flat, (columns, row));
                let part = [part / across.residues.len(), part % across.residues.len()];
                for (from, to) in flat.chunks_exact(row).zip(to.chunks_exact_mut(down.source * across.source)) {
                    back.take_back(part, from, step, to);
                }
            }
        }
        Ok(())
    }
}

/// `c = a·b`, where row l of b begins at `taps[l]`. The rows of c are `step` apart, and are written in whole vectors.
#[inline(always)]
fn listed_product<S: Transposes, T: Real>(
    simd: S,
    m: usize,
    a: &[T],
    b: &[T],
    taps: &[usize],
    c: &mut [T],
    (columns, step): (usize, usize),
) {
    let (k, lanes, most, count) = (taps.len(), T::lanes::<S>(), vectors_of::<S>(m), m.div_ceil(const { most_rows::<S>() }));
    for first in (0..k).step_by(depth_of::<T>(k)) {
        let taps = &taps[first..(first + depth_of::<T>(k)).min(k)];
        let mut column = 0;
        while column < columns {
            let vectors = 1 << (columns - column).div_ceil(lanes).min(most).ilog2();
            let mut row = 0;
            for i in 0..count {
                let rows = (m - row).div_ceil(count - i);
                let (a, c) = (&a[row * k + first..], &mut c[row * step + column..]);
                let b = &b[column..];
                macro_rules! tile {
                    ($rows:literal $vectors:literal) => {
                        simd.vectorize(Tile::<S, T, $rows, $vectors> { simd, a, k, b, taps, c, step, accumulate: first > 0 })
                    };
                }
                by_size!(tile, rows, vectors);
                row += rows;
            }
            column += vectors * lanes;
        }
    }
}

struct Tile<'a, S, T, const ROWS: usize, const VECTORS: usize> {
    simd: S,
    a: &'a [T],
    k: usize,
    b: &'a [T],
    taps: &'a [usize],
    c: &'a mut [T],
    step: usize,
    accumulate: bool,
}

impl<S: Transposes, T: Real, const ROWS: usize, const VECTORS: usize> NullaryFnOnce for Tile<'_, S, T, ROWS, VECTORS> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Tile { simd, a, k, b, taps, c, step, accumulate } = self;
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        let mut rows = [a; ROWS];
        for r in 0..ROWS {
            rows[r] = &a[r * k..][..taps.len()];
        }
        let width = VECTORS * T::lanes::<S>();
        for l in 0..taps.len() {
            if let Some(right) = T::vectors::<S>(&b[taps[l]..][..width]).first_chunk() {
                add_products::<S, T, ROWS, VECTORS, false>(simd, &mut sums, &rows, 0, l, right);
            }
        }
        for r in 0..ROWS {
            let c = T::vectors_mut::<S>(&mut c[r * step..][..width]);
            for v in 0..VECTORS {
                c[v] = if accumulate { T::plus(simd, c[v], sums[r][v]) } else { sums[r][v] };
            }
        }
    }
}

/// The gradient of the weight of one group, over some images.
struct Correlate<'a, T> {
    sizes: &'a Sizes,
    plane: &'a Plane,
    taps: &'a [usize],
    images: std::ops::Range<usize>,
    group: usize,
    /// The first of the channels that the places are of.
    channel: usize,
    x: &'a [T],
    g: &'a [T],
    dw: &'a mut [T],
}

impl<T: Real> Vectorised for Correlate<'_, T> {
    type Output = Result<(), Error>;
    #[inline(always)]
    fn run<S: Transposes>(self, simd: S) -> Result<(), Error> {
        let Correlate { sizes, plane, taps, images, group, channel, x, g, dw } = self;
        let &Sizes { groups, inputs, outputs, ref axes, .. } = sizes;
        let lanes = T::lanes::<S>();
        let channels = taps.len() / sizes.area();
        let mut planes = allocate(channels * plane.len() + lanes)?;
        let by_dots = outputs * 2 < lanes;
        let width = outputs.next_multiple_of(lanes).next_multiple_of(SQUARE);
        let mut sums = allocate(taps.len() * if by_dots { outputs * lanes } else { width })?;
        let mut panel = overwritten(if by_dots { 0 } else { sizes.places() * width })?;
        let step = plane.0[1].len;
        // What is left of a row after its last whole vector.
        let mut bits = vec![T::code(0); lanes];
        bits[..axes[1].count % lanes].fill(T::code(usize::MAX));
        for image in images {
            let at = image * groups + group;
            let x = &x[(at * inputs + channel) * sizes.pixels()..][..channels * sizes.pixels()];
            let g = &g[at * outputs * sizes.places()..][..outputs * sizes.places()];
            plane.lay(x, &mut planes);
            if by_dots {
                for output in 0..outputs {
                    let sums = &mut sums[output * taps.len() * lanes..][..taps.len() * lanes];
                    let g = &g[output * sizes.places()..][..sizes.places()];
                    add_dots(simd, &planes, taps, step, g, axes[1].count, &bits, sums);
                }
                continue;
            }
            simd.vectorize(Transpose {
                simd,
                right: g,
                stride: sizes.places(),
                depth: sizes.places(),
                columns: outputs,
                panel: &mut panel,
                step: width,
            });
            let high = (BLOCK / axes[1].count).max(1);
            for first in (0..axes[0].count).step_by(high) {
                let high = high.min(axes[0].count - first);
                let mut column = 0;
                while column < width {
                    let vectors = ((width - column) / lanes).min(2);
                    let count = taps.len().div_ceil(const { most_rows::<S>() });
                    let mut row = 0;
                    for i in 0..count {
                        let rows = (taps.len() - row).div_ceil(count - i);
                        let (taps, sums) = (&taps[row..], &mut sums[row * width + column..]);
                        let panel = &panel[first * axes[1].count * width + column..];
                        let planes = &planes[first * step..];
                        let size = (high, axes[1].count);
                        macro_rules! tile {
                            ($rows:literal $vectors:literal) => {
                                simd.vectorize(Across::<S, T, $rows, $vectors> { simd, planes, taps, step, size, panel, sums, width })
                            };
                        }
                        by_size!(tile, rows, vectors);
                        row += rows;
                    }
                    column += vectors * lanes;
                }
            }
        }
        for tap in 0..taps.len() {
            let dw = &mut dw[tap * outputs..][..outputs];
            for output in 0..outputs {
                dw[output] = if by_dots {
                    T::total(simd, T::vectors::<S>(&sums[(output * taps.len() + tap) * lanes..][..lanes])[0])
                } else {
                    sums[tap * width + output]
                };
            }
        }
        Ok(())
    }
}

/// Adds to some rows and columns of sums the products of planes, where they begin at listed places, and of rows of a panel.
struct Across<'a, S, T, const ROWS: usize, const VECTORS: usize> {
    simd: S,
    planes: &'a [T],
    taps: &'a [usize],
    step: usize,
    /// Rows and columns of the places of windows.
    size: (usize, usize),
    panel: &'a [T],
    sums: &'a mut [T],
    width: usize,
}

impl<S: Transposes, T: Real, const ROWS: usize, const VECTORS: usize> NullaryFnOnce for Across<'_, S, T, ROWS, VECTORS> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Across { simd, planes, taps, step, size: (high, wide), panel, sums: all, width } = self;
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        let columns = VECTORS * T::lanes::<S>();
        for row in 0..high {
            let mut rows = [planes; ROWS];
            for r in 0..ROWS {
                rows[r] = &planes[taps[r] + row * step..][..wide];
            }
            let panel = &panel[row * wide * width..];
            for l in 0..wide {
                if let Some(right) = T::vectors::<S>(&panel[l * width..][..columns]).first_chunk() {
                    add_products::<S, T, ROWS, VECTORS, false>(simd, &mut sums, &rows, 0, l, right);
                }
            }
        }
        for r in 0..ROWS {
            let all = T::vectors_mut::<S>(&mut all[r * width..][..columns]);
            for v in 0..VECTORS {
                all[v] = T::plus(simd, all[v], sums[r][v]);
            }
        }
    }
}

/// Adds to a vector of sums for each place the products of planes, where they begin at those places, and of the gradient of one output.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn add_dots<S: Transposes, T: Real>(
    simd: S,
    planes: &[T],
    taps: &[usize],
    step: usize,
    g: &[T],
    places: usize,
    bits: &[T::Code],
    sums: &mut [T],
) {
    let mut tap = 0;
    while tap < taps.len() {
        let (sums, taps) = (&mut sums[tap * T::lanes::<S>()..], &taps[tap..]);
        macro_rules! dots {
            ($taps:literal) => {{
                simd.vectorize(Dots::<S, T, $taps> { simd, planes, taps, step, g, places, bits, sums });
                $taps
            }};
        }
        tap += match taps.len() {
            9.. => dots!(9),
            3.. => dots!(3),
            _ => dots!(1),
        };
    }
}

/// Adds to vectors of sums the products of a plane, where it begins at listed places, and of the gradient of one output.
struct Dots<'a, S, T: Real, const TAPS: usize> {
    simd: S,
    planes: &'a [T],
    taps: &'a [usize],
    step: usize,
    g: &'a [T],
    places: usize,
    bits: &'a [T::Code],
    sums: &'a mut [T],
}

impl<S: Transposes, T: Real, const TAPS: usize> NullaryFnOnce for Dots<'_, S, T, TAPS> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Dots { simd, planes, taps, step, g, places, bits, sums: all } = self;
        let lanes = T::lanes::<S>();
        let all = T::vectors_mut::<S>(&mut all[..TAPS * lanes]);
        // A chain for each image: over many of them a single one would lose what is small beside it.
        let mut sums = [T::splat(simd, T::ZERO); TAPS];
        let mut begin = [0; TAPS];
        begin.copy_from_slice(&taps[..TAPS]);
        let (whole, rest, bits) = (places / lanes, places % lanes, T::codes::<S>(bits)[0]);
        for (row, g) in g.chunks_exact(places).enumerate() {
            let planes = &planes[row * step..];
            let vectors = T::vectors::<S>(g);
            for v in 0..whole {
                for t in 0..TAPS {
                    let left = T::vectors::<S>(&planes[begin[t] + v * lanes..][..lanes])[0];
                    sums[t] = T::mul_add(simd, left, vectors[v], sums[t]);
                }
            }
            if rest > 0 {
                let right = T::load(simd, &g[whole * lanes..]);
                for t in 0..TAPS {
                    // Neither is what stands after it multiplied, be it infinite.
                    let left = T::vectors::<S>(&planes[begin[t] + whole * lanes..][..lanes])[0];
                    sums[t] = T::mul_add(simd, T::masked(simd, left, bits), right, sums[t]);
                }
            }
        }
        for t in 0..TAPS {
            all[t] = T::plus(simd, all[t], sums[t]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, whose sums are exact in any order.
    fn whole<T: Real>(n: usize, by: usize) -> Vec<T> {
        (0..n).map(|i| T::of((i * 7919 % by) as f64 - (by / 2) as f64)).collect()
    }

    /// The result and both gradients, by the definition.
    fn by_definition<T: Real>(sizes: &Sizes, x: &[T], weight: &[T], g: &[T]) -> [Vec<T>; 3] {
        let &Sizes { batch, groups, inputs, outputs, axes: [down, across] } = sizes;
        let (mut y, mut dx, mut dw) = (vec![T::ZERO; g.len()], vec![T::ZERO; x.len()], vec![T::ZERO; weight.len()]);
        for at in 0..batch * groups {
            for (output, input) in (0..outputs * inputs).map(|i| (i / inputs, i % inputs)) {
                for (place, tap) in (0..sizes.places() * sizes.area()).map(|i| (i / sizes.area(), i % sizes.area())) {
                    let (i, j, k, l) = (place / across.count, place % across.count, tap / across.size, tap % across.size);
                    let row = (i * down.stride + k * down.dilation).wrapping_sub(down.padding);
                    let column = (j * across.stride + l * across.dilation).wrapping_sub(across.padding);
                    if row < down.len && column < across.len {
                        let x_at = ((at * inputs + input) * down.len + row) * across.len + column;
                        let w_at = ((at % groups * outputs + output) * inputs + input) * sizes.area() + tap;
                        let y_at = (at * outputs + output) * sizes.places() + place;
                        y[y_at] += weight[w_at] * x[x_at];
                        dx[x_at] += weight[w_at] * g[y_at];
                        dw[w_at] += g[y_at] * x[x_at];
                    }
                }
            }
        }
        [y, dx, dw]
    }

    /// Lengths, sizes, strides, padding and dilation of two axes, and the batch, groups, inputs and outputs.
    type Case = ([usize; 2], [usize; 2], [usize; 2], [usize; 2], [usize; 2], [usize; 4]);

    const CASES: [Case; 14] = [
        ([7, 9], [3, 3], [1, 1], [1, 1], [1, 1], [2, 1, 3, 5]),
        ([7, 10], [3, 3], [2, 2], [1, 1], [1, 1], [3, 2, 1, 1]),
        ([11, 30], [3, 2], [3, 2], [2, 0], [2, 3], [1, 1, 2, 9]),
        ([1, 40], [1, 5], [1, 1], [0, 2], [1, 1], [2, 3, 2, 2]),
        ([5, 5], [1, 1], [2, 3], [0, 1], [1, 1], [9, 1, 17, 20]),
        ([9, 19], [2, 3], [4, 5], [1, 1], [1, 2], [2, 1, 1, 1]),
        ([9, 19], [3, 3], [1, 1], [0, 3], [1, 1], [2, 1, 40, 3]),
        ([24, 40], [3, 3], [1, 1], [1, 1], [1, 1], [4, 1, 3, 16]),
        ([3, 3], [3, 3], [1, 1], [1, 1], [1, 1], [2, 1, 300, 2]),
        ([5, 6], [2, 2], [1, 1], [0, 0], [1, 1], [2, 1, 1, 50]),
        // No window falls on the image, along one axis or both.
        ([1, 1], [1, 2], [1, 3], [0, 2], [1, 1], [1, 1, 1, 1]),
        ([1, 1], [3, 3], [2, 2], [3, 3], [2, 2], [2, 1, 1, 3]),
        // One image of many channels.
        ([20, 21], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1, 20, 30]),
        ([60, 50], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1, 40, 20]),
    ];

    fn sizes((len, size, stride, padding, dilation, [batch, groups, inputs, outputs]): Case) -> Sizes {
        let count = |i: usize| (len[i] + 2 * padding[i] - (size[i] - 1) * dilation[i] - 1) / stride[i] + 1;
        let sizes = Sizes::new(&len, &size, &[count(0), count(1)], (&stride, &padding, &dilation));
        Sizes { batch, groups, inputs, outputs, ..sizes }
    }

    fn compare<T: Real>(case: Case, change: impl Fn(&mut [T], &mut [T], &mut [T])) {
        let sizes = sizes(case);
        let channels = sizes.batch * sizes.groups;
        let mut x = whole::<T>(channels * sizes.inputs * sizes.pixels(), 17);
        let mut weight = whole::<T>(sizes.groups * sizes.inputs * sizes.outputs * sizes.area(), 13);
        let mut g = whole::<T>(channels * sizes.outputs * sizes.places(), 11);
        change(&mut x, &mut weight, &mut g);
        let [y, dx, dw] = by_definition(&sizes, &x, &weight, &g);
        let mut found = [vec![T::ONE; y.len()], vec![T::ONE; dx.len()], vec![T::ONE; dw.len()]];
        sizes.convolve(&x, &weight, &mut found[0]).unwrap();
        sizes.spread(&weight, &g, &mut found[1]).unwrap();
        sizes.correlate(&x, &g, &mut found[2]).unwrap();
        for (what, (found, expected)) in ["y", "dx", "dw"].iter().zip(found.iter().zip([y, dx, dw])) {
            let same = found.iter().zip(&expected).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
            assert!(same, "{what} of {case:?}");
        }
    }

    #[test]
    fn convolutions_and_gradients_are_those_of_the_definition() {
        for case in CASES {
            compare::<f32>(case, |_, _, _| {});
            compare::<f64>(case, |_, _, _| {});
        }
    }

    #[test]
    fn what_is_not_finite_goes_no_further_than_it_should() {
        let wild = |x: f64| move |v: &mut [f64]| (0..v.len()).step_by(7).for_each(|i| v[i] = x);
        // Without padding: zeros around an image times infinity are NaN by the definition.
        for case in [([7, 21], [3, 3], [1, 1], [0, 0], [1, 1], [2, 2, 1, 1]), ([6, 9], [2, 3], [2, 1], [0, 0], [1, 1], [2, 1, 2, 9])] {
            for value in [f64::INFINITY, f64::NAN] {
                compare::<f64>(case, |x, _, _| wild(value)(x));
                compare::<f64>(case, |_, weight, _| wild(value)(weight));
                compare::<f64>(case, |_, _, g| wild(value)(g));
            }
        }
    }
}
