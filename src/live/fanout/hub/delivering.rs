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
        let groups = self.dispatch(&batch).await;
        self.deliver(&groups).await;
        let number = batch.last();
        self.told.set(number);
        let mut latest = self.latest.borrow_mut();
        batch.left().for_each(|topic| latest.told(topic, number));
        drop(latest);
        batch.observe(&groups, &self.means.metrics);
        self.under_way.take();
        true
    }

    /// Finds out what is to be delivered of a batch. It counts as staged until that is known.
    async fn dispatch(&self, batch: &Rc<Batch>) -> Vec<Group> {
        let dispatched = {
            // Also if it panics: a batch that cannot be dispatched must not be tried for ever.
            let _staged = StagedUntilDropped(self);
            batch.dispatch(&self.interest, &self.means).await
        };
        self.under_way.replace(Some(batch.clone()));
        let Dispatched { groups, to_schedule, grown, emptied } = dispatched;
        self.schedule(&to_schedule);
        self.end_overgrown(&grown);
        self.relieve(&emptied);
        if self.staged.borrow().is_empty() {
            self.awaiting_dispatch.take().into_iter().for_each(Waker::wake);
        }
        groups
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

    /// Serves some of the audiences that are due. False if there are none, or if something is staged: what is served must not be
    /// newer than what was dispatched, as the dispatch finds out which devices went out of an area.
    pub(super) async fn tick(&self, now: Instant) -> bool {
        if !self.staged.borrow().is_empty() {
            return false;
        }
        let turn = Turn::new();
        let (mut due, mut groups) = (Vec::new(), Vec::new());
        while due.len() < AUDIENCES_PER_TICK && (due.is_empty() || !turn.is_over()) {
            let next = self.ticks.borrow_mut().take_due(now);
            let Some(audience) = next else { break };
            groups.extend(self.moved(&audience));
            due.push(audience);
        }
        self.deliver(&groups).await;
        due.iter().for_each(|audience| audience.moved.borrow_mut().told());
        !due.is_empty()
    }

    /// What an audience that is due is served.
    fn moved(&self, audience: &Rc<Audience>) -> Option<Group> {
        let changes = match &audience.topic {
            Topic::Area(area) => self.moved_in_area(audience, area.bounds()),
            Topic::Device(_) | Topic::Event(_) => audience.moved.borrow_mut().take(),
        };
        if audience.members.borrow().is_empty() {
            return None;
        }
        let frames = compose::frames(&audience.topic, audience.mode, &changes, &self.means);
        // That a device left may have been forgotten by the time that a client is caught up.
        Group::new(audience.clone(), Burst::new(frames, true), changes, Vec::new())
    }
}

/// A batch is staged until this is dropped.
struct StagedUntilDropped<'a>(&'a Hub);

impl Drop for StagedUntilDropped<'_> {
    fn drop(&mut self) {
        self.0.staged.borrow_mut().pop_front();
    }
}
