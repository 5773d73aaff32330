//! Expressions as data: what a formula is once it has been written down, to be printed, typeset, read by other programs.

mod latex;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use latex::latex_part;
pub(crate) use latex::{latex_name, latex_number};

/// A formula as a list of parts, of which the last is the whole. Parts refer to earlier ones, and may be used several times.
///
/// ```
/// use autograd::elementary::{Tanh, derivation};
/// let slope = &derivation(&Tanh {}).slope_formulas[0];
/// assert_eq!(slope.to_string(), "1 − y²");
/// assert_eq!(slope.to_latex(), "1 - y^{2}");
/// assert_eq!(slope.renamed(|name| (name == "y").then(|| "ŷ".into())).to_string(), "1 − ŷ²");
/// assert_eq!(slope.with_numbers(|name| (name == "y").then_some(-0.5)).to_string(), "1 − (−0.5)²");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expression(Vec<Part>);

/// A part of an [`Expression`]; operands are places of earlier parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// An operand, or a node of a graph.
    Name(Cow<'static, str>),
    /// A constant.
    Number(#[serde(with = "crate::trace::number")] f64),
    /// A function of other parts.
    Call {
        /// Its name.
        function: Cow<'static, str>,
        /// What it is applied to.
        operands: Vec<usize>,
        /// Its fixed numbers, such as the slope of a leaky relu.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parameters: Vec<f64>,
        /// How it is written, with `{0}`, `{1}`, … for the operands, if not as `function(operands)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notation: Option<Cow<'static, str>>,
    },
}

impl Part {
    fn operands(&self) -> &[usize] {
        match self {
            Part::Call { operands, .. } => operands,
            Part::Name(_) | Part::Number(_) => &[],
        }
    }

    /// The same with other places for its operands.
    fn moved(mut self, to: impl Fn(usize) -> usize) -> Part {
        if let Part::Call { operands, .. } = &mut self {
            for x in operands.iter_mut() {
                *x = to(*x);
            }
        }
        self
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

/// A number as it stands in a formula: as short as it is, or with five significant digits.
pub(crate) fn number(c: f64) -> String {
    let short = format!("{c}");
    let text = if short.len() <= 8 {
        short
    } else if (1e-3..1e5).contains(&c.abs()) {
        let decimals = (0..8).find(|k| c.abs() * 10f64.powi(*k) >= 9999.5).unwrap_or(8);
        let long = format!("{c:.*}", usize::try_from(decimals).unwrap_or_default());
        if long.contains('.') { long.trim_end_matches('0').trim_end_matches('.').to_owned() } else { long }
    } else {
        let long = format!("{c:.4e}");
        match long.split_once('e') {
            Some((digits, exponent)) if digits.contains('.') => {
                format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => long,
        }
    };
    text.replace('-', "−")
}

/// Longer texts help nobody, and are cut.
const LONGEST: usize = 2000;

/// A part as text, and how tightly it binds.
type Written = (String, Binding);

/// In which way a formula is written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Text,
    Latex,
}

impl Expression {
    /// The part `id` of a list, with all that it is made of.
    pub(super) fn of(parts: &[Part], id: usize) -> Expression {
        let mut is_used = vec![false; id + 1];
        is_used[id] = true;
        for at in (0..=id).rev() {
            if is_used[at] {
                parts[at].operands().iter().for_each(|&x| is_used[x] = true);
            }
        }
        let mut places = vec![0; id + 1];
        let mut kept = Vec::new();
        for (at, part) in parts[..=id].iter().enumerate().filter(|(at, _)| is_used[*at]) {
            places[at] = kept.len();
            kept.push(part.clone().moved(|x| places[x]));
        }
        Expression(kept)
    }

    /// A name alone.
    #[must_use]
    pub fn name(name: impl Into<Cow<'static, str>>) -> Expression {
        Expression(vec![Part::Name(name.into())])
    }

    /// A number alone.
    #[must_use]
    pub fn number(c: f64) -> Expression {
        Expression(vec![Part::Number(c)])
    }

    /// A function applied to other expressions; `notation` says how it is written, with `{0}`, `{1}`, … for the operands, or
    /// `{*}` for all of them.
    #[must_use]
    pub fn call(function: impl Into<Cow<'static, str>>, notation: Option<Cow<'static, str>>, operands: &[&Expression]) -> Expression {
        let mut parts = Vec::new();
        let mut places = Vec::new();
        for operand in operands {
            let offset = parts.len();
            parts.extend(operand.0.iter().cloned().map(|part| part.moved(|x| x + offset)));
            places.push(parts.len() - 1);
        }
        parts.push(Part::Call { function: function.into(), operands: places, parameters: Vec::new(), notation });
        Expression(parts)
    }

    /// The parts; the last one is the whole.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The number, if that is all.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self.0[..] {
            [Part::Number(c)] => Some(c),
            _ => None,
        }
    }

    /// The name, if that is all.
    #[must_use]
    pub fn as_name(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// The names that occur, in the order of their first occurrence.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for part in &self.0 {
            if let Part::Name(name) = part
                && !names.contains(&&**name)
            {
                names.push(name);
            }
        }
        names
    }

    /// The same with expressions in the place of names; where there is none, the name stays.
    #[must_use]
    pub fn filled(&self, of: impl Fn(&str) -> Option<Expression>) -> Expression {
        let mut parts: Vec<Part> = Vec::new();
        let mut places: Vec<usize> = Vec::new();
        for part in &self.0 {
            let offset = parts.len();
            match part {
                Part::Name(name) => match of(name) {
                    Some(other) => parts.extend(other.0.into_iter().map(|part| part.moved(|x| x + offset))),
                    None => parts.push(part.clone()),
                },
                part => parts.push(part.clone().moved(|x| places[x])),
            }
            places.push(parts.len() - 1);
        }
        Expression(parts)
    }

    /// The same with other names; where there is none, the name stays.
    #[must_use]
    pub fn renamed(&self, to: impl Fn(&str) -> Option<String>) -> Expression {
        self.filled(|name| to(name).map(Expression::name))
    }

    /// The same with numbers in the place of names; where there is none, the name stays.
    #[must_use]
    pub fn with_numbers(&self, of: impl Fn(&str) -> Option<f64>) -> Expression {
        self.filled(|name| of(name).map(Expression::number))
    }

    /// The formula in LaTeX, for mathematics mode.
    #[must_use]
    pub fn to_latex(&self) -> String {
        self.to_latex_with(|_| None)
    }

    /// The formula in LaTeX, with some names written in a way of their own.
    ///
    /// ```
    /// use autograd::elementary::Expression;
    /// let product = Expression::call("mul", None, &[&Expression::name("dy"), &Expression::name("x")]);
    /// let latex = product.to_latex_with(|name| (name == "dy").then(|| r"\frac{\partial L}{\partial y}".to_owned()));
    /// assert_eq!(latex, r"\frac{\partial L}{\partial y} \cdot x");
    /// ```
    #[must_use]
    pub fn to_latex_with(&self, of: impl Fn(&str) -> Option<String>) -> String {
        self.write(Style::Latex, &of)
    }

    /// Operands stand before what is made of them, so this is a loop, however deep the formula is.
    fn write(&self, style: Style, latex_of: &dyn Fn(&str) -> Option<String>) -> String {
        let parts = &self.0;
        let mut uses = vec![0usize; parts.len()];
        parts.iter().flat_map(Part::operands).for_each(|&x| uses[x] += 1);
        let mut texts: Vec<Option<Written>> = vec![None; parts.len()];
        for (at, part) in parts.iter().enumerate() {
            let (mut text, mut binding) = match style {
                Style::Text => write_part(parts, &texts, at),
                Style::Latex => latex_part(parts, &texts, at, latex_of),
            };
            if text.chars().count() > LONGEST {
                let cut = if style == Style::Text { " …" } else { r"\ldots" };
                // Half a command would not be LaTeX.
                let kept = if style == Style::Text { text.chars().take(LONGEST / 2).collect() } else { String::new() };
                (text, binding) = (kept + cut, Binding::Atom);
            }
            texts[at] = Some((text, binding));
            for &x in part.operands() {
                uses[x] -= 1;
                if uses[x] == 0 {
                    texts[x] = None;
                }
            }
        }
        texts.pop().flatten().map(|(text, _)| text).unwrap_or_default()
    }
}

/// The formula as text, with as few brackets as can be.
impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.write(Style::Text, &|_| None))
    }
}

/// What a part is made of, as it has been written.
struct Operands<'a> {
    parts: &'a [Part],
    texts: &'a [Option<Written>],
    places: &'a [usize],
    style: Style,
}

impl Operands<'_> {
    fn written(&self, k: usize) -> (&str, Binding) {
        let written = self.places.get(k).and_then(|&x| self.texts[x].as_ref());
        written.map_or(("…", Binding::Atom), |(text, binding)| (text.as_str(), *binding))
    }

    /// Operand `k`, in brackets if it binds less than it should.
    fn at(&self, k: usize, least: Binding) -> String {
        let (text, binding) = self.written(k);
        match self.style {
            _ if binding >= least => text.to_owned(),
            Style::Text => format!("({text})"),
            Style::Latex => format!(r"\left({text}\right)"),
        }
    }

    /// Operand `k` where it stands behind another one: in brackets too if it begins with a sign.
    fn behind(&self, k: usize, least: Binding) -> String {
        self.at(k, if self.written(k).1 == Binding::Sign { Binding::Power } else { least })
    }

    /// Whether an operand is a certain number, and not one of two.
    fn is(&self, k: usize, c: f64) -> bool {
        self.places.get(k).is_some_and(|&x| matches!(self.parts[x], Part::Number(d) if d == c)) && !self.are_numbers()
    }

    /// Whether all is numbers, so that it is a calculation, of which every factor is shown.
    fn are_numbers(&self) -> bool {
        self.places.iter().all(|&x| matches!(self.parts[x], Part::Number(_)))
    }

    /// Whether it is something times itself.
    fn is_square(&self) -> bool {
        let is_one_part = self.places.first() == self.places.get(1);
        (is_one_part || !self.are_numbers()) && self.written(0).0 == self.written(1).0 && !self.written(0).0.contains('…')
    }

    fn all(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.places.len()).map(|k| self.at(k, Binding::Comparison))
    }

    /// A notation with its operands.
    fn fill(&self, notation: &str) -> Written {
        let (mut text, mut depth, mut binding) = (String::new(), 0usize, Binding::Atom);
        let mut rest = notation.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' => {
                    if rest.next_if_eq(&'*').is_some() {
                        rest.next_if_eq(&'}');
                        text += &self.all().collect::<Vec<_>>().join(", ");
                        continue;
                    }
                    let digits: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
                    rest.next_if_eq(&'}');
                    // What follows a power or an index belongs to the last letter only.
                    let least = match rest.peek() {
                        _ if depth > 0 => Binding::Comparison,
                        Some('ᵀ' | '²' | '[' | '^') => Binding::Atom,
                        _ => Binding::Power,
                    };
                    text += &self.at(digits.parse().unwrap_or_default(), least);
                    continue;
                }
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '+' if depth == 0 => binding = Binding::Sum,
                '·' if depth == 0 && binding > Binding::Product => binding = Binding::Product,
                'ᵀ' if depth == 0 && binding > Binding::Power => binding = Binding::Power,
                _ => {}
            }
            match (self.style, c) {
                (Style::Latex, c) if c.is_alphabetic() && c != 'ᵀ' => {
                    let word: String =
                        [c].into_iter().chain(std::iter::from_fn(|| rest.next_if(|c| c.is_alphanumeric() || *c == '_'))).collect();
                    let word = word.replace('_', r"\_");
                    let command = if depth == 0 { "operatorname" } else { "text" };
                    // Blanks of mathematics are not shown.
                    let space = if depth > 0 && rest.peek() == Some(&' ') { " " } else { "" };
                    text.extend([r"\", command, "{", &word, space, "}"]);
                }
                (Style::Latex, '·') => text += r" \, ",
                (Style::Latex, 'ᵀ') => text += r"^{\top}",
                (Style::Latex, '−') => text.push('-'),
                (Style::Latex, '²') => text += "^{2}",
                _ => text.push(c),
            }
        }
        (text, binding)
    }
}

fn comparison(function: &str) -> Option<(&'static str, &'static str)> {
    Some(match function {
        "gt" => (">", ">"),
        "ge" => ("≥", r"\ge"),
        "lt" => ("<", "<"),
        "le" => ("≤", r"\le"),
        "eq" => ("=", "="),
        "ne" => ("≠", r"\ne"),
        _ => return None,
    })
}

fn write_part(parts: &[Part], texts: &[Option<Written>], id: usize) -> Written {
    use Binding::{Atom, Comparison, Power, Product, Sign, Sum};
    let (function, operands, parameters, notation) = match &parts[id] {
        Part::Name(name) => return (name.to_string(), Atom),
        Part::Number(c) => return (number(*c), if *c < 0.0 { Sign } else { Atom }),
        Part::Call { function, operands, parameters, notation } => (&**function, operands, parameters, notation),
    };
    let x = Operands { parts, texts, places: operands, style: Style::Text };
    if let Some(notation) = notation {
        return x.fill(notation);
    }
    let plain = |k: usize| parameters.get(k).copied().map(number).unwrap_or_default();
    let parameter = |k: usize| {
        let text = plain(k);
        if text.starts_with('−') { format!("({text})") } else { text }
    };
    match function {
        "neg" => (format!("−{}", x.behind(0, Product)), Sign),
        "add" => (format!("{} + {}", x.at(0, Sum), x.behind(1, Product)), Sum),
        "sub" => (format!("{} − {}", x.at(0, Sum), x.behind(1, Product)), Sum),
        "mul" | "masked_mul" if x.is(0, 1.0) => (x.at(1, Comparison), x.written(1).1),
        "mul" | "masked_mul" if x.is(1, 1.0) => (x.at(0, Comparison), x.written(0).1),
        "mul" | "masked_mul" if x.is_square() => (format!("{}²", x.at(0, Atom)), Power),
        "mul" | "masked_mul" => (format!("{}·{}", x.at(0, Product), x.behind(1, Product)), Product),
        "div" => (format!("{}/{}", x.at(0, Product), x.at(1, Power)), Product),
        "add_lit" => (format!("{} + {}", x.at(0, Sum), parameter(0)), Sum),
        "sub_lit" => (format!("{} − {}", x.at(0, Sum), parameter(0)), Sum),
        "rsub_lit" => (format!("{} − {}", plain(0), x.behind(0, Product)), Sum),
        "mul_lit" => (format!("{}·{}", plain(0), x.behind(0, Product)), Product),
        "div_lit" => (format!("{}/{}", x.at(0, Product), parameter(0)), Product),
        "rdiv_lit" => (format!("{}/{}", plain(0), x.at(0, Power)), Product),
        "square" => (format!("{}²", x.at(0, Atom)), Power),
        "recip" => (format!("1/{}", x.at(0, Power)), Product),
        "powi" | "powf" => (format!("{}^{}", x.at(0, Atom), parameter(0)), Power),
        "pow" => (format!("{}^{}", x.at(0, Atom), x.at(1, Atom)), Power),
        "abs" => (format!("|{}|", x.at(0, Comparison)), Atom),
        "sqrt" => (format!("√{}", x.at(0, Atom)), Power),
        "floor" => (format!("⌊{}⌋", x.at(0, Comparison)), Atom),
        "ceil" => (format!("⌈{}⌉", x.at(0, Comparison)), Atom),
        "step" => (format!("[{} > 0]", x.at(0, Sum)), Atom),
        _ => {
            if let Some((sign, _)) = comparison(function) {
                return (format!("[{} {sign} {}]", x.at(0, Sum), x.at(1, Sum)), Atom);
            }
            let inside: Vec<_> = x.all().chain(parameters.iter().map(|c| number(*c))).collect();
            (format!("{function}({})", inside.join(", ")), Atom)
        }
    }
}
