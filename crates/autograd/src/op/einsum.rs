//! Sums of products by letters, after Einstein: planned here as steps of diagonals, sums, orders and matrix products, which then run.

use super::{Algebra, Entry, Mistake, Value, sample};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// One operation on the operand at a place of the list, or on two of them; the second of two leaves the list.
enum Step {
    Diagonal(usize, usize, usize),
    Sum(usize, Vec<isize>),
    Permute(usize, Vec<isize>),
    Reshape(usize, Shape),
    Mul(usize, usize),
    MatMul { a: usize, b: usize, transpose_a: bool, transpose_b: bool },
}

/// A letter, or a digit for the axes of an ellipsis, counted from the last.
type Label = char;

fn wrong<R>(spec: &str, why: impl Into<String>) -> Result<R, Error> {
    Err(ErrorKind::Einsum { spec: spec.into(), why: why.into() }.into())
}

/// The labels of an operand or of the result; an ellipsis stands for `dots` axes.
fn labels(spec: &str, part: &str, dots: impl FnOnce(usize) -> Result<usize, Error>) -> Result<Vec<Label>, Error> {
    let letters = |text: &str| match text.chars().find(|c| !c.is_ascii_alphabetic()) {
        Some(c) => {
            wrong(spec, format!("{c:?} is no letter; operands are letters, parted by commas, with \"->\" before those of the result"))
        }
        None => Ok(text.chars().collect::<Vec<_>>()),
    };
    let Some((before, after)) = part.split_once("...") else { return letters(part) };
    let (before, after) = (letters(before)?, letters(after)?);
    let dots = dots(before.len() + after.len())?;
    let digits = ('0'..='9').take(dots).collect::<Vec<_>>().into_iter().rev();
    Ok(before.into_iter().chain(digits).chain(after).collect())
}

/// The operands as they are after the steps so far.
struct Plan {
    terms: Vec<Vec<Label>>,
    lengths: Vec<(Label, usize)>,
    output: Vec<Label>,
    steps: Vec<Step>,
}

/// The steps that lead from operands of these shapes to the sum of products.
fn plan(spec: &str, shapes: &[Shape]) -> Result<Vec<Step>, Error> {
    let mut plan = Plan::read(spec, shapes)?;
    for term in 0..plan.terms.len() {
        plan.simplify(term);
    }
    while plan.terms.len() > 1 {
        let (a, b) = plan.cheapest();
        plan.contract(a, b)?;
    }
    let order: Vec<isize> = plan.positions(0, &plan.output);
    plan.permute(0, order);
    Ok(plan.steps)
}

impl Plan {
    fn read(spec: &str, shapes: &[Shape]) -> Result<Plan, Error> {
        let text: String = spec.chars().filter(|c| !c.is_whitespace()).collect();
        if text.is_empty() {
            return wrong(spec, "it is empty; \"ij,jk->ik\" is a matrix product");
        }
        let (inputs, result) = match text.split_once("->") {
            Some((inputs, result)) => (inputs, Some(result)),
            None => (&*text, None),
        };
        let parts: Vec<&str> = inputs.split(',').collect();
        if parts.len() != shapes.len() {
            return wrong(spec, format!("it describes {} operands, but {} were given", parts.len(), shapes.len()));
        }
        let (mut terms, mut widest) = (Vec::new(), 0);
        for (k, (part, shape)) in parts.iter().zip(shapes).enumerate() {
            let rank = shape.rank();
            let misfit = |letters| format!("operand {k} has {letters} letters, {part:?}, but {rank} axes, {shape}");
            let term = labels(spec, part, |letters| match rank.checked_sub(letters) {
                Some(dots) => Ok(dots),
                None => wrong(spec, misfit(letters)),
            })?;
            if term.len() != rank {
                return wrong(spec, misfit(term.len()));
            }
            widest = widest.max(term.iter().filter(|label| label.is_ascii_digit()).count());
            terms.push(term);
        }
        let mut lengths: Vec<(Label, usize)> = Vec::new();
        for (&label, &n) in terms.iter().zip(shapes).flat_map(|(term, shape)| term.iter().zip(shape.iter())) {
            match lengths.iter_mut().find(|(known, _)| *known == label) {
                None => lengths.push((label, n)),
                Some((_, known)) if *known == n || (label.is_ascii_digit() && n == 1) => {}
                // Axes of an ellipsis broadcast.
                Some((_, known)) if label.is_ascii_digit() && *known == 1 => *known = n,
                Some((_, known)) if label.is_ascii_digit() => {
                    return wrong(spec, format!("the axes of \"...\" have lengths {known} and {n} in one place, which do not broadcast"));
                }
                Some((_, known)) => return wrong(spec, format!("the letter {label:?} has length {known} and length {n}")),
            }
        }
        let output = if let Some(result) = result {
            labels(spec, result, |_| Ok(widest))?
        } else {
            // As NumPy does: the ellipsis, then the letters that stand there once, in the order of ASCII.
            let all: Vec<Label> = terms.concat();
            let mut letters: Vec<Label> = all.iter().copied().filter(char::is_ascii_alphabetic).collect();
            letters.retain(|label| all.iter().filter(|other| *other == label).count() == 1);
            letters.sort_unstable();
            ('0'..='9').take(widest).collect::<Vec<_>>().into_iter().rev().chain(letters).collect()
        };
        for (i, label) in output.iter().enumerate() {
            if output[..i].contains(label) {
                return wrong(spec, format!("the letter {label:?} stands twice in the result"));
            }
            if !lengths.iter().any(|(known, _)| known == label) {
                return wrong(spec, format!("the letter {label:?} of the result stands in no operand"));
            }
        }
        if output.len() > crate::MAX_RANK {
            return Err(ErrorKind::TooManyAxes { rank: output.len() }.into());
        }
        let mut plan = Plan { terms, lengths, output, steps: Vec::new() };
        for (term, shape) in shapes.iter().enumerate() {
            // An axis of length 1 that is to be stretched is left out: what lacks a label is stretched along it.
            let kept: Vec<bool> = plan.terms[term].iter().zip(shape.iter()).map(|(&label, &n)| plan.length(label) == n).collect();
            if kept.contains(&false) {
                let mut keep = kept.iter();
                plan.terms[term].retain(|_| keep.next() == Some(&true));
                plan.reshape(term)?;
            }
        }
        Ok(plan)
    }

    fn length(&self, label: Label) -> usize {
        self.lengths.iter().find(|(known, _)| *known == label).map_or(1, |(_, n)| *n)
    }

    /// The shape of axes with these labels.
    fn shape(&self, labels: &[Label]) -> Result<Shape, Error> {
        Shape::new(&labels.iter().map(|&label| self.length(label)).collect::<Vec<_>>())
    }

    fn positions(&self, term: usize, labels: &[Label]) -> Vec<isize> {
        let own = &self.terms[term];
        labels.iter().filter_map(|label| own.iter().position(|other| other == label)).map(usize::cast_signed).collect()
    }

    /// Gives a term the shape that its labels have.
    fn reshape(&mut self, term: usize) -> Result<(), Error> {
        let shape = self.shape(&self.terms[term])?;
        self.steps.push(Step::Reshape(term, shape));
        Ok(())
    }

    fn permute(&mut self, term: usize, order: Vec<isize>) {
        self.terms[term] = order.iter().map(|at| self.terms[term][at.cast_unsigned()]).collect();
        if !order.iter().zip(0..).all(|(from, to)| *from == to) {
            self.steps.push(Step::Permute(term, order));
        }
    }

    /// Whether a label is in the result or in another term than these two.
    fn is_kept(&self, label: Label, a: usize, b: usize) -> bool {
        self.output.contains(&label) || self.terms.iter().enumerate().any(|(i, term)| i != a && i != b && term.contains(&label))
    }

    /// Takes the diagonal of a label that stands in a term twice, and sums over labels that stand nowhere else.
    fn simplify(&mut self, term: usize) {
        let twice = |own: &[Label]| {
            let second = (0..own.len()).find(|&i| own[..i].contains(&own[i]))?;
            Some((own.iter().position(|label| *label == own[second])?, second))
        };
        while let Some((first, second)) = twice(&self.terms[term]) {
            let label = self.terms[term].remove(second);
            self.terms[term].remove(first);
            self.terms[term].push(label);
            self.steps.push(Step::Diagonal(term, first, second));
        }
        let own = &self.terms[term];
        let summed: Vec<Label> = own.iter().copied().filter(|&label| !self.is_kept(label, term, term)).collect();
        if !summed.is_empty() {
            let axes = self.positions(term, &summed);
            self.terms[term].retain(|label| !summed.contains(label));
            self.steps.push(Step::Sum(term, axes));
        }
    }

    /// The pair whose product is the least larger than its factors; of equals the first.
    fn cheapest(&self) -> (usize, usize) {
        let size = |labels: &[Label]| labels.iter().map(|&label| self.length(label) as f64).product::<f64>();
        let (mut best, mut least) = ((0, 1), (usize::MAX, f64::INFINITY));
        for b in 1..self.terms.len() {
            for a in 0..b {
                let (left, right) = (&self.terms[a], &self.terms[b]);
                let mut product: Vec<Label> = left.iter().chain(right.iter().filter(|label| !left.contains(label))).copied().collect();
                product.retain(|&label| self.is_kept(label, a, b));
                // A product of too many axes comes last.
                let cost = (product.len().max(crate::MAX_RANK), size(&product) - size(left) - size(right));
                if cost.0 < least.0 || (cost.0 == least.0 && cost.1 < least.1) {
                    (best, least) = ((a, b), cost);
                }
            }
        }
        best
    }

    /// Multiplies term `b` into term `a`, with `a < b`.
    fn contract(&mut self, a: usize, b: usize) -> Result<(), Error> {
        let (left, right) = (self.terms[a].clone(), self.terms[b].clone());
        let (shared, rows): (Vec<Label>, Vec<Label>) = left.iter().partition(|label| right.contains(label));
        let (batch, inner): (Vec<Label>, Vec<Label>) = shared.iter().partition(|&&label| self.is_kept(label, a, b));
        let columns: Vec<Label> = right.iter().copied().filter(|label| !left.contains(label)).collect();
        let product = [&batch[..], &rows, &columns].concat();
        let shape = self.shape(&product)?;
        if inner.is_empty() {
            // Nothing is summed: a product element by element, where each lacks the other's axes.
            let order = self.positions(a, &[&batch[..], &rows].concat());
            self.permute(a, order);
            let ones = [&self.shape(&self.terms[a])?[..], &vec![1; columns.len()]].concat();
            self.steps.push(Step::Reshape(a, Shape::new(&ones)?));
            let order = self.positions(b, &[&batch[..], &columns].concat());
            self.permute(b, order);
            let ones = [&self.shape(&batch)?[..], &vec![1; rows.len()], &self.shape(&columns)?[..]].concat();
            self.steps.push(Step::Reshape(b, Shape::new(&ones)?));
            self.steps.push(Step::Mul(a, b));
        } else {
            let transpose_a = self.arrange(a, &batch, &rows, &inner)?;
            let transpose_b = self.arrange(b, &batch, &inner, &columns)?;
            self.steps.push(Step::MatMul { a, b, transpose_a, transpose_b });
            self.steps.push(Step::Reshape(a, shape));
        }
        self.terms[a] = product;
        self.terms.remove(b);
        Ok(())
    }

    /// Makes a term a batch of matrices, and says whether they stand there transposed.
    fn arrange(&mut self, term: usize, batch: &[Label], rows: &[Label], columns: &[Label]) -> Result<bool, Error> {
        let is_transposed = self.terms[term] == [batch, columns, rows].concat() && !rows.is_empty();
        let (rows, columns) = if is_transposed { (columns, rows) } else { (rows, columns) };
        let order = self.positions(term, &[batch, rows, columns].concat());
        self.permute(term, order);
        let matrix = [self.shape(rows)?.len(), self.shape(columns)?.len()];
        let shape = if batch.is_empty() { Shape::new(&matrix) } else { Shape::new(&[self.shape(batch)?.len(), matrix[0], matrix[1]]) };
        self.steps.push(Step::Reshape(term, shape?));
        Ok(is_transposed)
    }
}

/// The steps, done.
fn run<T: Real, A: Algebra<T>>(steps: Vec<Step>, x: &[&A]) -> Option<A> {
    let mut terms: Vec<A> = x.iter().map(|x| (*x).clone()).collect();
    for step in steps {
        match step {
            Step::Diagonal(k, a, b) => terms[k] = terms[k].diagonal(0, a.cast_signed(), b.cast_signed()),
            Step::Sum(k, axes) => terms[k] = terms[k].sum_axes(axes, false),
            Step::Permute(k, order) => terms[k] = terms[k].permute(order),
            Step::Reshape(k, shape) => terms[k] = terms[k].reshape_as(&shape),
            Step::Mul(a, b) => {
                let right = terms.remove(b);
                terms[a] = terms[a].mul(&right);
            }
            Step::MatMul { a, b, transpose_a, transpose_b } => {
                let right = terms.remove(b);
                terms[a] = terms[a].matmul_as(&right, transpose_a, transpose_b);
            }
        }
    }
    terms.pop()
}

/// The sum of products that `spec` describes; there is at least one operand.
#[track_caller]
fn einsum<T: Real, A: Algebra<T>>(spec: &str, x: &[&A]) -> A {
    A::composed("einsum", x, || {
        let shapes: Vec<Shape> = x.iter().map(|x| x.shape()).collect();
        match plan(spec, &shapes) {
            Ok(steps) => run(steps, x).unwrap_or_else(|| x[0].clone()),
            Err(error) => x[0].refused(error),
        }
    })
}

impl<T: Real> Graph<T> {
    /// A sum of products of tensors, by letters, after Einstein: `"ij,jk->ik"` is `Σⱼ aᵢⱼ bⱼₖ`.
    ///
    /// Each operand has a letter for every axis. Axes of one letter run together, also within an operand, where they are its diagonal. The
    /// letters of the result come after `->`, and all others are summed; without `->` the result has the letters that stand there once, in
    /// alphabetical order, as in `NumPy`. `...` stands for any further axes, which broadcast. Spaces do not matter.
    ///
    /// Operands are multiplied in pairs, the pair first whose product is smallest, by matrix products where a letter is summed.
    ///
    /// # Errors
    /// Operands that are not as many as described, or have other axes; lengths that differ at one letter; a result with a letter twice or
    /// with one that no operand has; intermediate results of more than eight axes.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (a, b) = (g.variable(tensor![[1.0, 2.0], [3.0, 4.0]]), g.variable(tensor![1.0, -1.0]));
    /// assert_eq!(g.einsum("ij,j->i", &[a, b]).value()?, tensor![-1.0, -1.0]);
    /// assert_eq!(g.einsum("ii", &[a]).item()?, 5.0);
    /// assert_eq!(g.einsum("ij->ji", &[a]).value()?, tensor![[1.0, 3.0], [2.0, 4.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn einsum<'g>(&'g self, spec: &str, operands: &[Var<'g, T>]) -> Var<'g, T> {
        if operands.is_empty() {
            return self.poison(Error::from(ErrorKind::NoInputs).in_op("einsum", Vec::new));
        }
        if let Some(stranger) = operands.iter().find(|x| !std::ptr::eq(x.graph(), self)) {
            let here = operands.iter().find(|x| std::ptr::eq(x.graph(), self)).map_or(std::panic::Location::caller(), |x| x.location());
            let why = ErrorKind::OtherGraph { here, there: stranger.location() };
            return self.poison(Error::from(why).in_op("einsum", Vec::new));
        }
        einsum(spec, &operands.iter().collect::<Vec<_>>())
    }
}

impl<T: Real> Tensor<T> {
    /// A sum of products of tensors, by letters, after Einstein. See [`Graph::einsum`].
    ///
    /// # Errors
    /// A description that does not fit the operands, or itself.
    #[track_caller]
    pub fn einsum(spec: &str, operands: &[&Tensor<T>]) -> Result<Self, Error> {
        if operands.is_empty() {
            return Err(Error::from(ErrorKind::NoInputs).in_op("einsum", Vec::new).at(std::panic::Location::caller()));
        }
        let operands: Vec<Value<T>> = operands.iter().map(|x| Value::Tensor((*x).clone())).collect();
        einsum(spec, &operands.iter().collect::<Vec<_>>()).into_result()
    }
}

macro_rules! samples {
    ($([$($shape:expr),+] $spec:literal;)+) => { &[$( sample!([$($shape),+], |x| x[0].graph().einsum($spec, x)) ),+] };
}
macro_rules! mistakes {
    ($([$($shape:expr),+] $spec:literal, $message:literal;)+) => {
        &[$( Mistake { sample: sample!([$($shape),+], |x| x[0].graph().einsum($spec, x)), message: $message } ),+]
    };
}

/// The catalogue's entry.
pub(crate) const ENTRIES: &[Entry] = &[Entry {
    name: "einsum",
    signature: "graph.einsum(spec: &str, operands: &[Var])",
    doc: &["A sum of products of tensors, by letters, after Einstein: `\"ij,jk->ik\"` is `Σⱼ aᵢⱼ bⱼₖ`."],
    samples: samples! {
        [[2, 3], [3, 2]] "ij,jk->ik";
        [[3], [3]] "i,i";
        [[2], [3]] "i,j->ji";
        [[3, 3]] "ii";
        [[3, 3]] "ii->i";
        [[2, 3]] "ba";
        [[2, 3, 2]] "ijk->k";
        [[2, 3, 2], [2, 2, 3]] "bij, bjk -> bik";
        [[2, 3], [2, 3]] "ij,ij->ij";
        [[2, 3], [2, 3]] "ij,ij->i";
        [[2, 3], [3, 2], [2]] "ij,jk,k->i";
        [[2, 2], [2, 2], [2, 2]] "ij,jk,ki->";
        [[3, 2], [2, 3]] "ki,jk->ij";
        [[2, 2, 3, 1], [2, 1, 3, 2]] "bhqd,bdqk->bhqk";
        [[2, 1, 3, 2], [2, 1, 2, 2]] "bhqd,bhkd->bhqk";
        [[2, 2, 3, 2]] "abca->cb";
        [[2, 3, 2], [2, 3]] "iji,Aj->A";
        [[2, 2, 3], [1, 3, 2]] "...ij,...jk->...ik";
        [[2, 1, 3], [2, 3]] "...i,...i->...";
        [[2, 2, 3]] "...j->j...";
        [[], [2]] ",i->i";
        [[2], [2], [2], [2]] "i,j,k,l->lkji";
        [[0, 3], [3, 2]] "ij,jk->ik";
        [[2, 0], [0, 3]] "ij,jk->ik";
        [[0, 0]] "ii->";
        [[2, 0, 2], [0, 2]] "bij,ij->b";
    },
    errors: mistakes! {
        [[2, 3], [3, 2]] "ij->ij", "it describes 1 operands, but 2 were given";
        [[2, 3]] "ij->ik", "the letter 'k' of the result stands in no operand";
        [[2, 3]] "ij->ii", "the letter 'i' stands twice in the result";
        [[2, 3], [4, 2]] "ij,jk", "the letter 'j' has length 3 and length 4";
        [[2, 3]] "ii", "the letter 'i' has length 2 and length 3";
        [[2, 3]] "ijk->i", "operand 0 has 3 letters, \"ijk\", but 2 axes, [2, 3]";
        [[2, 3]] "i", "operand 0 has 1 letters";
        [[2, 3]] "ijk...->i", "operand 0 has 3 letters";
        [[2, 3]] " ", "it is empty";
        [[2, 3]] "i1->i", "'1' is no letter";
        [[2, 3]] "ij->i->j", "'-' is no letter";
        [[2, 3], [3, 3]] "...i,...i->...", "which do not broadcast";
        [[1, 1, 1, 1, 1], [1, 1, 1, 1]] "abcde,fghi", "9 axes are too many";
    },
    handle: None,
}];
