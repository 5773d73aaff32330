//! Pages: paragraphs and tables, as text of at most 80 columns and as Markdown.

use std::fmt;

/// Lines of text are no longer than this.
const WIDTH: usize = 80;
/// Columns are not made narrower than this.
const NARROWEST: usize = 7;

/// What a lesson looks like: a title, paragraphs and tables.
///
/// ```
/// use autograd::lesson::{Page, Table};
/// let mut table = Table::new(["name", "gradient"]);
/// table.row(["x", "−4"]);
/// let page = Page::new("Gradients").text("One row for each input.").table(table);
/// assert_eq!(page.to_string(), "Gradients\n\nOne row for each input.\n\nname  gradient\n----  --------\nx           −4\n");
/// assert!(page.to_markdown().ends_with("| name | gradient |\n|---|---:|\n| x | −4 |\n"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq)]
enum Block {
    Text(String),
    Table(Table),
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), blocks: Vec::new() }
    }

    /// The same page with a paragraph more.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Page {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// The same page with a table more.
    #[must_use]
    pub fn table(mut self, table: Table) -> Page {
        self.blocks.push(Block::Table(table));
        self
    }

    /// The page as Markdown, with the title as a heading of level 3.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.blocks.iter().fold(format!("### {}\n", self.title), |out, block| match block {
            Block::Text(text) => out + "\n" + text + "\n",
            Block::Table(table) => out + "\n" + &table.to_markdown(),
        })
    }
}

/// The page as text.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in wrapped(&self.title, WIDTH) {
            writeln!(f, "{line}")?;
        }
        for block in &self.blocks {
            writeln!(f)?;
            match block {
                Block::Text(text) => wrapped(text, WIDTH).iter().try_for_each(|line| writeln!(f, "{line}"))?,
                Block::Table(table) => table.lines().iter().try_for_each(|line| writeln!(f, "{line}"))?,
            }
        }
        Ok(())
    }
}

/// A table of texts. Columns of numbers are set to the right.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Table {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// A row more. Cells that are missing are empty, and cells beyond the header are left out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// Whether every cell of a column is a number.
    fn is_of_numbers(&self, k: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row[k].as_str()).filter(|cell| !cell.is_empty() && *cell != "–").peekable();
        let is_number = |cell: &str| {
            let cell = cell.trim_start_matches(['−', '-', '+', '±']);
            cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains([' ', '·']) || cell == "NaN" || cell == "inf"
        };
        cells.peek().is_some() && cells.all(is_number)
    }

    /// The width of each column: what it needs, and less for the widest ones where lines would be too long.
    fn widths(&self) -> Vec<usize> {
        let length = |row: &Vec<String>, k: usize| row[k].chars().count();
        let natural = |k: usize| std::iter::once(&self.header).chain(&self.rows).map(|row| length(row, k)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..self.header.len()).map(natural).collect();
        while widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > WIDTH {
            match widths.iter_mut().max_by_key(|width| **width) {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }

    fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let is_right: Vec<bool> = (0..self.header.len()).map(|k| self.is_of_numbers(k)).collect();
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut lines = Vec::new();
        for row in [&self.header, &rule].into_iter().chain(&self.rows) {
            let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
            for k in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut line = String::new();
                for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                    let part = cell.get(k).map_or("", String::as_str);
                    let room = " ".repeat(width.saturating_sub(part.chars().count()));
                    line += if at == 0 { "" } else { "  " };
                    line += &if is_right[at] { room + part } else { part.to_owned() + &room };
                }
                lines.push(line.trim_end().to_owned());
            }
        }
        lines
    }

    fn to_markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let rule: String = (0..self.header.len()).map(|k| if self.is_of_numbers(k) { "|---:" } else { "|---" }).collect();
        self.rows.iter().fold(format!("{}{rule}|\n", line(&self.header)), |out, row| out + &line(row))
    }
}

/// A text in lines of a width, broken at spaces, and inside words that are longer. Lines of the text stay lines; what follows the first one
/// of an item of a list is indented.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let indent = if paragraph.starts_with("- ") { 2 } else { 0 };
        let mut line = String::new();
        let mut length = 0;
        for word in paragraph.split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            if length > 0 && length + 1 + word.len() > width && !line.trim().is_empty() {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                length = indent;
            } else if !line.is_empty() && !line.trim().is_empty() {
                line.push(' ');
                length += 1;
            }
            while length + word.len() > width && width > indent {
                let room = width.saturating_sub(length).min(word.len());
                // A product is broken after a factor.
                let end = word[..room].iter().rposition(|c| *c == '·').map_or(room, |dot| dot + 1);
                let rest = word.split_off(end);
                line.extend(word);
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                (word, length) = (rest, indent);
            }
            length += word.len();
            line.extend(word);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_80_columns() {
        let mut table = Table::new(["a", "b", "c"]);
        table.row(["layers.0.weight", "1", &"word ".repeat(40)]);
        table.row(["x", "−2.5", &"unbroken".repeat(30)]);
        let page = Page::new("T".repeat(100)).text("many words ".repeat(30)).text(format!("- {}", "item ".repeat(40))).table(table);
        let text = page.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches("word").count() - 30, 40, "{text}");
        assert!(text.contains("\n- item") && text.contains("\n  item"), "{text}");
    }

    #[test]
    fn columns_of_numbers_are_set_to_the_right() {
        let mut table = Table::new(["name", "value"]);
        table.row(["a", "1"]);
        table.row(["b|c", "−20"]);
        assert_eq!(table.lines(), ["name  value", "----  -----", "a         1", "b|c     −20"]);
        assert_eq!(table.to_markdown(), "| name | value |\n|---|---:|\n| a | 1 |\n| b\\|c | −20 |\n");
    }
}
