//! Lessons that need a model: what courses write about the layers of a network, with the numbers of a run. Lessons about graphs are in
//! [`autograd::lesson`], and are here too.

use std::fmt;

use autograd::{
    ErrorKind, Graph, Real, Tensor, Var,
    trace::{Array, Options, Trace},
};
use serde::Serialize;

// What is of the same name here stands before it.
pub use autograd::lesson::*;

use crate::{
    activation::Activation,
    error::Error,
    mlp::Mlp,
    module::{Module, Parameters},
};

/// The forward and the backward pass of a network, layer by layer, in the notation of courses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Course {
    /// The number of examples, m.
    pub examples: usize,
    /// The loss.
    pub loss: f64,
    /// Where the loss takes a mean, as a formula, and over how many numbers; nothing if it takes none that is seen.
    pub mean: Option<(String, usize)>,
    /// The layers, from the input to the output.
    pub layers: Vec<CourseLayer>,
}

/// A layer: what the forward pass keeps, and what the backward pass makes of it. All numbers are those of the run, where examples are rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CourseLayer {
    /// ℓ, from 1.
    pub number: usize,
    /// The activation g, such as `Tanh`.
    pub activation: String,
    /// The numbers of inputs and of neurons.
    pub sizes: (usize, usize),
    /// What comes in: A of the layer before, or the inputs X, `[m, in]`.
    pub a_prev: Array,
    /// The weights W, `[out, in]`.
    pub w: Array,
    /// The biases b, `[out]`, if there are any.
    pub b: Option<Array>,
    /// Z = `A_prev`·Wᵀ + b, `[m, out]`.
    pub z: Array,
    /// A = g(Z), `[m, out]`.
    pub a: Array,
    /// The gradient by A. Like all gradients here, it has the 1/m of the loss in it.
    pub da: Array,
    /// The gradient by Z: dA ∗ g′(Z).
    pub dz: Array,
    /// The gradient by W: dZᵀ·`A_prev`.
    pub dw: Array,
    /// The gradient by b: the sum of the rows of dZ.
    pub db: Option<Array>,
}

/// The forward and the backward pass of a network on a batch, layer by layer, as courses write it: the caches `A_prev`, W, b, Z, A, and the gradients dA,
/// dZ, dW, db. `loss` makes a scalar of the output.
///
/// The numbers are taken from the [trace](Var::trace) of the run that [`Module::forward`] and `backward` are. Courses often write examples as
/// columns and take the factor 1/m out of dZ; both ways of writing are shown side by side, and give the same dW and db.
///
/// ```
/// use autograd::tensor;
/// use nn::{Activation, Init, Mlp, lesson, loss::mse};
/// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let model = Mlp::<f64>::new(&[2, 3, 1], &[Activation::Tanh, Activation::Sigmoid], Init::XavierUniform, &mut rng)?;
/// let (x, t) = (tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], tensor![[0.0], [1.0], [1.0], [0.0]]);
/// let course = lesson::course(&model, &x, |y| mse(y, y.graph().constant(&t)))?;
/// assert_eq!((course.examples, course.layers.len()), (4, 2));
/// assert_eq!((&course.layers[0].dz.shape, &course.layers[0].dw.shape), (&vec![4, 3], &vec![3, 2]));
/// println!("{course}");
/// # Ok::<(), nn::Error>(())
/// ```
///
/// # Errors
/// What goes wrong in the model or the loss; inputs that are not `[m, in]`; a loss that does not depend on every layer.
#[track_caller]
pub fn course<T: Real, L>(model: &Mlp<T>, x: &Tensor<T>, loss: L) -> Result<Course, Error>
where
    L: for<'g> FnOnce(Var<'g, T>) -> Var<'g, T>,
{
    let &[examples, _] = &**x.shape() else {
        return Err(Error::config(format!("inputs of shape {}", x.shape()), "a batch of examples is [m, in]"));
    };
    let g = Graph::new();
    model.name_on(&g);
    let mut a = g.constant(x).named("X");
    let mut names = vec!["X".to_owned()];
    let mut caches = Vec::new();
    for (k, layer) in model.layers.iter().enumerate() {
        let number = k + 1;
        let z = layer.linear.forward(a).named(&format!("Z{number}"));
        a = layer.activation.apply(z);
        // The identity gives Z itself.
        let name = if a.position() == z.position() { format!("Z{number}") } else { format!("A{number}") };
        a = a.named(&name);
        caches.push((layer, number));
        names.push(name);
    }
    let root = loss(a);
    let trace = root.trace_with(&Options::default().max_elements(usize::MAX))?;
    let value = |name: &str| trace.node(name).map(|node| node.value.clone());
    let gradient = |name: &str| trace.node(name).and_then(|node| node.gradient.clone());
    let missing = |number: usize| {
        let why = format!("the loss does not depend on the output of layer {number}, so that it has no gradients");
        Error::from(autograd::Error::from(ErrorKind::NoGradient { why }))
    };
    let mut layers = Vec::new();
    for (layer, number) in caches {
        let (weight, bias, z) = (format!("layers.{}.weight", number - 1), format!("layers.{}.bias", number - 1), format!("Z{number}"));
        let found = || {
            let w = value(&weight)?;
            let sizes = (*w.shape.get(1)?, *w.shape.first()?);
            Some(CourseLayer {
                number,
                activation: format!("{:?}", layer.activation),
                sizes,
                a_prev: value(&names[number - 1])?,
                w,
                b: value(&bias),
                z: value(&z)?,
                a: value(&names[number])?,
                da: gradient(&names[number])?,
                dz: gradient(&z)?,
                dw: gradient(&weight)?,
                db: gradient(&bias),
            })
        };
        layers.push(found().ok_or_else(|| missing(number))?);
    }
    Ok(Course { examples, loss: root.item()?.to_f64(), mean: mean(&trace), layers })
}

/// The operation that takes a mean, first from the root on.
fn mean(trace: &Trace) -> Option<(String, usize)> {
    let nodes = trace.visits.iter().map(|visit| &trace.nodes[visit.node]);
    let node = nodes.into_iter().find(|node| node.op.contains("mean"))?;
    let over = node.inputs.first().map_or(0, |&x| trace.nodes[x].value.len()) / node.value.len().max(1);
    let formula = node.formula.as_ref().map_or_else(|| node.op.clone(), ToString::to_string);
    Some((format!("{} = {formula}", node.name), over))
}

/// An array in a table: all of it if it is small.
fn short(array: &Array) -> String {
    array.short(8)
}

impl Course {
    /// The lesson as a page.
    #[must_use]
    pub fn page(&self) -> Page {
        let m = self.examples;
        let mut rules = Table::new(["", "here: examples are rows", "courses: examples are columns"]);
        for row in [
            ["Z", "A_prev·Wᵀ + b", "W·A_prev + b"],
            ["A", "g(Z)", "g(Z)"],
            ["dZ", "dA ∗ g′(Z)", "dA ∗ g′(Z)"],
            ["dW", "dZᵀ·A_prev", "1/m · dZ·A_prevᵀ"],
            ["db", "Σ over rows of dZ", "1/m · Σ over columns of dZ"],
            ["dA_prev", "dZ·W", "Wᵀ·dZ"],
        ] {
            rules.row(row);
        }
        let mut page = Page::new("Forward and backward, layer by layer").text(format!(
            "m = {m} examples, {} layers, loss {:.6}. W is [out, in] in both ways of writing; what has a row for each example here has a column for each in \
             courses, and b is a column there.",
            self.layers.len(),
            self.loss
        ));
        page = page.table(rules).text(match &self.mean {
            Some((formula, n)) => format!(
                "Where 1/m enters: the loss ends in a mean, {formula}, over {n} numbers. Here it is a step of its own, so dA and dZ have the factor \
                 in them, and dW and db need none. Courses take the gradient of each example's own loss, which is m times ours, and write 1/m in front of dW \
                 and db, which are the same."
            ),
            None => "No mean is seen in the loss: unless it is inside, the gradients are those of a sum over the examples. Then dA and dZ are those of courses, \
                     whose 1/m in front of dW and db makes these m times as small there."
                .to_owned(),
        });
        let (of_examples, of_sums) = if self.mean.is_some() { ("·m", "") } else { ("", "/m") };
        for layer in &self.layers {
            let (inputs, outputs) = layer.sizes;
            let before = layer.number - 1;
            let prev = if before == 0 { "X = A[0]".to_owned() } else { format!("A[{before}]") };
            let l = layer.number;
            let mut table = Table::new(["", "here", "courses", "values (here)"]);
            let mut row = |name: String, array: &Array, there: String| {
                table.row([name, format!("{:?}", array.shape), there, short(array)]);
            };
            row(prev, &layer.a_prev, format!("({inputs}, {m})"));
            row(format!("W[{l}]"), &layer.w, format!("({outputs}, {inputs})"));
            if let Some(b) = &layer.b {
                row(format!("b[{l}]"), b, format!("({outputs}, 1)"));
            }
            row(format!("Z[{l}]"), &layer.z, format!("({outputs}, {m})"));
            row(format!("A[{l}]"), &layer.a, format!("({outputs}, {m})"));
            row(format!("dA[{l}]"), &layer.da, format!("({outputs}, {m}){of_examples}"));
            row(format!("dZ[{l}]"), &layer.dz, format!("({outputs}, {m}){of_examples}"));
            row(format!("dW[{l}]"), &layer.dw, format!("({outputs}, {inputs}){of_sums}"));
            if let Some(db) = &layer.db {
                row(format!("db[{l}]"), db, format!("({outputs}, 1){of_sums}"));
            }
            let activation = if layer.a == layer.z && layer.activation == format!("{:?}", Activation::Identity) {
                "the identity".to_owned()
            } else {
                layer.activation.clone()
            };
            page = page
                .text(format!(
                    "Layer {l}: {inputs} {}, {outputs} {}, g is {activation}",
                    if inputs == 1 { "input" } else { "inputs" },
                    if outputs == 1 { "neuron" } else { "neurons" }
                ))
                .table(table);
        }
        page.text(if self.mean.is_some() {
            "·m marks what is m times as large in courses."
        } else {
            "/m marks what is m times as small in courses."
        })
    }

    /// The lesson as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.page().to_markdown()
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.page().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use autograd::tensor;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        init::Init,
        loss::{cross_entropy, mse},
    };

    fn elements(array: &Array) -> &[f64] {
        array.elements.as_deref().unwrap()
    }

    fn tensor(array: &Array) -> Tensor<f64> {
        Tensor::new(elements(array).to_vec(), array.shape.clone()).unwrap()
    }

    fn assert_close(a: &Tensor<f64>, b: &Tensor<f64>, what: &str) {
        assert_eq!(a.shape(), b.shape(), "{what}");
        assert!(a.as_slice().iter().zip(b.as_slice()).all(|(a, b)| (a - b).abs() <= 1e-15), "{what}: {a} is not {b}");
    }

    fn batch(rng: &mut ChaCha8Rng) -> (Tensor<f64>, Tensor<f64>) {
        (Tensor::randn([5, 3], rng).unwrap(), Tensor::randn([5, 2], rng).unwrap())
    }

    #[test]
    fn the_numbers_are_those_of_the_real_run() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let activations = [Activation::Tanh, Activation::Relu, Activation::Identity];
        let model = Mlp::<f64>::new(&[3, 4, 6, 2], &activations, Init::XavierNormal, &mut rng).unwrap();
        let (x, t) = batch(&mut rng);
        let course = course(&model, &x, |y| mse(y, y.graph().constant(&t))).unwrap();
        let g = Graph::new();
        let loss = mse(model.forward(g.constant(&x)), g.constant(&t));
        let grads = loss.backward().unwrap();
        assert_eq!(course.loss, loss.item().unwrap());
        for (found, layer) in course.layers.iter().zip(&model.layers) {
            let (weight, bias) = (&layer.linear.weight, layer.linear.bias.as_ref().unwrap());
            assert_eq!(elements(&found.dw), weight.grad(&grads).unwrap().as_slice());
            assert_eq!(elements(found.db.as_ref().unwrap()), bias.grad(&grads).unwrap().as_slice());
            assert_eq!(elements(&found.w), weight.value().as_slice());
        }
        assert_eq!(course.layers[1].a_prev, course.layers[0].a);
        let last = &course.layers[2];
        assert_eq!((&last.z, &last.dz), (&last.a, &last.da));
    }

    #[test]
    fn both_ways_of_writing_give_the_same() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let model = Mlp::<f64>::new(&[3, 4, 2], &[Activation::Tanh, Activation::Sigmoid], Init::XavierNormal, &mut rng).unwrap();
        let (x, t) = batch(&mut rng);
        let course = course(&model, &x, |y| mse(y, y.graph().constant(&t))).unwrap();
        let slopes: [fn(f64) -> f64; 2] = [|a| 1.0 - a * a, |a| a * (1.0 - a)];
        for (k, (layer, slope)) in course.layers.iter().zip(slopes).enumerate() {
            let [a_prev, w, z, a, da, dz, dw] = [&layer.a_prev, &layer.w, &layer.z, &layer.a, &layer.da, &layer.dz, &layer.dw].map(tensor);
            let (b, db) = (tensor(layer.b.as_ref().unwrap()), tensor(layer.db.as_ref().unwrap()));
            assert_close(&z, &(&a_prev.matmul_as(&w, false, true).unwrap() + &b), "Z");
            let slopes = Tensor::new(a.as_slice().iter().map(|a| slope(*a)).collect::<Vec<_>>(), a.shape()).unwrap();
            assert_close(&dz, &(&da * &slopes), "dZ");
            assert_close(&dw, &dz.matmul_as(&a_prev, true, false).unwrap(), "dW");
            assert_close(&db, &dz.sum_axes([0], false).unwrap(), "db");
            // As courses write it: columns, and gradients of each example's own loss.
            let m = 5.0;
            let column_dz = dz.transpose(0, 1).unwrap().mul_lit(m).unwrap();
            let column_dw = column_dz.matmul_as(&a_prev.transpose(0, 1).unwrap(), false, true).unwrap().mul_lit(1.0 / m).unwrap();
            assert_close(&dw, &column_dw, "dW of columns");
            assert_close(&db, &column_dz.sum_axes([1], false).unwrap().mul_lit(1.0 / m).unwrap(), "db of columns");
            if let Some(before) = k.checked_sub(1).map(|k| &course.layers[k]) {
                assert_close(&tensor(&before.da), &dz.matmul(&w).unwrap(), "dA_prev");
            }
        }
    }

    #[test]
    fn the_page_says_where_the_mean_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let model = Mlp::<f64>::new(&[3, 2], &[Activation::Identity], Init::XavierNormal, &mut rng).unwrap();
        let (x, t) = batch(&mut rng);
        let with = course(&model, &x, |y| mse(y, y.graph().constant(&t))).unwrap();
        assert_eq!(with.mean.as_ref().map(|(_, n)| *n), Some(10));
        let labels = autograd::Indices::from(vec![0, 1, 1, 0, 1]);
        let classes = course(&model, &x, |y| cross_entropy(y, &labels)).unwrap();
        assert_eq!(classes.mean.as_ref().map(|(_, n)| *n), Some(5));
        let without = course(&model, &x, |y| (y - y.graph().constant(&t)).square().sum()).unwrap();
        assert_eq!(without.mean, None);
        let text = with.to_string();
        assert!(text.contains("Where 1/m enters") && text.contains("1/m · dZ·A_prevᵀ") && text.contains("(2, 5)·m"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(with.to_markdown().contains("| dW[1] | [2, 3] | (2, 3) |"), "{}", with.to_markdown());
    }

    #[test]
    fn mistakes_are_told() {
        let model = Mlp::<f64>::new(&[2, 1], &[Activation::Identity], Init::Zeros, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
        let why = |x: &Tensor<f64>, detach: bool| {
            let found = course(&model, x, |y| if detach { y.graph().variable(1.0) } else { y.sum() });
            found.unwrap_err().to_string()
        };
        assert!(why(&tensor![1.0, 2.0], false).contains("a batch of examples is [m, in]"));
        assert!(why(&tensor![[1.0, 2.0]], true).contains("does not depend on the output of layer 1"));
    }
}
