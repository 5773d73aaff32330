//! Axes: from numbers to places, and the round numbers that are written beside them.

/// What an axis says, and how it is divided: evenly, or by logarithms.
///
/// A text is an axis with that label: `Chart::new("…").x("step")`.
///
/// ```
/// use autograd::plot::{Axis, Chart, Series};
/// let times = Series::line("measured", [(10.0, 2e-6), (100.0, 1.9e-5), (1000.0, 2e-4)]);
/// let chart = Chart::new("Time").x(Axis::new("size").log10()).y(Axis::new("time").log10().unit("s")).with(times);
/// assert!(chart.to_svg().contains("10 µs"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    pub(super) label: String,
    /// The base of the logarithm.
    pub(super) base: Option<f64>,
    pub(super) range: Option<(f64, f64)>,
    pub(super) unit: Option<String>,
    pub(super) names: Vec<String>,
    is_whole: bool,
}

impl Axis {
    /// An even axis with this label.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Axis { label: label.into(), ..Axis::default() }
    }

    /// Logarithmic, with powers of ten beside it.
    #[must_use]
    pub fn log10(self) -> Self {
        Axis { base: Some(10.0), ..self }
    }

    /// Logarithmic, with powers of two beside it.
    #[must_use]
    pub fn log2(self) -> Self {
        Axis { base: Some(2.0), ..self }
    }

    /// From `low` to `high`, whatever the points are. A range that is empty or not finite counts for nothing.
    #[must_use]
    pub fn range(self, low: f64, high: f64) -> Self {
        Axis { range: Some((low, high)), ..self }
    }

    /// Numbers with a unit and the prefix that fits: `20 ms`, `3 k`.
    #[must_use]
    pub fn unit(self, unit: impl Into<String>) -> Self {
        Axis { unit: Some(unit.into()), ..self }
    }

    /// For what is counted, such as layers: no ticks between whole numbers.
    #[must_use]
    pub fn whole(self) -> Self {
        Axis { is_whole: true, ..self }
    }

    /// Names in place of the numbers 0, 1, 2, …
    #[must_use]
    pub fn names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        Axis { names: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Whether a number has a place on this axis.
    pub(super) fn takes(&self, v: f64) -> bool {
        v.is_finite() && (self.base.is_none() || v > 0.0)
    }

    /// The number as the axis measures it.
    fn measure(&self, v: f64) -> f64 {
        // The distance of two numbers is to be a number.
        self.base.map_or(v.clamp(-1e300, 1e300), |base| v.ln() / base.ln())
    }

    /// The axis from pixel `from` to pixel `to`, for these numbers, with about one tick in `spacing` pixels.
    pub(super) fn scale(&self, numbers: impl Iterator<Item = f64>, from: f64, to: f64, spacing: f64) -> Scale {
        let numbers = numbers.filter(|v| self.takes(*v)).map(|v| self.measure(v));
        let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let is_fixed = |(low, high): &(f64, f64)| self.takes(*low) && self.takes(*high) && low < high;
        let fixed = self.range.filter(is_fixed).map(|(low, high)| (self.measure(low), self.measure(high)));
        let wanted = ((to - from).abs() / spacing).max(2.0);
        let (low, high) = match (fixed, self.names.len()) {
            (Some(range), _) => range,
            (None, 0) => self.rounded(spread(low, high), wanted),
            (None, n) => (-0.5, n as f64 - 0.5),
        };
        let mut scale = Scale { axis: self.clone(), low, high, from, to, ticks: Vec::new() };
        scale.ticks = self.ticks(low, high, wanted);
        scale
    }

    /// The range, with a little room at its ends, or out to a round number where one is near.
    fn rounded(&self, (low, high): (f64, f64), wanted: f64) -> (f64, f64) {
        let step = match self.base {
            Some(_) if high - low >= 1.5 => 1.0,
            Some(_) => return (low - 0.05 * (high - low), high + 0.05 * (high - low)),
            None => self.step(high - low, wanted),
        };
        let room = 0.03 * (high - low);
        let (below, above) = ((low / step).floor() * step, (high / step).ceil() * step);
        let near = 0.36 * step;
        (if low - below <= near { below } else { low - room }, if above - high <= near { above } else { high + room })
    }

    /// The distance of two ticks of an even axis.
    fn step(&self, length: f64, wanted: f64) -> f64 {
        let step = step(length, wanted);
        if self.is_whole { step.max(1.0) } else { step }
    }

    fn ticks(&self, low: f64, high: f64, wanted: f64) -> Vec<(f64, String)> {
        if !self.names.is_empty() {
            return self.names.iter().enumerate().map(|(k, name)| (k as f64, name.clone())).collect();
        }
        let inside = |v: &f64| *v >= low - 1e-9 * (high - low) && *v <= high + 1e-9 * (high - low);
        let even = |step: f64| (0..=count(high - low, step)).map(move |k| ((low / step).ceil() + f64::from(k)) * step);
        let values: Vec<f64> = match self.base {
            None => even(self.step(high - low, wanted)).filter(inside).collect(),
            Some(base) => {
                let stride = ((high - low) / wanted - 0.3).ceil().max(1.0);
                let powers: Vec<f64> = even(stride).filter(inside).map(|v| base.powf(v)).collect();
                let parts: Vec<f64> = even(1.0).chain([low.floor()]).flat_map(|v| [1.0, 2.0, 5.0].map(|m| m * base.powf(v))).collect();
                let mut parts: Vec<f64> = parts.into_iter().filter(|v| inside(&self.measure(*v))).collect();
                parts.sort_by(f64::total_cmp);
                parts.dedup();
                if powers.len() >= 3 || powers.len() == 2 && parts.len() as f64 > 1.4 * wanted {
                    powers
                } else if parts.len() >= 2 {
                    parts
                } else {
                    let (low, high) = (base.powf(low), base.powf(high));
                    let plain = Axis { base: None, ..self.clone() };
                    return plain.ticks(low, high, wanted);
                }
            }
        };
        let texts = self.texts(&values);
        values.into_iter().zip(texts).collect()
    }

    /// The numbers as they are written beside the axis.
    fn texts(&self, values: &[f64]) -> Vec<String> {
        if let Some(unit) = &self.unit {
            return values.iter().map(|v| with_prefix(*v, unit)).collect();
        }
        let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let smallest = values.iter().filter(|v| self.base.is_some() || v.abs() > 1e-9 * largest).fold(f64::INFINITY, |m, v| m.min(v.abs()));
        let gaps = values.windows(2).map(|w| (w[1] - w[0]).abs());
        let finest = if self.base.is_some() { smallest } else { gaps.fold(smallest, f64::min) };
        if (1e-3..1e5).contains(&largest) && finest >= 1e-3 {
            let places = |v: f64| decimals(v).max(0);
            if self.base.is_some() {
                return values.iter().map(|v| fixed(*v, places(*v))).collect();
            }
            return values.iter().map(|v| fixed(*v, places(finest))).collect();
        }
        let is_zero = |v: f64| self.base.is_none() && v.abs() <= 1e-9 * largest;
        values.iter().map(|v| if is_zero(*v) { "0".to_owned() } else { scientific(*v) }).collect()
    }
}

impl From<&str> for Axis {
    fn from(label: &str) -> Self {
        Axis::new(label)
    }
}

impl From<String> for Axis {
    fn from(label: String) -> Self {
        Axis::new(label)
    }
}

/// A range with some length, whatever the smallest and the largest number are.
fn spread(low: f64, high: f64) -> (f64, f64) {
    if low > high {
        return (0.0, 1.0); // there are no numbers
    }
    let length = high - low;
    let least = 1e-12 * low.abs().max(high.abs());
    if length > least { (low, high) } else { (low - low.abs().max(1.0) * 0.5, high + high.abs().max(1.0) * 0.5) }
}

/// A round step, 1, 2 or 5 times a power of ten, that divides a length into about so many parts.
fn step(length: f64, wanted: f64) -> f64 {
    let raw = length / wanted;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0) * power;
    if step.is_finite() && step > 0.0 { step } else { 1.0 }
}

/// How often a step goes into a length; a bound for loops, far above what is drawn.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn count(length: f64, step: f64) -> u32 {
    (length / step).ceil().clamp(0.0, 1000.0) as u32
}

/// The place of the last digit of a round number: 2 for 0.05, −1 for 10.
#[allow(clippy::cast_possible_truncation)] // exponents
fn decimals(v: f64) -> i32 {
    -(v.abs() * (1.0 + 1e-9)).log10().floor().clamp(-400.0, 400.0) as i32
}

fn fixed(v: f64, places: i32) -> String {
    let places = usize::try_from(places).unwrap_or(0);
    minus(format!("{v:.places$}"))
}

/// With the sign of a negative number as it is printed.
fn minus(text: String) -> String {
    let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    match text.strip_prefix('-') {
        Some(rest) if zero => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// 2·10⁻⁵
fn scientific(v: f64) -> String {
    let power = -decimals(v);
    let mantissa = v / 10f64.powi(power);
    let digits = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32(u32::from('⁴') + u32::from(c) - u32::from('4')).unwrap_or(c),
    };
    let power: String = power.to_string().chars().map(digits).collect();
    if (mantissa - 1.0).abs() < 1e-9 { format!("10{power}") } else { minus(format!("{}·10{power}", short(mantissa))) }
}

/// A number with few digits, without zeros at the end.
pub(super) fn short(v: f64) -> String {
    if v != 0.0 && !(1e-3..1e5).contains(&v.abs()) {
        return minus(format!("{v:.2e}"));
    }
    let places = usize::try_from(decimals(v).saturating_add(2).clamp(0, 5)).unwrap_or(0);
    let text = format!("{v:.places$}");
    minus(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text })
}

fn with_prefix(v: f64, unit: &str) -> String {
    const PREFIXES: [(&str, f64); 9] =
        [("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12), ("f", 1e-15)];
    let (prefix, scale) = match PREFIXES.into_iter().find(|(_, scale)| v.abs() >= scale * (1.0 - 1e-9)) {
        Some(found) if v != 0.0 => found,
        _ => ("", 1.0),
    };
    let number = short(v / scale);
    if prefix.is_empty() && unit.is_empty() { number } else { format!("{number} {prefix}{unit}") }
}

/// An axis laid out on pixels.
#[derive(Debug)]
pub(super) struct Scale {
    axis: Axis,
    /// The ends, as the axis measures.
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// The numbers with a tick, and what is written there.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// The place of a number that the axis takes. It may lie outside.
    pub(super) fn place(&self, v: f64) -> Option<f64> {
        let share = (self.axis.measure(v) - self.low) / (self.high - self.low);
        // Far outside is as good as a little outside, and needs fewer digits.
        self.axis.takes(v).then(|| self.from + share.clamp(-10.0, 11.0) * (self.to - self.from))
    }

    /// As [`Scale::place`], at the nearest end for what lies outside.
    pub(super) fn place_inside(&self, v: f64) -> Option<f64> {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        self.place(v).map(|place| place.clamp(low, high))
    }

    /// Whether a place is inside by so many pixels.
    pub(super) fn place_inside_by(&self, place: f64, room: f64) -> bool {
        place >= self.from.min(self.to) + room && place <= self.from.max(self.to) - room
    }

    /// The width of the widest text.
    pub(super) fn widest(&self, size: f64) -> f64 {
        self.ticks.iter().map(|(_, text)| super::svg::width_of(text, size)).fold(0.0, f64::max)
    }

    /// Where bars stand.
    pub(super) fn ground(&self) -> f64 {
        if self.axis.base.is_some() { self.from } else { self.place_inside(0.0).unwrap_or(self.from) }
    }
}
