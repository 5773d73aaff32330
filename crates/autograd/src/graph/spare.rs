//! Memory of tapes and of lists of gradients that is used again: what a graph leaves goes to the next one, on the same thread.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use super::tape::Node;
use crate::{
    accumulate::Slot,
    real::Real,
    tensor::{Tensor, pool},
};

/// No thread keeps more tapes than this, for each element type.
const TAPES: usize = 4;
/// No tape is kept that has room for more nodes than this.
const NODES: usize = 1 << 18;
/// No thread keeps more lists of gradients than this.
const LISTS: usize = 16;
/// No list is kept that has room for more gradients than this.
const GRADIENTS: usize = 1 << 10;

/// What a graph leaves, empty.
pub(crate) struct Spare<T: Real> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) edges: Vec<u32>,
    pub(super) slots: Vec<Slot<T>>,
}

impl<T: Real> Spare<T> {
    /// What an earlier graph has left, or nothing.
    pub(super) fn take() -> Spare<T> {
        let kept = T::with_spares(|spares| spares.tapes.pop()).flatten();
        kept.unwrap_or_else(|| Spare { nodes: Vec::new(), edges: Vec::new(), slots: Vec::new() })
    }

    /// Keeps it for the next graph, if it is not too much.
    pub(super) fn keep(mut self) {
        // Tensors go first: they take the way of their own pool.
        self.nodes.clear();
        self.edges.clear();
        self.slots.clear();
        let largest = self.nodes.capacity().max(self.edges.capacity() / 2).max(self.slots.capacity());
        if (1..=NODES).contains(&largest) {
            T::with_spares(|spares| {
                if spares.tapes.len() < TAPES {
                    spares.tapes.push(self);
                }
            });
        }
    }
}

/// Gradients by node. Dropped, its memory is kept for the next list.
#[derive(Debug, Clone)]
pub(crate) struct List<T: Real>(Vec<(u32, Tensor<T>)>);

impl<T: Real> List<T> {
    pub(crate) fn new() -> List<T> {
        List(T::with_spares(|spares| spares.lists.pop()).flatten().unwrap_or_default())
    }
}

impl<T: Real> Deref for List<T> {
    type Target = Vec<(u32, Tensor<T>)>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Real> DerefMut for List<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T: Real> Drop for List<T> {
    fn drop(&mut self) {
        self.0.clear();
        if (1..=GRADIENTS).contains(&self.0.capacity()) {
            T::with_spares(|spares| {
                if spares.lists.len() < LISTS {
                    spares.lists.push(std::mem::take(&mut self.0));
                }
            });
        }
    }
}

/// What one thread keeps for graphs of one element type.
pub(crate) struct Spares<T: Real> {
    tapes: Vec<Spare<T>>,
    lists: Vec<Vec<(u32, Tensor<T>)>>,
}

impl<T: Real> Spares<T> {
    const fn new() -> Self {
        Spares { tapes: Vec::new(), lists: Vec::new() }
    }
}

/// The spares of the element types.
pub(crate) trait Spared: Sized {
    /// Nothing at the end of a thread, when they are gone.
    fn with_spares<R>(f: impl FnOnce(&mut Spares<Self>) -> R) -> Option<R>
    where
        Self: Real;
}

macro_rules! spared {
    ($($t:ident)*) => { $(
        impl Spared for $t {
            #[inline]
            fn with_spares<R>(f: impl FnOnce(&mut Spares<$t>) -> R) -> Option<R> {
                thread_local! {
                    static SPARES: RefCell<Spares<$t>> = const { RefCell::new(Spares::new()) };
                }
                SPARES.try_with(|spares| spares.try_borrow_mut().ok().map(|mut spares| f(&mut spares))).ok().flatten()
            }
        }
    )* };
}
spared!(f32 f64);

/// Gives the memory that this thread keeps for tensors and graphs to come back to the system.
///
/// ```
/// use autograd::{Tensor, release_memory};
/// drop(Tensor::<f64>::zeros([1000, 1000])?);
/// release_memory(); // eight megabytes
/// # Ok::<(), autograd::Error>(())
/// ```
pub fn release_memory() {
    f32::with_spares(|spares| *spares = Spares::new());
    f64::with_spares(|spares| *spares = Spares::new());
    pool::empty();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;

    #[test]
    fn what_a_graph_leaves_is_used_again() {
        release_memory();
        let run = || {
            let g = Graph::<f64>::new();
            let place = g.tape.borrow().nodes.as_ptr();
            let x = g.variable(2.0);
            assert_eq!((x * x).backward().unwrap().wrt(x).unwrap().item().unwrap(), 4.0);
            (place, g.tape.borrow().nodes.as_ptr())
        };
        let (_, place) = run();
        assert_eq!(run(), (place, place));
        release_memory();
        assert!(f64::with_spares(|spares| spares.tapes.is_empty() && spares.lists.is_empty()).unwrap());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        release_memory();
        let all: Vec<_> = (0..10).map(|_| Graph::<f64>::new()).collect();
        for g in &all {
            assert_eq!(g.variable(1.0).position(), 0);
        }
        drop(all);
        assert_eq!(f64::with_spares(|spares| spares.tapes.len()).unwrap(), TAPES);
        release_memory();
        Spare::<f64> { nodes: Vec::with_capacity(NODES + 1), edges: Vec::new(), slots: Vec::new() }.keep();
        assert!(f64::with_spares(|spares| spares.tapes.is_empty()).unwrap());
    }
}
