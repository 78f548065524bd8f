//! What all tests use: a server process, a live server in this process, clients that behave and clients that don't.

mod answers;
mod client;
mod delay;
mod http;
mod live;
mod metrics;
mod node;
mod opening;
mod port;
mod positions;
mod raw;
mod server;
mod sqlite;
mod tokens;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use answers::{Answer, Answers};
pub(crate) use client::{Client, narrow};
pub(crate) use delay::delayed;
pub(crate) use http::{get, get_with, http, post, post_over};
pub(crate) use live::Live;
pub(crate) use metrics::sum;
pub(crate) use node::node_modules;
pub(crate) use opening::{HANDSHAKE, post_chunked, until_closed, upgrade_with};
pub(crate) use port::free_port;
pub(crate) use positions::{conflate, crowd, millis, populate, position, time};
pub(crate) use raw::{Raw, frame, header};
pub(crate) use server::{Server, command, folder, limited};
pub(crate) use sqlite::{Lock, sql};
pub(crate) use tokens::{JWT, from_now, jwt_and, signed, signed_as, token};

/// No event of these tests takes longer, unless the test says so, also on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(PATIENCE, what, future).await
}

async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} for {what}"),
    }
}

/// Asks again and again until `check` says yes.
pub(crate) async fn eventually(what: &str, check: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, check).await;
}

/// The same for what takes longer.
pub(crate) async fn eventually_within(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    within(limit, what, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
