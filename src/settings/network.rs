//! Kinds of settings that name hosts: addresses, networks, names, origins; and the header that proxies write.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::kind::{Choice, Kind};

/// An IP address to listen on.
pub(super) struct Address;

impl Kind for Address {
    type Value = IpAddr;

    fn allowed() -> String {
        "an IP address, such as 0.0.0.0, 127.0.0.1 or ::".into()
    }

    fn read(text: &str) -> Result<IpAddr, Vec<String>> {
        text.parse().map_err(|_| vec![text.to_owned()])
    }

    fn show(value: &IpAddr) -> String {
        value.to_string()
    }

    fn stand_in() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }
}

/// One part of a [`List`].
pub(super) trait Item {
    /// What it becomes.
    type Value: ToString;

    /// What is allowed, in the plural.
    const ALLOWED: &str;

    /// Reads one part; `None` if it is not allowed.
    fn read(part: &str) -> Option<Self::Value>;
}

/// Several of one kind in one text, with commas. Empty parts do not count.
pub(super) struct List<I>(PhantomData<I>);

impl<I: Item> Kind for List<I> {
    type Value = Vec<I::Value>;

    fn allowed() -> String {
        I::ALLOWED.into()
    }

    fn read(text: &str) -> Result<Self::Value, Vec<String>> {
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match I::read(part) {
                Some(value) => values.push(value),
                None => faults.push(part.to_owned()),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    fn show(value: &Self::Value) -> String {
        value.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    fn stand_in() -> Self::Value {
        Vec::new()
    }
}

/// An address or a network.
pub(super) struct Network;

impl Item for Network {
    type Value = IpNet;

    const ALLOWED: &str = "addresses or networks, such as 10.0.0.7 or 10.0.0.0/8";

    fn read(part: &str) -> Option<IpNet> {
        part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).ok()
    }
}

/// A host as a request names it, without a port.
pub(super) struct Host;

impl Item for Host {
    type Value = String;

    const ALLOWED: &str = "names or addresses without ports, such as ops.example.org";

    fn read(part: &str) -> Option<String> {
        let is_name = part.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        (is_name || part.parse::<IpAddr>().is_ok()).then(|| part.to_ascii_lowercase())
    }
}

/// An origin as browsers write it (RFC 6454 section 6.1): in lower case, without a default port.
pub(super) struct Origin;

impl Item for Origin {
    type Value = String;

    const ALLOWED: &str = "origins, such as https://example.org or http://localhost:3000: a scheme, a host (in ASCII) \
        and perhaps a port, without a path or wildcards";

    fn read(part: &str) -> Option<String> {
        let text = part.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
            _ => (rest, None),
        };
        if !is_host(host) || !consists_of(scheme, "+-.") {
            return None;
        }
        let port = port.filter(|port| Some(*port) != default_port(scheme));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{scheme}://{host}{port}"))
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => consists_of(host, "-._"),
    }
}

/// True if there is only ASCII letters, digits and `more` in `text`, and any at all.
fn consists_of(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// In which header trusted proxies name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// The one that is there; none, if both are and do not agree.
    Either,
    /// `X-Forwarded-For` only.
    XForwardedFor,
    /// `Forwarded` (RFC 7239) only.
    Forwarded,
}

impl Choice for ForwardedHeader {
    const ALL: &'static [Self] = &[Self::Either, Self::XForwardedFor, Self::Forwarded];
    const ALLOWED: &'static str = "x-forwarded-for, forwarded, or empty for either";

    fn name(self) -> &'static str {
        match self {
            Self::Either => "",
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}
