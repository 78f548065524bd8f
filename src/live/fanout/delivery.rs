//! How a batch is delivered: its updates are written to the members of their topics, a stride at a time, and counted.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::interest::{BEHIND, Member, Members};
use super::subscription::{Subscriber, Subscription};
use crate::live::outbox::{Burst, Count, Delivery, UpdateFrame};
use crate::metrics::LiveMetrics;

/// How long a fan-out may hold the worker's thread before pings, closes and other clients get their turn.
const SLICE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(1) };

/// How many sockets are written between two looks at the clock, and how many outboxes are fetched into the processor's
/// cache at the same time.
const STRIDE: usize = if cfg!(test) { 1 } else { 16 };

/// The updates of one batch that go to one topic with members.
pub(super) struct Group {
    members: Members,
    burst: Rc<Burst>,
    /// Places of its positions in the batch.
    positions: Vec<usize>,
    /// Some member was given it.
    delivered: Cell<bool>,
}

impl Group {
    pub(super) fn new(members: Members, updates: Vec<Rc<UpdateFrame>>, positions: Vec<usize>) -> Self {
        Self { members, burst: Burst::new(updates), positions, delivered: Cell::new(false) }
    }

    /// Places of its positions in the batch.
    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// True if some member was given it: not if all were behind or closing.
    pub(super) fn was_delivered(&self) -> bool {
        self.delivered.get()
    }

    /// Writes to every member that has not got update `number` yet; `behind` is told of those whose updates did not fit.
    async fn deliver(&self, number: u64, round: &mut Round<'_>, mut behind: impl FnMut(&Subscriber)) {
        let each = |round: &mut Round<'_>, member: &Member| {
            let delivery = member.outbox.deliver(member.id, &self.burst);
            self.note(delivery);
            let waiting = || member.subscription.subscriber.client.vitals.waiting();
            round.delivered(delivery, self.burst.count(), waiting)
        };
        self.walk(number, round, each, |subscription| behind(&subscription.subscriber)).await;
    }

    /// Corks the burst for every member; `first` is told of those that had nothing corked yet.
    async fn cork(&self, number: u64, round: &mut Round<'_>, first: impl FnMut(Rc<Subscription>)) {
        let each = |_: &mut Round<'_>, member: &Member| {
            let corked = member.outbox.cork(number, member.id, &self.burst);
            self.delivered.set(self.delivered.get() || corked.is_some());
            corked == Some(true)
        };
        self.walk(number, round, each, first).await;
    }

    fn note(&self, delivery: Delivery) {
        if delivery != Delivery::Closed {
            self.delivered.set(true);
        }
    }

    /// Goes through the members that have not got update `number` yet, a stride at a time, and pauses when the time is up.
    /// `then` is called after each stride for those for which `each` returned true.
    ///
    /// From the end to the beginning, because between strides members may come and go. Those who come stand at the end,
    /// behind the walk, and have the batch from their snapshot. When one goes, the last takes its place: it may come
    /// to stand before the walk again though it was served, and then its `seen` says so.
    async fn walk<'a>(
        &self,
        number: u64,
        round: &mut Round<'a>,
        mut each: impl FnMut(&mut Round<'a>, &Member) -> bool,
        mut then: impl FnMut(Rc<Subscription>),
    ) {
        let mut end = usize::MAX;
        while end > 0 {
            let mut chosen = Vec::new();
            {
                let mut members = self.members.borrow_mut();
                end = end.min(members.len());
                let start = end.saturating_sub(STRIDE);
                let stride = &mut members[start..end];
                stride.iter().for_each(|member| member.outbox.warm());
                for member in stride.iter_mut() {
                    if member.seen < number {
                        member.seen = number;
                        if each(round, member) {
                            chosen.push(member.subscription.clone());
                        }
                    } else if member.seen == BEHIND {
                        round.skipped(&member.subscription, self.burst.count());
                    }
                }
                end = start;
            }
            chosen.into_iter().for_each(&mut then);
            round.pause().await;
        }
    }
}

/// Writes a batch, whose last update is `number`, to the members of its groups; `behind` is told of those whose updates
/// did not fit.
pub(super) async fn deliver(
    groups: &[Group],
    number: u64,
    metrics: &LiveMetrics,
    mut behind: impl FnMut(&Subscriber),
) {
    let mut round = Round::new(metrics);
    match groups {
        [] => {}
        [only] => only.deliver(number, &mut round, behind).await,
        several => {
            // A client of several of these topics gets them in one write.
            let mut corked = Vec::new();
            for group in several {
                group
                    .cork(number, &mut round, |first| {
                        corked.push(Rc::downgrade(&first.subscriber));
                    })
                    .await;
            }
            for stride in corked.chunks(STRIDE) {
                // Those that have gone meanwhile are not kept.
                let stride: Vec<_> = stride.iter().filter_map(Weak::upgrade).collect();
                stride.iter().for_each(|subscriber| subscriber.outbox.warm());
                for subscriber in stride {
                    let (delivery, count) = subscriber.outbox.uncork();
                    if round.delivered(delivery, count, || subscriber.client.vitals.waiting()) {
                        behind(&subscriber);
                    }
                }
                round.pause().await;
            }
        }
    }
}

/// The bookkeeping of one fan-out: figures are summed up here and made known at its end.
struct Round<'a> {
    metrics: &'a LiveMetrics,
    frames_per_write: prometheus::local::LocalHistogram,
    sent: Count,
    writes: u64,
    since: Instant,
}

impl<'a> Round<'a> {
    fn new(metrics: &'a LiveMetrics) -> Self {
        let frames_per_write = metrics.frames_per_write.local();
        Self { metrics, frames_per_write, sent: Count::default(), writes: 0, since: Instant::now() }
    }

    /// Counts what became of a burst of so many updates. True if the outbox has subscriptions that fell behind.
    /// `waiting` says how many bytes wait there. In the ordinary case it is not asked: that would be one more place in
    /// memory for each member.
    fn delivered(&mut self, delivery: Delivery, count: Count, waiting: impl FnOnce() -> u64) -> bool {
        if count.frames() == 0 {
            return false; // all of it was forgotten before it could be sent
        }
        match delivery {
            Delivery::Written => {
                self.writes += 1;
                self.frames_per_write.observe(count.frames() as f64);
            }
            Delivery::Waiting | Delivery::Behind => {
                self.metrics.outbox_bytes.observe(waiting() as f64);
            }
            Delivery::Closed => return false,
        }
        self.sent.add(count);
        delivery == Delivery::Behind
    }

    /// Counts a burst that a subscription does not get, as it is behind.
    fn skipped(&self, subscription: &Subscription, count: Count) {
        self.metrics.conflated.inc_by(count.positions as u64);
        subscription.subscriber.client.vitals.count_conflated(count.positions);
    }

    /// Lets others have the thread if this fan-out had it for long enough.
    async fn pause(&mut self) {
        if self.since.elapsed() >= SLICE {
            tokio::task::yield_now().await;
            self.since = Instant::now();
        }
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.metrics.count_updates(self.sent.positions, self.sent.left);
        self.metrics.writes.inc_by(self.writes);
        // LocalHistogram makes its figures known when it is dropped.
    }
}
