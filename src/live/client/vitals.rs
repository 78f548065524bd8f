//! `Vitals`: what is known of a connection from any thread: who it is, since when, how it does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::live::outbox::Depth;

/// What is known of a connection from any thread.
#[derive(Debug)]
pub struct Vitals {
    /// UUID v4.
    pub id: Uuid,
    /// The peer, or who it says it forwards for, if it is a trusted proxy (then with port 0 if it names none).
    pub remote: SocketAddr,
    /// Who it is, once that is known.
    subject: OnceLock<Arc<str>>,
    /// When the handshake was done.
    pub opened_at: Timestamp,
    /// When the last frame came, in milliseconds since the epoch.
    last_seen_at: AtomicI64,
    /// How many topics it is subscribed to.
    topics: AtomicU32,
    /// How many of them are areas.
    areas: AtomicU32,
    /// It negotiated compression.
    pub compressed: bool,
    /// What waits for it.
    depth: Arc<Depth>,
    terminated: AtomicBool,
    /// Wakes the connection's transport.
    waker: AtomicWaker,
}

impl Vitals {
    /// Of a connection that opens now.
    pub(crate) fn new(remote: SocketAddr, depth: Arc<Depth>, compressed: bool) -> Arc<Self> {
        let opened_at = Timestamp::now();
        Arc::new(Self {
            id: Uuid::new_v4(),
            remote,
            subject: OnceLock::new(),
            opened_at,
            last_seen_at: AtomicI64::new(opened_at.as_millis()),
            topics: AtomicU32::new(0),
            areas: AtomicU32::new(0),
            compressed,
            depth,
            terminated: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    /// Notes who it is, for good.
    pub(crate) fn set_subject(&self, subject: &Arc<str>) {
        self.subject.get_or_init(|| subject.clone());
    }

    /// Who it is, if that is known.
    pub fn subject(&self) -> Option<&str> {
        self.subject.get().map(|subject| &**subject)
    }

    /// Notes that a frame came just now.
    pub(crate) fn seen(&self) {
        self.last_seen_at.store(Timestamp::now().as_millis(), Ordering::Relaxed);
    }

    /// Notes how many topics it is subscribed to, and how many of them are areas.
    pub(crate) fn set_topics(&self, topics: usize, areas: usize) {
        self.topics.store(topics as u32, Ordering::Relaxed);
        self.areas.store(areas as u32, Ordering::Relaxed);
    }

    /// When the last frame came from the client.
    pub fn last_seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen_at.load(Ordering::Relaxed)).unwrap_or(self.opened_at)
    }

    /// How many topics it is subscribed to.
    pub fn topics(&self) -> usize {
        self.topics.load(Ordering::Relaxed) as usize
    }

    /// How many of them are areas.
    pub fn areas(&self) -> usize {
        self.areas.load(Ordering::Relaxed) as usize
    }

    /// Bytes that wait in its outbox.
    pub fn waiting(&self) -> u64 {
        self.depth.waiting.load(Ordering::Relaxed)
    }

    /// How many positions it was not sent in their turn, because it was slow.
    pub fn conflated(&self) -> u64 {
        self.depth.conflated.load(Ordering::Relaxed)
    }

    pub(crate) fn count_conflated(&self, positions: usize) {
        self.depth.conflated.fetch_add(positions as u64, Ordering::Relaxed);
    }

    /// Has the connection reset its socket, in whatever state it is.
    pub(crate) fn terminate(&self) {
        self.terminated.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// True if the connection is to reset its socket; `waker` is woken when it becomes so.
    pub(crate) fn is_terminated(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.terminated.load(Ordering::Acquire)
    }
}
