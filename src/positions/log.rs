//! `Log` and `Tail`: the ordered way from what is stored to every instance, and what an instance does with what it reads there.

use std::error::Error;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;

use super::arrived::Arrived;
use crate::domain::Revocation;

mod in_process;
mod newest;
mod streams;

pub(super) use in_process::InProcess;
pub(super) use streams::RedisLog;

/// The ordered way from what is stored to every instance. All of it runs on the consumer's thread.
pub(super) trait Log {
    /// Hands on what was committed; calls are kept in order. The future ends when it is in the log, or, where the log is away,
    /// when the newest of each device is noted to be appended as soon as it is back. It does not fail, ends within
    /// `POSITIONS_LOG_TIMEOUT_MS` or a little more, and may be dropped.
    ///
    /// What waits for the log is bounded by the caller while the log works, as it waits for the futures, and by the number of
    /// devices while it is away.
    fn append(&mut self, positions: Vec<Arrived>) -> LocalBoxFuture<'static, ()>;

    /// Hands on a revocation that is stored. The future ends when it is in the log, or, where the log is away, when this instance's own
    /// tail is about to get it: other instances find it in the store. It does not fail, and ends as that of [`Log::append`] does.
    fn revoke(&mut self, revocation: Revocation) -> LocalBoxFuture<'static, ()>;

    /// Appends what waits, as far as that is done within `POSITIONS_LOG_TIMEOUT_MS`, and ends.
    fn close(&mut self) -> LocalBoxFuture<'static, ()>;
}

/// Positions from the store, in parts. It ends after the first error.
pub(super) type Stored = LocalBoxStream<'static, Result<Vec<Arrived>, Box<dyn Error>>>;

/// What an instance does with what it reads from the log.
pub(super) trait Tail: 'static {
    /// Takes positions in the order of the log. There may be known or older ones among them, which it drops.
    fn read(&mut self, positions: Vec<Arrived>);

    /// Takes revocations, perhaps known ones.
    fn revoked(&mut self, revocations: Vec<Revocation>);

    /// Entries may have been missed: the newest position of each device from the store, in parts, each to be given to
    /// [`Tail::read`]. Meanwhile it reads on. (Revocations need no such look: the consumer reads them from the store all the time.)
    fn stored(&self) -> Stored;
}

impl Tail for Box<dyn Tail> {
    fn read(&mut self, positions: Vec<Arrived>) {
        (**self).read(positions);
    }

    fn revoked(&mut self, revocations: Vec<Revocation>) {
        (**self).revoked(revocations);
    }

    fn stored(&self) -> Stored {
        (**self).stored()
    }
}
