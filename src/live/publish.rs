//! `Hubs`: the way of positions from outside to the hub of every worker, each encoded at most once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use super::frame;
use crate::domain::{Position, Timestamp, Topic};
use crate::metrics::LiveMetrics;

/// Positions that may wait for one worker's fan-out before older ones of the same device are shed.
const INBOX_LIMIT: usize = 8192;

/// A position on its way to clients, encoded at most once for all of them.
#[derive(Debug)]
pub struct Published {
    position: Position,
    received: Instant,
    json: OnceLock<Box<RawValue>>,
    /// The topics it goes to, each with its frame.
    frames: Vec<(Topic, OnceLock<Bytes>)>,
}

impl Published {
    pub(super) fn new(position: Position, received: Instant) -> Arc<Self> {
        let frames = position.published_to().map(|topic| (topic, OnceLock::new())).collect();
        Arc::new(Self { position, received, json: OnceLock::new(), frames })
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// How long ago it arrived at ingest.
    pub(super) fn age(&self) -> Duration {
        self.received.elapsed()
    }

    /// The topics it goes to.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.frames.iter().map(|(topic, _)| topic)
    }

    /// The position as a JSON object.
    pub(super) fn json(&self) -> &RawValue {
        self.json.get_or_init(|| {
            serde_json::value::to_raw_value(&self.position).unwrap_or_else(|error| {
                // Numbers are finite and times in range since they were read; nothing else can fail.
                log::error!("position not encoded: {error}");
                RawValue::NULL.to_owned()
            })
        })
    }

    /// The frame that carries it to subscribers of a topic.
    pub(super) fn frame(&self, topic: &Topic) -> Bytes {
        let encode = || {
            // The envelope's fields and the position's are one object, so the two texts are joined inside it.
            let topic = serde_json::Value::String(topic.to_string());
            let fields = self.json().get().trim_start_matches('{');
            frame::text(format!(r#"{{"type":"position","topic":{topic},{fields}"#).as_bytes())
        };
        match self.frames.iter().find(|(known, _)| known == topic) {
            Some((_, frame)) => frame.get_or_init(encode).clone(),
            None => encode(),
        }
    }

    /// The frame that tells subscribers of a topic that its device has left with this position.
    pub(super) fn left_frame(&self, topic: &Topic) -> Bytes {
        let Position { device_id, timestamp, .. } = &self.position;
        let left = Left { kind: "left", topic: &topic.to_string(), device_id, timestamp: *timestamp };
        frame::text(&serde_json::to_vec(&left).unwrap_or_else(|error| {
            // Strings and a time: there is nothing that serde could refuse.
            log::error!("update not encoded: {error}");
            b"{}".to_vec()
        }))
    }
}

#[derive(Serialize)]
struct Left<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    topic: &'a str,
    device_id: &'a str,
    timestamp: Timestamp,
}

/// The way from outside to the hubs of all workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hubs {
    inboxes: Arc<[Arc<Inbox>]>,
    metrics: Arc<LiveMetrics>,
}

/// Positions that wait for one worker.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

impl Hubs {
    pub(crate) fn new(workers: usize, metrics: Arc<LiveMetrics>) -> Self {
        Self { inboxes: (0..workers).map(|_| Arc::default()).collect(), metrics }
    }

    pub(crate) fn inbox(&self, worker: usize) -> Arc<Inbox> {
        self.inboxes[worker].clone()
    }

    /// Publishes positions, each with the instant of its arrival, to all subscribers. Those of one device must
    /// come in the order of their timestamps.
    pub fn publish(&self, positions: impl IntoIterator<Item = (Position, Instant)>) {
        let positions: Vec<_> =
            positions.into_iter().map(|(position, received)| Published::new(position, received)).collect();
        for inbox in self.inboxes.iter() {
            let shed = inbox.push(&positions);
            self.metrics.shed.inc_by(shed as u64);
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    positions: Vec<Arc<Published>>,
    /// How many devices there were when it was last too long: looking again pays only when it has grown well beyond.
    devices: usize,
}

impl Inbox {
    /// Adds positions; if there are too many, leaves the newest of each device. Returns how many were shed.
    fn push(&self, positions: &[Arc<Published>]) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { positions: list, devices } = &mut *waiting;
        list.extend_from_slice(positions);
        let before = list.len();
        if before > INBOX_LIMIT.max(*devices * 2) {
            let mut seen = HashSet::new();
            list.reverse();
            list.retain(|published| seen.insert(published.position.device_id.clone()));
            list.reverse();
            *devices = list.len();
        }
        let shed = before - list.len();
        drop(waiting);
        self.ready.notify_one();
        shed
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        self.ready.notified().await;
    }

    pub(super) fn take(&self) -> Vec<Arc<Published>> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)).positions
    }
}
