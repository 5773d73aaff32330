//! Networks: W2, W3, W5 and W12 are training steps of an MLP, W9 is a product with the Hessian of one.

use autograd::{Graph, Indices, Tensor, Var, functional::hvp};
use nn::{
    Activation, Linear, Mlp, Module, Parameters, Perceptron, Sgd,
    data::Table,
    loss::{cross_entropy, mse},
};

use super::{Outcome, Work, at, filled};

/// An MLP and how it is trained.
struct Spec {
    sizes: Vec<usize>,
    batch: usize,
    lr: f64,
    hidden: Activation,
    last: Activation,
    /// The weights are uniform in `±scale/√fan_in`.
    scale: f64,
}

impl Spec {
    fn model(&self) -> Outcome<Mlp<f32>> {
        let mut layers = Vec::new();
        for (seed, size) in (11..).zip(self.sizes.windows(2)) {
            let (inputs, outputs) = (size[0], size[1]);
            let weight = filled::<f32>(seed, &[inputs, outputs], self.scale / (inputs as f64).sqrt())?.transpose(0, 1)?;
            let linear = Linear::from_tensors(weight, Some(Tensor::zeros([outputs])?))?;
            layers.push(Perceptron { linear, activation: self.hidden });
        }
        if let Some(last) = layers.last_mut() {
            last.activation = self.last;
        }
        Ok(Mlp { layers })
    }

    fn inputs(&self) -> Outcome<Tensor<f32>> {
        filled(1, &[self.batch, self.sizes[0]], 1.0)
    }

    fn targets(&self) -> Outcome<Tensor<f32>> {
        filled(2, &[self.batch, self.sizes[self.sizes.len() - 1]], 1.0)
    }

    fn labels(&self) -> Outcome<Indices> {
        Ok(Indices::new((0..self.batch).map(|i| i * 7 % 10).collect::<Vec<_>>(), [self.batch])?)
    }
}

/// Training steps with one graph that is used again.
struct Training<L> {
    graph: Graph<f32>,
    model: Mlp<f32>,
    optimizer: Sgd<f32>,
    inputs: Tensor<f32>,
    loss: L,
}

impl<L: for<'g> Fn(Var<'g, f32>) -> Var<'g, f32>> Training<L> {
    fn new(spec: &Spec, loss: L) -> Outcome<Self> {
        Ok(Training { graph: Graph::new(), model: spec.model()?, optimizer: Sgd::new(spec.lr), inputs: spec.inputs()?, loss })
    }

    fn step(&mut self) -> Outcome<Vec<f64>> {
        self.graph.clear();
        let y = self.model.forward(self.graph.constant(&self.inputs));
        let loss = (self.loss)(y);
        let grads = loss.backward()?;
        self.optimizer.step(&mut self.model, &grads)?;
        Ok(vec![f64::from(loss.item()?)])
    }
}

fn training(
    name: &str,
    spec: &Spec,
    (unit, convert): (&'static str, fn(f64) -> f64),
    loss: impl for<'g> Fn(Var<'g, f32>) -> Var<'g, f32> + 'static,
) -> Outcome<Work> {
    let mut training = Training::new(spec, loss)?;
    let mut numbers = Vec::new();
    for _ in 0..10 {
        numbers = training.step()?;
    }
    Ok(Work::new(name, ("train step", unit), convert, move || training.step().map(|_| numbers.clone())))
}

const MICROSECONDS: (&str, fn(f64) -> f64) = ("us", |s| s * 1e6);
const STEPS: (&str, fn(f64) -> f64) = ("steps/s", |s| 1.0 / s);

/// The squared error to some targets.
fn squared_error(targets: Tensor<f32>) -> impl for<'g> Fn(Var<'g, f32>) -> Var<'g, f32> {
    move |y| mse(y, y.graph().constant(&targets))
}

fn entropy(labels: Indices) -> impl for<'g> Fn(Var<'g, f32>) -> Var<'g, f32> {
    move |y| cross_entropy(y, &labels)
}

/// W2: 2-16-16-1, for one example and for a hundred.
pub(crate) fn tiny() -> Outcome<Vec<Work>> {
    let mut all = Vec::new();
    for batch in [1, 100] {
        let spec = Spec { sizes: vec![2, 16, 16, 1], batch, lr: 0.1, hidden: Activation::Tanh, last: Activation::Identity, scale: 1.0 };
        all.push(training(&format!("W2/b{batch}"), &spec, MICROSECONDS, squared_error(spec.targets()?))?);
        all.push(replayed(&format!("W2/b{batch}/replayed"), &spec)?);
    }
    Ok(all)
}

/// The same step recorded once, from the parameters to the parameters after it, and replayed.
fn replayed(name: &str, spec: &Spec) -> Outcome<Work> {
    let model = spec.model()?;
    // The variables of a graph live as long as it does; this one is needed until the end.
    let g: &'static Graph<f32> = Box::leak(Box::default());
    let parameters = model.bind_all(g);
    let targets = spec.targets()?;
    let loss = mse(model.forward(g.constant(spec.inputs()?)), g.constant(&targets));
    let slopes = g.grad(loss, &parameters);
    let after: Vec<Var<'_, f32>> = parameters.iter().zip(&slopes).map(|(p, slope)| *p - *slope * spec.lr).collect();
    let mut values = Vec::new();
    let mut step = move || -> Outcome<Vec<f64>> {
        let found = f64::from(loss.item()?);
        for after in &after {
            values.push(after.value()?);
        }
        let leaves: Vec<_> = parameters.iter().copied().zip(&values).collect();
        g.replay(&leaves)?;
        values.clear();
        Ok(vec![found])
    };
    let mut numbers = Vec::new();
    for _ in 0..10 {
        numbers = step()?;
    }
    let (unit, convert) = MICROSECONDS;
    Ok(Work::new(name, ("train step", unit), convert, move || step().map(|_| numbers.clone())))
}

/// W3: 784-512-256-10 with `ReLU` and cross-entropy, batches of 128.
pub(crate) fn classifier() -> Outcome<Vec<Work>> {
    let spec =
        Spec { sizes: vec![784, 512, 256, 10], batch: 128, lr: 0.01, hidden: Activation::Relu, last: Activation::Identity, scale: 1.0 };
    Ok(vec![training("W3", &spec, STEPS, entropy(spec.labels()?))?])
}

/// W5: fifty layers of 128, tanh, batches of 32.
pub(crate) fn deep() -> Outcome<Vec<Work>> {
    let spec = Spec { sizes: vec![128; 51], batch: 32, lr: 0.01, hidden: Activation::Tanh, last: Activation::Tanh, scale: 3f64.sqrt() };
    Ok(vec![training("W5", &spec, MICROSECONDS, squared_error(spec.targets()?))?])
}

/// W9: the product of a vector with the Hessian of an MLP 100-256-10.
pub(crate) fn curvature() -> Outcome<Vec<Work>> {
    let (x, y) = (filled::<f32>(1, &[64, 100], 1.0)?, filled::<f32>(2, &[64, 10], 1.0)?);
    let p = [filled::<f32>(11, &[100, 256], 0.1)?, Tensor::zeros([256])?, filled(12, &[256, 10], 1.0 / 16.0)?, Tensor::zeros([10])?];
    let v = [filled::<f32>(21, &[100, 256], 1.0)?, filled(22, &[256], 1.0)?, filled(23, &[256, 10], 1.0)?, filled(24, &[10], 1.0)?];
    let run = move || -> Outcome<Vec<f64>> {
        let h = hvp(
            |[w1, b1, w2, b2]| {
                let g = w1.graph();
                let out = (g.constant(&x).matmul(w1) + b1).tanh().matmul(w2) + b2;
                (out - g.constant(&y)).square().mean()
            },
            [&p[0], &p[1], &p[2], &p[3]],
            [&v[0], &v[1], &v[2], &v[3]],
        )?;
        Ok(vec![at(&h[0], 0), at(&h[1], 1), at(&h[2], 22), at(&h[3], 3)])
    };
    let (unit, convert) = MICROSECONDS;
    Ok(vec![Work::new("W9", ("hvp", unit), convert, run)])
}

/// W12: learns the digits for 20 epochs, from reading the file on.
pub(crate) fn digits(path: &str) -> Outcome<Vec<f64>> {
    let digits = {
        let table = Table::read(path)?;
        table.classification::<f32>(&table.columns_except(&["label"])?, "label")?
    };
    let inputs: Vec<f32> = digits.features().as_slice().iter().map(|v| v / 16.0).collect();
    let labels = digits.targets().as_slice();
    let spec = Spec { sizes: vec![64, 64, 10], batch: 32, lr: 0.1, hidden: Activation::Relu, last: Activation::Identity, scale: 1.0 };
    let mut model = spec.model()?;
    let mut optimizer = Sgd::new(spec.lr);
    let mut graph = Graph::new();
    let mut last = 0.0;
    for _ in 0..20 {
        for (x, y) in inputs.chunks_exact(32 * 64).zip(labels.chunks_exact(32)) {
            graph.clear();
            let y = Indices::new(y.to_vec(), [32])?;
            let logits = model.forward(graph.constant(Tensor::new(x.to_vec(), [32, 64])?));
            let loss = cross_entropy(logits, &y);
            let grads = loss.backward()?;
            optimizer.step(&mut model, &grads)?;
            last = f64::from(loss.item()?);
        }
    }
    Ok(vec![last])
}
