//! Losses: how far a prediction is from what it should be.
//!
//! The common case is one short call, a function of prediction and target: `mse(y, t)` is the mean over the batch, with the defaults of
//! PyTorch. Everything else has one form: behind each function stands a struct with the same name in capitals, whose default is that function,
//! whose methods are the options, and whose method `of` computes the loss.
//!
//! ```
//! use autograd::{Graph, Indices, tensor};
//! use nn::loss::{CrossEntropy, Huber, Reduction, cross_entropy, huber};
//! let g = Graph::<f64>::new();
//! let (y, t) = (g.variable(tensor![0.5, 3.0]), g.constant(tensor![0.0, 0.0]));
//! assert_eq!(huber(y, t).item()?, (0.125 + 2.5) / 2.0);
//! assert_eq!(Huber::default().delta(2.0).reduction(Reduction::Sum).of(y, t).item()?, 0.125 + 4.0);
//!
//! let (logits, labels) = (g.variable(tensor![[2.0, 0.0], [1.0, 3.0]]), Indices::from(vec![0, 1]));
//! let soft = CrossEntropy::default().label_smoothing(0.1).weights(tensor![1.0, 4.0]).of(logits, &labels);
//! assert!(soft.item()? > cross_entropy(logits, &labels).item()?);
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! With prediction y, target t, logits x, and weights w, each loss is the mean of
//!
//! | function | struct | formula | in `torch.nn.functional` | options, beside `reduction` |
//! |---|---|---|---|---|
//! | [`mse`] | [`Mse`] | (y − t)² | `mse_loss` | |
//! | [`l1`], [`mae`] | [`L1`] | \|y − t\| | `l1_loss` | |
//! | [`huber`] | [`Huber`] | ½(y − t)² up to \|y − t\| = δ, then δ(\|y − t\| − ½δ) | `huber_loss` | `delta` = 1 |
//! | [`smooth_l1`] | [`SmoothL1`] | ½(y − t)²/β up to \|y − t\| = β, then \|y − t\| − ½β | `smooth_l1_loss` | `beta` = 1 |
//! | [`hinge`] | [`Hinge`] | max(0, 1 − t·y), t = ±1 | none | |
//! | [`binary_cross_entropy`] | [`BinaryCrossEntropy`] | −t·ln y − (1 − t)·ln(1 − y) | the same name | |
//! | [`binary_cross_entropy_with_logits`] | [`BinaryCrossEntropyWithLogits`] | w·t·softplus(−x) + (1 − t)·softplus(x) | the same name | `pos_weight` = 1 |
//! | [`cross_entropy`] | [`CrossEntropy`] | −ln softmax(x)ₜ, or −Σ t·ln softmax(x) | `cross_entropy` | `weights`, `ignore_index`, `label_smoothing` = 0 |
//! | [`nll`] | [`Nll`] | −yₜ, y = ln p | `nll_loss` | `weights`, `ignore_index` |
//! | [`kl_div`] | [`KlDiv`] | t·(ln t − y), y = ln p | `kl_div` | `log_target` = false |
//! | [`poisson_nll`] | [`PoissonNll`] | eʸ − t·y, or y − t·ln(y + ε) | `poisson_nll_loss` | `log_input` = true, `full` = false, `eps` = 1e-8 |
//! | [`cosine_embedding`] | [`CosineEmbedding`] | 1 − cos(a, b) for t = 1, max(0, cos(a, b) − margin) for t = −1 | `cosine_embedding_loss` | `margin` = 0 |
//!
//! [`Reduction`] says what is made of the single terms: their mean unless it is told otherwise. Shapes are never stretched, and nothing
//! panics: a loss that cannot be computed is an error that stands on the graph, with the name of the loss and the line of the caller. All
//! losses are differentiable to any order.

mod classes;
mod embedding;
mod pointwise;
mod catalogue;

use autograd::{Error, ErrorKind, Real, Shape, Tensor, Var, op::Apply};

pub use catalogue::catalogue;
pub use classes::{CrossEntropy, Nll, cross_entropy, nll};
pub use embedding::{CosineEmbedding, cosine_embedding};
pub use pointwise::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Hinge, Huber, KlDiv, L1, Mse, PoissonNll, SmoothL1, binary_cross_entropy,
    binary_cross_entropy_with_logits, hinge, huber, kl_div, l1, mae, mse, poisson_nll, smooth_l1,
};

/// What is made of the terms of a loss.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::loss::{Mse, Reduction};
/// let g = Graph::<f64>::new();
/// let (y, t) = (g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]), g.constant(tensor![[1.0, 0.0], [0.0, 4.0]]));
/// let loss = |reduction| Mse::default().reduction(reduction).of(y, t);
/// assert_eq!(loss(Reduction::Mean).item()?, 3.25);
/// assert_eq!(loss(Reduction::Sum).item()?, 13.0);
/// assert_eq!(loss(Reduction::BatchMean).item()?, 6.5);
/// assert_eq!(loss(Reduction::None).value()?, tensor![[0.0, 4.0], [9.0, 0.0]]);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Their mean; there must be at least one. Where labels have weights, the terms are divided by the sum of these.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum, divided by the length of the first axis, the batch: what PyTorch calls `batchmean`, and the divergence in the
    /// mathematical sense for [`KlDiv`]. The batch must have an axis, and at least one row.
    BatchMean,
    /// Nothing: each term stands alone.
    None,
}

impl Reduction {
    /// The reduction of the terms of a loss.
    #[track_caller]
    fn of<'g, T: Real>(self, loss: &'static str, terms: Var<'g, T>) -> Var<'g, T> {
        match self {
            Reduction::Mean => Var::composed(loss, &[&terms], || terms.mean()),
            Reduction::Sum => terms.sum(),
            Reduction::None => terms,
            Reduction::BatchMean => match terms.shape().map(|shape| batch(&shape)) {
                Ok(Ok(rows)) => terms.sum() / rows,
                Ok(Err(why)) => refused(loss, why, &[terms]),
                Err(_) => terms,
            },
        }
    }
}

/// The number of rows of a batch, the length of the first axis.
fn batch(shape: &Shape) -> Result<f64, Error> {
    match shape.first() {
        None => Err(ErrorKind::Rank { expected: "at least 1 axis", found: 0 }.into()),
        Some(0) => Err(ErrorKind::Empty { what: "mean over the batch", shape: *shape }.into()),
        Some(&rows) => Ok(rows as f64),
    }
}

/// Why a parameter has no such value.
fn unfit(name: &'static str, value: impl Into<String>, why: &'static str) -> ErrorKind {
    ErrorKind::Parameter { name, value: value.into(), why }
}

/// Why two variables cannot be compared element by element, if they cannot: another shape, another graph. Of a variable that holds an error
/// nothing is said, since that error is the one to be reported.
fn unlike<T: Real>(prediction: Var<'_, T>, target: Var<'_, T>) -> Option<ErrorKind> {
    match (prediction.shape(), target.shape()) {
        (Ok(found), Ok(expected)) if found != expected => Some(ErrorKind::Mismatch { expected, found, except: None }),
        _ => strangers(prediction, target),
    }
}

/// Why two variables cannot stand in one formula, if they cannot.
fn strangers<T: Real>(here: Var<'_, T>, there: Var<'_, T>) -> Option<ErrorKind> {
    let apart = !std::ptr::eq(here.graph(), there.graph());
    apart.then(|| ErrorKind::OtherGraph { here: here.location(), there: there.location() })
}

/// Why these are no signs, each 1 or −1, if they are none.
fn unsigned<T: Real>(targets: Var<'_, T>) -> Option<ErrorKind> {
    let targets = targets.value().ok()?;
    let wrong = targets.as_slice().iter().find(|t| t.to_f64().abs() != 1.0)?;
    Some(unfit("target", wrong.to_string(), "each target must be 1 or -1"))
}

/// Why these are no weights, if they are none.
fn unweighted(name: &'static str, weights: &Tensor<f64>) -> Option<ErrorKind> {
    let wrong = weights.as_slice().iter().find(|w| !(w.is_finite() && **w >= 0.0))?;
    Some(unfit(name, wrong.to_string(), "a weight must be finite and not negative"))
}

/// A loss that cannot be computed, with its name, the shapes of its arguments and the line of the caller; or what went wrong before.
#[track_caller]
fn refused<'g, T: Real>(loss: &'static str, why: impl Into<Error>, x: &[Var<'g, T>]) -> Var<'g, T> {
    x[0].graph().try_var(|| {
        let shapes = x.iter().map(|x| x.shape()).collect::<Result<_, _>>()?;
        Err(why.into().in_op(loss, || shapes))
    })
}

/// What the tests of all losses share.
#[cfg(test)]
mod testing {
    use autograd::{Graph, Tensor, Var, check};

    /// The terms of a loss and the gradients of their sum must be these, to 10⁻¹². An input with no gradient given is a constant.
    pub(super) fn assert_loss<F, const N: usize>(f: F, x: [&Tensor<f64>; N], terms: &[f64], gradients: [&[f64]; N])
    where
        F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64>,
    {
        let g = Graph::new();
        let leaf = |k: usize| if gradients[k].is_empty() { g.constant(x[k]) } else { g.variable(x[k]) };
        let leaves: [_; N] = std::array::from_fn(leaf);
        let y = f(leaves);
        assert_near(y.value().unwrap().as_slice(), terms);
        let found = y.sum().backward().unwrap();
        for (leaf, expected) in leaves.iter().zip(gradients).filter(|(_, expected)| !expected.is_empty()) {
            assert_near(found.wrt(*leaf).unwrap().as_slice(), expected);
        }
    }

    /// The numbers must be these, to 10⁻¹².
    pub(super) fn assert_near(found: &[f64], expected: &[f64]) {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{found:?} is not {expected:?}");
    }

    /// The gradients of a scalar loss, and the gradients of these, must agree with finite differences.
    pub(super) fn assert_differentiable_twice<F, const N: usize>(f: F, x: [&Tensor<f64>; N])
    where
        F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
    {
        let once = check::gradients(&f, x).unwrap();
        assert!(once.passed(), "{once}");
        let twice = check::gradients(|x| squared_slopes(&f, x), x).unwrap();
        assert!(twice.passed(), "{twice}");
    }

    fn squared_slopes<'g, F, const N: usize>(f: F, x: [Var<'g, f64>; N]) -> Var<'g, f64>
    where
        F: Fn([Var<'g, f64>; N]) -> Var<'g, f64>,
    {
        let graph = x[0].graph();
        graph.grad(f(x), x).into_iter().fold(graph.constant(0.0), |sum, slope| sum + slope.square().sum())
    }
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, Indices, Tensor, tensor};

    use super::*;

    type Loss = for<'g> fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>;

    /// The loss and its gradient by the prediction.
    fn run(loss: Loss, y: &Tensor<f64>, t: &Tensor<f64>) -> (f64, Vec<f64>) {
        let g = Graph::new();
        let y = g.variable(y);
        let l = loss(y, g.constant(t));
        (l.item().unwrap(), l.backward().unwrap().wrt(y).unwrap().to_vec())
    }

    fn assert_close((value, gradient): (f64, Vec<f64>), expected: f64, slopes: &[f64]) {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-14 * b.abs().max(1.0);
        assert!(near(value, expected), "{value} is not {expected}");
        assert!(gradient.iter().zip(slopes).all(|(a, b)| near(*a, *b)), "{gradient:?} is not {slopes:?}");
    }

    #[test]
    fn mean_squared_and_absolute_error() {
        let (y, t) = (tensor![[1.0, 2.0], [3.0, 4.0]], tensor![[0.0, 2.0], [5.0, 3.5]]);
        assert_close(run(mse, &y, &t), (1.0 + 0.0 + 4.0 + 0.25) / 4.0, &[0.5, 0.0, -1.0, 0.25]);
        assert_close(run(mae, &y, &t), (1.0 + 0.0 + 2.0 + 0.5) / 4.0, &[0.25, 0.0, -0.25, 0.25]);
    }

    #[test]
    fn binary_cross_entropy_of_probabilities() {
        let (p, t) = (tensor![0.8, 0.3], tensor![1.0, 0.0]);
        assert_close(run(binary_cross_entropy, &p, &t), -(0.8f64.ln() + 0.7f64.ln()) / 2.0, &[-0.5 / 0.8, 0.5 / 0.7]);
    }

    #[test]
    fn certainty_that_is_wrong_costs_a_hundred() {
        let (value, gradient) = run(binary_cross_entropy, &tensor![0.0, 1.0], &tensor![1.0, 0.0]);
        assert_eq!(value, 100.0);
        assert_eq!(gradient, [0.0, 0.0]);
        let (value, gradient) = run(binary_cross_entropy, &tensor![0.0, 1.0], &tensor![0.0, 1.0]);
        assert_eq!(value, 0.0);
        assert!(gradient.iter().all(|g| g.is_finite()));
        assert!(run(binary_cross_entropy, &tensor![1.5, 0.5], &tensor![1.0, 0.0]).0.is_nan());
    }

    #[test]
    fn binary_cross_entropy_of_logits_is_that_of_their_sigmoids() {
        let (x, t) = (tensor![0.7, -1.3, 2.0], tensor![1.0, 0.0, 0.25]);
        let p: Vec<f64> = x.as_slice().iter().map(|x: &f64| 1.0 / (1.0 + (-x).exp())).collect();
        let expected = p.iter().zip(t.as_slice()).map(|(p, t)| -t * p.ln() - (1.0 - t) * (1.0 - p).ln()).sum::<f64>() / 3.0;
        let slopes: Vec<f64> = p.iter().zip(t.as_slice()).map(|(p, t)| (p - t) / 3.0).collect();
        assert_close(run(binary_cross_entropy_with_logits, &x, &t), expected, &slopes);
    }

    #[test]
    fn logits_may_be_of_any_size() {
        let (x, t) = (tensor![1e4, -1e4, 1e4, -1e4], tensor![1.0, 0.0, 0.0, 1.0]);
        assert_close(run(binary_cross_entropy_with_logits, &x, &t), 5000.0, &[0.0, 0.0, 0.25, -0.25]);
        // Where ln p rounds to 0, the loss is e⁻⁵⁰ all the same.
        let (value, _) = run(binary_cross_entropy_with_logits, &tensor![50.0, -50.0], &tensor![1.0, 0.0]);
        assert!((value / (-50.0f64).exp() - 1.0).abs() < 1e-12);

        let g = Graph::<f64>::new();
        let logits = g.variable(tensor![[1e4, -1e4], [1e4, -1e4]]);
        let loss = cross_entropy(logits, &Indices::from(vec![0, 1]));
        assert_eq!(loss.item().unwrap(), 1e4);
        assert_eq!(loss.backward().unwrap().wrt(logits).unwrap(), &tensor![[0.0, 0.0], [0.5, -0.5]]);
    }

    #[test]
    fn cross_entropy_by_hand() {
        let g = Graph::<f64>::new();
        let logits = g.variable(tensor![[1.0, 2.0, 3.0], [0.5, 0.0, -0.5]]);
        let loss = cross_entropy(logits, &Indices::from(vec![2, 0]));
        let softmax = |x: [f64; 3]| x.map(|v| v.exp() / x.iter().map(|v| v.exp()).sum::<f64>());
        let (p, q) = (softmax([1.0, 2.0, 3.0]), softmax([0.5, 0.0, -0.5]));
        let value = loss.item().unwrap();
        let gradient = loss.backward().unwrap().wrt(logits).unwrap().to_vec();
        let slopes = [p[0], p[1], p[2] - 1.0, q[0] - 1.0, q[1], q[2]].map(|s| s / 2.0);
        assert_close((value, gradient), -(p[2].ln() + q[0].ln()) / 2.0, &slopes);
    }

    #[test]
    fn shapes_are_not_stretched() {
        let g = Graph::<f64>::new();
        let (y, t) = (g.variable(tensor![[0.1], [0.2]]), g.constant(tensor![1.0, 0.0]));
        let losses = [
            ("mse", mse(y, t)),
            ("l1", l1(y, t)),
            ("mae", mae(y, t)),
            ("huber", huber(y, t)),
            ("smooth_l1", smooth_l1(y, t)),
            ("hinge", hinge(y, t)),
            ("binary_cross_entropy", binary_cross_entropy(y, t)),
            ("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits(y, t)),
            ("kl_div", kl_div(y, t)),
            ("poisson_nll", poisson_nll(y, t)),
        ];
        for (name, loss) in losses {
            let error = loss.backward().unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with(&format!("{name}([2, 1], [2]): shape [2, 1] does not match [2]")), "{message}");
            assert_eq!(error.location().map(std::panic::Location::file), Some(file!()));
        }
    }

    #[test]
    fn labels_that_do_not_belong_to_the_logits() {
        let g = Graph::<f64>::new();
        let logits = g.variable(tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let why = |logits, labels: Vec<usize>| cross_entropy(logits, &Indices::from(labels)).value().unwrap_err().to_string();
        let message = why(logits, vec![0, 3]);
        assert!(message.starts_with("cross_entropy([2, 3]): label = 3: a label must be below"), "{message}");
        let message = why(logits, vec![0]);
        assert!(message.contains("labels = indices of shape [1]: a vector is needed, one label for each row"), "{message}");
        let message = why(logits.sum(), vec![0]);
        assert!(message.contains("a matrix is needed, [batch, classes]"), "{message}");
    }

    #[test]
    fn a_perfect_loss_is_not_negative() {
        let g = Graph::<f64>::new();
        let one = g.variable(tensor![1.0]);
        let logits = g.variable(tensor![[1e3, -1e3]]);
        for loss in [cross_entropy(logits, &Indices::from(vec![0])), binary_cross_entropy(one, g.constant(tensor![1.0])), mse(one, one)] {
            assert_eq!(loss.item().unwrap().to_bits(), 0.0f64.to_bits());
        }
        let zero = binary_cross_entropy(g.variable(tensor![0.0]), g.constant(tensor![0.0]));
        assert_eq!(zero.item().unwrap().to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn a_target_of_another_graph() {
        let (g, other) = (Graph::<f64>::new(), Graph::<f64>::new());
        let error = mse(g.variable(tensor![1.0]), other.constant(tensor![1.0])).value().unwrap_err();
        assert_eq!(error.op(), Some("mse"));
        assert!(matches!(error.kind(), ErrorKind::OtherGraph { .. }), "{error}");
        assert_eq!(error.location().map(std::panic::Location::line), Some(line!() - 3));
    }

    #[test]
    fn an_earlier_mistake_is_the_one_reported() {
        let g = Graph::<f64>::new();
        let bad = g.variable(tensor![1.0, 2.0]) + g.variable(tensor![1.0, 2.0, 3.0]);
        assert_eq!(mse(bad, g.constant(tensor![1.0])).value().unwrap_err().op(), Some("add"));
        assert_eq!(cross_entropy(bad, &Indices::from(vec![0])).value().unwrap_err().op(), Some("add"));
    }

    #[test]
    fn a_mean_of_nothing_is_an_error_and_a_sum_of_nothing_is_0() {
        let g = Graph::<f64>::new();
        let x = g.variable(Tensor::zeros([0, 3]).unwrap());
        let labels = Indices::from(vec![]);
        let losses = [
            mse(x, x),
            Mse::default().reduction(Reduction::BatchMean).of(x, x),
            cross_entropy(x, &labels),
            nll(x, &labels),
            CrossEntropy::default().of_probabilities(x, x),
            CrossEntropy::default().reduction(Reduction::BatchMean).of(x, &labels),
            cosine_embedding(x, x, g.constant(Tensor::zeros([0]).unwrap())),
        ];
        for loss in losses {
            let message = loss.value().unwrap_err().to_string();
            assert!(message.contains("there is nothing to take the mean"), "{message}");
        }
        let sum = Reduction::Sum;
        let losses = [
            Mse::default().reduction(sum).of(x, x),
            CrossEntropy::default().reduction(sum).of(x, &labels),
            CrossEntropy::default().reduction(sum).of_probabilities(x, x),
        ];
        assert!(losses.iter().all(|loss| loss.item().unwrap() == 0.0));
        assert_eq!(*CrossEntropy::default().reduction(Reduction::None).of(x, &labels).shape().unwrap(), [0]);
    }

    #[test]
    fn a_mean_over_the_batch_needs_a_batch() {
        let g = Graph::<f64>::new();
        let message = Mse::default().reduction(Reduction::BatchMean).of(g.variable(1.0), g.constant(2.0)).value().unwrap_err().to_string();
        assert!(message.starts_with("mse([]): a tensor with at least 1 axis is needed"), "{message}");
    }

    #[test]
    fn single_precision() {
        let g = Graph::<f32>::new();
        let (x, t) = (g.variable(tensor![[1.0f32, -1.0], [0.5, 2.0]]), g.constant(tensor![[1.0f32, 0.0], [0.0, 1.0]]));
        let weighted = BinaryCrossEntropyWithLogits::default().pos_weight(tensor![2.0, 3.0]).of(x, t);
        let labelled = CrossEntropy::default().weights(tensor![2.0, 3.0]).label_smoothing(0.1).of(x, &Indices::from(vec![0, 1]));
        for loss in [weighted, labelled, Huber::default().delta(0.3).of(x, t)] {
            assert!(loss.item().unwrap() > 0.0 && loss.backward().unwrap().wrt(x).unwrap().as_slice().iter().all(|d| d.is_finite()));
        }
    }
}
