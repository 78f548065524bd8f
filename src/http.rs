//! An HTTP server in which everything that a client may leave unfinished has a deadline and a bound. Knows nothing of what
//! is asked of it: [`Site`] says that.

mod exchange;
pub(crate) mod head;
mod listen;
mod problem;
mod server;
mod socket;
mod state;
mod table;

pub use problem::Problem;
pub use server::{Running, Server, Site};
