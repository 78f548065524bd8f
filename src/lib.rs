//! `processor`, a live-position server: devices post positions over HTTP; it stores each one durably and sends it over
//! WebSockets to every client that subscribed to the device or to its event.
//!
//! | module | holds |
//! |---|---|
//! | [`app`] | joins the others; starts and stops them in order |
//! | [`domain`] | positions, topics, principals |
//! | [`cli`] | the program: arguments, logging, exit codes |
//! | [`auth`] | who connects and who posts: tokens, revocations |
//! | [`live`] | the WebSocket server, its connections, registry and hubs |
//! | [`positions`] | the consumer, which commits positions in groups, and the store |
//! | [`ingest`] | positions that are posted over HTTP |
//! | [`ops`] | the ops server: metrics, health, the list of connections, ingest |
//! | `web` | the web server of the map page (feature `ui`) |
//! | [`http`] | an HTTP server with deadlines and bounds |
//! | [`health`] | asking a server whether it is alive |
//! | [`simulate`] | devices that move, for trying it out |
//! | `demo` | a server with such devices and a store that is thrown away (features `simulate` and `ui`) |
//! | [`logging`] | the log |
//! | [`settings`], [`metrics`], [`phase`], [`shutdown`], [`process`] | what all of them use |
//!
//! `ARCHITECTURE.md` says who may import whom.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "processor runs on Linux: it relies on its sockets, descriptors and /proc. Elsewhere, run it in a container or a virtual machine."
);

pub mod app;
pub mod auth;
pub mod cli;
#[cfg(all(feature = "simulate", feature = "ui"))]
pub mod demo;
pub mod domain;
pub mod health;
pub mod http;
pub mod ingest;
pub mod live;
pub mod logging;
pub mod metrics;
mod notice;
pub mod ops;
pub mod phase;
pub mod positions;
pub mod process;
pub mod settings;
pub mod shutdown;
#[cfg(feature = "simulate")]
pub mod simulate;
#[cfg(feature = "ui")]
pub mod web;
