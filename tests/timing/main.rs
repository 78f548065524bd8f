//! Promises about time, from outside. The wall clock decides, so nothing that loads the machine runs beside a test.
//!
//! `cargo test` runs one binary after the other; within this one, tests take turns.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test relies on and is not there fails the test"
)]

mod drain;
mod handshake;
#[allow(dead_code, unused_imports, reason = "tests/it uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod heartbeat;
mod rates;
mod start;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by every test here while it runs.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// The first line of a test that gives the machine something to do: waits until no other test here runs.
async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// The first line of a test that does hardly more than wait: others of its kind may run at the same time.
async fn quiet() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

#[test]
fn every_test_here_waits_for_its_turn() {
    let mut tests = 0;
    for entry in std::fs::read_dir(harness::project().join("tests/timing")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("\n#[actix::test]\n").skip(1) {
            let first = test.lines().nth(1).unwrap();
            let waits = ["alone", "quiet"].map(|turn| format!("    let _turn = {turn}().await;"));
            assert!(waits.iter().any(|line| line == first), "{}: {test}", path.display());
            tests += 1;
        }
    }
    assert!(tests > 10, "{tests} tests found");
}
