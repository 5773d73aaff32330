//! Sabotage: every rule of every operation is made wrong in several ways, and the suite must notice.
//!
//! Each sample of the catalogue is recorded, and its graph built again with the rule of one operation bent for one of its inputs. A
//! mutant counts as noticed if the comparison of `tests/catalogue.rs` with finite differences rejects its gradient, at the tolerance
//! there, or the engine refuses it. The finite differences depend on values alone, which no mutant changes: they are computed once for
//! each sample and point, and the gradient of each mutant is compared with them by the same formula.

use std::collections::{BTreeMap, BTreeSet};

use autograd::{
    Algebra, Graph, Real, Sink, Tensor, Var, check,
    op::{Handle, Place, Sample, Variadic, catalogue},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The tolerance of the tests of the catalogue.
const TOLERANCE: f64 = 1e-8;
/// The random points at which each sample is tried. The tests of the catalogue try more.
const POINTS: usize = 2;

/// What is wrong with the gradient of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bend {
    /// It is 0.
    Zero,
    /// It has the other sign.
    Negative,
    /// It is 1 % too large.
    Larger,
    /// It is the one of that other input.
    Of(usize),
    /// Where the input was stretched, it is the mean over the repetitions, not the sum.
    Mean,
    /// Where the input was stretched, it still has the shape of the result.
    Unreduced,
}

impl Bend {
    fn kind(self) -> &'static str {
        match self {
            Bend::Zero => "zero",
            Bend::Negative => "negative",
            Bend::Larger => "1 % larger",
            Bend::Of(_) => "of another input",
            Bend::Mean => "mean over repetitions",
            Bend::Unreduced => "not reduced",
        }
    }
}

/// An operation whose rule is wrong for one input.
#[derive(Debug, Clone)]
struct Mutant {
    op: Handle,
    input: usize,
    bend: Bend,
}

impl Variadic for Mutant {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Tensor<T>, autograd::Error> {
        self.op.call(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, x: &[&A], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        A::pull_back(&self.op, x, y, g, &mut Bent { mutant: self, x: x[self.input], y, out });
    }
}

/// Bends what a rule adds for one input.
struct Bent<'a, T: Real, A> {
    mutant: &'a Mutant,
    x: &'a A,
    y: &'a A,
    out: &'a mut dyn Sink<T, A>,
}

impl<T: Real, A: Algebra<T>> Bent<'_, T, A> {
    /// The inputs that get what the rule adds for input `k`, each with whether it is bent.
    fn targets(&self, k: usize) -> Vec<(usize, bool)> {
        let bent = self.mutant.input;
        let own = if k != bent {
            Some((k, false))
        } else if matches!(self.mutant.bend, Bend::Zero | Bend::Of(_)) {
            None
        } else {
            Some((k, true))
        };
        let other = (self.mutant.bend == Bend::Of(k)).then_some((bent, false));
        own.into_iter().chain(other).filter(|(k, _)| self.out.needs(*k)).collect()
    }

    fn bend(&self, d: &A) -> A {
        match self.mutant.bend {
            Bend::Zero | Bend::Of(_) => d.clone(),
            Bend::Negative => d.neg(),
            Bend::Larger => d.mul_lit(1.01),
            Bend::Mean => d.mul_lit(self.x.shape().len() as f64 / self.y.shape().len() as f64),
            Bend::Unreduced => d.broadcast_as(&self.y.shape()),
        }
    }
}

impl<T: Real, A: Algebra<T>> Sink<T, A> for Bent<'_, T, A> {
    fn needs(&self, k: usize) -> bool {
        self.out.needs(k) || self.mutant.bend == Bend::Of(k)
    }
    fn add(&mut self, k: usize, d: A) {
        for (to, is_bent) in self.targets(k) {
            let d = if is_bent { self.bend(&d) } else { d.clone() };
            self.out.add(to, d);
        }
    }
    fn add_at(&mut self, k: usize, place: &Place, d: A) {
        for (to, is_bent) in self.targets(k) {
            let d = if is_bent { self.bend(&d) } else { d.clone() };
            self.out.add_at(to, place, d);
        }
    }
    fn add_matmul(&mut self, k: usize, a: &A, transpose_a: bool, b: &A, transpose_b: bool) {
        for (to, is_bent) in self.targets(k) {
            match self.mutant.bend {
                Bend::Unreduced if is_bent => self.out.add(to, a.matmul_as(b, transpose_a, transpose_b)),
                _ if is_bent => {
                    let a = self.bend(a);
                    self.out.add_matmul(to, &a, transpose_a, b, transpose_b);
                }
                _ => self.out.add_matmul(to, a, transpose_a, b, transpose_b),
            }
        }
    }
}

/// A sample at one point: its graph, and what is known of its gradient.
struct Recorded<'g> {
    nodes: Vec<Var<'g, f64>>,
    /// How many of the nodes are the variables.
    inputs: usize,
    /// Whether a variable is among the ancestors.
    depends: Vec<bool>,
    cotangent: Tensor<f64>,
    gradient: Vec<Tensor<f64>>,
    /// By finite differences, element by element.
    differences: Vec<Vec<f64>>,
}

impl<'g> Recorded<'g> {
    fn new(g: &'g Graph<f64>, sample: &Sample, rng: &mut ChaCha8Rng) -> Recorded<'g> {
        let x: Vec<_> = sample.inputs.iter().map(|(shape, (low, high))| Tensor::uniform(*low, *high, shape, rng).unwrap()).collect();
        let leaves: Vec<_> = x.iter().map(|x| g.variable(x)).collect();
        let y = (sample.run)(&leaves);
        let cotangent = Tensor::randn(y.shape().unwrap(), rng).unwrap();
        let nodes: Vec<_> = g.vars().take(y.position() + 1).collect();
        let mut depends: Vec<bool> = Vec::new();
        for node in &nodes {
            let is_variable = node.position() < x.len();
            depends.push(is_variable || node.inputs().iter().any(|input| depends[input.position()]));
        }
        let weights = &cotangent;
        let report = check::slices(|x| ((sample.run)(x) * x[0].graph().constant(weights)).sum(), &x.iter().collect::<Vec<_>>()).unwrap();
        assert!(report.deviation() < TOLERANCE, "{}: {report}", sample.text);
        let differences = report.inputs().iter().map(|input| input.elements().iter().map(|e| e.difference).collect()).collect();
        let mut recorded = Recorded { nodes, inputs: x.len(), depends, cotangent, gradient: Vec::new(), differences };
        recorded.gradient = recorded.gradient_of(None).unwrap();
        recorded
    }

    /// The gradient by all variables, on a graph that is built again with another rule at one node.
    fn gradient_of(&self, mutant: Option<(usize, &Mutant)>) -> Result<Vec<Tensor<f64>>, autograd::Error> {
        let g = Graph::new();
        let mut nodes: Vec<Var<'_, f64>> = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<_> = node.inputs().iter().map(|input| nodes[input.position()]).collect();
            nodes.push(match (node.op(), mutant) {
                (Some(_), Some((at, mutant))) if at == i => g.call(Handle::variadic(mutant.clone()), &inputs),
                (Some(op), _) => g.call(op, &inputs),
                (None, _) if i < self.inputs => g.variable(node.value()?),
                (None, _) => g.constant(node.value()?),
            });
        }
        let grads = nodes[nodes.len() - 1].backward_with(&self.cotangent)?;
        let zeros = |x: Var<'_, f64>| x.shape().and_then(|shape| Tensor::zeros(shape));
        nodes[..self.inputs].iter().map(|x| grads.get(*x).map_or_else(|| zeros(*x), |d| Ok(d.clone()))).collect()
    }

    /// Whether the check against finite differences would reject this gradient: [`check::Report::deviation`] with it.
    fn rejects(&self, gradient: &[Tensor<f64>]) -> bool {
        gradient.iter().zip(&self.differences).any(|(gradient, differences)| {
            let pairs = || gradient.as_slice().iter().zip(differences);
            let largest = pairs().fold(0.0f64, |m, (a, d)| m.max(a.abs()).max(d.abs()));
            !pairs().all(|(a, d)| (a - d).abs() <= TOLERANCE * largest)
        })
    }

    /// Whether this is the true gradient, but for rounding.
    fn is_true(&self, gradient: &[Tensor<f64>]) -> bool {
        gradient.iter().zip(&self.gradient).all(|(a, b)| {
            let largest = b.as_slice().iter().fold(0.0f64, |m, v| m.max(v.abs()));
            a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| (a - b).abs() <= 1e-14 * largest)
        })
    }
}

/// What can be done to one input of a node.
fn bends(node: Var<'_, f64>, input: usize) -> Vec<Bend> {
    let (inputs, y) = (node.inputs(), node.shape().unwrap());
    let shape = |k: usize| inputs[k].shape().unwrap();
    let x = shape(input);
    let mut bends = vec![Bend::Zero, Bend::Negative, Bend::Larger];
    bends.extend(
        (0..inputs.len()).filter(|&k| k != input && inputs[k].position() != inputs[input].position() && shape(k) == x).map(Bend::Of),
    );
    let op = node.op().unwrap();
    // What stretches its operands: functions of numbers, products of batches of matrices, and stretching itself.
    let was_stretched = match op.name() {
        "matmul" => x.rank() >= 2 && x[..x.rank() - 2].iter().product::<usize>() < y[..y.rank().saturating_sub(2)].iter().product(),
        "broadcast_to" => x.len() < y.len(),
        _ => op.derivation().is_some() && x.len() < y.len(),
    };
    if was_stretched {
        bends.extend([Bend::Mean, Bend::Unreduced]);
    }
    bends
}

#[derive(Default)]
struct Count {
    mutants: usize,
    noticed: usize,
    equivalent: usize,
}

#[test]
fn every_wrong_rule_is_noticed() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut counts, mut sites) = (BTreeMap::<&str, Count>::new(), 0);
    let (mut names, mut bent, mut samples) = (BTreeSet::new(), BTreeSet::new(), 0);
    let (mut equivalent, mut missed) = (BTreeMap::<_, BTreeSet<_>>::new(), Vec::new());
    for entry in catalogue() {
        for sample in entry.samples {
            let graphs: [Graph<f64>; POINTS] = Default::default();
            let points = graphs.each_ref().map(|g| Recorded::new(g, sample, &mut rng));
            let first = &points[0];
            samples += 1;
            for (at, node) in first.nodes.iter().enumerate() {
                let Some(op) = node.op() else { continue };
                let inputs = node.inputs();
                for (input, x) in inputs.iter().enumerate() {
                    let is_empty = [*node, *x].into_iter().any(|v| v.shape().unwrap().is_empty());
                    if !first.depends[x.position()] || is_empty {
                        continue;
                    }
                    sites += 1;
                    names.insert(entry.name);
                    bent.insert(op.name());
                    for bend in bends(*node, input) {
                        let mutant = Mutant { op: op.clone(), input, bend };
                        let (mut is_noticed, mut is_equivalent) = (false, true);
                        for point in &points {
                            // A graph whose shape depends on the values may be another one at another point.
                            let same = point.nodes.get(at).and_then(|node| node.op()).is_some_and(|found| found.name() == op.name());
                            if is_noticed || !same {
                                continue;
                            }
                            // Each point has its own operations, which may hold parameters drawn from its values.
                            let mutant = Mutant { op: point.nodes[at].op().unwrap(), ..mutant.clone() };
                            match point.gradient_of(Some((at, &mutant))) {
                                Ok(gradient) => {
                                    is_noticed |= point.rejects(&gradient);
                                    is_equivalent &= point.is_true(&gradient);
                                }
                                Err(_) => (is_noticed, is_equivalent) = (true, false),
                            }
                        }
                        let count = counts.entry(bend.kind()).or_default();
                        count.mutants += 1;
                        if is_noticed {
                            count.noticed += 1;
                        } else if is_equivalent {
                            count.equivalent += 1;
                            equivalent.entry((op.name(), input, bend.kind())).or_default().insert(entry.name);
                        } else {
                            missed.push(format!("{}, {}: input {input} of {} is {}", entry.name, sample.text, op.name(), bend.kind()));
                        }
                    }
                }
            }
        }
    }
    println!("{} operations, {samples} samples, {sites} inputs of nodes, {} rules", names.len(), bent.len());
    for (kind, Count { mutants, noticed, equivalent }) in &counts {
        println!("{kind:>24}: {mutants:6} mutants, {noticed:6} noticed, {equivalent:4} equivalent");
    }
    for ((op, input, kind), where_) in &equivalent {
        println!("equivalent: input {input} of {op}, {kind}, in {where_:?}");
    }
    assert!(missed.is_empty(), "{} mutants were not noticed:\n{}", missed.len(), missed.join("\n"));
}
