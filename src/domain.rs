//! What everything else talks about: positions and the topics they are published to. Pure, no I/O.

pub mod position;
pub mod timestamp;
pub mod topic;

pub use position::{FieldError, Position};
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};
