//! A trace as a picture: the graph with its values and gradients, drawn without any other program.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use super::{
    Array, Kind, Trace,
    layout::{Layout, columns, layout},
};
use crate::{
    elementary::number,
    plot::svg::{Escaped, Px, width_of},
};

/// Graphs with more nodes than this are drawn layer by layer, and if that does not help, in blocks of nodes.
const READABLE: usize = 120;
/// The sizes of letters: of names, and of numbers.
const NAME: f64 = 13.0;
const SMALL: f64 = 12.0;
const LINE: f64 = 17.0;
/// The widest text in a box.
const WIDEST: usize = 26;

/// A box of the drawing: a node, or several.
struct Block {
    nodes: Vec<usize>,
    lines: Vec<(String, Role)>,
}

/// What a line of a box is, and so how it is written.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Name,
    Formula,
    Value,
    Gradient,
    Note,
}

impl Trace {
    /// The graph as SVG: a box for each node with its formula, its value (green) and its gradient (red, after ∂), in the colours of the notes of
    /// `CS231n`; at the ends of the lines stand the contributions that come back along them, where a node gets several.
    ///
    /// Of a graph with more than 120 nodes, the layers (from names such as `layers.0.weight`) are one box each, and if there are none, or still
    /// too many, the nodes at the same depth are; the caption says so. The text is the same for the same trace.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(2.0).named("a"), g.variable(3.0).named("b"));
    /// let svg = (a * b).trace()?.to_svg();
    /// assert!(svg.starts_with("<svg") && svg.contains("a·b"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (blocks, note) = self.blocks();
        let mut block_of = vec![0; self.nodes.len()];
        for (k, block) in blocks.iter().enumerate() {
            block.nodes.iter().for_each(|&node| block_of[node] = k);
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        let mut labels: Vec<Option<String>> = Vec::new();
        let mut seen = HashSet::new();
        for (to, node) in self.nodes.iter().enumerate() {
            for (k, &from) in node.inputs.iter().enumerate() {
                let edge = (block_of[from], block_of[to]);
                // Lines within a block are not seen, and of several between two blocks one is enough.
                if edge.0 == edge.1 || (note.is_some() && !seen.insert(edge)) {
                    continue;
                }
                edges.push(edge);
                labels.push(if note.is_none() { self.contribution_label(to, k) } else { None });
            }
        }
        // What goes back to an earlier block is drawn from right to left.
        let forward: Vec<(usize, usize)> = edges.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
        let sizes: Vec<(f64, f64)> = blocks.iter().map(Block::size).collect();
        let drawing = layout(&sizes, &forward);
        self.draw(&blocks, &drawing, &labels, note.as_deref())
    }

    /// The contribution that comes back along a line, where it is not all that its node gets.
    fn contribution_label(&self, to: usize, input: usize) -> Option<String> {
        let visit = self.visits.iter().find(|visit| visit.node == to)?;
        let edge = visit.edges.iter().find(|edge| edge.input == input)?;
        let d = edge.contribution.as_ref()?;
        (edge.of > 1 && d.is_scalar()).then(|| d.item().map(number)).flatten()
    }

    /// The boxes of the drawing, in an order in which lines go forward as far as they can, and what has to be said about them.
    fn blocks(&self) -> (Vec<Block>, Option<String>) {
        let single = || (0..self.nodes.len()).map(|node| self.block(vec![node])).collect();
        if self.nodes.len() <= READABLE {
            return (single(), None);
        }
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (node, of) in self.nodes.iter().enumerate() {
            let new = parts.len();
            let place = of.group.as_deref().map_or(new, |group| *places.entry(group).or_insert(new));
            if place == new {
                parts.push(Vec::new());
            }
            parts[place].push(node);
        }
        let n = self.nodes.len();
        if parts.len() <= READABLE {
            let note = format!("{n} nodes; the nodes of a layer are drawn as one box");
            return (parts.into_iter().map(|nodes| self.block(nodes)).collect(), Some(note));
        }
        let edges: Vec<(usize, usize)> = (0..n).flat_map(|to| self.nodes[to].inputs.iter().map(move |&from| (from, to))).collect();
        let columns = columns(n, &edges);
        let deepest = columns.iter().max().map_or(1, |column| column + 1);
        let run = deepest.div_ceil(READABLE / 4);
        let mut parts: Vec<Vec<usize>> = vec![Vec::new(); deepest.div_ceil(run)];
        for (node, column) in columns.iter().enumerate() {
            parts[column / run].push(node);
        }
        let steps = if run == 1 { "at the same depth".to_owned() } else { format!("of {run} neighbouring depths") };
        let note = format!("{n} nodes; those {steps} (the longest way from a leaf) are drawn as one box");
        (parts.into_iter().map(|nodes| self.block(nodes)).collect(), Some(note))
    }

    fn block(&self, nodes: Vec<usize>) -> Block {
        let mut lines = Vec::new();
        if let [node] = nodes[..] {
            let node = &self.nodes[node];
            // Within a layer its name need not be said.
            let short = |name: &str| Some(name.strip_prefix(node.group.as_ref()?.as_str())?.strip_prefix('.')?.to_owned());
            let op = node.formula.as_ref().map(|formula| shortened(&formula.renamed(short).to_string()));
            lines.push((shortened(&node.name), Role::Name));
            match (op, node.kind) {
                (Some(op), _) => lines.push((format!("= {op}"), Role::Formula)),
                (None, Kind::Constant) => lines.push(("constant".into(), Role::Note)),
                (None, Kind::Scoped) => lines.push(("from a scope".into(), Role::Note)),
                _ => {}
            }
            lines.extend(in_box(&node.value).into_iter().map(|text| (text, Role::Value)));
            if let Some(gradient) = &node.gradient {
                lines.extend(
                    in_box(gradient)
                        .into_iter()
                        .enumerate()
                        .map(|(k, text)| (if k == 0 { format!("∂ {text}") } else { text }, Role::Gradient)),
                );
            }
        } else if let (Some(&first), Some(&last)) = (nodes.first(), nodes.last()) {
            let name = self.nodes[first].group.clone().filter(|group| nodes.iter().all(|&k| self.nodes[k].group.as_ref() == Some(group)));
            lines.push((shortened(&name.unwrap_or_else(|| format!("{} … {}", self.nodes[first].name, self.nodes[last].name))), Role::Name));
            lines.push((format!("{} nodes", nodes.len()), Role::Note));
            let mut ops: Vec<&str> = Vec::new();
            for &node in nodes.iter().filter(|&&node| self.nodes[node].kind == Kind::Operation) {
                if !ops.contains(&&*self.nodes[node].op) {
                    ops.push(&self.nodes[node].op);
                }
            }
            lines.push((shortened(&ops.join(", ")), Role::Formula));
        }
        Block { nodes, lines }
    }

    fn draw(&self, blocks: &[Block], drawing: &Layout, labels: &[Option<String>], note: Option<&str>) -> String {
        let foot = if note.is_some() { 24.0 } else { 0.0 };
        let (width, height) = (drawing.width.max(note.map_or(0.0, |note| width_of(note, SMALL) + 32.0)), drawing.height + foot);
        let root = self.nodes.last().map_or("", |node| node.name.as_str());
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" font-family=\"sans-serif\" \
             font-size=\"{SMALL}\">\n<title>The graph of {}</title>\n<desc>{}</desc>\n<rect width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"#fff\"/>\n",
            Escaped(root),
            Escaped(&self.in_words()),
            w = Px(width),
            h = Px(height),
        );
        for wire in &drawing.wires {
            let _ = writeln!(out, "<path d=\"{}\" fill=\"none\" stroke=\"#8a8a8a\" stroke-width=\"1.4\"/>", curve(wire));
            if let Some(&(x, y)) = wire.last() {
                let _ = writeln!(out, "<path d=\"M{} {}l-7-3.5v7z\" fill=\"#8a8a8a\"/>", Px(x), Px(y));
            }
        }
        for (wire, label) in drawing.wires.iter().zip(labels) {
            if let (Some(label), Some(&(x, y))) = (label, wire.last()) {
                let _ = writeln!(
                    out,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#b3261e\" font-size=\"11\" stroke=\"#fff\" stroke-width=\"3\" \
                     paint-order=\"stroke\">{}</text>",
                    Px(x - 8.0),
                    Px(y - 4.0),
                    Escaped(label)
                );
            }
        }
        for (block, &(x, y)) in blocks.iter().zip(&drawing.middles) {
            let (w, h) = block.size();
            let (left, top) = (x - w / 2.0, y - h / 2.0);
            let (fill, stroke, round) = match block.nodes[..] {
                [node] => match self.nodes[node].kind {
                    Kind::Variable => ("#eef4fb", "#2f6db0", 14.0),
                    Kind::Constant | Kind::Detached | Kind::Scoped => ("#f4f4f4", "#8a8a8a", 14.0),
                    Kind::Operation | Kind::Output => ("#fffdf6", "#4a4a4a", 4.0),
                },
                _ => ("#f6f2fa", "#6b4a96", 4.0),
            };
            let _ = writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"/>",
                Px(left),
                Px(top),
                Px(w),
                Px(h)
            );
            for (k, (text, role)) in block.lines.iter().enumerate() {
                let style = match role {
                    Role::Name => "fill=\"#111\" font-weight=\"bold\" font-size=\"13\"",
                    Role::Formula => "fill=\"#333\" font-style=\"italic\"",
                    Role::Value => "fill=\"#1b6e2f\"",
                    Role::Gradient => "fill=\"#b3261e\"",
                    Role::Note => "fill=\"#555\"",
                };
                let _ = writeln!(
                    out,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" {style}>{}</text>",
                    Px(x),
                    Px(top + 6.0 + LINE * (k as f64 + 0.72)),
                    Escaped(text)
                );
            }
        }
        if let Some(note) = note {
            let _ = writeln!(out, "<text x=\"16\" y=\"{}\" fill=\"#555\">{}</text>", Px(drawing.height + 8.0), Escaped(note));
        }
        out + "</svg>\n"
    }

    /// The picture in words, for who cannot see it.
    fn in_words(&self) -> String {
        const MOST: usize = 40;
        let mut sentences: Vec<String> = self
            .nodes
            .iter()
            .take(MOST)
            .map(|node| {
                let formula = node.formula.as_ref().map(|formula| format!(" = {formula}")).unwrap_or_default();
                let gradient = node.gradient.as_ref().map(|g| format!(", gradient {}", g.short(6))).unwrap_or_default();
                format!("{}{formula} = {}{gradient}.", node.name, node.value.short(6))
            })
            .collect();
        if self.nodes.len() > MOST {
            sentences.push(format!("And {} more nodes.", self.nodes.len() - MOST));
        }
        sentences.join(" ")
    }
}

impl Block {
    fn size(&self) -> (f64, f64) {
        let width = |(text, role): &(String, Role)| width_of(text, if *role == Role::Name { NAME * 1.08 } else { SMALL });
        let widest = self.lines.iter().map(width).fold(36.0, f64::max);
        (widest + 20.0, LINE * self.lines.len() as f64 + 12.0)
    }
}

/// A text of at most 26 letters.
fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDEST { text.to_owned() } else { text.chars().take(WIDEST - 1).chain(['…']).collect() }
}

/// An array in a box: a number, a few rows, or its shape and extremes.
fn in_box(array: &Array) -> Vec<String> {
    if let Some(v) = array.item() {
        return vec![if array.is_scalar() { number(v) } else { array.short(1) }];
    }
    let rows = array.shape.len() == 2 && array.shape[0] <= 3 && array.shape[1] <= 4;
    match &array.elements {
        Some(elements) if rows || (array.shape.len() == 1 && elements.len() <= 4) => {
            let width = array.shape.last().copied().unwrap_or(1).max(1);
            let row = |row: &[f64]| row.iter().map(|v| number(*v)).collect::<Vec<_>>().join(", ");
            let lines: Vec<String> = elements.chunks(width).map(row).collect();
            if lines.iter().all(|line| line.chars().count() <= WIDEST + 6) { lines } else { summary(array) }
        }
        _ => summary(array),
    }
}

fn summary(array: &Array) -> Vec<String> {
    vec![format!("{:?}", array.shape), format!("{} … {}", number(array.min), number(array.max))]
}

/// A smooth line through points.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (k, &(x, y)) in points.iter().enumerate() {
        if k == 0 {
            let _ = write!(path, "M{} {}", Px(x), Px(y));
        } else {
            let (from, half) = (points[k - 1], (x - points[k - 1].0) / 2.0);
            if (y - from.1).abs() < 0.05 {
                let _ = write!(path, "L{} {}", Px(x), Px(y));
            } else {
                let _ = write!(path, "C{} {} {} {} {} {}", Px(from.0 + half), Px(from.1), Px(x - half), Px(y), Px(x), Px(y));
            }
        }
    }
    path
}
