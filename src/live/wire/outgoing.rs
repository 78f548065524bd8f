//! `Outgoing`: what the server says to one client, and the error codes.

use serde::Serialize;

use crate::domain::Timestamp;

/// What the server says to one client. Positions are not among it: the fan-out writes them, once for all subscribers.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Outgoing<'a> {
    /// What a client can count on; the response to `hello`.
    Welcome {
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// The server's clock.
        server_time: Timestamp,
        /// Time between two pings, in milliseconds.
        ping_interval_ms: u64,
        /// The kinds of topic there are.
        topics: &'a [&'static str],
        /// The cadences there are, in milliseconds.
        every_ms: &'a [u16],
        /// What is allowed.
        limits: Limits,
        /// Who the client is; where nobody is asked, nothing.
        #[serde(flatten)]
        principal: Option<PrincipalView<'a>>,
    },
    /// The client is who its token says; the response to `auth`.
    Authenticated {
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// Who it is; where nobody is asked, nothing.
        #[serde(flatten)]
        principal: Option<PrincipalView<'a>>,
    },
    /// The topic's positions follow. Sent by [`Hub::subscribe`](crate::live::Hub::subscribe), which adds the last field,
    /// `snapshot`.
    Subscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// Updates follow at most every so many milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        every_ms: Option<u16>,
        /// Positions that leave together are one message.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        batch: bool,
        /// The area whose place this one took: the snapshot has only what was not inside that one.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<&'a str>,
        /// Ids of devices that were inside that one and are not in this one.
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<Vec<&'a str>>,
    },
    /// No more of the topic follows.
    Unsubscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// The server stops: a close frame with 1001 follows.
    Draining {
        /// When the client is to connect again, in milliseconds from now.
        reconnect_after_ms: u64,
    },
    /// Something was not done.
    Error {
        /// What kind of fault it is.
        code: ErrorCode,
        /// The topic, as it was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<&'a str>,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// For the developer of the client: what is wrong and what is allowed.
        message: &'a str,
        /// More of it, where `message` is always the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
}

/// Who a client is, as `welcome` and `authenticated` have it.
#[derive(Clone, Debug, Serialize)]
pub struct PrincipalView<'a> {
    /// Whose token it has.
    pub subject: &'a str,
    /// When that ends, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What it may subscribe to: topics, and beginnings of topics with a `*`.
    pub may_read: Vec<String>,
}

/// What a client may do, as `welcome` has it.
#[derive(Clone, Debug, Serialize)]
pub struct Limits {
    /// Longest message from a client, in bytes.
    pub message_bytes: usize,
    /// Longest topic, in bytes.
    pub topic_bytes: usize,
    /// Longest `id` of a request, in bytes.
    pub id_bytes: usize,
    /// Topics in one request.
    pub topics: usize,
    /// Subscriptions of a connection.
    pub subscriptions: usize,
    /// Messages a second, sustained.
    pub messages_per_second: u32,
    /// Devices inside an area.
    pub area_devices: usize,
    /// The shortest cadence, in milliseconds; 0 where every update can be had.
    pub min_every_ms: u16,
}

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The message is not a request, or its topic has no proper name.
    ProtocolViolation,
    /// This server does not have what was asked for.
    NotImplemented,
    /// The client sends too many messages.
    RateLimited,
    /// The connection holds as many subscriptions as it may.
    TooManySubscriptions,
    /// More devices are inside an area than may be.
    TooManyDevices,
    /// The client's token does not allow it.
    Forbidden,
    /// It cannot be done now.
    Unavailable,
}

impl Outgoing<'_> {
    /// The value of the metric's label `type`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Authenticated { .. } => "authenticated",
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Draining { .. } => "draining",
            Self::Error { .. } => "error",
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|error| {
            // There are only strings and numbers in it, nothing that serde could refuse.
            log::error!("message not encoded: {error}");
            b"{}".to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed<'a>(topic: &'a str, id: Option<&'a str>) -> Outgoing<'a> {
        Outgoing::Subscribed { topic, id, every_ms: None, batch: false, replaces: None, left: None }
    }

    #[test]
    fn messages_are_written_as_the_contract_has_them() {
        let cases = [
            (subscribed("device:42", Some("a1")), r#"{"type":"subscribed","topic":"device:42","id":"a1"}"#),
            (
                Outgoing::Subscribed {
                    topic: "area:1,2,3,4",
                    id: None,
                    every_ms: Some(250),
                    batch: true,
                    replaces: Some("area:0,0,1,1"),
                    left: Some(vec!["x"]),
                },
                r#"{"type":"subscribed","topic":"area:1,2,3,4","every_ms":250,"batch":true,"replaces":"area:0,0,1,1","left":["x"]}"#,
            ),
            (
                Outgoing::Authenticated { id: Some("a"), principal: None },
                r#"{"type":"authenticated","id":"a"}"#,
            ),
            (
                Outgoing::Authenticated {
                    id: None,
                    principal: Some(PrincipalView {
                        subject: "ann",
                        expires_at: Timestamp::from_millis(0),
                        may_read: vec!["event:*".into()],
                    }),
                },
                r#"{"type":"authenticated","subject":"ann","expires_at":"1970-01-01T00:00:00.000Z","may_read":["event:*"]}"#,
            ),
            (Outgoing::Unsubscribed { topic: "x", id: None }, r#"{"type":"unsubscribed","topic":"x"}"#),
            (Outgoing::Draining { reconnect_after_ms: 7 }, r#"{"type":"draining","reconnect_after_ms":7}"#),
            (
                Outgoing::Error {
                    code: ErrorCode::ProtocolViolation,
                    topic: None,
                    id: None,
                    message: "m",
                    detail: Some("d"),
                },
                r#"{"type":"error","code":"protocol-violation","message":"m","detail":"d"}"#,
            ),
            (
                Outgoing::Error {
                    code: ErrorCode::NotImplemented,
                    topic: Some("foo"),
                    id: Some("a"),
                    message: "m",
                    detail: None,
                },
                r#"{"type":"error","code":"not-implemented","topic":"foo","id":"a","message":"m"}"#,
            ),
        ];
        for (message, json) in cases {
            assert_eq!(message.json(), json.as_bytes());
        }
    }
}
