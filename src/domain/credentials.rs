//! `Credentials`: what someone shows to say who it is.

use std::fmt;

/// The longest token that is looked at, in bytes. In a handshake it shares 8 KiB with the rest of the head.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// What someone shows to say who it is. Never printed.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// A token that came in another way: as a subprotocol, or in a message.
    pub token: Option<String>,
    /// The value of the cookie that a setting names.
    pub cookie: Option<String>,
    /// The path that was asked for, without its query.
    pub path: String,
}

impl Credentials {
    /// A token by itself.
    pub fn of_token(token: &str) -> Self {
        Self { token: Some(token.to_owned()), path: "/".to_owned(), ..Self::default() }
    }

    /// True if nothing was shown.
    pub fn is_empty(&self) -> bool {
        self.authorization.is_none() && self.token.is_none() && self.cookie.is_none()
    }

    /// True if there is an `Authorization: Bearer`, which no browser sends by itself.
    pub fn is_bearer(&self) -> bool {
        self.of_header().is_some()
    }

    /// The token among it: of `Authorization: Bearer`, else the one that came in another way, else the cookie.
    pub fn bearer(&self) -> Option<&str> {
        self.of_header().or(self.token.as_deref()).or(self.cookie.as_deref())
    }

    fn of_header(&self) -> Option<&str> {
        // What is cut out of text at ASCII bytes is text.
        std::str::from_utf8(bearer(self.authorization.as_deref()?.as_bytes())?).ok()
    }
}

/// The token of a header `Authorization: Bearer` (RFC 6750 section 2.1); the scheme may be written in any case (RFC 9110 section 11.1).
/// `None`: another scheme, or no token.
pub fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at(header.iter().position(|byte| *byte == b' ')?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

/// The value of a cookie in a header `Cookie` (RFC 6265 section 5.4); of several of one name, the first.
pub fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find(|(one, _)| *one == name).map(|(_, value)| value.trim_matches('"'));
    value.filter(|value| !value.is_empty())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_before_the_rest() {
        let mut credentials = Credentials::of_token("t");
        credentials.cookie = Some("c".into());
        assert_eq!(credentials.bearer(), Some("t"));
        for (header, bearer) in
            [("Bearer x y", "x y"), ("bEARER  x ", "x"), ("Basic x", "t"), ("Bearer", "t"), ("", "t")]
        {
            credentials.authorization = Some(header.into());
            assert_eq!(credentials.bearer(), Some(bearer), "{header}");
        }
        credentials.token = None;
        assert_eq!(credentials.bearer(), Some("c"));
        assert!(!credentials.is_empty() && Credentials::default().is_empty());
        assert_eq!(format!("{credentials:?}"), "Credentials(hidden)");
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        for value in ["Bearer x y", "bearer x y", "BEARER  x y "] {
            assert_eq!(bearer(value.as_bytes()), Some(b"x y".as_slice()), "{value}");
        }
        for value in ["", "Bearer", "Basic x", "Bearerx y"] {
            assert_eq!(bearer(value.as_bytes()), None, "{value}");
        }
    }
}
