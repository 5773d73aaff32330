//! The multilayer perceptron: layers of neurons, one after the other.

use autograd::{Real, Var};
use rand::Rng;

use crate::{activation::Activation, error::Error, init::Init, module::Module, perceptron::Perceptron};

/// Layers of neurons, one after the other, each with its own activation.
///
/// The element type of a model is that of its graphs. A literal such as `1.0` is an f64 unless something says otherwise: where nothing does,
/// write `1.0f32` for a model of f32.
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
    use autograd::{Graph, tensor};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{linear::Linear, loss::mse, module::Parameters, optim::Sgd};

    /// M. Mazur, *A step by step backpropagation example* (2015): a 2-2-2 network with sigmoids, one step of descent. His error,
    /// ½Σ(t − y)², is the mean squared error of two outputs.
    #[test]
    fn the_network_of_mazur() {
        let layer =
            |weight, bias| Perceptron { linear: Linear::from_tensors(weight, Some(bias)).unwrap(), activation: Activation::Sigmoid };
        let hidden = layer(tensor![[0.15, 0.20], [0.25, 0.30]], tensor![0.35, 0.35]);
        let output = layer(tensor![[0.40, 0.45], [0.50, 0.55]], tensor![0.60, 0.60]);
        let mut model = Mlp { layers: vec![hidden, output] };

        let g = Graph::<f64>::new();
        let y = model.forward(g.constant(tensor![[0.05, 0.10]]));
        let loss = mse(y, g.constant(tensor![[0.01, 0.99]]));
        assert!((y.value().unwrap()[[0, 0]] - 0.751_365_07).abs() < 1e-8);
        assert!((y.value().unwrap()[[0, 1]] - 0.772_928_465).abs() < 1e-8);
        assert!((loss.item().unwrap() - 0.298_371_109).abs() < 1e-8);

        Sgd::new(0.5).step(&mut model, &loss.backward().unwrap()).unwrap();
        let expected =
            [[0.149_780_716, 0.199_561_43, 0.249_751_14, 0.299_502_29], [0.358_916_48, 0.408_666_186, 0.511_301_270, 0.561_370_121]];
        for (layer, expected) in model.layers.iter().zip(expected) {
            let weights = layer.linear.weight.value().as_slice();
            assert!(weights.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-8), "{weights:?} is not {expected:?}");
        }
    }

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
