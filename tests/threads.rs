//! Results have the same bits for any number of threads.

use autograd::{Conv, Error, Graph, Indices, Real, Tensor, Var, fused, op::join::Padding};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Formula<T> = for<'g> fn([Var<'g, T>; 3]) -> Var<'g, T>;

/// The value of a formula and all gradients, as bits.
fn bits<T: Real>(shapes: [&[usize]; 3], formula: Formula<T>) -> Result<Vec<u64>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let inputs = [(); 3];
    let mut k = 0;
    let inputs = inputs.map(|()| {
        k += 1;
        Tensor::<T>::randn(shapes[k - 1], &mut rng)
    });
    let [a, b, c] = inputs;
    let g = Graph::new();
    let x = [g.variable(a?), g.variable(b?), g.variable(c?)];
    let y = formula(x);
    let grads = y.backward()?;
    let mut bits = vec![y.item()?.to_f64().to_bits()];
    for x in x {
        bits.extend(grads.wrt(x)?.as_slice().iter().map(|v| v.to_f64().to_bits()));
    }
    Ok(bits)
}

fn same_for_any_number<T: Real>(name: &str, shapes: [&[usize]; 3], formula: Formula<T>) {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(shapes, formula)).unwrap()
    };
    let alone = run(1);
    for threads in [2, 3, 5] {
        assert!(run(threads) == alone, "{name}: {threads} threads give other bits than one");
    }
}

fn labels() -> Indices {
    Indices::from((0..500).map(|i| i * 7 % 201).collect::<Vec<_>>())
}

fn all<T: Real>() {
    same_for_any_number::<T>("pointwise", [&[301, 257], &[257], &[301, 1]], |[x, a, b]| {
        (fused!(|x, a, b| (a * x + b).sigmoid() * x.tanh())(x, a, b) + x.exp() * a).sum()
    });
    same_for_any_number::<T>("reductions", [&[40, 50, 60], &[60], &[1]], |[x, a, b]| {
        (x * a).logsumexp([2], false).sum() + x.sum_axes([0], false).square().mean() + x.mean_axes([1, 2], false).sum() * b
    });
    same_for_any_number::<T>("short axes", [&[25, 1000, 10], &[25, 1, 10], &[25, 1000, 1]], |[x, a, b]| {
        (x * a * b).sum_axes([2], false).square().sum()
    });
    same_for_any_number::<T>("normalisation", [&[70, 1100], &[16, 12, 20, 21], &[900, 100]], |[a, b, c]| {
        let rows = (a.layer_norm([-1], 1e-5) * a.rms_norm([-1], 1e-5)).mean();
        rows + (b.batch_norm(1e-5) * b).mean() + (c.batch_norm(1e-5) * c).mean() + c.var([0], 1.0, false).mean()
    });
    same_for_any_number::<T>("order and scans", [&[90, 800], &[300, 256], &[40, 30, 60]], |[a, b, c]| {
        let chosen = (a.sort(1, true) * a).mean() + a.topk(9, 1, false).mean();
        chosen + (b.cumsum(1) * b).mean() + (c.logcumsumexp(1) * c).mean()
    });
    same_for_any_number::<T>("movement", [&[300, 257], &[9, 40, 21, 23], &[257, 11]], |[a, b, c]| {
        let moved = (a.transpose(0, 1) * a.transpose(0, 1).exp()).mean() + b.permute([0, 2, 3, 1]).square().mean();
        let padded = b.pad([(1, 2), (0, 3)], Padding::Constant(0.5)).square().mean();
        moved + padded + a.graph().concat(&[a.transpose(0, 1), c], 1).square().mean()
    });
    same_for_any_number::<T>("windows", [&[9, 12, 30, 31], &[40, 3000], &[20, 6, 3, 3]], |[a, b, c]| {
        let pooled = (a.max_pool2d(2) * 1.5).mean() + a.avg_pool2d(3).square().mean() + b.avg_pool1d(4).square().mean();
        pooled + a.conv2d(c, Conv::default().stride(2).groups(2)).square().mean()
    });
    same_for_any_number::<T>("decompositions", [&[40, 14, 14], &[150, 150], &[150, 4]], |[a, b, c]| {
        let eye = |n: usize| a.graph().constant(Tensor::eye(n).unwrap()) * 50.0;
        let inverses = (a + eye(14)).inverse().mean() + (a.matmul(a.transpose(1, 2)) + eye(14)).cholesky().mean();
        inverses + (b + eye(150)).solve(c).square().mean() + (b + eye(150)).logdet()
    });
    same_for_any_number::<T>("products", [&[130, 150], &[150, 140], &[130, 140]], |[a, b, c]| (a.matmul(b) * c).sum());
    same_for_any_number::<T>("few columns", [&[142, 1200], &[1200, 60], &[60]], |[a, b, c]| (a.matmul(b) * c).sum());
    same_for_any_number::<T>("batches", [&[9, 70, 60], &[9, 60, 80], &[80]], |[a, b, c]| (a.matmul(b) * c).sum());
    same_for_any_number::<T>("classes", [&[500, 30], &[201, 30], &[201]], |[x, w, b]| {
        x.linear(w, b).softmax_cross_entropy(1, &labels()).sum()
    });
    same_for_any_number::<T>("convolution", [&[5, 3, 40, 40], &[8, 3, 3, 3], &[8, 1, 1]], |[x, w, b]| {
        (x.conv2d(w, Conv::default().padding(1)) + b).relu().mean()
    });
}

#[test]
fn results_have_the_same_bits_for_any_number_of_threads() {
    all::<f32>();
    all::<f64>();
}
