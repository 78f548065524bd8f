//! `Arrived`: a position with the time of its arrival.

use std::time::Instant;

use super::order::{Key, counts_as_of};
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

impl Arrived {
    /// As of when it counts.
    pub(super) fn counts_as_of(&self) -> Timestamp {
        counts_as_of(self.position.timestamp, self.arrival)
    }

    /// By what one position of a device is newer than another.
    pub(super) fn key(&self) -> Key {
        (self.counts_as_of(), self.position.timestamp)
    }
}
