//! Initial weights: how a layer begins.

use autograd::{Real, Tensor};
use rand::Rng;

use crate::error::Error;

/// Which connections of a neuron are counted in He's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fan {
    /// `fan_in`, the number of inputs: keeps the variance of the values on the way forward.
    #[default]
    In,
    /// `fan_out`, the number of outputs: keeps the variance of the gradients on the way back.
    Out,
}

/// A rule for the initial weights of a layer with weights `[out, in]`, that is, with `fan_out` = out and `fan_in` = in.
///
/// | rule | distribution |
/// |---|---|
/// | `XavierUniform` | uniform on `±gain·√(6 / (fan_in + fan_out))` |
/// | `XavierNormal` | normal with `σ = gain·√(2 / (fan_in + fan_out))` |
/// | `HeUniform(fan)` | uniform on `±gain·√(3 / fan)` |
/// | `HeNormal(fan)` | normal with `σ = gain / √fan` |
///
/// He's σ = √(2 / fan) is `HeNormal` with the gain √2 of relu. [`Perceptron`](crate::Perceptron) and [`Mlp`](crate::Mlp) pass the gain of
/// their activation; [`Linear::new`](crate::Linear::new), which knows of none, has gain 1 and so half of He's variance. For a linear layer
/// before a relu of your own take [`Linear::with_gain`](crate::Linear::with_gain).
///
/// The gain belongs to the activation that follows: see [`Activation::gain`](crate::Activation::gain). The rules that name their
/// numbers take no gain.
///
/// X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks* (2010): the rules named Xavier, or
/// Glorot. K. He et al., *Delving deep into rectifiers* (2015): the rules named He, or Kaiming. The numbers are those of PyTorch's
/// `torch.nn.init`.
///
/// ```
/// use nn::{Activation, Fan, Init};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let weights = Init::HeUniform(Fan::In).sample::<f64>([10, 64], Activation::Relu.gain(), &mut rng)?;
/// let bound = (6.0_f64 / 64.0).sqrt(); // √2·√(3/64)
/// assert!(weights.as_slice().iter().all(|w| w.abs() <= bound));
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// All 0. In a hidden layer all neurons would stay equal for ever.
    Zeros,
    /// All equal.
    Constant(f64),
    /// Uniform on [low, high). [`Init::uniform`] is the ±0.1 of textbooks.
    Uniform {
        /// The smallest value.
        low: f64,
        /// The bound above.
        high: f64,
    },
    /// Normal, also called Gaussian.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// Glorot's uniform rule, for tanh, sigmoid and linear layers.
    XavierUniform,
    /// Glorot's normal rule.
    XavierNormal,
    /// Kaiming's uniform rule, for relu and its relatives.
    HeUniform(Fan),
    /// Kaiming's normal rule.
    HeNormal(Fan),
}

impl Init {
    /// Uniform on ±0.1, the usual choice of textbooks for small networks.
    #[must_use]
    pub fn uniform() -> Init {
        Init::uniform_in(-0.1, 0.1)
    }

    /// Uniform on [low, high).
    #[must_use]
    pub fn uniform_in(low: f64, high: f64) -> Init {
        Init::Uniform { low, high }
    }

    /// Glorot's uniform rule: the same as [`Init::XavierUniform`].
    #[must_use]
    pub fn xavier_uniform() -> Init {
        Init::XavierUniform
    }

    /// Glorot's normal rule: the same as [`Init::XavierNormal`].
    #[must_use]
    pub fn xavier_normal() -> Init {
        Init::XavierNormal
    }

    /// He's uniform rule with `fan_in`.
    #[must_use]
    pub fn he_uniform() -> Init {
        Init::HeUniform(Fan::In)
    }

    /// He's normal rule with `fan_in`.
    #[must_use]
    pub fn he_normal() -> Init {
        Init::HeNormal(Fan::In)
    }

    /// Weights of shape `[out, in]`.
    ///
    /// # Errors
    /// [`Error::Config`] for a size of 0, or numbers that are no distribution.
    pub fn sample<T: Real>(&self, [out, inputs]: [usize; 2], gain: f64, rng: &mut (impl Rng + ?Sized)) -> Result<Tensor<T>, Error> {
        if out == 0 || inputs == 0 {
            return Err(Error::config(format!("weights of shape [{out}, {inputs}]"), "a layer needs at least one input and one output"));
        }
        #[allow(clippy::cast_precision_loss)] // layers have fewer than 2⁵² neurons
        let (fan_in, fan_out) = (inputs as f64, out as f64);
        let fan = |mode: Fan| match mode {
            Fan::In => fan_in,
            Fan::Out => fan_out,
        };
        let shape = [out, inputs];
        match *self {
            Init::Zeros => Ok(Tensor::zeros(shape)?),
            Init::Constant(c) if !T::of(c).is_finite() => {
                Err(Error::config(format!("{self:?}"), format!("a number that is finite in {} is needed", T::NAME)))
            }
            Init::Constant(c) => Ok(Tensor::full(T::of(c), shape)?),
            Init::Uniform { low, high } => self.uniform_on(low, high, shape, rng),
            Init::Normal { mean, std } => self.normal(mean, std, shape, rng),
            Init::XavierUniform => self.symmetric(gain * (6.0 / (fan_in + fan_out)).sqrt(), shape, rng),
            Init::XavierNormal => self.normal(0.0, gain * (2.0 / (fan_in + fan_out)).sqrt(), shape, rng),
            Init::HeUniform(mode) => self.symmetric(gain * (3.0 / fan(mode)).sqrt(), shape, rng),
            Init::HeNormal(mode) => self.normal(0.0, gain / fan(mode).sqrt(), shape, rng),
        }
    }

    fn symmetric<T: Real>(&self, bound: f64, shape: [usize; 2], rng: &mut (impl Rng + ?Sized)) -> Result<Tensor<T>, Error> {
        self.uniform_on(-bound, bound, shape, rng)
    }

    fn uniform_on<T: Real>(&self, low: f64, high: f64, shape: [usize; 2], rng: &mut (impl Rng + ?Sized)) -> Result<Tensor<T>, Error> {
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(Error::config(format!("{self:?}"), format!("there is no uniform distribution on {low}..{high}")));
        }
        Ok(Tensor::uniform(low, high, shape, rng)?)
    }

    fn normal<T: Real>(&self, mean: f64, std: f64, shape: [usize; 2], rng: &mut (impl Rng + ?Sized)) -> Result<Tensor<T>, Error> {
        if !(mean.is_finite() && std.is_finite() && std >= 0.0) {
            return Err(Error::config(
                format!("{self:?}"),
                format!("there is no normal distribution with mean {mean} and deviation {std}"),
            ));
        }
        Ok(Tensor::randn(shape, rng)?.mul_lit(std)?.add_lit(mean)?)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::activation::Activation;

    fn sample(init: Init, shape: [usize; 2], gain: f64) -> Vec<f64> {
        init.sample(shape, gain, &mut ChaCha8Rng::seed_from_u64(7)).unwrap().to_vec()
    }

    fn moments(x: &[f64]) -> (f64, f64) {
        let n = f64::from(u32::try_from(x.len()).unwrap());
        let mean = x.iter().sum::<f64>() / n;
        (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let (out, inputs) = (200, 500);
        let relu = Activation::Relu.gain();
        let tanh = Activation::Tanh.gain();
        let cases = [
            (Init::XavierUniform, 1.0, 2.0 / 700.0),
            (Init::XavierNormal, 1.0, 2.0 / 700.0),
            (Init::XavierNormal, tanh, 25.0 / 9.0 * 2.0 / 700.0),
            (Init::HeUniform(Fan::In), relu, 2.0 / 500.0),
            (Init::HeNormal(Fan::In), relu, 2.0 / 500.0),
            (Init::HeUniform(Fan::Out), relu, 2.0 / 200.0),
            (Init::HeNormal(Fan::Out), relu, 2.0 / 200.0),
            (Init::HeNormal(Fan::In), 1.0, 1.0 / 500.0),
            (Init::uniform(), 1.0, 0.04 / 12.0),
            (Init::Normal { mean: 0.0, std: 0.3 }, 5.0, 0.09),
        ];
        for (init, gain, expected) in cases {
            let (mean, variance) = moments(&sample(init, [out, inputs], gain));
            // With 100,000 draws the variance is known to about half a percent.
            assert!((variance / expected - 1.0).abs() < 0.02, "{init:?}: variance {variance}, not {expected}");
            assert!(mean.abs() < 0.02 * expected.sqrt(), "{init:?}: mean {mean}");
        }
    }

    #[test]
    fn bounds_are_kept_and_nearly_reached() {
        let bounds = [
            (Init::uniform(), 1.0, 0.1),
            (Init::XavierUniform, 1.0, (6.0f64 / 300.0).sqrt()),
            (Init::HeUniform(Fan::In), Activation::Relu.gain(), (6.0f64 / 200.0).sqrt()),
        ];
        for (init, gain, bound) in bounds {
            let largest = sample(init, [100, 200], gain).iter().fold(0.0f64, |m, w| m.max(w.abs()));
            assert!(largest <= bound && largest > 0.99 * bound, "{init:?}: {largest} against {bound}");
        }
    }

    #[test]
    fn constants() {
        assert!(sample(Init::Zeros, [2, 3], 1.0).iter().all(|&w| w == 0.0));
        assert!(sample(Init::Constant(0.5), [2, 3], 7.0).iter().all(|&w| w == 0.5));
        let (mean, _) = moments(&sample(Init::Normal { mean: 3.0, std: 0.1 }, [50, 50], 1.0));
        assert!((mean - 3.0).abs() < 0.01);
    }

    #[test]
    fn f32_and_f64_draw_the_same_numbers() {
        let single = Init::he_normal().sample::<f32>([4, 5], 1.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let double = Init::he_normal().sample::<f64>([4, 5], 1.0, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert!(single.as_slice().iter().zip(double.as_slice()).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6));
    }

    #[test]
    fn constructors_are_the_rules_of_their_names() {
        assert_eq!(Init::uniform(), Init::Uniform { low: -0.1, high: 0.1 });
        assert_eq!(Init::uniform_in(0.0, 2.0), Init::Uniform { low: 0.0, high: 2.0 });
        assert_eq!([Init::xavier_uniform(), Init::xavier_normal()], [Init::XavierUniform, Init::XavierNormal]);
        assert_eq!([Init::he_uniform(), Init::he_normal()], [Init::HeUniform(Fan::In), Init::HeNormal(Fan::In)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for c in [f64::NAN, f64::INFINITY, 1e39] {
            let refused = Init::Constant(c).sample::<f32>([2, 2], 1.0, &mut ChaCha8Rng::seed_from_u64(0));
            assert!(matches!(refused, Err(Error::Config { .. })), "{c}");
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for init in
            [Init::Uniform { low: 1.0, high: -1.0 }, Init::Normal { mean: 0.0, std: -1.0 }, Init::Normal { mean: f64::NAN, std: 1.0 }]
        {
            assert!(matches!(init.sample::<f32>([2, 2], 1.0, &mut rng), Err(Error::Config { .. })), "{init:?}");
        }
        assert!(Init::Zeros.sample::<f32>([0, 2], 1.0, &mut rng).is_err());
    }
}
