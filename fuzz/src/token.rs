//! Tokens and their claims: only those are accepted that are signed with the secret and say what they must, and then they say what was
//! written.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use processor::auth::{Authenticator, Check, Refused, Shown};
use processor::domain::credentials::MAX_TOKEN_BYTES;
use processor::domain::{Credentials, Principal};
use processor::metrics::Metrics;
use processor::settings::Settings;
use ring::hmac;

use super::choices::Choices;
use super::{json, pattern, topic};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long a token may live, in seconds.
const MAX_LIFETIME: u64 = 24 * 60 * 60;

/// A header that is right, and such as are not: others' algorithms, none, and what is no header.
const HEADERS: [&str; 10] = [
    r#"{"alg":"HS256"}"#,
    r#"{"alg":"HS256","typ":"JWT","kid":"../../etc/passwd","jwk":{"kty":"oct","k":"AAAA"}}"#,
    r#"{"typ":"JWT","alg":"HS256","x":[1]}"#,
    r#"{"alg":"none"}"#,
    r#"{"alg":"HS384"}"#,
    r#"{"alg":"RS256"}"#,
    r#"{"alg":"hs256"}"#,
    r#"{}"#,
    "[]",
    "",
];

/// How many of these are right.
const GOOD_HEADERS: usize = 3;

/// Values that are no times.
const NOT_TIMES: [&str; 6] = ["\"4000000000\"", "true", "[]", "1e300", "-1e300", "{}"];

/// Values that are no lists of texts.
const NOT_LISTS: [&str; 5] = ["\"*\"", "7", "[7]", "{}", "[[\"*\"]]"];

/// Checks `data` as a token, and as choices that make one.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(said_of(text).is_err(), "{text:?} is a token that nobody signed");
    }
    structured(&mut Choices::new(data));
}

/// What the server says of a token.
fn said_of(token: &str) -> Result<Arc<Principal>, Refused> {
    static AUTHENTICATOR: OnceLock<Arc<Authenticator>> = OnceLock::new();
    let authenticator = AUTHENTICATOR.get_or_init(|| {
        let environment = [
            ("AUTH", "jwt"),
            ("AUTH_JWT_SECRET", SECRET),
            ("AUTH_CLOCK_SKEW_MS", "0"),
            ("AUTH_MAX_TOKEN_DAYS", "1"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::from(Path::new("/nonexistent"), environment.into()).unwrap();
        Authenticator::new(&settings.auth, Metrics::new("fuzz").unwrap().auth).unwrap().unwrap()
    });
    match authenticator.check(Credentials::of_token(token), Shown::OnRenewal) {
        Check::Done(said) => said,
        Check::Later(_) => panic!("{token:?}: there is nobody to ask"),
    }
}

/// Claims as they are written, and whether they are right.
struct Written {
    fields: Vec<(&'static str, String)>,
    is_good: bool,
    subject: String,
    topics: Vec<String>,
    devices: Vec<String>,
    /// Seconds since the epoch.
    expires_at: u64,
}

fn structured(choices: &mut Choices<'_>) {
    let written = claims(choices);
    let claims = json::object(choices, &written.fields);
    let header = if choices.one_in(8) { HEADERS.len() } else { GOOD_HEADERS };
    let header = choices.below(header);
    let has_good_header = header < GOOD_HEADERS;
    let message = format!("{}.{}", encoded(HEADERS[header].as_bytes()), encoded(claims.as_bytes()));
    let secret = if choices.one_in(8) { &SECRET[1..] } else { SECRET };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let token = format!("{message}.{}", encoded(hmac::sign(&key, message.as_bytes()).as_ref()));

    let said = said_of(&token);
    let is_signed = secret == SECRET;
    match &said {
        _ if token.len() > MAX_TOKEN_BYTES => assert_eq!(said, Err(Refused::Malformed)),
        Ok(principal) => {
            assert!(has_good_header && is_signed && written.is_good, "{claims} is read as {principal:?}");
            says_what_was_written(principal, &written);
        }
        Err(refused) if !has_good_header => {
            assert!(matches!(refused, Refused::Algorithm | Refused::Malformed), "{claims}: {refused}");
        }
        Err(refused) if !is_signed => assert_eq!(*refused, Refused::Signature, "{claims}"),
        Err(refused) => assert!(!written.is_good, "{claims}: {refused}"),
    }
    // One byte of it changed: whatever that is, nobody signed it.
    let mut bytes = token.into_bytes();
    let index = choices.word() as usize % bytes.len();
    let change = choices.byte();
    bytes[index] ^= change;
    if let (true, Ok(changed)) = (change != 0, std::str::from_utf8(&bytes)) {
        assert!(said_of(changed).is_err(), "{changed}");
    }
}

fn says_what_was_written(principal: &Principal, written: &Written) {
    assert_eq!(*principal.subject, *written.subject);
    let topics: Vec<_> = principal.topics.iter().map(ToString::to_string).collect();
    let devices: Vec<_> = principal.devices.iter().map(ToString::to_string).collect();
    assert_eq!((&topics, &devices), (&written.topics, &written.devices));
    let ends = [principal.expires_at, principal.ends_at].map(|end| end.unwrap().as_millis());
    assert_eq!(ends, [written.expires_at as i64 * 1000; 2]);
    for device in &written.devices {
        assert!(principal.may_report(device.strip_suffix('*').unwrap_or(device)));
    }
    assert_eq!(principal.may_report("somebody's"), devices.iter().any(|device| device == "*"));
}

fn claims(choices: &mut Choices<'_>) -> Written {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut written = Written {
        fields: Vec::new(),
        is_good: true,
        subject: topic::name(choices),
        topics: Vec::new(),
        devices: Vec::new(),
        expires_at: now + 1000,
    };
    if written.subject.is_empty() && !choices.one_in(4) {
        written.subject.push('a');
    }
    written.is_good &= topic::is_name(&written.subject);
    let subject = json::string(choices, &written.subject);
    written.add(choices, "sub", subject, &["7", "[]"]);
    if choices.one_in(2) {
        let id = topic::name(choices);
        written.is_good &= topic::is_name(&id);
        let id = json::string(choices, &id);
        written.add(choices, "jti", id, &["7", "{}"]);
    }
    written.topics = (0..choices.below(4)).map(|_| pattern::pattern(choices)).collect();
    written.is_good &= written.topics.iter().all(|text| pattern::is_pattern(text));
    let topics = list(choices, &written.topics);
    written.add(choices, "topics", topics, &NOT_LISTS);
    written.devices = (0..choices.below(4)).map(|_| device(choices)).collect();
    written.is_good &= written.devices.iter().all(|text| pattern::is_name_pattern(text));
    let devices = list(choices, &written.devices);
    written.add(choices, "devices", devices, &NOT_LISTS);
    times(choices, &mut written, now);
    if choices.one_in(16) {
        // There is no audience that this server is.
        written.fields.push(("aud", choices.pick(&["\"us\"", "[\"us\"]"]).to_owned()));
        written.is_good = false;
    }
    written
}

fn times(choices: &mut Choices<'_>, written: &mut Written, now: u64) {
    match choices.below(16) {
        13 => written.expires_at = now - 1000,
        14 => written.expires_at = now + MAX_LIFETIME + 1000,
        15 => written.expires_at = 0,
        _ => {}
    }
    written.is_good &= (now..now + MAX_LIFETIME).contains(&written.expires_at);
    if choices.one_in(16) {
        written.is_good = false; // without any
    } else {
        let end = written.expires_at.to_string();
        written.add(choices, "exp", end, &NOT_TIMES);
    }
    if choices.one_in(2) {
        let just_now = now - 10;
        let (whole, part) = (just_now.to_string(), format!("{just_now}.5"));
        // So long ago that it would live for more than a day, or still to come.
        let all = [whole.as_str(), part.as_str(), "0", "1.5", "4000000000", "-7"];
        let issued = choices.pick(&all).to_owned();
        written.is_good &= issued == whole || issued == part;
        written.add(choices, "iat", issued, &NOT_TIMES);
    }
    if choices.one_in(8) {
        let is_later = choices.one_in(2);
        written.is_good &= !is_later;
        written.fields.push(("nbf", (if is_later { now + 1000 } else { now - 1000 }).to_string()));
    }
}

impl Written {
    /// Adds a claim: as it is, or in a wrong way, or twice.
    fn add(&mut self, choices: &mut Choices<'_>, name: &'static str, good: String, wrong: &[&str]) {
        match choices.below(48) {
            46 => {
                self.fields.push((name, choices.pick(wrong).to_owned()));
                self.is_good = false;
            }
            47 => {
                // Which one is meant cannot be known.
                self.fields.extend([(name, good.clone()), (name, good)]);
                self.is_good = false;
            }
            _ => self.fields.push((name, good)),
        }
    }
}

fn device(choices: &mut Choices<'_>) -> String {
    let star = if choices.one_in(2) { "*" } else { "" };
    format!("{}{star}", topic::name(choices))
}

fn list(choices: &mut Choices<'_>, texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| json::string(choices, text)).collect();
    format!("[{}]", texts.join(","))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
