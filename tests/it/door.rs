//! What a stranger can send before the upgrade: bodies, slow or broken heads, other protocols; and that it costs little.

use std::time::{Duration, Instant};

use processor::live::{ScaffoldHandler, SubscriptionHandler};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::header::{FIN, PING, PONG};
use crate::harness::{
    Client, HANDSHAKE, Live, PATIENCE, Raw, Server, command, eventually, folder, frame, limited,
    post_chunked, soon, until_closed, upgrade_with,
};

const SHORT: (&str, &str) = ("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "1000");

#[actix::test]
async fn a_refusal_can_be_read_by_one_who_is_still_sending() {
    let live = Live::start(&[], |_| ScaffoldHandler);
    for _ in 0..20 {
        let request = format!("{}{}", post_chunked(), "5\r\nhello\r\n".repeat(1000));
        let (answer, _) = until_closed(live.address(), request.as_bytes()).await;
        assert!(answer.ends_with("\r\n\r\nonly WebSocket upgrades are served here\n"), "{answer}");
    }
}

#[actix::test]
async fn heads_are_read_byte_by_byte_up_to_a_length() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw(TcpStream::connect(live.address()).await.unwrap());
    client.0.set_nodelay(true).unwrap();
    for byte in HANDSHAKE.bytes() {
        client.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.frame(FIN | PING, b"x").await;
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"x".to_vec()));

    let long = |bytes: usize| upgrade_with(&format!("X-Ballast: {}", "x".repeat(bytes)));
    let mut client = Raw(TcpStream::connect(live.address()).await.unwrap());
    client.write(long(7000).as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    for request in [long(8200), long(1 << 16), upgrade_with(&["A: b"; 65].join("\r\n"))] {
        let (answer, _) = until_closed(live.address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(live.metric("processor_live_refused_total", "too_long"), 3.0);
}

#[actix::test]
async fn frames_behind_a_handshake_in_parts_are_read() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw(TcpStream::connect(live.address()).await.unwrap());
    let (first, rest) = HANDSHAKE.split_at(50);
    client.write(first.as_bytes()).await;
    // So that the server reads it as a part.
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.write(&[rest.as_bytes(), &frame(FIN | PING, b"a"), &frame(FIN | PING, b"b")].concat()).await;
    client.head().await;
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"a".to_vec()));
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"b".to_vec()));
}

#[actix::test]
async fn other_protocols_are_told_off_and_write_no_error_into_the_log() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("RUST_LOG", "info")]);
    let hello = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 506]].concat();
    let before = server.log().len();
    for bytes in
        [&hello[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nbroken header\r\n\r\n", b"\0"]
    {
        let mut stream = TcpStream::connect(server.live).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        soon("the end", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(server.metric("processor_live_refused_total", "malformed").await, 4.0);
    // All that it ever writes about them would be written by the time it has stopped.
    let mut server = server;
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.ended(PATIENCE);
    server.logged("live server stopped");
    let lines = server.log();
    assert!(lines[before..].iter().all(|line| line.contains(" INFO ")), "{lines:?}");
}

#[actix::test]
async fn a_refusal_is_told_at_debug_with_address_and_reason_but_not_in_a_flood() {
    let folder = folder();
    let server =
        Server::start(folder.path(), &[("LIVE_WS_TRUSTED_PROXIES", "127.0.0.1"), ("LIVE_WS_WORKERS", "1")]);
    let began = Instant::now();
    for number in 0..200 {
        let mut client = Raw(TcpStream::connect(server.live).await.unwrap());
        let bad = upgrade_with(&format!("X-Forwarded-For: 198.51.100.7:{}", 1000 + number));
        client.write(bad.replace("Version: 13", "Version: 12").as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 426 "));
    }
    let line = server.logged("handshake refused");
    for part in ["DEBUG", "remote=198.51.100.7:1000", "status=426", "reason=handshake", "must be 13"] {
        assert!(line.contains(part), "{line}");
    }
    eventually("a line that tells of those left out", async || {
        let mut client = Raw(TcpStream::connect(server.live).await.unwrap());
        client.write(b"GET / HTTP/1.1\r\n\r\n").await;
        client.head().await;
        server.log().iter().any(|line| line.contains("such lines were left out"))
    })
    .await;
    let lines = server.log().iter().filter(|line| line.contains("handshake refused")).count();
    // Twenty a second, whatever the time that this took.
    let most = 20 * (2 + began.elapsed().as_secs() as usize);
    assert!(lines <= most, "{lines} lines in {:?}", began.elapsed());
}

#[actix::test]
async fn labels_of_closes_and_refusals_are_there_from_the_start() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (_, page) = server.get("/metrics").await;
    for series in [
        "processor_live_closes_total{code=\"1001\",instance_id=\"x\",reason=\"going_away\"} 0",
        "processor_live_closes_total{code=\"1006\",instance_id=\"x\",reason=\"pong_timeout\"} 0",
        "processor_live_closes_total{code=\"other\",instance_id=\"x\",reason=\"client_other\"} 0",
        "processor_live_refused_total{instance_id=\"x\",reason=\"timeout\"} 0",
        "processor_live_refused_total{instance_id=\"x\",reason=\"origin\"} 0",
    ] {
        let without_instance = |line: &str| {
            let (before, rest) = line.split_once("instance_id=\"").unwrap();
            format!("{before}{}", rest.split_once('"').unwrap().1)
        };
        let found = page.lines().filter(|line| line.starts_with("processor_live_"));
        assert!(
            found.map(without_instance).any(|line| line == without_instance(series)),
            "{series}:\n{page}"
        );
    }
}

#[actix::test]
async fn a_thousand_unfinished_requests_hold_nobody_up_and_leave_nothing() {
    let folder = folder();
    let server = Server::spawn(limited(&command(folder.path(), &[SHORT]), &["--nofile=1024"]));
    let descriptors = async || server.metric("process_open_fds", "").await;
    let before = descriptors().await;
    let requests = [
        post_chunked(),
        format!("{}5\r\nhello\r\n", upgrade_with("Transfer-Encoding: chunked")),
        format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{}", post_chunked()),
        "GET / HTTP/1.1\r\nHost: ".to_owned(),
        String::new(),
    ];
    let mut held = Vec::new();
    for round in 0..5 {
        for request in &requests {
            for _ in 0..50 {
                let mut stream = TcpStream::connect(server.live).await.unwrap();
                // It may have been closed already, to make room.
                stream.write_all(request.as_bytes()).await.ok();
                held.push(stream);
            }
        }
        // In the midst of it.
        let mut client = server.client().await;
        client.subscribe(&format!("device:{round}")).await;
        client.close().await;
    }
    eventually("their end", async || descriptors().await <= before + 5.0).await;
    drop(held);
}

#[actix::test]
async fn where_sockets_are_scarce_those_that_shake_hands_the_longest_go_first() {
    let settings = [
        ("LIVE_WS_MAX_CONNECTIONS", "10"),
        ("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "60000"),
        ("LIVE_WS_WORKERS", "1"),
    ];
    let live = Live::start(&settings, SubscriptionHandler::new);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(live.address()).await.unwrap());
        if silent.len() % 100 == 0 {
            let mut client = Client::connect(live.address()).await;
            client.subscribe("device:1").await;
            client.close().await;
        }
    }
    // Ten places and 64 more were there.
    let cut = async || live.metric("processor_live_refused_total", "server_full") >= 300.0 - 74.0;
    eventually("those that had to go", cut).await;
    let first = &mut silent[0];
    assert_eq!(soon("the end of the first", first.read(&mut [0])).await.unwrap_or(0), 0);
}
