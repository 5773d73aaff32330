//! One declaration of an operation's method becomes the method of variables, of tensors and of rules, and its line in the catalogue.

/// Declares the methods of a family of operations, each with the expression that makes its [`Handle`](super::Handle) and with samples.
///
/// `fn name(x, other; parameter: Type) = handle, samples: { [shape of each input] => |x| formula; … };`
macro_rules! methods {
    ($( $(#[$doc:meta])* fn $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) = $handle:expr,
        samples: { $([$($shape:expr),+] => |$inputs:ident| $sample:expr;)+ }; )*) => {
        /// The operations of this family, for rules: each method does what the method of [`Var`](crate::Var) of that name does.
        pub trait Methods<T: $crate::Real>: $crate::op::Apply<T> {
            $(
                #[doc = concat!("See [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ").")]
                #[must_use]
                #[track_caller]
                fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Self {
                    Self::call($handle, &[self $(, $x)*])
                }
            )*
        }
        impl<T: $crate::Real, A: $crate::op::Apply<T>> Methods<T> for A {}

        impl<'g, T: $crate::Real> $crate::Var<'g, T> {
            $(
                $(#[$doc])*
                #[must_use]
                #[track_caller]
                pub fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    self.graph().call($handle, &[self $(, $x)*])
                }
            )*
        }

        impl<T: $crate::Real> $crate::Tensor<T> {
            $(
                #[doc = concat!("See [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ").")]
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = "When the shapes or parameters do not fit; the message says what would."]
                #[track_caller]
                pub fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Result<Self, $crate::Error> {
                    $handle.call(&[self $(, $x)*])
                }
            )*
        }

        /// This family's part of the catalogue.
        pub(crate) const ENTRIES: &[$crate::op::Entry] = &[ $(
            $crate::op::Entry {
                name: stringify!($name),
                samples: &[ $( $crate::op::sample!([$(($shape, (-2.0, 2.0))),+], |$inputs| $sample) ),+ ],
                handle: None,
            }
        ),* ];
    };
}
pub(crate) use methods;
