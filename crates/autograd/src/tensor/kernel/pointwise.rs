//! Pointwise kernels: a function of N operands and its gradients, each in one pass over memory, with broadcasting undone on the fly.

use std::array::from_fn;

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::Sums,
    threads,
    walk::Walk,
};
use crate::{
    elementary::{Function, Lane, Slope, X, unrolled},
    error::Error,
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// Operands are brought together in blocks of this many elements, which stay in the innermost cache.
const BLOCK: usize = 256;
/// What is less than a block is computed in steps of so many, the last one padded. Without optimisation there are no vectors to fill.
const STEP: usize = if cfg!(debug_assertions) { 4 } else { 16 };

/// An operand, block by block, in the order of the result.
enum Source<'a, T: Real> {
    Straight(&'a [T]),
    /// One number, repeated.
    Constant(Buffer<T>),
    Stretched {
        elements: &'a [T],
        walk: Walk,
        block: Buffer<T>,
    },
}

impl<'a, T: Real> Source<'a, T> {
    fn new(x: &'a Tensor<T>, to: &Shape) -> Result<Source<'a, T>, Error> {
        if x.shape().len() == to.len() {
            return Ok(Source::Straight(x.as_slice()));
        }
        let walk = Walk::stretch(x.shape(), to);
        let mut block = overwritten(BLOCK.min(to.len()))?;
        Ok(if walk.is_constant() {
            block.fill(x.as_slice().first().copied().unwrap_or_default());
            Source::Constant(block)
        } else {
            Source::Stretched { elements: x.as_slice(), walk, block }
        })
    }

    /// It stays out of the kernels, which would grow by it for every operand.
    #[inline(never)]
    fn block(&mut self, start: usize, n: usize) -> &[T] {
        match self {
            Source::Straight(elements) => &elements[start..start + n],
            Source::Constant(block) => &block[..n],
            Source::Stretched { elements, walk, block } => {
                walk.read(elements, start, &mut block[..n]);
                &block[..n]
            }
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

/// A block of every source; all have `n` elements.
#[inline(always)]
fn blocks<'b, T: Real, const N: usize>(sources: &'b mut [Source<'_, T>; N], start: usize, n: usize) -> [&'b [T]; N] {
    let mut blocks: [&[T]; N] = [&[]; N];
    for (block, source) in blocks.iter_mut().zip(sources) {
        *block = source.block(start, n);
    }
    blocks
}

/// What is computed for one element: `Q` numbers of three groups of others.
trait Element<T, const N: usize, const D: usize, const L: usize, const Q: usize> {
    fn at<const FMA: bool>(&self, x: [T; N], dx: [T; D], rest: [T; L]) -> [T; Q];
}

/// The operands of an element function, brought together.
struct Sources<'a, T: Real, const N: usize, const D: usize, const L: usize> {
    x: [Source<'a, T>; N],
    dx: [Source<'a, T>; D],
    rest: [Source<'a, T>; L],
}

impl<T: Real, const N: usize, const D: usize, const L: usize> Sources<'_, T, N, D, L> {
    /// Computes the elements `start .. start + n`, at most a block, into the beginnings of `out`.
    #[inline(always)]
    fn compute<E: Element<T, N, D, L, Q>, const FMA: bool, const Q: usize>(
        &mut self,
        element: &E,
        start: usize,
        n: usize,
        out: &mut [[T; BLOCK]; Q],
    ) {
        let groups = (blocks(&mut self.x, start, n), blocks(&mut self.dx, start, n), blocks(&mut self.rest, start, n));
        // Instruction sets without a fused multiply-add get by with steps: a second loop for every function would be much to compile.
        if FMA && let Some((x, dx, rest)) = arrays_of(&groups, 0) {
            return straight::<T, E, FMA, N, D, L, Q, BLOCK>(element, x, dx, rest, out);
        }
        let mut results = [[T::ZERO; STEP]; Q];
        let mut done = 0;
        while done < n {
            let left = STEP.min(n - done);
            if let Some((x, dx, rest)) = arrays_of(&groups, done) {
                straight::<T, E, FMA, N, D, L, Q, STEP>(element, x, dx, rest, &mut results);
            } else {
                let (x, dx, rest) = (padded(&groups.0, done), padded(&groups.1, done), padded(&groups.2, done));
                straight::<T, E, FMA, N, D, L, Q, STEP>(element, x.each_ref(), dx.each_ref(), rest.each_ref(), &mut results);
            }
            // Whole steps, since a block ends with one: a copy of fixed length is no call.
            for (out, result) in out.iter_mut().zip(&results) {
                if let Some(out) = out[done..].first_chunk_mut() {
                    *out = *result;
                }
            }
            done += left;
        }
    }
}

/// The loop over elements. Lengths are constants, and results arrays of their own, so that there is nothing to check at run time, neither
/// places nor overlaps, and no element is left to a loop that is not vectorised.
#[allow(clippy::needless_range_loop)] // iterators would stay calls
#[inline(always)]
fn straight<
    T: Real,
    E: Element<T, N, D, L, Q>,
    const FMA: bool,
    const N: usize,
    const D: usize,
    const L: usize,
    const Q: usize,
    const M: usize,
>(
    element: &E,
    x: [&[T; M]; N],
    dx: [&[T; M]; D],
    rest: [&[T; M]; L],
    out: &mut [[T; M]; Q],
) {
    for i in 0..M {
        let result = element.at::<FMA>(unrolled(T::ZERO, |k| x[k][i]), unrolled(T::ZERO, |k| dx[k][i]), unrolled(T::ZERO, |k| rest[k][i]));
        for q in 0..Q {
            out[q][i] = result[q];
        }
    }
    if FMA {
        let mut any = false;
        for results in &*out {
            for i in 0..M {
                any |= results[i].is_nan();
            }
        }
        if any {
            for i in 0..M {
                let result = unrolled(T::ZERO, |q| out[q][i]);
                let (x, dx, rest) = (unrolled(T::ZERO, |k| x[k][i]), unrolled(T::ZERO, |k| dx[k][i]), unrolled(T::ZERO, |k| rest[k][i]));
                let result = complete::<T, E, FMA, N, D, L, Q>(element, result, x, dx, rest);
                for q in 0..Q {
                    out[q][i] = result[q];
                }
            }
        }
    }
}

/// The results for one element, computed again without FMA if one is NaN: functions that need a branch leave out what lies behind it when they
/// are part of a loop of vectors (see `elementary/numeric.rs`).
#[allow(clippy::needless_range_loop)]
#[inline(always)]
fn complete<T: Real, E: Element<T, N, D, L, Q>, const FMA: bool, const N: usize, const D: usize, const L: usize, const Q: usize>(
    element: &E,
    result: [T; Q],
    x: [T; N],
    dx: [T; D],
    rest: [T; L],
) -> [T; Q] {
    let mut any = false;
    for q in 0..Q {
        any |= result[q].is_nan();
    }
    if FMA && any { again(element, x, dx, rest) } else { result }
}

#[cold]
#[inline(never)]
fn again<T: Real, E: Element<T, N, D, L, Q>, const N: usize, const D: usize, const L: usize, const Q: usize>(
    element: &E,
    x: [T; N],
    dx: [T; D],
    rest: [T; L],
) -> [T; Q] {
    element.at::<false>(x, dx, rest)
}

type Slices<'b, T, const N: usize, const D: usize, const L: usize> = ([&'b [T]; N], [&'b [T]; D], [&'b [T]; L]);
type Arrays<'b, T, const N: usize, const D: usize, const L: usize, const M: usize> = ([&'b [T; M]; N], [&'b [T; M]; D], [&'b [T; M]; L]);

/// The elements `at .. at + M` of all slices, if there are so many.
#[inline(always)]
fn arrays_of<'b, T: Real, const N: usize, const D: usize, const L: usize, const M: usize>(
    (x, dx, rest): &Slices<'b, T, N, D, L>,
    at: usize,
) -> Option<Arrays<'b, T, N, D, L, M>> {
    let first = x.first()?.get(at..)?.first_chunk()?;
    Some((arrays(x, at, first)?, arrays(dx, at, first)?, arrays(rest, at, first)?))
}

#[inline(always)]
fn arrays<'b, T, const N: usize, const M: usize>(slices: &[&'b [T]; N], at: usize, filling: &'b [T; M]) -> Option<[&'b [T; M]; N]> {
    let mut arrays = [filling; N];
    for (array, slice) in arrays.iter_mut().zip(slices) {
        *array = slice.get(at..)?.first_chunk()?;
    }
    Some(arrays)
}

/// The elements from `at` on, fewer than a step, and others after them.
#[inline(never)]
fn padded<T: Real, const N: usize>(slices: &[&[T]; N], at: usize) -> [[T; STEP]; N] {
    let mut all = [[T::ONE; STEP]; N];
    for (array, slice) in all.iter_mut().zip(slices) {
        for (to, from) in array.iter_mut().zip(&slice[at..]) {
            *to = *from;
        }
    }
    all
}

/// The shape all operands stretch to.
pub(crate) fn common_shape<'a, T: Real>(mut x: impl Iterator<Item = &'a Tensor<T>>) -> Result<Shape, Error> {
    x.try_fold(Shape::SCALAR, |shape, t| shape.broadcast(t.shape()))
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
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let element = ValueOf(self.function);
        complete::<T, _, FMA, N, 0, 0, 1>(&element, element.at::<FMA>(self.x, [], []), self.x, [], [])[0]
    }
}

struct Map<'a, 's, T: Real, F, const N: usize> {
    function: &'a F,
    sources: &'a mut Sources<'s, T, N, 0, 0>,
    /// The place of the first element of `y`.
    start: usize,
    y: &'a mut [T],
}

struct ValueOf<'a, F>(&'a F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, 0, 0, 1> for ValueOf<'_, F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], _: [T; 0], _: [T; 0]) -> [T; 1] {
        [self.0.value(lanes::<T, N, FMA>(x)).0.0]
    }
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Map<'_, '_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut out = [[T::ZERO; BLOCK]];
        for (start, y) in (self.start..).step_by(BLOCK).zip(self.y.chunks_mut(BLOCK)) {
            self.sources.compute::<_, FMA, 1>(&ValueOf(self.function), start, y.len(), &mut out);
            y.copy_from_slice(&out[0][..y.len()]);
        }
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
    dispatch(One { function, x })
}

/// What fills a part of an array, given the place of its first element.
type Fill<'f, T> = dyn Fn(usize, &mut [T]) -> Result<(), Error> + Sync + 'f;

/// What computes a part of a result from its operands, through a pointer: all around it is compiled once, and not for every function.
type Pass<'f, T, const N: usize, const D: usize, const L: usize> = dyn Fn(&mut Sources<'_, T, N, D, L>, usize, &mut [T]) + Sync + 'f;

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
    map_by(x, &|sources, start, y| dispatch(Map { function, sources, start, y }))
}

/// Runs the kernel of a function of `N` operands on all parts of its result.
fn map_by<T: Real, const N: usize>(x: [&Tensor<T>; N], kernel: &Pass<'_, T, N, 0, 0>) -> Result<Tensor<T>, Error> {
    let shape = common_shape(x.into_iter())?;
    let mut y = overwritten(shape.len())?;
    in_parts(&mut y, &|start, y| {
        kernel(&mut Sources { x: sources(x, &shape)?, dx: [], rest: [] }, start, y);
        Ok(())
    })?;
    Ok(Tensor::of(shape, y))
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
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [T; N] {
        let (element, rest) = (GradientOf(self.function), [self.y, self.g]);
        complete::<T, _, FMA, N, 0, 2, N>(&element, element.at::<FMA>(self.x, [], rest), self.x, [], rest)
    }
}

/// The operands of one element.
#[inline(always)]
fn lanes<T: Real, const N: usize, const FMA: bool>(x: [T; N]) -> [X<Lane<T, FMA>>; N] {
    unrolled(X(Lane(T::ZERO)), |k| X(Lane(x[k])))
}

/// g·∂y/∂xₖ for one element.
#[inline(always)]
fn gradient<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: [T; N], y: T, g: T) -> [T; N] {
    let (y, g) = (Lane::<T, FMA>(y), Lane::<T, FMA>(g));
    let slopes = function.slopes(lanes(x), X(y), [true; N]);
    unrolled(T::ZERO, |k| slopes[k].times(Slope::Of(g)).or_lit(g).0)
}

/// Where a part of the gradient of one operand goes.
#[allow(clippy::large_enum_variant)] // there are few of them, and only on the stack
enum Target<'a, T: Real> {
    Nowhere,
    /// The elements of this part.
    Straight(&'a mut [T]),
    Summed(Sums),
}

/// One part of the gradients of a function, and where they go.
struct Part<'a, 't, T: Real, const N: usize> {
    /// The operands; then the value and the incoming gradient.
    sources: Sources<'a, T, N, 0, 2>,
    start: usize,
    len: usize,
    targets: [Target<'t, T>; N],
}

struct Gradients<'a, 's, 't, T: Real, F, const N: usize> {
    function: &'a F,
    part: &'a mut Part<'s, 't, T, N>,
}

struct GradientOf<'a, F>(&'a F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, 0, 2, N> for GradientOf<'_, F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], _: [T; 0], [y, g]: [T; 2]) -> [T; N] {
        gradient::<T, F, N, FMA>(self.0, x, y, g)
    }
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Gradients<'_, '_, '_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Gradients { function, part } = self;
        let mut results = [[T::ZERO; BLOCK]; N];
        for done in (0..part.len).step_by(BLOCK) {
            let n = BLOCK.min(part.len - done);
            part.sources.compute::<_, FMA, N>(&GradientOf(function), part.start + done, n, &mut results);
            part.put(done, n, &results);
        }
    }
}

impl<T: Real, const N: usize> Part<'_, '_, T, N> {
    /// Puts the gradients of `n` elements, `done` of this part precede, where they go.
    #[inline(never)]
    fn put(&mut self, done: usize, n: usize, results: &[[T; BLOCK]; N]) {
        for (target, result) in self.targets.iter_mut().zip(results) {
            match target {
                Target::Nowhere => {}
                Target::Straight(to) => to[done..done + n].copy_from_slice(&result[..n]),
                Target::Summed(sums) => dispatch(Summing { sums, start: self.start + done, run: &result[..n] }),
            }
        }
    }
}

struct Summing<'a, T> {
    sums: &'a mut Sums,
    start: usize,
    run: &'a [T],
}

impl<T: Real> Kernel for Summing<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.sums.add(self.start, self.run);
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
    dispatch(OneGradient { function, x, y, g })
}

fn gradients_of_arrays<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
) -> Result<[Option<Tensor<T>>; N], Error> {
    gradients_by(x, y, g, needs, &|part| dispatch(Gradients { function, part }))
}

/// Runs the kernel of the gradients of a function of `N` operands on all parts.
fn gradients_by<T: Real, const N: usize>(
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
    kernel: &(dyn Fn(&mut Part<'_, '_, T, N>) + Sync),
) -> Result<[Option<Tensor<T>>; N], Error> {
    let shape = *y.shape();
    let is_summed: [bool; N] = from_fn(|k| needs[k] && x[k].len() != shape.len());
    let mut straight: [Option<Buffer<T>>; N] = [const { None }; N];
    for k in (0..N).filter(|&k| needs[k] && !is_summed[k]) {
        straight[k] = Some(overwritten(shape.len())?);
    }
    let run = |start: usize, len: usize, targets| {
        let sources = Sources { x: sources(x, &shape)?, dx: [], rest: [Source::new(y, &shape)?, Source::new(g, &shape)?] };
        let mut part = Part { sources, start, len, targets };
        kernel(&mut part);
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
                targets[k] = Target::Summed(Sums::new(&shape, x[k].shape())?);
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
        if let Target::Summed(part) = target {
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
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let (element, rest) = (TangentOf(self.function), [self.y]);
        complete::<T, _, FMA, N, N, 1, 1>(&element, element.at::<FMA>(self.x, self.dx, rest), self.x, self.dx, rest)[0]
    }
}

/// Σₖ ∂y/∂xₖ·dxₖ for one element.
#[inline(always)]
fn slope_along<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: [T; N], dx: [T; N], y: T) -> T {
    function.tangent(lanes::<T, N, FMA>(x), X(Lane(y)), unrolled(Lane(T::ZERO), |k| Lane(dx[k]))).0
}

struct Tangent<'a, 's, T: Real, F, const N: usize> {
    function: &'a F,
    /// The operands, their directions, and the value.
    sources: &'a mut Sources<'s, T, N, N, 1>,
    /// The place of the first element of `dy`.
    start: usize,
    dy: &'a mut [T],
}

struct TangentOf<'a, F>(&'a F);

impl<T: Real, F: Function<N>, const N: usize> Element<T, N, N, 1, 1> for TangentOf<'_, F> {
    #[inline(always)]
    fn at<const FMA: bool>(&self, x: [T; N], dx: [T; N], [y]: [T; 1]) -> [T; 1] {
        [slope_along::<T, F, N, FMA>(self.0, x, dx, y)]
    }
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Tangent<'_, '_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut out = [[T::ZERO; BLOCK]];
        for (start, dy) in (self.start..).step_by(BLOCK).zip(self.dy.chunks_mut(BLOCK)) {
            self.sources.compute::<_, FMA, 1>(&TangentOf(self.function), start, dy.len(), &mut out);
            dy.copy_from_slice(&out[0][..dy.len()]);
        }
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
        return Ok(Tensor::one(rank, dispatch(OneTangent { function, x, y, dx })));
    }
    tangent_by(x, y, dx, &|sources, start, dy| dispatch(Tangent { function, sources, start, dy }))
}

/// Runs the kernel of the forward derivative of a function of `N` operands on all parts of its result.
fn tangent_by<T: Real, const N: usize>(
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    dx: [&Tensor<T>; N],
    kernel: &Pass<'_, T, N, N, 1>,
) -> Result<Tensor<T>, Error> {
    let shape = *y.shape();
    let mut dy = overwritten(shape.len())?;
    in_parts(&mut dy, &|start, dy| {
        kernel(&mut Sources { x: sources(x, &shape)?, dx: sources(dx, &shape)?, rest: [Source::new(y, &shape)?] }, start, dy);
        Ok(())
    })?;
    Ok(Tensor::of(shape, dy))
}
