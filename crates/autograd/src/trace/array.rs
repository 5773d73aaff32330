//! The values of a trace: arrays as data, short or long.

use serde::{Deserialize, Serialize};

use super::number;
use crate::{elementary, real::Real, tensor::Tensor};

/// A value or a gradient: its shape, and its elements unless there are too many of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Array {
    /// The lengths of its axes; none for a number.
    pub shape: Vec<usize>,
    /// Its elements, row after row, if they were kept.
    #[serde(with = "number::list", default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<f64>>,
    /// The smallest element, NaN if there is none.
    #[serde(with = "number")]
    pub min: f64,
    /// The mean, NaN if there is no element.
    #[serde(with = "number")]
    pub mean: f64,
    /// The largest element, NaN if there is none.
    #[serde(with = "number")]
    pub max: f64,
}

impl Array {
    pub(crate) fn of<T: Real>(tensor: &Tensor<T>, max_elements: usize) -> Array {
        let mut array = Array::from_elements(tensor.shape(), tensor.as_slice().iter().map(|v| v.to_f64()).collect());
        array.elements = array.elements.filter(|elements| elements.len() <= max_elements);
        array
    }

    /// An array of these elements.
    pub(crate) fn from_elements(shape: &[usize], elements: Vec<f64>) -> Array {
        let or_nan = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) };
        let min = elements.iter().copied().reduce(or_nan).unwrap_or(f64::NAN);
        let max = elements.iter().map(|v| -v).reduce(or_nan).map_or(f64::NAN, |v| -v);
        let mean = if elements.is_empty() { f64::NAN } else { elements.iter().sum::<f64>() / elements.len() as f64 };
        Array { shape: shape.to_vec(), elements: Some(elements), min, mean, max }
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is a single number.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.shape.is_empty()
    }

    /// Whether every element is finite; not so if the extremes are unknown, unless there is no element.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.is_empty() || (self.min.is_finite() && self.max.is_finite())
    }

    /// The number, if it is a single one.
    #[must_use]
    pub fn item(&self) -> Option<f64> {
        match self.elements.as_deref() {
            Some([v]) => Some(*v),
            _ => None,
        }
    }

    /// The place of an element, axis by axis.
    #[must_use]
    pub fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (at, &length) in position.iter_mut().zip(&self.shape).rev() {
            *at = index % length.max(1);
            index /= length.max(1);
        }
        position
    }

    /// The index of the element that stands at a place of an array to which this one is stretched.
    pub(crate) fn index_under(&self, position: &[usize]) -> usize {
        let missing = position.len().saturating_sub(self.shape.len());
        let places = position[missing..].iter().zip(&self.shape);
        places.fold(0, |index, (&at, &length)| index * length + if length == 1 { 0 } else { at })
    }

    /// The elements in brackets, row by row, if there are at most `most`; else the first ones, and how many there are.
    #[must_use]
    pub fn short(&self, most: usize) -> String {
        let Some(elements) = &self.elements else { return self.summary() };
        if elements.len() > most {
            return self.summary();
        }
        let mut out = String::new();
        if self.shape.is_empty() {
            return elements.first().map(|v| elementary::number(*v)).unwrap_or_default();
        }
        if elements.is_empty() {
            return format!("no elements {:?}", self.shape);
        }
        for (i, v) in elements.iter().enumerate() {
            // A bracket for each axis that begins here, and one for each that ends.
            let opening = Self::turns(&self.shape, i);
            out += &"[".repeat(opening);
            out += &elementary::number(*v);
            let closing = Self::turns(&self.shape, i + 1);
            out += &"]".repeat(closing);
            if i + 1 < elements.len() {
                out += ", ";
            }
        }
        out
    }

    /// How many axes begin at element `i` of an array.
    fn turns(shape: &[usize], i: usize) -> usize {
        let mut block = 1;
        shape
            .iter()
            .rev()
            .take_while(|&&length| {
                block *= length;
                i.is_multiple_of(block)
            })
            .count()
    }

    /// Shape, extremes and mean.
    #[must_use]
    pub fn summary(&self) -> String {
        // What rounding has left of a sum that is 0 is no number to be read.
        let mean = if self.mean.abs() < 1e-12 * self.max.abs().max(self.min.abs()) { 0.0 } else { self.mean };
        let [min, mean, max] = [self.min, mean, self.max].map(elementary::number);
        format!("{:?}: {min} … {max}, mean {mean}", self.shape)
    }
}
