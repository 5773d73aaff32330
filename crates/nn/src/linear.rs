//! The linear layer: y = x Wᵀ + b.

use autograd::{Real, Tensor, Var};
use rand::Rng;

use crate::{error::Error, init::Init, module::Module, parameter::Parameter};

/// y = x Wᵀ + b, with weights `[out, in]` and biases `[out]`, as in PyTorch.
///
/// The input has shape `[.., in]`, the output `[.., out]`: leading axes are a batch.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::{Linear, Module};
/// let layer = Linear::from_tensors(tensor![[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]], Some(tensor![0.5, 0.0, -0.5]))?;
/// let g = Graph::<f64>::new();
/// let x = g.constant(tensor![[1.0, 1.0], [2.0, 0.0]]);
/// assert_eq!(layer.forward(x).value()?, tensor![[3.5, -1.0, 2.5], [2.5, 0.0, 5.5]]);
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linear<T: Real> {
    /// The weights, `[out, in]`.
    pub weight: Parameter<T>,
    /// The biases, `[out]`, if there are any.
    pub bias: Option<Parameter<T>>,
}
crate::parameters!(Linear<T> { weight, bias });

impl<T: Real> Linear<T> {
    /// A layer with weights drawn by a rule, with gain 1, and biases 0.
    ///
    /// With gain 1, the rules of He give half of the variance that they have before a relu: there, use [`Perceptron`](crate::Perceptron) or
    /// [`Linear::with_gain`].
    ///
    /// # Errors
    /// [`Error::Config`] for a size of 0, and those of [`Init::sample`].
    pub fn new(inputs: usize, outputs: usize, init: Init, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        Linear::with_gain(inputs, outputs, init, 1.0, rng)
    }

    /// As [`Linear::new`], with the gain of the activation that follows.
    ///
    /// # Errors
    /// As for [`Linear::new`].
    pub fn with_gain(inputs: usize, outputs: usize, init: Init, gain: f64, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        let weight = Parameter::new(init.sample([outputs, inputs], gain, rng)?);
        let bias = Some(Parameter::new(Tensor::zeros([outputs])?));
        Ok(Linear { weight, bias })
    }

    /// A layer with given weights `[out, in]` and biases `[out]`.
    ///
    /// # Errors
    /// [`Error::Config`] for other shapes.
    pub fn from_tensors(weight: Tensor<T>, bias: Option<Tensor<T>>) -> Result<Self, Error> {
        let &[outputs, _] = &**weight.shape() else {
            return Err(Error::config(format!("weights of shape {}", weight.shape()), "a linear layer takes [out, in]"));
        };
        if let Some(bias) = bias.as_ref().filter(|bias| *bias.shape() != [outputs]) {
            let why = format!("weights of shape {} need [{outputs}]", weight.shape());
            return Err(Error::config(format!("biases of shape {}", bias.shape()), why));
        }
        Ok(Linear { weight: Parameter::new(weight), bias: bias.map(Parameter::new) })
    }

    /// The same layer without biases.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Linear { bias: None, ..self }
    }
}

impl<T: Real> Module<T> for Linear<T> {
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let weight = self.weight.bind(x.graph());
        match &self.bias {
            Some(bias) => x.linear(weight, bias.bind(x.graph())),
            None => x.matmul_as(weight, false, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, tensor};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::module::Parameters;

    #[test]
    fn batches_of_any_rank_and_single_rows() {
        let layer = Linear::<f64>::new(3, 2, Init::XavierNormal, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
        let g = Graph::new();
        for (input, output) in [(vec![3], vec![2]), (vec![4, 3], vec![4, 2]), (vec![5, 4, 3], vec![5, 4, 2])] {
            let y = layer.forward(g.constant(Tensor::ones(input).unwrap()));
            assert_eq!(y.shape().unwrap(), *output);
        }
    }

    #[test]
    fn gradients_by_hand() {
        let layer = Linear::from_tensors(tensor![[1.0, 2.0]], Some(tensor![0.5])).unwrap();
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![[3.0, 4.0], [5.0, 6.0]]);
        let grads = layer.forward(x).sum().backward().unwrap();
        assert_eq!(layer.weight.grad(&grads), Some(&tensor![[8.0, 10.0]]));
        assert_eq!(layer.bias.as_ref().unwrap().grad(&grads), Some(&tensor![2.0]));
        assert_eq!(grads.wrt(x).unwrap(), &tensor![[1.0, 2.0], [1.0, 2.0]]);
    }

    #[test]
    fn a_layer_may_have_no_biases() {
        let layer = Linear::<f32>::new(3, 2, Init::uniform(), &mut ChaCha8Rng::seed_from_u64(0)).unwrap().without_bias();
        assert_eq!(layer.parameter_count(), 6);
        assert_eq!(layer.named_parameters().len(), 1);
    }

    #[test]
    fn an_input_of_another_width_is_an_error_at_the_line_of_the_caller() {
        let layer = Linear::<f64>::new(3, 2, Init::Zeros, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
        let g = Graph::new();
        let y = layer.forward(g.constant(tensor![[1.0, 2.0]])); // this line
        let error = y.value().unwrap_err();
        assert_eq!(error.op(), Some("linear"));
        assert_eq!(error.location().map(|at| (at.file(), at.line())), Some((file!(), line!() - 3)));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let why = |weight, bias| Linear::<f64>::from_tensors(weight, bias).unwrap_err().to_string();
        assert_eq!(why(tensor![1.0, 2.0], None), "weights of shape [2]: a linear layer takes [out, in]");
        assert_eq!(why(tensor![[1.0, 2.0]], Some(tensor![1.0, 2.0])), "biases of shape [2]: weights of shape [1, 2] need [1]");
    }
}
