//! `Moved`: what is to be told of a topic at the next step of a cadence.
//!
//! There may be very many areas, each with thousands of devices that move, so for them only those that went out are kept:
//! who is inside and has moved is found when the area is served.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::update::Change;

/// What has changed since a topic was last served.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The newest update of each device. Nothing for an area.
    changes: HashMap<Arc<str>, Change>,
    /// The devices that went out of an area.
    went_out: HashSet<u32>,
    /// Those of whom it is being told now.
    telling: Rc<HashSet<u32>>,
}

impl Moved {
    /// Takes an update, which is newer than all before.
    pub(super) fn insert(&mut self, change: Change) {
        self.changes.insert(change.update.device_id().clone(), change);
    }

    /// Notes that a device went out of the area.
    pub(super) fn goes_out(&mut self, device: u32) {
        self.went_out.insert(device);
    }

    /// The devices that went out of the area and of whom not everyone was told.
    pub(super) fn untold(&self) -> impl Iterator<Item = u32> {
        self.went_out.iter().chain(&*self.telling).copied()
    }

    /// How many devices went out since the area was last served.
    pub(super) fn count_out(&self) -> usize {
        self.went_out.len()
    }

    /// Takes out all updates, in their order.
    pub(super) fn take(&mut self) -> Vec<Change> {
        // What was gathered once will be again; but a topic that was busy once does not keep the room for ever.
        let empty = HashMap::with_capacity(self.changes.len() / 2);
        let mut changes: Vec<_> = std::mem::replace(&mut self.changes, empty).into_values().collect();
        changes.sort_unstable_by_key(|change| change.number);
        changes
    }

    /// Nobody need be told of those that went out.
    pub(super) fn forget_out(&mut self) {
        self.went_out = HashSet::new();
    }

    /// The devices that went out, of whom it is told from now on, until [`Moved::told`].
    pub(super) fn tell_out(&mut self) -> Rc<HashSet<u32>> {
        self.telling = Rc::new(std::mem::take(&mut self.went_out));
        self.telling.clone()
    }

    /// Everyone was told.
    pub(super) fn told(&mut self) {
        self.telling = Rc::default();
    }
}
