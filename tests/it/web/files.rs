//! What the web server serves: files in their forms, tags, headers, parts of tiles.

use std::collections::BTreeSet;
use std::fs;

use super::{Response, ask, decompressed, exchange, form, get, site, tiles};
use crate::harness::{Server, folder};

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
