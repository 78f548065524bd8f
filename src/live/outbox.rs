//! `Outbox`: what waits to be written to one connection, bounded; positions are conflated when it is full.
//!
//! Most of the time it is empty, and what is to be sent goes straight to the socket in one system call. Only what
//! the socket refuses waits here:
//!
//! 1. the rest of a frame that left in part, as a frame cannot be taken back;
//! 2. a pong and a ping, which must not wait behind a burst;
//! 3. answers and positions, in the order they came;
//! 4. the close frame, after which nothing is taken any more.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use bytes::{Buf, Bytes};

use super::frame;

/// Most pieces handed to one vectored write. Linux takes 1024; beyond a few dozen nothing is gained.
const MAX_SLICES: usize = 64;

/// A queue that grew beyond this many entries gives its memory back when it is empty.
const KEEP_ENTRIES: usize = 16;

/// A socket, as far as the outbox needs one. Both return at once, with [`io::ErrorKind::WouldBlock`] if nothing
/// can be written now.
pub(crate) trait Wire {
    /// Writes what it can of `bytes`.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes what it can of `slices`, in order.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Tells one subscription of a connection from its others.
pub(crate) type SubscriptionId = u32;

/// Positions of one topic that came in together, as frames: shared by all subscribers of the topic.
#[derive(Debug)]
pub(crate) struct Burst {
    /// In the order they are sent.
    pub(crate) steps: Vec<Step>,
    /// All frames, one behind the other.
    pub(crate) joined: Bytes,
}

/// One position of a burst.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Whose position it is: a newer one replaces it while it waits.
    pub(crate) device: Arc<str>,
    /// The encoded frame.
    pub(crate) frame: Bytes,
}

/// What became of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of it went to the kernel.
    Written,
    /// Some of it waits; so many older positions were replaced by newer ones.
    Waiting {
        /// Positions that were replaced.
        conflated: usize,
    },
    /// It does not fit, even conflated. The connection is to be closed as too slow.
    Overflow,
    /// The connection is closing or its socket has failed.
    Closed,
}

/// What others may know of a connection's outbox, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    /// Bytes that wait.
    pub(crate) waiting: AtomicU64,
    /// Positions that were conflated so far.
    pub(crate) conflated: AtomicU64,
}

/// What waits to be written to one connection. Lives on its worker's thread.
pub(crate) struct Outbox {
    wire: Box<dyn Wire>,
    /// Bytes of positions and answers that may wait before positions are conflated.
    limit: usize,
    depth: Arc<Depth>,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The rest of a frame that left in part.
    partial: Bytes,
    pong: Option<Bytes>,
    ping: Option<Bytes>,
    queue: VecDeque<Entry>,
    /// Bytes in `queue`.
    queued: usize,
    /// Of these, bytes of answers.
    answers: usize,
    /// Where the waiting position of a device stands; kept only while conflating. The number counts from the
    /// first entry that ever was in the queue, so that it stays true when entries leave.
    index: Option<HashMap<Key, u64>>,
    /// Entries that have left the queue.
    departed: u64,
    close: Option<Bytes>,
    /// A close frame was given; nothing more is taken.
    closing: bool,
    failed: Option<io::ErrorKind>,
    /// When the socket last took something, or when something began to wait.
    progress: Option<Instant>,
    /// Bursts taken but not yet offered to the socket (see [`Outbox::cork`]).
    corked: Vec<(SubscriptionId, std::rc::Rc<Burst>)>,
    waker: Option<Waker>,
}

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

struct Overflow;

impl Outbox {
    pub(crate) fn new(wire: Box<dyn Wire>, limit: usize) -> Self {
        Self { wire, limit, depth: Arc::default(), inner: RefCell::default() }
    }

    /// The figures that others may see.
    pub(crate) fn depth(&self) -> Arc<Depth> {
        self.depth.clone()
    }

    /// Sends a burst: at once if nothing waits, else as soon as the socket takes it.
    pub(crate) fn deliver(&self, subscription: SubscriptionId, burst: &Burst) -> Delivery {
        let mut inner = self.inner.borrow_mut();
        if inner.closing || inner.failed.is_some() {
            return Delivery::Closed;
        }
        let mut written = 0;
        if inner.is_empty() {
            written = match self.wire.try_write(&burst.joined) {
                Ok(written) if written == burst.joined.len() => return Delivery::Written,
                Ok(written) => written,
                Err(error) if would_block(&error) => 0,
                Err(error) => {
                    inner.fail(error.kind());
                    return Delivery::Closed;
                }
            };
            inner.begin_waiting();
        }
        let delivery = match inner.enqueue(subscription, burst, written, self.limit) {
            Ok(conflated) => Delivery::Waiting { conflated },
            Err(Overflow) => Delivery::Overflow,
        };
        self.publish(&inner, delivery);
        delivery
    }

    /// Takes a burst without offering it to the socket yet, so that bursts of several topics leave in one write.
    /// True for the first since the last [`Outbox::uncork`], which must follow.
    pub(crate) fn cork(&self, subscription: SubscriptionId, burst: &std::rc::Rc<Burst>) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.corked.push((subscription, burst.clone()));
        inner.corked.len() == 1
    }

    /// Sends what [`Outbox::cork`] took. Also says how many frames that was.
    pub(crate) fn uncork(&self) -> (Delivery, usize) {
        let mut inner = self.inner.borrow_mut();
        let corked = std::mem::take(&mut inner.corked);
        let frames = corked.iter().map(|(_, burst)| burst.steps.len()).sum();
        if corked.is_empty() {
            return (Delivery::Written, 0); // all of it was forgotten meanwhile
        }
        if let [(subscription, burst)] = &corked[..] {
            drop(inner);
            return (self.deliver(*subscription, burst), frames);
        }
        if inner.closing || inner.failed.is_some() {
            return (Delivery::Closed, frames);
        }
        let mut written = 0;
        if inner.is_empty() {
            let total: usize = corked.iter().map(|(_, burst)| burst.joined.len()).sum();
            let slices: Vec<_> =
                corked.iter().take(MAX_SLICES).map(|(_, burst)| IoSlice::new(&burst.joined)).collect();
            written = match self.wire.try_write_vectored(&slices) {
                Ok(written) if written == total => return (Delivery::Written, frames),
                Ok(written) => written,
                Err(error) if would_block(&error) => 0,
                Err(error) => {
                    inner.fail(error.kind());
                    return (Delivery::Closed, frames);
                }
            };
            inner.begin_waiting();
        }
        let mut conflated = 0;
        for (subscription, burst) in &corked {
            let skip = written.min(burst.joined.len());
            written -= skip;
            match inner.enqueue(*subscription, burst, skip, self.limit) {
                Ok(more) => conflated += more,
                Err(Overflow) => return (Delivery::Overflow, frames),
            }
        }
        let delivery = Delivery::Waiting { conflated };
        self.publish(&inner, delivery);
        (delivery, frames)
    }

    /// Sends an answer, after what waits already.
    pub(crate) fn answer(&self, frame: Bytes) {
        self.put(|inner| {
            inner.queued += frame.len();
            inner.answers += frame.len();
            inner.queue.push_back(Entry::Answer(frame));
        });
    }

    /// Sends a ping, ahead of all that waits.
    pub(crate) fn ping(&self) {
        self.put(|inner| inner.ping = Some(frame::PING_FRAME));
    }

    /// Answers a ping, ahead of all that waits. An older pong that still waits is replaced, as RFC 6455
    /// section 5.5.3 allows, so that a flood of pings costs no memory.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.put(|inner| inner.pong = Some(frame::pong(payload)));
    }

    /// Sends a close frame, ahead of waiting positions, which are dropped, but after answers, which may say why.
    /// Nothing is taken after it; a second one is ignored.
    pub(crate) fn close(&self, frame: Bytes) {
        self.put(|inner| {
            inner.closing = true;
            inner.close = Some(frame);
            inner.ping = None;
            inner.retain(|entry| matches!(entry, Entry::Answer(_)));
        });
    }

    /// Drops the positions of a subscription that wait: it has ended, or a snapshot that is newer follows.
    pub(crate) fn forget(&self, subscription: SubscriptionId) {
        let mut inner = self.inner.borrow_mut();
        inner.corked.retain(|(corked, _)| *corked != subscription);
        inner.retain(|entry| !matches!(entry, Entry::Position { key, .. } if key.0 == subscription));
        self.depth.waiting.store(inner.queued as u64, Ordering::Relaxed);
    }

    fn put(&self, change: impl FnOnce(&mut Inner)) {
        {
            let mut inner = self.inner.borrow_mut();
            if inner.closing || inner.failed.is_some() {
                return;
            }
            let waited = !inner.is_empty();
            change(&mut inner);
            if waited {
                // The socket is full; who waits for it to take more will find the new piece as well.
                self.depth.waiting.store(inner.queued as u64, Ordering::Relaxed);
                return;
            }
            inner.progress = Some(Instant::now());
        }
        self.flush();
        self.wake();
    }

    /// Writes what waits until the socket takes no more.
    pub(crate) fn flush(&self) {
        let mut inner = self.inner.borrow_mut();
        while !inner.is_empty() && inner.failed.is_none() {
            let result = {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = inner.gather(&mut slices);
                self.wire.try_write_vectored(&slices[..count])
            };
            match result {
                Ok(written) => {
                    inner.progress = Some(Instant::now());
                    inner.advance(written);
                }
                Err(error) if would_block(&error) => break,
                Err(error) => inner.fail(error.kind()),
            }
        }
        self.depth.waiting.store(inner.queued as u64, Ordering::Relaxed);
    }

    /// Remembers whom to wake when something begins to wait, or the socket fails.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut inner = self.inner.borrow_mut();
        if !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        let waker = self.inner.borrow().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.borrow().is_empty()
    }

    /// True if the answers alone fill the outbox: nothing more should be asked.
    pub(crate) fn is_jammed(&self) -> bool {
        self.inner.borrow().answers > self.limit
    }

    /// Why the socket failed, if it did.
    pub(crate) fn failed(&self) -> Option<io::ErrorKind> {
        self.inner.borrow().failed
    }

    /// Since when the socket has taken nothing of what waits; `None` if nothing waits.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        let inner = self.inner.borrow();
        if inner.is_empty() { None } else { inner.progress }
    }

    /// Makes known what `deliver` left behind, and wakes whoever writes it later.
    fn publish(&self, inner: &Inner, delivery: Delivery) {
        if let Delivery::Waiting { conflated } = delivery {
            self.depth.conflated.fetch_add(conflated as u64, Ordering::Relaxed);
        }
        self.depth.waiting.store(inner.queued as u64, Ordering::Relaxed);
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Inner {
    fn is_empty(&self) -> bool {
        self.partial.is_empty()
            && self.queue.is_empty()
            && self.ping.is_none()
            && self.pong.is_none()
            && self.close.is_none()
    }

    fn fail(&mut self, kind: io::ErrorKind) {
        self.failed = Some(kind);
        self.wake();
    }

    fn begin_waiting(&mut self) {
        self.progress = Some(Instant::now());
        self.wake();
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Takes what is left of a burst whose first `written` bytes have gone out. Returns how many were conflated.
    fn enqueue(
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
        if self.index.is_none() && self.queued + frame.len() > limit {
            conflated = self.conflate();
        }
        if let Some(place) = self.index.as_ref().and_then(|index| index.get(&key)) {
            // Its place in the queue is kept: a device that moves often must not wait for ever behind the others.
            let entry = &mut self.queue[(place - self.departed) as usize];
            self.queued = self.queued - entry.bytes().len() + frame.len();
            *entry = Entry::Position { key, frame };
            return Ok(conflated + 1);
        }
        if self.queued + frame.len() > limit {
            return Err(Overflow);
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.departed + self.queue.len() as u64);
        }
        self.queued += frame.len();
        self.queue.push_back(Entry::Position { key, frame });
        Ok(conflated)
    }

    /// Leaves one position for each device of each subscription, the newest, at the place of the oldest.
    fn conflate(&mut self) -> usize {
        let before = self.queue.len();
        let mut index = HashMap::new();
        let mut queue: VecDeque<Entry> = VecDeque::new();
        for entry in self.queue.drain(..) {
            if let Entry::Position { key, .. } = &entry {
                if let Some(place) = index.get(key) {
                    queue[*place as usize] = entry;
                    continue;
                }
                index.insert(key.clone(), queue.len() as u64);
            }
            queue.push_back(entry);
        }
        self.queue = queue;
        self.departed = 0;
        self.index = Some(index);
        self.queued = self.queue.iter().map(|entry| entry.bytes().len()).sum();
        before - self.queue.len()
    }

    fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        self.queue.retain(keep);
        self.queued = self.queue.iter().map(|entry| entry.bytes().len()).sum();
        if self.index.is_some() {
            // Places have moved; nothing is conflated by this, as each device stands in the queue once.
            self.conflate();
        }
        self.settle();
    }

    /// Fills `slices` with what is to be written next and returns how many were filled.
    fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let urgent = [Some(&self.partial), self.pong.as_ref(), self.ping.as_ref()];
        let pieces =
            urgent.into_iter().flatten().chain(self.queue.iter().map(Entry::bytes)).chain(&self.close);
        let pieces = pieces.filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Takes away what has gone out: the first `written` bytes of what [`Inner::gather`] showed.
    fn advance(&mut self, mut written: usize) {
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

    /// The next whole frame, in the order of [`Inner::gather`].
    fn take_next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.pong.take().or_else(|| self.ping.take()) {
            return Some(frame);
        }
        let Some(entry) = self.queue.pop_front() else {
            return self.close.take();
        };
        self.departed += 1;
        self.queued -= entry.bytes().len();
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

    /// Gives memory back once the queue is empty.
    fn settle(&mut self) {
        if self.queue.is_empty() {
            self.index = None;
            if self.queue.capacity() > KEEP_ENTRIES {
                self.queue = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
mod tests;
