//! The gradients of a whole model against finite differences; and everything else that [`autograd::check`] has.

use autograd::{Error, ErrorKind, Graph, Real, Tensor, Var};

// What is of the same name here stands before it.
pub use autograd::check::*;

use crate::{
    module::{Module, Parameters},
    parameter::Parameter,
};

/// Whether the gradients of a loss by all parameters of a model agree with finite differences.
///
/// `loss` computes the loss of the model on a graph; parameters that it [binds](crate::Parameter::bind), as the layers of this crate do, are
/// changed a little from one evaluation to the next. See [`autograd::check`] for the method, and for what the report says. A parameter on
/// which the loss does not depend is marked as such behind its name. A model of f32 is recorded, and its graph checked in f64.
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
/// What goes wrong in the loss; a loss that depends on no parameter of the model, since there is nothing to check then; in single precision,
/// an operation that was made for that alone.
#[track_caller]
pub fn gradients<T: Real, M, F>(model: &M, loss: F) -> Result<Report, Error>
where
    M: Parameters<T> + Sync + ?Sized,
    F: for<'g> Fn(&'g Graph<T>) -> Var<'g, T> + Sync,
{
    gradients_by(&with_bar(Checker::new()), model, loss)
}

/// The same options with a progress bar on the error output, if that is a terminal and the check takes more than two seconds. Without the
/// feature `progress` there is none.
#[must_use]
pub fn with_bar(options: Checker) -> Checker {
    #[cfg(feature = "progress")]
    {
        let (start, bar) = (std::time::Instant::now(), indicatif::ProgressBar::new(0));
        options.progress(move |done, total| {
            if done == total {
                bar.finish_and_clear();
            } else if start.elapsed().as_secs() >= 2 && !bar.is_finished() {
                // Of several threads the last one need not speak last.
                bar.update(|state| {
                    state.set_len(total as u64);
                    state.set_pos(done as u64);
                });
            }
        })
    }
    #[cfg(not(feature = "progress"))]
    options
}

/// As [`gradients`], with other than the default options.
///
/// ```
/// use autograd::tensor;
/// use nn::{Linear, Module, check::{self, Checker, Coverage}, loss::mse};
/// let model = Linear::from_tensors(tensor![[1.0f32, 2.0]], Some(tensor![0.5f32]))?;
/// let (x, t) = (tensor![[0.1f32, 0.2]], tensor![[1.0f32]]);
/// let options = Checker::new().coverage(Coverage::Directions(2));
/// let report = check::gradients_by(&options, &model, |g| mse(model.forward(g.constant(&x)), g.constant(&t)))?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// As [`gradients`].
#[track_caller]
pub fn gradients_by<T: Real, M, F>(options: &Checker, model: &M, loss: F) -> Result<Report, Error>
where
    M: Parameters<T> + Sync + ?Sized,
    F: for<'g> Fn(&'g Graph<T>) -> Var<'g, T> + Sync,
{
    let named = model.named_parameters();
    let unused = independent(&named, &loss)?;
    if unused.len() == named.len() {
        let why = format!("the loss depends on none of the {} parameters of the model: is it computed with another model?", named.len());
        return Err(Error::from(ErrorKind::Check { why }).in_op("check", Vec::new));
    }
    let values: Vec<&Tensor<T>> = named.iter().map(|(_, parameter)| parameter.value()).collect();
    let ids: Vec<_> = named.iter().map(|(_, parameter)| parameter.id()).collect();
    let report = options.slices_of(
        |variables: &[Var<'_, T>]| {
            let graph = variables[0].graph();
            graph.try_var(|| {
                for (id, variable) in ids.iter().zip(variables) {
                    graph.bind_as(id, *variable)?;
                }
                Ok(loss(graph))
            })
        },
        &values,
    )?;
    let mark = |name: String| if unused.contains(&name) { format!("{name} (no gradient reaches it)") } else { name };
    Ok(report.named(named.into_iter().map(|(name, _)| mark(name))))
}

/// Whether the gradients by all parameters of a model agree with finite differences, for a loss of its output and the targets on a batch: the
/// inputs, and the targets.
///
/// ```
/// use autograd::tensor;
/// use nn::{Activation, Init, Mlp, check, loss::mse};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::new(&[2, 3, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
/// check::module(&model, mse, (&tensor![[0.1, 0.2], [0.3, 0.4]], &tensor![[1.0], [0.0]]))?.assert_ok();
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// As [`gradients`].
#[track_caller]
pub fn module<T: Real, M, L>(model: &M, loss: L, batch: (&Tensor<T>, &Tensor<T>)) -> Result<Report, Error>
where
    M: Module<T> + Sync + ?Sized,
    L: for<'g> Fn(Var<'g, T>, Var<'g, T>) -> Var<'g, T> + Sync,
{
    let (x, t) = batch;
    gradients(model, |g| loss(model.forward(g.constant(x)), g.constant(t)))
}

/// The names of the parameters on which the loss does not depend.
fn independent<T: Real, F>(named: &[(String, &Parameter<T>)], loss: &F) -> Result<Vec<String>, Error>
where
    F: for<'g> Fn(&'g Graph<T>) -> Var<'g, T>,
{
    let graph = Graph::new();
    let gradients = match loss(&graph).sum().backward() {
        Ok(gradients) => Some(gradients),
        Err(error) if matches!(error.kind(), ErrorKind::NoGradient { .. }) => None,
        Err(error) => return Err(error),
    };
    let depends = |parameter: &Parameter<T>| gradients.as_ref().is_some_and(|gradients| parameter.grad(gradients).is_some());
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
    fn models_of_single_precision_are_checked_in_double_precision() {
        let model = Parameter::new(tensor![1.5f32, -0.5]);
        let report = gradients(&model, |g| model.bind(g).sin().sum() + 1e3).unwrap();
        assert!(report.passed() && report.deviation() < 1e-8, "{report}");
        assert!(report.to_string().contains("single precision: the gradients of autodiff in f32 follow those in f64 to"), "{report}");
        let bent = gradients(&model, |g| g.custom("own", |[x]| x.sin(), |[_], _, g| Ok([g.clone()])).apply([model.bind(g)]).sum());
        assert!(bent.unwrap_err().to_string().contains("own"));
    }

    #[test]
    fn what_goes_wrong_in_the_loss_is_reported_as_it_is() {
        let model = two();
        let error = gradients(&model, |g| model.used.bind(g).matmul(model.idle.bind(g)).reshape([7])).unwrap_err();
        assert_ne!(error.op(), Some("check"), "{error}");
    }
}
