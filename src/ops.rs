//! The ops server: metrics, health, connections and trusted ingest over HTTP. Nothing here knows WebSockets or SQL.

mod access;
mod connections;
mod metrics_page;
mod probes;
mod server;

pub use connections::{ConnectionView, Connections};
pub use server::OpsServer;

pub use crate::http::Running;
