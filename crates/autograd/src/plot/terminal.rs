//! Charts and series in characters, for terminals.

use std::fmt::Write;

use super::chart::{Chart, Shape};

/// Numbers as a row of bars, one character each: the smallest is `▁`, the largest `█`; what is not finite is a dot.
///
/// ```
/// use autograd::plot::sparkline;
/// assert_eq!(sparkline([0.0, 1.0, 2.0, 4.0, f64::NAN, 8.0]), "▁▂▃▅·█");
/// assert_eq!(sparkline([]), "");
/// ```
#[must_use]
pub fn sparkline(numbers: impl IntoIterator<Item = f64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let numbers: Vec<f64> = numbers.into_iter().collect();
    let finite = || numbers.iter().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let bar = |v: f64| {
        let share = if high > low { (v - low) / (high - low) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 7
        BARS[((share * 8.0).floor() as usize).min(7)]
    };
    numbers.iter().map(|&v| if v.is_finite() { bar(v) } else { '·' }).collect()
}

/// A marker for each series; after these, they come again.
const MARKERS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];

/// A chart in characters, about so many wide, with a plot of so many lines.
pub(super) fn text(chart: &Chart, width: usize, height: usize) -> String {
    let (x_axis, y_axis) = chart.axes();
    // In characters: a place is the middle of one.
    let y = y_axis.scale(chart.heights(), height as f64 - 0.5, 0.5, 4.0);
    let left = y.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0) + 1;
    let columns = width.saturating_sub(left + 1).max(10);
    let x = x_axis.scale(chart.drawn().map(|(x, _)| x), 0.5, columns as f64 - 0.5, 14.0);
    let mut cells = vec![vec![' '; columns]; height];
    let mut put = |at: (f64, f64), mark: char, is_over: bool| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 0 is 0, and outside there is no cell
        let cell = cells.get_mut(at.1.floor() as usize).and_then(|row| row.get_mut(at.0.floor() as usize));
        if let Some(cell) = cell.filter(|cell| at.0 >= 0.0 && at.1 >= 0.0 && (is_over || **cell == ' ')) {
            *cell = mark;
        }
    };
    let mut legend: Vec<String> = Vec::new();
    let mut number = 0;
    for series in &chart.series {
        let mark = if series.shape == Shape::Reference {
            '.'
        } else {
            number += 1;
            MARKERS[(number - 1) % MARKERS.len()]
        };
        if !series.name.is_empty() {
            legend.push(format!("{mark} {}", series.name));
        }
        let is_over = series.shape != Shape::Reference;
        let mut before: Option<(f64, f64)> = None;
        for point in &series.points {
            let here = if chart.takes(*point) { x.place(point.0).zip(y.place(point.1)) } else { None };
            if let Some(here) = here {
                if let Some(before) = before.filter(|_| !matches!(series.shape, Shape::Points | Shape::Bars)) {
                    between(before, here, |at| put(at, mark, is_over));
                }
                if series.shape == Shape::Bars {
                    between((here.0, y.ground()), here, |at| put(at, mark, is_over));
                }
                put(here, mark, is_over);
            }
            before = here;
        }
    }
    let mut out = String::new();
    let _ = writeln!(out, "{}", chart.title);
    if !legend.is_empty() {
        let _ = writeln!(out, "{}", legend.join("   "));
    }
    if !y_axis.label.is_empty() {
        let _ = writeln!(out, "{}", y_axis.label);
    }
    for (k, row) in cells.iter().enumerate() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // inside the plot
        let tick = y.ticks.iter().find(|(v, _)| y.place_inside(*v).is_some_and(|place| place.floor() as usize == k));
        let row: String = row.iter().collect();
        let text = tick.map_or("", |(_, text)| text);
        let _ = writeln!(out, "{}{text} |{}", " ".repeat(left - 1 - text.chars().count()), row.trim_end());
    }
    let _ = writeln!(out, "{} +{}", " ".repeat(left - 1), "-".repeat(columns));
    let mut below = vec![' '; left + columns + 12];
    let mut free = 0;
    for (v, text) in &x.ticks {
        let Some(place) = x.place_inside(*v) else { continue };
        let length = text.chars().count();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // inside the plot
        let start = (left + 1 + place.floor() as usize).saturating_sub(length / 2);
        if start >= free && start + length <= below.len() {
            below[start..start + length].copy_from_slice(&text.chars().collect::<Vec<_>>());
            free = start + length + 1;
        }
    }
    let below: String = below.iter().collect();
    let _ = writeln!(out, "{}{}", below.trim_end(), if x_axis.label.is_empty() { String::new() } else { format!("   {}", x_axis.label) });
    if let Some(note) = chart.note() {
        let _ = writeln!(out, "{note}");
    }
    out
}

/// The places from one to another, about one for each character.
fn between(from: (f64, f64), to: (f64, f64), mut put: impl FnMut((f64, f64))) {
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().min(1000.0);
    let mut k = 1.0;
    while k < steps {
        let share = k / steps;
        put((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)));
        k += 1.0;
    }
    put(from);
}
