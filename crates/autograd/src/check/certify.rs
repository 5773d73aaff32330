//! What a rule has to be, item by item: finite differences of first and second order, linearity, forward mode, single precision.

use std::panic::Location;

use super::{
    Checker, Finding, OpReport, Outcome, Report, Verdict,
    contributions::lost,
    diagnosis::diagnose,
    examine::examine,
    function::{Function, Gradient, Point},
    lists::{apart, dot, products, random_like, refs, rounding},
    subject::{Singles, Subject, Tensors},
};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    op::Erased,
    tensor::Tensor,
    var::Var,
};

/// How far two ways to the same number may be apart, relative to the largest term.
const SAME: f64 = 1e-12;

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
        let (parts, rounding) = (self.gradient)(x)?;
        let (sides, kinks) = self.subject.sides(&x[..self.inputs]);
        Ok(Gradient { parts, point: Point { terms: (self.terms)(x)?, sides }, kinks, rounding })
    }
}

pub(super) fn certify(op: &dyn Erased, x: &[&Tensor<f64>], at: &'static Location<'static>) -> Result<OpReport, Error> {
    let subject = Subject { op, at };
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let y = subject.forward(x)?;
    let mut notes = Notes(Vec::new());

    let again = subject.forward(x)?;
    let bits = |tensors: &[Tensor<f64>]| tensors.iter().flat_map(Tensor::to_vec).map(f64::to_bits).collect::<Vec<_>>();
    let shapes: Vec<_> = y.iter().map(|y| y.shape().to_string()).collect();
    notes.judge("value", bits(&y) == bits(&again), format!("{}, the same bits twice", shapes.join(", ")));

    let c = incoming(&y)?;
    if let Some(gradients) = notes.attempt("gradient shapes", subject.vjp(x, &refs(&y), &refs(&c))) {
        let shapes: Vec<_> = gradients.iter().map(|d| d.shape().to_string()).collect();
        notes.judge("gradient shapes", true, shapes.join(", "));
        let case = Case { subject, x, y, c, gradients };
        case.finite(&mut notes);
        case.first_order(&mut notes);
        case.linear(&mut notes)?;
        case.second_order(&mut notes)?;
        case.forward_mode(&mut notes)?;
        case.single_precision(&mut notes);
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

/// Incoming gradients for all outputs: 1 for a single number, else random.
fn incoming(y: &[Tensor<f64>]) -> Result<Tensors, Error> {
    match y {
        [y] if y.len() == 1 => Ok(vec![Tensor::ones(y.shape())?]),
        _ => random_like(y, 1),
    }
}

/// The first-order rule of an operation, with weights for its outputs, examined; and what it looks like if it is wrong.
pub(super) fn rule(op: &dyn Erased, x: &[&Tensor<f64>], at: &'static Location<'static>, options: &Checker) -> Result<Report, Error> {
    let subject = Subject { op, at };
    let c = incoming(&subject.forward(x)?)?;
    let terms = |x: &[&Tensor<f64>]| Ok(products(&subject.forward(x)?, &c));
    let gradient = |x: &[&Tensor<f64>]| {
        let y = subject.forward(x)?;
        let gradients = subject.vjp(x, &refs(&y), &refs(&c))?;
        let rounding = rounding(&y, &c) + rounding(x, &gradients);
        Ok((gradients, rounding))
    };
    let mut report = examine(&Ruled { subject: &subject, inputs: x.len(), terms, gradient }, x, options)?;
    // What cannot be computed has been reported already.
    diagnose(&mut report, x, || lost(op, x, at).unwrap_or_default());
    Ok(report)
}

/// An operation at a point: its outputs, their incoming gradients, and the gradients of the inputs.
struct Case<'a> {
    subject: Subject<'a>,
    x: &'a [&'a Tensor<f64>],
    y: Tensors,
    c: Tensors,
    gradients: Tensors,
}

impl Case<'_> {
    /// NaN comes from NaN alone.
    fn finite(&self, notes: &mut Notes) {
        let Case { x, y, gradients, .. } = self;
        let has_nan = |t: &Tensor<f64>| t.as_slice().iter().any(|v| v.is_nan());
        let given = x.iter().any(|x| has_nan(x)) || y.iter().any(has_nan);
        let bad: Vec<_> = (0..gradients.len()).filter(|&k| has_nan(&gradients[k])).map(|k| k.to_string()).collect();
        let detail =
            if bad.is_empty() { "none in the gradients".to_string() } else { format!("in the gradient of input {}", bad.join(", ")) };
        notes.judge("NaN", given || bad.is_empty(), detail);
    }

    fn first_order(&self, notes: &mut Notes) {
        let what = "finite differences";
        if let Some(report) = notes.attempt(what, rule(self.subject.op, self.x, self.subject.at, &Checker::new())) {
            notes.compared(what, &report);
        }
    }

    fn linear(&self, notes: &mut Notes) -> Result<(), Error> {
        let Case { subject, x, y, c, gradients } = self;
        let what = "linear in the incoming gradient";
        let (y, other) = (refs(y), random_like(y, 2)?);
        let mixed: Tensors = c.iter().zip(&other).map(|(a, b)| a.mul_lit(3.0)?.sub(&b.mul_lit(0.5)?)).collect::<Result<_, Error>>()?;
        let results = subject.vjp(x, &y, &refs(&other)).and_then(|other| Ok((other, subject.vjp(x, &y, &refs(&mixed))?)));
        if let Some((other, mixed)) = notes.attempt(what, results) {
            let expected: Tensors =
                gradients.iter().zip(&other).map(|(a, b)| a.mul_lit(3.0)?.sub(&b.mul_lit(0.5)?)).collect::<Result<_, Error>>()?;
            let apart = apart(&mixed, &expected);
            notes.judge(what, apart <= SAME, format!("vjp(3a − b/2) is 3 vjp(a) − vjp(b)/2 to {apart:.1e}"));
        }
        Ok(())
    }

    fn second_order(&self, notes: &mut Notes) -> Result<(), Error> {
        let Case { subject, x, y, c, gradients } = self;
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
        let values: Result<Tensors, Error> =
            parts.iter().zip(x.iter()).map(|(d, x)| d.map_or_else(|| Tensor::zeros(x.shape()), Var::value)).collect();
        let Some(values) = notes.attempt(recorded, values) else { return Ok(()) };
        let apart = apart(&values, gradients);
        notes.judge(recorded, apart <= SAME, format!("as variables the rule gives the same to {apart:.1e}"));

        let w = random_like(x, 3)?;
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
            let rounding = rounding(&gradients, &w) + rounding(all, &total);
            Ok((total, rounding))
        };
        let function = Ruled { subject, inputs: x.len(), terms, gradient };
        if let Some(report) = notes.attempt(what, examine(&function, &all, &Checker::new())) {
            notes.compared(what, &report);
        }
        Ok(())
    }

    fn forward_mode(&self, notes: &mut Notes) -> Result<(), Error> {
        let Case { subject, x, y, c, gradients } = self;
        let what = "forward mode";
        let v = random_like(x, 4)?;
        match subject.jvp(x, &refs(y), &refs(&v)) {
            Err(error) if matches!(error.kind(), ErrorKind::FirstOrderOnly { .. }) => {
                notes.note(what, Outcome::NotApplicable, "the rule is of first order only, and there is none for forward mode");
            }
            dy => {
                if let Some(dy) = notes.attempt(what, dy) {
                    let ((forward, size), (reverse, other)) = (dot(c, &dy), dot(gradients, &v));
                    let is_right = (forward - reverse).abs() <= SAME * (size + other);
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

    fn single_precision(&self, notes: &mut Notes) {
        let Case { subject, x, y, c, gradients } = self;
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
                    let (value, gradient) = (apart(&single, y), apart(&d, gradients));
                    // Rounded inputs may stand on the other side of a kink, or lose digits to cancellation: that is no fault of the rule.
                    let is_close = value <= 1e-3 && gradient <= 1e-3;
                    let outcome = if is_close { Outcome::Ok } else { Outcome::Inconclusive };
                    notes.note(what, outcome, format!("f32 follows f64 to {value:.1e}, its gradients to {gradient:.1e}"));
                }
            }
        }
    }
}
