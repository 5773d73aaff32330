//! Tests of the engine through its public face, in one binary.

#![allow(
    missing_docs,
    clippy::items_after_statements,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod book;
mod browser;
mod catalogue;
mod checker;
mod control;
mod custom;
mod derivatives;
mod diagnosis;
mod edges;
mod engine;
mod lessons;
mod memory;
mod numerics;
mod operations;
mod outside;
mod programs;
mod reductions;
mod reference;
mod regressions;
mod renderers;
mod sabotage;
mod tape;
mod textbook;
mod threads;
mod torture;
mod trace;
