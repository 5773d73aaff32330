//! A calculation by hand against autodiff and finite differences, in one table.

mod agreement;
mod diagnosis;
mod rules;

use std::{fmt::Write, panic::Location};

use serde::Serialize;

pub use agreement::Agreement;

use self::{
    agreement::{Digits, judge},
    diagnosis::diagnose,
    rules::Rules,
};
use super::{Page, Table, refused, short};
use crate::{
    check::{self, Verdict},
    elementary::number,
    error::Error,
    graph::Graph,
    real::Real,
    tensor::Tensor,
    trace::{self, Array, Kind, Node, Trace},
    var::Var,
};

/// Gradients calculated by hand, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ByHand {
    /// A row for each answer, in their order.
    pub rows: Vec<Compared>,
    /// Whether the graph is so large that mistakes far from the answer were not looked for.
    pub is_cut: bool,
}

/// An answer, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// The node whose gradient it is.
    pub name: String,
    /// The answer.
    pub hand: Array,
    /// The gradient by autodiff.
    pub autodiff: Array,
    /// The gradient by finite differences, if there is one; an element is NaN where there is none, as at a kink.
    pub difference: Option<Array>,
    /// The measured errors of the finite differences.
    pub error: Option<Array>,
    /// Whether the finite differences say that autodiff is wrong; the answer is compared with them then.
    pub is_autodiff_accused: bool,
    /// How well the answer agrees, in its worst element.
    pub agreement: Agreement,
    /// How many elements are wrong.
    pub wrong: usize,
    /// The element that is worst, in row-major order.
    pub worst: usize,
    /// The answer divided by the gradient, if that is the same number for all elements and not 1.
    pub ratio: Option<f64>,
    /// What the answer looks like, where it is wrong: all explanations that fit equally well.
    pub diagnoses: Vec<String>,
}

impl Compared {
    /// Whether the answer is right, exactly or as rounded.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.agreement.is_right()
    }
}

/// Compares gradients that were calculated by hand with those of autodiff and with finite differences, and says what wrong ones look like.
///
/// Answers are pairs of a name and a number or a tensor; names are those given by [`named`](Var::named), or those of the
/// [trace](Var::trace), and may be those of intermediate results. An answer that was rounded is right if it agrees to the digits given, which are
/// those of the shortest decimal number that it is.
///
/// Finite differences, with their measured errors, are those of [`check`]: the recorded graph is run again in double precision.
/// What the program decided by looking at values stays decided.
///
/// Diagnoses come from the run itself: a wrong sign, a factor, a contribution or a local derivative that is missing, the gradient of something else.
/// Each was computed, and is told only if it gives the answer, to the digits of the answer.
///
/// ```
/// use autograd::{Graph, lesson::{self, Agreement}};
/// let g = Graph::<f64>::new();
/// let (x, y) = (g.variable(0.5).named("x"), g.variable(2.0).named("y"));
/// let s = (x * y).named("u").sin().named("s");
/// let loss = (s * x).named("loss");
/// let table = lesson::by_hand(loss, [("x", 1.38), ("y", 0.135), ("s", 0.5), ("u", 0.5)])?;
/// let agreements: Vec<_> = table.rows.iter().map(|row| row.agreement).collect();
/// assert_eq!(agreements, [Agreement::Rounded, Agreement::Rounded, Agreement::Exact, Agreement::Wrong]);
/// assert!(table.rows[3].diagnoses.iter().any(|d| d.contains("local derivative ∂s/∂u = cos(u) is forgotten")));
///
/// let table = lesson::by_hand(loss, [("x", 0.841)])?;
/// assert!(table.rows[0].diagnoses[0].contains("the contribution through loss alone"));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// Those of [`Var::trace`]; a name that no node has, or one without a gradient.
#[track_caller]
pub fn by_hand<'n, T, V>(root: Var<'_, T>, answers: impl IntoIterator<Item = (&'n str, V)>) -> Result<ByHand, Error>
where
    T: Real,
    V: Into<Tensor<f64>>,
{
    let at = Location::caller();
    let trace = T::trace(root, &trace::Options::default().max_elements(usize::MAX), at)?;
    let ids = trace::ancestors(&root.graph().tape.borrow(), root.id());
    let widened = |leaves: &[u32]| root.graph().widened_at(leaves).ok();
    let answers: Vec<(&str, Tensor<f64>)> = answers.into_iter().map(|(name, v)| (name, v.into())).collect();
    compare(&trace, &ids, &widened, &answers).map_err(|error| error.at(at))
}

/// The graph in double precision, with some nodes as leaves.
type Widened<'a> = dyn Fn(&[u32]) -> Option<Graph<f64>> + 'a;

fn compare(trace: &Trace, ids: &[u32], widened: &Widened<'_>, answers: &[(&str, Tensor<f64>)]) -> Result<ByHand, Error> {
    let rules = Rules::new(trace, ids, widened(&[]));
    let digits = Digits::of(answers.iter().flat_map(|(_, answer)| answer.as_slice()));
    let mut rows = Vec::new();
    for (name, answer) in answers {
        let place = find(trace, name)?;
        let difference = differences(ids, place, widened, &trace.nodes[place]);
        rows.push(row(&rules, place, answer, difference.as_ref(), &digits));
    }
    Ok(ByHand { rows, is_cut: rules.is_large() })
}

/// The node that an answer is about.
fn find(trace: &Trace, name: &str) -> Result<usize, Error> {
    let with_gradient = || trace.nodes.iter().filter(|node| node.gradient.is_some()).map(|node| node.name.as_str());
    let list = || with_gradient().collect::<Vec<_>>().join(", ");
    let Some(place) = trace.nodes.iter().position(|node| node.name == name) else {
        return Err(refused("by_hand", format!("there is no node {name:?}; there are gradients by {}", list())));
    };
    if trace.nodes[place].gradient.is_none() {
        let why = if trace.nodes[place].kind == Kind::Constant { "it is a constant" } else { "no gradient comes to it" };
        return Err(refused("by_hand", format!("there is no gradient by {name:?}: {why}; there are gradients by {}", list())));
    }
    Ok(place)
}

/// The finite differences by a node, with their errors and verdicts.
struct Differences {
    values: Vec<f64>,
    errors: Vec<f64>,
    accused: Vec<bool>,
}

fn differences(ids: &[u32], place: usize, widened: &Widened<'_>, node: &Node) -> Option<Differences> {
    let (&id, &root) = (ids.get(place)?, ids.last()?);
    let report = check::recorded(widened(&[id])?, id, root).ok()?;
    let n = node.value.len();
    let mut found = Differences { values: vec![f64::NAN; n], errors: vec![f64::NAN; n], accused: vec![false; n] };
    for element in report.inputs().first()?.elements() {
        let is_slope = !matches!(element.verdict, Verdict::SubgradientOk { .. } | Verdict::Inconclusive { .. } | Verdict::Skipped);
        if is_slope && element.index < n {
            found.values[element.index] = element.difference;
            found.errors[element.index] = element.error;
            found.accused[element.index] = element.verdict == Verdict::Wrong;
        }
    }
    Some(found)
}

fn row(rules: &Rules<'_>, place: usize, answer: &Tensor<f64>, difference: Option<&Differences>, digits: &Digits) -> Compared {
    let node = &rules.trace.nodes[place];
    let shape = &node.value.shape;
    let autodiff = node.gradient.clone().unwrap_or_else(|| Array::from_elements(shape, Vec::new()));
    let mut right = autodiff.elements.clone().unwrap_or_default();
    let mut room = vec![0.0; right.len()];
    if let Some(found) = difference {
        for k in (0..right.len()).filter(|&k| found.accused[k]) {
            (right[k], room[k]) = (found.values[k], 10.0 * found.errors[k]);
        }
    }
    let is_autodiff_accused = difference.is_some_and(|found| found.accused.contains(&true));
    let hand = Array::from_elements(answer.shape(), answer.to_vec());
    let array = |values: &Vec<f64>| Array::from_elements(shape, values.clone());
    let mut compared = Compared {
        name: node.name.clone(),
        hand,
        autodiff,
        difference: difference.map(|found| array(&found.values)),
        error: difference.map(|found| array(&found.errors)),
        is_autodiff_accused,
        agreement: Agreement::Wrong,
        wrong: right.len(),
        worst: 0,
        ratio: None,
        diagnoses: Vec::new(),
    };
    let significant = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect::<Vec<usize>>();
    // Axes of length 1 may be missing, but not stand elsewhere: [3, 1] is no [1, 3].
    let is_other = answer.shape()[..] != shape[..] && answer.shape().rank() == shape.len();
    if is_other || significant(answer.shape()) != significant(shape) {
        compared.diagnoses = vec![diagnosis::of_shape(answer, shape, &right, digits)];
        return compared;
    }
    let scale = rules.scale(place);
    let each: Vec<Agreement> = (0..right.len()).map(|k| judge(answer.as_slice()[k], right[k], scale, digits, room[k])).collect();
    let deviation = |k: usize| {
        let apart = (answer.as_slice()[k] - right[k]).abs();
        if apart.is_nan() { f64::INFINITY } else { apart }
    };
    compared.worst = (0..right.len()).max_by(|&a, &b| each[a].cmp(&each[b]).then(deviation(a).total_cmp(&deviation(b)))).unwrap_or(0);
    compared.agreement = each.iter().copied().max().unwrap_or(Agreement::Exact);
    compared.wrong = each.iter().filter(|agreement| **agreement == Agreement::Wrong).count();
    if compared.agreement >= Agreement::Close {
        compared.ratio = diagnosis::ratio(answer.as_slice(), &right, digits);
        compared.diagnoses = diagnose(rules, place, answer.as_slice(), &right, digits);
    }
    compared
}

impl ByHand {
    /// Whether all answers are right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.rows.iter().all(Compared::is_right)
    }

    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let right = self.rows.iter().filter(|row| row.is_right()).count();
        let mut table = Table::new(["name", "by hand", "autodiff", "finite difference", "verdict", "ratio"]);
        let mut sentences = String::new();
        for row in &self.rows {
            let at = |array: &Array| array.elements.as_ref().and_then(|elements| elements.get(row.worst)).copied();
            let cell = |array: &Array| at(array).map_or_else(|| short(array), number);
            let is_one = row.autodiff.len() == 1 && row.hand.len() == 1;
            let is_shaped = row.hand.len() == row.autodiff.len();
            let name = if is_one || !is_shaped { row.name.clone() } else { format!("{}{:?}", row.name, row.autodiff.position(row.worst)) };
            let hand = if is_shaped { cell(&row.hand) } else { format!("{:?}", row.hand.shape) };
            let difference = match (row.difference.as_ref().and_then(at), row.error.as_ref().and_then(at)) {
                (Some(value), Some(error)) if value.is_finite() => format!("{} ± {error:.0e}", number(value)),
                _ => "–".to_owned(),
            };
            let verdict = if is_one || row.wrong == 0 {
                row.agreement.word().to_owned()
            } else {
                format!("{} ({} of {})", row.agreement.word(), row.wrong, row.autodiff.len())
            };
            table.row([name, hand, cell(&row.autodiff), difference, verdict, row.ratio.map(number).unwrap_or_default()]);
            for diagnosis in &row.diagnoses {
                let _ = writeln!(sentences, "- {}: {diagnosis}", row.name);
            }
            if row.is_autodiff_accused {
                let _ =
                    writeln!(sentences, "- {}: finite differences say that autodiff is wrong; check::nodes names the operation", row.name);
            }
            if row.diagnoses.is_empty() && row.agreement == Agreement::Wrong {
                let _ = writeln!(
                    sentences,
                    "- {}: no single mistake that was tried gives this answer{}",
                    row.name,
                    if self.is_cut { "; on so large a graph only those close to it were" } else { "" }
                );
            }
        }
        let page = Page::new("By hand, by autodiff and by finite differences")
            .text(format!("{right} of {} answers are right. Of tensors, the worst element is shown.", self.rows.len()))
            .table(table);
        if sentences.is_empty() { page } else { page.text(sentences.trim_end()) }
    }
}
