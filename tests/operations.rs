//! The page of all operations, `docs/operations.md`, is written from the catalogue; this test fails when it is out of date.
//!
//! `UPDATE_DOCS=1 cargo test -p nn --test workspace operations` writes it anew.

use std::{fmt::Write, fs, path::Path};

use autograd::{
    Graph,
    op::{Entry, families},
};

const HEAD: &str = "# Operations

All operations of the library, by family, as they are called on variables (`Var`). Tensors have the same methods, which return a `Result`.
`axes` is one axis, a list of axes, or `..` for all; negative ones count from the end. In the place of an operand of a pointwise function
a number may stand, as in `x.max(0.0)`. Pointwise functions broadcast, and may be used in `fused!`.

This page is written from the catalogue by a test: the formulas of the derivatives are the rules themselves, read as text, and the numbers
are computed. Conventions at kinks and edges stand with each function, and together in the documentation of the crate.
";

/// Documentation for rustdoc as it is written on a page: without links into the crate and without hidden lines of examples.
fn readable(doc: &[&str]) -> String {
    let mut text = String::new();
    let (mut in_code, mut tag) = (false, "");
    for line in doc {
        let line = line.strip_prefix(' ').unwrap_or(line);
        if line.starts_with("```") {
            in_code = !in_code;
            tag = if in_code { "```rust" } else { "```" };
            let _ = writeln!(text, "{tag}");
        } else if in_code {
            if !line.starts_with("# ") && line != "#" {
                let _ = writeln!(text, "{line}");
            }
        } else if line == "# Errors" {
            text.push_str("*Refused:* ");
        } else {
            let _ = writeln!(text, "{}", without_targets(line));
        }
    }
    assert_eq!(tag, if in_code { "```rust" } else { tag });
    text.trim_end().to_owned()
}

/// `[text](crate::path)` becomes `text`.
fn without_targets(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some(at) = rest.find("](crate::") {
        let open = rest[..at].rfind('[').unwrap_or(at);
        text.push_str(&rest[..open]);
        text.push_str(&rest[open + 1..at]);
        rest = &rest[at..];
        rest = rest.find(')').map_or("", |end| &rest[end + 1..]);
    }
    text + rest
}

/// The rule as text, and what it gives at one point.
fn rule(entry: &Entry) -> Option<String> {
    let derivation = entry.handle?().derivation()?;
    let sample = entry.samples.first()?;
    let g = Graph::new();
    let x: Vec<_> = sample.inputs.iter().map(|(_, (low, high))| g.variable((3.0 * low + 7.0 * high) / 10.0)).collect();
    let y = (sample.run)(&x);
    let short = |v: f64| format!("{}", (v * 1e4).round() / 1e4).replace('-', "−").replace("−0", "0");
    let short = |v: f64| {
        if v.abs() < 5e-5 {
            "0".to_owned()
        } else if v < 0.0 {
            format!("−{}", short(-v))
        } else {
            short(v)
        }
    };
    let at: Vec<_> = derivation.operands.iter().zip(&x).map(|(name, x)| format!("{name} = {}", short(x.item().unwrap()))).collect();
    let slopes: Vec<_> =
        derivation.operands.iter().zip(&x).map(|(name, x)| format!("∂y/∂{name} = {}", short(g.grad(y, [*x])[0].item().unwrap()))).collect();
    Some(format!("```text\n{derivation}\n```\n\nAt {}: y = {}, {}.", at.join(", "), short(y.item().unwrap()), slopes.join(", ")))
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, entries) in families() {
        let _ = write!(page, "\n## {title}\n");
        for entry in entries {
            let _ = write!(page, "\n### {}\n\n`{}`\n\n{}\n", entry.name, entry.signature.replace(" :", ":"), readable(entry.doc));
            if let Some(rule) = rule(entry) {
                let _ = write!(page, "\n{rule}\n");
            } else if !entry.doc.iter().any(|line| line.contains("```")) {
                let samples: Vec<_> =
                    entry.samples.iter().take(6).map(|sample| format!("`{}`", sample.text.replace("x [", "x["))).collect();
                let _ = write!(page, "\nFor example: {}.\n", samples.join(", "));
            }
        }
    }
    page.push_str("\n## Losses\n\nOf the crate `nn`; each has a struct with options, see the documentation of `nn::loss`.\n");
    for entry in nn::loss::catalogue() {
        let _ = write!(page, "\n### {}\n\n`{}`\n\n{}\n", entry.name, entry.signature, readable(entry.doc));
    }
    page
}

#[test]
fn the_page_of_operations_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/operations.md is out of date; UPDATE_DOCS=1 cargo test -p nn --test workspace operations writes it anew");
}

#[test]
fn every_operation_says_what_it_is_and_has_samples_of_all_kinds() {
    // What takes no such input, or has no value there.
    let no_rank_4 = ["dot", "outer", "diag", "reshape_as", "put"];
    let never_empty = ["mean", "mean_axes", "amax", "reshape_as", "squeeze", "put"];
    let mut missing = Vec::new();
    for entry in families().flat_map(|(_, entries)| entries) {
        assert!(!entry.doc.is_empty() && entry.signature.contains(entry.name), "{}: {}", entry.name, entry.signature);
        let shapes = || entry.samples.iter().flat_map(|sample| sample.inputs.iter().map(|(shape, _)| *shape));
        if !no_rank_4.contains(&entry.name) && !shapes().any(|shape| shape.len() >= 4) {
            missing.push(format!("{}: rank 4", entry.name));
        }
        if !never_empty.contains(&entry.name) && !shapes().any(|shape| shape.contains(&0)) {
            missing.push(format!("{}: an axis of length 0", entry.name));
        }
    }
    assert!(missing.is_empty(), "samples are missing: {missing:#?}");
}
