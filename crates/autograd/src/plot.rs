//! Pictures of numbers: curves, bars, heat maps and contour lines, as SVG and as text for a terminal.
//!
//! A [`Chart`] has two axes and any number of [`Series`]; a [`HeatMap`] shows a matrix; a [`Figure`] puts several of them side by side.
//! Each gives one text of SVG, which is the same for the same numbers, needs no other file, and stands on white whatever the page around
//! it. Series differ in dashes and markers as well as in colour; the legend stands above the plot, where it covers nothing; what a picture
//! shows is also said in words, in its `<desc>`.
//!
//! Points that cannot be drawn (NaN, ∞, and what is not above 0 on a logarithmic axis) are left out, the line is interrupted there, and a
//! note under the chart says how many there were. No points at all make an empty chart.
//!
//! ```
//! use autograd::plot::{Axis, Chart, Figure, HeatMap, Series};
//! let falling = (0..50).map(|k| (f64::from(k), 0.9f64.powi(k)));
//! let chart = Chart::new("Loss").x("step").y(Axis::new("loss").log10()).with(Series::line("rate 0.1", falling));
//! let svg = chart.to_svg();
//! assert!(svg.starts_with("<svg") && svg.contains("role=\"img\""));
//! assert!(chart.to_text().contains("rate 0.1"));
//!
//! let weights = HeatMap::new("Weights", [[0.5, -1.0], [0.0, 2.0]]).numbers();
//! let both = Figure::new("A model").with(chart).with(weights).to_svg();
//! assert!(both.contains("A model"));
//! ```

mod axis;
mod chart;
mod contour;
mod draw;
mod figure;
mod heat;
pub(crate) mod svg;
mod terminal;

pub use axis::Axis;
pub use chart::{Chart, Series, histogram};
pub use contour::Surface;
pub use figure::{Figure, Panel};
pub use heat::HeatMap;
pub use terminal::sparkline;

#[cfg(test)]
mod tests;
