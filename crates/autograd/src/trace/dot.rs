//! A trace as a graph for Graphviz.

use super::{
    Kind, Node, Trace,
    notation::clean,
    text::{FEW, brief},
};

/// A text in double quotes, as it is.
fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', r"\\").replace('"', "\\\""))
}

/// A field of a record in double quotes: the signs of records are written with a backslash too.
fn field(text: &str) -> String {
    clean(text).chars().fold(String::new(), |mut out, c| {
        match c {
            '\\' => out += r"\\",
            '"' => out += "\\\"",
            '{' | '}' | '|' | '<' | '>' => out.extend(['\\', c]),
            c => out.push(c),
        }
        out
    })
}

fn record(node: &Node) -> String {
    let mut fields = vec![node.name.clone(), node.op.clone(), node.value.short(FEW)];
    fields.extend(node.gradient.as_ref().map(|gradient| format!("grad {}", gradient.short(FEW))));
    let fields: Vec<String> = fields.iter().map(|text| field(text)).collect();
    format!("\"{}\"", fields.join(" | "))
}

impl Trace {
    /// The layers, in the order in which they first occur, with their nodes; and the nodes that belong to none.
    pub(super) fn layers(&self) -> (Vec<(&str, Vec<usize>)>, Vec<usize>) {
        let (mut layers, mut others): (Vec<(&str, Vec<usize>)>, Vec<usize>) = (Vec::new(), Vec::new());
        for (at, node) in self.nodes.iter().enumerate() {
            match node.group.as_deref() {
                None => others.push(at),
                Some(name) => match layers.iter_mut().find(|(layer, _)| *layer == name) {
                    Some((_, nodes)) => nodes.push(at),
                    None => layers.push((name, vec![at])),
                },
            }
        }
        (layers, others)
    }

    /// The trace as a graph in the language of Graphviz: a record with name, operation, value and gradient for each node, layers as clusters
    /// whose parameters share a rank, an edge for each operand, and a dashed one for each contribution to a gradient.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(3.0).named("a");
    /// let dot = (a + a).named("b").trace()?.to_dot();
    /// assert!(dot.contains(r#"n1 [label="b | add | 6 | grad 1"];"#), "{dot}");
    /// assert_eq!((dot.matches("n0 -> n1").count(), dot.matches("n1 -> n0").count()), (2, 2));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        // Without the new way of ranking, Graphviz loses edges that leave a cluster and come back.
        let head = "digraph trace {\n  rankdir=LR;\n  newrank=true;\n  node [shape=record, fontname=\"monospace\"];\n";
        let mut out = vec![head.to_owned(), "  edge [fontname=\"monospace\"];\n".to_owned()];
        let node = |at: usize| {
            let node = &self.nodes[at];
            let style = match node.kind {
                Kind::Variable => ", style=bold",
                Kind::Constant | Kind::Detached | Kind::Scoped => ", color=gray40",
                Kind::Operation | Kind::Output => "",
            };
            format!("n{at} [label={}{style}];\n", record(node))
        };
        let (layers, others) = self.layers();
        for (k, (name, nodes)) in layers.iter().enumerate() {
            out.push(format!("  subgraph cluster_{k} {{\n    label={};\n", quoted(name)));
            for &at in nodes {
                out.push(format!("    {}", node(at)));
            }
            let parameters: Vec<String> =
                nodes.iter().filter(|&&at| self.nodes[at].inputs.is_empty()).map(|at| format!("n{at};")).collect();
            if parameters.len() > 1 {
                out.push(format!("    {{ rank=same; {} }}\n", parameters.join(" ")));
            }
            out.push("  }\n".to_owned());
        }
        for &at in &others {
            out.push(format!("  {}", node(at)));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for x in &node.inputs {
                out.push(format!("  n{x} -> n{at};\n"));
            }
        }
        for visit in &self.visits {
            for edge in &visit.edges {
                let Some(contribution) = &edge.contribution else { continue };
                let label = quoted(&format!("+= {}", brief(contribution)));
                let style = "style=dashed, color=firebrick, fontcolor=firebrick, constraint=false";
                out.push(format!("  n{} -> n{} [label={label}, {style}];\n", visit.node, edge.into));
            }
        }
        out.push("}\n".to_owned());
        out.concat()
    }
}
