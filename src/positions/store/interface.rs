//! `Store`: what the consumer asks of a store, whatever kind it is.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use super::error::StoreError;
use crate::domain::{Position, Revocation, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::Verdict;
use crate::positions::publish::Publish;

/// Most revocations that are kept at a time.
pub(in crate::positions) const MAX_REVOCATIONS: usize = 100_000;

/// What a commit came to.
#[derive(Debug, Default)]
pub(in crate::positions) struct Committed {
    /// What became of each position.
    pub(in crate::positions) verdicts: Vec<Verdict>,
    /// Positions that were there already, as they are stored, of which other instances may not have been told: whoever stored them may have ended
    /// before.
    pub(in crate::positions) untold: Vec<Arrived>,
}

/// Another session with a store.
pub(in crate::positions) struct Another {
    pub(in crate::positions) store: Box<dyn Store>,
    /// Why it could not be opened yet; its next use tries again.
    pub(in crate::positions) fault: Option<StoreError>,
}

/// A store that is open. One whose last use failed is opened again by the next.
pub(in crate::positions) trait Store {
    /// Gives the newest position of every device to `each`, one after the other; the store knows them afterwards.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn load<'a>(
        &'a mut self,
        each: &'a mut dyn FnMut(Position),
    ) -> LocalBoxFuture<'a, Result<(), StoreError>>;

    /// Stores positions, all or none; when it returns, they are on the disk. One that is there already (the same
    /// device and time) is left as it is. Says what each of them is, held against all that is known here.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it is stored, unless what failed was the very end.
    fn commit<'a>(
        &'a mut self,
        positions: &'a [Arrived],
    ) -> LocalBoxFuture<'a, Result<Committed, StoreError>>;

    /// Keeps a revocation; when it returns, it is on the disk. Returns what is kept of it: where the same thing was revoked before, one
    /// that holds for whatever either of the two holds for. `None`: it is not kept, as [`MAX_REVOCATIONS`] others are. Those that hold no more
    /// at `now` are forgotten.
    ///
    /// # Errors
    /// [`StoreError`]; then it is not kept, unless what failed was the very end.
    fn revoke<'a>(
        &'a mut self,
        revocation: &'a Revocation,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Revocation>, StoreError>>;

    /// All revocations that hold at `now`; `None` if none was kept, by this instance or another, since they were last read through this
    /// store. One that this release cannot read is left out, and the log says so.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn revocations(
        &mut self,
        now: Timestamp,
    ) -> LocalBoxFuture<'_, Result<Option<Vec<Revocation>>, StoreError>>;

    /// Fails if a commit could not be made now, as far as this can be known without one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn check(&mut self) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// How many devices are known.
    fn devices(&self) -> usize;

    /// How many bytes it takes on the disk, as of the last check; 0 while it does not work.
    fn bytes(&self) -> u64;

    /// What publishes what comes back from the log.
    fn tail(&self, publish: Rc<dyn Publish>) -> Box<dyn Tail>;

    /// Another session with the same store, which commits positions beside this one and knows what this one knows of devices; `None`
    /// where commits must come one after the other.
    fn another(&self) -> LocalBoxFuture<'_, Option<Another>>;

    /// Closes it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost by it.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), StoreError>>;
}
