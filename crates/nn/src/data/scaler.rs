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
    /// Features without rows.
    pub fn standard(features: &Tensor<T>) -> Result<Self, Error> {
        let mean = features.mean_axes([0], false)?;
        let deviation = features.sub(&mean)?.square()?.mean_axes([0], false)?.sqrt()?;
        Scaler::dividing(mean, &deviation)
    }

    /// The smallest value of each feature to 0, its largest to 1. A feature that never varies becomes 0.
    ///
    /// # Errors
    /// Features without rows.
    pub fn min_max(features: &Tensor<T>) -> Result<Self, Error> {
        let (smallest, largest) = (features.neg()?.amax([0], false)?.neg()?, features.amax([0], false)?);
        let span = largest.sub(&smallest)?;
        Scaler::dividing(smallest, &span)
    }

    /// `low` to 0 and `high` to 1, for all features alike: for those whose range is known, such as pixels.
    ///
    /// # Errors
    /// [`Error::Config`] unless `low` is below `high`.
    pub fn range(low: f64, high: f64) -> Result<Self, Error> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::config(format!("range {low}..{high}"), "the first number must be below the second one"));
        }
        Ok(Scaler { offset: Tensor::scalar(T::of(low)), factor: Tensor::scalar(T::of(1.0 / (high - low))) })
    }

    /// The scaled features.
    ///
    /// # Errors
    /// Another number of features than the scaler was made for.
    pub fn apply(&self, features: &Tensor<T>) -> Result<Tensor<T>, Error> {
        Ok(features.sub(&self.offset)?.mul(&self.factor)?)
    }

    /// The features that become `scaled`.
    ///
    /// # Errors
    /// As for [`Scaler::apply`].
    pub fn undo(&self, scaled: &Tensor<T>) -> Result<Tensor<T>, Error> {
        Ok(scaled.div(&self.factor)?.add(&self.offset)?)
    }

    fn dividing(offset: Tensor<T>, by: &Tensor<T>) -> Result<Self, Error> {
        // What does not vary cannot be brought to any size.
        let factors: Vec<T> = by.as_slice().iter().map(|&v| if v == T::ZERO { T::ONE } else { T::ONE / v }).collect();
        Ok(Scaler { factor: Tensor::new(factors, &**by.shape())?, offset })
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
    fn what_makes_no_sense_is_refused() {
        assert!(Scaler::<f32>::range(1.0, 1.0).is_err());
        let scaler = Scaler::standard(&tensor![[1.0, 2.0], [3.0, 4.0]]).unwrap();
        assert!(scaler.apply(&tensor![[1.0, 2.0, 3.0]]).is_err());
        assert!(Scaler::standard(&Tensor::<f64>::zeros([0, 2]).unwrap()).is_err());
    }
}
