//! Checkpoints: segments of the tape whose values are dropped, and computed again where a rule needs them (Griewank and Walther 2000).
//!
//! A segment keeps its operations, and what the closure returned. Everything else in it is recomputed from the tape, by the operations
//! that stand there, so nothing is borrowed and dropout drops the same elements again.

use std::panic::Location;

use smallvec::SmallVec;

use super::{Graph, Kind, Tape, Vars};
use crate::{op::Value, real::Real};

/// A part of the tape whose values were dropped.
#[derive(Clone)]
pub(crate) struct Segment {
    start: u32,
    /// The node after the last one.
    end: u32,
    at: &'static Location<'static>,
    /// The nodes that were returned, ascending; they have values.
    kept: SmallVec<[u32; 2]>,
    /// The first of the segments inside this one, all of which stand right before it.
    first_inside: usize,
    /// The segment around it.
    outer: Option<usize>,
}

/// All segments of a tape, in the order in which they ended: those inside one another stand before it.
#[derive(Default, Clone)]
pub(crate) struct Segments(Vec<Segment>);

impl Segments {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the segments of nodes that are gone.
    pub(crate) fn truncate(&mut self, len: u32) {
        while self.0.last().is_some_and(|segment| segment.end > len) {
            self.0.pop();
        }
    }

    /// The innermost segment around a node.
    fn around(&self, id: u32) -> Option<usize> {
        // The first to end after the node is around it, or lies beside it inside the one that is.
        let mut at = self.0.partition_point(|segment| segment.end <= id);
        while self.0.get(at)?.start > id {
            at = self.0[at].outer?;
        }
        Some(at)
    }

    fn is_inside(&self, mut inner: usize, outer: usize) -> bool {
        loop {
            if inner == outer {
                return true;
            }
            match self.0.get(inner).and_then(|segment| segment.outer) {
                Some(next) => inner = next,
                None => return false,
            }
        }
    }
}

/// The segments that have their values back for now.
pub(crate) struct Restored {
    segments: Vec<usize>,
    /// The node that is being run, in a replay: segments that end after it are not over.
    pub(crate) running: u32,
    /// The segment that is being computed, if these are restored for its sake.
    base: Option<usize>,
    /// Those that the present node reads, which therefore stay.
    pinned: SmallVec<[usize; 4]>,
}

impl Default for Restored {
    fn default() -> Self {
        Restored { segments: Vec::new(), running: u32::MAX, base: None, pinned: SmallVec::new() }
    }
}

impl Restored {
    /// One step of a way back: makes sure of what the rule of node `id` reads, and drops what lies behind it.
    #[inline]
    pub(crate) fn step_back<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        if !tape.segments.is_empty() {
            self.pass(tape, id);
            self.need(tape, id);
        }
    }

    /// Drops the values of segments that lie behind `id` on the way back: no rule needs them again.
    fn pass<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        while let Some(&top) = self.segments.last()
            && tape.segments.0[top].start > id
        {
            self.segments.pop();
            tape.drop_values(top);
        }
    }

    /// Drops all of them.
    pub(crate) fn finish<T: Real>(&mut self, tape: &mut Tape<T>) {
        for segment in self.segments.drain(..).rev() {
            tape.drop_values(segment);
        }
    }

    /// Makes sure that the values of a node, with all outputs of its operation, and of its inputs are there. Segments that it does not read
    /// lose theirs, unless they lie around one that it does.
    pub(crate) fn need<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        self.pinned.clear();
        for output in id..id + tape.outputs_of(id) {
            self.need_value(tape, output);
        }
        self.inputs(tape, id);
    }

    /// As `need`, for the inputs alone.
    pub(crate) fn need_inputs<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        self.pinned.clear();
        self.inputs(tape, id);
    }

    fn inputs<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        for k in 0..tape.inputs(id).len() {
            self.need_value(tape, tape.inputs(id)[k]);
        }
    }

    fn need_value<T: Real>(&mut self, tape: &mut Tape<T>, id: u32) {
        if let Some(segment) = tape.segments.around(id) {
            self.pinned.push(segment);
        }
        // As many times as segments lie in each other: the outer one gives back what the inner one returned.
        while matches!(tape.node(id).value, Value::Dropped(_)) {
            let Some(mut segment) = tape.segments.around(id) else { return };
            // What lies in a segment whose own surroundings are dropped waits for those.
            while let Some(outer) = tape.segments.0[segment].outer
                && !self.segments.contains(&outer)
                && tape.segments.0[outer].end <= self.running
                && !self.base.is_some_and(|base| tape.segments.is_inside(base, outer))
            {
                segment = outer;
            }
            if self.segments.contains(&segment) {
                return; // it could not be computed
            }
            let mut i = 0;
            while i < self.segments.len() {
                let kept = self.segments[i];
                let is_read = self.pinned.iter().any(|&pinned| tape.segments.is_inside(pinned, kept));
                if is_read || self.base == Some(kept) || tape.segments.is_inside(segment, kept) {
                    i += 1;
                } else {
                    let done = self.segments.remove(i);
                    tape.drop_values(done);
                }
            }
            tape.restore(segment);
            self.segments.push(segment);
        }
    }
}

impl<T: Real> Tape<T> {
    /// Whether the value of a node can be had again from those of its inputs.
    fn can_be_computed(&self, id: u32) -> bool {
        match &self.node(id).kind {
            Kind::Op(_) | Kind::Output(_) | Kind::Detached => true,
            Kind::Variable | Kind::Constant | Kind::Scoped => false,
        }
    }

    /// Drops the values of a segment but for those that it returned.
    pub(crate) fn drop_values(&mut self, segment: usize) {
        let Segment { start, end, at, .. } = self.segments.0[segment];
        for id in start..end {
            let is_kept = self.segments.0[segment].kept.binary_search(&id).is_ok();
            if !is_kept && self.can_be_computed(id) && matches!(self.node(id).value, Value::Tensor(_)) {
                self.nodes[id as usize].value = Value::Dropped(at);
                self.set_tangent(id, None);
            }
        }
    }

    /// Computes the values of a segment again; those of segments inside it are dropped as soon as they are passed.
    fn restore(&mut self, segment: usize) {
        let Segment { start, end, first_inside, .. } = self.segments.0[segment];
        let mut inside = first_inside;
        let mut opened = Restored { segments: vec![segment], base: Some(segment), ..Restored::default() };
        for id in start..end {
            if matches!(self.node(id).value, Value::Dropped(_)) {
                // A gradient recorded in here reads values of segments inside that have been passed.
                opened.need_inputs(self, id);
                self.compute(id);
            } else if self.tangents.is_some() {
                // What was kept may not have been moved yet; an error of it comes up again where it is asked for.
                let _ = self.move_node(id);
            }
            while inside < segment && self.segments.0[inside].end == id + 1 {
                self.drop_values(inside);
                inside += 1;
            }
        }
        opened.segments.retain(|opened| *opened != segment);
        opened.finish(self);
    }

    /// Drops, during a replay, the values of all segments from the `next` one on that end before a node; gives the first that does not.
    pub(crate) fn drop_ended(&mut self, mut next: usize, id: u32) -> usize {
        while self.segments.0.get(next).is_some_and(|segment| segment.end <= id) {
            self.drop_values(next);
            next += 1;
        }
        next
    }
}

impl<T: Real> Graph<T> {
    /// Runs a part of a formula and drops the values inside it, but for what it returns: where a gradient needs them, they are computed
    /// again. Memory for values is then that of the longest part, and of what the parts return, at the price of one more forward pass (Chen
    /// et al. 2016).
    ///
    /// A gradient that is [recorded](Graph::grad) consists of values like others, which are kept, unless it is taken inside a checkpoint itself.
    ///
    /// Nothing else changes: gradients of every order are the same bits, forward mode goes through, and dropout drops the same elements
    /// again. The part may borrow whatever it likes, such as a model. Parts may lie in each other. A variable that leaves the part by another
    /// way than by being returned has no value any more, and says so.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![0.1, 0.2, 0.3]);
    /// let mut y = x;
    /// for _ in 0..100 {
    ///     y = g.checkpoint(|| (y * 1.1).sin().tanh()); // of the three values of a step, one is kept
    /// }
    /// assert!(y.sum().backward()?.wrt(x)?.as_slice().iter().all(|d| d.is_finite()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn checkpoint<'g, R: Vars<'g, T>>(&'g self, part: impl FnOnce() -> R) -> R {
        let at = self.line(Location::caller());
        let (start, first_inside) = {
            let tape = self.tape.borrow();
            (tape.len(), tape.segments.0.len())
        };
        let mut result = part();
        let mut kept = SmallVec::new();
        result.each(&mut |var| kept.push(var.id()));
        let mut tape = self.tape.borrow_mut();
        let end = tape.len();
        kept.retain(|id| (start..end).contains(id));
        kept.sort_unstable();
        let segment = tape.segments.0.len();
        for inside in first_inside..segment {
            tape.segments.0[inside].outer.get_or_insert(segment);
        }
        if start < end {
            tape.segments.0.push(Segment { start, end, at, kept, first_inside, outer: None });
            tape.drop_values(segment);
        }
        result
    }
}
