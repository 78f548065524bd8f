//! `POST /positions`: what is taken, what is refused and how that is said.

use processor::domain::Timestamp;
use serde_json::json;

use crate::harness::{Server, folder, http, position, post_over, soon};

#[actix::test]
async fn takes_an_object_an_array_and_lines() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let json = [("Content-Type", "application/json")];
    let lines = [("Content-Type", "application/x-ndjson; charset=utf-8")];
    let (a, b) = (position("a", 1, 1.0), position("b", 1, 1.0));
    assert_eq!(server.post_with(&json, a.to_string()).await, (200, json!({ "accepted": 1 })));
    let repeated = json!({ "accepted": 2, "repeated": 1 });
    assert_eq!(server.post_with(&json, json!([a, b]).to_string()).await, (200, repeated));
    let repeated = json!({ "accepted": 2, "repeated": 2 });
    assert_eq!(server.post_with(&lines, format!("{a}\n{b}\n")).await, (200, repeated));
    assert_eq!(server.post("[]").await, (200, json!({ "accepted": 0 })));
    assert_eq!(server.metric("processor_ingest_requests_total", "200").await, 4.0);
}

#[actix::test]
async fn one_bad_record_refuses_the_whole_request() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let bad = position("a", 2, 95.0);
    let (status, response) = server.post(json!([position("a", 1, 1.0), bad]).to_string()).await;
    let expected = json!({
        "error": "invalid-position", "index": 1, "field": "latitude",
        "message": "latitude must be a number from -90 to 90 (degrees)",
    });
    assert_eq!((status, response), (422, expected));
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
    let (status, response) = server.post(" ".repeat(1025)).await;
    assert_eq!((status, &response["error"]), (413, &json!("body-too-large")));
    assert!(response["message"].as_str().unwrap().contains("1024"));
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

/// The router decodes paths, so whoever checks has to as well: without that this was a way past the token.
#[actix::test]
async fn a_path_that_is_written_otherwise_is_no_way_past_the_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_INGEST_TOKEN", "s3cret")]);
    let client = http();
    for path in ["/%70ositions", "/posi%74ions", "/positions?x=1", "/%70%6F%73itions"] {
        let url = format!("http://{}{path}", server.ops);
        let (status, _) = post_over(&client, &url, &[], position("a", 1, 1.0).to_string()).await.unwrap();
        assert_eq!(status, 401, "{path}");
    }
    assert_eq!(server.metric("processor_ingest_requests_total", "\"401\"").await, 4.0);
    assert_eq!(server.metric("processor_positions_accepted_total", "").await, 0.0);
}

#[actix::test]
async fn open_to_the_network_it_wants_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &[("OPS_HOST", "0.0.0.0")]);
    server.logged("OPS_INGEST_TOKEN is not set");
    let (status, response) = server.post(position("a", 1, 1.0).to_string()).await;
    assert_eq!((status, &response["error"]), (403, &json!("ingest-closed")));
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

/// A position of device `1` at a time that is so many milliseconds ahead of the clock.
fn ahead(millis: i64) -> serde_json::Value {
    let time = Timestamp::from_millis(Timestamp::now().as_millis() + millis).unwrap();
    json!({ "device_id": "1", "timestamp": time, "latitude": 1, "longitude": 2 })
}

/// Waits until the clock shows a later time than now, so that two positions do not have the same.
async fn next_millisecond() {
    let now = Timestamp::now();
    soon("the next millisecond", async {
        while Timestamp::now() <= now {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix::test]
async fn one_position_from_the_future_hides_none_that_follow_also_after_a_restart() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    for round in 0..2 {
        let mut client = server.client().await;
        client.subscribe("device:1").await;
        let future = ahead(23 * 3_600_000);
        assert_eq!(server.post(future.to_string()).await, (200, json!({ "accepted": 1 })));
        assert_eq!(client.json().await["timestamp"], future["timestamp"]);
        let mut last = json!(null);
        for _ in 0..5 {
            next_millisecond().await;
            let right = ahead(0);
            assert_eq!(server.post(right.to_string()).await, (200, json!({ "accepted": 1 })), "{round}");
            assert_eq!(client.json().await["timestamp"], right["timestamp"]);
            last = right;
        }
        server.stop();
        server = Server::start(folder.path(), &[]);
        let snapshot = server.client().await.subscribe("device:1").await;
        assert_eq!(snapshot["snapshot"][0]["timestamp"], last["timestamp"]);
    }
}

#[actix::test]
async fn a_device_whose_clock_is_always_ahead_moves() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client().await;
    client.subscribe("device:1").await;
    for _ in 0..5 {
        next_millisecond().await;
        let early = ahead(7_200_000);
        server.accept(&early).await;
        assert_eq!(client.json().await["timestamp"], early["timestamp"]);
    }
}

#[actix::test]
async fn the_response_says_how_many_were_late_or_repeated() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    server.accept(&position("a", 5, 1.0)).await;
    // One older, one with other coordinates at the same time, one twice, one new.
    let mixed = json!([
        position("a", 3, 1.0),
        position("a", 5, 9.0),
        position("a", 4, 1.0),
        position("a", 4, 2.0),
        position("a", 6, 1.0),
    ]);
    let expected = json!({ "accepted": 5, "late": 2, "repeated": 2 });
    assert_eq!(server.post(mixed.to_string()).await, (200, expected));
    let snapshot = server.client().await.subscribe("device:a").await;
    assert_eq!(snapshot["snapshot"][0]["timestamp"], crate::harness::time(6));
    assert_eq!(server.metric("processor_positions_late_total", "").await, 2.0);
    assert_eq!(server.metric("processor_positions_repeated_total", "").await, 2.0);
    assert_eq!(server.metric("processor_positions_devices", "").await, 1.0);
}
