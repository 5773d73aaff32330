//! The workloads that the engine is measured by: one closure each, which does the whole work once and returns numbers to compare.
//!
//! The inputs come from a counter-based generator, so that other engines can be given the same numbers.

pub(crate) mod array;
pub(crate) mod network;
pub(crate) mod scalar;

use autograd::{Real, Tensor};

/// What a workload may fail with.
pub(crate) type Outcome<R> = Result<R, Box<dyn std::error::Error>>;

/// One thing to measure.
pub(crate) struct Work {
    /// Which workload, and which form of it.
    pub(crate) name: String,
    /// What is counted.
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    /// From the seconds of one call to the unit.
    pub(crate) convert: Box<dyn Fn(f64) -> f64>,
    /// Does it once. The numbers are a loss and chosen gradients.
    pub(crate) run: Box<dyn FnMut() -> Outcome<Vec<f64>>>,
}

impl Work {
    pub(crate) fn new(
        name: impl Into<String>,
        (metric, unit): (&'static str, &'static str),
        convert: impl Fn(f64) -> f64 + 'static,
        run: impl FnMut() -> Outcome<Vec<f64>> + 'static,
    ) -> Work {
        Work { name: name.into(), metric, unit, convert: Box::new(convert), run: Box::new(run) }
    }
}

/// The workloads that are called again and again, by number.
pub(crate) fn repeated(number: &str) -> Outcome<Vec<Work>> {
    Ok(match number {
        "W1" => scalar::chain(),
        "W2" => network::tiny()?,
        "W3" => network::classifier()?,
        "W4" => array::matmul()?,
        "W5" => network::deep()?,
        "W6" => array::pointwise()?,
        "W7" => array::cross_entropy_of_many()?,
        "W9" => network::curvature()?,
        "W10" => array::convolution()?,
        "W11" => array::mixture()?,
        _ => Vec::new(),
    })
}

/// Numbers of splitmix64, uniform in [−scale, scale) with 24 bits.
pub(crate) fn fill<T: Real>(seed: u64, n: usize, scale: f64) -> Vec<T> {
    (1..=n as u64)
        .map(|i| {
            let mut z = seed.wrapping_mul(0xD1B5_4A32_D192_ED03).wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            T::of(((z >> 40) as f64 / f64::from(1 << 24) * 2.0 - 1.0) * scale)
        })
        .collect()
}

/// The same as a tensor.
pub(crate) fn filled<T: Real>(seed: u64, shape: &[usize], scale: f64) -> Outcome<Tensor<T>> {
    Ok(Tensor::new(fill(seed, shape.iter().product(), scale), shape)?)
}

/// One element of a tensor, as a number to compare.
pub(crate) fn at<T: Real>(tensor: &Tensor<T>, i: usize) -> f64 {
    tensor.as_slice()[i].to_f64()
}
