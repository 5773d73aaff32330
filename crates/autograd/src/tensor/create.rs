//! Making tensors: from numbers, by a rule, at random.

use std::panic::Location;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

use super::{Tensor, kernel::allocate};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::{MAX_RANK, Shape},
};

/// Says of an error which constructor failed, and the line that called it.
#[track_caller]
fn blame(constructor: &'static str) -> impl Fn(Error) -> Error + Copy {
    let at = Location::caller();
    move |error| error.in_op(constructor, Vec::new).at(at)
}

impl<T: Real> Tensor<T> {
    /// A tensor of the given elements in row-major order.
    ///
    /// ```
    /// use autograd::{Tensor, tensor};
    /// assert_eq!(Tensor::new(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?, tensor![[1.0, 2.0], [3.0, 4.0]]);
    /// assert!(Tensor::new(vec![1.0, 2.0, 3.0], [2, 2]).is_err());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Length`] when there are not as many elements as the shape holds; those of [`Shape::new`].
    #[track_caller]
    pub fn new(elements: impl Into<Vec<T>>, shape: impl AsRef<[usize]>) -> Result<Self, Error> {
        let blame = blame("Tensor::new");
        let (elements, shape) = (elements.into(), Shape::new(shape.as_ref()).map_err(blame)?);
        if elements.len() != shape.len() {
            return Err(blame(ErrorKind::Length { shape, found: elements.len() }.into()));
        }
        Ok(Tensor::of(shape, elements))
    }

    /// A tensor of rank 0.
    #[inline]
    #[must_use]
    pub fn scalar(value: T) -> Self {
        Tensor::one(0, value)
    }

    /// A tensor of equal elements.
    ///
    /// # Errors
    /// Those of [`Shape::new`], and [`ErrorKind::OutOfMemory`].
    #[track_caller]
    pub fn full(value: T, shape: impl AsRef<[usize]>) -> Result<Self, Error> {
        let blame = blame("Tensor::full");
        Tensor::filled(value, Shape::new(shape.as_ref()).map_err(blame)?).map_err(blame)
    }

    pub(crate) fn filled(value: T, shape: Shape) -> Result<Self, Error> {
        if shape.len() == 1 {
            return Ok(Tensor::one(shape.rank(), value));
        }
        let mut elements = allocate(shape.len())?;
        if value.to_f64().to_bits() != 0 {
            elements.fill(value);
        }
        Ok(Tensor::of(shape, elements))
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    #[track_caller]
    pub fn zeros(shape: impl AsRef<[usize]>) -> Result<Self, Error> {
        Tensor::full(T::ZERO, shape)
    }

    /// A tensor of ones.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    #[track_caller]
    pub fn ones(shape: impl AsRef<[usize]>) -> Result<Self, Error> {
        Tensor::full(T::ONE, shape)
    }

    /// The identity matrix of `n` rows.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn eye(n: usize) -> Result<Self, Error> {
        let shape = Shape::new(&[n, n])?;
        let mut elements = allocate(shape.len())?;
        elements.iter_mut().step_by(n + 1).for_each(|e| *e = T::ONE);
        Ok(Tensor::of(shape, elements))
    }

    /// The numbers 0, 1, …, n − 1.
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn arange(n: usize) -> Result<Self, Error> {
        let shape = Shape::new(&[n])?;
        let mut elements = allocate(n)?;
        elements.iter_mut().enumerate().for_each(|(i, e)| *e = T::of(i as f64));
        Ok(Tensor::of(shape, elements))
    }

    /// `n` numbers at equal distances, the first `start`, the last `end`.
    ///
    /// ```
    /// use autograd::{Tensor, tensor};
    /// assert_eq!(Tensor::linspace(0.0, 1.0, 5)?, tensor![0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn linspace(start: f64, end: f64, n: usize) -> Result<Self, Error> {
        let shape = Shape::new(&[n])?;
        let mut elements = allocate(n)?;
        let steps = n.saturating_sub(1).max(1) as f64;
        elements.iter_mut().enumerate().for_each(|(i, e)| {
            let t = i as f64 / steps;
            *e = T::of(start * (1.0 - t) + end * t);
        });
        Ok(Tensor::of(shape, elements))
    }

    /// Numbers drawn from the uniform distribution on [low, high).
    ///
    /// They are drawn in double precision, so that f32 and f64 tensors of one seed hold the same numbers up to rounding.
    ///
    /// # Errors
    /// Bounds that are no finite interval; those of [`Tensor::full`].
    #[track_caller]
    pub fn uniform(low: f64, high: f64, shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        if !(low <= high && low.is_finite() && high.is_finite()) {
            let value = format!("{low}..{high}");
            let kind = ErrorKind::Parameter { name: "bounds", value, why: "two finite numbers are needed, the lower one first" };
            return Err(blame("Tensor::uniform")(kind.into()));
        }
        // Rounding, to f32 above all, may reach the upper bound, which does not belong to the interval.
        let below = T::of(high).to_f64();
        Tensor::from_fn(shape, || {
            loop {
                let t: f64 = StandardUniform.sample(rng);
                let v = low * (1.0 - t) + high * t;
                if T::of(v).to_f64() < below || low == high || T::of(low) == T::of(high) {
                    return v;
                }
            }
        })
    }

    /// Numbers drawn from the standard normal distribution.
    ///
    /// ```
    /// use autograd::Tensor;
    /// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    /// let x = Tensor::<f64>::randn([1000], &mut ChaCha8Rng::seed_from_u64(0))?;
    /// assert!(x.mean()?.item()?.abs() < 0.1);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::full`].
    #[track_caller]
    pub fn randn(shape: impl AsRef<[usize]>, rng: &mut (impl Rng + ?Sized)) -> Result<Self, Error> {
        Tensor::from_fn(shape, || StandardNormal.sample(rng))
    }

    #[track_caller]
    fn from_fn(shape: impl AsRef<[usize]>, mut next: impl FnMut() -> f64) -> Result<Self, Error> {
        let blame = blame("random tensor");
        let shape = Shape::new(shape.as_ref()).map_err(blame)?;
        let mut elements = allocate(shape.len()).map_err(blame)?;
        for e in &mut elements {
            *e = T::of(next());
        }
        Ok(Tensor::of(shape, elements))
    }
}

/// A number, or an array of such arrays: what [`tensor!`](crate::tensor) is written with.
pub trait Nested {
    /// The numbers at the bottom.
    type Element: Real;
    /// How many arrays stand in each other.
    const RANK: usize;
    /// Writes the lengths into `dims`, outermost first.
    fn dims(dims: &mut [usize]);
    /// Adds all numbers in order.
    fn collect(self, to: &mut Vec<Self::Element>);
}
macro_rules! nested {
    ($($t:ident)*) => { $( impl Nested for $t {
        type Element = $t;
        const RANK: usize = 0;
        fn dims(_: &mut [usize]) {}
        fn collect(self, to: &mut Vec<$t>) {
            to.push(self);
        }
    } )* };
}
nested!(f32 f64);
impl<A: Nested, const N: usize> Nested for [A; N] {
    type Element = A::Element;
    const RANK: usize = A::RANK + 1;
    fn dims(dims: &mut [usize]) {
        if let Some((first, rest)) = dims.split_first_mut() {
            *first = N;
            A::dims(rest);
        }
    }
    fn collect(self, to: &mut Vec<A::Element>) {
        for inner in self {
            inner.collect(to);
        }
    }
}

impl<A: Nested, const N: usize> From<[A; N]> for Tensor<A::Element> {
    fn from(nested: [A; N]) -> Self {
        const { assert!(<[A; N]>::RANK <= MAX_RANK, "a tensor has at most eight axes") };
        let (mut dims, mut elements) = ([0; MAX_RANK], Vec::new());
        <[A; N]>::dims(&mut dims);
        nested.collect(&mut elements);
        // Numbers that are in memory can be counted; only an array without any may claim lengths that cannot.
        let shape = Shape::new(&dims[..<[A; N]>::RANK]).unwrap_or(Shape::EMPTY);
        Tensor::of(shape, elements)
    }
}

impl<T: Real> From<T> for Tensor<T> {
    fn from(value: T) -> Self {
        Tensor::scalar(value)
    }
}

impl<T: Real> From<&Tensor<T>> for Tensor<T> {
    fn from(tensor: &Tensor<T>) -> Self {
        tensor.clone()
    }
}

/// A tensor written as nested lists of numbers.
///
/// ```
/// let x = autograd::tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// assert_eq!(x.shape(), &[2, 3]);
/// let v = autograd::tensor![0.5f32, 1.5];
/// assert_eq!(v.shape(), &[2]);
/// ```
#[macro_export]
macro_rules! tensor {
    ($($inner:expr),+ $(,)?) => {
        $crate::Tensor::from([$($inner),+])
    };
}
