//! `RedisLog`: the log in Redis before it runs; `Running`: the same as a [`Log`], with its tasks.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::deliver::{MAX_EVENTS, deliver};
use super::own::Own;
use super::place::{Place, Stream};
use super::queue::Queue;
use super::reader::{Reader, Readers};
use super::shard::stream_name;
use super::writer::{Streams, Writer};
use crate::domain::Revocation;
use crate::metrics::LogMetrics;
use crate::notice::Notices;
use crate::positions::arrived::Arrived;
use crate::positions::log::{Log, Tail};
use crate::positions::redis::{Redis, RedisError};
use crate::settings::{LogSettings, RedisServers};

/// How long the process's last line may take to be written.
const LAST_LINE: Duration = Duration::from_millis(200);

/// The log in Redis, before it runs.
pub(in crate::positions) struct RedisLog {
    redis: Rc<Redis>,
    settings: LogSettings,
    instance: String,
    metrics: Arc<LogMetrics>,
    /// Of each stream, where it ended before the store was loaded.
    places: Vec<Option<Place>>,
}

/// The log in Redis, which runs until it is closed or dropped.
pub(in crate::positions) struct Running {
    queue: Rc<Queue>,
    timeout: Duration,
    /// `None` once it is closed.
    tasks: Option<Tasks>,
}

/// Tasks that end when this is dropped.
struct Tasks {
    writer: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
    deliver: JoinHandle<()>,
}

impl RedisLog {
    /// A log on `servers`; `settings` say the rest. Connects to nothing yet.
    ///
    /// # Errors
    /// [`RedisError`] if the servers cannot be used together.
    pub(in crate::positions) fn new(
        servers: &RedisServers,
        settings: &LogSettings,
        instance: &str,
        metrics: Arc<LogMetrics>,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            redis: Rc::new(Redis::new(servers, settings.timeout)?),
            places: vec![None; settings.shards as usize],
            settings: settings.clone(),
            instance: instance.to_owned(),
            metrics,
        })
    }

    /// Notes where the log ends: to be called before the store is loaded, as what is appended from then on is read. Where
    /// Redis is away, the store is read again when it comes. Takes a few times `POSITIONS_LOG_TIMEOUT_MS` at most.
    pub(in crate::positions) async fn note_ends(&mut self) {
        let limit = self.settings.timeout;
        let note = async {
            let mut connection = self.redis.connect().await?;
            for (shard, place) in self.places.iter_mut().enumerate() {
                let key = stream_name(&self.settings.stream, shard as u32);
                *place = Some(Stream::look(&mut connection, limit, &key).await?.end());
            }
            Ok::<_, RedisError>(())
        };
        // One limit for all: those that were not noted by then are as if Redis were away.
        let noted = tokio::time::timeout(2 * limit, note).await.unwrap_or(Err(RedisError::Timeout(limit)));
        if let Err(error) = noted {
            log::debug!("the log at {} is away: {error}", self.redis);
        }
    }

    /// Starts to read for `tail`, from where the log ended, and to append.
    pub(in crate::positions) fn start(self, tail: impl Tail) -> Running {
        let Self { redis, settings, instance, metrics, places } = self;
        let own = Rc::<Own>::default();
        let queue = Rc::new(Queue::new(own.clone(), metrics.clone()));
        let (events, receiver) = mpsc::channel(MAX_EVENTS);
        let common = Rc::new(Readers {
            redis: redis.clone(),
            metrics: metrics.clone(),
            notices: RefCell::new(Notices::new(module_path!())),
        });
        let reader = |(shard, place)| {
            let key = stream_name(&settings.stream, shard as u32);
            spawn("reader", Reader::new(common.clone(), key, place, events.clone()).run())
        };
        let readers = places.into_iter().enumerate().map(reader).collect();
        let streams = Streams {
            prefix: settings.stream.clone(),
            shards: settings.shards,
            max_entries: settings.max_entries,
        };
        let writer = Writer::new(redis, streams, &instance, queue.clone(), metrics.clone());
        let tasks = Tasks {
            writer: spawn("writer", writer.run()),
            readers,
            deliver: spawn("tail", deliver(tail, receiver, own, metrics)),
        };
        Running { queue, timeout: settings.timeout, tasks: Some(tasks) }
    }
}

/// Starts a task without which nothing reaches other instances, or nothing of theirs this one. If a defect ends it, so does the process:
/// it would take posts, and look ready, until somebody noticed.
fn spawn(name: &'static str, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            log::error!(
                "the log's {name} has ended by a defect of this program: ending, to be started again"
            );
            // For the log's own thread to write it.
            tokio::time::sleep(LAST_LINE).await;
            std::process::exit(1);
        }
    })
}

impl Running {
    fn when_done(&self, done: Option<oneshot::Receiver<()>>) -> LocalBoxFuture<'static, ()> {
        match done {
            Some(done) => {
                // The writer keeps to the limit by itself, unless a panic has ended it.
                let done = tokio::time::timeout(2 * self.timeout, done);
                Box::pin(async move { drop(done.await) })
            }
            None => Box::pin(std::future::ready(())),
        }
    }
}

impl Log for Running {
    fn append(&mut self, positions: Vec<Arrived>) -> LocalBoxFuture<'static, ()> {
        self.when_done((!positions.is_empty()).then(|| self.queue.push(positions)).flatten())
    }

    fn revoke(&mut self, revocation: Revocation) -> LocalBoxFuture<'static, ()> {
        self.when_done(self.queue.push_revocation(revocation))
    }

    fn close(&mut self) -> LocalBoxFuture<'static, ()> {
        self.queue.close();
        let deadline = Instant::now() + self.timeout;
        let tasks = self.tasks.take();
        Box::pin(async move {
            if let Some(mut tasks) = tasks {
                tokio::time::timeout_at(deadline, &mut tasks.writer).await.ok();
                // Then the tail gets what was read, and this instance's own that could not be appended.
                tasks.readers.iter().for_each(JoinHandle::abort);
                tokio::time::timeout_at(deadline, &mut tasks.deliver).await.ok();
            }
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.writer.abort();
        self.readers.iter().for_each(JoinHandle::abort);
        self.deliver.abort();
    }
}
