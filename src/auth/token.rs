//! What `processor token` does: makes tokens, and reads one to say why it would be refused.

use std::fmt;
use std::path::{Path, PathBuf};

use jsonwebtoken::{EncodingKey, Header, dangerous, decode_header, encode};

use super::claims::{Claims, Life};
use super::crypto;
use super::error::AuthError;
use super::jwt::{self, Jwt};
use super::refused::Refused;
use crate::domain::Timestamp;
use crate::settings::{Algorithm, AuthSettings, Authority, JwtKeys, JwtSettings, read_bounded};

/// Why no token is made, or none can be read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The settings have none.
    #[error("AUTH is not jwt: set AUTH=jwt and what tokens are signed with")]
    NotJwt,
    /// Nothing to sign with.
    #[error(
        "tokens are signed with a private key, which this server does not have: name its file with --key"
    )]
    NoKey,
    /// The private key cannot be used.
    #[error("{}: {reason}", .file.display())]
    PrivateKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The server would not take it.
    #[error("this server would refuse such a token: {0}")]
    Refused(Refused),
    /// It was not signed.
    #[error("not signed: {0}")]
    NotSigned(jsonwebtoken::errors::Error),
    /// The public key cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// What is in a token, and what the server thinks of it.
#[derive(Debug)]
pub struct Inspection {
    /// Its header, as JSON; `None`: there is none that can be read.
    pub header: Option<String>,
    /// Its claims, as JSON; `None`: there are none that can be read.
    pub claims: Option<String>,
    /// Why the server would refuse it; `None`: it would not.
    pub refused: Option<Refused>,
}

/// Makes a token, signed with the settings' secret, or with the private key in `key_file` (PEM). What the settings ask for, audience
/// and issuer, is added.
///
/// # Errors
/// [`TokenError`] if it cannot be signed, or the server would refuse it.
pub fn make(
    settings: &AuthSettings,
    mut claims: Claims,
    key_file: Option<&Path>,
) -> Result<String, TokenError> {
    let jwt = jwt_settings(settings)?;
    crypto::install();
    let life = Life { max: settings.max_lifetime, skew: jwt.clock_skew };
    claims.clone().principal(Timestamp::now(), life).map_err(TokenError::Refused)?;
    claims.aud = jwt.audience.clone();
    claims.iss = jwt.issuer.clone();
    let key = match (&jwt.keys, key_file) {
        (JwtKeys::Secret(secret), _) => EncodingKey::from_secret(secret.reveal().as_bytes()),
        (_, Some(file)) => private_key(file, jwt.algorithm)?,
        (_, None) => return Err(TokenError::NoKey),
    };
    encode(&Header::new(jwt::algorithm(jwt.algorithm)), &claims, &key).map_err(TokenError::NotSigned)
}

/// Reads a token and checks it as the server would. May ask the server that has the keys.
///
/// # Errors
/// [`TokenError`] if the settings have no tokens, or their key cannot be used.
pub async fn inspect(settings: &AuthSettings, token: &str) -> Result<Inspection, TokenError> {
    let jwt = Jwt::new(jwt_settings(settings)?, settings.max_lifetime, settings.timeout)?;
    let json = |value: serde_json::Value| format!("{value:#}");
    let header = decode_header(token).ok().and_then(|header| serde_json::to_value(header).ok()).map(json);
    let claims = dangerous::insecure_decode::<serde_json::Value>(token).ok().map(|data| json(data.claims));
    let checked = match jwt.check_now(token) {
        Some(checked) => checked,
        None => jwt.check_anew(token).await,
    };
    Ok(Inspection { header, claims, refused: checked.err() })
}

fn jwt_settings(settings: &AuthSettings) -> Result<&JwtSettings, TokenError> {
    match &settings.authority {
        Authority::Jwt(jwt) => Ok(jwt),
        Authority::Nobody | Authority::Http(_) => Err(TokenError::NotJwt),
    }
}

fn private_key(file: &Path, algorithm: Algorithm) -> Result<EncodingKey, TokenError> {
    let failed = |reason: String| TokenError::PrivateKey { file: file.to_owned(), reason };
    let pem = read_bounded(file).map_err(|error| failed(error.to_string()))?;
    use Algorithm as A;
    let key = match algorithm {
        A::Es256 | A::Es384 => EncodingKey::from_ec_pem(&pem),
        A::EdDsa => EncodingKey::from_ed_pem(&pem),
        _ => EncodingKey::from_rsa_pem(&pem),
    };
    key.map_err(|_| failed(format!("holds no private key for {} in PEM format (PKCS #8)", algorithm.name())))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, part) in [("header", &self.header), ("claims", &self.claims)] {
            writeln!(f, "{name}: {}", part.as_deref().unwrap_or("cannot be read"))?;
        }
        match &self.refused {
            None => f.write_str("accepted"),
            Some(refused) => write!(f, "refused ({}): {refused}", refused.label()),
        }
    }
}
