//! Order and fullness of what subscribers get: under load, and for those who are slow.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Barrier;

use crate::harness::header::{FIN, TEXT};
use crate::harness::{Client, Raw, Server, crowd, delayed, folder, millis, narrow, position};

#[actix::test]
async fn after_the_snapshot_nothing_is_missed_and_nothing_is_old() {
    const DEVICES: usize = 5;
    const STEPS: u64 = 400;
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_WORKERS", "2")]);
    let load = async {
        for step in 1..=STEPS {
            server.accept(&crowd(0..DEVICES, step)).await;
        }
    };
    // Clients come all the time while positions flow; one of them subscribes again and again.
    let watchers = join_all((0..40).map(|number| {
        let server = &server;
        async move {
            tokio::time::sleep(Duration::from_millis(number * 10)).await;
            let mut client = server.client().await;
            let mut last = HashMap::new();
            client.text(r#"{"type":"subscribe","topic":"event:e"}"#).await;
            let mut again = if number == 0 { 20 } else { 0 };
            while last.len() < DEVICES || last.values().any(|last| *last < STEPS) {
                let message = client.json().await;
                if message["type"] == "subscribed" {
                    for position in message["snapshot"].as_array().unwrap() {
                        let (device, now) = (position["device_id"].to_string(), millis(position));
                        let before = last.insert(device, now).unwrap_or(0);
                        assert!(now >= before, "the snapshot went back from {before} to {now}");
                    }
                } else {
                    let (device, now) = (message["device_id"].to_string(), millis(&message));
                    let before = last.insert(device, now).unwrap_or(0);
                    assert_eq!(now, before + 1, "after {before} came {now}");
                    if again > 0 && now % 10 == 0 {
                        again -= 1;
                        client.text(r#"{"type":"subscribe","topic":"event:e"}"#).await;
                    }
                }
            }
        }
    }));
    tokio::join!(load, watchers);
    assert_eq!(server.metric("processor_live_conflated_total", "").await, 0.0);
    assert_eq!(server.metric("processor_live_shed_total", "").await, 0.0);
}

#[actix::test]
async fn a_late_position_is_stored_but_not_sent() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    server.accept(&position("1", 5, 1.0)).await;
    server.accept(&json!([position("1", 3, 1.0), position("1", 5, 9.0), position("1", 4, 1.0)])).await;
    // In one post the order does not matter.
    server.accept(&json!([position("1", 7, 1.0), position("1", 6, 1.0)])).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(millis(&client.json().await));
    }
    assert_eq!(seen, [5, 6, 7]);
    assert_eq!(server.metric("processor_positions_late_total", "").await, 2.0);
    assert_eq!(server.metric("processor_positions_repeated_total", "").await, 1.0);
    assert_eq!(server.metric("processor_positions_accepted_total", "").await, 6.0);
}

/// Large positions of devices `1` to `devices` at one step.
fn large_crowd(devices: u64, step: u64) -> Value {
    (1..=devices).map(|device| with_ballast(position(&device.to_string(), step, 1.0))).collect()
}

/// Makes a position large, so that buffers fill soon.
fn with_ballast(mut position: Value) -> Value {
    position["topics"] = json!(["event:e"]);
    position["attributes"] = json!({ "ballast": "x".repeat(3000) });
    position
}

#[actix::test]
async fn a_slow_client_sees_fewer_steps_but_the_newest_and_no_old_ones() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_OUTBOX_BYTES", "65536")]);
    let mut quick = server.client().await;
    quick.subscribe("event:e").await;
    let mut slow = Client::narrow(server.live, 8192).await;
    slow.subscribe("event:e").await;
    let conflated = async || server.metric("processor_live_conflated_total", "").await;
    let mut last = 0;
    while conflated().await <= 1000.0 {
        last += 1;
        server.accept(&large_crowd(8, last)).await;
        // The quick one gets every step. It has read this one before the next is posted: a worker that was without a
        // processor for a while would fan out several at once, more than an outbox holds.
        for _ in 0..8 {
            assert_eq!(millis(&quick.json().await), last);
        }
        assert!(last < 20_000, "it takes all");
    }
    let connections: Value =
        serde_json::from_str(&server.get("/connections?sort=slowest&limit=1").await.1).unwrap();
    let worst = &connections["connections"][0];
    assert!(worst["waiting_bytes"].as_u64().unwrap() <= 65536 + 4096, "{worst}");
    assert!(worst["conflated"].as_u64().unwrap() >= 1000, "{worst}");
    // Now it reads: each device's steps rise, some are missing, and the last is there.
    let mut newest = HashMap::new();
    let mut steps = 0;
    while newest.len() < 8 || newest.values().any(|now| *now < last) {
        let message = slow.json().await;
        let (device, now) = (message["device_id"].to_string(), millis(&message));
        let before = newest.insert(device, now).unwrap_or(0);
        assert!(now > before, "after {before} came {now}");
        steps += 1;
    }
    assert!(steps < last * 8, "nothing was conflated for it");
    assert_eq!(server.connections().await, 2.0);
}

/// Reads until every one of `devices` is at `step`; no device may go back. Then answers pings until `all` are there.
async fn reads_up_to(client: &mut Client, devices: usize, step: u64, all: &Barrier) {
    let (mut newest, mut arrived) = (HashMap::new(), 0);
    while arrived < devices {
        let message = client.json().await;
        assert_eq!(message["type"], "position", "{message}");
        let (device, now) = (message["device_id"].to_string(), millis(&message));
        let before = newest.insert(device, now).unwrap_or(0);
        assert!(now > before, "after {before} came {now}");
        arrived += usize::from(now == step);
        // One client's backlog takes seconds on a busy machine; meanwhile the others have pings to answer.
        tokio::task::yield_now().await;
    }
    tokio::select! {
        _ = all.wait() => {}
        more = client.idle() => panic!("{more:?} after the newest of all"),
    }
}

#[actix::test]
async fn whoever_reads_gets_the_newest_of_every_device_of_a_burst_however_small_its_window() {
    const DEVICES: usize = 4000;
    let folder = folder();
    let settings = [("LIVE_WS_OUTBOX_BYTES", "65536"), ("LIVE_WS_PING_INTERVAL_MS", "5000")];
    let server = Server::start(folder.path(), &settings);
    // Written before there are clients: it takes a busy machine seconds, and they have pings to answer.
    let bursts = [1, 2, 3].map(|step| crowd(0..DEVICES, step).to_string());
    let far = delayed(server.live, Duration::from_millis(200)).await;
    let mut clients = Vec::new();
    for address in [server.live, server.live, server.live, far, far] {
        let mut client = Client::narrow(address, 32 * 1024).await;
        client.subscribe("event:e").await;
        clients.push(client);
    }
    for (step, burst) in (1..).zip(bursts) {
        let all = Barrier::new(clients.len());
        let reading = join_all(clients.iter_mut().map(|client| reads_up_to(client, DEVICES, step, &all)));
        let ((status, answer), _) = tokio::join!(server.post(burst), reading);
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(server.connections().await, 5.0);
    // All caught up, they get each step again.
    for step in 4..8 {
        server.accept(&crowd(0..1, step)).await;
        for client in &mut clients {
            assert_eq!(millis(&client.json().await), step);
        }
    }
}

#[actix::test]
async fn a_client_that_does_not_read_holds_little_and_has_the_newest_when_it_does() {
    let folder = folder();
    let settings = [("LIVE_WS_OUTBOX_BYTES", "8192"), ("LIVE_WS_PONG_TIMEOUT_MS", "60001")];
    let server = Server::start(folder.path(), &settings);
    let mut slow = Client::narrow(server.live, 4096).await;
    slow.subscribe("event:e").await;
    // A megabyte: many times what its outbox and its socket hold.
    let last = 40;
    for step in 1..=last {
        server.accept(&large_crowd(8, step)).await;
    }
    let connections: Value = serde_json::from_str(&server.get("/connections").await.1).unwrap();
    let waiting = connections["connections"][0]["waiting_bytes"].as_u64().unwrap();
    // One piece of catching up: here all eight devices.
    assert!(waiting <= 8 * 3500 + 8192, "{connections}");
    let mut newest = HashMap::new();
    while newest.len() < 8 || newest.values().any(|now| *now < last) {
        let message = slow.json().await;
        newest.insert(message["device_id"].to_string(), millis(&message));
    }
    // Up to date, it gets each step again.
    for step in last + 1..last + 5 {
        server.accept(&with_ballast(position("1", step, 1.0))).await;
        assert_eq!(millis(&slow.json().await), step);
    }
    assert_eq!(server.connections().await, 1.0);
}

#[actix::test]
async fn one_that_reads_a_byte_now_and_then_stays_and_costs_little() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_OUTBOX_BYTES", "16384")]);
    let mut trickle = Raw::over(narrow(server.live, 4096).await).await;
    trickle.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    let mut quick = server.client().await;
    quick.subscribe("device:1").await;
    for step in 1..=400 {
        server.accept(&with_ballast(position("1", step, 1.0))).await;
        assert_eq!(millis(&quick.json().await), step);
        if step % 10 == 0 {
            trickle.0.read_u8().await.unwrap();
        }
    }
    let connections: Value = serde_json::from_str(&server.get("/connections").await.1).unwrap();
    assert!(
        connections["connections"][0]["waiting_bytes"].as_u64().unwrap() <= 16384 + 4096,
        "{connections}"
    );
    assert_eq!(server.connections().await, 2.0);
}

#[actix::test]
async fn slow_clients_cost_the_others_nothing() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_OUTBOX_BYTES", "16384"), ("LIVE_WS_WORKERS", "1")]);
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut client = Raw::over(narrow(server.live, 4096).await).await;
        client.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
        stalled.push(client);
    }
    let mut quick = server.client().await;
    quick.subscribe("device:1").await;
    for step in 1..=300 {
        server.accept(&with_ballast(position("1", step, 1.0))).await;
        assert_eq!(millis(&quick.json().await), step);
    }
    assert!(server.metric("processor_live_conflated_total", "").await > 0.0);
    let mut first = stalled.remove(0);
    let mut bytes = vec![0; 1000];
    first.0.read_exact(&mut bytes).await.unwrap();
}
