//! Activations: the function that a layer of neurons ends with.

use std::{f64::consts::SQRT_2, fmt};

use autograd::{Real, Var};

/// The function that is applied to what a layer of neurons has added up.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::Activation;
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![-1.0, 2.0]);
/// assert_eq!(Activation::Relu.apply(x).value()?, tensor![0.0, 2.0]);
/// assert_eq!(Activation::LeakyRelu(0.1).apply(x).value()?, tensor![-0.1, 2.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// x: none, for outputs that may be any number, and for logits.
    #[default]
    Identity,
    /// 1 / (1 + e⁻ˣ), between 0 and 1.
    Sigmoid,
    /// (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), between −1 and 1.
    Tanh,
    /// max(x, 0): the rectified linear unit.
    Relu,
    /// x where x > 0, else the given slope times x.
    LeakyRelu(f64),
    /// x where x > 0, else α(eˣ − 1) (Clevert et al. 2016).
    Elu(f64),
    /// x·Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016).
    Gelu,
    /// x·sigmoid(x), also called swish (Elfwing et al. 2018).
    Silu,
    /// ln(1 + eˣ), a smooth relu.
    Softplus,
    /// eˣ / Σ eˣ along the last axis: positive numbers that add to 1. For training, prefer logits and
    /// [`cross_entropy`](crate::loss::cross_entropy), which is exact where these round to 0.
    Softmax,
    /// 1 where x > 0, else 0 (Rosenblatt 1958). Its slope is 0 everywhere, so that descent along gradients cannot train what stands before it;
    /// for weights that are set by hand, or learned by a rule of their own.
    Step,
}

impl Activation {
    /// The function of `x`, element by element, or for softmax along the last axis.
    #[must_use]
    #[track_caller]
    pub fn apply<T: Real>(self, x: Var<'_, T>) -> Var<'_, T> {
        match self {
            Activation::Identity => x,
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Relu => x.relu(),
            Activation::LeakyRelu(slope) => x.leaky_relu(slope),
            Activation::Elu(alpha) => x.elu(alpha),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Softplus => x.softplus(),
            Activation::Softmax => x.softmax(-1),
            Activation::Step => x.step(),
        }
    }

    /// The factor on the initial weights that keeps the variance from layer to layer, for [`Init`](crate::Init).
    ///
    /// | activation | gain |
    /// |---|---|
    /// | identity, sigmoid, softmax, step | 1 |
    /// | tanh | 5/3 |
    /// | relu | √2 |
    /// | leaky relu | √(2 / (1 + slope²)) |
    /// | elu, gelu, silu, softplus | √2, as for the relu that they resemble |
    ///
    /// These are the values of PyTorch's `calculate_gain`, which says nothing of softmax, step and the last row.
    #[must_use]
    pub fn gain(self) -> f64 {
        match self {
            Activation::Identity | Activation::Sigmoid | Activation::Softmax | Activation::Step => 1.0,
            Activation::Tanh => 5.0 / 3.0,
            Activation::Relu | Activation::Elu(_) | Activation::Gelu | Activation::Silu | Activation::Softplus => SQRT_2,
            Activation::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::Identity => f.write_str("identity"),
            Activation::Sigmoid => f.write_str("sigmoid"),
            Activation::Tanh => f.write_str("tanh"),
            Activation::Relu => f.write_str("relu"),
            Activation::LeakyRelu(slope) => write!(f, "leaky relu({slope})"),
            Activation::Elu(alpha) => write!(f, "elu({alpha})"),
            Activation::Gelu => f.write_str("gelu"),
            Activation::Silu => f.write_str("silu"),
            Activation::Softplus => f.write_str("softplus"),
            Activation::Softmax => f.write_str("softmax"),
            Activation::Step => f.write_str("step"),
        }
    }
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, Tensor, tensor};

    use super::*;

    #[test]
    fn values_by_hand() {
        let (e, x) = (std::f64::consts::E, tensor![-1.0, 0.0, 1.0]);
        let sigmoid = 1.0 / (1.0 + 1.0 / e);
        let normal = 0.841_344_746_068_542_9; // Φ(1)
        let cases: [(Activation, Tensor<f64>); 11] = [
            (Activation::Step, tensor![0.0, 0.0, 1.0]),
            (Activation::Identity, x.clone()),
            (Activation::Sigmoid, tensor![1.0 - sigmoid, 0.5, sigmoid]),
            (Activation::Tanh, tensor![-0.761_594_155_955_764_9, 0.0, 0.761_594_155_955_764_9]),
            (Activation::Relu, tensor![0.0, 0.0, 1.0]),
            (Activation::LeakyRelu(0.2), tensor![-0.2, 0.0, 1.0]),
            (Activation::Elu(2.0), tensor![2.0 * (1.0 / e - 1.0), 0.0, 1.0]),
            (Activation::Gelu, tensor![-(1.0 - normal), 0.0, normal]),
            (Activation::Silu, tensor![sigmoid - 1.0, 0.0, sigmoid]),
            (Activation::Softplus, tensor![(1.0 + 1.0 / e).ln(), 2.0f64.ln(), (1.0 + e).ln()]),
            (Activation::Softmax, tensor![1.0 / (1.0 + e + e * e), e / (1.0 + e + e * e), e * e / (1.0 + e + e * e)]),
        ];
        for (activation, expected) in cases {
            let g = Graph::new();
            let y = activation.apply(g.constant(&x)).value().unwrap();
            let close = y.as_slice().iter().zip(expected.as_slice()).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close, "{activation}: {y:?} is not {expected:?}");
        }
    }

    #[test]
    fn a_step_has_slope_0() {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![-1.0, 0.0, 1.0, f64::NAN]);
        let y = Activation::Step.apply(x);
        assert!(y.value().unwrap().as_slice()[3].is_nan());
        assert_eq!(y.sum().backward().unwrap().wrt(x).unwrap().as_slice()[..3], [0.0; 3]);
    }

    #[test]
    fn gains_are_those_of_pytorch() {
        let gains = [Activation::Identity, Activation::Sigmoid, Activation::Tanh, Activation::Relu, Activation::LeakyRelu(0.01)];
        let expected = [1.0, 1.0, 1.666_666_666_666_666_7, SQRT_2, 1.414_142_856_997_835_4];
        for (activation, expected) in gains.into_iter().zip(expected) {
            assert!((activation.gain() - expected).abs() < 1e-14, "{activation}");
        }
    }
}
