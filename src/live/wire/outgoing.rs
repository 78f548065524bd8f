//! `Outgoing`: what the server says to one client, and the error codes.

use serde::Serialize;

/// What the server says to one client. Positions are not among it: the fan-out writes them, once for all subscribers.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Outgoing<'a> {
    /// The topic's positions follow. Sent by [`Hub::subscribe`](crate::live::Hub::subscribe), which adds the last field,
    /// `snapshot`.
    Subscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    /// No more of the topic follows.
    Unsubscribed {
        /// The topic, as it was asked for.
        topic: &'a str,
        /// The request's.
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
}

impl Outgoing<'_> {
    /// The value of the metric's label `type`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Error { .. } => "error",
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|error| {
            // There are only strings in it, nothing that serde could refuse.
            log::error!("message not encoded: {error}");
            b"{}".to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_the_contract_has_them() {
        let cases = [
            (
                Outgoing::Subscribed { topic: "device:42", id: Some("a1") },
                r#"{"type":"subscribed","topic":"device:42","id":"a1"}"#,
            ),
            (Outgoing::Unsubscribed { topic: "x", id: None }, r#"{"type":"unsubscribed","topic":"x"}"#),
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
