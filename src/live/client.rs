//! `Client`: one connection as hub and handlers see it: who it is, and what can be sent to it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use uuid::Uuid;

use super::close::CloseReason;
use super::frame;
use super::hub::Subscription;
use super::outbox::{Depth, Outbox};
use super::protocol::{Answer, ErrorCode};
use super::roster::SNAPSHOT_END;
use crate::domain::{Timestamp, Topic};
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// One connection. Lives on its worker's thread, shared there by `Rc`.
pub struct Client {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) outbox: Rc<Outbox>,
    pub(crate) settings: Rc<LiveSettings>,
    pub(crate) metrics: Arc<LiveMetrics>,
    /// Filled and emptied by the hub.
    pub(crate) subscriptions: RefCell<HashMap<Topic, Rc<Subscription>>>,
    /// Those that have not got everything yet, in the order they are served.
    pub(super) behind: RefCell<VecDeque<Rc<Subscription>>>,
    /// Its messages are not read for a while, because of what its snapshots cost.
    pub(super) paused: Cell<bool>,
    stage: Cell<Stage>,
    end: Cell<Option<End>>,
    left: Cell<bool>,
}

/// What is known of a connection from any thread.
#[derive(Debug)]
pub struct Vitals {
    /// UUID v4.
    pub id: Uuid,
    /// The peer, or who it says it forwards for, if it is a trusted proxy (then with port 0 if it names none).
    pub remote: SocketAddr,
    /// When the handshake was done.
    pub opened_at: Timestamp,
    /// When the last frame came, in milliseconds since the epoch.
    last_seen_at: AtomicI64,
    /// How many topics it is subscribed to.
    pub(crate) topics: AtomicUsize,
    /// What waits for it.
    pub(crate) depth: Arc<Depth>,
    terminated: AtomicBool,
    /// Wakes the connection's loop.
    waker: AtomicWaker,
}

impl Vitals {
    /// When the last frame came from the client.
    pub fn last_seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen_at.load(Ordering::Relaxed)).unwrap_or(self.opened_at)
    }

    /// How many topics it is subscribed to.
    pub fn topics(&self) -> usize {
        self.topics.load(Ordering::Relaxed)
    }

    /// Bytes that wait in its outbox.
    pub fn waiting(&self) -> u64 {
        self.depth.waiting.load(Ordering::Relaxed)
    }

    /// How many positions it was not sent in their turn, because it was slow.
    pub fn conflated(&self) -> u64 {
        self.depth.conflated.load(Ordering::Relaxed)
    }

    pub(super) fn count_conflated(&self, positions: usize) {
        self.depth.conflated.fetch_add(positions as u64, Ordering::Relaxed);
    }

    /// Has the connection reset its socket, in whatever stage it is: also when its actor is gone.
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

/// How far a connection is on its way to the end; it only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Messages go both ways.
    Open,
    /// Our close frame is out; the client's is awaited.
    Closing,
    /// Both close frames are there: what waits is still written, then the socket is closed.
    Finishing,
    /// The client broke the rules: what waits is written, what still comes is not read, then it is closed.
    Failing,
    /// The client is gone: the socket is closed.
    Gone,
    /// The socket is reset, so that nothing of it stays in the kernel.
    Killed,
}

/// Why a connection ended, and the code that was sent or received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    pub(crate) code: u16,
}

impl Client {
    pub(crate) fn new(
        remote: SocketAddr,
        outbox: Rc<Outbox>,
        settings: Rc<LiveSettings>,
        metrics: Arc<LiveMetrics>,
    ) -> Rc<Self> {
        let opened_at = Timestamp::now();
        let vitals = Vitals {
            id: Uuid::new_v4(),
            remote,
            opened_at,
            last_seen_at: AtomicI64::new(opened_at.as_millis()),
            topics: AtomicUsize::new(0),
            depth: outbox.depth(),
            terminated: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        Rc::new(Self {
            vitals: Arc::new(vitals),
            outbox,
            settings,
            metrics,
            subscriptions: RefCell::default(),
            behind: RefCell::default(),
            paused: Cell::new(false),
            stage: Cell::new(Stage::Open),
            end: Cell::new(None),
            left: Cell::new(false),
        })
    }

    /// UUID v4 of the connection.
    pub fn id(&self) -> Uuid {
        self.vitals.id
    }

    /// Sends an answer, after what waits already.
    pub fn answer(&self, answer: &Answer<'_>) {
        self.count(answer);
        self.outbox.respond(frame::text(&answer.json()));
    }

    /// Answers a subscription with the positions of all devices, which end with [`SNAPSHOT_END`].
    pub(super) fn subscribed(&self, topic: &Topic, id: Option<&str>, positions: Bytes) {
        let head = self.snapshot_head(topic, id);
        debug_assert!(positions.ends_with(SNAPSHOT_END));
        self.outbox.snapshot(frame::text_head(&head, positions.len()), positions);
    }

    /// Begins to answer a subscription in several fragments. Returns the JSON before the first position.
    pub(super) fn begin_snapshot(&self, topic: &Topic, id: Option<&str>) -> Vec<u8> {
        self.outbox.begin_stream();
        self.snapshot_head(topic, id)
    }

    fn snapshot_head(&self, topic: &Topic, id: Option<&str>) -> Vec<u8> {
        let answer = Answer::Subscribed { topic: &topic.to_string(), id };
        self.count(&answer);
        let mut head = answer.json();
        head.pop(); // the brace
        head.extend_from_slice(br#","snapshot":["#);
        head
    }

    fn count(&self, answer: &Answer<'_>) {
        self.metrics.outbound.with_label_values(&[answer.label()]).inc();
    }

    /// Sends an error that is about no topic.
    pub fn error(&self, code: ErrorCode, message: &str, detail: Option<&str>) {
        self.answer(&Answer::Error { code, topic: None, id: None, message, detail });
    }

    /// Sends a message of text as it is.
    pub fn text(&self, text: &str) {
        self.outbox.respond(frame::text(text.as_bytes()));
    }

    /// Sends a message of bytes as it is.
    pub fn binary(&self, bytes: &[u8]) {
        self.outbox.respond(frame::binary(bytes));
    }

    /// Begins the closing handshake; nothing is sent after it. Does nothing if it has begun already.
    pub fn close(&self, reason: CloseReason) {
        self.end_with(Stage::Closing, reason);
    }

    /// Moves on to `stage`. The reason that came first is the one that counts.
    pub(crate) fn end_with(&self, stage: Stage, reason: CloseReason) {
        self.end_with_code(stage, reason, reason.code);
    }

    /// The same, with a code that the client chose.
    pub(crate) fn end_with_code(&self, stage: Stage, reason: CloseReason, code: u16) {
        if self.end.get().is_none() {
            self.end.set(Some(End { reason, code }));
        }
        let was = self.stage.get();
        if stage <= was {
            return;
        }
        self.stage.set(stage);
        if was == Stage::Open && stage < Stage::Gone {
            // A client's own code is echoed without a reason; 1005 stands for a close frame without a code.
            let (code, text) = match stage {
                Stage::Finishing => ((code != super::close::NO_STATUS.code).then_some(code), ""),
                _ => (Some(code), reason.text),
            };
            self.outbox.close(frame::close(code, text));
        }
        self.outbox.wake();
    }

    /// Resets the connection, for the reason it has or as one that was lost.
    pub(crate) fn kill(&self) {
        let End { reason, code } = self.end();
        self.end_with_code(Stage::Killed, reason, code);
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// How it ended; whoever asks before there is an end asks because the socket is gone.
    pub(crate) fn end(&self) -> End {
        let eof = super::close::EOF;
        self.end.get().unwrap_or(End { reason: eof, code: eof.code })
    }

    /// Notes that it has left the hub for good.
    pub(crate) fn leave(&self) {
        self.left.set(true);
    }

    pub(crate) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// Notes that a frame came just now.
    pub(crate) fn seen(&self) {
        self.vitals.last_seen_at.store(Timestamp::now().as_millis(), Ordering::Relaxed);
    }
}
