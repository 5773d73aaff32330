//! Linear algebra: the matrix product.

use super::{Algebra, Handle, Linearity, Op, Sink, methods};
use crate::{
    error::Error,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::matmul::{self, Product},
    },
};

#[derive(Debug)]
struct MatMul {
    transpose_a: bool,
    transpose_b: bool,
}

impl Op<2> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn linearity(&self) -> Linearity {
        Linearity::Multilinear
    }

    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        matmul::matmul(a, self.transpose_a, b, self.transpose_b)
    }

    /// With A and B as they are multiplied: dA = G Bᵀ and dB = Aᵀ G, each transposed where its operand is.
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let (a_shape, b_shape) = (a.shape(), b.shape());
        // A vector is a row on the left and a column on the right.
        let is_row = a_shape.rank() == 1;
        let is_column = b_shape.rank() == 1;
        let a = if is_row { a.unsqueeze(0) } else { a.clone() };
        let b = if is_column { b.unsqueeze(1) } else { b.clone() };
        let (ta, tb) = (self.transpose_a && !is_row, self.transpose_b && !is_column);
        let Ok(product) = Product::new(&a.shape(), ta, &b.shape(), tb) else { return };
        let g = g.reshape_as(&product.shape);

        if out.needs(0) {
            let (left, tl, right, tr) = if ta { (&b, tb, &g, true) } else { (&g, false, &b, !tb) };
            if !is_row && product.batch_is(&a.shape()) {
                out.add_matmul(0, left, tl, right, tr);
            } else {
                out.add(0, left.matmul_as(right, tl, tr).sum_to(&a.shape()).reshape_as(&a_shape));
            }
        }
        if out.needs(1) {
            if !ta && b.shape().rank() == 2 {
                // A batch times one matrix: the sum over the batch is part of one product over all rows.
                let (Ok(a_rows), Ok(g_rows)) = (a.shape().as_rows(), g.shape().as_rows()) else { return };
                let (left, right) = (a.reshape_as(&a_rows), g.reshape_as(&g_rows));
                if is_column {
                    out.add(1, left.matmul_as(&right, true, false).reshape_as(&b_shape));
                } else if tb {
                    out.add_matmul(1, &right, true, &left, false);
                } else {
                    out.add_matmul(1, &left, true, &right, false);
                }
                return;
            }
            let (left, tl, right, tr) = if tb { (&g, true, &a, ta) } else { (&a, !ta, &g, false) };
            if !is_column && product.batch_is(&b.shape()) {
                out.add_matmul(1, left, tl, right, tr);
            } else {
                out.add(1, left.matmul_as(right, tl, tr).sum_to(&b.shape()).reshape_as(&b_shape));
            }
        }
    }
}

impl Product {
    /// Whether a factor of this shape has a matrix for every one of the result, so that nothing is to be summed.
    fn batch_is(&self, factor: &Shape) -> bool {
        let batch = |shape: &Shape| shape[..shape.rank() - 2].to_vec();
        batch(factor) == batch(&self.shape)
    }
}

#[inline(never)]
fn matmul(transpose_a: bool, transpose_b: bool) -> Handle {
    Handle::new(MatMul { transpose_a, transpose_b })
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
    };
}
