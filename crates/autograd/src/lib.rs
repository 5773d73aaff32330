//! Reverse-mode automatic differentiation over a dynamic graph of tensor operations.
#![allow(clippy::inline_always, clippy::cast_precision_loss)]

mod real;
mod error;
mod shape;
mod indices;
pub mod elementary;
mod tensor;
pub mod op;
mod graph;
mod var;
mod backward;
pub mod functional;

pub use backward::Gradients;
pub use error::{Error, ErrorKind};
pub use graph::{Graph, LeafId};
pub use indices::Indices;
pub use real::Real;
pub use shape::{MAX_RANK, Shape};
pub use tensor::Tensor;
pub use var::Var;
