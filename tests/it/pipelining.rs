//! Requests that are sent without waiting for the responses, on the ops port and the port of the map page.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Answer, Answers, Server, eventually, folder, position};

/// One of each kind; the last one ends the connection.
fn requests(rounds: usize) -> String {
    let body = position("1", 1, 1.0).to_string();
    let chunked = format!(
        "POST /positions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let bare = "GET /healthz HTTP/1.1\nHost: localhost\n\n";
    [&get("/healthz", ""), &post(""), bare, &chunked].concat().repeat(rounds) + &get("/healthz", CLOSE)
}

#[actix::test]
async fn they_are_answered_one_after_the_other_however_they_come() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    for (rounds, size) in [(100, usize::MAX), (100, 1000), (5, 7), (1, 1)] {
        let requests = requests(rounds);
        let (mut reader, mut writer) = TcpStream::connect(server.ops).await.unwrap().into_split();
        let write = async {
            for piece in requests.as_bytes().chunks(size) {
                writer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let mut responses = String::new();
        let (read, ()) = tokio::join!(reader.read_to_string(&mut responses), write);
        read.unwrap();
        assert_eq!(statuses(&responses), vec!["200"; 4 * rounds + 1], "{size}");
        assert_eq!(responses.matches(r#""accepted":1"#).count(), 2 * rounds);
    }
}

#[actix::test]
async fn thousands_of_them_take_no_memory() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let memory = async || server.metric("process_resident_memory_bytes", "").await;
    let before = memory().await;
    for (address, path) in [(server.ops, "/healthz"), (server.web(), "/")] {
        let requests = get(path, "").repeat(3000) + &get(path, CLOSE);
        let read_all = join_all((0..10).map(|_| async { all(address, &requests).await.len() }));
        assert!(read_all.await.into_iter().all(|length| length > 3000 * 100));
    }
    let grown = memory().await - before;
    assert!(grown < 32e6, "{grown}");
}

/// Of responses that are in memory, and of one that is read from a file while it is written.
#[actix::test]
async fn while_a_response_is_stuck_nothing_is_done() {
    let (folder, files) = (folder(), folder());
    let file = files.path().join("map.pmtiles");
    std::fs::write(&file, [b"PMTiles\x03".as_slice(), &vec![0; 8 << 20]].concat()).unwrap();
    let server = Server::start(folder.path(), &[("WEB_PMTILES_FILE", file.to_str().unwrap())]);
    let ports = [(server.ops, "/metrics"), (server.web(), "/"), (server.web(), "/map.pmtiles")];
    let write = |(address, path): (SocketAddr, &'static str)| async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        // More does not go through, as nothing is read.
        drop(
            timeout(Duration::from_secs(1), client.write_all(get(path, "").repeat(80_000).as_bytes())).await,
        );
        client
    };
    let _clients = join_all(ports.map(write)).await;
    let used = async || server.metric("process_cpu_seconds_total", "").await;
    eventually("rest", async || {
        let before = used().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        used().await - before < 0.3
    })
    .await;
    for metric in ["processor_ops_closes_total", "processor_web_closes_total"] {
        assert_eq!(server.metric(metric, "\"write_timeout\"").await, 0.0, "they are still connected");
    }
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[actix::test]
async fn those_behind_a_post_that_has_to_wait_are_answered_too() {
    let folder = folder();
    let claims = json!({ "sub": "a", "devices": ["1"] }).to_string();
    let answers = Answers::start(move |_| Answer::Slow(200, String::new(), claims.clone())).await;
    let url = format!("http://{}/", answers.address);
    let server = Server::start(folder.path(), &[("AUTH", "http"), ("AUTH_HTTP_URL", &url)]);
    // More than the library would queue.
    let behind = get("/healthz", "").repeat(40) + &get("/healthz", CLOSE);
    let responses = all(server.ops, &(post("Authorization: Bearer x\r\n") + &behind)).await;
    assert_eq!(statuses(&responses), ["200"; 42]);
}

#[actix::test]
async fn empty_lines_before_a_request_cost_little() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let used = async || server.metric("process_cpu_seconds_total", "").await;
    let before = used().await;
    let mut client = TcpStream::connect(server.ops).await.unwrap();
    client.write_all("\n".repeat(100_000).as_bytes()).await.unwrap();
    // By then they are read.
    for _ in 0..10 {
        assert_eq!(server.get("/healthz").await.0, 200);
    }
    let used = used().await - before;
    assert!(used < 0.3, "{used}");
}

const CLOSE: &str = "Connection: close\r\n";

fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
}

fn post(header: &str) -> String {
    let body = position("1", 1, 1.0).to_string();
    let length = body.len();
    format!("POST /positions HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: {length}\r\n\r\n{body}")
}

fn statuses(responses: &str) -> Vec<&str> {
    responses.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect()
}

/// Everything that is answered until the connection ends.
async fn all(address: SocketAddr, requests: &str) -> String {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let mut responses = Vec::new();
    let (read, _) = tokio::join!(reader.read_to_end(&mut responses), writer.write_all(requests.as_bytes()));
    read.unwrap();
    String::from_utf8_lossy(&responses).into_owned()
}
