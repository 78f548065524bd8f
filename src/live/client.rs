//! One connection as the rest of the server knows it: the handle to it, its vitals, and its lifecycle.

mod handle;
pub(crate) mod lifecycle;
mod vitals;

pub use self::handle::Client;
pub use self::vitals::Vitals;
