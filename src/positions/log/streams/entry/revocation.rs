//! `RevocationRecord`: a revocation as it is written in an entry of the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Unreadable;
use crate::domain::{Revocation, Timestamp};
use crate::positions::revoked::{from_kind_and_name, kind_and_name};

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

/// Checked like what comes from outside, as others may write to the stream too.
impl TryFrom<RevocationRecord<'_>> for Revocation {
    type Error = Unreadable;

    fn try_from(record: RevocationRecord<'_>) -> Result<Self, Unreadable> {
        let time = |millis| Timestamp::from_millis(millis).ok_or(Unreadable::Time);
        Ok(Self {
            revoked: from_kind_and_name(&record.kind, &record.name).ok_or(Unreadable::Revoked)?,
            revoked_at: time(record.revoked_at)?,
            until: record.until.map(time).transpose()?,
        })
    }
}
