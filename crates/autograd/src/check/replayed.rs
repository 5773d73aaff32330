//! A recorded graph as the function to be checked, replayed in double precision: how models of single precision are checked.

use std::sync::{Mutex, PoisonError};

use super::function::{Function, Gradient, Point, kinks, sides, weights};
use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::Graph,
    tensor::Tensor,
    var::Var,
};

/// A graph in double precision, with its leaves and its result.
pub(super) struct Replayed {
    /// Copies that are not in use, and the first one, of which there is always one more.
    graphs: Mutex<(Graph<f64>, Vec<Graph<f64>>)>,
    leaves: Vec<u32>,
    root: u32,
    weights: Vec<f64>,
}

impl Replayed {
    pub(super) fn new(graph: Graph<f64>, leaves: Vec<u32>, root: u32) -> Result<Self, Error> {
        let weights = weights(Var::new(&graph, root).value()?.as_slice());
        Ok(Replayed { graphs: Mutex::new((graph, Vec::new())), leaves, root, weights })
    }

    /// The weights of the elements of the result.
    pub(super) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Replays a copy, and asks it something.
    fn at<R>(&self, x: &[&Tensor<f64>], ask: impl FnOnce(&Graph<f64>) -> Result<R, Error>) -> Result<R, Error> {
        let graph = {
            let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
            graphs.1.pop().unwrap_or_else(|| graphs.0.fork())
        };
        let leaves: Vec<_> = self.leaves.iter().map(|id| Var::new(&graph, *id)).zip(x.iter().copied()).collect();
        let result = graph.replay(&leaves).and_then(|()| ask(&graph));
        self.graphs.lock().unwrap_or_else(PoisonError::into_inner).1.push(graph);
        result
    }

    fn terms(&self, graph: &Graph<f64>) -> Result<Vec<f64>, Error> {
        let y = Var::new(graph, self.root).value()?;
        Ok(y.as_slice().iter().zip(&self.weights).map(|(y, w)| y * w).collect())
    }
}

impl Function for Replayed {
    fn value(&self, x: &[&Tensor<f64>]) -> Result<Point, Error> {
        self.at(x, |graph| Ok(Point { terms: self.terms(graph)?, sides: sides(graph) }))
    }

    fn gradient(&self, x: &[&Tensor<f64>]) -> Result<Gradient, Error> {
        self.at(x, |graph| {
            let point = Point { terms: self.terms(graph)?, sides: sides(graph) };
            let root = Var::new(graph, self.root);
            let cotangent = Tensor::new(self.weights.clone(), root.shape()?)?;
            graph.retain_all();
            let gradients = match root.backward_with(&cotangent) {
                Err(error) if matches!(error.kind(), ErrorKind::NoGradient { .. }) => Gradients::empty(graph),
                gradients => gradients?,
            };
            let part =
                |(id, x): (&u32, &&Tensor<f64>)| gradients.get(Var::new(graph, *id)).cloned().map_or_else(|| Tensor::zeros(x.shape()), Ok);
            let parts = self.leaves.iter().zip(x).map(part).collect::<Result<_, Error>>()?;
            Ok(Gradient { parts, point, kinks: kinks(graph), rounding: graph.rounding(&gradients) })
        })
    }
}
