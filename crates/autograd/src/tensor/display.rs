//! Tensors as text: like NumPy, aligned, shortened when large.

use std::fmt;

use super::Tensor;
use crate::real::Real;

/// Above this many elements only the ends of each axis are written.
const WHOLE: usize = 400;
/// How many entries of each end are written then.
const EDGE: usize = 3;

/// The elements in brackets, to the number of digits in the format (`{:.2}`), by default four; short for large tensors.
impl<T: Real> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(4);
        let shortened = self.len() > WHOLE;
        let text = |v: T| {
            let size = v.to_f64().abs();
            if v.is_finite() && size != 0.0 && !(1e-4..1e6).contains(&size) { format!("{v:.digits$e}") } else { format!("{v:.digits$}") }
        };
        let mut width = 0;
        let mut cells = Vec::new();
        each_shown(self.shape(), shortened, |position, _| {
            let cell = self.get(position).map(text).unwrap_or_default();
            width = width.max(cell.len());
            cells.push(cell);
        });
        let mut cells = cells.into_iter();
        let rank = self.rank();
        if rank == 0 {
            return f.write_str(&cells.next().unwrap_or_default());
        }
        if self.is_empty() {
            return write!(f, "[] of shape {}", self.shape());
        }
        let mut out = String::new();
        each_shown(self.shape(), shortened, |position, gap| {
            // How many axes start or end at this element.
            let opening = position.iter().rev().take_while(|&&i| i == 0).count();
            let closing = position.iter().zip(self.shape().iter()).rev().take_while(|(i, n)| **i + 1 == **n).count();
            // Whether an outer axis has jumped over entries just here.
            let jumped = shortened && opening > 0 && opening < rank && {
                let (at, n) = (position[rank - 1 - opening], self.shape()[rank - 1 - opening]);
                n > 2 * EDGE && at == n - EDGE
            };
            if jumped {
                out.push_str(&" ".repeat(rank - opening));
                out.push_str("…,\n");
            }
            if opening > 0 {
                out.push_str(&" ".repeat(rank - opening));
                out.push_str(&"[".repeat(opening));
            } else {
                out.push_str(", ");
            }
            if gap {
                out.push_str("…, ");
            }
            let cell = cells.next().unwrap_or_default();
            out.push_str(&" ".repeat(width.saturating_sub(cell.len())));
            out.push_str(&cell);
            out.push_str(&"]".repeat(closing));
            if closing > 0 && closing < rank {
                out.push_str(",\n");
            }
        });
        f.write_str(&out)
    }
}

/// Calls `show` with every position that is written; `gap` says that entries were left out before it on the last axis.
fn each_shown(shape: &[usize], shortened: bool, mut show: impl FnMut(&[usize], bool)) {
    if shape.contains(&0) {
        return;
    }
    let mut position = vec![0; shape.len()];
    loop {
        let gap = shortened && shape.last().is_some_and(|&n| n > 2 * EDGE && position.last() == Some(&(n - EDGE)));
        show(&position, gap);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            position[axis] += 1;
            if shortened && shape[axis] > 2 * EDGE && position[axis] == EDGE {
                position[axis] = shape[axis] - EDGE;
            }
            if position[axis] < shape[axis] {
                break;
            }
            position[axis] = 0;
        }
    }
}

impl<T: Real> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}>{} {self}", T::NAME, self.shape())
    }
}
