//! `Ticks`: when the audiences that are served at a cadence are due.
//!
//! Topics are spread over the interval, so that not all are served at its beginning. But not each has an instant of its own:
//! a client with many topics is served a few times in an interval, not once for each. A topic that all workers have
//! clients of is served by each at another instant.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::subscription::Audience;
use crate::live::wire::cadence::Cadence;

/// An interval is divided into so many slots at most.
const MOST_SLOTS: u32 = 16;

/// A slot is not shorter than this.
const SHORTEST_SLOT: Duration = Duration::from_millis(25);

/// When audiences are due.
pub(super) struct Ticks {
    /// Intervals are counted from here on.
    since: Instant,
    /// The worker's number, and how many there are: its slots are counted from that share of an interval on.
    worker: (u32, u32),
    /// The slot that the next audience gets.
    next_slot: u32,
    /// By instant, then in the order in which they came.
    due: BTreeMap<(Instant, u64), Rc<Audience>>,
    /// How many were scheduled.
    scheduled: u64,
}

impl Ticks {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, worker: (0, 1), next_slot: 0, due: BTreeMap::new(), scheduled: 0 }
    }

    /// Says which of the workers this is. They start at about the same time, and the first topic is often the same for all.
    pub(super) fn stagger(&mut self, worker: usize, workers: usize) {
        self.worker = (worker as u32, (workers as u32).max(1));
    }

    /// Where in its interval a new audience is served: where the fewest of `others` are, which are large ones of the same topic.
    pub(super) fn phase(&mut self, cadence: Cadence, others: &[Duration]) -> Duration {
        let period = cadence.period();
        let slots = ((period.as_millis() / SHORTEST_SLOT.as_millis()) as u32).clamp(1, MOST_SLOTS);
        let (worker, workers) = self.worker;
        let phase = |slot: u32| {
            let phase = period / slots * (slot % slots) + period / workers * worker;
            phase.checked_sub(period).unwrap_or(phase)
        };
        let next = (0..slots).map(|more| self.next_slot.wrapping_add(more));
        let with = |slot: &u32| others.iter().filter(|other| **other == phase(*slot)).count();
        let slot = next.min_by_key(with).unwrap_or(self.next_slot);
        self.next_slot = slot.wrapping_add(1);
        phase(slot)
    }

    /// Sees to it that an audience is served at the next instant of its phase.
    pub(super) fn schedule(&mut self, audience: &Rc<Audience>, cadence: Cadence, now: Instant) {
        if audience.is_scheduled.replace(true) {
            return;
        }
        let at = self.since + next(now.duration_since(self.since), cadence.period(), audience.phase);
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), audience.clone());
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out one that is due, with the instant since when it is.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Instant, Rc<Audience>)> {
        let first = self.due.first_entry()?;
        let at = first.key().0;
        let audience = (at <= now).then(|| first.remove())?;
        audience.is_scheduled.set(false);
        Some((at, audience))
    }
}

/// The first instant after `now` that is `phase` beyond a whole number of periods.
fn next(now: Duration, period: Duration, phase: Duration) -> Duration {
    let [now, period, phase] = [now, period, phase].map(|duration| duration.as_nanos() as u64);
    let passed = (now + period - phase) / period;
    Duration::from_nanos(passed * period + phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_instant_of_a_phase_is_at_most_one_period_away() {
        let millis = Duration::from_millis;
        for (now, phase, at) in
            [(0, 0, 1000), (0, 62, 62), (62, 62, 1062), (61, 62, 62), (999, 0, 1000), (2500, 750, 2750)]
        {
            assert_eq!(next(millis(now), millis(1000), millis(phase)), millis(at), "{now} {phase}");
        }
    }

    #[test]
    fn topics_are_spread_over_the_interval_in_a_few_slots() {
        let mut ticks = Ticks::new(Instant::now());
        let mut phases = |millis| {
            let cadence = Cadence::at_least(millis).unwrap();
            let mut phases: Vec<_> = (0..100).map(|_| ticks.phase(cadence, &[]).as_micros()).collect();
            phases.sort_unstable();
            phases.dedup();
            phases
        };
        assert_eq!(phases(100), [0, 25_000, 50_000, 75_000]);
        let second = phases(1_000);
        assert_eq!((second.len(), second[1], second[15]), (16, 62_500, 937_500));
    }

    #[test]
    fn parts_of_one_topic_share_an_instant_only_if_there_is_none_left() {
        let mut ticks = Ticks::new(Instant::now());
        let cadence = Cadence::at_least(100).unwrap();
        let mut parts = Vec::new();
        for _ in 0..8 {
            parts.push(ticks.phase(cadence, &parts));
            // Audiences of other topics come in between.
            for _ in 0..3 {
                ticks.phase(cadence, &[]);
            }
        }
        let mut millis: Vec<_> = parts.iter().map(Duration::as_millis).collect();
        millis[..4].sort_unstable();
        millis[4..].sort_unstable();
        assert_eq!(millis, [0, 25, 50, 75, 0, 25, 50, 75]);
    }

    #[test]
    fn each_worker_serves_the_same_topic_at_another_instant_of_the_interval() {
        for millis in Cadence::STEPS.map(u64::from) {
            let cadence = Cadence::at_least(millis).unwrap();
            for workers in [1, 2, 3, 4, 7] {
                let mut all: Vec<_> = (0..workers).map(|_| Ticks::new(Instant::now())).collect();
                all.iter_mut().enumerate().for_each(|(worker, ticks)| ticks.stagger(worker, workers));
                for topic in 0..20 {
                    let phases = all.iter_mut().map(|ticks| ticks.phase(cadence, &[]).as_micros());
                    let mut phases: Vec<_> = phases.collect();
                    phases.sort_unstable();
                    let period = cadence.period().as_micros();
                    assert!(phases[workers - 1] < period, "{millis} ms, topic {topic}: {phases:?}");
                    // As far apart as they can be, also from the last one to the first one of the next interval.
                    let next = phases.iter().skip(1).copied().chain([phases[0] + period]);
                    let apart = phases.iter().zip(next).map(|(phase, next)| next - phase).min();
                    let most = period / workers as u128;
                    assert!(
                        apart.is_some_and(|apart| apart + 1 >= most),
                        "{millis} ms, topic {topic}: {phases:?}"
                    );
                }
            }
        }
    }
}
