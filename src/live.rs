//! The live server: WebSockets, who is connected, who gets what. Nothing here knows SQL or HTTP ingest.
//!
//! Each room imports only those before it (`tests/it/tidy.rs` holds this): `sync`, `wire`, `outbox`, `client`, `fanout`, `handler`,
//! `registry`, `connection`, `handshake`, `server`.

mod client;
mod connection;
mod fanout;
mod handler;
mod handshake;
mod outbox;
pub mod registry;
pub mod server;
mod sync;
pub mod wire;

pub use client::{Awaited, Client, Identity, Unwelcome, Vitals};
pub use fanout::{Hub, Hubs, NotSubscribed, Wish};
pub use handler::{
    Admitted, Authority, Decision, Denied, Gate, Handled, Identified, Message, MessageHandler,
    ScaffoldHandler, SubscriptionHandler,
};
pub use registry::{DrainReport, Registry};
pub use server::{LiveServer, Running};
