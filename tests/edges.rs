//! Kinks, edges of domains, infinities and NaN: the table of conventions, and fused formulas against plain ones.

use autograd::{Graph, Tensor, Var, fused, tensor};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Points at which something happens.
const POINTS: [f64; 11] = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 800.0, INF, -INF, NAN];

/// Both NaN, the same infinity, or the same number but for rounding.
fn alike(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// One formula, read twice.
struct Case {
    text: &'static str,
    plain: for<'g> fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>,
    fused: for<'g> fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>,
}

macro_rules! cases {
    ($(|$x:ident, $a:ident| $e:expr;)+) => {
        vec![$( Case { text: stringify!($e), plain: |$x, $a| $e, fused: |$x, $a| fused!(|$x, $a| $e)($x, $a) } ),+]
    };
}

#[test]
fn fused_and_plain_formulas_agree_at_every_edge_for_each_operand() {
    let cases = cases! {
        |x, a| x + a.ln();
        |x, a| x * a.ln();
        |x, a| x * a.sqrt();
        |x, a| x - a.recip();
        |x, a| x / a;
        |x, a| 1.0 / x + a * 0.0;
        |x, a| x.pow(a);
        |x, a| x.powi(2) * a.powf(0.5);
        |x, a| x.powi(0) + a.powi(-1);
        |x, a| x.abs() * a.sign();
        |x, a| x.max(a);
        |x, a| x.min(a) + x.ln_1p() + a.max(0.5);
        |x, a| x.step().select(a.sqrt(), x);
        |x, a| x.step().select(x.sqrt(), a);
        |x, a| x.gt(a).select(x.ln(), a.exp());
        |x, a| x.ln().relu() + a;
        |x, a| x.relu().ln() * a;
        |x, a| x.clamp(-1.0, 1.0).sqrt() + a.exp().clamp(0.0, 2.0);
        |x, a| x.ln().clamp(-100.0, 0.0) * a;
        |x, a| x.leaky_relu(0.1) + a.elu(1.0);
        |x, a| x.tanh() * a.sigmoid();
        |x, a| x.softplus() - a.silu();
        |x, a| x.gelu() + a.erf() * x.erfc();
        |x, a| x.sin() * a.cos() + x.tan();
        |x, a| x.expm1() / a.square();
        |x, a| (x * a).exp() - x;
        |x, a| x.masked_mul(a.ln());
        |x, a| 3.0 - x * 2.0 / 4.0 + (-a) / 2.0;
        |x, a| (x.eq(a) + x.ne(a) + x.ge(a) + x.le(a) + x.lt(a)) * x;
        |x, a| a * a + x.sign();
    };
    let mut compared = 0;
    for case in &cases {
        for x in POINTS {
            for a in POINTS {
                let g = Graph::new();
                let (x, a) = (g.variable(x), g.variable(a));
                // As scalars, and as tensors that take the vectorised path.
                let (xs, as_) = (x.broadcast_to([3]), a.broadcast_to([3]));
                let of = |f: for<'g> fn(Var<'g, f64>, Var<'g, f64>) -> Var<'g, f64>, x: Var<'_, f64>, a: Var<'_, f64>| {
                    let (g, y) = (x.graph(), f(x, a));
                    let [dx, da] = g.grad(y.sum(), [x, a]);
                    let (x, a) = (x.retain_grad(), a.retain_grad());
                    let grads = y.sum().backward().unwrap();
                    let first = |t: &Tensor<f64>| t.as_slice()[0];
                    [
                        first(&y.value().unwrap()),
                        first(grads.wrt(x).unwrap()),
                        first(grads.wrt(a).unwrap()),
                        first(&dx.value().unwrap()),
                        first(&da.value().unwrap()),
                    ]
                };
                let results = [of(case.plain, x, a), of(case.fused, x, a), of(case.plain, xs, as_), of(case.fused, xs, as_)];
                for result in &results[1..] {
                    for (k, (expected, found)) in results[0].iter().zip(result).enumerate() {
                        compared += 1;
                        let what = ["value", "∂x", "∂a", "recorded ∂x", "recorded ∂a"][k];
                        assert!(
                            alike(*expected, *found),
                            "{}, {what} at x = {:?}, a = {:?}: plain {expected:e}, other {found:e}\n{results:?}",
                            case.text,
                            x.item(),
                            a.item()
                        );
                    }
                }
                // Recorded and direct gradients are one.
                assert!(alike(results[0][1], results[0][3]) && alike(results[0][2], results[0][4]), "{} {results:?}", case.text);
            }
        }
    }
    assert!(compared > 50_000);
}

/// f(x) and f′(x)
fn at(x: f64, f: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>) -> (f64, f64) {
    let g = Graph::new();
    let x = g.variable(x);
    let y = f(x);
    (y.item().unwrap(), y.backward().unwrap().wrt(x).unwrap().item().unwrap())
}

#[test]
fn slopes_at_kinks_follow_the_conventions() {
    assert_eq!(at(0.0, |x| x.relu()), (0.0, 0.0));
    assert_eq!(at(0.0, |x| x.abs()), (0.0, 0.0));
    assert_eq!(at(0.0, |x| x.sign()), (0.0, 0.0));
    assert_eq!(at(0.0, |x| x.step()), (0.0, 0.0));
    assert_eq!(at(0.0, |x| x.leaky_relu(0.1)), (0.0, 0.1));
    assert_eq!(at(0.0, |x| x.elu(2.0)), (0.0, 2.0));
    assert_eq!(at(1.0, |x| x.clamp(-1.0, 1.0)), (1.0, 1.0));
    assert_eq!(at(1.5, |x| x.clamp(-1.0, 1.0)), (1.0, 0.0));
    assert_eq!(at(0.0, |x| x.sqrt()), (0.0, INF));
    assert_eq!(at(0.0, |x| x.step().select(x.sqrt(), x * 3.0)), (0.0, 3.0));
    assert_eq!(at(0.0, |x| x.powi(0)), (1.0, 0.0));
    assert_eq!(at(0.0, |x| x.powf(0.0)), (1.0, 0.0));
    assert_eq!(at(3.0, |x| x.max(x)), (3.0, 1.0));

    let g = Graph::<f64>::new();
    let (x, y) = (g.variable(0.0), g.variable(2.0));
    let grads = x.pow(y).backward().unwrap();
    assert_eq!((grads.wrt(x).unwrap().item().unwrap(), grads.wrt(y).unwrap().item().unwrap()), (0.0, 0.0));
    let zero = g.variable(0.0);
    let grads = x.pow(zero).backward().unwrap();
    assert_eq!((grads.wrt(x).unwrap().item().unwrap(), grads.wrt(zero).unwrap().item().unwrap()), (0.0, 0.0));
    assert!(g.variable(-2.0).pow(g.constant(0.5)).item().unwrap().is_nan());
    let (a, b) = (g.variable(1.5), g.variable(1.5));
    let grads = a.max(b).backward().unwrap();
    assert_eq!((grads.wrt(a).unwrap().item().unwrap(), grads.wrt(b).unwrap().item().unwrap()), (0.5, 0.5));
}

#[test]
fn slopes_that_cancel_below_an_infinite_one_are_the_exception() {
    let g = Graph::<f64>::new();
    let (x, a) = (g.variable(0.0), g.variable(0.0));
    let slope = |y: Var<'_, f64>| y.backward().unwrap().wrt(x).unwrap().item().unwrap();
    assert_eq!(at(f64::NEG_INFINITY, |x| x.silu()).1, 0.0);
    // Infinite slopes of two paths that would cancel: added first, or last.
    let (x1, a1) = (g.variable(1.0), g.variable(1.0));
    let of = |y: Var<'_, f64>| y.backward().unwrap().wrt(x1).unwrap().item().unwrap();
    assert!(of((x1 * x1 - 2.0 * x1 * a1 + a1 * a1).sqrt()).is_nan());
    assert_eq!(of(fused!(|x1, a1| (x1 * x1 - 2.0 * x1 * a1 + a1 * a1).sqrt())(x1, a1)), 0.0);
    assert_eq!(slope((x * x - x * a).sqrt()), slope(fused!(|x, a| (x * x - x * a).sqrt())(x, a)));
}

#[test]
fn ties_of_a_maximum_share_its_gradient() {
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![[2.0, 2.0, 1.0], [0.0, 3.0, 3.0]]);
    let grads = x.amax([1], false).sum().backward().unwrap();
    assert_eq!(grads.wrt(x).unwrap(), &tensor![[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]);
}

#[test]
fn slopes_at_a_tie_have_slopes_of_their_own() {
    let slopes = |f: for<'g> fn([Var<'g, f64>; 2]) -> Var<'g, f64>, a: f64, b: f64| {
        let g = Graph::<f64>::new();
        let [a, b] = [a, b].map(|v| g.variable(v));
        let [da, db] = g.grad(f([a, b]), [a, b]);
        let [daa, dab] = g.grad(da, [a, b]);
        [da, db, daa, dab].map(|v| v.item().unwrap())
    };
    assert_eq!(slopes(|[a, b]| a.logaddexp(b), 1e4, 1e4), [0.5, 0.5, 0.25, -0.25]);
    assert_eq!(slopes(|[a, b]| a.logaddexp(b), INF, INF), [0.5, 0.5, 0.0, 0.0]);
    assert_eq!(slopes(|[a, b]| a.logaddexp(b), -INF, -INF), [0.5, 0.5, 0.0, 0.0]);
    assert_eq!(slopes(|[a, b]| a.xlogy(b), 0.0, 2.0), [2.0_f64.ln(), 0.0, 0.0, 0.5]);
    assert_eq!(slopes(|[a, b]| a.xlogy(b), 0.0, 0.0), [0.0; 4]);
    assert_eq!(slopes(|[a, b]| a.xlogy(b), 0.0, -1.0), [0.0; 4]);
}

#[test]
fn nan_goes_through_every_operation() {
    // What gives 0 or 1, or a whole number, by definition: comparison with NaN is false, and a mask, or the choice of the smallest, may leave the NaN out.
    let answers = ["gt", "ge", "lt", "le", "eq", "ne", "logical_not", "logical_and", "logical_or", "logical_xor", "masked_select", "topk"];
    // What moves elements by their size: one NaN comes out, but perhaps not where the number would have.
    let orders = ["sort"];
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    for entry in autograd::op::catalogue().chain(nn::loss::catalogue()).filter(|entry| !answers.contains(&entry.name)) {
        for (i, sample) in entry.samples.iter().enumerate() {
            let draw = |rng: &mut ChaCha8Rng| -> Vec<Tensor<f64>> {
                sample.inputs.iter().map(|(shape, (low, high))| Tensor::uniform(*low, *high, shape, rng).unwrap()).collect()
            };
            let (here, there) = (draw(&mut rng), draw(&mut rng));
            // The result with one element of one input replaced, if any.
            let value = |replaced: Option<(usize, usize, f64)>| {
                let g = Graph::new();
                let with = |(k, x): (usize, &Tensor<f64>)| {
                    let mut elements = x.to_vec();
                    if let Some((_, e, v)) = replaced.filter(|(at, ..)| *at == k) {
                        elements[e] = v;
                    }
                    g.variable(Tensor::new(elements, x.shape()).unwrap())
                };
                let x: Vec<_> = here.iter().enumerate().map(with).collect();
                (sample.run)(&x).value()
            };
            let y = value(None).unwrap_or_else(|error| panic!("{}, sample {i}: {error}", entry.name)).to_vec();
            for (k, x) in there.iter().enumerate() {
                for (e, v) in x.as_slice().iter().enumerate() {
                    let Ok(moved) = value(Some((k, e, *v))) else { continue };
                    let Ok(spoilt) = value(Some((k, e, NAN))) else { continue };
                    let depends: Vec<bool> = y.iter().zip(moved.as_slice()).map(|(a, b)| a != b).collect();
                    let told = if orders.contains(&entry.name) {
                        !depends.contains(&true) || spoilt.as_slice().iter().any(|v| v.is_nan())
                    } else {
                        depends.iter().zip(spoilt.as_slice()).all(|(depends, v)| !depends || v.is_nan())
                    };
                    assert!(told, "{}, sample {i}, element {e} of input {k}: {spoilt}", entry.name);
                }
            }
        }
    }
    let g = Graph::<f64>::new();
    assert!(g.variable(NAN).relu().item().unwrap().is_nan());
    assert!(g.variable(NAN).max(g.variable(1.0)).item().unwrap().is_nan());
    assert!(g.variable(1.0).min(g.variable(NAN)).item().unwrap().is_nan());
    assert!(g.variable(tensor![1.0, NAN, 3.0]).amax([0], false).item().unwrap().is_nan());
}

#[test]
fn nothing_is_summed_to_zero_and_has_no_mean() {
    let g = Graph::<f64>::new();
    let x = g.variable(Tensor::zeros([0, 3]).unwrap());
    assert_eq!(x.sum().item().unwrap(), 0.0);
    assert_eq!(x.sum_axes([0], false).value().unwrap(), tensor![0.0, 0.0, 0.0]);
    assert_eq!(x.mean().value().unwrap_err().op(), Some("mean"));
    assert_eq!(x.amax([0], false).value().unwrap_err().op(), Some("amax"));
    assert_eq!(x.sum().backward().unwrap().wrt(x).unwrap().shape(), &[0, 3]);
    let (a, b) = (g.variable(Tensor::zeros([2, 0]).unwrap()), g.variable(Tensor::zeros([0, 3]).unwrap()));
    assert_eq!(a.matmul(b).value().unwrap(), Tensor::zeros([2, 3]).unwrap());
    assert_eq!(a.matmul(b).sum().backward().unwrap().wrt(b).unwrap().shape(), &[0, 3]);
}

#[test]
fn softmax_is_stable_for_inputs_of_any_size() {
    for size in [1e4, -1e4] {
        let g = Graph::<f64>::new();
        let x = g.variable(tensor![size, size + 1.0, size - 1.0]);
        let near = g.variable(tensor![0.0, 1.0, -1.0]);
        let (p, q) = (x.softmax(0), near.softmax(0));
        for (p, q) in p.value().unwrap().as_slice().iter().zip(q.value().unwrap().as_slice()) {
            assert!((p - q).abs() < 1e-12);
        }
        assert!((x.logsumexp([0], false).item().unwrap() - size - near.logsumexp([0], false).item().unwrap()).abs() < 1e-11);
        let (y, z) = (x.log_softmax(0), near.log_softmax(0));
        for (y, z) in y.value().unwrap().as_slice().iter().zip(z.value().unwrap().as_slice()) {
            assert!((y - z).abs() < 1e-11);
        }
        let grads = (p.square() + y * 0.1).sum().backward().unwrap();
        assert!(grads.wrt(x).unwrap().as_slice().iter().all(|d| d.is_finite()));
    }
    // A class that is impossible stays impossible, and so does an input of none.
    let g = Graph::<f64>::new();
    let x = g.variable(tensor![-INF, 0.0]);
    assert_eq!(x.softmax(0).value().unwrap(), tensor![0.0, 1.0]);
    assert_eq!(x.logsumexp([0], false).item().unwrap(), 0.0);
    assert_eq!(g.variable(tensor![-INF, -INF]).logsumexp([0], false).item().unwrap(), -INF);
    let x = g.variable(tensor![INF, 0.0]);
    assert_eq!(x.logsumexp([0], false).item().unwrap(), INF);
    assert!(x.softmax(0).value().unwrap().as_slice().iter().all(|p| p.is_nan()));
    assert!(x.log_softmax(0).value().unwrap().as_slice().iter().all(|p| p.is_nan()));
}

#[test]
fn the_gradient_of_what_was_stretched_is_so_many_times_a_number() {
    let rows: [&[usize]; 4] = [&[3], &[1, 3], &[1], &[]];
    for seed in [1.0, -0.1, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-310] {
        for (row, rest) in rows.iter().flat_map(|row| [(row, 5), (row, 0)]) {
            let g = Graph::<f64>::new();
            let a = g.variable(Tensor::ones([rest, 3]).unwrap());
            let b = g.variable(Tensor::full(2.0, row).unwrap());
            let y = (a + b).sum() * seed;
            let found = y.backward().unwrap().wrt(b).unwrap().clone();
            // Recorded gradients are added up.
            let [expected] = g.grad(y, [b]);
            let expected = expected.value().unwrap();
            assert_eq!(found.shape(), expected.shape());
            let all_alike = found.as_slice().iter().zip(expected.as_slice()).all(|(a, b)| alike(*a, *b));
            assert!(all_alike, "{seed} {row:?}: {found} {expected}");
        }
    }
}

#[test]
fn what_is_finite() {
    let finite = [0.0, -0.0, f64::MAX, -f64::MAX, f64::MIN_POSITIVE, -5e-324, 1.0];
    for n in 1..70 {
        let all: Vec<f64> = finite.iter().copied().cycle().take(n).collect();
        assert!(Tensor::new(all.clone(), [n]).unwrap().is_finite());
        let narrow: Vec<f32> = all.iter().map(|v| v.clamp(f64::from(-f32::MAX), f64::from(f32::MAX)) as f32).collect();
        assert!(Tensor::new(narrow.clone(), [n]).unwrap().is_finite());
        for (place, bad) in (0..n).flat_map(|place| [INF, -INF, NAN, -NAN].map(|bad| (place, bad))) {
            let (mut all, mut narrow) = (all.clone(), narrow.clone());
            (all[place], narrow[place]) = (bad, bad as f32);
            assert!(!Tensor::new(all, [n]).unwrap().is_finite() && !Tensor::new(narrow, [n]).unwrap().is_finite());
        }
    }
}

#[test]
fn an_element_does_not_depend_on_the_length_of_its_array() {
    fn check<T: autograd::Real>(n: usize) {
        // NaN, infinities and zeros among them, which are computed once more.
        let number = |i: usize, shift: usize| match (i * 7 + shift) % 23 {
            k @ 0..11 => POINTS[k],
            k => (k as f64 - 17.0) * 0.37 + i as f64 * 1e-3,
        };
        let array = |shift: usize, n: usize| Tensor::new((0..n).map(|i| T::of(number(i, shift))).collect::<Vec<_>>(), [n]).unwrap();
        let run = |n: usize| {
            let g = Graph::<T>::new();
            let (x, a) = (g.dual(array(0, n), array(5, n)), g.dual(array(3, n), array(9, n)));
            let y = x.sigmoid() * a.tanh() + (x * x).exp() / a - fused!(|x, a| x.gelu() * a.sin())(x, a);
            let grads = y.backward_with(&array(11, n)).unwrap();
            let all = [y.value().unwrap(), y.tangent().unwrap().unwrap(), grads.wrt(x).unwrap().clone(), grads.wrt(a).unwrap().clone()];
            all.map(|t| t.as_slice().iter().map(|v| if v.is_nan() { None } else { Some(v.to_f64().to_bits()) }).collect::<Vec<_>>())
        };
        let (whole, part) = (run(1100), run(n));
        for (whole, part) in whole.iter().zip(&part) {
            assert_eq!(whole[..n], part[..], "{n}");
        }
    }
    for n in (2..70).chain([127, 1023, 1025, 1039]) {
        check::<f32>(n);
        check::<f64>(n);
    }
}

#[test]
fn slices_of_any_length_are_what_stands_there() {
    for n in 1..40usize {
        let x = Tensor::new((0..3 * n).map(|i| i as f64).collect::<Vec<_>>(), [3, n]).unwrap();
        for (start, end) in (0..=n).flat_map(|start| (start..=n).map(move |end| (start, end))) {
            let g = Graph::new();
            let leaf = g.variable(&x);
            let y = leaf.slice(1, start.cast_signed()..end.cast_signed());
            let expected: Vec<f64> = (0..3).flat_map(|row| (row * n + start..row * n + end).map(|i| i as f64)).collect();
            assert_eq!(y.value().unwrap().to_vec(), expected);
            let inside = |i: usize| (start..end).contains(&(i % n));
            let expected: Vec<f64> = (0..3 * n).map(|i| if inside(i) { 2.0 * i as f64 } else { 0.0 }).collect();
            assert_eq!(y.square().sum().backward().unwrap().wrt(leaf).unwrap().to_vec(), expected);
        }
    }
}
