//! `Group` and `Round`: the updates of one batch on their way to the subscribers of one topic, and what is counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::hub::Subscription;
use super::outbox::{Burst, Count, Delivery, Outbox, SubscriptionId};
use crate::metrics::LiveMetrics;

/// How long a fan-out may hold the worker's thread before pings, closes and other clients get their turn.
const SLICE: Duration = Duration::from_millis(1);

/// How many sockets are written between two looks at the clock, and how many outboxes are fetched into the processor's
/// cache at the same time.
pub(super) const STRIDE: usize = 16;

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

/// The updates of one batch that go to one topic with subscribers.
pub(super) struct Group {
    pub(super) members: Members,
    pub(super) burst: Rc<Burst>,
}

/// Members that a burst did not fit for.
pub(super) type FellBehind = Vec<Rc<Subscription>>;

impl Group {
    /// Writes to every member that has not got update `number` yet, a stride at a time; `behind` is told after each
    /// whose updates did not fit.
    ///
    /// From the end to the beginning, because between strides members may come and go. Those who come stand at the end,
    /// behind the walk, and have the batch from their snapshot. When one goes, the last takes its place: it may come
    /// to stand before the walk again though it was served, and then its `seen` says so.
    pub(super) async fn deliver(
        &self,
        number: u64,
        round: &mut Round<'_>,
        mut behind: impl FnMut(&Rc<Subscription>),
    ) {
        let mut end = usize::MAX;
        while end > 0 {
            let mut fell_behind = FellBehind::new();
            {
                let mut members = self.members.borrow_mut();
                end = end.min(members.len());
                let start = end.saturating_sub(STRIDE);
                let stride = &mut members[start..end];
                stride.iter().for_each(|member| member.outbox.warm());
                for member in stride.iter_mut() {
                    if member.seen < number {
                        member.seen = number;
                        let delivery = member.outbox.deliver(member.id, &self.burst);
                        if round.delivered(&member.subscription, delivery, self.burst.count()) {
                            fell_behind.push(member.subscription.clone());
                        }
                    } else if member.seen == BEHIND {
                        round.skipped(&member.subscription, self.burst.count());
                    }
                }
                end = start;
            }
            fell_behind.iter().for_each(&mut behind);
            round.pause().await;
        }
    }

    /// Corks the burst for every member, and adds those that had nothing corked yet to `corked`.
    pub(super) fn cork(&self, number: u64, round: &Round<'_>, corked: &mut Vec<Rc<Subscription>>) {
        for member in self.members.borrow_mut().iter_mut() {
            if member.seen < number {
                member.seen = number;
                if member.outbox.cork(number, member.id, &self.burst) {
                    corked.push(member.subscription.clone());
                }
            } else if member.seen == BEHIND {
                round.skipped(&member.subscription, self.burst.count());
            }
        }
    }
}

/// The bookkeeping of one fan-out: figures are summed up here and made known at its end.
pub(super) struct Round<'a> {
    metrics: &'a LiveMetrics,
    frames_per_write: prometheus::local::LocalHistogram,
    sent: Count,
    writes: u64,
    since: Instant,
}

impl<'a> Round<'a> {
    pub(super) fn new(metrics: &'a LiveMetrics) -> Self {
        let frames_per_write = metrics.frames_per_write.local();
        Self { metrics, frames_per_write, sent: Count::default(), writes: 0, since: Instant::now() }
    }

    /// Counts what became of a burst of so many updates. True if the outbox has subscriptions that fell behind.
    /// In the ordinary case the subscription is not looked at: that would be one more place in memory for each.
    pub(super) fn delivered(
        &mut self,
        subscription: &Subscription,
        delivery: Delivery,
        count: Count,
    ) -> bool {
        if count.frames() == 0 {
            return false; // all of it was forgotten before it could be sent
        }
        match delivery {
            Delivery::Written => {
                self.writes += 1;
                self.frames_per_write.observe(count.frames() as f64);
            }
            Delivery::Waiting | Delivery::Behind => {
                self.metrics.outbox_bytes.observe(subscription.client.vitals.waiting() as f64);
            }
            Delivery::Closed => return false,
        }
        self.sent.add(count);
        delivery == Delivery::Behind
    }

    /// Counts a burst that a subscription does not get, as it is behind.
    pub(super) fn skipped(&self, subscription: &Subscription, count: Count) {
        self.metrics.conflated.inc_by(count.positions as u64);
        subscription.client.vitals.count_conflated(count.positions);
    }

    /// Lets others have the thread if this fan-out had it for long enough.
    pub(super) async fn pause(&mut self) {
        if self.since.elapsed() > SLICE {
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
