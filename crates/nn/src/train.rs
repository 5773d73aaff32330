//! The training loop.

mod progress;

use std::panic::Location;

use autograd::{Graph, Real, Tensor, Var};
use progress::Progress;
use rand::Rng;

use crate::{
    data::{Dataset, Target},
    error::Error,
    module::Module,
    optim::{Sgd, Untrained},
};

/// How long to train, and in what portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// How often to go through all data.
    pub epochs: usize,
    /// How many rows make a step.
    pub batch_size: usize,
    /// Whether to show progress. It is shown only where the error output is a terminal, and with the feature `progress`.
    pub progress: bool,
}

/// 10 epochs in batches of 32, with progress.
impl Default for Fit {
    fn default() -> Self {
        Fit { epochs: 10, batch_size: 32, progress: true }
    }
}

/// What happened in one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// The mean loss of the batches, each before its step.
    pub loss: f64,
    /// The share of rows that were right, each before the step of its batch, where the targets are classes; with [`fit_with_metric`], the mean
    /// of what the metric said.
    pub accuracy: Option<f64>,
}

/// What happened in training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// The epochs, in order.
    pub epochs: Vec<Epoch>,
    /// The parameters on which the loss did not depend in some step, and which therefore were not trained in it.
    pub untrained: Vec<Untrained>,
}

impl History {
    /// The last epoch.
    #[must_use]
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }
}

/// Trains a model on a data set: in each epoch on all rows, in batches, in a new random order each epoch.
///
/// `loss` gets the output of the model and the targets of the batch. [`cross_entropy`](crate::loss::cross_entropy) fits as it is; for
/// targets that are tensors, write `|y, t| mse(y, y.graph().constant(t))`. Write such a closure in place, or make it a `fn`: one that is first
/// stored in a variable has a single lifetime for `y`, and the compiler says that it is "not general enough".
///
/// For models of medium size it pays to train inside the pool of threads: `autograd::in_pool(|| fit(…))`.
///
/// ```
/// use autograd::tensor;
/// use nn::{Dataset, Fit, Init, Linear, Sgd, fit, loss::mse};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let line = Dataset::new(tensor![[0.0], [1.0], [2.0], [3.0]], tensor![[1.0], [3.0], [5.0], [7.0]])?; // y = 2x + 1
/// let mut model = Linear::<f64>::new(1, 1, Init::Zeros, &mut rng)?;
/// let plan = Fit { epochs: 200, batch_size: 4, ..Fit::default() };
/// let history = fit(&mut model, &line, |y, t| mse(y, y.graph().constant(t)), &mut Sgd::new(0.1).momentum(0.5), &plan, &mut rng)?;
/// assert!(history.last().unwrap().loss < 1e-6);
/// assert!((model.weight.value().item()? - 2.0).abs() < 1e-2);
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Diverged`] when the loss is infinite or NaN, before that step changes the model; [`Error::Config`] for no
/// rows, or batches of 0 rows; [`Error::NonFiniteStep`] when a step would make a parameter infinite or NaN; what went wrong in the model or
/// the loss, with the line that called this function unless a line of your own is nearer.
#[track_caller]
pub fn fit<T, M, Y, L>(
    model: &mut M,
    data: &Dataset<T, Y>,
    loss: L,
    optimizer: &mut Sgd<T>,
    plan: &Fit,
    rng: &mut (impl Rng + ?Sized),
) -> Result<History, Error>
where
    T: Real,
    M: Module<T> + ?Sized,
    Y: Target<T>,
    L: for<'g> Fn(Var<'g, T>, &Y) -> Var<'g, T>,
{
    train(model, data, loss, |output, targets| targets.accuracy(output), optimizer, plan, rng)
}

/// As [`fit`], with a metric of the output and the targets of each batch, which is reported as accuracy.
///
/// For two classes and one output, [`binary_accuracy`](crate::metrics::binary_accuracy) is such a metric: its threshold is 0 where the output
/// is a logit, and ½ where it is a probability, which nothing but you can know.
///
/// ```
/// use autograd::tensor;
/// use nn::{Dataset, Fit, Init, Linear, Sgd, fit_with_metric, loss::binary_cross_entropy_with_logits, metrics::binary_accuracy};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let sides = Dataset::new(tensor![[-2.0], [-1.0], [1.0], [2.0]], tensor![[0.0], [0.0], [1.0], [1.0]])?;
/// let mut model = Linear::<f64>::new(1, 1, Init::Zeros, &mut rng)?;
/// let history = fit_with_metric(
///     &mut model,
///     &sides,
///     |y, t| binary_cross_entropy_with_logits(y, y.graph().constant(t)),
///     |y, t| binary_accuracy(y, t, 0.0),
///     &mut Sgd::new(0.5),
///     &Fit::default(),
///     &mut rng,
/// )?;
/// assert_eq!(history.last().unwrap().accuracy, Some(1.0));
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// As for [`fit`], and those of the metric.
#[track_caller]
pub fn fit_with_metric<T, M, Y, L>(
    model: &mut M,
    data: &Dataset<T, Y>,
    loss: L,
    metric: impl Fn(&Tensor<T>, &Y) -> Result<f64, Error>,
    optimizer: &mut Sgd<T>,
    plan: &Fit,
    rng: &mut (impl Rng + ?Sized),
) -> Result<History, Error>
where
    T: Real,
    M: Module<T> + ?Sized,
    Y: Target<T>,
    L: for<'g> Fn(Var<'g, T>, &Y) -> Var<'g, T>,
{
    train(model, data, loss, |output, targets| metric(output, targets).map(Some), optimizer, plan, rng)
}

#[track_caller]
fn train<T, M, Y, L>(
    model: &mut M,
    data: &Dataset<T, Y>,
    loss: L,
    metric: impl Fn(&Tensor<T>, &Y) -> Result<Option<f64>, Error>,
    optimizer: &mut Sgd<T>,
    plan: &Fit,
    rng: &mut (impl Rng + ?Sized),
) -> Result<History, Error>
where
    T: Real,
    M: Module<T> + ?Sized,
    Y: Target<T>,
    L: for<'g> Fn(Var<'g, T>, &Y) -> Var<'g, T>,
{
    if data.is_empty() {
        return Err(Error::config("data set", "there are no rows to train on"));
    }
    let mut history = History::default();
    let steps = data.len().div_ceil(plan.batch_size.max(1));
    let progress = Progress::new(plan.progress, plan.epochs, steps);
    for epoch in 1..=plan.epochs {
        let mut so_far = Running::default();
        for (step, batch) in data.batches(plan.batch_size, rng)?.enumerate() {
            let batch = batch?;
            let graph = Graph::new();
            let output = model.forward(graph.constant(batch.features()));
            let cost = with_line(loss(output, batch.targets()));
            let value = cost.item()?.to_f64();
            if !value.is_finite() {
                return Err(Error::Diverged { epoch, step: step + 1, loss: value });
            }
            so_far.add(batch.len(), value, metric(&output.value()?, batch.targets())?);
            let untrained = optimizer.step(model, &cost.backward()?).map_err(|error| match error {
                Error::NonFiniteStep { name, .. } => Error::NonFiniteStep { name, at: Some((epoch, step + 1)) },
                other => other,
            })?;
            for parameter in untrained {
                if !history.untrained.iter().any(|known| known.name == parameter.name) {
                    history.untrained.push(parameter);
                }
            }
            progress.step(epoch, &so_far.means());
        }
        history.epochs.push(so_far.means());
    }
    progress.finish();
    Ok(history)
}

/// The loss, and if it is an error whose line is one of the standard library, the same error with the line that called this function.
///
/// A loss that is passed as a function, such as `cross_entropy`, is called by the standard library, and takes that for its caller.
#[track_caller]
fn with_line<T: Real>(cost: Var<'_, T>) -> Var<'_, T> {
    fn call(f: impl Fn() -> &'static Location<'static>) -> &'static Location<'static> {
        f()
    }
    match cost.shape() {
        Err(error) if error.location().is_some_and(|at| at.file() == call(Location::caller).file()) => {
            let anew = autograd::Error::from(error.kind().clone());
            let anew = error.op().map_or(anew.clone(), |op| anew.in_op(op, || error.shapes().to_vec()));
            cost.graph().try_var(|| Err(anew))
        }
        _ => cost,
    }
}

/// Means over rows, while they come in.
#[derive(Default)]
struct Running {
    rows: f64,
    loss: f64,
    right: Option<f64>,
}

impl Running {
    fn add(&mut self, rows: usize, loss: f64, accuracy: Option<f64>) {
        #[allow(clippy::cast_precision_loss)] // rows of a batch
        let rows = rows as f64;
        self.rows += rows;
        self.loss += rows * loss;
        self.right = accuracy.map(|share| self.right.unwrap_or(0.0) + rows * share);
    }

    fn means(&self) -> Epoch {
        Epoch { loss: self.loss / self.rows, accuracy: self.right.map(|right| right / self.rows) }
    }
}

#[cfg(test)]
mod tests {
    use autograd::{Indices, tensor};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        Activation, Init, Linear, Mlp,
        loss::{cross_entropy, mse},
        metrics::binary_accuracy,
    };

    fn line() -> Dataset<f64, Tensor<f64>> {
        Dataset::new(tensor![[0.0], [1.0], [2.0], [3.0]], tensor![[1.0], [3.0], [5.0], [7.0]]).unwrap()
    }

    fn corners() -> Dataset<f64, Indices> {
        let features = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
        Dataset::new(features, Indices::from(vec![0, 0, 0, 1])).unwrap()
    }

    #[test]
    fn the_seed_decides_everything() {
        let run = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut model = Mlp::new(&[2, 4, 2], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng).unwrap();
            let plan = Fit { epochs: 20, batch_size: 3, progress: false };
            fit(&mut model, &corners(), cross_entropy, &mut Sgd::new(0.5).momentum(0.5), &plan, &mut rng).unwrap()
        };
        let history = run(1);
        assert_eq!(history, run(1));
        assert_ne!(history, run(2));
        assert_eq!(history.epochs.len(), 20);
        assert!(history.epochs[19].loss < history.epochs[0].loss);
        assert!(history.untrained.is_empty());
    }

    #[test]
    fn divergence_is_reported_with_epoch_and_step_before_it_ruins_the_model() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut model = Linear::<f64>::new(1, 1, Init::Zeros, &mut rng).unwrap();
        let plan = Fit { epochs: 1000, batch_size: 2, progress: false };
        let error = fit(&mut model, &line(), |y, t| mse(y, y.graph().constant(t)), &mut Sgd::new(10.0), &plan, &mut rng).unwrap_err();
        assert!(matches!(error, Error::Diverged { epoch: 2.., step: 1..=2, .. }), "{error}");
        assert!(error.to_string().contains("in epoch "), "{error}");
        assert!(model.weight.value().item().unwrap().is_finite());
    }

    #[test]
    fn accuracy_is_that_of_all_rows() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // Weights 0 and biases 0: all scores tie, and the first class is predicted: three of four are right.
        let mut model = Linear::new(2, 2, Init::Zeros, &mut rng).unwrap();
        let plan = Fit { epochs: 1, batch_size: 3, progress: false };
        let history = fit(&mut model, &corners(), cross_entropy, &mut Sgd::new(0.0), &plan, &mut rng).unwrap();
        assert_eq!(history.last().unwrap().accuracy, Some(0.75));
        assert!((history.last().unwrap().loss - 2.0f64.ln()).abs() < 1e-15);
    }

    struct WithIdle {
        used: Linear<f64>,
        idle: Linear<f64>,
    }
    crate::parameters!(WithIdle: f64 { used, idle });
    impl Module<f64> for WithIdle {
        fn forward<'g>(&self, x: Var<'g, f64>) -> Var<'g, f64> {
            self.used.forward(x)
        }
    }

    #[test]
    fn a_forgotten_layer_is_reported() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let [used, idle] = [(); 2].map(|()| Linear::new(1, 1, Init::Zeros, &mut rng).unwrap());
        let mut model = WithIdle { used, idle };
        let plan = Fit { epochs: 2, batch_size: 2, progress: false };
        let history = fit(&mut model, &line(), |y, t| mse(y, y.graph().constant(t)), &mut Sgd::new(0.1), &plan, &mut rng).unwrap();
        let named: Vec<_> = history.untrained.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["idle.weight: it was never bound to the graph", "idle.bias: it was never bound to the graph"]);
    }

    #[test]
    fn two_classes_and_one_output() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut model = Linear::<f64>::new(1, 1, Init::Zeros, &mut rng).unwrap();
        let data = Dataset::new(tensor![[0.0], [1.0], [2.0], [3.0]], tensor![[0.0], [0.0], [0.0], [1.0]]).unwrap();
        let plan = Fit { epochs: 1, batch_size: 3, progress: false };
        let history = fit_with_metric(
            &mut model,
            &data,
            |y, t| mse(y, y.graph().constant(t)),
            |y, t| binary_accuracy(y, t, 0.5),
            &mut Sgd::new(0.0),
            &plan,
            &mut rng,
        );
        assert_eq!(history.unwrap().last().unwrap().accuracy, Some(0.75));
    }

    #[test]
    fn a_step_that_would_ruin_the_model_is_reported_with_epoch_and_step() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut model = Linear::<f64>::new(1, 1, Init::Zeros, &mut rng).unwrap();
        let plan = Fit { epochs: 3, batch_size: 4, progress: false };
        let error = fit(&mut model, &line(), |y, t| mse(y, y.graph().constant(t)), &mut Sgd::new(1e308), &plan, &mut rng).unwrap_err();
        assert!(matches!(&error, Error::NonFiniteStep { name, at: Some((1, 1)) } if name == "weight"), "{error}");
        assert_eq!(model.weight.value(), &tensor![[0.0]]);
    }

    #[test]
    fn what_goes_wrong_in_the_model_or_the_loss_has_the_line_that_called_fit() {
        let place = |error: &Error| match error {
            Error::Autograd(error) => error.location().map(|at| (at.file(), at.line())),
            _ => None,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut wide, mut narrow) = (Linear::new(3, 2, Init::Zeros, &mut rng).unwrap(), Linear::new(2, 1, Init::Zeros, &mut rng).unwrap());
        let mut sgd = Sgd::new(0.1);
        let in_the_model = fit(&mut wide, &corners(), cross_entropy, &mut sgd, &Fit::default(), &mut rng).unwrap_err();
        assert_eq!(place(&in_the_model), Some((file!(), line!() - 1)));
        let in_the_loss = fit(&mut narrow, &corners(), cross_entropy, &mut sgd, &Fit::default(), &mut rng).unwrap_err();
        assert_eq!(place(&in_the_loss), Some((file!(), line!() - 1)));
        assert!(in_the_loss.to_string().starts_with("cross_entropy([4, 1]): label = 1: "), "{in_the_loss}");
    }

    #[test]
    fn a_model_that_does_not_fit_the_data_says_so() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut model = Linear::new(3, 2, Init::Zeros, &mut rng).unwrap();
        let error = fit(&mut model, &corners(), cross_entropy, &mut Sgd::new(0.1), &Fit::default(), &mut rng).unwrap_err();
        assert!(error.to_string().starts_with("linear([4, 2], [2, 3], [2])"), "{error}");
        let plan = Fit { batch_size: 0, ..Fit::default() };
        assert!(fit(&mut model, &corners(), cross_entropy, &mut Sgd::new(0.1), &plan, &mut rng).is_err());
    }
}
