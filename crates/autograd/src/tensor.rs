//! Tensors: immutable, contiguous, row-major arrays that know nothing of gradients.

mod create;
mod display;
pub(crate) mod fact;
mod pages;
pub(crate) mod pool;
pub(crate) mod kernel;

use std::{
    ops::{Add, Div, Index, Mul, Neg, Sub},
    sync::OnceLock,
};

use fact::Fact;
pub(crate) use kernel::matmul::Gemm;
pub use kernel::threads::in_pool;
use pages::Pages;
use pool::{Buffer, Shared};

use crate::{
    error::{Error, ErrorKind},
    real::Real,
    shape::Shape,
};

/// An immutable array of numbers with a [`Shape`].
///
/// Cloning shares the elements; nothing ever changes them. A tensor of one element is kept inline, so that graphs of scalars do not
/// allocate. All operations of the graph are available on tensors too, under the same names; there they return a [`Result`].
/// The operators `&a + &b` and so on are for places where a failure is a bug: they panic.
///
/// ```
/// use autograd::{Tensor, tensor};
/// let x = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// assert_eq!(x.shape(), &[2, 3]);
/// assert_eq!(x.sum_axes([0], false)?, tensor![5.0, 7.0, 9.0]);
/// assert_eq!(x[[1, 2]], 6.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor<T: Real>(Repr<T>);

#[derive(Clone)]
enum Repr<T: Real> {
    /// A tensor of one element, of any rank; every tensor of one element is kept so.
    One {
        rank: u8,
        value: T,
    },
    Many(Shared<T>),
}

/// What a tensor of many elements shares with its clones.
struct Array<T: Real> {
    shape: Shape,
    data: Data<T>,
    /// What was found out about the elements. Whoever may change them, or takes them away, forgets it.
    fact: OnceLock<Box<dyn Fact>>,
}

enum Data<T: Real> {
    Own(Vec<T>),
    /// Its own as well, and many.
    Large(Pages<T>),
    /// The elements of another array, which owns them.
    Of(Shared<T>),
}

impl<T: Real> Array<T> {
    fn as_slice(&self) -> &[T] {
        match &self.data {
            Data::Own(elements) => elements,
            Data::Large(pages) => pages.as_slice(),
            // `with_shape` always points to the owner.
            Data::Of(owner) => owner.get().map_or(&[], |owner| owner.data.own()),
        }
    }
}

impl<T: Real> Data<T> {
    /// The elements, if they are its own.
    #[inline]
    fn own(&self) -> &[T] {
        match self {
            Data::Own(elements) => elements,
            Data::Large(pages) => pages.as_slice(),
            Data::Of(_) => &[],
        }
    }

    #[inline]
    fn own_mut(&mut self) -> Option<&mut [T]> {
        match self {
            Data::Own(elements) => Some(elements),
            Data::Large(pages) => Some(pages.as_mut_slice()),
            Data::Of(_) => None,
        }
    }

    /// For how many elements of its own there is room.
    #[inline]
    fn capacity(&self) -> usize {
        match self {
            Data::Own(elements) => elements.capacity(),
            Data::Large(pages) => pages.capacity(),
            Data::Of(_) => 0,
        }
    }
}

/// The shape of a tensor that is being dropped, which nobody can see.
static EMPTY: Shape = Shape::EMPTY;

impl<T: Real> Tensor<T> {
    /// A tensor of one element, of rank `rank`.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // a rank is at most eight
    pub(crate) fn one(rank: usize, value: T) -> Self {
        Tensor(Repr::One { rank: rank as u8, value })
    }

    /// A tensor of the elements of a kernel's output; there are as many as the shape has.
    #[inline]
    pub(crate) fn of(shape: Shape, elements: impl Into<Buffer<T>>) -> Self {
        Tensor::made(&shape, elements.into())
    }

    /// The same, behind a reference: shapes are long, and each move is a copy.
    pub(crate) fn made(shape: &Shape, elements: Buffer<T>) -> Self {
        debug_assert_eq!(shape.len(), elements.len());
        match elements[..] {
            [value] => Tensor::one(shape.rank(), value),
            _ => Tensor(Repr::Many(elements.shared(shape))),
        }
    }

    /// The value, if there is one element.
    #[inline]
    pub(crate) fn as_one(&self) -> Option<T> {
        match self.0 {
            Repr::One { value, .. } => Some(value),
            Repr::Many(_) => None,
        }
    }

    /// The value and the rank, if there is one element.
    #[inline]
    pub(crate) fn as_one_of_rank(&self) -> Option<(T, usize)> {
        match self.0 {
            Repr::One { value, rank } => Some((value, rank.into())),
            Repr::Many(_) => None,
        }
    }

    /// The value where it stands, if there is one element.
    #[inline]
    pub(crate) fn one_ref(&self) -> Option<&T> {
        match &self.0 {
            Repr::One { value, .. } => Some(value),
            Repr::Many(_) => None,
        }
    }

    /// The value, to be changed, if there is one element.
    #[inline]
    pub(crate) fn one_mut(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Repr::One { value, .. } => Some(value),
            Repr::Many(_) => None,
        }
    }

    /// The lengths of the axes.
    #[inline]
    #[must_use]
    pub fn shape(&self) -> &Shape {
        match &self.0 {
            Repr::One { rank, .. } => Shape::ones(*rank),
            Repr::Many(array) => array.get().map_or(&EMPTY, |array| &array.shape),
        }
    }

    /// Whether both have the same shape; quicker than to compare the shapes of single elements.
    #[inline]
    pub(crate) fn is_shaped_like(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::One { rank: a, .. }, Repr::One { rank: b, .. }) => a == b,
            (Repr::Many(_), Repr::Many(_)) => self.shape() == other.shape(),
            _ => false,
        }
    }

    /// The number of axes.
    #[inline]
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().len()
    }

    /// Whether there is no element at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in row-major order.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match &self.0 {
            Repr::One { value, .. } => std::slice::from_ref(value),
            Repr::Many(array) => array.get().map_or(&[], Array::as_slice),
        }
    }

    /// Whether no element is infinite or NaN.
    ///
    /// ```
    /// use autograd::tensor;
    /// assert!(tensor![1.0, -2.0].is_finite() && !tensor![1.0, f64::NAN].is_finite());
    /// ```
    #[must_use]
    pub fn is_finite(&self) -> bool {
        T::all_finite(self.as_slice())
    }

    /// A copy of the elements in row-major order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.as_slice().to_vec()
    }

    /// The only element.
    ///
    /// # Errors
    /// [`ErrorKind::NotScalar`] unless there is exactly one.
    #[track_caller]
    pub fn item(&self) -> Result<T, Error> {
        let at = std::panic::Location::caller();
        self.as_one().ok_or_else(|| {
            let kind = ErrorKind::NotScalar { shape: *self.shape(), hint: "sum it, or take one element" };
            Error::from(kind).in_op("item", || vec![*self.shape()]).at(at)
        })
    }

    /// The element at a position, if it is inside the shape.
    #[must_use]
    pub fn get(&self, position: &[usize]) -> Option<T> {
        let shape = self.shape();
        let inside = position.len() == shape.rank() && position.iter().zip(shape.iter()).all(|(i, n)| i < n);
        let strides = shape.strides();
        inside.then(|| self.as_slice()[position.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()])
    }

    /// The same numbers in another element type.
    ///
    /// ```
    /// let x = autograd::tensor![0.1, 0.2];
    /// assert_eq!(x.cast::<f32>().as_slice(), [0.1f32, 0.2]);
    /// ```
    #[must_use]
    pub fn cast<U: Real>(&self) -> Tensor<U> {
        if let Some(same) = (self as &dyn std::any::Any).downcast_ref::<Tensor<U>>() {
            return same.clone();
        }
        Tensor::of(*self.shape(), self.as_slice().iter().map(|v| U::of(v.to_f64())).collect::<Buffer<U>>())
    }

    /// Entry `i` along the first axis, which there is.
    pub(crate) fn entry(&self, i: usize) -> Self {
        let shape = self.shape().without(std::array::from_fn(|axis| axis == 0), false);
        Tensor::of(shape, self.as_slice()[i * shape.len()..][..shape.len()].iter().copied().collect::<Buffer<T>>())
    }

    /// The same elements read with another shape of the same element count; nothing is copied.
    pub(crate) fn with_shape(&self, shape: Shape) -> Self {
        debug_assert_eq!(shape.len(), self.len());
        match &self.0 {
            Repr::One { value, .. } => Tensor::one(shape.rank(), *value),
            Repr::Many(_) if *self.shape() == shape => self.clone(),
            Repr::Many(array) => {
                let owner = match array.get().map(|array| &array.data) {
                    Some(Data::Of(owner)) => owner,
                    _ => array,
                };
                Tensor(Repr::Many(Shared::of(&shape, owner.clone())))
            }
        }
    }

    /// The elements, to be changed, if nobody else can see them.
    pub(crate) fn unique_mut(&mut self) -> Option<&mut [T]> {
        match &mut self.0 {
            Repr::One { value, .. } => Some(std::slice::from_mut(value)),
            Repr::Many(array) => match &mut array.get_mut()?.data {
                Data::Of(owner) => owner.get_mut()?.data.own_mut(),
                own => own.own_mut(),
            },
        }
    }

    /// Whether both are the very same array, or the same bits if inline.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Many(a), Repr::Many(b)) => a.is_same(b),
            (Repr::One { rank: r, value: a }, Repr::One { rank: s, value: b }) => r == s && a.to_f64().to_bits() == b.to_f64().to_bits(),
            _ => false,
        }
    }
}

/// Equal shapes and equal elements; NaN is equal to nothing.
impl<T: Real> PartialEq for Tensor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.as_slice() == other.as_slice()
    }
}

/// # Panics
/// When the position is outside the shape; [`Tensor::get`] is the form that does not.
impl<T: Real, const R: usize> Index<[usize; R]> for Tensor<T> {
    type Output = T;
    #[track_caller]
    fn index(&self, position: [usize; R]) -> &T {
        assert!(self.get(&position).is_some(), "position {position:?} is outside a tensor of shape {}", self.shape());
        let at: usize = position.iter().zip(self.shape().strides()).map(|(i, s)| i * s).sum();
        &self.as_slice()[at]
    }
}

macro_rules! operators {
    ($($Trait:ident $name:ident $with_literal:ident)*) => { $(
        /// # Panics
        /// When the shapes do not broadcast, with the message of the method that returns a `Result`.
        impl<T: Real> $Trait for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            #[allow(clippy::panic)]
            fn $name(self, other: Self) -> Tensor<T> {
                match Tensor::$name(self, other) {
                    Ok(y) => y,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        impl<T: Real> $Trait<f64> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            #[allow(clippy::panic)]
            fn $name(self, c: f64) -> Tensor<T> {
                match self.$with_literal(c) {
                    Ok(y) => y,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    )* };
}
operators!(Add add add_lit  Sub sub sub_lit  Mul mul mul_lit  Div div div_lit);

impl<T: Real> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    #[allow(clippy::panic)]
    fn neg(self) -> Tensor<T> {
        match Tensor::neg(self) {
            Ok(y) => y,
            Err(error) => panic!("{error}"),
        }
    }
}
