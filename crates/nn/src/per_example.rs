//! The gradients of a model for each example of a batch alone.

use autograd::{Error, Real, Tensor, Var, functional};

use crate::module::Parameters;

/// The gradients of a loss by all parameters of a model, for each example of a batch alone: by name, of the shape of the parameter with one
/// more axis in front, which counts the examples. Clipped one by one they are what private training needs (Abadi et al. 2016); their spread
/// tells how noisy a step is.
///
/// `loss` is given one example, a row of each tensor of the batch. See [`functional::per_example_grad`].
///
/// ```
/// use autograd::tensor;
/// use nn::{Linear, Module, per_example_grad};
/// let model = Linear::from_tensors(tensor![[1.0, -1.0]], None)?;
/// let (x, t) = (tensor![[1.0, 2.0], [3.0, 4.0]], tensor![[0.0], [1.0]]);
/// let gradients = per_example_grad(&model, |[x, t]| (model.forward(x) - t).square().sum(), [&x, &t])?;
/// assert_eq!(gradients, [("weight".to_string(), tensor![[[-2.0, -4.0]], [[-12.0, -16.0]]])]);
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// As [`functional::per_example_grad`].
#[track_caller]
pub fn per_example_grad<T, M, F, const K: usize>(model: &M, loss: F, batch: [&Tensor<T>; K]) -> Result<Vec<(String, Tensor<T>)>, Error>
where
    T: Real,
    M: Parameters<T>,
    F: for<'g> FnOnce([Var<'g, T>; K]) -> Var<'g, T>,
{
    let named = model.named_parameters();
    let values: Vec<_> = named.iter().map(|(_, parameter)| parameter.value()).collect();
    let (_, gradients) = functional::per_example_slices(
        |variables, examples| {
            let graph = examples[0].graph();
            graph.try_var(|| model.bound_as(variables, || loss(std::array::from_fn(|k| examples[k]))))
        },
        &values,
        &batch,
    )?;
    Ok(named.into_iter().map(|(name, _)| name).zip(gradients).collect())
}
