//! `Published`: a position on its way to clients, encoded at most once for all workers and topics.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::domain::Position;

/// A position on its way to clients.
#[derive(Debug)]
pub(crate) struct Published {
    position: Position,
    received: Instant,
    /// Its JSON object; `None` if it could not be encoded.
    json: OnceLock<Option<Bytes>>,
}

impl Published {
    pub(crate) fn new(position: Position, received: Instant) -> Arc<Self> {
        Arc::new(Self { position, received, json: OnceLock::new() })
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// How long ago it arrived at ingest.
    pub(super) fn age(&self) -> Duration {
        self.received.elapsed()
    }

    /// Its JSON object. `None`, and an error in the log, if it could not be encoded: numbers are finite and times in
    /// range since the position was read, so that would be a mistake of ours, and costs this one position.
    pub(super) fn json(&self) -> Option<&Bytes> {
        let encode = || match serde_json::to_vec(&self.position) {
            Ok(json) => Some(json.into()),
            Err(error) => {
                log::error!("position not encoded, its subscribers do not get it: {error}");
                None
            }
        };
        self.json.get_or_init(encode).as_ref()
    }

    /// The same without its opening brace.
    pub(super) fn fields(&self) -> Option<Bytes> {
        self.json().map(|json| json.slice(1..))
    }
}
