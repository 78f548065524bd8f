//! `Refused`: every reason for which credentials are not accepted.

/// Why credentials are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are none.
    #[error("no token came")]
    Missing,
    /// The token is no JWT.
    #[error("it is no JSON Web Token")]
    Malformed,
    /// It is signed in another way than the settings say.
    #[error("its algorithm is not the one of AUTH_JWT_ALGORITHM")]
    Algorithm,
    /// Its signature is not right.
    #[error("its signature is not right")]
    Signature,
    /// It names a key that is not in the set.
    #[error("its key (kid) is not in the set of AUTH_JWKS_URL")]
    UnknownKey,
    /// It has ended.
    #[error("it has ended (exp)")]
    Expired,
    /// It does not hold yet.
    #[error("it does not hold yet (nbf, iat)")]
    NotYet,
    /// It ends too late.
    #[error("it ends later than AUTH_MAX_TOKEN_DAYS after it was issued (exp, iat)")]
    TooLongLived,
    /// It is for somebody else.
    #[error("it is not for AUTH_AUDIENCE (aud)")]
    Audience,
    /// Somebody else has issued it.
    #[error("it is not issued by AUTH_ISSUER (iss)")]
    Issuer,
    /// Its claims are none that can be used.
    #[error("claim {0}")]
    Claims(String),
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// Another subject's token came on a connection that is somebody's already.
    #[error("it is of another subject than this connection's")]
    OtherSubject,
    /// The URL that is asked said 401.
    #[error("AUTH_HTTP_URL answered 401")]
    Denied,
    /// The URL that is asked said 403.
    #[error("AUTH_HTTP_URL answered 403")]
    Forbidden,
    /// Whoever must be asked does not answer as it should.
    #[error("it cannot be checked now: {0}")]
    Unavailable(String),
}

impl Refused {
    /// The value of the metric's label `reason`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::UnknownKey => "unknown_key",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::TooLongLived => "too_long_lived",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Claims(_) => "claims",
            Self::Revoked => "revoked",
            Self::OtherSubject => "other_subject",
            Self::Denied => "denied",
            Self::Forbidden => "forbidden",
            Self::Unavailable(_) => "unavailable",
        }
    }
}
