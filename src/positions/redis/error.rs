//! `RedisError`: why Redis did not do what it was asked to.

use std::time::Duration;

/// Why Redis did not do what it was asked to. Says no password.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The connection failed, or Redis refused.
    #[error(transparent)]
    Redis(#[from] ::redis::RedisError),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// What it said is not what the protocol has there.
    #[error("its reply to {0} cannot be read")]
    Reply(&'static str),
}
