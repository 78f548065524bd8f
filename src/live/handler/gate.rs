//! `Gate`: who may come in: what the live server asks of whoever knows credentials, and what becomes of the answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::message_handler::{Admitted, Decision, Denied};
use crate::domain::{ClientNetwork, Credentials, NotIdentified, Principal, Topic};
use crate::live::client::{Awaited, Identity, Subjects, UnknownPlace, UnknownPlaces, Unwelcome};
use crate::live::wire::close::{self, CloseReason};
use crate::live::wire::credentials;
use crate::live::wire::opening::Opening;
use crate::settings::LiveSettings;

/// Whoever knows credentials.
pub trait Authority: Send + Sync + 'static {
    /// Says who shows these. `stranger`: where someone is who is not known yet; `None`: it is a client that is known.
    fn identify(&self, credentials: Credentials, stranger: Option<ClientNetwork>) -> Identified;

    /// True if the principal's token was revoked.
    fn is_revoked(&self, principal: &Principal) -> bool;

    /// True if the principal may read a topic now.
    fn may_read(&self, principal: &Principal, topic: &Topic) -> bool;

    /// Is told that a good token came on a connection of another subject.
    fn other_subject(&self);
}

/// What credentials come to.
pub enum Identified {
    /// It is known.
    Done(Result<Arc<Principal>, NotIdentified>),
    /// It will be. The future may be dropped, and ends in bounded time.
    Later(BoxFuture<'static, Result<Arc<Principal>, NotIdentified>>),
}

/// Who may come in.
pub struct Gate {
    authority: Arc<dyn Authority>,
    cookie: Option<String>,
    are_origins_checked: bool,
    deadline: Duration,
    subjects: Arc<Subjects>,
    unknown: Arc<UnknownPlaces>,
}

/// How a connection ends because of it.
pub(super) fn close_reason(why: NotIdentified) -> CloseReason {
    match why {
        NotIdentified::Missing => close::TOKEN_MISSING,
        NotIdentified::Expired => close::TOKEN_EXPIRED,
        NotIdentified::Refused => close::UNAUTHORIZED,
        NotIdentified::Forbidden => close::FORBIDDEN,
        NotIdentified::Unavailable => close::TRY_AGAIN_LATER,
    }
}

impl Gate {
    /// Asks `authority`; credentials may come in this `cookie`, or in a message within `deadline`. `settings` are the live
    /// server's.
    pub fn new(
        authority: Arc<dyn Authority>,
        cookie: Option<String>,
        deadline: Duration,
        settings: &LiveSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            authority,
            cookie,
            are_origins_checked: !settings.allowed_origins.is_empty(),
            deadline,
            subjects: Subjects::new(settings.max_connections_per_subject),
            // The others are for those who are known.
            unknown: UnknownPlaces::new(settings.max_connections.div_ceil(4)),
        })
    }

    /// Decides about a client that wants to connect. One whose credentials are not accepted gets its connection and is then told so:
    /// a browser cannot read a handshake that was refused.
    pub(super) fn admit(&self, opening: &Opening, from: ClientNetwork) -> Decision<'_> {
        let mut credentials = credentials::of(opening, self.cookie.as_deref());
        // What browsers send by themselves for whatever page connects, as they do a cookie.
        if !self.are_origins_checked && opening.has("origin") && !credentials.is_bearer() {
            credentials.authorization = None;
        }
        if credentials.is_empty() {
            return Decision::Now(self.awaited());
        }
        match self.authority.identify(credentials, Some(from)) {
            Identified::Done(result) => Decision::Now(self.decide(result)),
            Identified::Later(result) => Decision::Later(Box::pin(async { self.decide(result.await) })),
        }
    }

    fn decide(&self, result: Result<Arc<Principal>, NotIdentified>) -> Result<Admitted, Denied> {
        match result {
            Ok(principal) => self.place(principal).map(Admitted::Known).ok_or(Denied::SubjectFull),
            Err(NotIdentified::Unavailable) => Err(Denied::Unavailable),
            // Such as `Authorization: Basic`, which is for a proxy.
            Err(NotIdentified::Missing) => self.awaited(),
            // Such a one takes no place of those who are known, as anybody can make up a token.
            Err(error) => {
                Ok(Admitted::Refused(Unwelcome { reason: close_reason(error), place: self.unknown()? }))
            }
        }
    }

    /// The client has to say who it is, unless too many have to already.
    fn awaited(&self) -> Result<Admitted, Denied> {
        Ok(Admitted::Awaited(Awaited { limit: self.deadline, _place: self.unknown()? }))
    }

    /// A place among those who are not known.
    fn unknown(&self) -> Result<UnknownPlace, Denied> {
        self.unknown.claim().ok_or(Denied::TooManyUnknown)
    }

    /// Who someone is, with a place among the connections of the subject, if there is one.
    pub(super) fn place(&self, principal: Arc<Principal>) -> Option<Identity> {
        let place = self.subjects.claim(&principal.subject)?;
        Some(Identity { principal, _place: place })
    }

    pub(super) fn authority(&self) -> &dyn Authority {
        &*self.authority
    }
}
