//! Several instances that share Postgres and Redis, from outside: the real servers, stopped, frozen, slow, killed.
//!
//! Each test has servers of its own. They load the machine, so at most two run at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test relies on and is not there fails the test"
)]

mod faults;
#[allow(dead_code, unused_imports, reason = "tests/it uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod instances;
mod killed;
#[allow(dead_code, reason = "unit tests use all of it")]
#[path = "../harness/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "unit tests use all of it")]
#[path = "../harness/redis.rs"]
mod redis;
mod releases;
mod revoked;
mod rolling;
mod spread;
mod traffic;
mod watcher;

use tokio::sync::{Semaphore, SemaphorePermit};

static MACHINE: Semaphore = Semaphore::const_new(2);

/// The first line of every test here.
async fn turn() -> SemaphorePermit<'static> {
    MACHINE.acquire().await.unwrap()
}
