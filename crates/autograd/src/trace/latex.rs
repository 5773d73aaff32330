//! A trace in LaTeX: the forward and the backward pass, each as an `align*` environment.

use super::{Notation, Step, Trace};

/// `left &= formula = numbers`, each side from notations that have the same left side.
fn line<'n>(left: &Notation, sign: &str, formulas: impl Iterator<Item = &'n Notation>) -> String {
    let (mut out, left) = (String::new(), &left.latex);
    for formula in formulas {
        let Some(right) = formula.latex.strip_prefix(left).and_then(|right| right.strip_prefix(sign)) else { continue };
        if out.is_empty() {
            out = format!("  {left} &{}{right}", sign.trim_start());
        } else if !out.ends_with(&format!(" {right}")) {
            out.extend([" = ", right]);
        }
    }
    out
}

/// Lines of an environment, each but the last one ended.
fn align(lines: &[String]) -> String {
    format!("\\begin{{align*}}\n{}\n\\end{{align*}}\n", lines.join(" \\\\\n"))
}

impl Trace {
    /// The trace in LaTeX: an `align*` environment for the forward pass and one for the backward pass, for documents that use the packages
    /// `amsmath` and `amssymb`.
    ///
    /// Names of several letters are upright, and Greek letters are commands. Letters of other alphabets in names want `XeLaTeX` or `LuaLaTeX`.
    ///
    /// ```
    /// # use autograd::Graph;
    /// let g = Graph::<f64>::new();
    /// let (w, x) = (g.variable(3.0).named("w"), g.constant(-4.0).named("x"));
    /// let latex = (w * x).named("f").trace()?.to_latex();
    /// assert_eq!(latex, r"\begin{align*}
    ///   w &= 3 \\
    ///   x &= -4 \\
    ///   f &= w \cdot x = 3 \cdot \left(-4\right) = -12
    /// \end{align*}
    /// \begin{align*}
    ///   \frac{\partial f}{\partial f} &= 1 \\
    ///   \frac{\partial f}{\partial w} &\mathrel{+}= \frac{\partial f}{\partial f} \cdot \frac{\partial f}{\partial w} = \frac{\partial f}{\partial f} \cdot x = 1 \cdot \left(-4\right) = -4
    /// \end{align*}
    /// ");
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    pub fn to_latex(&self) -> String {
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for step in self.steps() {
            let explanation = self.explain(step);
            let formula = explanation.formula.iter();
            match step {
                Step::Forward(at) => {
                    let name = self.named(at);
                    let written = line(&name, " = ", formula.chain(&explanation.numbers));
                    // An array that is too large is an element of a space.
                    let numbers = explanation.numbers.as_ref().and_then(|numbers| numbers.latex.strip_prefix(&name.latex));
                    forward.push(match numbers.and_then(|numbers| numbers.strip_prefix(r" \in ")) {
                        Some(space) if written.is_empty() => format!(r"  {} &\in {space}", name.latex),
                        Some(space) => format!(r"{written} \in {space}"),
                        None => written,
                    });
                }
                Step::Seed => backward.push(line(&self.gradient_of(self.root()), " = ", formula)),
                Step::Contribution { visit, edge } => {
                    let target = self.gradient_of(self.visits[visit].edges[edge].into);
                    let formulas = formula.chain(&explanation.product).chain(&explanation.numbers);
                    let written = line(&target, r" \mathrel{+}= ", formulas);
                    if !written.is_empty() {
                        backward.push(written);
                    }
                }
            }
        }
        align(&forward) + &align(&backward)
    }
}
