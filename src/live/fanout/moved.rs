//! `Moved`: what is to be told of a topic at the next step of a cadence.
//!
//! There may be very many areas, so of them only the devices are kept: what is to be told of each is found when the area is
//! served.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::update::Change;

/// What has changed since a topic was last served.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The newest update of each device. Nothing for an area.
    changes: HashMap<Arc<str>, Change>,
    /// The devices that moved inside an area, into it or out of it.
    in_area: HashSet<u32>,
    /// Those of whom it is being told now.
    telling: Rc<HashSet<u32>>,
}

impl Moved {
    /// Takes an update, which is newer than all before.
    pub(super) fn insert(&mut self, change: Change) {
        self.changes.insert(change.update.device_id().clone(), change);
    }

    /// Notes that a device moved inside the area, into it or out of it.
    pub(super) fn insert_in_area(&mut self, device: u32) {
        self.in_area.insert(device);
    }

    /// The devices that moved and of whom not everyone was told.
    pub(super) fn untold(&self) -> impl Iterator<Item = u32> {
        self.in_area.iter().chain(&*self.telling).copied()
    }

    /// How many devices moved since the area was last served.
    pub(super) fn count_in_area(&self) -> usize {
        self.in_area.len()
    }

    /// Takes out all updates, in their order.
    pub(super) fn take(&mut self) -> Vec<Change> {
        // What was gathered once will be again; but a topic that was busy once does not keep the room for ever.
        let empty = HashMap::with_capacity(self.changes.len() / 2);
        let mut changes: Vec<_> = std::mem::replace(&mut self.changes, empty).into_values().collect();
        changes.sort_unstable_by_key(|change| change.number);
        changes
    }

    /// Nobody need be told of those that moved in the area.
    pub(super) fn forget_area(&mut self) {
        self.in_area = HashSet::new();
    }

    /// The devices that moved in the area, of whom it is told from now on, until [`Moved::told`].
    pub(super) fn tell_area(&mut self) -> Rc<HashSet<u32>> {
        self.telling = Rc::new(std::mem::take(&mut self.in_area));
        self.telling.clone()
    }

    /// Everyone was told.
    pub(super) fn told(&mut self) {
        self.telling = Rc::default();
    }
}
