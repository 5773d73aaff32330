//! The rule of an operation, read: recorded on a graph of its own, it is a formula, and shows which values it needs.

use std::panic::Location;

use crate::{
    accumulate::{Pending, Variables, multiplied, placed},
    elementary::Expression,
    error::Error,
    graph::{Graph, Kind, Tape},
    op::{Erased, Few, Handle, Linearity, Place, Sink, Value},
    path::Path,
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// Formulas of more parts than this are left out: nobody reads them.
const LONGEST: usize = 60;

/// What the rule of an operation is, for each input that wants a gradient.
pub(super) struct Rule {
    /// By input: the contribution as a formula.
    pub(super) formulas: Vec<Option<Expression>>,
    /// Which inputs the rule reads the values of, and then which outputs.
    pub(super) reads: Vec<bool>,
}

/// One application of an operation, with the names of what takes part in it.
pub(super) struct Application<'a, T: Real> {
    pub(super) op: &'a dyn Erased,
    pub(super) x: &'a [&'a Tensor<T>],
    pub(super) y: &'a [&'a Tensor<T>],
    pub(super) g: &'a [Option<&'a Tensor<T>>],
    pub(super) needs: &'a [bool],
    /// Of inputs, outputs, and the gradients of outputs.
    pub(super) names: Vec<String>,
    pub(super) at: &'static Location<'static>,
}

impl<T: Real> Application<'_, T> {
    /// Lets the rule record itself.
    pub(super) fn rule(&self) -> Rule {
        let graph = Graph::<T>::new();
        let leaf = |t: &Tensor<T>| graph.leaf(t.clone(), true, self.at);
        let x: Few<_> = self.x.iter().map(|t| leaf(t)).collect();
        let y: Few<_> = self.y.iter().map(|t| leaf(t)).collect();
        let g: Few<_> = self.g.iter().zip(self.y).map(|(g, y)| g.map_or_else(|| leaf(y), leaf)).collect();
        let wanted: Vec<u32> = x.iter().zip(self.needs).filter(|(_, needs)| **needs).map(|(x, _)| x.id()).collect();
        let path = Path::of(wanted);
        let mut slots: Vec<Pending<'_, T>> = Vec::new();
        slots.resize_with(path.len(), Pending::default);
        let incoming: Few<_> = g.iter().zip(self.g).map(|(g, is_there)| is_there.map(|_| g)).collect();
        {
            let mut sink = Variables { x: &x, slots: &mut slots, path: &path, ends: None, op: self.op, guard: None, incoming: &[] };
            T::typed(self.op).vjp_recorded(&x.iter().collect::<Few<_>>(), &y.iter().collect::<Few<_>>(), &incoming, &mut sink);
        }
        let results: Vec<Option<u32>> =
            x.iter().map(|x| path.place(x.id()).and_then(|place| slots[place].finish(*x)).map(Var::id)).collect();
        let tape = graph.tape.borrow();
        let mut is_read = vec![false; tape.nodes.len()];
        for &result in results.iter().flatten() {
            is_read[result as usize] = true;
        }
        for id in (0..tape.len()).rev() {
            if is_read[id as usize] {
                tape.inputs(id).iter().for_each(|&x| is_read[x as usize] = true);
            }
        }
        let formulas = results.iter().map(|result| result.and_then(|id| written(&tape, id, &self.names))).collect();
        Rule { formulas, reads: is_read[..self.x.len() + self.y.len()].to_vec() }
    }
}

/// How an application of an operation is written.
pub(super) fn apply(op: &Handle, x: &[&Expression]) -> Expression {
    match op.derivation() {
        Some(derivation) => derivation.formula.filled(|name| {
            let k = derivation.operands.iter().position(|operand| *operand == name)?;
            x.get(k).copied().cloned()
        }),
        None => Expression::call(op.name(), op.op().notation(), x),
    }
}

/// Whether a node is its only input in another shape of the same numbers: at most axes of length 1 are new or gone.
fn is_same<T: Real>(tape: &Tape<T>, id: u32) -> bool {
    let ([x], Kind::Op(op)) = (tape.inputs(id), &tape.node(id).kind) else { return false };
    let (Value::Tensor(x), Value::Tensor(y)) = (&tape.node(*x).value, &tape.node(id).value) else { return false };
    let is_moved = op.derivation().is_none() && op.op().linearity() == Linearity::Linear;
    let is_shared = if x.len() == 1 { x.as_one() == y.as_one() } else { x.as_slice().as_ptr() == y.as_slice().as_ptr() };
    is_moved && is_shared && x.shape().iter().filter(|&&n| n != 1).eq(y.shape().iter().filter(|&&n| n != 1))
}

/// A node of a small graph as a formula of its first leaves, which have names.
fn written<T: Real>(tape: &Tape<T>, id: u32, names: &[String]) -> Option<Expression> {
    let mut formulas: Vec<Option<Expression>> = Vec::new();
    for at in 0..=id {
        let node = tape.node(at);
        let formula = match (&node.kind, names.get(at as usize)) {
            (_, Some(name)) => Some(Expression::name(name.clone())),
            (Kind::Op(_), None) if is_same(tape, at) => formulas[tape.inputs(at)[0] as usize].clone(),
            (Kind::Op(op), None) => {
                let x: Option<Vec<&Expression>> = tape.inputs(at).iter().map(|&x| formulas[x as usize].as_ref()).collect();
                x.map(|x| apply(op, &x)).filter(|formula| formula.parts().len() <= LONGEST)
            }
            (Kind::Output(_), None) => None,
            (_, None) => match &node.value {
                Value::Tensor(t) if t.len() == 1 => t.as_slice().first().map(|v| Expression::number(v.to_f64())),
                _ => Some(Expression::name("constant")),
            },
        };
        formulas.push(formula);
    }
    formulas.pop().flatten()
}

/// The gradient by input `k` alone, from that of the only output; nothing if the rule adds nothing.
pub(crate) fn pulled_back<T: Real>(
    op: &dyn Erased,
    x: &[&Tensor<T>],
    y: &Tensor<T>,
    g: &Tensor<T>,
    k: usize,
) -> Result<Option<Tensor<T>>, Error> {
    let operands: Few<Value<T>> = x.iter().map(|x| Value::Tensor((*x).clone())).collect();
    let (y, g) = (Value::Tensor(y.clone()), Value::Tensor(g.clone()));
    let mut only = Only { k, full: *x[k].shape(), sum: None };
    T::typed(op).vjp(&operands.iter().collect::<Few<_>>(), &[&y], &[Some(&g)], &mut only);
    only.sum.transpose()
}

/// Takes what is added for one input.
struct Only<T: Real> {
    k: usize,
    full: Shape,
    sum: Option<Result<Tensor<T>, Error>>,
}

impl<T: Real> Only<T> {
    fn take(&mut self, k: usize, d: impl FnOnce(&Shape) -> Result<Tensor<T>, Error>) {
        if k == self.k {
            let d = d(&self.full);
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum.and_then(|sum| sum.add(&d?)),
                None => d,
            });
        }
    }
}

impl<T: Real> Sink<T, Value<T>> for Only<T> {
    fn needs(&self, k: usize) -> bool {
        k == self.k
    }
    fn add(&mut self, k: usize, d: Value<T>) {
        self.take(k, |_| d.into_result());
    }
    fn add_stretched(&mut self, k: usize, d: Value<T>) {
        self.take(k, |full| d.into_result()?.broadcast_as(full));
    }
    fn add_at(&mut self, k: usize, place: &Place, d: Value<T>) {
        self.take(k, |full| placed(place, &d, full));
    }
    fn add_matmul(&mut self, k: usize, a: &Value<T>, transpose_a: bool, b: &Value<T>, transpose_b: bool) {
        self.take(k, |full| multiplied(a, transpose_a, b, transpose_b, full));
    }
}
