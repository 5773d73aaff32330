//! Automatic differentiation over a dynamic graph of tensor operations: reverse mode, forward mode, and any mix of the two.
//!
//! # A tour
//!
//! A [`Graph`] is one run of a model. Leaves are put on it, formulas are written with [`Var`]s as in mathematics, and
//! [`backward`](Var::backward) gives the gradients by all variables:
//!
//! ```
//! use autograd::{Graph, tensor};
//!
//! let g = Graph::<f64>::new();
//! let x = g.constant(tensor![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]); // three examples
//! let w = g.variable(tensor![0.1, -0.2]);
//! let b = g.variable(0.5);
//! let target = g.constant(tensor![1.0, 0.0, 1.0]);
//!
//! let y = (x.matmul(w) + b).sigmoid();
//! let loss = (y - target).square().mean();
//!
//! let grads = loss.backward()?;
//! assert_eq!(grads.wrt(w)?.shape(), &[2]);
//! assert!(grads.wrt(target).unwrap_err().to_string().contains("it is a constant"));
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! **Errors are values on the tape.** Nothing in a formula panics or needs a `?`. A mistake is passed on to whoever asks for a result,
//! who is told the operation, all shapes, and the line of source of the mistake itself:
//!
//! ```
//! # use autograd::{Graph, tensor};
//! # let g = Graph::<f64>::new();
//! # let x = g.constant(tensor![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
//! let wrong = x.matmul(x) * 2.0;
//! let error = wrong.sum().backward().unwrap_err();
//! assert!(error.to_string().starts_with("matmul([3, 2], [3, 2]): the inner lengths of a matrix product must be equal, here 2 and 3"));
//! ```
//!
//! **Derivatives of any order**: [`Graph::grad`] records the gradient, so that it can be differentiated again.
//!
//! ```
//! # use autograd::Graph;
//! let g = Graph::<f64>::new();
//! let x = g.variable(1.0);
//! let y = x.sin();
//! let [slope] = g.grad(y, [x]);
//! let [curvature] = g.grad(slope, [x]);
//! assert_eq!(curvature.item()?, -1f64.sin());
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! **A formula in one pass**: [`fused!`] evaluates a formula without intermediate tensors, forward and backward, and needs no
//! derivative from its author.
//!
//! ```
//! # use autograd::{Graph, fused, tensor};
//! # let g = Graph::<f64>::new();
//! let (x, a) = (g.variable(tensor![0.5, -1.0, 2.0]), g.variable(1.5));
//! let y = fused!(|x, a| (a * x).sigmoid() * x.tanh())(x, a);
//! assert_eq!(y.sum().backward()?.wrt(x)?.shape(), &[3]);
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! **Functions of tensors**: [`functional`] has Jacobians, Hessians, and products with them, in reverse and in forward mode.
//!
//! ```
//! use autograd::{functional, tensor};
//! let (y, dy) = functional::jvp(|[x]| x.square(), [&tensor![1.0, 2.0]], [&tensor![1.0, 0.0]])?; // one pass
//! let [product] = functional::hvp(|[x]| x.prod(), [&tensor![2.0, 3.0]], [&tensor![1.0, 10.0]])?;
//! assert_eq!((y, dy, product), (tensor![1.0, 4.0], tensor![2.0, 0.0], tensor![10.0, 1.0]));
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! **Control**: [`Graph::checkpoint`] and [`Graph::scope`] keep less, [`Graph::replay`] runs a graph again, [`Var::on_grad`] looks at gradients and
//! replaces them, [`Graph::checked`] and [`Var::find_nonfinite`] find the first NaN.
//!
//! **Operations of your own** implement the same trait [`op::Op`] as the built-in ones, in about ten lines; the example is there.
//!
//! **See**: [`Var::trace`] shows every step of a run with its numbers, as text, as a picture, and as a page for the browser; [`lesson`] answers what
//! is usually asked about them.
//!
//! ```
//! # use autograd::Graph;
//! let g = Graph::<f64>::new();
//! let (w, x) = (g.variable(3.0).named("w"), g.constant(-2.0).named("x"));
//! let trace = (w * x).named("L").trace()?;
//! assert!(trace.to_string().contains("dw += dL·x = 1·(−2) = −2"));
//! # Ok::<(), autograd::Error>(())
//! ```
//!
//! **Trust**: [`check::gradients`] compares autodiff with finite differences and says where they differ.
//!
//! # One idea
//!
//! A rule is written once, as ordinary mathematics, and every part of the system reads that one text: the kernels, gradients of
//! gradients, fused functions, explanations, the checker. See [`elementary`] for pointwise rules and [`op`] for rules of whole arrays.
//!
//! # Conventions
//!
//! | where | rule |
//! |---|---|
//! | kinks | relu′(0) = 0, abs′(0) = 0, sign′ = 0, step′ = 0; clamp′ is 1 on the closed interval; `leaky_relu` and `elu` take the slope of the negative side at 0 |
//! | ties | `amax` and `amin` share the gradient equally among the ties; elementwise `max` and `min` give ½ each; `sort`, `topk`, `argmax` and `max_pool2d` take the first |
//! | norms | ‖0‖′ = 0, and so is the slope of `std` where all elements are equal, of `hypot` and of `atan2` at the origin |
//! | edges | √′(0) = +∞; pow(x, 0) has slope 0 in x; 0ʸ has slope 0 in y ≥ 0; a negative base with a fractional exponent is NaN |
//! | chain rule | a product of slopes is 0 if a factor is 0: a side that `select`, `relu` or `clamp` did not take gives nothing, were its slope infinite or NaN |
//! | NaN | the value of every operation on NaN is NaN, `max` and `relu` too; comparisons with it are false: 0, and 1 for `ne`; slopes at NaN follow from them |
//! | fused formulas | agree with the plain ones in value, NaN and ∞, with one exception: where slopes that cancel meet an infinite one, as in `(x·x − 2·x·a + a·a).sqrt()` at x = a, the fused form adds the slopes first and gives 0, the plain one adds last and gives NaN |
//! | nothing | the sum of no elements is 0, their product 1, `any` is 0 and `all` 1; their mean, variance and maximum are errors |
//! | softmax | of an infinite input is NaN; the logarithm of a sum of exponentials is that infinity |
//! | order of summation | fixed, in double precision and in blocks; the same bits for any number of threads |
//!
//! # Features
//!
//! `rayon` (on by default) spreads large operations, and the examples of [`functional::per_example_grad`], over threads; [`in_pool`] makes
//! that worth it for smaller ones. Results have the same bits for any number of threads.

mod shape;
mod error;
mod real;
mod indices;
pub mod elementary;
mod tensor;
pub mod op;
mod graph;
mod var;
mod path;
mod accumulate;
mod backward;
mod hook;
mod forward;
mod nested;
mod reason;
mod guard;
pub mod functional;
pub mod check;
pub mod plot;
pub mod trace;
pub mod lesson;

pub use backward::{Gradients, Root};
pub use error::{Error, ErrorKind};
pub use graph::{Graph, binding::LeafId, list::VarList, scope::Vars, spare::release_memory};
pub use guard::{Guard, NonFinite, Operand, Stage};
pub use indices::Indices;
pub use op::{
    Algebra, MultiOp, Op, Sink,
    window::{Conv, ConvTranspose, Pool},
};
pub use real::Real;
pub use shape::{Axes, MAX_RANK, Shape};
pub use tensor::{Tensor, in_pool};
pub use var::Var;
