//! `RevocationRecord`: a revocation as it is written in an entry of the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::{Revocation, Timestamp};
use crate::positions::revoked::{from_kind_and_name, kind_and_name};

/// Why a record is no revocation.
#[derive(Debug, thiserror::Error)]
pub(super) enum RevocationError {
    #[error("of what this release does not know")]
    Revoked,
    #[error("with a time that is out of range")]
    Time,
}

/// A revocation as it is written. Times are milliseconds since the epoch.
#[derive(Deserialize, Serialize)]
pub(super) struct RevocationRecord<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    revoked_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl<'a> From<&'a Revocation> for RevocationRecord<'a> {
    fn from(revocation: &'a Revocation) -> Self {
        let (kind, name) = kind_and_name(&revocation.revoked);
        Self {
            kind: Cow::Borrowed(kind),
            name,
            revoked_at: revocation.revoked_at.as_millis(),
            until: revocation.until.map(Timestamp::as_millis),
        }
    }
}

impl RevocationRecord<'_> {
    /// What it says. Checked like what comes from outside, as others may write to the stream too.
    ///
    /// # Errors
    /// [`RevocationError`] if it is not what an instance of this release writes.
    pub(super) fn revocation(&self) -> Result<Revocation, RevocationError> {
        let time = |millis| Timestamp::from_millis(millis).ok_or(RevocationError::Time);
        Ok(Revocation {
            revoked: from_kind_and_name(&self.kind, &self.name).ok_or(RevocationError::Revoked)?,
            revoked_at: time(self.revoked_at)?,
            until: self.until.map(time).transpose()?,
        })
    }
}
