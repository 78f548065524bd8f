//! `Inbound`: what a client sends, read and decoded as a stream for its actor.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use super::client::Client;
use super::connection::Worker;
use super::frame::{Decoder, Event};

/// What comes from the socket.
pub(super) enum Inward {
    Event(Event),
    /// The peer will send no more.
    Eof,
    /// The socket failed.
    Failed,
}

/// Reads and decodes what the client sends, as a stream for its actor.
pub(super) struct Inbound {
    read: OwnedReadHalf,
    decoder: Decoder,
    events: VecDeque<Event>,
    ended: bool,
    client: Rc<Client>,
    worker: Rc<Worker>,
}

impl Inbound {
    pub(super) fn new(
        read: OwnedReadHalf,
        read_ahead: &[u8],
        client: Rc<Client>,
        worker: Rc<Worker>,
    ) -> Self {
        let mut decoder = Decoder::new(worker.settings.max_message_bytes);
        let mut events = VecDeque::new();
        decoder.feed(read_ahead, &mut events);
        Self { read, decoder, events, ended: false, client, worker }
    }
}

impl Stream for Inbound {
    type Item = Inward;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inward>> {
        let this = self.get_mut();
        loop {
            // A client that does not read its answers is not asked for more questions. The loop polls again when
            // something was written.
            if this.client.outbox.is_jammed() {
                return Poll::Pending;
            }
            if let Some(event) = this.events.pop_front() {
                return Poll::Ready(Some(Inward::Event(event)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            this.events = VecDeque::new();
            let mut scratch = this.worker.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.read).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => this.decoder.feed(buffer.filled(), &mut this.events),
                Ok(()) => {
                    this.ended = true;
                    return Poll::Ready(Some(Inward::Eof));
                }
                Err(_) => {
                    this.ended = true;
                    return Poll::Ready(Some(Inward::Failed));
                }
            }
        }
    }
}
