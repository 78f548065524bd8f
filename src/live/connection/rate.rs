//! `Rate` and `Charge`: how many messages a client may still send now, and when it has paid for its snapshots.

use std::time::{Duration, Instant};

/// A client may send this many seconds' worth of its message rate at once, as a page does that subscribes to all
/// it shows when it opens.
const BURST_SECONDS: f64 = 10.0;

/// How many messages over the rate are answered `rate-limited` before the connection is closed.
const RATE_WARNINGS: u32 = 20;

/// So many bytes of snapshots count as one message.
const BYTES_PER_MESSAGE: f64 = 16.0 * 1024.0;

/// A token bucket that fills to ten seconds' worth.
struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second * BURST_SECONDS, at: now }
    }

    /// Adds what was earned. True if it is full.
    fn fill(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        let most = self.per_second * BURST_SECONDS;
        self.tokens = (self.tokens + earned).min(most);
        self.tokens == most
    }
}

/// How many messages a client may still send now.
pub(super) struct Rate {
    bucket: Bucket,
    warnings: u32,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { bucket: Bucket::new(per_second, Instant::now()), warnings: 0 }
    }

    /// True if something of this cost may be done now; then it is paid.
    pub(super) fn allow(&mut self, cost: f64) -> bool {
        if self.bucket.fill(Instant::now()) {
            self.warnings = 0; // it has been quiet for long enough
        }
        let allowed = self.bucket.tokens >= cost;
        if allowed {
            self.bucket.tokens -= cost;
        }
        allowed
    }

    /// True if the client may be told once more instead of being closed.
    pub(super) fn warn(&mut self) -> bool {
        self.warnings += 1;
        self.warnings <= RATE_WARNINGS
    }
}

/// What snapshots have cost. They are never refused: a client that asked for more than its share is not read for a while.
pub(super) struct Charge(Bucket);

impl Charge {
    /// Nothing was sent yet. Snapshots are charged like messages, of which a client may send `per_second`.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self(Bucket::new(per_second, now))
    }

    /// Charges so many bytes, and says how long the client must wait until all is paid.
    pub(super) fn pay(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        self.0.fill(now);
        self.0.tokens -= bytes as f64 / BYTES_PER_MESSAGE;
        let debt = -self.0.tokens;
        (debt > 0.0).then(|| Duration::from_secs_f64(debt / self.0.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_paid_for_by_waiting() {
        let start = Instant::now();
        let mut charge = Charge::new(100, start);
        // Ten seconds' worth, 16 MB, at once.
        assert_eq!(charge.pay(1000 * 16 * 1024, start), None);
        let wait = charge.pay(100 * 16 * 1024, start).unwrap();
        assert!((wait.as_secs_f64() - 1.0).abs() < 1e-6, "{wait:?}");
        assert_eq!(charge.pay(0, start + wait + Duration::from_millis(1)), None);
        assert_eq!(charge.pay(900 * 16 * 1024, start + Duration::from_secs(100)), None);
    }

    #[test]
    fn a_client_is_warned_so_often() {
        let mut rate = Rate::new(1);
        assert_eq!((0..20).filter(|_| rate.allow(1.0)).count(), 10);
        assert_eq!((0..30).filter(|_| rate.warn()).count(), RATE_WARNINGS as usize);
    }
}
