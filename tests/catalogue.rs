//! Every operation of the catalogue: gradients of first and second order against finite differences, errors that do not panic.

use autograd::{
    Graph, Tensor, Var, check,
    functional::{Mode, closure, linearize, value_and_jacobian_by},
    op::{Entry, Sample},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// All operations, and the losses.
fn catalogue() -> impl Iterator<Item = &'static Entry> {
    autograd::op::catalogue().chain(nn::loss::catalogue())
}

/// Random inputs for a sample, and a random cotangent for its result.
fn draw(sample: &Sample, rng: &mut ChaCha8Rng) -> (Vec<Tensor<f64>>, Tensor<f64>) {
    let inputs: Vec<_> = sample.inputs.iter().map(|(shape, (low, high))| Tensor::uniform(*low, *high, shape, rng).unwrap()).collect();
    let g = Graph::new();
    let leaves: Vec<_> = inputs.iter().map(|x| g.variable(x)).collect();
    let shape = (sample.run)(&leaves).shape().unwrap();
    let cotangent = Tensor::randn(&*shape, rng).unwrap();
    (inputs, cotangent)
}

/// Σ cotangent·f(x)
fn weighted<'g>(sample: &Sample, x: &[Var<'g, f64>], cotangent: &Tensor<f64>) -> Var<'g, f64> {
    ((sample.run)(x) * x[0].graph().constant(cotangent)).sum()
}

fn each_sample(mut test: impl FnMut(&'static str, usize, &Sample, &[&Tensor<f64>], &Tensor<f64>)) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for entry in catalogue() {
        assert!(!entry.samples.is_empty(), "{} has no samples", entry.name);
        for (i, sample) in entry.samples.iter().enumerate() {
            for _ in 0..5 {
                let (inputs, cotangent) = draw(sample, &mut rng);
                test(entry.name, i, sample, &inputs.iter().collect::<Vec<_>>(), &cotangent);
            }
        }
    }
}

#[test]
fn first_order_gradients_agree_with_finite_differences_to_1e_8() {
    each_sample(|name, i, sample, x, cotangent| {
        let report = check::slices(|x| weighted(sample, x, cotangent), x).unwrap();
        assert!(report.deviation() < 1e-8, "{name}, sample {i}: {report}");
        report.assert_ok();
    });
}

#[test]
fn second_order_gradients_agree_with_finite_differences_to_1e_6() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    each_sample(|name, i, sample, x, cotangent| {
        // The gradient by each input in turn, weighted at random, is the function whose gradient is checked. The cotangent is an input
        // too: the gradient depends on it linearly.
        for k in 0..x.len() {
            let weights = Tensor::randn(x[k].shape(), &mut rng).unwrap();
            let with_cotangent: Vec<_> = x.iter().copied().chain([cotangent]).collect();
            let report = check::slices(
                |x| {
                    let (cotangent, x) = x.split_last().unwrap();
                    let g = cotangent.graph();
                    let y = ((sample.run)(x) * *cotangent).sum();
                    (g.grad(y, [x[k]])[0] * g.constant(&weights)).sum()
                },
                &with_cotangent,
            )
            .unwrap();
            assert!(report.deviation() < 1e-6, "{name}, sample {i}, input {k}: {report}");
        }
    });
}

#[test]
fn recorded_gradients_are_the_gradients() {
    each_sample(|name, i, sample, x, cotangent| {
        let g = Graph::new();
        let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
        let y = weighted(sample, &leaves, cotangent);
        let grads = y.backward().unwrap();
        for leaf in leaves {
            let (direct, [recorded]) = (grads.wrt(leaf).unwrap(), g.grad(y, [leaf]));
            let recorded = recorded.value().unwrap();
            assert_eq!(direct.shape(), recorded.shape());
            let scale = direct.as_slice().iter().fold(1e-300f64, |m, v| m.max(v.abs()));
            for (a, b) in direct.as_slice().iter().zip(recorded.as_slice()) {
                assert!((a - b).abs() <= 1e-13 * scale, "{name}, sample {i}: {a} {b}");
            }
        }
    });
}

#[test]
fn forward_and_reverse_mode_are_adjoint_to_1e_12() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let dot = |a: &Tensor<f64>, b: &Tensor<f64>| a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum::<f64>();
    each_sample(|name, i, sample, x, cotangent| {
        let g = Graph::new();
        let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
        let y = (sample.run)(&leaves);
        let grads = y.backward_with(cotangent).unwrap();
        for leaf in &leaves {
            let direction = Tensor::randn(leaf.shape().unwrap(), &mut rng).unwrap();
            let recorded = g.jvp(y, [*leaf], [g.constant(&direction)]).value().unwrap();
            // In one pass, on a graph of its own.
            let h = Graph::new();
            let moving: Vec<_> = leaves
                .iter()
                .zip(x)
                .map(|(l, x)| if l.position() == leaf.position() { h.dual(*x, &direction) } else { h.variable(*x) })
                .collect();
            let z = (sample.run)(&moving);
            let one_pass = z.tangent().unwrap().unwrap_or_else(|| Tensor::zeros(z.shape().unwrap()).unwrap());
            for dy in [recorded, one_pass] {
                assert_eq!(dy.shape(), &y.shape().unwrap(), "{name}, sample {i}");
                let (forward, reverse) = (dot(cotangent, &dy), dot(grads.wrt(*leaf).unwrap(), &direction));
                let scale = cotangent.as_slice().iter().zip(dy.as_slice()).map(|(c, d)| (c * d).abs()).sum::<f64>().max(1e-3);
                assert!((forward - reverse).abs() <= 1e-12 * scale, "{name}, sample {i}: ⟨g, J·v⟩ = {forward}, ⟨Jᵀg, v⟩ = {reverse}");
            }
        }
    });
}

#[test]
fn several_directions_at_once_are_those_one_after_the_other() {
    fn compare<const N: usize>(name: &str, i: usize, sample: &Sample, x: [&Tensor<f64>; N]) {
        // As vectors, so that no Jacobian has too many axes.
        let shapes = x.map(|x| *x.shape());
        let flat = x.map(|x| Tensor::new(x.to_vec(), [x.len()]).unwrap());
        let f = closure(|x: [Var<'_, f64>; N]| {
            let y = (sample.run)(&std::array::from_fn::<_, N, _>(|k| x[k].reshape_as(&shapes[k])));
            y.reshape([y.shape().unwrap().len().cast_signed()])
        });
        let (y, jacobian) = value_and_jacobian_by(Mode::Forward, f, flat.each_ref()).unwrap();
        let (_, along) = linearize(f, flat.each_ref()).unwrap();
        for (k, jacobian) in jacobian.iter().enumerate() {
            let n = flat[k].len();
            assert_eq!(jacobian.shape()[..], [y.len(), n]);
            for j in 0..n {
                let direction = |l: usize| (0..flat[l].len()).map(|i| f64::from(l == k && i == j)).collect::<Vec<f64>>();
                let directions: [_; N] = std::array::from_fn(|l| Tensor::new(direction(l), [flat[l].len()]).unwrap());
                let column = along.apply(directions.each_ref()).unwrap();
                let scale = column.as_slice().iter().fold(1e-300f64, |m, v| m.max(v.abs()));
                for (row, expected) in column.as_slice().iter().enumerate() {
                    let found = jacobian.as_slice()[row * n + j];
                    assert!((found - expected).abs() <= 1e-13 * scale, "{name}, sample {i}, input {k}: {found} {expected}");
                }
            }
        }
    }
    each_sample(|name, i, sample, x, _| match *x {
        [a] => compare(name, i, sample, [a]),
        [a, b] => compare(name, i, sample, [a, b]),
        [a, b, c] => compare(name, i, sample, [a, b, c]),
        [a, b, c, d] => compare(name, i, sample, [a, b, c, d]),
        [a, b, c, d, e] => compare(name, i, sample, [a, b, c, d, e]),
        _ => panic!("{name}, sample {i}: {} inputs", x.len()),
    });
}

#[test]
fn checkpoints_and_replays_of_every_operation_are_exact() {
    let bits = |t: &Tensor<f64>| t.as_slice().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    each_sample(|name, i, sample, x, cotangent| {
        let fresh = |x: &[&Tensor<f64>]| {
            let g = Graph::new();
            let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
            let y = (sample.run)(&leaves);
            let grads = y.backward_with(cotangent).unwrap();
            (bits(&y.value().unwrap()), leaves.iter().map(|x| bits(grads.wrt(*x).unwrap())).collect::<Vec<_>>())
        };
        // Recorded at another point, where masks and places may be others, but not shapes.
        let elsewhere: Vec<_> = x.iter().map(|x| x.mul_lit(0.999).unwrap()).collect();
        for checkpointed in [false, true] {
            let g = Graph::new();
            let leaves: Vec<_> = elsewhere.iter().map(|x| g.variable(x)).collect();
            let y = if checkpointed { g.checkpoint(|| (sample.run)(&leaves)) } else { (sample.run)(&leaves) };
            g.replay(&leaves.iter().copied().zip(x.iter().copied()).collect::<Vec<_>>()).unwrap();
            let grads = y.backward_with(cotangent).unwrap();
            let replayed = (bits(&y.value().unwrap()), leaves.iter().map(|x| bits(grads.wrt(*x).unwrap())).collect::<Vec<_>>());
            assert_eq!(replayed, fresh(x), "{name}, sample {i}");
        }
    });
}

#[test]
fn every_operation_is_certified() {
    let mut seen = 0;
    each_sample(|name, i, sample, x, _| {
        let g = Graph::new();
        let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
        let y = (sample.run)(&leaves);
        // Samples that are one operation on the leaves themselves.
        let inputs = y.inputs();
        let is_plain = inputs.len() == leaves.len() && inputs.iter().zip(&leaves).all(|(a, b)| a.position() == b.position());
        if let (Some(op), true) = (y.op(), is_plain) {
            let report = check::handle(&op, x).unwrap();
            assert!(report.passed(), "{name}, sample {i}: {report}");
            seen += 1;
        }
    });
    assert!(seen > 1000, "{seen}");
}

#[test]
fn mistakes_are_refused_with_a_message_that_says_so() {
    for entry in catalogue() {
        for (i, mistake) in entry.errors.iter().enumerate() {
            let g = Graph::new();
            let draw = |(shape, (low, high)): &(&[usize], (f64, f64))| g.variable(Tensor::full(0.3 * low + 0.7 * high, shape).unwrap());
            let x: Vec<_> = mistake.sample.inputs.iter().map(draw).collect();
            let y = (mistake.sample.run)(&x);
            let error = match y.value() {
                Ok(value) => panic!("{}, mistake {i}: {} is {value}", entry.name, mistake.sample.text),
                Err(error) => error,
            };
            let message = error.to_string();
            assert!(message.contains(mistake.message), "{}, mistake {i}: {message}", entry.name);
            // `matmul_as` is a `matmul`.
            assert!(error.op().is_some_and(|op| entry.name.starts_with(op)), "{message}");
            let file = error.location().unwrap_or_else(|| panic!("{message} has no line")).file();
            assert!(file.contains("op/") || file.contains("loss"), "{message}");
            assert_eq!(y.backward().unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn the_same_bits_on_every_run() {
    each_sample(|name, i, sample, x, cotangent| {
        let run = || {
            let g = Graph::new();
            let leaves: Vec<_> = x.iter().map(|x| g.variable(*x)).collect();
            let y = weighted(sample, &leaves, cotangent);
            let grads = y.backward().unwrap();
            let bits = |t: &Tensor<f64>| t.as_slice().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            (bits(&y.value().unwrap()), leaves.iter().map(|x| bits(grads.wrt(*x).unwrap())).collect::<Vec<_>>())
        };
        assert_eq!(run(), run(), "{name}, sample {i}");
    });
}

#[test]
fn single_precision_follows_double_precision() {
    let close = |single: &Tensor<f32>, double: &Tensor<f64>| {
        let scale = double.as_slice().iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        single.shape() == double.shape()
            && single.as_slice().iter().zip(double.as_slice()).all(|(a, b)| (f64::from(*a) - b).abs() <= 1e-5 * scale)
    };
    each_sample(|name, i, sample, x, cotangent| {
        // Numbers that single precision holds exactly, so that both stand on the same side of every kink.
        let single: Vec<Tensor<f32>> = x.iter().map(|x| x.cast()).collect();
        let double: Vec<Tensor<f64>> = single.iter().map(Tensor::cast).collect();
        let cotangent: Tensor<f32> = cotangent.cast();
        let (g, h) = (Graph::<f32>::new(), Graph::<f64>::new());
        let (xs, xd): (Vec<_>, Vec<_>) = (single.iter().map(|x| g.variable(x)).collect(), double.iter().map(|x| h.variable(x)).collect());
        let (ys, yd) = ((sample.run_f32)(&xs), (sample.run)(&xd));
        assert!(close(&ys.value().unwrap(), &yd.value().unwrap()), "{name}, sample {i}: {ys:?} {yd:?}");
        let (ds, dd) = (ys.backward_with(&cotangent).unwrap(), yd.backward_with(&cotangent.cast()).unwrap());
        for (xs, xd) in xs.iter().zip(&xd) {
            assert!(close(ds.wrt(*xs).unwrap(), dd.wrt(*xd).unwrap()), "{name}, sample {i}: {:?} {:?}", ds.wrt(*xs), dd.wrt(*xd));
        }
    });
}

#[test]
fn the_loop_over_the_tape_names_no_operation() {
    let source = include_str!("../crates/autograd/src/backward.rs");
    let code: String =
        source.replace("ptr::eq", "").lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    for entry in catalogue() {
        // As text, as a method of an array, or as a type; `any` and `all` are methods of iterators, `sort…` those of slices.
        let said = [format!("\"{}\"", entry.name), format!("::{}(", entry.name)].into_iter().any(|word| code.contains(&word));
        let iterator = ["flatten", "any", "all", "repeat", "take", "split", "max", "min", "eq", "sort"].contains(&entry.name);
        assert!(!said && (iterator || !code.contains(&format!(".{}(", entry.name))), "backward.rs says {}", entry.name);
    }
}

#[test]
fn inputs_of_any_other_shape_give_a_value_or_an_error() {
    let shapes: [&[usize]; 8] = [&[], &[0], &[1], &[5], &[0, 3], &[2, 0], &[7, 1, 2], &[1, 1, 1, 1, 1, 1, 1, 1]];
    for entry in catalogue() {
        for sample in entry.samples {
            for first in shapes {
                for other in shapes {
                    let g = Graph::new();
                    let leaf = |k: usize| g.variable(Tensor::full(0.7, if k == 0 { first } else { other }).unwrap());
                    let x: Vec<_> = (0..sample.inputs.len()).map(leaf).collect();
                    let y = (sample.run)(&x);
                    match y.value() {
                        Ok(value) => {
                            let cotangent = Tensor::ones(value.shape()).unwrap();
                            let grads = y.backward_with(&cotangent).unwrap();
                            for x in x {
                                assert_eq!(grads.wrt(x).unwrap().shape(), &x.shape().unwrap(), "{}", entry.name);
                            }
                        }
                        Err(error) => {
                            assert!(error.op().is_some() && error.location().is_some(), "{}: {error}", entry.name);
                        }
                    }
                }
            }
        }
    }
}
