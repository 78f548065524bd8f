//! `Round`: how a subscription of an area is caught up. An area has no roster whose slices could be gone through, so the devices
//! that are to be sent are listed, sent a piece at a time, and listed anew until there are none. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::latest::{Change, Latest};
use super::roster::SLICE;
use super::update::Update;
use crate::domain::Bounds;

/// What a subscription of an area still has to get.
#[derive(Debug)]
pub(super) struct Round {
    area: Bounds,
    /// Devices that were inside when they were listed and had changed since the list before.
    devices: Vec<u32>,
    /// The next of them that is to be sent.
    next: usize,
    /// The last update when they were listed: once all are sent, the client has everything up to it.
    listed: u64,
    /// Devices that went out, by their id, until the client is told.
    went_out: HashMap<Arc<str>, Change>,
    /// Those that went out up to this update need not be told.
    since: u64,
    /// More went out than are kept.
    is_lost: bool,
}

impl Round {
    /// For a subscription that got all updates up to `since`.
    pub(super) fn since(area: Bounds, since: u64) -> Self {
        Self::of(area, Vec::new(), since)
    }

    /// For a subscription that is to be sent these devices, listed after update `number`.
    pub(super) fn of(area: Bounds, devices: Vec<u32>, number: u64) -> Self {
        let went_out = HashMap::new();
        Self { area, devices, next: 0, listed: number, went_out, since: number, is_lost: false }
    }

    /// Notes that a device went out; `limit` is how many may be noted.
    pub(super) fn went_out(&mut self, change: &Change, limit: usize) {
        if change.number > self.since {
            self.went_out.insert(change.update.device_id().clone(), change.clone());
            if self.went_out.len() > limit {
                self.is_lost = true;
            }
        }
    }

    /// True if it cannot be known any more which devices the client has to be told of. It needs a new snapshot then.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The ids of those that went out and of whom the client was not told.
    pub(super) fn went_out_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.went_out.keys()
    }

    /// The next positions of a snapshot, as it ends with them; and whether they are the last.
    pub(super) fn encode(&mut self, latest: &Latest) -> (Vec<u8>, bool) {
        let some = self.take();
        let json = latest.encode_devices(some.iter().copied(), self.area);
        (json, self.next >= self.devices.len())
    }

    /// The next updates; none if the client has everything up to update `number`, which is the last that `latest` holds.
    pub(super) fn updates(&mut self, latest: &Latest, number: u64) -> Vec<Change> {
        let mut updates = self.told_of_those_that_went_out(latest);
        while updates.is_empty() {
            if self.next >= self.devices.len() {
                self.devices = latest.changed_inside(self.area, self.listed);
                (self.next, self.listed) = (0, number);
                if self.devices.is_empty() {
                    break;
                }
            }
            let some = self.take();
            updates.extend(some.iter().filter_map(|device| latest.change_inside(*device, self.area)));
        }
        updates
    }

    fn take(&mut self) -> Vec<u32> {
        let end = self.devices.len().min(self.next + SLICE);
        let some = self.devices[self.next..end].to_vec();
        self.next = end;
        some
    }

    fn told_of_those_that_went_out(&mut self, latest: &Latest) -> Vec<Change> {
        let some: Vec<_> = self.went_out.keys().take(SLICE).cloned().collect();
        let changes = some.iter().filter_map(|device| self.went_out.remove(device));
        // Who has come back is in the list, or will be.
        let mut changes: Vec<_> =
            changes.filter(|change| !latest.is_inside(change.update.device_id(), self.area)).collect();
        changes.sort_unstable_by_key(|change| change.number);
        debug_assert!(changes.iter().all(|change| matches!(change.update, Update::Left(_))));
        changes
    }
}
