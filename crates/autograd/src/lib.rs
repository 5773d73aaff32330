//! Reverse-mode automatic differentiation over a dynamic graph of tensor operations.

mod accumulate;
mod backward;
pub mod check;
pub mod elementary;
mod error;
pub mod functional;
mod graph;
mod indices;
pub mod op;
mod real;
mod shape;
mod tensor;
mod var;

pub use backward::Gradients;
pub use error::{Error, ErrorKind};
pub use graph::{Graph, LeafId};
pub use indices::Indices;
pub use op::{Algebra, Op, Sink};
pub use real::Real;
pub use shape::{MAX_RANK, Shape};
pub use tensor::Tensor;
pub use var::Var;
