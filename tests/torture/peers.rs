//! The rules of the gradient checkers of PyTorch and of JAX, on the same cases.

use autograd::{
    Graph, Tensor,
    check::{Checker, Coverage, Steps, Tolerance},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{Case, pairs::value};

/// `torch.autograd.gradcheck` with its defaults: central differences of 1e-6, atol 1e-5, rtol 1e-3, every element; above 10,000 elements in
/// its fast mode, one direction of random numbers between 0 and 1, of length 1.
pub(super) fn pytorch(case: &Case) -> bool {
    let x: Vec<_> = case.x.iter().collect();
    if x.iter().map(|x| x.len()).sum::<usize>() > 10_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let direction: Vec<Tensor<f64>> = x.iter().map(|x| Tensor::uniform(0.0, 1.0, x.shape(), &mut rng).unwrap()).collect();
        let length = direction.iter().map(|v| dot(v, v)).sum::<f64>().sqrt();
        let direction: Vec<_> = direction.iter().map(|v| v.div_lit(length).unwrap()).collect();
        let sum: f64 = direction.iter().flat_map(Tensor::to_vec).sum();
        return along(case, &direction, 1e-6).is_some_and(|(a, n)| (a - n).abs() <= 1e-5 * sum + 1e-3 * n.abs());
    }
    let checker =
        Checker::new().steps(Steps::Fixed(1e-6)).coverage(Coverage::All).tolerance(Tolerance::Constant { atol: 1e-5, rtol: 1e-3 });
    // The elements alone: what else the report has is not theirs.
    checker.slices(&case.f, &x).is_ok_and(|report| report.count(|v| !v.is_ok()) == 0)
}

fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
}

/// The derivative along a direction of all inputs together, with a Gaussian cotangent: by autodiff, and by a central difference.
fn along(case: &Case, direction: &[Tensor<f64>], h: f64) -> Option<(f64, f64)> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let g = Graph::new();
    let leaves: Vec<_> = case.x.iter().map(|x| g.variable(x)).collect();
    let y = (case.f)(&leaves);
    let shape = y.shape().ok()?;
    let cotangent = if shape.len() == 1 { Tensor::ones(shape).unwrap() } else { Tensor::randn(shape, &mut rng).unwrap() };
    let autodiff: f64 = match y.backward_with(&cotangent) {
        Ok(gradients) => leaves.iter().zip(direction).filter_map(|(leaf, v)| Some(dot(gradients.get(*leaf)?, v))).sum(),
        Err(_) => 0.0,
    };
    let moved = |h: f64| {
        let x: Vec<_> = case.x.iter().zip(direction).map(|(x, v)| x.add(&v.mul_lit(h).unwrap()).unwrap()).collect();
        value(case, &x).filter(|y| y.len() == cotangent.len())
    };
    let (ahead, behind) = (moved(h)?, moved(-h)?);
    let difference = ahead.iter().zip(&behind).zip(cotangent.as_slice()).map(|((a, b), c)| (a - b) / (2.0 * h) * c).sum();
    Some((autodiff, difference))
}

/// `jax.test_util.check_grads` of order 1 in reverse mode with its defaults in double precision: a central difference of 1e-4 along one
/// Gaussian direction, and a Gaussian cotangent; tolerances of 1e-5, both absolute and relative.
pub(super) fn jax(case: &Case) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let direction: Vec<Tensor<f64>> = case.x.iter().map(|x| Tensor::randn(x.shape(), &mut rng).unwrap()).collect();
    along(case, &direction, 1e-4).is_some_and(|(a, n)| (a - n).abs() <= 1e-5 + 1e-5 * n.abs())
}
