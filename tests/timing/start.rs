//! A start that takes long can be ended at once.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::alone;
use crate::harness::{PATIENCE, Server, command, folder, position, sql};

/// A store with so many devices that loading takes a while.
fn large_store(folder: &Path, devices: u32) {
    Server::start(folder, &[]).stop();
    let fill = format!(
        "with recursive numbers(n) as (select 0 union all select n + 1 from numbers where n + 1 < {devices}) \
         insert into positions (device_id, timestamp, latitude, longitude) \
         select printf('%07d', n), 1767323045000, 1, 2 from numbers"
    );
    sql(&folder.join("data/positions.db"), &[&fill]);
}

#[actix::test]
async fn while_it_loads_it_is_alive_but_not_ready_and_a_signal_ends_it_at_once() {
    let _turn = alone().await;
    // It is asked four times before it has loaded them.
    const DEVICES: u32 = 300_000;
    let folder = folder();
    large_store(folder.path(), DEVICES);
    let mut server = Server::spawn_starting(command(folder.path(), &[]));
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/readyz").await, (503, r#"{"status":"starting"}"#.into()));
    let (status, answer) = server.post(position("1", 1, 1.0).to_string()).await;
    assert_eq!((status, &answer["message"]), (503, &json!("the server is starting")), "{answer}");
    assert_eq!(server.get("/connections").await.0, 200);
    let told = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    server.logged("SIGTERM received while starting");
    assert!(server.log().iter().all(|line| !line.contains("store ready")), "it had loaded already");
    // Left alone, it gets ready.
    let server = Server::start(folder.path(), &[]);
    server.logged(&format!("store ready with {DEVICES} devices"));
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.metric("processor_positions_devices", "").await, f64::from(DEVICES));
}
