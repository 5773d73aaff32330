//! Neural networks on top of [`autograd`]: layers, losses, optimisers, data, training, checkpoints.
//!
//! A [`Perceptron`] is one layer of neurons, f(x Wᵀ + b). An [`Mlp`] is several of them, one after the other. To train it means: compute its
//! output on a graph, compute a loss, ask the loss for its gradients, and let an optimiser change the parameters a little; again and again.
//!
//! ```
//! use autograd::{Graph, tensor};
//! use nn::{Activation, Init, Mlp, Module, Sgd, loss::binary_cross_entropy_with_logits, metrics};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//!
//! // Exclusive or: the example that one layer of neurons cannot learn, and two can.
//! let inputs = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
//! let targets = tensor![[0.0], [1.0], [1.0], [0.0]];
//!
//! // Two inputs, four hidden neurons, one output. The seed decides the initial weights: same seed, same result.
//! let mut rng = ChaCha8Rng::seed_from_u64(0);
//! let mut model = Mlp::<f64>::new(&[2, 4, 1], &[Activation::Tanh, Activation::Identity], Init::XavierUniform, &mut rng)?;
//! let mut optimizer = Sgd::new(0.5).momentum(0.9);
//!
//! for _ in 0..200 {
//!     let g = Graph::new(); // one run of the model
//!     let logits = model.forward(g.constant(&inputs));
//!     let loss = binary_cross_entropy_with_logits(logits, g.constant(&targets));
//!     let grads = loss.backward()?;
//!     optimizer.step(&mut model, &grads)?;
//! }
//!
//! let g = Graph::new();
//! let logits = model.forward(g.constant(&inputs)).value()?;
//! assert_eq!(metrics::above(&logits, 0.0).as_slice(), [0, 1, 1, 0]);
//! # Ok::<(), nn::Error>(())
//! ```
//!
//! [`fit`] is this loop with shuffled batches and a progress bar. A model of your own is a plain struct with a `forward`; the macro
//! [`parameters!`] makes its parameters known to optimisers and files.
//!
//! Randomness is passed in everywhere: take a generator with a portable algorithm, such as `ChaCha8Rng`, and results can be repeated.

// Tests compare with numbers that are exact.
#![cfg_attr(test, allow(clippy::float_cmp, clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod error;
mod parameter;
pub mod module;
mod init;
mod activation;
mod linear;
mod perceptron;
mod mlp;
pub mod loss;
pub mod optim;
pub mod data;
pub mod metrics;
mod train;
mod per_example;
pub mod checkpoint;
pub mod check;
pub mod lab;
pub mod lesson;

/// The crate of graphs and tensors that this one builds on.
pub use autograd;

pub use activation::Activation;
pub use data::{Classification, Dataset, Regression};
pub use error::Error;
pub use init::{Fan, Init};
pub use linear::Linear;
pub use mlp::Mlp;
pub use module::{Module, Parameters};
pub use optim::{Sgd, Untrained};
pub use parameter::Parameter;
pub use per_example::per_example_grad;
pub use perceptron::Perceptron;
pub use train::{Epoch, Fit, History, fit, fit_with_metric};

#[cfg(doctest)]
mod book;
