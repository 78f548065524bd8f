//! `Moved`: what has changed in a topic since its subscriptions with a cadence were last served: the newest update of each
//! device.

use std::collections::HashMap;
use std::sync::Arc;

use super::latest::Change;
use super::update::Update;

/// The newest update of each device that has one.
#[derive(Debug, Default)]
pub(super) struct Moved {
    changes: HashMap<Arc<str>, Change>,
}

impl Moved {
    /// Takes an update, which is newer than all before. True if it is the first.
    pub(super) fn insert(&mut self, number: u64, update: Update) -> bool {
        let first = self.changes.is_empty();
        self.changes.insert(update.device_id().clone(), Change { number, update });
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Takes out all there is, in the order of the updates.
    pub(super) fn take(&mut self) -> Vec<Change> {
        // What was gathered once will be again; but a topic that was busy once does not keep the room for ever.
        let room = self.changes.len();
        let mut changes: Vec<_> =
            std::mem::replace(&mut self.changes, HashMap::with_capacity(room / 2)).into_values().collect();
        changes.sort_unstable_by_key(|change| change.number);
        changes
    }

    /// The devices that left after update `since`.
    pub(super) fn left(&self, since: u64) -> impl Iterator<Item = &Update> {
        let later = self.changes.values().filter(move |change| change.number > since);
        later.map(|change| &change.update).filter(|update| update.is_left())
    }
}
