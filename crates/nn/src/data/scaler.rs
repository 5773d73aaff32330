//! Scaling of features, so that all are of a similar size.

use autograd::{Real, Tensor};

use crate::error::Error;

/// (x − offset)·factor for each feature, with offsets and factors found on the training set and then used for all data.
///
/// ```
/// use autograd::tensor;
/// use nn::data::Scaler;
/// let x = tensor![[1.0, 100.0], [3.0, 300.0]];
/// let scaler = Scaler::standard(&x)?;
/// assert_eq!(scaler.apply(&x)?, tensor![[-1.0, -1.0], [1.0, 1.0]]);
/// assert_eq!(Scaler::range(0.0, 16.0)?.apply(&tensor![[0.0, 8.0, 16.0]])?, tensor![[0.0, 0.5, 1.0]]);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler<T: Real> {
    offset: Tensor<T>,
    factor: Tensor<T>,
}

impl<T: Real> Scaler<T> {
    /// To mean 0 and standard deviation 1 (of the population). A feature that never varies becomes 0.
    ///
    /// # Errors
    /// [`Error::Config`] for features that are not `[rows, features]` with at least one row, or whose spread is not a positive finite number
    /// in `T`, such as one that holds NaN.
    pub fn standard(features: &Tensor<T>) -> Result<Self, Error> {
        let (smallest, largest) = extremes(features)?;
        let mean = features.mean_axes([0], false)?;
        let deviation = features.sub(&mean)?.square()?.mean_axes([0], false)?.sqrt()?;
        Scaler::dividing(&mean, &deviation, &smallest, &largest)
    }

    /// The smallest value of each feature to 0, its largest to 1. A feature that never varies becomes 0.
    ///
    /// # Errors
    /// As for [`Scaler::standard`].
    pub fn min_max(features: &Tensor<T>) -> Result<Self, Error> {
        let (smallest, largest) = extremes(features)?;
        let span = largest.sub(&smallest)?;
        Scaler::dividing(&smallest, &span, &smallest, &largest)
    }

    /// `low` to 0 and `high` to 1, for all features alike and any number of them: for those whose range is known, such as pixels.
    ///
    /// # Errors
    /// [`Error::Config`] unless `low` is below `high`, and their distance a positive finite number in `T`.
    pub fn range(low: f64, high: f64) -> Result<Self, Error> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::config(format!("range {low}..{high}"), "the first number must be below the second one, and both finite"));
        }
        if !divides(T::of(high) - T::of(low)) {
            return Err(Error::config(format!("range {low}..{high}"), format!("its width has no finite reciprocal in {}", T::NAME)));
        }
        Ok(Scaler { offset: Tensor::scalar(T::of(low)), factor: Tensor::scalar(T::of(1.0 / (high - low))) })
    }

    /// What is subtracted from each feature: `[features]`, or a scalar for [`Scaler::range`].
    #[must_use]
    pub fn offset(&self) -> &Tensor<T> {
        &self.offset
    }

    /// What each feature is multiplied with after that, of the same shape.
    #[must_use]
    pub fn factor(&self) -> &Tensor<T> {
        &self.factor
    }

    /// The scaled features: of rows, or of one row.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of features than the scaler was made for.
    pub fn apply(&self, features: &Tensor<T>) -> Result<Tensor<T>, Error> {
        self.check(features)?;
        Ok(features.sub(&self.offset)?.mul(&self.factor)?)
    }

    /// The features that become `scaled`.
    ///
    /// # Errors
    /// As for [`Scaler::apply`].
    pub fn undo(&self, scaled: &Tensor<T>) -> Result<Tensor<T>, Error> {
        self.check(scaled)?;
        Ok(scaled.div(&self.factor)?.add(&self.offset)?)
    }

    fn check(&self, features: &Tensor<T>) -> Result<(), Error> {
        // A single feature would stretch to any number of them.
        if features.shape().ends_with(self.offset.shape()) {
            return Ok(());
        }
        let why = format!("the scaler was made for features of shape {}", self.offset.shape());
        Err(Error::config(format!("data of shape {}", features.shape()), why))
    }

    fn dividing(offset: &Tensor<T>, by: &Tensor<T>, smallest: &Tensor<T>, largest: &Tensor<T>) -> Result<Self, Error> {
        let (mut offsets, mut factors) = (offset.to_vec(), Vec::with_capacity(by.len()));
        for (k, &width) in by.as_slice().iter().enumerate() {
            let (low, high) = (smallest.as_slice()[k], largest.as_slice()[k]);
            if low == high && low.is_finite() {
                // What does not vary cannot be brought to any size. Its mean may be rounded, its value is not.
                offsets[k] = low;
                factors.push(T::ONE);
            } else if divides(width) {
                factors.push(T::ONE / width);
            } else {
                let why = format!("values from {low} to {high} cannot be scaled in {}; finite numbers of usual size can", T::NAME);
                return Err(Error::config(format!("feature {k}"), why));
            }
        }
        Ok(Scaler { offset: Tensor::new(offsets, offset.shape())?, factor: Tensor::new(factors, by.shape())? })
    }
}

/// Whether 1/width is a number to multiply with, and to divide by.
fn divides<T: Real>(width: T) -> bool {
    let factor = T::ONE / width;
    width > T::ZERO && width.is_finite() && factor > T::ZERO && factor.is_finite()
}

/// The smallest and the largest value of each feature.
fn extremes<T: Real>(features: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>), Error> {
    match features.shape().first() {
        Some(1..) if features.shape().rank() > 1 => Ok((features.neg()?.amax([0], false)?.neg()?, features.amax([0], false)?)),
        _ => Err(Error::config(format!("features of shape {}", features.shape()), "at least one row is needed, [rows, features]")),
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    #[test]
    fn each_feature_is_scaled_by_itself() {
        let x = tensor![[0.0, 5.0, 10.0], [4.0, 5.0, 30.0]];
        assert_eq!(Scaler::standard(&x).unwrap().apply(&x).unwrap(), tensor![[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]);
        assert_eq!(Scaler::min_max(&x).unwrap().apply(&x).unwrap(), tensor![[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]);
    }

    #[test]
    fn new_data_are_scaled_as_the_old_ones_and_back() {
        let scaler = Scaler::min_max(&tensor![[0.0], [4.0]]).unwrap();
        assert_eq!(scaler.apply(&tensor![[8.0]]).unwrap(), tensor![[2.0]]);
        assert_eq!(scaler.undo(&tensor![[2.0]]).unwrap(), tensor![[8.0]]);
    }

    #[test]
    fn a_feature_that_never_varies_becomes_0() {
        // The mean of ten times 0.1 is not 0.1.
        let x = Tensor::full(0.1, [10, 1]).unwrap();
        for scaler in [Scaler::standard(&x).unwrap(), Scaler::min_max(&x).unwrap()] {
            assert!(scaler.apply(&x).unwrap().as_slice().iter().all(|&v| v == 0.0));
            assert_eq!((scaler.offset(), scaler.factor()), (&tensor![0.1], &tensor![1.0]));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (low, high) in [(1.0, 1.0), (0.0, f64::INFINITY), (0.0, 1e300), (0.0, 1e-60), (1e8, 1e8 + 1.0), (-3e38, 3e38)] {
            assert!(matches!(Scaler::<f32>::range(low, high), Err(Error::Config { .. })), "{low}..{high}");
        }
        assert!(Scaler::<f64>::range(-f64::MAX, f64::MAX).is_err());
        let scaler = Scaler::standard(&tensor![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        for other in [tensor![[1.0, 2.0, 3.0]], tensor![[1.0]], tensor![1.0]] {
            assert!(scaler.apply(&other).is_err() && scaler.undo(&other).is_err(), "{other:?}");
        }
        let one = Scaler::min_max(&tensor![[1.0], [2.0]]).unwrap();
        let message = one.apply(&tensor![[1.0, 2.0]]).unwrap_err().to_string();
        assert_eq!(message, "data of shape [1, 2]: the scaler was made for features of shape [1]");
        for bad in [tensor![[1.0], [f64::NAN]], tensor![[1.0], [f64::INFINITY]], tensor![[0.0], [1e-200]]] {
            assert!(Scaler::standard(&bad).is_err(), "{bad:?}");
        }
        assert!(Scaler::standard(&tensor![1.0, 2.0]).is_err());
        assert!(Scaler::standard(&Tensor::<f64>::zeros([0, 2]).unwrap()).is_err());
    }
}
