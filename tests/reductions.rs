//! Reductions and scans at zeros, ties, infinities and empty axes; the numbers of higher order are those of `PyTorch`.

use autograd::{Graph, Tensor, Var, tensor};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn vector(x: &[f64]) -> Tensor<f64> {
    Tensor::new(x.to_vec(), [x.len()]).unwrap()
}

/// f(x), the gradient of its sum, and the gradient of Σ (i + 1)·gradientᵢ.
fn orders(x: &[f64], f: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>) -> [Vec<f64>; 3] {
    let g = Graph::new();
    let weights: Vec<f64> = (1..=x.len()).map(|i| i as f64).collect();
    let (x, weights) = (g.variable(vector(x)), g.constant(vector(&weights)));
    let y = f(x);
    let [d] = g.grad(y.sum(), [x]);
    let [dd] = g.grad((d * weights).sum(), [x]);
    [y, d, dd].map(|v| v.value().unwrap().to_vec())
}

#[track_caller]
fn assert_orders(found: &[Vec<f64>; 3], expected: [&[f64]; 3]) {
    for (found, expected) in found.iter().zip(expected) {
        let close = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() < 1e-12 * b.abs().max(1.0);
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| close(*a, *b)), "{found:?} {expected:?}");
    }
}

#[test]
fn products_are_right_with_any_number_of_zeros() {
    assert_orders(&orders(&[2.0, 0.0, 3.0], |x| x.prod()), [&[0.0], &[0.0, 6.0, 0.0], &[6.0, 9.0, 4.0]]);
    assert_orders(&orders(&[0.0, 2.0, 0.0, 3.0], |x| x.prod()), [&[0.0], &[0.0; 4], &[18.0, 0.0, 6.0, 0.0]]);
    assert_orders(&orders(&[0.0; 3], |x| x.prod()), [&[0.0], &[0.0; 3], &[0.0; 3]]);
    assert_orders(
        &orders(&[2.0, 0.0, 3.0], |x| x.cumprod(0) * x.graph().constant(tensor![1.0, -2.0, 0.5])),
        [&[2.0, 0.0, 0.0], &[1.0, -1.0, 0.0], &[-1.0, 2.5, 2.0]],
    );
    assert_orders(
        &orders(&[0.0, 2.0, 0.0, 3.0], |x| x.cumprod(0) * x.graph().constant(tensor![1.0, -2.0, 0.5, 3.0])),
        [&[0.0; 4], &[-3.0, 0.0, 0.0, 0.0], &[53.0, -2.0, 19.0, 0.0]],
    );
    assert_orders(
        &orders(&[0.0; 3], |x| x.cumprod(0) * x.graph().constant(tensor![1.0, -2.0, 0.5])),
        [&[0.0; 3], &[1.0, 0.0, 0.0], &[-4.0, -2.0, 0.0]],
    );
    // Third order: ∂³(xyz) by each once is 1, at the origin too.
    let g = Graph::<f64>::new();
    let [x, y, z] = [0.0; 3].map(|v| g.variable(v));
    let product = g.concat(&[x, y, z].map(|v| v.reshape([1])), 0).prod();
    let [dx] = g.grad(product, [x]);
    let [dxy] = g.grad(dx, [y]);
    let [dxyz] = g.grad(dxy, [z]);
    assert_eq!(dxyz.item().unwrap(), 1.0);
    // Single precision is multiplied in double: the way there neither overflows nor underflows.
    assert_eq!(tensor![1e30f32, 1e30, 1e-30, 1e-30].prod().unwrap().item().unwrap(), 1.0);
}

#[test]
fn norms_at_zero_have_slope_zero_and_no_nan_at_second_order() {
    for p in [2.0, 1.0, 3.0, 1.5, 0.5, -1.0, INF, -INF, 0.0] {
        let [y, d, dd] = orders(&[0.0, 0.0], |x| x.norm(p, .., false));
        assert_eq!((y, d), (vec![0.0], vec![0.0; 2]), "{p}");
        assert!(dd.iter().all(|v| v.is_finite()), "{p}: {dd:?}");
    }
    let norm = |p: f64, x: &[f64]| orders(x, |x| x.norm(p, .., false));
    assert_orders(&norm(2.0, &[3.0, -4.0]), [&[5.0], &[0.6, -0.8], &[0.32, 0.24]]);
    assert_orders(&norm(2.0, &[0.0, 2.0]), [&[2.0], &[0.0, 1.0], &[0.5, 0.0]]);
    assert_orders(
        &norm(3.0, &[3.0, -4.0]),
        [
            &[4.497_941_445_275_415],
            &[0.444_851_351_730_535_6, -0.790_846_847_520_952_1],
            &[0.521_437_481_881_946_5, 0.391_078_111_411_459_76],
        ],
    );
    assert_orders(
        &norm(-1.0, &[3.0, -4.0]),
        [
            &[1.714_285_714_285_714_4],
            &[0.326_530_612_244_898, -0.183_673_469_387_755_1],
            &[-0.233_236_151_603_498_56, -0.174_927_113_702_623_93],
        ],
    );
    assert_orders(
        &norm(0.5, &[3.0, -4.0]),
        [
            &[13.928_203_230_275_509],
            &[2.154_700_538_379_252, -1.866_025_403_784_438_6],
            &[-0.481_125_224_324_688_1, -0.360_843_918_243_516_14],
        ],
    );
    assert_orders(&norm(INF, &[2.0, -2.0, 1.0]), [&[2.0], &[0.5, -0.5, 0.0], &[0.0; 3]]);
    assert_orders(&norm(-INF, &[2.0, -2.0, 3.0]), [&[2.0], &[0.5, -0.5, 0.0], &[0.0; 3]]);
    assert_orders(&norm(0.0, &[2.0, 0.0]), [&[1.0], &[0.0; 2], &[0.0; 2]]);
    assert!(norm(0.5, &[0.0, 2.0])[2].iter().all(|v| !v.is_nan()));
    assert_eq!(norm(-1.0, &[0.0, 2.0])[..2], [vec![0.0], vec![0.0, 0.0]]);
}

#[test]
fn norms_neither_overflow_nor_underflow() {
    for (scale, p) in [(1e300, 2.0), (1e-300, 2.0), (1e200, 3.0), (1e-200, 1.5), (1e-300, -2.0), (1e-310, 2.0)] {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![3.0 * scale, -4.0 * scale]);
        let y = x.norm(p, .., false);
        let expected = tensor![3.0f64, -4.0].norm(p, .., false).unwrap().item().unwrap() * scale;
        assert!((y.item().unwrap() - expected).abs() < 1e-12 * expected, "{p} {y:?} {expected}");
        assert!(y.backward().unwrap().wrt(x).unwrap().as_slice().iter().all(|d| d.is_finite() && *d != 0.0));
    }
    assert_eq!(tensor![3e30f32, 4e30].norm(2.0, .., false).unwrap().item().unwrap(), 5e30);
    assert_eq!(tensor![3e-40f32, 4e-40].norm(2.0, .., false).unwrap().item().unwrap(), 5e-40);
    // A row of zeros beside others, an infinite one, and NaN.
    let x = tensor![[0.0, 0.0], [3e200, 4e200], [INF, 1.0], [0.0, -INF]];
    let y = x.norm(2.0, [1], false).unwrap();
    assert!((y[[1]] - 5e200).abs() < 1e188 && (y[[0]], y[[2]], y[[3]]) == (0.0, INF, INF), "{y}");
    for p in [2.0, 1.0, 3.0, -1.0, INF, -INF] {
        assert!(tensor![NAN, 1.0, INF].norm(p, .., false).unwrap().item().unwrap().is_nan(), "{p}");
    }
}

#[test]
fn equal_elements_have_no_deviation_and_no_slope() {
    for x in [vec![0.1; 3], vec![1e17 + 64.0; 7], vec![-0.3; 20]] {
        let [y, d, dd] = orders(&x, |x| x.std([0], 1.0, false));
        assert_eq!((y, d), (vec![0.0], vec![0.0; x.len()]));
        assert!(dd.iter().all(|v| v.is_finite()));
        assert_eq!(orders(&x, |x| x.var([0], 1.0, false))[..2], [vec![0.0], vec![0.0; x.len()]]);
    }
    assert_orders(
        &orders(&[1.0, 2.0, 4.0], |x| x.std([0], 1.0, false)),
        [
            &[1.527_525_231_651_946_5],
            &[-0.436_435_780_471_984_7, -0.109_108_945_117_996_25, 0.545_544_725_589_979_9],
            &[-0.046_760_976_479_141_18, 0.070_141_464_718_711_82, -0.023_380_488_239_570_674],
        ],
    );
    // Far from 0, and in single precision, nothing is lost.
    let x = tensor![1e9, 1e9 + 1.0, 1e9 + 2.0];
    assert_eq!(x.var([0], 1.0, false).unwrap().item().unwrap(), 1.0);
    assert_eq!(tensor![1e7f32, 1e7 + 1.0, 1e7 + 2.0].var([0], 1.0, false).unwrap().item().unwrap(), 1.0);
    assert_eq!(tensor![1e200, -1e200].std([0], 0.0, false).unwrap().item().unwrap(), 1e200);
    assert!(tensor![1.0, NAN].var([0], 0.0, false).unwrap().item().unwrap().is_nan());
    assert!(tensor![1.0, NAN].std([0], 0.0, false).unwrap().item().unwrap().is_nan());
}

#[test]
fn logcumsumexp_is_stable_and_infinities_and_nan_go_on() {
    let of = |x: &[f64]| orders(x, |x| x.logcumsumexp(0));
    assert_orders(&of(&[-INF, -INF, -INF]), [&[-INF; 3], &[0.0; 3], &[0.0; 3]]);
    assert_orders(
        &of(&[-INF, -INF, 0.0, 1.0]),
        [
            &[-INF, -INF, 0.0, 1.313_261_687_518_222_8],
            &[0.0, 0.0, 1.268_941_421_369_995, 0.731_058_578_630_004_9],
            &[0.0, 0.0, -0.196_611_933_241_481_74, 0.196_611_933_241_481_74],
        ],
    );
    assert_orders(
        &of(&[1.0, -INF, 2.0]),
        [
            &[1.0, 1.0, 2.313_261_687_518_223],
            &[2.268_941_421_369_995, 0.0, 0.731_058_578_630_004_8],
            &[-0.393_223_866_482_963_04, 0.0, 0.393_223_866_482_963_9],
        ],
    );
    let [y, d, _] = of(&[0.0, INF, 1.0]);
    assert_eq!((y, d[0], d[1].is_nan(), d[2]), (vec![0.0, INF, INF], 1.0, true, 0.0));
    let [y, ..] = of(&[0.0, NAN, 1.0, INF]);
    assert!(y[0] == 0.0 && y[1..].iter().all(|v| v.is_nan()));
    let [y, d, _] = of(&[-1e4, 1e4, -1e4]);
    assert_eq!((y, d), (vec![-1e4, 1e4, 1e4], vec![1.0, 2.0, 0.0]));
}

#[test]
fn recurrences_do_not_use_the_first_factor_and_take_every_axis() {
    let (a, b) = (tensor![[NAN, 2.0], [3.0, INF], [0.0, 0.5]], tensor![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_eq!(a.recurrence(&b, 0, false).unwrap().as_slice()[..2], [1.0, 2.0]);
    assert_eq!(a.recurrence(&b, 0, false).unwrap().as_slice()[2..], [6.0, INF, 5.0, INF]);
    assert_eq!(a.recurrence(&b, 1, true).unwrap().as_slice()[1..4], [2.0, 15.0, 4.0]);
    let long = Tensor::full(0.5f32, [2000, 3]).unwrap();
    assert_eq!(long.recurrence(&Tensor::ones([2000, 3]).unwrap(), 0, false).unwrap().as_slice()[5997], 2.0);
    // Where nothing infinite is asked for, an infinite factor does not matter.
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, INF, 1.0]);
    assert_eq!(x.cumprod(0).slice(0, 0..1).sum().backward().unwrap().wrt(x).unwrap(), &tensor![1.0, 0.0, 0.0]);
    // Forward mode has its own rule.
    let (a, b) = (g.variable(tensor![0.1, 0.5, 2.0]), g.variable(tensor![1.0, 2.0, 3.0]));
    let (da, db) = (g.constant(tensor![1.0, 2.0, 3.0]), g.constant(tensor![0.0, 1.0, -1.0]));
    assert_eq!(g.jvp(a.recurrence(b, 0, false), [a, b], [da, db]).value().unwrap(), tensor![0.0, 3.0, 12.5]);
    assert_eq!(g.jvp(a.recurrence(b, 0, false), [b], [db]).value().unwrap(), tensor![0.0, 1.0, 1.0]);
}

#[test]
fn answers_about_no_elements_and_about_nan() {
    let empty = Tensor::<f64>::zeros([2, 0]).unwrap();
    assert_eq!(empty.any([1], false).unwrap(), tensor![0.0, 0.0]);
    assert_eq!(empty.all([1], false).unwrap(), tensor![1.0, 1.0]);
    assert_eq!(empty.count_nonzero([1], true).unwrap(), tensor![[0.0], [0.0]]);
    assert_eq!(empty.prod_axes([1], false).unwrap(), tensor![1.0, 1.0]);
    assert_eq!(empty.norm(2.0, [1], false).unwrap(), tensor![0.0, 0.0]);
    assert_eq!(empty.prod().unwrap().item().unwrap(), 1.0);
    assert_eq!(empty.cumprod(0).unwrap().shape(), &[2, 0]);
    let x = tensor![[NAN, 0.0], [0.0, -0.0]];
    assert_eq!(x.any([1], false).unwrap(), tensor![1.0, 0.0]);
    assert_eq!(x.all([0], false).unwrap(), tensor![0.0, 0.0]);
    assert_eq!(x.count_nonzero(.., false).unwrap().item().unwrap(), 1.0);
    assert!(x.amin([1], false).unwrap().as_slice()[0].is_nan());
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![1.0, 2.0]);
    assert_eq!(
        (x.any(.., false) + x.all(.., false) + x.count_nonzero(.., false) + x.sum()).backward().unwrap().wrt(x).unwrap(),
        &tensor![1.0, 1.0]
    );
}

#[test]
fn positions_of_extremes_are_those_of_the_first() {
    let x = tensor![[3.0, 1.0, 3.0, 1.0], [0.0, NAN, 5.0, NAN]];
    assert_eq!(x.argmax(1).unwrap().as_slice(), [0, 1]);
    assert_eq!(x.argmin(-1).unwrap().as_slice(), [1, 1]);
    assert_eq!(x.argmax(0).unwrap().as_slice(), [0, 1, 1, 1]);
    assert_eq!(x.argmin(0).unwrap().as_slice(), [1, 1, 0, 1]);
    assert_eq!(tensor![-INF, -INF].argmax(0).unwrap(), autograd::Indices::new(vec![0], []).unwrap());
    let cube = Tensor::new((0..24).map(|i| f64::from((i * 7) % 24)).collect::<Vec<_>>(), [2, 3, 4]).unwrap();
    let found = cube.argmax(1).unwrap();
    assert_eq!(found.shape(), &[2, 4]);
    for (i, at) in found.as_slice().iter().enumerate() {
        assert_eq!(cube[[i / 4, *at, i % 4]], cube.amax([1], false).unwrap()[[i / 4, i % 4]]);
    }
    assert_eq!(Tensor::<f64>::zeros([0, 3]).unwrap().argmax(1).unwrap().shape(), &[0]);

    let g = Graph::<f64>::new();
    let error = g.variable(Tensor::zeros([0, 3]).unwrap()).argmin(0).unwrap_err();
    assert!(error.to_string().starts_with("argmin([0, 3]): there is nothing to take the position of the minimum of"), "{error}");
    assert!(error.location().unwrap().file().ends_with("reductions.rs"));
    let error = Tensor::scalar(1.0).argmax(0).unwrap_err();
    assert!(error.to_string().starts_with("argmax([]): there is no axis 0: a scalar has none"), "{error}");
    let wrong = g.variable(tensor![1.0, 2.0]) + g.variable(tensor![1.0, 2.0, 3.0]);
    assert_eq!(wrong.argmax(0).unwrap_err().op(), Some("add"));
}

#[test]
fn kinks_of_norms_and_extremes_are_seen() {
    let at = |x: [f64; 2], f: for<'g> fn(Var<'g, f64>) -> Var<'g, f64>, function: &str| {
        let report = autograd::check::gradients(|[x]| f(x), [&tensor![x[0], x[1]]]).unwrap().to_string();
        assert!(report.contains(&format!("kink of {function}")), "{report}");
    };
    at([0.0, 1.0], |x| x.norm(1.0, .., false), "norm");
    at([0.0, 1.0], |x| x.norm(0.5, .., false), "norm");
    at([0.0, 0.0], |x| x.norm(2.0, .., false), "norm");
    at([1.0, -1.0], |x| x.norm(INF, .., false), "norm");
    at([1.0, -1.0], |x| x.norm(-INF, .., false), "norm");
    at([1.0, 1.0], |x| x.amin(.., false), "amin");
    at([0.0, 0.0], |x| x.std(.., 0.0, false), "norm");
    // Where no kink is, however near, none is seen.
    let near = [&tensor![1e-5, 0.3, -1e-6]];
    autograd::check::gradients(|[x]| x.norm(1.0, .., false) + x.norm(INF, .., false), near).unwrap().assert_ok();
}
