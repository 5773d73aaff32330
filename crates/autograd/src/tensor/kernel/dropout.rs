//! Dropout: the random numbers of `ChaCha8Rng`, many blocks side by side, and what is left of elements.

use super::{
    dispatch::{Kernel, dispatch},
    overwritten, threads,
};
use crate::{error::Error, real::Real, tensor::Tensor};

/// Words of a block, and blocks side by side.
const WORDS: usize = 16;
/// Numbers that are drawn at a time.
const DRAWN: usize = WORDS * WORDS;

/// One word of each of some blocks.
type Lanes = [u32; WORDS];

#[inline(always)]
fn plus(mut a: Lanes, b: Lanes) -> Lanes {
    for k in 0..WORDS {
        a[k] = a[k].wrapping_add(b[k]);
    }
    a
}

#[inline(always)]
fn turned<const BITS: u32>(mut a: Lanes, b: Lanes) -> Lanes {
    for k in 0..WORDS {
        a[k] = (a[k] ^ b[k]).rotate_left(BITS);
    }
    a
}

/// The quarter round of `ChaCha` (Bernstein 2008) on four words of the state.
#[inline(always)]
fn quarter(state: &mut [Lanes; WORDS], [p, q, r, s]: [usize; 4]) {
    let (mut a, mut b, mut c, mut d) = (state[p], state[q], state[r], state[s]);
    a = plus(a, b);
    d = turned::<16>(d, a);
    c = plus(c, d);
    b = turned::<12>(b, c);
    a = plus(a, b);
    d = turned::<8>(d, a);
    c = plus(c, d);
    b = turned::<7>(b, c);
    (state[p], state[q], state[r], state[s]) = (a, b, c, d);
}

/// The numbers of the stream from block `first` on.
#[inline(always)]
fn draw(key: &[u32; 8], first: u64, numbers: &mut [u32; DRAWN]) {
    let mut start = [[0; WORDS]; WORDS];
    // "expand 32-byte k"
    for (word, value) in [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574].into_iter().enumerate() {
        start[word] = [value; WORDS];
    }
    for word in 0..8 {
        start[4 + word] = [key[word]; WORDS];
    }
    for block in 0..WORDS {
        let counter = first.wrapping_add(block as u64);
        #[allow(clippy::cast_possible_truncation)] // both halves
        {
            (start[12][block], start[13][block]) = (counter as u32, (counter >> 32) as u32);
        }
    }
    let mut state = start;
    for _ in 0..4 {
        for q in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
            quarter(&mut state, q);
        }
        for q in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
            quarter(&mut state, q);
        }
    }
    for word in 0..WORDS {
        state[word] = plus(state[word], start[word]);
    }
    for block in 0..WORDS {
        for word in 0..WORDS {
            numbers[block * WORDS + word] = state[word][block];
        }
    }
}

struct Drop<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    key: &'a [u32; 8],
    first: u64,
    /// The largest number that drops an element.
    last: u32,
    factor: T,
}

impl<T: Real> Kernel for Drop<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Drop { x, y, key, first, last, factor } = self;
        let (mut numbers, mut block) = ([0; DRAWN], first);
        let (x, x_rest) = x.as_chunks::<DRAWN>();
        let (y, y_rest) = y.as_chunks_mut::<DRAWN>();
        for i in 0..x.len().min(y.len()) {
            draw(key, block, &mut numbers);
            block += WORDS as u64;
            let (x, y) = (&x[i], &mut y[i]);
            for k in 0..DRAWN {
                y[k] = if numbers[k] <= last { T::ZERO } else { x[k] * factor };
            }
        }
        if !x_rest.is_empty() {
            draw(key, block, &mut numbers);
            for k in 0..x_rest.len().min(y_rest.len()) {
                y_rest[k] = if numbers[k] <= last { T::ZERO } else { x_rest[k] * factor };
            }
        }
    }
}

/// Elements times a factor, but 0 where the number drawn for an element is below the limit, which is above 0 and at most 2³². The numbers are
/// those that `ChaCha8Rng` gives one after the other.
pub(crate) fn drop_at_random<T: Real>(x: &Tensor<T>, limit: f64, factor: T, key: [u8; 32]) -> Result<Tensor<T>, Error> {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ..= 2³² − 1
    let last = (limit.ceil() - 1.0) as u32;
    let mut y = overwritten(x.len())?;
    // Parts begin with a block.
    let part = threads::part_of(x.len());
    let parts = (0..).step_by(part).zip(y.chunks_mut(part)).collect();
    threads::each(x.len(), parts, &|(start, y): (usize, &mut [T])| {
        let x = &x.as_slice()[start..start + y.len()];
        dispatch(Drop { x, y, key: &words, first: (start / WORDS) as u64, last, factor });
    });
    Ok(Tensor::of(*x.shape(), y))
}

#[cfg(test)]
mod tests {
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_generator() {
        let x = Tensor::<f32>::ones([70_000]).unwrap();
        for (seed, limit) in [(7, 2e9), (u64::MAX, 0.5), (3, 4_294_967_296.0), (0, 3e8)] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let y = drop_at_random(&x, limit, 2.0, rng.get_seed()).unwrap();
            for v in y.as_slice() {
                assert_eq!(*v, if f64::from(rng.next_u32()) < limit { 0.0 } else { 2.0 });
            }
        }
    }

    #[test]
    fn the_counter_of_blocks_has_two_words() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (mut key, mut numbers) = ([0; 8], [0; DRAWN]);
        for (word, bytes) in key.iter_mut().zip(rng.get_seed().as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let first = (1 << 32) - 3;
        draw(&key, first, &mut numbers);
        rng.set_word_pos(u128::from(first) * WORDS as u128);
        assert!(numbers.iter().all(|n| *n == rng.next_u32()));
    }
}
