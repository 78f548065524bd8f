//! Who may report, and what the ops port shows to whom.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{
    Client, JWT, Server, eventually, folder, from_now, get, get_with, http, jwt_and, position, post_over,
    sql, token,
};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[actix::test]
async fn a_token_reports_for_its_devices_and_no_others() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("OPS_INGEST_TOKEN", "gateway")]));
    let post = async |authorization: &str, devices: &[&str]| {
        let body: Vec<_> = devices.iter().map(|device| position(device, 1, 1.0)).collect();
        server.post_with(&[("Authorization", authorization)], json!(body).to_string()).await
    };
    let truck = bearer(&token("truck", json!({ "devices": ["truck-*", "7"] })));
    assert_eq!(post(&truck, &["truck-1", "7", "truck-"]).await.0, 200);
    let (status, answer) = post(&truck, &["truck-2", "car-1"]).await;
    assert_eq!(
        (status, &answer["error"], &answer["index"], &answer["field"]),
        (403, &json!("forbidden"), &json!(1), &json!("device_id"))
    );
    assert!(answer["message"].as_str().unwrap().contains("\"car-1\""), "{answer}");
    assert_eq!(post(&bearer("gateway"), &["car-1"]).await.0, 200);
    // Nothing of the refused post was stored.
    server.stop();
    let stored = sql(
        &folder.path().join("data/positions.db"),
        &["select device_id from positions order by device_id"],
    );
    assert_eq!(stored.split_whitespace().collect::<Vec<_>>(), ["7", "car-1", "truck-", "truck-1"]);
}

#[actix::test]
async fn tokens_that_are_not_good_store_nothing() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("OPS_INGEST_TOKEN", "gateway")]));
    let ended = token("a", json!({ "devices": ["*"], "exp": from_now(-1.0) }));
    let nothing = token("a", json!({ "topics": ["*"] }));
    for (authorization, status, error) in [
        (None, 401, "unauthorized"),
        (Some("Bearer nonsense".to_owned()), 401, "unauthorized"),
        (Some("Basic YTpi".to_owned()), 401, "unauthorized"),
        (Some(bearer(&ended)), 401, "unauthorized"),
        (Some(bearer(&nothing)), 403, "forbidden"),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        let answer = server.post_with(&headers, position("1", 1, 1.0).to_string()).await;
        assert_eq!((answer.0, &answer.1["error"]), (status, &json!(error)), "{authorization:?}");
    }
    let (_, page) = server.get("/metrics").await;
    assert!(
        page.lines()
            .any(|line| line.starts_with("processor_positions_accepted_total{") && line.ends_with(" 0"))
    );
}

#[actix::test]
async fn a_post_whose_token_is_revoked_while_its_body_comes_stores_nothing() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let body = position("1", 1, 1.0).to_string();
    let good = token("truck", json!({ "devices": ["*"] }));
    let mut post = TcpStream::connect(server.ops).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST /positions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {good}\r\nContent-Length: {length}\r\n\r\n"
    );
    post.write_all(head.as_bytes()).await.unwrap();
    post.write_all(&body.as_bytes()[..10]).await.unwrap();
    // It is being read.
    eventually("the token's check", async || server.metric("processor_auth_accepted_total", "").await == 1.0)
        .await;
    server.revoke(&json!({ "subject": "truck" })).await;
    post.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut status = [0; 12];
    post.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 403");
    assert_eq!(server.metric("processor_positions_accepted_total", "").await, 0.0);
}

#[actix::test]
async fn on_a_loopback_address_programs_of_this_machine_still_post_without() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    server.accept(&position("1", 1, 1.0)).await;
    let (status, _) =
        server.post_with(&[("X-Forwarded-For", "9.9.9.9")], position("1", 2, 1.0).to_string()).await;
    assert_eq!(status, 401);
}

#[actix::test]
async fn metrics_connections_and_revocations_have_tokens_of_their_own() {
    let folder = folder();
    let settings = jwt_and(&[
        ("OPS_METRICS_TOKEN", "for-metrics"),
        ("OPS_CONNECTIONS_TOKEN", "for-connections"),
        ("OPS_REVOKE_TOKEN", "for-revocations"),
    ]);
    let server = Server::start(folder.path(), &settings);
    let _ann = Client::bearer(server.live, &token("ann", json!({}))).await;
    let asked = async |path: &str, token: &str| {
        let header = bearer(token);
        let headers = [("Authorization", &*header)];
        get_with(server.ops, path, if token.is_empty() { &[] } else { &headers }).await
    };
    for (path, good) in [("/metrics", "for-metrics"), ("/connections", "for-connections")] {
        assert_eq!(get(server.ops, path).await.0, 401, "{path}");
        for bad in ["", "for-revocations", "x"] {
            assert_eq!(asked(path, bad).await.0, 401, "{path} {bad}");
        }
        assert_eq!(asked(path, good).await.0, 200, "{path}");
    }
    assert!(asked("/connections", "for-connections").await.1.contains(r#""subject":"ann""#));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(asked(path, "").await.0, 200);
    }
    let url = format!("http://{}/revoke", server.ops);
    let revoke =
        async |headers: &[(&str, &str)], body: &str| post_over(&http(), &url, headers, body).await.unwrap();
    let headers = [("Authorization", "Bearer for-revocations")];
    assert_eq!(revoke(&[], r#"{"subject":"ann"}"#).await.0, 401);
    assert_eq!(revoke(&headers, r#"{"subject":"ann"}"#).await.0, 200);
    for (body, status) in
        [("", 400), ("{}", 400), (r#"{"topic":"nonsense"}"#, 422), (r#"{"subject":""}"#, 422)]
    {
        assert_eq!(revoke(&headers, body).await.0, status, "{body}");
    }
    assert_eq!(revoke(&headers, &"x".repeat(5000)).await.0, 413);
}

#[actix::test]
async fn open_to_the_network_nothing_is_revoked_without_a_token_and_that_is_said() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("OPS_HOST", "0.0.0.0")]));
    server.logged("OPS_REVOKE_TOKEN is not set: revocations get 403");
    let url = format!("http://{}/revoke", server.ops);
    let (status, body) = post_over(&http(), &url, &[], r#"{"subject":"ann"}"#).await.unwrap();
    assert_eq!(status, 403);
    assert!(body.contains("set OPS_REVOKE_TOKEN"), "{body}");
    // Tokens post all the same.
    let header = bearer(&token("truck", json!({ "devices": ["1"] })));
    assert_eq!(
        server.post_with(&[("Authorization", &header)], position("1", 1, 1.0).to_string()).await.0,
        200
    );
}

#[actix::test]
async fn there_is_nothing_to_revoke_where_nobody_is_asked() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let url = format!("http://{}/revoke", server.ops);
    let (status, body) = post_over(&http(), &url, &[], r#"{"subject":"ann"}"#).await.unwrap();
    assert_eq!(status, 409);
    assert!(body.contains("AUTH is none"), "{body}");
}
