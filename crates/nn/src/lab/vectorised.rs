//! One gradient, example by example and in one batch.

use std::{fmt, time::Instant};

use autograd::{
    Graph, Tensor, Var,
    plot::{Axis, Chart, Series},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::table::{Table, number};
use crate::error::Error;

/// The gradient of one loss over m examples, computed in four ways: by scalar formulas on the graph, example by example; by vectors,
/// example by example; in one batch; and by loops over plain numbers, with the derivatives written by hand.
///
/// The network has one hidden layer, y = v·tanh(W x + b) + c, and the loss is the mean of (y − t)². All four results are the same but for
/// rounding; the times are measured, and differ from run to run and from machine to machine.
///
/// ```
/// use nn::lab::Vectorised;
/// let report = Vectorised::new().sizes([1, 8]).repeats(1).run()?;
/// assert!(report.batches.iter().all(|batch| batch.difference < 1e-12));
/// println!("{report}");
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vectorised {
    inputs: usize,
    hidden: usize,
    sizes: Vec<usize>,
    repeats: usize,
    seed: u64,
}

impl Default for Vectorised {
    fn default() -> Self {
        Vectorised::new()
    }
}

impl Vectorised {
    /// 8 inputs, 16 hidden neurons, batches of 1, 4, 16, … 1024, medians of 9 runs.
    #[must_use]
    pub fn new() -> Self {
        Vectorised { inputs: 8, hidden: 16, sizes: (0..6).map(|k| 4usize.pow(k)).collect(), repeats: 9, seed: 0 }
    }

    /// How many numbers of examples.
    #[must_use]
    pub fn sizes(self, sizes: impl Into<Vec<usize>>) -> Self {
        Vectorised { sizes: sizes.into(), ..self }
    }

    /// The numbers of inputs and of hidden neurons.
    #[must_use]
    pub fn network(self, inputs: usize, hidden: usize) -> Self {
        Vectorised { inputs, hidden, ..self }
    }

    /// The median of how many runs is taken.
    #[must_use]
    pub fn repeats(self, repeats: usize) -> Self {
        Vectorised { repeats, ..self }
    }

    /// What decides weights and data.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Vectorised { seed, ..self }
    }

    /// Computes and measures.
    ///
    /// # Errors
    /// [`Error::Config`] for a size of 0.
    pub fn run(&self) -> Result<VectorisedReport, Error> {
        if self.inputs == 0 || self.hidden == 0 || self.sizes.contains(&0) {
            let what = format!("{} inputs, {} neurons, {:?} examples", self.inputs, self.hidden, self.sizes);
            return Err(Error::config(what, "none of them may be 0"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (n, h) = (self.inputs, self.hidden);
        let mut draw = |shape: &[usize]| Tensor::<f64>::randn(shape, &mut rng);
        let weights = Weights { w: draw(&[h, n])?.mul_lit(0.3)?, b: draw(&[h])?, v: draw(&[h])?.mul_lit(0.3)?, c: draw(&[1])? };
        let mut batches = Vec::new();
        for &m in &self.sizes {
            let (x, t) = (draw(&[m, n])?, draw(&[m])?);
            let ways: [Way; 4] = [scalars, vectors, batch, loops];
            let mut seconds = [0.0; 4];
            let mut gradients: Vec<Vec<f64>> = Vec::new();
            for (way, seconds) in ways.into_iter().zip(&mut seconds) {
                gradients.push(way(&weights, &x, &t)?);
                *seconds = self.median(|| way(&weights, &x, &t).map(drop))?;
            }
            let size = gradients[2].iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let difference = gradients.iter().map(|other| apart(other, &gradients[2])).fold(0.0, f64::max) / size.max(f64::MIN_POSITIVE);
            let [scalars, vectors, batch, loops] = seconds;
            batches.push(BatchTimes { examples: m, difference, scalars, vectors, batch, loops });
        }
        Ok(VectorisedReport { inputs: n, hidden: h, batches })
    }

    fn median(&self, mut f: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
        let mut times = Vec::new();
        for _ in 0..self.repeats.max(1) {
            let start = Instant::now();
            f()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}

/// The gradient of the loss by all weights, for inputs and targets.
type Way = fn(&Weights, &Tensor<f64>, &Tensor<f64>) -> Result<Vec<f64>, Error>;

struct Weights {
    w: Tensor<f64>,
    b: Tensor<f64>,
    v: Tensor<f64>,
    c: Tensor<f64>,
}

impl Weights {
    fn all(&self) -> [&Tensor<f64>; 4] {
        [&self.w, &self.b, &self.v, &self.c]
    }

    fn count(&self) -> usize {
        self.all().iter().map(|t| t.len()).sum()
    }
}

/// Adds the m-th part of a gradient to a sum.
fn add(sum: &mut [f64], gradient: impl IntoIterator<Item = f64>, m: usize) {
    for (sum, g) in sum.iter_mut().zip(gradient) {
        *sum += g / m as f64;
    }
}

/// Every number is a variable of its own, every product a node.
fn scalars(weights: &Weights, x: &Tensor<f64>, t: &Tensor<f64>) -> Result<Vec<f64>, Error> {
    let (n, h, m) = (weights.w.shape()[1], weights.b.len(), t.len());
    let mut sum = vec![0.0; weights.count()];
    let mut graph = Graph::<f64>::new();
    for (x, t) in x.as_slice().chunks_exact(n).zip(t.as_slice()) {
        graph.clear();
        let all: Vec<Var<'_, f64>> = weights.all().iter().flat_map(|t| t.as_slice()).map(|v| graph.variable(*v)).collect();
        let (w, rest) = all.split_at(n * h);
        let (b, rest) = rest.split_at(h);
        let (v, c) = rest.split_at(h);
        let mut y = c[0];
        for k in 0..h {
            let mut z = b[k];
            for (w, x) in w[k * n..][..n].iter().zip(x) {
                z += *w * *x;
            }
            y += v[k] * z.tanh();
        }
        let gradients = (y - *t).square().backward()?;
        let numbers = all.iter().map(|var| gradients.wrt(*var)?.item()).collect::<Result<Vec<_>, _>>()?;
        add(&mut sum, numbers, m);
    }
    Ok(sum)
}

/// Every example is a graph of vectors.
fn vectors(weights: &Weights, x: &Tensor<f64>, t: &Tensor<f64>) -> Result<Vec<f64>, Error> {
    let (n, m) = (weights.w.shape()[1], t.len());
    let mut sum = vec![0.0; weights.count()];
    let mut graph = Graph::<f64>::new();
    for (x, t) in x.as_slice().chunks_exact(n).zip(t.as_slice()) {
        graph.clear();
        let leaves = weights.all().map(|t| graph.variable(t));
        let [w, b, v, c] = leaves;
        let x = graph.constant(Tensor::new(x.to_vec(), [n])?);
        let loss = (v.dot((w.matmul(x) + b).tanh()) + c - *t).square().sum();
        let gradients = loss.backward()?;
        let mut numbers = Vec::with_capacity(sum.len());
        for leaf in leaves {
            numbers.extend_from_slice(gradients.wrt(leaf)?.as_slice());
        }
        add(&mut sum, numbers, m);
    }
    Ok(sum)
}

/// All examples are one matrix.
fn batch(weights: &Weights, x: &Tensor<f64>, t: &Tensor<f64>) -> Result<Vec<f64>, Error> {
    let graph = Graph::<f64>::new();
    let leaves = weights.all().map(|t| graph.variable(t));
    let [w, b, v, c] = leaves;
    let loss = (graph.constant(x).linear(w, b).tanh().matmul(v) + c - graph.constant(t)).square().mean();
    let gradients = loss.backward()?;
    let mut numbers = Vec::with_capacity(weights.count());
    for leaf in leaves {
        numbers.extend_from_slice(gradients.wrt(leaf)?.as_slice());
    }
    Ok(numbers)
}

/// No graph at all: the formulas of backpropagation, written by hand for this one network.
#[allow(clippy::unnecessary_wraps)] // as the other ways
fn loops(weights: &Weights, x: &Tensor<f64>, t: &Tensor<f64>) -> Result<Vec<f64>, Error> {
    let (n, h, m) = (weights.w.shape()[1], weights.b.len(), t.len());
    let [w, b, v, c] = weights.all().map(Tensor::as_slice);
    let mut sum = vec![0.0; weights.count()];
    let (dw, rest) = sum.split_at_mut(n * h);
    let (db, rest) = rest.split_at_mut(h);
    let (dv, dc) = rest.split_at_mut(h);
    let mut a = vec![0.0; h];
    for (x, t) in x.as_slice().chunks_exact(n).zip(t.as_slice()) {
        let mut y = c[0];
        for k in 0..h {
            let z: f64 = w[k * n..][..n].iter().zip(x).map(|(w, x)| w * x).sum();
            a[k] = (z + b[k]).tanh();
            y += v[k] * a[k];
        }
        let dy = 2.0 * (y - t) / m as f64;
        dc[0] += dy;
        for k in 0..h {
            dv[k] += dy * a[k];
            let dz = dy * v[k] * (1.0 - a[k] * a[k]);
            db[k] += dz;
            for (dw, x) in dw[k * n..][..n].iter_mut().zip(x) {
                *dw += dz * x;
            }
        }
    }
    Ok(sum)
}

/// The times for one number of examples, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchTimes {
    /// How many examples.
    pub examples: usize,
    /// The largest difference of two gradients, relative to their largest element.
    pub difference: f64,
    /// Scalar formulas on the graph, example by example.
    pub scalars: f64,
    /// Vectors, example by example.
    pub vectors: f64,
    /// One batch.
    pub batch: f64,
    /// Loops over plain numbers, without a graph.
    pub loops: f64,
}

/// What [`Vectorised`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorisedReport {
    /// The number of inputs.
    pub inputs: usize,
    /// The number of hidden neurons.
    pub hidden: usize,
    /// By number of examples.
    pub batches: Vec<BatchTimes>,
}

impl VectorisedReport {
    fn table(&self) -> Table {
        let header = ["examples", "scalars", "vectors", "batch", "by hand", "scalars ÷ batch", "vectors ÷ batch", "difference"];
        let mut table = Table::new(header);
        for b in &self.batches {
            let micro = |seconds: f64| format!("{:.1} µs", seconds * 1e6);
            let times = |a: f64| format!("{:.1}×", a / b.batch);
            let cells = [micro(b.scalars), micro(b.vectors), micro(b.batch), micro(b.loops), times(b.scalars), times(b.vectors)];
            table.row([b.examples.to_string()].into_iter().chain(cells).chain([number(b.difference)]));
        }
        table
    }

    /// The table, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.table().markdown()
    }

    /// The time of each way by the number of examples.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let by_size = |of: fn(&BatchTimes) -> f64| self.batches.iter().map(move |b| (b.examples as f64, of(b)));
        Chart::new(format!("One gradient: {} inputs, {} hidden neurons", self.inputs, self.hidden))
            .x(Axis::new("examples").log2())
            .y(Axis::new("time").log10().unit("s"))
            .with(Series::line("scalars, one by one", by_size(|b| b.scalars)))
            .with(Series::line("vectors, one by one", by_size(|b| b.vectors)))
            .with(Series::line("one batch", by_size(|b| b.batch)))
            .with(Series::line("by hand, no graph", by_size(|b| b.loops)))
            .to_svg()
    }
}

impl fmt::Display for VectorisedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs, {} hidden neurons; times as measured in this run:\n\n{}", self.inputs, self.hidden, self.table().text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_give_the_same_gradient() {
        let report = Vectorised::new().network(3, 5).sizes([1, 7, 32]).repeats(1).run().unwrap();
        assert!(report.batches.iter().all(|batch| batch.difference < 1e-13), "{report}");
        assert!(report.batches.iter().all(|b| [b.scalars, b.vectors, b.batch, b.loops].iter().all(|s| *s > 0.0)));
        assert!(report.to_svg().contains("one batch") && report.to_markdown().contains("| 32 |"));
    }

    #[test]
    fn sizes_of_0_are_refused() {
        assert!(Vectorised::new().sizes([0]).run().is_err() && Vectorised::new().network(0, 1).run().is_err());
    }
}
