//! Matrix products: shapes and batches, and which of three kernels multiplies: plain loops, tiles (`gemm`) or a library.

use super::{
    dispatch::{Kernel, dispatch},
    gemm::{self, Operands},
    overwritten,
    pointwise::add_to,
    threads,
    walk::Walk,
};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// A matrix inside a slice: the distances between rows and between columns.
pub(crate) type Strides = (usize, usize);

/// The element types that have a matrix product.
pub trait Gemm: Sized {
    /// `c = a·b`, or `c += a·b` if `accumulate`; `a` is m×k, `b` is k×n, `c` is m×n and row-major.
    #[doc(hidden)]
    fn gemm(pair: &Pair, a: &[Self], b: &[Self], c: &mut [Self], accumulate: bool);
    /// The same for some or all rows of a product, in the way that was chosen for the whole.
    #[doc(hidden)]
    fn gemm_by(way: Way, pair: &Pair, a: &[Self], b: &[Self], c: &mut [Self], accumulate: bool);
}

/// Who multiplies.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// Plain loops.
    Tiny,
    /// Tiles that stay in registers.
    Tiles(gemm::Way),
    /// The library, with so many threads.
    Library(gemm_common::Parallelism),
}

/// Two matrices that are multiplied, and how their elements stand.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Rows, inner length, columns.
    pub(super) size: (usize, usize, usize),
    pub(super) a: Strides,
    pub(super) b: Strides,
}

impl Pair {
    /// That of two tensors of two axes, each transposed or not; none if they do not fit. It is the most frequent product, and plans no more.
    #[inline(always)]
    pub(crate) fn of(a: &Shape, transpose_a: bool, b: &Shape, transpose_b: bool) -> Option<Pair> {
        let (&[a_rows, a_columns], &[b_rows, b_columns]) = (&a[..], &b[..]) else { return None };
        let ((m, k), a) = laid(a_rows, a_columns, transpose_a);
        let ((other_k, n), b) = laid(b_rows, b_columns, transpose_b);
        (k == other_k).then_some(Pair { size: (m, k, n), a, b })
    }

    /// Rows and columns of the product.
    #[inline(always)]
    pub(crate) fn dims(&self) -> [usize; 2] {
        [self.size.0, self.size.2]
    }

    /// Adds the product to `c`, or overwrites it.
    #[inline(always)]
    pub(crate) fn run<T: Real>(&self, a: &[T], b: &[T], c: &mut [T], accumulate: bool) {
        let (m, k, n) = self.size;
        if m * n == 0 {
            return;
        }
        if k > 0 {
            T::gemm(self, a, b, c, accumulate);
        } else if !accumulate {
            c[..m * n].fill(T::ZERO);
        }
    }
}

/// Rows and columns of a matrix that is read as it is or transposed, and the distances between them.
#[inline(always)]
fn laid(rows: usize, columns: usize, is_transposed: bool) -> ((usize, usize), Strides) {
    if is_transposed { ((columns, rows), (1, columns)) } else { ((rows, columns), (columns, 1)) }
}

/// How two tensors are multiplied: as vectors, matrices or batches of matrices, each transposed or not.
#[derive(Debug)]
pub(crate) struct Product<'s> {
    /// The shape of the result.
    pub(crate) shape: Shape,
    pair: Pair,
    /// Elements of one matrix of each.
    lens: (usize, usize),
    /// Of vectors and matrices there is none.
    batch: Option<Batch<'s>>,
}

/// The batches of matrices in a product.
#[derive(Debug)]
struct Batch<'s> {
    a: &'s [usize],
    b: &'s [usize],
    /// That of the factors, stretched to each other.
    shape: Shape,
    /// That of the result, where products are summed.
    sums: Option<&'s [usize]>,
}

/// Rows and columns of the matrices in a tensor, and the lengths of the batch. A vector is a row on the left, a column on the right.
fn matrices(shape: &Shape, is_left: bool) -> Result<(usize, usize, &[usize]), Error> {
    match shape[..] {
        [] => Err(ErrorKind::Rank { expected: "at least 1 axis", found: 0 }.into()),
        [n] => Ok(if is_left { (1, n, &[]) } else { (n, 1, &[]) }),
        [ref batch @ .., rows, columns] => Ok((rows, columns, batch)),
    }
}

impl<'s> Product<'s> {
    pub(crate) fn new(a: &'s Shape, transpose_a: bool, b: &'s Shape, transpose_b: bool) -> Result<Product<'s>, Error> {
        let (rows, columns, a_batch) = matrices(a, true)?;
        let ((m, k), a_strides) = laid(rows, columns, transpose_a && a.rank() > 1);
        let (rows, columns, b_batch) = matrices(b, false)?;
        let ((other_k, n), b_strides) = laid(rows, columns, transpose_b && b.rank() > 1);
        if k != other_k {
            return Err(ErrorKind::Inner { left: k, right: other_k }.into());
        }
        let batch = if a_batch.is_empty() && b_batch.is_empty() {
            None
        } else {
            let shape = Shape::new(a_batch)?.broadcast(&Shape::new(b_batch)?)?;
            Some(Batch { a: a_batch, b: b_batch, shape, sums: None })
        };
        let matrix = match (a.rank() > 1, b.rank() > 1) {
            (true, true) => &[m, n][..],
            (true, false) => &[m],
            (false, true) => &[n],
            (false, false) => &[],
        };
        let shape = match &batch {
            None => Shape::new(matrix)?,
            Some(batch) => Shape::joined(&[&batch.shape, matrix])?,
        };
        let pair = Pair { size: (m, k, n), a: a_strides, b: b_strides };
        // Products of some of the axes of a valid shape.
        Ok(Product { shape, pair, lens: (m * k, k * n), batch })
    }

    /// The batch of the factors, stretched to each other.
    pub(crate) fn batch(&self) -> &[usize] {
        self.batch.as_ref().map_or(&[], |batch| &batch.shape)
    }

    /// Sums the products over the axes along which the matrices of `to` were stretched to the batch: what undoes broadcasting.
    pub(crate) fn sum_to(mut self, to: &'s Shape) -> Result<Product<'s>, Error> {
        if self.shape == *to {
            return Ok(self);
        }
        let matrix = self.shape.rank() - self.batch().len();
        let fits = to.stretches_to(&self.shape) && to.rank() >= matrix && to[to.rank() - matrix..] == self.shape[self.batch().len()..];
        match &mut self.batch {
            Some(batch) if fits => batch.sums = Some(&to[..to.rank() - matrix]),
            _ => return Err(ErrorKind::Stretch { from: *to, to: self.shape }.into()),
        }
        self.shape = *to;
        Ok(self)
    }

    /// The same, if there is something to sum to.
    fn summed(self, to: Option<&'s Shape>) -> Result<Product<'s>, Error> {
        match to {
            Some(to) => self.sum_to(to),
            None => Ok(self),
        }
    }

    /// Adds to `c`, or overwrites it.
    pub(crate) fn run<T: Real>(&self, a: &[T], b: &[T], c: &mut [T], accumulate: bool) {
        let Some(batch) = &self.batch else {
            return self.pair.run(a, b, c, accumulate);
        };
        let Pair { size: (m, k, n), a: a_at, .. } = self.pair;
        if c.is_empty() {
            return;
        }
        if k == 0 {
            if !accumulate {
                c.fill(T::ZERO);
            }
            return;
        }
        let is_summed = batch.sums.is_some_and(|sums| sums.iter().product::<usize>() != batch.shape.len());
        // A batch of matrices times one matrix is one product with more rows.
        if !is_summed && batch.b.iter().all(|&n| n == 1) && a_at == (k, 1) {
            let whole = Pair { size: (batch.shape.len() * m, k, n), ..self.pair };
            return whole.run(a, b, c, accumulate);
        }
        let sums = batch.sums.unwrap_or(&batch.shape);
        let [a_walk, b_walk, walk] = [batch.a, batch.b, sums].map(|part| Walk::stretch_lengths(part, &batch.shape));
        let multiply = |i: usize, c: &mut [T], accumulate: bool| {
            let (a, b) = (&a[a_walk.place(i) * self.lens.0..], &b[b_walk.place(i) * self.lens.1..]);
            self.pair.run(a, b, c, accumulate);
        };
        let multiplications = batch.shape.len().saturating_mul(m).saturating_mul(k).saturating_mul(n);
        if !is_summed && is_worth_sharing(multiplications) {
            // The products of a batch share nothing but what they read.
            let count = batch.shape.len().div_ceil(8 * threads::count()).max(1);
            let parts = (0..).step_by(count).zip(c.chunks_mut(count * m * n)).collect();
            threads::each(usize::MAX, parts, &|(first, c): (usize, &mut [T])| {
                (first..).zip(c.chunks_mut(m * n)).for_each(|(i, c)| multiply(i, c, accumulate));
            });
            return;
        }
        if is_summed && !accumulate {
            c.fill(T::ZERO);
        }
        // One sum of many products: parts have sums of their own, whoever computes them.
        if sums.iter().all(|&n| n == 1)
            && batch.shape.len() >= 2 * SUMS
            && multiplications >= SHARED.0.max(64 * SUMS * m * n)
            && let Ok(mut parts) = overwritten(SUMS * m * n)
        {
            let of_part = |part: usize| part * batch.shape.len() / SUMS;
            threads::each(
                if multiplications >= SHARED.1 { usize::MAX } else { 0 },
                parts.chunks_mut(m * n).enumerate().collect(),
                &|(part, c): (usize, &mut [T])| {
                    for i in of_part(part)..of_part(part + 1) {
                        multiply(i, c, i > of_part(part));
                    }
                },
            );
            parts.chunks(m * n).for_each(|part| add_to(c, part));
            return;
        }
        for i in 0..batch.shape.len() {
            multiply(i, &mut c[walk.place(i) * m * n..], accumulate || is_summed);
        }
    }
}

/// a·b, each transposed or not; the products of a batch are summed to `to`, if it is given. What `under` writes first, if it says so, is
/// added to.
pub(crate) fn matmul<T: Real>(
    (a, transpose_a): (&Tensor<T>, bool),
    (b, transpose_b): (&Tensor<T>, bool),
    to: Option<&Shape>,
    under: impl FnOnce(&mut [T]) -> bool,
) -> Result<Tensor<T>, Error> {
    if let Some(pair) = Pair::of(a.shape(), transpose_a, b.shape(), transpose_b)
        && to.is_none_or(|to| to[..] == pair.dims())
    {
        let shape = Shape::new(&pair.dims())?;
        let mut c = overwritten(shape.len())?;
        let accumulate = under(&mut c);
        pair.run(a.as_slice(), b.as_slice(), &mut c, accumulate);
        return Ok(Tensor::of(shape, c));
    }
    let product = Product::new(a.shape(), transpose_a, b.shape(), transpose_b)?.summed(to)?;
    let mut c = overwritten(product.shape.len())?;
    let accumulate = under(&mut c);
    product.run(a.as_slice(), b.as_slice(), &mut c, accumulate);
    Ok(Tensor::of(product.shape, c))
}

/// Adds such a product to `sum`, which has its shape.
pub(crate) fn add_matmul<T: Real>(
    (a, transpose_a): (&Tensor<T>, bool),
    (b, transpose_b): (&Tensor<T>, bool),
    to: Option<&Shape>,
    sum: &mut [T],
) -> Result<(), Error> {
    let product = Product::new(a.shape(), transpose_a, b.shape(), transpose_b)?.summed(to)?;
    product.run(a.as_slice(), b.as_slice(), sum, true);
    Ok(())
}

/// A sum of many products is divided into so many.
const SUMS: usize = 8;
/// Products of at most this many multiplications are done by plain loops: the library's preparations would cost more.
const TINY: usize = 512;
/// Products of at least this many multiplications are worth a second thread; outside the pool, which then has to be woken, many more.
const SHARED: (usize, usize) = (1 << 21, 1 << 23);
/// Products of at least this many multiplications are given to the library's threads where they cannot be divided by rows.
pub(super) const LARGE: usize = 1 << 24;
/// A part of a shared product has rows in multiples of this many, which are computed together: here, and by the library.
const TILES: (usize, usize) = (8, 6);

/// The element after the last one that a matrix of this size touches.
fn reach(rows: usize, columns: usize, (row, column): Strides) -> usize {
    (rows - 1) * row + (columns - 1) * column + 1
}

/// A product that is too small for the others.
struct Tiny<'a, T> {
    pair: Pair,
    a: &'a [T],
    b: &'a [T],
    c: &'a mut [T],
    accumulate: bool,
}

impl<'a, T> Tiny<'a, T> {
    fn new(pair: &Pair, a: &'a [T], b: &'a [T], c: &'a mut [T], accumulate: bool) -> Self {
        let &Pair { size: (m, k, n), a: (a_row, a_column), b: (b_row, _) } = pair;
        if n == 1 && a_row == 1 && m > 1 {
            // A transposed matrix and a vector: the vector, as a row, times the matrix as it stands.
            let pair = Pair { size: (1, k, m), a: (0, b_row), b: (a_column, 1) };
            return Tiny { pair, a: b, b: a, c, accumulate };
        }
        Tiny { pair: *pair, a, b, c, accumulate }
    }
}

impl<T: Real> Kernel for Tiny<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Tiny { pair: Pair { size: (_, k, n), a: (a_row, a_column), b: (b_row, b_column) }, a, b, c, accumulate } = self;
        if !accumulate {
            c.fill(T::ZERO);
        }
        for (i, c) in c.chunks_exact_mut(n).enumerate() {
            let a = &a[i * a_row..];
            if b_row == 1 && a_column == 1 && k > 1 {
                // Rows of both factors: eight products side by side.
                for (j, c) in c.iter_mut().enumerate() {
                    *c += dot(&a[..k], &b[j * b_column..][..k]);
                }
                continue;
            }
            if b_column == 1 {
                let mut done = columns::<T, 16>(0, (a, a_column), (b, b_row), k, c);
                done = columns::<T, 8>(done, (a, a_column), (b, b_row), k, c);
                let rest = &mut c[done..];
                if rest.is_empty() {
                    continue;
                }
                for l in 0..k {
                    let (factor, b) = (a[l * a_column], &b[l * b_row + done..][..rest.len()]);
                    for j in 0..rest.len() {
                        rest[j] += factor * b[j];
                    }
                }
                continue;
            }
            for (j, c) in c.iter_mut().enumerate() {
                for l in 0..k {
                    *c += a[l * a_column] * b[l * b_row + j * b_column];
                }
            }
        }
    }
}

/// Adds to a row of the product from column `done` on, `LANES` elements at a time, which stay in registers while the rows of `b` go by. Gives
/// the first column that is left: there are fewer than `LANES`.
#[inline(always)]
fn columns<T: Real, const LANES: usize>(
    mut done: usize,
    (a, a_column): (&[T], usize),
    (b, b_row): (&[T], usize),
    k: usize,
    c: &mut [T],
) -> usize {
    while let Some(c) = c[done..].first_chunk_mut::<LANES>() {
        let mut sums = *c;
        for l in 0..k {
            let factor = a[l * a_column];
            let Some(b) = b[l * b_row + done..].first_chunk::<LANES>() else { break };
            for q in 0..LANES {
                sums[q] += factor * b[q];
            }
        }
        *c = sums;
        done += LANES;
    }
    done
}

/// Σ aᵢbᵢ of two slices of one length.
#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 8;
    if a.len() < LANES {
        let mut sum = T::ZERO;
        for i in 0..a.len().min(b.len()) {
            sum += a[i] * b[i];
        }
        return sum;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [T::ZERO; LANES];
    for i in 0..a.len().min(b.len()) {
        for k in 0..LANES {
            lanes[k] += a[i][k] * b[i][k];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] += lanes[k + width];
        }
        width /= 2;
    }
    let mut sum = lanes[0];
    for i in 0..a_rest.len().min(b_rest.len()) {
        sum += a_rest[i] * b_rest[i];
    }
    sum
}

/// How many rows of a product each thread computes, if it is worth sharing. Each element has the same bits however many others are computed
/// with it, so that this may depend on the number of threads; in the library it has, unless there are few.
fn rows_of_part(way: Way, size: (usize, usize, usize)) -> Option<usize> {
    let (m, k, n) = size;
    if !is_worth_sharing(m.saturating_mul(k).saturating_mul(n)) {
        return None;
    }
    let rows_of = |parts: usize, tile| m.div_ceil(parts).next_multiple_of(tile);
    if let Way::Library(_) = way {
        let is_alike = |&rows: &usize| rows < m && is_computed_alike(rows, size) && (m % rows == 0 || is_computed_alike(m % rows, size));
        return (2..=threads::count()).rev().map(|parts| rows_of(parts, TILES.1)).find(is_alike);
    }
    Some(rows_of(threads::count(), TILES.0)).filter(|&rows| rows < m)
}

/// Whether the library computes some rows of a product with the same bits as the whole: it has other ways for a single row and for up to 256
/// elements, and divides long sums otherwise where there are up to 64 rows and columns.
fn is_computed_alike(rows: usize, (m, k, n): (usize, usize, usize)) -> bool {
    rows > 1 && rows * n > 256 && (k <= 512 || n > 64 || rows > 64 || m <= 64)
}

/// The library's own threads, for large products of too few rows to be divided here.
fn library_threads((m, k, n): (usize, usize, usize)) -> gemm_common::Parallelism {
    #[cfg(feature = "rayon")]
    if m.saturating_mul(k).saturating_mul(n) >= LARGE {
        return gemm_common::Parallelism::Rayon(0);
    }
    let _ = (m, k, n);
    gemm_common::Parallelism::None
}

/// Whether products of so many multiplications are worth several threads.
fn is_worth_sharing(multiplications: usize) -> bool {
    multiplications >= SHARED.0 && threads::is_worth(multiplications >= SHARED.1)
}

impl Way {
    fn of<T: Real>(pair: &Pair) -> Way {
        let (m, k, n) = pair.size;
        if m.saturating_mul(k).saturating_mul(n) <= TINY {
            return Way::Tiny;
        }
        gemm::way::<T>(pair.size, pair.a, pair.b).map_or(Way::Library(gemm_common::Parallelism::None), Way::Tiles)
    }
}

macro_rules! gemm {
    ($($t:ident $library:path;)*) => { $(
        impl Gemm for $t {
            fn gemm(pair: &Pair, a: &[$t], b: &[$t], c: &mut [$t], accumulate: bool) {
                let way = Way::of::<$t>(pair);
                let Some(rows) = rows_of_part(way, pair.size) else {
                    let way = if let Way::Library(_) = way { Way::Library(library_threads(pair.size)) } else { way };
                    return <$t>::gemm_by(way, pair, a, b, c, accumulate);
                };
                let (m, k, n) = pair.size;
                let parts = (0..m).step_by(rows).zip(c[..m * n].chunks_mut(rows * n)).collect();
                threads::each(usize::MAX, parts, &|(row, c): (usize, &mut [$t])| {
                    let part = Pair { size: (rows.min(m - row), k, n), ..*pair };
                    <$t>::gemm_by(way, &part, &a[row * pair.a.0..], b, c, accumulate);
                });
            }
            #[allow(unsafe_code)]
            fn gemm_by(way: Way, pair: &Pair, a: &[$t], b: &[$t], c: &mut [$t], accumulate: bool) {
                let &Pair { size: (m, k, n), a: a_at, b: b_at } = pair;
                // Every access of any way lies below these bounds.
                let (a, b) = (&a[..reach(m, k, a_at)], &b[..reach(k, n, b_at)]);
                let c = &mut c[..m * n];
                let size = (m, k, n);
                let parallelism = match way {
                    Way::Tiny => return dispatch(Tiny::new(pair, a, b, c, accumulate)),
                    Way::Tiles(way) => match gemm::multiply(way, Operands { size, a, a_at, b, b_at, c, accumulate }) {
                        Ok(()) => return,
                        Err(_) => gemm_common::Parallelism::None, // never: the scratch is small
                    },
                    Way::Library(parallelism) => parallelism,
                };
                let stride = |s: usize| s.cast_signed();
                let multiply = $library();
                // The library wants columns of the result next to each other, so it is given Cᵀ = Bᵀ Aᵀ.
                //
                // SAFETY: the pointers are those of live slices, `c` is borrowed mutably and so overlaps neither of the others, and
                // all three were cut above to exactly the elements that sizes and strides reach.
                unsafe {
                    multiply(
                        n, m, k,
                        c.as_mut_ptr(), stride(n), 1, accumulate,
                        b.as_ptr(), stride(b_at.0), stride(b_at.1),
                        a.as_ptr(), stride(a_at.0), stride(a_at.1),
                        1.0, 1.0, false, false, false,
                        parallelism,
                    );
                }
            }
        }
    )* };
}
gemm! {
    f32 gemm_f32::gemm::f32::get_gemm_fn;
    f64 gemm_f64::gemm::f64::get_gemm_fn;
}
