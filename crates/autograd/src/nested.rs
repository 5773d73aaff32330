//! Derivatives of closures on one graph, which nest: each differentiates by copies of its arguments, that nobody else has used.

use std::panic::Location;

use crate::{graph::Graph, real::Real, var::Var};

impl<'g, T: Real> Var<'g, T> {
    /// The same value as a variable of its own, computed from this one: a derivative by it counts only what is made of it.
    fn copy_to_differentiate(self, at: &'static Location<'static>) -> Self {
        let graph = self.graph();
        let copy = graph.on_behalf_of(at, || self * 1.0);
        // By a copy of a constant, too.
        if let Some(node) = graph.tape.borrow_mut().nodes.get_mut(copy.id() as usize) {
            node.needs_gradient = true;
        }
        copy
    }
}

impl<T: Real> Graph<T> {
    /// The gradients of a scalar function at some variables of this graph, constants or not, recorded: they can be differentiated again.
    ///
    /// What counts is what the function itself does with its arguments. So calls may stand in each other, and use the variables of those
    /// around them, without confusing whose derivative is meant (Siskind and Pearlmutter 2005):
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let one = g.constant(1.0);
    /// // D(x ↦ x · D(y ↦ x + y, 1), 1) = 1
    /// let [d] = g.grad_of(|[x]| x * g.grad_of(|[y]| x + y, [one])[0], [one]);
    /// assert_eq!(d.item()?, 1.0);
    /// // D(x ↦ D(y ↦ x · y, x), 2) = D(x ↦ x, 2) = 1, although y is x there.
    /// let [d] = g.grad_of(|[x]| g.grad_of(|[y]| x * y, [x])[0], [g.constant(2.0)]);
    /// assert_eq!(d.item()?, 1.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Graph::grad`]: each gradient is the error.
    #[track_caller]
    pub fn grad_of<'g, const N: usize>(&'g self, f: impl FnOnce([Var<'g, T>; N]) -> Var<'g, T>, x: [Var<'g, T>; N]) -> [Var<'g, T>; N] {
        let at = Location::caller();
        let copies = x.map(|x| x.copy_to_differentiate(at));
        let gradients = T::grad(self, f(copies), None, &copies, at);
        std::array::from_fn(|k| gradients[k])
    }

    /// The value of a function at some variables of this graph, constants or not, and its derivative as they move along `dx`, recorded.
    /// Calls may stand in each other, and in [`Graph::grad_of`]; see there.
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let (x, one) = (g.variable(0.5), g.constant(1.0));
    /// // The second derivative, forward over forward.
    /// let (slope, curvature) = g.jvp_of(|[x]| g.jvp_of(|[x]| x.sin(), [x], [one]).1, [x], [one]);
    /// assert_eq!((slope.item()?, curvature.item()?), (0.5f64.cos(), -0.5f64.sin()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Graph::jvp`]: the derivative is the error.
    #[track_caller]
    pub fn jvp_of<'g, const N: usize>(
        &'g self,
        f: impl FnOnce([Var<'g, T>; N]) -> Var<'g, T>,
        x: [Var<'g, T>; N],
        dx: [Var<'g, T>; N],
    ) -> (Var<'g, T>, Var<'g, T>) {
        let at = Location::caller();
        let copies = x.map(|x| x.copy_to_differentiate(at));
        let y = f(copies);
        (y, T::jvp(y, &copies, &dx, at))
    }
}
