//! Why gradients add where a value is used several times.

use serde::Serialize;

use super::{
    Page, Table,
    link::{Link, add, is_same, links},
    maybe, short, unknown_rule,
};
use crate::{
    elementary::number,
    trace::{Array, Kind, Trace},
};

/// The contributions that come together, and what goes wrong if they do not, or if those of before are still there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FanOut {
    /// The nodes to whose gradient there are several contributions, in the order of the backward pass.
    pub shared: Vec<Shared>,
    /// The leaves that are differentiated by.
    pub leaves: Vec<Leaf>,
    /// Why there are not all numbers, if there are not.
    pub missing: Option<String>,
}

/// A node that is used several times.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// What comes from each use.
    pub contributions: Vec<Contribution>,
    /// Their sum.
    pub gradient: Array,
}

/// What comes from one use.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Contribution {
    /// What was computed from the node.
    pub consumer: String,
    /// Which input of it the node was, from 0.
    pub input: usize,
    /// The local derivative as a formula, or the whole contribution of an operation on whole arrays.
    pub formula: Option<String>,
    /// The contribution.
    pub value: Array,
    /// The sum with it.
    pub sum: Array,
}

/// A leaf, with right and wrong gradients.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Leaf {
    /// Its name.
    pub name: String,
    /// The gradient, at every call.
    pub gradient: Array,
    /// What comes out if each contribution overwrites the one before (=) and is not added (+=).
    pub overwritten: Option<Array>,
    /// What is there after a second backward pass if leaves keep their gradients and add to them, as in `PyTorch` without `zero_grad`.
    pub leaves_accumulate: Option<Array>,
    /// The same if all nodes do, as in micrograd: the gradients of results are passed on again with what they were before.
    pub all_accumulate: Option<Array>,
}

/// Why contributions are added at a value that is used several times, and why gradients must be zero before.
///
/// ```
/// use autograd::{Graph, lesson};
/// let g = Graph::<f64>::new();
/// let b = g.variable(3.0).named("b");
/// let fan_out = lesson::fan_out(&(b + b).named("a").trace()?);
/// let leaf = &fan_out.leaves[0];
/// assert_eq!(leaf.gradient.item(), Some(2.0));
/// assert_eq!(leaf.overwritten.as_ref().unwrap().item(), Some(1.0));
/// assert_eq!(leaf.leaves_accumulate.as_ref().unwrap().item(), Some(4.0));
/// println!("{fan_out}");
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
pub fn fan_out(trace: &Trace) -> FanOut {
    let links = links(trace);
    let mut shared: Vec<(usize, Shared)> = Vec::new();
    for visit in &trace.visits {
        for edge in &visit.edges {
            let node = &trace.nodes[edge.into];
            let (Some(value), Some(sum), Some(gradient)) = (&edge.contribution, &edge.sum, &node.gradient) else { continue };
            if edge.of < 2 {
                continue;
            }
            let at = shared.iter().position(|(into, _)| *into == edge.into).unwrap_or_else(|| {
                let new = Shared { name: node.name.clone(), contributions: Vec::new(), gradient: gradient.clone() };
                shared.push((edge.into, new));
                shared.len() - 1
            });
            shared[at].1.contributions.push(Contribution {
                consumer: trace.nodes[visit.node].name.clone(),
                input: edge.input,
                formula: edge.local_formula.as_ref().or(edge.rule.as_ref()).map(ToString::to_string),
                value: value.clone(),
                sum: sum.clone(),
            });
        }
    }
    let mut once = vec![None; trace.nodes.len()];
    let overwritten = sweep(trace, &links, &mut once, false).then_some(once);
    let mut twice = vec![None; trace.nodes.len()];
    let is_known = (0..2).all(|_| sweep(trace, &links, &mut twice, true));
    let twice = is_known.then_some(twice);
    let of = |sums: &Option<Sums>, node: usize| {
        let sum = sums.as_ref()?[node].clone()?;
        Some(Array::from_elements(&trace.nodes[node].value.shape, sum))
    };
    let leaf = |(k, node): (usize, &crate::trace::Node)| {
        let gradient = node.gradient.clone().filter(|_| node.kind == Kind::Variable)?;
        let doubled = gradient.elements.as_ref().map(|d| Array::from_elements(&gradient.shape, d.iter().map(|d| 2.0 * d).collect()));
        Some(Leaf {
            name: node.name.clone(),
            overwritten: of(&overwritten, k),
            leaves_accumulate: doubled,
            all_accumulate: of(&twice, k),
            gradient,
        })
    };
    let leaves = trace.nodes.iter().enumerate().filter_map(leaf).collect();
    FanOut { shared: shared.into_iter().map(|(_, shared)| shared).collect(), leaves, missing: unknown_rule(trace, &links) }
}

type Sums = Vec<Option<Vec<f64>>>;

/// A sweep in the right order that adds to what is there, or overwrites it; whether all numbers were known.
fn sweep(trace: &Trace, links: &[Vec<Link<'_>>], sums: &mut Sums, adds: bool) -> bool {
    if let Some(root) = sums.last_mut() {
        *root = Some(vec![1.0]);
    }
    for link in trace.visits.iter().zip(links).flat_map(|(_, links)| links) {
        let Some(d) = link.from.and_then(|from| link.pull(sums[from].as_ref()?)) else { return false };
        if !adds {
            sums[link.into] = None;
        }
        add(&mut sums[link.into], &d);
    }
    true
}

impl FanOut {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::new("Why gradients add").text(
            "A value that is used several times moves the result along each use, and the changes add up. So do the contributions to its gradient.",
        );
        let mut table = Table::new(["value", "used by", "derivative", "contribution", "sum"]);
        for shared in &self.shared {
            for (k, use_) in shared.contributions.iter().enumerate() {
                let name = if k == 0 { shared.name.clone() } else { String::new() };
                let consumer = format!("{}, input {}", use_.consumer, use_.input);
                table.row([name, consumer, use_.formula.clone().unwrap_or_else(|| "–".into()), short(&use_.value), short(&use_.sum)]);
            }
        }
        page = if self.shared.is_empty() { page.text("In this graph every value is used once.") } else { page.table(table) };
        let mut table = Table::new(["leaf", "gradient", "overwritten (=)", "twice: leaves keep", "twice: all keep"]);
        for leaf in &self.leaves {
            let cell = |found: &Option<Array>| match found {
                Some(found) => format!("{}{}", short(found), ratio(found, &leaf.gradient)),
                None => "–".to_owned(),
            };
            table.row([
                leaf.name.clone(),
                short(&leaf.gradient),
                cell(&leaf.overwritten),
                maybe(leaf.leaves_accumulate.as_ref()),
                cell(&leaf.all_accumulate),
            ]);
        }
        page = page
            .text(
                "Overwriting (=) in place of adding (+=) loses all contributions but the last. A second backward pass without setting gradients \
                 to zero adds to those of the first: leaves that keep them have twice the gradient; if results keep theirs too, the old \
                 ones are passed on again, and what comes out grows with depth.",
            )
            .table(table);
        if let Some(missing) = &self.missing {
            page = page.text(format!("There are not all of these numbers: {missing}."));
        }
        page.text("This library returns gradients and stores none: there is nothing to set to zero, and a second call gives the first result again.")
    }
}

/// How many times the right gradient something is, if it is so everywhere and not once.
fn ratio(found: &Array, right: &Array) -> String {
    let (Some(found), Some(right)) = (&found.elements, &right.elements) else { return String::new() };
    if is_same(found, right) {
        return String::new();
    }
    let first = found.iter().zip(right).find(|(_, right)| **right != 0.0).map(|(found, right)| found / right);
    let scaled = |ratio: f64| right.iter().map(|right| ratio * right).collect::<Vec<f64>>();
    first.filter(|ratio| is_same(found, &scaled(*ratio))).map(|ratio| format!(" ({}×)", number(ratio))).unwrap_or_default()
}
