//! What happened, step by step: the forward and the backward pass of a real run as data, to be read, drawn and taught from.
//!
//! [`Var::trace`](crate::Var::trace) runs the backward pass of a scalar once more, looks on, and writes down what it sees: each value with its
//! formula and what is kept of it, and each contribution to each gradient as *upstream × local derivative*, in the order in which
//! they come. Nothing is computed a second way: values are those of the tape, contributions are what the rules added in the sweep that
//! [`backward`](crate::Var::backward) is, and formulas are the rules, read in the world of text. [`Trace::verify`] multiplies the printed factors
//! again.
//!
//! It can be shown as [text](Trace::to_text) (that is also what `{}` writes), a [page](Trace::to_html) to be stepped through in a browser, a
//! [picture](Trace::to_svg), [Markdown](Trace::to_markdown), [LaTeX](Trace::to_latex), a graph for [Graphviz](Trace::to_dot) or
//! [Mermaid](Trace::to_mermaid), and [JSON](Trace::to_json), and each [step](Trace::steps) can be [explained](Trace::explain). All of these depend on the run alone, to the byte.
//!
//! ```
//! use autograd::Graph;
//! let g = Graph::<f64>::new();
//! let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
//! let f = ((x + y).named("q") * z).named("f");
//! let trace = f.trace()?;
//! let gradients = ["x", "y", "z"].map(|name| trace.node(name).unwrap().gradient.as_ref().unwrap().item());
//! assert_eq!(gradients, [Some(-4.0), Some(-4.0), Some(3.0)]);
//! assert_eq!(trace.verify().unwrap(), 0.0);
//! # Ok::<(), autograd::Error>(())
//! ```

// The data, and how it comes to be.
pub(crate) mod number;
mod array;
mod label;
mod rule;
mod record;
mod verify;
// What is made of it.
mod explain;
mod html;
mod notation;
pub(crate) mod table;
mod text;
mod markdown;
mod latex;
mod layout;
mod svg;
mod dot;
mod mermaid;
mod jupyter;

use serde::{Deserialize, Serialize};

pub use array::Array;
pub use explain::{Explanation, Note, Topic};
pub use notation::Notation;
pub(crate) use record::{ancestors, record};
pub(crate) use rule::pulled_back;
pub use text::TextOptions;
pub use verify::Deviation;
pub(crate) use verify::product;

use crate::elementary::Expression;

/// The version of the form in which traces are written; it changes when a reader would have to.
pub const SCHEMA: u32 = 1;

/// One run, forward and backward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trace {
    /// The version of this form, [`SCHEMA`].
    pub schema: u32,
    /// The element type of the run: `f32` or `f64`.
    pub element: String,
    /// The forward pass: all that the root was computed from, in the order of the computation, and the root last.
    pub nodes: Vec<Node>,
    /// The backward pass: the rules in the order in which they were asked.
    pub visits: Vec<Visit>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A leaf that is differentiated by.
    Variable,
    /// A leaf that is not.
    Constant,
    /// A value that was cut off, so that no gradient goes further back.
    Detached,
    /// The result of a scope, of which nothing else is left.
    Scoped,
    /// The result of an operation.
    Operation,
    /// Another output of the operation whose first output is its input.
    Output,
}

/// A step of the forward pass: a node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // they are independent facts
pub struct Node {
    /// How it is called in formulas: the name it was [given](crate::Var::named), or one made up. No two nodes share one.
    pub name: String,
    /// Whether the name was given.
    pub is_named: bool,
    /// How its gradient is called in formulas.
    pub gradient_name: String,
    /// What it is.
    pub kind: Kind,
    /// The name of its operation; of what is none, its kind.
    pub op: String,
    /// The nodes that it was computed from, in order.
    pub inputs: Vec<usize>,
    /// Its value as a formula of the names of its inputs; nothing for leaves.
    pub formula: Option<Expression>,
    /// Its value.
    pub value: Array,
    /// Whether it was dropped after the forward pass, in a checkpoint, and computed again for the backward pass.
    pub is_recomputed: bool,
    /// The nodes whose values its rule reads in the backward pass: what a forward cache is for.
    pub kept: Vec<usize>,
    /// Whether something that is differentiated by is among what it was computed from.
    pub needs_gradient: bool,
    /// How many contributions come together in its gradient.
    pub contributions: usize,
    /// The gradient of the root by it, if one came to it.
    pub gradient: Option<Array>,
    /// What its operation does, in a sentence.
    pub doc: Option<String>,
    /// The line of source that made it.
    pub location: String,
    /// Whether a hook may have replaced its gradient, which is then not the sum of the contributions.
    pub is_hooked: bool,
    /// The layer it belongs to, from names such as `layers.0.weight`.
    pub group: Option<String>,
}

/// A rule that was asked in the backward pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Visit {
    /// The node whose operation it is; the first one, if that has several outputs.
    pub node: usize,
    /// The outputs, with the gradients that had come together for them.
    pub upstream: Vec<(usize, Array)>,
    /// What the rule gave to its inputs.
    pub edges: Vec<Edge>,
}

/// A contribution to the gradient of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Edge {
    /// Which input of the operation, from 0.
    pub input: usize,
    /// The node that stands there.
    pub into: usize,
    /// The derivative of the operation by this input, as a formula of names, where it works element by element.
    pub local_formula: Option<Expression>,
    /// The numbers of that derivative, of the shape of the result.
    pub local: Option<Array>,
    /// The whole contribution as a formula of names, where the operation is one of whole arrays.
    pub rule: Option<Expression>,
    /// The axes of the result along which the input was repeated forward, so that the contribution is summed over them.
    pub summed_over: Vec<usize>,
    /// What is added; nothing where the rule says that there is nothing to add.
    pub contribution: Option<Array>,
    /// What has come together with it.
    pub sum: Option<Array>,
    /// It is contribution so-and-so …
    pub nth: usize,
    /// … of so many.
    pub of: usize,
    /// One entry of a contribution that is no single number, written out.
    pub entry: Option<Entry>,
    /// What an operation that chooses has chosen.
    pub choice: Option<Choice>,
}

/// One entry of a contribution as a sum of products: Σ upstream·local.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its place in the contribution.
    pub position: Vec<usize>,
    /// The products, one for each element of the result that depends on it.
    pub terms: Vec<Term>,
    /// How many products are left out here, because there are too many.
    pub omitted: usize,
    /// The sum of those.
    #[serde(with = "number")]
    pub omitted_sum: f64,
    /// The sum of all.
    #[serde(with = "number")]
    pub total: f64,
}

/// A product of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Term {
    /// Which output of the operation, from 0.
    pub output: usize,
    /// The element of it.
    pub position: Vec<usize>,
    /// The gradient that came to that element.
    #[serde(with = "number")]
    pub upstream: f64,
    /// The derivative of that element by the entry.
    #[serde(with = "number")]
    pub local: f64,
}

/// Which elements of an input an operation has let through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// So many of its elements get a gradient.
    pub passed: usize,
    /// Of so many.
    pub of: usize,
    /// So many stand at a kink or share the gradient with others, so that a convention decides.
    pub ties: usize,
}

/// What of a run is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Of arrays with more elements than this, only extremes and mean are kept.
    pub max_elements: usize,
    /// So many products of an entry are written out.
    pub max_terms: usize,
    /// Of arrays with more elements than this, no entry is written out.
    pub max_entry: usize,
}

impl Default for Options {
    /// Arrays of up to 10,000 elements, entries of up to 12 products, of arrays of up to 1,000,000 elements.
    fn default() -> Self {
        Options { max_elements: 10_000, max_terms: 12, max_entry: 1_000_000 }
    }
}

impl Options {
    /// Of arrays with more elements than this, only extremes and mean are kept.
    #[must_use]
    pub fn max_elements(mut self, n: usize) -> Self {
        self.max_elements = n;
        self
    }

    /// So many products of an entry are written out.
    #[must_use]
    pub fn max_terms(mut self, n: usize) -> Self {
        self.max_terms = n;
        self
    }
}

/// One step of a run, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A node gets its value.
    Forward(usize),
    /// The gradient of the root by itself is 1.
    Seed,
    /// An input gets a contribution: edge `edge` of visit `visit`.
    Contribution {
        /// Which visit.
        visit: usize,
        /// Which of its edges.
        edge: usize,
    },
}

impl Trace {
    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The place of the root among the nodes: the last one.
    #[must_use]
    pub fn root(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    /// All steps, forward and then backward, in the order in which they happen.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let forward = (0..self.nodes.len()).map(Step::Forward);
        let edges = |visit: usize| (0..self.visits[visit].edges.len()).map(move |edge| Step::Contribution { visit, edge });
        forward.chain([Step::Seed]).chain((0..self.visits.len()).flat_map(edges)).collect()
    }

    /// Whether every value and every gradient is a single number.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.nodes.iter().all(|node| node.value.is_scalar())
    }

    /// Everything as JSON. Numbers that are not finite are texts: `"NaN"`, `"inf"`, `"-inf"`.
    ///
    /// ```
    /// # use autograd::{Graph, trace::Trace};
    /// let g = Graph::<f64>::new();
    /// let trace = g.variable(2.0).named("x").square().trace()?;
    /// let json = trace.to_json();
    /// assert!(json.starts_with(r#"{"schema":1,"element":"f64","nodes":[{"name":"x","#));
    /// assert_eq!(Trace::from_json(&json).unwrap(), trace);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        // It fails only for maps with keys that are no texts.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A trace from its JSON.
    ///
    /// # Errors
    /// A text that is no JSON, lacks something, or is of another [`SCHEMA`]; it says where and what.
    pub fn from_json(json: &str) -> Result<Trace, serde_json::Error> {
        let trace: Trace = serde_json::from_str(json)?;
        if trace.schema == SCHEMA {
            Ok(trace)
        } else {
            Err(serde::de::Error::custom(format!("the trace is of schema {}, and this library reads schema {SCHEMA}", trace.schema)))
        }
    }
}
