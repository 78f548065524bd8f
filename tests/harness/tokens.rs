//! Tokens as whoever knows users makes them, without anything of the server's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// What they are signed with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The settings of a server that takes them, and ends them at once when their time is over.
pub(crate) const JWT: [(&str, &str); 3] =
    [("AUTH", "jwt"), ("AUTH_JWT_SECRET", SECRET), ("AUTH_CLOCK_SKEW_MS", "0")];

/// The settings of such a server, and others.
pub(crate) fn jwt_and<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    JWT.iter().chain(others).copied().collect()
}

/// Seconds since the epoch, so far from now.
pub(crate) fn from_now(seconds: f64) -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs_f64() + seconds
}

/// A token of `subject` that holds for ten minutes, with these claims besides or instead.
pub(crate) fn token(subject: &str, claims: Value) -> String {
    let mut all = json!({ "sub": subject, "iat": from_now(0.0), "exp": from_now(600.0) });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    signed(&all)
}

/// Claims, signed.
pub(crate) fn signed(claims: &Value) -> String {
    signed_as("HS256", claims, SECRET)
}

/// Claims, signed with HS256, whatever `alg` says.
pub(crate) fn signed_as(alg: &str, claims: &Value, secret: &str) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&json!({ "alg": alg, "typ": "JWT" })), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
