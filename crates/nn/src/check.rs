//! The gradients of a whole model against finite differences.

use autograd::{
    Error, Graph, Tensor, Var,
    check::{self, Report},
};

use crate::module::Parameters;

/// Whether the gradients of a loss by all parameters of a model agree with finite differences.
///
/// `loss` computes the loss of the model on a graph; parameters that it [binds](crate::Parameter::bind), as the layers of this crate do, are
/// changed a little from one evaluation to the next. See [`autograd::check`] for the method, and for what the report says.
///
/// ```
/// use autograd::tensor;
/// use nn::{Activation, Init, Mlp, Module, check, loss::mse};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::new(&[2, 3, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
/// let (x, t) = (tensor![[0.1, 0.2], [0.3, 0.4]], tensor![[1.0], [0.0]]);
/// let report = check::gradients(&model, |g| mse(model.forward(g.constant(&x)), g.constant(&t)))?;
/// assert!(report.passed(), "{report}");
/// assert!(report.to_string().contains("layers.0.weight [3, 2]: 6 of 6 elements ok"));
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// What goes wrong in the loss; a model without parameters.
pub fn gradients<M, F>(model: &M, loss: F) -> Result<Report, Error>
where
    M: Parameters<f64> + Sync + ?Sized,
    F: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64> + Sync,
{
    let named = model.named_parameters();
    let values: Vec<&Tensor<f64>> = named.iter().map(|(_, parameter)| parameter.value()).collect();
    let report = check::slices(
        |variables| {
            let graph = variables[0].graph();
            graph.try_var(|| {
                for ((_, parameter), variable) in named.iter().zip(variables) {
                    graph.bind_as(parameter.id(), *variable)?;
                }
                Ok(loss(graph))
            })
        },
        &values,
    )?;
    Ok(report.named(named.into_iter().map(|(name, _)| name)))
}
