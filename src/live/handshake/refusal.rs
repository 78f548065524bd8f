//! `Refusal`: every way in which a handshake is refused: HTTP response and metric label together.

use actix_http::StatusCode;

use crate::live::handler::Denied;
use crate::live::registry::Closed;
use crate::live::wire::opening::OpeningError;

/// Seconds after which a refused client may come back.
const RETRY_AFTER: &str = "5";

/// Why there is no connection: an HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// One header that helps the client.
    pub(crate) header: Option<(&'static str, &'static str)>,
    /// The body, one line.
    pub(crate) text: &'static str,
    /// The value of the metric's label `reason`.
    pub(crate) label: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, text: &'static str, label: &'static str) -> Self {
        Self { status, header: None, text, label }
    }

    const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The whole response as HTTP/1.1, after which the socket is closed. The response to HEAD has no body.
    pub(crate) fn to_bytes(self, to_head: bool) -> Vec<u8> {
        let Self { status, header, text, .. } = self;
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let length = text.len() + 1;
        let mut response = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        if !to_head {
            response.push_str(text);
            response.push('\n');
        }
        response.into_bytes()
    }
}

/// Defines refusals as constants and, from the same lines, the list of all of them.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $refusal:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: Refusal = $refusal;)*

        /// Every refusal there is.
        pub(crate) const ALL: &[Refusal] = &[$($name),*];
    };
}

refusals! {
    /// A plain HTTP request.
    NOT_FOUND = Refusal::new(StatusCode::NOT_FOUND, "only WebSocket upgrades are served here", "not_websocket");
    /// The server drains.
    DRAINING = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "server shutting down", "draining")
        .with("Retry-After", RETRY_AFTER);
    /// The limit of connections in all is reached.
    SERVER_FULL = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections", "server_full")
        .with("Retry-After", RETRY_AFTER);
    /// The limit of connections from one address is reached.
    ADDRESS_FULL =
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many connections from this address", "address_full")
            .with("Retry-After", RETRY_AFTER);
    /// The limit of connections of one subject is reached.
    SUBJECT_FULL =
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many connections of this subject", "subject_full")
            .with("Retry-After", RETRY_AFTER);
    /// Too many clients have still to say who they are.
    UNKNOWN_FULL = Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many clients have still to say who they are",
        "unknown_full",
    )
    .with("Retry-After", RETRY_AFTER);
    /// Whoever must be asked who someone is does not answer.
    AUTH_UNAVAILABLE =
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tokens cannot be checked now", "auth_unavailable")
            .with("Retry-After", RETRY_AFTER);
    /// The server's handler did not admit the client.
    DENIED = Refusal::new(StatusCode::FORBIDDEN, "not allowed", "denied");
    /// A fault of the server's own.
    INTERNAL = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error", "internal");
    /// A page from elsewhere.
    ORIGIN = Refusal::new(StatusCode::FORBIDDEN, "this origin is not allowed", "origin");
    /// Not a GET.
    METHOD = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET", "handshake")
        .with("Allow", "GET");
    /// Another version of the WebSocket protocol, or none.
    VERSION = Refusal::new(StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13", "handshake")
        .with("Sec-WebSocket-Version", "13");
    /// HTTP/1.0.
    HTTP = Refusal::new(StatusCode::BAD_REQUEST, "a WebSocket handshake is HTTP/1.1", "handshake");
    /// An upgrade to something else.
    UPGRADE = Refusal::new(StatusCode::BAD_REQUEST, "Upgrade must hold the token websocket", "handshake");
    /// The upgrade is not asked of this server but of one before it.
    CONNECTION = Refusal::new(StatusCode::BAD_REQUEST, "Connection must hold the token Upgrade", "handshake");
    /// No key, several, or one of another length.
    KEY = Refusal::new(
        StatusCode::BAD_REQUEST,
        "Sec-WebSocket-Key must be 16 bytes in base64, once",
        "handshake",
    );
    /// What is offered cannot be read (RFC 6455 section 9.1).
    EXTENSIONS =
        Refusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Extensions is malformed", "handshake");
    /// A body would be taken for frames.
    BODY = Refusal::new(StatusCode::BAD_REQUEST, "a WebSocket handshake has no body", "handshake");
    /// Not HTTP/1: another protocol, broken headers, or an end in the middle of them.
    MALFORMED = Refusal::new(StatusCode::BAD_REQUEST, "not an HTTP/1.1 request", "malformed");
    /// More headers than are read.
    TOO_LONG = Refusal::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the headers are too long or too many",
        "too_long",
    );
    /// The handshake was not done in time.
    TIMEOUT = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the handshake took too long", "timeout");
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotAllowed => DENIED,
            Denied::SubjectFull => SUBJECT_FULL,
            Denied::Unavailable => AUTH_UNAVAILABLE,
            Denied::TooManyUnknown => UNKNOWN_FULL,
        }
    }
}

impl From<Closed> for Refusal {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Draining => DRAINING,
            Closed::ServerFull => SERVER_FULL,
            Closed::AddressFull => ADDRESS_FULL,
        }
    }
}

impl From<OpeningError> for Refusal {
    fn from(error: OpeningError) -> Self {
        match error {
            OpeningError::Malformed => MALFORMED,
            OpeningError::TooLong => TOO_LONG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_to_head_have_no_body() {
        let with = String::from_utf8(NOT_FOUND.to_bytes(false)).unwrap();
        let without = String::from_utf8(NOT_FOUND.to_bytes(true)).unwrap();
        assert_eq!(with, format!("{without}{}\n", NOT_FOUND.text));
    }
}
