//! `Latest`: the newest position of each device and who is in which event; what snapshots are made of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::publish::Published;
use crate::domain::Topic;

/// A worker's view of where everything is.
#[derive(Default)]
pub(super) struct Latest {
    devices: HashMap<Arc<str>, Arc<Published>>,
    /// The devices whose latest position went to the event.
    events: HashMap<Arc<str>, HashSet<Arc<str>>>,
}

impl Latest {
    /// Takes a position that is newer than any before of its device. `changed` gets each event that looks different now.
    pub(super) fn apply(&mut self, published: &Arc<Published>, mut changed: impl FnMut(&Topic)) {
        let device = &published.position().device_id;
        let before = self.devices.insert(device.clone(), published.clone());
        let topics = &published.position().topics;
        let topics_before = before.as_ref().map_or(&[][..], |before| &before.position().topics);
        topics.iter().chain(topics_before).for_each(&mut changed);
        if topics == topics_before {
            return;
        }
        for topic in topics_before {
            if let Topic::Event(event) = topic
                && let Some(devices) = self.events.get_mut(event)
            {
                devices.remove(device);
                if devices.is_empty() {
                    self.events.remove(event);
                }
            }
        }
        for topic in topics {
            if let Topic::Event(event) = topic {
                self.events.entry(event.clone()).or_default().insert(device.clone());
            }
        }
    }

    /// The newest position of every device in the topic.
    pub(super) fn of(&self, topic: &Topic) -> Vec<Arc<Published>> {
        match topic {
            Topic::Device(id) => self.devices.get(id).cloned().into_iter().collect(),
            Topic::Event(event) => {
                let devices = self.events.get(event).into_iter().flatten();
                devices.filter_map(|device| self.devices.get(device)).cloned().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Position, Timestamp};

    #[test]
    fn tells_which_events_look_different() {
        let mut latest = Latest::default();
        let mut apply = |second: u8, topics: &str| {
            let json = format!(
                r#"{{"device_id":"1","timestamp":"2026-01-02T03:04:{second:02}Z","latitude":1,"longitude":2,"topics":[{topics}]}}"#
            );
            let position = Position::from_json(&json, Timestamp::now()).unwrap();
            let mut changed = HashSet::new();
            latest.apply(&Published::new(position, Instant::now()), |topic| {
                changed.insert(topic.to_string());
            });
            changed
        };
        let events = |names: &[&str]| names.iter().map(ToString::to_string).collect::<HashSet<_>>();
        assert_eq!(apply(1, r#""event:a""#), events(&["event:a"]));
        assert_eq!(apply(2, r#""event:a""#), events(&["event:a"]));
        assert_eq!(apply(3, r#""event:b""#), events(&["event:a", "event:b"]));
        assert_eq!(apply(4, ""), events(&["event:b"]));
        assert_eq!(apply(5, ""), events(&[]));
    }
}
