//! `Inbound`: what a client sends, read and decoded as a stream for its actor.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use super::rate::Charge;
use super::socket::{Socket, poll_read};
use super::worker::Worker;
use crate::live::client::Client;
use crate::live::outbox::Outbox;
use crate::live::wire::decoder::{Decoder, Event, Inflated};

/// What comes from the socket.
pub(super) enum Received {
    Event(Event),
    /// The peer will send no more.
    Eof,
    /// The socket failed.
    Failed,
}

/// So many bytes are decoded before what they say is handled: of frames that are nearly empty, they are a few hundred.
const DECODE_BYTES: usize = 2048;

/// The longest message of a client of which it is not known who it is: a token and what is around it.
const MAX_UNKNOWN_MESSAGE: usize = 16 * 1024;

/// So many bytes of work is each byte of a compressed message: a block of 29 bytes can describe large tables and say nothing,
/// and costs 4 µs; 64 KiB of such blocks take 9 ms, where 64 KiB of positions in all take 70 µs.
const COMPRESSED_WEIGHT: usize = 16;

/// Reads and decodes what the client sends, as a stream for its actor.
pub(super) struct Inbound {
    client: Rc<Client>,
    outbox: Rc<Outbox<Socket>>,
    decoder: Decoder,
    events: VecDeque<Event>,
    /// Bytes that were read and not decoded yet.
    undecoded: Bytes,
    /// The stream is at its end.
    ended: bool,
    worker: Rc<Worker>,
    charge: Charge,
    /// Until all is paid for.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Inbound {
    pub(super) fn new(
        client: Rc<Client>,
        outbox: Rc<Outbox<Socket>>,
        read_ahead: Bytes,
        worker: Rc<Worker>,
    ) -> Self {
        let max_message = worker.settings.max_message_bytes;
        let decoder = match client.encoding.is_deflate() {
            true => Decoder::deflating(max_message),
            false => Decoder::new(max_message),
        };
        let charge = Charge::new(worker.settings.max_messages_per_second, Instant::now());
        Self {
            client,
            outbox,
            decoder,
            events: VecDeque::new(),
            undecoded: read_ahead,
            ended: false,
            worker,
            charge,
            pause: None,
        }
    }

    /// Bytes of work that the client caused since it was last asked: of its snapshots, and of what it had compressed.
    ///
    /// Decompressing is the client's to pay like its snapshots, by waiting, and not by messages: 64 KiB can come as 80
    /// bytes. A request of the usual length, compressed to 60 bytes, counts as a fifteenth of a message.
    fn take_charge(&mut self) -> usize {
        let Inflated { compressed, plain } = self.decoder.take_inflated();
        if compressed > 0 {
            self.worker.metrics.count_inflated(plain, compressed);
        }
        self.outbox.take_charge() + plain as usize + COMPRESSED_WEIGHT * compressed as usize
    }

    /// Ready when the client has paid for its snapshots and for what was decompressed for it, or closes.
    fn poll_paid(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pause.is_none() {
            let bytes = self.take_charge();
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
            return Poll::Pending;
        }
        self.pause = None;
        Poll::Ready(())
    }

    /// True if the next event is a message and the one before it has still to get its response. Once the connection
    /// closes, messages are not handled any more, and the client's close frame is looked for.
    fn awaits_response(&self) -> bool {
        let is_message = matches!(self.events.front(), Some(Event::Text(_) | Event::Binary(_)));
        is_message && self.client.reading.has_request_under_way.get() && self.client.is_open()
    }

    /// Decodes until there is an event, or nothing is left to decode.
    fn decode(&mut self) {
        while self.events.is_empty() && !self.undecoded.is_empty() {
            let some = &self.undecoded[..self.undecoded.len().min(DECODE_BYTES)];
            let count = self.decoder.feed(some, &mut self.events);
            self.undecoded.advance(count);
        }
        if self.undecoded.is_empty() {
            self.undecoded = Bytes::new(); // lets go of the buffer
        }
    }

    /// Decodes what was just read, where it lies, up to the first event; the rest is kept.
    fn decode_read(&mut self, mut read: &[u8]) {
        while self.events.is_empty() && !read.is_empty() {
            let some = &read[..read.len().min(DECODE_BYTES)];
            read = &read[self.decoder.feed(some, &mut self.events)..];
        }
        self.undecoded = Bytes::copy_from_slice(read);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        let worker = self.worker.clone();
        if !self.client.is_open() {
            // Its messages are too late (RFC 6455 section 1.4), and it pays for nothing any more.
            self.decoder.ignore_messages();
        }
        let limit = self.worker.settings.max_message_bytes;
        let is_awaited = self.client.awaited_for().is_some();
        self.decoder.limit(if is_awaited { limit.min(MAX_UNKNOWN_MESSAGE) } else { limit });
        loop {
            self.decode();
            if self.awaits_response() {
                return Poll::Pending;
            }
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Received::Event(event)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            self.events = VecDeque::new();
            let mut scratch = worker.scratch.borrow_mut();
            match ready!(poll_read(&self.outbox.wire().0, cx, &mut scratch)) {
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(Some(Received::Eof));
                }
                Ok(count) => self.decode_read(&scratch[..count]),
                Err(_) => {
                    self.ended = true;
                    return Poll::Ready(Some(Received::Failed));
                }
            }
        }
    }
}

impl Stream for Inbound {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        let this = self.get_mut();
        // A client that does not read its responses is not asked for more. The transport polls again when that has changed.
        if this.outbox.is_jammed() || !this.client.lifecycle().reads_frames() {
            return Poll::Pending;
        }
        let is_paid = this.poll_paid(cx).is_ready();
        this.client.reading.hold_back(!is_paid || this.awaits_response());
        if !is_paid {
            return Poll::Pending;
        }
        let event = this.poll_event(cx);
        this.client.reading.hold_back(this.awaits_response());
        event
    }
}

#[cfg(test)]
mod tests;
