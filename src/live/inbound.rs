//! `Inbound`: what a client sends, read and decoded as a stream for its actor.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::Stream;
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::client::{Client, Stage};
use super::connection::{Socket, Worker};
use super::frame::{Decoder, Event};
use super::outbox::Outbox;
use super::rate::Charge;

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
    client: Rc<Client>,
    outbox: Rc<Outbox<Socket>>,
    decoder: Decoder,
    events: VecDeque<Event>,
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
            && self.client.stage() == Stage::Open
            && pause.as_mut().poll(cx).is_pending()
        {
            self.client.paused.set(true);
            return Poll::Pending;
        }
        self.client.paused.set(false);
        self.pause = None;
        Poll::Ready(())
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
            ready!(this.poll_paid(cx));
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
