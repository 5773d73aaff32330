//! What a wide layer does to the size of activations and gradients: moments of an activation under normally distributed inputs.

use autograd::{Graph, Tensor};

use crate::{activation::Activation, error::Error};

/// Moments of an activation f under z ~ N(0, q).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// E\[f(z)²\]
    pub value: f64,
    /// E\[f′(z)²\]
    pub slope: f64,
}

/// Midpoints, symmetric around 0, so that no kink lies on one of them.
const POINTS: usize = 4000;
/// In standard deviations.
const RANGE: f64 = 8.0;

/// E\[f(z)²\] and E\[f′(z)²\] of an activation f for z ~ N(0, q), by numeric integration; `None` for softmax, whose value depends on more
/// than one number.
///
/// They are all there is to the theory of initial weights. What a neuron of a wide layer adds up, z = Σ w a + b, is a sum of many
/// independent terms, so nearly normal, with E\[z²\] = n E\[w²\] E\[a²\] + E\[b²\], where n is its number of inputs. Then the next layer
/// has E\[a²\] = `value`; and on the way back, E\[dz²\] of a layer is that of the next times m E\[w²\] times `slope`, where m is the number
/// of neurons that it feeds. For relu, `value` = q/2 and `slope` = 1/2, which gives He's rule n E\[w²\] = 2; for tanh near 0, q and 1,
/// which gives Glorot's.
///
/// B. Poole et al., *Exponential expressivity in deep neural networks through transient chaos* (2016); S. Schoenholz et al., *Deep
/// information propagation* (2017).
///
/// ```
/// use nn::{Activation, lab};
/// let relu = lab::gaussian(Activation::Relu, 3.0)?.unwrap();
/// assert!((relu.value - 1.5).abs() < 1e-5 && (relu.slope - 0.5).abs() < 1e-5);
/// let sigmoid = lab::gaussian(Activation::Sigmoid, 1e-6)?.unwrap();
/// assert!((sigmoid.slope - 1.0 / 16.0).abs() < 1e-6); // slope ¼ at 0
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for a variance that is negative or not finite.
pub fn gaussian(activation: Activation, q: f64) -> Result<Option<Moments>, Error> {
    if !(q.is_finite() && q >= 0.0) {
        return Err(Error::config(format!("variance {q}"), "it must be a finite number, and not negative"));
    }
    if activation == Activation::Softmax {
        return Ok(None);
    }
    let width = 2.0 * RANGE / POINTS as f64;
    let at = |k: usize| -RANGE + (k as f64 + 0.5) * width;
    let graph = Graph::<f64>::new();
    let z = graph.variable(Tensor::new((0..POINTS).map(|k| q.sqrt() * at(k)).collect::<Vec<_>>(), [POINTS])?);
    let y = activation.apply(z);
    let (value, gradients) = (y.value()?, y.sum().backward()?);
    let mean = |numbers: &[f64]| -> f64 {
        let weight = |k: usize| (-0.5 * at(k) * at(k)).exp() * width / std::f64::consts::TAU.sqrt();
        numbers.iter().enumerate().map(|(k, v)| v * v * weight(k)).sum()
    };
    Ok(Some(Moments { value: mean(value.as_slice()), slope: mean(gradients.wrt(z)?.as_slice()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_are_known() {
        let of = |activation, q| gaussian(activation, q).unwrap().unwrap();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 2e-6, "{found} is not {expected}");
        close(of(Activation::Identity, 2.5).value, 2.5);
        close(of(Activation::Identity, 2.5).slope, 1.0);
        close(of(Activation::Relu, 2.0).value, 1.0);
        close(of(Activation::LeakyRelu(0.1), 1.0).value, 0.5 * 1.01);
        close(of(Activation::Step, 1.0).value, 0.5);
        close(of(Activation::Step, 1.0).slope, 0.0);
        close(of(Activation::Tanh, 0.0).slope, 1.0);
        assert!(of(Activation::Tanh, 1e9).value > 0.999);
        assert_eq!(gaussian(Activation::Softmax, 1.0).unwrap(), None);
        assert!(gaussian(Activation::Tanh, -1.0).is_err() && gaussian(Activation::Tanh, f64::NAN).is_err());
    }
}
