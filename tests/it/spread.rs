//! A stop that is spread over time: `draining` before each close, served during the delay. How it looks in time is in
//! `tests/timing`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::header::{CLOSE, CONTINUATION, FIN, TEXT};
use crate::harness::{
    HANDSHAKE, PATIENCE, Raw, Server, command, eventually, folder, narrow, populate, position, until_closed,
};

/// Long enough that it is never over before a test is.
const LONG: [(&str, &str); 2] =
    [("LIVE_WS_DRAIN_DELAY_MS", "600000"), ("LIVE_WS_DRAIN_TIMEOUT_MS", "700000")];

/// What a client sees of the stop.
#[derive(Debug)]
struct Seen {
    reconnect_after_ms: Option<u64>,
    code: u16,
}

/// Reads to the end. One that is `eager` does not wait for the close frame when it is told to come back.
async fn see(mut client: Raw, eager: bool) -> Seen {
    let mut told = None;
    loop {
        let (first, payload) = client.read().await.expect("the stream ended without a close frame");
        if first == FIN | CLOSE {
            if !(eager && told.is_some()) {
                client.frame(FIN | CLOSE, &payload).await;
            }
            client.ended().await;
            return Seen { reconnect_after_ms: told, code: u16::from_be_bytes([payload[0], payload[1]]) };
        }
        let message: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((first, &message["type"], told), (FIN | TEXT, &json!("draining"), None), "{message}");
        told = message["reconnect_after_ms"].as_u64();
        if eager {
            client.frame(FIN | CLOSE, &1000_u16.to_be_bytes()).await;
        }
    }
}

#[actix::test]
async fn each_client_is_told_its_own_time_to_come_back_before_it_is_closed() {
    let folder = folder();
    let settings = [
        ("LIVE_WS_DRAIN_SPREAD_MS", "1000"),
        ("LIVE_WS_RECONNECT_SPREAD_MS", "9000"),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "30000"),
        ("LIVE_WS_WORKERS", "2"),
        // No ping comes between.
        ("LIVE_WS_PING_INTERVAL_MS", "40000000"),
    ];
    let mut server = Server::start(folder.path(), &settings);
    let clients = server.raw_clients(300).await;
    let clients: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| actix::spawn(see(client, number % 2 == 0)))
        .collect();
    server.signal(Signal::SIGTERM);
    let stopping = server.logged("live server stopping");
    let says = "300 connections are closed evenly over 1000 ms; those left after 30000 ms are terminated";
    assert!(stopping.ends_with(says), "{stopping}");
    let mut back = Vec::new();
    for seen in join_all(clients).await {
        let Seen { reconnect_after_ms, code } = seen.unwrap();
        assert_eq!(code, 1001);
        back.push(reconnect_after_ms.unwrap());
    }
    // At even distances over the whole of it.
    back.sort();
    let even: Vec<u64> = (0..300).map(|place| 15 + 30 * place).collect();
    assert_eq!(back, even);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("300 closed, 0 terminated"), "{stopped}");
}

#[actix::test]
async fn during_the_delay_it_serves_its_clients_and_refuses_others_and_a_second_signal_ends_it() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &LONG);
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    server.signal(Signal::SIGTERM);
    server.logged("live server stopping");
    assert_eq!(server.get("/readyz").await, (503, r#"{"status":"draining"}"#.into()));
    assert_eq!(server.get("/healthz").await.0, 200);
    // As before for who is there: posts, requests.
    for millis in 1..4 {
        server.accept(&position("1", millis, 1.0)).await;
        assert_eq!(client.json().await["device_id"], "1");
    }
    assert_eq!(client.subscribe("device:1").await["snapshot"].as_array().unwrap().len(), 1);
    // For who comes now, on a connection of its own.
    for _ in 0..3 {
        let (answer, _) = until_closed(server.live, HANDSHAKE.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    }
    assert_eq!(server.metric("processor_live_refused_total", "draining").await, 3.0);
    #[cfg(feature = "ui")]
    assert_eq!(crate::harness::get(server.web(), "/").await.0, 200);
    assert_eq!(
        (server.connections().await, server.metric("processor_live_drain_waiting", "").await),
        (1.0, 1.0)
    );
    // One that goes by itself no longer waits for its turn.
    client.close().await;
    eventually("its end", async || server.connections().await == 0.0).await;
    assert_eq!(server.metric("processor_live_drain_waiting", "").await, 0.0);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(128 + 15));
}

#[actix::test]
async fn who_has_not_had_its_turn_yet_is_served_while_others_are_closed() {
    let folder = folder();
    let spread = [("LIVE_WS_DRAIN_SPREAD_MS", "600000"), ("LIVE_WS_DRAIN_TIMEOUT_MS", "700000")];
    let mut server = Server::start(folder.path(), &spread);
    let (mut one, mut other) = (server.client().await, server.client().await);
    one.subscribe("device:1").await;
    other.subscribe("device:1").await;
    server.signal(Signal::SIGTERM);
    // One of the two is closed at once, the other in the middle of the spread.
    let ((code, _), mut left) = tokio::select! {
        close = one.closed() => (close, other),
        close = other.closed() => (close, one),
    };
    assert_eq!(code, 1001);
    eventually("its end", async || server.connections().await == 1.0).await;
    assert_eq!(server.metric("processor_live_drain_waiting", "").await, 1.0);
    server.accept(&position("1", 1, 1.0)).await;
    assert_eq!(left.json().await["device_id"], "1");
    let (answer, _) = until_closed(server.live, HANDSHAKE.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // When the last one goes by itself, there is nothing to wait for.
    left.close().await;
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("2 closed, 0 terminated"), "{stopped}");
}

#[actix::test]
async fn a_client_that_falls_silent_in_the_delay_is_disconnected_as_before() {
    let folder = folder();
    let beat = [("LIVE_WS_PING_INTERVAL_MS", "100"), ("LIVE_WS_PONG_TIMEOUT_MS", "500")];
    let server = Server::start(folder.path(), &[&LONG[..], &beat].concat());
    let mut silent = Raw::connect(server.live).await;
    server.signal(Signal::SIGTERM);
    server.logged("live server stopping");
    silent.ended().await;
    eventually("its end", async || server.connections().await == 0.0).await;
    assert_eq!(server.metric("processor_live_closes_total", "pong_timeout").await, 1.0);
}

#[actix::test]
async fn after_the_delay_clients_are_closed_and_nobody_can_connect_any_more() {
    let folder = folder();
    let settings = [("LIVE_WS_DRAIN_DELAY_MS", "1000"), ("LIVE_WS_DRAIN_TIMEOUT_MS", "60000")];
    let mut server = Server::start(folder.path(), &settings);
    let mut rude = Raw::connect(server.live).await;
    let signalled = Instant::now();
    server.signal(Signal::SIGTERM);
    // Nothing but the close frame: nobody is told when to come back.
    let close = [&1001_u16.to_be_bytes()[..], b"server shutting down"].concat();
    assert_eq!(rude.read().await, Some((FIN | CLOSE, close)));
    assert!(signalled.elapsed() >= Duration::from_secs(1), "{:?}", signalled.elapsed());
    eventually("the end of listening", async || TcpStream::connect(server.live).await.is_err()).await;
    drop(rude);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopping = server.logged("live server stopping");
    let says = "1 connections are closed after 1000 ms; those left after 60000 ms are terminated";
    assert!(stopping.ends_with(says), "{stopping}");
}

#[actix::test]
async fn without_delay_and_spread_nobody_can_connect_from_the_beginning_on() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "60000")]);
    let mut rude = Raw::connect(server.live).await;
    server.signal(Signal::SIGTERM);
    let close = [&1001_u16.to_be_bytes()[..], b"server shutting down"].concat();
    assert_eq!(rude.read().await, Some((FIN | CLOSE, close)));
    eventually("the end of listening", async || TcpStream::connect(server.live).await.is_err()).await;
    drop(rude);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
}

#[actix::test]
async fn one_in_the_middle_of_a_snapshot_is_closed_without_a_word() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_RECONNECT_SPREAD_MS", "1000")]);
    populate(&server, 4000).await;
    let mut slow = Raw::over(narrow(server.live, 4096).await).await;
    slow.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"event:e"}"#).await;
    eventually("a piece that waits", async || {
        let page: Value = serde_json::from_str(&server.get("/connections").await.1).unwrap();
        page["connections"][0]["waiting_bytes"].as_u64() > Some(0)
    })
    .await;
    let other = actix::spawn(see(Raw::connect(server.live).await, false));
    eventually("two connections", async || server.connections().await == 2.0).await;
    server.signal(Signal::SIGTERM);
    assert!(other.await.unwrap().reconnect_after_ms.is_some());
    // Nothing may come between the fragments of a message but control frames.
    assert_eq!(slow.read().await.unwrap().0, TEXT);
    let close = loop {
        let (first, payload) = slow.read().await.unwrap();
        if first != CONTINUATION {
            break (first, u16::from_be_bytes([payload[0], payload[1]]));
        }
    };
    assert_eq!(close, (FIN | CLOSE, 1001));
    assert_eq!(server.metric("processor_live_messages_outbound_total", "draining").await, 1.0);
    slow.frame(FIN | CLOSE, &1001_u16.to_be_bytes()).await;
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("2 closed, 0 terminated"), "{stopped}");
}

#[test]
fn settings_of_a_stop_that_contradict_each_other_are_refused() {
    let folder = folder();
    let settings = [
        ("LIVE_WS_DRAIN_DELAY_MS", "3000"),
        ("LIVE_WS_DRAIN_SPREAD_MS", "4000"),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "10000"),
    ];
    for arguments in [&[][..], &["check"]] {
        let output = command(folder.path(), &settings).args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let says = "setting LIVE_WS_DRAIN_SPREAD_MS: \"4000\" is not allowed: at most 2000, as it, LIVE_WS_DRAIN_DELAY_MS \
            (3000) and LIVE_WS_CLOSE_TIMEOUT_MS (5000) must fit within LIVE_WS_DRAIN_TIMEOUT_MS (10000)";
        assert!(errors.trim_end().ends_with(says) && errors.lines().count() == 1, "{errors}");
    }
    let fits = [&settings[..], &[("LIVE_WS_DRAIN_SPREAD_MS", "2000")]].concat();
    let output = command(folder.path(), &fits).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
