//! From devices to clients: what comes in is stored durably, then published. Nothing here knows WebSockets or HTTP.

pub mod consumer;
pub mod store;

pub use consumer::{Consumer, Publish, Stop, Submit, SubmitError};
pub use store::{Store, StoreError};
