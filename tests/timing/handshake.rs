//! What comes before the upgrade has an end in time: handshakes, bodies, refusals.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use processor::live::ScaffoldHandler;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{HANDSHAKE, Live, Raw, post_chunked, soon, until_closed, upgrade_with};
use crate::{alone, quiet};

const SHORT: (&str, &str) = ("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "1000");

/// Nothing before the upgrade lasts longer than the handshake timeout of [`SHORT`] and a second to read the refusal.
/// (The rest is for the machine.)
const BOUND: Duration = Duration::from_secs(6);

#[actix::test]
async fn a_handshake_has_a_deadline() {
    let _turn = quiet().await;
    let live = Live::start(&[("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "500")], |_| ScaffoldHandler);
    let began = Instant::now();
    let mut silent = TcpStream::connect(live.address()).await.unwrap();
    let mut slow = Raw(TcpStream::connect(live.address()).await.unwrap());
    let trickle = async {
        for byte in HANDSHAKE.bytes() {
            if slow.0.write_all(&[byte]).await.is_err() {
                break;
            }
            // A client that never rests for long, and yet takes seconds.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = async {
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.ok();
        String::from_utf8(rest).unwrap()
    };
    let rest = soon("the deadline", async {
        tokio::select! { rest = ended => rest, () = trickle => panic!("no deadline") }
    })
    .await;
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "{took:?}");
    let mut read = String::new();
    soon("the slow one's end", slow.0.read_to_string(&mut read)).await.ok();
    assert!(!read.starts_with("HTTP/1.1 101"), "{read}");
    assert_eq!(live.metrics.live.connections.get(), 0);
}

#[actix::test]
async fn bodies_are_not_waited_for() {
    let _turn = quiet().await;
    let live = Live::start(&[SHORT], |_| ScaffoldHandler);
    let plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = [
        (post_chunked(), "404 "),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello".to_owned(), "404 "),
        (format!("{}5\r\nhello\r\n", upgrade_with("Transfer-Encoding: chunked")), "400 "),
        (upgrade_with("Transfer-Encoding: chunked"), "400 "),
        (upgrade_with("Content-Length: 5"), "400 "),
        (HANDSHAKE.replace("GET", "POST"), "405 "),
        (format!("{plain}{}", post_chunked()), "404 "),
        (format!("{plain}5\r\nhello\r\n"), "404 "),
        (format!("{plain}{HANDSHAKE}"), "404 "),
    ];
    join_all(requests.iter().map(async |(request, status)| {
        let (answer, took) = until_closed(live.address(), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request}: {answer}");
        assert!(took < BOUND, "{request}: {took:?}");
    }))
    .await;
    assert_eq!(live.metrics.live.connections.get(), 0);
}

#[actix::test]
async fn an_endless_body_is_cut_off() {
    let _turn = alone().await;
    let live = Live::start(&[SHORT], |_| ScaffoldHandler);
    for request in [post_chunked(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "nonsense".to_owned()] {
        let mut stream = TcpStream::connect(live.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
        let mut sent = 0;
        let began = Instant::now();
        while stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
            // Both sockets' buffers may hold some megabytes that nobody reads.
            assert!(sent < 64 << 20 && began.elapsed() < BOUND, "{sent} bytes were taken");
        }
    }
}

#[actix::test]
async fn who_takes_too_long_is_told_and_who_breaks_off_is_not_counted_in() {
    let _turn = quiet().await;
    let live = Live::start(&[SHORT], |_| ScaffoldHandler);
    let (answer, took) = until_closed(live.address(), b"GET / HTTP/1.1\r\nHost: x\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(took >= Duration::from_millis(900) && took < BOUND, "{took:?}");
    let (answer, took) = until_closed(live.address(), b"").await;
    assert_eq!(answer, "");
    assert!(took < BOUND, "{took:?}");
    assert_eq!(live.metric("processor_live_refused_total", "timeout"), 2.0);
    // One that ends in the middle of its head.
    let mut stream = TcpStream::connect(live.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon("the end", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
