//! From devices to clients: what comes in is stored durably, then published. Nothing here knows WebSockets or HTTP.

pub mod consumer;
mod order;
pub mod store;

pub use consumer::{Consumer, Opened, Publish, Stop, Stored, Submit, SubmitError};
pub use store::{StoreError, StoreLock, backup, restore};
