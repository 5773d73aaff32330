//! Dropout: elements set to 0 at random.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{Algebra, Handle, Linearity, Op, Sink, methods};
use crate::{
    error::{Error, ErrorKind},
    real::Real,
    tensor::{Tensor, kernel::dropout::drop_at_random},
};

/// A diagonal linear map, which is its own transpose; the seed says which.
#[derive(Debug, Clone, Copy)]
struct Dropout {
    p: f64,
    seed: u64,
}

impl Op<1> for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn linearity(&self) -> Linearity {
        Linearity::Linear
    }
    fn forward<T: Real>(&self, [x]: [&Tensor<T>; 1]) -> Result<Tensor<T>, Error> {
        let &Dropout { p, seed } = self;
        if !(0.0..=1.0).contains(&p) {
            return Err(ErrorKind::Parameter { name: "p", value: p.to_string(), why: "a probability is between 0 and 1" }.into());
        }
        if p == 0.0 {
            return Ok(x.clone());
        }
        if p == 1.0 {
            return Tensor::filled(T::ZERO, *x.shape());
        }
        // So many of the 2³² numbers drop an element; f32 and f64 draw the same ones.
        drop_at_random(x, p * 4_294_967_296.0, T::of(1.0 / (1.0 - p)), &ChaCha8Rng::seed_from_u64(seed))
    }
    fn vjp<T: Real, A: Algebra<T>>(&self, _x: [&A; 1], _y: &A, g: &A, out: &mut dyn Sink<T, A>) {
        out.add(0, A::apply(*self, [g]));
    }
}

#[inline(never)]
fn dropout(p: f64, seed: u64) -> Handle {
    Handle::new(Dropout { p, seed })
}

methods! {
    /// Each element is 0 with probability p, else x/(1 − p), so that the expectation is x (Srivastava et al. 2014).
    ///
    /// Which elements are dropped is decided by the seed and their position alone, on every machine and in either element type: give
    /// each layer and each step a seed of its own. An element that is dropped is 0 even if it was NaN. At p = 1 all are. To be used in
    /// training only; nothing is done at p = 0.
    ///
    /// # Errors
    /// A p that is not between 0 and 1.
    ///
    /// ```
    /// # use autograd::{Graph, Tensor};
    /// let g = Graph::<f64>::new();
    /// let x = g.variable(Tensor::ones([1000])?);
    /// let y = x.dropout(0.5, 7);
    /// assert!(y.value()?.as_slice().iter().all(|&v| v == 0.0 || v == 2.0));
    /// assert!((y.mean().item()? - 1.0).abs() < 0.1);
    /// assert_eq!(y.sum().backward()?.wrt(x)?, &y.value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    fn dropout(x; p: f64, seed: u64) = dropout(p, seed), samples: {
        [[2, 3]] => |x| x[0].dropout(0.4, 1);
        [[2, 1, 3, 2]] => |x| x[0].dropout(0.5, u64::MAX);
        [[4]] => |x| x[0].dropout(0.0, 1);
        [[4]] => |x| x[0].dropout(1.0, 1);
        [[0, 3]] => |x| x[0].dropout(0.5, 1);
    }, errors: {
        [[3]] => |x| x[0].dropout(-0.1, 0), "p = -0.1: a probability is between 0 and 1";
        [[3]] => |x| x[0].dropout(1.5, 0), "p = 1.5";
        [[3]] => |x| x[0].dropout(f64::NAN, 0), "p = NaN";
    };
}

#[cfg(test)]
mod tests {
    use crate::{Graph, Real, Tensor};

    fn kept<T: Real>(seed: u64) -> Vec<u8> {
        let y = Tensor::<T>::ones([16]).and_then(|x| x.dropout(0.5, seed)).unwrap();
        y.as_slice().iter().map(|v| u8::from(*v != T::ZERO)).collect()
    }

    #[test]
    fn the_mask_of_a_seed_never_changes() {
        let mask = [0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 1];
        assert_eq!(kept::<f64>(42), mask);
        assert_eq!(kept::<f32>(42), mask);
    }

    #[test]
    fn what_is_dropped_is_zero() {
        let g = Graph::<f64>::new();
        assert_eq!(g.variable(f64::NAN).dropout(1.0, 0).item().unwrap(), 0.0);
    }
}
