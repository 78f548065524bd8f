//! What is asked of a handshake before it becomes a connection (RFC 6455 section 4.2.1), and the 101 response to it.

use actix_http::ws;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::extensions;
use super::refusal::{
    BODY, CONNECTION, EXTENSIONS, HTTP, KEY, METHOD, NOT_FOUND, ORIGIN, Refusal, UPGRADE, VERSION,
};
use crate::live::wire::credentials;
use crate::live::wire::encoding::Encoding;
use crate::live::wire::opening::Opening;
use crate::settings::LiveSettings;

/// The 101 response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its head.
    pub(crate) head: Vec<u8>,
    /// What it agrees to.
    pub(crate) encoding: Encoding,
}

/// Checks a handshake and returns the 101 response to it.
///
/// Of subprotocols it names only the one behind which a token may come, also where nobody asks for one, as browsers fail a connection
/// whose offer is not taken up; and of extensions only permessage-deflate (RFC 6455 section 4.2.2).
pub(crate) fn check(opening: &Opening, settings: &LiveSettings) -> Result<Response, Refusal> {
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
    let deflate = match settings.deflate {
        true => extensions::negotiate(opening.all(extensions::HEADER)).map_err(|_| EXTENSIONS)?,
        false => None,
    };
    let mut head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: "
        .to_vec();
    head.extend_from_slice(&ws::hash_key(key.as_bytes()));
    if credentials::offers_token(opening) {
        head.extend_from_slice(
            format!("\r\nSec-WebSocket-Protocol: {}", credentials::SUBPROTOCOL).as_bytes(),
        );
    }
    if let Some(accepted) = deflate {
        head.extend_from_slice(format!("\r\nSec-WebSocket-Extensions: {accepted}").as_bytes());
    }
    head.extend_from_slice(b"\r\n\r\n");
    let encoding = deflate.map_or(Encoding::Json, |accepted| Encoding::Deflate(accepted.window()));
    Ok(Response { head, encoding })
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
    use crate::live::wire::deflate::Window;

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
    fn responds_to_the_example_of_the_rfc() {
        let response = String::from_utf8(check(&head(&[]), &settings(&[])).unwrap().head).unwrap();
        assert!(
            response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
            "{response}"
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
    fn a_token_behind_its_subprotocol_is_not_repeated() {
        let head = |offer| {
            let response = check(&head(&[("sec-websocket-protocol", offer)]), &settings(&[])).unwrap();
            String::from_utf8(response.head).unwrap()
        };
        let taken = head("bearer, s3cret");
        assert!(
            taken.contains("\r\nSec-WebSocket-Protocol: bearer\r\n") && !taken.contains("s3cret"),
            "{taken}"
        );
        assert!(!head("chat, bearer").contains("Sec-WebSocket-Protocol"));
    }

    #[test]
    fn compression_is_agreed_to_unless_a_setting_forbids_it() {
        let offers = head(&[("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=10")]);
        let (on, off) = (settings(&[]), settings(&[("LIVE_WS_DEFLATE", "false")]));
        let response = check(&offers, &on).unwrap();
        let text = String::from_utf8(response.head).unwrap();
        let line = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                    client_no_context_takeover; server_max_window_bits=10\r\n\r\n";
        assert!(text.ends_with(line), "{text}");
        assert_eq!(response.encoding, Encoding::Deflate(Window::of(10).unwrap()));
        assert_eq!(check(&offers, &off).unwrap(), check(&head(&[]), &on).unwrap());
        assert_eq!(check(&head(&[]), &on).unwrap().encoding, Encoding::Json);
        let malformed = head(&[("sec-websocket-extensions", "permessage-deflate;")]);
        assert_eq!(check(&malformed, &on), Err(EXTENSIONS));
        assert!(check(&malformed, &off).is_ok());
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
