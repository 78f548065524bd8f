//! `Publish`: where positions go once they are stored.

use std::time::Instant;

use futures_util::stream;

use super::arrived::Arrived;
use super::log::{Stored, Tail};
use crate::domain::Position;

/// Where stored positions go. Those of one device come in the order in which they count (see `order`), each with the instant of
/// its arrival.
pub trait Publish: 'static {
    /// Takes positions that are stored and newer than any before of their devices.
    fn publish(&self, positions: Vec<(Position, Instant)>);
}

/// The tail of a log that no other process writes to: all that comes is new, and comes in order.
pub(super) struct Direct(pub(super) Box<dyn Publish>);

impl Tail for Direct {
    fn read(&mut self, positions: Vec<Arrived>) {
        let new = positions.into_iter().map(|Arrived { position, received, .. }| (position, received));
        self.0.publish(new.collect());
    }

    fn stored(&self) -> Stored {
        Box::pin(stream::empty())
    }
}
