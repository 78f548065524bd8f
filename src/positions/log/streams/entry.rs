//! `Encoder`, `decode`: positions and revocations as entries of the log, which instances of other releases read too.
//!
//! An entry has the fields `v`, the version, and `json` or `deflate`: an object with the instance that wrote it and its positions,
//! as it is or compressed. Fields and members that are not known are skipped, so that a later release may add some; what an
//! earlier one must not read gets another version.
//!
//! Revocations are such a member, in entries without positions: releases that know of none read those as empty.

use std::borrow::Cow;
use std::io::Read as _;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::revocation::{RevocationError, RevocationRecord};
use crate::domain::{Field, FieldError, PositionDraft, Revocation, Timestamp, Topic};
use crate::positions::arrived::Arrived;

/// The version of the entries that are written.
pub(super) const VERSION: &str = "1";

/// The names of an entry's fields.
pub(super) const VERSION_FIELD: &str = "v";
pub(super) const JSON_FIELD: &str = "json";
pub(super) const DEFLATE_FIELD: &str = "deflate";

/// Most positions in one entry.
pub(super) const MAX_POSITIONS: usize = 8192;

/// An entry of so many bytes takes no more positions.
const FULL_BYTES: usize = 4 << 20;

/// Longer ones are compressed.
const COMPRESS_FROM: usize = 1024;

/// The longest JSON that is read, some times more than any entry has.
const MAX_READ_BYTES: u64 = 16 << 20;

/// Compression takes a small part of what the positions cost elsewhere; higher levels save little of JSON like this.
const LEVEL: u32 = 1;

/// An entry that is to be appended.
#[derive(Debug)]
pub(super) struct Encoded {
    /// The name of the field that has `bytes`.
    pub(super) field: &'static str,
    pub(super) bytes: Vec<u8>,
    /// How many positions it has.
    pub(super) positions: usize,
}

/// What an entry holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) positions: Vec<Arrived>,
    pub(super) revocations: Vec<Revocation>,
}

/// Makes entries.
pub(super) struct Encoder {
    instance: String,
    compress: Compress,
}

/// Why an entry cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// Of another release.
    #[error("version {0}, this release reads {VERSION}")]
    Version(String),
    #[error("no version")]
    NoVersion,
    #[error("neither {JSON_FIELD} nor {DEFLATE_FIELD}")]
    NoPositions,
    #[error("not compressed as it should be: {0}")]
    Deflate(std::io::Error),
    #[error("longer than {MAX_READ_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Json(serde_json::Error),
    #[error("{0}")]
    Position(FieldError),
    #[error("a time that is out of range")]
    Time,
    #[error("a revocation {0}")]
    Revocation(#[from] RevocationError),
}

/// A position as it is written. Times are milliseconds since the epoch.
#[derive(Deserialize, Serialize)]
struct Record<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    timestamp: i64,
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    altitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heading: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    topics: Vec<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    arrival: i64,
}

/// What is in an entry, as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    positions: Vec<Record<'a>>,
    #[serde(borrow, default)]
    revocations: Vec<RevocationRecord<'a>>,
}

impl Encoder {
    /// Entries name `instance` as the one that wrote them.
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), compress: Compress::new(Compression::new(LEVEL), false) }
    }

    /// Positions as entries, in the same order; several where they are too many for one.
    pub(super) fn encode<'a>(&mut self, positions: impl IntoIterator<Item = &'a Arrived>) -> Vec<Encoded> {
        let mut entries = Vec::new();
        let (mut json, mut count) = (self.head(), 0);
        for arrived in positions {
            if count == MAX_POSITIONS || json.len() >= FULL_BYTES {
                let full = std::mem::replace(&mut json, self.head());
                entries.push(self.finish(full, std::mem::take(&mut count)));
            }
            let before = json.len();
            if count > 0 {
                json.push(b',');
            }
            match serde_json::to_writer(&mut json, &Record::from(arrived)) {
                Ok(()) => count += 1,
                Err(error) => {
                    // No position is known of which this could be said.
                    log::error!("position not written to the log: {error}");
                    json.truncate(before);
                }
            }
        }
        if count > 0 {
            entries.push(self.finish(json, count));
        }
        entries
    }

    /// Revocations as one entry; `None` if there are none.
    pub(super) fn encode_revocations<'a>(
        &mut self,
        revocations: impl Iterator<Item = &'a Revocation>,
    ) -> Option<Encoded> {
        let records: Vec<_> = revocations.map(RevocationRecord::from).collect();
        if records.is_empty() {
            return None;
        }
        let instance = &self.instance;
        let content = serde_json::json!({ "instance": instance, "positions": [], "revocations": records });
        Some(self.pack(content.to_string().into_bytes(), 0))
    }

    fn head(&self) -> Vec<u8> {
        let instance = serde_json::Value::from(self.instance.as_str());
        format!("{{\"instance\":{instance},\"positions\":[").into_bytes()
    }

    fn finish(&mut self, mut json: Vec<u8>, positions: usize) -> Encoded {
        json.extend_from_slice(b"]}");
        self.pack(json, positions)
    }

    fn pack(&mut self, json: Vec<u8>, positions: usize) -> Encoded {
        let compressed = (json.len() > COMPRESS_FROM).then(|| self.deflate(&json)).flatten();
        match compressed {
            Some(bytes) if bytes.len() < json.len() => Encoded { field: DEFLATE_FIELD, bytes, positions },
            _ => Encoded { field: JSON_FIELD, bytes: json, positions },
        }
    }

    /// `json` as one deflate stream without a header; `None` if that fails, which it does not.
    fn deflate(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        self.compress.reset();
        let mut compressed = Vec::with_capacity(json.len() / 3);
        loop {
            let read = self.compress.total_in() as usize;
            let status = self.compress.compress_vec(&json[read..], &mut compressed, FlushCompress::Finish);
            match status.ok()? {
                Status::StreamEnd => return Some(compressed),
                Status::Ok | Status::BufError => compressed.reserve(compressed.capacity().max(64)),
            }
        }
    }
}

impl<'a> From<&'a Arrived> for Record<'a> {
    fn from(Arrived { position, arrival, .. }: &'a Arrived) -> Self {
        Self {
            device_id: Cow::Borrowed(&position.device_id),
            timestamp: position.timestamp.as_millis(),
            latitude: position.latitude,
            longitude: position.longitude,
            altitude: position.altitude,
            accuracy: position.accuracy,
            heading: position.heading,
            speed: position.speed,
            topics: position.topics.iter().map(Topic::to_string).collect(),
            attributes: position.attributes.as_deref(),
            arrival: arrival.as_millis(),
        }
    }
}

/// Reads an entry, of which `field` gives the value of a field.
///
/// # Errors
/// [`Unreadable`] if it is of another version, or not what an instance writes; nothing of it is used then.
pub(super) fn decode<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Content, Unreadable> {
    match field(VERSION_FIELD) {
        Some(version) if version == VERSION.as_bytes() => {}
        Some(version) => {
            let version = String::from_utf8_lossy(&version[..version.len().min(32)]);
            return Err(Unreadable::Version(version.escape_debug().to_string()));
        }
        None => return Err(Unreadable::NoVersion),
    }
    if let Some(json) = field(JSON_FIELD) {
        return if json.len() as u64 > MAX_READ_BYTES { Err(Unreadable::TooLong) } else { read(json) };
    }
    let compressed = field(DEFLATE_FIELD).ok_or(Unreadable::NoPositions)?;
    let mut json = Vec::new();
    let mut inflate = flate2::read::DeflateDecoder::new(compressed).take(MAX_READ_BYTES + 1);
    inflate.read_to_end(&mut json).map_err(Unreadable::Deflate)?;
    if json.len() as u64 > MAX_READ_BYTES { Err(Unreadable::TooLong) } else { read(&json) }
}

fn read(json: &[u8]) -> Result<Content, Unreadable> {
    let Written { positions, revocations } = serde_json::from_slice(json).map_err(Unreadable::Json)?;
    let now = Now { clock: Timestamp::now(), instant: Instant::now() };
    Ok(Content {
        positions: positions.into_iter().map(|record| record.arrived(&now)).collect::<Result<_, _>>()?,
        revocations: revocations.into_iter().map(|record| record.revocation()).collect::<Result<_, _>>()?,
    })
}

/// The same instant by both clocks.
struct Now {
    clock: Timestamp,
    instant: Instant,
}

impl Record<'_> {
    /// Checked like what comes from outside, as others may write to the stream too.
    fn arrived(self, now: &Now) -> Result<Arrived, Unreadable> {
        let [timestamp, arrival] = [self.timestamp, self.arrival].map(Timestamp::from_millis);
        let (timestamp, arrival) = timestamp.zip(arrival).ok_or(Unreadable::Time)?;
        let number = |value: Option<f64>| value.map_or(Field::Absent, Field::Value);
        let draft = PositionDraft {
            device_id: Field::Value(self.device_id),
            timestamp: Field::Value(timestamp),
            latitude: Field::Value(self.latitude),
            longitude: Field::Value(self.longitude),
            altitude: number(self.altitude),
            accuracy: number(self.accuracy),
            heading: number(self.heading),
            speed: number(self.speed),
            topics: Field::Value(self.topics.into_iter().map(Cow::Owned).collect()),
            attributes: self.attributes.map_or(Field::Absent, |raw| Field::Value(Cow::Borrowed(raw))),
        };
        // How far ahead it may be was for the instance to say that took it, by its own clock.
        let position = draft.check(timestamp).map_err(Unreadable::Position)?;
        Ok(Arrived { position, arrival, received: now.instant_of(arrival) })
    }
}

impl Now {
    /// When `arrival` was, to measure by; never in the future, whatever the clocks of the instances say.
    fn instant_of(&self, arrival: Timestamp) -> Instant {
        let ago = self.clock.as_millis().saturating_sub(arrival.as_millis());
        let ago = Duration::from_millis(u64::try_from(ago).unwrap_or(0));
        self.instant.checked_sub(ago).unwrap_or(self.instant)
    }
}

#[cfg(test)]
mod tests;
