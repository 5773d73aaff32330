//! The chapters of the book in `docs`: every Rust block in them is compiled and run by `cargo test`.
//!
//! `tests/book.rs` says whether a chapter is missing here.

/// A chapter is a struct whose documentation is its text.
macro_rules! chapters {
    ($($Chapter:ident: $file:literal;)*) => { $(
        #[doc = include_str!(concat!("../../../docs/", $file))]
        struct $Chapter;
    )* };
}

chapters! {
    Readme: "../README.md";
    Introduction: "introduction.md";
    Learning: "learning.md";
    Regression: "regression.md";
    TheNeuron: "perceptron.md";
    Activations: "activations.md";
    Layers: "layers.md";
    Nonlinearity: "why-a-nonlinearity.md";
    TheGraph: "graph.md";
    ChainRule: "chain-rule.md";
    Backward: "backward.md";
    Cache: "cache.md";
    Order: "order.md";
    Paths: "paths.md";
    Lessons: "lessons.md";
    Descent: "gradient-descent.md";
    LossSurface: "loss-surface.md";
    Initialisation: "initialisation.md";
    Vanishing: "vanishing-gradients.md";
    Vectorisation: "vectorisation.md";
    Digits: "digits.md";
    Replication: "replication.md";
    Trust: "trust-a-gradient.md";
    OwnOp: "own-op.md";
    OwnModel: "own-model.md";
    Engine: "engine-in-200-lines.md";
    Fast: "how-it-is-fast.md";
    Machines: "more-than-one-machine.md";
    Derivatives: "derivatives.md";
    Testing: "testing.md";
    Performance: "performance.md";
    Architecture: "architecture.md";
}
