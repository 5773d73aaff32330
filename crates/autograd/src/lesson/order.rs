//! Why rules are asked in topological order.

use serde::Serialize;

use super::{
    Page, Table, count,
    link::{Link, add, is_same, links, visit_of},
    maybe, plural, short, unknown_rule,
};
use crate::trace::{Array, Trace};

/// Recursion that goes to more nodes than this is counted, and not done.
const MOST_VISITS: u64 = 100_000;

/// The backward pass of a trace in the right order, and in two naive ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Order {
    /// All nodes that get a gradient, the root first.
    pub nodes: Vec<Visited>,
    /// The visits of a sweep in topological order: each node once.
    pub sweep: u64,
    /// The visits of recursion: each node once for every path to it. `u64::MAX` if that is too large.
    pub recursion: u64,
    /// The rules in the order in which they are asked, right and depth first, side by side.
    pub lines: Vec<OrderLine>,
    /// The first line on which the walk depth first passes on a wrong number.
    pub first_wrong: Option<usize>,
    /// Why there are no numbers of other orders, if there are none.
    pub missing: Option<String>,
}

/// A node that gets a gradient.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Visited {
    /// Its name.
    pub name: String,
    /// How many contributions come together in its gradient.
    pub contributions: usize,
    /// How often recursion comes here. `u64::MAX` if that is too large.
    pub visits: u64,
    /// The gradient.
    pub gradient: Array,
    /// What recursion adds up, if it was done: the same.
    pub recursion: Option<Array>,
    /// What is left when each rule was asked once, depth first.
    pub depth_first: Option<Array>,
    /// Whether that is something else.
    pub is_wrong: bool,
}

/// The same step of two orders.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OrderLine {
    /// The rule that is asked in the right order.
    pub right: Passed,
    /// The rule that is asked depth first.
    pub depth_first: Option<Passed>,
}

/// A rule that is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Passed {
    /// The node.
    pub name: String,
    /// The gradient that is passed on.
    pub gradient: Option<Array>,
    /// It has so many contributions …
    pub received: usize,
    /// … of so many.
    pub of: usize,
    /// Whether it is another gradient than the right one.
    pub is_wrong: bool,
}

/// The sums of a walk, node by node.
type Sums = Vec<Option<Vec<f64>>>;

/// Why the backward pass asks rules in topological order, each after all that use its result.
///
/// - *Recursion* pushes each contribution on as soon as it arrives. The result is right, but a node is visited once for every path
///   from the root to it: 2ⁿ times below n diamonds.
/// - *Depth first*, each rule once, is fast, and wrong: a node passes on its gradient before all contributions to it are there.
///
/// ```
/// use autograd::{Graph, lesson};
/// let g = Graph::<f64>::new();
/// let mut y = g.variable(0.5).named("x");
/// for k in 1..=3 {
///     y = (y.sin() + y.cos()).named(&format!("y{k}")); // a diamond
/// }
/// let order = lesson::order(&y.trace()?);
/// assert_eq!(order.nodes.last().unwrap().visits, 8);
/// assert_eq!(order.first_wrong, Some(2)); // the third rule that is asked
/// println!("{order}");
/// # Ok::<(), autograd::Error>(())
/// ```
#[must_use]
pub fn order(trace: &Trace) -> Order {
    let links = links(trace);
    let visits = visits(trace);
    let recursion = visits.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    let mut walk = Walk::new(trace, &links);
    let lines = walk.lines();
    let depth_first = walk.sums;
    let pushed = if recursion <= MOST_VISITS { recurse(trace, &links) } else { None };
    let mut order: Vec<usize> = trace.visits.iter().flat_map(|visit| visit.upstream.iter().map(|(node, _)| *node)).collect();
    let mut is_there = vec![false; trace.nodes.len()];
    for &node in &order {
        is_there[node] = true;
    }
    order.extend((0..trace.nodes.len()).rev().filter(|&node| !is_there[node] && visits[node] > 0));
    let shaped = |node: usize, sums: &Sums| sums[node].clone().map(|sum| Array::from_elements(&trace.nodes[node].value.shape, sum));
    let nodes = order.iter().filter_map(|&node| {
        let gradient = trace.nodes[node].gradient.clone()?;
        let depth_first = if walk.is_complete { shaped(node, &depth_first) } else { None };
        Some(Visited {
            name: trace.nodes[node].name.clone(),
            contributions: trace.nodes[node].contributions,
            visits: visits[node],
            recursion: pushed.as_ref().and_then(|sums| shaped(node, sums)),
            is_wrong: depth_first.as_ref().is_some_and(|found| differs(found, &gradient)),
            depth_first,
            gradient,
        })
    });
    let nodes: Vec<Visited> = nodes.collect();
    Order {
        sweep: nodes.len() as u64,
        nodes,
        recursion,
        first_wrong: lines.iter().position(|line| line.depth_first.as_ref().is_some_and(|passed| passed.is_wrong)),
        lines,
        missing: unknown_rule(trace, &links),
    }
}

/// Whether two arrays are there, and not the same up to rounding.
fn differs(a: &Array, b: &Array) -> bool {
    matches!((&a.elements, &b.elements), (Some(a), Some(b)) if !is_same(a, b))
}

/// The number of paths from the root to each node.
fn visits(trace: &Trace) -> Vec<u64> {
    let mut visits = vec![0u64; trace.nodes.len()];
    if let Some(root) = visits.last_mut() {
        *root = 1;
    }
    for visit in &trace.visits {
        let here = visit.upstream.iter().fold(0u64, |sum, (node, _)| sum.saturating_add(visits[*node]));
        for edge in visit.edges.iter().filter(|edge| edge.contribution.is_some()) {
            visits[edge.into] = visits[edge.into].saturating_add(here);
        }
    }
    visits
}

/// Pushes each contribution on as soon as it arrives.
fn recurse(trace: &Trace, links: &[Vec<Link<'_>>]) -> Option<Sums> {
    let visit_of = visit_of(trace);
    let mut sums: Sums = vec![None; trace.nodes.len()];
    let mut waiting = vec![(trace.root(), vec![1.0])];
    while let Some((node, g)) = waiting.pop() {
        add(&mut sums[node], &g);
        for link in visit_of[node].map_or(&[][..], |visit| &links[visit]) {
            waiting.push((link.into, link.pull(&g)?));
        }
    }
    Some(sums)
}

/// The walk depth first: a rule is asked when its node is first reached.
struct Walk<'t> {
    trace: &'t Trace,
    links: &'t [Vec<Link<'t>>],
    sums: Sums,
    received: Vec<usize>,
    is_complete: bool,
}

impl<'t> Walk<'t> {
    fn new(trace: &'t Trace, links: &'t [Vec<Link<'t>>]) -> Self {
        let mut sums: Sums = vec![None; trace.nodes.len()];
        if let Some(root) = sums.last_mut() {
            *root = Some(vec![1.0]);
        }
        Walk { trace, links, sums, received: vec![0; trace.nodes.len()], is_complete: true }
    }

    fn lines(&mut self) -> Vec<OrderLine> {
        let right = |visit: &crate::trace::Visit| {
            let (node, gradient) = visit.upstream.first()?;
            let of = self.trace.nodes[*node].contributions;
            let name = self.trace.nodes[*node].name.clone();
            Some(Passed { name, gradient: Some(gradient.clone()), received: of, of, is_wrong: false })
        };
        let right: Vec<Passed> = self.trace.visits.iter().filter_map(right).collect();
        let mut walked = self.walk().into_iter();
        right.into_iter().map(|right| OrderLine { right, depth_first: walked.next() }).collect()
    }

    fn walk(&mut self) -> Vec<Passed> {
        let visit_of = visit_of(self.trace);
        let mut is_seen = vec![false; self.links.len()];
        let (mut passed, mut waiting) = (Vec::new(), vec![self.trace.root()]);
        while let Some(node) = waiting.pop() {
            let Some(visit) = visit_of[node].filter(|visit| !std::mem::replace(&mut is_seen[*visit], true)) else { continue };
            let (g, at) = (self.sums[node].clone(), &self.trace.nodes[node]);
            let gradient = g.as_ref().filter(|_| self.is_complete).map(|g| Array::from_elements(&at.value.shape, g.clone()));
            let is_wrong = matches!((&gradient, &at.gradient), (Some(found), Some(right)) if differs(found, right));
            passed.push(Passed { name: at.name.clone(), gradient, received: self.received[node], of: at.contributions, is_wrong });
            for link in &self.links[visit] {
                self.received[link.into] += 1;
                match g.as_ref().and_then(|g| link.pull(g)) {
                    Some(d) => add(&mut self.sums[link.into], &d),
                    None => self.is_complete = false,
                }
            }
            // The first input is gone to first.
            waiting.extend(self.links[visit].iter().rev().map(|link| link.into));
        }
        passed
    }
}

impl Order {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::new("Why topological order").text(format!(
            "In topological order, each rule is asked after all that use its result: {}. Recursion that pushes each contribution on as soon as \
             it arrives comes to a node once for every path from the root: {}.",
            plural(self.sweep, "visit", "visits"),
            plural(self.recursion, "visit", "visits")
        ));
        let mut table = Table::new(["node", "contributions", "visits by recursion", "gradient", "by recursion", "depth first", ""]);
        for node in &self.nodes {
            let contributions = node.contributions.to_string();
            table.row([
                node.name.clone(),
                contributions,
                count(node.visits),
                short(&node.gradient),
                maybe(node.recursion.as_ref()),
                maybe(node.depth_first.as_ref()),
                if node.is_wrong { "wrong" } else { "" }.to_owned(),
            ]);
        }
        page = page.table(table).text(
            "Depth first, each rule is asked once, when its node is first reached. What it passes on is right only if all contributions are \
             there:",
        );
        let mut table = Table::new(["", "right order", "passes on", "depth first", "passes on", "received", ""]);
        for (k, line) in self.lines.iter().enumerate() {
            let mut row = vec![(k + 1).to_string(), line.right.name.clone(), maybe(line.right.gradient.as_ref())];
            if let Some(passed) = &line.depth_first {
                row.extend([passed.name.clone(), maybe(passed.gradient.as_ref()), format!("{} of {}", passed.received, passed.of)]);
                row.push(match (passed.is_wrong, self.first_wrong == Some(k)) {
                    (true, true) => "<- first wrong".to_owned(),
                    (true, false) => "wrong".to_owned(),
                    (false, _) => String::new(),
                });
            }
            table.row(row);
        }
        page = page.table(table);
        if let Some(missing) = &self.missing {
            page = page.text(format!("There are not all numbers of the other orders: {missing}."));
        }
        match self.first_wrong.and_then(|k| self.lines[k].depth_first.as_ref()) {
            Some(passed) => page.text(format!(
                "{} has {} of its {} contributions when its rule is asked, and passes on an incomplete gradient; nobody comes again to pass on the rest.",
                passed.name, passed.received, passed.of
            )),
            None if self.missing.is_some() || self.lines.iter().all(|line| line.depth_first.is_none()) => {
                page.text("Whether something goes wrong depth first cannot be said without those numbers.")
            }
            None => page.text("On this graph nothing goes wrong depth first: in this order, too, every contribution had come in time."),
        }
    }
}
