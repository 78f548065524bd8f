//! `Submit`: the message that brings positions to the consumer, and its reply.

use std::sync::Arc;

use actix::Message;

use super::store::StoreError;
use crate::domain::Position;

/// Positions to store, all or none. The reply comes when they are on the disk.
#[derive(Debug, Message)]
#[rtype(result = "Result<Stored, SubmitError>")]
pub struct Submit(pub Vec<Position>);

/// What became of positions that were submitted; all of them are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Not broadcast, as their devices had reported newer ones.
    pub late: usize,
    /// Their devices had reported others with the same timestamp, which stay.
    pub repeated: usize,
}

/// Positions were not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many wait already.
    #[error("too many positions are waiting to be stored; try again later")]
    Full,
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
    /// The store's reason, which the log has: it may name what is not for whoever posts, such as the database's users and files.
    #[error("the store failed. They may be stored all the same; posting them again changes nothing then")]
    Store(#[source] Arc<StoreError>),
}
