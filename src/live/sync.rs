//! The locks and atomics of what crosses threads: std's, or shuttle's where its models run (`tests/models`).
//!
//! Shuttle tries schedules, not memory orderings, and tokio's `Notify` is one step to it: what the models show is that no
//! schedule of our own steps loses a wake-up or a count.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
