//! `LiveGate`, `PostGate`, `PageGate`: what the authenticator says, in the words of the live server, of ingest and of the web server.

use std::sync::Arc;

#[cfg(feature = "ui")]
use futures_util::future::BoxFuture;

use crate::auth::{Authenticator, Check, Refused, Shown};
use crate::domain::{ClientNetwork, Credentials, NotIdentified, Principal, Timestamp, Topic};
use crate::ingest::{Checked, Grant, Reporters};
use crate::live::{self, Identified};
#[cfg(feature = "ui")]
use crate::web::Visitors;

/// Who may connect, and what he may read.
pub(super) struct LiveGate(pub(super) Arc<Authenticator>);

/// Who may post.
pub(super) struct PostGate(pub(super) Arc<Authenticator>);

/// Who may see the page.
#[cfg(feature = "ui")]
pub(super) struct PageGate(pub(super) Arc<Authenticator>);

impl live::Authority for LiveGate {
    fn identify(&self, credentials: Credentials, stranger: Option<ClientNetwork>) -> Identified {
        let shown = stranger.map_or(Shown::OnRenewal, Shown::OnArrival);
        match self.0.check(credentials, shown) {
            Check::Done(result) => Identified::Done(result.map_err(not_identified)),
            Check::Later(result) => {
                Identified::Later(Box::pin(async { result.await.map_err(not_identified) }))
            }
        }
    }

    fn is_revoked(&self, principal: &Principal) -> bool {
        self.0.is_revoked(principal)
    }

    fn may_read(&self, principal: &Principal, topic: &Topic) -> bool {
        self.0.may_read(principal, topic)
    }

    fn other_subject(&self) {
        self.0.count(&Refused::OtherSubject);
    }
}

impl Reporters for PostGate {
    fn identify(&self, credentials: Credentials, from: ClientNetwork) -> Result<Checked, NotIdentified> {
        match self.0.check(credentials, Shown::InRequest(from)) {
            Check::Done(result) => Ok(Checked::Granted(Grant::Of(result.map_err(not_identified)?))),
            Check::Later(result) => {
                Ok(Checked::Later(Box::pin(async { result.await.map(Grant::Of).map_err(not_identified) })))
            }
        }
    }

    fn look_again(&self, principal: &Principal) -> Result<(), NotIdentified> {
        if principal.has_ended(Timestamp::now()) {
            return Err(NotIdentified::Expired);
        }
        if self.0.is_revoked(principal) { Err(NotIdentified::Forbidden) } else { Ok(()) }
    }
}

#[cfg(feature = "ui")]
impl Visitors for PageGate {
    fn check(
        &self,
        credentials: Credentials,
        from: ClientNetwork,
    ) -> BoxFuture<'static, Result<(), NotIdentified>> {
        let check = self.0.check(credentials, Shown::InRequest(from));
        Box::pin(async {
            let result = match check {
                Check::Done(result) => result,
                Check::Later(result) => result.await,
            };
            result.map(drop).map_err(not_identified)
        })
    }
}

fn not_identified(refused: Refused) -> NotIdentified {
    match refused {
        Refused::Missing => NotIdentified::Missing,
        Refused::Expired => NotIdentified::Expired,
        Refused::Revoked | Refused::Forbidden => NotIdentified::Forbidden,
        Refused::Unavailable(_) => NotIdentified::Unavailable,
        _ => NotIdentified::Refused,
    }
}
