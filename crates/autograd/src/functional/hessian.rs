//! Second derivatives of scalar functions: forward over reverse, and reverse over reverse.

use std::panic::Location;

use super::{
    check_directions, duals, each, evaluated,
    jacobian::{Mode, blocks, each_column},
    leaves, moved, tangent_of, try_map,
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    path::Path,
    real::Real,
    tensor::{Tensor, kernel::allocate},
    var::Var,
};

/// The recorded gradients of a scalar, none of which is an error.
fn recorded_gradients<'g, T: Real, const N: usize>(
    g: &'g Graph<T>,
    y: Var<'g, T>,
    leaves: [Var<'g, T>; N],
    at: &'static Location<'static>,
) -> Result<[Var<'g, T>; N], Error> {
    evaluated(g, y, at)?;
    let gradients = T::grad(g, y, None, &leaves, at);
    for gradient in &gradients {
        gradient.value()?;
    }
    let mut gradients = gradients.into_iter();
    Ok(leaves.map(|leaf| gradients.next().unwrap_or(leaf)))
}

/// The Hessian of a scalar function: `hessian[i][j]` holds all ∂²f/∂xᵢ∂xⱼ, in the shape of input i followed by that of input j.
///
/// It is computed forward over reverse: the gradient once, and a forward pass over it for each element of the inputs. Passes over small
/// tensors are made along several directions at once.
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
/// As [`grad`](super::grad); an operation whose gradient cannot be differentiated; a block of more than eight axes.
#[track_caller]
pub fn hessian<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N]) -> Result<[[Tensor<T>; N]; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_grad_and_hessian(f, x).map(|(_, _, hessian)| hessian)
}

/// The value of a function and its [`hessian`].
///
/// ```
/// use autograd::{functional::value_and_hessian, tensor};
/// let (y, [[h]]) = value_and_hessian(|[x]| x.prod(), [&tensor![2.0, 3.0]])?;
/// assert_eq!((y.item()?, h), (6.0, tensor![[0.0, 1.0], [1.0, 0.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    let gradients = recorded_gradients(&g, y, leaves, at)?;
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
/// Where the last step to the gradient is a product of matrices, it is left out; [`value_grad_and_hvp`], which gives the gradient too, costs
/// more. Where several products at one point are wanted, [`hessian_product`] records the function only once.
///
/// # Errors
/// As [`hessian`]; a direction of another shape than its input.
#[track_caller]
pub fn hvp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_hvp(f, x, v).map(|(_, product)| product)
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
        let (at, gradients) = (Location::caller(), self.gradients.map(|gradient| Var::new(&self.graph, gradient)));
        moved(&self.graph, &self.path, &gradients, &self.leaves, &v, ("hvp", at))
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
/// As [`grad`](super::grad).
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
    let leaves = leaves(&graph, x, at);
    let y = f(leaves);
    let gradients = recorded_gradients(&graph, y, leaves, at)?;
    let (value, slopes) = (y.value()?, try_map(gradients, Var::value)?);
    let path = Path::between(&graph, &gradients, &leaves);
    let (gradients, leaves) = (gradients.map(Var::id), leaves.map(Var::id));
    Ok((value, slopes, HessianProduct { graph, gradients, leaves, path }))
}

/// The value of a function and its [`hvp`].
///
/// ```
/// use autograd::{functional::value_and_hvp, tensor};
/// let (y, [hv]) = value_and_hvp(|[x]| x.prod(), [&tensor![2.0, 3.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!((y.item()?, hv), (6.0, tensor![10.0, 1.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// As [`hvp`].
#[track_caller]
pub fn value_and_hvp<T: Real, F, const N: usize>(f: F, x: [&Tensor<T>; N], v: [&Tensor<T>; N]) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    let at = Location::caller();
    let g = Graph::new();
    let leaves = duals(&g, x, v, "hvp", at)?;
    let y = f(leaves);
    let value = evaluated(&g, y, at)?;
    let tangents = T::grad_tangents(&g, y, &leaves, at)?;
    for gradient in tangents.iter().filter_map(|tangent| tangent.as_ref().err()) {
        gradient.soundness()?;
    }
    let mut tangents = tangents.into_iter();
    let products = try_map(leaves, |leaf| match tangents.next().unwrap_or(Err(leaf)) {
        Ok(tangent) => Ok(tangent),
        Err(gradient) => tangent_of(gradient, &leaves, &v).map_err(|error| error.in_op("hvp", Vec::new).at(at)),
    });
    Ok((value, products?))
}

/// The value of a function, its gradients and its [`hvp`], all from one recording.
///
/// ```
/// use autograd::{functional::value_grad_and_hvp, tensor};
/// let (y, [d], [hv]) = value_grad_and_hvp(|[x]| x.prod(), [&tensor![2.0, 3.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!((y.item()?, d, hv), (6.0, tensor![3.0, 2.0], tensor![10.0, 1.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let gradients = recorded_gradients(&g, y, leaves, at)?;
    Ok((
        y.value()?,
        try_map(gradients, Var::value)?,
        try_map(gradients, |gradient| tangent_of(gradient, &leaves, &v).map_err(|error| error.in_op("hvp", Vec::new).at(at)))?,
    ))
}

/// The product vᵀ·∇²f of a direction with the Hessian of a scalar function, reverse over reverse. Where second derivatives are continuous
/// the Hessian is symmetric, and this is [`hvp`], which costs less; computed in another way, it checks the other.
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
/// ```
/// use autograd::{functional::value_and_vhp, tensor};
/// let (y, [vh]) = value_and_vhp(|[x]| x.prod(), [&tensor![2.0, 3.0]], [&tensor![1.0, 10.0]])?;
/// assert_eq!((y.item()?, vh), (6.0, tensor![10.0, 1.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    let gradients = recorded_gradients(&g, y, leaves, at)?;
    check_directions(x, v, "vhp", at)?;
    let products = g.backward(gradients.iter().zip(v).map(|(gradient, v)| (*gradient, v).into()))?;
    Ok((y.value()?, each(&products, leaves, at)?))
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
/// ```
/// use autograd::{functional::value_and_hessian_diagonal, tensor};
/// let (y, [d]) = value_and_hessian_diagonal(|[x]| x.powi(3).sum(), [&tensor![1.0, 2.0]])?;
/// assert_eq!((y.item()?, d), (9.0, tensor![6.0, 12.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    let gradients = recorded_gradients(&g, y, leaves, at)?;
    let mut diagonals = try_map(leaves, |leaf| Ok((leaf.shape()?, allocate(leaf.shape()?.len())?)))?;
    each_column(&g, &gradients, &leaves, |tape, l, elements| {
        let Some(tangent) = tape.tangent(gradients[l].id()) else {
            // Zeros, or the reason why there is no derivative.
            return tape.no_tangent(gradients[l].id(), &[leaves[l].id()]).map(|_| ());
        };
        let (shape, diagonal) = &mut diagonals[l];
        let own = tangent.as_slice()[elements.start..].iter().step_by(shape.len() + 1);
        diagonal[elements].iter_mut().zip(own).for_each(|(to, from)| *to = *from);
        Ok(())
    })
    .map_err(|error| error.in_op("hessian_diagonal", Vec::new).at(at))?;
    Ok((y.value()?, diagonals.map(|(shape, diagonal)| Tensor::of(shape, diagonal))))
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
/// ```
/// use autograd::{functional::value_and_laplacian, tensor};
/// let (y, curvature) = value_and_laplacian(|[x]| x.powi(3).sum(), [&tensor![1.0, 2.0]])?;
/// assert_eq!((y.item()?, curvature), (9.0, 18.0));
/// # Ok::<(), autograd::Error>(())
/// ```
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
