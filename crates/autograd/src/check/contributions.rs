//! Contributions that a rule loses: where an element of an operand goes into several elements of the result and the rule gives what comes from
//! one of them, or from some, in place of the sum of all.
//!
//! The finite differences of all elements of the result, one by one, are the contributions. Their weights are random, so that no two are alike
//! and a fit to ten digits at every element is no coincidence.

use std::panic::Location;

use super::{
    function::scrambled,
    lists::{largest, products, random_like, refs},
    slope::Scale,
    subject::{Subject, Tensors},
};
use crate::{
    error::Error,
    graph::{Graph, Kind},
    op::{self as ops, Erased},
    real::Real,
    shape::Shape,
    tensor::Tensor,
};

/// So many elements of an operand are looked at.
const SAMPLE: usize = 128;
/// Fewer than so many say nothing.
const FEWEST: usize = 4;
/// So many numbers are computed for one operation at most.
const LARGEST: usize = 1 << 22;
/// So many operations of a graph are named.
const NAMED: usize = 4;
/// Two numbers are the same if they are apart by no more than this part of the sizes of all contributions.
const SAME: f64 = 1e-7;
/// They are different if they are apart by more than this part.
const DIFFERENT: f64 = 1e-4;
/// The levels of the two steps of a finite difference.
const LEVELS: [i32; 2] = [7, 8];

/// What a rule loses, in a sentence.
pub(super) struct Lost {
    /// By which input of what is checked: the operand of the operation, or the leaf of the graph, if it is one.
    pub(super) input: Option<usize>,
    pub(super) sentence: String,
}

/// One element of an operand.
struct Part {
    autodiff: f64,
    /// The elements of the result that it goes into, in order, with the contribution of each.
    contributions: Vec<(usize, f64)>,
    error: f64,
}

impl Part {
    fn sum(&self) -> f64 {
        self.contributions.iter().map(|(_, c)| c).sum()
    }

    fn size(&self) -> f64 {
        self.contributions.iter().map(|(_, c)| c.abs()).sum()
    }

    /// Whether autodiff gives this.
    fn gives(&self, value: f64) -> bool {
        (self.autodiff - value).abs() <= SAME * self.size() + self.error
    }

    fn is_wrong(&self) -> bool {
        (self.autodiff - self.sum()).abs() > DIFFERENT * self.size() + 10.0 * self.error
    }
}

/// The operations of a graph whose rules lose contributions.
pub(super) fn lost_on_graph<T: Real>(graph: &Graph<T>, leaves: &[u32]) -> Vec<Lost> {
    let tape = graph.tape.borrow();
    let (mut all, mut seen) = (Vec::new(), Vec::new());
    for id in 0..tape.len() {
        let node = tape.node(id);
        let Kind::Op(handle) = &node.kind else { continue };
        // A loop applies the same rule again and again.
        let place = (handle.name(), node.at.file(), node.at.line());
        if !node.needs_gradient || all.len() >= NAMED || seen.contains(&place) {
            continue;
        }
        let Ok(x) = ops::tensors(tape.inputs(id).iter().map(|&x| &tape.node(x).value)) else { continue };
        let x: Tensors = x.iter().map(|x| x.cast()).collect();
        // What cannot be computed here has been reported elsewhere.
        for Lost { input: operand, sentence } in lost(handle.op(), &refs(&x), node.at).unwrap_or_default() {
            let input = operand.and_then(|operand| tape.inputs(id).get(operand));
            let leaf = input.and_then(|input| leaves.iter().position(|leaf| leaf == input));
            let (name, file, line, operand) = (handle.name(), node.at.file(), node.at.line(), operand.unwrap_or(0));
            all.push(Lost { input: leaf, sentence: format!("{name} (node {id}) at {file}:{line}, operand {operand}: {sentence}") });
            seen.push(place);
        }
    }
    all
}

/// The operands of one operation by which its rule loses contributions.
pub(super) fn lost(op: &dyn Erased, x: &[&Tensor<f64>], at: &'static Location<'static>) -> Result<Vec<Lost>, Error> {
    let subject = Subject { op, at };
    let y = subject.forward(x)?;
    let c = random_like(&y, 1)?;
    let gradients = subject.vjp(x, &refs(&y), &refs(&c))?;
    let terms = products(&y, &c);
    let mut all = Vec::new();
    for (operand, gradient) in gradients.iter().enumerate() {
        let most = SAMPLE.min(LARGEST / terms.len().max(1));
        if most < FEWEST {
            continue;
        }
        let sample = sample(gradient, most);
        let moved = Operand { subject: &subject, x, place: operand, gradient, c: &c, terms: &terms };
        let Some(parts) = sample.iter().map(|&i| moved.part(i)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        // Each element is either wrong or right.
        let (wrong, right): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.is_wrong());
        if wrong.is_empty() || !right.iter().all(|part| part.gives(part.sum())) {
            continue;
        }
        let result = if y.len() == 1 { Some(y[0].shape()) } else { None };
        let stretched = result.and_then(|to| broadcast(x[operand].shape(), to, &sample, &parts));
        if let Some(sentence) = stretched.or_else(|| one_of_several(&wrong, &right, &parts)) {
            all.push(Lost { input: Some(operand), sentence });
        }
    }
    Ok(all)
}

/// Which elements are looked at: all, or some, most of them with a gradient.
fn sample(gradient: &Tensor<f64>, most: usize) -> Vec<usize> {
    let n = gradient.len();
    if n <= most {
        return (0..n).collect();
    }
    let busy: Vec<usize> = (0..n).filter(|&i| gradient.as_slice()[i] != 0.0).collect();
    let place = |i: u64, n: usize| usize::try_from(scrambled(i) % n as u64).unwrap_or(0);
    let mut sample: Vec<usize> =
        (0..most as u64).map(|i| if i % 4 == 0 || busy.is_empty() { place(i, n) } else { busy[place(i, busy.len())] }).collect();
    sample.sort_unstable();
    sample.dedup();
    sample
}

/// An operand that is moved, element by element.
struct Operand<'a> {
    subject: &'a Subject<'a>,
    x: &'a [&'a Tensor<f64>],
    place: usize,
    gradient: &'a Tensor<f64>,
    /// The weights of all elements of the result, and the weighted elements.
    c: &'a [Tensor<f64>],
    terms: &'a [f64],
}

impl Operand<'_> {
    /// The contributions of one element; none if some are not finite or not known well.
    fn part(&self, index: usize) -> Option<Part> {
        let Operand { subject, x, place, gradient, c, terms } = *self;
        let at = x[place].as_slice()[index];
        let scale = Scale::of(at, largest(&x[place..=place]));
        let terms_at = |step: f64| -> Option<(f64, Vec<f64>)> {
            let mut elements = x[place].to_vec();
            elements[index] = at + step;
            let step = elements[index] - at;
            let changed = Tensor::of(*x[place].shape(), elements);
            let all: Vec<&Tensor<f64>> = x.iter().enumerate().map(|(k, x)| if k == place { &changed } else { *x }).collect();
            let there = products(&subject.forward(&all).ok()?, c);
            (there.len() == terms.len()).then_some((step, there))
        };
        let quotients = |level: i32| -> Option<Vec<f64>> {
            let ((left, below), (right, above)) = (terms_at(-scale.step(level))?, terms_at(scale.step(level))?);
            Some(below.iter().zip(&above).map(|(a, b)| (b - a) / (right - left)).collect())
        };
        let (far, near) = (quotients(LEVELS[0])?, quotients(LEVELS[1])?);
        let (mut contributions, mut error) = (Vec::new(), 0.0);
        for (i, (far, near)) in far.iter().zip(&near).enumerate() {
            if !far.is_finite() || !near.is_finite() {
                return None;
            }
            if *far != 0.0 || *near != 0.0 {
                let value = near + (near - far) / 3.0;
                contributions.push((i, value));
                // What a fourth-order formula leaves over is far below what it changes.
                error += 0.01 * (value - near).abs() + 4.0 * f64::EPSILON * terms[i].abs() / scale.step(LEVELS[1]);
            }
        }
        let part = Part { autodiff: gradient.as_slice()[index], contributions, error };
        (part.autodiff.is_finite() && part.error <= DIFFERENT * part.size().max(part.autodiff.abs())).then_some(part)
    }
}

/// Whether an operand is broadcast and the rule does not sum over some of the axes, but takes one place along them, the same for all elements.
fn broadcast(from: &Shape, to: &Shape, sample: &[usize], parts: &[Part]) -> Option<String> {
    if from.len() >= to.len() || !from.stretches_to(to) {
        return None;
    }
    let (rank, strides) = (to.rank(), to.strides());
    let position = |i: usize, axis: usize| i / strides[axis] % to[axis];
    let axes: Vec<usize> = (0..rank).filter(|&axis| to[axis] > from.nth_from_end(rank - 1 - axis)).collect();
    // What an element contributes, it contributes where it was repeated.
    let home = |i: usize| {
        let kept = (0..from.rank()).map(|axis| (from.strides()[axis], axis + rank - from.rank()));
        kept.map(|(stride, axis)| if axes.contains(&axis) { 0 } else { position(i, axis) * stride }).sum::<usize>()
    };
    let is_home = |(part, index): (&Part, &usize)| part.contributions.iter().all(|(i, _)| home(*i) == *index);
    if !parts.iter().zip(sample).all(is_home) {
        return None;
    }
    for subset in 1..1usize << axes.len() {
        let taken: Vec<usize> = axes.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1).map(|(_, axis)| *axis).collect();
        let places: usize = taken.iter().map(|&axis| to[axis]).product();
        let place = |i: usize| taken.iter().fold(0, |place, &axis| place * to[axis] + position(i, axis));
        let mut fits = vec![true; places];
        for part in parts {
            let mut sums = vec![0.0; places];
            part.contributions.iter().for_each(|(i, c)| sums[place(*i)] += c);
            fits.iter_mut().zip(&sums).for_each(|(fits, sum)| *fits &= part.gives(*sum));
        }
        let Some(at) = fits.iter().position(|fits| *fits) else { continue };
        // One number may be near one of very many.
        if parts.len() < 2 && at != 0 && at != places - 1 {
            continue;
        }
        let mut rest = at;
        let mut along: Vec<usize> = taken.iter().rev().map(|&axis| (rest % to[axis], rest /= to[axis]).0).collect();
        along.reverse();
        let (axes, along) = match (&taken[..], &along[..]) {
            ([axis], [place]) => (format!("axis {axis}"), place.to_string()),
            _ => (format!("axes {taken:?}"), format!("{along:?}")),
        };
        return Some(format!(
            "{from} is broadcast to {to}; autodiff is the contribution of place {along} of {axes} alone at all {} elements looked at, the finite difference the sum over {axes}: the reduction over a broadcast axis is missing",
            parts.len()
        ));
    }
    None
}

/// Whether the rule gives the contribution of the last, or the first, element of the result that an element of the operand goes into.
fn one_of_several(wrong: &[&Part], right: &[&Part], all: &[Part]) -> Option<String> {
    let counts = || wrong.iter().map(|part| part.contributions.len());
    let (fewest, most) = (counts().min()?, counts().max()?);
    let gives = |of: fn(&Part) -> Option<&(usize, f64)>| all.iter().all(|part| part.gives(of(part).map_or(0.0, |(_, c)| *c)));
    let which = match (gives(|part| part.contributions.last()), gives(|part| part.contributions.first())) {
        _ if fewest < 2 => return None,
        (true, _) => "last",
        (_, true) => "first",
        _ => return None,
    };
    let n = wrong.len();
    let several = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    let evidence = format!(
        "autodiff is the contribution of the {which} alone at the {n} elements that go into {several} elements of the result, the finite difference the sum of all"
    );
    // Each element of the result is made of one element of the operand, as in gathering.
    let mut places: Vec<usize> = all.iter().flat_map(|part| &part.contributions).map(|(i, _)| *i).collect();
    let total = places.len();
    places.sort_unstable();
    places.dedup();
    Some(match right.iter().filter(|part| part.contributions.len() == 1).count() {
        once if places.len() == total && (once > 0 || fewest < most) => format!(
            "{evidence}, and right at the {once} that go into one: contributions at repeated positions are overwritten rather than added"
        ),
        _ => format!("{evidence}: a sum is missing, as over the examples of a batch"),
    })
}
