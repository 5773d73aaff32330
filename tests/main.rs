//! Tests of the engine through its public face, in one binary.

mod catalogue;
mod checker;
mod edges;
mod engine;
mod numerics;
mod textbook;
