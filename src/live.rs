//! The live server: WebSockets, who is connected, who gets what. Nothing here knows SQL or HTTP ingest.

mod admission;
mod catchup;
pub mod client;
pub mod close;
mod connection;
mod door;
mod fanout;
mod forwarded;
pub mod frame;
pub mod handler;
mod handshake;
pub mod hub;
mod inbound;
mod latest;
mod notice;
mod opening;
mod outbox;
pub mod protocol;
pub mod publish;
mod rate;
pub mod registry;
mod roster;
pub mod server;

pub use client::Client;
pub use handler::{Message, MessageHandler, ScaffoldHandler, SubscriptionHandler};
pub use hub::Hub;
pub use publish::Hubs;
pub use registry::{DrainReport, Registry};
pub use server::{LiveServer, Running};
