//! Data sets: features and targets, split, shuffled and cut into batches.

mod scaler;
mod table;

use autograd::{Indices, Real, Tensor};
use rand::{Rng, seq::SliceRandom};

pub use scaler::Scaler;
pub use table::Table;

use crate::{error::Error, metrics};

/// What is to be predicted, one entry for each row of the features: [`Indices`] for classes, a [`Tensor`] for numbers.
pub trait Target<T: Real>: Clone {
    /// The number of rows.
    fn rows(&self) -> usize;

    /// Some of the rows, in the given order.
    ///
    /// # Errors
    /// A row that is not there.
    fn select(&self, rows: &Indices) -> Result<Self, Error>;

    /// The share of rows that `output` gets right, for targets of which that can be said.
    ///
    /// # Errors
    /// An output that does not belong to this target.
    fn accuracy(&self, output: &Tensor<T>) -> Result<Option<f64>, Error>;
}

/// Classes; a row is right if the largest output stands at its class. Of an output that is not `[rows, classes]` nothing can be said.
impl<T: Real> Target<T> for Indices {
    fn rows(&self) -> usize {
        self.len()
    }
    fn select(&self, rows: &Indices) -> Result<Self, Error> {
        let known = self.as_slice();
        let chosen: Option<Vec<usize>> = rows.as_slice().iter().map(|&row| known.get(row).copied()).collect();
        let why = || Error::config("selected rows", format!("there are only {} rows", known.len()));
        Ok(Indices::from(chosen.ok_or_else(why)?))
    }
    fn accuracy(&self, output: &Tensor<T>) -> Result<Option<f64>, Error> {
        match **output.shape() {
            // A single column has its largest element nowhere else.
            [rows, classes] if classes >= 2 && rows == self.len() && rows > 0 => {
                metrics::accuracy(&metrics::argmax(output)?, self).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Numbers; whether a row is right cannot be said. Where they are classes 0 and 1, see [`fit_with_metric`](crate::fit_with_metric).
impl<T: Real> Target<T> for Tensor<T> {
    fn rows(&self) -> usize {
        self.shape().first().copied().unwrap_or(0)
    }
    fn select(&self, rows: &Indices) -> Result<Self, Error> {
        Ok(self.index_select(0, rows)?)
    }
    fn accuracy(&self, _output: &Tensor<T>) -> Result<Option<f64>, Error> {
        Ok(None)
    }
}

/// Features `[rows, ..]`, and what is to be predicted from each row.
///
/// ```
/// use autograd::{Indices, tensor};
/// use nn::Dataset;
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let points = Dataset::new(tensor![[0.0, 0.1], [0.2, 0.0], [0.9, 1.0], [1.0, 0.8]], Indices::from(vec![0, 0, 1, 1]))?;
/// let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let (train, test) = points.split(0.25, &mut rng)?;
/// assert_eq!((train.len(), test.len()), (3, 1));
/// for batch in train.batches(2, &mut rng)? {
///     let batch = batch?;
///     assert_eq!(batch.features().shape(), &[batch.len(), 2]);
/// }
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dataset<T: Real, Y> {
    features: Tensor<T>,
    targets: Y,
}

/// A data set with a class for each row.
pub type Classification<T> = Dataset<T, Indices>;

/// A data set with numbers for each row.
pub type Regression<T> = Dataset<T, Tensor<T>>;

impl<T: Real, Y: Target<T>> Dataset<T, Y> {
    /// A data set of features `[rows, ..]` and as many targets.
    ///
    /// # Errors
    /// [`Error::Config`] for features that have no rows, or another number of them than the targets.
    pub fn new(features: Tensor<T>, targets: Y) -> Result<Self, Error> {
        match features.shape().first() {
            Some(&rows) if rows == targets.rows() => Ok(Dataset { features, targets }),
            Some(rows) => Err(Error::config("data set", format!("{rows} rows of features, but {} targets", targets.rows()))),
            None => Err(Error::config("features of shape []", "a number for each feature of each row is needed, [rows, features]")),
        }
    }

    /// The features, `[rows, ..]`.
    #[must_use]
    pub fn features(&self) -> &Tensor<T> {
        &self.features
    }

    /// What is to be predicted.
    #[must_use]
    pub fn targets(&self) -> &Y {
        &self.targets
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.rows()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the rows, in the given order.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn select(&self, rows: &Indices) -> Result<Self, Error> {
        Ok(Dataset { features: self.features.index_select(0, rows)?, targets: self.targets.select(rows)? })
    }

    /// The same data with scaled features.
    ///
    /// # Errors
    /// Features of another number than the scaler was made for.
    pub fn scaled(&self, scaler: &Scaler<T>) -> Result<Self, Error> {
        Ok(Dataset { features: scaler.apply(&self.features)?, targets: self.targets.clone() })
    }

    /// Two parts of the shuffled rows: what is left for training, and the `fraction` that is held back for testing.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction that leaves one part empty.
    pub fn split(&self, fraction: f64, rng: &mut (impl Rng + ?Sized)) -> Result<(Self, Self), Error> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of the rows, rounded
        let held_back = (fraction * self.len() as f64).round() as usize;
        if !(0.0..=1.0).contains(&fraction) || held_back == 0 || held_back >= self.len() {
            let why = format!("{held_back} of {} rows would be held back, but both parts need some", self.len());
            return Err(Error::config(format!("fraction = {fraction}"), why));
        }
        let rows = self.shuffled(rng);
        let (test, train) = rows.split_at(held_back);
        Ok((self.select(&Indices::from(train.to_vec()))?, self.select(&Indices::from(test.to_vec()))?))
    }

    /// The rows in random order, `size` at a time; the last batch may be smaller.
    ///
    /// # Errors
    /// [`Error::Config`] for batches of 0 rows.
    pub fn batches(&self, size: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Batches<'_, T, Y>, Error> {
        if size == 0 {
            return Err(Error::config("batch size 0", "a batch needs at least one row"));
        }
        Ok(Batches { data: self, rows: self.shuffled(rng), next: 0, size })
    }

    fn shuffled(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rows.shuffle(rng);
        rows
    }
}

/// The batches of one epoch; see [`Dataset::batches`].
#[derive(Debug)]
pub struct Batches<'a, T: Real, Y> {
    data: &'a Dataset<T, Y>,
    rows: Vec<usize>,
    next: usize,
    size: usize,
}

impl<T: Real, Y: Target<T>> Iterator for Batches<'_, T, Y> {
    type Item = Result<Dataset<T, Y>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = &self.rows[self.next..];
        let rows = &rows[..rows.len().min(self.size)];
        self.next += rows.len();
        if rows.is_empty() { None } else { Some(self.data.select(&Indices::from(rows.to_vec()))) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.rows.len() - self.next).div_ceil(self.size);
        (left, Some(left))
    }
}

impl<T: Real, Y: Target<T>> ExactSizeIterator for Batches<'_, T, Y> {}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    fn numbered(n: usize) -> Classification<f64> {
        let features = Tensor::arange(n).unwrap().reshape([-1, 1]).unwrap();
        Dataset::new(features, Indices::from((0..n).collect::<Vec<_>>())).unwrap()
    }

    /// Whether each row still has its own target.
    fn assert_together(data: &Classification<f64>) {
        assert!(data.features().as_slice().iter().zip(data.targets().as_slice()).all(|(x, y)| *x as usize == *y));
    }

    #[test]
    fn a_split_loses_and_doubles_nothing() {
        let (train, test) = numbered(10).split(0.2, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
        assert_eq!((train.len(), test.len()), (8, 2));
        assert_together(&train);
        assert_together(&test);
        let mut all: Vec<_> = [train.targets().as_slice(), test.targets().as_slice()].concat();
        assert!(!all.is_sorted());
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn batches_cover_every_row_once_in_an_order_of_the_seed() {
        let data = numbered(10);
        let order = |seed| -> Vec<usize> {
            let batches = data.batches(4, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
            assert_eq!(batches.len(), 3);
            let batches: Vec<_> = batches.map(Result::unwrap).collect();
            assert_eq!(batches.iter().map(Dataset::len).collect::<Vec<_>>(), [4, 4, 2]);
            batches.iter().for_each(assert_together);
            batches.iter().flat_map(|b| b.targets().as_slice().to_vec()).collect()
        };
        let mut rows = order(1);
        assert_eq!(rows, order(1));
        assert_ne!(rows, order(2));
        rows.sort_unstable();
        assert_eq!(rows, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_as_targets() {
        let data = Regression::new(Tensor::arange(6).unwrap().reshape([3, 2]).unwrap(), autograd::tensor![[0.0], [1.0], [2.0]]).unwrap();
        let last = data.select(&Indices::from(vec![2, 2])).unwrap();
        assert_eq!(last.features(), &autograd::tensor![[4.0, 5.0], [4.0, 5.0]]);
        assert_eq!(last.targets(), &autograd::tensor![[2.0], [2.0]]);
    }

    #[test]
    fn accuracy_needs_a_score_for_each_class() {
        let labels = Indices::from(vec![0, 1]);
        let accuracy = |output: &Tensor<f64>| labels.accuracy(output).unwrap();
        assert_eq!(accuracy(&autograd::tensor![[1.0, 0.0], [1.0, 0.0]]), Some(0.5));
        for other in [autograd::tensor![[1.0], [0.0]], autograd::tensor![1.0, 0.0], autograd::tensor![[1.0, 0.0]]] {
            assert_eq!(accuracy(&other), None, "{other:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let message = Dataset::new(autograd::tensor![[1.0], [2.0]], Indices::from(vec![0])).unwrap_err().to_string();
        assert_eq!(message, "data set: 2 rows of features, but 1 targets");
        assert!(numbered(4).batches(0, &mut rng).is_err());
        for fraction in [0.0, 1.0, -0.5, 2.0, f64::NAN, 0.1] {
            assert!(numbered(4).split(fraction, &mut rng).is_err(), "{fraction}");
        }
        assert!(numbered(4).select(&Indices::from(vec![4])).is_err());
    }
}
