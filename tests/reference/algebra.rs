//! Linear algebra and softmax by nested loops.

use std::collections::BTreeMap;

use super::nd::{Nd, axis, common, indices};

/// The matrix product with the rules of `NumPy`.
pub(super) fn matmul(a: &Nd, b: &Nd) -> Nd {
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let a = if row { a.reshape(&[1, a.shape[0]]) } else { a.clone() };
    let b = if column { b.reshape(&[b.shape[0], 1]) } else { b.clone() };
    let (m, k, n) = (a.shape[a.rank() - 2], a.shape[a.rank() - 1], b.shape[b.rank() - 1]);
    assert_eq!(b.shape[b.rank() - 2], k);
    let batch = common(&a.shape[..a.rank() - 2], &b.shape[..b.rank() - 2]);
    let (a, b) = (a.stretch(&[&*batch, &[m, k]].concat()), b.stretch(&[&*batch, &[k, n]].concat()));
    let y = Nd::from_fn(&[&*batch, &[m, n]].concat(), |index| {
        let (batch, i, j) = (&index[..batch.len()], index[batch.len()], index[batch.len() + 1]);
        let mut sum = 0.0;
        for l in 0..k {
            sum += a.at(&[batch, &[i, l]].concat()) * b.at(&[batch, &[l, j]].concat());
        }
        sum
    });
    let mut shape = batch;
    shape.extend((!row).then_some(m));
    shape.extend((!column).then_some(n));
    y.reshape(&shape)
}

/// The last two axes exchanged, of matrices but not of vectors.
pub(super) fn transposed_if(x: &Nd, transpose: bool) -> Nd {
    if transpose && x.rank() >= 2 { x.transpose(x.rank() - 2, x.rank() - 1) } else { x.clone() }
}

/// Σ over all letters that the result lacks, of the product of all operands.
pub(super) fn einsum(spec: &str, operands: &[Nd]) -> Nd {
    let spec: String = spec.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    let (inputs, output) = spec.split_once("->").map_or((&*spec, None), |(inputs, output)| (inputs, Some(output)));
    // Axes behind "..." count from the end: they are called '0' for the last, '1' for the one before.
    let letters = |term: &str, rank: usize| -> Vec<char> {
        let hidden = (rank + 3).saturating_sub(term.len());
        let names: String = (0..hidden).rev().filter_map(|i| char::from_digit(u32::try_from(i).unwrap(), 10)).collect();
        term.replace("...", &names).chars().collect()
    };
    let terms: Vec<_> = inputs.split(',').zip(operands).map(|(term, x)| letters(term, x.rank())).collect();
    let mut length = BTreeMap::new();
    for (term, x) in terms.iter().zip(operands) {
        for (letter, n) in term.iter().zip(&x.shape) {
            let length = length.entry(*letter).or_insert(1);
            *length = if *length == 1 { *n } else { *length };
        }
    }
    let hidden: Vec<_> = length.keys().copied().filter(char::is_ascii_digit).rev().collect();
    let output = if let Some(output) = output {
        letters(output, if output.contains("...") { output.len() - 3 + hidden.len() } else { output.len() })
    } else {
        // Those that appear once, in alphabetical order.
        let once = |letter: &char| terms.iter().flatten().filter(|other| *other == letter).count() == 1;
        hidden.iter().copied().chain(length.keys().copied().filter(|c| !c.is_ascii_digit() && once(c))).collect()
    };
    let summed: Vec<_> = length.keys().copied().filter(|letter| !output.contains(letter)).collect();
    let lengths = |letters: &[char]| -> Vec<usize> { letters.iter().map(|letter| length[letter]).collect() };
    Nd::from_fn(&lengths(&output), |index| {
        let mut sum = 0.0;
        for inner in indices(&lengths(&summed)) {
            let position = |letter: &char| match output.iter().position(|other| other == letter) {
                Some(k) => index[k],
                None => inner[summed.iter().position(|other| other == letter).unwrap()],
            };
            let mut product = 1.0;
            for (term, x) in terms.iter().zip(operands) {
                let at: Vec<_> = term.iter().zip(&x.shape).map(|(letter, n)| if *n == 1 { 0 } else { position(letter) }).collect();
                product *= x.at(&at);
            }
            sum += product;
        }
        sum
    })
}

/// The elements whose position on axis `b` is `offset` more than on axis `a`, as the last axis.
pub(super) fn diagonal(x: &Nd, offset: isize, a: isize, b: isize) -> Nd {
    let (a, b) = (axis(a, x.rank()), axis(b, x.rank()));
    let places: Vec<_> = (0..x.shape[a]).filter_map(|i| i.checked_add_signed(offset).filter(|j| *j < x.shape[b]).map(|j| (i, j))).collect();
    let others: Vec<_> = (0..x.rank()).filter(|k| *k != a && *k != b).collect();
    let shape: Vec<_> = others.iter().map(|k| x.shape[*k]).chain([places.len()]).collect();
    Nd::from_fn(&shape, |index| {
        let mut at = vec![0; x.rank()];
        for (k, i) in others.iter().zip(index) {
            at[*k] = *i;
        }
        (at[a], at[b]) = places[index[others.len()]];
        x.at(&at)
    })
}

/// The matrix with a vector on a diagonal, or the diagonal of a matrix.
pub(super) fn diag(x: &Nd, offset: isize) -> Nd {
    if x.rank() == 2 {
        return diagonal(x, offset, 0, 1);
    }
    let n = x.shape[0] + offset.unsigned_abs();
    Nd::from_fn(&[n, n], |index| {
        let on = index[1].cast_signed() - index[0].cast_signed() == offset;
        if on { x.at(&[index[0].min(index[1])]) } else { 0.0 }
    })
}

/// The elements of matrices for which `keep(column − row)`, zeros elsewhere.
pub(super) fn triangle(x: &Nd, keep: impl Fn(isize) -> bool) -> Nd {
    Nd::from_fn(&x.shape, |index| {
        let (row, column) = (index[x.rank() - 2].cast_signed(), index[x.rank() - 1].cast_signed());
        if keep(column - row) { x.at(index) } else { 0.0 }
    })
}

/// NaN if there is one.
pub(super) fn largest(line: &[f64]) -> f64 {
    line.iter().copied().fold(f64::NEG_INFINITY, |a, b| if a >= b || a.is_nan() { a } else { b })
}

/// NaN if there is one.
pub(super) fn smallest(line: &[f64]) -> f64 {
    line.iter().copied().fold(f64::INFINITY, |a, b| if a <= b || a.is_nan() { a } else { b })
}

/// max + ln Σ e^(x − max), and an infinite max itself, in which the others vanish.
pub(super) fn logsumexp(line: &[f64]) -> f64 {
    let shift = largest(line);
    if shift.is_infinite() { shift } else { shift + line.iter().map(|x| (x - shift).exp()).sum::<f64>().ln() }
}

/// eˣ / Σ eˣ. Where one x is ∞, so are both parts of its quotient, and by convention all of the line is NaN, as in `PyTorch`.
pub(super) fn softmax(line: &[f64]) -> Vec<f64> {
    let total: f64 = line.iter().map(|x| x.exp()).sum();
    line.iter().map(|x| if total.is_infinite() { f64::NAN } else { x.exp() / total }).collect()
}

pub(super) fn log_softmax(line: &[f64]) -> Vec<f64> {
    let total = logsumexp(line);
    line.iter().map(|x| if total.is_infinite() { f64::NAN } else { x - total }).collect()
}
