//! Frames that are cut up, too long, or wrong (RFC 6455).

use processor::live::{ScaffoldHandler, SubscriptionHandler};

use crate::harness::{Live, Raw, frame};

const SUBSCRIBE: &[u8] = br#"{"type":"subscribe","topic":"device:1"}"#;

#[actix::test]
async fn fragments_are_put_together_also_with_a_ping_between() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw::connect(live.address()).await;
    let (first, rest) = SUBSCRIBE.split_at(10);
    let (middle, last) = rest.split_at(1);
    client.frame(0x01, first).await;
    client.frame(0x00, middle).await;
    client.frame(0x89, b"p").await;
    assert_eq!(client.read().await.unwrap(), (0x8A, b"p".to_vec()));
    client.frame(0x80, last).await;
    let (first, answer) = client.read().await.unwrap();
    assert_eq!(first, 0x81);
    assert!(answer.starts_with(br#"{"type":"subscribed","#));
}

#[actix::test]
async fn frames_that_come_with_the_handshake_or_byte_by_byte_are_read() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut bytes = crate::harness::HANDSHAKE.as_bytes().to_vec();
    bytes.extend(frame(0x81, SUBSCRIBE));
    let mut client = Raw(tokio::net::TcpStream::connect(live.address()).await.unwrap());
    client.write(&bytes).await;
    client.head().await;
    assert_eq!(client.read().await.unwrap().0, 0x81);
    for byte in frame(0x81, SUBSCRIBE) {
        client.write(&[byte]).await;
    }
    assert_eq!(client.read().await.unwrap().0, 0x81);
}

/// Sends `bytes` and expects a close with `code`, then the end.
async fn closes(live: &Live, bytes: &[u8], code: u16) {
    let mut client = Raw::connect(live.address()).await;
    client.write(bytes).await;
    assert_eq!(client.close_code().await, code);
    client.ended().await;
}

#[actix::test]
async fn what_is_wrong_closes_with_the_fitting_code() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    // One tebibyte announced, nothing sent of it.
    closes(&live, &[0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009).await;
    closes(&live, &frame(0x81, &[b'x'; 1001]), 1009).await;
    let fragments = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 600])].concat();
    closes(&live, &fragments, 1009).await;
    closes(&live, &frame(0x81, b"\xFF"), 1007).await;
    let cut = [frame(0x01, b"a\xC3"), frame(0x80, b"b")].concat();
    closes(&live, &cut, 1007).await;
    closes(&live, &[0x81, 1, b'x'], 1002).await;
    closes(&live, &frame(0xC1, b"x"), 1002).await;
    closes(&live, &frame(0x83, b"x"), 1002).await;
    closes(&live, &frame(0x80, b"x"), 1002).await;
    closes(&live, &frame(0x09, b"x"), 1002).await;
    closes(&live, &[frame(0x01, b"x"), frame(0x01, b"y")].concat(), 1002).await;
    live.gauge_is(0).await;
    assert_eq!(live.metric("processor_live_closes_total", ""), 11.0);
    for (label, count) in [("too_big", 3.0), ("invalid_data", 2.0), ("protocol_error", 6.0)] {
        assert_eq!(live.metric("processor_live_closes_total", label), count, "{label}");
    }
}

#[actix::test]
async fn the_limit_itself_is_allowed() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    let mut client = Raw::connect(live.address()).await;
    client.frame(0x81, &[b'x'; 1000]).await;
    assert!(client.read().await.unwrap().1.starts_with(br#"{"type":"error","code":"protocol-violation""#));
}

#[actix::test]
async fn one_who_is_still_sending_can_read_why_it_was_closed() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    let client = Raw::connect(live.address()).await;
    let (read, mut write) = client.0.into_split();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let sender = actix::spawn(async move {
        write.write_all(&frame(0x82, &[0; 200_000])).await.ok();
        write
    });
    let mut answer = Vec::new();
    let mut read = read;
    // The close frame arrives whole, and no reset overtakes it.
    crate::harness::soon("the close frame", read.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer[..4], [0x88, answer.len() as u8 - 2, 0x03, 0xF1]);
    drop(sender.await);
}
