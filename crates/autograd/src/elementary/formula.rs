//! The world of text: a rule evaluated on formulas writes itself down, simplified for people.

use std::{cell::RefCell, fmt};

use super::{Elementary, Expression, Function, Part, Slope, X, table::table};

/// An expression that is being written.
#[derive(Debug, Clone, Copy)]
pub struct Formula<'a> {
    scratch: &'a Scratch,
    id: usize,
}

/// Where the parts of [`Formula`]s are kept while they are written.
#[derive(Debug, Default)]
pub struct Scratch(RefCell<Vec<Part>>);

impl Scratch {
    /// The operand of this name.
    #[must_use]
    pub fn name(&self, name: &'static str) -> Formula<'_> {
        self.push(Part::Name(name.into()))
    }

    fn push(&self, part: Part) -> Formula<'_> {
        let mut parts = self.0.borrow_mut();
        parts.push(part);
        Formula { scratch: self, id: parts.len() - 1 }
    }
}

impl Formula<'_> {
    /// The text.
    #[must_use]
    pub fn text(self) -> String {
        self.expression().to_string()
    }

    /// The formula as data.
    #[must_use]
    pub fn expression(self) -> Expression {
        Expression::of(&self.scratch.0.borrow(), self.id)
    }

    fn call(self, function: &'static str, others: &[Self], parameters: Vec<f64>) -> Self {
        let number = match self.scratch.0.borrow()[self.id] {
            Part::Number(c) => Some(c),
            _ => None,
        };
        if let (Some(c), "neg") = (number, function) {
            return self.lit(-c);
        }
        let operands = std::iter::once(self.id).chain(others.iter().map(|o| o.id)).collect();
        self.scratch.push(Part::Call { function: function.into(), operands, parameters, notation: None })
    }
}

/// A pointwise function and its derivatives as text, read from the same rule that computes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Derivation {
    /// The names of the operands.
    pub operands: Vec<&'static str>,
    /// y as a formula of the operands.
    pub value: String,
    /// ∂y/∂operand, as formulas of the operands and of y.
    pub slopes: Vec<String>,
    /// The value as data.
    pub formula: Expression,
    /// The slopes as data.
    pub slope_formulas: Vec<Expression>,
}

/// One line for the value and one for each derivative.
impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "y = {}", self.value)?;
        self.operands.iter().zip(&self.slopes).try_for_each(|(x, slope)| write!(f, "\n∂y/∂{x} = {slope}"))
    }
}

/// The formula of `function` and of its derivatives.
///
/// ```
/// use autograd::elementary::{Tanh, derivation};
/// let tanh = derivation(&Tanh {});
/// assert_eq!((&*tanh.value, &*tanh.slopes[0]), ("tanh(x)", "1 − y²"));
/// ```
pub fn derivation<F: Function<N>, const N: usize>(function: &F) -> Derivation {
    let scratch = Scratch::default();
    let x = F::OPERANDS.map(|name| X(scratch.name(name)));
    let slopes = function.slopes(x, X(scratch.name("y")), [true; N]);
    let formula = function.value(x).0.expression();
    let slope_formulas: Vec<Expression> = slopes
        .into_iter()
        .map(|slope| match slope {
            Slope::Const(c) => Expression::number(c),
            Slope::Of(formula) => formula.expression(),
        })
        .collect();
    Derivation {
        operands: F::OPERANDS.to_vec(),
        value: formula.to_string(),
        slopes: slope_formulas.iter().map(ToString::to_string).collect(),
        formula,
        slope_formulas,
    }
}

macro_rules! formulas {
    ($( $(#[$doc:meta])* $kind:ident $Name:ident: $name:ident($x0:ident $(, $x:ident)* $(; $($p:ident: $t:ty = $sample:expr),+)?) = $y:ident,
        value: $value:tt, d: $d:tt, kinks: [$($kink:expr),*], on: [$($on:expr),+]; )*) => {
        impl Elementary for Formula<'_> {
            fn lit(self, c: f64) -> Self {
                self.scratch.push(Part::Number(c))
            }
            $( fn $name(self $(, $x: Self)* $($(, $p: $t)+)?) -> Self {
                self.call(stringify!($name), &[$($x),*], vec![$($(f64::from($p)),+)?])
            } )*
        }
    };
}
table!(formulas);
