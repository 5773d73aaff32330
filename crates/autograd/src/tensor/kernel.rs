//! Kernels: loops over memory, each compiled once per instruction set and element type.

pub(crate) mod dispatch;
pub(crate) mod walk;
pub(crate) mod pointwise;
pub(crate) mod reduce;
pub(crate) mod scan;
pub(crate) mod matmul;
pub(crate) mod movement;
pub(crate) mod index;
pub(crate) mod window;
pub(crate) mod normalise;
pub(crate) mod decompose;

use crate::{
    error::{Error, ErrorKind},
    real::Real,
};

/// Above this many elements the system is asked first whether it has so much memory.
const LARGE: usize = 1 << 24;

/// `n` zeros.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`]
pub(crate) fn allocate<T: Real>(n: usize) -> Result<Vec<T>, Error> {
    if n > LARGE && Vec::<T>::new().try_reserve_exact(n).is_err() {
        return Err(ErrorKind::OutOfMemory { elements: n }.into());
    }
    Ok(vec![T::ZERO; n])
}
