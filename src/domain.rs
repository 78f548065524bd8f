//! What everything else talks about: positions, the topics they are published to, and who may read and report them. Pure, no I/O.

pub mod area;
mod client_network;
pub mod credentials;
pub mod draft;
pub mod json;
mod pattern;
pub mod position;
mod principal;
mod readable;
mod revocation;
pub mod timestamp;
pub mod topic;

pub use area::{Area, AreaError, Bounds, Point};
pub use client_network::ClientNetwork;
pub use credentials::Credentials;
pub use draft::{Field, FieldError, PositionDraft};
pub use pattern::{NamePattern, PatternError, TopicPattern};
pub use position::Position;
pub use principal::{NotIdentified, Principal};
pub use revocation::{Revocation, Revoked};
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};
