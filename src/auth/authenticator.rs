//! `Authenticator`: credentials -> principal, whoever says who someone is; revocations are looked at here too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::error::AuthError;
use super::http::{Asked, Shown};
use super::jwt::Jwt;
use super::refused::Refused;
use super::revocations::Revocations;
use crate::domain::{Credentials, Principal, Revocation, Revoked, Timestamp, Topic};
use crate::metrics::AuthMetrics;
use crate::notice::Notices;
use crate::settings::{AuthSettings, Authority};

/// How far the clocks of instances may be apart: what one was answered is held against what another revoked.
const BETWEEN_INSTANCES: Duration = Duration::from_secs(1);

/// Says who someone is.
pub struct Authenticator {
    by: By,
    revocations: Revocations,
    metrics: Arc<AuthMetrics>,
    /// Of refusals, which strangers cause.
    notices: Mutex<Notices>,
    /// How far the clock of whoever issues tokens may be ahead of this one.
    skew: Duration,
    /// For how long a revocation has to be remembered; `None`: for ever.
    remember: Option<Duration>,
}

/// Who says it.
enum By {
    Jwt(Box<Jwt>),
    Asked(Box<Asked>),
}

/// What credentials come to.
pub enum Check {
    /// It is known.
    Done(Result<Arc<Principal>, Refused>),
    /// Somebody must be asked. May be dropped at any time; ends within the settings' time-out and a little.
    Later(BoxFuture<'static, Result<Arc<Principal>, Refused>>),
}

impl Authenticator {
    /// As the settings have it; `None` where nobody is asked who he is. Reads key files, asks nobody yet.
    ///
    /// # Errors
    /// [`AuthError`] if a key cannot be used.
    pub fn new(settings: &AuthSettings, metrics: Arc<AuthMetrics>) -> Result<Option<Arc<Self>>, AuthError> {
        let AuthSettings { authority, timeout, cookie, max_lifetime, .. } = settings;
        let (by, skew, longest) = match authority {
            Authority::Nobody => return Ok(None),
            Authority::Jwt(jwt) => {
                let longest = jwt.require_expiry.then_some(*max_lifetime);
                (By::Jwt(Box::new(Jwt::new(jwt, *max_lifetime, *timeout)?)), jwt.clock_skew, longest)
            }
            Authority::Http(url) => {
                let asked = Asked::new(url, cookie.clone(), *max_lifetime, *timeout);
                (By::Asked(Box::new(asked)), BETWEEN_INSTANCES, Some(*max_lifetime))
            }
        };
        // A minute, and skew at both ends, for clocks that are apart.
        let remember = longest.map(|longest| longest + 3 * skew + Duration::from_secs(60));
        let (revocations, notices) = (Revocations::default(), Mutex::new(Notices::new(module_path!())));
        Ok(Some(Arc::new(Self { by, revocations, metrics, notices, skew, remember })))
    }

    /// Keeps what has to be kept up to date, for ever. To be spawned once.
    pub async fn run(self: Arc<Self>) {
        if let By::Jwt(jwt) = &self.by
            && let Some(set) = jwt.key_set()
        {
            set.clone().keep_reading().await;
        }
    }

    /// Says who shows these credentials. Each refusal is counted.
    pub fn check(self: &Arc<Self>, credentials: Credentials, shown: Shown) -> Check {
        match self.check_now(&credentials) {
            Some(result) => Check::Done(self.counted(result)),
            None => {
                let this = self.clone();
                Check::Later(Box::pin(async move {
                    let result = this.ask(&credentials, shown).await;
                    let outcome = if matches!(result, Err(Refused::Unavailable(_))) {
                        "unavailable"
                    } else {
                        "answered"
                    };
                    this.metrics.asked.with_label_values(&[outcome]).inc();
                    this.counted(result)
                }))
            }
        }
    }

    /// True if the principal is nobody any more: its token was revoked.
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        self.revocations.end(principal)
    }

    /// True if the principal may read a topic now.
    pub fn may_read(&self, principal: &Principal, topic: &Topic) -> bool {
        principal.may_read(topic) && !self.revocations.forbid(principal, topic)
    }

    /// A revocation that is made now. It is dated as far ahead as the clock of whoever issues tokens may be, or what that has
    /// issued a moment before would outlive it.
    pub fn revocation(&self, revoked: Revoked, now: Timestamp) -> Revocation {
        let after =
            |by: Duration| Timestamp::from_millis(now.as_millis().saturating_add(by.as_millis() as i64));
        let revoked_at = after(self.skew).unwrap_or(now);
        Revocation { revoked, revoked_at, until: self.remember.and_then(after) }
    }

    /// Notes revocations. Returns those that were not known.
    pub fn revoke(&self, revocations: Vec<Revocation>) -> Vec<Revocation> {
        let new = self.revocations.add(revocations, Timestamp::now());
        if let By::Asked(asked) = &self.by
            && !new.is_empty()
        {
            asked.forget();
        }
        new
    }

    /// Counts a refusal that is found out elsewhere.
    pub fn count(&self, refused: &Refused) {
        self.metrics.refused.with_label_values(&[refused.label()]).inc();
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.debug(format_args!("credentials refused reason={}: {refused}", refused.label()));
    }

    /// What is known without asking anybody.
    fn check_now(&self, credentials: &Credentials) -> Option<Result<Arc<Principal>, Refused>> {
        match &self.by {
            By::Jwt(jwt) => {
                let Some(token) = credentials.bearer() else { return Some(Err(Refused::Missing)) };
                jwt.check_now(token).map(|result| result.map(Arc::new))
            }
            By::Asked(_) if credentials.is_empty() => Some(Err(Refused::Missing)),
            // One that was revoked meanwhile is asked about again.
            By::Asked(asked) => asked
                .known(credentials)
                .filter(|answer| !answer.as_ref().is_ok_and(|one| self.is_revoked(one))),
        }
    }

    async fn ask(&self, credentials: &Credentials, shown: Shown) -> Result<Arc<Principal>, Refused> {
        match &self.by {
            By::Jwt(jwt) => {
                let token = credentials.bearer().ok_or(Refused::Missing)?;
                jwt.check_anew(token).await.map(Arc::new)
            }
            By::Asked(asked) => asked.ask(credentials, shown).await,
        }
    }

    fn counted(&self, result: Result<Arc<Principal>, Refused>) -> Result<Arc<Principal>, Refused> {
        let result = match result {
            Ok(principal) if principal.has_ended(Timestamp::now()) => Err(Refused::Expired),
            Ok(principal) if self.is_revoked(&principal) => Err(Refused::Revoked),
            result => result,
        };
        match &result {
            Ok(_) => self.metrics.accepted.inc(),
            Err(refused) => self.count(refused),
        }
        result
    }
}
