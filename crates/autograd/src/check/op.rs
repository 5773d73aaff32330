//! One operation certified: its shapes, its gradient against finite differences, and what else a rule must be.

use std::{fmt, panic::Location};

use super::{
    Checker, Finding, Outcome, Report, Verdict,
    examine::examine,
    function::{Function, Gradient, Point, code, fraction},
    verdict::Kink,
};
use crate::{
    elementary::Derivation,
    error::{Error, ErrorKind},
    graph::Graph,
    op::{Algebra, Engine, Erased, Fixed, Handle, MultiOp, Op, Place, Several, Sink, Value},
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// How far two ways to the same number may be apart, relative to the largest term.
const SAME: f64 = 1e-12;

/// Certifies an operation at a point: that it gives the same bits twice, that its gradients have the shapes of the inputs, agree with finite
/// differences, are linear in the incoming gradient and the same when recorded, that the gradient of the gradient and forward mode are
/// right, that single precision follows double, and its formula, if it has one.
///
/// ```
/// use autograd::{Error, Real, Tensor, check, op::{Algebra, Op, Sink}, tensor};
///
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
/// let report = check::op(&SignedSquare, [&tensor![1.5, -0.5]])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point. What is wrong with its rule is in the report.
#[track_caller]
pub fn op<O: Op<N>, const N: usize>(op: &O, x: [&Tensor<f64>; N]) -> Result<OpReport, Error> {
    certify(&Fixed::<O, &O, N, true>::new(op), &x, Location::caller())
}

/// As [`op`](fn@op), for an operation with several outputs.
///
/// ```
/// use autograd::{Algebra, Error, MultiOp, Real, Sink, Tensor, check, tensor};
///
/// #[derive(Debug)]
/// struct SumAndDifference;
///
/// impl MultiOp<2, 2> for SumAndDifference {
///     fn name(&self) -> &'static str { "sum_and_difference" }
///     fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<[Tensor<T>; 2], Error> { Ok([a.add(b)?, a.sub(b)?]) }
///     fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 2], _y: [&A; 2], g: [Option<&A>; 2], out: &mut dyn Sink<T, A>) {
///         if let Some(g) = g[0] { out.add(0, g.clone()); out.add(1, g.clone()); }
///         if let Some(g) = g[1] { out.add(0, g.clone()); out.add(1, g.neg()); }
///     }
/// }
///
/// check::multi_op(&SumAndDifference, [&tensor![1.0, 2.0], &tensor![3.0, 4.0]])?.assert_ok();
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point.
#[track_caller]
pub fn multi_op<O: MultiOp<N, M>, const N: usize, const M: usize>(op: &O, x: [&Tensor<f64>; N]) -> Result<OpReport, Error> {
    certify(&Several::<O, &O, N, M>::new(op), &x, Location::caller())
}

/// As [`op`](fn@op), for any operation behind a handle: one with any number of inputs, with a first-order rule, or made of closures.
///
/// ```
/// use autograd::{Graph, check, tensor};
/// let g = Graph::<f64>::new();
/// let wrong = g.custom("cube", |[x]| x.powi(3), |[x], _y, g| Ok([g.mul(&x.square()?)?.mul_lit(2.0)?]));
/// let report = check::handle(wrong.handle(), &[&tensor![1.0, 2.0]])?;
/// assert!(!report.passed());
/// assert!(report.to_string().contains("finite differences: input 0 [2]: 0 of 2 elements ok, 2 wrong"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What the operation refuses at this point.
#[track_caller]
pub fn handle(op: &Handle, x: &[&Tensor<f64>]) -> Result<OpReport, Error> {
    certify(op.op(), x, Location::caller())
}

/// What [`op`](fn@op) found. Its text form has a line for each thing that was looked at.
#[derive(Debug, Clone)]
pub struct OpReport {
    name: &'static str,
    shapes: Vec<Shape>,
    findings: Vec<Finding>,
    derivation: Option<Derivation>,
}

impl OpReport {
    /// Whether nothing is wrong or undecided.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding.outcome, Outcome::Ok | Outcome::NotApplicable))
    }

    /// All that was looked at, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The formula and its derivatives, for pointwise operations.
    #[must_use]
    pub fn derivation(&self) -> Option<&Derivation> {
        self.derivation.as_ref()
    }

    /// For tests.
    ///
    /// # Panics
    /// With the report as message, unless it [passed](OpReport::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl fmt::Display for OpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.shapes.iter().map(ToString::to_string).collect();
        let verdict = if self.passed() { "certified" } else { "NOT certified" };
        write!(f, "{}({}): {verdict}", self.name, shapes.join(", "))?;
        for Finding { what, outcome, detail } in &self.findings {
            write!(f, "\n  {} {what}: {detail}", outcome.mark())?;
        }
        if let Some(derivation) = &self.derivation {
            write!(f, "\n{derivation}")?;
        }
        Ok(())
    }
}

/// What a rule gives, collected by plain operations.
struct Collected<A> {
    shapes: Vec<Shape>,
    sums: Vec<Option<A>>,
    /// The first gradient of a wrong shape, for no input, or that could not be computed.
    mistake: Option<Error>,
}

impl<A> Collected<A> {
    fn new(shapes: Vec<Shape>) -> Self {
        Collected { sums: shapes.iter().map(|_| None).collect(), shapes, mistake: None }
    }
}

impl<T: Real, A: Algebra<T>> Sink<T, A> for Collected<A> {
    fn needs(&self, k: usize) -> bool {
        k < self.shapes.len()
    }
    fn add(&mut self, k: usize, d: A) {
        if let Some(error) = d.failure() {
            self.mistake.get_or_insert(error);
            return;
        }
        match self.shapes.get(k) {
            None => {
                self.mistake.get_or_insert(ErrorKind::GradientInput { input: k, arity: self.shapes.len() }.into());
            }
            Some(expected) if *expected != d.shape() => {
                self.mistake.get_or_insert(ErrorKind::GradientShape { input: k, expected: *expected, found: d.shape() }.into());
            }
            Some(_) => {
                let sum = self.sums[k].take();
                self.sums[k] = Some(sum.map_or_else(|| d.clone(), |sum| sum.add(&d)));
            }
        }
    }
    fn add_stretched(&mut self, k: usize, d: A) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        self.add(k, if d.shape() == full { d } else { d.broadcast_as(&full) });
    }
    fn add_at(&mut self, k: usize, place: &Place, d: A) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        self.add(k, d.put(place.clone(), &full));
    }
    fn add_matmul(&mut self, k: usize, a: &A, transpose_a: bool, b: &A, transpose_b: bool) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        let product = a.matmul_as(b, transpose_a, transpose_b);
        self.add(k, if product.shape() == full { product } else { product.sum_to(&full) });
    }
}

type Tensors = Vec<Tensor<f64>>;
type Singles = Vec<Tensor<f32>>;

/// The operation under test.
struct Subject<'a> {
    op: &'a dyn Erased,
    at: &'static Location<'static>,
}

fn refs<T: Real>(tensors: &[Tensor<T>]) -> Vec<&Tensor<T>> {
    tensors.iter().collect()
}

impl Subject<'_> {
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>, Error> {
        let shapes = || x.iter().map(|x| *x.shape()).collect();
        let y = T::typed(self.op).forward_all(x).map_err(|error| error.met_by(self.op.name(), shapes(), Some(self.at)))?;
        Ok(y.into_vec())
    }

    /// The gradients by all inputs; zeros where the rule gives nothing.
    fn vjp<T: Real>(&self, x: &[&Tensor<T>], y: &[&Tensor<T>], c: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>, Error> {
        let values = |tensors: &[&Tensor<T>]| tensors.iter().map(|t| Value::Tensor((*t).clone())).collect::<Vec<_>>();
        let (x_values, y, c) = (values(x), values(y), values(c));
        let mut sink = Collected::new(x.iter().map(|x| *x.shape()).collect());
        T::typed(self.op).vjp(
            &x_values.iter().collect::<Vec<_>>(),
            &y.iter().collect::<Vec<_>>(),
            &c.iter().map(Some).collect::<Vec<_>>(),
            &mut sink,
        );
        if let Some(mistake) = sink.mistake {
            return Err(mistake);
        }
        sink.sums.into_iter().zip(x).map(|(sum, x)| sum.map_or_else(|| Tensor::zeros(x.shape()), Value::into_result)).collect()
    }

    /// The same, recorded: as variables of the graph of `x`.
    fn vjp_recorded<'g>(&self, x: &[Var<'g, f64>], y: &[Var<'g, f64>], c: &[Var<'g, f64>]) -> Result<Vec<Option<Var<'g, f64>>>, Error> {
        let shapes = x.iter().map(|x| Var::shape(*x)).collect::<Result<_, _>>()?;
        let mut sink = Collected::new(shapes);
        f64::typed(self.op).vjp_recorded(
            &x.iter().collect::<Vec<_>>(),
            &y.iter().collect::<Vec<_>>(),
            &c.iter().map(Some).collect::<Vec<_>>(),
            &mut sink,
        );
        sink.mistake.map_or(Ok(sink.sums), Err)
    }

    /// The gradients of Σ w·vjp(x, c) by x and by c: its own gradient, and what goes through the value.
    fn second(&self, x: &[&Tensor<f64>], c: &[&Tensor<f64>], w: &[Tensor<f64>]) -> Result<Tensors, Error> {
        let y = self.forward(x)?;
        let g = Graph::new();
        let leaf = |t: &Tensor<f64>| g.variable(t);
        let (xs, ys): (Vec<_>, Vec<_>) = (x.iter().map(|x| leaf(x)).collect(), y.iter().map(leaf).collect());
        let cs: Vec<_> = c.iter().map(|c| leaf(c)).collect();
        let parts = self.vjp_recorded(&xs, &ys, &cs)?;
        let sum = parts.iter().zip(w).filter_map(|(d, w)| Some(((*d)? * g.constant(w)).sum())).reduce(|a, b| a + b);
        let zeros = |t: &Tensor<f64>| Tensor::zeros(t.shape());
        let Some(sum) = sum else { return x.iter().chain(c).map(|t| zeros(t)).collect() };
        let slopes = sum.backward()?;
        let of = |v: &Var<'_, f64>, like: &Tensor<f64>| slopes.get(*v).cloned().map_or_else(|| zeros(like), Ok);
        let through: Tensors = ys.iter().zip(&y).map(|(v, y)| of(v, y)).collect::<Result<_, _>>()?;
        let through = self.vjp(x, &refs(&y), &refs(&through))?;
        let direct = xs.iter().zip(x).map(|(v, x)| of(v, x)).zip(&through).map(|(direct, through)| direct?.add(through));
        direct.chain(cs.iter().zip(c).map(|(v, c)| of(v, c))).collect()
    }

    fn sides(&self, x: &[&Tensor<f64>]) -> (Vec<i8>, Vec<Kink>) {
        let (mut sides, mut kinks) = (Vec::new(), Vec::new());
        self.op.sides(x, &mut |side| {
            sides.push(code(&side));
            kinks.push(Kink { function: side.function, node: 0, place: kinks.len(), distance: side.distance, at: self.at });
        });
        (sides, kinks)
    }

    /// The derivatives along a direction, in forward mode.
    fn jvp(&self, x: &[&Tensor<f64>], y: &[&Tensor<f64>], dx: &[&Tensor<f64>]) -> Result<Tensors, Error> {
        let values = |tensors: &[&Tensor<f64>]| tensors.iter().map(|t| Value::Tensor((*t).clone())).collect::<Vec<_>>();
        let (x, y_values) = (values(x), values(y));
        let dx: Vec<_> = dx.iter().map(|dx| Some(*dx)).collect();
        let dy = f64::pushed(self.op, &x.iter().collect::<Vec<_>>(), &y_values.iter().collect::<Vec<_>>(), &dx, self.at)?;
        dy.into_iter().zip(y).map(|(dy, y)| dy.map_or_else(|| Tensor::zeros(y.shape()), Ok)).collect()
    }
}

/// Weights for each tensor, unlike those of another `salt`: between ½ and 1½, and of both signs if the salt is above 0. One number has weight 1.
fn weights_like(like: &[&Tensor<f64>], salt: u64) -> Result<Tensors, Error> {
    like.iter()
        .map(|like| {
            let weight = |i: u64| {
                let plain = 0.5 + fraction(2 * i + (salt << 32));
                if salt > 0 && fraction(2 * i + 1 + (salt << 32)) < 0.5 { -plain } else { plain }
            };
            if like.len() == 1 && salt == 0 {
                return Tensor::ones(like.shape());
            }
            Tensor::new((0..like.len() as u64).map(weight).collect::<Vec<_>>(), like.shape())
        })
        .collect()
}

/// The products of two lists of tensors, element by element.
fn products(a: &[Tensor<f64>], b: &[Tensor<f64>]) -> Vec<f64> {
    a.iter().zip(b).flat_map(|(a, b)| a.as_slice().iter().zip(b.as_slice())).map(|(a, b)| a * b).collect()
}

fn sum_of_products(a: &[Tensor<f64>], b: &[Tensor<f64>]) -> f64 {
    products(a, b).iter().sum()
}

fn sum_of_sizes(a: &[&Tensor<f64>], b: &[Tensor<f64>]) -> f64 {
    let sizes = |a: &Tensor<f64>, b: &Tensor<f64>| {
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a * b).abs()).filter(|s| s.is_finite()).sum::<f64>()
    };
    a.iter().zip(b).map(|(a, b)| sizes(a, b)).sum()
}

/// The largest element of the difference of two lists of tensors, relative to the largest element of the second.
fn distance<T: Real>(a: &[Tensor<T>], b: &[Tensor<f64>]) -> f64 {
    let (mut scale, mut apart) = (0.0f64, 0.0f64);
    for (a, b) in a.iter().zip(b).flat_map(|(a, b)| a.as_slice().iter().zip(b.as_slice())) {
        let (a, b) = (a.to_f64(), *b);
        if a.is_nan() && b.is_nan() || a == b {
            continue;
        }
        scale = scale.max(b.abs());
        apart = if (a - b).is_nan() { f64::INFINITY } else { apart.max((a - b).abs()) };
    }
    if apart == 0.0 { 0.0 } else { apart / scale }
}

struct Notes(Vec<Finding>);

impl Notes {
    fn note(&mut self, what: &'static str, outcome: Outcome, detail: impl Into<String>) {
        self.0.push(Finding { what, outcome, detail: detail.into() });
    }

    fn judge(&mut self, what: &'static str, is_right: bool, detail: impl Into<String>) {
        self.note(what, if is_right { Outcome::Ok } else { Outcome::Wrong }, detail);
    }

    /// A computation whose failure is a fault of the rule.
    fn attempt<R>(&mut self, what: &'static str, result: Result<R, Error>) -> Option<R> {
        result.map_err(|error| self.note(what, Outcome::Wrong, error.to_string().replace('\n', " "))).ok()
    }

    /// The verdict of finite differences.
    fn compared(&mut self, what: &'static str, report: &Report) {
        let is_wrong = report.count(Verdict::is_fault) > 0;
        let outcome = match (report.passed(), is_wrong) {
            (true, _) => Outcome::Ok,
            (false, true) => Outcome::Wrong,
            (false, false) => Outcome::Inconclusive,
        };
        let detail = if outcome == Outcome::Ok {
            format!("deviation at most {:.1e}", report.deviation())
        } else {
            report.to_string().lines().skip(1).map(str::trim).collect::<Vec<_>>().join("; ")
        };
        self.note(what, outcome, detail);
    }
}

/// A function of tensors by two closures: its terms, and its gradient with what rounding may do to the value.
struct Ruled<'a, V, G> {
    subject: &'a Subject<'a>,
    /// How many of the inputs are those of the operation.
    inputs: usize,
    terms: V,
    gradient: G,
}

impl<V, G> Function for Ruled<'_, V, G>
where
    V: Fn(&[&Tensor<f64>]) -> Result<Vec<f64>, Error> + Sync,
    G: Fn(&[&Tensor<f64>]) -> Result<(Tensors, f64), Error> + Sync,
{
    fn value(&self, x: &[&Tensor<f64>]) -> Result<Point, Error> {
        Ok(Point { terms: (self.terms)(x)?, sides: self.subject.sides(&x[..self.inputs]).0 })
    }
    fn gradient(&self, x: &[&Tensor<f64>]) -> Result<Gradient, Error> {
        let (parts, condition) = (self.gradient)(x)?;
        let (sides, kinks) = self.subject.sides(&x[..self.inputs]);
        Ok(Gradient { parts, point: Point { terms: (self.terms)(x)?, sides }, kinks, condition })
    }
}

fn certify(op: &dyn Erased, x: &[&Tensor<f64>], at: &'static Location<'static>) -> Result<OpReport, Error> {
    let subject = Subject { op, at };
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let y = subject.forward(x)?;
    let y_refs = refs(&y);
    let mut notes = Notes(Vec::new());

    let again = subject.forward(x)?;
    let bits = |tensors: &[Tensor<f64>]| tensors.iter().flat_map(Tensor::to_vec).map(f64::to_bits).collect::<Vec<_>>();
    let shapes: Vec<_> = y.iter().map(|y| y.shape().to_string()).collect();
    notes.judge("value", bits(&y) == bits(&again), format!("{}, the same bits twice", shapes.join(", ")));

    let c = weights_like(&y_refs, 0)?;
    if let Some(gradients) = notes.attempt("gradient shapes", subject.vjp(x, &y_refs, &refs(&c))) {
        let shapes: Vec<_> = gradients.iter().map(|d| d.shape().to_string()).collect();
        notes.judge("gradient shapes", true, shapes.join(", "));
        finite(&mut notes, x, &y, &gradients);
        first_order(&mut notes, &subject, x, &c);
        linear(&mut notes, &subject, x, &y, &c, &gradients)?;
        second_order(&mut notes, &subject, x, &y, &c, &gradients)?;
        forward_mode(&mut notes, &subject, x, &y, &c, &gradients)?;
        single_precision(&mut notes, &subject, x, &y, &c, &gradients);
    }

    let derivation = op.derivation();
    match &derivation {
        Some(derivation) => notes.judge(
            "formula",
            derivation.operands.len() == x.len() && derivation.slopes.len() == x.len(),
            format!("{} operands and {} slopes", derivation.operands.len(), derivation.slopes.len()),
        ),
        None => notes.note("formula", Outcome::NotApplicable, "none is given; pointwise functions have one"),
    }
    Ok(OpReport { name: op.name(), shapes: x.iter().map(|x| *x.shape()).collect(), findings: notes.0, derivation })
}

/// NaN comes from NaN alone.
fn finite(notes: &mut Notes, x: &[&Tensor<f64>], y: &[Tensor<f64>], gradients: &[Tensor<f64>]) {
    let has_nan = |t: &Tensor<f64>| t.as_slice().iter().any(|v| v.is_nan());
    let given = x.iter().any(|x| has_nan(x)) || y.iter().any(has_nan);
    let bad: Vec<_> = (0..gradients.len()).filter(|&k| has_nan(&gradients[k])).map(|k| k.to_string()).collect();
    let detail = if bad.is_empty() { "none in the gradients".to_string() } else { format!("in the gradient of input {}", bad.join(", ")) };
    notes.judge("NaN", given || bad.is_empty(), detail);
}

fn first_order(notes: &mut Notes, subject: &Subject<'_>, x: &[&Tensor<f64>], c: &[Tensor<f64>]) {
    let terms = |x: &[&Tensor<f64>]| Ok(products(&subject.forward(x)?, c));
    let gradient = |x: &[&Tensor<f64>]| {
        let y = subject.forward(x)?;
        let gradients = subject.vjp(x, &refs(&y), &refs(c))?;
        let condition = sum_of_sizes(&refs(&y), c) + sum_of_sizes(x, &gradients);
        Ok((gradients, condition))
    };
    let function = Ruled { subject, inputs: x.len(), terms, gradient };
    if let Some(report) = notes.attempt("finite differences", examine(&function, x, &Checker::new())) {
        notes.compared("finite differences", &report);
    }
}

fn linear(
    notes: &mut Notes,
    subject: &Subject<'_>,
    x: &[&Tensor<f64>],
    y: &[Tensor<f64>],
    c: &[Tensor<f64>],
    gradients: &[Tensor<f64>],
) -> Result<(), Error> {
    let what = "linear in the incoming gradient";
    let (y, other) = (refs(y), weights_like(&refs(y), 1)?);
    let mixed: Tensors = c.iter().zip(&other).map(|(a, b)| a.mul_lit(3.0)?.sub(&b.mul_lit(0.5)?)).collect::<Result<_, Error>>()?;
    let results = subject.vjp(x, &y, &refs(&other)).and_then(|other| Ok((other, subject.vjp(x, &y, &refs(&mixed))?)));
    if let Some((other, mixed)) = notes.attempt(what, results) {
        let expected: Tensors =
            gradients.iter().zip(&other).map(|(a, b)| a.mul_lit(3.0)?.sub(&b.mul_lit(0.5)?)).collect::<Result<_, Error>>()?;
        let apart = distance(&mixed, &expected);
        notes.judge(what, apart <= SAME, format!("vjp(3a − b/2) is 3 vjp(a) − vjp(b)/2 to {apart:.1e}"));
    }
    Ok(())
}

fn second_order(
    notes: &mut Notes,
    subject: &Subject<'_>,
    x: &[&Tensor<f64>],
    y: &[Tensor<f64>],
    c: &[Tensor<f64>],
    gradients: &[Tensor<f64>],
) -> Result<(), Error> {
    let (recorded, what) = ("recorded gradient", "second order");
    if subject.op.is_first_order() {
        notes.note(what, Outcome::NotApplicable, "the rule is of first order only");
        return Ok(());
    }
    // The gradients, weighted, are a function of the inputs and of the incoming gradient; its own gradient goes through the value, too.
    let g = Graph::new();
    let leaf = |t: &Tensor<f64>| g.variable(t);
    let (xs, ys, cs): (Vec<_>, Vec<_>, Vec<_>) =
        (x.iter().map(|x| leaf(x)).collect(), y.iter().map(leaf).collect(), c.iter().map(leaf).collect());
    let Some(parts) = notes.attempt(recorded, subject.vjp_recorded(&xs, &ys, &cs)) else { return Ok(()) };
    let values: Result<Tensors, Error> = parts.iter().zip(x).map(|(d, x)| d.map_or_else(|| Tensor::zeros(x.shape()), Var::value)).collect();
    let Some(values) = notes.attempt(recorded, values) else { return Ok(()) };
    let apart = distance(&values, gradients);
    notes.judge(recorded, apart <= SAME, format!("as variables the rule gives the same to {apart:.1e}"));

    let w = weights_like(x, 2)?;
    let all: Vec<&Tensor<f64>> = x.iter().copied().chain(c).collect();
    let terms = |all: &[&Tensor<f64>]| {
        let (x, c) = all.split_at(x.len());
        let y = subject.forward(x)?;
        Ok(products(&subject.vjp(x, &refs(&y), c)?, &w))
    };
    let gradient = |all: &[&Tensor<f64>]| {
        let (x, c) = all.split_at(x.len());
        let gradients = subject.vjp(x, &refs(&subject.forward(x)?), c)?;
        let total = subject.second(x, c, &w)?;
        let condition = sum_of_sizes(&refs(&gradients), &w) + sum_of_sizes(all, &total);
        Ok((total, condition))
    };
    let function = Ruled { subject, inputs: x.len(), terms, gradient };
    if let Some(report) = notes.attempt(what, examine(&function, &all, &Checker::new())) {
        notes.compared(what, &report);
    }
    Ok(())
}

fn forward_mode(
    notes: &mut Notes,
    subject: &Subject<'_>,
    x: &[&Tensor<f64>],
    y: &[Tensor<f64>],
    c: &[Tensor<f64>],
    gradients: &[Tensor<f64>],
) -> Result<(), Error> {
    let what = "forward mode";
    let v = weights_like(x, 3)?;
    match subject.jvp(x, &refs(y), &refs(&v)) {
        Err(error) if matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }) => {
            notes.note(what, Outcome::NotApplicable, "the rule is of first order only, and there is none for forward mode");
        }
        dy => {
            if let Some(dy) = notes.attempt(what, dy) {
                let (forward, reverse) = (sum_of_products(c, &dy), sum_of_products(gradients, &v));
                let scale = sum_of_sizes(&refs(c), &dy) + sum_of_sizes(&refs(gradients), &v);
                let apart = (forward - reverse).abs();
                let is_right = apart <= SAME * scale;
                let outcome = match (is_right, forward.is_nan() && reverse.is_nan()) {
                    (true, _) => Outcome::Ok,
                    (false, true) => Outcome::Inconclusive,
                    (false, false) => Outcome::Wrong,
                };
                notes.note(what, outcome, format!("⟨c, J·v⟩ = {forward:.9e}, ⟨Jᵀ·c, v⟩ = {reverse:.9e}"));
            }
        }
    }
    Ok(())
}

fn single_precision(
    notes: &mut Notes,
    subject: &Subject<'_>,
    x: &[&Tensor<f64>],
    y: &[Tensor<f64>],
    c: &[Tensor<f64>],
    gradients: &[Tensor<f64>],
) {
    let what = "single precision";
    let cast = |tensors: &[&Tensor<f64>]| tensors.iter().map(|t| t.cast::<f32>()).collect::<Vec<_>>();
    let x = cast(x);
    let in_f32 = || -> Result<(Singles, Singles), Error> {
        let y = subject.forward(&refs(&x))?;
        let d = subject.vjp(&refs(&x), &refs(&y), &refs(&cast(&refs(c))))?;
        Ok((y, d))
    };
    match in_f32() {
        Err(error) if matches!(error.kind(), ErrorKind::Precision { .. }) => {
            notes.note(what, Outcome::NotApplicable, error.kind().to_string());
        }
        result => {
            if let Some((single, d)) = notes.attempt(what, result) {
                let (value, gradient) = (distance(&single, y), distance(&d, gradients));
                // Rounded inputs may stand on the other side of a kink, or lose digits to cancellation: that is no fault of the rule.
                let is_close = value <= 1e-3 && gradient <= 1e-3;
                let outcome = if is_close { Outcome::Ok } else { Outcome::Inconclusive };
                notes.note(what, outcome, format!("f32 follows f64 to {value:.1e}, its gradients to {gradient:.1e}"));
            }
        }
    }
}
