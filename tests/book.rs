//! The book: every chapter is compiled and in the table of contents, what it links to exists, and its formulas can be typeset.

#[path = "../crates/nn/examples/book/typeset.rs"]
mod typeset;

#[path = "book/pictures.rs"]
mod pictures;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn read(name: &str) -> String {
    fs::read_to_string(docs().join(name)).unwrap_or_else(|why| panic!("docs/{name}: {why}"))
}

fn is_markdown(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|kind| kind == "md")
}

/// The pages of the book, by the names of their files.
fn pages() -> BTreeSet<String> {
    let names = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| is_markdown(name) && name != "SUMMARY.md").collect()
}

fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_MATH | Options::ENABLE_TABLES)
}

/// All that a page links to, pictures included.
fn links(text: &str) -> Vec<String> {
    let address = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    events(text).filter_map(address).collect()
}

/// The anchors of the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut all, mut heading) = (BTreeSet::new(), None::<String>);
    for event in events(text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), _) => {
                let title = heading.take().unwrap_or_default().to_lowercase().replace(' ', "-");
                all.insert(title.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
            }
            (Event::Text(text) | Event::Code(text) | Event::InlineMath(text), Some(title)) => title.push_str(&text),
            _ => {}
        }
    }
    all
}

#[test]
fn the_table_of_contents_names_every_page_once() {
    let listed = links(&read("SUMMARY.md"));
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a page is listed twice: {listed:?}");
    assert_eq!(once, pages());
}

#[test]
fn every_page_is_compiled() {
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/book.rs")).unwrap();
    let compiled: BTreeSet<String> = list.split('"').filter(|part| !part.contains('/') && is_markdown(part)).map(str::to_owned).collect();
    // The examples on the page of operations are those of their documentation, where they are compiled, without their hidden lines.
    let expected: BTreeSet<String> = pages().into_iter().filter(|name| name != "operations.md").collect();
    assert_eq!(compiled, expected);
}

#[test]
fn every_block_of_rust_runs() {
    for page in pages() {
        for event in events(&read(&page)) {
            let Event::Start(Tag::CodeBlock(kind)) = event else { continue };
            let CodeBlockKind::Fenced(language) = kind else { panic!("docs/{page}: indented code is taken for Rust; use a fence") };
            assert!(["rust", "text", "sh", "toml"].contains(&&*language), "docs/{page}: a block of {language:?}");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages().into_iter().chain(["SUMMARY.md".to_owned()]) {
        let text = read(&page);
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(file.is_empty() || docs().join(file).exists(), "docs/{page} links to {link}, which does not exist");
            // mdBook takes any .md file for a page of the book.
            assert!(!file.starts_with("../") || !is_markdown(file), "docs/{page}: {link} is not in the book");
            if !anchor.is_empty() {
                let target = if file.is_empty() { text.clone() } else { read(file) };
                assert!(anchors(&target).contains(anchor), "docs/{page} links to {link}, where no heading has that name");
            }
        }
    }
}

/// `UPDATE_DOCS=1 cargo test -p nn --test workspace pictures` draws them anew.
#[test]
fn the_pictures_are_up_to_date() {
    let pictures = pictures::all().unwrap();
    for (name, picture) in &pictures {
        let path = docs().join("pictures").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, picture).unwrap();
        }
        assert!(fs::read_to_string(&path).is_ok_and(|found| found == *picture), "docs/pictures/{name} is out of date");
    }
    let shown: BTreeSet<String> = pages().iter().flat_map(|page| links(&read(page))).filter(|link| link.starts_with("pictures/")).collect();
    assert_eq!(shown, pictures.iter().map(|(name, _)| format!("pictures/{name}")).collect());
}

#[test]
fn every_formula_can_be_typeset() {
    let mut count = 0;
    for page in pages() {
        let text = read(&page);
        count += typeset::formulas(&text).len();
        let typeset = typeset::page(&page, &text, "../../").unwrap();
        assert_eq!(typeset::formulas(&typeset), [], "docs/{page}: a formula is left");
        assert_eq!(typeset.matches("<math").count(), typeset::formulas(&text).len(), "docs/{page}");
    }
    println!("{count} formulas");
}

#[test]
fn code_and_prices_are_no_formulas() {
    let text = "`$x$` costs 5\\$ or 6 \\$, [$y_1 < 2$](../a.rs)\n\n```text\n$z$\n```\n";
    let page = typeset::page("c.md", text, "../../").unwrap();
    assert!(page.starts_with("`$x$` costs 5\\$ or 6 \\$, [<math"), "{page}");
    assert!(page.contains("</math>](../../a.rs)\n\n```text\n$z$\n```\n") && page.contains("<mo>&#60;</mo>"), "{page}");
}

#[test]
fn a_formula_that_cannot_be_read_names_chapter_and_formula() {
    let error = typeset::page("c.md", "so $\\frac{1}$ and", "").unwrap_err();
    assert!(error.starts_with("c.md: the formula $\\frac{1}$ cannot be typeset: "), "{error}");
    let error = typeset::page("c.md", "so $\\nosuchcommand x$", "").unwrap_err();
    assert!(error.contains("nosuchcommand"), "{error}");
    let error = typeset::page("c.md", "so $\\frac{1}{$ and", "").unwrap_err();
    assert_eq!(error, "c.md: no formula begins at \"$\\\\frac{1}{$ and\"; the sign itself is \\$");
}
