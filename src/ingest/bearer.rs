//! `BearerToken`: whoever sends a token may, or, where none is set, whoever is on this machine.

use actix_web::dev::RequestHead;
use actix_web::http::{StatusCode, header};
use subtle::ConstantTimeEq as _;

use crate::domain::credentials;
use crate::http::Problem;
use crate::settings::Secret;

/// What proxies add: whoever sends one of these is not on this machine, or cannot be told from those who are not.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"];

/// Whoever sends a token (RFC 6750). Where none is set, only programs on this machine, and only if the server listens on a
/// loopback address.
#[derive(Clone)]
pub struct BearerToken {
    /// The token, if one is set.
    pub token: Option<Secret>,
    /// The setting it comes from, as responses name it.
    pub setting: &'static str,
    /// What it is for, in the plural, as responses name it.
    pub what: &'static str,
    /// What programs know by that nothing is taken here, as no token is set.
    pub closed: &'static str,
    /// True if the server listens on a loopback address.
    pub is_loopback: bool,
}

impl BearerToken {
    /// Looks at the head of a request.
    ///
    /// # Errors
    /// A [`Problem`] with the response if it may not.
    pub fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        match &self.token {
            Some(_) if self.is_sent(head) => Ok(()),
            Some(_) => Err(self.unauthorized()),
            None => self.check_local(head),
        }
    }

    /// True if the token is set, and this request carries it.
    pub(super) fn is_sent(&self, head: &RequestHead) -> bool {
        // Compared in constant time.
        let is = |token: &Secret, given: &[u8]| given.ct_eq(token.reveal().as_bytes()).into();
        self.token.as_ref().zip(bearer(head)).is_some_and(|(token, given)| is(token, given))
    }

    fn unauthorized(&self) -> Problem {
        unauthorized(format!("send the header Authorization: Bearer <{}>", self.setting))
    }

    /// Whoever is on this machine may.
    pub(super) fn check_local(&self, head: &RequestHead) -> Result<(), Problem> {
        // A browser on this machine can be made to send by any page it shows, but then it says for which. A proxy on
        // this machine may speak for anyone.
        let is_foreign = head.headers.contains_key(header::ORIGIN)
            || FORWARDING.iter().any(|name| head.headers.contains_key(*name));
        if self.is_loopback && !is_foreign {
            return Ok(());
        }
        let message = format!(
            "set {}: without it {} are taken on a loopback address only, and neither from web pages nor through \
             proxies",
            self.setting, self.what
        );
        Err(Problem::new(StatusCode::FORBIDDEN, self.closed, message))
    }
}

/// A response that asks for a token (RFC 6750 section 3).
pub(super) fn unauthorized(message: impl Into<String>) -> Problem {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
    problem.with_header("WWW-Authenticate", "Bearer")
}

/// The token of a request.
pub(super) fn bearer(head: &RequestHead) -> Option<&[u8]> {
    head.headers.get(header::AUTHORIZATION).and_then(|value| credentials::bearer(value.as_bytes()))
}
