//! Tests of which tokens are good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::{Value, json};

use super::*;
use crate::settings::Secret;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: i64 = 2_000_000_000;

fn settings() -> JwtSettings {
    JwtSettings {
        keys: JwtKeys::Secret(Secret::new(SECRET)),
        algorithm: settings::Algorithm::Hs256,
        audience: None,
        issuer: None,
        clock_skew: Duration::from_millis(4_001),
        require_expiry: true,
    }
}

/// Seconds from now, as the library asks the system's clock.
fn from_now(seconds: i64) -> i64 {
    Timestamp::now().as_millis() / 1000 + seconds
}

fn signed(algorithm: Algorithm, claims: &Value) -> String {
    crypto::install();
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn check(settings: &JwtSettings, token: &str) -> Result<Principal, Refused> {
    let jwt = Jwt::new(settings, Duration::from_secs(1000), Duration::from_secs(1)).unwrap();
    jwt.check_now(token).unwrap()
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({ "sub": "ann", "topics": ["event:*"], "exp": from_now(100) });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_good_token_is_somebodys() {
    let ann = check(&settings(), &signed(Algorithm::HS256, &claims(json!({})))).unwrap();
    assert_eq!(&*ann.subject, "ann");
    assert_eq!(ann.ends_at.unwrap().as_millis() - ann.expires_at.unwrap().as_millis(), 5_000);
}

#[test]
fn what_is_no_token_is_malformed() {
    for token in ["", "a", "a.b", "a.b.c", "....", "e30.e30.", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        assert_eq!(check(&settings(), token), Err(Refused::Malformed), "{token:.20}");
    }
}

#[test]
fn the_algorithm_is_the_settings() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(check(&settings(), &signed(algorithm, &claims(json!({})))), Err(Refused::Algorithm));
    }
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "NONE", "nOnE", "hs256", "", "RS256"] {
        let head = encoded(&json!({ "alg": alg, "typ": "JWT" }));
        for signature in ["", "AAAA"] {
            let token = format!("{head}.{}.{signature}", encoded(&claims(json!({}))));
            assert_eq!(check(&settings(), &token), Err(Refused::Algorithm), "{alg}");
        }
    }
    // Keys that the token brings itself are not looked at.
    let head = encoded(
        &json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "c2VjcmV0" }, "kid": "../../dev/null" }),
    );
    let token = format!("{head}.{}.AAAA", encoded(&claims(json!({}))));
    assert_eq!(check(&settings(), &token), Err(Refused::Signature));
}

#[test]
fn another_signature_is_wrong() {
    let token = signed(Algorithm::HS256, &claims(json!({})));
    let (message, signature) = token.rsplit_once('.').unwrap();
    // Not the last one, of which not every letter is base64.
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{first}{}", &signature[1..]);
    assert_eq!(check(&settings(), &format!("{message}.{changed}")), Err(Refused::Signature));
    assert_eq!(check(&settings(), &format!("{message}.")), Err(Refused::Signature));
    let other = JwtSettings { keys: JwtKeys::Secret(Secret::new(&SECRET.to_uppercase())), ..settings() };
    assert_eq!(check(&other, &token), Err(Refused::Signature));
    // The claims of one with the signature of another.
    let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let forged = URL_SAFE_NO_PAD.encode(claims(json!({ "sub": "root" })).to_string());
    assert_eq!(check(&settings(), &format!("{head}.{forged}.{signature}")), Err(Refused::Signature));
}

#[test]
fn times_are_held_against_the_clock_with_its_skew() {
    let with = |changes: Value| check(&settings(), &signed(Algorithm::HS256, &claims(changes)));
    assert!(with(json!({ "exp": from_now(-2) })).is_ok());
    assert_eq!(with(json!({ "exp": from_now(-7) })), Err(Refused::Expired));
    assert_eq!(with(json!({ "exp": from_now(1010) })), Err(Refused::TooLongLived));
    assert!(with(json!({ "nbf": from_now(3) })).is_ok());
    assert_eq!(with(json!({ "nbf": from_now(10) })), Err(Refused::NotYet));
    assert_eq!(with(json!({ "exp": null })), Err(Refused::Claims("exp: is missing".into())));
    let claims = json!({ "exp": "soon" });
    assert!(matches!(with(claims), Err(Refused::Claims(_))));
    let lax = JwtSettings { require_expiry: false, ..settings() };
    let endless = signed(Algorithm::HS256, &json!({ "sub": "ann" }));
    assert!(check(&lax, &endless).unwrap().ends_at.is_none());
    let ended = signed(Algorithm::HS256, &json!({ "sub": "ann", "exp": NOW - 1_000_000_000 }));
    assert_eq!(check(&lax, &ended), Err(Refused::Expired));
}

#[test]
fn audience_and_issuer_are_asked_for_where_they_are_set() {
    let named = JwtSettings { audience: Some("us".into()), issuer: Some("idp".into()), ..settings() };
    let with =
        |settings: &JwtSettings, changes: Value| check(settings, &signed(Algorithm::HS256, &claims(changes)));
    assert!(with(&named, json!({ "aud": ["x", "us"], "iss": "idp" })).is_ok());
    assert_eq!(with(&named, json!({ "aud": "x", "iss": "idp" })), Err(Refused::Audience));
    assert_eq!(with(&named, json!({ "iss": "idp" })), Err(Refused::Audience));
    assert_eq!(with(&named, json!({ "aud": "us", "iss": "x" })), Err(Refused::Issuer));
    assert_eq!(with(&named, json!({ "aud": "us" })), Err(Refused::Issuer));
    assert_eq!(with(&named, json!({ "aud": "us", "iss": 7 })), Err(Refused::Issuer));
    // For somebody else (RFC 7519 section 4.1.3).
    assert_eq!(with(&settings(), json!({ "aud": "us" })), Err(Refused::Audience));
}

#[test]
fn claims_of_another_shape_are_named_without_what_they_say() {
    for changes in
        [json!({ "topics": "event:secret" }), json!({ "topics": [7] }), json!({ "sub": ["secret"] })]
    {
        let Err(Refused::Claims(text)) = check(&settings(), &signed(Algorithm::HS256, &claims(changes)))
        else {
            panic!()
        };
        assert!(!text.contains("secret") && text.contains("expected"), "{text}");
    }
}
