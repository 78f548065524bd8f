//! `Publish`: where positions and revocations go once they are stored.

use std::rc::Rc;
use std::time::Instant;

use futures_util::stream;

use super::arrived::Arrived;
use super::log::{Stored, Tail};
use crate::domain::{Position, Revocation};

/// Where stored positions and revocations go. Positions of one device come in the order in which they count (see `order`), each with
/// the instant of its arrival.
pub trait Publish: 'static {
    /// Takes positions that are stored and newer than any before of their devices.
    fn publish(&self, positions: Vec<(Position, Instant)>);

    /// Takes revocations that are stored, whichever instance was told of them. Each may come several times, in any order, also those that
    /// [`Opened::revocations`](super::Opened::revocations) had; of the same thing a later one holds for longer than the earlier.
    fn revoked(&self, revocations: Vec<Revocation>);
}

/// The tail of a log that no other process writes to: all that comes is new, and comes in order.
pub(super) struct Direct(pub(super) Rc<dyn Publish>);

impl Tail for Direct {
    fn read(&mut self, positions: Vec<Arrived>) {
        let new = positions.into_iter().map(|Arrived { position, received, .. }| (position, received));
        self.0.publish(new.collect());
    }

    fn revoked(&mut self, revocations: Vec<Revocation>) {
        self.0.revoked(revocations);
    }

    fn stored(&self) -> Stored {
        Box::pin(stream::empty())
    }
}
