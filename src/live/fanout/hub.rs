//! `Hub`: subscribes a worker's clients to topics, and delivers to them what is published. All of it lives on its
//! worker's thread, without locks.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use uuid::Uuid;

use super::batch::Batch;
use super::catchup::{CatchUp, Piece};
use super::delivery;
use super::interest::{BEHIND, Interest};
use super::latest::{Change, Latest};
use super::publish::Inbox;
use super::published::Published;
use super::subscription::{Subscriber, Subscription};
use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::outbox::{Budget, SubscriptionId, UpdateFrame};
use crate::live::wire::frame;
use crate::live::wire::outgoing::Outgoing;
use crate::metrics::LiveMetrics;

/// Batches that may be staged; each is bounded by its inbox.
const MAX_STAGED: usize = 16;

/// A worker's topics, their subscribers, and the latest position of each device.
pub struct Hub {
    metrics: Arc<LiveMetrics>,
    interest: RefCell<Interest>,
    /// Clients that are subscribed to something, by the id of their connection.
    subscribers: RefCell<HashMap<Uuid, Rc<Subscriber>>>,
    latest: RefCell<Latest>,
    /// What is to be delivered to this worker's clients.
    inbox: Arc<Inbox>,
    /// Batches that are in `latest` already but not yet delivered, because someone subscribed meanwhile.
    staged: RefCell<VecDeque<Batch>>,
    /// The number of the last update that `latest` holds.
    number: Cell<u64>,
    /// The number of the last update that was delivered.
    told: Cell<u64>,
    next_id: Cell<SubscriptionId>,
    budget: Arc<Budget>,
}

/// A client cannot be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this connection has {0} subscriptions, the most that are allowed; unsubscribe from one first")]
pub struct TooManySubscriptions(usize);

impl Hub {
    pub(crate) fn new(
        metrics: Arc<LiveMetrics>,
        inbox: Arc<Inbox>,
        budget: Arc<Budget>,
        latest: &[Arc<Published>],
    ) -> Rc<Self> {
        let hub = Self {
            metrics,
            interest: RefCell::default(),
            subscribers: RefCell::default(),
            latest: RefCell::default(),
            inbox,
            staged: RefCell::default(),
            number: Cell::new(0),
            told: Cell::new(0),
            next_id: Cell::new(0),
            budget,
        };
        for (number, published) in (1..).zip(latest) {
            hub.latest.borrow_mut().apply(number, published, |_| ());
            hub.number.set(number);
        }
        hub.told.set(hub.number.get());
        Rc::new(hub)
    }

    /// Subscribes a client and responds with the latest position of every device in the topic: also of those that are
    /// published but not yet delivered, so that who posted a position and then subscribes finds it. `id` is echoed.
    ///
    /// Does nothing for a client whose connection is closing or gone.
    ///
    /// # Errors
    /// [`TooManySubscriptions`] if the client has as many as it may; then it got no response.
    pub fn subscribe(
        &self,
        client: &Rc<Client>,
        topic: &Topic,
        id: Option<&str>,
    ) -> Result<(), TooManySubscriptions> {
        if !client.is_open() {
            // Nothing is sent to it any more; and nobody would count it out again, if its handler kept it beyond its end.
            return Ok(());
        }
        // Beyond the bound the snapshot is a little older, and what it lacks follows as positions.
        if self.staged.borrow().len() < MAX_STAGED {
            self.stage();
        }
        let Some(subscriber) = self.subscriber(client) else { return Ok(()) };
        let known = subscriber.held.borrow().get(topic).cloned();
        let subscription = match known {
            Some(subscription) => {
                // What waits or is on its way is in the snapshot too, and must not come after it.
                subscriber.outbox.forget(subscription.id);
                self.end_catch_up(&subscription);
                subscription
            }
            None => self.add(&subscriber, topic)?,
        };
        self.interest.borrow().set_seen(&subscription, self.number.get());
        self.send_snapshot(&subscription, id);
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
    ) -> Result<Rc<Subscription>, TooManySubscriptions> {
        let client = &subscriber.client;
        let mut held = subscriber.held.borrow_mut();
        let limit = client.settings.max_subscriptions;
        if held.len() >= limit {
            return Err(TooManySubscriptions(limit));
        }
        let id = self.next_id.replace(self.next_id.get().wrapping_add(1));
        let subscription = Subscription::new(id, subscriber.clone(), topic.clone());
        self.interest.borrow_mut().join(&subscription, self.number.get());
        held.insert(topic.clone(), subscription.clone());
        self.subscribers.borrow_mut().entry(client.id()).or_insert_with(|| subscriber.clone());
        self.metrics.subscriptions.inc();
        client.vitals.set_topics(held.len());
        Ok(subscription)
    }

    /// Responds to a subscription: at once, or where the topic is large, slice by slice.
    fn send_snapshot(&self, subscription: &Rc<Subscription>, id: Option<&str>) {
        let Subscription { subscriber, topic, .. } = &**subscription;
        let client = &subscriber.client;
        let name = topic.to_string();
        client.count(&Outgoing::Subscribed { topic: &name, id });
        let begin = client.encoding.snapshot_begin(&name, id);
        let slices = self.latest.borrow().slices(topic);
        if slices <= 1 {
            let positions = self.latest.borrow_mut().encode(topic, 0, &self.budget);
            subscriber.outbox.snapshot(frame::text_of(&begin, positions));
        } else {
            subscriber.outbox.begin_stream();
            self.begin_catch_up(subscription, CatchUp::snapshot(begin, self.number.get()));
        }
    }

    /// Ends a client's subscription, if it has it; nothing of the topic is sent to it after that.
    pub fn unsubscribe(&self, client: &Client, topic: &Topic) {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        let Some(subscriber) = known else { return };
        let ended = subscriber.held.borrow_mut().remove(topic);
        let Some(subscription) = ended else { return };
        subscriber.outbox.forget(subscription.id);
        self.remove(&subscription);
        let left = subscriber.held.borrow().len();
        client.vitals.set_topics(left);
        if left == 0 {
            self.subscribers.borrow_mut().remove(&client.id());
        }
    }

    /// Ends all of a client's subscriptions: it is gone.
    pub(crate) fn leave(&self, client: &Client) {
        let gone = self.subscribers.borrow_mut().remove(&client.id());
        let Some(subscriber) = gone else { return };
        subscriber.outbox.forget_all();
        let held = std::mem::take(&mut *subscriber.held.borrow_mut());
        held.values().for_each(|subscription| self.remove(subscription));
        client.vitals.set_topics(0);
    }

    fn remove(&self, subscription: &Rc<Subscription>) {
        self.end_catch_up(subscription);
        self.metrics.subscriptions.dec();
        if self.interest.borrow_mut().leave(subscription) {
            self.latest.borrow_mut().forget_encoded(&subscription.topic);
        }
    }

    /// From now on a subscription is served by [`Hub::catch_up`], until it has everything.
    fn begin_catch_up(&self, subscription: &Rc<Subscription>, catch_up: CatchUp) {
        self.interest.borrow().set_seen(subscription, BEHIND);
        self.latest.borrow_mut().watch(&subscription.topic);
        let subscriber = &subscription.subscriber;
        if catch_up.is_streaming() {
            // Snapshots come first, but nothing comes before the rest of one that is half sent.
            let place = usize::from(subscriber.is_streaming());
            subscriber.behind.borrow_mut().insert(place, subscription.clone());
        } else {
            subscriber.behind.borrow_mut().push_back(subscription.clone());
        }
        *subscription.catch_up.borrow_mut() = Some(Box::new(catch_up));
        subscriber.outbox.wake();
    }

    fn end_catch_up(&self, subscription: &Rc<Subscription>) {
        let ended = subscription.catch_up.borrow_mut().take();
        let Some(catch_up) = ended else { return };
        let subscriber = &subscription.subscriber;
        subscriber.behind.borrow_mut().retain(|behind| !Rc::ptr_eq(behind, subscription));
        if catch_up.is_streaming() {
            let end = catch_up.abandon();
            // Where none of it was sent, another may be half sent, and goes on.
            if end.is_some() || !subscriber.is_streaming() {
                subscriber.outbox.end_stream(end);
                self.go_on_streaming(subscriber);
            }
        }
        self.latest.borrow_mut().unwatch(&subscription.topic, self.told.get());
    }

    /// A snapshot of this client is at its end; if another is waiting, nothing may come between still.
    fn go_on_streaming(&self, subscriber: &Subscriber) {
        if subscriber.is_streaming() {
            subscriber.outbox.begin_stream();
        }
    }

    /// Notes the subscriptions of this client that a burst did not fit for.
    fn fell_behind(&self, subscriber: &Subscriber) {
        for behind in subscriber.outbox.take_behind() {
            self.metrics.conflated.inc_by(behind.dropped as u64);
            if let Some(subscription) = subscriber.subscription(behind.subscription) {
                self.begin_catch_up(&subscription, CatchUp::since(behind.since));
            }
        }
    }

    /// Sends a client the next piece of what it has not got yet, now that its outbox is empty. False if there is nothing,
    /// or no memory for it now; then `waker` is woken when there is.
    pub(crate) fn catch_up(&self, client: &Client, waker: &Waker) -> bool {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        let Some(subscriber) = known else { return false };
        let first = subscriber.behind.borrow().front().cloned();
        let Some(subscription) = first else { return false };
        if !self.budget.has_room_or_wakes(waker) {
            return false;
        }
        let number = self.number.get();
        match self.next_piece(&subscription, number) {
            Piece::Fragment { frame, last } => {
                subscriber.outbox.fragment(frame, last);
                if last {
                    subscriber.behind.borrow_mut().rotate_left(1);
                    self.go_on_streaming(&subscriber);
                }
            }
            Piece::Updates(changes) => {
                self.send_changes(&subscription, changes);
                subscriber.behind.borrow_mut().rotate_left(1);
            }
            Piece::Done => {
                self.end_catch_up(&subscription);
                self.interest.borrow().set_seen(&subscription, number);
            }
        }
        true
    }

    fn next_piece(&self, subscription: &Subscription, number: u64) -> Piece {
        match subscription.catch_up.borrow_mut().as_mut() {
            Some(catch_up) => {
                catch_up.next(&subscription.topic, &mut self.latest.borrow_mut(), number, &self.budget)
            }
            None => Piece::Done,
        }
    }

    fn send_changes(&self, subscription: &Subscription, changes: Vec<Change>) {
        let left = changes.iter().filter(|change| change.update.is_left()).count();
        self.metrics.count_updates(changes.len() - left, left);
        let encoding = subscription.subscriber.client.encoding;
        let frame = |Change { number, update }: Change| {
            let frame = update.frame(&subscription.topic, encoding)?;
            Some(UpdateFrame::new(number, update.is_left(), frame, &self.budget))
        };
        let frames = changes.into_iter().filter_map(frame);
        subscription.subscriber.outbox.catch_up(subscription.id, frames);
    }

    /// Delivers what arrives at the inbox, for ever. What came in while a fan-out was under way goes out together. What is
    /// staged is delivered first, also when an earlier run ended with a panic.
    pub(crate) async fn run(&self) {
        loop {
            while let Some(batch) = self.next_batch() {
                self.fan_out(&batch).await;
                // Batch after batch, each shorter than a slice, must not keep the thread to themselves.
                tokio::task::yield_now().await;
            }
            self.inbox.filled().await;
        }
    }

    /// Takes what is in the inbox into `latest`, as a batch of its own that is to be delivered.
    fn stage(&self) {
        let positions = self.inbox.take();
        if positions.is_empty() {
            return;
        }
        let batch = Batch::stage(positions, self.number.get() + 1, &mut self.latest.borrow_mut());
        self.number.set(batch.last());
        self.staged.borrow_mut().push_back(batch);
    }

    /// What was staged comes first. What is in the inbox stays there until then, as there it is put together, and shed if
    /// it is too much.
    fn next_batch(&self) -> Option<Batch> {
        if self.staged.borrow().is_empty() {
            self.stage();
        }
        self.staged.borrow_mut().pop_front()
    }

    async fn fan_out(&self, batch: &Batch) {
        let number = batch.last();
        let groups = batch.groups(&self.interest.borrow(), &self.budget);
        let behind = |subscriber: &Subscriber| self.fell_behind(subscriber);
        delivery::deliver(&groups, number, &self.metrics, behind).await;
        self.told.set(number);
        let mut latest = self.latest.borrow_mut();
        batch.left().for_each(|topic| latest.told(topic, number));
        drop(latest);
        batch.observe(&groups, &self.metrics);
    }
}

#[cfg(test)]
mod tests;
