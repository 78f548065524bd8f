//! The log: what strangers can write into it, and a reader who is stuck.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::header::{FIN, TEXT};
use crate::harness::{
    Client, PATIENCE, Raw, Server, command, eventually, folder, get, position, post, soon, sum,
};

/// The beginning of a TLS 1.2 hello.
const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[actix::test]
async fn those_who_speak_something_else_do_not_fill_the_log() {
    let folder = folder();
    let mut command = command(folder.path(), &[]);
    command.env_remove("RUST_LOG");
    let mut server = Server::spawn(command);
    let before = server.log().len();
    for round in 0..600 {
        let address = if round % 3 == 0 { server.ops } else { server.live };
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(TLS_HELLO).await.unwrap();
    }
    eventually("all refused on the live port", async || {
        server.metric("processor_live_refused_total", "").await >= 400.0
    })
    .await;
    server.signal(Signal::SIGTERM);
    server.ended(PATIENCE);
    let written = server.log().len() - before;
    assert!(written < 30, "{written} lines:\n{}", server.log().join("\n"));
}

#[actix::test]
async fn a_reader_who_is_stuck_holds_up_nothing_and_what_it_misses_is_counted() {
    let folder = folder();
    let settings = [
        ("RUST_LOG", "trace"),
        ("LIVE_WS_MAX_MESSAGES_PER_SECOND", "1000000"),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "1000"),
    ];
    let mut command = command(folder.path(), &settings);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut address = |part: &str| -> SocketAddr {
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
            if line.contains(part) {
                let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
                return SocketAddr::from(([127, 0, 0, 1], port));
            }
        }
    };
    let ops = address("ops server ready on ");
    let live = address("live server ready on ");
    // From here on nobody reads: 64 KiB in the pipe, then 1 MiB in the queue.
    let mut client = Client::connect(live).await;
    client.subscribe("device:1").await;
    let mut noisy = Raw::connect(live).await;
    let bad = crate::harness::frame(FIN | TEXT, b"x").repeat(1000);
    let dropped = async || sum(&get(ops, "/metrics").await.1, "processor_log_dropped_total", "");
    let began = Instant::now();
    while dropped().await == 0.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it takes all");
        noisy.write(&bad).await;
        for _ in 0..1000 {
            noisy.read().await.unwrap();
        }
    }
    for millis in 1..=20 {
        assert_eq!(post(ops, &[], position("1", millis, 1.0).to_string()).await.0, 200);
        assert_eq!(client.json().await["timestamp"], json!(crate::harness::time(millis)));
        Raw::connect(live).await;
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(client.closed().await.0, 1001);
    let status = soon("its end", tokio::task::spawn_blocking(move || child.wait())).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    drop(log);
}

#[actix::test]
async fn at_the_end_every_line_is_written() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    for _ in 0..200 {
        drop(Raw::connect(server.live).await);
    }
    eventually("their ends", async || server.metric("processor_live_closes_total", "").await == 200.0).await;
    server.signal(Signal::SIGTERM);
    server.ended(PATIENCE);
    let lines = server.log();
    for part in ["connection opened", "connection closed"] {
        assert_eq!(lines.iter().filter(|line| line.contains(part)).count(), 200, "{part}");
    }
    assert!(lines.iter().any(|line| line.contains("live server stopped")), "{:?}", lines.last());
}
