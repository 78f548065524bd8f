//! `Hub`: which of a worker's clients get what; the fan-out. All of it lives on its worker's thread, without locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::client::Client;
use super::close;
use super::latest::Latest;
use super::outbox::{Burst, Delivery, Step, SubscriptionId};
use super::publish::{Inbox, Published};
use crate::domain::{Position, Timestamp, Topic};
use crate::metrics::LiveMetrics;

/// How long a fan-out may hold the worker's thread before pings, closes and other clients get their turn.
const SLICE: Duration = Duration::from_millis(1);

/// How many sockets are written between two looks at the clock.
const CLOCK_EVERY: usize = 16;

/// One client's interest in one topic.
pub(crate) struct Subscription {
    id: SubscriptionId,
    client: Rc<Client>,
    /// Its place in the topic's list.
    place: Cell<usize>,
    /// The last batch that it must not get: the snapshot already held it. `u64::MAX` once it has ended.
    after: Cell<u64>,
}

type Members = Rc<Vec<Rc<Subscription>>>;

/// A worker's topics, their subscribers, and the latest position of each device.
pub struct Hub {
    metrics: Arc<LiveMetrics>,
    /// The lists are copied on change while a fan-out walks over them.
    topics: RefCell<HashMap<Topic, Members>>,
    latest: RefCell<Latest>,
    /// The number of the batch that `latest` holds.
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

impl Hub {
    pub(crate) fn new(metrics: Arc<LiveMetrics>, latest: &[Position]) -> Rc<Self> {
        let hub = Self {
            metrics,
            topics: RefCell::default(),
            latest: RefCell::default(),
            batch: Cell::new(0),
            next_id: Cell::new(0),
        };
        let now = Instant::now();
        for position in latest {
            hub.latest.borrow_mut().apply(&Published::new(position.clone(), now));
        }
        Rc::new(hub)
    }

    /// Subscribes a client and returns the latest position of every device in the topic. What is delivered from
    /// now on is newer, so the answer must be sent before this thread does anything else.
    ///
    /// # Errors
    /// [`TooManySubscriptions`] if the client has as many as it may.
    pub fn subscribe(
        &self,
        client: &Rc<Client>,
        topic: &Topic,
    ) -> Result<Vec<Arc<Published>>, TooManySubscriptions> {
        let mut held = client.subscriptions.borrow_mut();
        if let Some(subscription) = held.get(topic) {
            // Positions that wait are in the snapshot too, and must not come after it.
            subscription.after.set(self.batch.get());
            client.outbox.forget(subscription.id);
        } else {
            let limit = client.settings.max_subscriptions;
            if held.len() >= limit {
                return Err(TooManySubscriptions(limit));
            }
            let mut topics = self.topics.borrow_mut();
            let members = Rc::make_mut(topics.entry(topic.clone()).or_default());
            let subscription = Rc::new(Subscription {
                id: self.next_id.replace(self.next_id.get().wrapping_add(1)),
                client: client.clone(),
                place: Cell::new(members.len()),
                after: Cell::new(self.batch.get()),
            });
            members.push(subscription.clone());
            held.insert(topic.clone(), subscription);
            self.metrics.subscriptions.inc();
            client.vitals.topics.store(held.len(), Ordering::Relaxed);
        }
        Ok(self.latest.borrow().of(topic))
    }

    /// Ends a client's subscription, if it has it; nothing of the topic is sent to it after that.
    pub fn unsubscribe(&self, client: &Client, topic: &Topic) {
        let mut held = client.subscriptions.borrow_mut();
        if let Some(subscription) = held.remove(topic) {
            self.remove(topic, &subscription);
            client.vitals.topics.store(held.len(), Ordering::Relaxed);
        }
    }

    /// Ends all of a client's subscriptions: it is gone.
    pub(crate) fn leave(&self, client: &Client) {
        let held = std::mem::take(&mut *client.subscriptions.borrow_mut());
        for (topic, subscription) in &held {
            self.remove(topic, subscription);
        }
        client.vitals.topics.store(0, Ordering::Relaxed);
    }

    fn remove(&self, topic: &Topic, subscription: &Subscription) {
        subscription.after.set(u64::MAX);
        subscription.client.outbox.forget(subscription.id);
        self.metrics.subscriptions.dec();
        let mut topics = self.topics.borrow_mut();
        let Some(members) = topics.get_mut(topic) else { return };
        let list = Rc::make_mut(members);
        let place = subscription.place.get();
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            moved.place.set(place);
        }
        if list.is_empty() {
            topics.remove(topic);
        }
    }

    /// Delivers what arrives at `inbox`, for ever. What came in while a fan-out was under way goes out together.
    pub(crate) async fn run(&self, inbox: &Inbox) {
        loop {
            inbox.filled().await;
            loop {
                let batch = inbox.take();
                if batch.is_empty() {
                    break;
                }
                self.fan_out(&batch).await;
            }
        }
    }

    async fn fan_out(&self, batch: &[Arc<Published>]) {
        let number = self.batch.get() + 1;
        self.batch.set(number);
        {
            let mut latest = self.latest.borrow_mut();
            batch.iter().for_each(|published| latest.apply(published));
        }
        let groups = self.groups(batch);
        let mut round = Round::new(&self.metrics);
        match &groups[..] {
            [] => return,
            [only] => {
                for subscription in only.members.iter() {
                    if subscription.after.get() < number {
                        let delivery = subscription.client.outbox.deliver(subscription.id, &only.burst);
                        round.delivered(&subscription.client, delivery, only.burst.steps.len());
                        round.pause().await;
                    }
                }
            }
            several => {
                // A client of several of these topics gets them in one write.
                let mut corked = Vec::new();
                for Group { members, burst } in several {
                    for subscription in members.iter() {
                        if subscription.client.outbox.cork(subscription.id, burst) {
                            corked.push(subscription.client.clone());
                        }
                    }
                }
                for client in corked {
                    let (delivery, frames) = client.outbox.uncork();
                    round.delivered(&client, delivery, frames);
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
        let mut collected: Vec<(Members, Vec<Step>)> = Vec::new();
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
                collected[place].1.push(Step { device, frame: published.frame(number).clone() });
            }
        }
        let burst = |steps: Vec<Step>| Rc::new(Burst { joined: join(&steps), steps });
        collected.into_iter().map(|(members, steps)| Group { members, burst: burst(steps) }).collect()
    }
}

fn join(steps: &[Step]) -> Bytes {
    if let [only] = steps {
        return only.frame.clone();
    }
    let mut joined = BytesMut::with_capacity(steps.iter().map(|step| step.frame.len()).sum());
    steps.iter().for_each(|step| joined.extend_from_slice(&step.frame));
    joined.freeze()
}

/// The bookkeeping of one fan-out: figures are summed up here and made known at its end.
struct Round<'a> {
    metrics: &'a LiveMetrics,
    frames_per_write: prometheus::local::LocalHistogram,
    frames: u64,
    writes: u64,
    since: Instant,
    count: usize,
}

impl<'a> Round<'a> {
    fn new(metrics: &'a LiveMetrics) -> Self {
        let frames_per_write = metrics.frames_per_write.local();
        Self { metrics, frames_per_write, frames: 0, writes: 0, since: Instant::now(), count: 0 }
    }

    fn delivered(&mut self, client: &Client, delivery: Delivery, frames: usize) {
        match delivery {
            Delivery::Written => {
                self.writes += 1;
                self.frames_per_write.observe(frames as f64);
            }
            Delivery::Waiting { conflated } => {
                self.metrics.conflated.inc_by(conflated as u64);
                self.metrics.outbox_bytes.observe(client.vitals.waiting() as f64);
            }
            Delivery::Overflow => client.close(close::TOO_SLOW),
            Delivery::Closed => return,
        }
        self.frames += frames as u64;
    }

    /// Lets others have the thread if this fan-out had it for long enough.
    async fn pause(&mut self) {
        self.count += 1;
        if self.count.is_multiple_of(CLOCK_EVERY) && self.since.elapsed() > SLICE {
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
