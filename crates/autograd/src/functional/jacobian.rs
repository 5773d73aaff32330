//! Jacobians: row by row, column by column, or the diagonal alone.

use std::{ops::Range, panic::Location};

use super::{each, evaluated, leaves, try_map};
use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::{Graph, Kind, Tape},
    op::{Linearity, Value},
    path::Path,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{Buffer, allocate, movement},
    },
    var::Var,
};

/// How a Jacobian is computed. The result is the same, but for rounding, and but for what [`on_grad`](Var::on_grad) changes, which only reverse
/// mode passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the mode that needs fewer passes: one for each element of the inputs, or one for each element of the result. Where both have as many, the
    /// latter, unless several of the former are made at once.
    #[default]
    Cheaper,
    /// Row by row, as `jacrev`: one reverse pass for each element of the result.
    Reverse,
    /// Column by column, as `jacfwd`: one forward pass for each element of the inputs; over small tensors, several columns at once.
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
#[doc(alias = "jacfwd")]
#[doc(alias = "jacrev")]
#[track_caller]
pub fn jacobian_by<T: Real, F, const N: usize>(mode: Mode, f: F, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
{
    value_and_jacobian_by(mode, f, x).map(|(_, jacobian)| jacobian)
}

/// The value of a function and its [`jacobian`].
///
/// ```
/// use autograd::{functional::value_and_jacobian, tensor};
/// let (y, [dx]) = value_and_jacobian(|[x]| x.square(), [&tensor![1.0, 3.0]])?;
/// assert_eq!((y, dx), (tensor![1.0, 9.0], tensor![[2.0, 0.0], [0.0, 6.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
/// ```
/// use autograd::{functional::{Mode, value_and_jacobian_by}, tensor};
/// let (y, [dx]) = value_and_jacobian_by(Mode::Forward, |[x]| x.square(), [&tensor![1.0, 3.0]])?;
/// assert_eq!((y, dx), (tensor![1.0, 9.0], tensor![[2.0, 0.0], [0.0, 6.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    let value = evaluated(&g, y, at)?;
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
        Mode::Cheaper if columns < rows || (1 < columns && columns == rows && goes_at_once(g, roots, leaves)) => {
            match by_columns(g, roots, leaves, &mut blocks) {
                Err(error) if matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }) => by_rows(g, roots, leaves, &mut blocks)?,
                other => other?,
            }
        }
        Mode::Reverse | Mode::Cheaper => by_rows(g, roots, leaves, &mut blocks)?,
    }
    Ok(blocks.into_iter().map(|(shape, elements)| Tensor::of(shape, elements)).collect())
}

type Block<T> = (Shape, Buffer<T>);

/// Zeros with a one.
fn unit<T: Real>(shape: Shape, at: usize) -> Result<Tensor<T>, Error> {
    let mut elements = allocate(shape.len())?;
    elements[at] = T::ONE;
    Ok(Tensor::of(shape, elements))
}

/// So many elements, in all the tangents of a path, are computed at once, if one direction has fewer: they stay in the cache.
const AT_ONCE: usize = 1 << 16;

/// Along how many directions tangents are pushed over a path at once: one, where a stack of them would be no tensor, and where values are
/// computed again, for the sake of memory.
fn at_once<T: Real>(tape: &Tape<T>, path: &Path) -> usize {
    let mut elements = 1;
    // All outputs of an operation have tangents, also those that lead nowhere.
    for id in path.ascending().flat_map(|(_, id)| id..id + tape.outputs_of(id)) {
        match &tape.node(id).value {
            Value::Tensor(y) if y.shape().stacked(AT_ONCE).is_ok() => elements += y.len(),
            _ => return 1,
        }
    }
    (AT_ONCE / elements).max(1)
}

/// Whether several directions are pushed in one pass, each operation by a rule of its own, and no hook waits for a pass in reverse.
fn goes_at_once<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>]) -> bool {
    let path = Path::between(g, roots, leaves);
    let tape = g.tape.borrow();
    let has_rule = |id: u32| match &tape.node(id).kind {
        Kind::Op(handle) => handle.op().is_pointwise() || handle.op().linearity() != Linearity::Nonlinear,
        _ => true,
    };
    tape.hooks.is_empty() && at_once(&tape, &path) > 1 && path.ascending().all(|(_, id)| has_rule(id))
}

/// Moves each element of the leaves alone, several at once. After each pass over the graph `see` is given the tape, which leaf moved, and which
/// of its elements; the tangents have one more axis in front, for these elements, if there are several. Of a leaf on which nothing depends, all
/// move in one pass, in which nothing has a tangent.
pub(super) fn each_column<T: Real>(
    g: &Graph<T>,
    roots: &[Var<'_, T>],
    leaves: &[Var<'_, T>],
    mut see: impl FnMut(&Tape<T>, usize, Range<usize>) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = Path::between(g, roots, leaves);
    let mut tape = g.tape.borrow_mut();
    let at_once = at_once(&tape, &path);
    let seen = leaves.iter().enumerate().try_for_each(|(l, leaf)| {
        let shape = *tape.node(leaf.id()).value.tensor()?.shape();
        if path.place(leaf.id()).is_none() && !shape.is_empty() {
            // Nothing depends on it.
            tape.push(&path, &[], None)?;
            return see(&tape, l, 0..shape.len());
        }
        for start in (0..shape.len()).step_by(at_once) {
            let count = at_once.min(shape.len() - start);
            let (seed, directions) = if count == 1 {
                (unit(shape, start)?, None)
            } else {
                let shapes = shape.stacked(count)?;
                let mut units = allocate(shapes.len())?;
                units[start..].iter_mut().step_by(shape.len() + 1).for_each(|one| *one = T::ONE);
                (Tensor::of(shapes, units), Some(count))
            };
            tape.push(&path, &[(leaf.id(), seed)], directions)?;
            see(&tape, l, start..start + count)?;
        }
        Ok(())
    });
    tape.rest();
    seen
}

/// All columns, one forward pass for several elements of the leaves.
fn by_columns<T: Real>(g: &Graph<T>, roots: &[Var<'_, T>], leaves: &[Var<'_, T>], blocks: &mut [Block<T>]) -> Result<(), Error> {
    each_column(g, roots, leaves, |tape, l, elements| {
        for (r, root) in roots.iter().enumerate() {
            let Some(tangent) = tape.tangent(root.id()) else { continue };
            let (shape, block) = &mut blocks[r * leaves.len() + l];
            if block.is_empty() {
                continue;
            }
            let (count, rows) = (elements.len(), tangent.len() / elements.len());
            let by_row = movement::permute(&tangent.with_shape(Shape::new(&[count, rows])?), &[1, 0])?;
            for (to, from) in block.chunks_exact_mut(shape.len() / rows).zip(by_row.as_slice().chunks_exact(count)) {
                to[elements.clone()].copy_from_slice(from);
            }
        }
        Ok(())
    })
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
/// That the function is pointwise is the caller's claim; one more pass, with weights no two of which are alike, makes sure of it but for a
/// coincidence.
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
/// ```
/// use autograd::{functional::value_and_jacobian_diagonal, tensor};
/// let (y, [d]) = value_and_jacobian_diagonal(|[x]| x.powi(3), [&tensor![1.0, 2.0]])?;
/// assert_eq!((y, d), (tensor![1.0, 8.0], tensor![3.0, 12.0]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves = leaves(&g, x, at);
    let y = f(leaves);
    let value = evaluated(&g, y, at)?;
    let shape = *value.shape();
    if let Some(other) = x.iter().find(|x| *x.shape() != shape) {
        return Err(blamed(ErrorKind::Mismatch { expected: shape, found: *other.shape(), except: None }.into()));
    }
    let path = Path::between(&g, &[y], &leaves);
    let diagonals = try_map(leaves, |leaf| {
        let mut tape = g.tape.borrow_mut();
        tape.push(&path, &[(leaf.id(), Tensor::filled(T::ONE, shape)?)], None)?;
        match tape.tangent(y.id()) {
            Some(tangent) => Ok(tangent.clone()),
            None => tape.no_tangent(y.id(), &[leaf.id()]),
        }
    });
    let diagonals = diagonals.map_err(blamed)?;
    g.tape.borrow_mut().rest();
    // Of a diagonal J, Jᵀ·w is the diagonal times w, whatever the weights are; anything off the diagonal brings another weight in.
    let weights: Tensor<T> = Tensor::of(shape, (0..shape.len()).map(weight).collect::<Vec<T>>());
    let pulled = each(&y.backward_with(&weights)?, leaves, at)?;
    for (input, (diagonal, pulled)) in diagonals.iter().zip(&pulled).enumerate() {
        let scale = diagonal.as_slice().iter().filter(|d| d.is_finite()).fold(0.0f64, |m, d| m.max(d.to_f64().abs()));
        let wrong = (0..shape.len()).find(|&i| {
            let (expected, found) = (diagonal.as_slice()[i].to_f64() * weight::<T>(i).to_f64(), pulled.as_slice()[i].to_f64());
            let is_same = expected == found || expected.is_nan() && found.is_nan();
            // Written so that NaN on one side alone is wrong.
            let is_close = (expected - found).abs() <= 1e3 * T::EPSILON.to_f64() * scale;
            !is_same && !is_close
        });
        if let Some(element) = wrong {
            let expected = diagonal.as_slice()[element].to_f64() * weight::<T>(element).to_f64();
            return Err(blamed(ErrorKind::NotDiagonal { input, element, expected, found: pulled.as_slice()[element].to_f64() }.into()));
        }
    }
    Ok((value, diagonals))
}

/// A number between ½ and 1½, or between −1½ and −½, that looks random and is the same on every run.
fn weight<T: Real>(i: usize) -> T {
    // The finaliser of SplitMix64 (Steele et al. 2014).
    let mut z = (i as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let size = 0.5 + (z >> 11) as f64 / (1u64 << 53) as f64;
    T::of(if z & 1 == 0 { size } else { -size })
}
