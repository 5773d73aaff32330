//! How the names, numbers and formulas of a trace are written: as text, and in LaTeX.

use serde::Serialize;

use super::{Array, Kind, Node, Trace};
use crate::elementary::{self, Expression, Part};

/// Arrays of up to so many elements stand in formulas with all of them.
const FEW: usize = 6;

/// A formula, as text and in LaTeX for mathematics mode.
///
/// In text, `dx` stands for the derivative of the root by x; in LaTeX it is written out as a fraction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notation {
    /// As text.
    pub text: String,
    /// In LaTeX.
    pub latex: String,
}

impl Notation {
    pub(super) fn of(text: impl Into<String>, latex: impl Into<String>) -> Notation {
        Notation { text: clean(&text.into()), latex: latex.into() }
    }

    /// A number.
    pub(super) fn number(v: f64) -> Notation {
        Notation::of(elementary::number(v), elementary::latex_number(v))
    }

    /// A number as it stands behind a sign of multiplication: in brackets if it is negative.
    pub(super) fn factor(v: f64) -> Notation {
        let number = Notation::number(v);
        if v.is_sign_negative() && !v.is_nan() {
            Notation::of(format!("({})", number.text), format!(r"\left({}\right)", number.latex))
        } else {
            number
        }
    }

    /// The elements of an array, if they are few.
    pub(super) fn few(array: &Array) -> Option<Notation> {
        let elements = array.elements.as_ref().filter(|elements| elements.len() <= FEW)?;
        (!elements.is_empty()).then(|| Notation::of(array.short(FEW), latex_few(array)))
    }

    /// This one, and the value it has: a number, a few elements, or its shape and extremes.
    pub(super) fn is(self, array: &Array) -> Notation {
        let text = if array.elements.is_some() && array.len() <= FEW { " = " } else { ": " };
        let latex = latex_array(array).map_or_else(|| format!(r" \in {}", latex_space(&array.shape)), |latex| format!(" = {latex}"));
        self.sign(&format!("{text}{}", array.short(FEW)), &latex)
    }

    /// This one, and behind it another.
    pub(super) fn then(mut self, other: &Notation) -> Notation {
        self.text += &other.text;
        self.latex += &other.latex;
        self
    }

    /// This one, and behind it a sign.
    pub(super) fn sign(mut self, text: &str, latex: &str) -> Notation {
        self.text += text;
        self.latex += latex;
        self
    }

    pub(super) fn equals(self) -> Notation {
        self.sign(" = ", " = ")
    }

    pub(super) fn adds(self) -> Notation {
        self.sign(" += ", r" \mathrel{+}= ")
    }

    pub(super) fn times(self) -> Notation {
        self.sign("·", r" \cdot ")
    }

    pub(super) fn plus(self) -> Notation {
        self.sign(" + ", " + ")
    }

    /// The place of an element in brackets.
    pub(super) fn element(self, position: &[usize]) -> Notation {
        let place: Vec<String> = position.iter().map(ToString::to_string).collect();
        if place.is_empty() {
            return self;
        }
        let place = place.join(",");
        self.sign(&format!("[{place}]"), &format!("[{place}]"))
    }
}

/// A text without line breaks and other control characters, which are written as in Rust.
pub(super) fn clean(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// An array of few elements in LaTeX.
fn latex_few(array: &Array) -> String {
    latex_array(array).unwrap_or_else(|| array.short(FEW).replace('−', "-"))
}

/// A number or a small matrix in LaTeX.
pub(super) fn latex_array(array: &Array) -> Option<String> {
    if let (Some(v), true) = (array.item(), array.is_scalar()) {
        return Some(elementary::latex_number(v));
    }
    let columns = array.shape.last().copied().unwrap_or(1).max(1);
    match &array.elements {
        Some(elements) if array.shape.len() <= 2 && elements.len() <= 16 && columns <= 8 && !elements.is_empty() => {
            let row = |row: &[f64]| row.iter().map(|v| elementary::latex_number(*v)).collect::<Vec<_>>().join(" & ");
            let rows: Vec<String> = elements.chunks(columns).map(row).collect();
            Some(format!(r"\begin{{bmatrix}} {} \end{{bmatrix}}", rows.join(r" \\ ")))
        }
        _ => None,
    }
}

/// The space of arrays of a shape.
fn latex_space(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!(r"\mathbb{{R}}^{{{}}}", lengths.join(r" \times "))
}

/// Names of a trace as they stand in formulas.
impl Trace {
    /// The name of a node.
    pub(super) fn named(&self, at: usize) -> Notation {
        self.nodes.get(at).map(|node| Notation::of(&node.name, elementary::latex_name(&node.name))).unwrap_or_default()
    }

    /// The gradient of the root by a node.
    pub(super) fn gradient_of(&self, at: usize) -> Notation {
        let name = self.nodes.get(at).map(|node| node.gradient_name.clone()).unwrap_or_default();
        Notation::of(name, self.partial(self.root(), at).latex)
    }

    /// The node that output `k` of an operation is.
    pub(super) fn output(&self, first: usize, k: usize) -> usize {
        let is_it = |node: &Node| {
            let part = node.formula.as_ref().and_then(|formula| formula.parts().last());
            let Some(Part::Call { notation: Some(notation), .. }) = part else { return false };
            node.kind == Kind::Output && node.inputs == [first] && *notation == super::record::output_notation(k)
        };
        if k == 0 { first } else { self.nodes.iter().position(is_it).unwrap_or(first) }
    }

    /// The derivative of one node by another: ∂y/∂x.
    pub(super) fn partial(&self, y: usize, x: usize) -> Notation {
        let (y, x) = (self.named(y), self.named(x));
        Notation::of(format!("∂{}/∂{}", y.text, x.text), format!(r"\frac{{\partial {}}}{{\partial {}}}", y.latex, x.latex))
    }

    /// An expression of names of nodes and of their gradients; `near` are the nodes that can occur.
    pub(super) fn written(&self, expression: &Expression, near: &[usize]) -> Notation {
        let latex = expression.to_latex_with(|name| {
            let at = near.iter().find(|&&at| self.nodes.get(at).is_some_and(|node| node.gradient_name == name))?;
            // A name may look like a gradient.
            let is_node = near.iter().any(|&at| self.nodes.get(at).is_some_and(|node| node.name == name));
            (!is_node).then(|| self.gradient_of(*at).latex)
        });
        Notation::of(expression.to_string(), latex)
    }

    /// The same with the numbers in the place of the names, if all of them are single numbers or short.
    pub(super) fn with_numbers(&self, expression: &Expression, near: &[usize]) -> Option<Notation> {
        let array = |name: &str| {
            let of = |at: &&usize| self.nodes.get(**at).is_some_and(|node| node.name == name);
            let gradient = |at: &&usize| self.nodes.get(**at).is_some_and(|node| node.gradient_name == name);
            let value = near.iter().find(of).map(|&at| &self.nodes[at].value);
            value.or_else(|| near.iter().find(gradient).and_then(|&at| self.nodes[at].gradient.as_ref()))
        };
        let names = expression.names();
        let is_short = |name: &&str| array(name).is_some_and(|array| array.elements.is_some() && (1..=FEW).contains(&array.len()));
        if names.is_empty() || !names.iter().all(is_short) {
            return None;
        }
        let numbers = expression.filled(|name| {
            let array = array(name)?;
            Some(array.item().filter(|_| array.is_scalar()).map_or_else(|| Expression::name(array.short(FEW)), Expression::number))
        });
        let latex = numbers.to_latex_with(|text| {
            let name = names.iter().find(|name| array(name).is_some_and(|array| array.short(FEW) == text))?;
            array(name).map(latex_few)
        });
        Some(Notation::of(numbers.to_string(), latex))
    }

    /// An expression with shapes in the place of names, transposed where they are.
    pub(super) fn with_shapes(&self, expression: &Expression, near: &[usize]) -> Notation {
        let shape = |name: &str| {
            let node = near.iter().filter_map(|&at| self.nodes.get(at)).find(|node| node.name == name || node.gradient_name == name)?;
            Some(format!("{:?}", node.value.shape))
        };
        let expression = expression.renamed(shape);
        let (mut text, mut latex) = (expression.to_string(), expression.to_latex_with(|name| Some(name.to_owned())));
        for shape in near.iter().filter_map(|&at| Some(&self.nodes.get(at)?.value.shape)).filter(|shape| shape.len() >= 2) {
            let mut turned = shape.clone();
            turned.swap(shape.len() - 1, shape.len() - 2);
            text = text.replace(&format!("{shape:?}ᵀ"), &format!("{turned:?}"));
            for written in [format!("{shape:?}^{{\\top}}"), format!(r"\left({shape:?}\right)^{{\top}}")] {
                latex = latex.replace(&written, &format!("{turned:?}"));
            }
        }
        Notation::of(text, latex)
    }
}
