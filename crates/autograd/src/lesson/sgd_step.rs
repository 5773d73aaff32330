//! A step of descent: what the gradient predicts, and what happens.

use std::panic::Location;

use serde::Serialize;

use super::{Page, Table, short};
use crate::{
    elementary::number,
    error::Error,
    real::Real,
    tensor::Tensor,
    trace::{self, Array, Kind},
    var::Var,
};

/// A step of gradient descent on all variables.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SgdStep {
    /// The variables that move.
    pub variables: Vec<Stepped>,
    /// The value before.
    pub before: f64,
    /// ‖g‖², over all variables.
    pub squared_norm: f64,
    /// The step, and shorter ones in the same direction.
    pub steps: Vec<Outcome>,
}

/// A variable before and after the step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stepped {
    /// Its name.
    pub name: String,
    /// w
    pub value: Array,
    /// g = ∂L/∂w
    pub gradient: Array,
    /// w − lr·g
    pub new_value: Array,
    /// What its part of the step is predicted to change: −lr·‖g‖².
    pub predicted: f64,
}

/// What a step does to the value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// lr
    pub learning_rate: f64,
    /// −lr·‖g‖²: the change to first order.
    pub predicted: f64,
    /// The change that happens, from the same graph run again.
    pub actual: f64,
}

/// A step of gradient descent, w − lr·g for all variables, with the change of the value that the gradient predicts, −lr·‖g‖², and the one that
/// happens; and the same for a tenth and a hundredth of the step, where the two come together. The graph is run again on the new
/// values, in a copy.
///
/// ```
/// use autograd::{Graph, lesson};
/// let g = Graph::<f64>::new();
/// let w = g.variable(3.0).named("w");
/// let step = lesson::sgd_step((w * 2.0).square(), 0.01)?;
/// // L = 4w², g = 8w = 24, and L(w − 0.01·24) = 4·2.76².
/// assert_eq!((step.before, step.squared_norm), (36.0, 576.0));
/// assert!((step.steps[0].predicted + 5.76).abs() < 1e-12 && (step.steps[0].actual + 5.5296).abs() < 1e-12);
/// println!("{step}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// Those of [`Var::trace`] and of [`Graph::replay`](crate::Graph::replay).
#[track_caller]
pub fn sgd_step<T: Real>(root: Var<'_, T>, learning_rate: f64) -> Result<SgdStep, Error> {
    let at = Location::caller();
    let trace = T::trace(root, &trace::Options::default(), at)?;
    let gradients = root.backward()?;
    let ids = trace::ancestors(&root.graph().tape.borrow(), root.id());
    let leaves: Vec<(usize, Var<'_, T>, &Tensor<T>)> = (trace.nodes.iter().enumerate().zip(&ids))
        .filter(|((_, node), _)| node.kind == Kind::Variable)
        .filter_map(|((place, _), id)| gradients.of_node(*id).map(|gradient| (place, Var::new(root.graph(), *id), gradient)))
        .collect();
    let square = |t: &Tensor<T>| t.as_slice().iter().map(|v| v.to_f64().powi(2)).sum::<f64>();
    let squared_norm: f64 = leaves.iter().map(|(_, _, gradient)| square(gradient)).sum();
    let before = root.item()?.to_f64();
    let moved = |rate: f64| {
        let new = leaves.iter().map(|(_, w, gradient)| w.value()?.sub(&gradient.mul_lit(rate)?));
        new.collect::<Result<Vec<Tensor<T>>, Error>>()
    };
    let mut steps = Vec::new();
    for rate in [1.0, 0.1, 0.01].map(|part| part * learning_rate) {
        let (graph, new) = (root.graph().fork(), moved(rate)?);
        let values: Vec<_> = leaves.iter().zip(&new).map(|((_, w, _), new)| (Var::new(&graph, w.id()), new)).collect();
        T::replay(&graph, &values, at)?;
        let after = Var::new(&graph, root.id()).item()?.to_f64();
        steps.push(Outcome { learning_rate: rate, predicted: -rate * squared_norm, actual: after - before });
    }
    let most = trace::Options::default().max_elements;
    let mut variables = Vec::new();
    for ((place, _, gradient), new) in leaves.iter().zip(&moved(learning_rate)?) {
        variables.push(Stepped {
            name: trace.nodes[*place].name.clone(),
            value: trace.nodes[*place].value.clone(),
            gradient: Array::of(gradient, most),
            new_value: Array::of(new, most),
            predicted: -learning_rate * square(gradient),
        });
    }
    Ok(SgdStep { variables, before, squared_norm, steps })
}

impl SgdStep {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let rate = self.steps.first().map_or(f64::NAN, |step| step.learning_rate);
        let mut table = Table::new(["w", "value", "g = ∂L/∂w", "w − lr·g", "−lr·‖g‖²"]);
        for w in &self.variables {
            table.row([w.name.clone(), short(&w.value), short(&w.gradient), short(&w.new_value), number(w.predicted)]);
        }
        let mut steps = Table::new(["lr", "predicted: −lr·‖g‖²", "actual", "actual/predicted"]);
        for step in &self.steps {
            let ratio = step.actual / step.predicted;
            steps.row([step.learning_rate, step.predicted, step.actual, ratio].map(number));
        }
        Page::new(format!("A step of descent with lr = {}", number(rate)))
            .text(format!("L = {} before; ‖g‖² = {} over all variables.", number(self.before), number(self.squared_norm)))
            .table(table)
            .text(
                "The gradient predicts the change to first order. What is left falls with the square of the step, so that the ratio goes to 1 as \
                 the step becomes shorter:",
            )
            .table(steps)
    }
}
