//! `Burst` and `UpdateFrame`: updates of one topic that go out together, as frames that its subscribers share.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, Share};
use crate::live::wire::frame::Frame;

/// Tells one subscription of a connection from its others.
pub(crate) type SubscriptionId = u32;

/// Updates of one topic that go out together, as frames: shared by all subscribers of the topic.
#[derive(Debug)]
pub(crate) struct Burst {
    /// In the order they are sent.
    pub(super) updates: Vec<Rc<UpdateFrame>>,
    /// All frames, one behind the other.
    pub(super) joined: Bytes,
    /// Who falls behind is sent all the same that devices left, as it cannot be found out later.
    pub(super) keeps_left: bool,
    count: Count,
}

/// How many frames there are, and what they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Frames with one position each.
    pub(crate) positions: usize,
    /// Frames with several positions.
    pub(crate) batches: usize,
    /// Positions in these.
    pub(crate) batched: usize,
    /// Frames that say that a device left a topic.
    pub(crate) left: usize,
}

impl Count {
    /// How many frames that is.
    pub(crate) fn frames(self) -> usize {
        self.positions + self.batches + self.left
    }

    /// How many positions they carry.
    pub(crate) fn carried(self) -> usize {
        self.positions + self.batched
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.positions += more.positions;
        self.batches += more.batches;
        self.batched += more.batched;
        self.left += more.left;
    }
}

impl Burst {
    pub(crate) fn new(updates: Vec<Rc<UpdateFrame>>, keeps_left: bool) -> Rc<Self> {
        let mut count = Count::default();
        let mut joined = BytesMut::with_capacity(updates.iter().map(|update| update.frame.len()).sum());
        for UpdateFrame { frame, carries, .. } in updates.iter().map(|update| &**update) {
            joined.extend_from_slice(&frame.head);
            joined.extend_from_slice(&frame.tail);
            count.add(carries.count());
        }
        Rc::new(Self { updates, joined: joined.freeze(), keeps_left, count })
    }

    /// Its updates, in the order they are sent.
    pub(crate) fn updates(&self) -> &[Rc<UpdateFrame>] {
        &self.updates
    }

    /// What it carries.
    pub(crate) fn count(&self) -> Count {
        self.count
    }
}

/// What the frame of an update carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// One position.
    Position,
    /// So many positions.
    Positions(usize),
    /// That a device has left the topic. Such an update is never dropped in favour of a newer one.
    Left,
}

impl Carries {
    pub(crate) fn count(self) -> Count {
        match self {
            Self::Position => Count { positions: 1, ..Count::default() },
            Self::Positions(batched) => Count { batches: 1, batched, ..Count::default() },
            Self::Left => Count { left: 1, ..Count::default() },
        }
    }
}

/// One update of a burst, or several in one frame. All outboxes in which it waits share it.
#[derive(Debug)]
pub(crate) struct UpdateFrame {
    /// The number of the (first) update, by which a client that fell behind is told what it has not been sent.
    pub(super) number: u64,
    pub(super) carries: Carries,
    pub(super) frame: Frame,
    _share: Share,
}

impl UpdateFrame {
    pub(crate) fn new(number: u64, carries: Carries, frame: Frame, budget: &Arc<Budget>) -> Rc<Self> {
        Rc::new(Self { number, carries, _share: budget.share(frame.len()), frame })
    }

    pub(crate) fn carries(&self) -> Carries {
        self.carries
    }

    pub(super) fn is_left(&self) -> bool {
        self.carries == Carries::Left
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
