//! `Consumer`: the actor that moves positions: takes what is submitted, commits it in groups, publishes what is new, and
//! acknowledges it. Revocations go the same way.

mod checking;
mod revocations;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::backlog::Backlog;
use super::group::{Group, Submission};
use super::log::Log;
use super::opened::{Opened, Started};
use super::order::Verdict;
use super::publish::Publish;
use super::revoking::Revoking;
use super::sessions::{FIRST, Sessions};
use super::store::{Committed, Store, StoreError};
use super::submit::{Stored, Submit, SubmitError};
use crate::domain::Timestamp;
use crate::metrics::PositionsMetrics;
use crate::settings::PositionsSettings;

/// How often the store is checked, and opened again if it failed; and how often it is asked for revocations that did not come through
/// the log.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Finish what was submitted, take nothing more, close the store.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Moves positions from whoever submits them to the store and then to the log, whose tail publishes them.
pub struct Consumer {
    metrics: Arc<PositionsMetrics>,
    sessions: Sessions,
    /// The kind of error for which the store does not work, if it does not.
    fault: Option<String>,
    /// When it could not store something last, though it was there. What is stored ends that, and a check that fails, as checks see then when it
    /// works again.
    refused_at: Option<Instant>,
    /// When something was stored last.
    stored_at: Option<Instant>,
    log: Box<dyn Log>,
    publish: Rc<dyn Publish>,
    backlog: Backlog,
    revoking: Revoking,
    /// The server's clock.
    clock: fn() -> Timestamp,
    /// Told when the store is closed, once the consumer was told to stop.
    stopping: Option<oneshot::Sender<()>>,
}

impl Consumer {
    /// A consumer over an open store. What it holds already is not published again.
    pub fn new(
        opened: Opened,
        settings: &PositionsSettings,
        metrics: Arc<PositionsMetrics>,
        publish: impl Publish,
    ) -> Self {
        let publish: Rc<dyn Publish> = Rc::new(publish);
        let Started { sessions, log } = opened.start(publish.clone());
        metrics.store_up.set(1);
        sessions.first().into_iter().for_each(|store| measure(&metrics, store));
        Self {
            backlog: Backlog::new(settings.max_waiting),
            metrics,
            sessions,
            fault: None,
            refused_at: None,
            stored_at: None,
            log,
            publish,
            revoking: Revoking::default(),
            clock: Timestamp::now,
            stopping: None,
        }
    }

    /// With another clock than the system's.
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    /// Does what waits for the store, one thing for each session that is free.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.sessions.replace_failed_first();
        if self.sessions.is_ready(FIRST) {
            self.go_on_with_first(ctx);
        }
        for number in self.sessions.others() {
            if self.sessions.is_ready(number) && self.backlog.is_worth_another() {
                self.commit_next(number, ctx);
            }
        }
    }

    fn go_on_with_first(&mut self, ctx: &mut Context<Self>) {
        if self.revoking.must_read() && self.stopping.is_none() {
            return self.read_revocations(ctx);
        }
        match self.revoking.next(self.backlog.is_empty()) {
            Some(waiting) => self.revoke(waiting, ctx),
            None => self.commit_next(FIRST, ctx),
        }
    }

    /// Commits what waits. What comes while all sessions are in use waits and is committed together.
    fn commit_next(&mut self, number: usize, ctx: &mut Context<Self>) {
        let Some(group) = self.backlog.next_group() else { return self.close_if_stopping(ctx) };
        let began = Instant::now();
        self.use_store(number, ctx, move |mut store| async move {
            let result = store.commit(group.positions()).await;
            let done = move |actor: &mut Self, ctx: &mut Context<Self>| match result {
                Ok(committed) => {
                    if committed.verdicts.iter().any(|verdict| *verdict != Verdict::Repeated) {
                        actor.has_stored();
                    }
                    actor.store_works(number);
                    actor.committed(group, committed, began.elapsed(), ctx);
                }
                Err(error) => {
                    let error = Arc::new(error);
                    // Noted first: where this makes the instance unready, whoever is told finds it so.
                    actor.session_failed(number, &error);
                    actor.refuse(group, &error);
                }
            };
            (store, done)
        });
    }

    /// Gives a session to a future, if it is free; what that has come to is done with the actor, before anyone else has the session.
    fn use_store<Work, Done>(
        &mut self,
        number: usize,
        ctx: &mut Context<Self>,
        work: impl FnOnce(Box<dyn Store>) -> Work,
    ) where
        Work: Future<Output = (Box<dyn Store>, Done)> + 'static,
        Done: FnOnce(&mut Self, &mut Context<Self>) + 'static,
    {
        let Some(store) = self.sessions.take(number) else { return };
        let work = wrap_future::<_, Self>(work(store));
        ctx.spawn(work.map(move |(store, done), actor, ctx| {
            if number == FIRST {
                measure(&actor.metrics, &*store);
            }
            actor.sessions.give_back(number, store);
            done(actor, ctx);
            actor.go_on(ctx);
        }));
    }

    /// A group is on the disk: counts it, hands it on, and acknowledges it.
    fn committed(&mut self, group: Group, committed: Committed, took: Duration, ctx: &mut Context<Self>) {
        let size = group.positions().len();
        let metrics = &self.metrics;
        metrics.commit_seconds.observe(took.as_secs_f64());
        metrics.commit_positions.observe(size as f64);
        metrics.accepted.inc_by(size as u64);
        let mut outcome = group.committed(committed.verdicts);
        metrics.late.inc_by(outcome.late as u64);
        metrics.repeated.inc_by(outcome.repeated as u64);
        let mut new = std::mem::take(&mut outcome.new);
        new.extend(committed.untold);
        if new.is_empty() {
            self.done_with(size);
            return outcome.acknowledge();
        }
        // Acknowledged last: of one process, whoever is finds the positions in every snapshot. The next commit goes on meanwhile,
        // so what waits for the log still waits.
        let handed_on = wrap_future::<_, Self>(self.log.append(new));
        ctx.spawn(handed_on.map(move |(), actor, _| {
            actor.done_with(size);
            outcome.acknowledge();
        }));
    }

    fn refuse(&mut self, group: Group, error: &Arc<StoreError>) {
        self.done_with(group.positions().len());
        group.failed(error);
    }

    /// So many positions do not wait any more.
    fn done_with(&mut self, positions: usize) {
        self.backlog.remove(positions);
        self.metrics.waiting.set(self.backlog.positions() as i64);
    }

    fn close_if_stopping(&mut self, ctx: &mut Context<Self>) {
        if self.sessions.is_any_in_use() {
            return;
        }
        let Some(stopped) = self.stopping.take() else { return };
        let stores = self.sessions.close();
        let handed_on = self.log.close();
        let close = async move {
            handed_on.await;
            for store in stores {
                if let Err(error) = store.close().await {
                    log::warn!("store not closed properly, nothing is lost: {error}");
                }
            }
            stopped.send(()).ok();
        };
        ctx.spawn(wrap_future(close));
    }
}

/// Notes how large the store is.
fn measure(metrics: &PositionsMetrics, store: &dyn Store) {
    metrics.store_bytes.set(store.bytes() as i64);
    metrics.devices.set(store.devices() as i64);
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, |actor, ctx| {
            // What has waited for too long goes beside what holds it up.
            actor.go_on(ctx);
            // Checks that take turns would leave no moment to close.
            if actor.stopping.is_some() {
                return;
            }
            actor.sessions.others().for_each(|number| actor.check_session(number, ctx));
            if actor.sessions.is_ready(FIRST) {
                return actor.check_store(ctx);
            }
            // Its use tells whether it works, unless it rests as it has failed.
            actor.check_session(FIRST, ctx);
            actor.revoking.read_soon();
        });
    }
}

impl Handler<Submit> for Consumer {
    type Result = ResponseFuture<Result<Stored, SubmitError>>;

    fn handle(&mut self, Submit(positions): Submit, ctx: &mut Self::Context) -> Self::Result {
        if self.stopping.is_some() || self.sessions.are_closed() {
            return Box::pin(async { Err(SubmitError::Stopping) });
        }
        if positions.is_empty() {
            return Box::pin(async { Ok(Stored::default()) });
        }
        if !self.backlog.has_room(positions.len()) {
            return Box::pin(async { Err(SubmitError::Full) });
        }
        let (reply, receiver) = oneshot::channel();
        let (received, arrival) = (Instant::now(), (self.clock)());
        self.backlog.push(Submission { positions, received, arrival, reply });
        self.metrics.waiting.set(self.backlog.positions() as i64);
        self.go_on(ctx);
        Box::pin(async { receiver.await.unwrap_or(Err(SubmitError::Stopping)) })
    }
}

impl Handler<Stop> for Consumer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (stopped, receiver) = oneshot::channel();
        if !self.sessions.are_closed() {
            self.stopping = Some(stopped);
            self.go_on(ctx);
        }
        Box::pin(async { receiver.await.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests;
