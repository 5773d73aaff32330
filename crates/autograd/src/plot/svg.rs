//! SVG as text: a canvas that shapes are written on, and the document around it.

use std::fmt::{self, Display, Write};

/// The size of letters.
pub(super) const SIZE: f64 = 13.0;
/// The height of a line of text.
pub(super) const LINE: f64 = 18.0;

/// What is written in, what lines of axes and of grids are drawn in.
pub(super) const INK: &str = "#222";
pub(super) const FAINT: &str = "#555";
pub(super) const GRID: &str = "#e2e2e2";

/// How a series is drawn: a colour, a pattern of dashes, and the marker of that number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    pub(super) dashes: &'static str,
    pub(super) marker: usize,
}

/// Colours after M. Okabe and K. Ito, *Color universal design* (2008), made darker where they were too light for white.
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#00805d", "#a8508a", "#8a6500", "#3b8fc4", "#222222", "#8c2d04"];
const DASHES: [&str; 7] = ["", "8 4", "2 3", "10 3 2 3", "14 4", "5 2", "8 3 2 3 2 3"];
/// How many markers there are.
const MARKERS: usize = 6;

impl Style {
    /// The style of the series of this number, from 0; the first 42 differ in dashes or marker.
    pub(super) fn of(number: usize) -> Style {
        Style { colour: COLOURS[number % COLOURS.len()], dashes: DASHES[number % DASHES.len()], marker: number % MARKERS }
    }

    /// That of lines to compare with.
    pub(super) fn reference() -> Style {
        Style { colour: "#666", dashes: "3 3", marker: 0 }
    }
}

/// Where a text stands in relation to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        })
    }
}

/// A part of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Shapes, in the order in which they cover each other.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
}

// Writing to a string does not fail, so results of `write!` are not looked at.
impl Canvas {
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: Style, width: f64) {
        let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        let Style { colour, dashes, .. } = style;
        let _ = write!(self.body, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\" stroke-width=\"{width}\"");
        self.dashes(dashes);
        self.body += "/>\n";
    }

    fn dashes(&mut self, dashes: &str) {
        if !dashes.is_empty() {
            let _ = write!(self.body, " stroke-dasharray=\"{dashes}\"");
        }
    }

    /// A line through points; nothing for fewer than two of them.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], style: Style, width: f64) {
        if points.len() < 2 {
            return;
        }
        self.body += "<polyline points=\"";
        for (k, (x, y)) in points.iter().enumerate() {
            let _ = write!(self.body, "{}{},{}", if k == 0 { "" } else { " " }, Px(*x), Px(*y));
        }
        let colour = style.colour;
        let _ = write!(self.body, "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"");
        self.dashes(style.dashes);
        self.body += "/>\n";
    }

    pub(super) fn rectangle(&mut self, at: Frame, fill: &str, stroke: Option<&str>) {
        let (x, y, w, h) = (Px(at.x), Px(at.y), Px(at.width), Px(at.height));
        let _ = write!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{fill}\"");
        if let Some(stroke) = stroke {
            let _ = write!(self.body, " stroke=\"{stroke}\"");
        }
        self.body += "/>\n";
    }

    /// The marker of a style at a point.
    pub(super) fn marker(&mut self, (x, y): (f64, f64), style: Style) {
        let colour = style.colour;
        let path = match style.marker {
            0 => {
                let _ = writeln!(self.body, "<circle cx=\"{}\" cy=\"{}\" r=\"3.2\" fill=\"{colour}\"/>", Px(x), Px(y));
                return;
            }
            1 => "m-3-3h6v6h-6z",
            2 => "m0-4 4 7h-8z",
            3 => "m0-4.5 4 4.5-4 4.5-4-4.5z",
            4 => "m-3.5-3.5 7 7m0-7-7 7",
            _ => "m0 4 4-7h-8z",
        };
        let (fill, stroke) = if style.marker == 4 { ("none", colour) } else { (colour, "none") };
        let _ = writeln!(
            self.body,
            "<path d=\"M{} {}{path}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{}\"/>",
            Px(x),
            Px(y),
            if style.marker == 4 { 2 } else { 0 }
        );
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: &str, text: &str) {
        self.sized((x, y), anchor, colour, SIZE, text);
    }

    pub(super) fn sized(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: &str, size: f64, text: &str) {
        let _ = write!(self.body, "<text x=\"{}\" y=\"{}\"", Px(x), Px(y));
        if !matches!(anchor, Anchor::Start) {
            let _ = write!(self.body, " text-anchor=\"{anchor}\"");
        }
        if (size - SIZE).abs() > 1e-9 {
            let _ = write!(self.body, " font-size=\"{size}\"");
        }
        let _ = writeln!(self.body, " fill=\"{colour}\">{}</text>", Escaped(text));
    }

    /// A small text on white, to be read on top of lines, around its middle.
    pub(super) fn label(&mut self, (x, y): (f64, f64), text: &str) {
        let width = width_of(text, 10.0) + 2.0;
        self.rectangle(Frame { x: x - width / 2.0, y: y - 6.0, width, height: 12.0 }, "#fff", None);
        self.sized((x, y + 3.5), Anchor::Middle, FAINT, 10.0, text);
    }

    /// A text that is read from below upwards, around its middle.
    pub(super) fn upright(&mut self, (x, y): (f64, f64), text: &str) {
        let (x, y) = (Px(x), Px(y));
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\" fill=\"{INK}\">{}</text>",
            Escaped(text)
        );
    }

    /// What is drawn by `f` is cut off at the frame.
    pub(super) fn clipped(&mut self, at: Frame, f: impl FnOnce(&mut Canvas)) {
        let (x, y, w, h) = (Px(at.x), Px(at.y), Px(at.width), Px(at.height));
        // An inner picture clips without a name; names would meet those of other pictures on a page.
        let _ = writeln!(self.body, "<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\">");
        f(self);
        self.body += "</svg>\n";
    }

    /// The whole document. It is white behind all, so that it can be read on pages of any colour.
    pub(super) fn document(self, width: f64, height: f64, title: &str, description: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"{SIZE}\">\n<title>{}</title>\n<desc>{}</desc>\n\
             <rect width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"#fff\"/>\n{}</svg>\n",
            Escaped(title),
            Escaped(description),
            self.body,
            w = Px(width),
            h = Px(height),
        )
    }
}

/// A length in pixels, to a tenth.
pub(crate) struct Px(pub(crate) f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        // There is no −0.
        let tenths = if tenths == 0.0 { 0.0 } else { tenths };
        if tenths % 10.0 == 0.0 { write!(f, "{}", tenths / 10.0) } else { write!(f, "{:.1}", tenths / 10.0) }
    }
}

/// A text in which nothing is taken for a tag.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // Not allowed in XML 1.0.
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// About the width of a text: the widths of letters in common fonts, rather too large than too small.
pub(crate) fn width_of(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | '[' | ']' | 'f' | 't' | 'r' | 'I' => 0.36,
        '⁰'..='⁹' | '⁻' | '¹' | '²' | '³' => 0.40,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
        'A'..='Z' => 0.70,
        _ => 0.61,
    };
    size * text.chars().map(width).sum::<f64>()
}

/// A text in lines of at most this width, broken at spaces.
pub(super) fn wrapped(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width_of(line, size) + width_of(" ", size) + width_of(word, size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
