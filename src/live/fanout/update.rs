//! `Update`, `Change`: what subscribers of a topic are told of one device: where it is now, or that it has left; with its number.

use std::sync::Arc;

use smallvec::SmallVec;

use super::published::Published;
use crate::domain::{Position, Topic};
use crate::live::wire::encoding::{Encoded, Encoding};

/// What is told of one device in one topic.
#[derive(Clone, Debug)]
pub(super) enum Update {
    /// The device is there, with this newest position.
    At(Arc<Published>),
    /// The device has left the topic: this newest position of it does not name the event any more, or is outside the area.
    Left(Arc<Published>),
}

/// An update with its number.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) number: u64,
    pub(super) update: Update,
}

/// What one audience is told; most often it is one, above all in areas, of which there may be thousands for a position.
pub(super) type Changes = SmallVec<[Change; 1]>;

impl Update {
    /// True if it says that the device has left.
    pub(super) fn is_left(&self) -> bool {
        matches!(self, Self::Left(_))
    }

    pub(super) fn published(&self) -> &Arc<Published> {
        match self {
            Self::At(published) | Self::Left(published) => published,
        }
    }

    /// Whom it is about.
    pub(super) fn device_id(&self) -> &Arc<str> {
        &self.published().position().device_id
    }

    /// The frame that tells subscribers of `topic`; `None` if the position could not be encoded.
    pub(super) fn frame(&self, topic: &Topic, encoding: Encoding) -> Option<Encoded> {
        match self {
            Self::At(published) => Some(encoding.position(topic, published.fields()?)),
            Self::Left(published) => {
                let Position { device_id, timestamp, .. } = published.position();
                Some(Encoded { frame: encoding.left(topic, device_id, *timestamp), deflated: 0 })
            }
        }
    }
}
