//! The web server as an operator meets it: faults at the start, clients that do not end what they begin, the stop.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Response, ask, exchange, get, tiles};
use crate::harness::{PATIENCE, Server, command, eventually, folder, narrow, soon};

/// What the program says, and its exit code.
fn run(settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let folder = folder();
    let output = command(folder.path(), settings).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_be_served_is_said_at_the_start_and_by_check() {
    for arguments in [&[][..], &["check"]] {
        for (settings, expected) in [
            (
                [("WEB_LOST_AFTER_MS", "60000"), ("WEB_UNITS", "metric")],
                "setting WEB_LOST_AFTER_MS: \"60000\" is not allowed: more than WEB_STALE_AFTER_MS, which is 60000",
            ),
            (
                [("WEB_PMTILES_FILE", "/nonexistent.pmtiles"), ("WEB_UNITS", "metric")],
                "setting WEB_PMTILES_FILE: \"/nonexistent.pmtiles\" cannot be used: No such file",
            ),
            (
                [("WEB_PMTILES_FILE", "/"), ("WEB_UNITS", "metric")],
                "setting WEB_PMTILES_FILE: \"/\" cannot be used: it is not a regular file",
            ),
        ] {
            let (code, errors) = run(&settings, arguments);
            assert_eq!(code, Some(1), "{errors}");
            assert!(errors.contains(expected), "{errors}");
        }
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, errors) = run(&[("WEB_PORT", &port)], &[]);
    let last = errors.lines().last().unwrap();
    assert!(
        code == Some(1) && last.contains("setting WEB_HOST, WEB_PORT: cannot listen on 127.0.0.1:"),
        "{errors}"
    );
    assert!(last.contains(&port) && last.contains("in use"), "{errors}");
}

#[actix::test]
async fn a_page_that_the_live_server_refuses_is_warned_of() {
    let (port, origin) = (("WEB_PORT", "8080"), ("LIVE_WS_ALLOWED_ORIGINS", "https://www.example.org"));
    let (code, errors) = run(&[port, origin], &["check"]);
    assert_eq!((code, errors.lines().count()), (Some(0), 1), "{errors}");
    assert!(errors.contains("WARN") && errors.contains("http://localhost:8080: the page will not be let in"));
    assert_eq!(run(&[port, origin, ("WEB_LIVE_URL", "wss://a.example/")], &["check"]).1, "");
}

#[actix::test]
async fn it_can_be_switched_off() {
    let folder = folder();
    let file = ("WEB_PMTILES_FILE", "/nonexistent.pmtiles");
    let server = Server::start(folder.path(), &[("WEB_ENABLED", "false"), file]);
    assert!(server.log().iter().all(|line| !line.contains("map on")), "{:?}", server.log());
    assert_eq!(server.metric("processor_web_connections", "").await, 0.0);
    server.stop();
}

#[actix::test]
async fn whoever_reaches_it_is_said() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("WEB_HOST", "0.0.0.0")]);
    assert!(server.logged("map on http://0.0.0.0:").ends_with("/ for everyone who reaches this address"));
    assert_eq!(get(server.web(), "/").await.status, 200);
    server.stop();
}

#[actix::test]
async fn a_client_that_reads_slowly_or_not_at_all_does_not_hold_up_the_exit() {
    let (_folder, path, _) = tiles();
    // More than all buffers on the way.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(64 << 20).unwrap();
    let folder = folder();
    let mut server = Server::start(folder.path(), &[("WEB_PMTILES_FILE", path.to_str().unwrap())]);
    let web = server.web();
    let mut held = Vec::new();
    for request in ["GET /map.pmtiles HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX-", ""] {
        let mut stream = narrow(web, 4096).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let mut begin = [0; 12];
    soon("the response", held[0].read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    eventually("all connections", async || server.metric("processor_web_connections", "").await == 3.0).await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended(PATIENCE).code(), Some(0));
    // Sooner than any time that a client has for a head, for reading, or behind its end. (The rest is for the machine.)
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[actix::test]
async fn requests_that_are_not_ended_are_closed_and_the_idle_make_room() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("WEB_MAX_CONNECTIONS", "8")]);
    let web = server.web();
    let mut idle = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(web).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        soon("the response", stream.read_exact(&mut begin)).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        idle.push(stream);
    }
    assert!(server.metric("processor_web_closes_total", "\"room\"").await >= 4.0);
    assert_eq!(get(web, "/").await.status, 200);
    drop(idle);
    let response = exchange(web, "GET / HTTP/1.1\r\nHost: a").await;
    assert_eq!(Response::read(&response).status, 408);
    // A body is not waited for.
    let posted = ask(web, "POST /", &["Content-Length: 1000000"]).await;
    assert_eq!((posted.status, posted.header("connection")), (405, "close"));
}
