//! Tokens that connections show, made without the server.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// What they are signed with: `AUTH_JWT_SECRET`.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// So many tokens, each of another subject, that hold for an hour and allow everything.
pub(crate) fn make(count: usize) -> Result<Vec<Rc<str>>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(&json!({ "alg": "HS256", "typ": "JWT" }));
    let one = |number: usize| {
        let claims =
            json!({ "sub": format!("user-{number}"), "iat": now, "exp": now + 3600, "topics": ["*"] });
        let message = format!("{head}.{}", encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()).as_ref());
        Rc::from(format!("{message}.{signature}"))
    };
    Ok((0..count).map(one).collect())
}
