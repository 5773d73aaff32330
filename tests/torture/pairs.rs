//! Right functions, each with a twin whose gradient is planted with an error.

use autograd::{Graph, Indices, Tensor, Var, tensor};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{Case, Expect};

type Formula = for<'a, 'g> fn(&'a [Var<'g, f64>]) -> Var<'g, f64>;

/// A name, the point, the function, and what its twin suffers from.
type Pair = (&'static str, Vec<Tensor<f64>>, Formula, Plant);

/// What is done to the gradient of the first input.
#[derive(Clone, Copy)]
pub(super) enum Plant {
    /// All of it times a factor.
    Times(f64),
    /// One element times a factor.
    One(usize, f64),
    /// A number added to all of it.
    Plus(f64),
    /// The elements in the opposite order, as a transpose of a vector of vectors would be.
    Reversed,
    /// All elements are their mean, as if a reduction were shared out equally.
    Mean,
    /// No gradient where x < 0.
    OnlyAbove,
}

impl Plant {
    /// The same inputs, the gradient of whose first one is bent on its way out.
    pub(super) fn in_front_of<'a, 'g>(self, inputs: &'a [Var<'g, f64>]) -> &'a [Var<'g, f64>] {
        let x = inputs[0];
        let at = x.value().unwrap();
        let _ = x.on_grad(move |g| {
            let mut d = g.to_vec();
            match self {
                Plant::Times(factor) => d.iter_mut().for_each(|d| *d *= factor),
                Plant::One(i, factor) => d[i] *= factor,
                Plant::Plus(c) => d.iter_mut().for_each(|d| *d += c),
                Plant::Reversed => d.reverse(),
                Plant::Mean => {
                    let mean = d.iter().sum::<f64>() / d.len() as f64;
                    d.fill(mean);
                }
                Plant::OnlyAbove => d.iter_mut().zip(at.as_slice()).for_each(|(d, x)| *d = if *x < 0.0 { 0.0 } else { *d }),
            }
            Some(Tensor::new(d, g.shape()).unwrap())
        });
        inputs
    }
}

fn randn(seed: u64, shape: &[usize]) -> Tensor<f64> {
    Tensor::randn(shape, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

fn between(seed: u64, low: f64, high: f64, shape: &[usize]) -> Tensor<f64> {
    Tensor::uniform(low, high, shape, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

fn at(x: f64) -> Vec<Tensor<f64>> {
    vec![Tensor::scalar(x)]
}

/// Functions of one number: high frequencies, narrow features, edges of the domain, points and values of all sizes.
fn numbers() -> Vec<Pair> {
    use Plant::{Plus, Times};
    vec![
        ("sin at 1", at(1.0), |x| x[0].sin(), Times(2.0)),
        ("ln at 1e-3", at(1e-3), |x| x[0].ln(), Times(1.01)),
        ("ln at 1e8", at(1e8), |x| x[0].ln(), Times(2.0)),
        ("ln at 1e-8", at(1e-8), |x| x[0].ln(), Times(-1.0)),
        ("ln at 1e-5", at(1e-5), |x| x[0].ln(), Times(1.001)),
        ("exp(20x) at 0.5", at(0.5), |x| (x[0] * 20.0).exp(), Times(1.01)),
        ("sin(1000x) at 0.3", at(0.3), |x| (x[0] * 1000.0).sin(), Times(1.1)),
        ("x³ at 1e6", at(1e6), |x| x[0].powi(3), Times(1.01)),
        ("x³ at 1e10", at(1e10), |x| x[0].powi(3), Times(2.0)),
        ("1e6 + sin", at(1.0), |x| x[0].sin() + 1e6, Times(1.01)),
        ("1e9 + sin", at(1.0), |x| x[0].sin() + 1e9, Times(2.0)),
        ("sigmoid at 12", at(12.0), |x| x[0].sigmoid(), Times(2.0)),
        ("sqrt at 1e-6", at(1e-6), |x| x[0].sqrt(), Times(1.01)),
        ("sqrt at 1e12", at(1e12), |x| x[0].sqrt(), Times(2.0)),
        ("1/(1 + 1e6(x − 1)²) on the slope", at(1.0005), |x| ((x[0] - 1.0).square() * 1e6 + 1.0).recip(), Times(1.01)),
        ("sin at 1e6", at(1e6), |x| x[0].sin(), Times(2.0)),
        ("cos(1e5 x) at 1", at(1.0), |x| (x[0] * 1e5).cos(), Times(1.01)),
        ("tan at 1.57", at(1.57), |x| x[0].tan(), Times(1.01)),
        ("sigmoid(1e4(x − 1)) at 1", at(1.0), |x| ((x[0] - 1.0) * 1e4).sigmoid(), Times(2.0)),
        ("exp at 1e-10", at(1e-10), |x| x[0].exp(), Times(1.01)),
        ("exp at −700", at(-700.0), |x| x[0].exp(), Times(2.0)),
        ("x² at 0", at(0.0), |x| x[0].square(), Plus(1e-3)),
        ("x³ at 0", at(0.0), |x| x[0].powi(3), Plus(1.0)),
        ("x·|x| at 0", at(0.0), |x| x[0] * x[0].abs(), Plus(0.5)),
        ("sin at 0", at(0.0), |x| x[0].sin(), Times(0.5)),
        ("tanh(1e6 x) at 0", at(0.0), |x| (x[0] * 1e6).tanh(), Times(2.0)),
        ("1e-8·sin", at(1.0), |x| x[0].sin() * 1e-8, Times(2.0)),
        ("1e-6·x", at(3.0), |x| x[0] * 1e-6, Times(2.0)),
        ("1e-12·x²", at(0.7), |x| x[0].square() * 1e-12, Times(1.01)),
        ("1e12·sin", at(0.7), |x| x[0].sin() * 1e12, Times(1.01)),
        ("erf at 3", at(3.0), |x| x[0].erf(), Times(2.0)),
        ("asin near 1", at(0.999_999), |x| x[0].asin(), Times(1.01)),
        ("acosh near 1", at(1.000_001), |x| x[0].acosh(), Times(1.01)),
        ("atanh near −1", at(-0.999_999), |x| x[0].atanh(), Times(0.9)),
        ("sin(1/x) at 0.01", at(0.01), |x| x[0].recip().sin(), Times(1.01)),
        ("xˣ at 0.2", at(0.2), |x| x[0].pow(x[0]), Times(1.001)),
        ("(x + 1e8) − 1e8", at(0.5), |x| (x[0] + 1e8 - 1e8).square(), Times(1.5)),
        ("gelu at −3", at(-3.0), |x| x[0].gelu(), Times(1.01)),
        ("softplus at −30", at(-30.0), |x| x[0].softplus(), Times(2.0)),
        ("ln(1 + x) at −1 + 1e-9", at(1e-9 - 1.0), |x| x[0].ln_1p(), Times(1.01)),
        ("relu at 5e-7", at(5e-7), |x| x[0].relu(), Times(2.0)),
        ("relu at −1e-9", at(-1e-9), |x| x[0].relu(), Plus(0.5)),
        ("relu(x − 1) 1e-9 above 1", at(1.0 + 1e-9), |x| (x[0] - 1.0).relu(), Times(0.5)),
        ("|x| at 1e-12", at(1e-12), |x| x[0].abs(), Times(-1.0)),
        ("clamp at its edge less 1e-8", at(1.0 - 1e-8), |x| x[0].clamp(-1.0, 1.0), Times(0.0)),
        ("floor(x)·x at 2.5", at(2.5), |x| x[0].floor() * x[0], Times(2.0)),
        ("floor at 0.999999", at(0.999_999), |x| x[0].floor(), Plus(1.0)),
        ("relu at 0", at(0.0), |x| x[0].relu(), Plus(1.5)),
        ("|x| at 0", at(0.0), |x| x[0].abs(), Plus(1.01)),
        ("leaky relu at 0", at(0.0), |x| x[0].leaky_relu(0.1), Plus(1.0)),
        ("elu at 0", at(0.0), |x| x[0].elu(1.0), Plus(0.1)),
        ("clamp at its edge", at(1.0), |x| x[0].clamp(-1.0, 1.0), Plus(0.2)),
        ("max(x, −x)² + x at 0", at(0.0), |x| x[0].max(-x[0]).square() + x[0], Times(2.0)),
    ]
}

/// Functions of tensors.
fn tensors() -> Vec<Pair> {
    use Plant::{Mean, One, OnlyAbove, Plus, Reversed, Times};
    let logits = Tensor::new(vec![1e3, -1e3, 0.0, 999.0], [2, 2]).unwrap();
    vec![
        ("matmul", vec![randn(1, &[3, 4]), randn(2, &[4, 2])], |x| x[0].matmul(x[1]), Times(2.0)),
        ("matmul, one element", vec![randn(3, &[5, 5]), randn(4, &[5, 5])], |x| x[0].matmul(x[1]).tanh(), One(7, 2.0)),
        ("matmul, transposed gradient", vec![randn(5, &[4, 4]), randn(6, &[4, 4])], |x| x[0].matmul(x[1]).sum(), Reversed),
        ("bias that stretches", vec![randn(7, &[3]), randn(8, &[6, 3])], |x| (x[1] + x[0]).tanh(), Times(1.0 / 6.0)),
        ("bias of zeros", vec![Tensor::zeros([3]).unwrap(), randn(9, &[6, 3])], |x| (x[1] + x[0]).sigmoid().sum(), One(1, 1.01)),
        ("softmax", vec![randn(10, &[2, 4])], |x| x[0].softmax(-1), Times(1.01)),
        ("sum of softmax, whose gradient is 0", vec![randn(11, &[5])], |x| x[0].softmax(0).sum(), Plus(1e-3)),
        ("softmax of logits of 1e3", vec![logits.clone()], |x| x[0].softmax(-1), Plus(1e-2)),
        ("logsumexp of logits of 1e3", vec![logits], |x| x[0].logsumexp(-1, false), Times(2.0)),
        ("log_softmax", vec![randn(12, &[3, 5])], |x| x[0].log_softmax(-1), One(4, 0.5)),
        ("layer norm", vec![randn(13, &[3, 6])], |x| x[0].layer_norm(-1, 1e-5), Times(1.01)),
        ("rms norm", vec![randn(14, &[3, 6])], |x| x[0].rms_norm(-1, 1e-6), Reversed),
        ("mean", vec![randn(15, &[8])], |x| x[0].square().mean(), Times(8.0)),
        ("variance of numbers near 1e4", vec![between(16, 9999.0, 10001.0, &[6])], |x| x[0].var(0, 1.0, false), Times(1.01)),
        ("standard deviation", vec![randn(17, &[7])], |x| x[0].std(0, 1.0, false), One(3, -1.0)),
        ("norm", vec![randn(18, &[6])], |x| x[0].norm(2.0, .., false), Times(2.0)),
        ("product with a zero", vec![tensor![2.0, 0.0, -3.0]], |x| x[0].prod(), One(1, 1.01)),
        ("cumulative sum", vec![randn(19, &[6])], |x| x[0].cumsum(0).sin(), Reversed),
        ("cumulative product", vec![between(20, 0.5, 1.5, &[6])], |x| x[0].cumprod(0), One(0, 1.01)),
        (
            "index_select with repeats",
            vec![randn(21, &[4])],
            |x| x[0].index_select(0, &Indices::from(vec![0, 0, 2, 0])).sin(),
            One(0, 1.0 / 3.0),
        ),
        ("embedding", vec![randn(22, &[5, 3])], |x| x[0].embedding(&Indices::from(vec![1, 1, 4])).tanh(), One(4, 0.5)),
        ("sort", vec![randn(23, &[6])], |x| x[0].sort(0, false).sin(), Reversed),
        ("topk", vec![randn(24, &[6])], |x| x[0].topk(2, 0, true).square(), Plus(0.3)),
        ("max_pool2d", vec![randn(25, &[1, 1, 4, 4])], |x| x[0].max_pool2d(2).square(), Times(0.5)),
        ("avg_pool2d", vec![randn(26, &[1, 1, 4, 4])], |x| x[0].avg_pool2d(2).square(), Times(4.0)),
        ("conv1d", vec![randn(27, &[1, 2, 6]), randn(28, &[3, 2, 3])], |x| x[0].conv1d(x[1], autograd::Conv::default()), Reversed),
        ("max of ties", vec![tensor![1.0, 1.0, 0.0]], |x| x[0].amax(0, false), Plus(0.7)),
        ("max near a tie", vec![tensor![1.0, 1.0 + 1e-6]], |x| x[0].amax(0, false), Plus(0.5)),
        ("where", vec![randn(29, &[6])], |x| x[0].gt(0.0).select(x[0].square(), x[0] * 3.0), OnlyAbove),
        ("leaky relu", vec![randn(30, &[8])], |x| x[0].leaky_relu(0.1).square().sum(), OnlyAbove),
        (
            "dead relu layer",
            vec![between(31, 0.5, 1.0, &[4]), between(32, 0.5, 1.0, &[3, 4])],
            |x| (-x[1]).matmul(x[0]).relu().sum(),
            Plus(1e-2),
        ),
        ("masked_select", vec![randn(33, &[6])], |x| x[0].masked_select(x[0].gt(0.0)).square().sum(), Times(2.0)),
        ("one parameter used twice", vec![randn(34, &[3, 3])], |x| x[0].matmul(x[0]).tanh(), Times(0.5)),
        ("squared loss", vec![randn(35, &[6])], |x| (x[0] - 0.3).square().sum() * 0.5, Times(2.0)),
        ("batch loss times 1e-8", vec![randn(36, &[4, 3])], |x| x[0].tanh().square().mean() * 1e-8, Times(2.0)),
        ("gradients of 1e-6", vec![randn(37, &[10])], |x| x[0].sin().sum() * 1e-6, One(3, 2.0)),
        ("gradients of 1e-7 in a vector", vec![randn(38, &[40])], |x| x[0].exp() * 1e-7, Times(2.0)),
        ("determinant", vec![randn(39, &[3, 3])], |x| x[0].det(), Reversed),
        ("inverse", vec![randn(40, &[3, 3])], |x| x[0].inverse(), Times(-1.0)),
        (
            "scaled attention",
            vec![randn(41, &[3, 4]), randn(42, &[3, 4]), randn(43, &[3, 4])],
            |x| x[0].scaled_dot_product_attention(x[1], x[2], false),
            Times(2.0),
        ),
        ("large and small elements", vec![tensor![1e6, 1.0, 1e-6]], |x| x[0].square().ln().sum(), One(2, 1.01)),
        ("tiny element of a vector", vec![tensor![0.0, -50.0]], |x| x[0].exp(), One(1, 2.0)),
        (
            "small beside large",
            vec![between(44, -1e-4, 1e-4, &[5]), between(45, 500.0, 1500.0, &[5])],
            |x| x[1].square().sum() + x[0].sin().sum() * 1e-2,
            Times(2.0),
        ),
        ("means of batches", vec![randn(46, &[4, 5])], |x| x[0].sin().mean_axes(0, false), Times(4.0)),
        ("all elements their mean", vec![randn(47, &[6])], |x| x[0].square().sum(), Mean),
        ("hundred elements, one off by a percent", vec![randn(49, &[100])], |x| x[0].sin().sum(), One(77, 1.01)),
        ("hundred elements of very different slopes", vec![Tensor::linspace(-12.0, 4.0, 100).unwrap()], |x| x[0].exp(), One(2, 1.05)),
        ("offset of 1e6 in a network", vec![randn(50, &[3, 3]), randn(51, &[4, 3])], |x| x[1].matmul(x[0]).tanh().sum() + 1e6, Times(1.01)),
        (
            "30 layers",
            vec![randn(52, &[4, 4]), randn(53, &[3, 4])],
            |x| (0..30).fold(x[1], |h, _| h.matmul(x[0] * 0.4).tanh() + h * 0.5).sum(),
            Times(1.01),
        ),
        ("1,000 operations", at(0.3), |x| (0..500).fold(x[0], |h, _| (h * 1.01).sin()), Times(1.01)),
        ("x of length 0 beside y", vec![randn(54, &[3]), Tensor::zeros([0]).unwrap()], |x| x[0].sin().sum() + x[1].sum(), Times(2.0)),
    ]
}

/// Each function, and its twin.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, x, f, plant) in numbers().into_iter().chain(tensors()) {
        cases.push(Case::new(name.to_owned(), x.clone(), f, Expect::Right));
        cases.push(Case::new(format!("{name}, planted"), x, move |x| f(plant.in_front_of(x)), Expect::Wrong));
    }
    cases
}

/// A graph is needed to know what a formula is made of.
pub(super) fn value(case: &Case, x: &[Tensor<f64>]) -> Option<Vec<f64>> {
    let g = Graph::new();
    let leaves: Vec<_> = x.iter().map(|x| g.variable(x)).collect();
    (case.f)(&leaves).value().ok().map(|y| y.to_vec())
}
