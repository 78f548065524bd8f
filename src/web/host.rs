//! `Host`: the host under which a page was asked for, read from a request's head and checked character by character, as it
//! goes into a header of the response.

use std::net::Ipv6Addr;

use actix_web::dev::RequestHead;
use actix_web::http::header;

/// Longest name that DNS knows.
const MAX_LENGTH: usize = 255;

/// A name, an IPv4 address, or an IPv6 address in brackets; in lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(String);

impl Host {
    /// The host that a request names. An address in the request line stands for the header (RFC 9112 section 3.2.2).
    /// `None` if there is none, if there are several, or if it is no host.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        let mut headers = head.headers.get_all(header::HOST);
        let header = Self::parse(headers.next()?.to_str().ok()?)?;
        if headers.next().is_some() {
            return None;
        }
        match head.uri.authority() {
            Some(authority) => Self::parse(authority.as_str()),
            None => Some(header),
        }
    }

    /// Reads `uri-host [ ":" port ]`.
    pub(super) fn parse(authority: &str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
            }
            None => {
                let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
                if host.is_empty() || host.len() > MAX_LENGTH || !is_name {
                    return None;
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5;
        let is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        is_fine.then_some(Self(host))
    }

    /// As it stands in a URL.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
impl Host {
    /// For other files' tests.
    pub(super) fn new(authority: &str) -> Self {
        Self::parse(authority).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts_and_nothing_else_is() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("Map.Example.org:8080", "map.example.org"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[0:0::1]", "[::1]"),
            ("my_map", "my_map"),
            ("a.example.", "a.example."),
            ("a:", "a"),
        ] {
            assert_eq!(Host::parse(authority).unwrap().as_str(), host, "{authority}");
        }
        for bad in [
            "",
            ":8080",
            "a b",
            "a;script-src *",
            "a, b",
            "a\tb",
            "a'self'",
            "*",
            "*.example.org",
            "user@a",
            "a/b",
            "a?b",
            "http://a",
            "a:80:80",
            "a:8o",
            "a:123456",
            "[::1",
            "[::1]x",
            "[::1]:80 *",
            "[a]",
            "[::1%eth0]",
            "::1",
            "\u{e4}.example",
            &"a".repeat(256),
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
    }
}
