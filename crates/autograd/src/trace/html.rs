//! A trace as a page to be stepped through in a browser: one file, which needs nothing else.

use std::fmt::Write;

use serde::Serialize;

use super::{Explanation, Notation, Trace, explain::Topic};

/// The frame of the page; `{{name}}` is filled in.
const FRAME: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
/// Each part uses what stands before it.
const PROGRAM: [&str; 10] = [
    include_str!("html/words.js"),
    include_str!("html/functions.js"),
    include_str!("html/formula.js"),
    include_str!("html/run.js"),
    include_str!("html/layout.js"),
    include_str!("html/arrays.js"),
    include_str!("html/graph.js"),
    include_str!("html/quiz.js"),
    include_str!("html/panes.js"),
    include_str!("html/page.js"),
];

/// What the program of the page reads.
#[derive(Serialize)]
struct Data<'a> {
    trace: &'a Trace,
    words: Vec<Words>,
}

/// A step in words, as text.
#[derive(Serialize)]
struct Words {
    title: String,
    formula: Option<String>,
    local: Option<String>,
    numbers: Option<String>,
    sum: Option<String>,
    notes: Vec<Remark>,
}

#[derive(Serialize)]
struct Remark {
    topic: Topic,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    formula: Option<String>,
}

impl From<Explanation> for Words {
    fn from(step: Explanation) -> Words {
        let text = |notation: Option<Notation>| notation.map(|notation| notation.text);
        let remark = |note: super::Note| Remark { topic: note.topic, text: note.text, formula: text(note.formula) };
        Words {
            title: step.title,
            formula: text(step.formula),
            local: text(step.local),
            numbers: text(step.numbers),
            sum: text(step.sum),
            notes: step.notes.into_iter().map(remark).collect(),
        }
    }
}

impl Words {
    fn lines(&self) -> impl Iterator<Item = &String> {
        [&self.formula, &self.local, &self.numbers, &self.sum].into_iter().flatten()
    }
}

impl Trace {
    /// The run as a page to be stepped through in a browser: the graph with values and gradients, each step in formulas, numbers and words, all
    /// contributions to every gradient, and a quiz. Where all values are single numbers, the inputs can be changed on the page. Large
    /// arrays are heat maps; layers fold into boxes, and do so by themselves in graphs of more than 2,000 nodes.
    ///
    /// The page is one file, below 200 kB beside its data. It opens from disk and loads nothing. `#step=12` at the end of its address opens it at
    /// that step. Without JavaScript it is a list of the steps. Names may be any text.
    ///
    /// ```
    /// use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let page = g.variable(2.0).named("x").square().trace()?.to_html("The square of x");
    /// assert!(page.starts_with("<!DOCTYPE html>"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_html(&self, title: &str) -> String {
        let words: Vec<Words> = self.steps().into_iter().map(|step| self.explain(step).into()).collect();
        let title = escaped(title);
        let list = listed(&words);
        // It fails only for maps with keys that are no texts.
        let data = in_script(&serde_json::to_string(&Data { trace: self, words }).unwrap_or_default());
        let program = PROGRAM.concat();
        filled(FRAME, |name| match name {
            "lang" => "en",
            "title" => &title,
            "css" => STYLE,
            "steps" => "Steps",
            "list" => &list,
            "data" => &data,
            "js" => &program,
            _ => "",
        })
    }
}

/// A text with `{{name}}` replaced; what is put in is not looked at again.
fn filled<'a>(frame: &'a str, of: impl Fn(&str) -> &'a str) -> String {
    let mut out = String::new();
    for (i, piece) in frame.split("{{").enumerate() {
        match piece.split_once("}}") {
            Some((name, rest)) if i > 0 => {
                out += of(name);
                out += rest;
            }
            _ => out += piece,
        }
    }
    out
}

/// Text of a page.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
        out
    })
}

/// JSON as the text of a script element: outside of texts none of these characters occurs, and in them they may be written so.
fn in_script(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match c {
            '<' => out += r"\u003c",
            '>' => out += r"\u003e",
            '&' => out += r"\u0026",
            '\u{2028}' => out += r"\u2028",
            '\u{2029}' => out += r"\u2029",
            c => out.push(c),
        }
        out
    })
}

/// The steps for a browser that runs no program.
fn listed(words: &[Words]) -> String {
    let mut out = String::new();
    for step in words {
        let lines: Vec<String> = step.lines().map(|line| escaped(line)).collect();
        let notes: Vec<String> = step.notes.iter().map(|note| format!("{}.", escaped(&note.text))).collect();
        // Writing to a text does not fail.
        let _ = writeln!(out, "<li><b>{}</b><br>{}<br>{}</li>", escaped(&step.title), lines.join("<br>"), notes.join(" "));
    }
    out
}
