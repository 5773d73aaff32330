//! One layer of neurons: f(x Wᵀ + b).

use autograd::{Real, Var};
use rand::Rng;

use crate::{
    activation::Activation,
    error::Error,
    init::Init,
    linear::Linear,
    module::{Module, Name, Parameters},
    parameter::Parameter,
};

/// A layer of neurons, each of which adds up its weighted inputs and a bias, and applies the [`Activation`]: f(x Wᵀ + b).
///
/// With one neuron and [`Activation::Step`], this is the perceptron of F. Rosenblatt (1958). Its parameters are `weight` and `bias`.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::{Activation, Linear, Module, Perceptron};
/// // One neuron that computes the logical and of its inputs, nearly.
/// let linear = Linear::from_tensors(tensor![[10.0, 10.0]], Some(tensor![-15.0]))?;
/// let and = Perceptron { linear, activation: Activation::Sigmoid };
/// let g = Graph::<f64>::new();
/// let y = and.forward(g.constant(tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).value()?;
/// assert!(y[[0, 0]] < 0.01 && y[[1, 0]] < 0.01 && y[[2, 0]] < 0.01 && y[[3, 0]] > 0.99);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Perceptron<T: Real> {
    /// x Wᵀ + b
    pub linear: Linear<T>,
    /// f
    pub activation: Activation,
}

/// Named as those of the linear part, without a level of their own, so that an MLP has PyTorch's `layers.0.weight`.
impl<T: Real> Parameters<T> for Perceptron<T> {
    fn visit<'a>(&'a self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a Parameter<T>)) {
        self.linear.visit(name, f);
    }
    fn visit_mut<'a>(&'a mut self, name: &Name<'_>, f: &mut dyn FnMut(&Name<'_>, &'a mut Parameter<T>)) {
        self.linear.visit_mut(name, f);
    }
}

impl<T: Real> Perceptron<T> {
    /// A layer with weights drawn by a rule with the gain of the activation, and biases 0.
    ///
    /// # Errors
    /// [`Error::Config`] for a size of 0, and those of [`Init::sample`].
    pub fn new(inputs: usize, outputs: usize, activation: Activation, init: Init, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        Ok(Perceptron { linear: Linear::with_gain(inputs, outputs, init, activation.gain(), rng)?, activation })
    }
}

impl<T: Real> Module<T> for Perceptron<T> {
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.activation.apply(self.linear.forward(x))
    }
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, tensor};

    use super::*;

    // The neuron of the course CS231n: w = (2, −3), b = −3, x = (−1, −2).
    #[test]
    fn the_sigmoid_neuron_of_cs231n() {
        let linear = Linear::from_tensors(tensor![[2.0, -3.0]], Some(tensor![-3.0])).unwrap();
        let neuron = Perceptron { linear, activation: Activation::Sigmoid };
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![[-1.0, -2.0]]);
        let y = neuron.forward(x).sum();
        let grads = y.backward().unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 0.005, "{a} is not {b}");
        close(y.item().unwrap(), 0.73);
        let w = neuron.linear.weight.grad(&grads).unwrap();
        close(w[[0, 0]], -0.20);
        close(w[[0, 1]], -0.39);
        close(neuron.linear.bias.as_ref().unwrap().grad(&grads).unwrap()[[0]], 0.20);
        close(grads.wrt(x).unwrap()[[0, 0]], 0.39);
        close(grads.wrt(x).unwrap()[[0, 1]], -0.59);
    }
}
