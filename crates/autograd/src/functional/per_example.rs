//! Gradients for each example of a batch: recorded once, replayed for each, on all cores.

use std::panic::Location;

use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::{
        Tensor,
        kernel::{Buffer, overwritten, threads},
    },
    var::Var,
};

/// The gradients of a scalar function by its parameters, for each example of a batch alone: of the shape of each parameter, with one more
/// axis in front, which counts the examples. Their mean is the gradient of the mean.
///
/// `f` is given the parameters and one example, a row of each tensor of the batch. It is recorded for the first example and
/// [replayed](Graph::replay) for all, on all cores: what it decides by looking at values it decides once, and operations that draw random
/// numbers draw the same ones for every example.
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
#[doc(alias = "vmap")]
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
/// ```
/// use autograd::{functional::value_and_per_example_grad, tensor};
/// let (w, x) = (tensor![1.0, -1.0], tensor![[1.0, 2.0], [3.0, 1.0]]);
/// let (losses, [dw]) = value_and_per_example_grad(|[w], [x]| x.dot(w).square(), [&w], [&x])?;
/// assert_eq!((losses, dw), (tensor![1.0, 4.0], tensor![[-2.0, -4.0], [12.0, 4.0]]));
/// # Ok::<(), autograd::Error>(())
/// ```
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
    let leaves: Vec<_> = parameters.iter().map(|parameter| graph.leaf((*parameter).clone(), true, at)).collect();
    let examples: Vec<_> = batch.iter().map(|x| graph.leaf(x.entry(0), false, at)).collect();
    let y = f(&leaves, &examples);
    if super::evaluated(&graph, y, at)?.len() != 1 {
        y.backward()?; // which says what is wrong
    }
    let ids = |vars: &[Var<'_, T>]| vars.iter().map(|v| v.id()).collect::<Vec<_>>();
    let (leaves, examples, root) = (ids(&leaves), ids(&examples), y.id());

    // Each part of the rows writes its own part of the results.
    let mut values: Buffer<T> = overwritten(rows)?;
    let mut gradients: Vec<Buffer<T>> = parameters.iter().map(|p| overwritten(p.len() * rows)).collect::<Result<_, Error>>()?;
    let count = threads::count().min(rows);
    let bounds = |part: usize| rows * part / count;
    let mut tasks: Vec<Task<'_, T>> = Vec::new();
    let (mut values_left, mut gradients_left): (&mut [T], Vec<&mut [T]>) =
        (&mut values, gradients.iter_mut().map(|g| &mut g[..]).collect());
    for part in 0..count {
        let (first, n) = (bounds(part), bounds(part + 1) - bounds(part));
        let (values, rest) = values_left.split_at_mut(n);
        values_left = rest;
        let mut own = Vec::new();
        for (left, parameter) in gradients_left.iter_mut().zip(parameters) {
            let (head, rest) = std::mem::take(left).split_at_mut(n * parameter.len());
            *left = rest;
            own.push(head);
        }
        tasks.push(Task { graph: graph.fork(), first, values, gradients: own });
    }
    let run = |task: Task<'_, T>| -> Result<(), Error> {
        let Task { graph, first, values, mut gradients } = task;
        let mut found = Gradients::empty(&graph);
        for (i, value) in values.iter_mut().enumerate() {
            let rows: Vec<_> = batch.iter().map(|x| x.entry(first + i)).collect();
            let example: Vec<_> = examples.iter().zip(&rows).map(|(id, row)| (Var::new(&graph, *id), row)).collect();
            graph.replay(&example)?;
            let y = Var::new(&graph, root);
            *value = y.item()?;
            y.backward_into(&mut found)?;
            for ((to, leaf), parameter) in gradients.iter_mut().zip(&leaves).zip(parameters) {
                let (leaf, n) = (Var::new(&graph, *leaf), parameter.len());
                let to = &mut to[i * n..(i + 1) * n];
                match found.get(leaf) {
                    Some(gradient) => to.copy_from_slice(gradient.as_slice()),
                    None if found.is_cut_off(leaf) => return Err(found.why_not(leaf)),
                    None => to.fill(T::ZERO),
                }
            }
        }
        Ok(())
    };
    // The first error in their order counts.
    threads::each(usize::MAX, tasks, &run).into_iter().collect::<Result<(), Error>>().map_err(blamed)?;
    let whole = |(parameter, gradient): (&&Tensor<T>, Buffer<T>)| {
        Ok(Tensor::of(Shape::joined(&[&[rows], &parameter.shape()[..]]).map_err(blamed)?, gradient))
    };
    let gradients = parameters.iter().zip(gradients).map(whole).collect::<Result<_, Error>>()?;
    Ok((Tensor::of(Shape::new(&[rows])?, values), gradients))
}

/// Some neighbouring rows: a graph to replay for them, and where their results go.
struct Task<'a, T: Real> {
    graph: Graph<T>,
    /// The first of the rows.
    first: usize,
    /// As many as there are rows.
    values: &'a mut [T],
    /// For each parameter, as many gradients.
    gradients: Vec<&'a mut [T]>,
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
