//! Traces in words and in other formats: published examples to the byte, and random programs and hostile names that break nothing.

use std::{cell::Cell, fs, path::Path};

use autograd::{
    Graph, Indices, Tensor, Var,
    op::catalogue,
    tensor,
    trace::{Notation, Step, TextOptions, Topic, Trace},
};
use nn::loss::cross_entropy;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::programs::{directions, each_program};

fn fan_out() -> Trace {
    let g = Graph::<f64>::new();
    let b = g.variable(3.0).named("b");
    (b + b).named("a").trace().unwrap()
}

/// `CS231n`, "Backpropagation, Intuitions".
fn circuit() -> Trace {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
    ((x + y).named("q") * z).named("f").trace().unwrap()
}

/// Matt Mazur, "A Step by Step Backpropagation Example".
pub(crate) fn mazur() -> Trace {
    let g = Graph::<f64>::new();
    let leaf = |name: &str, v: f64| g.variable(v).named(name);
    let (i1, i2) = (g.constant(0.05).named("i1"), g.constant(0.10).named("i2"));
    let [w1, w2, w3, w4] = [("w1", 0.15), ("w2", 0.20), ("w3", 0.25), ("w4", 0.30)].map(|(n, v)| leaf(n, v));
    let [w5, w6, w7, w8] = [("w5", 0.40), ("w6", 0.45), ("w7", 0.50), ("w8", 0.55)].map(|(n, v)| leaf(n, v));
    let (b1, b2) = (leaf("b1", 0.35), leaf("b2", 0.60));
    let h1 = (w1 * i1 + w2 * i2 + b1).named("net_h1").sigmoid().named("out_h1");
    let h2 = (w3 * i1 + w4 * i2 + b1).named("net_h2").sigmoid().named("out_h2");
    let o1 = (w5 * h1 + w6 * h2 + b2).named("net_o1").sigmoid().named("out_o1");
    let o2 = (w7 * h1 + w8 * h2 + b2).named("net_o2").sigmoid().named("out_o2");
    let e1 = (0.5 * (g.constant(0.01).named("t1") - o1).square()).named("E_o1");
    let e2 = (0.5 * (g.constant(0.99).named("t2") - o2).square()).named("E_o2");
    (e1 + e2).named("E").trace().unwrap()
}

/// Two layers and softmax cross-entropy on four examples, with numbers that are exact; Z1 is 0 in places, so that relu has ties.
fn mlp() -> Trace {
    let g = Graph::<f64>::new();
    let x = g.constant(tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).named("X");
    let w1 = g.variable(tensor![[1.0, -1.0, 0.5], [1.0, 0.5, -1.0]]).named("hidden.W1");
    let b1 = g.variable(tensor![0.0, 0.5, 0.25]).named("hidden.b1");
    let w2 = g.variable(tensor![[1.0, 0.0, -1.0], [0.5, 1.0, 0.0], [0.0, -0.5, 1.0]]).named("out.W2");
    let b2 = g.variable(tensor![0.0, 0.25, 0.0]).named("out.b2");
    let a1 = (x.matmul(w1).named("XW") + b1).named("Z1").relu().named("A1");
    let z2 = (a1.matmul(w2) + b2).named("Z2");
    cross_entropy(z2, &Indices::from(vec![0, 1, 1, 2])).named("L").trace().unwrap()
}

type Format = (&'static str, fn(&Trace) -> String);

const FORMATS: [Format; 5] = [
    ("txt", ToString::to_string),
    ("md", Trace::to_markdown),
    ("tex", Trace::to_latex),
    ("dot", Trace::to_dot),
    ("mmd", Trace::to_mermaid),
];

#[test]
fn published_examples_look_as_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/traces");
    for (name, trace) in [("fan_out", fan_out()), ("circuit", circuit()), ("mazur", mazur()), ("mlp", mlp())] {
        assert!(trace.verify().unwrap() < 1e-14);
        for (extension, write) in FORMATS {
            let (path, found) = (folder.join(format!("{name}.{extension}")), write(&trace));
            if std::env::var_os("UPDATE_DOCS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &found).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == expected, "{name}.{extension} has changed; UPDATE_DOCS=1 writes it anew:\n{found}");
        }
    }
}

#[test]
fn the_same_run_gives_the_same_text() {
    for (extension, write) in FORMATS {
        assert!(write(&mazur()) == write(&mazur()) && write(&mlp()) == write(&mlp()), "{extension}");
        // What was read from JSON is shown in the same way.
        let read = Trace::from_json(&mlp().to_json()).unwrap();
        assert!(write(&read) == write(&mlp()), "{extension}");
    }
}

/// The text without the signs for colours.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('\u{1b}');
    out += parts.next().unwrap();
    parts.for_each(|part| out += part.split_once('m').unwrap().1);
    out
}

/// Whether all that is opened is closed, and no sign that LaTeX would misread stands alone.
fn assert_latex(latex: &str) {
    let mut open = Vec::new();
    let mut rest = latex;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
                match &*word {
                    "" => rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..],
                    "begin" | "end" => {
                        let name = rest.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
                        rest = &rest[word.len() + name.len() + 2..];
                        if word == "begin" {
                            open.push(name);
                        } else {
                            assert_eq!(open.pop(), Some(name), "{latex}");
                        }
                    }
                    "left" => open.push("left".into()),
                    "right" => assert_eq!(open.pop().as_deref(), Some("left"), "{latex}"),
                    _ => rest = &rest[word.len()..],
                }
            }
            '{' => open.push("{".into()),
            '}' => assert_eq!(open.pop().as_deref(), Some("{"), "{latex}"),
            '&' => assert!(open.iter().any(|name| name == "align*" || name == "bmatrix"), "{latex}"),
            '$' | '#' | '%' | '~' => panic!("{c} in {latex}"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed in {latex}");
}

/// A label of a flow chart: text, entities and line breaks.
fn assert_mermaid_label(label: &str) {
    let mut rest = label.replace("<br/>", " ");
    while let Some((_, entity)) = rest.clone().split_once('#') {
        let (digits, after) = entity.split_once(';').unwrap();
        assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()), "{label}");
        after.clone_into(&mut rest);
    }
    let text: String = label.replace("<br/>", " ").split('#').map(|part| part.split_once(';').map_or(part, |(_, text)| text)).collect();
    assert!(!text.contains(['"', '<', '>', '\\', '|', '`', '$', '[', ']', '(', ')', '{', '}', '&', '\n']), "{label}");
}

/// The grammar of the flow charts: subgraphs, nodes, arrows.
fn assert_mermaid(mermaid: &str) {
    let is_node = |id: &str| id.strip_prefix('n').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let mut lines = mermaid.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let mut depth = 0;
    for line in lines.map(str::trim) {
        if let Some(label) = line.strip_prefix("subgraph layer") {
            depth += 1;
            assert_mermaid_label(label.split_once("[\"").unwrap().1.strip_suffix("\"]").unwrap());
        } else if line == "end" {
            depth -= 1;
        } else if let Some((from, to)) = line.split_once(" --> ") {
            assert!(is_node(from) && is_node(to), "{line}");
        } else if let Some((from, to)) = line.split_once(" -.->|\"") {
            let (label, to) = to.split_once("\"| ").unwrap();
            assert!(is_node(from) && is_node(to), "{line}");
            assert_mermaid_label(label);
        } else {
            let (id, label) = line.split_once(['(', '[']).unwrap();
            assert!(is_node(id), "{line}");
            let label = label.trim_start_matches(['(', '[']).strip_prefix('"').unwrap();
            let label = label.strip_suffix("\"]").or_else(|| label.strip_suffix("\"])")).unwrap();
            assert_mermaid_label(label);
        }
    }
    assert_eq!(depth, 0);
}

/// The fields of a record, read as Graphviz does.
fn fields(label: &str) -> Vec<String> {
    let (mut fields, mut rest) = (vec![String::new()], label.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' => fields.last_mut().unwrap().push(rest.next().unwrap()),
            '|' => fields.push(String::new()),
            '{' | '}' | '<' | '>' => panic!("{c} in {label}"),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

/// Texts in quotes are closed on their line, and records have the fields that they should.
fn assert_dot(dot: &str, trace: &Trace) {
    let mut records = 0;
    for line in dot.lines() {
        let quotes = line.replace(r"\\", "").replace("\\\"", "").matches('"').count();
        assert_eq!(quotes % 2, 0, "{line}");
        let Some((id, rest)) = line.split_once(" [label=\"") else { continue };
        let Some(at) = id.trim().strip_prefix('n').and_then(|id| id.parse::<usize>().ok()) else { continue };
        let mut end = 0;
        while !rest[end..].starts_with('"') {
            end += if rest[end..].starts_with('\\') { 2 } else { rest[end..].chars().next().unwrap().len_utf8() };
        }
        let (found, node) = (fields(&rest[..end]), &trace.nodes[at]);
        assert_eq!(found.len(), 3 + usize::from(node.gradient.is_some()), "{line}");
        let name: String = node.name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
        assert_eq!((&*found[0], &found[1]), (name.trim(), &node.op), "{line}");
        records += 1;
    }
    assert_eq!(records, trace.nodes.len());
    let edges = trace.nodes.iter().map(|node| node.inputs.len()).sum::<usize>();
    let backward = trace.visits.iter().flat_map(|visit| &visit.edges).filter(|edge| edge.contribution.is_some()).count();
    assert_eq!((dot.matches("style=dashed").count(), dot.lines().filter(|line| is_arrow(line)).count()), (backward, edges + backward));
}

fn is_arrow(line: &str) -> bool {
    let Some((from, to)) = line.trim().split_once(" -> n") else { return false };
    from.strip_prefix('n').is_some_and(|id| id.parse::<usize>().is_ok()) && to.starts_with(|c: char| c.is_ascii_digit())
}

/// Every row of a table has as many cells as its titles, and every fence of code is closed.
fn assert_markdown(markdown: &str) {
    let mut columns = 0;
    for line in markdown.lines() {
        let bars = line.replace(r"\\", "").replace(r"\|", "").matches('|').count();
        if line.starts_with("| ---") {
            columns = bars;
        } else if line.starts_with('|') && columns > 0 {
            assert_eq!(bars, columns, "{line}");
        } else {
            columns = 0;
        }
    }
}

/// All formats of a trace, and all that is said about its steps.
fn assert_written_well(trace: &Trace) {
    for width in [40, 120] {
        let text = trace.to_text(&TextOptions::default().width(width));
        for line in text.lines() {
            assert!(line.chars().count() <= width && line.trim_end() == line, "{width}: {line:?}");
        }
    }
    let text = trace.to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(plain(&trace.to_text(&TextOptions::default().colour(true))), text);
    for step in trace.steps() {
        let explanation = trace.explain(step);
        assert!(!explanation.title.is_empty());
        let all = [&explanation.formula, &explanation.local, &explanation.product, &explanation.numbers, &explanation.sum];
        let formulas = all.into_iter().flatten().chain(explanation.notes.iter().filter_map(|note| note.formula.as_ref()));
        for Notation { text, latex, .. } in formulas {
            assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
            assert_latex(
                &latex
                    .replace("\\begin{bmatrix}", "\\begin{align*}\\begin{bmatrix}")
                    .replace("\\end{bmatrix}", "\\end{bmatrix}\\end{align*}"),
            );
        }
        for note in &explanation.notes {
            assert!(!note.text.is_empty() && !note.text.contains(char::is_control), "{note:?}");
        }
    }
    assert_latex(&trace.to_latex());
    assert_markdown(&trace.to_markdown());
    assert_dot(&trace.to_dot(), trace);
    assert_mermaid(&trace.to_mermaid());
}

#[test]
fn random_programs_are_written_well() {
    let lines = Cell::new(0);
    each_program(|program| {
        let (g, x) = (Graph::new(), program.point_by(0));
        let leaves = program.leaves(&g, &x);
        let y = program.in_parts(&leaves, &|part| part());
        let weights = directions([&y.value().unwrap()], 7).remove(0);
        let trace = (y * g.constant(weights)).sum().trace().unwrap();
        assert_written_well(&trace);
        lines.set(lines.get() + trace.to_string().lines().count());
        Ok(())
    });
    assert!(lines.get() > 5_000, "{}", lines.get());
}

#[test]
fn every_operation_is_written_well() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for entry in catalogue() {
        for sample in entry.samples {
            let g = Graph::new();
            let draw = |(shape, (low, high)): &(&[usize], (f64, f64))| Tensor::uniform(*low, *high, *shape, &mut rng).unwrap();
            let x: Vec<Var<'_, f64>> = sample.inputs.iter().map(draw).map(|x| g.variable(x)).collect();
            let y = (sample.run)(&x);
            let weights = directions([&y.value().unwrap()], 3).remove(0);
            assert_written_well(&(y * g.constant(weights)).sum().trace().unwrap());
        }
    }
}

#[test]
fn names_break_nothing() {
    let names = [
        "a\"b",
        "x < y",
        "p|q",
        "two\nlines",
        r"back\slash",
        r"ends in \",
        "$x$",
        "`code`",
        "a`",
        "{brace",
        "brace}",
        "50% & #1",
        "~^_",
        "a = b",
        "y += 1",
        "\u{1b}[31m",
        "",
        " ",
        "重み",
        "θ",
        "w₁",
        "σ2",
        "d(x)",
        "end",
        "]-->[",
        "<script>",
        "x\u{0}",
        "'",
        "a_b_c",
        "_",
        "]ᵀ",
        "\\\"",
        "a name that is much longer than any line of a table may ever be, and then some more words, to be sure of it",
        "onewordwithoutanyblankinitthatislongerthanaline_onewordwithoutanyblankinitthatislongerthanaline",
    ];
    for name in names {
        for other in ["y", name, "a = b"] {
            let g = Graph::<f64>::new();
            let (a, w) = (g.variable(-2.0).named(name), g.variable(tensor![[1.0, 2.0], [3.0, -4.0]]).named(&format!("{name}.{name}")));
            let b = (a * w + a).named(other);
            assert_written_well(&(b.matmul(w).tanh() * a).sum().named(name).trace().unwrap());
        }
    }
}

/// The words on the contribution to a node by the node that was computed from it.
fn rule(trace: &Trace, into: &str) -> String {
    let mut steps = trace.steps().into_iter();
    let is_it = |step: &Step| matches!(step, Step::Contribution { visit, edge } if trace.nodes[trace.visits[*visit].edges[*edge].into].name == into);
    let explanation = trace.explain(steps.find(is_it).unwrap());
    explanation.about(Topic::Rule).unwrap().text.clone()
}

#[test]
fn what_rules_mean_is_read_from_their_formulas() {
    let of = |run: fn(Var<'_, f64>) -> Var<'_, f64>| {
        let g = Graph::<f64>::new();
        rule(&run(g.variable(0.5).named("x")).named("y").trace().unwrap(), "x")
    };
    assert_eq!(of(|x| x + 1.0), "The slope is 1: y hands its gradient on unchanged");
    assert_eq!(of(|x| -x), "The slope is −1: y hands its gradient on with the sign changed");
    assert_eq!(of(|x| 3.0 * x), "The slope is the same everywhere: the gradient is scaled by 3");
    assert_eq!(of(|x| x.tanh()), "The slope depends only on the result y: with that kept, x is not needed");
    assert_eq!(of(|x| x.sin()), "The slope depends only on x, which is kept for it");
    assert_eq!(of(|x| x.exp()), "The gradient is scaled by the result, y: with that kept, x is not needed");
    assert_eq!(of(|x| x.relu()), "A switch: where the condition holds, the gradient goes on unchanged; elsewhere it stops");
    let trace = mlp();
    assert_eq!(rule(&trace, "A1"), "The gradient is multiplied with the other factor, out.W2");
    let of = |topic: Topic| -> Vec<String> {
        trace.steps().into_iter().filter_map(|step| trace.explain(step).about(topic).map(|note| note.text.clone())).collect()
    };
    assert!(of(Topic::Broadcast).contains(
        &"hidden.b1 was repeated forward along axis 0, from [3] to [4, 3], so its contribution is summed over it backward".to_owned()
    ));
    assert!(of(Topic::Choice)[0].contains("exactly at a kink, where [Z1 > 0] decides, by convention"), "{:?}", of(Topic::Choice));
    assert_eq!(
        of(Topic::Turn)[0],
        "The nodes are visited backward: each one when all that was computed from it has been, so that its gradient is complete"
    );
    let turn = mazur();
    let lines: Vec<String> =
        turn.steps().iter().filter_map(|step| turn.explain(*step).about(Topic::Turn).map(|note| note.text.clone())).collect();
    assert!(lines.contains(&"It is the turn of out_h1: 2 of 2 contributions are there, from v10 and v7".to_owned()), "{lines:?}");
    assert_eq!(trace.explain(Step::Forward(999)).title, "The trace has no step Forward(999)");
}

#[test]
fn what_is_special_about_a_run_is_said() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![0.0, 1.0]).named("x");
    let trace = x.ln().named("y").sum().trace().unwrap();
    let said = |step: Step| trace.explain(step).about(Topic::NotFinite).map(|note| note.text.clone());
    let all: Vec<String> = trace.steps().into_iter().filter_map(said).collect();
    assert_eq!(
        all,
        [
            "Here numbers stop being finite: all it was computed from is finite, and it is [−inf, 0]",
            "Here gradients stop being finite: the one that comes is, and the local derivative is [inf, 1]"
        ]
    );

    let x = g.variable(0.5).named("x");
    let text = g.checkpoint(|| x.sin().named("s").square()).exp().trace().unwrap().to_text(&TextOptions::default().width(200));
    assert!(text.contains("recomputed") && text.contains("s had been dropped by a checkpoint, and was computed again for this"), "{text}");
}
