//! The first number that should not be there: NaN, infinite, or too large, and where it comes from.

use std::{fmt, panic::Location, sync::Arc};

use crate::{
    backward::Gradients,
    error::{Error, ErrorKind},
    graph::{Graph, Kind, Tape, segment::Restored},
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// Which numbers are let pass.
///
/// ```
/// use autograd::{Graph, Guard};
/// let g = Graph::<f64>::checked_for(Guard::above(1e3));
/// let y = g.variable(8.0).square().square();
/// let message = y.value().unwrap_err().to_string();
/// assert!(message.starts_with("square([]): the value is 4096, which is larger than 1000; operand 64\n  at "), "{message}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    /// The largest size that passes.
    limit: f64,
}

impl Guard {
    /// All but NaN.
    pub const NAN: Guard = Guard { limit: f64::INFINITY };
    /// All but NaN and ±∞.
    pub const NON_FINITE: Guard = Guard { limit: f64::MAX };

    /// All whose size is at most `limit`; neither NaN nor ±∞.
    #[must_use]
    pub const fn above(limit: f64) -> Guard {
        Guard { limit }
    }

    /// The first element that does not pass.
    pub(crate) fn offence<T: Real>(self, y: &Tensor<T>) -> Option<usize> {
        self.offence_in(y.as_slice())
    }

    pub(crate) fn offence_in<T: Real>(self, y: &[T]) -> Option<usize> {
        // Without an early end the loop is quick; that there is an offence is rare.
        let passes = |v: &T| v.to_f64().abs() <= self.limit;
        if y.iter().fold(true, |all, v| all & passes(v)) { None } else { y.iter().position(|v| !passes(v)) }
    }
}

/// Where a number that should not be there was computed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// In the value of the operation.
    Value,
    /// In the gradient that the rule of the operation gave one of its inputs.
    Gradient {
        /// Which input, from 0.
        input: usize,
        /// The incoming gradients: one, or for an operation with several outputs one for each that has one.
        incoming: Vec<Operand>,
    },
    /// In the tangent of a result of the operation, in forward mode.
    Tangent,
    /// In the gradient of the result of the operation: each part is right, and their sum is too large.
    Sum,
}

/// An operand of the operation that computed the number.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// The name that was given to it.
    pub name: Option<Arc<str>>,
    /// Its shape.
    pub shape: Shape,
    /// Its element at the place of the number, for operations that work element by element.
    pub element: Option<f64>,
    /// Its smallest and its largest element, NaN left out; NaN if there is none.
    pub range: (f64, f64),
}

/// The first number that should not be there, and what it was computed from.
///
/// Its text form is a message for people.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFinite {
    /// In the value of an operation, or in a gradient.
    pub stage: Stage,
    /// The operation; for a leaf `"variable"` or `"constant"`.
    pub op: &'static str,
    /// The number: NaN, infinite, or larger than allowed.
    pub number: f64,
    /// The largest size that is allowed; infinite if only NaN is not.
    pub limit: f64,
    /// Its position.
    pub element: Vec<usize>,
    /// The shape of the tensor that it is an element of.
    pub shape: Shape,
    /// What the operation was applied to.
    pub operands: Vec<Operand>,
    /// The line of source of the operation.
    pub location: &'static Location<'static>,
}

/// The place of an element counted in row-major order.
pub(crate) fn position(shape: &Shape, element: usize) -> Vec<usize> {
    shape.iter().zip(shape.strides()).map(|(n, stride)| element / stride % n.max(&1)).collect()
}

/// The element of a tensor that stretches to a place of a larger shape.
fn stretched<T: Real>(x: &Tensor<T>, place: &[usize]) -> Option<f64> {
    let skipped = place.len().checked_sub(x.rank())?;
    let own: Vec<usize> = place[skipped..].iter().zip(x.shape().iter()).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
    x.get(&own).map(Real::to_f64)
}

impl Operand {
    fn new<T: Real>(x: &Tensor<T>, name: Option<Arc<str>>, place: Option<&[usize]>) -> Operand {
        let range = x.as_slice().iter().fold((f64::NAN, f64::NAN), |(low, high), v| (low.min(v.to_f64()), high.max(v.to_f64())));
        Operand { name, shape: *x.shape(), element: place.and_then(|place| stretched(x, place)), range }
    }
}

impl NonFinite {
    /// Element `element` of the value of an operation.
    pub(crate) fn of_value<T: Real>(
        tape: &Tape<T>,
        element: usize,
        guard: Guard,
        (op, is_pointwise): (&'static str, bool),
        inputs: &[u32],
        y: &Tensor<T>,
        location: &'static Location<'static>,
    ) -> NonFinite {
        let place = position(y.shape(), element);
        let at = is_pointwise.then_some(&place[..]);
        NonFinite {
            stage: Stage::Value,
            op,
            number: y.as_slice()[element].to_f64(),
            limit: guard.limit,
            shape: *y.shape(),
            operands: tape.operands(inputs, at),
            location,
            element: place,
        }
    }

    /// Element `element` of the tangent of the value of an operation.
    pub(crate) fn of_tangent<T: Real>(tape: &Tape<T>, id: u32, element: usize, guard: Guard, tangent: &Tensor<T>) -> NonFinite {
        let (primary, _) = tape.primary(id);
        let (op, location) = (tape.described(primary), tape.node(id).at);
        NonFinite { stage: Stage::Tangent, ..NonFinite::of_value(tape, element, guard, op, tape.inputs(primary), tangent, location) }
    }

    /// Element `element` of the gradient `d` of input `k` of a node, whose incoming gradient was `g`; or of `g` itself.
    pub(crate) fn of_gradient<T: Real>(tape: &Tape<T>, id: u32, guard: Guard, found: Offence, g: &[Tensor<T>]) -> NonFinite {
        let Offence { input, element, number, shape } = found;
        let (primary, _) = tape.primary(id);
        let (op, is_pointwise) = tape.described(primary);
        let place = position(&shape, element);
        // The element of an operand that was stretched belongs to many of the result.
        let at = (is_pointwise && g.iter().all(|g| shape == *g.shape())).then_some(&place[..]);
        let stage = match input {
            Some(input) => Stage::Gradient { input, incoming: g.iter().map(|g| Operand::new(g, None, at)).collect() },
            None => Stage::Sum,
        };
        let operands = tape.operands(tape.inputs(primary), at);
        NonFinite { stage, op, number, limit: guard.limit, shape, operands, location: tape.node(id).at, element: place }
    }
}

/// What a guard found in a gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offence {
    /// The input whose gradient it is; nothing for the incoming gradient itself.
    pub(crate) input: Option<usize>,
    pub(crate) element: usize,
    pub(crate) number: f64,
    pub(crate) shape: Shape,
}

impl<T: Real> Tape<T> {
    fn operands(&self, inputs: &[u32], place: Option<&[usize]>) -> Vec<Operand> {
        let tensors = inputs.iter().filter_map(|&x| Some((x, self.node(x).value.tensor().ok()?)));
        tensors.map(|(x, tensor)| Operand::new(tensor, self.name(x).cloned(), place)).collect()
    }

    /// What a node is, and whether it works element by element.
    pub(crate) fn described(&self, id: u32) -> (&'static str, bool) {
        match &self.node(id).kind {
            Kind::Op(handle) => (handle.name(), handle.derivation().is_some()),
            Kind::Output(k) => self.described(id - k),
            Kind::Variable => ("variable", false),
            Kind::Constant => ("constant", false),
            Kind::Detached => ("detach", true),
            Kind::Scoped => ("scope", false),
        }
    }
}

fn number(v: f64) -> String {
    if v.is_nan() {
        "NaN".into()
    } else if v == 0.0 || v.is_infinite() || (1e-4..1e7).contains(&v.abs()) {
        v.to_string()
    } else {
        let short = format!("{v:e}");
        if short.len() <= 12 { short } else { format!("{v:.7e}") }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} = ")?;
        }
        match self.element {
            Some(element) => f.write_str(&number(element)),
            None if self.range.0.is_nan() => write!(f, "{} without a number", self.shape),
            None => write!(f, "{} from {} to {}", self.shape, number(self.range.0), number(self.range.1)),
        }
    }
}

/// The message of the error, with the operation and its line.
impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.operands.iter().map(|operand| operand.shape.to_string()).collect();
        write!(f, "{}({}): {}\n  at {}", self.op, shapes.join(", "), Found(self), self.location)
    }
}

/// What was found, without the operation and its line.
pub(crate) struct Found<'a>(pub(crate) &'a NonFinite);

impl std::ops::Deref for Found<'_> {
    type Target = NonFinite;
    fn deref(&self) -> &NonFinite {
        self.0
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shape.rank() > 0 {
            write!(f, "element {:?} of ", self.element)?;
        }
        match &self.stage {
            Stage::Value => write!(f, "the value is {}", number(self.number))?,
            Stage::Gradient { input, .. } => write!(f, "the gradient that the rule gives input {input} is {}", number(self.number))?,
            Stage::Tangent => write!(f, "the tangent is {}", number(self.number))?,
            Stage::Sum => write!(f, "the gradient of the result, the sum of what all its uses give, is {}", number(self.number))?,
        }
        if self.number.is_finite() {
            write!(f, ", which is larger than {}", number(self.limit))?;
        }
        if let Stage::Gradient { incoming, .. } = &self.stage {
            let incoming: Vec<_> = incoming.iter().map(ToString::to_string).collect();
            write!(f, "; incoming gradient {}", incoming.join(", "))?;
        }
        if !self.operands.is_empty() {
            let operands: Vec<_> = self.operands.iter().map(ToString::to_string).collect();
            write!(f, "; {} {}", if operands.len() == 1 { "operand" } else { "operands" }, operands.join(", "))?;
        }
        Ok(())
    }
}

impl<T: Real> Graph<T> {
    /// A graph on which an operation whose value is NaN or infinite is an error, at once and by name; so is a rule that gives such a
    /// gradient, and a leaf or a tangent. It is for debugging: every value is looked at, and a mask of −∞ is an error too.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::checked();
    /// let p = g.variable(tensor![0.5, 0.0]).named("p");
    /// let loss = (p * p.ln()).sum();
    /// let message = loss.backward().unwrap_err().to_string();
    /// assert!(message.starts_with("ln([2]): element [1] of the value is -inf; operand p = 0\n  at "), "{message}");
    /// ```
    #[doc(alias = "detect_anomaly")]
    #[must_use]
    pub fn checked() -> Self {
        Graph::checked_for(Guard::NON_FINITE)
    }

    /// As [`Graph::checked`], with a choice of what is let pass.
    #[must_use]
    pub fn checked_for(guard: Guard) -> Self {
        let graph = Graph::new();
        graph.tape.borrow_mut().guard = Some(guard);
        graph
    }

    /// The first value on the graph that is NaN or infinite, and what it was computed from.
    ///
    /// ```
    /// use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (x, y) = (g.variable(tensor![1.0, 0.0]).named("x"), g.variable(tensor![0.0, 0.0]));
    /// let z = ((x / y) * 2.0).tanh();
    /// let found = g.find_nonfinite().unwrap();
    /// assert_eq!((found.op, found.number, &found.element[..]), ("div", f64::INFINITY, &[0][..]));
    /// assert!(found.to_string().starts_with("div([2], [2]): element [0] of the value is inf; operands x = 1, 0\n  at "));
    /// ```
    #[must_use]
    pub fn find_nonfinite(&self) -> Option<NonFinite> {
        self.find_beyond(Guard::NON_FINITE)
    }

    /// The first value on the graph that a guard does not let pass.
    ///
    /// ```
    /// use autograd::{Graph, Guard};
    /// let g = Graph::<f64>::new();
    /// let _ = g.variable(3.0) * 1e5 * 1e5;
    /// assert_eq!(g.find_beyond(Guard::above(1e8)).map(|found| found.number), Some(3e10));
    /// ```
    #[must_use]
    pub fn find_beyond(&self, guard: Guard) -> Option<NonFinite> {
        let mut tape = self.tape.borrow_mut();
        let mut restored = Restored::default();
        let found = (0..tape.len()).find_map(|id| {
            restored.need(&mut tape, id);
            let node = tape.node(id);
            let y = node.value.tensor().ok()?;
            let element = guard.offence(y)?;
            let (primary, _) = tape.primary(id);
            Some(NonFinite::of_value(&tape, element, guard, tape.described(id), tape.inputs(primary), y, node.at))
        });
        restored.finish(&mut tape);
        found
    }
}

impl<T: Real> Var<'_, T> {
    /// The first number that is NaN or infinite: among the values on the graph, or else among the gradients on the way back from this
    /// scalar, in the order in which they are computed.
    ///
    /// # Errors
    /// What [`backward`](Var::backward) refuses.
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(0.0).named("x");
    /// let y = x.sqrt() * 1.0; // the value is fine, the slope is not
    /// let found = y.find_nonfinite()?.unwrap();
    /// let message = found.to_string();
    /// assert!(message.starts_with("sqrt([]): the gradient that the rule gives input 0 is inf; incoming gradient 1; operand x = 0\n  at "));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn find_nonfinite(self) -> Result<Option<NonFinite>, Error> {
        self.find_beyond(Guard::NON_FINITE)
    }

    /// As [`Var::find_nonfinite`], for what a guard does not let pass.
    ///
    /// # Errors
    /// What [`backward`](Var::backward) refuses.
    ///
    /// ```
    /// use autograd::{Graph, Guard};
    /// let g = Graph::<f64>::new();
    /// let y = (g.variable(1e-5) * 1e4) * 1e4;
    /// let found = y.find_beyond(Guard::above(1e6))?.map(|found| found.number);
    /// assert_eq!(found, Some(1e8)); // no value is so large, but a gradient is
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn find_beyond(self, guard: Guard) -> Result<Option<NonFinite>, Error> {
        let graph = self.graph();
        if let Some(found) = graph.find_beyond(guard) {
            return Ok(Some(found));
        }
        match T::backward(graph, &[self.into()], Some(guard), Location::caller(), &mut Gradients::empty(graph)) {
            Ok(()) => Ok(None),
            Err(error) => match error.kind() {
                ErrorKind::NonFinite(found) => Ok(Some((**found).clone())),
                _ => Err(error),
            },
        }
    }
}
