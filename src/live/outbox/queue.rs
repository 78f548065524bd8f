//! `Queue`: the pieces that wait in an outbox, in order. Pure: it never sees a socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::burst::{SubscriptionId, UpdateFrame};
use crate::live::wire::frame::Frame;

/// Most pieces handed to one vectored write, two for each frame. Linux takes 1024; beyond a hundred nothing is gained.
pub(super) const MAX_SLICES: usize = 128;

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

/// Takes away the first bytes of a frame, at most `count`; returns how many.
fn advance(frame: &mut Frame, count: usize) -> usize {
    let of_head = count.min(frame.head.len());
    let of_tail = (count - of_head).min(frame.tail.len());
    for (piece, gone) in [(&mut frame.head, of_head), (&mut frame.tail, of_tail)] {
        piece.advance(gone);
        if piece.is_empty() {
            *piece = Bytes::new(); // lets go of the shared buffer it was cut from
        }
    }
    of_head + of_tail
}

/// Small, as a slow client has thousands of them.
enum Entry {
    Response(Box<Frame>),
    Update(SubscriptionId, Rc<UpdateFrame>),
}

impl Entry {
    fn frame(&self) -> &Frame {
        match self {
            Self::Response(frame) => frame,
            Self::Update(_, update) => &update.frame,
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
        self.partial.is_empty()
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

    /// Takes a frame of which the first `written` bytes have gone out, while nothing else waits.
    pub(super) fn push_rest(&mut self, frame: Frame, written: usize) {
        self.partial = frame;
        advance(&mut self.partial, written);
    }

    pub(super) fn push_update(&mut self, subscription: SubscriptionId, update: Rc<UpdateFrame>) {
        self.bytes += update.frame.len();
        self.entries.push_back(Entry::Update(subscription, update));
    }

    /// Drops all updates that wait.
    pub(super) fn drop_all_updates(&mut self) {
        self.retain(|entry| matches!(entry, Entry::Response(_)));
    }

    /// Drops all updates that wait for a subscription. Returns the number of the first of them.
    pub(super) fn forget(&mut self, subscription: SubscriptionId) -> Option<u64> {
        let mut first = None;
        self.retain(|entry| match entry {
            Entry::Update(of, update) if *of == subscription => {
                first.get_or_insert(update.number);
                false
            }
            _ => true,
        });
        first
    }

    /// Drops the positions that wait for a subscription. They stand in the order of their numbers. That a device has left
    /// is kept: nobody may know it any more when the client is caught up.
    pub(super) fn drop_positions(&mut self, subscription: SubscriptionId) -> Dropped {
        let mut dropped = Dropped::default();
        self.retain(|entry| match entry {
            Entry::Update(of, update) if *of == subscription && !update.is_left() => {
                dropped.first.get_or_insert(update.number);
                dropped.count += update.carries.count().carried();
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
            self.bytes = self.entries.iter().map(|entry| entry.frame().len()).sum();
            self.settle();
        }
    }

    /// Fills `slices` with what is to be written next and returns how many were filled.
    pub(super) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let partial = [&self.partial.head, &self.partial.tail];
        let urgent = [self.pong.as_ref(), self.ping.as_ref()];
        let entries = self.entries.iter().map(Entry::frame).flat_map(|frame| [&frame.head, &frame.tail]);
        let pieces =
            partial.into_iter().chain(urgent.into_iter().flatten()).chain(entries).chain(&self.close);
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
            if self.partial.is_empty() {
                let Some(next) = self.take_next() else { break };
                self.partial = next;
            }
            written -= advance(&mut self.partial, written);
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
        self.bytes -= entry.frame().len();
        Some(match entry {
            Entry::Response(frame) => {
                self.responses -= frame.len();
                *frame
            }
            Entry::Update(_, update) => update.frame.clone(),
        })
    }

    /// Gives memory back once nothing waits.
    fn settle(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEEP_ENTRIES {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_queue_gives_its_memory_back_when_it_is_empty() {
        for (entries, keeps) in [(KEEP_ENTRIES, true), (KEEP_ENTRIES + 1, false)] {
            let mut queue = Queue::default();
            (0..entries).for_each(|_| queue.push_response(Bytes::from_static(b"x").into()));
            queue.advance(entries);
            assert!(queue.is_empty());
            assert_eq!(queue.entries.capacity() > 0, keeps, "{entries}");
        }
    }
}
