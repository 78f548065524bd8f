//! `Queue`: the pieces that wait in an outbox, and conflation. Pure: it never sees a socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

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
    partial: Frame,
    pub(super) pong: Option<Bytes>,
    pub(super) ping: Option<Bytes>,
    entries: VecDeque<Entry>,
    /// Bytes in `entries`.
    bytes: usize,
    /// Of these, bytes of answers.
    answers: usize,
    /// Where the waiting position of each device stands, by [`Entry::hash`]; kept only while conflating. The number
    /// counts from the first entry that ever was in the queue, so that it stays true when entries leave.
    index: Option<HashTable<u64>>,
    /// Entries that have left.
    departed: u64,
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
    Answer(Box<Frame>),
    Position(SubscriptionId, Rc<Step>),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Answer(frame) => frame.len(),
            Self::Position(_, step) => step.frame.len(),
        }
    }

    fn pieces(&self) -> [Option<&Bytes>; 2] {
        match self {
            Self::Answer(frame) => [Some(&frame.head), Some(&frame.tail)],
            Self::Position(_, step) => [Some(&step.frame), None],
        }
    }

    /// The same for all that [`Entry::replaces`] holds for.
    fn hash(&self) -> u64 {
        match self {
            Self::Answer(_) => 0,
            // An odd constant with its bits well mixed (2^64 divided by the golden ratio).
            Self::Position(subscription, step) => {
                step.hash ^ u64::from(*subscription).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            }
        }
    }

    /// A newer position of the same device replaces an older one of the same subscription.
    fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Position(a, new), Self::Position(b, old)) => a == b && new.device == old.device,
            _ => false,
        }
    }
}

/// Where the position stands that `new` replaces, or a place for `new` in the index.
fn find<'a>(
    index: &'a mut HashTable<u64>,
    entries: &VecDeque<Entry>,
    departed: u64,
    new: &Entry,
) -> Place<'a, u64> {
    let entry = |place: &u64| &entries[(place - departed) as usize];
    index.entry(new.hash(), |place| new.replaces(entry(place)), |place| entry(place).hash())
}

/// It does not fit, even conflated.
pub(super) struct Overflow;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.partial.len() == 0
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

    pub(super) fn push_answer(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.answers += frame.len();
        self.entries.push_back(Entry::Answer(Box::new(frame)));
    }

    /// Puts the close frame behind the answers that wait; positions and a ping have no use any more.
    pub(super) fn push_close(&mut self, frame: Bytes) {
        self.close = Some(frame);
        self.ping = None;
        self.forget_all();
    }

    /// Drops all positions that wait.
    pub(super) fn forget_all(&mut self) {
        self.retain(|entry| matches!(entry, Entry::Answer(_)));
    }

    /// Drops what waits for a subscription.
    pub(super) fn forget(&mut self, subscription: SubscriptionId) {
        self.retain(|entry| !matches!(entry, Entry::Position(of, _) if *of == subscription));
    }

    /// Takes the rest of a frame that left in part, while nothing else waits.
    pub(super) fn push_rest(&mut self, rest: Bytes) {
        self.partial = rest.into();
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
        for step in &burst.steps {
            let length = step.frame.len();
            if written >= length {
                written -= length;
            } else if written > 0 {
                self.push_rest(step.frame.slice(written..));
                written = 0;
            } else {
                conflated += self.push(Entry::Position(subscription, step.clone()), limit)?;
            }
        }
        Ok(conflated)
    }

    fn push(&mut self, new: Entry, limit: usize) -> Result<usize, Overflow> {
        let length = new.len();
        let mut conflated = 0;
        if self.index.is_none() && self.is_full(length, limit) {
            conflated = self.conflate();
        }
        let full = self.is_full(length, limit);
        if let Some(index) = &mut self.index {
            match find(index, &self.entries, self.departed, &new) {
                Place::Occupied(place) => {
                    // Its place in the queue is kept: a device that moves often must not wait for ever behind others.
                    let old = &mut self.entries[(place.get() - self.departed) as usize];
                    self.bytes = self.bytes - old.len() + length;
                    *old = new;
                    return if self.is_full(0, limit) { Err(Overflow) } else { Ok(conflated + 1) };
                }
                Place::Vacant(_) if full => return Err(Overflow),
                Place::Vacant(place) => {
                    place.insert(self.departed + self.entries.len() as u64);
                }
            }
        }
        self.bytes += length;
        self.entries.push_back(new);
        Ok(conflated)
    }

    /// Leaves one position for each device of each subscription, the newest, at the place of the oldest.
    fn conflate(&mut self) -> usize {
        let before = self.entries.len();
        let mut index: HashTable<u64> = HashTable::new();
        let mut entries: VecDeque<Entry> = VecDeque::new();
        for new in self.entries.drain(..) {
            if let Entry::Position(..) = new {
                match find(&mut index, &entries, 0, &new) {
                    Place::Occupied(place) => {
                        let place = *place.get() as usize;
                        entries[place] = new;
                        continue;
                    }
                    Place::Vacant(place) => {
                        place.insert(entries.len() as u64);
                    }
                }
            }
            entries.push_back(new);
        }
        self.entries = entries;
        self.departed = 0;
        self.index = Some(index);
        self.count_bytes();
        before - self.entries.len()
    }

    fn count_bytes(&mut self) {
        self.bytes = self.entries.iter().map(Entry::len).sum();
    }

    fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() == before {
            return;
        }
        if self.index.is_some() {
            // Places have moved; nothing is conflated by this, as each device stands in the queue once.
            self.conflate();
        } else {
            self.count_bytes();
        }
        self.settle();
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
        if let Some(index) = &mut self.index
            && let Ok(found) = index.find_entry(entry.hash(), |place| *place == self.departed)
        {
            found.remove();
        }
        self.departed += 1;
        Some(match entry {
            Entry::Answer(frame) => {
                self.answers -= frame.len();
                *frame
            }
            Entry::Position(_, step) => step.frame.clone().into(),
        })
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
