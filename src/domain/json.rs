//! Reads a [`PositionDraft`] from a JSON object: the names and types of its fields, nothing of what they may hold.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::draft::{Field, FieldError, PositionDraft};
use super::position::Position;
use super::timestamp::{LEAP_SECOND, Timestamp};

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

/// A string, borrowed from the JSON unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads one JSON object. Fields that are not a position's are ignored; `null` stands for absent.
///
/// # Errors
/// A [`FieldError`] of the field `record` if it is no JSON object, or has a field twice. A field of the wrong type is
/// told by [`PositionDraft::check`].
pub fn read(json: &str) -> Result<PositionDraft<'_>, FieldError> {
    // serde reads a struct from an array as well; a record is an object.
    if !json.trim_start().starts_with('{') {
        return Err(FieldError::new("record", "must be a JSON object"));
    }
    let record: Record<'_> = serde_json::from_str(json)
        .map_err(|error| FieldError::new("record", format!("must be a JSON object: {error}")))?;
    Ok(PositionDraft {
        device_id: field(record.device_id, text),
        timestamp: field(record.timestamp, timestamp),
        latitude: field(record.latitude, number),
        longitude: field(record.longitude, number),
        altitude: field(record.altitude, number),
        accuracy: field(record.accuracy, number),
        heading: field(record.heading, number),
        speed: field(record.speed, number),
        topics: field(record.topics, texts),
        attributes: field(record.attributes, |raw| Ok(Cow::Borrowed(raw))),
    })
}

/// The records in a JSON text that is one object or an array of them. Blanks around it are allowed.
///
/// # Errors
/// If it is not JSON. What a record is, is not looked at.
pub fn records(json: &str) -> serde_json::Result<Vec<&str>> {
    let json = json.trim_ascii();
    if json.starts_with('[') {
        let records: Vec<&RawValue> = serde_json::from_str(json)?;
        Ok(records.into_iter().map(RawValue::get).collect())
    } else {
        serde_json::from_str(json).map(|one: &RawValue| vec![one.get()])
    }
}

impl Position {
    /// Reads one JSON object and checks it.
    ///
    /// # Errors
    /// A [`FieldError`] with the first field that is missing, mistyped or out of its range, and what is allowed
    /// there. `now` bounds how far ahead a timestamp may be.
    pub fn from_json(json: &str, now: Timestamp) -> Result<Self, FieldError> {
        read(json)?.check(now)
    }
}

fn field<'a, T>(
    raw: Option<&'a RawValue>,
    read: impl FnOnce(&'a RawValue) -> Result<T, &'static str>,
) -> Field<T> {
    match raw.map(read) {
        None => Field::Absent,
        Some(Ok(value)) => Field::Value(value),
        Some(Err(allowed)) => Field::Malformed(allowed),
    }
}

fn text(raw: &RawValue) -> Result<Cow<'_, str>, &'static str> {
    serde_json::from_str(raw.get()).map(|Text(text)| text).map_err(|_| "must be a string")
}

fn texts(raw: &RawValue) -> Result<Vec<Cow<'_, str>>, &'static str> {
    let texts: Vec<Text<'_>> = serde_json::from_str(raw.get())
        .map_err(|_| "must be an array of strings, such as [\"event:rally-42\"]")?;
    Ok(texts.into_iter().map(|Text(text)| text).collect())
}

fn number(raw: &RawValue) -> Result<f64, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a number")
}

fn timestamp(raw: &RawValue) -> Result<Timestamp, &'static str> {
    const FORMAT: &str = "must be an RFC 3339 date and time, such as \"2026-01-02T03:04:05.678Z\"";
    const LEAP: &str = "must be an RFC 3339 date and time; seconds are :60 only in the last minute (UTC) of June or December";
    let text = text(raw).map_err(|_| FORMAT)?;
    let has_leap_second = || text.get(16..19) == Some(LEAP_SECOND);
    Timestamp::parse(&text).ok_or_else(|| if has_leap_second() { LEAP } else { FORMAT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Topic;

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
    fn strings_are_read_with_their_escapes_and_null_is_absent() {
        let json = r#"{"device_id":"\u0061\"b","timestamp":"2026-01-02T03:04:05\u005A","latitude":1,"longitude":2,
            "speed":null,"topics":["event:\u00fc"],"attributes":null}"#;
        let position = Position::from_json(json, NOW).unwrap();
        assert_eq!(&*position.device_id, "a\"b");
        assert_eq!(position.timestamp.to_string(), "2026-01-02T03:04:05.000Z");
        assert_eq!(position.topics, [Topic::Event("ü".into())]);
        assert!(position.speed.is_none() && position.attributes.is_none());
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
        const RFC_3339: &str =
            "timestamp must be an RFC 3339 date and time, such as \"2026-01-02T03:04:05.678Z\"";
        for (device, timestamp, rest, message) in [
            ("42", r#""2026-01-02T03:04:05Z""#, "", "device_id must be a string"),
            (r#""""#, "1", "", "device_id must have 1 to 128 bytes and no control characters"),
            ("null", "1", "", "device_id is missing"),
            (r#""a""#, "null", "", "timestamp is missing"),
            (r#""a""#, "1767323045", "", RFC_3339),
            (r#""a""#, r#""yesterday""#, "", RFC_3339),
            (
                r#""a""#,
                r#""2026-01-02T03:04:60Z""#,
                "",
                "timestamp must be an RFC 3339 date and time; seconds are :60 only in the last minute (UTC) of June or December",
            ),
            (
                r#""a""#,
                r#""2026-01-04T03:04:05Z""#,
                "",
                "timestamp must be at most 24 hours ahead of the server's clock (2026-01-02T03:04:05.678Z)",
            ),
            (
                r#""a""#,
                r#""2026-01-02T03:04:05Z""#,
                r#","latitude":91"#,
                "latitude must be a number from -90 to 90 (degrees)",
            ),
            (
                r#""a""#,
                r#""2026-01-02T03:04:05Z""#,
                r#","latitude":1,"longitude":1e999"#,
                "longitude must be a number from -180 to 180 (degrees)",
            ),
            (r#""a""#, r#""2026-01-02T03:04:05Z""#, r#","latitude":1"#, "longitude is missing"),
        ] {
            let json = format!(r#"{{"device_id":{device},"timestamp":{timestamp}{rest}}}"#);
            assert_eq!(Position::from_json(&json, NOW).unwrap_err().to_string(), message, "{json}");
        }
        for json in [r#"["a"]"#, "{", r#"{"speed":1,"speed":1}"#] {
            assert_eq!(Position::from_json(json, NOW).unwrap_err().field, "record", "{json}");
        }
    }
}
