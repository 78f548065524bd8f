//! Unit tests of `Inbound`, over a real socket: when it reads, and when it holds a client's messages back.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use actix::Actor as _;
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::live::client::Standing;
use crate::live::client::lifecycle;
use crate::live::fanout::{Hub, Hubs};
use crate::live::handler::ScaffoldHandler;
use crate::live::outbox::Budget;
use crate::live::registry::{Admission, Registry};
use crate::live::wire::close;
use crate::live::wire::deflate::{self, Window};
use crate::live::wire::encoding::Encoding;
use crate::live::wire::frame::{self, Frame};
use crate::metrics::Metrics;
use crate::settings::Settings;

const MESSAGES_PER_SECOND: u32 = 1;

struct Rig {
    inbound: Inbound,
    client: Rc<Client>,
    outbox: Rc<Outbox<Socket>>,
    peer: TcpStream,
}

impl Rig {
    /// A connection whose outbox is jammed by more than 4 KiB of responses, and which may send a message a second.
    async fn new() -> Self {
        let rate = ("LIVE_WS_MAX_MESSAGES_PER_SECOND".to_owned(), MESSAGES_PER_SECOND.to_string());
        let settings = Settings::from("/nonexistent".as_ref(), [rate].into()).unwrap().live;
        let metrics = Metrics::new("test").unwrap().live;
        let (budget, hubs) = (Budget::new(1 << 30), Hubs::new(1, metrics.clone()));
        let hub = Hub::new(metrics.clone(), hubs.inbox(0), budget.clone(), &[]);
        let registry = Registry::new(metrics.clone(), Admission::new(1, 1)).start();
        let (handler, settings) = (Rc::new(ScaffoldHandler), Rc::new(settings));
        let worker =
            Rc::new(Worker::new(settings.clone(), metrics.clone(), hub, budget.clone(), handler, registry));
        let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
        let (peer, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (stream, remote) = accepted.unwrap();
        let outbox = Outbox::new(Socket(stream), 4096, budget);
        let shared: Rc<Outbox> = outbox.clone();
        let encoding = Encoding::Deflate(Window::FULL);
        let client = Client::new(remote, &shared, settings, Arc::clone(&metrics), encoding, Standing::Anyone);
        let inbound = Inbound::new(client.clone(), outbox.clone(), Bytes::new(), worker);
        Self { inbound, client, outbox, peer: peer.unwrap() }
    }

    /// Sends a compressed text frame of less than 126 bytes with an empty mask.
    async fn send_compressed(&mut self, text: &str) {
        let payload = deflate::last(&deflate::piece(text.as_bytes()));
        assert!(payload.len() < 126);
        let header = [0xC1, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        self.peer.write_all(&[&header, &payload[..]].concat()).await.unwrap();
    }

    /// Sends a text frame with an empty mask.
    async fn send(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.peer.write_all(&frame).await.unwrap();
    }

    async fn next(&mut self) -> Option<Received> {
        poll_fn(|cx| Pin::new(&mut self.inbound).poll_next(cx)).await
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            Some(Received::Event(Event::Text(text))) => text,
            _ => panic!("no text"),
        }
    }

    /// True if nothing is read though something is there.
    async fn holds_back(&mut self) -> bool {
        self.outbox.wire().0.readable().await.unwrap();
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.inbound).poll_next(cx).is_pending())).await
    }

    fn respond(&self, bytes: usize) {
        self.outbox.respond(frame::binary(&vec![0; bytes]));
    }
}

#[actix::test]
async fn messages_come_until_the_end_of_the_stream() {
    let mut rig = Rig::new().await;
    rig.send("one").await;
    rig.send("two").await;
    assert_eq!((rig.text().await, rig.text().await), ("one".to_owned(), "two".to_owned()));
    rig.peer.shutdown().await.unwrap();
    assert!(matches!(rig.next().await, Some(Received::Eof)));
    assert!(rig.next().await.is_none());
}

#[actix::test]
async fn a_client_that_does_not_read_its_responses_is_not_read() {
    let mut rig = Rig::new().await;
    // More than the kernel takes.
    rig.respond(64 << 20);
    assert!(rig.outbox.is_jammed());
    rig.send("one").await;
    assert!(rig.holds_back().await);
    let (mut read, mut sink) = (vec![0; 1 << 20], 0);
    while rig.outbox.is_jammed() {
        sink += rig.peer.try_read(&mut read).unwrap_or(0);
        rig.outbox.flush();
        tokio::task::yield_now().await;
    }
    assert!(sink > 0);
    assert_eq!(rig.text().await, "one");
}

#[actix::test]
async fn one_request_is_under_way_at_most_until_the_connection_closes() {
    let mut rig = Rig::new().await;
    rig.client.reading.has_request_under_way.set(true);
    rig.send("one").await;
    assert!(rig.holds_back().await);
    rig.client.apply(lifecycle::Event::CloseRequested(close::GOING_AWAY));
    assert_eq!(rig.text().await, "one");
}

#[actix::test]
async fn nothing_is_decoded_of_one_that_broke_the_rules() {
    let mut rig = Rig::new().await;
    rig.client.apply(lifecycle::Event::Violation(close::PROTOCOL_ERROR));
    rig.send("one").await;
    assert!(rig.holds_back().await);
}

#[actix::test]
async fn snapshots_are_paid_for_by_waiting_before_the_next_message_is_read() {
    let mut rig = Rig::new().await;
    // Ten seconds' worth is free; this is twenty more, at 16 KiB for each message.
    let bytes = 30 * 16 * 1024;
    let snapshot = Frame { head: Bytes::from(vec![0; bytes]), tail: Bytes::new() };
    let drain = tokio::spawn({
        let (mut peer, other) = (rig.peer, TcpListener::bind("127.0.0.1:0").await.unwrap());
        rig.peer = TcpStream::connect(other.local_addr().unwrap()).await.unwrap();
        async move {
            peer.write_all(&[0x81, 0x83, 0, 0, 0, 0, b'o', b'n', b'e']).await.unwrap();
            tokio::io::copy(&mut peer, &mut tokio::io::sink()).await.unwrap();
        }
    });
    rig.outbox.snapshot(snapshot);
    while !rig.outbox.is_empty() {
        rig.outbox.wire().0.writable().await.unwrap();
        rig.outbox.flush();
    }
    assert!(rig.holds_back().await);
    assert!(rig.client.reading.is_held_back());
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(rig.text().await, "one");
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(15) && waited < Duration::from_secs(21), "{waited:?}");
    assert!(!rig.client.reading.is_held_back());
    drain.abort();
}

#[actix::test]
async fn decompressing_is_paid_for_by_waiting_before_the_next_message_is_read() {
    let mut rig = Rig::new().await;
    // 60 KiB that come as less than 126 bytes. Ten seconds' worth is free, 160 KiB.
    let bomb = "x".repeat(60 * 1024);
    for _ in 0..3 {
        rig.send_compressed(&bomb).await;
        assert_eq!(rig.text().await, bomb);
    }
    rig.send_compressed("one").await;
    assert!(rig.holds_back().await);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(rig.text().await, "one");
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(2), "{waited:?}");
}

#[actix::test]
async fn compressed_messages_are_decompressed_one_by_one() {
    let mut rig = Rig::new().await;
    for _ in 0..100 {
        rig.send_compressed(&"x".repeat(1024)).await;
    }
    for _ in 0..100 {
        assert_eq!(rig.text().await.len(), 1024);
        assert!(rig.inbound.events.is_empty());
    }
}

#[actix::test]
async fn nothing_is_decompressed_once_the_connection_closes() {
    let mut rig = Rig::new().await;
    rig.client.apply(lifecycle::Event::CloseRequested(close::GOING_AWAY));
    rig.send_compressed("one").await;
    assert!(matches!(rig.next().await, Some(Received::Event(Event::Fragment))));
    assert_eq!(rig.inbound.decoder.take_inflated(), Inflated::default());
}
