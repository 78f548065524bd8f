//! `Outbox`: what waits to be written to one connection, bounded; positions are conflated when it is full.
//!
//! Most of the time it is empty, and what is to be sent goes straight to the socket in one system call. Only what
//! the socket refuses waits here:
//!
//! 1. the rest of a frame that left in part, as a frame cannot be taken back;
//! 2. a pong and a ping, which must not wait behind a burst;
//! 3. answers and positions, in the order they came;
//! 4. the close frame, after which nothing is taken any more.

mod burst;
mod queue;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;

pub(crate) use self::burst::{Burst, Delivery, Step};
use self::queue::{Frame, MAX_SLICES, Overflow, Queue};
use super::frame;

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

/// What others may know of a connection's outbox, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    /// Bytes that wait.
    pub(crate) waiting: AtomicU64,
    /// Positions that were conflated so far.
    pub(crate) conflated: AtomicU64,
}

/// What waits to be written to one connection. Lives on its worker's thread.
#[repr(C)]
pub(crate) struct Outbox<W: ?Sized = dyn Wire> {
    /// Bytes of positions and answers that may wait before positions are conflated.
    limit: usize,
    depth: Arc<Depth>,
    inner: RefCell<Inner>,
    hot: Hot<W>,
}

/// What the fan-out needs of an outbox in the ordinary case. It touches thousands in a row, so this is one line of the
/// processor's cache, the socket itself included.
#[repr(C, align(64))]
struct Hot<W: ?Sized> {
    /// Nothing waits, and nothing stands against sending: see [`Outbox::change`].
    free: Cell<bool>,
    wire: W,
}

#[derive(Default)]
struct Inner {
    queue: Queue,
    /// A close frame was given; nothing more is taken.
    closing: bool,
    failed: Option<io::ErrorKind>,
    /// When the socket last took something, or when something began to wait.
    progress: Option<Instant>,
    /// Bursts taken but not yet offered to the socket (see [`Outbox::cork`]).
    corked: Vec<(SubscriptionId, Rc<Burst>)>,
    /// The batch they are of.
    corked_in: u64,
    waker: Option<Waker>,
}

impl<W: Wire> Outbox<W> {
    pub(crate) fn new(wire: W, limit: usize) -> Rc<Self> {
        let (depth, inner) = (Arc::default(), RefCell::default());
        Rc::new(Self { limit, depth, inner, hot: Hot { free: Cell::new(true), wire } })
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
        self.hot.free.set(!inner.is_shut() && inner.queue.is_empty());
        self.depth.waiting.store(inner.queue.bytes() as u64, Ordering::Relaxed);
        result
    }

    /// Brings what [`Outbox::deliver`] needs into the processor's cache. Asked of several in a row, they are fetched
    /// at the same time.
    pub(crate) fn warm(&self) {
        std::hint::black_box(self.hot.free.get());
    }

    /// Sends a burst: at once if nothing waits, else as soon as the socket takes it.
    pub(crate) fn deliver(&self, subscription: SubscriptionId, burst: &Burst) -> Delivery {
        let mut result = Ok(0);
        if self.hot.free.get() {
            result = self.hot.wire.try_write(&burst.joined);
            if result.as_ref().is_ok_and(|written| *written == burst.joined.len()) {
                return Delivery::Written;
            }
        }
        self.change(|inner| inner.keep(result, [(subscription, burst)], self.limit, &self.depth))
    }

    /// Takes a burst without offering it to the socket yet, so that bursts of several topics leave in one write.
    /// True for the first of batch `batch`; then [`Outbox::uncork`] must follow. What an earlier batch left corked, because
    /// its fan-out did not come to its end, is forgotten.
    pub(crate) fn cork(&self, batch: u64, subscription: SubscriptionId, burst: &Rc<Burst>) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.corked_in != batch {
            inner.corked.clear();
            inner.corked_in = batch;
        }
        inner.corked.push((subscription, burst.clone()));
        inner.corked.len() == 1
    }

    /// Sends what [`Outbox::cork`] took. Also says how many frames that was.
    pub(crate) fn uncork(&self) -> (Delivery, usize) {
        let corked = std::mem::take(&mut self.inner.borrow_mut().corked);
        let frames = corked.iter().map(|(_, burst)| burst.len()).sum();
        let delivery = match &corked[..] {
            [] => Delivery::Written, // all of it was forgotten meanwhile
            [(subscription, burst)] => self.deliver(*subscription, burst),
            several => self.deliver_several(several),
        };
        (delivery, frames)
    }

    fn deliver_several(&self, bursts: &[(SubscriptionId, Rc<Burst>)]) -> Delivery {
        let mut written = 0;
        let mut result = Ok(());
        if self.hot.free.get() {
            for some in bursts.chunks(MAX_SLICES) {
                let slices: Vec<_> = some.iter().map(|(_, burst)| IoSlice::new(&burst.joined)).collect();
                let offered: usize = some.iter().map(|(_, burst)| burst.joined.len()).sum();
                let taken = match self.hot.wire.try_write_vectored(&slices) {
                    Ok(taken) => taken,
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                };
                written += taken;
                if taken < offered {
                    break;
                }
            }
            let total: usize = bursts.iter().map(|(_, burst)| burst.joined.len()).sum();
            if written == total {
                return Delivery::Written;
            }
        }
        let result = match result {
            Err(error) if !would_block(&error) => Err(error),
            _ => Ok(written),
        };
        let bursts = bursts.iter().map(|(subscription, burst)| (*subscription, &**burst));
        self.change(|inner| inner.keep(result, bursts, self.limit, &self.depth))
    }

    /// Sends an answer, after what waits already.
    pub(crate) fn answer(&self, frame: Bytes) {
        if !self.write_past(&frame) {
            self.answer_in_two(frame, Bytes::new());
        }
    }

    /// Sends an answer whose frame is in two pieces, so that its end can be shared.
    pub(crate) fn answer_in_two(&self, head: Bytes, tail: Bytes) {
        self.put(|inner| inner.queue.push_answer(Frame { head, tail }));
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
                inner.queue.push_rest(frame.slice(written..));
            });
        }
        true
    }

    /// Sends a close frame, ahead of waiting positions, which are dropped, but after answers, which may say why.
    /// Nothing is taken after it; a second one is ignored.
    pub(crate) fn close(&self, frame: Bytes) {
        self.put(|inner| {
            inner.closing = true;
            inner.queue.push_close(frame);
        });
    }

    /// Drops the positions of a subscription that wait: it has ended, or a snapshot that is newer follows.
    pub(crate) fn forget(&self, subscription: SubscriptionId) {
        self.change(|inner| {
            inner.corked.retain(|(corked, _)| *corked != subscription);
            inner.queue.forget(subscription);
        });
    }

    /// Drops all positions that wait: nobody will read them.
    pub(crate) fn forget_all(&self) {
        self.change(|inner| {
            inner.corked.clear();
            inner.queue.forget_all();
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
            jammed
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

    /// True if the answers alone fill the outbox: nothing more should be asked.
    pub(crate) fn is_jammed(&self) -> bool {
        self.inner.borrow().queue.answers() > self.limit
    }

    /// Why the socket failed, if it did.
    pub(crate) fn failed(&self) -> Option<io::ErrorKind> {
        self.inner.borrow().failed
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

    /// Keeps what a write left over of these bursts, and sees to it that it is written later.
    fn keep<'a>(
        &mut self,
        write: io::Result<usize>,
        bursts: impl IntoIterator<Item = (SubscriptionId, &'a Burst)>,
        limit: usize,
        depth: &Depth,
    ) -> Delivery {
        if self.is_shut() {
            return Delivery::Closed;
        }
        let mut written = match write {
            Ok(written) => written,
            Err(error) if would_block(&error) => 0,
            Err(error) => {
                self.fail(error.kind());
                return Delivery::Closed;
            }
        };
        if self.queue.is_empty() {
            self.begin_to_wait();
        }
        let mut conflated = 0;
        for (subscription, burst) in bursts {
            let gone = written.min(burst.joined.len());
            written -= gone;
            match self.queue.push_burst(subscription, burst, gone, limit) {
                Ok(more) => conflated += more,
                Err(Overflow) => return Delivery::Overflow,
            }
        }
        depth.conflated.fetch_add(conflated as u64, Ordering::Relaxed);
        Delivery::Waiting { conflated }
    }
}

#[cfg(test)]
mod tests;
