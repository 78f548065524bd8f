//! `LogMetrics`: what the log between instances counts.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::make::{Buckets, Labels, Maker, metrics};

metrics! {
    /// What the log between instances counts.
    pub struct LogMetrics {
        /// 1 while what is stored can be handed to other instances, also where there are none; else 0.
        up: IntGauge = "processor_positions_log_up";
        /// Entries appended to the log in Redis.
        appended_entries: IntCounter = "processor_positions_log_appended_entries_total";
        /// Positions in these.
        appended_positions: IntCounter = "processor_positions_log_appended_positions_total";
        /// Positions that wait to be appended now. While the log is away, only the newest of each device.
        waiting: IntGauge = "processor_positions_log_waiting_positions";
        /// Times that the log failed or was too slow, so that only the newest positions were kept for it.
        failures: IntCounter = "processor_positions_log_failures_total";
        /// Streams of the log that cannot be read now, so that what other instances take is not shown here.
        unreadable: IntGauge = "processor_positions_log_unreadable_streams";
        /// Entries read from the log, those of this instance included.
        read_entries: IntCounter = "processor_positions_log_read_entries_total";
        /// Positions in these.
        read_positions: IntCounter = "processor_positions_log_read_positions_total";
        /// Revocations in these.
        read_revocations: IntCounter = "processor_positions_log_read_revocations_total";
        /// Entries that were read but not used, by reason.
        skipped: IntCounterVec = "processor_positions_log_skipped_total",
            Labels { names: &["reason"], known: &[&["version"], &["broken"]] };
        /// From the arrival of an entry's first position at its instance until the entry was read here, by the clocks of both.
        lag: Histogram = "processor_positions_log_lag_seconds",
            Buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 30., 300.]);
        /// Connections to the log that had to be made anew.
        reconnects: IntCounter = "processor_positions_log_reconnects_total";
        /// Times that entries may have been missed, so that the newest positions were read from the store.
        catch_ups: IntCounter = "processor_positions_log_catch_ups_total";
    }
}
