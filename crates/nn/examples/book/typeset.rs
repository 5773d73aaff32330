//! A chapter as it is given to mdBook: its formulas as `MathML`, and its links to files outside of the book as links to those files.

use std::fmt::Write;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use pulldown_latex::{Parser as Latex, RenderConfig, Storage, config::DisplayMode, push_mathml};

/// The text of a chapter for mdBook. `up` is the way from a built page to the directory of the repository, with a slash at its end.
///
/// What stands between `$` or `$$` is a formula, except in code. A link that begins with `../` leaves the book.
///
/// # Errors
/// A formula that cannot be read: the chapter, the formula, and what is wrong with it. A sign `$` that begins no formula.
pub(crate) fn page(chapter: &str, text: &str, up: &str) -> Result<String, String> {
    let (mut changes, mut in_code) = (Vec::new(), false);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_MATH | Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::InlineMath(formula) => changes.push((range, mathml(chapter, &formula, DisplayMode::Inline)?)),
            Event::DisplayMath(formula) => changes.push((range, mathml(chapter, &formula, DisplayMode::Block)?)),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) if dest_url.starts_with("../") => {
                if let Some(at) = text[range.clone()].rfind(&format!("]({dest_url}")) {
                    let address = range.start + at + "](".len();
                    changes.push((address..address + "../".len(), up.to_owned()));
                }
            }
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            // Braces that do not match, or spaces inside of the signs, make text of a formula.
            Event::Text(_) if !in_code => {
                let lone = text[range.clone()].find('$').filter(|at| !text[..range.start + at].ends_with('\\'));
                if let Some(at) = lone {
                    let line = text[range.start + at..].lines().next().unwrap_or_default();
                    return Err(format!("{chapter}: no formula begins at {line:?}; the sign itself is \\$"));
                }
            }
            _ => {}
        }
    }
    // A formula in the text of a link comes after the link, whose address comes after the formula.
    changes.sort_by_key(|(range, _)| range.start);
    let (mut page, mut done) = (String::with_capacity(text.len()), 0);
    for (range, change) in changes {
        page.push_str(&text[done..range.start]);
        page.push_str(&change);
        done = range.end;
    }
    page.push_str(&text[done..]);
    Ok(page)
}

/// All formulas of a chapter, each with whether it stands on lines of its own.
#[allow(dead_code)] // the test of the book asks for it, and the example does not
pub(crate) fn formulas(text: &str) -> Vec<(String, bool)> {
    let all = Parser::new_ext(text, Options::ENABLE_MATH | Options::ENABLE_TABLES);
    all.filter_map(|event| match event {
        Event::InlineMath(formula) => Some((formula.to_string(), false)),
        Event::DisplayMath(formula) => Some((formula.to_string(), true)),
        _ => None,
    })
    .collect()
}

/// A formula as one line of `MathML` in which Markdown finds nothing to read.
fn mathml(chapter: &str, formula: &str, display_mode: DisplayMode) -> Result<String, String> {
    let failed = |why: String| format!("{chapter}: the formula ${}$ cannot be typeset: {why}", formula.trim());
    let storage = Storage::new();
    let events = Latex::new(formula, &storage).collect::<Result<Vec<_>, _>>().map_err(|why| failed(why.to_string()))?;
    let mut text = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    push_mathml(&mut text, events.into_iter().map(Ok::<_, std::convert::Infallible>), config).map_err(|why| failed(why.to_string()))?;
    // A space of LaTeX becomes an entity that the writer escapes.
    let text = text.replace("&amp;nbsp;", "\u{a0}");
    let (mut line, mut in_tag) = (String::with_capacity(text.len()), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let opens = c == '<' && rest.peek().is_some_and(|next| next.is_ascii_alphabetic() || *next == '/');
        match c {
            // The writer leaves out a space between two attributes of large brackets.
            '"' if in_tag && rest.peek() == Some(&'m') => line.push_str("\" "),
            '\n' => line.push(' '),
            // What Markdown would read, and the signs < and >, which the writer does not escape.
            '*' | '_' | '[' | ']' | '|' | '\\' | '`' | '~' | '$' | '<' | '>' if !in_tag && !opens => {
                write!(line, "&#{};", u32::from(c)).map_err(|why| failed(why.to_string()))?;
            }
            _ => line.push(c),
        }
        in_tag = opens || (in_tag && c != '>');
    }
    Ok(line)
}
