//! What mdBook asks for each chapter of the book: formulas become `MathML`, and links to the sources stay links.
//!
//! `mdbook build docs` runs it, as `docs/book.toml` says: <https://rust-lang.github.io/mdBook/for_developers/preprocessors.html>.

#[path = "book/typeset.rs"]
mod typeset;

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    // First mdBook asks whether this can write for a renderer: HTML can show MathML.
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("supports") {
        let html = arguments.next().as_deref() == Some("html");
        std::process::exit(i32::from(!html));
    }
    let (context, mut book): (Value, Value) = serde_json::from_reader(io::stdin().lock())?;
    let root = Path::new(context["root"].as_str().ok_or("mdBook does not say where the book is")?);
    let build = context["config"]["build"]["build-dir"].as_str().unwrap_or("book");
    chapters(&mut book, &up(root, build))?;
    serde_json::to_writer(io::stdout().lock(), &book)?;
    Ok(io::stdout().flush()?)
}

/// The way from a page of the built book to the directory above the sources of the book, which is that of the repository.
fn up(root: &Path, build: &str) -> String {
    let depth = build.split('/').fold(1i32, |depth, part| match part {
        ".." => depth - 1,
        "" | "." => depth,
        _ => depth + 1,
    });
    match usize::try_from(depth) {
        Ok(depth) if !Path::new(build).is_absolute() => "../".repeat(depth),
        _ => format!("{}/", root.parent().unwrap_or(root).display()),
    }
}

/// Goes through all that is a chapter, wherever it stands: mdBook nests them.
fn chapters(part: &mut Value, up: &str) -> Result<(), String> {
    match part {
        Value::Array(items) => items.iter_mut().try_for_each(|item| chapters(item, up)),
        Value::Object(fields) => {
            if let Some(text) = fields.get("content").and_then(Value::as_str) {
                let chapter = fields.get("path").and_then(Value::as_str).unwrap_or("a chapter without a file");
                let page = typeset::page(chapter, text, up)?;
                fields.insert("content".to_owned(), page.into());
            }
            fields.values_mut().try_for_each(|field| chapters(field, up))
        }
        _ => Ok(()),
    }
}
