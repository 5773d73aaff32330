//! Layers without activations are one linear map.

use std::fmt;

use autograd::{
    Graph, Tensor,
    plot::{Chart, Series},
};

use super::table::{Table, number};
use crate::{error::Error, mlp::Mlp, module::Module};

/// A network beside the one linear map that its weights make without their activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Collapse {
    /// `W = W_L ⋯ W₂ W₁`, of shape `[outputs, inputs]`.
    pub weight: Tensor<f64>,
    /// `c = W_L ⋯ W₂ b₁ + … + W_L b_{L−1} + b_L`, of shape `[outputs]`.
    pub bias: Tensor<f64>,
    /// How many layers the network has.
    pub layers: usize,
    /// How many weights and biases the network has.
    pub parameters: usize,
    /// The largest of |network(x) − (x Wᵀ + c)|.
    pub difference: f64,
    /// The largest of |f(x + y) + f(0) − f(x) − f(y)| for the network f and rows x, y that follow each other: 0 for what is linear but for
    /// a bias.
    pub additivity: f64,
    /// The largest output of the network, without its sign.
    pub size: f64,
    /// The output of the network, element by element, and of the linear map.
    pub outputs: Vec<(f64, f64)>,
}

/// Multiplies the matrices of a network, as if it had no activations, and compares the result with the network on the rows of `x`.
///
/// If all activations are the identity, then layer after layer gives W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂): one layer, whatever the
/// number of them. With any other activation the two differ. The second test needs no weights: an affine map f satisfies f(x + y) + f(0) =
/// f(x) + f(y).
///
/// ```
/// use autograd::Tensor;
/// use nn::{Activation, Init, Mlp, lab};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let x = Tensor::randn([50, 4], &mut rng)?;
/// let deep = Mlp::new(&[4, 32, 32, 3], &[Activation::Identity; 3], Init::XavierUniform, &mut rng)?;
/// let folded = lab::collapse(&deep, &x)?;
/// assert!(folded.is_linear() && folded.difference < 1e-12, "{folded}");
/// let bent = Mlp::new(&[4, 32, 32, 3], &[Activation::Tanh, Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
/// assert!(!lab::collapse(&bent, &x)?.is_linear());
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Config`] for a network without layers; an input that does not fit.
pub fn collapse(model: &Mlp<f64>, x: &Tensor<f64>) -> Result<Collapse, Error> {
    let mut folded: Option<(Tensor<f64>, Tensor<f64>)> = None;
    for layer in &model.layers {
        let weight = layer.linear.weight.value();
        let &[neurons, _] = &**weight.shape() else { continue };
        let own = layer.linear.bias.as_ref().map_or_else(|| Tensor::zeros([neurons]), |bias| Ok(bias.value().clone()))?;
        folded = Some(match folded {
            None => (weight.clone(), own),
            Some((product, bias)) => (weight.matmul(&product)?, weight.matmul(&bias)?.add(&own)?),
        });
    }
    let Some((weight, bias)) = folded else {
        return Err(Error::config("a network without layers", "there is nothing to compare"));
    };
    let run = |x: &Tensor<f64>| -> Result<Tensor<f64>, Error> { Ok(model.forward(Graph::new().constant(x)).value()?) };
    let (output, linear) = (run(x)?, x.matmul_as(&weight, false, true)?.add(&bias)?);
    let outputs: Vec<(f64, f64)> = output.as_slice().iter().copied().zip(linear.as_slice().iter().copied()).collect();
    let largest = |t: &Tensor<f64>| t.as_slice().iter().fold(0.0f64, |m, v| m.max(v.abs()));
    // Each row with the next one.
    let next = x.roll(1, 0)?;
    let zero = run(&x.mul_lit(0.0)?)?;
    let additivity = largest(&run(&x.add(&next)?)?.add(&zero)?.sub(&output)?.sub(&run(&next)?)?);
    let parameters = crate::module::Parameters::parameter_count(model);
    let difference = outputs.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    Ok(Collapse { weight, bias, layers: model.layers.len(), parameters, difference, additivity, size: largest(&output), outputs })
}

impl Collapse {
    /// Whether both tests agree to within rounding: 10⁻¹² of the largest output, or 10⁻¹² if that is below 1.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        let rounding = 1e-12 * self.size.max(1.0);
        self.difference <= rounding && self.additivity <= rounding
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["", "network", "one layer"]);
        let folded = self.weight.len() + self.bias.len();
        table.row(["layers".to_owned(), self.layers.to_string(), "1".to_owned()]);
        table.row(["numbers".to_owned(), self.parameters.to_string(), folded.to_string()]);
        table.row(["largest output".to_owned(), number(self.size), number(self.outputs.iter().map(|o| o.1.abs()).fold(0.0, f64::max))]);
        table
    }

    fn verdict(&self) -> String {
        let (difference, additivity) = (number(self.difference), number(self.additivity));
        let so = if self.is_linear() { "the network is one linear map" } else { "the network is no linear map" };
        format!("largest difference {difference}; largest |f(x + y) + f(0) − f(x) − f(y)| {additivity}: {so}")
    }

    /// The table and the verdict, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        format!("{}\n{}\n", self.table().markdown(), self.verdict())
    }

    /// The outputs of the network over those of the linear map: on the diagonal if it is one.
    #[must_use]
    pub fn to_svg(&self) -> String {
        self.chart(if self.is_linear() { "One linear map" } else { "No linear map" }).to_svg()
    }

    /// The same as a part of a larger picture.
    #[must_use]
    pub fn chart(&self, title: &str) -> Chart {
        let (low, high) = self.outputs.iter().fold((0.0f64, 0.0f64), |(low, high), (a, b)| (low.min(*a).min(*b), high.max(*a).max(*b)));
        Chart::new(title)
            .x("x Wᵀ + c, without activations")
            .y("output of the network")
            .with(Series::reference("equal", [(low, low), (high, high)]))
            .with(Series::points("outputs", self.outputs.iter().map(|(network, linear)| (*linear, *network))))
    }
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{}", self.table().text(), self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{activation::Activation, init::Init, module::Parameters};

    fn network(depth: usize, activation: Activation) -> (Mlp<f64>, Tensor<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(depth as u64);
        let sizes: Vec<usize> = [5].into_iter().chain(vec![20; depth - 1]).chain([3]).collect();
        let mut model = Mlp::new(&sizes, &vec![activation; depth], Init::XavierUniform, &mut rng).unwrap();
        // With biases, which are to be folded too.
        model.visit_mut(&crate::module::Name::ROOT, &mut |_, parameter| {
            if parameter.value().rank() == 1 {
                parameter.set(Tensor::randn(parameter.value().shape(), &mut rng).unwrap()).unwrap();
            }
        });
        (model, Tensor::randn([40, 5], &mut rng).unwrap())
    }

    #[test]
    fn any_number_of_identity_layers_is_one() {
        for depth in [1, 2, 3, 8] {
            let (model, x) = network(depth, Activation::Identity);
            let folded = collapse(&model, &x).unwrap();
            assert!(folded.difference <= 1e-12 && folded.additivity <= 1e-12, "{folded}");
            assert!(folded.is_linear() && folded.size > 0.5);
            assert_eq!((**folded.weight.shape()).to_vec(), [3, 5]);
        }
    }

    #[test]
    fn every_activation_breaks_it() {
        for activation in
            [Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::LeakyRelu(0.1), Activation::Gelu, Activation::Softplus]
        {
            let (model, x) = network(3, activation);
            let folded = collapse(&model, &x).unwrap();
            assert!(!folded.is_linear() && folded.difference > 0.05 && folded.additivity > 1e-3, "{activation}: {folded}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (model, _) = network(2, Activation::Identity);
        assert!(collapse(&model, &Tensor::zeros([3, 7]).unwrap()).is_err());
        assert!(collapse(&Mlp { layers: Vec::new() }, &Tensor::zeros([3, 7]).unwrap()).is_err());
    }
}
