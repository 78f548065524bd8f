//! `Consumer`: the actor that moves positions: takes what is submitted, commits it in groups, publishes what is new, and
//! acknowledges it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::arrived::Arrived;
use super::backlog::Backlog;
use super::group::{Group, Submission};
use super::opened::Opened;
use super::order::Order;
use super::store::{Committed, Store, StoreError, StoreLock};
use super::submit::{Stored, Submit, SubmitError};
use crate::domain::{Position, Timestamp};
use crate::metrics::PositionsMetrics;
use crate::settings::PositionsSettings;

/// How often a store that failed is opened again, besides by every submission.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// How often the store's file is checked while nobody submits.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Where stored positions go. Those of one device come in the order in which they count (see `order`), each with the instant of
/// its arrival.
pub trait Publish: Send + 'static {
    /// Takes positions that are stored and newer than any before of their devices.
    fn publish(&self, positions: Vec<(Position, Instant)>);
}

/// Finish what was submitted, take nothing more, close the store.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Moves positions from whoever submits them to the store and then to [`Publish`].
pub struct Consumer {
    settings: PositionsSettings,
    metrics: Arc<PositionsMetrics>,
    publish: Box<dyn Publish>,
    store: StoreState,
    backlog: Backlog,
    /// `None` while a commit needs it.
    order: Option<Order>,
    /// The server's clock.
    clock: fn() -> Timestamp,
    _lock: StoreLock,
    /// Told when the store is closed, once the consumer was told to stop.
    stopping: Option<oneshot::Sender<()>>,
    /// [`Consumer::reopen`] is due.
    reopening: bool,
}

/// What the store is doing.
enum StoreState {
    /// Open, with nothing to do.
    Idle(Store),
    /// A future has it, for a commit or a check.
    InUse,
    /// It failed and was dropped; the next use opens it again.
    Failed,
    /// Closed for good.
    Closed,
}

impl Consumer {
    /// A consumer over an open store. What it holds already is not published again.
    pub fn new(
        opened: Opened,
        settings: PositionsSettings,
        metrics: Arc<PositionsMetrics>,
        publish: impl Publish,
    ) -> Self {
        let Opened { store, order, lock } = opened;
        metrics.store_up.set(1);
        metrics.devices.set(order.devices() as i64);
        metrics.store_bytes.set(store.bytes() as i64);
        Self {
            backlog: Backlog::new(settings.max_waiting),
            settings,
            metrics,
            publish: Box::new(publish),
            store: StoreState::Idle(store),
            order: Some(order),
            clock: Timestamp::now,
            _lock: lock,
            stopping: None,
            reopening: false,
        }
    }

    /// With another clock than the system's.
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    /// Commits what waits, if the store is free. What comes meanwhile waits and is committed together.
    fn commit_next(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.store, StoreState::InUse | StoreState::Closed) {
            return;
        }
        let Some(group) = self.backlog.next_group() else { return self.close_if_stopping(ctx) };
        let store = std::mem::replace(&mut self.store, StoreState::InUse);
        let order = self.order.take().unwrap_or_default();
        let file = self.settings.database.clone();
        let began = Instant::now();
        let commit = wrap_future::<_, Self>(async move {
            let result = commit(store, &file, &group, &order).await;
            (result, group, order)
        });
        ctx.spawn(commit.map(move |(result, group, order), actor, ctx| {
            actor.order = Some(order);
            actor.backlog.remove(group.positions().len());
            actor.metrics.waiting.set(actor.backlog.positions() as i64);
            match result {
                Ok((store, committed)) => actor.committed(store, group, committed, began.elapsed()),
                Err(error) => {
                    let error = Arc::new(error);
                    actor.store_failed(&error, ctx);
                    group.failed(&error);
                }
            }
            actor.commit_next(ctx);
        }));
    }

    /// A group is on the disk: counts, publishes and acknowledges it.
    fn committed(&mut self, store: Store, group: Group, committed: Committed, took: Duration) {
        let metrics = &self.metrics;
        metrics.store_bytes.set(store.bytes() as i64);
        self.store = StoreState::Idle(store);
        self.store_works();
        let size = group.positions().len();
        metrics.commit_seconds.observe(took.as_secs_f64());
        metrics.commit_positions.observe(size as f64);
        metrics.accepted.inc_by(size as u64);
        if let Some(order) = &mut self.order {
            order.apply(committed.changed);
            metrics.devices.set(order.devices() as i64);
        }
        let mut outcome = group.committed(committed.verdicts);
        metrics.late.inc_by(outcome.late as u64);
        metrics.repeated.inc_by(outcome.repeated as u64);
        let new = std::mem::take(&mut outcome.new);
        if !new.is_empty() {
            let new = new.into_iter().map(|Arrived { position, received, .. }| (position, received));
            self.publish.publish(new.collect());
        }
        // Last, so that whoever is acknowledged finds the positions in every snapshot.
        outcome.acknowledge();
    }

    /// Says so if it did not before.
    fn store_works(&self) {
        if self.metrics.store_up.get() == 0 {
            log::info!("store works again");
            self.metrics.store_up.set(1);
        }
    }

    /// Drops the store, says why, and sees to it that it is opened again.
    fn store_failed(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        self.store = StoreState::Failed;
        self.metrics.store_errors.inc();
        if self.metrics.store_up.get() == 1 {
            log::error!("the store failed: {error}; positions are refused until it works again");
            self.metrics.store_up.set(0);
        }
        if !std::mem::replace(&mut self.reopening, true) {
            ctx.run_later(REOPEN_EVERY, Self::reopen);
        }
    }

    /// Checks that the store is still there, so that readiness knows it also when nobody submits.
    fn check_store(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.store, StoreState::Idle(_)) {
            return;
        }
        let StoreState::Idle(mut store) = std::mem::replace(&mut self.store, StoreState::InUse) else {
            return;
        };
        let check = wrap_future::<_, Self>(async move {
            let result = store.check().await;
            (store, result)
        });
        ctx.spawn(check.map(|(store, result), actor, ctx| {
            actor.metrics.store_bytes.set(store.bytes() as i64);
            actor.store = StoreState::Idle(store);
            if let Err(error) = result {
                actor.store_failed(&error, ctx);
            }
            actor.commit_next(ctx);
        }));
    }

    /// Opens a store that failed, again and again, so that readiness comes back also when nobody submits.
    fn reopen(&mut self, ctx: &mut Context<Self>) {
        if self.metrics.store_up.get() == 1 || self.stopping.is_some() {
            self.reopening = false;
            return;
        }
        if matches!(self.store, StoreState::Failed) {
            self.store = StoreState::InUse;
            let file = self.settings.database.clone();
            let reopen = wrap_future::<_, Self>(async move { Store::reopen(&file).await });
            ctx.spawn(reopen.map(|result, actor, ctx| {
                actor.store = match result {
                    Ok(store) => {
                        actor.store_works();
                        StoreState::Idle(store)
                    }
                    Err(_) => StoreState::Failed,
                };
                actor.commit_next(ctx);
            }));
        }
        ctx.run_later(REOPEN_EVERY, Self::reopen);
    }

    fn close_if_stopping(&mut self, ctx: &mut Context<Self>) {
        let Some(stopped) = self.stopping.take() else { return };
        let store = std::mem::replace(&mut self.store, StoreState::Closed);
        let close = async move {
            if let StoreState::Idle(store) = store
                && let Err(error) = store.close().await
            {
                log::warn!("store not closed properly, nothing is lost: {error}");
            }
            stopped.send(()).ok();
        };
        ctx.spawn(wrap_future(close));
    }
}

/// Commits a group; opens the store first if it is not open. A store that failed is dropped: opened anew, it starts clean.
async fn commit(
    store: StoreState,
    file: &Path,
    group: &Group,
    order: &Order,
) -> Result<(Store, Committed), StoreError> {
    let mut store = match store {
        StoreState::Idle(store) => store,
        _ => Store::reopen(file).await?,
    };
    let committed = store.commit(group.positions(), order).await?;
    Ok((store, committed))
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, Self::check_store);
    }
}

impl Handler<Submit> for Consumer {
    type Result = ResponseFuture<Result<Stored, SubmitError>>;

    fn handle(&mut self, Submit(positions): Submit, ctx: &mut Self::Context) -> Self::Result {
        if self.stopping.is_some() || matches!(self.store, StoreState::Closed) {
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
        self.commit_next(ctx);
        Box::pin(async { receiver.await.unwrap_or(Err(SubmitError::Stopping)) })
    }
}

impl Handler<Stop> for Consumer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (stopped, receiver) = oneshot::channel();
        if !matches!(self.store, StoreState::Closed) {
            self.stopping = Some(stopped);
            self.commit_next(ctx);
        }
        Box::pin(async { receiver.await.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests;
