//! Derivatives of functions: against each other, against closed forms, nested in each other, and refused where there are none.

use autograd::{
    Error, ErrorKind, Graph, Tensor, Var, check,
    functional::{self, Mode, closure},
    fused, tensor,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type V<'g> = Var<'g, f64>;

fn close(a: &Tensor<f64>, b: &Tensor<f64>, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    let scale = b.as_slice().iter().fold(1e-300f64, |m, v| m.max(v.abs()));
    for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
        assert!((a - b).abs() <= tolerance * scale, "{a} {b}");
    }
}

fn draw(shape: &[usize], seed: u64) -> Tensor<f64> {
    Tensor::randn(shape, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

/// A function of three inputs of different shapes, with a matrix product, broadcasting, a softmax and a reduction.
fn network<'g>([x, w, b]: [V<'g>; 3]) -> V<'g> {
    ((x.matmul(w) + b).tanh().softmax(-1) * x.matmul(w)).sum_axes([0], false)
}

fn loss<'g>(x: [V<'g>; 3]) -> V<'g> {
    network(x).square().sum()
}

fn point() -> [Tensor<f64>; 3] {
    [draw(&[4, 3], 1), draw(&[3, 2], 2), draw(&[2], 3)]
}

fn each<const N: usize>(x: &[Tensor<f64>; N]) -> [&Tensor<f64>; N] {
    x.each_ref()
}

fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
}

/// A tensor [.., ..] times a vector, both read flat.
fn times(matrix: &Tensor<f64>, v: &Tensor<f64>) -> Tensor<f64> {
    let rows = matrix.as_slice().chunks(v.len()).map(|row| row.iter().zip(v.as_slice()).map(|(a, b)| a * b).sum()).collect::<Vec<f64>>();
    let shape = matrix.shape()[..matrix.rank() - v.rank()].to_vec();
    Tensor::new(rows, shape).unwrap()
}

#[test]
fn all_ways_to_the_first_derivative_agree() {
    let x = point();
    let (value, gradients) = functional::value_and_grad(loss, each(&x)).unwrap();
    let (y, pullback) = functional::vjp(network, each(&x)).unwrap();
    let pulled = pullback.apply(&y.mul_lit(2.0).unwrap()).unwrap();
    let direction = [draw(&[4, 3], 4), draw(&[3, 2], 5), draw(&[2], 6)];
    let (also, slope) = functional::jvp(loss, each(&x), each(&direction)).unwrap();
    assert_eq!(value, also);
    let along: f64 = gradients.iter().zip(&direction).map(|(d, v)| dot(d, v)).sum();
    close(&slope, &Tensor::scalar(along), 1e-13);
    for mode in [Mode::Cheaper, Mode::Reverse, Mode::Forward] {
        let (again, jacobian) = functional::value_and_jacobian_by(mode, network, each(&x)).unwrap();
        assert_eq!(y, again);
        for k in 0..3 {
            assert_eq!(jacobian[k].shape()[..], [&y.shape()[..], &x[k].shape()[..]].concat());
            // Jᵀ·2y, row by row.
            let mut transposed = vec![0.0; x[k].len()];
            for (i, y) in y.as_slice().iter().enumerate() {
                transposed.iter_mut().zip(&jacobian[k].as_slice()[i * x[k].len()..]).for_each(|(sum, j)| *sum += 2.0 * y * j);
            }
            close(&pulled[k], &Tensor::new(transposed, x[k].shape()).unwrap(), 1e-13);
            close(&gradients[k], &pulled[k], 1e-13);
        }
    }
    check::gradients(loss, each(&x)).unwrap().assert_ok();
}

#[test]
fn forward_and_reverse_jacobians_are_chosen_by_cost() {
    // 2 outputs and 6 inputs, and the other way round: both modes give the same, and the default as well.
    let (a, x) = (draw(&[2, 6], 1), draw(&[6], 2));
    let [wide] = functional::jacobian(|[x]| x.graph().constant(&a).matmul(x), [&x]).unwrap();
    assert_eq!(wide, a);
    let z = draw(&[2], 3);
    let [tall] = functional::jacobian(|[z]| z.matmul(z.graph().constant(&a)), [&z]).unwrap();
    assert_eq!(tall, a.transpose(0, 1).unwrap());
}

#[test]
fn all_ways_to_the_second_derivative_agree() {
    let x = point();
    let v = [draw(&[4, 3], 7), draw(&[3, 2], 8), draw(&[2], 9)];
    let (value, gradients, hessian) = functional::value_grad_and_hessian(loss, each(&x)).unwrap();
    let (also, also_gradients, forward) = functional::value_grad_and_hvp(loss, each(&x), each(&v)).unwrap();
    assert_eq!((value, &gradients), (also, &also_gradients));
    let reverse = functional::vhp(loss, each(&x), each(&v)).unwrap();
    let diagonal = functional::hessian_diagonal(loss, each(&x)).unwrap();
    let mut trace = 0.0;
    for i in 0..3 {
        let parts: Vec<_> = (0..3).map(|j| times(&hessian[i][j], &v[j])).collect();
        let dense = parts[0].add(&parts[1]).unwrap().add(&parts[2]).unwrap();
        close(&forward[i], &dense, 1e-12);
        close(&reverse[i], &dense, 1e-12);
        for j in 0..3 {
            let (a, b) = (&hessian[i][j], &hessian[j][i]);
            for (r, row) in a.as_slice().chunks(x[j].len()).enumerate() {
                for (c, value) in row.iter().enumerate() {
                    assert!((value - b.as_slice()[c * x[i].len() + r]).abs() < 1e-12);
                }
            }
        }
        for (k, d) in diagonal[i].as_slice().iter().enumerate() {
            assert!((d - hessian[i][i].as_slice()[k * x[i].len() + k]).abs() < 1e-13);
            trace += d;
        }
    }
    assert!((functional::laplacian(loss, each(&x)).unwrap() - trace).abs() < 1e-12);
}

#[test]
fn second_derivatives_have_closed_forms() {
    // f = ½ xᵀAx + cos(b·x): ∇²f = sym(A) − cos(b·x) b bᵀ
    let (a, b, x) = (draw(&[3, 3], 1), draw(&[3], 2), draw(&[3], 3));
    let f = closure(|[x]| {
        let g = x.graph();
        0.5 * x.dot(g.constant(&a).matmul(x)) + x.dot(g.constant(&b)).cos()
    });
    let [[hessian]] = functional::hessian(f, [&x]).unwrap();
    let cos = dot(&b, &x).cos();
    for i in 0..3 {
        for j in 0..3 {
            let exact = 0.5 * (a[[i, j]] + a[[j, i]]) - cos * b[[i]] * b[[j]];
            assert!((hessian[[i, j]] - exact).abs() < 1e-14);
        }
    }
    let (value, laplacian) = functional::value_and_laplacian(f, [&x]).unwrap();
    assert!((laplacian - (0..3).map(|i| hessian[[i, i]]).sum::<f64>()).abs() < 1e-14);
    assert_eq!(value, functional::value_and_hessian(f, [&x]).unwrap().0);
}

#[test]
fn a_diagonal_jacobian_is_one_pass_and_a_claim_that_is_checked() {
    let (x, a) = (draw(&[50, 40], 1), draw(&[50, 40], 2));
    let (y, [dx, da]) = functional::value_and_jacobian_diagonal(|[x, a]| (x * a).sin() * x, [&x, &a]).unwrap();
    for k in 0..x.len() {
        let (x, a) = (x.as_slice()[k], a.as_slice()[k]);
        assert!((y.as_slice()[k] - (x * a).sin() * x).abs() < 1e-14);
        assert!((dx.as_slice()[k] - ((x * a).cos() * a * x + (x * a).sin())).abs() < 1e-13);
        assert!((da.as_slice()[k] - (x * a).cos() * x * x).abs() < 1e-13);
    }
    let not_pointwise = functional::jacobian_diagonal(|[x]| x.softmax(-1), [&x]).unwrap_err();
    assert!(matches!(not_pointwise.kind(), ErrorKind::NotDiagonal { input: 0, .. }), "{not_pointwise}");
    // One element off the diagonal, among two thousand.
    let coupled = functional::jacobian_diagonal(
        |[x]| x + x.slice(0, 0..1).slice(1, 0..1) * x.graph().constant(Tensor::eye(50).unwrap().slice(1, 0..40).unwrap()) * 1e-3,
        [&x],
    );
    assert!(matches!(coupled.unwrap_err().kind(), ErrorKind::NotDiagonal { .. }));
    let other_shape = functional::jacobian_diagonal(|[x]| x.sum(), [&x]).unwrap_err();
    assert!(matches!(other_shape.kind(), ErrorKind::Mismatch { .. }));
}

#[test]
fn a_function_may_ignore_an_input_but_not_cut_it_off() {
    let (x, w) = (tensor![1.0, 2.0], tensor![3.0, 4.0]);
    let zeros = tensor![0.0, 0.0];
    let f = closure(|[x, _]| x.square().sum());
    assert_eq!(functional::grad(f, [&x, &w]).unwrap()[1], zeros);
    assert_eq!(functional::vjp(f, [&x, &w]).unwrap().1.apply(&Tensor::scalar(1.0)).unwrap()[1], zeros);
    assert_eq!(functional::jacobian(f, [&x, &w]).unwrap()[1], zeros);
    assert_eq!(functional::hvp(f, [&x, &w], [&x, &w]).unwrap()[1], zeros);
    assert_eq!(functional::vhp(f, [&x, &w], [&x, &w]).unwrap()[1], zeros);
    assert_eq!(functional::hessian(f, [&x, &w]).unwrap()[1][1], Tensor::zeros([2, 2]).unwrap());
    assert_eq!(functional::jvp(f, [&x, &w], [&zeros, &w]).unwrap().1, Tensor::scalar(0.0));

    fn cut<'g>([x, w]: [V<'g>; 2]) -> V<'g> {
        (x * w.detach()).sum()
    }
    fn scoped<'g>([x, w]: [V<'g>; 2]) -> V<'g> {
        (x * w.graph().scope(|| w.sin())).sum()
    }
    for (what, f) in [("detach()", cut as for<'g> fn([V<'g>; 2]) -> V<'g>), ("the scope", scoped)] {
        let all: [Error; 6] = [
            functional::grad(f, [&x, &w]).unwrap_err(),
            functional::vjp(f, [&x, &w]).unwrap().1.apply(&Tensor::scalar(1.0)).unwrap_err(),
            functional::jacobian(f, [&x, &w]).unwrap_err(),
            functional::hessian(f, [&x, &w]).unwrap_err(),
            functional::hvp(f, [&x, &w], [&x, &w]).unwrap_err(),
            functional::vhp(f, [&x, &w], [&x, &w]).unwrap_err(),
        ];
        for error in all {
            let message = error.to_string();
            assert!(message.contains(&format!("cut off by {what} at")) && message.contains("derivatives.rs"), "{message}");
        }
    }
}

#[test]
fn bad_arguments_are_refused_with_the_line_of_the_caller() {
    let (x, other) = (tensor![1.0, 2.0], tensor![1.0, 2.0, 3.0]);
    let f = closure(|[x]| x.square().sum());
    let line = line!() + 1;
    let error = functional::jvp(f, [&x], [&other]).unwrap_err();
    assert!(
        error.to_string().starts_with("jvp([2]): the direction of input 0 has shape [3]; it must have the shape of that input, [2]"),
        "{error}"
    );
    assert_eq!(error.location().map(|at| (at.file(), at.line())), Some((file!(), line)));
    assert_eq!(functional::hvp(f, [&x], [&other]).unwrap_err().op(), Some("hvp"));
    assert!(matches!(functional::vhp(f, [&x], [&other]).unwrap_err().kind(), ErrorKind::Direction { .. }));
    assert!(matches!(functional::grad(|[x]| x, [&x]).unwrap_err().kind(), ErrorKind::NotScalar { .. }));
    assert!(matches!(functional::hessian(|[x]| x, [&x]).unwrap_err().kind(), ErrorKind::NotScalar { .. }));
    let wide = Tensor::<f64>::zeros([1, 1, 1, 1, 2]).unwrap();
    let line = line!() + 1;
    let error = functional::jacobian(|[x]| x, [&wide]).unwrap_err();
    assert_eq!((error.op(), error.location().map(std::panic::Location::line)), (Some("jacobian"), Some(line)));
    assert!(matches!(error.kind(), ErrorKind::TooManyAxes { rank: 10 }));
    // A mistake in the function is the mistake.
    for error in [
        functional::jacobian(|[x]| x.reshape([7]), [&x]).unwrap_err(),
        functional::hvp(|[x]| x.reshape([7]).sum(), [&x], [&x]).unwrap_err(),
        functional::jvp(|[x]| x.reshape([7]), [&x], [&x]).unwrap_err(),
    ] {
        assert_eq!(error.op(), Some("reshape"));
    }
    let (y, pullback) = functional::vjp(|[x]| x.square(), [&x]).unwrap();
    assert!(matches!(pullback.apply(&other).unwrap_err().kind(), ErrorKind::Cotangent { .. }));
    assert_eq!(pullback.apply(&y).unwrap(), [tensor![2.0, 16.0]]);
}

/// Derivatives inside derivatives, whose variables must not be taken for each other.
#[test]
fn nested_derivatives_are_not_confused() {
    let g = Graph::<f64>::new();
    let one = g.constant(1.0);
    // D in reverse and in forward mode; all four ways to nest two of them.
    type F<'a, 'g> = &'a dyn Fn(V<'g>) -> V<'g>;
    fn reverse<'g>(f: F<'_, 'g>, x: V<'g>) -> V<'g> {
        x.graph().grad_of(|[x]| f(x), [x])[0]
    }
    fn tangent<'g>(f: F<'_, 'g>, x: V<'g>) -> V<'g> {
        let g = x.graph();
        g.jvp_of(|[x]| f(x), [x], [g.constant(1.0)]).1
    }
    type D = for<'a, 'g> fn(F<'a, 'g>, V<'g>) -> V<'g>;
    let modes: [(&str, D); 2] = [("reverse", reverse), ("forward", tangent)];
    for (outer_name, outer) in modes {
        for (inner_name, inner) in modes {
            let check = |what: &str, found: V<'_>, expected: f64| {
                let found = found.item().unwrap();
                assert!((found - expected).abs() < 1e-12, "{outer_name} over {inner_name}: {what} is {found}, not {expected}");
            };
            // The classic: D(x ↦ x · D(y ↦ x + y, 1), 1) = 1.
            check("x·D(x + y)", outer(&|x| x * inner(&|y| x + y, x.graph().constant(1.0)), one), 1.0);
            // D(x ↦ x · D(y ↦ x·y, 2), 3) = 2·3
            check("x·D(x·y)", outer(&|x| x * inner(&|y| x * y, x.graph().constant(2.0)), g.constant(3.0)), 6.0);
            // The inner point is the outer variable: D(x ↦ D(y ↦ x·y², x), 2) = D(x ↦ 2x², 2) = 8.
            check("D(x·y²) at x", outer(&|x| inner(&|y| x * y * y, x), g.constant(2.0)), 8.0);
            // The same variable by name inside and outside.
            check("x·D(x ↦ x²)", outer(&|x| x * inner(&|x| x * x, x), g.constant(3.0)), 12.0);
            // The second derivative, of functions with products, quotients and a stated slope.
            for (name, f, second) in [
                ("x⁴", (|x| x.powi(4)) as fn(V<'_>) -> V<'_>, 12.0 * 0.49),
                ("tanh", |x| x.tanh(), -2.0 * 0.7f64.tanh() * (1.0 - 0.7f64.tanh().powi(2))),
                ("x·eˣ", |x| x * x.exp(), (2.0 + 0.7) * 0.7f64.exp()),
                ("1/x", |x| 1.0 / x, 2.0 / 0.7f64.powi(3)),
                ("fused", |x| fused!(|x| x * x.exp())(x), (2.0 + 0.7) * 0.7f64.exp()),
            ] {
                check(name, outer(&|x| inner(&f, x), g.constant(0.7)), second);
            }
            // Three deep, one of each.
            let third = outer(&|x| inner(&|y| reverse(&|z| x * y * z * z, y), x), g.constant(2.0));
            // D(z ↦ x·y·z², y) = 2xy²; D(y ↦ 2xy², x) = 4x²; D(x ↦ 4x², 2) = 16.
            check("three deep", third, 16.0);
            // A constant function inside.
            check("D of a constant", outer(&|x| x * inner(&|_| x, x), g.constant(5.0)), 0.0);
            // A function that uses a derivative at two places.
            check("twice", outer(&|x| inner(&|y| y * x, x) * inner(&|y| y.square() * x, x), g.constant(3.0)), 6.0 * 9.0);
        }
    }
}

#[test]
fn functional_forward_mode_goes_through_gradients_inside() {
    // d/dx of the gradient that the function takes inside: forward over reverse, as a user writes it.
    let f = closure(|[x]| {
        let g = x.graph();
        let [slope] = g.grad_of(|[x]| x.powi(3).sum(), [x]);
        slope * slope
    });
    let (y, dy) = functional::jvp(f, [&tensor![1.0, 2.0]], [&tensor![1.0, -1.0]]).unwrap();
    assert_eq!(y, tensor![9.0, 144.0]);
    assert_eq!(dy, tensor![36.0, -288.0]); // 36 x³·dx
    let [gradient] = functional::grad(|[x]| f([x]).sum(), [&tensor![1.0, 2.0]]).unwrap();
    assert_eq!(gradient, tensor![36.0, 288.0]);
}

#[test]
fn several_roots_and_cotangents_are_one_sweep() {
    let g = Graph::<f64>::new();
    let (x, w) = (g.variable(tensor![1.0, 2.0]), g.variable(tensor![3.0, 4.0]));
    let (a, b) = ((x * w).sin(), x.square().sum());
    let cotangent = tensor![1.0, 10.0];
    let both = g.backward([(a, &cotangent).into(), b.into()]).unwrap();
    let (first, second) = (a.backward_with(&cotangent).unwrap(), b.backward().unwrap());
    assert_eq!(both.wrt(x).unwrap(), &first.wrt(x).unwrap().add(second.wrt(x).unwrap()).unwrap());
    assert_eq!(both.wrt(w).unwrap(), first.wrt(w).unwrap());
    // A root twice counts twice; a root that another depends on counts on its own, too.
    let twice = g.backward([b.into(), b.into()]).unwrap();
    assert_eq!(twice.wrt(x).unwrap(), &second.wrt(x).unwrap().mul_lit(2.0).unwrap());
    let inner = b * 3.0;
    assert_eq!(g.backward([inner.into(), b.into()]).unwrap().wrt(x).unwrap(), &second.wrt(x).unwrap().mul_lit(4.0).unwrap());
    assert!(matches!(g.backward([]).unwrap_err().kind(), ErrorKind::NoRoots));
    assert!(matches!(g.backward([a.into()]).unwrap_err().kind(), ErrorKind::NotScalar { .. }));
    let other = Graph::new();
    assert!(matches!(g.backward([other.variable(1.0).into()]).unwrap_err().kind(), ErrorKind::OtherGraph { .. }));
    // Recorded, with a cotangent that is differentiated by as well.
    let c = g.variable(&cotangent);
    let [dx] = g.vjp(a, c, [x]);
    assert_eq!(&dx.value().unwrap(), first.wrt(x).unwrap());
    assert_eq!(dx.sum().backward().unwrap().wrt(c).unwrap().shape(), &[2]);
    let [bad] = g.vjp(a, b, [x]);
    assert_eq!(bad.value().unwrap_err().op(), Some("vjp"));
}

#[test]
fn variables_may_be_given_as_slices() {
    let g = Graph::<f64>::new();
    let x: Vec<_> = (1..=4).map(|k| g.variable(f64::from(k))).collect();
    let y = x.iter().copied().reduce(|a, b| a * b).unwrap();
    let slopes: Vec<V<'_>> = g.grad(y, &x);
    assert_eq!(slopes.iter().map(|d| d.item().unwrap()).collect::<Vec<_>>(), [24.0, 12.0, 8.0, 6.0]);
    let some: Vec<V<'_>> = g.vjp(y, g.constant(2.0), &x[..2]);
    assert_eq!(some.iter().map(|d| d.item().unwrap()).collect::<Vec<_>>(), [48.0, 24.0]);
    let ones: Vec<_> = x.iter().map(|_| g.constant(1.0)).collect();
    assert_eq!(g.jvp(y, &x, &ones).item().unwrap(), 50.0);
    let few = g.jvp(y, &x, &ones[..3].to_vec()).value().unwrap_err();
    assert!(few.to_string().starts_with("jvp(): 4 variables cannot move along 3 directions"), "{few}");
    assert!(g.grad(y, &Vec::new()).is_empty());
}

/// A function of the first input as `Op::vjp` may add to its gradient, all in one: whole, stretched, at places, as products of matrices.
fn used_in_every_way<'g>([w, a, b]: [V<'g>; 3]) -> V<'g> {
    let product = w.matmul(w) + a.matmul(w).linear(w, b) + w.matmul_as(a, true, true);
    let batch = a.reshape([3, 1, 3]).matmul(w).square().sum();
    let places = w.slice(0, 0..2).matmul(w.diagonal(0, 0, 1)).sin().sum();
    let g = w.graph();
    // The gradient of a gradient, and a part that is computed again.
    let [inner] = g.grad((w.tanh() * a).square().sum(), [w]);
    let part = g.checkpoint(|| (w * b).sigmoid().matmul(a).square().mean());
    product.square().sum() + batch + places + w.sum().sin() + inner.matmul(w).sum() + part + w.matmul(w).matmul(w).matrix_trace()
}

#[test]
fn a_hessian_product_without_the_gradient_is_the_same() {
    let (w, a, b) = (draw(&[3, 3], 1), draw(&[3, 3], 2), draw(&[3], 3));
    let zeros = Tensor::zeros([3, 3]).unwrap();
    for v in [[draw(&[3, 3], 4), draw(&[3, 3], 5), draw(&[3], 6)], [draw(&[3, 3], 7), zeros.clone(), Tensor::zeros([3]).unwrap()]] {
        let (value, product) = functional::value_and_hvp(used_in_every_way, [&w, &a, &b], each(&v)).unwrap();
        let (also, _, with_gradient) = functional::value_grad_and_hvp(used_in_every_way, [&w, &a, &b], each(&v)).unwrap();
        let reverse = functional::vhp(used_in_every_way, [&w, &a, &b], each(&v)).unwrap();
        assert_eq!(value, also);
        for k in 0..3 {
            close(&product[k], &with_gradient[k], 1e-13);
            close(&product[k], &reverse[k], 1e-12);
        }
    }
    // One that is linear, one that is not used, one that is the result itself.
    let [by_w, by_a] = functional::hvp(|[w, a]| (w.matmul(w.graph().constant(&b)) * 2.0 + a * 0.0).sum(), [&w, &b], [&w, &b]).unwrap();
    assert_eq!((by_w, by_a), (zeros.clone(), Tensor::zeros([3]).unwrap()));
    let [by_w, by_a] = functional::hvp(|[w, _]| w.square().sum(), [&w, &a], [&a, &w]).unwrap();
    assert_eq!((by_w, by_a), (a.mul_lit(2.0).unwrap(), zeros));
    assert_eq!(functional::hvp(|[x]| x, [&tensor![[2.0]]], [&tensor![[1.0]]]).unwrap(), [tensor![[0.0]]]);
}

#[test]
fn hooks_of_inputs_see_the_gradient_in_a_hessian_product() {
    let w = draw(&[3, 2], 2);
    let f = closure(|[w]| w.graph().constant(draw(&[4, 3], 1)).matmul(w).tanh().square().sum());
    let (send, receive) = std::sync::mpsc::channel();
    let looked_at = |w: V<'_>| {
        w.on_grad(move |d| {
            send.send(d.clone()).ok();
            None
        });
    };
    let [product] = functional::hvp(
        |[w]| {
            looked_at(w);
            f([w])
        },
        [&w],
        [&w],
    )
    .unwrap();
    close(&product, &functional::hvp(f, [&w], [&w]).unwrap()[0], 1e-13);
    let seen: Vec<_> = receive.try_iter().collect();
    assert_eq!(seen.len(), 1);
    close(&seen[0], &functional::grad(f, [&w]).unwrap()[0], 1e-13);
    let replaced = functional::hvp(|[w]| w.on_grad(|d| d.mul_lit(2.0).ok()).square().sum(), [&w], [&w]).unwrap_err();
    assert!(matches!(replaced.kind(), ErrorKind::HookDerivative { .. }), "{replaced}");
}

#[test]
fn linear_maps_can_be_applied_again_and_again() {
    let x = point();
    let (y, pushforward) = functional::linearize(network, each(&x)).unwrap();
    let (z, gradients, hessian) = functional::hessian_product(loss, each(&x)).unwrap();
    assert_eq!(z, functional::value_and_grad(loss, each(&x)).unwrap().0);
    for (a, b) in gradients.iter().zip(&functional::grad(loss, each(&x)).unwrap()) {
        close(a, b, 1e-13);
    }
    for seed in 0..3 {
        let v = [draw(&[4, 3], 10 + seed), draw(&[3, 2], 20 + seed), draw(&[2], 30 + seed)];
        assert_eq!(functional::jvp(network, each(&x), each(&v)).unwrap(), (y.clone(), pushforward.apply(each(&v)).unwrap()));
        assert_eq!(functional::hvp(loss, each(&x), each(&v)).unwrap(), hessian.apply(each(&v)).unwrap());
    }
    let wrong = draw(&[5], 1);
    assert!(matches!(pushforward.apply([&wrong, &x[1], &x[2]]).unwrap_err().kind(), ErrorKind::Direction { .. }));
    assert!(matches!(hessian.apply([&wrong, &x[1], &x[2]]).unwrap_err().kind(), ErrorKind::Direction { .. }));
}

#[test]
fn per_example_gradients_are_those_of_each_example_alone() {
    let (w, b) = (draw(&[3, 2], 1), draw(&[2], 2));
    let (x, t) = (draw(&[37, 3], 3), draw(&[37, 2], 4));
    let (values, gradients) = functional::value_and_per_example_grad(example, [&w, &b], [&x, &t]).unwrap();
    fn example<'g>([w, b]: [V<'g>; 2], [x, t]: [V<'g>; 2]) -> V<'g> {
        ((x.matmul(w) + b).tanh() - t).square().sum()
    }
    assert_eq!(gradients[0].shape(), &[37, 3, 2]);
    for i in 0..37 {
        let row = |x: &Tensor<f64>| x.slice(0, i..=i).unwrap().squeeze(0).unwrap();
        let (x, t) = (row(&x), row(&t));
        let (value, alone) =
            functional::value_and_grad(|[w, b]| example([w, b], [w.graph().constant(&x), w.graph().constant(&t)]), [&w, &b]).unwrap();
        assert_eq!(row(&values), value);
        assert_eq!([row(&gradients[0]), row(&gradients[1])], alone);
    }
    // Their mean is the gradient of the mean.
    let mean = closure(|[w, b]| {
        let g = w.graph();
        ((g.constant(&x).matmul(w) + b).tanh() - g.constant(&t)).square().sum() / 37.0
    });
    let [dw, _] = functional::grad(mean, [&w, &b]).unwrap();
    close(&gradients[0].mean_axes([0], false).unwrap(), &dw, 1e-13);

    let ragged = functional::per_example_grad(example, [&w, &b], [&x, &draw(&[36, 2], 5)]).unwrap_err();
    assert!(ragged.to_string().starts_with("per_example_grad([37, 3], [36, 2]): shape [36, 2] does not match [37, 2]"), "{ragged}");
    let nothing = Tensor::zeros([0, 3]).unwrap();
    assert!(matches!(
        functional::per_example_grad(|[w], [x]| (x.sum() * w).sum(), [&w], [&nothing]).unwrap_err().kind(),
        ErrorKind::Empty { .. }
    ));
    let no_scalar = functional::per_example_grad(|[w], [x]| x.matmul(w), [&w], [&x]).unwrap_err();
    assert!(matches!(no_scalar.kind(), ErrorKind::NotScalar { .. }));
}

#[test]
fn fused_formulas_have_up_to_eight_operands_in_every_mode() {
    let k = 0.3;
    let shapes: [&[usize]; 8] = [&[3, 4], &[4], &[3, 1], &[], &[1, 4], &[3, 4], &[1], &[3, 4]];
    let x: Vec<_> = shapes.iter().enumerate().map(|(i, shape)| draw(shape, i as u64)).collect();
    let x: [Tensor<f64>; 8] = x.try_into().unwrap();
    // Constants from outside, comparisons, a choice, broadcasting.
    fn plain<'g>([a, b, c, d, e, f, h, i]: [V<'g>; 8], k: f64) -> V<'g> {
        (a * b + c).gt(d).select((e * f).tanh() * k, (h - i).sigmoid() * a) + (a - c).max(b) * d.exp()
    }
    fn fused_formula<'g>(x: [V<'g>; 8], k: f64) -> V<'g> {
        let [a, b, c, d, e, f, h, i] = x;
        fused!(|a, b, c, d, e, f, h, i; k| (a * b + c).gt(d).select((e * f).tanh() * k, (h - i).sigmoid() * a) + (a - c).max(b) * d.exp())(
            a, b, c, d, e, f, h, i,
        )
    }
    let (fused_value, fused_gradients) = functional::value_and_grad(|x| fused_formula(x, k).sum(), each(&x)).unwrap();
    let (value, gradients) = functional::value_and_grad(|x| plain(x, k).sum(), each(&x)).unwrap();
    close(&fused_value, &value, 1e-14);
    for (a, b) in fused_gradients.iter().zip(&gradients) {
        close(a, b, 1e-13);
    }
    let v: [Tensor<f64>; 8] = std::array::from_fn(|i| draw(shapes[i], 20 + i as u64));
    let (_, along) = functional::jvp(|x| fused_formula(x, k), each(&x), each(&v)).unwrap();
    let (_, plain_along) = functional::jvp(|x| plain(x, k), each(&x), each(&v)).unwrap();
    close(&along, &plain_along, 1e-13);
    // One node: forward mode, too, is one pass of it.
    let g = Graph::new();
    let leaves: [V<'_>; 8] = std::array::from_fn(|i| g.dual(&x[i], &v[i]));
    let y = fused_formula(leaves, k);
    assert_eq!(g.len(), 9);
    assert_eq!(y.tangent().unwrap().unwrap(), along);
    let second = functional::hvp(|x| fused_formula(x, k).square().sum(), each(&x), each(&v)).unwrap();
    let plain_second = functional::hvp(|x| plain(x, k).square().sum(), each(&x), each(&v)).unwrap();
    for (a, b) in second.iter().zip(&plain_second) {
        close(a, b, 1e-12);
    }
    check::gradients(|x| fused_formula(x, k), each(&x)).unwrap().assert_ok();
}

#[test]
fn tensors_of_eight_axes_move_one_element_at_a_time() {
    let x = Tensor::new(vec![1.0, 2.0, 3.0], [1, 1, 3, 1, 1, 1, 1, 1]).unwrap();
    let [still] = functional::jacobian_by(Mode::Forward, |[x]| x.graph().constant(Tensor::scalar(2.0)) + x.sum() * 0.0, [&x]).unwrap();
    assert_eq!(still.to_vec(), [0.0; 3]);
    let other = tensor![1.0, 2.0];
    let [by_x, by_other] = functional::jacobian_by(Mode::Forward, |[_, other]| other.square().sum(), [&x, &other]).unwrap();
    assert_eq!((by_x.to_vec(), by_other), (vec![0.0; 3], tensor![2.0, 4.0]));
    assert_eq!(functional::hessian_diagonal(|[x]| x.powi(3).sum(), [&x]).unwrap()[0].to_vec(), [6.0, 12.0, 18.0]);
}

#[test]
fn what_nothing_depends_on_costs_no_passes() {
    // A stack of directions of the second input alone would take 80 GB.
    let (x, b) = (tensor![1.0, 2.0, 3.0], Tensor::zeros([100_000]).unwrap());
    let [by_x, by_b] = functional::hessian_diagonal(|[x, b]| x.powi(3).sum() + b.sum(), [&x, &b]).unwrap();
    assert_eq!(by_x, tensor![6.0, 12.0, 18.0]);
    assert!(by_b.as_slice().iter().all(|d| *d == 0.0));
    assert_eq!(functional::laplacian(|[b]| b.sum(), [&b]).unwrap(), 0.0);
    let [by_x, by_b] = functional::jacobian_by(Mode::Forward, |[x, _]| x.square(), [&x, &b]).unwrap();
    assert_eq!((by_x.to_vec(), by_b.shape()[..].to_vec()), (vec![2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 6.0], vec![3, 100_000]));
}

#[test]
fn hooks_are_passed_where_both_modes_cost_the_same() {
    let x = tensor![1.0, -3.0, 0.25];
    let [clipped] = functional::jacobian(|[x]| x.square().on_grad(|d| d.clamp(-1.0, 0.5).ok()), [&x]).unwrap();
    assert_eq!(clipped.diagonal(0, 0, 1).unwrap(), tensor![1.0, -3.0, 0.25]);
}

#[test]
fn large_jacobians_are_made_in_parts() {
    // More elements on the path than are computed at once for all columns.
    let (a, x) = (draw(&[300, 300], 1), draw(&[300], 2));
    let f = functional::closure(|[x]| x.graph().constant(&a).matmul(x.tanh()).sin());
    let ([forward], [reverse]) =
        (functional::jacobian_by(Mode::Forward, f, [&x]).unwrap(), functional::jacobian_by(Mode::Reverse, f, [&x]).unwrap());
    close(&forward, &reverse, 1e-12);
    let [[hessian]] = functional::hessian(|[x]| f([x]).square().sum(), [&x]).unwrap();
    let [diagonal] = functional::hessian_diagonal(|[x]| f([x]).square().sum(), [&x]).unwrap();
    close(&hessian.diagonal(0, 0, 1).unwrap(), &diagonal, 1e-12);
}
