//! Shapes: the only place where dimensions are multiplied, broadcast and counted from the end.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};

/// The largest number of axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// The lengths of a tensor's axes, row-major, at most [`MAX_RANK`] of them.
///
/// A `Shape` is proof that its element count is known and fits in memory: the product of its non-zero
/// lengths times eight bytes does not exceed `isize::MAX`, so no later index computation can overflow.
///
/// ```
/// use autograd::Shape;
/// let shape = Shape::new(&[2, 3])?;
/// assert_eq!(shape.len(), 6);
/// assert_eq!(&*shape, [2, 3]);
/// assert!(Shape::new(&[1 << 40, 1 << 40]).is_err());
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Shape {
    rank: u8,
    /// Unused places are zero.
    dims: [usize; MAX_RANK],
    len: usize,
}

/// Most shapes have few axes, and only those are looked at.
impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let mut is_equal = self.rank == other.rank && self.len == other.len;
        let mut axis = 0;
        while is_equal && axis < self.rank() {
            is_equal = self.dims[axis] == other.dims[axis];
            axis += 1;
        }
        is_equal
    }
}
impl Eq for Shape {}
impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// `ONES[r]` is the shape of rank `r` with one element.
const ONES: [Shape; MAX_RANK + 1] = {
    let mut all = [Shape { rank: 0, dims: [0; MAX_RANK], len: 1 }; MAX_RANK + 1];
    let mut rank = 1;
    while rank <= MAX_RANK {
        let mut axis = 0;
        while axis < rank {
            all[rank].dims[axis] = 1;
            axis += 1;
        }
        all[rank].rank = all[rank - 1].rank + 1;
        rank += 1;
    }
    all
};
static ONES_TABLE: [Shape; MAX_RANK + 1] = ONES;

impl Shape {
    /// The shape of a scalar: no axes, one element.
    pub const SCALAR: Shape = ONES[0];
    /// The shape of a vector without elements.
    pub(crate) const EMPTY: Shape = Shape { rank: 1, dims: [0; MAX_RANK], len: 0 };

    /// A shape with the given axis lengths.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyAxes`] above [`MAX_RANK`] axes; [`ErrorKind::TooLarge`] when the elements could not be addressed.
    pub fn new(dims: &[usize]) -> Result<Shape, Error> {
        if dims.len() > MAX_RANK {
            return Err(ErrorKind::TooManyAxes { rank: dims.len() }.into());
        }
        #[allow(clippy::cast_possible_truncation)] // at most `MAX_RANK`, see above
        let mut shape = Shape { rank: dims.len() as u8, dims: [0; MAX_RANK], len: 1 };
        let (mut bytes, mut is_too_large) = (size_of::<f64>(), false);
        for (dim, &d) in shape.dims.iter_mut().zip(dims) {
            *dim = d;
            let (product, wraps) = bytes.overflowing_mul(d.max(1));
            (bytes, is_too_large) = (product, is_too_large | wraps);
            shape.len = shape.len.wrapping_mul(d); // it is refused below if that wraps
        }
        if is_too_large || isize::try_from(bytes).is_err() {
            return Err(ErrorKind::TooLarge { dims: dims.to_vec() }.into());
        }
        Ok(shape)
    }

    /// The shape whose axes are those of all parts, one after the other.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub(crate) fn joined(parts: &[&[usize]]) -> Result<Shape, Error> {
        let dims: SmallVec<[usize; 2 * MAX_RANK]> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        Shape::new(&dims)
    }

    /// The shape of so many tensors of this one, one after the other along a new first axis.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub(crate) fn stacked(&self, count: usize) -> Result<Shape, Error> {
        Shape::joined(&[&[count], self])
    }

    /// The shape of rank `rank` with one element; `rank` is at most [`MAX_RANK`].
    #[inline]
    pub(crate) fn ones(rank: u8) -> &'static Shape {
        &ONES_TABLE[rank as usize]
    }

    /// The number of elements: the product of all axis lengths, 1 for a scalar.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the shape holds no element at all.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of axes.
    #[inline]
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The position of an axis that may be counted from the end: `-1` is the last.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] when there is no such axis.
    pub fn axis(&self, axis: isize) -> Result<usize, Error> {
        let rank = self.rank();
        let from_start = if axis < 0 { axis.checked_add_unsigned(rank) } else { Some(axis) };
        match from_start.and_then(|a| usize::try_from(a).ok()) {
            Some(a) if a < rank => Ok(a),
            _ => Err(ErrorKind::Axis { axis, rank }.into()),
        }
    }

    /// A flag for every axis: whether it is among `axes`.
    ///
    /// # Errors
    /// [`ErrorKind::Axis`] for an axis that is not there, [`ErrorKind::RepeatedAxis`] for one named twice.
    pub(crate) fn axis_flags(&self, axes: &[isize]) -> Result<[bool; MAX_RANK], Error> {
        let mut flags = [false; MAX_RANK];
        for &axis in axes {
            let flag = &mut flags[self.axis(axis)?];
            if *flag {
                return Err(ErrorKind::RepeatedAxis { axis }.into());
            }
            *flag = true;
        }
        Ok(flags)
    }

    /// The distance in memory between neighbours along each axis, row-major.
    pub(crate) fn strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step;
            // At most the element count of the non-zero axes, which `new` has bounded.
            step *= self.dims[axis].max(1);
        }
        strides
    }

    /// The shape both operands are stretched to by the rule of `NumPy`: aligned at the last axis, lengths are equal or one of them is 1.
    ///
    /// ```
    /// use autograd::Shape;
    /// let (column, row) = (Shape::new(&[3, 1])?, Shape::new(&[4])?);
    /// assert_eq!(column.broadcast(&row)?, Shape::new(&[3, 4])?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Broadcast`] when the rule gives no shape, [`ErrorKind::TooLarge`] when it gives one too large.
    #[inline]
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, Error> {
        if self == other { Ok(*self) } else { self.broadcast_unequal(other) }
    }

    fn broadcast_unequal(&self, other: &Shape) -> Result<Shape, Error> {
        let rank = self.rank().max(other.rank());
        let mut dims = [0; MAX_RANK];
        for (from_end, dim) in dims[..rank].iter_mut().rev().enumerate() {
            *dim = match (self.nth_from_end(from_end), other.nth_from_end(from_end)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(ErrorKind::Broadcast { left: *self, right: *other }.into()),
            };
        }
        Shape::new(&dims[..rank])
    }

    /// The length of the axis at this distance from the last one; 1 where there is none.
    pub(crate) fn nth_from_end(&self, distance: usize) -> usize {
        self.rank().checked_sub(distance + 1).map_or(1, |axis| self.dims[axis])
    }

    /// Whether a tensor of this shape may be stretched to `target`.
    pub(crate) fn stretches_to(&self, target: &Shape) -> bool {
        self.rank() <= target.rank()
            && (0..self.rank()).all(|d| self.nth_from_end(d) == 1 || self.nth_from_end(d) == target.nth_from_end(d))
    }

    /// This shape with the flagged axes set to length 1, or removed.
    pub(crate) fn without(&self, flags: [bool; MAX_RANK], keepdim: bool) -> Shape {
        let kept = self.iter().enumerate().filter_map(|(axis, &d)| match (flags[axis], keepdim) {
            (false, _) => Some(d),
            (true, true) => Some(1),
            (true, false) => None,
        });
        let mut shape = Shape { rank: 0, dims: [0; MAX_RANK], len: 1 };
        for d in kept {
            shape.dims[shape.rank()] = d;
            shape.rank += 1;
            shape.len *= d; // a product of some of the axes of a valid shape
        }
        shape
    }

    /// The elements seen as blocks around one axis: how many blocks, the length of the axis, the elements after it.
    pub(crate) fn around(&self, axis: usize) -> (usize, usize, usize) {
        (self[..axis].iter().product(), self[axis], self[axis + 1..].iter().product())
    }

    /// The shape of a matrix whose rows are the elements along the last axis.
    pub(crate) fn as_rows(&self) -> Result<Shape, Error> {
        let last = self.axis(-1)?;
        Shape::new(&[self.around(last).0, self[last]])
    }

    /// This shape with one axis of another length.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the new length is too much.
    pub(crate) fn with(&self, axis: usize, len: usize) -> Result<Shape, Error> {
        let mut dims = self.dims;
        dims[axis] = len;
        Shape::new(&dims[..self.rank()])
    }
}

/// The axes an operation goes over: a list, negative from the end, or `..` for all.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.sum_axes(0, false).value()?, tensor![4.0, 6.0]);
/// assert_eq!(x.sum_axes([0, -1], false).value()?, x.sum_axes(.., false).value()?);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes(Option<AxisList>);

/// Axes that were named, or their positions.
pub(crate) type AxisList<A = isize> = SmallVec<[A; MAX_RANK]>;

impl Axes {
    /// As `..`.
    pub(crate) const ALL: Axes = Axes(None);

    /// As it stands in a formula, after a comma: `axis 0`; nothing for all axes.
    pub(crate) fn notation(&self) -> String {
        match self.0.as_deref() {
            None => String::new(),
            Some([axis]) => format!(", axis {axis}").replace('-', "−"),
            Some(axes) => format!(", axes {axes:?}").replace('-', "−"),
        }
    }

    /// A flag for every axis of `shape`: whether it is meant.
    pub(crate) fn flags(&self, shape: &Shape) -> Result<[bool; MAX_RANK], Error> {
        match &self.0 {
            Some(axes) => shape.axis_flags(axes),
            None => Ok([true; MAX_RANK]),
        }
    }

    /// The positions of the axes of `shape` that are meant, in the order in which they were named.
    pub(crate) fn positions(&self, shape: &Shape) -> Result<AxisList<usize>, Error> {
        match &self.0 {
            Some(axes) => {
                shape.axis_flags(axes)?;
                axes.iter().map(|&axis| shape.axis(axis)).collect()
            }
            None => Ok((0..shape.rank()).collect()),
        }
    }
}

impl From<std::ops::RangeFull> for Axes {
    fn from(_all: std::ops::RangeFull) -> Axes {
        Axes::ALL
    }
}
impl From<isize> for Axes {
    fn from(axis: isize) -> Axes {
        Axes(Some(AxisList::from_iter([axis])))
    }
}
impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Axes {
        Axes(Some(axes.into()))
    }
}
impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Axes {
        Axes(Some(axes.iter().copied().collect()))
    }
}
impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Axes {
        Axes(Some(axes.iter().copied().collect()))
    }
}
impl<const N: usize> From<&[isize; N]> for Axes {
    fn from(axes: &[isize; N]) -> Axes {
        Axes(Some(axes.iter().copied().collect()))
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }
}

impl AsRef<[usize]> for Shape {
    fn as_ref(&self) -> &[usize] {
        self
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == other[..]
    }
}

/// Written as in code: `[2, 3]`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
