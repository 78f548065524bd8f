//! `deliver`: the one loop that owns the tail and gives it what all readers read.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::own::Own;
use crate::metrics::LogMetrics;
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;

/// How many events may wait for the tail; then the readers wait.
pub(super) const MAX_EVENTS: usize = 16;

/// When a catch-up that failed is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a reader found.
#[derive(Debug)]
pub(super) enum Event {
    /// Positions, in the order of the log.
    Read(Vec<Arrived>),
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
    // When to catch up, if that is to be done.
    let mut catch_up: Option<Instant> = None;
    loop {
        if catch_up.is_some_and(|at| at <= Instant::now()) {
            catch_up = tail.catch_up().await.err().map(|error| {
                log::warn!("newest positions not read from the store, tried again soon: {error}");
                Instant::now() + TRY_AGAIN_AFTER
            });
        }
        // What was read meanwhile is given to the tail all the same: it drops what it knows.
        let due = catch_up.unwrap_or_else(Instant::now);
        tokio::select! {
            () = own.changed() => give(&mut tail, own.take()),
            event = events.recv() => match event {
                Some(Event::Read(positions)) => give(&mut tail, positions),
                Some(Event::Missed) => {
                    metrics.catch_ups.inc();
                    catch_up = Some(Instant::now());
                }
                None => break,
            },
            () = tokio::time::sleep_until(due), if catch_up.is_some() => {}
        }
    }
    give(&mut tail, own.take());
}

fn give(tail: &mut impl Tail, positions: Vec<Arrived>) {
    if !positions.is_empty() {
        tail.read(positions);
    }
}
