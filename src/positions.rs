//! From devices to clients: what comes in is stored durably, then published. Nothing here knows WebSockets or HTTP.

mod arrived;
mod backlog;
pub mod consumer;
mod group;
mod opened;
mod order;
pub mod store;
mod submit;

pub use consumer::{Consumer, Publish, Stop};
pub use opened::Opened;
pub use store::{StoreError, StoreLock, backup, restore};
pub use submit::{Stored, Submit, SubmitError};
