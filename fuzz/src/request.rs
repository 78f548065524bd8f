//! Requests: any message is read as one or refused; what was written as one is read as it was meant.

use processor::live::wire::request::{MAX_ID_BYTES, MAX_TOPICS, Options, Request};
use serde_json::value::RawValue;

use super::choices::Choices;
use super::{json, topic};

/// Longest topic that is allowed here, in bytes.
const MAX_TOPIC: usize = 100;

/// Values that are not strings; the last one may stand for an absent one.
const NOT_STRINGS: [&str; 6] = ["42", "true", "[]", r#"{"a":"b"}"#, r#"["subscribe"]"#, "null"];

/// What is put behind a request; the first two leave it one.
const TAILS: [&str; 6] = ["", " \r\n", "x", "{}", "\u{feff}", ","];

/// Checks `data` as a message, and as choices that make one.
pub fn check(data: &[u8]) {
    raw(data);
    structured(&mut Choices::new(data));
}

fn raw(data: &[u8]) {
    let Ok(request) = Request::parse(data, MAX_TOPIC) else { return };
    assert!(request.topics().len() <= MAX_TOPICS);
    assert!(request.topics().iter().all(|topic| topic.len() <= MAX_TOPIC));
    assert!(request.id().is_none_or(|id| id.len() <= MAX_ID_BYTES));
    // JSON is UTF-8, in its parts that are not looked at as well (RFC 8259 section 8.1).
    let text = std::str::from_utf8(data).expect("a request is UTF-8");
    serde_json::from_str::<&RawValue>(text).expect("a request is JSON");
    let mut again = serde_json::json!({ "type": request.name(), "id": request.id() });
    match request.topics() {
        [] => {}
        [only] => again["topic"] = only.as_str().into(),
        several => again["topics"] = several.into(),
    }
    if let Request::Subscribe { options: Options { every_ms, batch, replaces }, .. } = &request {
        again["every_ms"] = (*every_ms).into();
        again["batch"] = (*batch).into();
        again["replaces"] = replaces.as_deref().into();
    }
    let again = again.to_string();
    assert_eq!(Request::parse(again.as_bytes(), MAX_TOPIC), Ok(request), "{again}");
}

fn structured(choices: &mut Choices<'_>) {
    let mut valid = true;
    let mut fields = Vec::new();

    let kinds = ["subscribe", "unsubscribe", "hello", "subscribe", "unsubscribe", "publish", "Subscribe", ""];
    let kind = choices.pick(&kinds);
    valid &= kinds[..3].contains(&kind);
    valid &= field(choices, &mut fields, "type", Some(kind), false);

    // A topic's name is the handler's to judge; here it is any text that is short enough.
    let mut topics = vec![topic::name(choices)];
    let is_list = kind != "hello" && choices.one_in(4);
    if is_list {
        (0..choices.below(4)).for_each(|_| topics.push(topic::name(choices)));
        fields.push(("topics", serde_json::to_string(&topics).unwrap()));
    } else if kind != "hello" {
        valid &= field(choices, &mut fields, "topic", Some(&topics[0]), false);
    }
    valid &= kind == "hello" || topics.iter().all(|topic| topic.len() <= MAX_TOPIC);

    let mut options = Options::default();
    if kind == "subscribe" {
        if choices.one_in(4) {
            options.every_ms = choices.word() % 40_000;
            valid &= options.every_ms <= 30_000;
            fields.push(("every_ms", options.every_ms.to_string()));
        }
        if choices.one_in(4) {
            options.batch = choices.one_in(2);
            fields.push(("batch", options.batch.to_string()));
        }
        if choices.one_in(8) {
            let replaces = topic::name(choices);
            valid &= replaces.len() <= MAX_TOPIC && !is_list;
            fields.push(("replaces", json::string(choices, &replaces)));
            options.replaces = Some(replaces);
        }
    }

    let id = choices.one_in(2).then(|| topic::name(choices));
    valid &= id.as_ref().is_none_or(|id| id.len() <= MAX_ID_BYTES);
    valid &= field(choices, &mut fields, "id", id.as_deref(), true);

    let mut message = json::object(choices, &fields);
    let tail = if choices.one_in(8) { choices.pick(&TAILS) } else { "" };
    valid &= tail.trim_ascii().is_empty();
    message.push_str(tail);

    let read = Request::parse(message.as_bytes(), MAX_TOPIC);
    match kind {
        _ if !valid => assert!(read.is_err(), "{message} is read as {read:?}"),
        "subscribe" => assert_eq!(read, Ok(Request::Subscribe { topics, id, options }), "{message}"),
        "hello" => assert_eq!(read, Ok(Request::Hello { id }), "{message}"),
        _ => assert_eq!(read, Ok(Request::Unsubscribe { topics, id }), "{message}"),
    }
    // One byte of it changed: mostly no request any more, but nothing that may upset the parser.
    let mut bytes = message.into_bytes();
    let index = choices.word() as usize % bytes.len();
    bytes[index] ^= choices.byte();
    raw(&bytes);
}

/// Adds a field, sometimes in a wrong way. False if the object is no request with it. An absent field may be
/// `null` if it is `optional`.
fn field(
    choices: &mut Choices<'_>,
    fields: &mut Vec<(&'static str, String)>,
    name: &'static str,
    value: Option<&str>,
    optional: bool,
) -> bool {
    let Some(value) = value else {
        if choices.one_in(4) {
            fields.push((name, "null".into()));
        }
        return optional;
    };
    let good = json::string(choices, value);
    match choices.below(48) {
        45 if !optional => false, // left out
        46 => {
            let end = NOT_STRINGS.len() - usize::from(optional);
            fields.push((name, choices.pick(&NOT_STRINGS[..end]).into()));
            false
        }
        47 => {
            // Twice: which one is meant cannot be known.
            fields.extend([(name, good.clone()), (name, good)]);
            false
        }
        _ => {
            fields.push((name, good));
            true
        }
    }
}
