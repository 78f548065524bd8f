//! `Turn`: how long a fan-out may hold the worker's thread before pings, closes and other clients get theirs.

use std::time::{Duration, Instant};

/// How long a turn is.
const LENGTH: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(1) };

/// The turn of a fan-out.
pub(super) struct Turn {
    since: Instant,
}

impl Turn {
    /// It begins now.
    pub(super) fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// True if others should have the thread.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= LENGTH
    }

    /// Lets others have the thread if this one had it for long enough.
    pub(super) async fn pause(&mut self) {
        if self.is_over() {
            tokio::task::yield_now().await;
            self.since = Instant::now();
        }
    }
}
