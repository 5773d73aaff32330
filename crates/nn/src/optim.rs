//! Optimisers: how gradients change parameters.

mod sgd;

pub use sgd::{Sgd, Untrained};
