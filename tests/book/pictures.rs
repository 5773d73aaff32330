//! The pictures of the book, drawn of numbers that the library computes.

use autograd::{
    Graph, Tensor, Var,
    plot::{Axis, Chart, Figure, Series},
    tensor,
};
use nn::{
    Init, Linear, Module, Sgd,
    loss::{binary_cross_entropy_with_logits, mse},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Drawn = Result<String, nn::Error>;

/// All pictures, each with the name of its file in `docs/pictures`.
pub(crate) fn all() -> Result<Vec<(&'static str, String)>, nn::Error> {
    Ok(vec![
        ("activations.svg", activations("Activations", "g(z)", (-1.2, 2.2), value)?),
        ("slopes.svg", activations("Slopes of activations", "g′(z)", (-0.2, 1.2), slope)?),
        ("losses.svg", losses()?),
        ("regression.svg", regression()?),
        ("logistic.svg", logistic()?),
        ("cuts.svg", cuts()),
        ("learning-rates.svg", learning_rates()?),
        ("fan-out.svg", fan_out()?),
        ("sum-times-number.svg", sum_times_number()?),
        ("neuron.svg", neuron()?),
        ("diamond.svg", diamond()?),
    ])
}

fn pairs(x: &Tensor<f64>, y: &Tensor<f64>) -> Vec<(f64, f64)> {
    x.to_vec().into_iter().zip(y.to_vec()).collect()
}

fn value(y: Var<'_, f64>, _z: Var<'_, f64>) -> Result<Tensor<f64>, autograd::Error> {
    y.value()
}

fn slope(y: Var<'_, f64>, z: Var<'_, f64>) -> Result<Tensor<f64>, autograd::Error> {
    y.sum().backward()?.wrt(z).cloned()
}

/// A function of numbers as points between two ends.
fn curve(
    (low, high): (f64, f64),
    f: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>,
    of: impl for<'g> Fn(Var<'g, f64>, Var<'g, f64>) -> Result<Tensor<f64>, autograd::Error>,
) -> Result<Vec<(f64, f64)>, nn::Error> {
    let x = Tensor::linspace(low, high, 241)?;
    let g = Graph::new();
    let z = g.variable(&x);
    Ok(pairs(&x, &of(f(z), z)?))
}

fn activations(
    title: &str,
    label: &str,
    (low, high): (f64, f64),
    of: impl for<'g> Fn(Var<'g, f64>, Var<'g, f64>) -> Result<Tensor<f64>, autograd::Error> + Copy,
) -> Drawn {
    let ends = (-4.0, 4.0);
    let chart = Chart::new(title).x("z").y(Axis::new(label).range(low, high));
    let series = [
        ("sigmoid", curve(ends, |z| z.sigmoid(), of)?),
        ("tanh", curve(ends, |z| z.tanh(), of)?),
        ("ReLU", curve(ends, |z| z.relu(), of)?),
        ("leaky ReLU, 0.1", curve(ends, |z| z.leaky_relu(0.1), of)?),
        ("ELU, 1", curve(ends, |z| z.elu(1.0), of)?),
    ];
    // What leaves the picture above is cut off there.
    let inside = |points: Vec<(f64, f64)>| points.into_iter().filter(move |(_, y)| *y <= high);
    Ok(chart.with_all(series.map(|(name, points)| Series::plain_line(name, inside(points)))).to_svg())
}

fn losses() -> Drawn {
    let numbers = Chart::new("Losses of a number")
        .x("prediction − target")
        .y("loss")
        .with(Series::plain_line("squared error", curve((-2.0, 2.0), |z| z.square(), value)?))
        .with(Series::plain_line("absolute error", curve((-2.0, 2.0), |z| z.abs(), value)?));
    let answers = Chart::new("Log-loss of a logit")
        .x("z")
        .y("loss")
        .with(Series::plain_line("answer 1", curve((-5.0, 5.0), |z| -z.log_sigmoid(), value)?))
        .with(Series::plain_line("answer 0", curve((-5.0, 5.0), |z| -(-z).log_sigmoid(), value)?))
        .with(Series::plain_line("squared error of σ(z), answer 1", curve((-5.0, 5.0), |z| (z.sigmoid() - 1.0).square(), value)?));
    Ok(Figure::new("Losses").with(numbers).with(answers).to_svg())
}

/// The line or the probability of a neuron that was trained on points.
fn trained(
    x: &Tensor<f64>,
    y: &Tensor<f64>,
    loss: impl for<'g> Fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>,
    mut descent: Sgd<f64>,
    steps: usize,
) -> Result<Linear<f64>, nn::Error> {
    let mut model = Linear::new(1, 1, Init::Zeros, &mut ChaCha8Rng::seed_from_u64(0))?;
    for _ in 0..steps {
        let g = Graph::new();
        let loss = loss(model.forward(g.constant(x)), g.constant(y));
        descent.step(&mut model, &loss.backward()?)?;
    }
    Ok(model)
}

fn regression() -> Drawn {
    let (x, y) = (tensor![[1.0], [2.0], [3.0], [4.0], [5.0]], tensor![[2.0], [4.0], [5.0], [4.0], [5.0]]);
    let model = trained(&x, &y, mse, Sgd::new(0.08), 800)?;
    let ends = tensor![[0.5], [5.5]];
    let line = model.forward(Graph::new().constant(&ends)).value()?;
    let errors = (0..5).map(|i| {
        let at = model.forward(Graph::new().constant(tensor![[x[[i, 0]]]])).item()?;
        Ok(Series::reference("", [(x[[i, 0]], y[[i, 0]]), (x[[i, 0]], at)]))
    });
    let chart = Chart::new("Five points and the best line").x("x").y(Axis::new("y").range(0.0, 6.0));
    Ok(chart
        .with_all(errors.collect::<Result<Vec<_>, nn::Error>>()?)
        .with(Series::points("examples", pairs(&x, &y)))
        .with(Series::plain_line("0.6·x + 2.2", pairs(&ends, &line)))
        .to_svg())
}

fn logistic() -> Drawn {
    let (x, y) = (tensor![[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], tensor![[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]]);
    let model = trained(&x, &y, binary_cross_entropy_with_logits, Sgd::new(0.3).momentum(0.9), 400)?;
    let hours = Tensor::linspace(-0.5, 5.5, 121)?.reshape([121, 1])?;
    let p = model.forward(Graph::new().constant(&hours)).sigmoid().value()?;
    let chart = Chart::new("Hours of learning and the probability to pass").x("hours").y(Axis::new("p").range(-0.05, 1.05));
    Ok(chart
        .with(Series::points("students", pairs(&x, &y)))
        .with(Series::plain_line("σ(wx + b)", pairs(&hours, &p)))
        .with(Series::reference("p = ½", [(-0.5, 0.5), (5.5, 0.5)]))
        .to_svg())
}

fn cuts() -> String {
    let case = |title: &str, yes: &[(f64, f64)], no: &[(f64, f64)]| {
        let axis = |name: &str| Axis::new(name).range(-0.5, 1.5);
        let points = |name: &str, at: &[(f64, f64)]| Series::points(name, at.to_vec());
        Chart::new(title).x(axis("x₁")).y(axis("x₂")).with(points("answer 1", yes)).with(points("answer 0", no))
    };
    let (a, b, c, d) = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0));
    let and = case("and", &[d], &[a, b, c]).with(Series::plain_line("2x₁ + x₂ = 2", [(0.25, 1.5), (1.25, -0.5)]));
    let xor = case("exclusive or", &[b, c], &[a, d])
        .with(Series::plain_line("h₁: x₁ + x₂ = 0.5", [(-0.5, 1.0), (1.0, -0.5)]))
        .with(Series::plain_line("h₂: x₁ + x₂ = 1.5", [(0.0, 1.5), (1.5, 0.0)]));
    Figure::new("What one cut can do, and what needs two").with(and).with(xor).to_svg()
}

fn learning_rates() -> Drawn {
    let (x, y) = (tensor![[1.0], [2.0], [3.0], [4.0], [5.0]], tensor![[2.0], [4.0], [5.0], [4.0], [5.0]]);
    let run = |mut descent: Sgd<f64>| -> Result<Vec<(f64, f64)>, nn::Error> {
        let mut model = Linear::new(1, 1, Init::Zeros, &mut ChaCha8Rng::seed_from_u64(0))?;
        let mut points = Vec::new();
        for step in 0..=120u32 {
            let g = Graph::new();
            let loss = mse(model.forward(g.constant(&x)), g.constant(&y));
            points.push((f64::from(step), loss.item()? - 0.48));
            descent.step(&mut model, &loss.backward()?)?;
        }
        Ok(points)
    };
    let chart = Chart::new("The line through five points").x("step").y(Axis::new("loss above the smallest").log10().range(1e-6, 1e4));
    let shown = |points: Vec<(f64, f64)>| points.into_iter().filter(|(_, loss)| (1e-6..1e4).contains(loss));
    Ok(chart
        .with(Series::plain_line("η = 0.01", shown(run(Sgd::new(0.01))?)))
        .with(Series::plain_line("η = 0.08", shown(run(Sgd::new(0.08))?)))
        .with(Series::plain_line("η = 0.09", shown(run(Sgd::new(0.09))?)))
        .with(Series::plain_line("η = 0.08, momentum 0.7", shown(run(Sgd::new(0.08).momentum(0.7))?)))
        .to_svg())
}

/// (a + b)(b + 1), where b is used twice.
fn fan_out() -> Drawn {
    let g = Graph::<f64>::new();
    let (a, b) = (g.variable(2.0).named("a"), g.variable(1.0).named("b"));
    let e = ((a + b).named("c") * (b + 1.0).named("d")).named("e");
    Ok(e.trace()?.to_svg())
}

/// (x + y)z, of the course CS 231n.
fn sum_times_number() -> Drawn {
    let g = Graph::<f64>::new();
    let (x, y, z) = (g.variable(-2.0).named("x"), g.variable(5.0).named("y"), g.variable(-4.0).named("z"));
    Ok(((x + y).named("q") * z).named("f").trace()?.to_svg())
}

/// The sigmoid neuron of the course CS 231n, in steps.
fn neuron() -> Drawn {
    let g = Graph::<f64>::new();
    let leaf = |name: &str, value: f64| g.variable(value).named(name);
    let (w0, x0, w1, x1, w2) = (leaf("w0", 2.0), leaf("x0", -1.0), leaf("w1", -3.0), leaf("x1", -2.0), leaf("w2", -3.0));
    let s = ((w0 * x0).named("p") + (w1 * x1).named("q") + w2).named("s");
    let u = ((-s).named("n").exp().named("t") + 1.0).named("u");
    Ok((1.0 / u).named("f").trace()?.to_svg())
}

/// u + u² with u = 3x: two ways from u to the result, of different length.
fn diamond() -> Drawn {
    let g = Graph::<f64>::new();
    let u = (3.0 * g.variable(2.0).named("x")).named("u");
    Ok((u + u.square().named("v")).named("y").trace()?.to_svg())
}
