//! Jacobians: row by row, column by column, or the diagonal alone.

use std::panic::Location;

use super::{each, try_map};
use crate::{
    backward::{Gradients, Path},
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{Buffer, allocate},
    },
    var::Var,
};

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
pub(super) fn blocks<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>], mode: Mode) -> Result<Vec<Tensor<T>>, Error> {
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

type Block<T> = (Shape, Buffer<T>);

/// Zeros with a one.
pub(super) fn unit<T: Real>(shape: Shape, at: usize) -> Result<Tensor<T>, Error> {
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
