//! Scopes: computations that leave nothing on the tape but their results; and variables that outlive them, which are noticed.

use std::panic::Location;

use smallvec::SmallVec;

use super::{Graph, Kind, Tape, tape::Moving};
use crate::{
    error::{Error, ErrorKind},
    op::{Few, Value},
    real::Real,
    var::Var,
};

/// What a scope or a checkpoint returns: a variable, an array, a vector, an option, a tuple or a result of such.
pub trait Vars<'g, T: Real> {
    /// Shows each variable to `f`, which may replace it.
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>));
}

impl<'g, T: Real> Vars<'g, T> for () {
    fn each(&mut self, _f: &mut dyn FnMut(&mut Var<'g, T>)) {}
}
impl<'g, T: Real> Vars<'g, T> for Var<'g, T> {
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
        f(self);
    }
}
impl<'g, T: Real, V: Vars<'g, T>, const N: usize> Vars<'g, T> for [V; N] {
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
        for v in self {
            v.each(f);
        }
    }
}
impl<'g, T: Real, V: Vars<'g, T>> Vars<'g, T> for Vec<V> {
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
        for v in self {
            v.each(f);
        }
    }
}
impl<'g, T: Real, V: Vars<'g, T>> Vars<'g, T> for Option<V> {
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
        if let Some(v) = self {
            v.each(f);
        }
    }
}
impl<'g, T: Real, V: Vars<'g, T>, E> Vars<'g, T> for Result<V, E> {
    fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
        if let Ok(v) = self {
            v.each(f);
        }
    }
}
macro_rules! tuples {
    ($(($($V:ident $i:tt),+))*) => { $(
        impl<'g, T: Real, $($V: Vars<'g, T>),+> Vars<'g, T> for ($($V,)+) {
            fn each(&mut self, f: &mut dyn FnMut(&mut Var<'g, T>)) {
                $( self.$i.each(f); )+
            }
        }
    )* };
}
tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

/// Where the tape was cut off when a scope ended. A variable is of a node that is gone if a later cut lies at or before it.
pub(crate) struct Cut {
    /// The first epoch after it.
    epoch: u32,
    len: u32,
    at: &'static Location<'static>,
}

impl<T: Real> Tape<T> {
    /// The scope in which the node of a variable was lost, if it was.
    pub(crate) fn lost(&self, id: u32, epoch: u32) -> Option<&'static Location<'static>> {
        // Of all later cuts the first is the lowest, since a cut removes those above it.
        let cut = self.cuts.get(self.cuts.partition_point(|cut| cut.epoch <= epoch))?;
        (cut.len <= id).then_some(cut.at)
    }

    /// Forgets all nodes from `len` on.
    pub(crate) fn truncate(&mut self, len: u32) {
        if let Some(first) = self.nodes.get(len as usize) {
            self.edges.truncate(first.first_edge as usize);
        }
        self.nodes.truncate(len as usize);
        self.names.split_off(&len);
        self.hooks.split_off(&len);
        self.readings.split_off(&len);
        self.segments.truncate(len);
        self.plan.forget();
        if let Some(tangents) = &mut self.tangents {
            tangents.truncate(len as usize);
        }
    }
}

impl<T: Real> Graph<T> {
    /// Whether the node of a variable of this graph is still there.
    #[inline]
    pub(crate) fn has(&self, var: Var<'_, T>) -> bool {
        var.epoch() == self.epoch.get() || self.tape.borrow().lost(var.id(), var.epoch()).is_none()
    }

    /// The error of a variable whose node is gone.
    pub(crate) fn lost(&self, var: Var<'_, T>) -> Option<Error> {
        if var.epoch() == self.epoch.get() {
            return None;
        }
        let scope = self.tape.borrow().lost(var.id(), var.epoch())?;
        Some(ErrorKind::OutOfScope { scope }.into())
    }

    /// Runs a computation and forgets it: of all nodes that it made, only the variables that it returns are left, as constants. It is for
    /// inference, and for computations that nobody will differentiate backwards.
    ///
    /// No gradient leads through a scope, and whoever asks for one is told so; for long computations that are to be differentiated see
    /// [`Graph::checkpoint`]. [Tangents](Var::tangent) of forward mode go through, since they need no way back. A variable made inside that leaves
    /// the scope by another way than by being returned is an error where it is used. Parameters may be bound, and gradients taken, inside.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.constant(tensor![1.0, 2.0]);
    /// let y = g.scope(|| (x * 2.0).sin() + 1.0);
    /// assert_eq!(g.len(), 2); // x and y
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[doc(alias = "no_grad")]
    #[track_caller]
    pub fn scope<'g, R: Vars<'g, T>>(&'g self, computation: impl FnOnce() -> R) -> R {
        let at = self.line(Location::caller());
        let start = self.tape.borrow().len();
        self.scoped(start, &mut SmallVec::new(), at, computation)
    }

    /// A long loop in the memory of one step: `f` of the state so far and the next item gives the next state, and nothing else of the step is
    /// left. As in a [scope](Graph::scope), no gradient leads through it, and forward mode does.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.dual(tensor![1.0, 2.0], tensor![1.0, 1.0]);
    /// let y = g.fold(x, 0..1000, |y, _| (y * 0.5).sin() + 1.0);
    /// assert_eq!(g.len(), 2); // x and y
    /// assert!(y.tangent()?.is_some());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[doc(alias = "scan")]
    #[track_caller]
    pub fn fold<'g, R: Vars<'g, T>, I>(&'g self, init: R, items: impl IntoIterator<Item = I>, mut f: impl FnMut(R, I) -> R) -> R {
        let at = self.line(Location::caller());
        let start = self.tape.borrow().len();
        let mut sources = SmallVec::new();
        items.into_iter().fold(init, |state, item| self.scoped(start, &mut sources, at, || f(state, item)))
    }

    /// Runs a computation and leaves its results alone from `start` on. `sources` are what earlier steps have read, and this one.
    fn scoped<'g, R: Vars<'g, T>>(
        &'g self,
        start: u32,
        sources: &mut SmallVec<[u32; 4]>,
        at: &'static Location<'static>,
        computation: impl FnOnce() -> R,
    ) -> R {
        /// Ends the scope, also when the computation panics; then its nodes stay.
        struct Open<'a, T: Real>(&'a Graph<T>);
        impl<T: Real> Drop for Open<'_, T> {
            fn drop(&mut self) {
                self.0.tape.borrow_mut().open_scopes -= 1;
            }
        }
        self.tape.borrow_mut().open_scopes += 1;
        let (open, replaced) = (Open(self), self.tape.borrow().rebound.len());
        let mut result = computation();
        drop(open);

        // The values and tangents, and what they were computed from, which explanations and replays read.
        let mut kept: Few<Moving<Value<T>, T>> = Few::new();
        result.each(&mut |var| {
            let is_own = std::ptr::eq(var.graph(), self) && self.has(*var);
            sources.extend((is_own && var.id() < start).then_some(var.id()));
            kept.push(match var.value() {
                Ok(value) => (Value::Tensor(value), var.tangent().ok().flatten()),
                Err(error) => (Value::Error(error), None),
            });
        });
        let epoch = self.epoch.get().saturating_add(1);
        {
            let mut tape = self.tape.borrow_mut();
            tape.add_sources(start, sources);
            tape.truncate(start);
            while tape.rebound.len() > replaced
                && let Some((id, before)) = tape.rebound.pop()
            {
                tape.rebind(id, before);
            }
            while tape.cuts.last().is_some_and(|cut| cut.len >= start) {
                tape.cuts.pop();
            }
            tape.cuts.push(Cut { epoch, len: start, at });
        }
        self.epoch.set(epoch);
        let mut kept = kept.into_iter();
        result.each(&mut |var| {
            if let Some((value, tangent)) = kept.next() {
                *var = Var::new(self, self.push(Kind::Scoped, sources, value, false, at));
                self.tape.borrow_mut().set_tangent(var.id(), tangent);
            }
        });
        result
    }
}

impl<T: Real> Tape<T> {
    /// Adds the nodes before `start` that those from `start` on were computed from; ascending.
    fn add_sources(&self, start: u32, sources: &mut SmallVec<[u32; 4]>) {
        let first_edge = self.nodes.get(start as usize).map_or(self.edges.len(), |node| node.first_edge as usize);
        sources.extend(self.edges[first_edge..].iter().copied().filter(|&id| id < start));
        sources.sort_unstable();
        sources.dedup();
    }
}
