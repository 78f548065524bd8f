//! `Request`: what a client can ask for, read from its JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cadence::Cadence;
use crate::domain::credentials::MAX_TOKEN_BYTES;
use crate::settings::Secret;

/// Longest `id` of a request, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Most topics that one request may name.
pub const MAX_TOPICS: usize = 1000;

/// What a client asks for. Each request has the fields that it needs; `id` is echoed in its responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Say what the server's time is, what it has and what it allows.
    Hello {
        /// The request's.
        id: Option<String>,
    },
    /// Take this for who the client is from now on.
    Auth {
        /// What says who it is.
        token: Secret,
        /// The request's.
        id: Option<String>,
    },
    /// Send the topics' positions, first those of now, then each update.
    Subscribe {
        /// The topics, at least one; not yet read as such. Each gets a response of its own.
        topics: Vec<String>,
        /// The request's.
        id: Option<String>,
        /// How they are served.
        options: Options,
    },
    /// Send no more of the topics.
    Unsubscribe {
        /// The topics, at least one; not yet read as such. Each gets a response of its own.
        topics: Vec<String>,
        /// The request's.
        id: Option<String>,
    },
}

/// How a subscription is served. Without any of it, it gets each update as a message of its own, as soon as there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// At most every so many milliseconds, 0 to [`Cadence::LONGEST`]; not yet rounded to a step.
    pub every_ms: u64,
    /// Positions that leave together are one message.
    pub batch: bool,
    /// The area whose place the topic takes; not yet read as one.
    pub replaces: Option<String>,
}

/// The types of request there are, as an error names them.
const TYPES: &str = "hello, auth, subscribe, unsubscribe";

/// Why a message is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// It is no JSON object, or one with a field twice.
    #[error(
        "the message must be a JSON object in UTF-8, with type and what that type needs, each field once"
    )]
    NotAnObject,
    /// There is no type.
    #[error("type: missing; it must be a string")]
    NoType,
    /// There is no such type.
    #[error("type: one of {TYPES}")]
    UnknownType,
    /// There is no topic.
    #[error(
        "topic: missing; it must be a string, or there must be topics, an array of 1 to {MAX_TOPICS} strings"
    )]
    NoTopic,
    /// There are `topic` and `topics`.
    #[error("topics: not beside topic; one of the two names what is asked for")]
    TwoTopics,
    /// A field is not what it must be.
    #[error("{field}: must be {must_be}")]
    Mistyped {
        /// Its name.
        field: &'static str,
        /// What it must be.
        must_be: &'static str,
    },
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

const A_STRING: &str = "a string";
const TOPICS: &str = "an array of 1 to 1000 strings";
const EVERY_MS: &str = "a whole number from 0 to 30000";

/// A message as it came: which fields there are, none of them read yet, so that an error can name its field.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    topics: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    every_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    batch: Option<&'a RawValue>,
    #[serde(borrow)]
    replaces: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

fn read<'a, T: Deserialize<'a>>(
    field: &'static str,
    must_be: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<T>, InvalidRequest> {
    let read = raw.map(|raw| serde_json::from_str(raw.get()));
    read.transpose().map_err(|_| InvalidRequest::Mistyped { field, must_be })
}

fn string<'a>(
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<Cow<'a, str>>, InvalidRequest> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(read(field, A_STRING, raw)?.map(|Borrowed(text)| text))
}

fn bounded(field: &'static str, text: &str, limit: usize) -> Result<(), InvalidRequest> {
    if text.len() > limit { Err(InvalidRequest::TooLong { field, limit }) } else { Ok(()) }
}

impl Request {
    /// Reads a request: a JSON object with `type` and what that type needs; other fields are ignored.
    ///
    /// # Errors
    /// [`InvalidRequest`] if it is anything else, or if a topic has more than `max_topic_bytes` or `id` more than
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
            Some("hello") => Ok(Self::Hello { id: raw.id()? }),
            Some("auth") => Ok(Self::Auth { token: raw.token()?, id: raw.id()? }),
            Some("subscribe") => {
                let (topics, id) = (raw.topics(max_topic_bytes)?, raw.id()?);
                Ok(Self::Subscribe { topics, id, options: raw.options(max_topic_bytes)? })
            }
            Some("unsubscribe") => {
                Ok(Self::Unsubscribe { topics: raw.topics(max_topic_bytes)?, id: raw.id()? })
            }
            Some(_) => Err(InvalidRequest::UnknownType),
            None => Err(InvalidRequest::NoType),
        }
    }

    /// What it is about; nothing for a request that is about no topic.
    pub fn topics(&self) -> &[String] {
        match self {
            Self::Hello { .. } | Self::Auth { .. } => &[],
            Self::Subscribe { topics, .. } | Self::Unsubscribe { topics, .. } => topics,
        }
    }

    /// Its `id`.
    pub fn id(&self) -> Option<&str> {
        let (Self::Hello { id }
        | Self::Auth { id, .. }
        | Self::Subscribe { id, .. }
        | Self::Unsubscribe { id, .. }) = self;
        id.as_deref()
    }

    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Auth { .. } => "auth",
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe { .. } => "unsubscribe",
        }
    }
}

impl Raw<'_> {
    fn id(&self) -> Result<Option<String>, InvalidRequest> {
        let id = string("id", self.id)?;
        bounded("id", id.as_deref().unwrap_or_default(), MAX_ID_BYTES)?;
        Ok(id.map(Cow::into_owned))
    }

    fn token(&self) -> Result<Secret, InvalidRequest> {
        let missing = InvalidRequest::Mistyped { field: "token", must_be: A_STRING };
        let token = string("token", self.token)?.filter(|token| !token.is_empty()).ok_or(missing)?;
        bounded("token", &token, MAX_TOKEN_BYTES)?;
        Ok(Secret::new(&token))
    }

    /// `topic`, or all of `topics`.
    fn topics(&self, max_bytes: usize) -> Result<Vec<String>, InvalidRequest> {
        let one = string("topic", self.topic)?.map(Cow::into_owned);
        let list = read::<Vec<String>>("topics", TOPICS, self.topics)?;
        let (field, topics) = match (one, list) {
            (Some(_), Some(_)) => return Err(InvalidRequest::TwoTopics),
            (Some(one), None) => ("topic", vec![one]),
            (None, Some(list)) if (1..=MAX_TOPICS).contains(&list.len()) => ("topics", list),
            (None, Some(_)) => return Err(InvalidRequest::Mistyped { field: "topics", must_be: TOPICS }),
            (None, None) => return Err(InvalidRequest::NoTopic),
        };
        topics.iter().try_for_each(|topic| bounded(field, topic, max_bytes))?;
        Ok(topics)
    }

    fn options(&self, max_topic_bytes: usize) -> Result<Options, InvalidRequest> {
        let every_ms = read("every_ms", EVERY_MS, self.every_ms)?.unwrap_or_default();
        if every_ms > u64::from(Cadence::LONGEST) {
            return Err(InvalidRequest::Mistyped { field: "every_ms", must_be: EVERY_MS });
        }
        let batch = read("batch", "true or false", self.batch)?.unwrap_or_default();
        let replaces = string("replaces", self.replaces)?.map(Cow::into_owned);
        bounded("replaces", replaces.as_deref().unwrap_or_default(), max_topic_bytes)?;
        if replaces.is_some() && self.topic.is_none() {
            let must_be = "beside topic, as one area takes the place of one other";
            return Err(InvalidRequest::Mistyped { field: "replaces", must_be });
        }
        Ok(Options { every_ms, batch, replaces })
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
        let (topics, id, options) = (vec!["device:42".into()], Some("a1".into()), Options::default());
        assert_eq!(request, Ok(Request::Subscribe { topics, id, options }));
        let request = parse(r#"{"type":"unsubscribe","topic":""}"#);
        assert_eq!(request, Ok(Request::Unsubscribe { topics: vec![String::new()], id: None }));
        assert_eq!(parse(r#"{"type":"hello","topic":7}"#), Ok(Request::Hello { id: None }));
    }

    #[test]
    fn reads_lists_and_options() {
        let json = r#"{"type":"subscribe","topics":["a","b"],"every_ms":900,"batch":true,"replaces":null}"#;
        let options = Options { every_ms: 900, batch: true, replaces: None };
        let topics = vec!["a".into(), "b".into()];
        assert_eq!(parse(json), Ok(Request::Subscribe { topics, id: None, options }));
        let json = r#"{"type":"subscribe","topic":"area:1,2,3,4","replaces":"area:0,0,1,1"}"#;
        let options = Options { replaces: Some("area:0,0,1,1".into()), ..Options::default() };
        let topics = vec!["area:1,2,3,4".into()];
        assert_eq!(parse(json), Ok(Request::Subscribe { topics, id: None, options }));
        let most = format!(r#"{{"type":"unsubscribe","topics":["x"{}]}}"#, r#","x""#.repeat(MAX_TOPICS - 1));
        assert!(parse(&most).is_ok());
        for (fields, fault) in [
            (r#""topic":"a","topics":["b"]"#, InvalidRequest::TwoTopics),
            (r#""topics":[]"#, mistyped("topics", TOPICS)),
            (r#""topics":"a""#, mistyped("topics", TOPICS)),
            (r#""topics":["a",1]"#, mistyped("topics", TOPICS)),
            (&format!(r#""topics":["x"{}]"#, r#","x""#.repeat(MAX_TOPICS)), mistyped("topics", TOPICS)),
            (r#""topic":"a","every_ms":-1"#, mistyped("every_ms", EVERY_MS)),
            (r#""topic":"a","every_ms":0.5"#, mistyped("every_ms", EVERY_MS)),
            (r#""topic":"a","every_ms":30001"#, mistyped("every_ms", EVERY_MS)),
            (r#""topic":"a","every_ms":"100""#, mistyped("every_ms", EVERY_MS)),
            (r#""topic":"a","batch":1"#, mistyped("batch", "true or false")),
            (
                r#""topics":["a"],"replaces":"b""#,
                mistyped("replaces", "beside topic, as one area takes the place of one other"),
            ),
        ] {
            assert_eq!(parse(&format!(r#"{{"type":"subscribe",{fields}}}"#)), Err(fault), "{fields:.80}");
        }
        assert!(TOPICS.contains(&MAX_TOPICS.to_string()) && EVERY_MS.contains(&Cadence::LONGEST.to_string()));
    }

    #[test]
    fn a_token_is_read_and_not_shown() {
        let request = parse(r#"{"type":"auth","token":"s3cret","id":"a"}"#);
        assert_eq!(request, Ok(Request::Auth { token: Secret::new("s3cret"), id: Some("a".into()) }));
        assert!(!format!("{request:?}").contains("s3cret"));
        for json in [r#"{"type":"auth"}"#, r#"{"type":"auth","token":""}"#, r#"{"type":"auth","token":7}"#] {
            assert_eq!(parse(json), Err(mistyped("token", A_STRING)), "{json}");
        }
        let long = format!(r#"{{"type":"auth","token":"{}"}}"#, "x".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(parse(&long), Err(InvalidRequest::TooLong { field: "token", limit: MAX_TOKEN_BYTES }));
    }

    fn mistyped(field: &'static str, must_be: &'static str) -> InvalidRequest {
        InvalidRequest::Mistyped { field, must_be }
    }

    #[test]
    fn anything_else_is_a_violation() {
        let deep = format!(r#"{{"type":"subscribe","topic":{}"#, "[".repeat(60_000));
        let long_topic = format!(r#"{{"type":"subscribe","topic":"{}"}}"#, "x".repeat(65));
        let long_id =
            format!(r#"{{"type":"subscribe","topic":"x","id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        use InvalidRequest::{NoTopic, NoType, NotAnObject, TooLong, UnknownType};
        for (json, fault) in [
            ("", NotAnObject),
            ("hello", NotAnObject),
            ("42", NotAnObject),
            ("null", NotAnObject),
            (r#"["subscribe","device:42",null]"#, NotAnObject),
            (r#"{"type":"subscribe"}"#, NoTopic),
            (r#"{"topic":"device:42"}"#, NoType),
            (r#"{"type":"subscribe","topic":42}"#, mistyped("topic", A_STRING)),
            (r#"{"type":"subscribe","topic":null}"#, NoTopic),
            (r#"{"type":"subscribe","topic":"x","id":7}"#, mistyped("id", A_STRING)),
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
