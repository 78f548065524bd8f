//! The opening handshake: what is asked of a client before it becomes a connection (RFC 6455 section 4.2.1).

use std::net::{IpAddr, SocketAddr};

use actix_http::header::{self, HeaderMap, HeaderName};
use actix_http::{Method, RequestHead, StatusCode, Version, ws};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

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

    /// The whole answer as HTTP/1.1, after which the socket is closed.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { status, header, text, .. } = self;
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let length = text.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{text}\n"
        )
        .into_bytes()
    }
}

/// A plain HTTP request.
pub(crate) const NOT_FOUND: Refusal =
    Refusal::new(StatusCode::NOT_FOUND, "only WebSocket upgrades are served here", "not_websocket");
/// The server drains.
pub(crate) const DRAINING: Refusal =
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "server shutting down", "draining")
        .with("Retry-After", RETRY_AFTER);
/// The limit of connections in all is reached.
pub(crate) const SERVER_FULL: Refusal =
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections", "server_full")
        .with("Retry-After", RETRY_AFTER);
/// The limit of connections from one address is reached.
pub(crate) const ADDRESS_FULL: Refusal =
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many connections from this address", "address_full")
        .with("Retry-After", RETRY_AFTER);
const ORIGIN: Refusal = Refusal::new(StatusCode::FORBIDDEN, "this origin is not allowed", "origin");
const METHOD: Refusal =
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET", "handshake")
        .with("Allow", "GET");
const VERSION: Refusal =
    Refusal::new(StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13", "handshake")
        .with("Sec-WebSocket-Version", "13");
const HTTP: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "a WebSocket handshake is HTTP/1.1", "handshake");
const UPGRADE: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "Upgrade must hold the token websocket", "handshake");
const CONNECTION: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "Connection must hold the token Upgrade", "handshake");
const KEY: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64, once", "handshake");

/// Checks a handshake and returns the answer to it: the head of a 101 response.
pub(crate) fn check(head: &RequestHead, settings: &LiveSettings) -> Result<Vec<u8>, Refusal> {
    let headers = head.headers();
    if !has_token(headers, &header::UPGRADE, "websocket") {
        // Without any sign of a WebSocket it is just a request to the wrong port.
        let meant = headers.contains_key(header::UPGRADE) || headers.contains_key(header::SEC_WEBSOCKET_KEY);
        return Err(if meant { UPGRADE } else { NOT_FOUND });
    }
    if head.method != Method::GET {
        return Err(METHOD);
    }
    if head.version != Version::HTTP_11 {
        return Err(HTTP);
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(CONNECTION);
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(VERSION);
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).ok_or(KEY)?;
    if STANDARD.decode(key).map_or(true, |bytes| bytes.len() != 16) {
        return Err(KEY);
    }
    check_origin(headers, &settings.allowed_origins)?;
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: "
        .to_vec();
    answer.extend_from_slice(&ws::hash_key(key.as_bytes()));
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(answer)
}

/// A browser says where its page came from; other clients send no `Origin`, and are not kept out by this.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    if allowed.is_empty() || !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = single(headers, &header::ORIGIN).ok_or(ORIGIN)?;
    if allowed.iter().any(|one| one.eq_ignore_ascii_case(origin)) { Ok(()) } else { Err(ORIGIN) }
}

/// The header's value if it is there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() { None } else { Some(value.trim()) }
}

/// True if `token` is one of the header's comma-separated values.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// True for a proxy that speaks for others.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Who the client is: the peer; or, if the peer is a trusted proxy, the last address in `X-Forwarded-For` that is
/// none (each proxy appends the one it saw, so what stands before it is the client's own word).
pub(crate) fn remote(head: &RequestHead, peer: SocketAddr, trusted: &[IpNet]) -> SocketAddr {
    if !is_trusted(peer.ip(), trusted) {
        return peer;
    }
    let headers: Vec<_> = head.headers().get_all(header::X_FORWARDED_FOR).collect();
    let hops =
        headers.iter().rev().filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(','));
    let mut remote = peer;
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        remote = SocketAddr::new(address, 0);
        if !is_trusted(address, trusted) {
            break;
        }
    }
    remote
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::header::HeaderValue;

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
    fn head(changes: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::default(); // GET, HTTP/1.1
        let kept = GOOD.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        for (name, value) in kept.chain(changes).filter(|(_, value)| !value.is_empty()) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        head
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
        ];
        for (changes, refusal) in cases {
            assert_eq!(check(&head(changes), &settings(&[])), Err(*refusal), "{changes:?}");
        }
        let mut post = head(&[]);
        post.method = Method::POST;
        assert_eq!(check(&post, &settings(&[])), Err(METHOD));
        let mut old = head(&[]);
        old.version = Version::HTTP_10;
        assert_eq!(check(&old, &settings(&[])), Err(HTTP));
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

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let trusted = settings(&[("LIVE_WS_TRUSTED_PROXIES", "10.0.0.0/8")]).trusted_proxies;
        let proxy: SocketAddr = "10.0.0.1:5000".parse().unwrap();
        let stranger: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let forwarded = |value| head(&[("x-forwarded-for", value)]);
        let seen = |head: &RequestHead, peer| remote(head, peer, &trusted).to_string();
        assert_eq!(seen(&forwarded("198.51.100.7"), stranger), "192.0.2.1:5000");
        assert_eq!(seen(&forwarded("198.51.100.7"), proxy), "198.51.100.7:0");
        assert_eq!(seen(&forwarded("1.2.3.4, 198.51.100.7, 10.2.2.2"), proxy), "198.51.100.7:0");
        assert_eq!(seen(&forwarded("198.51.100.7, nonsense"), proxy), "10.0.0.1:5000");
        assert_eq!(seen(&head(&[]), proxy), "10.0.0.1:5000");
    }
}
