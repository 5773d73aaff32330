//! Walking over an array in the order of another shape: broadcasting, transposing, slicing and their reverse.

use crate::{
    error::Error,
    real::Real,
    shape::{AxisList, MAX_RANK, Shape},
    tensor::{
        Tensor,
        kernel::{
            cross::{ACROSS, Cross},
            dispatch::{Kernel, dispatch},
            overwritten, threads,
        },
    },
};

/// Runs of fewer elements that are repeated are copied several at a time.
const LONG: usize = 128;
/// Runs of fewer elements are copied one by one.
const SHORT: usize = 16;

/// There are no more rows at a time than this, so that who adds them up can settle.
const MOST_ROWS: usize = 1024;
/// Axes of fewer elements are not worth tiles.
const NARROW: usize = 4;
/// Fewer parts than this are not enough for several threads.
const FEW: usize = 8;

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

/// Straight runs that follow each other in a walk, all as long, and as far apart in the array.
pub(crate) struct Rows {
    /// How many elements precede them.
    pub(crate) done: usize,
    pub(crate) count: usize,
    /// Where the first one stands, and how far it is to the next.
    pub(crate) at: usize,
    pub(crate) step: isize,
    /// The elements of each, and how far apart they are.
    pub(crate) n: usize,
    pub(crate) stride: isize,
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
        self.advance(last, 1);
        Some(run)
    }

    /// The next runs, as many as are whole and alike, or one that is not whole.
    #[inline(always)]
    pub(crate) fn next_rows(&mut self) -> Option<Rows> {
        let last = self.walk.rank - 1;
        let (n, stride) = self.walk.axes[last];
        let left = self.len - self.done;
        if last == 0 || self.position[last] > 0 || left < n {
            let (done, n, at, stride) = self.next()?;
            return Some(Rows { done, count: 1, at, step: 0, n, stride });
        }
        let (rows, step) = self.walk.axes[last - 1];
        let (rest, most) = (rows - self.position[last - 1], left / n);
        let most = if most < MOST_ROWS { most } else { MOST_ROWS };
        let count = if rest < most { rest } else { most };
        let rows = Rows { done: self.done, count, at: self.at.cast_unsigned(), step, n, stride };
        self.done += count * n;
        self.advance(last, count);
        Some(rows)
    }

    /// Goes on by so many positions of the axis before `axis`, up to its end at most.
    #[inline(always)]
    fn advance(&mut self, mut axis: usize, mut by: usize) {
        while axis > 0 {
            axis -= 1;
            let (length, stride) = self.walk.axes[axis];
            self.position[axis] += by;
            self.at += by.cast_signed() * stride;
            if self.position[axis] < length {
                break;
            }
            self.at -= length.cast_signed() * stride;
            self.position[axis] = 0;
            by = 1;
        }
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
        let (mut rest, mut at) = (i, self.offset.cast_signed());
        for &(n, stride) in self.axes[..self.rank].iter().rev() {
            at += (rest % n).cast_signed() * stride;
            rest /= n;
        }
        at.cast_unsigned()
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
    pub(crate) fn read<T: Real>(&self, from: &[T], start: usize, to: &mut [T]) {
        if let [.., (repeats, 0), (n, 1)] = self.axes[..self.rank]
            && n < LONG
        {
            return self.read_repeated(from, start, to, (repeats, n));
        }
        let mut runs = self.straight(start, to.len());
        while let Some(Rows { done, count, at, step, n, stride }) = runs.next_rows() {
            let to = &mut to[done..done + count * n];
            if (step, stride) == (1, 0) && n < SHORT {
                dispatch(Repeat { from: &from[at..at + count], n, to });
                continue;
            }
            for (i, to) in to.chunks_exact_mut(n).enumerate() {
                read_run(from, at.wrapping_add_signed(i.cast_signed() * step), stride, to);
            }
        }
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
        let (len, mut part) = (elements.len(), threads::part_of(elements.len()));
        let crossed = self.crossed();
        if let Some((_, step)) = crossed {
            // Whole tiles to each part, unless there are hardly any for the threads: a copy has the same bits however it is divided.
            let is_long = threads::count() > 1 && len / (ACROSS * step) < FEW;
            part = part.next_multiple_of(if is_long { NARROW } else { ACROSS } * step);
        }
        let read = |(start, to): (usize, &mut [T])| match crossed {
            Some((axis, step)) => self.read_crossed(from, start, to, (axis, step)),
            None => self.read(from, start, to),
        };
        if len > part {
            threads::each(len, (0..).step_by(part).zip(elements.chunks_mut(part)).collect(), &read);
        } else if len > 0 {
            read((0, &mut elements));
        }
        Ok(Tensor::of(shape, elements))
    }

    /// The axis whose elements are neighbours in the array, if it is not the last one and tiles pay, and how far apart they are in the result.
    fn crossed(&self) -> Option<(usize, usize)> {
        let last = self.rank - 1;
        let (n, stride) = self.axes[last];
        let axis = self.axes[..last].iter().position(|&(n, stride)| stride == 1 && n >= NARROW)?;
        (stride != 0 && stride != 1 && n >= NARROW).then(|| (axis, self.axes[axis + 1..self.rank].iter().map(|(n, _)| n).product()))
    }

    /// Copies the elements `start .. start + to.len()`, in tiles, given what [`crossed`](Walk::crossed) says; both are multiples of the distance.
    fn read_crossed<T: Real>(&self, from: &[T], start: usize, to: &mut [T], (axis, step): (usize, usize)) {
        let (last, (m, _)) = (self.rank - 1, self.axes[axis]);
        let (n, stride) = self.axes[last];
        let (lengths, strides): (AxisList<usize>, AxisList<isize>) = self.axes[axis + 1..last].iter().copied().unzip();
        let between = Walk::new(&lengths, &strides, 0);
        let (mut row, end) = (start / step, (start + to.len()) / step);
        while row < end {
            let rows = (m - row % m).min(end - row);
            let (first, to) = (self.place(row * step), &mut to[row * step - start..][..rows * step]);
            for i in 0..step / n {
                let at = first.wrapping_add(between.place(i));
                dispatch(Cross { from, at, stride, to: &mut to[i * n..], step, rows, n });
            }
            row += rows;
        }
    }
}

/// Copies the elements from `at` on that are `stride` apart.
#[inline(always)]
#[allow(clippy::manual_memcpy)] // see SHORT
fn read_run<T: Real>(from: &[T], at: usize, stride: isize, to: &mut [T]) {
    let n = to.len();
    match stride {
        // A call would cost more than so few elements.
        0 if n < SHORT => {
            let value = from[at];
            for to in to {
                *to = value;
            }
        }
        0 => dispatch(Fill { value: from[at], to }),
        1 if n < SHORT => {
            let from = &from[at..at + n];
            for i in 0..n {
                to[i] = from[i];
            }
        }
        1 => to.copy_from_slice(&from[at..at + n]),
        _ => to.iter_mut().enumerate().for_each(|(i, t)| *t = from[at.wrapping_add_signed(i.cast_signed() * stride)]),
    }
}

struct Fill<'a, T> {
    value: T,
    to: &'a mut [T],
}

impl<T: Real> Kernel for Fill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for to in self.to {
            *to = self.value;
        }
    }
}

/// Each element `n` times, which are few.
struct Repeat<'a, T> {
    from: &'a [T],
    n: usize,
    to: &'a mut [T],
}

impl<T: Real> Kernel for Repeat<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Repeat { from, n, to } = self;
        let (mut i, mut at) = (0, 0);
        // More than enough at once: what is too much is written over by the next.
        while i < from.len()
            && let Some(group) = to.get_mut(at..).and_then(|to| to.first_chunk_mut::<SHORT>())
        {
            *group = [from[i]; SHORT];
            i += 1;
            at += n;
        }
        while i < from.len() {
            for k in 0..n {
                to[at + k] = from[i];
            }
            i += 1;
            at += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretched_elements_are_read_from_any_place_on() {
        let cases: [(&[usize], &[usize]); 6] = [
            (&[70, 1], &[70, 10]),
            (&[3, 70, 1], &[3, 70, 15]),
            (&[70, 1], &[70, 40]),
            (&[3, 1, 10], &[3, 70, 10]),
            (&[1, 30, 1], &[4, 30, 3]),
            (&[4, 1, 3, 1], &[4, 5, 3, 7]),
        ];
        for (from, to) in cases {
            let (from, to) = (Shape::new(from).unwrap(), Shape::new(to).unwrap());
            let elements: Vec<f32> = (0..from.len()).map(|i| i as f32).collect();
            let (walk, own, strides) = (Walk::stretch(&from, &to), to.strides(), from.strides());
            for start in [0, 1, 7, 29, to.len() / 2] {
                let mut found = vec![-1.0; (to.len() - start) / 2];
                walk.read(&elements, start, &mut found);
                for (i, v) in found.iter().enumerate() {
                    let place = |axis: usize| if from[axis] == 1 { 0 } else { (start + i) / own[axis] % to[axis] * strides[axis] };
                    assert_eq!(*v, (0..to.rank()).map(place).sum::<usize>() as f32, "{from:?} {to:?} {start}");
                }
            }
        }
    }
}
