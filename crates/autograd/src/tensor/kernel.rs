//! Kernels: loops over memory, each compiled once per instruction set and element type.

pub(crate) mod dispatch;
pub(crate) mod threads;
pub(crate) mod walk;
mod cross;
pub(crate) mod pointwise;
pub(crate) mod reduce;
pub(crate) mod softmax;
pub(crate) mod scan;
pub(crate) mod matmul;
pub(crate) mod lanes;
mod gemm;
pub(crate) mod movement;
pub(crate) mod index;
pub(crate) mod order;
pub(crate) mod window;
pub(crate) mod convolve;
pub(crate) mod dropout;
pub(crate) mod normalise;
pub(crate) mod decompose;

pub(crate) use super::pool::{Buffer, allocate, overwritten};
