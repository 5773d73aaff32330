//! A trace as a page to be stepped through in a browser: one file, which needs nothing else.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::{Explanation, Notation, Topic, Trace};

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
    trace: Value,
    words: &'a [Words],
}

/// A step in words, as text.
#[derive(Serialize)]
struct Words {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    formula: Option<String>,
    /// The page computes these lines itself.
    #[serde(skip)]
    lines: Vec<String>,
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
            lines: [step.local, step.numbers, step.sum].into_iter().filter_map(text).collect(),
            notes: step.notes.into_iter().map(remark).collect(),
        }
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
        let data = in_script(
            &serde_json::to_string(&Data { trace: compact(serde_json::to_value(self).unwrap_or_default()), words: &words })
                .unwrap_or_default(),
        );
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

/// The same data, with a number in the place of an array that is one, and without what is null or false.
fn compact(value: Value) -> Value {
    match value {
        Value::Object(mut map) => {
            let is_number = map.get("shape").and_then(Value::as_array).is_some_and(Vec::is_empty);
            match map.get_mut("elements").and_then(Value::as_array_mut) {
                Some(elements) if is_number && elements.len() == 1 => elements.remove(0),
                _ => {
                    let kept = map.into_iter().filter(|(_, v)| !v.is_null() && *v != Value::Bool(false));
                    Value::Object(kept.map(|(key, v)| (key, compact(v))).collect())
                }
            }
        }
        Value::Array(all) => Value::Array(all.into_iter().map(compact).collect()),
        value => value,
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
        let lines: Vec<String> =
            step.formula.iter().chain(&step.lines).map(|line| format!("<div class=\"formula\">{}</div>", escaped(line))).collect();
        let notes = step.notes.iter().map(|note| match &note.formula {
            Some(formula) => format!("{}: {}.", escaped(&note.text), escaped(formula)),
            None => format!("{}.", escaped(&note.text)),
        });
        let notes: Vec<String> = notes.collect();
        // Writing to a text does not fail.
        let _ = writeln!(out, "<li><b>{}</b>{}{}</li>", escaped(&step.title), lines.concat(), notes.join(" "));
    }
    out
}
