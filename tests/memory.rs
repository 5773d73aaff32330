//! Memory that falls as promised: bytes and allocations, counted.

use allocation_counter::measure;
use autograd::{Gradients, Graph, Tensor, Var, functional, release_memory};
use nn::{Activation, Init, Mlp, Module, Sgd, loss::mse};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type V<'g> = Var<'g, f64>;

/// The largest number of bytes that were in use at once.
fn peak(f: impl FnOnce()) -> u64 {
    release_memory();
    let info = measure(f);
    release_memory();
    info.bytes_max
}

/// Elements of a large vector, and its bytes.
const N: usize = 1 << 16;
const VECTOR: u64 = 8 * N as u64;

fn vector() -> Tensor<f64> {
    Tensor::linspace(-1.0, 1.0, N).unwrap()
}

/// Five operations.
fn layer<'g>(x: V<'g>) -> V<'g> {
    ((x * 1.1).sin() + 0.1).tanh() * 0.9
}

#[test]
fn a_scope_takes_the_memory_of_one_step_however_many_there_are() {
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        Plain,
        Scopes,
        Fold,
    }
    let run = |steps: usize, way: Way| {
        let x = vector();
        let bytes = peak(move || {
            let g = Graph::new();
            let x = g.constant(x);
            let y = match way {
                Way::Fold => g.fold(x, 0..steps, |h, _| layer(h)),
                _ => (0..steps).fold(x, |h, _| if way == Way::Scopes { g.scope(|| layer(h)) } else { layer(h) }),
            };
            y.value().unwrap();
        });
        bytes.div_ceil(VECTOR)
    };
    let [plain, scopes, fold] = [Way::Plain, Way::Scopes, Way::Fold].map(|way| run(200, way));
    println!("200 steps: {plain} vectors plain, {scopes} in scopes, {fold} in a fold");
    // A step has five values, each of which stays; of a scope its result stays, and of a fold the last one.
    assert!(plain > 1000);
    assert!(scopes <= 200 + 8, "{scopes}");
    assert!(fold <= 8 && run(20, Way::Fold) == fold, "{fold}");
}

#[test]
fn a_checkpoint_keeps_the_ends_of_its_parts() {
    let run = |part: usize| {
        let x = vector();
        peak(move || {
            let g = Graph::new();
            let x = g.variable(x);
            let mut h = x;
            for _ in 0..64 / part {
                h = g.checkpoint(|| (0..part).fold(h, |h, _| layer(h)));
            }
            assert!(h.sum().backward().unwrap().wrt(x).is_ok());
        }) / VECTOR
    };
    // 64 layers of five values: kept whole, in eight parts of eight layers, and layer by layer.
    let (whole, parts, single) = (run(64), run(8), run(1));
    println!("64 layers: {whole} vectors whole, {parts} in eight parts, {single} layer by layer");
    assert!(whole >= 320);
    assert!(parts <= 8 + 40 + 8, "{parts}");
    assert!(single <= 64 + 5 + 8, "{single}");
}

#[test]
fn forward_mode_takes_the_memory_of_one_step() {
    type F = for<'g> fn(V<'g>) -> V<'g>;
    let run = |f: F| {
        let x = vector();
        peak(move || {
            functional::jvp(|[x]| f(x), [&x], [&x]).unwrap();
        }) / VECTOR
    };
    let whole = run(|x| (0..64).fold(x, |h, _| layer(h)));
    let parts = run(|x| (0..64).fold(x, |h, _| x.graph().checkpoint(|| layer(h))));
    let fold = run(|x| x.graph().fold(x, 0..64, |h, _| layer(h)));
    println!("forward mode through 64 layers: {whole} vectors, {parts} in checkpoints, {fold} in a fold");
    // Values and tangents: of all operations, of the ends of the parts, of one step.
    assert!(whole >= 640);
    assert!(parts <= 2 * (64 + 5) + 8, "{parts}");
    assert!(fold <= 2 * 5 + 8, "{fold}");
}

#[test]
fn a_replay_allocates_nothing() {
    let tensor = |shape: &[usize], seed: usize| {
        let n: usize = shape.iter().product();
        Tensor::<f32>::new((0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5).collect::<Vec<_>>(), shape).unwrap()
    };
    for batch in [1, 100] {
        let g = Graph::<f32>::new();
        let (x, t) = (tensor(&[batch, 2], 1), tensor(&[batch, 1], 2));
        let shapes: [&[usize]; 6] = [&[16, 2], &[16], &[16, 16], &[16], &[1, 16], &[1]];
        let parameters: Vec<_> = shapes.iter().zip(3..).map(|(shape, seed)| tensor(shape, seed)).collect();
        let w: Vec<_> = parameters.iter().map(|p| g.variable(p)).collect();
        let (x_in, t_in) = (g.constant(&x), g.constant(&t));
        let h = (x_in.matmul_as(w[0], false, true) + w[1]).tanh();
        let h = (h.matmul_as(w[2], false, true) + w[3]).tanh();
        let y = h.matmul_as(w[4], false, true) + w[5];
        let loss = (y - t_in).square().mean();
        let leaves: Vec<_> = w.iter().copied().zip(&parameters).chain([(x_in, &x), (t_in, &t)]).collect();
        let mut grads = Gradients::empty(&g);
        let mut step = || {
            g.replay(&leaves).unwrap();
            loss.backward_into(&mut grads).unwrap();
        };
        step();
        step();
        let forward = measure(|| g.replay(&leaves).unwrap()).count_total;
        let backward = measure(&mut step).count_total - forward;
        let recorded = g.grad(loss, &w);
        (0..2).for_each(|_| g.replay(&leaves).unwrap());
        let gradients = measure(|| g.replay(&leaves).unwrap()).count_total;
        println!("batch {batch}: {forward} allocations forward, {backward} backward, {gradients} with recorded gradients");
        // The library of matrix products may take a workspace for a product of more than 512 multiplications, of which there are three
        // forward and five backward.
        let products = if batch == 1 { (0, 0) } else { (3, 8) };
        assert!(forward <= products.0 && gradients <= products.1, "{forward} {gradients}");
        // Operations with parameters that a rule makes on its way.
        assert!(backward <= 10 + products.1, "{backward}");
        assert!(recorded.iter().all(|d| d.value().is_ok()));
    }
}

#[test]
fn a_training_step_after_the_first_allocates_nothing() {
    let step = |graph: &Graph<f32>, model: &mut Mlp<f32>, optimizer: &mut Sgd<f32>, x: &Tensor<f32>, t: &Tensor<f32>| {
        let loss = mse(model.forward(graph.constant(x)), graph.constant(t));
        optimizer.step(model, &loss.backward().unwrap()).unwrap();
    };
    for (batch, products) in [(1, 0), (100, 8)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let activations = [Activation::Tanh, Activation::Tanh, Activation::Identity];
        let mut model = Mlp::<f32>::new(&[2, 16, 16, 1], &activations, Init::XavierUniform, &mut rng).unwrap();
        let (x, t) = (Tensor::full(0.5, [batch, 2]).unwrap(), Tensor::full(0.25, [batch, 1]).unwrap());
        let mut optimizer = Sgd::new(0.1);
        let mut graph = Graph::new();
        let mut kept = || {
            graph.clear();
            step(&graph, &mut model, &mut optimizer, &x, &t);
        };
        (0..3).for_each(|_| kept());
        let kept = measure(kept).count_total;
        let mut fresh = || step(&Graph::new(), &mut model, &mut optimizer, &x, &t);
        (0..3).for_each(|_| fresh());
        let fresh = measure(fresh).count_total;
        println!("a step with batches of {batch}: {kept} allocations, {fresh} on a graph of its own");
        // The library of matrix products takes a workspace for each product of more than 512 multiplications.
        assert!(kept <= products, "{kept}");
        // Its identity, and the table of its parameters, which grows.
        assert!(fresh <= products + 4, "{fresh}");
    }
}

#[test]
fn replays_of_every_operation_hardly_allocate() {
    let mut busy = std::collections::BTreeMap::new();
    for entry in autograd::op::catalogue() {
        for sample in entry.samples {
            let g = Graph::new();
            let inputs: Vec<_> =
                sample.inputs.iter().map(|(shape, (low, high))| Tensor::full(0.3 * low + 0.7 * high, shape).unwrap()).collect();
            let leaves: Vec<_> = inputs.iter().map(|x| g.variable(x)).collect();
            let y = (sample.run)(&leaves);
            if y.value().is_err() {
                continue;
            }
            let pairs: Vec<_> = leaves.iter().copied().zip(&inputs).collect();
            (0..2).for_each(|_| g.replay(&pairs).unwrap());
            let count = measure(|| g.replay(&pairs).unwrap()).count_total;
            let most = busy.entry(entry.name).or_insert(0);
            *most = count.max(*most);
        }
    }
    let (all, quiet) = (busy.len(), busy.values().filter(|&&count| count == 0).count());
    busy.retain(|_, count| *count > 0);
    println!("{quiet} of {all} operations replay without an allocation; the others: {busy:?}");
    assert!(3 * quiet >= 2 * all, "{quiet} of {all}");
    for quiet in ["add", "tanh", "sigmoid", "relu", "gelu", "matmul", "sum", "mean", "logsumexp", "select", "concat", "broadcast_to"] {
        assert!(!busy.contains_key(quiet), "{quiet} allocates {}", busy[quiet]);
    }
}
