//! `Client`: a handle to one connection, with which others know it, send to it and close it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::lifecycle::{CloseFrame, End, Event, Lifecycle, State};
use super::standing::{Identity, Standing};
use super::vitals::Vitals;
use crate::domain::{Principal, Timestamp};
use crate::live::outbox::Outbox;
use crate::live::wire::close::CloseReason;
use crate::live::wire::encoding::{Encoded, Encoding};
use crate::live::wire::frame;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// A handle to one connection. Lives on its worker's thread, shared there by `Rc`. It may be kept beyond the end of the
/// connection: it does not keep the socket, and what is sent then goes nowhere.
pub struct Client {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) settings: Rc<LiveSettings>,
    pub(crate) metrics: Arc<LiveMetrics>,
    pub(crate) encoding: Encoding,
    pub(crate) reading: Reading,
    outbox: Weak<Outbox>,
    lifecycle: RefCell<Lifecycle>,
    standing: RefCell<Standing>,
    /// Counted out; nothing of it is left at its worker.
    ended: Cell<bool>,
}

/// Whether its frames are read now.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Its last request will get its response later: until then its next message is held back.
    pub(crate) has_request_under_way: Cell<bool>,
    held_back: Cell<bool>,
    /// When it was last held back no more.
    since: Cell<Option<Instant>>,
}

impl Reading {
    /// Notes whether frames are held back now.
    pub(crate) fn hold_back(&self, held_back: bool) {
        if self.held_back.replace(held_back) && !held_back {
            self.since.set(Some(Instant::now()));
        }
    }

    /// True while frames wait that are not read.
    pub(crate) fn is_held_back(&self) -> bool {
        self.held_back.get()
    }

    /// Since when it is read again, if it ever was held back.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since.get()
    }
}

impl Client {
    pub(crate) fn new(
        remote: SocketAddr,
        outbox: &Rc<Outbox>,
        settings: Rc<LiveSettings>,
        metrics: Arc<LiveMetrics>,
        encoding: Encoding,
        standing: Standing,
    ) -> Rc<Self> {
        let client = Self {
            vitals: Vitals::new(remote, outbox.depth(), encoding.is_deflate()),
            settings,
            metrics,
            encoding,
            reading: Reading::default(),
            outbox: Rc::downgrade(outbox),
            lifecycle: RefCell::new(Lifecycle::new()),
            standing: RefCell::new(standing),
            ended: Cell::new(false),
        };
        if let Some(principal) = client.principal() {
            client.vitals.set_subject(&principal.subject);
        }
        Rc::new(client)
    }

    /// UUID v4 of the connection.
    pub fn id(&self) -> Uuid {
        self.vitals.id
    }

    /// Who it is, if that is known.
    pub fn principal(&self) -> Option<Arc<Principal>> {
        match &*self.standing.borrow() {
            Standing::Known(identity) => Some(identity.principal.clone()),
            _ => None,
        }
    }

    /// Within which time it has to say who it is; `None`: it need not, or has.
    pub(crate) fn awaited_for(&self) -> Option<Duration> {
        match &*self.standing.borrow() {
            Standing::Awaited(awaited) => Some(awaited.limit),
            _ => None,
        }
    }

    /// When it is nobody any more.
    pub(crate) fn identity_ends_at(&self) -> Option<Timestamp> {
        match &*self.standing.borrow() {
            Standing::Known(identity) => identity.principal.ends_at,
            _ => None,
        }
    }

    /// Notes who it is.
    pub(crate) fn identify(&self, identity: Identity) {
        self.vitals.set_subject(&identity.principal.subject);
        *self.standing.borrow_mut() = Standing::Known(identity);
    }

    /// Notes that its token was renewed; it must be of the same subject.
    pub(crate) fn renew(&self, principal: Arc<Principal>) {
        if let Standing::Known(identity) = &mut *self.standing.borrow_mut() {
            identity.principal = principal;
        }
    }

    /// Sends a message, after what waits already.
    pub fn send(&self, message: &Outgoing<'_>) {
        self.count(message);
        self.respond(self.encoding.message(message));
    }

    /// Counts a message that is sent in another way than by [`Client::send`].
    pub(crate) fn count(&self, message: &Outgoing<'_>) {
        self.metrics.outbound.with_label_values(&[message.label()]).inc();
    }

    /// Sends an error that is about no topic.
    pub fn error(&self, code: ErrorCode, message: &str, detail: Option<&str>) {
        self.send(&Outgoing::Error { code, topic: None, id: None, message, detail });
    }

    /// Sends a message of text as it is.
    pub fn text(&self, text: &str) {
        self.respond(self.encoding.text(text));
    }

    /// Sends a message of bytes as it is.
    pub fn binary(&self, bytes: &[u8]) {
        self.respond(self.encoding.binary(bytes));
    }

    fn respond(&self, Encoded { frame, deflated }: Encoded) {
        if deflated > 0 {
            self.metrics.count_deflated(deflated, frame.len());
        }
        if let Some(outbox) = self.outbox() {
            outbox.respond(frame.head);
        }
    }

    /// Holds what is sent from now on, to be written at once when it is held no more. Not to be kept up beyond one turn.
    pub(crate) fn hold(&self, hold: bool) {
        if let Some(outbox) = self.outbox() {
            outbox.hold(hold);
        }
    }

    /// True if it should be asked to read before more is sent to it.
    pub(crate) fn is_jammed(&self) -> bool {
        self.outbox().is_some_and(|outbox| outbox.is_jammed())
    }

    /// Charges it for work that was done for it, as if so many bytes of snapshots had been sent.
    pub(crate) fn charge(&self, bytes: usize) {
        if let Some(outbox) = self.outbox() {
            outbox.charge(bytes);
        }
    }

    /// What waits for it; `None` once the connection is gone.
    pub(crate) fn outbox(&self) -> Option<Rc<Outbox>> {
        self.outbox.upgrade().filter(|_| !self.ended.get())
    }

    /// Begins the closing handshake; nothing is sent after it. Does nothing if it has begun already.
    pub fn close(&self, reason: CloseReason) {
        self.apply(Event::CloseRequested(reason));
    }

    /// Moves the connection on. If its state changes, the close frame that this asks for is sent, and its transport woken.
    pub(crate) fn apply(&self, event: Event) {
        let before = self.lifecycle().state();
        let frame = self.lifecycle.borrow_mut().apply(event);
        if self.lifecycle().state() == before {
            return;
        }
        let Some(outbox) = self.outbox() else { return };
        match frame {
            Some(CloseFrame::Ours(reason)) => outbox.close(frame::close(Some(reason.code), &reason.text())),
            Some(CloseFrame::Echo(code)) => outbox.close(frame::close(code, "")),
            None => {}
        }
        outbox.wake();
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        *self.lifecycle.borrow()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lifecycle().state() == State::Open
    }

    /// Why it ended; see [`Lifecycle::end`].
    pub(crate) fn end(&self) -> End {
        self.lifecycle().end()
    }

    /// Notes that it was counted out: whoever still holds the handle can do nothing with it.
    pub(crate) fn ended(&self) {
        self.ended.set(true);
    }
}
