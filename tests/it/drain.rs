//! Stopping: everyone who got in is told, and counted. That it ends in time is in `tests/timing`.

use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::header::{CLOSE, FIN, RESERVED, TEXT};
use crate::harness::{
    HANDSHAKE, PATIENCE, Raw, Server, conflate, eventually, folder, frame, narrow, position, soon,
};

#[actix::test]
async fn sigint_stops_it_too_and_a_second_signal_at_once() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "60000")]);
    let rude = Raw::connect(server.live).await;
    eventually("the connection", async || server.connections().await == 1.0).await;
    server.signal(Signal::SIGINT);
    server.logged("live server stopping");
    server.signal(Signal::SIGINT);
    assert_eq!(server.ended(PATIENCE).code(), Some(130));
    drop(rude);
    Server::start(folder.path(), &[]).stop();
}

#[actix::test]
async fn while_it_drains_it_is_not_ready_and_an_upgrade_gets_503() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "30000")]);
    // Connected before, but with its handshake still to come.
    let mut late = Raw(narrow(server.live, 65536).await);
    let (half, rest) = HANDSHAKE.split_at(40);
    late.write(half.as_bytes()).await;
    let mut rude = Raw::connect(server.live).await;
    eventually("the connection", async || server.connections().await == 1.0).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(rude.close_code().await, 1001);
    assert_eq!(server.get("/readyz").await, (503, r#"{"status":"draining"}"#.into()));
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.connections().await, 1.0);
    late.write(rest.as_bytes()).await;
    let head = late.head().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: "), "{head}");
    // Positions are still taken and stored until the consumer stops.
    server.accept(&json!([position("1", 0, 1.0)])).await;
    drop(rude);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let server = Server::start(folder.path(), &[]);
    let snapshot = server.client().await.subscribe("device:1").await;
    assert_eq!(snapshot["snapshot"].as_array().unwrap().len(), 1);
}

/// Shakes hands on a socket that is connected already, and reads until the end. True if it got 101. `told` says whether it
/// must have been told when to come back before it was closed.
async fn shake_hands_and_read_to_the_end(stream: tokio::net::TcpStream, told: bool) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut read, mut write) = stream.into_split();
    let mut bytes = Vec::new();
    // It may be closed already; and a socket that is terminated ends with a reset.
    write.write_all(HANDSHAKE.as_bytes()).await.ok();
    soon("the end", read.read_to_end(&mut bytes)).await.ok();
    let end_of_head = bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
    let (head, mut frames) = bytes.split_at(end_of_head.unwrap_or(bytes.len()));
    let head = String::from_utf8_lossy(head);
    if !head.starts_with("HTTP/1.1 101 ") {
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 503 "), "{head}");
        return false;
    }
    if told {
        let length = usize::from(frames[1]);
        let message: serde_json::Value = serde_json::from_slice(&frames[2..2 + length]).unwrap();
        assert!(message["reconnect_after_ms"].as_u64() < Some(1000), "{message}");
        frames = &frames[2 + length..];
    }
    let close = [&[FIN | CLOSE, 22], &1001u16.to_be_bytes()[..], b"server shutting down"].concat();
    assert_eq!(frames, close, "after 101");
    true
}

/// No spread: all are closed at once, and told nothing.
const AT_ONCE: &[(&str, &str)] = &[("LIVE_WS_DRAIN_TIMEOUT_MS", "200")];
const SPREAD: &[(&str, &str)] = &[
    ("LIVE_WS_DRAIN_SPREAD_MS", "100"),
    ("LIVE_WS_RECONNECT_SPREAD_MS", "1000"),
    ("LIVE_WS_CLOSE_TIMEOUT_MS", "200"),
    ("LIVE_WS_DRAIN_TIMEOUT_MS", "300"),
    // No ping comes between.
    ("LIVE_WS_PING_INTERVAL_MS", "40000000"),
];

/// Connects `sockets`, has them shake hands while the server is told to stop, and holds its report against what they saw.
async fn one_round(folder: &std::path::Path, settings: &[(&str, &str)], sockets: usize, micros: u64) {
    let mut server = Server::start(folder, &[settings, &[("LIVE_WS_WORKERS", "2")]].concat());
    let streams = join_all((0..sockets).map(|_| tokio::net::TcpStream::connect(server.live))).await;
    let told = settings == SPREAD;
    let handshakes: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            actix::spawn(async move {
                // So that some come before the signal, some at the same moment, some after it.
                tokio::time::sleep(Duration::from_micros(micros * number as u64)).await;
                shake_hands_and_read_to_the_end(stream.unwrap(), told).await
            })
        })
        .collect();
    // In the middle of them.
    tokio::time::sleep(Duration::from_micros(micros * sockets as u64 / 2)).await;
    server.signal(Signal::SIGTERM);
    let upgraded =
        join_all(handshakes).await.into_iter().filter(|got_101| *got_101.as_ref().unwrap()).count();
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    // None of them answers the close frame.
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains(&format!("0 closed, {upgraded} terminated")), "{upgraded}: {stopped}");
}

#[actix::test]
async fn whoever_got_101_around_a_sigterm_gets_1001() {
    let folder = folder();
    for round in 0..30 {
        one_round(folder.path(), AT_ONCE, 6, 50 * (round % 10)).await;
    }
    for micros in [10, 20, 50] {
        one_round(folder.path(), AT_ONCE, 300, micros).await;
    }
}

#[actix::test]
async fn whoever_got_101_around_a_sigterm_is_told_when_to_come_back_and_gets_1001() {
    let folder = folder();
    for round in 0..15 {
        one_round(folder.path(), SPREAD, 6, 100 * (round % 5)).await;
    }
    for micros in [10, 20, 50] {
        one_round(folder.path(), SPREAD, 300, micros).await;
    }
}

#[actix::test]
async fn one_that_lingers_after_a_violation_does_not_hold_up_the_drain() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "200")]);
    let mut violator = Raw::connect(server.live).await;
    violator.frame(FIN | RESERVED, b"").await;
    assert_eq!(violator.close_code().await, 1002);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("0 closed, 1 terminated"), "{stopped}");
    assert!(server.log().iter().all(|line| !line.contains("not counted out")), "{:?}", server.log());
}

#[actix::test]
async fn one_that_is_frozen_after_a_violation_is_terminated_too() {
    let folder = folder();
    let settings = [
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "200"),
        ("LIVE_WS_CLOSE_TIMEOUT_MS", "60000"),
        ("LIVE_WS_OUTBOX_BYTES", "8192"),
    ];
    let mut server = Server::start(folder.path(), &settings);
    let mut frozen = Raw::over(narrow(server.live, 4096).await).await;
    frozen.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    eventually("the subscription", async || server.metric("processor_live_subscriptions", "").await == 1.0)
        .await;
    conflate(&server).await;
    // Counted just before the violation behind it is read.
    let both = [frame(FIN | TEXT, b"x"), frame(FIN | RESERVED, b"")].concat();
    frozen.write(&both).await;
    eventually("the violation", async || {
        server.metric("processor_live_messages_inbound_total", "invalid").await == 1.0
    })
    .await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("0 closed, 1 terminated"), "{stopped}");
    assert!(server.log().iter().all(|line| !line.contains("not counted out")), "{:?}", server.log());
}
