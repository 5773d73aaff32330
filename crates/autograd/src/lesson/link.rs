//! The local derivatives of a trace, to be multiplied with other numbers than those of the run.

use crate::trace::{Array, Edge, Trace, product};

/// One edge of the backward pass: from a result to an input of its operation.
pub(super) struct Link<'t> {
    /// The node whose gradient comes in; nothing if the operation has several outputs with gradients.
    pub(super) from: Option<usize>,
    /// The node that gets the contribution.
    pub(super) into: usize,
    pub(super) edge: &'t Edge,
    upstream: Option<&'t Array>,
    local: Local<'t>,
}

enum Local<'t> {
    /// A derivative for each element of the result.
    Each(&'t Array),
    /// The result is one number, and these are its derivatives by all elements of the input.
    Row(Vec<f64>),
    Unknown,
}

impl<'t> Link<'t> {
    fn of(upstream: &'t [(usize, Array)], edge: &'t Edge) -> Option<Link<'t>> {
        let contribution = edge.contribution.as_ref()?;
        let [(from, g)] = upstream else {
            return Some(Link { from: None, into: edge.into, edge, upstream: None, local: Local::Unknown });
        };
        let local = match (&edge.local, g.item(), &contribution.elements) {
            (Some(local), _, _) if local.elements.is_some() => Local::Each(local),
            (_, Some(g), Some(d)) if g != 0.0 && g.is_finite() => Local::Row(d.iter().map(|d| d / g).collect()),
            _ => Local::Unknown,
        };
        Some(Link { from: Some(*from), into: edge.into, edge, upstream: Some(g), local })
    }

    /// The contribution for another gradient of the result than that of the run; nothing where the trace does not say.
    pub(super) fn pull(&self, g: &[f64]) -> Option<Vec<f64>> {
        let contribution = self.edge.contribution.as_ref()?;
        match &self.local {
            // That of the run itself.
            _ if self.upstream.and_then(|up| up.elements.as_deref()) == Some(g) => contribution.elements.clone(),
            Local::Each(local) => {
                let mut sums = vec![0.0; contribution.len()];
                for (i, (g, slope)) in g.iter().zip(local.elements.as_ref()?).enumerate() {
                    *sums.get_mut(contribution.index_under(&local.position(i)))? += product(*g, *slope);
                }
                Some(sums)
            }
            Local::Row(slopes) => {
                let g = g.first()?;
                Some(slopes.iter().map(|slope| product(*g, *slope)).collect())
            }
            Local::Unknown => None,
        }
    }

    /// How the result moves as the input moves along a direction.
    pub(super) fn push(&self, dx: &[f64]) -> Option<Vec<f64>> {
        match &self.local {
            Local::Each(local) => {
                let input = self.edge.contribution.as_ref()?;
                let each = local.elements.as_ref()?.iter().enumerate();
                each.map(|(i, slope)| dx.get(input.index_under(&local.position(i))).map(|dx| product(*dx, *slope))).collect()
            }
            Local::Row(slopes) => Some(vec![slopes.iter().zip(dx).map(|(slope, dx)| product(*dx, *slope)).sum()]),
            Local::Unknown => None,
        }
    }

    /// How many multiplications it takes.
    pub(super) fn multiplications(&self) -> u64 {
        match &self.local {
            Local::Each(local) => local.len() as u64,
            Local::Row(slopes) => slopes.len() as u64,
            Local::Unknown => 0,
        }
    }

    /// The local derivative, if input and result are one number each.
    pub(super) fn slope(&self) -> Option<f64> {
        match &self.local {
            Local::Each(local) if self.edge.contribution.as_ref()?.len() == 1 => local.item(),
            Local::Row(slopes) if slopes.len() == 1 => slopes.first().copied(),
            _ => None,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        !matches!(self.local, Local::Unknown)
    }
}

/// The edges that contribute something, visit by visit.
pub(super) fn links(trace: &Trace) -> Vec<Vec<Link<'_>>> {
    trace.visits.iter().map(|visit| visit.edges.iter().filter_map(|edge| Link::of(&visit.upstream, edge)).collect()).collect()
}

/// Adds up contributions.
pub(super) fn add(sum: &mut Option<Vec<f64>>, d: &[f64]) {
    match sum {
        Some(sum) => sum.iter_mut().zip(d).for_each(|(sum, d)| *sum += d),
        None => *sum = Some(d.to_vec()),
    }
}

/// Whether two arrays are the same up to rounding.
pub(super) fn is_same(a: &[f64], b: &[f64]) -> bool {
    let scale = a.iter().chain(b).filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-10 * scale)
}

/// The visit in which the rule of each node is asked.
pub(super) fn visit_of(trace: &Trace) -> Vec<Option<usize>> {
    let mut visit_of = vec![None; trace.nodes.len()];
    for (v, visit) in trace.visits.iter().enumerate() {
        visit.upstream.iter().for_each(|(node, _)| visit_of[*node] = Some(v));
    }
    visit_of
}
