//! The web server of the map page: what it serves, in which form, with which headers; when it cannot, and how it stops.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, Server, command, eventually, folder, narrow, project, soon};

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

#[actix::test]
async fn every_file_is_served_in_each_form_with_its_own_tag() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let web = server.web();
    let mut tags = BTreeSet::new();
    for file in site() {
        let path = format!("GET /{file}");
        let forms = [("br", form(&file, "br")), ("gzip", form(&file, "gz")), ("", decompressed(&file))];
        for (coding, expected) in forms {
            let response = ask(web, &path, &[&format!("Accept-Encoding: {coding}")]).await;
            assert_eq!((response.status, response.header("content-encoding")), (200, coding), "{file}");
            assert!(response.body == expected, "{file} as {coding:?}");
            assert_eq!(response.header("content-length"), expected.len().to_string());
            assert_eq!(response.header("vary"), "accept-encoding");
            let tag = response.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"') && tags.insert(tag.clone()), "{file}: {tag}");
            let again =
                ask(web, &path, &[&format!("Accept-Encoding: {coding}"), &format!("If-None-Match: {tag}")])
                    .await;
            assert_eq!(
                (again.status, again.header("etag"), again.body.len()),
                (304, tag.as_str(), 0),
                "{file}"
            );
            assert_eq!(again.header("vary"), "accept-encoding");
        }
    }
}

#[actix::test]
async fn the_form_follows_the_client_s_weights() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let web = server.web();
    let coding =
        async |headers: &[&str]| ask(web, "GET /", headers).await.header("content-encoding").to_owned();
    assert_eq!(coding(&[]).await, "");
    for (accepted, expected) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1, br;q=0.9", "gzip"),
        ("br;q=0, *", "gzip"),
        ("br;q=0, gzip;q=0", ""),
        ("identity;q=0", ""),
        ("deflate", ""),
    ] {
        assert_eq!(coding(&[&format!("Accept-Encoding: {accepted}")]).await, expected, "{accepted}");
    }
    assert_eq!(coding(&["Accept-Encoding: br;q=0", "Accept-Encoding: gzip"]).await, "gzip");
}

#[actix::test]
async fn each_response_has_the_headers_that_its_kind_needs() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let web = server.web();
    for file in site() {
        let response = get(web, &format!("/{file}")).await;
        let expected = match file.rsplit('.').next().unwrap() {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" | "map" => "application/json; charset=utf-8",
            "svg" => "image/svg+xml; charset=utf-8",
            "txt" => "text/plain; charset=utf-8",
            "png" => "image/png",
            "woff2" => "font/woff2",
            other => panic!("{file}: what is {other}?"),
        };
        assert_eq!(response.header("content-type"), expected, "{file}");
        let cache =
            if file.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        assert_eq!(response.header("cache-control"), cache, "{file}");
        let is_client = file.starts_with("client.");
        let (policy, shared) = if is_client { ("cross-origin", "*") } else { ("same-origin", "") };
        assert_eq!(response.header("cross-origin-resource-policy"), policy, "{file}");
        assert_eq!(response.header("access-control-allow-origin"), shared, "{file}");
    }
    for (line, status) in [
        ("GET /", 200),
        ("GET /client.js", 200),
        ("GET /config.json", 200),
        ("GET /nowhere", 404),
        ("GET /map.pmtiles", 404),
        ("GET /index.html.br", 404),
        ("GET /../Cargo.toml", 404),
        ("GET /%2e%2e/Cargo.toml", 404),
        ("GET //index.html", 404),
        ("POST /nowhere", 404),
        ("POST /", 405),
        ("DELETE /config.json", 405),
        ("OPTIONS /client.js", 405),
    ] {
        let response = ask(web, line, &[]).await;
        assert_eq!(response.status, status, "{line}");
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{line}");
        assert_eq!(response.header("referrer-policy"), "strict-origin-when-cross-origin", "{line}");
        assert!(!response.header("cross-origin-resource-policy").is_empty(), "{line}");
        assert_eq!(response.header("allow"), if status == 405 { "GET, HEAD" } else { "" }, "{line}");
        if status >= 400 {
            assert_eq!(response.header("content-type"), "text/plain; charset=utf-8", "{line}");
            assert!(response.text().len() > 20 && response.header("cache-control") == "no-store", "{line}");
        }
    }
    let (page, index) = (get(web, "/").await, get(web, "/index.html").await);
    assert_eq!((page.header("etag"), page.text()), (index.header("etag"), index.text()));
    assert_eq!(page.body, decompressed("index.html"));
    assert_eq!(
        server.metric("processor_web_requests_total", "status=\"2xx\"").await,
        site().len() as f64 + 5.0
    );
    assert_eq!(server.metric("processor_web_requests_total", "4xx").await, 10.0);
}

#[actix::test]
async fn head_says_what_get_would_send_and_tags_may_come_in_lists() {
    let (_folder, path, _) = tiles();
    let folder = folder();
    let server = Server::start(folder.path(), &[("WEB_PMTILES_FILE", path.to_str().unwrap())]);
    let web = server.web();
    for path in ["/", "/client.js", "/config.json", "/map.pmtiles", "/nowhere"] {
        let (head, get) = (ask(web, &format!("HEAD {path}"), &[]).await, get(web, path).await);
        assert!(head.body.is_empty(), "{path}");
        let without_date = |mut response: Response| {
            response.headers.remove("date");
            (response.status, response.headers)
        };
        assert_eq!(without_date(head), without_date(get), "{path}");
    }
    // One after the other on one connection: nothing is left over behind a HEAD or a 304.
    let tag = get(web, "/").await.header("etag").to_owned();
    let requests = [
        "HEAD /map.pmtiles HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /client.js HTTP/1.1\r\nHost: a\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n"),
        "GET /config.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ];
    let responses = String::from_utf8(exchange(web, &requests.concat()).await).unwrap();
    let heads: Vec<_> = responses.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(heads, ["200", "200", "304", "200"], "{responses}");
    for (list, status) in [
        ("*".to_owned(), 304),
        (format!("\"x\", W/{tag}"), 304),
        (format!("\"a,b\",{tag}"), 304),
        ("\"x\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let response = ask(web, "GET /", &[&format!("If-None-Match: {list}")]).await;
        assert_eq!(response.status, status, "{list}");
        // What the browser stored it with may be out of date.
        assert!(response.header("content-security-policy").contains("default-src 'none'"), "{list}");
    }
}

#[actix::test]
async fn the_page_s_policy_names_its_host_and_nothing_that_is_smuggled_in() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (web, port) = (server.web(), server.live.port());
    for (host, source) in [
        ("Map.Example:8080", format!("ws://map.example:{port} wss://map.example:{port}")),
        ("127.0.0.1", format!("ws://127.0.0.1:{port} wss://127.0.0.1:{port}")),
        ("[::1]:8080", "ws: wss:".to_owned()),
    ] {
        let policy = ask(web, "GET /", &[&format!("Host: {host}")]).await;
        let expected = format!(
            "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
             img-src 'self' data: blob:; font-src 'self'; connect-src 'self' {source}; manifest-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(policy.header("content-security-policy"), expected, "{host}");
    }
    for host in [
        "Host: a; script-src *",
        "Host: a b",
        "Host: a,b",
        "Host: *",
        "Host: 'self'",
        "Host: user@a",
        "Host: ",
        "Host: a/b",
        "Host: \u{e4}",
        "Host: a\tb",
        "Host: a\r\nHost: b",
        "Host: a:80 *",
    ] {
        let response = ask(web, "GET /", &[host]).await;
        assert_eq!(response.status, 400, "{host}");
        assert_eq!(response.header("content-security-policy"), "", "{host}");
    }
    // An address in the request line stands for the header.
    let response = ask(web, "GET http://line.example:1/", &["Host: header.example"]).await;
    assert!(response.header("content-security-policy").contains("connect-src 'self' ws://line.example:"));
    assert_eq!(Response::read(&exchange(web, "GET / HTTP/1.0\r\n\r\n").await).status, 400);
}

#[actix::test]
async fn the_page_is_told_the_settings_and_its_policy_follows_them() {
    let (_folder, path, _) = tiles();
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "live_url": null, "live_port": server.live.port(),
        "style": { "light": null, "dark": null }, "pmtiles": null,
        "stale_after_ms": 60_000, "lost_after_ms": 600_000, "units": "metric",
    });
    let config = get(server.web(), "/config.json").await;
    assert_eq!((config.json(), config.header("cache-control")), (expected, "no-cache"));
    let other = crate::harness::folder();
    let settings = [
        ("WEB_LIVE_URL", "wss://live.example.org/live"),
        ("WEB_MAP_STYLE_URL", "https://tiles.example/style.json?key=1"),
        ("WEB_MAP_STYLE_DARK_URL", "https://dark.example/style.json"),
        ("WEB_MAP_ORIGINS", "https://glyphs.example"),
        ("WEB_FRAME_ANCESTORS", "https://www.example.org"),
        ("WEB_PMTILES_FILE", path.to_str().unwrap()),
        ("WEB_STALE_AFTER_MS", "1000"),
        ("WEB_LOST_AFTER_MS", "2000"),
        ("WEB_UNITS", "imperial"),
    ];
    let server = Server::start(other.path(), &settings);
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "live_url": "wss://live.example.org/live",
        "live_port": server.live.port(), "pmtiles": "/map.pmtiles",
        "style": { "light": "https://tiles.example/style.json?key=1", "dark": "https://dark.example/style.json" },
        "stale_after_ms": 1000, "lost_after_ms": 2000, "units": "imperial",
    });
    assert_eq!(get(server.web(), "/config.json").await.json(), expected);
    let page = get(server.web(), "/").await;
    for part in [
        "connect-src 'self' wss://live.example.org https://dark.example https://glyphs.example https://tiles.example;",
        "img-src 'self' data: blob: https://glyphs.example;",
        "font-src 'self' https://glyphs.example;",
        "frame-ancestors https://www.example.org",
    ] {
        let policy = page.header("content-security-policy");
        assert!(policy.contains(part), "{part}: {policy}");
    }
}

#[actix::test]
async fn tiles_are_sent_whole_or_in_part() {
    let (_folder, path, bytes) = tiles();
    let folder = folder();
    let server = Server::start(folder.path(), &[("WEB_PMTILES_FILE", path.to_str().unwrap())]);
    let web = server.web();
    let asked = async |headers: &[&str]| ask(web, "GET /map.pmtiles", headers).await;
    let whole = asked(&[]).await;
    assert!(whole.status == 200 && whole.body == bytes);
    assert_eq!(
        (whole.header("accept-ranges"), whole.header("content-type")),
        ("bytes", "application/vnd.pmtiles")
    );
    let tag = whole.header("etag").to_owned();
    for (range, part, content_range) in [
        ("bytes=0-7", &bytes[..8], "bytes 0-7/200000"),
        ("bytes=1000-150000", &bytes[1000..=150_000], "bytes 1000-150000/200000"),
        ("bytes=199999-300000", &bytes[199_999..], "bytes 199999-199999/200000"),
        ("bytes=-5", &bytes[199_995..], "bytes 199995-199999/200000"),
    ] {
        for condition in ["X-None: 1", &format!("If-Range: {tag}")] {
            let response = asked(&[&format!("Range: {range}"), condition]).await;
            assert_eq!((response.status, response.header("content-range")), (206, content_range), "{range}");
            assert!(response.body == part, "{range}");
            assert_eq!((response.header("etag"), response.header("vary")), (tag.as_str(), ""));
        }
    }
    let past = asked(&["Range: bytes=200000-"]).await;
    assert_eq!((past.status, past.header("content-range")), (416, "bytes */200000"));
    for headers in [
        &["Range: bytes=0-7", "If-Range: \"other\""][..],
        &["Range: bytes=0-7", "If-Range: Wed, 21 Oct 2026 07:28:00 GMT"],
        &["Range: bytes=0-7,20-30"],
        &["Range: bytes=7-0"],
        &["Range: rows=0-7"],
    ] {
        let response = asked(headers).await;
        assert!(response.status == 200 && response.body == bytes, "{headers:?}: {}", response.status);
    }
    let head = ask(web, "HEAD /map.pmtiles", &["Range: bytes=0-7"]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "200000", 0));
    assert_eq!(asked(&[&format!("If-None-Match: {tag}"), "Range: bytes=0-7"]).await.status, 304);
    // It was changed where it is: a part of it goes with no part of before.
    fs::write(&path, [bytes.as_slice(), b"more"].concat()).unwrap();
    let changed = asked(&["Range: bytes=0-7", &format!("If-Range: {tag}")]).await;
    assert_eq!((changed.status, changed.body.len()), (200, 200_004));
    assert_ne!(changed.header("etag"), tag);
}

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
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
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
