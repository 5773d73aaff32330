//! Attention: means of values, weighted by how well their keys fit a query.

use super::{Algebra, methods};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::allocate},
};

/// softmax(q·kᵀ/√E + mask)·v
fn attention<T: Real, A: Algebra<T>>([q, k, v]: [&A; 3], mask: impl FnOnce(&A) -> Option<A>) -> A {
    for x in [q, k, v] {
        let found = x.shape().rank();
        if found < 2 {
            return q.refused(ErrorKind::Rank { expected: "at least 2 axes", found });
        }
    }
    // The queries are fewer numbers than the scores, if there are more keys than features.
    let width = q.shape().nth_from_end(0).max(1);
    let scores = q.mul_lit(1.0 / (width as f64).sqrt()).matmul_as(k, false, true);
    let scores = match mask(&scores) {
        Some(mask) => scores.add(&mask),
        None => scores,
    };
    scores.softmax(-1).matmul(v)
}

/// 0 for keys that do not stand after their query, −∞ for others.
#[inline(never)]
fn causal<T: Real>(scores: &Shape) -> Result<Tensor<T>, Error> {
    let (queries, keys) = (scores.nth_from_end(1), scores.nth_from_end(0));
    let shape = Shape::new(&[queries, keys])?;
    let mut mask = allocate(shape.len())?;
    for (i, row) in mask.chunks_exact_mut(keys.max(1)).enumerate() {
        row[(i + 1).min(keys)..].fill(T::NEG_INFINITY);
    }
    Ok(Tensor::of(shape, mask))
}

fn causal_mask<T: Real, A: Algebra<T>>(scores: &A) -> A {
    match causal::<T>(&scores.shape()) {
        Ok(mask) => scores.constant(mask),
        Err(error) => scores.refused(error),
    }
}

methods! {
    /// softmax(q·kᵀ/√E)·v: for each query the mean of the values, weighted by how well their keys fit it (Vaswani et al. 2017).
    ///
    /// Queries are `[.., L, E]`, keys `[.., S, E]`, values `[.., S, V]`, the result `[.., L, V]`; leading axes, such as batch and heads,
    /// broadcast. If causal, the i-th query sees the keys 0 ..= i alone: −∞ is added to the other scores. (A NaN or an infinity in a key that
    /// is not seen spoils the result all the same.)
    ///
    /// # Errors
    /// Less than two axes, lengths that differ, no keys.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (q, k) = (g.variable(tensor![[0.0], [0.0]]), g.variable(tensor![[1.0], [2.0]]));
    /// let v = g.variable(tensor![[10.0], [20.0]]);
    /// assert_eq!(q.scaled_dot_product_attention(k, v, false).value()?, tensor![[15.0], [15.0]]);
    /// assert_eq!(q.scaled_dot_product_attention(k, v, true).value()?, tensor![[10.0], [15.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn scaled_dot_product_attention(q, k, v; is_causal: bool) => attention([q, k, v], |scores| is_causal.then(|| causal_mask(scores))),
    samples: {
        [[2, 3], [3, 3], [3, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false);
        [[3, 2], [2, 2], [2, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], true);
        [[2, 1, 2, 2], [2, 1, 3, 2], [3, 1]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], true);
        [[0, 2, 2], [0, 3, 2], [0, 3, 1]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false);
    }, errors: {
        [[2], [3, 2], [3, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false), "at least 2 axes";
        [[2, 3], [3, 2], [3, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false), "must be equal, here 3 and 2";
        [[2, 3], [4, 3], [3, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false), "must be equal, here 4 and 3";
        [[2, 3], [0, 3], [0, 2]] => |x| x[0].scaled_dot_product_attention(x[1], x[2], false), "nothing to take the";
    };

    /// softmax(q·kᵀ/√E + mask)·v: as
    /// [`Var::scaled_dot_product_attention`](crate::Var::scaled_dot_product_attention), with a mask that broadcasts with the scores
    /// `[.., L, S]`: −∞ where a query must not see a key, or any number that makes it see less or more of it.
    ///
    /// A query that sees no key, all of whose entries are −∞, has no mean: its result is NaN, as is the softmax (`PyTorch` gives 0 from
    /// 2.5 on, NaN before).
    ///
    /// # Errors
    /// Less than two axes, lengths that differ, a mask that does not broadcast, no keys.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (q, k) = (g.variable(tensor![[0.0], [0.0]]), g.variable(tensor![[1.0], [2.0]]));
    /// let (v, none) = (g.variable(tensor![[10.0], [20.0]]), f64::NEG_INFINITY);
    /// let mask = g.constant(tensor![[0.0, none], [none, 0.0]]);
    /// assert_eq!(q.masked_attention(k, v, mask).value()?, tensor![[10.0], [20.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn masked_attention(q, k, v, mask) => attention([q, k, v], |_| Some(mask.clone())), samples: {
        [[2, 3], [3, 3], [3, 2], [2, 3]] => |x| x[0].masked_attention(x[1], x[2], x[3]);
        [[1, 2, 2, 2], [1, 1, 3, 2], [3, 2], [2, 1, 3]] => |x| x[0].masked_attention(x[1], x[2], x[3]);
        [[0, 3], [3, 3], [3, 2], [0, 3]] => |x| x[0].masked_attention(x[1], x[2], x[3]);
    }, errors: {
        [[2, 3], [3, 3], [3, 2], [4, 3]] => |x| x[0].masked_attention(x[1], x[2], x[3]), "do not broadcast";
        [[2, 3], [3], [3, 2], [4, 3]] => |x| x[0].masked_attention(x[1], x[2], x[3]), "at least 2 axes";
    };
}
