//! `Metrics`: every figure the server exposes, over a registry of its own, one part for each room.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::{Encoder as _, IntCounter, IntGauge, Registry, TextEncoder};

mod auth;
mod input;
mod live;
mod log;
mod make;
mod ops;
mod positions;
mod process;
mod web;

pub use auth::AuthMetrics;
pub use input::InputMetrics;
pub use live::LiveMetrics;
pub use log::LogMetrics;
use make::Maker;
pub use ops::OpsMetrics;
pub use positions::PositionsMetrics;
pub use web::WebMetrics;

/// Everything that is measured. Cheap to clone: the parts are shared.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The figures of the process, with the names that every client library gives them; and others made elsewhere.
    process: Registry,
    registry: Registry,
    /// What is counted of credentials.
    pub auth: Arc<AuthMetrics>,
    /// The live server's.
    pub live: Arc<LiveMetrics>,
    /// Consumer's and store's.
    pub positions: Arc<PositionsMetrics>,
    /// The log's between instances.
    pub log: Arc<LogMetrics>,
    /// The input stream's.
    pub input: Arc<InputMetrics>,
    /// The ops server's.
    pub ops: Arc<OpsMetrics>,
    /// The web server's.
    pub web: Arc<WebMetrics>,
}

impl Metrics {
    /// All metrics at zero, each with the constant label `instance_id`.
    ///
    /// # Errors
    /// If two metrics had the same name: a mistake in this room.
    pub fn new(instance_id: &str) -> Result<Self, prometheus::Error> {
        let labels = HashMap::from([("instance_id".to_owned(), instance_id.to_owned())]);
        // The collector of the process takes no labels, so it has a registry of its own that adds them.
        let process = Registry::new_custom(None, Some(labels.clone()))?;
        process.register(Box::new(process::ProcessCollector::new()?))?;
        let registry = Registry::new();
        let make = Maker { registry: &registry, labels };
        register_build(&make)?;
        Ok(Self {
            auth: Arc::new(AuthMetrics::new(&make)?),
            live: Arc::new(LiveMetrics::new(&make)?),
            positions: Arc::new(PositionsMetrics::new(&make)?),
            log: Arc::new(LogMetrics::new(&make)?),
            input: Arc::new(InputMetrics::new(&make)?),
            ops: Arc::new(OpsMetrics::new(&make)?),
            web: Arc::new(WebMetrics::new(&make)?),
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

/// The version, as a label.
fn register_build(make: &Maker<'_>) -> Result<(), prometheus::Error> {
    let mut labels = make.labels.clone();
    labels.insert("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let make = Maker { registry: make.registry, labels };
    make.make::<IntGauge>("processor_build_info", "1, with the version of this program.", ())?.set(1);
    Ok(())
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
