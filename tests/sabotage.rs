//! Sabotage: every rule of every operation is made wrong in several ways, and the suite must notice.
//!
//! Each sample of the catalogue is recorded, and its graph built again with the rule of one operation bent for one of its inputs. A
//! mutant counts as noticed if the comparison of `tests/catalogue.rs` with finite differences rejects its gradient, at the tolerance
//! there, or the engine refuses it. The finite differences depend on values alone, which no mutant changes: they are computed once for
//! each sample and point, and the gradient of each mutant is compared with them by the same formula.
//!
//! `SABOTAGE_SEED=5` tries other points.

use std::collections::{BTreeMap, BTreeSet};

use autograd::{
    Algebra, Graph, Real, Sink, Tensor, Var, check,
    op::{Handle, Place, Sample, Variadic, catalogue},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The tolerance of the tests of the catalogue.
const TOLERANCE: f64 = 1e-8;
/// The random points at which each sample is tried, as many as in the tests of the catalogue.
const POINTS: usize = 5;

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
    fn add_stretched(&mut self, k: usize, d: A) {
        for (to, is_bent) in self.targets(k) {
            let d = if is_bent { self.bend(&d) } else { d.clone() };
            self.out.add_stretched(to, d);
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
    /// Whether a variable is among the ancestors, not counting ways on which the derivative is zero by definition.
    depends: Vec<bool>,
    /// Whether the result is among the descendants, counted likewise.
    counts: Vec<bool>,
    cotangent: Tensor<f64>,
    gradient: Vec<Tensor<f64>>,
    /// By finite differences, element by element.
    differences: Vec<Vec<f64>>,
}

impl<'g> Recorded<'g> {
    /// At a random point. `None` where a kink is so near that finite differences are not as exact as the tolerance.
    fn new(g: &'g Graph<f64>, sample: &Sample, rng: &mut ChaCha8Rng) -> Option<Recorded<'g>> {
        let x: Vec<_> = sample.inputs.iter().map(|(shape, (low, high))| Tensor::uniform(*low, *high, shape, rng).unwrap()).collect();
        let leaves: Vec<_> = x.iter().map(|x| g.variable(x)).collect();
        let y = (sample.run)(&leaves);
        let cotangent = Tensor::randn(y.shape().unwrap(), rng).unwrap();
        let nodes: Vec<_> = g.vars().take(y.position() + 1).collect();
        let mut depends: Vec<bool> = Vec::new();
        for node in &nodes {
            let is_variable = node.position() < x.len();
            depends.push(is_variable || ways(*node).any(|x| depends[x.position()]));
        }
        let mut counts = vec![false; nodes.len()];
        counts[y.position()] = true;
        for node in nodes.iter().rev().filter(|node| node.op().is_some()) {
            if counts[node.position()] {
                ways(*node).for_each(|x| counts[x.position()] = true);
            }
        }
        let weights = &cotangent;
        let report = check::slices(|x| ((sample.run)(x) * x[0].graph().constant(weights)).sum(), &x.iter().collect::<Vec<_>>()).unwrap();
        if report.deviation() >= TOLERANCE {
            return None;
        }
        let differences = report.inputs().iter().map(|input| input.elements().iter().map(|e| e.difference).collect()).collect();
        let mut recorded = Recorded { nodes, inputs: x.len(), depends, counts, cotangent, gradient: Vec::new(), differences };
        recorded.gradient = recorded.gradient_of(None).unwrap();
        assert!(!recorded.rejects(&recorded.gradient), "{}", sample.text);
        Some(recorded)
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

    /// Inputs of operations on the way from a variable to the result.
    fn sites(&self) -> impl Iterator<Item = (Var<'g, f64>, usize)> {
        let nodes = self.nodes.iter().filter(|node| self.counts[node.position()]);
        nodes.flat_map(|node| {
            let is_on_the_way = |(_, x): &(usize, Var<'g, f64>)| self.depends[x.position()] && !Var::shape(*x).unwrap().is_empty();
            node.inputs().into_iter().enumerate().filter(is_on_the_way).map(|(k, _)| (*node, k)).collect::<Vec<_>>()
        })
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

/// The derivative is zero by definition: operations, each with the inputs of which that is true.
const ZERO: &[(&str, &[usize])] = &[
    ("sign", &[0]),
    ("step", &[0]),
    ("floor", &[0]),
    ("ceil", &[0]),
    ("round", &[0]),
    ("trunc", &[0]),
    ("eq", &[0, 1]),
    ("ne", &[0, 1]),
    ("gt", &[0, 1]),
    ("ge", &[0, 1]),
    ("lt", &[0, 1]),
    ("le", &[0, 1]),
    ("logical_not", &[0]),
    ("logical_and", &[0, 1]),
    ("logical_or", &[0, 1]),
    ("logical_xor", &[0, 1]),
    ("any", &[0]),
    ("all", &[0]),
    ("count_nonzero", &[0]),
    // Conditions and masks.
    ("select", &[0]),
    ("where_", &[1]),
    ("masked_fill", &[1]),
    ("masked_select", &[0]),
];

fn is_zero(op: &str, input: usize) -> bool {
    ZERO.iter().any(|(name, inputs)| *name == op && inputs.contains(&input))
}

/// The inputs of a node through which a gradient may go.
fn ways(node: Var<'_, f64>) -> impl Iterator<Item = Var<'_, f64>> {
    let op = node.op().map_or("", |op| op.name());
    node.inputs().into_iter().enumerate().filter(move |(k, _)| !is_zero(op, *k)).map(|(_, x)| x)
}

/// The bent rule is the rule: both inputs of a sum have the same gradient; the gradient of a matrix that a batch shares is made as one
/// product of the stacked batch, in which the repetitions are summed already.
const SAME: &[(&str, &str)] = &[("add", "of another input"), ("matmul", "not reduced")];

/// What became of the mutants of one kind.
#[derive(Default)]
struct Count {
    mutants: usize,
    noticed: usize,
    /// By [`ZERO`].
    zero: usize,
    /// By [`SAME`].
    same: usize,
    /// In a sample where the slope is 0 at all points, as that of the smaller operand of a maximum. Another sample must notice it.
    idle: usize,
}

#[test]
fn every_wrong_rule_is_noticed() {
    let seed = std::env::var("SABOTAGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut operations, mut rules, mut samples, mut sites) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
    let mut counts = BTreeMap::<&str, Count>::new();
    let (mut noticed, mut idle, mut zero, mut missed) = (BTreeSet::new(), Vec::new(), BTreeSet::new(), Vec::new());
    let all = catalogue().chain(nn::loss::catalogue()).flat_map(|entry| entry.samples.iter().map(move |sample| (entry.name, sample)));
    for (entry, sample) in all {
        let graphs: Vec<Graph<f64>> = (0..2 * POINTS).map(|_| Graph::new()).collect();
        let points: Vec<_> = graphs.iter().filter_map(|g| Recorded::new(g, sample, &mut rng)).take(POINTS).collect();
        assert_eq!(points.len(), POINTS, "{entry}, {}", sample.text);
        // Nothing is the gradient of a result without elements.
        let Some(first) = points.iter().find(|point| !point.cotangent.is_empty()) else { continue };
        samples += 1;
        for (node, input) in first.sites() {
            let op = node.op().unwrap().name();
            sites += 1;
            operations.insert(entry);
            rules.insert(op);
            for bend in bends(node, input) {
                let found = fate(&points, node.position(), input, bend);
                let count = counts.entry(bend.kind()).or_default();
                // Formulas of one's own all have one name.
                let what = (if op == "fused" { entry } else { op }, input, bend.kind());
                let here = || format!("{entry}, {}: the gradient of input {input} of {op}, {}", sample.text, bend.kind());
                count.mutants += 1;
                match found {
                    Fate::Noticed => {
                        count.noticed += 1;
                        noticed.insert(what);
                    }
                    Fate::Missed => missed.push(here()),
                    Fate::Equivalent if is_zero(op, input) => {
                        count.zero += 1;
                        zero.insert((op, input));
                    }
                    Fate::Equivalent if SAME.contains(&(op, bend.kind())) => count.same += 1,
                    Fate::Equivalent => {
                        count.idle += 1;
                        idle.push((here(), format!("{entry}, {}", sample.text), what));
                    }
                }
            }
        }
    }
    println!("{} operations, {samples} samples, {} rules, {sites} inputs of nodes", operations.len(), rules.len());
    println!("{:>24}  mutants  noticed  zero by definition  the same rule  idle in this sample", "");
    let mut sum = Count::default();
    for (kind, count) in &counts {
        let Count { mutants, noticed, zero, same, idle } = count;
        println!("{kind:>24}  {mutants:7}  {noticed:7}  {zero:18}  {same:13}  {idle:19}");
        sum.mutants += mutants;
        sum.noticed += noticed;
        sum.zero += zero;
        sum.same += same;
        sum.idle += idle;
    }
    let Count { mutants, noticed: seen, zero: none, same, idle: unused } = sum;
    println!("{:>24}  {mutants:7}  {seen:7}  {none:18}  {same:13}  {unused:19}", "all");
    let names: Vec<_> = zero.iter().map(|(op, input)| format!("{op} {input}")).collect();
    println!("zero by definition: {}", names.join(", "));
    let samples: BTreeSet<_> = idle.iter().map(|(_, sample, (op, input, _))| format!("\n  {sample}: {op} {input}")).collect();
    println!("idle: {}", samples.into_iter().collect::<String>());
    missed.extend(
        idle.into_iter().filter(|(_, _, what)| !noticed.contains(what)).map(|(here, ..)| here + ": equivalent here, noticed nowhere"),
    );
    assert!(missed.is_empty(), "{} mutants were not noticed:\n{}", missed.len(), missed.join("\n"));
}

/// What becomes of a mutant.
enum Fate {
    Noticed,
    /// The gradient is the true one at all points.
    Equivalent,
    /// It is another one, and nobody says so.
    Missed,
}

fn fate(points: &[Recorded<'_>], at: usize, input: usize, bend: Bend) -> Fate {
    let mut fate = Fate::Equivalent;
    for point in points {
        // Each point has its own operations: they may hold what was drawn from its values, such as the places of the largest.
        let Some(op) = point.nodes.get(at).and_then(|node| node.op()) else { continue };
        match point.gradient_of(Some((at, &Mutant { op, input, bend }))) {
            Ok(gradient) if point.is_true(&gradient) => {}
            Ok(gradient) if !point.rejects(&gradient) => fate = Fate::Missed,
            Ok(_) | Err(_) => return Fate::Noticed,
        }
    }
    fate
}
