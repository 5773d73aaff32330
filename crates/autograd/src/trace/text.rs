//! A trace as text for a terminal: what was computed forward, what came back, and the gradients of the leaves.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use super::{
    Array, Explanation, Kind, Node, Step, Topic, Trace,
    notation::clean,
    table::{Colour, Table, wrapped},
};

/// How a trace is written as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextOptions {
    /// No line is wider than this; at least 40.
    pub width: usize,
    /// Whether values are green, gradients red, and titles bold, by the signs for that of ANSI X3.64.
    pub colour: bool,
}

impl Default for TextOptions {
    /// 80 columns without colour.
    fn default() -> Self {
        TextOptions { width: 80, colour: false }
    }
}

impl TextOptions {
    /// No line is wider than this; at least 40. With 110 or more there is room for what the rules mean.
    #[must_use]
    pub fn width(mut self, columns: usize) -> Self {
        self.width = columns;
        self
    }

    /// Whether values are green, gradients red, and titles bold, by the signs for that of ANSI X3.64.
    #[must_use]
    pub fn colour(mut self, is_wanted: bool) -> Self {
        self.colour = is_wanted;
        self
    }

    /// With colour if the standard output is a terminal.
    #[must_use]
    pub fn colour_on_terminal(self) -> Self {
        let is_terminal = io::stdout().is_terminal();
        self.colour(is_terminal)
    }
}

/// From this width on there is room for what the rules mean.
const WIDE: usize = 110;
/// No smaller width is taken.
const NARROW: usize = 40;
/// Arrays of up to so many elements are written in full.
pub(super) const FEW: usize = 6;

impl Trace {
    /// The trace as text.
    ///
    /// ```
    /// use autograd::{Graph, trace::TextOptions};
    /// let g = Graph::<f64>::new();
    /// let (w, x) = (g.variable(3.0).named("w"), g.constant(-4.0).named("x"));
    /// let text = (w * x).named("f").trace()?.to_text(&TextOptions::default().width(60));
    /// assert_eq!(text, "\
    /// f = −12: 3 values forward, 1 contribution backward, in f64
    ///
    /// Forward
    ///   ##  computation             operation  kept for backward
    ///   1  w = 3                   variable
    ///   2  x = −4                  constant
    ///   3  f = w·x = 3·(−4) = −12  mul        x
    ///   1 value is kept for the backward pass: 8 bytes
    ///
    /// Backward: dw stands for ∂f/∂w
    ///   dx += upstream·local derivative  so far  received
    ///   f: df = 1, where it begins
    ///     dw += df·x = 1·(−4) = −4           −4    1 of 1
    ///
    /// Gradients
    ///   name  value  gradient
    ///   w         3        −4
    /// ");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_text(&self, options: &TextOptions) -> String {
        let (width, colour) = (options.width.max(NARROW), options.colour);
        let mut out = String::new();
        let title = |out: &mut String, text: &str| {
            for line in wrapped(text, width, 2) {
                *out += &Colour::Bold.paint(&line, colour);
                out.push('\n');
            }
        };
        title(&mut out, &self.headline());
        out.push('\n');
        title(&mut out, "Forward");
        self.forward_table().write(width, colour, &mut out);
        for line in wrapped(&self.memory_line(), width - 2, 2) {
            out.extend(["  ", &Colour::Dim.paint(&line, colour), "\n"]);
        }
        out.push('\n');
        title(&mut out, &self.backward_headline());
        self.backward_table(width >= WIDE).write(width, colour, &mut out);
        let gradients = self.gradient_table();
        if !gradients.is_empty() {
            out.push('\n');
            title(&mut out, "Gradients");
            gradients.write(width, colour, &mut out);
        }
        out
    }

    fn forward_table(&self) -> Table {
        let mut table = Table::new([
            ("#", Colour::Dim, true),
            ("computation", Colour::Green, false),
            ("operation", Colour::None, false),
            ("kept for backward", Colour::None, false),
        ]);
        for (at, node) in self.nodes.iter().enumerate() {
            let explanation = self.explain(Step::Forward(at));
            let mut lines = vec![forward_line(&explanation, node)];
            if !node.value.is_scalar() && node.formula.is_some() {
                lines.extend(products_of_shapes(&explanation));
                lines.extend(explanation.numbers.as_ref().map(|numbers| numbers.text.clone()));
            }
            lines.extend(remarks(&explanation, &[Topic::NotFinite]));
            let mut kept = self.kept_names(at).join(", ");
            if node.kind == Kind::Operation && kept.is_empty() && node.needs_gradient {
                kept.push_str("nothing");
            }
            if node.is_recomputed {
                kept += if kept.is_empty() { "recomputed" } else { "; recomputed" };
            }
            table.row([vec![(at + 1).to_string()], lines, vec![node.op.clone()], vec![kept]]);
        }
        table
    }

    fn backward_table(&self, with_rules: bool) -> Table {
        let columns = [
            ("dx += upstream·local derivative", Colour::None, false),
            ("so far", Colour::Red, true),
            ("received", Colour::None, true),
            ("rule", Colour::Dim, false),
        ];
        let mut table = Table::new(columns.into_iter().take(if with_rules { 4 } else { 3 }));
        for (at, visit) in self.visits.iter().enumerate() {
            table.line(&self.visit_line(at, visit));
            for (k, edge) in visit.edges.iter().enumerate() {
                let explanation = self.explain(Step::Contribution { visit: at, edge: k });
                let mut lines: Vec<String> = vec![format!("  {}", backward_line(&explanation, self, edge.into))];
                lines.extend(products_of_shapes(&explanation).map(|line| format!("    {line}")));
                let topics = [Topic::Broadcast, Topic::Choice, Topic::Entry, Topic::Recomputed, Topic::Hook, Topic::NotFinite];
                lines.extend(remarks(&explanation, &topics).into_iter().map(|line| format!("    {line}")));
                let sum = edge.sum.as_ref().map(brief).unwrap_or_default();
                let received = if edge.contribution.is_some() { format!("{} of {}", edge.nth, edge.of) } else { String::new() };
                let rule = explanation.about(Topic::Rule).map(|note| note.text.clone()).unwrap_or_default();
                table.row([lines, vec![sum], vec![received], vec![rule]].into_iter().take(if with_rules { 4 } else { 3 }));
            }
        }
        table
    }

    fn gradient_table(&self) -> Table {
        let mut table = Table::new([("name", Colour::None, false), ("value", Colour::Green, true), ("gradient", Colour::Red, true)]);
        for node in self.nodes.iter().filter(|node| node.kind == Kind::Variable) {
            let gradient = node.gradient.as_ref().map_or_else(|| "none".to_owned(), |gradient| gradient.short(FEW));
            table.row([vec![node.name.clone()], vec![node.value.short(FEW)], vec![gradient]]);
        }
        table
    }
}

/// A number, or the shape of an array.
pub(super) fn brief(array: &Array) -> String {
    if array.is_scalar() { array.short(1) } else { format!("{:?}", array.shape) }
}

/// `q = x + y = −2 + 5 = 3`, or the formula alone where the value is an array.
pub(super) fn forward_line(explanation: &Explanation, node: &Node) -> String {
    let numbers = explanation.numbers.as_ref().map(|numbers| numbers.text.as_str()).unwrap_or_default();
    match &explanation.formula {
        Some(formula) if node.value.is_scalar() => joined(&clean(&node.name), " = ", &formula.text, numbers),
        Some(formula) => formula.text.clone(),
        None => numbers.to_owned(),
    }
}

/// A formula, and the calculation that has the same left side.
fn joined(left: &str, sign: &str, formula: &str, numbers: &str) -> String {
    match numbers.strip_prefix(left).and_then(|numbers| numbers.strip_prefix(sign)) {
        Some(right) => format!("{formula} = {right}"),
        None => formula.to_owned(),
    }
}

pub(super) fn backward_line(explanation: &Explanation, trace: &Trace, into: usize) -> String {
    let numbers = explanation.numbers.as_ref().map(|numbers| numbers.text.as_str()).unwrap_or_default();
    match explanation.product.as_ref().or(explanation.formula.as_ref()) {
        Some(formula) => joined(&trace.gradient_of(into).text, " += ", &formula.text, numbers),
        None if numbers.is_empty() => format!("{} += …", trace.gradient_of(into).text),
        None => numbers.to_owned(),
    }
}

/// The shapes, where matrices are multiplied.
pub(super) fn products_of_shapes(explanation: &Explanation) -> Option<String> {
    let formula = explanation.about(Topic::Shapes)?.formula.as_ref()?;
    formula.text.contains("]·[").then(|| formula.text.clone())
}

/// What is said about some topics, each in a line.
pub(super) fn remarks(explanation: &Explanation, topics: &[Topic]) -> Vec<String> {
    let notes = explanation.notes.iter().filter(|note| topics.contains(&note.topic));
    let line = |note: &super::Note| match &note.formula {
        Some(formula) if note.topic == Topic::Entry => formula.text.clone(),
        Some(formula) => format!("{}: {}", note.text, formula.text),
        None => note.text.clone(),
    };
    notes.map(line).collect()
}

/// The trace as text for 80 columns, without colour; see [`Trace::to_text`].
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(&TextOptions::default()))
    }
}
