//! Redis as log and input stream need it: connections, and entries of streams. What both share, and nothing of positions.

mod backoff;
mod connect;
mod entries;
mod error;

pub(super) use backoff::Backoff;
pub(super) use connect::{Connection, Redis};
pub(super) use entries::{Entry, EntryId, pairs, streams, text};
pub use error::RedisError;

#[cfg(test)]
#[allow(dead_code, reason = "tests/cluster uses all of it")]
#[path = "../../tests/harness/redis.rs"]
pub(super) mod server;
