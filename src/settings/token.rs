//! Kinds of settings of authentication: who says who someone is, how tokens are signed, the name of a cookie.

use super::kind::{Choice, Kind};

/// How tokens are signed (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA with SHA-256.
    Rs256,
    /// RSA with SHA-384.
    Rs384,
    /// RSA with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// True if signer and verifier have the same secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

impl Choice for Algorithm {
    const ALL: &'static [Self] = &[
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];
    const ALLOWED: &'static str =
        "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";

    fn name(self) -> &'static str {
        self.name()
    }
}

impl Algorithm {
    /// Its name in tokens (RFC 7518 section 3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The kinds of authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Nobody,
    Jwt,
    Http,
}

impl Choice for Mode {
    const ALL: &'static [Self] = &[Self::Nobody, Self::Jwt, Self::Http];
    const ALLOWED: &'static str = "none, jwt or http";

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "none",
            Self::Jwt => "jwt",
            Self::Http => "http",
        }
    }
}

/// The name of a cookie: a token of HTTP (RFC 6265 section 4.1.1).
pub(super) struct CookieName;

impl Kind for CookieName {
    type Value = String;

    fn allowed() -> String {
        "the name of a cookie: at most 128 letters, digits and !#$%&'*+-.^_`|~".into()
    }

    fn read(text: &str) -> Result<String, Vec<String>> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let fits = (1..=128).contains(&text.len()) && text.chars().all(is_token);
        if fits { Ok(text.to_owned()) } else { Err(vec![text.to_owned()]) }
    }

    fn show(value: &String) -> String {
        value.clone()
    }

    fn stand_in() -> String {
        String::new()
    }
}
