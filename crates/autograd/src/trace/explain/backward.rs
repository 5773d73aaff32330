//! A step of the backward pass in words.

use super::{Explanation, Topic, listed};
use crate::{
    elementary::{Expression, Part},
    error::plural,
    trace::{Array, Choice, Edge, Entry, Node, Notation, Trace, Visit},
};

/// How many products of an entry are written out.
const TERMS: usize = 6;

pub(super) fn seed(trace: &Trace) -> Explanation {
    let root = trace.root();
    let name = trace.named(root);
    let mut out = Explanation::titled(format!("The backward pass begins at {}", name.text));
    let one = Notation::of("1", "1");
    out.formula = Some(trace.gradient_of(root).equals().then(&one));
    let text = format!("The derivative of {0} by itself is 1; {1} stands for ∂{0}/∂x, and += adds a contribution", name.text, "dx");
    out.note(Topic::Rule, text);
    let text = "The nodes are visited backward: each one when all that was computed from it has been, so that its gradient is complete";
    out.note(Topic::Turn, text);
    out
}

pub(super) fn contribution(trace: &Trace, at: usize, visit: &Visit, edge: &Edge) -> Explanation {
    let (Some(node), Some(into)) = (trace.nodes.get(visit.node), trace.nodes.get(edge.into)) else {
        return Explanation::titled("A contribution between nodes that the trace does not have");
    };
    let (y, x) = (trace.named(visit.node), trace.named(edge.into));
    let mut out = Explanation::titled(match &edge.contribution {
        Some(_) => format!("From {} back to {}: contribution {} of {}", y.text, x.text, edge.nth, edge.of),
        None => format!("From {} back to {}: nothing", y.text, x.text),
    });
    let mut near = node.inputs.clone();
    near.extend(visit.upstream.iter().map(|(output, _)| *output).chain([visit.node]));
    let target = trace.gradient_of(edge.into);
    let upstream = trace.gradient_of(visit.node);
    if edge.contribution.is_none() {
        out.note(Topic::Rule, format!("{} has no part in the derivative: its rule adds nothing", x.text));
    } else if let Some(local) = &edge.local_formula {
        let partial = trace.partial(visit.node, edge.into);
        out.formula = Some(target.clone().adds().then(&upstream).times().then(&partial));
        out.product = Some(target.clone().adds().then(&times_local(trace, &near, visit, local)));
        out.local = Some(local_derivative(trace, &near, edge, local, partial));
        out.numbers = product(visit, edge, target.clone());
        out.note(Topic::Rule, intuition(trace, visit, edge, local));
    } else if let Some(rule) = &edge.rule {
        out.formula = Some(target.clone().adds().then(&trace.written(rule, &near)));
        out.numbers =
            trace.with_numbers(rule, &near).zip(edge.contribution.as_ref()).map(|(numbers, d)| target.clone().adds().then(&numbers).is(d));
        out.note(Topic::Rule, form(rule, node));
        if !into.value.is_scalar() || !node.value.is_scalar() {
            let shape = format!("{:?}", into.value.shape);
            let formula = Notation::of(&shape, &shape).equals().then(&trace.with_shapes(rule, &near));
            out.note_with(Topic::Shapes, format!("The gradient has the shape of {}, {shape}", x.text), formula);
        }
    } else {
        out.note(Topic::Rule, "The rule of this operation is too long to be written as a formula");
    }
    if out.numbers.is_none() {
        let few = edge.contribution.as_ref().and_then(Notation::few);
        out.numbers = few.map(|d| target.clone().adds().then(&d));
    }
    turn(&mut out, trace, at, visit);
    if let (false, Some(d)) = (edge.summed_over.is_empty(), &edge.contribution) {
        broadcast(&mut out, &x.text, edge, d, node);
    }
    if let Some(choice) = &edge.choice {
        out.note(Topic::Choice, chosen(choice, edge));
    }
    if let Some(entry) = &edge.entry {
        written_out(&mut out, trace, visit, edge, entry);
    }
    add_up(&mut out, trace, at, edge, into);
    let again: Vec<String> = node
        .kept
        .iter()
        .filter(|&&at| trace.nodes.get(at).is_some_and(|node| node.is_recomputed))
        .map(|&at| trace.named(at).text)
        .collect();
    if !again.is_empty() {
        let text = format!("{} had been dropped by a checkpoint, and {} computed again for this", listed(&again), was(again.len()));
        out.note(Topic::Recomputed, text);
    }
    not_finite(&mut out, visit, edge);
    out
}

fn was(n: usize) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// ∂y/∂x = formula = number.
fn local_derivative(trace: &Trace, near: &[usize], edge: &Edge, local: &Expression, partial: Notation) -> Notation {
    let out = partial.equals().then(&trace.written(local, near));
    if local.as_number().is_some() {
        return out;
    }
    // A name alone has no calculation to show.
    let calculation = if local.as_name().is_some() { None } else { trace.with_numbers(local, near) };
    let out = calculation.map_or(out.clone(), |numbers| out.equals().then(&numbers));
    match edge.local.as_ref().filter(|local| local.elements.is_some() && local.len() <= 4) {
        Some(local) => out.is(local),
        None => out,
    }
}

/// Upstream × local derivative, with names.
fn times_local(trace: &Trace, near: &[usize], visit: &Visit, local: &Expression) -> Notation {
    if let Some(slope) = local.as_number() {
        return trace.gradient_of(visit.node).times().then(&Notation::factor(slope));
    }
    let upstream = Expression::name(trace.nodes[visit.node].gradient_name.clone());
    trace.written(&Expression::call("mul", None, &[&upstream, local]), near)
}

/// Upstream × local derivative = contribution, where each is a single number.
fn product(visit: &Visit, edge: &Edge, target: Notation) -> Option<Notation> {
    let [(_, upstream)] = &visit.upstream[..] else { return None };
    let (g, local, d) = (upstream.item()?, edge.local.as_ref()?.item()?, edge.contribution.as_ref()?.item()?);
    Some(target.adds().then(&Notation::number(g)).times().then(&Notation::factor(local)).equals().then(&Notation::number(d)))
}

/// What the formula of a local derivative means: read from the formula, never from the name of the operation.
fn intuition(trace: &Trace, visit: &Visit, edge: &Edge, local: &Expression) -> String {
    let node = &trace.nodes[visit.node];
    let (y, x) = (trace.named(visit.node).text, trace.named(edge.into).text);
    if let Some(slope) = local.as_number() {
        return if slope == 1.0 {
            format!("The slope is 1: {y} hands its gradient on unchanged")
        } else if slope == -1.0 {
            format!("The slope is −1: {y} hands its gradient on with the sign changed")
        } else if slope == 0.0 {
            "The slope is 0: nothing goes back this way".to_owned()
        } else {
            format!("The slope is the same everywhere: the gradient is scaled by {}", Notation::number(slope).text)
        };
    }
    if let Some(name) = local.as_name() {
        let is_other = node.inputs.iter().enumerate().any(|(k, &input)| k != edge.input && trace.nodes[input].name == name);
        return if is_other {
            format!("The gradient is scaled by the other factor, {}", super::clean(name))
        } else if name == node.name {
            format!("The gradient is scaled by the result, {y}: with that kept, {x} is not needed")
        } else {
            format!("The gradient is scaled by {}", super::clean(name))
        };
    }
    if let Some(Part::Call { function, .. }) = local.parts().last()
        && matches!(&**function, "step" | "gt" | "ge" | "lt" | "le" | "eq" | "ne")
    {
        return "A switch: where the condition holds, the gradient goes on unchanged; elsewhere it stops".to_owned();
    }
    let of: Vec<String> = local.names().into_iter().map(super::clean).collect();
    match &of[..] {
        [] => "The slope is the same everywhere".to_owned(),
        [one] if *one == y => format!("The slope depends only on the result {y}: with that kept, {x} is not needed"),
        [one] if *one == x => format!("The slope depends only on {x}, which is kept for it"),
        of => format!("The slope depends on {}", listed(of)),
    }
}

/// What the rule of an operation of whole arrays means, read from its form.
fn form(rule: &Expression, node: &Node) -> String {
    if rule.as_name().is_some() {
        return format!("{} hands its gradient on unchanged", super::clean(&node.name));
    }
    if let Some(slope) = rule.as_number() {
        return format!("The contribution is {}, whatever the gradient", Notation::number(slope).text);
    }
    let values: Vec<String> = rule.names().into_iter().filter(|name| *name != node.gradient_name).map(super::clean).collect();
    let outermost = match rule.parts().last() {
        Some(Part::Call { function, .. }) => &**function,
        _ => "",
    };
    match (outermost, &values[..]) {
        ("matmul", [other]) => format!("The gradient is multiplied with the other factor, {other}"),
        ("sum" | "sum_to" | "sum_axes", []) => "What went to several places gets the sum of what comes back from them".to_owned(),
        ("broadcast_to", []) => "All elements that were taken together get the same".to_owned(),
        ("permute" | "transpose" | "reshape", []) => "The elements of the gradient go back to where those of the input stood".to_owned(),
        (_, []) => "The rule needs nothing but the gradient itself".to_owned(),
        (_, values) => format!("The rule takes the gradient, {}", listed(values)),
    }
}

/// Why it is the turn of the node.
fn turn(out: &mut Explanation, trace: &Trace, at: usize, visit: &Visit) {
    let outputs: Vec<usize> = visit.upstream.iter().map(|(output, _)| *output).collect();
    let names = listed(&outputs.iter().map(|&output| trace.named(output).text).collect::<Vec<_>>());
    if outputs.contains(&trace.root()) {
        out.note(Topic::Turn, format!("It is the turn of {names}, where the backward pass begins"));
        return;
    }
    let (received, expected, users) = trace.received(at, &outputs);
    let count = plural(expected, "contribution is there", "contributions are there");
    out.note(Topic::Turn, format!("It is the turn of {names}: {received} of {count}, from {}", listed(&users)));
}

fn broadcast(out: &mut Explanation, x: &str, edge: &Edge, d: &Array, node: &Node) {
    let axes = listed(&edge.summed_over.iter().map(ToString::to_string).collect::<Vec<_>>());
    let (along, those) = if edge.summed_over.len() == 1 { ("axis", "it") } else { ("axes", "them") };
    let text = format!(
        "{x} was repeated forward along {along} {axes}, from {:?} to {:?}, so its contribution is summed over {those} backward",
        d.shape, node.value.shape
    );
    out.note(Topic::Broadcast, text);
}

fn chosen(choice: &Choice, edge: &Edge) -> String {
    let Choice { passed, of, ties } = *choice;
    let elements = plural(of, "element gets", "elements get");
    let passes =
        if passed == of { format!("All of {elements} a gradient") } else { format!("{passed} of {elements} a gradient, the others 0") };
    match (ties, &edge.local_formula) {
        (0, _) => passes,
        (_, Some(local)) => {
            format!("{passes}; {} exactly at a kink, where {local} decides, by convention", plural(ties, "stands", "stand"))
        }
        (_, None) => format!("{passes}; {} it with others of the same size, by convention", plural(ties, "shares", "share")),
    }
}

/// One entry as a sum of products.
fn written_out(out: &mut Explanation, trace: &Trace, visit: &Visit, edge: &Edge, entry: &Entry) {
    let mut names = trace.gradient_of(edge.into).element(&entry.position).equals();
    let mut numbers = Notation::of("", "");
    for (i, term) in entry.terms.iter().take(TERMS).enumerate() {
        if i > 0 {
            names = names.plus();
            numbers = numbers.plus();
        }
        let upstream = trace.gradient_of(trace.output(visit.node, term.output)).element(&term.position);
        names = names.then(&upstream).times().then(&Notation::factor(term.local));
        let first = if i > 0 { Notation::factor(term.upstream) } else { Notation::number(term.upstream) };
        numbers = numbers.then(&first).times().then(&Notation::factor(term.local));
    }
    let left = entry.terms.len().saturating_sub(TERMS) + entry.omitted;
    if left > 0 {
        names = names.sign(" + …", r" + \cdots");
        numbers = numbers.sign(" + …", r" + \cdots");
    }
    if entry.terms.is_empty() {
        names = names.sign("0", "0");
    } else {
        names = names.equals().then(&numbers).equals().then(&Notation::number(entry.total));
    }
    let all = entry.terms.len() + entry.omitted;
    let mut text =
        format!("Its largest entry, {}", plural(all, "product of gradient and derivative", "products of gradient and derivative"));
    if left > 0 {
        text.extend([", of which ", &left.to_string(), " are not written out"]);
    }
    out.note_with(Topic::Entry, text, names);
}

/// What has come together so far.
fn add_up(out: &mut Explanation, trace: &Trace, at: usize, edge: &Edge, into: &Node) {
    let (Some(d), Some(sum)) = (&edge.contribution, &edge.sum) else { return };
    let target = trace.gradient_of(edge.into);
    if edge.nth > 1 {
        let edges = trace.visits.get(..=at).unwrap_or_default().iter().flat_map(|visit| &visit.edges);
        let before = edges.filter(|other| other.into == edge.into && other.nth + 1 == edge.nth).find_map(|other| other.sum.as_ref());
        out.sum = Some(match (before.and_then(Array::item), d.item(), sum.item()) {
            (Some(before), Some(d), Some(sum)) => target
                .clone()
                .equals()
                .then(&Notation::number(before))
                .plus()
                .then(&Notation::factor(d))
                .equals()
                .then(&Notation::number(sum)),
            _ => target.clone().is(sum),
        });
    }
    let name = &trace.named(edge.into).text;
    let is_leaf = into.inputs.is_empty();
    out.note(
        Topic::Count,
        match (edge.nth == edge.of, is_leaf) {
            (false, _) => format!("{} of {} contributions: the gradient of {name} is not complete yet", edge.nth, edge.of),
            (true, false) => {
                format!("{} of {}: the gradient of {name} is complete", edge.nth, plural(edge.of, "contribution", "contributions"))
            }
            (true, true) => format!(
                "{} of {}: this is the derivative of {} by {name}",
                edge.nth,
                plural(edge.of, "contribution", "contributions"),
                trace.named(trace.root()).text
            ),
        },
    );
    if edge.nth == edge.of && into.is_hooked {
        let now = into.gradient.as_ref().map(|g| format!("; it is then {}", g.short(6))).unwrap_or_default();
        out.note(Topic::Hook, format!("A hook sees the complete gradient of {name}, and may replace it{now}"));
    }
    if d.elements.is_none() && !d.is_empty() {
        out.note(Topic::Cap, format!("Of its {} elements, the trace holds only the extremes and the mean", d.len()));
    }
}

fn not_finite(out: &mut Explanation, visit: &Visit, edge: &Edge) {
    let Some(d) = &edge.contribution else { return };
    if d.is_finite() || visit.upstream.iter().any(|(_, g)| !g.is_finite()) {
        return;
    }
    let why = match &edge.local {
        Some(local) if !local.is_finite() => format!("the local derivative is {}", local.short(6)),
        _ => format!("it is {}", d.short(6)),
    };
    out.note(Topic::NotFinite, format!("Here gradients stop being finite: the one that comes is, and {why}"));
}
