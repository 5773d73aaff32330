//! Positions in the order of values: of all elements of a lane, or of the first few.

use std::mem::size_of;

use super::{
    dispatch::{Kernel, dispatch},
    threads,
};
use crate::real::Real;

/// Elements are looked at in groups of so many.
const GROUP: usize = 16;

/// An integer for each element, in the order of the numbers, with the position behind it: equal elements keep their order, and what is compared is
/// one integer, without a branch.
trait Key: Copy + Ord + Send {
    /// More than any key.
    const MOST: Self;
    fn new(bits: u64, position: usize) -> Self;
    fn position(self) -> usize;
}

/// In double precision the last bits of an f32 are 0: there is room for a position.
const POSITION: u32 = 29;

impl Key for u64 {
    const MOST: u64 = u64::MAX;
    #[inline(always)]
    fn new(bits: u64, position: usize) -> u64 {
        bits >> POSITION << POSITION | position as u64
    }
    #[inline(always)]
    fn position(self) -> usize {
        (self & ((1 << POSITION) - 1)) as usize
    }
}

impl Key for u128 {
    const MOST: u128 = u128::MAX;
    #[inline(always)]
    fn new(bits: u64, position: usize) -> u128 {
        u128::from(bits) << 64 | position as u128
    }
    #[inline(always)]
    fn position(self) -> usize {
        self as usize // the lower half
    }
}

/// The order of numbers: NaN counts as larger than all others, as in PyTorch and `NumPy`, and 0 and −0 are equal.
#[inline(always)]
fn bits<T: Real>(v: T, descending: bool) -> u64 {
    let bits = (v.to_f64() + 0.0).to_bits();
    // The bits of positive numbers are in order, those of negative ones in reverse; the sign comes first.
    let flipped = bits ^ ((bits.cast_signed() >> 63).cast_unsigned() | 1 << 63);
    let bits = if v.is_nan() { u64::MAX } else { flipped };
    if descending { !bits } else { bits }
}

/// The keys of a lane, whose elements are `step` apart.
struct Prepare<'a, T, K> {
    x: &'a [T],
    step: usize,
    descending: bool,
    keys: &'a mut [K],
}

impl<T: Real, K: Key> Kernel for Prepare<'_, T, K> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Prepare { x, step, descending, keys } = self;
        if step == 1 {
            let x = &x[..keys.len()];
            for i in 0..keys.len() {
                keys[i] = K::new(bits(x[i], descending), i);
            }
        } else {
            for i in 0..keys.len() {
                keys[i] = K::new(bits(x[i * step], descending), i);
            }
        }
    }
}

/// Brings the first `k` keys to the front of `best`, in any order. So many are kept that could be among them, at most as many as `best` is long, which is
/// more than `k` by a group at least; when it is full, only the first `k` remain, and what comes after them is passed over.
struct Few<'a, K> {
    keys: &'a [K],
    k: usize,
    best: &'a mut [K],
}

impl<K: Key> Kernel for Few<'_, K> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Few { keys, k, best } = self;
        let (mut kept, mut bound) = (0, K::MOST);
        let (groups, rest) = keys.as_chunks::<GROUP>();
        for group in groups {
            let mut found = false;
            for key in group {
                found |= *key < bound;
            }
            if found {
                (kept, bound) = keep(group, (kept, bound), k, best);
            }
        }
        (kept, _) = keep(rest, (kept, bound), k, best);
        cut(&mut best[..kept], k);
    }
}

/// Keeps what is before the bound.
#[inline(always)]
fn keep<K: Key>(group: &[K], (mut kept, mut bound): (usize, K), k: usize, best: &mut [K]) -> (usize, K) {
    for key in group {
        best[kept] = *key;
        kept += usize::from(*key < bound);
    }
    if kept + GROUP > best.len() {
        bound = cut(&mut best[..kept], k);
        kept = k;
    }
    (kept, bound)
}

/// Brings the first `k` to the front, and gives the last of them.
#[inline(never)]
fn cut<K: Key>(best: &mut [K], k: usize) -> K {
    *best.select_nth_unstable(k - 1).1
}

/// For each lane along the axis in the middle of `around`, the positions of the first `k` of its elements in order.
pub(crate) fn first<T: Real>(x: &[T], around: (usize, usize, usize), k: usize, descending: bool) -> Vec<usize> {
    if size_of::<T>() == size_of::<f32>() && around.1 < 1 << POSITION {
        first_by::<T, u64>(x, around, k, descending)
    } else {
        first_by::<T, u128>(x, around, k, descending)
    }
}

fn first_by<T: Real, K: Key>(x: &[T], (rows, len, inner): (usize, usize, usize), k: usize, descending: bool) -> Vec<usize> {
    let mut first = vec![0; rows * k * inner];
    if first.is_empty() {
        return first;
    }
    // Beyond so many elements, those that are first so far are kept apart.
    let room = 2 * k.max(GROUP) + GROUP;
    let room = if room < len { room } else { 0 };
    // Whole rows to each part.
    let part = threads::rows_of_part(x.len(), len * inner);
    let parts = x.chunks(part * len * inner).zip(first.chunks_mut(part * k * inner));
    threads::all(x.len(), parts, &|(x, first): (&[T], &mut [usize])| {
        let (mut keys, mut best) = (vec![K::MOST; len], vec![K::MOST; room]);
        for (x, first) in x.chunks(len * inner).zip(first.chunks_mut(k * inner)) {
            for column in 0..inner {
                dispatch(Prepare { x: &x[column..], step: inner, descending, keys: &mut keys });
                let lane = if k == len {
                    &mut keys[..]
                } else if room > 0 {
                    dispatch(Few { keys: &keys, k, best: &mut best });
                    &mut best[..k]
                } else {
                    cut(&mut keys, k);
                    &mut keys[..k]
                };
                lane.sort_unstable();
                for i in 0..k {
                    first[i * inner + column] = lane[i].position();
                }
            }
        }
    });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare<T: Real>(rows: usize, len: usize, inner: usize) {
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-40, -1e-40, -f64::NAN];
        let value = |i: usize| if i % 23 < special.len() { special[i % 23] } else { (i * 7919 % 101) as f64 * 0.37 - 15.0 };
        let x: Vec<T> = (0..rows * len * inner).map(|i| T::of(value(i))).collect();
        for (k, descending) in [(0, true), (1, false), (2, true), (7, false), (30, true), (len / 2, true), (len, false), (len, true)] {
            let k = k.min(len);
            let found = first(&x, (rows, len, inner), k, descending);
            for lane in 0..rows * inner {
                let (row, column) = (lane / inner, lane % inner);
                let v = |i: &usize| x[(row * len + i) * inner + column].to_f64();
                let mut all: Vec<usize> = (0..len).collect();
                all.sort_by(|a, b| {
                    let (a, b) = (v(a), v(b));
                    let order = a.partial_cmp(&b).unwrap_or(a.is_nan().cmp(&b.is_nan()));
                    if descending { order.reverse() } else { order }
                });
                let found: Vec<usize> = (0..k).map(|i| found[(row * k + i) * inner + column]).collect();
                assert_eq!(found, all[..k], "{k} of {len}, {descending}");
            }
        }
    }

    #[test]
    fn the_first_few_are_those_of_the_whole_order() {
        for (rows, len, inner) in [(2, 5, 1), (3, 64, 2), (2, 700, 1), (90, 1000, 1)] {
            compare::<f32>(rows, len, inner);
            compare::<f64>(rows, len, inner);
        }
    }

    #[test]
    fn lanes_in_order_and_in_reverse() {
        let rising: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        assert_eq!(first(&rising, (1, 3000, 1), 20, true), (2980..3000).rev().collect::<Vec<_>>());
        assert_eq!(first(&rising, (1, 3000, 1), 20, false), (0..20).collect::<Vec<_>>());
    }
}
