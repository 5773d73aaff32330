//! Arrays: W4 matrix products, W6 pointwise formulas, W7 cross-entropy, W10 convolution, W11 a mixture of Gaussians.

use autograd::{Conv, Graph, Indices, Real, Shape, Tensor, Var, fused, op::Place};
use nn::loss::cross_entropy;

use super::{Outcome, Work, at, filled};

/// A function of some tensors, differentiated by all of them on a graph that is used again. The numbers are the loss, and one element of
/// each gradient.
fn gradients<T: Real, const N: usize>(
    name: impl Into<String>,
    unit: (&'static str, &'static str),
    convert: impl Fn(f64) -> f64 + 'static,
    inputs: [Tensor<T>; N],
    elements: [usize; N],
    f: impl for<'g> Fn([Var<'g, T>; N]) -> Var<'g, T> + 'static,
) -> Work {
    let mut g = Graph::new();
    Work::new(name, unit, convert, move || {
        g.clear();
        let x = inputs.each_ref().map(|x| g.variable(x));
        let y = f(x);
        let grads = y.backward()?;
        let mut numbers = vec![y.item()?.to_f64()];
        for (x, i) in x.iter().zip(elements) {
            numbers.push(at(grads.wrt(*x)?, i));
        }
        Ok(numbers)
    })
}

const MILLISECONDS: fn(f64) -> f64 = |s| s * 1e3;
const MICROSECONDS: fn(f64) -> f64 = |s| s * 1e6;

/// W4: Σ (A·B)∘R and the gradients of A and B.
pub(crate) fn matmul() -> Outcome<Vec<Work>> {
    fn of<T: Real>(n: usize) -> Outcome<Work> {
        let [a, b, r] = [1, 2, 3].map(|seed| filled::<T>(seed, &[n, n], 1.0));
        let (a, b, r) = (a?, b?, r?);
        let rate = move |s: f64| 6.0 * (n as f64).powi(3) / s / 1e9;
        let name = format!("W4/{n}/{}", T::NAME);
        Ok(gradients(name, ("matmul fwd+2 grads", "GFLOP/s"), rate, [a, b], [0, n * n - 1], move |[a, b]| {
            (a.matmul(b) * a.graph().constant(&r)).sum()
        }))
    }
    Ok(vec![of::<f32>(1024)?, of::<f64>(1024)?, of::<f32>(64)?, of::<f64>(64)?])
}

/// W6: Σ sigmoid(a·x + b)·tanh(x) + exp(−x²) of four million elements, in one pass and as a plain formula.
pub(crate) fn pointwise() -> Outcome<Vec<Work>> {
    fn of<T: Real>(all: &mut Vec<Work>) -> Outcome<()> {
        let inputs = [filled::<T>(1, &[4096, 1024], 2.0)?, filled(2, &[1024], 1.0)?, filled(3, &[1024], 1.0)?];
        let unit = ("fwd+bwd", "ms");
        let name = format!("W6/{}/fused", T::NAME);
        all.push(gradients(name, unit, MILLISECONDS, inputs.clone(), [7, 0, 5], |[x, a, b]| {
            fused!(|x, a, b| (a * x + b).sigmoid() * x.tanh() + (-x * x).exp())(x, a, b).sum()
        }));
        let name = format!("W6/{}/plain", T::NAME);
        all.push(gradients(name, unit, MILLISECONDS, inputs, [7, 0, 5], |[x, a, b]| {
            ((a * x + b).sigmoid() * x.tanh() + (-x * x).exp()).sum()
        }));
        Ok(())
    }
    let mut all = Vec::new();
    of::<f32>(&mut all)?;
    of::<f64>(&mut all)?;
    Ok(all)
}

/// W7: the mean cross-entropy of 4096 examples and 1000 classes.
pub(crate) fn cross_entropy_of_many() -> Outcome<Vec<Work>> {
    let (n, classes) = (4096, 1000);
    let x = filled::<f32>(1, &[n, classes], 3.0)?;
    let labels = Indices::new((0..n).map(|i| i * 7919 % classes).collect::<Vec<_>>(), [n])?;
    Ok(vec![gradients("W7", ("fwd+bwd", "ms"), MILLISECONDS, [x], [0], move |[x]| cross_entropy(x, &labels))])
}

/// W10: two layers of convolution with all gradients.
pub(crate) fn convolution() -> Outcome<Vec<Work>> {
    let mut all = Vec::new();
    for (name, [n, channels, side], filters) in [("W10", [32, 1, 28], 16), ("W10/16x14", [32, 16, 14], 32)] {
        let fan_in = (channels * 9) as f64;
        let inputs = [
            filled::<f32>(1, &[n, channels, side, side], 1.0)?,
            filled(2, &[filters, channels, 3, 3], 1.0 / fan_in.sqrt())?,
            Tensor::zeros([filters])?,
        ];
        let r = filled::<f32>(3, &[n, filters, side - 2, side - 2], 1.0)?;
        all.push(gradients(name, ("fwd+bwd", "us"), MICROSECONDS, inputs, [100, 0, 3], move |[x, w, b]| {
            let y = x.conv2d(w, Conv::default()) + b.reshape([-1, 1, 1]);
            (y * x.graph().constant(&r)).sum()
        }));
    }
    Ok(all)
}

/// A mixture of `k` Gaussians in `d` dimensions, and the data whose likelihood is wanted.
#[derive(Clone)]
struct Mixture {
    x: Tensor<f64>,
    n: usize,
    d: isize,
    k: isize,
    /// Where the elements below the diagonal of a matrix stand, column by column.
    below: Place,
    flat: Shape,
}

impl Mixture {
    fn objective<'g>(&self, [alphas, means, icf]: [Var<'g, f64>; 3], is_fused: bool) -> Var<'g, f64> {
        let (q, lower) = (icf.slice(1, ..self.d), icf.slice(1, self.d..));
        let diagonal = q.exp();
        let l = lower.put(self.below.clone(), &self.flat).reshape([self.k, self.d, self.d]);
        let centred = alphas.graph().constant(&self.x) - means.unsqueeze(1);
        let (scale, rest) = (diagonal.unsqueeze(1), centred.matmul_as(l, false, true));
        let squares = if is_fused {
            fused!(|scale, centred, rest| (scale * centred + rest).square())(scale, centred, rest)
        } else {
            (scale * centred + rest).square()
        };
        let inner = (alphas + q.sum_axes([1], false)).unsqueeze(1) - squares.sum_axes([2], false) * 0.5;
        let likelihood = inner.logsumexp([0], false).sum() - alphas.logsumexp(.., false) * self.n as f64;
        likelihood + (diagonal.square().sum() + lower.square().sum()) * 0.5
    }
}

/// W11: the likelihood of a mixture of Gaussians, as in `ADBench`, without its constants.
pub(crate) fn mixture() -> Outcome<Vec<Work>> {
    let (n, d, k) = (1000, 10, 25);
    let of_matrix = d + d * (d - 1) / 2;
    let inputs = [filled::<f64>(1, &[k], 1.0)?, filled(2, &[k, d], 1.0)?, filled(3, &[k, of_matrix], 1.0)?];
    let below = (0..d).flat_map(|j| (j + 1..d).map(move |i| i * d + j)).collect::<Vec<_>>();
    let mixture = Mixture {
        x: filled(4, &[n, d], 1.0)?,
        n,
        d: d.cast_signed(),
        k: k.cast_signed(),
        below: Place::Select { axis: 1, indices: Indices::from(below) },
        flat: Shape::new(&[k, d * d])?,
    };
    let (constants, alone) = (inputs.clone(), mixture.clone());
    let mut g = Graph::new();
    let alone = Work::new("W11", ("objective", "us"), MICROSECONDS, move || {
        g.clear();
        Ok(vec![alone.objective(constants.each_ref().map(|x| g.constant(x)), false).item()?])
    });
    let gradient = |name, is_fused| {
        let (inputs, mixture) = (inputs.clone(), mixture.clone());
        gradients(name, ("gradient", "us"), MICROSECONDS, inputs, [0, 0, of_matrix - 1], move |x| mixture.objective(x, is_fused))
    };
    Ok(vec![alone, gradient("W11", false), gradient("W11/fused", true)])
}
