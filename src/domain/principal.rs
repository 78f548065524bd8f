//! `Principal`: who a connection or a post is: what it may read, what it may report, until when; `NotIdentified`: why that is not known.

use std::sync::Arc;

use super::pattern::{NamePattern, TopicPattern};
use super::timestamp::Timestamp;
use super::topic::Topic;

/// Who a connection or a post is, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is: a name of 1 to 128 bytes without control characters.
    pub subject: Arc<str>,
    /// The id of its token, if that has one.
    pub token_id: Option<Arc<str>>,
    /// What it may read.
    pub topics: Vec<TopicPattern>,
    /// Which devices it may report for.
    pub devices: Vec<NamePattern>,
    /// When its token was issued, if that says so.
    pub issued_at: Option<Timestamp>,
    /// When its token ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it is nobody any more: when its token ends, and what clocks may be apart.
    pub ends_at: Option<Timestamp>,
}

/// Why it is not known who someone is, or does not matter any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIdentified {
    /// No credentials.
    Missing,
    /// They were good and are no more.
    Expired,
    /// They are not accepted.
    Refused,
    /// They are of someone who may not be here any more.
    Forbidden,
    /// It cannot be known now.
    Unavailable,
}

impl Principal {
    /// True if its token lets it read all of a topic.
    pub fn may_read(&self, topic: &Topic) -> bool {
        self.topics.iter().any(|pattern| pattern.covers(topic))
    }

    /// True if its token lets it report for a device.
    pub fn may_report(&self, device: &str) -> bool {
        self.devices.iter().any(|pattern| pattern.matches(device))
    }

    /// True if its time is over at `now`.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}
