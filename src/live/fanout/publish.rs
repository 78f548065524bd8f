//! `Hubs` and `Inbox`: the way of positions from outside to the hub of every worker.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::published::Published;
use crate::domain::Position;
use crate::live::sync::Mutex;
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

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod models {
    use std::time::Instant;

    use shuttle::thread;

    use super::*;
    use crate::domain::Timestamp;

    fn published(device: usize, second: usize) -> Arc<Published> {
        let json = format!(
            r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:{second:02}Z","latitude":1,"longitude":2}}"#
        );
        Published::new(Position::from_json(&json, Timestamp::now()).unwrap(), Instant::now())
    }

    /// Two publishers, and a worker that takes what there is each time it is woken.
    fn publish_beside_a_worker() {
        let inbox = Arc::new(Inbox::default());
        let publishers: Vec<_> = (0..2)
            .map(|device| {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    (0..3).for_each(|second| assert_eq!(inbox.push(&[published(device, second)]), 0));
                })
            })
            .collect();
        // If a wake-up were lost, this would wait for ever, which shuttle reports as a deadlock.
        let taken = shuttle::future::block_on(async {
            let mut taken = Vec::new();
            while taken.len() < 6 {
                inbox.filled().await;
                taken.extend(inbox.take());
            }
            taken
        });
        for device in ["0", "1"] {
            let of_device = taken.iter().map(|published| published.position());
            let times: Vec<_> =
                of_device.filter(|position| &*position.device_id == device).map(|p| p.timestamp).collect();
            assert!(times.len() == 3 && times.is_sorted(), "{times:?}");
        }
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    }

    #[test]
    fn everything_published_is_taken_in_order() {
        shuttle::check_random(publish_beside_a_worker, 3_000);
        shuttle::check_pct(publish_beside_a_worker, 3_000, 3);
    }
}
