//! Pointwise kernels: a function of N operands and its gradients, each in one pass over memory, with broadcasting undone on the fly.

use std::{array::from_fn, hint::black_box};

use super::{
    Buffer,
    dispatch::{Kernel, complete, dispatch},
    lanes::{Transposes, Vectorised, vectorised},
    overwritten,
    reduce::{Summing, Sums},
    threads,
    walk::Walk,
};
use crate::{
    elementary::{Function, Lane, Slope, X, has_whole_slopes, has_whole_value, unrolled},
    error::Error,
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// Operands are brought together in blocks of this many elements, which stay in the innermost cache.
const BLOCK: usize = 1024;
/// Elements are computed in steps of so many; fewer than that are padded. Without optimisation there are no vectors to fill.
const STEP: usize = if cfg!(debug_assertions) { 4 } else { 16 };

/// An operand, block by block, in the order of the result.
#[allow(clippy::large_enum_variant)] // there are few of them, and only on the stack
enum Source<'a, T: Real> {
    Straight(&'a [T]),
    /// One number, repeated.
    Constant(Buffer<T>),
    Stretched(Stretched<'a, T>),
}

/// An operand that is smaller than the result. Its blocks are copied only where they must be.
struct Stretched<'a, T: Real> {
    elements: &'a [T],
    walk: Walk,
    /// So many neighbours are neighbours in the operand too.
    run: usize,
    /// So many elements come again and again, until so many are done. The buffer has room for one such period more than a block has.
    period: usize,
    region: usize,
    /// A block, or the beginning of a region.
    buffer: Buffer<T>,
    held: Option<usize>,
    view: View,
}

/// Where a block stands.
#[derive(Clone, Copy)]
enum View {
    Elements(usize),
    Buffer(usize),
}

impl<'a, T: Real> Stretched<'a, T> {
    fn new(x: &'a Tensor<T>, to: &Shape) -> Result<Stretched<'a, T>, Error> {
        let walk = Walk::stretch(x.shape(), to);
        let (period, region) = walk.repeats().unwrap_or((0, 0));
        let buffer = overwritten(BLOCK.min(to.len()) + period)?;
        Ok(Stretched { elements: x.as_slice(), run: walk.run(), walk, period, region, buffer, held: None, view: View::Buffer(0) })
    }

    fn prepare(&mut self, start: usize, n: usize) {
        let Stretched { elements, walk, run, period, region, buffer, held, view } = self;
        *view = if *run >= n && start % *run <= *run - n {
            View::Elements(walk.place(start))
        } else if *region >= buffer.len() && start % *region <= *region - n {
            let first = start - start % *region;
            if *held != Some(first) {
                walk.read(elements, first, buffer);
                *held = Some(first);
            }
            View::Buffer((start - first) % *period)
        } else {
            walk.read(elements, start, &mut buffer[..n]);
            *held = None;
            View::Buffer(0)
        };
    }
}

impl<'a, T: Real> Source<'a, T> {
    fn new(x: &'a Tensor<T>, to: &Shape) -> Result<Source<'a, T>, Error> {
        if x.shape().len() == to.len() {
            return Ok(Source::Straight(x.as_slice()));
        }
        Ok(if let Some(value) = x.as_one() {
            let mut block = overwritten(BLOCK.min(to.len()))?;
            block.fill(value);
            Source::Constant(block)
        } else {
            Source::Stretched(Stretched::new(x, to)?)
        })
    }

    /// Brings the elements of a block together.
    fn prepare(&mut self, start: usize, n: usize) {
        if let Source::Stretched(stretched) = self {
            stretched.prepare(start, n);
        }
    }

    /// The elements of the block that was prepared last.
    fn block(&self, start: usize, n: usize) -> &[T] {
        match self {
            Source::Straight(elements) => &elements[start..start + n],
            Source::Constant(block) => &block[..n],
            Source::Stretched(Stretched { elements, buffer, view, .. }) => match *view {
                View::Elements(at) => &elements[at..at + n],
                View::Buffer(at) => &buffer[at..at + n],
            },
        }
    }
}

/// All operands, stretched to a shape.
fn sources<'a, T: Real, const N: usize>(x: [&'a Tensor<T>; N], to: &Shape) -> Result<[Source<'a, T>; N], Error> {
    let mut sources = [const { Source::Straight(&[]) }; N];
    for (source, x) in sources.iter_mut().zip(x) {
        *source = Source::new(x, to)?;
    }
    Ok(sources)
}

/// What is computed for one element: `Q` numbers of three groups of others.
trait Element<T, const N: usize, const D: usize, const L: usize, const Q: usize>: Copy {
    fn at<const FMA: bool>(&self, x: [T; N], dx: [T; D], rest: [T; L]) -> [T; Q];
}

/// The operands of an element function, brought together.
struct Sources<'a, T: Real, const N: usize, const D: usize, const L: usize> {
    x: [Source<'a, T>; N],
    dx: [Source<'a, T>; D],
    rest: [Source<'a, T>; L],
}

/// As many elements of each operand.
struct Group<'b, T, const N: usize, const D: usize, const L: usize> {
    x: [&'b [T]; N],
    dx: [&'b [T]; D],
    rest: [&'b [T]; L],
}

/// Computes whole steps, through a pointer: all around it is compiled once, and not for every function.
type Steps<'f, T, const N: usize, const D: usize, const L: usize, const Q: usize> =
    dyn Fn(&Group<'_, T, N, D, L>, &mut [&mut [T]; Q]) + Sync + 'f;

/// What computes elements: whole steps, and one alone, where a step gave NaN, with all that steps leave out (see [`Lane`] and [`complete`]).
struct Rule<'f, T, const N: usize, const D: usize, const L: usize, const Q: usize> {
    steps: &'f Steps<'f, T, N, D, L, Q>,
    /// Whether the steps leave nothing out: then nobody looks for NaN.
    is_whole: bool,
    one: &'f (dyn Fn([T; N], [T; D], [T; L]) -> [T; Q] + Sync + 'f),
}

impl<T: Real, const N: usize, const D: usize, const L: usize> Sources<'_, T, N, D, L> {
    fn prepare(&mut self, start: usize, n: usize) {
        self.x.iter_mut().chain(&mut self.dx).chain(&mut self.rest).for_each(|source| source.prepare(start, n));
    }

    fn group(&self, start: usize, n: usize) -> Group<'_, T, N, D, L> {
        Group {
            x: from_fn(|k| self.x[k].block(start, n)),
            dx: from_fn(|k| self.dx[k].block(start, n)),
            rest: from_fn(|k| self.rest[k].block(start, n)),
        }
    }

    /// Whether no operand has to be brought together.
    fn are_straight(&self) -> bool {
        self.x.iter().chain(&self.dx).chain(&self.rest).all(|source| matches!(source, Source::Straight(_)))
    }

    /// How many of `n` elements are computed at a time: a block, or all of them if nothing is done with a block before or after.
    fn at_a_time(&self, n: usize, is_whole: bool) -> usize {
        if is_whole && self.are_straight() { n.max(1) } else { BLOCK }
    }

    /// Computes `n` elements from `start` on, at most a block, into `out`.
    fn compute<const Q: usize>(&mut self, rule: &Rule<'_, T, N, D, L, Q>, (start, n): (usize, usize), out: &mut [&mut [T]; Q]) {
        self.prepare(start, n);
        self.group(start, n).compute(rule, out);
    }
}

impl<T: Real, const N: usize, const D: usize, const L: usize> Group<'_, T, N, D, L> {
    /// Computes all elements, into each of `out` that is not empty, as what nobody needs is. The steps leave out those behind the last whole one.
    fn compute<const Q: usize>(&self, rule: &Rule<'_, T, N, D, L, Q>, out: &mut [&mut [T]; Q]) {
        let n = self.x[0].len();
        if n >= STEP {
            (rule.steps)(self, out);
            if !n.is_multiple_of(STEP) {
                // The last step computes some elements a second time.
                let last = Group { x: from(&self.x, n - STEP), dx: from(&self.dx, n - STEP), rest: from(&self.rest, n - STEP) };
                (rule.steps)(&last, &mut out.each_mut().map(|out| out.get_mut(n - STEP..).unwrap_or_default()));
            }
        } else if n > 0 {
            let (mut x, mut dx, mut rest) = ([[T::ZERO; STEP]; N], [[T::ZERO; STEP]; D], [[T::ZERO; STEP]; L]);
            vectorised(Padding { few: [&self.x, &self.dx, &self.rest], step: [&mut x, &mut dx, &mut rest] });
            let mut results = [[T::ZERO; STEP]; Q];
            let padded = Group { x: slices(&x), dx: slices(&dx), rest: slices(&rest) };
            (rule.steps)(&padded, &mut results.each_mut().map(|result| &mut result[..]));
            vectorised(Cutting { step: &results, few: out });
        }
        if !rule.is_whole && dispatch(HasNan(out)) {
            self.compute_again(rule, out);
        }
    }

    #[cold]
    fn compute_again<const Q: usize>(&self, rule: &Rule<'_, T, N, D, L, Q>, out: &mut [&mut [T]; Q]) {
        for i in 0..self.x[0].len() {
            let mut missing = out.each_mut().map(|out| out.get_mut(i).filter(|v| v.is_nan()));
            if missing.iter().any(Option::is_some) {
                let one = (rule.one)(self.x.map(|x| x[i]), self.dx.map(|dx| dx[i]), self.rest.map(|rest| rest[i]));
                for (missing, one) in missing.iter_mut().zip(one) {
                    if let Some(missing) = missing {
                        **missing = one;
                    }
                }
            }
        }
    }
}

/// Whether any number is NaN. There is no way out at each of them, which would keep the loop from being vectorised.
struct HasNan<'a, 'o, T, const N: usize>(&'a [&'o mut [T]; N]);

impl<T: Real, const N: usize> Kernel for HasNan<'_, '_, T, N> {
    type Output = bool;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> bool {
        let mut found = false;
        for k in 0..N {
            found |= T::has_nan(&*self.0[k]);
        }
        found
    }
}

/// Each slice from `at` on.
fn from<'b, T, const N: usize>(slices: &[&'b [T]; N], at: usize) -> [&'b [T]; N] {
    slices.map(|slice| &slice[at..])
}

/// Fewer elements than a step has, and zeros after them. They are written as whole vectors, as which they are read next: what was written in
/// pieces would be waited for.
struct Padding<'a, 'b, T> {
    few: [&'a [&'b [T]]; 3],
    step: [&'a mut [[T; STEP]]; 3],
}

impl<T: Real> Vectorised for Padding<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Transposes>(self, simd: S) {
        for (few, step) in self.few.into_iter().zip(self.step) {
            for (few, step) in few.iter().zip(step) {
                let mut done = 0;
                for vector in T::vectors_mut::<S>(step) {
                    let end = few.len().min(done + T::lanes::<S>());
                    *vector = T::load(simd, &few[done.min(end)..end]);
                    done += T::lanes::<S>();
                }
                // A step may be shorter than a vector.
                if let Some(rest) = few.get(done..) {
                    step[done..few.len()].copy_from_slice(rest);
                }
            }
        }
    }
}

/// The reverse: the first elements of a step, as many as there is room for.
struct Cutting<'a, 'o, T, const Q: usize> {
    step: &'a [[T; STEP]; Q],
    few: &'a mut [&'o mut [T]; Q],
}

impl<T: Real, const Q: usize> Vectorised for Cutting<'_, '_, T, Q> {
    type Output = ();
    #[inline(always)]
    fn run<S: Transposes>(self, simd: S) {
        for (step, few) in self.step.iter().zip(self.few) {
            let mut done = 0;
            for vector in T::vectors::<S>(step) {
                let end = few.len().min(done + T::lanes::<S>());
                T::store(simd, &mut few[done.min(end)..end], *vector);
                done += T::lanes::<S>();
            }
            // A step may be shorter than a vector.
            let n = few.len();
            if let Some(rest) = few.get_mut(done..) {
                rest.copy_from_slice(&step[done..n]);
            }
        }
    }
}

fn slices<T, const N: usize>(arrays: &[[T; STEP]; N]) -> [&[T]; N] {
    arrays.each_ref().map(|array| &array[..])
}

/// The one loop over elements. Steps have a constant length, and their results are arrays of their own, so that there is nothing to check
/// at run time, neither places nor overlaps, and no element is left to a loop that is not vectorised. It counts places: iterators would
/// stay calls, compiled for the base instructions.
struct Straight<'b, 'o, T, E, const N: usize, const D: usize, const L: usize, const Q: usize> {
    element: E,
    group: Group<'b, T, N, D, L>,
    out: [&'o mut [T]; Q],
}

impl<'b, 'o, T: Real, E: Copy, const N: usize, const D: usize, const L: usize, const Q: usize> Straight<'b, 'o, T, E, N, D, L, Q> {
    /// It holds the slices and the function themselves: behind references they would be read again after each store.
    fn new(element: &E, &Group { x, dx, rest }: &Group<'b, T, N, D, L>, out: &'o mut [&mut [T]; Q]) -> Self {
        Straight { element: *element, group: Group { x, dx, rest }, out: out.each_mut().map(|out| &mut **out) }
    }
}

impl<T: Real, E: Element<T, N, D, L, Q>, const N: usize, const D: usize, const L: usize, const Q: usize> Kernel
    for Straight<'_, '_, T, E, N, D, L, Q>
{
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Straight { element, group, out } = self;
        let n = group.x[0].len() / STEP;
        let (x, dx, rest) = (steps(&group.x, n), steps(&group.dx, n), steps(&group.rest, n));
        for at in 0..n {
            let mut results = [[T::ZERO; STEP]; Q];
            for i in 0..STEP {
                let result = element.at::<FMA>(
                    unrolled(T::ZERO, |k| x[k][at][i]),
                    unrolled(T::ZERO, |k| dx[k][at][i]),
                    unrolled(T::ZERO, |k| rest[k][at][i]),
                );
                for q in 0..Q {
                    results[q][i] = result[q];
                }
            }
            for q in 0..Q {
                if let Some(out) = out[q].as_chunks_mut().0.get_mut(at) {
                    *out = results[q];
                }
            }
            // Nothing, which keeps this loop, with nothing left to check, from being vectorised across steps, by gathers, in place of within.
            black_box(());
        }
    }
}

/// The first `n` steps of each slice.
#[inline(always)]
fn steps<'b, T, const N: usize>(slices: &[&'b [T]; N], n: usize) -> [&'b [[T; STEP]]; N] {
    unrolled(&[][..], |k| &slices[k].as_chunks().0[..n])
}

/// The shape all operands stretch to.
pub(crate) fn common_shape<'a, T: Real>(mut x: impl Iterator<Item = &'a Tensor<T>>) -> Result<Shape, Error> {
    let mut shape = x.next().map_or(Shape::SCALAR, |x| *x.shape());
    for x in x {
        if *x.shape() != shape {
            shape = shape.broadcast(x.shape())?;
        }
    }
    Ok(shape)
}

/// The values of all operands, if each has one element.
#[inline]
fn all_ones<T: Real, const N: usize>(x: [&Tensor<T>; N]) -> Option<([T; N], usize)> {
    let (mut values, mut rank) = ([T::ZERO; N], 0);
    for (value, t) in values.iter_mut().zip(x) {
        *value = t.as_one()?;
        rank = rank.max(t.rank());
    }
    Some((values, rank))
}

struct One<'a, T, F, const N: usize> {
    function: &'a F,
    x: [T; N],
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for One<'_, T, F, N> {
    type Output = T;
    const WIDE: bool = false;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        self.function.value(lanes::<T, N, FMA, false>(self.x)).0.0
    }
}

#[derive(Clone, Copy)]
struct ValueOf<F>(F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, 0, 0, 1> for ValueOf<F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], _: [T; 0], _: [T; 0]) -> [T; 1] {
        [self.0.value(lanes::<T, N, FMA, false>(x)).0.0]
    }
}

/// y = f(x₀, …), element by element.
#[inline]
pub(crate) fn map<T: Real, F: Function<N>, const N: usize>(function: &F, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
    if let Some((x, rank)) = all_ones(x) {
        return Ok(Tensor::one(rank, one(function, x)));
    }
    map_arrays(function, x)
}

/// f(x₀, …) of single numbers.
#[inline]
pub(crate) fn one<T: Real, F: Function<N>, const N: usize>(function: &F, x: [T; N]) -> T {
    let y = dispatch(One { function, x });
    if y.is_nan() && !has_whole_value(function) { complete(One { function, x }) } else { y }
}

/// What fills a part of an array, given the place of its first element.
type Fill<'f, T> = dyn Fn(usize, &mut [T]) -> Result<(), Error> + Sync + 'f;

/// Fills an array part by part; `fill` is given the place of the first element of a part.
fn in_parts<T: Real>(y: &mut [T], fill: &Fill<'_, T>) -> Result<(), Error> {
    let (len, part) = (y.len(), threads::part_of(y.len()));
    if len <= part {
        return fill(0, y);
    }
    let parts = (0..).step_by(part).zip(y.chunks_mut(part)).collect();
    threads::each(len, parts, &|(start, y): (usize, &mut [T])| fill(start, y)).into_iter().collect()
}

/// Adds `d` to `sum`, which has as many elements.
pub(crate) fn add_to<T: Real>(sum: &mut [T], d: &[T]) {
    let added = in_parts(sum, &|start, sum| {
        sum.iter_mut().zip(&d[start..]).for_each(|(sum, d)| *sum += *d);
        Ok(())
    });
    debug_assert!(added.is_ok());
}

fn map_arrays<T: Real, F: Function<N>, const N: usize>(function: &F, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
    let element = ValueOf(*function);
    let steps = &|group: &Group<'_, T, N, 0, 0>, out: &mut [&mut [T]; 1]| dispatch(Straight::new(&element, group, out));
    map_by(x, &Rule { steps, is_whole: has_whole_value(function), one: &|x, [], []| [complete(One { function, x })] })
}

/// Computes a function of `N` operands, part by part.
fn map_by<T: Real, const N: usize>(x: [&Tensor<T>; N], rule: &Rule<'_, T, N, 0, 0, 1>) -> Result<Tensor<T>, Error> {
    // The shape of small operands that are alike is not moved.
    if x[1..].iter().all(|other| other.shape() == x[0].shape()) && is_small(x[0].shape(), x.into_iter()) {
        let mut y = overwritten(x[0].len())?;
        Group { x: x.map(Tensor::as_slice), dx: [], rest: [] }.compute(rule, &mut [&mut y[..]]);
        return Ok(Tensor::made(x[0].shape(), y));
    }
    let shape = common_shape(x.into_iter())?;
    let mut y = overwritten(shape.len())?;
    in_parts(&mut y, &|start, y| {
        fill(&mut Sources { x: sources(x, &shape)?, dx: [], rest: [] }, rule, start, y);
        Ok(())
    })?;
    Ok(Tensor::of(shape, y))
}

/// Whether there is one block, and nothing to be stretched, so that operands can be taken as they are.
fn is_small<'a, T: Real>(shape: &Shape, mut x: impl Iterator<Item = &'a Tensor<T>>) -> bool {
    shape.len() <= BLOCK && x.all(|x| x.len() == shape.len())
}

/// Computes the elements from `start` on.
fn fill<T: Real, const N: usize, const D: usize, const L: usize>(
    sources: &mut Sources<'_, T, N, D, L>,
    rule: &Rule<'_, T, N, D, L, 1>,
    start: usize,
    y: &mut [T],
) {
    let block = sources.at_a_time(y.len(), rule.is_whole);
    for (start, y) in (start..).step_by(block).zip(y.chunks_mut(block)) {
        let n = y.len();
        sources.compute(rule, (start, n), &mut [y]);
    }
}

/// Which slopes of a function are numbers that stand in its rule.
#[inline(always)]
pub(crate) fn structure<F: Function<N>, const N: usize>(function: &F) -> [Option<f64>; N] {
    let one = X(Lane::<f64, false>(1.0));
    let slopes = function.slopes([one; N], one, [true; N]);
    unrolled(None, |k| match slopes[k] {
        Slope::Const(c) => Some(c),
        Slope::Of(_) => None,
    })
}

struct OneGradient<'a, T, F, const N: usize> {
    function: &'a F,
    x: [T; N],
    y: T,
    g: T,
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for OneGradient<'_, T, F, N> {
    type Output = [T; N];
    const WIDE: bool = false;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [T; N] {
        gradient::<T, F, N, FMA, false>(self.function, self.x, self.y, self.g)
    }
}

/// The operands of one element.
#[inline(always)]
fn lanes<T: Real, const N: usize, const FMA: bool, const PLAIN: bool>(x: [T; N]) -> [X<Lane<T, FMA, PLAIN>>; N] {
    unrolled(X(Lane(T::ZERO)), |k| X(Lane(x[k])))
}

/// g·∂y/∂xₖ for one element. `PLAIN` leaves it to the caller to look for NaN, see [`Lane`].
#[inline(always)]
fn gradient<T: Real, F: Function<N>, const N: usize, const FMA: bool, const PLAIN: bool>(function: &F, x: [T; N], y: T, g: T) -> [T; N] {
    let (y, g) = (Lane::<T, FMA, PLAIN>(y), Lane::<T, FMA, PLAIN>(g));
    let slopes = function.slopes(lanes(x), X(y), [true; N]);
    unrolled(T::ZERO, |k| slopes[k].times(Slope::Of(g)).or_lit(g).0)
}

/// Where a part of the gradient of one operand goes.
#[allow(clippy::large_enum_variant)] // there are few of them, and only on the stack
enum Target<'a, T: Real> {
    Nowhere,
    /// The elements of this part.
    Straight(&'a mut [T]),
    /// Added up block by block.
    Summed(Sums, Buffer<T>),
}

/// One part of the gradients of a function, and where they go.
struct Part<'a, 't, T: Real, const N: usize> {
    /// The operands; then the value and the incoming gradient.
    sources: Sources<'a, T, N, 0, 2>,
    start: usize,
    len: usize,
    targets: [Target<'t, T>; N],
}

#[derive(Clone, Copy)]
struct GradientOf<F>(F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, 0, 2, N> for GradientOf<F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], _: [T; 0], [y, g]: [T; 2]) -> [T; N] {
        // One mask costs less than a look at all results; but where the slopes are products themselves, there would be many.
        if has_whole_slopes(&self.0) {
            gradient::<T, F, N, FMA, false>(&self.0, x, y, g)
        } else {
            gradient::<T, F, N, FMA, true>(&self.0, x, y, g)
        }
    }
}

impl<T: Real, const N: usize> Part<'_, '_, T, N> {
    fn run(&mut self, rule: &Rule<'_, T, N, 0, 2, N>) {
        let Part { sources, start, len, targets } = self;
        let is_summed = targets.iter().any(|target| matches!(target, Target::Summed(..)));
        let block = sources.at_a_time(*len, rule.is_whole && !is_summed);
        for done in (0..*len).step_by(block) {
            let (start, n) = (*start + done, block.min(*len - done));
            let mut out = targets.each_mut().map(|target| match target {
                Target::Nowhere => &mut [][..],
                Target::Straight(to) => &mut to[done..done + n],
                Target::Summed(_, block) => &mut block[..n],
            });
            sources.compute(rule, (start, n), &mut out);
            for target in targets.iter_mut() {
                if let Target::Summed(sums, block) = target {
                    dispatch(Summing { sums, start, run: &block[..n] });
                }
            }
        }
    }
}

/// The gradients g·∂y/∂xₖ of the operands that `needs` one, each of the shape of its operand.
#[inline]
pub(crate) fn gradients<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
) -> Result<[Option<Tensor<T>>; N], Error> {
    if let (Some((values, _)), Some(y), Some(g)) = (all_ones(x), y.as_one(), g.as_one()) {
        let d = gradients_of_one(function, values, y, g);
        return Ok(from_fn(|k| needs[k].then(|| Tensor::one(x[k].rank(), d[k]))));
    }
    gradients_of_arrays(function, x, y, g, needs)
}

/// g·∂y/∂xₖ of single numbers.
#[inline]
pub(crate) fn gradients_of_one<T: Real, F: Function<N>, const N: usize>(function: &F, x: [T; N], y: T, g: T) -> [T; N] {
    let mut d = dispatch(OneGradient { function, x, y, g });
    let mut is_complete = true;
    for d in d {
        is_complete &= !d.is_nan();
    }
    if !is_complete && !has_whole_slopes(function) {
        let all = complete(OneGradient { function, x, y, g });
        for (d, all) in d.iter_mut().zip(all) {
            if d.is_nan() {
                *d = all;
            }
        }
    }
    d
}

fn gradients_of_arrays<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
) -> Result<[Option<Tensor<T>>; N], Error> {
    let element = GradientOf(*function);
    gradients_by(
        x,
        y,
        g,
        needs,
        &Rule {
            steps: &|group, out| dispatch(Straight::new(&element, group, out)),
            is_whole: has_whole_slopes(function),
            one: &|x, [], [y, g]| gradients_of_one(function, x, y, g),
        },
    )
}

/// Computes the gradients of a function of `N` operands, part by part.
fn gradients_by<T: Real, const N: usize>(
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
    rule: &Rule<'_, T, N, 0, 2, N>,
) -> Result<[Option<Tensor<T>>; N], Error> {
    let shape = y.shape();
    let is_summed: [bool; N] = from_fn(|k| needs[k] && x[k].len() != shape.len());
    let mut straight: [Option<Buffer<T>>; N] = [const { None }; N];
    for k in (0..N).filter(|&k| needs[k] && !is_summed[k]) {
        straight[k] = Some(overwritten(shape.len())?);
    }
    if is_small(shape, x.into_iter().chain([g])) {
        let mut out = straight.each_mut().map(|buffer| buffer.as_deref_mut().unwrap_or_default());
        Group { x: x.map(Tensor::as_slice), dx: [], rest: [y.as_slice(), g.as_slice()] }.compute(rule, &mut out);
        return Ok(from_fn(|k| straight[k].take().map(|elements| Tensor::made(x[k].shape(), elements))));
    }
    let run = |start: usize, len: usize, targets| {
        let sources = Sources { x: sources(x, shape)?, dx: [], rest: [Source::new(y, shape)?, Source::new(g, shape)?] };
        let mut part = Part { sources, start, len, targets };
        part.run(rule);
        Ok::<_, Error>(part.targets)
    };
    // Each part has sums of its own, which should be small beside it.
    let part = threads::part_of(shape.len());
    let part = if (0..N).any(|k| is_summed[k] && !Sums::fit(x[k].len(), part)) { shape.len().max(1) } else { part };
    let mut sums: [Option<Sums>; N] = [const { None }; N];
    let mut slices = straight.each_mut().map(|buffer| buffer.as_mut().map(|buffer| buffer.chunks_mut(part)));
    let mut parts = Vec::new();
    for start in (0..shape.len().max(1)).step_by(part) {
        let mut targets = [const { Target::Nowhere }; N];
        for k in 0..N {
            if is_summed[k] {
                targets[k] = Target::Summed(Sums::new(shape, x[k].shape())?, overwritten(BLOCK.min(shape.len()))?);
            } else if let Some(slice) = slices[k].as_mut().and_then(Iterator::next) {
                targets[k] = Target::Straight(slice);
            }
        }
        let len = part.min(shape.len() - start);
        if len == shape.len() {
            collect(run(start, len, targets)?, &mut sums);
        } else {
            parts.push((start, len, targets));
        }
    }
    for targets in threads::each(shape.len(), parts, &|(start, len, targets)| run(start, len, targets)) {
        collect(targets?, &mut sums);
    }
    Ok(from_fn(|k| match (straight[k].take(), sums[k].take()) {
        (Some(elements), _) => Some(Tensor::of(*x[k].shape(), elements)),
        (None, Some(sums)) => Some(sums.finish(1.0)),
        (None, None) => None,
    }))
}

/// Adds the sums of one part to those of the parts before it.
fn collect<T: Real, const N: usize>(targets: [Target<'_, T>; N], sums: &mut [Option<Sums>; N]) {
    for (target, sums) in targets.into_iter().zip(sums) {
        if let Target::Summed(part, _) = target {
            match sums {
                Some(sums) => sums.absorb(part),
                None => *sums = Some(part),
            }
        }
    }
}

struct OneTangent<'a, T, F, const N: usize> {
    function: &'a F,
    x: [T; N],
    y: T,
    dx: [T; N],
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for OneTangent<'_, T, F, N> {
    type Output = T;
    const WIDE: bool = false;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        slope_along::<T, F, N, FMA>(self.function, self.x, self.dx, self.y)
    }
}

/// Σₖ ∂y/∂xₖ·dxₖ for one element. Directions that are 0 hide slopes that are NaN, so that plain products would be computed again often.
#[inline(always)]
fn slope_along<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: [T; N], dx: [T; N], y: T) -> T {
    function.tangent(lanes::<T, N, FMA, false>(x), X(Lane(y)), unrolled(Lane(T::ZERO), |k| Lane(dx[k]))).0
}

#[derive(Clone, Copy)]
struct TangentOf<F>(F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, N, 1, 1> for TangentOf<F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], dx: [T; N], [y]: [T; 1]) -> [T; 1] {
        [slope_along::<T, F, N, FMA>(&self.0, x, dx, y)]
    }
}

/// The forward derivative Σₖ ∂y/∂xₖ·dxₖ, of the shape of `y`; no entry stands for zeros.
pub(crate) fn tangent<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    dx: [Option<&Tensor<T>>; N],
) -> Result<Tensor<T>, Error> {
    let zero = Tensor::scalar(T::ZERO);
    let dx = dx.map(|dx| dx.unwrap_or(&zero));
    if let (Some((x, rank)), Some(y), Some((dx, _))) = (all_ones(x), y.as_one(), all_ones(dx)) {
        return Ok(Tensor::one(rank, tangent_of_one(function, x, y, dx)));
    }
    let element = TangentOf(*function);
    tangent_by(
        x,
        y,
        dx,
        &Rule {
            steps: &|group, out| dispatch(Straight::new(&element, group, out)),
            is_whole: false,
            one: &|x, dx, [y]| [complete(OneTangent { function, x, y, dx })],
        },
    )
}

fn tangent_of_one<T: Real, F: Function<N>, const N: usize>(function: &F, x: [T; N], y: T, dx: [T; N]) -> T {
    let dy = dispatch(OneTangent { function, x, y, dx });
    if dy.is_nan() { complete(OneTangent { function, x, y, dx }) } else { dy }
}

/// Computes the forward derivative of a function of `N` operands, part by part.
fn tangent_by<T: Real, const N: usize>(
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    dx: [&Tensor<T>; N],
    rule: &Rule<'_, T, N, N, 1, 1>,
) -> Result<Tensor<T>, Error> {
    let shape = y.shape();
    let mut dy = overwritten(shape.len())?;
    if is_small(shape, x.into_iter().chain(dx)) {
        let group = Group { x: x.map(Tensor::as_slice), dx: dx.map(Tensor::as_slice), rest: [y.as_slice()] };
        group.compute(rule, &mut [&mut dy[..]]);
        return Ok(Tensor::made(shape, dy));
    }
    in_parts(&mut dy, &|start, dy| {
        let mut sources = Sources { x: sources(x, shape)?, dx: sources(dx, shape)?, rest: [Source::new(y, shape)?] };
        fill(&mut sources, rule, start, dy);
        Ok(())
    })?;
    Ok(Tensor::made(shape, dy))
}
