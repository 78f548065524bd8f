//! `Hubs` and `Inbox`: the way of positions from outside to the hub of every worker.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::published::Published;
use crate::domain::Position;
use crate::metrics::LiveMetrics;

/// Positions that may wait for one worker's fan-out before older ones of the same device are shed.
const INBOX_LIMIT: usize = 8192;

/// The way from outside to the hubs of all workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hubs {
    inboxes: Arc<[Arc<Inbox>]>,
    metrics: Arc<LiveMetrics>,
}

/// Positions that wait for one worker.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

impl Hubs {
    pub(crate) fn new(workers: usize, metrics: Arc<LiveMetrics>) -> Self {
        Self { inboxes: (0..workers).map(|_| Arc::default()).collect(), metrics }
    }

    pub(crate) fn inbox(&self, worker: usize) -> Arc<Inbox> {
        self.inboxes[worker].clone()
    }

    /// Publishes positions, each with the instant of its arrival, to all subscribers. Those of one device must
    /// come in the order of their timestamps.
    pub fn publish(&self, positions: impl IntoIterator<Item = (Position, Instant)>) {
        let positions: Vec<_> =
            positions.into_iter().map(|(position, received)| Published::new(position, received)).collect();
        for inbox in self.inboxes.iter() {
            let shed = inbox.push(&positions);
            self.metrics.shed.inc_by(shed as u64);
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    positions: Vec<Arc<Published>>,
    /// How many devices there were when it was last too long: looking again pays only when it has grown well beyond.
    devices: usize,
}

impl Inbox {
    /// Adds positions; if there are too many, leaves the newest of each device. Returns how many were shed.
    fn push(&self, positions: &[Arc<Published>]) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { positions: list, devices } = &mut *waiting;
        list.extend_from_slice(positions);
        let before = list.len();
        if before > INBOX_LIMIT.max(*devices * 2) {
            let mut seen = HashSet::new();
            list.reverse();
            list.retain(|published| seen.insert(published.position().device_id.clone()));
            list.reverse();
            *devices = list.len();
        }
        let shed = before - list.len();
        drop(waiting);
        self.ready.notify_one();
        shed
    }

    /// Waits until there is something.
    pub(crate) async fn filled(&self) {
        self.ready.notified().await;
    }

    /// Takes all that is there.
    pub(crate) fn take(&self) -> Vec<Arc<Published>> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)).positions
    }
}
