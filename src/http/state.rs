//! `ConnectionState`: what one connection is doing, its deadline, and how many bytes it may still send.
//!
//! `actix-http` waits for bodies, and discards what follows an early response, without a deadline. The socket and the
//! middleware tell the state what happens, and the connection's task asks it for the deadline.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(75);

/// From a request's first byte, or for the first one from connecting, to the end of its head.
const HEAD: Duration = Duration::from_secs(10);

/// Within this time more of a body must come.
const PROGRESS: Duration = Duration::from_secs(10);

/// After the first [`PROGRESS`] a body must have come at this rate on average, in bytes a second.
const RATE: u32 = 64;

/// How long a client may take to read a response that was made before the end of its body. If its bytes were left
/// unread, closing the socket would reset it, and the reset may overtake the response.
const EARLY: Duration = Duration::from_secs(1);

/// How many bytes it may send meanwhile.
const EARLY_BYTES: usize = 64 * 1024;

/// Within this time some of a response must be taken.
const WRITE: Duration = Duration::from_secs(10);

/// So many bytes of a body are handed over before they are asked for again.
const BODY_AT_ONCE: usize = 64 * 1024;

/// A body takes at most so many bytes on the wire for each of its own (chunks of one byte take six), and some more.
const OVERHEAD: usize = 8;

/// These: what was read ahead, and the ends of chunks.
const OVERHEAD_BYTES: usize = 256 * 1024;

/// Why the server closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The next request did not come.
    Idle,
    /// The head of a request took too long.
    Head,
    /// The body of a request took too long.
    Body,
    /// A body of allowed length took far more bytes on the wire.
    BodyBytes,
    /// The client went on with a body whose request was answered.
    Early,
    /// The client did not read its response.
    Write,
    /// Closed so that another connection could be taken.
    Room,
}

impl CloseReason {
    /// All, for metrics.
    pub(super) const ALL: [Self; 7] =
        [Self::Idle, Self::Head, Self::Body, Self::BodyBytes, Self::Early, Self::Write, Self::Room];

    /// The metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle_timeout",
            Self::Head => "head_timeout",
            Self::Body => "body_timeout",
            Self::BodyBytes => "body_overhead",
            Self::Early => "early_answer",
            Self::Write => "write_timeout",
            Self::Room => "room",
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between two requests.
    Idle,
    /// A request's head is being read. Also from connecting on.
    Head,
    /// A request's body is being read: so many bytes, the last ones at this time, and so many more are wanted. While none are, the client
    /// is not held to account for the time.
    Body { bytes: usize, last: Instant, wanted: usize },
    /// The request is read, its response is being made or handed over to be written.
    Response,
    /// The response was made before the end of the request's body, of which so many more bytes are read. Nothing
    /// follows.
    Early { left: usize },
}

/// Limits that are settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For a whole body.
    pub(super) body: Duration,
    /// Longest body, in bytes.
    pub(super) body_bytes: usize,
}

/// The state of one connection. Shared by its socket, its requests and its task, which are on one thread.
#[derive(Debug)]
pub(super) struct ConnectionState {
    limits: Limits,
    stage: Cell<Stage>,
    /// When the stage began.
    since: Cell<Instant>,
    /// Since when the socket takes no more of a response.
    blocked: Cell<Option<Instant>>,
    /// The socket holds bytes that came behind the request that is being answered: part of the next one.
    ahead: Cell<bool>,
    /// What was handed over last goes on behind the end of a head: with the body, or with part of the next request.
    goes_on: Cell<bool>,
    /// Whoever would read on, which it may not now.
    reader: RefCell<Option<Waker>>,
    /// Any byte was read.
    spoke: Cell<bool>,
}

impl ConnectionState {
    /// Of a connection that was accepted now.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            stage: Cell::new(Stage::Head),
            since: Cell::new(now),
            blocked: Cell::new(None),
            ahead: Cell::new(false),
            goes_on: Cell::new(false),
            reader: RefCell::new(None),
            spoke: Cell::new(false),
        }
    }

    fn enter(&self, stage: Stage, now: Instant) {
        self.stage.set(stage);
        self.since.set(now);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// True if more may be handed over: not while a response is made, written or stuck, nor of a body that nobody asks for. Wakes `reader`
    /// when that changes.
    pub(super) fn takes_more(&self, reader: &Waker) -> bool {
        let takes_more = match self.stage.get() {
            Stage::Idle | Stage::Head => !self.is_stuck(),
            Stage::Body { wanted, .. } => wanted > 0,
            Stage::Response => false,
            Stage::Early { .. } => true,
        };
        if !takes_more {
            self.reader.replace(Some(reader.clone()));
        }
        takes_more
    }

    /// Part of the next request is here.
    fn has_next(&self) -> bool {
        self.ahead.get() || self.goes_on.get()
    }

    /// A response is made, and the socket takes no more of it.
    fn is_stuck(&self) -> bool {
        self.blocked.get().is_some() && self.is_before_request()
    }

    /// True if the request is not known yet whose bytes were handed over last.
    pub(super) fn is_before_request(&self) -> bool {
        matches!(self.stage.get(), Stage::Idle | Stage::Head)
    }

    /// Whether the socket holds bytes that are not handed over.
    pub(super) fn holds(&self, some: bool) {
        self.ahead.set(some);
    }

    /// The socket handed over `count` bytes, the end of a head among them if `ends`, and more behind that if `goes_on`.
    pub(super) fn received(&self, count: usize, ends: bool, goes_on: bool, now: Instant) {
        self.spoke.set(true);
        // In a body an empty line is no end of a head.
        self.goes_on.set(goes_on && self.is_before_request());
        match self.stage.get() {
            Stage::Idle => self.enter(Stage::Head, now),
            Stage::Head | Stage::Response => {}
            Stage::Body { bytes, wanted, .. } => {
                let wanted = if ends { 0 } else { wanted.saturating_sub(count) };
                self.stage.set(Stage::Body { bytes: bytes.saturating_add(count), last: now, wanted });
            }
            Stage::Early { left } => self.stage.set(Stage::Early { left: left.saturating_sub(count) }),
        }
    }

    /// The socket took some of a response (true), or none now. A long response is still being written after it was made.
    pub(super) fn sent(&self, some: bool, now: Instant) {
        // The next request is waited for from when the response is taken, also if some of it is here and has to wait.
        let waits = self.stage.get() == Stage::Idle || (self.stage.get() == Stage::Head && self.has_next());
        if some && waits {
            self.since.set(now);
        }
        self.blocked.set(if some { None } else { self.blocked.get().or(Some(now)) });
        if some {
            self.wake_reader();
        }
    }

    /// The head of a request was read.
    pub(super) fn request_began(&self, has_body: bool, now: Instant) {
        if matches!(self.stage.get(), Stage::Early { .. }) {
            return;
        }
        if has_body {
            self.goes_on.set(false);
            self.enter(Stage::Body { bytes: 0, last: now, wanted: 0 }, now);
        } else {
            self.enter(Stage::Response, now);
        }
    }

    /// Somebody waits for more of the body of the request.
    pub(super) fn body_wanted(&self, now: Instant) {
        let Stage::Body { bytes, mut last, wanted } = self.stage.get() else { return };
        if wanted == 0 {
            // Nothing was, since the last came.
            self.since.set(self.since.get() + now.saturating_duration_since(last));
            last = now;
        }
        self.stage.set(Stage::Body { bytes, last, wanted: BODY_AT_ONCE });
        self.wake_reader();
    }

    /// The body of the request was read to its end.
    pub(super) fn body_ended(&self, now: Instant) {
        if matches!(self.stage.get(), Stage::Body { .. }) {
            self.enter(Stage::Response, now);
        }
    }

    /// The response was made. True if that was before the end of the request's body: then it must be the last one.
    pub(super) fn response_made(&self, now: Instant) -> bool {
        match self.stage.get() {
            Stage::Early { .. } => true,
            Stage::Body { .. } => {
                self.enter(Stage::Early { left: EARLY_BYTES }, now);
                true
            }
            Stage::Idle | Stage::Head | Stage::Response => false,
        }
    }

    /// The response was handed over to be written, or given up.
    pub(super) fn response_ended(&self, now: Instant) {
        match self.stage.get() {
            Stage::Response => self.enter(if self.has_next() { Stage::Head } else { Stage::Idle }, now),
            Stage::Body { .. } => self.enter(Stage::Early { left: EARLY_BYTES }, now),
            Stage::Idle | Stage::Head | Stage::Early { .. } => {}
        }
    }

    /// Why not one more byte may be read.
    pub(super) fn over_allowance(&self) -> Option<CloseReason> {
        match self.stage.get() {
            Stage::Early { left: 0 } => Some(CloseReason::Early),
            Stage::Body { bytes, .. } => {
                let most = self.limits.body_bytes.saturating_mul(OVERHEAD).saturating_add(OVERHEAD_BYTES);
                (bytes > most).then_some(CloseReason::BodyBytes)
            }
            _ => None,
        }
    }

    /// When the connection is to be closed, unless something happens before, and why. `None` while the server works.
    pub(super) fn deadline(&self) -> Option<(Instant, CloseReason)> {
        let since = self.since.get();
        let stage = match self.stage.get() {
            Stage::Idle => Some((since + IDLE, CloseReason::Idle)),
            // The head is not looked at meanwhile.
            Stage::Head if self.is_stuck() => None,
            Stage::Head => Some((since + HEAD, CloseReason::Head)),
            // The server has not come to it.
            Stage::Body { wanted: 0, .. } => None,
            Stage::Body { bytes, last, .. } => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let at_rate = since + PROGRESS + Duration::from_secs(1) * bytes / RATE;
                Some(((last + PROGRESS).min(at_rate).min(since + self.limits.body), CloseReason::Body))
            }
            Stage::Response => None,
            Stage::Early { .. } => Some((since + EARLY, CloseReason::Early)),
        };
        let write = self.blocked.get().map(|at| (at + WRITE, CloseReason::Write));
        [stage, write].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// No request is under way, and nothing is left to write.
    pub(super) fn is_quiet(&self) -> bool {
        self.blocked.get().is_none() && self.is_before_request()
    }

    /// A request has begun, it is not read to its end, and no response is on its way: a client that is closed now can
    /// be told why.
    pub(super) fn is_unanswered(&self) -> bool {
        let is_reading = matches!(self.stage.get(), Stage::Head | Stage::Body { .. });
        is_reading && self.spoke.get() && self.blocked.get().is_none()
    }

    /// Which connection is closed first so that another can be taken: the least rank, and of one rank the one that has it the
    /// longest. `None` for one whose request is being worked on, or whose body is being read.
    pub(super) fn eviction_rank(&self) -> Option<(u8, Instant)> {
        let since = self.since.get();
        match (self.stage.get(), self.blocked.get()) {
            (Stage::Early { .. }, _) => Some((0, since)),
            (_, Some(blocked)) => Some((3, blocked)),
            (Stage::Idle, _) => Some((1, since)),
            (Stage::Head, _) => Some((2, since)),
            (Stage::Body { .. } | Stage::Response, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
