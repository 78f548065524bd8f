//! `Consumer`: the actor that moves positions: takes what is submitted, commits it in groups, acknowledges it, and
//! publishes what is new.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::order::{Order, Verdict, counts_as_of};
use super::store::{Arrived, Committed, Store, StoreError, StoreLock};
use crate::domain::{Position, Timestamp};
use crate::metrics::PositionsMetrics;
use crate::settings::PositionsSettings;

/// Most positions in one commit; more wait for the next, so that no post waits long behind a flood.
const MAX_COMMIT: usize = 8192;

/// How often a store that failed is tried again, besides by every post.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked after the store's file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where stored positions go. Those of one device come in the order in which they count (see `order`), each with the instant of
/// its arrival.
pub trait Publish: Send + 'static {
    /// Takes positions that are stored and newer than any before of their devices.
    fn publish(&self, positions: Vec<(Position, Instant)>);
}

/// Positions to store, all or none. Answered when they are on the disk.
#[derive(Debug, Message)]
#[rtype(result = "Result<Stored, SubmitError>")]
pub struct Submit(pub Vec<Position>);

/// What became of positions that were submitted; all of them are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Not broadcast, as their devices had reported newer ones.
    pub late: usize,
    /// Their devices had reported others with the same timestamp, which stay.
    pub repeated: usize,
}

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
    #[error(
        "the store failed: {0}. They may be stored all the same; posting them again changes nothing then"
    )]
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
    /// `None` while a commit needs it.
    order: Option<Order>,
    /// The server's clock.
    clock: fn() -> Timestamp,
    _lock: StoreLock,
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
    /// The same by the server's clock.
    arrival: Timestamp,
    answer: Answer,
}

/// The way back to whoever submitted.
type Answer = oneshot::Sender<Result<Stored, SubmitError>>;

/// Submissions that are committed together.
struct Group {
    positions: Vec<Arrived>,
    /// For each position, the submission it came with.
    submissions: Vec<usize>,
    answers: Vec<(Instant, Answer)>,
}

impl Group {
    /// Puts positions in the order in which they count. Stable, so that of two with the same device and time the one that
    /// came first is stored.
    fn new(submissions: impl IntoIterator<Item = Submission>) -> Self {
        let mut positions = Vec::new();
        let mut answers = Vec::new();
        for Submission { positions: some, received, arrival, answer } in submissions {
            let number = answers.len();
            positions.extend(some.into_iter().map(|position| (Arrived { position, arrival }, number)));
            answers.push((received, answer));
        }
        positions.sort_by_key(|(Arrived { position, arrival }, _)| {
            (counts_as_of(position.timestamp, *arrival), position.timestamp)
        });
        let (positions, submissions) = positions.into_iter().unzip();
        Self { positions, submissions, answers }
    }
}

/// A store that is open, with what has to be known of what it holds.
#[derive(Debug)]
pub struct Opened {
    store: Store,
    order: Order,
    lock: StoreLock,
}

impl Opened {
    /// Opens the store in `file`, which no other process may use meanwhile, and gives the newest position of each device
    /// to `each`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be used.
    pub async fn load(file: &Path, each: impl FnMut(Position)) -> Result<Self, StoreError> {
        let lock = StoreLock::take(file)?;
        let mut store = Store::open(file).await?;
        let order = store.load(each).await?;
        Ok(Self { store, order, lock })
    }

    /// How many devices it knows.
    pub fn devices(&self) -> usize {
        self.order.devices()
    }
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
            settings,
            metrics,
            publish: Box::new(publish),
            desk: Desk::Idle(store),
            waiting: Vec::new(),
            waiting_positions: 0,
            order: Some(order),
            clock: Timestamp::now,
            _lock: lock,
            stopping: None,
            probing: false,
        }
    }

    /// With another clock than the system's.
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
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
        let group = Group::new(self.waiting.drain(..fits.count()));
        let desk = std::mem::replace(&mut self.desk, Desk::Busy);
        let order = self.order.take().unwrap_or_default();
        let file = self.settings.database.clone();
        let began = Instant::now();
        let work = async move {
            let result = store_all(desk, &file, &group.positions, &order).await;
            (result, group, order)
        };
        let done = wrap_future::<_, Self>(work).map(move |(result, group, order), actor, ctx| {
            actor.order = Some(order);
            actor.waiting_positions -= group.positions.len();
            actor.metrics.waiting.set(actor.waiting_positions as i64);
            match result {
                Ok((store, committed)) => {
                    actor.metrics.store_bytes.set(store.bytes() as i64);
                    actor.desk = Desk::Idle(store);
                    actor.stored(group, committed, began.elapsed());
                }
                Err(error) => {
                    let error = SubmitError::Store(Arc::new(error));
                    actor.fail(&error, ctx);
                    let answers = group.answers.into_iter();
                    answers.for_each(|(_, answer)| acknowledge(answer, Err(error.clone())));
                }
            }
            actor.commit(ctx);
        });
        ctx.spawn(done);
    }

    fn stored(&mut self, group: Group, committed: Committed, took: Duration) {
        self.works_again();
        let metrics = &self.metrics;
        metrics.commit_seconds.observe(took.as_secs_f64());
        metrics.commit_positions.observe(group.positions.len() as f64);
        metrics.accepted.inc_by(group.positions.len() as u64);
        if let Some(order) = &mut self.order {
            order.apply(committed.changed);
            metrics.devices.set(order.devices() as i64);
        }
        let mut stored = vec![Stored::default(); group.answers.len()];
        let mut new = Vec::new();
        let verdicts = group.positions.into_iter().zip(group.submissions).zip(committed.verdicts);
        for ((arrived, submission), verdict) in verdicts {
            match verdict {
                Verdict::New => new.push((arrived.position, group.answers[submission].0)),
                Verdict::Late => stored[submission].late += 1,
                Verdict::Repeated => stored[submission].repeated += 1,
            }
        }
        metrics.late.inc_by(stored.iter().map(|stored| stored.late as u64).sum());
        metrics.repeated.inc_by(stored.iter().map(|stored| stored.repeated as u64).sum());
        if !new.is_empty() {
            self.publish.publish(new);
        }
        // Last, so that whoever has its answer finds the positions in every snapshot.
        let answers = group.answers.into_iter().zip(stored);
        answers.for_each(|((_, answer), stored)| acknowledge(answer, Ok(stored)));
    }

    fn works_again(&self) {
        if self.metrics.store_up.get() == 0 {
            log::info!("store works again");
            self.metrics.store_up.set(1);
        }
    }

    /// Looks whether the store is still there, so that readiness knows it also when nobody posts.
    fn look_after(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.desk, Desk::Idle(_)) {
            return;
        }
        let Desk::Idle(mut store) = std::mem::replace(&mut self.desk, Desk::Busy) else { return };
        let checked = wrap_future::<_, Self>(async move {
            let result = store.check().await;
            (store, result)
        });
        ctx.spawn(checked.map(|(store, result), actor, ctx| {
            actor.metrics.store_bytes.set(store.bytes() as i64);
            actor.desk = Desk::Idle(store);
            if let Err(error) = result {
                actor.fail(&SubmitError::Store(Arc::new(error)), ctx);
            }
            actor.commit(ctx);
        }));
    }

    fn fail(&mut self, error: &SubmitError, ctx: &mut Context<Self>) {
        self.desk = Desk::Broken;
        self.metrics.store_errors.inc();
        if self.metrics.store_up.get() == 1 {
            let SubmitError::Store(reason) = error else { return };
            log::error!("the store failed: {reason}; positions are refused until it works again");
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
            let opened = wrap_future::<_, Self>(async move { Store::reopen(&file).await });
            ctx.spawn(opened.map(|result, actor, ctx| {
                actor.desk = match result {
                    Ok(store) => {
                        actor.works_again();
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

/// Opens the store if it is put away, and commits. A store that failed is dropped: opened anew, it starts clean.
async fn store_all(
    desk: Desk,
    file: &Path,
    positions: &[Arrived],
    order: &Order,
) -> Result<(Store, Committed), StoreError> {
    let mut store = match desk {
        Desk::Idle(store) => store,
        _ => Store::reopen(file).await?,
    };
    let committed = store.commit(positions, order).await?;
    Ok((store, committed))
}

/// Tells whoever submitted; it may have gone.
fn acknowledge(answer: Answer, result: Result<Stored, SubmitError>) {
    answer.send(result).ok();
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK_EVERY, Self::look_after);
    }
}

impl Handler<Submit> for Consumer {
    type Result = ResponseFuture<Result<Stored, SubmitError>>;

    fn handle(&mut self, Submit(positions): Submit, ctx: &mut Self::Context) -> Self::Result {
        if self.stopping.is_some() || matches!(self.desk, Desk::Closed) {
            return Box::pin(async { Err(SubmitError::Stopping) });
        }
        if positions.is_empty() {
            return Box::pin(async { Ok(Stored::default()) });
        }
        // One post is always taken, however large, when nothing waits.
        if self.waiting_positions > 0 && self.waiting_positions + positions.len() > self.settings.max_waiting
        {
            return Box::pin(async { Err(SubmitError::Full) });
        }
        self.waiting_positions += positions.len();
        self.metrics.waiting.set(self.waiting_positions as i64);
        let (answer, result) = oneshot::channel();
        let (received, arrival) = (Instant::now(), (self.clock)());
        self.waiting.push(Submission { positions, received, arrival, answer });
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
