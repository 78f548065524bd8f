//! `WebMetrics`: what the web server of the map page counts.

use prometheus::{IntCounterVec, IntGauge};

use super::make::{Labels, Maker, metrics};

metrics! {
    /// What the web server of the map page counts.
    pub struct WebMetrics {
        /// Requests to the web server of the map page, by class of the status code.
        requests: IntCounterVec = "processor_web_requests_total", Labels {
            names: &["status"],
            known: &[&["2xx"], &["3xx"], &["4xx"], &["5xx"]],
        };
        /// Connections to the web server of the map page that are open now.
        connections: IntGauge = "processor_web_connections";
        /// Connections to the web server of the map page that it closed before their client did, by reason.
        closes: IntCounterVec = "processor_web_closes_total", Labels { names: &["reason"], known: &[] };
    }
}
