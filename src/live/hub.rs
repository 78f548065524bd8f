//! `Hub`: which of a worker's clients get what. All of it lives on its worker's thread, without locks.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::catchup::{CatchUp, Piece};
use super::client::Client;
use super::fanout::{BEHIND, Group, Member, Members, Round, STRIDE};
use super::latest::{Change, Latest};
use super::outbox::{Budget, Burst, Step, SubscriptionId};
use super::publish::{Inbox, Published};
use crate::domain::{Timestamp, Topic};
use crate::metrics::LiveMetrics;

/// Batches that may be staged; each is bounded by its inbox.
const MAX_STAGED: usize = 16;

/// One client's interest in one topic.
pub(crate) struct Subscription {
    id: SubscriptionId,
    pub(super) client: Rc<Client>,
    topic: Topic,
    /// Its place among the topic's members.
    place: Cell<usize>,
    /// What it still has to get before the fan-out delivers to it again.
    catch_up: RefCell<Option<Box<CatchUp>>>,
}

/// A worker's topics, their subscribers, and the latest position of each device.
pub struct Hub {
    metrics: Arc<LiveMetrics>,
    topics: RefCell<HashMap<Topic, Members>>,
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

/// Positions that are delivered together. Their updates are numbered one after the other.
struct Batch {
    /// The number of the first.
    first: u64,
    positions: Vec<Arc<Published>>,
    /// Events that a device left with one of them: its place among the positions, and the event.
    left: Vec<(usize, Topic)>,
}

impl Subscription {
    /// True while its snapshot is not sent as a whole.
    fn is_streaming(&self) -> bool {
        self.catch_up.borrow().as_ref().is_some_and(|catch_up| catch_up.is_streaming())
    }
}

impl Hub {
    pub(crate) fn new(
        metrics: Arc<LiveMetrics>,
        inbox: Arc<Inbox>,
        budget: Arc<Budget>,
        latest: &[Arc<Published>],
    ) -> Rc<Self> {
        let hub = Self {
            metrics,
            topics: RefCell::default(),
            latest: RefCell::default(),
            inbox,
            staged: RefCell::default(),
            number: Cell::new(0),
            told: Cell::new(0),
            next_id: Cell::new(0),
            budget,
        };
        latest.iter().for_each(|published| hub.latest.borrow_mut().apply(hub.count(), published, |_| ()));
        hub.told.set(hub.number.get());
        Rc::new(hub)
    }

    /// The number of the next update.
    fn count(&self) -> u64 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    /// Subscribes a client and answers with the latest position of every device in the topic: also of those that are
    /// published but not yet delivered, so that who posted a position and then subscribes finds it. `id` is echoed.
    ///
    /// # Errors
    /// [`TooManySubscriptions`] if the client has as many as it may; then it was not answered.
    pub fn subscribe(
        &self,
        client: &Rc<Client>,
        topic: &Topic,
        id: Option<&str>,
    ) -> Result<(), TooManySubscriptions> {
        if client.has_left() {
            // Its handler kept it beyond its end: what is sent to it goes nowhere, and nobody would count it out again.
            return Ok(());
        }
        // Beyond the bound the snapshot is a little older, and what it lacks follows as positions.
        if self.staged.borrow().len() < MAX_STAGED {
            self.stage();
        }
        let known = client.subscriptions.borrow().get(topic).cloned();
        let subscription = match known {
            Some(subscription) => {
                // What waits or is on its way is in the snapshot too, and must not come after it.
                client.outbox.forget(subscription.id);
                self.end_catch_up(&subscription);
                subscription
            }
            None => self.add(client, topic)?,
        };
        self.set_seen(&subscription, self.number.get());
        let slices = self.latest.borrow().slices(topic);
        if slices <= 1 {
            let positions = self.latest.borrow_mut().encode(topic, 0, &self.budget);
            client.subscribed(topic, id, positions);
        } else {
            let head = client.begin_snapshot(topic, id);
            self.begin_catch_up(&subscription, CatchUp::snapshot(head, self.number.get()));
        }
        Ok(())
    }

    fn add(&self, client: &Rc<Client>, topic: &Topic) -> Result<Rc<Subscription>, TooManySubscriptions> {
        let mut held = client.subscriptions.borrow_mut();
        let limit = client.settings.max_subscriptions;
        if held.len() >= limit {
            return Err(TooManySubscriptions(limit));
        }
        let mut topics = self.topics.borrow_mut();
        let mut members = topics.entry(topic.clone()).or_default().borrow_mut();
        let id = self.next_id.replace(self.next_id.get().wrapping_add(1));
        let subscription = Rc::new(Subscription {
            id,
            client: client.clone(),
            topic: topic.clone(),
            place: Cell::new(members.len()),
            catch_up: RefCell::default(),
        });
        let outbox = client.outbox.clone();
        members.push(Member { seen: self.number.get(), id, outbox, subscription: subscription.clone() });
        held.insert(topic.clone(), subscription.clone());
        self.metrics.subscriptions.inc();
        client.vitals.topics.store(held.len(), Ordering::Relaxed);
        Ok(subscription)
    }

    /// Ends a client's subscription, if it has it; nothing of the topic is sent to it after that.
    pub fn unsubscribe(&self, client: &Client, topic: &Topic) {
        let mut held = client.subscriptions.borrow_mut();
        if let Some(subscription) = held.remove(topic) {
            client.outbox.forget(subscription.id);
            self.remove(&subscription);
            client.vitals.topics.store(held.len(), Ordering::Relaxed);
        }
    }

    /// Ends all of a client's subscriptions: it is gone.
    pub(crate) fn leave(&self, client: &Client) {
        client.outbox.forget_all();
        let held = std::mem::take(&mut *client.subscriptions.borrow_mut());
        held.values().for_each(|subscription| self.remove(subscription));
        client.vitals.topics.store(0, Ordering::Relaxed);
        client.leave();
    }

    fn remove(&self, subscription: &Rc<Subscription>) {
        self.end_catch_up(subscription);
        self.metrics.subscriptions.dec();
        let mut topics = self.topics.borrow_mut();
        let Some(members) = topics.get(&subscription.topic) else { return };
        let mut list = members.borrow_mut();
        let place = subscription.place.get();
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            moved.subscription.place.set(place);
        }
        let last = list.is_empty();
        drop(list);
        if last {
            topics.remove(&subscription.topic);
            self.latest.borrow_mut().forget_encoded(&subscription.topic);
        }
    }

    fn set_seen(&self, subscription: &Subscription, seen: u64) {
        if let Some(members) = self.topics.borrow().get(&subscription.topic)
            && let Some(member) = members.borrow_mut().get_mut(subscription.place.get())
        {
            member.seen = seen;
        }
    }

    /// From now on a subscription is served by [`Hub::catch_up`], until it has everything.
    fn begin_catch_up(&self, subscription: &Rc<Subscription>, catch_up: CatchUp) {
        self.set_seen(subscription, BEHIND);
        self.latest.borrow_mut().watch(&subscription.topic);
        let mut behind = subscription.client.behind.borrow_mut();
        if catch_up.is_streaming() {
            // Snapshots come first, but nothing comes before the rest of one that is half sent.
            let place = usize::from(behind.front().is_some_and(|first| first.is_streaming()));
            behind.insert(place, subscription.clone());
        } else {
            behind.push_back(subscription.clone());
        }
        *subscription.catch_up.borrow_mut() = Some(Box::new(catch_up));
        subscription.client.outbox.wake();
    }

    fn end_catch_up(&self, subscription: &Rc<Subscription>) {
        if let Some(catch_up) = subscription.catch_up.borrow_mut().take() {
            let client = &subscription.client;
            client.behind.borrow_mut().retain(|behind| !Rc::ptr_eq(behind, subscription));
            if catch_up.is_streaming() {
                let end = catch_up.abandon();
                let another = client.behind.borrow().front().is_some_and(|first| first.is_streaming());
                // Where none of it was sent, another may be half sent, and goes on.
                if end.is_some() || !another {
                    client.outbox.end_stream(end);
                    self.go_on_streaming(client);
                }
            }
            self.latest.borrow_mut().unwatch(&subscription.topic, self.told.get());
        }
    }

    /// A snapshot of this client is at its end; if another is waiting, nothing may come between still.
    fn go_on_streaming(&self, client: &Client) {
        if client.behind.borrow().front().is_some_and(|first| first.is_streaming()) {
            client.outbox.begin_stream();
        }
    }

    /// Notes the subscriptions of this client that a burst did not fit for.
    fn fell_behind(&self, client: &Client) {
        for behind in client.outbox.take_behind() {
            self.metrics.conflated.inc_by(behind.dropped as u64);
            let held = client.subscriptions.borrow();
            let subscription = held.values().find(|held| held.id == behind.subscription).cloned();
            drop(held);
            if let Some(subscription) = subscription {
                self.begin_catch_up(&subscription, CatchUp::since(behind.since));
            }
        }
    }

    /// Sends a client the next piece of what it has not got yet, now that its outbox is empty. False if there is nothing,
    /// or no memory for it now; then `waker` is woken when there is.
    pub(crate) fn catch_up(&self, client: &Client, waker: &Waker) -> bool {
        let first = client.behind.borrow().front().cloned();
        let Some(subscription) = first else { return false };
        if !self.budget.has_room() {
            self.budget.wait(waker);
            return false;
        }
        let number = self.number.get();
        let piece = match subscription.catch_up.borrow_mut().as_mut() {
            Some(catch_up) => {
                catch_up.next(&subscription.topic, &mut self.latest.borrow_mut(), number, &self.budget)
            }
            None => Piece::Done,
        };
        match piece {
            Piece::Fragment { head, tail, last } => {
                client.outbox.fragment(head, tail, last);
                if last {
                    client.behind.borrow_mut().rotate_left(1);
                    self.go_on_streaming(client);
                }
            }
            Piece::Updates(changes) => {
                let left = changes.iter().filter(|change| change.left).count();
                self.metrics.count_updates(changes.len() - left, left);
                let step = |change: Change| Step::new(change.number, change.left, change.frame, &self.budget);
                client.outbox.catch_up(subscription.id, changes.into_iter().map(step));
                client.behind.borrow_mut().rotate_left(1);
            }
            Piece::Done => {
                self.end_catch_up(&subscription);
                self.set_seen(&subscription, number);
            }
        }
        true
    }

    /// Delivers what arrives at the inbox, for ever. What came in while a fan-out was under way goes out together.
    pub(crate) async fn run(&self) {
        loop {
            self.inbox.filled().await;
            while let Some(batch) = self.next_batch() {
                self.fan_out(&batch).await;
                // Batch after batch, each shorter than a slice, must not keep the thread to themselves.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes what is in the inbox into `latest`, as a batch of its own that is to be delivered.
    fn stage(&self) {
        let positions = self.inbox.take();
        if positions.is_empty() {
            return;
        }
        let mut batch = Batch { first: self.number.get() + 1, positions, left: Vec::new() };
        let mut latest = self.latest.borrow_mut();
        for (place, published) in batch.positions.iter().enumerate() {
            latest.apply(self.count(), published, |topic| batch.left.push((place, topic.clone())));
        }
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
        let groups = self.groups(batch);
        self.deliver(number, &groups).await;
        self.told.set(number);
        let mut latest = self.latest.borrow_mut();
        batch.left.iter().for_each(|(_, topic)| latest.told(topic, number));
        drop(latest);
        if groups.is_empty() {
            return;
        }
        let now = Timestamp::now().as_millis();
        for published in &batch.positions {
            self.metrics.delivery.observe(published.age().as_secs_f64());
            let age = now - published.position().timestamp.as_millis();
            self.metrics.position_age.observe(age.max(0) as f64 / 1000.0);
        }
    }

    async fn deliver(&self, number: u64, groups: &[Group]) {
        let mut round = Round::new(&self.metrics);
        let behind = |subscription: &Rc<Subscription>| self.fell_behind(&subscription.client);
        match groups {
            [] => {}
            [only] => only.deliver(number, &mut round, behind).await,
            several => {
                // A client of several of these topics gets them in one write.
                let mut corked = Vec::new();
                several.iter().for_each(|group| group.cork(number, &round, &mut corked));
                for stride in corked.chunks(STRIDE) {
                    stride.iter().for_each(|subscription| subscription.client.outbox.warm());
                    for subscription in stride {
                        let (delivery, frames) = subscription.client.outbox.uncork();
                        if round.delivered(subscription, delivery, frames) {
                            behind(subscription);
                        }
                    }
                    round.pause().await;
                }
            }
        }
    }

    /// Puts the updates of a batch together by topic, for the topics that have subscribers here.
    fn groups(&self, batch: &Batch) -> Vec<Group> {
        let topics = self.topics.borrow();
        let mut places: HashMap<&Topic, usize> = HashMap::new();
        let mut collected: Vec<(Members, Vec<Rc<Step>>)> = Vec::new();
        let mut left = batch.left.iter().peekable();
        for (place, published) in batch.positions.iter().enumerate() {
            let number = batch.first + place as u64;
            let leaves = std::iter::from_fn(|| left.next_if(|(at, _)| *at == place));
            let leaves = leaves.map(|(_, topic)| (topic, true));
            for (topic, is_left) in published.topics().map(|topic| (topic, false)).chain(leaves) {
                let index = match places.get(topic) {
                    Some(index) => *index,
                    None => {
                        let Some(members) = topics.get(topic) else { continue };
                        collected.push((members.clone(), Vec::new()));
                        places.insert(topic, collected.len() - 1);
                        collected.len() - 1
                    }
                };
                let frame = if is_left { published.left_frame(topic) } else { published.frame(topic) };
                collected[index].1.push(Step::new(number, is_left, frame, &self.budget));
            }
        }
        let group = |(members, steps)| Group { members, burst: Burst::new(steps) };
        collected.into_iter().map(group).collect()
    }
}

impl Batch {
    /// The number of its last update.
    fn last(&self) -> u64 {
        self.first + self.positions.len() as u64 - 1
    }
}

#[cfg(test)]
mod tests;
