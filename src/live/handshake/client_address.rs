//! Works out a client's address, also behind trusted proxies: `X-Forwarded-For`, and `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::live::wire::opening::Opening;
use crate::settings::{ForwardedHeader, LiveSettings};

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// True for a proxy that speaks for others.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Who the client is: the peer; or, if the peer is a trusted proxy, the last address in the header that is none
/// (each proxy appends the one it saw, so what stands before it is the client's own word).
///
/// Proxies write one of the two headers and pass the other on as the client sent it. Where both are there, they do not
/// agree and no setting says which one is the proxies', neither is believed: the client counts as the proxy.
pub(crate) fn remote(opening: &Opening, peer: SocketAddr, settings: &LiveSettings) -> SocketAddr {
    let trusted = &settings.trusted_proxies;
    if !is_trusted(peer.ip(), trusted) {
        return peer;
    }
    let of_x_forwarded_for = || last_stranger(opening, X_FORWARDED_FOR, peer, trusted, address);
    let of_forwarded = || last_stranger(opening, FORWARDED, peer, trusted, forwarded_for);
    match settings.forwarded_header {
        ForwardedHeader::XForwardedFor => of_x_forwarded_for(),
        ForwardedHeader::Forwarded => of_forwarded(),
        ForwardedHeader::Either if !opening.has(FORWARDED) => of_x_forwarded_for(),
        ForwardedHeader::Either if !opening.has(X_FORWARDED_FOR) => of_forwarded(),
        ForwardedHeader::Either => {
            let (one, other) = (of_x_forwarded_for(), of_forwarded());
            if one.ip() == other.ip() { one } else { peer }
        }
    }
}

/// Walks from the last entry of the last header of this name to the first, until one is not a trusted proxy's or
/// cannot be read.
fn last_stranger(
    opening: &Opening,
    name: &str,
    peer: SocketAddr,
    trusted: &[IpNet],
    read: impl Fn(&str) -> Option<SocketAddr>,
) -> SocketAddr {
    let mut remote = peer;
    for value in opening.all(name).rev() {
        // What is not text cannot be an address either.
        let value = String::from_utf8_lossy(value);
        for entry in from_the_right(&value, ',') {
            let Some(address) = read(entry) else { return remote };
            remote = address;
            if !is_trusted(address.ip(), trusted) {
                return remote;
            }
        }
    }
    remote
}

/// The parts of `text` between `separator`s that are not in a quoted string, from the last to the first. Read from the
/// right, so that a quote which the client left open on the left cannot swallow what a proxy appended.
fn from_the_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        for (at, character) in text.char_indices().rev() {
            if character == '"' && !is_escaped(&text[..at]) {
                quoted = !quoted;
            } else if character == separator && !quoted {
                rest = Some(&text[..at]);
                return Some(text[at + separator.len_utf8()..].trim());
            }
        }
        rest = None;
        Some(text.trim())
    })
}

/// True if the character after `before` is escaped.
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The address in the one `for` parameter of an element of `Forwarded` (RFC 7239 section 4). `None` for those that
/// hide it (`unknown`, `_hidden`).
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    let mut nodes = from_the_right(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    let node = match node.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => node,
    };
    // A port may be hidden too: `192.0.2.1:_port`.
    match node.rsplit_once(":_") {
        Some((node, _)) => address(node),
        None => address(node),
    }
}

/// An address with or without port, of IPv6 also in brackets. The port is 0 where there is none.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some(SocketAddr::new(address, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1:5000";

    fn settings(header: &str) -> LiveSettings {
        let environment = [("LIVE_WS_TRUSTED_PROXIES", "10.0.0.0/8"), ("LIVE_WS_FORWARDED_HEADER", header)];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned()));
        crate::settings::Settings::from("/nonexistent".as_ref(), environment.into()).unwrap().live
    }

    fn seen(setting: &str, peer: &str, headers: &[(&str, &str)]) -> String {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        let (opening, _) = Opening::parse(head.as_bytes()).unwrap().unwrap();
        remote(&opening, peer.parse().unwrap(), &settings(setting)).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        for header in [("X-Forwarded-For", "198.51.100.7"), ("Forwarded", "for=198.51.100.7")] {
            assert_eq!(seen("", "192.0.2.1:5000", &[header]), "192.0.2.1:5000");
            assert_eq!(seen("", PROXY, &[header]), "198.51.100.7:0");
        }
        assert_eq!(seen("", PROXY, &[]), PROXY);
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right_with_and_without_ports() {
        for (value, expected) in [
            ("198.51.100.7", "198.51.100.7:0"),
            ("198.51.100.7:1234", "198.51.100.7:1234"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:1234", "[2001:db8::1]:1234"),
            ("1.2.3.4, 198.51.100.7, 10.2.2.2", "198.51.100.7:0"),
            ("1.2.3.4, 198.51.100.7:80 ,10.2.2.2:443", "198.51.100.7:80"),
            ("nonsense, 198.51.100.7", "198.51.100.7:0"),
            ("198.51.100.7, nonsense", PROXY),
            ("198.51.100.7,", PROXY),
            ("[198.51.100.7]", PROXY),
            ("198.51.100.7:x", PROXY),
        ] {
            assert_eq!(seen("", PROXY, &[("X-Forwarded-For", value)]), expected, "{value}");
        }
        let lines = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "198.51.100.7, 10.2.2.2")];
        assert_eq!(seen("", PROXY, &lines), "198.51.100.7:0");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:0"),
            ("proto=http;FOR=\"192.0.2.60\"", "192.0.2.60:0"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=\"[2001:db8:cafe::17]\"", "[2001:db8:cafe::17]:0"),
            ("for=\"192.0.2.60:_port\"", "192.0.2.60:0"),
            ("for=1.2.3.4, for=192.0.2.60;host=\"a,b;for=6.6.6.6\", for=10.1.1.1", "192.0.2.60:0"),
            ("for=1.2.3.4;host=\"a\\\", for=6.6.6.6\"", "1.2.3.4:0"),
            ("for=192.0.2.60, for=unknown", PROXY),
            ("for=192.0.2.60, for=_hidden", PROXY),
            ("for=192.0.2.60, proto=http", PROXY),
            ("for=192.0.2.60;for=192.0.2.61", PROXY),
            // What the client sent stands on the left and cannot hide what the proxy appended.
            ("for=\"6.6.6.6, for=192.0.2.60", "192.0.2.60:0"),
            ("for=\"6.6.6.6, for=\"[2001:db8::1]\"", "[2001:db8::1]:0"),
            ("for=6.6.6.6\\, for=\"192.0.2.60\"", "192.0.2.60:0"),
        ] {
            assert_eq!(seen("", PROXY, &[("Forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_client_gains_nothing_by_sending_the_other_header() {
        let both = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")];
        assert_eq!(seen("x-forwarded-for", PROXY, &both), "192.0.2.1:0");
        assert_eq!(seen("forwarded", PROXY, &both), "192.0.2.2:0");
        assert_eq!(seen("", PROXY, &both), PROXY);
        let same = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=\"192.0.2.1:80\"")];
        assert_eq!(seen("", PROXY, &same), "192.0.2.1:0");
        assert_eq!(seen("forwarded", PROXY, &both[..1]), PROXY);
        assert_eq!(seen("x-forwarded-for", PROXY, &both[1..]), PROXY);
    }
}
