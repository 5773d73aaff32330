//! A plot of a few curves with logarithmic axes, as SVG.

use std::fmt::Write;

pub(crate) struct Curve {
    pub(crate) name: String,
    /// Size and seconds, both above 0.
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room at the left, the right, the top and the bottom.
const MARGIN: [f64; 4] = [76.0, 24.0, 44.0, 52.0];
const COLOURS: [&str; 3] = ["#1f5fa8", "#c4561b", "#3a7d44"];

/// The picture; a point is a size and the seconds it takes.
pub(crate) fn svg(title: &str, sizes: &str, curves: &[Curve]) -> String {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = all().map(of).fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), v| (low.min(v), high.max(v)));
        (low.log10().floor(), high.log10().ceil())
    };
    let (x_range, y_range) = (range(|p| p.0), range(|p| p.1));
    let [left, right, top, bottom] = MARGIN;
    let x = |v: f64| left + (v.log10() - x_range.0) / (x_range.1 - x_range.0) * (WIDTH - left - right);
    let y = |v: f64| HEIGHT - bottom - (v.log10() - y_range.0) / (y_range.1 - y_range.0) * (HEIGHT - top - bottom);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>{title}: time by {sizes}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"26\" font-size=\"16\" fill=\"#222\">{title}</text>\n"
    );
    let mut line = |[x1, y1, x2, y2]: [f64; 4]| {
        let _ = writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>");
    };
    for k in decades(x_range) {
        line([x(10f64.powi(k)), top, x(10f64.powi(k)), HEIGHT - bottom]);
    }
    for k in decades(y_range) {
        line([left, y(10f64.powi(k)), WIDTH - right, y(10f64.powi(k))]);
    }
    let mut text = |x: f64, y: f64, anchor: &str, colour: &str, text: &str| {
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>");
    };
    for k in decades(x_range) {
        text(x(10f64.powi(k)), HEIGHT - bottom + 18.0, "middle", "#444", &size(k));
    }
    for k in decades(y_range) {
        text(left - 8.0, y(10f64.powi(k)) + 4.0, "end", "#444", &seconds(k));
    }
    text(left.midpoint(WIDTH - right), HEIGHT - 12.0, "middle", "#222", sizes);
    for (i, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        text(left + 12.0, top + 18.0 + 18.0 * i as f64, "start", colour, &format!("● {}", curve.name));
    }
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let path: Vec<String> = curve.points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
        let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" "));
        for p in &curve.points {
            let _ = writeln!(out, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(p.0), y(p.1));
        }
    }
    out + "</svg>\n"
}

#[allow(clippy::cast_possible_truncation)] // exponents of ten
fn decades((low, high): (f64, f64)) -> std::ops::RangeInclusive<i32> {
    low as i32..=high as i32
}

fn size(k: i32) -> String {
    match k {
        0..3 => 10i32.pow(k.unsigned_abs()).to_string(),
        3..6 => format!("{} k", 10i32.pow(k.unsigned_abs() - 3)),
        _ => format!("{} M", 10f64.powi(k - 6)),
    }
}

fn seconds(k: i32) -> String {
    let (unit, scale) = match k {
        ..-6 => ("ns", 9),
        -6..-3 => ("µs", 6),
        -3..0 => ("ms", 3),
        _ => ("s", 0),
    };
    format!("{} {unit}", 10f64.powi(k + scale))
}
