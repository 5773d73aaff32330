//! How a trace comes to be: the tape is read, and the backward sweep watched.

use std::{
    collections::{HashMap, HashSet},
    panic::Location,
};

use super::{
    Array, Choice, Edge, Entry, Kind, Node, Options, SCHEMA, Term, Trace, Visit,
    label::{self, Labels, Unnamed},
    rule::{self, Application},
};
use crate::{
    backward::{self, Asked, Gradients},
    elementary::Expression,
    error::Error,
    graph::{self, Tape},
    op::{self, Erased, Few, Value},
    real::Real,
    tensor::Tensor,
    var::Var,
};

/// The trace of the backward pass of a scalar.
pub(crate) fn record<T: Real>(root: Var<'_, T>, options: &Options, at: &'static Location<'static>) -> Result<Trace, Error> {
    root.value().map_err(|error| error.in_op("trace", Vec::new).at(at))?;
    let mut recorder = Recorder::new(&root.graph().tape.borrow(), root.id(), options);
    let mut gradients = Gradients::empty(root.graph());
    let mut witness = |asked: &Asked<'_, T>| recorder.see(asked);
    backward::watched(root.graph(), &[root.into()], None, at, &mut gradients, Some(&mut witness))?;
    Ok(recorder.finish(&gradients))
}

struct Recorder<'o, T: Real> {
    options: &'o Options,
    /// Where the nodes of the tape stand in the trace.
    places: HashMap<u32, usize>,
    /// And the other way round.
    ids: Vec<u32>,
    /// What nodes and their gradients are called.
    names: HashSet<String>,
    nodes: Vec<Node>,
    visits: Vec<Visit>,
    /// What has come together for each node.
    sums: Vec<Option<Tensor<T>>>,
}

/// The nodes that a node was computed from, in their order, and itself.
pub(crate) fn ancestors<T: Real>(tape: &Tape<T>, root: u32) -> Vec<u32> {
    let mut is_one = vec![false; root as usize + 1];
    is_one[root as usize] = true;
    for id in (0..=root).rev() {
        if is_one[id as usize] {
            tape.inputs(id).iter().for_each(|&x| is_one[x as usize] = true);
        }
    }
    (0..=root).filter(|&id| is_one[id as usize]).collect()
}

/// How output `k` of an operation is written.
pub(super) fn output_notation(k: impl std::fmt::Display) -> String {
    format!("output {k} of {{0}}")
}

/// What is known of a value that is not there.
fn unknown() -> Array {
    Array { shape: Vec::new(), elements: None, min: f64::NAN, mean: f64::NAN, max: f64::NAN }
}

impl<'o, T: Real> Recorder<'o, T> {
    fn new(tape: &Tape<T>, root: u32, options: &'o Options) -> Self {
        let ids = ancestors(tape, root);
        let places: HashMap<u32, usize> = ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        let mut recorder = Recorder {
            options,
            places,
            names: HashSet::new(),
            nodes: Vec::with_capacity(ids.len()),
            visits: Vec::new(),
            sums: vec![None; ids.len()],
            ids,
        };
        let names = recorder.names(tape);
        recorder.names = names.iter().map(|(name, _)| name.clone()).collect();
        for (place, (name, is_named)) in names.into_iter().enumerate() {
            let node = recorder.forward(tape, place, name, is_named);
            recorder.names.insert(node.gradient_name.clone());
            recorder.nodes.push(node);
        }
        recorder.group();
        recorder
    }

    /// A name for each node, and whether it was given.
    fn names(&self, tape: &Tape<T>) -> Vec<(String, bool)> {
        let given = |id: &u32| tape.name(*id).map(ToString::to_string);
        let mut labels = Labels::new(self.ids.iter().filter_map(|id| tape.name(*id).map(|name| &**name)));
        let mut seen: HashSet<String> = HashSet::new();
        let root = self.ids.len().saturating_sub(1);
        let name = |(place, id): (usize, &u32)| match given(id) {
            Some(name) if seen.insert(name.clone()) => (name, true),
            Some(name) => (labels.again(&name), true),
            None => {
                let what = match tape.node(*id).kind {
                    graph::Kind::Variable => Unnamed::Variable,
                    graph::Kind::Constant => Unnamed::Constant,
                    _ if place == root => Unnamed::Root,
                    _ => Unnamed::Result,
                };
                (labels.make(what), false)
            }
        };
        self.ids.iter().enumerate().map(name).collect()
    }

    fn array(&self, value: &Value<T>) -> Option<Array> {
        value.tensor().ok().map(|t| Array::of(t, self.options.max_elements))
    }

    fn place(&self, id: u32) -> usize {
        self.places.get(&id).copied().unwrap_or_default()
    }

    /// The step of the forward pass that a node is.
    fn forward(&self, tape: &Tape<T>, place: usize, name: String, is_named: bool) -> Node {
        let id = self.ids[place];
        let node = tape.node(id);
        let inputs: Vec<usize> = tape.inputs(id).iter().map(|&x| self.place(x)).collect();
        let of_inputs: Vec<Expression> = inputs.iter().map(|&x| Expression::name(self.nodes[x].name.clone())).collect();
        let of_inputs: Vec<&Expression> = of_inputs.iter().collect();
        let kind = match &node.kind {
            graph::Kind::Variable => Kind::Variable,
            graph::Kind::Constant => Kind::Constant,
            graph::Kind::Detached => Kind::Detached,
            graph::Kind::Scoped => Kind::Scoped,
            graph::Kind::Op(_) => Kind::Operation,
            graph::Kind::Output(_) => Kind::Output,
        };
        let formula = match &node.kind {
            graph::Kind::Op(op) => Some(rule::apply(op, &of_inputs)),
            graph::Kind::Output(k) => Some(Expression::call("output", Some(output_notation(*k).into()), &of_inputs)),
            graph::Kind::Detached => Some(Expression::call("detach", None, &of_inputs)),
            graph::Kind::Variable | graph::Kind::Constant | graph::Kind::Scoped => None,
        };
        let (op, _) = tape.described(id);
        let gradient_name = label::gradient_name(&name, |other| self.names.contains(other));
        Node {
            gradient_name,
            is_named,
            kind,
            op: op.to_owned(),
            inputs,
            formula,
            value: self.array(&node.value).unwrap_or_else(unknown),
            is_recomputed: matches!(node.value, Value::Dropped(_)),
            kept: Vec::new(),
            needs_gradient: node.needs_gradient,
            contributions: 0,
            gradient: None,
            doc: if kind == Kind::Operation { doc(op) } else { None },
            location: node.at.to_string(),
            is_hooked: tape.hooks.contains_key(&id),
            group: label::group(&name).map(ToOwned::to_owned),
            name,
        }
    }

    /// What uses a parameter belongs to its layer, and so does what is computed from that layer alone.
    fn group(&mut self) {
        for place in 0..self.nodes.len() {
            let node = &self.nodes[place];
            if node.group.is_none() && !node.inputs.is_empty() {
                let mut parameters =
                    node.inputs.iter().map(|&x| &self.nodes[x]).filter(|x| x.inputs.is_empty()).filter_map(|x| x.group.clone());
                let mut layers = node.inputs.iter().map(|&x| self.nodes[x].group.clone());
                let first = layers.next().flatten();
                let group = parameters.next().or_else(|| first.filter(|first| layers.all(|layer| layer.as_ref() == Some(first))));
                self.nodes[place].group = group;
            }
        }
    }

    /// Writes down what a rule was asked, and what it gave.
    fn see(&mut self, asked: &Asked<'_, T>) {
        let Asked { tape, id, g, parts } = asked;
        let graph::Kind::Op(handle) = &tape.node(*id).kind else { return };
        let (op, inputs) = (handle.op(), tape.inputs(*id));
        let outputs: Few<u32> = (*id..*id + tape.outputs_of(*id)).collect();
        let values =
            |ids: &[u32]| op::tensors(ids.iter().map(|&x| &tape.node(x).value)).map(|all| all.into_iter().cloned().collect::<Vec<_>>());
        let (Ok(x), Ok(y)) = (values(inputs), values(&outputs)) else { return };
        // Values that had been dropped are here now.
        for id in inputs.iter().chain(&outputs) {
            if let (Some(&place), Some(array)) = (self.places.get(id), self.array(&tape.node(*id).value)) {
                self.nodes[place].value = array;
            }
        }
        let (x, y): (Vec<&Tensor<T>>, Vec<&Tensor<T>>) = (x.iter().collect(), y.iter().collect());
        // A gradient may come before it is stretched to the shape of its output.
        let whole = |(g, y): (Option<&Value<T>>, &&Tensor<T>)| g.and_then(|g| g.tensor().ok()?.broadcast_as(y.shape()).ok());
        let g: Vec<Option<Tensor<T>>> = g.iter().copied().zip(&y).map(whole).collect();
        let g: Vec<Option<&Tensor<T>>> = g.iter().map(Option::as_ref).collect();
        let needs: Vec<bool> = inputs.iter().map(|&x| tape.node(x).needs_gradient).collect();
        let place = self.place(*id);
        let of =
            |id: &u32| self.places.get(id).map_or_else(|| format!("output {}", id - outputs[0]), |&place| self.nodes[place].name.clone());
        let gradient_of = |id: &u32| self.places.get(id).map_or_else(|| "0".to_owned(), |&place| self.nodes[place].gradient_name.clone());
        let names = inputs.iter().chain(&outputs).map(of).chain(outputs.iter().map(gradient_of)).collect();
        let application = Application { op, x: &x, y: &y, g: &g, needs: &needs, names, at: tape.node(*id).at };
        let rule = application.rule();
        let read = inputs.iter().chain(&outputs).zip(&rule.reads).filter(|(_, is_read)| **is_read);
        let mut kept: Vec<usize> = read.filter_map(|(id, _)| self.places.get(id).copied()).collect();
        kept.sort_unstable();
        kept.dedup();
        self.nodes[place].kept = kept;

        let derivation = handle.derivation();
        let mut edges = Vec::new();
        for (k, formula) in rule.formulas.into_iter().enumerate().filter(|(k, _)| needs[*k]) {
            let into = self.place(inputs[k]);
            let contribution = parts.iter().filter(|(to, _)| *to == k).map(|(_, d)| d.clone()).reduce(|a, b| a.add(&b).unwrap_or(a));
            let mut edge = Edge {
                input: k,
                into,
                local_formula: None,
                local: None,
                rule: None,
                summed_over: Vec::new(),
                contribution: contribution.as_ref().map(|d| Array::of(d, self.options.max_elements)),
                sum: None,
                nth: 0,
                of: 0,
                entry: None,
                choice: None,
            };
            let mut local = None;
            if let (Some(derivation), [y]) = (&derivation, &y[..]) {
                edge.local_formula = derivation.slope_formulas.get(k).map(|slope| {
                    slope.filled(|name| {
                        let input = derivation.operands.iter().position(|operand| *operand == name).map(|k| self.place(inputs[k]));
                        let node = input.or((name == "y").then_some(place))?;
                        Some(Expression::name(self.nodes[node].name.clone()))
                    })
                });
                edge.summed_over = stretched_axes(x[k].shape(), y.shape());
                local = slope(op, &x, y, k);
                edge.local = local.as_ref().map(|d| Array::of(d, self.options.max_elements));
            } else {
                edge.rule = formula;
            }
            if let Some(d) = contribution {
                edge.entry = self.entry(op, &x, &y, &g, k, &d, local.as_ref(), tape.node(*id).at);
                edge.choice = choice(op, &x, &y, k, local.as_ref());
                let sum = match self.sums[into].take() {
                    Some(sum) => sum.add(&d).unwrap_or(d),
                    None => d,
                };
                edge.sum = Some(Array::of(&sum, self.options.max_elements));
                self.sums[into] = Some(sum);
                self.nodes[into].contributions += 1;
                edge.nth = self.nodes[into].contributions;
            }
            edges.push(edge);
        }
        let upstream =
            outputs.iter().zip(&g).filter_map(|(id, g)| Some((*self.places.get(id)?, Array::of((*g)?, self.options.max_elements))));
        let upstream: Vec<(usize, Array)> = upstream.collect();
        for (place, g) in &upstream {
            self.nodes[*place].gradient = Some(g.clone());
        }
        self.visits.push(Visit { node: place, upstream, edges });
    }

    /// The largest entry of a contribution as a sum of products.
    #[allow(clippy::too_many_arguments)] // they are one application of an operation
    fn entry(
        &self,
        op: &dyn Erased,
        x: &[&Tensor<T>],
        y: &[&Tensor<T>],
        g: &[Option<&Tensor<T>>],
        k: usize,
        d: &Tensor<T>,
        local: Option<&Tensor<T>>,
        at: &'static Location<'static>,
    ) -> Option<Entry> {
        let sizes = y.iter().map(|y| y.len()).chain([d.len()]);
        if sizes.clone().all(|n| n == 1) || sizes.clone().any(|n| n == 0 || n > self.options.max_entry) {
            return None;
        }
        let size = |v: &T| if v.to_f64().is_nan() { f64::INFINITY } else { v.to_f64().abs() };
        let mut index = 0;
        for (i, v) in d.as_slice().iter().enumerate() {
            if size(v) > size(&d.as_slice()[index]) {
                index = i;
            }
        }
        // One input element is moved, and all that moves with it is seen.
        let columns: Few<Option<Tensor<T>>> = if let Some(local) = local {
            Few::from_iter([of_one(local, d, index)])
        } else {
            let mut one = vec![T::ZERO; d.len()];
            one[index] = T::ONE;
            let one = Tensor::of(*d.shape(), one);
            let dx: Few<Option<&Tensor<T>>> = (0..x.len()).map(|input| (input == k).then_some(&one)).collect();
            let values = |t: &[&Tensor<T>]| t.iter().map(|t| Value::Tensor((*t).clone())).collect::<Few<_>>();
            let (x, y) = (values(x), values(y));
            T::pushed(op, &x.iter().collect::<Few<_>>(), &y.iter().collect::<Few<_>>(), &dx, None, at).ok()?
        };
        let mut entry =
            Entry { position: position(d, index), terms: Vec::new(), omitted: 0, omitted_sum: 0.0, total: d.as_slice()[index].to_f64() };
        for (output, (column, g)) in columns.iter().zip(g).enumerate() {
            let (Some(column), Some(g)) = (column, g) else { continue };
            for (i, (local, upstream)) in column.as_slice().iter().zip(g.as_slice()).enumerate() {
                let (local, upstream) = (local.to_f64(), upstream.to_f64());
                if local == 0.0 {
                    continue;
                }
                if entry.terms.len() < self.options.max_terms {
                    entry.terms.push(Term { output, position: position(column, i), upstream, local });
                } else {
                    entry.omitted += 1;
                    entry.omitted_sum += if upstream == 0.0 { 0.0 } else { upstream * local };
                }
            }
        }
        Some(entry)
    }

    fn finish(mut self, gradients: &Gradients<T>) -> Trace {
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if let Some(gradient) = gradients.of_node(self.ids[place]) {
                node.gradient = Some(Array::of(gradient, self.options.max_elements));
            }
        }
        for edge in self.visits.iter_mut().flat_map(|visit| &mut visit.edges) {
            edge.of = self.nodes[edge.into].contributions;
        }
        Trace { schema: SCHEMA, element: T::NAME.to_owned(), nodes: self.nodes, visits: self.visits }
    }
}

/// The derivative of a pointwise operation by input `k`, of the shape of the result.
fn slope<T: Real>(op: &dyn Erased, x: &[&Tensor<T>], y: &Tensor<T>, k: usize) -> Option<Tensor<T>> {
    let stretched: Vec<Tensor<T>> = x.iter().map(|x| x.broadcast_as(y.shape()).ok()).collect::<Option<_>>()?;
    let ones = Tensor::filled(T::ONE, *y.shape()).ok()?;
    rule::pulled_back(op, &stretched.iter().collect::<Vec<_>>(), y, &ones, k).ok()?
}

/// The slopes that belong to element `index` of an operand, and 0 elsewhere.
fn of_one<T: Real>(local: &Tensor<T>, operand: &Tensor<T>, index: usize) -> Option<Tensor<T>> {
    let mut one = vec![T::ZERO; operand.len()];
    one[index] = T::ONE;
    let is_it = Tensor::of(*operand.shape(), one).broadcast_as(local.shape()).ok()?;
    let slopes = local.as_slice().iter().zip(is_it.as_slice()).map(|(slope, is_it)| if *is_it == T::ONE { *slope } else { T::ZERO });
    Some(Tensor::of(*local.shape(), slopes.collect::<Vec<_>>()))
}

/// The axes of a result along which an operand of shape `x` was repeated.
fn stretched_axes(x: &[usize], y: &[usize]) -> Vec<usize> {
    let missing = y.len().saturating_sub(x.len());
    (0..y.len()).filter(|&axis| axis < missing || (x[axis - missing] == 1 && y[axis] != 1)).collect()
}

/// What an operation with kinks has let through of input `k`.
fn choice<T: Real>(op: &dyn Erased, x: &[&Tensor<T>], y: &[&Tensor<T>], k: usize, local: Option<&Tensor<T>>) -> Option<Choice> {
    let [y] = y else { return None };
    let doubles = |t: &Tensor<T>| Tensor::of(*t.shape(), t.as_slice().iter().map(|v| v.to_f64()).collect::<Vec<f64>>());
    let x64: Vec<Tensor<f64>> = x.iter().map(|t| doubles(t)).collect();
    let (mut kinks, mut hit) = (0, 0);
    op.sides(&x64.iter().collect::<Vec<_>>(), &mut |side| {
        kinks += 1;
        hit += usize::from(side.side == Some(std::cmp::Ordering::Equal));
    });
    if kinks == 0 {
        return None;
    }
    let whole;
    let (passed, ties) = if let Some(local) = local {
        whole = local.clone();
        (whole.as_slice().iter().filter(|v| **v != T::ZERO).count(), hit)
    } else {
        let ones = Tensor::filled(T::ONE, *y.shape()).ok()?;
        whole = rule::pulled_back(op, x, y, &ones, k).ok()??;
        let numbers = || whole.as_slice().iter().map(|v| v.to_f64());
        (numbers().filter(|v| *v != 0.0).count(), numbers().filter(|v| *v > 0.0 && *v < 1.0).count())
    };
    Some(Choice { passed, of: whole.len(), ties })
}

/// The place of an element, axis by axis.
fn position<T: Real>(tensor: &Tensor<T>, index: usize) -> Vec<usize> {
    crate::guard::position(tensor.shape(), index)
}

/// What an operation of this name does, from the catalogue: the first paragraph of its documentation.
fn doc(op: &str) -> Option<String> {
    let entry = op::catalogue().find(|entry| entry.name == op)?;
    let paragraph: Vec<&str> = entry.doc.iter().map(|line| line.trim()).take_while(|line| !line.is_empty()).collect();
    (!paragraph.is_empty()).then(|| paragraph.join(" "))
}
