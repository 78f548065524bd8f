//! `Roster`: the devices of one event in places that do not move, with what changed when, and their snapshot in slices.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::means::Means;
use super::published::Published;
use super::update::Update;
use crate::live::wire::snapshot::SnapshotForm;

/// Places in one slice. A snapshot is encoded, kept and sent a slice at a time, so that neither the worker's thread nor
/// a client that does not read is given more than this at once (typically 40 KiB).
pub(super) const SLICE: usize = if cfg!(test) { 4 } else { 256 };

/// The devices of one event.
#[derive(Debug, Default)]
pub(super) struct Roster {
    places: Vec<Place>,
    slices: Vec<Slice>,
    /// Places without a device.
    free: Vec<u32>,
    /// Devices that have left, while someone may still have to be told. One that comes back gets its old place, so that
    /// whoever is told later hears of both in one step.
    departed: HashMap<Arc<str>, u32>,
    /// Subscriptions that are being caught up, or that get their snapshot.
    watchers: usize,
}

#[derive(Debug)]
struct Place {
    /// The number of the last update here.
    changed: u64,
    /// Who is here, or who has left and is still remembered; `None` if the place is free.
    update: Option<Update>,
}

#[derive(Debug, Default)]
struct Slice {
    /// The number of the last update in it.
    changed: u64,
    /// The positions in it as [`Roster::encode`] makes them, while nothing has changed.
    plain: Option<Bytes>,
    deflated: Option<Bytes>,
}

impl Slice {
    fn kept(&mut self, form: SnapshotForm) -> &mut Option<Bytes> {
        match form {
            SnapshotForm::Plain => &mut self.plain,
            SnapshotForm::Deflated => &mut self.deflated,
        }
    }
}

impl Roster {
    /// A device comes with a position; returns its place.
    pub(super) fn join(&mut self, number: u64, published: &Arc<Published>) -> u32 {
        let before = self.departed.remove(&published.position().device_id);
        let place = before.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.places.push(Place { changed: 0, update: None });
            if self.places.len() > self.slices.len() * SLICE {
                self.slices.push(Slice::default());
            }
            (self.places.len() - 1) as u32
        });
        self.put(place, number, Update::At(published.clone()));
        place
    }

    /// The device at `place` has a new position.
    pub(super) fn update(&mut self, place: u32, number: u64, published: &Arc<Published>) {
        self.put(place, number, Update::At(published.clone()));
    }

    /// The device at `place` has left with this position.
    pub(super) fn leave(&mut self, place: u32, number: u64, published: &Arc<Published>) {
        self.departed.insert(published.position().device_id.clone(), place);
        self.put(place, number, Update::Left(published.clone()));
    }

    fn put(&mut self, place: u32, number: u64, update: Update) {
        self.places[place as usize] = Place { changed: number, update: Some(update) };
        self.slices[place as usize / SLICE] = Slice { changed: number, plain: None, deflated: None };
    }

    /// Everyone was told up to update `number`; whoever left before it need not be remembered, unless someone watches.
    pub(super) fn told(&mut self, number: u64) {
        if self.watchers > 0 || self.departed.is_empty() {
            return;
        }
        let (places, free) = (&mut self.places, &mut self.free);
        self.departed.retain(|_, place| {
            let departed = &mut places[*place as usize];
            let still_needed = departed.changed > number;
            if !still_needed {
                departed.update = None;
                free.push(*place);
            }
            still_needed
        });
    }

    /// Someone has to be told of all that changes.
    pub(super) fn watch(&mut self) {
        self.watchers += 1;
    }

    /// One of those is done; everyone else was told up to update `told`.
    pub(super) fn unwatch(&mut self, told: u64) {
        self.watchers -= 1;
        self.told(told);
    }

    /// True if there is nobody in it and nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.watchers == 0 && self.free.len() == self.places.len()
    }

    #[cfg(test)]
    pub(super) fn departed(&self) -> usize {
        self.departed.len()
    }

    /// How many slices there are.
    pub(super) fn slices(&self) -> usize {
        self.slices.len()
    }

    /// The number of the last update in a slice.
    pub(super) fn changed(&self, slice: usize) -> u64 {
        self.slices[slice].changed
    }

    /// What changed in a slice after update `since`, with the numbers of the updates.
    pub(super) fn changes(&self, slice: usize, since: u64) -> impl Iterator<Item = (u64, &Update)> {
        let places = self.places.iter().skip(slice * SLICE).take(SLICE);
        let changed = places.filter(move |place| place.changed > since);
        changed.filter_map(|place| place.update.as_ref().map(|update| (place.changed, update)))
    }

    /// The positions in a slice, as a piece of a snapshot. Kept for the next who asks before they change, as long as there is
    /// memory to spare.
    pub(super) fn encode(&mut self, slice: usize, form: SnapshotForm, means: &Means) -> Bytes {
        if let Some(piece) = self.slices[slice].kept(form) {
            return piece.clone();
        }
        let published = self.changes(slice, 0).filter_map(|(_, update)| match update {
            Update::At(published) => Some(published),
            Update::Left(_) => None,
        });
        let piece = means.piece(form, encode(published));
        if means.budget.is_ample() {
            *self.slices[slice].kept(form) = Some(piece.clone());
        }
        piece
    }

    /// Nobody is subscribed any more.
    pub(super) fn forget_encoded(&mut self) {
        self.slices.iter_mut().for_each(|slice| (slice.plain, slice.deflated) = (None, None));
    }
}

/// Positions as JSON objects with commas between.
pub(super) fn encode<'a>(positions: impl IntoIterator<Item = &'a Arc<Published>>) -> Vec<u8> {
    let mut json = Vec::new();
    for position in positions.into_iter().filter_map(|published| published.json()) {
        if !json.is_empty() {
            json.push(b',');
        }
        json.extend_from_slice(position);
    }
    json
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Position, Timestamp};

    fn published(device: &str) -> Arc<Published> {
        let json = format!(
            r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}}"#
        );
        Published::new(Position::from_json(&json, Timestamp::now()).unwrap(), Instant::now())
    }

    fn seen(roster: &Roster, since: u64) -> Vec<String> {
        let all = (0..roster.slices()).flat_map(|slice| roster.changes(slice, since));
        let text = |(number, update): (u64, &Update)| match update {
            Update::At(published) => format!("{number} at {}", published.position().device_id),
            Update::Left(published) => format!("{number} left {}", published.position().device_id),
        };
        all.map(text).collect()
    }

    #[test]
    fn who_left_is_remembered_while_someone_has_to_be_told() {
        let mut roster = Roster::default();
        let a = roster.join(1, &published("a"));
        let b = roster.join(2, &published("b"));
        roster.watch();
        roster.leave(a, 3, &published("a"));
        roster.told(3);
        assert_eq!(seen(&roster, 0), ["3 left a", "2 at b"]);
        assert_eq!(roster.join(4, &published("a")), a);
        roster.leave(b, 5, &published("b"));
        roster.leave(a, 6, &published("a"));
        roster.unwatch(5);
        assert_eq!(seen(&roster, 2), ["6 left a"]);
        assert!(!roster.is_empty());
        roster.told(6);
        assert!(roster.is_empty());
        assert_eq!(roster.join(7, &published("c")), a);
    }

    #[test]
    fn a_slice_is_encoded_once_until_it_changes() {
        let mut roster = Roster::default();
        let means = Means::for_tests();
        for number in 0..=SLICE as u64 {
            roster.join(number + 1, &published(&number.to_string()));
        }
        assert_eq!(roster.slices(), 2);
        let first = roster.encode(0, SnapshotForm::Plain, &means);
        let json: serde_json::Value = serde_json::from_slice(&[br#"{"x":["#, &*first].concat()).unwrap();
        assert_eq!(json["x"].as_array().unwrap().len(), SLICE);
        roster.update(SLICE as u32, 1000, &published("256"));
        assert_eq!(roster.encode(0, SnapshotForm::Plain, &means).as_ptr(), first.as_ptr());
        roster.leave(0, 1001, &published("0"));
        let again = roster.encode(0, SnapshotForm::Plain, &means);
        assert!(again.len() < first.len() && roster.changed(0) == 1001);
        roster.forget_encoded();
        assert_ne!(roster.encode(0, SnapshotForm::Plain, &means).as_ptr(), again.as_ptr());
    }
}
