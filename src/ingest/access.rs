//! `Access`: who may post, and for which devices, decided by the head of a request; `TokenAccess`: whoever has one of the tokens.

use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::{StatusCode, header};
use futures_util::future::BoxFuture;

use super::bearer::{self, BearerToken};
use crate::domain::{ClientNetwork, Credentials, NotIdentified, Position, Principal};
use crate::http::{Problem, head as http_head};

/// Who may post.
pub trait Access: 'static {
    /// Looks at the head of a post, before any of its body is read.
    ///
    /// # Errors
    /// A [`Problem`] with the response if it may not.
    fn check(&self, head: &RequestHead) -> Result<Checked, Problem>;

    /// Looks again before anything is stored: the body may have taken minutes. As provided, all is as it was.
    ///
    /// # Errors
    /// A [`Problem`] with the response if it may not any more.
    fn look_again(&self, grant: &Grant) -> Result<(), Problem> {
        let _ = grant;
        Ok(())
    }
}

/// A post may go on.
pub enum Checked {
    /// With this.
    Granted(Grant),
    /// Somebody must be asked. The future may be dropped, and ends in bounded time.
    Later(BoxFuture<'static, Result<Grant, NotIdentified>>),
}

/// For which devices a post may report.
#[derive(Clone, Debug)]
pub enum Grant {
    /// All.
    Every,
    /// Those that its token names.
    Of(Arc<Principal>),
}

/// Whoever knows the tokens of those who report.
pub trait Reporters: Send + Sync + 'static {
    /// Says for which devices whoever shows these, and is there, may report.
    ///
    /// # Errors
    /// [`NotIdentified`] if it may for none.
    fn identify(&self, credentials: Credentials, from: ClientNetwork) -> Result<Checked, NotIdentified>;

    /// Looks again at one of them.
    ///
    /// # Errors
    /// [`NotIdentified`] if its token has ended or was revoked.
    fn look_again(&self, principal: &Principal) -> Result<(), NotIdentified>;
}

/// Whoever sends the operator's token may report for every device, whoever sends a token of `reporters` for those that it names.
/// Where the operator has set none, programs on this machine may do without.
pub struct TokenAccess {
    /// The operator's.
    pub operator: BearerToken,
    /// `None`: there are no others.
    pub reporters: Option<Arc<dyn Reporters>>,
}

impl Access for TokenAccess {
    fn check(&self, head: &RequestHead) -> Result<Checked, Problem> {
        let Some(reporters) = &self.reporters else {
            return self.operator.check(head).map(|()| Checked::Granted(Grant::Every));
        };
        if self.operator.is_sent(head) {
            return Ok(Checked::Granted(Grant::Every));
        }
        let authorization = http_head::text(head, &header::AUTHORIZATION).filter(|value| !value.is_empty());
        if let Some(authorization) = authorization {
            let credentials = Credentials {
                authorization: Some(authorization.to_owned()),
                path: head.uri.path().to_owned(),
                ..Credentials::default()
            };
            return Ok(reporters.identify(credentials, http_head::peer(head).into())?);
        }
        if self.operator.token.is_none() && self.operator.check_local(head).is_ok() {
            return Ok(Checked::Granted(Grant::Every));
        }
        let message = format!(
            "send the header Authorization: Bearer with a token whose claim devices names what it reports for, or with {}",
            self.operator.setting
        );
        Err(bearer::unauthorized(message))
    }

    fn look_again(&self, grant: &Grant) -> Result<(), Problem> {
        match (grant, &self.reporters) {
            (Grant::Of(principal), Some(reporters)) => Ok(reporters.look_again(principal)?),
            _ => Ok(()),
        }
    }
}

impl Grant {
    /// Looks at what is reported.
    ///
    /// # Errors
    /// A [`Problem`] that names the first record that may not be.
    pub(super) fn check(&self, positions: &[Position]) -> Result<(), Problem> {
        let Self::Of(principal) = self else { return Ok(()) };
        let is_foreign = |position: &Position| !principal.may_report(&position.device_id);
        let Some(index) = positions.iter().position(is_foreign) else { return Ok(()) };
        let message =
            format!("the token does not allow reports of device {:?}", &*positions[index].device_id);
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message).with_record(index, "device_id"))
    }
}

impl From<NotIdentified> for Problem {
    fn from(why: NotIdentified) -> Self {
        match why {
            NotIdentified::Missing | NotIdentified::Refused => {
                bearer::unauthorized("the token is not accepted")
            }
            NotIdentified::Expired => bearer::unauthorized("the token has expired"),
            NotIdentified::Forbidden => {
                let message = "the token was revoked, or allows nothing";
                Self::new(StatusCode::FORBIDDEN, "forbidden", message)
            }
            NotIdentified::Unavailable => {
                let message = "tokens cannot be checked now; post it again later";
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "auth-unavailable", message);
                problem.with_header("Retry-After", "1")
            }
        }
    }
}
