//! `POST /positions`: what is taken, what is refused and how that is said.

use serde_json::json;

use crate::harness::{Server, folder, position};

#[actix::test]
async fn takes_an_object_an_array_and_lines() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let json = [("Content-Type", "application/json")];
    let lines = [("Content-Type", "application/x-ndjson; charset=utf-8")];
    let (a, b) = (position("a", 1, 1.0), position("b", 1, 1.0));
    assert_eq!(server.post_with(&json, a.to_string()).await, (200, json!({ "accepted": 1 })));
    assert_eq!(server.post_with(&json, json!([a, b]).to_string()).await, (200, json!({ "accepted": 2 })));
    assert_eq!(server.post_with(&lines, format!("{a}\n{b}\n")).await, (200, json!({ "accepted": 2 })));
    assert_eq!(server.post("[]").await, (200, json!({ "accepted": 0 })));
    assert_eq!(server.metric("processor_ingest_requests_total", "200").await, 4.0);
}

#[actix::test]
async fn one_bad_record_refuses_the_whole_request() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let bad = position("a", 2, 95.0);
    let (status, answer) = server.post(json!([position("a", 1, 1.0), bad]).to_string()).await;
    let expected = json!({
        "error": "invalid-position", "index": 1, "field": "latitude",
        "message": "latitude must be a number from -90 to 90 (degrees)",
    });
    assert_eq!((status, answer), (422, expected));
    let snapshot = server.client().await.subscribe("device:a").await;
    assert_eq!(snapshot["snapshot"], json!([]));
    assert_eq!(server.post("{").await.0, 400);
    assert_eq!(server.post("").await.0, 400);
    assert_eq!(server.post_with(&[("Content-Encoding", "gzip")], "x").await.0, 415);
    assert_eq!(server.metric("processor_positions_accepted_total", "").await, 0.0);
}

#[actix::test]
async fn a_body_over_the_limit_is_413() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_MAX_BODY_BYTES", "1024")]);
    let (status, answer) = server.post(" ".repeat(1025)).await;
    assert_eq!((status, &answer["error"]), (413, &json!("body-too-large")));
    assert!(answer["message"].as_str().unwrap().contains("1024"));
    assert_eq!(server.post(format!("[{}]", " ".repeat(1022))).await.0, 200);
}

#[actix::test]
async fn with_a_token_only_who_has_it_may_post() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_INGEST_TOKEN", "s3cret")]);
    let body = position("a", 1, 1.0).to_string();
    assert_eq!(server.post(body.clone()).await.0, 401);
    assert_eq!(server.post_with(&[("Authorization", "Bearer s3creT")], body.clone()).await.0, 401);
    assert_eq!(server.post_with(&[("Authorization", "Bearer s3cret")], body).await.0, 200);
    assert_eq!(server.get("/metrics").await.0, 200);
    assert!(server.log().iter().all(|line| !line.contains("s3cret")));
}

#[actix::test]
async fn open_to_the_network_it_wants_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_HOST", "0.0.0.0")]);
    server.logged("OPS_INGEST_TOKEN is not set");
    let (status, answer) = server.post(position("a", 1, 1.0).to_string()).await;
    assert_eq!((status, &answer["error"]), (403, &json!("ingest-closed")));
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[actix::test]
async fn a_web_page_cannot_post_without_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let origin = [("Origin", "https://evil.example"), ("Content-Type", "text/plain")];
    assert_eq!(server.post_with(&origin, position("a", 1, 1.0).to_string()).await.0, 403);
}

#[actix::test]
async fn other_paths_and_methods_are_404_and_405_or_say_what_there_is() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (status, body) = server.get("/nowhere").await;
    assert_eq!(status, 404);
    assert!(body.contains("POST /positions"), "{body}");
    assert_eq!(server.get("/positions").await.0, 405);
    assert_eq!(server.get("/connections?limit=0").await.0, 400);
    assert_eq!(server.get("/connections?sort=prettiest").await.0, 400);
    assert_eq!(server.get("/connections").await, (200, r#"{"connections":[],"total":0}"#.into()));
}
