//! `Worker`: what the connections of one worker share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;

use crate::live::fanout::Hub;
use crate::live::handler::MessageHandler;
use crate::live::outbox::Budget;
use crate::live::registry::Registry;
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// Bytes read from a socket at once. One buffer of this size for each worker.
const SCRATCH_BYTES: usize = 64 * 1024;

/// The fractional part of the golden ratio: its multiples spread evenly over an interval, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Pings are spread over their interval, but those that come this close together leave together: each time a thread wakes
/// up costs more than a ping does.
const PING_SLOT: Duration = Duration::from_millis(200);

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) settings: Rc<LiveSettings>,
    pub(crate) metrics: Arc<LiveMetrics>,
    pub(crate) hub: Rc<Hub>,
    /// What may wait for all of them together.
    pub(crate) budget: Arc<Budget>,
    pub(crate) handler: Rc<dyn MessageHandler>,
    pub(crate) registry: Addr<Registry>,
    /// Where in its interval the last connection's first ping comes, 0 to 1.
    phase: Cell<f64>,
    /// Pings leave at whole slots from here on.
    since: Instant,
    /// Where every connection's bytes are read to; none keeps a buffer of its own.
    pub(crate) scratch: RefCell<Box<[u8]>>,
}

impl Worker {
    pub(crate) fn new(
        settings: Rc<LiveSettings>,
        metrics: Arc<LiveMetrics>,
        hub: Rc<Hub>,
        budget: Arc<Budget>,
        handler: Rc<dyn MessageHandler>,
        registry: Addr<Registry>,
    ) -> Self {
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES].into());
        let (phase, since) = (Cell::new(0.0), Instant::now());
        Self { settings, metrics, hub, budget, handler, registry, phase, since, scratch }
    }

    /// When a new connection's first ping is due, from now on, within the interval: connections that came together are
    /// not pinged together.
    pub(super) fn first_ping(&self) -> Duration {
        let phase = (self.phase.get() + GOLDEN).fract();
        self.phase.set(phase);
        in_slot(self.since.elapsed(), self.settings.ping_interval, phase)
    }
}

/// How long after `now` the ping is due that comes at `phase` of the interval, moved to the end of its slot. Times are from
/// where slots are counted; an interval of a few slots has smaller ones.
fn in_slot(now: Duration, interval: Duration, phase: f64) -> Duration {
    let slot = PING_SLOT.min(interval / 20).as_micros().max(1);
    let due = (now + interval.mul_f64(phase)).as_micros().div_ceil(slot) * slot;
    Duration::from_micros(due.try_into().unwrap_or(u64::MAX)).saturating_sub(now).min(interval)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn pings_are_spread_over_the_interval_and_leave_in_slots() {
        let interval = Duration::from_secs(5);
        let mut slots = BTreeMap::new();
        let mut phase = 0.0_f64;
        for number in 0..10_000_u64 {
            phase = (phase + GOLDEN).fract();
            // Connections come every 17 microseconds.
            let now = Duration::from_micros(number * 17);
            let delay = in_slot(now, interval, phase);
            assert!(delay <= interval, "{delay:?}");
            *slots.entry((now + delay).as_micros()).or_insert(0) += 1;
        }
        assert!(slots.keys().all(|at| at % PING_SLOT.as_micros() == 0 || *at > 5_000_000), "{slots:?}");
        assert!(slots.len() >= 25, "{}", slots.len());
        assert!(slots.values().all(|count| *count <= 800), "{slots:?}");
    }

    #[test]
    fn a_short_interval_has_short_slots() {
        let delay = |tenth| in_slot(Duration::ZERO, Duration::from_millis(20), f64::from(tenth) / 10.0);
        let millis: Vec<_> = (0..10).map(|tenth| delay(tenth).as_millis()).collect();
        assert_eq!(millis, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    }
}
