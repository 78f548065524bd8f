//! `Claims`: what a token, or the URL that is asked, says of someone; how that becomes a principal. Pure.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refused::Refused;
use crate::domain::topic::check_name;
use crate::domain::{NamePattern, Principal, Timestamp, TopicPattern};

/// Most patterns in one claim.
const MAX_PATTERNS: usize = 1000;

/// What a token says of someone. Times are seconds since the epoch (RFC 7519 section 2, NumericDate). Others are ignored.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Claims {
    /// Who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The token's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What it may read: topics, beginnings of topics with a `*`, boxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Which devices it may report for: ids, or beginnings of ids with a `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// When the token was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<f64>,
    /// When the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<f64>,
    /// Whom the token is for.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who issued it.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
}

/// What bounds the life of a principal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// How long a token may live at most, from now on.
    pub(super) max: Duration,
    /// How long a principal outlives its token.
    pub(super) skew: Duration,
}

impl Claims {
    /// Whom they are about.
    ///
    /// # Errors
    /// [`Refused::Claims`] if one of them cannot be used, [`Refused::Expired`] and [`Refused::TooLongLived`] if the time is not
    /// right.
    pub(super) fn principal(self, now: Timestamp, life: Life) -> Result<Principal, Refused> {
        let subject = self.sub.unwrap_or_default();
        check_name(&subject).map_err(|error| claim("sub", &error))?;
        if let Some(id) = &self.jti {
            check_name(id).map_err(|error| claim("jti", &error))?;
        }
        for (name, patterns) in [("topics", &self.topics), ("devices", &self.devices)] {
            if patterns.len() > MAX_PATTERNS {
                return Err(claim(name, &format_args!("must have at most {MAX_PATTERNS} patterns")));
            }
        }
        let topics = self.topics.iter().map(|text| TopicPattern::parse(text));
        let topics = topics.collect::<Result<_, _>>().map_err(|error| claim("topics", &error))?;
        let devices = self.devices.iter().map(|text| NamePattern::parse(text));
        let devices = devices.collect::<Result<_, _>>().map_err(|error| claim("devices", &error))?;
        let expires_at = self.exp.map(|exp| instant("exp", exp)).transpose()?;
        let ends_at = expires_at.map(|at| later(at, life.skew));
        let principal = Principal {
            subject: subject.into(),
            token_id: self.jti.map(Arc::from),
            topics,
            devices,
            issued_at: self.iat.map(|iat| instant("iat", iat)).transpose()?,
            expires_at,
            ends_at,
        };
        // Or it would outlive revocations.
        if principal.issued_at.is_some_and(|at| at > later(now, life.skew)) {
            return Err(Refused::NotYet);
        }
        if principal.has_ended(now) {
            return Err(Refused::Expired);
        }
        // Counted from when it was issued: what is refused today must not be accepted when it has grown old, as what was revoked of it
        // is forgotten by then.
        let from = principal.issued_at.map_or(now, |issued_at| issued_at.min(now));
        if expires_at.is_some_and(|at| at > later(from, life.max + life.skew)) {
            return Err(Refused::TooLongLived);
        }
        Ok(principal)
    }
}

fn claim(name: &str, reason: &dyn std::fmt::Display) -> Refused {
    Refused::Claims(format!("{name}: {reason}"))
}

/// Seconds since the epoch, of a claim, as a time.
fn instant(name: &str, seconds: f64) -> Result<Timestamp, Refused> {
    let millis = (seconds * 1000.0).floor();
    let is_time = millis.is_finite() && millis.abs() < 1e15;
    let at = if is_time { Timestamp::from_millis(millis as i64) } else { None };
    at.ok_or_else(|| claim(name, &"must be a time in seconds since 1970"))
}

/// So long after `at`, or `at` itself where there is no such time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(by.as_millis() as i64)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Life = Life { max: Duration::from_secs(100), skew: Duration::from_secs(5) };

    fn read(json: &str) -> Result<Principal, Refused> {
        let now = Timestamp::from_millis(1_000_000).unwrap();
        serde_json::from_str::<Claims>(json).unwrap().principal(now, LIFE)
    }

    #[test]
    fn claims_become_a_principal() {
        let ann = read(
            r#"{"sub":"ann","jti":"7","topics":["event:*"],"devices":["a*"],"iat":999.5,"exp":1001,"x":[]}"#,
        );
        let ann = ann.unwrap();
        assert_eq!((&*ann.subject, ann.token_id.as_deref()), ("ann", Some("7")));
        assert!(ann.may_report("a1") && !ann.may_report("b1"));
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        assert_eq!(millis(ann.issued_at), Some(999_500));
        assert_eq!((millis(ann.expires_at), millis(ann.ends_at)), (Some(1_001_000), Some(1_006_000)));
        let nobody = read(r#"{"sub":"bob"}"#).unwrap();
        assert!(nobody.topics.is_empty() && nobody.devices.is_empty() && nobody.ends_at.is_none());
    }

    #[test]
    fn the_end_is_where_it_is() {
        assert!(read(r#"{"sub":"a","exp":995.001}"#).is_ok());
        assert_eq!(read(r#"{"sub":"a","exp":995}"#), Err(Refused::Expired));
        assert!(read(r#"{"sub":"a","exp":1105}"#).is_ok());
        assert_eq!(read(r#"{"sub":"a","exp":1105.001}"#), Err(Refused::TooLongLived));
        assert!(read(r#"{"sub":"a","iat":950,"exp":1055}"#).is_ok());
        assert_eq!(read(r#"{"sub":"a","iat":950,"exp":1056}"#), Err(Refused::TooLongLived));
        assert!(read(r#"{"sub":"a","iat":1005}"#).is_ok());
        assert_eq!(read(r#"{"sub":"a","iat":1005.001}"#), Err(Refused::NotYet));
    }

    #[test]
    fn claims_that_cannot_be_used_are_named() {
        for (json, claim) in [
            ("{}", "sub"),
            (r#"{"sub":""}"#, "sub"),
            (r#"{"sub":"a\nb"}"#, "sub"),
            (r#"{"sub":"a","jti":""}"#, "jti"),
            (r#"{"sub":"a","topics":["nonsense"]}"#, "topics"),
            (r#"{"sub":"a","topics":["area:1*"]}"#, "topics"),
            (r#"{"sub":"a","devices":[""]}"#, "devices"),
            (r#"{"sub":"a","exp":1e300}"#, "exp"),
            (r#"{"sub":"a","iat":-1e18}"#, "iat"),
        ] {
            let Err(Refused::Claims(text)) = read(json) else { panic!("{json}") };
            assert!(text.starts_with(&format!("{claim}: ")), "{json}: {text}");
        }
        let many = serde_json::json!({ "sub": "a", "topics": vec!["*"; MAX_PATTERNS + 1] }).to_string();
        assert!(matches!(read(&many), Err(Refused::Claims(_))));
    }
}
