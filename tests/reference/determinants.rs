//! Determinants by expansion, and all that can be written with them: inverses, solutions, Cholesky factors.

use super::{
    algebra::diag,
    call::{Call, closed, numbers},
    nd::{Nd, common},
};

type Matrix = Vec<Vec<f64>>;

/// The matrix at one position of a batch.
fn matrix(x: &Nd, batch: &[usize]) -> Matrix {
    let rank = x.rank();
    let element = |i, j| x.at(&[batch, &[i, j]].concat());
    (0..x.shape[rank - 2]).map(|i| (0..x.shape[rank - 1]).map(|j| element(i, j)).collect()).collect()
}

/// The matrix without a row and a column.
fn without(a: &Matrix, row: usize, column: usize) -> Matrix {
    let rows = a.iter().enumerate().filter(|(i, _)| *i != row);
    rows.map(|(_, line)| line.iter().enumerate().filter(|(j, _)| *j != column).map(|(_, x)| *x).collect()).collect()
}

fn sign(i: usize) -> f64 {
    if i.is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// Expansion by the first row; 1 without rows.
fn determinant(a: &Matrix) -> f64 {
    if a.is_empty() { 1.0 } else { (0..a.len()).map(|j| sign(j) * a[0][j] * determinant(&without(a, 0, j))).sum() }
}

/// A number for each matrix of a batch.
fn each(x: &Nd, f: impl Fn(f64) -> f64) -> Nd {
    Nd::from_fn(&x.shape[..x.rank() - 2], |batch| f(determinant(&matrix(x, batch))))
}

/// The transposed matrix of cofactors, divided by the determinant.
fn inverse(x: &Nd) -> Nd {
    Nd::from_fn(&x.shape, |index| {
        let (batch, ij) = index.split_at(x.rank() - 2);
        let a = matrix(x, batch);
        sign(ij[0] + ij[1]) * determinant(&without(&a, ij[1], ij[0])) / determinant(&a)
    })
}

/// Cramer's rule: the determinant with B in the place of a column, divided by the determinant.
fn solve(a: &Nd, b: &Nd) -> Nd {
    if b.rank() == 1 {
        return solve(a, &b.reshape(&[b.shape[0], 1])).reshape(&b.shape);
    }
    let batch = common(&a.shape[..a.rank() - 2], &b.shape[..b.rank() - 2]);
    let (n, k) = (a.shape[a.rank() - 1], b.shape[b.rank() - 1]);
    let (a, b) = (a.stretch(&[&*batch, &[n, n]].concat()), b.stretch(&[&*batch, &[n, k]].concat()));
    Nd::from_fn(&b.shape, |index| {
        let (batch, ij) = index.split_at(b.rank() - 2);
        let (a, b) = (matrix(&a, batch), matrix(&b, batch));
        let mut replaced = a.clone();
        for row in 0..n {
            replaced[row][ij[0]] = b[row][ij[1]];
        }
        determinant(&replaced) / determinant(&a)
    })
}

/// The elements of the Cholesky factor are quotients of minors of S = ½(A + Aᵀ): with d(j) the determinant of the first j rows and
/// columns, L\[i, j\] is the determinant of the rows 0, …, j − 1, i and the columns 0, …, j, divided by √(d(j)·d(j + 1)).
fn cholesky(x: &Nd) -> Nd {
    Nd::from_fn(&x.shape, |index| {
        let (batch, ij) = index.split_at(x.rank() - 2);
        let (a, i, j) = (matrix(x, batch), ij[0], ij[1]);
        // By convention a matrix with a NaN has no factor at all.
        if a.iter().flatten().any(|x| x.is_nan()) {
            return f64::NAN;
        }
        if j > i {
            return 0.0;
        }
        let minor =
            |rows: &[usize]| determinant(&rows.iter().map(|r| (0..rows.len()).map(|c| 0.5 * (a[*r][c] + a[c][*r])).collect()).collect());
        let first: Vec<_> = (0..=j).collect();
        minor(&[&first[..j], &[i]].concat()) / (minor(&first[..j]) * minor(&first)).sqrt()
    })
}

/// The text and the inputs of a sample that adds a diagonal, `(x[0] + x[1].diag(k)).name(..)`, as those of `x[0].name(..)`.
pub(super) fn with_diagonal(text: &str, x: &[Nd]) -> Option<(String, Vec<Nd>)> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (offset, rest) = closed(text.strip_prefix("(x[0]+x[1].diag(")?);
    let mut diagonal = diag(&x[1], numbers(offset)[0]);
    let (flips, rest) = closed(rest);
    match flips {
        "" => {}
        ".flip([0])" => diagonal = super::movement::flip(&diagonal, &[0]),
        _ => return None,
    }
    Some((format!("x[0]{rest}"), [&[x[0].zip(&diagonal, |a, b| a + b)], &x[2..]].concat()))
}

/// The sample of `slogdet` that uses both results.
pub(super) fn both(text: &str, x: &[Nd]) -> Option<Nd> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let rest = text.strip_prefix("{let(sign,logabsdet)=")?.strip_suffix(";sign*logabsdet}")?;
    let (_, x) = with_diagonal(rest, x)?;
    Some(each(&x[0], |det| det.signum() * det.abs().ln()))
}

pub(super) fn decomposed(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let x = &inputs[0];
    Some(match (&*call.name, &*call.rest) {
        ("det", "") => each(x, |det| det),
        ("logdet", "") => each(x, f64::ln),
        ("slogdet", ".0") => each(x, f64::signum),
        ("slogdet", ".1") => each(x, |det| det.abs().ln()),
        ("inverse", "") => inverse(x),
        ("solve", "") => solve(x, &inputs[1]),
        ("cholesky", "") => cholesky(x),
        _ => return None,
    })
}
