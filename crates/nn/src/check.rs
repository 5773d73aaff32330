//! The gradients of a whole model against finite differences.

use autograd::{
    Error, ErrorKind, Graph, Tensor, Var,
    check::{self, Report},
};

use crate::{module::Parameters, parameter::Parameter};

/// Whether the gradients of a loss by all parameters of a model agree with finite differences.
///
/// `loss` computes the loss of the model on a graph; parameters that it [binds](crate::Parameter::bind), as the layers of this crate do, are
/// changed a little from one evaluation to the next. See [`autograd::check`] for the method, and for what the report says. A parameter on
/// which the loss does not depend is marked as such behind its name.
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
/// What goes wrong in the loss; a loss that depends on no parameter of the model, since there is nothing to check then.
#[track_caller]
pub fn gradients<M, F>(model: &M, loss: F) -> Result<Report, Error>
where
    M: Parameters<f64> + Sync + ?Sized,
    F: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64> + Sync,
{
    let named = model.named_parameters();
    let unused = independent(&named, &loss)?;
    if unused.len() == named.len() {
        let why = format!("the loss depends on none of the {} parameters of the model: is it computed with another model?", named.len());
        return Err(Error::from(ErrorKind::Check { why }).in_op("check", Vec::new));
    }
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
    let mark = |name: String| if unused.contains(&name) { format!("{name} (no gradient reaches it)") } else { name };
    Ok(report.named(named.into_iter().map(|(name, _)| mark(name))))
}

/// The names of the parameters on which the loss does not depend.
fn independent<F>(named: &[(String, &Parameter<f64>)], loss: &F) -> Result<Vec<String>, Error>
where
    F: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64>,
{
    let graph = Graph::new();
    let gradients = match loss(&graph).sum().backward() {
        Ok(gradients) => Some(gradients),
        Err(error) if matches!(error.kind(), ErrorKind::NoGradient { .. }) => None,
        Err(error) => return Err(error),
    };
    let depends = |parameter: &Parameter<f64>| gradients.as_ref().is_some_and(|gradients| parameter.grad(gradients).is_some());
    Ok(named.iter().filter(|(_, parameter)| !depends(parameter)).map(|(name, _)| name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    struct Two {
        used: Parameter<f64>,
        idle: Parameter<f64>,
    }
    crate::parameters!(Two: f64 { used, idle });

    type Loss<'a> = &'a (dyn for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64> + Sync);

    fn two() -> Two {
        Two { used: Parameter::new(tensor![1.5]), idle: Parameter::new(tensor![5.0]) }
    }

    #[test]
    fn parameters_on_which_the_loss_does_not_depend_are_named() {
        let model = two();
        let report = gradients(&model, |g| model.used.bind(g).square()).unwrap();
        assert!(report.passed(), "{report}");
        let text = report.to_string();
        assert!(text.contains("used [1]") && text.contains("idle (no gradient reaches it) [1]"), "{text}");
    }

    #[test]
    fn a_check_of_nothing_does_not_pass() {
        let (model, other) = (two(), two());
        let losses: [Loss<'_>; 3] = [&|g| other.used.bind(g).sum(), &|g| g.constant(2.0), &|g| model.used.bind(g).detach().sum()];
        for loss in losses {
            let message = gradients(&model, loss).unwrap_err().to_string();
            assert!(message.contains("the loss depends on none of the 2 parameters"), "{message}");
        }
        assert!(gradients(&Vec::<Parameter<f64>>::new(), |g| g.variable(2.0)).is_err());
    }

    #[test]
    fn what_goes_wrong_in_the_loss_is_reported_as_it_is() {
        let model = two();
        let error = gradients(&model, |g| model.used.bind(g).matmul(model.idle.bind(g)).reshape([7])).unwrap_err();
        assert_ne!(error.op(), Some("check"), "{error}");
    }
}
