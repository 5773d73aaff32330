//! A trace as a flow chart for Mermaid.

use super::{
    Kind, Node, Trace,
    notation::clean,
    text::{FEW, brief},
};

/// A text in double quotes, in which all signs that have a meaning are written as entities.
fn quoted(lines: &[String]) -> String {
    let escaped = |text: &String| {
        clean(text).chars().fold(String::new(), |mut out, c| {
            match c {
                '"' | '#' | '<' | '>' | '&' | '\\' | '|' | '`' | '$' | ';' | '{' | '}' | '(' | ')' | '[' | ']' => {
                    out.extend(["#", &u32::from(c).to_string(), ";"]);
                }
                c => out.push(c),
            }
            out
        })
    };
    format!("\"{}\"", lines.iter().map(escaped).collect::<Vec<_>>().join("<br/>"))
}

fn label(node: &Node) -> String {
    let mut lines = vec![node.name.clone(), node.op.clone(), node.value.short(FEW)];
    lines.extend(node.gradient.as_ref().map(|gradient| format!("grad {}", gradient.short(FEW))));
    quoted(&lines)
}

impl Trace {
    /// The trace as a flow chart in the language of Mermaid, which GitHub and many editors draw from Markdown: layers as subgraphs, an arrow for
    /// each operand, and a dotted one for each contribution to a gradient.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(3.0).named("a");
    /// let mermaid = (a + a).named("b").trace()?.to_mermaid();
    /// assert_eq!(mermaid, "\
    /// flowchart LR
    ///   n0([\"a<br/>variable<br/>3<br/>grad 2\"])
    ///   n1[\"b<br/>add<br/>6<br/>grad 1\"]
    ///   n0 --> n1
    ///   n0 --> n1
    ///   n1 -.->|\"+= 1\"| n0
    ///   n1 -.->|\"+= 1\"| n0
    /// ");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut out = vec!["flowchart LR\n".to_owned()];
        let node = |at: usize| {
            let node = &self.nodes[at];
            let (open, close) = if node.kind == Kind::Variable { ("([", "])") } else { ("[", "]") };
            format!("n{at}{open}{}{close}\n", label(node))
        };
        let (layers, others) = self.layers();
        for (k, (name, nodes)) in layers.iter().enumerate() {
            out.push(format!("  subgraph layer{k}[{}]\n", quoted(&[(*name).to_owned()])));
            for &at in nodes {
                out.push(format!("    {}", node(at)));
            }
            out.push("  end\n".to_owned());
        }
        for &at in &others {
            out.push(format!("  {}", node(at)));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for x in &node.inputs {
                out.push(format!("  n{x} --> n{at}\n"));
            }
        }
        for visit in &self.visits {
            for edge in &visit.edges {
                let Some(contribution) = &edge.contribution else { continue };
                out.push(format!("  n{} -.->|{}| n{}\n", visit.node, quoted(&[format!("+= {}", brief(contribution))]), edge.into));
            }
        }
        out.concat()
    }
}
