//! The web server of the map page: what it serves, in which form, with which headers; when it cannot, and how it stops.

mod files;
mod page;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{folder, project, soon};

/// A response.
struct Response {
    status: u16,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Response {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("the end of the head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    /// A header's value; empty if it is not there.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends these bytes, and returns what comes until the server closes.
async fn exchange(web: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(web).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    soon("the end", stream.read_to_end(&mut response)).await.unwrap();
    response
}

/// Sends a request on a connection of its own.
async fn ask(web: SocketAddr, line: &str, headers: &[&str]) -> Response {
    let host =
        if headers.iter().any(|header| header.starts_with("Host:")) { "" } else { "Host: map.example\r\n" };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    Response::read(
        &exchange(web, &format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n")).await,
    )
}

async fn get(web: SocketAddr, path: &str) -> Response {
    ask(web, &format!("GET {path}"), &[]).await
}

/// The files of the site, below `ui/dist/`, without what their compressed forms end with.
fn site() -> BTreeSet<String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found
                    .insert(path.with_extension("").strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&dist(), &dist(), &mut found);
    assert!(found.contains("index.html") && found.contains("client.js"), "{found:?}");
    found
}

fn dist() -> PathBuf {
    project().join("ui/dist")
}

/// A file of the site in one of its forms.
fn form(file: &str, coding: &str) -> Vec<u8> {
    fs::read(dist().join(format!("{file}.{coding}"))).unwrap()
}

fn decompressed(file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(form(file, "gz").as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A file of 200,000 bytes that begins as a PMTiles file does, in a folder of its own.
fn tiles() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = folder();
    let path = folder.path().join("map.pmtiles");
    let bytes: Vec<u8> =
        b"PMTiles\x03".iter().copied().chain((8..200_000_u32).map(|at| (at / 7) as u8)).collect();
    fs::write(&path, &bytes).unwrap();
    (folder, path, bytes)
}
