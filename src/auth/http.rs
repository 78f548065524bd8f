//! `Asked`: a URL that is asked who someone is, and its answers, kept for as long as they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest;

use super::claims::{Claims, Life};
use super::fetch::Fetcher;
use super::refused::Refused;
use crate::domain::{Credentials, Principal, Timestamp};

/// Longest answer, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Most answers that are kept.
const MAX_ANSWERS: usize = 10_000;

/// The longest that an answer is kept, whatever it says.
pub(super) const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What was answered: a principal, or that there is none.
type Answer = Result<Arc<Principal>, Refused>;

/// A URL that is asked.
pub(super) struct Asked {
    url: String,
    cookie: Option<String>,
    fetcher: Fetcher,
    life: Life,
    /// By a digest of the credentials, so that those are not kept.
    answers: Mutex<HashMap<[u8; 32], Kept>>,
}

struct Kept {
    answer: Answer,
    until: Instant,
}

impl Asked {
    /// `url` is asked; credentials in a cookie are of this name.
    pub(super) fn new(url: String, cookie: Option<String>, max_life: Duration, timeout: Duration) -> Self {
        let life = Life { max: max_life, skew: Duration::ZERO };
        Self { url, cookie, fetcher: Fetcher::new(timeout, MAX_BYTES), life, answers: Mutex::default() }
    }

    /// An answer that still holds.
    pub(super) fn known(&self, credentials: &Credentials) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = answers.get(&key(credentials)).filter(|kept| Instant::now() < kept.until)?;
        Some(kept.answer.clone())
    }

    /// Forgets what was answered: someone's tokens were revoked.
    pub(super) fn forget(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks.
    pub(super) async fn ask(&self, credentials: &Credentials) -> Answer {
        // A revocation that comes meanwhile is newer than the answer.
        let asked_at = Timestamp::now();
        let response = self.fetcher.get(&self.url, self.headers(credentials)).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                log::debug!("AUTH_HTTP_URL: {}: {error}", self.url);
                return Err(Refused::Unavailable);
            }
        };
        let answer = match response.status {
            200 => self.principal(&response.body, asked_at),
            401 => Err(Refused::Denied),
            403 => Err(Refused::Forbidden),
            status => {
                log::debug!("AUTH_HTTP_URL: {}: answered {status}", self.url);
                Err(Refused::Unavailable)
            }
        };
        if answer != Err(Refused::Unavailable) {
            self.keep(credentials, &answer, response.max_age);
        }
        answer
    }

    fn principal(&self, json: &[u8], asked_at: Timestamp) -> Answer {
        let claims: Claims = serde_json::from_slice(json).map_err(|_| {
            log::debug!("AUTH_HTTP_URL: {}: answered 200 with no claims in JSON", self.url);
            Refused::Unavailable
        })?;
        let mut principal = claims.principal(asked_at, self.life).map_err(|refused| match refused {
            // Whoever answered is at fault, not who is asked about.
            Refused::Claims(fault) => {
                log::debug!(
                    "AUTH_HTTP_URL: {}: answered 200 with claims that cannot be used: {fault}",
                    self.url
                );
                Refused::Unavailable
            }
            refused => refused,
        })?;
        // Whatever it says of itself: what was revoked before it was asked, it knows of.
        principal.issued_at = Some(asked_at);
        Ok(Arc::new(principal))
    }

    fn headers(&self, credentials: &Credentials) -> Vec<(&'static str, String)> {
        let mut headers = vec![("x-original-uri", credentials.path.clone())];
        let token = credentials.token.as_ref().map(|token| format!("Bearer {token}"));
        headers.extend(credentials.authorization.clone().or(token).map(|value| ("authorization", value)));
        if let (Some(name), Some(value)) = (&self.cookie, &credentials.cookie) {
            headers.push(("cookie", format!("{name}={value}")));
        }
        headers
    }

    fn keep(&self, credentials: &Credentials, answer: &Answer, max_age: Duration) {
        if max_age.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, kept| now < kept.until);
        }
        if answers.len() >= MAX_ANSWERS {
            // Any of them; whoever it is of is asked about again.
            let victim = answers.keys().next().copied();
            victim.map(|victim| answers.remove(&victim));
        }
        let until = now + max_age.min(MAX_AGE);
        answers.insert(key(credentials), Kept { answer: answer.clone(), until });
    }
}

/// A digest of all that is sent.
fn key(credentials: &Credentials) -> [u8; 32] {
    let Credentials { authorization, token, cookie, path } = credentials;
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [authorization.as_deref(), token.as_deref(), cookie.as_deref(), Some(path.as_str())] {
        // Lengths keep parts apart.
        context.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        context.update(part.unwrap_or_default().as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_told_apart_by_each_of_their_parts() {
        let credentials = |authorization: Option<&str>,
                           token: Option<&str>,
                           cookie: Option<&str>,
                           path: &str| Credentials {
            authorization: authorization.map(str::to_owned),
            token: token.map(str::to_owned),
            cookie: cookie.map(str::to_owned),
            path: path.to_owned(),
        };
        let all = [
            credentials(Some("a"), None, None, "/"),
            credentials(None, Some("a"), None, "/"),
            credentials(None, None, Some("a"), "/"),
            credentials(Some("a"), None, None, "/b"),
            credentials(Some("ab"), None, None, "/"),
            credentials(Some("a"), Some("b"), None, "/"),
            credentials(Some("a"), Some(""), None, "/"),
        ];
        let mut keys: Vec<_> = all.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }
}
