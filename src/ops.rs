//! The ops server: metrics, health, connections, revocations and trusted ingest over HTTP. Nothing here knows WebSockets or SQL.

mod access;
mod connections;
mod metrics_page;
mod probes;
mod revoke;
mod server;

pub use connections::{ConnectionView, Connections};
pub use revoke::{NotRevoked, Revoke};
pub use server::{OpsServer, Rooms};

pub use crate::http::Running;
