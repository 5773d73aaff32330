//! Lists of tensors, such as all inputs or all gradients: random ones, their products, and how far they are apart.

use std::borrow::Borrow;

use super::function::fraction;
use crate::{error::Error, real::Real, tensor::Tensor};

/// References to all.
pub(super) fn refs<T: Real>(tensors: &[Tensor<T>]) -> Vec<&Tensor<T>> {
    tensors.iter().collect()
}

/// Numbers between ½ and 1½ of either sign, of the shape of each tensor.
pub(super) fn random_like<T: Real>(like: &[impl Borrow<Tensor<T>>], seed: u64) -> Result<Vec<Tensor<T>>, Error> {
    let one = |(k, like): (usize, &Tensor<T>)| {
        let number = |i: u64| {
            let place = (seed << 40) ^ ((k as u64) << 32) ^ (2 * i);
            T::of((0.5 + fraction(place)) * if fraction(place + 1) < 0.5 { -1.0 } else { 1.0 })
        };
        Tensor::new((0..like.len() as u64).map(number).collect::<Vec<_>>(), like.shape())
    };
    like.iter().map(Borrow::borrow).enumerate().map(one).collect()
}

/// The pairs of elements that stand in the same place.
fn pairs<'a, A: Real, B: Real>(a: &'a [impl Borrow<Tensor<A>>], b: &'a [impl Borrow<Tensor<B>>]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let lists = a.iter().map(Borrow::borrow).zip(b.iter().map(Borrow::borrow));
    lists.flat_map(|(a, b): (&Tensor<A>, &Tensor<B>)| a.as_slice().iter().zip(b.as_slice())).map(|(a, b)| (a.to_f64(), b.to_f64()))
}

/// All aᵢ·bᵢ.
pub(super) fn products<T: Real>(a: &[impl Borrow<Tensor<T>>], b: &[impl Borrow<Tensor<T>>]) -> Vec<f64> {
    pairs(a, b).map(|(a, b)| a * b).collect()
}

/// Σ aᵢ·bᵢ, and Σ |aᵢ·bᵢ| of those that are finite.
pub(super) fn dot<T: Real>(a: &[impl Borrow<Tensor<T>>], b: &[impl Borrow<Tensor<T>>]) -> (f64, f64) {
    let add = |(sum, size): (f64, f64), p: f64| (sum + p, if p.is_finite() { size + p.abs() } else { size });
    pairs(a, b).map(|(a, b)| a * b).fold((0.0, 0.0), add)
}

/// ε·Σ |aᵢ·bᵢ| of those that are finite: what the last digits of one list may do to the sum of products.
pub(super) fn rounding(a: &[impl Borrow<Tensor<f64>>], b: &[impl Borrow<Tensor<f64>>]) -> f64 {
    pairs(a, b).map(|(a, b)| (f64::EPSILON * a * b).abs()).filter(|v| v.is_finite()).sum()
}

/// The largest element that is finite, by size.
pub(super) fn largest<T: Real>(tensors: &[impl Borrow<Tensor<T>>]) -> f64 {
    let sizes = tensors.iter().map(Borrow::borrow).flat_map(Tensor::as_slice).map(|v| v.to_f64().abs());
    sizes.filter(|v| v.is_finite()).fold(0.0, f64::max)
}

/// The largest element of the difference; that of two infinities of one sign, or of two NaN, is 0.
pub(super) fn difference<A: Real, B: Real>(a: &[impl Borrow<Tensor<A>>], b: &[impl Borrow<Tensor<B>>]) -> f64 {
    let apart = |(a, b): (f64, f64)| match (a - b).abs() {
        _ if a == b || a.is_nan() && b.is_nan() => 0.0,
        apart if apart.is_nan() => f64::INFINITY,
        apart => apart,
    };
    pairs(a, b).map(apart).fold(0.0, f64::max)
}

/// The same, relative to the largest element of the second list.
pub(super) fn apart<A: Real, B: Real>(a: &[impl Borrow<Tensor<A>>], b: &[impl Borrow<Tensor<B>>]) -> f64 {
    let difference = difference(a, b);
    if difference == 0.0 { 0.0 } else { difference / largest(b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor;

    #[test]
    fn what_is_not_finite_is_the_same_only_as_itself() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(apart(&[tensor![nan, inf, 1.0]], &[tensor![nan, inf, 1.0]]), 0.0);
        assert_eq!(apart(&[tensor![inf, 1.5]], &[tensor![inf, 2.0]]), 0.25);
        assert_eq!(apart(&[tensor![nan, 1.0]], &[tensor![2.0, 1.0]]), inf);
        assert_eq!(apart(&[tensor![-inf, 1.0]], &[tensor![inf, 1.0]]), inf);
    }
}
