//! One connection as the rest of the server knows it: the handle to it, its vitals, and its lifecycle.

mod handle;
pub(crate) mod lifecycle;
mod standing;
mod subjects;
mod vitals;

pub use self::handle::Client;
pub use self::standing::{Awaited, Identity, Unwelcome};
pub(crate) use self::standing::{Standing, UnknownPlace, UnknownPlaces};
pub(crate) use self::subjects::Subjects;
pub use self::vitals::Vitals;
