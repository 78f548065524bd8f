//! What is special about areas: how many devices may be inside, and how one takes the place of another.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::{Hub, NotSubscribed};
use crate::domain::{Bounds, Topic};
use crate::live::fanout::batch::Batch;
use crate::live::fanout::catchup::CatchUp;
use crate::live::fanout::delivery;
use crate::live::fanout::latest::Inside;
use crate::live::fanout::listing::Listing;
use crate::live::fanout::mode::Mode;
use crate::live::fanout::roster::SLICE;
use crate::live::fanout::subscription::{Audience, BEHIND, Member, Subscriber, Subscription};
use crate::live::fanout::update::Change;
use crate::live::wire::frame::Place;
use crate::live::wire::snapshot::SnapshotForm;

/// So many areas of a connection may hold as many devices as may be inside of one.
const FULL_AREAS: usize = 10;

/// About how long the JSON of a position is.
const BYTES_PER_POSITION: usize = 150;

/// What looking at one device costs a client that asks for an area, as if so many bytes had been sent to it.
const BYTES_PER_LOOK: usize = 16;

impl Hub {
    /// How many devices are inside an area, if it may be subscribed to now.
    pub(super) fn check_area(
        &self,
        subscriber: &Subscriber,
        topic: &Topic,
        area: Bounds,
    ) -> Result<usize, NotSubscribed> {
        let Inside { inside, looked_at } = self.latest.borrow().count_inside(area);
        subscriber.outbox.charge(looked_at * BYTES_PER_LOOK);
        let limit = subscriber.client.settings.max_area_devices;
        if inside > limit {
            return Err(NotSubscribed::TooManyDevices { inside, limit });
        }
        // Each area is sent each position inside it, so what a connection costs grows with all of them together.
        let held = subscriber.held.borrow();
        let others =
            held.values().filter(|held| held.topic() != topic).map(|held| held.audience.inside.get());
        let (together, limit) = (inside + others.sum::<usize>(), limit.saturating_mul(FULL_AREAS));
        if together > limit {
            return Err(NotSubscribed::TooManyTogether { inside: together, limit });
        }
        Ok(inside)
    }

    /// Ends the subscriptions of those areas that have too many devices inside now.
    pub(super) fn end_overgrown(&self, grown: &[Rc<Audience>]) {
        for audience in grown {
            let (inside, limit) = (audience.inside.get(), most_devices(audience));
            if inside > limit {
                let message = NotSubscribed::TooManyDevices { inside, limit }.to_string();
                members(audience).for_each(|subscription| self.end_as_overgrown(&subscription, &message));
            }
        }
    }

    /// Where more devices moved in an area since it was last served than are to be kept, as very many went out, everyone gets a
    /// new snapshot.
    pub(super) fn relieve(&self, audiences: &[Rc<Audience>]) {
        for audience in audiences {
            if audience.moved.borrow().count_in_area() / 2 > most_devices(audience) {
                audience.moved.borrow_mut().forget_area();
                // Who is being caught up has notes of its own.
                let served = members(audience).filter(|subscription| subscription.seen() != BEHIND);
                served.for_each(|subscription| self.start_again(&subscription));
            }
        }
    }

    /// What has changed in an area since its audience was last served at its cadence, in the order of the updates. What was not
    /// dispatched yet comes with the next step.
    pub(super) fn moved_in_area(&self, audience: &Audience, area: Bounds) -> Vec<Change> {
        let moved = audience.moved.borrow_mut().tell_area();
        let (latest, dispatched) = (self.latest.borrow(), self.dispatched.get());
        let change = |device: &u32| {
            let change = latest.change_in(*device, area);
            let is_left = change.update.is_left();
            let number = if is_left { change.number.min(dispatched) } else { change.number };
            (number <= dispatched).then_some(Change { number, ..change })
        };
        let mut changes: Vec<_> = moved.iter().filter_map(change).collect();
        changes.sort_unstable_by_key(|change| change.number);
        changes
    }

    /// Notes which devices went out of an area whose subscription falls behind, in what was not delivered to it.
    pub(super) fn note_undelivered(&self, subscription: &Subscription, area: Bounds, since: u64) {
        self.each_undelivered(|batch| {
            batch.went_out(area, since).for_each(|device| subscription.went_out(device, u64::MAX));
        });
        let latest = self.latest.borrow();
        let moved = subscription.audience.moved.borrow();
        let outside = moved.untold().filter(|device| !latest.is_inside(*device, area));
        outside.for_each(|device| subscription.went_out(device, u64::MAX));
    }

    /// Puts the subscription of an area in the place of another's, and responds with what the client does not know yet.
    pub(super) fn replace(
        &self,
        old: &Rc<Subscription>,
        topic: &Topic,
        mode: Mode,
        inside: usize,
        id: Option<&str>,
    ) {
        let (Topic::Area(before), Topic::Area(now)) = (old.topic(), topic) else { return };
        let (before, now) = (before.bounds(), now.bounds());
        let subscriber = &old.subscriber;
        // What is on its way comes before the response.
        if delivery::uncork(subscriber, &self.means.metrics) {
            self.fell_behind(subscriber);
        }
        let left = self.not_inside_any_more(old, before, now);
        let devices = self.not_known_yet(old, before, now);
        let replaced = old.topic().clone();
        // What waits for the old one is older than the response and goes before it, whatever becomes of the new one.
        self.take_away(old, None);
        let subscription = self.put(subscriber, topic, mode, inside);
        self.send_devices(&subscription, devices, id, Some((&replaced, &left)));
    }

    /// The ids of devices that a client may know from an area and that are not inside `now`.
    fn not_inside_any_more(&self, old: &Subscription, before: Bounds, now: Bounds) -> Vec<Arc<str>> {
        let latest = self.latest.borrow();
        let mut left: HashSet<u32> = latest.inside_except(before, now).into_iter().collect();
        // Those that went out before the client was told.
        let since = if old.seen() == BEHIND { 0 } else { old.seen() };
        self.each_undelivered(|batch| left.extend(batch.went_out(before, since)));
        left.extend(old.audience.moved.borrow().untold());
        old.with_listing(|listing| left.extend(listing.untold()));
        let left = left.into_iter().filter(|device| !latest.is_inside(*device, now));
        left.map(|device| latest.id(device).clone()).collect()
    }

    /// The devices inside `now` that a client does not know from an area, or not as they are now.
    fn not_known_yet(&self, old: &Subscription, before: Bounds, now: Bounds) -> Vec<u32> {
        let latest = self.latest.borrow();
        let seen = old.seen();
        if seen == BEHIND {
            return latest.inside(now);
        }
        let mut is_up_to_date = old.audience.mode.cadence.is_none();
        self.each_undelivered(|_| is_up_to_date = false);
        if is_up_to_date {
            latest.inside_except(now, before)
        } else {
            latest.inside_or_changed(now, before, seen)
        }
    }

    fn each_undelivered(&self, each: impl FnMut(&Rc<Batch>)) {
        self.staged.borrow().iter().for_each(each);
    }

    /// Sends a client those of its areas anew whose snapshots were made after update `since`, or with it.
    pub(super) fn restart_areas(&self, subscriber: &Subscriber, since: u64) {
        let areas: Vec<_> = {
            let held = subscriber.held.borrow();
            let areas = held.values().filter(|held| held.topic().is_area());
            let is_newer = |area: &Subscription| area.snapshot_at.get() >= since;
            areas.filter(|area| !area.is_streaming() && is_newer(area)).cloned().collect()
        };
        areas.iter().for_each(|area| self.start_again(area));
    }

    /// Responds to the subscription of an area with these devices: at once, or a piece at a time.
    pub(super) fn send_devices(
        &self,
        subscription: &Rc<Subscription>,
        devices: Vec<u32>,
        id: Option<&str>,
        replaced: Option<(&Topic, &[Arc<str>])>,
    ) {
        let Topic::Area(area) = subscription.topic() else { return };
        let replaces = replaced.map(|(topic, _)| topic.clone());
        let begin = self.begin_snapshot(subscription, id, replaced);
        let outbox = &subscription.subscriber.outbox;
        let encoding = subscription.audience.mode.encoding;
        // Behind a snapshot that is on its way it is made when its turn comes: if it were older than what that one shows, its
        // client would forget devices that came meanwhile.
        if devices.len() <= SLICE && !subscription.subscriber.is_streaming() {
            let positions = self.latest.borrow().encode_devices(devices, area.bounds());
            let form = SnapshotForm::of(encoding, begin.len() + positions.len());
            if form == SnapshotForm::Deflated {
                // It is compressed for this client alone.
                outbox.charge(positions.len());
            }
            let piece = self.means.piece(form, positions);
            outbox.snapshot(form.fragment(Place::WHOLE, &begin, piece));
        } else {
            outbox.begin_stream();
            if encoding.takes_pieces() {
                outbox.charge(devices.len() * BYTES_PER_POSITION);
            }
            let listing = Listing::of(area.bounds(), devices, self.number.get());
            let form = SnapshotForm::of(encoding, usize::MAX);
            self.begin_catch_up(subscription, CatchUp::snapshot_of(listing, form, begin, replaces));
        }
    }
}

/// How many devices may be inside. The limit is the same for all.
fn most_devices(audience: &Audience) -> usize {
    let members = audience.members.borrow();
    let limit = |member: &Member| member.subscription.subscriber.client.settings.max_area_devices;
    members.first().map_or(usize::MAX, limit)
}

/// Its subscriptions now, whatever becomes of them.
fn members(audience: &Audience) -> impl Iterator<Item = Rc<Subscription>> + use<> {
    let members = audience.members.borrow();
    members.iter().map(|member| member.subscription.clone()).collect::<Vec<_>>().into_iter()
}
