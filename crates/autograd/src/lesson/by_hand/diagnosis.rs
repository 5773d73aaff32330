//! What a wrong answer looks like: mistakes that are often made, each computed from the run, and told if it gives the answer.

use super::{
    agreement::Digits,
    rules::{Change, Rules},
};
use crate::{
    elementary::number,
    tensor::Tensor,
    trace::{Edge, Trace},
};

/// Not more explanations than this are told.
const MOST: usize = 4;

/// How well an explanation fits.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Fit {
    Exact,
    Rounded,
}

/// An answer, and the explanations that fit so far.
struct Search<'a> {
    hand: &'a [f64],
    right: &'a [f64],
    digits: &'a Digits,
    rounding: f64,
    found: Vec<(Fit, String)>,
}

impl Search<'_> {
    /// Whether a mistake gives the answer.
    fn fit(&self, mistake: &[f64]) -> Option<Fit> {
        if mistake.len() != self.hand.len() {
            return None;
        }
        let scale = mistake.iter().filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
        let (exact, is) = (1e3 * self.rounding * scale, |a: f64, b: f64, room: f64| a == b || (a - b).abs() <= room);
        let all = |room: &dyn Fn(f64, f64) -> f64| self.hand.iter().zip(mistake).all(|(h, m)| is(*h, *m, room(*h, *m)));
        let rounded = |h: f64, m: f64| exact.max(self.digits.half(h).min(0.01 * m.abs()));
        // What gives the right gradient explains nothing.
        let is_right = mistake.iter().zip(self.right).all(|(m, r)| is(*m, *r, exact));
        match (is_right, all(&|_, _| exact), all(&rounded)) {
            (true, ..) | (_, false, false) => None,
            (false, true, _) => Some(Fit::Exact),
            (false, false, true) => Some(Fit::Rounded),
        }
    }

    fn try_out(&mut self, mistake: &[f64], sentence: impl FnOnce() -> String) {
        if let Some(fit) = self.fit(mistake) {
            let sentence = sentence();
            if !self.found.iter().any(|(_, other)| *other == sentence) {
                self.found.push((fit, sentence));
            }
        }
    }

    /// The right gradient times a number.
    fn try_factor(&mut self, factor: f64, sentence: impl FnOnce() -> String) {
        let mistake: Vec<f64> = self.right.iter().map(|v| v * factor).collect();
        self.try_out(&mistake, sentence);
    }

    fn finish(self) -> Vec<String> {
        let best = if self.found.iter().any(|(fit, _)| *fit == Fit::Exact) { Fit::Exact } else { Fit::Rounded };
        self.found.into_iter().filter(|(fit, _)| *fit == best).map(|(_, sentence)| sentence).take(MOST).collect()
    }
}

/// All explanations that fit equally well.
pub(super) fn diagnose(rules: &Rules<'_>, place: usize, hand: &[f64], right: &[f64], digits: &Digits) -> Vec<String> {
    let mut search = Search { hand, right, digits, rounding: rules.rounding(), found: Vec::new() };
    if hand.iter().all(|v| *v == 0.0) {
        return vec!["it is 0, as if nothing led from here to the root".to_owned()];
    }
    factors(&mut search, rules.trace, place);
    transposed(&mut search, &rules.trace.nodes[place].value.shape);
    near(&mut search, rules, place);
    far(&mut search, rules, place);
    others(&mut search, rules.trace, place);
    search.finish()
}

/// A wrong sign, a factor 2, the length of an axis.
fn factors(search: &mut Search<'_>, trace: &Trace, place: usize) {
    search.try_factor(-1.0, || "the sign is wrong".into());
    search.try_factor(2.0, || "it is twice the gradient: a factor ½, or something counted twice".into());
    search.try_factor(0.5, || "it is half the gradient: a factor 2 is missing, as from a square".into());
    let mut lengths: Vec<usize> =
        trace.nodes[place..].iter().flat_map(|node| node.value.shape.iter().copied()).filter(|&n| n > 1).collect();
    lengths.sort_unstable();
    lengths.dedup();
    for n in lengths {
        let times = |n: usize| n as f64;
        search.try_factor(times(n), || format!("it is {n} times the gradient, and an axis has length {n}: 1/m of the mean is missing"));
        search.try_factor(1.0 / times(n), || {
            format!("it is 1/{n} of the gradient, and an axis has length {n}: 1/m was taken twice, or a sum is none")
        });
    }
}

/// The elements of a square matrix in the order of its columns.
fn transposed(search: &mut Search<'_>, shape: &[usize]) {
    if let [rows, columns] = *shape
        && rows == columns
    {
        let mistake: Vec<f64> = (0..rows * columns).map(|i| search.right[i % rows * columns + i / rows]).collect();
        search.try_out(&mistake, || "it is transposed".into());
    }
}

/// How a node is called: by its name, and by its formula too if the name was made up.
fn called(trace: &Trace, node: usize) -> String {
    let node = &trace.nodes[node];
    match &node.formula {
        Some(formula) if !node.is_named => format!("{} = {formula}", node.name),
        _ => node.name.clone(),
    }
}

/// How an edge is called: `∂q/∂x = …`.
fn slope(trace: &Trace, from: usize, edge: &Edge) -> String {
    let formula = edge.local_formula.as_ref().map(|formula| format!(" = {formula}")).unwrap_or_default();
    format!("∂{}/∂{}{formula}", trace.nodes[from].name, trace.nodes[edge.into].name)
}

/// Mistakes at the edges into the node itself.
fn near(search: &mut Search<'_>, rules: &Rules<'_>, place: usize) {
    let trace = rules.trace;
    let edges: Vec<_> = rules
        .links
        .iter()
        .enumerate()
        .flat_map(|(visit, links)| links.iter().map(move |link| (visit, link)))
        .filter(|(_, link)| link.into == place)
        .filter_map(|(visit, link)| Some((visit, link, link.from?, link.edge.contribution.as_ref()?.elements.as_ref()?)))
        .collect();
    let add = |a: &[f64], b: &[f64], sign: f64| a.iter().zip(b).map(|(a, b)| a + sign * b).collect::<Vec<f64>>();
    let is_twice = |from: usize| edges.iter().filter(|(_, _, other, _)| *other == from).count() > 1;
    for (visit, link, from, d) in &edges {
        let (visit, from) = (*visit, *from);
        let through = called(trace, from);
        let through = if is_twice(from) { format!("{through} (input {})", link.edge.input) } else { through };
        if edges.len() > 1 {
            search.try_out(d, || {
                let others = edges.iter().filter(|(_, other, ..)| !std::ptr::eq(*other, *link));
                let others: Vec<String> = others.map(|(_, _, from, _)| called(trace, *from)).collect();
                format!("it is the contribution through {through} alone; what comes through {} is missing", others.join(", "))
            });
            let rest = add(search.right, d, -1.0);
            if edges.len() > 2 {
                search.try_out(&rest, || format!("the contribution through {through} is missing"));
            }
        }
        // The other contributions are right.
        let rest = add(search.right, d, -1.0);
        let Some(upstream) = trace.visits[visit].upstream.first().and_then(|(_, g)| g.elements.as_ref()) else { continue };
        let ones = vec![1.0; upstream.len()];
        if let Some(local) = rules.pull(visit, link, &ones) {
            let slope = || slope(trace, from, link.edge);
            let gradient = &trace.nodes[from].gradient_name;
            search.try_out(&add(&rest, &local, 1.0), || {
                format!("it is the local derivative {} alone: the gradient that comes in, {gradient}, is forgotten", slope())
            });
        }
        if trace.nodes[from].op == "mul"
            && let (Some(own), Some(local)) = (&trace.nodes[place].value.elements, &link.edge.local)
        {
            let other =
                upstream.iter().enumerate().map(|(i, g)| own.get(trace.nodes[place].value.index_under(&local.position(i))).map(|v| g * v));
            if let Some(products) = other.collect::<Option<Vec<f64>>>()
                && products.len() == rest.len()
            {
                let name = &trace.nodes[place].name;
                search.try_out(&add(&rest, &products, 1.0), || {
                    format!("in the product {through}, the gradient was multiplied by {name} itself and not by the other factor")
                });
            }
        }
    }
}

/// Local derivatives forgotten and paths left out, anywhere between the root and the node.
fn far(search: &mut Search<'_>, rules: &Rules<'_>, place: usize) {
    let trace = rules.trace;
    if rules.is_large() {
        return;
    }
    for (visit, links) in rules.links.iter().enumerate().filter(|(visit, _)| trace.visits[*visit].node > place) {
        for (k, link) in links.iter().enumerate().filter(|(_, link)| link.into >= place) {
            let Some(from) = link.from else { continue };
            let is_one = link.edge.local.as_ref().is_none_or(|local| local.min == 1.0 && local.max == 1.0);
            if !is_one && let Some(mistake) = rules.gradient(place, Change::Forget(visit, k)) {
                search.try_out(&mistake, || format!("the local derivative {} is forgotten", slope(trace, from, link.edge)));
            }
            if link.edge.of > 1
                && link.into != place
                && let Some(mistake) = rules.gradient(place, Change::Drop(visit, k))
            {
                let (from, into) = (called(trace, from), &trace.nodes[link.into].name);
                search.try_out(&mistake, || format!("the way through {from} to {into} is missing"));
            }
        }
    }
}

/// The gradient or the value of something else.
fn others(search: &mut Search<'_>, trace: &Trace, place: usize) {
    let nodes = || trace.nodes.iter().enumerate();
    for (_, node) in nodes().filter(|(other, node)| *other != place && node.is_named) {
        if let Some(gradient) = node.gradient.as_ref().and_then(|gradient| gradient.elements.as_ref()) {
            search.try_out(gradient, || format!("it is the gradient by {}", node.name));
        }
    }
    for (other, node) in nodes().filter(|(other, node)| *other == place || node.is_named) {
        if let Some(value) = &node.value.elements {
            let instead = if other == place { "and not its gradient" } else { "and not a gradient" };
            search.try_out(value, || format!("it is the value of {}, {instead}", node.name));
        }
    }
}

/// What is said of an answer of another shape.
pub(super) fn of_shape(answer: &Tensor<f64>, shape: &[usize], right: &[f64], digits: &Digits) -> String {
    let found = answer.shape().to_vec();
    if let ([a, b], [rows, columns]) = (&found[..], shape)
        && a == columns
        && b == rows
    {
        let mistake: Vec<f64> = (0..right.len()).map(|i| right[i % rows * columns + i / rows]).collect();
        let search = Search { hand: answer.as_slice(), right: &[], digits, rounding: 1e-12, found: Vec::new() };
        let rest = if search.fit(&mistake).is_some() { "the numbers are right" } else { "and the numbers are not those of the gradient" };
        return format!("it is transposed: of shape {found:?}, and the gradient has shape {shape:?}; {rest}");
    }
    format!("it has shape {found:?}, and the gradient has shape {shape:?}, that of the value")
}

/// The answer by the gradient, if that is one number other than 1.
pub(super) fn ratio(hand: &[f64], right: &[f64], digits: &Digits) -> Option<f64> {
    let largest = (0..right.len()).max_by(|&a, &b| right[a].abs().total_cmp(&right[b].abs()))?;
    let ratio = hand[largest] / right[largest];
    let fits = hand
        .iter()
        .zip(right)
        .all(|(h, r)| (h - ratio * r).abs() <= 1e-9 * h.abs() + digits.half(*h) + digits.half(hand[largest]) * (r / right[largest]).abs());
    (ratio.is_finite() && fits && number(ratio) != "1").then_some(ratio)
}
