//! Every operation of the catalogue, computed a second time by obvious loops that share nothing with the library.

mod algebra;
mod call;
mod determinants;
mod movement;
mod nd;
mod pointwise;
mod windows;

use autograd::{
    Graph, Tensor,
    op::{Sample, catalogue},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use call::{Call, lengths, numbers};
use nd::Nd;

fn mean(line: &[f64]) -> f64 {
    line.iter().sum::<f64>() / line.len() as f64
}

/// Σ(x − mean)² / (n − correction)
fn variance(line: &[f64], correction: f64) -> f64 {
    line.iter().map(|x| (x - mean(line)).powi(2)).sum::<f64>() / (line.len() as f64 - correction)
}

fn norm(line: &[f64], p: f64) -> f64 {
    let sizes: Vec<_> = line.iter().map(|x| x.abs()).collect();
    if p == f64::INFINITY {
        algebra::largest(&sizes)
    } else if p == f64::NEG_INFINITY {
        algebra::smallest(&sizes)
    } else if p == 0.0 {
        sizes.iter().filter(|x| **x != 0.0).count() as f64
    } else {
        sizes.iter().map(|x| x.powf(p)).sum::<f64>().powf(1.0 / p)
    }
}

/// For each position, a number for the elements up to there.
fn scan(line: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..line.len()).map(|i| f(&line[..=i])).collect()
}

fn recurrence(a: &Nd, b: &Nd, axis: usize, reverse: bool) -> Nd {
    Nd::from_fn(&a.shape, |index| {
        let n = a.shape[axis];
        let (mut s, steps) = (0.0, if reverse { n - index[axis] } else { index[axis] + 1 });
        for step in 0..steps {
            let here = nd::with(index, axis, if reverse { n - 1 - step } else { step });
            s = if step == 0 { b.at(&here) } else { a.at(&here) * s + b.at(&here) };
        }
        s
    })
}

/// 0 where the generator of that seed gives less than p, else x/(1 − p).
fn dropout(x: &Nd, p: f64, seed: &str) -> Nd {
    let mut rng = ChaCha8Rng::seed_from_u64(if seed == "u64::MAX" { u64::MAX } else { seed.parse().unwrap() });
    x.map(|x| if f64::from(rng.next_u32()) / 2f64.powi(32) < p { 0.0 } else { x / (1.0 - p) })
}

/// The value of a sample, or nothing if there is no reference for it.
fn reference(text: &str, x: &[Nd]) -> Option<Nd> {
    if let Some((text, x)) = determinants::with_diagonal(text, x) {
        return reference(&text, &x);
    }
    // Operands that may be 0.
    let spaceless = text.replace(' ', "");
    if let Some(k) = (0..x.len()).find(|k| spaceless != "x[0].relu()" && spaceless.contains(&format!("x[{k}].relu()"))) {
        let mut x: Vec<Nd> = x.iter().map(|x| x.map(|x| x)).collect();
        x[k] = x[k].map(|x| if x <= 0.0 { 0.0 } else { x });
        return reference(&spaceless.replacen(&format!("x[{k}].relu()"), &format!("x[{k}]"), 1), &x);
    }
    let Some(call) = Call::parse(text) else { return composed(text, &x[0]).or_else(|| determinants::both(text, x)) };
    if let Some(formula) = pointwise::formula(&call.name) {
        let shape = x.iter().fold(vec![], |shape, x| nd::common(&shape, &x.shape));
        let (stretched, parameters): (Vec<_>, _) = (x.iter().map(|x| x.stretch(&shape)).collect(), call.parameters());
        return Some(Nd::from_fn(&shape, |index| formula(&stretched.iter().map(|x| x.at(index)).collect::<Vec<_>>(), &parameters)));
    }
    reduction(&call, &x[0])
        .or_else(|| moved(&call, x))
        .or_else(|| indexed(&call, x))
        .or_else(|| algebraic(&call, x))
        .or_else(|| windowed(&call, x))
        .or_else(|| normalised(&call, x))
        .or_else(|| determinants::decomposed(&call, x))
}

/// Samples that are more than one call.
fn composed(text: &str, x: &Nd) -> Option<Nd> {
    let last = x.rank().checked_sub(1)?;
    let parts = |sizes: [usize; 3]| [0, 1, 2].map(|k| movement::part(x, last, &sizes, k));
    match text {
        "{ let [a, b, c] = x[0].split([1, 0, 4], -1); a * c + b.sum() }" => {
            let [a, _, c] = parts([1, 0, 4]);
            Some(a.zip(&c, |a, c| a * c))
        }
        "{ let [q, k, v] = x[0].chunk(-1); q * k + v }" => {
            let [q, k, v] = parts([2; 3]);
            Some(q.zip(&k, |q, k| q * k).zip(&v, |qk, v| qk + v))
        }
        _ => None,
    }
}

fn reduction(call: &Call, x: &Nd) -> Option<Nd> {
    let all: Vec<_> = (0..x.rank()).collect();
    let over = |f: &dyn Fn(&[f64]) -> f64| Some(x.reduce(&call.axes(0, x.rank()), call.flag(1), f));
    let along = |f: &dyn Fn(&[f64]) -> Vec<f64>| Some(x.along(call.axis(0, x.rank()), f));
    let sum = |line: &[f64]| line.iter().sum();
    let product = |line: &[f64]| line.iter().product();
    let truth = |condition| if condition { 1.0 } else { 0.0 };
    match &*call.name {
        "sum" => Some(x.reduce(&all, false, sum)),
        "mean" => Some(x.reduce(&all, false, mean)),
        "prod" => Some(x.reduce(&all, false, product)),
        "sum_axes" => over(&sum),
        "mean_axes" => over(&mean),
        "prod_axes" => over(&product),
        "amax" => over(&algebra::largest),
        "amin" => over(&algebra::smallest),
        "any" => over(&|line| truth(line.iter().any(|x| *x != 0.0))),
        "all" => over(&|line| truth(line.iter().all(|x| *x != 0.0))),
        "count_nonzero" => over(&|line| line.iter().filter(|x| **x != 0.0).count() as f64),
        "sum_to" => Some(movement::sum_to(x, &movement::shape(&call.args[0], x))),
        "logsumexp" => over(&algebra::logsumexp),
        "var" => Some(x.reduce(&call.axes(0, x.rank()), call.flag(2), |line| variance(line, call.number(1)))),
        "std" => Some(x.reduce(&call.axes(0, x.rank()), call.flag(2), |line| variance(line, call.number(1)).sqrt())),
        "norm" => Some(x.reduce(&call.axes(1, x.rank()), call.flag(2), |line| norm(line, call.number(0)))),
        "cumsum" => along(&|line| scan(line, sum)),
        "cumprod" => along(&|line| scan(line, product)),
        "logcumsumexp" => along(&|line| scan(line, algebra::logsumexp)),
        "softmax" => along(&algebra::softmax),
        "log_softmax" => along(&algebra::log_softmax),
        "sort" => along(&|line| movement::sorted(line, call.flag(1))),
        "topk" => Some(x.along(call.axis(1, x.rank()), |line| movement::sorted(line, call.flag(2))[..call.length(0)].to_vec())),
        _ => None,
    }
}

fn moved(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let (x, rank) = (&inputs[0], inputs[0].rank());
    Some(match &*call.name {
        "reshape" => movement::reshape(x, &numbers(&call.args[0])),
        "reshape_as" => x.reshape(&movement::shape(&call.args[0], x)),
        "squeeze" => {
            let k = call.axis(0, rank);
            x.reshape(&[&x.shape[..k], &x.shape[k + 1..]].concat())
        }
        "unsqueeze" => movement::unsqueeze(x, call.axis(0, rank + 1)),
        "flatten" if rank == 0 => x.reshape(&[1]),
        "flatten" => {
            let (start, end) = (call.axis(0, rank), call.axis(1, rank));
            x.reshape(&[&x.shape[..start], &[x.shape[start..=end].iter().product()], &x.shape[end + 1..]].concat())
        }
        "permute" => x.permute(&movement::order(&call.args[0], rank)),
        "transpose" => x.transpose(call.axis(0, rank), call.axis(1, rank)),
        "broadcast_to" => x.stretch(&lengths(&call.args[0])),
        "broadcast_as" => x.stretch(&movement::shape(&call.args[0], x)),
        "pad" => movement::pad(x, call),
        "repeat" | "tile" => movement::repeat(x, &lengths(&call.args[0])),
        "repeat_interleave" => {
            let k = call.axis(1, rank);
            x.along(k, |line| line.iter().flat_map(|x| vec![*x; call.length(0)]).collect())
        }
        "roll" => x.along(call.axis(1, rank), |line| {
            let n = line.len().cast_signed();
            (0..n).map(|i| line[(i - call.whole(0)).rem_euclid(n).unsigned_abs()]).collect()
        }),
        "concat" => movement::concat(inputs, call.axis(1, rank)),
        "stack" => {
            let k = call.axis(1, rank + 1);
            movement::concat(&inputs.iter().map(|part| movement::unsqueeze(part, k)).collect::<Vec<_>>(), k)
        }
        "split" => movement::part(x, call.axis(1, rank), &lengths(&call.args[0]), lengths(&call.rest)[0]),
        name if name.starts_with("chunk::<") => {
            let (k, n) = (call.axis(0, rank), lengths(name)[0]);
            movement::part(x, k, &vec![x.shape[k] / n; n], lengths(&call.rest)[0])
        }
        _ => return None,
    })
}

fn indexed(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let (x, rank) = (&inputs[0], inputs[0].rank());
    let axis = |i| call.axis(i, rank);
    let list = |i: usize| movement::positions(&call.args[i]);
    Some(match &*call.name {
        "slice" => movement::slice_step(x, axis(0), call.range(1, x.shape[axis(0)]), 1),
        "slice_step" => movement::slice_step(x, axis(0), call.range(1, x.shape[axis(0)]), call.whole(2)),
        "flip" => movement::flip(x, &call.axes(0, rank)),
        "unfold" => movement::unfold(x, axis(0), call.length(1), call.length(2)),
        "index_select" => movement::index_select(x, axis(0), &list(1)),
        "embedding" => movement::index_select(x, 0, &list(0)),
        "gather" => movement::gather(x, axis(0), &list(1)),
        "take_along_axis" => movement::take_along_axis(x, axis(1), &list(0)),
        "scatter_add" => movement::scatter_add(x, &inputs[1], axis(1), &list(2)),
        "index_add" => movement::index_add(x, &inputs[1], axis(1), &list(2)),
        "take" => movement::take(x, &call.args[0])?,
        "put" => movement::put(x, &call.args[0], &movement::shape(&call.args[1], x))?,
        "masked_select" if call.args[0] == "x[0].gt(0.0)" => movement::masked_select(x, &x.map(|x| f64::from(u8::from(x > 0.0)))),
        "masked_select" => movement::masked_select(x, &inputs[1]),
        _ => return None,
    })
}

fn algebraic(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let (x, last) = (&inputs[0], &inputs[inputs.len() - 1]);
    Some(match &*call.name {
        "matmul" => algebra::matmul(x, last),
        "matmul_as" => algebra::matmul(&algebra::transposed_if(x, call.flag(1)), &algebra::transposed_if(last, call.flag(2))),
        "linear" => {
            let product = algebra::matmul(x, &algebra::transposed_if(&inputs[1], true));
            Nd::from_fn(&product.shape, |index| product.at(index) + last.at(&index[index.len() - 1..]))
        }
        "dot" => Nd::scalar((0..x.shape[0]).map(|i| x.at(&[i]) * last.at(&[i])).sum()),
        "outer" => Nd::from_fn(&[x.shape[0], last.shape[0]], |index| x.at(&index[..1]) * last.at(&index[1..])),
        "matrix_trace" => {
            let diagonal = algebra::diagonal(x, 0, -2, -1);
            diagonal.reduce(&[diagonal.rank() - 1], false, |line| line.iter().sum())
        }
        "diagonal" => algebra::diagonal(x, call.whole(0), call.whole(1), call.whole(2)),
        "diag" => algebra::diag(x, call.whole(0)),
        "tril" => algebra::triangle(x, |above| above <= call.whole(0)),
        "triu" => algebra::triangle(x, |above| above >= call.whole(0)),
        "einsum" => algebra::einsum(&call.args[..call.args.len() - 1].join(","), inputs),
        "recurrence" => recurrence(x, last, call.axis(1, x.rank()), call.flag(2)),
        _ => return None,
    })
}

fn windowed(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let (x, last) = (&inputs[0], &inputs[inputs.len() - 1]);
    Some(match &*call.name {
        "conv1d" => windows::convolve(x, last, call, 1),
        "conv2d" => windows::convolve(x, last, call, 2),
        "conv_transpose2d" => windows::convolve_transposed(x, last, call, 2),
        "max_pool1d" => windows::pool(x, call, 1, None, algebra::largest),
        "max_pool2d" => windows::pool(x, call, 2, None, algebra::largest),
        "avg_pool1d" => windows::pool(x, call, 1, Some(0.0), mean),
        "avg_pool2d" => windows::pool(x, call, 2, Some(0.0), mean),
        "adaptive_avg_pool2d" => windows::adaptive_avg_pool(x, &lengths(&call.args[0])),
        _ => return None,
    })
}

fn normalised(call: &Call, inputs: &[Nd]) -> Option<Nd> {
    let (x, rank) = (&inputs[0], inputs[0].rank());
    Some(match &*call.name {
        "softmax_cross_entropy" => {
            let (axis, labels) = (call.axis(0, rank), movement::positions(&call.args[1]));
            let mut kept = labels.clone();
            kept.shape.insert(axis, 1);
            let y = movement::gather(&x.along(axis, algebra::log_softmax), axis, &kept);
            Nd { shape: labels.shape, data: y.data.iter().map(|y| -y).collect() }
        }
        "layer_norm" => windows::standardise(x, &call.axes(0, rank), call.number(1)),
        "rms_norm" => {
            let square = x.reduce(&call.axes(0, rank), true, |line| line.iter().map(|x| x * x).sum::<f64>() / line.len() as f64);
            x.zip(&square, |x, square| x / (square + call.number(1)).sqrt())
        }
        "group_norm" => windows::group_norm(x, call.length(0), call.number(1)),
        "batch_norm" => windows::standardise(x, &(0..rank).filter(|k| *k != 1).collect::<Vec<_>>(), call.number(0)),
        "batch_norm_eval" => Nd::from_fn(&x.shape, |index| {
            let channel = &index[1..2];
            (x.at(index) - inputs[1].at(channel)) / (inputs[2].at(channel) + call.number(2)).sqrt()
        }),
        "scaled_dot_product_attention" => windows::attention(x, &inputs[1], &inputs[2], None, call.flag(2)),
        "masked_attention" => windows::attention(x, &inputs[1], &inputs[2], Some(&inputs[3]), false),
        "dropout" => dropout(x, call.number(0), &call.args[1]),
        _ => return None,
    })
}

/// The value that the library gives.
fn library(sample: &Sample, inputs: &[Tensor<f64>]) -> Tensor<f64> {
    let g = Graph::new();
    let leaves: Vec<_> = inputs.iter().map(|x| g.variable(x)).collect();
    (sample.run)(&leaves).value().unwrap()
}

/// Compares the two values, with elements that may be off by 1e-12 of the largest one.
fn compare(name: &str, sample: &Sample, inputs: &[Tensor<f64>]) {
    let y = library(sample, inputs);
    let nds: Vec<_> = inputs.iter().map(|x| Nd { shape: x.shape().to_vec(), data: x.as_slice().to_vec() }).collect();
    let text = sample.text;
    let expected = reference(text, &nds).unwrap_or_else(|| panic!("{name}: {text} has no reference"));
    assert_eq!(y.shape(), &expected.shape[..], "{name}: {text}");
    // Terms of sums are of order 1; where they cancel, their rounding stays.
    let scale = expected.data.iter().filter(|v| v.is_finite()).fold(1e-2f64, |m, v| m.max(v.abs()));
    for (y, expected) in y.as_slice().iter().zip(&expected.data) {
        let same = y == expected || (y.is_nan() && expected.is_nan()) || (y - expected).abs() <= 1e-12 * scale;
        assert!(same, "{name}: {text} of {nds:?} gives {y}, not {expected}");
    }
}

fn draw(sample: &Sample, rng: &mut ChaCha8Rng) -> Vec<Tensor<f64>> {
    sample.inputs.iter().map(|(shape, (low, high))| Tensor::uniform(*low, *high, shape, rng).unwrap()).collect()
}

#[test]
fn values_agree_with_those_of_obvious_loops_to_1e_12() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for entry in catalogue() {
        for sample in entry.samples {
            for _ in 0..3 {
                compare(entry.name, sample, &draw(sample, &mut rng));
            }
        }
    }
}

/// Operations whose formulas may be rearranged, so that what comes of an infinity depends on the order: products of three or more factors,
/// determinants and what is made of them.
const NOT_INFINITE: [&str; 7] = ["einsum", "det", "logdet", "slogdet", "inverse", "solve", "cholesky"];

#[test]
fn one_element_that_is_not_finite_goes_where_the_definitions_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for entry in catalogue() {
        let specials = if NOT_INFINITE.contains(&entry.name) { &[f64::NAN][..] } else { &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY] };
        for sample in entry.samples {
            for (k, special) in (0..sample.inputs.len()).flat_map(|k| specials.iter().map(move |special| (k, *special))) {
                let mut inputs = draw(sample, &mut rng);
                let mut elements = inputs[k].as_slice().to_vec();
                if !elements.is_empty() {
                    let position = rng.next_u32() as usize % elements.len();
                    elements[position] = special;
                    inputs[k] = Tensor::new(elements, inputs[k].shape()).unwrap();
                    compare(entry.name, sample, &inputs);
                }
            }
        }
    }
}

/// Sizes near which functions have their edges; points are these with both signs, and NaN.
const SIZES: [f64; 34] = [
    0.0,
    5e-324,
    f64::MIN_POSITIVE,
    1e-300,
    1e-20,
    1e-6,
    0.499_999_999_999_999_94,
    0.5,
    1.0 - f64::EPSILON / 2.0,
    1.0,
    1.0 + f64::EPSILON,
    1.5,
    2.5,
    3.5,
    6.0,
    20.0,
    40.0,
    709.7,
    709.8,
    745.0,
    746.0,
    1022.0,
    1024.0,
    1074.0,
    // acosh of libm is −15.9 at −5815.6, and −7.98 at −36.6 in single precision.
    36.601_894,
    5_815.604_413_709_014,
    1e4,
    1e6,
    4_503_599_627_370_495.5,
    1e16,
    1e150,
    1e300,
    f64::MAX,
    f64::INFINITY,
];

/// Fewer of them, for all triples.
const FEW: [f64; 13] = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-20, -1e-300, 1e4, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

/// Functions whose zeros have the sign that is convenient, other than their references at −0: those that choose a branch or mask a factor at
/// 0, and those that take one of two zeros.
const ANY_ZERO: [&str; 10] = ["sign", "relu", "leaky_relu", "gelu", "gelu_tanh", "silu", "mish", "max", "min", "lerp"];

/// Applies `test` to every pointwise operation, with its formula and its parameters, and to all tuples of points.
fn each_pointwise(test: impl Fn(&str, &Sample, pointwise::Formula, &[f64], &[Vec<f64>])) {
    for entry in catalogue() {
        let Some(formula) = pointwise::formula(entry.name) else { continue };
        let sample = &entry.samples[0];
        let operands = sample.inputs.len();
        let all = SIZES.iter().flat_map(|size| [*size, -size]).chain([f64::NAN]);
        let points: Vec<f64> = if operands < 3 { all.collect() } else { FEW.to_vec() };
        let shape = vec![points.len(); operands];
        let tuples: Vec<Vec<f64>> = nd::indices(&shape).map(|index| index.into_iter().map(|i| points[i]).collect()).collect();
        test(entry.name, sample, formula, &Call::parse(sample.text).unwrap().parameters(), &tuples);
    }
}

#[test]
fn special_values_are_those_of_the_definitions() {
    each_pointwise(|name, sample, formula, parameters, tuples| {
        let column = |k: usize| Tensor::new(tuples.iter().map(|x| x[k]).collect::<Vec<_>>(), [tuples.len()]).unwrap();
        let inputs: Vec<_> = (0..sample.inputs.len()).map(column).collect();
        // In the tails of these the rounding of an exponent −½x² grows with it.
        let tolerance = if name.starts_with("gelu") { 1e-12 } else { 1e-13 };
        for (y, x) in library(sample, &inputs).as_slice().iter().zip(tuples) {
            let expected = formula(x, parameters);
            let same = if expected == 0.0 {
                *y == 0.0 && (y.is_sign_negative() == expected.is_sign_negative() || ANY_ZERO.contains(&name))
            } else {
                *y == expected || (y.is_nan() && expected.is_nan()) || (y - expected).abs() <= tolerance * expected.abs()
            };
            assert!(same, "{name}({x:?}; {parameters:?}) is {y:e}, not {expected:e}");
        }
    });
}

#[test]
fn special_values_in_single_precision() {
    each_pointwise(|name, sample, formula, parameters, tuples| {
        // The fourth roots of large points lie in the range of single precision.
        let single = |x: f64| if x.abs() > 1e7 && x.is_finite() { x.abs().sqrt().sqrt().copysign(x) as f32 } else { x as f32 };
        let g = Graph::<f32>::new();
        let column = |k: usize| g.variable(Tensor::new(tuples.iter().map(|x| single(x[k])).collect::<Vec<_>>(), [tuples.len()]).unwrap());
        let inputs: Vec<_> = (0..sample.inputs.len()).map(column).collect();
        let parameters: Vec<_> = parameters.iter().map(|p| f64::from(*p as f32)).collect();
        // As in double precision.
        let tolerance = if name.starts_with("gelu") { 4e-6 } else { 1e-6 };
        for (y, x) in (sample.run_f32)(&inputs).value().unwrap().as_slice().iter().zip(tuples) {
            let x: Vec<_> = x.iter().map(|x| f64::from(single(*x))).collect();
            let expected = formula(&x, &parameters) as f32;
            let close = || (y - expected).abs() <= tolerance * expected.abs() + f32::MIN_POSITIVE;
            assert!(*y == expected || (y.is_nan() && expected.is_nan()) || close(), "{name}({x:?}) is {y:e}, not {expected:e}");
        }
    });
}
