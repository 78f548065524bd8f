//! `Live`: a live server in this process, with a handler of the test's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use processor::live::registry::ListConnections;
use processor::live::{Hub, LiveServer, MessageHandler, Running};
use processor::metrics::Metrics;
use processor::settings::Settings;

use super::eventually;
use super::metrics::sum;

/// A live server in this process, with a handler of the test's own.
pub(crate) struct Live {
    pub(crate) running: Running,
    pub(crate) metrics: Metrics,
}

/// Settings of a live server on a free port of loopback, with `changes`.
pub(crate) fn settings(changes: &[(&str, &str)]) -> Settings {
    let mut environment = HashMap::from([
        ("LIVE_WS_PORT".to_owned(), "0".to_owned()),
        ("LIVE_WS_HOST".to_owned(), "127.0.0.1".to_owned()),
    ]);
    environment.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings::from(Path::new("/nonexistent"), environment).unwrap()
}

impl Live {
    pub(crate) fn start<H: MessageHandler>(
        changes: &[(&str, &str)],
        handler: impl Fn(std::rc::Rc<Hub>) -> H + Send + Sync + 'static,
    ) -> Self {
        let metrics = Metrics::new("test").unwrap();
        let running = LiveServer::new(settings(changes).live, handler, metrics.live.clone()).start().unwrap();
        Self { running, metrics }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Waits until so many connections are counted, everyone who has got 101 among them.
    pub(crate) async fn gauge_is(&self, expected: i64) {
        let gauge = &self.metrics.live.connections;
        eventually(&format!("a gauge of {expected}"), async || {
            // See `Server::connections`.
            self.running.registry().send(ListConnections).await.unwrap();
            gauge.get() == expected
        })
        .await;
    }

    /// The sum of a metric over all of its series with `label`, see [`sum`].
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        sum(&self.metrics.page().unwrap(), name, label)
    }
}
