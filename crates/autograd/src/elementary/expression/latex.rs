//! Expressions, names and numbers in LaTeX.

use super::{Binding, Operands, Part, Style, Written, comparison, number};

/// Letters and signs that LaTeX has a command for: Greek letters, of which the capitals that look like Latin ones have none.
fn latex_letter(c: char) -> Option<&'static str> {
    Some(match c {
        'α' => r"\alpha",
        'β' => r"\beta",
        'γ' => r"\gamma",
        'δ' => r"\delta",
        'ε' | 'ϵ' => r"\epsilon",
        'ζ' => r"\zeta",
        'η' => r"\eta",
        'θ' => r"\theta",
        'ι' => r"\iota",
        'κ' => r"\kappa",
        'λ' => r"\lambda",
        'μ' => r"\mu",
        'ν' => r"\nu",
        'ξ' => r"\xi",
        'π' => r"\pi",
        'ρ' => r"\rho",
        'σ' => r"\sigma",
        'τ' => r"\tau",
        'υ' => r"\upsilon",
        'φ' | 'ϕ' => r"\phi",
        'χ' => r"\chi",
        'ψ' => r"\psi",
        'ω' => r"\omega",
        'Γ' => r"\Gamma",
        'Δ' => r"\Delta",
        'Θ' => r"\Theta",
        'Λ' => r"\Lambda",
        'Ξ' => r"\Xi",
        'Π' => r"\Pi",
        'Σ' => r"\Sigma",
        'Φ' => r"\Phi",
        'Ψ' => r"\Psi",
        'Ω' => r"\Omega",
        '∂' => r"\partial",
        '∞' => r"\infty",
        'ŷ' => r"\hat{y}",
        '−' => "-",
        _ => return None,
    })
}

/// A name that is the English one of a Greek letter.
fn latex_word(name: &str) -> Option<&'static str> {
    "αβγδεζηθικλμνξπρστφχψω".chars().filter_map(latex_letter).find(|command| command.trim_start_matches('\\') == name)
}

/// A text in LaTeX, with the signs that mean something there escaped.
fn latex_escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '_' | '%' | '&' | '#' | '$' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += r"\backslash ",
            '^' => out += r"\hat{}",
            '~' => out += r"\sim ",
            '\'' => out += r"\prime ",
            c if c.is_control() => out.push(' '),
            c => match latex_letter(c) {
                Some(command) => out.extend([command, " "]),
                None => out.push(c),
            },
        }
        out
    })
}

/// A name in LaTeX: what follows an underscore is an index, and so are digits after a letter; longer names are upright; Greek letters, or
/// their names, are commands.
pub(crate) fn latex_name(name: &str) -> String {
    let upright = |text: &str| match latex_word(text) {
        Some(command) => command.to_owned(),
        None if text.chars().count() > 1 && !text.chars().all(|c| c.is_ascii_digit()) => format!(r"\mathrm{{{}}}", latex_escaped(text)),
        None => latex_escaped(text).trim_end().to_owned(),
    };
    // A gradient.
    if let Some(of) = name.strip_prefix('d')
        && of.chars().filter(|c| c.is_alphabetic()).count() == 1
        && of.starts_with(char::is_alphabetic)
    {
        return format!("d{}", latex_name(of));
    }
    // x1 and x₁ are x with an index.
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit() || ('₀'..='₉').contains(&c));
    let index = || name[letters.len()..].chars().map(|c| if c.is_ascii_digit() { c } else { subscript(c) }).collect::<String>();
    match name.split_once('_') {
        Some((base, index)) if !base.is_empty() && !index.is_empty() => format!("{}_{{{}}}", upright(base), upright(index)),
        _ if (letters.chars().count() == 1 || latex_word(letters).is_some()) && letters.len() < name.len() => {
            format!("{}_{{{}}}", upright(letters), index())
        }
        _ => upright(name),
    }
}

/// The digit that a subscript is.
fn subscript(c: char) -> char {
    u32::from(c).checked_sub(u32::from('₀')).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// A number in LaTeX.
pub(crate) fn latex_number(c: f64) -> String {
    let text = number(c).replace('−', "-");
    if c.is_nan() {
        return r"\mathrm{NaN}".into();
    }
    if c.is_infinite() {
        return if c > 0.0 { r"\infty".into() } else { r"-\infty".into() };
    }
    match text.split_once('e') {
        Some((digits, exponent)) => format!(r"{digits}\cdot 10^{{{exponent}}}"),
        None => text,
    }
}

pub(super) fn latex_part(parts: &[Part], texts: &[Option<Written>], id: usize, latex_of: &dyn Fn(&str) -> Option<String>) -> Written {
    use Binding::{Atom, Comparison, Power, Product, Sign, Sum};
    let (function, operands, parameters, notation) = match &parts[id] {
        // A fraction would be read wrongly under a power.
        Part::Name(name) => return latex_of(name).map_or_else(|| (latex_name(name), Atom), |latex| (latex, Power)),
        Part::Number(c) => {
            let text = latex_number(*c);
            let binding = if *c < 0.0 {
                Sign
            } else if text.contains("cdot") {
                Product
            } else {
                Atom
            };
            return (text, binding);
        }
        Part::Call { function, operands, parameters, notation } => (&**function, operands, parameters, notation),
    };
    let x = Operands { parts, texts, places: operands, style: Style::Latex };
    if let Some(notation) = notation {
        return x.fill(notation);
    }
    let plain = |k: usize| parameters.get(k).copied().map(latex_number).unwrap_or_default();
    let parameter = |k: usize| {
        let text = plain(k);
        if text.starts_with('-') { format!(r"\left({text}\right)") } else { text }
    };
    match function {
        "neg" => (format!("-{}", x.behind(0, Product)), Sign),
        "add" => (format!("{} + {}", x.at(0, Sum), x.behind(1, Product)), Sum),
        "sub" => (format!("{} - {}", x.at(0, Sum), x.behind(1, Product)), Sum),
        "mul" | "masked_mul" if x.is(0, 1.0) => (x.at(1, Comparison), x.written(1).1),
        "mul" | "masked_mul" if x.is(1, 1.0) => (x.at(0, Comparison), x.written(0).1),
        "mul" | "masked_mul" if x.is_square() => (format!("{}^{{2}}", x.at(0, Atom)), Power),
        "mul" | "masked_mul" => (format!(r"{} \cdot {}", x.at(0, Product), x.behind(1, Product)), Product),
        "div" => (format!(r"\frac{{{}}}{{{}}}", x.at(0, Comparison), x.at(1, Comparison)), Power),
        "add_lit" => (format!("{} + {}", x.at(0, Sum), parameter(0)), Sum),
        "sub_lit" => (format!("{} - {}", x.at(0, Sum), parameter(0)), Sum),
        "rsub_lit" => (format!("{} - {}", plain(0), x.behind(0, Product)), Sum),
        "mul_lit" => (format!(r"{} \cdot {}", plain(0), x.behind(0, Product)), Product),
        "div_lit" => (format!(r"\frac{{{}}}{{{}}}", x.at(0, Comparison), plain(0)), Power),
        "rdiv_lit" => (format!(r"\frac{{{}}}{{{}}}", plain(0), x.at(0, Comparison)), Power),
        "square" => (format!("{}^{{2}}", x.at(0, Atom)), Power),
        "recip" => (format!(r"\frac{{1}}{{{}}}", x.at(0, Comparison)), Power),
        "powi" | "powf" => (format!("{}^{{{}}}", x.at(0, Atom), plain(0)), Power),
        "pow" => (format!("{}^{{{}}}", x.at(0, Atom), x.at(1, Comparison)), Power),
        "exp" => (format!("e^{{{}}}", x.at(0, Comparison)), Power),
        "abs" => (format!(r"\left|{}\right|", x.at(0, Comparison)), Atom),
        "sqrt" => (format!(r"\sqrt{{{}}}", x.at(0, Comparison)), Atom),
        "rsqrt" => (format!(r"\frac{{1}}{{\sqrt{{{}}}}}", x.at(0, Comparison)), Power),
        "floor" => (format!(r"\lfloor {} \rfloor", x.at(0, Comparison)), Atom),
        "ceil" => (format!(r"\lceil {} \rceil", x.at(0, Comparison)), Atom),
        "step" => (format!(r"\left[{} > 0\right]", x.at(0, Sum)), Atom),
        "sigmoid" => (format!(r"\sigma\left({}\right)", x.at(0, Comparison)), Atom),
        _ => {
            if let Some((_, sign)) = comparison(function) {
                return (format!(r"\left[{} {sign} {}\right]", x.at(0, Sum), x.at(1, Sum)), Atom);
            }
            let inside: Vec<_> = x.all().chain(parameters.iter().map(|c| latex_number(*c))).collect();
            let name = match function {
                "sin" | "cos" | "tan" | "ln" | "tanh" | "sinh" | "cosh" | "max" | "min" => format!(r"\{function}"),
                _ => format!(r"\operatorname{{{}}}", latex_escaped(function)),
            };
            (format!(r"{name}\left({}\right)", inside.join(", ")), Atom)
        }
    }
}
