//! `processor health`: asks a running server whether it is alive, for health checks without a shell.

use std::time::Duration;

use anyhow::{Context as _, bail};
use awc::Client;

/// Asks the ops server whether it is alive: GETs `url`.
///
/// # Errors
/// If it does not answer 200.
pub async fn check(url: &str) -> anyhow::Result<()> {
    let client = Client::builder().timeout(Duration::from_secs(3)).finish();
    let response = client.get(url).send().await;
    // awc's errors are not `Send`, so only their text goes on.
    let response = response
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("cannot reach {url}"))?;
    if !response.status().is_success() {
        bail!("{url} answered {}", response.status());
    }
    Ok(())
}
