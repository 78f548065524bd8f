//! The ops port with clients that do not end what they begin, and with those who may not ask.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Server, command, eventually, folder, limited, narrow, position, soon};

/// So that a body's end is not waited for so long.
const SHORT: (&str, &str) = ("OPS_BODY_TIMEOUT_MS", "1000");

/// Everything that is to be over within seconds is over by then, also on a machine that does much else.
const BOUND: Duration = Duration::from_secs(15);

/// A request whose body, announced by `body`, begins with `begin`.
fn half(line: &str, body: &str, begin: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{body}\r\n\r\n{begin}")
}

/// The beginning of `line` with a body of each kind.
fn halves(line: &str) -> [String; 2] {
    [half(line, "Content-Length: 1000", "[{"), half(line, "Transfer-Encoding: chunked", "5\r\n[    \r\n")]
}

/// Sends `bytes` and nothing more: what comes until the server closes, and after how long it does.
async fn until_closed(ops: SocketAddr, bytes: &str) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(ops).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // It may end with a reset.
    soon("the end", stream.read_to_end(&mut response)).await.ok();
    (String::from_utf8(response).unwrap(), began.elapsed())
}

/// Sends a whole request on a connection of its own, which it asks to close.
async fn ask(ops: SocketAddr, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n{body}");
    let (response, _) = until_closed(ops, &request).await;
    (status(&response), response)
}

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap_or_else(|| panic!("no response: {response:?}")).parse().unwrap()
}

#[actix::test]
async fn a_post_that_is_not_ended_is_closed() {
    let folder = folder();
    let server = Server::start(folder.path(), &[SHORT, ("OPS_INGEST_TOKEN", "s3cret")]);
    for request in halves("POST /positions") {
        let request = request.replacen("\r\n", "\r\nAuthorization: Bearer s3cret\r\n", 1);
        let (response, took) = until_closed(server.ops, &request).await;
        assert_eq!(status(&response), 408, "{response}");
        assert!(took > Duration::from_millis(900) && took < BOUND, "{took:?}");
    }
    assert_eq!(server.metric("processor_ops_closes_total", "\"body_timeout\"").await, 2.0);
}

#[actix::test]
async fn behind_an_early_response_a_body_that_is_not_ended_is_closed() {
    let folder = folder();
    let plain = Server::start(folder.path(), &[("OPS_MAX_BODY_BYTES", "1024")]);
    let other = crate::harness::folder();
    let token = Server::start(other.path(), &[("OPS_INGEST_TOKEN", "s3cret")]);
    let with = |header: &str| half("POST /positions", &format!("{header}\r\nTransfer-Encoding: chunked"), "");
    let mut requests = vec![
        (plain.ops, 413, half("POST /positions", "Content-Length: 1025", "[")),
        (
            plain.ops,
            413,
            half("POST /positions", "Transfer-Encoding: chunked", "500\r\n") + &"x".repeat(0x500),
        ),
        (plain.ops, 403, with("Origin: https://evil.example")),
        (plain.ops, 415, with("Content-Encoding: gzip")),
        (plain.ops, 200, half("GET /healthz", "Content-Length: 10", "")),
        (plain.ops, 200, half("GET /metrics", "Upgrade: websocket\r\nConnection: Upgrade", "")),
        (plain.ops, 413, half("POST /positions", "Expect: 100-continue\r\nContent-Length: 1025", "")),
        (token.ops, 401, half("POST /positions", "Expect: 100-continue\r\nContent-Length: 10", "")),
    ];
    for (ops, status, line) in
        [(token.ops, 401, "POST /positions"), (plain.ops, 404, "POST /"), (plain.ops, 405, "PUT /positions")]
    {
        requests.extend(halves(line).map(|request| (ops, status, request)));
    }
    let count = requests.len();
    join_all(requests.iter().map(async |(ops, expected, request)| {
        let (response, took) = until_closed(*ops, request).await;
        assert_eq!(status(&response), *expected, "{request}: {response}");
        assert!(response.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{request}: {response}");
        assert!(took < BOUND, "{request}: {took:?}");
    }))
    .await;
    let mut closes = 0.0;
    for server in [&plain, &token] {
        closes += server.metric("processor_ops_closes_total", "\"early_answer\"").await;
    }
    assert_eq!(closes, count as f64);
}

#[actix::test]
async fn endless_bodies_are_cut_off() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let chunked = |line: &str, more: &str| half(line, &format!("{more}Transfer-Encoding: chunked"), "");
    for request in [
        chunked("POST /nowhere", ""),
        chunked("PUT /positions", ""),
        chunked("POST /positions", "Origin: https://evil.example\r\n"),
        // Read up to the limit.
        chunked("POST /positions", ""),
    ] {
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
        let (mut sent, began) = (0, Instant::now());
        while stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
            // Both sockets' buffers may hold some megabytes that nobody reads.
            assert!(sent < 64 << 20 && began.elapsed() < BOUND, "{sent} bytes were taken: {request}");
        }
    }
    // Nothing but the ends of chunks is in this one, so its body is never too long.
    let mut stream = TcpStream::connect(server.ops).await.unwrap();
    stream.write_all(chunked("POST /positions", "").as_bytes()).await.unwrap();
    let chunk = [b"1;".as_slice(), &[b'x'; 0x1000], b"\r\n \r\n"].concat();
    let (mut sent, began) = (0, Instant::now());
    while stream.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 128 << 20 && began.elapsed() < BOUND, "{sent} bytes were taken");
    }
}

#[actix::test]
async fn a_slow_but_steady_post_is_taken() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    for chunked in [false, true] {
        let body = format!("{}{}", position("a", 1, 1.0), " ".repeat(300));
        let announced = match chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", body.len()),
        };
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(half("POST /positions", &announced, "").as_bytes()).await.unwrap();
        for part in body.as_bytes().chunks(20) {
            let part = String::from_utf8(part.to_vec()).unwrap();
            let part = if chunked { format!("{:x}\r\n{part}\r\n", part.len()) } else { part };
            stream.write_all(part.as_bytes()).await.unwrap();
            // Slow, but 200 bytes a second.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stream.write_all(if chunked { b"0\r\n\r\n" } else { b"" }).await.unwrap();
        let mut response = [0; 12];
        soon("the response", stream.read_exact(&mut response)).await.unwrap();
        assert_eq!(&response, b"HTTP/1.1 200");
    }
}

#[actix::test]
async fn heads_that_are_not_ended_and_responses_that_are_not_read_are_closed() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let ops = server.ops;
    let first = until_closed(ops, "GET /healthz HTTP/1.1\r\nHost: x");
    let silent = until_closed(ops, "");
    let second = async {
        let mut stream = TcpStream::connect(ops).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut response = [0; 12];
        soon("the response", stream.read_exact(&mut response)).await.unwrap();
        assert_eq!(&response, b"HTTP/1.1 200");
        stream.write_all(b"GET /healthz HT").await.unwrap();
        let mut rest = String::new();
        soon("the end", stream.read_to_string(&mut rest)).await.unwrap();
        rest
    };
    let unread = async {
        let mut stream = narrow(ops, 4096).await;
        let many = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
        // The server stops reading when it cannot write.
        tokio::time::timeout(Duration::from_secs(1), stream.write_all(many.as_bytes())).await.ok();
        eventually("the close", async || {
            server.metric("processor_ops_closes_total", "\"write_timeout\"").await == 1.0
        })
        .await;
    };
    let ((first, took), (silent, _), second, ()) = tokio::join!(first, silent, second, unread);
    assert_eq!(status(&first), 408, "{first}");
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert_eq!(silent, "");
    assert!(second.contains("HTTP/1.1 408 "), "{second}");
    assert_eq!(server.metric("processor_ops_closes_total", "\"head_timeout\"").await, 3.0);
}

#[actix::test]
async fn whoever_is_idle_the_longest_makes_room_and_posts_do_not_take_all_places() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_MAX_CONNECTIONS", "8")]);
    let mut posts = Vec::new();
    // Six may be under way; others are told so.
    for number in 0..8 {
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(halves("POST /positions")[number % 2].as_bytes()).await.unwrap();
        if number < 6 {
            // Answered after the post's head was read: one thread does both.
            assert_eq!(server.get("/healthz").await.0, 200);
            posts.push(stream);
        } else {
            let mut response = String::new();
            soon("the end", stream.read_to_string(&mut response)).await.ok();
            assert_eq!(status(&response), 503, "{response}");
            let response = response.to_ascii_lowercase();
            assert!(response.contains("retry-after: 1\r\n") && response.contains("connection: close\r\n"));
        }
    }
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut response = [0; 12];
        soon("the response", stream.read_exact(&mut response)).await.unwrap();
        assert_eq!(&response, b"HTTP/1.1 200");
        idle.push(stream);
    }
    let mut rest = Vec::new();
    soon("the end of the first", idle[0].read_to_end(&mut rest)).await.ok();
    assert!(server.metric("processor_ops_closes_total", "\"room\"").await >= 18.0);
    // Those that were taken are still there.
    for (number, mut stream) in posts.into_iter().enumerate() {
        let end =
            if number % 2 == 0 { "  }]".to_owned() + &" ".repeat(994) } else { "1\r\n]\r\n0\r\n\r\n".into() };
        stream.write_all(end.as_bytes()).await.unwrap();
        let mut response = [0; 12];
        soon("the response", stream.read_exact(&mut response)).await.unwrap();
        let expected = if number % 2 == 0 { b"HTTP/1.1 422" } else { b"HTTP/1.1 200" };
        assert_eq!(&response, expected);
    }
}

#[actix::test]
async fn probes_are_answered_whatever_posters_do_and_however_many_clients_there_are() {
    let folder = folder();
    let settings = [("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "60000")];
    let server = Server::spawn(limited(&command(folder.path(), &settings), &["--nofile=512"]));
    let mut held = Vec::new();
    for _ in 0..450 {
        held.push(TcpStream::connect(server.live).await.unwrap());
        let handshake = crate::harness::HANDSHAKE.as_bytes();
        held.last_mut().unwrap().write_all(handshake).await.ok();
    }
    server.logged("cannot accept connections");
    for _ in 0..150 {
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok();
        held.push(stream);
    }
    for number in 0..300 {
        let mut stream = TcpStream::connect(server.ops).await.unwrap();
        stream.write_all(halves("POST /positions")[number % 2].as_bytes()).await.ok();
        held.push(stream);
        if number % 15 == 0 {
            for path in ["/healthz", "/readyz", "/metrics"] {
                assert_eq!(soon(path, server.get(path)).await.0, 200, "{path}");
            }
        }
    }
    assert!(server.log().iter().all(|line| !line.contains("ops server cannot accept")));
    assert!(server.metric("process_open_fds", "").await < 512.0);
}

#[actix::test]
async fn what_came_through_a_proxy_or_to_a_foreign_host_needs_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_ALLOWED_HOSTS", "Ops.example.org, 10.1.2.3")]);
    let body = position("a", 1, 1.0).to_string();
    let length = format!("Content-Length: {}", body.len());
    let post = async |header: &str| {
        ask(server.ops, "POST /positions", &["Host: localhost", &length, header], &body).await
    };
    for header in [
        "X-Forwarded-For: 127.0.0.1",
        "x-forwarded-host: localhost",
        "X-Real-IP: ::1",
        "Forwarded: for=x",
        "Via: 1.1 proxy",
    ] {
        let (status, response) = post(header).await;
        assert_eq!(status, 403, "{header}");
        assert!(response.contains("OPS_INGEST_TOKEN"), "{response}");
    }
    assert_eq!(post("X-Other: 1").await.0, 200);
    for path in ["/metrics", "/healthz", "/readyz", "/connections", "/nowhere"] {
        let get = async |headers: &[&str]| ask(server.ops, &format!("GET {path}"), headers, "").await.0;
        let fine = if path == "/nowhere" { 404 } else { 200 };
        for host in [
            "Host: LOCALHOST:1",
            "Host: a.localhost",
            "Host: [::1]:9090",
            "Host: ops.example.org",
            "Host: 10.1.2.3:80",
        ] {
            assert_eq!(get(&[host]).await, fine, "{host}");
        }
        for host in ["Host: evil.example", "Host: localhost.evil.example", "Host: 10.0.0.1"] {
            assert_eq!(get(&[host]).await, 403, "{host}");
        }
    }
    let (response, _) = until_closed(server.ops, "GET /connections HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&response), 200, "{response}");
    let evil = ["Host: localhost"];
    assert_eq!(ask(server.ops, "GET http://evil.example/connections", &evil, "").await.0, 403);
    let own = format!("Origin: http://{}", server.ops);
    let host = format!("Host: {}", server.ops);
    for (header, status) in [
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: none", 200),
        ("Origin: https://evil.example", 403),
        ("Origin: null", 403),
        (&own, 200),
    ] {
        assert_eq!(ask(server.ops, "GET /connections", &[&host, header], "").await.0, status, "{header}");
    }
}

#[actix::test]
async fn a_server_that_is_open_to_the_network_takes_any_host() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_HOST", "0.0.0.0"), ("OPS_INGEST_TOKEN", "s3cret")]);
    assert_eq!(ask(server.ops, "GET /metrics", &["Host: ops.example.org"], "").await.0, 200);
    // The scheme may be written in any case, and a proxy passes the token on.
    let body = position("a", 1, 1.0).to_string();
    let length = format!("Content-Length: {}", body.len());
    for (token, status) in
        [("bearer s3cret", 200), ("BEARER s3cret", 200), ("Basic s3cret", 401), ("Bearer s3cre", 401)]
    {
        let headers = ["Host: x", &length, "Via: 1.1 p", &format!("Authorization: {token}")];
        assert_eq!(ask(server.ops, "POST /positions", &headers, &body).await.0, status, "{token}");
    }
}

#[actix::test]
async fn what_http_clients_expect() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_TRUSTED_PROXIES", "127.0.0.1")]);
    let body = position("a", 1, 1.0).to_string();
    let length = format!("Content-Length: {}", body.len());
    for encoding in ["identity", "Identity", "IDENTITY"] {
        assert_eq!(server.post_with(&[("Content-Encoding", encoding)], body.clone()).await.0, 200);
    }
    for path in ["/metrics", "/healthz", "/readyz", "/connections"] {
        let (status, response) = ask(server.ops, &format!("HEAD {path}"), &["Host: localhost"], "").await;
        assert_eq!(status, 200, "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
    let expect = ["Host: localhost", "Expect: 100-continue", "Content-Length: 2000000"];
    let (status, response) = ask(server.ops, "POST /positions", &expect, "").await;
    assert_eq!(status, 413, "{response}");
    assert!(!response.contains("100 Continue") && response.contains("body-too-large"), "{response}");
    let expect = ["Host: localhost", "Expect: 100-continue", &length];
    let (_, response) = ask(server.ops, "POST /positions", &expect, &body).await;
    assert!(response.starts_with("HTTP/1.1 100 ") && response.contains("HTTP/1.1 200 "), "{response}");
    for query in ["limit=1&limit=2", "limit=x", "sort=%ZZ%", "sort=oldest&sort=oldest", "lmit=1"] {
        let (status, response) = server.get(&format!("/connections?{query}")).await;
        let response: serde_json::Value = serde_json::from_str(&response).unwrap();
        assert_eq!((status, &response["error"]), (400, &json!("invalid-query")), "{query}");
    }
    // An address that came without a port is shown without one.
    let mut stream = TcpStream::connect(server.live).await.unwrap();
    let handshake = crate::harness::HANDSHAKE.replacen("\r\n", "\r\nX-Forwarded-For: 198.51.100.7\r\n", 1);
    stream.write_all(handshake.as_bytes()).await.unwrap();
    eventually("the connection", async || {
        server.get("/connections").await.1.contains("\"remote\":\"198.51.100.7\"")
    })
    .await;
}

#[actix::test]
async fn refused_posts_are_counted_and_told_at_debug_but_not_in_a_flood() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_INGEST_TOKEN", "s3cret")]);
    for status in ["200", "400", "401", "403", "413", "415", "422", "503"] {
        let label = format!("status=\"{status}\"");
        assert_eq!(server.metric("processor_ingest_requests_total", &label).await, 0.0);
    }
    for reason in ["head_timeout", "body_timeout", "early_answer", "write_timeout", "room"] {
        assert_eq!(server.metric("processor_ops_closes_total", &format!("\"{reason}\"")).await, 0.0);
    }
    let token = [("Authorization", "Bearer s3cret")];
    assert_eq!(server.post_with(&token, json!([1]).to_string()).await.0, 422);
    let line = server.logged("post refused");
    for part in
        ["DEBUG", "remote=127.0.0.1:", "status=422", "reason=invalid-position", "index=0", "field=record"]
    {
        assert!(line.contains(part), "{line}");
    }
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(server.post_with(&[("Authorization", "Bearer wr0ng")], "x").await.0, 401);
    }
    server.logged("status=401 reason=unauthorized");
    let lines = server.log().iter().filter(|line| line.contains("post refused")).count();
    let most = 20 * (2 + began.elapsed().as_secs() as usize);
    assert!(lines <= most, "{lines} lines in {:?}", began.elapsed());
    assert!(server.log().iter().all(|line| !line.contains("s3cret") && !line.contains("wr0ng")));
    assert_eq!(server.metric("processor_ingest_requests_total", "401").await, 200.0);
}
