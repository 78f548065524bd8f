//! `Interest`: which subscriptions there are for which topic, found by the topic's exact name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::subscription::Subscription;
use crate::domain::{Position, Topic};
use crate::live::outbox::{Outbox, SubscriptionId};

/// A subscription in its topic's list. What the fan-out needs of it stands here, side by side with the others'.
pub(super) struct Member {
    /// The last update that it has, or must not get as its snapshot held it already; [`BEHIND`] while it is caught up.
    pub(super) seen: u64,
    pub(super) id: SubscriptionId,
    pub(super) outbox: Rc<Outbox>,
    pub(super) subscription: Rc<Subscription>,
}

/// The fan-out does not deliver to such a member.
pub(super) const BEHIND: u64 = u64::MAX;

/// Who is subscribed to one topic. Borrowed for a stride at a time: it may change in between.
pub(super) type Members = Rc<RefCell<Vec<Member>>>;

/// The members of every topic that has any.
#[derive(Default)]
pub(super) struct Interest {
    devices: HashMap<Arc<str>, Members>,
    events: HashMap<Arc<str>, Members>,
}

impl Interest {
    /// The members of a topic.
    pub(super) fn members(&self, topic: &Topic) -> Option<&Members> {
        match topic {
            Topic::Device(id) => self.devices.get(id),
            Topic::Event(id) => self.events.get(id),
        }
    }

    /// Those of the topics that a position goes to which have members.
    pub(super) fn reached_by<'a>(
        &'a self,
        position: &'a Position,
    ) -> impl Iterator<Item = (Topic, &'a Members)> {
        let device = self.devices.get(&position.device_id);
        let device = device.map(|members| (Topic::Device(position.device_id.clone()), members));
        let named = position.topics.iter();
        let events = named.filter_map(|topic| Some((topic.clone(), self.members(topic)?)));
        device.into_iter().chain(events)
    }

    /// Adds a subscription that has everything up to update `seen`.
    pub(super) fn join(&mut self, subscription: &Rc<Subscription>, seen: u64) {
        let (of_kind, name) = self.of_kind(&subscription.topic);
        let mut members = of_kind.entry(name.clone()).or_default().borrow_mut();
        subscription.place.set(members.len());
        let outbox = subscription.subscriber.outbox.clone();
        members.push(Member { seen, id: subscription.id, outbox, subscription: subscription.clone() });
    }

    /// Takes a subscription away. True if it was the last of its topic.
    pub(super) fn leave(&mut self, subscription: &Subscription) -> bool {
        let (of_kind, name) = self.of_kind(&subscription.topic);
        let Some(members) = of_kind.get(name) else { return false };
        let mut list = members.borrow_mut();
        let place = subscription.place.get();
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            moved.subscription.place.set(place);
        }
        let last = list.is_empty();
        drop(list);
        if last {
            of_kind.remove(name);
        }
        last
    }

    /// Notes up to which update a subscription has everything.
    pub(super) fn set_seen(&self, subscription: &Subscription, seen: u64) {
        if let Some(members) = self.members(&subscription.topic)
            && let Some(member) = members.borrow_mut().get_mut(subscription.place.get())
        {
            member.seen = seen;
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.events.is_empty()
    }

    fn of_kind<'a>(&mut self, topic: &'a Topic) -> (&mut HashMap<Arc<str>, Members>, &'a Arc<str>) {
        match topic {
            Topic::Device(id) => (&mut self.devices, id),
            Topic::Event(id) => (&mut self.events, id),
        }
    }
}
