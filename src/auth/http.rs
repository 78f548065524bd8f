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

/// Of an outage the log tells when it has lasted so long, and met so many.
const LONG: Duration = Duration::from_secs(5);
const MANY: u32 = 5;

/// What is longer ago than this is another outage. Of one in this time the log tells.
const WHILE: Duration = Duration::from_secs(60);

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
    /// The first and the last of the failures since there were no answers, and how many.
    failures: Option<(Instant, Instant, u32)>,
    /// The log says so.
    is_said: bool,
    /// When it said so last.
    said_at: Option<Instant>,
}

impl Outage {
    /// One more failure, at this time. How many there were and since when, if that is to be said.
    fn fails(&mut self, now: Instant) -> Option<(u32, Duration)> {
        let (first, _, count) =
            self.failures.filter(|(_, last, _)| now - *last < WHILE).unwrap_or((now, now, 0));
        self.failures = Some((first, now, count + 1));
        let is_long = count + 1 >= MANY && now - first >= LONG;
        let may_be_said = !self.is_said && self.said_at.is_none_or(|at| now - at >= WHILE);
        (is_long && may_be_said).then(|| {
            (self.is_said, self.said_at) = (true, Some(now));
            (count + 1, now - first)
        })
    }

    /// An answer. True if it was said that there are none.
    fn ends(&mut self) -> bool {
        self.failures = None;
        std::mem::take(&mut self.is_said)
    }
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
                if let Some((count, time)) = outage.fails(Instant::now()) {
                    let (url, seconds) = (self.url.without_query(), time.as_secs());
                    log::warn!(
                        "AUTH_HTTP_URL: {url}: {why}; it was asked {count} times in {seconds} s in vain, and nobody who is not known gets in until it works again"
                    );
                }
            }
            _ => {
                if outage.ends() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_when_it_is_long_and_meets_many() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        let mut fails = |seconds: f64| outage.fails(begin + Duration::from_secs_f64(seconds));
        // Few in a long time, many in a short one.
        assert_eq!([0.0, 70.0, 140.0, 210.0, 280.0].map(&mut fails), [None; 5]);
        assert_eq!([350.0, 350.1, 350.2, 350.3, 350.4].map(&mut fails), [None; 5]);
        assert_eq!(fails(355.0), Some((6, Duration::from_secs(5))));
        assert_eq!(fails(356.0), None);
        assert!(outage.ends() && !outage.ends());
        // Soon again.
        let mut fails = |seconds: f64| outage.fails(begin + Duration::from_secs_f64(seconds));
        assert_eq!([360.0, 361.0, 362.0, 363.0, 366.0].map(&mut fails), [None; 5]);
        assert_eq!(fails(415.0), Some((6, Duration::from_secs(55))));
    }
}
