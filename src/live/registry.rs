//! `Registry`: the one actor that knows who is connected. It alone moves the gauge, and it drains.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient, ResponseFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::client::Vitals;
use super::close::{self, CloseReason};
use crate::metrics::LiveMetrics;

/// How long terminated connections may take to be counted out before the drain is reported without them.
const TERMINATE_GRACE: Duration = Duration::from_millis(300);

/// Knows every connection.
#[derive(Debug)]
pub struct Registry {
    metrics: Arc<LiveMetrics>,
    connections: HashMap<Uuid, Connection>,
    drain: Option<Drain>,
}

#[derive(Debug)]
struct Connection {
    vitals: Arc<Vitals>,
    control: Recipient<Control>,
}

/// A drain that is under way or done.
#[derive(Debug)]
struct Drain {
    began: Instant,
    report: DrainReport,
    waiting: Vec<oneshot::Sender<DrainReport>>,
}

/// What the registry tells a connection.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Control {
    /// Begin the closing handshake.
    Close(CloseReason),
    /// Reset the socket now.
    Terminate,
}

/// A connection is open.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Register {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) control: Recipient<Control>,
}

/// A connection is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Deregister {
    pub(crate) id: Uuid,
    pub(crate) reason: CloseReason,
    /// It did not have to be terminated.
    pub(crate) clean: bool,
}

/// Closes every connection with 1001 `server shutting down`, and those that come later too; waits until all are
/// gone, at most `timeout`, then terminates the rest.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "DrainReport")]
pub struct Shutdown {
    /// From the first close frame to the last connection gone.
    pub timeout: Duration,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that closed by themselves.
    pub closed: usize,
    /// Connections that had to be terminated.
    pub terminated: usize,
    /// From the first close frame to the last connection gone.
    pub took: Duration,
}

/// Asks for all connections.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Arc<Vitals>>")]
pub struct ListConnections;

/// The drain's timeout is over.
#[derive(Message)]
#[rtype(result = "()")]
struct TimeIsUp;

/// The terminated connections had their time.
#[derive(Message)]
#[rtype(result = "()")]
struct GiveUp;

impl Registry {
    /// A registry without connections.
    pub fn new(metrics: Arc<LiveMetrics>) -> Self {
        Self { metrics, connections: HashMap::new(), drain: None }
    }

    fn answer_drain(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.waiting.is_empty() {
            return;
        }
        drain.report.took = drain.began.elapsed();
        self.metrics.drain_seconds.set(drain.report.took.as_secs_f64());
        self.metrics.drain_terminated.set(drain.report.terminated as i64);
        for waiting in drain.waiting.drain(..) {
            // Who asked may have given up waiting.
            waiting.send(drain.report).ok();
        }
    }
}

impl Actor for Registry {
    type Context = Context<Self>;
}

impl Handler<Register> for Registry {
    type Result = ();

    fn handle(&mut self, Register { vitals, control }: Register, _: &mut Self::Context) {
        if self.drain.is_some() {
            control.do_send(Control::Close(close::GOING_AWAY));
        }
        self.metrics.connections.inc();
        self.connections.insert(vitals.id, Connection { vitals, control });
    }
}

impl Handler<Deregister> for Registry {
    type Result = ();

    fn handle(&mut self, gone: Deregister, _: &mut Self::Context) {
        if self.connections.remove(&gone.id).is_none() {
            return; // it ended before it could register
        }
        self.metrics.closes.with_label_values(&[gone.reason.code_label().as_str(), gone.reason.label]).inc();
        self.metrics.connections.dec();
        if let Some(drain) = &mut self.drain {
            if gone.clean {
                drain.report.closed += 1;
            } else {
                drain.report.terminated += 1;
            }
            if self.connections.is_empty() {
                self.answer_drain();
            }
        }
    }
}

impl Handler<Shutdown> for Registry {
    type Result = ResponseFuture<DrainReport>;

    fn handle(&mut self, Shutdown { timeout }: Shutdown, ctx: &mut Self::Context) -> Self::Result {
        let (answer, report) = oneshot::channel();
        let fresh = || Drain { began: Instant::now(), report: DrainReport::default(), waiting: Vec::new() };
        self.drain.get_or_insert_with(fresh).waiting.push(answer);
        for connection in self.connections.values() {
            connection.control.do_send(Control::Close(close::GOING_AWAY));
        }
        if self.connections.is_empty() {
            self.answer_drain();
        } else {
            ctx.notify_later(TimeIsUp, timeout);
        }
        Box::pin(async { report.await.unwrap_or_default() })
    }
}

impl Handler<TimeIsUp> for Registry {
    type Result = ();

    fn handle(&mut self, _: TimeIsUp, ctx: &mut Self::Context) {
        for connection in self.connections.values() {
            connection.control.do_send(Control::Terminate);
        }
        ctx.notify_later(GiveUp, TERMINATE_GRACE);
    }
}

impl Handler<GiveUp> for Registry {
    type Result = ();

    fn handle(&mut self, _: GiveUp, _: &mut Self::Context) {
        if !self.connections.is_empty() {
            log::warn!("{} connections were not counted out in time", self.connections.len());
            if let Some(drain) = &mut self.drain {
                drain.report.terminated += self.connections.len();
            }
        }
        self.answer_drain();
    }
}

impl Handler<ListConnections> for Registry {
    type Result = MessageResult<ListConnections>;

    fn handle(&mut self, _: ListConnections, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.connections.values().map(|connection| connection.vitals.clone()).collect())
    }
}
