//! `Hub`: subscribes a worker's clients to topics, and delivers to them what is published. All of it lives on its
//! worker's thread, without locks.

mod areas;
mod catching_up;
mod delivering;
mod narrowing;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use uuid::Uuid;

use super::batch::Batch;
use super::catchup::{Abandoned, CatchUp};
use super::interest::{Founding, Interest};
use super::latest::Latest;
use super::means::Means;
use super::mode::Mode;
use super::publish::Inbox;
use super::published::Published;
use super::subscription::{Subscriber, Subscription};
use super::ticks::Ticks;
use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::outbox::{Budget, SubscriptionId};
use crate::live::wire::cadence::Cadence;
use crate::live::wire::frame::Place;
use crate::live::wire::outgoing::Outgoing;
use crate::live::wire::snapshot::SnapshotForm;
use crate::metrics::LiveMetrics;

/// Batches that may be staged; each is bounded by its inbox.
const MAX_STAGED: usize = 16;

/// A worker's topics, their subscribers, and the latest position of each device.
pub struct Hub {
    means: Means,
    interest: RefCell<Interest>,
    /// Clients that are subscribed to something, by the id of their connection.
    subscribers: RefCell<HashMap<Uuid, Rc<Subscriber>>>,
    latest: RefCell<Latest>,
    /// What is to be delivered to this worker's clients.
    inbox: Arc<Inbox>,
    /// Batches that are in `latest` already but not yet delivered to all: the one under way, and those that were taken because
    /// someone subscribed meanwhile.
    staged: RefCell<VecDeque<Rc<Batch>>>,
    /// Woken when more is dispatched.
    awaiting_dispatch: RefCell<Vec<Waker>>,
    ticks: RefCell<Ticks>,
    /// The number of the last update that `latest` holds.
    number: Cell<u64>,
    /// The number of the last update of which it is known whom it concerns.
    dispatched: Cell<u64>,
    /// A batch is being dispatched.
    is_dispatching: Cell<bool>,
    /// The number of the last update that was delivered.
    told: Cell<u64>,
    next_id: Cell<SubscriptionId>,
    /// How many fan-outs there were.
    fan_outs: Cell<u64>,
}

/// How a client wants to be subscribed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Echoed in the response.
    pub id: Option<&'a str>,
    /// Updates come at most this often; `None`: as soon as there is one. The server may have a smallest step.
    pub cadence: Option<Cadence>,
    /// Positions that leave together are one message.
    pub batch: bool,
    /// The area whose place the topic, which is another area, takes.
    pub replaces: Option<&'a Topic>,
}

/// Why a client cannot be subscribed, or is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSubscribed {
    /// It has as many subscriptions as it may.
    #[error("this connection has {0} subscriptions, the most that are allowed; unsubscribe from one first")]
    TooManySubscriptions(usize),
    /// More devices are inside an area than may be.
    #[error("{inside} devices are inside this area, at most {limit} may be; ask for a smaller one")]
    TooManyDevices {
        /// How many are inside.
        inside: usize,
        /// How many may be.
        limit: usize,
    },
    /// More devices are inside all areas of the connection than may be.
    #[error(
        "{inside} devices are inside the areas of this connection together, at most {limit} may be; give up some first"
    )]
    TooManyTogether {
        /// How many are inside, each counted in each of its areas.
        inside: usize,
        /// How many may be.
        limit: usize,
    },
}

impl Hub {
    pub(crate) fn new(
        metrics: Arc<LiveMetrics>,
        inbox: Arc<Inbox>,
        budget: Arc<Budget>,
        latest: &[Arc<Published>],
    ) -> Rc<Self> {
        let hub = Self {
            means: Means { budget, metrics },
            interest: RefCell::default(),
            subscribers: RefCell::default(),
            latest: RefCell::default(),
            inbox,
            staged: RefCell::default(),
            awaiting_dispatch: RefCell::default(),
            ticks: RefCell::new(Ticks::new(Instant::now())),
            number: Cell::new(0),
            dispatched: Cell::new(0),
            is_dispatching: Cell::new(false),
            told: Cell::new(0),
            next_id: Cell::new(0),
            fan_outs: Cell::new(0),
        };
        for (number, published) in (1..).zip(latest) {
            hub.latest.borrow_mut().apply(number, published);
            hub.number.set(number);
        }
        hub.dispatched.set(hub.number.get());
        hub.told.set(hub.number.get());
        Rc::new(hub)
    }

    /// Says which of the workers this one is, so that what is served at a cadence is not written by all at the same
    /// instant. To be called before anyone subscribes.
    pub(crate) fn stagger(&self, worker: usize, workers: usize) {
        self.ticks.borrow_mut().stagger(worker, workers);
    }

    /// Subscribes a client and responds with the latest position of every device in the topic: also of those that are
    /// published but not yet delivered, so that who posted a position and then subscribes finds it. Who is subscribed to the
    /// topic already gets the same response, and is served as is asked for now.
    ///
    /// Does nothing for a client whose connection is closing or gone.
    ///
    /// # Errors
    /// [`NotSubscribed`] if the client has as many subscriptions as it may, or asks for an area with too many devices; then
    /// it got no response, and nothing has changed.
    pub fn subscribe(&self, client: &Rc<Client>, topic: &Topic, wish: Wish<'_>) -> Result<(), NotSubscribed> {
        if !client.is_open() {
            // Nothing is sent to it any more; and nobody would count it out again, if its handler kept it beyond its end.
            return Ok(());
        }
        // Beyond the bound the snapshot is a little older, and what it lacks follows as positions.
        if self.staged.borrow().len() < MAX_STAGED {
            self.stage();
        }
        let Some(subscriber) = self.subscriber(client) else { return Ok(()) };
        let inside = match topic {
            Topic::Area(area) => self.check_area(&subscriber, topic, area.bounds())?,
            Topic::Device(_) | Topic::Event(_) => 0,
        };
        let least = Cadence::at_least(client.settings.min_every_ms.into());
        let mode = Mode { cadence: wish.cadence.max(least), batch: wish.batch, encoding: client.encoding };
        let known = subscriber.held.borrow().get(topic).cloned();
        let replaced = wish.replaces.filter(|replaced| *replaced != topic);
        let replaced = replaced.and_then(|topic| subscriber.held.borrow().get(topic).cloned());
        let subscription = match (known, replaced) {
            (None, Some(replaced)) if !replaced.is_lost() => {
                self.replace(&replaced, topic, mode, inside, wish.id);
                return Ok(());
            }
            (None, Some(replaced)) => {
                // Nobody knows what its client knows of it.
                self.end_aloud(&replaced, wish.id);
                self.add(&subscriber, topic, mode, inside)?
            }
            (Some(known), replaced) => {
                // Two become one, and the snapshot is whole.
                replaced.iter().for_each(|replaced| self.end_aloud(replaced, wish.id));
                if known.audience.mode == mode {
                    // What waits or is on its way is in the snapshot too, and must not come after it.
                    subscriber.outbox.forget(known.id);
                    self.end_catch_up(&known);
                    known
                } else {
                    self.end(&known);
                    self.add(&subscriber, topic, mode, inside)?
                }
            }
            (None, None) => self.add(&subscriber, topic, mode, inside)?,
        };
        subscription.set_seen(self.number.get());
        self.send_snapshot(&subscription, wish.id);
        Ok(())
    }

    /// Finds or makes what is kept of a client; `None` if its connection has ended.
    fn subscriber(&self, client: &Rc<Client>) -> Option<Rc<Subscriber>> {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        known.or_else(|| Some(Subscriber::new(client.clone(), client.outbox()?)))
    }

    fn add(
        &self,
        subscriber: &Rc<Subscriber>,
        topic: &Topic,
        mode: Mode,
        inside: usize,
    ) -> Result<Rc<Subscription>, NotSubscribed> {
        let limit = subscriber.client.settings.max_subscriptions;
        if subscriber.held.borrow().len() >= limit {
            return Err(NotSubscribed::TooManySubscriptions(limit));
        }
        Ok(self.put(subscriber, topic, mode, inside))
    }

    /// Makes a subscription that has everything so far. `inside` is how many devices are, if it is of an area.
    fn put(&self, subscriber: &Rc<Subscriber>, topic: &Topic, mode: Mode, inside: usize) -> Rc<Subscription> {
        let id = self.next_id.replace(self.next_id.get().wrapping_add(1));
        let number = self.number.get();
        let audience = self.interest.borrow_mut().audience(topic, mode, |full| {
            let phase = mode.cadence.map(|cadence| self.ticks.borrow_mut().phase(cadence, full));
            Founding { phase: phase.unwrap_or_default(), inside, number }
        });
        let subscription = Subscription::new(id, subscriber.clone(), audience.clone());
        audience.join(&subscription, number);
        subscriber.hold(&subscription);
        self.subscribers.borrow_mut().entry(subscriber.client.id()).or_insert_with(|| subscriber.clone());
        self.means.metrics.subscriptions.inc();
        subscription
    }

    /// Responds to a subscription: at once, or where the topic is large, slice by slice.
    fn send_snapshot(&self, subscription: &Rc<Subscription>, id: Option<&str>) {
        let topic = subscription.topic();
        if let Topic::Area(area) = topic {
            let devices = self.latest.borrow().inside(area.bounds());
            return self.send_devices(subscription, devices, id, None);
        }
        let begin = self.begin_snapshot(subscription, id, None);
        let outbox = &subscription.subscriber.outbox;
        let encoding = subscription.audience.mode.encoding;
        let mut latest = self.latest.borrow_mut();
        if latest.slices(topic) <= 1 {
            let mut positions = latest.encode(topic, 0, SnapshotForm::Plain, &self.means);
            let form = SnapshotForm::of(encoding, positions.len());
            if form != SnapshotForm::Plain {
                positions = latest.encode(topic, 0, form, &self.means);
            }
            outbox.snapshot(form.fragment(Place::WHOLE, &begin, positions));
        } else {
            drop(latest);
            outbox.begin_stream();
            let form = SnapshotForm::of(encoding, usize::MAX);
            let catch_up = CatchUp::snapshot(topic, form, begin, self.number.get());
            self.begin_catch_up(subscription, catch_up);
        }
    }

    /// Counts the response to a subscription, and returns it up to its first position.
    fn begin_snapshot(
        &self,
        subscription: &Subscription,
        id: Option<&str>,
        replaced: Option<(&Topic, &[Arc<str>])>,
    ) -> Vec<u8> {
        subscription.snapshot_at.set(self.number.get());
        let Mode { cadence, batch, encoding } = subscription.audience.mode;
        let (topic, every_ms) = (subscription.topic().to_string(), cadence.map(Cadence::millis));
        let (replaces, left) = replaced.map(|(topic, left)| (topic.to_string(), left)).unzip();
        let replaces = replaces.as_deref();
        let left = left.as_ref().map(|left| left.iter().map(|device| &**device).collect());
        let subscribed = Outgoing::Subscribed { topic: &topic, id, every_ms, batch, replaces, left };
        subscription.subscriber.client.count(&subscribed);
        encoding.snapshot_begin(&subscribed)
    }

    /// Ends a client's subscription, if it has it; nothing of the topic is sent to it after that.
    pub fn unsubscribe(&self, client: &Client, topic: &Topic) {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        let Some(subscriber) = known else { return };
        let held = subscriber.held.borrow().get(topic).cloned();
        held.iter().for_each(|subscription| self.end(subscription));
    }

    /// Ends a subscription of a client that stays, and says so.
    fn end_aloud(&self, subscription: &Rc<Subscription>, id: Option<&str>) {
        self.end(subscription);
        let topic = &subscription.topic().to_string();
        subscription.subscriber.client.send(&Outgoing::Unsubscribed { topic, id });
    }

    /// Ends a subscription of a client that stays.
    fn end(&self, subscription: &Rc<Subscription>) {
        let dropped = subscription.subscriber.outbox.forget(subscription.id);
        self.take_away(subscription, dropped);
        self.forget_if_without(&subscription.subscriber);
    }

    /// Forgets a client that has no subscriptions.
    fn forget_if_without(&self, subscriber: &Subscriber) {
        if subscriber.held.borrow().is_empty() {
            self.subscribers.borrow_mut().remove(&subscriber.client.id());
        }
    }

    /// Takes a subscription from a client that stays. What waits for it still waits, but for what was dropped, from the update
    /// with this number on.
    fn take_away(&self, subscription: &Rc<Subscription>, dropped: Option<u64>) {
        if let Some(since) = self.detach(subscription, dropped) {
            self.restart_areas(&subscription.subscriber, since);
        }
    }

    /// The same, but leaves it to the caller to send areas anew: those whose snapshots were made after the update that is returned, or
    /// with it.
    fn detach(&self, subscription: &Rc<Subscription>, dropped: Option<u64>) -> Option<u64> {
        let subscriber = &subscription.subscriber;
        let missing = [dropped, subscription.with_listing(|listing| listing.began_after() + 1)];
        let abandoned = self.remove(subscription);
        subscriber.let_go(subscription);
        match (abandoned, subscription.topic()) {
            // Its client has forgotten, with it, devices that are in its other areas too.
            (Abandoned::HalfSent(_), Topic::Area(_)) => Some(0),
            (Abandoned::Unsent { replaces: Some(replaced) }, _) => {
                // That it was replaced is not said any more.
                let topic = &replaced.to_string();
                subscriber.client.send(&Outgoing::Unsubscribed { topic, id: None });
                None
            }
            // It may have been one that was to begin again.
            (Abandoned::Unsent { .. }, Topic::Area(_)) => Some(0),
            // It may have brought updates that are older than the snapshot of another area, and will not bring those that
            // put it right: they are not told yet, or its client did not get them.
            (_, Topic::Area(_)) => Some(missing.into_iter().flatten().fold(self.told.get() + 1, u64::min)),
            _ => None,
        }
    }

    /// Ends all of a client's subscriptions: it is gone.
    pub(crate) fn leave(&self, client: &Client) {
        let gone = self.subscribers.borrow_mut().remove(&client.id());
        let Some(subscriber) = gone else { return };
        subscriber.outbox.forget_all();
        let held = std::mem::take(&mut *subscriber.held.borrow_mut());
        held.values().for_each(|subscription| drop(self.remove(subscription)));
        client.vitals.set_topics(0, 0);
    }

    fn remove(&self, subscription: &Rc<Subscription>) -> Abandoned {
        let abandoned = self.end_catch_up(subscription);
        self.means.metrics.subscriptions.dec();
        if self.interest.borrow_mut().leave(subscription) {
            self.latest.borrow_mut().forget_encoded(subscription.topic());
        }
        abandoned
    }
}

#[cfg(test)]
mod tests;
