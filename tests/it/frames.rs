//! Frames that are cut up, too long, or wrong (RFC 6455).

use processor::live::{ScaffoldHandler, SubscriptionHandler};

use crate::harness::header::{BINARY, CLOSE, CONTINUATION, FIN, MASKED, PING, PONG, RESERVED, RSV1, TEXT};
use crate::harness::{Live, Raw, frame};

const SUBSCRIBE: &[u8] = br#"{"type":"subscribe","topic":"device:1"}"#;

#[actix::test]
async fn fragments_are_put_together_also_with_a_ping_between() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw::connect(live.address()).await;
    let (first, rest) = SUBSCRIBE.split_at(10);
    let (middle, last) = rest.split_at(1);
    client.frame(TEXT, first).await;
    client.frame(CONTINUATION, middle).await;
    client.frame(FIN | PING, b"p").await;
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"p".to_vec()));
    client.frame(FIN | CONTINUATION, last).await;
    let (first, answer) = client.read().await.unwrap();
    assert_eq!(first, FIN | TEXT);
    assert!(answer.starts_with(br#"{"type":"subscribed","#));
}

#[actix::test]
async fn frames_that_come_with_the_handshake_or_byte_by_byte_are_read() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut bytes = crate::harness::HANDSHAKE.as_bytes().to_vec();
    bytes.extend(frame(FIN | TEXT, SUBSCRIBE));
    let mut client = Raw(tokio::net::TcpStream::connect(live.address()).await.unwrap());
    client.write(&bytes).await;
    client.head().await;
    assert_eq!(client.read().await.unwrap().0, FIN | TEXT);
    for byte in frame(FIN | TEXT, SUBSCRIBE) {
        client.write(&[byte]).await;
    }
    assert_eq!(client.read().await.unwrap().0, FIN | TEXT);
}

/// Sends `bytes` and expects a close with `code`, then the end.
async fn closes(live: &Live, bytes: &[u8], code: u16) {
    Raw::connect(live.address()).await.closes(bytes, code).await;
}

#[actix::test]
async fn what_is_wrong_closes_with_the_fitting_code() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    // One tebibyte announced in the longest form of the length, nothing sent of it but the mask.
    let announced = [&[FIN | BINARY, MASKED | 127][..], &(1u64 << 40).to_be_bytes(), &[0; 4]].concat();
    closes(&live, &announced, 1009).await;
    closes(&live, &frame(FIN | TEXT, &[b'x'; 1001]), 1009).await;
    let fragments = [frame(TEXT, &[b'x'; 600]), frame(FIN | CONTINUATION, &[b'x'; 600])].concat();
    closes(&live, &fragments, 1009).await;
    closes(&live, &frame(FIN | TEXT, b"\xFF"), 1007).await;
    let cut = [frame(TEXT, b"a\xC3"), frame(FIN | CONTINUATION, b"b")].concat();
    closes(&live, &cut, 1007).await;
    closes(&live, &[FIN | TEXT, 1, b'x'], 1002).await;
    closes(&live, &frame(FIN | RSV1 | TEXT, b"x"), 1002).await;
    closes(&live, &frame(FIN | RESERVED, b"x"), 1002).await;
    closes(&live, &frame(FIN | CONTINUATION, b"x"), 1002).await;
    closes(&live, &frame(PING, b"x"), 1002).await;
    closes(&live, &[frame(TEXT, b"x"), frame(TEXT, b"y")].concat(), 1002).await;
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
    client.frame(FIN | TEXT, &[b'x'; 1000]).await;
    assert!(client.read().await.unwrap().1.starts_with(br#"{"type":"error","code":"protocol-violation""#));
}

#[actix::test]
async fn one_who_is_still_sending_can_read_why_it_was_closed() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    let client = Raw::connect(live.address()).await;
    let (read, mut write) = client.0.into_split();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let sender = actix::spawn(async move {
        write.write_all(&frame(FIN | BINARY, &[0; 200_000])).await.ok();
        write
    });
    let mut answer = Vec::new();
    let mut read = read;
    // The close frame arrives whole, and no reset overtakes it.
    crate::harness::soon("the close frame", read.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer[..4], [&[FIN | CLOSE, answer.len() as u8 - 2], &1009u16.to_be_bytes()[..]].concat());
    drop(sender.await);
}

#[actix::test]
async fn a_ping_is_answered_with_its_payload() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let mut client = Raw::connect(live.address()).await;
    client.frame(FIN | PING, b"marco").await;
    assert_eq!(client.read().await.unwrap(), (FIN | PONG, b"marco".to_vec()));
}
