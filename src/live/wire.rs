//! The formats on a live connection, both ways. Pure: nothing here knows a socket.

pub mod cadence;
pub mod close;
pub(crate) mod credentials;
pub mod decoder;
pub mod deflate;
pub mod encoding;
pub mod frame;
pub mod inflate;
pub mod opening;
pub mod outgoing;
pub mod request;
pub(crate) mod snapshot;
