//! What an operation is: a forward rule on tensors and a vector-Jacobian product, for built-in and user-written ones alike.

mod erased;
mod algebra;
mod each;
mod methods;
mod catalogue;

// One file a family, in the order in which a reader would want them.
pub mod pointwise;
pub mod reduce;
pub mod norm;
mod arg;
pub mod scan;
pub mod linear;
mod einsum;
pub mod decompose;
pub mod movement;
pub mod join;
pub mod index;
pub mod select;
pub mod window;
pub mod pool;
pub mod normalise;
pub mod standardise;
pub mod attention;
pub mod dropout;
mod custom;

use std::{borrow::Cow, fmt::Debug};

pub use algebra::{Algebra, Apply, Value};
pub(crate) use algebra::{tensors, tensors_into};
pub(crate) use catalogue::sample;
pub use catalogue::{Entry, Mistake, Sample, catalogue, families};
pub use custom::{Custom, FirstOrder};
pub use erased::{Engine, Handle};
pub(crate) use erased::{Erased, Few, Fixed, Recorded, Several, Typed};
pub(crate) use methods::methods;

pub use crate::tensor::kernel::index::{Place, Window};
use crate::{
    elementary::{Derivation, Side},
    error::Error,
    real::Real,
    shape::{AxisList, Shape},
    tensor::Tensor,
};

/// An operation with `N` inputs and one output.
///
/// The gradient rule is written once, over [`Algebra`]. On tensors it gives first-order gradients at kernel speed with nothing
/// recorded; on variables the same text records itself and can be differentiated again. Both methods are generic in the element type,
/// so that a graph recorded in f32 can be replayed in f64.
///
/// A rule may apply any operation, another one of yours and itself included, with [`Algebra::apply`]. An operation whose gradients can only be
/// computed on tensors is a [`FirstOrder`]; one with several outputs is a [`MultiOp`]; [`check::op`](crate::check::op) certifies them all.
///
/// ```
/// use autograd::{Error, Graph, Real, Tensor, op::{Algebra, Op, Sink}};
///
/// /// x·|x|, whose derivative is 2|x|.
/// #[derive(Debug)]
/// struct SignedSquare;
///
/// impl Op<1> for SignedSquare {
///     fn name(&self) -> &'static str { "signed_square" }
///     fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> { x.mul(&x.abs()?) }
///     fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
///         out.add(0, g.mul(&x.abs().mul_lit(2.0)));
///     }
/// }
///
/// let g = Graph::<f64>::new();
/// let x = g.variable(-3.0);
/// let y = g.apply(SignedSquare, [x]);
/// let [dx] = g.grad(y, [x]);
/// let [ddx] = g.grad(dx, [x]);
/// assert_eq!((y.item()?, dx.item()?, ddx.item()?), (-9.0, 6.0, -2.0));
/// # Ok::<(), autograd::Error>(())
/// ```
pub trait Op<const N: usize>: Debug + Send + Sync + 'static {
    /// The name in errors and explanations.
    fn name(&self) -> &'static str;

    /// The value, or why there is none. This is the place that rejects shapes.
    ///
    /// # Errors
    /// Whatever the operation cannot do; name, shapes and source line are added by the engine.
    fn forward<T: Real>(&self, x: [&Tensor<T>; N]) -> Result<Tensor<T>, Error>;

    /// For each input that [needs](Sink::needs) it, adds the incoming gradient `g` of the output `y`, pulled back through the operation.
    ///
    /// A gradient has the shape of its input. An input to which nothing is added has gradient 0.
    fn vjp<T: Real, A: Algebra<T>>(&self, x: [&A; N], y: &A, g: &A, out: &mut dyn Sink<T, A>);

    /// In which way the value depends on the inputs; what is linear is its own forward derivative.
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }

    /// Σₖ ∂y/∂xₖ·dxₖ, the forward derivative along `dx`, an entry `None` stands for zeros. Without a rule here, [`Op::linearity`] decides,
    /// or the reverse rule is transposed.
    fn jvp<T: Real, A: Algebra<T>>(&self, _x: [&A; N], _y: &A, _dx: [Option<&A>; N]) -> Option<A> {
        None
    }

    /// The forward derivatives along several directions at once, where that is shorter than one after the other: each of `dx` has one more axis
    /// in front, which counts the directions, and so has the result.
    #[doc(hidden)]
    fn jvp_each<T: Real>(&self, _x: [&Tensor<T>; N], _y: &Tensor<T>, _dx: [Option<&Tensor<T>>; N]) -> Option<Tensor<T>> {
        None
    }

    /// The formula and its derivatives as text, for pointwise operations.
    fn derivation(&self) -> Option<Derivation> {
        None
    }

    /// How an application of it is written, with `{0}`, `{1}`, … for the inputs, such as `{0}·{1}ᵀ`, or `{*}` for all of them; without it, as `name(inputs)`.
    fn notation(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// Gives `see` the side of every kink that is taken at `x`, in a fixed order, so that the gradient checker notices when it steps
    /// across one, and can name the kink and its distance. Operations without kinks need not say anything; a kink that is not told of is found
    /// in the values, where it is not too near.
    ///
    /// ```
    /// use autograd::{Error, Real, Tensor, check, elementary::Side, op::{Algebra, Sink, Variadic}, tensor};
    ///
    /// /// The largest of some tensors, element by element.
    /// #[derive(Debug)]
    /// struct Highest;
    ///
    /// impl Variadic for Highest {
    ///     fn name(&self) -> &'static str { "highest" }
    ///     fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error> {
    ///         x[1..].iter().try_fold(x[0].clone(), |y, x| y.max(x))
    ///     }
    ///     fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
    ///         for (k, x) in x.iter().enumerate() {
    ///             out.add(k, x.eq(y).masked_mul(g));
    ///         }
    ///     }
    ///     fn sides(&self, x: &[&Tensor<f64>], see: &mut dyn FnMut(Side)) {
    ///         let Ok(y) = self.forward(x) else { return };
    ///         for (x, y) in x.iter().flat_map(|x| x.as_slice().iter().zip(y.as_slice())) {
    ///             see(Side { function: "highest", side: x.partial_cmp(y), distance: y - x });
    ///         }
    ///     }
    /// }
    ///
    /// let (a, b) = (tensor![1.0, 2.0], tensor![1.0 + 1e-12, 5.0]);
    /// let report = check::gradients(|[a, b]| a.graph().apply_variadic(Highest, &[a, b]), [&a, &b])?;
    /// let kink = report.inputs()[0].elements()[0].kink;
    /// assert!(report.passed() && kink.is_some_and(|kink| (kink.distance - 1e-12).abs() < 1e-15), "{report}");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn sides(&self, _x: [&Tensor<f64>; N], _see: &mut dyn FnMut(Side)) {}

    /// Leaves with the inputs what both the value and the gradients need, such as the factors of a matrix. It is called before `forward`
    /// where a gradient may be asked for; nothing else may depend on it.
    #[doc(hidden)]
    fn prepare<T: Real>(&self, _x: [&Tensor<T>; N]) {}

    /// Whether each element of the value depends on one element of each input alone.
    #[doc(hidden)]
    fn is_pointwise(&self) -> bool {
        false
    }

    /// Whether `vjp` takes an incoming gradient that still has to be stretched to the shape of the value.
    #[doc(hidden)]
    fn takes_stretched(&self) -> bool {
        false
    }

    /// Adds the value to `sum`, which has its shape, where that is shorter than to add it afterwards; whether it has.
    #[doc(hidden)]
    fn forward_onto<T: Real>(&self, _x: [&Tensor<T>; N], _sum: &mut [T]) -> bool {
        false
    }

    /// The value on single numbers, where there is a shorter way to it.
    #[doc(hidden)]
    fn forward_one<T: Real>(&self, _x: [T; N]) -> Option<T> {
        None
    }

    /// The gradients on single numbers, where there is a shorter way to them, written to `d`. The bits of the result, from the lowest on,
    /// say which inputs receive anything: a zero that stands in the rule is not added.
    #[doc(hidden)]
    fn vjp_one<T: Real>(&self, _x: [T; N], _y: T, _g: T, _d: &mut [T; MAX_ONES]) -> Option<u8> {
        None
    }
}

/// Operations of at most so many inputs may have a short way for single numbers.
#[doc(hidden)]
pub const MAX_ONES: usize = 4;

/// An operation with any number of inputs, such as concatenation. See [`Op`] for the meaning of the methods.
pub trait Variadic: Debug + Send + Sync + 'static {
    /// The name in errors and explanations.
    fn name(&self) -> &'static str;

    /// The value, or why there is none.
    ///
    /// # Errors
    /// Whatever the operation cannot do.
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, Error>;

    /// Adds the incoming gradient, pulled back, for each input that needs it.
    fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], y: &A, g: &A, out: &mut dyn Sink<T, A>);

    /// In which way the value depends on the inputs.
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }

    /// As [`Op::jvp_each`].
    #[doc(hidden)]
    fn jvp_each<T: Real>(&self, _x: &[&Tensor<T>], _y: &Tensor<T>, _dx: &[Option<&Tensor<T>>]) -> Option<Tensor<T>> {
        None
    }

    /// How an application of it is written; see [`Op::notation`].
    fn notation(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// As [`Op::sides`].
    fn sides(&self, _x: &[&Tensor<f64>], _see: &mut dyn FnMut(Side)) {}
}

/// An operation with `N` inputs and `M` outputs. See [`Op`] for the meaning of the methods.
///
/// It is applied with [`Graph::apply_multi`](crate::Graph::apply_multi), which gives a variable for each output.
///
/// ```
/// use autograd::{Error, Graph, MultiOp, Real, Tensor, op::{Algebra, Sink}};
///
/// /// Cartesian coordinates as polar ones: the radius and the angle.
/// #[derive(Debug)]
/// struct Polar;
///
/// impl MultiOp<2, 2> for Polar {
///     fn name(&self) -> &'static str { "polar" }
///     fn forward<T: Real>(&self, [x, y]: [&Tensor<T>; 2]) -> Result<[Tensor<T>; 2], Error> {
///         Ok([x.hypot(y)?, y.atan2(x)?])
///     }
///     fn vjp<T: Real, A: Algebra<T>>(&self, [x, y]: [&A; 2], [r, _]: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
///         let [cos, sin] = [x.div(r), y.div(r)];
///         if let Some(dr) = g[0] {
///             out.add(0, dr.mul(&cos));
///             out.add(1, dr.mul(&sin));
///         }
///         if let Some(dangle) = g[1] {
///             out.add(0, dangle.mul(&sin.neg()).div(r));
///             out.add(1, dangle.mul(&cos).div(r));
///         }
///     }
/// }
///
/// let g = Graph::<f64>::new();
/// let (x, y) = (g.variable(3.0), g.variable(4.0));
/// let [r, angle] = g.apply_multi(Polar, [x, y]);
/// assert_eq!((r.item()?, angle.item()?), (5.0, (4f64 / 3.0).atan()));
/// let [dx, dy] = g.grad(r * angle, [x, y]);
/// assert!((dx.item()? - (0.6 * angle.item()? - 0.8)).abs() < 1e-15);
/// assert!((dy.item()? - (0.8 * angle.item()? + 0.6)).abs() < 1e-15);
/// # Ok::<(), autograd::Error>(())
/// ```
pub trait MultiOp<const N: usize, const M: usize>: Debug + Send + Sync + 'static {
    /// The name in errors and explanations.
    fn name(&self) -> &'static str;

    /// The values, or why there are none.
    ///
    /// # Errors
    /// Whatever the operation cannot do.
    fn forward<T: Real>(&self, x: [&Tensor<T>; N]) -> Result<[Tensor<T>; M], Error>;

    /// Adds the incoming gradients, pulled back, for each input that needs it. An output on which nothing depends has none.
    fn vjp<T: Real, A: Algebra<T>>(&self, x: [&A; N], y: [&A; M], g: [Option<&A>; M], out: &mut dyn Sink<T, A>);

    /// In which way the values depend on the inputs. [`Linearity::Multilinear`] counts as nonlinear here.
    fn linearity(&self) -> Linearity {
        Linearity::Nonlinear
    }

    /// How an application of it is written; see [`Op::notation`].
    fn notation(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// The forward derivatives of all outputs along `dx`. Without a rule here, [`MultiOp::linearity`] decides, or the reverse rule is
    /// transposed.
    fn jvp<T: Real, A: Algebra<T>>(&self, _x: [&A; N], _y: [&A; M], _dx: [Option<&A>; N]) -> Option<[A; M]> {
        None
    }

    /// As [`Op::sides`].
    fn sides(&self, _x: [&Tensor<f64>; N], _see: &mut dyn FnMut(Side)) {}
}

/// In which way the value of an operation depends on its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linearity {
    /// In any way.
    Nonlinear,
    /// It is linear in all inputs together, as a sum or a reshape is.
    Linear,
    /// It is linear in each input alone, as a product is.
    Multilinear,
}

/// Where a gradient rule puts its results: they are added up there, in place where possible.
pub trait Sink<T: Real, A> {
    /// Whether anybody wants the gradient of input `k`; what nobody wants need not be computed.
    fn needs(&self, k: usize) -> bool;

    /// Adds `d`, which has the shape of input `k`.
    fn add(&mut self, k: usize, d: A);

    /// Adds `d` stretched to the shape of input `k`, to which it broadcasts. It is not written out where the next rule back takes it so.
    fn add_stretched(&mut self, k: usize, d: A);

    /// Adds `d` to the elements of input `k` that stand at `place`; it costs what `d` has elements.
    fn add_at(&mut self, k: usize, place: &Place, d: A);

    /// Adds the matrix product of `a` and `b`, either transposed if so said. It has the shape of input `k`, or is summed to it over the axes
    /// of the batch along which that was stretched.
    fn add_matmul(&mut self, k: usize, a: &A, transpose_a: bool, b: &A, transpose_b: bool);
}

/// Positions of the axes in front: `axes` as they stand in `shape`.
pub(crate) fn resolve_axes(shape: &Shape, axes: &[isize]) -> Result<AxisList<usize>, Error> {
    axes.iter().map(|&axis| shape.axis(axis)).collect()
}
