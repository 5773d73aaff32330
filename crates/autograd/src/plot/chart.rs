//! Charts: two axes, and series of points on them.

use super::{
    axis::{Axis, short},
    contour::Surface,
    figure::Figure,
    svg::Style,
    terminal,
};

/// How the points of a series are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line with a marker at some of the points.
    Line { is_marked: bool },
    /// A marker at each point.
    Points,
    /// A bar up to each point.
    Bars,
    /// A thin grey line to compare with.
    Reference,
}

/// Points with a name.
///
/// ```
/// use autograd::plot::{Chart, Series};
/// let parabola = (-5..=5).map(|k| (f64::from(k), f64::from(k * k)));
/// let measured = [(0.0, 0.1), (3.0, 8.7)];
/// let svg = Chart::new("x²").with(Series::line("x²", parabola)).with(Series::points("measured", measured)).to_svg();
/// assert!(svg.contains("measured"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) shape: Shape,
}

impl Series {
    fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>, shape: Shape) -> Self {
        Series { name: name.into(), points: points.into_iter().collect(), shape }
    }

    /// A line through the points in their order, with markers on the way.
    #[must_use]
    pub fn line(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series::new(name, points, Shape::Line { is_marked: true })
    }

    /// As [`Series::line`], without markers.
    #[must_use]
    pub fn plain_line(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series::new(name, points, Shape::Line { is_marked: false })
    }

    /// A marker at each point, and no line.
    #[must_use]
    pub fn points(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series::new(name, points, Shape::Points)
    }

    /// A bar at each x, from 0 to y; bars of several series stand side by side.
    #[must_use]
    pub fn bars(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series::new(name, points, Shape::Bars)
    }

    /// A thin grey line to compare with, such as what a theory says.
    #[must_use]
    pub fn reference(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series::new(name, points, Shape::Reference)
    }
}

/// How numbers are distributed: the middle of each of `bins` equal parts of `low..=high`, and the density there, so that the area is the
/// share of the numbers that lie inside. NaN counts among the numbers and lies nowhere.
///
/// ```
/// use autograd::plot::histogram;
/// assert_eq!(histogram([0.1, 0.2, 0.7, 5.0], 2, 0.0, 1.0), [(0.25, 1.0), (0.75, 0.5)]);
/// ```
#[must_use]
pub fn histogram(numbers: impl IntoIterator<Item = f64>, bins: usize, low: f64, high: f64) -> Vec<(f64, f64)> {
    let width = (high - low) / bins as f64;
    let (mut counts, mut all) = (vec![0usize; bins], 0usize);
    for v in numbers {
        all += 1;
        if v >= low && v <= high && width > 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and bounded by the next line
            let bin = ((v - low) / width) as usize;
            counts[bin.min(bins - 1)] += 1;
        }
    }
    let density = |n: usize| if all == 0 { 0.0 } else { n as f64 / (all as f64 * width) };
    counts.into_iter().enumerate().map(|(k, n)| (low + (k as f64 + 0.5) * width, density(n))).collect()
}

/// Two axes, and series of points on them; see the [module](super).
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) surface: Option<Surface>,
}

impl Chart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Chart { title: title.into(), x: Axis::default(), y: Axis::default(), series: Vec::new(), surface: None }
    }

    /// The axis from left to right.
    #[must_use]
    pub fn x(self, axis: impl Into<Axis>) -> Self {
        Chart { x: axis.into(), ..self }
    }

    /// The axis from below upwards.
    #[must_use]
    pub fn y(self, axis: impl Into<Axis>) -> Self {
        Chart { y: axis.into(), ..self }
    }

    /// One more series.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// More series.
    #[must_use]
    pub fn with_all(mut self, series: impl IntoIterator<Item = Series>) -> Self {
        self.series.extend(series);
        self
    }

    /// The contour lines of a function of x and y, under the series. The axes end where it ends.
    #[must_use]
    pub fn over(self, surface: Surface) -> Self {
        Chart { surface: Some(surface), ..self }
    }

    /// The picture.
    #[must_use]
    pub fn to_svg(&self) -> String {
        Figure::from(self.clone()).to_svg()
    }

    /// The chart in characters, 72 wide and 16 high, for a terminal; contour lines are left out.
    #[must_use]
    pub fn to_text(&self) -> String {
        terminal::text(self, 72, 16)
    }

    /// The style of each series.
    pub(super) fn styles(&self) -> Vec<Style> {
        let mut number = 0;
        let style = |series: &Series| {
            if series.shape == Shape::Reference {
                return Style::reference();
            }
            number += 1;
            Style::of(number - 1)
        };
        self.series.iter().map(style).collect()
    }

    /// The axes, with the range of the surface where there is one and none was set.
    pub(super) fn axes(&self) -> (Axis, Axis) {
        let (mut x, mut y) = (self.x.clone(), self.y.clone());
        if let Some(surface) = &self.surface {
            x.range = x.range.or(Some(surface.x));
            y.range = y.range.or(Some(surface.y));
        }
        (x, y)
    }

    /// Whether a point can be drawn.
    pub(super) fn takes(&self, (x, y): (f64, f64)) -> bool {
        self.x.takes(x) && self.y.takes(y)
    }

    /// All numbers of the y axis: bars stand on 0.
    pub(super) fn heights(&self) -> impl Iterator<Item = f64> {
        let zero = self.series.iter().any(|s| s.shape == Shape::Bars && !s.points.is_empty()) && self.y.base.is_none();
        self.drawn().map(|(_, y)| y).chain(zero.then_some(0.0))
    }

    /// All points that can be drawn.
    pub(super) fn drawn(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().flat_map(|series| &series.points).copied().filter(|point| self.takes(*point))
    }

    /// What could not be drawn.
    pub(super) fn note(&self) -> Option<String> {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let left_out = all().count() - self.drawn().count();
        if left_out == 0 {
            return None;
        }
        let why = match all().filter(|(x, y)| !(x.is_finite() && y.is_finite())).count() {
            0 => "not above 0 on a logarithmic axis",
            n if n == left_out => "NaN or ∞",
            _ => "NaN, ∞, or not above 0 on a logarithmic axis",
        };
        Some(format!("{left_out} {} not drawn: {why}", if left_out == 1 { "point is" } else { "points are" }))
    }

    /// What the chart shows, in words.
    pub(super) fn description(&self) -> String {
        let kind = |axis: &Axis| if axis.base.is_some() { ", logarithmic" } else { "" };
        let mut text = format!("{}. Across: {}{}. Upwards: {}{}.", self.title, self.x.label, kind(&self.x), self.y.label, kind(&self.y));
        if self.surface.is_some() {
            text += " Contour lines of a function of both.";
        }
        let series = self.series.iter().map(|series| {
            let points: Vec<_> = series.points.iter().filter(|point| self.takes(**point)).collect();
            match points[..] {
                [] => format!(" {}: no points.", series.name),
                [(x, y)] => format!(" {}: one point, ({}, {}).", series.name, short(*x), short(*y)),
                [first, .., last] => {
                    let least = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
                    let most = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
                    let ends = format!("from ({}, {}) to ({}, {})", short(first.0), short(first.1), short(last.0), short(last.1));
                    let between = format!("between {} and {}", short(least), short(most));
                    format!(" {}: {} points {ends}, {between}.", series.name, points.len())
                }
            }
        });
        text.extend(series);
        text.extend(self.note().map(|note| format!(" {note}.")));
        text
    }
}
