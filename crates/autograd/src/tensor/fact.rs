//! What was found out about a tensor at some cost, such as the factors of a matrix: it is kept with the elements, to be read again.
//!
//! Tensors never change, so a fact stays true as long as its tensor is there, whoever reads it: the rule of an operation, recorded or not, a
//! replay, a checkpoint that computes again. It says nothing that the elements do not, and no bit of a result depends on whether it is there.

use std::{
    any::Any,
    fmt::Debug,
    panic::{RefUnwindSafe, UnwindSafe},
};

use super::{Repr, Tensor};
use crate::real::Real;

/// Something that follows from the elements of a tensor alone.
pub(crate) trait Fact: Any + Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The memory that it takes.
    fn bytes(&self) -> usize;
}

impl<T: Real> Tensor<T> {
    /// Finds out something about the elements, to be kept with them, unless something is kept already; one fact for a tensor is enough.
    pub(crate) fn remember<F: Fact>(&self, find_out: impl FnOnce() -> Option<F>) {
        if let Repr::Many(array) = &self.0
            && let Some(array) = array.get()
            && array.fact.get().is_none()
            && let Some(fact) = find_out()
        {
            // Another thread may have been quicker.
            let _ = array.fact.set(Box::new(fact));
        }
    }

    /// What is kept with the elements.
    pub(crate) fn fact(&self) -> Option<&dyn Fact> {
        match &self.0 {
            Repr::One { .. } => None,
            Repr::Many(array) => array.get()?.fact.get().map(|fact| &**fact),
        }
    }

    /// What is kept with the elements, if it is of this kind.
    pub(crate) fn known<F: Fact>(&self) -> Option<&F> {
        (self.fact()? as &dyn Any).downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sum(f64);
    impl Fact for Sum {
        fn bytes(&self) -> usize {
            8
        }
    }
    #[derive(Debug)]
    struct Other;
    impl Fact for Other {
        fn bytes(&self) -> usize {
            0
        }
    }

    fn known_sum(x: &Tensor<f64>) -> Option<f64> {
        x.known::<Sum>().map(|sum| sum.0)
    }

    #[test]
    fn a_fact_is_found_out_once_and_seen_by_all_clones() {
        let x = Tensor::<f64>::full(1.0, [10]).unwrap();
        let y = x.clone();
        x.remember(|| Some(Sum(10.0)));
        y.remember::<Sum>(|| unreachable!());
        y.remember::<Other>(|| unreachable!());
        assert_eq!((known_sum(&x), known_sum(&y)), (Some(10.0), Some(10.0)));
        assert!(y.known::<Other>().is_none());
        assert_eq!(known_sum(&x.with_shape(crate::shape::Shape::new(&[2, 5]).unwrap())), None);
    }

    #[test]
    fn what_changes_is_forgotten() {
        let mut x = Tensor::<f64>::full(1.0, [10]).unwrap();
        x.remember(|| Some(Sum(10.0)));
        let seen = x.clone();
        assert!(x.unique_mut().is_none());
        assert_eq!(known_sum(&x), Some(10.0));
        drop(seen);
        x.unique_mut().unwrap()[0] = 2.0;
        assert_eq!(known_sum(&x), None);
    }

    #[test]
    fn the_header_of_a_dropped_tensor_is_handed_on_without_its_fact() {
        for _ in 0..10 {
            let x = Tensor::<f64>::full(1.0, [10]).unwrap();
            assert_eq!(known_sum(&x), None);
            x.remember(|| Some(Sum(10.0)));
        }
    }

    #[test]
    fn a_fact_that_is_not_found_is_none() {
        let x = Tensor::<f64>::full(1.0, [10]).unwrap();
        x.remember::<Sum>(|| None);
        x.remember(|| Some(Sum(10.0)));
        assert_eq!(known_sum(&x), Some(10.0));
    }
}
