//! `PositionDraft`: the fields of a record as the reader of a format found them, and the checks by which they become a
//! [`Position`].

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::position::Position;
use super::readable::is_readable_object;
use super::timestamp::Timestamp;
use super::topic::{Topic, TopicError, check_name};

/// Longest `attributes` object of one position, in bytes of JSON.
pub const MAX_ATTRIBUTES_BYTES: usize = 4096;
/// Most entries in `topics` of one position.
pub const MAX_TOPICS: usize = 16;
/// How far ahead of the server's clock a position may be, in milliseconds (one day: room for a device
/// that sends local time as UTC, but not for one whose clock would hide its later positions for years).
pub const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// A record that was read but not checked. The reader of a format fills in what it found, in the units of a
/// [`Position`]; what it does not find stays [`Field::Absent`].
#[derive(Clone, Debug, Default)]
pub struct PositionDraft<'a> {
    /// Whose place it is.
    pub device_id: Field<Cow<'a, str>>,
    /// When it was there.
    pub timestamp: Field<Timestamp>,
    /// Degrees north, WGS 84.
    pub latitude: Field<f64>,
    /// Degrees east, WGS 84.
    pub longitude: Field<f64>,
    /// Metres above the WGS 84 ellipsoid.
    pub altitude: Field<f64>,
    /// Metres.
    pub accuracy: Field<f64>,
    /// Degrees clockwise from true north.
    pub heading: Field<f64>,
    /// Metres per second.
    pub speed: Field<f64>,
    /// Events, each written `event:<id>`.
    pub topics: Field<Vec<Cow<'a, str>>>,
    /// A JSON object.
    pub attributes: Field<Cow<'a, RawValue>>,
}

/// One field of a [`PositionDraft`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The record does not have it.
    #[default]
    Absent,
    /// It was read.
    Value(T),
    /// It is there and cannot be read. Says what the format allows there; of a number, [`FieldError`] tells the range
    /// instead. It is not an error yet, as one before it may be wrong too.
    Malformed(&'static str),
}

/// What is wrong with one field of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldError {
    /// The field's name, as [`Position`] has it; `record` for the whole.
    pub field: &'static str,
    /// What is allowed there.
    pub message: String,
}

impl FieldError {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// What a number may be, both ends included.
struct Range {
    field: &'static str,
    from: f64,
    to: f64,
    unit: &'static str,
}

const LATITUDE: Range = Range { field: "latitude", from: -90.0, to: 90.0, unit: "degrees" };
const LONGITUDE: Range = Range { field: "longitude", from: -180.0, to: 180.0, unit: "degrees" };
const ALTITUDE: Range = Range { field: "altitude", from: -1e5, to: 1e9, unit: "metres" };
const ACCURACY: Range = Range { field: "accuracy", from: 0.0, to: 1e9, unit: "metres" };
const HEADING: Range = Range { field: "heading", from: 0.0, to: 360.0, unit: "degrees" };
const SPEED: Range = Range { field: "speed", from: 0.0, to: 1e6, unit: "m/s" };

impl PositionDraft<'_> {
    /// Checks every field. `now` is the server's clock, which bounds how far ahead a timestamp may be.
    ///
    /// # Errors
    /// A [`FieldError`] with a field that is missing, malformed or out of its range, and what is allowed there. Of several
    /// the first in the order below, which is what clients see and so does not change.
    pub fn check(self, now: Timestamp) -> Result<Position, FieldError> {
        let device_id = check_device_id(self.device_id)?;
        let heading = HEADING.optional(self.heading)?;
        Ok(Position {
            device_id,
            timestamp: check_timestamp(self.timestamp, now)?,
            latitude: LATITUDE.required(self.latitude)?,
            longitude: LONGITUDE.required(self.longitude)?,
            altitude: ALTITUDE.optional(self.altitude)?,
            accuracy: ACCURACY.optional(self.accuracy)?,
            // Receivers write due north as 360 as well; W3C ends the range just before it.
            heading: heading.map(|degrees| if degrees == 360.0 { 0.0 } else { degrees }),
            speed: SPEED.optional(self.speed)?,
            topics: check_topics(self.topics)?,
            attributes: check_attributes(self.attributes)?,
        })
    }
}

impl<T> Field<T> {
    /// `None` if it is absent.
    fn optional(self, field: &'static str) -> Result<Option<T>, FieldError> {
        match self {
            Self::Absent => Ok(None),
            Self::Value(value) => Ok(Some(value)),
            Self::Malformed(allowed) => Err(FieldError::new(field, allowed)),
        }
    }

    fn required(self, field: &'static str) -> Result<T, FieldError> {
        self.optional(field)?.ok_or_else(|| FieldError::new(field, "is missing"))
    }
}

impl Range {
    fn optional(&self, value: Field<f64>) -> Result<Option<f64>, FieldError> {
        match value {
            Field::Absent => Ok(None),
            Field::Value(value) if (self.from..=self.to).contains(&value) => Ok(Some(value)),
            Field::Value(_) | Field::Malformed(_) => {
                let Self { field, from, to, unit } = self;
                Err(FieldError::new(field, format!("must be a number from {from} to {to} ({unit})")))
            }
        }
    }

    fn required(&self, value: Field<f64>) -> Result<f64, FieldError> {
        self.optional(value)?.ok_or_else(|| FieldError::new(self.field, "is missing"))
    }
}

fn check_device_id(id: Field<Cow<'_, str>>) -> Result<Arc<str>, FieldError> {
    let id = id.required("device_id")?;
    check_name(&id).map_err(|error| FieldError::new("device_id", error.to_string()))?;
    Ok(Arc::from(&*id))
}

fn check_timestamp(timestamp: Field<Timestamp>, now: Timestamp) -> Result<Timestamp, FieldError> {
    let timestamp = timestamp.required("timestamp")?;
    if timestamp.0 > now.0.saturating_add(MAX_AHEAD_MS) {
        let hours = MAX_AHEAD_MS / 3_600_000;
        let message = format!("must be at most {hours} hours ahead of the server's clock ({now})");
        return Err(FieldError::new("timestamp", message));
    }
    Ok(timestamp)
}

fn check_topics(texts: Field<Vec<Cow<'_, str>>>) -> Result<Vec<Topic>, FieldError> {
    let fault = |message: String| FieldError::new("topics", message);
    let texts = texts.optional("topics")?.unwrap_or_default();
    if texts.len() > MAX_TOPICS {
        return Err(fault(format!("must have at most {MAX_TOPICS} entries")));
    }
    let mut topics = Vec::with_capacity(texts.len());
    for text in &texts {
        match Topic::parse(text) {
            Ok(topic @ Topic::Event(_)) => topics.push(topic),
            Ok(Topic::Device(_) | Topic::Area(_)) | Err(TopicError::UnknownKind | TopicError::Area(_)) => {
                return Err(fault("must each be event:<id> (a device's own topic is implied)".into()));
            }
            Err(error) => return Err(fault(error.to_string())),
        }
    }
    topics.sort_unstable();
    topics.dedup();
    Ok(topics)
}

fn check_attributes(attributes: Field<Cow<'_, RawValue>>) -> Result<Option<Box<RawValue>>, FieldError> {
    let Some(attributes) = attributes.optional("attributes")? else { return Ok(None) };
    // What not every parser takes must not reach the subscribers.
    if attributes.get().len() > MAX_ATTRIBUTES_BYTES || !is_readable_object(&attributes) {
        let message =
            format!("must be a JSON object of at most {MAX_ATTRIBUTES_BYTES} bytes, numbers within a double");
        return Err(FieldError::new("attributes", message));
    }
    Ok(Some(attributes.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_323_045_678);

    /// As the reader of a form with `id=a&tst=…&lat=…&lon=…` would fill it in: no JSON in sight.
    fn draft<'a>() -> PositionDraft<'a> {
        PositionDraft {
            device_id: Field::Value("a".into()),
            timestamp: Field::Value(NOW),
            latitude: Field::Value(52.5),
            longitude: Field::Value(13.4),
            ..PositionDraft::default()
        }
    }

    #[test]
    fn four_fields_make_a_position() {
        let position = draft().check(NOW).unwrap();
        assert_eq!((&*position.device_id, position.timestamp), ("a", NOW));
        assert_eq!((position.latitude, position.longitude), (52.5, 13.4));
        assert_eq!((position.altitude, position.accuracy), (None, None));
        assert_eq!((position.heading, position.speed), (None, None));
        assert!(position.topics.is_empty() && position.attributes.is_none());
    }

    #[test]
    fn nothing_at_all_lacks_the_device() {
        let error = PositionDraft::default().check(NOW).unwrap_err();
        assert_eq!(error.to_string(), "device_id is missing");
    }

    #[test]
    fn numbers_are_in_their_range_ends_included() {
        type Set = for<'a, 'b> fn(&'a mut PositionDraft<'b>, Field<f64>);
        let cases: [(Set, f64, f64, &str); 6] = [
            (
                |draft, value| draft.latitude = value,
                -90.0,
                90.0,
                "latitude must be a number from -90 to 90 (degrees)",
            ),
            (
                |draft, value| draft.longitude = value,
                -180.0,
                180.0,
                "longitude must be a number from -180 to 180 (degrees)",
            ),
            (
                |draft, value| draft.altitude = value,
                -1e5,
                1e9,
                "altitude must be a number from -100000 to 1000000000 (metres)",
            ),
            (
                |draft, value| draft.accuracy = value,
                0.0,
                1e9,
                "accuracy must be a number from 0 to 1000000000 (metres)",
            ),
            (
                |draft, value| draft.heading = value,
                0.0,
                360.0,
                "heading must be a number from 0 to 360 (degrees)",
            ),
            (|draft, value| draft.speed = value, 0.0, 1e6, "speed must be a number from 0 to 1000000 (m/s)"),
        ];
        for (set, from, to, message) in cases {
            for value in [from, to] {
                let mut draft = draft();
                set(&mut draft, Field::Value(value));
                assert!(draft.check(NOW).is_ok(), "{value}: {message}");
            }
            let wrong = [from.next_down(), to.next_up(), f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
                .map(Field::Value);
            for value in wrong.into_iter().chain([Field::Malformed("must be a number")]) {
                let mut draft = draft();
                set(&mut draft, value.clone());
                assert_eq!(draft.check(NOW).unwrap_err().to_string(), message, "{value:?}");
            }
        }
        let north = PositionDraft { heading: Field::Value(360.0), ..draft() };
        assert_eq!(north.check(NOW).unwrap().heading, Some(0.0));
    }

    #[test]
    fn a_timestamp_is_at_most_a_day_ahead() {
        let at = |millis| PositionDraft { timestamp: Field::Value(Timestamp(millis)), ..draft() }.check(NOW);
        assert!(at(NOW.0 + MAX_AHEAD_MS).is_ok());
        assert_eq!(
            at(NOW.0 + MAX_AHEAD_MS + 1).unwrap_err().to_string(),
            "timestamp must be at most 24 hours ahead of the server's clock (2026-01-02T03:04:05.678Z)"
        );
    }

    #[test]
    fn topics_are_events_sorted_and_each_once() {
        let with = |topics: &[&'static str]| {
            let topics = topics.iter().map(|topic| Cow::from(*topic)).collect();
            PositionDraft { topics: Field::Value(topics), ..draft() }.check(NOW)
        };
        let topics = with(&["event:b", "event:a", "event:b"]).unwrap().topics;
        assert_eq!(topics, [Topic::Event("a".into()), Topic::Event("b".into())]);
        assert!(with(&["event:a"; MAX_TOPICS]).is_ok());
        for (topics, message) in [
            (&["event:a"; MAX_TOPICS + 1][..], "topics must have at most 16 entries"),
            (&["device:1"], "topics must each be event:<id> (a device's own topic is implied)"),
            (&["nonsense"], "topics must each be event:<id> (a device's own topic is implied)"),
            (&["event:"], "topics topic name must have 1 to 128 bytes and no control characters"),
        ] {
            assert_eq!(with(topics).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn attributes_are_an_object_that_every_parser_reads() {
        let with = |json: String| {
            let raw = Cow::Owned(RawValue::from_string(json).unwrap());
            PositionDraft { attributes: Field::Value(raw), ..draft() }.check(NOW)
        };
        let longest = format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_ATTRIBUTES_BYTES - 8));
        assert_eq!(with(longest.clone()).unwrap().attributes.unwrap().get(), longest);
        let message = "attributes must be a JSON object of at most 4096 bytes, numbers within a double";
        for json in [
            longest.replace(r#"":""#, r#"": ""#),
            "[]".into(),
            "1".into(),
            r#"{"a":1e999}"#.into(),
            r#"{"a":"\ud800"}"#.into(),
            r#"{"a":{"b":[-1e999]}}"#.into(),
        ] {
            assert_eq!(with(json.clone()).unwrap_err().to_string(), message, "{json}");
        }
    }

    /// Each draft is wrong in one field more than the one before, and that is the one that is told.
    #[test]
    fn of_several_faults_the_first_is_told() {
        let mut draft = draft();
        let mut told = Vec::new();
        type Spoil = for<'a, 'b> fn(&'a mut PositionDraft<'b>);
        let spoil: [Spoil; 10] = [
            |draft| draft.attributes = Field::Malformed("x"),
            |draft| draft.topics = Field::Malformed("x"),
            |draft| draft.speed = Field::Value(-1.0),
            |draft| draft.accuracy = Field::Malformed("x"),
            |draft| draft.altitude = Field::Value(-1e6),
            |draft| draft.longitude = Field::Absent,
            |draft| draft.latitude = Field::Malformed("x"),
            |draft| draft.timestamp = Field::Absent,
            |draft| draft.heading = Field::Value(361.0),
            |draft| draft.device_id = Field::Value("".into()),
        ];
        for spoil in spoil {
            spoil(&mut draft);
            told.push(draft.clone().check(NOW).unwrap_err().field);
        }
        told.reverse();
        let order =
            "device_id heading timestamp latitude longitude altitude accuracy speed topics attributes";
        assert_eq!(told.join(" "), order);
    }
}
