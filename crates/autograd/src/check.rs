//! Autodiff against finite differences.
//!
//! The derivative of f along one element is estimated from f alone, by a central difference of fourth order,
//! (8·(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h, whose step is scaled to the element and to its tensor. The difference to the estimate
//! of second order from the same values bounds its truncation, the rounding of every result on the way its rounding, and both are part of the
//! verdict: a finite difference that is itself uncertain accuses nobody. A step that leaves the domain, or that crosses a kink such as that of relu, is shortened; at a kink itself there
//! is nothing to compare with.

mod op;

use std::{fmt, panic::Location};

pub use op::{Finding, OpReport, Outcome, handle, multi_op, op};

use crate::{
    elementary::Side,
    error::{Error, ErrorKind},
    graph::Graph,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// Accepted deviation, relative to the largest element of the tensor's gradient.
const TOLERANCE: f64 = 1e-6;
/// An estimate whose own error is above this part of the largest element decides nothing.
const UNCERTAIN: f64 = 1e-3;

/// Whether the gradients of a function agree with finite differences.
///
/// A function whose result is no scalar is multiplied by fixed weights and summed, so that each element of the result counts differently.
/// Everything is computed in f64.
///
/// ```
/// use autograd::{check, tensor};
/// let (x, w) = (tensor![[0.1, 0.2], [0.3, 0.4]], tensor![0.5, -0.5]);
/// let report = check::gradients(|[x, w]| x.matmul(w).tanh(), [&x, &w])?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// What went wrong in the function, at the given point.
#[track_caller]
pub fn gradients<F, const N: usize>(f: F, x: [&Tensor<f64>; N]) -> Result<Report, Error>
where
    F: for<'g> Fn([Var<'g, f64>; N]) -> Var<'g, f64> + Sync,
{
    slices(|x| f(std::array::from_fn(|k| x[k])), &x)
}

/// As [`gradients`], for a number of inputs that is known only when the program runs.
///
/// # Errors
/// What went wrong in the function, at the given point.
#[track_caller]
pub fn slices<F>(f: F, x: &[&Tensor<f64>]) -> Result<Report, Error>
where
    F: for<'a, 'g> Fn(&'a [Var<'g, f64>]) -> Var<'g, f64> + Sync,
{
    let at = Location::caller();
    if x.is_empty() {
        return Err(Error::from(ErrorKind::NoInputs).in_op("check", Vec::new).at(at));
    }
    let g = Graph::new();
    let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
    let y = f(&leaves);
    let weights = weights(&y.value()?)?;
    g.retain_all();
    let gradients = y.backward_with(&weights)?;
    // Every result on the way is rounded; backpropagation itself says how much of that reaches the end.
    let rounding = ROUNDINGS * f64::EPSILON * g.condition(&gradients);
    let here = sides(&g);
    let autodiff: Vec<Tensor<f64>> = leaves
        .iter()
        .zip(x)
        .map(|(leaf, x)| gradients.get(*leaf).cloned().map_or_else(|| Tensor::zeros(x.shape()), Ok))
        .collect::<Result<_, _>>()?;
    let evaluate = |x: &[&Tensor<f64>]| -> Result<Point, Error> {
        let g = Graph::new();
        // Variables, so that a function may take gradients inside.
        let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
        let y = f(&leaves).value()?;
        if y.shape() != weights.shape() {
            let why = format!("the function gave shape {} at one point and {} at another", weights.shape(), y.shape());
            return Err(Error::from(ErrorKind::Check { why }).in_op("check", Vec::new).at(at));
        }
        Ok(Point { value: dot(&y, &weights), sides: sides(&g) })
    };
    Ok(Report { inputs: compare(x, &autodiff, rounding, &here, &evaluate)? })
}

/// Σ aᵢ·bᵢ
fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
}

/// A function of all inputs.
type Evaluate<'a> = dyn Fn(&[&Tensor<f64>]) -> Result<Point, Error> + 'a;

/// Each element of each gradient against the difference of a function of all inputs.
fn compare(
    x: &[&Tensor<f64>],
    autodiff: &[Tensor<f64>],
    rounding: f64,
    here: &[Side],
    evaluate: &Evaluate<'_>,
) -> Result<Vec<Input>, Error> {
    let mut inputs = Vec::new();
    for (k, autodiff) in autodiff.iter().enumerate() {
        let scale = x[k].as_slice().iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let at = |element: usize, value: f64| {
            let mut elements = x[k].to_vec();
            elements[element] = value;
            let changed = Tensor::of(*x[k].shape(), elements);
            evaluate(&x.iter().enumerate().map(|(i, x)| if i == k { &changed } else { *x }).collect::<Vec<_>>())
        };
        let mut elements = Vec::new();
        for (i, (&value, &autodiff)) in x[k].as_slice().iter().zip(autodiff.as_slice()).enumerate() {
            elements.push(difference(value, scale, autodiff, rounding, here, |v| at(i, v))?);
        }
        inputs.push(Input::new(k, *x[k].shape(), elements));
    }
    Ok(inputs)
}

/// How many units in the last place are allowed for in each result on the way.
const ROUNDINGS: f64 = 4.0;
/// The golden ratio less one: its multiples fill the unit interval evenly.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Fixed weights between ½ and 1½, no two alike.
fn weights(like: &Tensor<f64>) -> Result<Tensor<f64>, Error> {
    if like.len() == 1 {
        return Tensor::ones(like.shape());
    }
    Tensor::new((0..like.len()).map(|i| 0.5 + (i as f64 * GOLDEN).fract()).collect::<Vec<_>>(), like.shape())
}

/// A value of the function, and the side of every kink that was taken on the way to it.
struct Point {
    value: f64,
    sides: Vec<Side>,
}

fn sides(g: &Graph<f64>) -> Vec<Side> {
    let mut sides = Vec::new();
    g.sides(&mut |side| sides.push(side));
    sides
}

/// The function whose kink lies between two points, if one does.
fn crossed(here: &[Side], there: &[Side]) -> Option<&'static str> {
    if here.len() != there.len() {
        return Some("control flow");
    }
    here.iter().zip(there).find(|(a, b)| a.side != b.side).map(|(a, _)| a.function)
}

/// The estimate of a derivative, from the step that gives the smallest uncertainty.
fn difference(
    x: f64,
    scale: f64,
    autodiff: f64,
    rounding: f64,
    here: &[Side],
    f: impl Fn(f64) -> Result<Point, Error>,
) -> Result<Element, Error> {
    // Truncation, of order h⁴, and rounding, of order ε/h, are alike at the fifth root of ε.
    let size = if scale > 0.0 { x.abs().max(0.1 * scale) } else { 1.0 };
    let usual = f64::EPSILON.powf(0.2) * size;
    let mut element = Element { autodiff, difference: f64::NAN, uncertainty: f64::INFINITY, rounding: 0.0, floor: 0.0, kink: None };
    // Shorter steps, until one stays in the domain and on one side of every kink.
    let mut h = usual;
    for _ in 0..8 {
        element = estimate(x, h, autodiff, rounding, here, &f)?;
        if element.difference.is_finite() {
            break;
        }
        h /= 8.0;
    }
    // Longer ones, where rounding is what makes the estimate uncertain: a large function that hardly depends on this element.
    for _ in 0..8 {
        element.floor = rounding / size;
        let agrees = (element.difference - autodiff).abs() <= TOLERANCE * autodiff.abs();
        if agrees || element.is_zero() || element.rounding < 0.5 * element.uncertainty {
            break;
        }
        h *= 8.0;
        let longer = estimate(x, h, autodiff, rounding, here, &f)?;
        if longer.uncertainty >= element.uncertainty {
            break;
        }
        element = longer;
    }
    element.floor = rounding / size;
    Ok(element)
}

/// The estimate of a derivative with one step.
fn estimate(
    x: f64,
    h: f64,
    autodiff: f64,
    rounding: f64,
    here: &[Side],
    f: impl Fn(f64) -> Result<Point, Error>,
) -> Result<Element, Error> {
    // The steps that were really made, after rounding.
    let at = |steps: f64| x + steps * h;
    let points = [f(at(-2.0))?, f(at(-1.0))?, f(at(1.0))?, f(at(2.0))?];
    if let Some(kink) = points.iter().find_map(|point| crossed(here, &point.sides)) {
        return Ok(Element { autodiff, difference: f64::NAN, uncertainty: f64::INFINITY, rounding: 0.0, floor: 0.0, kink: Some(kink) });
    }
    let [a, b, c, d] = points.each_ref().map(|point| point.value);
    let (near, far) = ((c - b) / (at(1.0) - at(-1.0)), (d - a) / (at(2.0) - at(-2.0)));
    let difference = (4.0 * near - far) / 3.0;
    let rounding = rounding / h;
    Ok(Element { autodiff, difference, uncertainty: (difference - near).abs() + rounding, rounding, floor: 0.0, kink: None })
}

/// What [`gradients`] found. Its text form says for every input how well the two agree, and where they agree least.
#[derive(Debug, Clone)]
pub struct Report {
    inputs: Vec<Input>,
}

/// One input of the function.
#[derive(Debug, Clone)]
pub struct Input {
    name: String,
    shape: Shape,
    elements: Vec<Element>,
    /// The largest element of the gradient; the unit of all deviations.
    largest: f64,
}

/// The two derivatives by one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Element {
    /// By autodiff.
    pub autodiff: f64,
    /// By finite differences.
    pub difference: f64,
    /// The largest error that the finite difference is expected to have, from truncation and from rounding.
    pub uncertainty: f64,
    /// The part of it that comes from rounding.
    pub rounding: f64,
    /// Derivatives below this are as good as 0: a change of the element by its own size would drown in the rounding of the function.
    pub floor: f64,
    /// The function at whose kink the point lies, so that there is no difference to compare with.
    pub kink: Option<&'static str>,
}

/// What is said of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The two agree.
    Ok,
    /// They do not, and the finite difference is certain enough to say so.
    Wrong,
    /// The finite difference is too uncertain to decide, as at a kink or at the edge of the domain.
    Inconclusive,
}

impl Element {
    /// Whether the derivative is 0 as far as rounding lets anybody see.
    fn is_zero(&self) -> bool {
        self.autodiff.abs() <= self.floor && self.difference.abs() <= self.floor
    }
}

impl Input {
    fn new(k: usize, shape: Shape, elements: Vec<Element>) -> Input {
        let size = |v: f64| if v.is_finite() { v.abs() } else { 0.0 };
        let largest = elements.iter().fold(0.0f64, |m, e| m.max(size(e.autodiff)).max(size(e.difference)));
        Input { name: format!("input {k}"), shape, elements, largest }
    }

    /// The verdict on one element.
    #[must_use]
    pub fn verdict(&self, element: &Element) -> Verdict {
        let largest = self.largest;
        let deviation = (element.autodiff - element.difference).abs();
        if deviation <= TOLERANCE * largest || element.is_zero() {
            Verdict::Ok
        } else if element.difference.is_nan() || element.uncertainty > UNCERTAIN * largest {
            Verdict::Inconclusive
        } else if deviation <= TOLERANCE * largest + element.uncertainty {
            Verdict::Ok
        } else {
            Verdict::Wrong
        }
    }

    /// All elements, in row-major order.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The largest deviation, relative to the largest element of the gradient.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let deviation = |e: &Element| (e.autodiff - e.difference).abs();
        // NaN is the worst of all.
        let worst = self.elements.iter().map(deviation).fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
        if worst == 0.0 { 0.0 } else { worst / self.largest }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.elements.iter().filter(|e| self.verdict(e) == verdict).count()
    }

    /// The element with the largest deviation, wrong ones first.
    fn worst(&self) -> Option<(usize, &Element)> {
        let badness = |e: &Element| {
            let deviation = (e.autodiff - e.difference).abs();
            (self.verdict(e) == Verdict::Wrong, if deviation.is_nan() { f64::INFINITY } else { deviation })
        };
        self.elements.iter().enumerate().max_by(|(_, a), (_, b)| badness(a).partial_cmp(&badness(b)).unwrap_or(std::cmp::Ordering::Equal))
    }
}

impl Report {
    /// What was found for each input.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The same report with names for the inputs, in order.
    #[must_use]
    pub fn named(mut self, names: impl IntoIterator<Item = String>) -> Self {
        for (input, name) in self.inputs.iter_mut().zip(names) {
            input.name = name;
        }
        self
    }

    /// Whether no element is wrong and none is undecided.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.inputs.iter().all(|input| input.count(Verdict::Ok) == input.elements.len())
    }

    /// The largest deviation of all inputs, each relative to the largest element of its gradient.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.inputs.iter().map(Input::deviation).fold(0.0, f64::max)
    }

    /// For tests.
    ///
    /// # Panics
    /// With the report as message, unless it [passed](Report::passed).
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "agree" } else { "DO NOT agree" };
        write!(f, "autodiff and finite differences {verdict}")?;
        for input in &self.inputs {
            let shape = input.shape;
            let (ok, all) = (input.count(Verdict::Ok), input.elements.len());
            write!(f, "\n  {} {shape}: {ok} of {all} elements ok", input.name)?;
            for (verdict, word) in [(Verdict::Wrong, "wrong"), (Verdict::Inconclusive, "inconclusive")] {
                if input.count(verdict) > 0 {
                    write!(f, ", {} {word}", input.count(verdict))?;
                }
            }
            write!(f, "; deviation at most {:.1e}, relative to the largest element {:.1e}", input.deviation(), input.largest)?;
            if let (Some((at, e)), false) = (input.worst(), ok == all) {
                let position: Vec<_> = shape.strides().iter().zip(shape.iter()).map(|(s, n)| at / s % n).collect();
                write!(f, "\n    worst at {position:?}: autodiff {:.9e}, ", e.autodiff)?;
                match e.kink {
                    Some(kink) => write!(f, "but the point lies on a kink ({kink}): there is no derivative to compare with")?,
                    None => write!(f, "finite difference {:.9e} ± {:.1e}", e.difference, e.uncertainty)?,
                }
            }
        }
        Ok(())
    }
}
