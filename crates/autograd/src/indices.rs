//! Indices: whole numbers that say which elements to take. They have no gradient.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    shape::Shape,
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
