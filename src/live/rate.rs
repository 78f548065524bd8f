//! `Rate`: how many messages a client may still send now.

use std::time::Instant;

/// A client may send this many seconds' worth of its message rate at once, as a page does that subscribes to all
/// it shows when it opens.
const BURST_SECONDS: u32 = 10;

/// How many messages over the rate are answered `rate-limited` before the connection is closed.
const RATE_WARNINGS: u32 = 20;

/// A token bucket: how many messages a client may still send now.
pub(super) struct Rate {
    per_second: f64,
    tokens: f64,
    at: Instant,
    warnings: u32,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        let tokens = per_second * f64::from(BURST_SECONDS);
        Self { per_second, tokens, at: Instant::now(), warnings: 0 }
    }

    /// True if something of this cost may be done now; then it is paid.
    pub(super) fn allow(&mut self, cost: f64) -> bool {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        let most = self.per_second * f64::from(BURST_SECONDS);
        self.tokens = (self.tokens + earned).min(most);
        if self.tokens == most {
            self.warnings = 0; // it has been quiet for long enough
        }
        let allowed = self.tokens >= cost;
        if allowed {
            self.tokens -= cost;
        }
        allowed
    }

    /// True if the client may be told once more instead of being closed.
    pub(super) fn warn(&mut self) -> bool {
        self.warnings += 1;
        self.warnings <= RATE_WARNINGS
    }
}
