//! The multilayer perceptron: layers of neurons, one after the other.

use autograd::{Real, Var};
use rand::Rng;

use crate::{activation::Activation, error::Error, init::Init, module::Module, perceptron::Perceptron};

/// Layers of neurons, one after the other, each with its own activation.
///
/// ```
/// use autograd::{Graph, Tensor};
/// use nn::{Activation, Init, Mlp, Module, Parameters};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::new(&[64, 32, 10], &[Activation::Relu, Activation::Identity], Init::he_uniform(), &mut rng)?;
/// assert_eq!(model.parameter_count(), 64 * 32 + 32 + 32 * 10 + 10);
/// let g = Graph::<f32>::new();
/// let logits = model.forward(g.constant(Tensor::zeros([5, 64])?));
/// assert_eq!(logits.shape()?, [5, 10]);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mlp<T: Real> {
    /// The layers, from the input to the output.
    pub layers: Vec<Perceptron<T>>,
}
crate::parameters!(Mlp<T> { layers });

impl<T: Real> Mlp<T> {
    /// A network whose layers have these `sizes`, the inputs first, and one activation for each layer after them. Each layer's weights are
    /// drawn by the rule with the gain of its activation; biases are 0.
    ///
    /// # Errors
    /// [`Error::Config`] unless there are at least two sizes, none of them 0, and one activation fewer; those of [`Init::sample`].
    pub fn new(sizes: &[usize], activations: &[Activation], init: Init, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        if sizes.len() < 2 {
            return Err(Error::config(format!("sizes {sizes:?}"), "at least two are needed: inputs and outputs"));
        }
        if let Some(layer) = sizes.iter().position(|&size| size == 0) {
            return Err(Error::config(format!("sizes {sizes:?}"), format!("size {layer} is 0")));
        }
        if activations.len() != sizes.len() - 1 {
            let what = format!("{} activations for sizes {sizes:?}", activations.len());
            return Err(Error::config(what, format!("there are {} layers, and each has one", sizes.len() - 1)));
        }
        let layers = sizes.windows(2).zip(activations).map(|(size, &f)| Perceptron::new(size[0], size[1], f, init, rng));
        Ok(Mlp { layers: layers.collect::<Result<_, _>>()? })
    }
}

impl<T: Real> Module<T> for Mlp<T> {
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let mut y = x;
        for layer in &self.layers {
            y = layer.forward(y);
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::module::Parameters;

    fn mlp(sizes: &[usize], activations: &[Activation]) -> Result<Mlp<f64>, Error> {
        Mlp::new(sizes, activations, Init::he_normal(), &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn names_and_shapes_are_those_of_pytorch() {
        let model = mlp(&[4, 3, 2], &[Activation::Relu, Activation::Identity]).unwrap();
        let shapes: Vec<_> = model.named_parameters().iter().map(|(n, p)| format!("{n} {}", p.value().shape())).collect();
        assert_eq!(shapes, ["layers.0.weight [3, 4]", "layers.0.bias [3]", "layers.1.weight [2, 3]", "layers.1.bias [2]"]);
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let weights = |model: &Mlp<f64>| model.layers[0].linear.weight.value().to_vec();
        let [a, b] = [(); 2].map(|()| mlp(&[4, 3], &[Activation::Relu]).unwrap());
        assert_eq!(weights(&a), weights(&b));
        let other = Mlp::<f64>::new(&[4, 3], &[Activation::Relu], Init::he_normal(), &mut ChaCha8Rng::seed_from_u64(4)).unwrap();
        assert_ne!(weights(&a), weights(&other));
    }

    #[test]
    fn sizes_that_make_no_network_are_refused() {
        let why = |sizes: &[usize], activations: &[Activation]| mlp(sizes, activations).unwrap_err().to_string();
        assert_eq!(why(&[4], &[]), "sizes [4]: at least two are needed: inputs and outputs");
        assert_eq!(why(&[4, 0, 2], &[Activation::Relu; 2]), "sizes [4, 0, 2]: size 1 is 0");
        assert_eq!(why(&[4, 3, 2], &[Activation::Relu]), "1 activations for sizes [4, 3, 2]: there are 2 layers, and each has one");
    }
}
