//! Walking over an array in the order of another shape: broadcasting, transposing, slicing and their reverse.

use crate::{
    error::Error,
    real::Real,
    shape::{MAX_RANK, Shape},
    tensor::{
        Tensor,
        kernel::{overwritten, threads},
    },
};

/// Runs of fewer elements that are repeated are copied several at a time.
const LONG: usize = 128;
/// Runs of fewer elements are copied one by one.
const SHORT: usize = 16;

/// For each element of a shape in row-major order, the place of an element in an array.
///
/// Neighbouring axes that can be walked as one are merged, so that the innermost runs are long.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    axes: [(usize, isize); MAX_RANK],
    rank: usize,
    offset: usize,
}

/// The straight runs of a walk that are left.
pub(crate) struct Runs<'w> {
    walk: &'w Walk,
    position: [usize; MAX_RANK],
    at: isize,
    done: usize,
    len: usize,
}

impl Runs<'_> {
    /// How many elements precede the next run, how many it has, where it stands, and how far apart its elements are.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<(usize, usize, usize, isize)> {
        if self.done >= self.len {
            return None;
        }
        let last = self.walk.rank - 1;
        let (inner, stride) = self.walk.axes[last];
        let left = self.len - self.done;
        let n = if inner - self.position[last] < left { inner - self.position[last] } else { left };
        let run = (self.done, n, self.at.cast_unsigned(), stride);
        self.done += n;
        self.at -= self.position[last].cast_signed() * stride;
        self.position[last] = 0;
        let mut axis = last;
        while axis > 0 {
            axis -= 1;
            let (length, stride) = self.walk.axes[axis];
            self.position[axis] += 1;
            self.at += stride;
            if self.position[axis] < length {
                break;
            }
            self.at -= length.cast_signed() * stride;
            self.position[axis] = 0;
        }
        Some(run)
    }
}

impl Walk {
    /// Lengths and strides, outermost first, from an offset on.
    pub(crate) fn new(lengths: &[usize], strides: &[isize], offset: usize) -> Walk {
        let mut walk = Walk { axes: [(1, 0); MAX_RANK], rank: 0, offset };
        for (&n, &s) in lengths.iter().zip(strides) {
            if n == 1 {
                continue;
            }
            match walk.rank.checked_sub(1).map(|last| &mut walk.axes[last]) {
                Some((outer, stride)) if *stride == s * n.cast_signed() => (*outer, *stride) = (*outer * n, s),
                _ => {
                    walk.axes[walk.rank] = (n, s);
                    walk.rank += 1;
                }
            }
        }
        walk.rank = walk.rank.max(1);
        walk
    }

    /// The walk over an array of shape `from`, stretched to `to`.
    pub(crate) fn stretch(from: &Shape, to: &Shape) -> Walk {
        Walk::stretch_lengths(from, to)
    }

    /// The same, given the lengths of the axes alone.
    pub(crate) fn stretch_lengths(from: &[usize], to: &[usize]) -> Walk {
        let (mut strides, shift) = ([0; MAX_RANK], to.len() - from.len());
        let mut step = 1;
        for axis in (0..from.len()).rev() {
            if from[axis] != 1 {
                strides[shift + axis] = step;
            }
            step *= from[axis].max(1).cast_signed();
        }
        Walk::new(to, &strides[..to.len()], 0)
    }

    /// The number of neighbours at the end of the walk that are neighbours in the array too; 0 where there are none.
    pub(crate) fn run(&self) -> usize {
        match self.axes[self.rank - 1] {
            (n, 1) => n,
            _ => 0,
        }
    }

    /// How many elements come again and again at the end of the walk, if they are few, and how many there are in all until others come.
    pub(crate) fn repeats(&self) -> Option<(usize, usize)> {
        match self.axes[..self.rank] {
            [.., (repeats, 0), (n, 1)] if n < LONG => Some((n, repeats * n)),
            [.., (n, 0)] => Some((1, n)),
            _ => None,
        }
    }

    /// Where the element `i` of the walk stands.
    pub(crate) fn place(&self, i: usize) -> usize {
        let mut place = 0;
        self.runs(i, 1, |_, _, at, _| place = at);
        place
    }

    /// Calls `visit(done, n, at, stride)` for each straight run among the elements `start .. start + len`:
    /// `n` elements, `done` of which precede them in the range, stand at `at`, `at + stride`, ….
    #[inline(always)]
    pub(crate) fn runs(&self, start: usize, len: usize, mut visit: impl FnMut(usize, usize, usize, isize)) {
        let mut runs = self.straight(start, len);
        while let Some((done, n, at, stride)) = runs.next() {
            visit(done, n, at, stride);
        }
    }

    /// The same runs, one after the other: for kernels, where a closure would stay a call.
    #[inline(always)]
    pub(crate) fn straight(&self, start: usize, len: usize) -> Runs<'_> {
        let (mut position, mut rest, mut at) = ([0; MAX_RANK], start, self.offset.cast_signed());
        let mut axis = self.rank;
        while axis > 0 {
            axis -= 1;
            let (n, stride) = self.axes[axis];
            position[axis] = rest % n;
            rest /= n;
            at += position[axis].cast_signed() * stride;
        }
        Runs { walk: self, position, at, done: 0, len }
    }

    /// Copies the elements `start .. start + to.len()` of the walk. It stays out of the kernels, whose loops would grow by it.
    #[inline(never)]
    #[allow(clippy::manual_memcpy)] // see SHORT
    pub(crate) fn read<T: Real>(&self, from: &[T], start: usize, to: &mut [T]) {
        if let [.., (repeats, 0), (n, 1)] = self.axes[..self.rank]
            && n < LONG
        {
            return self.read_repeated(from, start, to, (repeats, n));
        }
        self.runs(start, to.len(), |done, n, at, stride| {
            let to = &mut to[done..done + n];
            match stride {
                // A call would cost more than so few elements.
                0 if n < SHORT => {
                    let value = from[at];
                    for to in to {
                        *to = value;
                    }
                }
                0 => to.fill(from[at]),
                1 if n < SHORT => {
                    let from = &from[at..at + n];
                    for i in 0..n {
                        to[i] = from[i];
                    }
                }
                1 => to.copy_from_slice(&from[at..at + n]),
                _ => to.iter_mut().enumerate().for_each(|(i, t)| *t = from[at.wrapping_add_signed(i.cast_signed() * stride)]),
            }
        });
    }

    /// The same where short runs of `n` elements are repeated: what stands there already is copied, twice as much each time.
    fn read_repeated<T: Real>(&self, from: &[T], start: usize, to: &mut [T], (repeats, n): (usize, usize)) {
        let outer = Walk { rank: (self.rank - 2).max(1), ..self.clone() };
        let outer = if self.rank == 2 { Walk { axes: [(1, 0); MAX_RANK], ..outer } } else { outer };
        let (region, mut done) = (repeats * n, 0);
        while done < to.len() {
            let at = start + done;
            let len = (region - at % region).min(to.len() - done);
            let to = &mut to[done..done + len];
            let (base, phase) = (outer.place(at / region), at % n);
            let run = &from[base..base + n];
            let mut filled = n.min(len);
            let (head, tail) = (filled.min(n - phase), filled - filled.min(n - phase));
            to[..head].copy_from_slice(&run[phase..phase + head]);
            to[head..filled].copy_from_slice(&run[..tail]);
            while filled < len {
                let more = filled.min(len - filled);
                to.copy_within(..more, filled);
                filled += more;
            }
            done += len;
        }
    }

    /// All elements of the walk, as a tensor of `shape`, which has as many.
    pub(crate) fn gather<T: Real>(&self, from: &[T], shape: Shape) -> Result<Tensor<T>, Error> {
        let mut elements = overwritten(shape.len())?;
        let (len, part) = (elements.len(), threads::part_of(elements.len()));
        if len > part {
            let parts = (0..).step_by(part).zip(elements.chunks_mut(part)).collect();
            threads::each(len, parts, &|(start, to): (usize, &mut [T])| self.read(from, start, to));
        } else if len > 0 {
            self.read(from, 0, &mut elements);
        }
        Ok(Tensor::of(shape, elements))
    }
}
