//! Contour lines: where a function of two numbers has a value, by marching squares.

use std::collections::BTreeMap;

/// The values of a function on a grid, whose contour lines are to be drawn.
///
/// ```
/// use autograd::plot::{Chart, Series, Surface};
/// let bowl = Surface::new((-1.0, 1.0), (-1.0, 1.0), 21, |x, y| x * x + 4.0 * y * y);
/// let chart = Chart::new("A bowl").x("x").y("y").over(bowl).with(Series::line("a path", [(-0.9, 0.5), (-0.4, 0.1), (0.0, 0.0)]));
/// assert!(chart.to_svg().contains("a path"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Surface {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    /// Rows from the lowest y upwards.
    rows: Vec<Vec<f64>>,
    levels: Option<Vec<f64>>,
}

/// A crossing of a line of the grid: from a point to the right, or upwards.
type Edge = (usize, usize, bool);

impl Surface {
    /// The function at `n` by `n` points that divide the two ranges evenly.
    #[must_use]
    pub fn new(x: (f64, f64), y: (f64, f64), n: usize, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        let at = |(low, high): (f64, f64), k: usize| low + (high - low) * k as f64 / n.saturating_sub(1).max(1) as f64;
        let rows = (0..n).map(|i| (0..n).map(|j| f(at(x, j), at(y, i))).collect()).collect();
        Surface { x, y, rows, levels: None }
    }

    /// Values that are there already: rows from the lowest y upwards, each from the lowest x. Rows are cut to the shortest of them.
    #[must_use]
    pub fn from_rows(x: (f64, f64), y: (f64, f64), mut rows: Vec<Vec<f64>>) -> Self {
        let shortest = rows.iter().map(Vec::len).min().unwrap_or(0);
        for row in &mut rows {
            row.truncate(shortest);
        }
        Surface { x, y, rows, levels: None }
    }

    /// Lines at these values; without this, at round values between which there are about equal areas.
    #[must_use]
    pub fn levels(self, levels: impl Into<Vec<f64>>) -> Self {
        Surface { levels: Some(levels.into()), ..self }
    }

    /// The values at which lines are drawn.
    pub(super) fn values(&self) -> Vec<f64> {
        const LINES: usize = 11;
        if let Some(levels) = &self.levels {
            return levels.clone();
        }
        let mut sorted: Vec<f64> = self.rows.iter().flatten().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |k: usize| sorted.get(sorted.len() * (2 * k + 1) / (2 * LINES)).copied();
        let mut levels: Vec<f64> = (0..LINES).filter_map(quantile).map(two_digits).collect();
        levels.dedup();
        levels
    }

    fn columns(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// The lines at one value, as points in the ranges of x and y.
    pub(super) fn lines(&self, level: f64) -> Vec<Vec<(f64, f64)>> {
        let mut links: BTreeMap<Edge, Vec<Edge>> = BTreeMap::new();
        for i in 1..self.rows.len() {
            for j in 1..self.columns() {
                for (a, b) in self.segments(i - 1, j - 1, level) {
                    links.entry(a).or_default().push(b);
                    links.entry(b).or_default().push(a);
                }
            }
        }
        let mut lines = Vec::new();
        // Open lines first, from one of their ends; what is left then are closed ones.
        let ends: Vec<Edge> = links.iter().filter(|(_, others)| others.len() == 1).map(|(edge, _)| *edge).collect();
        for start in ends {
            lines.extend(self.follow(&mut links, start, level));
        }
        while let Some(start) = links.keys().next().copied() {
            lines.extend(self.follow(&mut links, start, level));
        }
        lines
    }

    /// The line from a crossing on, which is taken out of the links.
    fn follow(&self, links: &mut BTreeMap<Edge, Vec<Edge>>, start: Edge, level: f64) -> Option<Vec<(f64, f64)>> {
        let (mut here, mut line) = (start, Vec::new());
        while let Some(others) = links.remove(&here) {
            line.push(self.crossing(here, level));
            if let Some(next) = others.iter().find(|other| links.contains_key(other)) {
                here = *next;
                continue;
            }
            if line.len() > 2 && others.contains(&start) {
                line.push(self.crossing(start, level));
            }
            break;
        }
        (line.len() > 1).then_some(line)
    }

    /// The pairs of crossings that a line joins in the square whose lowest corner is this.
    fn segments(&self, i: usize, j: usize, level: f64) -> Vec<(Edge, Edge)> {
        let corner = |i: usize, j: usize| self.rows[i][j];
        let corners = [corner(i, j), corner(i, j + 1), corner(i + 1, j + 1), corner(i + 1, j)];
        if corners.iter().any(|v| !v.is_finite()) {
            return Vec::new();
        }
        let edges: [Edge; 4] = [(i, j, true), (i, j + 1, false), (i + 1, j, true), (i, j, false)];
        let above = corners.map(|v| v > level);
        let crossed: Vec<Edge> = (0..4).filter(|&k| above[k] != above[(k + 1) % 4]).map(|k| edges[k]).collect();
        match crossed[..] {
            [a, b] => vec![(a, b)],
            // A saddle: the value in the middle says which corners belong together.
            [a, b, c, d] if (corners.iter().sum::<f64>() / 4.0 > level) == above[0] => vec![(a, b), (c, d)],
            [a, b, c, d] => vec![(a, d), (b, c)],
            _ => Vec::new(),
        }
    }

    fn crossing(&self, (i, j, across): Edge, level: f64) -> (f64, f64) {
        let (a, b) = (self.rows[i][j], if across { self.rows[i][j + 1] } else { self.rows[i + 1][j] });
        let share = ((level - a) / (b - a)).clamp(0.0, 1.0);
        let (column, row) = if across { (j as f64 + share, i as f64) } else { (j as f64, i as f64 + share) };
        let at = |(low, high): (f64, f64), place: f64, n: usize| low + (high - low) * place / (n - 1) as f64;
        (at(self.x, column, self.columns()), at(self.y, row, self.rows.len()))
    }
}

/// A number rounded to two digits.
fn two_digits(v: f64) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return v;
    }
    // By way of text, which gives the nearest number to the decimal one.
    format!("{v:.1e}").parse().unwrap_or(v)
}
