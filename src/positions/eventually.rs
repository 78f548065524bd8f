//! `eventually`: waits for something in unit tests.

use std::time::Duration;

/// What nothing takes longer than, also on a machine that does much else.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until `check` says yes.
pub(super) async fn eventually(what: &str, check: impl Fn() -> bool) {
    let checked = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, checked).await.unwrap_or_else(|_| panic!("waited for {what}"));
}
