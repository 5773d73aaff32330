//! Losses that compare prediction and target element by element: one row each.

use autograd::{
    ErrorKind, Real, Tensor, Var,
    elementary::{Elementary, X},
    function,
    op::{Handle, pointwise::Pointwise},
};

use super::{Reduction, refused, unfit, unlike, unsigned, unweighted};

/// A formula as an operation. It stands in functions that are not generic, so that its kernels are compiled here and not where the loss is
/// used.
macro_rules! formula {
    ($($formula:tt)*) => { Handle::new(Pointwise(function!($($formula)*))) };
}

/// Makes the struct, its options and its functions of each loss.
///
/// A row is `Struct: function, …(prediction, target) { option: type = default, valid if condition, "what it must be"; … } = formula;`, with
/// `target is a sign` before the formula where a target other than ±1 is a mistake.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $Loss:ident: $name:ident $(, $alias:ident)* ($y:ident, $t:ident) {
            $( $(#[$option_doc:meta])* $option:ident: $type:ty = $default:expr $(, valid if $valid:expr, $why:literal)?; )*
        } $(target is a $sign:ident)? = $formula:expr;
    )*) => { $(
        #[doc = concat!("The loss [`", stringify!($name), "`], with options; see there.")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $Loss {
            $( $option: $type, )*
            reduction: Reduction,
        }

        impl Default for $Loss {
            fn default() -> Self {
                $Loss { $( $option: $default, )* reduction: Reduction::default() }
            }
        }

        impl $Loss {
            $(
                $(#[$option_doc])*
                #[must_use]
                pub fn $option(mut self, $option: $type) -> Self {
                    self.$option = $option;
                    self
                }
            )*

            /// What is made of the terms; their mean, unless it is told otherwise.
            #[must_use]
            pub fn reduction(mut self, reduction: Reduction) -> Self {
                self.reduction = reduction;
                self
            }

            #[doc = concat!("The loss, as [`", stringify!($name), "`] with these options.")]
            ///
            /// # Errors
            /// Those of that function; an option with a value that makes no sense.
            #[must_use]
            #[track_caller]
            pub fn of<'g, T: Real>(&self, $y: Var<'g, T>, $t: Var<'g, T>) -> Var<'g, T> {
                self.named(stringify!($name), $y, $t)
            }

            #[track_caller]
            fn named<'g, T: Real>(&self, loss: &'static str, $y: Var<'g, T>, $t: Var<'g, T>) -> Var<'g, T> {
                let why = unlike($y, $t).or_else(|| self.invalid()) $( .or_else(|| losses!(@$sign)($t)) )?;
                match why {
                    Some(why) => refused(loss, why, &[$y, $t]),
                    None => self.reduction.of(loss, $y.graph().call(self.handle(), &[$y, $t])),
                }
            }

            /// The first option with a value that makes no sense.
            fn invalid(&self) -> Option<ErrorKind> {
                $( $(
                    let $option = self.$option;
                    if !$valid {
                        return Some(unfit(stringify!($option), $option.to_string(), $why));
                    }
                )? )*
                None
            }

            #[inline(never)]
            fn handle(&self) -> Handle {
                let $Loss { $( $option, )* reduction: _ } = *self;
                $formula
            }
        }

        losses!(@functions $Loss ($y, $t) $(#[$doc])* $name $($alias)*);
    )* };
    (@functions $Loss:ident ($y:ident, $t:ident) $(#[$doc:meta])* $name:ident $($alias:ident)*) => {
        $(#[$doc])*
        #[must_use]
        #[track_caller]
        pub fn $name<'g, T: Real>($y: Var<'g, T>, $t: Var<'g, T>) -> Var<'g, T> {
            $Loss::default().of($y, $t)
        }
        $(
            #[doc = concat!("Another name of [`", stringify!($name), "`].")]
            #[must_use]
            #[track_caller]
            pub fn $alias<'g, T: Real>($y: Var<'g, T>, $t: Var<'g, T>) -> Var<'g, T> {
                $Loss::default().named(stringify!($alias), $y, $t)
            }
        )*
    };
    (@sign) => { unsigned };
}

losses! {
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
    Mse: mse(prediction, target) {} = formula!(|y, t| (y - t).square());

    /// Mean absolute error: the mean of |y − t| over all elements. The slope where they are equal is 0.
    ///
    /// # Errors
    /// Prediction and target of different shapes.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (y, t) = (g.variable(tensor![1.0, 2.0]), g.constant(tensor![0.0, 4.0]));
    /// assert_eq!(nn::loss::l1(y, t).item()?, 1.5);
    /// assert_eq!(nn::loss::mae(y, t).item()?, 1.5);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    L1: l1, mae(prediction, target) {} = formula!(|y, t| (y - t).abs());

    /// Squared error where it is small, absolute error where it is large (Huber 1964): the mean of ½(y − t)² where |y − t| ≤ δ, and of
    /// δ(|y − t| − ½δ) elsewhere; δ = 1.
    ///
    /// # Errors
    /// Prediction and target of different shapes.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::loss::{Huber, huber};
    /// let g = Graph::<f64>::new();
    /// let (y, t) = (g.variable(tensor![0.5, 3.0]), g.constant(tensor![0.0, 0.0]));
    /// assert_eq!(huber(y, t).item()?, (0.125 + 2.5) / 2.0);
    /// assert_eq!(Huber::default().delta(2.0).of(y, t).item()?, (0.125 + 4.0) / 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    Huber: huber(prediction, target) {
        /// Where the parabola ends, above 0; 1 unless it is told otherwise.
        delta: f64 = 1.0, valid if delta > 0.0 && delta.is_finite(), "it must be finite and above 0";
    } = formula!(|y, t; delta| (y - t).abs().le(delta).select(0.5 * (y - t).square(), delta * ((y - t).abs() - 0.5 * delta)));

    /// Absolute error, rounded off where it is small: the mean of ½(y − t)²/β where |y − t| < β, and of |y − t| − ½β elsewhere; β = 1. It is
    /// [`huber`] with δ = β, divided by β.
    ///
    /// # Errors
    /// Prediction and target of different shapes.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::loss::{SmoothL1, smooth_l1};
    /// let g = Graph::<f64>::new();
    /// let (y, t) = (g.variable(tensor![0.5, 3.0]), g.constant(tensor![0.0, 0.0]));
    /// assert_eq!(smooth_l1(y, t).item()?, (0.125 + 2.5) / 2.0);
    /// assert_eq!(SmoothL1::default().beta(2.0).of(y, t).item()?, (0.0625 + 2.0) / 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    SmoothL1: smooth_l1(prediction, target) {
        /// Where the parabola ends; 1 unless it is told otherwise. With 0 there is none, and the loss is [`l1`].
        beta: f64 = 1.0, valid if beta >= 0.0 && beta.is_finite(), "it must be finite and not below 0";
    } = formula!(|y, t; beta| (y - t).abs().lt(beta).select((0.5 / beta) * (y - t).square(), (y - t).abs() - 0.5 * beta));

    /// Hinge loss of support vector machines: the mean of max(0, 1 − t·y), for scores y and targets t that are 1 or −1.
    ///
    /// # Errors
    /// Prediction and target of different shapes; a target that is neither 1 nor −1.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (y, t) = (g.variable(tensor![3.0, 0.5]), g.constant(tensor![1.0, -1.0]));
    /// assert_eq!(nn::loss::hinge(y, t).item()?, 0.75);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    Hinge: hinge(score, target) {} target is a sign = formula!(|y, t| (1.0 - t * y).relu());

    /// Binary cross-entropy of probabilities: the mean of −t·ln p − (1 − t)·ln(1 − p).
    ///
    /// Logarithms below −100 count as −100, as in PyTorch; unlike in PyTorch, their slope is 0 there. A probability outside 0..=1 gives NaN.
    /// Prefer [`binary_cross_entropy_with_logits`], which needs no such bound.
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
    BinaryCrossEntropy: binary_cross_entropy(probability, target) {} = formula!(
        |p, t| 0.0 - (t * p.ln().clamp(-100.0, f64::INFINITY) + (1.0 - t) * (-p).ln_1p().clamp(-100.0, f64::INFINITY))
    );

    /// Divergence of Kullback and Leibler: the mean of t·(ln t − ln p), for **logarithms** of predicted probabilities, such as
    /// [`log_softmax`](autograd::Var::log_softmax) gives, and target probabilities. A target of 0 costs nothing.
    ///
    /// This mean is over all elements, as in PyTorch. The divergence itself, Σ t·(ln t − ln p) for each row, is obtained with
    /// [`Reduction::BatchMean`].
    ///
    /// # Errors
    /// Prediction and target of different shapes.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::loss::{KlDiv, Reduction, kl_div};
    /// let g = Graph::<f64>::new();
    /// let (logits, t) = (g.variable(tensor![[0.0, 0.0]]), g.constant(tensor![[1.0, 0.0]]));
    /// let ln_p = logits.log_softmax(-1);
    /// assert_eq!(kl_div(ln_p, t).item()?, 2.0_f64.ln() / 2.0);
    /// assert_eq!(KlDiv::default().reduction(Reduction::BatchMean).of(ln_p, t).item()?, 2.0_f64.ln());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    KlDiv: kl_div(log_probability, target) {
        /// Whether the targets are logarithms of probabilities, too; not, unless it is told otherwise.
        log_target: bool = false;
    } = if log_target {
        formula!(|x, t| t.exp().masked_mul(t - x))
    } else {
        formula!(|x, t| t.masked_mul(t.ln() - x))
    };

    /// Negative log-likelihood of counts t under a Poisson distribution: the mean of eʸ − t·y, where eʸ is the predicted rate. The term ln t!
    /// does not depend on the prediction, and is left out.
    ///
    /// # Errors
    /// Prediction and target of different shapes.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::loss::{PoissonNll, poisson_nll};
    /// let g = Graph::<f64>::new();
    /// let (rate, t) = (g.variable(tensor![1.0, 2.0]), g.constant(tensor![0.0, 3.0]));
    /// let loss = poisson_nll(rate.ln(), t).item()?;
    /// assert!((loss - (3.0 - 3.0 * 2.0_f64.ln()) / 2.0).abs() < 1e-15);
    /// assert!((PoissonNll::default().log_input(false).of(rate, t).item()? - loss).abs() < 1e-7);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    PoissonNll: poisson_nll(prediction, target) {
        /// Whether the prediction is the logarithm of the rate, which it is unless it is told otherwise; else it is the rate y, and the loss
        /// y − t·ln(y + ε).
        log_input: bool = true;
        /// Whether Stirling's approximation of ln t!, t·ln t − t + ½ ln(2πt), is added where t > 1; not, unless it is told otherwise.
        full: bool = false;
        /// The ε that keeps the logarithm of a rate of 0 finite, 1e-8 unless it is told otherwise; for rates alone.
        eps: f64 = 1e-8, valid if eps >= 0.0 && eps.is_finite(), "it must be finite and not below 0";
    } = match (log_input, full) {
        (true, false) => formula!(|x, t| of_log_rate(x, t)),
        (true, true) => formula!(|x, t| of_log_rate(x, t) + stirling(t)),
        (false, false) => formula!(|x, t; eps| of_rate(x, t, eps)),
        (false, true) => formula!(|x, t; eps| of_rate(x, t, eps) + stirling(t)),
    };
}

/// eˣ − t·x
#[inline(always)]
fn of_log_rate<S: Elementary>(x: X<S>, t: X<S>) -> X<S> {
    x.exp() - t.masked_mul(x)
}

/// x − t·ln(x + ε)
#[inline(always)]
fn of_rate<S: Elementary>(x: X<S>, t: X<S>, eps: f64) -> X<S> {
    x - t.masked_mul((x + eps).ln())
}

/// Stirling's approximation of ln t! where t > 1, else 0.
#[inline(always)]
fn stirling<S: Elementary>(t: X<S>) -> X<S> {
    t.gt(1.0).select(t * t.ln() - t + 0.5 * (std::f64::consts::TAU * t).ln(), 0.0)
}

/// The loss [`binary_cross_entropy_with_logits`], with options; see there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BinaryCrossEntropyWithLogits {
    pos_weight: Option<Tensor<f64>>,
    reduction: Reduction,
}

impl BinaryCrossEntropyWithLogits {
    /// How much a positive target counts: a number, or a tensor that stretches to the shape of the targets, such as one number for each
    /// column; 1 unless it is told otherwise. Above 1 more positives are found, below 1 fewer mistaken for one.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// use nn::loss::BinaryCrossEntropyWithLogits;
    /// let g = Graph::<f64>::new();
    /// let (x, t) = (g.variable(tensor![0.0, 0.0]), g.constant(tensor![1.0, 0.0]));
    /// let loss = BinaryCrossEntropyWithLogits::default().pos_weight(3.0).of(x, t);
    /// assert_eq!(loss.item()?, 4.0 * 2.0_f64.ln() / 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn pos_weight(self, weight: impl Into<Tensor<f64>>) -> Self {
        BinaryCrossEntropyWithLogits { pos_weight: Some(weight.into()), ..self }
    }

    /// What is made of the terms; their mean, unless it is told otherwise.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        BinaryCrossEntropyWithLogits { reduction, ..self }
    }

    /// The loss, as [`binary_cross_entropy_with_logits`] with these options.
    ///
    /// # Errors
    /// Those of that function; a weight that is negative, infinite or NaN, or does not stretch to the shape of the targets.
    #[must_use]
    #[track_caller]
    pub fn of<'g, T: Real>(&self, logits: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
        let loss = "binary_cross_entropy_with_logits";
        if let Some(why) = unlike(logits, target).or_else(|| self.invalid(logits)) {
            return refused(loss, why, &[logits, target]);
        }
        let weight = self.pos_weight.as_ref().map_or_else(|| T::of(1.0).into(), Tensor::cast::<T>);
        let terms = logits.graph().call(bce_with_logits(), &[logits, target, logits.graph().constant(weight)]);
        self.reduction.of(loss, terms)
    }

    fn invalid<T: Real>(&self, logits: Var<'_, T>) -> Option<ErrorKind> {
        let (weight, to) = (self.pos_weight.as_ref()?, logits.shape().ok()?);
        let from = *weight.shape();
        if from.broadcast(&to).is_ok_and(|shape| shape == to) {
            unweighted("pos_weight", weight)
        } else {
            Some(unfit("pos_weight", format!("a tensor of shape {from}"), "it must be a number, or stretch to the shape of the targets"))
        }
    }
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
    BinaryCrossEntropyWithLogits::default().of(logits, target)
}

#[inline(never)]
fn bce_with_logits() -> Handle {
    formula!(|x, t, w| w * t * (-x).softplus() + (1.0 - t) * x.softplus())
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, tensor};

    use super::{
        super::testing::{assert_differentiable_twice, assert_loss},
        *,
    };

    fn prediction() -> Tensor<f64> {
        tensor![[0.5, -1.25, 2.0], [3.0, -0.1, 0.7]]
    }

    fn target() -> Tensor<f64> {
        tensor![[0.0, 0.75, 2.5], [1.0, -0.4, 0.7]]
    }

    fn shares() -> Tensor<f64> {
        tensor![[0.0, 1.0, 0.25], [1.0, 0.6, 0.0]]
    }

    // The numbers of this module are those of PyTorch 2 in double precision.

    #[test]
    fn distances_are_those_of_pytorch() {
        let (y, t) = (&prediction(), &target());
        let sixth = 1.0 / 6.0;
        assert_loss(|[y, t]| mse(y, t), [y, t], &[1.431_666_666_666_666_6], [&[sixth, -4.0 * sixth, -sixth, 4.0 * sixth, 0.1, 0.0], &[]]);
        assert_loss(|[y, t]| l1(y, t), [y, t], &[0.883_333_333_333_333_3], [&[sixth, -sixth, -sixth, sixth, sixth, 0.0], &[]]);
        let slopes = [0.5 * sixth, -sixth, -0.5 * sixth, sixth, 0.05, 0.0];
        assert_loss(|[y, t]| huber(y, t), [y, t], &[0.549_166_666_666_666_7], [&slopes, &[]]);
        assert_loss(|[y, t]| smooth_l1(y, t), [y, t], &[0.549_166_666_666_666_7], [&slopes, &[]]);
        let slopes = [0.083_333_333_333_333_33, -0.1, -0.083_333_333_333_333_33, 0.1, 0.05, 0.0];
        assert_loss(|[y, t]| Huber::default().delta(0.6).of(y, t), [y, t], &[0.389_166_666_666_666_66], [&slopes, &[]]);
        let slopes = [0.138_888_888_888_888_9, -sixth, -0.138_888_888_888_888_9, sixth, 0.083_333_333_333_333_34, 0.0];
        assert_loss(|[y, t]| SmoothL1::default().beta(0.6).of(y, t), [y, t], &[0.648_611_111_111_111_1], [&slopes, &[]]);
    }

    #[test]
    fn every_reduction() {
        let (y, t) = (&prediction(), &target());
        let terms = [0.25, 4.0, 0.25, 4.0, 0.09, 0.0];
        let slopes = [1.0, -4.0, -1.0, 4.0, 0.6, 0.0];
        assert_loss(|[y, t]| Mse::default().reduction(Reduction::None).of(y, t), [y, t], &terms, [&slopes, &[]]);
        assert_loss(|[y, t]| Mse::default().reduction(Reduction::Sum).of(y, t), [y, t], &[8.59], [&slopes, &[]]);
        assert_loss(|[y, t]| Mse::default().reduction(Reduction::BatchMean).of(y, t), [y, t], &[4.295], [&slopes.map(|s| s / 2.0), &[]]);
    }

    #[test]
    fn without_a_parabola_smooth_l1_is_l1() {
        let (y, t) = (&prediction(), &target());
        let sharp = |[y, t]: [Var<'_, f64>; 2]| SmoothL1::default().beta(0.0).of(y, t).item().unwrap();
        let g = Graph::new();
        let (y, t) = (g.variable(y), g.constant(t));
        assert_eq!(sharp([y, t]), l1(y, t).item().unwrap());
        let slope = |loss: Var<'_, f64>| loss.backward().unwrap().wrt(y).unwrap().clone();
        assert_eq!(slope(SmoothL1::default().beta(0.0).of(y, t)), slope(l1(y, t)));
        let [d] = g.grad(SmoothL1::default().beta(0.0).of(y, t), [y]);
        let [dd] = g.grad(d.sum(), [y]);
        assert_eq!(dd.value().unwrap().as_slice(), [0.0; 6]);
    }

    #[test]
    fn the_curvature_of_a_parabola_at_its_bottom() {
        let g = Graph::<f64>::new();
        let (y, t) = (g.variable(0.3), g.constant(0.3));
        for (loss, expected) in [(huber(y, t), 1.0), (SmoothL1::default().beta(0.5).of(y, t), 2.0), (mse(y, t), 2.0)] {
            let [d] = g.grad(loss, [y]);
            let [dd] = g.grad(d, [y]);
            assert_eq!((d.item().unwrap(), dd.item().unwrap()), (0.0, expected));
        }
    }

    #[test]
    fn binary_cross_entropies_are_those_of_pytorch() {
        let p = &tensor![[0.2, 0.9, 0.5], [0.05, 0.7, 0.3]];
        #[rustfmt::skip]
        let slopes = [
            0.208_333_333_333_333_3, -0.185_185_185_185_185_2, 0.166_666_666_666_666_66, -3.333_333_333_333_333_5,
            0.079_365_079_365_079_35, 0.238_095_238_095_238_1,
        ];
        assert_loss(|[p, t]| binary_cross_entropy(p, t), [p, &shares()], &[0.844_942_092_186_386_5], [&slopes, &[]]);
        #[rustfmt::skip]
        let slopes = [
            0.103_743_221_866_975_77, -0.129_549_976_862_448_54, 0.105_132_846_329_647_05, -0.007_904_312_196_261_106,
            -0.020_829_864_579_823_33, 0.111_364_628_694_694_36,
        ];
        assert_loss(
            |[x, t]| binary_cross_entropy_with_logits(x, t),
            [&prediction(), &shares()],
            &[0.993_184_022_850_203_8],
            [&slopes, &[]],
        );
    }

    #[test]
    fn the_weight_of_positives_is_that_of_pytorch() {
        #[rustfmt::skip]
        let slopes = [
            0.103_743_221_866_975_77, -0.064_774_988_431_224_27, 0.100_166_057_912_058_83, -0.023_712_936_588_783_3,
            0.005_419_094_794_123_669, 0.111_364_628_694_694_36,
        ];
        let weighted = || BinaryCrossEntropyWithLogits::default().pos_weight(tensor![3.0, 0.5, 2.0]);
        assert_loss(|[x, t]| weighted().of(x, t), [&prediction(), &shares()], &[0.852_287_884_052_448_6], [&slopes, &[]]);
        #[rustfmt::skip]
        let terms = [
            0.974_076_984_180_106_7, 3.754_822_703_363_432_3, 1.674_526_015_184_087, 0.121_468_378_934_355_15,
            1.374_353_654_139_784_5, 1.103_186_048_885_458,
        ];
        #[rustfmt::skip]
        let slopes = [
            0.622_459_331_201_854_6, -1.943_249_652_936_728, 0.586_095_982_219_588_1, -0.118_564_682_943_916_64,
            -0.597_460_456_209_986_1, 0.668_187_772_168_166_2,
        ];
        let scalar = || BinaryCrossEntropyWithLogits::default().pos_weight(2.5).reduction(Reduction::None);
        assert_loss(|[x, t]| scalar().of(x, t), [&prediction(), &shares()], &terms, [&slopes, &[]]);
    }

    #[test]
    fn weighted_logits_may_be_of_any_size() {
        let (x, t) = (&tensor![1e4, -1e4, 1e4, -1e4], &tensor![1.0, 0.0, 0.0, 1.0]);
        let loss =
            |[x, t]: [Var<'_, f64>; 2]| BinaryCrossEntropyWithLogits::default().pos_weight(3.0).reduction(Reduction::None).of(x, t).value();
        let g = Graph::new();
        assert_eq!(loss([g.variable(x), g.constant(t)]).unwrap(), tensor![0.0, 0.0, 1e4, 3e4]);
    }

    #[test]
    fn divergences_are_those_of_pytorch() {
        let x = &tensor![[-0.5, -1.7, -2.2], [-1.0, -0.9, -1.6]];
        let t = &tensor![[0.6, 0.4, 0.0], [0.1, 0.2, 0.7]];
        let slopes = [-0.6, -0.4, 0.0, -0.1, -0.2, -0.7];
        assert_loss(|[x, t]| kl_div(x, t), [x, t], &[0.150_861_630_074_567_68], [&slopes.map(|s| s / 6.0), &[]]);
        let batch_mean = KlDiv::default().reduction(Reduction::BatchMean);
        assert_loss(|[x, t]| batch_mean.of(x, t), [x, t], &[0.452_584_890_223_703], [&slopes.map(|s| s / 2.0), &[]]);
        #[rustfmt::skip]
        let terms = [
            -0.006_495_374_259_594_455, 0.313_483_707_250_338_03, 0.0, -0.130_258_509_299_404_55, -0.141_887_582_486_820_07,
            0.870_327_539_242_887_2,
        ];
        assert_loss(|[x, t]| KlDiv::default().reduction(Reduction::None).of(x, t), [x, t], &terms, [&slopes, &[]]);
        let ln_t = &tensor![[-0.6, -1.2, -3.0], [-0.4, -2.0, -1.9]];
        #[rustfmt::skip]
        let by_x = [
            -0.548_811_636_094_026_5, -0.301_194_211_912_202_14, -0.049_787_068_367_863_944, -0.670_320_046_035_639_3,
            -0.135_335_283_236_612_7, -0.149_568_619_222_635_06,
        ];
        #[rustfmt::skip]
        let by_t = [
            0.493_930_472_484_623_85, 0.451_791_317_868_303_2, 0.009_957_413_673_572_8, 1.072_512_073_657_022_8,
            -0.013_533_528_323_661_281, 0.104_698_033_455_844_58,
        ];
        let loss = KlDiv::default().log_target(true).reduction(Reduction::Sum);
        assert_loss(|[x, t]| loss.of(x, t), [x, ln_t], &[0.264_338_917_946_726_37], [&by_x, &by_t]);
    }

    #[test]
    fn what_cannot_happen_and_is_not_expected_costs_nothing() {
        let never = f64::NEG_INFINITY;
        let terms = |loss: KlDiv, t: f64| {
            let g = Graph::<f64>::new();
            let x = g.variable(tensor![never]);
            let y = loss.reduction(Reduction::None).of(x, g.constant(tensor![t]));
            (y.value().unwrap().as_slice()[0], y.sum().backward().unwrap().wrt(x).unwrap().as_slice()[0])
        };
        assert_eq!(terms(KlDiv::default(), 0.0), (0.0, 0.0));
        assert_eq!(terms(KlDiv::default().log_target(true), never), (0.0, 0.0));
        assert_eq!(terms(KlDiv::default(), 0.5), (f64::INFINITY, -0.5));
    }

    #[test]
    fn likelihoods_of_counts_are_those_of_pytorch() {
        let counts = &tensor![[0.0, 3.0, 1.0], [2.0, 7.0, 0.5]];
        #[rustfmt::skip]
        let slopes = [
            0.274_786_878_450_021_37, -0.452_249_200_523_301_64, 1.064_842_683_155_108_3, 3.014_256_153_864_611,
            -1.015_860_430_327_34, 0.252_292_117_911_746_1,
        ];
        assert_loss(|[y, t]| poisson_nll(y, t), [&prediction(), counts], &[4.738_068_202_530_845], [&slopes, &[]]);
        let full = PoissonNll::default().full(true);
        assert_loss(|[y, t]| full.of(y, t), [&prediction(), counts], &[6.559_593_649_075_365], [&slopes, &[]]);
        let rates = &tensor![[0.5, 1.25, 2.0], [3.0, 0.1, 0.7]];
        #[rustfmt::skip]
        let slopes = [
            0.166_666_666_666_666_66, -0.233_333_330_133_333_38, 0.083_333_333_749_999_99, 0.055_555_555_925_925_926,
            -11.499_998_833_333_45, 0.047_619_049_319_727_866,
        ];
        assert_loss(|[y, t]| PoissonNll::default().log_input(false).of(y, t), [rates, counts], &[3.381_104_994_713_234_6], [&slopes, &[]]);
        #[rustfmt::skip]
        let slopes = [
            1.0, -1.380_952_380_952_381, 0.502_487_562_189_054_7, 0.335_548_172_757_475_06, -62.636_363_636_363_63,
            0.295_774_647_887_323_9,
        ];
        let all = PoissonNll::default().log_input(false).full(true).eps(0.01).reduction(Reduction::Sum);
        assert_loss(|[y, t]| all.of(y, t), [rates, counts], &[30.505_972_183_585_833], [&slopes, &[]]);
    }

    #[test]
    fn scores_on_the_wrong_side_or_too_near() {
        let signs = &tensor![[1.0, -1.0, 1.0], [1.0, -1.0, -1.0]];
        let slopes = [-1.0, 0.0, 0.0, 0.0, 1.0, 1.0].map(|s| s / 6.0);
        assert_loss(|[y, t]| hinge(y, t), [&prediction(), signs], &[0.516_666_666_666_666_7], [&slopes, &[]]);
        let g = Graph::<f64>::new();
        let message = hinge(g.variable(tensor![1.0, 2.0]), g.constant(tensor![1.0, 0.0])).value().unwrap_err().to_string();
        assert!(message.starts_with("hinge([2], [2]): target = 0: each target must be 1 or -1"), "{message}");
    }

    #[test]
    fn all_are_differentiable_twice() {
        // No element stands on a kink.
        let (y, t, shares) = (&prediction(), &target().add_lit(0.01).unwrap(), &shares());
        assert_differentiable_twice(|[y, t]| mse(y, t), [y, t]);
        assert_differentiable_twice(|[y]| Huber::default().delta(0.6).of(y, y.graph().constant(t)), [y]);
        assert_differentiable_twice(|[y]| SmoothL1::default().beta(0.6).of(y, y.graph().constant(t)), [y]);
        let counts = &tensor![[0.2, 3.0, 1.5], [2.0, 7.0, 0.5]];
        assert_differentiable_twice(|[y, t]| PoissonNll::default().full(true).of(y, t), [y, counts]);
        let rates = &tensor![[0.5, 1.25, 2.0], [3.0, 0.1, 0.7]];
        assert_differentiable_twice(|[y, t]| PoissonNll::default().log_input(false).eps(0.01).of(y, t), [rates, counts]);
        let p = &tensor![[0.2, 0.9, 0.5], [0.05, 0.7, 0.3]];
        assert_differentiable_twice(|[p, t]| binary_cross_entropy(p, t), [p, shares]);
        let weighted = || BinaryCrossEntropyWithLogits::default().pos_weight(tensor![3.0, 0.5, 2.0]);
        assert_differentiable_twice(|[x, t]| weighted().of(x, t), [y, shares]);
        assert_differentiable_twice(|[x, t]| kl_div(x, t), [y, p]);
        assert_differentiable_twice(|[x, t]| KlDiv::default().log_target(true).of(x, t), [y, t]);
    }

    #[test]
    fn options_that_make_no_sense() {
        let g = Graph::<f64>::new();
        let (y, t) = (g.variable(prediction()), g.constant(target()));
        let weighted = |w: Tensor<f64>| BinaryCrossEntropyWithLogits::default().pos_weight(w).of(y, t);
        let losses = [
            (Huber::default().delta(0.0).of(y, t), "huber([2, 3], [2, 3]): delta = 0: it must be finite and above 0"),
            (Huber::default().delta(f64::NAN).of(y, t), "huber([2, 3], [2, 3]): delta = NaN: "),
            (SmoothL1::default().beta(-1.0).of(y, t), "smooth_l1([2, 3], [2, 3]): beta = -1: it must be finite and not below 0"),
            (PoissonNll::default().eps(-1.0).of(y, t), "poisson_nll([2, 3], [2, 3]): eps = -1: "),
            (
                weighted(tensor![1.0, 2.0]),
                "binary_cross_entropy_with_logits([2, 3], [2, 3]): pos_weight = a tensor of shape [2]: it must be",
            ),
            (weighted(tensor![[[1.0]]]), "binary_cross_entropy_with_logits([2, 3], [2, 3]): pos_weight = a tensor of shape [1, 1, 1]: "),
            (weighted(tensor![1.0, -2.0, 1.0]), "binary_cross_entropy_with_logits([2, 3], [2, 3]): pos_weight = -2: a weight must be"),
        ];
        for (loss, expected) in losses {
            let error = loss.value().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(error.location().map(std::panic::Location::file), Some(file!()));
        }
        let bad = y + g.variable(tensor![1.0, 2.0]);
        assert_eq!(Huber::default().delta(0.0).of(bad, t).value().unwrap_err().op(), Some("add"));
    }
}
