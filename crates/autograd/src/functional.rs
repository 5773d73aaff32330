//! Derivatives of functions: each call makes its own graph and gives back tensors.
//!
//! A closure is written in place (`|[x, w]| …`), or is an `fn`. Inside it, gradients of gradients are taken on its own graph with
//! [`Graph::grad`]: a variable cannot leave the graph it belongs to.

use crate::{error::Error, graph::Graph, real::Real, tensor::Tensor, var::Var};

/// The gradients of a scalar function at a point.
///
/// ```
/// use autograd::{functional::grad, tensor};
/// let x = tensor![1.0, 2.0];
/// let w = tensor![3.0, 4.0];
/// let [dx, dw] = grad(|[x, w]| (x * w).sum(), [&x, &w])?;
/// assert_eq!((dx, dw), (w, x));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; a result that is no scalar.
#[track_caller]
pub fn grad<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_grad(f, x).map(|(_, gradients)| gradients)
}

/// The value and the gradients of a scalar function at a point.
///
/// ```
/// use autograd::{functional::value_and_grad, tensor};
/// let (value, [slope]) = value_and_grad(|[x]| x.square().sum(), [&tensor![3.0, 4.0]])?;
/// assert_eq!((value.item()?, slope), (25.0, tensor![6.0, 8.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; a result that is no scalar.
#[track_caller]
pub fn value_and_grad<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let value = y.value()?;
    let gradients = y.backward()?;
    let mut result = x.map(Clone::clone);
    for (slot, leaf) in result.iter_mut().zip(leaves) {
        *slot = match gradients.get(leaf) {
            Some(gradient) => gradient.clone(),
            // The function does not depend on this argument.
            None => Tensor::zeros(slot.shape())?,
        };
    }
    Ok((value, result))
}
