//! The world of numbers with derivatives: a formula evaluated on duals gives its gradient in one pass.

use super::{
    Elementary, Function, X,
    table::{self, table},
};

/// A derivative: a constant known from the text of a rule, or a computed quantity.
///
/// Constants are structural. A zero is never multiplied, so an operand that does not depend on a variable contributes nothing to its
/// derivative, were the slope infinite; a one costs no multiplication and, on the graph, no node.
#[derive(Debug, Clone, Copy)]
pub enum Slope<S> {
    /// A number that stands in the rule.
    Const(f64),
    /// A number that depends on the operands.
    Of(S),
}
use Slope::{Const, Of};

impl<S: Elementary> Slope<S> {
    /// The product of the chain rule: 0 if a factor is 0.
    #[inline(always)]
    #[must_use]
    #[track_caller]
    pub fn times(self, other: Slope<S>) -> Slope<S> {
        match (self, other) {
            (Const(a), Const(b)) => Const(a * b),
            (Const(c), Of(s)) | (Of(s), Const(c)) => {
                if c == 0.0 {
                    Const(0.0)
                } else if c == 1.0 {
                    Of(s)
                } else if c == -1.0 {
                    Of(s.neg())
                } else {
                    Of(s.mul_lit(c))
                }
            }
            (Of(a), Of(b)) => Of(a.chained(b)),
        }
    }

    /// The sum over paths.
    #[inline(always)]
    #[must_use]
    #[track_caller]
    pub fn plus(self, other: Slope<S>) -> Slope<S> {
        match (self, other) {
            (Const(a), Const(b)) => Const(a + b),
            (Const(c), Of(s)) | (Of(s), Const(c)) => {
                if c == 0.0 {
                    Of(s)
                } else {
                    Of(s.add_lit(c))
                }
            }
            (Of(a), Of(b)) => Of(a.add(b)),
        }
    }

    /// The slope as a quantity of the world of `like`.
    #[inline(always)]
    #[track_caller]
    pub fn or_lit(self, like: S) -> S {
        match self {
            Const(c) => like.lit(c),
            Of(s) => s,
        }
    }
}

/// What may stand as a derivative in a row of the table: a literal, which is structural, or a quantity.
pub(crate) trait IntoSlope<S> {
    /// The derivative.
    fn into_slope(self) -> Slope<S>;
}
impl<S> IntoSlope<S> for f64 {
    #[inline(always)]
    fn into_slope(self) -> Slope<S> {
        Const(self)
    }
}
impl<S> IntoSlope<S> for X<S> {
    #[inline(always)]
    fn into_slope(self) -> Slope<S> {
        Of(self.0)
    }
}

/// The array of `f(0), f(1), …` for at most eight places, written out: a loop, or `array::from_fn`, would be left as a call by the compiler
/// in the middle of a kernel, which then would not vectorise.
#[inline(always)]
pub(crate) fn unrolled<R: Copy, const N: usize>(filling: R, f: impl Fn(usize) -> R) -> [R; N] {
    const { assert!(N <= 8, "a function takes at most eight operands") };
    let mut all = [filling; N];
    macro_rules! place {
        ($($i:literal)*) => { $( if N > $i { all[$i] = f($i); } )* };
    }
    place!(0 1 2 3 4 5 6 7);
    all
}

/// Σ slopeₖ·dₖ over the at most three operands of a function of the table.
#[inline(always)]
#[track_caller]
fn over_paths<S: Elementary, const K: usize>(slopes: [Slope<S>; K], d: [Slope<S>; K]) -> Slope<S> {
    const { assert!(K >= 1 && K <= 3, "a function of the table takes one to three operands") };
    let mut sum = slopes[0].times(d[0]);
    if K > 1 {
        sum = sum.plus(slopes[1].times(d[1]));
    }
    if K > 2 {
        sum = sum.plus(slopes[2].times(d[2]));
    }
    sum
}

/// Σ slopeₖ·dxₖ over the at most three operands of a function of the table, in the world of `like`.
#[inline(always)]
#[track_caller]
pub(super) fn along<S: Elementary, const K: usize>(slopes: [Slope<S>; K], dx: [S; K], like: S) -> S {
    over_paths(slopes, unrolled(Const(0.0), |k| Of(dx[k]))).or_lit(like)
}

/// A number together with its derivatives by `N` variables.
///
/// ```
/// use autograd::elementary::{Dual, Lane, Slope, X};
/// let [x, y] = Dual::seeded([X(Lane::<f64, false>(3.0)), X(Lane(5.0))], [true, true]);
/// let z = (x * y + 2.0 * x).0;
/// assert_eq!(z.v.0, 21.0);
/// assert!(matches!(z.d, [Slope::Of(Lane(7.0)), Slope::Of(Lane(3.0))]));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Dual<S, const N: usize> {
    /// The value.
    pub v: S,
    /// The derivatives.
    pub d: [Slope<S>; N],
}

impl<S: Elementary, const N: usize> Dual<S, N> {
    /// The variables themselves: each has derivative 1 by itself and 0 by the others. One that is not needed counts as a constant.
    #[inline(always)]
    #[must_use]
    pub fn seeded(x: [X<S>; N], needs: [bool; N]) -> [X<Self>; N] {
        const { assert!(N >= 1, "a function has at least one operand") };
        let unit = |i| unrolled(Const(0.0), |j| Const(if i == j && needs[i] { 1.0 } else { 0.0 }));
        unrolled(X(Dual { v: x[0].0, d: unit(0) }), |i| X(Dual { v: x[i].0, d: unit(i) }))
    }

    /// Whether any derivative is not a zero that stands in the rules.
    #[inline(always)]
    fn varies(&self) -> bool {
        let is_zero = unrolled::<bool, N>(true, |i| matches!(self.d[i], Const(0.0)));
        let mut all = true;
        for zero in is_zero {
            all &= zero;
        }
        !all
    }
}

macro_rules! duals {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        impl<S: Elementary, const N: usize> Elementary for Dual<S, N> {
            #[inline(always)]
            #[track_caller]
            fn lit(self, c: f64) -> Self {
                Dual { v: self.v.lit(c), d: [const { Const(0.0) }; N] }
            }
            $(
                #[inline(always)]
                #[track_caller]
                fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    let $y = self.v.$name($($x.v,)* $($($p),+)?);
                    let needs = [self.varies() $(, $x.varies())*];
                    let slopes = table::$Name { $($($p),+)? }.slopes([X(self.v) $(, X($x.v))*], X($y), needs);
                    Dual { v: $y, d: unrolled(Const(0.0), |i| over_paths(slopes, [self.d[i] $(, $x.d[i])*])) }
                }
            )*
        }
    };
}
table!(duals);
