//! Figures: several charts and heat maps in one picture.

use super::{
    chart::Chart,
    draw,
    heat::HeatMap,
    svg::{Canvas, Frame},
};

/// A part of a figure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Panel {
    /// A chart.
    Chart(Box<Chart>),
    /// A heat map.
    HeatMap(HeatMap),
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Self {
        Panel::Chart(Box::new(chart))
    }
}

impl From<HeatMap> for Panel {
    fn from(map: HeatMap) -> Self {
        Panel::HeatMap(map)
    }
}

impl Panel {
    fn title(&self) -> &str {
        match self {
            Panel::Chart(chart) => &chart.title,
            Panel::HeatMap(map) => map.title(),
        }
    }

    fn description(&self) -> String {
        match self {
            Panel::Chart(chart) => chart.description(),
            Panel::HeatMap(map) => map.description(),
        }
    }
}

/// Several charts and heat maps in one picture. Where all charts have the same series by name, there is one legend for all.
///
/// ```
/// use autograd::plot::{Chart, Figure, Series};
/// let powers = |n: i32| (0..9).map(move |k| (f64::from(k), f64::from(k).powi(n)));
/// let panel = |n: i32| Chart::new(format!("xⁿ, n = {n}")).with(Series::line("", powers(n)));
/// let svg = Figure::new("Powers").columns(3).with_all([1, 2, 3].map(panel)).to_svg();
/// assert!(svg.contains("Powers"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    title: String,
    panels: Vec<Panel>,
    columns: Option<usize>,
    size: Option<(f64, f64)>,
}

impl<P: Into<Panel>> From<P> for Figure {
    fn from(panel: P) -> Self {
        Figure { title: String::new(), panels: vec![panel.into()], columns: None, size: None }
    }
}

const MARGIN: f64 = 14.0;
const GAP: f64 = 22.0;

impl Figure {
    /// An empty figure.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Figure { title: title.into(), panels: Vec::new(), columns: None, size: None }
    }

    /// One more panel.
    #[must_use]
    pub fn with(mut self, panel: impl Into<Panel>) -> Self {
        self.panels.push(panel.into());
        self
    }

    /// More panels.
    #[must_use]
    pub fn with_all<P: Into<Panel>>(mut self, panels: impl IntoIterator<Item = P>) -> Self {
        self.panels.extend(panels.into_iter().map(Into::into));
        self
    }

    /// So many panels stand beside each other; without this, two.
    #[must_use]
    pub fn columns(self, columns: usize) -> Self {
        Figure { columns: Some(columns), ..self }
    }

    /// The size of a panel in pixels; without this, 640 by 400 for one panel, and 420 by 310 for each of several.
    #[must_use]
    pub fn panel_size(self, width: f64, height: f64) -> Self {
        Figure { size: Some((width, height)), ..self }
    }

    /// The picture.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let is_one = self.panels.len() <= 1;
        let sound = |(w, h): &(f64, f64)| w.is_finite() && h.is_finite();
        let (w, h) = self.size.filter(sound).unwrap_or(if is_one { (612.0, 372.0) } else { (420.0, 310.0) });
        let (w, h) = (w.clamp(160.0, 4000.0), h.clamp(120.0, 4000.0));
        let columns = self.columns.unwrap_or(2).clamp(1, self.panels.len().max(1));
        let rows = self.panels.len().div_ceil(columns);
        let along = |n: usize, size: f64| n as f64 * size + n.saturating_sub(1) as f64 * GAP;
        let width = along(columns, w) + 2.0 * MARGIN;

        let mut canvas = Canvas::default();
        let mut head = Frame { x: MARGIN, y: MARGIN, width: width - 2.0 * MARGIN, height: 0.0 };
        if !self.title.is_empty() {
            head = draw::title(&mut canvas, &self.title, head, 17.0);
            head.y += 10.0;
        }
        let shared = self.shared_legend();
        if let Some(chart) = shared {
            head = draw::legend(&mut canvas, chart, head);
            head.y += 4.0;
        }
        for (k, panel) in self.panels.iter().enumerate() {
            let (row, column) = ((k / columns) as f64, (k % columns) as f64);
            let frame = Frame { x: MARGIN + column * (w + GAP), y: head.y + row * (h + GAP), width: w, height: h };
            match panel {
                Panel::Chart(chart) => draw::chart(&mut canvas, chart, frame, shared.is_none()),
                Panel::HeatMap(map) => map.draw(&mut canvas, frame),
            }
        }
        let title = if self.title.is_empty() { self.panels.first().map_or("", Panel::title) } else { &self.title };
        let description: Vec<String> = self.panels.iter().map(Panel::description).collect();
        canvas.document(width, head.y + along(rows, h) + MARGIN, title, &description.join(" "))
    }

    /// A chart whose legend is that of all charts, if there are several and all are alike.
    fn shared_legend(&self) -> Option<&Chart> {
        let mut charts = self.panels.iter().filter_map(|panel| match panel {
            Panel::Chart(chart) => Some(&**chart),
            Panel::HeatMap(_) => None,
        });
        let first = charts.next()?;
        let legend = draw::legend_of(first);
        let others: Vec<&Chart> = charts.collect();
        let is_shared = !legend.is_empty() && !others.is_empty() && others.iter().all(|chart| draw::legend_of(chart) == legend);
        is_shared.then_some(first)
    }
}
