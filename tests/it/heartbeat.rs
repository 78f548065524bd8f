//! Pings, pongs, and clients that fall silent or stop reading.

use std::time::{Duration, Instant};

use processor::live::registry::ListConnections;
use processor::live::{ScaffoldHandler, SubscriptionHandler};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Live, Raw, Server, eventually, folder, narrow, position};

const INTERVAL: Duration = Duration::from_millis(300);
/// What a machine may add that does much else.
const MACHINE: Duration = Duration::from_secs(2);
const BEAT: (&str, &str) = ("LIVE_WS_PING_INTERVAL_MS", "300");

#[actix::test]
async fn a_ping_comes_within_the_interval_and_its_pong_is_seen() {
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
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    let mut lively = Client::connect(live.address()).await;
    let mut silent = Raw::connect(live.address()).await;
    let began = Instant::now();
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
    let live = Live::start(&[BEAT, ("LIVE_WS_PONG_TIMEOUT_MS", "400")], |_| ScaffoldHandler);
    let began = Instant::now();
    Raw::connect(live.address()).await.ended().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(400) + MACHINE, "{took:?}");
}

#[actix::test]
async fn any_frame_keeps_a_client_alive() {
    let live = Live::start(&[BEAT], |_| ScaffoldHandler);
    let mut client = Raw::connect(live.address()).await;
    let began = Instant::now();
    while began.elapsed() < INTERVAL * 4 {
        client.frame(0x81, b"not an envelope").await;
        let (first, _) = client.read().await.unwrap();
        assert!([0x81, 0x89].contains(&first));
        tokio::time::sleep(INTERVAL / 3).await;
    }
    assert_eq!(live.metrics.live.connections.get(), 1);
}

#[actix::test]
async fn a_client_that_sends_but_never_reads_is_gone_too() {
    let folder = folder();
    let server = Server::start(folder.path(), &[BEAT, ("LIVE_WS_OUTBOX_BYTES", "4096")]);
    let mut deaf = Raw::over(narrow(server.live, 4096).await).await;
    deaf.frame(0x81, br#"{"type":"subscribe","topic":"device:1"}"#).await;
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
        use tokio::io::AsyncWriteExt as _;
        deaf.0.write_all(&crate::harness::frame(0x8A, b"")).await.ok();
    }
    assert_eq!(server.metric("processor_live_closes_total", "not_reading").await, 1.0);
    assert_eq!(server.metric("processor_live_subscriptions", "").await, 0.0);
}

#[actix::test]
async fn a_ping_is_answered_with_its_payload() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw::connect(live.address()).await;
    client.frame(0x89, b"marco").await;
    assert_eq!(client.read().await.unwrap(), (0x8A, b"marco".to_vec()));
}

#[actix::test]
async fn pings_of_connections_that_came_together_are_spread_over_the_interval() {
    let live =
        Live::start(&[("LIVE_WS_PING_INTERVAL_MS", "2000"), ("LIVE_WS_WORKERS", "1")], |_| ScaffoldHandler);
    let mut pings = Vec::new();
    for _ in 0..40 {
        let mut client = Raw::connect(live.address()).await;
        let connected = Instant::now();
        pings.push(actix::spawn(async move {
            assert_eq!(client.read().await.unwrap().0, 0x89);
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
    let folder = folder();
    let beat = [("LIVE_WS_PING_INTERVAL_MS", "500"), ("LIVE_WS_PONG_TIMEOUT_MS", "2000")];
    let server = Server::start(folder.path(), &beat);
    let mut slow = Raw::over(narrow(server.live, 16 * 1024).await).await;
    slow.frame(0x81, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    eventually("the subscription", async || server.metric("processor_live_subscriptions", "").await == 1.0)
        .await;
    // It reads all the time, but a ping is a long way behind the positions that are on their way already.
    let began = Instant::now();
    let (mut millis, mut pings) = (0, 0);
    while began.elapsed() < Duration::from_secs(8) {
        let steps: Vec<_> = (0..40)
            .map(|step| {
                let mut position = position("1", millis + step, 1.0);
                position["attributes"] = serde_json::json!({ "ballast": "x".repeat(3000) });
                position
            })
            .collect();
        server.accept(&steps.into()).await;
        millis += 40;
        let turn = Instant::now();
        while turn.elapsed() < Duration::from_millis(300) {
            let (first, _) = slow.read().await.expect("it was cut off");
            if first == 0x89 {
                slow.frame(0x8A, b"").await;
                pings += 1;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    assert!(pings > 0 && millis > 400);
    assert_eq!(server.connections().await, 1.0);
}
