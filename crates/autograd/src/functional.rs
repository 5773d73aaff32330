//! Derivatives of functions: each call makes its own graph and gives back tensors.
//!
//! A function of `N` tensors of any shapes is a closure written in place (`|[x, w]| …`), one kept with [`closure`], or an `fn`. Inside it, derivatives are taken on its
//! own graph, to any depth, with [`Graph::grad`], [`Graph::vjp`] and [`Graph::jvp`]: a variable cannot leave the graph it belongs to. These
//! functions are the outermost call. A tensor that is not differentiated by gets in as `x.graph().constant(&t)`. For a number of inputs that
//! is known only when the program runs, make a [`Graph`] and give [`Graph::grad`] a slice of variables.
//!
//! | function | gives | for f: X → Y | costs |
//! |---|---|---|---|
//! | [`grad`] | ∇f | Y a number | one reverse pass |
//! | [`vjp`] | c ↦ Jᵀc | any | one reverse pass for each c |
//! | [`jvp`] | J·v | any | one pass, value included |
//! | [`linearize`] | v ↦ J·v | any | one forward pass for each v |
//! | [`jacobian`] | J | any | one pass for each element of X, several of them at once, or of Y |
//! | [`jacobian_diagonal`] | its diagonal | pointwise | one pass for each input, and one to make sure |
//! | [`hessian`] | ∇²f | Y a number | one forward pass over the gradient for each element of X, several at once |
//! | [`hvp`] | ∇²f·v | Y a number | one forward pass over the gradient |
//! | [`hessian_product`] | v ↦ ∇²f·v | Y a number | one forward pass over the gradient for each v |
//! | [`vhp`] | vᵀ·∇²f | Y a number | one reverse pass over the gradient |
//! | [`hessian_diagonal`], [`laplacian`] | ∂²f/∂xᵢ², their sum | Y a number | as the Hessian, without its memory |
//! | [`per_example_grad`] | ∇f for each row of a batch | Y a number | a replay for each row, in parallel |
//!
//! Each has a form `value_and_…`, which gives what the function itself is there, too. Where f does not depend on an input the derivative is
//! 0; where all that leads from an input to the result is cut off, by [`detach`](Var::detach) or [`scope`](Graph::scope), it is an error.

mod jacobian;
mod hessian;
mod per_example;

use std::panic::Location;

pub use hessian::{
    HessianProduct, hessian, hessian_diagonal, hessian_product, hvp, laplacian, value_and_hessian, value_and_hessian_diagonal,
    value_and_hvp, value_and_laplacian, value_and_vhp, value_grad_and_hessian, value_grad_and_hvp, vhp,
};
pub use jacobian::{
    Mode, jacobian, jacobian_by, jacobian_diagonal, value_and_jacobian, value_and_jacobian_by, value_and_jacobian_diagonal,
};
pub use per_example::{per_example_grad, per_example_slices, value_and_per_example_grad};

use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::Graph,
    path::Path,
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// A closure that is kept in a variable, to be used several times: without this, the compiler takes its argument and its result to be of
/// different graphs.
///
/// ```
/// use autograd::{functional::{closure, grad, hvp}, tensor};
/// let k = 3.0;
/// let f = closure(|[x]| (x.powi(3) * k).sum());
/// let x = tensor![1.0, 2.0];
/// let [slope] = grad(f, [&x])?;
/// let [product] = hvp(f, [&x], [&slope])?;
/// assert_eq!((slope, product), (tensor![9.0, 36.0], tensor![162.0, 1296.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
pub fn closure<T: Real, F, const N: usize>(f: F) -> F
where
    F: for<'g> Fn([Var<'g, T>; N]) -> Var<'g, T>,
{
    f
}

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
/// What went wrong in the function; a result that is no scalar; an input from which all that leads to the result is cut off.
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
/// As [`grad`].
#[track_caller]
pub fn value_and_grad<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let (g, at) = (Graph::new(), Location::caller());
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    Ok((evaluated(&g, y, at)?, each(&y.backward()?, leaves, at)?))
}

/// Leaves to differentiate by, made where the function was called.
fn leaves<'g, T: Real, const N: usize>(g: &'g Graph<T>, x: [&Tensor<T>; N], at: &'static Location<'static>) -> [Var<'g, T>; N] {
    x.map(|x| g.leaf(x.clone(), true, at))
}

/// The value of a result, which must be of the graph of the call.
fn evaluated<T: Real>(g: &Graph<T>, y: Var<'_, T>, at: &'static Location<'static>) -> Result<Tensor<T>, Error> {
    match g.refusal(&[y], at) {
        Some(error) => Err(error.at(at)),
        None => y.value(),
    }
}

/// The gradients by some leaves; 0 where the root does not depend on one, an error where that is because it was cut off.
fn each<T: Real, const N: usize>(
    gradients: &Gradients<T>,
    leaves: [Var<'_, T>; N],
    at: &'static Location<'static>,
) -> Result<[Tensor<T>; N], Error> {
    try_map(leaves, |leaf| match gradients.get(leaf) {
        Some(gradient) => Ok(gradient.clone()),
        None if gradients.is_cut_off(leaf) => Err(gradients.why_not(leaf).in_op("grad", Vec::new).at(at)),
        None => Tensor::filled(T::ZERO, leaf.shape()?),
    })
}

/// `f` of each entry, or the first error.
#[track_caller]
fn try_map<A, B, const N: usize>(all: [A; N], mut f: impl FnMut(A) -> Result<B, Error>) -> Result<[B; N], Error> {
    let mut failed = None;
    let results = all.map(|a| f(a).map_err(|error| failed.get_or_insert(error).clone()).ok());
    match failed {
        Some(error) => Err(error),
        // All are there, since none failed.
        None => Ok(results.map(|result| match result {
            Some(b) => b,
            None => unreachable!("every entry has a result or has failed"),
        })),
    }
}

/// A function that was evaluated at a point, ready to pull cotangents of its result back to its inputs. It owns its graph, and can be asked
/// again and again.
#[derive(Debug)]
pub struct Pullback<T: Real, const N: usize> {
    graph: Graph<T>,
    root: u32,
    leaves: [u32; N],
}

impl<T: Real, const N: usize> Pullback<T, N> {
    /// Jᵀ·cotangent: the gradients of Σ cotangent·f by all inputs.
    ///
    /// # Errors
    /// A cotangent of another shape than the result.
    #[track_caller]
    pub fn apply(&self, cotangent: &Tensor<T>) -> Result<[Tensor<T>; N], Error> {
        let gradients = Var::new(&self.graph, self.root).backward_with(cotangent)?;
        each(&gradients, self.leaves.map(|leaf| Var::new(&self.graph, leaf)), Location::caller())
    }
}

/// The value of a function at a point, and what pulls cotangents back from there: vector-Jacobian products.
///
/// ```
/// use autograd::{functional::vjp, tensor};
/// let (y, pullback) = vjp(|[x, w]| x.matmul(w), [&tensor![[1.0, 2.0], [3.0, 4.0]], &tensor![10.0, 1.0]])?;
/// assert_eq!(y, tensor![12.0, 34.0]);
/// let [dx, dw] = pullback.apply(&tensor![1.0, 0.0])?;
/// assert_eq!((dx, dw), (tensor![[10.0, 1.0], [0.0, 0.0]], tensor![1.0, 2.0]));
/// let [_, dw] = pullback.apply(&tensor![0.0, 1.0])?; // the second row of the Jacobian
/// assert_eq!(dw, tensor![3.0, 4.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function.
#[track_caller]
pub fn vjp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, Pullback<T, N>), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let (graph, at) = (Graph::new(), Location::caller());
    let leaves = leaves(&graph, x, at);
    let y = f(leaves);
    let (value, root, leaves) = (evaluated(&graph, y, at)?, y.id(), leaves.map(Var::id));
    Ok((value, Pullback { graph, root, leaves }))
}

/// A function that was evaluated at a point, ready to push directions of its inputs forward to its result. It owns its graph, and can be
/// asked again and again.
#[derive(Debug)]
pub struct Pushforward<T: Real, const N: usize> {
    graph: Graph<T>,
    root: u32,
    leaves: [u32; N],
    path: Path,
}

impl<T: Real, const N: usize> Pushforward<T, N> {
    /// J·dx: the derivative of the result as the inputs move along `dx`.
    ///
    /// # Errors
    /// A direction of another shape than its input; an operation with a first-order reverse rule only.
    #[track_caller]
    pub fn apply(&self, dx: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
        let roots = [Var::new(&self.graph, self.root)];
        let [dy] = moved(&self.graph, &self.path, &roots, &self.leaves, &dx, ("jvp", Location::caller()))?;
        Ok(dy)
    }
}

/// The derivatives of some roots as some leaves move.
fn moved<T: Real, const R: usize>(
    graph: &Graph<T>,
    path: &Path,
    roots: &[Var<'_, T>; R],
    leaves: &[u32],
    dx: &[&Tensor<T>],
    (name, at): (&'static str, &'static Location<'static>),
) -> Result<[Tensor<T>; R], Error> {
    let mut tape = graph.tape.borrow_mut();
    let shapes = || leaves.iter().filter_map(|leaf| tape.node(*leaf).value.tensor().ok().map(|x| *x.shape())).collect::<Vec<_>>();
    directions_fit(&shapes(), dx, name, at)?;
    let seeds: Vec<_> = leaves.iter().zip(dx).map(|(leaf, dx)| (*leaf, (*dx).clone())).collect();
    let pushed = tape.push(path, &seeds, None);
    let moving: Vec<u32> = leaves.iter().zip(dx).filter(|(_, dx)| moves(dx)).map(|(leaf, _)| *leaf).collect();
    let tangents = pushed.and_then(|()| {
        try_map(*roots, |root| match tape.tangent(root.id()) {
            Some(tangent) => Ok(tangent.clone()),
            None => tape.no_tangent(root.id(), &moving),
        })
    });
    tape.rest();
    tangents.map_err(|error| error.in_op(name, Vec::new).at(at))
}

/// Whether a direction is not all zeros.
fn moves<T: Real>(dx: &Tensor<T>) -> bool {
    dx.as_slice().iter().any(|d| *d != T::ZERO)
}

/// The error of the first direction that has not the shape of its input.
fn directions_fit<T: Real>(
    shapes: &[crate::shape::Shape],
    dx: &[&Tensor<T>],
    name: &'static str,
    at: &'static Location<'static>,
) -> Result<(), Error> {
    match shapes.iter().zip(dx).position(|(shape, dx)| shape != dx.shape()) {
        None => Ok(()),
        Some(input) => {
            let kind = ErrorKind::Direction { input, expected: shapes[input], found: *dx[input].shape() };
            Err(Error::from(kind).in_op(name, || shapes.to_vec()).at(at))
        }
    }
}

/// As `directions_fit`, for the inputs of a function.
fn check_directions<T: Real, const N: usize>(
    x: [&Tensor<T>; N],
    dx: [&Tensor<T>; N],
    name: &'static str,
    at: &'static Location<'static>,
) -> Result<(), Error> {
    directions_fit(&x.map(|x| *x.shape()), &dx, name, at)
}

/// The value of a function at a point, and the linear map that is its derivative there: the function is run once, and each direction costs a
/// forward pass over what was recorded.
///
/// ```
/// use autograd::{functional::linearize, tensor};
/// let (y, pushforward) = linearize(|[x]| x.square(), [&tensor![1.0, 2.0]])?;
/// assert_eq!(y, tensor![1.0, 4.0]);
/// assert_eq!(pushforward.apply([&tensor![1.0, 0.0]])?, tensor![2.0, 0.0]);
/// assert_eq!(pushforward.apply([&tensor![0.0, 1.0]])?, tensor![0.0, 4.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function.
#[track_caller]
pub fn linearize<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, Pushforward<T, N>), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let (graph, at) = (Graph::new(), Location::caller());
    let leaves = leaves(&graph, x, at);
    let y = f(leaves);
    let (value, root, path) = (evaluated(&graph, y, at)?, y.id(), Path::between(&graph, &[y], &leaves));
    let leaves = leaves.map(Var::id);
    Ok((value, Pushforward { graph, root, leaves, path }))
}

/// The value of a function and its derivative J·dx as the inputs move along `dx`, in one pass: forward mode.
///
/// Each operation computes its value and its tangent together. All of them stay until the call returns, twice the memory of the values; a loop
/// written with [`Graph::fold`], or parts in [`Graph::scope`], keep those of one step, or of one part, and forward mode goes through.
///
/// ```
/// use autograd::{functional::jvp, tensor};
/// let (y, dy) = jvp(|[x]| x.square(), [&tensor![1.0, 2.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!((y, dy), (tensor![1.0, 4.0], tensor![2.0, 40.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; a tangent of another shape than its input; an operation with a first-order reverse rule only.
#[track_caller]
pub fn jvp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], dx: [&Tensor<T>; N]) -> Result<(Tensor<T>, Tensor<T>), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let (g, at) = (Graph::new(), Location::caller());
    let leaves = duals(&g, x, dx, "jvp", at)?;
    let y = f(leaves);
    let value = evaluated(&g, y, at)?;
    let tangent = tangent_of(y, &leaves, &dx).map_err(|error| error.in_op("jvp", Vec::new).at(at))?;
    Ok((value, tangent))
}

/// Leaves that move.
fn duals<'g, T: Real, const N: usize>(
    g: &'g Graph<T>,
    x: [&Tensor<T>; N],
    dx: [&Tensor<T>; N],
    name: &'static str,
    at: &'static Location<'static>,
) -> Result<[Var<'g, T>; N], Error> {
    check_directions(x, dx, name, at)?;
    let leaves = leaves(g, x, at);
    let mut tape = g.tape.borrow_mut();
    tape.tangents.get_or_insert_default();
    for (leaf, dx) in leaves.iter().zip(dx) {
        tape.set_tangent(leaf.id(), Some(dx.clone()));
    }
    Ok(leaves)
}

/// The tangent of a variable; zeros if it does not move, unless that is because it was cut off from a leaf that does.
fn tangent_of<T: Real>(y: Var<'_, T>, leaves: &[Var<'_, T>], dx: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
    if let Some(tangent) = y.tangent()? {
        return Ok(tangent);
    }
    let moving: Vec<u32> = leaves.iter().zip(dx).filter(|(_, dx)| moves(dx)).map(|(leaf, _)| leaf.id()).collect();
    y.graph().tape.borrow().no_tangent(y.id(), &moving)
}
