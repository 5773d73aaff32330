//! Experiments that show how training works, and how it fails: each is a function, or a few options with a `run`, and gives plain data.
//!
//! | experiment | shows |
//! |---|---|
//! | [`layers`] | activations and gradients of a model, layer by layer, against what its weights lead to expect |
//! | [`Vanishing`] | gradients that shrink with depth, for sigmoid, tanh and relu |
//! | [`Initialisation`] | the same network from weights of 0, small, large, of Glorot and of He |
//! | [`collapse`] | layers without activations are one linear map |
//! | [`Approximation`] | a function of one number, by more and more hidden neurons |
//! | [`Vectorised`] | one gradient, example by example and in one batch |
//! | [`LossSurface`] | steps of descent on the contour lines of the loss |
//!
//! Every result is printed as tables for a terminal, has `to_markdown` for a page, and `to_svg` for a picture. What is random comes from a
//! seed: the same seed gives the same result, but for the times that [`Vectorised`] measures.
//!
//! ```
//! use autograd::Tensor;
//! use nn::{Activation, Init, Mlp, lab, loss::mse};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//! let mut rng = ChaCha8Rng::seed_from_u64(0);
//! let model = Mlp::<f64>::new(&[16; 9], &[Activation::Sigmoid; 8], Init::XavierUniform, &mut rng)?;
//! let x = Tensor::randn([32, 16], &mut rng)?;
//! let profile = lab::layers(&model, &x, |y| mse(y, y.graph().constant(&x)))?;
//! // The slope of a sigmoid is at most 1/4, and so the gradient is about a quarter, one layer further down.
//! assert!(profile.layers[..7].iter().all(|layer| layer.factor.unwrap() < 0.4));
//! println!("{profile}");
//! # Ok::<(), nn::Error>(())
//! ```

mod table;
mod gaussian;
mod profile;
mod vanishing;
mod initialisation;
mod collapse;
mod approximation;
mod vectorised;
mod surface;

pub use approximation::{Approximation, Approximations, FittedWidth};
pub use collapse::{Collapse, collapse};
pub use gaussian::{Moments, gaussian};
pub use initialisation::{Initialisation, InitialisationReport, Start, StartRun, rings};
pub use profile::{LayerProfile, Profile, layers};
pub use surface::{DescentPath, DescentStep, LossSurface, SurfaceReport};
pub use vanishing::{DepthRun, Vanishing, VanishingReport};
pub use vectorised::{BatchTimes, Vectorised, VectorisedReport};
