//! Stopping ends in time, whoever does not answer, read or rest.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use processor::live::ScaffoldHandler;

use crate::harness::header::{BINARY, CLOSE, FIN, TEXT};
use crate::harness::{
    Client, Live, Lock, PATIENCE, Raw, Server, conflate, eventually, folder, frame, http, narrow, position,
    post_over,
};
use crate::{alone, quiet};

#[actix::test]
async fn stop_closes_1001_and_does_not_wait_for_those_who_do_not_answer() {
    let _turn = quiet().await;
    let live = Live::start(&[], |_| ScaffoldHandler);
    let mut polite = Client::connect(live.address()).await;
    let mut rude = Raw::connect(live.address()).await;
    let deaf = Raw::connect(live.address()).await;
    live.gauge_is(3).await;
    let began = Instant::now();
    let timeout = Duration::from_millis(700);
    let (report, close) = tokio::join!(live.running.stop(timeout), polite.closed());
    let took = began.elapsed();
    assert_eq!(close, (1001, "server shutting down".into()));
    assert_eq!(rude.close_code().await, 1001);
    assert_eq!(rude.read().await, None);
    assert_eq!((report.closed, report.terminated), (1, 2));
    assert!(took >= timeout && took < timeout + Duration::from_secs(1), "{took:?}");
    assert_eq!(live.metrics.live.connections.get(), 0);
    drop(deaf);
}

#[actix::test]
async fn stop_without_connections_returns_at_once() {
    let _turn = quiet().await;
    let live = Live::start(&[], |_| ScaffoldHandler);
    let began = Instant::now();
    let report = live.running.stop(Duration::from_secs(30)).await;
    assert_eq!((report.closed, report.terminated), (0, 0));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[actix::test]
async fn sigterm_with_500_clients_of_which_50_never_answer() {
    let _turn = alone().await;
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "2000")]);
    let mut polite = join_all((0..450).map(|_| server.client())).await;
    let rude = join_all((0..50).map(|_| Raw::connect(server.live))).await;
    eventually("500 connections", async || server.connections().await == 500.0).await;
    server.signal(Signal::SIGTERM);
    let began = Instant::now();
    let closes = join_all(polite.iter_mut().map(Client::closed)).await;
    assert!(closes.iter().all(|close| *close == (1001, "server shutting down".into())));
    assert_eq!(server.ended(Duration::from_secs(3) + PATIENCE).code(), Some(0));
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(3), "{took:?}");
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("450 closed, 50 terminated"), "{stopped}");
    drop(rude);
}

#[actix::test]
async fn closes_are_spread_evenly_over_their_time() {
    let _turn = alone().await;
    let folder = folder();
    let settings = [
        ("LIVE_WS_DRAIN_DELAY_MS", "500"),
        ("LIVE_WS_DRAIN_SPREAD_MS", "2000"),
        ("LIVE_WS_RECONNECT_SPREAD_MS", "6000"),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "7500"),
        // No ping comes between.
        ("LIVE_WS_PING_INTERVAL_MS", "40000000"),
    ];
    let mut server = Server::start(folder.path(), &settings);
    let clients = server.raw_clients(300).await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    let mut closes = join_all(clients.into_iter().map(async |mut client| {
        let (_, message) = client.read().await.unwrap();
        let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
        assert_eq!(client.close_code().await, 1001);
        let at = began.elapsed();
        client.frame(FIN | CLOSE, &1001_u16.to_be_bytes()).await;
        client.ended().await;
        (at, message["reconnect_after_ms"].as_u64().unwrap())
    }))
    .await;
    closes.sort();
    assert!(closes[0].0 >= Duration::from_millis(500), "{closes:?}");
    // 75 in each quarter of the window. (The rest is for the machine.)
    let quarter = |at: Duration| (at.as_millis() as usize - 500) / 500;
    let mut quarters = [0; 4];
    closes.iter().for_each(|(at, _)| quarters[quarter(*at).min(3)] += 1);
    assert!(quarters.iter().all(|count| (50..=100).contains(count)), "{quarters:?}");
    // In each quarter of the closes, the same part of the returns: who is closed first comes back first.
    for (number, quarter) in closes.chunks(75).enumerate() {
        let in_part = quarter.iter().filter(|(_, back)| *back as usize / 1500 == number).count();
        assert!(in_part >= 65, "{closes:?}");
    }
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
}

#[actix::test]
async fn a_spread_ends_in_time_though_nobody_answers() {
    let _turn = alone().await;
    let folder = folder();
    let settings = [
        ("LIVE_WS_DRAIN_DELAY_MS", "300"),
        ("LIVE_WS_DRAIN_SPREAD_MS", "700"),
        ("LIVE_WS_CLOSE_TIMEOUT_MS", "1000"),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "2000"),
    ];
    let mut server = Server::start(folder.path(), &settings);
    let mut rude = server.raw_clients(50).await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    for client in &mut rude {
        assert_eq!(client.close_code().await, 1001);
    }
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    let took = began.elapsed();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    let stopped = server.logged("live server stopped");
    assert!(stopped.contains("0 closed, 50 terminated"), "{stopped}");
}

#[actix::test]
async fn it_ends_in_time_also_with_clients_that_never_read() {
    let _turn = alone().await;
    let folder = folder();
    let settings = [("LIVE_WS_DRAIN_TIMEOUT_MS", "500"), ("LIVE_WS_OUTBOX_BYTES", "8192")];
    let mut server = Server::start(folder.path(), &settings);
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut client = Raw::over(narrow(server.live, 4096).await).await;
        client.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
        deaf.push(client);
    }
    eventually("subscriptions", async || server.metric("processor_live_subscriptions", "").await == 20.0)
        .await;
    conflate(&server).await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[actix::test]
async fn one_that_floods_instead_of_closing_is_cut_off_in_time() {
    let _turn = alone().await;
    let live = Live::start(&[("LIVE_WS_CLOSE_TIMEOUT_MS", "300")], |_| ScaffoldHandler);
    let mut client = Raw::connect(live.address()).await;
    let began = Instant::now();
    let flood = async {
        assert_eq!(client.close_code().await, 1001);
        let mut stream = client.0.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        std::thread::spawn(move || {
            let frames = frame(FIN | BINARY, &[0; 60_000]).repeat(100);
            while std::io::Write::write_all(&mut stream, &frames).is_ok() {}
        })
    };
    let (report, flood) = tokio::join!(live.running.stop(Duration::from_secs(20)), flood);
    assert_eq!((report.closed, report.terminated), (0, 1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    flood.join().unwrap();
}

#[actix::test]
async fn a_locked_store_does_not_hold_up_the_end() {
    let _turn = quiet().await;
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("LIVE_WS_DRAIN_TIMEOUT_MS", "500")]);
    let lock = Lock::take(&folder.path().join("data/positions.db"));
    let ops = server.ops;
    let posts: Vec<_> = (0..5)
        .map(|device| {
            let body = position(&device.to_string(), 1, 1.0).to_string();
            actix::spawn(async move {
                post_over(&http(), &format!("http://{ops}/positions"), &[], body).await.is_ok()
            })
        })
        .collect();
    eventually("waiting posts", async || server.metric("processor_positions_waiting", "").await == 5.0).await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    drop(posts);
    drop(lock);
}
