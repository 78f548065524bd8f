//! `Queue`: the pieces that wait in an outbox, in order. Pure: it never sees a socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::{Step, SubscriptionId};

/// Most pieces handed to one vectored write. Linux takes 1024; beyond a few dozen nothing is gained.
pub(super) const MAX_SLICES: usize = 64;

/// A queue with room for more entries than this gives its memory back when it is empty. (Room for four is the least
/// that is ever taken, and enough for a client that is not slow.)
const KEEP_ENTRIES: usize = 4;

/// What waits, in the order it is to be written.
#[derive(Default)]
pub(super) struct Queue {
    /// The rest of a frame that left in part.
    partial: Frame,
    pub(super) pong: Option<Bytes>,
    pub(super) ping: Option<Bytes>,
    entries: VecDeque<Entry>,
    /// Bytes in `entries`.
    bytes: usize,
    /// Of these, bytes of responses.
    responses: usize,
    close: Option<Bytes>,
}

/// A frame in two pieces, of which the second may be empty. Nothing comes between them.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) head: Bytes,
    pub(super) tail: Bytes,
}

impl Frame {
    fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Takes away the first bytes, at most `count`; returns how many.
    fn advance(&mut self, count: usize) -> usize {
        let of_head = count.min(self.head.len());
        let of_tail = (count - of_head).min(self.tail.len());
        for (piece, gone) in [(&mut self.head, of_head), (&mut self.tail, of_tail)] {
            piece.advance(gone);
            if piece.is_empty() {
                *piece = Bytes::new(); // lets go of the shared buffer it was cut from
            }
        }
        of_head + of_tail
    }
}

impl From<Bytes> for Frame {
    fn from(head: Bytes) -> Self {
        Self { head, tail: Bytes::new() }
    }
}

/// Small, as a slow client has thousands of them.
enum Entry {
    Response(Box<Frame>),
    Update(SubscriptionId, Rc<Step>),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Response(frame) => frame.len(),
            Self::Update(_, step) => step.frame.len(),
        }
    }

    fn pieces(&self) -> [Option<&Bytes>; 2] {
        match self {
            Self::Response(frame) => [Some(&frame.head), Some(&frame.tail)],
            Self::Update(_, step) => [Some(&step.frame), None],
        }
    }
}

/// What a subscription loses when its positions are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// The number of the first of them.
    pub(super) first: Option<u64>,
    /// How many.
    pub(super) count: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.partial.len() == 0
            && self.entries.is_empty()
            && self.ping.is_none()
            && self.pong.is_none()
            && self.close.is_none()
    }

    /// Bytes that wait: of responses and updates, and of the frame that left in part.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.partial.len()
    }

    /// Bytes of responses; the frame that left in part is taken for one.
    pub(super) fn responses(&self) -> usize {
        self.responses + self.partial.len()
    }

    /// Bytes of updates. Responses are bounded in another way (see `Outbox::is_jammed`): a long snapshot must not push
    /// out the positions that follow it.
    pub(super) fn updates(&self) -> usize {
        self.bytes - self.responses
    }

    pub(super) fn push_response(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.responses += frame.len();
        self.entries.push_back(Entry::Response(Box::new(frame)));
    }

    /// Puts the close frame behind the responses that wait; updates and a ping have no use any more.
    pub(super) fn push_close(&mut self, frame: Bytes) {
        self.close = Some(frame);
        self.ping = None;
        self.drop_all_updates();
    }

    /// Takes the rest of a frame that left in part, while nothing else waits.
    pub(super) fn push_rest(&mut self, rest: Bytes) {
        self.partial = rest.into();
    }

    pub(super) fn push_update(&mut self, subscription: SubscriptionId, step: Rc<Step>) {
        self.bytes += step.frame.len();
        self.entries.push_back(Entry::Update(subscription, step));
    }

    /// Drops all updates that wait.
    pub(super) fn drop_all_updates(&mut self) {
        self.retain(|entry| matches!(entry, Entry::Response(_)));
    }

    /// Drops all updates that wait for a subscription.
    pub(super) fn forget(&mut self, subscription: SubscriptionId) {
        self.retain(|entry| !matches!(entry, Entry::Update(of, _) if *of == subscription));
    }

    /// Drops the positions that wait for a subscription. They stand in the order of their numbers. That a device has left
    /// is kept: nobody may know it any more when the client is caught up.
    pub(super) fn drop_positions(&mut self, subscription: SubscriptionId) -> Dropped {
        let mut dropped = Dropped::default();
        self.retain(|entry| match entry {
            Entry::Update(of, step) if *of == subscription && !step.left => {
                dropped.first.get_or_insert(step.number);
                dropped.count += 1;
                false
            }
            _ => true,
        });
        dropped
    }

    fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() != before {
            self.bytes = self.entries.iter().map(Entry::len).sum();
            self.settle();
        }
    }

    /// Fills `slices` with what is to be written next and returns how many were filled.
    pub(super) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let partial = [Some(&self.partial.head), Some(&self.partial.tail)];
        let urgent = [self.pong.as_ref(), self.ping.as_ref()];
        let entries = self.entries.iter().flat_map(Entry::pieces);
        let pieces = partial.into_iter().chain(urgent).chain(entries).flatten().chain(&self.close);
        let pieces = pieces.filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Takes away what has gone out: the first `written` bytes of what [`Queue::gather`] showed.
    pub(super) fn advance(&mut self, mut written: usize) {
        while written > 0 {
            if self.partial.len() == 0 {
                let Some(next) = self.take_next() else { break };
                self.partial = next;
            }
            written -= self.partial.advance(written);
        }
        self.settle();
    }

    /// The next whole frame, in the order of [`Queue::gather`].
    fn take_next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.pong.take().or_else(|| self.ping.take()) {
            return Some(frame.into());
        }
        let Some(entry) = self.entries.pop_front() else {
            return self.close.take().map(Frame::from);
        };
        self.bytes -= entry.len();
        Some(match entry {
            Entry::Response(frame) => {
                self.responses -= frame.len();
                *frame
            }
            Entry::Update(_, step) => step.frame.clone().into(),
        })
    }

    /// Gives memory back once nothing waits.
    fn settle(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEEP_ENTRIES {
            self.entries = VecDeque::new();
        }
    }
}
