//! Movement, indexing and sorting by nested loops.

use super::{
    call::{Call, lengths, lists, numbers},
    nd::{Nd, axis, common, indices, with},
};

/// The lengths `[..]`, of which one may be −1 for what is left over.
pub(super) fn reshape(x: &Nd, lengths: &[isize]) -> Nd {
    let known: usize = lengths.iter().filter(|n| **n >= 0).map(|n| n.unsigned_abs()).product();
    let shape: Vec<_> = lengths.iter().map(|n| if *n < 0 { x.data.len() / known } else { n.unsigned_abs() }).collect();
    x.reshape(&shape)
}

/// A shape as it is written in a sample.
pub(super) fn shape(text: &str, x: &Nd) -> Vec<usize> {
    match text {
        "&Shape::SCALAR" => vec![],
        "&Algebra::shape(&x[0])" => x.shape.clone(),
        _ => vec![1; lengths(text.strip_prefix("Shape::ones").unwrap())[0]],
    }
}

/// The sum over the axes that a shape lacks, or along which its length is 1.
pub(super) fn sum_to(x: &Nd, shape: &[usize]) -> Nd {
    let missing = x.rank() - shape.len();
    let stretched: Vec<_> = (0..x.rank()).filter(|k| *k < missing || shape[k - missing] == 1 && x.shape[*k] != 1).collect();
    x.reduce(&stretched, true, |line| line.iter().sum()).reshape(shape)
}

pub(super) fn pad(x: &Nd, call: &Call) -> Nd {
    let pairs = lengths(&call.args[0]);
    let first = x.rank() - pairs.len() / 2;
    let mut y = x.clone();
    for (k, pair) in pairs.chunks(2).enumerate() {
        y = y.along(first + k, |line| {
            let n = line.len().cast_signed();
            (-pair[0].cast_signed()..n + pair[1].cast_signed())
                .map(|i| {
                    let from = match &*call.args[1] {
                        _ if (0..n).contains(&i) => i,
                        "Padding::Reflect" => {
                            if i < 0 {
                                -i
                            } else {
                                2 * (n - 1) - i
                            }
                        }
                        "Padding::Replicate" => i.clamp(0, n - 1),
                        "Padding::Circular" => i.rem_euclid(n),
                        constant => return constant.strip_prefix("Padding::Constant(").unwrap().trim_end_matches(')').parse().unwrap(),
                    };
                    line[from.unsigned_abs()]
                })
                .collect()
        });
    }
    y
}

/// The whole tensor several times along each axis; what is missing in front is 1.
pub(super) fn repeat(x: &Nd, counts: &[usize]) -> Nd {
    let rank = x.rank().max(counts.len());
    let pad = |list: &[usize]| [&vec![1; rank - list.len()], list].concat();
    let (x, counts) = (x.reshape(&pad(&x.shape)), pad(counts));
    let shape: Vec<_> = (0..rank).map(|k| x.shape[k] * counts[k]).collect();
    Nd::from_fn(&shape, |index| x.at(&(0..rank).map(|k| index[k] % x.shape[k]).collect::<Vec<_>>()))
}

pub(super) fn concat(parts: &[Nd], axis: usize) -> Nd {
    let total = parts.iter().map(|part| part.shape[axis]).sum();
    Nd::from_fn(&with(&parts[0].shape, axis, total), |index| {
        let mut i = index[axis];
        for part in parts {
            if i < part.shape[axis] {
                return part.at(&with(index, axis, i));
            }
            i -= part.shape[axis];
        }
        unreachable!()
    })
}

/// One more axis of length 1.
pub(super) fn unsqueeze(x: &Nd, axis: usize) -> Nd {
    x.reshape(&[&x.shape[..axis], &[1], &x.shape[axis..]].concat())
}

/// The part number `k` of parts with these lengths.
pub(super) fn part(x: &Nd, axis: usize, sizes: &[usize], k: usize) -> Nd {
    let start: usize = sizes[..k].iter().sum();
    x.choose(axis, &(start..start + sizes[k]).collect::<Vec<_>>())
}

/// Every `step`-th position of a range, from its end if the step is negative.
pub(super) fn slice_step(x: &Nd, axis: usize, (start, end): (usize, usize), step: isize) -> Nd {
    let positions: Vec<_> = if step > 0 {
        (start..end).step_by(step.unsigned_abs()).collect()
    } else {
        (start..end).rev().step_by(step.unsigned_abs()).collect()
    };
    x.choose(axis, &positions)
}

pub(super) fn flip(x: &Nd, axes: &[usize]) -> Nd {
    axes.iter().fold(x.clone(), |x, k| x.choose(*k, &(0..x.shape[*k]).rev().collect::<Vec<_>>()))
}

/// y\[.., i, .., j\] = x\[.., i·step + j, ..\]
pub(super) fn unfold(x: &Nd, axis: usize, size: usize, step: usize) -> Nd {
    let count = (x.shape[axis] - size) / step + 1;
    Nd::from_fn(&[&*with(&x.shape, axis, count), &[size]].concat(), |index| {
        x.at(&with(&index[..x.rank()], axis, index[axis] * step + index[x.rank()]))
    })
}

/// y\[.., k, l, i, j\] = x\[.., i + 2k, j + 2l\] for windows of 2 positions.
fn two_windows(x: &Nd) -> Nd {
    let batch = x.rank() - 2;
    Nd::from_fn(&[&x.shape[..batch], &[2, 2, x.shape[batch] - 2, x.shape[batch + 1] - 2]].concat(), |index| {
        let &[k, l, i, j] = &index[batch..] else { unreachable!() };
        x.at(&[&index[..batch], &[i + 2 * k, j + 2 * l]].concat())
    })
}

/// `&at([positions], [shape])` or `&Indices::from(vec![positions])`
pub(super) fn positions(text: &str) -> Nd {
    let mut lists = lists(text);
    let shape = if lists.len() == 2 { lists.remove(1) } else { vec![lists[0].len()] };
    Nd { shape, data: lists[0].iter().map(|i| *i as f64).collect() }
}

/// The axis takes the shape of the list.
pub(super) fn index_select(x: &Nd, axis: usize, list: &Nd) -> Nd {
    let shape = [&x.shape[..axis], &list.shape, &x.shape[axis + 1..]].concat();
    Nd::from_fn(&shape, |index| {
        let i = list.at(&index[axis..axis + list.rank()]) as usize;
        x.at(&[&index[..axis], &[i], &index[axis + list.rank()..]].concat())
    })
}

pub(super) fn gather(x: &Nd, axis: usize, list: &Nd) -> Nd {
    Nd::from_fn(&list.shape, |index| x.at(&with(index, axis, list.at(index) as usize)))
}

/// As `gather`, after all axes but that one have been broadcast.
pub(super) fn take_along_axis(x: &Nd, axis: usize, list: &Nd) -> Nd {
    let shape = common(&with(&x.shape, axis, 1), &with(&list.shape, axis, 1));
    gather(&x.stretch(&with(&shape, axis, x.shape[axis])), axis, &list.stretch(&with(&shape, axis, list.shape[axis])))
}

/// y\[list\[i\], j\] += source\[i, j\]
pub(super) fn scatter_add(x: &Nd, source: &Nd, axis: usize, list: &Nd) -> Nd {
    let mut y = x.clone();
    for index in indices(&source.shape) {
        y.add_at(&with(&index, axis, list.at(&index) as usize), source.at(&index));
    }
    y
}

pub(super) fn index_add(x: &Nd, source: &Nd, axis: usize, list: &Nd) -> Nd {
    let mut y = x.clone();
    for index in indices(&source.shape) {
        y.add_at(&with(&index, axis, list.at(&[index[axis]]) as usize), source.at(&index));
    }
    y
}

/// The elements at a place, by the text of the place.
pub(super) fn take(x: &Nd, place: &str) -> Option<Nd> {
    Some(match place {
        "Place::Slice{axis:-1,start:0,end:Some(2),step:1}" => x.choose(axis(-1, x.rank()), &[0, 1]),
        "Place::Flat{indices:at([5,0,5,1],[2,2])}" => positions("[5,0,5,1],[2,2]").map(|i| x.data[i as usize]),
        "Place::Diagonal{offset:-1,a:0,b:-1}" => super::algebra::diagonal(x, -1, 0, -1),
        "two_windows()" => two_windows(x),
        _ => return None,
    })
}

/// Zeros with `x` added at a place.
pub(super) fn put(x: &Nd, place: &str, shape: &[usize]) -> Option<Nd> {
    let mut y = Nd::from_fn(shape, |_| 0.0);
    match place {
        "Place::Select{axis:1,indices:Indices::from(vec![0])}" => {
            for row in 0..x.shape[0] {
                y.add_at(&[row, 0], x.at(&[row, 0]));
            }
        }
        "Place::Flat{indices:at([0,0],[2])}" => y.data[0] += x.data[0] + x.data[1],
        _ => return None,
    }
    Some(y)
}

/// In ascending order by exchanges of neighbours, which leave equal ones in their order. NaN counts as the largest.
pub(super) fn sorted(line: &[f64], descending: bool) -> Vec<f64> {
    let above = |a: f64, b: f64| a > b || (a.is_nan() && !b.is_nan());
    let mut line = line.to_vec();
    for _ in 0..line.len() {
        for i in 1..line.len() {
            let (a, b) = (line[i - 1], line[i]);
            if if descending { above(b, a) } else { above(a, b) } {
                line.swap(i - 1, i);
            }
        }
    }
    line
}

pub(super) fn masked_select(x: &Nd, mask: &Nd) -> Nd {
    let shape = common(&x.shape, &mask.shape);
    let (x, mask) = (x.stretch(&shape), mask.stretch(&shape));
    let kept: Vec<_> = indices(&shape).filter(|index| mask.at(index) != 0.0).map(|index| x.at(&index)).collect();
    Nd { shape: vec![kept.len()], data: kept }
}

/// The order of axes of `permute`.
pub(super) fn order(text: &str, rank: usize) -> Vec<usize> {
    numbers(text).into_iter().map(|k| axis(k, rank)).collect()
}
