//! `Cadence`: how often at most a subscription is served, in the steps that there are.

use std::time::Duration;

/// How often at most a subscription is served. There are few of them, so that many subscriptions of one topic have the
/// same one and share what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cadence(u16);

impl Cadence {
    /// The steps, in milliseconds.
    pub const STEPS: [u16; 8] = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

    /// The longest step, in milliseconds.
    pub const LONGEST: u16 = 30_000;

    /// The smallest step that is not shorter than `millis`; `None` for 0, which asks for every update, and the longest for
    /// whatever is more than that.
    pub fn at_least(millis: u64) -> Option<Self> {
        let step = Self::STEPS.into_iter().find(|step| u64::from(*step) >= millis);
        (millis > 0).then_some(Self(step.unwrap_or(Self::LONGEST)))
    }

    /// In milliseconds.
    pub fn millis(self) -> u16 {
        self.0
    }

    /// The same as a duration.
    pub fn period(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_rounded_up_to_a_step() {
        let rounded = |millis| Cadence::at_least(millis).map(Cadence::millis);
        assert_eq!(rounded(0), None);
        for (asked, step) in
            [(1, 100), (100, 100), (101, 250), (999, 1_000), (5_001, 10_000), (30_000, 30_000)]
        {
            assert_eq!(rounded(asked), Some(step), "{asked}");
        }
        assert_eq!(rounded(u64::MAX), Some(Cadence::LONGEST));
    }
}
