//! Gradients that shrink with depth.

use std::fmt::{self, Write};

use autograd::{
    Indices, Tensor,
    plot::{Axis, Chart, Figure, Series, sparkline},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{
    profile::{Profile, layers, profile_charts},
    table::{Table, number},
};
use crate::{activation::Activation, error::Error, init::Init, loss::cross_entropy, mlp::Mlp};

/// Networks of several depths, one kind of activation each: how the size of the gradient changes from the last hidden layer to the first.
///
/// Each has hidden layers of equal width and a linear layer with ten outputs; inputs are normal numbers, labels are 0, 1, …, 9 in turn, the
/// loss is the cross-entropy. Nothing is trained: this is the first step. Without [`init`](Vanishing::init), sigmoid and tanh have Glorot's
/// uniform rule with the gain of [`Activation::gain`], and all others He's normal rule. For a model of your own, see [`layers`].
///
/// ```
/// use nn::{Activation, lab::Vanishing};
/// let report = Vanishing::new().width(16).depths([2, 8]).activations([Activation::Sigmoid]).run()?;
/// let deep = &report.runs[1];
/// let (ratio, factor) = deep.profile.shrinkage().unwrap();
/// assert_eq!(deep.depth, 8);
/// assert!(ratio < 1e-3 && factor < 0.35, "{report}");
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vanishing {
    activations: Vec<Activation>,
    depths: Vec<usize>,
    width: usize,
    batch: usize,
    init: Option<Init>,
    seed: u64,
}

impl Default for Vanishing {
    fn default() -> Self {
        Vanishing::new()
    }
}

impl Vanishing {
    /// Sigmoid, tanh and relu, from 1 to 30 hidden layers of 64 neurons, on 128 rows.
    #[must_use]
    pub fn new() -> Self {
        let activations = vec![Activation::Sigmoid, Activation::Tanh, Activation::Relu];
        Vanishing { activations, depths: vec![1, 2, 3, 5, 10, 20, 30], width: 64, batch: 128, init: None, seed: 0 }
    }

    /// Which activations.
    #[must_use]
    pub fn activations(self, activations: impl Into<Vec<Activation>>) -> Self {
        Vanishing { activations: activations.into(), ..self }
    }

    /// Which numbers of hidden layers.
    #[must_use]
    pub fn depths(self, depths: impl Into<Vec<usize>>) -> Self {
        Vanishing { depths: depths.into(), ..self }
    }

    /// How many neurons a hidden layer has, and how many numbers an input.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Vanishing { width, ..self }
    }

    /// How many rows the batch has.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Vanishing { batch, ..self }
    }

    /// One rule for the weights of all.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Vanishing { init: Some(init), ..self }
    }

    /// What decides all that is random.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Vanishing { seed, ..self }
    }

    /// Measures all of them.
    ///
    /// # Errors
    /// [`Error::Config`] for a width, a depth or a batch of 0.
    pub fn run(&self) -> Result<VanishingReport, Error> {
        if self.batch == 0 || self.depths.contains(&0) {
            return Err(Error::config(format!("{} rows and depths {:?}", self.batch, self.depths), "neither may be 0"));
        }
        let mut report = VanishingReport { runs: Vec::new() };
        let labels = Indices::from((0..self.batch).map(|row| row % 10).collect::<Vec<_>>());
        for &activation in &self.activations {
            let usual = if matches!(activation, Activation::Sigmoid | Activation::Tanh) { Init::XavierUniform } else { Init::he_normal() };
            for &depth in &self.depths {
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                let x = Tensor::<f64>::randn([self.batch, self.width], &mut rng)?;
                let (mut sizes, mut activations) = (vec![self.width; depth + 1], vec![activation; depth]);
                sizes.push(10);
                activations.push(Activation::Identity);
                let model = Mlp::new(&sizes, &activations, self.init.unwrap_or(usual), &mut rng)?;
                let profile = layers(&model, &x, |y| cross_entropy(y, &labels))?;
                report.runs.push(DepthRun { activation, depth, profile });
            }
        }
        Ok(report)
    }
}

/// One network.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthRun {
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// How many hidden layers there are.
    pub depth: usize,
    /// All layers, with the linear one at the end.
    pub profile: Profile,
}

/// What [`Vanishing`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct VanishingReport {
    /// By activation, then by depth.
    pub runs: Vec<DepthRun>,
}

impl VanishingReport {
    /// The activations, each once, in order.
    fn activations(&self) -> Vec<Activation> {
        let mut activations: Vec<Activation> = Vec::new();
        for run in &self.runs {
            if !activations.contains(&run.activation) {
                activations.push(run.activation);
            }
        }
        activations
    }

    /// Those of one activation.
    fn of(&self, activation: Activation) -> impl Iterator<Item = &DepthRun> {
        self.runs.iter().filter(move |run| run.activation == activation)
    }

    /// The deepest network of each activation.
    fn deepest(&self) -> Vec<&DepthRun> {
        self.activations().into_iter().filter_map(|activation| self.of(activation).max_by_key(|run| run.depth)).collect()
    }

    /// A row for each depth: the gradient by z of the first layer, and the same over that of the last hidden layer.
    fn by_depth(&self) -> Table {
        let activations = self.activations();
        let names = activations.iter().flat_map(|a| [format!("{a}: layer 1"), "over last".to_owned()]);
        let mut table = Table::new(["hidden layers".to_owned()].into_iter().chain(names));
        let mut depths: Vec<usize> = self.runs.iter().map(|run| run.depth).collect();
        depths.sort_unstable();
        depths.dedup();
        for depth in depths {
            let cells = activations.iter().flat_map(|&activation| {
                let run = self.of(activation).find(|run| run.depth == depth);
                let first = run.and_then(|run| run.profile.layers.first()).map(|layer| layer.z_gradient);
                let ratio = run.map(|run| run.profile.shrinkage().map_or(1.0, |(ratio, _)| ratio));
                [super::table::optional(first), super::table::optional(ratio)]
            });
            table.row([depth.to_string()].into_iter().chain(cells));
        }
        table
    }

    /// One line for each of the deepest networks: how the gradients fall, from the first layer to the last, on a logarithmic scale.
    fn sparks(&self) -> String {
        let mut text = String::new();
        for run in self.deepest() {
            let logarithms = run.profile.layers.iter().map(|layer| layer.z_gradient.log10());
            let (first, last) = (run.profile.layers.first(), run.profile.layers.last());
            let ends = first.zip(last).map(|(first, last)| format!("{} … {}", number(first.z_gradient), number(last.z_gradient)));
            let _ = writeln!(text, "{:>8}  {}  {}", run.activation.to_string(), sparkline(logarithms), ends.unwrap_or_default());
        }
        text
    }

    /// The tables and the warnings, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("{}\n", self.by_depth().markdown());
        for run in self.deepest() {
            let _ = writeln!(text, "**{}, {} hidden layers**\n\n{}", run.activation, run.depth, run.profile.to_markdown());
        }
        text
    }

    /// The gradient of the first layer by depth, and of the deepest networks, activations and gradients by layer.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut by_depth =
            Chart::new("The first layer's gradient by depth").x(Axis::new("hidden layers").whole()).y(Axis::new("rms of dL/dz₁").log10());
        for activation in self.activations() {
            let first = |run: &DepthRun| run.profile.layers.first().map(|layer| (run.depth as f64, layer.z_gradient));
            by_depth = by_depth.with(Series::line(activation.to_string(), self.of(activation).filter_map(first)));
        }
        let names: Vec<String> = self.deepest().iter().map(|run| run.activation.to_string()).collect();
        let profiles: Vec<(&str, &Profile)> = names.iter().map(String::as_str).zip(self.deepest().iter().map(|run| &run.profile)).collect();
        let by_depth = by_depth.with(Series::reference("theory", []));
        Figure::new("Gradients by depth").columns(3).panel_size(330.0, 300.0).with(by_depth).with_all(profile_charts(profiles)).to_svg()
    }
}

impl fmt::Display for VanishingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rms of dL/dz at the first layer, and the same over that of the last hidden layer:\n\n{}", self.by_depth().text())?;
        writeln!(f, "by layer, on a logarithmic scale, in the deepest networks:\n\n{}", self.sparks())?;
        for run in self.deepest() {
            writeln!(f, "{}, {} hidden layers:\n\n{}", run.activation, run.depth, run.profile)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoids_lose_three_quarters_a_layer_and_more() {
        let report = Vanishing::new().depths([12]).width(32).batch(64).activations([Activation::Sigmoid]).run().unwrap();
        let layers = &report.runs[0].profile.layers;
        for pair in layers[..12].windows(2) {
            // A bound for any weights: |dz| ≤ ¼ |Wᵀ dz′| ≤ ¼ ‖W‖ |dz′|, in means of squares with equal widths.
            let norm = pair[1].weight * f64::from(32u32);
            assert!(pair[0].factor.unwrap() <= 0.25 * norm);
            // And what is to be expected of weights of variance 1/n: at most ¼, but for the luck of 32 neurons.
            assert!(pair[0].expected_factor.unwrap() < 0.26, "{pair:?}");
            assert!(pair[0].factor.unwrap() < 0.34, "{pair:?}");
        }
        let (ratio, factor) = report.runs[0].profile.shrinkage().unwrap();
        assert!(ratio < 0.26f64.powi(11) && factor < 0.26, "{ratio} {factor}");
        let warnings = report.runs[0].profile.warnings();
        assert!(warnings[0].contains("gradients vanish") && warnings[0].contains("at most 1/4"), "{warnings:?}");
    }

    #[test]
    fn relus_with_the_rule_of_he_keep_the_gradient() {
        let report = Vanishing::new().depths([20]).width(64).batch(64).activations([Activation::Relu]).run().unwrap();
        let profile = &report.runs[0].profile;
        let (ratio, _) = profile.shrinkage().unwrap();
        assert!((0.1..10.0).contains(&ratio), "{profile}");
        assert!(profile.warnings().is_empty(), "{profile}");
        // ½ of a variance of 2/n each: a factor of 1.
        assert!(profile.layers[..19].iter().all(|layer| (layer.expected_factor.unwrap() - 1.0).abs() < 0.05), "{profile}");
    }

    #[test]
    fn small_weights_make_gradients_vanish_and_large_ones_explode() {
        let lab = Vanishing::new().depths([10]).width(32).batch(32).activations([Activation::Relu]);
        let warning = |std: f64| lab.clone().init(Init::Normal { mean: 0.0, std }).run().unwrap().runs[0].profile.warnings().join(" ");
        assert!(warning(0.01).contains("vanish"), "{}", warning(0.01));
        assert!(warning(1.0).contains("explode"), "{}", warning(1.0));
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let run = |seed| Vanishing::new().depths([3]).width(8).batch(16).seed(seed).run().unwrap();
        assert_eq!(run(1).to_string(), run(1).to_string());
        assert_eq!(run(1).to_svg(), run(1).to_svg());
        assert_ne!(run(1).to_string(), run(2).to_string());
        assert!(run(1).to_markdown().contains("| 3 |"));
        assert!(Vanishing::new().depths([0]).run().is_err() && Vanishing::new().batch(0).run().is_err());
        assert!(Vanishing::new().width(0).run().is_err());
    }
}
