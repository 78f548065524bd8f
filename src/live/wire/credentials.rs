//! What a handshake says of who asks: a header, a cookie, or a subprotocol. Never the query: that is logged everywhere.

use super::opening::Opening;
use crate::domain::{self, Credentials};

/// The subprotocol behind which browsers, which can set no header, give a token: `bearer, <token>`. The server answers with this
/// one, never with the token.
pub(crate) const SUBPROTOCOL: &str = "bearer";

/// What an opening shows; of cookies, the one of this name.
pub(crate) fn of(opening: &Opening, cookie: Option<&str>) -> Credentials {
    let target = String::from_utf8_lossy(opening.target()).into_owned();
    Credentials {
        authorization: opening.single("authorization").filter(|value| !value.is_empty()).map(str::to_owned),
        token: token(opening).map(str::to_owned),
        cookie: cookie.and_then(|name| self::cookie(opening, name)).map(str::to_owned),
        path: path(&target).to_owned(),
    }
}

/// The path of a request target, which may be a whole URL (RFC 9112 section 3.2.2).
fn path(target: &str) -> &str {
    let target = target.split('?').next().unwrap_or_default();
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    }
}

/// True if the client offers the subprotocol with a token behind it.
pub(crate) fn offers_token(opening: &Opening) -> bool {
    token(opening).is_some()
}

fn token(opening: &Opening) -> Option<&str> {
    let values = opening.all("sec-websocket-protocol").filter_map(|value| std::str::from_utf8(value).ok());
    let mut offered = values.flat_map(|value| value.split(',')).map(str::trim);
    offered.find(|protocol| *protocol == SUBPROTOCOL)?;
    offered.next().filter(|token| !token.is_empty())
}

/// The first cookie of a name.
fn cookie<'a>(opening: &'a Opening, name: &str) -> Option<&'a str> {
    let mut values = opening.all("cookie").filter_map(|value| std::str::from_utf8(value).ok());
    values.find_map(|value| domain::credentials::cookie(value, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(headers: &str) -> Opening {
        let head = format!("GET /live/x?token=query HTTP/1.1\r\n{headers}\r\n");
        Opening::parse(head.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn each_way_in_is_read() {
        let all = opening(
            "Authorization: Bearer a\r\nSec-WebSocket-Protocol: chat, bearer,b\r\nCookie: x=1; t=c; t=d\r\n",
        );
        let credentials = of(&all, Some("t"));
        assert_eq!(credentials.authorization.as_deref(), Some("Bearer a"));
        assert_eq!((credentials.token.as_deref(), credentials.cookie.as_deref()), (Some("b"), Some("c")));
        assert_eq!(credentials.path, "/live/x");
        assert!(of(&all, None).cookie.is_none() && offers_token(&all));
    }

    #[test]
    fn the_path_is_without_query_and_host() {
        for (target, is) in
            [("/a?b=c", "/a"), ("/", "/"), ("http://x/a?b", "/a"), ("http://x", "/"), ("*", "*")]
        {
            assert_eq!(path(target), is);
        }
    }

    #[test]
    fn what_is_none_is_none() {
        for headers in [
            "",
            "Authorization:\r\nAuthorization: Bearer a\r\n",
            "Sec-WebSocket-Protocol: bearer\r\n",
            "Sec-WebSocket-Protocol: bearer, \r\n",
            "Sec-WebSocket-Protocol: token, bearer\r\n",
            "Cookie: t\r\n",
            "Cookie: t=\r\n",
            "Cookie: tt=c\r\n",
        ] {
            let opening = opening(headers);
            assert!(of(&opening, Some("t")).is_empty() && !offers_token(&opening), "{headers:?}");
        }
        let several = opening("Sec-WebSocket-Protocol: bearer\r\nSec-WebSocket-Protocol: b\r\n");
        assert_eq!(of(&several, None).token.as_deref(), Some("b"));
    }
}
