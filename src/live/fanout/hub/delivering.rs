//! How the hub delivers what is published: batch after batch as they come, and at their time what is served at a cadence.

use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::Hub;
use crate::domain::Topic;
use crate::live::fanout::batch::{Batch, Dispatched};
use crate::live::fanout::compose;
use crate::live::fanout::delivery::{self, Group};
use crate::live::fanout::subscription::{Audience, Subscriber};
use crate::live::fanout::turn::Turn;
use crate::live::outbox::Burst;

/// So many audiences that are due are served together, at most; a client of several of them gets them in one write.
const AUDIENCES_PER_TICK: usize = 64;

impl Hub {
    /// Delivers what arrives at the inbox, for ever. What came in while a fan-out was under way goes out together. What is
    /// staged is delivered first, also when an earlier run ended with a panic.
    pub(crate) async fn run(&self) {
        loop {
            let had_batch = self.fan_out().await;
            let had_tick = self.tick(Instant::now()).await;
            if had_batch || had_tick {
                // Batch after batch, each shorter than a turn, must not keep the thread to themselves.
                tokio::task::yield_now().await;
            } else {
                self.something_to_do().await;
            }
        }
    }

    async fn something_to_do(&self) {
        let due = self.ticks.borrow().next();
        match due {
            None => self.inbox.filled().await,
            Some(due) => tokio::select! {
                () = self.inbox.filled() => {}
                () = tokio::time::sleep_until(due.into()) => {}
            },
        }
    }

    /// Takes what is in the inbox into `latest`, as a batch of its own that is to be delivered.
    pub(super) fn stage(&self) {
        let positions = self.inbox.take();
        if positions.is_empty() {
            return;
        }
        let batch = Batch::stage(positions, self.number.get() + 1, &mut self.latest.borrow_mut());
        self.number.set(batch.last());
        self.staged.borrow_mut().push_back(Rc::new(batch));
    }

    /// The batch that is next. What was staged comes first. What is in the inbox stays there until then, as there it is put
    /// together, and shed if it is too much.
    fn next_batch(&self) -> Option<Rc<Batch>> {
        if self.staged.borrow().is_empty() {
            self.stage();
        }
        self.staged.borrow().front().cloned()
    }

    /// Delivers one batch. False if there is none.
    pub(super) async fn fan_out(&self) -> bool {
        let Some(batch) = self.next_batch() else { return false };
        let mut groups = Vec::new();
        {
            // Also if something panics: a batch that cannot be delivered must not be tried for ever.
            let _staged = StagedUntilDropped(self, batch.last());
            let mut next = 0;
            while !batch.ends_before(next) {
                let some;
                (next, some) = self.dispatch(&batch, next).await;
                self.deliver(&some).await;
                groups.extend(some);
            }
        }
        self.told.set(batch.last());
        let mut latest = self.latest.borrow_mut();
        batch.left().for_each(|topic| latest.told(topic, batch.last()));
        drop(latest);
        batch.observe(&groups, &self.means.metrics);
        true
    }

    /// Finds out what is to be delivered of a batch's positions from place `from` on, of some of them. Returns the place of
    /// those that remain.
    async fn dispatch(&self, batch: &Batch, from: usize) -> (usize, Vec<Group>) {
        self.is_dispatching.set(true);
        let dispatched = batch.dispatch(from, &self.interest, &self.means).await;
        let Dispatched { next, number, groups, to_schedule, grown, emptied } = dispatched;
        self.is_dispatching.set(false);
        self.dispatched.set(number);
        self.schedule(&to_schedule);
        self.end_overgrown(&grown);
        self.relieve(&emptied);
        self.awaiting_dispatch.take().into_iter().for_each(Waker::wake);
        (next, groups)
    }

    async fn deliver(&self, groups: &[Group]) {
        let behind = |subscriber: &Subscriber| self.fell_behind(subscriber);
        self.fan_outs.set(self.fan_outs.get() + 1);
        delivery::deliver(groups, self.fan_outs.get(), &self.means, behind).await;
    }

    fn schedule(&self, audiences: &[Rc<Audience>]) {
        let (mut ticks, now) = (self.ticks.borrow_mut(), Instant::now());
        for audience in audiences {
            if let Some(cadence) = audience.mode.cadence {
                ticks.schedule(audience, cadence, now);
            }
        }
    }

    /// Serves some of the audiences that are due. False if there are none.
    pub(super) async fn tick(&self, now: Instant) -> bool {
        let turn = Turn::new();
        let (mut due, mut groups) = (Vec::new(), Vec::new());
        while due.len() < AUDIENCES_PER_TICK && (due.is_empty() || !turn.is_over()) {
            let next = self.ticks.borrow_mut().take_due(now);
            let Some((since, audience)) = next else { break };
            groups.extend(self.moved(&audience));
            due.push((since, audience));
        }
        self.deliver(&groups).await;
        for (since, audience) in &due {
            audience.moved.borrow_mut().told();
            self.means.metrics.cadence_lag.observe(since.elapsed().as_secs_f64());
        }
        !due.is_empty()
    }

    /// What an audience that is due is served.
    fn moved(&self, audience: &Rc<Audience>) -> Option<Group> {
        if audience.members.borrow().is_empty() {
            return None;
        }
        let changes = match &audience.topic {
            Topic::Area(area) => self.moved_in_area(audience, area.bounds()),
            Topic::Device(_) | Topic::Event(_) => audience.moved.borrow_mut().take(),
        };
        let frames = compose::frames(&audience.topic, audience.mode, &changes, &self.means);
        let burst = Burst::new(frames, delivery::keeps_left(&audience.topic));
        Group::new(audience.clone(), burst, changes.into())
    }
}

/// A batch that ends with this update is staged until this is dropped.
struct StagedUntilDropped<'a>(&'a Hub, u64);

impl Drop for StagedUntilDropped<'_> {
    fn drop(&mut self) {
        let Self(hub, last) = self;
        hub.staged.borrow_mut().pop_front();
        hub.is_dispatching.set(false);
        hub.dispatched.set(*last);
    }
}
