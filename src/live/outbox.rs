//! `Outbox`: what waits to be written to one connection, bounded.
//!
//! Most of the time it is empty, and what is to be sent goes straight to the socket in one system call. Only what
//! the socket refuses waits here:
//!
//! 1. the rest of a frame that left in part, as a frame cannot be taken back;
//! 2. a pong and a ping, which must not wait behind a burst;
//! 3. responses and updates, in the order they came;
//! 4. the close frame, after which nothing is taken any more.
//!
//! Updates that would be more than the limit are not kept at all: their subscription has fallen behind, and is caught up
//! from the latest positions as soon as all that waits is written (see `fanout/catchup`).

mod budget;
mod burst;
mod deliver;
mod queue;
mod snapshot;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

pub(crate) use self::budget::Budget;
pub(crate) use self::burst::{Burst, Carries, Count, Delivery, SubscriptionId, UpdateFrame};
use self::queue::{MAX_SLICES, Queue};
use super::wire::frame::{self, Frame};

/// A socket, as far as the outbox needs one. Both return at once, with [`io::ErrorKind::WouldBlock`] if nothing
/// can be written now.
pub(crate) trait Wire {
    /// Writes what it can of `bytes`.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes what it can of `slices`, in order.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// What others may know of a connection's outbox, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    /// Bytes that wait.
    pub(crate) waiting: AtomicU64,
    /// Updates that were not sent in their turn so far, because the client was slow.
    pub(crate) conflated: AtomicU64,
}

/// A subscription whose updates do not fit any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) subscription: SubscriptionId,
    /// Every update of it up to this number has been sent or is in the socket's queue, none after it.
    pub(crate) since: u64,
    /// How many updates were dropped.
    pub(crate) dropped: usize,
}

/// What waits to be written to one connection. Lives on its worker's thread.
#[repr(C)]
pub(crate) struct Outbox<W: ?Sized = dyn Wire> {
    /// Bytes of updates that may wait before their subscriptions fall behind; also bytes of responses before the client
    /// is not read any more.
    limit: usize,
    /// What may wait for all clients of the worker.
    budget: Arc<Budget>,
    depth: Arc<Depth>,
    inner: RefCell<Inner>,
    hot: Hot<W>,
}

/// What the fan-out needs of an outbox in the ordinary case. It touches thousands in a row, so this is one line of the
/// processor's cache, the socket itself included.
#[repr(C, align(64))]
struct Hot<W: ?Sized> {
    /// Queue empty, no close queued, no message half sent, socket not failed; maintained by [`Outbox::change`].
    free: Cell<bool>,
    /// See [`Outbox::set_sole`].
    sole: Cell<bool>,
    wire: W,
}

#[derive(Default)]
struct Inner {
    queue: Queue,
    /// A close frame was given; nothing more is taken.
    closing: bool,
    /// What is sent waits until it is let go; see [`Outbox::hold`].
    held: bool,
    /// A message is under way whose later fragments are still to come; no other message may come between.
    streaming: bool,
    /// Responses that came meanwhile, and who left in between.
    after_stream: Vec<Frame>,
    failed: Option<io::ErrorKind>,
    /// When the socket last took something, or when something began to wait.
    progress: Option<Instant>,
    /// Bursts taken but not yet offered to the socket (see [`Outbox::cork`]).
    corked: SmallVec<[(SubscriptionId, Rc<Burst>); 1]>,
    /// The batch they are of.
    corked_in: u64,
    /// Subscriptions that have fallen behind and were not yet taken note of.
    behind: Vec<Behind>,
    /// Bytes of snapshots since [`Outbox::take_charge`].
    charge: usize,
    waker: Option<Waker>,
}

impl<W: Wire> Outbox<W> {
    pub(crate) fn new(wire: W, limit: usize, budget: Arc<Budget>) -> Rc<Self> {
        let (depth, inner) = (Arc::default(), RefCell::default());
        Rc::new(Self {
            limit,
            budget,
            depth,
            inner,
            hot: Hot { free: Cell::new(true), sole: Cell::new(true), wire },
        })
    }

    /// The socket it writes to.
    pub(crate) fn wire(&self) -> &W {
        &self.hot.wire
    }
}

impl<W: Wire + ?Sized> Outbox<W> {
    /// The figures that others may see.
    pub(crate) fn depth(&self) -> Arc<Depth> {
        self.depth.clone()
    }

    /// Changes what is inside; afterwards `free` and the figures are true again.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.borrow_mut();
        let result = change(&mut inner);
        self.hot.free.set(!inner.is_shut() && !inner.streaming && !inner.held && inner.queue.is_empty());
        self.depth.waiting.store(inner.queue.bytes() as u64, Ordering::Relaxed);
        result
    }

    /// Brings what [`Outbox::deliver`] needs into the processor's cache. Asked of several in a row, they are fetched
    /// at the same time.
    pub(crate) fn warm(&self) {
        std::hint::black_box(self.hot.free.get());
    }

    /// Notes whether its client has one subscription at most: then nothing else can come to leave in one write with an update.
    pub(crate) fn set_sole(&self, is_sole: bool) {
        self.hot.sole.set(is_sole);
    }

    /// What [`Outbox::set_sole`] noted.
    pub(crate) fn is_sole(&self) -> bool {
        self.hot.sole.get()
    }

    /// Sends updates of a subscription that is being caught up, whatever the limit.
    pub(crate) fn catch_up(
        &self,
        subscription: SubscriptionId,
        updates: impl IntoIterator<Item = Rc<UpdateFrame>>,
    ) {
        self.put(|inner| {
            updates.into_iter().for_each(|update| inner.queue.push_update(subscription, update));
        });
    }

    /// Keeps what is sent from now on together, to be written at once when it is held no more.
    pub(crate) fn hold(&self, hold: bool) {
        self.change(|inner| inner.held = hold);
        if !hold && !self.is_empty() {
            self.flush();
            if !self.is_empty() {
                self.wake();
            }
        }
    }

    /// Sends a response, after what waits already.
    pub(crate) fn respond(&self, frame: Bytes) {
        if !self.write_past(&frame) {
            self.put(|inner| inner.respond(frame.into()));
        }
    }

    /// Sends a ping, ahead of all that waits.
    pub(crate) fn ping(&self) {
        if !self.write_past(&frame::PING_FRAME) {
            self.put(|inner| inner.queue.ping = Some(frame::PING_FRAME));
        }
    }

    /// Answers a ping, ahead of all that waits. An older pong that still waits is replaced, as RFC 6455
    /// section 5.5.3 allows, so that a flood of pings costs no memory.
    pub(crate) fn pong(&self, payload: &[u8]) {
        let frame = frame::pong(payload);
        if !self.write_past(&frame) {
            self.put(|inner| inner.queue.pong = Some(frame));
        }
    }

    /// Writes a frame past the queue if nothing waits there. False if none of it was taken; if that is because the
    /// socket has failed, the queue's own attempt will meet it again.
    fn write_past(&self, frame: &Bytes) -> bool {
        if !self.hot.free.get() {
            return false;
        }
        let Ok(written) = self.hot.wire.try_write(frame) else { return false };
        if written < frame.len() {
            self.change(|inner| {
                inner.begin_to_wait();
                inner.queue.push_rest(frame.clone().into(), written);
            });
        }
        true
    }

    /// Sends a close frame, ahead of waiting updates, which are dropped, but after responses, which may say why; except for
    /// those that wait for the end of a message under way, as that is not completed. Nothing is taken after it; a second
    /// one is ignored.
    pub(crate) fn close(&self, frame: Bytes) {
        self.put(|inner| {
            inner.closing = true;
            // A close frame may come between the fragments of a message (RFC 6455 section 5.4); no more of it follows.
            inner.streaming = false;
            inner.after_stream = Vec::new();
            inner.queue.push_close(frame);
        });
    }

    /// Drops the updates of a subscription that wait: it has ended, or a snapshot that is newer follows. Returns the number of
    /// the first of those that an earlier fan-out brought.
    pub(crate) fn forget(&self, subscription: SubscriptionId) -> Option<u64> {
        self.change(|inner| {
            inner.corked.retain(|(corked, _)| *corked != subscription);
            inner.behind.retain(|behind| behind.subscription != subscription);
            inner.queue.forget(subscription)
        })
    }

    /// Drops all updates that wait: nobody will read them.
    pub(crate) fn forget_all(&self) {
        self.change(|inner| {
            inner.corked.clear();
            inner.behind.clear();
            inner.queue.drop_all_updates();
        });
    }

    fn put(&self, put: impl FnOnce(&mut Inner)) {
        let jammed = self.change(|inner| {
            if inner.is_shut() {
                return true;
            }
            let jammed = !inner.queue.is_empty();
            put(inner);
            if !jammed {
                inner.progress = Some(Instant::now());
            }
            jammed || inner.held
        });
        // Where something waits already, whoever waits for the socket finds the new piece as well.
        if !jammed {
            self.flush();
            if !self.is_empty() {
                self.wake();
            }
        }
    }

    /// Writes what waits until the socket takes no more.
    pub(crate) fn flush(&self) {
        self.change(|inner| {
            while !inner.queue.is_empty() && inner.failed.is_none() {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = inner.queue.gather(&mut slices);
                match self.hot.wire.try_write_vectored(&slices[..count]) {
                    Ok(written) => {
                        inner.progress = Some(Instant::now());
                        inner.queue.advance(written);
                    }
                    Err(error) if would_block(&error) => break,
                    Err(error) => inner.fail(error.kind()),
                }
            }
        });
    }

    /// Remembers whom to wake when something begins to wait, or the socket fails.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut inner = self.inner.borrow_mut();
        if !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        self.inner.borrow().wake();
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.borrow().queue.is_empty()
    }

    /// True if the responses alone fill the outbox, or one of them is not complete: nothing more should be asked.
    pub(crate) fn is_jammed(&self) -> bool {
        let inner = self.inner.borrow();
        inner.streaming || inner.queue.responses() > self.limit
    }

    /// True in the middle of a message that is sent in fragments.
    pub(crate) fn is_streaming(&self) -> bool {
        self.inner.borrow().streaming
    }

    /// Why the socket failed, if it did.
    pub(crate) fn failed(&self) -> Option<io::ErrorKind> {
        self.inner.borrow().failed
    }

    /// When the socket last took something that had waited, or something began to wait; `None` if nothing ever did.
    pub(crate) fn progress(&self) -> Option<Instant> {
        self.inner.borrow().progress
    }

    /// Since when the socket has taken nothing of what waits; `None` if nothing waits.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        let inner = self.inner.borrow();
        if inner.queue.is_empty() { None } else { inner.progress }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Inner {
    /// True if nothing more is taken.
    fn is_shut(&self) -> bool {
        self.closing || self.failed.is_some()
    }

    fn respond(&mut self, frame: Frame) {
        if self.streaming {
            self.after_stream.push(frame);
        } else {
            self.queue.push_response(frame);
        }
    }

    fn fail(&mut self, kind: io::ErrorKind) {
        self.failed = Some(kind);
        self.wake();
    }

    /// Something is about to wait where nothing did: whoever waits for the socket has to know.
    fn begin_to_wait(&mut self) {
        self.progress = Some(Instant::now());
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
pub(crate) mod pipe;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod woken;
