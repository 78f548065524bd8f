//! `Reader`: the task that reads one stream of the log, over a connection of its own.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::deliver::Event;
use super::entry::{Content, Unreadable, decode};
use super::place::{Place, Stream};
use crate::domain::Timestamp;
use crate::metrics::LogMetrics;
use crate::notice::Notices;
use crate::positions::redis::{Backoff, Connection, Entry, Redis, RedisError, streams};

/// How long Redis may wait for the next entry before it answers that there is none: at most this, and half of what an answer may
/// take, so that a reader knows soon that it hears nothing.
const MAX_BLOCK: Duration = Duration::from_secs(1);

/// Most entries in one answer; an entry may have megabytes.
const MAX_ENTRIES: usize = 16;

/// How often a reader that is behind looks whether entries are trimmed before it has read them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What all readers of an instance have in common.
pub(super) struct Readers {
    pub(super) redis: Rc<Redis>,
    pub(super) metrics: Arc<LogMetrics>,
    pub(super) notices: RefCell<Notices>,
}

/// Reads one stream.
pub(super) struct Reader {
    pub(super) common: Rc<Readers>,
    pub(super) key: String,
    /// `None`: not known, so that entries may be missed.
    pub(super) place: Option<Place>,
    pub(super) events: mpsc::Sender<Event>,
    /// When it was last answered.
    answered: Instant,
    is_away: bool,
    has_connected: bool,
    backoff: Backoff,
}

impl Reader {
    pub(super) fn new(
        common: Rc<Readers>,
        key: String,
        place: Option<Place>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            common,
            key,
            place,
            events,
            answered: Instant::now(),
            is_away: false,
            has_connected: false,
            backoff: Backoff::default(),
        }
    }

    /// Reads until nobody takes what is read.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.read().await;
            if self.events.is_closed() {
                // Those of a log that is closed are ended before this.
                log::error!("nobody takes what is read from {}", self.key);
                return;
            }
            self.failed(&error);
            tokio::time::sleep(self.backoff.next()).await;
        }
    }

    fn failed(&mut self, error: &RedisError) {
        let unreadable = &self.common.metrics.unreadable;
        if !std::mem::replace(&mut self.is_away, true) {
            unreadable.inc();
            if unreadable.get() == 1 {
                log::warn!(
                    "the log at {} cannot be read: {error}; what other instances take is shown here when it works again",
                    self.common.redis
                );
            }
        }
    }

    fn works(&mut self) {
        self.backoff.reset();
        let unreadable = &self.common.metrics.unreadable;
        if std::mem::replace(&mut self.is_away, false) {
            unreadable.dec();
            if unreadable.get() == 0 {
                log::info!("the log at {} is read again", self.common.redis);
            }
        }
    }

    /// Connects, and reads until that fails.
    async fn read(&mut self) -> Result<Infallible, RedisError> {
        let mut connection = self.common.redis.connect().await?;
        if std::mem::replace(&mut self.has_connected, true) {
            self.common.metrics.reconnects.inc();
        }
        self.look(&mut connection).await?;
        self.works();
        // Reading is behind, so that entries may be trimmed before they are read: since when it has not looked.
        let mut behind: Option<Instant> = None;
        loop {
            let entries = self.next(&mut connection).await?;
            let is_full = entries.len() == MAX_ENTRIES;
            self.hand_on(entries).await;
            if is_full {
                behind.get_or_insert_with(Instant::now);
            }
            if behind.is_some_and(|since| !is_full || since.elapsed() >= LOOK_EVERY) {
                self.look(&mut connection).await?;
                behind = None;
            }
        }
    }

    /// Looks where the stream is. Where entries may be missed, says so and goes on from its end.
    async fn look(&mut self, connection: &mut Connection) -> Result<(), RedisError> {
        let timeout = self.common.redis.timeout();
        let stream = Stream::look(connection, timeout, &self.key).await?;
        // For so long others may have been unable to append as well, and may have ended before they could.
        let was_long_away = self.answered.elapsed() >= timeout;
        self.answered = Instant::now();
        let may_miss = self.place.as_ref().is_none_or(|place| stream.may_miss(place));
        if may_miss {
            if self.place.is_some() {
                let (key, redis) = (&self.key, &self.common.redis);
                log::warn!(
                    "{key} at {redis} was emptied or trimmed before all was read: what is missing is read from the store"
                );
            }
            self.place = Some(stream.end());
        }
        if may_miss || was_long_away {
            self.events.send(Event::Missed).await.ok();
        }
        Ok(())
    }

    /// The entries behind the place, as soon as there are some.
    async fn next(&mut self, connection: &mut Connection) -> Result<Vec<Entry>, RedisError> {
        let from = self.place.as_ref().map(|place| place.id).unwrap_or_default();
        let mut request = ::redis::cmd("XREAD");
        let timeout = self.common.redis.timeout();
        let block = MAX_BLOCK.min(timeout / 2);
        request.arg("COUNT").arg(MAX_ENTRIES).arg("BLOCK").arg(block.as_millis() as u64);
        request.arg("STREAMS").arg(&self.key).arg(from.to_string());
        let reply: Value = connection.ask(block + timeout, &request).await?;
        self.answered = Instant::now();
        streams(reply).ok_or(RedisError::Reply("XREAD"))
    }

    async fn hand_on(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(place) = &mut self.place {
                place.id = entry.id;
                place.added = place.added.map(|added| added + 1);
            }
            let Content { positions, revocations } = self.content(&entry);
            // Waits while the tail has enough to do.
            if !revocations.is_empty() {
                self.events.send(Event::Revoked(revocations)).await.ok();
            }
            if !positions.is_empty() {
                self.events.send(Event::Read(positions)).await.ok();
            }
        }
    }

    fn content(&self, entry: &Entry) -> Content {
        let Readers { metrics, notices, .. } = &*self.common;
        match decode(|name| entry.field(name)) {
            Ok(content) => {
                let Content { positions, revocations } = &content;
                metrics.read_entries.inc();
                metrics.read_positions.inc_by(positions.len() as u64);
                metrics.read_revocations.inc_by(revocations.len() as u64);
                if let Some(first) = positions.first() {
                    let lag = Timestamp::now().as_millis().saturating_sub(first.arrival.as_millis());
                    metrics.lag.observe(lag.max(0) as f64 / 1000.);
                }
                content
            }
            Err(error) => {
                let reason = if matches!(error, Unreadable::Version(_)) { "version" } else { "broken" };
                metrics.skipped.with_label_values(&[reason]).inc();
                let (key, id) = (&self.key, entry.id);
                notices.borrow_mut().warn(format_args!("entry {id} of {key} skipped: {error}"));
                Content::default()
            }
        }
    }
}
