//! Pings, pongs, and clients that fall silent or stop reading.

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use processor::live::ScaffoldHandler;
use processor::live::registry::ListConnections;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::header::{FIN, PING, PONG, TEXT};
use crate::harness::{Client, Live, Raw, Server, eventually, folder, frame, narrow, position, project};
use crate::{alone, quiet};

const INTERVAL: Duration = Duration::from_millis(300);
/// What a machine may add that does much else.
const MACHINE: Duration = Duration::from_secs(2);
const BEAT: (&str, &str) = ("LIVE_WS_PING_INTERVAL_MS", "300");

#[actix::test]
async fn a_ping_comes_within_the_interval_and_its_pong_is_seen() {
    let _turn = quiet().await;
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    let mut client = Client::connect(live.address()).await;
    let began = Instant::now();
    assert!(matches!(client.raw_next().await, Message::Ping(_)));
    let took = began.elapsed();
    assert!(took <= INTERVAL + MACHINE, "{took:?}");
    let before = last_seen(&live).await;
    // tungstenite's pong leaves with the next read, which waits for the next ping.
    assert!(matches!(client.raw_next().await, Message::Ping(_)));
    eventually("the pong", async || last_seen(&live).await > before).await;
    assert_eq!(live.metric("processor_live_pings_missed_total", ""), 0.0);
}

async fn last_seen(live: &Live) -> i64 {
    let connections = live.running.registry().send(ListConnections).await.unwrap();
    connections[0].last_seen_at().as_millis()
}

#[actix::test]
async fn a_client_that_answers_stays_and_one_that_is_silent_goes() {
    let _turn = quiet().await;
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    let mut lively = Client::connect(live.address()).await;
    // The server counts from before its 101, so `began` must be before that too.
    let began = Instant::now();
    let mut silent = Raw::connect(live.address()).await;
    live.gauge_is(2).await;
    let watch = async {
        silent.ended().await;
        began.elapsed()
    };
    let answer = async {
        loop {
            lively.raw_next().await;
        }
    };
    let took = tokio::select! { took = watch => took, () = answer => unreachable!() };
    // The default timeout: twice the interval.
    assert!(took >= INTERVAL * 2 && took < INTERVAL * 2 + MACHINE, "{took:?}");
    live.gauge_is(1).await;
    assert_eq!(live.metric("processor_live_closes_total", "pong_timeout"), 1.0);
    assert!(live.metric("processor_live_pings_missed_total", "") >= 1.0);
    lively.close().await;
    live.gauge_is(0).await;
}

#[actix::test]
async fn the_timeout_can_fall_between_two_pings() {
    let _turn = quiet().await;
    let live = Live::start(&[BEAT, ("LIVE_WS_PONG_TIMEOUT_MS", "400")], |_| ScaffoldHandler);
    let began = Instant::now();
    Raw::connect(live.address()).await.ended().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(400) + MACHINE, "{took:?}");
}

#[actix::test]
async fn any_frame_keeps_a_client_alive() {
    let _turn = quiet().await;
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    let mut client = Raw::connect(live.address()).await;
    let began = Instant::now();
    while began.elapsed() < INTERVAL * 4 {
        client.frame(FIN | TEXT, b"not an envelope").await;
        let (first, _) = client.read().await.unwrap();
        assert!([FIN | TEXT, FIN | PING].contains(&first));
        // Silent for less than the timeout.
        tokio::time::sleep(INTERVAL / 3).await;
    }
    assert_eq!(live.metrics.live.connections.get(), 1);
}

#[actix::test]
async fn a_client_that_sends_but_never_reads_is_gone_too() {
    let _turn = alone().await;
    let folder = folder();
    let server = Server::start(folder.path(), &[BEAT, ("LIVE_WS_OUTBOX_BYTES", "4096")]);
    let mut deaf = Raw::over(narrow(server.live, 4096).await).await;
    deaf.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    eventually("the subscription", async || server.metric("processor_live_subscriptions", "").await == 1.0)
        .await;
    // It shows that it lives with every turn, so that only its not reading can end it.
    let mut millis = 0;
    let began = Instant::now();
    while server.connections().await == 1.0 {
        assert!(began.elapsed() < Duration::from_secs(10), "still there");
        let steps: Vec<_> = (0..50).map(|step| position("1", millis + step, 1.0)).collect();
        server.accept(&steps.into()).await;
        millis += 50;
        deaf.0.write_all(&frame(FIN | PONG, b"")).await.ok();
    }
    assert_eq!(server.metric("processor_live_closes_total", "not_reading").await, 1.0);
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 0.0);
}

#[actix::test]
async fn pings_of_connections_that_came_together_are_spread_over_the_interval() {
    let _turn = quiet().await;
    let live =
        Live::start(&[("LIVE_WS_PING_INTERVAL_MS", "2000"), ("LIVE_WS_WORKERS", "1")], |_| ScaffoldHandler);
    let mut pings = Vec::new();
    for _ in 0..40 {
        let mut client = Raw::connect(live.address()).await;
        let connected = Instant::now();
        pings.push(actix::spawn(async move {
            assert_eq!(client.read().await.unwrap().0, FIN | PING);
            connected.elapsed()
        }));
    }
    let mut times: Vec<_> =
        futures_util::future::join_all(pings).await.into_iter().map(Result::unwrap).collect();
    times.sort();
    // Evenly, half of them come in each half of the interval. Together, the first and the last would be one.
    let middle = times.iter().filter(|time| **time < INTERVAL * 10 / 3).count();
    assert!((12..=28).contains(&middle), "{times:?}");
    assert!(times[39] - times[0] > Duration::from_millis(1200), "{times:?}");
}

#[actix::test]
async fn a_slow_client_that_reads_stays_though_its_pongs_are_late() {
    let _turn = quiet().await;
    let folder = folder();
    let beat = [("LIVE_WS_PING_INTERVAL_MS", "500"), ("LIVE_WS_PONG_TIMEOUT_MS", "2000")];
    let server = Server::start(folder.path(), &beat);
    let mut slow = Raw::over(narrow(server.live, 16 * 1024).await).await;
    slow.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    eventually("the subscription", async || server.metric("processor_live_subscriptions", "").await == 1.0)
        .await;
    // It reads all the time, but a ping is a long way behind the positions that are on their way already.
    let posted = Cell::new(0);
    let posts = async {
        loop {
            let steps = (posted.get()..posted.get() + 40).map(|step| {
                let mut position = position("1", step, 1.0);
                position["attributes"] = serde_json::json!({ "ballast": "x".repeat(3000) });
                position
            });
            server.accept(&steps.collect()).await;
            posted.set(posted.get() + 40);
            // Far more than are read in that time.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let began = Instant::now();
    let reads = async {
        let (mut frames, mut pings) = (0, 0);
        while began.elapsed() < Duration::from_secs(8) {
            let (first, _) = slow.read().await.expect("it was cut off");
            frames += 1;
            if first == FIN | PING {
                slow.frame(FIN | PONG, b"").await;
                pings += 1;
            }
            // A slow reader.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        (frames, pings)
    };
    let (frames, pings) = tokio::select! { read = reads => read, () = posts => unreachable!() };
    assert!(pings > 0 && posted.get() > 4 * frames, "{pings} pings in {frames} frames of {}", posted.get());
    assert_eq!(server.connections().await, 1.0);
}

#[actix::test]
async fn a_stopped_process_is_gone_after_the_pong_timeout() {
    let _turn = quiet().await;
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    // A process of its own that the system can freeze.
    let mut child = Command::new("python3")
        .arg(project().join("tests/clients/pongs.py"))
        .arg(live.address().port().to_string())
        .spawn()
        .unwrap();
    live.gauge_is(1).await;
    let pings = &live.metrics.live.pings;
    eventually("answered pings", async || pings.get() >= 3).await;
    assert_eq!(live.metrics.live.connections.get(), 1);
    let frozen = Instant::now();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGSTOP).unwrap();
    live.gauge_is(0).await;
    let took = frozen.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    // The default timeout: twice the interval.
    assert!(took < INTERVAL * 2 + MACHINE, "{took:?}");
}
