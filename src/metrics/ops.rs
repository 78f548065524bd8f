//! `OpsMetrics`: what the ops server counts.

use prometheus::{IntCounterVec, IntGauge};

use super::make::{Labels, Maker, metrics};

metrics! {
    /// What the ops server counts.
    pub struct OpsMetrics {
        /// Posts to /positions, by status code.
        ingest_requests: IntCounterVec = "processor_ingest_requests_total", Labels {
            names: &["status"],
            known: &[&["200"], &["400"], &["401"], &["403"], &["413"], &["415"], &["422"], &["503"]],
        };
        /// Connections to the ops server that are open now.
        connections: IntGauge = "processor_ops_connections";
        /// Connections to the ops server that it closed before their client did, by reason.
        closes: IntCounterVec = "processor_ops_closes_total", Labels { names: &["reason"], known: &[] };
    }
}
