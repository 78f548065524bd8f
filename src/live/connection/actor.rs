//! `LiveConnection`: one client's actor. It takes the client's messages, watches its pulse, and lives as long as its
//! connection.

use std::rc::Rc;
use std::time::Instant;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext, Handler, StreamHandler};
use actix_web_actors::HttpContext;
use bytes::Bytes;

use super::inbound::{Inbound, Received};
use super::pulse::{Pulse, Signs};
use super::rate::Rate;
use super::registration::Registration;
use super::worker::Worker;
use crate::live::client::lifecycle::{Event, State};
use crate::live::handler::{Handled, Message};
use crate::live::outbox::Outbox;
use crate::live::registry::Close;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};
use crate::live::wire::{close, decoder};

/// Fragments, pings and pongs cost work too; so many are taken for one message.
const FRAMES_PER_MESSAGE: u32 = 32;

/// The actor of one connection.
pub(super) struct LiveConnection {
    registration: Registration,
    outbox: Rc<Outbox>,
    worker: Rc<Worker>,
    /// The 101, and what comes after it; until the actor has started.
    beginning: Option<(Bytes, Inbound)>,
    pulse: Pulse,
    rate: Rate,
}

impl LiveConnection {
    pub(super) fn new(
        outbox: Rc<Outbox>,
        worker: Rc<Worker>,
        registration: Registration,
        response: Bytes,
        inbound: Inbound,
    ) -> Self {
        let rate = Rate::new(worker.settings.max_messages_per_second);
        let pulse = Pulse::new(worker.settings.pong_timeout, Instant::now());
        Self { registration, outbox, worker, beginning: Some((response, inbound)), pulse, rate }
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
                Handled::Done => {}
                Handled::Later(response) => {
                    // The client's next message is not handled meanwhile: requests stay in order, one is under way at most.
                    client.reading.has_request_under_way.set(true);
                    ctx.spawn(wrap_future::<_, Self>(response).map(|(), actor, _| {
                        actor.registration.client.reading.has_request_under_way.set(false);
                        actor.outbox.wake();
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
        if let Some((response, inbound)) = self.beginning.take() {
            self.outbox.respond(response);
            ctx.add_stream(inbound);
        }
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

impl Handler<Close> for LiveConnection {
    type Result = ();

    fn handle(&mut self, Close { reason, reconnect_after }: Close, _: &mut Self::Context) {
        let client = &self.registration.client;
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
