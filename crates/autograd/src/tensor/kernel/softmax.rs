//! Rows of exponentials: the largest element of each row and the sum of e^(x − largest), while the row is in the innermost cache; and the
//! gradient of the logarithm of such a sum.

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::of_lanes,
    threads,
};
use crate::{elementary::Numeric, error::Error, real::Real, shape::Shape, tensor::Tensor};

/// How many elements are looked at side by side.
const LANES: usize = 16;
/// After so many additions to each lane, the lanes are added to sums in double precision.
const SETTLE: usize = 16;

struct Rows<'a, T> {
    x: &'a [T],
    /// The length of a row.
    n: usize,
    /// Whether 0 stands in for a largest element that is infinite.
    is_finite: bool,
    largest: &'a mut [T],
    sums: &'a mut [T],
}

impl<T: Real> Kernel for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        // Loops count places: iterators would be left as calls in the middle of a kernel.
        for (i, row) in self.x.chunks(self.n).enumerate() {
            let (groups, rest) = row.as_chunks::<LANES>();
            // The last few are filled up with −∞, which adds 0.
            let mut last = [T::NEG_INFINITY; LANES];
            last[..rest.len()].copy_from_slice(rest);
            let mut largest = largest_of(groups, &last);
            let total = if largest.is_finite() {
                // Beside the 1 of the largest element, what is too small for the short way is nothing.
                sum_of_exp(groups, &last, largest, Numeric::exp_moderate::<FMA>)
            } else {
                if self.is_finite {
                    largest = T::ZERO;
                }
                sum_of_exp(groups, &last, largest, Numeric::exp::<FMA>)
            };
            self.largest[i] = largest;
            self.sums[i] = T::of(total);
        }
    }
}

/// The largest element; NaN is passed over.
#[inline(always)]
fn largest_of<T: Real>(groups: &[[T; LANES]], last: &[T; LANES]) -> T {
    // Four at a time, each in a register of its own: one would wait for itself.
    let (mut a, mut b, mut c, mut d) = (*last, *last, *last, *last);
    let (fours, few) = groups.as_chunks::<4>();
    for [w, x, y, z] in fours {
        take_larger(&mut a, w);
        take_larger(&mut b, x);
        take_larger(&mut c, y);
        take_larger(&mut d, z);
    }
    for x in few {
        take_larger(&mut a, x);
    }
    take_larger(&mut a, &b);
    take_larger(&mut c, &d);
    take_larger(&mut a, &c);
    of_lanes(&a, |a, b| if b > a { b } else { a })
}

/// Where an element of `x` is larger, takes it.
#[inline(always)]
fn take_larger<T: Real>(largest: &mut [T; LANES], x: &[T; LANES]) {
    for k in 0..LANES {
        largest[k] = if x[k] > largest[k] { x[k] } else { largest[k] };
    }
}

/// Σ e^(x − largest).
#[inline(always)]
fn sum_of_exp<T: Real>(groups: &[[T; LANES]], last: &[T; LANES], largest: T, exp: impl Fn(T) -> T) -> f64 {
    let mut totals = [0.0; LANES];
    for k in 0..LANES {
        totals[k] = exp(last[k] - largest).to_f64();
    }
    for groups in groups.chunks(SETTLE) {
        let mut lanes = [T::ZERO; LANES];
        for group in groups {
            for k in 0..LANES {
                lanes[k] += exp(group[k] - largest);
            }
        }
        for k in 0..LANES {
            totals[k] += lanes[k].to_f64();
        }
    }
    of_lanes(&totals, |a, b| a + b)
}

/// The largest element of each row of `n`, and the sum of e^(x − largest) over it, both of shape `kept`.
pub(crate) fn rows<T: Real>(x: &Tensor<T>, n: usize, kept: &Shape, is_finite: bool) -> Result<(Tensor<T>, Tensor<T>), Error> {
    let (mut largest, mut sums): (Buffer<T>, Buffer<T>) = (overwritten(kept.len())?, overwritten(kept.len())?);
    // Whole rows to each part.
    let rows = threads::rows_of_part(x.len(), n);
    if rows >= kept.len() {
        dispatch(Rows { x: x.as_slice(), n, is_finite, largest: &mut largest, sums: &mut sums });
        return Ok((Tensor::of(*kept, largest), Tensor::of(*kept, sums)));
    }
    let parts = x.as_slice().chunks(rows * n).zip(largest.chunks_mut(rows).zip(sums.chunks_mut(rows))).collect();
    threads::each(x.len(), parts, &|(x, (largest, sums)): (&[T], (&mut [T], &mut [T]))| {
        dispatch(Rows { x, n, is_finite, largest, sums });
    });
    Ok((Tensor::of(*kept, largest), Tensor::of(*kept, sums)))
}

struct Weighted<'a, T> {
    x: &'a [T],
    /// The length of a row.
    n: usize,
    /// The logarithm of the sum of each row, and the gradient by it.
    logarithms: &'a [T],
    g: &'a [T],
    d: &'a mut [T],
}

impl<T: Real> Kernel for Weighted<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (i, (x, d)) in self.x.chunks_exact(self.n).zip(self.d.chunks_exact_mut(self.n)).enumerate() {
            let (y, g) = (self.logarithms[i], self.g[i]);
            let ((x, x_rest), (d, d_rest)) = (x.as_chunks::<LANES>(), d.as_chunks_mut::<LANES>());
            for j in 0..x.len().min(d.len()) {
                d[j] = weighted_group::<T, FMA>(&x[j], y, g);
            }
            if !x_rest.is_empty() {
                let mut last = [y; LANES];
                last[..x_rest.len()].copy_from_slice(x_rest);
                d_rest.copy_from_slice(&weighted_group::<T, FMA>(&last, y, g)[..x_rest.len()]);
            }
        }
    }
}

/// g·e^(x − y) for a few elements of a row.
#[inline(always)]
fn weighted_group<T: Real, const FMA: bool>(x: &[T; LANES], y: T, g: T) -> [T; LANES] {
    let (mut all, mut is_moderate) = ([T::ZERO; LANES], g.is_finite());
    for k in 0..LANES {
        all[k] = x[k] - y;
        is_moderate &= all[k].is_moderate();
    }
    if is_moderate {
        for d in &mut all {
            *d = g.unmasked_mul::<FMA>(d.exp_moderate::<FMA>());
        }
    } else {
        for d in &mut all {
            *d = g.masked_mul::<FMA>(Numeric::exp::<FMA>(*d));
        }
    }
    all
}

/// g·e^(x − y), with a y and a g for each row of `n`, where 0·∞ is 0.
pub(crate) fn weighted<T: Real>(x: &Tensor<T>, n: usize, y: &Tensor<T>, g: &Tensor<T>) -> Result<Tensor<T>, Error> {
    let mut d = overwritten(x.len())?;
    let rows = threads::rows_of_part(x.len(), n);
    if rows >= y.len() {
        dispatch(Weighted { x: x.as_slice(), n, logarithms: y.as_slice(), g: g.as_slice(), d: &mut d });
    } else {
        let of_rows = y.as_slice().chunks(rows).zip(g.as_slice().chunks(rows));
        let parts = x.as_slice().chunks(rows * n).zip(d.chunks_mut(rows * n)).zip(of_rows);
        let parts = parts.map(|((x, d), (logarithms, g))| Weighted { x, n, logarithms, g, d }).collect();
        threads::each(x.len(), parts, &dispatch);
    }
    Ok(Tensor::of(*x.shape(), d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{function, tensor::kernel::pointwise::map};

    /// The kernel beside the formula that it is a short way for.
    fn compare<T: Real>(rows: usize, n: usize, special: &[f64]) {
        let x = (0..rows * n).map(|i| T::of((i * 7919 % 1000) as f64 * 0.01 - 5.0)).collect::<Vec<_>>();
        let mut x = Buffer::from(x);
        for (i, v) in special.iter().enumerate() {
            x[(i * 37 + 5) % (rows * n)] = T::of(*v);
        }
        let (shape, kept) = (Shape::new(&[rows, n]).unwrap(), Shape::new(&[rows, 1]).unwrap());
        let x = Tensor::of(shape, x);
        let y = Tensor::of(kept, (0..rows).map(|i| T::of(i as f64 * 0.5)).collect::<Buffer<T>>());
        let factors = [2.0, 0.0, -1.5, f64::INFINITY, f64::NAN];
        let g = Tensor::of(kept, (0..rows).map(|i| T::of(factors[i % factors.len()])).collect::<Buffer<T>>());
        let found = weighted(&x, n, &y, &g).unwrap();
        let expected = map(&function!(|x, y, g| g.masked_mul((x - y).exp())), [&x, &y, &g]).unwrap();
        for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
            let (found, expected) = (found.to_f64(), expected.to_f64());
            assert!(found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()), "{found} is not {expected}");
        }
    }

    #[test]
    fn the_gradient_of_the_logarithm_of_a_sum_is_its_formula_to_the_last_bit() {
        let special = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 90.0, -100.0, 700.0, -740.0, 1e30, -1e30];
        for (rows, n) in [(2, 3), (5, 16), (7, 33), (90, 1000)] {
            compare::<f32>(rows, n, &special);
            compare::<f64>(rows, n, &special);
            compare::<f32>(rows, n, &[]);
        }
    }

    #[test]
    fn sums_of_rows_are_those_of_the_exponentials() {
        for n in [2, 15, 16, 40, 1000] {
            let x = Tensor::of(Shape::new(&[3, n]).unwrap(), (0..3 * n).map(|i| (i * 31 % 97) as f64 - 60.0).collect::<Buffer<f64>>());
            let (largest, sums) = rows(&x, n, &Shape::new(&[3, 1]).unwrap(), false).unwrap();
            for i in 0..3 {
                let row = &x.as_slice()[i * n..(i + 1) * n];
                let most = row.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
                let sum: f64 = row.iter().map(|v| (v - most).exp()).sum();
                assert_eq!(largest.as_slice()[i], most);
                assert!((sums.as_slice()[i] - sum).abs() <= 1e-14 * sum);
            }
        }
    }
}
