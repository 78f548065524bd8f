//! `Backoff`: how long to wait before something is tried again.

use std::time::Duration;

/// At first, and at most.
const RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Waits that double until something works again.
#[derive(Debug)]
pub(in crate::positions) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(RANGE.0)
    }
}

impl Backoff {
    /// The next wait.
    pub(in crate::positions) fn next(&mut self) -> Duration {
        let longer = (self.0 * 2).min(RANGE.1);
        std::mem::replace(&mut self.0, longer)
    }

    /// It works.
    pub(in crate::positions) fn reset(&mut self) {
        *self = Self::default();
    }
}
