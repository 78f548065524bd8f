//! Positions: a record is read as it was meant or refused by the name of a field that is wrong; what is written
//! reads back the same; an array and lines mean the same.

use std::sync::Arc;

use processor::domain::draft::{MAX_AHEAD_MS, MAX_ATTRIBUTES_BYTES, MAX_TOPICS};
use processor::domain::{Position, Timestamp, Topic};
use processor::ingest::format;

use super::choices::Choices;
use super::{json, timestamp, topic};

/// The server's clock in every check: 2026-01-02T03:04:05.678Z.
const NOW_MS: i64 = 1_767_323_045_678;

/// Field, whether it must be there, least and greatest value.
const NUMBERS: [(&str, bool, f64, f64); 6] = [
    ("latitude", true, -90.0, 90.0),
    ("longitude", true, -180.0, 180.0),
    ("altitude", false, -1e5, 1e9),
    ("accuracy", false, 0.0, 1e9),
    ("heading", false, 0.0, 360.0),
    ("speed", false, 0.0, 1e6),
];

const NOT_NUMBERS: [&str; 6] = ["\"1\"", "true", "[1]", "{}", "1e999", "-1e999"];
const NOT_TOPICS: [&str; 5] =
    [r#""event:a""#, "[1]", r#"["device:1"]"#, r#"["event:"]"#, r#"["area:1,2,3,4"]"#];
const NOT_OBJECTS: [&str; 4] = ["[]", "1", "\"{}\"", "true"];

/// Checks `data` as records, and as choices that make some.
pub fn check(data: &[u8]) {
    for lines in [false, true] {
        if let Ok(positions) = format::parse(data, lines, now()) {
            positions.iter().for_each(holds);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        timestamp::raw(text);
        if let Ok(position) = Position::from_json(text, now()) {
            holds(&position);
        }
    }
    let mut choices = Choices::new(data);
    let records: Vec<Record> = (0..=choices.below(3)).map(|_| Record::make(&mut choices)).collect();
    records.iter().for_each(Record::check);
    batch(&records);
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_MS).expect("a valid time")
}

/// What holds for every position there is.
fn holds(position: &Position) {
    assert!(topic::is_name(&position.device_id));
    assert!(position.timestamp.as_millis() <= NOW_MS + MAX_AHEAD_MS);
    for ((field, must, from, to), value) in NUMBERS.into_iter().zip(numbers(position)) {
        assert!(value.map_or(!must, |value| (from..=to).contains(&value)), "{field} {value:?}");
    }
    assert!(position.heading != Some(360.0));
    assert!(position.topics.len() <= MAX_TOPICS && position.topics.is_sorted_by(|a, b| a < b));
    assert!(position.topics.iter().all(|topic| matches!(topic, Topic::Event(name) if topic::is_name(name))));

    let json = serde_json::to_string(position).expect("a position can be written");
    let again = Position::from_json(&json, now()).expect("what is written can be read");
    assert_eq!(serde_json::to_string(&again).ok(), Some(json));
    assert_eq!(numbers(&again), numbers(position));
    assert_eq!((again.device_id, again.timestamp), (position.device_id.clone(), position.timestamp));
    assert!(again.topics.is_empty(), "clients are not told where else a position goes");
}

fn numbers(position: &Position) -> [Option<f64>; 6] {
    let Position { latitude, longitude, altitude, accuracy, heading, speed, .. } = *position;
    [Some(latitude), Some(longitude), altitude, accuracy, heading, speed]
}

/// A record, and what it was meant to say.
struct Record {
    json: String,
    /// Fields that are missing or wrong.
    wrong: Vec<&'static str>,
    device_id: String,
    millis: Option<i64>,
    numbers: [Option<f64>; 6],
    topics: Vec<Topic>,
    attributes: Option<String>,
}

impl Record {
    fn make(choices: &mut Choices<'_>) -> Self {
        let mut fields = Vec::new();
        let mut wrong = Vec::new();

        let mut device_id = topic::name(choices);
        if choices.one_in(2) {
            device_id.push('1');
        }
        if !topic::is_name(&device_id) {
            wrong.push("device_id");
        }
        fields.push(("device_id", json::string(choices, &device_id)));

        let timestamp::Written { text, millis } = timestamp::structured(choices);
        if millis.is_none_or(|millis| millis > NOW_MS + MAX_AHEAD_MS) {
            wrong.push("timestamp");
        }
        fields.push(("timestamp", json::string(choices, &text)));

        let numbers = NUMBERS.map(|(field, must, from, to)| {
            let (json, value) = number(choices, from, to);
            let absent = choices.one_in(if must { 64 } else { 3 });
            if absent {
                if choices.one_in(2) {
                    fields.push((field, "null".into()));
                }
            } else {
                fields.push((field, json));
            }
            if if absent { must } else { value.is_none() } {
                wrong.push(field);
            }
            value.filter(|_| !absent)
        });

        let topics = topics(choices, &mut fields, &mut wrong);
        let attributes = attributes(choices, &mut fields, &mut wrong);
        if choices.one_in(64) {
            // Twice: which one is meant cannot be known.
            let index = choices.below(fields.len());
            let again = fields[index].clone();
            fields.push(again);
            wrong = vec!["record"];
        }
        let json = json::object(choices, &fields);
        Self { json, wrong, device_id, millis, numbers, topics, attributes }
    }

    fn check(&self) {
        let Self { json, wrong, .. } = self;
        let position = match Position::from_json(json, now()) {
            Ok(position) => position,
            Err(error) => {
                return assert!(wrong.contains(&error.field), "{json} has wrong {wrong:?}, not {error}");
            }
        };
        assert!(wrong.is_empty(), "{json} is taken with wrong {wrong:?}");
        assert_eq!(*position.device_id, *self.device_id);
        assert_eq!(Some(position.timestamp.as_millis()), self.millis);
        let mut expected = self.numbers;
        expected[4] = expected[4].map(|heading| if heading == 360.0 { 0.0 } else { heading });
        assert_eq!(numbers(&position), expected, "{json}");
        assert_eq!(position.topics, self.topics);
        assert_eq!(
            position.attributes.as_ref().map(|attributes| attributes.get()),
            self.attributes.as_deref()
        );
        holds(&position);
    }
}

/// A number as JSON, and its value if it is in the range.
fn number(choices: &mut Choices<'_>, from: f64, to: f64) -> (String, Option<f64>) {
    let value = match choices.below(32) {
        0 => to,
        1 => from,
        29 => to + 0.001,
        30 => from - 0.001,
        31 => return (choices.pick(&NOT_NUMBERS).to_owned(), None),
        // 53 bits, so that every digit that a double can tell apart is tried.
        _ => from + (to - from) * ((choices.word() >> 11) as f64 / (1_u64 << 53) as f64),
    };
    let json = match choices.below(4) {
        0 if value.fract() == 0.0 => format!("{}", value as i64),
        1 => format!("{value:e}"),
        2 => format!("{value:E}"),
        _ => format!("{value:?}"),
    };
    (json, (from..=to).contains(&value).then_some(value))
}

type Fields = Vec<(&'static str, String)>;

fn topics(choices: &mut Choices<'_>, fields: &mut Fields, wrong: &mut Vec<&'static str>) -> Vec<Topic> {
    if choices.one_in(16) {
        fields.push(("topics", choices.pick(&NOT_TOPICS).to_owned()));
        wrong.push("topics");
        return Vec::new();
    }
    let count = if choices.one_in(32) { MAX_TOPICS + choices.below(2) } else { choices.below(4) };
    let names: Vec<String> = (0..count).map(|_| topic::name(choices)).collect();
    if count > MAX_TOPICS || !names.iter().all(|name| topic::is_name(name)) {
        wrong.push("topics");
    }
    let texts: Vec<String> =
        names.iter().map(|name| json::string(choices, &format!("event:{name}"))).collect();
    if count > 0 || choices.one_in(2) {
        fields.push(("topics", format!("[{}]", texts.join(", "))));
    }
    let mut topics: Vec<Topic> = names.iter().map(|name| Topic::Event(Arc::from(name.as_str()))).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// Attributes with a number beyond a double, and with half of a surrogate pair.
const UNREADABLE: [&str; 2] = [r#"{"m":1e999}"#, r#"{"s":"\ud800"}"#];

fn attributes(
    choices: &mut Choices<'_>,
    fields: &mut Fields,
    wrong: &mut Vec<&'static str>,
) -> Option<String> {
    let mut json = match choices.below(8) {
        0..=4 => return None,
        5 => r#"{"n":12345678901234567890.10,"m": 1e9}"#.to_owned(),
        // Objects, but not such as every parser reads.
        _ if choices.one_in(3) => choices.pick(&UNREADABLE).to_owned(),
        6 => format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_ATTRIBUTES_BYTES - 8)),
        _ => choices.pick(&NOT_OBJECTS).to_owned(),
    };
    if choices.one_in(16) {
        json = json.replace('}', " }"); // one byte more: the long one is then too long
    }
    let unreadable = UNREADABLE.iter().any(|object| json.replace(' ', "") == *object);
    if !json.starts_with('{') || unreadable || json.len() > MAX_ATTRIBUTES_BYTES {
        wrong.push("attributes");
    }
    fields.push(("attributes", json.clone()));
    Some(json)
}

/// The records as an array and as lines: the same positions, or the same fault of the same record.
fn batch(records: &[Record]) {
    let jsons: Vec<&str> = records.iter().map(|record| record.json.as_str()).collect();
    let array = format!(" [{}]\n", jsons.join("\n,"));
    let array = format::parse(array.as_bytes(), false, now());
    let lines = format::parse(jsons.join("\r\n\n").as_bytes(), true, now());
    match (array, lines) {
        (Ok(array), Ok(lines)) => {
            assert!(records.iter().all(|record| record.wrong.is_empty()));
            assert_eq!(array.len(), records.len());
            assert_eq!(format!("{array:?}"), format!("{lines:?}"));
        }
        (Err(array), Err(lines)) => {
            assert!(records.iter().any(|record| !record.wrong.is_empty()));
            assert_eq!(array, lines);
        }
        (array, lines) => panic!("array: {array:?}\nlines: {lines:?}"),
    }
}
