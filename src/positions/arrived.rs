//! `Arrived`: a position with the time of its arrival.

use std::time::Instant;

use crate::domain::{Position, Timestamp};

/// A position with the time of its arrival.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) position: Position,
    /// By the server's clock.
    pub(super) arrival: Timestamp,
    /// The same, to measure by.
    pub(super) received: Instant,
}
