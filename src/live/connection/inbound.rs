//! `Inbound`: what a client sends, read and decoded as a stream for its actor.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use super::rate::Charge;
use super::socket::{Socket, poll_read};
use super::worker::Worker;
use crate::live::client::Client;
use crate::live::outbox::Outbox;
use crate::live::wire::decoder::{Decoder, Event};

/// What comes from the socket.
pub(super) enum Received {
    Event(Event),
    /// The peer will send no more.
    Eof,
    /// The socket failed.
    Failed,
}

/// Reads and decodes what the client sends, as a stream for its actor.
pub(super) struct Inbound {
    client: Rc<Client>,
    outbox: Rc<Outbox<Socket>>,
    decoder: Decoder,
    events: VecDeque<Event>,
    /// The stream is at its end.
    ended: bool,
    worker: Rc<Worker>,
    charge: Charge,
    /// Until its snapshots are paid for.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Inbound {
    pub(super) fn new(
        client: Rc<Client>,
        outbox: Rc<Outbox<Socket>>,
        read_ahead: &[u8],
        worker: Rc<Worker>,
    ) -> Self {
        let mut decoder = Decoder::new(worker.settings.max_message_bytes);
        let mut events = VecDeque::new();
        decoder.feed(read_ahead, &mut events);
        let charge = Charge::new(worker.settings.max_messages_per_second, Instant::now());
        Self { client, outbox, decoder, events, ended: false, worker, charge, pause: None }
    }

    /// Ready when the client has paid for its snapshots, or closes.
    fn poll_paid(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pause.is_none() {
            let bytes = self.outbox.take_charge();
            if bytes == 0 {
                return Poll::Ready(());
            }
            let wait = self.charge.pay(bytes, Instant::now());
            self.pause = wait.map(|wait| Box::pin(sleep(wait)));
        }
        if let Some(pause) = &mut self.pause
            && self.client.is_open()
            && pause.as_mut().poll(cx).is_pending()
        {
            self.client.reading.is_unpaid.set(true);
            return Poll::Pending;
        }
        self.client.reading.is_unpaid.set(false);
        self.pause = None;
        Poll::Ready(())
    }
}

impl Stream for Inbound {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        let this = self.get_mut();
        loop {
            // A client that does not read its responses, or whose last request has still to get its response, is not asked
            // for more. The transport polls again when that has changed.
            // Once it closes, its messages are not handled any more, and its close frame is looked for.
            let awaits_response = this.client.reading.has_request_under_way.get() && this.client.is_open();
            if this.outbox.is_jammed() || awaits_response || !this.client.lifecycle().reads_frames() {
                return Poll::Pending;
            }
            ready!(this.poll_paid(cx));
            if let Some(event) = this.events.pop_front() {
                return Poll::Ready(Some(Received::Event(event)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            this.events = VecDeque::new();
            let mut scratch = this.worker.scratch.borrow_mut();
            match ready!(poll_read(&this.outbox.wire().0, cx, &mut scratch)) {
                Ok(0) => {
                    this.ended = true;
                    return Poll::Ready(Some(Received::Eof));
                }
                Ok(count) => this.decoder.feed(&scratch[..count], &mut this.events),
                Err(_) => {
                    this.ended = true;
                    return Poll::Ready(Some(Received::Failed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
