//! `Arrived`: a position with the time of its arrival.

use crate::domain::{Position, Timestamp};

/// A position with the time of its arrival, by the server's clock.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) position: Position,
    pub(super) arrival: Timestamp,
}
