//! `Burst` and `UpdateFrame`: updates of one topic that go out together, as frames that its subscribers share.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, Share};
use crate::live::wire::frame::Frame;

/// Tells one subscription of a connection from its others.
pub(crate) type SubscriptionId = u32;

/// Updates of one topic that came in together, as frames: shared by all subscribers of the topic.
#[derive(Debug)]
pub(crate) struct Burst {
    /// In the order they are sent.
    pub(super) updates: Vec<Rc<UpdateFrame>>,
    /// All frames, one behind the other.
    pub(super) joined: Bytes,
    count: Count,
}

/// How many updates there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Positions.
    pub(crate) positions: usize,
    /// Devices that left a topic.
    pub(crate) left: usize,
}

impl Count {
    /// How many frames that is.
    pub(crate) fn frames(self) -> usize {
        self.positions + self.left
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.positions += more.positions;
        self.left += more.left;
    }
}

impl Burst {
    pub(crate) fn new(updates: Vec<Rc<UpdateFrame>>) -> Rc<Self> {
        let mut joined = BytesMut::with_capacity(updates.iter().map(|update| update.frame.len()).sum());
        for UpdateFrame { frame, .. } in updates.iter().map(|update| &**update) {
            joined.extend_from_slice(&frame.head);
            joined.extend_from_slice(&frame.tail);
        }
        let left = updates.iter().filter(|update| update.left).count();
        let count = Count { positions: updates.len() - left, left };
        Rc::new(Self { updates, joined: joined.freeze(), count })
    }

    /// How many updates it has.
    pub(crate) fn count(&self) -> Count {
        self.count
    }
}

/// One update of a burst. All outboxes in which it waits share it.
#[derive(Debug)]
pub(crate) struct UpdateFrame {
    /// The number of the update, by which a client that fell behind is told what it has not been sent.
    pub(super) number: u64,
    /// It says that a device has left the topic. Such an update is never dropped in favour of a newer one.
    pub(super) left: bool,
    pub(super) frame: Frame,
    _share: Share,
}

impl UpdateFrame {
    pub(crate) fn new(number: u64, left: bool, frame: Frame, budget: &Arc<Budget>) -> Rc<Self> {
        Rc::new(Self { number, left, _share: budget.share(frame.len()), frame })
    }
}

/// What became of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of it went to the kernel.
    Written,
    /// Some of it waits.
    Waiting,
    /// It does not fit. Nothing waits for the subscriptions that [`Outbox::take_behind`](super::Outbox::take_behind)
    /// names; they are to be caught up later.
    Behind,
    /// The connection is closing or its socket has failed.
    Closed,
}
