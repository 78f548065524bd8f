//! `Registry`: the one actor that knows who is connected. It alone moves the gauge, and it drains.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient, ResponseFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::admission::Admission;
use crate::live::client::Vitals;
use crate::live::wire::close::{self, CloseReason};
use crate::metrics::LiveMetrics;

/// How long terminated connections may take to be counted out before the drain is reported without them.
const TERMINATE_GRACE: Duration = Duration::from_millis(300);

/// Knows every connection.
#[derive(Debug)]
pub struct Registry {
    metrics: Arc<LiveMetrics>,
    /// Knows also those that are admitted but have not registered yet.
    admission: Arc<Admission>,
    connections: HashMap<Uuid, Connection>,
    drain: Option<Drain>,
}

#[derive(Debug)]
struct Connection {
    vitals: Arc<Vitals>,
    control: Recipient<Close>,
}

/// A drain that is under way or done.
#[derive(Debug)]
struct Drain {
    began: Instant,
    report: DrainReport,
    /// The timeout is over: whoever is still there is terminated.
    overdue: bool,
    waiting: Vec<oneshot::Sender<DrainReport>>,
}

/// Tells a connection to begin the closing handshake.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Close(pub(crate) CloseReason);

/// A connection is open.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Register {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) control: Recipient<Close>,
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

/// Admits nobody any more and closes every connection with 1001 `server shutting down`, also those that were admitted but
/// had not registered yet; waits until all are gone, at most `timeout`, then terminates the rest.
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

/// No permit is out any more.
#[derive(Message)]
#[rtype(result = "()")]
struct Drained;

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
    pub(crate) fn new(metrics: Arc<LiveMetrics>, admission: Arc<Admission>) -> Self {
        Self { metrics, admission, connections: HashMap::new(), drain: None }
    }

    /// Tells whoever asked for the drain how it went.
    fn report_drain(&mut self) {
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
        if let Some(drain) = &self.drain {
            control.do_send(Close(close::GOING_AWAY));
            if drain.overdue {
                vitals.terminate();
            }
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
        }
    }
}

impl Handler<Shutdown> for Registry {
    type Result = ResponseFuture<DrainReport>;

    fn handle(&mut self, Shutdown { timeout }: Shutdown, ctx: &mut Self::Context) -> Self::Result {
        self.admission.drain();
        let (reporter, report) = oneshot::channel();
        let drain = self.drain.get_or_insert_with(|| Drain {
            began: Instant::now(),
            report: DrainReport::default(),
            overdue: false,
            waiting: Vec::new(),
        });
        drain.waiting.push(reporter);
        for connection in self.connections.values() {
            connection.control.do_send(Close(close::GOING_AWAY));
        }
        // A connection is deregistered before its permit is given back. So when the last permit is back, all that is
        // to be counted is in the mailbox, and `Drained` gets behind it.
        let (admission, registry) = (self.admission.clone(), ctx.address());
        actix_rt::spawn(async move {
            admission.drained().await;
            registry.do_send(Drained);
        });
        ctx.notify_later(TimeIsUp, timeout);
        Box::pin(async { report.await.unwrap_or_default() })
    }
}

impl Handler<Drained> for Registry {
    type Result = ();

    fn handle(&mut self, _: Drained, _: &mut Self::Context) {
        self.report_drain();
    }
}

impl Handler<TimeIsUp> for Registry {
    type Result = ();

    fn handle(&mut self, _: TimeIsUp, ctx: &mut Self::Context) {
        if let Some(drain) = &mut self.drain {
            drain.overdue = true;
        }
        for connection in self.connections.values() {
            connection.vitals.terminate();
        }
        ctx.notify_later(GiveUp, TERMINATE_GRACE);
    }
}

impl Handler<GiveUp> for Registry {
    type Result = ();

    fn handle(&mut self, _: GiveUp, _: &mut Self::Context) {
        let left = self.admission.connected();
        if left > 0 {
            log::warn!("{left} connections were not counted out in time");
            if let Some(drain) = &mut self.drain {
                drain.report.terminated += left;
            }
        }
        self.report_drain();
    }
}

impl Handler<ListConnections> for Registry {
    type Result = MessageResult<ListConnections>;

    fn handle(&mut self, _: ListConnections, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.connections.values().map(|connection| connection.vitals.clone()).collect())
    }
}

#[cfg(test)]
mod tests;
