//! Matrices taken apart: inverse, solutions of linear systems, Cholesky factors, determinants, for batches of small square matrices.
//!
//! The rules are those of Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation" (2008),
//! and, for the Cholesky factor, of Murray, "Differentiation of the Cholesky decomposition" (2016).

use super::{Algebra, Entry, Handle, Mistake, Op, Sink, methods, sample};
use crate::{
    error::Error,
    real::Real,
    tensor::{
        Tensor,
        kernel::decompose::{self, Determinant},
    },
    var::Var,
};

#[derive(Debug)]
struct Inverse {
    /// Whether a singular matrix is an error; in gradients it gives NaN.
    is_strict: bool,
}

impl Op<1> for Inverse {
    fn name(&self) -> &'static str {
        "inverse"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        decompose::inverse(x, self.is_strict)
    }
    /// dA = −Yᵀ G Yᵀ
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, y.matmul_as(g, true, false).matmul_as(y, false, true).neg());
    }
}

/// Which part of a matrix is that of a system of equations.
#[derive(Debug, Clone, Copy)]
enum System {
    /// All of it.
    Whole {
        /// Whether a singular matrix is an error; in gradients it gives NaN.
        is_strict: bool,
    },
    /// The lower triangle: what stands above the diagonal is not read. The other side has the same shape.
    Lower,
}

/// The solution of A X = B, or of Aᵀ X = B.
#[derive(Debug)]
struct Solve {
    system: System,
    is_transposed: bool,
}

impl Op<2> for Solve {
    fn name(&self) -> &'static str {
        match self.system {
            System::Whole { .. } => "solve",
            System::Lower => "solve_lower",
        }
    }
    fn forward<T: Real>(&self, [a, b]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        match self.system {
            System::Whole { is_strict } => decompose::solve(a, b, self.is_transposed, is_strict),
            System::Lower => decompose::solve_lower(a, b, self.is_transposed),
        }
    }
    fn prepare<T: Real>(&self, [a, _]: [&Tensor<T>; 2]) {
        if let System::Whole { .. } = self.system {
            decompose::prepare(a);
        }
    }
    /// dB solves the transposed system with G; dA = −dB Xᵀ, or −X dBᵀ if A is read transposed; of a triangle, what is read of A.
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, b]: [&A; 2], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let system = match self.system {
            System::Whole { .. } => System::Whole { is_strict: false },
            System::Lower => System::Lower,
        };
        let db = A::call(solve(system, !self.is_transposed), &[a, g]);
        if out.needs(0) {
            let (x, d) = if b.shape().rank() == 1 { (y.unsqueeze(1), db.unsqueeze(1).neg()) } else { (y.clone(), db.neg()) };
            let (left, right) = if self.is_transposed { (&x, &d) } else { (&d, &x) };
            match system {
                System::Whole { .. } => out.add_matmul(0, left, false, right, true),
                System::Lower => out.add(0, left.matmul_as(right, false, true).tril(0)),
            }
        }
        if out.needs(1) {
            out.add(1, db.unstretched(b));
        }
    }
}

#[derive(Debug)]
struct Cholesky;

impl Op<1> for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        decompose::cholesky(x)
    }
    /// dA = ½ L⁻ᵀ (Φ + Φᵀ) L⁻¹, where Φ is the lower triangle of Lᵀ G with its diagonal halved.
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], l: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let lower = l.matmul_as(&g.tril(0), true, false).tril(0);
        let both = lower.add(&lower.tril(-1).transpose(-2, -1));
        // Both factors are applied from the left: the result is symmetric.
        let half = A::call(solve(System::Lower, true), &[l, &both]).transpose(-2, -1);
        out.add(0, A::call(solve(System::Lower, true), &[l, &half]).mul_lit(0.5));
    }
}

/// A number for each matrix of a batch, as matrices of one element.
fn as_matrices<T: Real, A: Algebra<T>>(x: &A) -> A {
    x.unsqueeze(-1).unsqueeze(-1)
}

/// ⟨a, b⟩ for each pair of matrices of two batches, as matrices of one element.
fn inner<T: Real, A: Algebra<T>>(a: &A, b: &A) -> A {
    a.mul(b).sum_axes([-2, -1], true)
}

#[derive(Debug)]
struct Det;

impl Op<1> for Det {
    fn name(&self) -> &'static str {
        "det"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        decompose::determinants(x, |determinant| determinant.value)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, as_matrices(g).masked_mul(&A::apply(Cofactor, [x])));
    }
}

/// det(A) A⁻ᵀ, at singular matrices too.
#[derive(Debug)]
struct Cofactor;

impl Op<1> for Cofactor {
    fn name(&self) -> &'static str {
        "cofactor"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        decompose::cofactor(x)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        // A second derivative is symmetric.
        out.add(0, A::apply(CofactorSlope, [x, g]));
    }
}

/// The derivative of the cofactors of A along E: ⟨C, E⟩B − C Eᵀ B with C the cofactors and B = A⁻ᵀ, at singular matrices too.
#[derive(Debug)]
struct CofactorSlope;

impl Op<2> for CofactorSlope {
    fn name(&self) -> &'static str {
        "cofactor_slope"
    }
    fn forward<T: Real>(&self, [a, e]: [&Tensor<T>; 2]) -> Result<Tensor<T>, Error> {
        decompose::cofactor_slope(a, e)
    }
    /// By E it is its own transpose. By A it is ⟨G, Y⟩B + C Eᵀ B (Gᵀ B − ⟨G, B⟩) + C Gᵀ B (Eᵀ B − ⟨E, B⟩).
    fn vjp<T: Real, A: Algebra<T>>(&self, [a, e]: [&A; 2], y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        // The second derivatives of the determinant of a 2×2 matrix are constant.
        if out.needs(0) && a.shape().nth_from_end(0) > 2 {
            let b = A::call(inverse(false), &[a]).transpose(-2, -1);
            let c = A::apply(Cofactor, [a]);
            let half = |e: &A, g: &A| {
                let first = c.matmul_as(e, false, true).matmul_as(&b, false, false);
                let second = g.matmul_as(&b, true, false);
                first.matmul_as(&second, false, false).sub(&first.mul(&inner(g, &b)))
            };
            out.add(0, inner(g, y).mul(&b).add(&half(e, g)).add(&half(g, e)));
        }
        if out.needs(1) {
            out.add(1, A::apply(CofactorSlope, [a, g]));
        }
    }
}

/// ln det A, or ln |det A|.
#[derive(Debug)]
struct LogDet {
    is_absolute: bool,
}

impl Op<1> for LogDet {
    fn name(&self) -> &'static str {
        if self.is_absolute { "slogdet" } else { "logdet" }
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let wanted = |Determinant { sign, ln_abs, .. }| if sign < 0.0 && !self.is_absolute { f64::NAN } else { ln_abs };
        decompose::determinants(x, wanted)
    }
    fn prepare<T: Real>(&self, [x]: [&Tensor<T>; 1]) {
        decompose::prepare(x);
    }
    /// dA = G A⁻ᵀ
    fn vjp<T: Real, A: Algebra<T>>(&self, [x]: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        let inverse = A::call(inverse(false), &[x]).transpose(-2, -1);
        out.add(0, as_matrices(g).masked_mul(&inverse));
    }
}

/// The sign of the determinant, whose slope is 0.
#[derive(Debug)]
struct SignDet;

impl Op<1> for SignDet {
    fn name(&self) -> &'static str {
        "slogdet"
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        decompose::determinants(x, |determinant| determinant.sign)
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, _g: &A, _out: &mut dyn Sink<T, A>) {}
}

#[inline(never)]
fn inverse(is_strict: bool) -> Handle {
    Handle::new(Inverse { is_strict })
}

#[inline(never)]
fn solve(system: System, is_transposed: bool) -> Handle {
    Handle::new(Solve { system, is_transposed })
}

#[inline(never)]
fn cholesky() -> Handle {
    Handle::new(Cholesky)
}

#[inline(never)]
fn det() -> Handle {
    Handle::new(Det)
}

#[inline(never)]
fn log_det(is_absolute: bool) -> Handle {
    Handle::new(LogDet { is_absolute })
}

#[inline(never)]
fn sign_det() -> Handle {
    Handle::new(SignDet)
}

methods! {
    /// A⁻¹ of a square matrix, or of each matrix of a batch `[.., n, n]`, by LU factors in double precision.
    ///
    /// To multiply by an inverse, [`Var::solve`](crate::Var::solve) is faster and more exact. A matrix with a NaN has an inverse of NaN.
    /// The gradient is −Yᵀ G Yᵀ (Giles 2008).
    ///
    /// # Errors
    /// Matrices that are not square; a singular one, which is one with a pivot of exactly 0.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[0.0, 2.0], [4.0, 0.0]]);
    /// assert_eq!(a.inverse().value()?, tensor![[0.0, 0.25], [0.5, 0.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn inverse(a) = inverse(true), samples: {
        [([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0))] => |x| (x[0] + x[1].diag(0)).inverse();
        [([1, 1], (0.5, 2.0))] => |x| x[0].inverse();
        [([2, 2, 2], (-0.5, 0.5)), ([2], (1.0, 2.0))] => |x| (x[0] + x[1].diag(0)).inverse();
        [([2, 1, 2, 2], (-0.5, 0.5)), ([2], (-3.0, -2.0))] => |x| (x[0] + x[1].diag(0).flip([0])).inverse();
        [[0, 0]] => |x| x[0].inverse();
        [[0, 2, 2]] => |x| x[0].inverse();
        [[2, 0, 0]] => |x| x[0].inverse();
    }, errors: {
        [[2, 3]] => |x| x[0].inverse(), "square matrices are needed, not the last two axes of shape [2, 3]";
        [[3]] => |x| x[0].inverse(), "at least 2 axes is needed";
        [[2, 2]] => |x| x[0].inverse(), "the matrix is singular: pivot 1 is 0";
        [[1, 2, 2]] => |x| x[0].inverse(), "matrix [0] of the batch is singular";
    };

    /// X with A X = B, for a square matrix A, or a batch `[.., n, n]`, and B of shape `[.., n, k]`; the batches broadcast. For one matrix, B
    /// may be a vector `[n]`.
    ///
    /// Each matrix is factored once, however often it is stretched. A matrix with a NaN gives solutions of NaN. The gradients are dB = A⁻ᵀG
    /// and dA = −dB Xᵀ (Giles 2008).
    ///
    /// # Errors
    /// Matrices that are not square; another number of rows on the right; batches that do not broadcast; a singular matrix, which is one
    /// with a pivot of exactly 0.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[2.0, 0.0], [0.0, 4.0]]);
    /// let b = g.variable(tensor![2.0, 2.0]);
    /// let x = a.solve(b);
    /// assert_eq!(x.value()?, tensor![1.0, 0.5]);
    /// assert_eq!(x.sum().backward()?.wrt(b)?, &tensor![0.5, 0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn solve(a, b) = solve(System::Whole { is_strict: true }, false), samples: {
        [([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0)), [3, 2]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0)), [3]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [([2, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0)), [2, 1]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [([2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0)), [3, 2, 1]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [([2, 1, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0)), [1, 2, 2, 2]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [([2, 1, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0)), [3, 2, 1]] => |x| (x[0] + x[1].diag(0)).solve(x[2]);
        [[0, 0], [0, 2]] => |x| x[0].solve(x[1]);
        [[0, 0], [0]] => |x| x[0].solve(x[1]);
        [([1, 1], (0.5, 2.0)), [1, 0]] => |x| x[0].solve(x[1]);
        [[0, 2, 2], [2, 3]] => |x| x[0].solve(x[1]);
    }, errors: {
        [[2, 3], [2]] => |x| x[0].solve(x[1]), "square matrices are needed, not the last two axes of shape [2, 3]";
        [[2, 2], [3, 1]] => |x| x[0].solve(x[1]), "needs 2 rows on its right-hand side, not 3";
        [[2, 2], [3]] => |x| x[0].solve(x[1]), "needs 2 rows on its right-hand side, not 3";
        [[2, 2, 2], [2]] => |x| x[0].solve(x[1]), "at least 2 axes on the right";
        [[2, 2], []] => |x| x[0].solve(x[1]), "not one with 0 axes";
        [[2, 1, 1], [3, 1, 1]] => |x| x[0].solve(x[1]), "do not broadcast";
        [[2, 2], [2]] => |x| x[0].solve(x[1]), "the matrix is singular: pivot 1 is 0";
        [[1, 3, 2, 2], [2, 1]] => |x| x[0].solve(x[1]), "matrix [0, 0] of the batch is singular";
    };

    /// The lower triangular L, with a positive diagonal, of the symmetric part ½(A + Aᵀ) = L Lᵀ of a matrix, or of each matrix of a batch
    /// `[.., n, n]`.
    ///
    /// A matrix with a NaN gives NaN. The gradient (Murray 2016) is symmetric.
    ///
    /// # Errors
    /// Matrices that are not square; one whose symmetric part is not positive definite.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[4.0, 2.0], [2.0, 10.0]]);
    /// assert_eq!(a.cholesky().value()?, tensor![[2.0, 0.0], [1.0, 3.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn cholesky(a) = cholesky(), samples: {
        [([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0))] => |x| (x[0] + x[1].diag(0)).cholesky();
        [([1, 1], (0.5, 2.0))] => |x| x[0].cholesky();
        [([2, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0))] => |x| (x[0] + x[1].diag(0)).cholesky();
        [([2, 1, 2, 2], (-0.5, 0.5)), ([2], (2.0, 3.0))] => |x| (x[0] + x[1].diag(0)).cholesky();
        [[0, 0]] => |x| x[0].cholesky();
        [[0, 2, 2]] => |x| x[0].cholesky();
        [[2, 0, 0]] => |x| x[0].cholesky();
    }, errors: {
        [[3, 2]] => |x| x[0].cholesky(), "square matrices are needed, not the last two axes of shape [3, 2]";
        [[]] => |x| x[0].cholesky(), "at least 2 axes is needed";
        [([2, 2], (-2.0, -1.0))] => |x| x[0].cholesky(), "the matrix is not positive definite: pivot 0 is -1.";
        [([2, 2, 2], (-2.0, -1.0))] => |x| x[0].cholesky(), "matrix [0] of the batch is not positive definite";
        [([2, 2], (1.0, 1.0)), ([2], (-0.5, -0.5))] => |x| (x[0] + x[1].diag(0)).cholesky(), "pivot 1 is -1.";
    };

    /// The determinant of a square matrix, or of each matrix of a batch `[.., n, n]`; the last two axes are removed. That of a matrix without
    /// rows is 1.
    ///
    /// The gradient is G times the cofactor matrix det(A)A⁻ᵀ. It and the second derivatives are right at singular matrices too, by
    /// complete pivoting; third derivatives of matrices with three or more rows are NaN where the matrix is singular.
    ///
    /// # Errors
    /// Matrices that are not square.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[1.0, 2.0], [2.0, 4.0]]);
    /// assert_eq!(a.det().item()?, 0.0);
    /// assert_eq!(a.det().backward()?.wrt(a)?, &tensor![[4.0, -2.0], [-2.0, 1.0]]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn det(a) = det(), samples: {
        [[3, 3]] => |x| x[0].det();
        [[2, 2]] => |x| x[0].det();
        [[1, 1]] => |x| x[0].det();
        [[4, 4]] => |x| x[0].det();
        [([3, 3], (1.0, 1.0)), ([1], (0.5, 1.0))] => |x| (x[0] + x[1].diag(2)).det();
        [[2, 3, 3]] => |x| x[0].det();
        [[2, 1, 2, 2]] => |x| x[0].det();
        [[0, 0]] => |x| x[0].det();
        [[0, 2, 2]] => |x| x[0].det();
        [[2, 0, 0]] => |x| x[0].det();
    }, errors: {
        [[3, 2]] => |x| x[0].det(), "square matrices are needed, not the last two axes of shape [3, 2]";
        [[3]] => |x| x[0].det(), "at least 2 axes is needed";
    };

    /// ln det A of a square matrix, or of each matrix of a batch `[.., n, n]`; the last two axes are removed. It does not overflow where the
    /// determinant would. NaN where the determinant is negative, −∞ where it is 0.
    ///
    /// The gradient is G A⁻ᵀ (Giles 2008), NaN where the matrix is singular.
    ///
    /// # Errors
    /// Matrices that are not square.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let a = g.variable(tensor![[1e200, 0.0], [0.0, 1e200]]);
    /// assert_eq!(a.logdet().item()?, 2.0 * 1e200f64.ln());
    /// assert_eq!((a - a).logdet().item()?, f64::NEG_INFINITY);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn logdet(a) = log_det(false), samples: {
        [([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0))] => |x| (x[0] + x[1].diag(0)).logdet();
        [([1, 1], (0.5, 2.0))] => |x| x[0].logdet();
        [([2, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0))] => |x| (x[0] + x[1].diag(0)).logdet();
        [([2, 1, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0))] => |x| (x[0] + x[1].diag(0)).logdet();
        [[0, 0]] => |x| x[0].logdet();
        [[0, 2, 2]] => |x| x[0].logdet();
        [[2, 0, 0]] => |x| x[0].logdet();
    }, errors: {
        [[3, 2]] => |x| x[0].logdet(), "square matrices are needed, not the last two axes of shape [3, 2]";
        [[3]] => |x| x[0].logdet(), "at least 2 axes is needed";
    };
}

/// Entries of what has two results.
pub(crate) const PAIRS: &[Entry] = &[Entry {
    name: "slogdet",
    signature: "a.slogdet() -> (sign, logabsdet)",
    doc: &[" The sign of the determinant, and the logarithm of its magnitude."],
    samples: &[
        sample!([([3, 3], (-0.5, 0.5)), ([3], (2.0, 3.0))], |x| (x[0] + x[1].diag(0)).slogdet().1),
        sample!([([3, 3], (-0.5, 0.5)), ([3], (-3.0, -2.0))], |x| {
            let (sign, logabsdet) = (x[0] + x[1].diag(0)).slogdet();
            sign * logabsdet
        }),
        sample!([([2, 1, 2, 2], (-0.5, 0.5)), ([2], (1.5, 2.0))], |x| (x[0] + x[1].diag(0)).slogdet().1),
        sample!([[0, 0]], |x| x[0].slogdet().1),
        sample!([[0, 2, 2]], |x| x[0].slogdet().0),
        sample!([[2, 0, 0]], |x| x[0].slogdet().0),
    ],
    errors: &[
        Mistake { sample: sample!([[3, 2]], |x| x[0].slogdet().0), message: "square matrices are needed" },
        Mistake { sample: sample!([[3]], |x| x[0].slogdet().1), message: "at least 2 axes is needed" },
    ],
    handle: None,
}];

impl<T: Real> Var<'_, T> {
    /// The sign of the determinant of a square matrix, or of each matrix of a batch `[.., n, n]`, and ln |det A|: the determinant is
    /// sign·exp(logabsdet). Where it is 0 they are 0 and −∞.
    ///
    /// The gradient of the sign is 0, that of the logarithm is G A⁻ᵀ (Giles 2008), NaN where the matrix is singular.
    ///
    /// # Errors
    /// Matrices that are not square: both results are that error.
    ///
    /// ```
    /// # use autograd::{Graph, tensor};
    /// let g = Graph::<f64>::new();
    /// let (sign, logabsdet) = g.variable(tensor![[0.0, 1e200], [1e200, 0.0]]).slogdet();
    /// assert_eq!((sign.item()?, logabsdet.item()?), (-1.0, 2.0 * 1e200f64.ln()));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn slogdet(self) -> (Self, Self) {
        (self.graph().call(sign_det(), &[self]), self.graph().call(log_det(true), &[self]))
    }
}

impl<T: Real> Tensor<T> {
    /// The sign of the determinant, and the logarithm of its magnitude. See [`Var::slogdet`].
    ///
    /// # Errors
    /// Matrices that are not square.
    #[track_caller]
    pub fn slogdet(&self) -> Result<(Self, Self), Error> {
        Ok((sign_det().call(&[self])?, log_det(true).call(&[self])?))
    }
}
