//! Tables, as text and as Markdown.

use std::fmt::Write;

/// A table of texts. The first column is set to the left, all others to the right.
#[derive(Debug, Clone)]
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Table {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Columns in line, two spaces apart.
    pub(super) fn text(&self) -> String {
        let width = |k: usize| self.all().filter_map(|row| row.get(k)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut out = String::new();
        for row in self.all() {
            let mut line = String::new();
            for (k, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let room = " ".repeat(width - cell.chars().count());
                let gap = if k == 0 { "" } else { "  " };
                line += gap;
                let (before, after) = if k == 0 { ("", room.as_str()) } else { (room.as_str(), "") };
                line.extend([before, cell, after]);
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }

    pub(super) fn markdown(&self) -> String {
        let escaped = |cell: &String| cell.replace('|', "\\|");
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(escaped).collect::<Vec<_>>().join(" | "));
        let rule: String = (0..self.header.len()).map(|k| if k == 0 { "|---" } else { "|---:" }).collect();
        let rows: String = self.rows.iter().map(line).collect();
        format!("{}{rule}|\n{rows}", line(&self.header))
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }
}

/// A number in a table: three digits, with a power of ten where it is very large or small.
pub(super) fn number(v: f64) -> String {
    match v.abs() {
        0.0 => "0".to_owned(),
        a if !a.is_finite() => v.to_string(),
        a if (0.001..10_000.0).contains(&a) => {
            let places = if a < 0.01 {
                5
            } else if a < 0.1 {
                4
            } else if a < 10.0 {
                3
            } else {
                1
            };
            format!("{v:.places$}")
        }
        _ => format!("{v:.2e}"),
    }
}

/// A number that there may not be.
pub(super) fn optional(v: Option<f64>) -> String {
    v.map_or_else(|| "–".to_owned(), number)
}

/// A share, in percent.
pub(super) fn percent(v: Option<f64>) -> String {
    v.map_or_else(|| "–".to_owned(), |v| format!("{:.0}%", 100.0 * v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line() {
        let mut table = Table::new(["layer", "std"]);
        table.row(["1".to_owned(), number(0.25)]);
        table.row(["2 | last".to_owned(), number(1e-9)]);
        assert_eq!(table.text(), "layer         std\n1           0.250\n2 | last  1.00e-9\n");
        assert_eq!(table.markdown(), "| layer | std |\n|---|---:|\n| 1 | 0.250 |\n| 2 \\| last | 1.00e-9 |\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.001_234, 0.0123, 0.5, 1234.0, 1e5, -2e-7, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.00123", "0.0123", "0.500", "1234.0", "1.00e5", "-2.00e-7", "NaN"]);
    }
}
