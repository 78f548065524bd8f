//! `Subscription`, `Subscriber`, `Audience`: one client's interest in one topic, all of one client's, all of one topic's that
//! are served alike.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use smallvec::SmallVec;

use super::catchup::CatchUp;
use super::listing::Listing;
use super::mode::Mode;
use super::moved::Moved;
use super::viewports::Crossing;

use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::outbox::{Outbox, SubscriptionId};

/// A client that is subscribed to something.
pub(super) struct Subscriber {
    pub(super) client: Rc<Client>,
    pub(super) outbox: Rc<Outbox>,
    pub(super) held: RefCell<HashMap<Topic, Rc<Subscription>>>,
    /// How many of them are of areas.
    areas: Cell<usize>,
    /// Subscriptions that have not got everything yet, in the order in which they are served.
    pub(super) behind: RefCell<VecDeque<Rc<Subscription>>>,
}

/// One client's interest in one topic.
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) subscriber: Rc<Subscriber>,
    /// All who are served like it, of the same topic.
    pub(super) audience: Rc<Audience>,
    /// Its place among the audience's members.
    pub(super) place: Cell<usize>,
    /// The last update when its snapshot was made, the first piece of it at least.
    pub(super) snapshot_at: Cell<u64>,
    /// What it still has to get before the fan-out delivers to it again.
    pub(super) catch_up: RefCell<Option<Box<CatchUp>>>,
}

/// A subscription in its audience's list. What the fan-out needs of it stands here, side by side with the others'.
pub(super) struct Member {
    /// The last update that it has, or must not get as its snapshot held it already; [`BEHIND`] while it is caught up.
    pub(super) seen: u64,
    pub(super) id: SubscriptionId,
    pub(super) outbox: Rc<Outbox>,
    pub(super) subscription: Rc<Subscription>,
}

/// The fan-out does not deliver to such a member.
pub(super) const BEHIND: u64 = u64::MAX;

/// So many subscriptions of one topic with the same cadence are served at the same instant, about 5 ms of work; the next ones at
/// another instant of the interval. All at once, the last of very many would wait for all others in each interval, and the thread
/// would rest in between. What is compressed is made for all together: that costs more than writing it to some thousands.
const MOST_MEMBERS: usize = if cfg!(test) { 2 } else { 1000 };

/// Subscriptions of one topic that are served alike and at the same time: all of them, or so many of those with a cadence.
pub(super) struct Audience {
    pub(super) topic: Topic,
    pub(super) mode: Mode,
    /// Borrowed for a stride at a time: it may change in between. Most areas have one, which stands here.
    pub(super) members: RefCell<SmallVec<[Member; 1]>>,
    /// How many of them are [`BEHIND`].
    pub(super) behind: Cell<usize>,
    /// Where in its interval it is served, if it has a cadence.
    pub(super) phase: Duration,
    /// What it is served next, if it has a cadence.
    pub(super) moved: RefCell<Moved>,
    /// It is to be served at its next tick.
    pub(super) is_scheduled: Cell<bool>,
    /// How many devices are inside, if it is of an area: as of update `counted`.
    pub(super) inside: Cell<usize>,
    pub(super) counted: Cell<u64>,
    /// Its number among the viewports, if it is of an area.
    pub(super) viewport: Cell<u32>,
    /// Its place among the audiences that the dispatch under way has found, if it is one of these.
    pub(super) collected: Cell<usize>,
}

impl Subscriber {
    pub(super) fn new(client: Rc<Client>, outbox: Rc<Outbox>) -> Rc<Self> {
        let (held, areas, behind) = (RefCell::default(), Cell::new(0), RefCell::default());
        Rc::new(Self { client, outbox, held, areas, behind })
    }

    /// Takes a subscription of it into its list.
    pub(super) fn hold(&self, subscription: &Rc<Subscription>) {
        let mut held = self.held.borrow_mut();
        held.insert(subscription.topic().clone(), subscription.clone());
        self.areas.set(self.areas.get() + subscription.is_of_area());
        self.note(&held);
    }

    /// Takes a subscription off its list.
    pub(super) fn let_go(&self, subscription: &Subscription) {
        let mut held = self.held.borrow_mut();
        held.remove(subscription.topic());
        self.areas.set(self.areas.get() - subscription.is_of_area());
        self.note(&held);
    }

    /// Its list has changed.
    fn note(&self, held: &HashMap<Topic, Rc<Subscription>>) {
        self.outbox.set_sole(held.len() <= 1);
        self.client.vitals.set_topics(held.len(), self.areas.get());
    }

    /// True while a snapshot is on its way that is not sent as a whole.
    pub(super) fn is_streaming(&self) -> bool {
        self.behind.borrow().front().is_some_and(|first| first.is_streaming())
    }

    /// True while a snapshot is half sent.
    pub(super) fn is_half_sent(&self) -> bool {
        let behind = self.behind.borrow();
        behind
            .front()
            .is_some_and(|first| first.catch_up.borrow().as_ref().is_some_and(|one| one.is_half_sent()))
    }

    /// Its subscription with this id.
    pub(super) fn subscription(&self, id: SubscriptionId) -> Option<Rc<Subscription>> {
        self.held.borrow().values().find(|held| held.id == id).cloned()
    }
}

impl Subscription {
    pub(super) fn new(id: SubscriptionId, subscriber: Rc<Subscriber>, audience: Rc<Audience>) -> Rc<Self> {
        let (place, snapshot_at, catch_up) = (Cell::new(0), Cell::new(0), RefCell::default());
        Rc::new(Self { id, subscriber, audience, place, snapshot_at, catch_up })
    }

    pub(super) fn topic(&self) -> &Topic {
        &self.audience.topic
    }

    /// 1 or 0.
    fn is_of_area(&self) -> usize {
        usize::from(self.topic().is_area())
    }

    /// True while its snapshot is not sent as a whole.
    pub(super) fn is_streaming(&self) -> bool {
        self.catch_up.borrow().as_ref().is_some_and(|catch_up| catch_up.is_streaming())
    }

    /// Does something with what it still has to get of an area; nothing if it is not caught up in one.
    pub(super) fn with_listing<T>(&self, with: impl FnOnce(&mut Listing) -> T) -> Option<T> {
        self.catch_up.borrow_mut().as_mut().and_then(|catch_up| catch_up.listing()).map(with)
    }

    /// True if it is caught up in an area, and it cannot be known any more what of.
    pub(super) fn is_lost(&self) -> bool {
        self.with_listing(|listing| listing.is_lost()).unwrap_or(false)
    }

    /// Notes that a device went out of its area, while it is caught up.
    pub(super) fn went_out(&self, device: u32, number: u64) {
        let limit = self.subscriber.client.settings.max_area_devices;
        self.with_listing(|listing| listing.went_out(device, number, limit));
    }

    /// The last update that it has; [`BEHIND`] while it is caught up.
    pub(super) fn seen(&self) -> u64 {
        self.audience.members.borrow()[self.place.get()].seen
    }

    /// Notes up to which update it has everything.
    pub(super) fn set_seen(&self, seen: u64) {
        let Audience { members, behind, .. } = &*self.audience;
        if let Some(member) = members.borrow_mut().get_mut(self.place.get()) {
            behind.set(behind.get() + usize::from(seen == BEHIND) - usize::from(member.seen == BEHIND));
            member.seen = seen;
        }
    }
}

impl Audience {
    /// True if another subscription may be served with those that it has.
    pub(super) fn has_room(&self) -> bool {
        let Mode { cadence, encoding, .. } = self.mode;
        cadence.is_none() || encoding.is_deflate() || self.members.borrow().len() < MOST_MEMBERS
    }

    /// Adds a subscription that has everything up to update `seen`.
    pub(super) fn join(&self, subscription: &Rc<Subscription>, seen: u64) {
        let mut members = self.members.borrow_mut();
        subscription.place.set(members.len());
        let outbox = subscription.subscriber.outbox.clone();
        members.push(Member { seen, id: subscription.id, outbox, subscription: subscription.clone() });
    }

    /// Takes a subscription away. True if it was the last.
    pub(super) fn leave(&self, subscription: &Subscription) -> bool {
        let mut members = self.members.borrow_mut();
        let place = subscription.place.get();
        let gone = members.swap_remove(place);
        self.behind.set(self.behind.get() - usize::from(gone.seen == BEHIND));
        if let Some(moved) = members.get(place) {
            moved.subscription.place.set(place);
        }
        members.is_empty()
    }

    /// Notes how many devices are inside after update `number`.
    pub(super) fn count(&self, number: u64, crossing: Crossing) {
        // What came before was counted when the first subscription came.
        if number > self.counted.get() {
            self.counted.set(number);
            match crossing {
                Crossing::In => self.inside.set(self.inside.get() + 1),
                Crossing::Out => self.inside.set(self.inside.get().saturating_sub(1)),
                Crossing::Within => {}
            }
        }
    }

    /// True if all its subscriptions are being caught up.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.get() == self.members.borrow().len()
    }

    /// The subscriptions that are being caught up.
    pub(super) fn each_behind(&self, mut each: impl FnMut(&Subscription)) {
        if self.behind.get() == 0 {
            return;
        }
        let members = self.members.borrow();
        members.iter().filter(|member| member.seen == BEHIND).for_each(|member| each(&member.subscription));
    }
}
