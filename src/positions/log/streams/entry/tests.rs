//! Unit tests of the log's entries.

use std::collections::HashMap;

use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use super::*;
use crate::domain::{Position, Revoked, TopicPattern};

fn fields(entry: &Encoded) -> HashMap<&'static str, Vec<u8>> {
    HashMap::from([(VERSION_FIELD, VERSION.into()), (entry.field, entry.bytes.clone())])
}

fn decode_fields(fields: &HashMap<&'static str, Vec<u8>>) -> Result<Vec<Arrived>, Unreadable> {
    decode(|name| fields.get(name).map(Vec::as_slice)).map(|content| content.positions)
}

fn position(json: &str) -> Arrived {
    let arrival = Timestamp::now();
    Arrived { position: Position::from_json(json, arrival).unwrap(), arrival, received: Instant::now() }
}

fn plain(device: &str) -> Arrived {
    position(&format!(
        r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:05.678Z","latitude":1,"longitude":2}}"#
    ))
}

/// All that two positions must have in common to be the same.
fn parts(Arrived { position, arrival, .. }: &Arrived) -> impl PartialEq + std::fmt::Debug {
    let numbers = [
        Some(position.latitude),
        Some(position.longitude),
        position.altitude,
        position.accuracy,
        position.heading,
        position.speed,
    ];
    (
        position.device_id.clone(),
        position.timestamp,
        numbers.map(|number| number.map(f64::to_bits)),
        position.topics.clone(),
        position.attributes.as_ref().map(|attributes| attributes.get().to_owned()),
        *arrival,
    )
}

fn any_arrived() -> impl Strategy<Value = Arrived> {
    let optional = |range: std::ops::RangeInclusive<f64>| proptest::option::of(range);
    let attributes = prop_oneof![
        Just(None),
        Just(Some(r#"{ "n" : 12345678901234567890.10, "z":-0, "z":1e-7 }"#.to_owned())),
        "[a-z\u{e4}\u{1F600}\\\\\" ]{0,40}"
            .prop_map(|text| Some(serde_json::json!({ "a": text }).to_string())),
    ];
    (
        "[^\\p{Cc}]{1,30}",
        (0_i64..4_000_000_000_000, 0_i64..4_000_000_000_000),
        (-90.0..=90.0, -180.0..=180.0),
        (optional(-1e5..=1e9), optional(0.0..=1e9), optional(0.0..=359.0), optional(0.0..=1e6)),
        proptest::collection::vec("[^\\p{Cc}]{1,20}", 0..4),
        attributes,
    )
        .prop_map(|(device, (timestamp, arrival), point, numbers, events, attributes)| {
            let [timestamp, arrival] =
                [timestamp, arrival].map(|millis| Timestamp::from_millis(millis).unwrap());
            let number = |value: Option<f64>| value.map_or(Field::Absent, Field::Value);
            let draft = PositionDraft {
                device_id: Field::Value(device.into()),
                timestamp: Field::Value(timestamp),
                latitude: Field::Value(point.0),
                longitude: Field::Value(point.1),
                altitude: number(numbers.0),
                accuracy: number(numbers.1),
                heading: number(numbers.2),
                speed: number(numbers.3),
                topics: Field::Value(events.iter().map(|event| format!("event:{event}").into()).collect()),
                attributes: attributes.map_or(Field::Absent, |json| {
                    Field::Value(Cow::Owned(RawValue::from_string(json).unwrap()))
                }),
            };
            let position = draft.check(timestamp).unwrap();
            Arrived { position, arrival, received: Instant::now() }
        })
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(positions in proptest::collection::vec(any_arrived(), 1..40)) {
        let entries = Encoder::new("an \"instance\"").encode(&positions);
        prop_assert_eq!(entries.len(), 1);
        prop_assert_eq!(entries[0].positions, positions.len());
        let read = decode_fields(&fields(&entries[0])).unwrap();
        let now = Instant::now();
        prop_assert!(read.iter().all(|arrived| arrived.received <= now));
        let [read, written] =
            [&read, &positions].map(|positions| positions.iter().map(parts).collect::<Vec<_>>());
        prop_assert_eq!(read, written);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for field in [JSON_FIELD, DEFLATE_FIELD] {
            let fields = HashMap::from([(VERSION_FIELD, b"1".to_vec()), (field, bytes.clone())]);
            prop_assert!(decode_fields(&fields).is_err());
        }
    }
}

#[test]
fn an_entry_is_written_as_other_releases_read_it() {
    let arrived = Arrived {
        arrival: Timestamp::from_millis(1_767_323_046_000).unwrap(),
        ..position(
            r#"{"device_id":"42","timestamp":"2026-01-02T03:04:05.678Z","latitude":52.5,"longitude":13.4,"speed":9.8,"topics":["event:a"],"attributes":{"b": 0.50}}"#,
        )
    };
    let entries = Encoder::new("one").encode([&arrived]);
    let expected = r#"{"instance":"one","positions":[{"device_id":"42","timestamp":1767323045678,"latitude":52.5,"longitude":13.4,"speed":9.8,"topics":["event:a"],"attributes":{"b": 0.50},"arrival":1767323046000}]}"#;
    assert_eq!((entries[0].field, std::str::from_utf8(&entries[0].bytes).unwrap()), ("json", expected));
}

#[test]
fn an_entry_of_a_later_release_is_read_if_its_version_is_the_same() {
    let json = r#"{"instance":"one","new":[1],"positions":[{"device_id":"42","timestamp":1767323045678,"latitude":52.5,"longitude":13.4,"new":{},"arrival":1767323046000}]}"#;
    let mut fields = HashMap::from([("v", b"1".to_vec()), ("json", json.into()), ("new", b"x".to_vec())]);
    let read = decode_fields(&fields).unwrap();
    assert_eq!((read.len(), &*read[0].position.device_id, read[0].position.latitude), (1, "42", 52.5));
    assert_eq!(read[0].arrival.as_millis(), 1_767_323_046_000);
    for (version, expected) in
        [("2", "version 2, this release reads 1"), ("\n", "version \\n, this release reads 1")]
    {
        fields.insert("v", version.into());
        let error = decode_fields(&fields).unwrap_err();
        assert!(matches!(error, Unreadable::Version(_)) && error.to_string() == expected, "{error}");
    }
}

#[test]
fn a_broken_entry_is_not_read() {
    let good = r#"{"device_id":"a","timestamp":1,"latitude":1,"longitude":2,"arrival":1}"#;
    let content = |positions: &str| format!(r#"{{"instance":"one","positions":[{positions}]}}"#);
    let read = |json: &str| {
        decode(|name| match name {
            VERSION_FIELD => Some(b"1"),
            JSON_FIELD => Some(json.as_bytes()),
            _ => None,
        })
        .map(|content| content.positions)
    };
    assert_eq!(read(&content(good)).unwrap().len(), 1);
    assert_eq!(read(&content("")).unwrap().len(), 0);
    for (from, to) in [
        ("\"a\"", "\"\""),
        ("\"latitude\":1", "\"latitude\":91"),
        ("\"latitude\":1", "\"latitude\":null"),
        ("\"arrival\":1", "\"arrival\":9223372036854775807"),
        ("\"timestamp\":1", "\"timestamp\":\"2026-01-02T03:04:05Z\""),
        ("\"arrival\":1", "\"topics\":[\"device:a\"],\"arrival\":1"),
        ("\"arrival\":1", "\"attributes\":[],\"arrival\":1"),
        (",\"arrival\":1", ""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(read(&content(&format!("{good},{bad}"))).is_err(), "{bad}");
    }
    assert!(matches!(decode(|_| None), Err(Unreadable::NoVersion)));
    let no_positions = decode(|name| (name == VERSION_FIELD).then_some(&b"1"[..]));
    assert!(matches!(no_positions, Err(Unreadable::NoPositions)));
}

#[test]
fn long_entries_are_compressed_and_inflated_within_a_bound() {
    let few = Encoder::new("one").encode(&vec![plain("a"); 5]);
    let many = Encoder::new("one").encode(&vec![plain("a"); 100]);
    assert_eq!((few[0].field, many[0].field), (JSON_FIELD, DEFLATE_FIELD));
    assert!(many[0].bytes.len() < 1000, "{}", many[0].bytes.len());
    let mut bomb = DeflateEncoder::new(Vec::new(), Compression::new(9));
    std::io::copy(&mut std::io::repeat(b' ').take(MAX_READ_BYTES * 4), &mut bomb).unwrap();
    let fields = HashMap::from([(VERSION_FIELD, b"1".to_vec()), (DEFLATE_FIELD, bomb.finish().unwrap())]);
    assert!(matches!(decode_fields(&fields), Err(Unreadable::TooLong)));
    let cut = many[0].bytes[..many[0].bytes.len() / 2].to_vec();
    let fields = HashMap::from([(VERSION_FIELD, b"1".to_vec()), (DEFLATE_FIELD, cut)]);
    assert!(decode_fields(&fields).is_err());
}

#[test]
fn a_group_is_cut_into_entries_of_bounded_size_in_order() {
    let positions: Vec<_> = (0..MAX_POSITIONS * 2 + 1).map(|number| plain(&number.to_string())).collect();
    let entries = Encoder::new("one").encode(&positions);
    assert_eq!(entries.iter().map(|entry| entry.positions).collect::<Vec<_>>(), [8192, 8192, 1]);
    let read = entries.iter().flat_map(|entry| decode_fields(&fields(entry)).unwrap());
    assert!(
        read.map(|arrived| arrived.position.device_id.to_string())
            .eq((0..positions.len()).map(|n| n.to_string()))
    );
    let attributes = format!(r#"{{"a":"{}"}}"#, "x".repeat(4000));
    let large = position(&format!(
        r#"{{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2,"attributes":{attributes}}}"#
    ));
    let entries = Encoder::new("one").encode(&vec![large; 2000]);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries.iter().map(|entry| entry.positions).sum::<usize>(), 2000);
    assert!(Encoder::new("one").encode(&[]).is_empty());
}

fn revocations() -> Vec<Revocation> {
    let at = |millis| Timestamp::from_millis(millis).unwrap();
    let pattern = TopicPattern::parse("event:r*").unwrap();
    let revoked = [Revoked::Subject(r#"ann "ä"#.into()), Revoked::Token("t".into()), Revoked::Topic(pattern)];
    let all = revoked.into_iter().zip([None, Some(at(2_000)), None]);
    all.map(|(revoked, until)| Revocation { revoked, revoked_at: at(1_000), until }).collect()
}

/// What a release before revocations reads of an entry's content.
#[derive(Deserialize)]
struct ContentOfBefore<'a> {
    #[serde(borrow)]
    positions: Vec<Record<'a>>,
}

#[test]
fn revocations_are_read_back_and_earlier_releases_read_nothing() {
    let entry = Encoder::new("one").encode_revocations(revocations().iter()).unwrap();
    let expected = r#"{"instance":"one","positions":[],"revocations":[{"kind":"subject","name":"ann \"ä","revoked_at":1000},{"kind":"token","name":"t","revoked_at":1000,"until":2000},{"kind":"topic","name":"event:r*","revoked_at":1000}]}"#;
    assert_eq!(std::str::from_utf8(&entry.bytes).unwrap(), expected);
    assert_eq!((entry.field, entry.positions), (JSON_FIELD, 0));
    let written = fields(&entry);
    let content = decode(|name| written.get(name).map(Vec::as_slice)).unwrap();
    assert_eq!((content.positions.len(), content.revocations), (0, revocations()));
    let before: ContentOfBefore<'_> = serde_json::from_slice(&entry.bytes).unwrap();
    assert!(before.positions.is_empty());
    // Many are compressed, like positions.
    let many = vec![revocations(); 100].concat();
    let entry = Encoder::new("one").encode_revocations(many.iter()).unwrap();
    assert_eq!(entry.field, DEFLATE_FIELD);
    let written = fields(&entry);
    assert_eq!(decode(|name| written.get(name).map(Vec::as_slice)).unwrap().revocations, many);
    assert!(Encoder::new("one").encode_revocations([].iter()).is_none());
}

#[test]
fn a_broken_revocation_is_not_read() {
    let read = |revocation: &str| {
        let json = format!(r#"{{"positions":[],"revocations":[{revocation}]}}"#).into_bytes();
        let fields = HashMap::from([(VERSION_FIELD, b"1".to_vec()), (JSON_FIELD, json)]);
        decode(|name| fields.get(name).map(Vec::as_slice))
    };
    let good = r#"{"kind":"topic","name":"event:r*","revoked_at":1,"until":2,"new":{}}"#;
    assert_eq!(read(good).unwrap().revocations.len(), 1);
    for (from, to) in [
        ("topic", "device"),
        ("event:r*", "event:"),
        ("event:r*", "r"),
        (r#""topic""#, "7"),
        (r#""revoked_at":1"#, r#""revoked_at":9223372036854775807"#),
        (r#""revoked_at":1"#, r#""revoked_at":"1""#),
        (r#""revoked_at":1,"#, ""),
        (r#""until":2"#, r#""until":-9223372036854775808"#),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(read(&format!("{good},{bad}")).is_err(), "{bad}");
    }
}
