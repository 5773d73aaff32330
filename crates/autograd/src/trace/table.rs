//! Tables of text that are never wider than they should be: long cells go on in the next line.

use super::notation::clean;

/// The colours of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    None,
    Bold,
    Dim,
    Green,
    Red,
}

impl Colour {
    /// A text in this colour.
    pub(super) fn paint(self, text: &str, is_wanted: bool) -> String {
        let code = match self {
            Colour::Bold => 1,
            Colour::Dim => 2,
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::None => 0,
        };
        if !is_wanted || code == 0 || text.is_empty() { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
    }
}

/// A column of a table.
pub(super) struct Column {
    pub(super) title: String,
    pub(super) colour: Colour,
    /// Numbers stand to the right.
    pub(super) to_the_right: bool,
}

/// A row: cells of several lines each, or a line of its own.
pub(super) enum Row {
    Cells(Vec<Vec<String>>),
    Line(String),
}

/// A table, which grows row by row.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// Between columns.
const GAP: usize = 2;
/// Columns do not get smaller than this.
const LEAST: usize = 6;

impl Table {
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Colour, bool)>) -> Table {
        let column = |(title, colour, to_the_right): (S, Colour, bool)| Column { title: clean(&title.into()), colour, to_the_right };
        let columns = columns.into_iter().map(column);
        Table { columns: columns.collect(), rows: Vec::new() }
    }

    /// A row of cells, each a list of lines.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Vec<String>>) {
        self.rows
            .push(Row::Cells(cells.into_iter().map(|cell| cell.iter().map(|line| clean(line).trim_end().to_owned()).collect()).collect()));
    }

    /// A line across all columns.
    pub(super) fn line(&mut self, text: &str) {
        self.rows.push(Row::Line(clean(text).trim_end().to_owned()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How wide each column is: as wide as it would be, or, if that is too much, the widest ones smaller.
    fn widths(&self, most: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| width(&column.title)).collect();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            for (widest, cell) in widths.iter_mut().zip(cells) {
                *widest = cell.iter().map(|line| width(line)).fold(*widest, usize::max);
            }
        }
        let most = most.saturating_sub(GAP * widths.len());
        while widths.iter().sum::<usize>() > most {
            let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > LEAST) else { break };
            *widest -= 1;
        }
        widths
    }

    /// The table as lines, none wider than `most`.
    pub(crate) fn write(&self, most: usize, is_coloured: bool, out: &mut String) {
        let widths = self.widths(most);
        let titles: Vec<_> = self.columns.iter().zip(&widths).map(|(column, &width)| wrapped(&column.title, width, 0)).collect();
        self.cells(&titles, &widths, is_coloured.then_some(Colour::Dim), is_coloured, out);
        for row in &self.rows {
            match row {
                Row::Line(text) => {
                    for line in wrapped(text, most.saturating_sub(GAP), 2) {
                        out.extend([&" ".repeat(GAP), line.as_str(), "\n"]);
                    }
                }
                Row::Cells(cells) => {
                    let lines = |(cell, &width): (&Vec<String>, &usize)| cell.iter().flat_map(|line| wrapped(line, width, 2)).collect();
                    let cells: Vec<Vec<String>> = cells.iter().zip(&widths).map(lines).collect();
                    self.cells(&cells, &widths, None, is_coloured, out);
                }
            }
        }
    }

    /// A row whose cells have been broken into lines.
    fn cells(&self, cells: &[Vec<String>], widths: &[usize], colour: Option<Colour>, is_coloured: bool, out: &mut String) {
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let mut line = String::new();
            // Blanks are not written before something follows them.
            let mut blanks = 0;
            for ((cell, &room), column) in cells.iter().zip(widths).zip(&self.columns) {
                let text = cell.get(at).map_or("", String::as_str);
                let free = room.saturating_sub(width(text));
                let (before, after) = if column.to_the_right { (free, 0) } else { (0, free) };
                blanks += GAP + before;
                if !text.is_empty() {
                    line += &" ".repeat(blanks);
                    line += &colour.unwrap_or(column.colour).paint(text, is_coloured);
                    blanks = 0;
                }
                blanks += after;
            }
            *out += &line;
            out.push('\n');
        }
    }
}

/// How many places of a terminal a text takes: two for the characters of East Asia and for pictures, one for others.
pub(crate) fn width(text: &str) -> usize {
    let of = |c: char| match u32::from(c) {
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    };
    text.chars().map(of).sum()
}

/// A text in lines of at most `most` places: broken before signs of equality if that is possible, else between words, else anywhere. All
/// lines but the first are indented.
pub(super) fn wrapped(text: &str, most: usize, indent: usize) -> Vec<String> {
    if width(text) <= most {
        return vec![text.trim_end().to_owned()];
    }
    let lead = text.len() - text.trim_start_matches(' ').len();
    let (lead, indent) = if most >= 2 * (lead + indent) { (lead, lead + indent) } else { (0, 0) };
    let mut lines: Vec<String> = vec![" ".repeat(lead)];
    let mut put = |piece: &str, with_blank: bool| {
        let Some(line) = lines.last_mut() else { return };
        let is_fresh = line.trim().is_empty();
        let blank = usize::from(with_blank && !is_fresh);
        if width(line) + blank + width(piece) <= most {
            if blank == 1 {
                line.push(' ');
            }
            *line += piece;
        } else if !is_fresh && indent + width(piece) <= most {
            lines.push(" ".repeat(indent) + piece);
        } else {
            // Longer than a line.
            if !is_fresh {
                lines.push(" ".repeat(indent));
            }
            for c in piece.chars() {
                let full =
                    lines.last().is_some_and(|line| width(line) + width(c.encode_utf8(&mut [0; 4])) > most && !line.trim().is_empty());
                if full {
                    lines.push(" ".repeat(indent));
                }
                if let Some(line) = lines.last_mut() {
                    line.push(c);
                }
            }
        }
    };
    for (i, side) in text.trim_start_matches(' ').split(" = ").enumerate() {
        let side = if i == 0 { side.to_owned() } else { format!("= {side}") };
        if width(&side) + indent <= most {
            put(&side, true);
        } else {
            side.split(' ').for_each(|word| put(word, true));
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Colour, Table, width, wrapped};

    #[test]
    fn lines_are_broken_before_signs_of_equality() {
        assert_eq!(wrapped("q = x + y = −2 + 5 = 3", 14, 2), ["q = x + y", "  = −2 + 5 = 3"]);
        assert_eq!(wrapped("one two three", 9, 2), ["one two", "  three"]);
        assert_eq!(wrapped("abcdefghijklm", 8, 2), ["abcdefgh", "  ijklm"]);
        assert_eq!(wrapped("short", 8, 2), ["short"]);
    }

    #[test]
    fn characters_of_formulas_take_one_place() {
        assert_eq!(width("√∂ᵀ·−ₗ"), 6);
        assert_eq!(width("重み"), 4);
    }

    #[test]
    fn tables_are_as_wide_as_they_may_be() {
        let mut table = Table::new([("name", Colour::None, false), ("value", Colour::Green, true)]);
        table.row([vec!["x".into()], vec!["−2".into()]]);
        table.row([vec!["a name that is too long".into()], vec!["12".into()]]);
        table.line("across");
        let mut out = String::new();
        table.write(20, false, &mut out);
        assert_eq!(out, "  name         value\n  x               −2\n  a name that     12\n    is too\n    long\n  across\n");
        let mut painted = String::new();
        table.write(20, true, &mut painted);
        assert!(painted.contains("\u{1b}[32m−2\u{1b}[0m"), "{painted:?}");
    }
}
