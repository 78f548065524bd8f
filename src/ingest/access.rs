//! `Access`: who may post, decided by the head of a request; `BearerToken`: whoever has the token.

use actix_web::dev::RequestHead;
use actix_web::http::{StatusCode, header};
use subtle::ConstantTimeEq as _;

use crate::http::Problem;
use crate::settings::Secret;

/// What proxies add: whoever sends one of these is not on this machine, or cannot be told from those who are not.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"];

/// Who may post.
pub trait Access: 'static {
    /// Looks at the head of a post, before any of its body is read.
    ///
    /// # Errors
    /// A [`Problem`] with the response if it may not.
    fn check(&self, head: &RequestHead) -> Result<(), Problem>;
}

/// Whoever sends a token (RFC 6750). Where none is set, only programs on this machine, and only if the server listens on a
/// loopback address.
pub struct BearerToken {
    /// The token, if one is set.
    pub token: Option<Secret>,
    /// The setting it comes from, as responses name it.
    pub setting: &'static str,
    /// True if the server listens on a loopback address.
    pub is_loopback: bool,
}

impl Access for BearerToken {
    fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        match &self.token {
            Some(token) => self.check_token(head, token),
            None => self.check_local(head),
        }
    }
}

impl BearerToken {
    fn check_token(&self, head: &RequestHead, token: &Secret) -> Result<(), Problem> {
        let given = head.headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        if given.is_some_and(|given| given.ct_eq(token.reveal().as_bytes()).into()) {
            return Ok(());
        }
        let message = format!("send the header Authorization: Bearer <{}>", self.setting);
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        Err(problem.with_header("WWW-Authenticate", "Bearer"))
    }

    fn check_local(&self, head: &RequestHead) -> Result<(), Problem> {
        // A browser on this machine can be made to post by any page it shows, but then it says for which. A proxy on
        // this machine may speak for anyone.
        let is_foreign = head.headers.contains_key(header::ORIGIN)
            || FORWARDING.iter().any(|name| head.headers.contains_key(*name));
        if self.is_loopback && !is_foreign {
            return Ok(());
        }
        let message = format!(
            "set {}: without it positions are taken on a loopback address only, and neither from web pages nor through \
             proxies",
            self.setting
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "ingest-closed", message))
    }
}

/// The token of an `Authorization` header; the scheme may be written in any case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

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
