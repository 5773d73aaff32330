//! Gradients for each example of a batch: recorded once, replayed for each, on all cores.

use std::{ops::Range, panic::Location};

use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::{Tensor, kernel::Buffer},
    var::Var,
};

/// The gradients of a scalar function by its parameters, for each example of a batch alone: of the shape of each parameter, with one more
/// axis in front, which counts the examples. Their mean is the gradient of the mean.
///
/// `f` is given the parameters and one example, a row of each tensor of the batch. It is recorded for the first example and
/// [replayed](Graph::replay) for all, on all cores: what it decides by looking at values it decides once.
///
/// ```
/// use autograd::{functional::per_example_grad, tensor};
/// let (w, b) = (tensor![1.0, -1.0], tensor![0.5]);
/// let (x, t) = (tensor![[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]], tensor![0.0, 1.0, 0.0]);
/// let [dw, db] = per_example_grad(|[w, b], [x, t]| (x.dot(w) + b.sum() - t).square(), [&w, &b], [&x, &t])?;
/// assert_eq!(dw, tensor![[-1.0, -2.0], [-9.0, -12.0], [-0.0, -1.0]]);
/// assert_eq!(db, tensor![[-1.0], [-3.0], [-1.0]]);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function; a batch without an example, or whose tensors have different numbers of them; a result that is no scalar.
#[track_caller]
pub fn per_example_grad<T: Real, F, const N: usize, const M: usize>(
    f: F,
    parameters: [&Tensor<T>; N],
    batch: [&Tensor<T>; M],
) -> Result<[Tensor<T>; N], Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N], [Var<'g, T>; M]) -> Var<'g, T>,
{
    value_and_per_example_grad(f, parameters, batch).map(|(_, gradients)| gradients)
}

/// The values of a function for each example of a batch, and its [`per_example_grad`].
///
/// # Errors
/// As [`per_example_grad`].
#[track_caller]
pub fn value_and_per_example_grad<T: Real, F, const N: usize, const M: usize>(
    f: F,
    parameters: [&Tensor<T>; N],
    batch: [&Tensor<T>; M],
) -> Result<(Tensor<T>, [Tensor<T>; N]), Error>
where
    F: for<'g> FnOnce([Var<'g, T>; N], [Var<'g, T>; M]) -> Var<'g, T>,
{
    let (values, gradients) =
        per_example_slices(|p, x| f(std::array::from_fn(|k| p[k]), std::array::from_fn(|k| x[k])), &parameters, &batch)?;
    let mut gradients = gradients.into_iter();
    Ok((values, super::try_map(parameters, |_| gradients.next().ok_or_else(|| ErrorKind::NoInputs.into()))?))
}

/// As [`value_and_per_example_grad`], for numbers of parameters and of tensors that are known only when the program runs.
///
/// # Errors
/// As [`per_example_grad`].
#[track_caller]
pub fn per_example_slices<T: Real, F>(f: F, parameters: &[&Tensor<T>], batch: &[&Tensor<T>]) -> Result<(Tensor<T>, Vec<Tensor<T>>), Error>
where
    F: for<'a, 'g> FnOnce(&'a [Var<'g, T>], &'a [Var<'g, T>]) -> Var<'g, T>,
{
    let at = Location::caller();
    let blamed = |error: Error| error.in_op("per_example_grad", || batch.iter().map(|x| *x.shape()).collect()).at(at);
    let rows = rows(batch).map_err(blamed)?;
    let graph = Graph::new();
    let leaves: Vec<_> = parameters.iter().map(|parameter| graph.variable(*parameter)).collect();
    let examples: Vec<_> = batch.iter().map(|x| graph.constant(row(x, 0))).collect();
    let y = f(&leaves, &examples);
    if y.value()?.len() != 1 {
        y.backward()?; // which says what is wrong
    }
    let ids = |vars: &[Var<'_, T>]| vars.iter().map(|v| v.id()).collect::<Vec<_>>();
    let (leaves, examples, root) = (ids(&leaves), ids(&examples), y.id());

    let run = |graph: Graph<T>, part: Range<usize>| -> Result<(Vec<T>, Vec<Vec<T>>), Error> {
        let mut values = Vec::with_capacity(part.len());
        let mut gradients: Vec<_> = parameters.iter().map(|p| Vec::with_capacity(p.len() * part.len())).collect();
        let mut found = Gradients::empty(&graph);
        for i in part {
            let rows: Vec<_> = batch.iter().map(|x| row(x, i)).collect();
            let example: Vec<_> = examples.iter().zip(&rows).map(|(id, row)| (Var::new(&graph, *id), row)).collect();
            graph.replay(&example)?;
            let y = Var::new(&graph, root);
            values.push(y.item()?);
            y.backward_into(&mut found)?;
            for ((to, leaf), parameter) in gradients.iter_mut().zip(&leaves).zip(parameters) {
                let leaf = Var::new(&graph, *leaf);
                match found.get(leaf) {
                    Some(gradient) => to.extend_from_slice(gradient.as_slice()),
                    None if found.is_cut_off(leaf) => {
                        found.wrt(leaf)?; // which says where
                    }
                    None => to.resize(to.len() + parameter.len(), T::ZERO),
                }
            }
        }
        Ok((values, gradients))
    };
    let parts = shared(&graph, rows, run)?;

    let mut values = Vec::with_capacity(rows);
    let mut gradients: Vec<_> = parameters.iter().map(|p| Vec::with_capacity(p.len() * rows)).collect();
    for (value, gradient) in parts {
        values.extend(value);
        gradients.iter_mut().zip(gradient).for_each(|(all, part)| all.extend(part));
    }
    let whole = |(parameter, gradient): (&&Tensor<T>, Vec<T>)| {
        let shape = Shape::joined(&[&[rows], &parameter.shape()[..]]).map_err(blamed)?;
        Ok(Tensor::of(shape, gradient))
    };
    let gradients = parameters.iter().zip(gradients).map(whole).collect::<Result<_, Error>>()?;
    Ok((Tensor::of(Shape::new(&[rows])?, values), gradients))
}

/// The number of examples of a batch.
fn rows<T: Real>(batch: &[&Tensor<T>]) -> Result<usize, Error> {
    let first = batch.first().ok_or(ErrorKind::NoInputs)?;
    let rows = *first.shape().first().ok_or(ErrorKind::Rank { expected: "at least 1 axis", found: 0 })?;
    for x in batch {
        match x.shape().first() {
            Some(&n) if n == rows => {}
            Some(_) => {
                let expected = x.shape().with(0, rows)?;
                return Err(ErrorKind::Mismatch { expected, found: *x.shape(), except: None }.into());
            }
            None => return Err(ErrorKind::Rank { expected: "at least 1 axis", found: 0 }.into()),
        }
    }
    if rows == 0 { Err(ErrorKind::Empty { what: "gradient of each example", shape: *first.shape() }.into()) } else { Ok(rows) }
}

/// Row `i` along the first axis, which there is.
fn row<T: Real>(x: &Tensor<T>, i: usize) -> Tensor<T> {
    let shape = x.shape().without(std::array::from_fn(|axis| axis == 0), false);
    Tensor::of(shape, x.as_slice()[i * shape.len()..][..shape.len()].iter().copied().collect::<Buffer<T>>())
}

/// Runs `f` on parts of the rows, each with a graph of its own, in order.
#[cfg(feature = "rayon")]
fn shared<T: Real, R: Send>(
    graph: &Graph<T>,
    rows: usize,
    f: impl Fn(Graph<T>, Range<usize>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    let parts = rayon::current_num_threads().min(rows);
    let tasks: Vec<_> = (0..parts).map(|part| (graph.fork(), rows * part / parts..rows * (part + 1) / parts)).collect();
    tasks.into_par_iter().map(|(graph, rows)| f(graph, rows)).collect()
}

#[cfg(not(feature = "rayon"))]
fn shared<T: Real, R>(graph: &Graph<T>, rows: usize, f: impl Fn(Graph<T>, Range<usize>) -> Result<R, Error>) -> Result<Vec<R>, Error> {
    Ok(vec![f(graph.fork(), 0..rows)?])
}
