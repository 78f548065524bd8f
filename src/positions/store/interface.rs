//! `Store`: what the consumer asks of a store, whatever kind it is.

use futures_util::future::LocalBoxFuture;

use super::error::StoreError;
use crate::domain::Position;
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::Verdict;
use crate::positions::publish::Publish;

/// What a commit came to.
#[derive(Debug, Default)]
pub(in crate::positions) struct Committed {
    /// What became of each position.
    pub(in crate::positions) verdicts: Vec<Verdict>,
    /// Positions that were there already, as they are stored, of which other instances may not have been told: whoever stored them may have ended
    /// before.
    pub(in crate::positions) untold: Vec<Arrived>,
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
    fn tail(&self, publish: Box<dyn Publish>) -> Box<dyn Tail>;

    /// Closes it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost by it.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), StoreError>>;
}
