//! `Random`: numbers that look random and are the same in each run (Marsaglia's xorshift64); nothing here needs better.

/// A source of numbers.
pub(super) struct Random(u64);

impl Random {
    /// A source that begins with `seed`, which is not 0.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Evenly from 0 up to, but not, 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly between the two.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// True in so many of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of `count` places, at least one.
    pub(super) fn index(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }
}
