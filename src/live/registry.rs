//! Who is connected and who may be: the registry actor, the order of its drain, and the permits that connections need.

mod actor;
mod admission;
mod schedule;

pub(crate) use self::actor::{Control, Deregister, Register};
pub use self::actor::{DrainReport, ListConnections, Recheck, Registry, Shutdown};
pub(crate) use self::admission::{Admission, Arrival, Closed, Permit};
pub use self::schedule::Pace;
