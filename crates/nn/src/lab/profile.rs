//! Activations and gradients of a model, layer by layer, against what its weights lead to expect.

use std::fmt::{self, Write};

use autograd::{
    Graph, Real, Tensor, Var,
    plot::{Axis, Chart, Figure, Series},
};

use super::{
    gaussian::gaussian,
    table::{Table, number, optional, percent},
};
use crate::{activation::Activation, error::Error, mlp::Mlp, module::Module};

/// What went through one layer, and what came back.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerProfile {
    /// Its place, from 1.
    pub number: usize,
    /// f in a = f(z), z = x Wᵀ + b.
    pub activation: Activation,
    /// The number of inputs.
    pub inputs: usize,
    /// The number of neurons.
    pub neurons: usize,
    /// The mean of the activations a.
    pub mean: f64,
    /// The standard deviation of a.
    pub std: f64,
    /// √ of the mean of a².
    pub rms: f64,
    /// What [`gaussian`] leads to expect for it, from the weights and the data.
    pub expected_rms: Option<f64>,
    /// The share of activations where the slope is below a tenth of the largest, for sigmoid and tanh: those within 2.5% of an asymptote.
    pub saturated: Option<f64>,
    /// The share of neurons that give 0 for every row, for relu.
    pub dead: Option<f64>,
    /// √ of the mean of (dL/dz)².
    pub z_gradient: f64,
    /// That, divided by the same of the next layer.
    pub factor: Option<f64>,
    /// What [`gaussian`] leads to expect for the factor.
    pub expected_factor: Option<f64>,
    /// √ of the mean of w².
    pub weight: f64,
    /// √ of the mean of (dL/dw)².
    pub weight_gradient: f64,
}

/// What [`layers`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The layers, from the input to the output.
    pub layers: Vec<LayerProfile>,
    /// The loss.
    pub loss: f64,
    /// The learning rate that the sizes of updates are shown for, at first 0.1.
    pub learning_rate: f64,
}

/// Activations and gradients of a model on a batch, layer by layer.
///
/// `loss` gets the output of the model. For every layer: mean and size of the activations a = f(z), how many of them are saturated or dead,
/// the size of the gradients by z and by the weights, the ratio from layer to layer, and what is to be expected of activations and
/// gradients from the weights as they are, if these are independent of each other; see [`gaussian`]. Those of a trained model are not, and
/// there the difference says so; of weights that are all equal nothing is expected.
///
/// ```
/// use autograd::{Indices, Tensor};
/// use nn::{Activation, Init, Mlp, lab, loss::cross_entropy};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::<f32>::new(&[8, 32, 3], &[Activation::Relu, Activation::Identity], Init::he_normal(), &mut rng)?;
/// let (x, labels) = (Tensor::randn([60, 8], &mut rng)?, Indices::from((0..60).map(|i| i % 3).collect::<Vec<_>>()));
/// let profile = lab::layers(&model, &x, |y| cross_entropy(y, &labels))?;
/// assert_eq!(profile.layers.len(), 2);
/// assert!(profile.warnings().is_empty(), "{profile}");
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// What goes wrong in the model or in the loss.
#[track_caller]
pub fn layers<T: Real, L>(model: &Mlp<T>, x: &Tensor<T>, loss: L) -> Result<Profile, Error>
where
    L: for<'g> FnOnce(Var<'g, T>) -> Var<'g, T>,
{
    let graph = Graph::new();
    let mut a = graph.constant(x);
    let mut values = Vec::new();
    for layer in &model.layers {
        let z = layer.linear.forward(a).retain_grad();
        a = layer.activation.apply(z);
        values.push((z, a));
    }
    let loss = loss(a);
    let gradients = loss.backward()?;
    let mut profile = Profile { layers: Vec::new(), loss: loss.item()?.to_f64(), learning_rate: 0.1 };
    // E[a²] as the theory has it, and E[f′²] of the layer before.
    let mut expected = Some(square(x.as_slice()));
    for (number, (layer, (z, a))) in (1..).zip(model.layers.iter().zip(&values)) {
        let (weight, a, f) = (layer.linear.weight.value(), a.value()?, layer.activation);
        let &[neurons, inputs] = &**weight.shape() else { continue };
        let bias = layer.linear.bias.as_ref().map_or(0.0, |bias| square(bias.value().as_slice()));
        let are_equal = weight.len() > 1 && weight.as_slice().iter().all(|w| *w == weight.as_slice()[0]);
        let expected_before = expected.filter(|_| !are_equal);
        let q = expected_before.map(|before| inputs as f64 * square(weight.as_slice()) * before + bias).filter(|q| q.is_finite());
        let moments = q.map(|q| gaussian(f, q)).transpose()?.flatten();
        expected = moments.map(|moments| moments.value);
        let (mean, rms) = (mean(a.as_slice()), square(a.as_slice()).sqrt());
        profile.layers.push(LayerProfile {
            number,
            activation: f,
            inputs,
            neurons,
            mean,
            std: (rms * rms - mean * mean).max(0.0).sqrt(),
            rms,
            expected_rms: expected.map(f64::sqrt),
            saturated: saturated(f, a.as_slice()),
            dead: dead(f, a.as_slice(), neurons),
            z_gradient: square(gradients.wrt(*z)?.as_slice()).sqrt(),
            factor: None,
            // For now its own part; the next layer adds the weights.
            expected_factor: moments.map(|moments| moments.slope),
            weight: square(weight.as_slice()).sqrt(),
            weight_gradient: layer.linear.weight.grad(&gradients).map_or(0.0, |gradient| square(gradient.as_slice()).sqrt()),
        });
    }
    for k in 0..profile.layers.len() {
        let next = profile.layers.get(k + 1).cloned();
        let layer = &mut profile.layers[k];
        layer.factor = next.as_ref().map(|next| layer.z_gradient / next.z_gradient).filter(|factor| factor.is_finite());
        let slope = layer.expected_factor;
        layer.expected_factor = next.zip(slope).map(|(next, slope)| (next.neurons as f64 * slope).sqrt() * next.weight);
    }
    Ok(profile)
}

/// The mean of the squares.
fn square<T: Real>(numbers: &[T]) -> f64 {
    numbers.iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>() / numbers.len().max(1) as f64
}

fn mean<T: Real>(numbers: &[T]) -> f64 {
    numbers.iter().map(|v| v.to_f64()).sum::<f64>() / numbers.len().max(1) as f64
}

fn saturated<T: Real>(activation: Activation, a: &[T]) -> Option<f64> {
    // Between −1 and 1. The slope of tanh is 1 − a².
    let place: fn(f64) -> f64 = match activation {
        Activation::Sigmoid => |a| 2.0 * a - 1.0,
        Activation::Tanh => |a| a,
        _ => return None,
    };
    let n = a.iter().filter(|a| place(a.to_f64()).abs() > 0.95).count();
    Some(n as f64 / a.len().max(1) as f64)
}

fn dead<T: Real>(activation: Activation, a: &[T], neurons: usize) -> Option<f64> {
    if activation != Activation::Relu {
        return None;
    }
    let is_dead = |neuron: &usize| a.iter().skip(*neuron).step_by(neurons).all(|a| *a == T::ZERO);
    Some((0..neurons).filter(is_dead).count() as f64 / neurons as f64)
}

impl Profile {
    /// The same with updates for another learning rate.
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f64) -> Self {
        Profile { learning_rate, ..self }
    }

    /// How much a step of descent changes the weights of a layer, as a share of them: lr·‖dW‖ / ‖W‖.
    #[must_use]
    pub fn update(&self, layer: &LayerProfile) -> f64 {
        self.learning_rate * layer.weight_gradient / layer.weight
    }

    /// The gradient by z of the first layer, divided by that of the last layer but one, and the geometric mean of the factors between;
    /// `None` for fewer than three layers.
    #[must_use]
    pub fn shrinkage(&self) -> Option<(f64, f64)> {
        let [first, .., last, _] = &self.layers[..] else { return None };
        let ratio = first.z_gradient / last.z_gradient;
        let steps = self.layers.len().saturating_sub(2);
        (steps > 0).then(|| (ratio, ratio.powf(1.0 / steps as f64)))
    }

    /// What is wrong with these layers, in sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.vanishing());
        let over_half = |share: fn(&LayerProfile) -> Option<f64>| -> Vec<String> {
            self.layers.iter().filter(|layer| share(layer).is_some_and(|v| v > 0.5)).map(|layer| layer.number.to_string()).collect()
        };
        let saturated = over_half(|layer| layer.saturated);
        if !saturated.is_empty() {
            warnings.push(format!("more than half of the activations are saturated in {}: smaller weights would help", list(&saturated)));
        }
        let dead = over_half(|layer| layer.dead);
        if !dead.is_empty() {
            warnings.push(format!("more than half of the neurons are dead, 0 for every row, in {}", list(&dead)));
        }
        warnings
    }

    fn vanishing(&self) -> Option<String> {
        let (ratio, factor) = self.shrinkage()?;
        let n = self.layers.len() - 1;
        let word = match ratio {
            r if r == 0.0 || self.layers.iter().all(|layer| layer.z_gradient == 0.0) => {
                return Some("no gradient at all reaches the first layer".to_owned());
            }
            r if r.is_nan() => return Some("gradients are not finite".to_owned()),
            r if r < 1e-3 => "vanish",
            r if r > 1e3 => "explode",
            _ => return None,
        };
        let mut text = format!("gradients {word}: from layer {n} to layer 1 they change by a factor of {}", number(ratio));
        let _ = write!(text, ", which is {} for each layer", number(factor));
        let hidden = &self.layers[..n - 1];
        let logarithms: Option<Vec<f64>> = hidden.iter().map(|layer| layer.expected_factor.map(f64::ln)).collect();
        if let Some(logarithms) = logarithms {
            let expected = (logarithms.iter().sum::<f64>() / logarithms.len().max(1) as f64).exp();
            let _ = write!(text, "; from the weights, {} is to be expected", number(expected));
        }
        if word == "vanish" && hidden.iter().all(|layer| layer.activation == Activation::Sigmoid) {
            text += ". The slope of a sigmoid is at most 1/4";
        }
        Some(text)
    }

    fn table(&self) -> Table {
        let header = ["layer", "f", "mean", "std", "rms", "theory", "sat.", "dead", "rms dZ", "factor", "theory", "rms dW", "update"];
        let mut table = Table::new(header);
        for layer in &self.layers {
            table.row([
                layer.number.to_string(),
                layer.activation.to_string(),
                number(layer.mean),
                number(layer.std),
                number(layer.rms),
                optional(layer.expected_rms),
                percent(layer.saturated),
                percent(layer.dead),
                number(layer.z_gradient),
                optional(layer.factor),
                optional(layer.expected_factor),
                number(layer.weight_gradient),
                number(self.update(layer)),
            ]);
        }
        table
    }

    fn notes(&self) -> String {
        let mut text =
            format!("factor: rms dZ over that of the next layer; update: {} ‖dW‖/‖W‖; loss {}\n", self.learning_rate, number(self.loss));
        for warning in self.warnings() {
            let _ = writeln!(text, "warning: {warning}");
        }
        text
    }

    /// A table and the warnings, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        format!("{}\n{}", self.table().markdown(), self.notes().replace('\n', "\n\n"))
    }

    /// The sizes of activations and of gradients by layer, each with what is expected.
    #[must_use]
    pub fn to_svg(&self) -> String {
        Figure::new("Layer by layer").with_all(profile_charts([("measured", self)])).to_svg()
    }

    /// By layer, the gradients that the theory leads to expect, from that of the last layer on.
    fn expected_gradients(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        let mut at = self.layers.last().map(|layer| layer.z_gradient);
        for (k, layer) in self.layers.iter().rev().enumerate() {
            if k > 0 {
                at = at.zip(layer.expected_factor).map(|(at, factor)| at * factor);
            }
            points.extend(at.map(|at| (layer.number as f64, at)));
        }
        points.reverse();
        points
    }
}

/// Two charts of several models: activations and gradients by layer, with what is expected in grey.
pub(super) fn profile_charts<'a>(profiles: impl IntoIterator<Item = (&'a str, &'a Profile)> + Clone) -> [Chart; 2] {
    let along = |of: fn(&LayerProfile) -> f64, profile: &Profile| -> Vec<(f64, f64)> {
        profile.layers.iter().map(|layer| (layer.number as f64, of(layer))).collect()
    };
    let chart = |title: &str, label: &str| Chart::new(title).x(Axis::new("layer").whole()).y(Axis::new(label).log10());
    let mut activations = chart("Activations on the way forward", "rms of a");
    let mut gradients = chart("Gradients on the way back", "rms of dL/dz");
    for (_, profile) in profiles.clone() {
        let expected = profile.layers.iter().filter_map(|layer| Some((layer.number as f64, layer.expected_rms?)));
        activations = activations.with(Series::reference("", expected));
        gradients = gradients.with(Series::reference("", profile.expected_gradients()));
    }
    for (name, profile) in profiles {
        activations = activations.with(Series::line(name, along(|layer| layer.rms, profile)));
        gradients = gradients.with(Series::line(name, along(|layer| layer.z_gradient, profile)));
    }
    [activations, gradients].map(|chart| chart.with(Series::reference("theory", [])))
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.table().text(), self.notes())
    }
}

/// "layer 3", or "layers 1, 2, 5".
fn list(numbers: &[String]) -> String {
    format!("layer{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;
    use crate::{linear::Linear, perceptron::Perceptron};

    fn layer(weight: Tensor<f64>, activation: Activation) -> Perceptron<f64> {
        Perceptron { linear: Linear::from_tensors(weight, None).unwrap(), activation }
    }

    #[test]
    fn a_network_by_hand() {
        let first = layer(tensor![[1.0, 0.0], [0.0, -1.0]], Activation::Relu);
        let model = Mlp { layers: vec![first, layer(tensor![[2.0, 1.0]], Activation::Identity)] };
        // z = [1 −2; 3 −4], a = [1 0; 3 0], y = [2; 6], dz = [2 0; 2 0], dW = [8 12; 0 0]
        let profile = layers(&model, &tensor![[1.0, 2.0], [3.0, 4.0]], |y| y.sum()).unwrap();
        let [hidden, output] = &profile.layers[..] else { panic!("{profile}") };
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        close(profile.loss, 8.0);
        close(hidden.mean, 1.0);
        close(hidden.rms, 2.5f64.sqrt());
        close(hidden.std, 1.5f64.sqrt());
        close(hidden.dead.unwrap(), 0.5);
        close(hidden.z_gradient, 2f64.sqrt());
        close(hidden.factor.unwrap(), 2f64.sqrt());
        close(hidden.weight_gradient, 52f64.sqrt());
        close(profile.clone().with_learning_rate(0.5).update(hidden), 0.5 * 104f64.sqrt());
        close(output.weight_gradient, 8f64.sqrt());
        // E[z²] = 2·½·7.5, of which relu passes half; on the way back, 1 neuron · 2.5 · ½.
        close(hidden.expected_rms.unwrap(), 3.75f64.sqrt());
        close(hidden.expected_factor.unwrap(), 1.25f64.sqrt());
        assert_eq!((output.factor, output.expected_factor, hidden.saturated, output.dead), (None, None, None, None));
    }

    #[test]
    fn saturated_is_where_the_slope_is_below_a_tenth_of_the_largest() {
        for (activation, x) in [(Activation::Tanh, 1.0), (Activation::Sigmoid, 2.0)] {
            // tanh(1.83) = 0.950, and σ(z) = ½ (1 + tanh(z/2)).
            let model = Mlp { layers: vec![layer(tensor![[x]], activation)] };
            let profile = layers(&model, &tensor![[1.8], [-1.8], [1.9], [-1.9]], |y| y.sum()).unwrap();
            assert_eq!(profile.layers[0].saturated, Some(0.5), "{profile}");
        }
    }
}
