//! Who gets what: topics and their subscribers, the latest positions, and the way of an update to every socket.

mod batch;
mod catchup;
mod compose;
mod delivery;
mod grid;
mod hub;
mod interest;
mod latest;
mod listing;
mod means;
mod mode;
mod moved;
mod publish;
mod published;
mod roster;
mod subscription;
mod ticks;
mod tiling;
mod turn;
mod update;
mod viewports;

pub use self::hub::{Hub, NotSubscribed, Wish};
pub use self::publish::Hubs;
pub(crate) use self::published::Published;
