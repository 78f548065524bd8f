//! From devices to clients: what comes in is stored durably, then published. Nothing here knows WebSockets or HTTP.

mod arrived;
mod backlog;
pub mod consumer;
mod group;
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "until the app uses it")]
mod input;
#[allow(dead_code, unused_imports, reason = "until the consumer uses it")]
mod log;
mod opened;
mod order;
#[cfg(feature = "redis")]
mod redis;
pub mod store;
mod submit;

pub use consumer::{Consumer, Publish, Stop};
pub use opened::Opened;
#[cfg(feature = "redis")]
pub use redis::RedisError;
pub use store::{StoreError, StoreLock, backup, restore};
pub use submit::{Stored, Submit, SubmitError};
