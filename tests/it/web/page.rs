//! The page's policy, and what the page is told of the settings.

use serde_json::json;

use super::{Response, ask, exchange, get, tiles};
use crate::harness::{Server, folder};

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
