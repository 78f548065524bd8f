//! Every way a connection can end is counted out exactly once.

use std::rc::Rc;
use std::time::Duration;

use processor::live::wire::request::Request;
use processor::live::{Client as LiveClient, Handled, MessageHandler, ScaffoldHandler};

use crate::harness::header::{CLOSE, FIN};
use crate::harness::{Client, Live, Raw};

/// Panics at the topic `panic`.
struct Panicky;

impl MessageHandler for Panicky {
    fn request(&self, client: &Rc<LiveClient>, request: Request) -> Handled {
        assert_ne!(request.topics(), ["panic"], "asked to");
        ScaffoldHandler.request(client, request)
    }
}

fn closes(live: &Live) -> f64 {
    live.metric("processor_live_closes_total", "")
}

#[actix::test]
async fn the_gauge_follows_each_kind_of_end() {
    let live = Live::start(&[], |_| Panicky);
    let mut ends = 0.0;

    let client = Client::connect(live.address()).await;
    live.gauge_is(1).await;
    client.close().await;
    live.gauge_is(0).await;
    ends += 1.0;
    assert_eq!((live.metric("processor_live_closes_total", "normal"), closes(&live)), (1.0, ends));

    let client = Raw::connect(live.address()).await;
    live.gauge_is(1).await;
    drop(client);
    live.gauge_is(0).await;
    ends += 1.0;
    assert_eq!((live.metric("processor_live_closes_total", "eof"), closes(&live)), (1.0, ends));

    let client = Raw::connect(live.address()).await;
    live.gauge_is(1).await;
    client.reset();
    live.gauge_is(0).await;
    ends += 1.0;
    assert_eq!((live.metric("processor_live_closes_total", "reset"), closes(&live)), (1.0, ends));

    live.running.stop(Duration::ZERO).await;

    let live = Live::start(&[("LIVE_WS_PING_INTERVAL_MS", "200")], |_| Panicky);
    let mut client = Raw::connect(live.address()).await;
    client.ended().await;
    live.gauge_is(0).await;
    assert_eq!((live.metric("processor_live_closes_total", "pong_timeout"), closes(&live)), (1.0, 1.0));
}

#[actix::test]
async fn a_panic_ends_its_connection_and_no_other() {
    let live = Live::start(&[], |_| Panicky);
    let mut bystander = Client::connect(live.address()).await;
    let mut client = Client::connect(live.address()).await;
    live.gauge_is(2).await;
    client.text(r#"{"type":"subscribe","topic":"panic"}"#).await;
    assert_eq!(client.closed().await, (1011, "internal error".into()));
    // The gauge comes last.
    live.gauge_is(1).await;
    assert_eq!((live.metric("processor_live_closes_total", "internal"), closes(&live)), (1.0, 1.0));
    assert_eq!(live.metric("processor_live_panics_total", ""), 1.0);
    bystander.text(r#"{"type":"subscribe","topic":"x"}"#).await;
    assert_eq!(bystander.json().await["code"], "not-implemented");

    let report = live.running.stop(Duration::from_secs(2));
    let (report, close) = tokio::join!(report, bystander.closed());
    assert_eq!((report.closed, report.terminated, close.0), (1, 0, 1001));
    assert_eq!(live.metrics.live.connections.get(), 0);
}

#[actix::test]
async fn a_client_s_close_is_answered_with_its_code() {
    let live = Live::start(&[], |_| ScaffoldHandler);
    for (payload, answer) in [
        (&b"\x03\xE8"[..], &b"\x03\xE8"[..]),
        (b"\x0F\xA1bye", b"\x0F\xA1"),
        (b"\x03\xE9", b"\x03\xE9"),
        (b"", b""),
    ] {
        let mut client = Raw::connect(live.address()).await;
        client.frame(FIN | CLOSE, payload).await;
        assert_eq!(client.read().await.unwrap(), (FIN | CLOSE, answer.to_vec()));
        assert_eq!(client.read().await, None);
    }
    live.gauge_is(0).await;
    assert_eq!(closes(&live), 4.0);
    for label in ["normal", "client_other", "client_going_away", "no_status"] {
        assert_eq!(live.metric("processor_live_closes_total", label), 1.0, "{label}");
    }
}
