//! `LiveConnection`: one client's actor, and the loop that drives it and its socket.
//!
//! The loop owns the socket, not an HTTP dispatcher. So the actor is polled whatever the socket does, heartbeats and
//! closes work also while the client reads nothing, the hub can write to the socket itself, and a quiet
//! connection holds no buffers.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Handler, StreamHandler};
use actix_web_actors::HttpContext;
use bytes::Bytes;
use futures_util::Stream;
use rustix::net::SendFlags;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::admission::Permit;
use super::client::{Client, Stage};
use super::close::{self, CloseReason};
use super::frame::Event;
use super::handler::{Message, MessageHandler};
use super::hub::Hub;
use super::inbound::{Inbound, Inward, poll_read};
use super::outbox::{Budget, Outbox, Wire};
use super::protocol::ErrorCode;
use super::rate::Rate;
use super::registry::{Close, Deregister, Register, Registry};
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// How long a client that broke the rules may take to see our close frame and go.
const LINGER: Duration = Duration::from_secs(1);

/// How many bytes it may still send in that time: what may have been on its way when it broke them.
const LINGER_BYTES: usize = 1 << 20;

/// Fragments, pings and pongs cost work too; so many are taken for one message.
const FRAMES_PER_MESSAGE: u32 = 32;

/// So many pieces of snapshots and of what a slow client missed are sent to one client before others have their turn.
const PIECES_PER_TURN: usize = 4;

/// The fractional part of the golden ratio: its multiples spread evenly over an interval, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) settings: Rc<LiveSettings>,
    pub(crate) metrics: Arc<LiveMetrics>,
    pub(crate) hub: Rc<Hub>,
    /// What may wait for all of them together.
    pub(crate) budget: Arc<Budget>,
    /// Where in its interval the next connection's first ping comes, 0 to 1.
    pub(crate) phase: Cell<f64>,
    pub(crate) handler: Rc<dyn MessageHandler>,
    pub(crate) registry: Addr<Registry>,
    /// Where every connection's bytes are read to; none keeps a buffer of its own.
    pub(crate) scratch: RefCell<Box<[u8]>>,
}

/// A client whose handshake was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    /// The head of the 101 response.
    pub(crate) answer: Bytes,
    /// What the client sent right behind its handshake.
    pub(crate) read_ahead: Bytes,
    pub(crate) permit: Permit,
}

/// The socket as the outbox writes to it. The outbox owns it, so that both are in one place.
pub(super) struct Socket(pub(super) TcpStream);

impl Wire for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Past tokio, which would first look up whether it believes the socket to be writable: one more place in
        // memory for each of thousands of sockets. If it is full, the loop's own write tells tokio so.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::send(&self.0, bytes, flags)?)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }
}

/// Counts a connection out, whatever ended it: it is dropped with the loop.
struct Registration {
    worker: Rc<Worker>,
    client: Rc<Client>,
    _permit: Permit,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let end = self.client.end();
        let clean = self.client.stage() < Stage::Killed;
        self.worker.hub.leave(&self.client);
        let id = self.client.id();
        self.worker.registry.do_send(Deregister { id, reason: end.reason, clean });
        log::debug!("connection closed id={id} code={} reason={}", end.code, end.reason.text);
    }
}

/// Opens a connection and lets it run to its end.
///
/// All is set up before the task is made, so that the task holds nothing it has no use for: there may be very many.
pub(crate) fn open(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted { stream, remote, answer, read_ahead, permit } = accepted;
    let outbox = Outbox::new(Socket(stream), worker.settings.outbox_bytes, worker.budget.clone());
    let client = Client::new(remote, outbox.clone(), worker.settings.clone(), worker.metrics.clone());
    log::debug!("connection opened id={} remote={remote}", client.id());
    let registration = Registration { worker: worker.clone(), client: client.clone(), _permit: permit };
    let inbound = Inbound::new(client.clone(), outbox.clone(), &read_ahead, worker.clone());
    let actor = LiveConnection::new(client.clone(), worker.clone(), answer, inbound);
    // Boxed, as a future keeps room for everything that is ever moved into it.
    let actor = Box::pin(HttpContext::create(actor));
    let mut life = Life { client, worker, outbox, timer: None };
    actix_rt::spawn(async move {
        life.serve(actor).await;
        life.end().await;
        drop(registration);
    });
}

/// Actor and socket of one connection, driven together.
struct Life {
    client: Rc<Client>,
    worker: Rc<Worker>,
    outbox: Rc<Outbox<Socket>>,
    /// Bounds how long a closing connection lasts.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Life {
    /// Polls the actor and writes what waits, until the connection is at its end or no longer reads messages.
    async fn serve(&mut self, mut actor: Pin<Box<impl Stream>>) {
        poll_fn(|cx| {
            self.outbox.register(cx.waker());
            // Before anything is read: reading may use up what tokio lets a task do at once, timers included.
            if self.client.stage() == Stage::Closing
                && self.poll_timer(cx, self.worker.settings.close_timeout).is_ready()
            {
                return Poll::Ready(());
            }
            // The actor sends through the outbox, so its stream yields nothing; it ends with the actor.
            match catch_unwind(AssertUnwindSafe(|| actor.as_mut().poll_next(cx))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(_)) => return Poll::Ready(()),
                Err(_) => {
                    self.worker.metrics.panics.inc();
                    log::error!("connection panicked id={}", self.client.id());
                    self.client.end_with(Stage::Failing, close::INTERNAL);
                    return Poll::Ready(());
                }
            }
            let jammed = self.outbox.is_jammed();
            self.poll_output(cx);
            if jammed && !self.outbox.is_jammed() {
                cx.waker().wake_by_ref(); // the actor may read again, see `Inbound`
            }
            self.check_terminated(cx);
            match self.client.stage() {
                Stage::Open => Poll::Pending,
                Stage::Closing => self.poll_timer(cx, self.worker.settings.close_timeout),
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Writes the last bytes and closes the socket in the way that fits.
    async fn end(&mut self) {
        if matches!(self.client.stage(), Stage::Finishing | Stage::Failing) {
            self.timer = None;
            poll_fn(|cx| {
                self.outbox.register(cx.waker());
                self.poll_flush(cx);
                self.check_terminated(cx);
                if self.outbox.is_empty() || self.client.stage() >= Stage::Gone {
                    return Poll::Ready(());
                }
                self.poll_timer(cx, self.worker.settings.close_timeout)
            })
            .await;
        }
        if self.client.stage() == Stage::Failing {
            // Closing a socket with bytes unread resets it, and the reset may overtake our close frame. So: no
            // more from us, and what still comes is thrown away until the client is gone.
            self.timer = None;
            if SockRef::from(self.stream()).shutdown(Shutdown::Write).is_ok() {
                let mut left = LINGER_BYTES;
                poll_fn(|cx| {
                    self.check_terminated(cx);
                    if self.client.stage() == Stage::Killed {
                        return Poll::Ready(());
                    }
                    // Before anything is read, see `serve`.
                    if self.poll_timer(cx, LINGER).is_ready() {
                        return Poll::Ready(());
                    }
                    self.poll_discard(cx, &mut left)
                })
                .await;
            }
        }
        if self.client.stage() == Stage::Killed {
            // What waits in the kernel for a peer that takes nothing must not stay there for minutes. An error
            // says that the socket is gone already.
            drop(SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)));
        }
    }

    /// Writes what waits, and what the client has not got yet of its topics, as long as the socket takes it, but not for
    /// so long that others have to wait.
    fn poll_output(&self, cx: &mut Context<'_>) {
        for _ in 0..PIECES_PER_TURN {
            self.poll_flush(cx);
            let may_send = self.outbox.is_empty() && self.client.stage() == Stage::Open;
            if !may_send || !self.worker.hub.catch_up(&self.client, cx.waker()) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    fn stream(&self) -> &TcpStream {
        &self.outbox.wire().0
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
            self.client.end_with(Stage::Gone, close::RESET);
        }
    }

    /// The registry may have it reset in any stage, whatever became of the actor.
    fn check_terminated(&self, cx: &Context<'_>) {
        if self.client.vitals.is_terminated(cx.waker()) {
            self.client.kill();
        }
    }

    /// When `limit` is over, the connection is reset.
    fn poll_timer(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        self.client.kill();
        Poll::Ready(())
    }

    /// Throws away what comes, until the client is gone or sent more than is `left`.
    fn poll_discard(&self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        while *left > 0 {
            match ready!(poll_read(self.stream(), cx, &mut self.worker.scratch.borrow_mut())) {
                Ok(0) | Err(_) => break,
                Ok(count) => *left = left.saturating_sub(count),
            }
        }
        Poll::Ready(())
    }
}

/// The actor of one connection: takes its messages and watches its pulse.
pub(crate) struct LiveConnection {
    client: Rc<Client>,
    worker: Rc<Worker>,
    /// The 101, and what comes after it; until the actor has started.
    beginning: Option<(Bytes, Inbound)>,
    last_seen: Instant,
    awaiting_pong: bool,
    rate: Rate,
}

impl LiveConnection {
    fn new(client: Rc<Client>, worker: Rc<Worker>, answer: Bytes, inbound: Inbound) -> Self {
        let rate = Rate::new(worker.settings.max_messages_per_second);
        Self {
            client,
            worker,
            beginning: Some((answer, inbound)),
            last_seen: Instant::now(),
            awaiting_pong: false,
            rate,
        }
    }

    /// Since when the client has shown no life, and what that is called; `None` if nothing is asked of it now.
    ///
    /// While something waits for it, it is the socket that shows it: a pong may be a long way behind what a slow client has
    /// still to read. Then the pong has as long as the last of that took.
    fn lifeless_since(&self) -> Option<(Instant, CloseReason)> {
        let outbox = &self.client.outbox;
        if let Some(since) = outbox.stalled_since() {
            return Some((since, close::NOT_READING));
        }
        // One that is not read from cannot show anything.
        let is_read = !outbox.is_jammed() && !self.client.paused.get();
        let seen = outbox.progress().map_or(self.last_seen, |progress| progress.max(self.last_seen));
        is_read.then_some((seen, close::PONG_TIMEOUT))
    }

    /// Ends a connection whose client is silent or takes nothing. True if it did.
    fn check_pulse(&self) -> bool {
        let Some((since, reason)) = self.lifeless_since() else { return false };
        if since.elapsed() < self.worker.settings.pong_timeout {
            return false;
        }
        if reason == close::PONG_TIMEOUT {
            self.worker.metrics.pings_missed.inc_by(u64::from(self.awaiting_pong));
        }
        self.client.end_with(Stage::Killed, reason);
        true
    }

    /// Sends the ping that is due. A deadline that falls before the next one is looked at when it comes.
    fn beat(&mut self, ctx: &mut HttpContext<Self>) {
        if self.check_pulse() {
            return;
        }
        let metrics = &self.worker.metrics;
        if self.awaiting_pong {
            metrics.pings_missed.inc();
        }
        metrics.pings.inc();
        self.awaiting_pong = true;
        self.client.outbox.ping();
        let settings = &self.worker.settings;
        let since = self.lifeless_since().map_or(self.last_seen, |(since, _)| since);
        let left = settings.pong_timeout.saturating_sub(since.elapsed());
        if left < settings.ping_interval {
            ctx.run_later(left, |actor, _| {
                actor.check_pulse();
            });
        }
    }

    fn take(&mut self, event: Event) {
        let client = &self.client;
        // While our close frame is on its way the client's is awaited; its messages are too late (RFC 6455
        // section 1.4), its pings still show that it lives.
        let open = client.stage() == Stage::Open;
        match event {
            Event::Text(text) if open => self.message(Message::Text(text)),
            Event::Binary(bytes) if open => self.message(Message::Binary(bytes)),
            Event::Fragment if open => self.small(),
            Event::Ping(payload) => {
                client.outbox.pong(&payload);
                self.small();
            }
            Event::Close(code) => {
                let reason = close::from_client(code);
                client.end_with_code(Stage::Finishing, reason, code.unwrap_or(reason.code));
            }
            Event::Violation(reason) => client.end_with(Stage::Failing, reason),
            Event::Pong => self.small(),
            Event::Text(_) | Event::Binary(_) | Event::Fragment => {}
        }
    }

    /// Counts a frame that is no message; whoever sends them without end is not warned first.
    fn small(&mut self) {
        if !self.rate.allow(1.0 / f64::from(FRAMES_PER_MESSAGE)) {
            self.client.end_with(Stage::Failing, close::RATE_LIMITED);
        }
    }

    fn message(&mut self, message: Message) {
        if self.rate.allow(1.0) {
            self.worker.handler.message(&self.client, message);
        } else if self.rate.warn() {
            let message = "too many messages; this one was not read, slow down";
            self.client.error(ErrorCode::RateLimited, message, None);
        } else {
            self.client.end_with(Stage::Failing, close::RATE_LIMITED);
        }
    }
}

impl Actor for LiveConnection {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let control = ctx.address().recipient();
        self.worker.registry.do_send(Register { vitals: self.client.vitals.clone(), control });
        // The 101 goes after the registration, so whoever has read it is known to the registry when it is next asked.
        if let Some((answer, inbound)) = self.beginning.take() {
            self.client.outbox.respond(answer);
            ctx.add_stream(inbound);
        }
        // Connections that came together are not pinged together.
        let interval = self.worker.settings.ping_interval;
        let phase = (self.worker.phase.get() + GOLDEN).fract();
        self.worker.phase.set(phase);
        ctx.run_later(interval.mul_f64(phase), move |actor, ctx| {
            actor.beat(ctx);
            ctx.run_interval(interval, Self::beat);
        });
    }
}

impl StreamHandler<Inward> for LiveConnection {
    fn handle(&mut self, inward: Inward, _: &mut Self::Context) {
        match inward {
            Inward::Event(event) => {
                self.last_seen = Instant::now();
                self.awaiting_pong = false;
                self.client.seen();
                self.take(event);
            }
            Inward::Eof => self.client.end_with(Stage::Gone, close::EOF),
            Inward::Failed => self.client.end_with(Stage::Gone, close::RESET),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.terminate();
    }
}

impl Handler<Close> for LiveConnection {
    type Result = ();

    fn handle(&mut self, Close(reason): Close, _: &mut Self::Context) {
        self.client.close(reason);
    }
}
