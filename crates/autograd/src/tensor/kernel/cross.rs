//! Transposing in tiles: elements that stand next to each other go far apart, and the other way round.

use super::dispatch::Kernel;
use crate::real::Real;

/// Elements of a tile that stand next to each other: those of one line of the cache, or two.
pub(super) const ACROSS: usize = 16;
/// Elements of a tile that stand far apart: there are lines for so many, even if all fall into one set of the innermost cache.
const DOWN: usize = 8;

/// Element `j` of row `i` of the result comes from `at + i + j·stride`.
pub(super) struct Cross<'a, T> {
    pub(super) from: &'a [T],
    pub(super) at: usize,
    pub(super) stride: isize,
    /// From the first element of the first row on.
    pub(super) to: &'a mut [T],
    /// From one row to the next.
    pub(super) step: usize,
    pub(super) rows: usize,
    /// The elements of a row.
    pub(super) n: usize,
}

impl<T: Real> Kernel for Cross<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Cross { from, at, stride, to, step, rows, n } = self;
        let mut i = 0;
        while i < rows {
            let height = if rows - i < ACROSS { rows - i } else { ACROSS };
            let mut j = 0;
            while j < n {
                let at = at.wrapping_add_signed(j.cast_signed() * stride) + i;
                let to = &mut to[i * step + j..];
                if height == ACROSS && j + DOWN <= n {
                    tile(from, at, stride, to, step);
                    j += DOWN;
                } else {
                    for k in 0..height {
                        to[k * step] = from[at + k];
                    }
                    j += 1;
                }
            }
            i += ACROSS;
        }
    }
}

#[inline(always)]
fn tile<T: Real>(from: &[T], at: usize, stride: isize, to: &mut [T], step: usize) {
    let mut lines = [[T::ZERO; ACROSS]; DOWN];
    for (j, to) in lines.iter_mut().enumerate() {
        let Some(line) = from.get(at.wrapping_add_signed(j.cast_signed() * stride)..).and_then(|from| from.first_chunk()) else { return };
        *to = *line;
    }
    for i in 0..ACROSS {
        let Some(row) = to.get_mut(i * step..).and_then(|to| to.first_chunk_mut::<DOWN>()) else { return };
        for (to, line) in row.iter_mut().zip(&lines) {
            *to = line[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        shape::Shape,
        tensor::{
            Tensor,
            kernel::{Buffer, movement::permute},
        },
    };

    #[test]
    fn axes_are_permuted_in_tiles_as_they_are_one_by_one() {
        let cases: [(&[usize], &[usize]); 8] = [
            (&[33, 50], &[1, 0]),
            (&[4, 9], &[1, 0]),
            (&[300, 257], &[1, 0]),
            (&[90000, 5], &[1, 0]),
            (&[3, 17, 40], &[0, 2, 1]),
            (&[6, 70, 80], &[2, 1, 0]),
            (&[5, 6, 31, 18], &[3, 0, 2, 1]),
            (&[8, 30, 17, 20], &[0, 2, 3, 1]),
        ];
        for (lengths, axes) in cases {
            let shape = Shape::new(lengths).unwrap();
            let x = Tensor::of(shape, (0..shape.len()).map(|i| i as f32).collect::<Buffer<f32>>());
            let y = permute(&x, axes).unwrap();
            let (own, strides) = (shape.strides(), y.shape().strides());
            for (at, v) in y.as_slice().iter().enumerate() {
                let from = (0..axes.len()).map(|axis| at / strides[axis] % y.shape()[axis] * own[axes[axis]]).sum::<usize>();
                assert_eq!(*v, from as f32, "{lengths:?} {axes:?}");
            }
        }
    }
}
