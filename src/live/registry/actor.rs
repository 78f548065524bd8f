//! `Registry`: the one actor that knows who is connected. It alone moves the gauge, and it drains.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient, ResponseFuture};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::admission::Admission;
use super::schedule::{Pace, Schedule, Turn};
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
    control: Recipient<Control>,
    /// The drain has told it to close.
    told: bool,
}

/// A drain that is under way or done.
#[derive(Debug)]
struct Drain {
    began: Instant,
    /// The delay is over: from here on it may end.
    first_close: Instant,
    schedule: Schedule,
    report: DrainReport,
    /// The timeout is over: whoever is still there is terminated.
    overdue: bool,
    waiting: Vec<oneshot::Sender<DrainReport>>,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Control {
    /// Begin the closing handshake.
    Close {
        reason: CloseReason,
        /// The client is told before to come back so long after.
        reconnect_after: Option<Duration>,
    },
    /// Look again at what the client may do.
    Recheck,
}

/// Something was revoked: every connection looks again at what its client may do.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Recheck;

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

/// Admits nobody any more and closes every connection with 1001 `server shutting down`, also those that were admitted but
/// had not registered yet; waits until all are gone, at most `timeout`, then terminates the rest. All times count from here;
/// the pace of the first of several holds.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "DrainReport")]
pub struct Shutdown {
    /// Until the last connection is gone. Longer than the [`Pace::window`], or some are terminated when they have hardly
    /// been told.
    pub timeout: Duration,
    /// When who is closed.
    pub pace: Pace,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that closed by themselves.
    pub closed: usize,
    /// Connections that had to be terminated.
    pub terminated: usize,
    /// From the beginning of the drain, its delay included, to the last connection gone.
    pub took: Duration,
}

/// Asks for all connections.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Arc<Vitals>>")]
pub struct ListConnections;

/// It is the next connection's turn to be closed.
#[derive(Message)]
#[rtype(result = "()")]
struct CloseDue;

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

    /// Closes those whose turn has come, and comes back for the next: one timer, however many there are.
    fn close_due(&mut self, ctx: &mut Context<Self>) {
        let Some(drain) = &mut self.drain else { return };
        let elapsed = if drain.overdue { Duration::MAX } else { drain.began.elapsed() };
        while let Some(Turn { id, reconnect_after }) = drain.schedule.take_due(elapsed) {
            let Some(connection) = self.connections.get_mut(&id) else { continue }; // it has gone already
            connection.told = true;
            connection.control.do_send(Control::Close { reason: close::GOING_AWAY, reconnect_after });
            self.metrics.drain_waiting.dec();
        }
        if let Some(next) = drain.schedule.next_at() {
            ctx.notify_later(CloseDue, next.saturating_sub(elapsed));
        }
    }

    /// Has `Drained` come when the delay is over and the last permit is back: load balancers need the delay also where nobody
    /// is connected.
    ///
    /// A connection is deregistered before its permit is given back. So when the last permit is back, all that is to be
    /// counted is in the mailbox, and `Drained` gets behind it.
    fn wait_for_end(&self, first_close: Instant, ctx: &mut Context<Self>) {
        let (admission, registry) = (self.admission.clone(), ctx.address());
        actix_rt::spawn(async move {
            if first_close > Instant::now() {
                tokio::time::sleep_until(first_close).await;
            }
            admission.drained().await;
            registry.do_send(Drained);
        });
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

    fn handle(&mut self, Register { vitals, control }: Register, ctx: &mut Self::Context) {
        self.metrics.connections.inc();
        self.connections.insert(vitals.id, Connection { vitals: vitals.clone(), control, told: false });
        let Some(drain) = &mut self.drain else { return };
        self.metrics.drain_waiting.inc();
        // While someone waits for a turn, there is a timer.
        let (has_timer, overdue) = (drain.schedule.next_at().is_some(), drain.overdue);
        drain.schedule.add(vitals.id);
        if !has_timer {
            self.close_due(ctx);
        }
        if overdue {
            vitals.terminate();
        }
    }
}

impl Handler<Deregister> for Registry {
    type Result = ();

    fn handle(&mut self, gone: Deregister, _: &mut Self::Context) {
        let Some(connection) = self.connections.remove(&gone.id) else {
            return; // it ended before it could register
        };
        self.metrics.closes.with_label_values(&[gone.reason.code_label().as_str(), gone.reason.label]).inc();
        self.metrics.connections.dec();
        if let Some(drain) = &mut self.drain {
            if !connection.told {
                self.metrics.drain_waiting.dec();
            }
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

    fn handle(&mut self, Shutdown { timeout, pace }: Shutdown, ctx: &mut Self::Context) -> Self::Result {
        self.admission.drain();
        let (reporter, report) = oneshot::channel();
        let is_first = self.drain.is_none();
        let drain = self.drain.get_or_insert_with(|| {
            let began = Instant::now();
            self.metrics.drain_waiting.set(self.connections.len() as i64);
            Drain {
                began,
                first_close: began + pace.delay,
                schedule: Schedule::new(pace, self.connections.keys().copied()),
                report: DrainReport::default(),
                overdue: false,
                waiting: Vec::new(),
            }
        });
        drain.waiting.push(reporter);
        let first_close = drain.first_close;
        if is_first {
            self.close_due(ctx);
        }
        self.wait_for_end(first_close, ctx);
        ctx.notify_later(TimeIsUp, timeout);
        Box::pin(async { report.await.unwrap_or_default() })
    }
}

impl Handler<CloseDue> for Registry {
    type Result = ();

    fn handle(&mut self, _: CloseDue, ctx: &mut Self::Context) {
        self.close_due(ctx);
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
        // Whose turn was still to come is told at least.
        self.close_due(ctx);
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

impl Handler<Recheck> for Registry {
    type Result = ();

    fn handle(&mut self, _: Recheck, _: &mut Self::Context) {
        // Also those of which it is not known yet who they are: they may be found out at this moment.
        for connection in self.connections.values() {
            connection.control.do_send(Control::Recheck);
        }
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
