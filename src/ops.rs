//! The ops server: metrics, health and ingest over HTTP. Nothing here knows WebSockets or SQL.

mod connections;
pub mod ingest;
mod server;

pub use connections::{ConnectionView, Connections};
pub use ingest::{Accepted, Ingest, Refused};
pub use server::{OpsServer, Running};
