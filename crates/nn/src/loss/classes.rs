//! Losses of classes: negative log-likelihood and softmax cross-entropy.

use autograd::{
    Error, ErrorKind, Indices, Real, Shape, Tensor, Var, function,
    op::{Handle, Place, pointwise::Pointwise},
};

use super::{Reduction, batch, refused, unfit, unlike, unweighted};

/// How labels are counted: what the losses of this file have in common.
#[derive(Debug, Clone, PartialEq, Default)]
struct Count {
    weights: Option<Tensor<f64>>,
    ignore: Option<usize>,
    reduction: Reduction,
}

/// The rows of scores that count, with their labels.
struct Counted {
    /// Which rows, unless it is all of them.
    rows: Option<Indices>,
    /// Their labels, `[rows, 1]`.
    labels: Indices,
    /// The weights of their labels.
    weights: Option<Tensor<f64>>,
}

impl Count {
    /// Which rows of scores `[batch, classes, …]` count, and how much.
    fn counted(&self, name: &'static str, scores: &Shape, labels: &Indices) -> Result<Counted, Error> {
        let classes = self.classes(name, scores)?;
        let expected = [&scores[..1], &scores[2..]].concat();
        if **labels.shape() != expected {
            let why = match expected.len() {
                1 => "a vector is needed, one label for each row of the scores",
                _ => "one label is needed for each position: the shape of the scores without their axis 1, the classes",
            };
            return Err(unfit("labels", format!("indices of shape {}", labels.shape()), why).into());
        }
        let counts = |label: &usize| Some(*label) != self.ignore;
        let all = labels.as_slice();
        let (rows, labels) = if all.iter().all(counts) {
            (None, labels.reshape([all.len(), 1])?)
        } else {
            let rows: Vec<usize> = (0..all.len()).filter(|&row| counts(&all[row])).collect();
            let labels: Vec<usize> = all.iter().copied().filter(counts).collect();
            let shape = [labels.len(), 1];
            (Some(Indices::from(rows)), Indices::new(labels, shape)?)
        };
        if let Some(wrong) = labels.as_slice().iter().find(|&&label| label >= classes) {
            let why = "a label must be below the number of classes, which is the length of a row of the scores";
            return Err(unfit("label", wrong.to_string(), why).into());
        }
        let weights = match &self.weights {
            Some(weights) => Some(weights.index_select(0, &labels.reshape([labels.len()])?)?),
            None => None,
        };
        Ok(Counted { rows, labels, weights })
    }

    /// The number of classes, if scores and weights are of a shape that fits.
    fn classes(&self, name: &'static str, scores: &Shape) -> Result<usize, Error> {
        let &[_, classes, ..] = &**scores else {
            let why = "a matrix is needed, [batch, classes], or [batch, classes, …]";
            return Err(unfit(name, format!("a tensor of shape {scores}"), why).into());
        };
        match &self.weights {
            Some(weights) if *weights.shape() != [classes] => {
                let why = "a vector is needed, one weight for each class";
                Err(unfit("weights", format!("a tensor of shape {}", weights.shape()), why).into())
            }
            Some(weights) => unweighted("weights", weights).map_or(Ok(classes), |why| Err(why.into())),
            None => Ok(classes),
        }
    }

    /// By what the sum of the terms is divided.
    fn divisor(&self, counted: &Counted, labels: &Indices) -> Result<f64, Error> {
        let count = counted.labels.len() as f64;
        let weight = counted.weights.as_ref().map_or(count, |weights| weights.as_slice().iter().sum());
        match self.reduction {
            Reduction::None | Reduction::Sum => Ok(1.0),
            Reduction::BatchMean => batch(labels.shape()),
            Reduction::Mean => match labels.as_slice() {
                [] => Err(ErrorKind::Empty { what: "mean", shape: *labels.shape() }.into()),
                [ignored, ..] if counted.labels.is_empty() => {
                    let why = "all labels are to be ignored, so there is nothing to take the mean of";
                    Err(unfit("ignore_index", ignored.to_string(), why).into())
                }
                _ if weight == 0.0 => Err(unfit("weights", "0 for all labels", "there is nothing to take the mean of").into()),
                _ => Ok(weight),
            },
        }
    }

    /// The loss by labels. `log` makes logarithms of probabilities of rows of scores, and `spread` is the part of a label that is given to all
    /// classes alike.
    #[track_caller]
    fn of<'g, T: Real>(
        &self,
        loss: &'static str,
        name: &'static str,
        scores: Var<'g, T>,
        labels: &Indices,
        log: bool,
        spread: f64,
    ) -> Var<'g, T> {
        let Ok(shape) = scores.shape() else { return scores };
        let counted = self.counted(name, &shape, labels);
        let (counted, divisor) = match counted.and_then(|counted| Ok((self.divisor(&counted, labels)?, counted))) {
            Ok((divisor, counted)) => (counted, divisor),
            Err(why) => return refused(loss, why, &[scores]),
        };
        let graph = scores.graph();

        // One row for each label, and no row without one: what is ignored is not computed, and has no gradient, were it infinite.
        let mut rows = scores;
        if shape.rank() > 2 {
            let axes: Vec<isize> = std::iter::once(0).chain(2..shape.rank().cast_signed()).chain([1]).collect();
            rows = rows.permute(axes).reshape([labels.len().cast_signed(), shape[1].cast_signed()]);
        }
        if let Some(counted) = &counted.rows {
            rows = rows.index_select(0, counted);
        }
        // Without a part for all classes, logarithms other than those of the labels are not needed.
        let is_direct = log && spread == 0.0;
        if log && !is_direct {
            rows = rows.log_softmax(-1);
        }

        let mut terms = match counted.labels.reshape([counted.labels.len()]) {
            Ok(labels) if is_direct => rows.softmax_cross_entropy(-1, &labels),
            _ => rows.gather(-1, &counted.labels).squeeze(-1),
        };
        if let Some(weights) = counted.weights {
            terms = terms.masked_mul(graph.constant(weights.cast::<T>()));
        }
        if spread > 0.0 {
            if let Some(weights) = &self.weights {
                rows = rows.masked_mul(graph.constant(weights.cast::<T>()));
            }
            terms = terms * (1.0 - spread) + rows.sum_axes([-1], false) * (spread / shape[1] as f64);
        }
        // −0 would be printed as such; 0 − 0 is 0.
        let terms = if is_direct { terms } else { 0.0 - terms };
        match (self.reduction, counted.rows) {
            (Reduction::Mean, _) if self.weights.is_none() => terms.mean(),
            (Reduction::Mean | Reduction::BatchMean, _) => terms.sum() / divisor,
            (Reduction::Sum, _) => terms.sum(),
            (Reduction::None, None) => terms.reshape_as(labels.shape()),
            (Reduction::None, Some(rows)) => match Shape::new(&[labels.len()]) {
                Ok(all) => terms.put(Place::Select { axis: 0, indices: rows }, &all).reshape_as(labels.shape()),
                Err(why) => refused(loss, why, &[scores]),
            },
        }
    }
}

/// The loss [`nll`], with options; see there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Nll {
    count: Count,
}

/// The loss [`cross_entropy`], with options, and for targets that are probabilities.
///
/// ```
/// use autograd::{Graph, Indices, tensor};
/// use nn::loss::{CrossEntropy, Reduction};
/// let g = Graph::<f64>::new();
/// let x = g.variable(tensor![[2.0, 0.0, 1.0], [f64::NAN, 0.0, 1.0], [1.0, 3.0, 2.0]]);
/// let labels = Indices::from(vec![0, 255, 1]);
/// let loss = CrossEntropy::default().ignore_index(255).weights(tensor![1.0, 1.0, 4.0]).label_smoothing(0.1).of(x, &labels);
/// let gradients = loss.backward()?;
/// assert_eq!(gradients.wrt(x)?.as_slice()[3..6], [0.0; 3]);
///
/// let (x, p) = (g.variable(tensor![[0.0, 0.0]]), g.constant(tensor![[0.9, 0.1]]));
/// let loss = CrossEntropy::default().reduction(Reduction::Sum).of_probabilities(x, p);
/// assert!((loss.item()? - 2.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CrossEntropy {
    count: Count,
    label_smoothing: f64,
}

/// The options of both.
macro_rules! options {
    ($($Loss:ident)*) => { $(
        impl $Loss {
            /// How much each class counts, one number for each; all alike, unless it is told otherwise. A mean over labels is divided by the sum
            /// of their weights.
            #[must_use]
            pub fn weights(mut self, weights: impl Into<Tensor<f64>>) -> Self {
                self.count.weights = Some(weights.into());
                self
            }

            /// A label, of a class or not, that counts nothing: its term is 0, its row of scores has no gradient, and a mean is taken over the
            /// others. There is none, unless it is told otherwise.
            #[must_use]
            pub fn ignore_index(mut self, label: usize) -> Self {
                self.count.ignore = Some(label);
                self
            }

            /// What is made of the terms, one for each label; their mean, unless it is told otherwise.
            #[must_use]
            pub fn reduction(mut self, reduction: Reduction) -> Self {
                self.count.reduction = reduction;
                self
            }
        }
    )* };
}
options!(Nll CrossEntropy);

impl Nll {
    /// The loss, as [`nll`] with these options.
    ///
    /// # Errors
    /// Those of that function; not one weight for each class, a weight that is negative, infinite or NaN; the mean of no terms, since there are
    /// no labels, or all are to be ignored, or all have a weight of 0.
    #[must_use]
    #[track_caller]
    pub fn of<'g, T: Real>(&self, log_probabilities: Var<'g, T>, labels: &Indices) -> Var<'g, T> {
        self.count.of("nll", "log_probabilities", log_probabilities, labels, false, 0.0)
    }
}

impl CrossEntropy {
    /// Which part of the target, 0 to 1, is given to all classes alike, the right one among them (Szegedy et al. 2016); 0 unless it is told
    /// otherwise.
    #[must_use]
    pub fn label_smoothing(self, part: f64) -> Self {
        CrossEntropy { label_smoothing: part, ..self }
    }

    /// The loss of labels, as [`cross_entropy`] with these options.
    ///
    /// # Errors
    /// Those of that function; a smoothing outside 0..=1; not one weight for each class, a weight that is negative, infinite or NaN; the mean of
    /// no terms, since there are no labels, or all are to be ignored, or all have a weight of 0.
    #[must_use]
    #[track_caller]
    pub fn of<'g, T: Real>(&self, logits: Var<'g, T>, labels: &Indices) -> Var<'g, T> {
        match self.unfit_smoothing() {
            Some(why) => refused("cross_entropy", why, &[logits]),
            None => self.count.of("cross_entropy", "logits", logits, labels, true, self.label_smoothing),
        }
    }

    /// The loss of targets that are probabilities, in the shape of the logits: for each row −Σ w·t·ln softmax(x) over the classes, the axis 1.
    ///
    /// The mean is that of the rows, whatever the weights, as in PyTorch. Whether the probabilities of a row add to 1 is not looked at.
    ///
    /// # Errors
    /// Logits and target of different shapes, or of less than two axes; an `ignore_index`, which goes with labels alone; else as
    /// [`CrossEntropy::of`].
    #[must_use]
    #[track_caller]
    pub fn of_probabilities<'g, T: Real>(&self, logits: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
        let loss = "cross_entropy";
        let Ok(shape) = logits.shape() else { return logits };
        let ignored =
            || self.count.ignore.map(|label| unfit("ignore_index", label.to_string(), "it goes with labels, not with probabilities"));
        let why = unlike(logits, target).or_else(|| self.unfit_smoothing()).or_else(ignored);
        let classes = match why.map_or_else(|| self.count.classes("logits", &shape), |why| Err(why.into())) {
            Ok(classes) => classes,
            Err(why) => return refused(loss, why, &[logits, target]),
        };
        let mut weights = logits.graph().constant(T::of(1.0));
        if let Some(given) = &self.count.weights {
            let along_classes: Vec<isize> = shape[1..].iter().enumerate().map(|(axis, _)| if axis == 0 { -1 } else { 1 }).collect();
            weights = logits.graph().constant(given.cast::<T>()).reshape(along_classes);
        }
        let terms = weighed(1.0 - self.label_smoothing, self.label_smoothing / classes as f64);
        let terms = logits.graph().call(terms, &[logits.log_softmax(1), target, weights]).sum_axes([1], false);
        self.count.reduction.of(loss, terms)
    }

    fn unfit_smoothing(&self) -> Option<ErrorKind> {
        let fits = (0.0..=1.0).contains(&self.label_smoothing);
        (!fits).then(|| unfit("label_smoothing", self.label_smoothing.to_string(), "it must be between 0 and 1"))
    }
}

/// −w·t·y, with targets t of which a part is given to all classes alike: `part` is left, and each class gets `each`.
#[inline(never)]
fn weighed(part: f64, each: f64) -> Handle {
    Handle::new(Pointwise(function!(|y, t, w; part, each| 0.0 - (w * (part * t + each)).masked_mul(y))))
}

/// Negative log-likelihood of classes: the mean of −yₗₐᵦₑₗ, for **logarithms** of probabilities `[batch, classes]`, such as
/// [`log_softmax`](autograd::Var::log_softmax) gives, and the classes that are right, `[batch]`; or `[batch, classes, …]` and `[batch, …]`.
///
/// Prefer [`cross_entropy`], which takes logits.
///
/// # Errors
/// Scores of less than two axes, labels of another shape, a label that is no class; no labels at all.
///
/// ```
/// use autograd::{Graph, Indices, tensor};
/// use nn::loss::{Nll, nll};
/// let g = Graph::<f64>::new();
/// let (y, labels) = (g.variable(tensor![[-0.5, -1.0], [-2.0, -0.25]]), Indices::from(vec![0, 1]));
/// assert_eq!(nll(y, &labels).item()?, (0.5 + 0.25) / 2.0);
/// assert_eq!(Nll::default().weights(tensor![1.0, 3.0]).of(y, &labels).item()?, (0.5 + 3.0 * 0.25) / 4.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
#[track_caller]
pub fn nll<'g, T: Real>(log_probabilities: Var<'g, T>, labels: &Indices) -> Var<'g, T> {
    Nll::default().of(log_probabilities, labels)
}

/// Softmax cross-entropy of logits `[batch, classes]` and the classes that are right, `[batch]`: the mean of −ln softmax(x)ₗₐᵦₑₗ. Or of
/// `[batch, classes, …]` and `[batch, …]`, such as the pixels of images.
///
/// Weights of classes, labels to be ignored, smoothed labels and targets that are probabilities: see [`CrossEntropy`].
///
/// # Errors
/// Logits of less than two axes, labels of another shape, a label that is no class; no labels at all.
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
    CrossEntropy::default().of(logits, labels)
}

#[cfg(test)]
mod tests {
    use autograd::{Graph, tensor};

    use super::{
        super::testing::{assert_differentiable_twice, assert_loss, assert_near},
        *,
    };

    fn logits() -> Tensor<f64> {
        tensor![[1.0, 2.0, -0.5], [0.3, -0.7, 1.1], [0.2, 0.4, 0.9], [-1.5, 0.0, 2.5]]
    }

    fn weights() -> Tensor<f64> {
        tensor![0.5, 2.0, 1.25]
    }

    /// The second one is to be ignored.
    fn labels() -> Indices {
        Indices::from(vec![1, 255, 2, 0])
    }

    /// Two images of two pixels, in three classes.
    fn images() -> (Tensor<f64>, Indices) {
        let logits = tensor![[[1.0, -0.3], [2.0, 0.4], [-0.5, 0.8]], [[0.3, 1.2], [-0.7, 0.1], [1.1, -2.0]]];
        (logits, Indices::new(vec![1, 0, 255, 2], [2, 2]).unwrap())
    }

    fn smooth() -> CrossEntropy {
        CrossEntropy::default().weights(weights()).label_smoothing(0.1).ignore_index(255)
    }

    // The numbers of this module are those of PyTorch 2 in double precision.

    /// Reduction, whether there are weights, smoothing; terms and slopes.
    type Case = (Reduction, bool, f64, &'static [f64], &'static [f64]);
    #[rustfmt::skip]
    const CASES: [Case; 12] = [
        (Reduction::Mean, false, 0.0, &[1.736_877_799_469_791_7], &[
            0.084_572_060_545_008_4, -0.103_442_637_958_498_8, 0.018_870_577_413_490_425, 0.0, 0.0, 0.0,
            0.078_706_280_333_370_82, 0.096_132_067_883_706_67, -0.174_838_348_217_077_5, -0.327_785_160_463_575_86, 0.024_865_185_710_738_14, 0.302_919_974_752_837_7,
        ]),
        (Reduction::Mean, false, 0.1, &[1.727_988_910_580_902_8], &[
            0.073_460_949_433_897_3, -0.081_220_415_736_276_56, 0.007_759_466_302_379_317, 0.0, 0.0, 0.0,
            0.067_595_169_222_259_71, 0.085_020_956_772_595_55, -0.152_616_125_994_855_3, -0.305_562_938_241_353_67, 0.013_754_074_599_627_034, 0.291_808_863_641_726_7,
        ]),
        (Reduction::Mean, true, 0.0, &[0.992_050_739_957_451_9], &[
            0.135_315_296_872_013_46, -0.165_508_220_733_598_08, 0.030_192_923_861_584_682, 0.0, 0.0, 0.0,
            0.078_706_280_333_370_82, 0.096_132_067_883_706_67, -0.174_838_348_217_077_5, -0.131_114_064_185_430_34, 0.009_946_074_284_295_257, 0.121_167_989_901_135_1,
        ]),
        (Reduction::Mean, true, 0.1, &[1.039_644_557_019_797], &[
            0.125_796_528_794_868_5, -0.143_746_106_900_532_66, 0.017_949_578_105_664_145, 0.0, 0.0, 0.0,
            0.074_261_835_888_926_39, 0.078_354_290_105_928_9, -0.152_616_125_994_855_33, -0.121_892_284_924_356_03, -0.006_339_792_350_838_233, 0.128_232_077_275_194_26,
        ]),
        (Reduction::Sum, false, 0.0, &[5.210_633_398_409_375], &[
            0.253_716_181_635_025_24, -0.310_327_913_875_496_4, 0.056_611_732_240_471_28, 0.0, 0.0, 0.0,
            0.236_118_841_000_112_5, 0.288_396_203_651_12, -0.524_515_044_651_232_6, -0.983_355_481_390_727_7, 0.074_595_557_132_214_43, 0.908_759_924_258_513_3,
        ]),
        (Reduction::Sum, false, 0.1, &[5.183_966_731_742_709], &[
            0.220_382_848_301_691_9, -0.243_661_247_208_829_76, 0.023_278_398_907_137_947, 0.0, 0.0, 0.0,
            0.202_785_507_666_779_16, 0.255_062_870_317_786_7, -0.457_848_377_984_565_9, -0.916_688_814_724_061, 0.041_262_223_798_881_094, 0.875_426_590_925_179_9,
        ]),
        (Reduction::Sum, true, 0.0, &[3.720_190_274_840_444_3], &[
            0.507_432_363_270_050_5, -0.620_655_827_750_992_8, 0.113_223_464_480_942_56, 0.0, 0.0, 0.0,
            0.295_148_551_250_140_6, 0.360_495_254_563_9, -0.655_643_805_814_040_7, -0.491_677_740_695_363_85, 0.037_297_778_566_107_21, 0.454_379_962_129_256_63,
        ]),
        (Reduction::Sum, true, 0.1, &[3.898_667_088_824_238_7], &[
            0.471_736_982_980_756_95, -0.539_047_900_876_997_3, 0.067_310_917_896_240_55, 0.0, 0.0, 0.0,
            0.278_481_884_583_473_95, 0.293_828_587_897_233_3, -0.572_310_472_480_707_4, -0.457_096_068_466_335_1, -0.023_774_221_315_643_374, 0.480_870_289_781_978_43,
        ]),
        (Reduction::None, false, 0.0, &[0.371_539_031_852_682_83, 0.0, 0.743_420_037_142_309_9, 4.095_674_329_414_383], &[
            0.253_716_181_635_025_24, -0.310_327_913_875_496_4, 0.056_611_732_240_471_28, 0.0, 0.0, 0.0,
            0.236_118_841_000_112_5, 0.288_396_203_651_12, -0.524_515_044_651_232_6, -0.983_355_481_390_727_7, 0.074_595_557_132_214_43, 0.908_759_924_258_513_3,
        ]),
        (Reduction::None, false, 0.1, &[0.488_205_698_519_349_5, 0.0, 0.783_420_037_142_309_9, 3.912_340_996_081_049], &[
            0.220_382_848_301_691_9, -0.243_661_247_208_829_76, 0.023_278_398_907_137_947, 0.0, 0.0, 0.0,
            0.202_785_507_666_779_16, 0.255_062_870_317_786_7, -0.457_848_377_984_565_9, -0.916_688_814_724_061, 0.041_262_223_798_881_094, 0.875_426_590_925_179_9,
        ]),
        (Reduction::None, true, 0.0, &[0.743_078_063_705_365_7, 0.0, 0.929_275_046_427_887_4, 2.047_837_164_707_191_3], &[
            0.507_432_363_270_050_5, -0.620_655_827_750_992_8, 0.113_223_464_480_942_56, 0.0, 0.0, 0.0,
            0.295_148_551_250_140_6, 0.360_495_254_563_9, -0.655_643_805_814_040_7, -0.491_677_740_695_363_85, 0.037_297_778_566_107_21, 0.454_379_962_129_256_63,
        ]),
        (Reduction::None, true, 0.1, &[0.836_045_969_649_747_8, 0.0, 0.974_275_046_427_887_3, 2.088_346_072_746_603_4], &[
            0.471_736_982_980_756_95, -0.539_047_900_876_997_3, 0.067_310_917_896_240_55, 0.0, 0.0, 0.0,
            0.278_481_884_583_473_95, 0.293_828_587_897_233_3, -0.572_310_472_480_707_4, -0.457_096_068_466_335_1, -0.023_774_221_315_643_374, 0.480_870_289_781_978_43,
        ]),
    ];

    #[test]
    fn labels_are_counted_as_in_pytorch() {
        for (reduction, weighted, smoothing, terms, slopes) in CASES {
            let mut loss = CrossEntropy::default().ignore_index(255).label_smoothing(smoothing).reduction(reduction);
            if weighted {
                loss = loss.weights(weights());
            }
            assert_loss(|[x]| loss.of(x, &labels()), [&logits()], terms, [slopes]);
            // Scores of the ignored row may be anything.
            let mut wild = logits().to_vec();
            wild[3..6].copy_from_slice(&[f64::NAN, f64::INFINITY, -1e300]);
            let wild = Tensor::new(wild, [4, 3]).unwrap();
            assert_loss(|[x]| loss.of(x, &labels()), [&wild], terms, [slopes]);
        }
    }

    #[test]
    fn log_likelihoods_are_those_of_pytorch() {
        let nll = Nll::default().ignore_index(255);
        let third = 1.0 / 3.0;
        let slopes = [0.0, -third, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -third, -third, 0.0, 0.0];
        assert_loss(|[x]| nll.of(x, &labels()), [&logits()], &[-0.466_666_666_666_666_6], [&slopes]);
        let weighted = nll.clone().weights(weights());
        let slopes = [0.0, -8.0 / 15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -third, -2.0 / 15.0, 0.0, 0.0];
        assert_loss(|[x]| weighted.of(x, &labels()), [&logits()], &[-1.166_666_666_666_666_7], [&slopes]);
        let slopes = [0.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.25, -0.5, 0.0, 0.0];
        let each = weighted.reduction(Reduction::None);
        assert_loss(|[x]| each.of(x, &labels()), [&logits()], &[-4.0, 0.0, -1.125, 0.75], [&slopes]);
    }

    #[test]
    fn probabilities_are_counted_as_in_pytorch() {
        let q = &tensor![[0.1, 0.6, 0.3], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.25, 0.25, 0.5]];
        #[rustfmt::skip]
        let by_x = [
            0.038_429_045_408_756_31, 0.022_418_021_531_125_903, -0.060_847_066_939_882_18, -0.180_428_401_277_365_06,
            0.025_593_960_859_486_772, 0.154_834_440_417_878_3, 0.009_029_710_250_028_12, -0.002_900_949_087_219_995,
            -0.006_128_761_162_808_138, -0.058_338_870_347_681_91, -0.043_851_110_716_946_39, 0.102_189_981_064_628_32,
        ];
        #[rustfmt::skip]
        let by_q = [
            0.342_884_757_963_170_7, 0.092_884_757_963_170_71, 0.717_884_757_963_170_7, 0.319_776_124_533_183_94,
            0.569_776_124_533_183_9, 0.119_776_124_533_183_95, 0.360_855_009_285_577_45, 0.310_855_009_285_577_47,
            0.185_855_009_285_577_47, 1.023_918_582_353_595_7, 0.648_918_582_353_595_6, 0.023_918_582_353_595_57,
        ];
        let plain = CrossEntropy::default();
        assert_loss(|[x, q]| plain.of_probabilities(x, q), [&logits(), q], &[1.313_684_474_135_527_8], [&by_x, &by_q]);
        #[rustfmt::skip]
        let by_x = [
            0.085_276_942_919_733_98, -0.012_953_057_486_004_295, -0.072_323_885_433_729_63, -0.076_662_997_401_151_58,
            -0.001_950_139_172_461_773_4, 0.078_613_136_573_613_35, 0.051_104_976_587_745_38, -0.056_676_167_089_079_03,
            0.005_571_190_501_333_608, -0.027_090_254_601_269_063, -0.105_855_555_062_849_67, 0.132_945_809_664_118_73,
        ];
        #[rustfmt::skip]
        let by_q = [
            0.154_298_141_083_426_82, 0.167_192_564_333_707_27, 0.807_620_352_708_567_1, 0.143_899_256_039_932_78,
            1.025_597_024_159_731_2, 0.134_748_140_099_831_96, 0.162_384_754_178_509_87, 0.559_539_016_714_039_5,
            0.209_086_885_446_274_66, 0.460_763_362_059_118_05, 1.168_053_448_236_472, 0.026_908_405_147_795_016,
        ];
        let smooth = CrossEntropy::default().weights(weights()).label_smoothing(0.1);
        assert_loss(|[x, q]| smooth.of_probabilities(x, q), [&logits(), q], &[1.413_400_527_548_857_3], [&by_x, &by_q]);
        let terms = [1.599_401_546_399_467_3, 0.768_818_419_759_656_4, 1.357_455_898_934_993_4, 1.927_926_245_101_311_3];
        let each = smooth.reduction(Reduction::None);
        assert_loss(|[x, q]| each.of_probabilities(x, q), [&logits(), q], &terms, [&by_x.map(|d| 4.0 * d), &by_q.map(|d| 4.0 * d)]);
    }

    #[test]
    fn images_are_counted_as_in_pytorch() {
        let (x, labels) = &images();
        #[rustfmt::skip]
        let slopes = [
            0.471_736_982_980_756_95, -0.371_118_683_109_132_5, -0.539_047_900_876_997_3, 0.125_743_343_915_662_4,
            0.067_310_917_896_240_55, 0.245_375_339_193_469_96, 0.0, 0.893_328_752_936_496_6, 0.0, 0.236_244_494_816_926_97, 0.0,
            -1.129_573_247_753_423_7,
        ];
        let terms = [0.836_045_969_649_747_8, 0.939_476_347_472_705_8, 0.0, 4.203_490_746_918_212];
        assert_loss(|[x]| smooth().of(x, labels), [x], &[1.594_403_483_744_177_8], [&slopes.map(|d| d / 3.75)]);
        let each = smooth().reduction(Reduction::None);
        assert_loss(|[x]| each.of(x, labels), [x], &terms, [&slopes]);
        let over_images = smooth().reduction(Reduction::BatchMean);
        assert_loss(|[x]| over_images.of(x, labels), [x], &[5.979_013_064_040_666 / 2.0], [&slopes.map(|d| d / 2.0)]);
        let g = Graph::new();
        assert_eq!(*each.of(g.variable(x), labels).shape().unwrap(), [2, 2]);

        let q = &tensor![[[0.1, 0.2], [0.6, 0.2], [0.3, 0.6]], [[1.0, 0.5], [0.0, 0.25], [0.0, 0.25]]];
        let terms = [1.599_401_546_399_467_3, 1.156_426_842_331_969_2, 0.768_818_419_759_656_4, 1.944_919_496_084_253_3];
        #[rustfmt::skip]
        let slopes = [
            0.341_107_771_678_935_9, 0.101_046_341_067_103_3, -0.051_812_229_944_017_18, -0.008_384_034_965_951_317,
            -0.289_295_541_734_918_5, -0.092_662_306_101_152_2, -0.306_651_989_604_606_3, 0.545_479_371_290_069_6,
            -0.007_800_556_689_847_101_5, -0.254_648_511_983_358_2, 0.314_452_546_294_453_4, -0.290_830_859_306_701_43,
        ];
        let each = CrossEntropy::default().weights(weights()).label_smoothing(0.1).reduction(Reduction::None);
        assert_loss(|[x, q]| each.of_probabilities(x, q), [x, q], &terms, [&slopes, &[]]);
    }

    #[test]
    fn labels_are_probabilities_of_0_and_1() {
        let g = Graph::<f64>::new();
        let (x, labels) = (g.variable(logits()), Indices::from(vec![1, 0, 2, 2]));
        let sure = g.constant(tensor![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]);
        let loss = CrossEntropy::default().label_smoothing(0.2);
        assert_near(&[loss.of(x, &labels).item().unwrap()], &[loss.of_probabilities(x, sure).item().unwrap()]);
        let through_logarithms = nll(x.log_softmax(-1), &labels);
        assert_eq!(through_logarithms.item().unwrap(), cross_entropy(x, &labels).item().unwrap());
    }

    #[test]
    fn logits_may_be_of_any_size() {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![[1e4, -1e4], [f64::NEG_INFINITY, 0.0]]);
        let sure = g.constant(tensor![[0.0, 1.0], [0.0, 1.0]]);
        for loss in [cross_entropy(x, &Indices::from(vec![1, 1])), CrossEntropy::default().of_probabilities(x, sure)] {
            assert_eq!(loss.item().unwrap(), 1e4);
            assert_eq!(loss.backward().unwrap().wrt(x).unwrap(), &tensor![[0.5, -0.5], [0.0, 0.0]]);
        }
        let smooth = CrossEntropy::default().label_smoothing(0.5).reduction(Reduction::None).of(x, &Indices::from(vec![1, 1]));
        assert_eq!(smooth.value().unwrap().as_slice()[0], 1.5e4);
    }

    #[test]
    fn what_has_a_weight_of_0_counts_nothing() {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![[f64::NAN, 1.0], [1.0, 1.0]]);
        let loss = CrossEntropy::default().weights(tensor![0.0, 2.0]).of(x, &Indices::from(vec![0, 1]));
        assert_near(&[loss.item().unwrap()], &[2.0f64.ln()]);
        assert_near(loss.backward().unwrap().wrt(x).unwrap().as_slice(), &[0.0, 0.0, 0.5, -0.5]);
    }

    #[test]
    fn if_all_are_ignored_the_sum_is_0_and_the_mean_an_error() {
        let g = Graph::<f64>::new();
        let (x, ignored) = (g.variable(tensor![[f64::NAN, 1.0], [1.0, 1.0]]), Indices::from(vec![9, 9]));
        let loss = |reduction| smooth_two().reduction(reduction).of(x, &ignored);
        let message = loss(Reduction::Mean).value().unwrap_err().to_string();
        assert!(message.starts_with("cross_entropy([2, 2]): ignore_index = 9: all labels are to be ignored"), "{message}");
        assert_eq!(loss(Reduction::None).value().unwrap(), tensor![0.0, 0.0]);
        for reduction in [Reduction::Sum, Reduction::BatchMean] {
            let loss = loss(reduction);
            assert_eq!(loss.item().unwrap().to_bits(), 0.0f64.to_bits());
            assert_eq!(loss.backward().unwrap().wrt(x).unwrap().as_slice(), [0.0; 4]);
        }
    }

    fn smooth_two() -> CrossEntropy {
        CrossEntropy::default().weights(tensor![1.0, 3.0]).label_smoothing(0.1).ignore_index(9)
    }

    #[test]
    fn all_are_differentiable_twice() {
        let (images, pixels) = &images();
        assert_differentiable_twice(|[x]| smooth().of(x, &labels()), [&logits()]);
        assert_differentiable_twice(|[x]| smooth().of(x, pixels), [images]);
        assert_differentiable_twice(|[x]| Nll::default().weights(weights()).ignore_index(255).of(x.sin(), &labels()), [&logits()]);
        let q = &tensor![[0.1, 0.6, 0.3], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.25, 0.25, 0.5]];
        let loss = CrossEntropy::default().weights(weights()).label_smoothing(0.1);
        assert_differentiable_twice(|[x, q]| loss.of_probabilities(x, q), [&logits(), q]);
    }

    #[test]
    fn what_does_not_fit() {
        let g = Graph::<f64>::new();
        let (x, labels) = (g.variable(logits()), Indices::from(vec![1, 0, 2, 2]));
        let loss = CrossEntropy::default;
        let (images, _) = images();
        let images = g.variable(images);
        let losses = [
            (loss().label_smoothing(1.5).of(x, &labels), "cross_entropy([4, 3]): label_smoothing = 1.5: it must be between 0 and 1"),
            (loss().label_smoothing(f64::NAN).of_probabilities(x, x), "cross_entropy([4, 3], [4, 3]): label_smoothing = NaN: "),
            (
                loss().weights(tensor![1.0, 2.0]).of(x, &labels),
                "cross_entropy([4, 3]): weights = a tensor of shape [2]: a vector is needed, one",
            ),
            (loss().weights(3.0).of_probabilities(x, x), "cross_entropy([4, 3], [4, 3]): weights = a tensor of shape []: "),
            (loss().weights(tensor![1.0, -1.0, 1.0]).of(x, &labels), "cross_entropy([4, 3]): weights = -1: a weight must be finite"),
            (Nll::default().weights(tensor![1.0, 2.0, f64::NAN]).of(x, &labels), "nll([4, 3]): weights = NaN: a weight must be finite"),
            (loss().weights(tensor![0.0, 0.0, 0.0]).of(x, &labels), "cross_entropy([4, 3]): weights = 0 for all labels: there is nothing"),
            (loss().ignore_index(7).of(x, &Indices::from(vec![7, 8, 0, 0])), "cross_entropy([4, 3]): label = 8: a label must be below"),
            (loss().ignore_index(7).of_probabilities(x, x), "cross_entropy([4, 3], [4, 3]): ignore_index = 7: it goes with labels"),
            (loss().of_probabilities(x, x.sum()), "cross_entropy([4, 3], []): shape [4, 3] does not match []"),
            (loss().of_probabilities(x.sum(), x.sum()), "cross_entropy([], []): logits = a tensor of shape []: a matrix is needed"),
            (nll(x.sum(), &labels), "nll([]): log_probabilities = a tensor of shape []: a matrix is needed, [batch, classes], or"),
            (nll(images, &labels), "nll([2, 3, 2]): labels = indices of shape [4]: one label is needed for each position: the shape of"),
        ];
        for (loss, expected) in losses {
            let error = loss.value().unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(error.location().map(std::panic::Location::file), Some(file!()));
        }
    }

    #[test]
    fn losses_stand_where_they_are_asked_for() {
        let g = Graph::<f64>::new();
        let x = g.variable(logits());
        for loss in
            [smooth().of(x, &labels()), CrossEntropy::default().of_probabilities(x, x), Nll::default().ignore_index(255).of(x, &labels())]
        {
            assert_eq!(loss.location().file(), file!());
        }
    }
}
