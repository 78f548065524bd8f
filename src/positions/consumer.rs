//! `Consumer`: the actor that moves positions: takes what is submitted, commits it in groups, acknowledges it, and
//! publishes what is new.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::store::{Store, StoreError};
use crate::domain::{Position, Timestamp};
use crate::metrics::PositionsMetrics;
use crate::settings::PositionsSettings;

/// Most positions in one commit; more wait for the next, so that no post waits long behind a flood.
const MAX_COMMIT: usize = 8192;

/// How often a store that failed is tried again, besides by every post.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Where stored positions go. Those of one device come in the order of their timestamps, each with the instant of
/// its arrival.
pub trait Publish: Send + 'static {
    /// Takes positions that are stored and newer than any before of their devices.
    fn publish(&self, positions: Vec<(Position, Instant)>);
}

/// Positions to store, all or none. Answered when they are on the disk.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), SubmitError>")]
pub struct Submit(pub Vec<Position>);

/// Finish what was submitted, take nothing more, close the store.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Positions were not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many wait already.
    #[error("too many positions are waiting to be stored; try again later")]
    Full,
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
    /// The store's reason.
    #[error("the store failed: {0}")]
    Store(Arc<StoreError>),
}

/// Moves positions from whoever submits them to the store and then to [`Publish`].
pub struct Consumer {
    settings: PositionsSettings,
    metrics: Arc<PositionsMetrics>,
    publish: Box<dyn Publish>,
    desk: Desk,
    waiting: Vec<Submission>,
    waiting_positions: usize,
    /// The newest time published of each device.
    newest: HashMap<Arc<str>, Timestamp>,
    stopping: Option<oneshot::Sender<()>>,
    /// A store that failed is being tried again.
    probing: bool,
}

/// Where the store is.
enum Desk {
    /// Here, with nothing to do.
    Idle(Store),
    /// It failed and was put away; the next use opens it again.
    Broken,
    /// In use.
    Busy,
    /// Closed for good.
    Closed,
}

struct Submission {
    positions: Vec<Position>,
    received: Instant,
    answer: Answer,
}

/// The way back to whoever submitted.
type Answer = oneshot::Sender<Result<(), SubmitError>>;

impl Consumer {
    /// A consumer over an open store. `latest` is what it holds already, which is not published again.
    pub fn new(
        store: Store,
        latest: &[Position],
        settings: PositionsSettings,
        metrics: Arc<PositionsMetrics>,
        publish: impl Publish,
    ) -> Self {
        metrics.store_up.set(1);
        Self {
            settings,
            metrics,
            publish: Box::new(publish),
            desk: Desk::Idle(store),
            waiting: Vec::new(),
            waiting_positions: 0,
            newest: latest.iter().map(|position| (position.device_id.clone(), position.timestamp)).collect(),
            stopping: None,
            probing: false,
        }
    }

    /// Commits what waits, if the store is free. What comes meanwhile waits and is committed together.
    fn commit(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.desk, Desk::Busy | Desk::Closed) {
            return;
        }
        if self.waiting.is_empty() {
            return self.close_if_stopping(ctx);
        }
        let mut size = 0;
        let fits = self.waiting.iter().take_while(|submission| {
            let first = size == 0;
            size += submission.positions.len();
            first || size <= MAX_COMMIT
        });
        let group: Vec<_> = self.waiting.drain(..fits.count()).collect();
        let store = std::mem::replace(&mut self.desk, Desk::Busy);
        let file = self.settings.database.clone();
        let began = Instant::now();
        let work = async move {
            // Moved, not copied: what is stored is what is published.
            let mut positions = Vec::new();
            let mut answers = Vec::new();
            for Submission { positions: some, received, answer } in group {
                answers.push((some.len(), received, answer));
                positions.extend(some);
            }
            let result = store_all(store, file, &positions).await;
            (result, positions, answers)
        };
        let done = wrap_future::<_, Self>(work).map(move |(result, positions, answers), actor, ctx| {
            actor.waiting_positions -= positions.len();
            actor.metrics.waiting.set(actor.waiting_positions as i64);
            match result {
                Ok(store) => {
                    actor.desk = Desk::Idle(store);
                    actor.stored(positions, answers, began.elapsed());
                }
                Err(error) => {
                    let error = SubmitError::Store(Arc::new(error));
                    actor.fail(&error, ctx);
                    answers.into_iter().for_each(|(_, _, answer)| acknowledge(answer, Err(error.clone())));
                }
            }
            actor.commit(ctx);
        });
        ctx.spawn(done);
    }

    fn stored(&mut self, positions: Vec<Position>, answers: Vec<(usize, Instant, Answer)>, took: Duration) {
        let metrics = &self.metrics;
        if metrics.store_up.get() == 0 {
            log::info!("store works again");
            metrics.store_up.set(1);
        }
        metrics.commit_seconds.observe(took.as_secs_f64());
        metrics.commit_positions.observe(positions.len() as f64);
        metrics.accepted.inc_by(positions.len() as u64);
        let received: Vec<_> =
            answers.iter().flat_map(|(count, at, _)| std::iter::repeat_n(*at, *count)).collect();
        let mut positions: Vec<_> = positions.into_iter().zip(received).collect();
        // Stable, so that of two positions with the same device and time the one that was stored comes first.
        positions.sort_by_key(|(position, _)| position.timestamp);
        let all = positions.len();
        positions.retain(|(position, _)| match self.newest.get_mut(&position.device_id) {
            Some(newest) if *newest >= position.timestamp => false,
            Some(newest) => {
                *newest = position.timestamp;
                true
            }
            None => {
                self.newest.insert(position.device_id.clone(), position.timestamp);
                true
            }
        });
        metrics.late.inc_by((all - positions.len()) as u64);
        if !positions.is_empty() {
            self.publish.publish(positions);
        }
        // Last, so that whoever has its answer finds the positions in every snapshot.
        answers.into_iter().for_each(|(_, _, answer)| acknowledge(answer, Ok(())));
    }

    fn fail(&mut self, error: &SubmitError, ctx: &mut Context<Self>) {
        self.desk = Desk::Broken;
        self.metrics.store_errors.inc();
        if self.metrics.store_up.get() == 1 {
            log::error!("{error}; positions are refused until it works again");
            self.metrics.store_up.set(0);
        }
        if !std::mem::replace(&mut self.probing, true) {
            ctx.run_later(PROBE_EVERY, Self::probe);
        }
    }

    /// Tries a store that failed, so that readiness comes back also when nobody posts.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        if self.metrics.store_up.get() == 1 || self.stopping.is_some() {
            self.probing = false;
            return;
        }
        if matches!(self.desk, Desk::Broken) {
            self.desk = Desk::Busy;
            let file = self.settings.database.clone();
            let opened = wrap_future::<_, Self>(async move { Store::open(&file).await });
            ctx.spawn(opened.map(|result, actor, ctx| {
                actor.desk = match result {
                    Ok(store) => {
                        log::info!("store works again");
                        actor.metrics.store_up.set(1);
                        Desk::Idle(store)
                    }
                    Err(_) => Desk::Broken,
                };
                actor.commit(ctx);
            }));
        }
        ctx.run_later(PROBE_EVERY, Self::probe);
    }

    fn close_if_stopping(&mut self, ctx: &mut Context<Self>) {
        let Some(stopped) = self.stopping.take() else { return };
        let desk = std::mem::replace(&mut self.desk, Desk::Closed);
        let close = async move {
            if let Desk::Idle(store) = desk
                && let Err(error) = store.close().await
            {
                log::warn!("store not closed properly, nothing is lost: {error}");
            }
            stopped.send(()).ok();
        };
        ctx.spawn(wrap_future(close));
    }
}

/// Opens the store if it is put away, and inserts. A store that failed is dropped: opened anew, it starts clean.
async fn store_all(desk: Desk, file: PathBuf, positions: &[Position]) -> Result<Store, StoreError> {
    let mut store = match desk {
        Desk::Idle(store) => store,
        _ => Store::open(&file).await?,
    };
    store.insert(positions).await?;
    Ok(store)
}

/// Tells whoever submitted; it may have gone.
fn acknowledge(answer: Answer, result: Result<(), SubmitError>) {
    answer.send(result).ok();
}

impl Actor for Consumer {
    type Context = Context<Self>;
}

impl Handler<Submit> for Consumer {
    type Result = ResponseFuture<Result<(), SubmitError>>;

    fn handle(&mut self, Submit(positions): Submit, ctx: &mut Self::Context) -> Self::Result {
        if self.stopping.is_some() || matches!(self.desk, Desk::Closed) {
            return Box::pin(async { Err(SubmitError::Stopping) });
        }
        if positions.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        // One post is always taken, however large, when nothing waits.
        if self.waiting_positions > 0 && self.waiting_positions + positions.len() > self.settings.max_waiting
        {
            return Box::pin(async { Err(SubmitError::Full) });
        }
        self.waiting_positions += positions.len();
        self.metrics.waiting.set(self.waiting_positions as i64);
        let (answer, result) = oneshot::channel();
        self.waiting.push(Submission { positions, received: Instant::now(), answer });
        self.commit(ctx);
        Box::pin(async { result.await.unwrap_or(Err(SubmitError::Stopping)) })
    }
}

impl Handler<Stop> for Consumer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (stopped, wait) = oneshot::channel();
        if !matches!(self.desk, Desk::Closed) {
            self.stopping = Some(stopped);
            self.commit(ctx);
        }
        Box::pin(async { wait.await.unwrap_or_default() })
    }
}
