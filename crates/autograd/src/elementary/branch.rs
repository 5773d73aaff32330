//! The world of branches: which side of every kink a formula takes at a point, and how far away the kink is.

use std::{cell::RefCell, cmp::Ordering};

use super::{
    Elementary, Function, Lane, X,
    table::{self, table},
};

/// The side of one kink on which a point lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side {
    /// The function with the kink, such as `"relu"`.
    pub function: &'static str,
    /// Below, on or above the kink; `None` for NaN.
    pub side: Option<Ordering>,
    /// The distance to the kink, in units of the quantity that is compared.
    pub distance: f64,
}

/// A number that writes down the side of every kink it meets.
#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    value: f64,
    seen: &'a RefCell<Vec<Side>>,
}

/// The sides of all kinks that `function` meets at `x`, in the order of evaluation.
///
/// ```
/// use autograd::elementary::{Relu, sides};
/// let [side] = sides(&Relu {}, [0.25])[..] else { unreachable!() };
/// assert_eq!((side.function, side.distance), ("relu", 0.25));
/// ```
pub fn sides<F: Function<N>, const N: usize>(function: &F, x: [f64; N]) -> Vec<Side> {
    let seen = RefCell::default();
    let _ = function.value(x.map(|value| X(Branch { value, seen: &seen })));
    seen.into_inner()
}

type Number = Lane<f64, false>;

macro_rules! branches {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        impl Elementary for Branch<'_> {
            fn lit(self, c: f64) -> Self {
                Branch { value: c, ..self }
            }
            $( fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                let function = table::$Name { $($($p),+)? };
                let x = [X(Lane(self.value)) $(, X(Lane($x.value)))*];
                function.switches(x, &mut |Lane(switch): Number| {
                    let side = Side { function: stringify!($name), side: switch.partial_cmp(&0.0), distance: switch.abs() };
                    self.seen.borrow_mut().push(side);
                });
                Branch { value: function.value(x).0.0, ..self }
            } )*
        }
    };
}
table!(branches);
