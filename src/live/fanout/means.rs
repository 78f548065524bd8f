//! `Means`: makes what clients share of frames and pieces of snapshots: counted, and on the budget of what waits.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::live::client::Client;
use crate::live::outbox::{Budget, Carries, UpdateFrame};
use crate::live::wire::encoding::Encoded;
use crate::live::wire::snapshot::SnapshotForm;
use crate::metrics::LiveMetrics;

/// What frames are made with.
pub(super) struct Means {
    pub(super) budget: Arc<Budget>,
    pub(super) metrics: Arc<LiveMetrics>,
}

impl Means {
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self { budget: Budget::new(1 << 20), metrics: crate::metrics::Metrics::new("test").unwrap().live }
    }

    /// Counts positions that a client does not get in their turn, as it is behind.
    pub(super) fn count_skipped(&self, client: &Client, positions: usize) {
        self.metrics.conflated.inc_by(positions as u64);
        client.vitals.count_conflated(positions);
    }

    /// A frame that those share who are told. What was compressed for it is counted.
    pub(super) fn frame(&self, number: u64, carries: Carries, encoded: Encoded) -> Rc<UpdateFrame> {
        let Encoded { frame, deflated } = encoded;
        self.count_deflated(deflated, frame.len());
        UpdateFrame::new(number, carries, frame, &self.budget)
    }

    /// A piece of a snapshot. It counts among what waits for clients as long as anyone holds it.
    pub(super) fn piece(&self, form: SnapshotForm, positions: Vec<u8>) -> Bytes {
        let plain = positions.len();
        let piece = form.piece(positions);
        if form == SnapshotForm::Deflated {
            self.count_deflated(plain, piece.len());
        }
        self.budget.hold(piece)
    }

    /// Counts so many bytes that were compressed to so many, if any were.
    fn count_deflated(&self, plain: usize, compressed: usize) {
        if plain > 0 {
            self.metrics.count_deflated(plain, compressed);
        }
    }
}
