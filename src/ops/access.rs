//! Who may ask the ops server: the `Host` that a request names, and web pages of other sites. Looks at heads only.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};

use crate::http::Problem;
use crate::http::head::text;
use crate::ingest::BearerToken;
use crate::settings::OpsSettings;

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

/// Looks for the token that a path has of its own, if it has one.
///
/// # Errors
/// A [`Problem`] if it is not sent.
pub(super) fn check_token(head: &RequestHead, token: &Option<BearerToken>) -> Result<(), Problem> {
    token.as_ref().map_or(Ok(()), |token| token.check(head))
}

/// Looks at the `Host`: a name that someone made point to a loopback address (DNS rebinding) is a web page's way in.
///
/// # Errors
/// A [`Problem`] if it is none that this server is known by.
pub(super) fn check_host(head: &RequestHead, settings: &OpsSettings) -> Result<(), Problem> {
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
}
