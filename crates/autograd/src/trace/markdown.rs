//! A trace in Markdown: two tables, and the gradients of the leaves.

use super::{
    Kind, Step, Topic, Trace,
    notation::clean,
    text::{self, FEW, backward_line, brief, forward_line, remarks},
};

/// A formula or a name as code, whatever it contains.
fn code(text: &str) -> String {
    let text = clean(text);
    if text.is_empty() {
        return text;
    }
    // A fence is longer than all rows of backticks inside.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let (fence, blank) = ("`".repeat(longest + 1), if text.starts_with('`') || text.ends_with('`') { " " } else { "" });
    // In a table, a bar ends the cell even inside of code.
    format!("{fence}{blank}{}{blank}{fence}", text.replace('|', r"\|"))
}

/// Words, in which no character has a meaning of its own.
fn words(text: &str) -> String {
    clean(text).chars().fold(String::new(), |mut out, c| {
        if matches!(c, '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '$' | '~' | '&') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// A row of a table.
fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The titles of a table, and the line below them.
fn titles(titles: &[(&str, bool)]) -> String {
    let names: Vec<String> = titles.iter().map(|(title, _)| (*title).to_owned()).collect();
    let line: Vec<&str> = titles.iter().map(|(_, to_the_right)| if *to_the_right { "---:" } else { "---" }).collect();
    row(&names) + &format!("| {} |\n", line.join(" | "))
}

impl Trace {
    /// The trace in Markdown: a table of the forward pass, one of the backward pass with what each rule means, and the gradients of the leaves.
    /// The same run gives the same text.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(3.0).named("a");
    /// let markdown = (a + a).named("b").trace()?.to_markdown();
    /// assert!(markdown.contains("| 2 | `b = a + a = 3 + 3 = 6` | `[]` | add | nothing |\n"), "{markdown}");
    /// assert!(markdown.contains("| `b` | `da += db·1 = 1·1 = 1` | `2` | 2 of 2 | The slope is 1: b hands its gradient on unchanged |\n"));
    /// assert!(markdown.ends_with("| `a` | `3` | `2` |\n"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!("# {}\n\n## Forward\n\n", words(&self.headline()));
        out += &titles(&[("#", true), ("computation", false), ("shape", false), ("operation", false), ("kept for backward", false)]);
        for (at, node) in self.nodes.iter().enumerate() {
            let explanation = self.explain(Step::Forward(at));
            let mut lines = vec![code(&forward_line(&explanation, node))];
            if !node.value.is_scalar() && node.formula.is_some() {
                lines.extend(explanation.numbers.iter().map(|numbers| code(&numbers.text)));
            }
            lines.extend(remarks(&explanation, &[Topic::NotFinite, Topic::Recomputed]).iter().map(|line| words(line)));
            let kept = self.kept_names(at);
            let kept = match (kept.is_empty(), node.kind == Kind::Operation && node.needs_gradient) {
                (true, true) => "nothing".to_owned(),
                _ => kept.iter().map(|name| code(name)).collect::<Vec<_>>().join(", "),
            };
            let shape = code(&format!("{:?}", node.value.shape));
            out += &row(&[(at + 1).to_string(), lines.join("<br>"), shape, words(&node.op), kept]);
        }
        out.extend(["\n", &words(&self.memory_line()), "\n\n## ", &words(&self.backward_headline()), "\n\n"]);
        out += &titles(&[("from", false), ("contribution", false), ("so far", true), ("received", true), ("rule", false)]);
        for (at, visit) in self.visits.iter().enumerate() {
            for (k, edge) in visit.edges.iter().enumerate() {
                let explanation = self.explain(Step::Contribution { visit: at, edge: k });
                let mut lines = vec![code(&backward_line(&explanation, self, edge.into))];
                lines.extend(text::products_of_shapes(&explanation).iter().map(|shapes| code(shapes)));
                lines.extend(remarks(&explanation, &[Topic::Entry]).iter().map(|entry| code(entry)));
                let topics = [Topic::Rule, Topic::Broadcast, Topic::Choice, Topic::Recomputed, Topic::Hook, Topic::Cap, Topic::NotFinite];
                let remarks: Vec<String> = remarks(&explanation, &topics).iter().map(|line| words(line)).collect();
                let sum = edge.sum.as_ref().map(|sum| code(&brief(sum))).unwrap_or_default();
                let received = if edge.contribution.is_some() { format!("{} of {}", edge.nth, edge.of) } else { String::new() };
                out += &row(&[code(&self.named(visit.node).text), lines.join("<br>"), sum, received, remarks.join("<br>")]);
            }
        }
        out += "\n## Gradients\n\n";
        out += &titles(&[("name", false), ("value", true), ("gradient", true)]);
        for node in self.nodes.iter().filter(|node| node.kind == Kind::Variable) {
            let gradient = node.gradient.as_ref().map_or_else(|| "none".to_owned(), |gradient| code(&gradient.short(FEW)));
            out += &row(&[code(&node.name), code(&node.value.short(FEW)), gradient]);
        }
        out
    }
}
