//! Replay: a recorded graph run again on new values of its leaves.

use std::panic::Location;

use super::{Graph, Kind, Tape, segment::Restored};
use crate::{
    error::{Error, ErrorKind},
    op::Value,
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// Which nodes a replay runs; it is kept for the next one.
#[derive(Default)]
pub(crate) struct Plan {
    /// The leaves that change.
    leaves: Vec<u32>,
    /// The length of the tape for which it was made.
    nodes: usize,
    /// The nodes to be computed, ascending.
    run: Vec<u32>,
}

impl Plan {
    pub(crate) fn forget(&mut self) {
        self.nodes = 0;
        self.leaves.clear();
        self.run.clear();
    }
}

impl<T: Real> Tape<T> {
    /// The nodes that depend on some leaves, or the line of a scope through which one would.
    fn plan(&mut self, leaves: &[(Var<'_, T>, &Tensor<T>)]) -> Result<(), &'static Location<'static>> {
        let known = &self.plan.leaves;
        let is_same = known.len() == leaves.len() && known.iter().zip(leaves).all(|(id, (x, _))| *id == x.id());
        if is_same && self.plan.nodes == self.nodes.len() {
            return Ok(());
        }
        self.plan.forget();
        let mut depends = vec![false; self.nodes.len()];
        for (x, _) in leaves {
            depends[x.id() as usize] = true;
        }
        let mut run = Vec::new();
        for id in leaves.iter().map(|(x, _)| x.id()).min().unwrap_or(self.len())..self.len() {
            let moves = self.inputs(id).iter().any(|&x| depends[x as usize]);
            match &self.node(id).kind {
                Kind::Scoped if moves => return Err(self.node(id).at),
                Kind::Variable | Kind::Constant | Kind::Scoped => {}
                Kind::Op(_) | Kind::Output(_) | Kind::Detached => {
                    depends[id as usize] = moves;
                    // What a checkpoint dropped may be needed by what runs.
                    if moves || matches!(self.node(id).value, Value::Dropped(_)) {
                        run.push(id);
                    }
                }
            }
        }
        let leaves = leaves.iter().map(|(x, _)| x.id()).collect();
        self.plan = Plan { leaves, nodes: self.nodes.len(), run };
        Ok(())
    }

    /// Runs the plan. A value that nobody else holds gives its memory to the one that takes its place.
    fn run(&mut self) {
        // Gone for now, so that after a panic in an operation the next replay makes a new one.
        let plan = std::mem::take(&mut self.plan);
        let (mut ended, mut restored) = (0, Restored::default());
        for &id in &plan.run {
            // Segments that end before this node are done with.
            ended = self.drop_ended(ended, id);
            if !self.segments.is_empty() {
                // A recorded gradient reads values of segments that have ended.
                restored.running = id;
                restored.need_inputs(self, id);
            }
            let at = self.node(id).at;
            if !matches!(self.node(id).kind, Kind::Output(_)) {
                self.nodes[id as usize].value = Value::Dropped(at);
                let mut k = 1;
                while self.has_multi && self.nodes.get((id + k) as usize).is_some_and(|node| matches!(node.kind, Kind::Output(n) if n == k))
                {
                    self.nodes[(id + k) as usize].value = Value::Dropped(at);
                    k += 1;
                }
                self.compute(id);
            } else if matches!(self.node(id).value, Value::Dropped(_)) {
                self.compute(id);
            }
        }
        restored.finish(self);
        self.drop_ended(ended, u32::MAX);
        self.plan = plan;
    }
}

impl<T: Real> Graph<T> {
    /// Runs the recorded operations again on other values of some leaves, without recording anything: for small models that are run many
    /// times, above all together with recorded gradients.
    ///
    /// Afterwards every variable has the value that it would have if the formulas were written down anew, to the last bit, and
    /// [`backward`](Var::backward) gives the gradients there. Recorded gradients are recorded operations like others, and are replayed too.
    /// Tensors and gradients that were taken from the graph before stay what they are.
    ///
    /// From the third time on, pointwise operations, sums and small matrix products allocate nothing: values take the memory of those that they
    /// replace. Exceptions are matrix products of more than 512 multiplications, for which the library behind
    /// them may take a workspace, and operations that keep lists of positions or factors, such as indexing and decompositions.
    /// [`backward`](Var::backward) makes some operations with parameters on its way; where that counts, record the gradients with
    /// [`Graph::grad`], and replay those.
    ///
    /// **What the program decided by looking at values stays decided**: branches, loops, indices from [`argmax`](Var::argmax), constants
    /// made of values. Where it would decide otherwise now, record a new graph. Operations that draw random numbers draw the same ones.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, w) = (g.variable(tensor![1.0, 2.0]), g.variable(3.0));
    /// let y = (x * w).sin().sum();
    /// let w2 = tensor![0.5, 0.5];
    /// g.replay(&[(x, &w2)])?;
    /// assert_eq!(y.item()?, 2.0 * 1.5f64.sin());
    /// assert_eq!(y.backward()?.wrt(w)?.item()?, 1.5f64.cos());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// A variable that is no leaf, is given twice, or of another graph; a value of another shape; a result of a [scope](Graph::scope), whose
    /// operations are gone, on the way. Nothing is changed then. What an operation cannot do with the new values stands on the tape in place
    /// of its value, as always, and the next replay starts afresh.
    #[track_caller]
    pub fn replay(&self, leaves: &[(Var<'_, T>, &Tensor<T>)]) -> Result<(), Error> {
        T::replay(self, leaves, Location::caller())
    }

    /// A copy, to be run on other values, perhaps on another thread.
    pub(crate) fn fork(&self) -> Graph<T> {
        Graph::of(self.tape.borrow().fork())
    }

    pub(crate) fn run_again(&self, leaves: &[(Var<'_, T>, &Tensor<T>)], at: &'static Location<'static>) -> Result<(), Error> {
        let refused = |error: Error| Err(error.in_op("replay", Vec::new).at(at));
        let no = |why: String| refused(ErrorKind::Replay { why }.into());
        for (i, (x, value)) in leaves.iter().enumerate() {
            let foreign = if std::ptr::eq(x.graph(), self) {
                self.lost(*x)
            } else {
                Some(ErrorKind::OtherGraph { here: at, there: x.location() }.into())
            };
            if let Some(error) = foreign {
                return refused(error);
            }
            let tape = self.tape.borrow();
            let node = tape.node(x.id());
            match &node.kind {
                Kind::Variable | Kind::Constant => {}
                Kind::Scoped => return no(format!("leaf {i} is the result of the scope at {}; only leaves take new values", node.at)),
                Kind::Detached => return no(format!("leaf {i} was detached at {}; only leaves take new values", node.at)),
                Kind::Op(_) | Kind::Output(_) => {
                    let (primary, _) = tape.primary(x.id());
                    let op = match &tape.node(primary).kind {
                        Kind::Op(op) => op.name(),
                        _ => "operation",
                    };
                    return no(format!("leaf {i} is computed ({op} at {}); only leaves take new values", node.at));
                }
            }
            match &node.value {
                Value::Tensor(old) if old.shape() == value.shape() => {}
                Value::Tensor(old) => {
                    let (expected, found) = (old.shape(), value.shape());
                    return no(format!(
                        "the new value of leaf {i} (made at {}) has shape {found}; the graph was recorded for {expected}",
                        node.at
                    ));
                }
                _ => return no(format!("leaf {i} is an error, made at {}", node.at)),
            }
            if leaves[..i].iter().any(|(other, _)| other.id() == x.id()) {
                return no(format!("leaf {i} is given twice"));
            }
        }
        let mut tape = self.tape.borrow_mut();
        if let Err(scope) = tape.plan(leaves) {
            let why = format!("a result depends on it through the scope at {scope}, whose operations are gone; use checkpoint() instead");
            return no(why);
        }
        for (x, value) in leaves {
            tape.nodes[x.id() as usize].value = Value::Tensor((*value).clone());
        }
        tape.run();
        Ok(())
    }
}
