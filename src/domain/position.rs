//! `Position`: one device's place at one time, as the W3C Geolocation API names and measures it.

use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::timestamp::{LEAP_SECOND, Timestamp};
use super::topic::{Topic, check_name};

/// Longest `attributes` object of one position, in bytes of JSON.
pub const MAX_ATTRIBUTES_BYTES: usize = 4096;
/// Most entries in `topics` of one position.
pub const MAX_TOPICS: usize = 16;
/// How far ahead of the server's clock a position may be, in milliseconds (one day: room for a device
/// that sends local time as UTC, but not for one whose clock would hide its later positions for years).
pub const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// One device's place at one time.
#[derive(Clone, Debug)]
pub struct Position {
    /// Whose place it is.
    pub device_id: Arc<str>,
    /// When it was there.
    pub timestamp: Timestamp,
    /// Degrees north, WGS 84, -90 to 90.
    pub latitude: f64,
    /// Degrees east, WGS 84, -180 to 180.
    pub longitude: f64,
    /// Metres above the WGS 84 ellipsoid.
    pub altitude: Option<f64>,
    /// Metres, the radius of the 95 % confidence circle.
    pub accuracy: Option<f64>,
    /// Degrees clockwise from true north, 0 up to but not including 360.
    pub heading: Option<f64>,
    /// Metres per second.
    pub speed: Option<f64>,
    /// Events this position is published to, besides its own `device:` topic. Sorted, each once.
    pub topics: Vec<Topic>,
    /// A JSON object that is kept and passed on as it came.
    pub attributes: Option<Box<RawValue>>,
}

/// What is wrong with one field of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldError {
    /// The field's name, as it stands in the record.
    pub field: &'static str,
    /// What is allowed there.
    pub message: String,
}

impl FieldError {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// A record as it came: which fields there are, none of them read yet, so that an error can name its field.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    device_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    latitude: Option<&'a RawValue>,
    #[serde(borrow)]
    longitude: Option<&'a RawValue>,
    #[serde(borrow)]
    altitude: Option<&'a RawValue>,
    #[serde(borrow)]
    accuracy: Option<&'a RawValue>,
    #[serde(borrow)]
    heading: Option<&'a RawValue>,
    #[serde(borrow)]
    speed: Option<&'a RawValue>,
    #[serde(borrow)]
    topics: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

impl Position {
    /// Reads one JSON object. Fields that are not a position's are ignored; `null` stands for absent.
    ///
    /// # Errors
    /// A [`FieldError`] with the first field that is missing, mistyped or out of its range, and what is allowed
    /// there. `now` bounds how far ahead a timestamp may be.
    pub fn from_json(json: &str, now: Timestamp) -> Result<Self, FieldError> {
        // serde reads a struct from an array as well; a record is an object.
        if !json.trim_start().starts_with('{') {
            return Err(FieldError::new("record", "must be a JSON object"));
        }
        let record: Record<'_> = serde_json::from_str(json)
            .map_err(|error| FieldError::new("record", format!("must be a JSON object: {error}")))?;
        let device_id = required("device_id", record.device_id, text)?;
        check_name(&device_id).map_err(|error| FieldError::new("device_id", error.to_string()))?;
        let heading =
            optional("heading", record.heading, |field, raw| number(field, raw, 0.0, 360.0, "degrees"))?;
        Ok(Self {
            device_id: device_id.into(),
            timestamp: required("timestamp", record.timestamp, |field, raw| timestamp(field, raw, now))?,
            latitude: required("latitude", record.latitude, |field, raw| {
                number(field, raw, -90.0, 90.0, "degrees")
            })?,
            longitude: required("longitude", record.longitude, |field, raw| {
                number(field, raw, -180.0, 180.0, "degrees")
            })?,
            altitude: optional("altitude", record.altitude, |field, raw| {
                number(field, raw, -1e5, 1e9, "metres")
            })?,
            accuracy: optional("accuracy", record.accuracy, |field, raw| {
                number(field, raw, 0.0, 1e9, "metres")
            })?,
            // Receivers write due north as 360 as well; W3C ends the range just before it.
            heading: heading.map(|degrees| if degrees == 360.0 { 0.0 } else { degrees }),
            speed: optional("speed", record.speed, |field, raw| number(field, raw, 0.0, 1e6, "m/s"))?,
            topics: optional("topics", record.topics, topics)?.unwrap_or_default(),
            attributes: optional("attributes", record.attributes, attributes)?,
        })
    }

    /// The topics this position is published to: its device's, then its events'.
    pub fn published_to(&self) -> impl Iterator<Item = Topic> + '_ {
        std::iter::once(Topic::Device(self.device_id.clone())).chain(self.topics.iter().cloned())
    }
}

/// The fields that clients see, absent ones left out. `topics` say where a position goes, not where the device
/// is, and would tell a subscriber of one event about others; they stay here.
impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("device_id", &*self.device_id)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("latitude", &self.latitude)?;
        map.serialize_entry("longitude", &self.longitude)?;
        let optional = [
            ("altitude", self.altitude),
            ("accuracy", self.accuracy),
            ("heading", self.heading),
            ("speed", self.speed),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, &value)?;
            }
        }
        if let Some(attributes) = &self.attributes {
            map.serialize_entry("attributes", attributes)?;
        }
        map.end()
    }
}

fn required<T>(
    field: &'static str,
    raw: Option<&RawValue>,
    read: impl FnOnce(&'static str, &RawValue) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    read(field, raw.ok_or_else(|| FieldError::new(field, "is missing"))?)
}

fn optional<T>(
    field: &'static str,
    raw: Option<&RawValue>,
    read: impl FnOnce(&'static str, &RawValue) -> Result<T, FieldError>,
) -> Result<Option<T>, FieldError> {
    raw.map(|raw| read(field, raw)).transpose()
}

fn text(field: &'static str, raw: &RawValue) -> Result<String, FieldError> {
    serde_json::from_str(raw.get()).map_err(|_| FieldError::new(field, "must be a string"))
}

fn number(field: &'static str, raw: &RawValue, from: f64, to: f64, unit: &str) -> Result<f64, FieldError> {
    let value = serde_json::from_str::<f64>(raw.get()).ok().filter(|value| (from..=to).contains(value));
    value.ok_or_else(|| FieldError::new(field, format!("must be a number from {from} to {to} ({unit})")))
}

fn timestamp(field: &'static str, raw: &RawValue, now: Timestamp) -> Result<Timestamp, FieldError> {
    let text = text(field, raw).ok();
    let parsed = text.as_deref().and_then(Timestamp::parse).ok_or_else(|| {
        let has_leap_second = text.as_deref().and_then(|text| text.get(16..19)) == Some(LEAP_SECOND);
        FieldError::new(
            field,
            if has_leap_second {
                "must be an RFC 3339 date and time; seconds are :60 only in the last minute (UTC) of June or December"
            } else {
                "must be an RFC 3339 date and time, such as \"2026-01-02T03:04:05.678Z\""
            },
        )
    })?;
    if parsed.0 > now.0.saturating_add(MAX_AHEAD_MS) {
        let hours = MAX_AHEAD_MS / 3_600_000;
        return Err(FieldError::new(
            field,
            format!("must be at most {hours} hours ahead of the server's clock ({now})"),
        ));
    }
    Ok(parsed)
}

fn topics(field: &'static str, raw: &RawValue) -> Result<Vec<Topic>, FieldError> {
    let fault = |message: String| FieldError::new(field, message);
    let texts: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| fault("must be an array of strings, such as [\"event:rally-42\"]".into()))?;
    if texts.len() > MAX_TOPICS {
        return Err(fault(format!("must have at most {MAX_TOPICS} entries")));
    }
    let mut topics = Vec::with_capacity(texts.len());
    for text in &texts {
        match Topic::parse(text) {
            Ok(topic @ Topic::Event(_)) => topics.push(topic),
            Ok(Topic::Device(_)) | Err(super::TopicError::UnknownKind) => {
                return Err(fault("must each be event:<id> (a device's own topic is implied)".into()));
            }
            Err(error) => return Err(fault(error.to_string())),
        }
    }
    topics.sort_unstable();
    topics.dedup();
    Ok(topics)
}

fn attributes(field: &'static str, raw: &RawValue) -> Result<Box<RawValue>, FieldError> {
    // Read once, though it is kept as text: what not every parser takes (numbers beyond a double, lone surrogates,
    // very deep nesting) must not reach the subscribers.
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(raw.get());
    if object.is_err() || raw.get().len() > MAX_ATTRIBUTES_BYTES {
        let message =
            format!("must be a JSON object of at most {MAX_ATTRIBUTES_BYTES} bytes, numbers within a double");
        return Err(FieldError::new(field, message));
    }
    Ok(raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_323_045_678);

    fn read(extra: &str) -> Result<Position, FieldError> {
        let json = format!(
            r#"{{"device_id":"42","timestamp":"2026-01-02T03:04:05.678Z","latitude":52.5,"longitude":13.4{extra}}}"#
        );
        Position::from_json(&json, NOW)
    }

    #[test]
    fn writes_what_it_read_and_leaves_out_what_is_absent() {
        let plain = serde_json::to_string(&read("").unwrap()).unwrap();
        assert_eq!(
            plain,
            r#"{"device_id":"42","timestamp":"2026-01-02T03:04:05.678Z","latitude":52.5,"longitude":13.4}"#
        );
        let full = read(
            r#","altitude":34.5,"accuracy":3,"heading":360,"speed":1.5,"topics":["event:b","event:a","event:a"],"attributes":{"n":12345678901234567890},"unknown":1"#,
        )
        .unwrap();
        assert_eq!(full.heading, Some(0.0));
        assert_eq!(full.topics, [Topic::Event("a".into()), Topic::Event("b".into())]);
        let json = serde_json::to_string(&full).unwrap();
        assert!(json.ends_with(r#""speed":1.5,"attributes":{"n":12345678901234567890}}"#), "{json}");
    }

    #[test]
    fn names_the_field_and_what_is_allowed() {
        let cases = [
            (r#","altitude":"high""#, "altitude must be a number from -100000 to 1000000000 (metres)"),
            (r#","heading":-1"#, "heading must be a number from 0 to 360 (degrees)"),
            (r#","speed":-0.1"#, "speed must be a number from 0 to 1000000 (m/s)"),
            (r#","topics":"event:a""#, "topics must be an array of strings, such as [\"event:rally-42\"]"),
            (r#","topics":["device:1"]"#, "topics must each be event:<id> (a device's own topic is implied)"),
            (
                r#","attributes":[]"#,
                "attributes must be a JSON object of at most 4096 bytes, numbers within a double",
            ),
        ];
        for (extra, message) in cases {
            assert_eq!(read(extra).unwrap_err().to_string(), message);
        }
        for odd in ["1e999", r#""\ud800""#, &"[".repeat(200)] {
            let error = read(&format!(r#","attributes":{{"a":{odd}}}"#)).unwrap_err();
            assert!(["attributes", "record"].contains(&error.field), "{odd}");
        }
        for (json, field) in [
            (r#"{"timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":1}"#, "device_id"),
            (
                r#"{"device_id":42,"timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":1}"#,
                "device_id",
            ),
            (r#"{"device_id":"a","timestamp":1767323045,"latitude":1,"longitude":1}"#, "timestamp"),
            (
                r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":91,"longitude":1}"#,
                "latitude",
            ),
            (
                r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":1e999}"#,
                "longitude",
            ),
            (
                r#"{"device_id":"a","timestamp":"2026-01-04T03:04:05Z","latitude":1,"longitude":1}"#,
                "timestamp",
            ),
            (r#"["a"]"#, "record"),
            ("{", "record"),
        ] {
            assert_eq!(Position::from_json(json, NOW).unwrap_err().field, field, "{json}");
        }
    }
}
