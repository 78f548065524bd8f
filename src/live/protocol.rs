//! `Envelope` and `Answer`: the JSON that clients and server exchange. Pure types, no I/O.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest `id` of an envelope, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What to do.
    pub action: Action,
    /// With which topic; not yet read as one.
    pub topic: String,
    /// Echoed in the answer.
    pub id: Option<String>,
}

/// What an envelope can ask to do: its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send what is published to the topic from now on.
    Subscribe,
    /// No longer.
    Unsubscribe,
}

impl Action {
    /// The `type` it is written as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// The types of envelope there are, as an error names them.
const TYPES: &str = "subscribe, unsubscribe";

/// Why a message is not an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnvelope {
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

impl InvalidEnvelope {
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
) -> Result<Option<Cow<'a, str>>, InvalidEnvelope> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let read = raw.map(|raw| serde_json::from_str::<Borrowed<'_>>(raw.get()).map(|Borrowed(text)| text));
    read.transpose().map_err(|_| InvalidEnvelope::Mistyped(field))
}

fn bounded(field: &'static str, text: &str, limit: usize) -> Result<(), InvalidEnvelope> {
    if text.len() > limit { Err(InvalidEnvelope::TooLong { field, limit }) } else { Ok(()) }
}

impl Envelope {
    /// Reads an envelope: a JSON object with `type`, `topic` and perhaps `id`; other fields are ignored.
    ///
    /// # Errors
    /// [`InvalidEnvelope`] if it is anything else, or if `topic` has more than `max_topic_bytes` or `id` more
    /// than [`MAX_ID_BYTES`].
    pub fn parse(json: &[u8], max_topic_bytes: usize) -> Result<Self, InvalidEnvelope> {
        // serde would read a struct from an array as well.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(InvalidEnvelope::NotAnObject);
        }
        // Not `from_slice`, which lets through what is not UTF-8 in the fields it ignores.
        let json = std::str::from_utf8(json).map_err(|_| InvalidEnvelope::NotAnObject)?;
        let raw: Raw<'_> = serde_json::from_str(json).map_err(|_| InvalidEnvelope::NotAnObject)?;
        let action = match string("type", raw.kind)?.as_deref() {
            Some("subscribe") => Action::Subscribe,
            Some("unsubscribe") => Action::Unsubscribe,
            Some(_) => return Err(InvalidEnvelope::UnknownType),
            None => return Err(InvalidEnvelope::Missing("type")),
        };
        let topic = string("topic", raw.topic)?.ok_or(InvalidEnvelope::Missing("topic"))?;
        let id = string("id", raw.id)?;
        bounded("topic", &topic, max_topic_bytes)?;
        bounded("id", id.as_deref().unwrap_or_default(), MAX_ID_BYTES)?;
        Ok(Self { action, topic: topic.into_owned(), id: id.map(Cow::into_owned) })
    }
}

/// What the server says that is not a position. Positions are written by the hub, once for all subscribers.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Answer<'a> {
    /// The topic's positions follow. Sent by [`Hub::subscribe`](super::Hub::subscribe), which adds the last field,
    /// `snapshot`.
    Subscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The envelope's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// No more of the topic follows.
    Unsubscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The envelope's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// Something was not done.
    Error {
        /// What kind of fault it is.
        code: ErrorCode,
        /// The topic, as it was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<&'a str>,
        /// The envelope's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// For the developer of the client: what is wrong and what is allowed.
        message: &'a str,
        /// More of it, where `message` is always the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
}

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The message is not an envelope, or its topic has no proper name.
    ProtocolViolation,
    /// This server does not have what was asked for.
    NotImplemented,
    /// The client sends too many messages.
    RateLimited,
    /// The connection holds as many subscriptions as it may.
    TooManySubscriptions,
}

impl Answer<'_> {
    /// The value of the metric's label `type`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Error { .. } => "error",
        }
    }

    /// As it is written.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|error| {
            // There are only strings in an answer, nothing that serde could refuse.
            log::error!("answer not encoded: {error}");
            b"{}".to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Envelope, InvalidEnvelope> {
        Envelope::parse(json.as_bytes(), 64)
    }

    #[test]
    fn reads_an_envelope_and_ignores_what_it_does_not_know() {
        let envelope =
            parse(r#" {"type":"subscribe","topic":"device:\u0034\u0032","id":"a1","x":[{}]}"#).unwrap();
        let expected =
            Envelope { action: Action::Subscribe, topic: "device:42".into(), id: Some("a1".into()) };
        assert_eq!(envelope, expected);
        assert_eq!(parse(r#"{"type":"unsubscribe","topic":""}"#).unwrap().id, None);
    }

    #[test]
    fn anything_else_is_a_violation() {
        let deep = format!(r#"{{"type":"subscribe","topic":{}"#, "[".repeat(60_000));
        let long_topic = format!(r#"{{"type":"subscribe","topic":"{}"}}"#, "x".repeat(65));
        let long_id =
            format!(r#"{{"type":"subscribe","topic":"x","id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        use InvalidEnvelope::{Missing, Mistyped, NotAnObject, TooLong, UnknownType};
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

    #[test]
    fn answers_are_written_as_the_contract_has_them() {
        let cases = [
            (
                Answer::Subscribed { topic: "device:42", id: Some("a1") },
                r#"{"type":"subscribed","topic":"device:42","id":"a1"}"#,
            ),
            (Answer::Unsubscribed { topic: "x", id: None }, r#"{"type":"unsubscribed","topic":"x"}"#),
            (
                Answer::Error {
                    code: ErrorCode::ProtocolViolation,
                    topic: None,
                    id: None,
                    message: "m",
                    detail: Some("d"),
                },
                r#"{"type":"error","code":"protocol-violation","message":"m","detail":"d"}"#,
            ),
            (
                Answer::Error {
                    code: ErrorCode::NotImplemented,
                    topic: Some("foo"),
                    id: Some("a"),
                    message: "m",
                    detail: None,
                },
                r#"{"type":"error","code":"not-implemented","topic":"foo","id":"a","message":"m"}"#,
            ),
        ];
        for (answer, json) in cases {
            assert_eq!(answer.json(), json.as_bytes());
        }
    }
}
