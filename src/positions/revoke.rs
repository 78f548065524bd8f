//! `Revoke`: the message that brings a revocation to the consumer, and why it may fail.

use std::sync::Arc;

use actix::Message;

use super::revoked::NameError;
use super::store::{MAX_REVOCATIONS, StoreError};
use crate::domain::Revocation;

/// A revocation for all instances. The reply comes when it is on the disk and in the log, or, where the log is away, on the disk:
/// then other instances read it there within about a second.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RevokeError>")]
pub struct Revoke(pub Revocation);

/// Nothing was revoked, as far as is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RevokeError {
    /// The subject, or the id of the token, cannot be kept.
    #[error("the name of what is revoked {0}")]
    Name(#[from] NameError),
    /// The store keeps no more of them.
    #[error("{MAX_REVOCATIONS} revocations are kept, and no more can be; try again when some hold no more")]
    Full,
    /// Too many wait already.
    #[error("too many revocations are waiting to be stored; try again later")]
    Busy,
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
    /// The store's reason.
    #[error("the store failed: {0}. It may be revoked all the same; revoking it again changes nothing then")]
    Store(#[source] Arc<StoreError>),
}
