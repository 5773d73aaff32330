//! Pointwise operations: every row of the table of derivatives, and every fused function, as an operation.

use std::panic::Location;

use super::{Algebra, Entry, Erased, Handle, MAX_ONES, Mistake, Op, Sink, each, erased::parameterless, sample};
use crate::{
    elementary::{Derivation, Elementary, Function, Operand, Side, derivation, sides, table},
    error::Error,
    real::Real,
    tensor::{Tensor, kernel::pointwise as kernel},
    var::Var,
};

/// A function of `N` numbers, applied element by element to tensors that broadcast.
#[derive(Debug, Clone, Copy)]
pub struct Pointwise<F>(pub F);

impl<F: Function<N>, const N: usize> Op<N> for Pointwise<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn forward<T: Real>(&self, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error> {
        kernel::map(&self.0, x)
    }

    fn vjp<T: Real, A: Algebra<T>>(&self, x: [&A; N], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        A::chain(&self.0, x, y, g, out);
    }

    fn jvp<T: Real, A: Algebra<T>>(&self, x: [&A; N], y: &A, dx: [Option<&A>; N]) -> Option<A> {
        Some(A::tangent(&self.0, x, y, dx))
    }

    fn jvp_each<T: Real>(&self, x: [&Tensor<T>; N], y: &Tensor<T>, dx: [Option<&Tensor<T>>; N]) -> Option<Tensor<T>> {
        each::tangents(&self.0, x, y, dx)
    }

    fn derivation(&self) -> Option<Derivation> {
        Some(derivation(&self.0))
    }

    fn is_pointwise(&self) -> bool {
        true
    }

    fn takes_stretched(&self) -> bool {
        true
    }

    #[inline]
    fn forward_one<T: Real>(&self, x: [T; N]) -> Option<T> {
        Some(kernel::one(&self.0, x))
    }

    #[inline]
    fn vjp_one<T: Real>(&self, x: [T; N], y: T, g: T, d: &mut [T; MAX_ONES]) -> Option<u8> {
        if N > MAX_ONES {
            return None;
        }
        let (gradients, structure) = (kernel::gradients_of_one(&self.0, x, y, g), kernel::structure(&self.0));
        let mut adds = 0;
        for k in 0..N {
            d[k] = gradients[k];
            adds |= u8::from(structure[k] != Some(0.0)) << k;
        }
        Some(adds)
    }

    fn sides(&self, x: [&Tensor<f64>; N], see: &mut dyn FnMut(Side)) {
        let Ok(shape) = kernel::common_shape(x.into_iter()) else { return };
        // Kinks stand in the text of the function: what has none at one element has none anywhere.
        let first = x.map(|x| x.as_slice().first().copied().unwrap_or_default());
        if sides(&self.0, first).is_empty() {
            return;
        }
        let stretched: Vec<_> = x.iter().filter_map(|x| x.broadcast_as(&shape).ok()).collect();
        for i in 0..shape.len() {
            sides(&self.0, std::array::from_fn(|k| stretched[k].as_slice()[i])).into_iter().for_each(&mut *see);
        }
    }
}

/// Applies a function to variables, element by element: one pass forward, one pass backward.
///
/// This is what [`fused!`](crate::fused) calls.
#[track_caller]
pub fn fuse<T: Real, F: Function<N>, const N: usize>(function: F, x: [Var<'_, T>; N]) -> Var<'_, T> {
    x[0].graph().call(Handle::new(Pointwise(function)), &x)
}

/// A formula of up to eight operands as a [`Function`]: what [`fused!`](crate::fused) applies to variables, for use in rules.
///
/// ```
/// use autograd::{elementary::derivation, function};
/// let f = function!(|x, a| x * (a * x).sigmoid());
/// assert_eq!(derivation(&f).value, "x·sigmoid(a·x)");
/// ```
#[macro_export]
macro_rules! function {
    (|$($x:ident),+ $(,)?| $formula:expr) => { $crate::function!(|$($x),+;| $formula) };
    (|$($x:ident),+; $($c:ident),* $(,)?| $formula:expr) => {{
        const _: () = assert!([$(stringify!($x)),+].len() <= 8, "a fused formula takes at most eight operands");
        #[derive(Debug, Clone, Copy)]
        struct Fused {
            $($c: f64,)*
        }
        impl $crate::elementary::Function<{ [$(stringify!($x)),+].len() }> for Fused {
            const NAME: &'static str = "fused";
            const OPERANDS: [&'static str; { [$(stringify!($x)),+].len() }] = [$(stringify!($x)),+];
            #[inline(always)]
            fn value<S: $crate::elementary::Elementary>(
                &self,
                [$($x),+]: [$crate::elementary::X<S>; { [$(stringify!($x)),+].len() }],
            ) -> $crate::elementary::X<S> {
                $(let $c = self.$c;)*
                $formula
            }
        }
        Fused { $($c: f64::from($c),)* }
    }};
}

/// A formula in one pass over memory, forward and backward.
///
/// `fused!(|x, a, b; k| formula)` is a closure of as many variables as there are operands, each of a shape that broadcasts with the
/// others. Numbers captured from outside are listed after a semicolon: local variables, not fields; a `const` need not be listed. (A number
/// that is not listed is the error "can't capture dynamic environment".) In place of `if` stands `select`, as in
/// `x.gt(0.0).select(x, a * x)`. The formula may use all functions of the
/// [table](crate::elementary), and literals on either side of an operator. It needs no derivative from its author, has derivatives of
/// every order, and agrees with the plain formula at the edges of domains, in NaN and ∞ too. (One case is left: where slopes that cancel
/// meet an infinite one, the fused form adds them before they are multiplied and gives 0, and the plain one NaN.)
///
/// ```
/// use autograd::{Graph, fused};
/// let g = Graph::<f64>::new();
/// let (x, a) = (g.variable(0.5), g.variable(2.0));
/// let k = 3.0;
/// let y = fused!(|x, a; k| (a * x + 1.0).sigmoid() * x.tanh() * k)(x, a);
/// let plain = (a * x + 1.0).sigmoid() * x.tanh() * k;
/// assert!((y.item()? - plain.item()?).abs() < 1e-15);
/// let (fused, plain) = (y.backward()?, plain.backward()?);
/// assert!((fused.wrt(x)?.item()? - plain.wrt(x)?.item()?).abs() < 1e-15);
/// # Ok::<(), autograd::Error>(())
/// ```
#[macro_export]
macro_rules! fused {
    (|$($x:ident),+ $(; $($c:ident),+)? $(,)?| $formula:expr) => {{
        let function = $crate::function!(|$($x),+; $($($c),+)?| $formula);
        move |$($x),+| $crate::op::pointwise::fuse(function, [$($x),+])
    }};
}

impl<T: Real> Operand<Self> for Var<'_, T> {
    fn beside(self, _other: Self) -> Self {
        self
    }
}

impl<'g, T: Real> Operand<Var<'g, T>> for f64 {
    #[track_caller]
    fn beside(self, other: Var<'g, T>) -> Var<'g, T> {
        other.lit(self)
    }
}

macro_rules! operations {
    ($( $(#[doc = $doc:literal])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        /// Makes the operations. None of these functions is generic or inlined, so that all kernels are compiled here and only here.
        mod make {
            use super::{Erased, Handle, Pointwise, parameterless, table};
            $( operations!(@make $Name $name ($($($p: $t),+)?)); )*
        }

        /// The functions of the table of derivatives, for rules: each method does what the one of [`Var`] of that name does.
        #[allow(clippy::should_implement_trait)]
        pub trait Methods<T: Real>: super::Apply<T> {
            $(
                $(#[doc = $doc])*
                #[must_use]
                #[track_caller]
                fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Self {
                    Self::call(make::$name($($($p),+)?).into(), &[self $(, $x)*])
                }
            )*
        }
        impl<T: Real, A: super::Apply<T>> Methods<T> for A {}

        impl<T: Real> Elementary for Var<'_, T> {
            #[track_caller]
            fn lit(self, c: f64) -> Self {
                self.graph().leaf(Tensor::scalar(T::of(c)), false, Location::caller())
            }
            $(
                #[track_caller]
                fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    self.graph().applied(make::$name($($($p),+)?), &[self $(, $x)*])
                }
            )*
        }

        #[allow(clippy::should_implement_trait)]
        impl<T: Real> Var<'_, T> {
            $( operations!(@method $kind $(#[doc = $doc])* $name($x0 $(, $x)* $(; $($p: $t = $sample),+)?) [$($on),+]); )*
        }

        #[allow(clippy::should_implement_trait)]
        impl<T: Real> Tensor<T> {
            $(
                $(#[doc = $doc])*
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = "When the shapes do not broadcast, or memory ends."]
                #[track_caller]
                pub fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Result<Self, Error> {
                    Handle::from(make::$name($($($p),+)?)).call(&[self $(, $x)*])
                }
            )*
        }

        /// This family's part of the catalogue.
        pub(crate) const ENTRIES: &[Entry] = &[ $( Entry {
            name: stringify!($name),
            signature: operations!(@signature $kind $name($x0 $(, $x)* $(; $($p: $t),+)?)),
            doc: &[$($doc),*],
            samples: operations!(@samples $name ($x0 $(, $x)*) ($($($sample),+)?) $($on),+),
            errors: operations!(@errors $name ($x0 $(, $x)*) ($($($sample),+)?)),
            handle: Some(|| make::$name($($($sample),+)?).into()),
        } ),* ];
    };
    (@make $Name:ident $name:ident ()) => {
        #[inline(never)]
        pub(super) fn $name() -> &'static dyn Erased {
            parameterless(Pointwise(table::$Name {}))
        }
    };
    (@make $Name:ident $name:ident ($($p:ident: $t:ty),+)) => {
        #[inline(never)]
        pub(super) fn $name($($p: $t),+) -> Handle {
            Handle::new(Pointwise(table::$Name { $($p),+ }))
        }
    };
    (@method op $($rest:tt)*) => {};
    (@method fun $(#[doc = $doc:literal])* $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) [$($on:expr),+]) => {
        $(#[doc = $doc])*
        #[doc = ""]
        #[doc = "Element by element, with broadcasting; operands beside the first may be literals. For example, with its derivative:"]
        #[doc = "```"]
        #[doc = "# use autograd::{Error, Graph};"]
        #[doc = "let g = Graph::<f64>::new();"]
        #[doc = concat!("# let [", stringify!($x0 $(, $x)*), "] = [", stringify!($($on),+), "].map(|(low, high): (f64, f64)| g.variable(0.3 * low + 0.7 * high));")]
        #[doc = concat!("let y = ", stringify!($x0), ".", stringify!($name), "(", stringify!($($x),*), operations!(@comma ($($x)*) ($($($p)+)?)), stringify!($($($sample),+)?), ");")]
        #[doc = concat!("let [slope] = g.grad(y, [", operations!(@last $x0 $($x)*), "]);")]
        #[doc = "assert!(y.item()?.is_finite() && slope.item()?.is_finite());"]
        #[doc = "# Ok::<(), Error>(())"]
        #[doc = "```"]
        #[must_use]
        #[track_caller]
        pub fn $name(self $(, $x: impl Operand<Self>)* $($(, $p: $t)+)?) -> Self {
            Elementary::$name(self $(, $x.beside(self))* $($(, $p)+)?)
        }
    };
    (@comma () ($($p:ident)*)) => { "" };
    (@comma ($($x:ident)+) ()) => { "" };
    (@comma ($($x:ident)+) ($($p:ident)+)) => { ", " };
    (@last $x:ident) => { stringify!($x) };
    (@last $x:ident $($rest:ident)+) => { operations!(@last $($rest)+) };
    (@signature $kind:ident $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?)) => {
        concat!(
            stringify!($x0), ".", stringify!($name), "(", stringify!($($x),*),
            operations!(@comma ($($x)*) ($($($p)+)?)), stringify!($($($p: $t),+)?), ")"
        )
    };
    (@samples $name:ident ($a:ident) ($($p:expr),*) $on:expr) => { &[
        sample!([([], $on)], |x| x[0].$name($($p),*)),
        sample!([([2, 3], $on)], |x| x[0].$name($($p),*)),
        sample!([([2, 1, 2, 2], $on)], |x| x[0].$name($($p),*)),
        sample!([([2, 0], $on)], |x| x[0].$name($($p),*)),
    ] };
    (@samples $name:ident ($a:ident, $b:ident) ($($p:expr),*) $on:expr, $with:expr) => { &[
        sample!([([], $on), ([], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([2, 3], $on), ([2, 3], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([2, 3], $on), ([3], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([2, 1], $on), ([1, 3], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([], $on), ([2, 2], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([2, 1, 2, 2], $on), ([3, 1, 2], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        sample!([([2, 0], $on), ([1], $with)], |x| x[0].$name(x[1] $(, $p)*)),
        // Of a mask, numbers drawn at random are never 0.
        sample!([([3], $on), ([3], $with)], |x| x[0].$name(x[1].relu() $(, $p)*)),
        sample!([([2, 1], $on), ([1, 3], $with)], |x| x[0].$name(x[1].relu() $(, $p)*)),
    ] };
    (@samples $name:ident ($a:ident, $b:ident, $c:ident) ($($p:expr),*) $on:expr, $with:expr, $and:expr) => { &[
        sample!([([], $on), ([], $with), ([], $and)], |x| x[0].$name(x[1], x[2] $(, $p)*)),
        sample!([([2, 3], $on), ([2, 3], $with), ([2, 3], $and)], |x| x[0].$name(x[1], x[2] $(, $p)*)),
        sample!([([2, 1], $on), ([3], $with), ([], $and)], |x| x[0].$name(x[1], x[2] $(, $p)*)),
        sample!([([2, 1, 2, 2], $on), ([2], $with), ([1], $and)], |x| x[0].$name(x[1], x[2] $(, $p)*)),
        sample!([([2, 0], $on), ([1], $with), ([2, 1], $and)], |x| x[0].$name(x[1], x[2] $(, $p)*)),
        // Of a condition, numbers drawn at random are never 0.
        sample!([([3], $on), ([3], $with), ([3], $and)], |x| x[0].relu().$name(x[1].relu(), x[2] $(, $p)*)),
        sample!([([2, 1], $on), ([3], $with), ([], $and)], |x| x[0].relu().$name(x[1].relu(), x[2] $(, $p)*)),
    ] };
    (@errors $name:ident ($a:ident) ($($p:expr),*)) => { &[] };
    (@errors $name:ident ($a:ident, $b:ident) ($($p:expr),*)) => { &[
        Mistake { sample: sample!([([2, 3], (0.5, 0.9)), ([2], (0.5, 0.9))], |x| x[0].$name(x[1] $(, $p)*)), message: "do not broadcast" },
    ] };
    (@errors $name:ident ($a:ident, $b:ident, $c:ident) ($($p:expr),*)) => { &[
        Mistake {
            sample: sample!([([3], (0.5, 0.9)), ([3], (0.5, 0.9)), ([2], (0.5, 0.9))], |x| x[0].$name(x[1], x[2] $(, $p)*)),
            message: "do not broadcast",
        },
    ] };
}
table!(operations);
