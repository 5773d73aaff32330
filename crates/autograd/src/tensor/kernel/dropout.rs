//! Dropout: random numbers, a block at a time, and what is left of elements.

use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::{
    dispatch::{Kernel, dispatch},
    overwritten, threads,
};
use crate::{error::Error, real::Real, tensor::Tensor};

/// So many numbers are drawn before they are looked at.
const DRAWN: usize = 1024;
/// Bytes of a number.
const BYTES: usize = size_of::<u32>();

/// Elements times a factor, but 0 where the number drawn for one is at most `last`.
struct Dropping<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    numbers: &'a [[u8; BYTES]],
    last: u32,
    factor: T,
}

impl<T: Real> Kernel for Dropping<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Dropping { x, y, numbers, last, factor } = self;
        let n = x.len().min(y.len()).min(numbers.len());
        let (x, y, numbers) = (&x[..n], &mut y[..n], &numbers[..n]);
        for i in 0..n {
            let kept = x[i] * factor;
            y[i] = if u32::from_le_bytes(numbers[i]) <= last { T::ZERO } else { kept };
        }
    }
}

/// Elements times a factor, but 0 where the number drawn for an element is below the limit, which is above 0 and at most 2³². The numbers are
/// those that the generator gives one after the other.
pub(crate) fn drop_at_random<T: Real>(x: &Tensor<T>, limit: f64, factor: T, rng: &ChaCha8Rng) -> Result<Tensor<T>, Error> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ..= 2³² − 1
    let last = (limit.ceil() - 1.0) as u32;
    let mut y = overwritten(x.len())?;
    let part = threads::part_of(x.len());
    let parts = (0..).step_by(part).zip(y.chunks_mut(part)).collect();
    threads::each(x.len(), parts, &|(start, y): (usize, &mut [T])| {
        let (mut rng, mut numbers) = (rng.clone(), [[0; BYTES]; DRAWN]);
        rng.set_word_pos(start as u128);
        for (x, y) in x.as_slice()[start..].chunks(DRAWN).zip(y.chunks_mut(DRAWN)) {
            let numbers = &mut numbers[..y.len()];
            rng.fill_bytes(numbers.as_flattened_mut());
            dispatch(Dropping { x, y, numbers, last, factor });
        }
    });
    Ok(Tensor::of(*x.shape(), y))
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_generator() {
        let x = Tensor::<f32>::ones([70_000]).unwrap();
        for (seed, limit) in [(7, 2e9), (u64::MAX, 0.5), (3, 4_294_967_296.0), (0, 3e8)] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let y = drop_at_random(&x, limit, 2.0, &rng).unwrap();
            for v in y.as_slice() {
                assert_eq!(*v, if f64::from(rng.next_u32()) < limit { 0.0 } else { 2.0 });
            }
        }
    }
}
