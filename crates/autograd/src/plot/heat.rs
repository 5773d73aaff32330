//! Heat maps: a matrix as coloured cells.

use super::{
    axis::short,
    draw::{TITLE, title},
    figure::Figure,
    svg::{Anchor, Canvas, FAINT, Frame, INK, LINE, SIZE, width_of, wrapped},
};

/// A matrix as coloured cells, blue below 0 and red above, lighter the nearer to 0; NaN and ∞ are grey.
///
/// The colours are those of C. Brewer's scale `RdBu`, which colour-blind people can read; [`numbers`](HeatMap::numbers) are for all others
/// too.
///
/// ```
/// use autograd::plot::HeatMap;
/// let weights = HeatMap::new("W", [[0.1, -0.4, 0.0], [1.2, 0.3, f64::NAN]]).across("input").down("neuron").numbers();
/// assert!(weights.to_svg().contains("NaN"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    title: String,
    rows: Vec<Vec<f64>>,
    across: String,
    down: String,
    limit: Option<f64>,
    has_numbers: bool,
}

/// From the lowest to the highest number.
const COLOURS: [[f64; 3]; 9] = [
    [33.0, 102.0, 172.0],
    [67.0, 147.0, 195.0],
    [146.0, 197.0, 222.0],
    [209.0, 229.0, 240.0],
    [247.0, 247.0, 247.0],
    [253.0, 219.0, 199.0],
    [244.0, 165.0, 130.0],
    [214.0, 96.0, 77.0],
    [178.0, 24.0, 43.0],
];
/// The colour of what is no number.
const NONE: &str = "#c8c8c8";

/// The colour of a number between −1 and 1, and whether it is dark.
fn colour(v: f64) -> (String, bool) {
    let place = 4.0 * (v.clamp(-1.0, 1.0) + 1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 8
    let below = (place.floor() as usize).min(7);
    let share = place - below as f64;
    let mixed: Vec<f64> = (0..3).map(|k| (COLOURS[below][k] * (1.0 - share) + COLOURS[below + 1][k] * share).round()).collect();
    let luminance = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2];
    (format!("rgb({},{},{})", mixed[0], mixed[1], mixed[2]), luminance < 140.0)
}

impl HeatMap {
    /// The rows of a matrix, from above downwards. A row that is shorter than others is filled up with grey cells.
    #[must_use]
    pub fn new<R: IntoIterator<Item = f64>>(title: impl Into<String>, rows: impl IntoIterator<Item = R>) -> Self {
        let mut rows: Vec<Vec<f64>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        for row in &mut rows {
            row.resize(longest, f64::NAN);
        }
        HeatMap { title: title.into(), rows, across: String::new(), down: String::new(), limit: None, has_numbers: false }
    }

    /// What the columns are.
    #[must_use]
    pub fn across(self, label: impl Into<String>) -> Self {
        HeatMap { across: label.into(), ..self }
    }

    /// What the rows are.
    #[must_use]
    pub fn down(self, label: impl Into<String>) -> Self {
        HeatMap { down: label.into(), ..self }
    }

    /// The number with the darkest colour, in place of the largest one. So several heat maps have the same colours.
    #[must_use]
    pub fn limit(self, limit: f64) -> Self {
        HeatMap { limit: Some(limit), ..self }
    }

    /// Writes the numbers into the cells, where there is room.
    #[must_use]
    pub fn numbers(self) -> Self {
        HeatMap { has_numbers: true, ..self }
    }

    /// The picture.
    #[must_use]
    pub fn to_svg(&self) -> String {
        Figure::from(self.clone()).to_svg()
    }

    fn columns(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    fn largest(&self) -> f64 {
        let own = self.limit.filter(|limit| limit.is_finite() && *limit > 0.0);
        own.unwrap_or_else(|| self.rows.iter().flatten().filter(|v| v.is_finite()).fold(0.0, |m, v| v.abs().max(m)))
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn description(&self) -> String {
        let (rows, columns) = (self.rows.len(), self.columns());
        let finite = || self.rows.iter().flatten().filter(|v| v.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let range = if low <= high { format!("between {} and {}", short(low), short(high)) } else { "no numbers".to_owned() };
        let mut text = format!("{}. Heat map of {rows} rows and {columns} columns, {range}.", self.title);
        text.extend(self.note().map(|note| format!(" {note}.")));
        text
    }

    fn note(&self) -> Option<String> {
        let n = self.rows.iter().flatten().filter(|v| !v.is_finite()).count();
        (n > 0).then(|| format!("{n} grey {}: NaN or ∞", if n == 1 { "cell" } else { "cells" }))
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, frame: Frame) {
        let mut frame = title(canvas, &self.title, frame, TITLE);
        if let Some(note) = self.note() {
            let lines = wrapped(&note, 11.0, frame.width);
            frame.height -= 15.0 * lines.len() as f64;
            for (k, line) in lines.iter().enumerate() {
                canvas.sized((frame.x, frame.y + frame.height + 10.0 + 15.0 * k as f64), Anchor::Start, FAINT, 11.0, line);
            }
        }
        let (rows, columns, largest) = (self.rows.len(), self.columns(), self.largest());
        if rows == 0 || columns == 0 {
            canvas.text((frame.x + frame.width / 2.0, frame.y + frame.height / 2.0), Anchor::Middle, FAINT, "no data");
            return;
        }
        let scale = largest.max(f64::MIN_POSITIVE);
        let left = frame.x + width_of(&(rows - 1).to_string(), SIZE) + 10.0 + if self.down.is_empty() { 0.0 } else { LINE };
        let bar = 16.0 + 12.0 + width_of(&short(-largest), SIZE).max(20.0);
        let below = 20.0 + if self.across.is_empty() { 0.0 } else { LINE };
        let (width, height) = (frame.x + frame.width - bar - 14.0 - left, frame.height - 8.0 - below);
        let top = frame.y + 8.0;
        let (w, h) = (width / columns as f64, height / rows as f64);
        // Letters that fit, unless they would be too small to read.
        let texts = |v: f64| if v.is_finite() { short(v) } else { format!("{v}") };
        let widest = self.rows.iter().flatten().map(|v| width_of(&texts(*v), 1.0)).fold(0.0, f64::max);
        let size = (0.86 * w / widest).min(0.7 * h).min(13.0);
        for (i, row) in self.rows.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                let at = Frame { x: left + w * j as f64, y: top + h * i as f64, width: w, height: h };
                let (fill, is_dark) = if v.is_finite() { colour(v / scale) } else { (NONE.to_owned(), false) };
                canvas.rectangle(at, &fill, if w.min(h) > 8.0 { Some("#fff") } else { None });
                if self.has_numbers && size >= 7.0 {
                    let ink = if is_dark { "#fff" } else { INK };
                    let middle = (at.x + w / 2.0, at.y + h / 2.0 + 0.35 * size);
                    canvas.sized(middle, Anchor::Middle, ink, (size * 10.0).round() / 10.0, &texts(*v));
                }
            }
        }
        self.labels(canvas, Frame { x: left, y: top, width, height }, frame.x);
        scale_bar(canvas, Frame { x: left + width + 14.0, y: top, width: 16.0, height }, largest);
    }

    /// The numbers of some rows and columns, and what they are.
    fn labels(&self, canvas: &mut Canvas, cells: Frame, left: f64) {
        let (rows, columns) = (self.rows.len(), self.columns());
        let (w, h) = (cells.width / columns as f64, cells.height / rows as f64);
        let stride = |size: f64, room: f64| {
            let least = room / size;
            [1usize, 2, 5, 10, 20, 50, 100, 200, 500, 1000].into_iter().find(|n| *n as f64 >= least).unwrap_or(10_000)
        };
        let bottom = cells.y + cells.height;
        for j in (0..columns).step_by(stride(w, width_of(&columns.to_string(), SIZE) + 6.0)) {
            canvas.text((cells.x + w * (j as f64 + 0.5), bottom + 16.0), Anchor::Middle, FAINT, &j.to_string());
        }
        for i in (0..rows).step_by(stride(h, LINE)) {
            canvas.text((cells.x - 6.0, cells.y + h * (i as f64 + 0.5) + 4.5), Anchor::End, FAINT, &i.to_string());
        }
        if !self.across.is_empty() {
            canvas.text((cells.x + cells.width / 2.0, bottom + 16.0 + LINE), Anchor::Middle, INK, &self.across);
        }
        if !self.down.is_empty() {
            canvas.upright((left + 12.0, cells.y + cells.height / 2.0), &self.down);
        }
    }
}

/// What the colours mean.
fn scale_bar(canvas: &mut Canvas, at: Frame, largest: f64) {
    const STEPS: u32 = 24;
    let height = at.height / f64::from(STEPS);
    for k in 0..STEPS {
        let (fill, _) = colour(1.0 - 2.0 * (f64::from(k) + 0.5) / f64::from(STEPS));
        // A little overlap, so that no white shows between the steps.
        let y = at.y + height * f64::from(k);
        let overlap = if k + 1 < STEPS { 0.5 } else { 0.0 };
        canvas.rectangle(Frame { x: at.x, y, width: at.width, height: height + overlap }, &fill, None);
    }
    for (share, v) in [(0.0, largest), (0.5, 0.0), (1.0, -largest)] {
        canvas.text((at.x + at.width + 5.0, at.y + share * at.height + 4.5), Anchor::Start, FAINT, &short(v));
    }
}
