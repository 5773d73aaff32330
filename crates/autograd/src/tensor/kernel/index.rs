//! Taking elements from places of a tensor, and the reverse: adding elements to those places.

use super::{allocate, walk::Walk};
use crate::{
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    shape::{MAX_RANK, Shape},
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
}

impl Place {
    /// The first position and the length of a slice.
    fn bounds(start: isize, end: Option<isize>, len: usize) -> Result<(usize, usize), Error> {
        let from_front = |i: isize| usize::try_from(if i < 0 { i.checked_add_unsigned(len)? } else { i }).ok();
        let (first, last) = (from_front(start), end.map_or(Some(len), from_front));
        match (first, last) {
            (Some(first), Some(last)) if first <= last && last <= len => Ok((first, last - first)),
            _ => Err(ErrorKind::Range { start, end: end.unwrap_or(len.cast_signed()), len }.into()),
        }
    }

    /// The shape of what is taken from a tensor of shape `full`.
    ///
    /// # Errors
    /// When the place is not inside the shape.
    pub fn shape(&self, full: &Shape) -> Result<Shape, Error> {
        match self {
            Place::Slice { axis, start, end } => {
                let axis = full.axis(*axis)?;
                full.with(axis, Place::bounds(*start, *end, full[axis])?.1)
            }
            Place::Select { axis, indices } => {
                let axis = full.axis(*axis)?;
                indices.check(full[axis])?;
                Shape::new(&[&full[..axis], indices.shape(), &full[axis + 1..]].concat())
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
        }
    }

    /// Calls `visit(taken, at, n)` for each straight piece: `n` elements from `taken` on in what is taken stand at `at` in the whole.
    fn pieces(&self, full: &Shape, mut visit: impl FnMut(usize, usize, usize)) -> Result<(), Error> {
        if full.is_empty() {
            return Ok(());
        }
        match self {
            Place::Slice { axis, start, end } => {
                let (rows, len, inner) = full.around(full.axis(*axis)?);
                let (first, n) = Place::bounds(*start, *end, len)?;
                for row in 0..rows {
                    visit(row * n * inner, (row * len + first) * inner, n * inner);
                }
            }
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
        }
        Ok(())
    }

    /// The elements at this place.
    pub(crate) fn take<T: Real>(&self, x: &Tensor<T>) -> Result<Tensor<T>, Error> {
        let shape = self.shape(x.shape())?;
        let (mut taken, from) = (allocate(shape.len())?, x.as_slice());
        self.pieces(x.shape(), |to, at, n| taken[to..to + n].copy_from_slice(&from[at..at + n]))?;
        Ok(Tensor::of(shape, taken))
    }

    /// Adds elements to this place of an array of shape `full`; `d` has the shape of what is taken.
    pub(crate) fn add_to<T: Real>(&self, d: &[T], to: &mut [T], full: &Shape) -> Result<(), Error> {
        self.pieces(full, |from, at, n| {
            to[at..at + n].iter_mut().zip(&d[from..from + n]).for_each(|(sum, v)| *sum += *v);
        })
    }
}
