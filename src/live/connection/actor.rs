//! `LiveConnection`: one client's actor. It takes the client's messages, watches its pulse, and lives as long as its
//! connection.

use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext, Handler, SpawnHandle, StreamHandler};
use actix_web_actors::HttpContext;
use bytes::Bytes;

use super::inbound::{Inbound, Received};
use super::pulse::{Pulse, Signs};
use super::rate::Rate;
use super::registration::Registration;
use super::worker::Worker;
use crate::domain::Timestamp;
use crate::live::client::lifecycle::{Event, State};
use crate::live::handler::{Handled, Message};
use crate::live::outbox::Outbox;
use crate::live::registry::Control;
use crate::live::wire::close::CloseReason;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};
use crate::live::wire::{close, decoder};

/// The longest time between two looks at when a client's identity ends: the system's clock may be set meanwhile.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(300);

/// Fragments, pings and pongs cost work too; so many are taken for one message.
const FRAMES_PER_MESSAGE: u32 = 32;

/// The actor of one connection.
pub(super) struct LiveConnection {
    registration: Registration,
    outbox: Rc<Outbox>,
    worker: Rc<Worker>,
    /// Until the actor has started.
    beginning: Option<Beginning>,
    /// When the client's identity ends, and the timer for that.
    identity_end: Option<(Timestamp, SpawnHandle)>,
    pulse: Pulse,
    rate: Rate,
}

/// What an actor begins with.
pub(super) struct Beginning {
    /// The 101.
    pub(super) response: Bytes,
    /// What comes after it.
    pub(super) inbound: Inbound,
    /// Why the client is to be told that it is not welcome.
    pub(super) refused: Option<CloseReason>,
}

impl LiveConnection {
    pub(super) fn new(
        outbox: Rc<Outbox>,
        worker: Rc<Worker>,
        registration: Registration,
        beginning: Beginning,
    ) -> Self {
        let rate = Rate::new(worker.settings.max_messages_per_second);
        let pulse = Pulse::new(worker.settings.pong_timeout, Instant::now());
        let beginning = Some(beginning);
        Self { registration, outbox, worker, beginning, identity_end: None, pulse, rate }
    }

    fn apply(&self, event: Event) {
        self.registration.client.apply(event);
    }

    fn state(&self) -> State {
        self.registration.client.lifecycle().state()
    }

    fn signs(&self) -> Signs {
        let reading = &self.registration.client.reading;
        Signs {
            stalled_since: self.outbox.stalled_since(),
            progress: self.outbox.progress(),
            is_read: !self.outbox.is_jammed() && !reading.is_held_back(),
            read_since: reading.since(),
        }
    }

    /// Ends a connection whose client is silent or takes nothing. False if it did, or if the connection is ending anyway.
    fn check_pulse(&self) -> bool {
        if !self.registration.client.lifecycle().reads_frames() {
            return false; // that state has a deadline of its own
        }
        let Some(reason) = self.pulse.lost(self.signs(), Instant::now()) else { return true };
        if reason == close::PONG_TIMEOUT {
            self.worker.metrics.pings_missed.inc_by(u64::from(self.pulse.is_awaiting_pong()));
        }
        self.apply(Event::Terminated(reason));
        false
    }

    /// Closes the connection when its client's identity ends, unless that is renewed before.
    fn watch_identity(&mut self, ctx: &mut HttpContext<Self>) {
        let end = self.registration.client.identity_ends_at();
        if end == self.identity_end.map(|(end, _)| end) {
            return;
        }
        if let Some((_, timer)) = self.identity_end.take() {
            ctx.cancel_future(timer);
        }
        let Some(end) = end else { return };
        let left = end.as_millis().saturating_sub(Timestamp::now().as_millis());
        let left = Duration::from_millis(left.try_into().unwrap_or_default());
        if left.is_zero() {
            return self.registration.client.close(close::TOKEN_EXPIRED);
        }
        let timer = ctx.run_later(left.min(LOOK_AT_LEAST_EVERY), |actor, ctx| {
            actor.identity_end = None;
            actor.watch_identity(ctx);
        });
        self.identity_end = Some((end, timer));
    }

    /// Closes the connection if its client has not said in time who it is.
    fn await_identity(&self, ctx: &mut HttpContext<Self>) {
        let Some(limit) = self.registration.client.awaited_for() else { return };
        ctx.run_later(limit, |actor, _| {
            let client = &actor.registration.client;
            // What came is being looked at, which takes bounded time.
            if client.awaited_for().is_some() && !client.reading.has_request_under_way.get() {
                client.close(close::TOKEN_MISSING);
            }
        });
    }

    /// Sends the ping that is due. A deadline that falls before the next one is looked at when it comes.
    fn beat(&mut self, ctx: &mut HttpContext<Self>) {
        if !self.check_pulse() || self.state() != State::Open {
            return;
        }
        let metrics = &self.worker.metrics;
        metrics.pings.inc();
        metrics.pings_missed.inc_by(u64::from(self.pulse.ping()));
        self.outbox.ping();
        let left = self.pulse.left(self.signs(), Instant::now());
        if left < self.worker.settings.ping_interval {
            ctx.run_later(left, |actor, _| {
                actor.check_pulse();
            });
        }
    }

    fn frame(&mut self, event: decoder::Event, ctx: &mut HttpContext<Self>) {
        use decoder::Event::{Binary, Close, Fragment, Ping, Pong, Text, Violation};
        // While our close frame is on its way the client's is awaited; its messages are too late (RFC 6455
        // section 1.4), its pings still show that it lives.
        let is_open = self.state() == State::Open;
        match event {
            Text(text) if is_open => self.message(Message::Text(text), ctx),
            Binary(bytes) if is_open => self.message(Message::Binary(bytes), ctx),
            Fragment if is_open => self.charge_frame(),
            Ping(payload) => {
                self.outbox.pong(&payload);
                self.charge_frame();
            }
            Pong => self.charge_frame(),
            Close(code) => self.apply(Event::CloseReceived(code)),
            Violation(reason) => self.apply(Event::Violation(reason)),
            Text(_) | Binary(_) | Fragment => {}
        }
    }

    /// Counts a frame that is no message; whoever sends them without end is not warned first.
    fn charge_frame(&mut self) {
        if !self.rate.allow(1.0 / f64::from(FRAMES_PER_MESSAGE)) {
            self.apply(Event::Violation(close::RATE_LIMITED));
        }
    }

    fn message(&mut self, message: Message, ctx: &mut HttpContext<Self>) {
        let client = &self.registration.client;
        if self.rate.allow(1.0) {
            match self.worker.handler.message(client, message) {
                Handled::Done => self.watch_identity(ctx),
                Handled::Later(response) => {
                    // The client's next message is not handled meanwhile: requests stay in order, one is under way at most.
                    client.reading.has_request_under_way.set(true);
                    ctx.spawn(wrap_future::<_, Self>(response).map(|(), actor, ctx| {
                        actor.registration.client.reading.has_request_under_way.set(false);
                        actor.outbox.wake();
                        actor.watch_identity(ctx);
                    }));
                }
            }
        } else if self.rate.warn() {
            let message = "too many messages; this one was not read, slow down";
            client.error(ErrorCode::RateLimited, message, None);
        } else {
            self.apply(Event::Violation(close::RATE_LIMITED));
        }
    }
}

impl Actor for LiveConnection {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.registration.register(ctx.address().recipient());
        // The 101 goes after the registration, so whoever has read it is known to the registry when it is next asked.
        if let Some(Beginning { response, inbound, refused }) = self.beginning.take() {
            self.outbox.respond(response);
            ctx.add_stream(inbound);
            if let Some(reason) = refused {
                self.registration.client.close(reason);
            }
        }
        self.await_identity(ctx);
        self.watch_identity(ctx);
        // What was revoked before the registry knew of this connection.
        self.worker.handler.recheck(&self.registration.client);
        let interval = self.worker.settings.ping_interval;
        ctx.run_later(self.worker.first_ping(), move |actor, ctx| {
            actor.beat(ctx);
            ctx.run_interval(interval, Self::beat);
        });
    }
}

impl StreamHandler<Received> for LiveConnection {
    fn handle(&mut self, received: Received, ctx: &mut Self::Context) {
        match received {
            Received::Event(event) => {
                self.pulse.seen(Instant::now());
                self.registration.client.vitals.seen();
                self.frame(event, ctx);
            }
            Received::Eof => self.apply(Event::Gone(close::EOF)),
            Received::Failed => self.apply(Event::Gone(close::RESET)),
        }
    }

    /// The end of the stream is not the actor's: that comes with the end of its connection.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Control> for LiveConnection {
    type Result = ();

    fn handle(&mut self, control: Control, _: &mut Self::Context) {
        let client = &self.registration.client;
        let Control::Close { reason, reconnect_after } = control else {
            return self.worker.handler.recheck(client);
        };
        // In the middle of a long snapshot no message can come (RFC 6455 section 5.4), only the close frame.
        if let Some(after) = reconnect_after
            && client.is_open()
            && !self.outbox.is_streaming()
        {
            let reconnect_after_ms = after.as_millis().try_into().unwrap_or(u64::MAX);
            client.send(&Outgoing::Draining { reconnect_after_ms });
        }
        client.close(reason);
    }
}
