//! `InputMetrics`: what the reader of the input stream counts.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::make::{Maker, metrics};

metrics! {
    /// What the reader of the input stream counts.
    pub struct InputMetrics {
        /// 1 while the input stream can be read, else 0; 0 where there is none.
        up: IntGauge = "processor_positions_input_up";
        /// Entries of the input stream whose positions were stored. One that is taken twice counts twice.
        entries: IntCounter = "processor_positions_input_entries_total";
        /// Positions in these.
        positions: IntCounter = "processor_positions_input_positions_total";
        /// Entries that were no positions, and were moved to the stream of rejected ones.
        rejected: IntCounter = "processor_positions_input_rejected_total";
        /// Entries taken over from another instance that had not finished them.
        claimed: IntCounter = "processor_positions_input_claimed_total";
        /// Connections to the input stream that had to be made anew.
        reconnects: IntCounter = "processor_positions_input_reconnects_total";
        /// Entries taken from the input stream that are not finished yet.
        pending: IntGauge = "processor_positions_input_pending_entries";
        /// The age of the oldest entry in the last batch that was stored, by the clocks of Redis and of this instance.
        lag: Gauge = "processor_positions_input_lag_seconds";
    }
}
