//! The losses as entries of a catalogue, with samples, so that the tests of all operations go through them too.

use autograd::{
    Indices, Tensor,
    op::{Entry, Mistake, Sample},
    sample, tensor,
};

use super::{
    BinaryCrossEntropyWithLogits, CosineEmbedding, CrossEntropy, Huber, KlDiv, Nll, PoissonNll, Reduction, SmoothL1, binary_cross_entropy,
    binary_cross_entropy_with_logits, cosine_embedding, cross_entropy, hinge, huber, kl_div, l1, mse, nll, poisson_nll, smooth_l1,
};

const fn entry(
    name: &'static str,
    signature: &'static str,
    doc: &'static [&'static str],
    samples: &'static [Sample],
    errors: &'static [Mistake],
) -> Entry {
    Entry { name, signature, doc, samples, errors, handle: None }
}

const fn mistake(sample: Sample, message: &'static str) -> Mistake {
    Mistake { sample, message }
}

/// Labels of samples; 7 stands for what is to be ignored.
fn labels<const N: usize>(labels: [usize; N]) -> Indices {
    Indices::from(labels.to_vec())
}

/// Labels of two rows of two places.
fn pairs(labels: [usize; 4]) -> Indices {
    Indices::new(labels.to_vec(), [2, 2]).unwrap_or_else(|_| Indices::from(Vec::new()))
}

fn weights() -> Tensor<f64> {
    tensor![0.5, 2.0, 1.25]
}

const ENTRIES: &[Entry] = &[
    entry(
        "mse",
        "loss::mse(y, t)",
        &[" The mean of (y − t)²."],
        &[
            sample!([[2, 3], [2, 3]], |x| mse(x[0], x[1])),
            sample!([[], []], |x| mse(x[0], x[1])),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| super::Mse::default().reduction(Reduction::Sum).of(x[0], x[1])),
            sample!([[0, 3], [0, 3]], |x| super::Mse::default().reduction(Reduction::None).of(x[0], x[1])),
        ],
        &[
            mistake(sample!([[2], [2, 1]], |x| mse(x[0], x[1])), "shape [2] does not match [2, 1]"),
            mistake(sample!([[0], [0]], |x| mse(x[0], x[1])), "there is nothing to take the mean of"),
        ],
    ),
    entry(
        "l1",
        "loss::l1(y, t)",
        &[" The mean of |y − t|; the slope is 0 where they are equal."],
        &[
            sample!([[2, 3], [2, 3]], |x| l1(x[0], x[1])),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| super::L1::default().reduction(Reduction::None).of(x[0], x[1])),
        ],
        &[mistake(sample!([[2], [3]], |x| l1(x[0], x[1])), "does not match")],
    ),
    entry(
        "huber",
        "loss::huber(y, t)",
        &[" The mean of ½(y − t)² up to |y − t| = δ, then δ(|y − t| − ½δ)."],
        &[
            sample!([[2, 3], [2, 3]], |x| huber(x[0], x[1])),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| Huber::default().delta(0.5).reduction(Reduction::None).of(x[0], x[1])),
        ],
        &[mistake(sample!([[2], [2]], |x| Huber::default().delta(-1.0).of(x[0], x[1])), "delta = -1")],
    ),
    entry(
        "smooth_l1",
        "loss::smooth_l1(y, t)",
        &[" The mean of ½(y − t)²/β up to |y − t| = β, then |y − t| − ½β."],
        &[
            sample!([[2, 3], [2, 3]], |x| smooth_l1(x[0], x[1])),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| SmoothL1::default().beta(0.5).reduction(Reduction::Sum).of(x[0], x[1])),
        ],
        &[mistake(sample!([[2], [2]], |x| SmoothL1::default().beta(-1.0).of(x[0], x[1])), "beta = -1")],
    ),
    entry(
        "hinge",
        "loss::hinge(y, t)",
        &[" The mean of max(0, 1 − t·y) for targets of ±1."],
        &[
            sample!([[2, 3], [2, 3]], |x| hinge(x[0], x[1].sign())),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| super::Hinge::default().reduction(Reduction::None).of(x[0], x[1].sign())),
        ],
        &[mistake(sample!([[2], ([2], (0.2, 0.4))], |x| hinge(x[0], x[1])), "1")],
    ),
    entry(
        "binary_cross_entropy",
        "loss::binary_cross_entropy(p, t)",
        &[" The mean of −t·ln p − (1 − t)·ln(1 − p); logarithms below −100 count as −100."],
        &[
            sample!([([2, 3], (0.1, 0.9)), ([2, 3], (0.0, 1.0))], |x| binary_cross_entropy(x[0], x[1])),
            sample!([([1, 2, 2, 1], (0.1, 0.9)), ([1, 2, 2, 1], (0.0, 1.0))], |x| {
                super::BinaryCrossEntropy::default().reduction(Reduction::BatchMean).of(x[0], x[1])
            }),
        ],
        &[mistake(sample!([([2], (0.1, 0.9)), [3]], |x| binary_cross_entropy(x[0], x[1])), "does not match")],
    ),
    entry(
        "binary_cross_entropy_with_logits",
        "loss::binary_cross_entropy_with_logits(x, t)",
        &[" The mean of w·t·softplus(−x) + (1 − t)·softplus(x), with w = 1 unless `pos_weight` says otherwise."],
        &[
            sample!([[2, 3], ([2, 3], (0.0, 1.0))], |x| binary_cross_entropy_with_logits(x[0], x[1])),
            sample!([[1, 2, 2, 3], ([1, 2, 2, 3], (0.0, 1.0))], |x| {
                BinaryCrossEntropyWithLogits::default().pos_weight(weights()).reduction(Reduction::None).of(x[0], x[1])
            }),
        ],
        &[mistake(sample!([[2], [3]], |x| binary_cross_entropy_with_logits(x[0], x[1])), "does not match")],
    ),
    entry(
        "nll",
        "loss::nll(log_probabilities, labels: &Indices)",
        &[" The mean of −yₜ, weighted by the weights of the labels; labels to be ignored count nothing."],
        &[
            sample!([[2, 3]], |x| nll(x[0], &labels([2, 0]))),
            sample!([[3, 3]], |x| Nll::default().weights(weights()).ignore_index(7).of(x[0], &labels([2, 7, 0]))),
            sample!([[2, 3, 2]], |x| Nll::default().reduction(Reduction::None).of(x[0], &pairs([2, 0, 1, 1]))),
        ],
        &[mistake(sample!([[2, 3]], |x| nll(x[0], &labels([2, 3]))), "3")],
    ),
    entry(
        "cross_entropy",
        "loss::cross_entropy(logits, labels: &Indices)",
        &[" The mean of −ln softmax(x)ₜ, or of −Σ t·ln softmax(x) for probabilities in place of labels."],
        &[
            sample!([[2, 3]], |x| cross_entropy(x[0], &labels([2, 0]))),
            sample!([[3, 3]], |x| CrossEntropy::default()
                .weights(weights())
                .ignore_index(7)
                .label_smoothing(0.1)
                .of(x[0], &labels([2, 7, 0]))),
            sample!([[2, 3, 2]], |x| CrossEntropy::default().reduction(Reduction::None).of(x[0], &pairs([2, 0, 1, 1]))),
            sample!([[2, 3], ([2, 3], (0.1, 0.9))], |x| {
                CrossEntropy::default().weights(weights()).label_smoothing(0.2).of_probabilities(x[0], x[1])
            }),
        ],
        &[
            mistake(sample!([[2, 3]], |x| cross_entropy(x[0], &labels([2, 3]))), "label = 3"),
            mistake(sample!([[2, 3]], |x| cross_entropy(x[0], &labels([2]))), "labels = indices of shape [1]"),
            mistake(sample!([[2, 3]], |x| CrossEntropy::default().ignore_index(7).of(x[0], &labels([7, 7]))), "ignore"),
            mistake(sample!([[2, 3]], |x| CrossEntropy::default().label_smoothing(1.5).of(x[0], &labels([1, 0]))), "label_smoothing = 1.5"),
        ],
    ),
    entry(
        "kl_div",
        "loss::kl_div(log_probabilities, t)",
        &[" The mean of t·(ln t − y), or of eᵗ(t − y) if the target is logarithms too."],
        &[
            sample!([[2, 3], ([2, 3], (0.1, 0.9))], |x| kl_div(x[0], x[1])),
            sample!([[1, 2, 2, 1], [1, 2, 2, 1]], |x| KlDiv::default().log_target(true).reduction(Reduction::BatchMean).of(x[0], x[1])),
        ],
        &[mistake(sample!([[2], [3]], |x| kl_div(x[0], x[1])), "does not match")],
    ),
    entry(
        "poisson_nll",
        "loss::poisson_nll(y, t)",
        &[" The mean of eʸ − t·y, or of y − t·ln(y + ε)."],
        &[
            sample!([[2, 3], ([2, 3], (0.0, 3.0))], |x| poisson_nll(x[0], x[1])),
            sample!([([1, 2, 2, 1], (0.5, 2.0)), ([1, 2, 2, 1], (1.5, 3.0))], |x| {
                PoissonNll::default().log_input(false).full(true).eps(0.1).reduction(Reduction::Sum).of(x[0], x[1])
            }),
        ],
        &[mistake(sample!([[2], [3]], |x| poisson_nll(x[0], x[1])), "does not match")],
    ),
    entry(
        "cosine_embedding",
        "loss::cosine_embedding(a, b, t)",
        &[" The mean of 1 − cos(a, b) for t = 1, and of max(0, cos(a, b) − margin) for t = −1."],
        &[
            sample!([[2, 3], [2, 3], [2]], |x| cosine_embedding(x[0], x[1], x[2].sign())),
            sample!([[1, 2, 2, 3], [1, 2, 2, 3], [1, 2, 2]], |x| {
                CosineEmbedding::default().margin(-0.9).reduction(Reduction::None).of(x[0], x[1], x[2].sign())
            }),
        ],
        &[mistake(sample!([[2, 3], [2, 2], [2]], |x| cosine_embedding(x[0], x[1], x[2].sign())), "does not match")],
    ),
];

/// All losses, as entries of a catalogue like that of [`autograd::op::catalogue`].
///
/// ```
/// assert!(nn::loss::catalogue().any(|entry| entry.name == "huber"));
/// ```
pub fn catalogue() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter()
}
