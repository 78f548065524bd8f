//! `Metrics`: every figure the server exposes, over a registry of its own, one part for each room.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Everything that is measured. Cheap to clone: the parts are shared.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The figures of the process, with the names that every client library gives them; and others made elsewhere.
    process: Registry,
    registry: Registry,
    /// The live server's.
    pub live: Arc<LiveMetrics>,
    /// Consumer's and store's.
    pub positions: Arc<PositionsMetrics>,
    /// The ops server's.
    pub ops: Arc<OpsMetrics>,
}

/// What the live server counts.
#[derive(Debug)]
pub struct LiveMetrics {
    /// Connections that are open now.
    pub connections: IntGauge,
    /// Subscriptions that are held now.
    pub subscriptions: IntGauge,
    /// Messages received, by type (`subscribe`, `unsubscribe`, `invalid`).
    pub inbound: IntCounterVec,
    /// Messages sent, by type (`subscribed`, `unsubscribed`, `position`, `left`, `error`).
    pub outbound: IntCounterVec,
    /// Connections that ended, by close code and reason (1006 and a reason where no close frame was exchanged).
    pub closes: IntCounterVec,
    /// Connections refused before the upgrade, by reason.
    pub refused: IntCounterVec,
    /// Errors of accepting a connection (such as no file descriptor left).
    pub accept_errors: IntCounter,
    /// Pings sent to clients.
    pub pings: IntCounter,
    /// Pings that were due while the one before was not answered.
    pub pings_missed: IntCounter,
    /// Positions that were not sent to a client in their turn, because it was slow.
    pub conflated: IntCounter,
    /// Positions that a newer one of the same device replaced before the fan-out, because the server was slow.
    pub shed: IntCounter,
    /// Panics that ended a connection or a fan-out.
    pub panics: IntCounter,
    /// Writes of positions to client sockets.
    pub writes: IntCounter,
    /// How many frames left in one write of positions.
    pub frames_per_write: Histogram,
    /// Bytes that wait in a client's outbox, seen each time a position could not be written at once.
    pub outbox_bytes: Histogram,
    /// From a position's timestamp, by the device's clock, to its last hand-over to the kernel, in seconds.
    pub position_age: Histogram,
    /// From ingest to the last hand-over to the kernel, in seconds.
    pub delivery: Histogram,
    /// How long the drain took, in seconds; 0 before a shutdown.
    pub drain_seconds: prometheus::Gauge,
    /// Connections that the drain had to terminate.
    pub drain_terminated: IntGauge,
}

/// What consumer and store count.
#[derive(Debug)]
pub struct PositionsMetrics {
    /// Positions that were stored durably and acknowledged, repeated ones included.
    pub accepted: IntCounter,
    /// Positions that were stored but not broadcast, because the device had reported a newer one.
    pub late: IntCounter,
    /// Positions that were acknowledged but changed nothing, because the device had one with the same timestamp.
    pub repeated: IntCounter,
    /// Devices that ever reported.
    pub devices: IntGauge,
    /// Positions that wait for the store now.
    pub waiting: IntGauge,
    /// How long a commit took, in seconds.
    pub commit_seconds: Histogram,
    /// How many positions one commit held.
    pub commit_positions: Histogram,
    /// Commits that failed.
    pub store_errors: IntCounter,
    /// Bytes of the store on the disk.
    pub store_bytes: IntGauge,
    /// 1 while the store works, else 0.
    pub store_up: IntGauge,
}

/// What the ops server counts.
#[derive(Debug)]
pub struct OpsMetrics {
    /// Posts to /positions, by status code.
    pub ingest_requests: IntCounterVec,
    /// Connections that the ops server closed, by reason.
    pub closes: IntCounterVec,
}

impl Metrics {
    /// All metrics at zero, each with the constant label `instance_id`.
    ///
    /// # Errors
    /// If two metrics had the same name: a mistake in this file.
    pub fn new(instance_id: &str) -> Result<Self, prometheus::Error> {
        let labels = HashMap::from([("instance_id".to_owned(), instance_id.to_owned())]);
        // The collector of the process takes no labels, so it has a registry of its own that adds them.
        let process = Registry::new_custom(None, Some(labels.clone()))?;
        process.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let registry = Registry::new();
        let make = Maker { registry: &registry, labels };
        let build = make.gauge_with(
            "build_info",
            "1, with the version of this program.",
            ("version", env!("CARGO_PKG_VERSION")),
        )?;
        build.set(1);
        Ok(Self {
            live: Arc::new(LiveMetrics::new(&make)?),
            positions: Arc::new(PositionsMetrics::new(&make)?),
            ops: Arc::new(OpsMetrics::new(&make)?),
            process,
            registry,
        })
    }

    /// Shows a counter that was there before, such as the log's.
    ///
    /// # Errors
    /// If there is one of its name already.
    pub fn with(self, counter: IntCounter) -> Result<Self, prometheus::Error> {
        self.process.register(Box::new(counter))?;
        Ok(self)
    }

    /// The page for Prometheus, text format 0.0.4.
    ///
    /// # Errors
    /// If the encoder fails, which says that a metric is malformed.
    pub fn page(&self) -> Result<String, prometheus::Error> {
        let mut page = Vec::new();
        let encoder = TextEncoder::new();
        encoder.encode(&self.process.gather(), &mut page)?;
        encoder.encode(&self.registry.gather(), &mut page)?;
        String::from_utf8(page).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// The content type of [`Metrics::page`].
    pub fn content_type(&self) -> &'static str {
        prometheus::TEXT_FORMAT
    }
}

impl LiveMetrics {
    /// Counts updates that were handed to clients.
    pub(crate) fn count_updates(&self, positions: usize, left: usize) {
        self.outbound.with_label_values(&["position"]).inc_by(positions as u64);
        if left > 0 {
            self.outbound.with_label_values(&["left"]).inc_by(left as u64);
        }
    }

    fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            connections: make.gauge("live_connections", "Connections that are open now.")?,
            subscriptions: make.gauge("live_subscriptions", "Subscriptions that are held now.")?,
            inbound: make.counters(
                "live_messages_inbound_total",
                "Messages received from clients, by type.",
                &["type"],
                &[&["subscribe"], &["unsubscribe"], &["invalid"]],
            )?,
            outbound: make.counters(
                "live_messages_outbound_total",
                "Messages handed to client sockets or outboxes, by type.",
                &["type"],
                &[&["subscribed"], &["unsubscribed"], &["position"], &["left"], &["error"]],
            )?,
            closes: make.counters(
                "live_closes_total",
                "Connections that ended, by close code and reason; 1006 where no close frame came.",
                &["code", "reason"],
                &[],
            )?,
            refused: make.counters(
                "live_refused_total",
                "Connections refused before the upgrade, by reason.",
                &["reason"],
                &[],
            )?,
            accept_errors: make.counter(
                "live_accept_errors_total",
                "Errors of accepting a connection, such as no file descriptor left.",
            )?,
            pings: make.counter("live_pings_total", "Pings sent to clients.")?,
            pings_missed: make.counter(
                "live_pings_missed_total",
                "Pings that were due while the one before had not been answered.",
            )?,
            conflated: make.counter(
                "live_conflated_total",
                "Positions not sent to a client in their turn because it was slow; it gets the newest of each device later.",
            )?,
            shed: make.counter(
                "live_shed_total",
                "Positions replaced by a newer one of the same device before the fan-out, because the server was slow.",
            )?,
            panics: make.counter("live_panics_total", "Panics that ended a connection or a fan-out.")?,
            writes: make.counter("live_writes_total", "Writes of positions to client sockets.")?,
            frames_per_write: make.histogram(
                "live_frames_per_write",
                "Frames that left in one write of positions.",
                &[1., 2., 4., 8., 16., 32., 64., 128.],
            )?,
            outbox_bytes: make.histogram(
                "live_outbox_bytes",
                "Bytes waiting in a client's outbox, each time a position could not be written at once.",
                &[1024., 4096., 16384., 65536., 131072., 262144., 524288., 1048576.],
            )?,
            position_age: make.histogram(
                "live_position_age_seconds",
                "From a position's timestamp, by the device's clock, until its fan-out reached the last socket.",
                &[0.01, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 300.],
            )?,
            delivery: make.histogram(
                "live_delivery_seconds",
                "From a position's arrival at ingest until its fan-out reached the last socket.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5.],
            )?,
            drain_seconds: make.float_gauge("live_drain_seconds", "How long the drain took; 0 before it.")?,
            drain_terminated: make
                .gauge("live_drain_terminated", "Connections that the drain had to terminate.")?,
        })
    }
}

impl PositionsMetrics {
    fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            accepted: make.counter(
                "positions_accepted_total",
                "Positions stored durably and acknowledged, repeated ones included.",
            )?,
            late: make.counter(
                "positions_late_total",
                "Positions stored but not broadcast: the device had already reported a newer one.",
            )?,
            repeated: make.counter(
                "positions_repeated_total",
                "Positions acknowledged but not stored again: the device had one with the same timestamp, which stays.",
            )?,
            devices: make.gauge("positions_devices", "Devices that ever reported.")?,
            waiting: make.gauge("positions_waiting", "Positions that wait for the store now.")?,
            commit_seconds: make.histogram(
                "store_commit_seconds",
                "How long one commit to the store took.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5.],
            )?,
            commit_positions: make.histogram(
                "store_commit_positions",
                "Positions in one commit.",
                &[1., 4., 16., 64., 256., 1024., 4096., 16384.],
            )?,
            store_errors: make.counter("store_errors_total", "Commits that failed.")?,
            store_bytes: make.gauge("store_bytes", "Bytes of the store on the disk, its log included.")?,
            store_up: make.gauge("store_up", "1 while the store works, else 0.")?,
        })
    }
}

impl OpsMetrics {
    fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            ingest_requests: make.counters(
                "ingest_requests_total",
                "Posts to /positions, by status code.",
                &["status"],
                &[&["200"], &["400"], &["401"], &["403"], &["413"], &["415"], &["422"], &["503"]],
            )?,
            closes: make.counters(
                "ops_closes_total",
                "Connections to the ops server that it closed before their client did, by reason.",
                &["reason"],
                &[],
            )?,
        })
    }
}

/// Makes metrics named `processor_…` and registers them.
struct Maker<'a> {
    registry: &'a Registry,
    labels: HashMap<String, String>,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("processor_{name}"), help).const_labels(self.labels.clone())
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(self.opts(name, help))?)
    }

    fn gauge_with(
        &self,
        name: &str,
        help: &str,
        (label, value): (&str, &str),
    ) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(self.opts(name, help).const_label(label, value))?)
    }

    fn float_gauge(&self, name: &str, help: &str) -> Result<prometheus::Gauge, prometheus::Error> {
        self.register(prometheus::Gauge::with_opts(self.opts(name, help))?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(self.opts(name, help))?)
    }

    /// `known` label values are exposed at 0 from the start, so that a rate over them is right at once.
    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        known: &[&[&str]],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counters = self.register(IntCounterVec::new(self.opts(name, help), labels)?)?;
        for values in known {
            counters.get_metric_with_label_values(values)?;
        }
        Ok(counters)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts { common_opts: self.opts(name, help), buckets: buckets.to_vec() };
        self.register(Histogram::with_opts(opts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_carries_the_instance() {
        let metrics = Metrics::new("a-1").unwrap();
        metrics.live.connections.inc();
        let page = metrics.page().unwrap();
        assert!(page.contains("processor_live_connections{instance_id=\"a-1\"} 1\n"), "{page}");
        assert!(
            page.contains(
                "processor_live_messages_inbound_total{instance_id=\"a-1\",type=\"subscribe\"} 0\n"
            )
        );
        let series = page.lines().filter(|line| !line.starts_with('#'));
        series.for_each(|series| assert!(series.contains("instance_id=\"a-1\""), "{series}"));
        assert!(page.contains("process_resident_memory_bytes{"), "{page}");
        let build = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(page.lines().any(|line| line.starts_with("processor_build_info{") && line.contains(&build)));
    }
}
