//! `LiveMetrics`: what the live server counts.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};

use super::make::{Buckets, Labels, Maker, metrics};

metrics! {
    /// What the live server counts.
    pub struct LiveMetrics {
        /// Connections that are open now.
        connections: IntGauge = "processor_live_connections";
        /// Subscriptions that are held now.
        subscriptions: IntGauge = "processor_live_subscriptions";
        /// Messages received from clients, by type.
        inbound: IntCounterVec = "processor_live_messages_inbound_total",
            Labels { names: &["type"], known: &[&["hello"], &["subscribe"], &["unsubscribe"], &["invalid"]] };
        /// Messages handed to client sockets or outboxes, by type.
        outbound: IntCounterVec = "processor_live_messages_outbound_total", Labels {
            names: &["type"],
            known: &[
                &["welcome"],
                &["subscribed"],
                &["unsubscribed"],
                &["position"],
                &["positions"],
                &["left"],
                &["draining"],
                &["error"],
            ],
        };
        /// Positions in messages of type `positions`, which carry several.
        batched: IntCounter = "processor_live_batched_positions_total";
        /// Connections that ended, by close code and reason; 1006 where no close frame came.
        closes: IntCounterVec = "processor_live_closes_total", Labels { names: &["code", "reason"], known: &[] };
        /// Sockets that were refused or closed before the upgrade, by reason.
        refused: IntCounterVec = "processor_live_refused_total", Labels { names: &["reason"], known: &[] };
        /// Errors of accepting a connection, such as no file descriptor left.
        accept_errors: IntCounter = "processor_live_accept_errors_total";
        /// Pings sent to clients.
        pings: IntCounter = "processor_live_pings_total";
        /// Pings that were due or overdue while the one before had not been answered.
        pings_missed: IntCounter = "processor_live_pings_missed_total";
        /// Positions not sent to a client in their turn because it was slow; it gets the newest of each device later.
        conflated: IntCounter = "processor_live_conflated_total";
        /// Positions replaced by a newer one of the same device before the fan-out, because the server was slow.
        shed: IntCounter = "processor_live_shed_total";
        /// Panics that ended a connection or a fan-out.
        panics: IntCounter = "processor_live_panics_total";
        /// Writes of positions to client sockets.
        writes: IntCounter = "processor_live_writes_total";
        /// Frames that left in one write of positions.
        frames_per_write: Histogram = "processor_live_frames_per_write",
            Buckets(&[1., 2., 4., 8., 16., 32., 64., 128.]);
        /// Bytes waiting in a client's outbox, each time a position could not be written at once.
        outbox_bytes: Histogram = "processor_live_outbox_bytes",
            Buckets(&[1024., 4096., 16384., 65536., 131072., 262144., 524288., 1048576.]);
        /// From a position's timestamp, by the device's clock, until its fan-out reached the last socket.
        position_age: Histogram = "processor_live_position_age_seconds",
            Buckets(&[0.01, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 300.]);
        /// From a position's arrival at ingest until its fan-out reached the last socket.
        delivery: Histogram = "processor_live_delivery_seconds",
            Buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5.]);
        /// From the instant at which subscriptions with a cadence were due until they were served. What they are served is not
        /// in the two histograms before this one.
        cadence_lag: Histogram = "processor_live_cadence_lag_seconds",
            Buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5.]);
        /// Connections that negotiated compression (permessage-deflate).
        deflate_negotiated: IntCounter = "processor_live_deflate_negotiated_total";
        /// Bytes of messages that were compressed for clients (out) or by them (in), plain and compressed. What is
        /// compressed once for several clients counts once.
        deflate_bytes: IntCounterVec = "processor_live_deflate_bytes_total", Labels {
            names: &["direction", "form"],
            known: &[&["in", "plain"], &["in", "compressed"], &["out", "plain"], &["out", "compressed"]],
        };
        /// Connections that a drain has not sent 1001 to yet, as their turn is still to come; 0 before it.
        drain_waiting: IntGauge = "processor_live_drain_waiting";
        /// How long the drain took, its delay included; 0 before it.
        drain_seconds: Gauge = "processor_live_drain_seconds";
        /// Connections that the drain had to terminate.
        drain_terminated: IntGauge = "processor_live_drain_terminated";
    }
}

impl LiveMetrics {
    /// Counts messages with so many positions that were handed to clients, one in each.
    pub(crate) fn count_positions(&self, positions: usize) {
        self.outbound.with_label_values(&["position"]).inc_by(positions as u64);
    }

    /// Counts messages that carry several positions, and these.
    pub(crate) fn count_batches(&self, batches: usize, positions: usize) {
        if batches > 0 {
            self.outbound.with_label_values(&["positions"]).inc_by(batches as u64);
            self.batched.inc_by(positions as u64);
        }
    }

    /// Counts messages that say that a device left.
    pub(crate) fn count_left(&self, left: usize) {
        if left > 0 {
            self.outbound.with_label_values(&["left"]).inc_by(left as u64);
        }
    }

    /// Counts `plain` bytes that were compressed for clients to so many.
    pub(crate) fn count_deflated(&self, plain: usize, compressed: usize) {
        self.deflate_bytes.with_label_values(&["out", "plain"]).inc_by(plain as u64);
        self.deflate_bytes.with_label_values(&["out", "compressed"]).inc_by(compressed as u64);
    }

    /// Counts `compressed` bytes of clients that became so many.
    pub(crate) fn count_inflated(&self, plain: u32, compressed: u32) {
        self.deflate_bytes.with_label_values(&["in", "plain"]).inc_by(plain.into());
        self.deflate_bytes.with_label_values(&["in", "compressed"]).inc_by(compressed.into());
    }
}
