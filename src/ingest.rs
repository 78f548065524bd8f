//! Positions that are posted over HTTP: who may post, how a body is read, and what is answered. Any server can mount it; who
//! mounts it says on which path and who may post. Nothing here knows where positions go.

mod access;
mod bearer;
pub mod format;
mod limits;
mod outcome;
mod service;
mod submit;

pub use access::{Access, Checked, Grant, Reporters, TokenAccess};
pub use bearer::BearerToken;
pub use limits::PostLimits;
pub use service::{IngestService, Mount};
pub use submit::{Accepted, Ingest, Refused};
