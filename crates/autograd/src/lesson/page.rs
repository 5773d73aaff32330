//! Pages: paragraphs and tables, as text of at most 80 columns and as Markdown.

use std::fmt;

use crate::trace::table::{self, Colour, width};

/// Lines of text are no longer than this.
const WIDTH: usize = 80;

/// What a lesson looks like: a title, paragraphs and tables.
///
/// ```
/// use autograd::lesson::{Page, Table};
/// let mut table = Table::new(["name", "gradient"]);
/// table.row(["x", "−4"]);
/// let page = Page::new("Gradients").text("One row for each input.").table(table);
/// assert_eq!(page.to_string(), "Gradients\n\nOne row for each input.\n\n  name  gradient\n  x           −4\n");
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
        lines(&self.title).iter().try_for_each(|line| writeln!(f, "{line}"))?;
        for block in &self.blocks {
            writeln!(f)?;
            match block {
                Block::Text(text) => lines(text).iter().try_for_each(|line| writeln!(f, "{line}"))?,
                Block::Table(table) => f.write_str(&table.to_text())?,
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

    fn to_text(&self) -> String {
        let columns = self.header.iter().enumerate().map(|(k, title)| (title.as_str(), Colour::None, self.is_of_numbers(k)));
        let mut table = table::Table::new(columns);
        for row in &self.rows {
            table.row(row.iter().map(|cell| vec![cell.clone()]));
        }
        let mut out = String::new();
        table.write(WIDTH, false, &mut out);
        out
    }

    fn to_markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let rule: String = (0..self.header.len()).map(|k| if self.is_of_numbers(k) { "|---:" } else { "|---" }).collect();
        self.rows.iter().fold(format!("{}{rule}|\n", line(&self.header)), |out, row| out + &line(row))
    }
}

/// A text in lines, broken at spaces. Lines of the text stay lines; items of a list are indented after their first line.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let indent = if paragraph.starts_with("- ") { "  " } else { "" };
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && width(&line) + 1 + width(word) > WIDTH {
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
                line += word;
            } else {
                line += if line.is_empty() { "" } else { " " };
                line += word;
            }
        }
        lines.push(line);
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
        let page =
            Page::new("Title ".repeat(20).trim_end()).text("many words ".repeat(30)).text(format!("- {}", "item ".repeat(40))).table(table);
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
        assert_eq!(table.to_text(), "  name  value\n  a         1\n  b|c     −20\n");
        assert_eq!(table.to_markdown(), "| name | value |\n|---|---:|\n| a | 1 |\n| b\\|c | −20 |\n");
    }
}
