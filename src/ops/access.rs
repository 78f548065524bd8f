//! Who may ask for what: the `Host` of a request, tokens, web pages, proxies. Looks at heads only.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use subtle::ConstantTimeEq as _;

use super::problem::Problem;
use crate::settings::OpsSettings;

/// Where posts go.
pub(super) const POSITIONS: &str = "/positions";

/// What proxies add: whoever sends one of these is not on this machine, or cannot be told from those who are not.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"];

/// Looks at the head of a request, before any of its body is read.
///
/// # Errors
/// A [`Problem`] if there is no need to read more.
pub(super) fn check(head: &RequestHead, settings: &OpsSettings) -> Result<(), Problem> {
    check_host(head, settings)?;
    if is_post(head) {
        authorize(head, settings)?;
        check_body(head, settings)?;
    }
    Ok(())
}

/// True for a post of positions.
pub(super) fn is_post(head: &RequestHead) -> bool {
    head.method == Method::POST && head.uri.path() == POSITIONS
}

/// The connections' list is not for other sites' pages.
///
/// # Errors
/// A [`Problem`] if one asks.
pub(super) fn check_page(head: &RequestHead) -> Result<(), Problem> {
    let site = HeaderName::from_static("sec-fetch-site");
    let is_cross_site = text(head, &site).is_some_and(|site| site == "cross-site");
    // Pages are not served here over anything but plain HTTP, nor through TLS proxies that change the host.
    let is_own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| text(head, &header::HOST).is_some_and(|own| own.eq_ignore_ascii_case(host)))
    };
    let is_foreign =
        head.headers.contains_key(header::ORIGIN) && !text(head, &header::ORIGIN).is_some_and(is_own);
    if is_cross_site || is_foreign {
        let message = "connections are not shown to pages of other sites";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", message));
    }
    Ok(())
}

/// A name that someone made point to a loopback address (DNS rebinding) is a web page's way in.
fn check_host(head: &RequestHead, settings: &OpsSettings) -> Result<(), Problem> {
    if !settings.host.is_loopback() {
        return Ok(());
    }
    // An address in the request line stands for the header (RFC 9112 section 3.2.2).
    let is_known = |authority: &str| is_known_host(authority, &settings.allowed_hosts);
    let line = head.uri.authority().is_none_or(|authority| is_known(authority.as_str()));
    let header = head.headers.get_all(header::HOST).all(|host| host.to_str().is_ok_and(is_known));
    if line && header {
        return Ok(());
    }
    let message = "the Host must be localhost or a loopback address while OPS_HOST is one; OPS_ALLOWED_HOSTS \
                   names others";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-host", message))
}

/// `authority` is a host, perhaps with a port.
fn is_known_host(authority: &str, allowed: &[String]) -> bool {
    let authority = authority.trim_ascii();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host.is_empty()
        || host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || allowed.contains(&host)
}

fn authorize(head: &RequestHead, settings: &OpsSettings) -> Result<(), Problem> {
    let Some(token) = &settings.ingest_token else {
        // A browser on this machine can be made to post by any page it shows, but then it says for which. A proxy on
        // this machine may speak for anyone.
        let is_foreign = head.headers.contains_key(header::ORIGIN)
            || FORWARDING.iter().any(|name| head.headers.contains_key(*name));
        if settings.host.is_loopback() && !is_foreign {
            return Ok(());
        }
        let message = "set OPS_INGEST_TOKEN: without it positions are taken on a loopback address only, and neither \
                       from web pages nor through proxies";
        return Err(Problem::new(StatusCode::FORBIDDEN, "ingest-closed", message));
    };
    let given = head.headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    if given.is_some_and(|given| given.ct_eq(token.reveal().as_bytes()).into()) {
        return Ok(());
    }
    let message = "send the header Authorization: Bearer <OPS_INGEST_TOKEN>";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with("WWW-Authenticate", "Bearer"))
}

/// The token of an `Authorization` header; the scheme may be written in any case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

fn check_body(head: &RequestHead, settings: &OpsSettings) -> Result<(), Problem> {
    let encoding = head.headers.get(header::CONTENT_ENCODING);
    let is_plain = |encoding: &[u8]| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    if !encoding.is_none_or(|encoding| is_plain(encoding.as_bytes().trim_ascii())) {
        let message = "the body must not be compressed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", message));
    }
    let length =
        text(head, &header::CONTENT_LENGTH).and_then(|length| length.trim_ascii().parse::<u64>().ok());
    if length.is_some_and(|length| length > settings.max_body_bytes as u64) {
        return Err(too_large(settings.max_body_bytes));
    }
    Ok(())
}

/// A body has more than `limit` bytes.
pub(super) fn too_large(limit: usize) -> Problem {
    let message = format!("the body must have at most {limit} bytes; post it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
}

fn text<'a>(head: &'a RequestHead, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_addresses_are_known() {
        let allowed = ["ops.example.org".to_owned()];
        for host in [
            "localhost",
            "LocalHost:9090",
            "a.localhost",
            "localhost.",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:9090",
            "[::ffff:127.0.0.1]",
            "Ops.Example.org:1",
            "",
        ] {
            assert!(is_known_host(host, &allowed), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "10.0.0.1",
            "[::2]",
            "127.0.0.1.nip.io",
            "0.0.0.0",
            "example.org",
            "x@localhost",
        ] {
            assert!(!is_known_host(host, &allowed), "{host}");
        }
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
