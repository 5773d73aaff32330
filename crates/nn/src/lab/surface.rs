//! Steps of descent on the surface of the loss, over two parameters of a model.

use std::fmt::{self, Write};

use autograd::{
    Graph, Tensor, Var,
    plot::{Axis, Chart, Figure, Series, Surface},
};

use super::table::{Table, number};
use crate::{error::Error, module::Parameters};

/// Descent in two numbers among the parameters of a model, all others fixed, seen on the contour lines of the loss; for several learning
/// rates.
///
/// A step of descent goes against the gradient g: w ← w − η g. To first order the loss then changes by −η‖g‖², which is always a gain; to
/// second order by −η‖g‖² + ½ η² gᵀH g, where H is the matrix of second derivatives, which is a loss once η exceeds 2‖g‖² / gᵀH g. Around a
/// minimum, descent converges for η < 2/λ, where λ is the largest eigenvalue of H there; on a quadratic surface, for η above that, it
/// diverges from almost everywhere.
///
/// ```
/// use autograd::tensor;
/// use nn::{Linear, Module, lab::LossSurface, loss::mse};
/// let (x, t) = (tensor![[0.0], [1.0], [2.0]], tensor![[1.0], [3.0], [5.0]]); // t = 2x + 1
/// let model = Linear::from_tensors(tensor![[-1.0]], Some(tensor![2.0]))?;
/// let lab = LossSurface::new(("weight", 0), ("bias", 0)).learning_rates([0.05, 0.2, 0.5]).steps(30);
/// let report = lab.run(&model, |g| mse(model.forward(g.constant(&x)), g.constant(&t)))?;
/// assert!(report.critical.unwrap() < 0.5);
/// assert!(report.paths[1].steps.last().unwrap().after < 0.01); // good
/// assert!(report.paths[2].steps.last().unwrap().after > 100.0); // too large
/// // The loss is quadratic here, so the change to second order is the change.
/// assert!(report.paths[0].steps.iter().all(|step| (step.second_order - step.actual).abs() < 1e-12));
/// # Ok::<(), nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LossSurface {
    x: (String, usize),
    y: (String, usize),
    learning_rates: Vec<f64>,
    steps: usize,
    grid: usize,
    range: Option<[(f64, f64); 2]>,
}

impl LossSurface {
    /// Over two numbers: each is the name of a parameter, as in [`Parameters::named_parameters`], and the place of an element in it.
    /// Learning rates 0.01, 0.1 and 1, for 20 steps.
    #[must_use]
    pub fn new(x: (&str, usize), y: (&str, usize)) -> Self {
        let own = |(name, at): (&str, usize)| (name.to_owned(), at);
        LossSurface { x: own(x), y: own(y), learning_rates: vec![0.01, 0.1, 1.0], steps: 20, grid: 41, range: None }
    }

    /// The learning rates to compare.
    #[must_use]
    pub fn learning_rates(self, learning_rates: impl Into<Vec<f64>>) -> Self {
        LossSurface { learning_rates: learning_rates.into(), ..self }
    }

    /// How many steps each path has.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        LossSurface { steps, ..self }
    }

    /// The part of the surface that is drawn; without this, what the paths cover that do not leave for infinity.
    #[must_use]
    pub fn range(self, x: (f64, f64), y: (f64, f64)) -> Self {
        LossSurface { range: Some([x, y]), ..self }
    }

    /// Descends from the parameters of the model, which itself is not changed. `loss` computes the loss of the model on a graph.
    ///
    /// # Errors
    /// [`Error::Config`] for a name or a place that the model does not have, or the same number twice; what goes wrong in the loss.
    pub fn run<M, L>(&self, model: &M, loss: L) -> Result<SurfaceReport, Error>
    where
        M: Parameters<f64>,
        L: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64>,
    {
        let at = Place { model, loss: &loss, x: find(model, &self.x)?, y: find(model, &self.y)? };
        if at.x == at.y {
            return Err(Error::config(format!("{}[{}] twice", self.x.0, self.x.1), "two different numbers make a surface"));
        }
        let start = at.start();
        let paths = self.learning_rates.iter().map(|&rate| self.path(&at, start, rate)).collect::<Result<Vec<_>, _>>()?;
        // The largest eigenvalue where the best path ended.
        let best = paths.iter().filter(|p| p.last().2.is_finite()).min_by(|a, b| a.last().2.total_cmp(&b.last().2));
        let end = best.map_or(start, |path| [path.last().0, path.last().1]);
        let [[a, b], [_, d]] = at.hessian(end)?;
        let largest = f64::midpoint(a, d) + (f64::midpoint(a, -d).powi(2) + b * b).sqrt();
        let critical = (largest > 0.0).then(|| 2.0 / largest);
        let [xs, ys] = self.range.unwrap_or_else(|| extent(start, &paths, critical));
        let mut rows = Vec::new();
        for i in 0..self.grid {
            let share = |(low, high): (f64, f64), k: usize| low + (high - low) * k as f64 / (self.grid - 1) as f64;
            rows.push((0..self.grid).map(|j| at.loss([share(xs, j), share(ys, i)])).collect::<Result<Vec<_>, _>>()?);
        }
        let label = |(name, place): &(String, usize)| format!("{name}[{place}]");
        Ok(SurfaceReport { x: label(&self.x), y: label(&self.y), critical, paths, surface: Surface::from_rows(xs, ys, rows) })
    }

    fn path<M, L>(&self, at: &Place<'_, M, L>, start: [f64; 2], learning_rate: f64) -> Result<DescentPath, Error>
    where
        M: Parameters<f64>,
        L: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64>,
    {
        let mut path = DescentPath { learning_rate, start, loss: at.loss(start)?, steps: Vec::new() };
        let mut here = start;
        for _ in 0..self.steps {
            let (before, gradient) = at.gradient(here)?;
            let next = [here[0] - learning_rate * gradient[0], here[1] - learning_rate * gradient[1]];
            if !next.iter().all(|v| v.is_finite()) {
                break;
            }
            let [[a, b], [c, d]] = at.hessian(here)?;
            let [g, h] = gradient;
            let predicted = -learning_rate * (g * g + h * h);
            let curved = g * (a * g + b * h) + h * (c * g + d * h);
            let after = at.loss(next)?;
            path.steps.push(DescentStep {
                from: here,
                to: next,
                gradient,
                before,
                after,
                predicted,
                second_order: predicted + 0.5 * learning_rate * learning_rate * curved,
                actual: after - before,
            });
            here = next;
        }
        Ok(path)
    }
}

/// What the paths cover, with some room, without those that leave.
fn extent(start: [f64; 2], paths: &[DescentPath], critical: Option<f64>) -> [(f64, f64); 2] {
    let stays = |path: &&DescentPath| critical.is_none_or(|critical| path.learning_rate < critical);
    let points: Vec<[f64; 2]> = paths.iter().filter(stays).flat_map(|path| path.steps.iter().map(|step| step.to)).chain([start]).collect();
    [0, 1].map(|k| {
        let (low, high) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[k]), high.max(p[k])));
        let room = 0.35 * (high - low).max(0.1);
        (low - room, high + room)
    })
}

/// A number of the model: which parameter, and which element.
type At = (usize, usize);

fn find<M: Parameters<f64>>(model: &M, (name, element): &(String, usize)) -> Result<At, Error> {
    let named = model.named_parameters();
    let Some(k) = named.iter().position(|(n, _)| n == name) else {
        let all: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::config(format!("parameter {name:?}"), format!("the model has {}", all.join(", "))));
    };
    let len = named[k].1.value().len();
    if *element >= len {
        return Err(Error::config(format!("element {element} of {name:?}"), format!("it has {len}")));
    }
    Ok((k, *element))
}

/// The loss as a function of two numbers.
struct Place<'a, M, L> {
    model: &'a M,
    loss: &'a L,
    x: At,
    y: At,
}

impl<M, L> Place<'_, M, L>
where
    M: Parameters<f64>,
    L: for<'g> Fn(&'g Graph<f64>) -> Var<'g, f64>,
{
    fn start(&self) -> [f64; 2] {
        let named = self.model.named_parameters();
        [self.x, self.y].map(|(k, element)| named[k].1.value().as_slice()[element])
    }

    /// The loss on a graph, and the variables of the parameters.
    fn on<'g>(&self, graph: &'g Graph<f64>, at: [f64; 2]) -> Result<(Var<'g, f64>, Vec<Var<'g, f64>>), Error> {
        let mut variables = Vec::new();
        for (k, (_, parameter)) in self.model.named_parameters().into_iter().enumerate() {
            let mut elements = parameter.value().to_vec();
            for ((parameter, element), v) in [self.x, self.y].into_iter().zip(at) {
                if parameter == k {
                    elements[element] = v;
                }
            }
            variables.push(graph.variable(Tensor::new(elements, parameter.value().shape())?));
        }
        let loss = self.model.bound_as(&variables, || (self.loss)(graph))?;
        Ok((loss, variables))
    }

    fn loss(&self, at: [f64; 2]) -> Result<f64, Error> {
        Ok(self.on(&Graph::new(), at)?.0.item()?)
    }

    fn gradient(&self, at: [f64; 2]) -> Result<(f64, [f64; 2]), Error> {
        let graph = Graph::new();
        let (loss, variables) = self.on(&graph, at)?;
        let gradients = loss.backward()?;
        let slope = |(k, element): At| gradients.get(variables[k]).map_or(0.0, |gradient| gradient.as_slice()[element]);
        Ok((loss.item()?, [slope(self.x), slope(self.y)]))
    }

    fn hessian(&self, at: [f64; 2]) -> Result<[[f64; 2]; 2], Error> {
        let graph = Graph::new();
        let (loss, variables) = self.on(&graph, at)?;
        let mut rows = [[0.0; 2]; 2];
        for (row, (k, element)) in rows.iter_mut().zip([self.x, self.y]) {
            let [gradient] = graph.grad(loss, [variables[k]]);
            let length = variables[k].shape()?.len();
            let place = isize::try_from(element).unwrap_or_default();
            let slope = gradient.reshape([isize::try_from(length).unwrap_or(-1)]).slice(0, place..=place).sum();
            let again = graph.grad(slope, [variables[self.x.0], variables[self.y.0]]);
            for ((entry, second), (_, element)) in row.iter_mut().zip(again).zip([self.x, self.y]) {
                *entry = second.value()?.as_slice()[element];
            }
        }
        Ok(rows)
    }
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescentStep {
    /// Where it began.
    pub from: [f64; 2],
    /// Where it ended.
    pub to: [f64; 2],
    /// The gradient g at its beginning.
    pub gradient: [f64; 2],
    /// The loss at its beginning.
    pub before: f64,
    /// The loss at its end.
    pub after: f64,
    /// The change to first order, −η‖g‖².
    pub predicted: f64,
    /// The change to second order, −η‖g‖² + ½ η² gᵀH g.
    pub second_order: f64,
    /// The change.
    pub actual: f64,
}

/// Descent with one learning rate.
#[derive(Debug, Clone, PartialEq)]
pub struct DescentPath {
    /// η
    pub learning_rate: f64,
    /// Where it began.
    pub start: [f64; 2],
    /// The loss there.
    pub loss: f64,
    /// The steps, up to the last one that ended at finite numbers.
    pub steps: Vec<DescentStep>,
}

impl DescentPath {
    fn last(&self) -> (f64, f64, f64) {
        self.steps.last().map_or((self.start[0], self.start[1], self.loss), |step| (step.to[0], step.to[1], step.after))
    }
}

/// What [`LossSurface`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceReport {
    /// The number across, as `weight[0]`.
    pub x: String,
    /// The number upwards.
    pub y: String,
    /// 2/λ, where λ is the largest eigenvalue of the second derivatives where the best path ended; `None` if it is not above 0.
    pub critical: Option<f64>,
    /// The paths, one for each learning rate.
    pub paths: Vec<DescentPath>,
    surface: Surface,
}

impl SurfaceReport {
    fn summary(&self) -> Table {
        let mut table = Table::new(["learning rate", "of 2/λ", "first loss", "last loss", "steps that raised it", &self.x, &self.y]);
        for path in &self.paths {
            let (x, y, loss) = path.last();
            let raised = path.steps.iter().filter(|step| step.actual > 0.0).count();
            let share = self.critical.map_or_else(|| "–".to_owned(), |critical| format!("{:.2}", path.learning_rate / critical));
            let cells = [share, number(path.loss), number(loss), format!("{raised} of {}", path.steps.len()), number(x), number(y)];
            table.row([path.learning_rate.to_string()].into_iter().chain(cells));
        }
        table
    }

    fn steps(&self, path: &DescentPath) -> Table {
        let mut table = Table::new(["step", &self.x, &self.y, "loss", "‖g‖²", "−η‖g‖²", "with curvature", "actual"]);
        for (k, step) in (1..).zip(&path.steps).take(8) {
            let [g, h] = step.gradient;
            let numbers = [step.from[0], step.from[1], step.before, g * g + h * h, step.predicted, step.second_order, step.actual];
            table.row([k.to_string()].into_iter().chain(numbers.map(number)));
        }
        table
    }

    fn critical_text(&self) -> String {
        match self.critical {
            Some(critical) => format!("2/λ = {} at the end of the best path: above it, descent does not converge there", number(critical)),
            None => "the surface does not curve upwards at the end of the best path".to_owned(),
        }
    }

    /// The tables, as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("{}\n{}\n", self.summary().markdown(), self.critical_text());
        for path in &self.paths {
            let _ = write!(text, "\n**Learning rate {}**\n\n{}", path.learning_rate, self.steps(path).markdown());
        }
        text
    }

    /// A panel with contour lines for each learning rate, and the loss by step.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let paths = self.paths.iter().map(|path| {
            let points = [path.start].into_iter().chain(path.steps.iter().map(|step| step.to)).map(|[x, y]| (x, y));
            let title = format!("Learning rate {}", path.learning_rate);
            Chart::new(title).x(self.x.as_str()).y(self.y.as_str()).over(self.surface.clone()).with(Series::line("", points))
        });
        let by_step = |path: &DescentPath| {
            let losses = [path.loss].into_iter().chain(path.steps.iter().map(|step| step.after));
            Series::line(path.learning_rate.to_string(), losses.enumerate().map(|(k, loss)| (k as f64, loss)).collect::<Vec<_>>())
        };
        let losses = Chart::new("Loss by step").x("step").y(Axis::new("loss").log10()).with_all(self.paths.iter().map(by_step));
        Figure::new("Descent on the surface of the loss").with_all(paths).with(losses).to_svg()
    }
}

impl fmt::Display for SurfaceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{}", self.summary().text(), self.critical_text())?;
        for path in &self.paths {
            writeln!(f, "\nlearning rate {}, the first steps:\n\n{}", path.learning_rate, self.steps(path).text().trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;

    use super::*;
    use crate::{activation::Activation, linear::Linear, loss::mse, module::Module, perceptron::Perceptron};

    fn neuron(activation: Activation) -> Perceptron<f64> {
        let linear = Linear::from_tensors(tensor![[-1.0, 0.3]], Some(tensor![2.0])).unwrap();
        Perceptron { linear, activation }
    }

    fn report(activation: Activation, rates: &[f64]) -> SurfaceReport {
        let (x, t) = (tensor![[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]], tensor![[0.1], [0.3], [0.5]]);
        let model = neuron(activation);
        let lab = LossSurface::new(("weight", 0), ("bias", 0)).learning_rates(rates).steps(40);
        lab.run(&model, |g| mse(model.forward(g.constant(&x)), g.constant(&t))).unwrap()
    }

    #[test]
    fn a_quadratic_surface_converges_below_the_critical_rate_and_not_above() {
        // The loss is the mean of (wx + b − t)²: its second derivatives are 2·mean(x²) = 10/3, 2·mean(x) = 2, and 2.
        let critical = report(Activation::Identity, &[0.1]).critical.unwrap();
        let largest = f64::midpoint(10.0 / 3.0, 2.0) + (f64::midpoint(10.0 / 3.0, -2.0).powi(2) + 4.0).sqrt();
        assert!((critical - 2.0 / largest).abs() < 1e-12);
        let report = report(Activation::Identity, &[0.99 * critical, 1.01 * critical]);
        let changes = |path: &DescentPath| path.steps.iter().filter(|step| step.actual > 0.0).count();
        assert_eq!(changes(&report.paths[0]), 0);
        assert!(changes(&report.paths[1]) > 20, "{report}");
    }

    #[test]
    fn predictions_are_of_first_and_of_second_order() {
        for (activation, scale) in [(Activation::Tanh, 1.0), (Activation::Sigmoid, 1.0)] {
            let first = |rate: f64| report(activation, &[rate]).paths[0].steps[0];
            let (long, short) = (first(0.02 * scale), first(0.01 * scale));
            // Half the step: a quarter of the error of first order, an eighth of that of second order.
            let ratio = |error: fn(&DescentStep) -> f64| error(&long) / error(&short);
            let (one, two) = (ratio(|s| s.actual - s.predicted), ratio(|s| s.actual - s.second_order));
            assert!((one - 4.0).abs() < 0.1 && (two - 8.0).abs() < 0.3, "{activation}: {one}, {two}");
        }
    }

    #[test]
    fn numbers_that_are_not_there_are_refused() {
        let model = neuron(Activation::Tanh);
        let why = |x, y| LossSurface::new(x, y).run(&model, |g| g.constant(0.0)).unwrap_err().to_string();
        assert_eq!(why(("w", 0), ("bias", 0)), "parameter \"w\": the model has weight, bias");
        assert_eq!(why(("weight", 2), ("bias", 0)), "element 2 of \"weight\": it has 2");
        assert!(why(("bias", 0), ("bias", 0)).contains("two different numbers"));
    }
}
