//! Who gets what: topics and their subscribers, the latest positions, and the way of an update to every socket.

mod batch;
mod catchup;
mod delivery;
mod hub;
mod interest;
mod latest;
mod publish;
mod published;
mod roster;
mod subscription;
mod update;

pub use self::hub::{Hub, TooManySubscriptions};
pub use self::publish::Hubs;
pub(crate) use self::published::Published;
