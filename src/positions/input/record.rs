//! `positions_of`: the positions in an entry of the input stream.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::domain::{Field, FieldError, Position, PositionDraft, Timestamp, json};
use crate::positions::backlog::MAX_COMMIT;
use crate::positions::redis::Entry;

/// The field with positions as JSON. Where it is there, it is all that is read.
const JSON_FIELD: &str = "json";

/// Most positions in one entry: as many as are committed together. More might take longer to store than the store may take, every time.
const MAX_POSITIONS: usize = MAX_COMMIT;

/// Why an entry has no positions that can be stored; it is told to whoever looks at those that were rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejected {
    #[error("field {0} is not UTF-8")]
    NotUtf8(String),
    #[error("json must be a JSON object, or an array of them: {0}")]
    Json(serde_json::Error),
    #[error("{0} positions in one entry; at most {MAX_POSITIONS} are taken")]
    TooMany(usize),
    #[error("position {index}: {error}")]
    Position { index: usize, error: FieldError },
    #[error("{0}")]
    Fields(FieldError),
}

/// The positions of an entry: those of its field `json`, as `POST /positions` takes them, or one of which each property is a
/// field. `now` bounds how far ahead a timestamp may be.
///
/// # Errors
/// [`Rejected`]; nothing of the entry is stored then.
pub(super) fn positions_of(entry: &Entry, now: Timestamp) -> Result<Vec<Position>, Rejected> {
    let Some(text) = text(entry, JSON_FIELD)? else {
        return Ok(vec![draft(entry)?.check(now).map_err(Rejected::Fields)?]);
    };
    let records = json::records(text).map_err(Rejected::Json)?;
    if records.len() > MAX_POSITIONS {
        return Err(Rejected::TooMany(records.len()));
    }
    let records = records.into_iter().enumerate();
    let position = |(index, record)| {
        Position::from_json(record, now).map_err(|error| Rejected::Position { index, error })
    };
    records.map(position).collect()
}

/// A field that is there and not empty.
fn text<'a>(entry: &'a Entry, name: &str) -> Result<Option<&'a str>, Rejected> {
    let text = entry.field(name).map(std::str::from_utf8).transpose();
    let text = text.map_err(|_| Rejected::NotUtf8(name.to_owned()))?;
    Ok(text.map(str::trim_ascii).filter(|text| !text.is_empty()))
}

/// One position, each of its properties a field.
fn draft(entry: &Entry) -> Result<PositionDraft<'_>, Rejected> {
    let number = |name| {
        let read = |text: &str| text.parse().map_or(Field::Malformed("must be a number"), Field::Value);
        Ok(text(entry, name)?.map_or(Field::Absent, read))
    };
    let timestamp = |text| {
        let malformed =
            Field::Malformed("must be an RFC 3339 date and time, such as 2026-01-02T03:04:05.678Z");
        Timestamp::parse(text).map_or(malformed, Field::Value)
    };
    let topics = |text: &'_ str| -> Vec<Cow<'_, str>> {
        text.split(',').map(|topic| topic.trim_ascii().to_owned().into()).collect()
    };
    let attributes = |text: &str| match serde_json::from_str::<Box<RawValue>>(text) {
        Ok(json) => Field::Value(Cow::Owned(json)),
        Err(_) => Field::Malformed("must be a JSON object"),
    };
    Ok(PositionDraft {
        device_id: text(entry, "device_id")?.map_or(Field::Absent, |id| Field::Value(Cow::Borrowed(id))),
        timestamp: text(entry, "timestamp")?.map_or(Field::Absent, timestamp),
        latitude: number("latitude")?,
        longitude: number("longitude")?,
        altitude: number("altitude")?,
        accuracy: number("accuracy")?,
        heading: number("heading")?,
        speed: number("speed")?,
        topics: text(entry, "topics")?.map_or(Field::Absent, |text| Field::Value(topics(text))),
        attributes: text(entry, "attributes")?.map_or(Field::Absent, attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Topic;
    use crate::positions::redis::EntryId;

    fn read(fields: &[(&str, &str)]) -> Result<Vec<Position>, String> {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let entry = Entry { id: EntryId::default(), fields: fields.collect() };
        positions_of(&entry, Timestamp::now()).map_err(|rejected| rejected.to_string())
    }

    const ONE: [(&str, &str); 4] = [
        ("device_id", "42"),
        ("timestamp", "2026-01-02T03:04:05.678Z"),
        ("latitude", "52.5"),
        ("longitude", "13.4"),
    ];

    fn with<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&ONE, fields].concat()
    }

    #[test]
    fn each_property_may_be_a_field() {
        let full = with(&[
            ("altitude", "34.5"),
            ("accuracy", "3"),
            ("heading", "360"),
            ("speed", "1e1"),
            ("topics", "event:b, event:a"),
            ("attributes", r#"{"b": 0.50}"#),
            ("unknown", "x"),
        ]);
        let positions = read(&full).unwrap();
        let position = &positions[0];
        assert_eq!((positions.len(), &*position.device_id, position.latitude), (1, "42", 52.5));
        assert_eq!(position.timestamp.as_millis(), 1_767_323_045_678);
        assert_eq!((position.altitude, position.accuracy), (Some(34.5), Some(3.)));
        assert_eq!((position.heading, position.speed), (Some(0.), Some(10.)));
        assert_eq!(position.topics, [Topic::Event("a".into()), Topic::Event("b".into())]);
        assert_eq!(position.attributes.as_ref().unwrap().get(), r#"{"b": 0.50}"#);
        let empty = read(&with(&[("speed", ""), ("topics", " "), ("attributes", "")])).unwrap();
        assert!(empty[0].speed.is_none() && empty[0].topics.is_empty() && empty[0].attributes.is_none());
    }

    #[test]
    fn json_is_read_as_a_post_is() {
        let one = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;
        assert_eq!(read(&[("json", one)]).unwrap().len(), 1);
        let two = format!(" [{one},{one}]\n");
        assert_eq!(read(&[("json", &two), ("latitude", "not looked at")]).unwrap().len(), 2);
        assert_eq!(read(&[("json", "[]")]).unwrap().len(), 0);
        let bad = format!("[{one},{}]", one.replace(":1,", ":91,"));
        assert_eq!(
            read(&[("json", &bad)]).unwrap_err(),
            "position 1: latitude must be a number from -90 to 90 (degrees)"
        );
        assert!(read(&[("json", "{")]).unwrap_err().starts_with("json must be a JSON object"));
    }

    #[test]
    fn what_is_no_position_is_rejected_with_the_reason() {
        for (fields, reason) in [
            (vec![], "device_id is missing"),
            (vec![("something", "else")], "device_id is missing"),
            (with(&[("latitude", "north")]), "latitude must be a number from -90 to 90 (degrees)"),
            (with(&[("longitude", "NaN")]), "longitude must be a number from -180 to 180 (degrees)"),
            (with(&[("speed", "inf")]), "speed must be a number from 0 to 1000000 (m/s)"),
            (
                with(&[("timestamp", "1767323045678")]),
                "timestamp must be an RFC 3339 date and time, such as 2026-01-02T03:04:05.678Z",
            ),
            (
                with(&[("topics", "rally")]),
                "topics must each be event:<id> (a device's own topic is implied)",
            ),
            (with(&[("attributes", "{")]), "attributes must be a JSON object"),
        ] {
            assert_eq!(read(&fields).unwrap_err(), reason);
        }
        let entry = Entry { id: EntryId::default(), fields: vec![(b"device_id".to_vec(), vec![0xff])] };
        let rejected = positions_of(&entry, Timestamp::now()).unwrap_err();
        assert_eq!(rejected.to_string(), "field device_id is not UTF-8");
    }
}
