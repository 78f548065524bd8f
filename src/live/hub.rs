//! `Hub`: which of a worker's clients get what; the fan-out. All of it lives on its worker's thread, without locks.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::Client;
use super::close;
use super::latest::Latest;
use super::outbox::{Burst, Delivery, Outbox, Step, SubscriptionId};
use super::publish::{Inbox, Published};
use super::snapshot::{Snapshot, Snapshots};
use crate::domain::{Timestamp, Topic};
use crate::metrics::LiveMetrics;

/// How long a fan-out may hold the worker's thread before pings, closes and other clients get their turn.
const SLICE: Duration = Duration::from_millis(1);

/// How many sockets are written between two looks at the clock, and how many outboxes are fetched into the processor's
/// cache at the same time.
const STRIDE: usize = 16;

/// Batches that may be staged; each is bounded by its inbox.
const MAX_STAGED: usize = 16;

/// One client's interest in one topic.
pub(crate) struct Subscription {
    id: SubscriptionId,
    client: Rc<Client>,
    /// Its place among the topic's members.
    place: Cell<usize>,
}

/// A subscription in its topic's list. What the fan-out needs of it stands here, side by side with the others'.
struct Member {
    /// The last batch that it has, or must not get as its snapshot held it already.
    batch: u64,
    id: SubscriptionId,
    outbox: Rc<Outbox>,
    subscription: Rc<Subscription>,
}

/// Who is subscribed to one topic. Borrowed for a stride at a time: it may change in between.
type Members = Rc<RefCell<Vec<Member>>>;

/// A worker's topics, their subscribers, and the latest position of each device.
pub struct Hub {
    metrics: Arc<LiveMetrics>,
    topics: RefCell<HashMap<Topic, Members>>,
    latest: RefCell<Latest>,
    /// What is made of `latest` for those who subscribe.
    snapshots: RefCell<Snapshots>,
    /// What is to be delivered to this worker's clients.
    inbox: Arc<Inbox>,
    /// Batches that are in `latest` already but not yet delivered, because someone subscribed meanwhile.
    staged: RefCell<VecDeque<(u64, Vec<Arc<Published>>)>>,
    /// The number of the last batch that `latest` holds.
    batch: Cell<u64>,
    next_id: Cell<SubscriptionId>,
}

/// A client cannot be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this connection has {0} subscriptions, the most that are allowed; unsubscribe from one first")]
pub struct TooManySubscriptions(usize);

/// The positions of one batch that go to one topic with subscribers.
struct Group {
    members: Members,
    burst: Rc<Burst>,
}

impl Group {
    /// Writes to every member that has not got batch `number` yet, a stride at a time.
    ///
    /// From the end to the beginning, because between strides members may come and go. Those who come stand at the end,
    /// behind the walk, and have the batch from their snapshot. When one goes, the last takes its place: it may come
    /// to stand before the walk again though it was served, and then its `batch` says so.
    async fn deliver(&self, number: u64, round: &mut Round<'_>) {
        let mut end = usize::MAX;
        while end > 0 {
            {
                let mut members = self.members.borrow_mut();
                end = end.min(members.len());
                let start = end.saturating_sub(STRIDE);
                let stride = &mut members[start..end];
                stride.iter().for_each(|member| member.outbox.warm());
                for member in stride.iter_mut().filter(|member| member.batch < number) {
                    member.batch = number;
                    let delivery = member.outbox.deliver(member.id, &self.burst);
                    round.delivered(&member.subscription, delivery, self.burst.len());
                }
                end = start;
            }
            round.pause().await;
        }
    }

    /// Corks the burst for every member, and adds those that had nothing corked yet to `corked`.
    fn cork(&self, number: u64, corked: &mut Vec<(Rc<Outbox>, Rc<Subscription>)>) {
        for member in self.members.borrow_mut().iter_mut().filter(|member| member.batch < number) {
            member.batch = number;
            if member.outbox.cork(number, member.id, &self.burst) {
                corked.push((member.outbox.clone(), member.subscription.clone()));
            }
        }
    }
}

impl Hub {
    pub(crate) fn new(metrics: Arc<LiveMetrics>, inbox: Arc<Inbox>, latest: &[Arc<Published>]) -> Rc<Self> {
        let hub = Self {
            metrics,
            topics: RefCell::default(),
            latest: RefCell::default(),
            snapshots: RefCell::default(),
            inbox,
            staged: RefCell::default(),
            batch: Cell::new(0),
            next_id: Cell::new(0),
        };
        latest.iter().for_each(|published| hub.latest.borrow_mut().apply(published, |_| ()));
        Rc::new(hub)
    }

    /// Subscribes a client and returns the latest position of every device in the topic: also of those that are
    /// published but not yet delivered, so that who posted a position and then subscribes finds it. What is delivered
    /// from now on is newer, so the answer must be sent before this thread does anything else.
    ///
    /// # Errors
    /// [`TooManySubscriptions`] if the client has as many as it may.
    pub fn subscribe(
        &self,
        client: &Rc<Client>,
        topic: &Topic,
    ) -> Result<Rc<Snapshot>, TooManySubscriptions> {
        if client.has_left() {
            // Its handler kept it beyond its end: what is sent to it goes nowhere, and nobody would count it out again.
            return Ok(Snapshot::new(topic, &[]));
        }
        // Beyond the bound the snapshot is a little older, and what it lacks follows as positions.
        if self.staged.borrow().len() < MAX_STAGED {
            self.stage();
        }
        let mut held = client.subscriptions.borrow_mut();
        let mut topics = self.topics.borrow_mut();
        if let Some(subscription) = held.get(topic) {
            // Positions that wait or are on their way are in the snapshot too, and must not come after it.
            client.outbox.forget(subscription.id);
            if let Some(members) = topics.get(topic) {
                members.borrow_mut()[subscription.place.get()].batch = self.batch.get();
            }
        } else {
            let limit = client.settings.max_subscriptions;
            if held.len() >= limit {
                return Err(TooManySubscriptions(limit));
            }
            let mut members = topics.entry(topic.clone()).or_default().borrow_mut();
            let id = self.next_id.replace(self.next_id.get().wrapping_add(1));
            let place = Cell::new(members.len());
            let subscription = Rc::new(Subscription { id, client: client.clone(), place });
            let outbox = client.outbox.clone();
            members.push(Member { batch: self.batch.get(), id, outbox, subscription: subscription.clone() });
            held.insert(topic.clone(), subscription);
            self.metrics.subscriptions.inc();
            client.vitals.topics.store(held.len(), Ordering::Relaxed);
        }
        Ok(self.snapshots.borrow_mut().of(topic, || self.latest.borrow().of(topic)))
    }

    /// Ends a client's subscription, if it has it; nothing of the topic is sent to it after that.
    pub fn unsubscribe(&self, client: &Client, topic: &Topic) {
        let mut held = client.subscriptions.borrow_mut();
        if let Some(subscription) = held.remove(topic) {
            client.outbox.forget(subscription.id);
            self.remove(topic, &subscription);
            client.vitals.topics.store(held.len(), Ordering::Relaxed);
        }
    }

    /// Ends all of a client's subscriptions: it is gone.
    pub(crate) fn leave(&self, client: &Client) {
        client.outbox.forget_all();
        let held = std::mem::take(&mut *client.subscriptions.borrow_mut());
        for (topic, subscription) in &held {
            self.remove(topic, subscription);
        }
        client.vitals.topics.store(0, Ordering::Relaxed);
        client.leave();
    }

    fn remove(&self, topic: &Topic, subscription: &Subscription) {
        self.metrics.subscriptions.dec();
        let mut topics = self.topics.borrow_mut();
        let Some(members) = topics.get(topic) else { return };
        let mut list = members.borrow_mut();
        let place = subscription.place.get();
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            moved.subscription.place.set(place);
        }
        let last = list.is_empty();
        drop(list);
        if last {
            topics.remove(topic);
            self.snapshots.borrow_mut().forget(topic);
        }
    }

    /// Delivers what arrives at the inbox, for ever. What came in while a fan-out was under way goes out together.
    pub(crate) async fn run(&self) {
        loop {
            self.inbox.filled().await;
            while let Some((number, batch)) = self.next_batch() {
                self.fan_out(number, &batch).await;
                // Batch after batch, each shorter than a slice, must not keep the thread to themselves.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes what is in the inbox into `latest`, as a batch of its own that is to be delivered.
    fn stage(&self) {
        let batch = self.inbox.take();
        if batch.is_empty() {
            return;
        }
        let (mut latest, mut snapshots) = (self.latest.borrow_mut(), self.snapshots.borrow_mut());
        batch.iter().for_each(|published| latest.apply(published, |topic| snapshots.forget(topic)));
        self.batch.set(self.batch.get() + 1);
        self.staged.borrow_mut().push_back((self.batch.get(), batch));
    }

    /// What was staged comes first. What is in the inbox stays there until then, as there it is put together, and shed if
    /// it is too much.
    fn next_batch(&self) -> Option<(u64, Vec<Arc<Published>>)> {
        if self.staged.borrow().is_empty() {
            self.stage();
        }
        self.staged.borrow_mut().pop_front()
    }

    async fn fan_out(&self, number: u64, batch: &[Arc<Published>]) {
        let groups = self.groups(batch);
        let mut round = Round::new(&self.metrics);
        match &groups[..] {
            [] => return,
            [only] => only.deliver(number, &mut round).await,
            several => {
                // A client of several of these topics gets them in one write.
                let mut corked = Vec::new();
                several.iter().for_each(|group| group.cork(number, &mut corked));
                for stride in corked.chunks(STRIDE) {
                    stride.iter().for_each(|(outbox, _)| outbox.warm());
                    for (outbox, subscription) in stride {
                        let (delivery, frames) = outbox.uncork();
                        round.delivered(subscription, delivery, frames);
                    }
                    round.pause().await;
                }
            }
        }
        drop(round);
        let now = Timestamp::now().as_millis();
        for published in batch {
            self.metrics.delivery.observe(published.age().as_secs_f64());
            let age = now - published.position().timestamp.as_millis();
            self.metrics.position_age.observe(age.max(0) as f64 / 1000.0);
        }
    }

    /// Puts the positions of a batch together by topic, for the topics that have subscribers here.
    fn groups(&self, batch: &[Arc<Published>]) -> Vec<Group> {
        let topics = self.topics.borrow();
        let mut places: HashMap<&Topic, usize> = HashMap::new();
        let mut collected: Vec<(Members, Vec<Rc<Step>>)> = Vec::new();
        for published in batch {
            for (number, topic) in published.topics().enumerate() {
                let place = match places.get(topic) {
                    Some(place) => *place,
                    None => {
                        let Some(members) = topics.get(topic) else { continue };
                        collected.push((members.clone(), Vec::new()));
                        places.insert(topic, collected.len() - 1);
                        collected.len() - 1
                    }
                };
                let device = published.position().device_id.clone();
                collected[place].1.push(Step::new(device, published.frame(number).clone()));
            }
        }
        collected.into_iter().map(|(members, steps)| Group { members, burst: Burst::new(steps) }).collect()
    }
}

/// The bookkeeping of one fan-out: figures are summed up here and made known at its end.
struct Round<'a> {
    metrics: &'a LiveMetrics,
    frames_per_write: prometheus::local::LocalHistogram,
    frames: u64,
    writes: u64,
    since: Instant,
}

impl<'a> Round<'a> {
    fn new(metrics: &'a LiveMetrics) -> Self {
        let frames_per_write = metrics.frames_per_write.local();
        Self { metrics, frames_per_write, frames: 0, writes: 0, since: Instant::now() }
    }

    /// In the ordinary case the subscription is not looked at: that would be one more place in memory for each.
    fn delivered(&mut self, subscription: &Subscription, delivery: Delivery, frames: usize) {
        if frames == 0 {
            return; // all of it was forgotten before it could be sent
        }
        match delivery {
            Delivery::Written => {
                self.writes += 1;
                self.frames_per_write.observe(frames as f64);
            }
            Delivery::Waiting { conflated } => {
                self.metrics.conflated.inc_by(conflated as u64);
                self.metrics.outbox_bytes.observe(subscription.client.vitals.waiting() as f64);
            }
            Delivery::Overflow => subscription.client.close(close::TOO_SLOW),
            Delivery::Closed => return,
        }
        self.frames += frames as u64;
    }

    /// Lets others have the thread if this fan-out had it for long enough.
    async fn pause(&mut self) {
        if self.since.elapsed() > SLICE {
            tokio::task::yield_now().await;
            self.since = Instant::now();
        }
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.metrics.outbound.with_label_values(&["position"]).inc_by(self.frames);
        self.metrics.writes.inc_by(self.writes);
        // LocalHistogram makes its figures known when it is dropped.
    }
}
