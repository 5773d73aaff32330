//! Pointwise kernels: a function of N operands and its gradients, each in one pass over memory, with broadcasting undone on the fly.

use std::array::from_fn;

use super::{
    Buffer,
    dispatch::{Kernel, dispatch},
    overwritten,
    reduce::Sums,
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

    #[inline(always)]
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
        self.function.value(lanes::<T, N, FMA>(|k| self.x[k])).0.0
    }
}

struct Map<'a, T: Real, F, const N: usize> {
    function: &'a F,
    x: [Source<'a, T>; N],
    y: &'a mut [T],
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Map<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for (i, y) in self.y.chunks_mut(BLOCK).enumerate() {
            let n = y.len();
            let x = self.x.each_mut().map(|x| x.block(i * BLOCK, n));
            for (i, y) in y.iter_mut().enumerate() {
                *y = self.function.value(lanes::<T, N, FMA>(|k| x[k][i])).0.0;
            }
        }
    }
}

/// y = f(x₀, …), element by element.
#[inline]
pub(crate) fn map<T: Real, F: Function<N>, const N: usize>(function: &F, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
    if let Some((x, rank)) = all_ones(x) {
        return Ok(Tensor::one(rank, dispatch(One { function, x })));
    }
    map_arrays(function, x)
}

fn map_arrays<T: Real, F: Function<N>, const N: usize>(function: &F, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
    let shape = common_shape(x.into_iter())?;
    let mut y = overwritten(shape.len())?;
    dispatch(Map { function, x: sources(x, &shape)?, y: &mut y });
    Ok(Tensor::of(shape, y))
}

/// Which slopes of a function are numbers that stand in its rule.
#[inline]
pub(crate) fn structure<F: Function<N>, const N: usize>(function: &F) -> [Option<f64>; N] {
    let one = X(Lane::<f64, false>(1.0));
    function.slopes([one; N], one, [true; N]).map(|slope| match slope {
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
        gradient::<T, F, N, FMA>(self.function, |k| self.x[k], self.y, self.g)
    }
}

/// The operands of one element.
#[inline(always)]
fn lanes<T: Real, const N: usize, const FMA: bool>(x: impl Fn(usize) -> T) -> [X<Lane<T, FMA>>; N] {
    unrolled(X(Lane(T::ZERO)), |k| X(Lane(x(k))))
}

/// g·∂y/∂xₖ for one element.
#[inline(always)]
fn gradient<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: impl Fn(usize) -> T, y: T, g: T) -> [T; N] {
    let (y, g) = (Lane::<T, FMA>(y), Lane::<T, FMA>(g));
    let slopes = function.slopes(lanes(x), X(y), [true; N]);
    unrolled(T::ZERO, |k| slopes[k].times(Slope::Of(g)).or_lit(g).0)
}

/// Where the gradient of one operand goes.
enum Target<T: Real> {
    Nowhere,
    Straight(Buffer<T>, Shape),
    Summed(Sums),
}

struct Gradients<'a, T: Real, F, const N: usize> {
    function: &'a F,
    x: [Source<'a, T>; N],
    y: Source<'a, T>,
    g: Source<'a, T>,
    len: usize,
    targets: [Target<T>; N],
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Gradients<'_, T, F, N> {
    type Output = [Target<T>; N];
    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> [Target<T>; N] {
        // Local arrays overlap with nothing, which lets the loop vectorise without checks.
        let mut results = [[T::ZERO; BLOCK]; N];
        let mut start = 0;
        while start < self.len {
            let n = BLOCK.min(self.len - start);
            let x = self.x.each_mut().map(|x| x.block(start, n));
            let (y, g) = (self.y.block(start, n), self.g.block(start, n));
            for i in 0..n {
                let d = gradient::<T, F, N, FMA>(self.function, |k| x[k][i], y[i], g[i]);
                for k in 0..N {
                    results[k][i] = d[k];
                }
            }
            for (target, result) in self.targets.iter_mut().zip(&results) {
                match target {
                    Target::Nowhere => {}
                    Target::Straight(to, _) => to[start..start + n].copy_from_slice(&result[..n]),
                    Target::Summed(sums) => sums.add(start, &result[..n]),
                }
            }
            start += n;
        }
        self.targets
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
        let d = dispatch(OneGradient { function, x: values, y, g });
        return Ok(from_fn(|k| needs[k].then(|| Tensor::one(x[k].rank(), d[k]))));
    }
    gradients_of_arrays(function, x, y, g, needs)
}

fn gradients_of_arrays<T: Real, F: Function<N>, const N: usize>(
    function: &F,
    x: [&Tensor<T>; N],
    y: &Tensor<T>,
    g: &Tensor<T>,
    needs: [bool; N],
) -> Result<[Option<Tensor<T>>; N], Error> {
    let shape = *y.shape();
    let mut targets = [const { Target::Nowhere }; N];
    for k in (0..N).filter(|&k| needs[k]) {
        targets[k] = if x[k].shape().len() == shape.len() {
            Target::Straight(overwritten(shape.len())?, *x[k].shape())
        } else {
            Target::Summed(Sums::new(&shape, x[k].shape())?)
        };
    }
    let x = sources(x, &shape)?;
    let kernel = Gradients { function, x, y: Source::new(y, &shape)?, g: Source::new(g, &shape)?, len: shape.len(), targets };
    Ok(dispatch(kernel).map(|target| match target {
        Target::Nowhere => None,
        Target::Straight(elements, shape) => Some(Tensor::of(shape, elements)),
        Target::Summed(sums) => Some(sums.finish(1.0)),
    }))
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
        self.function.tangent(lanes::<T, N, FMA>(|k| self.x[k]), X(Lane(self.y)), unrolled(Lane(T::ZERO), |k| Lane(self.dx[k]))).0
    }
}

struct Tangent<'a, T: Real, F, const N: usize> {
    function: &'a F,
    x: [Source<'a, T>; N],
    y: Source<'a, T>,
    dx: [Source<'a, T>; N],
    dy: &'a mut [T],
}

impl<T: Real, F: Function<N>, const N: usize> Kernel for Tangent<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        for (i, dy) in self.dy.chunks_mut(BLOCK).enumerate() {
            let n = dy.len();
            let x = self.x.each_mut().map(|x| x.block(i * BLOCK, n));
            let dx = self.dx.each_mut().map(|dx| dx.block(i * BLOCK, n));
            let y = self.y.block(i * BLOCK, n);
            for (i, dy) in dy.iter_mut().enumerate() {
                let moving = unrolled(Lane(T::ZERO), |k| Lane(dx[k][i]));
                *dy = self.function.tangent(lanes::<T, N, FMA>(|k| x[k][i]), X(Lane(y[i])), moving).0;
            }
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
    let shape = *y.shape();
    let mut dy = overwritten(shape.len())?;
    dispatch(Tangent { function, x: sources(x, &shape)?, y: Source::new(y, &shape)?, dx: sources(dx, &shape)?, dy: &mut dy });
    Ok(Tensor::of(shape, dy))
}
