//! The same network on the same data from different initial weights.

use std::fmt::{self, Write};

use autograd::{
    Graph, Indices, Tensor,
    plot::{Axis, Chart, Figure, Series, sparkline},
};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{
    profile::{LayerProfile, Profile, layers, profile_charts},
    table::{Table, number, optional},
};
use crate::{
    activation::Activation,
    data::{Classification, Dataset},
    error::Error,
    init::Init,
    linear::Linear,
    loss::cross_entropy,
    metrics,
    mlp::Mlp,
    module::Module,
    optim::Sgd,
    perceptron::Perceptron,
};

/// A rule for initial weights, under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The name in tables and pictures.
    pub name: String,
    /// The rule.
    pub init: Init,
    /// The gain that it is given, whatever the activation: 1 for the rule as Glorot wrote it, √2 for He's.
    pub gain: f64,
}

impl Start {
    /// A rule under a name, with gain 1.
    #[must_use]
    pub fn new(name: impl Into<String>, init: Init) -> Self {
        Start { name: name.into(), init, gain: 1.0 }
    }

    /// The same with another gain.
    #[must_use]
    pub fn gain(self, gain: f64) -> Self {
        Start { gain, ..self }
    }
}

/// The same network, on the same data, from different initial weights: losses, the symmetry of hidden neurons, and the size of activations
/// and gradients by layer.
///
/// A network of equal hidden layers, trained by full-batch descent with the cross-entropy as loss. The first hidden layer is watched: two
/// of its neurons are the same if their rows of weights, their biases, and the weights by which they are used in the next layer are the
/// same, bit by bit. Then they give the same value, get the same gradient, and stay the same for ever: a layer of 32 such neurons is a
/// layer of one.
///
/// ```
/// use nn::{Activation, Init, lab::{Initialisation, Start, rings}};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let data = rings(40, &mut ChaCha8Rng::seed_from_u64(0))?;
/// let starts = [Start::new("constant", Init::Constant(0.1)), Start::new("Xavier", Init::XavierUniform)];
/// let lab = Initialisation::new().hidden([8]).activation(Activation::Tanh).starts(starts).steps(20);
/// let report = lab.run(&data)?;
/// assert_eq!(report.runs[0].distinct.last(), Some(&1)); // still one neuron, eight times
/// assert_eq!(report.runs[0].gradient_spread, [0.0; 20]); // because its gradients were the same in every step
/// assert_eq!(report.runs[1].distinct.last(), Some(&8));
/// println!("{report}");
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Initialisation {
    hidden: Vec<usize>,
    activation: Activation,
    starts: Vec<Start>,
    steps: usize,
    learning_rate: f64,
    seed: u64,
}

impl Default for Initialisation {
    fn default() -> Self {
        Initialisation::new()
    }
}

impl Initialisation {
    /// Six hidden layers of 32 with relu, 200 steps with learning rate 0.1, from six starts: all 0, all 0.1, uniform on ±0.01, normal with
    /// deviation 1, Glorot's rule with gain 1, and He's with gain √2.
    #[must_use]
    pub fn new() -> Self {
        let starts = vec![
            Start::new("zero", Init::Zeros),
            Start::new("constant 0.1", Init::Constant(0.1)),
            Start::new("small ±0.01", Init::uniform_in(-0.01, 0.01)),
            Start::new("large N(0, 1)", Init::Normal { mean: 0.0, std: 1.0 }),
            Start::new("Xavier", Init::XavierUniform),
            Start::new("He", Init::he_normal()).gain(std::f64::consts::SQRT_2),
        ];
        Initialisation { hidden: vec![32; 6], activation: Activation::Relu, starts, steps: 200, learning_rate: 0.1, seed: 0 }
    }

    /// The sizes of the hidden layers, at least one.
    #[must_use]
    pub fn hidden(self, hidden: impl Into<Vec<usize>>) -> Self {
        Initialisation { hidden: hidden.into(), ..self }
    }

    /// The activation of the hidden layers.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Initialisation { activation, ..self }
    }

    /// The rules to compare.
    #[must_use]
    pub fn starts(self, starts: impl Into<Vec<Start>>) -> Self {
        Initialisation { starts: starts.into(), ..self }
    }

    /// How many steps of descent.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Initialisation { steps, ..self }
    }

    /// Their learning rate.
    #[must_use]
    pub fn learning_rate(self, learning_rate: f64) -> Self {
        Initialisation { learning_rate, ..self }
    }

    /// What decides the weights.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Initialisation { seed, ..self }
    }

    /// Trains from all starts.
    ///
    /// # Errors
    /// [`Error::Config`] for no hidden layer, features that are no matrix, and rules that are no distribution.
    pub fn run(&self, data: &Classification<f64>) -> Result<InitialisationReport, Error> {
        if self.hidden.is_empty() {
            return Err(Error::config("no hidden layer", "the symmetry of hidden neurons needs at least one"));
        }
        let runs = self.starts.iter().map(|start| self.run_one(start, data)).collect::<Result<_, _>>()?;
        Ok(InitialisationReport { activation: self.activation, hidden: self.hidden.clone(), learning_rate: self.learning_rate, runs })
    }

    fn model(&self, start: &Start, data: &Classification<f64>) -> Result<Mlp<f64>, Error> {
        let &[_, inputs] = &**data.features().shape() else {
            return Err(Error::config(format!("features of shape {}", data.features().shape()), "a matrix is needed, [rows, features]"));
        };
        let classes = data.targets().as_slice().iter().max().map_or(1, |largest| largest + 1);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let sizes: Vec<usize> = [inputs].into_iter().chain(self.hidden.iter().copied()).chain([classes]).collect();
        let mut layers = Vec::new();
        for (k, pair) in sizes.windows(2).enumerate() {
            let activation = if k < self.hidden.len() { self.activation } else { Activation::Identity };
            layers.push(Perceptron { linear: Linear::with_gain(pair[0], pair[1], start.init, start.gain, &mut rng)?, activation });
        }
        Ok(Mlp { layers })
    }

    fn run_one(&self, start: &Start, data: &Classification<f64>) -> Result<StartRun, Error> {
        let mut model = self.model(start, data)?;
        let labels = data.targets();
        let profile = |model: &Mlp<f64>| -> Result<Profile, Error> {
            Ok(layers(model, data.features(), |y| cross_entropy(y, labels))?.with_learning_rate(self.learning_rate))
        };
        let before = profile(&model)?;
        let mut run = StartRun {
            start: start.clone(),
            before,
            after: None,
            losses: Vec::new(),
            distinct: vec![distinct(&model)],
            weight_spread: vec![weight_spread(&model)],
            gradient_spread: Vec::new(),
            accuracy: None,
            diverged: None,
        };
        let mut sgd = Sgd::new(self.learning_rate);
        for step in 1..=self.steps {
            let graph = Graph::new();
            let loss = cross_entropy(model.forward(graph.constant(data.features())), labels);
            let (value, gradients) = (loss.item()?, loss.backward()?);
            run.losses.push(value);
            let first = model.layers[0].linear.weight.grad(&gradients);
            run.gradient_spread.push(first.map_or(0.0, spread));
            match sgd.step(&mut model, &gradients) {
                _ if !value.is_finite() => run.diverged = Some(step),
                Err(Error::NonFiniteStep { .. }) => run.diverged = Some(step),
                other => drop(other?),
            }
            if run.diverged.is_some() {
                return Ok(run);
            }
            run.distinct.push(distinct(&model));
            run.weight_spread.push(weight_spread(&model));
        }
        run.after = Some(profile(&model)?);
        let graph = Graph::new();
        let output = model.forward(graph.constant(data.features())).value()?;
        run.accuracy = Some(metrics::accuracy(&metrics::argmax(&output)?, labels)?);
        Ok(run)
    }
}

/// How many different neurons the first layer has: different in a weight, in the bias, or in a weight of the next layer.
fn distinct(model: &Mlp<f64>) -> usize {
    let weight = |k: usize| model.layers.get(k).map(|layer| layer.linear.weight.value());
    let Some((first, next)) = weight(0).zip(weight(1)) else { return 0 };
    let (&[neurons, inputs], bias) = (&**first.shape(), &model.layers[0].linear.bias) else { return 0 };
    let bits = |v: &f64| v.to_bits();
    let mut all: Vec<Vec<u64>> = (0..neurons)
        .map(|k| {
            let incoming = first.as_slice()[k * inputs..][..inputs].iter().map(bits);
            let outgoing = next.as_slice().iter().skip(k).step_by(neurons).map(bits);
            let bias = bias.as_ref().and_then(|bias| bias.value().as_slice().get(k)).map(bits);
            incoming.chain(outgoing).chain(bias).collect()
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

/// The largest difference of two rows, in any column.
fn spread(matrix: &Tensor<f64>) -> f64 {
    let &[_, columns] = &**matrix.shape() else { return 0.0 };
    let range = |column: usize| {
        let entries = || matrix.as_slice().iter().skip(column).step_by(columns).copied();
        entries().fold(f64::NEG_INFINITY, f64::max) - entries().fold(f64::INFINITY, f64::min)
    };
    (0..columns).map(range).fold(0.0, f64::max)
}

fn weight_spread(model: &Mlp<f64>) -> f64 {
    model.layers.first().map_or(0.0, |layer| spread(layer.linear.weight.value()))
}

/// Training from one start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartRun {
    /// The rule.
    pub start: Start,
    /// All layers before the first step.
    pub before: Profile,
    /// All layers after the last step, unless training diverged.
    pub after: Option<Profile>,
    /// The loss before each step.
    pub losses: Vec<f64>,
    /// How many different neurons the first hidden layer has, before the first step and after each.
    pub distinct: Vec<usize>,
    /// The largest difference between the weights of two of its neurons, at the same times.
    pub weight_spread: Vec<f64>,
    /// The largest difference between the gradients of two of its neurons, in each step.
    pub gradient_spread: Vec<f64>,
    /// The share of rows that are right at the end.
    pub accuracy: Option<f64>,
    /// The step in which loss or weights became infinite or NaN.
    pub diverged: Option<usize>,
}

impl StartRun {
    fn outcome(&self) -> String {
        match (self.diverged, self.losses.last()) {
            (Some(step), _) => format!("diverged in step {step}"),
            (None, Some(loss)) => number(*loss),
            (None, None) => "–".to_owned(),
        }
    }

    /// Whether the neurons of the first hidden layer are still all the same, and by how much not, in a sentence.
    #[must_use]
    pub fn symmetry(&self) -> String {
        let largest = |numbers: &[f64]| numbers.iter().copied().fold(0.0, f64::max);
        let (weights, gradients) = (largest(&self.weight_spread), largest(&self.gradient_spread));
        let neurons = self.before.layers.first().map_or(0, |layer| layer.neurons);
        let (steps, distinct) = (self.gradient_spread.len(), self.distinct.last().copied().unwrap_or(0));
        let name = &self.start.name;
        if distinct == 1 {
            return format!(
                "{name}: neurons 1 … {neurons} of layer 1 have equal rows in W and equal dW in steps 1 … {steps}: \
                 largest difference {} and {}",
                number(weights),
                number(gradients)
            );
        }
        let last = self.weight_spread.last().copied().unwrap_or(0.0);
        format!("{name}: {distinct} different neurons of {neurons} after {steps} steps; their weights differ by up to {}", number(last))
    }
}

/// What [`Initialisation`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialisationReport {
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// The sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// The learning rate.
    pub learning_rate: f64,
    /// Training from each start, in order.
    pub runs: Vec<StartRun>,
}

impl InitialisationReport {
    fn losses(&self) -> Table {
        let mut table = Table::new(["start", "first loss", "last loss", "accuracy", "distinct neurons", "gradient in layer 1"]);
        for run in &self.runs {
            let neurons = run.before.layers.first().map_or(0, |layer| layer.neurons);
            table.row([
                run.start.name.clone(),
                optional(run.losses.first().copied()),
                run.outcome(),
                super::table::percent(run.accuracy),
                format!("{} of {neurons}", run.distinct.last().copied().unwrap_or(0)),
                optional(run.before.layers.first().map(|layer| layer.weight_gradient)),
            ]);
        }
        table
    }

    /// By layer, the variance of activations and gradients of each start before training, and what is expected.
    fn variances(&self, rows: usize, of: impl Fn(&LayerProfile) -> (Option<f64>, Option<f64>)) -> Table {
        let names = self.runs.iter().flat_map(|run| [run.start.name.clone(), "theory".to_owned()]);
        let mut table = Table::new(["layer".to_owned()].into_iter().chain(names));
        for k in 0..rows {
            let cells = self.runs.iter().flat_map(|run| match run.before.layers.get(k).map(&of) {
                Some((found, expected)) => [optional(found), optional(expected)],
                None => [String::new(), String::new()],
            });
            table.row([(k + 1).to_string()].into_iter().chain(cells));
        }
        table
    }

    /// The tables with their titles.
    fn tables(&self) -> [(String, Table); 3] {
        let square = |v: f64| v * v;
        let hidden = format!("hidden layers {:?}, {}, learning rate {}", self.hidden, self.activation, self.learning_rate);
        let depth = self.hidden.len();
        [
            (format!("Training ({hidden})"), self.losses()),
            (
                "E[a²] by layer before training".to_owned(),
                self.variances(depth + 1, move |l| (Some(square(l.rms)), l.expected_rms.map(square))),
            ),
            (
                "E[dz²] of a layer over that of the next, before training".to_owned(),
                self.variances(depth, move |l| (l.factor.map(square), l.expected_factor.map(square))),
            ),
        ]
    }

    fn proofs(&self) -> Vec<String> {
        self.runs.iter().map(StartRun::symmetry).collect()
    }

    /// The tables and the proofs, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for (title, table) in self.tables() {
            let _ = writeln!(text, "**{title}**\n\n{}", table.markdown());
        }
        for line in self.proofs() {
            let _ = writeln!(text, "- {line}");
        }
        text
    }

    /// Losses, the number of different neurons, and activations and gradients by layer.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let by_step = |of: &dyn Fn(&StartRun) -> Vec<f64>| -> Vec<Series> {
            let points = |run: &StartRun| of(run).into_iter().enumerate().map(|(k, v)| (k as f64, v)).collect::<Vec<_>>();
            self.runs.iter().map(|run| Series::line(&run.start.name, points(run))).chain([Series::reference("theory", [])]).collect()
        };
        // What explodes leaves the picture.
        let first = self.runs.iter().filter_map(|run| run.losses.first()).copied().fold(f64::INFINITY, f64::min);
        let least = self.runs.iter().flat_map(|run| &run.losses).copied().fold(f64::INFINITY, f64::min);
        let axis = Axis::new("cross-entropy").log10().range(0.8 * least, 4.0 * first);
        let losses = Chart::new("Loss").x("step").y(axis).with_all(by_step(&|run| run.losses.clone()));
        let distinct = by_step(&|run| run.distinct.iter().map(|n| *n as f64).collect());
        let distinct =
            Chart::new("Different neurons in the first hidden layer").x("step").y(Axis::new("neurons").log2()).with_all(distinct);
        let profiles: Vec<(&str, &Profile)> = self.runs.iter().map(|run| (run.start.name.as_str(), &run.before)).collect();
        let title = "The same network from different initial weights";
        Figure::new(title).with(losses).with(distinct).with_all(profile_charts(profiles)).to_svg()
    }
}

impl fmt::Display for InitialisationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, table) in self.tables() {
            writeln!(f, "{title}:\n\n{}", table.text())?;
        }
        writeln!(f, "losses on a logarithmic scale, each for itself:\n")?;
        for run in &self.runs {
            let every = run.losses.len().div_ceil(40).max(1);
            writeln!(f, "{:>14}  {}", run.start.name, sparkline(run.losses.iter().step_by(every).map(|loss| loss.ln())))?;
        }
        writeln!(f, "\nsymmetry:\n")?;
        self.proofs().iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Points of two classes in the plane, `n` in all: inside a circle, and in a ring around it. No straight line parts them.
///
/// ```
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let data = nn::lab::rings(100, &mut ChaCha8Rng::seed_from_u64(0))?;
/// assert_eq!((data.len(), data.features().shape().to_vec()), (100, vec![100, 2]));
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// Those of [`Tensor::new`].
pub fn rings(n: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Classification<f64>, Error> {
    let draws = Tensor::<f64>::uniform(0.0, 1.0, [n, 2], rng)?;
    let mut points = Vec::with_capacity(2 * n);
    for (k, draw) in draws.as_slice().chunks_exact(2).enumerate() {
        let inner = if k % 2 == 0 { 0.0 } else { 1.2 };
        let (radius, angle) = (inner + 0.8 * draw[0], std::f64::consts::TAU * draw[1]);
        points.extend([radius * angle.cos(), radius * angle.sin()]);
    }
    Dataset::new(Tensor::new(points, [n, 2])?, Indices::from((0..n).map(|k| k % 2).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(activation: Activation, start: Start) -> StartRun {
        let data = rings(60, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let lab = Initialisation::new().hidden([16, 8]).activation(activation).starts([start]).steps(30);
        lab.run(&data).unwrap().runs.remove(0)
    }

    #[test]
    fn zeros_stay_one_neuron_for_ever() {
        for activation in [Activation::Sigmoid, Activation::Tanh, Activation::Relu] {
            let run = report(activation, Start::new("zero", Init::Zeros));
            assert_eq!(run.distinct, [1; 31], "{activation}");
            assert_eq!((run.weight_spread, run.gradient_spread), (vec![0.0; 31], vec![0.0; 30]), "{activation}");
        }
    }

    #[test]
    fn equal_weights_are_trained_and_stay_equal() {
        // Not because nothing happens, as with zeros and relu: the weights move.
        let run = report(Activation::Tanh, Start::new("constant", Init::Constant(0.1)));
        assert_eq!(run.distinct, [1; 31]);
        let after = run.after.as_ref().unwrap();
        assert!(after.layers[0].weight != run.before.layers[0].weight && after.layers[0].weight_gradient > 1e-4, "{after}");
        assert!(
            run.symmetry()
                .contains("neurons 1 … 16 of layer 1 have equal rows in W and equal dW in steps 1 … 30: largest difference 0 and 0")
        );
    }

    #[test]
    fn random_weights_make_all_neurons_different() {
        let run = report(Activation::Tanh, Start::new("Xavier", Init::XavierUniform));
        assert_eq!(run.distinct, [16; 31]);
        assert!(run.gradient_spread.iter().all(|v| *v > 0.0));
    }

    #[test]
    fn variances_by_layer_follow_the_theory() {
        let data = Dataset::new(
            Tensor::randn([100, 64], &mut ChaCha8Rng::seed_from_u64(3)).unwrap(),
            Indices::from((0..100).map(|k| k % 4).collect::<Vec<_>>()),
        );
        let run = |activation| {
            let starts = [Start::new("Xavier", Init::XavierNormal), Start::new("He", Init::he_normal()).gain(std::f64::consts::SQRT_2)];
            let lab = Initialisation::new().hidden([128; 3]).activation(activation).starts(starts).steps(0);
            lab.run(data.as_ref().unwrap()).unwrap()
        };
        for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid] {
            for run in run(activation).runs {
                for layer in &run.before.layers[..3] {
                    let (found, expected) =
                        (layer.rms / layer.expected_rms.unwrap(), layer.factor.unwrap() / layer.expected_factor.unwrap());
                    assert!((found - 1.0).abs() < 0.15 && (expected - 1.0).abs() < 0.35, "{activation} {}: {layer:?}", run.start.name);
                }
            }
        }
    }

    #[test]
    fn what_explodes_is_said_and_stops() {
        let data = rings(40, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let start = Start::new("huge", Init::Normal { mean: 0.0, std: 1e60 });
        let report = Initialisation::new().starts([start]).steps(5).run(&data);
        // Either the first loss is not finite, or a step would not be.
        if let Ok(report) = report {
            assert!(report.runs[0].diverged.is_some() && report.to_string().contains("diverged in step"));
        }
        assert!(Initialisation::new().hidden([]).run(&data).is_err());
    }
}
