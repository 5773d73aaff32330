//! Derivatives of functions: each call makes its own graph and gives back tensors.
//!
//! A function of `N` tensors of any shapes is a closure written in place (`|[x, w]| …`), one kept with [`closure`], or an `fn`. Inside it, derivatives are taken on its
//! own graph, to any depth, with [`Graph::grad`], [`Graph::vjp`] and [`Graph::jvp`]: a variable cannot leave the graph it belongs to. These
//! functions are the outermost call.
//!
//! | function | gives | for f: X → Y | costs |
//! |---|---|---|---|
//! | [`grad`] | ∇f | Y a number | one reverse pass |
//! | [`vjp`] | c ↦ Jᵀc | any | one reverse pass for each c |
//! | [`jvp`] | J·v | any | one pass, value included |
//! | [`linearize`] | v ↦ J·v | any | one forward pass for each v |
//! | [`jacobian`] | J | any | one pass for each element of X or of Y |
//! | [`jacobian_diagonal`] | its diagonal | pointwise | one pass for each input, and one to make sure |
//! | [`hessian`] | ∇²f | Y a number | one forward pass over the gradient for each element of X |
//! | [`hvp`] | ∇²f·v | Y a number | one forward pass over the gradient |
//! | [`hessian_product`] | v ↦ ∇²f·v | Y a number | one forward pass over the gradient for each v |
//! | [`vhp`] | vᵀ·∇²f | Y a number | one reverse pass over the gradient |
//! | [`hessian_diagonal`], [`laplacian`] | ∂²f/∂xᵢ², their sum | Y a number | as the Hessian, without its memory |
//! | [`per_example_grad`] | ∇f for each row of a batch | Y a number | a replay for each row, in parallel |
//!
//! Each has a form `value_and_…`, which gives what the function itself is there, too. Where f does not depend on an input the derivative is
//! 0; where all that leads from an input to the result is cut off, by [`detach`](Var::detach) or [`scope`](Graph::scope), it is an error.

mod per_example;

use std::panic::Location;

pub use per_example::{per_example_grad, value_and_per_example_grad};

use crate::{
    backward::{Gradients, Path},
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::allocate},
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

/// How a Jacobian is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the mode that needs fewer passes: one for each element of the inputs, or one for each element of the result.
    #[default]
    Cheaper,
    /// Row by row: one reverse pass for each element of the result.
    Reverse,
    /// Column by column: one forward pass for each element of the inputs.
    Forward,
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
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    Ok((y.value()?, each(&y.backward()?, leaves)?))
}

/// The gradients by some leaves; 0 where the root does not depend on one, an error where that is because it was cut off.
#[track_caller]
fn each<T: Real, const N: usize>(gradients: &Gradients<T>, leaves: [Var<'_, T>; N]) -> Result<[Tensor<T>; N], Error> {
    try_map(leaves, |leaf| match gradients.get(leaf) {
        Some(gradient) => Ok(gradient.clone()),
        None if gradients.is_cut_off(leaf) => gradients.wrt(leaf).cloned(),
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
        each(&gradients, self.leaves.map(|leaf| Var::new(&self.graph, leaf)))
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
    let graph = Graph::new();
    let leaves = x.map(|x| graph.variable(x));
    let y = f(leaves);
    let (value, root, leaves) = (y.value()?, y.id(), leaves.map(Var::id));
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
        let [dy] = moved(&self.graph, &self.path, &roots, &self.leaves, &dx).map_err(|error| error.at(Location::caller()))?;
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
) -> Result<[Tensor<T>; R], Error> {
    let mut tape = graph.tape.borrow_mut();
    for (leaf, dx) in leaves.iter().zip(dx) {
        let expected = *tape.node(*leaf).value.tensor()?.shape();
        if *dx.shape() != expected {
            let error = Error::from(ErrorKind::Mismatch { expected, found: *dx.shape(), except: None });
            return Err(error.in_op("jvp", || vec![expected]));
        }
    }
    let seeds: Vec<_> = leaves.iter().zip(dx).map(|(leaf, dx)| (*leaf, (*dx).clone())).collect();
    let pushed = tape.push(path, &seeds);
    let tangents = pushed.and_then(|()| {
        try_map(*roots, |root| match tape.tangent(root.id()) {
            Some(tangent) => Ok(tangent.clone()),
            None => Tensor::filled(T::ZERO, *tape.node(root.id()).value.tensor()?.shape()),
        })
    });
    tape.tangents = None;
    tangents
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
    let graph = Graph::new();
    let leaves = x.map(|x| graph.variable(x));
    let y = f(leaves);
    let (value, root, path) = (y.value()?, y.id(), Path::between(&graph, &[y], &leaves));
    let leaves = leaves.map(Var::id);
    Ok((value, Pushforward { graph, root, leaves, path }))
}

/// The value of a function and its derivative J·dx as the inputs move along `dx`, in one pass: forward mode.
///
/// Each operation computes its value and its tangent together, and nothing is kept for a way back. In a long computation, parts in
/// [`Graph::checkpoint`] give the memory of their values and tangents back.
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
    let g = Graph::new();
    let y = f(duals(&g, x, dx, "jvp", Location::caller())?);
    let value = y.value()?;
    let tangent = tangent_of(y)?;
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
    for (x, dx) in x.iter().zip(dx) {
        if x.shape() != dx.shape() {
            let kind = ErrorKind::Mismatch { expected: *x.shape(), found: *dx.shape(), except: None };
            return Err(Error::from(kind).in_op(name, || vec![*x.shape()]).at(at));
        }
    }
    let mut k = 0;
    Ok(x.map(|x| {
        k += 1;
        g.dual(x, dx[k - 1])
    }))
}

/// The tangent of a variable; zeros if it does not move.
fn tangent_of<T: Real>(y: Var<'_, T>) -> Result<Tensor<T>, Error> {
    match y.tangent()? {
        Some(tangent) => Ok(tangent),
        None => Tensor::filled(T::ZERO, y.shape()?),
    }
}

/// The Jacobian by each input: all ∂yᵢ/∂xⱼ, in the shape of the result followed by the shape of the input.
///
/// ```
/// use autograd::{functional::jacobian, tensor};
/// let [dx, da] = jacobian(|[x, a]| x.square() * a, [&tensor![1.0, 2.0], &tensor![3.0]])?;
/// assert_eq!((dx, da), (tensor![[6.0, 0.0], [0.0, 12.0]], tensor![[1.0], [4.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; a Jacobian of more than eight axes.
#[track_caller]
pub fn jacobian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    jacobian_by(Mode::Cheaper, f, x)
}

/// As [`jacobian`], in the given mode.
///
/// ```
/// use autograd::{functional::{Mode, jacobian_by}, tensor};
/// let x = tensor![1.0, 2.0];
/// let f = |mode| jacobian_by(mode, |[x]| x.cumsum(0).sin(), [&x]);
/// assert_eq!(f(Mode::Forward)?, f(Mode::Reverse)?);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`jacobian`].
#[track_caller]
pub fn jacobian_by<T: Real, F, const N: usize>(mode: Mode, f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_jacobian_by(mode, f, x).map(|(_, jacobian)| jacobian)
}

/// The value of a function and its [`jacobian`].
///
/// # Errors
/// As [`jacobian`].
#[track_caller]
pub fn value_and_jacobian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_jacobian_by(Mode::Cheaper, f, x)
}

/// The value of a function and its [`jacobian`], in the given mode.
///
/// # Errors
/// As [`jacobian`].
#[track_caller]
pub fn value_and_jacobian_by<T: Real, F, const N: usize>(mode: Mode, f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let value = y.value()?;
    let jacobian = blocks(&g, &[y], &leaves, mode).map_err(|error| error.in_op("jacobian", || x.map(|x| *x.shape()).to_vec()).at(at))?;
    let mut jacobian = jacobian.into_iter();
    let jacobian = try_map(leaves, |_| jacobian.next().ok_or_else(|| ErrorKind::NoInputs.into()))?;
    Ok((value, jacobian))
}

/// The Jacobians of some roots by some leaves, root by root.
fn blocks<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>], mode: Mode) -> Result<Vec<Tensor<T>>, Error> {
    let size = |vars: &[Var<'_, T>]| vars.iter().map(|v| v.shape().map(|shape| shape.len())).sum::<Result<usize, Error>>();
    let (rows, columns) = (size(roots)?, size(leaves)?);
    for (root, leaf) in roots.iter().flat_map(|root| leaves.iter().map(move |leaf| (root, leaf))) {
        if let (false, Some((what, at))) = (root.id() == leaf.id(), g.tape.borrow().cut_before(&[root.id()], leaf.id())) {
            let why = format!("all that leads from an input to the result is cut off by {what} at {at}");
            return Err(ErrorKind::NoGradient { why }.into());
        }
    }
    let mut blocks = Vec::new();
    for root in roots {
        for leaf in leaves {
            let shape = Shape::joined(&[&root.shape()?[..], &leaf.shape()?[..]])?;
            blocks.push((shape, allocate::<T>(shape.len())?));
        }
    }
    match mode {
        Mode::Forward => by_columns(g, roots, leaves, &mut blocks)?,
        Mode::Cheaper if columns < rows => match by_columns(g, roots, leaves, &mut blocks) {
            Err(error) if matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }) => by_rows(g, roots, leaves, &mut blocks)?,
            other => other?,
        },
        Mode::Reverse | Mode::Cheaper => by_rows(g, roots, leaves, &mut blocks)?,
    }
    Ok(blocks.into_iter().map(|(shape, elements)| Tensor::of(shape, elements)).collect())
}

type Block<T> = (Shape, crate::tensor::kernel::Buffer<T>);

/// Zeros with a one.
fn unit<T: Real>(shape: Shape, at: usize) -> Result<Tensor<T>, Error> {
    let mut elements = allocate(shape.len())?;
    elements[at] = T::ONE;
    Ok(Tensor::of(shape, elements))
}

/// One forward pass for each element of the leaves.
fn by_columns<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>], blocks: &mut [Block<T>]) -> Result<(), Error> {
    let path = Path::between(g, roots, leaves);
    for (l, leaf) in leaves.iter().enumerate() {
        let shape = leaf.shape()?;
        for j in 0..shape.len() {
            let mut tape = g.tape.borrow_mut();
            tape.push(&path, &[(leaf.id(), unit(shape, j)?)])?;
            for (r, root) in roots.iter().enumerate() {
                if let Some(tangent) = tape.tangent(root.id()) {
                    let (_, block) = &mut blocks[r * leaves.len() + l];
                    block[j..].iter_mut().step_by(shape.len()).zip(tangent.as_slice()).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
    g.tape.borrow_mut().tangents = None;
    Ok(())
}

/// One reverse pass for each element of the roots.
fn by_rows<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>], blocks: &mut [Block<T>]) -> Result<(), Error> {
    let mut gradients = Gradients::empty(g);
    for (r, root) in roots.iter().enumerate() {
        let shape = root.shape()?;
        for i in 0..shape.len() {
            let cotangent = unit(shape, i)?;
            T::backward(g, &[(*root, &cotangent).into()], None, Location::caller(), &mut gradients)?;
            for (l, leaf) in leaves.iter().enumerate() {
                if let Some(gradient) = gradients.get(*leaf) {
                    let (_, block) = &mut blocks[r * leaves.len() + l];
                    block[i * gradient.len()..][..gradient.len()].copy_from_slice(gradient.as_slice());
                }
            }
        }
    }
    Ok(())
}

/// The diagonals ∂yᵢ/∂xᵢ of the Jacobians of a pointwise function, each of the shape of the result, in one pass for each input.
///
/// That the function is pointwise is the caller's claim; one more pass, with random signs, makes sure that it is true.
///
/// ```
/// use autograd::{functional::jacobian_diagonal, tensor};
/// let x = tensor![0.5, 1.0, 2.0];
/// let [d] = jacobian_diagonal(|[x]| x.sin() * x, [&x])?;
/// assert_eq!(d, x.sin()?.add(&x.mul(&x.cos()?)?)?);
/// assert!(jacobian_diagonal(|[x]| x.cumsum(0), [&x]).is_err());
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; an input of another shape than the result; a function that is not pointwise.
#[track_caller]
pub fn jacobian_diagonal<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_jacobian_diagonal(f, x).map(|(_, diagonal)| diagonal)
}

/// The value of a function and its [`jacobian_diagonal`].
///
/// # Errors
/// As [`jacobian_diagonal`].
#[track_caller]
pub fn value_and_jacobian_diagonal<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let blamed = |error: Error| error.in_op("jacobian_diagonal", || x.map(|x| *x.shape()).to_vec()).at(at);
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let value = y.value()?;
    let shape = *value.shape();
    if let Some(other) = x.iter().find(|x| *x.shape() != shape) {
        return Err(blamed(ErrorKind::Mismatch { expected: shape, found: *other.shape(), except: None }.into()));
    }
    let path = Path::between(&g, &[y], &leaves);
    let diagonals = try_map(leaves, |leaf| {
        let mut tape = g.tape.borrow_mut();
        tape.push(&path, &[(leaf.id(), Tensor::filled(T::ONE, shape)?)])?;
        tape.tangent(y.id()).cloned().map_or_else(|| Tensor::filled(T::ZERO, shape), Ok)
    });
    let diagonals = diagonals.map_err(blamed)?;
    g.tape.borrow_mut().tangents = None;
    // Of a diagonal J, Jᵀ·s is the diagonal times s, whatever the signs s are; anything off the diagonal shows, with a probability near 1.
    let signs: Tensor<T> = Tensor::of(shape, (0..shape.len()).map(sign).collect::<Vec<T>>());
    let pulled = each(&y.backward_with(&signs)?, leaves)?;
    for (input, (diagonal, pulled)) in diagonals.iter().zip(&pulled).enumerate() {
        let scale = diagonal.as_slice().iter().filter(|d| d.is_finite()).fold(0.0f64, |m, d| m.max(d.to_f64().abs()));
        let wrong = (0..shape.len()).find(|&i| {
            let (d, p) = (diagonal.as_slice()[i].to_f64(), pulled.as_slice()[i].to_f64());
            (p - d * sign::<T>(i).to_f64()).abs() > 1e3 * T::EPSILON.to_f64() * scale
        });
        if let Some(element) = wrong {
            let expected = diagonal.as_slice()[element].to_f64() * sign::<T>(element).to_f64();
            return Err(blamed(ErrorKind::NotDiagonal { input, element, expected, found: pulled.as_slice()[element].to_f64() }.into()));
        }
    }
    Ok((value, diagonals))
}

/// A sign that looks random, and is the same on every run.
fn sign<T: Real>(i: usize) -> T {
    // The finaliser of SplitMix64 (Steele et al. 2014).
    let mut z = (i as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    if (z ^ (z >> 31)) & 1 == 0 { T::ONE } else { -T::ONE }
}

/// The recorded gradients of a scalar, none of which is an error.
fn recorded_gradients<'g, T: Real, const N: usize>(
    y: Var<'g, T>,
    leaves: [Var<'g, T>; N],
    at: &'static Location<'static>,
) -> Result<[Var<'g, T>; N], Error> {
    y.value()?;
    let gradients = T::grad(y.graph(), y, None, &leaves, at);
    for gradient in &gradients {
        gradient.value()?;
    }
    let mut gradients = gradients.into_iter();
    Ok(leaves.map(|leaf| gradients.next().unwrap_or(leaf)))
}

/// The Hessian of a scalar function: `hessian[i][j]` holds all ∂²f/∂xᵢ∂xⱼ, in the shape of input i followed by that of input j.
///
/// It is computed forward over reverse: the gradient once, and a forward pass over it for each element of the inputs.
///
/// ```
/// use autograd::{functional::hessian, tensor};
/// let [[xx, xa], [ax, aa]] = hessian(|[x, a]| (x.square() * a).sum(), [&tensor![1.0, 2.0], &tensor![3.0]])?;
/// assert_eq!((xx, xa), (tensor![[6.0, 0.0], [0.0, 6.0]], tensor![[2.0], [4.0]]));
/// assert_eq!((ax, aa), (tensor![[2.0, 4.0]], tensor![[0.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`grad`]; an operation whose gradient cannot be differentiated; a block of more than eight axes.
#[track_caller]
pub fn hessian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[[Tensor<T>; N]; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_grad_and_hessian(f, x).map(|(_, _, hessian)| hessian)
}

/// The value of a function and its [`hessian`].
///
/// # Errors
/// As [`hessian`].
#[track_caller]
#[allow(clippy::type_complexity)]
pub fn value_and_hessian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [[Tensor<T>; N]; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_grad_and_hessian(f, x).map(|(value, _, hessian)| (value, hessian))
}

/// The value of a function, its gradients and its [`hessian`]: what a step of Newton's method needs.
///
/// ```
/// use autograd::{functional::value_grad_and_hessian, tensor};
/// let x = tensor![3.0, -1.0];
/// let (_, [slope], [[curvature]]) = value_grad_and_hessian(|[x]| (x - 1.0).square().sum(), [&x])?;
/// let step = curvature.solve(&slope)?;
/// assert_eq!(x.sub(&step)?, tensor![1.0, 1.0]); // the minimum of a quadratic function, at once
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hessian`].
#[track_caller]
#[allow(clippy::type_complexity)]
pub fn value_grad_and_hessian<T: Real, F, const N: usize>(
    f: F,
    x: [&Tensor<T>; N],
) -> Result<(Tensor<T>, [Tensor<T>; N], [[Tensor<T>; N]; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let gradients = recorded_gradients(y, leaves, at)?;
    let blocks =
        blocks(&g, &gradients, &leaves, Mode::Forward).map_err(|error| error.in_op("hessian", || x.map(|x| *x.shape()).to_vec()).at(at))?;
    let mut blocks = blocks.into_iter();
    let hessian = try_map(leaves, |_| try_map(leaves, |_| blocks.next().ok_or_else(|| ErrorKind::NoInputs.into())))?;
    Ok((y.value()?, try_map(gradients, Var::value)?, hessian))
}

/// The product ∇²f·v of the Hessian of a scalar function with a direction, forward over reverse: at the cost of a few gradients, and
/// without the Hessian (Pearlmutter 1994).
///
/// ```
/// use autograd::{functional::hvp, tensor};
/// let [product] = hvp(|[x]| x.powi(3).sum(), [&tensor![1.0, 2.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!(product, tensor![6.0, 120.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// Where several products at one point are wanted, [`hessian_product`] records the function only once.
///
/// # Errors
/// As [`hessian`]; a direction of another shape than its input.
#[track_caller]
pub fn hvp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_grad_and_hvp(f, x, v).map(|(_, _, product)| product)
}

/// The Hessian of a scalar function at a point as a linear map. It owns its graph, with the gradients recorded on it, and can be asked again
/// and again.
#[derive(Debug)]
pub struct HessianProduct<T: Real, const N: usize> {
    graph: Graph<T>,
    gradients: [u32; N],
    leaves: [u32; N],
    path: Path,
}

impl<T: Real, const N: usize> HessianProduct<T, N> {
    /// ∇²f·v.
    ///
    /// # Errors
    /// A direction of another shape than its input; an operation whose gradient cannot be differentiated.
    #[track_caller]
    pub fn apply(&self, v: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error> {
        let gradients = self.gradients.map(|gradient| Var::new(&self.graph, gradient));
        moved(&self.graph, &self.path, &gradients, &self.leaves, &v).map_err(|error| error.at(Location::caller()))
    }
}

/// The value of a scalar function at a point, its gradients, and its Hessian as a linear map: the gradient is recorded once, and each product
/// costs a forward pass over it. It is what iterative solvers want, such as conjugate gradients.
///
/// ```
/// use autograd::{functional::hessian_product, tensor};
/// let (_, [slope], hessian) = hessian_product(|[x]| x.powi(3).sum(), [&tensor![1.0, 2.0]])?;
/// assert_eq!(slope, tensor![3.0, 12.0]);
/// let [first] = hessian.apply([&tensor![1.0, 0.0]])?;
/// let [second] = hessian.apply([&tensor![0.0, 1.0]])?;
/// assert_eq!((first, second), (tensor![6.0, 0.0], tensor![0.0, 12.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`grad`].
#[track_caller]
#[allow(clippy::type_complexity)]
pub fn hessian_product<T: Real, F, const N: usize>(
    f: F,
    x: [&Tensor<T>; N],
) -> Result<(Tensor<T>, [Tensor<T>; N], HessianProduct<T, N>), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let graph = Graph::new();
    let leaves = x.map(|x| graph.variable(x));
    let y = f(leaves);
    let gradients = recorded_gradients(y, leaves, at)?;
    let (value, slopes) = (y.value()?, try_map(gradients, Var::value)?);
    let path = Path::between(&graph, &gradients, &leaves);
    let (gradients, leaves) = (gradients.map(Var::id), leaves.map(Var::id));
    Ok((value, slopes, HessianProduct { graph, gradients, leaves, path }))
}

/// The value of a function and its [`hvp`].
///
/// # Errors
/// As [`hvp`].
#[track_caller]
pub fn value_and_hvp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_grad_and_hvp(f, x, v).map(|(value, _, product)| (value, product))
}

/// The value of a function, its gradients and its [`hvp`], all from one pass.
///
/// # Errors
/// As [`hvp`].
#[track_caller]
#[allow(clippy::type_complexity)]
pub fn value_grad_and_hvp<T: Real, F, const N: usize>(
    f: F,
    x: [&Tensor<T>; N],
    v: [&Tensor<T>; N],
) -> Result<(Tensor<T>, [Tensor<T>; N], [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = duals(&g, x, v, "hvp", at)?;
    let y = f(leaves);
    let gradients = recorded_gradients(y, leaves, at)?;
    Ok((y.value()?, try_map(gradients, Var::value)?, try_map(gradients, tangent_of)?))
}

/// The product vᵀ·∇²f of a direction with the Hessian of a scalar function, reverse over reverse. Where second derivatives are continuous
/// the Hessian is symmetric, and this is [`hvp`], which is cheaper; computed in another way, it checks the other.
///
/// ```
/// use autograd::{functional::vhp, tensor};
/// let [product] = vhp(|[x]| x.powi(3).sum(), [&tensor![1.0, 2.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!(product, tensor![6.0, 120.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hvp`].
#[track_caller]
pub fn vhp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_vhp(f, x, v).map(|(_, product)| product)
}

/// The value of a function and its [`vhp`].
///
/// # Errors
/// As [`hvp`].
#[track_caller]
pub fn value_and_vhp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let gradients = recorded_gradients(y, leaves, at)?;
    let products = g.backward(gradients.iter().zip(v).map(|(gradient, v)| (*gradient, v).into()));
    let products = products.map_err(|error| error.at(at))?;
    Ok((y.value()?, each(&products, leaves)?))
}

/// The second derivatives ∂²f/∂xᵢ² of a scalar function, in the shapes of the inputs.
///
/// ```
/// use autograd::{functional::hessian_diagonal, tensor};
/// let [d] = hessian_diagonal(|[x]| x.powi(3).sum() + x.prod(), [&tensor![1.0, 2.0]])?;
/// assert_eq!(d, tensor![6.0, 12.0]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hessian`].
#[track_caller]
pub fn hessian_diagonal<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_hessian_diagonal(f, x).map(|(_, diagonal)| diagonal)
}

/// The value of a function and its [`hessian_diagonal`].
///
/// # Errors
/// As [`hessian`].
#[track_caller]
pub fn value_and_hessian_diagonal<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = x.map(|x| g.variable(x));
    let y = f(leaves);
    let gradients = recorded_gradients(y, leaves, at)?;
    let path = Path::between(&g, &gradients, &leaves);
    let mut k = 0;
    let diagonals = try_map(leaves, |leaf| {
        let gradient = gradients[k];
        k += 1;
        let shape = leaf.shape()?;
        let mut diagonal = allocate(shape.len())?;
        for (j, entry) in diagonal.iter_mut().enumerate() {
            let mut tape = g.tape.borrow_mut();
            tape.push(&path, &[(leaf.id(), unit(shape, j)?)])?;
            if let Some(tangent) = tape.tangent(gradient.id()) {
                *entry = tangent.as_slice()[j];
            }
        }
        Ok(Tensor::of(shape, diagonal))
    })?;
    Ok((y.value()?, diagonals))
}

/// The Laplacian Σ ∂²f/∂xᵢ² of a scalar function, over all elements of all inputs.
///
/// ```
/// use autograd::{functional::laplacian, tensor};
/// // 1/r is harmonic in three dimensions.
/// let curvature = laplacian(|[x]| x.square().sum().rsqrt(), [&tensor![1.0, 2.0, -0.5]])?;
/// assert!(f64::abs(curvature) < 1e-15);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hessian`].
#[track_caller]
pub fn laplacian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<T, Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_laplacian(f, x).map(|(_, laplacian)| laplacian)
}

/// The value of a function and its [`laplacian`].
///
/// # Errors
/// As [`hessian`].
#[track_caller]
pub fn value_and_laplacian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<(Tensor<T>, T), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let (value, diagonals) = value_and_hessian_diagonal(f, x)?;
    let sum: f64 = diagonals.iter().flat_map(Tensor::as_slice).map(|d| d.to_f64()).sum();
    Ok((value, T::of(sum)))
}
