//! `PositionsMetrics`: what consumer and store count.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::make::{Buckets, Maker, metrics};

metrics! {
    /// What consumer and store count.
    pub struct PositionsMetrics {
        /// Positions stored durably and acknowledged, repeated ones included.
        accepted: IntCounter = "processor_positions_accepted_total";
        /// Positions stored but not broadcast: the device had already reported a newer one.
        late: IntCounter = "processor_positions_late_total";
        /// Positions acknowledged but not stored again: the device had one with the same timestamp, which stays.
        repeated: IntCounter = "processor_positions_repeated_total";
        /// Devices that ever reported.
        devices: IntGauge = "processor_positions_devices";
        /// Positions that wait for the store now.
        waiting: IntGauge = "processor_positions_waiting";
        /// How long one commit to the store took.
        commit_seconds: Histogram = "processor_store_commit_seconds",
            Buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5.]);
        /// Positions in one commit.
        commit_positions: Histogram = "processor_store_commit_positions",
            Buckets(&[1., 4., 16., 64., 256., 1024., 4096., 16384.]);
        /// Commits that failed.
        store_errors: IntCounter = "processor_store_errors_total";
        /// Revocations stored durably and acknowledged.
        revocations: IntCounter = "processor_revocations_total";
        /// Bytes of the store on the disk, its log included.
        store_bytes: IntGauge = "processor_store_bytes";
        /// 1 while the store works, else 0.
        store_up: IntGauge = "processor_store_up";
    }
}
