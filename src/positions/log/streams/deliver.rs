//! `deliver`: the one loop that owns the tail and gives it what all readers read.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::own::Own;
use crate::domain::Revocation;
use crate::metrics::LogMetrics;
use crate::positions::arrived::Arrived;
use crate::positions::log::{Stored, Tail};

/// How many events may wait for the tail; then the readers wait.
pub(super) const MAX_EVENTS: usize = 16;

/// When a catch-up that failed is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a reader found.
#[derive(Debug)]
pub(super) enum Event {
    /// Positions, in the order of the log.
    Read(Vec<Arrived>),
    /// Revocations.
    Revoked(Vec<Revocation>),
    /// Entries may have been missed. What is read after this is newer than what the store must be asked for.
    Missed,
}

/// Gives the tail what comes, until no reader is left.
pub(super) async fn deliver(
    mut tail: impl Tail,
    mut events: mpsc::Receiver<Event>,
    own: Rc<Own>,
    metrics: Arc<LogMetrics>,
) {
    let mut catch_up = CatchUp::Done;
    loop {
        // The tail drops what it knows, so what comes from the store may come among what is read.
        tokio::select! {
            () = own.changed() => give_own(&mut tail, &own),
            event = events.recv() => match event {
                Some(Event::Read(positions)) => give(&mut tail, positions),
                Some(Event::Revoked(revocations)) => tail.revoked(revocations),
                Some(Event::Missed) => {
                    metrics.catch_ups.inc();
                    catch_up.missed(&tail);
                }
                None => break,
            },
            part = catch_up.next(&tail) => give(&mut tail, part),
        }
    }
    give_own(&mut tail, &own);
}

/// How far the tail has caught up with the store.
enum CatchUp {
    /// As far as it must.
    Done,
    /// It is being read; `again` if entries may have been missed since it began.
    Reading { stored: Stored, again: bool },
    /// It failed, and is tried again.
    Waiting(Instant),
}

fn give_own(tail: &mut impl Tail, own: &Own) {
    let (positions, revocations) = own.take();
    give(tail, positions);
    if !revocations.is_empty() {
        tail.revoked(revocations);
    }
}

fn give(tail: &mut impl Tail, positions: Vec<Arrived>) {
    if !positions.is_empty() {
        tail.read(positions);
    }
}

impl CatchUp {
    /// Entries may have been missed now.
    fn missed(&mut self, tail: &impl Tail) {
        match self {
            Self::Reading { again, .. } => *again = true,
            Self::Done | Self::Waiting(_) => *self = Self::reading(tail),
        }
    }

    fn reading(tail: &impl Tail) -> Self {
        Self::Reading { stored: tail.stored(), again: false }
    }

    /// What the tail is to be given next; none where it has to be asked for once more. May be dropped at any time.
    async fn next(&mut self, tail: &impl Tail) -> Vec<Arrived> {
        match self {
            Self::Done => std::future::pending().await,
            Self::Waiting(at) => {
                tokio::time::sleep_until(*at).await;
                *self = Self::reading(tail);
            }
            Self::Reading { stored, again } => match stored.next().await {
                Some(Ok(part)) => return part,
                Some(Err(error)) => {
                    log::warn!("newest positions not read from the store, tried again soon: {error}");
                    *self = Self::Waiting(Instant::now() + TRY_AGAIN_AFTER);
                }
                None => *self = if *again { Self::reading(tail) } else { Self::Done },
            },
        }
        Vec::new()
    }
}
