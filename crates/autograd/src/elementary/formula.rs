//! The world of text: a rule evaluated on formulas writes itself down, simplified for people.

use std::{cell::RefCell, fmt};

use super::{Elementary, Function, Slope, X, table::table};

/// An expression that is being written.
#[derive(Debug, Clone, Copy)]
pub struct Formula<'a> {
    scratch: &'a Scratch,
    id: usize,
}

/// Where the parts of [`Formula`]s are kept while they are written.
#[derive(Debug, Default)]
pub struct Scratch(RefCell<Vec<Part>>);

/// A node of an expression; numbers refer to earlier parts.
#[derive(Debug, Clone)]
enum Part {
    Name(&'static str),
    Number(f64),
    Call { function: &'static str, operands: Vec<usize>, parameters: Vec<String> },
}

impl Scratch {
    /// The operand of this name.
    #[must_use]
    pub fn name(&self, name: &'static str) -> Formula<'_> {
        self.push(Part::Name(name))
    }

    fn push(&self, part: Part) -> Formula<'_> {
        let mut parts = self.0.borrow_mut();
        parts.push(part);
        Formula { scratch: self, id: parts.len() - 1 }
    }
}

/// How tightly the parts of a formula bind; an operand that binds less than its place demands gets brackets.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Comparison,
    Sum,
    Product,
    Sign,
    Power,
    Atom,
}

impl Formula<'_> {
    /// The text.
    #[must_use]
    pub fn text(self) -> String {
        write(&self.scratch.0.borrow(), self.id)
    }

    fn call(self, function: &'static str, others: &[Self], parameters: Vec<String>) -> Self {
        let number = match self.scratch.0.borrow()[self.id] {
            Part::Number(c) => Some(c),
            _ => None,
        };
        if let (Some(c), "neg") = (number, function) {
            return self.lit(-c);
        }
        let operands = std::iter::once(self.id).chain(others.iter().map(|o| o.id)).collect();
        self.scratch.push(Part::Call { function, operands, parameters })
    }
}

fn number(c: f64) -> String {
    let short = format!("{c}");
    let text = if short.len() <= 8 {
        short
    } else if (1e-3..1e5).contains(&c.abs()) {
        format!("{c:.4}")
    } else {
        format!("{c:.4e}")
    };
    text.replace('-', "−")
}

/// Longer texts help nobody, and are cut.
const LONGEST: usize = 2000;

/// A part as text, and how tightly it binds.
type Written = (String, Binding);

/// The text of a part. Operands stand before what is made of them, so this is a loop, however deep the formula is.
fn write(parts: &[Part], id: usize) -> String {
    let operands = |part: &Part| match part {
        Part::Call { operands, .. } => operands.clone(),
        Part::Name(_) | Part::Number(_) => Vec::new(),
    };
    let mut uses = vec![0; id + 1];
    uses[id] = 1;
    for at in (0..=id).rev() {
        if uses[at] > 0 {
            for x in operands(&parts[at]) {
                uses[x] += 1;
            }
        }
    }
    let mut texts: Vec<Option<Written>> = vec![None; id + 1];
    for at in 0..=id {
        if uses[at] > 0 {
            let (mut text, mut binding) = write_part(parts, &texts, at);
            if text.chars().count() > LONGEST {
                (text, binding) = (text.chars().take(LONGEST / 2).chain(" …".chars()).collect(), Binding::Atom);
            }
            texts[at] = Some((text, binding));
            for x in operands(&parts[at]) {
                uses[x] -= 1;
                if uses[x] == 0 {
                    texts[x] = None;
                }
            }
        }
    }
    texts[id].take().map(|(text, _)| text).unwrap_or_default()
}

fn write_part(parts: &[Part], texts: &[Option<Written>], id: usize) -> Written {
    use Binding::{Atom, Comparison, Power, Product, Sign, Sum};
    let (function, operands, parameters) = match &parts[id] {
        Part::Name(name) => return ((*name).to_string(), Atom),
        Part::Number(c) => return (number(*c), if *c < 0.0 { Sign } else { Atom }),
        Part::Call { function, operands, parameters } => (*function, operands, parameters),
    };
    let written = |k: usize| texts[operands[k]].as_ref().map_or(("…", Atom), |(text, binding)| (text.as_str(), *binding));
    let at = |k: usize, least: Binding| {
        let (text, binding) = written(k);
        if binding < least { format!("({text})") } else { text.to_owned() }
    };
    let is = |k: usize, c: f64| matches!(&parts[operands[k]], Part::Number(d) if *d == c);
    let parameter = |k: usize| {
        let text = &parameters[k];
        if text.starts_with('−') { format!("({text})") } else { text.clone() }
    };
    match function {
        "neg" => (format!("−{}", at(0, Product)), Sign),
        "add" => (format!("{} + {}", at(0, Sum), at(1, Product)), Sum),
        "sub" => (format!("{} − {}", at(0, Sum), at(1, Product)), Sum),
        "mul" | "masked_mul" if is(0, 1.0) => (at(1, Comparison), written(1).1),
        "mul" | "masked_mul" if is(1, 1.0) => (at(0, Comparison), written(0).1),
        "mul" | "masked_mul" if written(0).0 == written(1).0 && !written(0).0.contains('…') => (format!("{}²", at(0, Atom)), Power),
        "mul" | "masked_mul" => (format!("{}·{}", at(0, Product), at(1, Product)), Product),
        "div" => (format!("{}/{}", at(0, Product), at(1, Power)), Product),
        "add_lit" => (format!("{} + {}", at(0, Sum), parameter(0)), Sum),
        "sub_lit" => (format!("{} − {}", at(0, Sum), parameter(0)), Sum),
        "rsub_lit" => (format!("{} − {}", parameters[0], at(0, Product)), Sum),
        "mul_lit" => (format!("{}·{}", parameters[0], at(0, Product)), Product),
        "div_lit" => (format!("{}/{}", at(0, Product), parameter(0)), Product),
        "rdiv_lit" => (format!("{}/{}", parameters[0], at(0, Power)), Product),
        "square" => (format!("{}²", at(0, Atom)), Power),
        "recip" => (format!("1/{}", at(0, Power)), Product),
        "powi" | "powf" => (format!("{}^{}", at(0, Atom), parameter(0)), Power),
        "pow" => (format!("{}^{}", at(0, Atom), at(1, Atom)), Power),
        "abs" => (format!("|{}|", at(0, Comparison)), Atom),
        "sqrt" => (format!("√{}", at(0, Atom)), Power),
        "floor" => (format!("⌊{}⌋", at(0, Comparison)), Atom),
        "ceil" => (format!("⌈{}⌉", at(0, Comparison)), Atom),
        "gt" | "ge" | "lt" | "le" | "eq" | "ne" => {
            let sign = match function {
                "gt" => ">",
                "ge" => "≥",
                "lt" => "<",
                "le" => "≤",
                "eq" => "=",
                _ => "≠",
            };
            (format!("[{} {sign} {}]", at(0, Sum), at(1, Sum)), Atom)
        }
        "step" => (format!("[{} > 0]", at(0, Sum)), Atom),
        _ => {
            let mut inside: Vec<_> = (0..operands.len()).map(|k| at(k, Comparison)).collect();
            inside.extend(parameters.iter().cloned());
            (format!("{function}({})", inside.join(", ")), Atom)
        }
    }
}

/// A pointwise function and its derivatives as text, read from the same rule that computes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The names of the operands.
    pub operands: Vec<&'static str>,
    /// y as a formula of the operands.
    pub value: String,
    /// ∂y/∂operand, as formulas of the operands and of y.
    pub slopes: Vec<String>,
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
    Derivation {
        operands: F::OPERANDS.to_vec(),
        value: function.value(x).0.text(),
        slopes: slopes
            .into_iter()
            .map(|slope| match slope {
                Slope::Const(c) => number(c),
                Slope::Of(formula) => formula.text(),
            })
            .collect(),
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
                self.call(stringify!($name), &[$($x),*], vec![$($(number(f64::from($p))),+)?])
            } )*
        }
    };
}
table!(formulas);
