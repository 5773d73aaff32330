//! Linear algebra: the matrix product, products of vectors, diagonals and triangles.

use std::borrow::Cow;

use super::{Algebra, Handle, Linearity, Op, Place, Sink, each, methods};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{
            allocate,
            matmul::{self, Product},
        },
    },
};

#[derive(Debug)]
struct MatMul {
    transpose_a: bool,
    transpose_b: bool,
    /// The shape to which the products of a batch are summed, if they are.
    to: Option<Shape>,
}

impl Op<2> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn notation(&self) -> Option<Cow<'static, str>> {
        let product = match (self.transpose_a, self.transpose_b) {
            (false, false) => "{0}·{1}",
            (true, false) => "{0}ᵀ·{1}",
            (false, true) => "{0}·{1}ᵀ",
            (true, true) => "{0}ᵀ·{1}ᵀ",
        };
        Some(product.into())
    }

    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }

    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        matmul::matmul((a, self.transpose_a), (b, self.transpose_b), self.to.as_ref(), |_| false)
    }

    fn forward_onto<T: Real>(&self, [a, b]: [&Tensor<T>; 2], sum: &mut [T]) -> bool {
        matmul::add_matmul((a, self.transpose_a), (b, self.transpose_b), self.to.as_ref(), sum).is_ok()
    }

    /// With A and B as they are multiplied: dA = G Bᵀ and dB = Aᵀ G, each transposed where its operand is, and summed over the batch
    /// along which its operand was stretched.
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let (a_shape, b_shape) = (a.shape(), b.shape());
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let sides = |a, b, g, ta: bool, tb: bool| {
            let for_a = if ta { (b, tb, g, true) } else { (g, false, b, !tb) };
            let for_b = if tb { (g, true, a, ta) } else { (a, !ta, g, false) };
            [for_a, for_b]
        };
        if self.to.is_none() && a_shape.rank() == 2 && b_shape.rank() == 2 {
            for (k, (left, tl, right, tr)) in sides(a, b, g, ta, tb).into_iter().enumerate() {
                if out.needs(k) {
                    out.add_matmul(k, left, tl, right, tr);
                }
            }
            return;
        }
        // A vector is a row on the left and a column on the right.
        let is_row = a_shape.rank() == 1;
        let is_column = b_shape.rank() == 1;
        let a = if is_row { a.unsqueeze(0) } else { a.clone() };
        let b = if is_column { b.unsqueeze(1) } else { b.clone() };
        let (ta, tb) = (ta && !is_row, tb && !is_column);
        let (a_matrix, b_matrix) = (a.shape(), b.shape());
        let Ok(product) = Product::new(&a_matrix, ta, &b_matrix, tb) else { return };
        let matrix = &product.shape[product.batch().len()..];
        let batch = match &self.to {
            // A result of vectors lacks their axes.
            Some(to) => &to[..to.rank() + usize::from(is_row) + usize::from(is_column) - 2],
            None => product.batch(),
        };
        let Ok(full) = Shape::joined(&[batch, matrix]) else { return };
        let g = g.shaped(&full);
        let [for_a, for_b] = sides(&a, &b, &g, ta, tb);

        if out.needs(0) {
            let (left, tl, right, tr) = for_a;
            if is_row {
                out.add(0, summed(left, tl, right, tr, &a.shape()).shaped(&a_shape));
            } else {
                add_summed(0, left, tl, right, tr, &a_shape, out);
            }
        }
        if out.needs(1) {
            if !ta && self.to.is_none() && b.shape().rank() == 2 {
                // A batch times one matrix: the sum over the batch is part of one product over all rows.
                let (Ok(a_rows), Ok(g_rows)) = (a.shape().as_rows(), g.shape().as_rows()) else { return };
                let (left, right) = (a.shaped(&a_rows), g.shaped(&g_rows));
                if is_column {
                    out.add(1, left.matmul_as(&right, true, false).shaped(&b_shape));
                } else if tb {
                    out.add_matmul(1, &right, true, &left, false);
                } else {
                    out.add_matmul(1, &left, true, &right, false);
                }
                return;
            }
            let (left, tl, right, tr) = for_b;
            if is_column {
                out.add(1, summed(left, tl, right, tr, &b.shape()).shaped(&b_shape));
            } else {
                add_summed(1, left, tl, right, tr, &b_shape, out);
            }
        }
    }

    /// dA·B + A·dB
    fn jvp_each<T: Real>(&self, [a, b]: [&Tensor<T>; 2], y: &Tensor<T>, [da, db]: [Option<&Tensor<T>>; 2]) -> Option<Tensor<T>> {
        if self.to.is_some() {
            return None;
        }
        let through = |is_left, stack: Option<&_>, other| stack.map(|stack| self.each(is_left, stack, other, y.shape()));
        match (through(true, da, b), through(false, db, a)) {
            (Some(by_a), Some(by_b)) => by_a?.add(&by_b?).ok(),
            (by_a, by_b) => by_a.or(by_b)?,
        }
    }
}

impl MatMul {
    /// The products of each entry of a stack, on the left or on the right, with one and the same factor; `shape` is that of one product.
    fn each<T: Real>(&self, is_left: bool, stack: &Tensor<T>, other: &Tensor<T>, shape: &Shape) -> Option<Tensor<T>> {
        let (rank, full) = (stack.rank() - 1, shape.stacked(each::count(stack)?).ok()?);
        let product = |a, ta, b, tb| Some(matmul::matmul((a, ta), (b, tb), None, |_| false).ok()?.with_shape(full));
        if !is_left && rank == 1 && other.rank() == 2 {
            // A·x for each x: the rows of X·Aᵀ.
            return product(stack, false, other, !self.transpose_a);
        }
        // A vector is a row on the left and a column on the right; the batches of both have as many axes.
        let (count, entry) = stack.shape().split_first()?;
        let matrix = match (entry, is_left) {
            (&[n], true) => Shape::new(&[*count, 1, n]),
            (&[n], false) => Shape::new(&[*count, n, 1]),
            _ => Ok(*stack.shape()),
        };
        let stack = stack.with_shape(each::padded(&matrix.ok()?, rank.max(other.rank()).max(2))?);
        let is_transposed = |transpose: bool| transpose && rank > 1;
        if is_left {
            product(&stack, is_transposed(self.transpose_a), other, self.transpose_b)
        } else {
            product(other, self.transpose_a, &stack, is_transposed(self.transpose_b))
        }
    }
}

/// A product of matrices (not vectors) brought to the shape of an operand: summed over the batch along which that was stretched, and
/// repeated along the axes over which the products had been summed.
fn summed<T: Real, A: Algebra<T>>(left: &A, tl: bool, right: &A, tr: bool, to: &Shape) -> A {
    let (left_shape, right_shape) = (left.shape(), right.shape());
    let product = match Product::new(&left_shape, tl, &right_shape, tr) {
        Ok(product) => product,
        Err(error) => return left.refused(error),
    };
    // The target, but of length 1, or without an axis, where the product has nothing else to give.
    let rank = product.shape.rank().min(to.rank());
    let narrow: Vec<usize> =
        (0..rank).rev().map(|from_end| if product.shape.nth_from_end(from_end) == 1 { 1 } else { to.nth_from_end(from_end) }).collect();
    match Shape::new(&narrow) {
        Ok(narrow) if narrow == product.shape && narrow == *to => left.matmul_as(right, tl, tr),
        Ok(narrow) => A::call(matmul_summed(tl, tr, &narrow), &[left, right]).broadcast_as(to),
        Err(error) => left.refused(error),
    }
}

/// Adds such a product to the gradient of input `k`, in place where it needs no repetition.
fn add_summed<T: Real, A: Algebra<T>>(k: usize, left: &A, tl: bool, right: &A, tr: bool, to: &Shape, out: &mut dyn Sink<T, A>) {
    match Product::new(&left.shape(), tl, &right.shape(), tr).and_then(|product| product.sum_to(to)) {
        Ok(_) => out.add_matmul(k, left, tl, right, tr),
        Err(_) => out.add(k, summed(left, tl, right, tr, to)),
    }
}

/// x·Wᵀ + b, with the bias under the product, to which that is added.
#[derive(Debug)]
struct Linear;

impl Linear {
    const PRODUCT: MatMul = MatMul { transpose_a: false, transpose_b: true, to: None };
}

impl Op<3> for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn notation(&self) -> Option<Cow<'static, str>> {
        Some("{0}·{1}ᵀ + {2}".into())
    }
    fn forward<T: Real>(&self, [x, weight, bias]: [&Tensor<T>; 3]) -> Result<Tensor<T>, Error> {
        // A product that does not fit is an error before a bias that does not.
        let fits = weight.rank() == 2 && bias.shape()[..] == weight.shape()[..1];
        if !fits {
            Product::new(x.shape(), false, weight.shape(), true)?;
            let &[outputs, _] = &**weight.shape() else {
                return Err(ErrorKind::Rank { expected: "2 axes, [out, in], the weight,", found: weight.rank() }.into());
            };
            return Err(ErrorKind::Mismatch { expected: Shape::new(&[outputs])?, found: *bias.shape(), except: None }.into());
        }
        matmul::matmul((x, false), (weight, true), None, |y| {
            for row in y.chunks_exact_mut(bias.len().max(1)) {
                row.copy_from_slice(bias.as_slice());
            }
            true
        })
    }
    /// That of the product; and the sum over all rows for the bias.
    fn vjp<T: Real, A: Algebra<T>>(&self, [x, weight, bias]: [&A; 3], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        Linear::PRODUCT.vjp([x, weight], y, g, out);
        if out.needs(2) {
            out.add(2, g.unstretched(bias));
        }
    }
    fn jvp<T: Real, A: Algebra<T>>(&self, [x, weight, _]: [&A; 3], y: &A, [dx, dw, db]: [Option<&A>; 3]) -> Option<A> {
        let through = dx.map(|dx| dx.matmul_as(weight, false, true));
        let moved = match (dw, db) {
            (Some(dw), Some(db)) => Some(A::call(linear(), &[x, dw, db])),
            (Some(dw), None) => Some(x.matmul_as(dw, false, true)),
            (None, db) => db.map(|db| db.broadcast_as(&y.shape())),
        };
        through.into_iter().chain(moved).reduce(|a, b| a.add(&b))
    }
    fn jvp_each<T: Real>(
        &self,
        [x, weight, _]: [&Tensor<T>; 3],
        y: &Tensor<T>,
        [dx, dw, db]: [Option<&Tensor<T>>; 3],
    ) -> Option<Tensor<T>> {
        let product = if dx.or(dw).is_some() { Some(Linear::PRODUCT.jvp_each([x, weight], y, [dx, dw])?) } else { None };
        match (product, db) {
            (Some(product), Some(db)) => product.add(&each::aligned(db, y.rank())?).ok(),
            (Some(product), None) => Some(product),
            (None, db) => each::stretched(db?, y.shape()),
        }
    }
}

#[inline(never)]
fn linear() -> Handle {
    Handle::new(Linear)
}

#[inline(never)]
fn matmul(transpose_a: bool, transpose_b: bool) -> Handle {
    Handle::new(MatMul { transpose_a, transpose_b, to: None })
}

/// The product, summed to a shape over the axes of the batch in which that has length 1 or none.
#[inline(never)]
pub(crate) fn matmul_summed(transpose_a: bool, transpose_b: bool, to: &Shape) -> Handle {
    Handle::new(MatMul { transpose_a, transpose_b, to: Some(*to) })
}

/// The elements of matrices on one side of a diagonal, and zeros on the other. It is a projection, and its own transpose.
#[derive(Debug)]
struct Triangle {
    is_upper: bool,
    /// How far the diagonal lies above the main one.
    k: isize,
}

impl Op<1> for Triangle {
    fn name(&self) -> &'static str {
        if self.is_upper { "triu" } else { "tril" }
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let shape = *x.shape();
        let [.., rows, columns] = shape[..] else {
            return Err(ErrorKind::Rank { expected: "at least 2 axes", found: shape.rank() }.into());
        };
        // Elements outside are not multiplied by 0 but left out: NaN and infinities stay there.
        let mut kept = allocate(shape.len())?;
        if shape.is_empty() {
            return Ok(Tensor::of(shape, kept));
        }
        for (i, (to, from)) in kept.chunks_exact_mut(columns).zip(x.as_slice().chunks_exact(columns)).enumerate() {
            let diagonal = (i % rows).cast_signed().saturating_add(self.k);
            let bound = |at: isize| usize::try_from(at).unwrap_or(0).min(columns);
            let range = if self.is_upper { bound(diagonal)..columns } else { 0..bound(diagonal.saturating_add(1)) };
            to[range.clone()].copy_from_slice(&from[range]);
        }
        Ok(Tensor::of(shape, kept))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::call(triangle(self.is_upper, self.k), &[g]));
    }
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; 1], _y: &Tensor<T>, [dx]: [Option<&Tensor<T>>; 1]) -> Option<Tensor<T>> {
        self.forward([dx?]).ok()
    }
}

#[inline(never)]
fn triangle(is_upper: bool, k: isize) -> Handle {
    Handle::new(Triangle { is_upper, k })
}

/// The error unless all are vectors, of one length if `are_alike`.
fn vectors(a: &Shape, b: &Shape, are_alike: bool) -> Result<(), Error> {
    match [a, b].into_iter().find(|shape| shape.rank() != 1) {
        Some(shape) => Err(ErrorKind::Rank { expected: "1 axis", found: shape.rank() }.into()),
        None if are_alike && a != b => Err(ErrorKind::Mismatch { expected: *a, found: *b, except: None }.into()),
        None => Ok(()),
    }
}

#[inline(never)]
fn diagonal(offset: isize, a: isize, b: isize) -> Handle {
    super::index::take("diagonal", Place::Diagonal { offset, a, b })
}

fn dot<T: Real, A: Algebra<T>>(a: &A, b: &A) -> A {
    match vectors(&a.shape(), &b.shape(), true) {
        Ok(()) => Methods::matmul(a, b),
        Err(error) => a.refused(error),
    }
}

fn outer<T: Real, A: Algebra<T>>(a: &A, b: &A) -> A {
    match vectors(&a.shape(), &b.shape(), false) {
        Ok(()) => a.unsqueeze(1).mul(b),
        Err(error) => a.refused(error),
    }
}

fn matrix_trace<T: Real, A: Algebra<T>>(x: &A) -> A {
    if x.shape().rank() < 2 {
        return x.refused(ErrorKind::Rank { expected: "at least 2 axes", found: x.shape().rank() });
    }
    x.diagonal(0, -2, -1).sum_axes([-1], false)
}

fn diag<T: Real, A: Algebra<T>>(x: &A, offset: isize) -> A {
    match x.shape()[..] {
        [n] => {
            let square = n.saturating_add(offset.unsigned_abs());
            match Shape::new(&[square, square]) {
                Ok(shape) => x.put(Place::Diagonal { offset, a: 0, b: 1 }, &shape),
                Err(error) => x.refused(error),
            }
        }
        [_, _] => x.diagonal(offset, 0, 1),
        _ => x.refused(ErrorKind::Rank { expected: "1 or 2 axes", found: x.shape().rank() }),
    }
}

methods! {
    /// The matrix product, with the rules of `NumPy`: vectors are a row on the left and a column on the right, and leading axes are batches,
    /// which broadcast.
    ///
    /// | shapes | result |
    /// |---|---|
    /// | `[k]`, `[k]` | `[]` |
    /// | `[m, k]`, `[k]` | `[m]` |
    /// | `[m, k]`, `[k, n]` | `[m, n]` |
    /// | `[b, m, k]`, `[k, n]` | `[b, m, n]` |
    ///
    /// # Errors
    /// Inner lengths that differ, batches that do not broadcast, scalars.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// let x = g.variable(tensor![1.0, -1.0]);
    /// assert_eq!(a.matmul(x).value()?, tensor![-1.0, -1.0]);
    /// assert_eq!(x.matmul(x).item()?, 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn matmul(a, b) = matmul(false, false), samples: {
        [[2, 3], [3, 4]] => |x| x[0].matmul(x[1]);
        [[3], [3]] => |x| x[0].matmul(x[1]);
        [[2, 3], [3]] => |x| x[0].matmul(x[1]);
        [[3], [3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 2, 3], [3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 2, 3], [3]] => |x| x[0].matmul(x[1]);
        [[2, 3], [2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[3], [2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 3], [3, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 2, 3], [2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 3], [1, 3, 2]] => |x| x[0].matmul(x[1]);
        [[3], [1, 2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 3], [1, 2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 2, 3], [1, 2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 3], [3]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 3], [3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 3], [2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 3], [1, 2, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 2, 1, 3], [2, 3, 1]] => |x| x[0].matmul(x[1]);
        [[3, 1, 2], [1, 3, 2, 1]] => |x| x[0].matmul(x[1]);
        [[0], [0]] => |x| x[0].matmul(x[1]);
        [[2, 0], [0, 3]] => |x| x[0].matmul(x[1]);
        [[0, 3], [3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 3], [3, 0]] => |x| x[0].matmul(x[1]);
        [[2, 2, 0], [0]] => |x| x[0].matmul(x[1]);
        [[0, 2, 3], [3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 3], [0, 3, 2]] => |x| x[0].matmul(x[1]);
        [[2, 1, 2, 0], [2, 0, 3]] => |x| x[0].matmul(x[1]);
        [[2, 0, 2, 3], [1, 3, 2]] => |x| x[0].matmul(x[1]);
    }, errors: {
        [[2, 3], [2, 3]] => |x| x[0].matmul(x[1]), "the inner lengths of a matrix product must be equal, here 3 and 2";
        [[3], [2]] => |x| x[0].matmul(x[1]), "here 3 and 2";
        [[2, 0], [1, 3]] => |x| x[0].matmul(x[1]), "here 0 and 1";
        [[], [3]] => |x| x[0].matmul(x[1]), "at least 1 axis is needed";
        [[2, 3], []] => |x| x[0].matmul(x[1]), "at least 1 axis is needed";
        [[2, 1, 3], [3, 3, 2]] => |x| x[0].matmul(x[1]), "do not broadcast";
    };

    /// The matrix product with either operand read transposed (its last two axes exchanged), without a copy.
    ///
    /// # Errors
    /// As [`Var::matmul`](crate::Var::matmul).
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.constant(tensor![[1.0, 2.0, 3.0]]);
    /// let weight = g.variable(tensor![[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]);
    /// assert_eq!(x.matmul_as(weight, false, true).value()?, tensor![[4.0, 2.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn matmul_as(a, b; transpose_a: bool, transpose_b: bool) = matmul(transpose_a, transpose_b), samples: {
        [[3, 2], [3, 4]] => |x| x[0].matmul_as(x[1], true, false);
        [[2, 3], [4, 3]] => |x| x[0].matmul_as(x[1], false, true);
        [[3, 2], [4, 3]] => |x| x[0].matmul_as(x[1], true, true);
        [[2, 3, 2], [4, 3]] => |x| x[0].matmul_as(x[1], true, true);
        [[3, 2], [2, 2, 3]] => |x| x[0].matmul_as(x[1], true, true);
        [[3], [2, 3]] => |x| x[0].matmul_as(x[1], true, true);
        [[0, 2], [0, 3]] => |x| x[0].matmul_as(x[1], true, false);
        [[2, 0, 3], [0, 3]] => |x| x[0].matmul_as(x[1], false, true);
        [[2, 1, 3, 2], [2, 2, 3]] => |x| x[0].matmul_as(x[1], true, true);
        [[1, 3, 2], [2, 3, 2]] => |x| x[0].matmul_as(x[1], true, false);
    }, errors: {
        [[2, 3], [3, 2]] => |x| x[0].matmul_as(x[1], true, false), "here 2 and 3";
    };

    /// x·Wᵀ + b: the weights are `[out, in]`, the bias `[out]`, and the last axis of `x` has the inputs. One pass, with one gradient for each.
    ///
    /// # Errors
    /// A weight that is no matrix, inner lengths that differ, a bias of another length.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, w, b) = (g.variable(tensor![[1.0, 2.0]]), g.variable(tensor![[3.0, 4.0], [5.0, 6.0]]), g.variable(tensor![0.5, 0.0]));
    /// let y = x.linear(w, b);
    /// assert_eq!(y.value()?, tensor![[11.5, 17.0]]);
    /// assert_eq!(y.sum().backward()?.wrt(w)?, &tensor![[1.0, 2.0], [1.0, 2.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn linear(x, weight, bias) = linear(), samples: {
        [[2, 3], [2, 3], [2]] => |x| x[0].linear(x[1], x[2]);
        [[3], [2, 3], [2]] => |x| x[0].linear(x[1], x[2]);
        [[2, 2, 3], [1, 3], [1]] => |x| x[0].linear(x[1], x[2]);
        [[2, 1, 2, 3], [2, 3], [2]] => |x| x[0].linear(x[1], x[2]);
        [[2, 0], [2, 0], [2]] => |x| x[0].linear(x[1], x[2]);
        [[0, 3], [2, 3], [2]] => |x| x[0].linear(x[1], x[2]);
        [[9, 10], [8, 10], [8]] => |x| x[0].linear(x[1], x[2]);
    }, errors: {
        [[2, 3], [2, 2], [2]] => |x| x[0].linear(x[1], x[2]), "inner lengths";
        [[2, 3], [2, 3], [3]] => |x| x[0].linear(x[1], x[2]), "shape [3] does not match [2]";
        [[2, 3], [1, 2, 3], [2]] => |x| x[0].linear(x[1], x[2]), "2 axes, [out, in], the weight, is needed, not one with 3";
    };

    /// Σᵢ aᵢbᵢ of two vectors of the same length; a scalar.
    ///
    /// # Errors
    /// Anything but vectors of one length.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![1.0, 2.0]);
    /// assert_eq!(a.dot(g.constant(tensor![3.0, 4.0])).item()?, 11.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn dot(a, b) => dot(a, b), samples: {
        [[3], [3]] => |x| x[0].dot(x[1]);
        [[1], [1]] => |x| x[0].dot(x[1]);
        [[0], [0]] => |x| x[0].dot(x[1]);
        [[3]] => |x| x[0].dot(x[0]);
    }, errors: {
        [[3], [2]] => |x| x[0].dot(x[1]), "shape [2] does not match [3]";
        [[2, 3], [3]] => |x| x[0].dot(x[1]), "1 axis is needed, not one with 2 axes";
    };

    /// The matrix aᵢbⱼ of two vectors.
    ///
    /// # Errors
    /// Anything but vectors.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, 4.0, 5.0]));
    /// assert_eq!(a.outer(b).value()?, tensor![[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn outer(a, b) => outer(a, b), samples: {
        [[2], [3]] => |x| x[0].outer(x[1]);
        [[1], [2]] => |x| x[0].outer(x[1]);
        [[0], [3]] => |x| x[0].outer(x[1]);
        [[2], [0]] => |x| x[0].outer(x[1]);
    }, errors: {
        [[2, 2], [3]] => |x| x[0].outer(x[1]), "1 axis is needed, not one with 2 axes";
        [[2], []] => |x| x[0].outer(x[1]), "1 axis is needed, not one with 0 axes";
    };

    /// The sum of the diagonal of a matrix, or of each matrix of a batch; the last two axes are removed. (`NumPy` calls it
    /// `trace`, which here is [what happened](crate::Var::trace).)
    ///
    /// # Errors
    /// Fewer than two axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// assert_eq!(g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]).matrix_trace().item()?, 5.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn matrix_trace(x) => matrix_trace(x), samples: {
        [[3, 3]] => |x| x[0].matrix_trace();
        [[2, 3]] => |x| x[0].matrix_trace();
        [[2, 1, 2, 3]] => |x| x[0].matrix_trace();
        [[0, 0]] => |x| x[0].matrix_trace();
        [[2, 0, 3]] => |x| x[0].matrix_trace();
    }, errors: {
        [[3]] => |x| x[0].matrix_trace(), "at least 2 axes is needed";
    };

    /// The elements whose position on axis `b` is `offset` more than on axis `a`; the two axes are removed, and the diagonal becomes the last
    /// one. An offset outside the matrix gives no elements.
    ///
    /// # Errors
    /// An axis that is not there, the same axis twice.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.diagonal(1, 0, 1).value()?, tensor![2.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn diagonal(x; offset: isize, a: isize, b: isize) = diagonal(offset, a, b), samples: {
        [[3, 3]] => |x| x[0].diagonal(0, 0, 1);
        [[2, 4]] => |x| x[0].diagonal(1, 0, 1);
        [[3, 2]] => |x| x[0].diagonal(-1, 0, 1);
        [[3, 2]] => |x| x[0].diagonal(1, 1, 0);
        [[2, 3, 2, 2]] => |x| x[0].diagonal(0, 1, -1);
        [[2, 2]] => |x| x[0].diagonal(5, 0, 1);
        [[2, 0, 3]] => |x| x[0].diagonal(0, 0, 1);
    }, errors: {
        [[2, 2]] => |x| x[0].diagonal(0, 0, 2), "there is no axis 2";
        [[2, 2]] => |x| x[0].diagonal(0, 0, -2), "axis 0 is named twice";
    };

    /// Of a vector, the matrix with that diagonal and zeros elsewhere; of a matrix, its diagonal. The diagonal lies `offset` above the main
    /// one.
    ///
    /// # Errors
    /// Anything but a vector or a matrix.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// assert_eq!(x.diag(0).value()?, tensor![[1.0, 0.0], [0.0, 2.0]]);
    /// assert_eq!(x.diag(0).diag(0).value()?, tensor![1.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn diag(x; offset: isize) => diag(x, offset), samples: {
        [[3]] => |x| x[0].diag(0);
        [[2]] => |x| x[0].diag(1);
        [[2]] => |x| x[0].diag(-2);
        [[3, 3]] => |x| x[0].diag(0);
        [[2, 3]] => |x| x[0].diag(-1);
        [[0]] => |x| x[0].diag(0);
        [[0]] => |x| x[0].diag(2);
        [[0, 3]] => |x| x[0].diag(0);
    }, errors: {
        [[]] => |x| x[0].diag(0), "1 or 2 axes is needed, not one with 0 axes";
        [[2, 2, 2]] => |x| x[0].diag(0), "not one with 3 axes";
        [[2]] => |x| x[0].diag(isize::MAX), "too large";
    };

    /// The lower triangle of a matrix, or of each matrix of a batch: the elements on the diagonal that lies `k` above the main one, and below
    /// it; 0 elsewhere, whatever stands there.
    ///
    /// # Errors
    /// Fewer than two axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, f64::NAN], [3.0, 4.0]]);
    /// assert_eq!(x.tril(0).value()?, tensor![[1.0, 0.0], [3.0, 4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn tril(x; k: isize) = triangle(false, k), samples: {
        [[3, 3]] => |x| x[0].tril(0);
        [[2, 4]] => |x| x[0].tril(1);
        [[4, 2]] => |x| x[0].tril(-1);
        [[2, 1, 3, 2]] => |x| x[0].tril(0);
        [[2, 2]] => |x| x[0].tril(isize::MAX);
        [[2, 0, 3]] => |x| x[0].tril(0);
        [[2, 0]] => |x| x[0].tril(0);
    }, errors: {
        [[3]] => |x| x[0].tril(0), "at least 2 axes is needed";
    };

    /// The upper triangle of a matrix, or of each matrix of a batch: the elements on the diagonal that lies `k` above the main one, and above
    /// it; 0 elsewhere, whatever stands there.
    ///
    /// # Errors
    /// Fewer than two axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.triu(1).value()?, tensor![[0.0, 2.0], [0.0, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn triu(x; k: isize) = triangle(true, k), samples: {
        [[3, 3]] => |x| x[0].triu(0);
        [[2, 4]] => |x| x[0].triu(1);
        [[4, 2]] => |x| x[0].triu(-1);
        [[2, 1, 3, 2]] => |x| x[0].triu(0);
        [[2, 2]] => |x| x[0].triu(isize::MIN);
        [[2, 0, 3]] => |x| x[0].triu(0);
    }, errors: {
        [[]] => |x| x[0].triu(0), "at least 2 axes is needed, not one with 0 axes";
    };
}
