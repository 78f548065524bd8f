//! Reads a request's head: its headers, and where it is from.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::RequestHead;
use actix_web::http::header::HeaderName;

/// Where the peer is: a client, or a proxy that speaks for its clients.
pub(crate) fn peer(head: &RequestHead) -> IpAddr {
    head.peer_addr.map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip())
}

/// A header's value, if it is there and is text.
pub(crate) fn text<'a>(head: &'a RequestHead, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

/// All values of a header that is a list, in one, if it is there. What is no text is left out.
#[cfg(feature = "ui")]
pub(crate) fn list(head: &RequestHead, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = head.headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
