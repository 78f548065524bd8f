//! The opening handshake: who is let in, and what the others are told.

use processor::live::{ScaffoldHandler, SubscriptionHandler};

use crate::harness::header::{FIN, TEXT};
use crate::harness::{HANDSHAKE, Live, Raw};

async fn answer(live: &Live, request: &str) -> String {
    let mut client = Raw(tokio::net::TcpStream::connect(live.address()).await.unwrap());
    client.write(request.as_bytes()).await;
    client.head().await
}

#[actix::test]
async fn any_path_upgrades() {
    let live = Live::start(&[], |_| ScaffoldHandler);
    for path in ["/", "/live", "/a/b?c=d", "/%20"] {
        let head = answer(&live, &HANDSHAKE.replace("GET / ", &format!("GET {path} "))).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    }
}

#[actix::test]
async fn others_are_told_what_is_wrong() {
    let live = Live::start(&[("LIVE_WS_ALLOWED_ORIGINS", "https://a.example")], |_| ScaffoldHandler);
    let with = |from: &str, to: &str| {
        assert!(HANDSHAKE.contains(from));
        HANDSHAKE.replace(from, to)
    };
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404 ", ""),
        (with("Version: 13", "Version: 8"), "426 ", "sec-websocket-version: 13\r\n"),
        (with("Version: 13", "Version: 14"), "426 ", "sec-websocket-version: 13\r\n"),
        (with("dGhlIHNhbXBsZSBub25jZQ==", "abc"), "400 ", ""),
        (with("Upgrade: websocket", "Upgrade: xwebsocketx"), "400 ", ""),
        (with("Connection: Upgrade", "Connection: keep-alive"), "400 ", ""),
        (with("GET", "POST"), "405 ", "allow: get\r\n"),
        (with("Host: localhost", "Host: localhost\r\nOrigin: https://b.example"), "403 ", ""),
        (with("Host: localhost", "Host: localhost\r\nOrigin: https://a.example"), "101 ", ""),
        ("nonsense\r\n\r\n".to_owned(), "400 ", ""),
    ];
    for (request, status, header) in cases {
        let head = answer(&live, &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {head}");
        assert!(head.to_lowercase().contains(header), "{request}: {head}");
    }
    assert_eq!(live.metric("processor_live_refused_total", "origin"), 1.0);
    assert_eq!(live.metric("processor_live_refused_total", "not_websocket"), 1.0);
    assert_eq!(live.metric("processor_live_refused_total", "handshake"), 6.0);
}

#[actix::test]
async fn dropping_the_handle_stops_nothing() {
    let Live { running, .. } = Live::start(&[], |_| ScaffoldHandler);
    let address = running.address();
    drop(running);
    for _ in 0..10 {
        crate::harness::Client::connect(address).await.close().await;
    }
}

#[actix::test]
async fn subprotocols_and_other_extensions_are_offered_in_vain_and_the_client_can_go_on() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let offers = "Sec-WebSocket-Protocol: chat, v2.chat\r\nSec-WebSocket-Extensions: x-webkit-deflate-frame, \
                  permessage-bzip2; client_max_compress_level=9\r\nSec-WebSocket-Version";
    let mut client = Raw(tokio::net::TcpStream::connect(live.address()).await.unwrap());
    client.write(HANDSHAKE.replace("Sec-WebSocket-Version", offers).as_bytes()).await;
    let head = client.head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("sec-websocket-protocol") && !head.contains("sec-websocket-extensions"), "{head}");
    client.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    let (first, answer) = client.read().await.unwrap();
    assert_eq!((first, answer.starts_with(br#"{"type":"subscribed""#)), (FIN | TEXT, true));
}
