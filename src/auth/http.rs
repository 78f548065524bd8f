//! `Asked`: a URL that is asked who someone is, and its answers, kept for as long as they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest;

use super::claims::{Claims, Life};
use super::fetch::{FetchError, Fetcher};
use super::refused::Refused;
use crate::domain::{ClientNetwork, Credentials, Principal, Timestamp};
use crate::settings::PageUrl;

/// Longest answer, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Most principals that are kept.
const MAX_PRINCIPALS: usize = 10_000;

/// Most refusals that are kept.
const MAX_REFUSALS: usize = 1_000;

/// The longest that an answer is kept, whatever it says.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What was answered: a principal, or that there is none.
type Answer = Result<Arc<Principal>, Refused>;

/// Where credentials were shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By someone from there who connects and is not known yet.
    OnArrival(ClientNetwork),
    /// In a post, or for the page, by someone from there.
    InRequest(ClientNetwork),
    /// On a connection of someone who is known.
    OnRenewal,
}

/// A URL that is asked.
pub(super) struct Asked {
    url: PageUrl,
    cookie: Option<String>,
    /// About those who connect, of whom there may be any number.
    arrivals: Fetcher,
    /// About those who post or open the page.
    requests: Fetcher,
    /// About those who are known already, whom no stranger must hold up.
    renewals: Fetcher,
    life: Life,
    answers: Mutex<Answers>,
}

/// What was answered, by a digest of the credentials, so that those are not kept.
#[derive(Default)]
struct Answers {
    principals: HashMap<[u8; 32], Kept>,
    /// Apart, as strangers can cause any number.
    refusals: HashMap<[u8; 32], Kept>,
}

struct Kept {
    answer: Answer,
    until: Instant,
}

impl Asked {
    /// `url` is asked; credentials in a cookie are of this name. Nobody stays for longer than `max_life`.
    pub(super) fn new(url: &PageUrl, cookie: Option<String>, max_life: Duration, timeout: Duration) -> Self {
        let life = Life { max: max_life, skew: Duration::ZERO };
        let [arrivals, requests, renewals] = [(); 3].map(|()| Fetcher::new(timeout, MAX_BYTES));
        Self { url: url.clone(), cookie, arrivals, requests, renewals, life, answers: Mutex::default() }
    }

    /// An answer that still holds.
    pub(super) fn known(&self, credentials: &Credentials) -> Option<Answer> {
        let key = key(credentials);
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = answers.principals.get(&key).or_else(|| answers.refusals.get(&key));
        kept.filter(|kept| Instant::now() < kept.until).map(|kept| kept.answer.clone())
    }

    /// Forgets what was answered: someone's tokens were revoked.
    pub(super) fn forget(&self) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = Answers::default();
    }

    /// Asks.
    pub(super) async fn ask(&self, credentials: &Credentials, shown: Shown) -> Answer {
        // A revocation that comes meanwhile is newer than the answer.
        let asked_at = Timestamp::now();
        let (fetcher, whose) = match shown {
            Shown::OnArrival(network) => (&self.arrivals, Some(network)),
            Shown::InRequest(network) => (&self.requests, Some(network)),
            Shown::OnRenewal => (&self.renewals, None),
        };
        let response = match fetcher.get(&self.url.text(), self.headers(credentials), whose).await {
            Ok(response) => response,
            // What no header can carry is no credential.
            Err(FetchError::Header) => return Err(Refused::Malformed),
            Err(error) => return Err(Refused::Unavailable(error.to_string())),
        };
        let answer = match response.status {
            200 => self.principal(&response.body, asked_at),
            401 => Err(Refused::Denied),
            403 => Err(Refused::Forbidden),
            status => Err(Refused::Unavailable(format!("AUTH_HTTP_URL answered {status}"))),
        };
        if !matches!(answer, Err(Refused::Unavailable(_))) {
            self.keep(credentials, &answer, response.max_age);
        }
        answer
    }

    fn principal(&self, json: &[u8], asked_at: Timestamp) -> Answer {
        let unusable = |fault: &dyn std::fmt::Display| {
            Refused::Unavailable(format!("AUTH_HTTP_URL answered 200, but not with claims: {fault}"))
        };
        let mut claims: Claims =
            serde_json::from_slice(json).map_err(|_| unusable(&"not the JSON of any"))?;
        // Whatever it says of itself: what was revoked before it was asked, it knows of; and nobody stays for ever who was once let in.
        claims.iat = None;
        let latest = (asked_at.as_millis() as f64 + self.life.max.as_millis() as f64) / 1000.0;
        claims.exp = Some(claims.exp.map_or(latest, |exp| exp.min(latest)));
        let mut principal = claims.principal(asked_at, self.life).map_err(|refused| match refused {
            // Whoever answered is at fault, not who is asked about.
            Refused::Claims(fault) => unusable(&fault),
            refused => refused,
        })?;
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
        let (key, until) = (key(credentials), Instant::now() + max_age.min(MAX_AGE));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let Answers { principals, refusals } = &mut *answers;
        let (kept, most) =
            if answer.is_ok() { (principals, MAX_PRINCIPALS) } else { (refusals, MAX_REFUSALS) };
        if kept.len() >= most {
            // Any of them; whoever it is of is asked about again.
            let victim = kept.keys().next().copied();
            victim.map(|victim| kept.remove(&victim));
        }
        kept.insert(key, Kept { answer: answer.clone(), until });
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
