//! What must hold whatever bytes come, one module for each parser that foreign bytes reach.
//!
//! Each has a `check`, which takes a fuzzer's bytes twice: as they are, and as [`choices::Choices`] that steer a
//! generator of input that is right, or nearly. It panics if something does not hold. The targets in
//! `fuzz_targets/` call it, and so does `tests/fuzz/` on stable, which includes this file.

pub mod area;
pub mod choices;
pub mod frames;
pub mod json;
pub mod pattern;
pub mod position;
pub mod reference;
pub mod request;
pub mod timestamp;
pub mod token;
pub mod topic;
