//! `Schedule`: when a drain closes which connection, and when each client is to come back. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

/// How a drain is spread over time. The default is not at all: everyone is closed at once, and is not told when to come
/// back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// From the beginning of the drain to the first close frame; clients are served meanwhile.
    pub delay: Duration,
    /// From the first close frame to the last.
    pub spread: Duration,
    /// Clients are told to come back within this time after their close; zero: they are told nothing.
    pub reconnect_spread: Duration,
}

impl Pace {
    /// From the beginning of the drain until everyone has been sent a close frame.
    pub fn window(self) -> Duration {
        self.delay + self.spread
    }
}

/// The connections of a drain in the order in which they are closed.
///
/// The connection at place k, from 0, of n is closed at `delay + spread · k/n`, and its client told to come back
/// `reconnect_spread · (k + ½)/n` later. So clients come back at even distances too, over `spread + reconnect_spread`
/// together, not in clumps as with random times.
///
/// Connections that were just being made are added behind the others, while it runs: those in front come a little earlier
/// from then on. A connection that ends before its turn leaves its place empty, so that nobody's turn moves.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    /// Those whose turn is to come.
    waiting: VecDeque<Uuid>,
    /// How many places there are: those whose turn has been, and those that wait.
    places: usize,
}

/// One connection's turn to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) id: Uuid,
    /// When its client is to come back, counted from its close; `None` if it is not told.
    pub(super) reconnect_after: Option<Duration>,
}

/// `time` · `part` / `whole`; all of it where the whole is nothing.
fn share(time: Duration, part: usize, whole: usize) -> Duration {
    let nanos = time.as_nanos() * part as u128 / whole.max(1) as u128;
    Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
}

impl Schedule {
    /// A place for each of `connections`, in their order.
    pub(super) fn new(pace: Pace, connections: impl IntoIterator<Item = Uuid>) -> Self {
        let waiting: VecDeque<_> = connections.into_iter().collect();
        let places = waiting.len();
        Self { pace, waiting, places }
    }

    /// Adds a place for one that was just being made.
    pub(super) fn add(&mut self, id: Uuid) {
        self.waiting.push_back(id);
        self.places += 1;
    }

    /// The place whose turn is next.
    fn place(&self) -> usize {
        self.places - self.waiting.len()
    }

    /// When the next turn comes, counted from the beginning of the drain; `None` if nobody waits.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let at = self.pace.delay + share(self.pace.spread, self.place(), self.places);
        (!self.waiting.is_empty()).then_some(at)
    }

    /// Takes the next turn if it has come, so long after the beginning of the drain.
    pub(super) fn take_due(&mut self, elapsed: Duration) -> Option<Turn> {
        if self.next_at()? > elapsed {
            return None;
        }
        let place = self.place();
        let id = self.waiting.pop_front()?;
        let spread = self.pace.reconnect_spread;
        let reconnect_after = (!spread.is_zero()).then(|| share(spread, 2 * place + 1, 2 * self.places));
        Some(Turn { id, reconnect_after })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace(delay: u64, spread: u64, reconnect_spread: u64) -> Pace {
        Pace { delay: millis(delay), spread: millis(spread), reconnect_spread: millis(reconnect_spread) }
    }

    fn id(number: usize) -> Uuid {
        Uuid::from_u128(number as u128)
    }

    fn schedule(pace: Pace, connections: usize) -> Schedule {
        Schedule::new(pace, (0..connections).map(id))
    }

    /// Lets it run to its end, asked exactly when it says; returns each turn with its time.
    fn run(schedule: &mut Schedule) -> Vec<(Duration, Turn)> {
        let mut turns = Vec::new();
        while let Some(at) = schedule.next_at() {
            turns.extend(schedule.take_due(at).map(|turn| (at, turn)));
        }
        turns
    }

    #[test]
    fn closes_and_returns_are_evenly_spread() {
        let mut schedule = schedule(pace(3000, 2000, 8000), 4);
        assert_eq!(schedule.take_due(millis(2999)), None);
        let turns = run(&mut schedule);
        let expected = [(3000, 1000), (3500, 3000), (4000, 5000), (4500, 7000)];
        for (number, ((at, turn), (closed, back))) in turns.iter().zip(expected).enumerate() {
            let expected = Turn { id: id(number), reconnect_after: Some(millis(back)) };
            assert_eq!((*at, *turn), (millis(closed), expected));
        }
        assert_eq!(turns.len(), 4);
    }

    #[test]
    fn without_a_pace_all_are_due_at_once_and_nobody_is_told_when_to_come_back() {
        let mut schedule = schedule(Pace::default(), 1000);
        for number in 0..1000 {
            let turn = Turn { id: id(number), reconnect_after: None };
            assert_eq!(schedule.take_due(Duration::ZERO), Some(turn));
        }
        assert_eq!((schedule.take_due(Duration::ZERO), schedule.next_at()), (None, None));
    }

    #[test]
    fn returns_can_be_spread_though_closes_are_not() {
        let turns = run(&mut schedule(pace(0, 0, 1000), 2));
        let back: Vec<_> = turns.iter().map(|(at, turn)| (*at, turn.reconnect_after.unwrap())).collect();
        assert_eq!(back, [(Duration::ZERO, millis(250)), (Duration::ZERO, millis(750))]);
    }

    #[test]
    fn one_that_comes_while_it_runs_gets_a_place_behind_the_others() {
        let mut schedule = schedule(pace(0, 1000, 0), 3);
        assert_eq!(schedule.take_due(Duration::ZERO).unwrap().id, id(0));
        schedule.add(id(3));
        let turns = run(&mut schedule);
        let order: Vec<_> = turns.iter().map(|(at, turn)| (at.as_millis(), turn.id)).collect();
        assert_eq!(order, [(250, id(1)), (500, id(2)), (750, id(3))]);
        // When all have had their turn, within the window at its place, and behind it at once.
        schedule.add(id(4));
        assert_eq!(schedule.next_at(), Some(millis(800)));
        assert_eq!(schedule.take_due(millis(1500)).unwrap().id, id(4));
    }

    #[test]
    fn many_connections_are_closed_so_many_at_each_look() {
        let mut schedule = schedule(pace(0, 2000, 60_000), 100_000);
        for look in 0..2000 {
            let due = std::iter::from_fn(|| schedule.take_due(millis(look))).count();
            assert_eq!(due, if look == 0 { 1 } else { 50 }, "{look}");
        }
        assert_eq!(std::iter::from_fn(|| schedule.take_due(millis(2000))).count(), 49);
    }

    proptest! {
        /// However many there are, whoever comes later and whenever it is looked at: each has its turn once and within the
        /// window, closes and returns do not go back, and returns are inside their own.
        #[test]
        fn each_has_its_turn_once_and_in_time(
            connections in 0_usize..200,
            late in 0_usize..50,
            delay in 0_u64..5000,
            spread in 0_u64..5000,
            reconnect in 1_u64..100_000,
            step in 1_u64..2000,
        ) {
            let pace = pace(delay, spread, reconnect);
            let mut schedule = schedule(pace, connections);
            let (mut order, mut added, mut now) = (Vec::new(), 0, Duration::ZERO);
            while now < pace.window() + millis(step) {
                while let Some(turn) = schedule.take_due(now) {
                    prop_assert!(now >= pace.delay);
                    prop_assert!(turn.reconnect_after.unwrap() < pace.reconnect_spread);
                    order.push(turn.id);
                }
                if added < late {
                    schedule.add(id(connections + added));
                    added += 1;
                }
                prop_assert!(schedule.next_at().is_none_or(|at| at <= pace.window()));
                now += millis(step);
            }
            order.extend(std::iter::from_fn(|| schedule.take_due(now)).map(|turn| turn.id));
            prop_assert_eq!(order, (0..connections + added).map(id).collect::<Vec<_>>());
        }
    }
}
