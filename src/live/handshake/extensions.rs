//! Which extension a handshake agrees to: reads `Sec-WebSocket-Extensions` (RFC 6455 section 9.1) and accepts an offer of
//! permessage-deflate (RFC 7692 section 7.1).

use std::fmt;

use crate::live::wire::deflate::Window;

/// The header that offers and accepts extensions.
pub(super) const HEADER: &str = "sec-websocket-extensions";

/// The header is not what its grammar allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Sec-WebSocket-Extensions is malformed")]
pub(super) struct Malformed;

/// permessage-deflate, as the server agrees to it.
///
/// The server compresses each message by itself, so that a frame can go to many; it asks clients to do the same, whether
/// they offered that or not (RFC 7692 section 7.1.1.2 allows it), so that no window is kept for any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// `server_max_window_bits`, if the client asked for it.
    asked: Option<Window>,
}

impl Accepted {
    /// The window that the client decompresses with.
    pub(super) fn window(self) -> Window {
        self.asked.unwrap_or(Window::FULL)
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("permessage-deflate; server_no_context_takeover; client_no_context_takeover")?;
        match self.asked {
            Some(window) => write!(to, "; server_max_window_bits={}", window.bits()),
            None => Ok(()),
        }
    }
}

/// The first offer that can be accepted, in the values of all headers of this name.
///
/// # Errors
/// [`Malformed`], also if it is behind an offer that could be accepted.
pub(super) fn negotiate<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Accepted>, Malformed> {
    let mut accepted = None;
    for value in values {
        let mut reader = Reader(value);
        loop {
            // A list may have empty elements (RFC 9110 section 5.6.1.2).
            while reader.takes(b',') {}
            if reader.is_at_end() {
                break;
            }
            let offer = reader.offer()?;
            accepted = accepted.or(offer);
            if !reader.takes(b',') && !reader.is_at_end() {
                return Err(Malformed);
            }
        }
    }
    Ok(accepted)
}

/// The parameters of an offer of permessage-deflate.
#[derive(Default)]
struct Parameters {
    seen: Vec<String>,
    window: Option<Window>,
}

impl Parameters {
    /// Notes a parameter. `None` if the offer must be declined for it (RFC 7692 section 7.1).
    fn note(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        if self.seen.iter().any(|seen| seen == name) {
            return None;
        }
        self.seen.push(name.to_owned());
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => Some(()),
            ("server_max_window_bits", Some(bits)) => {
                self.window = Some(Window::of(window_bits(bits)?)?);
                Some(())
            }
            // What it will keep to in any case. With or without a value, nothing has to be said to it.
            ("client_max_window_bits", None) => Some(()),
            ("client_max_window_bits", Some(bits)) => window_bits(bits).map(|_| ()),
            _ => None,
        }
    }
}

/// A decimal number from 8 to 15 without leading zeros (RFC 7692 section 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    value.parse().ok().filter(|bits| is_number && (8..=15).contains(bits))
}

/// What is left of a header's value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// An extension with its parameters; what is accepted of it, if anything is.
    fn offer(&mut self) -> Result<Option<Accepted>, Malformed> {
        let is_deflate = self.token()? == "permessage-deflate";
        let mut parameters = is_deflate.then(Parameters::default);
        while self.takes(b';') {
            let name = self.token()?;
            let value = if self.takes(b'=') { Some(self.value()?) } else { None };
            // One that cannot be accepted is read to its end, but no more looked at.
            parameters = parameters
                .and_then(|mut parameters| parameters.note(name, value.as_deref()).map(|()| parameters));
        }
        Ok(parameters.map(|parameters| Accepted { asked: parameters.window }))
    }

    fn skip_spaces(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.0.is_empty()
    }

    /// Takes this byte, if it is the next behind spaces.
    fn takes(&mut self, wanted: u8) -> bool {
        self.skip_spaces();
        match self.0.split_first() {
            Some((byte, rest)) if *byte == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A token (RFC 9110 section 5.6.2). Names of extensions and their parameters are compared as they are written.
    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_spaces();
        let length = self.0.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        if token.is_empty() { Err(Malformed) } else { std::str::from_utf8(token).map_err(|_| Malformed) }
    }

    /// A token, or one in quotes.
    fn value(&mut self) -> Result<String, Malformed> {
        if !self.takes(b'"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        loop {
            let (byte, rest) = match self.0 {
                [b'\\', byte, rest @ ..] => (*byte, rest),
                [b'"', rest @ ..] if !value.is_empty() => {
                    self.0 = rest;
                    return Ok(value);
                }
                [byte, rest @ ..] => (*byte, rest),
                [] => return Err(Malformed),
            };
            // Without its quotes it must be a token as well.
            if !is_token(byte) {
                return Err(Malformed);
            }
            value.push(char::from(byte));
            self.0 = rest;
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(values: &[&str]) -> Result<Option<String>, Malformed> {
        let accepted = negotiate(values.iter().map(|value| value.as_bytes()))?;
        Ok(accepted.map(|accepted| accepted.to_string()))
    }

    const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn what_is_offered_and_what_is_answered() {
        let with_bits = |bits| format!("{PLAIN}; server_max_window_bits={bits}");
        let (nine, ten, fifteen) = (with_bits(9), with_bits(10), with_bits(15));
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&[""], None),
            (&["permessage-deflate"], Some(PLAIN)),
            // Chrome, Firefox, Safari; Node's ws; Python's websockets.
            (&["permessage-deflate; client_max_window_bits"], Some(PLAIN)),
            (&["permessage-deflate; server_max_window_bits=15; client_max_window_bits=15"], Some(&fifteen)),
            (&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], Some(PLAIN)),
            (&["permessage-deflate;server_max_window_bits=9"], Some(&nine)),
            (
                &["permessage-deflate ; server_max_window_bits = \"10\" ; client_max_window_bits=8"],
                Some(&ten),
            ),
            (&[r#"permessage-deflate; server_max_window_bits="1\0""#], Some(&ten)),
            // The compressor has no window of 8 bits.
            (&["permessage-deflate; server_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], Some(PLAIN)),
            // Several offers, in one header and in several: the first that can be accepted.
            (&["x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=9"], Some(&nine)),
            (&["permessage-deflate; server_max_window_bits=10, permessage-deflate"], Some(&ten)),
            (&["permessage-bzip2; level=\"9\"", "permessage-deflate"], Some(PLAIN)),
            (&[", ,permessage-deflate,, x;y ,"], Some(PLAIN)),
            // Each of these declines its offer.
            (&["permessage-deflate; unknown"], None),
            (&["permessage-deflate; server_no_context_takeover; server_no_context_takeover"], None),
            (&["permessage-deflate; client_max_window_bits; client_max_window_bits=10"], None),
            (&["permessage-deflate; server_no_context_takeover=1"], None),
            (&["permessage-deflate; client_no_context_takeover=\"true\""], None),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; server_max_window_bits=16"], None),
            (&["permessage-deflate; server_max_window_bits=7"], None),
            (&["permessage-deflate; server_max_window_bits=09"], None),
            (&["permessage-deflate; server_max_window_bits=+9"], None),
            (&["permessage-deflate; server_max_window_bits=265"], None),
            (&["permessage-deflate; client_max_window_bits=16"], None),
            (&["permessage-deflate; client_max_window_bits=010"], None),
            (&["Permessage-Deflate"], None),
            (&["permessage-deflate; Server_max_window_bits=9"], None),
            (&["permessage-deflate-frame"], None),
        ];
        for (offered, answered) in cases {
            assert_eq!(negotiated(offered).unwrap().as_deref(), *answered, "{offered:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for offered in [
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"b",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate; a=\"b\\",
            "permessage-deflate server_no_context_takeover",
            "permessage deflate",
            "permessage-deflate, x; y z",
            "; a",
            "\"permessage-deflate\"",
            "permessage-deflate; a=b=c",
            "perm\u{e4}ssage-deflate",
        ] {
            assert_eq!(negotiated(&[offered]), Err(Malformed), "{offered}");
            assert_eq!(negotiated(&["permessage-deflate", offered]), Err(Malformed), "{offered}");
        }
    }
}
