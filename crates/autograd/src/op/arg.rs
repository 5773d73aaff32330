//! The positions of extremes, which are no numbers to differentiate.

use std::panic::Location;

use crate::{
    error::{Error, ErrorKind},
    indices::Indices,
    real::Real,
    tensor::{Tensor, kernel::reduce},
    var::Var,
};

fn position<T: Real>(x: &Tensor<T>, axis: isize, is_largest: bool, at: &'static Location<'static>) -> Result<Indices, Error> {
    let shape = x.shape();
    let found = || {
        let axis = shape.axis(axis)?;
        if shape[axis] == 0 {
            let what = if is_largest { "position of the maximum" } else { "position of the minimum" };
            return Err(ErrorKind::Empty { what, shape: *shape }.into());
        }
        let positions = reduce::position_of(x.as_slice(), shape.around(axis), is_largest)?;
        Indices::new(positions, [&shape[..axis], &shape[axis + 1..]].concat())
    };
    found().map_err(|error: Error| error.in_op(if is_largest { "argmax" } else { "argmin" }, || vec![*shape]).at(at))
}

impl<T: Real> Tensor<T> {
    /// The position of the largest element along an axis, which is removed; of several the first. NaN counts as the largest.
    ///
    /// # Errors
    /// An axis that is not there or has no elements.
    ///
    /// ```
    /// use autograd::tensor;
    /// let x = tensor![[1.0, 7.0, 7.0], [5.0, 0.0, 2.0]];
    /// assert_eq!(x.argmax(-1)?.as_slice(), [1, 0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Result<Indices, Error> {
        position(self, axis, true, Location::caller())
    }

    /// The position of the smallest element along an axis, which is removed; of several the first. NaN counts as the smallest.
    ///
    /// # Errors
    /// An axis that is not there or has no elements.
    ///
    /// ```
    /// use autograd::tensor;
    /// let x = tensor![[1.0, 7.0, 1.0], [5.0, 0.0, 2.0]];
    /// assert_eq!(x.argmin(1)?.as_slice(), [0, 1]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Result<Indices, Error> {
        position(self, axis, false, Location::caller())
    }
}

impl<T: Real> Var<'_, T> {
    /// The position of the largest element along an axis, which is removed; of several the first. NaN counts as the largest.
    ///
    /// # Errors
    /// An axis that is not there or has no elements; the first thing that went wrong on the way to the value.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let scores = g.variable(tensor![[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]]);
    /// let best = scores.argmax(-1)?;
    /// assert_eq!((best.shape(), best.as_slice()), (scores.sum_axes([-1], false).value()?.shape(), &[1, 0][..]));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Result<Indices, Error> {
        let at = self.graph().line(Location::caller());
        self.graph().read_positions(self, "argmax", at);
        position(&self.value()?, axis, true, at)
    }

    /// The position of the smallest element along an axis, which is removed; of several the first. NaN counts as the smallest.
    ///
    /// # Errors
    /// An axis that is not there or has no elements; the first thing that went wrong on the way to the value.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// assert_eq!(g.variable(tensor![[0.4, 0.7], [0.2, 0.9]]).argmin(0)?.as_slice(), [1, 0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn argmin(self, axis: isize) -> Result<Indices, Error> {
        let at = self.graph().line(Location::caller());
        self.graph().read_positions(self, "argmin", at);
        position(&self.value()?, axis, false, at)
    }
}
