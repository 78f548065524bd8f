//! `ConnectionTable`: the connections that are open, bounded; which of them is closed when another comes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::state::{CloseReason, ConnectionState};

/// All connections, on the thread that serves them.
pub(super) struct ConnectionTable {
    max: usize,
    connections: RefCell<BTreeMap<u64, Connection>>,
    next: Cell<u64>,
    stopping: Cell<bool>,
    /// Told when a connection is gone.
    closed: Notify,
    /// How many there are.
    open: IntGauge,
    /// By [`CloseReason::label`].
    closes: IntCounterVec,
}

struct Connection {
    state: Rc<ConnectionState>,
    /// What serves it; `None` in the moment before it is spawned.
    task: Option<AbortHandle>,
}

/// A connection's entry, removed when dropped.
pub(super) struct Entry {
    table: Rc<ConnectionTable>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.connections.borrow_mut().remove(&self.number);
        self.table.open.dec();
        self.table.closed.notify_waiters();
    }
}

impl ConnectionTable {
    /// Room for `max` connections.
    pub(super) fn new(max: usize, open: IntGauge, closes: IntCounterVec) -> Rc<Self> {
        for reason in CloseReason::ALL {
            closes.with_label_values(&[reason.label()]);
        }
        Rc::new(Self {
            max,
            connections: RefCell::default(),
            next: Cell::new(0),
            stopping: Cell::new(false),
            closed: Notify::new(),
            open,
            closes,
        })
    }

    /// Adds a connection. [`ConnectionTable::set_task`] must follow at once.
    pub(super) fn add(self: &Rc<Self>, state: Rc<ConnectionState>) -> Entry {
        let number = self.next.replace(self.next.get() + 1);
        self.connections.borrow_mut().insert(number, Connection { state, task: None });
        self.open.inc();
        Entry { table: self.clone(), number }
    }

    /// Says what serves the connection that was added last.
    pub(super) fn set_task(&self, task: AbortHandle) {
        if let Some(mut entry) = self.connections.borrow_mut().last_entry() {
            entry.get_mut().task = Some(task);
        }
    }

    /// True if no more may be added.
    pub(super) fn is_full(&self) -> bool {
        self.connections.borrow().len() >= self.max
    }

    /// Closes the connection that does least, so that another can be taken. False if all are being worked on.
    pub(super) fn evict_one(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        let ranked =
            connections.iter().filter_map(|(number, one)| Some((one.state.eviction_rank()?, *number)));
        let Some((_, number)) = ranked.min() else { return false };
        if let Some(task) = connections.remove(&number).and_then(|connection| connection.task) {
            task.abort();
            self.count_close(CloseReason::Room);
        }
        true
    }

    /// Waits until a connection is gone.
    pub(super) async fn one_closed(&self) {
        self.closed.notified().await;
    }

    /// Counts a connection that the server closed.
    pub(super) fn count_close(&self, reason: CloseReason) {
        self.closes.with_label_values(&[reason.label()]).inc();
    }

    /// True once the server stops: connections end as soon as they are quiet.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends those that are quiet, and waits until the others are gone.
    pub(super) async fn stop(&self) {
        self.stopping.set(true);
        for connection in self.connections.borrow().values().filter(|one| one.state.is_quiet()) {
            if let Some(task) = &connection.task {
                task.abort();
            }
        }
        while !self.connections.borrow().is_empty() {
            self.one_closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::http::state::Limits;

    #[actix::test]
    async fn the_one_that_is_idle_the_longest_is_evicted() {
        let opts = prometheus::Opts::new("closes", "by reason");
        let open = IntGauge::new("open", "now").unwrap();
        let closes = IntCounterVec::new(opts, &["reason"]).unwrap();
        let table = ConnectionTable::new(8, open.clone(), closes);
        let now = Instant::now();
        let mut tasks = Vec::new();
        for number in 0..3 {
            let state = Rc::new(ConnectionState::new(Limits { body: Duration::ZERO, body_bytes: 0 }, now));
            state.request_began(number == 0, now);
            if number > 0 {
                state.response_ended(now + Duration::from_secs(10 - number));
            }
            let entry = table.add(state);
            let task = actix_rt::spawn(async move {
                std::future::pending::<()>().await;
                drop(entry);
            });
            table.set_task(task.abort_handle());
            tasks.push(task);
        }
        assert!(table.evict_one());
        assert!(tasks.pop().unwrap().await.unwrap_err().is_cancelled());
        assert!(table.evict_one());
        assert!(tasks.pop().unwrap().await.unwrap_err().is_cancelled());
        assert!(!table.evict_one(), "the first is being worked on");
        assert_eq!((table.connections.borrow().len(), open.get()), (1, 1));
    }
}
