//! Requests that are sent without waiting for the responses, on the ops port and the port of the map page.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Server, eventually, folder, position};

/// One of each kind; the last one ends the connection.
fn requests(rounds: usize) -> String {
    let body = position("1", 1, 1.0).to_string();
    let post = format!(
        "POST /positions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunked = format!(
        "POST /positions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let bare = "GET /healthz HTTP/1.1\nHost: localhost\n\n";
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    [get, &post, bare, &chunked].concat().repeat(rounds) + last
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
        let statuses: Vec<_> =
            responses.matches("HTTP/1.1 ").zip(responses.split("HTTP/1.1 ").skip(1)).collect();
        assert_eq!(statuses.len(), 4 * rounds + 1, "{size}");
        assert!(statuses.iter().all(|(_, rest)| rest.starts_with("200 ")), "{responses}");
        assert_eq!(responses.matches(r#""accepted":1"#).count(), 2 * rounds);
    }
}

#[actix::test]
async fn very_many_of_them_cost_little_and_no_one_else() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("WEB_PORT", "0"), ("WEB_ENABLED", "true")]);
    let memory = server.metric("process_resident_memory_bytes", "").await;
    let mut clients = Vec::new();
    for (address, path) in [(server.ops, "/metrics"), (server.web(), "/")] {
        let requests = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(80_000);
        for _ in 0..10 {
            let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
            let requests = requests.clone();
            // It reads so little that responses are stuck all the time, and so much that it is not closed for that.
            clients.push(actix::spawn(async move {
                let read = async {
                    while reader.read(&mut [0; 65536]).await.is_ok_and(|count| count > 0) {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                };
                tokio::join!(read, writer.write_all(requests.as_bytes()))
            }));
        }
    }
    // A stuck response costs nothing: the server rests.
    let used = async || server.metric("process_cpu_seconds_total", "").await;
    eventually("rest", async || {
        let before = used().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        used().await - before < 0.5
    })
    .await;
    let grown = server.metric("process_resident_memory_bytes", "").await - memory;
    assert!(grown < 32e6, "{grown}");
    assert!(clients.iter().all(|client| !client.is_finished()), "they are still connected");
    assert_eq!(server.get("/healthz").await.0, 200);
}
