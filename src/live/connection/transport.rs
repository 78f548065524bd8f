//! `Transport`: drives a connection's actor and its socket until the connection is over.
//!
//! It owns the socket, not an HTTP dispatcher. So the actor is polled whatever the socket does, heartbeats and closes work
//! also while the client reads nothing, the hub can write to the socket itself, and a quiet connection holds no buffers.

use std::future::{Future as _, poll_fn};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::socket::{Socket, poll_read};
use super::worker::Worker;
use crate::live::client::Client;
use crate::live::client::lifecycle::{Event, State};
use crate::live::outbox::Outbox;
use crate::live::wire::close;

/// How many bytes a client that broke the rules may still send: what it may have given to its socket before it read why.
/// Beyond it is reset, and may never see the close frame.
const LINGER_BYTES: usize = 16 << 20;

/// So many pieces of snapshots and of what a slow client missed are sent to one client before others have their turn.
const PIECES_PER_TURN: usize = 4;

/// A connection's socket, and the deadline of the state it is in.
pub(super) struct Transport {
    client: Rc<Client>,
    worker: Rc<Worker>,
    outbox: Rc<Outbox<Socket>>,
    /// The state that `timer` is of.
    timed: State,
    /// Ends the state, if that is bounded.
    timer: Option<Pin<Box<Sleep>>>,
    /// What a client that lingers may still send.
    linger_bytes: usize,
    /// The actor panicked; it must not be polled again.
    panicked: bool,
}

impl Transport {
    pub(super) fn new(client: Rc<Client>, worker: Rc<Worker>, outbox: Rc<Outbox<Socket>>) -> Self {
        let (timed, timer) = (State::Open, None);
        Self { client, worker, outbox, timed, timer, linger_bytes: LINGER_BYTES, panicked: false }
    }

    /// Polls the actor and moves bytes until the connection is over.
    pub(super) async fn run(&mut self, mut actor: Pin<&mut impl Stream>) {
        poll_fn(|cx| self.poll(cx, actor.as_mut())).await;
        if self.client.lifecycle().state() == State::Reset {
            // What waits in the kernel for a peer that takes nothing must not stay there for minutes. An error
            // says that the socket is gone already.
            drop(SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)));
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, actor: Pin<&mut impl Stream>) -> Poll<()> {
        self.outbox.register(cx.waker());
        // Before anything is read: reading may use up what tokio lets a task do at once, timers included.
        self.poll_timer(cx);
        self.poll_actor(cx, actor);
        let was_jammed = self.outbox.is_jammed();
        self.poll_output(cx);
        if was_jammed && !self.outbox.is_jammed() {
            cx.waker().wake_by_ref(); // the actor may read again, see `Inbound`
        }
        if self.client.vitals.is_terminated(cx.waker()) {
            // For the reason it has, or as one that was lost.
            self.client.apply(Event::Terminated(self.client.end().reason));
        }
        if matches!(self.client.lifecycle().state(), State::Finishing | State::Failing)
            && self.outbox.is_empty()
        {
            self.flushed();
        }
        if self.client.lifecycle().state() == State::Lingering {
            self.poll_discard(cx);
        }
        // The state may have changed since.
        self.poll_timer(cx);
        if self.client.lifecycle().is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the state that has lasted too long. Each state has its time anew.
    fn poll_timer(&mut self, cx: &mut Context<'_>) {
        let lifecycle = self.client.lifecycle();
        if self.timed != lifecycle.state() {
            self.timed = lifecycle.state();
            let limit = lifecycle.time_limit(self.worker.settings.close_timeout);
            self.timer = limit.map(|limit| Box::pin(sleep(limit)));
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            self.client.apply(Event::TimedOut);
        }
    }

    fn poll_actor(&mut self, cx: &mut Context<'_>, actor: Pin<&mut impl Stream>) {
        if self.panicked {
            return;
        }
        // The actor sends through the outbox, so its stream yields nothing; it ends only if the actor stopped itself.
        match catch_unwind(AssertUnwindSafe(|| actor.poll_next(cx))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(_)) => self.client.apply(Event::Gone(close::EOF)),
            Err(_) => {
                self.panicked = true;
                self.worker.metrics.panics.inc();
                log::error!("connection panicked id={}", self.client.id());
                self.client.apply(Event::Panicked);
            }
        }
    }

    /// Writes what waits, and what the client has not got yet of its topics, as long as the socket takes it, but not for
    /// so long that others have to wait.
    fn poll_output(&self, cx: &mut Context<'_>) {
        for _ in 0..PIECES_PER_TURN {
            self.poll_flush(cx);
            let may_send = self.outbox.is_empty() && self.client.is_open();
            if !may_send || !self.worker.hub.catch_up(&self.client, cx.waker()) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    fn poll_flush(&self, cx: &mut Context<'_>) {
        let outbox = &self.outbox;
        while !outbox.is_empty() && outbox.failed().is_none() {
            match self.stream().poll_write_ready(cx) {
                Poll::Ready(Ok(())) => outbox.flush(),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if outbox.failed().is_some() {
            self.client.apply(Event::Gone(close::RESET));
        }
    }

    /// Nothing waits to be written: that is the end, or the beginning of lingering, for a connection that was finishing.
    fn flushed(&self) {
        self.client.apply(Event::Flushed);
        let lingers = self.client.lifecycle().state() == State::Lingering;
        if lingers && SockRef::from(self.stream()).shutdown(Shutdown::Write).is_err() {
            self.client.apply(Event::Gone(close::RESET));
        }
    }

    /// Throws away what comes, until the client is gone or has sent too much.
    fn poll_discard(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(read) = poll_read(self.stream(), cx, &mut self.worker.scratch.borrow_mut()) {
            match read {
                Ok(0) | Err(_) => return self.client.apply(Event::Gone(close::EOF)),
                Ok(count) => self.linger_bytes = self.linger_bytes.saturating_sub(count),
            }
            if self.linger_bytes == 0 {
                return self.client.apply(Event::LingerSpent);
            }
        }
    }

    fn stream(&self) -> &TcpStream {
        &self.outbox.wire().0
    }
}
