//! Scopes: computations that leave nothing on the tape but their results; and variables that outlive them, which are noticed.

use std::panic::Location;

use smallvec::SmallVec;

use super::{Graph, Kind, Tape};
use crate::{
    error::{Error, ErrorKind},
    op::Value,
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
        if self.bound.values().any(|bound| bound.node >= len) {
            self.bound.retain(|_, bound| bound.node < len);
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
    /// inference, and for loops whose derivative nobody needs: memory is that of one scope, however many follow each other.
    ///
    /// Nothing is differentiated through a scope, and whoever asks is told so. (For long computations that are to be differentiated, see
    /// [`Graph::checkpoint`].) A variable made inside that leaves the scope by another way than by being returned is an error where it is
    /// used. Parameters may be bound and gradients taken inside.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let mut x = g.constant(tensor![1.0, 2.0]);
    /// for _ in 0..1000 {
    ///     x = g.scope(|| (x * 2.0).sin() + 1.0);
    /// }
    /// assert_eq!(g.len(), 1001);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn scope<'g, R: Vars<'g, T>>(&'g self, computation: impl FnOnce() -> R) -> R {
        let at = self.line(Location::caller());
        let start = self.tape.borrow().len();
        let mut result = computation();

        // The values, and what they were computed from, which only explanations read.
        let (mut values, mut unchanged) = (Vec::new(), Vec::new());
        result.each(&mut |var| {
            unchanged.extend((std::ptr::eq(var.graph(), self) && var.id() < start && self.has(*var)).then_some(var.id()));
            let value = match var.value() {
                Ok(value) => Value::Tensor(value),
                Err(error) => Value::Error(error),
            };
            values.push(value);
        });
        let sources = self.tape.borrow().read_before(start, &unchanged);
        self.tape.borrow_mut().truncate(start);
        let epoch = self.epoch.get().saturating_add(1);
        self.epoch.set(epoch);
        {
            let mut tape = self.tape.borrow_mut();
            while tape.cuts.last().is_some_and(|cut| cut.len >= start) {
                tape.cuts.pop();
            }
            tape.cuts.push(Cut { epoch, len: start, at });
        }
        let mut values = values.into_iter();
        result.each(&mut |var| {
            if let Some(value) = values.next() {
                *var = Var::new(self, self.push(Kind::Scoped, &sources, value, false, at));
            }
        });
        result
    }
}

impl<T: Real> Tape<T> {
    /// The nodes before `start` that those from `start` on were computed from, ascending, if a gradient could be wanted.
    fn read_before(&self, start: u32, also: &[u32]) -> SmallVec<[u32; 4]> {
        let first_edge = self.nodes.get(start as usize).map_or(self.edges.len(), |node| node.first_edge as usize);
        let mut read: SmallVec<[u32; 4]> =
            self.edges[first_edge..].iter().chain(also).copied().filter(|&id| id < start && self.node(id).needs_gradient).collect();
        read.sort_unstable();
        read.dedup();
        read
    }
}
