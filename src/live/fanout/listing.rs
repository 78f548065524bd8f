//! `Listing`: how a subscription of an area is caught up. An area has no roster whose slices could be gone through, so the devices
//! that are to be sent are listed, sent a piece at a time, and listed anew until there are none. Pure.

use std::collections::HashSet;

use super::latest::Latest;
use super::roster::SLICE;
use super::update::Change;
use crate::domain::Bounds;

/// What a subscription of an area still has to get.
#[derive(Debug)]
pub(super) struct Listing {
    area: Bounds,
    /// Devices that were inside when they were listed and had changed since the list before; sorted.
    devices: Vec<u32>,
    /// For each piece of the list that was sent, the last update then.
    sent: Vec<u64>,
    /// The last update when they were listed: once all are sent, the client has everything up to it.
    listed: u64,
    /// The last update that the snapshot showed.
    shown: u64,
    /// Devices that went out, until the client is told.
    went_out: HashSet<u32>,
    /// Those that went out up to this update need not be told.
    since: u64,
    /// More went out than are kept.
    is_lost: bool,
}

impl Listing {
    /// For a subscription that got all updates up to `since`.
    pub(super) fn since(area: Bounds, since: u64) -> Self {
        Self::of(area, Vec::new(), since)
    }

    /// For a subscription that is to be sent these devices, listed after update `number`.
    pub(super) fn of(area: Bounds, mut devices: Vec<u32>, number: u64) -> Self {
        let went_out = HashSet::new();
        devices.sort_unstable();
        Self {
            area,
            devices,
            sent: Vec::new(),
            listed: number,
            shown: number,
            went_out,
            since: number,
            is_lost: false,
        }
    }

    /// Notes that a device went out with update `number`. If more than `limit` did, nothing is kept any more.
    pub(super) fn went_out(&mut self, device: u32, number: u64, limit: usize) {
        if number <= self.since || self.is_lost {
            return;
        }
        self.went_out.insert(device);
        if self.went_out.len() > limit {
            *self = Self { is_lost: true, ..Self::of(self.area, Vec::new(), self.shown) };
        }
    }

    /// The update up to which the client had everything, or gets it with its snapshot.
    pub(super) fn began_after(&self) -> u64 {
        self.since
    }

    /// The last update that its snapshot showed.
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// True if it cannot be known any more which devices the client has to be told of. It needs a new snapshot then.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Those that went out and of whom the client was not told.
    pub(super) fn untold(&self) -> impl Iterator<Item = u32> {
        self.went_out.iter().copied()
    }

    /// The next positions of a snapshot, as JSON; and whether they are the last.
    pub(super) fn encode(&mut self, latest: &Latest, number: u64) -> (Vec<u8>, bool) {
        self.shown = number;
        let some = self.take(number);
        let json = latest.encode_devices(some.iter().copied(), self.area);
        (json, self.is_sent())
    }

    /// The next updates up to update `number`, which is not before any that its snapshot showed; none if the client has
    /// everything up to it. What `latest` has beyond that comes by itself.
    pub(super) fn updates(&mut self, latest: &Latest, number: u64) -> Vec<Change> {
        let mut updates = self.told_of_those_that_went_out(latest, number);
        while updates.is_empty() {
            if self.is_sent() {
                self.list(latest, number);
                if self.devices.is_empty() {
                    break;
                }
            }
            let some = self.take(number);
            let inside = some.into_iter().filter(|device| latest.is_inside(*device, self.area));
            let changes = inside.map(|device| latest.change_in(device, self.area));
            updates.extend(changes.filter(|change| change.number <= number));
        }
        updates
    }

    /// Lists those that have changed since the last list, but for what was sent of them since.
    fn list(&mut self, latest: &Latest, number: u64) {
        let mut changed = latest.changed_inside(self.area, self.listed);
        changed.retain(|device| {
            latest.changed_at(*device) <= number
                && match self.devices.binary_search(device) {
                    Ok(place) => latest.changed_at(*device) > self.sent[place / SLICE],
                    Err(_) => true,
                }
        });
        changed.sort_unstable();
        (self.devices, self.sent, self.listed) = (changed, Vec::new(), number);
    }

    fn is_sent(&self) -> bool {
        self.sent.len() * SLICE >= self.devices.len()
    }

    /// The next piece of the list, which is sent after update `number`.
    fn take(&mut self, number: u64) -> Vec<u32> {
        let start = self.sent.len() * SLICE;
        let end = self.devices.len().min(start + SLICE);
        self.sent.push(number);
        self.devices[start..end].to_vec()
    }

    fn told_of_those_that_went_out(&mut self, latest: &Latest, number: u64) -> Vec<Change> {
        let some: Vec<_> = self.went_out.iter().take(SLICE).copied().collect();
        some.iter().for_each(|device| {
            self.went_out.remove(device);
        });
        // Who has come back is in the list, or will be.
        let outside = some.into_iter().filter(|device| !latest.is_inside(*device, self.area));
        // Of who went on since, it is told by the update up to which the client has everything.
        let change = |device| {
            let change = latest.change_in(device, self.area);
            Change { number: change.number.min(number), ..change }
        };
        let mut changes: Vec<_> = outside.map(change).collect();
        changes.sort_unstable_by_key(|change| change.number);
        changes
    }
}
