//! Losses: how far a prediction is from what it should be. All are means over the batch.

use autograd::{
    Error, ErrorKind, Indices, Real, Var, function,
    op::{Handle, pointwise::Pointwise},
};

/// Mean squared error: the mean of (y − t)² over all elements.
///
/// # Errors
/// Prediction and target of different shapes: they are not stretched, since `[n]` against `[n, 1]` would silently compare everything with
/// everything.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let (y, t) = (g.variable(tensor![1.0, 2.0]), g.constant(tensor![0.0, 4.0]));
/// assert_eq!(nn::loss::mse(y, t).item()?, 2.5);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn mse<'g, T: Real>(prediction: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    mean_of("mse", squared_error, prediction, target)
}

/// Mean absolute error: the mean of |y − t| over all elements.
///
/// # Errors
/// Prediction and target of different shapes.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let (y, t) = (g.variable(tensor![1.0, 2.0]), g.constant(tensor![0.0, 4.0]));
/// assert_eq!(nn::loss::mae(y, t).item()?, 1.5);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn mae<'g, T: Real>(prediction: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    mean_of("mae", absolute_error, prediction, target)
}

/// Binary cross-entropy of probabilities: the mean of −t·ln p − (1 − t)·ln(1 − p).
///
/// Logarithms below −100 count as −100, as in PyTorch; unlike in PyTorch, their slope is 0 there. A probability outside 0..=1 gives NaN. Prefer
/// [`binary_cross_entropy_with_logits`], which needs no such bound.
///
/// # Errors
/// Prediction and target of different shapes.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let (p, t) = (g.variable(tensor![0.5, 1.0]), g.constant(tensor![1.0, 1.0]));
/// assert_eq!(nn::loss::binary_cross_entropy(p, t).item()?, 2.0_f64.ln() / 2.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn binary_cross_entropy<'g, T: Real>(probability: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    mean_of("binary_cross_entropy", bce, probability, target)
}

/// Binary cross-entropy of logits, of x where p = sigmoid(x): the mean of t·softplus(−x) + (1 − t)·softplus(x).
///
/// No term cancels another, so that it is exact for logits of any finite size.
///
/// # Errors
/// Prediction and target of different shapes.
///
/// ```
/// use autograd::{Graph, tensor};
/// let g = Graph::<f64>::new();
/// let (x, t) = (g.variable(tensor![-1e4, 1e4, 0.0]), g.constant(tensor![1.0, 1.0, 0.0]));
/// assert_eq!(nn::loss::binary_cross_entropy_with_logits(x, t).item()?, (1e4 + 2.0_f64.ln()) / 3.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn binary_cross_entropy_with_logits<'g, T: Real>(logits: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    mean_of("binary_cross_entropy_with_logits", bce_with_logits, logits, target)
}

/// Softmax cross-entropy of logits `[batch, classes]` and the classes that are right, `[batch]`: the mean of −ln softmax(x)ₗₐᵦₑₗ.
///
/// # Errors
/// Logits that are no matrix, another number of labels than rows, a label that is no class.
///
/// ```
/// use autograd::{Graph, Indices, tensor};
/// let g = Graph::<f64>::new();
/// let logits = g.variable(tensor![[0.0, 0.0], [3.0, 3.0]]);
/// let loss = nn::loss::cross_entropy(logits, &Indices::from(vec![0, 1]));
/// assert!((loss.item()? - 2.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn cross_entropy<'g, T: Real>(logits: Var<'g, T>, labels: &Indices) -> Var<'g, T> {
    if let Some(why) = logits.shape().ok().and_then(|shape| unfit_labels(&shape, labels)) {
        return refused("cross_entropy", why, &[logits]);
    }
    // −0 would be printed as such; 0 − 0 is 0.
    logits.graph().try_var(|| Ok(0.0 - logits.log_softmax(-1).gather(-1, &labels.reshape([labels.len(), 1])?).mean()))
}

/// Why these labels do not belong to logits of this shape, if they do not.
fn unfit_labels(logits: &[usize], labels: &Indices) -> Option<ErrorKind> {
    let unfit = |name, value: String, why| Some(ErrorKind::Parameter { name, value, why });
    let &[rows, classes] = logits else {
        return unfit("logits", format!("a tensor of shape {logits:?}"), "a matrix is needed, [batch, classes]");
    };
    if *labels.shape() != [rows] {
        return unfit("labels", format!("indices of shape {}", labels.shape()), "a vector is needed, one label for each row of the logits");
    }
    let wrong = labels.as_slice().iter().find(|&&label| label >= classes)?;
    unfit("label", wrong.to_string(), "a label must be below the number of classes, which is the length of a row of the logits")
}

/// The mean of a pointwise function of prediction and target, which must have the same shape.
#[track_caller]
fn mean_of<'g, T: Real>(loss: &'static str, f: fn() -> Handle, prediction: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    match (prediction.shape(), target.shape()) {
        (Ok(found), Ok(expected)) if found != expected => {
            refused(loss, ErrorKind::Mismatch { expected, found, except: None }, &[prediction, target])
        }
        _ if !std::ptr::eq(prediction.graph(), target.graph()) => {
            refused(loss, ErrorKind::OtherGraph { here: prediction.location(), there: target.location() }, &[prediction, target])
        }
        _ => prediction.graph().call(f(), &[prediction, target]).mean(),
    }
}

// The formulas, each in a function that is not generic, so that its kernels are compiled here and not where the loss is used.

#[inline(never)]
fn squared_error() -> Handle {
    Handle::new(Pointwise(function!(|y, t| (y - t).square())))
}

#[inline(never)]
fn absolute_error() -> Handle {
    Handle::new(Pointwise(function!(|y, t| (y - t).abs())))
}

#[inline(never)]
fn bce() -> Handle {
    Handle::new(Pointwise(function!(
        |p, t| 0.0 - (t * p.ln().clamp(-100.0, f64::INFINITY) + (1.0 - t) * (-p).ln_1p().clamp(-100.0, f64::INFINITY))
    )))
}

#[inline(never)]
fn bce_with_logits() -> Handle {
    Handle::new(Pointwise(function!(|x, t| t * (-x).softplus() + (1.0 - t) * x.softplus())))
}

/// A loss that cannot be computed, with its name, the shapes of its arguments and the line of the caller.
#[track_caller]
fn refused<'g, T: Real>(loss: &'static str, why: ErrorKind, x: &[Var<'g, T>]) -> Var<'g, T> {
    let shapes = || x.iter().filter_map(|x| x.shape().ok()).collect();
    x[0].graph().try_var(|| Err(Error::from(why).in_op(loss, shapes)))
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, Tensor, tensor};

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
        let losses: [(&str, Loss); 4] = [
            ("mse", mse),
            ("mae", mae),
            ("binary_cross_entropy", binary_cross_entropy),
            ("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits),
        ];
        for (name, loss) in losses {
            let g = Graph::<f64>::new();
            let y = loss(g.variable(tensor![[0.1], [0.2]]), g.constant(tensor![1.0, 0.0]));
            let error = y.backward().unwrap_err();
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
}
