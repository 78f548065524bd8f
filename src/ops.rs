//! The ops server: metrics, health and ingest over HTTP. Nothing here knows WebSockets or SQL.

mod access;
mod connections;
mod exchange;
pub mod ingest;
mod listen;
mod places;
mod problem;
mod server;
mod socket;
mod watch;

pub use connections::{ConnectionView, Connections};
pub use ingest::{Accepted, Ingest, Refused};
pub use problem::Problem;
pub use server::{OpsServer, Running};
