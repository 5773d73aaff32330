//! The element types of tensors: f32 and f64.

use std::{
    fmt::{Debug, Display, LowerExp},
    iter::Sum,
    ops::{Add, AddAssign, Div, Mul, Neg, Sub},
};

use crate::{
    elementary::Numeric,
    graph::spare::Spared,
    op::Engine,
    tensor::{Gemm, kernel::lanes::Lanes, pool::Pooled},
};

/// An element type: `f32` or `f64`. The trait is sealed; mixing the two in one formula does not compile.
#[allow(private_bounds)]
pub trait Real:
    Numeric
    + Gemm
    + Lanes
    + Pooled
    + Spared
    + Engine
    + Debug
    + Display
    + LowerExp
    + Default
    + PartialOrd
    + PartialEq
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// −∞
    const NEG_INFINITY: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// The name in error messages and files: `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The number nearest to `c`.
    fn of(c: f64) -> Self;
    /// The same number in double precision.
    fn to_f64(self) -> f64;
    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether the number is NaN.
    fn is_nan(self) -> bool;
}

macro_rules! real {
    ($($t:ident)*) => { $(
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const EPSILON: Self = $t::EPSILON;
            const NAME: &'static str = stringify!($t);
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)]
            fn of(c: f64) -> Self {
                c as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
        }
    )* };
}
real!(f32 f64);
