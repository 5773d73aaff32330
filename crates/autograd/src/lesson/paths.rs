//! The gradient as a sum over paths, next to the reverse sweep.

use serde::Serialize;

use super::{
    Page, Table, count,
    link::{Link, links, visit_of},
    plural, refused,
};
use crate::{
    elementary::number,
    error::Error,
    trace::{Kind, Trace},
};

/// Paths are written out if there are no more than this.
const MOST_PATHS: u64 = 1000;
/// So many are printed for each leaf.
const PRINTED: usize = 16;

/// All paths from the root to the leaves, and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Paths {
    /// The leaves that are differentiated by.
    pub leaves: Vec<PathsTo>,
    /// All paths to them. `u64::MAX` where a count is too large.
    pub count: u64,
    /// The edges of the backward pass.
    pub edges: u64,
    /// The multiplications that all paths take, one by one.
    pub path_multiplications: u64,
    /// The additions of the products.
    pub path_additions: u64,
    /// The multiplications of the sweep: one for each edge but those of the root, whose incoming gradient is 1.
    pub sweep_multiplications: u64,
    /// The additions of the sweep: one less than contributions, at each node.
    pub sweep_additions: u64,
}

/// The paths to one leaf.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PathsTo {
    /// The leaf.
    pub name: String,
    /// How many paths there are.
    pub count: u64,
    /// The paths, if there are at most 1000 in all.
    pub paths: Vec<OnePath>,
    /// The sum of their products.
    pub sum: Option<f64>,
    /// The gradient by the sweep.
    pub gradient: f64,
}

/// A path from the root to a leaf.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OnePath {
    /// The nodes, the root first.
    pub nodes: Vec<String>,
    /// The local derivatives along it.
    pub factors: Vec<f64>,
    /// Their product.
    pub product: f64,
}

/// The gradient by each leaf as the sum over all paths of the products of local derivatives, next to the sweep, which multiplies at each edge once.
///
/// A chain of n diamonds has 2ⁿ paths, and 4n edges.
///
/// ```
/// use autograd::{Graph, lesson};
/// let g = Graph::<f64>::new();
/// let mut y = g.variable(0.5).named("x");
/// for _ in 0..10 {
///     y = y.sin() + y.cos(); // a diamond
/// }
/// let paths = lesson::paths(&y.trace()?)?;
/// assert_eq!((paths.count, paths.edges), (1 << 10, 4 * 10));
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// A node on the way that is no single number, or whose local derivative the trace does not have.
pub fn paths(trace: &Trace) -> Result<Paths, Error> {
    let links = links(trace);
    for (visit, links) in trace.visits.iter().zip(&links) {
        for link in links {
            if link.from.is_none() || link.slope().is_none() {
                let node = &trace.nodes[visit.node];
                let why = format!("paths are for graphs of single numbers, and {} = {} is none", node.name, node.op);
                return Err(refused("paths", format!("{why}; it has shape {:?}", node.value.shape)));
            }
        }
    }
    // The number of paths to each node, and their lengths together.
    let (mut counts, mut lengths) = (vec![0u64; trace.nodes.len()], vec![0u64; trace.nodes.len()]);
    if let Some(root) = counts.last_mut() {
        *root = 1;
    }
    for link in links.iter().flatten() {
        let from = link.from.unwrap_or_default();
        lengths[link.into] = lengths[link.into].saturating_add(lengths[from].saturating_add(counts[from]));
        counts[link.into] = counts[link.into].saturating_add(counts[from]);
    }
    let is_leaf = |node: usize| trace.nodes[node].kind == Kind::Variable && trace.nodes[node].gradient.is_some();
    let leaves: Vec<usize> = (0..trace.nodes.len()).filter(|&node| is_leaf(node)).collect();
    let total = |of: &[u64]| leaves.iter().fold(0u64, |sum, &leaf| sum.saturating_add(of[leaf]));
    let all = total(&counts);
    let mut found: Vec<Vec<OnePath>> = vec![Vec::new(); trace.nodes.len()];
    if all <= MOST_PATHS {
        write_out(trace, &links, &mut found);
    }
    let to = |&leaf: &usize| PathsTo {
        name: trace.nodes[leaf].name.clone(),
        count: counts[leaf],
        sum: (all <= MOST_PATHS).then(|| found[leaf].iter().map(|path| path.product).sum()),
        paths: std::mem::take(&mut found[leaf]),
        gradient: trace.nodes[leaf].gradient.as_ref().and_then(crate::trace::Array::item).unwrap_or(f64::NAN),
    };
    let edges = links.iter().map(|links| links.len() as u64).sum();
    let joined = trace.nodes.iter().map(|node| (node.contributions as u64).saturating_sub(1)).sum();
    Ok(Paths {
        count: all,
        edges,
        path_multiplications: total(&lengths).saturating_sub(all),
        path_additions: leaves.iter().fold(0u64, |sum, &leaf| sum.saturating_add(counts[leaf].saturating_sub(1))),
        sweep_multiplications: links.iter().flatten().filter(|link| link.from != Some(trace.root())).count() as u64,
        sweep_additions: joined,
        leaves: leaves.iter().map(to).collect(),
    })
}

/// All paths, by the leaf at which they end.
fn write_out(trace: &Trace, links: &[Vec<Link<'_>>], found: &mut [Vec<OnePath>]) {
    let visit_of = visit_of(trace);
    let mut waiting: Vec<(Vec<usize>, Vec<f64>)> = vec![(vec![trace.root()], Vec::new())];
    while let Some((nodes, factors)) = waiting.pop() {
        let end = nodes.last().copied().unwrap_or_default();
        let Some(visit) = visit_of[end] else {
            let product = factors.iter().fold(1.0, |product, factor| crate::trace::product(product, *factor));
            let nodes = nodes.iter().map(|&node| trace.nodes[node].name.clone()).collect();
            found[end].push(OnePath { nodes, factors, product });
            continue;
        };
        // The last one goes on with this path, so that a long chain is not copied again and again.
        let mut path = Some((nodes, factors));
        for (k, link) in links[visit].iter().enumerate().rev() {
            let (mut nodes, mut factors) = if k == 0 { path.take() } else { path.clone() }.unwrap_or_default();
            nodes.push(link.into);
            factors.push(link.slope().unwrap_or(f64::NAN));
            waiting.push((nodes, factors));
        }
    }
}

impl Paths {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::new("Sum over paths").text(
            "By the chain rule, the gradient by a leaf is the sum over all paths from the result to it of the products of the local derivatives.",
        );
        let mut table = Table::new(["leaf", "path", "product of local derivatives", "product"]);
        for leaf in &self.leaves {
            for (k, path) in leaf.paths.iter().take(PRINTED).enumerate() {
                let name = if k == 0 { leaf.name.clone() } else { String::new() };
                let bracketed = |v: &f64| if *v < 0.0 { format!("({})", number(*v)) } else { number(*v) };
                let factors = path.factors.iter().map(bracketed).collect::<Vec<_>>().join("·");
                table.row([name, path.nodes.join(" ← "), factors, number(path.product)]);
            }
            if leaf.paths.len() > PRINTED {
                table.row([String::new(), format!("and {} more", leaf.paths.len() - PRINTED), String::new(), String::new()]);
            }
            let paths = plural(leaf.count, "path", "paths");
            if let Some(sum) = leaf.sum {
                table.row([String::new(), format!("sum over {paths}"), String::new(), number(sum)]);
            }
            table.row([
                if leaf.sum.is_none() { leaf.name.clone() } else { String::new() },
                "by the sweep".into(),
                String::new(),
                number(leaf.gradient),
            ]);
        }
        page = page.table(table);
        let mut table = Table::new(["", "multiplications", "additions"]);
        let paths = format!("{}, one by one", plural(self.count, "path", "paths"));
        table.row([paths, count(self.path_multiplications), count(self.path_additions)]);
        let edges = format!("one sweep over {}", plural(self.edges, "edge", "edges"));
        table.row([edges, count(self.sweep_multiplications), count(self.sweep_additions)]);
        page.text("Paths share their first parts. The sweep multiplies what they have in common once, and so takes one multiplication for each edge \
             behind the first ones:")
            .table(table)
    }
}
