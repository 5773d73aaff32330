//! Indices: whole numbers that say which elements to take. They have no gradient.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{allocate, walk::Walk},
    },
};

/// An immutable array of positions, such as class labels or the rows of a batch. Cloning shares them.
///
/// ```
/// use autograd::Indices;
/// let labels = Indices::from(vec![2, 0, 1]);
/// assert_eq!(labels.shape(), &[3]);
/// let pairs = Indices::new(vec![0, 1, 2, 3], [2, 2])?;
/// assert_eq!(pairs.as_slice(), [0, 1, 2, 3]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Indices {
    shape: Shape,
    values: Arc<[usize]>,
}

impl Indices {
    /// The given positions in row-major order.
    ///
    /// # Errors
    /// [`ErrorKind::Length`] when there are not as many as the shape holds; those of [`Shape::new`].
    pub fn new(values: impl Into<Arc<[usize]>>, shape: impl AsRef<[usize]>) -> Result<Indices, Error> {
        let (values, shape) = (values.into(), Shape::new(shape.as_ref())?);
        if values.len() != shape.len() {
            return Err(ErrorKind::Length { shape, found: values.len() }.into());
        }
        Ok(Indices { shape, values })
    }

    /// The lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The positions in row-major order.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        &self.values
    }

    /// The same positions in another shape of the same count.
    ///
    /// # Errors
    /// As [`Indices::new`].
    pub fn reshape(&self, shape: impl AsRef<[usize]>) -> Result<Indices, Error> {
        Indices::new(self.values.clone(), shape)
    }

    /// For each index a row of zeros with a 1 at the index: a tensor with one more axis, of length `classes`.
    ///
    /// # Errors
    /// [`ErrorKind::Index`] for an index that is not below `classes`; those of [`Shape::new`].
    ///
    /// ```
    /// use autograd::{Indices, Tensor, tensor};
    /// let labels = Indices::from(vec![2, 0]);
    /// assert_eq!(labels.one_hot(3)?, tensor![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot<T: Real>(&self, classes: usize) -> Result<Tensor<T>, Error> {
        let at = Location::caller();
        let rows = || {
            self.check(classes)?;
            let shape = Shape::joined(&[&self.shape[..], &[classes]])?;
            let mut rows = allocate(shape.len())?;
            self.values.iter().enumerate().for_each(|(row, index)| rows[row * classes + index] = T::ONE);
            Ok(Tensor::of(shape, rows))
        };
        rows().map_err(|error: Error| error.in_op("one_hot", || vec![self.shape]).at(at))
    }

    /// The positions repeated until the shape is reached, to which their own stretches.
    pub(crate) fn broadcast(&self, shape: Shape) -> Indices {
        if shape == self.shape {
            return self.clone();
        }
        let mut values = Vec::with_capacity(shape.len());
        if !shape.is_empty() {
            Walk::stretch(&self.shape, &shape).runs(0, shape.len(), |_, n, at, stride| {
                values.extend((0..n).map(|i| self.values[at.wrapping_add_signed(i.cast_signed() * stride)]));
            });
        }
        Indices { shape, values: values.into() }
    }

    /// Positions made by a kernel; there are as many as the shape has.
    pub(crate) fn of(shape: Shape, values: Vec<usize>) -> Indices {
        debug_assert_eq!(shape.len(), values.len());
        Indices { shape, values: values.into() }
    }

    /// Whether every position lies inside an axis of length `len`.
    pub(crate) fn check(&self, len: usize) -> Result<(), Error> {
        match self.values.iter().find(|&&index| index >= len) {
            Some(&index) => Err(ErrorKind::Index { index, len }.into()),
            None => Ok(()),
        }
    }
}

/// A vector of positions.
impl From<Vec<usize>> for Indices {
    fn from(values: Vec<usize>) -> Indices {
        // A vector that is in memory has a countable length.
        let shape = Shape::new(&[values.len()]).unwrap_or(Shape::EMPTY);
        Indices { shape, values: values.into() }
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indices{} ", self.shape)?;
        if self.len() <= 12 { write!(f, "{:?}", self.values) } else { write!(f, "{:?} …", &self.values[..12]) }
    }
}
