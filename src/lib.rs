//! `processor` tells browsers where things are, now: devices report positions, it stores each one durably and
//! broadcasts it over WebSockets to everyone who subscribed to it.
//!
//! | module | holds |
//! |---|---|
//! | [`app`] | everything joined, started in order, stopped in order |
//! | [`domain`] | positions and topics |
//! | [`live`] | the WebSocket server, its connections, registry and hubs |
//! | [`positions`] | consumer and store |
//! | [`ingest`] | positions that are posted over HTTP |
//! | [`ops`] | the ops server: metrics page, health, connections, trusted ingest |
//! | [`http`] | an HTTP server with deadlines and bounds |
//! | [`health`] | asking a server whether it is alive |
//! | [`simulate`] | devices that move, for trying it out |
//! | [`logging`] | the log |
//! | [`settings`], [`metrics`], [`phase`], [`shutdown`], [`process`] | what all of them use |
//!
//! `ARCHITECTURE.md` says who may import whom.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "processor runs on Linux: it relies on its sockets, descriptors and /proc. Elsewhere, run it in a container or a virtual machine."
);

pub mod app;
pub mod domain;
pub mod health;
pub mod http;
pub mod ingest;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod ops;
pub mod phase;
pub mod positions;
pub mod process;
pub mod settings;
pub mod shutdown;
pub mod simulate;
