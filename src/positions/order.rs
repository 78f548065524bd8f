//! `Order`: which position of each device is its newest, by `timestamp`, but never by a time that had not come yet when it
//! arrived.
//!
//! A position counts as of its timestamp, or of its arrival if that came first. So a device whose clock is ahead still
//! moves, and one wrong timestamp hides nothing. Where the server's own clock had been ahead, the newest position may count
//! as of a time that has not come again yet; then whatever arrives is newer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::domain::Timestamp;

/// What is known of every device.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The timestamp of each device's newest position.
    newest: HashMap<Arc<str>, Timestamp>,
    /// Devices of which more must be known: hardly any, where clocks are right.
    ahead: HashMap<Arc<str>, Ahead>,
}

/// A device whose newest position does not count as of its own timestamp, or is not the one with the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    /// As of when the newest position counts.
    pub(super) counts_as_of: Timestamp,
    /// The greatest timestamp that is stored of the device.
    pub(super) greatest: Timestamp,
}

/// All that is known of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    /// The timestamp of its newest position.
    pub(super) timestamp: Timestamp,
    /// As of when that counts.
    pub(super) counts_as_of: Timestamp,
    /// The greatest timestamp that is stored.
    pub(super) greatest: Timestamp,
}

/// What a position is, held against those that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The newest of its device.
    New,
    /// Stored, but the device had reported a newer one.
    Late,
    /// The device had reported one with the same timestamp, which stays.
    Repeated,
}

/// By what one position of a device is newer than another: as of when it counts, then its timestamp.
pub(super) type Key = (Timestamp, Timestamp);

/// As of when a position counts.
pub(super) fn counts_as_of(timestamp: Timestamp, arrival: Timestamp) -> Timestamp {
    timestamp.min(arrival)
}

impl Newest {
    fn first(timestamp: Timestamp, arrival: Timestamp) -> Self {
        Self { timestamp, counts_as_of: counts_as_of(timestamp, arrival), greatest: timestamp }
    }

    /// True if the newest position is simply the one with the greatest timestamp, and counts as of that.
    pub(super) fn is_ordinary(self) -> bool {
        self.counts_as_of == self.timestamp && self.greatest == self.timestamp
    }

    /// True if a position that counts as of then is newer.
    fn is_before(self, counts_as_of: Timestamp, timestamp: Timestamp) -> bool {
        (self.counts_as_of, self.timestamp) < (counts_as_of, timestamp)
    }

    /// A position was stored.
    fn add(&mut self, timestamp: Timestamp, arrival: Timestamp) -> Verdict {
        self.greatest = self.greatest.max(timestamp);
        let now = counts_as_of(timestamp, arrival);
        let has_come = self.counts_as_of <= arrival;
        if has_come && !self.is_before(now, timestamp) {
            return Verdict::Late;
        }
        self.timestamp = timestamp;
        self.counts_as_of = now;
        Verdict::New
    }
}

impl Order {
    /// A device's newest position, as the store has it.
    pub(super) fn load(&mut self, device: Arc<str>, timestamp: Timestamp, ahead: Option<Ahead>) {
        if let Some(ahead) = ahead {
            self.ahead.insert(device.clone(), ahead);
        }
        self.newest.insert(device, timestamp);
    }

    /// How many devices are known.
    pub(super) fn devices(&self) -> usize {
        self.newest.len()
    }

    /// True if a device was heard of.
    pub(super) fn knows(&self, device: &str) -> bool {
        self.newest.contains_key(device)
    }

    fn of(&self, device: &str) -> Option<Newest> {
        let timestamp = *self.newest.get(device)?;
        let ordinary = Ahead { counts_as_of: timestamp, greatest: timestamp };
        let Ahead { counts_as_of, greatest } = self.ahead.get(device).copied().unwrap_or(ordinary);
        Some(Newest { timestamp, counts_as_of, greatest })
    }

    /// Starts a group of positions, whose changes are kept apart until it is committed.
    pub(super) fn changes(&self) -> Changes<'_> {
        Changes { order: self, devices: HashMap::new() }
    }

    /// What a group of positions changed was committed.
    pub(super) fn apply(&mut self, changed: Vec<(Arc<str>, Newest)>) {
        for (device, newest) in changed {
            if newest.is_ordinary() {
                self.ahead.remove(&device);
            } else {
                let ahead = Ahead { counts_as_of: newest.counts_as_of, greatest: newest.greatest };
                self.ahead.insert(device.clone(), ahead);
            }
            self.newest.insert(device, newest.timestamp);
        }
    }
}

/// What a group of positions changes in an [`Order`].
pub(super) struct Changes<'a> {
    order: &'a Order,
    devices: HashMap<Arc<str>, Newest>,
}

impl Changes<'_> {
    /// The next position of the group was stored, or found to be there already.
    pub(super) fn add(
        &mut self,
        device: &Arc<str>,
        timestamp: Timestamp,
        arrival: Timestamp,
        is_stored: bool,
    ) -> Verdict {
        if !is_stored {
            return Verdict::Repeated;
        }
        match self.of(device) {
            Some(newest) => newest.add(timestamp, arrival),
            None => {
                self.devices.insert(device.clone(), Newest::first(timestamp, arrival));
                Verdict::New
            }
        }
    }

    /// A position that another instance may have stored: true if it is newer than what is known, by its key alone. So whatever
    /// comes twice, or in another order, leads to the same newest position everywhere.
    pub(super) fn meet(&mut self, device: &Arc<str>, (counts_as_of, timestamp): Key) -> bool {
        // One that has the newest one's time is that one, whatever its arrival.
        let is_newer =
            |newest: &mut Newest| newest.timestamp != timestamp && newest.is_before(counts_as_of, timestamp);
        let is_newer = self.of(device).is_none_or(is_newer);
        if is_newer {
            self.devices.insert(device.clone(), Newest::first(timestamp, counts_as_of));
        }
        is_newer
    }

    /// A position that is stored already: true if it may be the newest of its device.
    pub(super) fn may_be_newest(&mut self, device: &Arc<str>, (counts_as_of, timestamp): Key) -> bool {
        self.of(device)
            .is_none_or(|newest| newest.timestamp == timestamp || newest.is_before(counts_as_of, timestamp))
    }

    /// What is known of a device by now, to be changed; `None` if nothing is.
    fn of(&mut self, device: &Arc<str>) -> Option<&mut Newest> {
        match self.devices.entry(device.clone()) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => Some(place.insert(self.order.of(device)?)),
        }
    }

    /// The devices of which the store has to know more than their rows.
    pub(super) fn ahead(&self) -> Vec<(&Arc<str>, Newest)> {
        let all = self.devices.iter().map(|(device, newest)| (device, *newest));
        all.filter(|(_, newest)| !newest.is_ordinary()).collect()
    }

    /// Those of which it had to, and has not any more.
    pub(super) fn no_longer_ahead(&self) -> Vec<&Arc<str>> {
        let ordinary = self.devices.iter().filter(|(_, newest)| newest.is_ordinary());
        ordinary.map(|(device, _)| device).filter(|device| self.order.ahead.contains_key(*device)).collect()
    }

    /// What to apply when all is committed.
    pub(super) fn finish(self) -> Vec<(Arc<str>, Newest)> {
        self.devices.into_iter().collect()
    }
}

/// Says of each of these positions whether it may be in the store already: those not beyond the greatest timestamp of their
/// device may.
pub(super) fn may_be_stored<'a>(
    order: &Order,
    positions: impl Iterator<Item = (&'a Arc<str>, Timestamp)>,
) -> Vec<bool> {
    let mut greatest: HashMap<&Arc<str>, Timestamp> = HashMap::new();
    let check = |(device, timestamp): (&'a Arc<str>, Timestamp)| {
        let known = greatest.get(device).copied().or_else(|| order.of(device).map(|newest| newest.greatest));
        let may_be_stored = known.is_some_and(|known| timestamp <= known);
        if !may_be_stored {
            greatest.insert(device, timestamp);
        }
        may_be_stored
    };
    positions.map(check).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    /// Takes positions of one device one by one, each committed; restarts, which know only what is stored, in between.
    #[derive(Default)]
    struct Device {
        order: Order,
        stored: std::collections::BTreeSet<i64>,
    }

    impl Device {
        fn take(&mut self, timestamp: i64, arrival: i64) -> Verdict {
            let device: Arc<str> = "a".into();
            let may_be_stored = may_be_stored(&self.order, [(&device, at(timestamp))].into_iter())[0];
            let is_stored = self.stored.insert(timestamp);
            assert!(is_stored || may_be_stored, "it was in the store");
            let mut changes = self.order.changes();
            let verdict = changes.add(&device, at(timestamp), at(arrival), is_stored);
            let changed = changes.finish();
            self.order.apply(changed);
            verdict
        }

        fn restart(&mut self) {
            let before = self.order.of("a");
            let ahead = self.order.ahead.get("a").copied();
            // What the store has: its rows, and the row of a device that is ahead.
            let timestamp = match ahead {
                Some(_) => before.unwrap().timestamp,
                None => at(*self.stored.last().unwrap()),
            };
            self.order = Order::default();
            self.order.load("a".into(), timestamp, ahead);
            assert_eq!(self.order.of("a"), before);
        }
    }

    const HOUR: i64 = 3_600_000;

    #[test]
    fn one_position_from_the_future_hides_nothing() {
        let mut device = Device::default();
        assert_eq!(device.take(23 * HOUR, 1000), Verdict::New);
        for second in 2..6 {
            assert_eq!(device.take(second * 1000 - 100, second * 1000), Verdict::New);
            device.restart();
        }
        assert_eq!(device.take(3000, 6000), Verdict::Late);
        assert_eq!(device.take(23 * HOUR, 7000), Verdict::Repeated);
        // When that time has come, the ordinary rule holds again.
        assert_eq!(device.take(24 * HOUR, 24 * HOUR + 5), Verdict::New);
        assert!(device.order.ahead.is_empty());
    }

    #[test]
    fn a_device_whose_clock_is_always_ahead_moves() {
        let mut device = Device::default();
        for second in 1..10 {
            assert_eq!(device.take(second * 1000 + 2 * HOUR, second * 1000), Verdict::New);
            device.restart();
        }
        // Both of one post come, in the order of their timestamps.
        assert_eq!(device.take(10_000 + 2 * HOUR, 10_500), Verdict::New);
        assert_eq!(device.take(10_500 + 2 * HOUR, 10_500), Verdict::New);
        assert_eq!(device.take(10_200 + 2 * HOUR, 10_500), Verdict::Late);
    }

    #[test]
    fn after_the_server_s_clock_was_ahead_the_device_moves_on() {
        let mut device = Device::default();
        assert_eq!(device.take(10 * HOUR, 10 * HOUR), Verdict::New);
        for second in 1..5 {
            assert_eq!(device.take(second * 1000, second * 1000 + 50), Verdict::New);
            device.restart();
        }
        assert_eq!(device.take(2500, 6000), Verdict::Late);
    }

    proptest! {
        /// With any clocks, a restart agrees with what was decided; and with right ones, the newest is that with the
        /// greatest timestamp.
        #[test]
        fn restarts_agree(steps in vec((0..50_i64, -40..40_i64, any::<bool>()), 1..60), right in any::<bool>()) {
            let mut device = Device::default();
            let mut now = 1000;
            for (step, skew, restart) in steps {
                now += if right { step } else { step - 20 };
                let timestamp = if right { now - skew.abs() } else { now + skew };
                let verdict = device.take(timestamp, now);
                let newest = device.order.of("a").unwrap();
                prop_assert!(verdict != Verdict::New || newest.timestamp == at(timestamp));
                prop_assert!(newest.counts_as_of <= newest.timestamp);
                if right {
                    prop_assert!(newest.is_ordinary());
                    prop_assert_eq!(newest.timestamp, at(*device.stored.last().unwrap()));
                }
                if restart {
                    device.restart();
                }
            }
        }
    }

    proptest! {
        /// Instances that meet the same positions in any order, and some of them twice, end with the same newest, and none goes back.
        #[test]
        fn any_order_leads_to_the_same(
            steps in vec((0..20_i64, 0..20_i64), 1..20),
            orders in vec(vec(any::<proptest::sample::Index>(), 20..60), 2..4),
        ) {
            let greatest = |steps: &[(i64, i64)]| {
                steps.iter().map(|(timestamp, arrival)| ((*timestamp).min(*arrival), *timestamp)).max().unwrap()
            };
            // The store has one position of each time: the first that came.
            let mut stored = std::collections::BTreeMap::new();
            for (timestamp, arrival) in steps {
                stored.entry(timestamp).or_insert(arrival);
            }
            let stored: Vec<_> = stored.into_iter().collect();
            for order in orders {
                let device: Arc<str> = "a".into();
                let mut known = Order::default();
                let mut last = None;
                for (timestamp, arrival) in order.iter().map(|index| *index.get(&stored)).chain(stored.clone()) {
                    let mut changes = known.changes();
                    let is_new = changes.meet(&device, (at(timestamp.min(arrival)), at(timestamp)));
                    let changed = changes.finish();
                    known.apply(changed);
                    if is_new {
                        let key = Some((timestamp.min(arrival), timestamp));
                        prop_assert!(key > last, "{last:?} then {key:?}");
                        last = key;
                    }
                }
                prop_assert_eq!(last, Some(greatest(&stored)));
            }
        }
    }
}
