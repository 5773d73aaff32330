//! Forward mode: derivatives along a direction, from the leaves to the root, as variables.
//!
//! Each node is asked for its forward derivative. What has no rule for it is linear and so its own derivative, or has its reverse rule
//! transposed: the gradient is linear in the incoming one, and the gradient of that linear map is the forward derivative.

use std::panic::Location;

use crate::{
    accumulate::{Pending, Variables},
    backward::{self, Path},
    error::{Error, ErrorKind},
    graph::Graph,
    op::{Few, Handle, Linearity},
    real::Real,
    tensor::Tensor,
    var::{Var, other_graph},
};

/// The derivative of `root` as each of `wrt` moves along its entry of `dx`, as a variable of the shape of `root`.
pub(crate) fn jvp<'g, T: Real>(root: Var<'g, T>, wrt: &[Var<'g, T>], dx: &[Var<'g, T>], at: &'static Location<'static>) -> Var<'g, T> {
    let graph = root.graph();
    let refused = |error: Error| graph.poison(error.in_op("jvp", Vec::new).at(at));
    if let Some(stranger) = wrt.iter().chain(dx).find(|x| !std::ptr::eq(x.graph(), graph)) {
        return refused(other_graph(root, *stranger));
    }
    if let Some(bad) = [&root].into_iter().chain(wrt).chain(dx).find(|x| x.value().is_err()) {
        return *bad;
    }
    for (x, dx) in wrt.iter().zip(dx) {
        if let (Ok(expected), Ok(found)) = (x.shape(), dx.shape())
            && expected != found
        {
            return refused(ErrorKind::Mismatch { expected, found, except: None }.into());
        }
        if !graph.tape.borrow().node(x.id()).needs_gradient {
            return refused(ErrorKind::NoGradient { why: x.why_no_gradient() }.into());
        }
    }

    let path = Path::between(graph, root, wrt);
    let mut tangents: Vec<Option<Var<'g, T>>> = vec![None; path.len()];
    for (place, id) in path.ascending() {
        let node = Var::new(graph, id);
        graph.on_behalf_of(node.location(), || {
            let moved = wrt.iter().zip(dx).filter(|(x, _)| x.id() == id).map(|(_, dx)| *dx);
            let through = node.op().and_then(|handle| {
                let inputs: Few<u32> = graph.tape.borrow().inputs(id).into();
                let x: Few<Var<'g, T>> = inputs.iter().map(|&x| Var::new(graph, x)).collect();
                let dx: Few<Option<Var<'g, T>>> = inputs.iter().map(|&x| tangents[path.place(x)?]).collect();
                dx.iter().any(Option::is_some).then(|| through(graph, &handle, &x, node, &dx))
            });
            tangents[place] = moved.chain(through).reduce(|a, b| a + b);
        });
    }
    let found = path.place(root.id()).and_then(|place| tangents[place]);
    found.unwrap_or_else(|| zeros(root, at))
}

fn zeros<'g, T: Real>(like: Var<'g, T>, at: &'static Location<'static>) -> Var<'g, T> {
    let graph = like.graph();
    match like.shape().and_then(|shape| Tensor::filled(T::ZERO, shape)) {
        Ok(zeros) => graph.leaf(zeros, false, at),
        Err(error) => graph.poison(error),
    }
}

/// The derivative of one operation.
fn through<'g, T: Real>(graph: &'g Graph<T>, handle: &Handle, x: &[Var<'g, T>], y: Var<'g, T>, dx: &[Option<Var<'g, T>>]) -> Var<'g, T> {
    let (operands, moved): (Few<_>, Few<_>) = (x.iter().collect(), dx.iter().map(Option::as_ref).collect());
    if let Some(dy) = T::typed(handle.op()).jvp_recorded(&operands, &y, &moved) {
        return dy;
    }
    match handle.op().linearity() {
        Linearity::Linear => {
            let all: Few<_> = dx.iter().zip(x).map(|(dx, x)| dx.unwrap_or_else(|| zeros(*x, y.location()))).collect();
            graph.call(handle.clone(), &all)
        }
        Linearity::Multilinear => {
            let parts = dx.iter().enumerate().filter_map(|(k, dx)| {
                let mut factors: Few<_> = x.iter().copied().collect();
                factors[k] = (*dx)?;
                Some(graph.call(handle.clone(), &factors))
            });
            parts.reduce(|a, b| a + b).unwrap_or_else(|| zeros(y, y.location()))
        }
        Linearity::Nonlinear => transposed(graph, handle, x, y, dx),
    }
}

/// The forward derivative as the gradient, by the incoming gradient u, of Σₖ ⟨vjpₖ(u), dxₖ⟩.
fn transposed<'g, T: Real>(graph: &'g Graph<T>, handle: &Handle, x: &[Var<'g, T>], y: Var<'g, T>, dx: &[Option<Var<'g, T>>]) -> Var<'g, T> {
    let at = y.location();
    let u = match y.shape().and_then(|shape| Tensor::filled(T::ZERO, shape)) {
        Ok(zeros) => graph.leaf(zeros, true, at),
        Err(error) => return graph.poison(error),
    };
    // An input that stands there twice moves once, and its gradient is the sum of both.
    let path = Path::of(x.iter().zip(dx).filter(|(_, dx)| dx.is_some()).map(|(x, _)| x.id()).collect());
    let mut slots: Vec<Pending<'g, T>> = Vec::new();
    slots.resize_with(path.len(), Pending::default);
    let operands: Few<_> = x.iter().collect();
    let mut sink = Variables { x, slots: &mut slots, path: &path, op: handle };
    T::typed(handle.op()).vjp_recorded(&operands, &y, &u, &mut sink);
    let parts = path.ascending().filter_map(|(place, id)| {
        let k = x.iter().zip(dx).position(|(x, dx)| x.id() == id && dx.is_some())?;
        Some((slots[place].finish(x[k])?.masked_mul(dx[k]?)).sum())
    });
    match parts.reduce(|a, b| a + b) {
        Some(sum) if sum.shape().is_err() => sum,
        // A rule may give the incoming gradient to none, or to one whose gradient does not depend on it.
        Some(sum) if sum.id() > u.id() => backward::grad(graph, sum, &[u], at)[0],
        _ => zeros(y, at),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Graph, tensor};

    #[test]
    fn what_does_not_depend_does_not_move() {
        let g = Graph::<f64>::new();
        let (x, z) = (g.variable(tensor![1.0, 2.0]), g.variable(3.0));
        let dx = g.constant(tensor![1.0, 1.0]);
        assert_eq!(g.jvp(z * 2.0, [x], [dx]).value().unwrap(), crate::Tensor::scalar(0.0));
        assert_eq!(g.jvp(x, [x], [dx]).value().unwrap(), tensor![1.0, 1.0]);
    }
}
