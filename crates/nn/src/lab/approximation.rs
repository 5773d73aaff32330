//! A function of one number, by more and more hidden neurons.

use std::fmt;

use autograd::{
    Gradients, Graph, Tensor,
    plot::{Axis, Chart, Figure, Series},
};

use super::table::{Table, number};
use crate::{
    activation::Activation,
    error::Error,
    linear::Linear,
    loss::mse,
    mlp::Mlp,
    module::{Module, Name, Parameters},
    optim::Sgd,
    perceptron::Perceptron,
};

/// A function of one number, by networks with one hidden layer of 1, 2, 4, … neurons.
///
/// That enough hidden neurons come as near as one likes to any continuous function on an interval is the theorem of G. Cybenko
/// (*Approximation by superpositions of a sigmoidal function*, 1989) and K. Hornik (1991). It says that such weights exist, not that
/// descent finds them, and from random weights it often does not. So this is how they are found here:
///
/// 1. Hidden neurons are put at places that divide the interval, ½, ¼, ¾, ⅛, … of it (of relu, the first at its beginning), steeper the
///    closer they stand. A wider network has all neurons of the narrower one, and new ones.
/// 2. The output layer is not descended to but solved for: with the hidden layer fixed, the squared error is smallest at the solution of a
///    system of linear equations, `(ΦᵀΦ + λ) c = Φᵀ y`, where Φ holds the values of the hidden neurons; λ = 10⁻¹² of the mean of the diagonal
///    of `ΦᵀΦ` keeps it regular.
/// 3. All weights are then trained by full-batch descent, with a learning rate that grows by a tenth after a step that lowered the error,
///    and is halved after one that did not, which is taken back; and step 2 is repeated at the end. The next width begins from there, with
///    new neurons added, or from step 1, whichever has the smaller error.
///
/// So the error at the points of training cannot grow with the width, but for λ and rounding. Both errors are shown: with the places of
/// step 1 alone, and with training.
///
/// ```
/// use nn::{Activation, lab::Approximation};
/// let report = Approximation::new().activation(Activation::Relu).widths([1, 4, 16]).steps(20).run(|x| (3.0 * x).sin())?;
/// let errors: Vec<f64> = report.fits.iter().map(|fit| fit.trained).collect();
/// assert!(errors[1] < errors[0] && errors[2] < 0.02, "{report}");
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Approximation {
    interval: (f64, f64),
    widths: Vec<usize>,
    activation: Activation,
    points: usize,
    steps: usize,
}

impl Default for Approximation {
    fn default() -> Self {
        Approximation::new()
    }
}

impl Approximation {
    /// On −1 … 1, by 1, 2, 4, … 64 neurons with tanh, at 201 points, with 400 steps of descent.
    #[must_use]
    pub fn new() -> Self {
        Approximation {
            interval: (-1.0, 1.0),
            widths: (0..7).map(|k| 1 << k).collect(),
            activation: Activation::Tanh,
            points: 201,
            steps: 400,
        }
    }

    /// Where the function is to be approximated.
    #[must_use]
    pub fn interval(self, low: f64, high: f64) -> Self {
        Approximation { interval: (low, high), ..self }
    }

    /// How many hidden neurons; they are taken in rising order.
    #[must_use]
    pub fn widths(self, widths: impl Into<Vec<usize>>) -> Self {
        Approximation { widths: widths.into(), ..self }
    }

    /// Their activation.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Approximation { activation, ..self }
    }

    /// At how many points, evenly spaced, the networks are fitted. The errors are measured at four times as many.
    #[must_use]
    pub fn points(self, points: usize) -> Self {
        Approximation { points, ..self }
    }

    /// How many steps of descent; 0 for solving alone.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Approximation { steps, ..self }
    }

    /// Fits all networks.
    ///
    /// # Errors
    /// [`Error::Config`] for an interval without length, fewer than two points, a width of 0, and a function that is not finite there.
    pub fn run(&self, f: impl Fn(f64) -> f64) -> Result<Approximations, Error> {
        let (low, high) = self.interval;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::config(format!("interval {low} … {high}"), "it must have a length"));
        }
        if self.points < 2 || self.widths.contains(&0) {
            let what = format!("{} points, widths {:?}", self.points, self.widths);
            return Err(Error::config(what, "at least two points and one neuron are needed"));
        }
        let grid = |n: usize| -> Vec<f64> { (0..n).map(|k| low + (high - low) * k as f64 / (n - 1) as f64).collect() };
        let (train, test) = (grid(self.points), grid(4 * (self.points - 1) + 1));
        let values = |x: &[f64]| x.iter().map(|x| f(*x)).collect::<Vec<_>>();
        let (y, truth) = (values(&train), values(&test));
        if let Some(k) = truth.iter().position(|v| !v.is_finite()) {
            return Err(Error::config(format!("f({}) = {}", test[k], truth[k]), "the function must be finite on the interval"));
        }
        let column = |v: &[f64]| Tensor::new(v.to_vec(), [v.len(), 1]);
        let (x, y, wide) = (column(&train)?, column(&y)?, column(&test)?);
        let mut widths = self.widths.clone();
        widths.sort_unstable();
        widths.dedup();
        let mut fits = Vec::new();
        let mut neurons: Vec<(f64, f64)> = Vec::new();
        for width in widths {
            let placed: Vec<(f64, f64)> = (0..width).map(|k| self.neuron(k)).collect();
            let fresh = self.solved(&placed, &x, &y)?;
            let solved = root_mean_square(&run(&fresh, &wide)?, &truth);
            let error = |model: &Mlp<f64>| -> Result<f64, Error> { Ok(root_mean_square(&run(model, &x)?, y.as_slice())) };
            // From there, or from the trained neurons of the narrower network with new ones beside them.
            let new: Vec<(f64, f64)> = placed[neurons.len()..].to_vec();
            neurons.extend(new);
            let grown = self.solved(&neurons, &x, &y)?;
            let mut model = if error(&grown)? < error(&fresh)? { grown } else { fresh };
            descend(&mut model, &x, &y, self.steps)?;
            let first = &model.layers[0].linear;
            let bias = first.bias.as_ref().map(|bias| bias.value().to_vec()).unwrap_or_default();
            neurons = first.weight.value().as_slice().iter().copied().zip(bias).collect();
            let again = self.solved(&neurons, &x, &y)?;
            if error(&again)? < error(&model)? {
                model = again;
            }
            let output = run(&model, &wide)?;
            let largest = output.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let trained = root_mean_square(&output, &truth);
            fits.push(FittedWidth { width, solved, trained, largest, curve: test.iter().copied().zip(output).collect(), model });
        }
        Ok(Approximations { activation: self.activation, truth: test.into_iter().zip(truth).collect(), fits })
    }

    /// Weight and bias of the hidden neuron of this number.
    fn neuron(&self, number: usize) -> (f64, f64) {
        let (low, high) = self.interval;
        let length = high - low;
        if self.activation == Activation::Relu {
            // The first one gives the straight line, all others a kink.
            return (1.0, -(low + length * halves(number)));
        }
        let level = (number + 1).ilog2();
        let slope = 3.0 * f64::from(1u32 << level.min(20)) / length;
        (slope, -slope * (low + length * halves(number + 1)))
    }

    /// The network with these hidden neurons whose output layer has the least squared error.
    fn solved(&self, neurons: &[(f64, f64)], x: &Tensor<f64>, y: &Tensor<f64>) -> Result<Mlp<f64>, Error> {
        let n = neurons.len();
        let weight = Tensor::new(neurons.iter().map(|(w, _)| *w).collect::<Vec<_>>(), [n, 1])?;
        let bias = Tensor::new(neurons.iter().map(|(_, b)| *b).collect::<Vec<_>>(), [n])?;
        let hidden = Perceptron { linear: Linear::from_tensors(weight, Some(bias))?, activation: self.activation };
        let graph = Graph::new();
        let values = hidden.forward(graph.constant(x)).value()?;
        // With a column of ones, for the bias.
        let rows = values.as_slice().chunks_exact(n).flat_map(|row| row.iter().copied().chain([1.0])).collect::<Vec<_>>();
        let phi = Tensor::new(rows, [x.len(), n + 1])?;
        let square = phi.matmul_as(&phi, true, false)?;
        let diagonal = (0..=n).map(|k| square[[k, k]]).sum::<f64>() / (n + 1) as f64;
        let regular = square.add(&Tensor::eye(n + 1)?.mul_lit(1e-12 * diagonal)?)?;
        let solution = regular.solve(&phi.matmul_as(y, true, false)?)?.to_vec();
        let (weights, bias) = solution.split_at(n);
        let output = Linear::from_tensors(Tensor::new(weights.to_vec(), [1, n])?, Some(Tensor::new(bias.to_vec(), [1])?))?;
        Ok(Mlp { layers: vec![hidden, Perceptron { linear: output, activation: Activation::Identity }] })
    }
}

/// The sequence 0, ½, ¼, ¾, ⅛, ⅝, … of J. van der Corput: the digits of a binary number, behind the point in reverse order.
fn halves(mut number: usize) -> f64 {
    let (mut value, mut digit) = (0.0, 0.5);
    while number > 0 {
        if number % 2 == 1 {
            value += digit;
        }
        digit /= 2.0;
        number /= 2;
    }
    value
}

fn run(model: &Mlp<f64>, x: &Tensor<f64>) -> Result<Vec<f64>, Error> {
    Ok(model.forward(Graph::new().constant(x)).value()?.to_vec())
}

fn root_mean_square(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len().max(1) as f64).sqrt()
}

/// Full-batch descent that never makes the error larger.
fn descend(model: &mut Mlp<f64>, x: &Tensor<f64>, y: &Tensor<f64>, steps: usize) -> Result<(), Error> {
    let slope = |model: &Mlp<f64>| -> Result<(f64, Gradients<f64>), Error> {
        let graph = Graph::new();
        let loss = mse(model.forward(graph.constant(x)), graph.constant(y));
        Ok((loss.item()?, loss.backward()?))
    };
    let (mut rate, (mut least, mut gradients)) = (0.05, slope(model)?);
    for _ in 0..steps {
        let before: Vec<Tensor<f64>> = model.named_parameters().iter().map(|(_, parameter)| parameter.value().clone()).collect();
        let taken = match Sgd::new(rate).step(model, &gradients) {
            Err(Error::NonFiniteStep { .. }) => None,
            other => Some(other.and_then(|_| slope(model))?),
        };
        if let Some((loss, next)) = taken.filter(|(loss, _)| *loss < least) {
            (least, gradients) = (loss, next);
            rate *= 1.1;
            continue;
        }
        let mut values = before.into_iter();
        let mut outcome = Ok(());
        model.visit_mut(&Name::ROOT, &mut |_, parameter| {
            if let (Ok(()), Some(value)) = (&outcome, values.next()) {
                outcome = parameter.set(value);
            }
        });
        outcome?;
        rate *= 0.5;
    }
    Ok(())
}

/// A network of one width.
#[derive(Debug, Clone)]
pub struct FittedWidth {
    /// The number of hidden neurons.
    pub width: usize,
    /// √ of the mean squared error, with hidden neurons at their places and the output layer solved.
    pub solved: f64,
    /// The same after training.
    pub trained: f64,
    /// The largest error after training.
    pub largest: f64,
    /// The trained network.
    pub model: Mlp<f64>,
    /// Its values.
    pub curve: Vec<(f64, f64)>,
}

/// What [`Approximation`] found.
#[derive(Debug, Clone)]
pub struct Approximations {
    /// The activation of the hidden neurons.
    pub activation: Activation,
    /// The function.
    pub truth: Vec<(f64, f64)>,
    /// The networks, from the narrowest to the widest.
    pub fits: Vec<FittedWidth>,
}

impl Approximations {
    fn table(&self) -> Table {
        let mut table =
            Table::new(["hidden neurons", "parameters", "rms error, solved", "rms error, trained", "largest error", "better by"]);
        let mut before: Option<f64> = None;
        for fit in &self.fits {
            table.row([
                fit.width.to_string(),
                fit.model.parameter_count().to_string(),
                number(fit.solved),
                number(fit.trained),
                number(fit.largest),
                before.map_or_else(|| "–".to_owned(), |before| format!("{:.1}×", before / fit.trained)),
            ]);
            before = Some(fit.trained);
        }
        table
    }

    /// The table, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.table().markdown()
    }

    /// The error by width, and the fits.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let by_width = |of: fn(&FittedWidth) -> f64| self.fits.iter().map(move |fit| (fit.width as f64, of(fit)));
        let errors = Chart::new("Error by width")
            .x(Axis::new("hidden neurons").log2())
            .y(Axis::new("error").log10())
            .with(Series::line("rms, output layer solved", by_width(|fit| fit.solved)))
            .with(Series::line("rms, all trained", by_width(|fit| fit.trained)))
            .with(Series::line("largest, all trained", by_width(|fit| fit.largest)));
        let fit = |fit: &FittedWidth| {
            let neurons = if fit.width == 1 { "neuron" } else { "neurons" };
            Chart::new(format!("{} {neurons}", fit.width))
                .x("x")
                .with(Series::reference("function", self.truth.clone()))
                .with(Series::plain_line("network", fit.curve.clone()))
        };
        // As many as fit into two rows beside the errors.
        let fits: Vec<Chart> = self.fits.iter().take(5).map(fit).collect();
        let title = format!("One hidden layer with {}", self.activation);
        Figure::new(title).columns(3).panel_size(320.0, 270.0).with(errors).with_all(fits).to_svg()
    }
}

impl fmt::Display for Approximations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table().text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_divide_the_interval() {
        let places: Vec<f64> = (0..8).map(halves).collect();
        assert_eq!(places, [0.0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]);
    }

    #[test]
    fn relus_are_a_broken_line_whose_error_falls_with_the_square_of_their_number() {
        let lab = Approximation::new().activation(Activation::Relu).widths([4, 8, 16, 32]).steps(0);
        let report = lab.run(|x| (2.0 * x).sin()).unwrap();
        for pair in report.fits.windows(2) {
            let ratio = pair[0].solved / pair[1].solved;
            assert!((3.2..5.0).contains(&ratio), "{report}");
        }
    }

    #[test]
    fn the_error_falls_with_every_width() {
        for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Relu] {
            let report = Approximation::new()
                .activation(activation)
                .widths([1, 2, 4, 8, 16])
                .steps(30)
                .points(65)
                .run(|x| (4.0 * x).sin() + x)
                .unwrap();
            assert!(report.fits.windows(2).all(|pair| pair[1].trained < pair[0].trained && pair[1].solved < pair[0].solved), "{report}");
            assert!(report.fits.iter().all(|fit| fit.trained <= fit.solved * 1.05), "{report}");
            assert!(report.fits[4].trained < 0.02, "{activation}\n{report}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Approximation::new().interval(1.0, 1.0).run(|x| x).is_err());
        assert!(Approximation::new().points(1).run(|x| x).is_err());
        assert!(Approximation::new().widths([0]).run(|x| x).is_err());
        let message = Approximation::new().run(|x| 1.0 / x).unwrap_err().to_string();
        assert!(message.contains("the function must be finite"), "{message}");
    }
}
