//! A chart drawn into a part of a picture: its frame, its axes, its legend, its series.

use super::{
    axis::{Scale, short},
    chart::{Chart, Series, Shape},
    contour::Surface,
    svg::{Anchor, Canvas, FAINT, Frame, GRID, INK, LINE, SIZE, Style, width_of, wrapped},
};

/// The length of a sample of a line in the legend.
const SAMPLE: f64 = 34.0;
/// About so many markers stand on a line that has more points.
const MARKED: usize = 12;
/// Up to so many points, each has its marker.
const FEW: usize = 26;
/// The size of letters of a title.
pub(super) const TITLE: f64 = 15.0;
const TITLE_LINE: f64 = 20.0;

/// A title over a frame; what is left of the frame.
pub(super) fn title(canvas: &mut Canvas, title: &str, mut frame: Frame, size: f64) -> Frame {
    for line in wrapped(title, size, frame.width) {
        canvas.sized((frame.x, frame.y + size), Anchor::Start, INK, size, &line);
        frame.y += TITLE_LINE;
        frame.height -= TITLE_LINE;
    }
    frame
}

/// The legend at the head of a frame; what is left of it. Series without a name are not in it.
pub(super) fn legend(canvas: &mut Canvas, chart: &Chart, mut frame: Frame) -> Frame {
    let named: Vec<(&Series, Style)> = chart.series.iter().zip(chart.styles()).filter(|(series, _)| !series.name.is_empty()).collect();
    if named.is_empty() {
        return frame;
    }
    let (mut x, mut y) = (frame.x, frame.y + 14.0);
    for (series, style) in named {
        let length = SAMPLE + 6.0 + width_of(&series.name, SIZE) + 12.0;
        if x > frame.x && x + length > frame.x + frame.width {
            (x, y) = (frame.x, y + LINE);
        }
        let middle = y - 4.5;
        let centre = (x + SAMPLE / 2.0, middle);
        match series.shape {
            Shape::Line { is_marked } => {
                canvas.line((x, middle), (x + SAMPLE, middle), style, 2.0);
                if is_marked {
                    canvas.marker(centre, style);
                }
            }
            Shape::Reference => canvas.line((x, middle), (x + SAMPLE, middle), style, 1.5),
            Shape::Points => canvas.marker(centre, style),
            Shape::Bars => {
                bar(canvas, Frame { x: x + 8.0, y: middle - 5.0, width: SAMPLE - 16.0, height: 10.0 }, style);
            }
        }
        canvas.text((x + SAMPLE + 6.0, y), Anchor::Start, INK, &series.name);
        x += length;
    }
    let used = y + 8.0 - frame.y;
    frame.y += used;
    frame.height -= used;
    frame
}

/// The names and shapes that the legend shows, to see whether two charts have the same.
pub(super) fn legend_of(chart: &Chart) -> Vec<(&str, Shape)> {
    chart.series.iter().filter(|series| !series.name.is_empty()).map(|series| (series.name.as_str(), series.shape)).collect()
}

/// A chart in a frame, with its own legend unless the figure has one for all.
pub(super) fn chart(canvas: &mut Canvas, chart: &Chart, frame: Frame, with_legend: bool) {
    let mut frame = title(canvas, &chart.title, frame, TITLE);
    if with_legend {
        frame = legend(canvas, chart, frame);
    }
    if let Some(note) = chart.note() {
        let lines = wrapped(&note, 11.0, frame.width);
        frame.height -= 15.0 * lines.len() as f64;
        for (k, line) in lines.iter().enumerate() {
            let y = frame.y + frame.height + 15.0 * k as f64 + 10.0;
            canvas.sized((frame.x, y), Anchor::Start, FAINT, 11.0, line);
        }
    }
    let (x_axis, y_axis) = chart.axes();
    let below = 24.0 + if x_axis.label.is_empty() { 0.0 } else { LINE + 2.0 };
    let (top, bottom) = (frame.y + 8.0, frame.y + frame.height - below);
    let y = y_axis.scale(chart.heights(), bottom, top, 44.0);
    let left = frame.x + y.widest(SIZE) + 8.0 + if y_axis.label.is_empty() { 0.0 } else { LINE + 2.0 };
    let right = frame.x + frame.width - 12.0;
    let xs = || chart.drawn().map(|(x, _)| x).chain(bar_ends(chart));
    let wide = x_axis.scale(xs(), left, right, 80.0);
    // Where the texts are long, fewer of them.
    let spacing = (wide.widest(SIZE) + 24.0).max(70.0);
    let x = x_axis.scale(xs(), left, right, spacing);
    let plot = Frame { x: left, y: top, width: (right - left).max(1.0), height: (bottom - top).max(1.0) };

    axes(canvas, &x, &y, plot);
    if !x_axis.label.is_empty() {
        canvas.text((left.midpoint(right), bottom + 24.0 + 14.0), Anchor::Middle, INK, &x_axis.label);
    }
    if !y_axis.label.is_empty() {
        canvas.upright((frame.x + 12.0, top.midpoint(bottom)), &y_axis.label);
    }
    if chart.drawn().next().is_none() && chart.surface.is_none() {
        canvas.text((left.midpoint(right), top.midpoint(bottom)), Anchor::Middle, FAINT, "no data");
    }
    // Markers on the frame are seen whole.
    let inside = Frame { x: plot.x - 5.0, y: plot.y - 5.0, width: plot.width + 10.0, height: plot.height + 10.0 };
    canvas.clipped(inside, |canvas| {
        if let Some(surface) = &chart.surface {
            contours(canvas, surface, &x, &y);
        }
        all_bars(canvas, chart, &x, &y);
        for (series, style) in chart.series.iter().zip(chart.styles()) {
            line(canvas, chart, series, style, (&x, &y));
        }
    });
}

/// The frame, the lines of the grid, and the numbers.
fn axes(canvas: &mut Canvas, x: &Scale, y: &Scale, plot: Frame) {
    let grid = Style { colour: GRID, dashes: "", marker: 0 };
    let frame = Style { colour: "#999", dashes: "", marker: 0 };
    let (right, bottom) = (plot.x + plot.width, plot.y + plot.height);
    for (v, text) in &x.ticks {
        let Some(at) = x.place_inside(*v) else { continue };
        canvas.line((at, plot.y), (at, bottom), grid, 1.0);
        canvas.text((at, bottom + 19.0), Anchor::Middle, FAINT, text);
    }
    for (v, text) in &y.ticks {
        let Some(at) = y.place_inside(*v) else { continue };
        canvas.line((plot.x, at), (right, at), grid, 1.0);
        canvas.text((plot.x - 7.0, at + 4.5), Anchor::End, FAINT, text);
    }
    canvas.line((plot.x, plot.y), (plot.x, bottom), frame, 1.0);
    canvas.line((plot.x, bottom), (right, bottom), frame, 1.0);
}

/// The runs of points that can be drawn, as places; where one cannot, a new run begins.
fn runs(chart: &Chart, series: &Series, x: &Scale, y: &Scale) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for point in &series.points {
        let place = if chart.takes(*point) { x.place(point.0).zip(y.place(point.1)) } else { None };
        match (place, runs.last_mut()) {
            (Some(place), Some(run)) => run.push(place),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The points without those that lie, to a tenth of a pixel, on the line between their neighbours.
fn thinned(run: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let Some(first) = run.first() else { return Vec::new() };
    let (mut kept, mut anchor) = (vec![*first], 0);
    for k in 1..run.len() {
        let is_last = k + 1 == run.len();
        // The next point may be reached in one line if none between is off it; a bound on their number keeps this quick.
        if is_last || k - anchor > 50 || (anchor + 1..=k).any(|between| distance(run[between], run[anchor], run[k + 1]) > 0.1) {
            kept.push(run[k]);
            anchor = k;
        }
    }
    kept
}

/// How far a point is from the line between two others.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    let share = if length > 0.0 { ((point.0 - from.0) * dx + (point.1 - from.1) * dy) / length } else { 0.0 };
    let share = share.clamp(0.0, 1.0);
    (point.0 - from.0 - share * dx).hypot(point.1 - from.1 - share * dy)
}

fn line(canvas: &mut Canvas, chart: &Chart, series: &Series, style: Style, (x, y): (&Scale, &Scale)) {
    if series.shape == Shape::Bars {
        return;
    }
    let is_line = series.shape != Shape::Points;
    let is_marked = matches!(series.shape, Shape::Line { is_marked: true } | Shape::Points);
    let width = if series.shape == Shape::Reference { 1.5 } else { 2.0 };
    let runs = runs(chart, series, x, y);
    let all: usize = runs.iter().map(Vec::len).sum();
    let every = if all <= FEW || !is_line { 1 } else { all.div_ceil(MARKED) };
    // Markers of several lines do not stand in one column.
    let first = if every > 1 { (style.marker * every / 4) % every } else { 0 };
    let mut number = 0;
    for run in runs {
        if is_line {
            canvas.polyline(&thinned(&run), style, width);
        }
        for point in &run {
            if is_marked && number % every == first || is_line && run.len() == 1 {
                canvas.marker(*point, style);
            }
            number += 1;
        }
    }
}

/// The smallest distance of two bars.
fn bar_width(chart: &Chart) -> Option<f64> {
    let bars = || chart.series.iter().filter(|series| series.shape == Shape::Bars);
    let mut xs: Vec<f64> = bars().flat_map(|series| &series.points).filter(|point| chart.takes(**point)).map(|point| point.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let least = xs.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    if xs.is_empty() { None } else { Some(if least.is_finite() { least } else { 1.0 }) }
}

/// The ends of the first and the last bar.
fn bar_ends(chart: &Chart) -> impl Iterator<Item = f64> {
    let half = bar_width(chart).map(|width| width / 2.0);
    let bars = chart.series.iter().filter(|series| series.shape == Shape::Bars).flat_map(|series| &series.points);
    bars.filter(|point| chart.takes(**point)).filter_map(move |point| half.map(|half| [point.0 - half, point.0 + half])).flatten()
}

fn all_bars(canvas: &mut Canvas, chart: &Chart, x: &Scale, y: &Scale) {
    let Some(width) = bar_width(chart) else { return };
    let styles = chart.styles();
    let bars: Vec<_> = chart.series.iter().zip(styles).filter(|(series, _)| series.shape == Shape::Bars).collect();
    // Side by side, with some room between groups.
    let share = if bars.len() == 1 { 0.94 } else { 0.8 } * width / bars.len().max(1) as f64;
    for (k, (series, style)) in bars.iter().enumerate() {
        let shift = (k as f64 - (bars.len() as f64 - 1.0) / 2.0) * share;
        for point in series.points.iter().filter(|point| chart.takes(**point)) {
            let middle = point.0 + shift;
            let places = x.place(middle - share / 2.0).zip(x.place(middle + share / 2.0)).zip(y.place(point.1));
            let Some(((left, right), top)) = places else { continue };
            let ground = y.ground();
            let (high, low) = (top.min(ground), top.max(ground));
            bar(canvas, Frame { x: left, y: high, width: right - left, height: low - high }, *style);
        }
    }
}

/// A bar; those of different series differ in the lines across them too.
fn bar(canvas: &mut Canvas, at: Frame, style: Style) {
    canvas.rectangle(at, style.colour, Some("#fff"));
    let stripe = Style { colour: "#fff", dashes: "", marker: 0 };
    let kind = style.marker;
    if kind == 0 {
        return;
    }
    canvas.clipped(at, |canvas| {
        let (right, bottom) = (at.x + at.width, at.y + at.height);
        // From below upwards, so that the lines of bars of all heights are in line.
        let rows = (at.height / 8.0).ceil();
        let mut k = 0.0;
        while k <= rows.min(400.0) {
            let y = bottom - 8.0 * k;
            match kind {
                1 => canvas.line((at.x, y), (right, y - at.width), stripe, 1.5),
                2 => canvas.line((at.x, y), (right, y), stripe, 1.5),
                3 => canvas.line((at.x, y - at.width), (right, y), stripe, 1.5),
                4 => canvas.line((at.x, y), (right, y), stripe, 4.0),
                _ => {
                    canvas.line((at.x, y), (right, y - at.width), stripe, 1.0);
                    canvas.line((at.x, y - at.width), (right, y), stripe, 1.0);
                }
            }
            k += 1.0;
        }
    });
}

fn contours(canvas: &mut Canvas, surface: &Surface, x: &Scale, y: &Scale) {
    let style = Style { colour: "#9a9a9a", dashes: "", marker: 0 };
    let mut labels: Vec<((f64, f64), String)> = Vec::new();
    for level in surface.values() {
        let lines = surface.lines(level);
        let place = |(a, b): &(f64, f64)| x.place(*a).zip(y.place(*b));
        let lines: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| line.iter().filter_map(place).collect()).collect();
        for line in &lines {
            canvas.polyline(&thinned(line), style, 1.0);
        }
        // The number stands on the longest line, where it meets no other number.
        let Some(longest) = lines.iter().max_by_key(|line| line.len()).filter(|line| line.len() > 8) else { continue };
        let is_free = |at: &&(f64, f64)| {
            let inside = x.place_inside_by(at.0, 18.0) && y.place_inside_by(at.1, 10.0);
            inside && labels.iter().all(|((a, b), _)| (a - at.0).abs() > 44.0 || (b - at.1).abs() > 13.0)
        };
        let start = longest.len() / 5;
        if let Some(at) = longest[start..].iter().chain(&longest[..start]).find(is_free).copied() {
            labels.push((at, short(level)));
        }
    }
    for (at, text) in labels {
        canvas.label(at, &text);
    }
}
