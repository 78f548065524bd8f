//! Compression (permessage-deflate, RFC 7692): real clients agree on it, and what a hostile one does with it.

use std::fs;
use std::process::Command;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use processor::live::{ScaffoldHandler, SubscriptionHandler};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::header::{BINARY, CONTINUATION, FIN, PING, RSV1, TEXT};
use crate::harness::{
    Live, Raw, Server, eventually, folder, frame, node_modules, position, project, until_closed, upgrade_with,
};

/// What a message leaves out of a flush (RFC 7692 section 7.2.1).
const FLUSHED: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The payload of a compressed message.
fn compress(plain: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(plain.len() + 1000);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(plain, &mut compressed, FlushCompress::Sync).unwrap();
    assert_eq!(compress.total_in(), plain.len() as u64);
    compressed.truncate(compressed.len() - FLUSHED.len());
    compressed
}

/// What such a payload holds, if that is less than 1 MiB.
fn decompress(payload: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(1 << 20);
    let whole = [payload, &FLUSHED].concat();
    Decompress::new(false).decompress_vec(&whole, &mut plain, FlushDecompress::Sync).unwrap();
    plain
}

/// A request that gets a response of 600 bytes, long enough to be compressed.
fn long_request() -> Value {
    json!({ "type": "subscribe", "topic": format!("planet:{}", "x".repeat(240)), "id": "\t".repeat(128) })
}

#[actix::test]
async fn requests_and_long_responses_are_compressed_for_who_asks() {
    let live = Live::start(&[], SubscriptionHandler::new);
    let request = long_request().to_string();
    let mut plain = Raw::connect(live.address()).await;
    plain.frame(FIN | TEXT, request.as_bytes()).await;
    let (first, expected) = plain.read().await.unwrap();
    assert_eq!(first, FIN | TEXT);

    let mut client = Raw::deflating(live.address()).await;
    // Each message is compressed or not, as its sender likes; and no window is kept from one to the next.
    for _ in 0..2 {
        client.frame(FIN | RSV1 | TEXT, &compress(request.as_bytes())).await;
        let (first, response) = client.read().await.unwrap();
        assert_eq!(first, FIN | RSV1 | TEXT);
        assert!(response.len() * 2 < expected.len(), "{}", response.len());
        assert_eq!(decompress(&response), expected);
    }
    client.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:1"}"#).await;
    let (first, response) = client.read().await.unwrap();
    assert_eq!((first, &response[..20]), (FIN | TEXT, &br#"{"type":"subscribed""#[..]));
    let middle = compress(request.as_bytes());
    let (start, end) = middle.split_at(50);
    client.frame(RSV1 | BINARY, start).await;
    client.frame(FIN | CONTINUATION, end).await;
    assert_eq!(decompress(&client.read().await.unwrap().1), expected);

    let bytes = |label: &str| {
        let page = live.metrics.page().unwrap();
        let line = page.lines().find(|line| {
            line.starts_with("processor_live_deflate_bytes_total{")
                && label.split(' ').all(|part| line.contains(part))
        });
        line.unwrap().rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
    };
    // What came is counted when the next message is looked for, which may be after the response.
    let all_in = async || bytes(r#"direction="in" form="compressed""#) == 3 * middle.len();
    eventually("three requests to be counted", all_in).await;
    assert_eq!(bytes(r#"direction="in" form="plain""#), 3 * request.len());
    assert_eq!(bytes(r#"direction="out" form="plain""#), 3 * expected.len());
    assert!(bytes(r#"direction="out" form="compressed""#) < 3 * expected.len() / 2);
    assert_eq!(live.metric("processor_live_deflate_negotiated_total", ""), 1.0);
}

#[actix::test]
async fn a_setting_switches_it_off() {
    let live = Live::start(&[("LIVE_WS_DEFLATE", "false")], SubscriptionHandler::new);
    let offer = upgrade_with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits");
    let mut client = Raw(tokio::net::TcpStream::connect(live.address()).await.unwrap());
    let head = client.shake_hands(&offer).await.to_lowercase();
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    client.frame(FIN | RSV1 | TEXT, &compress(b"{}")).await;
    assert_eq!(client.close_code().await, 1002);
    assert_eq!(live.metric("processor_live_deflate_negotiated_total", ""), 0.0);
}

#[actix::test]
async fn an_offer_that_cannot_be_read_is_refused() {
    let live = Live::start(&[], |_| ScaffoldHandler);
    let offer = upgrade_with("Sec-WebSocket-Extensions: permessage-deflate; =");
    let (response, _) = until_closed(live.address(), offer.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.ends_with("Sec-WebSocket-Extensions is malformed\n"), "{response}");
}

/// Sends `bytes` as a client that may compress, and expects a close with `code`, then the end.
async fn closes(live: &Live, bytes: &[u8], code: u16) {
    Raw::deflating(live.address()).await.closes(bytes, code).await;
}

#[actix::test]
async fn what_is_wrong_closes_with_the_fitting_code() {
    let live = Live::start(&[("LIVE_WS_MAX_MESSAGE_BYTES", "1000")], |_| ScaffoldHandler);
    let compressed = |plain: &[u8]| frame(FIN | RSV1 | TEXT, &compress(plain));
    closes(&live, &compressed(&[b'x'; 1001]), 1009).await;
    closes(&live, &frame(FIN | RSV1 | BINARY, &[0; 1001 + 1000 / 64 + 64]), 1009).await;
    closes(&live, &compressed(b"\xFF"), 1007).await;
    closes(&live, &frame(FIN | RSV1 | TEXT, b"not compressed"), 1007).await;
    closes(&live, &frame(FIN | RSV1 | TEXT, &compress(b"cut off")[..4]), 1007).await;
    closes(&live, &frame(FIN | RSV1 | PING, b"x"), 1002).await;
    let continued = [frame(RSV1 | TEXT, b"\0"), frame(FIN | RSV1 | CONTINUATION, b"")].concat();
    closes(&live, &continued, 1002).await;
    closes(&live, &frame(FIN | 0x20 | TEXT, b"x"), 1002).await;
    let mut plain = Raw::connect(live.address()).await;
    plain.write(&compressed(b"{}")).await;
    assert_eq!(plain.close_code().await, 1002);
    live.gauge_is(0).await;
    for (label, count) in
        [("too_big", 2.0), ("invalid_data", 1.0), ("corrupt_data", 2.0), ("protocol_error", 4.0)]
    {
        assert_eq!(live.metric("processor_live_closes_total", label), count, "{label}");
    }
    let mut client = Raw::deflating(live.address()).await;
    client.write(&compressed(&[b'x'; 1000])).await;
    assert!(client.read().await.unwrap().1.starts_with(br#"{"type":"error","code":"protocol-violation""#));
}

/// The most memory that a process ever had, in bytes.
fn peak(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[actix::test]
async fn a_bomb_costs_no_more_memory_than_a_message_may_have() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    // 60 MB that come as 60 KB, in one frame and in many.
    let bomb = compress(&vec![0; 60_000_000]);
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    let whole = frame(FIN | RSV1 | BINARY, &bomb);
    let mut fragments = frame(RSV1 | BINARY, &bomb[..100]);
    fragments.extend(bomb[100..].chunks(100).flat_map(|piece| frame(CONTINUATION, piece)));
    fragments.extend(frame(FIN | CONTINUATION, b""));
    let explode = async |count: usize| {
        for bytes in [&whole, &fragments].into_iter().cycle().take(count) {
            let mut client = Raw::deflating(server.live).await;
            client.write(bytes).await;
            assert_eq!(client.close_code().await, 1009);
        }
    };
    let before = peak(&server);
    explode(30).await;
    let grown = peak(&server) - before;
    assert!(grown < 8 << 20, "{grown} bytes more");
    // Of who began one and waits, what came is kept and no more.
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut client = Raw::deflating(server.live).await;
        client.write(&whole[..20_000]).await;
        waiting.push(client);
    }
    eventually("all of them", async || server.connections().await == 100.0).await;
    let grown = peak(&server) - before;
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[actix::test]
async fn the_ws_of_node_agrees_on_it_in_each_way_it_can() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let request = long_request().to_string();
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (options, extensions) in [
        (json!({}), agreed.to_owned()),
        (json!({ "serverNoContextTakeover": true, "clientNoContextTakeover": true }), agreed.to_owned()),
        (json!({ "clientMaxWindowBits": 10 }), agreed.to_owned()),
        (json!({ "serverMaxWindowBits": 9 }), format!("{agreed}; server_max_window_bits=9")),
    ] {
        node_modules("tests/clients");
        let output = Command::new("node")
            .arg(project().join("tests/clients/deflate.js"))
            .arg(format!("ws://{}/", server.live))
            .args([&options.to_string(), &request, &request])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options}: {errors}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!((lines[0], lines.len()), (&*extensions, 3), "{options}");
        for line in &lines[1..] {
            let response: Value = serde_json::from_str(line).unwrap();
            assert_eq!(response["code"], "not-implemented", "{options}");
            assert_eq!(response["topic"], long_request()["topic"], "{options}");
        }
    }
    assert_eq!(server.metric("processor_live_deflate_negotiated_total", "").await, 4.0);
    let sent = server.metric("processor_live_deflate_bytes_total", "out").await;
    assert!(sent > 8.0 * 500.0, "{sent}");
}

#[actix::test]
async fn a_browser_agrees_on_it() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.accept(&position("42", 1, 52.5)).await;
    let mut browser = Browser::open("about:blank").await;
    let script = format!(
        "window.messages = []; window.socket = new WebSocket('ws://{}/'); \
         socket.onmessage = ({{ data }}) => messages.push(JSON.parse(data)); \
         socket.onopen = () => {{ socket.send({}); socket.send({}) }}; 1",
        server.live,
        // As literals.
        Value::String(long_request().to_string()),
        Value::String(json!({ "type": "subscribe", "topic": "device:42" }).to_string()),
    );
    assert_eq!(browser.evaluate(&script).await, 1);
    eventually("two responses", async || browser.evaluate("messages.length").await == 2).await;
    let extensions = browser.evaluate("socket.extensions").await;
    assert!(extensions.as_str().unwrap().starts_with("permessage-deflate"), "{extensions}");
    assert_eq!(browser.evaluate("messages[0].topic").await, long_request()["topic"]);
    assert_eq!(browser.evaluate("messages[1].snapshot[0].latitude").await, 52.5);
    assert!(server.metric("processor_live_deflate_bytes_total", "in").await > 0.0);
    assert!(server.metric("processor_live_deflate_bytes_total", "out").await > 0.0);
}

/// Reads a message that may come in fragments. Returns what came, and the text.
async fn message(client: &mut Raw) -> (Vec<u8>, Value) {
    let (first, mut payload) = client.read().await.unwrap();
    let mut last = first;
    while last & FIN == 0 {
        let (next, more) = client.read().await.unwrap();
        assert_eq!(next & !FIN, CONTINUATION, "only the first fragment says that it is compressed");
        payload.extend(more);
        last = next;
    }
    let text = if first & RSV1 == 0 { payload.clone() } else { decompress(&payload) };
    (payload, serde_json::from_slice(&text).unwrap())
}

#[actix::test]
async fn snapshots_and_batches_are_compressed_once_for_all_and_small() {
    const DEVICES: u64 = 1000;
    let folder = folder();
    let server = Server::start(folder.path(), &[("LIVE_WS_WORKERS", "1")]);
    let report = |round: u64| {
        let one = |device: u64| {
            // As buses in a town report: digits that say nothing.
            let noise = (device * 2_654_435_761 + round * 40_503) % 100_000;
            let mut report =
                position(&format!("bus-{device}"), 1000 * round + noise % 1000, 52.5 + noise as f64 / 1e6);
            report["longitude"] = json!(13.4 + (noise * 7919 % 100_000) as f64 / 1e6);
            report["speed"] = json!((noise % 300) as f64 / 10.0);
            report["heading"] = json!(noise % 360);
            report["topics"] = json!(["event:e"]);
            report
        };
        (0..DEVICES).map(one).collect::<Value>()
    };
    server.accept(&report(1)).await;
    let request = json!({ "type": "subscribe", "topic": "event:e", "batch": true }).to_string();
    let mut payloads = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::deflating(server.live).await;
        client.frame(FIN | TEXT, request.as_bytes()).await;
        let (payload, subscribed) = message(&mut client).await;
        assert_eq!(subscribed["snapshot"].as_array().unwrap().len() as u64, DEVICES);
        assert!(payload.len() as u64 <= 40 * DEVICES, "{} bytes of snapshot", payload.len());
        payloads.push(payload);
        clients.push(client);
    }
    assert_eq!(payloads[0], payloads[1]);
    server.accept(&report(2)).await;
    let (mut bytes, mut texts) = (0, 0);
    let mut known = std::collections::BTreeSet::new();
    while (known.len() as u64) < DEVICES {
        let (payload, batch) = message(&mut clients[0]).await;
        assert_eq!(message(&mut clients[1]).await, (payload.clone(), batch.clone()));
        assert_eq!(batch["type"], "positions");
        bytes += payload.len() as u64;
        texts += batch.to_string().len() as u64;
        let devices = batch["positions"].as_array().unwrap().iter();
        known.extend(devices.map(|one| one["device_id"].as_str().unwrap().to_owned()));
    }
    assert!(bytes <= 40 * DEVICES, "{bytes} bytes for {DEVICES} positions");
    // Counted once, however many share it: the text of the snapshot and of the batches, and what became of it.
    let counted = server.metric("processor_live_deflate_bytes_total", "out").await;
    assert!(counted < 2.8 * texts as f64, "{counted} bytes counted, {texts} of batches");
    // A position alone is too short to be compressed.
    let mut alone = Raw::deflating(server.live).await;
    alone.frame(FIN | TEXT, br#"{"type":"subscribe","topic":"device:bus-1"}"#).await;
    assert_eq!(alone.read().await.unwrap().0, FIN | TEXT);
    server.accept(&report(3)).await;
    assert_eq!(alone.read().await.unwrap().0, FIN | TEXT);
}
