//! Errors: what was wrong, in which operation, with which shapes, where in the source, and what would fit.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    guard::{Found, NonFinite},
    shape::{MAX_RANK, Shape},
};

/// Why an operation, a constructor or a gradient could not be done.
///
/// An operation on [`Var`](crate::Var) never panics and never returns one of these at once: the error stands on the tape in
/// place of the value, later operations pass the *first* one on, and whoever asks for a value or a gradient receives it.
/// Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    op: Option<&'static str>,
    shapes: Vec<Shape>,
    /// The operation inside that one which failed, if it is made of others.
    inside: Option<(&'static str, Vec<Shape>)>,
    at: Option<&'static Location<'static>>,
}

/// What was wrong. The message of each says what would have fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two shapes cannot be stretched to a common one.
    #[error("{}", broadcast_message(left, right))]
    Broadcast {
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
    },
    /// The inner lengths of a matrix product differ.
    #[error("the inner lengths of a matrix product must be equal, here {left} and {right}; shapes [.., m, k] and [.., k, n] would fit")]
    Inner {
        /// Columns of the left operand.
        left: usize,
        /// Rows of the right operand.
        right: usize,
    },
    /// A matrix has not as many rows as columns.
    #[error("square matrices are needed, not the last two axes of shape {shape}; shapes [.., n, n] would fit")]
    NotSquare {
        /// The shape given.
        shape: Shape,
    },
    /// The right-hand side of a linear system has another number of rows than the matrix.
    #[error(
        "a system of {unknowns} equations needs {unknowns} rows on its right-hand side, not {rows}; shapes [.., n, n] and [.., n, k], or [n, n] and [n], would fit"
    )]
    System {
        /// Rows of the matrix.
        unknowns: usize,
        /// Rows of the right-hand side.
        rows: usize,
    },
    /// A matrix has no inverse.
    #[error("{} is singular: pivot {pivot} is 0, counted from 0", matrix_name(matrix))]
    Singular {
        /// The position of the matrix in the batch; empty if there is one matrix.
        matrix: Vec<usize>,
        /// The first pivot that is 0.
        pivot: usize,
    },
    /// A matrix has no Cholesky factor.
    #[error("{} is not positive definite: pivot {pivot} is {value:e}, counted from 0, and must be above 0", matrix_name(matrix))]
    NotPositiveDefinite {
        /// The position of the matrix in the batch; empty if there is one matrix.
        matrix: Vec<usize>,
        /// The first pivot that is not positive.
        pivot: usize,
        /// Its value.
        value: f64,
    },
    /// A description of a sum of products does not fit its operands, or itself.
    #[error("{spec:?}: {why}")]
    Einsum {
        /// The description.
        spec: String,
        /// What is wrong with it.
        why: String,
    },
    /// A tensor has another number of axes than the operation takes.
    #[error("a tensor with {expected} is needed, not one with {found} axes")]
    Rank {
        /// What is taken, such as "at least 1 axis".
        expected: &'static str,
        /// What was given.
        found: usize,
    },
    /// There is no such axis.
    #[error("{}", axis_message(*axis, *rank))]
    Axis {
        /// The axis asked for.
        axis: isize,
        /// The number of axes there are.
        rank: usize,
    },
    /// An axis was named twice.
    #[error("axis {axis} is named twice")]
    RepeatedAxis {
        /// The axis.
        axis: isize,
    },
    /// A permutation must name every axis once.
    #[error("{axes:?} is no order of {rank} axes; each of 0..{rank} must stand in it once")]
    Permutation {
        /// The order given.
        axes: Vec<isize>,
        /// The number of axes there are.
        rank: usize,
    },
    /// A tensor cannot be read with another shape of another element count.
    #[error("{} elements cannot be given the shape {to:?}; the lengths must multiply to {}, and one may be -1", from.len(), from.len())]
    Reshape {
        /// The shape there is.
        from: Shape,
        /// The shape asked for.
        to: Vec<isize>,
    },
    /// A shape does not stretch to another one.
    #[error("shape {from} does not stretch to {to}; aligned at the last axis, every length must be equal to the target's or 1")]
    Stretch {
        /// The shape there is.
        from: Shape,
        /// The shape asked for.
        to: Shape,
    },
    /// The axis to be squeezed is longer than 1.
    #[error("axis {axis} has length {len}; only an axis of length 1 can be removed")]
    Squeeze {
        /// The axis.
        axis: isize,
        /// Its length.
        len: usize,
    },
    /// Tensors to be joined, or compared, differ in an axis in which they must agree.
    #[error("shape {found} does not match {expected}{}", except.map(|a| format!("; only axis {a} may differ")).unwrap_or_default())]
    Mismatch {
        /// What the others have.
        expected: Shape,
        /// What this one has.
        found: Shape,
        /// The axis in which they may differ.
        except: Option<usize>,
    },
    /// The data do not fill the shape.
    #[error("shape {shape} holds {} elements, but {found} were given", shape.len())]
    Length {
        /// The shape asked for.
        shape: Shape,
        /// The number of elements given.
        found: usize,
    },
    /// More axes than [`MAX_RANK`].
    #[error("{rank} axes are too many; a tensor has at most {MAX_RANK}")]
    TooManyAxes {
        /// The number of axes asked for.
        rank: usize,
    },
    /// More elements than memory can address.
    #[error("a tensor of shape {dims:?} is too large: its bytes cannot be counted in {} bits", usize::BITS)]
    TooLarge {
        /// The axis lengths asked for.
        dims: Vec<usize>,
    },
    /// The system has no memory for so many elements.
    #[error("there is no memory for {elements} elements")]
    OutOfMemory {
        /// The number of elements asked for.
        elements: usize,
    },
    /// An index is not below the length of its axis.
    #[error("index {index} is outside an axis of length {len}")]
    Index {
        /// The index.
        index: usize,
        /// The length of the axis.
        len: usize,
    },
    /// A range is not inside its axis.
    #[error("the range {start}..{end} is not inside an axis of length {len}")]
    Range {
        /// First position asked for, counted from the front.
        start: isize,
        /// The position after the last.
        end: isize,
        /// The length of the axis.
        len: usize,
    },
    /// A window is longer than its axis.
    #[error("a window of {size} positions at a distance of {dilation} does not fit into an axis of length {len}")]
    Window {
        /// Positions of a window.
        size: usize,
        /// The distance between them.
        dilation: usize,
        /// The length of the axis, with its padding.
        len: usize,
    },
    /// The parts of an axis do not make it up.
    #[error("the sizes {sizes:?} must add up to the length of the axis, {len}")]
    Split {
        /// The lengths of the parts.
        sizes: Vec<usize>,
        /// The length of the axis.
        len: usize,
    },
    /// An axis cannot be cut into equal parts.
    #[error("an axis of length {len} has no {parts} equal parts; the length must be a multiple of their number")]
    Chunk {
        /// The number of parts.
        parts: usize,
        /// The length of the axis.
        len: usize,
    },
    /// The operation has no result for no elements.
    #[error("there is nothing to take the {what} of: shape {shape} has an axis of length 0")]
    Empty {
        /// The operation in words.
        what: &'static str,
        /// The shape given.
        shape: Shape,
    },
    /// No tensors were given where at least one is needed.
    #[error("at least one tensor is needed")]
    NoInputs,
    /// A parameter has a value for which there is no result.
    #[error("{name} = {value}: {why}")]
    Parameter {
        /// The name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        why: &'static str,
    },
    /// A scalar is needed.
    #[error("one number is needed, not a tensor of shape {shape}: {hint}")]
    NotScalar {
        /// The shape given.
        shape: Shape,
        /// What can be done about it.
        hint: &'static str,
    },
    /// There is no gradient.
    #[error("there is no gradient: {why}")]
    NoGradient {
        /// The reason.
        why: String,
    },
    /// A variable of one graph was used in another one.
    #[error("a variable made at {there} belongs to another graph than one made at {here}; one formula is one graph")]
    OtherGraph {
        /// Where a variable of the graph in use was made.
        here: &'static Location<'static>,
        /// Where the stranger was made.
        there: &'static Location<'static>,
    },
    /// A parameter of a model has changed since it was bound to this graph.
    #[error("a parameter has changed since this graph first used it (at {bound}); one graph is one run of the model: start a new one")]
    Rebound {
        /// Where the parameter was first used.
        bound: &'static Location<'static>,
    },
    /// The rule of an operation gave a gradient of the wrong shape.
    #[error("the gradient rule gave input {input} a gradient of shape {found}, but the input has shape {expected}")]
    GradientShape {
        /// Which input, from 0.
        input: usize,
        /// The shape of the input.
        expected: Shape,
        /// The shape of what the rule gave.
        found: Shape,
    },
    /// The rule of an operation gave a gradient to an input that does not exist.
    #[error("the gradient rule gave a gradient to input {input}, but there are only {arity}")]
    GradientInput {
        /// Which input, from 0.
        input: usize,
        /// The number of inputs.
        arity: usize,
    },
    /// A rule gave another number of gradients than there are inputs.
    #[error("the gradient rule gave {} for {}; one for each is needed", plural(*found, "gradient", "gradients"), plural(*expected, "input", "inputs"))]
    GradientCount {
        /// The number of inputs.
        expected: usize,
        /// The number of gradients.
        found: usize,
    },
    /// An operation was given another number of inputs than it takes.
    #[error("{} taken, not {found}", plural(*expected, "input is", "inputs are"))]
    InputCount {
        /// How many it takes.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A direction has not the shape of what moves along it.
    #[error("the direction of input {input} has shape {found}; it must have the shape of that input, {expected}")]
    Direction {
        /// Which input, from 0.
        input: usize,
        /// The shape of the input.
        expected: Shape,
        /// The shape of the direction.
        found: Shape,
    },
    /// A cotangent has not the shape of the result.
    #[error("the cotangent has shape {found}; it must have the shape of the result, {expected}")]
    Cotangent {
        /// The shape of the result.
        expected: Shape,
        /// The shape of the cotangent.
        found: Shape,
    },
    /// Nothing was named of which gradients could be taken.
    #[error("at least one root is needed, of which gradients are taken")]
    NoRoots,
    /// The forward rule of an operation gave a tangent of the wrong shape.
    #[error("the forward rule gave output {output} a tangent of shape {found}, but the output has shape {expected}")]
    TangentShape {
        /// Which output, from 0.
        output: usize,
        /// The shape of the output.
        expected: Shape,
        /// The shape of what the rule gave.
        found: Shape,
    },
    /// As many directions are needed as there are variables that move.
    #[error("{} cannot move along {}; one for each is needed", plural(*variables, "variable", "variables"), plural(*directions, "direction", "directions"))]
    DirectionCount {
        /// The number of variables.
        variables: usize,
        /// The number of directions.
        directions: usize,
    },
    /// An operation with several outputs was used as if it had one.
    #[error("it has {outputs} outputs: apply_multi() gives a variable for each")]
    OutputCount {
        /// The number of outputs.
        outputs: usize,
    },
    /// An operation whose rule gives first-order gradients only was asked for more.
    #[error(
        "its rule gives first-order gradients only, computed on tensors, and there is no {wanted}; a rule written as `impl Op` over Algebra has all orders"
    )]
    FirstOrderOnly {
        /// What was asked for.
        wanted: &'static str,
    },
    /// A gradient that a hook replaced was differentiated.
    #[error("the gradient was replaced by the hook set at {hook}, and what a hook returns has no derivative")]
    HookDerivative {
        /// Where the hook was set.
        hook: &'static Location<'static>,
    },
    /// An operation made of closures was asked for another element type.
    #[error("it was given for {made_for} only, and cannot be computed in {asked}; `impl Op` is generic in the element type")]
    Precision {
        /// The element type of the closures.
        made_for: &'static str,
        /// The one asked for.
        asked: &'static str,
    },
    /// A number that should not be there: NaN, infinite, or too large.
    #[error("{}", Found(.0))]
    NonFinite(Box<NonFinite>),
    /// A variable was used after the scope that made it.
    #[error("this variable was made in the scope at {scope}, which is over; return it from the scope to use it afterwards")]
    OutOfScope {
        /// The scope.
        scope: &'static Location<'static>,
    },
    /// A value inside a checkpoint was used outside.
    #[error("its value lies inside the checkpoint at {checkpoint} and was not kept; return it from the checkpoint to use it afterwards")]
    Dropped {
        /// The checkpoint.
        checkpoint: &'static Location<'static>,
    },
    /// A graph could not be run again.
    #[error("{why}")]
    Replay {
        /// The reason.
        why: String,
    },
    /// A function said to be pointwise is not.
    #[error(
        "the Jacobian is not diagonal: the gradient of a sum with random signs differs from that of a pointwise function in element {element} of input {input} ({found:e} where {expected:e} is expected)"
    )]
    NotDiagonal {
        /// Which input, from 0.
        input: usize,
        /// Which of its elements.
        element: usize,
        /// What it would be.
        expected: f64,
        /// What it is.
        found: f64,
    },
    /// An operation or function of yours refuses its inputs; the reason is its own.
    #[error("{why}")]
    Refused {
        /// The reason.
        why: String,
    },
    /// The gradients of a check could not be compared.
    #[error("{why}")]
    Check {
        /// The reason.
        why: String,
    },
}

/// What can be done about a root that is no scalar.
pub(crate) const SCALAR_HINT: &str =
    "sum() it, times a cotangent if not all elements count alike; for all derivatives of all elements there is functional::jacobian";

fn broadcast_message(left: &Shape, right: &Shape) -> String {
    let rank = left.rank().max(right.rank());
    let clash = (0..rank).find(|&d| {
        let (a, b) = (left.nth_from_end(d), right.nth_from_end(d));
        a != b && a != 1 && b != 1
    });
    let (a, b) = clash.map_or((0, 0), |d| (left.nth_from_end(d), right.nth_from_end(d)));
    let axis = clash.map_or(-1, |d| -1 - d.cast_signed());
    format!(
        "shapes {left} and {right} do not broadcast: axis {axis} has length {a} on the left and {b} on the right; they must be equal, or one of them 1"
    )
}

/// So many of something.
pub(crate) fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn matrix_name(position: &[usize]) -> String {
    if position.is_empty() { "the matrix".into() } else { format!("matrix {position:?} of the batch") }
}

fn axis_message(axis: isize, rank: usize) -> String {
    match rank {
        0 => format!("there is no axis {axis}: a scalar has none"),
        _ => format!("there is no axis {axis}: the tensor has {rank}, 0..{rank} or -{rank}..=-1"),
    }
}

impl Error {
    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The operation that could not be done.
    #[must_use]
    pub fn op(&self) -> Option<&'static str> {
        self.0.op
    }

    /// The shapes of all its operands.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.0.shapes
    }

    /// The line of source that asked for it.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.at
    }

    /// Adds the name of an operation and the shapes of its operands, unless they are known; for functions of your own that refuse
    /// their arguments, together with [`Graph::try_var`](crate::Graph::try_var), which adds the line.
    ///
    /// ```
    /// use autograd::{Error, ErrorKind, Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(tensor![1.0, 2.0]);
    /// let y = g.try_var(|| {
    ///     let why = ErrorKind::Parameter { name: "k", value: "7".into(), why: "it must be below 3" };
    ///     Err(Error::from(why).in_op("best_of", || vec![*x.value().unwrap().shape()]))
    /// });
    /// assert!(y.value().unwrap_err().to_string().starts_with("best_of([2]): k = 7: it must be below 3"));
    /// ```
    #[must_use]
    pub fn in_op(mut self, op: &'static str, shapes: impl FnOnce() -> Vec<Shape>) -> Error {
        let inner = Arc::make_mut(&mut self.0);
        if inner.op.is_none() {
            inner.op = Some(op);
            inner.shapes = shapes();
        }
        self
    }

    /// That a number was found which should not be there, with the operation, its shapes and its line.
    pub(crate) fn non_finite(found: NonFinite) -> Error {
        let (op, at) = (found.op, found.location);
        let shapes = found.operands.iter().map(|operand| operand.shape).collect();
        Error::from(ErrorKind::NonFinite(Box::new(found))).in_op(op, || shapes).at(at)
    }

    /// Puts the blame on an operation whose forward rule met this error, perhaps in another operation that it is made of.
    #[must_use]
    pub(crate) fn met_by(mut self, op: &'static str, shapes: Vec<Shape>, at: Option<&'static Location<'static>>) -> Error {
        let inner = Arc::make_mut(&mut self.0);
        if let Some(before) = inner.op.replace(op) {
            inner.inside.get_or_insert((before, std::mem::take(&mut inner.shapes)));
        }
        inner.shapes = shapes;
        inner.at = at.or(inner.at);
        self
    }

    /// Adds the line of source, unless one is known.
    #[must_use]
    pub(crate) fn at(mut self, at: &'static Location<'static>) -> Error {
        if self.0.at.is_none() {
            Arc::make_mut(&mut self.0).at = Some(at);
        }
        self
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Arc::new(Inner { kind, op: None, shapes: Vec::new(), inside: None, at: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, op, shapes, inside, at } = &*self.0;
        let mut write_op = |op: &str, shapes: &[Shape]| {
            let shapes: Vec<_> = shapes.iter().map(ToString::to_string).collect();
            write!(f, "{op}({}): ", shapes.join(", "))
        };
        if let Some(op) = op {
            write_op(op, shapes)?;
        }
        if let Some((op, shapes)) = inside {
            write_op(&format!("in {op}"), shapes)?;
        }
        write!(f, "{kind}")?;
        if let Some(at) = at {
            write!(f, "\n  at {}:{}:{}", at.file(), at.line(), at.column())?;
        }
        Ok(())
    }
}

/// As `Display`, so that `unwrap` and `main() -> Result` print something to read.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
