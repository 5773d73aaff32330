//! Matrix products of small and medium size: tiles of the result that stay in registers.
//!
//! Every element of the result is one chain of fused multiplications and additions for each depth of the inner length, whatever the size
//! and the place of the tile that it is computed in; or, of dot products, the sum of the chains in the lanes of one vector. So rows that are
//! computed apart have the same bits, if they go the same [`Way`].

use pulp::{Arch, NullaryFnOnce, Scalar, Simd};

use super::{
    lanes::{SQUARE, Transposes},
    matmul::{LARGE, Strides},
    overwritten,
};
use crate::{error::Error, real::Real};

/// So many bytes of a row are multiplied at a time: what they need of the right factor stays in the first cache.
const DEPTH: usize = 1 << 10;
/// The right factor is read where it stands if the rows of a panel lie within so many bytes.
const NEAR: usize = if cfg!(test) { 1 << 10 } else { 128 << 10 };
/// With fewer rows it is read where it stands as well: to bring it together would not pay.
const FEW: usize = 48;

/// `c = a·b`, or `c += a·b`; `a` is m×k, `b` is k×n, `c` is m×n and row-major.
pub(super) struct Operands<'a, T> {
    pub(super) size: (usize, usize, usize),
    pub(super) a: &'a [T],
    pub(super) a_at: Strides,
    pub(super) b: &'a [T],
    pub(super) b_at: Strides,
    pub(super) c: &'a mut [T],
    pub(super) accumulate: bool,
}

/// How a product is computed here, whole or by some of its rows at a time.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    arch: Arch,
    by_dots: bool,
}

/// The way of a product, if it is as fast as the library's.
pub(super) fn way<T: Real>((m, k, n): (usize, usize, usize), a_at: Strides, b_at: Strides) -> Option<Way> {
    if n == 1 && m > 1 {
        return way::<T>((1, k, m), (b_at.1, b_at.0), (a_at.1, a_at.0));
    }
    let is_known = (m == 1 || a_at.0 == 1 || a_at.1 == 1) && (b_at.0 == 1 || b_at.1 == 1);
    // The library is faster for few elements that are sums of many, writes results that are large beside the factors faster, reads a large factor
    // that is needed once faster, and has threads for few rows.
    let are_rows = a_at.1 == 1 && b_at.0 == 1 && k > 1;
    let is_block = are_rows && m > 1 && (m * n < 64 || (m * n <= 256 && k >= 128));
    let is_wide = k < 16 && m * n >= if k > 2 && n > 256 { 1 << 13 } else { 1 << 16 };
    let is_read = m == 1 && k * n * size_of::<T>() > 1 << 20;
    let multiplications = m.saturating_mul(k).saturating_mul(n);
    if !is_known || is_block || is_wide || is_read || (m < 16 && multiplications >= LARGE) {
        return None;
    }
    let arch = Arch::new();
    let pays = match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => multiplications <= if size_of::<T>() > 4 { 1 << 23 } else { 1 << 26 },
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => multiplications <= 1 << 17 && k > 2,
        _ => false,
    };
    pays.then_some(Way { arch, by_dots: are_rows && (m < 4 || (k >= 128 && (m < 8 || n < 16))) })
}

/// Multiplies.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory)
pub(super) fn multiply<T: Real>(way: Way, operands: Operands<'_, T>) -> Result<(), Error> {
    match way.arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => multiply_by(simd, way.by_dots, operands),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => multiply_by(simd, way.by_dots, operands),
        _ => multiply_by(Scalar::new(), way.by_dots, operands),
    }
}

fn multiply_by<S: Transposes, T: Real>(simd: S, by_dots: bool, operands: Operands<'_, T>) -> Result<(), Error> {
    let Operands { size: (m, k, n), a, a_at, b, b_at, c, accumulate } = operands;
    // A column is a row of the transposed product.
    let operands = if n == 1 {
        Operands { size: (1, k, m), a: b, a_at: (b_at.1, b_at.0), b: a, b_at: (a_at.1, a_at.0), c, accumulate }
    } else {
        Operands { size: (m, k, n), a, a_at, b, b_at, c, accumulate }
    };
    if by_dots {
        dots(simd, operands);
        return Ok(());
    }
    tiles(simd, operands)
}

/// Calls `$tile!(rows vectors)` with the size of a tile, as it is written in its type.
macro_rules! by_size {
    ($tile:ident, $rows:expr, $vectors:expr) => {
        match ($rows, $vectors) {
            (1, 8) => $tile!(1 8),
            (1, 4) => $tile!(1 4),
            (1, 2) => $tile!(1 2),
            (1, _) => $tile!(1 1),
            (2, 4) => $tile!(2 4),
            (2, 2) => $tile!(2 2),
            (2, _) => $tile!(2 1),
            (3, 4) => $tile!(3 4),
            (3, 2) => $tile!(3 2),
            (3, _) => $tile!(3 1),
            (4, 4) => $tile!(4 4),
            (4, 2) => $tile!(4 2),
            (4, _) => $tile!(4 1),
            (5, 2) => $tile!(5 2),
            (5, _) => $tile!(5 1),
            (6, 2) => $tile!(6 2),
            (6, _) => $tile!(6 1),
            (7, 2) => $tile!(7 2),
            (7, _) => $tile!(7 1),
            (_, 2) => $tile!(8 2),
            (_, _) => $tile!(8 1),
        }
    };
}
pub(super) use by_size;

/// How many rows a tile has at most, of two vectors: what there are registers for.
pub(super) const fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 8 } else { 5 }
}

/// How many vectors wide the tiles of so many rows are: those of few rows are wider, for enough sums at a time.
pub(super) const fn vectors_of<S: Simd>(rows: usize) -> usize {
    match rows {
        1 => 8,
        2 => 4,
        3 | 4 if S::REGISTER_COUNT >= 32 => 4,
        _ => 2,
    }
}

/// How much of the inner length is multiplied at a time.
pub(super) const fn depth_of<T>(k: usize) -> usize {
    let depth = DEPTH / size_of::<T>();
    if k < depth { k } else { depth }
}

/// Multiplies, tile by tile.
fn tiles<S: Transposes, T: Real>(simd: S, operands: Operands<'_, T>) -> Result<(), Error> {
    let Operands { size: (m, k, n), a, a_at, b, b_at: (b_row, b_column), c, accumulate } = operands;
    let most = vectors_of::<S>(m);
    let is_near = b_column == 1 && (m < FEW || depth_of::<T>(k) * b_row * size_of::<T>() < NEAR);
    let width = (most * T::lanes::<S>()).next_multiple_of(SQUARE);
    let mut scratch = overwritten(if is_near { 0 } else { depth_of::<T>(k) * width })?;
    for first in (0..k).step_by(depth_of::<T>(k)) {
        let depth = depth_of::<T>(k - first);
        let mut column = 0;
        while column < n {
            let vectors = (n - column).div_ceil(T::lanes::<S>()).min(most);
            let vectors = 1 << vectors.ilog2();
            let columns = (vectors * T::lanes::<S>()).min(n - column);
            let right = &b[first * b_row + column * b_column..];
            let (elements, step) = if is_near {
                (right, b_row)
            } else {
                let step = (vectors * T::lanes::<S>()).next_multiple_of(SQUARE);
                let panel = &mut scratch[..depth * step];
                if b_column == 1 {
                    simd.vectorize(Gather { simd, right, stride: b_row, columns, panel, step });
                } else {
                    simd.vectorize(Transpose { simd, right, stride: b_column, depth, columns, panel, step });
                }
                (&*panel, step)
            };
            // So many rows have elements for all vectors after them, if not of this row then of the next.
            let whole = elements.len().checked_sub(vectors * T::lanes::<S>()).map_or(0, |rest| rest / step + 1).min(depth);
            let panel = Panel { elements, step, depth, whole, columns, vectors };
            column_of_tiles(simd, m, &a[first * a_at.1..], a_at, &panel, &mut c[column..], n, accumulate || first > 0);
            column += columns;
        }
    }
    Ok(())
}

/// Some columns of the right factor, over a part of the inner length.
struct Panel<'a, T> {
    elements: &'a [T],
    /// From row to row.
    step: usize,
    depth: usize,
    /// So many of its rows can be read as whole vectors.
    whole: usize,
    columns: usize,
    vectors: usize,
}

/// All rows of some columns, in tiles of about the same number of rows.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn column_of_tiles<S: Transposes, T: Real>(
    simd: S,
    m: usize,
    a: &[T],
    a_at: Strides,
    panel: &Panel<'_, T>,
    c: &mut [T],
    n: usize,
    accumulate: bool,
) {
    let count = m.div_ceil(const { most_rows::<S>() });
    let mut row = 0;
    for i in 0..count {
        let rows = (m - row).div_ceil(count - i);
        let (a, c) = (&a[row * a_at.0..], &mut c[row * n..]);
        macro_rules! tile {
            ($rows:literal $vectors:literal) => {
                if a_at.1 == 1 {
                    simd.vectorize(Tile::<S, T, $rows, $vectors, false> { simd, a, stride: a_at.0, panel, c, n, accumulate });
                } else {
                    simd.vectorize(Tile::<S, T, $rows, $vectors, true> { simd, a, stride: a_at.1, panel, c, n, accumulate });
                }
            };
        }
        by_size!(tile, rows, panel.vectors);
        row += rows;
    }
}

/// Some rows of some columns. `a` begins with the first of the rows; its elements lie side by side along a row, or, `ACROSS`, along a column.
struct Tile<'a, S, T, const ROWS: usize, const VECTORS: usize, const ACROSS: bool> {
    simd: S,
    a: &'a [T],
    /// From row to row, or from column to column.
    stride: usize,
    panel: &'a Panel<'a, T>,
    c: &'a mut [T],
    n: usize,
    accumulate: bool,
}

impl<S: Transposes, T: Real, const ROWS: usize, const VECTORS: usize, const ACROSS: bool> NullaryFnOnce
    for Tile<'_, S, T, ROWS, VECTORS, ACROSS>
{
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Tile { simd, a, stride, panel: &Panel { elements, step, depth, whole, columns, .. }, c, n, accumulate } = self;
        let zero = T::splat(simd, T::ZERO);
        let mut sums = [[zero; VECTORS]; ROWS];
        let mut rows = [a; ROWS];
        if !ACROSS {
            for r in 0..ROWS {
                rows[r] = &a[r * stride..][..depth];
            }
        }
        let width = VECTORS * T::lanes::<S>();
        for l in 0..whole {
            if let Some(right) = T::vectors::<S>(&elements[l * step..][..width]).first_chunk() {
                add_products::<S, T, ROWS, VECTORS, ACROSS>(simd, &mut sums, &rows, stride, l, right);
            }
        }
        for l in whole..depth {
            let mut right = [zero; VECTORS];
            for (v, vector) in right.iter_mut().enumerate() {
                *vector = T::load(simd, elements.get(l * step + v * T::lanes::<S>()..).unwrap_or_default());
            }
            add_products::<S, T, ROWS, VECTORS, ACROSS>(simd, &mut sums, &rows, stride, l, &right);
        }
        for r in 0..ROWS {
            let c = &mut c[r * n..][..columns];
            if columns == width {
                let c = T::vectors_mut::<S>(&mut c[..width]);
                for v in 0..VECTORS {
                    c[v] = if accumulate { T::plus(simd, c[v], sums[r][v]) } else { sums[r][v] };
                }
                continue;
            }
            for v in 0..VECTORS {
                let end = columns.min((v + 1) * T::lanes::<S>());
                let c = &mut c[end.min(v * T::lanes::<S>())..end];
                let sum = if accumulate { T::plus(simd, T::load(simd, c), sums[r][v]) } else { sums[r][v] };
                T::store(simd, c, sum);
            }
        }
    }
}

/// Adds the products of a column of the left factor and a row of the right one.
#[inline(always)]
pub(super) fn add_products<S: Transposes, T: Real, const ROWS: usize, const VECTORS: usize, const ACROSS: bool>(
    simd: S,
    sums: &mut [[T::Vector<S>; VECTORS]; ROWS],
    rows: &[&[T]; ROWS],
    stride: usize,
    l: usize,
    right: &[T::Vector<S>; VECTORS],
) {
    let column = if ACROSS { &rows[0][l * stride..][..ROWS] } else { &[] };
    for r in 0..ROWS {
        let left = T::splat(simd, if ACROSS { column[r] } else { rows[r][l] });
        for v in 0..VECTORS {
            sums[r][v] = T::mul_add(simd, left, right[v], sums[r][v]);
        }
    }
}

/// Brings rows of the right factor together.
struct Gather<'a, S, T> {
    simd: S,
    right: &'a [T],
    stride: usize,
    columns: usize,
    panel: &'a mut [T],
    step: usize,
}

impl<S: Transposes, T: Real> NullaryFnOnce for Gather<'_, S, T> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Gather { simd, right, stride, columns, panel, step } = self;
        let vectors = columns / T::lanes::<S>();
        for (l, panel) in panel.chunks_exact_mut(step).enumerate() {
            let row = &right[l * stride..][..columns];
            let (from, to) = (T::vectors::<S>(row), T::vectors_mut::<S>(panel));
            to[..vectors].copy_from_slice(&from[..vectors]);
            if vectors * T::lanes::<S>() < columns {
                to[vectors] = T::load(simd, &row[vectors * T::lanes::<S>()..]);
            }
        }
    }
}

/// Brings columns of the right factor together, which lie apart, as rows of a panel.
pub(super) struct Transpose<'a, S, T> {
    pub(super) simd: S,
    pub(super) right: &'a [T],
    pub(super) stride: usize,
    pub(super) depth: usize,
    pub(super) columns: usize,
    pub(super) panel: &'a mut [T],
    pub(super) step: usize,
}

impl<S: Transposes, T: Real> NullaryFnOnce for Transpose<'_, S, T> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Transpose { simd, right, stride, depth, columns, panel, step } = self;
        for column in (0..columns).step_by(SQUARE) {
            // Beyond the last column it is repeated: something has to stand there.
            let mut from = [right; SQUARE];
            for q in 0..SQUARE {
                from[q] = &right[(column + q).min(columns - 1) * stride..][..depth];
            }
            if depth < SQUARE {
                for l in 0..depth {
                    for q in 0..SQUARE {
                        panel[l * step + column + q] = from[q][l];
                    }
                }
                continue;
            }
            // The last square begins where it ends with the rows, and repeats some of them.
            for l in (0..depth).step_by(SQUARE) {
                let l = l.min(depth - SQUARE);
                let mut square = [[T::ZERO; SQUARE]; SQUARE];
                for q in 0..SQUARE {
                    if let Some(row) = from[q][l..].first_chunk() {
                        square[q] = *row;
                    }
                }
                let square = T::transpose(simd, &square);
                for p in 0..SQUARE {
                    if let Some(row) = panel[(l + p) * step + column..].first_chunk_mut() {
                        *row = square[p];
                    }
                }
            }
        }
    }
}

/// Multiplies rows of the left factor by columns of the right one, both of which lie side by side.
#[inline(always)]
fn dots<S: Transposes, T: Real>(simd: S, operands: Operands<'_, T>) {
    let Operands { size: (m, k, n), a, a_at: (a_row, _), b, b_at: (_, b_column), c, accumulate } = operands;
    let mut row = 0;
    while row < m {
        let rows = if m - row > 1 { 2 } else { 1 };
        let mut column = 0;
        while column < n {
            let a = &a[row * a_row..];
            let b = &b[column * b_column..];
            let c = &mut c[row * n + column..];
            macro_rules! block {
                ($rows:literal $columns:literal) => {{
                    simd.vectorize(Dots::<S, T, $rows, $columns> { simd, k, a, a_row, b, b_column, c, n, accumulate });
                    $columns
                }};
            }
            column += match (rows, n - column) {
                (1, 8..) => block!(1 8),
                (1, 4..) => block!(1 4),
                (1, _) => block!(1 1),
                (_, 4..) => block!(2 4),
                (_, _) => block!(2 1),
            };
        }
        row += rows;
    }
}

/// Some rows of the left factor by some columns of the right one.
struct Dots<'a, S, T, const ROWS: usize, const COLUMNS: usize> {
    simd: S,
    k: usize,
    a: &'a [T],
    a_row: usize,
    b: &'a [T],
    b_column: usize,
    c: &'a mut [T],
    n: usize,
    accumulate: bool,
}

impl<S: Transposes, T: Real, const ROWS: usize, const COLUMNS: usize> NullaryFnOnce for Dots<'_, S, T, ROWS, COLUMNS> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Dots { simd, k, a, a_row, b, b_column, c, n, accumulate } = self;
        let mut sums = [[T::splat(simd, T::ZERO); COLUMNS]; ROWS];
        let mut rows = [a; ROWS];
        for r in 0..ROWS {
            rows[r] = &a[r * a_row..][..k];
        }
        let mut columns = [b; COLUMNS];
        for q in 0..COLUMNS {
            columns[q] = &b[q * b_column..][..k];
        }
        let whole = k / T::lanes::<S>();
        for l in 0..whole {
            for r in 0..ROWS {
                let left = T::vectors::<S>(rows[r])[l];
                for q in 0..COLUMNS {
                    sums[r][q] = T::mul_add(simd, left, T::vectors::<S>(columns[q])[l], sums[r][q]);
                }
            }
        }
        if whole * T::lanes::<S>() < k {
            for r in 0..ROWS {
                let left = T::load(simd, &rows[r][whole * T::lanes::<S>()..]);
                for q in 0..COLUMNS {
                    sums[r][q] = T::mul_add(simd, left, T::load(simd, &columns[q][whole * T::lanes::<S>()..]), sums[r][q]);
                }
            }
        }
        for r in 0..ROWS {
            let c = &mut c[r * n..][..COLUMNS];
            for q in 0..COLUMNS {
                let sum = T::total(simd, sums[r][q]);
                if accumulate {
                    c[q] += sum;
                } else {
                    c[q] = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    use pulp::x86::{V3, V4};

    use super::*;

    /// Small whole numbers, whose sums are exact in any order.
    fn whole<T: Real>(i: usize, by: usize) -> T {
        T::of((i * 7919 % by) as f64 - (by / 2) as f64)
    }

    fn strides(rows: usize, columns: usize, transposed: bool) -> Strides {
        if transposed { (1, rows) } else { (columns, 1) }
    }

    fn compare<S: Transposes, T: Real>(simd: S, size: (usize, usize, usize)) {
        let (m, k, n) = size;
        let (a, b): (Vec<T>, Vec<T>) = ((0..m * k).map(|i| whole(i, 11)).collect(), (0..k * n).map(|i| whole(i, 13)).collect());
        for case in 0..16 {
            let [is_a, is_b, accumulate, by_dots] = [1, 2, 4, 8].map(|bit| case & bit != 0);
            let (a_at, b_at) = (strides(m, k, is_a), strides(k, n, is_b));
            let (left, right) = if n == 1 { (b_at.0, a_at.1) } else { (a_at.1, b_at.0) };
            if by_dots && (left, right) != (1, 1) {
                continue;
            }
            let before = |i: usize| if accumulate { whole(i, 5) } else { T::of(f64::NAN) };
            let mut c: Vec<T> = (0..m * n).map(before).collect();
            multiply_by(simd, by_dots, Operands { size, a: &a, a_at, b: &b, b_at, c: &mut c, accumulate }).unwrap();
            for (place, found) in c.into_iter().enumerate() {
                let mut sum = if accumulate { before(place) } else { T::ZERO };
                for l in 0..k {
                    sum += a[place / n * a_at.0 + l * a_at.1] * b[l * b_at.0 + place % n * b_at.1];
                }
                assert_eq!(found, sum, "{size:?}, case {case}, element {place}");
            }
        }
    }

    fn compare_all<S: Transposes, T: Real>(simd: S) {
        for m in (1..=11).chain([17, 20]) {
            for k in [1, 2, 3, 8, 11] {
                for n in [1, 2, 3, 4, 5, 8, 9, 15, 17, 20] {
                    compare::<S, T>(simd, (m, k, n));
                }
            }
        }
        for size in [(1, 300, 130), (2, 257, 70), (3, 129, 140), (4, 128, 65), (9, 600, 33), (49, 260, 35), (50, 17, 70)] {
            compare::<S, T>(simd, size);
        }
    }

    /// Whole products beside the same by some rows at a time.
    fn compare_parts<S: Transposes, T: Real>(simd: S) {
        for (m, k, n) in [(9, 300, 33), (40, 129, 20), (61, 260, 40), (12, 70, 1)] {
            let (a, b): (Vec<T>, Vec<T>) =
                ((0..m * k).map(|i| T::of((i as f64 * 0.7).sin())).collect(), (0..k * n).map(|i| T::of((i as f64 * 1.3).cos())).collect());
            for case in 0..8 {
                let [is_a, is_b, by_dots] = [1, 2, 4].map(|bit| case & bit != 0);
                let (a_at, b_at) = (strides(m, k, is_a), strides(k, n, is_b));
                if by_dots && (is_a || !(is_b || n == 1)) {
                    continue;
                }
                let multiply = |first: usize, rows: usize, c: &mut [T]| {
                    let a = &a[first * a_at.0..];
                    multiply_by(simd, by_dots, Operands { size: (rows, k, n), a, a_at, b: &b, b_at, c, accumulate: false }).unwrap();
                };
                let (mut all, mut parts) = (vec![T::ZERO; m * n], vec![T::ZERO; m * n]);
                multiply(0, m, &mut all);
                for rows in [1, 3, 8] {
                    parts.fill(T::of(f64::NAN));
                    for first in (0..m).step_by(rows) {
                        let rows = rows.min(m - first);
                        multiply(first, rows, &mut parts[first * n..(first + rows) * n]);
                    }
                    assert!(all == parts, "{m}×{k}×{n}, case {case}, by {rows} rows");
                }
            }
        }
    }

    fn check<S: Transposes>(simd: S) {
        compare_all::<S, f32>(simd);
        compare_all::<S, f64>(simd);
        compare_parts::<S, f32>(simd);
        compare_parts::<S, f64>(simd);
    }

    #[test]
    fn products_are_right_with_every_instruction_set() {
        check(Scalar::new());
        #[cfg(target_arch = "x86_64")]
        {
            V3::try_new().into_iter().for_each(check);
            V4::try_new().into_iter().for_each(check);
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let mut a = [1.0_f32; 40 * 40];
        let mut b = [1.0_f32; 40 * 40];
        (a[3 * 40 + 7], b[7 * 40 + 5], b[39]) = (0.0, f32::INFINITY, f32::NAN);
        let mut c = [0.0; 40 * 40];
        let Some(way) = way::<f32>((40, 40, 40), (40, 1), (40, 1)) else { return };
        multiply(way, Operands { size: (40, 40, 40), a: &a, a_at: (40, 1), b: &b, b_at: (40, 1), c: &mut c, accumulate: false }).unwrap();
        for (i, v) in c.iter().enumerate() {
            match (i / 40, i % 40) {
                (3, 5) | (_, 39) => assert!(v.is_nan()),
                (_, 5) => assert_eq!(*v, f32::INFINITY),
                (3, _) => assert_eq!(*v, 39.0),
                _ => assert_eq!(*v, 40.0),
            }
        }
    }
}
