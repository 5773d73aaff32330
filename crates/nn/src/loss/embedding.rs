//! A loss of pairs of vectors: their cosine.

use autograd::{
    ErrorKind, Real, Var, function,
    op::{Handle, pointwise::Pointwise},
};

use super::{Reduction, refused, strangers, unfit, unlike, unsigned};

/// What is added to the squared length of a vector, so that a vector of zeros has a cosine; the number of PyTorch.
const TINY: f64 = 1e-12;

/// The loss [`cosine_embedding`], with options; see there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CosineEmbedding {
    margin: f64,
    reduction: Reduction,
}

impl CosineEmbedding {
    /// Up to which cosine unlike vectors cost nothing, between −1 and 1; 0 unless it is told otherwise.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        CosineEmbedding { margin, ..self }
    }

    /// What is made of the terms, one for each pair; their mean, unless it is told otherwise.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        CosineEmbedding { reduction, ..self }
    }

    /// The loss, as [`cosine_embedding`] with these options.
    ///
    /// # Errors
    /// Those of that function; a margin outside −1..=1.
    #[must_use]
    #[track_caller]
    pub fn of<'g, T: Real>(&self, a: Var<'g, T>, b: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
        let loss = "cosine_embedding";
        if let Some(why) = self.invalid(a, b, target) {
            return refused(loss, why, &[a, b, target]);
        }
        let [ab, aa, bb] = [(a * b).sum_axes([-1], false), a.square().sum_axes([-1], false), b.square().sum_axes([-1], false)];
        let terms = a.graph().call(of_products(self.margin), &[ab, aa, bb, target]);
        self.reduction.of(loss, terms)
    }

    fn invalid<T: Real>(&self, a: Var<'_, T>, b: Var<'_, T>, target: Var<'_, T>) -> Option<ErrorKind> {
        let pairs = || match (a.shape().ok()?.split_last(), target.shape().ok()?) {
            (None, _) => Some(ErrorKind::Rank { expected: "at least 1 axis", found: 0 }),
            (Some((_, rows)), targets) => (*targets != *rows).then(|| {
                unfit(
                    "target",
                    format!("a tensor of shape {targets}"),
                    "one is needed for each pair: the shape of the vectors without its last axis",
                )
            }),
        };
        let margin = || {
            let fits = (-1.0..=1.0).contains(&self.margin);
            (!fits).then(|| unfit("margin", self.margin.to_string(), "it must be between -1 and 1"))
        };
        unlike(a, b).or_else(|| strangers(a, target)).or_else(pairs).or_else(margin).or_else(|| unsigned(target))
    }
}

/// Cosine embedding loss of pairs of vectors, `[batch, n]` or `[…, n]`, and targets `[batch]`: the mean of 1 − cos(a, b) where the target is 1,
/// the two are alike, and of max(0, cos(a, b)) where it is −1.
///
/// cos(a, b) = Σ a·b / √((Σ a² + ε)(Σ b² + ε)) along the last axis, with ε = 10⁻¹².
///
/// # Errors
/// Vectors of different shapes; targets of another shape than the vectors without their last axis; a target that is neither 1 nor −1.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::loss::{CosineEmbedding, cosine_embedding};
/// let g = Graph::<f64>::new();
/// let (a, b) = (g.variable(tensor![[1.0, 0.0], [0.0, 2.0]]), g.variable(tensor![[0.0, 1.0], [0.0, 1.0]]));
/// let unlike = g.constant(tensor![-1.0, -1.0]);
/// assert!((cosine_embedding(a, b, unlike).item()? - 0.5).abs() < 1e-11);
/// assert!((CosineEmbedding::default().margin(0.5).of(a, b, unlike).item()? - 0.25).abs() < 1e-11);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn cosine_embedding<'g, T: Real>(a: Var<'g, T>, b: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    CosineEmbedding::default().of(a, b, target)
}

/// The terms, of Σ a·b, Σ a² and Σ b².
#[inline(never)]
fn of_products(margin: f64) -> Handle {
    Handle::new(Pointwise(function!(|ab, aa, bb, t; margin| {
        let cos = ab / ((aa + TINY).sqrt() * (bb + TINY).sqrt());
        t.gt(0.0).select(1.0 - cos, (cos - margin).relu())
    })))
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, Tensor, tensor};

    use super::{
        super::testing::{assert_differentiable_twice, assert_loss},
        *,
    };

    fn pairs() -> [Tensor<f64>; 2] {
        let a = tensor![[1.0, 2.0, -0.5], [0.3, -0.7, 1.1], [0.2, 0.4, 0.9], [0.0, 0.0, 0.0]];
        let b = tensor![[0.5, 1.5, 0.25], [-0.3, 0.8, 0.6], [0.1, 0.9, 0.7], [1.0, 0.0, 2.0]];
        [a, b]
    }

    #[test]
    fn cosines_are_those_of_pytorch() {
        let [a, b] = &pairs();
        let t = &tensor![1.0, -1.0, -1.0, 1.0];
        // But for the slopes at the vector of zeros, 1/√(5ε): PyTorch has 10⁻¹² in single precision there, which is off by 4·10⁻⁹ of it.
        #[rustfmt::skip]
        let by_a = [
            0.009_737_116_808_431_638, -0.014_605_675_212_676_68, -0.038_948_467_233_755_78, -0.053_993_436_913_456_81,
            0.143_882_510_589_748_85, 0.106_287_080_442_602_02, -0.021_734_200_740_314_614, 0.108_671_003_701_874_35,
            -0.043_468_401_480_521_64, -111_803.398_874_989_5, 0.0, -223_606.797_749_979,
        ];
        #[rustfmt::skip]
        let by_b = [
            -0.023_274_084_078_727_733, -0.001_662_434_577_103_3, 0.056_522_775_619_716_05, 0.054_186_074_048_214_02,
            -0.126_598_373_003_554_42, 0.195_890_867_695_515_6, 0.026_711_498_619_841_668, -0.063_875_322_786_432_17,
            0.078_309_486_637_103_4, 0.0, 0.0, 0.0,
        ];
        assert_loss(|[a, b, t]| cosine_embedding(a, b, t), [a, b, t], &[0.491_265_825_324_052_6], [&by_a, &by_b, &[]]);
        let terms = [0.079_842_461_602_421_26, 0.0, 0.578_061_709_910_449_3, 1.0];
        #[rustfmt::skip]
        let by_a = [
            0.038_948_467_233_726_55, -0.058_422_700_850_706_72, -0.155_793_868_935_025_12, 0.0, 0.0, 0.0,
            -0.086_936_802_961_258_46, 0.434_684_014_807_497_4, -0.173_873_605_922_086_56, -447_213.595_499_958, 0.0,
            -894_427.190_999_916,
        ];
        #[rustfmt::skip]
        let by_b = [
            -0.093_096_336_314_910_93, -0.006_649_738_308_413_2, 0.226_091_102_478_864_2, 0.0, 0.0, 0.0, 0.106_845_994_479_366_67,
            -0.255_501_291_145_728_67, 0.313_237_946_548_413_6, 0.0, 0.0, 0.0,
        ];
        let loss = CosineEmbedding::default().margin(0.3).reduction(Reduction::None);
        assert_loss(|[a, b, t]| loss.of(a, b, t), [a, b, t], &terms, [&by_a, &by_b, &[]]);
    }

    #[test]
    fn differentiable_twice() {
        let [a, b] = pairs().map(|x| x.slice(0, ..3).unwrap());
        assert_differentiable_twice(|[a, b]| cosine_embedding(a, b, a.graph().constant(tensor![1.0, -1.0, -1.0])), [&a, &b]);
    }

    #[test]
    fn what_does_not_fit() {
        let g = Graph::<f64>::new();
        let [a, b] = pairs().map(|x| g.variable(x));
        let t = g.constant(tensor![1.0, -1.0, 1.0, 1.0]);
        let losses = [
            (cosine_embedding(a, t, t), "cosine_embedding([4, 3], [4], [4]): shape [4, 3] does not match [4]"),
            (
                cosine_embedding(a, b, a),
                "cosine_embedding([4, 3], [4, 3], [4, 3]): target = a tensor of shape [4, 3]: one is needed for each",
            ),
            (cosine_embedding(a, b, t * 2.0), "cosine_embedding([4, 3], [4, 3], [4]): target = 2: each target must be 1 or -1"),
            (cosine_embedding(t.sum(), t.sum(), t), "cosine_embedding([], [], [4]): a tensor with at least 1 axis is needed"),
            (CosineEmbedding::default().margin(2.0).of(a, b, t), "cosine_embedding([4, 3], [4, 3], [4]): margin = 2: it must be between"),
        ];
        for (loss, expected) in losses {
            let message = loss.value().unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        let other = Graph::<f64>::new();
        let error = cosine_embedding(a, b, other.constant(tensor![1.0, -1.0, 1.0, 1.0])).value().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OtherGraph { .. }), "{error}");
    }
}
