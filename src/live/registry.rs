//! Who is connected and who may be: the registry actor, and the permits that connections need.

mod actor;
mod admission;

pub(crate) use self::actor::{Close, Deregister, Register};
pub use self::actor::{DrainReport, ListConnections, Registry, Shutdown};
pub(crate) use self::admission::{Admission, Arrival, Closed, Permit};
