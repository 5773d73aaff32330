//! One declaration of an operation's method becomes the method of variables, of tensors and of rules, and its entry in the catalogue.

/// Declares the methods of a family of operations, with samples for the catalogue.
///
/// `fn name(x, other; parameter: Type) = handle, samples: {…};` is one operation, by the expression that makes its
/// [`Handle`](super::Handle). `fn name(x, other; parameter: Type) => formula, samples: {…};` is made of other operations: the formula is
/// generic over [`Algebra`](super::Algebra), and its operands are references.
///
/// A sample is `[shape of each input] => |x| formula;`, or `[(shape, (low, high)) of each input]` where not all numbers will do. After
/// them, `errors: { [shape of each input] => |x| formula, "part of the message"; … }` lists what must be refused.
macro_rules! methods {
    ($( $(#[doc = $doc:literal])* fn $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $how:tt $body:expr,
        samples: { $([$($input:tt),+] => |$inputs:ident| $sample:expr;)+ }
        $(, errors: { $([$($wrong:tt),+] => |$wrongs:ident| $mistake:expr, $message:literal;)+ })?; )*) => {
        /// The operations of this family, for rules: each method does what the method of [`Var`](crate::Var) of that name does.
        pub trait Methods<T: $crate::Real>: $crate::op::Apply<T> {
            $( $crate::op::methods!(@operation $how $name($x0 $(, $x)* $(; $($p: $t),+)?) $body); )*
        }
        impl<T: $crate::Real, A: $crate::op::Apply<T>> Methods<T> for A {}

        /// What is made of other operations, for rules: each method does what the method of [`Var`](crate::Var) of that name does.
        pub trait Composed<T: $crate::Real>: $crate::op::Algebra<T> {
            $( $crate::op::methods!(@composed $how $name($x0 $(, $x)* $(; $($p: $t),+)?) $body); )*
        }
        impl<T: $crate::Real, A: $crate::op::Algebra<T>> Composed<T> for A {}

        impl<'g, T: $crate::Real> $crate::Var<'g, T> {
            $(
                $(#[doc = $doc])*
                #[must_use]
                #[track_caller]
                pub fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                    $crate::op::methods!(@variable $how self $name($x0 $(, $x)* $(; $($p: $t),+)?) $body)
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
                    $crate::op::methods!(@tensor $how self $name($x0 $(, $x)* $(; $($p: $t),+)?) $body)
                }
            )*
        }

        /// This family's part of the catalogue.
        pub(crate) const ENTRIES: &[$crate::op::Entry] = &[ $(
            $crate::op::Entry {
                name: stringify!($name),
                signature: concat!(
                    stringify!($x0), ".", stringify!($name), "(", stringify!($($x),*),
                    $crate::op::methods!(@comma ($($x)*) ($($($p)+)?)), stringify!($($($p: $t),+)?), ")"
                ),
                doc: &[$($doc),*],
                samples: &[ $( $crate::op::sample!([$($input),+], |$inputs| $sample) ),+ ],
                errors: &[ $($( $crate::op::Mistake {
                    sample: $crate::op::sample!([$($wrong),+], |$wrongs| $mistake),
                    message: $message,
                } ),+)? ],
                handle: None,
            }
        ),* ];
    };
    (@comma () ($($p:ident)*)) => { "" };
    (@comma ($($x:ident)+) ()) => { "" };
    (@comma ($($x:ident)+) ($($p:ident)+)) => { ", " };

    (@operation => $($rest:tt)*) => {};
    (@operation = $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $handle:expr) => {
        #[doc = concat!("See [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ").")]
        #[must_use]
        #[track_caller]
        fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Self {
            Self::call($handle, &[self $(, $x)*])
        }
    };
    (@composed = $($rest:tt)*) => {};
    (@composed => $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $formula:expr) => {
        #[doc = concat!("See [`Var::", stringify!($name), "`](crate::Var::", stringify!($name), ").")]
        #[must_use]
        #[track_caller]
        fn $name(&self $(, $x: &Self)* $($(, $p: $t)+)?) -> Self {
            let $x0 = self;
            Self::composed(stringify!($name), &[self $(, $x)*], move || $formula)
        }
    };
    (@variable = $this:ident $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $handle:expr) => {
        $this.graph().call($handle, &[$this $(, $x)*])
    };
    (@variable => $this:ident $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $formula:expr) => {
        Composed::$name(&$this $(, &$x)* $($(, $p)+)?)
    };
    (@tensor = $this:ident $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $handle:expr) => {
        $handle.call(&[$this $(, $x)*])
    };
    (@tensor => $this:ident $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty),+)?) $formula:expr) => {
        Composed::$name(&$crate::op::Value::Tensor($this.clone()) $(, &$crate::op::Value::Tensor($x.clone()))* $($(, $p)+)?).into_result()
    };
}
pub(crate) use methods;
