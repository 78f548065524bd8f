//! `Request`: what a client can ask for, read from its JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest `id` of a request, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// What a client asks for. Each request has the fields that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send the topic's positions, first those of now, then each update.
    Subscribe {
        /// The topic; not yet read as one.
        topic: String,
        /// Echoed in the response.
        id: Option<String>,
    },
    /// Send no more of the topic.
    Unsubscribe {
        /// The topic; not yet read as one.
        topic: String,
        /// Echoed in the response.
        id: Option<String>,
    },
}

/// The types of request there are, as an error names them.
const TYPES: &str = "subscribe, unsubscribe";

/// Why a message is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// It is no JSON object, or one with a field twice.
    #[error("the message must be a JSON object in UTF-8 with type, topic and perhaps id, each once")]
    NotAnObject,
    /// A field that must be there is not.
    #[error("{0}: missing; it must be a string")]
    Missing(&'static str),
    /// A field is no string.
    #[error("{0}: must be a string")]
    Mistyped(&'static str),
    /// There is no such type.
    #[error("type: one of {TYPES}")]
    UnknownType,
    /// A field is too long.
    #[error("{field}: at most {limit} bytes")]
    TooLong {
        /// Its name.
        field: &'static str,
        /// What is allowed.
        limit: usize,
    },
}

impl InvalidRequest {
    /// What the response says as its `message`, whatever the fault; its `detail` names the fault.
    pub const MESSAGE: &str = "Invalid message envelope";
}

/// A message as it came: which fields there are, none of them read yet, so that an error can name its field.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn string<'a>(
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<Cow<'a, str>>, InvalidRequest> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let read = raw.map(|raw| serde_json::from_str::<Borrowed<'_>>(raw.get()).map(|Borrowed(text)| text));
    read.transpose().map_err(|_| InvalidRequest::Mistyped(field))
}

fn bounded(field: &'static str, text: &str, limit: usize) -> Result<(), InvalidRequest> {
    if text.len() > limit { Err(InvalidRequest::TooLong { field, limit }) } else { Ok(()) }
}

impl Request {
    /// Reads a request: a JSON object with `type` and what that type needs; other fields are ignored.
    ///
    /// # Errors
    /// [`InvalidRequest`] if it is anything else, or if `topic` has more than `max_topic_bytes` or `id` more than
    /// [`MAX_ID_BYTES`].
    pub fn parse(json: &[u8], max_topic_bytes: usize) -> Result<Self, InvalidRequest> {
        // serde would read a struct from an array as well.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(InvalidRequest::NotAnObject);
        }
        // Not `from_slice`, which lets through what is not UTF-8 in the fields it ignores.
        let json = std::str::from_utf8(json).map_err(|_| InvalidRequest::NotAnObject)?;
        let raw: Raw<'_> = serde_json::from_str(json).map_err(|_| InvalidRequest::NotAnObject)?;
        match string("type", raw.kind)?.as_deref() {
            Some("subscribe") => {
                let (topic, id) = raw.topic_and_id(max_topic_bytes)?;
                Ok(Self::Subscribe { topic, id })
            }
            Some("unsubscribe") => {
                let (topic, id) = raw.topic_and_id(max_topic_bytes)?;
                Ok(Self::Unsubscribe { topic, id })
            }
            Some(_) => Err(InvalidRequest::UnknownType),
            None => Err(InvalidRequest::Missing("type")),
        }
    }

    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe { .. } => "unsubscribe",
        }
    }
}

impl Raw<'_> {
    /// The fields of a request that is about one topic.
    fn topic_and_id(self, max_topic_bytes: usize) -> Result<(String, Option<String>), InvalidRequest> {
        let topic = string("topic", self.topic)?.ok_or(InvalidRequest::Missing("topic"))?;
        let id = string("id", self.id)?;
        bounded("topic", &topic, max_topic_bytes)?;
        bounded("id", id.as_deref().unwrap_or_default(), MAX_ID_BYTES)?;
        Ok((topic.into_owned(), id.map(Cow::into_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Request, InvalidRequest> {
        Request::parse(json.as_bytes(), 64)
    }

    #[test]
    fn reads_a_request_and_ignores_what_it_does_not_know() {
        let request = parse(r#" {"type":"subscribe","topic":"device:\u0034\u0032","id":"a1","x":[{}]}"#);
        assert_eq!(request, Ok(Request::Subscribe { topic: "device:42".into(), id: Some("a1".into()) }));
        let request = parse(r#"{"type":"unsubscribe","topic":""}"#);
        assert_eq!(request, Ok(Request::Unsubscribe { topic: String::new(), id: None }));
    }

    #[test]
    fn anything_else_is_a_violation() {
        let deep = format!(r#"{{"type":"subscribe","topic":{}"#, "[".repeat(60_000));
        let long_topic = format!(r#"{{"type":"subscribe","topic":"{}"}}"#, "x".repeat(65));
        let long_id =
            format!(r#"{{"type":"subscribe","topic":"x","id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        use InvalidRequest::{Missing, Mistyped, NotAnObject, TooLong, UnknownType};
        for (json, fault) in [
            ("", NotAnObject),
            ("hello", NotAnObject),
            ("42", NotAnObject),
            ("null", NotAnObject),
            (r#"["subscribe","device:42",null]"#, NotAnObject),
            (r#"{"type":"subscribe"}"#, Missing("topic")),
            (r#"{"topic":"device:42"}"#, Missing("type")),
            (r#"{"type":"subscribe","topic":42}"#, Mistyped("topic")),
            (r#"{"type":"subscribe","topic":null}"#, Missing("topic")),
            (r#"{"type":"subscribe","topic":"x","id":7}"#, Mistyped("id")),
            (r#"{"type":"publish","topic":"device:42"}"#, UnknownType),
            (r#"{"type":"subscribe","type":"subscribe","topic":"device:42"}"#, NotAnObject),
            (r#"{"type":"subscribe","topic":"device:42"} x"#, NotAnObject),
            (&deep, NotAnObject),
            (&long_topic, TooLong { field: "topic", limit: 64 }),
            (&long_id, TooLong { field: "id", limit: MAX_ID_BYTES }),
        ] {
            assert_eq!(parse(json), Err(fault), "{json:.80}");
        }
    }
}
