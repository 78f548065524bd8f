//! The opening handshake: what is asked of a client before it becomes a connection (RFC 6455 section 4.2.1).

use actix_http::{StatusCode, ws};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::opening::{Opening, OpeningError};
use crate::settings::LiveSettings;

/// Seconds after which a refused client may come back.
const RETRY_AFTER: &str = "5";

/// Why there is no connection: an HTTP answer.
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

    /// The whole answer as HTTP/1.1, after which the socket is closed. The answer to HEAD has no body.
    pub(crate) fn to_bytes(self, to_head: bool) -> Vec<u8> {
        let Self { status, header, text, .. } = self;
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let length = text.len() + 1;
        let mut answer = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        if !to_head {
            answer.push_str(text);
            answer.push('\n');
        }
        answer.into_bytes()
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

impl From<OpeningError> for Refusal {
    fn from(error: OpeningError) -> Self {
        match error {
            OpeningError::Malformed => MALFORMED,
            OpeningError::TooLong => TOO_LONG,
        }
    }
}

/// Checks a handshake and returns the answer to it: the head of a 101 response.
///
/// It names no subprotocol and no extension, whatever was offered, so none is in use (RFC 6455 section 4.2.2).
pub(crate) fn check(opening: &Opening, settings: &LiveSettings) -> Result<Vec<u8>, Refusal> {
    if !opening.has_token("upgrade", "websocket") {
        // Without any sign of a WebSocket it is just a request to the wrong port.
        let meant = opening.has("upgrade") || opening.has("sec-websocket-key");
        return Err(if meant { UPGRADE } else { NOT_FOUND });
    }
    if !opening.is("GET") {
        return Err(METHOD);
    }
    if !opening.is_http_1_1() {
        return Err(HTTP);
    }
    if !opening.has_token("connection", "upgrade") {
        return Err(CONNECTION);
    }
    if opening.single("sec-websocket-version") != Some("13") {
        return Err(VERSION);
    }
    let key = opening.single("sec-websocket-key").ok_or(KEY)?;
    if STANDARD.decode(key).map_or(true, |bytes| bytes.len() != 16) {
        return Err(KEY);
    }
    if opening.has("transfer-encoding") || opening.all("content-length").any(|length| length != b"0") {
        return Err(BODY);
    }
    check_origin(opening, &settings.allowed_origins)?;
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: "
        .to_vec();
    answer.extend_from_slice(&ws::hash_key(key.as_bytes()));
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(answer)
}

/// A browser says where its page came from; other clients send no `Origin`, and are not kept out by this.
fn check_origin(opening: &Opening, allowed: &[String]) -> Result<(), Refusal> {
    if allowed.is_empty() || !opening.has("origin") {
        return Ok(());
    }
    let origin = opening.single("origin").ok_or(ORIGIN)?;
    if allowed.iter().any(|one| one.eq_ignore_ascii_case(origin)) { Ok(()) } else { Err(ORIGIN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn settings(environment: &[(&str, &str)]) -> LiveSettings {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        crate::settings::Settings::from("/nonexistent".as_ref(), environment.collect()).unwrap().live
    }

    /// The good handshake with some headers changed; an empty value takes one away.
    fn head(changes: &[(&str, &str)]) -> Opening {
        opening("GET / HTTP/1.1", changes)
    }

    fn opening(line: &str, changes: &[(&str, &str)]) -> Opening {
        let kept = GOOD.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let headers = kept.chain(changes).filter(|(_, value)| !value.is_empty());
        let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Opening::parse(format!("{line}\r\n{headers}\r\n").as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn answers_the_example_of_the_rfc() {
        let answer = String::from_utf8(check(&head(&[]), &settings(&[])).unwrap()).unwrap();
        assert!(
            answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn refuses_what_is_not_exactly_a_handshake() {
        let cases: &[(&[(&str, &str)], Refusal)] = &[
            (&[("upgrade", ""), ("connection", ""), ("sec-websocket-key", "")], NOT_FOUND),
            (&[("upgrade", "xwebsocketx")], UPGRADE),
            (&[("upgrade", "")], UPGRADE),
            (&[("connection", "upgraded")], CONNECTION),
            (&[("sec-websocket-version", "8")], VERSION),
            (&[("sec-websocket-version", "")], VERSION),
            (&[("sec-websocket-key", "abc")], KEY),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], KEY),
            (&[("sec-websocket-key", "")], KEY),
            (&[("transfer-encoding", "chunked")], BODY),
            (&[("content-length", "5")], BODY),
        ];
        for (changes, refusal) in cases {
            assert_eq!(check(&head(changes), &settings(&[])), Err(*refusal), "{changes:?}");
        }
        assert_eq!(check(&opening("POST / HTTP/1.1", &[]), &settings(&[])), Err(METHOD));
        assert_eq!(check(&opening("GET / HTTP/1.0", &[]), &settings(&[])), Err(HTTP));
    }

    #[test]
    fn answers_to_head_have_no_body() {
        let with = String::from_utf8(NOT_FOUND.to_bytes(false)).unwrap();
        let without = String::from_utf8(NOT_FOUND.to_bytes(true)).unwrap();
        assert_eq!(with, format!("{without}{}\n", NOT_FOUND.text));
    }

    #[test]
    fn origins_are_held_against_the_list() {
        let some = settings(&[("LIVE_WS_ALLOWED_ORIGINS", "https://a.example, https://b.example:8443")]);
        for (origin, fits) in [
            ("https://a.example", true),
            ("https://B.example:8443", true),
            ("https://b.example", false),
            ("https://a.example.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(check(&head(&[("origin", origin)]), &some).is_ok(), fits, "{origin}");
            assert!(check(&head(&[("origin", origin)]), &settings(&[])).is_ok());
        }
        assert!(check(&head(&[]), &some).is_ok());
    }
}
