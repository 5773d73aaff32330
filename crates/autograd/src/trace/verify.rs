//! Multiplies the printed factors of a trace again, and adds them up.

use std::fmt;

use super::{Array, Edge, Trace};

/// Where the numbers of a trace do not fit together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Deviation {
    /// The contribution: which visit, and which of its edges.
    pub visit: usize,
    /// Which of its edges.
    pub edge: usize,
    /// What was multiplied or added.
    pub what: &'static str,
    /// What comes out.
    pub found: f64,
    /// What is printed.
    pub printed: f64,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deviation { visit, edge, what, found, printed } = self;
        write!(f, "visit {visit}, edge {edge}: {what} gives {found:e}, and {printed:e} is printed")
    }
}

impl std::error::Error for Deviation {}

/// The product of the chain rule: 0 if a factor is 0.
pub(crate) fn product(upstream: f64, local: f64) -> f64 {
    if upstream == 0.0 || local == 0.0 { 0.0 } else { upstream * local }
}

/// Sums that should be the same, and the sums of the sizes of their terms.
struct Sum {
    value: f64,
    scale: f64,
}

impl Sum {
    fn of(terms: impl Iterator<Item = f64>) -> Sum {
        terms.fold(Sum { value: 0.0, scale: 0.0 }, |sum, term| Sum { value: sum.value + term, scale: sum.scale + term.abs() })
    }
}

impl Trace {
    /// Multiplies upstream gradients with local derivatives again, adds what belongs together, and compares with the contributions and
    /// gradients of the run: every element of operations that work element by element, and of others the entry that is written out. Gives the largest deviation found, relative to the sizes of the terms added.
    ///
    /// Arrays whose elements were not kept are passed over.
    ///
    /// # Errors
    /// The first place where a deviation is larger than rounding explains: 10⁻¹² of the terms in double precision, 10⁻⁴ in single.
    pub fn verify(&self) -> Result<f64, Deviation> {
        let tolerance = if self.element == "f32" { 1e-4 } else { 1e-12 };
        let mut largest = 0f64;
        // What has come together for each node.
        let mut sums: Vec<Option<Vec<f64>>> = vec![None; self.nodes.len()];
        for (v, visit) in self.visits.iter().enumerate() {
            for (e, edge) in visit.edges.iter().enumerate() {
                let mut compare = |what: &'static str, found: &Sum, printed: f64| {
                    let same = found.value == printed || (found.value.is_nan() && printed.is_nan());
                    let deviation = if same { 0.0 } else { (found.value - printed).abs() / found.scale.max(printed.abs()) };
                    if deviation <= tolerance {
                        largest = largest.max(deviation);
                        Ok(())
                    } else {
                        Err(Deviation { visit: v, edge: e, what, found: found.value, printed })
                    }
                };
                let Some(contribution) = edge.contribution.as_ref().and_then(|d| d.elements.as_ref()) else { continue };
                let upstream = visit.upstream.first().map(|(_, g)| g);
                if let (Some(products), Some(_)) = (upstream.and_then(|g| products(g, edge)), &edge.local) {
                    for (found, printed) in products.iter().zip(contribution) {
                        compare("upstream × local derivative", found, *printed)?;
                    }
                }
                if let Some(entry) = &edge.entry {
                    let terms = entry.terms.iter().map(|term| product(term.upstream, term.local));
                    let sum = Sum::of(terms.chain([entry.omitted_sum]));
                    compare("the entry written out", &sum, entry.total)?;
                    // It is an entry of what was added.
                    let shape = edge.contribution.as_ref().map_or(&[][..], |d| d.shape.as_slice());
                    let at = entry.position.iter().zip(shape).fold(0, |index, (at, length)| index * length + at);
                    if let Some(printed) = contribution.get(at) {
                        compare("the entry written out", &sum, *printed)?;
                    }
                }
                let before = sums[edge.into].take().unwrap_or_else(|| vec![0.0; contribution.len()]);
                let Some(printed) = edge.sum.as_ref().and_then(|sum| sum.elements.as_ref()) else { continue };
                for ((before, d), printed) in before.iter().zip(contribution).zip(printed) {
                    compare("the sum of contributions", &Sum::of([*before, *d].into_iter()), *printed)?;
                }
                let node = &self.nodes[edge.into];
                if edge.nth == edge.of && !node.is_hooked {
                    let gradient = node.gradient.as_ref().and_then(|g| g.elements.as_ref());
                    for (sum, printed) in printed.iter().zip(gradient.into_iter().flatten()) {
                        compare("the sum of all contributions", &Sum::of([*sum].into_iter()), *printed)?;
                    }
                }
                sums[edge.into] = Some(printed.clone());
            }
        }
        Ok(largest)
    }
}

/// Upstream × local derivative, summed over the axes along which the input was repeated.
fn products(upstream: &Array, edge: &Edge) -> Option<Vec<Sum>> {
    let (local, g) = (edge.local.as_ref()?, upstream.elements.as_ref()?);
    let slopes = local.elements.as_ref()?;
    let d = edge.contribution.as_ref()?;
    let mut sums: Vec<Sum> = (0..d.len()).map(|_| Sum { value: 0.0, scale: 0.0 }).collect();
    for (i, (upstream, slope)) in g.iter().zip(slopes).enumerate() {
        let term = product(*upstream, *slope);
        let sum = sums.get_mut(d.index_under(&local.position(i)))?;
        sum.value += term;
        sum.scale += term.abs();
    }
    Some(sums)
}
