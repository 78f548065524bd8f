//! What everything else talks about: positions and the topics they are published to. Pure, no I/O.

pub mod position;
pub mod topic;

pub use position::{FieldError, Position, Timestamp};
pub use topic::{Topic, TopicError};
