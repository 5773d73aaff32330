//! How well a rounded number agrees with an exact one.

use serde::Serialize;

/// How well an answer agrees with the gradient, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// To the rounding of floating point.
    Exact,
    /// To the digits given.
    Rounded,
    /// To the digits given, but these are so few that the two may be apart by more than a twentieth.
    TooCoarse,
    /// To half a percent, but not to the digits given.
    Close,
    /// Not at all.
    Wrong,
}

impl Agreement {
    /// Whether the answer is right.
    #[must_use]
    pub fn is_right(self) -> bool {
        matches!(self, Agreement::Exact | Agreement::Rounded)
    }

    /// One or two words, such as `"rounded"`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Agreement::Exact => "exact",
            Agreement::Rounded => "right, rounded",
            Agreement::TooCoarse => "too few digits",
            Agreement::Close => "close",
            Agreement::Wrong => "WRONG",
        }
    }
}

/// The digits to which numbers were given.
pub(super) struct Digits {
    /// What the last decimal is worth that any of them has: a 0 was rounded to that.
    finest: f64,
}

/// What the last digit of a number is worth, in its shortest decimal form: 0.01 for 0.25, 10 for 1230; nothing for 0.
fn unit(v: f64) -> Option<f64> {
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let exponent: i32 = exponent.parse().ok()?;
    (v != 0.0).then(|| 10f64.powi(exponent - i32::try_from(decimals).unwrap_or_default()))
}

impl Digits {
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v f64>) -> Digits {
        Digits { finest: values.filter_map(|v| unit(*v)).fold(f64::INFINITY, f64::min) }
    }

    /// By how much rounding may have moved a number.
    pub(super) fn half(&self, v: f64) -> f64 {
        let unit = unit(v).unwrap_or(if self.finest.is_finite() { self.finest } else { 0.0 });
        0.5 * unit * (1.0 + 1e-6)
    }
}

/// Compares one number. `scale` is the size of what was added up to it, with the rounding of its precision; `room` is what is uncertain about it.
pub(super) fn judge(hand: f64, right: f64, scale: f64, digits: &Digits, room: f64) -> Agreement {
    let apart = (hand - right).abs();
    if hand == right || hand.is_nan() && right.is_nan() || apart <= scale {
        return Agreement::Exact;
    }
    match apart {
        apart if apart <= digits.half(hand) + room && apart <= 0.05 * right.abs() => Agreement::Rounded,
        apart if apart <= digits.half(hand) => Agreement::TooCoarse,
        apart if apart <= 5e-3 * right.abs() => Agreement::Close,
        _ => Agreement::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_of_a_number() {
        let units = [0.25, 1230.0, -4.0, 0.000_439, 1e-7].map(unit);
        for (found, expected) in units.into_iter().zip([0.01, 10.0, 1.0, 1e-6, 1e-7]) {
            assert!((found.unwrap() / expected - 1.0).abs() < 1e-12, "{found:?} is not {expected}");
        }
        assert_eq!(unit(0.0), None);
    }

    #[test]
    fn answers_are_right_to_the_digits_given() {
        let digits = Digits::of([0.082].iter());
        let of = |hand, right: f64| judge(hand, right, 1e-12 * right.abs(), &digits, 0.0);
        let right = 0.082_167_041;
        assert_eq!(of(right, right), Agreement::Exact);
        assert!([0.0822, 0.082, 0.08, 0.082_167, 0.082_167_04].into_iter().all(|hand| of(hand, right) == Agreement::Rounded));
        assert_eq!([of(0.0821, right), of(0.083, right), of(-0.0822, right)], [Agreement::Close, Agreement::Wrong, Agreement::Wrong]);
        assert_eq!([of(4.0, 3.7), of(4.0, 3.9), of(1230.0, 1234.5)], [Agreement::TooCoarse, Agreement::Rounded, Agreement::Rounded]);
        assert_eq!([of(0.0, 0.000_4), of(0.0, 0.3), of(f64::NAN, 1.0)], [Agreement::TooCoarse, Agreement::Wrong, Agreement::Wrong]);
    }
}
