//! From devices to clients: what comes in is stored durably, then published. Nothing here knows WebSockets or HTTP.

mod arrived;
mod backlog;
pub mod consumer;
#[cfg(test)]
mod eventually;
mod group;
mod input;
mod log;
mod opened;
mod order;
mod publish;
mod redis;
mod revoke;
mod revoked;
mod revoking;
mod sessions;
pub mod store;
mod submit;

pub use consumer::{Consumer, Stop};
pub use input::{Input, RunningInput, SubmitTo};
pub use opened::{OpenError, Opened};
pub use publish::Publish;
pub use redis::RedisError;
pub use revoke::{Revoke, RevokeError};
pub use revoked::NameError;
pub use store::{StoreError, StoreLock, backup, restore};
pub use submit::{Stored, Submit, SubmitError};
