//! The steps of a trace in words, formulas and numbers: the one place where they come from, for all that shows traces.

mod backward;
mod forward;
mod summary;

use serde::Serialize;

use super::{Notation, Step, Trace, notation::clean};

/// A step in words, formulas and numbers.
///
/// ```
/// use autograd::{Graph, trace::Step};
/// let g = Graph::<f64>::new();
/// let (w, x) = (g.variable(3.0).named("w"), g.variable(-4.0).named("x"));
/// let trace = (w * x).named("f").trace()?;
/// let forward = trace.explain(Step::Forward(2));
/// assert_eq!(forward.formula.unwrap().text, "f = w·x");
/// assert_eq!(forward.numbers.unwrap().text, "f = 3·(−4) = −12");
/// let backward = trace.explain(Step::Contribution { visit: 0, edge: 0 });
/// assert_eq!(backward.formula.unwrap().text, "dw += df·∂f/∂w");
/// assert_eq!(backward.product.unwrap().text, "dw += df·x");
/// assert_eq!(backward.local.unwrap().text, "∂f/∂w = x = −4");
/// assert_eq!(backward.numbers.unwrap().text, "dw += 1·(−4) = −4");
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What happens, in a few words.
    pub title: String,
    /// How it is computed, with names.
    pub formula: Option<Notation>,
    /// The local derivative with its value, in a contribution to a gradient, where the operation works element by element.
    pub local: Option<Notation>,
    /// The same as `formula` with the formula of the local derivative in its place, there.
    pub product: Option<Notation>,
    /// How it is computed, with numbers, where they are few.
    pub numbers: Option<Notation>,
    /// The contributions so far, added up; nothing for the first one.
    pub sum: Option<Notation>,
    /// What there is to say about it, each about one thing.
    pub notes: Vec<Note>,
}

/// A remark on a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// What it is about.
    pub topic: Topic,
    /// It in a sentence, without a full stop.
    pub text: String,
    /// The formula that belongs to it.
    pub formula: Option<Notation>,
}

/// What a [`Note`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Topic {
    /// What the operation does.
    Operation,
    /// What is kept for the backward pass, and why that is enough.
    Kept,
    /// Why it is the turn of this node in the backward pass.
    Turn,
    /// What the rule means, read from the formula of the derivative.
    Rule,
    /// The shapes of what takes part.
    Shapes,
    /// Axes along which an input was repeated forward, and which are summed backward.
    Broadcast,
    /// Which elements an operation has chosen, and what holds at a tie.
    Choice,
    /// One entry, written out as a sum of products.
    Entry,
    /// How many of the contributions to a gradient are there.
    Count,
    /// What was dropped and computed again.
    Recomputed,
    /// A hook that may replace a gradient.
    Hook,
    /// What the trace does not hold, because it is too large.
    Cap,
    /// Where numbers first stop being finite.
    NotFinite,
}

impl Explanation {
    fn titled(title: impl AsRef<str>) -> Explanation {
        Explanation { title: clean(title.as_ref()), ..Explanation::default() }
    }

    fn note(&mut self, topic: Topic, text: impl AsRef<str>) {
        self.notes.push(Note { topic, text: clean(text.as_ref()), formula: None });
    }

    fn note_with(&mut self, topic: Topic, text: impl AsRef<str>, formula: Notation) {
        self.notes.push(Note { topic, text: clean(text.as_ref()), formula: Some(formula) });
    }

    /// The first remark about a topic.
    #[must_use]
    pub fn about(&self, topic: Topic) -> Option<&Note> {
        self.notes.iter().find(|note| note.topic == topic)
    }
}

impl Trace {
    /// A step in words, formulas and numbers. A step that this trace does not have is explained as that.
    #[must_use]
    pub fn explain(&self, step: Step) -> Explanation {
        let explanation = match step {
            Step::Forward(at) => self.nodes.get(at).map(|node| forward::explain(self, at, node)),
            Step::Seed => Some(backward::seed(self)),
            Step::Contribution { visit, edge } => {
                let both = self.visits.get(visit).and_then(|visit| Some((visit, visit.edges.get(edge)?)));
                both.map(|(v, e)| backward::contribution(self, visit, v, e))
            }
        };
        explanation.unwrap_or_else(|| Explanation::titled(format!("The trace has no step {step:?}")))
    }
}

/// Things in a row: `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
