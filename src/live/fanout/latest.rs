//! `Latest`: the newest position of each device and who is in which event; what snapshots are made of, and what
//! clients that fell behind are caught up from.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

pub(super) use super::grid::Inside;
use super::grid::{self, Grid};
use super::means::Means;
use super::published::Published;
use super::roster::{Roster, encode};
use super::update::{Change, Update};
use crate::domain::{Bounds, Point, Topic};
use crate::live::wire::snapshot::SnapshotForm;

/// A worker's view of where everything is.
#[derive(Default)]
pub(super) struct Latest {
    devices: Vec<Device>,
    /// Places among the devices.
    by_id: HashMap<Arc<str>, u32>,
    grid: Grid,
    events: HashMap<Arc<str>, Roster>,
}

/// What a position has changed.
pub(super) struct Applied {
    /// Whose it was.
    pub(super) device: u32,
    /// Where the device was before.
    pub(super) before: Option<Point>,
    /// The events that it was in and is not any more.
    pub(super) left: Vec<Topic>,
}

struct Device {
    /// The number of its last update.
    changed: u64,
    published: Arc<Published>,
    /// Its place in the roster of each of its topics, in their order.
    places: Box<[u32]>,
    /// Its place in the grid.
    place: grid::Place,
}

impl Latest {
    /// Takes a position that is newer than any before of its device, as update `number`.
    pub(super) fn apply(&mut self, number: u64, published: &Arc<Published>) -> Applied {
        let position = published.position();
        let known = self.by_id.get(&position.device_id).copied();
        let (before, places) = match known.map(|known| &self.devices[known as usize]) {
            Some(device) => (&device.published.position().topics[..], &device.places[..]),
            None => (&[][..], &[][..]),
        };
        let mut left = Vec::new();
        for (topic, place) in before.iter().zip(places) {
            if !position.topics.contains(topic)
                && let Some(roster) = self.events.get_mut(topic.name())
            {
                roster.leave(*place, number, published);
                left.push(topic.clone());
            }
        }
        let places = position.topics.iter().map(|topic| {
            let known = before.iter().position(|before| before == topic).map(|index| places[index]);
            let roster = match self.events.get_mut(topic.name()) {
                Some(roster) => roster,
                None => self.events.entry(topic.name().clone()).or_default(),
            };
            match known {
                Some(place) => {
                    roster.update(place, number, published);
                    place
                }
                None => roster.join(number, published),
            }
        });
        let places = places.collect();
        let (device, before) = self.put(known, number, published, places);
        Applied { device, before, left }
    }

    /// Notes where a device is now; returns where it was before.
    fn put(
        &mut self,
        known: Option<u32>,
        number: u64,
        published: &Arc<Published>,
        places: Box<[u32]>,
    ) -> (u32, Option<Point>) {
        let position = published.position();
        let Some(known) = known else {
            let device = self.devices.len() as u32;
            let place = self.grid.insert(device, position.point(), number);
            self.devices.push(Device { changed: number, published: published.clone(), places, place });
            self.by_id.insert(position.device_id.clone(), device);
            return (device, None);
        };
        let device = &mut self.devices[known as usize];
        let before = device.published.position().point();
        let (place, displaced) = self.grid.change(device.place, known, position.point(), number);
        *device = Device { changed: number, published: published.clone(), places, place };
        if let Some(grid::Displaced { device, place }) = displaced {
            self.devices[device as usize].place = place;
        }
        (known, Some(before))
    }

    fn device(&self, id: &str) -> Option<&Device> {
        self.by_id.get(id).map(|device| &self.devices[*device as usize])
    }

    /// How many devices are inside an area.
    pub(super) fn count_inside(&self, area: Bounds) -> Inside {
        self.grid.count(area)
    }

    /// The devices inside an area.
    pub(super) fn inside(&self, area: Bounds) -> Vec<u32> {
        self.grid.inside(area, None)
    }

    /// The devices inside an area and not inside `except`.
    pub(super) fn inside_except(&self, area: Bounds, except: Bounds) -> Vec<u32> {
        self.grid.inside(area, Some(except))
    }

    /// The devices inside an area that are not inside `except`, or have changed after update `since`.
    pub(super) fn inside_or_changed(&self, area: Bounds, except: Bounds, since: u64) -> Vec<u32> {
        let mut inside = self.inside(area);
        inside.retain(|device| {
            let Device { published, changed, .. } = &self.devices[*device as usize];
            *changed > since || !except.contains(published.position().point())
        });
        inside
    }

    /// The devices inside an area that changed after update `since`.
    pub(super) fn changed_inside(&self, area: Bounds, since: u64) -> Vec<u32> {
        self.grid.changed_inside(area, since)
    }

    /// True if a device is inside an area.
    pub(super) fn is_inside(&self, device: u32, area: Bounds) -> bool {
        area.contains(self.devices[device as usize].published.position().point())
    }

    /// The number of a device's last update.
    pub(super) fn changed_at(&self, device: u32) -> u64 {
        self.devices[device as usize].changed
    }

    /// The id of a device.
    pub(super) fn id(&self, device: u32) -> &Arc<str> {
        &self.devices[device as usize].published.position().device_id
    }

    /// What is to be told of a device in an area now: where it is, or that it has left.
    pub(super) fn change_in(&self, device: u32, area: Bounds) -> Change {
        let Device { changed, published, .. } = &self.devices[device as usize];
        let update = if area.contains(published.position().point()) { Update::At } else { Update::Left };
        Change { number: *changed, update: update(published.clone()) }
    }

    /// The positions of those of the devices that are inside an area, as JSON (see [`encode`]).
    pub(super) fn encode_devices(&self, devices: impl IntoIterator<Item = u32>, area: Bounds) -> Vec<u8> {
        let published = devices.into_iter().map(|device| &self.devices[device as usize].published);
        encode(published.filter(|published| area.contains(published.position().point())))
    }

    /// How many slices a topic has; more than one only for an event with many devices. An area has none: see `Listing`.
    pub(super) fn slices(&self, topic: &Topic) -> usize {
        match topic {
            Topic::Device(_) => 1,
            Topic::Event(event) => self.events.get(event).map_or(0, Roster::slices),
            Topic::Area(_) => 0,
        }
    }

    /// The number of the last update in a slice of a topic; 0 if there was none.
    pub(super) fn changed(&self, topic: &Topic, slice: usize) -> u64 {
        match topic {
            Topic::Device(id) => self.device(id).map_or(0, |device| device.changed),
            Topic::Event(event) => self.events.get(event).map_or(0, |roster| roster.changed(slice)),
            Topic::Area(_) => 0,
        }
    }

    /// What changed in a slice of a topic after update `since`.
    pub(super) fn changes(&self, topic: &Topic, slice: usize, since: u64) -> Vec<Change> {
        match topic {
            Topic::Device(id) => {
                let device = self.device(id).filter(|device| device.changed > since);
                let change = |device: &Device| Change {
                    number: device.changed,
                    update: Update::At(device.published.clone()),
                };
                device.map(change).into_iter().collect()
            }
            Topic::Event(event) => {
                let roster = self.events.get(event).into_iter();
                let changes = roster.flat_map(|roster| roster.changes(slice, since));
                changes.map(|(number, update)| Change { number, update: update.clone() }).collect()
            }
            Topic::Area(_) => Vec::new(),
        }
    }

    /// The positions in a slice of a topic, as a piece of a snapshot.
    pub(super) fn encode(&mut self, topic: &Topic, slice: usize, form: SnapshotForm, means: &Means) -> Bytes {
        match topic {
            Topic::Event(event) => match self.events.get_mut(event) {
                Some(roster) if slice < roster.slices() => roster.encode(slice, form, means),
                _ => form.piece(Vec::new()).into(),
            },
            Topic::Device(id) => form.piece(encode(self.device(id).map(|device| &device.published))).into(),
            Topic::Area(_) => form.piece(Vec::new()).into(),
        }
    }

    /// A subscription has to be told of all that changes in a topic, also of who leaves, until [`Latest::unwatch`].
    pub(super) fn watch(&mut self, topic: &Topic) {
        if let Topic::Event(event) = topic {
            self.events.entry(event.clone()).or_default().watch();
        }
    }

    /// It is done; all others were told up to update `told`.
    pub(super) fn unwatch(&mut self, topic: &Topic, told: u64) {
        self.with_roster(topic, |roster| roster.unwatch(told));
    }

    /// All subscribers of an event were told up to update `told`, or noted as being behind.
    pub(super) fn told(&mut self, topic: &Topic, told: u64) {
        self.with_roster(topic, |roster| roster.told(told));
    }

    /// Nobody is subscribed to a topic any more.
    pub(super) fn forget_encoded(&mut self, topic: &Topic) {
        self.with_roster(topic, Roster::forget_encoded);
    }

    #[cfg(test)]
    pub(super) fn remembers_nobody_who_left(&self) -> bool {
        self.events.values().all(|roster| roster.departed() == 0)
    }

    fn with_roster(&mut self, topic: &Topic, change: impl FnOnce(&mut Roster)) {
        let Topic::Event(event) = topic else { return };
        let Some(roster) = self.events.get_mut(event) else { return };
        change(roster);
        if roster.is_empty() {
            self.events.remove(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Position, Timestamp};

    fn published(second: u64, topics: &str) -> Arc<Published> {
        let json = format!(
            r#"{{"device_id":"1","timestamp":"2026-01-02T03:04:{second:02}Z","latitude":1,"longitude":2,"topics":[{topics}]}}"#
        );
        Published::new(Position::from_json(&json, Timestamp::now()).unwrap(), Instant::now())
    }

    #[test]
    fn tells_which_events_a_device_left_and_forgets_empty_ones() {
        let mut latest = Latest::default();
        let mut number = 0;
        let mut apply = |latest: &mut Latest, topics: &str| {
            number += 1;
            let Applied { left, .. } = latest.apply(number, &published(number, topics));
            left.iter().for_each(|topic| latest.told(topic, number));
            left.iter().map(Topic::to_string).collect::<Vec<_>>()
        };
        assert_eq!(apply(&mut latest, r#""event:a""#), [""; 0]);
        assert_eq!(apply(&mut latest, r#""event:b","event:a""#), [""; 0]);
        assert_eq!(apply(&mut latest, r#""event:b""#), ["event:a"]);
        assert_eq!(latest.events.len(), 1);
        assert_eq!(apply(&mut latest, ""), ["event:b"]);
        assert_eq!(latest.events.len(), 0);
    }

    #[test]
    fn changes_are_the_newest_updates_only() {
        let mut latest = Latest::default();
        let topic = Topic::parse("event:a").unwrap();
        latest.apply(1, &published(1, r#""event:a""#));
        latest.apply(2, &published(2, r#""event:a""#));
        let second = |changes: &[Change]| match changes {
            [Change { number, update: Update::At(published) }] => {
                (*number, false, published.position().timestamp.to_string())
            }
            [Change { number, update: Update::Left(published) }] => {
                (*number, true, published.position().timestamp.to_string())
            }
            other => panic!("{other:?}"),
        };
        let newest = (2, false, "2026-01-02T03:04:02.000Z".to_owned());
        assert_eq!(second(&latest.changes(&topic, 0, 0)), newest);
        assert_eq!(latest.changed(&topic, 0), 2);
        assert!(latest.changes(&topic, 0, 2).is_empty());
        latest.apply(3, &published(3, ""));
        let left = (3, true, "2026-01-02T03:04:03.000Z".to_owned());
        assert_eq!(second(&latest.changes(&topic, 0, 2)), left);
    }
}
