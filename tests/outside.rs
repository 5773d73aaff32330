//! Values, gradients and second derivatives of every operation, and four trainings, against those of PyTorch and JAX in `tests/data`.

use std::{
    collections::BTreeSet,
    fmt::Write,
    ops::{Add, Bound, Div, Mul, Neg, Sub},
};

use autograd::{
    Axes, Conv, Error, Graph, Indices, Pool, Tensor, Var,
    op::{catalogue, join::Padding},
};
use nn::{
    Parameter, Sgd,
    loss::{
        self, BinaryCrossEntropy, BinaryCrossEntropyWithLogits, CosineEmbedding, CrossEntropy, Hinge, Huber, KlDiv, L1, Mse, Nll,
        PoissonNll, Reduction, SmoothL1,
    },
};
use serde_json::Value;

/// One case in each line; `tests/data/README.md` describes them.
const CASES: &str = include_str!("data/reference.jsonl");
const TRAININGS: &str = include_str!("data/trajectories.json");

/// The largest [`deviation`] that counts as agreement.
const TOLERANCE: f64 = 1e-10;

/// Operations of the catalogue that no case names, and why.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("add_lit", "add with a number written in the formula"),
    ("sub_lit", "sub with a number"),
    ("rsub_lit", "sub from a number"),
    ("mul_lit", "mul with a number"),
    ("div_lit", "div by a number"),
    ("rdiv_lit", "div of a number"),
    ("masked_mul", "the product of the chain rule, in which 0 times infinity is 0"),
    ("sum_to", "the gradient of broadcasting; compared by the gradient of every operation that broadcasts"),
    ("reshape_as", "reshape with a shape of the library"),
    ("broadcast_as", "broadcast_to with a shape of the library"),
    ("matmul_as", "matmul of transposed matrices, which makes up the gradients of matmul"),
    ("take", "the general form of slice, gather, diagonal and windows"),
    ("put", "the gradient of take; compared by the gradients of those"),
    ("recurrence", "in neither library by itself; the gradients of cumprod are made of it"),
    ("binary_cross_entropy", "in the file as bce"),
    ("binary_cross_entropy_with_logits", "in the file as bce_with_logits"),
    ("masked_attention", "in the file as scaled_dot_product_attention with four inputs"),
];

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn positions(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn tensor(array: &Value) -> Tensor<f64> {
    Tensor::new(numbers(&array["data"]), positions(&array["shape"])).unwrap()
}

fn vector(list: &Value) -> Tensor<f64> {
    let numbers = numbers(list);
    let len = numbers.len();
    Tensor::new(numbers, [len]).unwrap()
}

fn indices(array: &Value) -> Indices {
    Indices::new(positions(&array["index"]), positions(&array["shape"])).unwrap()
}

/// One line of the file.
struct Case(Value);

impl Case {
    fn op(&self) -> &str {
        self.0["op"].as_str().unwrap()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0[key].as_array().unwrap()
    }

    fn param(&self, name: &str) -> &Value {
        &self.0["params"][name]
    }

    fn int(&self, name: &str) -> isize {
        self.param(name).as_i64().unwrap() as isize
    }

    fn count(&self, name: &str) -> usize {
        self.param(name).as_u64().unwrap() as usize
    }

    fn number(&self, name: &str) -> f64 {
        match self.param(name) {
            Value::String(text) => text.parse().unwrap(),
            number => number.as_f64().unwrap(),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.param(name).as_bool().unwrap()
    }

    fn text(&self, name: &str) -> &str {
        self.param(name).as_str().unwrap()
    }

    fn ints(&self, name: &str) -> Vec<isize> {
        self.param(name).as_array().unwrap().iter().map(|v| v.as_i64().unwrap() as isize).collect()
    }

    fn counts(&self, name: &str) -> Vec<usize> {
        positions(self.param(name))
    }

    fn per_axis<const D: usize>(&self, name: &str) -> [usize; D] {
        self.counts(name).try_into().unwrap()
    }

    /// A list of axes, or all.
    fn axes(&self, name: &str) -> Axes {
        if self.param(name) == "all" { Axes::from(..) } else { Axes::from(self.ints(name)) }
    }

    fn range(&self) -> (Bound<isize>, Bound<isize>) {
        let bound = |name: &str, make: fn(isize) -> Bound<isize>| self.param(name).as_i64().map_or(Bound::Unbounded, |v| make(v as isize));
        (bound("start", Bound::Included), bound("end", Bound::Excluded))
    }

    fn conv<const D: usize>(&self) -> Conv<D> {
        let conv = Conv::default().stride(self.per_axis("stride")).padding(self.per_axis("padding"));
        conv.dilation(self.per_axis("dilation")).groups(self.count("groups"))
    }

    fn pool<const D: usize>(&self) -> Pool<D> {
        Pool::new(self.per_axis("size")).stride(self.per_axis("stride")).padding(self.per_axis("padding"))
    }

    fn padding(&self) -> Padding {
        match self.text("mode") {
            "constant" => Padding::Constant(self.number("value")),
            "reflect" => Padding::Reflect,
            "replicate" => Padding::Replicate,
            mode => panic!("padding {mode}"),
        }
    }

    fn reduction(&self) -> Reduction {
        match self.text("reduction") {
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            "none" => Reduction::None,
            reduction => panic!("reduction {reduction}"),
        }
    }

    fn indices(&self) -> Indices {
        indices(&self.0["index"]["indices"])
    }

    fn labels(&self) -> Indices {
        indices(&self.0["index"]["target"])
    }
}

/// A result of an operation.
enum Output<'g> {
    Var(Var<'g, f64>),
    Indices(Indices),
}

/// The operation that a case names, with its parameters.
fn apply<'g>(case: &Case, g: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Result<Vec<Output<'g>>, Error> {
    let op = case.op();
    let only_indices = match op {
        "argmax" => Some(x[0].argmax(case.int("axis"))?),
        "argmin" => Some(x[0].argmin(case.int("axis"))?),
        "argsort" => Some(x[0].argsort(case.int("axis"), case.flag("descending"))?),
        _ => None,
    };
    if let Some(indices) = only_indices {
        return Ok(vec![Output::Indices(indices)]);
    }
    let y = match op {
        "split" | "chunk" => several(case, x[0]),
        "sort" | "topk" => vec![chosen(case, x[0])],
        "slogdet" => <[_; 2]>::from(x[0].slogdet()).to_vec(),
        "one_hot" => vec![g.constant(case.indices().one_hot::<f64>(case.count("classes"))?)],
        _ => {
            let families = [pointwise, reduction, linear, movement, indexing, window, normalisation, distance, likelihood];
            vec![families.iter().find_map(|family| family(case, g, x)).unwrap_or_else(|| panic!("{op} is not known here"))]
        }
    };
    let mut y: Vec<_> = y.into_iter().map(Output::Var).collect();
    match op {
        "sort" => y.push(Output::Indices(x[0].argsort(case.int("axis"), case.flag("descending"))?)),
        "topk" => y.push(Output::Indices(x[0].topk_indices(case.count("k"), case.int("axis"), case.flag("largest"))?)),
        _ => {}
    }
    Ok(y)
}

/// Operations without parameters.
macro_rules! plain {
    ($op:expr, $x:expr, [$($a:ident)*] [$($b:ident)*] [$($c:ident)*]) => {
        match ($op, $x) {
            $( (stringify!($a), &[x]) => Some(x.$a()), )*
            $( (stringify!($b), &[x, y]) => Some(x.$b(y)), )*
            $( (stringify!($c), &[x, y, z]) => Some(x.$c(y, z)), )*
            _ => None,
        }
    };
}

fn pointwise<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    let plain = plain!(
        case.op(), x,
        [neg abs sign step square recip sqrt rsqrt exp exp2 expm1 ln log2 log10 ln_1p sin cos tan asin acos atan sinh cosh tanh asinh acosh
            atanh sigmoid log_sigmoid softplus erf erfc normal_cdf normal_pdf relu selu gelu gelu_tanh silu mish softsign floor ceil round trunc logical_not]
        [add sub mul div pow max min atan2 hypot xlogy logaddexp gt ge lt le eq ne logical_and logical_or logical_xor]
        [lerp select where_]
    );
    plain.or_else(|| {
        Some(match case.op() {
            "powi" => x[0].powi(case.int("n") as i32),
            "powf" => x[0].powf(case.number("c")),
            "leaky_relu" => x[0].leaky_relu(case.number("slope")),
            "elu" => x[0].elu(case.number("alpha")),
            "clamp" => x[0].clamp(case.number("low"), case.number("high")),
            "hardtanh" => x[0].hardtanh(case.number("low"), case.number("high")),
            "masked_fill" => x[0].masked_fill(x[1], case.number("value")),
            _ => return None,
        })
    })
}

fn reduction<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    let axes = || case.axes("axes");
    let keepdim = || case.flag("keepdim");
    plain!(case.op(), x, [sum mean prod] [] []).or_else(|| {
        Some(match case.op() {
            "sum_axes" => x[0].sum_axes(axes(), keepdim()),
            "mean_axes" => x[0].mean_axes(axes(), keepdim()),
            "prod_axes" => x[0].prod_axes(axes(), keepdim()),
            "amax" => x[0].amax(axes(), keepdim()),
            "amin" => x[0].amin(axes(), keepdim()),
            "var" => x[0].var(axes(), case.number("correction"), keepdim()),
            "std" => x[0].std(axes(), case.number("correction"), keepdim()),
            "norm" => x[0].norm(case.number("p"), axes(), keepdim()),
            "logsumexp" => x[0].logsumexp(axes(), keepdim()),
            "any" => x[0].any(axes(), keepdim()),
            "all" => x[0].all(axes(), keepdim()),
            "count_nonzero" => x[0].count_nonzero(axes(), keepdim()),
            "cumsum" => x[0].cumsum(case.int("axis")),
            "cumprod" => x[0].cumprod(case.int("axis")),
            "logcumsumexp" => x[0].logcumsumexp(case.int("axis")),
            _ => return None,
        })
    })
}

fn linear<'g>(case: &Case, g: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    plain!(case.op(), x, [matrix_trace inverse cholesky det logdet] [matmul dot outer solve] []).or_else(|| {
        Some(match case.op() {
            "einsum" => g.einsum(case.text("spec"), x),
            "linear" => x[0].linear(x[1], x[2]),
            "diagonal" => x[0].diagonal(case.int("offset"), case.int("axis_a"), case.int("axis_b")),
            "diag" => x[0].diag(case.int("offset")),
            "tril" => x[0].tril(case.int("k")),
            "triu" => x[0].triu(case.int("k")),
            _ => return None,
        })
    })
}

fn movement<'g>(case: &Case, g: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    Some(match case.op() {
        "reshape" => x[0].reshape(case.ints("dims")),
        "permute" => x[0].permute(case.ints("axes")),
        "transpose" => x[0].transpose(case.int("a"), case.int("b")),
        "broadcast_to" => x[0].broadcast_to(case.counts("dims")),
        "squeeze" => x[0].squeeze(case.int("axis")),
        "unsqueeze" => x[0].unsqueeze(case.int("axis")),
        "flatten" => x[0].flatten(case.int("start"), case.int("end")),
        "flip" => x[0].flip(case.axes("axes")),
        "roll" => x[0].roll(case.int("shift"), case.int("axis")),
        "repeat" => x[0].repeat(case.counts("counts")),
        "tile" => x[0].tile(case.counts("counts")),
        "repeat_interleave" => x[0].repeat_interleave(case.count("n"), case.int("axis")),
        "pad" => {
            let pairs = case.param("pairs").as_array().unwrap().iter().map(|pair| <[usize; 2]>::try_from(positions(pair)).unwrap().into());
            x[0].pad(pairs.collect::<Vec<(usize, usize)>>(), case.padding())
        }
        "slice" => x[0].slice(case.int("axis"), case.range()),
        "slice_step" => x[0].slice_step(case.int("axis"), case.range(), case.int("step")),
        "unfold" => x[0].unfold(case.int("axis"), case.count("size"), case.count("step")),
        "concat" => g.concat(x, case.int("axis")),
        "stack" => g.stack(x, case.int("axis")),
        _ => return None,
    })
}

/// The parts into which an axis is cut.
fn several<'g>(case: &Case, x: Var<'g, f64>) -> Vec<Var<'g, f64>> {
    let axis = case.int("axis");
    if case.op() == "chunk" {
        return match case.count("n") {
            1 => x.chunk::<1>(axis).to_vec(),
            2 => x.chunk::<2>(axis).to_vec(),
            3 => x.chunk::<3>(axis).to_vec(),
            4 => x.chunk::<4>(axis).to_vec(),
            n => panic!("{n} parts"),
        };
    }
    match case.counts("sizes")[..] {
        [a] => x.split([a], axis).to_vec(),
        [a, b] => x.split([a, b], axis).to_vec(),
        [a, b, c] => x.split([a, b, c], axis).to_vec(),
        ref sizes => panic!("{} parts", sizes.len()),
    }
}

fn chosen<'g>(case: &Case, x: Var<'g, f64>) -> Var<'g, f64> {
    let axis = case.int("axis");
    if case.op() == "sort" { x.sort(axis, case.flag("descending")) } else { x.topk(case.count("k"), axis, case.flag("largest")) }
}

fn indexing<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    Some(match case.op() {
        "index_select" => x[0].index_select(case.int("axis"), &case.indices()),
        "gather" => x[0].gather(case.int("axis"), &case.indices()),
        "take_along_axis" => x[0].take_along_axis(&case.indices(), case.int("axis")),
        "scatter_add" => x[0].scatter_add(x[1], case.int("axis"), &case.indices()),
        "index_add" => x[0].index_add(x[1], case.int("axis"), &case.indices()),
        "embedding" => x[0].embedding(&case.indices()),
        "masked_select" => x[0].masked_select(x[1]),
        _ => return None,
    })
}

fn window<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    Some(match case.op() {
        "conv1d" => x[0].conv1d(x[1], case.conv()),
        "conv2d" => x[0].conv2d(x[1], case.conv()),
        "conv_transpose2d" => x[0].conv_transpose2d(x[1], case.conv()),
        "max_pool1d" => x[0].max_pool1d(case.pool()),
        "max_pool2d" => x[0].max_pool2d(case.pool()),
        "avg_pool1d" => x[0].avg_pool1d(case.pool()),
        "avg_pool2d" => x[0].avg_pool2d(case.pool()),
        "adaptive_avg_pool2d" => x[0].adaptive_avg_pool2d(case.per_axis("size")),
        _ => return None,
    })
}

fn normalisation<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    let eps = || case.number("eps");
    Some(match case.op() {
        "softmax" => x[0].softmax(case.int("axis")),
        "log_softmax" => x[0].log_softmax(case.int("axis")),
        "softmax_cross_entropy" => x[0].softmax_cross_entropy(case.int("axis"), &case.labels()),
        "layer_norm" => x[0].layer_norm(case.axes("axes"), eps()),
        "group_norm" => x[0].group_norm(case.count("groups"), eps()),
        "batch_norm" => x[0].batch_norm(eps()),
        "batch_norm_eval" => x[0].batch_norm_eval(x[1], x[2], eps()),
        "rms_norm" => x[0].rms_norm(case.axes("axes"), eps()),
        "scaled_dot_product_attention" => match *x {
            [q, k, v] => q.scaled_dot_product_attention(k, v, case.flag("is_causal")),
            [q, k, v, mask] if !case.flag("is_causal") => q.masked_attention(k, v, mask),
            _ => return None,
        },
        "dropout" => x[0].dropout(case.number("p"), case.count("seed") as u64),
        _ => return None,
    })
}

fn distance<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    let reduction = || case.reduction();
    Some(match case.op() {
        "mse" => Mse::default().reduction(reduction()).of(x[0], x[1]),
        "l1" => L1::default().reduction(reduction()).of(x[0], x[1]),
        "huber" => Huber::default().delta(case.number("delta")).reduction(reduction()).of(x[0], x[1]),
        "smooth_l1" => SmoothL1::default().beta(case.number("beta")).reduction(reduction()).of(x[0], x[1]),
        "hinge" => Hinge::default().reduction(reduction()).of(x[0], x[1]),
        "cosine_embedding" => CosineEmbedding::default().margin(case.number("margin")).reduction(reduction()).of(x[0], x[1], x[2]),
        _ => return None,
    })
}

fn likelihood<'g>(case: &Case, _: &'g Graph<f64>, x: &[Var<'g, f64>]) -> Option<Var<'g, f64>> {
    let reduction = || case.reduction();
    // PyTorch takes a row of scores alone, too; here it is a batch of one.
    let alone = matches!(case.op(), "nll" | "cross_entropy") && x[0].shape().is_ok_and(|shape| shape.rank() == 1);
    let x: Vec<_> = x.iter().map(|x| if alone { x.unsqueeze(0) } else { *x }).collect();
    let labels = || if alone { case.labels().reshape([1]).unwrap() } else { case.labels() };
    let weights = |name| case.param(name).is_array().then(|| vector(case.param(name)));
    let ignored = || case.param("ignore_index").as_u64().map(|label| label as usize);
    let loss = match case.op() {
        "bce" => BinaryCrossEntropy::default().reduction(reduction()).of(x[0], x[1]),
        "bce_with_logits" => {
            let loss = BinaryCrossEntropyWithLogits::default().reduction(reduction());
            weights("pos_weight").into_iter().fold(loss, BinaryCrossEntropyWithLogits::pos_weight).of(x[0], x[1])
        }
        "nll" => {
            let loss = weights("weight").into_iter().fold(Nll::default().reduction(reduction()), Nll::weights);
            ignored().into_iter().fold(loss, Nll::ignore_index).of(x[0], &labels())
        }
        "cross_entropy" => {
            let loss = CrossEntropy::default().reduction(reduction()).label_smoothing(case.number("label_smoothing"));
            let loss = weights("weight").into_iter().fold(loss, CrossEntropy::weights);
            let loss = ignored().into_iter().fold(loss, CrossEntropy::ignore_index);
            if case.flag("soft") { loss.of_probabilities(x[0], x[1]) } else { loss.of(x[0], &labels()) }
        }
        "kl_div" => KlDiv::default().log_target(case.flag("log_target")).reduction(reduction()).of(x[0], x[1]),
        "poisson_nll" => {
            let loss = PoissonNll::default().log_input(case.flag("log_input")).full(case.flag("full"));
            loss.eps(case.number("eps")).reduction(reduction()).of(x[0], x[1])
        }
        _ => return None,
    };
    Some(if alone && matches!(reduction(), Reduction::None) { loss.squeeze(0) } else { loss })
}

/// The largest difference between the numbers and the reference, in parts of its largest magnitude, or of 1 if that is less.
fn deviation(found: &[f64], reference: &[f64]) -> f64 {
    if found.len() != reference.len() {
        return f64::INFINITY;
    }
    let scale = reference.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    let part = |(a, b): (&f64, &f64)| if a.is_nan() { f64::INFINITY } else { (a - b).abs() / scale };
    found.iter().zip(reference).map(part).fold(0.0, f64::max)
}

/// What is compared in a case, with the deviation of each.
fn compare(case: &Case) -> Result<Vec<(String, f64)>, Error> {
    let g = Graph::<f64>::new();
    let differentiated = case.0.get("grads").is_some();
    let leaf = |(k, array): (usize, &Value)| {
        let constant = differentiated && case.list("grads")[k].is_null();
        if constant { g.constant(tensor(array)) } else { g.variable(tensor(array)) }
    };
    let x: Vec<_> = case.list("inputs").iter().enumerate().map(leaf).collect();
    let outputs = apply(case, &g, &x)?;
    let mut compared = Vec::new();
    let mut check =
        |what: &str, k: usize, found: &[f64], reference: &[f64]| compared.push((format!("{what} {k}"), deviation(found, reference)));
    let same_shape = |shape: &[usize], reference: &Value| assert_eq!(shape, positions(&reference["shape"]), "{}", case.0);
    assert_eq!(outputs.len(), case.list("y").len(), "{}", case.0);
    for (k, (y, reference)) in outputs.iter().zip(case.list("y")).enumerate() {
        match y {
            Output::Var(y) => {
                let value = y.value()?;
                same_shape(value.shape(), reference);
                check("value", k, value.as_slice(), &numbers(&reference["data"]));
            }
            Output::Indices(found) => {
                same_shape(found.shape(), reference);
                let as_numbers: Vec<_> = found.as_slice().iter().map(|&i| i as f64).collect();
                check("indices", k, &as_numbers, &numbers(&reference["index"]));
            }
        }
    }
    if !differentiated {
        return Ok(compared);
    }

    let with_cotangent: Vec<_> = outputs
        .iter()
        .zip(case.list("cotangent"))
        .filter_map(|(y, cotangent)| match y {
            Output::Var(y) if cotangent.is_array() => Some((*y, numbers(cotangent))),
            _ => None,
        })
        .map(|(y, cotangent)| Ok((y, Tensor::new(cotangent, y.shape()?)?)))
        .collect::<Result<_, Error>>()?;
    let total = with_cotangent.iter().map(|(y, cotangent)| (*y * g.constant(cotangent)).sum()).reduce(Add::add).unwrap();
    let gradients = match &with_cotangent[..] {
        [(y, cotangent)] => y.backward_with(cotangent)?,
        _ => total.backward()?,
    };
    let variables: Vec<_> = x.iter().enumerate().filter(|(k, _)| case.list("grads")[*k].is_array()).collect();
    let mut products = Vec::new();
    for &(k, x) in &variables {
        check("gradient", k, gradients.wrt(*x)?.as_slice(), &numbers(&case.list("grads")[k]));
        let [recorded] = g.grad(total, [*x]);
        check("recorded gradient", k, recorded.value()?.as_slice(), &numbers(&case.list("grads")[k]));
        let vector = Tensor::new(numbers(&case.list("vector")[k]), x.shape()?)?;
        products.push((recorded * g.constant(vector)).sum());
    }
    let second = products.into_iter().reduce(Add::add).unwrap().backward()?;
    for (k, x) in variables {
        // Where a gradient is the same everywhere, it does not depend on the input.
        let zeros = Tensor::zeros(x.shape()?)?;
        check("second derivative", k, second.get(*x).unwrap_or(&zeros).as_slice(), &numbers(&case.list("second")[k]));
    }
    Ok(compared)
}

#[test]
fn every_operation_agrees_with_pytorch_and_jax() {
    let (mut ran, mut differentiated, mut disagreeing, mut largest, mut report) = (0, 0, 0, 0.0_f64, String::new());
    let mut names = BTreeSet::new();
    for (line, text) in CASES.lines().enumerate() {
        let case = Case(serde_json::from_str(text).unwrap());
        ran += 1;
        differentiated += usize::from(case.0.get("grads").is_some());
        names.insert(case.op().to_owned());
        let compared = compare(&case).unwrap_or_else(|error| vec![(error.to_string(), f64::INFINITY)]);
        largest = compared.iter().fold(largest, |m, (_, deviation)| m.max(*deviation));
        let wrong: Vec<_> = compared.into_iter().filter(|(_, deviation)| *deviation > TOLERANCE).collect();
        if !wrong.is_empty() {
            disagreeing += 1;
            writeln!(report, "line {}, {}({}): {wrong:?}", line + 1, case.op(), case.0["params"]).unwrap();
        }
    }
    println!("{ran} cases of {} operations, {differentiated} with gradients and second derivatives", names.len());
    println!("largest deviation: {largest:.1e}");
    assert!(report.is_empty(), "{disagreeing} of {ran} cases disagree:\n{report}");
    assert!(ran >= 1500, "only {ran} cases");

    let operations: BTreeSet<_> = catalogue().chain(loss::catalogue()).map(|entry| entry.name).collect();
    let excepted: BTreeSet<_> = NOT_COMPARED.iter().map(|(name, _)| *name).collect();
    for name in operations.union(&excepted) {
        assert!(operations.contains(name), "{name} is excepted, but not in the catalogue");
        assert!(names.contains(*name) != excepted.contains(name), "{name}: not compared, and no reason given, or the other way round");
    }
}

/// Layers of a weight and a bias, tanh between them.
fn model<'g>(parameters: &[Parameter<f64>], x: Var<'g, f64>) -> Var<'g, f64> {
    let g = x.graph();
    let mut y = x;
    for (i, [w, b]) in parameters.as_chunks().0.iter().enumerate() {
        let input = if i == 0 { y } else { y.tanh() };
        y = input.matmul(w.bind(g).transpose(0, 1)) + b.bind(g);
    }
    y
}

#[test]
fn trainings_follow_those_of_pytorch_and_jax() {
    let mut report = String::new();
    let trainings: Value = serde_json::from_str(TRAININGS).unwrap();
    for training in trainings.as_array().unwrap() {
        let name = training["name"].as_str().unwrap();
        let number = |key: &str| training[key].as_f64().unwrap();
        let names: &[&str] = if name.starts_with("mlp") { &["w1", "b1", "w2", "b2", "w3", "b3"] } else { &["w", "b"] };
        let mut parameters: Vec<_> = names.iter().map(|key| Parameter::new(tensor(&training["initial"][key]))).collect();
        let mut sgd = Sgd::new(number("learning_rate")).momentum(number("momentum")).weight_decay(number("weight_decay"));
        let x = tensor(&training["x"]);
        let steps = training["steps"].as_u64().unwrap() as usize;
        let mut losses = Vec::new();
        for step in 0..=steps {
            let g = Graph::new();
            let y = model(&parameters, g.constant(&x));
            let target = &training["target"];
            let loss = match name {
                "linear_regression" => Mse::default().of(y, g.constant(tensor(target))),
                "logistic_regression" => BinaryCrossEntropyWithLogits::default().of(y, g.constant(tensor(target))),
                _ => CrossEntropy::default().of(y, &indices(target)),
            };
            losses.push(loss.item().unwrap());
            if step < steps {
                sgd.step(&mut parameters, &loss.backward().unwrap()).unwrap();
            }
        }
        let losses: Vec<_> = positions(&training["loss_at"]).into_iter().map(|step| losses[step]).collect();
        let mut check = |what: &str, found: &[f64], reference: &Value| {
            let deviation = deviation(found, &numbers(reference));
            if deviation > 1e-9 {
                writeln!(report, "{name}, {what}: {deviation:.1e}").unwrap();
            }
        };
        check("losses", &losses, &training["losses"]);
        for (parameter, key) in parameters.iter().zip(names) {
            check(key, parameter.value().as_slice(), &training["final"][key]["data"]);
        }
    }
    assert!(report.is_empty(), "{report}");
}
