//! Square matrices taken apart: LU and Cholesky factors, determinants and cofactors, all in double precision.
//!
//! LU and Cholesky factors are found a few columns at a time: what the columns before them contribute is one matrix product (left-looking
//! blocks, G. Golub and C. Van Loan, Matrix Computations, 3.2). LU factors serve a matrix and its transpose, and are kept with the tensor where
//! a gradient will ask for them again.

use super::{
    Buffer, allocate,
    dispatch::{Kernel, dispatch},
    matmul::{Gemm, Pair, Strides},
    overwritten, threads,
    walk::Walk,
};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{Tensor, fact::Fact},
};

/// So many columns are taken at a time.
const BLOCK: usize = 16;
/// Matrices of a batch are shared among threads in parts of at least this many multiplications, and at most so many parts.
const PART: (usize, usize) = (1 << 16, 64);

/// A tensor seen as a batch of square matrices.
#[derive(Debug)]
pub(crate) struct Squares {
    /// The axes in front of the matrices.
    pub(crate) batch: Shape,
    /// Rows of a matrix, and columns.
    pub(crate) n: usize,
}

impl Squares {
    pub(crate) fn new(shape: &Shape) -> Result<Squares, Error> {
        match shape[..] {
            [ref batch @ .., rows, columns] if rows == columns => Ok(Squares { batch: Shape::new(batch)?, n: rows }),
            [.., _, _] => Err(ErrorKind::NotSquare { shape: *shape }.into()),
            _ => Err(ErrorKind::Rank { expected: "at least 2 axes", found: shape.rank() }.into()),
        }
    }

    /// The matrices one after the other, with their places, from the place `first` on. They are counted by the batch: without rows they have no
    /// elements.
    fn matrices<'a, T>(&self, elements: &'a [T], first: usize) -> impl Iterator<Item = (usize, &'a [T])> {
        let size = self.n * self.n;
        (first..self.batch.len()).map(move |i| (i, &elements[i * size..(i + 1) * size]))
    }

    /// The position of a matrix in the batch.
    fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = self.batch.to_vec();
        for at in position.iter_mut().rev() {
            let len = (*at).max(1);
            *at = index % len;
            index /= len;
        }
        position
    }

    fn singular(&self, index: usize, pivot: usize) -> Error {
        ErrorKind::Singular { matrix: self.position(index), pivot }.into()
    }
}

/// What fills a part of a result, given the place of its first matrix in the batch.
type Filling<'f, R> = dyn Fn(usize, &mut [R]) -> Result<(), Error> + Sync + 'f;

/// Fills what belongs to a batch, `size` elements to a matrix: `fill` is given the place of the first matrix of a part.
fn in_parts<R: Send>(to: &mut [R], size: usize, n: usize, fill: &Filling<'_, R>) -> Result<(), Error> {
    let size = size.max(1);
    let (count, cost) = (to.len() / size, n.saturating_pow(3).max(1));
    let of_part = PART.0.div_ceil(cost).max(count.div_ceil(PART.1)).max(1);
    if count <= of_part {
        return fill(0, to);
    }
    let parts = (0..).step_by(of_part).zip(to.chunks_mut(of_part * size)).collect();
    threads::each(count.saturating_mul(cost), parts, &|(first, to): (usize, &mut [R])| fill(first, to)).into_iter().collect()
}

/// Whether `a` is the better pivot. NaN, which an infinite element makes, must not pass for 0.
fn is_larger(a: f64, b: f64) -> bool {
    a > b || a.is_nan()
}

/// The rows `i` and `j` of a matrix, `i` before `j`.
fn two_rows(a: &mut [f64], n: usize, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (front, back) = a.split_at_mut(j * n);
    (&mut front[i * n..(i + 1) * n], &mut back[..n])
}

fn swap_rows(a: &mut [f64], n: usize, i: usize, j: usize) {
    if i < j {
        let (a, b) = two_rows(a, n, i, j);
        a.swap_with_slice(b);
    }
}

/// `to -= factor·from`
#[inline(always)]
fn subtract<const FMA: bool>(to: &mut [f64], factor: f64, from: &[f64]) {
    let n = to.len().min(from.len());
    let (to, from) = (&mut to[..n], &from[..n]);
    for i in 0..n {
        to[i] = if FMA { from[i].mul_add(-factor, to[i]) } else { to[i] - factor * from[i] };
    }
}

/// The product of an m×k matrix and a k×n matrix, in the memory of others.
fn product<'s>(size: (usize, usize, usize), a: &[f64], a_at: Strides, b: &[f64], b_at: Strides, scratch: &'s mut [f64]) -> &'s [f64] {
    let product = &mut scratch[..size.0 * size.2];
    f64::gemm(&Pair { size, a: a_at, b: b_at }, a, b, product, false);
    product
}

/// Elements of the products of a block with rows of so many columns; there are none of matrices that are one block.
fn scratch_of(n: usize, columns: usize) -> usize {
    if n > BLOCK { BLOCK * columns } else { 0 }
}

/// Subtracts the rows of a product from the columns `at..` of the rows of a matrix.
struct Take<'a> {
    rows: &'a mut [f64],
    n: usize,
    at: usize,
    product: &'a [f64],
    width: usize,
}

impl Kernel for Take<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Take { rows, n, at, product, width } = self;
        for i in 0..product.len() / width {
            subtract::<false>(&mut rows[i * n + at..][..width], 1.0, &product[i * width..(i + 1) * width]);
        }
    }
}

/// A matrix as P A = L U, with partial pivoting: the unit lower factor below the diagonal, the upper one from it on.
#[derive(Debug)]
struct Lu {
    n: usize,
    factors: Buffer<f64>,
    /// Row `i` of P A is row `order[i]` of A.
    order: Vec<usize>,
    /// The determinant of P.
    sign: f64,
    /// The first pivot that is 0; the factors end there.
    zero: Option<usize>,
    /// The matrix has a NaN: so have all results, and the factors mean nothing.
    is_nan: bool,
}

/// The factors of the columns `at .. end` of a matrix from their diagonal on; gives the first pivot that is 0.
struct Columns<'a> {
    lu: &'a mut Lu,
    at: usize,
    end: usize,
}

impl Kernel for Columns<'_> {
    type Output = Option<usize>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Option<usize> {
        let Columns { lu: Lu { n, factors: a, order, sign, .. }, at, end } = self;
        let n = *n;
        for k in at..end {
            let mut best = k;
            for i in k + 1..n {
                if is_larger(a[i * n + k].abs(), a[best * n + k].abs()) {
                    best = i;
                }
            }
            if a[best * n + k] == 0.0 {
                return Some(k);
            }
            if best != k {
                swap_rows(a, n, k, best);
                order.swap(k, best);
                *sign = -*sign;
            }
            for i in k + 1..n {
                let (pivot, row) = two_rows(a, n, k, i);
                let factor = row[k] / pivot[k];
                row[k] = factor;
                subtract::<FMA>(&mut row[k + 1..end], factor, &pivot[k + 1..end]);
            }
        }
        None
    }
}

/// The lower or upper triangle of an n×n matrix; what stands on the other side is not read.
#[derive(Clone, Copy)]
struct Triangle<'a> {
    elements: &'a [f64],
    n: usize,
    strides: Strides,
    is_upper: bool,
    /// Whether 1 is taken for its diagonal, whatever stands there.
    is_unit: bool,
}

/// T⁻¹ X in place of X for a small triangle, in the columns of X from `from` on.
struct Rows<'a> {
    triangle: Triangle<'a>,
    x: &'a mut [f64],
    columns: usize,
    from: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { triangle: Triangle { elements, n, strides, is_upper, is_unit }, x, columns, from } = self;
        for done in 0..n {
            let i = if is_upper { n - 1 - done } else { done };
            for j in if is_upper { i + 1..n } else { 0..i } {
                let (first, second) = two_rows(x, columns, i.min(j), i.max(j));
                let (row, known) = if is_upper { (first, second) } else { (second, first) };
                subtract::<FMA>(&mut row[from..], elements[i * strides.0 + j * strides.1], &known[from..]);
            }
            if !is_unit {
                let pivot = elements[i * (strides.0 + strides.1)];
                for v in &mut x[i * columns + from..(i + 1) * columns] {
                    *v /= pivot;
                }
            }
        }
    }
}

impl Triangle<'_> {
    fn transposed(self) -> Self {
        Triangle { strides: (self.strides.1, self.strides.0), is_upper: !self.is_upper, ..self }
    }

    /// How many rows are solved before, or after, the rest, which is no more.
    fn half(self) -> usize {
        self.n.div_ceil(2).next_multiple_of(BLOCK)
    }

    /// T⁻¹ X in place of X, which has `columns` columns.
    fn solve(self, x: &mut [f64], columns: usize) -> Result<(), Error> {
        let mut scratch = overwritten(if self.n > BLOCK { self.half() * columns } else { 0 })?;
        self.solve_in(x, columns, &mut scratch);
        Ok(())
    }

    /// Half of it first: what that contributes to the other half is one matrix product, as large as can be.
    fn solve_in(self, x: &mut [f64], columns: usize, scratch: &mut [f64]) {
        let Triangle { elements, n, strides, is_upper, .. } = self;
        if n <= BLOCK {
            return dispatch(Rows { triangle: self, x, columns, from: 0 });
        }
        let half = self.half();
        let (front, back) = x.split_at_mut(half * columns);
        let first = Triangle { n: half, ..self };
        let second = Triangle { n: n - half, elements: &elements[half * (strides.0 + strides.1)..], ..self };
        if is_upper {
            second.solve_in(back, columns, scratch);
            let size = (half, n - half, columns);
            let known = product(size, &elements[half * strides.1..], strides, back, (columns, 1), scratch);
            dispatch(Take { rows: front, n: columns, at: 0, product: known, width: columns });
            first.solve_in(front, columns, scratch);
        } else {
            first.solve_in(front, columns, scratch);
            let size = (n - half, half, columns);
            let known = product(size, &elements[half * strides.0..], strides, front, (columns, 1), scratch);
            dispatch(Take { rows: back, n: columns, at: 0, product: known, width: columns });
            second.solve_in(back, columns, scratch);
        }
    }
}

impl Lu {
    fn new(n: usize) -> Result<Lu, Error> {
        Ok(Lu { n, factors: overwritten(n * n)?, order: vec![0; n], sign: 1.0, zero: None, is_nan: false })
    }

    fn factor<T: Real>(&mut self, matrix: &[T]) -> Result<(), Error> {
        let n = self.n;
        (self.sign, self.zero, self.is_nan) = (1.0, None, T::has_nan(matrix));
        if self.is_nan {
            return Ok(());
        }
        self.factors.iter_mut().zip(matrix).for_each(|(to, v)| *to = v.to_f64());
        self.order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
        let mut scratch = overwritten(scratch_of(n, n))?;
        for at in (0..n).step_by(BLOCK) {
            let end = n.min(at + BLOCK);
            let a = &mut self.factors;
            if at > 0 {
                let before = product((n - at, at, end - at), &a[at * n..], (n, 1), &a[at..], (n, 1), &mut scratch);
                dispatch(Take { rows: &mut a[at * n..], n, at, product: before, width: end - at });
            }
            self.zero = dispatch(Columns { lu: self, at, end });
            if self.zero.is_some() || end == n {
                return Ok(());
            }
            let a = &mut self.factors;
            if at > 0 {
                let before = product((end - at, at, n - end), &a[at * n..], (n, 1), &a[end..], (n, 1), &mut scratch);
                dispatch(Take { rows: &mut a[at * n..end * n], n, at: end, product: before, width: n - end });
            }
            // The factors stand in the same rows.
            let mut block = [0.0; BLOCK * BLOCK];
            for i in at..end {
                block[(i - at) * BLOCK..][..end - at].copy_from_slice(&a[i * n + at..i * n + end]);
            }
            let triangle = Triangle { elements: &block, n: end - at, strides: (BLOCK, 1), is_upper: false, is_unit: true };
            dispatch(Rows { triangle, x: &mut a[at * n..end * n], columns: n, from: end });
        }
        Ok(())
    }

    fn pivots(&self) -> impl Iterator<Item = f64> {
        (0..self.n).map(|i| self.factors[i * self.n + i])
    }

    /// Whether there is no solution, or none that is a number.
    fn gives_nan(&self) -> bool {
        self.zero.is_some() || self.is_nan
    }

    /// U⁻¹ L⁻¹ X in place of X, or L⁻ᵀ U⁻ᵀ X; X has `columns` columns.
    fn solve(&self, x: &mut [f64], columns: usize, is_transposed: bool) -> Result<(), Error> {
        let lower = Triangle { elements: &self.factors, n: self.n, strides: (self.n, 1), is_upper: false, is_unit: true };
        let upper = Triangle { is_upper: true, is_unit: false, ..lower };
        let order = if is_transposed { [upper.transposed(), lower.transposed()] } else { [lower, upper] };
        order.into_iter().try_for_each(|triangle| triangle.solve(x, columns))
    }
}

/// The factors of each matrix of a tensor.
#[derive(Debug)]
struct Factors(Vec<Lu>);

impl Fact for Factors {
    fn bytes(&self) -> usize {
        self.0.iter().map(|lu| size_of_val(&lu.factors[..]) + size_of_val(&lu.order[..])).sum()
    }
}

fn factored<T: Real>(a: &Tensor<T>, squares: &Squares) -> Result<Factors, Error> {
    let mut factors = (0..squares.batch.len()).map(|_| Lu::new(squares.n)).collect::<Result<Vec<_>, _>>()?;
    in_parts(&mut factors, 1, squares.n, &|first, to| {
        squares.matrices(a.as_slice(), first).zip(to).try_for_each(|((_, matrix), lu)| lu.factor(matrix))
    })?;
    Ok(Factors(factors))
}

/// Factors each matrix, for all that is asked of the tensor later. Small ones are factored again in less time than they are kept.
pub(crate) fn prepare<T: Real>(a: &Tensor<T>) {
    a.remember(|| Squares::new(a.shape()).ok().filter(|squares| squares.n >= BLOCK).and_then(|squares| factored(a, &squares).ok()));
}

/// The factors of one matrix after the other: those that are known, or found anew, in memory that all of them use.
struct InTurn<'a> {
    known: Option<&'a Factors>,
    own: Lu,
}

impl<'a> InTurn<'a> {
    fn new<T: Real>(a: &'a Tensor<T>, n: usize) -> Result<Self, Error> {
        let known = a.known();
        Ok(InTurn { known, own: Lu::new(if known.is_some() { 0 } else { n })? })
    }

    fn of<T: Real>(&mut self, index: usize, matrix: &[T]) -> Result<&Lu, Error> {
        if let Some(known) = self.known {
            return Ok(&known.0[index]);
        }
        self.own.factor(matrix)?;
        Ok(&self.own)
    }
}

/// The inverse of each matrix. A singular one is an error, or NaN if not `is_strict`.
pub(crate) fn inverse<T: Real>(a: &Tensor<T>, is_strict: bool) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    if a.is_empty() {
        return Ok(a.clone());
    }
    let n = squares.n;
    let mut inverses = overwritten(a.len())?;
    in_parts(&mut inverses, n * n, n, &|first, to| {
        let (mut factors, mut x) = (InTurn::new(a, n)?, allocate::<f64>(n * n)?);
        for ((index, matrix), to) in squares.matrices(a.as_slice(), first).zip(to.chunks_exact_mut(n * n)) {
            let lu = factors.of(index, matrix)?;
            match lu.zero {
                Some(pivot) if is_strict => return Err(squares.singular(index, pivot)),
                _ if lu.gives_nan() => to.fill(T::of(f64::NAN)),
                _ => {
                    x.fill(0.0);
                    lu.order.iter().enumerate().for_each(|(i, at)| x[i * n + at] = 1.0);
                    lu.solve(&mut x, n, false)?;
                    to.iter_mut().zip(&x).for_each(|(to, v)| *to = T::of(*v));
                }
            }
        }
        Ok(())
    })?;
    Ok(Tensor::of(*a.shape(), inverses))
}

/// The shape of the solutions: matrices `[.., n, k]`, or a vector for one matrix and a vector.
fn solution(squares: &Squares, b: &Shape) -> Result<(Shape, Shape, usize), Error> {
    let (batch, rows, columns) = match b[..] {
        [rows] if squares.batch.rank() == 0 => (Shape::SCALAR, rows, 1),
        [ref batch @ .., rows, columns] => (Shape::new(batch)?, rows, columns),
        _ => return Err(ErrorKind::Rank { expected: "at least 2 axes on the right, or one on each side,", found: b.rank() }.into()),
    };
    if rows != squares.n {
        return Err(ErrorKind::System { unknowns: squares.n, rows }.into());
    }
    let common = squares.batch.broadcast(&batch)?;
    let matrix = if b.rank() == 1 { vec![rows] } else { vec![rows, columns] };
    Ok((batch, Shape::joined(&[&common[..], &matrix])?, columns))
}

/// X with A X = B, or Aᵀ X = B; the batches are stretched to each other. A singular matrix is an error, or NaN if not `is_strict`.
pub(crate) fn solve<T: Real>(a: &Tensor<T>, b: &Tensor<T>, is_transposed: bool, is_strict: bool) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    let n = squares.n;
    let (batch, shape, columns) = solution(&squares, b.shape())?;
    if shape.is_empty() {
        return Ok(Tensor::of(shape, Vec::new()));
    }
    let common = squares.batch.broadcast(&batch)?;
    // Each matrix is factored once, however often it is stretched.
    let own;
    let Factors(factors) = if let Some(known) = a.known() {
        known
    } else {
        own = factored(a, &squares)?;
        &own
    };
    let singular = factors.iter().enumerate().find_map(|(index, lu)| Some((index, lu.zero?)));
    if let (Some((index, pivot)), true) = (singular, is_strict) {
        return Err(squares.singular(index, pivot));
    }
    let mut solutions = overwritten(shape.len())?;
    let size = n * columns;
    let walks = [&squares.batch, &batch].map(|own| Walk::stretch(own, &common));
    in_parts(&mut solutions, size, n, &|first, to| {
        let mut x = allocate::<f64>(size)?;
        for (index, to) in (first..).zip(to.chunks_exact_mut(size)) {
            let places = walks.each_ref().map(|walk| walk.place(index));
            let lu = &factors[places[0]];
            if lu.gives_nan() {
                to.fill(T::of(f64::NAN));
                continue;
            }
            let from = &b.as_slice()[places[1] * size..(places[1] + 1) * size];
            // The right-hand side takes the order of the pivots, or the solution gives it back.
            for (i, &row) in lu.order.iter().enumerate() {
                let row = if is_transposed { i } else { row };
                for j in 0..columns {
                    x[i * columns + j] = from[row * columns + j].to_f64();
                }
            }
            lu.solve(&mut x, columns, is_transposed)?;
            for (i, &row) in lu.order.iter().enumerate() {
                let row = if is_transposed { row } else { i };
                for j in 0..columns {
                    to[row * columns + j] = T::of(x[i * columns + j]);
                }
            }
        }
        Ok(())
    })?;
    Ok(Tensor::of(shape, solutions))
}

/// X with L X = B, or Lᵀ X = B, for the lower triangles of some matrices, of which nothing else is read, and matrices B of the same shape.
pub(crate) fn solve_lower<T: Real>(l: &Tensor<T>, b: &Tensor<T>, is_transposed: bool) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(l.shape())?;
    if l.shape() != b.shape() {
        return Err(ErrorKind::Mismatch { expected: *l.shape(), found: *b.shape(), except: None }.into());
    }
    if l.is_empty() {
        return Ok(l.clone());
    }
    let n = squares.n;
    let mut solutions = overwritten(l.len())?;
    in_parts(&mut solutions, n * n, n, &|first, to| {
        let [mut elements, mut x] = [overwritten::<f64>(n * n)?, overwritten::<f64>(n * n)?];
        let systems = squares.matrices(l.as_slice(), first).zip(squares.matrices(b.as_slice(), first));
        for (((_, l), (_, b)), to) in systems.zip(to.chunks_exact_mut(n * n)) {
            elements.iter_mut().zip(l).for_each(|(to, v)| *to = v.to_f64());
            x.iter_mut().zip(b).for_each(|(to, v)| *to = v.to_f64());
            let lower = Triangle { elements: &elements, n, strides: (n, 1), is_upper: false, is_unit: false };
            if is_transposed { lower.transposed() } else { lower }.solve(&mut x, n)?;
            to.iter_mut().zip(&x).for_each(|(to, v)| *to = T::of(*v));
        }
        Ok(())
    })?;
    Ok(Tensor::of(*l.shape(), solutions))
}

/// The columns `at .. end` of a Cholesky factor from their diagonal on; gives the first pivot that is not positive, and its value.
struct LowerColumns<'a> {
    a: &'a mut [f64],
    n: usize,
    at: usize,
    end: usize,
}

impl Kernel for LowerColumns<'_> {
    type Output = Option<(usize, f64)>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Option<(usize, f64)> {
        let LowerColumns { a, n, at, end } = self;
        // The rows of the factor's transpose, as far as they are known.
        let mut upper = [0.0; BLOCK * BLOCK];
        for i in at..n {
            let row = &mut a[i * n + at..i * n + end];
            let known = if i < end { i - at } else { end - at };
            for k in 0..known {
                row[k] /= upper[k * BLOCK + k];
                let (front, rest) = row.split_at_mut(k + 1);
                subtract::<FMA>(&mut rest[..known - k - 1], front[k], &upper[k * BLOCK + k + 1..]);
            }
            if i < end {
                let pivot = row[known] - row[..known].iter().map(|v| v * v).sum::<f64>();
                if pivot <= 0.0 {
                    return Some((i, pivot));
                }
                row[known] = pivot.sqrt();
                for k in 0..=known {
                    upper[k * BLOCK + known] = row[k];
                }
            }
        }
        None
    }
}

/// The lower factor L of the symmetric part ½(A + Aᵀ) = L Lᵀ of each matrix.
pub(crate) fn cholesky<T: Real>(a: &Tensor<T>) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    if a.is_empty() {
        return Ok(a.clone());
    }
    let n = squares.n;
    let mut factors = overwritten(a.len())?;
    in_parts(&mut factors, n * n, n, &|first, to| {
        let (mut lower, mut scratch) = (overwritten::<f64>(n * n)?, overwritten(scratch_of(n, n))?);
        for ((index, matrix), to) in squares.matrices(a.as_slice(), first).zip(to.chunks_exact_mut(n * n)) {
            if T::has_nan(matrix) {
                to.fill(T::of(f64::NAN));
                continue;
            }
            for i in 0..n {
                for j in 0..=i {
                    lower[i * n + j] = 0.5 * (matrix[i * n + j].to_f64() + matrix[j * n + i].to_f64());
                }
                lower[i * n + i + 1..(i + 1) * n].fill(0.0);
            }
            for at in (0..n).step_by(BLOCK) {
                let end = n.min(at + BLOCK);
                if at > 0 {
                    let before = product((n - at, at, end - at), &lower[at * n..], (n, 1), &lower[at * n..], (1, n), &mut scratch);
                    dispatch(Take { rows: &mut lower[at * n..], n, at, product: before, width: end - at });
                }
                if let Some((pivot, value)) = dispatch(LowerColumns { a: &mut lower, n, at, end }) {
                    return Err(ErrorKind::NotPositiveDefinite { matrix: squares.position(index), pivot, value }.into());
                }
            }
            for i in 0..n {
                for j in 0..n {
                    to[i * n + j] = if j <= i { T::of(lower[i * n + j]) } else { T::ZERO };
                }
            }
        }
        Ok(())
    })?;
    Ok(Tensor::of(*a.shape(), factors))
}

/// A determinant without overflow: its sign, which is 0 for a singular matrix, and the logarithm of its magnitude; and the determinant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Determinant {
    pub(crate) sign: f64,
    pub(crate) ln_abs: f64,
    pub(crate) value: f64,
}

/// What is wanted of the determinant of each matrix.
pub(crate) fn determinants<T: Real>(a: &Tensor<T>, wanted: impl Fn(Determinant) -> f64 + Sync) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    if squares.batch.is_empty() {
        return Ok(Tensor::of(squares.batch, Vec::new()));
    }
    let mut values = overwritten(squares.batch.len())?;
    in_parts(&mut values, 1, squares.n, &|first, to| {
        let mut factors = InTurn::new(a, squares.n)?;
        for ((index, matrix), to) in squares.matrices(a.as_slice(), first).zip(to) {
            let lu = factors.of(index, matrix)?;
            let determinant = match lu.zero {
                _ if lu.is_nan => Determinant { sign: f64::NAN, ln_abs: f64::NAN, value: f64::NAN },
                Some(_) => Determinant { sign: 0.0, ln_abs: f64::NEG_INFINITY, value: 0.0 },
                None => Determinant {
                    sign: lu.pivots().fold(lu.sign, |sign, p| if p.is_nan() { p } else { sign * p.signum() }),
                    ln_abs: lu.pivots().map(|p| p.abs().ln()).sum::<f64>() + 0.0,
                    value: lu.pivots().fold(lu.sign, |product, p| product * p),
                },
            };
            *to = T::of(wanted(determinant));
        }
        Ok(())
    })?;
    Ok(Tensor::of(squares.batch, values))
}

/// A matrix as P A Q = L D N, with complete pivoting: L unit lower, N unit upper, neither with an element above 1; D diagonal.
///
/// Where A is singular, D has zeros, and the factors are as good as elsewhere: they give cofactors without an inverse of A, since the
/// cofactor matrix of a product is the product of those of the factors.
struct Ldn {
    n: usize,
    /// L below the diagonal, N above it.
    factors: Buffer<f64>,
    d: Vec<f64>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// det P · det Q
    sign: f64,
}

impl Ldn {
    fn new(n: usize) -> Result<Ldn, Error> {
        Ok(Ldn { n, factors: allocate(n * n)?, d: vec![0.0; n], rows: vec![0; n], columns: vec![0; n], sign: 1.0 })
    }

    fn factor<T: Real>(&mut self, matrix: &[T]) {
        let Ldn { n, factors: a, d, rows, columns, sign } = self;
        let n = *n;
        a.iter_mut().zip(matrix).for_each(|(to, v)| *to = v.to_f64());
        rows.iter_mut().chain(&mut *columns).enumerate().for_each(|(i, at)| *at = i % n);
        d.fill(0.0);
        *sign = 1.0;
        for k in 0..n {
            let (mut row, mut column) = (k, k);
            for i in k..n {
                for j in k..n {
                    if is_larger(a[i * n + j].abs(), a[row * n + column].abs()) {
                        (row, column) = (i, j);
                    }
                }
            }
            let pivot = a[row * n + column];
            if pivot == 0.0 {
                return; // the rest of the matrix is 0, and so are the other pivots
            }
            if row != k {
                swap_rows(a, n, k, row);
                rows.swap(k, row);
                *sign = -*sign;
            }
            if column != k {
                (0..n).for_each(|i| a.swap(i * n + k, i * n + column));
                columns.swap(k, column);
                *sign = -*sign;
            }
            d[k] = pivot;
            for i in k + 1..n {
                let (top, row) = two_rows(a, n, k, i);
                let factor = row[k] / pivot;
                row[k] = factor;
                subtract::<false>(&mut row[k + 1..], factor, &top[k + 1..]);
            }
            a[k * n + k + 1..(k + 1) * n].iter_mut().for_each(|v| *v /= pivot);
        }
    }

    /// Π dₗ over all but two, which may be the same.
    fn product_without(&self, i: usize, j: usize) -> f64 {
        self.d.iter().enumerate().filter(|(l, _)| *l != i && *l != j).map(|(_, d)| d).product()
    }

    /// X in place of E: L⁻¹ P E Q N⁻¹, the change of D by which A changes by E.
    fn inward<T: Real>(&self, e: &[T], x: &mut [f64]) {
        let (n, f) = (self.n, &self.factors);
        for i in 0..n {
            for j in 0..n {
                x[i * n + j] = e[self.rows[i] * n + self.columns[j]].to_f64();
            }
        }
        for i in 0..n {
            for k in 0..i {
                let (from, to) = two_rows(x, n, k, i);
                subtract::<false>(to, f[i * n + k], from);
            }
        }
        for row in x.chunks_exact_mut(n.max(1)) {
            for k in 0..n {
                let v = row[k];
                subtract::<false>(&mut row[k + 1..], v, &f[k * n + k + 1..(k + 1) * n]);
            }
        }
    }

    /// ± Pᵀ L⁻ᵀ X N⁻ᵀ Qᵀ: from a cofactor matrix, or a change of one, with D to that with A.
    fn outward<T: Real>(&self, x: &mut [f64], to: &mut [T]) {
        let (n, f) = (self.n, &self.factors);
        for k in (0..n).rev() {
            for i in 0..k {
                let (to, from) = two_rows(x, n, i, k);
                subtract::<false>(to, f[k * n + i], from);
            }
        }
        for row in x.chunks_exact_mut(n.max(1)) {
            for j in (0..n).rev() {
                let known = &f[j * n + j + 1..(j + 1) * n];
                row[j] -= known.iter().zip(&row[j + 1..]).map(|(a, b)| a * b).sum::<f64>();
            }
        }
        for i in 0..n {
            for j in 0..n {
                to[self.rows[i] * n + self.columns[j]] = T::of(self.sign * x[i * n + j]);
            }
        }
    }
}

/// The cofactors of each matrix: the gradient of its determinant.
pub(crate) fn cofactor<T: Real>(a: &Tensor<T>) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    if a.is_empty() {
        return Ok(a.clone());
    }
    let n = squares.n;
    let (mut ldn, mut x, mut cofactors) = (Ldn::new(n)?, allocate::<f64>(n * n)?, allocate(a.len())?);
    for (index, matrix) in squares.matrices(a.as_slice(), 0) {
        let to = &mut cofactors[index * n * n..(index + 1) * n * n];
        if T::has_nan(matrix) {
            to.fill(T::of(f64::NAN));
            continue;
        }
        ldn.factor(matrix);
        x.fill(0.0);
        for i in 0..n {
            x[i * n + i] = ldn.product_without(i, i);
        }
        ldn.outward(&mut x, to);
    }
    Ok(Tensor::of(*a.shape(), cofactors))
}

/// The derivative of the cofactors of each matrix of `a` along that of `e`, which has the same shape: the second derivative of the
/// determinant, which is symmetric.
pub(crate) fn cofactor_slope<T: Real>(a: &Tensor<T>, e: &Tensor<T>) -> Result<Tensor<T>, Error> {
    let squares = Squares::new(a.shape())?;
    if a.shape() != e.shape() {
        return Err(ErrorKind::Mismatch { expected: *a.shape(), found: *e.shape(), except: None }.into());
    }
    if a.is_empty() {
        return Ok(a.clone());
    }
    let n = squares.n;
    let (mut ldn, mut slopes) = (Ldn::new(n)?, allocate(a.len())?);
    let (mut change, mut x) = (allocate::<f64>(n * n)?, allocate::<f64>(n * n)?);
    for ((index, matrix), (_, e)) in squares.matrices(a.as_slice(), 0).zip(squares.matrices(e.as_slice(), 0)) {
        let to = &mut slopes[index * n * n..(index + 1) * n * n];
        if T::has_nan(matrix) {
            to.fill(T::of(f64::NAN));
            continue;
        }
        ldn.factor(matrix);
        ldn.inward(e, &mut change);
        x.fill(0.0);
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                let others = ldn.product_without(i, j);
                x[i * n + i] += change[j * n + j] * others;
                x[i * n + j] = -change[j * n + i] * others;
            }
        }
        ldn.outward(&mut x, to);
    }
    Ok(Tensor::of(*a.shape(), slopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well conditioned, and not symmetric.
    fn matrix(n: usize) -> Tensor<f64> {
        let elements = (0..n * n).map(|i| ((i * i + 3 * i) as f64).sin() + if i % (n + 1) == 0 { n as f64 } else { 0.0 });
        Tensor::of(Shape::new(&[n, n]).unwrap(), elements.collect::<Vec<_>>())
    }

    fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>, what: &str, n: usize) {
        let worst = found.as_slice().iter().zip(expected.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-12 && found.shape() == expected.shape(), "{what} of {n}: {worst:e}");
    }

    #[test]
    fn systems_of_every_size_are_solved_whatever_blocks_they_make() {
        for n in (1..=70).chain([95, 96, 97, 128, 129, 200]) {
            let (a, b) = (matrix(n), &matrix(n) * (1.0 / n as f64));
            let transposed = a.transpose(0, 1).unwrap();
            for is_kept in [false, true] {
                if is_kept {
                    prepare(&a);
                }
                assert_close(&a.matmul(&solve(&a, &b, false, true).unwrap()).unwrap(), &b, "system", n);
                assert_close(&transposed.matmul(&solve(&a, &b, true, true).unwrap()).unwrap(), &b, "transposed system", n);
                let eye = Tensor::eye(n).unwrap();
                assert_close(&a.matmul(&inverse(&a, true).unwrap()).unwrap(), &eye, "inverse", n);
            }
            let square = b.matmul(&b.transpose(0, 1).unwrap()).unwrap();
            let lower = cholesky(&square).unwrap();
            assert_close(&lower.matmul(&lower.transpose(0, 1).unwrap()).unwrap(), &square, "Cholesky factor", n);
            assert_close(&lower.matmul(&solve_lower(&lower, &b, false).unwrap()).unwrap(), &b, "lower triangle", n);
            let upper = lower.transpose(0, 1).unwrap();
            assert_close(&upper.matmul(&solve_lower(&lower, &b, true).unwrap()).unwrap(), &b, "upper triangle", n);
        }
    }
}
