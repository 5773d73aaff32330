//! Newton's method: logistic regression that tells handwritten threes from eights, and is at the minimum after a few steps.
//!
//! The Hessian is never computed. Conjugate gradients solve for each step by products of the Hessian with vectors (B. A. Pearlmutter,
//! *Fast exact multiplication by the Hessian*, 1994), only as exactly as is worth it (R. S. Dembo, S. C. Eisenstat, T. Steihaug, *Inexact
//! Newton methods*, 1982).
//!
//! `cargo run --release --example newton`

use autograd::{
    Error, Indices, Tensor, Var,
    functional::{hessian_product, hvp, value_and_grad, value_grad_and_hessian},
};
use nn::{
    Classification,
    data::{Scaler, Table},
    loss::binary_cross_entropy_with_logits,
    metrics::binary_accuracy,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The two digits.
const CLASSES: [usize; 2] = [3, 8];
/// Half of this times |w|² is added to the loss, so that there is a minimum although a plane separates the two.
const LAMBDA: f64 = 1e-3;

struct Problem {
    /// Pixels, and a 1 for the bias: `[rows, features]`.
    features: Tensor<f64>,
    /// 1 for the second of the two digits, else 0: `[rows]`.
    targets: Tensor<f64>,
}

impl Problem {
    fn new(digits: &Classification<f64>) -> Result<Problem, Error> {
        let rows = digits.len();
        let targets: Vec<f64> = digits.targets().as_slice().iter().map(|&label| if label == CLASSES[1] { 1.0 } else { 0.0 }).collect();
        let features = Tensor::concat(&[digits.features(), &Tensor::ones([rows, 1])?], 1)?;
        Ok(Problem { features, targets: Tensor::new(targets, [rows])? })
    }

    fn loss<'g>(&self, w: Var<'g, f64>) -> Var<'g, f64> {
        let g = w.graph();
        let logits = g.constant(&self.features).matmul(w);
        binary_cross_entropy_with_logits(logits, g.constant(&self.targets)) + w.square().sum() * (LAMBDA / 2.0)
    }

    /// The product of the Hessian at `w` with `v`.
    fn hessian_times(&self, w: &Tensor<f64>, v: &Tensor<f64>) -> Result<Tensor<f64>, Error> {
        let [product] = hvp(|[w]| self.loss(w), [w], [v])?;
        Ok(product)
    }

    /// The s whose product with the Hessian at `w` is `r`, up to this part of |r|, by conjugate gradients; and how many products that took.
    fn solve(&self, w: &Tensor<f64>, r: &Tensor<f64>, part: f64) -> Result<(Tensor<f64>, usize), Error> {
        // The gradient is recorded once, and each product is a forward pass over it.
        let (_, _, hessian) = hessian_product(|[w]| self.loss(w), [w])?;
        let (mut s, mut r, mut direction) = (Tensor::zeros(r.shape())?, r.clone(), r.clone());
        let mut square = r.dot(&r)?.item()?;
        let goal = square * part * part;
        let mut products = 0;
        while square > goal && products < 10 * r.len() {
            let [curved] = hessian.apply([&direction])?;
            products += 1;
            let length = square / direction.dot(&curved)?.item()?;
            s = s.add(&direction.mul_lit(length)?)?;
            r = r.sub(&curved.mul_lit(length)?)?;
            let before = square;
            square = r.dot(&r)?.item()?;
            direction = r.add(&direction.mul_lit(square / before)?)?;
        }
        Ok((s, products))
    }
}

/// Products with the Hessian of a small problem against the Hessian, and a step of Newton's method by either.
fn check(problem: &Problem) -> Result<(), Error> {
    // Four pixels in the middle of the picture, and the bias.
    let features = Tensor::concat(&[&problem.features.slice(1, 26..30)?, &problem.features.slice(1, -1..)?], 1)?;
    let small = Problem { features, targets: problem.targets.clone() };
    let (w, unit) = (Tensor::linspace(-1.0, 1.0, 5)?, Tensor::eye(5)?.split([1; 5], 0)?);
    let (_, [slope], [[hessian]]) = value_grad_and_hessian(|[w]| small.loss(w), [&w])?;
    let columns = unit.iter().map(|unit| small.hessian_times(&w, &unit.squeeze(0)?)).collect::<Result<Vec<_>, _>>()?;
    let columns = Tensor::stack(&columns.iter().collect::<Vec<_>>(), 1)?;

    // Xᵀ·p(1 − p)·X/n + λ, the Hessian by hand.
    let x = &small.features;
    let p = x.matmul(&w)?.sigmoid()?;
    let weights = p.mul(&p.rsub_lit(1.0)?)?.div_lit(p.len() as f64)?.reshape([-1, 1])?;
    let formula = x.transpose(0, 1)?.matmul(&x.mul(&weights)?)?.add(&Tensor::eye(5)?.mul_lit(LAMBDA)?)?;

    let (step, _) = small.solve(&w, &slope, 1e-14)?;
    let largest = |t: &Tensor<f64>| t.as_slice().iter().fold(0.0f64, |m, v| m.max(v.abs()));
    println!("with five of the features, apart by at most, relative to the largest element:");
    for (name, a, b) in [
        ("products, and the Hessian computed densely", &columns, &hessian),
        ("products, and the formula", &columns, &formula),
        ("the step by conjugate gradients, and by elimination", &step, &hessian.solve(&slope)?),
    ] {
        let apart = largest(&a.sub(b)?) / largest(b);
        println!("  {name:51}   {apart:.0e}");
        assert!(apart < 1e-12, "not the same: {name}");
    }
    Ok(())
}

fn main() -> Result<(), nn::Error> {
    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits.csv"))?;
    let digits = table.classification(&table.columns_except(&["label"])?, "label")?.scaled(&Scaler::range(0.0, 16.0)?)?;
    let labels = digits.targets().as_slice();
    let chosen: Vec<usize> = (0..labels.len()).filter(|&row| CLASSES.contains(&labels[row])).collect();
    let (train, test) = digits.select(&Indices::from(chosen))?.split(0.25, &mut ChaCha8Rng::seed_from_u64(0))?;
    let (problem, test) = (Problem::new(&train)?, Problem::new(&test)?);
    check(&problem)?;

    println!("\n{} threes and eights:\n  step   loss                gradient   products", train.len());
    let mut w = Tensor::zeros([65])?;
    let mut norms = Vec::new();
    for step in 0..=10 {
        let (loss, [slope]) = value_and_grad(|[w]| problem.loss(w), [&w])?;
        let norm = slope.norm(2.0, .., false)?.item()?;
        print!("  {step:4}   {:.15}    {norm:.1e}", loss.item()?);
        norms.push(norm);
        if norm < 1e-12 {
            break;
        }
        // The nearer the minimum, the more exact: so the error of each step is as good as that of exact ones, the last error squared.
        let (newton, products) = problem.solve(&w, &slope, norm.min(0.1))?;
        println!("   {products:8}");
        w = w.sub(&newton)?;
    }

    let accuracy = binary_accuracy(&test.features.matmul(&w)?, &test.targets, 0.0)?;
    println!("\n\naccuracy on {} others: {accuracy:.4}", test.targets.len());
    assert!(norms.iter().any(|norm| *norm < 1e-8), "Newton's method must converge");
    let quadratic = norms.windows(2).filter(|pair| pair[0] < 1e-2).all(|pair| pair[1] < 200.0 * pair[0] * pair[0]);
    assert!(quadratic, "near the minimum each gradient must be of the size of the last one squared: {norms:?}");
    assert!(accuracy > 0.95, "threes and eights must be told apart");
    Ok(())
}
