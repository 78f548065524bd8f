//! `Inbound`: what a client sends, read and decoded as a stream for its actor.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::connection::{Socket, Worker};
use super::frame::{Decoder, Event};
use super::outbox::Outbox;

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
    outbox: Rc<Outbox<Socket>>,
    decoder: Decoder,
    events: VecDeque<Event>,
    ended: bool,
    worker: Rc<Worker>,
}

impl Inbound {
    pub(super) fn new(outbox: Rc<Outbox<Socket>>, read_ahead: &[u8], worker: Rc<Worker>) -> Self {
        let mut decoder = Decoder::new(worker.settings.max_message_bytes);
        let mut events = VecDeque::new();
        decoder.feed(read_ahead, &mut events);
        Self { outbox, decoder, events, ended: false, worker }
    }
}

impl Stream for Inbound {
    type Item = Inward;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inward>> {
        let this = self.get_mut();
        loop {
            // A client that does not read its answers is not asked for more questions. The loop polls again when
            // enough was written.
            if this.outbox.is_jammed() {
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
            match ready!(poll_read(&this.outbox.wire().0, cx, &mut scratch)) {
                Ok(0) => {
                    this.ended = true;
                    return Poll::Ready(Some(Inward::Eof));
                }
                Ok(count) => this.decoder.feed(&scratch[..count], &mut this.events),
                Err(_) => {
                    this.ended = true;
                    return Poll::Ready(Some(Inward::Failed));
                }
            }
        }
    }
}

/// Reads what has come; 0 at the end of the stream.
///
/// A read that does not fill the buffer has emptied the socket, so tokio is told that it is not readable any more, which
/// saves the second read that would find that out. (tokio does the same where it owns the socket alone.)
pub(super) fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let mut read = None;
        let result = stream.try_io(Interest::READABLE, || {
            let (count, _) = rustix::net::recv(stream, &mut *buffer, RecvFlags::DONTWAIT)?;
            read = Some(count);
            if (1..buffer.len()).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (read, result) {
            (Some(count), _) => return Poll::Ready(Ok(count)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                return Poll::Ready(Err(error));
            }
            _ => {}
        }
    }
}
