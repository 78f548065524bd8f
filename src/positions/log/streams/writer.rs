//! `Writer`: the task that appends to the log what is committed and revoked, in order, and the newest positions after it was away.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Pipeline;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::entry::{Encoded, Encoder, VERSION, VERSION_FIELD};
use super::queue::{Group, Queue};
use super::shard::{shard_of, stream_name};
use crate::domain::Revocation;
use crate::metrics::LogMetrics;
use crate::positions::arrived::Arrived;
use crate::positions::redis::{Backoff, Connection, Redis, RedisError};

/// Most positions that are appended at once, but for a group that has more.
const MAX_AT_ONCE: usize = 8192;

/// How often a log to which nothing is appended is asked whether it is there.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The streams that are written to.
pub(super) struct Streams {
    pub(super) prefix: String,
    pub(super) shards: u32,
    pub(super) max_entries: u64,
}

/// Appends what waits in a queue.
pub(super) struct Writer {
    redis: Rc<Redis>,
    streams: Streams,
    queue: Rc<Queue>,
    metrics: Arc<LogMetrics>,
    encoder: Encoder,
    connection: Option<Connection>,
    /// There was one before.
    has_connected: bool,
    backoff: Backoff,
}

impl Streams {
    /// Adds the request that appends an entry.
    fn append(&self, requests: &mut Pipeline, shard: u32, entry: Encoded) {
        let key = stream_name(&self.prefix, shard);
        requests.cmd("XADD").arg(key).arg("MAXLEN").arg("~").arg(self.max_entries).arg("*");
        requests.arg(VERSION_FIELD).arg(VERSION).arg(entry.field).arg(entry.bytes).ignore();
    }
}

impl Writer {
    pub(super) fn new(
        redis: Rc<Redis>,
        streams: Streams,
        instance: &str,
        queue: Rc<Queue>,
        metrics: Arc<LogMetrics>,
    ) -> Self {
        let encoder = Encoder::new(instance);
        let backoff = Backoff::default();
        Self { redis, streams, queue, metrics, encoder, connection: None, has_connected: false, backoff }
    }

    /// Appends what comes, until nothing more comes and what waits is appended, or cannot be.
    pub(super) async fn run(mut self) {
        match self.check().await {
            Ok(()) => self.metrics.up.set(1),
            Err(error) => self.away(Vec::new(), &error),
        }
        loop {
            let goes_on = if self.queue.is_away() { self.recover().await } else { self.append_next().await };
            if !goes_on {
                return;
            }
        }
    }

    /// Appends the next groups; where there are none, waits for some. Returns whether to go on.
    async fn append_next(&mut self) -> bool {
        let groups = self.queue.next_groups(MAX_AT_ONCE);
        let Some(first) = groups.first() else {
            if self.queue.is_closed() {
                return false;
            }
            let queue = self.queue.clone();
            if tokio::time::timeout(CHECK_EVERY, queue.changed()).await.is_err()
                && let Err(error) = self.check().await
            {
                self.away(Vec::new(), &error);
            }
            return true;
        };
        // Those that came later have more time left.
        let deadline = first.since + self.redis.timeout();
        let mut requests = self.requests(groups.iter().map(|group| group.positions.as_slice()));
        self.add_revocations(&mut requests, groups.iter().flat_map(|group| &group.revocations));
        match self.append(&requests, deadline).await {
            Ok(()) => {
                groups.into_iter().for_each(Group::done);
                self.queue.appended();
            }
            Err(error) => self.away(groups, &error),
        }
        true
    }

    /// The log failed: nobody waits for it from now on.
    fn away(&self, groups: Vec<Group>, error: &RedisError) {
        if self.queue.away(groups) {
            self.metrics.up.set(0);
            self.metrics.failures.inc();
            log::warn!(
                "the log at {} failed: {error}; positions are stored, other instances get the newest of each device when it \
                 works again",
                self.redis
            );
        }
    }

    /// Appends what was kept while the log was away, if it is there. Returns whether to go on.
    async fn recover(&mut self) -> bool {
        if !self.queue.is_closed() {
            self.wait().await;
        }
        let kept = self.queue.take_newest();
        let count = kept.len();
        if let Err((rest, error)) = self.append_newest(kept).await {
            if self.queue.is_closed() {
                let waiting = rest.len();
                if waiting > 0 {
                    log::warn!(
                        "the log at {} is away ({error}) at the end: the newest positions of {waiting} devices are stored, and reach \
                         clients of other instances when these read the store, or the devices report again",
                        self.redis
                    );
                }
                return false;
            }
            log::debug!("the log at {} is away: {error}", self.redis);
            self.queue.put_back(rest);
            return true;
        }
        if self.queue.back(MAX_AT_ONCE) {
            self.backoff.reset();
            self.metrics.up.set(1);
            match count {
                0 => log::info!("the log at {} works again", self.redis),
                _ => log::info!(
                    "the log at {} works again; newest positions of {count} devices were appended to it",
                    self.redis
                ),
            }
        }
        true
    }

    /// Waits before the log is tried again, unless it is closed meanwhile.
    async fn wait(&mut self) {
        let until = Instant::now() + self.backoff.next();
        while !self.queue.is_closed() && tokio::time::timeout_at(until, self.queue.changed()).await.is_ok() {}
    }

    /// Appends positions in parts. Those that were not are returned with an error.
    async fn append_newest(&mut self, mut positions: Vec<Arrived>) -> Result<(), (Vec<Arrived>, RedisError)> {
        if positions.is_empty() {
            return self.check().await.map_err(|error| (positions, error));
        }
        while !positions.is_empty() {
            let from = positions.len().saturating_sub(MAX_AT_ONCE);
            let requests = self.requests([&positions[from..]]);
            if let Err(error) = self.append(&requests, Instant::now() + self.redis.timeout()).await {
                return Err((positions, error));
            }
            positions.truncate(from);
        }
        Ok(())
    }

    /// The requests that append groups: for each stream what is sent at once.
    fn requests<'a>(&mut self, groups: impl IntoIterator<Item = &'a [Arrived]>) -> Requests {
        let shards = self.streams.shards;
        let mut streams: Vec<Pipeline> = (0..shards).map(|_| Pipeline::new()).collect();
        let (mut entries, mut count) = (0, 0);
        for group in groups {
            let mut parts: Vec<Vec<&Arrived>> = vec![Vec::new(); shards as usize];
            for arrived in group {
                parts[shard_of(&arrived.position.device_id, shards) as usize].push(arrived);
            }
            for (shard, (part, stream)) in parts.into_iter().zip(&mut streams).enumerate() {
                for entry in self.encoder.encode(part) {
                    entries += 1;
                    count += entry.positions;
                    self.streams.append(stream, shard as u32, entry);
                }
            }
        }
        streams.retain(|stream| !stream.is_empty());
        Requests { streams, entries, positions: count }
    }

    /// The same for revocations, which all go to the first stream.
    fn add_revocations<'a>(
        &mut self,
        requests: &mut Requests,
        revocations: impl Iterator<Item = &'a Revocation>,
    ) {
        if let Some(entry) = self.encoder.encode_revocations(revocations) {
            let mut stream = Pipeline::new();
            self.streams.append(&mut stream, 0, entry);
            requests.streams.push(stream);
            requests.entries += 1;
        }
    }

    /// Sends requests, over another connection if there was one and it is broken.
    async fn append(&mut self, requests: &Requests, deadline: Instant) -> Result<(), RedisError> {
        let was_connected = self.connection.is_some();
        let mut result = self.send(requests, deadline).await;
        if was_connected && matches!(&result, Err(RedisError::Redis(error)) if error.is_io_error()) {
            result = self.send(requests, deadline).await;
        }
        if result.is_ok() {
            self.metrics.appended_entries.inc_by(requests.entries);
            self.metrics.appended_positions.inc_by(requests.positions as u64);
        }
        result
    }

    async fn send(&mut self, requests: &Requests, deadline: Instant) -> Result<(), RedisError> {
        let limit = self.redis.timeout();
        let send = async {
            let connection = self.connected().await?;
            let streams = requests.streams.iter().map(|stream| {
                let mut connection = connection.clone();
                async move { connection.send(limit, stream).await }
            });
            try_join_all(streams).await.map(drop)
        };
        let result = tokio::time::timeout_at(deadline, send).await.unwrap_or(Err(RedisError::Timeout(limit)));
        if result.is_err() {
            // An answer that comes later must not be taken for that of another request.
            self.connection = None;
        }
        result
    }

    /// Asks the log whether it is there, and connects to it if it is not connected.
    async fn check(&mut self) -> Result<(), RedisError> {
        let was_connected = self.connection.is_some();
        let mut result = self.ask().await;
        if was_connected && result.is_err() {
            result = self.ask().await;
        }
        result
    }

    async fn ask(&mut self) -> Result<(), RedisError> {
        let limit = self.redis.timeout();
        let key = stream_name(&self.streams.prefix, 0);
        let request = ::redis::cmd("EXISTS").arg(key).to_owned();
        let result = self.connected().await?.ask::<i64>(limit, &request).await;
        if result.is_err() {
            self.connection = None;
        }
        result.map(drop)
    }

    async fn connected(&mut self) -> Result<&mut Connection, RedisError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.redis.connect().await?;
                if std::mem::replace(&mut self.has_connected, true) {
                    self.metrics.reconnects.inc();
                }
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }
}

/// Requests that append to the log.
struct Requests {
    /// Each to one stream.
    streams: Vec<Pipeline>,
    entries: u64,
    positions: usize,
}
