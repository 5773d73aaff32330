//! Parameters: tensors that training changes, with an identity by which a graph and its gradients know them.

use autograd::{Gradients, Graph, LeafId, Real, Tensor, Var};

use crate::error::Error;

/// A tensor of a model that is learned.
///
/// A parameter lives outside the graphs: each run of the model [binds](Parameter::bind) it to the graph of that run, and the gradients of
/// the run are [asked](Parameter::grad) for it afterwards.
///
/// A clone has an identity of its own, because a cloned model is another model: the gradients of one do not belong to the other, and an
/// optimiser keeps separate momenta for them.
///
/// ```
/// use autograd::{Graph, tensor};
/// use nn::Parameter;
/// let mut w = Parameter::new(tensor![1.0, 2.0]);
/// let g = Graph::<f64>::new();
/// let loss = w.bind(&g).square().sum();
/// let grads = loss.backward()?;
/// assert_eq!(w.grad(&grads), Some(&tensor![2.0, 4.0]));
/// w.set(tensor![0.5, 0.5])?;
/// assert!(w.set(tensor![1.0, 2.0, 3.0]).is_err());
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameter<T: Real> {
    value: Tensor<T>,
    id: LeafId,
}

impl<T: Real> Parameter<T> {
    /// A parameter with this initial value.
    #[must_use]
    pub fn new(value: Tensor<T>) -> Self {
        Parameter { value, id: LeafId::new() }
    }

    /// The current value.
    #[must_use]
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// What tells this parameter from all others.
    #[must_use]
    pub fn id(&self) -> &LeafId {
        &self.id
    }

    /// Gives it a new value of the same shape.
    ///
    /// # Errors
    /// [`Error::ParameterShape`] for a tensor of another shape; the parameter is unchanged then.
    pub fn set(&mut self, value: Tensor<T>) -> Result<(), Error> {
        if value.shape() != self.value.shape() {
            return Err(Error::ParameterShape { expected: self.value.shape().to_vec(), found: value.shape().to_vec() });
        }
        self.value = value;
        Ok(())
    }

    /// The parameter as a variable of a graph; the same variable whenever the graph is the same.
    ///
    /// # Errors
    /// If it was set to another value since the graph first used it, the result is an error: one graph is one run of the model.
    #[track_caller]
    #[must_use]
    pub fn bind<'g>(&self, graph: &'g Graph<T>) -> Var<'g, T> {
        graph.bind(&self.id, &self.value)
    }

    /// Its gradient, if the loss depended on it.
    #[must_use]
    pub fn grad<'a>(&self, gradients: &'a Gradients<T>) -> Option<&'a Tensor<T>> {
        gradients.of(&self.id)
    }
}

/// The same value under a new identity.
impl<T: Real> Clone for Parameter<T> {
    fn clone(&self) -> Self {
        Parameter::new(self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;

    #[test]
    fn a_clone_is_another_parameter() {
        let a = Parameter::new(tensor![1.0, 2.0]);
        let b = a.clone();
        assert_eq!(a.value(), b.value());
        let g = Graph::<f64>::new();
        let grads = a.bind(&g).sum().backward().unwrap();
        assert!(a.grad(&grads).is_some());
        assert!(b.grad(&grads).is_none());
    }

    #[test]
    fn a_parameter_used_twice_is_one_variable() {
        let a = Parameter::new(tensor![3.0]);
        let g = Graph::<f64>::new();
        let grads = (a.bind(&g) * a.bind(&g)).sum().backward().unwrap();
        assert_eq!(a.grad(&grads), Some(&tensor![6.0]));
    }

    #[test]
    fn another_shape_is_refused_and_changes_nothing() {
        let mut a = Parameter::new(tensor![1.0, 2.0]);
        let message = a.set(tensor![[1.0, 2.0]]).unwrap_err().to_string();
        assert_eq!(message, "a parameter of shape [2] cannot be set to a tensor of shape [1, 2]");
        assert_eq!(a.value(), &tensor![1.0, 2.0]);
    }

    #[test]
    fn a_change_between_two_uses_in_one_graph_is_an_error() {
        let mut a = Parameter::new(tensor![1.0, 2.0]);
        let g = Graph::<f64>::new();
        let before = a.bind(&g);
        a.set(tensor![3.0, 4.0]).unwrap();
        let message = (before + a.bind(&g)).value().unwrap_err().to_string();
        assert!(message.contains("a parameter has changed"), "{message}");
    }
}
