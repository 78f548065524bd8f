//! `Queue`: the pieces that wait in an outbox, and conflation. Pure: it never sees a socket.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Burst, Step, SubscriptionId};

/// Most pieces handed to one vectored write. Linux takes 1024; beyond a few dozen nothing is gained.
pub(super) const MAX_SLICES: usize = 64;

/// A queue with room for more entries than this gives its memory back when it is empty. (Room for four is the least
/// that is ever taken, and enough for a client that is not slow.)
const KEEP_ENTRIES: usize = 4;

/// What waits, in the order it is to be written.
#[derive(Default)]
pub(super) struct Queue {
    /// The rest of a frame that left in part.
    partial: Bytes,
    pub(super) pong: Option<Bytes>,
    pub(super) ping: Option<Bytes>,
    entries: VecDeque<Entry>,
    /// Bytes in `entries`.
    bytes: usize,
    /// Of these, bytes of answers.
    answers: usize,
    /// Where the waiting position of a device stands; kept only while conflating. The number counts from the
    /// first entry that ever was in the queue, so that it stays true when entries leave.
    index: Option<HashMap<Key, u64>>,
    /// Entries that have left.
    departed: u64,
    close: Option<Bytes>,
}

/// A newer position of the same device replaces an older one of the same subscription.
type Key = (SubscriptionId, Arc<str>);

enum Entry {
    Answer(Bytes),
    Position { key: Key, frame: Bytes },
}

impl Entry {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Answer(frame) | Self::Position { frame, .. } => frame,
        }
    }
}

/// It does not fit, even conflated.
pub(super) struct Overflow;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.partial.is_empty()
            && self.entries.is_empty()
            && self.ping.is_none()
            && self.pong.is_none()
            && self.close.is_none()
    }

    /// Bytes that wait: of answers and positions, and of the frame that left in part.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.partial.len()
    }

    /// Bytes of answers; the frame that left in part is taken for one.
    pub(super) fn answers(&self) -> usize {
        self.answers + self.partial.len()
    }

    /// True if `more` bytes of positions do not fit. Answers are bounded in another way (see `Outbox::is_jammed`): a long
    /// snapshot must not push out the positions that follow it.
    fn is_full(&self, more: usize, limit: usize) -> bool {
        self.bytes - self.answers + more > limit
    }

    pub(super) fn push_answer(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.answers += frame.len();
        self.entries.push_back(Entry::Answer(frame));
    }

    /// Puts the close frame behind the answers that wait; positions and a ping have no use any more.
    pub(super) fn push_close(&mut self, frame: Bytes) {
        self.close = Some(frame);
        self.ping = None;
        self.retain(|entry| matches!(entry, Entry::Answer(_)));
    }

    /// Drops what waits for a subscription.
    pub(super) fn forget(&mut self, subscription: SubscriptionId) {
        self.retain(|entry| !matches!(entry, Entry::Position { key, .. } if key.0 == subscription));
    }

    /// Takes what is left of a burst whose first `written` bytes have gone out. Returns how many positions were
    /// conflated.
    pub(super) fn push_burst(
        &mut self,
        subscription: SubscriptionId,
        burst: &Burst,
        mut written: usize,
        limit: usize,
    ) -> Result<usize, Overflow> {
        let mut conflated = 0;
        for Step { device, frame } in &burst.steps {
            if written >= frame.len() {
                written -= frame.len();
            } else if written > 0 {
                self.partial = frame.slice(written..);
                written = 0;
            } else {
                conflated += self.push((subscription, device.clone()), frame.clone(), limit)?;
            }
        }
        Ok(conflated)
    }

    fn push(&mut self, key: Key, frame: Bytes, limit: usize) -> Result<usize, Overflow> {
        let mut conflated = 0;
        if self.index.is_none() && self.is_full(frame.len(), limit) {
            conflated = self.conflate();
        }
        if let Some(place) = self.index.as_ref().and_then(|index| index.get(&key)) {
            // Its place in the queue is kept: a device that moves often must not wait for ever behind the others.
            let entry = &mut self.entries[(place - self.departed) as usize];
            self.bytes = self.bytes - entry.bytes().len() + frame.len();
            *entry = Entry::Position { key, frame };
            return if self.is_full(0, limit) { Err(Overflow) } else { Ok(conflated + 1) };
        }
        if self.is_full(frame.len(), limit) {
            return Err(Overflow);
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.departed + self.entries.len() as u64);
        }
        self.bytes += frame.len();
        self.entries.push_back(Entry::Position { key, frame });
        Ok(conflated)
    }

    /// Leaves one position for each device of each subscription, the newest, at the place of the oldest.
    fn conflate(&mut self) -> usize {
        let before = self.entries.len();
        let mut index = HashMap::new();
        let mut entries: VecDeque<Entry> = VecDeque::new();
        for entry in self.entries.drain(..) {
            if let Entry::Position { key, .. } = &entry {
                if let Some(place) = index.get(key) {
                    entries[*place as usize] = entry;
                    continue;
                }
                index.insert(key.clone(), entries.len() as u64);
            }
            entries.push_back(entry);
        }
        self.entries = entries;
        self.departed = 0;
        self.index = Some(index);
        self.bytes = self.entries.iter().map(|entry| entry.bytes().len()).sum();
        before - self.entries.len()
    }

    fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        self.entries.retain(keep);
        self.bytes = self.entries.iter().map(|entry| entry.bytes().len()).sum();
        if self.index.is_some() {
            // Places have moved; nothing is conflated by this, as each device stands in the queue once.
            self.conflate();
        }
        self.settle();
    }

    /// Fills `slices` with what is to be written next and returns how many were filled.
    pub(super) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let urgent = [Some(&self.partial), self.pong.as_ref(), self.ping.as_ref()];
        let entries = self.entries.iter().map(Entry::bytes);
        let pieces = urgent.into_iter().flatten().chain(entries).chain(&self.close);
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
            let gone = written.min(self.partial.len());
            self.partial.advance(gone);
            written -= gone;
        }
        if self.partial.is_empty() {
            self.partial = Bytes::new(); // lets go of the shared buffer it was cut from
        }
        self.settle();
    }

    /// The next whole frame, in the order of [`Queue::gather`].
    fn take_next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.pong.take().or_else(|| self.ping.take()) {
            return Some(frame);
        }
        let Some(entry) = self.entries.pop_front() else {
            return self.close.take();
        };
        self.departed += 1;
        self.bytes -= entry.bytes().len();
        match entry {
            Entry::Answer(frame) => {
                self.answers -= frame.len();
                Some(frame)
            }
            Entry::Position { key, frame } => {
                if let Some(index) = &mut self.index {
                    index.remove(&key);
                }
                Some(frame)
            }
        }
    }

    /// Gives memory back once nothing waits.
    fn settle(&mut self) {
        if self.entries.is_empty() {
            self.index = None;
            if self.entries.capacity() > KEEP_ENTRIES {
                self.entries = VecDeque::new();
            }
        }
    }
}
