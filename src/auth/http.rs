//! `Asked`: a URL that is asked who someone is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answers::{Answer, Answers};
use super::claims::{Claims, Life};
use super::fetch::{FetchError, Fetcher};
use super::refused::Refused;
use crate::domain::{ClientNetwork, Credentials, Timestamp};
use crate::settings::PageUrl;

/// Longest answer, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Of so long an outage the log tells.
const LONG: Duration = Duration::from_secs(5);

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
    outage: Mutex<Outage>,
}

/// Whether it answers. Some failures in between are no outage, and strangers may be able to cause them.
#[derive(Default)]
struct Outage {
    /// Since when there were only failures.
    since: Option<Instant>,
    /// The log says so.
    is_said: bool,
}

impl Asked {
    /// `url` is asked; credentials in a cookie are of this name. Nobody stays for longer than `max_life`.
    pub(super) fn new(url: &PageUrl, cookie: Option<String>, max_life: Duration, timeout: Duration) -> Self {
        let life = Life { max: max_life, skew: Duration::ZERO };
        let [arrivals, requests, renewals] = [(); 3].map(|()| Fetcher::new(timeout, MAX_BYTES));
        Self {
            url: url.clone(),
            cookie,
            arrivals,
            requests,
            renewals,
            life,
            answers: Mutex::default(),
            outage: Mutex::default(),
        }
    }

    /// An answer that still holds.
    pub(super) fn known(&self, credentials: &Credentials) -> Option<Answer> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(credentials)
    }

    /// Forgets what was answered: someone's tokens were revoked.
    pub(super) fn forget(&self) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = Answers::default();
    }

    /// Asks. Says in the log when no answers come any more, and when they do again.
    pub(super) async fn ask(&self, credentials: &Credentials, shown: Shown) -> Answer {
        let answer = self.ask_quietly(credentials, shown).await;
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            // Nobody was asked.
            Err(Refused::Malformed) => {}
            Err(Refused::Unavailable(why)) => {
                let since = *outage.since.get_or_insert_with(Instant::now);
                if since.elapsed() >= LONG && !std::mem::replace(&mut outage.is_said, true) {
                    let (url, seconds) = (self.url.without_query(), since.elapsed().as_secs());
                    log::warn!(
                        "AUTH_HTTP_URL: {url}: {why}, as always for {seconds} s; nobody who is not known gets in until it works again"
                    );
                }
            }
            _ => {
                if std::mem::take(&mut *outage).is_said {
                    log::info!("AUTH_HTTP_URL: {} works again", self.url.without_query());
                }
            }
        }
        answer
    }

    async fn ask_quietly(&self, credentials: &Credentials, shown: Shown) -> Answer {
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
            status => Err(Refused::Unavailable(format!("it answered {status}"))),
        };
        if !matches!(answer, Err(Refused::Unavailable(_))) {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.keep(credentials, answer.clone(), response.max_age, response.body.len());
        }
        answer
    }

    fn principal(&self, json: &[u8], asked_at: Timestamp) -> Answer {
        let unusable = |fault: &dyn std::fmt::Display| {
            Refused::Unavailable(format!("it answered 200, but not with claims: {fault}"))
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
}
