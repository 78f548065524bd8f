//! What a client may send in a second, and be sent.

use std::time::{Duration, Instant};

use processor::live::SubscriptionHandler;
use tokio::io::AsyncReadExt as _;

use crate::alone;
use crate::harness::header::{FIN, TEXT};
use crate::harness::{Client, Live, Raw, Server, folder, frame, populate};

#[actix::test]
async fn who_sends_too_much_is_warned_and_then_closed() {
    let _turn = alone().await;
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGES_PER_SECOND", "1")], SubscriptionHandler::new);
    let mut client = Client::connect(live.address()).await;
    for _ in 0..15 {
        client.text(r#"{"type":"subscribe","topic":"x"}"#).await;
    }
    let mut codes = Vec::new();
    for _ in 0..15 {
        codes.push(client.json().await["code"].as_str().unwrap().to_owned());
    }
    // Ten seconds' worth at once, and one more for each second that this took.
    assert!(codes[..10].iter().all(|code| code == "not-implemented"), "{codes:?}");
    assert!(codes.iter().any(|code| code == "rate-limited"), "{codes:?}");
    for _ in 0..40 {
        client.text("x").await;
    }
    assert_eq!(client.closed().await, (1008, "too many messages".into()));
    live.gauge_is(0).await;
    assert_eq!(live.metric("processor_live_closes_total", "rate_limited"), 1.0);
}

#[actix::test]
async fn one_who_asks_for_a_large_snapshot_again_and_again_waits_for_it_and_is_not_closed() {
    let _turn = alone().await;
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_MESSAGES_PER_SECOND", "50")]);
    populate(&server, 4000).await;
    let mut greedy = Raw::connect(server.live).await;
    let subscribe = frame(FIN | TEXT, br#"{"type":"subscribe","topic":"event:e"}"#);
    greedy.write(&subscribe.repeat(325)).await;
    let mut buffer = vec![0; 1 << 20];
    let mut received = 0;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        let read = tokio::time::timeout(Duration::from_millis(100), greedy.0.read(&mut buffer)).await;
        received += read.map_or(0, |read| read.unwrap());
    }
    // 325 times 0.4 MB were asked for. Ten seconds' worth at once are 8 MB, then 0.8 MB a second; and one more.
    assert!((4 << 20..12 << 20).contains(&received), "{received} bytes");
    assert_eq!(server.connections().await, 1.0);
    assert_eq!(server.metric("processor_live_messages_outbound_total", "error").await, 0.0);
    // Someone else is served as always.
    server.client().await.subscribe("event:e").await;
}
