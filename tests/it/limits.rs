//! What one client, or all of them, may take; and that it is said and counted.

use processor::live::{ScaffoldHandler, SubscriptionHandler};
use serde_json::json;

use crate::harness::header::{CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};
use crate::harness::{Client, HANDSHAKE, Live, Raw, Server, crowd, eventually, folder, populate, soon};

#[actix::test]
async fn connections_over_the_limit_get_503_and_health_stays_green() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_MAX_CONNECTIONS", "2")]);
    let (first, _second) = (server.client().await, server.client().await);
    let refused = async || {
        let mut client = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
        client.write(HANDSHAKE.as_bytes()).await;
        client.head().await
    };
    let head = refused().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: "), "{head}");
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.metric("processor_live_refused_total", "server_full").await, 1.0);
    first.close().await;
    eventually("a free place", async || refused().await.starts_with("HTTP/1.1 101 ")).await;
}

#[actix::test]
async fn connections_from_one_address_are_limited_and_a_trusted_proxy_speaks_for_its_clients() {
    let settings =
        [("LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS", "1"), ("LIVE_WS_TRUSTED_PROXIES", "127.0.0.2/32")];
    let live = Live::start(&settings, |_| ScaffoldHandler);
    let connect = async |from: [u8; 4], forwarded: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut client = Raw(socket.connect(live.address()).await.unwrap());
        let header = format!("Host: localhost\r\nX-Forwarded-For: {forwarded}");
        client.write(HANDSHAKE.replace("Host: localhost", &header).as_bytes()).await;
        (client.head().await, client)
    };
    let (direct, _kept) = connect([127, 0, 0, 1], "198.51.100.1").await;
    assert!(direct.starts_with("HTTP/1.1 101 "), "{direct}");
    let (again, _) = connect([127, 0, 0, 1], "198.51.100.2").await;
    assert!(again.starts_with("HTTP/1.1 429 ") && again.contains("Retry-After: "), "{again}");
    let (forwarded, _kept) = connect([127, 0, 0, 2], "198.51.100.1").await;
    assert!(forwarded.starts_with("HTTP/1.1 101 "), "{forwarded}");
    let (forwarded, _kept) = connect([127, 0, 0, 2], "198.51.100.2").await;
    assert!(forwarded.starts_with("HTTP/1.1 101 "), "{forwarded}");
    let (again, _) = connect([127, 0, 0, 2], "198.51.100.1").await;
    assert!(again.starts_with("HTTP/1.1 429 "), "{again}");
    assert_eq!(live.metric("processor_live_refused_total", "address_full"), 2.0);
}

#[actix::test]
async fn a_client_behind_a_proxy_is_known_by_forwarded_headers_with_ports_but_not_by_its_own() {
    let address = |header: &'static str| async move {
        let folder = folder();
        let settings = [("LIVE_WS_TRUSTED_PROXIES", "127.0.0.1"), ("LIVE_WS_FORWARDED_HEADER", "")];
        let server = Server::start(folder.path(), &settings);
        let mut client = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
        client
            .write(HANDSHAKE.replace("Host: localhost", &format!("Host: localhost\r\n{header}")).as_bytes())
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        let line = server.logged("connection opened");
        line.rsplit("remote=").next().unwrap().to_owned()
    };
    let cases = [
        ("X-Forwarded-For: 198.51.100.7:1234", "198.51.100.7:1234"),
        ("X-Forwarded-For: 1.2.3.4, [2001:db8::1]:1234", "[2001:db8::1]:1234"),
        ("X-Forwarded-For: [2001:db8::1]", "[2001:db8::1]:0"),
        ("Forwarded: for=1.2.3.4, for=\"[2001:db8::1]:80\";proto=https", "[2001:db8::1]:80"),
        ("Forwarded: for=198.51.100.7", "198.51.100.7:0"),
    ];
    for (header, expected) in cases {
        assert_eq!(address(header).await, expected, "{header}");
    }
    for header in [
        "Forwarded: for=198.51.100.7, for=_hidden",
        "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.8",
    ] {
        assert!(address(header).await.starts_with("127.0.0.1:"), "{header}");
    }
}

#[actix::test]
async fn one_address_cannot_take_all_places_by_never_ending_its_handshakes() {
    use tokio::io::AsyncReadExt as _;
    let settings = [("LIVE_WS_MAX_CONNECTIONS", "100"), ("LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS", "10")];
    let live = Live::start(&settings, |_| ScaffoldHandler);
    let connect = async || {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 5], 0).into()).unwrap();
        socket.connect(live.address()).await.unwrap()
    };
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect().await);
    }
    let refused = async || live.metric("processor_live_refused_total", "address_full") == 126.0;
    eventually("those beyond 10 and 64 turned away", refused).await;
    let mut last = silent.pop().unwrap();
    assert_eq!(soon("the end of the last", last.read(&mut [0])).await.unwrap(), 0);
    // Another address is served at once.
    Client::connect(live.address()).await.close().await;
}

#[actix::test]
async fn fragments_without_end_are_too_many_messages() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGES_PER_SECOND", "1")], SubscriptionHandler::new);
    let mut client = Raw::connect(live.address()).await;
    client.frame(TEXT, b"").await;
    let fragments = crate::harness::frame(CONTINUATION, b"").repeat(1000);
    client.write(&fragments).await;
    assert_eq!(client.close_code().await, 1008);
}

#[actix::test]
async fn subscriptions_and_topic_lengths_are_limited() {
    let settings = [("LIVE_WS_MAX_SUBSCRIPTIONS", "2"), ("LIVE_WS_MAX_TOPIC_BYTES", "20")];
    let live = Live::start(&settings, SubscriptionHandler::new);
    let mut client = Client::connect(live.address()).await;
    client.subscribe("device:1").await;
    client.subscribe("device:2").await;
    client.text(r#"{"type":"subscribe","topic":"device:3","id":"x"}"#).await;
    let answer = client.json().await;
    assert_eq!(
        (&answer["code"], &answer["topic"], &answer["id"]),
        (&json!("too-many-subscriptions"), &json!("device:3"), &json!("x"))
    );
    client.subscribe("device:2").await;
    client.text(r#"{"type":"unsubscribe","topic":"device:1"}"#).await;
    assert_eq!(client.json().await["type"], "unsubscribed");
    client.subscribe("device:3").await;
    client
        .text(json!({ "type": "subscribe", "topic": format!("device:{}", "x".repeat(20)) }).to_string())
        .await;
    assert_eq!(client.json().await["code"], "protocol-violation");
    assert_eq!(live.metrics.live.subscriptions.get(), 2);
}

#[actix::test]
async fn a_flood_of_pings_costs_no_memory_and_no_one_else() {
    let live = Live::start(&[("LIVE_WS_WORKERS", "1")], SubscriptionHandler::new);
    let mut flooder = Raw::over(crate::harness::narrow(live.address(), 4096).await).await;
    let pings = crate::harness::frame(FIN | PING, &[b'x'; 125]).repeat(1000);
    let flood = actix::spawn(async move {
        // It reads none of the pongs.
        for _ in 0..200 {
            use tokio::io::AsyncWriteExt as _;
            if flooder.0.write_all(&pings).await.is_err() {
                break;
            }
        }
        flooder
    });
    let mut other = Client::connect(live.address()).await;
    for _ in 0..50 {
        other.subscribe("device:1").await;
    }
    let connections = live.running.registry().send(processor::live::registry::ListConnections).await.unwrap();
    assert!(connections.iter().all(|connection| connection.waiting() < 1000));
    flood.abort();
}

#[actix::test]
async fn thousands_who_connect_and_say_nothing_are_gone_after_the_deadline_and_no_one_notices() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "2000")]);
    let descriptors = async || server.metric("process_open_fds", "").await;
    let before = descriptors().await;
    let mut silent = Vec::new();
    for _ in 0..2000 {
        silent.push(tokio::net::TcpStream::connect(server.live).await.unwrap());
    }
    for _ in 0..20 {
        let mut client = server.client().await;
        client.subscribe("device:1").await;
        client.close().await;
    }
    eventually("the deadline", async || descriptors().await <= before + 5.0).await;
    drop(silent);
}

#[actix::test]
async fn nothing_a_client_sends_can_forge_a_line_of_the_log() {
    let folder = folder();
    let server =
        Server::start(folder.path(), &[("RUST_LOG", "trace"), ("LIVE_WS_TRUSTED_PROXIES", "127.0.0.1")]);
    let mut client = server.client().await;
    for topic in ["device:\u{1b}[31mred", "event:a\nFORGED line", "x\r\nFORGED line", "device:\u{9b}2J"] {
        client.text(json!({ "type": "subscribe", "topic": topic, "id": topic }).to_string()).await;
        assert_eq!(client.json().await["type"], "error");
    }
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    let request =
        HANDSHAKE.replace("GET / ", "GET /\u{1b}[31m ").replace("localhost", "a\u{1b}]0;FORGED\u{7}");
    raw.write(request.as_bytes()).await;
    raw.ended().await;
    let mut closer = Raw::connect(server.live).await;
    closer.frame(FIN | CLOSE, b"\x0F\xA0\nFORGED \x1b[31m").await;
    closer.ended().await;
    server.post("{\"device_id\":\"\u{1b}[31m\\nFORGED\"}").await;
    client.close().await;
    server.logged("code=4000");
    for line in server.log() {
        assert!(!line.starts_with("FORGED") && !line.chars().any(|c| c.is_control()), "{line:?}");
    }
}

#[actix::test]
async fn one_that_was_jammed_by_its_own_answers_is_read_again_as_soon_as_it_reads() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_OUTBOX_BYTES", "4096")]);
    let devices: Vec<_> = (0..20)
        .map(|device| {
            let mut position = crate::harness::position(&device.to_string(), 1, 1.0);
            position["topics"] = json!(["event:e"]);
            position["attributes"] = json!({ "ballast": "x".repeat(3000) });
            position
        })
        .collect();
    server.accept(&devices.into()).await;
    let mut client = Raw::connect(server.live).await;
    // Far more answers than all buffers hold; it does not read yet.
    let subscribe = crate::harness::frame(FIN | TEXT, br#"{"type":"subscribe","topic":"event:e"}"#);
    client.write(&subscribe.repeat(300)).await;
    eventually("a jam", async || {
        let (_, connections) = server.get("/connections").await;
        let connections: serde_json::Value = serde_json::from_str(&connections).unwrap();
        connections["connections"][0]["waiting_bytes"].as_u64().unwrap() > 4096
    })
    .await;
    for _ in 0..300 {
        assert!(client.read().await.unwrap().1.starts_with(br#"{"type":"subscribed""#));
    }
    client.frame(FIN | PING, b"still there?").await;
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"still there?".to_vec()));
}

#[actix::test]
async fn large_snapshots_that_nobody_reads_hold_little_memory() {
    let folder = folder();
    let settings = [("LIVE_WS_WORKER_OUTBOX_BYTES", "4194304"), ("LIVE_WS_WORKERS", "1")];
    let server = Server::start(folder.path(), &settings);
    populate(&server, 20_000).await;
    server.client().await.subscribe("event:e").await;
    let before = server.metric("process_resident_memory_bytes", "").await;
    let mut deaf = Vec::new();
    for step in 0..60 {
        let mut client = Raw::over(crate::harness::narrow(server.live, 4096).await).await;
        client.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"event:e"}"#).await;
        deaf.push(client);
        // All of it has changed before the next one comes.
        server.accept(&crowd((0..20_000).step_by(100), 10 + step)).await;
    }
    eventually("their subscriptions", async || {
        server.metric("processor_live_subscriptions", "").await >= 60.0
    })
    .await;
    let grown = server.metric("process_resident_memory_bytes", "").await - before;
    // Sixty snapshots of 2.5 MB would be 150 MB.
    assert!(grown < 40e6, "{grown} bytes more");
    // One who reads gets through all the same, when those who hold too much have been told to go.
    drop(deaf);
    let snapshot = server.client().await.subscribe("event:e").await;
    assert_eq!(snapshot["snapshot"].as_array().unwrap().len(), 20_000);
}
