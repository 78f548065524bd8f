//! What everything else talks about: positions and the topics they are published to. Pure, no I/O.

pub mod area;
pub mod draft;
pub mod json;
pub mod position;
mod readable;
pub mod timestamp;
pub mod topic;

pub use area::{Area, AreaError, Bounds, Point};
pub use draft::{Field, FieldError, PositionDraft};
pub use position::Position;
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};
