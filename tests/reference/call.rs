//! Formulas of samples, read as text: `x[0].name(arguments)`.

use super::nd;

/// A method with its arguments, as they are written, without spaces.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// What stands after the parenthesis, such as `[1]`.
    pub(super) rest: String,
}

/// The part up to the parenthesis that closes, and the part after it.
pub(super) fn closed(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        if depth < 0 {
            return (&text[..i], &text[i + 1..]);
        }
    }
    (text, "")
}

fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut args) = (0, vec![String::new()]);
    for c in text.chars() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        if c == ',' && depth == 0 {
            args.push(String::new());
        } else if let Some(last) = args.last_mut() {
            last.push(c);
        }
    }
    args.retain(|arg| !arg.is_empty());
    args
}

/// The whole numbers of a text.
pub(super) fn numbers(text: &str) -> Vec<isize> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '-')).filter_map(|number| number.parse().ok()).collect()
}

/// The lengths of a text.
pub(super) fn lengths(text: &str) -> Vec<usize> {
    numbers(text).into_iter().map(|n| usize::try_from(n).unwrap()).collect()
}

/// The lists `[..]` of a text.
pub(super) fn lists(text: &str) -> Vec<Vec<usize>> {
    text.split('[').skip(1).map(|part| lengths(part.split(']').next().unwrap_or_default())).collect()
}

/// One number for each of `axes` axes: those of the method `name` in a chain of methods, one that stands for all, or the default.
pub(super) fn option(text: &str, name: &str, axes: usize, default: &[usize]) -> Vec<usize> {
    let given = text.split_once(&format!("{name}(")).map_or(default.to_vec(), |(_, rest)| lengths(closed(rest).0));
    if given.len() == 1 { vec![given[0]; axes] } else { given }
}

impl Call {
    pub(super) fn parse(text: &str) -> Option<Call> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.strip_prefix("x[0].graph().").or_else(|| text.strip_prefix("x[0]."))?;
        let (name, rest) = text.split_once('(')?;
        let (args, rest) = closed(rest);
        Some(Call { name: name.to_string(), args: arguments(args), rest: rest.to_string() })
    }

    /// The arguments that are numbers and not operands.
    pub(super) fn parameters(&self) -> Vec<f64> {
        self.args.iter().filter(|arg| !arg.starts_with("x[")).map(|arg| arg.parse().unwrap()).collect()
    }

    pub(super) fn number(&self, i: usize) -> f64 {
        match &*self.args[i] {
            "f64::INFINITY" => f64::INFINITY,
            "f64::NEG_INFINITY" => f64::NEG_INFINITY,
            number => number.parse().unwrap(),
        }
    }

    pub(super) fn whole(&self, i: usize) -> isize {
        match &*self.args[i] {
            "isize::MAX" | "usize::MAX" => isize::MAX,
            "isize::MIN" => isize::MIN,
            number => number.parse().unwrap(),
        }
    }

    pub(super) fn length(&self, i: usize) -> usize {
        self.whole(i).unsigned_abs()
    }

    pub(super) fn flag(&self, i: usize) -> bool {
        self.args[i].parse().unwrap()
    }

    pub(super) fn axis(&self, i: usize, rank: usize) -> usize {
        nd::axis(self.whole(i), rank)
    }

    /// One axis, a list, or `..` for all.
    pub(super) fn axes(&self, i: usize, rank: usize) -> Vec<usize> {
        if self.args[i] == ".." { (0..rank).collect() } else { numbers(&self.args[i]).into_iter().map(|k| nd::axis(k, rank)).collect() }
    }

    /// The first position of a range and the one after the last, on an axis of that length.
    pub(super) fn range(&self, i: usize, length: usize) -> (usize, usize) {
        let (start, end) = self.args[i].split_once("..").unwrap();
        let position = |text: &str| nd::axis(text.parse().unwrap(), length);
        let start = if start.is_empty() { 0 } else { position(start) };
        match end.strip_prefix('=') {
            Some(last) => (start, position(last) + 1),
            None if end.is_empty() => (start, length),
            None => (start, position(end)),
        }
    }
}
