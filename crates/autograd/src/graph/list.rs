//! Lists of variables: arrays, whose number the compiler knows, and slices.

use crate::{real::Real, var::Var};

/// Variables that are differentiated by: an array `[x, w]`, or a slice where their number is known only when the program runs.
pub trait VarList<'g, T: Real>: AsRef<[Var<'g, T>]> + Copy {
    /// As many variables: an array of the same length for an array, a vector for a slice.
    type Like;

    /// The list of as many.
    #[doc(hidden)]
    fn like(&self, vars: Vec<Var<'g, T>>) -> Self::Like;
}

impl<'g, T: Real, const N: usize> VarList<'g, T> for [Var<'g, T>; N] {
    type Like = [Var<'g, T>; N];
    fn like(&self, vars: Vec<Var<'g, T>>) -> Self::Like {
        // There are as many, in the same order.
        let mut vars = vars.into_iter();
        self.map(|x| vars.next().unwrap_or(x))
    }
}

impl<'g, T: Real> VarList<'g, T> for &[Var<'g, T>] {
    type Like = Vec<Var<'g, T>>;
    fn like(&self, vars: Vec<Var<'g, T>>) -> Self::Like {
        vars
    }
}

impl<'g, T: Real> VarList<'g, T> for &Vec<Var<'g, T>> {
    type Like = Vec<Var<'g, T>>;
    fn like(&self, vars: Vec<Var<'g, T>>) -> Self::Like {
        vars
    }
}
