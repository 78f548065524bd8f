//! Handlers of a library user's own: whole messages, late responses, decisions about who may connect, kept clients.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use processor::domain::ClientNetwork;
use processor::live::wire::opening::Opening;
use processor::live::wire::outgoing::Outgoing;
use processor::live::wire::request::Request;
use processor::live::{
    Admitted, Client as LiveClient, Decision, Denied, Handled, Message as Inbound, MessageHandler,
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Live, Raw, eventually, soon};

/// Sends back what it gets.
struct Echo;

impl MessageHandler for Echo {
    fn request(&self, _: &Rc<LiveClient>, _: Request) -> Handled {
        Handled::Done
    }

    fn message(&self, client: &Rc<LiveClient>, message: Inbound) -> Handled {
        match message {
            Inbound::Text(text) => client.text(&text),
            Inbound::Binary(bytes) => client.binary(&bytes),
        }
        Handled::Done
    }
}

#[actix::test]
async fn a_handler_of_one_s_own_gets_whole_messages() {
    let live = Live::start(&[], |_| Echo);
    let mut client = Client::connect(live.address()).await;
    client.text("grüß dich").await;
    assert_eq!(client.next().await, Some(Message::text("grüß dich")));
    client.send(Message::binary(&b"\x00\xFF"[..])).await;
    assert_eq!(client.next().await, Some(Message::binary(&b"\x00\xFF"[..])));
}

/// Responds to each request when it gets a permit; panics at the topic `panic`.
struct Slow(Arc<Semaphore>);

impl MessageHandler for Slow {
    fn request(&self, client: &Rc<LiveClient>, request: Request) -> Handled {
        let (permits, client) = (self.0.clone(), client.clone());
        Handled::Later(Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            let topic = &request.topics()[0];
            assert_ne!(topic, "panic", "asked to");
            client.send(&Outgoing::Unsubscribed { topic, id: request.id() });
        }))
    }
}

fn slow(settings: &[(&str, &str)]) -> (Live, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let for_handlers = permits.clone();
    (Live::start(settings, move |_| Slow(for_handlers.clone())), permits)
}

fn request(topic: &str) -> String {
    json!({ "type": "subscribe", "topic": topic }).to_string()
}

#[actix::test]
async fn a_response_may_come_later_and_requests_stay_in_order() {
    let (live, permits) = slow(&[]);
    let mut client = Client::connect(live.address()).await;
    for topic in ["a", "b", "c"] {
        client.text(request(topic)).await;
    }
    for topic in ["a", "b", "c"] {
        permits.add_permits(1);
        assert_eq!(client.json().await["topic"], topic);
        // One request at most is under way, so what follows was not read.
        assert_eq!(permits.available_permits(), 0);
    }
    client.close().await;
}

#[actix::test]
async fn while_a_response_is_awaited_others_are_served_and_the_heart_beats() {
    // Two seconds: the pongs come from this thread, on a machine that does much else.
    let (live, permits) = slow(&[
        ("LIVE_WS_PING_INTERVAL_MS", "200"),
        ("LIVE_WS_PONG_TIMEOUT_MS", "2000"),
        ("LIVE_WS_WORKERS", "1"),
    ]);
    let mut waiting = Client::connect(live.address()).await;
    waiting.text(request("a")).await;
    let mut behind = Client::connect(live.address()).await;
    behind.text(request("a")).await;
    behind.text(request("b")).await;
    // Longer than the pong timeout. The pongs of the first are read. Those of the second are behind a message that is held
    // back, so nothing is asked of it.
    let (began, sent) = (Instant::now(), live.metric("processor_live_pings_total", ""));
    let wait = async {
        eventually("pings for longer than that", async || {
            let pings = live.metric("processor_live_pings_total", "") - sent;
            began.elapsed() > Duration::from_millis(2500) && pings >= 20.0
        })
        .await;
        permits.add_permits(3);
    };
    let both = async { tokio::join!(waiting.json(), behind.json()) };
    let ((one, other), ()) = tokio::join!(both, wait);
    assert_eq!((&one["topic"], &other["topic"]), (&json!("a"), &json!("a")));
    assert_eq!(behind.json().await["topic"], "b");
    waiting.close().await;
    behind.close().await;
}

#[actix::test]
async fn a_connection_may_end_while_a_response_is_awaited() {
    let (live, permits) = slow(&[]);
    let mut client = Client::connect(live.address()).await;
    client.text(request("a")).await;
    eventually("the request", async || {
        live.metric("processor_live_messages_inbound_total", "subscribe") == 1.0
    })
    .await;
    // The drain closes it, and a client that answers the close is read again.
    let report = live.running.stop(Duration::from_secs(20));
    let (report, end) = tokio::join!(report, client.closed());
    assert_eq!((end.0, report.closed, report.terminated), (1001, 1, 0));
    drop(permits);
}

#[actix::test]
async fn a_panic_in_a_late_response_ends_its_connection_only() {
    let (live, permits) = slow(&[("LIVE_WS_WORKERS", "1")]);
    let mut other = Client::connect(live.address()).await;
    let mut client = Client::connect(live.address()).await;
    client.text(request("panic")).await;
    permits.add_permits(1);
    assert_eq!(client.closed().await.0, 1011);
    other.text(request("a")).await;
    permits.add_permits(1);
    assert_eq!(other.json().await["topic"], "a");
    other.close().await;
}

/// Lets in whoever asks for `/open`, at the moment when there is a permit.
struct Gate(Arc<Semaphore>);

impl MessageHandler for Gate {
    fn request(&self, _: &Rc<LiveClient>, _: Request) -> Handled {
        Handled::Done
    }

    fn admit<'a>(&'a self, opening: &'a Opening, _: ClientNetwork) -> Decision<'a> {
        Decision::Later(Box::pin(async move {
            self.0.acquire().await.unwrap().forget();
            if opening.target() == b"/open" { Ok(Admitted::Anyone) } else { Err(Denied::NotAllowed) }
        }))
    }
}

#[actix::test]
async fn a_handler_decides_who_may_connect_and_may_take_its_time() {
    let permits = Arc::new(Semaphore::new(0));
    let for_handlers = permits.clone();
    let live = Live::start(&[], move |_| Gate(for_handlers.clone()));
    let connect = async || Raw(TcpStream::connect(live.address()).await.unwrap());
    let mut let_in = connect().await;
    let_in.write(handshake("/open").as_bytes()).await;
    permits.add_permits(1);
    assert!(let_in.head().await.starts_with("HTTP/1.1 101 "));
    let mut kept_out = connect().await;
    kept_out.write(handshake("/closed").as_bytes()).await;
    permits.add_permits(1);
    assert!(kept_out.head().await.starts_with("HTTP/1.1 403 "));
    assert_eq!(live.metric("processor_live_refused_total", "denied"), 1.0);
    // Who is still waiting for a decision when the server drains gets no 101.
    let mut waiting = connect().await;
    waiting.write(handshake("/open").as_bytes()).await;
    let stop = live.running.stop(Duration::from_secs(20));
    let refused = async {
        assert_eq!(let_in.close_code().await, 1001);
        permits.add_permits(1);
        assert!(waiting.head().await.starts_with("HTTP/1.1 503 "));
        drop(let_in);
    };
    tokio::join!(stop, refused);
}

/// Holds up its worker's thread with the decision about `/blocked` until it is told to go on.
#[derive(Clone)]
struct Blocked {
    entered: Arc<Semaphore>,
    go_on: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl MessageHandler for Blocked {
    fn request(&self, _: &Rc<LiveClient>, _: Request) -> Handled {
        Handled::Done
    }

    fn admit<'a>(&'a self, opening: &'a Opening, _: ClientNetwork) -> Decision<'a> {
        if opening.target() == b"/blocked" {
            self.entered.add_permits(1);
            self.go_on.lock().unwrap().recv().ok();
        }
        Decision::Now(Ok(Admitted::Anyone))
    }
}

#[actix::test]
async fn who_was_connected_but_not_accepted_when_the_drain_began_is_refused_not_reset() {
    let (go_on, receiver) = std::sync::mpsc::channel();
    let go_on_from = Arc::new(Mutex::new(receiver));
    let blocked = Blocked { entered: Arc::new(Semaphore::new(0)), go_on: go_on_from };
    let for_handlers = blocked.clone();
    let live = Live::start(&[("LIVE_WS_WORKERS", "1")], move |_| for_handlers.clone());
    let mut let_in = Raw::connect(live.address()).await;
    let mut blocked_in = Raw(TcpStream::connect(live.address()).await.unwrap());
    blocked_in.write(handshake("/blocked").as_bytes()).await;
    soon("the decision", blocked.entered.acquire()).await.unwrap().forget();
    // The worker's thread is held up, so only the kernel knows of these.
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut client = Raw(TcpStream::connect(live.address()).await.unwrap());
        client.write(handshake("/").as_bytes()).await;
        waiting.push(client);
    }
    let stop = live.running.stop(Duration::from_secs(20));
    let refused = async {
        drop(go_on);
        for client in &mut waiting {
            // Who comes before the registry has heard of the drain is let in, and told to go.
            let head = client.head().await;
            if head.starts_with("HTTP/1.1 101 ") {
                assert_eq!(client.close_code().await, 1001);
            } else {
                assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            }
        }
        drop(waiting);
        assert_eq!(let_in.close_code().await, 1001);
        drop((let_in, blocked_in));
    };
    tokio::join!(stop, refused);
}

fn handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

thread_local! {
    static KEPT: RefCell<Vec<Rc<LiveClient>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps every client for ever.
struct Hoarder;

impl MessageHandler for Hoarder {
    fn request(&self, client: &Rc<LiveClient>, _: Request) -> Handled {
        KEPT.with_borrow_mut(|kept| {
            // What is sent to those that are gone goes nowhere.
            kept.iter().for_each(|client| client.text("still there?"));
            kept.push(client.clone());
        });
        Handled::Done
    }
}

#[actix::test]
async fn a_handler_that_keeps_a_client_does_not_keep_its_socket() {
    let live = Live::start(&[("LIVE_WS_WORKERS", "1")], |_| Hoarder);
    for _ in 0..3 {
        let mut client = Client::connect(live.address()).await;
        client.text(request("a")).await;
        client.close().await;
    }
    soon("all gone", live.gauge_is(0)).await;
    let peers = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{:04X} ", live.address().port());
    // State 08 is CLOSE_WAIT: the client has closed and our socket is still open.
    let open = peers.lines().filter(|line| line.contains(&port) && line.contains(" 08 ")).count();
    assert_eq!(open, 0, "{peers}");
}
