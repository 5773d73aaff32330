//! The world of omissions: whether a loop of vectors leaves something out on the way to a number, and gives NaN for it.

use super::{Elementary, Function, Slope, X, dual::unrolled, table::table};

/// Whether something may be left out of a [`Lane`](super::Lane) that is `PLAIN` or not.
#[derive(Debug, Clone, Copy)]
struct Omission<const PLAIN: bool>(bool);

macro_rules! omissions {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        impl<const PLAIN: bool> Elementary for Omission<PLAIN> {
            #[inline(always)]
            fn lit(self, _: f64) -> Self {
                Omission(false)
            }
            $(
                #[inline(always)]
                #[allow(unused_variables)]
                fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    omissions!(@value $value $name self ($x0 $(, $x)*))
                }
            )*
        }
    };
    (@value native masked_mul $this:ident ($a:ident, $b:ident)) => { Omission(PLAIN | $this.0 | $b.0) };
    (@value native $name:ident $this:ident ($x0:ident $(, $x:ident)*)) => { Omission($this.0 $(| $x.0)*) };
    (@value partial $name:ident $this:ident $x:tt) => { Omission(true) };
    (@value $formula:tt $name:ident $this:ident ($x0:ident $(, $x:ident)*)) => {{
        let $x0 = X($this);
        $(let $x = X($x);)*
        $formula.0
    }};
}
use std::f64::consts::LN_2;

use super::table::{GELU_TANH, SELU};
table!(omissions);

/// Whether nothing is left out of the value of a function.
#[inline(always)]
pub(crate) fn has_whole_value<F: Function<N>, const N: usize>(function: &F) -> bool {
    !function.value([X(Omission::<false>(false)); N]).0.0
}

/// Whether nothing is left out of the slopes of a function, not even where they are `PLAIN`.
#[inline(always)]
pub(crate) fn has_whole_slopes<F: Function<N>, const N: usize>(function: &F) -> bool {
    let nothing = X(Omission::<true>(false));
    let slopes = function.slopes([nothing; N], nothing, [true; N]);
    let are_whole = unrolled::<bool, N>(true, |k| !matches!(slopes[k], Slope::Of(Omission(true))));
    let mut all = true;
    for is_whole in are_whole {
        all &= is_whole;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Lane, table},
        *,
    };
    use crate::real::Real;

    const NUMBERS: [f64; 16] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-310, -1e-30, 90.0, -800.0, 1e15, -1e300];

    fn value<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: [f64; N]) -> T {
        function.value(x.map(|x| X(Lane::<T, FMA>(T::of(x))))).0.0
    }

    /// The slopes of a function where its value is known.
    fn slopes<T: Real, F: Function<N>, const N: usize, const FMA: bool>(function: &F, x: [f64; N], y: T) -> [T; N] {
        let (x, y) = (x.map(|x| X(Lane::<T, FMA>(T::of(x)))), X(Lane(y)));
        function.slopes(x, y, [true; N]).map(|slope| slope.or_lit(y.0).0)
    }

    /// What a loop of vectors gives NaN for, and what has a value, must have been said to leave something out.
    fn compare<T: Real, F: Function<N>, const N: usize>(function: &F) {
        let (has_value, has_slopes) = (has_whole_value(function), has_whole_slopes(function));
        for i in 0..NUMBERS.len().pow(u32::try_from(N).unwrap()) {
            let x = std::array::from_fn(|k| NUMBERS[i / NUMBERS.len().pow(u32::try_from(k).unwrap()) % NUMBERS.len()]);
            let (found, y) = (value::<T, F, N, true>(function, x), value::<T, F, N, false>(function, x));
            assert!(!has_value || found.is_nan() == y.is_nan(), "{}{x:?}: {found} and {y}", F::NAME);
            // On the way back the value is there, with nothing left out.
            let (found, all) = (slopes::<T, F, N, true>(function, x, y), slopes::<T, F, N, false>(function, x, y));
            for k in 0..N {
                assert!(!has_slopes || found[k].is_nan() == all[k].is_nan(), "{}{x:?}: slope {k}", F::NAME);
            }
        }
    }

    macro_rules! compared {
        ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
            value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => { $(
            let function = table::$Name { $($($p: $sample),+)? };
            compare::<f64, _, { [stringify!($x0) $(, stringify!($x))*].len() }>(&function);
            compare::<f32, _, { [stringify!($x0) $(, stringify!($x))*].len() }>(&function);
        )* };
    }

    #[test]
    fn nothing_is_left_out_that_is_not_said_to_be() {
        table!(compared);
    }

    #[test]
    fn what_is_left_out_follows_from_the_formula() {
        assert!(has_whole_value(&table::Silu {}) && !has_whole_slopes(&table::Silu {}));
        assert!(has_whole_value(&table::Relu {}) && has_whole_slopes(&table::Relu {}));
        assert!(has_whole_value(&table::Clamp { low: 0.0, high: 1.0 }) && !has_whole_slopes(&table::Clamp { low: 0.0, high: 1.0 }));
        assert!(!has_whole_value(&table::Sin {}));
        let (product, chain) = (crate::function!(|x, a| x * a + 1.0), crate::function!(|x, a| (x * a).tanh()));
        assert!(has_whole_value(&product) && has_whole_slopes(&product));
        assert!(has_whole_value(&chain) && !has_whole_slopes(&chain));
        assert!(!has_whole_value(&crate::function!(|x, a| x.gt(a).select(x, 0.5 * a))));
    }
}
