//! How updates are delivered: written to the members of their audiences, a stride at a time, and counted.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use smallvec::SmallVec;

use super::compose;
use super::means::Means;
use super::subscription::{Audience, BEHIND, Member, Subscriber, Subscription};
use super::turn::Turn;
use super::update::{Change, Changes};
use crate::domain::Topic;
use crate::live::outbox::{Burst, Count, Delivery};
use crate::metrics::LiveMetrics;

/// So many members that came since their audience was last served get a burst of their own, with what is newer than their
/// snapshots. Where more have come, as after a restart, they get what all get, and some of their positions twice.
const MOST_NEWCOMERS: usize = 16;

/// How many sockets are written between two looks at the clock, and how many outboxes are fetched into the processor's
/// cache at the same time.
const STRIDE: usize = if cfg!(test) { 1 } else { 16 };

/// Updates that go to one audience.
pub(super) struct Group {
    audience: Rc<Audience>,
    burst: Rc<Burst>,
    /// What the burst was made of.
    changes: Changes,
    /// The numbers of the first and the last of them.
    first: u64,
    last: u64,
    /// Some member was given it.
    delivered: Cell<bool>,
}

impl Group {
    /// `None` if there is nothing to be delivered.
    pub(super) fn new(audience: Rc<Audience>, burst: Rc<Burst>, changes: Changes) -> Option<Self> {
        let (first, last) = (changes.first()?.number, changes.last()?.number);
        let delivered = Cell::new(false);
        let is_empty = burst.count().frames() == 0;
        (!is_empty).then_some(Self { audience, burst, changes, first, last, delivered })
    }

    /// What it tells, in its order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Fetches the outbox that it will be given to first. Where each group has one member, as with areas, that is all.
    fn warm(&self) {
        if let Some(last) = self.audience.members.borrow().last() {
            last.outbox.warm();
        }
    }

    /// True if some member was given it: not if all were behind or closing.
    pub(super) fn was_delivered(&self) -> bool {
        self.delivered.get()
    }

    /// The burst for a member that has everything up to update `seen`. It has some of this if it came, or was caught up,
    /// since its audience was last served.
    fn burst_since(&self, seen: u64, means: &Means) -> Rc<Burst> {
        let Audience { topic, mode, .. } = &*self.audience;
        let later = self.changes.iter().filter(|change| change.number > seen);
        Burst::new(compose::frames(topic, *mode, later, means), keeps_left(topic))
    }

    /// Writes to every member that has not got all of it yet; `behind` is told of those whose updates did not fit.
    async fn deliver(&self, round: &mut Round<'_>, mut behind: impl FnMut(&Subscriber)) {
        let each =
            |round: &mut Round<'_>, member: &Member, burst: &Rc<Burst>| self.write(round, member, burst);
        self.walk(round, each, |subscription| behind(&subscription.subscriber)).await;
    }

    /// Corks the burst for every member; `first` is told of those that had nothing corked yet. Who has no other subscription is
    /// written to at once, and `behind` is told if it did not fit.
    async fn cork(
        &self,
        round: &mut Round<'_>,
        mut first: impl FnMut(&Rc<Subscriber>),
        mut behind: impl FnMut(&Subscriber),
    ) {
        let each = |round: &mut Round<'_>, member: &Member, burst: &Rc<Burst>| {
            if member.outbox.is_sole() {
                return self.write(round, member, burst);
            }
            let corked = member.outbox.cork(round.id, member.id, burst);
            self.delivered.set(self.delivered.get() || corked.is_some());
            corked == Some(true)
        };
        let then = |subscription: Rc<Subscription>| {
            let subscriber = &subscription.subscriber;
            if subscriber.outbox.is_sole() { behind(subscriber) } else { first(subscriber) }
        };
        self.walk(round, each, then).await;
    }

    /// True if it did not fit.
    fn write(&self, round: &mut Round<'_>, member: &Member, burst: &Rc<Burst>) -> bool {
        let delivery = member.outbox.deliver(member.id, burst);
        self.note(delivery);
        let waiting = || member.subscription.subscriber.client.vitals.waiting();
        round.delivered(delivery, burst.count(), waiting)
    }

    fn note(&self, delivery: Delivery) {
        if delivery != Delivery::Closed {
            self.delivered.set(true);
        }
    }

    /// Goes through the members that have not got all of it yet, a stride at a time, and pauses when the time is up.
    /// `then` is called after each stride for those for which `each` returned true.
    ///
    /// From the end to the beginning, because between strides members may come and go. Those who come stand at the end,
    /// behind the walk, and have all of it from their snapshot. When one goes, the last takes its place: it may come
    /// to stand before the walk again though it was served, and then its `seen` says so.
    async fn walk<'a>(
        &self,
        round: &mut Round<'a>,
        mut each: impl FnMut(&mut Round<'a>, &Member, &Rc<Burst>) -> bool,
        mut then: impl FnMut(Rc<Subscription>),
    ) {
        let mut end = usize::MAX;
        let mut newcomers = 0;
        while end > 0 {
            let mut chosen = SmallVec::<[_; STRIDE]>::new();
            let walked;
            {
                let mut members = self.audience.members.borrow_mut();
                end = end.min(members.len());
                let start = end.saturating_sub(STRIDE);
                let stride = &mut members[start..end];
                stride.iter().for_each(|member| member.outbox.warm());
                for member in stride.iter_mut() {
                    if member.seen < self.last {
                        let seen = std::mem::replace(&mut member.seen, self.last);
                        newcomers += usize::from(seen >= self.first);
                        let chosen_one = if seen < self.first || newcomers > MOST_NEWCOMERS {
                            each(round, member, &self.burst)
                        } else {
                            each(round, member, &self.burst_since(seen, round.means))
                        };
                        if chosen_one {
                            chosen.push(member.subscription.clone());
                        }
                    } else if member.seen == BEHIND {
                        round.skipped(&member.subscription, self.burst.count());
                    }
                }
                walked = stride.len();
                end = start;
            }
            chosen.into_iter().for_each(&mut then);
            round.pause(walked).await;
        }
    }
}

/// Writes groups to the members of their audiences; `behind` is told of those whose updates did not fit. `id` is this
/// fan-out's, another than the last one's.
pub(super) async fn deliver(groups: &[Group], id: u64, means: &Means, mut behind: impl FnMut(&Subscriber)) {
    let mut round = Round::new(id, means);
    match groups {
        [] => {}
        [only] => only.deliver(&mut round, behind).await,
        several => {
            // A client of several of these topics gets them in one write.
            let mut corked = Vec::new();
            for stride in several.chunks(STRIDE) {
                stride.iter().for_each(Group::warm);
                for group in stride {
                    let first = |subscriber: &Rc<Subscriber>| corked.push(Rc::downgrade(subscriber));
                    group.cork(&mut round, first, &mut behind).await;
                }
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
                round.turn.pause().await;
            }
        }
    }
}

/// The bookkeeping of one fan-out: figures are summed up here and made known at its end.
struct Round<'a> {
    id: u64,
    means: &'a Means,
    frames_per_write: prometheus::local::LocalHistogram,
    sent: Count,
    writes: u64,
    turn: Turn,
    /// Members walked past since the clock was looked at.
    walked: usize,
}

impl<'a> Round<'a> {
    fn new(id: u64, means: &'a Means) -> Self {
        let frames_per_write = means.metrics.frames_per_write.local();
        let (sent, turn) = (Count::default(), Turn::new());
        Self { id, means, frames_per_write, sent, writes: 0, turn, walked: 0 }
    }

    /// Lets others have their turn if it is time, after so many more members.
    async fn pause(&mut self, members: usize) {
        self.walked += members;
        if self.walked >= STRIDE {
            self.walked = 0;
            self.turn.pause().await;
        }
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
                self.means.metrics.outbox_bytes.observe(waiting() as f64);
            }
            Delivery::Closed => return false,
        }
        self.sent.add(count);
        delivery == Delivery::Behind
    }

    /// Counts a burst that a subscription does not get, as it is behind.
    fn skipped(&self, subscription: &Subscription, count: Count) {
        self.means.count_skipped(&subscription.subscriber.client, count.carried());
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        count(&self.means.metrics, self.sent);
        self.means.metrics.writes.inc_by(self.writes);
        // LocalHistogram makes its figures known when it is dropped.
    }
}

/// Writes what is corked for a client ahead of its turn. True if it has subscriptions that fell behind.
pub(super) fn uncork(subscriber: &Subscriber, metrics: &LiveMetrics) -> bool {
    let (delivery, sent) = subscriber.outbox.uncork();
    if sent.frames() > 0 && delivery != Delivery::Closed {
        metrics.writes.inc_by(u64::from(delivery == Delivery::Written));
        count(metrics, sent);
    }
    delivery == Delivery::Behind
}

/// Counts what was handed to clients.
pub(super) fn count(metrics: &LiveMetrics, sent: Count) {
    metrics.count_positions(sent.positions);
    metrics.count_batches(sent.batches, sent.batched);
    metrics.count_left(sent.left);
}

/// True if who falls behind in a topic at a tick is sent all the same who left: it may have been forgotten by the time that it is
/// caught up. In an area it is noted.
pub(super) fn keeps_left(topic: &Topic) -> bool {
    !topic.is_area()
}
