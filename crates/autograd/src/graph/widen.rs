//! A recorded graph in double precision: the same operations on the same leaves.

use super::{Graph, Kind, index};
use crate::{
    error::{Error, ErrorKind},
    op::Value,
    real::Real,
};

impl<T: Real> Graph<T> {
    /// The graph as it would be if all leaves were double-precision numbers. Nodes keep their places, lines and names; what the program
    /// decided by looking at values stays decided, and what hooks do to gradients is left out.
    ///
    /// # Errors
    /// An operation that was made for one element type alone, and the result of a scope, whose operations are gone.
    pub(crate) fn widened(&self) -> Result<Graph<f64>, Error> {
        self.widened_at(&[])
    }

    /// The same, with the results `leaves` as variables that have the values they had here: a function of them.
    ///
    /// # Errors
    /// As [`widened`](Graph::widened); an output of an operation with several.
    pub(crate) fn widened_at(&self, leaves: &[u32]) -> Result<Graph<f64>, Error> {
        let tape = self.tape.borrow();
        let wide = Graph::<f64>::new();
        for id in 0..tape.len() {
            let node = tape.node(id);
            let var = |id: u32| crate::var::Var::new(&wide, id);
            if let Value::Error(error) = &node.value {
                return Err(error.clone());
            }
            if leaves.contains(&id) {
                if tape.outputs_of(id) > 1 || matches!(node.kind, Kind::Output(_)) {
                    let why = format!("one of several outputs of the operation at {} cannot be changed alone", node.at);
                    return Err(ErrorKind::Check { why }.into());
                }
                wide.leaf(node.value.tensor()?.cast(), true, node.at);
                continue;
            }
            match &node.kind {
                Kind::Variable | Kind::Constant => {
                    let value = node.value.tensor()?.cast();
                    wide.leaf(value, matches!(node.kind, Kind::Variable), node.at);
                }
                Kind::Detached => {
                    wide.detached(var(tape.inputs(id)[0]), node.at);
                }
                Kind::Scoped => {
                    let why =
                        format!("the operations of the scope at {} are gone, so that it cannot be computed in double precision", node.at);
                    return Err(ErrorKind::Check { why }.into());
                }
                Kind::Op(handle) => {
                    let x: Vec<_> = tape.inputs(id).iter().map(|&x| var(x)).collect();
                    if handle.outputs() > 1 {
                        wide.record_all(handle.clone(), &x, node.at);
                    } else {
                        wide.record(handle.clone(), &x, node.at);
                    }
                    // An operation for one precision says so here.
                    wide.tape.borrow().node(id).value.tensor()?;
                }
                Kind::Output(_) => {} // stands there already
            }
            debug_assert!(index(wide.len()) > id);
        }
        wide.tape.borrow_mut().names.clone_from(&tape.names);
        let mut flags = wide.tape.borrow_mut();
        (flags.has_foreign, flags.has_multi) = (tape.has_foreign, tape.has_multi);
        drop(flags);
        Ok(wide)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Graph, tensor};

    #[test]
    fn a_graph_in_single_precision_becomes_one_in_double_precision() {
        let g = Graph::<f32>::new();
        let x = g.variable(tensor![0.1f32, 0.2]);
        let y = (x.sin() * 3.0).sum() + x.detach().sum();
        let wide = g.widened().unwrap();
        let last = wide.vars().last().unwrap();
        let exact = (f64::from(0.1f32).sin() + f64::from(0.2f32).sin()) * 3.0 + f64::from(0.1f32) + f64::from(0.2f32);
        assert!((last.item().unwrap() - exact).abs() < 1e-14);
        assert_eq!((wide.len(), last.position()), (g.len(), y.position()));
    }

    #[test]
    fn closures_for_one_precision_say_so() {
        let g = Graph::<f32>::new();
        let own = g.custom("own", |[x]| x.exp(), |[_], y, d| Ok([d.mul(y)?]));
        let _ = own.apply([g.variable(tensor![0.1f32])]);
        let error = g.widened().unwrap_err().to_string();
        assert!(error.contains("own") && error.contains("f32"), "{error}");
    }
}
