//! Taking elements from places of a tensor, and the reverse: adding elements to those places.

use super::{
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::add_run,
    threads,
    walk::Walk,
};
use crate::{
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::{AxisList, MAX_RANK, Shape},
    tensor::Tensor,
};

/// Which elements of a tensor are meant.
///
/// Taking them is a linear map; its transpose adds to the same places. One description serves both, so that the gradient of a slice
/// or an index costs what the slice or the index costs, and not a whole tensor of zeros.
#[derive(Debug, Clone)]
pub enum Place {
    /// The positions `start .. end` of an axis, negative ones counted from the end; no `end` means up to it.
    Slice {
        /// The axis, negative from the end.
        axis: isize,
        /// The first position.
        start: isize,
        /// The position after the last.
        end: Option<isize>,
        /// Every so manieth position is taken; a negative step starts at the last position and goes to the front.
        step: isize,
    },
    /// The elements whose position on axis `b` is `offset` more than on axis `a`; they become the last axis.
    Diagonal {
        /// How far above the main diagonal.
        offset: isize,
        /// The axis of rows.
        a: isize,
        /// The axis of columns.
        b: isize,
    },
    /// Windows that slide along axes. An axis becomes the axis of its windows; the axes inside the windows stand before the first axis
    /// that has windows if `inside_first`, else at the end.
    Windows {
        /// The windows, at most one for an axis.
        windows: Vec<Window>,
        /// Where the axes inside the windows stand.
        inside_first: bool,
    },
    /// The positions of an axis that are listed, in that order, repeated or not; the axis takes the shape of the list.
    Select {
        /// The axis, negative from the end.
        axis: isize,
        /// The positions.
        indices: Indices,
    },
    /// For each entry of `indices`, the element at its own position, except along one axis, where the entry says which.
    Gather {
        /// The axis, negative from the end.
        axis: isize,
        /// The positions along that axis.
        indices: Indices,
    },
    /// For each entry of `indices`, the element at that position in row-major order, whatever the axes.
    Flat {
        /// The positions.
        indices: Indices,
    },
}

impl Place {
    /// As it stands in brackets in a formula: `axis 0: 1..3`.
    pub(crate) fn notation(&self) -> String {
        let list = |indices: &Indices| {
            let values = indices.as_slice();
            match values.len() {
                0..=4 => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                n => format!("{n} indices"),
            }
        };
        let text = match self {
            Place::Slice { axis, start, end, step } => {
                let end = end.map(|end| end.to_string()).unwrap_or_default();
                let step = if *step == 1 { String::new() } else { format!(" step {step}") };
                format!("axis {axis}: {start}..{end}{step}")
            }
            Place::Diagonal { offset: 0, .. } => "diagonal".to_owned(),
            Place::Diagonal { offset, .. } => format!("diagonal {offset}"),
            Place::Windows { windows, .. } => {
                let sizes: Vec<String> = windows.iter().map(|window| window.size.to_string()).collect();
                format!("windows of {}", sizes.join(" by "))
            }
            Place::Select { axis, indices } => format!("axis {axis}: {}", list(indices)),
            Place::Gather { axis, indices } if indices.as_slice().len() <= 4 => format!("axis {axis}: each {}", list(indices)),
            Place::Gather { axis, .. } => format!("axis {axis}: each its own"),
            Place::Flat { indices } => format!("places {}", list(indices)),
        };
        text.replace('-', "−")
    }
}

/// Windows of `size` positions that slide along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The axis, negative from the end.
    pub axis: isize,
    /// How many positions a window has.
    pub size: usize,
    /// The distance from one window to the next.
    pub step: usize,
    /// The distance from one position in a window to the next.
    pub dilation: usize,
}

impl Window {
    /// How many windows fit into `len` positions.
    ///
    /// # Errors
    /// A size, step or dilation of 0, a window that is longer than the axis.
    pub fn count(&self, len: usize) -> Result<usize, Error> {
        let parameter = |name, value: usize, why| Err(ErrorKind::Parameter { name, value: value.to_string(), why }.into());
        for (name, value) in [("window size", self.size), ("step", self.step), ("dilation", self.dilation)] {
            if value == 0 {
                return parameter(name, value, "it must be at least 1");
            }
        }
        // (size − 1)·dilation + 1 positions
        let span = (self.size - 1).checked_mul(self.dilation).and_then(|n| n.checked_add(1));
        match span {
            Some(span) if span <= len => Ok((len - span) / self.step + 1),
            _ => Err(ErrorKind::Window { size: self.size, dilation: self.dilation, len }.into()),
        }
    }
}

impl Place {
    /// The same place in each tensor of a stack of them, if it is one.
    pub(crate) fn behind(&self) -> Option<Place> {
        let next = |axis: isize| if axis < 0 { axis } else { axis + 1 };
        Some(match self {
            &Place::Slice { axis, start, end, step } => Place::Slice { axis: next(axis), start, end, step },
            &Place::Diagonal { offset, a, b } => Place::Diagonal { offset, a: next(a), b: next(b) },
            Place::Windows { windows, inside_first } => {
                let windows = windows.iter().map(|window| Window { axis: next(window.axis), ..*window }).collect();
                Place::Windows { windows, inside_first: *inside_first }
            }
            Place::Select { axis, indices } => Place::Select { axis: next(*axis), indices: indices.clone() },
            Place::Gather { .. } | Place::Flat { .. } => return None,
        })
    }

    /// The first position and the length of a slice.
    fn bounds(start: isize, end: Option<isize>, len: usize) -> Result<(usize, usize), Error> {
        let from_front = |i: isize| usize::try_from(if i < 0 { i.checked_add_unsigned(len)? } else { i }).ok();
        let (first, last) = (from_front(start), end.map_or(Some(len), from_front));
        match (first, last) {
            (Some(first), Some(last)) if first <= last && last <= len => Ok((first, last - first)),
            _ => Err(ErrorKind::Range { start, end: end.unwrap_or(len.cast_signed()), len }.into()),
        }
    }

    /// The shape of what is taken, and where it stands, if that is a slice without gaps.
    fn span(&self, full: &Shape) -> Result<Option<(Shape, Span)>, Error> {
        let &Place::Slice { axis, start, end, step: 1 } = self else { return Ok(None) };
        let axis = full.axis(axis)?;
        let (first, n) = Place::bounds(start, end, full[axis])?;
        let (rows, of, inner) = full.around(axis);
        let span = Span { rows, before: first * inner, n: n * inner, of: of * inner };
        Ok(Some((full.with(axis, n)?, span)))
    }

    /// The shape of what is taken from a tensor of shape `full`.
    ///
    /// # Errors
    /// When the place is not inside the shape.
    pub fn shape(&self, full: &Shape) -> Result<Shape, Error> {
        if let Some((shape, _)) = self.span(full)? {
            return Ok(shape);
        }
        match self {
            Place::Slice { .. } | Place::Diagonal { .. } | Place::Windows { .. } => Ok(self.view(full)?.0),
            Place::Select { axis, indices } => {
                let axis = full.axis(*axis)?;
                indices.check(full[axis])?;
                Shape::joined(&[&full[..axis], indices.shape(), &full[axis + 1..]])
            }
            Place::Gather { axis, indices } => {
                let axis = full.axis(*axis)?;
                let fits = indices.shape().rank() == full.rank() && (0..full.rank()).all(|a| a == axis || indices.shape()[a] <= full[a]);
                if !fits {
                    return Err(ErrorKind::Mismatch { expected: *full, found: *indices.shape(), except: Some(axis) }.into());
                }
                indices.check(full[axis])?;
                Ok(*indices.shape())
            }
            Place::Flat { indices } => {
                indices.check(full.len())?;
                Ok(*indices.shape())
            }
        }
    }

    /// The shape of what is taken and where its elements stand, for places that are even steps along axes.
    fn view(&self, full: &Shape) -> Result<(Shape, Walk), Error> {
        let own = full.strides();
        let mut lengths: AxisList<usize> = full.iter().copied().collect();
        let mut strides: AxisList = own[..full.rank()].iter().map(|s| s.cast_signed()).collect();
        let mut offset = 0;
        match self {
            &Place::Slice { axis, start, end, step } => {
                let axis = full.axis(axis)?;
                let (first, n) = Place::bounds(start, end, full[axis])?;
                if step == 0 {
                    return Err(ErrorKind::Parameter { name: "step", value: "0".into(), why: "it must not be 0" }.into());
                }
                let first = if step > 0 { first } else { (first + n).saturating_sub(1) };
                offset = first * own[axis];
                lengths[axis] = n.div_ceil(step.unsigned_abs());
                // With at most one position the step does not matter, and may be too long to be multiplied.
                strides[axis] = if lengths[axis] > 1 { strides[axis] * step } else { 0 };
            }
            &Place::Diagonal { offset: above, a, b } => {
                let (a, b) = (full.axis(a)?, full.axis(b)?);
                if a == b {
                    return Err(ErrorKind::RepeatedAxis { axis: b.cast_signed() }.into());
                }
                let (row, column) = if above < 0 { (above.unsigned_abs(), 0) } else { (0, above.unsigned_abs()) };
                let n = full[a].saturating_sub(row).min(full[b].saturating_sub(column));
                offset = if n == 0 { 0 } else { row * own[a] + column * own[b] };
                let stride = strides[a] + strides[b];
                for axis in [a.max(b), a.min(b)] {
                    lengths.remove(axis);
                    strides.remove(axis);
                }
                lengths.push(n);
                strides.push(stride);
            }
            Place::Windows { windows, inside_first } => {
                let axes: Vec<isize> = windows.iter().map(|window| window.axis).collect();
                full.axis_flags(&axes)?;
                let mut inside = Vec::new();
                for window in windows {
                    let axis = full.axis(window.axis)?;
                    lengths[axis] = window.count(full[axis])?;
                    // Where there is one position only, the distance to the next may be too long to be multiplied.
                    let distance = |n: usize, by: usize| if n > 1 { own[axis].cast_signed() * by.cast_signed() } else { 0 };
                    inside.push((axis, window.size, distance(window.size, window.dilation)));
                    strides[axis] = distance(lengths[axis], window.step);
                }
                let first = inside.iter().map(|(axis, ..)| *axis).min().unwrap_or(0);
                let at = if *inside_first { first } else { lengths.len() };
                lengths.insert_many(at, inside.iter().map(|(_, size, _)| *size));
                strides.insert_many(at, inside.iter().map(|(.., stride)| *stride));
            }
            Place::Select { .. } | Place::Gather { .. } | Place::Flat { .. } => {}
        }
        let shape = Shape::new(&lengths)?;
        Ok((shape, Walk::new(&lengths, &strides, offset)))
    }

    /// Calls `visit(taken, at, n)` for each piece of a list: `n` elements from `taken` on in what is taken stand from `at` on in the whole.
    #[inline]
    fn pieces(&self, full: &Shape, mut visit: impl FnMut(usize, usize, usize)) -> Result<(), Error> {
        match self {
            Place::Slice { .. } | Place::Diagonal { .. } | Place::Windows { .. } => {}
            Place::Select { axis, indices } => {
                let (rows, len, inner) = full.around(full.axis(*axis)?);
                for row in 0..rows {
                    for (i, index) in indices.as_slice().iter().enumerate() {
                        visit((row * indices.len() + i) * inner, (row * len + index) * inner, inner);
                    }
                }
            }
            Place::Gather { axis, indices } => {
                let axis = full.axis(*axis)?;
                if indices.is_empty() {
                    return Ok(());
                }
                let own = full.strides();
                let mut strides = [0; MAX_RANK];
                for a in (0..full.rank()).filter(|&a| a != axis) {
                    strides[a] = own[a].cast_signed();
                }
                let walk = Walk::new(indices.shape(), &strides[..full.rank()], 0);
                walk.runs(0, indices.len(), |done, n, at, stride| {
                    for (i, index) in indices.as_slice()[done..done + n].iter().enumerate() {
                        visit(done + i, at.wrapping_add_signed(i.cast_signed() * stride) + index * own[axis], 1);
                    }
                });
            }
            Place::Flat { indices } => indices.as_slice().iter().enumerate().for_each(|(i, &at)| visit(i, at, 1)),
        }
        Ok(())
    }

    /// The elements at this place.
    pub(crate) fn take<T: Real>(&self, x: &Tensor<T>) -> Result<Tensor<T>, Error> {
        let from = x.as_slice();
        if let Some((shape, span)) = self.span(x.shape())?
            && shape.len() <= FEW
        {
            let mut taken = overwritten(shape.len())?;
            for row in 0..if shape.is_empty() { 0 } else { span.rows } {
                taken[row * span.n..][..span.n].copy_from_slice(&from[span.in_row(row)]);
            }
            return Ok(Tensor::made(&shape, taken));
        }
        if let Place::Slice { .. } | Place::Diagonal { .. } | Place::Windows { .. } = self {
            let (shape, walk) = self.view(x.shape())?;
            return walk.gather(from, shape);
        }
        let shape = self.shape(x.shape())?;
        let mut taken = overwritten(shape.len())?;
        self.pieces(x.shape(), |to, at, n| taken[to..to + n].copy_from_slice(&from[at..at + n]))?;
        Ok(Tensor::of(shape, taken))
    }

    /// Adds elements to this place of an array of shape `full`; `d` has the shape of what is taken.
    pub(crate) fn add_to<T: Real>(&self, d: &[T], to: &mut [T], full: &Shape) -> Result<(), Error> {
        if full.is_empty() || d.is_empty() {
            return Ok(());
        }
        let outer = full.first().copied().unwrap_or(1);
        let rows = threads::rows_of_part(d.len(), d.len() / outer);
        if rows >= outer || !self.keeps_first_axis(full)? {
            return self.add_part(d, to, full);
        }
        // Each part has positions of its own on the first axis.
        let parts = d.chunks(rows * (d.len() / outer)).zip(to.chunks_mut(rows * (full.len() / outer))).collect();
        let add = |(d, to): (&[T], &mut [T])| self.add_part(d, to, &full.with(0, to.len() / (full.len() / outer))?);
        threads::each(d.len(), parts, &add).into_iter().collect()
    }

    /// Whether the first axis is taken as it is, and is the first of what is taken.
    fn keeps_first_axis(&self, full: &Shape) -> Result<bool, Error> {
        let is_other = |axis: isize| full.axis(axis).map(|axis| axis > 0);
        match self {
            Place::Slice { axis, .. } | Place::Select { axis, .. } => is_other(*axis),
            Place::Diagonal { a, b, .. } => Ok(is_other(*a)? && is_other(*b)?),
            Place::Windows { windows, .. } => windows.iter().try_fold(true, |all, window| Ok(all & is_other(window.axis)?)),
            Place::Gather { .. } | Place::Flat { .. } => Ok(false),
        }
    }

    fn add_part<T: Real>(&self, d: &[T], to: &mut [T], full: &Shape) -> Result<(), Error> {
        if let Some((shape, span)) = self.span(full)?
            && shape.len() <= FEW
        {
            dispatch(AddSpan { span, d, to });
            return Ok(());
        }
        if let Place::Slice { .. } | Place::Diagonal { .. } | Place::Windows { .. } = self {
            let walk = self.view(full)?.1;
            dispatch(AddRuns { walk: &walk, d, to });
            return Ok(());
        }
        self.pieces(full, |from, at, n| add_run(&mut to[at..at + n], &d[from..from + n], |v| v))
    }
}

/// Slices of at most so many elements go the shorter way.
const FEW: usize = 1024;

/// A slice without gaps: in each of so many rows `n` elements, behind so many others, of so many in all.
struct Span {
    rows: usize,
    before: usize,
    n: usize,
    of: usize,
}

impl Span {
    /// Where the elements of a row stand.
    #[inline(always)]
    fn in_row(&self, row: usize) -> std::ops::Range<usize> {
        let start = row * self.of + self.before;
        start..start + self.n
    }
}

/// Adds the elements of a slice to where they stand.
struct AddSpan<'a, T> {
    span: Span,
    d: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> Kernel for AddSpan<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let AddSpan { span, d, to } = self;
        for row in 0..span.rows {
            add_run(&mut to[span.in_row(row)], &d[row * span.n..][..span.n], |v| v);
        }
    }
}

/// Adds the elements of a walk to where they stand.
struct AddRuns<'a, T> {
    walk: &'a Walk,
    d: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> Kernel for AddRuns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let AddRuns { walk, d, to } = self;
        let mut runs = walk.straight(0, d.len());
        while let Some((from, n, at, stride)) = runs.next() {
            let d = &d[from..from + n];
            if stride == 1 {
                add_run(&mut to[at..at + n], d, |v| v);
            } else {
                for i in 0..n {
                    to[at.wrapping_add_signed(i.cast_signed() * stride)] += d[i];
                }
            }
        }
    }
}
