//! Metrics: how good predictions of classes are.

use std::fmt;

use autograd::{Indices, Real, Tensor};

use crate::error::Error;

/// For each row of scores `[rows, classes]`, the class with the largest one; the first of them at a tie, the first NaN if there is one.
///
/// ```
/// use autograd::tensor;
/// assert_eq!(nn::metrics::argmax(&tensor![[0.1, 0.7, 0.2], [3.0, 1.0, 3.0]])?.as_slice(), [1, 0]);
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for scores that are no matrix with at least one column.
pub fn argmax<T: Real>(scores: &Tensor<T>) -> Result<Indices, Error> {
    let classes = match **scores.shape() {
        [_, classes] if classes > 0 => classes,
        _ => return Err(Error::config(format!("scores of shape {}", scores.shape()), "a matrix is needed, [rows, classes]")),
    };
    let largest = |row: &[T]| {
        let mut best = 0;
        for (class, &score) in row.iter().enumerate() {
            if score > row[best] || (score.is_nan() && !row[best].is_nan()) {
                best = class;
            }
        }
        best
    };
    Ok(Indices::from(scores.as_slice().chunks_exact(classes).map(largest).collect::<Vec<_>>()))
}

/// 1 where a score is above the threshold, else 0: the classes of a model with one output, flattened to one axis.
///
/// ```
/// use autograd::tensor;
/// let probabilities = tensor![[0.2], [0.8]];
/// assert_eq!(nn::metrics::above(&probabilities, 0.5).as_slice(), [0, 1]);
/// ```
#[must_use]
pub fn above<T: Real>(scores: &Tensor<T>, threshold: f64) -> Indices {
    Indices::from(scores.as_slice().iter().map(|score| usize::from(score.to_f64() > threshold)).collect::<Vec<_>>())
}

/// The share of predicted classes that are right, between 0 and 1.
///
/// ```
/// use autograd::Indices;
/// let (predicted, labels) = (Indices::from(vec![1, 0, 2, 2]), Indices::from(vec![1, 0, 2, 0]));
/// assert_eq!(nn::metrics::accuracy(&predicted, &labels)?, 0.75);
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for different numbers of predictions and labels, or none.
pub fn accuracy(predicted: &Indices, labels: &Indices) -> Result<f64, Error> {
    check(predicted, labels)?;
    let right = predicted.as_slice().iter().zip(labels.as_slice()).filter(|(p, l)| p == l).count();
    #[allow(clippy::cast_precision_loss)] // counts far below 2⁵²
    Ok(right as f64 / labels.len() as f64)
}

/// The share of outputs on the right side of a threshold: above it where the target is 1, elsewhere where the target is 0. The threshold is
/// 0 for logits, and ½ for probabilities.
///
/// ```
/// use autograd::tensor;
/// let (logits, targets) = (tensor![[-2.0], [0.5], [3.0], [1.0]], tensor![[0.0], [1.0], [1.0], [0.0]]);
/// assert_eq!(nn::metrics::binary_accuracy(&logits, &targets, 0.0)?, 0.75);
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for outputs and targets of different shapes, for none, and for targets that are neither 0 nor 1.
pub fn binary_accuracy<T: Real>(output: &Tensor<T>, targets: &Tensor<T>, threshold: f64) -> Result<f64, Error> {
    if output.shape() != targets.shape() {
        let why = format!("their shapes are {} and {}, but must be equal", output.shape(), targets.shape());
        return Err(Error::config("outputs and targets", why));
    }
    if let Some(other) = targets.as_slice().iter().find(|&&t| t != T::ZERO && t != T::ONE) {
        return Err(Error::config(format!("target {other}"), "targets of two classes are 0 and 1"));
    }
    accuracy(&above(output, threshold), &above(targets, 0.5))
}

fn check(predicted: &Indices, labels: &Indices) -> Result<(), Error> {
    if labels.is_empty() && predicted.is_empty() {
        return Err(Error::config("predictions and labels", "there are none, but at least one is needed"));
    }
    if predicted.shape() == labels.shape() {
        return Ok(());
    }
    Err(Error::config(
        "predictions and labels",
        format!("their shapes are {} and {}, but must be equal", predicted.shape(), labels.shape()),
    ))
}

/// How often each class was taken for each other one.
///
/// ```
/// use autograd::Indices;
/// use nn::metrics::ConfusionMatrix;
/// let (predicted, labels) = (Indices::from(vec![1, 0, 1, 1]), Indices::from(vec![1, 0, 0, 1]));
/// let matrix = ConfusionMatrix::new(&predicted, &labels)?;
/// assert_eq!(matrix.count(0, 1), 1);
/// println!("{matrix}");
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row by row, one for each true class.
    counts: Vec<usize>,
}

/// More than can be read, and little enough for memory.
const MOST_CLASSES: usize = 4096;

impl ConfusionMatrix {
    /// Counts predictions; there are as many classes as the largest one says.
    ///
    /// # Errors
    /// [`Error::Config`] for different numbers of predictions and labels, or none, and for a class of 4096 or above.
    pub fn new(predicted: &Indices, labels: &Indices) -> Result<Self, Error> {
        check(predicted, labels)?;
        let largest = predicted.as_slice().iter().chain(labels.as_slice()).copied().max().unwrap_or(0);
        if largest >= MOST_CLASSES {
            return Err(Error::config(format!("class {largest}"), format!("a confusion matrix has classes below {MOST_CLASSES}")));
        }
        let classes = largest + 1;
        let mut counts = vec![0; classes * classes];
        for (p, l) in predicted.as_slice().iter().zip(labels.as_slice()) {
            counts[l * classes + p] += 1;
        }
        Ok(ConfusionMatrix { classes, counts })
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many of class `label` were predicted as `predicted`; 0 for classes that did not occur.
    #[must_use]
    pub fn count(&self, label: usize, predicted: usize) -> usize {
        if label < self.classes && predicted < self.classes { self.counts[label * self.classes + predicted] } else { 0 }
    }
}

/// A table: a row for each true class, a column for each predicted one, and the share of each row that is right.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.counts.iter().max().map_or(1, |n| n.to_string().len()).max(self.classes.to_string().len()) + 1;
        write!(f, "true\\predicted")?;
        for class in 0..self.classes {
            write!(f, " {class:>width$}")?;
        }
        write!(f, "   right")?;
        for label in 0..self.classes {
            write!(f, "\n{label:>14}")?;
            let row = &self.counts[label * self.classes..][..self.classes];
            for (predicted, &count) in row.iter().enumerate() {
                // Zeros off the diagonal would hide the mistakes.
                if count == 0 && predicted != label { write!(f, " {:>width$}", "·")? } else { write!(f, " {count:>width$}")? }
            }
            let all: usize = row.iter().sum();
            #[allow(clippy::cast_precision_loss)]
            if all > 0 {
                write!(f, "  {:5.1}%", 100.0 * row[label] as f64 / all as f64)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    #[test]
    fn the_largest_score_wins() {
        let scores = tensor![[0.0, -1.0], [-3.0, -2.0], [1.0, 1.0], [0.5, f64::NAN], [f64::NEG_INFINITY, f64::NEG_INFINITY]];
        assert_eq!(argmax(&scores).unwrap().as_slice(), [0, 1, 0, 1, 0]);
        assert!(argmax(&tensor![1.0, 2.0]).is_err());
    }

    #[test]
    fn shares() {
        let labels = Indices::from(vec![0, 1, 1]);
        assert_eq!(accuracy(&labels, &labels).unwrap(), 1.0);
        assert!(accuracy(&Indices::from(vec![0]), &labels).is_err());
        assert!(accuracy(&Indices::from(vec![]), &Indices::from(vec![])).is_err());
    }

    #[test]
    fn two_classes_and_one_output() {
        let targets = tensor![[1.0], [0.0]];
        assert_eq!(binary_accuracy(&tensor![[0.1], [0.0]], &targets, 0.0).unwrap(), 1.0);
        assert_eq!(binary_accuracy(&tensor![[0.1], [0.0]], &targets, 0.5).unwrap(), 0.5);
        let none = Tensor::<f64>::zeros([0, 1]).unwrap();
        for (output, targets) in [(tensor![0.1, 0.0], targets), (tensor![[0.0]], tensor![[0.5]]), (none.clone(), none)] {
            assert!(matches!(binary_accuracy(&output, &targets, 0.0), Err(Error::Config { .. })), "{output:?}");
        }
    }

    #[test]
    fn a_confusion_matrix_of_nothing_or_of_too_many_classes() {
        let of = |predicted: Vec<usize>, labels: Vec<usize>| ConfusionMatrix::new(&Indices::from(predicted), &Indices::from(labels));
        assert!(of(vec![], vec![]).is_err() && of(vec![1], vec![1, 0]).is_err() && of(vec![], vec![0]).is_err());
        for huge in [usize::MAX, 1 << 40, 4096] {
            let message = of(vec![huge], vec![0]).unwrap_err().to_string();
            assert_eq!(message, format!("class {huge}: a confusion matrix has classes below 4096"));
        }
        assert_eq!(of(vec![4095], vec![0]).unwrap().count(0, 4095), 1);
    }

    #[test]
    fn a_confusion_matrix_can_be_read() {
        let matrix = ConfusionMatrix::new(&Indices::from(vec![0, 2, 2, 1]), &Indices::from(vec![0, 2, 1, 1])).unwrap();
        let expected = "\
true\\predicted  0  1  2   right
             0  1  ·  ·  100.0%
             1  ·  1  1   50.0%
             2  ·  ·  1  100.0%";
        assert_eq!(matrix.to_string(), expected);
        assert_eq!((matrix.classes(), matrix.count(1, 2), matrix.count(7, 0)), (3, 1, 0));
    }
}
