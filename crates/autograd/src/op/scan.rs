//! Scans along an axis: cumulative sums and products, linear recurrences.

use super::methods;

methods! {}
