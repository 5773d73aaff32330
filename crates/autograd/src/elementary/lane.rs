//! The world of numbers: one element of a tensor on its way through a kernel.

use super::{Elementary, Numeric, X, table::table};
use crate::real::Real;

/// One number of a kernel.
///
/// `FMA` says whether the instruction set that the kernel was compiled for has a fused multiply-add. The dispatcher of the
/// kernels sets it; a multiply-add in software would cost forty times as much. With it, what has no place in a loop of vectors is left out: sin,
/// cos and tan of numbers beyond 7·10¹³ are NaN, and so is a comparison with NaN. The kernels compute again without it what is NaN.
///
/// The products of the chain rule, and others that mask, are 0 where a factor is 0, whatever the other is. A `PLAIN` number multiplies without
/// looking: all is the same, unless the result is NaN, and then it has to be computed again too.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Lane<T, const FMA: bool, const PLAIN: bool = false>(pub T);

macro_rules! lanes {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        impl<T: Real, const FMA: bool, const PLAIN: bool> Elementary for Lane<T, FMA, PLAIN> {
            #[inline(always)]
            fn lit(self, c: f64) -> Self {
                Lane(T::of(c))
            }
            $(
                #[inline(always)]
                fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    lanes!(@value $value $name self ($x0 $(, $x)*) ($($($p),+)?))
                }
            )*
        }
    };
    (@value native masked_mul $this:ident ($a:ident, $b:ident) ()) => {
        Lane(if PLAIN { $this.0.unmasked_mul::<FMA>($b.0) } else { Numeric::masked_mul::<FMA>($this.0, $b.0) })
    };
    (@value partial $($rest:tt)*) => { lanes!(@value native $($rest)*) };
    (@value native $name:ident $this:ident ($x0:ident $(, $x:ident)*) ($($p:ident),*)) => {
        Lane(<T as Numeric>::$name::<FMA>($this.0 $(, $x.0)* $(, $p)*))
    };
    (@value $formula:tt $name:ident $this:ident ($x0:ident $(, $x:ident)*) ($($p:ident),*)) => {{
        let $x0 = X($this);
        $(let $x = X($x);)*
        $formula.0
    }};
}
use std::f64::consts::LN_2;

use super::table::{GELU_TANH, SELU};
table!(lanes);
