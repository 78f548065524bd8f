//! `Ingest`: where positions that were posted are submitted to be stored, and what comes of it.

use std::error::Error;

use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use crate::domain::Position;

/// What ingest needs: somewhere to store positions.
pub trait Ingest: Send + Sync + 'static {
    /// Stores positions, all or none; ready when they are durable.
    fn submit(&self, positions: Vec<Position>) -> LocalBoxFuture<'static, Result<Accepted, Refused>>;
    /// False while positions cannot be stored.
    fn is_up(&self) -> bool;
    /// False while what is stored cannot be handed to other instances, nor theirs be read.
    fn is_log_up(&self) -> bool;
}

/// What became of positions that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// All of them.
    pub accepted: usize,
    /// Of these, such as were not broadcast, because their devices had reported newer ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: usize,
    /// Of these, such as changed nothing, because their devices had reported others with the same timestamp.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Positions were not stored; they may be posted again later.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is to store them is not there yet.
    #[error("the server is starting")]
    Starting,
    /// What is to store them is not there any more.
    #[error("the server is shutting down")]
    Stopping,
    /// The reason of what is to store them.
    #[error(transparent)]
    NotStored(Box<dyn Error + Send + Sync>),
}
