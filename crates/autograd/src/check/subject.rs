//! One operation as it is examined: its value, its rule on tensors and recorded, its tangents.

use std::panic::Location;

use super::{function::code, lists::refs, verdict::Kink};
use crate::{
    error::{Error, ErrorKind},
    graph::Graph,
    op::{Algebra, Engine, Erased, Place, Sink, Value},
    real::Real,
    shape::Shape,
    tensor::Tensor,
    var::Var,
};

/// What a rule gives, collected by plain operations.
pub(super) struct Collected<A> {
    shapes: Vec<Shape>,
    sums: Vec<Option<A>>,
    /// The first gradient of a wrong shape, for no input, or that could not be computed.
    mistake: Option<Error>,
}

impl<A> Collected<A> {
    fn new(shapes: Vec<Shape>) -> Self {
        Collected { sums: shapes.iter().map(|_| None).collect(), shapes, mistake: None }
    }
}

impl<T: Real, A: Algebra<T>> Sink<T, A> for Collected<A> {
    fn needs(&self, k: usize) -> bool {
        k < self.shapes.len()
    }
    fn add(&mut self, k: usize, d: A) {
        if let Some(error) = d.failure() {
            self.mistake.get_or_insert(error);
            return;
        }
        match self.shapes.get(k) {
            None => {
                self.mistake.get_or_insert(ErrorKind::GradientInput { input: k, arity: self.shapes.len() }.into());
            }
            Some(expected) if *expected != d.shape() => {
                self.mistake.get_or_insert(ErrorKind::GradientShape { input: k, expected: *expected, found: d.shape() }.into());
            }
            Some(_) => {
                let sum = self.sums[k].take();
                self.sums[k] = Some(sum.map_or_else(|| d.clone(), |sum| sum.add(&d)));
            }
        }
    }
    fn add_stretched(&mut self, k: usize, d: A) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        self.add(k, if d.shape() == full { d } else { d.broadcast_as(&full) });
    }
    fn add_at(&mut self, k: usize, place: &Place, d: A) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        self.add(k, d.put(place.clone(), &full));
    }
    fn add_matmul(&mut self, k: usize, a: &A, transpose_a: bool, b: &A, transpose_b: bool) {
        let full = self.shapes.get(k).copied().unwrap_or(Shape::SCALAR);
        let product = a.matmul_as(b, transpose_a, transpose_b);
        self.add(k, if product.shape() == full { product } else { product.sum_to(&full) });
    }
}

pub(super) type Tensors = Vec<Tensor<f64>>;
pub(super) type Singles = Vec<Tensor<f32>>;

/// The operation under test.
pub(super) struct Subject<'a> {
    pub(super) op: &'a dyn Erased,
    pub(super) at: &'static Location<'static>,
}

impl Subject<'_> {
    pub(super) fn forward<T: Real>(&self, x: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>, Error> {
        let shapes = || x.iter().map(|x| *x.shape()).collect();
        let y = T::typed(self.op).forward_all(x).map_err(|error| error.met_by(self.op.name(), shapes(), Some(self.at)))?;
        Ok(y.into_vec())
    }

    /// The gradients by all inputs; zeros where the rule gives nothing.
    pub(super) fn vjp<T: Real>(&self, x: &[&Tensor<T>], y: &[&Tensor<T>], c: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>, Error> {
        let values = |tensors: &[&Tensor<T>]| tensors.iter().map(|t| Value::Tensor((*t).clone())).collect::<Vec<_>>();
        let (x_values, y, c) = (values(x), values(y), values(c));
        let mut sink = Collected::new(x.iter().map(|x| *x.shape()).collect());
        T::typed(self.op).vjp(
            &x_values.iter().collect::<Vec<_>>(),
            &y.iter().collect::<Vec<_>>(),
            &c.iter().map(Some).collect::<Vec<_>>(),
            &mut sink,
        );
        if let Some(mistake) = sink.mistake {
            return Err(mistake);
        }
        sink.sums.into_iter().zip(x).map(|(sum, x)| sum.map_or_else(|| Tensor::zeros(x.shape()), Value::into_result)).collect()
    }

    /// The same, recorded: as variables of the graph of `x`.
    pub(super) fn vjp_recorded<'g>(
        &self,
        x: &[Var<'g, f64>],
        y: &[Var<'g, f64>],
        c: &[Var<'g, f64>],
    ) -> Result<Vec<Option<Var<'g, f64>>>, Error> {
        let shapes = x.iter().map(|x| Var::shape(*x)).collect::<Result<_, _>>()?;
        let mut sink = Collected::new(shapes);
        f64::typed(self.op).vjp_recorded(
            &x.iter().collect::<Vec<_>>(),
            &y.iter().collect::<Vec<_>>(),
            &c.iter().map(Some).collect::<Vec<_>>(),
            &mut sink,
        );
        sink.mistake.map_or(Ok(sink.sums), Err)
    }

    /// The gradients of Σ w·vjp(x, c) by x and by c: its own gradient, and what goes through the value.
    pub(super) fn second(&self, x: &[&Tensor<f64>], c: &[&Tensor<f64>], w: &[Tensor<f64>]) -> Result<Tensors, Error> {
        let y = self.forward(x)?;
        let g = Graph::new();
        let leaf = |t: &Tensor<f64>| g.variable(t);
        let (xs, ys): (Vec<_>, Vec<_>) = (x.iter().map(|x| leaf(x)).collect(), y.iter().map(leaf).collect());
        let cs: Vec<_> = c.iter().map(|c| leaf(c)).collect();
        let parts = self.vjp_recorded(&xs, &ys, &cs)?;
        let sum = parts.iter().zip(w).filter_map(|(d, w)| Some(((*d)? * g.constant(w)).sum())).reduce(|a, b| a + b);
        let zeros = |t: &Tensor<f64>| Tensor::zeros(t.shape());
        let Some(sum) = sum else { return x.iter().chain(c).map(|t| zeros(t)).collect() };
        let slopes = sum.backward()?;
        let of = |v: &Var<'_, f64>, like: &Tensor<f64>| slopes.get(*v).cloned().map_or_else(|| zeros(like), Ok);
        let through: Tensors = ys.iter().zip(&y).map(|(v, y)| of(v, y)).collect::<Result<_, _>>()?;
        let through = self.vjp(x, &refs(&y), &refs(&through))?;
        let direct = xs.iter().zip(x).map(|(v, x)| of(v, x)).zip(&through).map(|(direct, through)| direct?.add(through));
        direct.chain(cs.iter().zip(c).map(|(v, c)| of(v, c))).collect()
    }

    pub(super) fn sides(&self, x: &[&Tensor<f64>]) -> (Vec<i8>, Vec<Kink>) {
        let (mut sides, mut kinks) = (Vec::new(), Vec::new());
        self.op.sides(x, &mut |side| {
            sides.push(code(&side));
            kinks.push(Kink { function: side.function, node: 0, place: kinks.len(), distance: side.distance, at: self.at });
        });
        (sides, kinks)
    }

    /// The derivatives along a direction, in forward mode.
    pub(super) fn jvp(&self, x: &[&Tensor<f64>], y: &[&Tensor<f64>], dx: &[&Tensor<f64>]) -> Result<Tensors, Error> {
        let values = |tensors: &[&Tensor<f64>]| tensors.iter().map(|t| Value::Tensor((*t).clone())).collect::<Vec<_>>();
        let (x, y_values) = (values(x), values(y));
        let dx: Vec<_> = dx.iter().map(|dx| Some(*dx)).collect();
        let dy = f64::pushed(self.op, &x.iter().collect::<Vec<_>>(), &y_values.iter().collect::<Vec<_>>(), &dx, None, self.at)?;
        dy.into_iter().zip(y).map(|(dy, y)| dy.map_or_else(|| Tensor::zeros(y.shape()), Ok)).collect()
    }
}
