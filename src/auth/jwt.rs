//! `Jwt`: which tokens are good: how they are signed, by whom, for whom, until when (RFC 7519, RFC 8725).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};

use super::claims::{Claims, Life};
use super::crypto;
use super::error::AuthError;
use super::key_set::KeySet;
use super::refused::Refused;
use crate::domain::credentials::MAX_TOKEN_BYTES;
use crate::domain::{Principal, Timestamp};
use crate::settings::{self, JwtKeys, JwtSettings};

/// What a private key in PEM format has in its first line, whatever its kind (RFC 7468).
const PRIVATE: &[u8] = b"PRIVATE KEY-----";

/// Which tokens are good.
pub(super) struct Jwt {
    keys: Keys,
    validation: Validation,
    life: Life,
}

enum Keys {
    One(DecodingKey),
    Set(Arc<KeySet>),
}

impl Jwt {
    /// As the settings have it. A key set is read by nobody yet, see [`Jwt::key_set`].
    ///
    /// # Errors
    /// [`AuthError`] if the key cannot be used.
    pub(super) fn new(
        settings: &JwtSettings,
        max_life: Duration,
        timeout: Duration,
    ) -> Result<Self, AuthError> {
        crypto::install();
        let algorithm = algorithm(settings.algorithm);
        let keys = match &settings.keys {
            JwtKeys::Secret(secret) => Keys::One(DecodingKey::from_secret(secret.reveal().as_bytes())),
            JwtKeys::PublicKey(file) => Keys::One(public_key(file, settings.algorithm)?),
            JwtKeys::Set(url) => Keys::Set(Arc::new(KeySet::new(url, algorithm, timeout))),
        };
        // Whole seconds, as the claims are; rounded up.
        let skew = settings.clock_skew.as_millis().div_ceil(1000) as u64;
        let life = Life { max: max_life, skew: Duration::from_secs(skew) };
        Ok(Self { keys, validation: validation(settings, algorithm, skew), life })
    }

    /// The keys at a URL, if that is where they are.
    pub(super) fn key_set(&self) -> Option<&Arc<KeySet>> {
        match &self.keys {
            Keys::One(_) => None,
            Keys::Set(set) => Some(set),
        }
    }

    /// Whom a token is of; `None`: the set does not have its key, so it may have to be read again.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub(super) fn check_now(&self, token: &str) -> Option<Result<Principal, Refused>> {
        match self.key(token) {
            Ok(key) => key.map(|key| self.principal(token, &key)),
            Err(refused) => Some(Err(refused)),
        }
    }

    /// The same, after the set was read again.
    ///
    /// # Errors
    /// [`Refused`] with the reason, also if nobody can tell.
    pub(super) async fn check_anew(&self, token: &str) -> Result<Principal, Refused> {
        let key = self.key_anew(token).await?;
        self.principal(token, &key)
    }

    /// The key that a token is to be checked with; `None`: the set does not have it.
    ///
    /// # Errors
    /// [`Refused`] if it is no token that any key could be right for. No cryptography yet.
    fn key(&self, token: &str) -> Result<Option<DecodingKey>, Refused> {
        let Header { kid, .. } = self.header(token)?;
        Ok(match &self.keys {
            Keys::One(key) => Some(key.clone()),
            Keys::Set(set) => set.find(kid.as_deref()),
        })
    }

    /// The same, after the set was read again.
    ///
    /// # Errors
    /// [`Refused`] if there is no such key, or nobody can tell.
    async fn key_anew(&self, token: &str) -> Result<DecodingKey, Refused> {
        let Header { kid, .. } = self.header(token)?;
        match &self.keys {
            Keys::One(key) => Ok(key.clone()),
            Keys::Set(set) => set.find_anew(kid.as_deref()).await,
        }
    }

    fn header(&self, token: &str) -> Result<Header, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::Malformed);
        }
        // An algorithm that is not known, `none` among them, is no header either.
        let header = decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(error) if error.to_string().starts_with("unknown variant") => Refused::Algorithm,
            _ => Refused::Malformed,
        })?;
        // Extensions that must be understood, of which none are (RFC 7515 section 4.1.11).
        if header.crit.is_some() {
            return Err(Refused::Malformed);
        }
        if self.validation.algorithms.contains(&header.alg) { Ok(header) } else { Err(Refused::Algorithm) }
    }

    /// Whom a token is of.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    fn principal(&self, token: &str, key: &DecodingKey) -> Result<Principal, Refused> {
        let decoded =
            decode::<Claims>(token, key, &self.validation).map_err(|error| refused(error.kind()))?;
        decoded.claims.principal(Timestamp::now(), self.life)
    }
}

fn refused(error: &ErrorKind) -> Refused {
    match error {
        ErrorKind::InvalidSignature | ErrorKind::Provider(_) => Refused::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refused::Algorithm,
        ErrorKind::ExpiredSignature => Refused::Expired,
        ErrorKind::ImmatureSignature => Refused::NotYet,
        ErrorKind::InvalidAudience => Refused::Audience,
        ErrorKind::InvalidIssuer => Refused::Issuer,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "aud" => Refused::Audience,
            "iss" => Refused::Issuer,
            claim => Refused::Claims(format!("{claim}: is missing")),
        },
        ErrorKind::InvalidClaimFormat(claim) => Refused::Claims(format!("{claim}: is not what it must be")),
        // The signature is right by then.
        ErrorKind::Json(error) => Refused::Claims(shape(error)),
        _ => Refused::Malformed,
    }
}

/// What is wrong with the shape of claims, without what they say.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let expected =
        text.rsplit_once("expected ").map_or("what the documentation says", |(_, expected)| expected);
    let expected = expected.split(" at line").next().unwrap_or(expected);
    format!("in column {}: expected {expected}", error.column())
}

/// What is asked of a token besides its signature. Time is asked here and by [`Claims::principal`], which knows milliseconds.
fn validation(settings: &JwtSettings, algorithm: Algorithm, skew: u64) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = skew;
    validation.validate_nbf = true;
    let mut required = Vec::new();
    if settings.require_expiry {
        required.push("exp");
    }
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    if let Some(issuer) = &settings.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// The public key in a file.
fn public_key(file: &Path, algorithm: settings::Algorithm) -> Result<DecodingKey, AuthError> {
    let unreadable = |source| AuthError::KeyFile { file: file.to_owned(), source };
    let pem = settings::read_small_file(file).map_err(unreadable)?;
    // The library would take it for a public key that nothing was signed for. And nobody needs it here.
    if pem.windows(PRIVATE.len()).any(|part| part == PRIVATE) {
        return Err(AuthError::PrivateKey(file.to_owned()));
    }
    use settings::Algorithm as A;
    let key = match algorithm {
        A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => DecodingKey::from_rsa_pem(&pem),
        A::Es256 | A::Es384 => DecodingKey::from_ec_pem(&pem),
        A::EdDsa => DecodingKey::from_ed_pem(&pem),
        A::Hs256 | A::Hs384 | A::Hs512 => return Err(AuthError::NoKey { file: file.to_owned(), algorithm }),
    };
    key.map_err(|_| AuthError::NoKey { file: file.to_owned(), algorithm })
}

/// The algorithm, as the library has it.
pub(super) fn algorithm(algorithm: settings::Algorithm) -> Algorithm {
    use settings::Algorithm as A;
    match algorithm {
        A::Hs256 => Algorithm::HS256,
        A::Hs384 => Algorithm::HS384,
        A::Hs512 => Algorithm::HS512,
        A::Rs256 => Algorithm::RS256,
        A::Rs384 => Algorithm::RS384,
        A::Rs512 => Algorithm::RS512,
        A::Ps256 => Algorithm::PS256,
        A::Ps384 => Algorithm::PS384,
        A::Ps512 => Algorithm::PS512,
        A::Es256 => Algorithm::ES256,
        A::Es384 => Algorithm::ES384,
        A::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests;
