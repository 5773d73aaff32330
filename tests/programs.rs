//! Random programs: on graphs that nobody wrote, reverse mode, forward mode, recorded gradients and finite differences agree.
//!
//! A program is a list of instructions, each of which names its operands by numbers that are read modulo what fits. So every list is a
//! program, and proptest can shrink one that fails to the few instructions that matter. The operations come one by one from the
//! catalogue's tests; here it is the engine that is tested: sharing, dead branches, broadcasting, constants, the order of the sweep.
//!
//! `PROGRAMS=10000 PROGRAMS_SEED=3 cargo test --test workspace programs` runs more, and others.

use std::{cell::Cell, fmt};

use autograd::{Graph, Indices, Shape, Tensor, Var};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type V<'g> = Var<'g, f64>;

/// How a part of a program is run.
pub(super) type Wrap<'a, 'g> = &'a dyn Fn(&mut dyn FnMut() -> Vec<V<'g>>) -> Vec<V<'g>>;

/// How an operation takes its operands. The number is a parameter, to be read as whatever the operation needs.
enum Apply {
    One(for<'g> fn(V<'g>, usize) -> V<'g>),
    /// Operands that stretch to each other.
    Two(for<'g> fn(V<'g>, V<'g>) -> V<'g>),
    Three(for<'g> fn(V<'g>, V<'g>, V<'g>) -> V<'g>),
    /// Operands of one shape.
    Alike(for<'g> fn(V<'g>, V<'g>, usize) -> V<'g>),
    /// Matrices, or batches of them, that can be multiplied.
    Matrices(for<'g> fn(V<'g>, V<'g>) -> V<'g>),
}
use Apply::{Alike, Matrices, One, Three, Two};

/// Operations that map numbers of size 3 to numbers of about that size again, whatever is applied to their results: what may leave its
/// domain or grow is applied behind something bounded, and sums are scaled.
const OPERATIONS: &[(&str, Apply)] = &[
    ("neg", One(|x, _| -x)),
    ("abs", One(|x, _| x.abs())),
    ("relu", One(|x, _| x.relu())),
    ("leaky_relu", One(|x, _| x.leaky_relu(0.1))),
    ("elu", One(|x, _| x.elu(1.0))),
    ("tanh", One(|x, _| x.tanh())),
    ("sigmoid", One(|x, _| x.sigmoid())),
    ("softplus", One(|x, _| x.softplus())),
    ("sin", One(|x, _| x.sin())),
    ("cos", One(|x, _| x.cos())),
    ("atan", One(|x, _| x.atan())),
    ("erf", One(|x, _| x.erf())),
    ("gelu", One(|x, _| x.gelu())),
    ("silu", One(|x, _| x.silu())),
    ("clamp", One(|x, _| x.clamp(-1.0, 1.5))),
    ("exp of tanh", One(|x, _| x.tanh().exp())),
    ("ln of softplus", One(|x, _| (x.softplus() + 0.1).ln())),
    ("sqrt of softplus", One(|x, _| (x.softplus() + 0.1).sqrt())),
    ("recip of softplus", One(|x, _| (x.softplus() + 0.5).recip())),
    ("asin of tanh", One(|x, _| (x.tanh() * 0.9).asin())),
    ("powi of tanh", One(|x, p| x.tanh().powi(i32::try_from(p % 5).unwrap_or(0)))),
    ("add", Two(|a, b| (a + b) * 0.5)),
    ("sub", Two(|a, b| (a - b) * 0.5)),
    ("mul", Two(|a, b| a * b * 0.4)),
    ("div by softplus", Two(|a, b| a / (b.softplus() + 1.0))),
    ("max", Two(|a, b| a.max(b))),
    ("min", Two(|a, b| a.min(b))),
    ("pow of softplus", Two(|a, b| (a.softplus() + 0.5).pow(b.tanh()))),
    ("atan2 of softplus", Two(|a, b| a.atan2(b.softplus() + 0.5))),
    ("logaddexp", Two(|a, b| a.logaddexp(b) * 0.7)),
    ("lerp by sigmoid", Three(|a, b, w| a.lerp(b, w.sigmoid()))),
    ("select", Three(|condition, a, b| (condition - 0.1).step().select(a, b))),
    ("matmul", Matrices(|a, b| a.matmul(b).tanh())),
    ("sum_axes", One(|x, p| on_axis(x, p, |x, axis, len| x.sum_axes([axis], p % 2 == 0) / len))),
    ("mean", One(|x, _| x.mean())),
    ("mean_axes", One(|x, p| on_axis(x, p, |x, axis, _| x.mean_axes([axis], p % 2 == 0)))),
    ("amax", One(|x, p| on_axis(x, p, |x, axis, _| x.amax([axis], p % 2 == 0)))),
    ("logsumexp", One(|x, p| on_axis(x, p, |x, axis, len| x.logsumexp([axis], p % 2 == 0) - len.ln()))),
    ("softmax", One(|x, p| on_axis(x, p, |x, axis, _| x.softmax(axis)))),
    ("log_softmax", One(|x, p| on_axis(x, p, |x, axis, _| x.log_softmax(axis) * 0.3))),
    ("reshape", One(|x, _| x.reshape([-1]))),
    ("unsqueeze", One(|x, p| if x.shape().map_or(0, |s| s.rank()) < 3 { x.unsqueeze(isize::from(p % 2 == 0) - 1) } else { x.mean() })),
    ("transpose", One(|x, p| on_axis(x, p, |x, axis, _| x.transpose(0, axis)))),
    (
        "permute",
        One(|x, p| {
            let rank = x.shape().map_or(0, |shape| shape.rank());
            x.permute((0..rank).map(|axis| ((axis + p) % rank).cast_signed()).collect::<Vec<_>>())
        }),
    ),
    (
        "broadcast_to",
        One(|x, p| {
            on_axis(x, p, |x, _, _| {
                let shape = x.shape().unwrap_or(Shape::SCALAR);
                if shape.rank() < 3 { x.broadcast_to([&[1 + p % 2][..], &shape].concat()) } else { x.mean_axes([0], false) }
            })
        }),
    ),
    ("slice", One(|x, p| on_axis(x, p, |x, axis, len| x.slice(axis, ..=(p % (len as usize)).cast_signed())))),
    ("slice_step", One(|x, p| on_axis(x, p, |x, axis, _| x.slice_step(axis, .., if p % 2 == 0 { 2 } else { -1 })))),
    (
        "index_select",
        One(|x, p| {
            on_axis(x, p, |x, axis, len| {
                let n = len as usize;
                x.index_select(axis, &Indices::new(vec![p % n, (p + 1) % n, p % n], [3]).unwrap())
            })
        }),
    ),
    ("roll", One(|x, p| on_axis(x, p, |x, axis, _| x.roll(1, axis)))),
    ("sort", One(|x, p| on_axis(x, p, |x, axis, _| x.sort(axis, p % 2 == 0)))),
    ("tril", One(|x, p| if x.shape().map_or(0, |s| s.rank()) > 1 { x.tril(0) } else { x * (1.0 / (1 + p % 3) as f64) })),
    (
        "concat",
        Alike(|a, b, p| on_axis(a, p, |a, axis, _| a.graph().concat(&[a, b.reshape_as(&a.shape().unwrap_or(Shape::SCALAR))], axis))),
    ),
    (
        "stack",
        Alike(
            |a, b, p| if a.shape().map_or(0, |s| s.rank()) < 3 { a.graph().stack(&[a, b], p.cast_signed() % 2 - 1) } else { a * b * 0.4 },
        ),
    ),
];

/// `f` of `x` with at least one axis, an axis of it, and the length of that.
fn on_axis<'g>(x: V<'g>, p: usize, f: impl FnOnce(V<'g>, isize, f64) -> V<'g>) -> V<'g> {
    let x = if x.shape().is_ok_and(|shape| shape.rank() == 0) { x.reshape([1]) } else { x };
    match x.shape() {
        Ok(shape) => f(x, (p % shape.rank()).cast_signed(), shape[p % shape.rank()] as f64),
        Err(_) => x,
    }
}

#[derive(Debug, Clone)]
struct Leaf {
    shape: Vec<usize>,
    is_constant: bool,
    seed: u64,
}

/// An operation, its operands counted from the latest value back, and its parameter.
#[derive(Debug, Clone)]
struct Step {
    operation: usize,
    operands: [usize; 3],
    parameter: usize,
}

impl Step {
    /// Its name, the places of its operands among the values so far, and its result.
    fn run<'g>(&self, values: &[V<'g>]) -> (&'static str, Vec<usize>, V<'g>) {
        let Step { operation, operands, parameter: p } = self;
        let n = values.len();
        let shape = |k: usize| values[k].shape().unwrap();
        let [i, j, l] = operands.map(|back| n - 1 - back % n);
        // The first value from the one that was named on that fits; the operand itself fits beside itself.
        let partner = |from: usize, fits: &dyn Fn(Shape) -> bool| (0..n).map(|k| (from + k) % n).find(|&k| fits(shape(k)));
        let stretch = |a: Shape, b: Shape| a.broadcast(&b).is_ok_and(|shape| shape.len() <= LARGEST);
        let (name, apply) = &OPERATIONS[*operation];
        let (used, y) = match apply {
            One(f) => (vec![i], f(values[i], *p)),
            Two(f) => {
                let j = partner(j, &|b| stretch(shape(i), b)).unwrap_or(i);
                (vec![i, j], f(values[i], values[j]))
            }
            Three(f) => {
                let j = partner(j, &|b| stretch(shape(i), b)).unwrap_or(i);
                let both = shape(i).broadcast(&shape(j)).unwrap();
                let l = partner(l, &|c| stretch(both, c)).unwrap_or(i);
                (vec![i, j, l], f(values[i], values[j], values[l]))
            }
            Alike(f) => {
                let j = partner(j, &|b| shape(i) == b).unwrap_or(i);
                (vec![i, j], f(values[i], values[j], *p))
            }
            Matrices(f) => {
                let fits = |a: Shape, b: Shape| match (&a[..], &b[..]) {
                    ([first @ .., m, k], [second @ .., l, n]) => {
                        k == l
                            && stretch(
                                Shape::new(&[first, &[*m, *n]].concat()).unwrap(),
                                Shape::new(&[second, &[*m, *n]].concat()).unwrap(),
                            )
                    }
                    _ => false,
                };
                match partner(j, &|b| fits(shape(i), b)) {
                    Some(j) => (vec![i, j], f(values[i], values[j])),
                    None if shape(i).rank() > 1 => (vec![i, i], values[i].matmul_as(values[i], false, true).tanh()),
                    None => (vec![i], values[i].square() * 0.3),
                }
            }
        };
        let y = if y.shape().is_ok_and(|shape| shape.len() > LARGEST) { y.mean_axes([0], false) } else { y };
        (name, used, y)
    }
}

#[derive(Clone)]
pub(super) struct Program {
    leaves: Vec<Leaf>,
    steps: Vec<Step>,
}

impl Program {
    fn any() -> impl Strategy<Value = Program> {
        let leaf = (prop::collection::vec(prop_oneof![1 => Just(1usize), 3 => 1..5usize], 0..4), prop::bool::weighted(0.25), 0..1_000u64)
            .prop_map(|(shape, is_constant, seed)| Leaf { shape, is_constant, seed });
        // Mostly recent values, so that programs are deep; now and then any, so that values are shared and branches die.
        let operand = || prop_oneof![3 => 0..3usize, 1 => 0..64usize];
        let step = (0..OPERATIONS.len(), [operand(), operand(), operand()], 0..12usize).prop_map(|(operation, operands, parameter)| Step {
            operation,
            operands,
            parameter,
        });
        (prop::collection::vec(leaf, 1..5), prop::collection::vec(step, 1..61)).prop_map(|(mut leaves, steps)| {
            leaves[0].is_constant = false;
            Program { leaves, steps }
        })
    }

    /// The values of the leaves.
    fn point(&self) -> Vec<Tensor<f64>> {
        self.point_by(0)
    }

    /// Other values of the leaves.
    pub(super) fn point_by(&self, salt: u64) -> Vec<Tensor<f64>> {
        let draw = |leaf: &Leaf| Tensor::uniform(-2.0, 2.0, &leaf.shape, &mut ChaCha8Rng::seed_from_u64(leaf.seed + 1_000 * salt)).unwrap();
        self.leaves.iter().map(draw).collect()
    }

    pub(super) fn is_constant(&self, leaf: usize) -> bool {
        self.leaves[leaf].is_constant
    }

    pub(super) fn leaves<'g>(&self, g: &'g Graph<f64>, x: &[Tensor<f64>]) -> Vec<V<'g>> {
        let leaf = |(leaf, x): (&Leaf, &Tensor<f64>)| if leaf.is_constant { g.constant(x) } else { g.variable(x) };
        self.leaves.iter().zip(x).map(leaf).collect()
    }

    /// The last value of the program cut into parts, and those into parts, each of which leaves nothing but its last two values. `wrap` runs
    /// a part.
    pub(super) fn in_parts<'g>(&self, leaves: &[V<'g>], wrap: Wrap<'_, 'g>) -> V<'g> {
        fn part<'g>(steps: &[Step], before: &[V<'g>], depth: usize, wrap: Wrap<'_, 'g>) -> Vec<V<'g>> {
            wrap(&mut || {
                let mut values = before.to_vec();
                if depth == 0 || steps.len() < 3 {
                    for step in steps {
                        values.push(step.run(&values).2);
                    }
                } else {
                    for steps in steps.chunks(steps.len().div_ceil(3)) {
                        values.extend(part(steps, &values, depth - 1, wrap));
                    }
                }
                values.split_off(before.len().max(values.len() - 2))
            })
        }
        part(&self.steps, leaves, 2, wrap)[1.min(self.steps.len() - 1)]
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = usize> {
        (0..self.leaves.len()).filter(|&k| !self.leaves[k].is_constant)
    }

    /// The program on a graph: the leaves, and the last value. What is done depends on shapes alone, so that the program is one function.
    fn run<'g>(&self, g: &'g Graph<f64>, x: &[Tensor<f64>], mut log: impl FnMut(&str, &[usize], usize, V<'g>)) -> (Vec<V<'g>>, V<'g>) {
        let leaves = self.leaves(g, x);
        let mut values = leaves.clone();
        for step in &self.steps {
            let (name, used, y) = step.run(&values);
            log(name, &used, step.parameter, y);
            values.push(y);
        }
        (leaves, values[values.len() - 1])
    }
}

/// Larger values are averaged over their first axis.
const LARGEST: usize = 96;

/// The program as it runs, line by line.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (k, Leaf { shape, is_constant, seed }) in self.leaves.iter().enumerate() {
            writeln!(f, "  v{k} = {} {shape:?}, seed {seed}", if *is_constant { "constant" } else { "variable" })?;
        }
        let (g, mut lines) = (Graph::new(), Vec::new());
        self.run(&g, &self.point(), |name, used, p, y| {
            let used: Vec<_> = used.iter().map(|k| format!("v{k}")).collect();
            lines.push(format!("{name}({}; {p}) -> {}", used.join(", "), y.shape().map_or_else(|e| e.to_string(), |s| s.to_string())));
        });
        lines.iter().zip(self.leaves.len()..).try_for_each(|(line, k)| writeln!(f, "  v{k} = {line}"))
    }
}

/// Runs a test on many programs, the same ones each time unless told otherwise.
pub(super) fn each_program(test: impl Fn(&Program) -> Result<(), TestCaseError>) {
    let number = |name, usual: u64| -> u64 { std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual) };
    let cases = u32::try_from(number("PROGRAMS", 300)).unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("PROGRAMS_SEED", 1).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(&Program::any(), |program| test(&program)) {
        panic!("{error}");
    }
}

pub(super) fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
}

/// Σ |a·b|, the scale of a scalar product.
pub(super) fn size(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| (a * b).abs()).sum()
}

/// A random tensor for each shape.
pub(super) fn directions<'a>(like: impl IntoIterator<Item = &'a Tensor<f64>>, seed: u64) -> Vec<Tensor<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    like.into_iter().map(|x| Tensor::randn(x.shape(), &mut rng).unwrap()).collect()
}

#[test]
fn values_stay_moderate_and_every_operation_occurs() {
    let seen = std::cell::RefCell::new(vec![0u32; OPERATIONS.len()]);
    each_program(|program| {
        program.steps.iter().for_each(|step| seen.borrow_mut()[step.operation] += 1);
        let g = Graph::new();
        let (_, y) = program.run(&g, &program.point(), |_, _, _, _| {});
        for v in g.vars() {
            let value = v.value().map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(value.as_slice().iter().all(|v| v.abs() < 30.0), "{v:?}");
        }
        prop_assert!(y.value().is_ok());
        Ok(())
    });
    let rarest = seen.into_inner().into_iter().min();
    assert!(rarest >= Some(20), "{rarest:?}");
}

#[test]
fn forward_and_reverse_mode_are_adjoint() {
    let worst = Cell::new(0.0f64);
    each_program(|program| {
        let (g, x) = (Graph::new(), program.point());
        let (leaves, y) = program.run(&g, &x, |_, _, _, _| {});
        let cotangent = directions([&y.value().unwrap()], 2).remove(0);
        let grads = y.backward_with(&cotangent).unwrap();
        for (k, direction) in directions(&x, 3).iter().enumerate().filter(|(k, _)| !program.leaves[*k].is_constant) {
            let dy = g.jvp(y, [leaves[k]], [g.constant(direction)]).value().unwrap();
            prop_assert_eq!(dy.shape(), cotangent.shape());
            // Nothing leads back from the last value to a variable that it does not depend on.
            let Some(grad) = grads.get(leaves[k]) else {
                prop_assert!(dy.as_slice().iter().all(|dy| *dy == 0.0));
                continue;
            };
            let (forward, reverse) = (dot(&cotangent, &dy), dot(grad, direction));
            let scale = size(&cotangent, &dy).max(size(grad, direction)).max(1e-3);
            worst.set(worst.get().max((forward - reverse).abs() / scale));
            prop_assert!((forward - reverse).abs() <= 1e-10 * scale, "v{k}: ⟨c, J·v⟩ = {forward:e}, ⟨Jᵀ·c, v⟩ = {reverse:e}");
        }
        Ok(())
    });
    println!("forward against reverse mode: at most {:.1e} of the scale of the terms", worst.get());
}

#[test]
fn gradients_agree_with_finite_differences_in_a_random_direction() {
    /// Of the scale of the terms.
    const TOLERANCE: f64 = 1e-7;
    let (all, inconclusive, worst) = (Cell::new(0u32), Cell::new(0u32), Cell::new(0.0f64));
    each_program(|program| {
        let (g, x) = (Graph::new(), program.point());
        let (leaves, y) = program.run(&g, &x, |_, _, _, _| {});
        let cotangent = directions([&y.value().unwrap()], 4).remove(0);
        let grads = y.backward_with(&cotangent).unwrap();
        let direction = directions(&x, 5);
        let terms = |f: fn(&Tensor<f64>, &Tensor<f64>) -> f64| -> f64 {
            program.variables().filter_map(|k| Some(f(grads.get(leaves[k])?, &direction[k]))).sum()
        };
        let (autodiff, scale) = (terms(dot), terms(size).max(1e-3));
        let along = |t: f64| {
            let moved = |(k, x): (usize, &Tensor<f64>)| {
                let step = if program.leaves[k].is_constant { 0.0 } else { t };
                let elements = x.as_slice().iter().zip(direction[k].as_slice()).map(|(x, d)| x + step * d);
                Tensor::new(elements.collect::<Vec<_>>(), x.shape()).unwrap()
            };
            let g = Graph::new();
            let (_, y) = program.run(&g, &x.iter().enumerate().map(moved).collect::<Vec<_>>(), |_, _, _, _| {});
            dot(&cotangent, &y.value().unwrap())
        };
        // Central differences of fourth order. At a kink, and where the function bends too much for the step, two steps differ.
        let difference = |h: f64| (8.0 * (along(h) - along(-h)) - (along(2.0 * h) - along(-2.0 * h))) / (12.0 * h);
        let (long, short) = (difference(1e-3), difference(5e-4));
        all.set(all.get() + 1);
        if (long - short).abs() > TOLERANCE * scale {
            inconclusive.set(inconclusive.get() + 1);
            return Ok(());
        }
        worst.set(worst.get().max((autodiff - short).abs() / scale));
        prop_assert!(
            (autodiff - short).abs() <= TOLERANCE * scale,
            "autodiff {autodiff:e}, differences {long:e} {short:e}, scale {scale:e}"
        );
        Ok(())
    });
    let (all, inconclusive) = (all.get(), inconclusive.get());
    println!("finite differences: {inconclusive} of {all} inconclusive, the others off by at most {:.1e} of the scale", worst.get());
    assert!(inconclusive * 20 <= all, "{inconclusive} of {all} finite differences are inconclusive");
}

/// Operations whose rules add to parts of a gradient, or a matrix product to it.
///
/// Everywhere else both ways of the engine do the same to the same numbers in the same order, and the gradients are equal bit for bit:
/// the sweeps go over the same nodes from the last to the first, contributions are added up in that order, whole-array rules are one
/// text that calls the same kernels, and a pointwise slope is the same formula, whether it is evaluated in one loop or node by node.
/// But here, tensors are changed in place at once, and a product is accumulated inside its kernel, while recorded contributions wait until
/// all are there, are put together in one step, and that is added: (a + b) + c against a + (b + c).
const IN_PLACE: [&str; 6] = ["matmul", "slice", "slice_step", "index_select", "roll", "sort"];

#[test]
fn recorded_gradients_are_the_gradients() {
    let (all, equal, exact) = (Cell::new(0u32), Cell::new(0u32), Cell::new(0u32));
    let compare = |program: &Program, is_exact: bool| {
        let (g, x) = (Graph::new(), program.point());
        let (leaves, y) = program.run(&g, &x, |_, _, _, _| {});
        let y = (y * g.constant(&directions([&y.value().unwrap()], 6)[0])).sum();
        let grads = y.backward().unwrap();
        for k in program.variables() {
            let recorded = g.grad(y, [leaves[k]])[0].value().unwrap();
            let zeros = Tensor::zeros(recorded.shape()).unwrap();
            let direct = grads.get(leaves[k]).unwrap_or(&zeros);
            let bits = |x: &Tensor<f64>| x.as_slice().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let same = bits(direct) == bits(&recorded);
            if is_exact {
                exact.set(exact.get() + 1);
                prop_assert!(same, "v{k}: {direct} {recorded}");
            } else {
                all.set(all.get() + 1);
                equal.set(equal.get() + u32::from(same));
            }
            let scale = direct.as_slice().iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            for (a, b) in direct.as_slice().iter().zip(recorded.as_slice()) {
                prop_assert!((a - b).abs() <= 1e-12 * scale, "v{k}: {a:e} {b:e}");
            }
        }
        Ok(())
    };
    each_program(|program| {
        compare(program, false)?;
        let mut exact = program.clone();
        exact.steps.retain(|step| !IN_PLACE.contains(&OPERATIONS[step.operation].0));
        compare(&exact, true).map_err(|error| TestCaseError::fail(format!("without what works in place: {error}{exact:?}")))
    });
    let (all, equal, exact) = (all.get(), equal.get(), exact.get());
    println!("recorded gradients: {equal} of {all} equal bit for bit, and all of {exact} without what works in place");
}
