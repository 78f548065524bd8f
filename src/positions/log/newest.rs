//! `Newest`: positions merged to the newest of each device, so that what waits is bounded by the number of devices.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::positions::arrived::Arrived;

/// The newest position of each device.
#[derive(Debug, Default)]
pub(super) struct Newest(HashMap<Arc<str>, Arrived>);

impl Newest {
    /// Adds positions; of each device the newest stays, of two that are equal the first.
    pub(super) fn add(&mut self, positions: impl IntoIterator<Item = Arrived>) {
        for arrived in positions {
            match self.0.entry(arrived.position.device_id.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(arrived)),
                Entry::Occupied(mut entry) if arrived.key() > entry.get().key() => {
                    drop(entry.insert(arrived))
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// How many devices there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes all out.
    pub(super) fn take(&mut self) -> Vec<Arrived> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Position, Timestamp};

    fn arrived(device: &str, timestamp: i64, arrival: i64, latitude: i32) -> Arrived {
        let [timestamp, arrival] = [timestamp, arrival].map(|millis| Timestamp::from_millis(millis).unwrap());
        let json = format!(
            r#"{{"device_id":"{device}","timestamp":"{timestamp}","latitude":{latitude},"longitude":0}}"#
        );
        let position = Position::from_json(&json, timestamp).unwrap();
        Arrived { position, arrival, received: Instant::now() }
    }

    #[test]
    fn the_newest_of_each_device_stays() {
        let mut newest = Newest::default();
        newest.add([arrived("a", 5, 10, 1), arrived("b", 3, 10, 2), arrived("a", 4, 11, 3)]);
        assert_eq!(newest.len(), 2);
        // From the future: counts as of its arrival, so what comes later with a right clock is newer.
        newest.add([arrived("b", 1_000, 20, 4)]);
        newest.add([arrived("b", 21, 21, 5), arrived("b", 21, 22, 6)]);
        let mut left: Vec<_> = newest
            .take()
            .iter()
            .map(|Arrived { position, .. }| (position.device_id.to_string(), position.latitude))
            .collect();
        left.sort_by(|one, other| one.partial_cmp(other).unwrap());
        assert_eq!(left, [("a".to_owned(), 1.0), ("b".to_owned(), 5.0)]);
        assert!(newest.len() == 0);
    }
}
