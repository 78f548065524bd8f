//! `Fetcher`: GET requests to the servers that settings name, bounded in time, number and length.
//!
//! The client blocks, so each request has a thread for as long as it lasts; there are at most so many.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::{HeaderName, HeaderValue};
use ureq::typestate::AgentScope;

use super::turns::{Turns, Whose};

/// Most requests under way at the same time.
const MAX_UNDER_WAY: usize = 32;

/// Makes requests.
pub(super) struct Fetcher {
    agent: Agent,
    turns: Arc<Turns>,
    timeout: Duration,
    /// Longest body that is read, in bytes.
    max_bytes: u64,
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// For how long it holds, as its `Cache-Control: max-age` says; zero without one.
    pub(super) max_age: Duration,
    pub(super) body: Vec<u8>,
}

/// Why there is no response. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("a header cannot be sent")]
    Header,
    #[error("{0}")]
    Failed(Box<ureq::Error>),
    #[error("the request's thread ended")]
    Thread,
}

impl Fetcher {
    /// Requests may take `timeout`, waiting for others included; responses may have `max_bytes`.
    pub(super) fn new(timeout: Duration, max_bytes: u64) -> Self {
        let config = with_certificates(Agent::config_builder())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Who is asked is what the setting names.
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections_per_host(MAX_UNDER_WAY)
            .user_agent("processor")
            .build();
        Self { agent: config.into(), turns: Turns::new(MAX_UNDER_WAY), timeout, max_bytes }
    }

    /// GETs `url` with these headers, in the turn of whose behalf it is.
    ///
    /// # Errors
    /// [`FetchError`] if there is no whole response in time.
    pub(super) async fn get(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        whose: Whose,
    ) -> Result<Response, FetchError> {
        let (agent, url, max_bytes) = (self.agent.clone(), url.to_owned(), self.max_bytes);
        let fetch = async {
            let turn = self.turns.take(whose).await;
            let request = move || {
                // The thread has it, as it goes on when nobody waits for it any more.
                let _turn = turn;
                get(&agent, &url, headers, max_bytes)
            };
            tokio::task::spawn_blocking(request).await.map_err(|_| FetchError::Thread)?
        };
        tokio::time::timeout(self.timeout, fetch).await.map_err(|_| FetchError::TimedOut(self.timeout))?
    }
}

/// With the machine's own certificates, as those of a company are there.
#[cfg(feature = "tls")]
fn with_certificates(config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
    use ureq::tls::{Certificate, RootCerts, TlsConfig};
    let found = rustls_native_certs::load_native_certs();
    found.errors.iter().for_each(|error| log::debug!("certificates of this machine: {error}"));
    let certificates: Vec<_> =
        found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    config.tls_config(tls.build())
}

#[cfg(not(feature = "tls"))]
fn with_certificates(config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
    config
}

fn get(
    agent: &Agent,
    url: &str,
    headers: Vec<(&'static str, String)>,
    max_bytes: u64,
) -> Result<Response, FetchError> {
    let failed = |error| FetchError::Failed(Box::new(error));
    let mut request = agent.get(url).header("Accept", "application/json");
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(&value).map_err(|_| FetchError::Header)?;
        value.set_sensitive(true);
        request = request.header(HeaderName::from_static(name), value);
    }
    let mut response = request.call().map_err(failed)?;
    let cache = response.headers().get_all("cache-control").iter();
    let cache: Vec<_> = cache.filter_map(|value| value.to_str().ok()).collect();
    let max_age = max_age(&cache.join(","));
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(max_bytes).read_to_vec().map_err(failed)?;
    Ok(Response { status, max_age, body })
}

/// For how long a response holds (RFC 9111 section 5.2.2).
fn max_age(cache_control: &str) -> Duration {
    let mut age = Duration::ZERO;
    for directive in cache_control.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Duration::ZERO,
            "max-age" => age = value.trim_matches('"').parse().map_or(Duration::ZERO, Duration::from_secs),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_holds_for_as_long_as_it_says() {
        for (header, seconds) in [
            ("max-age=60", 60),
            ("private, Max-Age=\"5\"", 5),
            ("no-store, max-age=60", 0),
            ("max-age=60, no-cache", 0),
            ("max-age=x", 0),
            ("", 0),
        ] {
            assert_eq!(max_age(header), Duration::from_secs(seconds), "{header}");
        }
    }
}
