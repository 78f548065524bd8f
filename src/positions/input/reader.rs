//! `Reader`: the task that takes entries of the input stream, submits their positions, and acknowledges them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::SubmitTo;
use super::record::{Rejected, positions_of};
use super::rejects::{keep, rejects_of};
use super::stream::{BLOCK, Stream, Which};
use crate::domain::{Position, Timestamp};
use crate::metrics::InputMetrics;
use crate::notice::Notices;
use crate::positions::backlog::MAX_COMMIT;
use crate::positions::redis::{Backoff, Entry, EntryId, Redis, RedisError};
use crate::positions::submit::SubmitError;

/// How long a stop waits for the answer to a request that takes entries: those that Redis hands out to nobody wait until they are
/// taken over.
const HANDED_OUT: Duration = BLOCK.saturating_mul(2);

/// Takes entries of the input stream.
pub(super) struct Reader {
    redis: Redis,
    key: String,
    rejects: String,
    consumer: String,
    claim_after: Duration,
    metrics: Arc<InputMetrics>,
    notices: Notices,
    /// When entries that others did not finish are looked for.
    claim_at: Instant,
    is_away: bool,
    has_connected: bool,
    backoff: Backoff,
}

/// Why taking entries ended.
enum End {
    /// It was told to, or what stores positions stops.
    Stopped,
    Failed(RedisError),
}

impl From<RedisError> for End {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    pub(super) fn new(
        redis: Redis,
        stream: &str,
        instance: &str,
        claim_after: Duration,
        metrics: Arc<InputMetrics>,
    ) -> Self {
        Self {
            redis,
            key: stream.to_owned(),
            rejects: rejects_of(stream),
            consumer: instance.to_owned(),
            claim_after,
            metrics,
            notices: Notices::new(module_path!()),
            claim_at: Instant::now(),
            is_away: false,
            has_connected: false,
            backoff: Backoff::default(),
        }
    }

    /// Takes entries until `stop` says so.
    pub(super) async fn run(mut self, submit: SubmitTo, mut stop: watch::Receiver<bool>) {
        while let Err(End::Failed(error)) = self.take_all(&submit, &mut stop).await {
            self.failed(&error);
            self.wait(&mut stop).await;
        }
        self.metrics.up.set(0);
        self.metrics.pending.set(0);
    }

    fn failed(&mut self, error: &RedisError) {
        self.metrics.up.set(0);
        self.metrics.pending.set(0);
        if !std::mem::replace(&mut self.is_away, true) {
            let Self { redis, key, .. } = self;
            log::warn!("the input stream {key} at {redis} failed: {error}; it is read again when it works");
        }
    }

    fn works(&mut self) {
        self.backoff.reset();
        self.metrics.up.set(1);
        if std::mem::take(&mut self.is_away) {
            log::info!("the input stream {} at {} is read again", self.key, self.redis);
        }
    }

    /// Connects, and takes entries until that fails or is stopped.
    async fn take_all(&mut self, submit: &SubmitTo, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        let limit = self.redis.timeout();
        let (key, consumer) = (self.key.clone(), self.consumer.clone());
        let connection = until(stop, Duration::ZERO, self.redis.connect()).await?;
        if std::mem::replace(&mut self.has_connected, true) {
            self.metrics.reconnects.inc();
        }
        let mut stream = Stream::new(connection, &key, &consumer, limit);
        until(stop, Duration::ZERO, stream.make_group()).await?;
        // First what this instance took before, under the same name, and did not finish.
        let mut which = Which::Unfinished(EntryId::default());
        loop {
            if *stop.borrow() {
                return Ok(());
            }
            let entries = until(stop, HANDED_OUT, stream.take(which)).await?;
            self.works();
            which = match (which, entries.last()) {
                (Which::Unfinished(_), Some(last)) => Which::Unfinished(last.id),
                _ => Which::New,
            };
            self.finish(&mut stream, entries, submit, stop).await?;
            if self.claim_at <= Instant::now() {
                self.claim(&mut stream, submit, stop).await?;
            }
        }
    }

    /// Takes over what others did not finish.
    async fn claim(
        &mut self,
        stream: &mut Stream<'_>,
        submit: &SubmitTo,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        let mut from = Some(EntryId::default());
        while let Some(next) = from.filter(|_| !*stop.borrow()) {
            let (entries, then) = until(stop, HANDED_OUT, stream.claim(self.claim_after, next)).await?;
            self.metrics.claimed.inc_by(entries.len() as u64);
            self.finish(stream, entries, submit, stop).await?;
            from = then;
        }
        // Half of it, so that an entry waits for at most one and a half times as long.
        self.claim_at = Instant::now() + self.claim_after / 2;
        Ok(())
    }

    /// Stores the positions of entries, keeps those that are none, and acknowledges both.
    async fn finish(
        &mut self,
        stream: &mut Stream<'_>,
        entries: Vec<Entry>,
        submit: &SubmitTo,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        self.metrics.pending.set(entries.len() as i64);
        let now = Timestamp::now();
        let mut batch = Batch::default();
        for entry in entries {
            match positions_of(&entry, now) {
                Ok(positions) => {
                    if !batch.has_room(positions.len()) {
                        self.store(stream, std::mem::take(&mut batch), submit, stop).await?;
                    }
                    batch.add(entry.id, positions);
                }
                // It was deleted after it had been taken.
                Err(_) if entry.fields.is_empty() => stream.acknowledge(&[entry.id]).await?,
                Err(rejected) => self.reject(stream, &entry, &rejected).await?,
            }
        }
        self.store(stream, batch, submit, stop).await
    }

    /// Submits positions until they are stored, and acknowledges their entries.
    async fn store(
        &mut self,
        stream: &mut Stream<'_>,
        batch: Batch,
        submit: &SubmitTo,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        let Some(oldest) = batch.ids.iter().min() else { return Ok(()) };
        let count = batch.positions.len();
        // Not ended by a stop: what is being committed is acknowledged too.
        while let Err(error) = submit(batch.positions.clone()).await {
            match error {
                SubmitError::Stopping => return Err(End::Stopped),
                SubmitError::Full | SubmitError::Store(_) => {
                    log::debug!("positions of the input stream {} wait: {error}", self.key);
                }
            }
            self.wait(stop).await;
            if *stop.borrow() {
                return Err(End::Stopped);
            }
        }
        self.backoff.reset();
        self.metrics.entries.inc_by(batch.ids.len() as u64);
        self.metrics.positions.inc_by(count as u64);
        let age = Timestamp::now().as_millis().saturating_sub_unsigned(oldest.millis);
        self.metrics.lag.set(age.max(0) as f64 / 1000.);
        Ok(stream.acknowledge(&batch.ids).await?)
    }

    async fn reject(
        &mut self,
        stream: &mut Stream<'_>,
        entry: &Entry,
        rejected: &Rejected,
    ) -> Result<(), End> {
        // In this order: acknowledged first, it could be lost.
        stream.ask(&keep(&self.rejects, entry, rejected)).await?;
        stream.acknowledge(&[entry.id]).await?;
        self.metrics.rejected.inc();
        let (key, id) = (&self.key, entry.id);
        self.notices.warn(format_args!("entry {id} of {key} moved to {}: {rejected}", self.rejects));
        Ok(())
    }

    /// Waits before something is tried again, unless it is stopped meanwhile.
    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) {
        tokio::time::timeout(self.backoff.next(), stop.wait_for(|stop| *stop)).await.ok();
    }
}

/// Positions that are submitted together, with the entries that they are from.
#[derive(Default)]
struct Batch {
    ids: Vec<EntryId>,
    positions: Vec<Position>,
}

impl Batch {
    fn has_room(&self, positions: usize) -> bool {
        self.positions.is_empty() || self.positions.len() + positions <= MAX_COMMIT
    }

    fn add(&mut self, id: EntryId, positions: Vec<Position>) {
        self.ids.push(id);
        self.positions.extend(positions);
    }
}

/// What comes of a request, unless it is stopped and has no answer for so long after that.
async fn until<T>(
    stop: &mut watch::Receiver<bool>,
    grace: Duration,
    request: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, End> {
    let stopped = async {
        stop.wait_for(|stop| *stop).await.ok();
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        result = request => Ok(result?),
        () = stopped => Err(End::Stopped),
    }
}
