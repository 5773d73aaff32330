//! What may be done to a tape and changes no number: checkpoints, scopes and replays of random programs, in every mode.

use autograd::{Graph, Tensor, Var, check, release_memory};
use proptest::prelude::*;

use crate::programs::{Program, Wrap, directions, dot, each_program, size};

type V<'g> = Var<'g, f64>;

fn bits(x: &Tensor<f64>) -> Vec<u64> {
    x.as_slice().iter().map(|v| v.to_bits()).collect()
}

/// All derivatives of a program that there are ways to: bits, in a fixed order.
fn derivatives<'g>(g: &'g Graph<f64>, leaves: &[V<'g>], y: V<'g>) -> Vec<(&'static str, Vec<u64>)> {
    let cotangent = directions([&y.value().unwrap()], 6).remove(0);
    let loss = (y * g.constant(&cotangent)).sum();
    let mut all = vec![("value", bits(&y.value().unwrap()))];
    let grads = loss.backward().unwrap();
    let variables: Vec<V<'g>> = leaves.iter().copied().filter(|x| grads.get(*x).is_some()).collect();
    for x in &variables {
        all.push(("gradient", bits(grads.wrt(*x).unwrap())));
    }
    let mut second = None;
    for x in &variables {
        let [d] = g.grad(loss, [*x]);
        all.push(("recorded gradient", bits(&d.value().unwrap())));
        let direction = g.constant(&directions([&x.value().unwrap()], 7)[0]);
        let term = (d * direction).sum();
        second = Some(second.map_or(term, |sum: V<'g>| sum + term));
        all.push(("recorded tangent", bits(&g.jvp(y, [*x], [direction]).value().unwrap())));
    }
    if let Some(second) = second {
        let grads = second.backward().unwrap();
        for x in &variables {
            if let Some(d) = grads.get(*x) {
                all.push(("second gradient", bits(d)));
            }
        }
    }
    all
}

/// How many nodes have a value.
fn kept(g: &Graph<f64>) -> usize {
    g.vars().filter(|v| v.value().is_ok()).count()
}

fn same(a: &[(&str, Vec<u64>)], b: &[(&str, Vec<u64>)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        prop_assert_eq!(a, b);
    }
    Ok(())
}

#[test]
fn checkpoints_change_no_bit_in_any_mode() {
    let dropped = std::cell::Cell::new((0, 0));
    each_program(|program| {
        let x = program.point_by(0);
        let (g, h) = (Graph::new(), Graph::new());
        let (plain_leaves, leaves) = (program.leaves(&g, &x), program.leaves(&h, &x));
        let plain = program.in_parts(&plain_leaves, &|part| part());
        let y = program.in_parts(&leaves, &|part| h.checkpoint(part));
        prop_assert_eq!(g.len(), h.len());
        let before = kept(&h);
        let (all, few) = dropped.get();
        dropped.set((all + g.len(), few + before));
        same(&derivatives(&g, &plain_leaves, plain), &derivatives(&h, &leaves, y))?;
        // Afterwards nothing more is kept of the formula than before.
        let after =
            h.vars().take(g.vars().position(|v| v.position() == plain.position()).unwrap() + 1).filter(|v| v.value().is_ok()).count();
        prop_assert!(after <= before, "{after} values where there were {before}");
        Ok(())
    });
    let (all, few) = dropped.get();
    println!("checkpoints: {few} of {all} values kept");
    assert!(2 * few < all, "{few} of {all}");
}

#[test]
fn a_replay_is_a_fresh_run_to_the_last_bit() {
    each_program(|program| {
        for checkpointed in [false, true] {
            let (here, there) = (program.point_by(0), program.point_by(1));
            let run = |g: &Graph<f64>, x: &[Tensor<f64>]| -> Result<Vec<(&'static str, Vec<u64>)>, TestCaseError> {
                Ok(record(program, g, x, checkpointed))
            };
            let (fresh_here, fresh_there) = (run(&Graph::new(), &here)?, run(&Graph::new(), &there)?);

            let g = Graph::new();
            let leaves = program.leaves(&g, &here);
            let y = build(program, &leaves, &g, checkpointed);
            let _ = derivatives(&g, &leaves, y);
            let nodes = g.len();
            for (x, fresh) in [(&there, &fresh_there), (&here, &fresh_here), (&there, &fresh_there)] {
                g.replay(&leaves.iter().copied().zip(x).collect::<Vec<_>>()).unwrap();
                prop_assert_eq!(g.len(), nodes);
                let recorded: Vec<_> = g.vars().filter_map(|v| v.value().ok()).map(|v| bits(&v)).collect();
                let anew = Graph::new();
                let _ = record(program, &anew, x, checkpointed);
                let fresh_values: Vec<_> = anew.vars().filter_map(|v| v.value().ok()).map(|v| bits(&v)).collect();
                prop_assert_eq!(&recorded, &fresh_values);
                let value = bits(&y.value().unwrap());
                prop_assert_eq!(&value, &fresh[0].1);
            }
        }
        Ok(())
    });
}

fn build<'g>(program: &Program, leaves: &[V<'g>], g: &'g Graph<f64>, checkpointed: bool) -> V<'g> {
    let wrap: Wrap<'_, 'g> = if checkpointed { &|part| g.checkpoint(part) } else { &|part| part() };
    program.in_parts(leaves, wrap)
}

fn record(program: &Program, g: &Graph<f64>, x: &[Tensor<f64>], checkpointed: bool) -> Vec<(&'static str, Vec<u64>)> {
    let leaves = program.leaves(g, x);
    let y = build(program, &leaves, g, checkpointed);
    derivatives(g, &leaves, y)
}

#[test]
fn gradients_after_a_replay_are_those_of_a_fresh_run() {
    each_program(|program| {
        for checkpointed in [false, true] {
            let (here, there) = (program.point_by(0), program.point_by(2));
            let g = Graph::new();
            let leaves = program.leaves(&g, &here);
            let y = build(program, &leaves, &g, checkpointed);
            g.replay(&leaves.iter().copied().zip(&there).collect::<Vec<_>>()).unwrap();
            same(&derivatives(&g, &leaves, y), &record(program, &Graph::new(), &there, checkpointed))?;
        }
        Ok(())
    });
}

#[test]
fn a_replay_of_some_leaves_leaves_the_others() {
    each_program(|program| {
        let (here, there) = (program.point_by(0), program.point_by(3));
        let mixed: Vec<_> = here.iter().zip(&there).enumerate().map(|(k, (a, b))| if k % 2 == 0 { b } else { a }.clone()).collect();
        let g = Graph::new();
        let leaves = program.leaves(&g, &here);
        let y = build(program, &leaves, &g, true);
        let some: Vec<_> = leaves.iter().copied().zip(&mixed).enumerate().filter(|(k, _)| k % 2 == 0).map(|(_, pair)| pair).collect();
        g.replay(&some).unwrap();
        let h = Graph::new();
        let leaves = program.leaves(&h, &mixed);
        prop_assert_eq!(bits(&y.value().unwrap()), bits(&build(program, &leaves, &h, false).value().unwrap()));
        Ok(())
    });
}

#[test]
fn gradients_may_be_taken_inside_checkpoints() {
    let run = |checkpointed: bool| {
        let g = Graph::<f64>::new();
        let x = g.variable(Tensor::new(vec![0.3, -0.7, 1.1], [3]).unwrap());
        let mut y = x;
        for _ in 0..3 {
            let before = y;
            y = g.checkpoint(|| {
                let formula = || (before * 1.3).sin().exp().sin();
                let inner = if checkpointed { g.checkpoint(formula) } else { formula() };
                // The gradient reads what the inner part has dropped.
                let [d] = g.grad(inner.sum(), [before]);
                (inner + d * d).tanh()
            });
        }
        let [slope] = g.grad(y.sum(), [x]);
        let mut seen = vec![bits(&y.value().unwrap()), bits(y.sum().backward().unwrap().wrt(x).unwrap()), bits(&slope.value().unwrap())];
        seen.push(bits(slope.square().sum().backward().unwrap().wrt(x).unwrap()));
        g.replay(&[(x, &Tensor::new(vec![0.5, 0.1, -0.2], [3]).unwrap())]).unwrap();
        seen.push(bits(&y.value().unwrap()));
        seen.push(bits(&slope.value().unwrap()));
        seen.push(bits(slope.square().sum().backward().unwrap().wrt(x).unwrap()));
        seen
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn scopes_leave_their_results_and_nothing_else() {
    each_program(|program| {
        let x = program.point_by(0);
        let (g, h) = (Graph::new(), Graph::new());
        let (plain_leaves, leaves) = (program.leaves(&g, &x), program.leaves(&h, &x));
        let plain = program.in_parts(&plain_leaves, &|part| part());
        let y = program.in_parts(&leaves, &|part| h.scope(part));
        prop_assert_eq!(bits(&plain.value().unwrap()), bits(&y.value().unwrap()));
        prop_assert!(h.len() <= leaves.len() + 2);
        Ok(())
    });
}

#[test]
fn dual_numbers_follow_the_recorded_forward_mode() {
    let worst = std::cell::Cell::new(0.0f64);
    each_program(|program| {
        let x = program.point_by(0);
        let direction = directions(&x, 8);
        let tangent = |checkpointed: bool| {
            let g = Graph::new();
            let leaf = |k: usize| if program.is_constant(k) { g.constant(&x[k]) } else { g.dual(&x[k], &direction[k]) };
            let leaves: Vec<_> = (0..x.len()).map(leaf).collect();
            let y = build(program, &leaves, &g, checkpointed);
            let tangent = y.tangent().unwrap();
            // Forward over reverse: the tangents of the gradients.
            let loss = (y * g.constant(&directions([&y.value().unwrap()], 6)[0])).sum();
            let curvature: Vec<_> =
                program.variables().filter_map(|k| g.grad(loss, [leaves[k]])[0].tangent().unwrap()).map(|t| bits(&t)).collect();
            (tangent, curvature)
        };
        let (one_pass, curvature) = tangent(false);
        let (in_parts, again) = tangent(true);
        prop_assert_eq!(one_pass.as_ref().map(bits), in_parts.as_ref().map(bits));
        prop_assert_eq!(curvature, again);

        let g = Graph::new();
        let leaves = program.leaves(&g, &x);
        let y = build(program, &leaves, &g, false);
        let cotangent = directions([&y.value().unwrap()], 2).remove(0);
        let grads = y.backward_with(&cotangent).unwrap();
        let zeros = Tensor::zeros(cotangent.shape()).unwrap();
        let dy = one_pass.unwrap_or(zeros);
        let forward = dot(&cotangent, &dy);
        let terms = |f: fn(&Tensor<f64>, &Tensor<f64>) -> f64| -> f64 {
            program.variables().filter_map(|k| Some(f(grads.get(leaves[k])?, &direction[k]))).sum()
        };
        let scale = size(&cotangent, &dy).max(terms(size)).max(1e-3);
        worst.set(worst.get().max((forward - terms(dot)).abs() / scale));
        prop_assert!((forward - terms(dot)).abs() <= 1e-10 * scale);
        Ok(())
    });
    println!("dual numbers against reverse mode: at most {:.1e} of the scale of the terms", worst.get());
}

/// A system large enough that its factors are kept with the matrix, everything that reads them, and what is sorted, whose order is kept.
fn with_what_is_kept<'g>(a: V<'g>, b: V<'g>) -> V<'g> {
    let x = a.solve(b);
    let sum = x.square().sum() * 0.1 + a.logdet() + a.slogdet().1 + (x.sort(0, true) * b).sum() + x.topk(3, 0, false).exp().sum();
    sum + (a.matmul(a.transpose(0, 1)).cholesky() * a).sum() + a.inverse().sum()
}

/// Well conditioned, and not symmetric.
fn system(seed: u64) -> [Tensor<f64>; 2] {
    let n = 21;
    let all = directions([&Tensor::zeros([n, n]).unwrap(), &Tensor::zeros([n, 2]).unwrap()], seed);
    [&all[0] + &(&Tensor::eye(n).unwrap() * 10.0), all[1].clone()]
}

#[test]
fn what_is_kept_with_a_tensor_is_right_to_the_second_order() {
    let [a, b] = system(1);
    let options = check::Checker::new().max_evals(4000);
    for report in [
        options.slices(|x| with_what_is_kept(x[0], x[1]), &[&a, &b]).unwrap(),
        options.second_order(|x| with_what_is_kept(x[0], x[1]), &[&a, &b]).unwrap(),
        options.jvp(|x| with_what_is_kept(x[0], x[1]), &[&a, &b]).unwrap(),
    ] {
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn what_is_kept_with_a_tensor_is_never_stale() {
    let record = |g: &Graph<f64>, x: &[Tensor<f64>; 2], again: Option<&[Tensor<f64>; 2]>, checkpointed: bool| {
        let [a, b] = x.each_ref().map(|x| g.variable(x));
        let part = || {
            let moved = a * 1.5;
            with_what_is_kept(moved, b)
        };
        let y = if checkpointed { g.checkpoint(part) } else { part() };
        if let Some([new_a, new_b]) = again {
            let _ = y.backward().unwrap();
            g.replay(&[(a, new_a), (b, new_b)]).unwrap();
        }
        derivatives(g, &[a, b], y)
    };
    let (here, there) = (system(2), system(3));
    let fresh = record(&Graph::new(), &there, None, false);
    assert_eq!(fresh, record(&Graph::new(), &here, Some(&there), false));
    assert_eq!(fresh, record(&Graph::new(), &there, None, true));
    assert_eq!(fresh, record(&Graph::new(), &here, Some(&there), true));
    // Factors that an earlier graph has left with the very same tensors.
    assert_eq!(fresh, record(&Graph::new(), &there, None, false));
    // Tensors that nothing was kept with.
    let copies = there.each_ref().map(|x| Tensor::new(x.to_vec(), x.shape()).unwrap());
    assert_eq!(fresh, record(&Graph::new(), &copies, None, false));
}

#[test]
fn what_is_kept_goes_with_its_tensor() {
    let g = Graph::<f64>::new();
    let [a, b] = system(4);
    let before = {
        let (a, b) = (g.constant(&a), g.constant(&b));
        let _ = a.solve(b).sort(0, false);
        g.bytes()
    };
    // No gradient, nothing kept.
    let n = a.shape()[0];
    assert!(before < 8 * (n * n + 3 * 2 * n) + 4 * 100, "{before}");
    let y = g.checkpoint(|| {
        let moved = g.variable(&a) * 2.0;
        moved.solve(g.constant(&b)).sum()
    });
    let after = g.bytes();
    y.backward().unwrap();
    assert_eq!(g.bytes(), after);
    assert!(after - before < 4 * 8 * 8 * 10, "{before} {after}");
}

#[test]
fn a_singular_matrix_is_one_whether_its_factors_are_kept_or_not() {
    let n = 20;
    let g = Graph::<f64>::new();
    let a = g.variable(Tensor::ones([n, n]).unwrap());
    let b = g.constant(Tensor::ones([n]).unwrap());
    let message = |v: V<'_>| v.value().unwrap_err().to_string();
    assert!(message(a.solve(b)).contains("the matrix is singular: pivot 1 is 0"));
    assert!(message(a.solve(b)).contains("the matrix is singular: pivot 1 is 0"));
    assert!(message(a.inverse()).contains("the matrix is singular: pivot 1 is 0"));
    let y = a.logdet();
    assert_eq!(y.item().unwrap(), f64::NEG_INFINITY);
    assert!(y.backward().unwrap().wrt(a).unwrap().as_slice().iter().all(|d| d.is_nan()));
}

#[test]
fn memory_that_is_given_back_leaves_what_is_kept() {
    let [a, b] = system(5);
    let solved = |a: &Tensor<f64>| {
        let g = Graph::new();
        let (a, b) = (g.variable(a), g.variable(&b));
        derivatives(&g, &[a, b], with_what_is_kept(a, b))
    };
    let before = solved(&a);
    release_memory();
    assert_eq!(solved(&a), before);
    // On several threads at once, of which one drops the tensor.
    let (here, there) = (a.clone(), Tensor::new(a.to_vec(), a.shape()).unwrap());
    drop(a);
    std::thread::scope(|s| {
        let all = [s.spawn(|| solved(&there)), s.spawn(|| solved(&there)), s.spawn(|| solved(&here))];
        for found in all {
            assert_eq!(found.join().unwrap(), before);
        }
    });
    drop((here, there));
    release_memory();
}
